"""Artistic style: a photograph painted anew in the manner of a painting.

Gatys, Ecker, Bethge 2015, arXiv:1508.06576.

Content is what one deep layer of VGG puts out, place by place. Style is which channels fire
together, at no matter what place: a Gram matrix for each layer. A picture that has the one of a
photograph and the other of a painting is found by descent on its pixels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.optimize import Bounds, minimize
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn import functional as F

from trickkit import activations, data, models
from trickkit.common import validate_count, validate_flag
from trickkit.contract import (
    asked,
    gradient_of,
    validate_batch,
    validate_images,
    validate_picture,
    with_gradients,
)

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"


def vgg(name: str = "vgg16") -> nn.Sequential:
    """VGG's convolutions with average pooling, and activations of 1 on average in every layer.

    Gatys et al. 2015, §Methods, for the pooling; for the scale, of which that paper says nothing,
    their Texture synthesis, arXiv:1505.07376, and CVPR 2016, §2.

    A layer's weights are divided by the mean of its activations, over the course's photographs and
    all their places, and the next layer's multiplied by it: up to scale the same function. The
    authors scale a channel at a time; on thirteen photographs a channel that seldom fires would
    then outweigh all others. The paper's conv1_1 is read after its ReLU, and here called relu1_1.

    name: "vgg16", or "vgg19" where it can be had, as in `models.vgg_features`.
    """
    net = models.vgg_features(name)
    for layer, module in net.named_children():
        if isinstance(module, nn.MaxPool2d):
            setattr(net, layer, nn.AvgPool2d(2))
    x = torch.cat([data.picture(picture, size=128) for picture in data.picture_names()])
    scale = torch.ones((), device=x.device)
    with torch.no_grad():
        for module in net:
            if isinstance(module, nn.Conv2d):
                module.weight.mul_(scale)
                scale = F.relu(module(x)).mean()
                for weights in module.parameters():
                    weights.div_(scale)
            x = module(x)
    return net


def _validate_style(wanted: Sequence[torch.Tensor]) -> None:
    """Raise ValueError unless a style is a list of square matrices, five at most."""
    if (
        not isinstance(wanted, list | tuple)
        or len(wanted) > len(STYLE_LAYERS)
        or any(
            not isinstance(a, torch.Tensor) or a.dim() != 2 or len(a) != len(a.T) for a in wanted
        )
    ):
        raise ValueError(
            "A style is a list of Gram matrices, one a layer. Make it from a painting:"
            " style.style_of(net, painting)."
        )


def responses(
    net: nn.Sequential, images: torch.Tensor, layers: Sequence[str], *, quick: bool = False
) -> list[torch.Tensor]:
    """What the named layers put out, (N, C, h, w) each, in the order asked for.

    No layer after the last of them is computed.

    net: as `vgg` makes it.
    images: (N, 3, H, W) in [0, 1].
    layers: their names.
    quick: convolve in bfloat16 where the device can, twice as fast; the results are float32.
    Raises ValueError for an unknown layer, a network of another kind, or images smaller than its
        pooling can halve.
    """
    validate_batch(images, channels=3)
    validate_flag(quick=quick)
    if not isinstance(layers, list | tuple):
        raise ValueError(f"layers is {layers!r}; a list of layers' names is wanted: STYLE_LAYERS.")
    if not hasattr(net, "conv1_1"):
        raise ValueError(
            "A network whose layers are called conv1_1, relu1_1 … is wanted, as style.vgg()"
            f" makes it; this {type(net).__name__} has {', '.join(activations.layers(net)[:3])} …"
        )
    if min(images.shape[2:]) < 32:
        raise ValueError(
            f"Pictures of 32 pixels or more a side are wanted; these have {images.shape[2]} ×"
            f" {images.shape[3]}."
        )
    with torch.autocast(
        images.device.type, torch.bfloat16, enabled=quick and models.has_bfloat16(images.device)
    ):
        return [a.float() for a in activations.read(net, images, *layers)]


def gram(activation: torch.Tensor) -> torch.Tensor:
    """How strongly two channels fire together, on average over the M places: G = F Fᵀ / M.

    Gatys et al. 2015, eq. 3, divided by M.

    Which places they were is forgotten; so pictures of any size compare.

    activation: (1, C, h, w).
    Returns (C, C), symmetric.
    """
    return torch.einsum("nihw,njhw->ij", activation, activation) / activation[0, 0].numel()


def scattered(activation: torch.Tensor) -> torch.Tensor:
    """The same numbers at other places, thrown by dice.

    Each place moves with all its channels, so the Gram matrix stays.

    activation: (1, C, h, w).
    Returns (1, C, h, w).
    """
    places = torch.randperm(activation[0, 0].numel())
    return activation.flatten(2)[..., places].view_as(activation)


def style_loss(now: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]) -> torch.Tensor:
    """How far Gram matrices are from wanted ones: Σ (G - A)² / 4 C² a layer, averaged.

    Gatys et al. 2015, eq. 4 and 5; w = 1/5.

    The paper's M² is in the matrices already.

    now, wanted: a matrix (C, C) a layer, as `gram` makes them.
    Raises ValueError for matrices that are not of the same layers.
    """
    if not len(wanted) or [g.shape for g in now] != [a.shape for a in wanted]:
        raise ValueError(
            "Gram matrices of the same layers are wanted, in the same order; these have"
            f" {[len(g) for g in now]} and {[len(a) for a in wanted]} channels."
        )
    losses = [(g - a).square().sum() / (4 * len(g) ** 2) for g, a in zip(now, wanted, strict=True)]
    return sum(losses, start=torch.zeros_like(losses[0])) / len(wanted)


def content_loss(now: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """How far a layer's activation is from a wanted one: ½ Σ (F - P)² / M.

    Gatys et al. 2015, eq. 1, divided by M.

    M is the number of places. Divided by it, as `gram` is, the loss weighs the same beside the
    style in pictures of any size. Those of several pictures add up.

    now, wanted: (N, C, h, w).
    """
    return 0.5 * (now - wanted).square().sum() / now[0, 0].numel()


def total_variation(image: torch.Tensor) -> torch.Tensor:
    """How rough a picture is: the squared differences between neighbours, across and down, a pixel.

    Those of several pictures add up.

    image: (N, 3, H, W).
    """
    across, down = (image.diff(dim=dim).square().sum() for dim in (3, 2))
    return (across + down) / image[0, 0].numel()


@torch.no_grad()
def style_of(
    net: nn.Sequential, painting: torch.Tensor, *, layers: Sequence[str] = STYLE_LAYERS
) -> list[torch.Tensor]:
    """A painting's style: its Gram matrix in each of the layers.

    net: as `vgg` makes it.
    painting: (1, 3, H, W) in [0, 1], of any size.
    layers: their names.
    Raises ValueError for anything but one colour picture in [0, 1].
    """
    validate_picture(painting, what="painting")
    return [gram(a) for a in responses(net, painting, layers)]


def _room(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How much darker (at most 0) and lighter each pixel can get with its chroma kept: the same
    step for its three channels, until the first of them is at 0 or 1. (N, 1, H, W) each.
    """
    return -image.amin(1, keepdim=True), 1 - image.amax(1, keepdim=True)


