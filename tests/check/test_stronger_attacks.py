"""Lesson 05's exercises, answered wrongly in each way that has a sentence of its own."""

import inspect

import numpy as np
import pytest
import torch

from trickkit import attacks
from trickkit import check as check_machinery
from trickkit.check import stronger_attacks as check

from .answers import TIMES, accepted, refused


def margin_wrong(hide=True, sign=1, top=False, chances=False):
    def margin_of(logits, labels):
        z = logits.softmax(1) if chances else logits
        own = z.gather(1, labels[:, None])[:, 0]
        if top:
            two = z.topk(2, dim=1).values
            return two[:, 0] - two[:, 1]
        other = (z.scatter(1, labels[:, None], -torch.inf) if hide else z).amax(1)
        return sign * (own - other)

    return margin_of


def scatters_in_place(logits, labels):
    own = logits.gather(1, labels[:, None])[:, 0]
    return own - logits.scatter_(1, labels[:, None], -torch.inf).amax(1)


def guess_wrong(times=lambda sigma, samples: 1.0, paired=True, draw=torch.randn, mixed=False):
    def guess(ask, x, samples, sigma):
        u = draw((samples // 2 if paired else samples, *x.shape[1:]))
        u = torch.cat([u, -u]) if paired else u
        said = ask(x + sigma * u).view(-1, 1, 1, 1)
        return (
            times(sigma, samples)
            * (said * (u[torch.randperm(len(u))] if mixed else u)).mean(0, keepdim=True)
            / sigma
        )

    return guess


def guess_clamped(ask, x, samples, sigma):
    return guess_wrong()(lambda z: ask(z.clamp(0, 1)), x, samples, sigma)


def border_wrong(inside_end=False, rounds=None, scan=False, number=False, ends="right"):
    def walk(misread, image, far, close):
        low = 0.0
        high = 1.0
        if scan:
            while not misread(image + low * (far - image)):
                low += close
            return image + low * (far - image)
        k = 0
        while high - low > close and (rounds is None or k < rounds):
            middle = (low + high) / 2
            k = k + 1
            if misread(image + middle * (far - image)) == (ends == "right"):
                high = middle
            else:
                low = middle
        t = low if inside_end else high
        return t if number else image + t * (far - image)

    return walk


def one_for_all(f, x, n, s):
    u = torch.randn(x.shape)
    u = torch.cat([u.expand(n // 2, *x.shape[1:]), -u.expand(n // 2, *x.shape[1:])])
    return (f(x + s * u).view(-1, 1, 1, 1) * u).mean(0, keepdim=True) / s


def alike(axis):
    return lambda shape: torch.randn(shape).narrow(axis, 0, 1).expand(shape)


def middle_once(misread, image, far, close):
    inside, outside = 0.0, 1.0
    middle = (inside + outside) / 2
    while outside - inside > close:
        if misread(image + middle * (far - image)):
            outside = middle
        else:
            inside = middle
    return image + outside * (far - image)


def pure_loop(misread, image, far, close):
    inside, outside = 0.0, 1.0
    while outside - inside > close:
        inside = inside
    return far


def as_a_length(misread, image, far, close):
    return attacks.border(misread, image, far, close=close / (far - image).norm().item())


def halving(share):
    """Returns a picture between the two ends: half way, or the one that is read right."""

    def walk(misread, image, far, close):
        good, bad, apart = image, far, 1.0
        while apart > close:
            middle = (good + bad) / 2
            apart /= 2
            if misread(middle):
                bad = middle
            else:
                good = middle
        return good + share * (bad - good)

    return walk


def hiding(value):
    return lambda z, y: z.gather(1, y[:, None])[:, 0] - z.scatter(1, y[:, None], value).amax(1)


WRONG = [
    (check.margin, margin_wrong(hide=False), r"the best \*other\* class"),
    (check.margin, margin_wrong(sign=-1), "the other way round"),
    (
        check.margin,
        lambda z, y: -torch.nn.functional.cross_entropy(z, y, reduction="none"),
        "log-probability",
    ),
    (check.margin, margin_wrong(top=True), "not the largest"),
    (check.margin, margin_wrong(chances=True), "margins are of probabilities"),
    (check.margin, lambda z, y: margin_wrong()(z, y)[:, None], "has shape"),
    (check.margin, lambda z, y: margin_wrong()(z, y).mean(), "one number for all"),
    (check.margin, lambda z, y: z.gather(1, y[:, None]) - z, "one for each class as well"),
    (check.margin, lambda z, y: z.gather(1, y[:, None])[:, 0] - z.mean(1), "mean of all classes"),
    (check.margin, lambda z, y: z.gather(1, y[:, None])[:, 0], "own logits"),
    (check.margin, lambda z, y: margin_wrong()(z, y).abs(), "no .abs"),
    (check.margin, lambda z, y: margin_wrong()(z, y).clamp(min=0), "no clamp"),
    (check.margin, lambda z, y: margin_wrong()(z, y) < 0, "True or False"),
    (check.margin, lambda z, y: margin_wrong()(z, y) > 0, "True or False"),
    (
        check.margin,
        lambda z, y: z.gather(1, y[:, None])[:, 0] - z.topk(2, dim=1).values[:, 1],
        "second highest",
    ),
    (check.margin, hiding(0.0), "hid the label with a 0"),
    (check.margin, lambda z, y: margin_wrong()(z, y[:1].expand(12)), "and yours says"),
    (check.margin, lambda z, y: margin_wrong()(z, z.argmax(1)), "not the largest"),
    (
        check.margin,
        lambda z, y: z.gather(1, y[:, None])[:, 0] - z.scatter(1, y[:, None], torch.inf).amin(1),
        "the worst of the other",
    ),
    (check.margin, scatters_in_place, "changed logits itself.* ends in _"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: sigma), "Divide by sigma[.]"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: sigma**2), "do not multiply with it"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: 1 / sigma), "sigma once"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: n), "the mean of the answers"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: n * sigma), "not their sum, and divide"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: 0.5), "Halve nothing"),
    (check.guess_gradient, guess_wrong(lambda sigma, n: 2), "u and -u counted as two"),
    (
        check.guess_gradient,
        guess_wrong(lambda sigma, n: 1.4),
        "1.[345] times as long .* the mean",
    ),
    (check.guess_gradient, guess_wrong(lambda sigma, n: -1), "the other way"),
    (check.guess_gradient, lambda *a: torch.sign(guess_wrong()(*a)), "somewhere else"),
    (check.guess_gradient, guess_wrong(paired=False), "do not come in pairs"),
    (check.guess_gradient, guess_wrong(draw=torch.rand), "with u from torch.randn"),
    (check.guess_gradient, guess_wrong(draw=torch.rand, paired=False), "all point to one side"),
    (check.guess_gradient, guess_wrong(mixed=True), "its own u"),
    (check.guess_gradient, guess_wrong(draw=alike(1)), "all channels"),
    (check.guess_gradient, guess_wrong(draw=alike(2)), "all rows"),
    (check.guess_gradient, guess_wrong(draw=lambda n: torch.zeros(n)), "are x itself"),
    (check.guess_gradient, guess_wrong(draw=lambda n: torch.randn(n[0], 1, 4, 5)), "has shape"),
    (check.guess_gradient, one_for_all, "one direction only"),
    (
        check.guess_gradient,
        lambda f, x, n, s: guess_wrong()(f, x, 2 * n, s),
        "you asked 16000 questions",
    ),
    (
        check.guess_gradient,
        lambda f, x, n, s: guess_wrong()(f, x, n // 2, s),
        "you asked 4000 questions",
    ),
    (check.guess_gradient, lambda f, x, n, s: torch.zeros_like(x), "you asked 0 questions"),
    (check.guess_gradient, lambda f, x, n, s: guess_wrong()(f, x, n, s)[0], "has shape"),
    (check.guess_gradient, guess_clamped, "Do not clamp here"),
    (check.border, border_wrong(inside_end=True), "Return the misread end"),
    (check.border, border_wrong(rounds=4), "you ask 4 times whatever close is"),
    (check.border, lambda m, image, far, close: (image + far) / 2, "never asked misread"),
    (check.border, lambda m, i, f, c: attacks.border(m, i, f, close=0.001), "whatever close is"),
    (check.border, lambda m, i, f, c: attacks.border(m, i, f, close=2 * c), "Go on halving"),
    (check.border, halving(0.5), "still read right|that it is misread was luck"),
    (check.border, halving(0.0), "still read right|that it is misread was luck|image itself"),
    (check.border, border_wrong(scan=True), "you asked|read right"),
    (check.border, border_wrong(number=True), "you returned a number"),
    (check.border, lambda *a: torch.tensor(border_wrong(number=True)(*a)), "you returned a number"),
    (
        check.border,
        border_wrong(ends="wrong"),
        "Which end moves when|takes the place of the far end",
    ),
    (check.border, lambda m, i, f, c: f, "takes the place of the far end"),
    (check.border, lambda m, i, f, c: i, "image itself"),
    (check.border, lambda m, i, f, c: attacks.border(m, i, f, close=c) + 0.1, "straight line"),
    (check.border, lambda m, i, f, c: attacks.border(m, i, f, close=c) - i, "the change alone"),
    (check.border, as_a_length, "a share of the way"),
    (check.border, middle_once, "called misread 10,000 times and has not come back"),
    (
        check.border,
        lambda m, i, f, c: attacks.border(m, i, f, close=c / 1e3),
        "right, but you asked",
    ),
    (check.border, lambda m, i, f, c: attacks.border(m, i, f, close=c).lerp_(f, 0.5), "beyond"),
]


