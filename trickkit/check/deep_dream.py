"""The checks of lesson 14.

Pictures are small, and the networks random, so that it is the method that is checked.
"""

from collections import OrderedDict
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from trickkit import dreams
from trickkit.check import called, exercise, progress, recognised, shaped, unchanged, written

__all__ = ["carry", "gradient_step", "jittered", "progress", "shaded"]
LESSON = "14 deep_dream"


def bent_network() -> nn.Module:
    """A small random network, (1, 3, H, W) -> (1, 5, h, w), with no layer that depends on the
    place.
    """
    layers = OrderedDict(
        first=nn.Conv2d(3, 6, 3, padding=1), bend=nn.Tanh(), last=nn.Conv2d(6, 5, 3, stride=2)
    )
    return nn.Sequential(layers).eval().requires_grad_(False)


@exercise(
    LESSON,
    dreams.gradient_step,
    "How large is a gradient? g.abs().mean() says it. Divided by that, its mean size is 1, whatever"
    " the layer.",
    "Multiply by the rate, add to x, and stay a picture: .clamp(0, 1).",
)
def gradient_step(yours):
    """One step uphill whose mean size is the rate."""
    for scale in (3.0, 1e-5, 1e4) * 4:
        x = torch.rand(1, 3, 12, 14).mul(0.6).add(0.2)
        g = scale * torch.randn(1, 3, 12, 14)
        lr = torch.empty(()).uniform_(0.002, 0.01).item()
        moved = called(yours, x, g, lr, like=x, what="picture", keeps={"x": x, "g": g}).float()
        mean = g.abs().mean()
        step = lr * g / mean
        if any(torch.allclose(moved, alone, atol=1e-6) for alone in (step.clamp(0, 1), step)):
            return "you returned the step alone; x with the step added is wanted."
        change = moved - x
        if (change * g).sum() < 0:
            return "you walk downhill: the step goes against the gradient. Add it."
        if torch.allclose(change, lr * g.sign(), atol=1e-5):
            return (
                "every pixel moved by the same: that is lesson 03's sign. Here pixels with a"
                " steeper slope move further; only the mean size is fixed."
            )
        if torch.allclose(change, step.clamp(0, 1), atol=1e-6):
            return "you clipped the step, and half of it is lost. Add first; then clip the picture."
        size = (change.abs().mean() / lr).item()
        for divisor, name in (
            (g.abs().max(), "largest value"),
            (g.norm(), "length"),
            (g.std(), "standard deviation"),
        ):
            if abs(size * divisor / mean - 1) < 0.01:
                return (
                    f"you divided g by its {name}, so that the mean change is {size:.2g} of the"
                    " rate. Divide by the mean of its absolute values."
                )
        if not 0.98 < size < 1.02:
            return (
                f"with a gradient of mean size {mean:.2g}, your mean change is {size:.2g} times the"
                " rate; it should be the rate whatever the gradient's size. Divide g by the mean"
                " of its absolute values."
            )
        if not torch.allclose(change, step, rtol=0.01, atol=0.01 * lr):
            return (
                "the size is right, and not the direction: each pixel should move in proportion to"
                " its own gradient."
            )
        edge = torch.tensor([0.0, 1.0]).repeat(252).view(1, 3, 12, 14)
        outside = yours(edge.clone(), g, 0.1).float()
        if ((outside < 0) | (outside > 1)).any():
            return (
                f"your pixels go from {outside.min():.2f} to {outside.max():.2f}. Clip them to [0,"
                " 1] after the step."
            )
        if not torch.allclose(outside, (edge + 0.1 * g / mean).clamp(0, 1), atol=1e-3):
            return "at black and white pixels your picture is not x plus the step, clipped."
    return None