def descend(
    init: torch.Tensor,
    loss: Callable[[torch.Tensor], torch.Tensor],
    *,
    luminance: bool = False,
    max_evals: int = 200,
    callback: Callable[[torch.Tensor], None] | None = None,
) -> torch.Tensor:
    """The picture that L-BFGS finds when it lowers a loss from `init`, without leaving [0, 1].

    L-BFGS-B, Byrd et al. 1995, by SciPy.

    init: (1, 3, H, W) in [0, 1].
    loss: a picture -> a number to be lowered.
    luminance: move luminance alone, a pixel's channels all by the same step, as far as the first
        of them may go. So each pixel's chroma, how its channels differ, stays as it is in init.
    max_evals: how often loss and gradient are computed at most, about: a step is finished.
    callback: sees the picture after each step, and may raise StopIteration to end there.
    Returns (1, 3, H, W) in [0, 1].
    Raises ValueError for an init that is no images, no evaluations, a luminance that is not True or
        False, and a callback that is no function.
    """
    validate_images(init)
    validate_count(max_evals=max_evals)
    validate_flag(luminance=luminance)
    if callback is not None and not callable(callback):
        raise ValueError(f"callback is {callback!r}; a function of a picture is wanted, or None.")
    base = init.detach().float()
    darkest, lightest = _room(base) if luminance else (-base, 1 - base)

    def picture(steps):
        change = torch.from_numpy(steps.astype(np.float32)).view(darkest.shape).to(base)
        return (base + change).clamp(0, 1)  # rounding alone is cut

    def flat(image):
        return image.contiguous().flatten().double().cpu().numpy()

    @with_gradients
    def loss_and_gradient(steps):
        x = picture(steps).contiguous(memory_format=torch.channels_last).requires_grad_(True)
        value = asked(loss, x)
        gradient = gradient_of(value, x)
        return value.item(), flat(gradient.sum(1) if luminance else gradient)

    # SciPy's threads would wait by spinning, on the cores that the next evaluation needs
    with threadpool_limits(1, "blas"):
        found = minimize(
            loss_and_gradient,
            np.zeros(darkest.numel()),
            jac=True,
            method="L-BFGS-B",
            bounds=Bounds(flat(darkest), flat(lightest)),
            options={"maxfun": max_evals, "maxiter": max_evals, "maxcor": 10, "ftol": 0, "gtol": 0},
            callback=None if callback is None else lambda xk: callback(picture(xk)),
        )
    return picture(found.x)


