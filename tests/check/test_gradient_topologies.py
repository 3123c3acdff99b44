"""Lesson 11's exercises, answered wrongly in each way that has a sentence of its own."""

import pytest
import torch

from trickkit import connectivity, landscapes
from trickkit.check import gradient_topologies as check

from .answers import accepted, refused


def lengths(t, p=2):
    return t.flatten(1).norm(p, dim=1).view(-1, *[1] * (t.dim() - 1))


def of_inputs(t):
    return t.transpose(0, 1).flatten(1).norm(dim=1).view(1, -1, *[1] * (t.dim() - 2))


def filters_only(make):
    return lambda d, w: make(d, w) if w.dim() > 1 else torch.zeros_like(w)


def losses(loss, one, other, shares):
    return [float(loss(one + t * (other - one))) for t in shares.tolist()]


def along(tell, shares=lambda points: torch.linspace(0, 1, points)):
    return lambda loss, one, other, points: tell(losses(loss, one, other, shares(points)))


def above_the_line(values):
    n = len(values) - 1
    return max(v - (1 - i / n) * values[0] - i / n * values[-1] for i, v in enumerate(values))


def best(choose=min, twin=connectivity.rescale):
    def made(sharpness, w1, b1, w2, factors):
        key = [sharpness(connectivity.rescale(w1, b1, w2, f)) for f in factors]
        return twin(w1, b1, w2, factors[key.index(choose(key))])

    return made


def bent(d, w, dims):
    """Each piece of a filter made as long as the weights' piece."""
    if w.dim() == 2:
        return landscapes.filter_normalise(d, w)
    return d * w.norm(dim=dims, keepdim=True) / d.norm(dim=dims, keepdim=True)


def in_place(d, w):
    d *= lengths(w) / lengths(d)
    return d


def piled_up(sharpness, w1, b1, w2, factors):
    twins = []
    for f in factors:
        w1, b1, w2 = w1 * f, b1 * f, w2 / f
        twins.append((w1, b1, w2))
    return min(twins, key=sharpness)


def first_improvement(sharpness, w1, b1, w2, factors):
    before = sharpness((w1, b1, w2))
    for factor in factors:
        twin = connectivity.rescale(w1, b1, w2, factor)
        if sharpness(twin) < before:
            return twin


def best_never_updated(sharpness, w1, b1, w2, factors):
    before, kept = sharpness((w1, b1, w2)), (w1, b1, w2)
    for factor in factors:
        twin = connectivity.rescale(w1, b1, w2, factor)
        if sharpness(twin) < before:
            kept = twin
    return kept


def inner_places(loss, one, other, points):
    shares = torch.linspace(0, 1, points)
    losses = [float(loss(one + t * (other - one))) for t in shares]
    return max(losses[1:-1]) - (losses[0] + losses[-1]) / 2


def backwards(loss, one, other, points):
    losses = [float(loss(one + t * (one - other))) for t in torch.linspace(0, 1, points)]
    return max(losses) - (losses[0] + losses[-1]) / 2


