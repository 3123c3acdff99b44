"""The checks of lesson 16. Fresh rows, boxes and pictures each time."""
import itertools

import numpy as np
import pandas as pd
import torch

from trickkit import lime
from trickkit.check import array, as_array, dice, exercise, kept, progress, tensor

__all__ = ["fit", "hide", "liar", "nearness", "pick", "progress"]
LESSON = "16 lime"


@exercise(LESSON, lime.nearness,
          "The cosine of the angle between a row of k ones among d and the row of all ones is k / (√k · √d).",
          "So D = 1 - np.sqrt(z.mean(1)), and a row counts np.exp(-D**2 / width**2).")
def nearness(yours):
    """exp(−D²/width²), D the cosine distance from the row of ones."""
    for _ in range(20):
        draw = dice()
        d, share, width = int(draw.integers(4, 12)), draw.uniform(0.3, 0.9), draw.uniform(0.2, 0.45)
        z = (draw.random((30, d)) < share).astype(float)
        z[0], z[1:, 0] = 1, np.maximum(z[1:, 0], ~z[1:].any(1))  # a row without ones has no angle
        before, right = z.copy(), lime.nearness(z, width)
        found = as_array(yours(z, width))
        if wrong := array(found, (30,), "result"):
            return wrong
        if wrong := kept(z=(z, before)):
            return wrong
        found = np.asarray(found, dtype=float)

        def like(distance, power=2, exponent=None, found=found, z=z, width=width):
            return np.allclose(found, np.exp(-distance(z) ** power / (exponent or width**2)), atol=1e-6)

        if np.allclose(found, right, atol=1e-6):
            continue
        if like(lambda z: np.sqrt(z.mean(1))):
            return "the case itself, all ones, counts least. You took the cosine; the distance is 1 − cosine."
        if like(lime.euclidean):
            return "that is the distance by Pythagoras, √(number of zeros). Here the cosine distance is asked for."
        if like(lambda z: 1 - z.mean(1)):
            return "D is 1 − the share of ones; in the cosine stands the *root* of that share."
        if like(lime.cosine, exponent=width):
            return "the width is not squared: D² / width²."
        if like(lime.cosine, power=1):
            return "D is not squared: D² / width²."
        if like(lime.cosine, exponent=2 * width**2):
            return "there is a 2 or a root too many: exp(−D² / width²), as in the paper (the lime package takes its root)."
        return (f"a row with {z[2].mean():.0%} ones counts {found[2]:.3f} with width {width:.2f}; {right[2]:.3f} is right.")
    return None


@exercise(LESSON, lime.fit,
          "Take away from every column its weighted mean (np.average(…, weights=counts)), and from the answers theirs: then no "
          "intercept is needed while you solve.",
          "b solves (Zᵀ C Z + penalty · 1) b = Zᵀ C y, where C holds the counts on its diagonal: np.linalg.solve.",
          "Last, the intercept: mean answer − mean z @ b. Or let sklearn.linear_model.Ridge do it all, with sample_weight.")
def fit(yours):
    """Weighted ridge regression with an unpunished intercept: (1 + d,), the intercept first."""
    for _ in range(20):
        draw = dice()
        d = int(draw.integers(3, 7))
        z, counts = (draw.random((40, d)) < 0.6).astype(float), draw.random(40) ** 2
        answers = 0.5 + z @ draw.normal(size=d) + 2 * z[:, 0] * z[:, 1] + draw.normal(size=40)
        given, right = {"z": z, "answers": answers, "counts": counts}, lime.fit(z, answers, counts)
        before = {name: values.copy() for name, values in given.items()}
        found = as_array(yours(z, answers, counts))
        if wrong := array(found, (1 + d,), "result"):
            return wrong
        if wrong := kept(**{name: (values, before[name]) for name, values in given.items()}):
            return wrong
        found, ones = np.asarray(found, dtype=float), np.column_stack([np.ones(40), z])

        def solved(counts, penalties, ones=ones, answers=answers):
            return np.linalg.solve((ones * counts[:, None]).T @ ones + np.diag(penalties), (ones * counts[:, None]).T @ answers)

        def same(other, found=found):
            return np.allclose(found, other, atol=1e-6)

        punished = np.append(0, np.ones(d))
        if same(right):
            continue
        if same(np.append(right[1:], right[0])):
            return "the numbers are right, and the intercept stands last. It comes first."
        if same(solved(np.ones(40), punished)):
            return "every row counts the same in your fit. Near rows count more: multiply by counts."
        if same(solved(counts, np.ones(1 + d))):
            return "your intercept is punished too. It says where the line lies, not how steep it is: punish the weights only."
        if same(solved(counts, 0 * punished)):
            return "there is no penalty in your fit: + 1 · ‖b‖²."
        if same(solved(counts**2, punished)):
            return "each row counts counts², as if you had multiplied twice. (A lstsq wants rows times √counts.)"
        if same(solved(np.sqrt(counts), punished)):
            return "each row counts √counts. The root belongs into a lstsq; in Zᵀ C Z stand the counts themselves."
        if any(same(solved(counts / size, punished)) for size in (counts.sum(), counts.mean(), counts.max())):
            return "you scaled the counts first, and beside them the penalty is another one. Take the counts as they come."
        if found[0] == 0:
            return "your intercept is 0. Without one, the line has to go through nothing where all parts are gone."
        off = np.abs(found - right).max()
        return f"one number is off by {off:.2g}. Is Σ count · (answer − b₀ − z·b)² + ‖b‖² as small as it can be?"
    return None


