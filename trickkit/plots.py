"""Every figure of the course: each function returns a `Picture`, which a notebook shows when a cell ends with it.

Colours are those of Okabe and Ito, told apart by colour-blind readers too; signed values go from blue over white to orange.
"""
import base64
import io
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from trickkit import data

BLUE, ORANGE, GREEN, PINK, SKY, YELLOW, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442", "#D55E00"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "white", RED])
DOTS = 100  # dots an inch


class Picture:
    """A finished figure with its alt text, which is also its plain-text form: what a screen reader says, and what the
    notebooks' test compares.

    figure: drawn and then let go; alt: what is to be seen, in words and numbers; photo: keep as JPEG, a tenth of the size.
    """

    def __init__(self, figure: Figure, alt: str, photo: bool = False):
        file = io.BytesIO()
        self.kind, self.alt = ("jpeg" if photo else "png"), " ".join(alt.split())
        options = {"pil_kwargs": {"quality": 88}} if photo else {}
        figure.savefig(file, format=self.kind, dpi=DOTS, facecolor="white", **options)
        self.bytes = file.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        mime, encoded = f"image/{self.kind}", base64.b64encode(self.bytes).decode()
        alt = self.alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
        # JupyterLab shows the HTML, with its alt text; GitHub and nbconvert the image, with the one in its metadata.
        bundle = {"text/html": f'<img alt="{alt}" src="data:{mime};base64,{encoded}">', mime: encoded, "text/plain": self.alt}
        return bundle, {mime: {"alt": self.alt}}

    def show(self) -> None:
        """Show it now, in the middle of a cell."""
        from IPython.display import display

        display(self)


def _figure(width: float, height: float, rows: int = 1, columns: int = 1, **options):
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _show(ax, image: torch.Tensor) -> None:
    """An image on axes without marks; a small one keeps its square pixels."""
    ax.imshow(data.to_bytes(image), interpolation="nearest" if image.shape[-1] < 100 else "antialiased")
    ax.axis("off")


def _squares(ax, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], form) -> None:
    """A table as squares from blue to yellow, 0 to 1, form(value) in each."""
    ax.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    ax.set(xticks=range(len(columns)), xticklabels=columns, yticks=range(len(rows)), yticklabels=rows)
    for (i, j), v in np.ndenumerate(values):
        ax.text(j, i, form(v), ha="center", va="center", fontsize=10, color="black" if v > 0.5 else "white")


def _bars(ax, names: Sequence[str], probabilities: Sequence[float], mark: str = "") -> str:
    """A bar a class, the marked one in its own colour with an arrow; returns them as words for the alt text."""
    height = 0.8 if len(names) > 6 else 0.4  # many classes: the name stands in the bar, few: above it
    ax.barh(range(len(names)), probabilities, height, color=[ORANGE if n == mark else SKY for n in names])
    for place, (name, p) in enumerate(zip(names, probabilities, strict=True)):
        label = f"→ {name}  {p:.2f}" if name == mark else f"{name}  {p:.2f}"
        ax.text(0.01, place if height > 0.5 else place - 0.35, label, va="center", fontsize=10)
    ax.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.6))
    ax.axis("off")
    return ", ".join(f"{n} {p:.2f}" for n, p in zip(names, probabilities, strict=True))


def _pixels(image: torch.Tensor | np.ndarray) -> np.ndarray:
    return np.asarray(torch.as_tensor(image).detach().cpu().squeeze(), dtype=np.float32)


