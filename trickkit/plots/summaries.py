"""Representations beside each other: tables of how alike layers are, and clouds of examples."""

from collections.abc import Sequence

import numpy as np
import torch

from trickkit.plots.picture import BLUE, RED, Picture, as_pixels, grid_figure, panel_figure


def likeness(
    tables: Sequence[torch.Tensor],
    captions: Sequence[str],
    title: str,
    *,
    layers: Sequence[str],
    axes: tuple[str, str],
    alt: str = "",
) -> Picture:
    """How alike each layer of one network is to each of another, 0 to 1, the lighter the more; a
    dot marks the most similar in each row, or several that share the first place.

    tables: (layers, layers) each, all on one scale.
    layers: names, from the images up.
    axes: what runs across and what runs down.
    alt: what is to be seen, if the captions do not say it.
    """
    figure, grid = grid_figure(3.9 * len(tables) + 0.9, 4.3, columns=len(tables))
    said = []
    for ax, scores, caption in zip(grid[0], tables, captions, strict=True):
        values = as_pixels(scores)
        drawn = ax.imshow(values, cmap="cividis", vmin=0, vmax=1)
        rows, columns = np.nonzero(values >= values.max(axis=1, keepdims=True) - 1e-6)
        ax.plot(columns, rows, "o", color=RED, markersize=6, markeredgecolor="white")
        ax.set_xticks(range(len(layers)), layers, rotation=90)
        ax.set_yticks(range(len(layers)), layers)
        ax.set(xlabel=axes[0], ylabel=axes[1])
        ax.set_title(caption, fontsize=11)
        shown = caption.replace("\n", ", ")
        off = values[~np.eye(len(values), dtype=bool)].mean()
        said.append(f"{shown}: {np.diag(values).mean():.2f} on the diagonal, {off:.2f} off it")
    figure.colorbar(drawn, ax=grid, shrink=0.8, aspect=25, label="how alike")
    figure.suptitle(title, fontsize=12)
    return Picture(figure, alt or f"{title}. Means: {'; '.join(said)}.")


def clouds(
    first: torch.Tensor,
    second: torch.Tensor,
    captions: Sequence[str],
    title: str,
    *,
    star: int,
    note: str = "",
) -> Picture:
    """The same examples in two representations, as dots; one of them is a star. For panels.

    first, second: two coordinates each, (n, 2).
    star: its row.
    note: under the title.
    """
    figure = panel_figure(8.0, 3.9, title, size=13)
    figure.text(0.5, 0.87, note, ha="center", fontsize=10)
    for place, (points, caption) in enumerate(zip((first, second), captions, strict=True)):
        ax = figure.add_axes((0.05 + 0.5 * place, 0.08, 0.43, 0.69))
        xy = np.asarray(points.detach().cpu(), dtype=np.float32)
        ax.plot(*xy.T, ".", color=BLUE, markersize=4, alpha=0.5)
        ax.plot(*xy[star], "*", color=RED, markersize=15, markeredgecolor="white")
        ax.set(xticks=[], yticks=[], xlabel="main direction", ylabel="second direction")
        ax.margins(0.08)
        ax.set_title(caption, fontsize=10, y=1)
    alt = f"{title}. {note + '. ' if note else ''}{len(first)} dots, one of them a star: "
    return Picture(figure, alt + "; ".join(c.replace("\n", ", ") for c in captions) + ".")
