"""TEACHING.md: read for the slides, and its counted parts brought up to date: make guide.

    python tools/guide.py

By hand are written what a lesson is for, what must be seen, what may be skipped, where rooms get
stuck, what to say, and the answers to the predictions. Counted are minutes, and what a lesson costs
a computer, which README.md knows.
"""

import functools
import pathlib
import re
from typing import NamedTuple

import minutes
import nbformat
from nbformat import NotebookNode

ROOT = pathlib.Path(__file__).resolve().parent.parent
GUIDE = ROOT / "TEACHING.md"
LESSON = re.compile(r"^## (\d\d) · (.+)$", re.MULTILINE)
COUNTED = re.compile(r"(?<=<!-- counted -->\n).*?(?=<!-- end -->)", re.DOTALL)
ITEM = re.compile(r"^- \*(.+?\S)\*\s+(.+)$", re.MULTILINE)
STUCK = re.compile(r"^- \*\*(.+?)\*\*\s+(.+)$", re.MULTILINE)
WAY = re.compile(r"^\| (\d\d) \| (.+?) \|[\d ]*\|$", re.MULTILINE)
PREDICT = re.compile(r"\*Predict:\*(.*?)(?:\n\s*\n|\Z)", re.DOTALL)
DRAG = re.compile(r"\*Only \w+ can tell:\*(.*?)(?:\n\s*\n|\Z)", re.DOTALL)
VOTE = 1.5  # minutes that a room takes longer than a reader to predict
ALWAYS = ("", "Paper and us", "What you saw")  # parts that nothing need be said at


class Guide(NamedTuple):
    """What TEACHING.md says of a lesson."""

    title: str
    about: str
    notes: dict[str, str]  # part -> what to say there
    answers: list[tuple[str, str]]  # each prediction's question, and its answer
    stuck: list[tuple[str, str]]  # where rooms get stuck: what at, and what helps
    dragged: list[tuple[str, str]]  # each panel's question, and its answer


def plain(text: str) -> str:
    """A question or heading without its marks and line ends, to compare it by."""
    return " ".join(re.sub(r"[*_]", "", text).split()).rstrip(".")


def sections(text: str) -> dict[str, str]:
    """The text on each lesson, by the lesson's number."""
    pieces = LESSON.split(text)
    return dict(zip(pieces[1::3], pieces[3::3], strict=True))


def guides() -> dict[str, Guide]:
    """What TEACHING.md says, by lesson."""
    text = GUIDE.read_text(encoding="utf-8")
    titles = dict(LESSON.findall(text))
    out = {}
    for number, section in sections(text).items():
        about = COUNTED.sub("", section).partition("**Must be seen.**")[0]
        about = re.sub(r"<!--.*?-->", "", about).strip()
        first, _, rest = section.partition("**To say, part by part**")
        to_say, _, answered = rest.partition("**Predictions**")
        answered, _, dragged = answered.partition("**Only dragging can tell**")
        notes = {plain(part): said for part, said in ITEM.findall(to_say)}
        stuck = STUCK.findall(first.partition("**Where rooms get stuck**")[2])
        out[number] = Guide(
            titles[number], about, notes, ITEM.findall(answered), stuck, ITEM.findall(dragged)
        )
    return out


def lesson(number: str) -> pathlib.Path:
    """A lesson's file, by its number."""
    found = sorted((ROOT / "notebooks").glob(f"{number}_*.ipynb"))
    if not found:
        raise SystemExit(f"There is no lesson {number}.")
    return found[0]


@functools.cache
def cells(number: str) -> list[NotebookNode]:
    """A lesson's cells, by its number. To be read, not changed."""
    return nbformat.read(lesson(number), as_version=4).cells


def covers() -> dict[str, str]:
    """The words of README.md's pictures, by the name of their files in cover/."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return {file: words for words, file in re.findall(r"!\[([^]]*)\]\(cover/([^)]*)\)", readme)}


def questions(text: str, *, kind: re.Pattern = PREDICT) -> list[str]:
    """The questions of a kind that a text asks, each on one line: its predictions, or DRAG."""
    return [plain(asked) for asked in kind.findall(text)]


def costs() -> dict[str, tuple[str, str]]:
    """Processor seconds and peak memory of each lesson, as README.md has them."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = {}
    for name in ("lesson", "processor seconds", "peak memory, GB"):
        lines = re.findall(rf"^\| {name} ((?:\| [\d.]+ )+)\|$", text, re.MULTILINE)
        rows[name] = [value.strip() for line in lines for value in line.strip("| ").split("|")]
    return dict(zip(rows["lesson"], zip(*list(rows.values())[1:], strict=True), strict=True))


def spent(number: str) -> dict[str, tuple[int, int]]:
    """The minutes of each part of a lesson, and how many of them are for exercises."""
    out = {}
    for part, own in minutes.by_part(cells(number)).items():
        each = minutes.parts(own)
        out[part] = (max(1, round(sum(each.values()))), each["exercises"])
    return out


def table(number: str, cost: tuple[str, str]) -> str:
    """The counted part of a lesson's guide."""
    rows = [
        f"| {part.replace('|', chr(92) + '|') or 'Before the first part'} | {total} | {own or ''} |"
        for part, (total, own) in spent(number).items()
    ]
    seconds, memory = cost
    book = cells(number)
    alone = sum(minutes.sittings(book))
    asked = sum(len(questions(cell.source)) for cell in book if cell.cell_type == "markdown")
    together = 5 * round((alone + VOTE * asked) / 5)
    return (
        f"\n{minutes.stated(book)}, about {together} in a room that guesses aloud. It takes"
        f" {seconds} seconds of one processor core and {memory} GB of memory a learner.\n\n"
        "| part | minutes | of them exercises |\n| --- | ---: | ---: |\n" + "\n".join(rows) + "\n\n"
    )


def way(row: re.Match) -> str:
    """A row of one of the ways through the course, with its minutes."""
    number, parts = row[1], row[2]
    each = spent(number)
    chosen = re.findall(r"\*(.+?)\*", parts)
    if not chosen:
        total = sum(minutes.sittings(cells(number)))
    else:
        names = {plain(part): total for part, (total, _) in each.items()}
        unknown = [part for part in chosen if plain(part) not in names]
        if unknown:
            raise ValueError(f"Lesson {number} has no part {unknown[0]!r}; it has {list(names)}.")
        total = each[""][0] + sum(names[plain(part)] for part in chosen)
    return f"| {number} | {parts} | {total} |"


def renewed() -> str:
    """TEACHING.md with its counted parts as they should be."""
    text = GUIDE.read_text(encoding="utf-8")
    known = costs()
    for number, section in sections(text).items():
        counted = COUNTED.sub(lambda _, n=number: table(n, known[n]), section)
        text = text.replace(section, counted)
    return WAY.sub(way, text)


if __name__ == "__main__":
    text = renewed()
    if text != GUIDE.read_text(encoding="utf-8"):
        GUIDE.write_text(text, encoding="utf-8", newline="\n")
        print(GUIDE.name)
