"""Is the install whole? The learner's own copy of the lessons, and JupyterLab on it:
`trickkit`, or `python -m trickkit`, does all of that.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from trickkit import folders
from trickkit.common import printable

LESSON_FOLDER = folders.ROOT / "notebooks"
LAB = pathlib.Path(__file__).parent / "lab"
FIRST_LESSON = "00_start_here.ipynb"
AGAIN = (
    "Run `make course` again."
    if folders.IN_CHECKOUT
    else "Install the course once more, the way you did."
)
WANTED = (
    "torch",
    "torchvision",
    "timm",
    "matplotlib",
    "sklearn",
    "ipywidgets",
    "jupyterlab",
)
OUTPUTS = ("stripped", "shown")  # whether the stored outputs come into the learner's copy


def findings() -> Iterator[tuple[bool, str]]:
    """What is looked at, as (good, sentence), as soon as it is known: Python, libraries, data
    files, the network, widgets, threads, GPU.
    """
    yield (
        sys.version_info >= (3, 11),
        f"Python {sys.version.split()[0]} (3.11 or newer is wanted)",
    )
    for name in WANTED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            yield False, f"{name} cannot be imported ({error}). {AGAIN}"
    import torch

    from trickkit import data, models

    yield (
        True,
        f"torch {torch.__version__}, torchvision {importlib.metadata.version('torchvision')}",
    )
    broken = []
    for file in data.sources():
        try:
            data.shipped(file)
        except (FileNotFoundError, ValueError) as error:
            broken.append(str(error))
            yield False, broken[-1]
    if not broken:
        yield True, f"{len(data.sources())} data files, all as shipped"
    try:
        net = models.imagenet()
        yield True, f"EfficientNet-Lite0 is loaded and knows {len(net.names)} classes"
    except FileNotFoundError as error:
        yield False, str(error)
    extensions = pathlib.Path(sys.prefix) / "share" / "jupyter" / "labextensions"
    if (extensions / "@jupyter-widgets" / "jupyterlab-manager").exists():
        yield True, "sliders work in JupyterLab"
    else:
        yield False, f"JupyterLab's widgets are missing: sliders will not show. {AGAIN}"
    threads = torch.get_num_threads()
    yield True, f"{threads} {'thread' if threads == 1 else 'threads'} for torch"
    gpu = torch.cuda.is_available()
    yield True, f"a GPU: {torch.cuda.get_device_name()}" if gpu else "no GPU, and none is needed"


def report() -> bool:
    """Print the findings, a line each, and say whether all are good."""
    ready = True
    for good, sentence in findings():
        print(printable(f"{'✓' if good else '×'} {sentence}"), flush=True)
        ready &= good
    print("Everything is here." if ready else printable("Not ready yet: see the lines marked ×."))
    return ready


def _written(content: bytes) -> str:
    """A digest of what a notebook file says: its cells' text and outputs.

    JupyterLab saves a lesson that is only looked at with metadata of its own, and other line ends.
    A file that is no notebook has the digest of its bytes.
    """

    def joined(value: Any) -> Any:
        whole = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return "".join(value) if whole else value

    try:
        said = [
            [
                cell["cell_type"],
                joined(cell["source"]),
                [
                    [
                        joined(out.get("text")),
                        {k: joined(v) for k, v in out.get("data", {}).items()},
                    ]
                    for out in cell.get("outputs", [])
                ],
            ]
            for cell in json.loads(content)["cells"]
        ]
    except (ValueError, LookupError, TypeError, AttributeError):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _mark(path: pathlib.Path, then: str | None) -> str:
    """What a file says, to be compared with what was delivered; nothing for a folder of that name.

    then: as `.delivered.json` has it; older ones have the SHA-256 of the bytes.
    """
    if not path.is_file():
        return ""
    content = path.read_bytes()
    return then if then == hashlib.sha256(content).hexdigest() else _written(content)


def stripped(lesson: bytes) -> bytes:
    """A notebook file without its outputs, which would answer a question before the learner does.

    JupyterLab could also fold them, but then shows the first line of each.
    """
    book = json.loads(lesson)
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return (json.dumps(book, indent=1, ensure_ascii=False) + "\n").encode()


def deliver(lessons: pathlib.Path, mine: pathlib.Path, *, outputs: str | None = None) -> list[str]:
    """Bring the learner's copy up to date without ever touching what they edited.

    A lesson that is new, or says what it said when delivered, is written; an edited one stays, and
    the update goes beside it, as NAME_update1.ipynb, NAME_update2.ipynb, … What was delivered where
    is kept in mine/.delivered.json; without that file everything there counts as edited.

    lessons: the folder that they come from.
    mine: the learner's.
    outputs: whether their stored outputs come along, "shown", or stay behind, "stripped"; None as
        last time, at first "stripped". Another choice than before exchanges what is not edited, and
        is no update of what is.
    Returns a sentence for each file that came.
    Raises ValueError for another word than those.
    """
    if outputs not in (None, *OUTPUTS):
        raise ValueError(f"Stored outputs come {' or '.join(OUTPUTS)}, not {outputs!r}.")
    mine.mkdir(parents=True, exist_ok=True)
    ledger = mine / folders.LEDGER
    try:
        delivered = {
            str(k): str(v) for k, v in json.loads(ledger.read_text(encoding="utf-8")).items()
        }
    except (OSError, ValueError, AttributeError):
        delivered = {}
    outputs = outputs or delivered.get("outputs", OUTPUTS[0])
    delivered["outputs"] = outputs
    told = []
    for lesson in sorted(lessons.glob("*.ipynb")):
        whole = lesson.read_bytes()
        forms = dict(zip(OUTPUTS, (stripped(whole), whole), strict=True))
        marks = {choice: _written(form) for choice, form in forms.items()}
        same, new = set(marks.values()), marks[outputs]
        copies = [
            mine / lesson.name,
            *(mine / f"{lesson.stem}_update{i}.ipynb" for i in range(1, 1000)),
        ]
        then = {c: delivered.get(c.name) for c in copies}
        there = {c: (then[c], _mark(c, then[c])) for c in copies if c.exists()}
        if copies[0].exists() and any(
            new in (old, now) or old != now and same & {old, now} for old, now in there.values()
        ):
            continue  # this version is with the learner already, edited or not
        place = next(c for c in copies if c not in there or there[c][0] == there[c][1])
        folders.write_whole(place, forms[outputs])
        delivered[place.name] = new
        if place != copies[0]:
            sentence = (
                f"{lesson.name} has an update; yours is edited and stays, the update is"
                f" {place.name}."
            )
        elif there:
            sentence = f"{place.name} was brought up to date."
        else:
            sentence = f"{place.name} is new."
        told.append(sentence)
        folders.write_whole(ledger, json.dumps(delivered, indent=1).encode())
    return told


def jupyterlab(folder: pathlib.Path) -> list[str]:
    """The command that serves a folder in JupyterLab: with the words for its pictures, without its
    question about news, and with room for a gigabyte in one message.

    Usual are 10 MB, and what is larger, such as a phone's photo, ends the connection without a
    word; so a file that is too large still gets its sentence.
    """
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        "--ServerApp.tornado_settings={'websocket_max_message_size': 1_000_000_000}",
        f"--LabApp.extra_labextensions_path={LAB / 'extensions'}",
        f"--LabApp.app_settings_dir={LAB / 'settings'}",
        f"--LabApp.default_url=/lab/tree/{FIRST_LESSON}",
    ]


def update(*, outputs: str | None = None) -> pathlib.Path:
    """`deliver` to the learner's own folder, and say what came.

    outputs: as in `deliver`.
    Returns the folder.
    Raises SystemExit with a sentence where that cannot be.
    """
    folder = folders.own_folder()
    try:
        told = deliver(LESSON_FOLDER, folder, outputs=outputs)
    except ValueError as error:
        sys.exit(printable(f"{error} --outputs or TRICKKIT_OUTPUTS says which."))
    except OSError as error:
        sys.exit(
            printable(
                f"Your lessons cannot be kept in {folder} ({error.strerror}). Say where else:"
                " --folder another/folder, or TRICKKIT_COURSE=another/folder"
            )
        )
    for sentence in told:
        print(printable(sentence))
    print(printable(f"Your lessons are in {folder}{'' if told else ', and up to date'}."))
    return folder


def course(*, outputs: str | None = None, options: Sequence[str] = ()) -> None:
    """Bring the learner's copy up to date, open JupyterLab on its first lesson, and end as it ends.

    outputs: as in `deliver`.
    options: are handed on to JupyterLab.
    Raises SystemExit, with JupyterLab's own status or a sentence.
    """
    folder = update(outputs=outputs)
    if not importlib.util.find_spec("jupyterlab"):
        sys.exit(
            "JupyterLab is not installed: `pip install jupyterlab`, or open the lessons in the"
            " editor that you have."
        )
    if getattr(os, "geteuid", lambda: 1)() == 0 and "--allow-root" not in options:
        said = "--allow-root --ip=0.0.0.0"
        way = f'make course ARGS="{said}"' if folders.IN_CHECKOUT else f"trickkit course {said}"
        sys.exit(
            f"You are root, whom JupyterLab refuses. In a container, where that is usual: {way}"
        )
    where = (
        "Open the link below" if "--no-browser" in options else "JupyterLab opens in the browser"
    )
    print(f"{where}; save with Ctrl-S, and end all with Ctrl-C here.", flush=True)
    # in a kernel the folder that one is in is another
    env = os.environ | {"TRICKKIT_COURSE": str(folder)}
    lab = subprocess.Popen([*jupyterlab(folder), *options], env=env)
    # Ctrl-C reaches JupyterLab, too, which asks whether it is meant
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = lab.wait()
    finally:
        signal.signal(signal.SIGINT, heard)
    print(printable(f"JupyterLab has ended. What you saved is in {folder}."))
    sys.exit(code)
