"""Lesson 09's exercises, answered wrongly in each way that has a sentence of its own."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trickkit import attention
from trickkit.check import attention as check

from .answers import accepted, refused

INF = math.inf


def attention_wrong(
    scale=lambda q, k: math.sqrt(q.shape[-1]),
    hide=lambda scores, mask: scores.masked_fill(~mask, -INF),
    softmax=lambda scores: scores.softmax(-1),
    after=lambda weights, mask: weights,
    returns=lambda weights, v: (weights @ v, weights),
):
    def attend(q, k, v, mask=None):
        scores = q @ k.transpose(-2, -1) / scale(q, k)
        weights = softmax(scores if mask is None else hide(scores, mask))
        return returns(weights if mask is None else after(weights, mask), v)

    return attend


def three_axes_only(q, k, v, mask=None):
    """Right for batches (N, Q, d), and for nothing else."""
    weights = (q @ k.transpose(1, 2) / math.sqrt(q.shape[2])).masked_fill(
        torch.zeros(()).bool() if mask is None else ~mask, -INF
    )
    weights = weights.softmax(2)
    return weights @ v, weights


def in_place(q, k, v, mask=None):
    q /= math.sqrt(q.shape[-1])
    return attention.attention(q, k, v, mask=mask)


def deceive_wrong(
    task=F.cross_entropy,
    penalty=lambda mass: -(1 - mass).log(),
    join=lambda each, forbidden: each.mean(),
    whole=lambda task, lam, cost: task + lam * cost,
):
    def loss(logits, weights, forbidden, labels, lam):
        each = penalty((weights * forbidden).sum(1))
        return whole(task(logits, labels), lam, join(each, forbidden))

    return loss


def of_all_together(logits, weights, forbidden, labels, lam):
    mass = (weights * forbidden).sum(1).mean()
    return F.cross_entropy(logits, labels) - lam * (1 - mass).log()


def word_by_word(logits, weights, forbidden, labels, lam):
    return F.cross_entropy(logits, labels) - lam * ((1 - weights * forbidden).log().sum(1)).mean()


WRONG = [
    (check.attention, attention_wrong(scale=lambda q, k: 1), "no 1 / √d"),
    (check.attention, attention_wrong(scale=lambda q, k: q.shape[-1]), "by d, not by its square"),
    (
        check.attention,
        attention_wrong(scale=lambda q, k: 1 / math.sqrt(q.shape[-1])),
        "multiplied by √d",
    ),
    (
        check.attention,
        attention_wrong(scale=lambda q, k: math.sqrt(k.shape[-2])),
        "how many keys there are",
    ),
    (
        check.attention,
        attention_wrong(softmax=lambda s: s.softmax(-2)),
        "softmax goes over the queries",
    ),
    (check.attention, attention_wrong(softmax=lambda s: s.softmax(0)), "over the batch"),
    (check.attention, attention_wrong(softmax=lambda s: s), "those are the scores"),
    (
        check.attention,
        attention_wrong(hide=lambda s, m: s, after=lambda w, m: w * m),
        "the mask comes after the softmax",
    ),
    (check.attention, attention_wrong(hide=lambda s, m: s), "the mask changes nothing"),
    (
        check.attention,
        attention_wrong(hide=lambda s, m: s.masked_fill(~m, 0)),
        "a forbidden score is 0",
    ),
    (
        check.attention,
        attention_wrong(hide=lambda s, m: s.masked_fill(m, -1e9)),
        "the wrong way round",
    ),
    (check.attention, attention_wrong(hide=lambda s, m: s + m), "added the mask to the scores"),
    (
        check.attention,
        attention_wrong(hide=lambda s, m: s.masked_fill(m, -INF)),
        "not finite|the wrong way round",
    ),
    (check.attention, attention_wrong(returns=lambda w, v: w @ v), "two things are wanted"),
    (check.attention, attention_wrong(returns=lambda w, v: w), "two things are wanted"),
    (check.attention, attention_wrong(returns=lambda w, v: [w @ v, w, w]), "two things are wanted"),
    (
        check.attention,
        attention_wrong(returns=lambda w, v: w.flatten()),
        "one that has shape",
    ),
    (check.attention, attention_wrong(returns=lambda w, v: (w, w @ v)), "the mixtures come first"),
    (
        check.attention,
        attention_wrong(returns=lambda w, v: (w @ v, w.mT)),
        "a row for each key",
    ),
    (
        check.attention,
        attention_wrong(returns=lambda w, v: (w @ v.flip(-2), w)),
        "your weights are right, and the mixtures are not",
    ),
    (
        check.attention,
        attention_wrong(
            returns=lambda w, v: (w.mT @ v if w.shape[-1] == w.shape[-2] else w @ v, w)
        ),
        "used on their side",
    ),
    (
        check.attention,
        attention_wrong(returns=lambda w, v: (w @ v[..., :1], w)),
        "your array of mixtures has shape",
    ),
    (check.attention, attention_wrong(softmax=lambda s: s.sigmoid()), "sum to .*, and not to 1"),
    (check.attention, attention_wrong(softmax=lambda s: (s + s**2).softmax(-1)), "are off by up"),
    (check.attention, in_place, "changed q itself"),
    (check.deceive, deceive_wrong(penalty=lambda mass: mass), "the penalty has no log"),
    (check.deceive, deceive_wrong(penalty=lambda mass: mass - 1), "the penalty has no log"),
    (check.deceive, deceive_wrong(penalty=lambda mass: (1 - mass).log()), "the wrong sign"),
    (
        check.deceive,
        deceive_wrong(penalty=lambda mass: (mass + 1e-12).log()),
        "log is of the forbidden mass",
    ),
    (check.deceive, deceive_wrong(penalty=lambda mass: mass.log()), "not finite"),
    (
        check.deceive,
        deceive_wrong(join=lambda each, forbidden: each[forbidden.any(1)].mean()),
        "leaves out the sentences without",
    ),
    (check.deceive, deceive_wrong(join=lambda each, _: each.sum()), "a sum over the sentences"),
    (check.deceive, of_all_together, "averaged before the log"),
    (check.deceive, word_by_word, "log of each word's own"),
    (
        check.deceive,
        deceive_wrong(whole=lambda task, lam, cost: lam * cost),
        "the penalty stands alone",
    ),
    (
        check.deceive,
        deceive_wrong(whole=lambda task, lam, cost: task),
        "the cross-entropy alone",
    ),
    (check.deceive, deceive_wrong(whole=lambda task, lam, cost: task + cost), "you ignore lam"),
    (
        check.deceive,
        deceive_wrong(whole=lambda task, lam, cost: lam * (task + cost)),
        "lam multiplies the penalty alone",
    ),
    (
        check.deceive,
        deceive_wrong(task=lambda z, y: F.cross_entropy(z.softmax(1), y)),
        "softmax of the logits",
    ),
    (check.deceive, deceive_wrong(join=lambda each, _: each), "a number for each sentence"),
    (
        check.deceive,
        deceive_wrong(whole=lambda task, lam, cost: task + lam * cost.detach()),
        "does not reach the weights",
    ),
    (
        check.deceive,
        deceive_wrong(whole=lambda task, lam, cost: task.detach() + lam * cost),
        "does not reach the logits",
    ),
    (
        check.deceive,
        deceive_wrong(whole=lambda task, lam, cost: (task + lam * cost).item()),
        "has no gradient",
    ),
    (
        check.deceive,
        deceive_wrong(
            task=lambda z, y: F.cross_entropy(z, y, reduction="sum"),
            join=lambda each, forbidden: each.sum(),
        ),
        "both terms are sums",
    ),
    (
        check.deceive,
        lambda z, w, f, y, lam: F.cross_entropy(z, y) - lam * torch.log(1 - (w * f).sum()),
        "sum over axis 1",
    ),
    (check.deceive, deceive_wrong(penalty=lambda mass: mass**2), "your loss is .* is wanted"),
    (
        check.deceive,
        deceive_wrong(task=lambda z, y: F.cross_entropy(z, y, reduction="sum")),
        "cross-entropy is a sum",
    ),
    (check.deceive, deceive_wrong(penalty=lambda mass: -(1 - mass / 7).log()), "averaged a sent"),
    (check.deceive, deceive_wrong(penalty=lambda mass: -torch.log2(1 - mass)), "another base"),
    (check.attention, three_axes_only, "it stopped with"),
]

RIGHT = [
    (check.attention, attention_wrong(hide=lambda s, m: s.masked_fill(~m, -1e9))),
    (check.attention, attention_wrong(hide=lambda s, m: torch.where(m, s, torch.tensor(-INF)))),
    (
        check.attention,
        attention_wrong(
            softmax=lambda s: s.exp() / s.exp().sum(-1, keepdim=True),
        ),
    ),
    (
        check.attention,
        lambda q, k, v, mask: tuple(
            x.numpy() for x in attention.attention(q.double(), k.double(), v.double(), mask=mask)
        ),
    ),
    (check.deceive, deceive_wrong()),
    (check.deceive, deceive_wrong(penalty=lambda mass: -torch.log1p(-mass))),
    (check.deceive, deceive_wrong(penalty=lambda mass: -(1 - mass + 1e-8).log())),
    (
        check.deceive,
        lambda z, w, f, y, lam: (
            -z.log_softmax(1)[torch.arange(len(y)), y].mean()
            - lam * torch.log(torch.where(f, 0.0, w).sum(1)).mean()
        ),
    ),
]


def by_hand(heads, *, combine=lambda mean, eye: (mean + eye) / 2, pool=lambda h: h.mean(2)):
    """A rollout with one step done otherwise."""
    eye = torch.eye(heads.shape[-1])
    out = eye.expand(len(heads), -1, -1)
    for layer in pool(heads).unbind(1):
        out = combine(layer, eye) @ out
    return out


def rollout_numpy(heads):
    """By einsum, in NumPy."""
    heads = np.asarray(heads, dtype=np.float64)
    eye = np.eye(heads.shape[-1])
    out = np.repeat(eye[None], len(heads), 0)
    for layer in range(heads.shape[1]):
        mixed = 0.5 * heads[:, layer].mean(1) + 0.5 * eye
        out = np.einsum("nij,njk->nik", mixed, out)
    return out


def rollout_normalised(heads):
    """As most code has it: add, then divide by the sum of the row."""
    out = None
    for layer in heads.mean(2).unbind(1):
        a = layer + torch.eye(layer.shape[-1])
        a = a / a.sum(-1, keepdim=True)
        out = a if out is None else torch.bmm(a, out)
    return out


WRONG_ROLLOUT = [
    ("identity is missing", lambda h: by_hand(h, combine=lambda a, eye: a)),
    ("did not halve", lambda h: by_hand(h, combine=lambda a, eye: a + eye)),
    ("wrong order", lambda h: by_hand(h.flip(1))),
    ("entry by entry", lambda h: ((h.mean(2) + torch.eye(h.shape[-1])) / 2).prod(1)),
    ("added up, not averaged", lambda h: by_hand(h, pool=lambda h: h.sum(2))),
    ("highest head", lambda h: by_hand(h, pool=lambda h: h.amax(2))),
    ("one head", lambda h: by_hand(h, pool=lambda h: h[:, :, 0])),
    ("Transpose nothing", lambda h: by_hand(h).mT),
    ("averaged over the layers, axis 1", lambda h: by_hand(h.transpose(1, 2))),
    ("transposed each layer", lambda h: by_hand(h.mT)),
    ("last layer alone", lambda h: h[:, -1].mean(1)),
    ("mean of the layers", lambda h: h.mean((1, 2))),
    ("bottom layer is missing", lambda h: by_hand(h[:, 1:])),
    ("top layer is missing", lambda h: by_hand(h[:, :-1])),
    ("heads are axis 2", lambda h: by_hand(h).unsqueeze(1).expand(-1, 2, -1, -1)),
    ("every layer came by itself", lambda h: h.mean(2)),
    ("look of \\[CLS\\]", lambda h: by_hand(h)[:, 0]),
    ("sums to", lambda h: 2 * by_hand(h)),
    ("off by up to", lambda h: by_hand(h, combine=lambda a, eye: 0.9 * a + 0.1 * eye)),
]


def by_test(
    model, images, relevance, share, *, side=1, cosine=F.cosine_similarity, more=0, to_whole=round
):
    """The test with one step done otherwise."""
    relevance = relevance.flatten(1)
    count = to_whole(share * relevance.shape[1]) + more
    cut = (side * relevance).topk(count, 1).values[:, -1:]
    relevant = side * relevance >= cut
    whole = attention.feature(model, images)
    features = [attention.feature(model, images, keep=keep) for keep in (~relevant, relevant)]
    return tuple(cosine(f, whole) for f in features)


def by_test_numpy(model, images, relevance, share):
    """Patch by patch, an image at a time, the cosine in NumPy."""
    out = []
    for image, row in zip(images, np.asarray(relevance), strict=True):
        top = np.argsort(-row)[: round(share * row.size)]
        whole = np.asarray(attention.feature(model, image[None])[0])
        for keep in (~np.isin(np.arange(row.size), top), np.isin(np.arange(row.size), top)):
            said = np.asarray(
                attention.feature(model, image[None], keep=torch.tensor(keep)[None])[0]
            )
            out.append(said @ whole / np.linalg.norm(said) / np.linalg.norm(whole))
    return out[::2], out[1::2]


def first_images(model, images, relevance, share):
    return by_test(model, images, relevance[:1].expand(len(images), -1), share)


def in_order(model, images, relevance, share):
    relevant = relevance.argsort(dim=1, descending=True) < round(share * relevance.shape[1])
    features = [attention.feature(model, images, keep=keep) for keep in (~relevant, relevant)]
    return tuple(F.cosine_similarity(f, attention.feature(model, images)) for f in features)


def over_all_images(model, images, relevance, share):
    """One threshold for all images, so that some keep more than others."""
    relevant = relevance >= relevance.flatten().quantile(1 - share)
    relevant[0, :2], relevant[1, :2] = True, False  # as it comes out, mostly
    return tuple(
        F.cosine_similarity(
            attention.feature(model, images, keep=keep), attention.feature(model, images)
        )
        for keep in (~relevant, relevant)
    )


WRONG_TEST = [
    ("least relevant", lambda *a: by_test(*a, side=-1)),
    ("other way round", lambda *a: by_test(*a)[::-1]),
    ("dropped in both", lambda *a: (by_test(*a)[0],) * 2),
    ("kept in both", lambda *a: (by_test(*a)[1],) * 2),
    ("took the distance", lambda *a: tuple(1 - c for c in by_test(*a))),
    ("dot product", lambda *a: by_test(*a, cosine=lambda f, w: (f * w).sum(1))),
    ("with the first one", lambda *a: by_test(
        *a, cosine=lambda f, w: F.cosine_similarity(f, w[:1])
    )),
    ("first image's relevant", first_images),
    ("too few or too many", lambda *a: by_test(*a, more=1)),
    ("too few or too many", lambda *a: by_test(*a, to_whole=int)),
    ("too few or too many", lambda *a: by_test(*a, to_whole=math.ceil)),
    ("ignored share", lambda m, i, r, s: by_test(m, i, r, 0.25)),
    ("places in order", in_order),
    ("it stopped with ValueError.*of one stay \\d+, and of another", over_all_images),
    ("share that is to stay", lambda m, i, r, s: by_test(m, i, r, 1 - s)),
    ("one number", lambda *a: tuple(c.mean() for c in by_test(*a))),
    ("two things are wanted", lambda *a: by_test(*a)[0]),
    ("2 arrays|two arrays", lambda *a: (*by_test(*a), 0.5)),
    ("off by up to", lambda *a: tuple(c.abs().sqrt() for c in by_test(*a))),
]  # fmt: skip

WRONG += [(check.rollout, function, says) for says, function in WRONG_ROLLOUT]
WRONG += [(check.drop_and_keep, function, says) for says, function in WRONG_TEST]
RIGHT += [
    (check.rollout, by_hand),
    (check.rollout, rollout_numpy),
    (check.rollout, rollout_normalised),
    (check.drop_and_keep, by_test),
    (check.drop_and_keep, by_test_numpy),
    (check.drop_and_keep, lambda *a: list(by_test(*a))),
    (check.drop_and_keep, lambda *a: torch.stack(by_test(*a))),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
