"""Run lessons from top to bottom and keep their outputs, the way they are committed.

    python tools/refresh.py notebooks/03_panda_to_vulture.ipynb …

What only a live kernel can use is left out (widgets, the HTML twin of a picture), so that GitHub
and paper show the picture.
"""

import base64
import os
import pathlib
import sys

import nbformat
from nbclient import NotebookClient
from tidy import tidy

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUIET = {"TQDM_DISABLE": "1", "TRICKKIT_PROGRESS": ""}  # no bars, and no learner's progress touched


def run(book: nbformat.NotebookNode, folder: pathlib.Path) -> nbformat.NotebookNode:
    """Execute a notebook from a fresh kernel in a folder, which fills in its outputs. Raises
    CellExecutionError."""
    os.environ.update(QUIET)
    client = NotebookClient(
        book,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # or each kernel warns of its own ports
    )
    return client.execute()


# The README's pictures: a lesson's, and how the words of it begin.
COVER = {
    "03_panda_to_vulture": "No pixel changed",
    "06_defences": "Redrawn by four networks",
    "08_saliency": "The first map lies on the panda",
    "12_abstract_summaries": "What one layer says",
    "14_deep_dream": "A dahlia",
    "15_style_transfer": "A tower of three curved roofs",
}


def show_off(lesson: str, book: nbformat.NotebookNode) -> None:
    """Keep the README's picture of a lesson, if it shows one."""
    shown = [
        output.data
        for cell in book.cells
        for output in cell.get("outputs", [])
        if output.get("data", {}).get("text/plain", "").startswith(COVER[lesson])
    ]
    [(kind, picture)] = [
        (kind.removeprefix("image/"), data)
        for kind, data in shown[0].items()
        if kind.startswith("image/")
    ]
    (ROOT / "cover" / f"{lesson}.{kind}").write_bytes(base64.b64decode(picture))


def main(paths: list[str]) -> None:
    for path in map(pathlib.Path, paths):
        book = tidy(run(nbformat.read(path, as_version=4), path.parent))
        nbformat.write(book, path)
        if path.stem in COVER:
            show_off(path.stem, book)
        print(path)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
