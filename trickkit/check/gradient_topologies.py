"""The checks of lesson 11."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from trickkit import connectivity, landscapes
from trickkit.check import (
    Marks,
    called,
    exercise,
    in_short,
    progress,
    received,
    recognised,
    same,
    shaped,
    told_apart,
    written,
)

__all__ = ["barrier", "filter_normalise", "flattest", "permute", "progress"]
LESSON = "11 gradient_topologies"


@exercise(
    LESSON,
    landscapes.filter_normalise,
    "A filter is what makes one output: direction[i]. Its length is the root of its squares added"
    " up, over all but the first dimension.",
    "t.flatten(1).norm(dim=1) gives the length of each filter; .view(-1, *[1] * (t.dim() - 1))"
    " stands it up again, so that each filter is multiplied by its own number.",
    "A layer's biases, weight.dim() == 1, have no filters: return zeros.",
    rounds=5,
)
def filter_normalise(yours):
    """Each filter of a direction as long as the weights' own; 0 for biases."""
    sizes = torch.rand(4, 1, 1, 1) * 3 + 0.5
    for shape in ((4, 3, 2, 2), (4, 4, 4, 4), (4, 6)):
        weight = torch.randn(shape) * sizes.view(-1, *[1] * (len(shape) - 1))
        direction = torch.randn(shape)
        right = landscapes.filter_normalise(direction, weight)
        mine = called(yours, direction, weight, like=right, what="direction")
        if not same(mine, right):
            if wrong := recognised(mine, normalised_wrong(direction, weight)):
                return wrong
            if same(lengths(mine), lengths(weight)):
                return (
                    "the lengths are right, but you bent the filter. One number for the whole"
                    " filter keeps its direction: take the norm over all dimensions but the first."
                )
            return (
                f"filter 0 of yours has length {mine[0].norm():.3f}; that of the weights has"
                f" {weight[0].norm():.3f}. The direction's filters point where they did, each as"
                " long as the weights' own."
            )
    bias = torch.randn(4)
    drawn = torch.randn(4)
    mine = called(yours, drawn, bias, like=bias, what="direction of the biases")
    if same(mine, torch.zeros(4)):
        return None
    return (
        "right for filters; but where weight.dim() is 1, a layer's biases, the direction should be"
        " 0. Yours moves them."
    )


def lengths(t: torch.Tensor, p: float = 2) -> torch.Tensor:
    """The length of each filter, shaped so that it multiplies the filters."""
    return t.flatten(1).norm(p, dim=1).view(-1, *[1] * (t.dim() - 1))


def normalised_wrong(direction: torch.Tensor, weight: torch.Tensor) -> Marks:
    """The sentence for a mistake -> the direction it gives."""

    def inputs(t: torch.Tensor) -> torch.Tensor:
        return t.transpose(0, 1).flatten(1).norm(dim=1).view(1, -1, *[1] * (t.dim() - 2))

    unit = direction / lengths(direction)
    return {
        "your direction is the random one, as it came.": direction,
        "your filters point the other way: the sign is turned round.": (-unit * lengths(weight)),
        "the whole layer has the weights' length; each filter should have its own. Take the norm"
        " over all dimensions but the first.": direction * weight.norm() / direction.norm(),
        "your filters have length 1. Each should be as long as the weights' own: times ‖w‖.": unit,
        "you multiplied by ‖w‖ and did not divide by ‖d‖, so the lengths multiply.": (
            direction * lengths(weight)
        ),
        "the lengths are upside down: times the weights' length, divided by the direction's.": (
            unit * lengths(direction) ** 2 / lengths(weight)
        ),
        "those are the weights' filters with the direction's lengths; it is the direction that is"
        " wanted.": weight * lengths(direction) / lengths(weight),
        "you took the length for each input, dimension 1. A filter makes one output, and stands in"
        " dimension 0.": direction * inputs(weight) / inputs(direction),
        "your lengths are sums of absolute values. A length is the root of the squares added up.": (
            direction * lengths(weight, 1) / lengths(direction, 1)
        ),
        "you forgot the root: those are squares of lengths.": (
            direction * (lengths(weight) / lengths(direction)) ** 2
        ),
    }