@exercise(LESSON, lime.hide,
          "z[:, segments] looks up, for every pixel of every copy, whether its patch is kept: (n, H, W).",
          "torch.where(keep[:, None], image, cover), where keep is of bool; None makes room for the channels.")
def hide(yours):
    """Copies of a picture, each with some patches covered."""
    for _ in range(20):
        channels, d, n = (1, 3)[torch.randint(2, ()).item()], 6, 5
        image, cover = torch.rand(1, channels, 9, 7), torch.rand(1, channels, 9, 7)
        segments = torch.cat([torch.arange(d), torch.randint(d, (57,))])[torch.randperm(63)].reshape(9, 7)
        z = torch.rand(n, d) < 0.5
        z[0], z[1] = True, torch.arange(d) < 3
        given = {"image": image, "segments": segments, "z": z, "cover": cover}
        before, right = {name: values.clone() for name, values in given.items()}, lime.hide(image, segments, z, cover)
        found = yours(image, segments, z, cover)
        if wrong := tensor(found, right, "batch"):
            return wrong
        for name, values in given.items():
            if not torch.equal(values, before[name]):
                return f"your function changed {name} itself. Work on a copy: {name}.clone(), or torch.where."
        found = found.to(image)
        if torch.allclose(found, right, atol=1e-6):
            continue
        if torch.allclose(found, lime.hide(image, segments, ~z, cover), atol=1e-6):
            return "the other way round: you cover the patches that are to be kept."
        if torch.allclose(found, lime.hide(image, segments, z, torch.zeros_like(cover)), atol=1e-6):
            return "what you hide is black. It is to show the cover."
        if torch.allclose(found, found[:1].expand_as(found)):
            return "all your copies are alike. Copy i follows row i of z."
        if torch.allclose(found, lime.hide(image, segments, z, (image + cover) / 2), atol=1e-6):
            return "the image shines through. A pixel is either the image's or the cover's."
        off = (found - right).abs().amax(1).gt(1e-6).float().mean()
        return f"{off:.0%} of the pixels are wrong. A pixel's patch is segments[row, column]; z[i, patch] says if it is kept."
    return None


@exercise(LESSON, lime.pick,
          "First the importance of each part: np.sqrt(np.abs(weights).sum(0)).",
          "Keep a mask of the parts still open. A case gains the importance of its open parts: (weights != 0) @ (I * open).",
          "After taking a case, its parts are no longer open, and the case itself may not come again.")
def pick(yours):
    """SP-LIME's greedy choice of cases."""
    wrong_ways, first_wrong = dict(MISPICKS), ""
    for _ in range(20):
        draw = dice()
        loud, budget = np.exp(1.5 * draw.normal(size=12)), 4
        weights = draw.normal(size=(9, 12)) * (draw.random((9, 12)) < 0.35) * loud
        before, right = weights.copy(), lime.pick(weights, budget)
        found = as_array(yours(weights, budget))
        if wrong := array(found, (budget,), "choice"):
            return wrong
        if wrong := kept(weights=(weights, before)):
            return wrong
        found = np.asarray(found)
        if not np.issubdtype(found.dtype, np.integer):
            return f"your choice holds numbers of type {found.dtype}. Places of cases are whole numbers, 0, 1, …: int(…)."
        if found.min() < 0 or found.max() > 8:
            return "your choice holds what is no place of a case, 0 to 8 here."
        found = found.tolist()
        if len(set(found)) < budget:
            return "your choice holds one case twice. What was seen once adds nothing."
        wrong_ways = {says: way for says, way in wrong_ways.items() if way(weights, budget) == found}
        ours, best = ([worth(weights, cases[:i + 1]) for i in range(budget)] for cases in (found, right))
        if not np.allclose(ours, best):
            first_wrong = first_wrong or (f"your cases show parts worth {ours[-1]:.2f} of importance, the first of them "
                                          f"{ours[0]:.2f}; greedily it is {best[-1]:.2f}, the first {best[0]:.2f}.")
    return first_wrong and next(iter(wrong_ways), first_wrong)


