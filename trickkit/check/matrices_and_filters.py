"""The checks of lesson 07. Each draws fresh small kernels, layers, matrices or activations."""
import math
import numbers

import numpy as np
import torch
from torch.nn import functional as F

from trickkit import features
from trickkit.check import NotWritten, exercise, progress, tensor, untouched

__all__ = ["correlations", "energy", "progress", "receptive_field", "toeplitz"]
LESSON = "07 matrices_and_filters"


@exercise(LESSON, features.toeplitz,
          "Column j of a matrix is what it makes of the vector that is 1 at place j and 0 elsewhere.",
          "torch.eye(height * width).view(-1, 1, height, width) is a batch of such images. Convolve them all at once.",
          "F.conv2d(those, kernel[None, None]).flatten(1) has a row for each: transpose it.")
def toeplitz(yours):
    """The matrix that does what a convolution does."""
    for _ in range(10):
        k, across = torch.randint(2, 4, (2,)).tolist()
        height, width = torch.randint(4, 7, (2,)).tolist()
        kernel = torch.randn(k, across)
        before, right = kernel.clone(), features.toeplitz(kernel, height, width)
        matrix = yours(kernel, height, width)
        if isinstance(matrix, torch.Tensor) and matrix.layout != torch.strided:
            return "your matrix keeps only what is not 0, which is clever. Here a plain tensor is wanted: add .to_dense()."
        if isinstance(matrix, torch.Tensor) and matrix.shape == right.T.shape != right.shape:
            return (f"your matrix has shape {tuple(matrix.shape)}, and {tuple(right.shape)} is wanted, its transpose: a row "
                    "for each pixel that comes out, a column for each that goes in.")
        if isinstance(matrix, torch.Tensor) and matrix.shape == (height * width,) * 2:
            return (f"your matrix has {height * width} rows, as with padding. Without it, {len(right)} pixels come out: "
                    f"{height - k + 1} × {width - across + 1}.")
        if wrong := tensor(matrix, right, "matrix"):
            return wrong
        if wrong := untouched(kernel, before):
            return wrong
        matrix = matrix.to(right.dtype)
        if torch.allclose(matrix, right, atol=1e-5):
            continue
        if torch.allclose(matrix, features.toeplitz(kernel.flip(0, 1), height, width), atol=1e-5):
            return "your kernel is turned round by 180°. That is a mathematician's convolution; F.conv2d does not turn it."
        if k == across and torch.allclose(matrix, features.toeplitz(kernel.T.contiguous(), height, width), atol=1e-5):
            return "your kernel lies on its side: its rows have become columns."
        for axis, how in ((1, "left and right"), (0, "top and bottom")):
            if torch.allclose(matrix, features.toeplitz(kernel.flip(axis), height, width), atol=1e-5):
                return f"your kernel's {how} are exchanged. F.conv2d lays it on the image as it is."
        if torch.allclose(matrix, torch.stack([right[0].roll(i) for i in range(len(right))]), atol=1e-5):
            return (f"your row r starts at pixel r. At the image's edge the filter jumps to the next line: after "
                    f"{width - across + 1} places it moves {across} pixels at once, not one.")
        count = (matrix != 0).sum(1).max().item()
        if count > k * across:
            return (f"one of your rows has {count} numbers that are not 0. A pixel that comes out sees only "
                    f"{k} × {across} = {k * across}.")
        first = torch.zeros(height * width)
        first[:k * across] = kernel.flatten()
        if torch.allclose(matrix[0], first, atol=1e-5):
            return (f"in your first row the kernel's rows stand side by side. In the flattened image the pixel below is "
                    f"{width} places further on.")
        image = torch.randn(height, width)
        off = (matrix @ image.flatten() - F.conv2d(image[None, None], kernel[None, None]).flatten()).abs()
        return (f"M @ image.flatten() is not F.conv2d(image, kernel).flatten(): {(off > 1e-4).sum()} of {len(off)} pixels "
                f"differ, by up to {off.max():.2f}.")
    return None


def seen(steps: list[tuple[int, int]]) -> int:
    """How wide one unit sees, found by the gradient through a row of convolutions with positive weights."""
    length = 1
    for kernel, stride in reversed(steps):
        length = (length - 1) * stride + kernel
    x = torch.zeros(1, 1, length + 6, dtype=torch.double, requires_grad=True)
    out = x
    for kernel, stride in steps:
        out = F.conv1d(out, torch.ones(1, 1, kernel, dtype=torch.double), stride=stride)
    places = torch.autograd.grad(out[0, 0, 0], x)[0].flatten().nonzero()
    return int(places.max() - places.min()) + 1


