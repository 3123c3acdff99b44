"""The command line: `trickkit`, or `python -m trickkit`."""

import argparse
import os
import pathlib
import signal
import sys

import trickkit
from trickkit.common import printable

COMMANDS = {
    "course": "bring your lessons up to date and open the first in JupyterLab; `trickkit` alone"
    " does that",
    "studio": "paint and dream your own photos, in the browser",
    "update": "bring your lessons up to date and open nothing",
    "progress": "show which exercises you have solved; of a folder with others' files, who has"
    " solved what, and who was stuck",
    "room": "open the course to a room of learners, each with a JupyterLab of their own",
    "reproduce": "measure a paper's tables from many seeds, on all cores or on a cluster",
    "doctor": "look whether all is there that the course needs",
}


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    out = argparse.ArgumentParser(
        prog="trickkit",
        description="How to trick a neural network, and see inside one: a course of notebooks.",
        epilog="What `course` does not know it hands on to JupyterLab: trickkit course --port=9000",
    )
    out.add_argument("--version", action="version", version=trickkit.__version__)
    commands = out.add_subparsers(dest="command", metavar="COMMAND", required=True)
    each = {
        name: commands.add_parser(name, help=does, description=does, allow_abbrev=False)
        for name, does in COMMANDS.items()
    }
    for name in ("course", "update", "progress"):
        each[name].add_argument(
            "--folder",
            type=pathlib.Path,
            help="of your own lessons; else $TRICKKIT_COURSE, else my_course",
        )
    for name in ("course", "update"):
        each[name].add_argument(
            "--outputs",
            help="shown: with what the cells put out, which answers their questions before you do;"
            " stripped: without (else $TRICKKIT_OUTPUTS, else as last time, at first stripped)",
        )
    each["progress"].add_argument(
        "others",
        nargs="?",
        type=pathlib.Path,
        help="a folder with learners' files: ada.jsonl, or ada/progress.jsonl",
    )
    each["progress"].add_argument(
        "--csv", type=pathlib.Path, help="write there a row for each learner and exercise"
    )
    each["studio"].add_argument(
        "--room", action="store_true", help="let others in who know the printed link"
    )
    room = each["room"]
    room.argument_default = argparse.SUPPRESS  # what is not said is as in `room.open_room`
    for name, kind, does in (
        ("folder", pathlib.Path, "of the room, with the learners' homes; else room"),
        ("port", int, "to listen on; else 8000"),
        ("ip", str, "to listen on; else all of this computer's"),
        ("memory", float, "gigabytes a kernel may take; else 4"),
        ("kernels", int, "that a learner may have at a time; else 3"),
        ("cert", str, "file of a TLS certificate, for https"),
        ("key", str, "file of its key"),
    ):
        room.add_argument(f"--{name}", type=kind, help=does)
    reproduce = each["reproduce"]
    reproduce.add_argument(
        "paper", nargs="?", help="such as goodfellow2015; without, they are listed"
    )
    reproduce.add_argument(
        "--on",
        default="local",
        help="local: this computer's cores; tcp://HOST:PORT: a Dask scheduler; slurm; kubernetes",
    )
    reproduce.add_argument("--seeds", type=int, help="how many; else the grid's own number")
    reproduce.add_argument("--full", action="store_true", help="on the complete data sets")
    reproduce.add_argument(
        "--folder", type=pathlib.Path, help="for what comes out; else my_course/reproduced"
    )
    return out


def main() -> None:
    """Do what the command line says; without a command, open the course."""
    said = sys.argv[1:]
    if not said or said[0].startswith("-") and said[0] not in ("-h", "--help", "--version"):
        said.insert(0, "course")
    known, others = parser().parse_known_args(said)
    if others and known.command != "course":
        one = "; one paper at a time" if getattr(known, "paper", None) else ""
        parser().error(f"{known.command} does not know {' '.join(others)}{one}")
    if others and not others[0].startswith("-"):
        parser().error(f"course takes options, and {others[0]!r} is none; a folder is --folder")
    if getattr(known, "csv", None) and not known.others:
        parser().error("--csv goes with a folder of learners' files: progress FOLDER --csv FILE")
    if known.command in ("progress", "doctor") and hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # ends quietly where `| head` has read enough
    if known.command in ("course", "update", "progress") and known.folder:
        os.environ["TRICKKIT_COURSE"] = str(known.folder)

    # each command imports what it needs, so that --help answers at once
    if known.command == "studio":
        from trickkit.course import studio

        studio.serve(room=known.room)
    elif known.command == "room":
        from trickkit.course import room

        options = {name: value for name, value in vars(known).items() if name != "command"}
        room.open_room(**options)
    elif known.command == "reproduce":
        try:
            from trickkit import scale

            if not known.paper:
                for paper in scale.PAPERS:
                    grid = scale.grid_of(paper)
                    full = ", or --full" if grid.complete and grid.ours_full else ""
                    print(printable(f"{paper:<16} {grid.ours}{full}; {grid.seeds} seeds"))
                return
            made = scale.run(
                known.paper,
                on=known.on,
                seeds=known.seeds,
                full=known.full,
                folder=known.folder,
            )
        except (NotADirectoryError, FileExistsError) as error:
            sys.exit(printable(f"{error.filename} is not a folder: --folder wants one."))
        except (ValueError, ImportError, FileNotFoundError, ConnectionError) as error:
            sys.exit(printable(str(error)))
        except KeyboardInterrupt:
            sys.exit("What was measured is kept: the same command goes on from there.")
        for cell, failed in made.failures.items():
            print(printable(f"{cell} failed:\n{failed}"))
        print(printable(f"{made.brief}\n\nTable, figure and rows are in {made.folder}."))
        sys.exit(bool(made.failures))
    elif known.command == "progress" and known.others:
        from trickkit.course import tally

        try:
            events = tally.handed_in(known.others)
        except ValueError as error:
            sys.exit(printable(str(error)))
        print(printable(tally.summary(events)))
        if known.csv:
            try:  # with the mark by which Excel knows the letters
                tally.exercises(events).to_csv(known.csv, index=False, encoding="utf-8-sig")
            except OSError as error:
                sys.exit(printable(f"{known.csv} cannot be written: {error.strerror or error}"))
            print(printable(f"All of it is in {known.csv}."))
    elif known.command == "progress":
        from trickkit import check, folders

        folder = folders.own_folder()
        if not folder.is_dir():
            sys.exit(
                f"There are no lessons in {folder}. Go to the folder that you began in, or name"
                " theirs: --folder"
            )
        print(f"In {folder}:")
        check.progress()
    else:
        from trickkit.course import setup

        if known.command == "doctor":
            sys.exit(not setup.report())
        outputs = known.outputs or os.environ.get("TRICKKIT_OUTPUTS") or None
        if known.command == "update":
            setup.update(outputs=outputs)
        else:
            setup.course(outputs=outputs, options=others)


if __name__ == "__main__":
    main()
