"""A player of Space Invaders under attack: what it scores, and what it sees and values."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from trickkit.contract import Numbers
from trickkit.plots.picture import (
    BLUE,
    ORANGE,
    Picture,
    as_pixels,
    grid_figure,
    panel_figure,
    plain_ticks,
)


def every_game(
    points: Mapping[str, Numbers],
    title: str,
    *,
    marked: Sequence[str] = (),
    lines: Mapping[str, float] | None = None,
    printed: Mapping[str, float] | None = None,
    label: str = "points of a game",
    alt: str = "",
) -> Picture:
    """The points of every game, a row a player or a trick: a dot a game, and a bar at the mean.

    points: who played, or what was done -> one number a game, from the top.
    marked: the rows drawn in orange with triangles; the others are blue with dots.
    lines: what is to be compared with -> its points, as dashed lines down the figure.
    printed: a row -> the mean that a paper prints, a diamond.
    label: of the axis.
    """
    rows = len(points)
    figure, axes = grid_figure(8.2, 0.36 * (rows + 0.45 * bool(lines)) + 1.25)
    ax = axes[0, 0]
    rng = np.random.default_rng(0)
    for place, (name, values) in enumerate(points.items()):
        values = np.asarray(values, float)
        colour, marker = (ORANGE, "^") if name in marked else (BLUE, "o")
        up = rng.uniform(-0.2, 0.2, len(values))
        ax.plot(values, place + up, marker, color=colour, alpha=0.45, markersize=4.5, mew=0)
        ax.plot([values.mean()] * 2, [place - 0.38, place + 0.38], color="black", linewidth=2.5)
        ax.text(
            1.01,
            place,
            f"{values.mean():.0f}",
            va="center",
            fontsize=10,
            transform=ax.get_yaxis_transform(),
        )
    for note, value in (lines or {}).items():
        ax.axvline(value, color="0.35", linestyle="--", linewidth=1.2)
        # above all rows, where no dot or bar lies
        ax.text(value, -1.0, f" {note}", fontsize=9, color="0.25", va="top")
    for name, value in (printed or {}).items():
        place = list(points).index(name)
        ax.plot(value, place, "D", color=ORANGE, markeredgecolor="black", markersize=8)
    ax.set(
        yticks=range(rows),
        yticklabels=list(points),
        ylim=(rows - 0.4, -1.05 if lines else -0.6),
        title=title,
    )
    ax.set_xlim(left=0)
    plain_ticks(ax.xaxis)
    explained = f"{label}; the black bar and the number at the right are the mean"
    ax.set_xlabel(explained + "; diamonds: the paper's" * bool(printed), fontsize=10)
    ax.tick_params(axis="y", length=0, labelsize=10)
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)
    said = [
        f"{name} {np.mean(values):.0f} ({np.min(values):.0f} to {np.max(values):.0f})"
        for name, values in points.items()
    ]
    said += [f"the paper prints {value:g} for {name}" for name, value in (printed or {}).items()]
    return Picture(figure, alt or f"{title}. Mean {label}: {'; '.join(said)}.")


def moment(
    picture: torch.Tensor,
    names: Sequence[str],
    values: Numbers,
    title: str,
    *,
    before: Numbers | None = None,
    heat: torch.Tensor | None = None,
    note: str = "",
) -> Picture:
    """What a player sees, and what it thinks each action is worth. For panels.

    picture: (H, W) in [0, 1], the newest of its state.
    names, values: one an action; bars begin at the lowest, and an arrow marks the highest.
    before: the values without an attack, as black marks.
    heat: a map (H, W), 0 and above, laid over the picture in orange.
    note: under the picture.
    """
    figure = panel_figure(8.6, 4.0, title)
    left = figure.add_axes((0.01, 0.09, 0.41, 0.79))
    right = figure.add_axes((0.62, 0.16, 0.36, 0.7))
    grey = np.repeat(as_pixels(picture)[..., None] ** 0.7, 3, 2)
    if heat is not None:
        warm = as_pixels(heat)
        strength = np.clip(warm / max(float(warm.max()), 1e-12), 0, 1)[..., None] * 0.85
        grey = grey * (1 - strength) + np.array([0.9, 0.45, 0.0]) * strength
    left.imshow(grey, interpolation="nearest", vmin=0, vmax=1)
    left.set_title(note, y=0, va="top", pad=-5, fontsize=10)
    left.axis("off")
    numbers = np.asarray(values, float)
    shown = numbers if before is None else np.concatenate([numbers, np.asarray(before, float)])
    low, high = shown.min(), shown.max()
    room = max(high - low, 1e-6)
    best = int(numbers.argmax())
    floor = low - 0.15 * room
    right.barh(
        range(len(names)),
        numbers - floor,
        left=floor,
        height=0.62,
        color=[ORANGE if place == best else BLUE for place in range(len(names))],
    )
    if before is not None:
        for place, value in enumerate(np.asarray(before, float)):
            right.plot([value] * 2, [place - 0.4, place + 0.4], color="black", linewidth=2)
    right.set_yticks(
        range(len(names)),
        [f"→ {name}" if place == best else name for place, name in enumerate(names)],
    )
    right.set(xlim=(floor, high + 0.1 * room), ylim=(len(names) - 0.5, -0.5))
    right.set_xlabel("value; the bars do not begin at 0", fontsize=10)
    right.tick_params(axis="y", length=0, labelsize=11)
    right.spines[["top", "right", "left"]].set_visible(False)
    said = ", ".join(f"{name} {value:.2f}" for name, value in zip(names, numbers, strict=True))
    over = "in orange over the picture, a map" if heat is not None else ""
    told = "; ".join(filter(None, (note, over)))
    return Picture(figure, f"{title}. Values: {said}. {told}")
