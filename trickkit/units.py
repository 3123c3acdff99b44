"""Network dissection: what does a single unit stand for?

Bau et al. 2017, arXiv:1704.05796. A unit, one channel of a layer, stands for a concept if the
places where it is highest lie where the concept is. Here the concepts are pasted into photos by
code, so that their masks are exact.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from trickkit import activations, concepts, data
from trickkit.common import validate_count, validate_number
from trickkit.contract import described, seeded

PAINTS = {
    "red": (0.8, 0.1, 0.1),
    "green": (0.1, 0.55, 0.15),
    "blue": (0.1, 0.2, 0.8),
    "yellow": (0.9, 0.8, 0.1),
}
CONCEPTS = (*concepts.TEXTURES, *PAINTS)
FINE = 20  # places along a side of a mask
LEAST = 0.04  # the overlap above which a unit counts as a detector, Bau et al. §3


class Composites(NamedTuple):
    """Photos into which concepts were pasted.

    images: (N, 3, S, S) in [0, 1].
    masks: where each of the `CONCEPTS` is, bool (N, 10, 20, 20).
    """

    images: torch.Tensor
    masks: torch.Tensor


def composites(count: int = 240, *, size: int = 160, seed: int = 0) -> Composites:
    """Photos of the course, each with a texture in one half and a plain colour in the other, in
    discs, squares and diamonds.

    count: how many; textures, colours and photos take turns.
    size: their side, in pixels.
    seed: of textures, shapes and places.
    """
    validate_count(count=count, size=size)
    generator = seeded(seed)
    photos = torch.cat([data.picture(name, size=size) for name in data.picture_names()])
    images = photos[torch.arange(count) % len(photos)].clone()
    masks = torch.zeros(count, len(CONCEPTS), FINE, FINE, dtype=torch.bool)
    textures = len(concepts.TEXTURES)
    each = -(-count // textures)
    fills = [concepts.textures(kind, each, size=size, seed=seed) for kind in concepts.TEXTURES]
    for n in range(count):
        turn, texture = divmod(n, textures)
        colour = turn % len(PAINTS)
        tint = 0.2 * torch.rand(3, generator=generator) - 0.1
        plain = (torch.tensor(list(PAINTS.values())[colour]) + tint).clamp(0, 1)[:, None, None]
        right = torch.rand((), generator=generator).item() < 0.5
        for concept, fill, half in (
            (texture, fills[texture][turn], right),
            (textures + colour, plain, not right),
        ):
            shape = torch.rand(3, generator=generator).tolist()
            images[n] = torch.where(inside(size, half, *shape).to(images.device), fill, images[n])
            masks[n, concept] = inside(FINE, half, *shape)
    return Composites(images, masks.to(images.device))


def inside(side: int, right: bool, kind: float, radius: float, height: float) -> torch.Tensor:
    """Where a shape is: booleans (side, side).

    side: how finely it is drawn.
    right: whether it lies in the right half.
    kind, radius, height: what it is, how large and how high, three random numbers of 0 to 1.
    """
    r = 0.2 + 0.07 * radius
    at = (torch.arange(side) + 0.5) / side
    across = (at - (0.75 if right else 0.25)).abs() / r
    down = (at - (r + (1 - 2 * r) * height)).abs()[:, None] / r
    if kind < 1 / 3:
        return across.square() + down.square() < 1
    if kind < 2 / 3:
        return (across < 0.87) & (down < 0.87)
    return across + down < 1.25


def upsampled(maps: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Maps (N, C, h, w) as fine as the masks, linearly in between: (N, C, H, W)."""
    return F.interpolate(maps, masks.shape[-2:], mode="bilinear", align_corners=False)


def iou(maps: torch.Tensor, masks: torch.Tensor, *, top: float = 0.01) -> torch.Tensor:
    """How well the places where each unit is highest fit each concept's mask.

    Bau et al. 2017, §2.2: |M ∩ L| / |M ∪ L|, counted over all pictures together. M is where the
    unit is above its own threshold, which only a share `top` of all places in all pictures exceeds;
    L is the mask.

    maps: (N, C, H, W), as fine as the masks.
    masks: bool (N, K, H, W).
    top: the share, 0 to 1.
    Returns (C, K), 0 to 1.
    Raises ValueError for maps and masks that do not fit, and a share of no place or of all.
    """
    if maps.dim() != 4 or masks.dim() != 4 or maps[:, 0].shape != masks[:, 0].shape:
        raise ValueError(
            "Maps (N, C, H, W) and masks (N, K, H, W), as fine as each other, are wanted; the"
            f" shapes are {tuple(maps.shape)} and {tuple(masks.shape)}. units.upsampled makes maps"
            " finer."
        )
    validate_number(top=top, at_least=0, at_most=1)
    units = maps.transpose(0, 1).flatten(1)
    places = units.shape[1]
    highest = round(top * places)
    if not 0 < highest < places:
        raise ValueError(f"top is {top}: {highest} of {places} places. Some should be above.")
    threshold = units.kthvalue(places - highest, dim=1, keepdim=True).values
    above = (units > threshold).to(maps)
    where = masks.transpose(0, 1).flatten(1).to(maps)
    both = above @ where.T
    return both / (above.sum(1)[:, None] + where.sum(1) - both).clamp(min=1)


def detectors(scores: torch.Tensor, *, least: float = LEAST) -> torch.Tensor:
    """The concept that each unit detects: its best, or -1 where even that fits too badly.

    scores: (C, K), as `iou` gives them.
    least: what the best must exceed.
    Returns (C,) int64.
    """
    validate_number(least=least)
    best, concept = scores.max(1)
    return concept.masked_fill(best <= least, -1)


def rotated(maps: torch.Tensor, *, seed: int = 0) -> torch.Tensor:
    """Every unit replaced by a random mixture of all, so that nothing is lost: a rotation.

    Bau et al. 2017, §3.2.

    maps: (N, C, h, w).
    seed: of the rotation.
    """
    count = maps.shape[1]
    noise = torch.randn(count, count, generator=seeded(seed), dtype=torch.float64)
    rotation = torch.linalg.qr(noise).Q.to(maps)
    return torch.einsum("dc,nchw->ndhw", rotation, maps)


def silenced(maps: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
    """A copy of maps (N, C, h, w) in which some units say the same everywhere: their own mean.

    units: their numbers (k,).
    """
    quiet = maps.clone()
    quiet[:, units] = maps.mean((0, 2, 3))[units][:, None, None]
    return quiet


@torch.no_grad()
def read_after(
    model: nn.Module, layer: str, maps: torch.Tensor, *, later: str, batch_size: int = 60
) -> torch.Tensor:
    """What a later layer puts out when an earlier one puts out these maps.

    model: images -> anything.
    layer, later: their names. All that comes later must see the image through `layer` alone.
    maps: (N, C, h, w).
    Returns (N, C', h', w').
    Raises ValueError for maps that are none.
    """
    if not isinstance(maps, torch.Tensor) or maps.dim() != 4:
        raise ValueError(f"Maps (N, C, h, w) are wanted; {described(maps)} came.")
    validate_count(batch_size=batch_size)
    module = activations.submodule(model, layer)
    seen = []
    for part in maps.split(batch_size):

        def put(*_: object, part: torch.Tensor = part) -> torch.Tensor:
            return part

        # any picture drives the layers below, whose answer is thrown away
        picture = torch.zeros(len(part), 3, 32, 32, device=maps.device)
        with activations.hooked(model, [module], put):
            seen.append(activations.read_maps(model, picture, later))
    return torch.cat(seen)
