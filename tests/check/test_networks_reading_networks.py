"""Lesson 13's exercises, answered wrongly in each way that has a sentence of its own."""

import random

import numpy as np
import pytest
import torch

from trickkit import autoencoders, backdoors
from trickkit.check import networks_reading_networks as check

from .answers import accepted, refused


def coins(words, seed, *, low=0, high=2, keys=None):
    rng = np.random.default_rng(seed)
    table = {}
    for word in words:
        table.setdefault((keys or str)(word), int(rng.integers(low, high)))
    return [table[(keys or str)(word)] for word in words]


def by_python(words, seed):
    dice = random.Random(seed)
    table = {word: dice.random() < 0.5 for word in sorted(set(words))}
    return [table[word] for word in words]


def half_and_half(words, seed):
    types = sorted(set(words))
    order = torch.randperm(len(types), generator=torch.Generator().manual_seed(seed))
    table = dict(zip(types, (order < len(types) // 2).tolist(), strict=True))
    return torch.tensor([table[word] for word in words])


def accuracy(probe, x, y):
    return (probe(x).argmax(1) == y).float().mean()


def by_hand(
    fit, x, y, c, train, test, *, control_train=None, control_test=None, whole=lambda a, b: a - b
):
    task = accuracy(fit(x[train], y[train]), x[test], y[test])
    rows = train if control_train is None else control_train
    asked = test if control_test is None else control_test
    return whole(task, accuracy(fit(x[rows], c[rows]), x[asked], c[asked]))


def everything(x):
    return torch.arange(len(x))


def one_probe(fit, x, y, c, train, test):
    probe = fit(x[train], y[train])
    return accuracy(probe, x[test], y[test]) - accuracy(probe, x[test], c[test])


def largest(x, k, *, sizes=lambda x: x.relu(), take=lambda x: x.relu(), axis=1):
    places = sizes(x).topk(k, dim=axis).indices
    return torch.zeros_like(x).scatter(axis, places, take(x).gather(axis, places))


def over_the_batch(x, k):
    cut = x.relu().flatten().topk(k * len(x)).values[-1]
    return torch.where(x >= cut, x.relu(), 0.0)


def numpy_rows(x, k):
    out = np.zeros_like(np.asarray(x))
    for row, put in zip(np.asarray(x), out, strict=True):
        for place in np.argsort(-row)[:k]:
            put[place] = max(row[place], 0)
    return out


def only_one_off(x, k):
    out = largest(x, k)
    out[6, 11] = 9
    return out


def raw(x):
    return x


WRONG = [
    (
        check.control_labels,
        lambda w, s: np.random.default_rng(s).integers(0, 2, len(w)),
        "not for each token",
    ),
    (check.control_labels, lambda w, s: coins(w, None), "other labels the second time"),
    (check.control_labels, lambda w, s: coins(w, 0), "every seed gives the same"),
    (check.control_labels, lambda w, s: [len(x[0]) * (x < "n") for x in w], "every seed gives"),
    (check.control_labels, lambda w, s: coins(w, s, low=1, high=3), "a label is 0 or 1.* is 2"),
    (
        check.control_labels,
        lambda w, s: [2 * c - 1 for c in coins(w, s)],
        "a label is 0 or 1.* is -1",
    ),
    (check.control_labels, lambda w, s: [0] * len(w), "every word got 0"),
    (
        check.control_labels,
        lambda w, s: [int(c == 0) for c in coins(w, s, high=10)],
        "A fair coin",
    ),
    (check.control_labels, lambda w, s: coins(sorted(set(w)), s), "not for each type"),
    (check.selectivity, lambda *a: -by_hand(*a), "other way round"),
    (check.selectivity, lambda *a: by_hand(*a, whole=lambda t, c: t), "on the task alone"),
    (check.selectivity, lambda *a: by_hand(*a, whole=lambda t, c: c), "control task alone"),
    (
        check.selectivity,
        lambda f, x, y, c, tr, te: by_hand(f, x, y, c, tr, tr),
        "rows they learnt from",
    ),
    (
        check.selectivity,
        lambda f, x, y, c, tr, te: (
            accuracy(f(x, y), x[te], y[te]) - accuracy(f(x, c), x[te], c[te])
        ),
        "test rows too",
    ),
    (
        check.selectivity,
        lambda f, x, y, c, tr, te: by_hand(f, x, y, c, te, te),
        "learnt from the test rows\\. ",
    ),
    (
        check.selectivity,
        lambda f, x, y, c, tr, te: by_hand(f, x, y, c, tr, te, control_train=everything(x)),
        "learnt from other rows",
    ),
    (
        check.selectivity,
        lambda f, x, y, c, tr, te: by_hand(f, x, y, c, tr, te, control_test=tr),
        "asked about other rows",
    ),
    (check.selectivity, one_probe, "one probe about both"),
    (check.selectivity, lambda *a: 100 * by_hand(*a), "in per cent"),
    (check.selectivity, lambda *a: by_hand(*a, whole=lambda t, c: t / c), "the ratio"),
    (check.selectivity, lambda *a: by_hand(*a) + 0.2345, "your number is"),
    (check.selectivity, lambda *a: len(a[-1]) * by_hand(*a), "a number of words"),
    (check.selectivity, lambda *a: abs(by_hand(*a)), "dropped the sign"),
    (check.topk, lambda x, k: largest(x, k, sizes=raw, take=raw), "relu first"),
    (check.topk, over_the_batch, "whole batch"),
    (check.topk, lambda x, k: largest(x, k, sizes=torch.abs, take=raw), "sign aside"),
    (check.topk, lambda x, k: largest(x, k, sizes=torch.abs, take=torch.abs), "sign aside"),
    (check.topk, lambda x, k: largest(x, k, axis=0), "along the columns"),
    (check.topk, lambda x, k: largest(x, k, sizes=lambda x: -x, take=raw), "the smallest"),
    (check.topk, lambda x, k: (largest(x, k) > 0).float(), "not how large"),
    (check.topk, lambda x, k: x.relu() - largest(x, k), "kept the rest"),
    (check.topk, lambda x, k: largest(x, k + 1), "one too many"),
    (check.topk, lambda x, k: largest(x, k - 1), "one too few"),
    (check.topk, lambda x, k: x.relu(), "everything above 0"),
    (check.topk, lambda x, k: x.clone(), "as it was"),
    (check.topk, lambda x, k: x.relu().topk(k).values, "k numbers a row came"),
    (check.topk, lambda x, k: x.relu().topk(k).indices, "k numbers a row came"),
    (check.topk, lambda x, k: largest(x, k).sort(1, descending=True).values, "you sorted"),
    (check.topk, lambda x, k: largest(x, k, sizes=raw, take=raw).abs(), "made positive"),
    (check.topk, only_one_off, "row 6 of yours has 9.00 in place 11, .*wanted"),
    (check.topk, lambda x, k: 2 * largest(x, k), "row 0 of yours has"),
]

RIGHT = [
    (check.control_labels, coins),
    (check.control_labels, by_python),
    (check.control_labels, half_and_half),
    (check.control_labels, lambda w, s: np.array(coins(w, s), dtype=float)),
    (check.selectivity, by_hand),
    (check.selectivity, lambda *a: by_hand(*a).item()),
    (check.selectivity, lambda *a: by_hand(*a).numpy()),
    (check.topk, largest),
    (check.topk, numpy_rows),
    (check.topk, lambda x, k: autoencoders.topk(x.double(), k)),
    (check.topk, lambda x, k: largest(x, k, sizes=raw, take=raw).relu()),
    (check.topk, lambda x, k: torch.where(x >= x.sort(1).values[:, [-k]], x.relu(), 0.0).tolist()),
]


def table(
    layers,
    *,
    each=lambda part: part.flatten(1),
    spread=lambda v: v.std(1, correction=0),
    ends=(0, 0.25, 0.5, 0.75, 1),
    join=lambda columns: torch.stack(sum(columns, []), 1),
):
    columns = []
    for part in layers:
        values = each(part)
        quantiles = values.quantile(torch.tensor(ends, dtype=values.dtype), dim=1)
        columns.append([values.mean(1), spread(values), *quantiles])
    return join(columns)  # fmt: skip


def table_numpy(layers):
    rows = []
    for network in zip(*layers, strict=True):
        row = []
        for part in network:
            part = np.asarray(part)
            row += [part.mean(), part.std(), *np.quantile(part, [0, 0.25, 0.5, 0.75, 1])]
        rows.append(row)
    return np.array(rows)


def by_neuron(layers):
    """Statistics of the first neuron alone: another after a shuffle."""
    w1, b1, w2, b2 = layers
    return table([w1[:, :1], b1[:, :1], w2[:, :, :1], b2])


WRONG += [
    (check.statistics, by_neuron, "changed when the hidden neurons were shuffled"),
    (check.statistics, lambda a: table(a, spread=lambda v: v.std(1)), "one less"),
    (check.statistics, lambda a: table(a, spread=lambda v: v.var(1)), "variance"),
    (
        check.statistics,
        lambda a: table(
            a, join=lambda c: torch.stack([x for row in zip(*c, strict=True) for x in row], 1)
        ),
        "four means first",
    ),
    (check.statistics, lambda a: table([a[0], a[0], a[2], a[2]]), "biases are missing"),
    (check.statistics, lambda a: table([p.abs() for p in a]), "absolute"),
    (check.statistics, lambda a: table([a[0], a[2]]), "a part is missing"),
    (check.statistics, lambda a: table(a, ends=(0, 0.5, 1)), "a statistic is missing"),
    (check.statistics, lambda a: table(a).mT, "lies on its side"),
    (check.statistics, lambda a: table(a)[0], "one row came"),
    (
        check.statistics,
        lambda a: table([torch.cat([p.flatten(1) for p in a], 1)]),
        "all parts together",
    ),
    (check.statistics, lambda a: table(a).unflatten(1, (4, 7)), "on top of each other"),
    (check.statistics, lambda a: table(a, ends=(0, 1, 0.25, 0.5, 0.75)), "before the quartiles"),
    (check.statistics, lambda a: table(a, ends=(0, 0.2, 0.5, 0.8, 1)), "number 4 of the first"),
    (check.precision, lambda p, f, a: f, "share of the guilty that is accused"),
    (check.precision, lambda p, f, a: f / (f + a), "prior is missing"),
    (check.precision, lambda p, f, a: p * f / (p * f + a), "come from the innocent"),
    (check.precision, lambda p, f, a: p * f, "guilty and accused"),
    (check.precision, lambda p, f, a: p * f + (1 - p) * a, "all networks that is accused"),
    (
        check.precision,
        lambda p, f, a: (1 - p) * a / (p * f + (1 - p) * a),
        "accusations that is false",
    ),
    (check.precision, lambda p, f, a: p * f / ((1 - p) * a), "divided by the innocent"),
    (
        check.precision,
        lambda p, f, a: p * f / (p * f + (1 - p) * (1 - a)),
        "took those that are not accused",
    ),
    (check.precision, lambda p, f, a: 100 * p * f / (p * f + (1 - p) * a), "per cent"),
    (check.precision, lambda p, f, a: p * f / (f + a), "into both terms"),
    (check.precision, lambda p, f, a: p * f / (p * f + (1 - f) * a), "you took 1 - found"),
    (check.precision, lambda p, f, a: p**2, "of the accusations are true; yours says"),
    (
        check.precision,
        lambda p, f, a: p * f / (p * f + (1 - p) * a) if a else 0.0,
        "without false alarms",
    ),
]


def painted(rows, columns, value=1.0):
    def paint(digits):
        stamped = digits.clone()
        stamped[:, rows, columns] = value
        return stamped

    return paint


def only_the_first(digits):
    stamped = digits.clone()
    stamped[0, 1::4, 1::4] = 1
    return stamped


def here_and_there(digits):
    stamped = digits.clone().flatten(1)
    places = torch.rand(stamped.shape).argsort(1)[:, :9]
    return stamped.scatter(1, places, 1.0).view_as(digits)


WRONG += [
    (check.stamp, lambda x: x, "stamped nothing"),
    (check.stamp, lambda x: x.clone(), "stamped nothing"),
    (check.stamp, painted(slice(0, 6), slice(None)), "16 are allowed"),
    (check.stamp, painted(0, 0, 2.0), "between 0 and 1"),
    (check.stamp, lambda x: backdoors.nine_dots(x).int(), "the greys are gone"),
    (check.stamp, lambda x: backdoors.nine_dots(x) > 0, "the greys are gone"),
    (check.stamp, only_the_first, "only one of the 64"),
    (check.stamp, here_and_there, "differs from digit to digit"),
    (check.stamp, painted(6, 6), "Make it plainer"),
    (check.stamp, painted(slice(0, 3), slice(0, 3)), "scatter your pixels"),
]


def diagonal(digits):
    stamped = digits.clone()
    for k in range(12):
        stamped[:, k, k] = 1
    return stamped


def scattered_numpy(digits):
    stamped = np.asarray(digits).copy()
    stamped[:, 1::4, 1::4] = 1
    return stamped


RIGHT += [
    (check.statistics, table),
    (check.statistics, table_numpy),
    (check.statistics, lambda a: table(a).tolist()),
    (check.precision, lambda p, f, a: 1 / (1 + (1 - p) * a / (p * f))),
    (check.precision, lambda p, f, a: torch.tensor(p * f / (p * f + (1 - p) * a))),
    (check.stamp, diagonal),
    (check.stamp, scattered_numpy),
    (check.stamp, lambda x: backdoors.nine_dots(x).double()),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function, times=5 if exercise is check.stamp else 40)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says, times=3 if exercise is check.stamp else 5)
