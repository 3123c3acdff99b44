"""The checks of lesson 14. Pictures are small, and the networks random, so that it is the method that is checked."""
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

from trickkit import dreams
from trickkit.check import exercise, progress, tensor, untouched

__all__ = ["carry", "climb", "jittered", "progress", "shaded"]
LESSON = "14 deep_dream"


def bent_network() -> nn.Module:
    """A small random network, (1, 3, H, W) -> (1, 5, h, w), with no layer that depends on the place."""
    layers = OrderedDict(first=nn.Conv2d(3, 6, 3, padding=1), bend=nn.Tanh(), last=nn.Conv2d(6, 5, 3, stride=2))
    return nn.Sequential(layers).eval().requires_grad_(False)


@exercise(LESSON, dreams.climb,
          "How large is a gradient? g.abs().mean() says it. Divided by that, its mean size is 1, whatever the layer.",
          "Multiply by the rate, add to x, and stay a picture: .clamp(0, 1).")
def climb(yours):
    """One step uphill whose mean size is the rate."""
    for scale in (3.0, 1e-5, 1e4) * 4:
        x, g = torch.rand(1, 3, 12, 14).mul(0.6).add(0.2), scale * torch.randn(1, 3, 12, 14)
        rate = torch.empty(()).uniform_(0.002, 0.01).item()
        before, slope = x.clone(), g.clone()
        moved = yours(x, g, rate)
        if wrong := tensor(moved, x, "picture"):
            return wrong
        if wrong := untouched(x, before) or untouched(g, slope, "g"):
            return wrong
        moved = moved.float()
        mean = g.abs().mean()
        if torch.allclose(moved, (rate * g / mean).clamp(0, 1), atol=1e-6) or torch.allclose(moved, rate * g / mean, atol=1e-6):
            return "you returned the step alone; x with the step added is wanted."
        change = moved - x
        if (change * g).sum() < 0:
            return "you walk downhill: the step goes against the gradient. Add it."
        if torch.allclose(change, rate * g.sign(), atol=1e-5):
            return ("every pixel moved by the same: that is lesson 03's sign. Here pixels with a steeper slope move further; "
                    "only the mean size is fixed.")
        if torch.allclose(change, (rate * g / mean).clamp(0, 1), atol=1e-6):
            return "you clipped the step, and half of it is lost. Add first; then clip the picture."
        size = (change.abs().mean() / rate).item()
        for divisor, sentence in ((g.abs().max(), "largest value"), (g.norm(), "length"), (g.std(), "standard deviation")):
            if abs(size * divisor / mean - 1) < 0.01:
                return (f"you divided g by its {sentence}, so that the mean change is {size:.2g} of the rate. Divide by the "
                        "mean of its absolute values.")
        if not 0.98 < size < 1.02:
            return (f"with a gradient of mean size {mean:.2g}, your mean change is {size:.2g} times the rate; it should be the "
                    "rate whatever the gradient's size. Divide g by the mean of its absolute values.")
        if not torch.allclose(change, rate * g / mean, rtol=0.01, atol=0.01 * rate):
            return "the size is right, and not the direction: each pixel should move in proportion to its own gradient."
        edge = torch.tensor([0.0, 1.0]).repeat(252).view(1, 3, 12, 14)
        outside = yours(edge.clone(), g, 0.1).float()
        if ((outside < 0) | (outside > 1)).any():
            return f"your pixels go from {outside.min():.2f} to {outside.max():.2f}. Clip them to [0, 1] after the step."
        if not torch.allclose(outside, (edge + 0.1 * g / mean).clamp(0, 1), atol=1e-3):
            return "at black and white pixels your picture is not x plus the step, clipped."
    return None


@exercise(LESSON, dreams.jittered,
          "x.roll((down, right), (2, 3)) moves the picture; what leaves at one side comes in at the other.",
          "Roll, call move on the rolled picture, and roll its answer by (-down, -right).")
