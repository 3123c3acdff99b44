"""Dreams: change the picture, not the network, until it has more of what is looked for.

What it is to have more of, for a layer, a unit or a class, is an `Objective`; objectives add up:
`layer("network.blocks.4") + 0.5 * label("vulture")`.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from numbers import Real
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from trickkit import activations, data, models
from trickkit.common import (
    finite_number,
    validate_count,
    validate_flag,
    validate_number,
    whole_number,
)
from trickkit.contract import (
    device,
    gradient_of,
    seeded,
    validate_batch,
    validate_eval,
    validate_picture,
    with_gradients,
)

SMALLEST = 32  # pixels: where networks for photographs have one place left in their last layer
CONTRAST = 12  # from the palette's numbers to what the sigmoid wants


# What a picture is to have more of.


class Objective:
    """What a picture is to have more of.

    Call it with a model and images (N, 3, H, W): a number an image, (N,). Objectives add up and
    take numbers as weights: a + 0.5 * b, a - b, -a.

    layers: the names of those it reads ("" is the model's own output).
    value: (model, {name: what that layer put out}) -> (N,).
    """

    def __init__(
        self,
        layers: Iterable[str],
        value: Callable[[nn.Module, dict[str, torch.Tensor]], torch.Tensor],
    ):
        self.layers = tuple(layers)
        self.value = value

    def __call__(self, model: nn.Module, images: torch.Tensor) -> torch.Tensor:
        return self.value(
            model,
            dict(zip(self.layers, activations.read(model, images, *self.layers), strict=True)),
        )

    def __add__(self, other: "Objective") -> "Objective":
        if not isinstance(other, Objective):
            return NotImplemented
        return Objective(
            {*self.layers, *other.layers},
            lambda model, out: self.value(model, out) + other.value(model, out),
        )

    def __mul__(self, weight: float) -> "Objective":
        if not isinstance(weight, Real):
            return NotImplemented
        return Objective(self.layers, lambda model, out: weight * self.value(model, out))

    __rmul__ = __mul__

    def __neg__(self) -> "Objective":
        return -1 * self

    def __sub__(self, other: "Objective") -> "Objective":
        return self + -other


def layer(name: str) -> Objective:
    """All that a layer sees, ½‖a‖²: whatever it finds a little of, it wants more of.

    Mordvintsev et al. 2015.
    """
    return Objective([name], lambda _, out: out[name].square().flatten(1).sum(1) / 2)


def shaded(name: str) -> Objective:
    """The upper half of a layer's rows, ½‖a‖²: a dream above, and the photo below.

    Raises ValueError, when a model is asked, for a layer that puts out no maps.
    """

    def value(_, out):
        a = out[name]
        activations.validate_maps_of(name, a)
        return a[:, :, : a.shape[2] // 2].square().flatten(1).sum(1) / 2

    return Objective([name], value)


def unit(name: str, channel: int) -> Objective:
    """One channel of a layer: its mean activation over all places.

    Of a layer without places, it is the activation itself.

    name: the layer's.
    channel: its number, from 0.
    Raises ValueError for what is no number of a channel and, when a model is asked, for one that
        the layer does not have, and a layer of tokens, (N, T, C).
    """

    validate_count(channel=channel, at_least=0)

    def value(_, out):
        a = out[name]
        if a.dim() != 2:
            activations.validate_maps_of(name, a)
        if channel >= a.shape[1]:
            raise ValueError(f"There is no unit {channel}: {name} has {a.shape[1]}, from 0.")
        return a[:, channel].flatten(1).mean(1) if a.dim() > 2 else a[:, channel]

    return Objective([name], value)


def label(name: str | int) -> Objective:
    """The score (logit) of a class, by number or, of a `models.Classifier`, by name.

    Raises ValueError, when a model is asked, for a class that it does not have.
    """

    def value(model, out):
        number = whole_number(name)
        if number is None:
            number = models.class_number(models.classifier_of(model).names, name)
        if out[""].dim() != 2 or not 0 <= number < out[""].shape[1]:
            raise ValueError(
                f"There is no class {number}: this model puts out {tuple(out[''].shape)}."
            )
        return out[""][:, number]

    return Objective([""], value)


def guide(photo: torch.Tensor, name: str) -> Objective:
    """What a layer sees in another photo.

    Mordvintsev et al. 2015.

    Each place of the picture wants more of the guide's features that match it best: Σ over places
    of max over the guide's places of their dot product.

    photo: the guide, (1, 3, H, W) in [0, 1], of any size.
    name: the layer's.
    """
    validate_picture(photo)

    @functools.cache
    def features_of(model):
        with torch.no_grad():
            return activations.read_maps(model, photo, name)[0].flatten(1)

    return Objective(
        [name], lambda model, out: (features_of(model).T @ out[name].flatten(2)).amax(1).sum(1)
    )


# Deep dream.


def gradient_step(x: torch.Tensor, g: torch.Tensor, *, lr: float) -> torch.Tensor:
    """One step uphill whose mean size is lr, whatever the gradient's, and still a picture.

    x + lr · g / mean|g|, kept in [0, 1].

    x, g: (1, 3, H, W), x in [0, 1].
    lr: in pixel values, on the scale from 0 to 1.
    """
    return (x + lr * g / g.abs().mean().clamp(min=1e-30)).clamp(0, 1)


@with_gradients
def objective_gradient(model: nn.Module, x: torch.Tensor, objective: Objective) -> torch.Tensor:
    """The gradient of an objective with respect to the picture: both (1, 3, H, W)."""
    x = x.detach().clone().requires_grad_(True)
    return gradient_of(objective(model, x).sum(), x)


def jittered(
    x: torch.Tensor, step: Callable[[torch.Tensor], torch.Tensor], *, down: int, right: int
) -> torch.Tensor:
    """step(x) as if the picture lay elsewhere: rolled down and right, moved, and rolled back.

    x: (N, C, H, W).
    step: a picture -> the same, moved.
    down, right: how far it is rolled, in pixels.
    """
    return step(x.roll((down, right), (2, 3))).roll((-down, -right), (2, 3))


def resized(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """A picture (N, C, H, W) at another size, linearly, corners on corners.

    Google's notebook does it so (scipy's zoom).
    """
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=True)


def carry(dreamt: torch.Tensor, small: torch.Tensor, large: torch.Tensor) -> torch.Tensor:
    """Where the next octave starts: the photo, and what was dreamt at the smaller size, enlarged.

    dreamt, small: the picture as dreamt and the photo as it was, (1, 3, h, w).
    large: the photo, (1, 3, H, W).
    Returns (1, 3, H, W).
    """
    return large + resized(dreamt - small, *large.shape[2:])


def dreaming(
    model: nn.Module,
    photo: torch.Tensor,
    objective: Objective,
    *,
    octaves: int = 4,
    steps: int = 10,
    scale: float = 1.4,
    lr: float = 1.5 / 255,
    jitter: int = 32,
    seed: int = 0,
) -> Iterator[torch.Tensor]:
    """Deep dream, step by step.

    Mordvintsev, Olah, Tyka 2015, github.com/google/deepdream, dream.ipynb.

    What an octave dreamt, its detail, is enlarged and added to the photo in the next.

    photo: (1, 3, H, W) in [0, 1].
    objective: what it is to have more of.
    octaves: sizes, each `scale` times the one before, the last the photo's own.
    steps: at each size.
    scale: from one size to the next, above 1.
    lr: mean step, in pixel values.
    jitter: pixels, at most, by which the picture is rolled before a step and back after it.
    seed: of the jitter.
    Yields the picture after every step, (1, 3, h, w) in [0, 1].
    Raises ValueError for what is no single photo, a model in train mode, settings that make no
        sense, or octaves that shrink the photo's shorter side below 32 pixels.
    """
    validate_picture(photo)
    validate_eval(model)
    validate_count(octaves=octaves, steps=steps)
    grows = octaves == 1 or (finite_number(scale) or 0) > 1
    rolls = whole_number(jitter) is not None and jitter >= 0
    if not (grows and rolls and (finite_number(lr) or 0) > 0):
        raise ValueError(
            f"Wanted are a scale above 1, an lr above 0 and a jitter of 0 or more; {scale},"
            f" {lr} and {jitter} came."
        )
    photo = photo.detach()
    generator = seeded(seed)
    pyramid = [photo]
    for _ in range(octaves - 1):
        height, width = (round(side / scale) for side in pyramid[0].shape[2:])
        if min(height, width) < SMALLEST:
            fit = 1 + math.floor(
                math.log(max(min(photo.shape[2:]) / SMALLEST, 1)) / math.log(scale)
            )
            raise ValueError(
                f"{octaves} octaves shrink this photo to {height} × {width} pixels or less, and"
                f" {SMALLEST} are the fewest that a network can use. Take {fit} or fewer octaves,"
                " or a larger photo."
            )
        pyramid.insert(0, resized(pyramid[0], height, width))
    # not a generator itself, so that errors come at the call
    return _octaves(model, pyramid, objective, steps, lr, int(jitter), generator)


def _octaves(
    model: nn.Module,
    pyramid: list[torch.Tensor],
    objective: Objective,
    steps: int,
    lr: float,
    jitter: int,
    generator: torch.Generator,
) -> Iterator[torch.Tensor]:
    x = small = pyramid[0]
    for base in pyramid:
        x = carry(x, small, base)
        small = base
        for _ in range(steps):
            down, right = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
            x = jittered(
                x,
                lambda z: gradient_step(z, objective_gradient(model, z, objective), lr=lr),
                down=down,
                right=right,
            )
            yield x.clone()  # whoever looks on may draw on it


def dream(
    model: nn.Module, photo: torch.Tensor, objective: Objective, **settings: Any
) -> torch.Tensor:
    """The last picture of `dreaming`, (1, 3, H, W) in [0, 1].

    Settings and errors are those of `dreaming`.
    """
    for picture in dreaming(model, photo, objective, **settings):
        last = picture
    return last


def enlarged(picture: torch.Tensor, *, by: float) -> torch.Tensor:
    """The middle of a picture (1, C, H, W), 1 - by of each side, at the picture's own size."""
    validate_batch(picture)
    validate_number(by=by)
    theta = (1 - by) * torch.eye(2, 3).to(picture)[None]
    grid = F.affine_grid(theta, list(picture.shape), align_corners=False)
    return F.grid_sample(picture, grid, align_corners=False)


