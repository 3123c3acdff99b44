"""What a grid came to: a table beside the paper's numbers, a figure, and every number in rows."""

import io
import math
import pathlib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from trickkit.folders import write_whole
from trickkit.papers import VERDICTS, reported, verdict
from trickkit.plots.picture import BLUE, ORANGE, Picture
from trickkit.scale.grid import Grid, name_parts

CONFIDENCE = 0.95
LEGEND = (
    "Ours is the mean over the seeds, and in brackets its 95 % interval by Student's t: where the"
    " mean of many more seeds may lie. It is not clipped, and may pass 0 or 100 %. With one seed"
    f" there is none.\n{VERDICTS}\n"
    "*unsure*: our interval lies on both sides of what is near; *perhaps*: nobody has tried. ↳: a"
    " null of the number above."
)


@dataclass(frozen=True)
class Reproduction:
    """What `run` brings back.

    rows: a row a number: paper, measure, value, seed, full, the settings as setting_NAME, the
        cell's key, its seconds, and the versions it was measured with.
    failures: the traceback of each cell that failed, by what the cell is.
    table: Markdown, as it stands in folder/table.md.
    brief: the paper's numbers, ours and the verdicts, for a terminal.
    folder: where it all lies.
    """

    rows: pd.DataFrame
    failures: dict[str, str]
    table: str
    brief: str
    folder: pathlib.Path


@dataclass(frozen=True)
class Line:
    """A number of the table: the mean over seeds, and half the width of its interval.

    null, id: as `grid.name_parts` has them.
    paper: its row in data/papers.csv, empty for none.
    half: None for a single seed.
    """

    null: str
    id: str
    paper: Mapping[str, str]
    settings: Mapping[str, Any]
    mean: float
    half: float | None
    seeds: int

    @property
    def ends(self) -> tuple[float, float]:
        """Of the interval."""
        return self.mean - (self.half or 0), self.mean + (self.half or 0)

    @property
    def verdict(self) -> str:
        """As `papers.verdict` has it; "unsure" where another number in the interval would have
        another; nothing for a null.
        """
        if self.null:  # or a sentence
            return ""
        theirs = self.paper["value"]
        said, low, high = (
            verdict(theirs, number, unit=self.paper["unit"]) for number in (self.mean, *self.ends)
        )
        both_sides = len({each == "differs" for each in (said, low, high)}) == 2
        if theirs and (both_sides or said == "differs" and self.holds(float(theirs))):
            return "unsure"
        return said

    def holds(self, number: float) -> bool:
        """Whether a number lies in the interval."""
        low, high = self.ends
        return low <= number <= high

    def meets(self, other: "Line") -> bool:
        """Whether the interval and another's have a number in common."""
        (low, high), (other_low, other_high) = self.ends, other.ends
        return low <= other_high and other_low <= high

    def beyond(self, null: "Line") -> bool:
        """Whether a null that it does not meet lies between it and the paper's number."""
        theirs = self.paper["value"]
        return (
            bool(theirs)
            and not self.meets(null)
            and (self.mean - null.mean) * (float(theirs) - null.mean) < 0
        )

    def shown(self) -> str:
        """The mean and its interval, with as many digits as the paper prints, or one or two more
        where the interval would be too narrow to be seen.
        """
        printed = self.paper.get("value", "")
        digits = len(printed.partition(".")[2])
        digits += sum(0 < (self.half or 0) < 10**-place for place in (digits, digits + 1))
        if self.half and not printed:  # two digits of the interval's width
            digits = min(max(1 - math.floor(math.log10(self.half)), 0), 6)
        form = f".{digits}f" if printed or self.half else ".4g"
        if self.mean and float(format(self.mean, form)) == 0:
            form = ".1g"  # too small for the paper's digits, but not nothing
        unit = self.paper.get("unit", "")
        mean = f"{self.mean:{form}} {unit}".strip()
        if self.half is None:
            return mean
        if not self.half:
            return f"{mean} (all seeds alike)"
        return f"{mean} ({self.mean - self.half:{form}} to {self.mean + self.half:{form}})"


def record_rows(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Records of cells as rows, a row a number."""
    return pd.DataFrame(
        [
            {
                "paper": record["paper"],
                "measure": name,
                "value": value,
                "seed": record["seed"],
                "full": record["full"],
                **{f"setting_{key}": setting for key, setting in record["settings"].items()},
                "key": record["key"],
                "seconds": record["seconds"],
                **record["versions"],
            }
            for record in records
            for name, value in record["values"].items()
        ]
    )


def mean_and_half(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and half the width of its 95 % interval by Student's t; None for one value.

    values: one a seed.
    """
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return mean, None
    error = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (count - 1) / count)
    return mean, float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error


