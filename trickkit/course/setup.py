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
import subprocess
import sys
from collections.abc import Sequence

from trickkit import data
from trickkit.common import printable

LESSON_FOLDER = data.ROOT / "notebooks"
LAB = pathlib.Path(__file__).parent / "lab"
FIRST_LESSON = "00_start_here.ipynb"
AGAIN = "Run `make course` again." if data.IN_CHECKOUT else "Run `pip install trickkit` once more."
OUTPUTS = ("stripped", "shown")  # whether the stored outputs come into the learner's copy


def findings() -> list[tuple[bool, str]]:
    """What was looked at, as (good, sentence): Python, libraries, data files, the network, widgets,
    threads, GPU.
    """
    import torch

    from trickkit import models

    told = [
        (sys.version_info >= (3, 11), f"Python {sys.version.split()[0]} (3.11 or newer is wanted)")
    ]
    for name in (
        "torch",
        "torchvision",
        "timm",
        "matplotlib",
        "sklearn",
        "ipywidgets",
        "jupyterlab",
    ):
        try:
            importlib.import_module(name)
        except ImportError as error:
            told.append((False, f"{name} cannot be imported ({error}). {AGAIN}"))
    told.append(
        (
            True,
            f"torch {torch.__version__}, torchvision {importlib.metadata.version('torchvision')}",
        )
    )
    broken = []
    for file in data.sources():
        try:
            data.shipped(file)
        except (FileNotFoundError, ValueError) as error:
            broken.append(str(error))
    told += [(False, sentence) for sentence in broken] or [
        (True, f"{len(data.sources())} data files, all as shipped")
    ]
    try:
        net = models.imagenet()
        told.append((True, f"EfficientNet-Lite0 is loaded and knows {len(net.names)} classes"))
    except FileNotFoundError as error:
        told.append((False, str(error)))
    extensions = pathlib.Path(sys.prefix) / "share" / "jupyter" / "labextensions"
    works = (extensions / "@jupyter-widgets" / "jupyterlab-manager").exists()
    if works:
        sentence = "sliders work in JupyterLab"
    else:
        sentence = f"JupyterLab's widgets are missing: sliders will not show. {AGAIN}"
    told.append((works, sentence))
    threads = torch.get_num_threads()
    told.append((True, f"{threads} {'thread' if threads == 1 else 'threads'} for torch"))
    gpu = torch.cuda.is_available()
    told.append(
        (True, f"a GPU: {torch.cuda.get_device_name()}" if gpu else "no GPU, and none is needed")
    )
    return told


def report() -> bool:
    """Print the findings, a line each, and say whether all are good."""
    told = findings()
    for good, sentence in told:
        print(printable(f"{'✓' if good else '×'} {sentence}"))
    ready = all(good for good, _ in told)
    print("Everything is here." if ready else printable("Not ready yet: see the lines marked ×."))
    return ready


