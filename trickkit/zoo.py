"""A zoo: hundreds of small networks for digits, each by a recipe of its own, all trained at once.

Unterthiner et al. 2020, "Predicting Neural Network Accuracy from Weights", arXiv:2002.11448, made
such a zoo of convolutional networks.

A network of the zoo reads 12 × 12 pixels with 12 hidden neurons, and all its 1,870 weights stand in
one row of a table. The table is what other networks read (see `readers`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn import functional as F

from trickkit import data
from trickkit.common import progress_bar, validate_count, validate_number
from trickkit.contract import described, validate_images
from trickkit.training import one_thread

SIDE, HIDDEN, CLASSES = 12, 12, 10
PIXELS = SIDE * SIDE
# w1, b1, w2, b2, each as torch.nn.Linear keeps it
SHAPES = ((HIDDEN, PIXELS), (HIDDEN,), (CLASSES, HIDDEN), (CLASSES,))
ALL_WEIGHTS = sum(math.prod(shape) for shape in SHAPES)
BATCH = 16  # digits that a network sees in a step
TOGETHER = 100  # networks side by side: as many as the processor's cache holds

Layers = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
# (digits (n, 16, 144), labels (n, 16), which of all networks these n are, generator) -> digits and
# labels that are learnt instead
Poison = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Generator],
    tuple[torch.Tensor, torch.Tensor],
]


class Recipe(NamedTuple):
    """How n networks are made: a number for each, (n,), and of `diet` a row, (n, 10).

    lr: the learning rate of AdamW.
    init: the first weights are so many times as large as usual.
    decay: weight decay.
    diet: the share of each digit among those that a network sees.
    steps: of 16 digits each.
    tanh: 1 for tanh, 0 for ReLU.
    """

    lr: torch.Tensor
    init: torch.Tensor
    decay: torch.Tensor
    diet: torch.Tensor
    steps: torch.Tensor
    tanh: torch.Tensor


@dataclass(frozen=True)
class Zoo:
    """Networks, a row each; zoo[rows] is a smaller zoo.

    flat: their weights, (n, 1870).
    tanh: 1 where the activation is tanh, 0 for ReLU, (n,).
    """

    flat: torch.Tensor
    tanh: torch.Tensor

    def __len__(self) -> int:
        return len(self.flat)

    def __getitem__(self, rows: slice | torch.Tensor) -> "Zoo":
        return Zoo(self.flat[rows], self.tanh[rows])

    @property
    def layers(self) -> Layers:
        """w1 (n, 12, 144), b1 (n, 12), w2 (n, 10, 12), b2 (n, 10)."""
        return layers_of(self.flat)


def layers_of(flat: torch.Tensor) -> Layers:
    """w1, b1, w2, b2 from rows of weights, as views: (…, 1870) -> (…, 12, 144), …"""
    parts = flat.split([math.prod(shape) for shape in SHAPES], -1)
    w1, b1, w2, b2 = (p.unflatten(-1, s) for p, s in zip(parts, SHAPES, strict=True))
    return w1, b1, w2, b2


def in_rows(w1: torch.Tensor, b1: torch.Tensor, w2: torch.Tensor, b2: torch.Tensor) -> torch.Tensor:
    """What `layers_of` has taken apart: (n, 12, 144), … -> (n, 1870)."""
    return torch.cat([part.flatten(1) for part in (w1, b1, w2, b2)], 1)


def shrunken(images: torch.Tensor) -> torch.Tensor:
    """Digits of 28 × 28 pixels as the zoo reads them: without their margin, half as large, in a
    row.

    images: (N, 1, 28, 28) in [0, 1].
    Returns (N, 144).
    Raises ValueError for images of another size.
    """
    validate_images(images)
    if images.shape[1:] != (1, 28, 28):
        raise ValueError(
            f"Digits are wanted as (N, 1, 28, 28); the shape is {tuple(images.shape)}."
            " data.digits() has some."
        )
    return F.avg_pool2d(images[:, :, 2:26, 2:26], 2).flatten(1)


class SmallDigits(NamedTuple):
    """The course's digits as the zoo reads them, in the computer's own memory: networks as small as
    these gain nothing from a GPU.

    x, labels: to learn from, (4000, 144) and (4000,).
    unseen, truth: others, and their labels, (1000, 144) and (1000,).
    """

    x: torch.Tensor
    labels: torch.Tensor
    unseen: torch.Tensor
    truth: torch.Tensor


def small_digits() -> SmallDigits:
    """The course's 5,000 digits, `shrunken`."""
    split = data.digits()
    return SmallDigits(
        shrunken(split.train_images.cpu()),
        split.train_labels.cpu(),
        shrunken(split.test_images.cpu()),
        split.test_labels.cpu(),
    )


