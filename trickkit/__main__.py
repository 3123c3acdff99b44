"""The command line: `trickkit`, or `python -m trickkit`."""

import argparse
import os
import pathlib
import sys

import trickkit

COMMANDS = {
    "course": "bring your lessons up to date and open the first in JupyterLab; `trickkit` alone"
    " does that",
    "studio": "paint and dream your own photos, in the browser",
    "update": "bring your lessons up to date and open nothing",
    "progress": "show which exercises you have solved",
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
    each["studio"].add_argument(
        "--room", action="store_true", help="let others in who know the printed link"
    )
    return out


def main() -> None:
    """Do what the command line says; without a command, open the course."""
    said = sys.argv[1:]
    if not said or said[0].startswith("-") and said[0] not in ("-h", "--help", "--version"):
        said.insert(0, "course")
    known, others = parser().parse_known_args(said)
    if others and known.command != "course":
        parser().error(f"{known.command} does not know {' '.join(others)}")
    if others and not others[0].startswith("-"):
        parser().error(f"course takes options, and {others[0]!r} is none; a folder is --folder")
    if getattr(known, "folder", None):
        os.environ["TRICKKIT_COURSE"] = str(known.folder)

    # each command imports what it needs, so that --help answers at once
    if known.command == "studio":
        from trickkit.course import studio

        studio.serve(room=known.room)
    elif known.command == "progress":
        from trickkit import check, data

        folder = data.own_folder()
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