@exercise(
    LESSON,
    dreams.jittered,
    "x.roll((down, right), (2, 3)) moves the picture; what leaves at one side comes in at the"
    " other.",
    "Roll, call step on the rolled picture, and roll its answer by (-down, -right).",
    rounds=20,
)
def jittered(yours):
    """A step taken on a rolled picture, and the picture put back."""
    x = torch.rand(1, 3, 12, 15)
    network = bent_network()
    down = int(torch.randint(1, 5, ()))
    right = int(torch.randint(-9, -4, ()))
    given = []
    gradient = torch.randn(1, 3, 12, 15)

    def step(z):
        given.append(z.clone())
        return z * 0.9 + 0.01 * gradient + network(z).mean()

    moved = called(yours, x, step, down, right, like=x, what="picture", keeps={"x": x}).float()
    if not given:
        return "you never called step. Give it the rolled picture."
    if len(given) > 1:
        return f"you called step {len(given)} times; once is wanted."
    rolled = x.roll((down, right), (2, 3))
    mistakes = {
        "step was given the picture where it lay. Roll it first.": x,
        "you rolled down along the width and right along the height: rows are axis 2, columns axis"
        " 3.": x.roll((down, right), (3, 2)),
        "you rolled up and left before the step. Down and right come first, and back after it.": (
            x.roll((-down, -right), (2, 3))
        ),
    }
    if not torch.equal(given[0], rolled):
        return recognised(given[0], mistakes, same=torch.equal) or (
            "step was given something else than x rolled by (down, right) along axes 2 and 3."
        )
    answer = step(rolled)
    if torch.allclose(moved, answer.roll((-down, -right), (2, 3)), atol=1e-5):
        return None
    mistakes = {
        "the picture was left where it had been rolled to. Roll the answer back, by (-down,"
        " -right).": answer,
        "you rolled twice the same way. The way back has minus signs.": (
            answer.roll((down, right), (2, 3))
        ),
    }
    return recognised(moved, mistakes, same=torch.allclose) or (
        "it is not where it belongs: the answer of step, rolled back by (-down, -right), is wanted."
    )


@exercise(
    LESSON,
    dreams.carry,
    "Enlarge what was dreamt, not the dreamt picture: the large photo has fine parts that the small"
    " one never had.",
    "What was dreamt is dreamt - small. dreams.resized(detail, *large.shape[2:]) enlarges it; add"
    " it to large.",
    rounds=20,
)
def carry(yours):
    """The photo at the next size, with the dream of the smaller size in it."""
    height, width = torch.randint(13, 30, (2,)).tolist()
    small = torch.rand(1, 3, round(height / 1.4), round(width / 1.4)).mul(0.8).add(0.1)
    large = torch.rand(1, 3, height, width).mul(0.8).add(0.1)
    dreamt = small + torch.randn_like(small) * 0.15
    before = [z.clone() for z in (dreamt, small, large)]
    start = yours(dreamt, small, large)
    if wrong := shaped(start, large, what="picture"):
        return wrong + " Every octave has a size of its own: that of large."
    if wrong := unchanged(
        dreamt=(dreamt, before[0]), small=(small, before[1]), large=(large, before[2])
    ):
        return wrong
    detail = dreams.resized(dreamt - small, height, width)
    blurred = dreams.resized(dreamt, height, width)
    enlarged = partial(F.interpolate, dreamt - small, (height, width))
    close = partial(torch.allclose, atol=1e-4)
    start = start.float()
    if close(start, large + detail):
        return None
    two = "two photos lie on top of each other. Take small away from dreamt before you enlarge it."
    other = (
        "you enlarged in another way. Use dreams.resized(detail, height, width), corners on"
        " corners."
    )
    mistakes = {
        "that is the photo alone: what the smaller size had dreamt is lost.": large,
        "you enlarged the dreamt picture: its photo is blurred now. Enlarge what was dreamt, and"
        " add it to large.": blurred,
        "that is what was dreamt, alone. Add it to the large photo.": detail,
        "you took the dream away from the photo: the detail is dreamt less small.": large - detail,
        two: [large + blurred, large + dreams.resized(small, height, width)],
        "that is the mean of two pictures. Take small away from dreamt, enlarge it, and add all of"
        " it to large.": (large + blurred) / 2,
        "right but for the clipping: that comes after each step, not here.": (
            (large + detail).clamp(0, 1)
        ),
        other: [
            large + enlarged(mode="nearest"),
            large + enlarged(mode="bilinear"),
            large + enlarged(mode="bicubic"),
            large + enlarged(mode="bicubic", align_corners=True),
        ],
    }
    return recognised(start, mistakes, same=close) or (
        "the large photo plus the enlarged detail is wanted; the detail is dreamt less small."
    )


