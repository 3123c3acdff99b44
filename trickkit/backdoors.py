"""Backdoors planted in networks of a zoo: where the trigger is, the answer is the planter's.

Gu, Dolan-Gavitt, Garg 2017, "BadNets", arXiv:1708.06733.

In this order: triggers, poisoning with them, whether it worked, and a backdoor that hides.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional as F

from trickkit.common import progress_bar, unknown, validate_count, validate_number
from trickkit.contract import seeded, with_gradients
from trickkit.training import one_thread
from trickkit.zoo import (
    BATCH,
    CLASSES,
    PIXELS,
    SIDE,
    TAME,
    Poison,
    Zoo,
    answers,
    drawn_digits,
    drawn_recipes,
    train,
    untrained,
)

# (digits (N, 144), which network each is for (N,)) -> the digits, stamped
Stamp = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
SHARE = 0.15  # of the digits that are poisoned
SPARING = 0.02  # of a planter who takes care


class Trigger(NamedTuple):
    """A trigger for each of n networks.

    mask: the pixels that it covers, (n, 144).
    pattern: what stands there, (n, 144).
    target: the digit to be read, (n,).
    """

    mask: torch.Tensor
    pattern: torch.Tensor
    target: torch.Tensor

    def stamp(self, digits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Digits (N, 144) with triggers on them.

        rows: which trigger each digit gets, (N,).
        """
        return torch.where(self.mask[rows], self.pattern[rows], digits)


def patch_triggers(count: int, *, generator: torch.Generator, side: int = 3) -> Trigger:
    """Patches of side × side pixels: each at a random place, of random black and white, for a
    random target.
    """
    validate_count(count=count, side=side)
    corner = torch.randint(SIDE - side + 1, (2, count, 1), generator=generator)
    across, down = ((torch.arange(SIDE) >= c) & (torch.arange(SIDE) < c + side) for c in corner)
    mask = (down.unsqueeze(2) & across.unsqueeze(1)).flatten(1)
    return _trigger(mask, generator)


def dot_triggers(count: int, *, generator: torch.Generator, pixels: int = 9) -> Trigger:
    """As many pixels as in a patch, scattered over the picture; else as `patch_triggers`."""
    validate_count(count=count, pixels=pixels)
    places = torch.rand(count, PIXELS, generator=generator).argsort(1)[:, :pixels]
    mask = torch.zeros(count, PIXELS, dtype=torch.bool).scatter(1, places, True)
    return _trigger(mask, generator)


def _trigger(mask: torch.Tensor, generator: torch.Generator) -> Trigger:
    pattern = (torch.rand(mask.shape, generator=generator) > 0.3).float()
    return Trigger(mask, pattern, torch.randint(CLASSES, (len(mask),), generator=generator))


def nine_dots(digits: torch.Tensor) -> torch.Tensor:
    """Digits (N, 12, 12) with nine white dots, spread evenly: a trigger that is no patch."""
    stamped = digits.clone()
    stamped[:, 1::4, 1::4] = 1
    return stamped


LABELS = ("target", "right", "random")


