"""Lesson 10's exercises, answered wrongly in each way that has a sentence of its own."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score

from trickkit import information
from trickkit.check import information_bottleneck as check
from trickkit.information import entropy, mutual_information

from .answers import accepted, refused


def shares(codes):
    n = np.unique(codes, axis=0, return_counts=True)[1]
    return n / n.sum()


def joint(a, b):
    return entropy(np.column_stack([a, b]))


def of_units(codes):
    return sum(entropy(unit) for unit in codes.reshape(len(codes), -1).T)


def per_unit(a, b):
    return sum(mutual_information(unit, b) for unit in a.reshape(len(a), -1).T)


def of_places(finish):
    return lambda v, count, low, high: finish((v - low) / (high - low) * count, count)


def of_edges(edges):
    """Bins by np.digitize, as their authors make them."""
    return lambda v, count, low, high: np.digitize(v, np.linspace(low, high, edges(count)))


def kde(power=2, width=lambda s: 2 * s, mean=lambda near: near.mean(1), outer=torch.mean):
    def bound(t, variance):
        near = torch.exp(-(torch.cdist(t, t) ** power) / width(variance))
        return -outer(mean(near).log2())

    return bound


def without_itself(near):
    return (near.sum(1) - 1) / (len(near) - 1)


def scaled(by):
    return lambda weights: [(by * w, b) for w, b in weights]


def learnt(weights):
    """A network that came with the course, ten times over, and knows better."""
    return information.unpacked(information.load("tanh").flat[-1])


def in_place(weights):
    for w, _ in weights:
        w *= 16
    return weights


def rows_as(code):
    """Entropy with each row put together to one code."""

    def of_rows(c):
        c = np.asarray(c)
        return entropy(c if c.ndim == 1 else np.unique(code(c), return_inverse=True)[1])

    return of_rows


def strings(c):
    return np.array(["".join(map(str, row)) for row in c.tolist()])


def of(p):
    return (p * np.log2(1 / p)).sum()


def looped(t, variance):
    """The bound, pair by pair."""
    total = 0.0
    rows = t.tolist()
    for one in rows:
        near = 0.0
        for other in rows:
            squared = sum((u - v) ** 2 for u, v in zip(one, other, strict=True))
            near += np.exp(-squared / (2 * variance))
        total -= np.log2(near / len(rows))
    return total / len(rows)


def row_by_row(t, variance):
    """One input at a time against all: quick enough."""
    near = [torch.exp(-((t - one) ** 2).sum(1) / (2 * variance)).mean() for one in t]
    return -torch.stack(near).log2().mean()


def unit_by_unit(t, variance):
    near = torch.exp(-((t[:, None] - t[None]) ** 2) / (2 * variance))
    return -near.mean(1).log2().mean()


def half_silent(weights):
    """Four networks as they came, and six that say always the same: 2 bits on average."""
    return [(torch.cat([w[:4], 0 * w[4:]]), b) for w, b in weights]


def last_layer(by):
    """Trained networks whose last layer is multiplied."""
    return lambda weights: [*learnt(weights)[:5], tuple(by * p for p in learnt(weights)[5])]


def given(a, b):
    """By H(A) − Σ p(v) H(A | v), which is right as long as b is no rows."""
    return entropy(a) - sum(np.mean(b == v) * entropy(a[b == v]) for v in np.unique(b))


def rows_of_a(a, b):
    return np.concatenate([a.reshape(len(a), -1), b[:, None]], axis=1)


WRONG = [
    (
        check.mutual_information,
        lambda a, b: entropy(a) + entropy(b) - entropy(rows_of_a(a, b)),
        r"stopped with .*b \(120, 3\).*side by side",
    ),
    (
        check.mutual_information,
        lambda a, b: entropy(a) + entropy(b) - entropy(np.concatenate([a, b[:, None]], axis=1)),
        r"stopped with AxisError.*a is \(120,\) and b \(120,\).*side by side",
    ),
    (check.mutual_information, given, r"stopped with IndexError.*b \(120, 3\)"),
    (
        check.mutual_information,
        lambda a, b: mutual_information(a, b if b.ndim == 1 else b[:, 0]),
        "b may have them too",
    ),
    (
        check.entropy,
        lambda c: of(np.unique(c, axis=-1, return_counts=True)[1] / np.shape(c)[-1]),
        "compared columns",
    ),
    (check.bins, of_places(lambda p, n: np.ceil(p)), "not np.ceil"),
    (
        check.kde_bound,
        lambda t, v: -torch.exp(-(torch.cdist(t, t, p=1) ** 2) / (2 * v)).mean(1).log2().mean(),
        "absolute differences",
    ),
    (check.impostor, half_silent, "of the ten networks"),
    (check.entropy, rows_as(lambda c: c @ 2 ** np.arange(c.shape[1])), "became the same"),
    (check.entropy, rows_as(lambda c: c @ 10 ** np.arange(c.shape[1])), "became the same"),
    (check.entropy, rows_as(strings), "became the same"),
    (check.entropy, rows_as(lambda c: c[:, 0] * 1000 + c[:, 1]), "some of the units only"),
    (check.entropy, lambda c: of(np.unique(c) / np.sum(np.unique(c))), "p = 0|yours is"),
    (check.entropy, lambda c: of(c / c.sum()), "only a name"),
    (
        check.entropy,
        lambda c: of((n := len(c) * shares(c)) / len(n)),
        "by how many different codes there are",
    ),
    (check.entropy, lambda c: of(shares(c) * len(c) / np.size(c)), "codes.size"),
    (check.entropy, lambda c: np.log2(1 / shares(c)).sum(), "added up log₂ 1/p"),
    (
        check.mutual_information,
        lambda a, b: entropy(a) + entropy(b) - (lambda codes: entropy(codes))(a, b),
        "stopped with TypeError.*side by side",
    ),
    (
        check.mutual_information,
        lambda a, b: entropy(a) + entropy(b) - entropy(np.stack([a, b], 1)),
        "stopped with ValueError.*side by side",
    ),
    (
        check.mutual_information,
        lambda a, b: entropy(a) + entropy(b) - entropy(np.hstack([a, b])),
        "stopped with ValueError.*side by side",
    ),
    (
        check.mutual_information,
        lambda a, b: entropy(a) + entropy(b) - entropy([a, b]),
        "stopped with ValueError.*side by side",
    ),
    (
        check.mutual_information,
        lambda a, b: mutual_information(a[:, :2] if a.ndim == 2 else a, b),
        "some of a's units only",
    ),
    (
        check.bins,
        of_places(lambda p, n: np.ceil(p - 1).clip(0, n - 1)),
        "edge of two bins belongs into the upper one",
    ),
    (
        check.bins,
        lambda v, n, low, high: (np.searchsorted(np.linspace(low, high, n + 1), v) - 1).clip(
            0, n - 1
        ),
        "edge of two bins belongs into the upper one",
    ),
    (
        check.bins,
        lambda v, n, low, high: ((v - low) // ((high - low) / n)).clip(0, n - 1),
        "come out one too small",
    ),
    (
        check.bins,
        of_places(lambda p, n: np.floor(p / n * (n - 1)).clip(0, n - 1)),
        "a share times count - 1",
    ),
    (check.bins, of_places(lambda p, n: np.round(p / n * (n - 1)).clip(0, n - 1)), "half as wide"),
    (check.bins, lambda v, n, low, high: np.floor((v + 1) / 2 * n), "go from −1 to 1"),
    (check.kde_bound, kde(width=lambda v: 2 / v), "Put brackets"),
    (check.kde_bound, kde(width=lambda v: 2e-3), "whatever came for it"),
    (check.kde_bound, kde(width=lambda v: 2 * v / np.log(2)), "where e is the base"),
    (check.kde_bound, unit_by_unit, "the units are not added up"),
    (check.kde_bound, looped, "with a Python loop over all pairs"),
    (check.impostor, last_layer(-1), "must know the answer"),
    (check.impostor, last_layer(0), "whatever their last layer says"),
    (check.entropy, lambda c: -(shares(c) * np.log(shares(c))).sum(), "in nats"),
    (check.entropy, lambda c: (shares(c) * np.log2(shares(c))).sum(), "the sign is turned"),
    (check.entropy, lambda c: (shares(c) * np.log10(1 / shares(c))).sum(), "to base 10"),
    (
        check.entropy,
        lambda c: -(len(c) * shares(c) * np.log2(len(c) * shares(c))).sum(),
        "the counts for shares",
    ),
    (check.entropy, lambda c: np.log2(len(shares(c))), "all are equally frequent"),
    (check.entropy, lambda c: (shares(c) * np.log2(1 / shares(c))).mean(), "mean over the codes"),
    (check.entropy, of_units, "added up the units' entropies"),
    (check.entropy, lambda c: entropy(np.ravel(c)), "single numbers. A row"),
    (check.entropy, lambda c: entropy(c) + 0.1, "bits; yours is"),
    (check.entropy, lambda c: max(entropy(c), 0.3), "tell nothing"),
    (check.entropy, lambda c: entropy(c) * np.ones(3), "has shape"),
    (
        check.entropy,
        lambda c: -(lambda p: (p * np.log2(p)).sum())(np.histogram(c, 40)[0] / c.size),
        "p = 0",
    ),
    (check.mutual_information, lambda a, b: mutual_information(a, b) * np.log(2), "in nats"),
    (check.mutual_information, joint, r"H\(A, B\), what both say"),
    (check.mutual_information, lambda a, b: joint(a, b) - entropy(b), "once B is known"),
    (check.mutual_information, lambda a, b: joint(a, b) - entropy(a), "once A is known"),
    (
        check.mutual_information,
        lambda a, b: joint(a, b) - entropy(a) - entropy(b),
        "the sign is turned",
    ),
    (check.mutual_information, per_unit, "added up what each unit tells"),
    (
        check.mutual_information,
        lambda a, b: mutual_information(a, b) / entropy(b),
        "divided it by an entropy",
    ),
    (check.mutual_information, lambda a, b: entropy(a), r"H\(A\) alone"),
    (check.mutual_information, lambda a, b: entropy(b), r"H\(B\) alone"),
    (check.mutual_information, lambda a, b: entropy(a) + entropy(b), "is to be taken away"),
    (check.mutual_information, lambda a, b: mutual_information(a, b) + 0.1, "so I is"),
    (
        check.mutual_information,
        lambda a, b: mutual_information(a, b) if a.ndim == 2 else 0.0,
        "anything tells all of itself",
    ),
    (check.bins, of_places(lambda p, n: np.floor(p).clip(0, n - 1) + 1), "numbered from 1"),
    (check.bins, of_places(lambda p, n: np.floor(p)), "one too many"),
    (check.bins, of_edges(lambda n: n), "one too few"),
    (
        check.bins,
        lambda *a: of_edges(lambda n: n)(*a) - 1,
        "one too few",
    ),
    (check.bins, lambda *a: of_edges(lambda n: n + 1)(*a) - 1, "one too many"),
    (check.bins, of_places(lambda p, n: np.round(p)), "half as wide"),
    (check.bins, of_places(lambda p, n: p), "not yet bins"),
    (
        check.bins,
        lambda v, n, *_: information.bins(v, count=n, low=v.min(), high=v.max()),
        "from the smallest value",
    ),
    (check.bins, of_places(lambda p, n: p / n), "Times count"),
    (
        check.bins,
        lambda v, n, low, high: (
            low + (information.bins(v, count=n, low=low, high=high) + 0.5) / n * (high - low)
        ),
        "the middle of the bin",
    ),
    (check.bins, lambda v, n, low, high: np.floor(v / (high - low) * n), "start from low"),
    (check.bins, lambda v, n, low, high: information.bins(v, count=n), "go from −1 to 1"),
    (
        check.bins,
        lambda v, n, low, high: n - 1 - information.bins(v, count=n, low=low, high=high),
        "from the wrong end",
    ),
    (check.bins, of_places(lambda p, n: np.floor(p).clip(1, n - 1)), "lies in bin"),
    (
        check.bins,
        of_places(lambda p, n: np.floor(np.where(p == n, n - 1, p))),
        "outside goes into the bin at that end",
    ),
    (check.bins, of_places(lambda p, n: np.floor(p).clip(0, n - 1) * (p > 0) + (p <= 0)), "0 and"),
    (check.kde_bound, lambda t, v: kde()(t, v) * np.log(2), "in nats"),
    (check.kde_bound, lambda t, v: -kde()(t, v), "the sign is turned"),
    (check.kde_bound, kde(power=1), "squares are missing"),
    (check.kde_bound, kde(width=lambda v: 2 * v**2), "squared the variance"),
    (check.kde_bound, kde(width=lambda v: 2 * v**0.5), "the root"),
    (check.kde_bound, kde(width=lambda v: v), "2 in 2σ² is missing"),
    (check.kde_bound, kde(width=lambda v: 8 * v), "the lower bound"),
    (check.kde_bound, kde(mean=lambda near: near.sum(1)), "inner mean became a sum"),
    (check.kde_bound, kde(outer=torch.sum), "outer mean became a sum"),
    (check.kde_bound, kde(mean=lambda near: near.mean()), "of the mean of all"),
    (
        check.kde_bound,
        lambda t, v: (torch.cdist(t, t) ** 2 / (2 * v)).mean() / np.log(2),
        "mean of logarithms",
    ),
    (check.kde_bound, kde(mean=without_itself), "left out j = i"),
    (check.kde_bound, lambda t, v: kde()(t.T, v), "compared units"),
    (check.kde_bound, lambda t, v: kde()(t, -v), "minus in the exponent"),
    (check.kde_bound, lambda t, v: kde()(t, v * t.shape[1]), "mean over the units"),
    (check.kde_bound, kde(outer=lambda logs: logs), "a number for each input"),
    (check.kde_bound, kde(mean=lambda near: near, outer=lambda logs: logs), "pair of inputs"),
    (check.kde_bound, lambda t, v: kde()(t, v) + 0.1, "bits; yours is"),
    (check.impostor, lambda w: w, "the weights that came"),
    (check.impostor, scaled(2), "Drive its values into fewer bins"),
    (check.impostor, scaled(0), "the same to nearly every input"),
    (check.impostor, learnt, "they are to know nothing"),
    (check.impostor, in_place, "changed weights itself"),
    (check.impostor, lambda w: w[:5], "5 layers"),
    (check.impostor, lambda w: [16 * weights for weights, _ in w], "no pair"),
    (check.impostor, lambda w: [(16 * a[0], b[0]) for a, b in w], "they came as"),
    (check.impostor, scaled(float("inf")), "not finite"),
    (check.impostor, lambda w: w[0][0], "has shape"),
    (check.impostor, lambda w: dict(enumerate(w)), "is a dict"),
]

RIGHT = [
    (check.entropy, lambda c: torch.tensor((shares(c) * np.log2(1 / shares(c))).sum())),
    (check.entropy, rows_as(lambda c: c @ 31 ** np.arange(c.shape[1]))),
    (check.entropy, lambda c: -sum(p * np.log2(p) for p in shares(c).tolist())),
    (
        check.mutual_information,
        lambda a, b: (
            mutual_info_score(
                *(np.unique(codes, axis=0, return_inverse=True)[1].ravel() for codes in (a, b))
            )
            / np.log(2)
        ),
    ),
    (check.mutual_information, lambda a, b: entropy(b) - (joint(a, b) - entropy(a))),
    (check.bins, of_places(lambda p, n: np.floor(p).clip(0, n - 1).tolist())),
    (
        check.bins,
        lambda v, n, low, high: np.digitize(v, np.linspace(low, high, n + 1)[1:-1]),
    ),
    (
        check.bins,
        lambda v, n, low, high: (np.linspace(low, high, n + 1)[1:-1] <= v[..., None]).sum(-1),
    ),
    (
        check.bins,
        lambda v, n, low, high: (
            np.searchsorted(np.linspace(low, high, n + 1), v, side="right") - 1
        ).clip(0, n - 1),
    ),
    (check.kde_bound, kde()),
    (check.kde_bound, row_by_row),
    (check.kde_bound, lambda t, v: float(kde()(t.double(), v))),
    (check.impostor, scaled(32)),
    (check.impostor, scaled(0.3)),
    (check.impostor, lambda w: tuple((a.numpy() * 24, b.numpy()) for a, b in w)),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
