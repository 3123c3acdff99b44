"""Lesson 02's exercises, answered wrongly in each way that has a sentence of its own."""

import numpy as np
import pandas as pd
import pytest
import torch

from trickkit import linear
from trickkit.check import linear_classifiers as check

from .answers import TIMES, accepted, refused


def shortest_wrong(bias=1, square=True, signs=False, way=1, size=lambda margin: margin):
    def change(weights, biases, image, label, target):
        d = weights[target] - weights[label]
        margin = -(d @ image + bias * (biases[target] - biases[label]))
        along = d.sign() if signs else d
        return way * size(margin) / (d @ along if square else d.norm()) * along

    return change


def along_target(weights, biases, image, label, target):
    scores = weights @ image + biases
    w = weights[target]
    return (scores[label] - scores[target]) / (w @ w) * w


def shortest_of_the_best(weights, biases, image, label, target):
    scores = weights @ image + biases
    return linear.shortest(weights, biases, image, int(scores.argmax()), target)


def unguarded(weights, biases, images, labels):
    return per_class(weights, biases, images, labels).amin(1)


def per_class(weights, biases, images, labels, reach=lambda away: away.abs().sum(2)):
    scores = images @ weights.T + biases
    margin = scores.gather(1, labels[:, None]) - scores
    return margin / reach(weights[labels][:, None] - weights)


def hidden(labels, table, value=torch.inf):
    return table.scatter(1, labels[:, None], value)


def distance_wrong(reach=lambda away: away.abs().sum(2), take=torch.amin, value=torch.inf):
    return lambda w, b, x, y: take(hidden(y, per_class(w, b, x, y, reach), value), 1).clamp(min=0)


def runner_up(weights, biases, images, labels):
    scores = images @ weights.T + biases
    second = hidden(labels, scores, -torch.inf).argmax(1, keepdim=True)
    return per_class(weights, biases, images, labels).gather(1, second)[:, 0].clamp(min=0)


def changes_its_input(x, weights, eps):
    x += eps * weights.sign()
    return x


WRONG = [
    (check.nudge, lambda x, w, e: x - e * w.sign(), "the score fell"),
    (check.nudge, lambda x, w, e: x + e * w * 3, "No number may move further"),
    (check.nudge, lambda x, w, e: x + e * w / w.abs().max(), "Every number may move the full ε"),
    (check.nudge, lambda x, w, e: x + e * w / w.norm(), "Every number may move the full ε"),
    (check.nudge, lambda x, w, e: x + w.clamp(-e, e), "those with small weights too"),
    (check.nudge, lambda x, w, e: x[:1], "has shape"),
    (check.nudge, changes_its_input, "changed x itself"),
    (check.nudge, lambda x, w, e: e * w.sign(), "the change alone"),
    (check.nudge, lambda x, w, e: x, "as it was"),
    (check.nudge, lambda x, w, e: (x + e * w.sign()).clamp(0, 1), "not pixels"),
    (check.nudge, lambda x, w, e: x + e, "all numbers went up"),
    (check.nudge, lambda x, w, e: x + e * x.sign(), "the signs of x"),
    (check.nudge, lambda x, w, e: x + e * (w > 0), "only numbers with a positive weight"),
    (check.nudge, lambda x, w, e: x - e * (w < 0), "only numbers with a negative weight"),
    (check.nudge, lambda x, w, e: x + w.sign(), "Is eps used, and once"),
    (check.nudge, lambda x, w, e: x + 0.01 * w.sign(), "Is eps used, and once"),
    (check.nudge, lambda x, w, e: x + e * e * w.sign(), "Is eps used, and once"),
    (check.nudge, lambda x, w, e: x * (1 + e * w.sign()), "multiplied x by the signs"),
    (check.nudge, lambda x, w, e: (x + e * w.sign()).round(), "No number may move further"),
    (check.shortest, shortest_wrong(bias=0), "the biases"),
    (check.shortest, shortest_wrong(bias=-1), "biases have the wrong signs"),
    (check.shortest, shortest_wrong(square=False), "divided by the length of d"),
    (check.shortest, lambda *a: linear.shortest(*a) / 2, "half the way"),
    (check.shortest, shortest_wrong(way=-1), "the gap grew"),
    (check.shortest, shortest_wrong(signs=True), "longer than it need be"),
    (check.shortest, lambda W, b, x, y, t: x + linear.shortest(W, b, x, y, t), "the change alone"),
    (check.shortest, lambda *a: 2 * linear.shortest(*a), "twice the way"),
    (check.shortest, lambda *a: 1.02 * linear.shortest(*a), "after it by -0"),
    (check.shortest, shortest_wrong(size=torch.abs), "took the margin without its sign"),
    (check.shortest, shortest_wrong(size=torch.relu), "nothing changed where the target is ahead"),
    (check.shortest, along_target, "weights.target. alone"),
    (check.shortest, shortest_of_the_best, "highest score for the label"),
    (
        check.shortest,
        lambda W, b, x, y, t: linear.shortest(W, b, x, y, int((W @ x + b).argmin())),
        "lowest score for the target",
    ),
    (
        check.shortest,
        lambda W, b, x, y, t: (x + linear.shortest(W, b, x, y, t)).clamp(0, 1) - x,
        r"kept the image in \[0, 1\]",
    ),
    (check.shortest, lambda W, b, x, y, t: W[t] - W[y], "one unit of d, whatever"),
    (check.shortest, shortest_wrong(size=lambda m: m * 0 + 1), "before your change the label led"),
    (
        check.shortest,
        lambda W, b, x, y, t: linear.shortest(W, b, x, y, t) + at_right_angles(W[t] - W[y]),
        "times as long",
    ),
    (check.distance, unguarded, "are not finite"),
    (
        check.distance,
        lambda *a: per_class(*a).nan_to_num(0.0).amin(1).clamp(min=0),
        "all your distances are 0",
    ),
    (
        check.distance,
        lambda *a: linear.distance(*a).min().expand(len(a[2])),
        "all your distances are 0. Take the smallest for each image",
    ),
    (
        check.distance,
        lambda w, b, x, y: linear.distance(w, b, x, y[:1].expand(len(x))),
        "first image's label",
    ),
    (check.distance, lambda *a: linear.distance(*a, norm="l2"), r"length ε \(ℓ₂\)"),
    (check.distance, lambda *a: linear.distance(*a) - 0.1, "negative"),
    (check.distance, lambda *a: linear.distance(*a) / 2, "half of the right"),
    (check.distance, lambda *a: linear.distance(*a) * 2, "twice the right"),
    (check.distance, lambda *a: linear.distance(*a) * 1.1, "flips sooner, at"),
    (check.distance, lambda *a: linear.distance(*a) / 1.1, "does not flip yet: its distance is"),
    (check.distance, lambda *a: linear.distance(*a).clamp(min=0.001), "misread from the start"),
    (check.distance, lambda w, b, x, y: linear.distance(w, 0 * b, x, y), "biases are missing"),
    (
        check.distance,
        lambda w, b, x, y: linear.distance(w, b, x, (x @ w.T + b).argmax(1)),
        "They are given",
    ),
    (
        check.distance,
        lambda w, b, x, y: hidden(y, per_class(w, b, x, y)).amin(1),
        "needs no change",
    ),
    (
        check.distance,
        lambda w, b, x, y: hidden(y, per_class(w, b, x, y)).amin(1).abs(),
        "size of its negative margin",
    ),
    (
        check.distance,
        distance_wrong(take=torch.amax, value=-torch.inf),
        "the farthest of the other",
    ),
    (check.distance, runner_up, "the class with the next best score"),
    (check.distance, distance_wrong(lambda away: 1), "these are margins"),
    (check.distance, distance_wrong(lambda away: away.abs().mean(2)), "mean of .w_y − w_j"),
    (check.distance, distance_wrong(lambda away: away.sum(2)), "with its signs, which cancel"),
    (check.distance, distance_wrong(lambda away: away.square().sum(2)), "Is it the smallest of"),
    (check.distance, lambda *a: linear.distance(*a).min(), "for each image is wanted"),
    (check.distance, lambda *a: linear.distance(*a)[:, None].expand(-1, 5), "for each class as"),
]


