"""Lesson 00's exercise, answered wrongly in each way that has a sentence of its own."""

import pytest

from trickkit.check import start_here as check

from .answers import refused

WRONG = [
    (check.magnified, lambda c: c + 0.5, "as faint as before"),
    (check.magnified, lambda c: 0.5 + c / (2 * c.max()), "absolute"),
    (check.magnified, lambda c: 0.5 + c / (4 * c.abs().max()), "stretch it to 0.5"),
    (
        check.magnified,
        lambda c: (c - c.min()) / (c.max() - c.min()),
        "should be grey|in proportion",
    ),
    (check.magnified, lambda c: (c > 0).float(), "should be grey|in proportion"),
]


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
