"""The checks of lesson 16. Fresh rows, boxes and pictures each time."""

import itertools
from functools import partial

import numpy as np
import pandas as pd
import torch

from trickkit import lime
from trickkit.check import called, exercise, fresh_rng, progress, recognised

__all__ = ["hide", "liar", "nearness", "pick", "progress", "weighted_ridge"]
LESSON = "16 lime"


@exercise(
    LESSON,
    lime.nearness,
    "The cosine of the angle between a row of k ones among d and the row of all ones is k / (√k ·"
    " √d).",
    "So D = 1 - np.sqrt(z.mean(1)), and a row counts np.exp(-D**2 / width**2).",
    rounds=20,
)
def nearness(yours):
    """exp(−D²/width²), D the cosine distance from the row of ones."""
    rng = fresh_rng()
    d = int(rng.integers(4, 12))
    share = rng.uniform(0.3, 0.9)
    width = rng.uniform(0.2, 0.45)
    z = (rng.random((30, d)) < share).astype(float)
    z[:, 0] = np.maximum(z[:, 0], ~z.any(1))  # a row without ones has no angle
    z[0] = np.arange(d) == 0  # far from the case, all ones, which may stand anywhere below
    z[rng.integers(1, 30)] = 1
    right = lime.nearness(z, width=width)
    found = called(yours, z, width, like=right)
    close = partial(np.allclose, atol=1e-5)
    if close(found, right):
        return None
    cosine = lime.cosine(z)
    from_first = 1 - z @ z[0] / np.linalg.norm(z, axis=1) / np.linalg.norm(z[0])
    mistakes = {
        "you take the first row for the case. The case is the row of all ones, whether it is in z"
        " or not.": np.exp(-(from_first**2) / width**2),
        "the case itself, all ones, counts least. You took the cosine;"
        " the distance is 1 − cosine.": np.exp(-z.mean(1) / width**2),
        "that is the distance by Pythagoras, √(number of zeros). Here the cosine distance is asked"
        " for.": np.exp(-(lime.euclidean(z) ** 2) / width**2),
        "that is the number of zeros. Here the cosine distance is asked for.": (
            np.exp(-((1 - z).sum(1) ** 2) / width**2)
        ),
        "D is 1 − the share of ones; in the cosine stands the *root* of that share.": (
            np.exp(-((1 - z.mean(1)) ** 2) / width**2)
        ),
        "that is the distance D itself; exp(−D² / width²) is wanted.": cosine,
        "the width is not squared: D² / width².": np.exp(-(cosine**2) / width),
        "neither D nor the width is squared: D² / width².": np.exp(-cosine / width),
        "D is not squared: D² / width².": np.exp(-cosine / width**2),
        "your rows count more the farther they are. There is a minus in the exponent.": (
            np.exp(cosine**2 / width**2)
        ),
        "there is a 2 or a root too many: exp(−D² / width²), as in the paper (the lime package"
        " takes its root).": np.exp(-(cosine**2) / (2 * width**2)),
    }
    i = np.abs(found - right).argmax()
    return recognised(found, mistakes, same=same_powers) or (
        f"a row with ones at {z[i].sum():.0f} of {d} places counts {found[i]:.5f} with width"
        f" {width:.2f}; {right[i]:.5f} is right."
    )


def same_powers(mine: np.ndarray, wrong: np.ndarray) -> bool:
    """Whether the exponents are the same: near 0 all numbers would be close."""
    one, other = (np.log(np.maximum(x, 1e-30)) for x in (mine, wrong))
    return np.allclose(one, other, rtol=1e-3, atol=1e-5)


