"""Loss landscapes: slices as hills and contours, paths between networks, filters that move, and the
field of a gradient."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]
from scipy.ndimage import distance_transform_edt
from torch.nn import functional as F

from trickkit.contract import Numbers
from trickkit.plots.images import Film, pictures
from trickkit.plots.picture import (
    BLUE,
    ORANGE,
    RED,
    SIGNED,
    Picture,
    grid_figure,
    in_memory,
    panel_figure,
)

PALE = ("#DDDDDD", "#BBCCEE", "#CCEEFF", "#CCDDAA", "#EEEEBB", "#FFCCCC", "#E3D3E4", "#CFE8DC")


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high for a logarithmic axis: 1, 2 and 5 times powers of ten."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    return [t for k in powers for t in (10.0**k, 2 * 10.0**k, 5 * 10.0**k) if low <= t <= high]


def log_range(surfaces: Sequence[np.ndarray]) -> tuple[float, float]:
    """The logarithms of the lowest and the highest value of all surfaces, never the same."""
    low, high = (np.log10(f([f(s) for s in surfaces])) for f in (np.min, np.max))
    return float(low), float(max(high, low + 0.1))


def relief(
    surfaces: Sequence[np.ndarray], captions: Sequence[str], title: str, *, alt: str = ""
) -> Picture:
    """Surfaces as hills side by side, the higher the lighter, all on one scale: the loss's
    logarithm.

    surfaces: (h, w) each, above 0.
    alt: what is to be seen, if the captions do not say it.
    """
    figure = panel_figure(4.2 * len(surfaces), 4.1, title)
    low, high = log_range(surfaces)
    ticks = log_ticks(10**low, 10**high)
    for i, (values, caption) in enumerate(zip(surfaces, captions, strict=True)):
        left = i / len(surfaces)
        place = (left - 0.015, 0.03, 1 / len(surfaces), 0.82)
        ax = Axes3D(figure, rect=place, computed_zorder=False)
        figure.add_axes(ax)
        side = np.linspace(-1, 1, len(values))
        ax.plot_surface(
            *np.meshgrid(side, side),
            np.log10(values),
            cmap="cividis",
            vmin=low,
            vmax=high,
            rcount=50,
            ccount=50,
            edgecolor="black",
            linewidth=0.15,
        )
        ax.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zlim=(low, high), zticks=np.log10(ticks))
        ax.set_zticklabels([f"{t:g}" for t in ticks])
        ax.set_zlabel("loss (log scale)", fontsize=9, labelpad=-2)
        ax.tick_params(labelsize=8, pad=0)
        ax.view_init(elev=34, azim=-60)
        figure.text(left + 0.5 / len(surfaces), 0.87, caption, ha="center", fontsize=11)
    return Picture(figure, alt or f"{title}. Surfaces: {'; '.join(captions)}.", jpeg=True)


def contours(
    surfaces: Sequence[np.ndarray],
    captions: Sequence[str],
    title: str,
    *,
    columns: int = 4,
    alt: str = "",
) -> Picture:
    """Surfaces as contours of the loss's logarithm, all on one scale; a dot marks the centre.

    surfaces: (h, w) each, above 0.
    alt: what is to be seen, if the captions do not say it.
    """
    columns = min(columns, len(surfaces))
    rows = -(-len(surfaces) // columns)
    figure, axes = grid_figure(2.1 * columns + 0.8, 2.4 * rows + 0.5, rows=rows, columns=columns)
    low, high = log_range(surfaces)
    levels = np.linspace(low, high, 61)
    ticks = log_ticks(10**low, 10**high)
    for ax in axes.flat:
        ax.axis("off")
    for ax, values, caption in zip(axes.flat, surfaces, captions, strict=False):
        side = np.linspace(-1, 1, len(values))
        logs = np.log10(values)
        filled = ax.contourf(side, side, logs, levels, cmap="cividis", extend="both")
        ax.contour(side, side, logs, levels, colors="white", linewidths=0.3)
        ax.plot(0, 0, "o", color=RED, markersize=5)
        ax.set_aspect("equal")
        ax.set_title(caption, fontsize=10)
    bar = figure.colorbar(filled, ax=axes, shrink=0.8, aspect=30, label="loss (log scale)")
    bar.set_ticks(np.log10(ticks).tolist(), labels=[f"{t:g}" for t in ticks])
    figure.suptitle(title, fontsize=12)
    said = "; ".join(c.replace("\n", ", ") for c in captions)
    return Picture(figure, alt or f"{title}. Contours: {said}.", jpeg=True)


def trails(paths: Sequence[np.ndarray], captions: Sequence[str], title: str) -> Picture:
    """Paths in a plane side by side; each begins at a dot and ends at a star.

    paths: (n, 2) each.
    """
    figure, axes = grid_figure(3.4 * len(paths), 3.3, columns=len(paths))
    for ax, path, caption in zip(axes[0], paths, captions, strict=True):
        ax.plot(*path.T, color=BLUE, marker=".", markersize=5, linewidth=1)
        ax.plot(*path[0], "o", color=ORANGE, markersize=9)
        ax.plot(*path[-1], "*", color=RED, markersize=14)
        ax.set(xticks=[], yticks=[], xlabel="first direction", ylabel="second direction")
        ax.set_title(caption, fontsize=10)
    figure.suptitle(title, fontsize=12)
    said = "; ".join(c.replace("\n", ", ") for c in captions)
    return Picture(figure, f"{title}. Paths in two directions: {said}.")


def filter_sheet(filters: torch.Tensor, *, places: np.ndarray | None = None) -> torch.Tensor:
    """Filters as small pictures on one sheet: orange above 0, blue below, each on its own scale.

    filters: (n, h, w).
    places: of each filter's upper left corner, in filters from the sheet's, (n, 2); row by row in a
        square if not given.
    Returns (1, 3, H, W) in [0, 1].
    """
    n, h, w = filters.shape
    across = int(np.ceil(np.sqrt(n)))
    if places is None:
        places = np.stack(np.divmod(np.arange(n), across), axis=1)
    sheet = np.ones((across * (h + 2), across * (w + 2), 3), dtype=np.float32)
    values = np.asarray(filters.detach().cpu())
    values = values / np.abs(values).max(axis=(1, 2), keepdims=True).clip(1e-12)
    for one, (row, column) in zip(SIGNED((values + 1) / 2)[..., :3], places, strict=True):
        top, left = round(row * (h + 2)) + 1, round(column * (w + 2)) + 1
        sheet[top : top + h, left : left + w] = one
    return torch.from_numpy(sheet).permute(2, 0, 1)[None]


def rearranged(
    fixed: torch.Tensor,
    moving: torch.Tensor,
    title: str,
    *,
    begin: np.ndarray,
    frames: int = 9,
    alt: str,
) -> Film:
    """A film: on the left filters that stay, on the right others that glide to their partners.

    fixed, moving: (n, h, w), partners in the same row.
    begin: at which place of the square each moving one begins, (n,).
    """
    across = int(np.ceil(np.sqrt(len(moving))))
    starts, ends = (
        np.stack(np.divmod(np.asarray(p), across), axis=1) for p in (begin, np.arange(len(moving)))
    )
    left = filter_sheet(fixed)
    gap = torch.ones(1, 3, left.shape[2], 8)
    glide = [(1 - np.cos(np.pi * t)) / 2 for t in np.linspace(0, 1, frames)]
    images = [
        torch.cat([left, gap, filter_sheet(moving, places=starts + g * (ends - starts))], dim=3)
        for g in glide
    ]
    still = pictures(
        # white at the sides, so that each frame's two squares are seen to belong together
        [F.pad(images[frame], (10, 10, 0, 0), value=1) for frame in (0, -1)],
        ["first frame: fixed, moving", "last frame: fixed, moving"],
        title,
        columns=2,
        size=4.3,
        alt=alt,
    )
    return Film(still, images, seconds=0.2, plays=3)


def path_between(
    ts: Numbers,
    curves: dict[str, tuple[Numbers, Numbers]],
    filters: torch.Tensor,
    *,
    chosen: str,
    t: float,
    title: str,
) -> Picture:
    """Loss and accuracy along paths between two networks, where we stand on one of them, and the
    filters of the network there. For panels.

    ts: (n,), from 0 to 1.
    curves: a path's name -> its losses and accuracies, (n,) each.
    filters: (k, h, w).
    chosen: the path we stand on.
    t: where.
    """
    figure = panel_figure(9.4, 4.2, title)
    ts = np.asarray(in_memory(ts))
    said = []
    for row, what in enumerate(("loss", "accuracy")):
        ax = figure.add_axes((0.07, 0.55 - 0.42 * row, 0.45, 0.33))
        for (name, lines), colour, dash in zip(
            curves.items(), (RED, BLUE, ORANGE), ("-", "--", ":"), strict=False
        ):
            wide = 3 if name == chosen else 1.2
            ax.plot(ts, lines[row], dash, color=colour, linewidth=wide, label=name)
        here = float(np.interp(t, ts, np.asarray(curves[chosen][row])))
        said.append(f"{what} {here:.2f}")
        ax.plot(t, here, "o", color="black", markersize=8)
        ax.set_ylabel(what)
        ax.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))  # two decimals fit
        ax.spines[["top", "right"]].set_visible(False)
        if row:
            ax.set_xlabel("t, from one network to the other")
        else:
            ax.legend(frameon=False, fontsize=9)
    ax = figure.add_axes((0.56, 0.04, 0.43, 0.86))
    ax.imshow(filter_sheet(filters)[0].permute(1, 2, 0).numpy(), interpolation="nearest")
    ax.axis("off")
    alt = f"{title}. Path {chosen}, t = {t:.2f}: {', '.join(said)}."
    return Picture(figure, alt, jpeg=True)


def flow(
    sides: Numbers,
    classes: Sequence[np.ndarray],
    slopes: Sequence[tuple[np.ndarray, np.ndarray]],
    names: Sequence[str],
    captions: Sequence[str],
    title: str,
    *,
    axes: Sequence[tuple[str, str]],
    path: np.ndarray,
    alt: str = "",
) -> Picture:
    """Planes through pictures: what the network says where, and where a gradient leads.

    sides: (n,), on both axes.
    classes: for each plane the class at each place, (n, n).
    slopes: for each plane the gradient's two components there, (n, n) each.
    names: of the classes.
    axes: for each plane what its two axes are.
    path: places on the first plane, (k, 2).
    """
    sides = np.asarray(in_memory(sides))
    figure, grid = grid_figure(4.4 * len(classes), 4.9, columns=len(classes))
    steepest = max(np.hypot(*slope).max() for slope in slopes)
    seen = sorted({int(k) for plane in classes for k in np.unique(plane)})
    colours = ListedColormap(PALE[: len(seen)])
    for i, (ax, plane, slope) in enumerate(zip(grid[0], classes, slopes, strict=True)):
        order = np.searchsorted(seen, plane)
        ax.pcolormesh(
            sides, sides, order, cmap=colours, vmin=-0.5, vmax=len(seen) - 0.5, shading="nearest"
        )
        width = 0.4 + 2 * np.sqrt(np.hypot(*slope) / steepest)  # the steeper, the wider
        ax.streamplot(sides, sides, *slope, color="0.35", density=0.7, linewidth=width)
        for k in np.unique(plane):
            # where its region is thickest, away from all edges
            inside = distance_transform_edt(np.pad(plane == k, 1))[1:-1, 1:-1]
            row, column = np.unravel_index(inside.argmax(), inside.shape)
            name = ax.text(sides[column], sides[row], names[int(k)], fontsize=17, weight="bold")
            name.set(ha="center", va="center", clip_on=True)
            name.set_path_effects([withStroke(linewidth=5, foreground="white")])
        if i == 0:
            ax.plot(*path.T, "o:", color=RED, markersize=5, linewidth=1)
        ax.plot(0, 0, "*", color="black", markersize=14)
        ax.set(xlim=(sides[0], sides[-1]), ylim=(sides[0], sides[-1]))
        ax.set(xlabel=axes[i][0], ylabel=axes[i][1])
        ax.set_aspect("equal")
        ax.set_title(captions[i], fontsize=10)
    figure.suptitle(title, fontsize=12)
    said = "; ".join(c.replace("\n", ", ") for c in captions)
    return Picture(figure, alt or f"{title}. Planes: {said}.", jpeg=True)