def _sha(path: pathlib.Path) -> str:
    """A file's SHA-256; nothing for a folder of that name."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def stripped(lesson: bytes) -> bytes:
    """A notebook file without its outputs, which would answer a question before the learner does.

    JupyterLab could also fold them, but then shows the first line of each.
    """
    book = json.loads(lesson)
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return (json.dumps(book, indent=1, ensure_ascii=False) + "\n").encode()


def deliver(lessons: pathlib.Path, mine: pathlib.Path, *, outputs: str = OUTPUTS[0]) -> list[str]:
    """Bring the learner's copy up to date without ever touching what they edited.

    A lesson that is new, or byte for byte as it was delivered, is written; an edited one stays, and
    the update goes beside it, as NAME_update1.ipynb, NAME_update2.ipynb, … What was delivered where
    is kept in mine/.delivered.json; without that file everything there counts as edited.

    lessons: the folder that they come from.
    mine: the learner's.
    outputs: whether their stored outputs come along, "shown", or stay behind, "stripped". Another
        choice than before exchanges what is not edited, and is no update of what is.
    Returns a sentence for each file that came.
    Raises ValueError for another word than those.
    """
    if outputs not in OUTPUTS:
        raise ValueError(f"Stored outputs come {' or '.join(OUTPUTS)}, not {outputs!r}.")
    mine.mkdir(parents=True, exist_ok=True)
    ledger = mine / data.LEDGER
    try:
        delivered = {
            str(k): str(v) for k, v in json.loads(ledger.read_text(encoding="utf-8")).items()
        }
    except (OSError, ValueError, AttributeError):
        delivered = {}
    told = []
    for lesson in sorted(lessons.glob("*.ipynb")):
        forms = dict(
            zip(OUTPUTS, (stripped(lesson.read_bytes()), lesson.read_bytes()), strict=True)
        )
        same = {hashlib.sha256(form).hexdigest() for form in forms.values()}
        new = hashlib.sha256(forms[outputs]).hexdigest()
        copies = [
            mine / lesson.name,
            *(mine / f"{lesson.stem}_update{i}.ipynb" for i in range(1, 1000)),
        ]
        there = {c: (delivered.get(c.name), _sha(c)) for c in copies if c.exists()}
        if copies[0].exists() and any(
            new in (then, now) or then != now and same & {then, now} for then, now in there.values()
        ):
            continue  # this version is with the learner already, edited or not
        place = next(c for c in copies if not c.exists() or delivered.get(c.name) == _sha(c))
        data.write_whole(place, forms[outputs])
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
        data.write_whole(ledger, json.dumps(delivered, indent=1).encode())
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
    ]


def update(*, outputs: str = OUTPUTS[0]) -> pathlib.Path:
    """`deliver` to the learner's own folder, and say what came.

    outputs: as in `deliver`.
    Returns the folder.
    Raises SystemExit with a sentence where that cannot be.
    """
    folder = data.own_folder()
    try:
        told = deliver(LESSON_FOLDER, folder, outputs=outputs)
    except ValueError as error:
        sys.exit(printable(f"{error} --outputs or TRICKKIT_OUTPUTS says which."))
    except OSError as error:
        sys.exit(
            printable(
                f"Your lessons cannot be kept in {folder} ({error.strerror}). Say where else:"
                " TRICKKIT_COURSE=another/folder"
            )
        )
    for sentence in told:
        print(printable(sentence))
    return folder


def course(*, outputs: str = OUTPUTS[0], options: Sequence[str] = ()) -> None:
    """Bring the learner's copy up to date, open JupyterLab on its first lesson, and end as it ends.

    outputs: as in `deliver`.
    options: are handed on to JupyterLab.
    Raises SystemExit, with JupyterLab's own status or a sentence.
    """
    folder = update(outputs=outputs)
    if not importlib.util.find_spec("jupyterlab"):
        sys.exit(
            printable(
                f"Your lessons are in {folder}. JupyterLab is not installed: `pip install"
                " jupyterlab`, or open them in the editor that you have."
            )
        )
    if getattr(os, "geteuid", lambda: 1)() == 0 and "--allow-root" not in options:
        print(
            "You are root, whom JupyterLab refuses. In a container, where that is usual, add"
            ' --allow-root --ip=0.0.0.0 (make course ARGS="--allow-root --ip=0.0.0.0").'
        )
    print(
        printable(f"Your lessons are in {folder}. JupyterLab opens in the browser;"),
        "Ctrl-C here ends it.",
    )
    command = [*jupyterlab(folder), str(folder / FIRST_LESSON), *options]
    try:
        # in a kernel the folder that one is in is another
        env = os.environ | {"TRICKKIT_COURSE": str(folder)}
        sys.exit(subprocess.run(command, env=env).returncode)
    except KeyboardInterrupt:
        print(printable(f"Goodbye. Your work is saved in {folder}."))
