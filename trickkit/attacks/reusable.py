"""One change for many images: a universal perturbation, and a sticker that works anywhere."""

import math

import torch
from torch.nn import functional as F

from trickkit.attacks.gradient import norms
from trickkit.common import progress_bar, validate_count, validate_number, validate_positive
from trickkit.contract import (
    Model,
    described,
    expanded_labels,
    gradient_of,
    logits_of,
    seeded,
    validate_attack,
    validate_batch,
    validated_labels,
    validated_start,
    with_gradients,
)


@with_gradients
def universal(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    eps: float,
    steps: int = 100,
    batch_size: int = 10,
    seed: int = 0,
) -> torch.Tensor:
    """One change for all images, known and unknown.

    Shafahi et al. 2020, arXiv:1811.11304, Algorithm 1; that there is one was found by
    Moosavi-Dezfooli et al. 2017, arXiv:1610.08401.

    Sign steps up the loss of a few images at a time, each image's counted up to a bound only (1
    here), so that those already fooled do not lead. Steps of ε/2 along a running sum, as in
    `momentum`.

    eps: ε, per pixel.
    steps: how many.
    batch_size: images a step.
    seed: of the choice of images.
    Returns (1, C, H, W) in [−ε, ε], to be added and clamped.
    """
    validate_attack(model, images, eps=eps, steps=steps)
    validate_count(batch_size=batch_size)
    labels = expanded_labels(labels, images)
    images = images.detach()
    generator = seeded(seed)
    change = torch.zeros_like(images[:1])
    total = torch.zeros_like(images[:1])
    for _ in progress_bar(range(steps), "one change for all"):
        rows = torch.randperm(len(images), generator=generator)[:batch_size].to(images.device)
        change.requires_grad_(True)
        logits = logits_of(model, (images[rows] + change).clamp(0, 1))
        y = validated_labels(labels[rows], images[rows], logits.shape[1])
        loss = F.cross_entropy(logits, y, reduction="none")
        gradient = gradient_of(loss.clamp(max=1).sum(), change)
        total = 0.9 * total + gradient / norms(gradient, p=1).clamp(min=1e-12)
        change = (change.detach() + eps / 2 * total.sign()).clamp(-eps, eps)
    return change


@with_gradients
def patch(
    model: Model,
    images: torch.Tensor,
    target: int,
    *,
    side: int = 80,
    steps: int = 100,
    batch_size: int = 4,
    lr: float = 0.05,
    seed: int = 0,
) -> torch.Tensor:
    """A round sticker that makes whatever it lies on a `target`.

    Brown et al. 2017, arXiv:1712.09665, eq. 1.

    Adam raises log p(target) on average over images, places, turns and sizes (`paste`), so that it
    also works where it was not tried.

    target: a class.
    side: of the sticker, in pixels.
    steps: Adam's.
    batch_size: images a step.
    lr: of Adam, in pixels.
    seed: of the choice of images, and where it lies on them.
    Returns (1, C, side, side) in [0, 1].
    """
    validated_start(model, images, target, targeted=True)
    validate_count(steps=steps, side=side, batch_size=batch_size)
    validate_positive(lr=lr)
    images = images.detach()
    generator = seeded(seed)
    # in half precision Adam would divide by 0, and nothing can be turned
    wide = images.to(torch.promote_types(images.dtype, torch.float32))
    sticker = torch.full((1, images.shape[1], side, side), 0.5).to(wide).requires_grad_(True)
    optimizer = torch.optim.Adam([sticker], lr=lr)
    for _ in progress_bar(range(steps), "printing a sticker"):
        rows = torch.randperm(len(images), generator=generator)[:batch_size].to(images.device)
        logits = logits_of(model, paste(wide[rows], sticker, generator=generator).to(images.dtype))
        sticker.grad = gradient_of(
            F.cross_entropy(logits, expanded_labels(target, logits)), sticker
        )
        optimizer.step()
        sticker.data.clamp_(0, 1)
    return sticker.detach().to(images.dtype)


def paste(
    images: torch.Tensor,
    sticker: torch.Tensor,
    *,
    generator: torch.Generator,
    sizes: tuple[float, float] = (0.3, 0.5),
    turn: float = 22.5,
) -> torch.Tensor:
    """Images (N, C, H, W) with a round sticker laid on each, somewhere, by the throw of dice.

    sticker: (1, C, S, S), of which the disc is used.
    generator: throws the dice.
    sizes: its diameter, smallest and largest, as a share of the image's side.
    turn: degrees it may be turned either way.
    Raises ValueError for images, a sticker or sizes that do not fit.
    """
    validate_batch(images)
    fits = isinstance(sticker, torch.Tensor) and sticker.dtype == images.dtype and sticker.numel()
    if not fits or sticker.shape[:2] != (1, images.shape[1]) or sticker.dim() != 4:
        raise ValueError(
            f"A sticker (1, {images.shape[1]}, S, S) of {images.dtype} is wanted, as the images"
            f" are; {described(sticker)} came."
        )
    if not isinstance(sizes, tuple | list) or len(sizes) != 2:
        raise ValueError(f"sizes is {sizes!r}; two are wanted, smallest and largest: (0.3, 0.5).")
    validate_positive(smallest=sizes[0], largest=sizes[1])
    validate_number(turn=turn)
    n = len(images)
    size, angle, across, down = torch.rand(4, n, generator=generator).to(images)
    size = sizes[0] + size * (sizes[1] - sizes[0])
    angle = (2 * angle - 1) * math.radians(turn)
    across, down = ((2 * place - 1) * (1 - size) for place in (across, down))  # wholly inside
    cos = angle.cos() / size
    sin = angle.sin() / size
    where = torch.stack(
        [
            torch.stack([cos, sin, -(cos * across + sin * down)], 1),
            torch.stack([-sin, cos, sin * across - cos * down], 1),
        ],
        1,
    )
    grid = F.affine_grid(where, list(images.shape), align_corners=False)
    laid = F.grid_sample(
        sticker.expand(n, -1, -1, -1), grid, padding_mode="border", align_corners=False
    )
    disc = (grid.norm(dim=3) <= 1)[:, None]
    return torch.where(disc, laid, images)