def greedy(weights: np.ndarray, budget: int, matters: np.ndarray, close: bool = True) -> list[int]:
    """A choice by any importance of the parts. close: whether a part that was seen counts no more."""
    left, taken = matters.copy(), []
    for _ in range(budget):
        gain = (weights != 0) @ left
        gain[taken] = -np.inf
        taken.append(int(gain.argmax()))
        left = left * (weights[taken[-1]] == 0) if close else left
    return taken


def open_only(weights: np.ndarray, budget: int) -> list[int]:
    """A choice by importance among the cases left, where what was seen counts on."""
    taken: list[int] = []
    for _ in range(budget):
        left = np.delete(np.arange(len(weights)), taken)
        matters = np.sqrt(np.abs(weights[left]).sum(0))
        taken.append(int(left[((weights[left] != 0) @ matters).argmax()]))
    return taken


MISPICKS = {
    "each of your cases is good alone, and they show the same parts. Count only what the ones before left open.":
        lambda w, n: greedy(w, n, np.sqrt(np.abs(w).sum(0)), close=False),
    "you work out the importance anew from the cases left, but what was seen still counts. Count only what is open.": open_only,
    "you took the cases with the most weight. Take those that show the most parts, each part by its importance.":
        lambda w, n: np.argsort(-np.abs(w).sum(1), kind="stable")[:n].tolist(),
    "the importance of a part is the *root* of its summed weights, or one loud part outweighs three.":
        lambda w, n: greedy(w, n, np.abs(w).sum(0)),
    "weights for and against cancel in your importance. Sum their absolute values.":
        lambda w, n: greedy(w, n, np.sqrt(np.abs(w.sum(0)))),
    "every part is worth the same to you. Weigh it by its importance, √Σ|weights|.":
        lambda w, n: greedy(w, n, np.ones(w.shape[1])),
}


def worth(weights: np.ndarray, cases: list[int]) -> float:
    """The importance of all parts that the cases show."""
    return np.sqrt(np.abs(weights).sum(0))[(weights[cases] != 0).any(0)].sum()


@exercise(LESSON, lime.liar,
          "A weight is the mean answer with the part kept, less the mean with it changed. Let other columns turn the sign.",
          "Two columns: 1 where exactly one of them is 1. And with more?",
          "Whether the number of ones is odd: frame.to_numpy().sum(1) % 2.")
def liar(yours):
    """A box that hangs on each column of which LIME gives weight to none."""
    for d in (3, 4, 5):
        table = pd.DataFrame(list(itertools.product([0, 1], repeat=d)), columns=list("abcde"[:d]))
        before = table.copy()
        said = as_array(yours(table))
        if wrong := array(said, (len(table), 2), "answer"):
            return wrong
        if not table.equals(before):
            return "your box changed the frame itself."
        said = np.asarray(said, dtype=float)
        many = np.asarray(yours(table.iloc[np.tile(np.arange(len(table)), 300 // d)].reset_index(drop=True)), dtype=float)
        alone = np.concatenate([np.asarray(yours(table.iloc[[i]]), dtype=float) for i in range(len(table))])
        if not all(np.allclose(other, np.tile(said, (len(other) // len(said), 1))) for other in (many, alone)):
            return "your box says something else to the same row when it is asked about more rows, or fewer, at once."
        if (said < 0).any() or np.abs(said.sum(1) - 1).max() > 1e-6:
            return f"your rows are no probabilities: they sum to {said.sum(1).min():.3g} to {said.sum(1).max():.3g}."
        for name in table:
            other = np.asarray(yours(table.assign(**{name: 1 - table[name]})), dtype=float)
            still = np.abs(other - said)[:, 1] < 0.8
            if still.any():
                return (f"with {d} columns, the answer does not change by 0.8 when {name} alone does, in {still.sum()} of "
                        f"{len(table)} rows. It is to hang on every column.")
        row = table.iloc[[torch.randint(len(table), ()).item()]]
        told = lime.lime_table(lambda frame: np.asarray(yours(frame), dtype=float), row, table, samples=2048)
        if np.abs(told.weights).max() > 0.05:
            most = told.weights[np.abs(told.weights).argmax()]
            return f"with {d} columns, LIME sees it: weight {most:+.2f} for {told.top(1)[0]}."
    return None
