"""Lesson 05's exercises, answered wrongly in each way that has a sentence of its own."""

import pytest
import torch

from trickkit import attacks
from trickkit.check import stronger_attacks as check

from .answers import refused


def margin_wrong(hide=True, sign=1, top=False, chances=False):
    def margin_of(logits, labels):
        z = logits.softmax(1) if chances else logits
        own = z.gather(1, labels[:, None])[:, 0]
        if top:
            two = z.topk(2, dim=1).values
            return two[:, 0] - two[:, 1]
        other = (z.scatter(1, labels[:, None], -torch.inf) if hide else z).amax(1)
        return sign * (own - other)

    return margin_of


def scatters_in_place(logits, labels):
    own = logits.gather(1, labels[:, None])[:, 0]
    return own - logits.scatter_(1, labels[:, None], -torch.inf).amax(1)


def guess_wrong(times=lambda sigma, samples: 1.0, paired=True, draw=torch.randn, mixed=False):
    def guess(ask, x, samples, sigma):
        u = draw((samples // 2 if paired else samples, *x.shape[1:]))
        u = torch.cat([u, -u]) if paired else u
        said = ask(x + sigma * u).view(-1, 1, 1, 1)
        return (
            times(sigma, samples)
            * (said * (u[torch.randperm(len(u))] if mixed else u)).mean(0, keepdim=True)
            / sigma
        )

    return guess


def guess_clamped(ask, x, samples, sigma):
    return guess_wrong()(lambda z: ask(z.clamp(0, 1)), x, samples, sigma)


def border_wrong(inside_end=False, rounds=None, scan=False, number=False, ends="right"):
    def walk(misread, image, far, close):
        low = 0.0
        high = 1.0
        if scan:
            while not misread(image + low * (far - image)):
                low += close
            return image + low * (far - image)
        k = 0
        while high - low > close and (rounds is None or k < rounds):
            middle = (low + high) / 2
            k = k + 1
            if misread(image + middle * (far - image)) == (ends == "right"):
                high = middle
            else:
                low = middle
        t = low if inside_end else high
        return t if number else image + t * (far - image)

    return walk


WRONG = [
    (check.margin, margin_wrong(hide=False), r"the best \*other\* class"),
    (check.margin, margin_wrong(sign=-1), "the other way round"),
    (check.margin, margin_wrong(top=True), "never below 0"),
    (check.margin, margin_wrong(chances=True), "not on probabilities"),
    (check.margin, lambda z, y: margin_wrong()(z, y)[:, None], "has shape"),
    (check.margin, lambda z, y: z.gather(1, y[:, None])[:, 0] - z.mean(1), "and yours says"),
    (check.margin, scatters_in_place, "changed the logits themselves"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: sigma), "Divide by sigma"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: n), "the mean of the answers"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: 0.5), "Halve nothing"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: 2), "u and -u counted as two"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: -1), "the other way"),
    (
        check.guess_gradient,
        guess_wrong(paired=False),
        "Ask in pairs|points somewhere else|times as long",
    ),
    (check.guess_gradient, guess_wrong(draw=torch.rand), "times as long|somewhere else"),
    (check.guess_gradient, guess_wrong(mixed=True), "the other way|times as long|somewhere else"),
    (
        check.guess_gradient,
        lambda f, x, n, s: guess_wrong()(f, x, 2 * n, s),
        "you asked 12000 questions",
    ),
    (check.guess_gradient, lambda f, x, n, s: guess_wrong()(f, x, n, s)[0], "has shape"),
    (check.guess_gradient, guess_clamped, "Do not clamp here"),
    (check.border, border_wrong(inside_end=True), "Return the misread end"),
    (check.border, border_wrong(rounds=4), "Go on halving"),
    (check.border, border_wrong(scan=True), "you asked"),
    (check.border, border_wrong(number=True), "you returned the number"),
    (
        check.border,
        border_wrong(ends="wrong"),
        "Which end moves when|takes the place of the far end",
    ),
    (check.border, lambda m, i, f, c: f, "takes the place of the far end"),
    (check.border, lambda m, i, f, c: attacks.border(m, i, f, close=c) + 0.1, "straight line"),
]


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
