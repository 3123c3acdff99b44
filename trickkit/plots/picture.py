"""What a notebook shows: a finished figure with its alt text, and what all figures are drawn with.

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


def _pixels(image: torch.Tensor | np.ndarray) -> np.ndarray:
    return np.asarray(torch.as_tensor(image).detach().cpu().squeeze(), dtype=np.float32)
