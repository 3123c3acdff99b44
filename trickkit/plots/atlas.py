"""Atlases: sheets of tiles on a dark sea, ways across them, and one cell opened."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from trickkit import atlas, data
from trickkit.plots.picture import COLOURS, ORANGE, Picture, panel_figure

SEA = (0.04, 0.055, 0.095)  # where no activation lies


def painted(tiles: torch.Tensor, shown: torch.Tensor, *, side: int = 64) -> torch.Tensor:
    """Tiles with rounded corners on a dark sea: (1, 3, GRID · side, GRID · side) in [0, 1].

    tiles: (GRID², 3, s, s) in [0, 1], row by row.
    shown: which are land, (GRID²,) bool.
    side: of a tile, in pixels.
    """
    small = F.interpolate(tiles.float().cpu(), (side, side), mode="area")
    at = torch.linspace(-1, 1, side).abs() ** 8
    inside = ((0.97 - (at + at[:, None]) ** 0.125) * 0.3 * side).clamp(0, 1)
    land = inside * shown.cpu()[:, None, None, None]
    sea = torch.tensor(SEA)[:, None, None]
    return atlas.together(small * land + sea * (1 - land))


def atlases(
    sheets: dict[str, torch.Tensor],
    shown: torch.Tensor,
    title: str,
    *,
    ways: dict[str, Sequence[tuple[float, float]]] | None = None,
    dim: float = 0,
    size: float = 5,
    alt: str = "",
) -> Picture:
    """Sheets of the same cells side by side.

    sheets: caption -> tiles (GRID², 3, s, s) in [0, 1].
    shown: which cells are land, (GRID²,) bool.
    ways: drawn on each sheet: name -> points (across, down) in [0, 1]; the last gets a star.
    dim: how much darker the sheet is, 0 to 1, so that ways stand out.
    size: inches a sheet.
    alt: what is to be seen.
    """
    captions = (0.3 if any(sheets) else 0.05) + (0.3 if ways else 0)
    width, height = len(sheets) * size + 0.1, size + 0.45 + captions
    figure = panel_figure(width, height, title, y=1 - 0.08 / height, va="top", size=13)
    for place, (caption, tiles) in enumerate(sheets.items()):
        left = (0.05 + place * size) / width
        ax = figure.add_axes(
            (left + 0.03 / width, captions / height, (size - 0.06) / width, size / height)
        )
        sheet = painted(tiles, shown, side=round(size * 100 / atlas.GRID)) * (1 - dim)
        ax.imshow(data.to_bytes(sheet), extent=(0, 1, 1, 0), aspect="auto")
        ax.axis("off")
        low = 0.37 if ways else 0.07
        figure.text(left + size / 2 / width, low / height, caption, ha="center", fontsize=11)
        for colour, (name, way) in zip(COLOURS * 9, (ways or {}).items(), strict=False):
            across, down = np.array(way).T
            ax.plot(across, down, "-o", color=colour, linewidth=2, markersize=4, label=name)
            ax.plot(across[-1:], down[-1:], "*", color=colour, markersize=15, markeredgecolor="w")
    if ways:  # below, so that they cover no tile
        lines = figure.axes[0].get_lines()[::2]
        figure.legend(
            handles=lines, loc="lower center", ncols=len(ways), fontsize=10, frameon=False
        )
    said = f" On it, ways: {', '.join(ways)}." if ways else ""
    return Picture(
        figure,
        alt or f"{title}. An island of {int(shown.sum())} tiles: {', '.join(sheets)}.{said}",
        jpeg=True,
    )


def cell_opened(
    tiles: torch.Tensor,
    shown: torch.Tensor,
    cell: int,
    patches: torch.Tensor,
    title: str,
    *,
    drawing: torch.Tensor | None = None,
) -> Picture:
    """One cell of an atlas: where it lies, its drawing, and the patches behind it. For panels.

    tiles, shown: the sheet, as in `atlases`.
    cell: its number, row by row from the upper left.
    patches: (n, 3, s, s) in [0, 1], at most twelve.
    title: what it is.
    drawing: (3, s, s) in [0, 1]; None where there is none.
    """
    width, height = 8.2, 3.25  # inches
    figure = panel_figure(width, height, title, y=0.985, va="top")

    def axes(left, bottom, across, up):
        ax = figure.add_axes((left / width, bottom / height, across / width, up / height))
        ax.axis("off")
        return ax

    side = 23
    ax = axes(0.05, 0.05, 2.8, 2.8)
    ax.imshow(data.to_bytes(painted(tiles, shown, side=side)), aspect="auto")
    row, column = divmod(cell, atlas.GRID)
    edge = np.array([0, 1, 1, 0, 0]) * side
    ax.plot(column * side + edge, row * side + edge[[0, 0, 2, 2, 0]], color=ORANGE, linewidth=3)
    if drawing is not None:
        ax = axes(2.97, 0.3, 2.15, 2.15)
        ax.imshow(data.to_bytes(drawing), interpolation="bicubic")
        ax.set_title("drawn", fontsize=11, y=1)
    ax = axes(5.25 if drawing is not None else 3.9, 0.3, 2.87, 2.15)
    canvas = torch.ones(3, 3 * 72, 4 * 72)
    for place, patch in enumerate(patches[:12]):
        down, right = (72 * at for at in divmod(place, 4))
        small = F.interpolate(patch[None].cpu(), (70, 70), mode="area")[0]
        canvas[:, down : down + 70, right : right + 70] = small
    ax.imshow(data.to_bytes(canvas), aspect="auto")
    ax.set_title("real patches behind it", fontsize=11, y=1)
    alt = f"{title}. The cell's place on the atlas, its drawing, and real patches."
    return Picture(figure, alt, jpeg=True)
