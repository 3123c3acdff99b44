"""The checks of lesson 14.

Pictures are small, and the networks random, so that it is the method that is checked.
"""

from collections import OrderedDict
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from trickkit import activations, dreams
from trickkit.check import Trial, Wrong, called, exercise, progress, recognised, shaped, written

__all__ = ["carry", "from_waves", "gradient_step", "jittered", "progress", "shaded"]
LESSON = "14 deep_dream"


NAMES = ("last", "first", "bend")  # layers of `bent_network`


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
        g = torch.randn(1, 3, 12, 14).add(0.3) * torch.tensor([1, 3, 0.5]).view(1, 3, 1, 1) * scale
        lr = torch.empty(()).uniform_(0.002, 0.01).item()
        moved = called(yours, x, g, lr, like=x, what="picture")
        if wrong := stepped_wrongly(moved, x, g, lr):
            return wrong
        edge = torch.tensor([0.0, 1.0]).repeat(252).view(1, 3, 12, 14)
        outside = called(yours, edge, g, 0.1, like=edge, what="picture")
        if ((outside < 0) | (outside > 1)).any():
            return (
                f"your pixels go from {outside.min():.2f} to {outside.max():.2f}. Clip them to [0,"
                " 1] after the step."
            )
        if not torch.allclose(outside, (edge + 0.1 * g / g.abs().mean()).clamp(0, 1), atol=1e-3):
            return "for lr = 0.1, at black and white pixels yours is not x plus the step, clipped."
    return None