@exercise(
    LESSON,
    connectivity.barrier,
    "The place at share t of the way is one + t * (other - one); torch.linspace(0, 1, points) gives"
    " the shares.",
    "The barrier is how far the highest loss on the way stands above the mean of the two ends:"
    " max(…) - (first + last) / 2.",
    rounds=5,
)
def barrier(yours):
    """The highest loss on the straight path, above the mean of its ends."""
    while True:
        one, other = torch.randn(2, 5)
        loss = hilly(one, other)
        points = [7, 8, 9, 13, 14][int(torch.randint(5, ()))]
        # there and back: one way the path ends higher than it began, the other way lower; and once
        # without a hill, where an end is the highest place
        ways = ((loss, one, other), (loss, other, one), (sloping(one, other), one, other))
        right = np.array([connectivity.barrier(*way, points=points) for way in ways])
        each = [barriers_wrong(*way, points) for way in ways]
        mistakes: Marks = {
            sentence: [
                np.array(numbers)
                for numbers in zip(*(marks[sentence] for marks in each), strict=True)
            ]
            for sentence in each[0]
        }
        if right[:2].min() > 0.2 and told_apart(right, mistakes):
            break
    came = [called(yours, *way, points, like=0.0, what="barrier") for way in ways]
    mine = np.array([float(value) for value in came])
    if same(mine, right):
        return None
    return recognised(mine, mistakes) or (
        f"yours is {mine[0]:.3f}. On this path the highest loss stands {right[0]:.3f} above the"
        " mean of the ends."
    )