def with_numpy(logits, labels):
    z = logits.double().numpy()
    rows = np.arange(len(z))
    own = z[rows, labels.numpy()]
    z[rows, labels.numpy()] = -np.inf
    return own - z.max(1)


def in_lists(logits, labels):
    return [
        row[y] - max(v for k, v in enumerate(row) if k != y)
        for row, y in zip(logits.tolist(), labels.tolist(), strict=True)
    ]


def numpys_questions(ask, x, samples, sigma):
    u = np.random.default_rng().normal(size=(samples // 2, *x.shape[1:]))
    u = np.concatenate([u, -u])
    said = np.asarray(ask(x.numpy() + sigma * u))
    return (said[:, None, None, None] * u).mean(0, keepdims=True) / sigma


def one_by_one(ask, x, samples, sigma):
    total = torch.zeros_like(x)
    for _ in range(samples // 2):
        u = torch.randn_like(x)
        total = total + (ask(x + sigma * u) - ask(x - sigma * u)) * u
    return total / (samples * sigma)


def seeded(ask, x, samples, sigma):
    torch.manual_seed(0)
    u = torch.randn(samples // 2, *x.shape[1:], dtype=torch.double)
    said = ask(x + sigma * u) - ask(x - sigma * u)
    return torch.einsum("n,nchw->chw", said, u)[None] / (samples * sigma)


def with_pictures(misread, image, far, close):
    steps = 0
    while 0.5**steps > close:
        middle = (image + far) / 2
        image, far = (image, middle) if misread(middle) else (middle, far)
        steps += 1
    return far


def recursive(misread, image, far, close, low=0.0, high=1.0):
    if high - low <= close:
        return (1 - high) * image.double() + high * far
    middle = (low + high) / 2
    if misread((1 - middle) * image + middle * far):
        return recursive(misread, image, far, close, low, middle)
    return recursive(misread, image, far, close, middle, high)


def border_in_numpy(misread, image, far, close):
    a, b = image.double().numpy(), far.double().numpy()
    low, high = 0.0, 1.0
    while high - low > close:
        middle = (low + high) / 2
        low, high = (low, middle) if misread(a + middle * (b - a)) else (middle, high)
    return a + high * (b - a)


RIGHT = [
    (check.margin, with_numpy),
    (check.margin, in_lists),
    (check.margin, lambda z, y: torch.from_numpy(with_numpy(z, y))),
    (check.margin, hiding(-1e9)),
    (check.margin, lambda z, y: margin_wrong()(z.double(), y)),
    (check.margin, lambda z, y: margin_wrong()(z.log_softmax(1), y)),
    (check.guess_gradient, numpys_questions),
    (check.guess_gradient, one_by_one),
    (check.guess_gradient, seeded),
    (check.border, with_pictures),
    (check.border, lambda m, i, f, c: recursive(m, i, f, c)),
    (check.border, border_in_numpy),
    (check.border, lambda *a: border_in_numpy(*a).tolist()),
]


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says, 5 if function is middle_once else TIMES)


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_a_right_answer_is_right_in_any_style(exercise, function):
    accepted(exercise, function, 3 if function is one_by_one else TIMES)


def test_a_loop_that_asks_nothing_ends_too(monkeypatch):
    monkeypatch.setattr(check_machinery, "LINES", 20_000)
    assert "20,000 lines and has not come back" in check.border.judge(pure_loop).sentence


def test_answers_in_numpy_ask_networks_later():
    """What was handed back takes questions in NumPy to a network that knows tensors alone."""
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1))
    image, far = torch.zeros(1, 1, 3, 4), torch.ones(1, 1, 3, 4)
    guess = check.guess_gradient(numpys_questions)
    with torch.no_grad():
        slope = guess(lambda z: net(z)[:, 0], image, 2000, 0.01)
    assert slope.dtype == torch.float32
    assert torch.cosine_similarity(slope.flatten(), net[1].weight[0], dim=0) > 0.9
    border = check.border(border_in_numpy)
    met = border(lambda z: net(z).sum() * 0 + z.mean() > 0.3, image, far, 0.001)
    assert met.dtype == torch.float32 and 0.3 < met.mean() < 0.302


def test_a_sentence_that_begins_with_right_is_no_praise(capsys):
    handed = check.border(lambda m, i, f, c: attacks.border(m, i, f, close=c / 1e3))
    assert "border: right, but you asked" in capsys.readouterr().out
    assert inspect.unwrap(handed) is attacks.border
