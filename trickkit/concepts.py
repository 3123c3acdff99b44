"""Concepts: does a network know what stripes are, and does it use them? (TCAV, Kim et al. 2018)

A concept is given by examples. Here they are textures that code draws, so that nothing but the
pattern sets one concept apart from another. In a layer's activations a concept becomes a direction,
and what a class makes of that direction is a derivative.
"""

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from trickkit import activations
from trickkit.common import unknown, validate_count
from trickkit.contract import (
    asked,
    described,
    seeded,
    validate_eval,
    validate_logits,
    validated_labels,
    with_gradients,
)

TEXTURES = ("stripes", "dots", "checks", "zigzag", "grid", "blobs")
Head = Callable[[torch.Tensor], torch.Tensor]  # a layer's activations (N, …) -> logits (N, K)


def textures(kind: str, count: int, *, size: int = 224, seed: int = 0) -> torch.Tensor:
    """Pictures of one texture, each in two colours, at a scale and an angle of its own.

    kind: one of `TEXTURES`.
    count: how many.
    size: their side, in pixels; scales are in proportion.
    seed: of colours, scales and angles. Kinds of one seed share them, picture by picture.
    Returns (count, 3, size, size) in [0, 1].
    Raises ValueError for an unknown kind.
    """
    if kind not in TEXTURES:
        raise unknown("texture", kind, TEXTURES)
    validate_count(count=count, size=size)
    generator, noise = seeded(seed), seeded(seed)  # or blobs would have other colours
    side = (torch.arange(size) - (size - 1) / 2) / size * 224
    down, right = torch.meshgrid(side, side, indexing="ij")
    pictures = []
    for _ in range(count):
        angle, scale, *shift = torch.rand(4, generator=generator).tolist()
        period = 12 + 36 * scale
        cos, sin = math.cos(math.pi * angle), math.sin(math.pi * angle)
        u = (right * cos + down * sin) / period + shift[0]
        v = (down * cos - right * sin) / period + shift[1]
        first, second = two_colours(generator)
        if kind == "blobs":
            cells = round(2 * 224 / period)
            hills = torch.randn(1, 1, cells, cells, generator=noise)
            height = F.interpolate(hills, (size, size), mode="bicubic")[0, 0]
        else:
            height = pattern(kind, u % 1 - 0.5, v % 1 - 0.5)
        ink = torch.sigmoid(2 * period * height)  # a soft edge, as in a photo
        pictures.append(ink * first + (1 - ink) * second)
    return torch.stack(pictures)