def jittered(yours):
    """A step taken on a rolled picture, and the picture put back."""
    for _ in range(20):
        x, network = torch.rand(1, 3, 12, 15), bent_network()
        down, right = torch.randint(1, 5, ()).item(), torch.randint(-9, -4, ()).item()
        before, given, slope = x.clone(), [], torch.randn(1, 3, 12, 15)

        def move(z, given=given, slope=slope, network=network):
            given.append(z.clone())
            return z * 0.9 + 0.01 * slope + network(z).mean()

        moved = yours(x, move, down, right)
        if wrong := tensor(moved, x, "picture"):
            return wrong
        if wrong := untouched(x, before):
            return wrong
        if not given:
            return "you never called move. It takes the step: move(the rolled picture)."
        if len(given) > 1:
            return f"you called move {len(given)} times; one step is wanted."
        if torch.equal(given[0], x):
            return "move was given the picture where it lay. Roll it first."
        if torch.equal(given[0], x.roll((down, right), (3, 2))):
            return "you rolled down along the width and right along the height: rows are axis 2, columns axis 3."
        if torch.equal(given[0], x.roll((-down, -right), (2, 3))):
            return "you rolled up and left before the step. Down and right come first, and back after it."
        if not torch.equal(given[0], x.roll((down, right), (2, 3))):
            return "move was given something else than x rolled by (down, right) along axes 2 and 3."
        moved, answer = moved.float(), move(given[0])
        if torch.allclose(moved, answer):
            return "the picture was left where it had been rolled to. Roll the answer back, by (-down, -right)."
        if torch.allclose(moved, answer.roll((down, right), (2, 3))):
            return "you rolled twice the same way. The way back has minus signs."
        if not torch.allclose(moved, answer.roll((-down, -right), (2, 3)), atol=1e-5):
            return "the step is not where it belongs: the answer of move, rolled back by (-down, -right), is wanted."
    return None


@exercise(LESSON, dreams.carry,
          "Enlarge what was dreamt, not the dreamt picture: the large photo has fine parts that the small one never had.",
          "What was dreamt is dreamt - small. dreams.resized(detail, *large.shape[2:]) enlarges it; add it to large.")
def carry(yours):
    """The photo at the next size, with the dream of the smaller size in it."""
    for _ in range(20):
        height, width = torch.randint(13, 30, (2,)).tolist()
        shape = round(height / 1.4), round(width / 1.4)
        small, large = (torch.rand(1, 3, *size).mul(0.8).add(0.1) for size in (shape, (height, width)))
        dreamt = small + torch.randn_like(small) * 0.15
        before = [z.clone() for z in (dreamt, small, large)]
        start = yours(dreamt, small, large)
        if wrong := tensor(start, large, "picture"):
            return wrong + " Every octave has a size of its own: that of large."
        for z, was, name in zip((dreamt, small, large), before, ("dreamt", "small", "large"), strict=True):
            if wrong := untouched(z, was, name):
                return wrong
        start, detail = start.float(), dreams.resized(dreamt - small, height, width)

        def same(wanted, start=start):
            return torch.allclose(start, wanted, atol=1e-4)

        if same(large):
            return "that is the photo alone: what the smaller size had dreamt is lost."
        if same(dreams.resized(dreamt, height, width)):
            return "you enlarged the dreamt picture: its photo is blurred now. Enlarge what was dreamt, and add it to large."
        if same(detail):
            return "that is what was dreamt, alone. Add it to the large photo."
        if same(large - detail):
            return "you took the dream away from the photo: the detail is dreamt less small."
        if same(large + dreams.resized(dreamt, height, width)) or same(large + dreams.resized(small, height, width)):
            return "two photos lie on top of each other. Take small away from dreamt before you enlarge it."
        if same((large + dreams.resized(dreamt, height, width)) / 2):
            return "that is the mean of two pictures. Take small away from dreamt, enlarge it, and add all of it to large."
        if same((large + detail).clamp(0, 1)):
            return "right but for the clipping: that comes after each step, not here."
        if any(same(large + F.interpolate(dreamt - small, (height, width), **how)) for how in (
                {"mode": "nearest"}, {"mode": "bilinear"}, {"mode": "bicubic"}, {"mode": "bicubic", "align_corners": True})):
            return "you enlarged in another way. Use dreams.resized(detail, height, width), corners on corners."
        if not same(large + detail):
            return "the large photo plus the enlarged detail is wanted; the detail is dreamt less small."
    return None