@exercise(LESSON, features.receptive_field,
          "Keep two numbers: how wide one unit sees, and how many pixels apart two neighbouring units are. Both begin at 1.",
          "A kernel of 3 reaches one neighbour further on either side: (3 - 1) times the distance between neighbours.",
          "First field += (kernel - 1) * apart, then apart *= stride.")
def receptive_field(yours):
    """How many pixels one unit sees."""
    ways = {"forget": "Your strides are missing: after a stride of 2, neighbouring units are twice as far apart.",
            "early": "A layer's own stride counts only for the layers after it: add first, then multiply.",
            "zero": "A unit with no layer below sees 1 pixel, not 0.",
            "sum": "Strides multiply: after two strides of 2, neighbours are 4 pixels apart.",
            "whole": "A kernel of 3 adds 2 neighbours, not 3: the middle one was seen already.",
            "last": "You count only the stride of the layer before. All strides before it play a part.",
            "backwards": "The layers come in the order of the picture's way: the first one reads pixels."}
    for _ in range(20):
        steps = [(int(torch.randint(3, 6, ())), int(torch.randint(1, 4, ()))) for _ in range(4)]
        steps[1:3] = [(3, 2), (4, 3)]  # so that each way of being wrong shows
        said, right = yours(list(steps)), seen(steps)
        if said is None or said is Ellipsis:
            raise NotWritten
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
            continue
        before = [math.prod(s for _, s in steps[:i]) for i in range(5)]
        wrong = {"forget": 1 + sum(k - 1 for k, _ in steps),
                 "early": 1 + sum((k - 1) * before[i + 1] for i, (k, _) in enumerate(steps)),
                 "zero": right - 1,
                 "sum": 1 + sum((k - 1) * max(1, sum(s for _, s in steps[:i])) for i, (k, _) in enumerate(steps)),
                 "whole": 1 + sum(k * before[i] for i, (k, _) in enumerate(steps)),
                 "last": 1 + sum((k - 1) * (steps[i - 1][1] if i else 1) for i, (k, _) in enumerate(steps)),
                 "backwards": seen(steps[::-1])}
        close = [way for way, value in wrong.items() if value == said]
        start = f"through {', '.join(f'({k}, {s})' for k, s in steps)} a unit sees {right} pixels, and you say {said:g}. "
        if len(close) == 1:
            return start + ways[close[0]]
        if not close:
            return start + "Go layer by layer: how many neighbours more does a kernel reach, how many pixels apart?"
    return None


@exercise(LESSON, features.energy,
          "torch.linalg.svdvals(weights) gives the singular values, the largest first. Energy is a square.",
          ".cumsum(0) adds up as it goes. What is the total?")
def energy(yours):
    """The share of Σ W² in the first k singular values."""
    for _ in range(20):
        m, n = torch.randint(3, 9, (2,)).tolist()
        weights = torch.randn(m, n) * torch.logspace(0, -1, n)
        before, right = weights.clone(), features.energy(weights)
        share = yours(weights)
        if isinstance(share, torch.Tensor) and share.dim() == 0 or isinstance(share, float):
            return "you returned one number. One share for each k is wanted: for the first value, the first two, and so on."
        if wrong := tensor(share, right, "list of shares"):
            return wrong
        if wrong := untouched(weights, before):
            return wrong
        share, values = share.to(right.dtype), torch.linalg.svdvals(weights)
        if torch.allclose(share, right, atol=1e-4):
            continue
        if torch.allclose(share, values.cumsum(0) / values.sum(), atol=1e-4):
            return "you added up the singular values themselves. The energy is the sum of their squares."
        if torch.allclose(share, values.square() / values.square().sum(), atol=1e-4):
            return "these are the shares of each value alone. The first k together are wanted: add up as you go."
        if torch.allclose(share, values / values.sum(), atol=1e-4):
            return ("these are the values' own shares. Two things are missing: energy is a square, and the first k are wanted "
                    "together, so add up as you go.")
        if torch.allclose(share, 100 * right, rtol=1e-3):
            return "these are per cent. Shares are wanted, which end at 1."
        if torch.allclose(share, values.square().cumsum(0), rtol=1e-3):
            return f"your last number is {share[-1]:.2f}, the whole energy. A share of it is wanted, which ends at 1."
        if torch.allclose(share, values.flip(0).square().cumsum(0) / values.square().sum(), atol=1e-4):
            return "you began with the smallest value. The first k are the k largest."
        if torch.allclose(share, 1 - right, atol=1e-4):
            return "these shares fall to 0: that is what is left out. What the first k hold is wanted, which rises to 1."
        return (f"for k = 1 the share is {right[0]:.3f}, the largest singular value's square over Σ W², and you say "
                f"{share[0]:.3f}; for the last k it is 1, and you say {share[-1]:.3f}.")
    return None


