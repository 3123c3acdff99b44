"""Lesson 01's exercises, answered wrongly in each way that has a sentence of its own."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special
from torch.nn import functional as F

from trickkit import backprop
from trickkit.backprop import layer_backward, softmax
from trickkit.check import backpropagation as check

from .answers import TIMES, accepted, refused


def hot(y):
    return np.eye(4)[y]


def layer_wrong(gx=lambda g, x, W: g @ W.T, gW=lambda g, x, W: x.T @ g, gb=lambda g: g.sum(axis=0)):
    return lambda g, x, W: (gx(g, x, W), gW(g, x, W), gb(g))


def changes_x(g, x, W):
    x -= x.mean()
    return layer_backward(g, x, W)


def at_every_label(scores, y):
    g = softmax(scores)
    g[:, y] -= 1
    return g


def overflowing(scores, y):
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(scores)
        return (e / e.sum(axis=1, keepdims=True) - hot(y)) / len(y)


def in_whole_rows(scores, y):
    g = softmax(scores)
    g[y] -= 1
    return g / len(y)


def spoils_scores(scores, y):
    scores -= scores.max(axis=1, keepdims=True)
    return backprop.cross_entropy_backward(scores, y)


def never_enough(net, x, target, size, steps):
    while steps:
        x = x - size
    return x


def cuts_g(g, a):
    g[a <= 0] = 0
    return g


def fool_wrong(change=lambda g: g, way=-1, anew=True, clip=True):
    def walk(net, x, target, size, steps):
        start = x
        for _ in range(steps):
            g, _ = backprop.backward(net, x if anew else start, target)
            x = x + way * size * change(g)
            x = np.clip(x, 0, 1) if clip else x
        return x

    return walk


def away_from_what_is_read(net, x, target, *rest):
    return fool_wrong(way=1)(net, x, backprop.forward(net, x)[2].argmax(axis=1), *rest)


def by_the_first_alone(net, x, target, size, steps):
    for _ in range(steps):
        x = np.clip(x - size * backprop.backward(net, x[:1], target[:1])[0], 0, 1)
    return x


def ends_inside(net, x, target, size, steps):
    for _ in range(steps):
        moved = x = np.clip(x - size * backprop.backward(net, x, target)[0], 0, 1)
    return moved


def in_first_row(net, x, target, size, steps):
    return np.concatenate([backprop.fool(net, x, target, step_size=size, steps=steps)[:1], x[1:]])


def steps_in_place(net, x, target, size, steps):
    for _ in range(steps):
        x[:] = np.clip(x - size * backprop.backward(net, x, target)[0], 0, 1)
    return x.copy()


def trains_the_network(net, x, target, size, steps):
    for part, gradient in zip(net, backprop.backward(net, x, target)[1], strict=True):
        part -= size * gradient
    return x


WRONG = [
    (check.layer_backward, layer_wrong(gx=lambda g, x, W: g @ W), "g @ W, without the transpose"),
    (check.layer_backward, layer_wrong(gx=lambda g, x, W: W.T @ g), "factors in the wrong order"),
    (check.layer_backward, layer_wrong(gx=lambda g, x, W: W @ g.T), "gx on its side"),
    (check.layer_backward, layer_wrong(gW=lambda g, x, W: x @ g), "x @ g, without the transpose"),
    (check.layer_backward, layer_wrong(gW=lambda g, x, W: g.T @ x), "gW on its side"),
    (
        check.layer_backward,
        layer_wrong(gW=lambda g, x, W: x.T @ g / len(g)),
        "gW is the mean, not the sum",
    ),
    (check.layer_backward, layer_wrong(gx=lambda g, x, W: g @ W.T / len(x)), "gx is divided by 5"),
    (
        check.layer_backward,
        layer_wrong(gx=lambda g, x, W: g @ W.reshape(W.shape[::-1])),
        "gx is g @ W, .*reshape lays nothing",
    ),
    (check.layer_backward, layer_wrong(gb=lambda g: g), "their gradients add up"),
    (check.layer_backward, layer_wrong(gb=lambda g: g.mean(axis=0)), "gb is the mean, not"),
    (check.layer_backward, layer_wrong(gb=lambda g: g.sum(axis=1)), "a number for each image"),
    (check.layer_backward, layer_wrong(gb=lambda g: g.sum()), r"gb has shape \(\)"),
    (check.layer_backward, layer_wrong(gx=lambda g, x, W: -g @ W.T), "sign flipped"),
    (
        check.layer_backward,
        lambda *a: (layer_backward(*a)[1], layer_backward(*a)[0], layer_backward(*a)[2]),
        "you return gW, gx, gb",
    ),
    (check.layer_backward, lambda *a: layer_backward(*a)[::-1], "you return gb, gW, gx"),
    (
        check.layer_backward,
        lambda *a: layer_backward(*a)[1:] + layer_backward(*a)[:1],
        "you return gW, gb, gx",
    ),
    (check.layer_backward, lambda *a: layer_backward(*a)[:2], "2 things came"),
    (
        check.layer_backward,
        lambda *a: (layer_backward(*a)[0], None, layer_backward(*a)[2]),
        "gW is still None",
    ),
    (
        check.layer_backward,
        layer_wrong(gx=lambda g, x, W: 2 * g @ W.T),
        "gx is off by up to .* which others does it meet",
    ),
    (check.layer_backward, changes_x, "changed x itself"),
    (check.relu_backward, lambda g, a: g, "everything came back"),
    (check.relu_backward, lambda g, a: g * (g > 0), "looks at g"),
    (check.relu_backward, lambda g, a: g * (a < 0), "wrong way round"),
    (check.relu_backward, lambda g, a: a > 0, "the mask alone"),
    (check.relu_backward, lambda g, a: g * np.maximum(a, 0), "however large"),
    (check.relu_backward, lambda g, a: np.maximum(a, 0), "the way forward"),
    (check.relu_backward, lambda g, a: g * np.sign(a), "you pass -g"),
    (check.relu_backward, lambda g, a: g * a, "you multiplied by a. The slope"),
    (check.relu_backward, lambda g, a: -g * (a > 0), "the sign is flipped"),
    (check.relu_backward, cuts_g, "changed g itself"),
    (
        check.relu_backward,
        lambda g, a: np.maximum(g, 0) * (a > 0),
        "where .it. is negative as well",
    ),
    (check.relu_backward, lambda g, a: g * (a > 0.5), "^Where a is positive you are off"),
    (check.relu_backward, lambda g, a: (g * (a > 0))[:1], "has shape"),
    (check.relu_backward, lambda g, a: g * (a > 0) / len(g), "^Where a is positive you are off"),
    (
        check.relu_backward,
        lambda g, a: g * np.where(a > 0, 1, 0.01),
        "^Where a is negative you still pass up to 0",
    ),
    (
        check.relu_backward,
        lambda g, a: 2 * g * (a > 0),
        r"^Where a is positive you are off by .* as it is\.$",
    ),
    (check.cross_entropy_backward, lambda s, y: softmax(s) - hot(y), "7 times too large"),
    (check.cross_entropy_backward, lambda s, y: softmax(s) - y[:, None], "labels' numbers"),
    (
        check.cross_entropy_backward,
        lambda s, y: (hot(y) - softmax(s)) / len(y),
        "sign is flipped: prob",
    ),
    (check.cross_entropy_backward, lambda s, y: hot(y) - softmax(s), "sign is flipped, and"),
    (check.cross_entropy_backward, lambda s, y: softmax(s) / len(y), "probabilities, over N"),
    (check.cross_entropy_backward, lambda s, y: softmax(s), "the probabilities. Take 1 away"),
    (
        check.cross_entropy_backward,
        lambda s, y: at_every_label(s, y) / len(y),
        r"\*every\* row .* g\[np.arange\(N\), y\]\.$",
    ),
    (check.cross_entropy_backward, at_every_label, r"\*every\* row .* division by N is missing"),
    (check.cross_entropy_backward, lambda s, y: (s - hot(y)) / len(y), "scores themselves"),
    (
        check.cross_entropy_backward,
        lambda s, y: (softmax(s.T).T - hot(y)) / len(y),
        "down the columns",
    ),
    (check.cross_entropy_backward, lambda s, y: (softmax(s) - hot(y)) / 4, "number of classes"),
    (
        check.cross_entropy_backward,
        lambda s, y: (softmax(s) - hot(y)) / s.size,
        "by images and classes",
    ),
    (check.cross_entropy_backward, lambda s, y: (softmax(s) - 1) * hot(y) / len(y), "only the num"),
    (
        check.cross_entropy_backward,
        lambda s, y: (softmax(s) - hot(y)) * softmax(s) * (1 - softmax(s)) / len(y),
        "the slope p",
    ),
    (check.cross_entropy_backward, in_whole_rows, "in whole rows"),
    (check.cross_entropy_backward, spoils_scores, "changed scores itself"),
    (check.cross_entropy_backward, lambda s, y: softmax(s)[y] / len(y), "you are off by|add up to"),
    (
        check.cross_entropy_backward,
        lambda s, y: 2 * (softmax(s) - hot(y)) / len(y),
        "you are off by up to",
    ),
    (check.cross_entropy_backward, overflowing, "exp overflows"),
    (
        check.cross_entropy_backward,
        lambda s, y: (softmax(s) - np.eye(10)[y]) / len(y),
        "counts on ten scores",
    ),
    (
        check.cross_entropy_backward,
        lambda s, y: (softmax(s) - np.eye(5)[y]) / len(y),
        "it stopped with ValueError",
    ),
    (
        check.cross_entropy_backward,
        lambda s, y: (np.exp(s) / np.exp(s).sum() - hot(y)) / len(y),
        "not add up to 1",
    ),
    (
        check.cross_entropy_backward,
        lambda s, y: (1 / (1 + np.exp(-s)) - hot(y)) / len(y),
        "do not add up to 1",
    ),
    (check.fool, fool_wrong(way=1), "you walked up"),
    (check.fool, lambda *a: fool_wrong()(*a[:4], a[4] - 1), "with steps = 0|picture after 5 steps"),
    (check.fool, lambda *a: fool_wrong()(*a[:4], a[4] + 1), "picture after 7 steps"),
    (check.fool, never_enough, "500,000 lines and has not come back"),
    (check.fool, fool_wrong(clip=False), r"left \[0, 1\]"),
    (check.fool, lambda *a: np.clip(fool_wrong(clip=False)(*a), 0, 1), "once, at the end"),
    (check.fool, fool_wrong(anew=False), "one gradient served all"),
    (check.fool, fool_wrong(np.sign), "the sign of the gradient"),
    (check.fool, lambda *a: check.fool.by_place(*a[:4], 1), "you took one step"),
    (check.fool, lambda *a: check.fool.by_place(*a) - a[1], "the change alone"),
    (
        check.fool,
        lambda n, x, t, r, k: backprop.fool(n, x, t, step_size=1, steps=k),
        "step_size is not used",
    ),
    (
        check.fool,
        lambda n, x, t, *a: check.fool.by_place(n, x, np.full(len(x), t[0]), *a),
        "towards the first target",
    ),
    (
        check.fool,
        lambda n, x, t, *a: check.fool.by_place(n, x[:1], t[:1], *a),
        "one picture came back and 3 went in",
    ),
    (check.fool, by_the_first_alone, "by the first one's gradient"),
    (check.fool, in_first_row, "only the first has moved"),
    (check.fool, fool_wrong(lambda g: g.mean(axis=0)), "by the mean of their gradients"),
    (check.fool, fool_wrong(lambda g: g.sum(axis=0)), "by the sum of their gradients"),
    (check.fool, fool_wrong(lambda g: len(g) * g), "3 times too long"),
    (check.fool, fool_wrong(lambda g: g / len(g)), "3 times too short"),
    (check.fool, fool_wrong(lambda g: 1.5 * g), "the target's loss went from"),
    (check.fool, fool_wrong(np.sign, clip=False), r"your pixels go from .* stays in \[0, 1\]"),
    (check.fool, away_from_what_is_read, "away from what it is read as"),
    (check.fool, steps_in_place, "changed x itself"),
    (
        check.fool,
        lambda n, x, t, r, k: backprop.fool(n, x, t, step_size=r, steps=max(k, 1)),
        "with steps = 0 something else",
    ),
    (
        check.fool,
        lambda *a: check.fool.by_place(*a) if a[4] else None,
        "with steps = 0 something else",
    ),
    (check.fool, ends_inside, "with steps = 0 it stops with UnboundLocalError"),
    (check.fool, lambda n, x, *a: x, "came back as it was"),
    (check.fool, trains_the_network, "you trained the network"),
]


def layer_in_loops(g, x, W):
    (N, m), n = g.shape, x.shape[1]
    gx = [[sum(g[i, k] * W[j, k] for k in range(m)) for j in range(n)] for i in range(N)]
    gW = [[sum(x[i, j] * g[i, k] for i in range(N)) for k in range(m)] for j in range(n)]
    return gx, gW, [sum(g[i, k] for i in range(N)) for k in range(m)]


def layer_by_torch(g, x, W):
    x, W = (torch.tensor(v, requires_grad=True) for v in (x, W))
    b = torch.zeros(g.shape[1], dtype=torch.double, requires_grad=True)
    return torch.autograd.grad(x @ W + b, (x, W, b), torch.tensor(g))


def cross_entropy_by_torch(scores, y):
    scores = torch.tensor(scores, requires_grad=True)
    F.cross_entropy(scores, torch.tensor(y)).backward()
    return scores.grad


def cross_entropy_in_loops(scores, y):
    found = []
    for row, label in zip(scores.tolist(), y.tolist(), strict=True):
        e = [math.exp(v - max(row)) for v in row]
        found.append([(v / sum(e) - (k == label)) / len(y) for k, v in enumerate(e)])
    return found


RIGHT = [
    (check.layer_backward, layer_in_loops),
    (check.layer_backward, layer_by_torch),
    (check.layer_backward, lambda *a: list(layer_backward(*a))),
    (check.layer_backward, lambda *a: [v.astype(np.float32) for v in layer_backward(*a)]),
    (check.layer_backward, lambda *a: tuple(map(torch.from_numpy, layer_backward(*a)))),
    (check.relu_backward, lambda g, a: np.where(a > 0, g, 0)),
    (check.relu_backward, lambda g, a: (g * (a > 0)).tolist()),
    (check.relu_backward, lambda g, a: torch.from_numpy(g) * (torch.from_numpy(a) > 0)),
    (check.relu_backward, lambda g, a: pd.DataFrame(g).where(a > 0, 0.0)),
    (check.relu_backward, lambda g, a: (g * (a > 0)).astype(np.float32)),
    (check.cross_entropy_backward, cross_entropy_by_torch),
    (check.cross_entropy_backward, cross_entropy_in_loops),
    (check.cross_entropy_backward, lambda s, y: (special.softmax(s, axis=1) - hot(y)) / len(y)),
    (check.fool, fool_wrong()),
    (check.fool, lambda *a: fool_wrong()(*a).tolist()),
    (check.fool, lambda *a: torch.from_numpy(fool_wrong()(*a))),
    (check.fool, lambda *a: fool_wrong()(*a).astype(np.float32)),
]


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says, 2 if function is never_enough else TIMES)


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_a_right_answer_is_right_in_any_style(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize("function", [layer_in_loops, layer_by_torch])
def test_gradients_in_lists_and_tensors_come_back_as_arrays(function):
    handed = check.layer_backward(lambda g, x, W: function(g, x, W))
    assert all(isinstance(part, np.ndarray) for part in handed(*np.ones((3, 3, 3))))
