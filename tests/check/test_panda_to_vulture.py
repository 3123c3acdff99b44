"""Lesson 03's exercises, answered wrongly in each way that has a sentence of its own."""

import numpy as np
import pytest
import torch

from trickkit import attacks, contract
from trickkit.check import panda_to_vulture as check
from trickkit.contract import score_gradient

from .answers import TIMES, accepted, refused


def clipped_steps(size, once=False, way=1, ball=True):
    def steps_of(net, x, target, eps, steps):
        y = x
        first = score_gradient(net, x, target).sign()
        for _ in range(steps):
            y = y + way * size * eps * (first if once else score_gradient(net, y, target).sign())
            y = (torch.minimum(torch.maximum(y, x - eps), x + eps) if ball else y).clamp(0, 1)
        return y

    return steps_of


def ball_at_the_end(net, x, target, eps, steps):
    start = x
    for _ in range(steps):
        x = attacks.one_step(net, x, target, eps=eps / 4)
    return x.clamp(start - eps, start + eps)


def edges_at_the_end(net, x, target, eps, steps):
    y = x
    for _ in range(steps):
        y = y + eps / 4 * score_gradient(net, y, target).sign()
        y = torch.minimum(torch.maximum(y, x - eps), x + eps)
    return y.clamp(0, 1)


def each_from_the_start(net, x, target, eps, steps):
    return [attacks.one_step(net, x, target, eps=eps / 4) for _ in range(steps)][-1]


def until_read(net, x, target, eps, steps):
    y = x
    for _ in range(steps):
        if (net(y).argmax(1) == target).any():
            break
        y = attacks.one_step(net, y, target, eps=eps / 4).clamp(x - eps, x + eps)
    return y


def asking_in_place(net, x, target, eps):
    x.requires_grad_()
    net(x)[:, target].sum().backward()
    return (x + eps * x.grad.sign()).clamp(0, 1).detach()


def first_gradient_for_all(net, x, target, eps):
    return (x + eps * score_gradient(net, x[:1], target).sign()).clamp(0, 1)


def sizes(by):
    return lambda n, x, t, e, s: clipped_steps(by(s))(n, x, t, e, s)


def first_alone(net, x, target, eps, steps):
    return torch.cat([clipped_steps(0.25)(net, x[:1], target, eps, steps), x[1:]])


def never_back(net, x, target, eps, steps):
    while net(x).isfinite().all():
        x = (x + eps / 4).clamp(0, 1)


def up(gradient, scale=torch.sign):
    return lambda n, x, t, e: (x + e * scale(gradient(n, x, t))).clamp(0, 1)


def of_read(n, x, t):
    return score_gradient(n, x, n(x).argmax(1))


def own(net, x, y, target, step):
    return score_gradient(net, y, target)


def following(direction=own, length=lambda step, steps: 0.25):
    """Steps in the direction of direction(net, x, y, target, step), where x is the start."""

    def walk(net, x, target, eps, steps):
        y = x
        for step in range(steps):
            y = y + length(step, steps) * eps * direction(net, x, y, target, step).sign()
            y = (x + (y - x).clamp(-eps, eps)).clamp(0, 1)
        return y

    return walk


def remembering(kind):
    held = {}

    def direction(net, x, y, target, step):
        now = score_gradient(net, y, target)
        if step == 0:
            held.update(even=now, sum=torch.zeros_like(now), late=now)
        before, held["late"] = held["late"], now
        held["sum"] = held["sum"] + now
        held["even"] = now if step % 2 == 0 else held["even"]
        return before if kind == "late" else held[kind]

    return following(direction)


def ever_longer(net, x, target, eps, steps):
    y = x
    for step in range(1, steps + 1):
        y = (x + min(step, 4) * eps / 4 * score_gradient(net, y, target).sign()).clamp(0, 1)
    return y


def at_the_start(net, x, y, target, step):
    net(y)  # asked, and not listened to
    return score_gradient(net, x, target)