def mosaics(
    kinds: Sequence[str], count: int, *, size: int = 224, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of four textures, a quarter each, in any order and in colours of their own.

    kinds: four of `TEXTURES`.
    count: how many pictures.
    size: their side, in pixels, an even number.
    seed: of the order, colours, scales and angles.
    Returns (count, 3, size, size) in [0, 1], and which of the four kinds is in each quarter, row by
        row, (count, 4).
    Raises ValueError for other than four kinds, an unknown one, and a side that is odd.
    """
    validate_count(count=count, size=size)
    if len(kinds) != 4 or size % 2:
        raise ValueError(
            f"Four kinds and an even size are wanted; {len(kinds)} kinds and {size} came."
        )
    generator = seeded(seed)
    order = torch.stack([torch.randperm(4, generator=generator) for _ in range(count)])
    seeds = torch.randint(2**31, (4,), generator=generator).tolist()
    drawn = [textures(k, count, size=size // 2, seed=s) for k, s in zip(kinds, seeds, strict=True)]
    quarters = torch.stack(drawn, 1)[torch.arange(count)[:, None], order]
    halves = [torch.cat([quarters[:, i], quarters[:, i + 1]], 3) for i in (0, 2)]
    return torch.cat(halves, 2), order


def pattern(kind: str, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """How far inside the ink a place is: above 0 where a texture has its first colour.

    kind: one of `TEXTURES` that repeats.
    u, v: coordinates within the repeated square, −½ to ½.
    """
    if kind == "stripes":
        return 0.25 - u.abs()
    if kind == "dots":
        return 0.32 - (u.square() + v.square()).sqrt()
    if kind == "grid":
        return 0.13 - torch.minimum((0.5 - u.abs()), (0.5 - v.abs()))
    if kind == "checks":
        return (u * v).sign() * torch.minimum(u.abs(), v.abs()).clamp(max=0.25)
    bent = (u + 2 * v.abs()) % 1 - 0.5  # zigzag
    return 0.25 - bent.abs()


def two_colours(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Two colours that can be told apart, (3, 1, 1) each: a channel differs by 0.4 or more."""
    while True:
        colours = torch.rand(2, 3, 1, 1, generator=generator)
        if (colours[0] - colours[1]).abs().max() > 0.4:
            return colours[0], colours[1]


def validate_rows(activations: torch.Tensor, is_concept: torch.Tensor) -> tuple:
    """Activations as (N, d) in NumPy, and whether each row is an example, (N,).

    Raises ValueError unless there is a row for each answer, and both answers occur.
    """
    labels = np.asarray(torch.as_tensor(is_concept).cpu(), dtype=bool)
    if not isinstance(activations, torch.Tensor) or activations.dim() < 2:
        raise ValueError(
            f"Activations are wanted as (N, …), a row a picture; {described(activations)} came."
        )
    if labels.shape != (len(activations),):
        raise ValueError(
            f"For each of {len(activations)} rows, True or False is wanted, ({len(activations)},);"
            f" the shape is {labels.shape}."
        )
    if labels.all() or not labels.any():
        raise ValueError("Examples of the concept are wanted, and others beside them.")
    return activations.detach().flatten(1).double().cpu().numpy(), labels


def concept_vector(activations: torch.Tensor, is_concept: torch.Tensor) -> torch.Tensor:
    """The direction in which a layer's activations tell a concept from what is not one.

    Kim et al. 2018, arXiv:1711.11279, §3.2: the normal of a linear classifier, here a logistic
    regression. Each feature is scaled to a standard deviation of 1 first, and the direction is that
    of the activations as they came. It points towards the concept.

    activations: (N, …), of examples and of others.
    is_concept: whether each is an example, (N,).
    Returns (d,), of length 1, as flat as a picture's activations.
    Raises ValueError for activations and answers that do not fit, or only one kind of answer.
    """
    # here, since they are slow to import, and every figure and panel comes by this module
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x, labels = validate_rows(activations, is_concept)
    scaler = StandardScaler().fit(x)
    classifier = LogisticRegression(max_iter=1000).fit(scaler.transform(x), labels)
    normal = classifier.coef_[0] / scaler.scale_
    return torch.from_numpy(normal / np.linalg.norm(normal)).to(activations)


def above(model: nn.Module, layer: str, *, image: torch.Tensor) -> Head:
    """The part of a network above a layer, as a function of that layer's activations.

    model: images -> logits.
    layer: its dotted name. All that comes later must see the image through it alone, as is so
        after a whole block; where a shortcut leads past it, other activations do not fit.
    image: any, (1, C, H, W), to drive the layers below, whose answer is thrown away.
    Returns a function (N, …) -> logits (N, K), through which gradients lead.
    Raises ValueError for an unknown layer, and the function does for activations that do not fit.
    """
    validate_eval(model)
    module = activations.submodule(model, layer)

    def head(inner: torch.Tensor) -> torch.Tensor:
        # never as many as come, so that what leads past the layer cannot be added unnoticed
        count = 2 if len(inner) != 2 else 3
        try:
            with activations.hooked(model, [module], lambda *_: inner):
                logits = asked(model, image.expand(count, -1, -1, -1))
            validate_logits(logits, count=len(inner))
        except (ValueError, RuntimeError) as error:  # torch names sizes that do not fit
            raise ValueError(
                f"These activations, {described(inner)}, cannot take the place of what {layer!r}"
                " puts out. Either their shape is another, or a shortcut leads past that layer:"
                " name the whole block."
            ) from error
        return logits

    return head


@with_gradients
def tcav_score(
    head: Head, activations: torch.Tensor, vector: torch.Tensor, target: int
) -> torch.Tensor:
    """For what share of the pictures a class's logit rises when the activations move towards a
    concept.

    Kim et al. 2018, arXiv:1711.11279, eq. 1 and 2.

    head: activations -> logits, as `above` makes it.
    activations: of the layer, (N, …).
    vector: the concept's, (d,), or those of several, side by side, (d, m).
    target: the class.
    Returns one number from 0 to 1, or (m,).
    Raises ValueError for a class, or a vector, that does not fit.
    """
    validate_vector(vector[:, 0] if vector.dim() == 2 else vector, activations)
    inner = activations.detach().clone().requires_grad_(True)
    logits = head(inner)
    labels = validated_labels(target, inner, logits.shape[1])
    [gradient] = torch.autograd.grad(logits.gather(1, labels[:, None]).sum(), inner)
    return (gradient.flatten(1) @ vector.to(gradient) > 0).to(gradient).mean(0)


def derivatives(head: Head, activations: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """How fast every logit rises when the activations move towards a concept: all classes at once,
    by differentiating forwards.

    head: activations -> logits, as `above` makes it.
    activations: of the layer, (N, …).
    vector: the concept's, (d,).
    Returns (N, K), of which column k has eq. 1 of Kim et al. 2018 for class k.
    Raises ValueError for a vector that does not fit.
    """
    validate_vector(vector, activations)
    inner = activations.detach()
    towards = vector.to(inner).view(1, *inner.shape[1:]).expand_as(inner)
    with warnings.catch_warnings():  # torch's own rules for this are still written in TorchScript
        warnings.simplefilter("ignore", FutureWarning)
        return torch.func.jvp(head, (inner,), (towards.contiguous(),))[1].detach()


def validate_vector(vector: torch.Tensor, activations: torch.Tensor) -> None:
    """Raise ValueError unless a vector has a number for each of a picture's activations."""
    count = activations[0].numel()
    if not isinstance(vector, torch.Tensor) or vector.shape != (count,):
        raise ValueError(
            f"The concept's vector should be ({count},), a number for each of a picture's"
            f" activations; {described(vector)} came."
        )