def hilly(one: torch.Tensor, other: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A loss of points (d,) with a hill on one half of the way from one to other, and a dip on the
    other half.
    """
    way = other - one
    rise, place = (torch.rand(2) * 0.4 + 0.3).tolist()
    hill = 0.2 + 0.2 * place
    dip = 0.7 + 0.2 * place
    if torch.rand(()) < 0.5:
        hill, dip = 1 - hill, 1 - dip

    def loss(point: torch.Tensor) -> torch.Tensor:
        t = (point - one) @ way / (way @ way)
        return 2 + rise * t + (-(((t - hill) / 0.2) ** 2)).exp() - (-(((t - dip) / 0.1) ** 2)).exp()

    return loss


def sloping(one: torch.Tensor, other: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A loss of points (d,) that rises all the way from one to other, ever more steeply."""
    way = other - one
    rise = torch.rand(()).item() + 0.5
    return lambda point: 1 + rise * (((point - one) @ way / (way @ way)) + 0.2).square()


def barriers_wrong(
    loss: Any, one: torch.Tensor, other: torch.Tensor, points: int
) -> dict[str, list[float]]:
    """The sentence for a mistake -> the numbers it gives."""

    def along(shares: np.ndarray) -> np.ndarray:
        path = connectivity.straight(one, other)
        return np.array([float(loss(path(t))) for t in shares.tolist()])

    t = np.linspace(0, 1, points)
    losses = along(t)
    top, first, last = losses.max(), losses[0], losses[-1]
    mean = (first + last) / 2
    short = along(np.arange(points) / points)
    beside = np.array([float(loss(one + share * other)) for share in t.tolist()])
    behind = np.array([float(loss(one + share * (one - other))) for share in t.tolist()])
    marks = {
        "that is the highest loss itself. A barrier is measured from the ends: subtract their"
        " mean.": [top],
        "you measured from the first network alone. Subtract the mean of both ends.": [top - first],
        "you measured from the other network alone. Subtract the mean of both ends.": [top - last],
        "you measured from the higher end. Subtract the mean of both ends.": [
            top - max(first, last)
        ],
        "you measured from the lower end. Subtract the mean of both ends.": [
            top - min(first, last)
        ],
        "you subtracted the lowest loss on the way. Subtract the mean of the ends.": [
            top - losses.min()
        ],
        "you subtracted the mean of all the losses on the way. Subtract that of the two ends.": [
            top - losses.mean()
        ],
        "you subtracted both ends; their mean is half of that.": [top - 2 * mean],
        "you subtracted the loss half way. Subtract the mean of the two ends.": [
            top - float(along(np.array([0.5]))[0])
        ],
        "only one of the ends is halved. The mean needs brackets: (first + last) / 2.": [
            top - first - last / 2,
            top - first + last / 2,
        ],
        "that is the middle alone. The highest place may be elsewhere: try all of them.": [
            float(loss((one + other) / 2)) - mean
        ],
        "that is the mean of the losses on the way; the highest is wanted.": [losses.mean() - mean],
        "you measured from the straight line between the two losses. Here the mean of the ends is"
        " subtracted.": [(losses - (1 - t) * first - t * last).max()],
        "the sign is turned round: highest loss less the mean of the ends.": [mean - top],
        "you left out the ends. They are places on the path too, and may be the highest.": [
            losses[1:-1].max() - mean
        ],
        "your way leads backwards, away from the other network: one + t * (other - one).": [
            behind.max() - mean,
            behind.max() - (behind[0] + behind[-1]) / 2,
        ],
        "your places are one + t * other, which does not arrive at the other network. The way from"
        " one to the other is other - one: one + t * (other - one).": [
            beside.max() - mean,
            beside.max() - (beside[0] + beside[-1]) / 2,
        ],
        "your path does not arrive: the last share should be 1, as torch.linspace(0, 1, points) has"
        " it.": [short.max() - (short[0] + short[-1]) / 2, short.max() - mean],
        "your steps are 1/points of the way. points counts the places, with both ends, so there is"
        " one step less: torch.linspace(0, 1, points).": [
            along(np.linspace(0, 1, points + 1)).max() - mean
        ],
    }
    fixed = f"you tried another number of places; points asks for {points}, the ends among them."
    marks[fixed] = [along(np.linspace(0, 1, count)).max() - mean for count in (11, 101, 1001)]
    return marks


def three(yours: Any, came: object, right: tuple) -> list | str:
    """What came as w1, b1, w2; or the sentence for something else."""
    written(came)
    if not isinstance(came, tuple | list) or len(came) != 3:
        return f"three tensors are wanted, return w1, b1, w2; {in_short(came)} came."
    got = received(yours, came, right)
    for name, mine, best in zip(("w1", "b1", "w2"), got, right, strict=True):
        if wrong := shaped(mine, best, what=name):
            return wrong
    return list(got)


def says(x: torch.Tensor, w1: torch.Tensor, b1: torch.Tensor, w2: torch.Tensor) -> torch.Tensor:
    """What two layers make of x."""
    return (x @ w1.T + b1).relu() @ w2.T


@exercise(
    LESSON,
    connectivity.permute,
    "A unit is a row of w1, a number of b1 and a column of w2. All three move together.",
    "w1[order] takes the rows in that order; w2[:, order] the columns.",
    rounds=5,
)
def permute(yours):
    """Two layers with the units between them in another order."""
    n = 5
    w1, w2 = torch.randn(2, n, n)  # square, so that no shape warns
    b1 = torch.randn(n)
    x = torch.randn(20, n)
    order = torch.randperm(n)
    while (order.argsort() == order).all():  # its own inverse
        order = torch.randperm(n)
    right = connectivity.permute(w1, b1, w2, order)
    got = three(yours, yours(w1, b1, w2, order), right)
    if isinstance(got, str):
        return got
    m1, mb, m2 = got
    if all(map(same, got, right)):
        return None
    back = order.argsort()
    kept = all(map(same, got, (w1, b1, w2)))
    mistakes = {
        "all three came back as they were.": kept,
        "w1 is permuted, but b1 is not: each unit takes its bias along.": (
            same(m1, right[0]) and same(mb, b1)
        ),
        "w1 is permuted, but w2 is not: what reads the units must know their new places, w2[:,"
        " order].": same(m1, right[0]) and same(m2, w2),
        "you permuted the rows of w2. Its columns belong to the hidden units: w2[:, order].": (
            same(m2, w2[order])
        ),
        "you permuted the columns of w1. A hidden unit is a row of w1: w1[order].": (
            same(m1, w1[:, order])
        ),
        "w2 is put in the inverse order. The same order serves all three.": (
            same(m1, right[0]) and same(m2, w2[:, back])
        ),
        "that is the inverse: the first new unit should be unit order[0] of the old ones.": (
            same(m1, w1[back])
        ),
        "b1 is put in the inverse order. The same order serves all three: b1[order].": (
            same(m1, right[0]) and same(mb, b1[back])
        ),
        "w1 is permuted on both sides. Its columns belong to the inputs, which stay: w1[order].": (
            same(m1, w1[order][:, order])
        ),
        "w2 is permuted on both sides. Its rows belong to the classes, which stay: w2[:, order].": (
            same(m2, w2[order][:, order])
        ),
        "w1 is as it was. A hidden unit is a row of w1, and moves with the rest: w1[order].": (
            same(m1, w1)
        ),
    }
    for sentence, made in mistakes.items():
        if made:
            return sentence
    off = (says(x, *got) - says(x, w1, b1, w2)).abs().max()
    if off < 1e-4 * says(x, w1, b1, w2).abs().max():
        return (
            "the function is the same, but the units stand in another order than the one asked for."
            " The first new unit should be unit order[0] of the old ones, and so on."
        )
    fits = [name for name, a, b in zip(("w1", "b1", "w2"), got, right, strict=True) if same(a, b)]
    return (
        f"the two layers say something else now, by up to {off:.2f}; as it should be is"
        f" {' and '.join(fits) or 'none of the three'}."
    )


@exercise(
    LESSON,
    connectivity.flattest,
    "A twin: w1 * c, b1 * c, w2 / c. For c above 0, ReLU lets c through, and the last layer undoes"
    " it.",
    "Try each of the factors, ask sharpness((w1, b1, w2)) of each twin, and keep the one for which"
    " it is lowest.",
    rounds=3,
)
def flattest(yours):
    """The rescaled twin with the lowest sharpness."""
    w1, w2 = torch.randn(6, 4), torch.randn(3, 6)
    b1 = torch.randn(6)
    x = torch.randn(20, 4)
    best = torch.rand(()).item() * 4 + 2  # where the valley is
    if torch.rand(()) < 0.5:
        best = 1 / best
    near = w1.square().sum() * best**2 * w2.square().sum() / best**2

    asked = []

    def sharpness(twin):
        a, _, c = twin
        asked.append((torch.as_tensor(a).clone(), torch.as_tensor(c).clone()))
        # equal to w1's at the best factor, and rising to both sides
        first = float(torch.as_tensor(a).square().sum() / (w1.square().sum() * best**2))
        second = float(torch.as_tensor(c).square().sum() * best**2 / w2.square().sum())
        return float(near) * (first + 1 / first + second + 1 / second)

    # Some are flatter than the network as it came, before the flattest and after it, and the
    # sharpest is neither the first nor the last.
    wild = [0.1, 0.01, 60.0] if best > 1 else [10.0, 100.0, 1 / 60]
    flatter = [best**0.5, best**1.4]
    middle = [best, 1.0, wild[1]]
    factors = [wild[0], flatter[0]]
    factors += [middle[i] for i in torch.randperm(3).tolist()] + [flatter[1], wild[2]]
    right = connectivity.flattest(sharpness, w1, b1, w2, factors)
    asked.clear()
    got = three(yours, yours(sharpness, w1, b1, w2, factors), right)
    if isinstance(got, str):
        return got
    if all(map(same, got, right)):
        return None
    off = (says(x, *got) - says(x, w1, b1, w2)).abs().max()
    scale = says(x, w1, b1, w2).abs().max()
    m1, mb, m2 = got
    both = (
        "w2 was multiplied by the factor as well. What w1 makes larger, w2 must take back: divide."
    )
    if any(same(a, w1 * f) and same(c, w2 * f) for a, c in asked for f in factors if f != 1):
        return both
    if off > 1e-3 * scale:
        told = {
            "b1 was not rescaled, and the function changed. It is added to what w1 makes: times the"
            " same factor.": same(mb, b1) and not same(m1, w1),
            "b1 was divided by the factor. It goes with w1: times the factor.": (
                any(same(m1, w1 * f) and same(mb, b1 / f) for f in factors if f != 1)
            ),
            both: any(same(m1, w1 * f) and same(m2, w2 * f) for f in factors),
            "w2 is as it was, so the function changed: divide it by the factor.": same(m2, w2),
        }
        for sentence, made in told.items():
            if made:
                return sentence
        return (
            f"your twin is another function: its scores differ by up to {off:.2f}. Flat is easy if"
            " you may change what the network does."
        )
    mine = sharpness(got)
    factor = float((m1 * w1).sum() / w1.square().sum())
    if same(mine, max(sharpness(connectivity.rescale(w1, b1, w2, f)) for f in factors)):
        return "that is the sharpest twin. The lowest sharpness is wanted."
    if all(map(same, got, (w1, b1, w2))):
        return "your network came back as it was. Another factor makes it flatter."
    if same(factor, factors[-1]):
        return (
            "that is the twin of the last factor. Keep the flattest so far, and with it its"
            " sharpness, or every later one looks better."
        )
    if same(factor, factors[0]):
        return "that is the twin of the first factor. Try all of them before you return."
    if any(same(factor, f) for f in flatter):
        return (
            "that twin is flatter than your network, but not the flattest. Try all the factors, and"
            " keep the flattest so far."
        )
    if any(same(factor, 1 / f) for f in factors):
        return "you divided w1 and multiplied w2. The factor makes w1 larger."
    if any(same(factor, float(product)) for product in np.cumprod(factors)):
        return (
            "your factors pile up: each twin was made from the one before. Make each of them from"
            " w1, b1, w2 as they came."
        )
    if not any(same(factor, f) for f in factors):
        return (
            f"your factor is {factor:.3g}, and that is none of those given. Try those in factors."
        )
    return (
        f"the same function, of sharpness {mine:.1f}; one of the factors leads to"
        f" {sharpness(right):.1f}."
    )
