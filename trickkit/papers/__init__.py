"""What a paper reports, beside what we measured.

The papers' numbers are data/papers.csv; ours come from the lessons.
"""

import csv
import functools
import json
import pathlib
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from trickkit import data, folders
from trickkit.common import finite_number, unknown
from trickkit.contract import Numbers

VERDICTS = (
    "*same*: equal to the digits that the paper prints; *near*: off by a tenth of the number at"
    " most, and a percentage also by a tenth of what it lacks to 100 at most, or by one point where"
    " that tenth is less; *differs*: the last column says why; *–*: the paper prints no number."
)
MANY_SEEDS = "# From many seeds"
MIME = "application/vnd.trickkit.papers+json"


@dataclass(frozen=True)
class Row:
    """One comparison.

    The paper's value is in data/papers.csv. Where it is empty, the first words of the settings say
    how the paper has it: "in words: …", "drawn: …", "not said: …".

    id: in data/papers.csv.
    ours: one number, or one from each run, shown as mean ± standard deviation.
    band: low and high; ours, or its mean, must lie inside.
    settings: ours, where they differ.
    why: ours differs; wanted where the verdict is "differs".
    """

    id: str
    ours: float | Numbers
    band: tuple[float, float]
    settings: str = field(default="as in the paper", kw_only=True)
    why: str = field(default="", kw_only=True)


@functools.cache
def reported() -> dict[str, dict[str, str]]:
    """What the papers say, by id: paper, where (place in the paper), quantity, value, unit,
    settings (data/papers.csv).
    """
    with open(data.DATA / "papers.csv", encoding="utf-8", newline="") as f:
        return {row["id"]: row for row in csv.DictReader(f)}


def verdict(theirs: str, ours: float, *, unit: str = "") -> str:
    """How ours stands to the paper's number: "same" to the digits it prints, "near" within a tenth
    of it, else "differs"; "–" where it gives none.

    A percentage must be near in its errors as well, for 96 % right against 89 are errors of 4 and
    11: within a tenth of what it lacks to 100, or within a point.

    theirs: as the paper prints it, empty for none.
    ours: the number, or the mean of the runs.
    unit: "%", or what begins so, for a percentage.
    """
    if not theirs:
        return "–"
    value, digits = float(theirs), len(theirs.partition(".")[2])
    if round(ours, digits) == value:
        return "same"
    allowed = abs(value) / 10
    if unit.startswith("%") and 0 <= value <= 100:
        allowed = min(allowed, max((100 - value) / 10, 1))
    return "near" if abs(ours - value) <= allowed else "differs"


class Comparison:
    """A table of paper against ours, as Markdown for readers and as rows for `make papers`."""

    def __init__(self, rows: list[dict]):
        self.rows = rows

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict:
        return {"text/markdown": table(self.rows), "text/plain": table(self.rows), MIME: self.rows}


