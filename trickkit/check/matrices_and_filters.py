"""The checks of lesson 07. Each draws fresh small kernels, layers, matrices or activations."""

import numbers
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from trickkit import features
from trickkit.check import called, exercise, progress, recognised, written

__all__ = ["correlations", "energy", "progress", "receptive_field", "toeplitz"]
LESSON = "07 matrices_and_filters"


@exercise(
    LESSON,
    features.toeplitz,
    "Column j of a matrix is what it makes of the vector that is 1 at place j and 0 elsewhere.",
    "torch.eye(height * width).view(-1, 1, height, width) is a batch of such images. Convolve them"
    " all at once.",
    "F.conv2d(those, kernel[None, None]).flatten(1) has a row for each: transpose it.",
    rounds=3,
)
def toeplitz(yours):
    """The matrix that does what a convolution does."""
    for k, across in ((3, 3), (2, 3), (3, 2)):
        height = int(torch.randint(5, 8, ()))
        width = height + (1, -1)[int(torch.randint(2, ()))]
        if wrong := filtered_wrongly(yours, torch.randn(k, across), height, width):
            return wrong
    return None


def filtered_wrongly(yours: Callable, kernel: torch.Tensor, height: int, width: int) -> str | None:
    """The sentence for a matrix that does not do what the convolution does, else None."""
    k, across = kernel.shape
    right = features.toeplitz(kernel, height, width)
    known = {
        f"your matrix has {height * width} rows, as with padding. Without it, {len(right)} pixels"
        f" come out: {height - k + 1} × {width - across + 1}.": (height * width, height * width),
        f"your matrix has shape {tuple(right.T.shape)}, and {tuple(right.shape)} is wanted, its"
        " transpose: a row for each pixel that comes out, a column for each that goes in.": (
            tuple(right.T.shape)
        ),
    }
    matrix = yours(kernel, height, width)
    if isinstance(matrix, torch.Tensor) and matrix.layout != torch.strided:
        return (
            "your matrix keeps only what is not 0, which is clever. Here a plain tensor is wanted:"
            " add .to_dense()."
        )
    matrix = called(yours, kernel, height, width, like=right, what="matrix", known=known)
    close = partial(torch.allclose, atol=1e-5)
    if close(matrix, right):
        return None

    def with_kernel(kernel):
        return features.toeplitz(kernel, height, width)

    rolled = torch.stack([right[0].roll(i) for i in range(len(right))])
    exchanged = "your kernel's {} are exchanged. F.conv2d lays it on the image as it is."
    mistakes = {
        "your kernel is turned round by 180°. That is a mathematician's convolution; F.conv2d does"
        " not turn it.": with_kernel(kernel.flip(0, 1)),
        exchanged.format("left and right"): with_kernel(kernel.flip(1)),
        exchanged.format("top and bottom"): with_kernel(kernel.flip(0)),
        "your row r starts at pixel r. At the image's edge the filter jumps to the next line: after"
        f" {width - across + 1} places it moves {across} pixels at once, not one.": rolled,
    }
    if k == across:
        on_its_side = "your kernel lies on its side: its rows have become columns."
        mistakes[on_its_side] = with_kernel(kernel.T.contiguous())
        turned = f"you exchanged height and width: a row of the image has {width} pixels."
        mistakes[turned] = features.toeplitz(kernel, width, height)
    if wrong := recognised(matrix, mistakes, same=close):
        return wrong
    count = (matrix != 0).sum(1).max().item()
    if count > k * across:
        return (
            f"one of your rows has {count} numbers that are not 0. A pixel that comes out sees only"
            f" {k} × {across} = {k * across}."
        )
    first = torch.zeros(height * width)
    first[: k * across] = kernel.flatten()
    if close(matrix[0], first):
        return (
            "in your first row the kernel's rows stand side by side. In the flattened image the"
            f" pixel below is {width} places further on."
        )
    image = torch.randn(height, width)
    wanted = F.conv2d(image[None, None], kernel[None, None]).flatten()
    off = (matrix @ image.flatten() - wanted).abs()
    return (
        f"M @ image.flatten() is not F.conv2d(image, kernel).flatten(): {(off > 1e-4).sum()} of"
        f" {len(off)} pixels differ, by up to {off.max():.2f}."
    )


def seen(steps: list[tuple[int, int]]) -> int:
    """How wide one unit sees, found by the gradient through a row of convolutions with positive
    weights.
    """
    length = 1
    for kernel, stride in reversed(steps):
        length = (length - 1) * stride + kernel
    x = torch.zeros(1, 1, length + 6, dtype=torch.double, requires_grad=True)
    out = x
    for kernel, stride in steps:
        out = F.conv1d(out, torch.ones(1, 1, kernel, dtype=torch.double), stride=stride)
    places = torch.autograd.grad(out[0, 0, 0], x)[0].flatten().nonzero()
    return int(places.max() - places.min()) + 1