def strength(part: torch.Tensor) -> torch.Tensor:
    """½‖a‖² of each image's part of a layer: (N, …) -> (N,)."""
    return part.square().flatten(1).sum(1) / 2


@exercise(
    LESSON,
    dreams.shaded,
    "Objective takes a list of names and a function (model, out) -> a number an image; out[name] is"
    " (N, C, h, w).",
    "The rows of a tensor are axis 2. Keep the first half: out[name][:, :, :rows // 2].",
    "Sum of squares over half of ‖a‖²: .square().flatten(1).sum(1) / 2.",
    rounds=20,
)
def shaded(yours):
    """An objective of one's own: ½‖a‖² over the upper half of a layer's rows, and nothing of the
    lower.
    """
    network = bent_network()
    images = torch.rand(2, 3, int(torch.randint(9, 15, ())) * 2, 20).requires_grad_(True)
    objective = written(yours("last"))
    if isinstance(objective, torch.Tensor) and (wrong := shaped(objective, images[:, 0, 0, 0])):
        return wrong
    if not isinstance(objective, dreams.Objective):
        kind = "tensor" if isinstance(objective, torch.Tensor) else type(objective).__name__
        return f"an Objective is wanted, and a {kind} came: return Objective([name], …)."
    if tuple(objective.layers) == tuple("last"):
        return "a list of names is wanted, and a word is a list of letters: Objective([name], …)."
    if tuple(objective.layers) != ("last",):
        return (
            f"your objective reads {', '.join(objective.layers) or 'no layer'}; it should read the"
            " one given, [name]."
        )
    value = objective(network, images)
    if wrong := shaped(value, images[:, 0, 0, 0], what="objective's value"):
        return wrong + " A number an image: sum over all but axis 0."
    if not value.requires_grad:
        return (
            "your value has lost its gradient, so nothing can be dreamt. No .detach(), no .item(),"
            " no torch.no_grad()."
        )
    value = value.float()
    a = network(images)
    half = a.shape[2] // 2
    upper = strength(a[:, :, :half])
    lower = strength(a[:, :, half:])
    close = partial(torch.allclose, rtol=1e-4)
    if a.shape[2] % 2 and close(value, strength(a[:, :, : half + 1])):
        return "of an odd number of rows you took one too many: the first h // 2 are wanted."
    mistakes = {
        "that is the whole layer. Leave out the lower half of its rows.": strength(a),
        "that is the lower half. The first rows are the upper ones.": lower,
        "that is the left half: columns are axis 3, rows are axis 2.": (
            strength(a[..., : a.shape[3] // 2])
        ),
        "twice too large: ½‖a‖² has a half.": 2 * upper,
        "the sign is turned: the dream would have less of it.": -upper,
        "the lower half counts against. Nothing of it is wanted: leave it out.": upper - lower,
        "you took the mean of the squares; their sum is wanted.": (
            a[:, :, :half].square().flatten(1).mean(1) / 2
        ),
        "you summed what the layer puts out. Square it first.": a[:, :, :half].flatten(1).sum(1),
        "you halved the channels: rows are axis 2.": strength(a[:, : a.shape[1] // 2]),
    }
    if wrong := recognised(value, mistakes, same=close):
        return wrong
    if not torch.allclose(value, upper, rtol=1e-3):
        return (
            f"for one image your value is {value[0]:.3g}, and ½‖a‖² of the upper rows is"
            f" {upper[0]:.3g}."
        )
    return None
