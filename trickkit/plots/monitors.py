"""Monitors: which sees which fault, a month of lights, a year on call, and the ML Test Score."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from trickkit.plots.picture import (
    BLUE,
    ORANGE,
    RED,
    SKY,
    Picture,
    draw_squares,
    grid_figure,
    panel_figure,
)

if TYPE_CHECKING:
    from trickkit.monitors import Ledger, Year

DARK, LIT = "#3A3F4B", "#FFD84D"  # a light that is off, and on
PAGES = {  # colour, marker and fillstyle
    "page that saw a fault": (BLUE, "v", "full"),
    "page that would have come anyway": (BLUE, "v", "none"),
    "page for nothing": (ORANGE, "x", "full"),
}


def catches(
    shares: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    notes: Sequence[str],
    title: str,
    *,
    xlabel: str,
    note: str,
) -> Picture:
    """A table of shares of days, 0 to 1, with a column of words on its right; the last row, of days
    on which nothing was wrong, stands apart.

    shares: (rows, columns).
    notes: one a row.
    xlabel: what the shares are.
    note: the heading of the notes.
    """
    figure, axes = grid_figure(0.92 * len(columns) + 4.3, 0.42 * len(rows) + 1.5)
    ax = axes[0, 0]
    draw_squares(ax, shares, rows, columns, "{:.0%}".format)
    ax.axhline(len(rows) - 1.5, color="white", linewidth=5)
    ax.set_xlabel(xlabel)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for place, words in enumerate([note, *notes]):
        ax.text(len(columns) - 0.35, place - 1, words, va="center", fontsize=10)
    figure.suptitle(title, fontsize=12)
    said = "; ".join(
        f"{row}: "
        + ", ".join(f"{c} {v:.0%}" for c, v in zip(columns, line, strict=True))
        + f", {n}"
        for row, line, n in zip(rows, shares, notes, strict=True)
    )
    return Picture(figure, f"{title}. {xlabel[0].upper() + xlabel[1:]}, and {note}. {said}.")


def lights(
    lit: np.ndarray,
    names: Sequence[str],
    notes: Sequence[str],
    errors: Mapping[str, np.ndarray],
    title: str,
    *,
    anyway: np.ndarray,
) -> Picture:
    """A light a monitor and a day, and below them the error of each day. For panels.

    lit, anyway: booleans (monitors, days): which are on, and which would be on with nothing wrong.
    names, notes: of the monitors; a note stands at the end of its row.
    errors: name -> (days,), one or two lines.
    """
    monitors, days = lit.shape
    figure = panel_figure(9.2, 4.3, title)
    ax = figure.add_axes((0.1, 0.47, 0.6, 0.43))
    y, x = np.mgrid[:monitors, 1 : days + 1]
    colours = np.where(lit.ravel(), LIT, DARK)
    ax.scatter(x.ravel(), y.ravel(), s=78, c=colours, edgecolors="black", linewidths=0.5)
    ax.scatter(x[lit & anyway], y[lit & anyway], s=30, c="black", marker="x", linewidths=1.2)
    figure.text(0.725, 0.12, "✕  on with nothing wrong, too", fontsize=9)
    ax.set(ylim=(monitors - 0.4, -0.6), xlim=(0.3, days + 0.7), yticks=range(monitors), xticks=[])
    ax.set_yticklabels(names, fontsize=10)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for place, note in enumerate(notes):
        ax.text(days + 1.2, place, note, va="center", fontsize=9.5)
    below = figure.add_axes((0.1, 0.11, 0.6, 0.31))
    for (name, error), colour, style in zip(errors.items(), (BLUE, RED), ("--", "-"), strict=False):
        below.plot(range(1, days + 1), error, style, color=colour, linewidth=1.8, label=name)
    below.set(xlim=(0.3, days + 0.7), ylim=(0, 1.25), xlabel="day of the month")
    below.set_ylabel("error\n(share of rides)", fontsize=9)
    below.spines[["top", "right"]].set_visible(False)
    below.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1))
    said = "; ".join(
        f"{name} {row.sum()} of {days}, {both.sum()} of them with nothing wrong, too, {note}"
        for name, row, both, note in zip(names, lit, lit & anyway, notes, strict=True)
    )
    return Picture(figure, f"{title}. Days on which each light is on: {said}.")


def on_call(year: "Year", ledgers: Mapping[str, "Ledger"], title: str) -> Picture:
    """A year's pages, a strip for each way to set the monitors: outages as bars that end where
    somebody was paged, and each page as a mark.

    ledgers: name -> what `monitors.play` made of the year.
    """
    figure, axes = grid_figure(9.8, 0.74 * len(ledgers) + 2.5)
    ax = axes[0, 0]
    first = year.quiet.index[0]
    said = []
    for fault, scores in year.scores.items():
        start = (scores.index[0] - first).days
        ax.text(start, -0.6, fault, rotation=38, fontsize=11, rotation_mode="anchor")
    for place, (name, ledger) in enumerate(ledgers.items()):
        for fault, scores in year.scores.items():
            start = (scores.index[0] - first).days
            costs = bool(year.lost[fault].any())
            _bar(ax, place, start, len(scores), ledger.seen.get(fault), RED if costs else "0.55")
        for kind, (colour, marker, fill) in PAGES.items():
            days = [(d - first).days for d, f in ledger.pages.items() if _kind(f, ledger) == kind]
            heights = [place - 0.38] * len(days)
            ax.plot(days, heights, marker, color=colour, fillstyle=fill, markersize=6)
        words = (
            f"{len(ledger.pages)} pages, {ledger.false} of them false"
            + f", {len(ledger.by_chance)} by chance" * bool(ledger.by_chance)
            + f"\n{ledger.lost / 1000:.0f},000 rides lost"
        )
        ax.text(372, place, words, va="center", fontsize=9.5)
        said.append(f"{name}: {words}".replace("\n", ", "))
    months = [(pd.Timestamp(first.year, month, 1) - first).days for month in range(1, 13)]
    ax.set_xticks(months, "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), ha="left")
    ax.set_yticks(range(len(ledgers)), ledgers)
    ax.set(xlim=(-3, 368), ylim=(len(ledgers) - 0.35, -0.5))
    ax.set_title(title, pad=108)
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    handles = [
        *(
            ax.plot([], [], marker, color=colour, fillstyle=fill, label=kind)[0]
            for kind, (colour, marker, fill) in PAGES.items()
        ),
        *(
            ax.plot([], [], color=colour, linewidth=6, label=label)[0]
            for label, colour in (
                ("fault, not yet seen", RED),
                ("spared", "0.88"),
                ("real, not counted", "0.55"),
            )
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return Picture(figure, f"{title}. {'; '.join(said)}.")


def _kind(fault: str, ledger: "Ledger") -> str:
    """Which of `PAGES` a page was."""
    seen, chance, nothing = PAGES
    return chance if fault in ledger.by_chance else seen if fault else nothing


def _bar(ax: Axes, place: int, start: int, days: int, seen: int | None, colour: str) -> None:
    """An outage: in colour until it was seen, light grey for what that spared."""
    dark = days if seen is None else seen
    ax.barh(place, max(dark, 1.5), 0.42, left=start, color=colour)
    ax.barh(place, days - dark, 0.42, left=start + dark, color="0.88")


def readiness(
    points: Mapping[str, Sequence[float]],
    title: str,
    *,
    fresh: Sequence[tuple[str, int]] = (),
) -> Picture:
    """The ML Test Score: a square for each thing to test, full, half or empty, a row a section.

    points: section -> 0, ½ or 1 for each.
    fresh: sections and places of squares to be marked.
    """
    height = 0.62 * len(points) + 0.95
    figure = panel_figure(7.6, height, title)
    sums = {section: sum(given) for section, given in points.items()}
    ax = figure.add_axes((0.17, 0.4 / height, 0.62, 0.62 * len(points) / height))
    for row, (section, given) in enumerate(points.items()):
        for column, point in enumerate(given):
            box: dict[str, Any] = {"width": 0.84, "edgecolor": "0.45", "linewidth": 1}
            ax.bar(column, 0.84, bottom=row - 0.42, color="white", **box)
            colour = ORANGE if (section, column) in fresh else BLUE if point == 1 else SKY
            if point:
                ax.bar(column, 0.84 * point, bottom=row + 0.42 - 0.84 * point, color=colour, **box)
        lowest = sums[section] == min(sums.values())
        words = f"{sums[section]:g}" + "  ← the score" * lowest
        weight = "bold" if lowest else "normal"
        ax.text(len(given) - 0.3, row, words, va="center", fontsize=11, fontweight=weight)
    words = "full: tested; half: done by hand and written down" + "; orange: new" * bool(fresh)
    figure.text(0.48, 0.14 / height, words, ha="center", fontsize=10)
    ax.set(xlim=(-0.5, 6.5), ylim=(len(points) - 0.5, -0.5), xticks=[])
    ax.set_yticks(range(len(points)), points, fontsize=11)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    said = "; ".join(f"{name} {total:g}" for name, total in sums.items())
    return Picture(figure, f"{title}. Points by section: {said}.")
