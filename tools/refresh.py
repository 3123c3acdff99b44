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


def show_off(book: nbformat.NotebookNode) -> None:
    """Keep the README's picture, which is lesson 03's own."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    picture = next(
        o.data["image/jpeg"]
        for o in outputs
        if "No pixel changed" in o.get("data", {}).get("text/plain", "")
    )
    (ROOT / "panda_to_vulture.jpg").write_bytes(base64.b64decode(picture))


def main(paths: list[str]) -> None:
    for path in map(pathlib.Path, paths):
        book = tidy(run(nbformat.read(path, as_version=4), path.parent))
        nbformat.write(book, path)
        if path.stem == "03_panda_to_vulture":
            show_off(book)
        print(path)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
