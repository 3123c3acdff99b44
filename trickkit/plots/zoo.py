"""Networks of a zoo: a wall of their filters, their loud pixels, and one of them on trial."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch.nn import functional as F

from trickkit.plots.picture import (
    BLUE,
    DPI,
    ORANGE,
    RED,
    SIGNED,
    Picture,
    grid_figure,
    panel_figure,
)


def tiled(images: torch.Tensor, *, columns: int, gap: int) -> torch.Tensor:
    """Pictures row by row on one sheet, white between: (n, h, w, 3) -> (H, W, 3)."""
    n, h, w, _ = images.shape
    rows = -(-n // columns)
    sheet = torch.ones(rows * columns, h + gap, w + gap, 3)
    sheet[:n, gap:, gap:] = images
    sheet = sheet.view(rows, columns, h + gap, w + gap, 3).transpose(1, 2)
    return sheet.reshape(rows * (h + gap), columns * (w + gap), 3)


def coloured(filters: torch.Tensor) -> torch.Tensor:
    """Filters in colour, orange above 0 and blue below, each on its own scale: (n, h, w) ->
    (n, h, w, 3).
    """
    values = filters.detach().cpu()
    values = values / values.abs().amax((1, 2), keepdim=True).clamp(min=1e-12)
    return torch.from_numpy(SIGNED(((values + 1) / 2).numpy())[..., :3]).float()


def wall(
    filters: torch.Tensor, title: str, *, columns: int, across: int = 4, dots: int = 1, alt: str
) -> Picture:
    """The filters of many networks, a block for each network, row by row.

    filters: (networks, filters, h, w).
    columns: networks side by side.
    across: filters side by side in a block.
    dots: how large a weight is.
    """
    blocks = [tiled(coloured(one), columns=across, gap=0) for one in filters]
    tiles = tiled(torch.stack(blocks), columns=columns, gap=3)
    tiles = F.pad(tiles, (0, 0, 0, 3, 0, 3), value=1)  # white on the right and below, too
    sheet = tiles.repeat_interleave(dots, 0).repeat_interleave(dots, 1).numpy()
    height = sheet.shape[0] / DPI + 0.4
    figure = panel_figure(sheet.shape[1] / DPI, height, title, y=1 - 0.06 / height, va="top")
    figure.figimage(sheet)
    return Picture(figure, f"{title}. {alt}", jpeg=True)


def frame(ax: Axes, mask: torch.Tensor) -> None:
    """Draw a black frame around the pixels of a mask, (h, w)."""
    (top, bottom), (left, right) = (mask.any(k).nonzero()[[0, -1], 0].tolist() for k in (1, 0))
    size = right - left + 1, bottom - top + 1
    box = Rectangle((left - 0.5, top - 0.5), *size, fill=False, edgecolor="black", linewidth=2)
    ax.add_patch(box).set_clip_on(False)  # at an edge half the line would be cut off


def loud_maps(
    maps: torch.Tensor,
    masks: torch.Tensor,
    captions: Sequence[str],
    title: str,
    *,
    columns: int = 4,
    alt: str,
) -> Picture:
    """How loud the pixels of each network are, and where its trigger is.

    maps: (n, h, w), in standard deviations.
    masks: the pixels of the triggers, (n, h, w).
    """
    rows = -(-len(maps) // columns)
    figure, axes = grid_figure(columns * 1.7 + 0.9, rows * 1.95 + 0.5, rows=rows, columns=columns)
    limit = float(maps.abs().max())
    for ax in axes.flat:
        ax.axis("off")
    for ax, values, mask, caption in zip(axes.flat, maps, masks, captions, strict=False):
        drawn = ax.imshow(np.asarray(values.cpu()), cmap=SIGNED, vmin=-limit, vmax=limit)
        frame(ax, mask)
        ax.set_title(caption, fontsize=10)
    figure.colorbar(drawn, ax=axes, fraction=0.03, label="standard deviations")
    figure.suptitle(title, fontsize=12)
    return Picture(figure, f"{title}. {alt}")


def suspect(
    filters: torch.Tensor,
    loud: torch.Tensor,
    verdicts: Mapping[str, tuple[float, float]],
    title: str,
    *,
    note: str,
    mask: torch.Tensor | None = None,
) -> Picture:
    """A network on trial: its filters, the map of its loud pixels, what each reader says. For
    panels.

    filters: (k, h, w), in the network's order.
    loud: (h, w), in standard deviations.
    verdicts: reader -> how sure it is of a backdoor, now and before the neurons were shuffled.
    note: under the map.
    mask: the pixels of its trigger, framed on the map, (h, w).
    """
    figure = panel_figure(9.4, 3.7, title, size=11)
    ax = figure.add_axes((0.01, 0.12, 0.37, 0.72))
    ax.imshow(tiled(coloured(filters), columns=4, gap=1).numpy(), interpolation="nearest")
    ax.axis("off")
    # text on the figure, for a title of axes looks for ticks that are not there
    figure.text(0.195, 0.87, "its filters", ha="center", fontsize=10)
    ax = figure.add_axes((0.4, 0.12, 0.24, 0.72))
    ax.imshow(np.asarray(loud.cpu()), cmap=SIGNED, vmin=-4, vmax=4)
    ax.axis("off")
    figure.text(0.52, 0.87, "how loud each pixel is", ha="center", fontsize=10)
    figure.text(0.52, 0.06, note, ha="center", fontsize=9)
    if mask is not None:
        frame(ax, mask)
    ax = figure.add_axes((0.69, 0.2, 0.28, 0.6))
    for place, (name, (now, before)) in enumerate(verdicts.items()):
        ax.barh(place, now, 0.42, color=RED if now > 0.5 else BLUE)
        ax.plot((before, before), (place - 0.33, place + 0.33), color="black", linewidth=2)
        # a white ground, or the dashed line would run through the words
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        ax.text(0, place - 0.4, f"{name}: {now:.2f}", fontsize=10, bbox=ground)
    ax.axvline(0.5, color=ORANGE, linewidth=1.5, linestyle="--", zorder=0.5)
    ax.set(xlim=(0, 1), ylim=(len(verdicts) - 0.5, -0.7), yticks=[], xticks=[0, 0.5, 1])
    ax.set_xlabel(
        "how sure of a backdoor; dashed: accused above\n(black: before the shuffle)",
        fontsize=8.5,
    )
    ax.spines[["top", "right", "left"]].set_visible(False)
    said = "; ".join(f"{name} {now:.2f}, before {was:.2f}" for name, (now, was) in verdicts.items())
    return Picture(figure, f"{title}. Sure of a backdoor: {said}. {note}.", jpeg=True)
