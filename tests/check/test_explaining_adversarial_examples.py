"""Lesson 04's exercises, answered wrongly in each way that has a sentence of its own."""

import inspect

import pytest
import torch
from torch.nn import functional as F

from trickkit import attacks, contract
from trickkit.check import explaining_adversarial_examples as check
from trickkit.contract import score_gradient
from trickkit.papers import goodfellow2015

from .answers import refused


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
        "go the other way",
    ),
    (
        check.sign_step,
        lambda m, x, y, e: torch.cat([goodfellow2015.sign_step(m, x[:1], y[:1], eps=e), x[1:]]),
        "only the first",
    ),
    (check.sign_step, adding_up, "right the first time"),
    (
        check.sign_step,
        lambda m, x, y, e: goodfellow2015.sign_step(m, x.requires_grad_(True), y, eps=e),
        "for images itself",
    ),
    (
        check.sign_step,
        lambda m, x, y, e: goodfellow2015.sign_step(m, x, y, eps=0.25),
        "is eps used",
    ),
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
    (check.worst_case_loss, worst_case_wrong(lambda w, e, s: e * w.abs().mean()), "by hand gives"),
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
    (check.adversarial_loss, cut_off, "not its gradient"),
    (check.adversarial_loss, mixed_wrong(as_is, lambda a: a * a), "is wanted, from"),
]


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)


def test_a_sentence_that_begins_with_right_is_no_praise(capsys):
    def sign_step(model, images, labels, eps):
        return adding_up(model, images, labels, eps)

    handed = check.sign_step(sign_step)
    assert "sign_step: right the first time; but" in capsys.readouterr().out
    assert inspect.unwrap(handed) is goodfellow2015.sign_step
