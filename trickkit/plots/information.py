"""The information plane, measures of many runs with their spread, and an icosahedron's lights."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from trickkit import information
from trickkit.contract import Numbers
from trickkit.plots.charts import MARKERS, validate_colours
from trickkit.plots.picture import (
    BLUE,
    COLOURS,
    ORANGE,
    YELLOW,
    Picture,
    draw_caption,
    grid_figure,
    in_memory,
    panel_figure,
)

SIDEWAYS, DOWN = 0.32, 0.45  # how a solid is turned, so that no vertex hides another
LIGHT = np.array([-0.4, 0.6, 0.7])  # where it comes from


def icosahedra(lit: Numbers, captions: Sequence[str], title: str, *, alt: str = "") -> Picture:
    """Icosahedra side by side, their lit vertices yellow, and an edge too where both ends are lit.

    lit: (n, 12), 1 where a vertex is lit, in the order of `information.icosahedron`.
    captions: one under each.
    """
    lit = np.asarray(in_memory(lit)).astype(bool)
    figure, axes = grid_figure(2.3 * len(lit), 3.1, columns=len(lit))
    figure.set_layout_engine("constrained", rect=(0, 0.04, 1, 0.96))  # captions reach below axes
    for ax, lights, caption in zip(axes[0], lit, captions, strict=True):
        _draw_icosahedron(ax, lights)
        draw_caption(ax, caption)
    figure.suptitle(title)
    said = "; ".join(" ".join(caption.split()) for caption in captions)
    return Picture(figure, alt or f"{title}. Icosahedra with lit vertices: {said}.")


def cubes(groups: Mapping[str, Numbers], labels: Numbers, title: str, *, alt: str = "") -> Picture:
    """What three tanh units say of each input, a dot in a cube from −1 to 1; cubes side by side.

    Dots are moved at random by a little, or those in one place would hide one another.

    groups: name -> (n, 3).
    labels: (n,), 0 or 1.
    """
    figure, axes = grid_figure(3.1 * len(groups), 3.7, columns=len(groups))
    rng = np.random.default_rng(0)
    corners = np.array(list(itertools.product((-1, 1), repeat=3)))
    flat = _turned() @ np.diag([1, 1, 0])
    colours = np.array([BLUE, ORANGE])
    labels = np.asarray(in_memory(labels))
    for ax, (name, points) in zip(axes[0], groups.items(), strict=True):
        for i, j in itertools.combinations(range(8), 2):
            if abs(corners[i] - corners[j]).sum() == 2:
                ax.plot(*(corners[[i, j]] @ flat)[:, :2].T, color="0.75", linewidth=1, zorder=0)
        points = np.asarray(in_memory(points))
        order = rng.permutation(len(points))  # or one label would hide the other
        moved = ((points + rng.normal(0, 0.05, points.shape)) @ flat)[order]
        ax.scatter(*moved[:, :2].T, s=5, c=colours[labels[order]], alpha=0.4, linewidth=0)
        ax.set(xlim=(-1.85, 1.85), ylim=(-1.85, 1.85), aspect="equal")
        ax.axis("off")
        draw_caption(ax, name)
    for label, colour in enumerate(colours):
        ax.plot([], [], "o", color=colour, label=f"label {label}")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(title)
    said = "; ".join(
        f"{name}: {(abs(np.asarray(in_memory(points))) > 0.9).all(1).mean():.0%}"
        for name, points in groups.items()
    )
    return Picture(
        figure, alt or f"{title}. Dots in a cube, of which so many lie in its corners: {said}."
    )


def _turned() -> np.ndarray:
    """The turn, applied from the right, that shows a solid from a corner."""
    cs, ss, cd, sd = np.cos(SIDEWAYS), np.sin(SIDEWAYS), np.cos(DOWN), np.sin(DOWN)
    turn = np.array([[cs, 0, ss], [0, 1, 0], [-ss, 0, cs]])
    return turn @ np.array([[1, 0, 0], [0, cd, -sd], [0, sd, cd]])


def _draw_icosahedron(ax: Axes, lights: np.ndarray) -> None:
    """What lies behind first, and paler."""
    seen = information.icosahedron() @ _turned()
    joined = seen @ seen.T > 0.1
    for face in itertools.combinations(range(12), 3):
        middle = seen[list(face)].mean(0)
        if joined[np.ix_(face, face)].all() and middle[2] > 0:
            shade = 0.72 + 0.26 * (middle @ LIGHT)
            colour = (shade * 0.86, shade * 0.92, min(shade, 1))
            ax.fill(*seen[list(face), :2].T, color=colour, alpha=0.55, zorder=0, linewidth=0)
    for i, j in np.argwhere(np.triu(joined, 1)):
        front = seen[i, 2] + seen[j, 2] > 0
        both = lights[i] and lights[j]
        ax.plot(
            *seen[[i, j], :2].T,
            color=ORANGE if both else "0.35",
            linewidth=(4 if both else 1.2) * (1 if front else 0.6),
            alpha=1 if front else 0.45,
            zorder=1 if front else -1,
            solid_capstyle="round",
        )
    for on, (x, y, depth) in zip(lights, seen, strict=True):
        ax.plot(
            x,
            y,
            "o",
            markersize=13 + 4 * depth,
            color=YELLOW if on else "0.3",
            markeredgecolor="black",
            alpha=1 if depth > 0 else 0.5,
            zorder=2 if depth > 0 else -0.5,
        )
    ax.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
    ax.axis("off")


def planes(
    paths: Mapping[str, tuple[np.ndarray, np.ndarray]],
    epochs: Sequence[int],
    title: str,
    *,
    alt: str = "",
) -> Picture:
    """Information planes side by side, with a path for each layer from its first epoch to its last.

    A faint line is one run. Dots are the mean of all, from blue at the first epoch to yellow at the
    last, where the layer's number stands.

    paths: name -> I(X; T) and I(T; Y), (epochs, runs, layers) each; a single name is not drawn.
    epochs: when, as many.
    """
    figure, axes = grid_figure(4.3 * len(paths) + 1.0, 4.2, columns=len(paths))
    when = np.log10(np.asarray(epochs) + 1)
    for ax, (name, (xt, ty)) in zip(axes[0], paths.items(), strict=True):
        ax.plot(xt.reshape(len(xt), -1), ty.reshape(len(ty), -1), color="0.8", linewidth=0.6)
        mx, my = xt.mean(1), ty.mean(1)
        ax.plot(mx, my, color="0.35", linewidth=1)
        dots = ax.scatter(
            mx,
            my,
            c=np.repeat(when, mx.shape[1]),
            cmap="cividis",
            s=30,
            zorder=3,
            edgecolor="0.2",
            linewidth=0.4,
        )
        _number_layers(ax, mx[-1], my[-1])
        _frame(ax)
        if len(paths) > 1:
            ax.set_title(name)
    bar = figure.colorbar(dots, ax=list(axes[0]), label="epoch", pad=0.02)
    shown = [e for e in (0, 10, 100, 1000) if e <= max(epochs)] + [max(epochs)]
    bar.set_ticks(np.log10(np.array(shown) + 1), labels=[f"{e:,}" for e in shown])
    figure.suptitle(title)
    said = "; ".join(
        f"{name}: "
        + ", ".join(
            f"layer {layer} {x[0]:.1f}, {x.max():.1f}, {x[-1]:.1f}"
            for layer, x in enumerate(xt.mean(1).T, 1)
        )
        for name, (xt, _) in paths.items()
    )
    return Picture(
        figure, alt or f"{title}. Mean I(X; T) at first, at most and at last: {said} bits."
    )


def _number_layers(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """A layer's number above its place; where several layers lie together, all of theirs once."""
    groups: list[list[int]] = []
    for layer in np.argsort(x):
        last = groups[-1][-1] if groups else layer
        if groups and abs(x[layer] - x[last]) < 0.8 and abs(y[layer] - y[last]) < 0.1:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    for group in groups:
        name = ", ".join(str(layer + 1) for layer in sorted(group))
        place = (x[group].mean(), y[group].max())
        ax.annotate(
            name,
            place,
            (0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=11,
            fontweight="bold",
            zorder=4,
        )


def _frame(ax: Axes) -> None:
    ax.set(
        xlim=(-0.4, 13.2),
        ylim=(-0.04, 1.12),
        xticks=range(0, 13, 2),
        xlabel="I(X; T), bits: what a layer tells about the input",
        ylabel="I(T; Y), bits: about the label",
    )


def layers_in_plane(
    groups: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str, *, note: str = ""
) -> Picture:
    """Where the layers of a few networks lie in the information plane. For panels.

    groups: name -> I(X; T) and I(T; Y), (runs, layers) each; a small mark is one network, a large
        one the mean. The first group is filled, the next are hollow.
    note: a sentence under the title.
    Raises ValueError for more groups than there are colours.
    """
    validate_colours(groups=groups)
    figure = panel_figure(6.6, 4.4, title)
    ax = figure.add_axes((0.1, 0.13, 0.87, 0.72))
    for place, (name, (xt, ty)) in enumerate(groups.items()):
        colour, marker = COLOURS[place], MARKERS[place]
        ax.plot(xt, ty, marker, color=colour, markersize=4, alpha=0.35, linestyle="")
        x, y = xt.mean(0), ty.mean(0)
        face = colour if place == 0 else "white"
        ax.plot(x, y, "-", color=colour, linewidth=1, alpha=0.6)
        ax.plot(
            x, y, marker, color=colour, markersize=11, markerfacecolor=face, label=name, zorder=3
        )
        _number_layers(ax, x, y)
    _frame(ax)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="lower right", frameon=False)
    figure.text(0.5, 0.88, note, ha="center", fontsize=10)
    said = "; ".join(
        f"{name}, mean bits of layers 1 to {xt.shape[1]}: "
        + ", ".join(f"{x:.1f}" for x in xt.mean(0))
        for name, (xt, _) in groups.items()
    )
    return Picture(figure, f"{title}. {note + '. ' * bool(note)}{said}.")