def at_right_angles(d):
    r = torch.randn(len(d))
    return r - (r @ d) / (d @ d) * d


def in_numpy(x, weights, eps):
    return torch.from_numpy(x.numpy() + np.where(weights.numpy() > 0, eps, -eps))


def in_loops(weights, biases, images, labels):
    found = []
    for x, y in zip(images.double(), labels.tolist(), strict=True):
        margins = [
            (weights[y].double() - w.double()) @ x + (biases[y] - b).double()
            for w, b in zip(weights, biases, strict=True)
        ]
        reach = [(weights[y] - w).abs().sum().item() for w in weights]
        found.append(max(0, min(margins[j].item() / reach[j] for j in range(5) if j != y)))
    return found


def by_least_squares(weights, biases, image, label, target):
    W, x, b = weights.numpy(), image.numpy(), biases.numpy()
    d = W[target] - W[label]
    return np.linalg.lstsq(d[None], [-(d @ x) - b[target] + b[label]], rcond=None)[0]


RIGHT = [
    (check.nudge, in_numpy),
    (check.nudge, lambda x, w, e: in_numpy(x, w, e).tolist()),
    (check.nudge, lambda x, w, e: torch.where(w > 0, x + e, x - e).double()),
    (check.nudge, lambda x, w, e: pd.Series(x.numpy() + e * np.sign(w.numpy()))),
    (check.nudge, lambda x, w, e: x + e * w / w.abs()),
    (
        check.nudge,
        lambda x, w, e: [v + (e if u > 0 else -e) for v, u in zip(x, w, strict=True)],
    ),
    (
        check.shortest,
        lambda w, b, x, y, t: linear.shortest(w.double(), b.double(), x.double(), y, t),
    ),
    (check.shortest, by_least_squares),
    (check.shortest, lambda W, b, x, y, t: linear.shortest(W, b, x, t, y)),
    (check.shortest, lambda *a: torch.from_numpy(by_least_squares(*a))),
    (check.shortest, lambda *a: by_least_squares(*a).tolist()),
    (
        check.shortest,
        lambda W, b, x, y, t: (
            torch.linalg.pinv((W[t] - W[y])[None])[:, 0] * ((W[y] - W[t]) @ x + b[y] - b[t])
        ),
    ),
    (check.distance, in_loops),
    (check.distance, lambda *a: torch.tensor(in_loops(*a), dtype=torch.double)),
    (check.distance, lambda *a: np.array(in_loops(*a))),
    (
        check.distance,
        lambda w, b, x, y: per_class(w, b, x, y).nan_to_num(torch.inf).amin(1).relu(),
    ),
    (
        check.distance,
        lambda w, b, x, y: hidden(y, per_class(w, b, x, y)).sort(1).values[:, 0].clamp(min=0),
    ),
]


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says, TIMES)


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_a_right_answer_is_right_in_any_style(exercise, function):
    accepted(exercise, function)