def lines(rows: pd.DataFrame) -> list[tuple[Line, list[Line]]]:
    """The table's lines: the paper's numbers in its order, each with its nulls, then all else.

    A null belongs to the number that has most of its settings; one without a number stands alone.
    """
    order = list(reported())
    names = [name for name in rows.columns if name.startswith("setting_")]
    out: list[tuple[Line, list[Line]]] = []
    nulls = []
    for (name, *chosen), group in rows.groupby(["measure", *names], sort=False):
        null, id = name_parts(str(name))
        mean, half = mean_and_half(group.sort_values("seed")["value"].tolist())
        settings = {
            s.removeprefix("setting_"): value for s, value in zip(names, chosen, strict=True)
        }
        line = Line(null, id, reported().get(id, {}), settings, mean, half, len(group))
        if null and id:
            nulls.append(line)
        else:
            out.append((line, []))
    numbers = out.copy()
    for null_line in nulls:
        shared = {
            place: len(number.settings.items() & null_line.settings.items())
            for place, (number, _) in enumerate(numbers)
            if number.id == null_line.id
        }
        if shared:
            numbers[max(shared, key=shared.__getitem__)][1].append(null_line)
        else:
            out.append((null_line, []))
    return sorted(out, key=lambda pair: order.index(pair[0].id) if pair[0].id else len(order))


def columns(grid: Grid, line: Line, *, nulls: Sequence[Line] = ()) -> Iterator[str]:
    """A line of the table, column by column.

    nulls: those beneath it.
    """
    paper = line.paper
    if line.null or not line.id:
        yield f"↳ {line.null}" if line.id else line.null
        yield ""
    else:
        yield f"{paper['quantity']} ({paper['paper']}, {paper['where']})"
        in_place = paper["settings"].partition(":")[0]  # of a number
        yield f"{paper['value']} {paper['unit']}".strip() if paper["value"] else in_place
    yield line.shown()
    yield str(line.seeds)
    yield line.verdict
    yield "" if line.null else paper["settings"]
    said = [", ".join(f"{name} = {value}" for name, value in line.settings.items())]
    if line.verdict in ("differs", "unsure", "–"):
        said.append(grid.why.get(line.id, "not explained" if line.verdict == "differs" else ""))
    if met := [null.null for null in nulls if line.meets(null)]:
        said.append(f"**not told apart from** {', '.join(met)}")
    if between := [null.null for null in nulls if line.beyond(null)]:
        said.append(f"**between the paper's number and ours**: {', '.join(between)}")
    yield "; ".join(filter(None, said))


def for_terminal(title: str, told: Sequence[tuple[Line, list[Line]]]) -> str:
    """The paper's numbers, ours, and the verdicts, a line each."""
    out = [title, ""]
    for line, nulls in told:
        for each in (line, *nulls) if line.id else ():
            what = f"  against {each.null}" if each.null else each.paper["quantity"]
            theirs = "" if each.null else f"{each.paper['value']} {each.paper['unit']}".strip()
            out.append(f"{what:<72} {theirs:>11}  {each.shown():<28} {each.verdict}".rstrip())
    return "\n".join(out)


def finding(compared: Sequence[tuple[Line, list[Line]]]) -> str:
    """How many of the numbers came near the printed ones, as a sentence without its stop.

    compared: as `lines` gives them.
    """
    if not compared:
        return "no number that the paper prints was measured"
    near = [pair for pair in compared if pair[0].verdict in ("same", "near")]
    met = sum(any(line.meets(null) for null in nulls) for line, nulls in near)
    unsure = sum(line.verdict == "unsure" for line, _ in compared)
    sentence = f"{len(near)} of {len(compared)} numbers near the printed ones"
    sentence += f" ({met} of them no other than a null)" if met else ""
    return sentence + (f", {unsure} unsure" if unsure else "")


def labels_of(compared: Sequence[Line]) -> list[str]:
    """What each number is called in the figure: with its paper, or with its settings, where that
    tells two of one quantity apart.
    """
    out = []
    for line in compared:
        others = [other for other in compared if other.paper["quantity"] == line.paper["quantity"]]
        told = [line.paper["quantity"]]
        if len({other.paper["paper"] for other in others}) > 1:
            told.append(line.paper["paper"])
        elif len(others) > 1:
            told += [
                str(value)
                for name, value in line.settings.items()
                if any(other.settings[name] != value for other in others)
            ]
        out.append(textwrap.fill(", ".join(told), 56))
    return out


