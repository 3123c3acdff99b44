"""Pictures, maps over them, and films."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch.nn import functional as F

from trickkit import data
from trickkit.common import validate_count
from trickkit.plots.picture import (
    BLUE,
    DPI,
    ORANGE,
    RED,
    SIGNED,
    Picture,
    as_pixels,
    draw_caption,
    panel_figure,
    show_image,
)

QUALITY = 60  # of a film's photographs, of 100: eyes that move forgive more than the still's 88


def pictures(
    images: Sequence[torch.Tensor] | torch.Tensor,
    captions: Sequence[str],
    title: str,
    *,
    columns: int = 4,
    size: float = 2.4,
    rows: Sequence[str] = (),
    heads: Sequence[str] = (),
    alt: str = "",
) -> Picture:
    """Pictures side by side, a caption under each.

    images: tensors (1, 3, H, W) or (1, 1, H, W) in [0, 1], or one batch.
    title: the finding.
    size: inches a picture.
    rows, heads: what each row shows, at its left, and each column, above it.
    alt: what is to be seen, if the captions do not say it.
    """
    images = list(images)
    # Wide pictures want no square's room.
    aspect = min(1, max(image.shape[-2] / image.shape[-1] for image in images))
    figure, axes, _ = picture_grid(
        captions,
        title,
        len(images),
        columns=columns,
        size=size,
        aspect=aspect,
        rows=rows,
        heads=heads,
    )
    for ax, image in zip(axes, images, strict=True):
        show_image(ax, image)
    said = "; ".join(c.replace("\n", ", ") for c in captions if c)
    said += "." * bool(said)
    return Picture(
        figure,
        alt or f"{title}. {rows_and_columns(rows, heads)}{said}".rstrip(),
        jpeg=images[0].shape[-1] >= 100,
    )


def signed(
    maps: Sequence[torch.Tensor | np.ndarray] | torch.Tensor | np.ndarray,
    captions: Sequence[str],
    title: str,
    *,
    columns: int = 5,
    size: float = 1.7,
    rows: Sequence[str] = (),
    heads: Sequence[str] = (),
    alt: str = "",
) -> Picture:
    """Maps of positive and negative numbers: orange raises, blue lowers, white does nothing; one
    scale for all.

    maps: tensors (H, W) or (1, H, W), any range.
    size: inches a map.
    rows, heads: what each row shows, at its left, and each column, above it.
    alt: what is to be seen, if the captions do not say it.
    """
    pixels = [as_pixels(m) for m in maps]
    aspect = min(1, pixels[0].shape[-2] / pixels[0].shape[-1])
    figure, axes, scale = picture_grid(
        captions,
        title,
        len(pixels),
        columns=columns,
        size=size,
        aspect=aspect,
        rows=rows,
        heads=heads,
        scale=0.75,
    )
    limit = max(float(np.abs(m).max()) for m in pixels)
    for ax, values in zip(axes, pixels, strict=True):
        drawn = ax.imshow(values, cmap=SIGNED, vmin=-limit, vmax=limit)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color("0.85")  # or a white map would have no edge
    figure.colorbar(drawn, cax=scale)
    return Picture(
        figure,
        alt
        or f"{title}. {rows_and_columns(rows, heads)}Maps of {', '.join(captions)},"
        " orange where positive and blue where negative.",
    )


def picture_grid(
    captions: Sequence[str],
    title: str,
    count: int,
    *,
    columns: int,
    size: float,
    aspect: float,
    rows: Sequence[str] = (),
    heads: Sequence[str] = (),
    scale: float = 0.0,
) -> tuple[Figure, list[Axes], Axes | None]:
    """A figure, axes for so many pictures, their captions drawn, and axes for a scale.

    size: inches from one picture to the next.
    aspect: a picture's height over its width.
    rows, heads: the names of rows and columns.
    scale: inches at the right for a scale; 0 for none.
    """
    columns = min(columns, count)
    lines = max((c.count("\n") + 1 for c in captions if c), default=0)
    left = 0.05 + max((0.092 * len(part) + 0.15 for r in rows for part in r.split("\n")), default=0)
    top = 0.42 + 0.22 * bool(heads)
    down = (size - 0.07) * aspect + 0.19 * lines + 0.08
    height = top + -(-count // columns) * down + 0.05
    width = left + columns * size + scale + 0.05
    figure = panel_figure(width, height, title, y=1 - 0.08 / height, va="top")
    axes = []
    for place in range(count):
        x, y = left + place % columns * size, height - top - place // columns * down
        sides = (size - 0.07) / width, (size - 0.07) * aspect / height
        ax = figure.add_axes((x / width, y / height - sides[1], *sides), anchor="S")
        draw_caption(ax, captions[place] if place < len(captions) else "")
        axes.append(ax)
        middle = y / height - sides[1] / 2
        if rows and place % columns == 0:
            figure.text((x - 0.1) / width, middle, rows[place // columns], ha="right", va="center")
        if heads and place < columns:
            above = y / height + 0.05 / height
            figure.text(x / width + sides[0] / 2, above, heads[place], ha="center", va="bottom")
    if not scale:
        return figure, axes, None
    tall = min(height - top - 0.19 * lines - 0.1, 3.0)
    below = 1 - (top + tall) / height
    return (
        figure,
        axes,
        figure.add_axes(((width - scale + 0.05) / width, below, 0.14 / width, tall / height)),
    )


def rows_and_columns(rows: Sequence[str], heads: Sequence[str]) -> str:
    """The names of rows and columns, as part of an alt text; nothing where there are none."""
    said = [
        f"{kind}: {', '.join(' '.join(name.split()) for name in names)}. "
        for kind, names in (("Rows", rows), ("Columns", heads))
        if names
    ]
    return "".join(said)


def maps(
    images: Sequence[torch.Tensor] | torch.Tensor,
    maps: Sequence[torch.Tensor] | torch.Tensor,
    captions: Sequence[str],
    title: str,
    *,
    columns: int = 4,
    size: float = 2.4,
    alt: str = "",
) -> Picture:
    """Saliency maps over their pictures, which turn pale grey: orange speaks for the target, blue
    against. For panels.

    images: (1, C, H, W) in [0, 1], one a map, or a single one for all.
    maps: (H, W) or (1, H, W), any range, each on its own scale, from 0, or the lowest if all are
        above, to the value that one pixel in a hundred exceeds.
    size: inches a map.
    alt: what is to be seen, if the captions do not say it.
    """
    images = list(images) * (len(maps) if len(images) == 1 else 1)
    columns = min(columns, len(maps))
    rows = -(-len(maps) // columns)
    below = 0.19 * max(c.count("\n") + 1 for c in captions) + 0.1
    width = columns * size + 0.1
    height = rows * (size + below) + 0.4
    figure = panel_figure(width, height, title, y=1 - 0.08 / height, va="top")
    for place, (image, values, caption) in enumerate(zip(images, maps, captions, strict=True)):
        values = as_pixels(values)
        image = data.to_bytes(image).mean(2) / 255
        values = values - max(float(values.min()), 0.0)
        limit = max(
            float(np.quantile(np.abs(values), 0.99)), float(np.abs(values).max()) / 100, 1e-12
        )
        strength = np.clip(np.abs(values) / limit, 0, 1)[..., None]
        colour = np.where(values[..., None] > 0, to_rgb(RED), to_rgb(BLUE))
        pale = np.repeat(0.75 + 0.25 * image[..., None], 3, 2)
        left = (0.05 + place % columns * size) / width
        bottom = (height - 0.4 - (place // columns) * (size + below) - size) / height
        ax = figure.add_axes((left, bottom, size * 0.97 / width, size * 0.97 / height))
        ax.imshow(
            pale + strength * (colour - pale),
            interpolation="nearest" if values.shape[-1] < 100 else "antialiased",
        )
        draw_caption(ax, caption)
        ax.axis("off")
    return Picture(
        figure,
        alt or f"{title}. Maps: " + "; ".join(c.replace("\n", ", ") for c in captions) + ".",
        jpeg=True,
    )


def lit(
    images: Sequence[torch.Tensor] | torch.Tensor,
    maps: Sequence[torch.Tensor] | torch.Tensor,
    captions: Sequence[str],
    title: str,
    *,
    columns: int = 6,
    size: float = 1.5,
    quantile: float = 0.99,
    full: float | None = None,
    box: tuple[float, float, float, float] | None = None,
    alt: str = "",
) -> Picture:
    """Photos in the dark, lit where a map is high. Quick enough for a panel.

    images: (1, 3, H, W) in [0, 1], one a map, or a single one for all.
    maps: (h, w), 0 or more, each on its own scale unless `full` is given.
    size: inches a photo.
    quantile: full light is where a map is as high as in this share of its places, or higher.
    full: the value that gives full light in every photo, so that they can be compared.
    box: marked in every photo: left, top, width, height, in shares of its sides.
    alt: what is to be seen, if the captions do not say it.
    """
    images = list(images) * (len(maps) if len(images) == 1 else 1)
    columns = min(columns, len(maps))
    below = 0.19 * max(c.count("\n") + 1 for c in captions) + 0.06 if any(captions) else 0.0
    width = columns * size + 0.1
    height = -(-len(maps) // columns) * (size + below) + 0.4
    figure = panel_figure(width, height, title, y=1 - 0.08 / height, va="top")
    # One drawing for all, in dots: a pair of axes a photo would take seconds for a sheet of them.
    side = round(size * DPI)
    sheet = np.full((round((height - 0.4) * DPI), round((width - 0.1) * DPI), 3), 255, np.uint8)
    ax = figure.add_axes((0.05 / width, 0, 1 - 0.1 / width, 1 - 0.4 / height))
    for place, (image, values, caption) in enumerate(zip(images, maps, captions, strict=True)):
        values = torch.as_tensor(values).detach().float().cpu()
        brightest = values.quantile(quantile).clamp(min=1e-12) if full is None else full
        light = (values / brightest).clamp(0, 1)
        small = F.interpolate(image.cpu().view(1, *image.shape[-3:]), (side - 3,) * 2, mode="area")
        light = F.interpolate(light[None, None], small.shape[-2:], mode="bilinear")
        top = round(place // columns * (size + below) * DPI)
        left = place % columns * side
        tile = data.to_bytes(small * (0.12 + 0.88 * light))
        sheet[top : top + side - 3, left : left + side - 3] = tile
        ax.text(left + side / 2, top + side + 1, caption, va="top", ha="center", fontsize=10)
        if box:
            corner = left + box[0] * (side - 3), top + box[1] * (side - 3)
            sides = box[2] * (side - 3), box[3] * (side - 3)
            ax.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=ORANGE, linewidth=2))
    ax.imshow(sheet, aspect="auto")
    ax.axis("off")
    said = "; ".join(c.replace("\n", ", ") for c in captions if c)
    return Picture(figure, alt or f"{title}. Photos lit where the map is high: {said}.", jpeg=True)


def magnified(change: torch.Tensor) -> torch.Tensor:
    """A change of pixels made visible: its largest value becomes black or white, no change is grey.

    Returns (…) in [0, 1].
    """
    return 0.5 + change / (2 * change.abs().max().clamp(min=1e-12))


class Film(Picture):
    """A film and a still of it.

    What moves plays only when asked, a few times: click, or press Enter on, "Play the film".

    still: a `Picture` of a few of its frames, shown where nothing can play.
    frames: one size, (1, 3, H, W) in [0, 1].
    seconds: a frame's.
    plays: how many times over.
    """

    def __init__(
        self, still: Picture, frames: Sequence[torch.Tensor], *, seconds: float, plays: int
    ):
        self.kind = still.kind
        self.alt = still.alt
        self.bytes = still.bytes
        self.length = seconds * len(frames)
        self.plays = plays
        self.format, self.moving = moving_picture(frames, seconds=seconds, plays=plays)

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict, dict]:
        bundle, metadata = super()._repr_mimebundle_()
        mime = f"image/{self.format}"
        encoded = base64.b64encode(self.moving).decode()
        often = f", {self.plays} times over" if self.plays > 1 else ""
        bundle["text/html"] += (
            f"<details><summary>Play the film ({self.length:.0f} s{often})</summary>"
            f'<img alt="The film, moving" src="data:{mime};base64,{encoded}"></details>'
        )
        return bundle | {mime: encoded}, metadata | {mime: {"alt": self.alt}}


def moving_picture(
    frames: Sequence[torch.Tensor], *, seconds: float, plays: int
) -> tuple[str, bytes]:
    """Frames as a file that moves: a drawing as a GIF, photographs as WebP.

    Photographs have more colours than a GIF holds, and are a fraction of its size as WebP.

    frames: one size, (1, 3, H, W) in [0, 1].
    seconds: a frame's.
    plays: how many times over.
    Returns "gif" or "webp", and the file's bytes.
    """
    images = [Image.fromarray(data.to_bytes(frame)) for frame in frames]
    options: dict[str, int]
    if all(image.getcolors(256) for image in images):
        kind = "gif"
        images = [image.quantize(48, dither=Image.Dither.NONE) for image in images]
        # The format counts the times after the first.
        options = {"loop": plays - 1} if plays > 1 else {}
    else:
        kind = "webp"
        options = {"loop": plays, "quality": QUALITY}
    file = io.BytesIO()
    images[0].save(
        file,
        kind,
        save_all=True,
        append_images=images[1:],
        duration=round(1000 * seconds),
        **options,
    )
    return kind, file.getvalue()


def film(
    frames: Sequence[torch.Tensor],
    title: str,
    *,
    seconds: float = 0.15,
    plays: int = 3,
    stills: int = 3,
    alt: str = "",
) -> Film:
    """Frames as a film that plays when asked, under a still of a few of them, three in a row.

    frames: one size, (1, 3, H, W) in [0, 1].
    seconds: a frame's.
    plays: how many times over.
    stills: how many of them stand still, evenly from the first to the last, 2 or more.
    alt: what is to be seen.
    Raises ValueError for no frames, frames of several sizes, or fewer than two stills.
    """
    validate_count(stills=stills, at_least=2)
    frames = list(frames)
    if not frames or any(frame.shape != frames[0].shape for frame in frames):
        raise ValueError(
            f"Frames of one size are wanted; {len(frames)} came"
            + (f", of {len({f.shape for f in frames})} sizes." if frames else ".")
        )
    last = len(frames) - 1
    chosen = sorted({-(-i * last // (stills - 1)) for i in range(stills)})
    still = pictures(
        [frames[i] for i in chosen],
        [f"frame {i + 1} of {len(frames)}" for i in chosen],
        title,
        columns=3,
        size=2.6,
        alt=alt,
    )
    return Film(still, frames, seconds=seconds, plays=plays)