@exercise(
    LESSON,
    features.receptive_field,
    "Keep two numbers: how wide one unit sees, and how many pixels apart two neighbouring units"
    " are. Both begin at 1.",
    "A kernel of 3 reaches one neighbour further on either side: (3 - 1) times the distance between"
    " neighbours.",
    "First field += (kernel - 1) * apart, then apart *= stride.",
    rounds=20,
)
def receptive_field(yours):
    """How many pixels one unit sees."""
    steps, more = layers(), layers()
    said = written(yours(steps))
    right = seen(steps)
    if isinstance(said, tuple | list):
        return "your function returns several numbers; the width alone is wanted."
    if isinstance(said, torch.Tensor) and said.numel() != 1:
        return f"what your function returns has shape {tuple(said.shape)}; one number is wanted."
    if isinstance(said, np.ndarray) and said.size == 1:
        said = said.item()
    if not isinstance(said, numbers.Real | torch.Tensor):
        return f"your function returns a {type(said).__name__}; one number is wanted."
    said = float(said)
    if said == right:
        return None
    again = yours(more)
    found = [s for s, way in FIELDS.items() if way(steps) == said and way(more) == again]
    found.append(
        "Go layer by layer: how many neighbours more does a kernel reach, how many pixels apart?"
    )
    return (
        f"through {', '.join(f'({k}, {s})' for k, s in steps)} a unit sees {right} pixels, and you"
        f" say {said:g}. {found[0]}"
    )


def layers() -> list[tuple[int, int]]:
    """Six layers, (kernel, stride) each, through which no two ways of counting see as much."""
    while True:
        steps = [(int(torch.randint(1, 6, ())), int(torch.randint(1, 4, ()))) for _ in range(6)]
        if len({field(steps), *(way(steps) for way in FIELDS.values())}) > len(FIELDS):
            return steps


def field(
    steps: list[tuple[int, int]],
    *,
    less: int = 1,
    own: bool = False,
    join: Callable = lambda apart, stride: apart * stride,
) -> int:
    """How wide one unit would see by some other way of counting.

    less: what is taken from a kernel's width.
    own: whether a layer's own stride counts for itself.
    join: apart, stride -> how far apart the next layer's units are.
    """
    width = 1
    apart = 1
    for kernel, stride in steps:
        after = join(apart, stride)
        width += (kernel - less) * (after if own else apart)
        apart = after
    return width


FIELDS: dict[str, Callable] = {  # the sentence for a mistake -> steps -> the width that it gives
    "Your strides are missing: after a stride of 2,"
    " neighbouring units are twice as far apart.": partial(field, join=lambda apart, stride: 1),
    "A layer's own stride counts only for the layers after it: add first, then multiply.": partial(
        field, own=True
    ),
    "A unit with no layer below sees 1 pixel, not 0.": lambda steps: field(steps) - 1,
    "Strides multiply: after two strides of 2, neighbours are 4 pixels apart, not 5.": partial(
        field, join=lambda apart, stride: apart + stride
    ),
    "Strides multiply: after two strides of 2, neighbours are 4 pixels apart, not 3.": partial(
        field, join=lambda apart, stride: apart + stride - 1
    ),
    "Strides multiply; they are not added up.": lambda steps: (
        1 + sum((k - 1) * max(1, sum(s for _, s in steps[:i])) for i, (k, _) in enumerate(steps))
    ),
    "A kernel of 3 adds 2 neighbours, not 3: the middle one was seen already.": partial(
        field, less=0
    ),
    "You count only the stride of the layer before. All strides before it play a part.": partial(
        field, join=lambda apart, stride: stride
    ),
    "The layers come in the order of the picture's way: the first one reads pixels.": (
        lambda steps: field(steps[::-1])
    ),
    "A kernel reaches to both sides: one of 5 adds 4 neighbours, not 2.": lambda steps: (
        1 + (field(steps) - 1) // 2
    ),
    "The last layer counts too.": lambda steps: field(steps[:-1]),
    "The first layer counts too.": lambda steps: field(steps[1:]),
}


