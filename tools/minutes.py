"""How long a lesson takes a learner, counted.

    python tools/minutes.py

Reading at 180 words a minute, the exercises' own minutes, three for a panel, half a minute for a
prediction, and one for each cell of code: to read it, run it and look at what it shows.
"""

import pathlib
import re

import nbformat
from nbformat import NotebookNode
from tidy import GUARD

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXERCISE = re.compile(r"^### Exercise .*?(\d+) minutes?\)", re.MULTILINE)
STUB = re.compile(r"^\w+ = check\.\w+\(", re.MULTILINE)
PANEL = re.compile(r"\bwidgets\.(?!slider|choice|link)\w+\(")
BREAK = "second sitting begins here"
STATED = re.compile(r"\*\*\d+ minutes\*\*(, in two sittings( of \d+ and \d+)?)?")


def parts(cells: list[NotebookNode]) -> dict[str, float]:
    """What a lesson asks of a learner, and its minutes."""
    prose = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    prose = STATED.sub("", prose)  # or stating them would change them
    code = [
        c.source for c in cells if c.cell_type == "code" and GUARD not in c.metadata.get("tags", [])
    ]
    return {
        "words": len(prose.split()) / 180,
        "exercises": sum(map(int, EXERCISE.findall(prose))),
        "panels": 3 * len(PANEL.findall("\n".join(code))),
        "predictions": 0.5 * prose.count("*Predict"),
        "cells": sum(not STUB.search(source) for source in code),
    }


def sittings(cells: list[NotebookNode]) -> list[int]:
    """The minutes of a lesson's one sitting, or of each of its two, to the next five."""
    breaks = [i for i, c in enumerate(cells) if c.cell_type == "markdown" and BREAK in c.source]
    edges = [0, *breaks, len(cells)]
    return [
        5 * round(sum(parts(cells[a:b]).values()) / 5)
        for a, b in zip(edges, edges[1:], strict=False)
    ]


def by_part(cells: list[NotebookNode]) -> dict[str, list[NotebookNode]]:
    """A lesson's cells under each of its `## ` headings; what stands before the first, under "".

    A cell of text that holds a heading is cut there.
    """
    out: dict[str, list[NotebookNode]] = {"": []}
    for cell in cells:
        if cell.cell_type != "markdown":
            out[next(reversed(out))].append(cell)
            continue
        for piece in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE):
            if piece.startswith("## "):
                out[piece.partition("\n")[0].removeprefix("## ")] = []
            if piece.strip():
                text = NotebookNode(cell | {"source": piece.strip()})
                out[next(reversed(out))].append(text)
    return out


def stated(cells: list[NotebookNode]) -> str:
    """The minutes as a lesson's head states them."""
    each = sittings(cells)
    in_two = f", in two sittings of {each[0]} and {each[1]}" if len(each) == 2 else ""
    return f"**{sum(each)} minutes**{in_two}"


if __name__ == "__main__":
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        told = "  ".join(f"{what} {minutes:.0f}" for what, minutes in parts(cells).items())
        print(f"{path.stem:<36} {sum(sittings(cells)):>4}   {told}")
