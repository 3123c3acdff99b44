"""Looking at weights and activations: what they hold, and what chance would put there.

Activations are what `activations.read` returns, (N, C, H, W): a *unit* is one of the C channels,
seen at every place of a picture.
"""

import bisect
import copy
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.utils import make_grid

from trickkit import activations
from trickkit.common import validate_count, validate_number, whole_number
from trickkit.contract import (
    described,
    gradient_of,
    seeded,
    validate_batch,
    validate_eval,
    with_gradients,
)

# What chance would hold.


def untrained(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """A copy of a model as it may have been before training.

    He et al. 2015, arXiv:1502.01852, eq. 10.

    Its weights are normal with variance 2 / fan-in. All that is no matrix or filter becomes 0:
    biases, and BatchNorm's gains too, so fold those first, as this course's models do. What the
    copy shows as well as the model does, training did not put there. Same seed, same copy.
    """
    activations.validate_module(model)
    generator = seeded(seed)
    model = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                std = (2 / weight[0].numel()) ** 0.5
                weight.copy_(torch.randn(weight.shape, generator=generator) * std)
            else:
                weight.zero_()
    return model


# Weights.


def sheet(filters: torch.Tensor, *, columns: int = 8) -> torch.Tensor:
    """Filters side by side as one image in [0, 1], each at its own scale.

    Grey is 0, a filter's largest weight black or white; a dot of white lies between filters.

    filters: (N, 3, k, k) or (N, 1, k, k).
    columns: how many filters a row.
    Returns (1, 3, …, …).
    Raises ValueError for filters of other shapes, none, and no columns.
    """
    validate_count(columns=columns)
    if filters.dim() != 4 or filters.shape[1] not in (1, 3) or not filters.numel():
        raise ValueError(
            f"Filters (N, 3, k, k) or (N, 1, k, k) are wanted; {described(filters)} came."
        )
    scaled = 0.5 + filters / (2 * filters.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12))
    return make_grid(scaled.detach().cpu(), columns, padding=1, pad_value=1.0)[None]


