"""Bring what lists the lessons and modules up to date: the README's two tables, lesson 00's map,
each lesson's minutes, and the "Next lesson" line at its end.

    python tools/maps.py

A lesson says of itself what a map needs: its title in its first cell; what one does in it, and the
papers, in the notebook's metadata, {"trickkit": {"does": …, "papers": …}}. Its minutes are counted
(minutes.py). A module says it in the first paragraph of its docstring.
"""

import ast
import pathlib
import re
from typing import NamedTuple

import minutes
import nbformat
from tidy import tidy

import trickkit

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The floors of the package, from the ground up: a module imports from its own floor or from below.
# Between `training` and `papers` stands every other module: the methods.
BELOW = (
    ("common", "folders"),
    ("contract",),
    ("data", "activations", "progress"),
    ("bert", "models", "training"),
)
ABOVE = (("papers",), ("plots",), ("scale", "widgets"), ("check", "course"))
METHODS = sorted(set(trickkit.MODULES) - {name for floor in BELOW + ABOVE for name in floor})
FLOORS = (*BELOW, tuple(METHODS), *ABOVE)
NEXT = re.compile(r"\*\*(Next lesson|The map)\*\* \[[^]]*\]\([^)]*\)")


class Lesson(NamedTuple):
    """What a lesson says of itself."""

    file: str
    title: str  # with its number: "02 · Breaking a linear classifier"
    minutes: str
    does: str
    papers: str


def lesson(path: pathlib.Path) -> Lesson:
    """Read a lesson's header. Raises ValueError for one that lacks something."""
    book = nbformat.read(path, as_version=4)
    head = book.cells[0].source
    title = re.match(r"# (\d\d · [^:\n]+)", head)
    own = book.metadata.get("trickkit", {})
    if not (title and minutes.STATED.search(head) and "does" in own and "papers" in own):
        raise ValueError(
            f"{path.name}: wanted are a first line `# NN · Title`, `**NN minutes**` in the first"
            ' cell, and metadata {"trickkit": {"does": …, "papers": …}}.'
        )
    total = str(sum(minutes.sittings(book.cells)))
    return Lesson(path.name, title[1], total, own["does"], own["papers"])


def modules() -> list[tuple[str, str]]:
    """The package's modules with the first paragraph of each; of `check` only the door's."""
    out = []
    for name in (name for floor in FLOORS for name in floor):
        home = ROOT / "trickkit" / name
        inside = sorted(home.glob("[a-z]*.py")) if name != "check" else []
        door = home / "__init__.py" if home.is_dir() else home.with_suffix(".py")
        out += [(name, door), *((f"{name}.{file.stem}", file) for file in inside)]
    return [(name, first_paragraph(file)) for name, file in out]


def first_paragraph(file: pathlib.Path) -> str:
    """The first paragraph of a module's docstring, on one line."""
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(said.partition("\n\n")[0].split())


def with_table(text: str, head: str, rows: list[str]) -> str:
    """A text whose Markdown table of that first line has those rows."""
    lines = text.splitlines()
    start = lines.index(head)
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    rule = "| --- " * (head.count("|") - 1) + "|"
    return "\n".join([*lines[:start], head, rule, *rows, *lines[end:]])


def renewed() -> dict[pathlib.Path, str]:
    """Every file that holds a map -> its text as it should be."""
    lessons = [lesson(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]

    readme = ROOT / "README.md"
    text = with_table(
        readme.read_text(encoding="utf-8"),
        "| lesson | what you do | minutes | after |",
        [
            f"| [{o.title}](notebooks/{o.file}) | {o.does} | {o.minutes} | {o.papers} |"
            for o in lessons
        ],
    )
    text = with_table(
        text, "| module | what is in it |", [f"| `{m}` | {said} |" for m, said in modules()]
    )
    out = {readme: text + "\n"}

    for here, after in zip(lessons, [*lessons[1:], None], strict=True):
        path = ROOT / "notebooks" / here.file
        book = nbformat.read(path, as_version=4)
        book.cells[0].source = minutes.STATED.sub(minutes.stated(book.cells), book.cells[0].source)
        if after:
            link = f"**Next lesson** [{after.title}]({after.file})"
        else:
            link = f"**The map** [{lessons[0].title}]({lessons[0].file})"
        last = book.cells[-1]
        if not NEXT.search(last.source):
            raise ValueError(
                f"{path.name}: its last cell has no line that begins **Next lesson** ["
            )
        last.source = NEXT.sub(lambda _, link=link: link, last.source, count=1)
        if here is lessons[0]:
            rows = [f"| [{o.title}]({o.file}) | {o.does} | {o.minutes} |" for o in lessons]
            last.source = with_table(last.source, "| lesson | you will | minutes |", rows)
        out[path] = nbformat.writes(tidy(book)) + "\n"
    return out


if __name__ == "__main__":
    for path, text in renewed().items():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(path.relative_to(ROOT))
