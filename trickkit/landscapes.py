"""Loss landscapes: the loss as a function of a network's weights, slices through it, and how curved
it is.

A point of the landscape is a network: all its weights in one vector (d,). `Landscape` is the loss
as a function of such points; everything else takes any function of a point, so that it can be
tried on one that is known.
"""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from trickkit.activations import validate_module
from trickkit.common import (
    progress_bar,
    validate_count,
    validate_flag,
    validate_number,
    validate_positive,
)
from trickkit.contract import (
    asked,
    described,
    drawn_from,
    expanded_labels,
    seeded,
    validate_eval,
    validate_images,
    validate_logits,
    validated_labels,
    with_gradients,
)

PointLoss = Callable[[torch.Tensor], torch.Tensor]  # a point (d,) -> a number


class Landscape:
    """The mean cross-entropy of a network on some images, as a function of its weights.

    Call it with a point (d,) to have the loss there, a tensor of one number, through which
    gradients lead back to the point. The network itself stays as it is.

    model: in eval mode. Its batch norm, if it has one, would keep the running statistics of the
        trained weights at every other point, and the picture would show that; it is refused.
    images: (N, C, H, W) in [0, 1].
    labels: (N,).
    Raises ValueError for a model with batch norm or without weights, and for images and labels that
        do not fit.
    """

    def __init__(self, model: nn.Module, images: torch.Tensor, labels: torch.Tensor):
        validate_module(model)
        validate_images(images)
        validate_eval(model)
        if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
            raise ValueError(
                "This model has batch norm, whose running statistics belong to its own weights and"
                " to no others. models.fold_batchnorm(model) makes it part of the convolutions."
            )
        weights = {name: p.detach().clone() for name, p in model.named_parameters()}
        if not weights:
            raise ValueError("This model has no weights, so its landscape has a single point.")
        self.model = model
        self.images = images.detach()
        self.labels = expanded_labels(labels, images)
        self.shapes = {name: p.shape for name, p in weights.items()}
        self.start = as_point(weights)
        with torch.no_grad():
            logits = self.logits(self.start)
        validate_logits(logits, count=len(images))
        validated_labels(self.labels, images, logits.shape[1])

    def on(self, rows: torch.Tensor) -> "Landscape":
        """The landscape of the same network on some of the images."""
        part = copy.copy(self)
        part.images = self.images[rows]
        part.labels = self.labels[rows]
        return part

    def parts(self, point: torch.Tensor) -> dict[str, torch.Tensor]:
        """A point's weights by their names, as in the network.

        Raises ValueError for what is no point of this landscape.
        """
        if not isinstance(point, torch.Tensor) or point.shape != self.start.shape:
            raise ValueError(
                f"A point of this landscape is a tensor {tuple(self.start.shape)}, a number for"
                f" each weight; {described(point)} came."
            )
        sizes = [shape.numel() for shape in self.shapes.values()]
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), point.split(sizes), strict=True)
        }

    def logits(self, point: torch.Tensor) -> torch.Tensor:
        """What the network would say of the images with the weights of this point, (N, K)."""
        parts = self.parts(point)
        return asked(lambda x: functional_call(self.model, parts, (x,)), self.images)

    def __call__(self, point: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.logits(point), self.labels)

    @torch.no_grad()
    def accuracy(self, point: torch.Tensor) -> float:
        """The share of the images, 0 to 1, that the network of this point reads rightly."""
        return (self.logits(point).argmax(1) == self.labels).double().mean().item()

    def direction(self, *, seed: int = 0) -> torch.Tensor:
        """A random direction (d,), made as long as the network's filters (`filter_normalise`)."""
        drawn = torch.randn(len(self.start), generator=seeded(seed)).to(self.start)
        here, there = self.parts(self.start), self.parts(drawn)
        return as_point({name: filter_normalise(there[name], here[name]) for name in here})


