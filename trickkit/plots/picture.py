"""What a notebook shows: a finished figure with its alt text, and what all figures are drawn with.

Colours are those of Okabe and Ito, told apart by colour-blind readers too; signed values go from
blue over white to orange.
"""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from trickkit import data
from trickkit.contract import Numbers

BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
PINK = "#CC79A7"
SKY = "#56B4E9"
YELLOW = "#F0E442"
RED = "#D55E00"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "white", RED])
DPI = 100  # dots an inch


class Picture:
    """A finished figure with its alt text, which is also its plain-text form: what a screen reader
    says, and what the notebooks' test compares.

    figure: drawn and then let go.
    alt: what is to be seen, in words and numbers.
    jpeg: keep as JPEG, a tenth of the size, for what is mostly photographs; else as PNG.
    """

    def __init__(self, figure: Figure, alt: str, *, jpeg: bool = False):
        file = io.BytesIO()
        self.kind = "jpeg" if jpeg else "png"
        self.alt = " ".join(alt.split()).replace("?. ", "? ")  # after a title that asks
        quality = {"quality": 88} if jpeg else None
        figure.savefig(file, format=self.kind, dpi=DPI, facecolor="white", pil_kwargs=quality)
        self.bytes = file.getvalue()

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict, dict]:
        mime = f"image/{self.kind}"
        encoded = base64.b64encode(self.bytes).decode()
        alt = self.alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
        # JupyterLab shows the HTML, with its alt text; GitHub and nbconvert the image, with the one
        # in its metadata.
        bundle = {
            "text/html": f'<img alt="{alt}" src="data:{mime};base64,{encoded}">',
            mime: encoded,
            "text/plain": self.alt,
        }
        return bundle, {mime: {"alt": self.alt}}

    def show(self) -> None:
        """Show it now, in the middle of a cell."""
        from IPython.display import display

        display(self)


def grid_figure(
    width: float, height: float, *, rows: int = 1, columns: int = 1
) -> tuple[Figure, np.ndarray]:
    """A figure of so many inches, and its axes (rows, columns), for which room is found.

    The axes are open above and on the right.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def panel_figure(
    width: float, height: float, title: str, *, size: float = 12, **place: Any
) -> Figure:
    """A figure of so many inches with a title, and no axes yet: quick enough for a panel.

    Its axes are laid out by hand, for finding a layout takes as long as drawing it. Their own
    titles are told where to stand, y=1, or every tick is measured in search of a place.

    width, height: in inches.
    title: above all axes.
    size: of the title's type, in points.
    place: of the title, as in `Figure.suptitle`.
    """
    figure = Figure(figsize=(width, height))
    figure.suptitle(title, fontsize=size, **place)
    return figure


def show_image(ax: Axes, image: torch.Tensor) -> None:
    """An image on axes without marks; a small one keeps its square pixels."""
    ax.imshow(
        data.to_bytes(image), interpolation="nearest" if image.shape[-1] < 100 else "antialiased"
    )
    ax.axis("off")


def draw_caption(ax: Axes, caption: str) -> None:
    """A caption under an image."""
    ax.set_title(caption, y=0, va="top", pad=-4, fontsize=10)


def draw_points(
    ax: Axes, points: np.ndarray, labels: np.ndarray, names: Sequence[str], **options: Any
) -> None:
    """Two classes of points, told apart by colour, marker and name.

    points: (n, 2).
    labels: (n,), 0 or 1.
    names: of the two.
    options: of the markers, as in `Axes.plot`.
    """
    for label, colour, marker in ((0, BLUE, "o"), (1, ORANGE, "^")):
        ax.plot(*points[labels == label].T, marker, color=colour, label=names[label], **options)


def draw_squares(
    ax: Axes,
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    form: Callable[[float], str],
) -> None:
    """A table as squares from blue to yellow, 0 to 1, a value's words in each.

    values: (rows, columns).
    rows, columns: their names.
    form: a value -> its words.
    """
    ax.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    ax.set(
        xticks=range(len(columns)), xticklabels=columns, yticks=range(len(rows)), yticklabels=rows
    )
    for (i, j), v in np.ndenumerate(values):
        ax.text(
            j,
            i,
            form(v),
            ha="center",
            va="center",
            fontsize=10,
            color="black" if v > 0.5 else "white",
        )


def draw_bars(
    ax: Axes, names: Sequence[str], probabilities: Sequence[float], *, mark: str = ""
) -> str:
    """A bar a class, the marked one in its own colour with an arrow.

    names, probabilities: one a class, in the order to draw.
    mark: the name of the marked one.
    Returns them as words, for the alt text.
    """
    # Of many classes the name stands in the bar, of few above it.
    height = 0.8 if len(names) > 6 else 0.4
    ax.barh(
        range(len(names)),
        probabilities,
        height,
        color=[ORANGE if n == mark else SKY for n in names],
    )
    for place, (name, p) in enumerate(zip(names, probabilities, strict=True)):
        label = f"→ {name}  {p:.2f}" if name == mark else f"{name}  {p:.2f}"
        ax.text(0.01, place if height > 0.5 else place - 0.35, label, va="center", fontsize=10)
    ax.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.6))
    ax.axis("off")
    return ", ".join(f"{n} {p:.2f}" for n, p in zip(names, probabilities, strict=True))


def plain_number(number: float) -> str:
    """A number as one says it: 20,000 or 0.03, and no powers of ten."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.6g}".replace("-", "−")


def plain_ticks(axis: Axis) -> None:
    """Name an axis's ticks in plain numbers."""
    axis.set_major_formatter(lambda number, _: plain_number(number))


def in_memory(numbers: Numbers) -> Numbers:
    """Numbers as they came, but in the computer's own memory, where Matplotlib looks for them."""
    return numbers.cpu() if isinstance(numbers, torch.Tensor) else numbers


def as_pixels(image: torch.Tensor | np.ndarray) -> np.ndarray:
    """A tensor or array without its axes of size 1, as float32 in the computer's own memory."""
    return np.asarray(torch.as_tensor(image).detach().cpu().squeeze(), dtype=np.float32)