def stepped_wrongly(moved: torch.Tensor, x: torch.Tensor, g: torch.Tensor, lr: float) -> str | None:
    """The sentence for another step than lr · g / mean|g|, else None; nothing needs clipping."""
    mean = g.abs().mean()
    step = lr * g / mean
    change = moved - x
    close = partial(torch.allclose, rtol=1e-3, atol=1e-6)
    if torch.allclose(change, step, rtol=0.02, atol=0.01 * lr):
        return None
    if any(close(moved, alone) for alone in (step, step.clamp(0, 1), step.clamp(-1, 1))):
        return "you returned the step alone; x with the step added is wanted."
    if close(change, torch.zeros_like(x)):
        return "you returned x as it came, and the step is lost."
    if (change * g).sum() < 0:
        return "you walk downhill: the step goes against the gradient. Add it."
    far = x + step
    steps = {
        "every pixel moved by the same: that is lesson 03's sign. Here pixels with a steeper slope"
        " move further; only the mean size is fixed.": lr * g.sign(),
        "you clipped the step, and half of it is lost. Add first; then clip the picture.": (
            step.clamp(0, 1)
        ),
        "you clipped the step to ±lr. A steep pixel may move further than lr, for lr is the mean;"
        " clip the picture, not the step.": step.clamp(-lr, lr),
        "you left out lr: your mean change is 1, from black to white.": [
            g / mean,
            (x + g / mean).clamp(0, 1) - x,
        ],
        "you multiplied by 255. x and lr are on the scale from 0 to 1 already: leave them so.": [
            255 * far - x,
            255 * step,
            (x + 255 * step).clamp(0, 1) - x,
            (255 * x + step).clamp(0, 1) - x,
        ],
        "each channel has a mean of its own in your step, and colours shift. Take one mean over all"
        " of g.": lr * g / g.abs().mean((2, 3), keepdim=True),
    }
    if wrong := recognised(change, steps, same=partial(torch.allclose, rtol=1e-3, atol=1e-5)):
        return wrong
    levels = moved * 255
    if close(levels, levels.round()) and not close(x * 255, (x * 255).round()):
        return (
            "you rounded to whole grey levels, and a step may be smaller than one. Leave the"
            " numbers as they are."
        )
    if close(moved, (far - far.min()) / (far.max() - far.min())):
        return (
            "you stretched the picture until it fills [0, 1]. Clip it instead: what lies in [0, 1]"
            " stays as it is."
        )
    size = (change.abs().mean() / lr).item()
    straight = F.cosine_similarity(change.flatten(), g.flatten(), 0) > 0.999
    if straight:
        divisors = {
            "its largest value": g.abs().max(),
            "its length": g.norm(),
            "its standard deviation": g.std(),
            "the root of its mean square": g.square().mean().sqrt(),
            "its mean, in which plus and minus cancel": g.mean(),
        }
        for name, divisor in divisors.items():
            if abs(size * divisor / mean - 1) < 0.002:
                return (
                    f"you divided g by {name}, so that the mean change is {size:.3g} times the"
                    " rate. Divide by the mean of its absolute values."
                )
        if abs(255 * size - 1) < 0.01:
            return (
                "you divided by 255 once more. x and lr are on the scale from 0 to 1 already: an lr"
                " of 1.5 / 255 is one and a half grey levels."
            )
    if not 0.99 < size < 1.01:
        return (
            f"with a gradient of mean size {mean:.3g}, your mean change is {size:.3g} times the"
            " rate; it should be the rate whatever the gradient's size. Divide g by the mean of its"
            " absolute values."
        )
    return (
        "the size is right, and not the direction: each pixel should move in proportion to its own"
        " gradient."
    )


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

    def stepped(z):
        return z * 0.9 + 0.01 * gradient + network(z).mean()

    def step(z):
        if not isinstance(z, torch.Tensor) or z.dtype != x.dtype:
            kind = z.dtype if isinstance(z, torch.Tensor) else type(z).__name__
            raise Wrong(f"step was given a picture of {kind}; it takes a tensor of {x.dtype}.")
        given.append((z.clone(), stepped(z)))
        return given[-1][1]

    moved = called(yours, x, step, down, right, like=x, what="picture")
    if not given:
        return "you never called step. Give it the rolled picture."
    if len(given) > 1:
        return f"you called step {len(given)} times; once is wanted."
    [(came, answered)] = given
    rolled = x.roll((down, right), (2, 3))
    mistakes = {
        "step was given the picture where it lay. Roll it first.": x,
        "you rolled down along the width and right along the height: rows are axis 2, columns axis"
        " 3.": x.roll((down, right), (3, 2)),
        "you rolled up and left before the step. Down and right come first, and back after it.": (
            x.roll((-down, -right), (2, 3))
        ),
    }
    if not torch.equal(came, rolled):
        return recognised(came, mistakes, same=torch.equal) or (
            "step was given something else than x rolled by (down, right) along axes 2 and 3."
        )
    answer = stepped(rolled)
    if not torch.equal(answered, answer):
        return "your function changed in place what step returned. Roll it into a new tensor."
    if torch.allclose(moved, answer.roll((-down, -right), (2, 3)), atol=1e-5):
        return None
    mistakes = {
        "the picture was left where it had been rolled to. Roll the answer back, by (-down,"
        " -right).": answer,
        "you rolled twice the same way. The way back has minus signs.": (
            answer.roll((down, right), (2, 3))
        ),
        "you threw away what step returned: that is x as it came.": x,
        "on the way back you exchanged the two: rows, axis 2, go by -down; columns, axis 3, by"
        " -right.": answer.roll((-right, -down), (2, 3)),
        "that is what the step changed, alone. Roll back the whole picture that step returned.": (
            (answer - rolled).roll((-down, -right), (2, 3))
        ),
        "it is in its place, and clipped. Leave that to step: here a picture is rolled and no"
        " more.": answer.clamp(0, 1).roll((-down, -right), (2, 3)),
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
    height, width = (torch.randperm(17)[:2] + 13).tolist()
    small = torch.rand(1, 3, round(height / 1.4), round(width / 1.4)).mul(0.8).add(0.1)
    large = torch.rand(1, 3, height, width).mul(0.8).add(0.1)
    dreamt = small + torch.randn_like(small) * 0.15
    known = {
        "your picture has the size of the small one. Every octave has a size of its own: that of"
        " large.": tuple(small.shape)
    }
    start = called(yours, dreamt, small, large, like=large, what="picture", known=known)
    detail = dreams.resized(dreamt - small, height, width)
    blurred = dreams.resized(dreamt, height, width)
    enlarged = partial(F.interpolate, dreamt - small, (height, width))
    close = partial(torch.allclose, atol=1e-4)
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
    rounds=3,
)
def shaded(yours):
    """An objective of one's own: ½‖a‖² over the upper half of a layer's rows, and nothing of the
    lower.
    """
    network = bent_network()
    for name in NAMES:
        objective = written(yours(name))
        if isinstance(objective, torch.Tensor) and (wrong := shaped(objective, torch.zeros(2))):
            return wrong
        if not isinstance(objective, dreams.Objective):
            kind = "tensor" if isinstance(objective, torch.Tensor) else type(objective).__name__
            return f"an Objective is wanted, and a {kind} came: return Objective([name], …)."
        if tuple(objective.layers) == tuple(name):
            return (
                "a list of names is wanted, and a word is a list of letters: Objective([name], …)."
            )
        if tuple(objective.layers) != (name,):
            return (
                f"your objective reads {', '.join(objective.layers) or 'no layer'}; it should read"
                " the one given, [name]."
            )
        for n in (2, 1):
            if wrong := valued_wrongly(Trial(objective.value, strength), network, name, n):
                return wrong
    return None