def as_point(weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """Weights by their names as one point, (d,)."""
    return torch.cat([w.flatten() for w in weights.values()])


def filter_normalise(direction: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A direction whose filters are as long as those of the weights: d ‖w‖ / ‖d‖, filter by filter.

    Li et al. 2018, arXiv:1712.09913, §4.

    A filter is what makes one output: direction[i]. Where there are none, in a layer's biases, the
    direction is 0, as in the authors' code.

    direction, weight: of one layer, (out, …).
    Returns (out, …).
    """
    if weight.dim() <= 1:
        return torch.zeros_like(weight)
    lengths = [t.flatten(1).norm(dim=1).clamp(min=1e-12) for t in (weight, direction)]
    return direction * (lengths[0] / lengths[1]).view(-1, *[1] * (weight.dim() - 1))


@torch.no_grad()
def surface(
    loss: PointLoss,
    centre: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    *,
    span: float = 1.0,
    points: int = 25,
) -> np.ndarray:
    """The loss on a square of the plane centre + a · first + b · second.

    Li et al. 2018, §3.

    loss: a point (d,) -> a number.
    centre, first, second: (d,).
    span: a and b go from -span to span.
    points: along each side; an odd number meets the centre.
    Returns (points, points): b changes from row to row, a within one.
    """
    validate_count(points=points, at_least=2)
    validate_positive(span=span)
    steps = torch.linspace(-span, span, points).tolist()
    return np.array(
        [
            [float(loss(centre + a * first + b * second)) for a in steps]
            for b in progress_bar(steps, "surface")
        ]
    )


def minima(values: np.ndarray, *, depth: float = 0.01) -> int:
    """How many local minima a surface (h, w) has: points that lie below all eight neighbours, its
    rim left out.

    depth: how far below, at the least, as a share of the point's own height. With 0 the finest
        ripple counts, float noise included.
    """
    validate_number(depth=depth, at_least=0)
    values = np.asarray(values)
    inner = values[1:-1, 1:-1]
    h, w = values.shape
    around = [
        values[1 + i : h - 1 + i, 1 + j : w - 1 + j]
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        if (i, j) != (0, 0)
    ]
    return int((inner + depth * np.abs(inner) < np.min(around, axis=0)).sum())


def roughness(values: np.ndarray) -> float:
    """How far the logarithm (base 10) of a surface bends from point to point: the mean size of its
    second differences, along rows and columns. 0 for a plane.

    values: (h, w), above 0.
    """
    logs = np.log10(values)
    bends = [np.diff(logs, 2, axis=axis).ravel() for axis in (0, 1)]
    return float(np.abs(np.concatenate(bends)).mean())


def principal_directions(path: torch.Tensor) -> tuple[torch.Tensor, np.ndarray]:
    """The directions in which a path varies most, and how much of it each explains.

    Li et al. 2018, §7.1: principal components.

    path: points, (n, d), n at least 3.
    Returns the two first directions (2, d), of length 1, and the share of the variance of each of
        the n components, the largest first.
    """
    centred = path - path.mean(0)
    # n points span n directions, so n × n numbers tell all
    _, values, rows = torch.linalg.svd(centred, full_matrices=False)
    shares = values.double().square()
    return rows[:2], (shares / shares.sum()).cpu().numpy()


@with_gradients
def top_eigenvalue(loss: PointLoss, point: torch.Tensor, *, seed: int = 0) -> float:
    """The largest eigenvalue of the Hessian: the curvature in the direction that bends most upward.

    Lanczos' method (SciPy's eigsh): it asks for products of the Hessian with a vector alone, and
    those are gradients of a gradient (Pearlmutter 1994), so that the d × d numbers are never made.

    loss: a point (d,) -> a number, differentiable twice.
    point: (d,).
    seed: of the first vector.
    """
    point = point.detach().clone().requires_grad_(True)
    [gradient] = torch.autograd.grad(loss(point), point, create_graph=True)

    def product(vector: np.ndarray) -> np.ndarray:
        v = torch.from_numpy(vector.ravel()).to(point)
        [out] = torch.autograd.grad(gradient @ v, point, retain_graph=True)
        return out.cpu().numpy()

    d = len(point)
    hessian = LinearOperator((d, d), matvec=product, dtype=np.float32)
    first = torch.randn(d, generator=seeded(seed)).numpy()
    values = eigsh(hessian, k=1, which="LA", tol=1e-3, v0=first, return_eigenvectors=False)
    return float(values[0])


@with_gradients
def batch_gradients(
    landscape: Landscape, point: torch.Tensor, *, batches: Sequence[torch.Tensor]
) -> torch.Tensor:
    """The gradient of the loss at a point, for each of several batches of the images, (n, d).

    batches: the rows of each.
    """
    validate_count(batches=len(batches))
    point = point.detach().clone().requires_grad_(True)
    logits = landscape.logits(point)
    out = []
    for rows in batches:
        loss = F.cross_entropy(logits[rows], landscape.labels[rows])
        out.append(torch.autograd.grad(loss, point, retain_graph=True)[0])
    return torch.stack(out)


def parallel(vectors: torch.Tensor) -> float:
    """How parallel vectors (n, d) are: the mean cosine of all pairs. 1 for one direction, about 0
    for random vectors.
    """
    unit = F.normalize(vectors, dim=1)
    n = len(unit)
    return ((unit.sum(0).square().sum() - n) / (n * (n - 1))).item()


class DeepNetwork(nn.Module):
    """A deep, narrow network for 28 × 28 grey images, with skip connections or without.

    After He et al. 2015, arXiv:1512.03385, in small: pairs of convolutions of 3 × 3 on 7 × 7
    places; with skips, a pair's output is added to its input. Group norm stands in place of batch
    norm (Wu, He 2018, arXiv:1803.08494): it normalises each image by itself, and has no running
    statistics that would be wrong at every point of the landscape but one.

    convolutions: an even number.
    skips: whether there are skip connections.
    channels: of every layer.
    seed: of the first weights; with skips and without, they are the same.
    forward: (N, 1, 28, 28) -> (N, 10).
    Raises ValueError for an odd number of convolutions.
    """

    def __init__(self, convolutions: int = 54, *, skips: bool, channels: int = 8, seed: int = 0):
        validate_count(convolutions=convolutions, channels=channels)
        validate_flag(skips=skips)
        if convolutions % 2:
            raise ValueError(f"An even number of convolutions is wanted; {convolutions} came.")
        super().__init__()
        self.skips = skips
        with drawn_from(seed):
            self.stem = nn.Conv2d(1, channels, 4, stride=4)
            self.layers = nn.ModuleList(normalised(channels) for _ in range(convolutions))
            self.classes = nn.Linear(channels * 49, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        layers = list(self.layers)
        for one, two in zip(layers[::2], layers[1::2], strict=True):
            pair = two(one(x).relu())
            x = (x + pair if self.skips else pair).relu()
        return self.classes(x.flatten(1))


def normalised(channels: int) -> nn.Sequential:
    """A convolution of 3 × 3 that keeps the size, and the norm of each image after it."""
    convolution = nn.Conv2d(channels, channels, 3, padding=1)
    nn.init.kaiming_normal_(convolution.weight)
    return nn.Sequential(convolution, nn.GroupNorm(1, channels))
