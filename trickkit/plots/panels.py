"""Figures of one lesson each, quick enough to follow a slider."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.patches import Rectangle

from trickkit import data
from trickkit.plots.images import magnified
from trickkit.plots.picture import (
    BLUE,
    COLOURS,
    DPI,
    ORANGE,
    RED,
    SIGNED,
    Picture,
    as_pixels,
    draw_bars,
    draw_caption,
    draw_points,
    panel_figure,
    show_image,
)

ADVANCE = 8  # dots from one character to the next, a whole number, as type is drawn
TYPE_SIZE = ADVANCE / 0.602 * 72 / DPI  # points: DejaVu Sans Mono is 0.602 of that wide


def probabilities(
    image: torch.Tensor,
    names: Sequence[str],
    probabilities: Sequence[float],
    title: str,
    *,
    mark: str = "",
) -> Picture:
    """A picture on the left, a bar a class on the right.

    image: (1, C, H, W) in [0, 1].
    names, probabilities: one a class, in the order to draw.
    mark: the class to colour, with an arrow besides.
    """
    figure = panel_figure(7.0, 3.5, title)
    left = figure.add_axes((0.01, 0.03, 0.44, 0.85))
    right = figure.add_axes((0.5, 0.03, 0.47, 0.85))
    show_image(left, image)
    said = draw_bars(right, names, probabilities, mark=mark)
    return Picture(figure, f"{title}. Probabilities: {said}.", jpeg=True)


def attacked(
    image: torch.Tensor,
    moved: torch.Tensor,
    names: Sequence[str],
    probabilities: Sequence[float],
    title: str,
    *,
    note: str = "",
) -> Picture:
    """An attacked picture, its change made visible, and a bar a class.

    image, moved: (1, C, H, W) in [0, 1], before and after.
    names, probabilities: of the attacked one.
    note: under the change.
    """
    figure = panel_figure(9.2, 3.4, title)
    for left, picture, caption in (
        (0.01, moved, "the picture"),
        (0.33, magnified(moved - image), f"the change, magnified{note}"),
    ):
        ax = figure.add_axes((left, 0.15, 0.3, 0.75))
        show_image(ax, picture)
        draw_caption(ax, caption)
    said = draw_bars(figure.add_axes((0.66, 0.15, 0.33, 0.75)), names, probabilities)
    return Picture(figure, f"{title}. Probabilities: {said}.{note}", jpeg=True)


def products(
    lines: Sequence[tuple[tuple[str, int, int], tuple[str, int, int], str]], title: str
) -> Picture:
    """Matrix products as boxes whose sides are their dimensions; one that does not fit says which
    two sides do not meet.

    Sides of one number have one colour, and are as long as its 0.35th power, or 784 would dwarf 5.

    lines: each (name, rows, columns), (name, rows, columns), name of the result.
    """
    numbers = list(
        dict.fromkeys(n for first, second, _ in lines for n in (*first[1:], *second[1:]))
    )
    colours = {n: COLOURS[i % len(COLOURS)] for i, n in enumerate(numbers)}
    # boxes and words, each with its x and the y of its middle
    boxes = []
    words = []
    said = []
    top = 0.0
    right = 0.0
    for first, second, result in lines:
        fits = first[2] == second[1]
        sizes = f"{first[0]} ({first[1]} × {first[2]}) @ {second[0]} ({second[1]} × {second[2]})"
        row = [first, second] + ([(result, first[1], second[2])] if fits else [])
        middle = top + max(box[1] ** 0.35 for box in row) / 2
        x = 0.0
        for box, mark in zip(row, ("", "@", "="), strict=False):
            x += 3.6 if mark else 0
            words.append((x - 2.9, middle, mark))
            boxes.append((x, middle, *box))
            x += box[2] ** 0.35
        said.append(
            f"{sizes} = {result} ({first[1]} × {second[2]})"
            if fits
            else f"{sizes} does not fit, {first[2]} meets {second[1]}"
        )
        if not fits:
            words.append((x + 1, middle, f"×  does not fit: {first[2]} meets {second[1]}"))
            x += 10
        top = 2 * middle - top + 2.8
        right = max(right, x)
    height = 0.19 * (top + 0.5) + 0.4
    figure = panel_figure(max(0.19 * (right + 4), 5.5), height, title)
    ax = figure.add_axes((0, 0, 1, 1 - 0.4 / height))
    for x, y, text in words:
        ax.text(x, y, text, va="center", fontsize=10 if len(text) > 1 else 12)
    for x, y, name, rows, columns in boxes:
        end = x + columns**0.35
        low = y + rows**0.35 / 2
        high = y - rows**0.35 / 2
        ax.fill([x, end, end, x], [low, low, high, high], color="#EEEEEE")
        for side in (x, end):
            ax.plot(
                (side, side), (low, high), color=colours[rows], linewidth=3, solid_capstyle="butt"
            )
        for side in (low, high):
            ax.plot(
                (x, end), (side, side), color=colours[columns], linewidth=3, solid_capstyle="butt"
            )
        ax.text(x - 0.3, y, str(rows), ha="right", va="center", fontsize=8)
        ax.text((x + end) / 2, high - 0.25, str(columns), ha="center", va="bottom", fontsize=8)
        inside = end - x > 0.65 * len(name)
        ax.text(
            (x + end) / 2,
            y if inside else low + 0.25,
            name,
            ha="center",
            va="center" if inside else "top",
            fontsize=10,
        )
    ax.set(xlim=(-2, right + 1), ylim=(top - 1, -1.5), aspect="equal")
    ax.axis("off")
    return Picture(figure, f"{title}. Boxes: {'; '.join(said)}.")


def there_and_back(
    values: Sequence[tuple[str, str]],
    steps: Sequence[tuple[str, str, str]],
    title: str,
) -> Picture:
    """A network's values from left to right and, below them, their gradients from right to left.

    values: (name, shape), from the input to the loss.
    steps: between each two values: what is done on the way forward, what on the way back, and the
        gradients that fall out there, or "".
    """
    pitch, tall = 2.2, 0.75  # inches from box to box, and a box's height
    width = pitch * len(steps) + 1.6
    figure = panel_figure(width, 3.95, title, y=0.98, va="top")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0.25, 4.2))
    ax.axis("off")
    for place, (name, shape) in enumerate(values):
        middle = 0.8 + pitch * place
        for y, colour, text in (
            (3.05, BLUE, f"{name}\n{shape}"),
            (1.35, RED, f"slope for {name}\n{shape}" if place < len(steps) else "1"),
        ):
            wide = 1.3
            ax.add_patch(
                Rectangle(
                    (middle - wide / 2, y - tall / 2),
                    wide,
                    tall,
                    facecolor="white",
                    edgecolor=colour,
                    linewidth=2.5,
                )
            )
            ax.text(middle, y, text, ha="center", va="center", fontsize=9.5)
    for place, (forward, back, fallen) in enumerate(steps):
        left, right = 1.45 + pitch * place, 0.8 + pitch * (place + 1) - 0.65
        middle = (left + right) / 2
        for y, colour, start, end, text in (
            (3.05, BLUE, left, right, forward),
            (1.35, RED, right, left, back),
        ):
            arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2.5, "mutation_scale": 18}
            arrow |= {"shrinkA": 2, "shrinkB": 2}
            ax.annotate("", (end, y), (start, y), arrowprops=arrow)
            ax.text(middle, y + 0.47, text, ha="center", va="bottom", fontsize=9.5, color="black")
        if fallen:
            arrow = {"arrowstyle": "-|>", "color": RED, "lw": 2, "mutation_scale": 15}
            ax.annotate("", (middle, 0.62), (middle, 1.33), arrowprops=arrow)
            ax.text(middle, 0.55, fallen, ha="center", va="top", fontsize=9.5, fontweight="bold")
    there = ", ".join(
        f"{forward} gives {name}"
        for (forward, _, _), (name, _) in zip(steps, values[1:], strict=True)
    )
    back = ", ".join(
        f"{back} gives the slope for {name}" + f" and {fallen}" * bool(fallen)
        for (_, back, fallen), (name, _) in reversed(list(zip(steps, values, strict=False)))
    )
    return Picture(figure, f"{title}. There: {values[0][0]}; {there}. Back: {back}.")


def neuron(
    points: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    weights: Sequence[float],
    bias: float,
    title: str,
    *,
    xlabel: str,
    ylabel: str,
) -> Picture:
    """Two classes of points, and one sigmoid neuron's opinion of the plane: blue where it says the
    first, orange the second, and a line where it is undecided.

    points: (n, 2).
    labels: (n,), 0 or 1.
    names: of the two.
    weights, bias: the neuron's, two and one.
    """
    figure = panel_figure(6.4, 4.2, title)
    ax = figure.add_axes((0.1, 0.13, 0.86, 0.77))
    left, low = points.min(axis=0) - 0.3
    right, high = points.max(axis=0) + 0.3
    across, up = np.meshgrid(np.linspace(left, right, 90), np.linspace(low, high, 60))
    sums = weights[0] * across + weights[1] * up + bias
    extent = (left, right, low, high)
    ax.imshow(
        np.tanh(sums / 2),
        cmap=SIGNED,
        vmin=-1.6,
        vmax=1.6,
        extent=extent,
        origin="lower",
        aspect="auto",
    )
    line = sums.min() < 0 < sums.max()
    if line:
        ax.contour(across, up, sums, [0], colors="black")
    draw_points(ax, points, labels, names, markeredgecolor="white", markeredgewidth=0.5)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(loc="upper right", framealpha=0.9)
    wrong = int(((points @ np.asarray(weights) + bias > 0) != labels).sum())
    said = f"{wrong} on the wrong side of a line" if line else "no line, one colour all over"
    return Picture(figure, f"{title}. {len(points)} points, {ylabel} over {xlabel}; {said}.")


def coloured_text(text: str, values: torch.Tensor, title: str, *, alt: str = "") -> Picture:
    """A text whose every character stands on a colour: orange where its value is high, blue where
    low, white at 0.

    Line ends take no colour.

    text: T characters.
    values: (T,), a number a character; the largest size is full colour.
    alt: what is to be seen.
    Raises ValueError where there are more or fewer values than characters.
    """
    if len(values) != len(text):
        raise ValueError(
            f"A value a character is wanted: {len(text)} characters and {len(values)} values came."
        )
    lines = text.split("\n")
    shades = as_pixels(values) / max(float(values.abs().max()), 1e-12)
    place = 0
    across = max(map(len, lines))
    grid = np.zeros((len(lines), across), dtype=np.float32)
    for row, line in enumerate(lines):
        grid[row, : len(line)] = shades[place : place + len(line)]
        place += len(line) + 1
    pad = 0.15  # inches
    size = TYPE_SIZE
    inner_width = across * ADVANCE / DPI
    inner_height = len(lines) * size * 1.5 / 72
    width = inner_width + 2 * pad
    height = inner_height + pad + 0.4
    figure = panel_figure(width, height, title, size=11)
    ax = figure.add_axes((pad / width, pad / height, inner_width / width, inner_height / height))
    ax.imshow(
        grid, cmap=SIGNED, vmin=-1.25, vmax=1.25, aspect="auto", extent=(0, across, len(lines), 0)
    )
    for row, line in enumerate(lines):
        ax.text(
            0,
            row + 0.5,
            line,
            family="DejaVu Sans Mono",
            fontsize=size,
            va="center",
            parse_math=False,
        )
    ax.axis("off")
    return Picture(
        figure,
        alt
        or f"{title}. {len(lines)} lines of text, each character on a colour from blue to orange.",
    )


def alignment_matrix(
    weights: torch.Tensor,
    source: str,
    output: str,
    title: str,
    *,
    right: torch.Tensor | None = None,
) -> Picture:
    """What a translator looked at as it wrote: a row for each character that it wrote, dark where
    attention lay.

    weights: (len(output), len(source)) or with more columns, 0 to 1.
    source: the text that was read, across.
    output: the text that was written, down.
    right: True where the right place is, of the weights' shape; it is framed.
    """
    shares = as_pixels(weights)[:, : len(source)]
    cell = 0.24  # inches a character
    left, top, pad = 0.7, 0.95, 0.15
    width = max(len(source) * cell + left + pad, 0.085 * len(title) + 2 * pad)
    height = len(output) * cell + top + pad
    figure = panel_figure(width, height, title, size=11, y=1 - 0.1 / height, va="top")
    ax = figure.add_axes(
        (
            left / width,
            pad / height,
            len(source) * cell / width,
            len(output) * cell / height,
        )
    )
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    # a space is seen as such
    ax.set(xticks=range(len(source)), yticks=range(len(output)))
    ax.set_xticklabels(source.replace(" ", "·"), family="DejaVu Sans Mono", parse_math=False)
    ax.set_yticklabels(output, family="DejaVu Sans Mono", parse_math=False)
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.xaxis.set_label_position("top")
    ax.set(xlabel="read", ylabel="written")
    if right is not None:
        for row, column in right[:, : len(source)].nonzero().tolist():
            for dy, dx in ((0, -1), (0, 1), (-1, 0), (1, 0)):
                beside = (row + dy, column + dx)
                inside = 0 <= beside[0] < len(output) and 0 <= beside[1] < len(source)
                if inside and right[beside]:
                    continue
                xs = [column + dx / 2] * 2 if dx else [column - 0.5, column + 0.5]
                ys = [row + dy / 2] * 2 if dy else [row - 0.5, row + 0.5]
                ax.plot(xs, ys, color=ORANGE, linewidth=2, clip_on=False)
    peaks = ", ".join(
        f"{c} at {source[j]!r} {shares[i, j]:.0%}"
        for i, (c, j) in enumerate(zip(output, shares.argmax(1), strict=True))
    )
    return Picture(
        figure,
        f"{title}. {source!r} across, {output!r} down; the darkest square of each row: {peaks}.",
    )


def attended(
    words: Sequence[str], weights: Mapping[str, torch.Tensor], title: str, *, least: float = 0.05
) -> Picture:
    """A sentence, once for each model, on the attention that it gives to each word: the deeper the
    orange and the taller the bar below, the more, and what is not little is told as a percentage.

    words: of the sentence.
    weights: a model's name -> a share for each word, (len(words),), or more.
    least: shares below it are not told.
    """
    across = 78  # characters a line
    places = []  # (line, column) of each word
    line = column = 0
    for word in words:
        room = max(len(word), 3)
        if column and column + room > across:
            line, column = line + 1, 0
        places.append((line, column))
        column += room + 1
    block = (line + 1) * 2.4 + 1.2  # lines of type for each model
    size = TYPE_SIZE
    unit = size * 1.35 / 72  # inches a line of type
    pad = 0.15
    width = across * ADVANCE / DPI + 2 * pad
    height = block * len(weights) * unit + 0.45 + pad
    figure = panel_figure(width, height, title, size=11, y=1 - 0.1 / height, va="top")
    ax = figure.add_axes(
        (pad / width, pad / height, 1 - 2 * pad / width, block * len(weights) * unit / height)
    )
    ax.set(xlim=(0, across), ylim=(block * len(weights), 0))
    ax.axis("off")
    said = []
    largest = max(float(as_pixels(row).max()) for row in weights.values())
    for k, (name, row) in enumerate(weights.items()):
        shares = as_pixels(row).reshape(-1)[: len(words)]
        top = k * block
        ax.text(0, top + 0.5, name, fontsize=10, fontweight="bold", va="center", parse_math=False)
        for word, share, (line, column) in zip(words, shares, places, strict=True):
            y = top + 1.1 + 2.4 * line
            strength = float(share / max(largest, 1e-12))
            room = max(len(word), 3)
            ax.add_patch(Rectangle((column, y), room, 1, color=ORANGE, alpha=0.75 * strength, lw=0))
            ax.add_patch(Rectangle((column, y + 1.02), room, 0.3 * strength, color=BLUE, lw=0))
            ax.text(
                column,
                y + 0.5,
                word,
                family="DejaVu Sans Mono",
                fontsize=size,
                va="center",
                parse_math=False,
            )
            if share >= least:
                ax.text(column, y + 1.75, f"{share:.0%}", fontsize=8, va="center")
        most = sorted(zip(words, shares, strict=True), key=lambda pair: -pair[1])[:3]
        said.append(f"{name}: most on " + ", ".join(f"{w} {s:.0%}" for w, s in most))
    return Picture(figure, f"{title}. The sentence: {' '.join(words)}. {'; '.join(said)}.")


def microscope(
    photo: torch.Tensor,
    activation: torch.Tensor,
    patch: torch.Tensor,
    excites: torch.Tensor | None,
    title: str,
    *,
    corner: tuple[float, float],
    side: float,
) -> Picture:
    """A unit under the microscope: its activation, that over the photo, the patch it likes best,
    and what excites it.

    photo: (1, 3, S, S) in [0, 1].
    activation: (h, w), any range.
    patch: a square of the photo, (1, 3, side, side).
    excites: (1, 3, s, s), or None while it is being made.
    corner: the patch's top and left, in pixels of the photo.
    side: the patch's, in pixels.
    """
    values = as_pixels(activation)
    size = photo.shape[-1]
    strength = np.clip(values / max(float(values.max()), 1e-12), 0, 1)
    figure = panel_figure(9.4, 2.9, title, size=11, y=0.99)
    axes = [figure.add_axes((0.008 + i * 0.25, 0.06, 0.235, 0.76)) for i in range(4)]
    limit = max(float(np.abs(values).max()), 1e-12)
    axes[0].imshow(values, cmap=SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
    light = torch.nn.functional.interpolate(
        torch.as_tensor(strength)[None, None], (size, size), mode="bilinear"
    )
    axes[1].imshow(data.to_bytes(photo.cpu() * (0.25 + 0.75 * light.clamp(0, 1))))
    top, left = corner
    axes[1].add_patch(
        Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=ORANGE, linewidth=2)
    )
    axes[2].imshow(data.to_bytes(patch), interpolation="nearest")
    if excites is not None:
        axes[3].imshow(data.to_bytes(excites))
    captions = (
        "activation",
        "lit where it is high",
        "the patch in the box",
        "what excites it" if excites is not None else "…",
    )
    for ax, caption in zip(axes, captions, strict=True):
        ax.set_title(caption, fontsize=10, y=1)
        ax.axis("off")
    return Picture(
        figure,
        f"{title}. Four pictures: {', '.join(captions)}. Activations go from {values.min():.2g} to "
        f"{values.max():.2g}.",
        jpeg=True,
    )
