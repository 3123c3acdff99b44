"""Lesson 06's exercises, answered wrongly in each way that has a sentence of its own."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import beta, binomtest, norm

from trickkit import attacks, defences
from trickkit.check import defences as check

from .answers import accepted, refused


def rights(model, attempts, labels):
    return torch.stack([model(x).argmax(1) == labels for x in attempts])


def opened_where_it_is_flat(defence):
    def opened(images):
        out = defence(images)
        slope = torch.autograd.grad(out.sum(), images, retain_graph=True)[0]
        return out if slope.any() else images + (out - images).detach()

    return opened


def break_wrong(opened=True, draws=1, targeted=False, reach=1, **options):
    def attack(model, defence, images, labels, eps):
        through = defences.straight_through(defence) if opened else defence
        steady = defences.averaged(lambda x: model(through(x)), draws=draws)
        return attacks.pgd(steady, images, labels, eps=reach * eps, targeted=targeted, **options)

    return attack


def one_step_wrong(draws):
    def attack(model, defence, images, labels, eps):
        opened = defences.straight_through(defence)
        return attacks.fgsm(
            defences.averaged(lambda x: model(opened(x)), draws=draws), images, labels, eps=eps
        )

    return attack


def in_one_batch(model, defence, images, labels, eps, draws=16, steps=20):
    opened = defences.straight_through(defence)

    def steady(x):
        said = model(opened(x.repeat(draws, 1, 1, 1))).log_softmax(1)
        return said.view(draws, len(x), -1).logsumexp(0)

    return attacks.pgd(steady, images, labels, eps=eps, steps=steps, early_stop=False)


def silent_without_a_majority(*args):
    label, radius = check.certificate.by_place(*args)
    return (label, radius) if label >= 0 else None


def lower(k, n, alpha):
    return binomtest(k, n, alternative="greater").proportion_ci(1 - alpha).low


def certify_wrong(bound=lower, chooser=0, power=1, abstain=True):
    def answer(selection, counts, sigma, alpha):
        label = (selection, counts)[chooser].argmax().item()
        p = bound(int(counts[label]), int(counts.sum()), alpha)
        return (label, sigma**power * norm.ppf(p)) if p > 0.5 or not abstain else (-1, 0.0)

    return answer


def hoeffding(k, n, alpha):
    return k / n - math.sqrt(-math.log(alpha) / (2 * n))


def radius_without_a_class(*args):
    label, radius = certify_wrong(abstain=False)(*args)
    return (label, radius) if radius > 0 else (-1, radius)


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images, defence):
        return defence(images)

    @staticmethod
    def backward(ctx, slope):
        return slope, None


def clipped(defence):
    return lambda x: (
        (x + (defence(x) - x).detach()).clamp(0.3, 0.7)
        + (defence(x) - (x + (defence(x) - x)).clamp(0.3, 0.7)).detach()
    )


def in_place(defence):
    def opened(images):
        out = defence(images)
        return images + out.data.sub_(images.detach()).clone()

    return opened


def abstaining(answer, *args):
    label, radius = check.certificate.by_place(*args)
    return answer if label < 0 else (label, radius)


def cautious(*args):
    label, radius = check.certificate.by_place(*args)
    return (label, radius) if radius > 0.05 else (-1, 0.0)


WRONG = [
    (check.withstood, lambda *a: rights(*a).any(0), r"every\* attempt fails"),
    (check.withstood, lambda *a: ~rights(*a).all(0), "other way round"),
    (check.withstood, lambda *a: rights(*a).float().mean(0), "an average"),
    (check.withstood, lambda *a: rights(*a).float().mean(1).min(), "one number"),
    (check.withstood, lambda *a: rights(*a)[0], "only the first"),
    (check.withstood, lambda *a: rights(*a)[-1], "only the last"),
    (check.withstood, lambda *a: rights(*a).float().mean(0) > 0.5, "majority wins"),
    (check.withstood, lambda *a: rights(*a)[1:].all(0), "hold by your answer"),
    (
        check.withstood,
        lambda *a: min(rights(*a), key=lambda b: b.sum()),
        "the worst attack, not the worst case image by image",
    ),
    (check.withstood, lambda *a: max(rights(*a), key=lambda b: b.sum()), "that fools fewest"),
    (check.withstood, lambda *a: rights(*a).all(0).float(), "float32, .* True and False"),
    (check.withstood, lambda *a: rights(*a).double().prod(0), "float64, .* True and False"),
    (check.straight_through, lambda d: d, "gradient is zero"),
    (check.straight_through, lambda d: lambda x: x, "as they came"),
    (check.straight_through, lambda d: lambda x: d(x).detach(), "no gradient gets through"),
    (check.straight_through, lambda d: lambda x: x + d(x) - x.detach(), "two gradients"),
    (check.straight_through, opened_where_it_is_flat, "the gradient is the defence's own"),
    (check.straight_through, lambda d: lambda x: 2 * x + (d(x) - 2 * x).detach(), "2.00 times"),
    (
        check.straight_through,
        lambda d: lambda x: x + d(x).detach(),
        "not what the defence puts out",
    ),
    (
        check.straight_through,
        lambda d: d(torch.rand(2, 1, 4, 4)),
        "a function, from images to images, is wanted",
    ),
    (
        check.break_defence,
        break_wrong(opened=False, draws=10, early_stop=False),
        "noise of the same size",
    ),
    (
        check.break_defence,
        break_wrong(targeted=True, draws=16, early_stop=False),
        "noise of the same size",
    ),
    (
        check.break_defence,
        lambda m, d, x, y, e: attacks.fgsm(m, x, y, eps=e),
        "never called the defence",
    ),
    (
        check.break_defence,
        lambda m, d, x, y, e: attacks.pgd(m, x, y, eps=e, early_stop=False),
        "never called the defence",
    ),
    (check.break_defence, break_wrong(early_stop=False), "mostly noise"),
    (check.break_defence, one_step_wrong(16), "as in one step"),
    (
        check.break_defence,
        break_wrong(draws=16, steps=2, step_size=0.1, early_stop=False),
        "16 draws a step, and 2 steps",
    ),
    (check.break_defence, lambda *a: in_one_batch(*a, steps=2), "16 draws a step, and 2 steps"),
    (
        check.break_defence,
        lambda *a: in_one_batch(*a, draws=1),
        "One draw's gradient is mostly noise",
    ),
    (check.break_defence, one_step_wrong(200), "as in one step"),
    (check.break_defence, break_wrong(draws=16), "One lucky draw is no success|no early stop"),
    (
        check.break_defence,
        break_wrong(draws=16, reach=0.3, early_stop=False),
        "You may use all of ε",
    ),
    (check.break_defence, break_wrong(reach=2), "lie within ε"),
    (check.break_defence, lambda m, d, x, y, e: x + e, "stays in"),
    (check.break_defence, lambda m, d, x, y, e: x, "as they came"),
    (check.certificate, certify_wrong(abstain=False), "may be no majority"),
    (
        check.certificate,
        certify_wrong(lambda k, n, a: binomtest(k, n).proportion_ci(1 - a).low),
        "two-sided",
    ),
    (check.certificate, certify_wrong(lambda k, n, a: k / n), "as it was counted"),
    (check.certificate, certify_wrong(chooser=1), "choose by selection"),
    (check.certificate, certify_wrong(power=0), "σ is missing"),
    (
        check.certificate,
        lambda votes, counts, sigma, alpha: (
            (place, sigma * norm.cdf(lower(int(counts[place]), int(counts.sum()), alpha)))
            if check.certificate.by_place(votes, counts, sigma, alpha)[1]
            and (place := votes.argmax().item()) >= 0
            else (-1, 0.0)
        ),
        "Φ⁻¹ is wanted",
    ),
    (check.certificate, certify_wrong(power=2), "the variance"),
    (
        check.certificate,
        lambda s, c, sigma, a: (s.argmax(), sigma * norm.ppf(1 - a)),
        "alpha alone",
    ),
    (
        check.certificate,
        lambda s, c, sigma, a: (s.argmax(), sigma * lower(int(c[s.argmax()]), int(c.sum()), a)),
        "σ·p",
    ),
    (
        check.certificate,
        lambda *a: check.certificate.by_place(*a)[1],
        "your answer is a float; a pair, a class number and a radius",
    ),
    (check.certificate, lambda *a: (*check.certificate.by_place(*a), 1), "holds 3 things"),
    (check.certificate, radius_without_a_class, "you abstain, and give a radius of"),
    (
        check.certificate,
        lambda s, *a: (s.argmin(), check.certificate.by_place(s, *a)[1]),
        "you answer class .* favourite of selection",
    ),
    (check.certificate, certify_wrong(hoeffding), "is certain. The bound is Clopper and Pearson's"),
    (
        check.certificate,
        lambda *a: (a[0].argmax(), -check.certificate.by_place(*a)[1]),
        "below 0. Is p the favourite's bound",
    ),
    (check.certificate, lambda *a: (-1, 0.0), "that is a majority"),
    (check.certificate, silent_without_a_majority, "you return nothing where"),
    (
        check.certificate,
        certify_wrong(lambda k, n, a: binomtest(k, n, alternative="less").proportion_ci(1 - a).low),
        'binomtest wants alternative="greater"',
    ),
    (
        check.certificate,
        lambda s, c, sigma, a: defences.certificate(s, s, sigma=sigma, alpha=a),
        "you bound with selection; count with counts",
    ),
    (
        check.certificate,
        lambda s, c, sigma, a: defences.certificate(s, s + c, sigma=sigma, alpha=a),
        "you bound with selection and counts together",
    ),
    (
        check.certificate,
        lambda s, c, sigma, a: defences.certificate(s + c, c, sigma=sigma, alpha=a),
        "chose the class by selection and counts together",
    ),
    (
        check.certificate,
        certify_wrong(lambda k, n, a: lower(k, 1000, a)),
        r"you take 1,000 for the number of draws.* ask counts\.sum",
    ),
    (
        check.certificate,
        certify_wrong(lambda k, n, a: lower(k, 100, a)),
        r"ask counts\.sum\(\)",
    ),
    (
        check.certificate,
        certify_wrong(lambda k, n, a: lower(k, 100_000, a)),
        r"counts\[label\] hits out of counts\.sum\(\)",
    ),
    (check.certificate, certify_wrong(lambda k, n, a: lower(k, n, a / 2)), "is 1 - alpha / 2"),
    (
        check.withstood,
        lambda m, a, y: torch.stack([m(x).argmax(1) == m(a[0]).argmax(1) for x in a]).all(0),
        "compare what is read with labels",
    ),
    (check.withstood, lambda *a: ~rights(*a).any(0), "that every attempt fools"),
    (check.withstood, lambda *a: rights(*a).sum(0), "counts for how many attempts"),
    (
        check.withstood,
        lambda m, a, y: m(torch.stack(list(a)).mean(0)).argmax(1) == y,
        "you average the attempts",
    ),
    (check.withstood, lambda m, a, y: rights(m, [a.pop()], y).all(0), "changed attempts itself"),
    (check.straight_through, clipped, "of 40 pixels the gradient is 0"),
    (check.straight_through, lambda d: lambda x: (x + d(x) - x).clamp(0, 1), "is zero"),
    (check.straight_through, in_place, "changed in place what the defence puts out"),
    (check.straight_through, lambda d: lambda x: None, "your opened defence returns nothing"),
    (
        check.straight_through,
        lambda d: lambda x: d(x).detach().requires_grad_(True),
        "cut off from images",
    ),
    (check.straight_through, lambda d: lambda x: x + (d(x) - x).detach().double(), "float64"),
    (
        check.break_defence,
        lambda m, d, x, y, e: attacks.square(lambda z: m(d(z)), x, y, eps=e, queries=200),
        "never asked for a gradient",
    ),
    (check.certificate, lambda *a: abstaining((None, 0.0), *a), "to abstain, return -1, 0.0"),
    (check.certificate, lambda *a: abstaining((-1, None), *a), "to abstain, return -1, 0.0"),
    (check.certificate, certify_wrong(lambda k, n, a: lower(k, n, 1 - a)), "another alpha"),
    (check.certificate, certify_wrong(lambda k, n, a: lower(k, n, 0.001)), "another alpha"),
    (check.certificate, cautious, "that is a majority"),
]

RIGHT = [
    (check.withstood, lambda *a: rights(*a).numpy().all(0)),
    (check.withstood, lambda *a: rights(*a).long().prod(0).tolist()),
    (check.break_defence, in_one_batch),
    (check.straight_through, lambda d: lambda x: x - x.detach() + d(x).detach()),
    (check.straight_through, lambda d: lambda x: Straight.apply(x, d)),
    (check.certificate, lambda *a: np.array(check.certificate.by_place(*a))),
    (check.certificate, certify_wrong(lambda k, n, a: beta.ppf(a, k, n - k + 1))),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function, times=5 if exercise is check.break_defence else 40)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says, times=2 if exercise is check.break_defence else 5)