def bands(
    x: Numbers,
    lines: Mapping[str, Numbers],
    title: str,
    *,
    xlabel: str,
    ylabel: str,
    log: bool = False,
    alt: str = "",
) -> Picture:
    """Lines over one axis, each the mean of several runs in a band from the least to the largest.

    x: (n,), 0 or above.
    lines: name -> (n, runs).
    log: x on a logarithmic scale, on which 0 has a place too; up to eight values are all marked.
    Raises ValueError for more lines than there are colours.
    """
    validate_colours(lines=lines)
    x = in_memory(x)
    runs = {name: np.asarray(in_memory(y)) for name, y in lines.items()}
    figure, axes = grid_figure(7.2, 3.8)
    ax = axes[0, 0]
    for (name, y), colour, marker in zip(runs.items(), COLOURS, MARKERS, strict=False):
        ax.fill_between(x, y.min(1), y.max(1), color=colour, alpha=0.08, linewidth=0)
        ax.plot(x, np.stack([y.min(1), y.max(1)], 1), color=colour, alpha=0.5, linewidth=0.7)
        ax.plot(x, y.mean(1), color=colour, marker=marker, markersize=4, label=name)
    if log:
        ax.set_xscale("symlog", linthresh=min(value for value in x if value > 0))
        if len(x) <= 8:
            ax.set_xticks(x, minor=False)
            ax.set_xticks([], minor=True)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if len(runs) > 1:
        figure.legend(loc="outside right center", frameon=False)
    ends = "; ".join(
        f"{name} goes from {y[0].mean():.3g} to {y[-1].mean():.3g}" for name, y in runs.items()
    )
    return Picture(figure, alt or f"{title}. Means over {xlabel}: {ends}.")
