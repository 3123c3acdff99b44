"""Lesson 02's exercises, answered wrongly in each way that has a sentence of its own."""

import pytest

from trickkit import linear
from trickkit.check import linear_classifiers as check

from .answers import refused


def shortest_wrong(bias=True, square=True, signs=False, way=1):
    def change(weights, biases, image, label, target):
        d = weights[target] - weights[label]
        margin = -(d @ image + (biases[target] - biases[label] if bias else 0))
        along = d.sign() if signs else d
        return way * margin / (d @ along if square else d.norm()) * along

    return change


def unguarded(weights, biases, images, labels):
    scores = images @ weights.T + biases
    margin = scores.gather(1, labels[:, None]) - scores
    return (margin / (weights[labels][:, None] - weights).abs().sum(2)).amin(1)


def changes_its_input(x, weights, eps):
    x += eps * weights.sign()
    return x


WRONG = [
    (check.nudge, lambda x, w, e: x - e * w.sign(), "the score fell"),
    (check.nudge, lambda x, w, e: x + e * w * 3, "No number may move further"),
    (check.nudge, lambda x, w, e: x + e * w / w.abs().max(), "Every number may move the full ε"),
    (check.nudge, lambda x, w, e: x[:1], "has shape"),
    (check.nudge, changes_its_input, "changed x itself"),
    (check.nudge, lambda x, w, e: e * w.sign(), "the change alone"),
    (check.shortest, shortest_wrong(bias=False), "the biases"),
    (check.shortest, shortest_wrong(square=False), "too far"),
    (check.shortest, lambda *a: linear.shortest(*a) / 2, "still leads by"),
    (check.shortest, shortest_wrong(way=-1), "margin grew"),
    (check.shortest, shortest_wrong(signs=True), "times as long"),
    (check.shortest, lambda W, b, x, y, t: x + linear.shortest(W, b, x, y, t), "the change alone"),
    (check.shortest, lambda *a: 2 * linear.shortest(*a), "too far"),
    (check.distance, unguarded, "not a number"),
    (check.distance, lambda *a: linear.distance(*a, norm="l2"), r"length ε \(ℓ₂\)"),
    (check.distance, lambda *a: linear.distance(*a) - 0.1, "negative"),
    (check.distance, lambda *a: linear.distance(*a) / 2, "too short"),
    (check.distance, lambda *a: linear.distance(*a) * 2, "sooner than you say"),
    (check.distance, lambda *a: linear.distance(*a).clamp(min=0.001), "misread from the start"),
    (
        check.distance,
        lambda w, b, x, y: linear.distance(w, 0 * b, x, y),
        "Are the biases in the margin",
    ),
]


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
