"""Lesson 14's exercises, answered wrongly in each way that has a sentence of its own."""

import pytest
import torch
from torch.nn import functional as F

from trickkit import dreams
from trickkit.check import deep_dream as check

from .answers import accepted, refused


def climb_wrong(size=lambda g: g.abs().mean(), way=1, ends=(0, 1)):
    return lambda x, g, rate: (x + way * rate * g / size(g)).clamp(*ends)


def rolled_in_place(x, move, down, right):
    x[:] = x.roll((down, right), (2, 3))
    return move(x).roll((-down, -right), (2, 3))


def detail_of(enlarge=dreams.resized, way=1, end=lambda z: z):
    return lambda d, s, b: end(b + way * enlarge(d - s, *b.shape[2:]))


def half(
    part=lambda a: a[:, :, : a.shape[2] // 2], join=lambda z: z.square().flatten(1).sum(1) / 2
):
    return lambda name: dreams.Objective([name], lambda _, out: join(part(out[name])))


def against_the_lower(a):
    rows = a.square().sum((1, 3)) / 2
    upper = rows.shape[1] // 2
    return rows[:, :upper].sum(1) - rows[:, upper:].sum(1)


def waves_wrong(
    prepare=lambda w, loud: torch.view_as_complex(w) * loud,
    norm="ortho",
    colour=lambda mix, z: (mix @ z.flatten(2)).view_as(z),
    end=torch.sigmoid,
):
    def made(waves, loud, mix):
        size = (len(loud), len(loud))
        return end(colour(mix, torch.fft.irfft2(prepare(waves, loud), s=size, norm=norm)))

    return made


def stretched(x, g, lr):
    far = x + lr * g / g.abs().mean()
    return (far - far.min()) / (far.max() - far.min())


def cleared(a):
    a[:, :, a.shape[2] // 2 :] = 0
    return a


WRONG = [
    (check.gradient_step, climb_wrong(way=-1), "walk downhill"),
    (check.gradient_step, climb_wrong(ends=(-torch.inf, torch.inf)), "Clip them to"),
    (check.gradient_step, climb_wrong(lambda g: 1), "whatever the gradient's size"),
    (check.gradient_step, climb_wrong(lambda g: g.abs()), "lesson 03's sign"),
    (check.gradient_step, climb_wrong(lambda g: g.abs().max()), "its largest value"),
    (check.gradient_step, climb_wrong(lambda g: g.norm()), "its length"),
    (check.gradient_step, climb_wrong(lambda g: g.std()), "its standard deviation"),
    (
        check.gradient_step,
        climb_wrong(lambda g: g.mean()),
        "its mean, in which plus and minus cancel",
    ),
    (check.gradient_step, climb_wrong(lambda g: g.abs().sum()), "whatever the gradient's size"),
    (check.gradient_step, lambda x, g, rate: rate * g / g.abs().mean(), "the step alone"),
    (
        check.gradient_step,
        lambda x, g, rate: x + (rate * g / g.abs().mean()).clamp(0, 1),
        "clipped the step",
    ),
    (
        check.gradient_step,
        lambda x, g, rate: x.add_(rate * g / g.abs().mean()).clamp_(0, 1),
        "changed x itself",
    ),
    (
        check.gradient_step,
        climb_wrong(lambda g: g.square().mean() / g.abs()),
        "the size is right, and not the direction",
    ),
    (check.gradient_step, climb_wrong(ends=(0.1, 0.9)), "at black and white pixels"),
    (check.jittered, lambda x, m, d, r: m(x), "where it lay"),
    (check.jittered, lambda x, m, d, r: m(x.roll((d, r), (2, 3))), "left where it had been rolled"),
    (
        check.jittered,
        lambda x, m, d, r: m(x.roll((d, r), (2, 3))).roll((d, r), (2, 3)),
        "twice the same way",
    ),
    (
        check.jittered,
        lambda x, m, d, r: m(x.roll((d, r), (3, 2))).roll((-d, -r), (3, 2)),
        "rows are axis 2",
    ),
    (
        check.jittered,
        lambda x, m, d, r: m(x.roll((-d, -r), (2, 3))).roll((d, r), (2, 3)),
        "up and left",
    ),
    (
        check.jittered,
        lambda x, m, d, r: m(x.roll(d, 2)).roll(-d, 2),
        r"something else than x rolled by \(down, right\)",
    ),
    (
        check.jittered,
        lambda x, m, d, r: x.roll((d, r), (2, 3)).roll((-d, -r), (2, 3)),
        "never called step",
    ),
    (
        check.jittered,
        lambda x, m, d, r: m(x.roll((d, r), (2, 3))).roll((-r, -d), (2, 3)),
        "on the way back you exchanged the two",
    ),
    (
        check.jittered,
        lambda x, m, d, r: m(m(x.roll((d, r), (2, 3)))).roll((-d, -r), (2, 3)),
        "you called step 2 times",
    ),
    (check.jittered, rolled_in_place, "changed x itself"),
    (check.carry, lambda d, s, b: b, "the photo alone"),
    (check.carry, lambda d, s, b: dreams.resized(d, *b.shape[2:]), "is blurred now"),
    (check.carry, lambda d, s, b: dreams.resized(d - s, *b.shape[2:]), "what was dreamt, alone"),
    (check.carry, detail_of(way=-1), "took the dream away"),
    (check.carry, lambda d, s, b: b + dreams.resized(d, *b.shape[2:]), "two photos"),
    (
        check.carry,
        lambda d, s, b: (b + dreams.resized(d, *b.shape[2:])) / 2,
        "mean of two pictures",
    ),
    (check.carry, detail_of(end=lambda z: z.clamp(0, 1)), "clipping"),
    (check.carry, detail_of(lambda z, *size: F.interpolate(z, size)), "in another way"),
    (check.carry, lambda d, s, b: d, "the size of the small one"),
    (
        check.carry,
        lambda d, s, b: (
            b + F.interpolate(d - s, scale_factor=1.4, mode="bilinear", align_corners=True)
        ),
        "it stopped with RuntimeError",
    ),
    (check.carry, detail_of(way=2), "the large photo plus"),
    (
        check.carry,
        lambda d, s, b: b.add_(dreams.resized(d - s, *b.shape[2:])),
        "changed large itself",
    ),
    (check.shaded, dreams.layer, "the whole layer"),
    (check.shaded, half(lambda a: a[:, :, a.shape[2] // 2 :]), "that is the lower half"),
    (check.shaded, half(lambda a: a, against_the_lower), "the lower half counts against"),
    (check.shaded, half(lambda a: a[..., : a.shape[3] // 2]), "the left half"),
    (check.shaded, half(lambda a: a[:, : a.shape[1] // 2]), "halved the channels"),
    (check.shaded, half(join=lambda z: z.square().flatten(1).sum(1)), "twice too large"),
    (
        check.shaded,
        half(join=lambda z: z.square().flatten(1).mean(1) / 2),
        "the mean of the squares",
    ),
    (check.shaded, half(join=lambda z: z.flatten(1).sum(1)), "Square it first"),
    (
        check.shaded,
        half(join=lambda z: z.square().sum() / 2),
        "a number an image|A number an image",
    ),
    (check.shaded, half(join=lambda z: -z.square().flatten(1).sum(1) / 2), "the sign is turned"),
    (check.shaded, lambda name: torch.zeros(2), "a tensor came"),
    (check.shaded, lambda name: dreams.layer("bend"), "should read the one given"),
    (
        check.shaded,
        lambda name: dreams.Objective(name, lambda _, out: out[name].sum()),
        "a list of letters",
    ),
    (
        check.shaded,
        half(join=lambda z: z.detach().square().flatten(1).sum(1) / 2),
        "lost its gradient",
    ),
    (check.shaded, half(lambda a: a.chunk(2, 2)[0]), "one too many"),
    (check.shaded, half(lambda a: a[:, :, :3]), "for image . of 2 your value is"),
    (
        check.gradient_step,
        lambda x, g, lr: ((x + lr * g / g.abs().mean()).clamp(0, 1) * 255).round() / 255,
        "rounded to whole grey levels",
    ),
    (check.gradient_step, stretched, "stretched the picture"),
    (
        check.gradient_step,
        climb_wrong(lambda g: g.abs().mean((2, 3), keepdim=True)),
        "each channel",
    ),
    (
        check.gradient_step,
        climb_wrong(lambda g: g.square().mean().sqrt()),
        "root of its mean square",
    ),
    (check.gradient_step, lambda x, g, lr: x.clone(), "x as it came"),
    (
        check.jittered,
        lambda x, m, d, r: m(x.roll((d, r), (2, 3))).add_(1).sub_(1).roll((-d, -r), (2, 3)),
        "changed in place what step returned",
    ),
    (check.shaded, half(cleared), "changed what the layer put out itself"),
    (check.shaded, half(join=lambda z: None), "your value function returns nothing"),
    (
        check.shaded,
        half(join=lambda z: (z * z.detach()).flatten(1).sum(1) / 2),
        "its gradient is not",
    ),
    (check.shaded, lambda name: half()("last"), "it should read the one given"),
    (
        check.shaded,
        half(join=lambda z: (z[:1].square().sum() / 2).expand(len(z))),
        "the first image's value",
    ),
    (check.gradient_step, lambda x, g, lr: (x + g / g.abs().mean()).clamp(0, 1), "left out lr"),
    (check.gradient_step, lambda x, g, lr: x + g / g.abs().mean(), "left out lr"),
    (
        check.gradient_step,
        lambda x, g, lr: (x + lr / 255 * g / g.abs().mean()).clamp(0, 1),
        "divided by 255 once more",
    ),
    (
        check.gradient_step,
        lambda x, g, lr: (255 * x + lr * g / g.abs().mean()).clamp(0, 255) / 255,
        "divided by 255 once more",
    ),
    (
        check.gradient_step,
        lambda x, g, lr: (x + 255 * lr * g / g.abs().mean()).clamp(0, 1),
        "multiplied by 255",
    ),
    (
        check.gradient_step,
        lambda x, g, lr: (x + (lr * g / g.abs().mean()).clamp(-lr, lr)).clamp(0, 1),
        "clip the picture, not the step",
    ),
    (
        check.jittered,
        lambda x, m, d, r: m(x.roll((d, r), (2, 3))).roll((-d, -r), (2, 3)) - x,
        "what the step changed, alone",
    ),
    (
        check.jittered,
        lambda x, m, d, r: m(x.roll((d, r), (2, 3))).roll((-d, -r), (2, 3)).clamp(0, 1),
        "in its place, and clipped",
    ),
    (check.shaded, half(lambda a: a[..., : a.shape[2] // 2]), "half of which side"),
    (check.shaded, half(lambda a: a[:, :, : a.shape[3] // 2]), "half of which side"),
    (check.shaded, half(join=lambda z: z.abs().flatten(1).sum(1)), "absolute values"),
    (check.from_waves, waves_wrong(lambda w, loud: torch.view_as_complex(w)), "equally loud"),
    (
        check.from_waves,
        waves_wrong(lambda w, loud: torch.view_as_complex(w) / loud),
        "made loud waves soft",
    ),
    (
        check.from_waves,
        waves_wrong(lambda w, loud: torch.view_as_complex(w) + loud),
        "added loud to the waves",
    ),
    (
        check.from_waves,
        waves_wrong(lambda w, loud: torch.view_as_complex(w).abs() * loud),
        "the waves' sizes alone",
    ),
    (check.from_waves, waves_wrong(colour=lambda mix, z: z), "left out mix"),
    (
        check.from_waves,
        waves_wrong(colour=lambda mix, z: (mix.T @ z.flatten(2)).view_as(z)),
        "rows and columns exchanged",
    ),
    (
        check.from_waves,
        waves_wrong(
            colour=lambda mix, z: (mix @ z.sigmoid().flatten(2)).view_as(z), end=lambda z: z
        ),
        "mixed after the sigmoid",
    ),
    (check.from_waves, waves_wrong(end=lambda z: z), "the sigmoid is missing"),
    (check.from_waves, waves_wrong(end=lambda z: z.clamp(0, 1)), "no gradient comes back"),
    (check.from_waves, waves_wrong(norm=None), "times too soft"),
    (check.from_waves, waves_wrong(norm="forward"), "times too loud"),
    (check.from_waves, waves_wrong(end=lambda z: z.sigmoid().detach()), "cut off from its waves"),
    (check.from_waves, waves_wrong(end=lambda z: z.sigmoid().square()), "another picture"),
    (
        check.from_waves,
        waves_wrong(end=lambda z: z.sigmoid() + z - z.detach()),
        "its gradient is not",
    ),
    (check.from_waves, lambda waves, loud, mix: waves.sigmoid(), "two parts of a complex number"),
    (
        check.from_waves,
        lambda waves, loud, mix: torch.fft.ifft2(torch.view_as_complex(waves) * loud).real,
        "half as wide as it is high",
    ),
    (
        check.from_waves,
        lambda waves, loud, mix: torch.fft.ifft2(
            torch.view_as_complex(waves), s=2 * loud.shape[:1]
        ),
        "complex numbers",
    ),
]

RIGHT = [
    (
        check.gradient_step,
        lambda x, g, lr: (x + lr * g / g.abs().mean()).clamp(0, 1).double().numpy(),
    ),
    (check.jittered, lambda x, m, d, r: m(x.roll(d, 2).roll(r, 3)).roll(-r, 3).roll(-d, 2)),
    (check.carry, lambda d, s, b: (b + dreams.resized(d - s, *b.shape[2:])).double()),
    (check.shaded, half(join=lambda z: z.flatten(1).norm(dim=1) ** 2 / 2)),
    (check.from_waves, waves_wrong()),
    (
        check.from_waves,
        waves_wrong(lambda w, loud: torch.complex(w[..., 0], w[..., 1]) * loud),
    ),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
