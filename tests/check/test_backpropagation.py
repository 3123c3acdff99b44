"""Lesson 01's exercises, answered wrongly in each way that has a sentence of its own."""

import numpy as np
import pytest

from trickkit import backprop
from trickkit.backprop import layer_backward, softmax
from trickkit.check import backpropagation as check

from .answers import refused


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
    (check.layer_backward, layer_wrong(gx=lambda g, x, W: -g @ W.T), "sign turned"),
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
    (check.relu_backward, lambda g, a: -g * (a > 0), "the sign is turned"),
    (check.relu_backward, cuts_g, "changed g itself"),
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
    (
        check.cross_entropy_backward,
        lambda s, y: (hot(y) - softmax(s)) / len(y),
        "sign is turned: prob",
    ),
    (check.cross_entropy_backward, lambda s, y: hot(y) - softmax(s), "sign is turned, and"),
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


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
