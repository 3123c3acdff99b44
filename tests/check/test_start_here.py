"""Lesson 00's exercise, answered wrongly in each way that has a sentence of its own."""

import numpy as np
import pytest
import torch

from trickkit.check import start_here as check

from .answers import TIMES, accepted, refused


def in_place(c):
    c /= 2 * c.abs().max()
    return c.add_(0.5)


def uneven(axes):
    return lambda c: 0.5 + c / (2 * c.abs().amax(axes, keepdim=True))


WRONG = [
    (check.magnified, lambda c: c, "the change as it came"),
    (check.magnified, lambda c: c + 0.5, "as faint as before"),
    (check.magnified, lambda c: 0.5 + c / (2 * c.max()), r"change\.abs\(\)\.max"),
    (check.magnified, lambda c: (0.5 + c / (2 * c.max())).clamp(0, 1), r"change\.abs\(\)\.max"),
    (check.magnified, lambda c: 0.5 + c / (2 * c.min()), "the lowest value"),
    (check.magnified, lambda c: (0.5 + c / (2 * c.min())).clamp(0, 1), "the lowest value"),
    (check.magnified, lambda c: 0.5 + c / (4 * c.abs().max()), "at 0.25 from grey; stretch it"),
    (check.magnified, lambda c: 0.5 + c / (2 * c.abs().max() + 0.01), "from grey; stretch it"),
    (check.magnified, lambda c: 0.5 - c / (2 * c.abs().max()), "black and white are exchanged"),
    (check.magnified, lambda c: 0.5 + c.abs() / (2 * c.abs().max()), "a fall looks the same"),
    (check.magnified, lambda c: c.abs() / c.abs().max(), "a fall looks the same"),
    (check.magnified, lambda c: (c - c.min()) / (c.max() - c.min()), "no change should be grey"),
    (check.magnified, lambda c: c / c.abs().max(), "below 0. Halve it and add 0.5"),
    (check.magnified, lambda c: c / (2 * c.abs().max()), "below 0: add 0.5"),
    (check.magnified, lambda c: (c / (2 * c.abs().max())).clamp(0, 1), "before you clamp"),
    (check.magnified, lambda c: (c / c.abs().max()).clamp(0, 1), "falls are cut off: all of them"),
    (check.magnified, lambda c: 0.5 + c / c.abs().max(), "twice too strong"),
    (check.magnified, lambda c: (0.5 + c / c.abs().max()).clamp(0, 1), "twice too strong"),
    (check.magnified, lambda c: (c > 0).float(), "only black and white are left"),
    (check.magnified, lambda c: 0.5 + c.sign() / 2, "only three levels"),
    (check.magnified, uneven((1, 2, 3)), "from one picture to the next"),
    (check.magnified, uneven((2, 3)), "from one channel to the next"),
    (check.magnified, uneven(1), "the row, the column or the pixel"),
    (check.magnified, lambda c: 0.5 + c / (2 * c.std()), "should stay in"),
    (check.magnified, lambda c: (0.5 + 1000 * c).clamp(0, 1), "where the change is"),
    (check.magnified, lambda c: (c / c.std()).sigmoid(), "where the change is"),
    (check.magnified, lambda c: (0.5 + c / (2 * c.abs().max()))[:1], "has shape"),
    (check.magnified, in_place, "changed change itself"),
]


def loops(c):
    most = max(abs(v) for v in c.flatten().tolist())
    return torch.tensor([0.5 + v / (2 * most) for v in c.flatten().tolist()]).view(c.shape)


def in_numpy(c):
    a = np.array(c.tolist())
    return 0.5 + a / (2 * np.abs(a).max())


RIGHT = [
    (check.magnified, loops),
    (check.magnified, in_numpy),
    (check.magnified, lambda c: in_numpy(c).tolist()),
    (check.magnified, lambda c: torch.from_numpy(in_numpy(c))),
    (check.magnified, lambda c: (c / max(c.max(), -c.min()) + 1) / 2),
    (check.magnified, lambda c: torch.lerp(torch.zeros(()), c / c.abs().max(), 0.5) + 0.5),
]


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says, TIMES)


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_a_right_answer_is_right_in_any_style(exercise, function):
    accepted(exercise, function)
