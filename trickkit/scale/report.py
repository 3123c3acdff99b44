"""What a grid came to: a table beside the paper's numbers, a figure, and every number in rows."""

import io
import math
import pathlib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from trickkit.folders import write_whole
from trickkit.papers import VERDICTS, reported, verdict
from trickkit.plots.picture import BLUE, ORANGE, Picture
from trickkit.scale.grid import Grid, name_parts

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Reproduction:
    """What `run` brings back.

    rows: a row a number: paper, measure, value, seed, full, the settings as setting_NAME, the
        cell's key, its seconds, and the versions it was measured with.
    failures: the traceback of each cell that failed, by what the cell is.
    table: Markdown, as it stands in folder/table.md.
    folder: where it all lies.
    """

    rows: pd.DataFrame
    failures: dict[str, str]
    table: str
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
    settings: str
    mean: float
    half: float | None
    seeds: int

    @property
    def verdict(self) -> str:
        """As `papers.verdict` has it; nothing for a null."""
        if self.null:  # or a sentence
            return ""
        return verdict(self.paper["value"], self.mean, unit=self.paper["unit"])

    def shown(self) -> str:
        """The mean and its interval, with as many digits as the paper prints, or one or two more
        where the interval would be too narrow to be seen.
        """
        printed = self.paper.get("value", "")
        digits = len(printed.partition(".")[2])
        digits += sum(0 < (self.half or 0) < 10**-place for place in (digits, digits + 1))
        form = f".{digits}f" if printed else ".4g"
        if self.mean and float(format(self.mean, form)) == 0:
            form = ".1g"  # too small for the paper's digits, but not nothing
        unit = self.paper.get("unit", "")
        mean = f"{self.mean:{form}} {unit}".strip()
        if self.half is None:
            return mean
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


def lines(rows: pd.DataFrame) -> list[Line]:
    """The table's lines: the paper's numbers in its order, each with its nulls, then all else."""
    order = list(reported())
    settings = [name for name in rows.columns if name.startswith("setting_")]
    out = []
    for (name, *chosen), group in rows.groupby(["measure", *settings], sort=False):
        null, id = name_parts(str(name))
        mean, half = mean_and_half(group.sort_values("seed")["value"].tolist())
        said = [
            f"{s.removeprefix('setting_')} = {v}" for s, v in zip(settings, chosen, strict=True)
        ]
        paper = reported().get(id, {})
        out.append(Line(null, id, paper, ", ".join(said), mean, half, len(group)))
    return sorted(out, key=lambda x: (order.index(x.id) if x.id else len(order), bool(x.null)))


def columns(grid: Grid, line: Line) -> Iterator[str]:
    """A line of the table, column by column."""
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
    why = grid.why.get(line.id, "not explained") if line.verdict == "differs" else ""
    yield "; ".join(part for part in (line.settings, why) if part)


def finding(compared: Sequence[Line]) -> str:
    """How many of the paper's numbers came out, as a sentence without its stop."""
    if not compared:
        return "no number that the paper prints was measured"
    near = sum(line.verdict != "differs" for line in compared)
    return f"{near} of {len(compared)} of the paper's numbers came out, to a tenth"


def figure(title: str, compared: Sequence[Line]) -> Picture:
    """The paper's numbers beside ours, with intervals; numbers of one unit share an axis.

    compared: at least one.
    """
    units = list(dict.fromkeys(line.paper["unit"] for line in compared))
    groups = [[line for line in compared if line.paper["unit"] == unit] for unit in units]
    sizes = [len(group) + 1.5 for group in groups]
    picture = Figure(figsize=(9, 0.36 * sum(sizes) + 0.6), layout="constrained")
    picture.suptitle(title, fontsize=12)
    axes = picture.subplots(len(units), 1, squeeze=False, height_ratios=sizes)[:, 0]
    for ax, unit, group in zip(axes, units, groups, strict=True):
        places = range(len(group))
        means, halves = zip(*((line.mean, line.half or 0) for line in group), strict=True)
        ax.errorbar(means, places, xerr=halves, fmt="o", color=BLUE, elinewidth=2, label="ours")
        ax.plot(
            *([float(line.paper["value"]) for line in group], places, "D"),
            **{"color": ORANGE, "markerfacecolor": "none", "markeredgewidth": 1.6},
            label="the paper's",
        )
        # the settings, where they tell two lines of one number apart
        told = [line.paper["quantity"] for line in group]
        told = [
            f"{what}, {line.settings}" if told.count(what) > 1 else what
            for what, line in zip(told, group, strict=True)
        ]
        labels = [textwrap.fill(what, 56) for what in told]
        ax.set(yticks=places, yticklabels=labels, ylim=(len(group) - 0.5, -0.5))
        ax.set_xlabel(unit or "no unit", fontsize=9)
        ax.tick_params(labelsize=8, length=0)
        ax.grid(color="0.9")
        ax.set_axisbelow(True)
        ax.spines[["top", "right", "left"]].set_visible(False)
    axes[0].legend(fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return Picture(
        picture,
        f"{title}. A line a number: a hollow diamond for the paper's, a dot for ours with its"
        " interval. The table below tells them.",
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
    all_lines = lines(rows) if len(rows) else []
    compared = [line for line in all_lines if line.verdict in ("same", "near", "differs")]
    name = next((line.paper["paper"] for line in all_lines if line.id), grid.paper)
    title = f"{name}: {finding(compared)}"
    text = [f"# {title}", ""]
    if compared:
        picture = figure(title, compared)
        write_whole(folder / "figure.png", picture.bytes)
        text += [f"![{picture.alt}](figure.png)", ""]
    else:
        (folder / "figure.png").unlink(missing_ok=True)
    text += [
        f"Measured here: {(grid.ours_full or grid.ours) if full else grid.ours}.",
        "",
        "Ours: the mean over the seeds, and in brackets its 95 % interval by Student's t over them,"
        " which knows no bounds and may go beyond what a percentage can be. One seed has none.",
        f"{VERDICTS} ↳: a null of the number above.",
        "",
    ]
    if failures:
        text += [f"Left out, for they failed: {'; '.join(failures)}.", ""]
    text += [
        "| what | paper | ours | seeds | verdict | its settings | ours; why it differs |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(columns(grid, line))} |" for line in all_lines),
    ]
    table = "\n".join(text) + "\n"
    file = io.BytesIO()
    rows.to_parquet(file, index=False)
    write_whole(folder / "rows.parquet", file.getvalue())
    write_whole(folder / "table.md", table.encode())
    return Reproduction(rows, dict(failures), table, folder)
