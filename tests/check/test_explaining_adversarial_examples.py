"""Lesson 04's exercises, answered wrongly in each way that has a sentence of its own."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trickkit import attacks, contract
from trickkit.check import explaining_adversarial_examples as check
from trickkit.contract import score_gradient
from trickkit.papers import goodfellow2015

from .answers import TIMES, accepted, refused


def worst_case_wrong(reach=lambda w, e, s: e * w.abs().sum(), bias=1, way=-1, mean=torch.mean):
    return lambda w, b, x, s, e: mean(F.softplus(reach(w, e, s) + way * s * (x @ w + bias * b)))


def mixed_wrong(clean, own, step=lambda m, x, y, e: goodfellow2015.sign_step(m, x, y, eps=e)):
    return lambda m, x, y, e, a: (
        clean(a) * F.cross_entropy(m(x), y) + own(a) * F.cross_entropy(m(step(m, x, y, e)), y)
    )


def as_is(a):
    return a


def rest(a):
    return 1 - a


def nothing(a):
    return 0


def cut_off(m, x, y, e, a):
    stepped = goodfellow2015.sign_step(m, x, y, eps=e)
    return a * F.cross_entropy(m(x), y) + (1 - a) * F.cross_entropy(m(stepped), y).detach()


def adding_up(m, x, y, e):
    F.cross_entropy(m(x.requires_grad_(True)), y).backward()
    return x.detach() + e * x.grad.sign()


def outside(w, b, x, s, e):
    return F.softplus(-s * (x @ w + b)).mean() + e * w.abs().sum()


def mixed_pictures(m, x, y, e, a):
    return F.cross_entropy(m(a * x + (1 - a) * goodfellow2015.sign_step(m, x, y, eps=e)), y)


def gradient_of_loss(m, x, y):
    return goodfellow2015.sign_step(m, x, y, eps=1.0) - x


def twice(m, x, y, e):
    return goodfellow2015.sign_step(lambda z: m(z).softmax(1), x, y, eps=e)


def losses_twice(m, x, y, e, a):
    return mixed_wrong(as_is, rest)(lambda z: m(z).softmax(1), x, y, e, a)


def kept_in_the_box(w, b, x, s, e):
    worst = (x - e * s[:, None] * w.sign()).clamp(0, 1)
    return F.softplus(-s * (worst @ w + b)).mean()


@torch.no_grad()
def without_gradient(*args):
    return worst_case_wrong()(*args)


WRONG = [
    (check.sign_step, lambda m, x, y, e: attacks.fgsm(m, x, y, eps=e), "kept the pixels in"),
    (check.sign_step, lambda m, x, y, e: x - e * gradient_of_loss(m, x, y), "the sign is flipped"),
    (check.sign_step, lambda m, x, y, e: e * gradient_of_loss(m, x, y), "the change alone"),
    (
        check.sign_step,
        lambda m, x, y, e: x + e * contract.loss_gradient(m, x, y),
        "use only the sign",
    ),
    (
        check.sign_step,
        lambda m, x, y, e: x + 2 * e * gradient_of_loss(m, x, y),
        "all your pixels move by",
    ),
    (
        check.sign_step,
        lambda m, x, y, e: x - e * score_gradient(m, x, y).sign(),
        "the score of the label alone",
    ),
    (
        check.sign_step,
        lambda m, x, y, e: x + e * gradient_of_loss(m, x, (y + 1) % 5),
        "go the other way|the model reads",
    ),
    (
        check.sign_step,
        lambda m, x, y, e: torch.cat([goodfellow2015.sign_step(m, x[:1], y[:1], eps=e), x[1:]]),
        "only the first",
    ),
    (check.sign_step, adding_up, "switched requires_grad on for images itself"),
    (
        check.sign_step,
        lambda m, x, y, e: goodfellow2015.sign_step(m, x.requires_grad_(True), y, eps=e),
        "on for images itself",
    ),
    (
        check.sign_step,
        lambda m, x, y, e: goodfellow2015.sign_step(m, x, y, eps=0.25),
        "is eps used",
    ),
    (check.sign_step, twice, "the softmax twice"),
    (
        check.sign_step,
        lambda m, x, y, e: x + e * gradient_of_loss(m, x, m(x).argmax(1)),
        "what the",
    ),
    (
        check.sign_step,
        lambda m, x, y, e: x + e * gradient_of_loss(m, x, y[:1].expand(6)),
        "first image's label",
    ),
    (
        check.sign_step,
        lambda m, x, y, e: x + e * gradient_of_loss(m, x, y)[:1],
        "the first one's gradient",
    ),
    (
        check.sign_step,
        lambda m, x, y, e: x + e * contract.loss_gradient(m, x, y).sum(0).sign(),
        "that of their gradients' sum",
    ),
    (check.sign_step, lambda m, x, y, e: x + e * score_gradient(m, x, y).sign(), "you raise the"),
    (check.sign_step, lambda m, x, y, e: x, "came back as they were"),
    (
        check.sign_step,
        lambda m, x, y, e: x + e * gradient_of_loss(m, 0 * x, y),
        "taken at 0",
    ),
    (check.sign_step, lambda m, x, y, e: goodfellow2015.sign_step(m, x, y, eps=e)[0], "has shape"),
    (check.sign_step, lambda m, x, y, e: x + e * torch.randn_like(x).sign(), "go the other way"),
    (
        check.worst_case_loss,
        worst_case_wrong(lambda w, e, s: s * e * w.abs().sum()),
        "times y, as the paper prints",
    ),
    (check.worst_case_loss, outside, "belongs inside"),
    (check.worst_case_loss, worst_case_wrong(lambda w, e, s: 0), "without an attacker"),
    (
        check.worst_case_loss,
        worst_case_wrong(lambda w, e, s: -e * w.abs().sum()),
        "your attacker helps",
    ),
    (check.worst_case_loss, worst_case_wrong(lambda w, e, s: e * w.norm()), "the length"),
    (check.worst_case_loss, worst_case_wrong(lambda w, e, s: e * w.sum()), "both signs cancel"),
    (check.worst_case_loss, worst_case_wrong(bias=0), "bias is missing"),
    (check.worst_case_loss, worst_case_wrong(mean=torch.sum), "the mean is wanted"),
    (check.worst_case_loss, worst_case_wrong(mean=torch.clone), "Their mean is wanted"),
    (check.worst_case_loss, worst_case_wrong(way=1), "turned round"),
    (check.worst_case_loss, worst_case_wrong(lambda w, e, s: e * w.abs().mean()), "the mean of .w"),
    (check.worst_case_loss, worst_case_wrong(lambda w, e, s: e * w.abs().max()), "the largest .w"),
    (check.worst_case_loss, worst_case_wrong(lambda w, e, s: w.abs().sum()), "eps is not used"),
    (
        check.worst_case_loss,
        worst_case_wrong(lambda w, e, s: 2 * e * w.abs().sum()),
        "by hand gives",
    ),
    (check.worst_case_loss, worst_case_wrong(mean=torch.max), "the largest loss"),
    (
        check.worst_case_loss,
        lambda w, b, x, s, e: F.softplus(e * w.abs().sum() - (x @ w + b)).mean(),
        "signs are not used",
    ),
    (
        check.worst_case_loss,
        lambda w, b, x, s, e: F.softplus((e * w.abs().sum() - s * (x @ w + b)).mean()),
        "the mean of the margins first",
    ),
    (
        check.worst_case_loss,
        lambda w, b, x, s, e: (e * w.abs().sum() - s * (x @ w + b)).sigmoid().mean(),
        "sigmoid for ζ",
    ),
    (
        check.worst_case_loss,
        lambda w, b, x, s, e: (e * w.abs().sum() - s * (x @ w + b)).relu().mean(),
        "for ζ",
    ),
    (check.worst_case_loss, kept_in_the_box, r"kept the changed pixels in \[0, 1\]"),
    (check.worst_case_loss, without_gradient, "no gradient leads"),
    (check.worst_case_loss, lambda *a: worst_case_wrong()(*a).detach(), "no gradient leads"),
    (check.worst_case_loss, lambda *a: worst_case_wrong()(*a).item(), "no gradient leads"),
    (
        check.worst_case_loss,
        lambda *a: worst_case_wrong()(*a).detach().numpy(),
        "no gradient leads",
    ),
    (
        check.worst_case_loss,
        worst_case_wrong(lambda w, e, s: e * w.detach().abs().sum()),
        "not its gradient",
    ),
    (
        check.worst_case_loss,
        lambda w, b, *a: worst_case_wrong()(w, b.detach(), *a),
        "not its gradient",
    ),
    (check.adversarial_loss, mixed_pictures, r"mixed the \*pictures\*"),
    (check.adversarial_loss, mixed_wrong(rest, as_is), "have changed places"),
    (check.adversarial_loss, mixed_wrong(lambda a: 1, nothing), "as they are. The stepped ones"),
    (check.adversarial_loss, mixed_wrong(nothing, lambda a: 1), "stepped images alone"),
    (check.adversarial_loss, mixed_wrong(lambda a: 1, lambda a: 1), "added as they are"),
    (check.adversarial_loss, mixed_wrong(lambda a: 0.5, lambda a: 0.5), "half and half"),
    (
        check.adversarial_loss,
        mixed_wrong(as_is, rest, lambda m, x, y, e: goodfellow2015.sign_step(m, x, y, eps=-e)),
        "easier",
    ),
    (
        check.adversarial_loss,
        mixed_wrong(as_is, rest, lambda m, x, y, e: attacks.fgsm(m, x, y, eps=e)),
        r"kept the stepped pixels in \[0, 1\]",
    ),
    (
        check.adversarial_loss,
        lambda *a: check.adversarial_loss.by_place(*a).item(),
        "a plain number",
    ),
    (
        check.adversarial_loss,
        lambda *a: check.adversarial_loss.by_place(*a).detach(),
        "no gradient leads",
    ),
    (check.adversarial_loss, losses_twice, "losses take the softmax twice"),
    (check.adversarial_loss, mixed_wrong(as_is, rest, twice), "your step takes the softmax twice"),
    (check.adversarial_loss, mixed_wrong(as_is, as_is), "not by α as well"),
    (check.adversarial_loss, mixed_wrong(as_is, lambda a: 1), "only the first of the two"),
    (check.adversarial_loss, mixed_wrong(lambda a: 1, rest), "only the second of the two"),
    (
        check.adversarial_loss,
        mixed_wrong(
            as_is,
            rest,
            lambda m, x, y, e: goodfellow2015.sign_step(m, x, m(x).argmax(1), eps=e),
        ),
        "away from what the model reads",
    ),
    (
        check.adversarial_loss,
        mixed_wrong(as_is, rest, lambda m, x, y, e: goodfellow2015.sign_step(m, x, y, eps=0.25)),
        "your step is 0.25",
    ),
    (
        check.adversarial_loss,
        lambda *a: 6 * goodfellow2015.adversarial_loss(*a[:3], eps=a[3], alpha=a[4]),
        "you summed over",
    ),
    (
        check.adversarial_loss,
        lambda *a: goodfellow2015.adversarial_loss(*a[:3], eps=a[3], alpha=a[4]).expand(6),
        "a loss for each image",
    ),
    (check.adversarial_loss, cut_off, "not its gradient"),
    (check.adversarial_loss, mixed_wrong(as_is, lambda a: a * a), "is wanted, from"),
]


def in_tutorial_style(model, images, labels, eps):
    x = images.clone()
    x.requires_grad = True
    model.zero_grad()
    F.cross_entropy(model(x), labels, reduction="sum").backward()
    return x + eps * x.grad.data.sign()


def image_by_image(model, images, labels, eps):
    stepped = []
    for x, y in zip(images, labels, strict=True):
        x = x[None].detach().clone().requires_grad_()
        J = -model(x).log_softmax(1)[0, y]
        stepped.append(x[0].detach() + eps * torch.autograd.grad(J, x)[0][0].sign())
    return stepped


def steps_by_numpy(model, images, labels, eps):
    gradient = contract.loss_gradient(model, images, labels).numpy().astype(float)
    return images.numpy() + eps * np.sign(gradient)


def by_worst_images(w, b, x, s, e):
    losses = []
    for picture, sign in zip(x, s, strict=True):
        worst = picture - e * sign * w.sign()
        losses.append(torch.log1p(torch.exp(-sign * (worst @ w + b))))
    return sum(losses) / len(losses)


def by_cross_entropy(w, b, x, s, e):
    scores = x.double() @ w.double() + b - s * e * w.abs().sum()
    return F.binary_cross_entropy_with_logits(scores, (s.double() + 1) / 2)


def by_hand(m, x, y, e, a):
    stepped = image_by_image(m, x, y, e)
    both = torch.cat([x, torch.stack(stepped)])
    J = -m(both).log_softmax(1)[torch.arange(12), y.repeat(2)]
    return a * J[:6].mean() + (1 - a) * J[6:].mean()


RIGHT = [
    (check.sign_step, in_tutorial_style),
    (check.sign_step, image_by_image),
    (check.sign_step, steps_by_numpy),
    (check.sign_step, lambda *a: torch.from_numpy(steps_by_numpy(*a))),
    (check.sign_step, lambda *a: steps_by_numpy(*a).tolist()),
    (check.sign_step, lambda m, x, y, e: x + e * (2 * (gradient_of_loss(m, x, y) > 0) - 1)),
    (check.worst_case_loss, by_worst_images),
    (check.worst_case_loss, by_cross_entropy),
    (check.worst_case_loss, lambda *a: by_cross_entropy(*a).float()),
    (
        check.worst_case_loss,
        lambda w, b, x, s, e: torch.logaddexp(
            torch.zeros(9), e * w.norm(p=1) - s * F.linear(x, w[None], b)[:, 0]
        ).mean(),
    ),
    (check.adversarial_loss, by_hand),
    (check.adversarial_loss, lambda *a: by_hand(*a).double()),
    (check.adversarial_loss, mixed_wrong(as_is, rest)),
    (check.adversarial_loss, mixed_wrong(as_is, rest, in_tutorial_style)),
]


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says, TIMES)


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_a_right_answer_is_right_in_any_style(exercise, function):
    accepted(exercise, function)