@exercise(
    LESSON,
    features.correlations,
    "Take each column's mean away. Then a.T @ b holds the sums of products of every pair.",
    "Divide by both columns' lengths: a.norm(dim=0)[:, None] * b.norm(dim=0).",
    "A column that never changes has length 0 once its mean is gone. .clamp(min=1e-12) before"
    " dividing leaves it at 0.",
    rounds=20,
)
def correlations(yours):
    """The correlation of every column of a with every column of b."""
    m, n = (3, 5) if torch.rand(()) < 0.5 else (5, 3)
    a = torch.randn(24, m)
    b = torch.randn(24, n)
    a = a * (0.5 + 3 * torch.rand(m)) + 2 * torch.randn(m)
    b = b * (0.5 + 3 * torch.rand(n)) + 2 * torch.randn(n)
    b[:, 0] = 0.6 * a[:, 1] - b[:, 0]
    a[:, 0] = 0
    b[:, 1] = 3  # a dead unit, and one stuck at a whole number, whose mean has no rounding
    right = features.correlations(a, b)
    known = {
        f"your table has shape {(n, m)}; a row for each column of a is wanted, {(m, n)}. Transpose"
        " it.": (n, m),
        "your table holds a against a and b against b as well. Cut out a's rows and b's columns.": (
            (m + n, m + n)
        ),
    }
    dead = "a column that never changes (a dead unit) gives you 0 / 0. Give it correlation 0."
    said = called(yours, a, b, like=right, what="table", known=known, not_finite=dead)
    if torch.allclose(said, right, atol=1e-4):
        return None
    mistakes = correlation_mistakes(a, b, right)
    if wrong := recognised(said, mistakes, same=partial(torch.allclose, rtol=1e-3, atol=1e-5)):
        return wrong
    beyond = divmod(said.abs().argmax().item(), n)
    if said[beyond].abs() > 1.001:
        return (
            f"one of your correlations is {said[beyond]:.3f}. None can be beyond 1: divide by"
            " both columns' lengths."
        )
    i, j = divmod((said - right).abs().argmax().item(), n)
    return (
        f"column {i} of a and column {j} of b correlate at {right[i, j]:.6f}, and you say"
        f" {said[i, j]:.6f}."
    )


def correlation_mistakes(
    a: torch.Tensor, b: torch.Tensor, right: torch.Tensor
) -> dict[str, torch.Tensor | list[torch.Tensor]]:
    """The sentences for what a wrong table may equal."""

    def over_lengths(a, b, power=1):
        lengths = a.norm(dim=0)[:, None] * b.norm(dim=0)
        return a.T @ b / lengths.pow(power).clamp(min=1e-9)

    centred = a - a.mean(0), b - b.mean(0)
    product = centred[0].T @ centred[1]
    covariance = (
        "this is a covariance: it grows with the columns' scales. Divide by both columns' lengths."
    )
    uneven = (
        "your numbers are off by 24 to 23, the same for all pairs: one part divides by the number"
        " of rows, another by one less, as torch.std does. Use one of them for both."
    )
    return {
        "your columns still have their means, so this is a cosine, not a correlation. Take each"
        " mean away first.": over_lengths(a, b),
        covariance: [product, product / 23, product / 24],
        "you took away one mean of the whole table. Each column has its own: .mean(0).": (
            over_lengths(a - a.mean(), b - b.mean())
        ),
        "you divided by sums of squares. A column's length is the square root of its sum.": (
            over_lengths(*centred, power=2)
        ),
        uneven: [right * 23 / 24, right * 24 / 23],
        "your numbers have lost their signs. A unit that falls when another rises has a negative"
        " correlation.": right.abs(),
        "your numbers are squares of correlations."
        " The correlation itself is wanted, with its sign.": right.square(),
    }


@exercise(
    LESSON,
    features.energy,
    "torch.linalg.svdvals(weights) gives the singular values, the largest first. Energy is a"
    " square.",
    ".cumsum(0) adds up as it goes. What is the total?",
    rounds=20,
)
def energy(yours):
    """The share of Σ W² in the first k singular values."""
    m, n = torch.randint(3, 9, (2,)).tolist()
    weights = torch.randn(m, n) * torch.logspace(0, -1, n)
    right = features.energy(weights)
    known = {
        "you returned one number. One share for each k is wanted: for the first value, the first"
        " two, and so on.": [float, ()]
    }
    share = called(yours, weights, like=right, what="list of shares", known=known)
    close = partial(torch.allclose, atol=1e-4)
    if close(share, right):
        return None
    values = torch.linalg.svdvals(weights)
    squares = values.square()
    mistakes = {
        "you added up the singular values themselves. The energy is the sum of their squares.": (
            values.cumsum(0) / values.sum()
        ),
        "these are the shares of each value alone. The first k together are wanted: add up as you"
        " go.": squares / squares.sum(),
        "these are the values' own shares. Two things are missing: energy is a square, and the"
        " first k are wanted together, so add up as you go.": values / values.sum(),
        "these are per cent. Shares are wanted, which end at 1.": 100 * right,
        f"your last number is {share[-1]:.2f}, the whole energy. A share of it is wanted, which"
        " ends at 1.": squares.cumsum(0),
        "you began with the smallest value. The first k are the k largest.": (
            squares.flip(0).cumsum(0) / squares.sum()
        ),
        "your list begins with 0, for no value at all. Its first number is for k = 1.": (
            torch.cat([torch.zeros(1), right[:-1]])
        ),
        "these shares fall to 0: that is what is left out. What the first k hold is wanted, which"
        " rises to 1.": 1 - right,
    }
    k = int((share - right).abs().argmax())
    return recognised(share, mistakes, same=close) or (
        f"for k = {k + 1} the share is {right[k]:.5f}, the squares of the first k values added up,"
        f" over Σ W², and you say {share[k]:.5f}."
    )
