"""Games and who plays them: boards, frames, and how a player learnt."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import to_rgb

from trickkit.contract import Numbers
from trickkit.games import Tiny
from trickkit.plots.charts import MARKERS, validate_colours
from trickkit.plots.picture import COLOURS, Picture, grid_figure, in_memory, panel_figure

INKS = {"alien": "#009E73", "bomb": "#D55E00", "shot": "#F0E442", "cannon": "#56B4E9"}


def boards(
    pictures: Numbers, names: Sequence[str], title: str, *, size: float = 1.75, alt: str = ""
) -> Picture:
    """Boards of the tiny game side by side, in colours, with a legend.

    pictures: (n, 10, 10), grey levels of `games.Tiny`.
    names: of the boards.
    size: of a board, in inches.
    """
    grey = np.asarray(in_memory(pictures))
    colours = np.zeros((*grey.shape, 3))
    for piece, colour in INKS.items():
        colours[grey == Tiny.greys[piece]] = to_rgb(colour)
    width, height = size * len(grey) + 0.9, size + 0.55
    figure = panel_figure(width, height, title, y=1 - 0.04 / height, va="top")
    lines = np.arange(0.5, 9)
    for place, (board, name) in enumerate(zip(colours, names, strict=True)):
        left = (0.05 + place * (size - 0.1)) / width
        ax = figure.add_axes((left, 0.04 / height, (size - 0.18) / width, (size - 0.18) / height))
        ax.imshow(board, interpolation="nearest", extent=(-0.5, 9.5, 9.5, -0.5))
        ax.vlines(lines, -0.5, 9.5, color="0.2", linewidth=0.5)
        ax.hlines(lines, -0.5, 9.5, color="0.2", linewidth=0.5)
        ax.set(xlim=(-0.5, 9.5), ylim=(9.5, -0.5))
        ax.set_title(name, fontsize=10, y=1, pad=3)
        ax.axis("off")
    for piece, colour in INKS.items():
        ax.plot([], [], "s", color=colour, markersize=8, label=piece)
    figure.legend(loc="center right", frameon=False, fontsize=10, borderaxespad=0.2)
    return Picture(figure, alt or f"{title}. {len(grey)} boards: {', '.join(names)}.")


def learnt(
    groups: Mapping[str, Mapping[str, Numbers]],
    moves: Numbers,
    title: str,
    *,
    levels: Mapping[str, float],
    alt: str = "",
) -> Picture:
    """Points while learning, a panel a group: each line the mean of some runs, in a band from the
    least to the largest.

    groups: the panel's title -> name of a line -> (n, runs); the same names in each.
    moves: (n,).
    levels: name -> points, dotted lines to compare with, named at the right.
    Raises ValueError for more lines than there are colours.
    """
    x = np.asarray(in_memory(moves)) / 1000
    figure, axes = grid_figure(3.9 * len(groups) + 0.6, 3.8, columns=len(groups))
    said = []
    for ax, (group, lines) in zip(axes[0], groups.items(), strict=True):
        validate_colours(lines=lines)
        for name, level in levels.items():
            ax.axhline(level, color="0.5", linestyle=":")
            if ax is axes[0, -1]:
                beside = ax.get_yaxis_transform()
                ax.text(1.02, level, name, transform=beside, va="center", fontsize=9, color="0.35")
        for (name, runs), colour, marker in zip(lines.items(), COLOURS, MARKERS, strict=False):
            y = np.asarray(in_memory(runs))
            ax.fill_between(x, y.min(1), y.max(1), color=colour, alpha=0.15, linewidth=0)
            ax.plot(x, y.mean(1), color=colour, marker=marker, markersize=4, label=name)
            said.append(f"{group}: {name} ends at {y[-1].mean():.2f}")
        ax.set_title(group, fontsize=11)
        ax.set(xlabel="thousand moves", ylim=(0, max(levels.values()) + 1))
    axes[0, 0].set_ylabel("points a game")
    drawn = axes[0, 0].get_legend_handles_labels()
    figure.legend(*drawn, loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    figure.suptitle(title, fontsize=12)
    return Picture(figure, alt or f"{title}. {'; '.join(said)}.")


def strips(rows: Mapping[str, Numbers], title: str, *, alt: str = "") -> Picture:
    """Pictures in rows, each row with its name: time goes from left to right.

    rows: name -> (k, H, W), grey levels up to 255.
    """
    pictures = {name: np.asarray(in_memory(row)) for name, row in rows.items()}
    k, height, width = next(iter(pictures.values())).shape
    tall = 9 / k * height / width + 0.3
    figure, axes = grid_figure(9, tall * len(rows) + 0.4, rows=len(rows), columns=1)
    for ax, (name, row) in zip(axes[:, 0], pictures.items(), strict=True):
        gap = np.full((k, height, 2), 255, row.dtype)
        sheet = np.concatenate([row, gap], 2).transpose(1, 0, 2).reshape(height, -1)[:, :-2]
        ax.imshow(sheet, cmap="gray", vmin=0, vmax=100, interpolation="nearest")
        ax.axis("off")
        ax.set_title(name, fontsize=11, loc="left", pad=3)
    figure.suptitle(title, fontsize=12)
    return Picture(figure, alt or f"{title}. Rows: {', '.join(rows)}.")


def training_log(
    moves: Numbers, measures: Mapping[str, Numbers], title: str, *, alt: str = ""
) -> Picture:
    """What was logged while a player learnt, a panel a measure, over the moves.

    moves: (n,).
    measures: name -> (n,).
    """
    x = np.asarray(in_memory(moves)) / 1e6
    figure, axes = grid_figure(3 * len(measures), 2.9, columns=len(measures))
    said = []
    for ax, (name, values), colour in zip(axes[0], measures.items(), COLOURS, strict=False):
        y = np.asarray(in_memory(values))
        ax.plot(x, y, color=colour, linewidth=2)
        ax.set(xlabel="million moves", ylim=(0, None))
        ax.set_title(name, fontsize=11)
        said.append(f"{name} goes from {y[0]:.3g} to {y[-1]:.3g}")
    figure.suptitle(title, fontsize=12)
    return Picture(figure, alt or f"{title}. {'; '.join(said)}.")