def zoom(
    model: nn.Module,
    photo: torch.Tensor,
    objective: Objective,
    *,
    frames: int = 100,
    by: float = 0.05,
    seed: int = 0,
    **settings: Any,
) -> Iterator[torch.Tensor]:
    """A film: dream, go nearer, dream on.

    Google's has a hundred frames.

    photo: (1, 3, H, W) in [0, 1].
    objective: what it is to have more of.
    frames: how many.
    by: the share of each side that is left outside when the next frame begins.
    seed: of the first frame; each next one adds 1.
    settings: those of `dreaming`.
    Yields a (1, 3, H, W) a frame.
    Raises ValueError for a share outside [0, 1), no frames, and what `dreaming` refuses.
    """
    validate_count(frames=frames)
    validate_number(by=by)
    if not 0 <= by < 1:
        raise ValueError(
            f"by is the share that each frame leaves outside, from 0 to below 1; {by} came."
        )
    dreaming(model, photo, objective, seed=seed, **settings)  # says at once what it refuses
    return _frames(model, photo, objective, frames, by, seed, settings)


def _frames(
    model: nn.Module,
    photo: torch.Tensor,
    objective: Objective,
    frames: int,
    by: float,
    seed: int,
    settings: dict[str, Any],
) -> Iterator[torch.Tensor]:
    for frame in range(frames):
        photo = dream(model, photo, objective, seed=seed + frame, **settings)
        yield photo.clone()
        photo = enlarged(photo, by=by).clamp(0, 1)