def paint(
    net: nn.Sequential,
    photo: torch.Tensor,
    wanted: Sequence[torch.Tensor],
    *,
    ratio: float = 1e-4,
    tv_weight: float = 0.0,
    init: torch.Tensor | None = None,
    luminance: bool = False,
    max_evals: int = 150,
    callback: Callable[[torch.Tensor], None] | None = None,
) -> torch.Tensor:
    """A photograph in a wanted style: lowers ratio · content + style + tv_weight · TV.

    Gatys et al. 2015, eq. 7.

    It convolves in bfloat16 where the device can.

    net: as `vgg` makes it.
    photo: (1, 3, H, W) in [0, 1].
    wanted: Gram matrices, from `style_of`, of the first so many of STYLE_LAYERS; those of several
        paintings may be mixed, matrix by matrix.
    ratio: the paper's α/β, with the losses as they are here.
    tv_weight: of `total_variation`, so that a picture grows smooth.
    init: where to start; None for the photograph itself (the paper's is white noise).
    luminance, max_evals, callback: as in `descend`.
    Returns (1, 3, H, W).
    Raises ValueError for a style that is none, or an init of another size than the photo.
    """
    validate_picture(photo, what="photo")
    _validate_style(wanted)
    if init is not None and init.shape != photo.shape:
        raise ValueError(
            f"init is wanted in the photo's size, {tuple(photo.shape)}; its shape is"
            f" {tuple(init.shape)}."
        )
    layers = STYLE_LAYERS[: len(wanted)]
    with torch.no_grad():
        content = responses(net, photo, [CONTENT_LAYER])[0]

    def loss(x):
        *now, here = responses(net, x, [*layers, CONTENT_LAYER], quick=True)
        return (
            ratio * content_loss(here, content)
            + style_loss([gram(a) for a in now], wanted)
            + tv_weight * total_variation(x)
        )

    return descend(
        photo if init is None else init,
        loss,
        luminance=luminance,
        max_evals=max_evals,
        callback=callback,
    )