WRONG = [
    (check.one_step, up(lambda *a: -score_gradient(*a)), "fell in 20 of 20"),
    (
        check.one_step,
        lambda n, x, t, e: x + e * score_gradient(n, x, t).sign(),
        "whiter than white",
    ),
    (check.one_step, up(score_gradient, lambda g: g / 50), "use only the sign"),
    (check.one_step, up(score_gradient, lambda g: g / g.abs().max()), "use only the sign"),
    (check.one_step, up(score_gradient, lambda g: g / g.norm()), "use only the sign"),
    (
        check.one_step,
        lambda n, x, t, e: (x + score_gradient(n, x, t).clamp(-e, e)).clamp(0, 1),
        "use only the sign",
    ),
    (
        check.one_step,
        lambda n, x, t, e: (x + score_gradient(n, x, t)).clamp(0, 1),
        "at most ε away",
    ),
    (check.one_step, up(score_gradient, lambda g: 2 * g.sign()), "at most ε away"),
    (
        check.one_step,
        up(score_gradient, lambda g: 2500 / g.numel() * g / g.abs().mean()),
        "at most",
    ),
    (check.one_step, up(score_gradient, lambda g: g.sign() / 4), "is eps used, and once"),
    (check.one_step, up(score_gradient, lambda g: g.sign() / 255), "is eps used, and once"),
    (check.one_step, lambda n, x, t, e: e * score_gradient(n, x, t).sign(), "the change alone"),
    (
        check.one_step,
        lambda n, x, t, e: (e * score_gradient(n, x, t).sign()).clamp(0, 1),
        "the change alone",
    ),
    (check.one_step, lambda n, x, t, e: x, "came back as it was"),
    (check.one_step, lambda n, x, t, e: attacks.one_step(n, x, t, eps=e)[:1], "has shape"),
    (
        check.one_step,
        lambda n, x, t, e: torch.cat([attacks.one_step(n, x[:1], t, eps=e), x[1:]]),
        "only the first",
    ),
    (check.one_step, first_gradient_for_all, "both pictures followed the first one's"),
    (check.one_step, up(lambda *a: -contract.loss_gradient(*a)), "down the cross-entropy"),
    (check.one_step, up(of_read), "the class that is read|fell in"),
    (check.one_step, up(lambda *a: -of_read(*a)), "away from the class that is read|fell in"),
    (
        check.one_step,
        up(lambda n, x, t: sum(score_gradient(n, x, k) for k in range(5))),
        "the sum of all classes' scores|fell in",
    ),
    (
        check.one_step,
        up(lambda n, x, t: torch.randn_like(x)),
        "by less than it could|fell in .* follow the",
    ),
    (check.one_step, asking_in_place, "switched requires_grad on for images itself"),
    (check.many_steps, clipped_steps(0.25, ball=False), "at most ε away"),
    (check.many_steps, clipped_steps(0.25, once=True), "the network was asked once"),
    (check.many_steps, clipped_steps(0.25, way=-1), "probability fell"),
    (check.many_steps, clipped_steps(0.01), "a step of ε/4 is asked for"),
    (check.many_steps, clipped_steps(1.0), "a step of ε/4 is asked for"),
    (check.many_steps, sizes(lambda steps: 1 / steps), "a step of ε/4 is asked for"),
    (check.many_steps, each_from_the_start, "start where the last"),
    (check.many_steps, ball_at_the_end, "on the way one pixel was .* after each step"),
    (check.many_steps, edges_at_the_end, r"on the way your picture left \[0, 1\]"),
    (check.many_steps, first_alone, "only the first picture"),
    (check.many_steps, until_read, "go on until all are taken"),
    (
        check.many_steps,
        lambda n, x, t, e, s: clipped_steps(0.25)(n, x, t, e, s + 1),
        "the picture after 2: one too many",
    ),
    (
        check.many_steps,
        lambda n, x, t, e, s: clipped_steps(0.25)(n, x, t, e, s - 1),
        "came back as it was",
    ),
    (
        check.many_steps,
        lambda n, x, t, e, s: clipped_steps(0.25)(n, x, t, e, min(s, 2)),
        "3 steps are asked for, and yours is the picture after 2: so go on",
    ),
    (check.many_steps, lambda n, x, t, e, s: attacks.one_step(n, x, t, eps=e), "a step of ε/4"),
    (check.many_steps, lambda *a: clipped_steps(0.25)(*a) - a[1], "the change alone"),
    (check.many_steps, lambda n, x, *a: clipped_steps(0.25)(n, x, *a).add_(0).sub_(1), "left"),
    (
        check.many_steps,
        lambda n, x, t, e, s: x + e / 4 * score_gradient(n, x, t).clamp(-1, 1),
        "left|use only the sign",
    ),
    (check.many_steps, following(at_the_start), "where the picture started, every time"),
    (check.many_steps, remembering("even"), "follows an old gradient"),
    (check.many_steps, remembering("late"), "the gradient of the step before"),
    (check.many_steps, remembering("sum"), "gradients add up"),
    (
        check.many_steps,
        following(lambda n, x, y, t, i: score_gradient(n, y[:1], t)),
        "the first one's gradient",
    ),
    (
        check.many_steps,
        following(lambda n, x, y, t, i: score_gradient(n, y, t).mean(0, keepdim=True)),
        "moved alike",
    ),
    (
        check.many_steps,
        following(length=lambda step, steps: min(1 / steps, 0.25)),
        "each of yours moves a pixel by",
    ),
    (
        check.many_steps,
        following(length=lambda step, steps: 0.25 ** (step + 1)),
        "steps get shorter",
    ),
    (check.many_steps, ever_longer, "ever longer steps"),
    (
        check.many_steps,
        following(length=lambda step, steps: 0.5),
        "moves a pixel by 0.5·ε",
    ),
    (check.many_steps, never_back, "called (net|model) 10,000 times"),
    (check.as_saved, lambda i: i.round().clamp(0, 1), "before you round"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 255).floor() / 255, "the level below"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 255).byte() / 255, "the level below"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 255).ceil() / 255, "the level above"),
    (check.as_saved, lambda i: (i * 255).round() / 255, "nothing below 0"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 255).round(), "divide by 255"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 255).round().byte(), "divide by 255"),
    (check.as_saved, lambda i: i.clamp(0, 1), "between two grey levels"),
    (check.as_saved, lambda i: i, "between two grey levels"),
    (check.as_saved, lambda i: i.clamp(0, 1).round(decimals=2), "101 levels"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 256).round() / 256, "by 255, not by 256"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 256).floor().clamp(max=255) / 255, "not by 256"),
    (check.as_saved, lambda i: (i * 255).round().to(torch.int32).byte() / 255, "wraps round"),
    (check.as_saved, lambda i: (i * 255).round().clamp(0, 1), "before you divided"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 256).int() / 255, "by 255, not by 256"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 255 + 0.5) / 255, "floor"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 255).round() // 255, "whole numbers only"),
    (check.as_saved, lambda i: (i.clamp(0, 1) / 255).round() * 255, "all is black"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 15).round() / 15, "is level"),
    (
        check.as_saved,
        lambda i: i.clamp_(0, 1).mul_(255).round_().div_(255),
        "changed images itself",
    ),
]


