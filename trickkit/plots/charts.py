"""Lines, histograms, bars, dots and tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from trickkit.common import top_by_magnitude
from trickkit.contract import Numbers
from trickkit.plots.picture import (
    BLUE,
    COLOURS,
    ORANGE,
    YELLOW,
    Picture,
    as_pixels,
    draw_points,
    draw_squares,
    grid_figure,
    in_memory,
    panel_figure,
    plain_number,
    plain_ticks,
)

# As many of each as COLOURS.
MARKERS = "os^Dv*"
HATCHES = ("", "//", "..", "xx", "\\\\", "++")


def curves(
    x: Numbers,
    lines: Mapping[str, Numbers],
    title: str,
    *,
    xlabel: str,
    ylabel: str,
    log: str = "",
    notes: Sequence[str] = (),
    alt: str = "",
) -> Picture:
    """Lines over one axis, told apart by colour, marker and name; the names stand at the right, in
    the order in which the lines end.

    x: (n,).
    lines: name -> (n,).
    log: "x", "y" or "xy".
    notes: beside each point of the first line.
    Raises ValueError for more lines than there are colours.
    """
    validate_colours(lines=lines)
    x = in_memory(x)
    lines = {name: in_memory(y) for name, y in lines.items()}
    room = 0.5 + 0.085 * max(map(len, lines)) if len(lines) > 1 else 0
    figure, axes = grid_figure(6.4 + room, 3.6)
    ax = axes[0, 0]
    drawn = []
    for (name, y), colour, marker in zip(lines.items(), COLOURS, MARKERS, strict=False):
        # Where points stand close, a marker on each would hide the line.
        step = max(1, len(x) // 15)
        drawn += ax.plot(
            x, y, color=colour, marker=marker, markersize=5, label=name, markevery=step
        )
    for note, place, value in zip(notes, x, next(iter(lines.values())), strict=False):
        ax.annotate(note, (place, value), (6, 6), textcoords="offset points", fontsize=9)
    if notes:
        ax.margins(y=0.12)
    for axis in log:
        getattr(ax, f"set_{axis}scale")("log")
        plain_log(getattr(ax, f"{axis}axis"))
    if "x" in log and len(x) <= 7:  # the places measured, and none between them
        ax.set_xticks(x, [plain_number(float(place)) for place in x])
        ax.xaxis.minorticks_off()
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if len(lines) > 1:
        # Where lines end at one place, the one that was higher comes first.
        drawn.sort(key=lambda line: (-line.get_ydata()[-1], -np.mean(line.get_ydata())))
        figure.legend(handles=drawn, loc="outside right center", frameon=False)
    ends = "; ".join(f"{name} goes from {y[0]:.3g} to {y[-1]:.3g}" for name, y in lines.items())
    return Picture(figure, alt or f"{title}. Over {xlabel}: {ends}.")


def plain_log(axis: Axis) -> None:
    """Name the ticks of a logarithmic axis in plain numbers: powers of ten, or 1, 2 and 5 times
    them where those would be few."""
    low, high = axis.get_view_interval()
    few = high < 300 * low
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=20))
    axis.set_minor_locator(NullLocator())
    plain_ticks(axis)


def histograms(
    groups: Mapping[str, torch.Tensor], title: str, *, xlabel: str, bins: int = 40, alt: str = ""
) -> Picture:
    """Histograms over each other, each with its median as a dashed line.

    groups: name -> (n,) numbers of 0 and above; the axis ends at the largest 99 % quantile.
    bins: as many, from 0 to there.
    Raises ValueError for more groups than there are colours.
    """
    validate_colours(groups=groups)
    figure, axes = grid_figure(6.4, 3.4)
    ax = axes[0, 0]
    numbers = {name: as_pixels(values) for name, values in groups.items()}
    edges = np.linspace(0, max(np.quantile(v, 0.99) for v in numbers.values()), bins + 1)
    for (name, values), colour, hatch in zip(numbers.items(), COLOURS, HATCHES, strict=False):
        median = float(np.median(values))
        ax.hist(
            values,
            edges,
            color=colour,
            alpha=0.55,
            hatch=hatch,
            edgecolor="white",
            label=f"{name}, median {median:.3f}",
        )
        ax.axvline(median, color=colour, linestyle="--")
    ax.set(xlabel=xlabel, ylabel="images", title=title)
    ax.legend(frameon=False)
    return Picture(
        figure,
        alt
        or f"{title}. Medians over {xlabel}: "
        + "; ".join(f"{name} {np.median(v):.3f}" for name, v in numbers.items())
        + ".",
    )


def validate_colours(**drawn: Mapping[str, object]) -> None:
    """Raise ValueError for more of a kind than there are colours to tell them apart."""
    for kind, named in drawn.items():
        if len(named) > len(COLOURS):
            raise ValueError(
                f"{len(named)} {kind} came; at most {len(COLOURS)} can be told apart by colour."
                " Draw the others in a figure of their own."
            )


def ticks(
    values: torch.Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    *,
    label: str,
    alt: str = "",
) -> Picture:
    """A table of yes (✓, yellow) and no (×, blue).

    values: booleans (rows, columns).
    label: what the rows and columns are.
    """
    held = np.asarray(values.cpu(), dtype=bool)
    figure, axes = grid_figure(0.62 * len(columns) + 2.4, 0.3 * len(rows) + 2.0)
    ax = axes[0, 0]
    draw_squares(ax, held, rows, columns, lambda v: "✓" if v else "×")
    ax.set_xticklabels(columns, rotation=40, ha="right")
    ax.set_title(title)
    failures = [f"{rows[i]} to {columns[j]}" for i, j in np.argwhere(~held)]
    return Picture(
        figure, alt or f"{title}. A table of {label}. No: {', '.join(failures) or 'none'}."
    )


def matrix(
    values: torch.Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    *,
    xlabel: str,
    ylabel: str,
) -> Picture:
    """A table of shares, 0 to 1, as percentages on a scale from blue to yellow.

    values: (rows, columns).
    """
    shares = np.asarray(values.cpu(), dtype=np.float32)
    figure, axes = grid_figure(0.95 * len(columns) + 2.2, 0.5 * len(rows) + 1.5)
    ax = axes[0, 0]
    draw_squares(ax, shares, rows, columns, "{:.0%}".format)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_title(title, fontsize=11)
    said = "; ".join(
        f"{r}: " + ", ".join(f"{c} {v:.0%}" for c, v in zip(columns, line, strict=True))
        for r, line in zip(rows, shares, strict=True)
    )
    return Picture(figure, f"{title}. A table of {ylabel} by {xlabel}. {said}.")


def weights(
    names: Sequence[str],
    values: np.ndarray,
    intervals: np.ndarray,
    title: str,
    *,
    max_shown: int = 8,
) -> Picture:
    """Weights as bars from 0, the largest first: orange speaks for, blue against; a whisker is an
    interval. For panels.

    names, values: (d,).
    intervals: (d, 2), low and high.
    max_shown: how many are shown.
    """
    values = np.asarray(values, dtype=float)
    intervals = np.asarray(intervals, dtype=float)
    order = top_by_magnitude(values, k=max_shown)
    height = 0.3 * len(order) + 0.95
    figure = panel_figure(7.0, height, title)
    left = min(0.085 * max(len(names[i]) for i in order) + 0.3, 3.6) / 7.0
    ax = figure.add_axes((left, 0.5 / height, 0.97 - left, 0.3 * len(order) / height))
    for place, i in enumerate(order):
        ax.barh(place, values[i], 0.62, color=ORANGE if values[i] > 0 else BLUE)
        ax.plot(
            intervals[i], (place, place), color="black", linewidth=1.3, marker="|", markersize=7
        )
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set(
        yticks=range(len(order)),
        yticklabels=[names[i] for i in order],
        ylim=(len(order) - 0.5, -0.5),
    )
    ax.set_xlabel("weight, in probability: − against (blue), + for (orange)", fontsize=9)
    ax.xaxis.set_major_locator(MaxNLocator(7))
    ax.tick_params(labelsize=9)
    ax.spines[["top", "right", "left"]].set_visible(False)
    said = ", ".join(f"{names[i]} {values[i]:+.2f}" for i in order)
    return Picture(figure, f"{title}. Weights: {said}.")


def region(
    points: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    corner: tuple[float, float],
    title: str,
    *,
    xlabel: str,
    ylabel: str,
) -> Picture:
    """Two classes of points, and the part of the plane where x and y are above two thresholds,
    shaded. For panels.

    points: (n, 2), y above 0, drawn on a logarithmic scale.
    labels: (n,), 0 or 1.
    names: of the two, in that order.
    corner: the thresholds of x and y.
    """
    figure = panel_figure(6.4, 4.0, title, size=11)
    ax = figure.add_axes((0.135, 0.13, 0.835, 0.74))
    left, low = points.min(axis=0) * 0.9
    right, high = points.max(axis=0) * 1.1
    draw_points(ax, points, labels, names, markersize=4, alpha=0.7, markeredgewidth=0)
    ax.set(xlim=(left, right), ylim=(low, high), xlabel=xlabel, ylabel=ylabel)
    ax.set_yscale("log")
    plain_log(ax.yaxis)
    x = max(corner[0], left)
    y = max(corner[1], low)
    ax.fill(
        [x, right, right, x],
        [y, y, high, high],
        facecolor=YELLOW,
        alpha=0.35,
        edgecolor="black",
        zorder=0,
    )
    ax.legend(loc="lower right", framealpha=0.9)
    inside = (points > np.array(corner)).all(axis=1)
    said = " and ".join(
        f"{(inside & (labels == label)).sum()} of {(labels == label).sum()} {names[label]}"
        for label in (0, 1)
    )
    return Picture(
        figure,
        f"{title}. Points of {ylabel} over {xlabel}; where {xlabel} is above {corner[0]:g} and"
        f" {ylabel} above {corner[1]:g} lie {said}.",
    )


def across(
    point: Numbers,
    normal: Numbers,
    margin: float,
    ways: Mapping[str, Numbers],
    sides: tuple[str, str],
    title: str,
    *,
    xlabel: str,
    ylabel: str,
) -> Picture:
    """A point in the plane, a straight border, and ways over it as arrows, each with its length.

    point: (2,).
    normal: (2,), at a right angle to the border; it points to the far side.
    margin: how much normal · change has to be for the change to reach the border.
    ways: name -> change (2,).
    sides: what lies on the near side and on the far side.
    Raises ValueError for more ways than there are colours.
    """
    validate_colours(ways=ways)
    point, normal = (np.asarray(in_memory(v), dtype=float) for v in (point, normal))
    figure, axes = grid_figure(6.4, 5.0)
    ax = axes[0, 0]
    foot = point + margin / (normal @ normal) * normal
    unit = normal / np.linalg.norm(normal)
    along = np.array([-unit[1], unit[0]])
    # The small square that marks a right angle, where the normal through the point meets the line.
    corner = foot + 0.035 * np.stack([along, along - unit, -unit])
    ax.plot(*corner.T, color="black", linewidth=1)
    line = np.stack([foot - 9 * along, foot + 9 * along])
    ax.plot(*line.T, color="black")
    ax.fill(*np.concatenate([line, line[::-1] + 9 * normal]).T, color=YELLOW, alpha=0.3, zorder=0)
    said = []
    for (name, change), colour in zip(ways.items(), COLOURS, strict=False):
        change = np.asarray(in_memory(change), dtype=float)
        said.append(f"{name} {np.linalg.norm(change):.2f}")
        ax.annotate(
            "",
            point + change,
            point,
            arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 3, "shrinkA": 0, "shrinkB": 0},
        )
        ax.annotate(
            said[-1],
            point + change,
            (8, 0),
            textcoords="offset points",
            va="center",
            color="black",
            bbox={"facecolor": "white", "edgecolor": colour, "linewidth": 1.5, "pad": 3},
        )
    ax.plot(*point, "o", color="black", markersize=7)
    for side, place in zip(sides, (0.03, 0.97), strict=True):
        ax.text(
            place,
            place,
            side,
            transform=ax.transAxes,
            ha="left" if place < 0.5 else "right",
            va="bottom" if place < 0.5 else "top",
        )
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=xlabel, ylabel=ylabel, title=title)
    return Picture(
        figure,
        f"{title}. A point, a straight border between {sides[0]} and {sides[1]}, and arrows that"
        f" reach it: {'; '.join(said)}.",
    )


def intervals(
    names: Sequence[str],
    values: Sequence[float],
    intervals: np.ndarray,
    title: str,
    *,
    label: str,
    notes: Sequence[str] | None = None,
    xlim: tuple[float, float] = (0, 1),
) -> Picture:
    """Shares as dots with their intervals as whiskers, a line each, such as the lines of a rule
    list. For panels.

    names, values: one a line, from the top.
    intervals: (lines, 2), low and high.
    label: what the shares are.
    notes: at the end of each line.
    xlim: of the axis, low and high.
    """
    lines = len(names)
    notes = notes or [""] * lines
    left = min(4.8, 0.3 + 0.078 * max(map(len, names)))
    right = 0.3 + 0.075 * max(map(len, notes))  # a tick's name, too, reaches over the edge
    width = max(left + 3.0 + right, 0.105 * len(title))
    height = 0.33 * lines + 0.95
    figure = panel_figure(width, height, title)
    ax = figure.add_axes((left / width, 0.5 / height, 3.0 / width, 0.33 * lines / height))
    for place, (value, interval, note) in enumerate(zip(values, intervals, notes, strict=True)):
        ax.plot(interval, (place, place), color=BLUE, linewidth=2)
        ax.plot(value, place, "o", color=BLUE, markersize=6)
        ax.text(1.03, place, note, va="center", fontsize=9, transform=ax.get_yaxis_transform())
    ax.set(yticks=range(lines), yticklabels=names, ylim=(lines - 0.5, -0.5), xlim=xlim)
    ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    ax.set_xlabel(label, fontsize=9)
    ax.tick_params(labelsize=9, length=0)
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    said = "; ".join(
        f"{name}: {value:.0%}, {low:.0%} to {high:.0%}{', ' * bool(note)}{note}"
        for name, value, (low, high), note in zip(names, values, intervals, notes, strict=True)
    )
    return Picture(figure, f"{title}. {label[0].upper() + label[1:]}: {said}.")