@exercise(
    LESSON,
    lime.weighted_ridge,
    "Take away from every column its weighted mean (np.average(…, weights=sample_weight)), and from"
    " the answers theirs: then no intercept is needed while you solve.",
    "b solves (Zᵀ C Z + penalty · 1) b = Zᵀ C y, where C holds sample_weight on its diagonal:"
    " np.linalg.solve.",
    "Last, the intercept: mean answer − mean z @ b. Or let sklearn.linear_model.Ridge do it all,"
    " with sample_weight.",
    rounds=20,
)
def weighted_ridge(yours):
    """Weighted ridge regression with an unpunished intercept: (1 + d,), the intercept first."""
    rng = fresh_rng()
    d = int(rng.integers(3, 7))
    z = (rng.random((40, d)) < 0.6).astype(float)
    sample_weight = rng.random(40) ** 2
    answers = 0.5 + z @ rng.normal(size=d) + 2 * z[:, 0] * z[:, 1] + rng.normal(size=40)
    right = lime.weighted_ridge(z, answers, sample_weight)
    found = called(yours, z, answers, sample_weight, like=right)
    # As near as solvers come that stop when a step is small.
    close = partial(np.allclose, rtol=1e-3, atol=1e-3 * np.abs(right).max())
    if close(found, right):
        return None

    ones = np.column_stack([np.ones(40), z])
    punished = np.append(0, np.ones(d))

    def solved(sample_weight, penalties=punished):
        weighted = (ones * sample_weight[:, None]).T
        return np.linalg.solve(weighted @ ones + np.diag(penalties), weighted @ answers)

    def centred(means, y, sample_weight=sample_weight):
        off = z - means
        weighted = (off * sample_weight[:, None]).T
        b = np.linalg.solve(weighted @ off + np.eye(d), weighted @ (answers - y))
        return np.append(y - means @ b, b)

    scaled = (
        "you scaled sample_weight first, and beside it the penalty is another one. Take it as it"
        " comes."
    )
    mistakes = {
        "the numbers are right, and the intercept stands last. It comes first.": (
            np.append(right[1:], right[0])
        ),
        "every row counts the same in your fit. Near rows count more: multiply by sample_weight.": (
            solved(np.ones(40))
        ),
        "your intercept is punished too. It says where the line lies, not how steep it is: punish"
        " the weights only.": solved(sample_weight, np.ones(1 + d)),
        "there is no penalty in your fit: + 1 · ‖b‖².": solved(sample_weight, 0 * punished),
        "each row counts sample_weight², as if you had multiplied twice. (A lstsq wants rows times"
        " √sample_weight.)": solved(sample_weight**2),
        "each row counts √sample_weight. The root belongs into a lstsq; in Zᵀ C Z stands"
        " sample_weight itself.": solved(np.sqrt(sample_weight)),
        "you took plain means away. Take the weighted ones, np.average(…, weights=sample_weight),"
        " or the intercept is not free.": centred(z.mean(0), answers.mean()),
        scaled: [
            solved(sample_weight / sample_weight.sum()),
            solved(sample_weight / sample_weight.mean()),
            solved(sample_weight / sample_weight.max()),
        ],
    }
    if wrong := recognised(found, mistakes, same=close):
        return wrong
    if found[0] == 0:
        return (
            "your intercept is 0. Without one, the line has to go through nothing where all the"
            " features are gone."
        )
    return (
        f"one number is off by {np.abs(found - right).max():.2g}. Is Σ sample_weight · (answer − b₀"
        " − z·b)² + ‖b‖² as small as it can be?"
    )


@exercise(
    LESSON,
    lime.hide,
    "z[:, segments] looks up, for every pixel of every copy, whether its patch is kept: (n, H, W).",
    "torch.where(keep[:, None], image, cover), where keep is of bool; None makes room for the"
    " channels.",
    rounds=20,
)
def hide(yours):
    """Copies of a picture, each with some patches covered."""
    channels = (1, 3)[int(torch.randint(2, ()))]
    d = 6
    image = torch.rand(1, channels, 9, 7)
    cover = torch.rand(1, channels, 9, 7)
    patches = torch.cat([torch.arange(d), torch.randint(d, (57,))])
    segments = patches[torch.randperm(63)].reshape(9, 7)
    z = torch.rand(5, d) < 0.5
    z[0] = torch.arange(d) < 3
    z[4] = torch.arange(d) % 2 == 0
    z[2] = True
    right = lime.hide(image, segments, z, cover)
    found = called(yours, image, segments, z, cover, like=right, what="batch")
    close = partial(torch.allclose, atol=1e-6)
    if close(found, right):
        return None
    mistakes = {
        "the other way round: you cover the patches that are to be kept.": (
            lime.hide(image, segments, ~z, cover)
        ),
        "what you hide is black. It is to show the cover.": (
            lime.hide(image, segments, z, torch.zeros_like(cover))
        ),
        "what you hide has its patch's own mean colour. It is to show the cover that is given.": (
            lime.hide(image, segments, z, lime.mean_coloured(image, segments))
        ),
        "what you hide is white. It is to show the cover.": (
            lime.hide(image, segments, z, torch.ones_like(cover))
        ),
        "what you hide is grey. It is to show the cover.": (
            lime.hide(image, segments, z, torch.full_like(cover, 0.5))
        ),
        "what you hide has the picture's mean colour. It is to show the cover.": [
            lime.hide(image, segments, z, mean.expand_as(cover))
            for mean in (image.mean(), image.mean((2, 3), keepdim=True))
        ],
        "what you hide has one colour, the cover's mean. It is to show the cover as it is.": [
            lime.hide(image, segments, z, mean.expand_as(cover))
            for mean in (cover.mean(), cover.mean((2, 3), keepdim=True))
        ],
        "all your copies are alike. Copy i follows row i of z.": found[:1].expand_as(found),
        "a patch once hidden stays hidden in the copies below. Begin each copy from the image.": (
            lime.hide(image, segments, z.cumprod(0).bool(), cover)
        ),
        "the image shines through. A pixel is either the image's or the cover's.": (
            lime.hide(image, segments, z, (image + cover) / 2)
        ),
    }
    if wrong := recognised(found, mistakes, same=close):
        return wrong
    off = (found - right).abs().amax(1) > 1e-6
    i, patch = max(
        ((i, patch) for i in range(len(z)) for patch in range(d)),
        key=lambda place: off[place[0], segments == place[1]].float().mean(),
    )
    return (
        f"{off.float().mean():.0%} of the pixels are wrong. Copy {i}, say: z[{i}, {patch}] is"
        f" {z[i, patch].item()}, so the pixels where segments is {patch} are to show the"
        f" {'image' if z[i, patch] else 'cover'}."
    )