def pictures(images: Sequence[torch.Tensor] | torch.Tensor, captions: Sequence[str], title: str, columns: int = 4,
             size: float = 2.4, alt: str = "") -> Picture:
    """Pictures side by side, a caption under each.

    images: tensors (1, 3, H, W) or (1, 1, H, W) in [0, 1], or one batch; title: the finding; size: inches a picture;
    alt: what is to be seen, if the captions do not say it.
    """
    images = list(images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    lines = max(c.count("\n") + 1 if c else 0 for c in captions)
    tall = min(1, max(image.shape[-2] / image.shape[-1] for image in images))  # wide pictures want no square's room
    figure, axes = _figure(columns * size + 0.2, rows * (size * tall + 0.19 * lines + 0.1) + 0.5, rows, columns)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, caption in zip(axes.flat, images, captions, strict=False):
        _show(ax, image)
        ax.set_title(caption, y=0, va="top", pad=-4, fontsize=10)
    figure.suptitle(title, fontsize=12)
    return Picture(figure, alt or f"{title}. " + "; ".join(c.replace("\n", ", ") for c in captions) + ".",
                   photo=images[0].shape[-1] >= 100)


def signed(maps: Sequence[torch.Tensor] | torch.Tensor, captions: Sequence[str], title: str, columns: int = 5,
           size: float = 1.7, alt: str = "") -> Picture:
    """Maps of positive and negative numbers: orange raises, blue lowers, white does nothing; one scale for all.

    maps: tensors (H, W) or (1, H, W), any range.
    """
    maps = [_pixels(m) for m in maps]
    columns = min(columns, len(maps))
    rows = -(-len(maps) // columns)
    tall = min(1, maps[0].shape[-2] / maps[0].shape[-1])
    figure, axes = _figure(columns * size + 0.9, rows * (size * tall + 0.25) + 0.5, rows, columns)
    reach = max(float(np.abs(m).max()) for m in maps)
    for ax in axes.flat:
        ax.axis("off")
    for ax, values, caption in zip(axes.flat, maps, captions, strict=False):
        drawn = ax.imshow(values, cmap=SIGNED, vmin=-reach, vmax=reach)
        ax.set_title(caption, fontsize=10)
    figure.colorbar(drawn, ax=axes, fraction=0.03)
    figure.suptitle(title, fontsize=12)
    return Picture(figure, alt or f"{title}. Maps of {', '.join(captions)}, orange where positive and blue where negative.")


def maps(images: Sequence[torch.Tensor] | torch.Tensor, maps: Sequence[torch.Tensor] | torch.Tensor, captions: Sequence[str],
         title: str, columns: int = 4, size: float = 2.4, alt: str = "") -> Picture:
    """Saliency maps over their pictures, which turn pale grey: orange speaks for the target, blue against. Quick, for panels.

    images: (1, C, H, W) in [0, 1], one a map, or a single one for all; maps: (H, W) or (1, H, W), any range, each on its own
    scale, from 0, or the lowest if all are above, to the value that one pixel in a hundred exceeds; alt: what is to be seen, if
    the captions do not say it.
    """
    images = list(images) * (len(maps) if len(images) == 1 else 1)
    columns = min(columns, len(maps))
    rows, deep = -(-len(maps) // columns), 0.19 * max(c.count("\n") + 1 for c in captions) + 0.1
    width, height = columns * size + 0.1, rows * (size + deep) + 0.4
    figure = Figure(figsize=(width, height))  # laid out by hand: finding the layout takes as long as drawing it
    for place, (image, values, caption) in enumerate(zip(images, maps, captions, strict=True)):
        values, image = _pixels(values), data.to_bytes(image).mean(2) / 255
        values = values - max(float(values.min()), 0.0)
        reach = max(float(np.quantile(np.abs(values), 0.99)), float(np.abs(values).max()) / 100, 1e-12)
        strength = np.clip(np.abs(values) / reach, 0, 1)[..., None]
        colour = np.where(values[..., None] > 0, to_rgb(RED), to_rgb(BLUE))
        pale = np.repeat(0.75 + 0.25 * image[..., None], 3, 2)
        left, low = (0.05 + place % columns * size) / width, (height - 0.4 - (place // columns) * (size + deep) - size) / height
        ax = figure.add_axes((left, low, size * 0.97 / width, size * 0.97 / height))
        ax.imshow(pale + strength * (colour - pale), interpolation="nearest" if values.shape[-1] < 100 else "antialiased")
        ax.set_title(caption, y=0, va="top", pad=-4, fontsize=10)
        ax.axis("off")
    figure.suptitle(title, fontsize=12, y=1 - 0.08 / height, va="top")
    return Picture(figure, alt or f"{title}. Maps: " + "; ".join(c.replace("\n", ", ") for c in captions) + ".", photo=True)


def curves(x: Sequence[float], lines: dict[str, Sequence[float]], title: str, xlabel: str, ylabel: str, log: str = "",
           alt: str = "") -> Picture:
    """Lines over one axis, told apart by colour, marker and name. x: (n,); lines: name -> (n,); log: "x", "y" or "xy"."""
    figure, axes = _figure(6.4, 3.6)
    ax = axes[0, 0]
    for (name, y), colour, marker in zip(lines.items(), COLOURS, "os^Dv*", strict=False):
        ax.plot(x, y, color=colour, marker=marker, markersize=5, label=name)
    for axis in log:
        getattr(ax, f"set_{axis}scale")("log")
    if "x" in log and len(x) <= 7:  # the places measured, and no powers of ten between them
        ax.set_xticks(x, [f"{place:,g}" for place in x])
        ax.xaxis.minorticks_off()
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if len(lines) > 1:
        ax.legend(frameon=False)
    ends = "; ".join(f"{name} goes from {y[0]:.3g} to {y[-1]:.3g}" for name, y in lines.items())
    return Picture(figure, alt or f"{title}. Over {xlabel}: {ends}.")


def histograms(groups: dict[str, torch.Tensor], title: str, xlabel: str, bins: int = 40, alt: str = "") -> Picture:
    """Histograms over each other, each with its median as a dashed line. groups: name -> (n,) finite numbers."""
    figure, axes = _figure(6.4, 3.4)
    ax = axes[0, 0]
    groups = {name: _pixels(values) for name, values in groups.items()}
    edges = np.linspace(0, max(np.quantile(v, 0.99) for v in groups.values()), bins + 1)
    for (name, values), colour, hatch in zip(groups.items(), COLOURS, ("", "//", "..", "xx"), strict=False):
        middle = float(np.median(values))
        ax.hist(values, edges, color=colour, alpha=0.55, hatch=hatch, edgecolor="white", label=f"{name}, median {middle:.3f}")
        ax.axvline(middle, color=colour, linestyle="--")
    ax.set(xlabel=xlabel, ylabel="images", title=title)
    ax.legend(frameon=False)
    return Picture(figure, alt or f"{title}. Medians over {xlabel}: "
                   + "; ".join(f"{name} {np.median(v):.3f}" for name, v in groups.items()) + ".")


def chances(image: torch.Tensor, names: Sequence[str], probabilities: Sequence[float], title: str, mark: str = "") -> Picture:
    """A picture on the left, a bar a class on the right. mark: the class to colour, with an arrow besides.

    image: (1, C, H, W) in [0, 1]; names, probabilities: one a class, in the order to draw. Quick, for panels.
    """
    figure = Figure(figsize=(7.0, 3.5))  # laid out by hand: finding the layout takes as long as drawing it
    left, right = figure.add_axes((0.01, 0.03, 0.44, 0.85)), figure.add_axes((0.5, 0.03, 0.47, 0.85))
    _show(left, image)
    said = _bars(right, names, probabilities, mark)
    figure.suptitle(title, fontsize=12)
    return Picture(figure, f"{title}. Probabilities: {said}.", photo=True)


def ticks(values: torch.Tensor, rows: Sequence[str], columns: Sequence[str], title: str, label: str,
          alt: str = "") -> Picture:
    """A table of yes (✓, yellow) and no (×, blue). values: booleans (rows, columns); label: what the rows and columns are."""
    values = np.asarray(values.cpu(), dtype=bool)
    figure, axes = _figure(0.62 * len(columns) + 2.4, 0.3 * len(rows) + 2.0)
    ax = axes[0, 0]
    _squares(ax, values, rows, columns, lambda v: "✓" if v else "×")
    ax.set_xticklabels(columns, rotation=40, ha="right")
    ax.set_title(title)
    failures = [f"{rows[i]} to {columns[j]}" for i, j in np.argwhere(~values)]
    return Picture(figure, alt or f"{title}. A table of {label}. No: {', '.join(failures) or 'none'}.")


def matrix(values: torch.Tensor, rows: Sequence[str], columns: Sequence[str], title: str, xlabel: str, ylabel: str) -> Picture:
    """A table of shares, 0 to 1, as percentages on a scale from blue to yellow. values: (rows, columns)."""
    values = np.asarray(values.cpu(), dtype=np.float32)
    figure, axes = _figure(0.95 * len(columns) + 2.2, 0.5 * len(rows) + 1.5)
    ax = axes[0, 0]
    _squares(ax, values, rows, columns, "{:.0%}".format)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_title(title, fontsize=11)
    said = "; ".join(f"{r}: " + ", ".join(f"{c} {v:.0%}" for c, v in zip(columns, line, strict=True))
                     for r, line in zip(rows, values, strict=True))
    return Picture(figure, f"{title}. A table of {ylabel} by {xlabel}. {said}.")


def attacked(image: torch.Tensor, moved: torch.Tensor, names: Sequence[str], probabilities: Sequence[float], title: str,
             note: str = "") -> Picture:
    """An attacked picture, its change made visible, and a bar a class. Quick, for panels.

    image, moved: (1, C, H, W) in [0, 1], before and after; names, probabilities: of the attacked one; note: under the change.
    """
    figure = Figure(figsize=(9.2, 3.4))  # laid out by hand: finding the layout takes as long as drawing it
    boxes = ((0.01, 0.15, 0.3, 0.75), (0.33, 0.15, 0.3, 0.75), (0.66, 0.15, 0.33, 0.75))
    shown = ((moved, "the picture"), (magnified(moved - image), f"the change, magnified{note}"))
    for box, (picture, caption) in zip(boxes, shown, strict=False):
        ax = figure.add_axes(box)
        _show(ax, picture)
        ax.set_title(caption, y=0, va="top", pad=-4, fontsize=10)
    said = _bars(figure.add_axes(boxes[2]), names, probabilities)
    figure.suptitle(title, fontsize=12)
    return Picture(figure, f"{title}. Probabilities: {said}.{note}", photo=True)


def magnified(change: torch.Tensor) -> torch.Tensor:
    """A change of pixels made visible: its largest value becomes black or white, no change is grey. Returns (…) in [0, 1]."""
    return 0.5 + change / (2 * change.abs().max().clamp(min=1e-12))


def products(lines: Sequence[tuple[tuple[str, int, int], tuple[str, int, int], str]], title: str) -> Picture:
    """Matrix products as boxes whose sides are their dimensions; one that does not fit says which two sides do not meet.

    lines: each (name, rows, columns), (name, rows, columns), name of the result. Sides of one number have one colour, and are
    as long as its 0.35th power, or 784 would dwarf 5.
    """
    numbers = list(dict.fromkeys(n for first, second, _ in lines for n in (*first[1:], *second[1:])))
    colours = {n: COLOURS[i % len(COLOURS)] for i, n in enumerate(numbers)}
    boxes, words, said, top, right = [], [], [], 0.0, 0.0  # boxes and words with their x and the y of their middle
    for first, second, result in lines:
        fits, sizes = first[2] == second[1], f"{first[0]} ({first[1]} × {first[2]}) @ {second[0]} ({second[1]} × {second[2]})"
        row = [first, second] + ([(result, first[1], second[2])] if fits else [])
        middle, x = top + max(box[1] ** 0.35 for box in row) / 2, 0.0
        for box, mark in zip(row, ("", "@", "="), strict=False):
            x += 3.6 if mark else 0
            words.append((x - 2.9, middle, mark))
            boxes.append((x, middle, *box))
            x += box[2] ** 0.35
        said.append(f"{sizes} = {result} ({first[1]} × {second[2]})" if fits else
                    f"{sizes} does not fit, {first[2]} meets {second[1]}")
        if not fits:
            words.append((x + 1, middle, f"×  does not fit: {first[2]} meets {second[1]}"))
            x += 10
        top, right = 2 * middle - top + 2.8, max(right, x)
    figure = Figure(figsize=(max(0.19 * (right + 4), 5.5), 0.19 * (top + 0.5) + 0.4))
    ax = figure.add_axes((0, 0, 1, 1 - 0.4 / figure.get_figheight()))
    for x, y, text in words:
        ax.text(x, y, text, va="center", fontsize=10 if len(text) > 1 else 12)
    for x, y, name, rows, columns in boxes:
        end, low, high = x + columns**0.35, y + rows**0.35 / 2, y - rows**0.35 / 2
        ax.fill([x, end, end, x], [low, low, high, high], color="#EEEEEE")
        for side in (x, end):
            ax.plot((side, side), (low, high), color=colours[rows], linewidth=3, solid_capstyle="butt")
        for side in (low, high):
            ax.plot((x, end), (side, side), color=colours[columns], linewidth=3, solid_capstyle="butt")
        ax.text(x - 0.3, y, rows, ha="right", va="center", fontsize=8)
        ax.text((x + end) / 2, high - 0.25, columns, ha="center", va="bottom", fontsize=8)
        inside = end - x > 0.65 * len(name)
        ax.text((x + end) / 2, y if inside else low + 0.25, name, ha="center", va="center" if inside else "top", fontsize=10)
    ax.set(xlim=(-2, right + 1), ylim=(top - 1, -1.5), aspect="equal")
    ax.axis("off")
    figure.suptitle(title, fontsize=12)
    return Picture(figure, f"{title}. Boxes: {'; '.join(said)}.")


def neuron(points: np.ndarray, kinds: np.ndarray, names: Sequence[str], weights: Sequence[float], bias: float, title: str,
           xlabel: str, ylabel: str) -> Picture:
    """Two kinds of points, and one sigmoid neuron's opinion of the plane: blue where it says the first, orange the second.

    points: (n, 2); kinds: (n,), 0 or 1; names: of the two; weights: two. The line is where it is undecided. Quick, for panels.
    """
    figure = Figure(figsize=(6.4, 4.2))  # laid out by hand: finding the layout takes as long as drawing it
    ax = figure.add_axes((0.1, 0.13, 0.86, 0.77))
    (left, low), (right, high) = points.min(axis=0) - 0.3, points.max(axis=0) + 0.3
    across, up = np.meshgrid(np.linspace(left, right, 90), np.linspace(low, high, 60))
    sums = weights[0] * across + weights[1] * up + bias
    extent = (left, right, low, high)
    ax.imshow(np.tanh(sums / 2), cmap=SIGNED, vmin=-1.6, vmax=1.6, extent=extent, origin="lower", aspect="auto")
    line = sums.min() < 0 < sums.max()
    if line:
        ax.contour(across, up, sums, [0], colors="black")
    for kind, colour, marker in ((0, BLUE, "o"), (1, ORANGE, "^")):
        ax.plot(*points[kinds == kind].T, marker, color=colour, markeredgecolor="white", markeredgewidth=0.5, label=names[kind])
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(loc="upper right", framealpha=0.9)
    figure.suptitle(title, fontsize=12)
    wrong = int(((points @ np.asarray(weights) + bias > 0) != kinds).sum())
    said = f"{wrong} on the wrong side of a line" if line else "no line, one colour all over"
    return Picture(figure, f"{title}. {len(points)} points, {ylabel} over {xlabel}; {said}.")


def coloured_text(text: str, values: torch.Tensor, title: str, alt: str = "") -> Picture:
    """A text whose every character stands on a colour: orange where its value is high, blue where low, white at 0.

    values: a number a character, (T,); the largest size is full colour. Line ends take no colour. Quick, for panels.
    """
    if len(values) != len(text):
        raise ValueError(f"A value a character is wanted: {len(text)} characters and {len(values)} values came.")
    lines, shades, place = text.split("\n"), _pixels(values) / max(float(values.abs().max()), 1e-12), 0
    across = max(map(len, lines))
    grid = np.zeros((len(lines), across), dtype=np.float32)
    for row, line in enumerate(lines):
        grid[row, :len(line)] = shades[place:place + len(line)]
        place += len(line) + 1
    wide, margin = 8, 0.15  # dots, a whole number as type is drawn, and inches
    points = wide / 0.602 * 72 / DOTS  # a character of this face is 0.602 of its size wide
    width, height = across * wide / DOTS, len(lines) * points * 1.5 / 72
    figure = Figure(figsize=(width + 2 * margin, height + margin + 0.4))
    ax = figure.add_axes((margin / (width + 2 * margin), margin / (height + margin + 0.4), width / (width + 2 * margin),
                          height / (height + margin + 0.4)))
    ax.imshow(grid, cmap=SIGNED, vmin=-1.25, vmax=1.25, aspect="auto", extent=(0, across, len(lines), 0))
    for row, line in enumerate(lines):
        ax.text(0, row + 0.5, line, family="DejaVu Sans Mono", fontsize=points, va="center", parse_math=False)
    ax.axis("off")
    figure.suptitle(title, fontsize=11)
    return Picture(figure, alt or f"{title}. {len(lines)} lines of text, each character on a colour from blue to orange.")


def microscope(photo: torch.Tensor, activation: torch.Tensor, box: tuple[float, float, float], patch: torch.Tensor,
               excites: torch.Tensor | None, title: str) -> Picture:
    """A unit under the microscope: its activation, that over the photo, the patch it likes best, and what excites it.

    photo: (1, 3, S, S) in [0, 1]; activation: (h, w), any range; box: the patch's top, left and side, in pixels of the photo;
    excites: (1, 3, s, s), or None while it is being made. Quick, for panels.
    """
    values, size = _pixels(activation), photo.shape[-1]
    strength = np.clip(values / max(float(values.max()), 1e-12), 0, 1)
    figure = Figure(figsize=(9.4, 2.9))
    axes = [figure.add_axes((0.008 + i * 0.25, 0.06, 0.235, 0.76)) for i in range(4)]
    reach = max(float(np.abs(values).max()), 1e-12)
    axes[0].imshow(values, cmap=SIGNED, vmin=-reach, vmax=reach, interpolation="nearest")
    light = torch.nn.functional.interpolate(torch.as_tensor(strength)[None, None], (size, size), mode="bilinear")
    axes[1].imshow(data.to_bytes(photo.cpu() * (0.25 + 0.75 * light.clamp(0, 1))))
    top, left, side = box
    axes[1].add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=ORANGE, linewidth=2))
    axes[2].imshow(data.to_bytes(patch), interpolation="nearest")
    if excites is not None:
        axes[3].imshow(data.to_bytes(excites))
    captions = ("activation", "lit where it is high", "the patch in the box", "what excites it" if excites is not None else "…")
    for ax, caption in zip(axes, captions, strict=True):
        ax.set_title(caption, fontsize=10)
        ax.axis("off")
    figure.suptitle(title, fontsize=11, y=0.99)
    return Picture(figure, f"{title}. Four pictures: {', '.join(captions)}. Activations go from {values.min():.2g} to "
                   f"{values.max():.2g}.", photo=True)


def weights(names: Sequence[str], values: np.ndarray, intervals: np.ndarray, title: str, most: int = 8) -> Picture:
    """Weights as bars from 0, the largest first: orange speaks for, blue against; a whisker is an interval. Quick, for panels.

    names, values: (d,); intervals: (d, 2), low and high; most: how many are shown.
    """
    values, intervals = np.asarray(values, dtype=float), np.asarray(intervals, dtype=float)
    order = np.argsort(-np.abs(values), kind="stable")[:most]
    figure = Figure(figsize=(7.0, 0.3 * len(order) + 0.9))  # laid out by hand: finding the layout takes as long as drawing it
    left = min(0.085 * max(len(names[i]) for i in order) + 0.3, 3.6) / 7.0
    ax = figure.add_axes((left, 0.42 / figure.get_figheight(), 0.97 - left, 0.3 * len(order) / figure.get_figheight()))
    for place, i in enumerate(order):
        ax.barh(place, values[i], 0.62, color=ORANGE if values[i] > 0 else BLUE)
        ax.plot(intervals[i], (place, place), color="black", linewidth=1.3, marker="|", markersize=7)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set(yticks=range(len(order)), yticklabels=[names[i] for i in order], ylim=(len(order) - 0.5, -0.5))
    ax.set_xlabel("weight, in probability: − against (blue), + for (orange)", fontsize=9)
    ax.tick_params(labelsize=9)
    ax.spines[["top", "right", "left"]].set_visible(False)
    figure.suptitle(title, fontsize=12)
    said = ", ".join(f"{names[i]} {values[i]:+.2f}" for i in order)
    return Picture(figure, f"{title}. Weights: {said}.")


def region(points: np.ndarray, kinds: np.ndarray, names: Sequence[str], corner: tuple[float, float], title: str, xlabel: str,
           ylabel: str) -> Picture:
    """Two kinds of points, and the part of the plane where x and y are above two thresholds, shaded. Quick, for panels.

    points: (n, 2), y above 0, drawn on a logarithmic scale; kinds: (n,), 0 or 1; names: of the two, in that order; corner: the
    thresholds of x and y.
    """
    figure = Figure(figsize=(6.4, 4.0))  # laid out by hand: finding the layout takes as long as drawing it
    ax = figure.add_axes((0.12, 0.13, 0.85, 0.74))
    (left, low), (right, high) = points.min(axis=0) * 0.9, points.max(axis=0) * 1.1
    for kind, colour, marker in ((0, BLUE, "o"), (1, ORANGE, "^")):
        ax.plot(*points[kinds == kind].T, marker, color=colour, markersize=4, alpha=0.7, markeredgewidth=0, label=names[kind])
    ax.set(xlim=(left, right), ylim=(low, high), xlabel=xlabel, ylabel=ylabel)
    ax.set_yscale("log", subs=())
    x, y = max(corner[0], left), max(corner[1], low)
    ax.fill([x, right, right, x], [y, y, high, high], facecolor=YELLOW, alpha=0.35, edgecolor="black", zorder=0)
    ax.legend(loc="lower right", framealpha=0.9)
    figure.suptitle(title, fontsize=11)
    inside = (points > np.array(corner)).all(axis=1)
    said = " and ".join(f"{(inside & (kinds == kind)).sum()} of {(kinds == kind).sum()} {names[kind]}" for kind in (0, 1))
    return Picture(figure, f"{title}. Points of {ylabel} over {xlabel}; where {xlabel} is above {corner[0]:g} and {ylabel} "
                   f"above {corner[1]:g} lie {said}.")


def intervals(names: Sequence[str], values: Sequence[float], intervals: np.ndarray, title: str, label: str,
              notes: Sequence[str] | None = None, reach: tuple[float, float] = (0, 1)) -> Picture:
    """Shares as dots with their intervals as whiskers, a line each, such as the lines of a rule list. Quick, for panels.

    names, values: one a line, from the top; intervals: (lines, 2), low and high; label: what the shares are; notes: at the end
    of each line; reach: of the axis.
    """
    lines, notes = len(names), notes or [""] * len(names)
    wide, tail = min(4.8, 0.3 + 0.078 * max(map(len, names))), 0.2 + 0.075 * max(map(len, notes))
    across = max(wide + 3.0 + tail, 0.105 * len(title))
    figure = Figure(figsize=(across, 0.33 * lines + 1.05))  # laid out by hand: finding the layout is slow
    height, width = figure.get_figheight(), figure.get_figwidth()
    ax = figure.add_axes((wide / width, 0.5 / height, 3.0 / width, 0.33 * lines / height))
    for place, (value, interval, note) in enumerate(zip(values, intervals, notes, strict=True)):
        ax.plot(interval, (place, place), color=BLUE, linewidth=2)
        ax.plot(value, place, "o", color=BLUE, markersize=6)
        ax.text(1.03, place, note, va="center", fontsize=9, transform=ax.get_yaxis_transform())
    ax.set(yticks=range(lines), yticklabels=names, ylim=(lines - 0.5, -0.5), xlim=reach)
    ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    ax.set_xlabel(label, fontsize=9)
    ax.tick_params(labelsize=9, length=0)
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    figure.suptitle(title, fontsize=12)
    said = "; ".join(f"{name}: {value:.0%}, {low:.0%} to {high:.0%}{', ' * bool(note)}{note}"
                     for name, value, (low, high), note in zip(names, values, intervals, notes, strict=True))
    return Picture(figure, f"{title}. {label[0].upper() + label[1:]}: {said}.")


class Film(Picture):
    """A film and a still of it. What moves plays only when asked, a few times: click, or press Enter on, "Play the film".

    still: a `Picture` of a few of its frames, shown where nothing can play; frames: one size, (1, 3, H, W) in [0, 1].
    """

    def __init__(self, still: Picture, frames: Sequence[torch.Tensor], seconds: float, plays: int):
        self.kind, self.alt, self.bytes, self.length = still.kind, still.alt, still.bytes, seconds * len(frames)
        self.plays, file = plays, io.BytesIO()
        images = [Image.fromarray(data.to_bytes(frame)).quantize(48, dither=Image.Dither.NONE) for frame in frames]
        again = {"loop": plays - 1} if plays > 1 else {}  # the format counts the times after the first
        images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=round(1000 * seconds), **again)
        self.gif = file.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        bundle, metadata = super()._repr_mimebundle_()
        encoded = base64.b64encode(self.gif).decode()
        often = f", {self.plays} times over" if self.plays > 1 else ""
        bundle["text/html"] += (f"<details><summary>Play the film ({self.length:.0f} s{often})</summary>"
                                f'<img alt="The film, moving" src="data:image/gif;base64,{encoded}"></details>')
        return bundle | {"image/gif": encoded}, metadata | {"image/gif": {"alt": self.alt}}


def film(frames: Sequence[torch.Tensor], title: str, seconds: float = 0.15, plays: int = 3, alt: str = "") -> Film:
    """Frames as a film that plays when asked, under a still of the first, the middle and the last.

    frames: one size, (1, 3, H, W) in [0, 1]; seconds: a frame's; plays: how many times over; alt: what is to be seen.
    """
    frames = list(frames)
    if not frames or any(frame.shape != frames[0].shape for frame in frames):
        raise ValueError(f"Frames of one size are wanted; {len(frames)} came"
                         + (f", of {len({f.shape for f in frames})} sizes." if frames else "."))
    chosen = sorted({0, len(frames) // 2, len(frames) - 1})
    still = pictures([frames[i] for i in chosen], [f"frame {i + 1} of {len(frames)}" for i in chosen], title, columns=3,
                     size=2.6, alt=alt)
    return Film(still, frames, seconds, plays)
