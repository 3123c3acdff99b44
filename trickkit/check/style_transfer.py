"""The checks of lesson 15. Each draws fresh activations and matrices; no network is asked."""

from collections.abc import Callable
from functools import partial

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from trickkit import style
from trickkit.check import Marks, called, exercise, progress, recognised, told_apart

__all__ = ["gram", "progress", "scattered", "style_loss"]
LESSON = "15 style_transfer"


class Counted(TorchDispatchMode):
    """Counts the operations on tensors while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        self.count += 1
        return func(*args, **(kwargs or {}))


def operations(function: Callable, *inputs: object) -> int:
    """How many operations on tensors a function takes."""
    with Counted() as counted:
        function(*inputs)
    return counted.count


def activation(channels: int = 0) -> torch.Tensor:
    """What a layer might put out: (1, C, h, w) with h ≠ w, nothing below 0, a third of it 0, and
    uneven channels.

    channels: C; 0 for three to six.
    """
    channels = channels or int(torch.randint(3, 7, ()))
    height = channels + int(torch.randint(3, ()))
    strength = 0.5 + torch.arange(channels).view(1, -1, 1, 1)
    return (torch.randn(1, channels, height + 2, height + 5) + 0.4).relu() * strength


def alike(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors have one shape and hold the same numbers, up to rounding."""
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=1e-3, atol=1e-5)


@exercise(
    LESSON,
    style.gram,
    "activation.flatten(2)[0] has a row for each channel and a column for each place.",
    "rows @ rows.T multiplies every two rows, place by place, and adds up.",
    "Last, divide by the number of places, which is rows.shape[1].",
    rounds=10,
)
def gram(yours):
    """G = F Fᵀ / M: how strongly two channels fire together, on average over the places."""
    x = activation().requires_grad_(True) * 1  # so that a change in place is found, not forbidden
    channels = x.shape[1]
    places = x[0, 0].numel()
    rows = x.detach().flatten(2)[0]
    right = style.gram(x.detach())
    known = {
        "your matrix compares places with places. Channels are wanted: rows @ rows.T, with a row"
        " for each channel.": (places, places),
        f"your result has shape (1, {channels}, {channels}); a matrix is wanted, without the"
        " batch's axis: [0].": (1, channels, channels),
    }
    said = called(yours, x, like=right, what="matrix", known=known)
    if not said.requires_grad:
        return (
            "your matrix is cut off from the activation, so no gradient flows. Leave out .detach(),"
            " .data and NumPy."
        )
    if alike(said.detach(), right):
        pull = torch.randn(channels, channels)
        [slope] = torch.autograd.grad((said * pull).sum(), x, allow_unused=True)
        wanted = ((pull + pull.T) @ rows / places).view_as(x)
        if slope is not None and alike(slope, wanted * (x > 0)):
            return (
                "the matrix is right, and its gradient is not: it stops where the activation is 0."
                " Take the activation as it is, with no .relu() or .abs()."
            )
        if slope is None or not alike(slope, wanted):
            return (
                "the matrix is right, and its gradient is not: a factor of it is cut off. Leave"
                " out .detach() and .data."
            )
        few, many = (operations(yours, activation(c)) for c in (4, 24))
        if many >= few + 20:
            return (
                f"with 4 channels yours takes {few} operations, with 24 it takes {many}, and layers"
                " go up to 512. No loop over channels: rows @ rows.T does all of them at once."
            )
        return None
    said = said.detach()
    cut = x.detach().reshape(-1, channels)
    mixed = x.detach()[0].permute(1, 2, 0).reshape(channels, -1)
    means = rows.mean(1, keepdim=True)
    lengths = rows.norm(dim=1, keepdim=True).clamp(min=1e-12)  # a channel may be silent
    mistakes = {
        f"{places} times too large: divide by the number of places, or a larger picture would have"
        " more style.": rows @ rows.T,
        "you divided by the number of channels. Divide by the number of places, rows.shape[1].": (
            rows @ rows.T / channels
        ),
        "too small: you divided by channels times places. Divide by the number of places alone.": (
            rows @ rows.T / places / channels
        ),
        "you divided by the root of the number of places. Divide by the number itself.": (
            rows @ rows.T / places**0.5
        ),
        "you divided by the number of places twice. Once is enough.": rows @ rows.T / places**2,
        "you divided by M - 1, as for a covariance. Divide by the number of places, M.": (
            rows @ rows.T / (places - 1)
        ),
        "you took each channel's mean off first: that is the covariance. The Gram matrix takes the"
        " numbers as they are.": (rows - means) @ (rows - means).T / places,
        "that is the covariance: it takes off each channel's mean. The Gram matrix takes the"
        " numbers as they are.": torch.cov(rows),
        "that is the correlation, which forgets how strongly a channel fires. No means and no"
        " lengths are taken out.": torch.corrcoef(rows),
        "that is the cosine of every two channels, which forgets how strongly they fire. Divide by"
        " no lengths.": (rows / lengths) @ (rows / lengths).T,
        "you averaged over the places first, so nothing is left of which channels fire *together*."
        " Multiply first.": [means @ means.T * n for n in (1, places, places**2)],
        "you made the rows by reshape, which cuts channels apart."
        " flatten(2) keeps each channel in its own row.": [
            cut.T @ cut / places,
            mixed @ mixed.T / places,
        ],
        "the products are right, and then you took a root. Leave it out.": right.sqrt(),
        "that is 1 where both channels fire. How strongly they fire counts: multiply the numbers"
        " themselves.": (rows > 0).float() @ (rows > 0).float().T / places,
        "your matrix has its diagonal alone. Pair each channel with every other one, too.": (
            right.diag().diag()
        ),
        "half of your matrix is missing. Channel i with j and j with i are both wanted.": [
            right.triu(),
            right.tril(),
        ],
        "you divided by one side of the layer. The number of places is height times width.": [
            rows @ rows.T / side for side in x.shape[2:]
        ],
    }
    return recognised(said, mistakes, same=alike) or (
        f"off by up to {relative(said, right):.0%} of the largest number. Wanted is F Fᵀ / M, M the"
        " places."
    )