@exercise(
    LESSON,
    lime.pick,
    "First the importance of each feature: np.sqrt(np.abs(weights).sum(0)).",
    "Keep a mask of the features still open. A case gains the importance of its open features:"
    " (weights != 0) @ (I * open).",
    "After taking a case, its features are no longer open, and the case itself may not come again.",
)
def pick(yours):
    """SP-LIME's greedy choice of cases."""
    ways = MISPICKS
    first_wrong = ""
    for _ in range(60):
        rng = fresh_rng()
        loud = np.exp(1.5 * rng.normal(size=12))
        budget = 4
        weights = rng.normal(size=(9, 12)) * (rng.random((9, 12)) < 0.35) * loud
        right = lime.pick(weights, budget=budget)
        found = called(yours, weights, budget, like=right, what="choice")
        if not np.issubdtype(found.dtype, np.integer):
            return (
                f"your choice holds numbers of type {found.dtype}. Places of cases are whole"
                " numbers, 0, 1, …: int(…)."
            )
        if found.min() < 0 or found.max() > 8:
            return "your choice holds what is no place of a case, 0 to 8 here."
        found = found.tolist()
        if len(set(found)) < budget:
            return "your choice holds one case twice. What was seen once adds nothing."
        ways = {says: way for says, way in ways.items() if way(weights, budget) == found}
        first_wrong = first_wrong or misstep(weights, found)
    return first_wrong and next(iter(ways), first_wrong)


def importance(weights: np.ndarray) -> np.ndarray:
    """Each feature's, √Σ|weights| over the cases."""
    return np.sqrt(np.abs(weights).sum(0))


def misstep(weights: np.ndarray, cases: list[int]) -> str:
    """The sentence for the first case that is not the best to take, "" if all are."""
    left = importance(weights)
    for i, case in enumerate(cases):
        gain = (weights != 0) @ left
        gain[cases[:i]] = -np.inf
        best = int(gain.argmax())
        if not np.isclose(gain[case], gain[best]):
            before = f"after {', '.join(map(str, cases[:i]))}" if i else "first of all"
            return (
                f"{before} you take case {case}, whose open features are worth {gain[case]:.4f} of"
                f" importance; those of case {best} are worth {gain[best]:.4f}."
            )
        left = left * (weights[case] == 0)
    return ""


def greedy(
    weights: np.ndarray,
    budget: int,
    importance: np.ndarray,
    *,
    close: bool = True,
    shown: np.ndarray | None = None,
) -> list[int]:
    """A choice by any importance of the features.

    weights, budget: as for `lime.pick`.
    importance: of each feature.
    close: whether a feature that was seen counts no more.
    shown: how much a case shows of each feature, instead of whether its weight is not 0.
    """
    shown = weights != 0 if shown is None else shown
    left = importance.copy()
    taken: list[int] = []
    for _ in range(budget):
        gain = shown @ left
        gain[taken] = -np.inf
        taken.append(int(gain.argmax()))
        left = left * (shown[taken[-1]] == 0) if close else left
    return taken


def open_only(weights: np.ndarray, budget: int) -> list[int]:
    """A choice by importance among the cases left, where what was seen counts on."""
    taken: list[int] = []
    for _ in range(budget):
        left = np.delete(np.arange(len(weights)), taken)
        gain = (weights[left] != 0) @ importance(weights[left])
        taken.append(int(left[gain.argmax()]))
    return taken