@exercise(LESSON, features.correlations,
          "Take each column's mean away. Then a.T @ b holds the sums of products of every pair.",
          "Divide by both columns' lengths: a.norm(dim=0)[:, None] * b.norm(dim=0).",
          "A column that never changes has length 0 once its mean is gone. .clamp(min=1e-12) before dividing leaves it at 0.")
def correlations(yours):
    """The correlation of every column of a with every column of b."""
    for _ in range(20):
        m, n = (3, 5) if torch.rand(()) < 0.5 else (5, 3)
        a, b = torch.randn(24, m), torch.randn(24, n)
        a, b = a * (0.5 + 3 * torch.rand(m)) + 2 * torch.randn(m), b * (0.5 + 3 * torch.rand(n)) + 2 * torch.randn(n)
        b[:, 0] = 0.6 * a[:, 1] - b[:, 0]
        a[:, 0], b[:, 1] = 0, 3  # a dead unit, and one stuck at a whole number, whose mean has no rounding
        before, right = (a.clone(), b.clone()), features.correlations(a, b)
        said = yours(a, b)
        if isinstance(said, torch.Tensor) and said.shape == (n, m):
            return f"your table has shape {(n, m)}; a row for each column of a is wanted, {(m, n)}. Transpose it."
        if isinstance(said, torch.Tensor) and said.shape == (m + n, m + n):
            return "your table holds a against a and b against b as well. Cut out a's rows and b's columns."
        if isinstance(said, torch.Tensor) and said.shape == right.shape and torch.cat([said[0], said[:, 1]]).isnan().any():
            return "a column that never changes (a dead unit) gives you 0 / 0. Give it correlation 0."
        if wrong := tensor(said, right, "table"):
            return wrong
        if wrong := untouched(a, before[0]) or untouched(b, before[1]):
            return wrong.replace("x itself", "its input").replace("x + …, not x += …", "a - …, not a -= …")
        said = said.to(right.dtype)
        if torch.allclose(said, right, atol=1e-4):
            continue
        centred = a - a.mean(0), b - b.mean(0)
        cosine = (a.T @ b) / (a.norm(dim=0)[:, None] * b.norm(dim=0)).clamp(min=1e-9)
        if torch.allclose(said, cosine, atol=1e-4):
            return "your columns still have their means, so this is a cosine, not a correlation. Take each mean away first."
        product = centred[0].T @ centred[1]
        if any(torch.allclose(said, product / count, rtol=1e-3, atol=1e-4) for count in (1, 23, 24)):
            return "this is a covariance: it grows with the columns' scales. Divide by both columns' lengths."
        one = a - a.mean(), b - b.mean()
        lengths = one[0].norm(dim=0)[:, None] * one[1].norm(dim=0)
        if torch.allclose(said, one[0].T @ one[1] / lengths.clamp(min=1e-9), atol=1e-4):
            return "you took away one mean of the whole table. Each column has its own: .mean(0)."
        squares = centred[0].square().sum(0)[:, None] * centred[1].square().sum(0)
        if torch.allclose(said, product / squares.clamp(min=1e-9), rtol=1e-3, atol=1e-6):
            return "you divided by sums of squares. A column's length is the square root of its sum."
        if any(torch.allclose(said, right * ratio, rtol=1e-4, atol=1e-5) for ratio in (23 / 24, 24 / 23)):
            return ("your numbers are off by 24 to 23, the same for all pairs: one part divides by the number of rows, another "
                    "by one less, as torch.std does. Use one of them for both.")
        if torch.allclose(said, right.abs(), atol=1e-4):
            return "your numbers have lost their signs. A unit that falls when another rises has a negative correlation."
        if torch.allclose(said, right.square(), atol=1e-4):
            return "your numbers are squares of correlations. The correlation itself is wanted, with its sign."
        if said.abs().max() > 1.001:
            return f"one of your correlations is {said.abs().max():.2f}. None can be beyond 1: divide by both columns' lengths."
        off = (said - right).abs()
        i, j = divmod(off.argmax().item(), n)
        return f"column {i} of a and column {j} of b correlate at {right[i, j]:.2f}, and you say {said[i, j]:.2f}."
    return None