@exercise(LESSON, dreams.shaded,
          "Objective takes a list of names and a function (model, out) -> a number an image; out[name] is (N, C, h, w).",
          "The rows of a tensor are axis 2. Keep the first half: out[name][:, :, :rows // 2].",
          "Sum of squares over half of ‖a‖²: .square().flatten(1).sum(1) / 2.")
def shaded(yours):
    """An objective of one's own: ½‖a‖² over the upper half of a layer's rows, and nothing of the lower."""
    for _ in range(20):
        network, images = bent_network(), torch.rand(2, 3, torch.randint(9, 15, ()).item() * 2, 20).requires_grad_(True)
        objective = yours("last")
        if objective is None:
            tensor(objective, (2,))
        if not isinstance(objective, dreams.Objective):
            if isinstance(objective, torch.Tensor):
                return tensor(objective, (2,)) or "an Objective is wanted, and a tensor came: return Objective([name], …)."
            return f"an Objective is wanted, and a {type(objective).__name__} came: return Objective([name], …)."
        if tuple(objective.layers) == tuple("last"):
            return "a list of names is wanted, and a word is a list of letters: Objective([name], …)."
        if tuple(objective.layers) != ("last",):
            return f"your objective reads {', '.join(objective.layers) or 'no layer'}; it should read the one given, [name]."
        value = objective(network, images)
        if wrong := tensor(value, (2,), "objective's value"):
            return wrong + " A number an image: sum over all but axis 0."
        if not value.requires_grad:
            return "your value has lost its gradient, so nothing can be dreamt. No .detach(), no .item(), no torch.no_grad()."
        value, a = value.float(), network(images)
        half = a.shape[2] // 2
        if a.shape[2] % 2 and torch.allclose(value, a[:, :, :half + 1].square().flatten(1).sum(1) / 2, rtol=1e-4):
            return "of an odd number of rows you took one too many: the first h // 2 are wanted."
        upper, lower, whole = (z.square().flatten(1).sum(1) / 2 for z in (a[:, :, :half], a[:, :, half:], a))
        left = a[..., :a.shape[3] // 2].square().flatten(1).sum(1) / 2
        for wrong_value, sentence in (
                (whole, "that is the whole layer. Leave out the lower half of its rows."),
                (lower, "that is the lower half. The first rows are the upper ones."),
                (left, "that is the left half: columns are axis 3, rows are axis 2."),
                (2 * upper, "twice too large: ½‖a‖² has a half."),
                (-upper, "the sign is turned: the dream would have less of it."),
                (upper - lower, "the lower half counts against. Nothing of it is wanted: leave it out."),
                (a[:, :, :half].square().flatten(1).mean(1) / 2, "you took the mean of the squares; their sum is wanted."),
                (a[:, :, :half].flatten(1).sum(1), "you summed what the layer puts out. Square it first."),
                (a[:, :a.shape[1] // 2].square().flatten(1).sum(1) / 2, "you halved the channels: rows are axis 2.")):
            if torch.allclose(value, wrong_value, rtol=1e-4):
                return sentence
        if not torch.allclose(value, upper, rtol=1e-3):
            return f"for one image your value is {value[0]:.3g}, and ½‖a‖² of the upper rows is {upper[0]:.3g}."
    return None