def with_autograd(net, x, target, eps):
    z = x.clone().requires_grad_()
    for picture in z:
        net(picture[None])[0, target].backward()
    return (x + eps * z.grad.sign()).clamp(0, 1)


def attached(net, x, target, eps):
    z = x.clone().requires_grad_()
    net(z)[:, target].mean().backward()
    return torch.clamp(z + eps * torch.sign(z.grad), 0, 1)


def in_numpy(net, x, target, eps):
    gradient = score_gradient(net, x, target).numpy().astype(float)
    return np.clip(x.numpy() + eps * np.sign(gradient), 0, 1)


def along(gradient):
    return following(lambda net, x, y, target, step: gradient(net, y, target))


def picture_by_picture(net, x, target, eps, steps):
    return torch.cat([clipped_steps(0.25)(net, z[None], target, eps, steps) for z in x])


def of_margin(net, x, target):
    def lead(z):
        scores = net(z)
        others = scores.clone()
        others[:, target] = -torch.inf
        lead = scores[:, target] - others.amax(1)
        return torch.stack([lead, -lead], 1)

    return score_gradient(lead, x, 0)


def of_probability(net, x, target):
    return score_gradient(lambda z: net(z).softmax(1), x, target)


RIGHT = [
    (check.one_step, with_autograd),
    (check.one_step, attached),
    (check.one_step, in_numpy),
    (check.one_step, lambda *a: torch.from_numpy(in_numpy(*a))),
    (check.one_step, lambda *a: in_numpy(*a).tolist()),
    (
        check.one_step,
        lambda n, x, t, e: torch.where(score_gradient(n, x, t) > 0, x + e, x - e).clip(0, 1),
    ),
    (check.many_steps, along(score_gradient)),
    (check.many_steps, along(lambda *a: -contract.loss_gradient(*a))),
    (check.many_steps, along(of_probability)),
    (check.many_steps, along(of_margin)),
    (check.many_steps, clipped_steps(0.25)),
    (check.many_steps, picture_by_picture),
    (check.many_steps, lambda *a: clipped_steps(0.25)(*a).double().numpy()),
    (check.as_saved, lambda i: np.rint(np.clip(i.double().numpy(), 0, 1) * 255) / 255),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 255 + 0.5).floor() / 255),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 255).round().byte().double() / 255),
    (check.as_saved, lambda i: (i.double() * 255).round().clamp(0, 255) / 255),
    (check.as_saved, lambda i: torch.fake_quantize_per_tensor_affine(i, 1 / 255, 0, 0, 255)),
]


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    times = 10 if exercise is check.many_steps else TIMES  # each time on six networks
    refused(exercise, function, says, 2 if function is never_back else times)


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_a_right_answer_is_right_in_any_style(exercise, function):
    accepted(exercise, function, 10 if exercise is check.many_steps else TIMES)