WRONG = [
    (check.barrier, inner_places, "you left out the ends"),
    (check.barrier, backwards, "leads backwards"),
    (
        check.barrier,
        lambda f, a, b, n: connectivity.barrier(f, a, b, points=1001),
        "another number of places",
    ),
    (check.filter_normalise, filters_only(lambda d, w: d.clone()), "the random one, as it came"),
    (
        check.filter_normalise,
        filters_only(lambda d, w: d * w.norm() / d.norm()),
        "the whole layer has the weights' length",
    ),
    (check.filter_normalise, filters_only(lambda d, w: d / lengths(d)), "filters have length 1"),
    (check.filter_normalise, filters_only(lambda d, w: d * lengths(w)), "did not divide by"),
    (
        check.filter_normalise,
        filters_only(lambda d, w: d / lengths(w)),
        "point where they did",
    ),
    (
        check.filter_normalise,
        filters_only(lambda d, w: d * lengths(d) / lengths(w)),
        "upside down",
    ),
    (
        check.filter_normalise,
        filters_only(lambda d, w: landscapes.filter_normalise(w, d)),
        "it is the direction that is wanted",
    ),
    (
        check.filter_normalise,
        filters_only(lambda d, w: d * of_inputs(w) / of_inputs(d)),
        "the length for each input",
    ),
    (
        check.filter_normalise,
        filters_only(lambda d, w: d * lengths(w, 1) / lengths(d, 1)),
        "sums of absolute values",
    ),
    (
        check.filter_normalise,
        filters_only(lambda d, w: d * (lengths(w) / lengths(d)) ** 2),
        "forgot the root",
    ),
    (
        check.filter_normalise,
        lambda d, w: landscapes.filter_normalise(d, w) if w.dim() > 1 else d * w.norm() / d.norm(),
        "Yours moves them",
    ),
    (
        check.filter_normalise,
        lambda d, w: landscapes.filter_normalise(d, w) if w.dim() > 1 else w.clone(),
        "Yours moves them",
    ),
    (
        check.filter_normalise,
        filters_only(lambda d, w: -landscapes.filter_normalise(d, w)),
        "sign is turned round",
    ),
    *(
        (
            check.filter_normalise,
            filters_only(lambda d, w, dims=dims: bent(d, w, dims)),
            "you bent the filter",
        )
        for dims in ((2, 3), (1,), (3,))
    ),
    (check.filter_normalise, in_place, "changed direction itself"),
    (check.barrier, along(max), "the highest loss itself"),
    (
        check.barrier,
        lambda f, a, b, n: (
            connectivity.barrier(f, a, b, points=n) + float(f(a) + f(b)) / 2 - float(f((a + b) / 2))
        ),
        "the loss half way",
    ),
    (check.barrier, along(lambda v: max(v) - v[0]), "the first network alone"),
    (check.barrier, along(lambda v: max(v) - v[-1]), "the other network alone"),
    (check.barrier, along(lambda v: max(v) - min(v)), "the lowest loss on the way"),
    (check.barrier, along(lambda v: max(v) - v[0] - v[-1]), "subtracted both ends"),
    (
        check.barrier,
        lambda f, a, b, n: float(f((a + b) / 2) - (f(a) + f(b)) / 2),
        "the middle alone",
    ),
    (
        check.barrier,
        along(lambda v: sum(v) / len(v) - (v[0] + v[-1]) / 2),
        "mean of the losses on the way",
    ),
    (check.barrier, along(above_the_line), "the straight line between the two losses"),
    (check.barrier, along(lambda v: (v[0] + v[-1]) / 2 - max(v)), "sign is turned round"),
    (
        check.barrier,
        along(lambda v: max(v) - (v[0] + v[-1]) / 2, shares=lambda n: torch.linspace(0, 1, n + 1)),
        "your steps are 1/points",
    ),
    (
        check.barrier,
        along(lambda v: max(v) - (v[0] + v[-1]) / 2, shares=lambda n: torch.arange(n) / n),
        "does not arrive",
    ),
    (check.barrier, along(lambda v: max(v) - max(v[0], v[-1])), "from the higher end"),
    (check.barrier, along(lambda v: max(v) - min(v[0], v[-1])), "from the lower end"),
    (check.barrier, along(lambda v: max(v) - sum(v) / len(v)), "mean of all the losses"),
    (check.barrier, along(lambda v: max(v) - v[0] + v[-1] / 2), "needs brackets"),
    (check.barrier, along(lambda v: max(v) - (v[0] + v[-1] / 2)), "needs brackets"),
    (
        check.barrier,
        lambda f, a, b, n: float(max(f(a + k / n * (b - a)) for k in range(n)) - (f(a) + f(b)) / 2),
        "does not arrive",
    ),
    (
        check.barrier,
        lambda f, a, b, n: float(
            max(f(a + t * b) for t in torch.linspace(0, 1, n)) - (f(a) + f(b)) / 2
        ),
        r"one \+ t \* other, which",
    ),
    (check.barrier, lambda f, a, b, n: connectivity.barrier(f, a, b), "another number of places"),
    (
        check.barrier,
        lambda f, a, b, n: connectivity.barrier(f, a, b, points=101),
        "another number of places",
    ),
    (check.barrier, along(lambda v: 2 * max(v)), "above the mean of the ends"),
    (check.barrier, lambda f, a, b, n: torch.zeros(3), "has shape"),
    (check.permute, lambda w1, b1, w2, o: (w1, b1, w2), "came back as they were"),
    (check.permute, lambda w1, b1, w2, o: (w1[o], b1, w2[:, o]), "takes its bias along"),
    (check.permute, lambda w1, b1, w2, o: (w1[o], b1[o], w2), "but w2 is not"),
    (check.permute, lambda w1, b1, w2, o: (w1[o], b1[o], w2[o]), "permuted the rows of w2"),
    (check.permute, lambda w1, b1, w2, o: (w1[:, o], b1[o], w2[:, o]), "the columns of w1"),
    (
        check.permute,
        lambda w1, b1, w2, o: (w1[o], b1[o], w2[:, o.argsort()]),
        "in the inverse order",
    ),
    (
        check.permute,
        lambda w1, b1, w2, o: connectivity.permute(w1, b1, w2, o.argsort()),
        "that is the inverse",
    ),
    (check.permute, lambda w1, b1, w2, o: (w1[o], -b1[o], w2[:, o]), "say something else now"),
    (
        check.permute,
        lambda w1, b1, w2, o: (w1[o], b1[o.argsort()], w2[:, o]),
        "b1 is put in the inverse",
    ),
    (check.permute, lambda w1, b1, w2, o: (w1, b1[o], w2[:, o]), "w1 is as it was"),
    (check.permute, lambda w1, b1, w2, o: (w1[o][:, o], b1[o], w2[:, o]), "w1 is permuted on both"),
    (check.permute, lambda w1, b1, w2, o: (w1[o], b1[o], w2[o][:, o]), "w2 is permuted on both"),
    (
        check.permute,
        lambda w1, b1, w2, o: connectivity.permute(w1, b1, w2, o.roll(1)),
        "another order than the one asked",
    ),
    (check.permute, lambda w1, b1, w2, o: (w1[o], b1[o]), "2 things came"),
    (check.permute, lambda w1, b1, w2, o: (w1[o, :3], b1[o], w2[:, o]), "your w1 has shape"),
    (check.flattest, best(max), "the sharpest twin"),
    (
        check.flattest,
        best(twin=lambda w1, b1, w2, f: (w1 * f, b1, w2 / f)),
        "b1 was not rescaled",
    ),
    (
        check.flattest,
        best(twin=lambda w1, b1, w2, f: (w1 * f, b1 * f, w2 * f)),
        "w2 was multiplied",
    ),
    (check.flattest, best(twin=lambda w1, b1, w2, f: (w1 * f, b1 * f, w2)), "w2 is as it was"),
    (
        check.flattest,
        best(twin=lambda w1, b1, w2, f: (w1 / f, b1 / f, w2 * f)),
        "divided w1 and multiplied w2",
    ),
    (check.flattest, lambda s, w1, b1, w2, fs: (w1, b1, w2), "came back as it was"),
    (
        check.flattest,
        lambda s, w1, b1, w2, fs: (0 * w1, 0 * b1, 0 * w2),
        "is another function",
    ),
    (
        check.flattest,
        lambda s, w1, b1, w2, fs: min(((w1 * f, b1 * f, w2 * f) for f in fs), key=s),
        "w2 was multiplied",
    ),
    (
        check.flattest,
        lambda s, w1, b1, w2, fs: connectivity.rescale(w1, b1, w2, fs[-1]),
        "twin of the last factor",
    ),
    (
        check.flattest,
        lambda s, w1, b1, w2, fs: connectivity.rescale(w1, b1, w2, fs[0]),
        "twin of the first factor",
    ),
    (check.flattest, piled_up, "your factors pile up"),
    (
        check.flattest,
        lambda s, *a: connectivity.flattest(s, *a[:3], [1.013**k for k in range(-240, 240) if k]),
        "none of those given",
    ),
    (check.flattest, first_improvement, "flatter than your network, but not the flattest"),
    (check.flattest, best_never_updated, "flatter than your network, but not the flattest"),
    (
        check.flattest,
        lambda s, w1, b1, w2, fs: connectivity.rescale(w1, b1, w2, fs[1]),
        "flatter than your network, but not the flattest",
    ),
    (
        check.flattest,
        best(twin=lambda w1, b1, w2, f: (w1 * f, b1 / f, w2 / f)),
        "b1 was divided",
    ),
    (check.flattest, lambda s, w1, b1, w2, fs: min(fs), "a float came"),
]

RIGHT = [
    (
        check.filter_normalise,
        lambda d, w: (
            torch.stack([a * (b.norm() / a.norm()) for a, b in zip(d, w, strict=True)])
            if w.dim() > 1
            else 0 * w
        ),
    ),
    (
        check.filter_normalise,
        filters_only(lambda d, w: (d.double() * lengths(w) / lengths(d)).numpy()),
    ),
    (check.barrier, along(lambda v: max(x - (v[0] + v[-1]) / 2 for x in v))),
    (
        check.barrier,
        lambda f, a, b, n: (
            torch.stack([f((1 - t) * a + t * b) for t in torch.linspace(0, 1, n)]).max()
            - (f(a) + f(b)) / 2
        ),
    ),
    (
        check.permute,
        lambda w1, b1, w2, o: [
            w1.index_select(0, o),
            b1.take(o),
            w2 @ torch.eye(len(o))[o].T,
        ],
    ),
    (check.flattest, lambda s, *a: connectivity.flattest(lambda w: float(s(w)), *a)),
    (
        check.flattest,
        lambda s, w1, b1, w2, fs: min(([w1 * f, b1 * f, w2 / f] for f in fs), key=s),
    ),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