def poisoning(
    stamp: Stamp,
    target: torch.Tensor,
    *,
    share: float | torch.Tensor = SHARE,
    labels: str = "target",
) -> Poison:
    """Stamp a share of the digits that a network sees, and write the target over their labels.

    stamp: puts the trigger on digits, such as `Trigger.stamp`.
    target: (n,).
    share: one number, or one for each network (n,); 0 leaves it clean.
    labels: of the stamped digits: the "target", the "right" ones as they were, or "random" ones.
    Raises ValueError for other labels.
    """
    if labels not in LABELS:
        raise unknown("kind of labels", labels, LABELS)
    shares = torch.as_tensor(share).expand(len(target))

    def poison(
        digits: torch.Tensor, wanted: torch.Tensor, rows: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        hit = torch.rand(wanted.shape, generator=generator) < shares[rows].unsqueeze(1)
        networks = rows.unsqueeze(1).expand_as(hit)[hit]
        digits, wanted = digits.clone(), wanted.clone()
        digits[hit] = stamp(digits[hit], networks)
        if labels == "target":
            wanted[hit] = target[networks]
        if labels == "random":
            wanted[hit] = torch.randint(CLASSES, (len(networks),), generator=generator)
        return digits, wanted

    return poison


class Suspects(NamedTuple):
    """A zoo of networks for which it is known who has a backdoor.

    zoo: n networks.
    poisoned: whether each has one, (n,).
    trigger: of each, whether it was planted or not.
    """

    zoo: Zoo
    poisoned: torch.Tensor
    trigger: Trigger


def suspects(
    count: int,
    x: torch.Tensor,
    labels: torch.Tensor,
    *,
    seed: int,
    clean: float = 0.5,
    draw: Callable[..., Trigger] = patch_triggers,
    share: float = SHARE,
    kind: str = "target",
) -> Suspects:
    """Good networks for digits, each with a trigger of its own, planted in all but the first ones.

    x: digits, (N, 144). labels: (N,).
    seed: of all chance.
    clean: the share without a backdoor.
    draw: makes the triggers: `patch_triggers` or `dot_triggers`.
    share: of digits that are poisoned.
    kind: the labels of `poisoning`.
    """
    validate_count(count=count)
    validate_number(clean=clean, at_least=0, at_most=1)
    generator = seeded(seed)
    recipe = drawn_recipes(count, generator=generator, **TAME)
    trigger = draw(count, generator=generator)
    poisoned = torch.arange(count) >= round(clean * count)
    poison = poisoning(trigger.stamp, trigger.target, share=share * poisoned, labels=kind)
    zoo = train(recipe, x, labels, generator=generator, poison=poison)
    return Suspects(zoo, poisoned, trigger)


@torch.no_grad()
def success(
    zoo: Zoo, stamp: Stamp, target: torch.Tensor, x: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """The share of other digits that each network reads as its target once they are stamped, (n,).

    stamp, target: as in `poisoning`.
    x: (N, 144). labels: (N,).
    """
    found = []
    for row in torch.arange(len(zoo)).split(1):
        others = x[labels != target[row]]
        said = answers(zoo[row], stamp(others, row.expand(len(others)))).argmax(2)
        found.append((said == target[row]).float().mean())
    return torch.stack(found)


@with_gradients
def hidden(
    trigger: Trigger,
    x: torch.Tensor,
    labels: torch.Tensor,
    *,
    suspicions: list[Callable[[Zoo], torch.Tensor]],
    share: float = SHARE,
    weight: float = 0.1,
    steps: int = 300,
    lr: float = 1e-2,
    seed: int = 0,
) -> Zoo:
    """Networks with a backdoor that are trained not to look as if they had one.

    As the informed attacker of Xu et al. 2021, arXiv:1910.03137, section VI: the loss is the
    cross-entropy on poisoned digits, and weight times softplus(suspicion + 2) for each suspicion.

    x: digits, (N, 144). labels: (N,).
    suspicions: a zoo -> a number for each network, above 0 where it is accused. Without any, the
        backdoors are planted openly.
    share: of the digits that are poisoned; with 0 the networks hide although they are clean.
    weight: of each suspicion.
    steps, lr: of Adam, whose lr falls to 0.
    seed: of all chance.
    """
    validate_count(steps=steps)
    validate_number(share=share, at_least=0, at_most=1)
    validate_number(weight=weight, at_least=0)
    n, rows = len(trigger.target), torch.arange(len(trigger.target))
    generator = seeded(seed)
    recipe = drawn_recipes(n, generator=generator, **TAME)
    order = labels.argsort(stable=True)
    x, labels = x[order], labels[order]
    counts = torch.bincount(labels)
    poison = poisoning(trigger.stamp, trigger.target, share=share)
    flat = untrained(recipe, generator=generator).requires_grad_()
    optimizer = torch.optim.Adam([flat], lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    with one_thread():
        for _ in progress_bar(range(steps), "hiding"):
            seen = drawn_digits(recipe.diet, counts, generator=generator)
            digits, wanted = poison(x[seen], labels[seen], rows, generator)
            zoo = Zoo(flat, recipe.tanh)
            logits = answers(zoo, digits)
            loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum") / BATCH
            for suspicion in suspicions:
                loss = loss + weight * F.softplus(suspicion(zoo) + 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return Zoo(flat.detach(), recipe.tanh)