def toeplitz(kernel: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The matrix of a convolution without padding.

    It is the M with M @ image.flatten() == F.conv2d(image, kernel).flatten(). Its column j is what
    the convolution makes of the image that is 1 at pixel j and 0 elsewhere. On every diagonal of a
    block one number stands again and again, which is what Toeplitz means.

    kernel: (k, l).
    height, width: of the image.
    Returns (height - k + 1) · (width - l + 1) rows and height · width columns.
    Raises ValueError for a kernel larger than the image.
    """
    validate_count(height=height, width=width)
    if kernel.dim() != 2 or kernel.shape[0] > height or kernel.shape[1] > width:
        raise ValueError(
            f"A kernel (k, l) no larger than the image is wanted; kernel {tuple(kernel.shape)} and"
            f" image ({height}, {width}) came."
        )
    ones = torch.eye(height * width).to(kernel).view(-1, 1, height, width)
    return F.conv2d(ones, kernel[None, None]).flatten(1).T


def _validate_matrix(weights: torch.Tensor) -> None:
    """Raise ValueError unless weights are a matrix that has singular values."""
    if not isinstance(weights, torch.Tensor) or weights.dim() != 2 or not weights.any():
        raise ValueError(
            f"A matrix (m, n) that is not 0 everywhere is wanted; {described(weights)} came."
        )
    if weights.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"The matrix is {weights.dtype}; use weights.float().")
    if not weights.isfinite().all():
        raise ValueError("The matrix holds numbers that are not finite.")


def energy(weights: torch.Tensor) -> torch.Tensor:
    """The share of a matrix's energy Σ W² in its first k singular values, for k = 1, 2, ….

    Eckart, Young 1936.

    The matrix of rank k nearest to W has just this share.

    weights: (m, n).
    Returns (min(m, n),), rising to 1.
    Raises ValueError for what is no matrix, or is 0 everywhere.
    """
    _validate_matrix(weights)
    squares = torch.linalg.svdvals(weights).square()
    return squares.cumsum(0) / squares.sum()


def low_rank(weights: torch.Tensor, *, k: int) -> torch.Tensor:
    """The matrix of rank k nearest to W: its first k singular values and vectors.

    weights: W, (m, n).
    k: the rank.
    Returns (m, n).
    """
    validate_count(k=k)
    _validate_matrix(weights)
    u, s, v = torch.linalg.svd(weights, full_matrices=False)
    return u[:, :k] * s[:k] @ v[:k]


def bulk_edges(weights: torch.Tensor) -> tuple[float, float]:
    """Between which bounds nearly all singular values lie, if chance filled the matrix.

    Marchenko, Pastur 1967; Martin, Mahoney 2018, arXiv:1810.01075, §3.

    They are σ |√m - √n| and σ (√m + √n), for independent entries of mean 0 and of this mean square,
    σ².

    weights: (m, n).
    Returns the two.
    """
    _validate_matrix(weights)
    m, n = weights.shape
    sigma = weights.square().mean().sqrt().item()
    return sigma * abs(math.sqrt(m) - math.sqrt(n)), sigma * (math.sqrt(m) + math.sqrt(n))


# Activations.


def correlations(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Pearson's correlation of every column of a with every column of b, -1 to 1.

    A column that never changes has none; it gets 0.

    a: (T, m).
    b: (T, n).
    Returns (m, n).
    Raises ValueError for other shapes.
    """
    if a.dim() != 2 or b.dim() != 2 or len(a) != len(b) or not len(a):
        raise ValueError(
            "Columns of the same length are wanted, (T, m) and (T, n); the shapes are"
            f" {tuple(a.shape)} and {tuple(b.shape)}."
        )

    def unit(columns):
        size = columns.norm(dim=0)
        columns = columns - columns.mean(0)
        length = columns.norm(dim=0)
        # what is left of a constant is rounding, in proportion to its size
        still = length <= 1e-5 * size
        return (columns / length.masked_fill(still, 1)).masked_fill(still, 0)

    return unit(a).T @ unit(b)


def dead(activations: torch.Tensor) -> torch.Tensor:
    """Which units are never above 0, on any image at any place: booleans (C,).

    activations: (N, C, …), after the ReLU.
    Raises ValueError where there are none.
    """
    found = isinstance(activations, torch.Tensor) and activations.dim() > 1
    if not found or not activations.numel():
        raise ValueError(f"Activations (N, C, …) are wanted; {described(activations)} came.")
    return activations.transpose(0, 1).flatten(1).amax(1) <= 0


def receptive_field(steps: Sequence[tuple[int, int]]) -> int:
    """How many pixels, from side to side, one unit sees through layers of (kernel, stride).

    Araujo et al. 2019, distill.pub/2019/computing-receptive-fields, eq. 2.

    Each layer adds kernel - 1 of the steps that its input's units are apart, which is the product
    of the strides before it.
    """
    field = 1
    apart = 1
    for kernel, stride in steps:
        field += (kernel - 1) * apart
        apart *= stride
    return field


@with_gradients
def field(model: nn.Module, images: torch.Tensor, layer: str) -> torch.Tensor:
    """What the unit in the middle of a layer sees: |gradient| of its channels' sum of squares.

    images: (N, 3, H, W); the map is summed over images and colours.
    layer: its name, as `activations.layers` lists them.
    Returns (H, W), which sums to 1 and is exactly 0 outside the receptive field.
    """
    validate_batch(images)
    validate_eval(model)
    seen = torch.zeros(images.shape[2:], device=images.device)
    for image in images.detach().split(1):  # one at a time, for memory's sake
        x = image.clone().requires_grad_(True)
        out = activations.read_maps(model, x, layer)
        middle = out[..., out.shape[-2] // 2, out.shape[-1] // 2]
        seen += gradient_of(middle.square().sum(), x).abs().sum((0, 1))
    return seen / seen.sum().clamp(min=1e-12)


def span(seen: torch.Tensor, *, share: float = 1.0) -> int:
    """The side in pixels of the smallest square, wherever it lies, that holds a share of a map.

    seen: the map, (S, S), which sums to 1.
    share: 0 to 1; 1 is all that is not 0.
    Raises ValueError for what is no square map, or is 0 everywhere.
    """
    validate_number(share=share, at_least=0, at_most=1)
    if seen.dim() != 2 or len(seen) != seen.shape[1] or not seen.any():
        raise ValueError(
            f"A square map is wanted, (S, S), somewhere above 0; its shape is {tuple(seen.shape)}"
            f" and it goes up to {seen.max() if seen.numel() else 0:g}."
        )
    if share == 1:
        place = seen.nonzero()
        return int((place.amax(0) - place.amin(0)).max()) + 1
    # of all above and to the left
    sums = F.pad(seen.detach().cpu().double().cumsum(0).cumsum(1), (1, 0, 1, 0))

    def largest(side):
        held = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
        return held.max().item()

    return 1 + bisect.bisect_left(range(1, len(seen) + 1), share, key=largest)


def top_places(activations: torch.Tensor, unit: int, *, k: int = 5) -> list[tuple[int, int, int]]:
    """Where a unit is highest: (image, row, column), the highest first, at most one place an image.

    Zeiler, Fergus 2013, arXiv:1311.2901, §4.1.

    activations: (N, C, H, W); rows and columns are theirs.
    unit: the channel's number.
    k: how many places.
    Raises ValueError for activations of another shape, and for a unit that is not there.
    """
    validate_count(k=k)
    if activations.dim() != 4:
        raise ValueError(
            f"Activations (N, C, H, W) are wanted; their shape is {tuple(activations.shape)}."
        )
    if whole_number(unit) is None or not 0 <= unit < activations.shape[1]:
        raise ValueError(f"There is no unit {unit!r}: there are {activations.shape[1]}, from 0.")
    highest, places = activations[:, unit].flatten(1).max(1)
    best = highest.topk(min(int(k), len(activations))).indices.tolist()
    return [(i, *divmod(places[i].item(), activations.shape[-1])) for i in best]


def crop(
    image: torch.Tensor, row: float, column: float, *, side: int
) -> tuple[torch.Tensor, int, int]:
    """A square of an image around a pixel, moved inside where it would stick out.

    image: (1, C, H, W).
    row, column: the pixel.
    side: the square's, in pixels; at most the image's shorter one.
    Returns the square, its top and its left pixel.
    """
    validate_count(side=side)
    height, width = image.shape[-2:]
    side = min(side, height, width)
    top, left = (
        min(max(0, round(at - side / 2)), size - side)
        for at, size in ((row, height), (column, width))
    )
    return image[..., top : top + side, left : left + side], top, left