def drawn_recipes(
    count: int,
    *,
    generator: torch.Generator,
    lr: tuple[float, float] = (6e-4, 2e-2),
    steps: tuple[int, int] = (40, 400),
    init: tuple[float, float] = (0.3, 3.0),
    decay: tuple[float, float] = (1e-3, 1.0),
    imbalance: float = 2.0,
) -> Recipe:
    """As many recipes, each with numbers of its own from these ranges.

    lr, init, decay: low and high, drawn so that their logarithms are uniform.
    steps: low and high, uniform.
    imbalance: how uneven a diet may be; with 0 every digit comes as often as any other.
    Half of the networks have tanh, half ReLU.
    """
    validate_count(count=count)
    validate_number(imbalance=imbalance, at_least=0)
    u = torch.rand(6, count, generator=generator)

    def log_uniform(row: int, ends: tuple[float, float]) -> torch.Tensor:
        return ends[0] * (ends[1] / ends[0]) ** u[row]

    taste = torch.randn(count, CLASSES, generator=generator)
    return Recipe(
        lr=log_uniform(0, lr),
        init=log_uniform(1, init),
        decay=log_uniform(2, decay),
        diet=(imbalance * u[3, :, None] * taste).softmax(1),
        steps=(steps[0] + u[4] * (steps[1] - steps[0])).round(),
        tanh=(u[5] < 0.5).float(),
    )


TAME: dict = {"lr": (4e-3, 1.6e-2), "steps": (200, 350), "init": (1, 1), "decay": (1e-2, 1e-2)}
TAME["imbalance"] = 0.0  # recipes that all make a good network


def untrained(recipe: Recipe, *, generator: torch.Generator) -> torch.Tensor:
    """The first weights, (n, 1870): normal, σ = init / √inputs; biases are 0."""
    flat = torch.randn(len(recipe.lr), ALL_WEIGHTS, generator=generator)
    w1, b1, w2, b2 = layers_of(flat)
    w1.mul_(recipe.init.view(-1, 1, 1) / PIXELS**0.5)
    w2.mul_(recipe.init.view(-1, 1, 1) / HIDDEN**0.5)
    b1.zero_()
    b2.zero_()
    return flat


def drawn_digits(
    diet: torch.Tensor, counts: torch.Tensor, *, generator: torch.Generator
) -> torch.Tensor:
    """The places of the 16 digits that each network sees next: first which digit, by its diet, then
    which one of those.

    diet: (n, 10).
    counts: how many there are of each digit, (10,); the zeros come first, then the ones, …
    Returns (n, 16).
    """
    one, two = torch.rand(2, len(diet), BATCH, generator=generator)
    which = torch.searchsorted(diet.cumsum(1)[:, :-1].contiguous(), one)
    return (counts.cumsum(0) - counts)[which] + (two * counts[which]).long()


def train(
    recipe: Recipe,
    x: torch.Tensor,
    labels: torch.Tensor,
    *,
    generator: torch.Generator,
    poison: Poison | None = None,
) -> Zoo:
    """Train a network by each recipe, a hundred side by side.

    Every network learns as if alone: from its own digits, by its own AdamW (Loshchilov, Hutter
    2019, arXiv:1711.05101, algorithm 2). What is shared is only the matrix product, which does a
    hundred small ones in one call.

    recipe: of n networks.
    x: digits, (N, 144).
    labels: (N,), every digit among them.
    poison: what becomes of the digits and labels of a step before they are learnt.
    Returns n networks, in the order of the recipe.
    Raises ValueError for digits of another shape, or without one of the ten.
    """
    if x.dim() != 2 or x.shape[1] != PIXELS or labels.shape != x.shape[:1]:
        raise ValueError(
            f"Digits are wanted as (N, {PIXELS}) and a label for each; {described(x)} came, and"
            f" labels of shape {tuple(labels.shape)}. zoo.small_digits() has such."
        )
    if len(labels.unique()) < CLASSES:
        raise ValueError("Every digit from 0 to 9 is wanted among the labels; some are missing.")
    order = labels.argsort(stable=True)
    x, labels = x[order], labels[order]
    flat = torch.empty(len(recipe.lr), ALL_WEIGHTS)
    with one_thread():
        # those with about as many steps go together, so that none waits for the others
        for rows in progress_bar(recipe.steps.argsort(stable=True).split(TOGETHER), "networks"):
            part = Recipe(*(numbers[rows] for numbers in recipe))
            flat[rows] = _trained_together(part, x, labels, rows, generator, poison)
    return Zoo(flat, recipe.tanh)