def coarse_to_fine(
    net: nn.Sequential,
    photo: torch.Tensor,
    painting: torch.Tensor,
    *,
    sides: Sequence[int] = (128, 256),
    luminance: bool = False,
    max_evals: int = 80,
    **options: Any,
) -> torch.Tensor:
    """A larger picture: painted small first, and each size begun with the last one, enlarged.

    Gatys et al. 2017, arXiv:1611.07865, §6.

    What is coarse is settled where an evaluation is cheap.

    With luminance, the photograph gets the painting's colours first, by `recolour`, and keeps them:
    the descent moves luminance alone, so colour noise cannot arise. Both parts are from §5 of that
    paper, which uses them to keep the photograph's own colours: there the painting is recoloured,
    or both are made grey and the photograph's chroma is put back at the end. That ours turns the
    colours round, and shows the network a picture in colour, is not from the paper.

    net: as `vgg` makes it.
    photo, painting: (1, 3, H, W) in [0, 1], of any size.
    sides: the longer side of each size, in pixels, the last that of the result.
    luminance: as above; False for the plain way, in which each channel of a pixel moves by itself.
    max_evals: at each size.
    options: as in `paint`.
    Raises ValueError for what is no picture in colour, for no sides, and what `paint` refuses.
    """
    validate_picture(photo)
    validate_picture(painting, what="painting")
    validate_flag(luminance=luminance)
    if np.ndim(sides) != 1 or len(sides) == 0:
        raise ValueError("No size is given: sides wants one or more, such as (128, 256).")
    photo = recolour(photo, painting) if luminance else photo
    x = photo.float()  # halves cannot be enlarged
    for side in sides:
        small = data.scaled(photo, side=side)
        x = F.interpolate(x, small.shape[2:], mode="bicubic", antialias=True).clamp(0, 1)
        if luminance:  # the colours of the last size are blurred; these are not
            x = small + (x - small).mean(1, keepdim=True).clamp(*_room(small))
        x = paint(
            net,
            small,
            style_of(net, data.scaled(painting, side=side)),
            init=x.clamp(0, 1),
            luminance=luminance,
            max_evals=max_evals,
            **options,
        )
    return x


def _root(matrix: torch.Tensor) -> torch.Tensor:
    """The symmetric root of a symmetric matrix without negative eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def recolour(painting: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """The painting in the photograph's colours; or the other way round.

    Gatys et al. 2016, arXiv:1606.05897; the matrix from Pitié and Kokaram 2007, *The linear
    Monge-Kantorovitch linear colour mapping*.

    Paint with the style of this, and the photograph keeps its own colours. The painting's pixels
    get the mean and the covariance of the photograph's. Many matrices do that, the paper's Cholesky
    factors among them; of them all, this one moves the colours least, so that a blue sky does not
    turn orange.

    painting, photo: (1, 3, H, W) in [0, 1], of any size.
    Returns the painting, as large as it was, cut at 0 and 1.
    Raises ValueError for anything but two colour pictures in [0, 1].
    """
    validate_picture(painting, what="painting")
    validate_picture(photo, what="photo")

    def spread(image):
        pixels = image[0].flatten(1).double()
        covariance = pixels.cov() if pixels.shape[1] > 1 else 0  # one pixel does not vary
        return pixels.mean(1, keepdim=True), covariance + 1e-6 * torch.eye(3).to(pixels)

    mean, here = spread(painting)
    new_mean, wanted = spread(photo)
    root = _root(here)
    middle = torch.linalg.solve(root, _root(root @ wanted @ root))  # root⁻¹ (…)^½
    pixels = middle @ torch.linalg.solve(root, painting[0].flatten(1).double() - mean) + new_mean
    return pixels.to(painting).view_as(painting).clamp(0, 1)