# Feature visualisation: from nothing.


@functools.cache
def palette() -> torch.Tensor:
    """The square root of the covariance of red, green, blue in the course's photographs, (3, 3).

    Noise times this has their colours.
    """
    pictures = torch.cat([data.picture(name, size=64) for name in data.picture_names()])
    pixels = pictures.cpu().transpose(0, 1).flatten(1)
    values, vectors = torch.linalg.eigh(pixels.cov())
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


@with_gradients
def visualising(
    model: nn.Module,
    objective: Objective,
    *,
    count: int = 1,
    size: int = 112,
    steps: int = 64,
    fourier: bool = True,
    decorrelate: bool = True,
    transform: bool = True,
    seed: int = 0,
) -> Iterator[torch.Tensor]:
    """The picture, or pictures, that an objective asks for when it starts from noise, step by step.

    Olah, Mordvintsev, Schubert 2017, distill.pub/2017/feature-visualization, "the enemy of feature
    visualization".

    It climbs by Adam. With fourier, decorrelate and transform all off it is the naive way.

    objective: what the picture is to have more of.
    count: how many pictures, all from the same noise: for an objective that asks each for another.
    size: their side in pixels.
    steps: how many.
    fourier: what is moved are the picture's waves, the long ones louder, not its pixels.
    decorrelate: in colours as they go together in photographs.
    transform: at every step the picture is seen shifted, turned and scaled a little.
    seed: of the noise, and of those changes.
    Yields them after every step, (count, 3, size, size) in [0, 1].
    Raises ValueError for a model in train mode, no pictures or steps, or a size below 32.
    """
    validate_eval(model)
    validate_count(count=count, steps=steps)
    validate_flag(fourier=fourier, decorrelate=decorrelate, transform=transform)
    if (whole_number(size) or 0) < SMALLEST:
        raise ValueError(f"A size of {SMALLEST} pixels or more is wanted; {size} came.")
    size = int(size)
    generator = seeded(seed)
    there = device()
    loud = loudness(size).to(there)
    shape = (1, 3, *loud.shape, 2) if fourier else (1, 3, size, size)
    noise = torch.randn(shape, generator=generator).mul(0.01).to(there)
    latent = noise.repeat(count, *[1] * (noise.dim() - 1)).requires_grad_(True)
    mix = (palette() if decorrelate else palette().norm() / 3**0.5 * torch.eye(3)).to(there)
    optimizer = torch.optim.Adam([latent], lr=0.05)

    def drawn():
        if fourier:
            return from_waves(latent, loud=loud, mix=CONTRAST * mix)
        return in_colours(latent, mix=CONTRAST * mix)

    @with_gradients  # at each step, for between them the caller may switch them off
    def climbing():
        for _ in range(steps):
            picture = shaken(drawn(), generator=generator) if transform else drawn()
            latent.grad = gradient_of(-objective(model, picture).sum(), latent)
            optimizer.step()
            yield drawn().detach()

    return climbing()  # not a generator itself, as in `dreaming`