def relative(said: torch.Tensor, right: torch.Tensor) -> float:
    """The largest error as a share of the largest number."""
    return ((said.double() - right.double()).abs().max() / right.abs().max()).item()


@exercise(
    LESSON,
    style.style_loss,
    "zip(now, wanted) walks through the layers; in each, (g - a).square().sum() tells how far apart"
    " the two matrices are.",
    "Divide a layer's sum by 4 C², where C = len(g), and the sum of the layers by their number.",
    rounds=10,
)
def style_loss(yours):
    """Σ (G - A)² / 4 C² for each layer, and their mean."""
    mistakes: Marks = {}
    right = torch.zeros(())
    now, wanted = [], []
    while not mistakes or not told_apart(right, mistakes):
        sizes = [2 + int(n) for n in torch.randperm(7)[:3]]
        now, wanted = (
            [style.gram(torch.randn(1, c, 4, 5).relu()) for c in sizes] for _ in range(2)
        )
        now[1] *= 3  # neither the first nor the last layer is furthest off
        right = style.style_loss(now, wanted)
        mistakes = style_mistakes(now, wanted, right)
    asked = [g.clone().requires_grad_(True) for g in now]
    known = {
        "your loss is a plain number, through which no gradient flows. Return the tensor: no"
        " .item(), no float().": [float, int],
        "your loss has a number for each layer. One number is wanted, their mean.": (3,),
    }
    said = called(yours, asked, wanted, like=right, what="loss", known=known)
    if not said.requires_grad:
        return (
            "your loss is cut off from the matrices, so no gradient flows back. Leave out"
            " .detach(), .data and no_grad."
        )
    if alike(said, right):
        slopes = torch.autograd.grad(said, asked, allow_unused=True)
        for slope, g, a in zip(slopes, now, wanted, strict=True):
            if slope is None or not alike(slope, (g - a) / (2 * len(g) ** 2 * 3)):
                return (
                    "some of the matrices are cut off from your loss, so no gradient flows, or not"
                    " all of it. Leave out .detach() and .data."
                )
        few, many = (
            operations(yours, *([torch.rand(c, c, requires_grad=True)] * 2 for _ in range(2)))
            for c in (4, 16)
        )
        if many >= few + 20:
            return (
                f"with 4 channels yours takes {few} operations, with 16 it takes {many}, and layers"
                " have up to 512. Loop over the layers only: (g - a).square().sum() takes all"
                " numbers at once."
            )
        return None
    return recognised(said, mistakes, same=partial(torch.allclose, rtol=1e-5, atol=0)) or (
        f"your loss is {said.item():.4g} where {right.item():.4g} is wanted: Σ (G - A)² / 4 C²"
        " for each layer, and their mean."
    )