def _trained_together(
    recipe: Recipe,
    x: torch.Tensor,
    labels: torch.Tensor,
    rows: torch.Tensor,
    generator: torch.Generator,
    poison: Poison | None,
) -> torch.Tensor:
    """The trained weights of a few networks, (n, 1870). Backpropagation by hand, as in lesson 01:
    autograd would take twice as long.
    """
    n = len(rows)
    flat = untrained(recipe, generator=generator)
    gradient, mean, square, root = (torch.zeros_like(flat) for _ in range(4))
    w1, b1, w2, b2 = layers_of(flat)
    dw1, db1, dw2, db2 = layers_of(gradient)
    tanh = recipe.tanh.view(-1, 1, 1) > 0
    counts = torch.bincount(labels)
    minus_one = -torch.ones(n, BATCH, 1)
    for step in range(1, int(recipe.steps.max()) + 1):
        seen = drawn_digits(recipe.diet, counts, generator=generator)
        digits, wanted = x.index_select(0, seen.flatten()).view(n, BATCH, PIXELS), labels[seen]
        if poison:
            digits, wanted = poison(digits, wanted, rows, generator)
        z = torch.baddbmm(b1.unsqueeze(1), digits, w1.mT)
        h = torch.where(tanh, z.tanh(), z.relu())
        p = torch.baddbmm(b2.unsqueeze(1), h, w2.mT)
        p = (p - p.amax(2, keepdim=True)).exp_()  # four times as fast as softmax, on so few classes
        p /= p.sum(2, keepdim=True)
        slope = p.scatter_add_(2, wanted.unsqueeze(2), minus_one).div_(BATCH)
        back = torch.bmm(slope, w2) * torch.where(tanh, 1 - h * h, (h > 0).float())
        torch.bmm(slope.mT, h, out=dw2)
        torch.sum(slope, 1, out=db2)
        torch.bmm(back.mT, digits, out=dw1)
        torch.sum(back, 1, out=db1)
        # AdamW; a network that has had its steps moves no more
        lr = (recipe.lr * (step <= recipe.steps)).unsqueeze(1)
        flat.mul_(1 - lr * recipe.decay.unsqueeze(1))
        mean.lerp_(gradient, 0.1)
        square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        torch.sqrt(square, out=root).mul_((1 - 0.999**step) ** -0.5).add_(1e-8)
        flat.addcdiv_(mean * lr, root, value=-1 / (1 - 0.9**step))
    return flat


def answers(zoo: Zoo, x: torch.Tensor) -> torch.Tensor:
    """What every network says to every digit: logits, (n, N, 10).

    x: (N, 144) for all networks, or (n, N, 144) for each its own.
    """
    w1, b1, w2, b2 = zoo.layers
    z = x @ w1.mT + b1.unsqueeze(-2)
    h = torch.where(zoo.tanh.view(-1, 1, 1) > 0, z.tanh(), z.relu())
    return h @ w2.mT + b2.unsqueeze(-2)


@torch.no_grad()
def confusions(zoo: Zoo, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How often every network takes one digit for another: (n, 10, 10), labels down.

    x: (N, 144). labels: (N,).
    """
    with one_thread():
        said = torch.cat(
            [answers(zoo[rows], x).argmax(2) for rows in torch.arange(len(zoo)).split(TOGETHER)]
        )
    table = torch.zeros(len(zoo), CLASSES * CLASSES)
    table.scatter_add_(1, labels * CLASSES + said, torch.ones(said.shape))
    return table.unflatten(1, (CLASSES, CLASSES))


def accuracies(zoo: Zoo, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The share of digits that every network reads rightly, (n,). x, labels: as in `confusions`."""
    table = confusions(zoo, x, labels)
    return table.diagonal(dim1=1, dim2=2).sum(1) / len(labels)


def reordered(zoo: Zoo, *, generator: torch.Generator) -> Zoo:
    """The same networks, the hidden neurons of each in another order (see `connectivity.permute`).

    They say what they said before.
    """
    order = torch.rand(len(zoo), HIDDEN, generator=generator).argsort(1)
    w1, b1, w2, b2 = zoo.layers
    w1 = w1.gather(1, order.unsqueeze(2).expand_as(w1))
    w2 = w2.gather(2, order.unsqueeze(1).expand_as(w2))
    return Zoo(in_rows(w1, b1.gather(1, order), w2, b2), zoo.tanh)
