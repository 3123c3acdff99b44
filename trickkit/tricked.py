"""A player of Space Invaders, tricked and looked into: what changes its mind, and what it looks at.

States are pictures like any others, (N, 4, 84, 84) in [0, 1], and the values of the actions are
the logits: every attack of the course fits. Huang et al. 2017, arXiv:1702.02284; Greydanus et al.
2018, arXiv:1711.00138.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from scipy.stats import spearmanr
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

from trickkit import attacks, data
from trickkit.common import progress_bar, unknown, validate_count, validate_positive
from trickkit.contract import (
    Model,
    gradient_of,
    logits_of,
    validate_eval,
    validate_images,
    with_gradients,
)

FILE = "datasets/space_invaders_game.npz"
FIRE = (1, 4, 5)  # of the six actions, those that fire
REGIONS = {  # rows of the 84: the first, and the first no longer in it
    "top row": (0, 10),
    "gap": (53, 61),
    "shields": (61, 71),
    "cannon": (72, 78),
    "ground": (78, 84),
}


class Tape(NamedTuple):
    """One game as the player of 2015 played it, T moves long."""

    pictures: torch.Tensor  # (T + 3, 84, 84), uint8: move t was chosen from pictures t to t + 3
    actions: torch.Tensor  # (T,)
    rewards: torch.Tensor  # (T,), points
    lost: torch.Tensor  # (T,), bool: the move cost a life

    def states(self, moves: torch.Tensor) -> torch.Tensor:
        """What the player saw before those moves, (N,) -> (N, 4, 84, 84) in [0, 1]."""
        return self.pictures[moves[:, None] + torch.arange(4)].float() / 255


def stored_game(trick: str = "none") -> Tape:
    """A game that came with the course; its pictures are as the emulator drew them.

    trick: "none", or "fgsm": the game that began alike, but the player saw every state after
        `worst_step` by one grey level.
    Raises ValueError for another trick.
    """
    if trick not in ("none", "fgsm"):
        raise unknown("trick", trick, ("none", "fgsm"))
    with np.load(data.shipped(FILE)) as kept:
        return Tape(*(torch.from_numpy(kept[f"{trick}.{name}"]) for name in Tape._fields))


def stored_states(part: str) -> torch.Tensor:
    """States from many games, some moments from each: (128, 4, 84, 84) in [0, 1].

    part: "make", to make a change from, or "measure", from other games, to try it on.
    Raises ValueError for another part.
    """
    if part not in ("make", "measure"):
        raise unknown("part", part, ("make", "measure"))
    with np.load(data.shipped(FILE)) as kept:
        return torch.from_numpy(kept[part]).float() / 255


def best_action(net: Model, states: torch.Tensor) -> torch.Tensor:
    """The action of highest value in each state, (N,)."""
    with torch.no_grad():
        return logits_of(net, states).argmax(1)


def worst_step(net: Model, states: torch.Tensor, *, eps: float) -> torch.Tensor:
    """States in which every pixel moved by ε against the action that the player would choose.

    Huang et al. 2017, §3: `attacks.fgsm`, with the player's own best action as the label and the
    softmax of its values as the probabilities.

    states: (N, C, H, W) in [0, 1].
    eps: ε, per pixel; 1/255 is one grey level.
    Returns states in [0, 1].
    """
    return attacks.fgsm(net, states, best_action(net, states), eps=eps)


def coin_tosses(states: torch.Tensor, *, eps: float, generator: torch.Generator) -> torch.Tensor:
    """States in which every pixel moved up or down by ε, by the toss of a coin, kept in [0, 1]."""
    tosses = torch.randint(0, 2, states.shape, generator=generator).to(states) * 2 - 1
    return (states + eps * tosses).clamp(0, 1)


def shuffled_step(
    net: Model, states: torch.Tensor, *, eps: float, generator: torch.Generator
) -> torch.Tensor:
    """The null of `worst_step`: its ups and downs, each at a place where it does not belong."""
    change = (worst_step(net, states, eps=eps) - states).flatten(1)
    order = torch.randperm(change.shape[1], generator=generator)
    return (states + change[:, order].view_as(states)).clamp(0, 1)


def fire_question(values: torch.Tensor) -> torch.Tensor:
    """Values of six actions as the answers to one question: don't fire, or fire?

    values: (N, 6), in the order stay, fire, right, left, right + fire, left + fire.
    Returns (N, 2): the highest value among the actions that don't fire, and among those that do.
    """
    holds = [action for action in range(6) if action not in FIRE]
    return torch.stack([values[:, holds].amax(1), values[:, list(FIRE)].amax(1)], 1)


def whether_to_fire(net: Model) -> Model:
    """A player as a network of two classes, those of `fire_question`: whatever tricks it into
    class 0 stops the player from firing.
    """
    return lambda states: fire_question(logits_of(net, states))


def with_sticker(states: torch.Tensor, sticker: torch.Tensor) -> torch.Tensor:
    """States with a sticker (1, 1, S, S) on the lower right corner of the screen.

    A sticker stays where it is, so it is the same in all of a state's pictures.
    """
    side = sticker.shape[-1]
    states = states.clone()
    states[..., -side:, -side:] = sticker
    return states


@with_gradients
def sticker_for(
    net: Model, states: torch.Tensor, *, side: int = 8, steps: int = 200, lr: float = 0.05
) -> torch.Tensor:
    """A sticker for `with_sticker` that talks the player out of its best action in many states.

    Adam raises the cross-entropy of what it would have done without, on average over the states.

    states: to make it on, (N, C, H, W) in [0, 1].
    side: of the sticker, in pixels. steps: Adam's. lr: of Adam, in pixels.
    Returns (1, 1, side, side) in [0, 1].
    """
    validate_count(side=side, steps=steps)
    validate_positive(lr=lr)
    labels = best_action(net, states)
    sticker = torch.full((1, 1, side, side), 0.5).to(states).requires_grad_(True)
    optimizer = torch.optim.Adam([sticker], lr=lr)
    for _ in progress_bar(range(steps), "printing a sticker"):
        loss = F.cross_entropy(logits_of(net, with_sticker(states, sticker)), labels)
        sticker.grad = -gradient_of(loss, sticker)
        optimizer.step()
        sticker.data.clamp_(0, 1)
    return sticker.detach()


def blackened(states: torch.Tensor, rows: tuple[int, int]) -> torch.Tensor:
    """States with rows of every picture painted black.

    rows: the first, and the first no longer hidden, as in a slice.
    """
    return with_rows_of(states, torch.zeros_like(states), rows)


def with_rows_of(states: torch.Tensor, others: torch.Tensor, rows: tuple[int, int]) -> torch.Tensor:
    """States with rows of every picture taken from other states: wrong, but nothing strange.

    rows: the first, and the first no longer exchanged, as in a slice.
    """
    states = states.clone()
    states[..., rows[0] : rows[1], :] = others[..., rows[0] : rows[1], :]
    return states


def flying(states: torch.Tensor) -> torch.Tensor:
    """Where shots and bombs are: small thin things that touch nothing else, (N, C, H, W) of bool.

    Bright pieces of at most two columns and six rows, above the ground. What just
    touches an alien or a shield is not found.
    """
    n, c, h, w = states.shape
    bright = (states > 0.06).numpy().reshape(n * c, h, w).copy()
    bright[:, 77:] = False
    within = np.zeros((3, 3, 3), bool)
    within[1] = True  # neighbours lie in the same picture, corners count
    pieces, _ = ndimage.label(bright, within)
    small = [False] + [
        columns.stop - columns.start <= 2 and rows.stop - rows.start <= 6
        for _, rows, columns in ndimage.find_objects(pieces)
    ]
    return torch.from_numpy(np.array(small)[pieces]).view(n, c, h, w)


def as_many_others(states: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
    """The null of `flying`: on average as many bright pixels of each picture, anywhere else above
    the ground, by the throw of dice.
    """
    found = flying(states)
    bright = (states > 0.06) & ~found
    bright[..., 77:, :] = False
    share = found.sum((2, 3), keepdim=True) / bright.sum((2, 3), keepdim=True).clamp(min=1)
    return bright & (torch.rand(states.shape, generator=generator) < share)


def spot_score(
    net: Model, states: torch.Tensor, instead: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """How much the values change where a mask swaps a state for its blurred self: ½‖Q(I) − Q(I′)‖².

    Greydanus et al. 2018, eq. 1 to 3, on values in the place of a policy's logits:
    I′ = (1 − M) · I + M · the blurred I.

    states, instead: as they are and blurred, (N, C, H, W), or one for all masks.
    mask: M, (N, 1, H, W) in [0, 1], or one for all states.
    Returns (N,).
    """
    with torch.no_grad():
        change = logits_of(net, torch.lerp(states, instead, mask)) - logits_of(net, states)
    return change.square().sum(1) / 2


def round_spots(height: int, width: int, *, sigma: float = 5.0, spacing: int = 7) -> torch.Tensor:
    """Soft round spots, one at each place of a grid: the masks M of Greydanus et al. 2018.

    height, width: of the picture, in pixels.
    sigma: of a spot, in pixels; 5 in the paper's code.
    spacing: pixels from spot to spot, the first half as far from the edge; 5 in the paper's code.
    Returns (rows · columns, 1, height, width) in [0, 1], row by row.
    """
    validate_count(height=height, width=width, spacing=spacing)
    validate_positive(sigma=sigma)
    down, across = (
        torch.exp(-((torch.arange(side) - centres[:, None]) ** 2) / (2 * sigma**2))
        for side, centres in ((n, torch.arange(spacing // 2, n, spacing)) for n in (height, width))
    )
    return (down[:, None, :, None] * across[None, :, None, :]).flatten(0, 1)[:, None]


def blurred(states: torch.Tensor) -> torch.Tensor:
    """States under a Gaussian blur of σ = 3 pixels, as in the code of Greydanus et al. 2018."""
    return gaussian_blur(states, [19, 19], [3.0, 3.0])


def spot_map(
    net: Model, states: torch.Tensor, *, spacing: int = 7, instead: torch.Tensor | None = None
) -> torch.Tensor:
    """`spot_score` of `round_spots` all over each state.

    Greydanus et al. 2018.

    states: (N, C, H, W) in [0, 1].
    spacing: as in `round_spots`; a divisor of height and width puts every spot where it belongs.
    instead: what a spot shows, of the states' shape; the states `blurred` if not given.
    Returns maps (N, H, W), 0 and above, with straight lines between the spots.
    """
    validate_images(states)
    validate_eval(net)
    if instead is None:
        instead = blurred(states)
    height, width = states.shape[2:]
    masks = round_spots(height, width, spacing=spacing).to(states)
    scores = torch.stack(
        [
            spot_score(net, state[None], other[None], masks)
            for state, other in zip(states, instead, strict=True)
        ]
    )
    grid = scores.view(len(states), 1, len(range(spacing // 2, height, spacing)), -1)
    return F.interpolate(grid, size=(height, width), mode="bilinear")[:, 0]


def map_shares(maps: torch.Tensor, rows: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """What part of its weight a map has in each strip, in percent, on average over the maps.

    maps: (N, H, W), 0 and above.
    rows: of each strip, as in `REGIONS`.
    """
    return {
        name: 100 * (maps[:, top:low].sum((1, 2)) / maps.sum((1, 2))).mean().item()
        for name, (top, low) in rows.items()
    }


def map_likeness(
    ours: torch.Tensor, others: torch.Tensor, *, where: torch.Tensor | None = None
) -> float:
    """Spearman's rank correlation of two maps, on average over the pairs.

    Adebayo et al. 2018, §3.

    ours, others: (N, H, W).
    where: (N, H, W), bool: the pixels that count; all if not given.
    """
    if where is None:
        where = torch.ones_like(ours, dtype=torch.bool)
    each = [
        spearmanr(a[here].cpu(), b[here].cpu()).statistic
        for a, b, here in zip(ours, others, where, strict=True)
    ]
    return float(np.mean(each))