def figure(title: str, compared: Sequence[tuple[Line, list[Line]]]) -> Picture:
    """The papers' numbers beside ours with intervals, and beside our nulls; numbers of one unit
    share an axis.

    compared: at least one, as `lines` gives them.
    """
    units = list(dict.fromkeys(line.paper["unit"] for line, _ in compared))
    groups = [[pair for pair in compared if pair[0].paper["unit"] == unit] for unit in units]
    sizes = [len(group) + 1.5 for group in groups]
    picture = Figure(figsize=(9, 0.4 * sum(sizes) + 0.6), layout="constrained")
    picture.suptitle(title, fontsize=12)
    axes = picture.subplots(len(units), 1, squeeze=False, height_ratios=sizes)[:, 0]
    for ax, unit, group in zip(axes, units, groups, strict=True):
        ours = [line for line, _ in group]
        places = range(len(group))
        means, halves = zip(*((line.mean, line.half or 0) for line in ours), strict=True)
        ax.errorbar(means, places, xerr=halves, fmt="o", color=BLUE, elinewidth=2, label="ours")
        ax.plot(
            *([float(line.paper["value"]) for line in ours], places, "D"),
            **{"color": ORANGE, "markerfacecolor": "none", "markeredgewidth": 1.6},
            label="the paper's",
        )
        # a little below, or one that meets ours would be hidden
        nulls = [
            (null.mean, place + 0.22) for place, (_, some) in enumerate(group) for null in some
        ]
        ax.plot(*(np.array(nulls).reshape(-1, 2).T), "x", color="0.45", label="our nulls")
        if unit == "%":
            low, high = ax.get_xlim()
            ax.set_xlim(max(low, -3), min(high, 103))
        ax.set(yticks=places, yticklabels=labels_of(ours), ylim=(len(group) - 0.5, -0.5))
        ax.set_xlabel(unit or "no unit", fontsize=9)
        ax.tick_params(labelsize=8, length=0)
        ax.grid(color="0.9")
        ax.set_axisbelow(True)
        ax.spines[["top", "right", "left"]].set_visible(False)
    axes[0].legend(fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
    return Picture(
        picture,
        f"{title}. One line per number: a hollow diamond for the paper's, a dot for ours with its"
        " interval, a cross for each of our nulls. The table below gives the values.",
    )


def write(
    grid: Grid,
    records: Sequence[Mapping[str, Any]],
    *,
    failures: Mapping[str, str],
    full: bool,
    folder: pathlib.Path,
) -> Reproduction:
    """Write table.md, rows.parquet and figure.png.

    records: of the cells that were measured, in the grid's order.
    failures: as in `Reproduction`.
    full: whether it was the complete data set.
    folder: the paper's.
    Returns all of it.
    """
    rows = record_rows(records)
    told = lines(rows) if len(rows) else []
    compared = [pair for pair in told if pair[0].verdict not in ("", "–")]
    names = dict.fromkeys(line.paper["paper"] for line, _ in told if line.id)
    title = f"{', '.join(names) or grid.paper}: {finding(compared)}"
    text = [f"# {title}", ""]
    if compared:
        picture = figure(title, compared)
        write_whole(folder / "figure.png", picture.bytes)
        text += [f"![{picture.alt}](figure.png)", ""]
    else:
        (folder / "figure.png").unlink(missing_ok=True)
    text += [
        f"Measured here: {(grid.ours_full or grid.ours) if full else grid.ours}.",
        f"From seed to seed: {grid.varies}.",
        "",
        LEGEND,
        "",
    ]
    if failures:
        text += [f"Left out, for they failed: {'; '.join(failures)}.", ""]
    text += [
        "| what | paper | ours | seeds | verdict | its settings | our settings; why it differs |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for number, nulls in told:
        parts = [columns(grid, number, nulls=nulls), *(columns(grid, null) for null in nulls)]
        text += [f"| {' | '.join(part)} |" for part in parts]
    table = "\n".join(text) + "\n"
    file = io.BytesIO()
    rows.to_parquet(file, index=False)
    write_whole(folder / "rows.parquet", file.getvalue())
    write_whole(folder / "table.md", table.encode())
    return Reproduction(rows, dict(failures), table, for_terminal(title, told), folder)
