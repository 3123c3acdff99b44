"""A pipeline that rots: what falls apart, and what was equal once."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps

from trickkit.contract import Numbers
from trickkit.plots.charts import MARKERS, validate_colours
from trickkit.plots.picture import (
    BLUE,
    COLOURS,
    ORANGE,
    RED,
    Picture,
    grid_figure,
    panel_figure,
)


def shortfall(
    x: Numbers,
    upper: Numbers,
    lower: Numbers,
    names: Sequence[str],
    title: str,
    *,
    ylabel: str,
    marks: Mapping[object, str] | None = None,
    alt: str = "",
) -> Picture:
    """Two lines over time, and the gap between them shaded where the first is above.

    x, upper, lower: (n,).
    names: of the two lines.
    marks: a moment -> a note beside a dashed line.
    """
    x, upper, lower = (np.asarray(values) for values in (x, upper, lower))
    figure, axes = grid_figure(8.2, 3.6)
    ax = axes[0, 0]
    ax.fill_between(x, lower, upper, where=upper > lower, color=RED, alpha=0.18, linewidth=0)
    ax.plot(x, upper, color=BLUE, linewidth=2, label=names[0])
    ax.plot(x, lower, color=ORANGE, linewidth=2, linestyle="--", label=names[1])
    for place, note in (marks or {}).items():
        ax.axvline(place, color="0.4", linestyle=":")
        ax.text(place, 0.03, f" {note}", transform=ax.get_xaxis_transform(), fontsize=10)
    ax.set(ylabel=ylabel, title=title)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.legend(frameon=False, loc="upper left")
    means = f"{names[0]} {upper.mean():,.0f} on average, {names[1]} {lower.mean():,.0f}"
    return Picture(figure, alt or f"{title}. {ylabel}: {means}.")


def spread(
    columns: Sequence[str], values: Numbers, title: str, *, ylabel: str, alt: str = ""
) -> Picture:
    """Several models on several tests, a line a model: where they agree, and where they part.

    columns: the tests.
    values: (models, tests), around 1; the scale is logarithmic. The higher in the last test, the
        brighter the line.
    """
    values = np.asarray(values)
    figure, axes = grid_figure(6.6, 3.8)
    ax = axes[0, 0]
    places = np.arange(len(columns))
    for rank, row in enumerate(values[np.argsort(values[:, -1])]):
        colour = colormaps["cividis"](rank / len(values))
        ax.plot(places, row, color=colour, marker="o", markersize=8, linewidth=1.8)
    ax.axhline(1, color="0.4", linestyle=":")
    ax.set(xlim=(-0.3, len(columns) - 0.7), ylabel=ylabel, title=title, yscale="log")
    ax.set_xticks(places, columns, fontsize=11)
    ax.set_yticks([0.5, 0.7, 1, 1.5], ["0.5", "0.7", "1", "1.5"])
    ax.yaxis.minorticks_off()
    said = "; ".join(
        f"{' '.join(name.split())} {low:.2f} to {high:.2f}"
        for name, low, high in zip(columns, values.min(0), values.max(0), strict=True)
    )
    return Picture(figure, alt or f"{title}. {ylabel}: {said}.")


def served(
    months: Sequence[str],
    errors: Mapping[str, Numbers],
    title: str,
    *,
    ylim: tuple[float, float] = (0, 0.7),
) -> Picture:
    """How far off each of a few forecasters was in each month. For panels.

    months: names.
    errors: name -> one a month, NaN where it did not yet serve.
    Raises ValueError for more forecasters than there are colours.
    """
    validate_colours(errors=errors)
    figure = panel_figure(7.0, 3.8, title, size=11)
    ax = figure.add_axes((0.09, 0.1, 0.89, 0.77))
    for (name, line), colour, marker in zip(errors.items(), COLOURS, MARKERS, strict=False):
        ax.plot(months, line, color=colour, marker=marker, markersize=7, linewidth=2, label=name)
    ax.set(ylim=ylim, xlim=(-0.4, len(months) - 0.6), ylabel="error, share of all rides")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="0.9")
    ax.legend(frameon=False, loc="upper left", ncols=len(errors))
    said = "; ".join(
        f"{name} {', '.join('–' if np.isnan(v) else f'{v:.2f}' for v in line)}"
        for name, line in errors.items()
    )
    return Picture(figure, f"{title}. Error from {months[0]} to {months[-1]}: {said}.")
