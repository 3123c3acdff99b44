"""Lesson 03's exercises, answered wrongly in each way that has a sentence of its own."""

import pytest
import torch

from trickkit import attacks, contract
from trickkit.check import panda_to_vulture as check
from trickkit.contract import score_gradient

from .answers import refused


def clipped_steps(size, once=False, way=1, ball=True):
    def steps_of(net, x, target, eps, steps):
        y = x
        first = score_gradient(net, x, target).sign()
        for _ in range(steps):
            y = y + way * size * eps * (first if once else score_gradient(net, y, target).sign())
            y = (torch.minimum(torch.maximum(y, x - eps), x + eps) if ball else y).clamp(0, 1)
        return y

    return steps_of


WRONG = [
    (
        check.one_step,
        lambda n, x, t, e: (x - e * score_gradient(n, x, t).sign()).clamp(0, 1),
        "fell in 20 of 20",
    ),
    (
        check.one_step,
        lambda n, x, t, e: x + e * score_gradient(n, x, t).sign(),
        "whiter than white",
    ),
    (
        check.one_step,
        lambda n, x, t, e: (x + e * score_gradient(n, x, t) / 50).clamp(0, 1),
        "use only the sign",
    ),
    (
        check.one_step,
        lambda n, x, t, e: (x + 2 * e * score_gradient(n, x, t).sign()).clamp(0, 1),
        "at most ε away",
    ),
    (
        check.one_step,
        lambda n, x, t, e: (x + 50 * e * score_gradient(n, x, t)).clamp(0, 1),
        "at most ε away",
    ),
    (check.one_step, lambda n, x, t, e: e * score_gradient(n, x, t).sign(), "the change alone"),
    (
        check.one_step,
        lambda n, x, t, e: torch.cat([attacks.one_step(n, x[:1], t, eps=e), x[1:]]),
        "only the first",
    ),
    (
        check.one_step,
        lambda n, x, t, e: (x - e * contract.loss_gradient(n, x, t).sign()).clamp(0, 1),
        "by less than it could",
    ),
    (check.many_steps, clipped_steps(0.25, ball=False), "at most ε away"),
    (check.many_steps, clipped_steps(0.25, once=True), "the network was asked"),
    (check.many_steps, clipped_steps(0.25, way=-1), "probability fell"),
    (check.many_steps, clipped_steps(0.01), "a step of ε/4 is asked for"),
    (
        check.many_steps,
        lambda n, x, t, e, s: [attacks.one_step(n, x, t, eps=e / 4) for _ in range(s)][0],
        "start where",
    ),
    (check.as_saved, lambda i: i.round().clamp(0, 1), "before you round"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 255).floor() / 255, "not to the one below"),
    (check.as_saved, lambda i: (i * 255).round() / 255, "nothing below 0"),
    (check.as_saved, lambda i: (i.clamp(0, 1) * 255).round(), "divide by 255"),
    (check.as_saved, lambda i: i.clamp(0, 1), "between two grey levels"),
]


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