def valued_wrongly(value: Trial, network: nn.Module, name: str, n: int) -> str | None:
    """The sentence for another value than ½‖a‖² of the upper rows, else None.

    value: the objective's, of a network and {layer's name: what it put out}.
    name, n: that of the layer, and for how many images.
    """
    images = torch.rand(n, 3, 2 * int(torch.randint(10, 15, ())) + 1, 20)
    [a] = activations.read(network, images, name)
    a = a.clone().requires_grad_(True) * 1  # no leaf: a change in place is found, not forbidden
    right = strength(a[:, :, : a.shape[2] // 2])
    out = {name: a}

    def returned(network, out):
        if (came := value(network, out)) is None:
            raise Wrong("your value function returns nothing: end it with return.")
        return came

    known = {"one number came. A number an image, (N,), is wanted: sum over all but axis 0.": ()}
    said = called(
        returned,
        network,
        out,
        like=right.detach(),
        what="objective's value",
        known=known,
        keeps={"what the layer put out": out},
    )
    if not said.requires_grad:
        return (
            "your value has lost its gradient, so nothing can be dreamt. No .detach(), no .item(),"
            " no torch.no_grad()."
        )
    [slope] = torch.autograd.grad(said.sum(), a, allow_unused=True)
    [uphill] = torch.autograd.grad(right.sum(), a)
    said, right, a = said.detach(), right.detach(), a.detach()
    half = a.shape[2] // 2
    upper, lower = right, strength(a[:, :, half:])
    close = partial(torch.allclose, rtol=1e-4)
    if close(said, upper):
        if slope is None or not torch.allclose(slope, uphill, rtol=1e-3, atol=1e-5):
            return (
                "your value is right, and its gradient is not: a part of it is cut off. No"
                " .detach(), no .item(), no torch.tensor(…)."
            )
        return None
    if a.shape[2] % 2 and close(said, strength(a[:, :, : half + 1])):
        return "of an odd number of rows you took one too many: the first h // 2 are wanted."
    mistakes = {
        "that is the whole layer. Leave out the lower half of its rows.": strength(a),
        "that is the lower half. The first rows are the upper ones.": lower,
        "that is the left half: columns are axis 3, rows are axis 2.": (
            strength(a[..., : a.shape[3] // 2])
        ),
        "half of which side? Rows are axis 2, and half of a.shape[2] is wanted: [:, :, :rows //"
        " 2].": [strength(a[..., : a.shape[2] // 2]), strength(a[:, :, : a.shape[3] // 2])],
        "twice too large: ½‖a‖² has a half.": 2 * upper,
        "the sign is turned: the dream would have less of it.": -upper,
        "the lower half counts against. Nothing of it is wanted: leave it out.": upper - lower,
        "you took the mean of the squares; their sum is wanted.": [
            a[:, :, :half].square().flatten(1).mean(1) * factor for factor in (1 / 2, 1)
        ],
        "you summed what the layer puts out. Square it first.": [
            a[:, :, :half].flatten(1).sum(1) * factor for factor in (1, 1 / 2)
        ],
        "you took absolute values; square them instead.": [
            a[:, :, :half].abs().flatten(1).sum(1) * factor for factor in (1, 1 / 2)
        ],
        "you took the root, the length; here its square stays.": [
            a[:, :, :half].flatten(1).norm(dim=1) * factor for factor in (1, 1 / 2)
        ],
        "you squared the sum, in which plus and minus cancel. Square first, then add up.": (
            a[:, :, :half].flatten(1).sum(1).square() / 2
        ),
        "you halved the channels: rows are axis 2.": strength(a[:, : a.shape[1] // 2]),
        "the first image's value is there for every image. Each has its own: .flatten(1).sum(1).": (
            upper[:1].expand(n)
        ),
        "every image has the sum of all. Each has its own: .flatten(1).sum(1).": (
            upper.sum().expand(n)
        ),
    }
    worst = (said - upper).abs().argmax()
    return recognised(said, mistakes, same=close) or (
        f"for image {worst} of {n} your value is {said[worst]:.5g}, and ½‖a‖² of the upper rows is"
        f" {upper[worst]:.5g}."
    )


@exercise(
    LESSON,
    dreams.from_waves,
    "torch.view_as_complex(waves) makes one number of each pair. Times loud, they are the waves as"
    " loud as wanted.",
    'torch.fft.irfft2(those, s=(S, S), norm="ortho") adds all waves up: a number for each pixel and'
    " channel.",
    'torch.einsum("dc,nchw->ndhw", mix, numbers) mixes the channels. Last, .sigmoid().',
    rounds=5,
)
def from_waves(yours):
    """A picture made of waves, in colours that go together."""
    size = 2 * int(torch.randint(5, 9, ()))
    loud = torch.rand(size, size // 2 + 1) + 0.5
    mix = torch.randn(3, 3)
    waves = torch.randn(1, 3, *loud.shape, 2).requires_grad_(True) * 1  # no leaf, as above
    z = torch.view_as_complex(waves.detach())
    right = dreams.from_waves(waves, loud=loud, mix=mix)
    known = {
        "the last axis holds the two parts of a complex number: make one of them first, with"
        " torch.view_as_complex(waves).": tuple(waves.shape),
        "your picture is half as wide as it is high. Only half of a real picture's waves are kept,"
        " and torch.fft.irfft2 knows the others.": tuple(z.shape),
    }
    said = called(yours, waves, loud, mix, like=right, what="picture", known=known)
    if said.is_complex():
        return "your picture has complex numbers. torch.fft.irfft2 makes real ones."
    if not said.requires_grad:
        return (
            "your picture is cut off from its waves, so that no gradient can move them. Leave out"
            " .detach(), NumPy and torch.no_grad()."
        )
    close = partial(torch.allclose, rtol=1e-3, atol=1e-5)
    if not close(said, right):
        return made_wrongly(said.detach(), z, loud, mix)
    pull = torch.randn_like(right)
    (slope, wanted) = (
        torch.autograd.grad((picture * pull).sum(), waves, allow_unused=True)[0]
        for picture in (said, right)
    )
    if slope is None or not close(slope, wanted):
        return "the picture is right, and its gradient is not: a part of it is cut off."
    return None


def made_wrongly(said: torch.Tensor, z: torch.Tensor, loud: torch.Tensor, mix: torch.Tensor) -> str:
    """The sentence for another picture than that of these waves, (1, 3, S, S // 2 + 1), complex."""
    size = len(loud)

    def summed(waves, norm="ortho"):
        return torch.fft.irfft2(waves, s=(size, size), norm=norm)

    def mixed(numbers, mix=mix):
        return torch.einsum("dc,nchw->ndhw", mix, numbers)

    numbers = summed(z * loud)
    mistakes = {
        "all your waves are equally loud, as in noise. Multiply them by loud first.": (
            mixed(summed(z)).sigmoid()
        ),
        "you made loud waves soft: multiply by loud.": mixed(summed(z / loud)).sigmoid(),
        "you added loud to the waves: multiply by it.": mixed(summed(z + loud)).sigmoid(),
        "you took the waves' sizes alone. A complex number also says where its wave lies: leave out"
        " .abs() and .real.": [mixed(summed(w * loud)).sigmoid() for w in (z.abs(), z.real)],
        "you left out mix, so red, green and blue know nothing of each other.": numbers.sigmoid(),
        "you mixed with rows and columns exchanged: channel d is mix[d, 0] times the first + mix[d,"
        " 1] times the second + …": mixed(numbers, mix.T).sigmoid(),
        "you mixed after the sigmoid, and what comes out is no picture. Mix first.": (
            mixed(numbers.sigmoid())
        ),
        f"your numbers go from {said.min():.2f} to {said.max():.2f}: the sigmoid is missing.": [
            mixed(numbers),
            numbers,
        ],
        "you clipped, and where a colour is clipped no gradient comes back: .sigmoid() squeezes"
        " instead.": mixed(numbers).clamp(0, 1),
        f'your waves are {size} times too soft: norm="ortho" is wanted.': (
            mixed(summed(z * loud, "backward")).sigmoid()
        ),
        f'your waves are {size} times too loud: norm="ortho" is wanted.': (
            mixed(summed(z * loud, "forward")).sigmoid()
        ),
    }
    return recognised(said, mistakes, same=partial(torch.allclose, rtol=1e-3, atol=1e-5)) or (
        "that is another picture. Wanted are, in this order: one complex number of two, times loud,"
        " irfft2, mix, sigmoid."
    )