def table(rows: list[dict]) -> str:
    """Rows of `compare` as a Markdown table."""
    lines = [
        "| what | paper | ours | verdict | our settings; why it differs |",
        "| --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        in_place = r["settings"].partition(":")[0]  # of a number
        paper = f"{r['value']} {r['unit']}".strip() if r["value"] else in_place
        lines.append(
            f"| {r['quantity']} ({r['paper']}, {r['where']}) | {paper} | {r['ours']} {r['unit']} |"
            f" {r['verdict']} | {'; '.join(x for x in (r['our_settings'], r['why']) if x)} |"
        )
    return "\n".join(lines)


def compare(*rows: Row) -> Comparison:
    """The paper's numbers beside ours, for the end of a lesson.

    rows: in the order of the table.
    Raises AssertionError if one of ours left its band, ValueError for what is no row, for an
        unknown id, for words where ours is to be a number, for a band that is none, or for a
        difference with no reason.
    """
    out = []
    astray = []
    for row in rows:
        if not isinstance(row, Row):
            raise ValueError(
                "Rows are wanted, one after another: compare(Row(…), Row(…)), or compare(*rows); a"
                f" {type(row).__name__} came."
            )
        if not isinstance(row.id, str) or row.id not in reported():
            raise unknown("paper's number", row.id, reported())
        runs = _runs(row)
        low, high = _band(row)
        paper = reported()[row.id]
        ours = statistics.fmean(runs)
        said = verdict(paper["value"], ours, unit=paper["unit"])
        if said == "differs" and not row.why:
            raise ValueError(
                f"{row.id}: ours is {ours:.4g}, the paper's {paper['value']}. Say why they differ."
            )
        if not low <= ours <= high:
            astray.append(
                f"{row.id}: ours is {ours:.10g}, outside its band {low:.10g} to {high:.10g}"
            )
            continue
        if paper["value"]:
            form = f".{len(paper['value'].partition('.')[2])}f"
        else:
            form = ".2g" if len(runs) > 1 else ".4g"
        if ours and float(format(ours, form)) == 0:
            form = ".1g"  # too small for the paper's digits, but not nothing
        spread = f" ± {format(statistics.stdev(runs), form)}" if len(runs) > 1 else ""
        out.append(
            {
                **paper,
                "ours": format(ours, form) + spread,
                "verdict": said,
                "our_settings": row.settings,
                "why": row.why,
            }
        )
    if astray:
        raise AssertionError("; ".join(astray))
    return Comparison(out)


def _runs(row: Row) -> list[float]:
    ours = row.ours
    if isinstance(ours, torch.Tensor):
        ours = ours.detach().cpu()
        ours = (ours if ours.is_complex() else ours.double()).numpy()
    try:
        values = np.asarray(ours)
        real = values.dtype.kind in "biufO" and None not in values.ravel()
        if not real or values.ndim > 1 or not values.size:
            raise TypeError("no numbers, or no list of them")
        return values.astype(float).ravel().tolist()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{row.id}: ours is {str(row.ours)[:60]!r}; a number, or one from each run, is wanted."
        ) from error


def _band(row: Row) -> tuple[float, float]:
    ends = [finite_number(end) for end in row.band] if isinstance(row.band, Iterable) else []
    low, high = ends if len(ends) == 2 else (None, None)
    if low is None or high is None or low > high:
        raise ValueError(
            f"{row.id}: its band is {str(row.band)[:60]}; two numbers are wanted, (low, high)."
        )
    return low, high


def gather(
    *,
    folder: pathlib.Path = folders.ROOT / "notebooks",
    reproduced: pathlib.Path = folders.ROOT / "reproduced",
) -> str:
    """The scoreboard of the whole course, as Markdown, from the outputs stored in its lessons, and
    from the tables that `make reproduce` made.

    A lesson that cannot be read is left out, and named at the end.

    reproduced: holds a folder a paper, with its table.md.
    """
    parts = [
        "# Papers and us",
        "",
        (
            "What papers report, beside what the lessons measured: gathered from their stored"
            " outputs by `make papers`."
        ),
        VERDICTS,
    ]
    unread = []
    for lesson in sorted(folder.glob("[!.]*.ipynb")):
        try:
            cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
        except (OSError, ValueError, LookupError, TypeError):
            unread.append(lesson.name)
            continue
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        rows = [row for output in outputs for row in output.get("data", {}).get(MIME, [])]
        if rows:
            parts += ["", f"## [{lesson.stem}](notebooks/{lesson.name})", "", table(rows)]
    if unread:
        parts += ["", f"Left out, for no notebook could be read: {', '.join(unread)}."]
    tables = sorted(reproduced.glob("*/table.md"))
    if tables:
        parts += [
            "",
            MANY_SEEDS,
            "",
            "By `make reproduce PAPER=…` (trickkit.scale); each title leads to the whole table.",
            *_under(tables[0], "Ours is ", "*unsure*"),
        ]
    for file in tables:
        lines = file.read_text(encoding="utf-8").splitlines()
        link = f"reproduced/{file.parent.name}/table.md"
        parts += ["", f"## [{lines[0].removeprefix('# ')}]({link})", ""]
        parts += [*_under(file, "Measured here", "From seed to seed"), ""]
        # the papers' numbers with their nulls; what else was measured stands in the whole table
        rows = [line for line in lines if line.startswith("|")]
        parts += [r for r in rows if r.startswith("| ↳") or r.split(" | ")[1].strip(" |")]
    return "\n".join(parts) + "\n"


def _under(file: pathlib.Path, *beginnings: str) -> list[str]:
    """The lines of a table's file that begin so."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith(beginnings)]