MISPICKS = {  # the sentence for a wrong way -> (weights, budget) -> its choice
    "each of your cases is good alone, and they show the same features. Count only what the ones"
    " before left open.": lambda w, n: greedy(w, n, importance(w), close=False),
    "you work out the importance anew from the cases left, but what was seen still counts. Count"
    " only what is open.": open_only,
    "the cases are the right ones, sorted. Leave them in the order taken: the best comes first.": (
        lambda w, n: sorted(greedy(w, n, importance(w)))
    ),
    "you took the cases with the most weight. Take those that show the most features, each by its"
    " importance.": lambda w, n: np.argsort(-np.abs(w).sum(1), kind="stable")[:n].tolist(),
    "the importance of a feature is the *root* of its summed weights, or one loud feature outweighs"
    " three.": lambda w, n: greedy(w, n, np.abs(w).sum(0)),
    "you took the root of each weight before the sum. The importance is the root of the sum.": (
        lambda w, n: greedy(w, n, np.sqrt(np.abs(w)).sum(0))
    ),
    "squares stand under your root. The importance is √Σ|weights|.": (
        lambda w, n: greedy(w, n, np.sqrt((w**2).sum(0)))
    ),
    "squares are summed in your importance. It is √Σ|weights|.": (
        lambda w, n: greedy(w, n, (w**2).sum(0))
    ),
    "the importance of a feature is its largest weight, to you. Sum all its |weights|, and take the"
    " root.": lambda w, n: greedy(w, n, np.abs(w).max(0)),
    "a feature is as important to you as many cases show it. Sum its |weights|; then the root.": (
        lambda w, n: greedy(w, n, np.sqrt((w != 0).sum(0)))
    ),
    "your cases show only features with weights above 0. Those below count too: weights != 0.": (
        lambda w, n: greedy(w, n, importance(w), shown=w > 0)
    ),
    "you weigh importance by the case's own weights. A case shows a feature or does not:"
    " weights != 0.": lambda w, n: greedy(w, n, importance(w), shown=np.abs(w)),
    "weights for and against cancel in your importance. Sum their absolute values.": (
        lambda w, n: greedy(w, n, np.sqrt(np.abs(w.sum(0))))
    ),
    "every feature is worth the same to you. Weigh it by its importance, √Σ|weights|.": (
        lambda w, n: greedy(w, n, np.ones(w.shape[1]))
    ),
}


@exercise(
    LESSON,
    lime.liar,
    "A weight is the mean answer with the feature kept, less the mean with it changed. Let other"
    " columns turn the sign.",
    "Two columns: 1 where exactly one of them is 1. And with more?",
    "Whether the number of ones is odd: frame.to_numpy().sum(1) % 2.",
)
def liar(yours):
    """A box that depends on each column, and to none of which LIME gives weight."""

    def predict_proba(frame):
        return np.asarray(yours(frame), dtype=float)

    for d in (3, 4, 5):
        table = pd.DataFrame(list(itertools.product([0, 1], repeat=d)), columns=list("abcde"[:d]))
        like = np.zeros((len(table), 2))
        said = called(yours, table, like=like, what="answer", keeps={"the frame": table})
        said = said.astype(float)

        times = 300 // d
        many = predict_proba(pd.concat([table] * times, ignore_index=True))
        alone = np.concatenate([predict_proba(table.iloc[[i]]) for i in range(len(table))])
        if not (np.allclose(many, np.tile(said, (times, 1))) and np.allclose(alone, said)):
            return (
                "your box says something else to the same row when it is asked about more rows, or"
                " fewer, at once."
            )
        if (said < 0).any() or (said > 1).any():
            return f"your probabilities go from {said.min():.3g} to {said.max():.3g}, not 0 to 1."
        if np.abs(said.sum(1) - 1).max() > 1e-6:
            return (
                f"your rows are no probabilities: they sum to {said.sum(1).min():.3g} to"
                f" {said.sum(1).max():.3g}."
            )
        for name in "abcde"[:d]:
            other = predict_proba(table.assign(**{name: 1 - table[name]}))
            still = np.abs(other - said)[:, 1] < 0.8
            if still.any():
                return (
                    f"with {d} columns, the answer does not change by 0.8 when {name} alone does,"
                    f" in {still.sum()} of {len(table)} rows. It is to depend on every column."
                )
        row = table.iloc[[int(torch.randint(len(table), ()))]]
        explained = lime.explain_table(predict_proba, row, table, samples=2048)
        if np.abs(explained.weights).max() > 0.05:
            most = explained.weights[np.abs(explained.weights).argmax()]
            return f"with {d} columns, LIME sees it: weight {most:+.2f} for {explained.top(1)[0]}."
    return None