def visualise(model: nn.Module, objective: Objective, **settings: Any) -> torch.Tensor:
    """The last pictures of `visualising`, (count, 3, size, size) in [0, 1].

    Settings and errors are those of `visualising`.
    """
    for pictures in visualising(model, objective, **settings):
        last = pictures
    return last


def in_colours(numbers: torch.Tensor, *, mix: torch.Tensor) -> torch.Tensor:
    """A picture in [0, 1], (N, 3, H, W), from any numbers of that shape: channels mixed, then
    squeezed.

    mix: (3, 3); channel d of the picture is mix[d, 0] times the first + mix[d, 1] times the second
        + mix[d, 2] times the third, seen through a sigmoid.
    """
    return torch.einsum("dc,nchw->ndhw", mix, numbers).sigmoid()


def from_waves(waves: torch.Tensor, *, loud: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """A picture from its waves: each as loud as `loud` has it, all added up, in colours.

    Olah et al. 2017, "Preconditioning and Parameterization".

    waves: (N, 3, S, S // 2 + 1, 2), any numbers; the last axis holds the two parts of a complex
        one, of the wave's strength and place.
    loud: (S, S // 2 + 1), as `loudness` has it.
    mix: (3, 3), as `in_colours` wants it.
    Returns (N, 3, S, S) in [0, 1].
    """
    numbers = torch.fft.irfft2(
        torch.view_as_complex(waves) * loud, s=(len(loud), len(loud)), norm="ortho"
    )
    return in_colours(numbers, mix=mix)


def loudness(size: int) -> torch.Tensor:
    """How loud each wave of a picture (size, size) is: as its frequency to the power of -1.25.

    In photographs, and in Olah's code, it is -1; so steep, the fine waves do not outrun the others
    in few steps.

    Returns (size, size // 2 + 1).
    """
    frequency = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None])
    return 0.14 * size * (size * frequency).clamp(min=1) ** -1.25


def shaken(
    picture: torch.Tensor,
    *,
    generator: torch.Generator,
    turn: float = 10,
    zoom: float = 0.1,
    shift: float = 0.07,
) -> torch.Tensor:
    """A picture seen a little otherwise: turned, scaled and shifted, at random and up to so much.

    What comes in from outside is the picture's mirror image.

    picture: (N, C, H, W).
    generator: of the three.
    turn: degrees.
    zoom, shift: shares of the side.
    Returns (N, C, H, W).
    """
    validate_batch(picture)
    validate_number(turn=turn, zoom=zoom, shift=shift)
    angle, size, down, right = (torch.rand(4, generator=generator) * 2 - 1).tolist()
    angle = math.radians(turn * angle)
    size = 1 + zoom * size
    cos = size * math.cos(angle)
    sin = size * math.sin(angle)
    theta = torch.tensor([[cos, -sin, 2 * shift * right], [sin, cos, 2 * shift * down]]).to(picture)
    grid = F.affine_grid(theta.expand(len(picture), 2, 3), list(picture.shape), align_corners=False)
    return F.grid_sample(picture, grid, padding_mode="reflection", align_corners=False)
