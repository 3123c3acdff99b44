"""Whether a lesson's stored pictures are still what its code draws.

Alt texts are compared anyway; this finds what they leave out: a tick, a colour, a photograph.
"""

import base64
import io
from collections.abc import Iterable, Mapping

import numpy as np
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

SIDE = 8  # pixels: differences are averaged over squares of about a letter's size
# How far ink may move, in pixels, and how many levels of 255 a square may differ by even so. From
# one processor to another a drawing differs by 1 at most, and a dream, in grey, by 24; other
# words on an axis make 76 of the first, another title 65 of the second.
DRAWING = (1, 4)
PHOTO = (2, 40)
# So many of the squares may differ by more: rounding turned one pixel of an attacked digit, which
# is two squares (0.1 %); other words on an axis are more.
ROUNDED = 0.002
# Where outputs are not compared: networks trained elsewhere moved curves, ticks and weights by
# 3.6 %; another picture is more.
EXEMPT = 0.08


def read(encoded: str) -> tuple[np.ndarray, int]:
    """Pixels (height, width, 3), float, 0 to 255, of a picture in base64, or of a film's first
    frame; and the number of frames."""
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        frames = getattr(image, "n_frames", 1)
        image.seek(0)
        return np.asarray(image.convert("RGB"), dtype=float), frames


def squares(a: np.ndarray, b: np.ndarray, *, reach: int) -> np.ndarray:
    """How many levels two pictures differ by in each square of SIDE pixels, ink that moved by up
    to `reach` pixels apart.

    a, b: (height, width, colours), 0 to 255.
    Returns (rows, columns), the largest of the colours.
    """
    apart = np.zeros_like(a)
    around = (2 * reach + 1, 2 * reach + 1, 1)
    for one, other in ((a, b), (b, a)):
        above = one - maximum_filter(other, around)
        below = minimum_filter(other, around) - one
        apart = np.maximum(apart, np.maximum(above, below))
    height, width = a.shape[:2]
    padded = np.pad(apart, ((0, -height % SIDE), (0, -width % SIDE), (0, 0)))
    rows, columns = padded.shape[0] // SIDE, padded.shape[1] // SIDE
    return padded.reshape(rows, SIDE, columns, SIDE, -1).mean((1, 3)).max(-1)


def compare(stored: str, fresh: str, *, photo: bool = False, exempt: bool = False) -> str:
    """What sets two pictures in base64 apart, in words; nothing if they are alike.

    photo: shades alone count; colours in a dream hang on rounding.
    exempt: what is drawn may hang on rounding, so a word or two may be another.
    """
    if stored.strip() == fresh.strip():
        return ""
    (a, before), (b, now) = read(stored), read(fresh)
    if (a.shape, before) != (b.shape, now):
        (h, w, _), (high, wide, _) = a.shape, b.shape
        return f"stored {w} × {h} pixels, frames {before}; drawn now {wide} × {high}, {now}"
    if photo:
        a, b = (image.mean(axis=2, keepdims=True) for image in (a, b))
    reach, allowed = PHOTO if photo or exempt else DRAWING
    apart = squares(a, b, reach=reach)
    differ = (apart > allowed).sum()
    if differ <= (EXEMPT if exempt else ROUNDED) * apart.size:
        return ""
    down, right = np.unravel_index(apart.argmax(), apart.shape)
    return (
        f"{differ} squares of {SIDE} × {SIDE} pixels differ by more than {allowed} levels, most of"
        f" all the one at {SIDE * right} from the left and {SIDE * down} from the top"
    )


def stale(stored: Iterable[Mapping], fresh: Iterable[Mapping], *, exempt: bool = False) -> str:
    """What sets a cell's stored pictures and films apart from fresh ones, in words; nothing if
    they are alike.

    stored, fresh: the cell's outputs, as in a notebook.
    exempt: nbval does not compare this cell's outputs.
    """
    old, new = (
        [
            (kind, data)
            for output in outputs
            for kind, data in sorted(output.get("data", {}).items())
            if kind.startswith("image/") and kind != "image/webp"  # of which the still is kept
        ]
        for outputs in (stored, fresh)
    )
    if [kind for kind, _ in old] != [kind for kind, _ in new]:
        return f"stored {[kind for kind, _ in old]}; drawn now {[kind for kind, _ in new]}"
    found = (
        compare(before, now, photo=kind != "image/png", exempt=exempt)
        for (kind, before), (_, now) in zip(old, new, strict=True)
    )
    return "; ".join(filter(None, found))