def style_mistakes(
    now: list[torch.Tensor], wanted: list[torch.Tensor], right: torch.Tensor
) -> Marks:
    """The sentences for what a wrong loss of three layers may equal."""
    pairs = list(zip(now, wanted, strict=True))
    squares = [(g - a).square().sum() for g, a in pairs]
    layers = [s / (4 * len(g) ** 2) for s, g in zip(squares, now, strict=True)]
    return {
        "three layers, and three times too large: take the mean of the layers, not their sum.": (
            sum(layers)
        ),
        "four times too large: the paper divides by 4 C². (That makes its gradient tidier.)": 4
        * right,
        "twelve times too large: four times, and once for each layer. Divide by 4 C², and take the"
        " mean of the layers.": 4 * sum(layers),
        "no layer's sum was divided by 4 C², so the layers with many channels drown the others.": (
            sum(squares) / 3
        ),
        "you neither divided each layer by 4 C² nor averaged over the layers.": sum(squares),
        "you divided by 4 C, the paper by 4 C²: a matrix has C² numbers.": (
            sum(s / (4 * len(g)) for s, g in zip(squares, now, strict=True)) / 3
        ),
        "the sign is turned: this falls as the style gets worse.": -right,
        "only the first layer counts. Go through all of them.": layers[0],
        "only the layer that is furthest off counts. Take the mean of all.": max(layers),
        "only the last layer counts. Is your return inside the loop, or your sum overwritten?": (
            layers[2]
        ),
        "you divided by 4 and multiplied by C²: put brackets, / (4 * C**2).": (
            sum(s / 4 * len(g) ** 2 for s, g in zip(squares, now, strict=True)) / 3
        ),
        "C is the number of channels, len(g); you took that of the matrix's entries.": (
            sum(s / (4 * g.numel() ** 2) for s, g in zip(squares, now, strict=True)) / 3
        ),
        "only the first layer counts, as a third. Go through all of them.": layers[0] / 3,
        "you divided by 2 C², the paper by 4 C².": 2 * right,
        "C is the number of channels, len(g); you took the number of layers.": (
            sum(squares) / (4 * len(now) ** 2) / 3
        ),
        "these are three layers, and you divided their sum by another number. Divide by"
        " len(wanted).": [sum(layers) / n for n in (2, 5)],
        "you squared the 4 as well. The square is of C alone: 4 * C**2.": right / 4,
        "you took the mean over all entries of all matrices, so that layers with many channels"
        " count for more. Take it layer by layer first.": (
            sum(squares) / (4 * sum(g.numel() for g in now))
        ),
        "you squared the matrices and took the difference. Take the difference first, then square"
        " it.": sum((g.square() - a.square()).sum() / (4 * len(g) ** 2) for g, a in pairs) / 3,
        "you use one layer's C for all of them. Each has its own, len(g).": [
            sum(squares) / (4 * len(g) ** 2) / 3 for g in now
        ],
        "you took a root. Here the squares stay squares: no .sqrt(), no .norm() by itself.": [
            right.sqrt(),
            sum((g - a).norm() / (4 * len(g) ** 2) for g, a in pairs) / 3,
            sum((g - a).norm() / (2 * len(g)) for g, a in pairs) / 3,
        ],
        "you took absolute values. The squares of the differences are wanted.": (
            sum((g - a).abs().sum() / (4 * len(g) ** 2) for g, a in pairs) / 3
        ),
        "you squared the sum of the differences, in which they cancel. Square first,"
        " then add up.": sum((g - a).sum().square() / (4 * len(g) ** 2) for g, a in pairs) / 3,
    }


@exercise(
    LESSON,
    style.scattered,
    "G adds up over the places, and a sum does not care about the order of its terms.",
    "torch.randperm(M) is a shuffle of M places. Use it on the columns of activation.flatten(2),"
    " all channels alike.",
    "Put it back into shape: .view_as(activation). (activation.flip(2), or a roll, would do as"
    " well.)",
    rounds=10,
)
def scattered(yours):
    """Another activation with the same Gram matrix: other numbers at half of its places or more,
    none below 0.
    """
    x = activation()
    said = called(yours, x, like=x, what="activation")
    if torch.equal(said, x):
        return (
            "that is the one you were given. Another activation is wanted, with other numbers at"
            " half of its places or more."
        )
    mine = style.gram(said.double())
    right = style.gram(x.double())
    if said.min() < 0:
        if alike(mine, right) and not alike(said.abs(), x):
            return (
                "true, the matrix stays the same. But a ReLU puts out nothing below 0. Move numbers"
                " instead of mixing them."
            )
        if alike(mine, right):
            return (
                "true, turning the signs keeps the matrix. But a ReLU puts out nothing below 0."
                " Move numbers instead."
            )
        return "some of your numbers are below 0, and a ReLU puts out no such thing."
    if alike(mine, right):
        moved = ((said - x).abs() > 0.01 * x.max()).any(1).float().mean().item()
        if moved < 0.5:
            return (
                f"the matrix stays, but only {moved:.0%} of the places hold other numbers. Half or"
                " more are wanted."
            )
        return None
    rows = said.flatten(2)[0]
    before = x.flatten(2)[0]
    if torch.equal(rows.sort(1).values, before.sort(1).values):
        return (
            "every channel keeps its numbers, but was shuffled by itself: what fired together no"
            " longer does. Move a place with all its channels."
        )
    if all((before == row).all(1).any() for row in rows.to(before)):
        return (
            "you moved the channels, and with them the rows of the matrix. Move the places: the"
            " last two axes."
        )
    if torch.equal(rows.flatten().sort().values, before.flatten().sort().values):
        return (
            "all numbers are there, but no place kept its numbers together. Move a place with all"
            " its channels."
        )
    return (
        f"its Gram matrix is off by up to {relative(mine, right):.2%} of the largest number."
        " What may move in F while F Fᵀ stays?"
    )
