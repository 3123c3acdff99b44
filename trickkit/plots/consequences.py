"""Whom a decision refuses, a bar a group, and cities that drift apart under patrol."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap

from trickkit.plots.charts import validate_colours
from trickkit.plots.picture import (
    BLUE,
    COLOURS,
    RED,
    Picture,
    grid_figure,
    panel_figure,
    plain_ticks,
)

ENDS = LinearSegmentedColormap.from_list("ends", [BLUE, "0.75", RED])


def bars_by_group(groups: Sequence[str], shares: Mapping[str, np.ndarray], title: str) -> Picture:
    """Shares of several groups, side by side, a bar a group. For panels.

    groups: their names, from the top.
    shares: what they are shares of -> (groups,), in [0, 1].
    Raises ValueError for more kinds of shares than there are colours.
    """
    validate_colours(shares=shares)
    height = 0.36 * len(groups) + 0.75
    figure = panel_figure(8.4, height, title)
    left, wide = 0.17, 0.83 / len(shares)
    for place, ((name, values), colour) in enumerate(zip(shares.items(), COLOURS, strict=False)):
        bottom = 0.1 / height
        ax = figure.add_axes(
            (left + place * wide, bottom, wide - 0.03, 0.36 * len(groups) / height)
        )
        ax.barh(range(len(groups)), 1, 0.66, color="0.94")
        ax.barh(range(len(groups)), values, 0.66, color=colour)
        for row, value in enumerate(values):
            ax.text(
                value + 0.02 if value < 0.8 else value - 0.02,
                row,
                f"{value:.0%}",
                va="center",
                ha="left" if value < 0.8 else "right",
                fontsize=10,
            )
        ax.set_title(name, fontsize=10, loc="left", y=1)
        ax.set(xlim=(0, 1), ylim=(len(groups) - 0.5, -0.5), xticks=[])
        ax.set_yticks(range(len(groups)), groups if not place else [])
        ax.tick_params(length=0, labelsize=10)
        ax.spines[:].set_visible(False)
    said = "; ".join(
        f"{name}: " + ", ".join(f"{g} {v:.0%}" for g, v in zip(groups, values, strict=True))
        for name, values in shares.items()
    )
    return Picture(figure, f"{title}. {said}.")


def drifting(
    runs: Mapping[str, np.ndarray],
    title: str,
    *,
    truth: float,
    xlabel: str,
    ylabel: str,
    shown: int = 80,
) -> Picture:
    """Many runs of one share over time, each policy in a field of its own: a line a run, coloured
    by where it ends, and the middle 90 % of all ends in words: from where to where, or, with none
    about their middle, at which two places.

    runs: policy -> (steps, runs), in [0, 1].
    truth: where the share would be if it were right, a dashed line.
    shown: so many runs are drawn.
    """
    columns = 2 if len(runs) > 1 else 1
    rows = -(-len(runs) // columns)
    figure, axes = grid_figure(8.0, 2.5 * rows + 0.5, rows=rows, columns=columns)
    said = []
    for ax in axes.flat[len(runs) :]:
        ax.set_visible(False)
    for ax, (name, values) in zip(axes.flat, runs.items(), strict=False):
        steps = np.unique(np.linspace(0, len(values) - 1, 200).astype(int))
        some = values[steps][:, :shown].T
        lines = [np.column_stack([steps, run]) for run in some]
        ax.add_collection(
            LineCollection(lines, colors=ENDS(some[:, -1]), linewidths=0.8, alpha=0.75)
        )
        ax.axhline(truth, color="black", linestyle="--", linewidth=1.2)
        low, high = np.quantile(values[-1], (0.05, 0.95))
        about = (3 * low + high) / 4, (low + 3 * high) / 4
        empty = not ((about[0] < values[-1]) & (values[-1] < about[1])).any()
        words = f"{low:.2f} {'or' if empty else 'to'} {high:.2f}"
        ax.set_title(f"{name}: {words}", fontsize=11)
        ax.set(xlim=(0, len(values) - 1), ylim=(0, 1))
        plain_ticks(ax.xaxis)
        said.append(f"{name} {words}")
    for ax in axes[-1]:
        ax.set_xlabel(xlabel)
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel)
    figure.suptitle(title, fontsize=12)
    return Picture(
        figure,
        f"{title}. {ylabel[0].upper() + ylabel[1:]} over {xlabel}, where the middle 90 % end:"
        f" {'; '.join(said)}; right would be {truth:g}.",
    )
