"""Lesson 16's exercises, answered rightly in other ways than the course's, and wrongly in each way
that has a sentence of its own."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from trickkit import lime
from trickkit.check import lime as check

from .answers import accepted, refused


def nearness_wrong(distance=lime.cosine, power=2, over=lambda width: width**2):
    return lambda z, width: np.exp(-(distance(z) ** power) / over(width))


def fit_wrong(power=1.0, first=0.0, rest=1.0, last=False):
    def solve(z, answers, counts):
        ones = np.column_stack([np.ones(len(z)), z])
        c = counts**power
        b = np.linalg.solve(
            (ones * c[:, None]).T @ ones + np.diag(np.append(first, rest * np.ones(z.shape[1]))),
            (ones * c[:, None]).T @ answers,
        )
        return np.roll(b, -1) if last else b

    return solve


def through_nothing(z, answers, counts):
    zc = z * counts[:, None]
    return np.append(0, np.linalg.solve(zc.T @ z + np.eye(z.shape[1]), zc.T @ answers))


def ridge_by_sklearn(z, answers, counts, solver="auto"):
    line = Ridge(alpha=1.0, solver=solver).fit(z, answers, sample_weight=counts)
    return [line.intercept_, *line.coef_]


def ridge_by_lstsq(z, answers, counts):
    rows = np.column_stack([np.ones(len(z)), z])
    root = np.sqrt(counts)
    below = np.eye(1 + z.shape[1])[1:]
    return np.linalg.lstsq(
        np.vstack([rows * root[:, None], below]),
        np.append(answers * root, np.zeros(len(below))),
        rcond=None,
    )[0]


def hide_by_loops(image, segments, z, cover):
    copies = image.repeat(len(z), 1, 1, 1)
    for i, row in enumerate(z):
        for patch, keep in enumerate(row.tolist()):
            if not keep:
                copies[i][:, segments == patch] = cover[0][:, segments == patch]
    return copies


def hide_in_place(image, segments, z, cover):
    for patch in (~z[1]).nonzero().flatten():
        image[0][:, segments == patch] = 0
    return lime.hide(image, segments, z, cover)


def pick_wrong(matters=lambda w: np.sqrt(np.abs(w).sum(0)), close=True, twice=False):
    def choose(weights, budget):
        left = matters(weights)
        taken = []
        for _ in range(budget):
            gain = (weights != 0) @ left
            if not twice:
                gain[taken] = -np.inf
            taken.append(int(gain.argmax()))
            if close:
                left = left * (weights[taken[-1]] == 0)
        return taken

    return choose


def pick_among_the_left(weights, budget):
    taken = []
    for _ in range(budget):
        left = [i for i in range(len(weights)) if i not in taken]
        matters = np.sqrt(np.abs(weights[left]).sum(0))
        taken.append(max(left, key=lambda i: (weights[i] != 0) @ matters))
    return taken


def pick_anew(weights, budget):
    """Importance worked out anew from the cases left: for features still open the same, since no
    case taken shows them."""
    taken = []
    for _ in range(budget):
        left = [i for i in range(len(weights)) if i not in taken]
        matters = np.sqrt(np.abs(weights[left]).sum(0)) * (weights[taken] == 0).all(0)
        taken.append(max(left, key=lambda i: (weights[i] != 0) @ matters))
    return taken


def two_sided(p):
    return np.column_stack([1 - p, p])


def adds_a_column(frame):
    frame["odd"] = frame.sum(axis=1) % 2
    return two_sided(frame["odd"])


def liar_of_booleans(frame):
    odd = np.zeros(len(frame), dtype=bool)
    for name in frame:
        odd ^= frame[name].astype(bool).to_numpy()
    return two_sided(np.where(odd, 0.95, 0.05))


def from_the_first_row(z, width):
    cosine = z @ z[0] / (np.linalg.norm(z, axis=1) * np.linalg.norm(z[0]))
    return np.exp(-((1 - cosine) ** 2) / width**2)


WRONG = [
    (check.nearness, nearness_wrong(lambda z: np.sqrt(z.mean(1))), "You took the cosine"),
    (check.nearness, nearness_wrong(lime.euclidean), "by Pythagoras"),
    (check.nearness, nearness_wrong(lambda z: 1 - z.mean(1)), r"the \*root\* of that share"),
    (check.nearness, nearness_wrong(over=lambda width: width), "the width is not squared"),
    (check.nearness, nearness_wrong(power=1), "D is not squared"),
    (check.nearness, lambda z, width: 1 - np.sqrt(z.mean(1)), "the distance D itself"),
    (check.nearness, nearness_wrong(over=lambda width: 2 * width**2), "a 2 or a root too many"),
    (check.nearness, lambda z, width: 1 / lime.nearness(z, width=width), "a minus in the exponent"),
    (check.nearness, lambda z, width: z.mean(1), r"ones at \d+ of \d+ places counts .* is right"),
    (check.nearness, lambda z, width: lime.nearness(z, width=width)[0], "has shape"),
    (check.weighted_ridge, fit_wrong(last=True), "the intercept stands last"),
    (check.weighted_ridge, fit_wrong(power=0), "every row counts the same"),
    (check.weighted_ridge, fit_wrong(first=1), "intercept is punished too"),
    (check.weighted_ridge, fit_wrong(rest=0), "there is no penalty"),
    (check.weighted_ridge, fit_wrong(power=2), "counts sample_weight²"),
    (check.weighted_ridge, fit_wrong(power=0.5), "counts √sample_weight"),
    (
        check.weighted_ridge,
        lambda z, y, c: lime.weighted_ridge(z, y, c / c.sum()),
        "you scaled sample_weight",
    ),
    (
        check.weighted_ridge,
        lambda z, y, c: lime.weighted_ridge(z, y, c / c.max()),
        "you scaled sample_weight",
    ),
    (check.weighted_ridge, through_nothing, "your intercept is 0"),
    (check.weighted_ridge, fit_wrong(rest=10), "one number is off by"),
    (check.weighted_ridge, lambda z, y, c: lime.weighted_ridge(z, y, c)[1:], "has shape"),
    (check.hide, lambda x, s, z, c: lime.hide(x, s, ~z, c), "the other way round"),
    (check.hide, lambda x, s, z, c: lime.hide(x, s, z, 0 * c), "what you hide is black"),
    (
        check.hide,
        lambda x, s, z, c: lime.hide(x, s, z[:1].expand_as(z), c),
        "all your copies are alike",
    ),
    (
        check.hide,
        lambda x, s, z, c: lime.hide(x, s, z.cumprod(0).bool(), c),
        "once hidden stays hidden",
    ),
    (check.hide, lambda x, s, z, c: lime.hide(x, s, z, (x + c) / 2), "shines through"),
    (check.hide, lambda x, s, z, c: lime.hide(x, s.flip(0), z, c), "of the pixels are wrong"),
    (check.hide, hide_in_place, "changed image itself"),
    (
        check.hide,
        lambda x, s, z, c: lime.hide(x, s, z, c) + 0 * c.zero_().sum(),
        "changed cover itself",
    ),
    (check.hide, lambda x, s, z, c: lime.hide(x, s, z, c)[0], "has shape"),
    (check.pick, pick_wrong(close=False), "each of your cases is good alone"),
    (check.pick, lambda w, n: np.argsort(-np.abs(w).sum(1))[:n], "the cases with the most weight"),
    (check.pick, pick_wrong(lambda w: np.abs(w).sum(0)), r"the \*root\* of its summed"),
    (check.pick, pick_wrong(lambda w: np.sqrt(np.abs(w.sum(0)))), "for and against cancel"),
    (check.pick, pick_wrong(lambda w: np.ones(w.shape[1])), "worth the same to you"),
    (check.pick, pick_wrong(close=False, twice=True), "one case twice"),
    (check.pick, pick_among_the_left, "anew from the cases left"),
    (
        check.pick,
        lambda w, n: np.array(lime.pick(w, budget=n), dtype=float),
        "Places of cases are whole numbers",
    ),
    (
        check.pick,
        lambda w, n: list(range(n)),
        "you take case ., whose open features are worth .* those of case",
    ),
    (check.pick, lambda w, n: [w.shape[0] + i for i in range(n)], "no place of a case"),
    (check.liar, lambda f: two_sided(f["a"].to_numpy()), "when b alone does"),
    (check.liar, lambda f: two_sided(f.to_numpy().mean(1)), "when a alone does, in 8 of 8 rows"),
    (
        check.liar,
        lambda f: two_sided(f.to_numpy().sum(1) % 2 * 0.6 + 0.2),
        "does not change by 0.8",
    ),
    (
        check.liar,
        lambda f: lime.liar(f) if len(f) <= 100 else 0 * lime.liar(f) + 0.5,
        "says something else to the same row",
    ),
    (check.liar, adds_a_column, "changed the frame itself"),
    (
        check.liar,
        lambda f: two_sided(0.9 * (f.to_numpy().sum(1) % 2) + 0.1 * f.to_numpy()[:, 0]),
        "LIME sees it: weight .* for a",
    ),
    (check.liar, lambda f: two_sided((f["a"] ^ f["b"]).to_numpy()), "when c alone does"),
    (check.liar, lambda f: two_sided(f.to_numpy().sum(1) % 2) / 2, "no probabilities"),
    (check.liar, lambda f: f.to_numpy().sum(1) % 2, "has shape"),
    (check.nearness, from_the_first_row, "take the first row for the case"),
    (
        check.hide,
        lambda x, s, z, c: lime.hide(x, s, z, lime.mean_coloured(x, s)),
        "patch's own mean",
    ),
    (check.hide, lambda x, s, z, c: lime.hide(x, s, z, 0 * c + 0.5), "what you hide is grey"),
    (
        check.hide,
        lambda x, s, z, c: torch.cat([x, lime.hide(x, s, z[1:], c)]),
        "Copy 0, say",
    ),
    (check.pick, pick_wrong(lambda w: np.sqrt((w**2).sum(0))), "squares stand under your root"),
    (check.pick, pick_wrong(lambda w: np.abs(w).max(0)), "its largest weight"),
    (check.pick, pick_wrong(lambda w: np.sqrt(np.abs(w)).sum(0)), "root of each weight before"),
    (check.pick, lambda w, n: sorted(lime.pick(w, budget=n)), "the right ones, sorted"),
    (
        check.liar,
        lambda f: two_sided(4 * (f.to_numpy().sum(1) % 2)),
        "probabilities go from -3 to 4",
    ),
]

RIGHT = [
    (
        check.nearness,
        lambda z, width: np.exp(-(((1 - z.sum(1) / np.sqrt(z.sum(1) * z.shape[1])) / width) ** 2)),
    ),
    (check.nearness, lambda z, width: torch.tensor(lime.nearness(z, width=width)).float()),
    (check.weighted_ridge, ridge_by_sklearn),
    (check.weighted_ridge, ridge_by_lstsq),
    (check.hide, hide_by_loops),
    (check.hide, lambda x, s, z, c: (z[:, s][:, None] * x + ~z[:, s][:, None] * c).double()),
    (check.pick, lambda w, n: np.array(lime.pick(-w, budget=n))),
    (check.pick, pick_anew),
    (check.liar, liar_of_booleans),
    (check.liar, lambda f: lime.liar(f)[:, ::-1]),
    (check.weighted_ridge, lambda *a: ridge_by_sklearn(*a, solver="lsqr")),
    (check.weighted_ridge, lambda *a: lime.weighted_ridge(*a).astype(np.float32)),
    (check.hide, lambda x, s, z, c: lime.hide(x, s, z, c).numpy()),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
