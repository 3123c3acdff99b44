"""Every figure of the course: each function returns a `Picture`, which a notebook shows when a cell ends with it.

Colours are those of Okabe and Ito, told apart by colour-blind readers too; signed values go from blue over white to orange.
"""
import base64
import io
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

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


def _pixels(image: torch.Tensor) -> np.ndarray:
    return np.asarray(image.detach().cpu().squeeze(), dtype=np.float32)


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
    figure, axes = _figure(columns * size + 0.2, rows * (size + 0.19 * lines + 0.1) + 0.5, rows, columns)
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
    figure, axes = _figure(columns * size + 0.9, rows * (size + 0.25) + 0.5, rows, columns)
    reach = max(float(np.abs(m).max()) for m in maps)
    for ax in axes.flat:
        ax.axis("off")
    for ax, values, caption in zip(axes.flat, maps, captions, strict=False):
        drawn = ax.imshow(values, cmap=SIGNED, vmin=-reach, vmax=reach)
        ax.set_title(caption, fontsize=10)
    figure.colorbar(drawn, ax=axes, fraction=0.03)
    figure.suptitle(title, fontsize=12)
    return Picture(figure, alt or f"{title}. Maps of {', '.join(captions)}, orange where positive and blue where negative.")


def curves(x: Sequence[float], lines: dict[str, Sequence[float]], title: str, xlabel: str, ylabel: str, log: str = "",
           alt: str = "") -> Picture:
    """Lines over one axis, told apart by colour, marker and name. x: (n,); lines: name -> (n,); log: "x", "y" or "xy"."""
    figure, axes = _figure(6.4, 3.6)
    ax = axes[0, 0]
    for (name, y), colour, marker in zip(lines.items(), COLOURS, "os^Dv*", strict=False):
        ax.plot(x, y, color=colour, marker=marker, markersize=5, label=name)
    for axis in log:
        getattr(ax, f"set_{axis}scale")("log")
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
