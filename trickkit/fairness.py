"""Whom a decision treats how: error rates by group, each with its interval, and what can be equal.

Chouldechova, "Fair prediction with disparate impact" (2017); Kleinberg, Mullainathan and Raghavan,
"Inherent trade-offs in the fair determination of risk scores" (2016); Hardt, Price and Srebro,
"Equality of opportunity in supervised learning" (2016).

A group is a table of counts, (2, K): people by outcome (row 1 for whom it came true) and by score,
from 1 to K. Whoever scores at the threshold or above is flagged.
"""

import itertools

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from trickkit.common import validate_count, validate_number

Rate = tuple[float, float]  # how many, of how many


def interval(hits: ArrayLike, n: ArrayLike, *, confidence: float = 0.95) -> np.ndarray:
    """Between which shares the true one lies, where `hits` of `n` were seen: Wilson (1927), eq. 4.

    hits, n: counts, of like shapes (or one number); n above 0.
    confidence: how often such an interval holds the truth, in (0, 1).

    Returns (…, 2): its two ends, in [0, 1].
    """
    hits, n = np.asarray(hits, float), np.asarray(n, float)
    z = norm.ppf((1 + confidence) / 2)
    centre = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(hits * (n - hits) / n + z**2 / 4)
    return np.stack([centre - half, centre + half], axis=-1)


def gap(one: Rate, other: Rate) -> tuple[float, float, float]:
    """How much larger one share is than another, and its 95 % interval: Newcombe (1998), method 10.

    one, other: (hits, n).
    Returns the difference, and the low and the high end.
    """
    p, q = (hits / n for hits, n in (one, other))
    (p_low, p_high), (q_low, q_high) = (interval(h, n).tolist() for h, n in (one, other))
    down, up = np.hypot(p - p_low, q_high - q), np.hypot(p_high - p, q - q_low)
    return p - q, p - q - float(down), p - q + float(up)


def _validated(counts: np.ndarray, *, groups: int | None = None) -> np.ndarray:
    """Counts as an array, (2, K), or (groups, 2, K). Raises ValueError for any other."""
    table = np.asarray(counts)
    wanted = "(2, K)" if groups is None else f"({groups}, 2, K)"
    shape = (2,) if groups is None else (groups, 2)
    if table.shape[:-1] != shape or table.dtype.kind not in "iuf" or not (table >= 0).all():
        raise ValueError(
            f"Counts of people are wanted, {wanted}: row 0 for whom the outcome did not come true,"
            f" row 1 for whom it did, a column a score. Of shape {table.shape} came"
            f" {table.dtype}."
        )
    if not table.sum(-1).all():
        raise ValueError("A row of the counts is all 0: without people there is no error rate.")
    return table


def error_rates(counts: np.ndarray, threshold: int) -> np.ndarray:
    """The false positive rate and the false negative rate of one group, (2,), from 0 to 1.

    FPR: of those for whom the outcome did not come true, the share that was flagged.
    FNR: of those for whom it did, the share that was not.

    counts: (2, K), as at the head of this file.
    threshold: the least score that is flagged; K + 1 flags nobody.
    Raises ValueError for counts of another form, or a threshold that is no whole number above 0.
    """
    counts = _validated(counts)
    validate_count(threshold=threshold)
    flagged = counts[:, threshold - 1 :].sum(1)
    wrong = np.array([flagged[0], counts[1].sum() - flagged[1]])
    return wrong / counts.sum(1)


def confusion(counts: np.ndarray, rule: int | np.ndarray) -> np.ndarray:
    """People by what came true and by what was said: [[TN, FP], [FN, TP]], as in scikit-learn.

    counts: (2, K), as at the head of this file.
    rule: a threshold; or the chance of being flagged at each score, (K,), which makes the numbers
        those expected.
    Raises ValueError for counts of another form, or a rule that is neither.
    """
    counts = _validated(counts)
    scores = counts.shape[1]
    if np.ndim(rule) == 0:
        validate_count(rule=rule)  # type: ignore[arg-type]  # an array has been told apart
        rule = np.arange(1, scores + 1) >= rule
    chance = np.asarray(rule, float)
    if chance.shape != (scores,) or not ((chance >= 0) & (chance <= 1)).all():
        raise ValueError(
            f"A threshold is wanted, or {scores} chances from 0 to 1, one a score; {rule!r} came."
        )
    return np.stack([counts @ (1 - chance), counts @ chance], axis=1)


def rates(table: np.ndarray) -> dict[str, Rate]:
    """What may be equal between groups, each as (how many, of how many).

    FPR and FNR look along a row: at those of one outcome. PPV looks down a column: of those
    flagged, for how many it came true.

    table: [[TN, FP], [FN, TP]], of `confusion`.
    Raises ValueError for another shape.
    """
    if np.shape(table) != (2, 2):
        raise ValueError(f"A table [[TN, FP], [FN, TP]] is wanted; its shape is {np.shape(table)}.")
    (tn, fp), (fn, tp) = np.asarray(table).tolist()
    everyone = tn + fp + fn + tp
    return {
        "FPR": (fp, tn + fp),
        "FNR": (fn, fn + tp),
        "PPV": (tp, fp + tp),
        "flagged": (fp + tp, everyone),
        "base rate": (fn + tp, everyone),
        "accuracy": (tn + tp, everyone),
    }


def forced_fpr(base: float, ppv: float, fnr: float) -> float:
    """The false positive rate that three other numbers leave no choice about.

    Chouldechova (2017): FPR = p / (1 − p) · (1 − PPV) / PPV · (1 − FNR).

    base: p, the share for whom the outcome comes true, in (0, 1).
    ppv: in (0, 1]; fnr: in [0, 1].
    Returns a number above 1 where no decision has these three.
    Raises ValueError for a number outside.
    """
    validate_number(base=base, ppv=ppv, fnr=fnr, at_least=0, at_most=1)
    if not (0 < base < 1 and ppv > 0):
        raise ValueError(
            f"base is {base:g} and ppv {ppv:g}: a base rate of 0 or 1 leaves no two outcomes, a"
            " ppv of 0 nobody who was rightly flagged. Take numbers between."
        )
    return base / (1 - base) * (1 - ppv) / ppv * (1 - fnr)


def balance(counts: np.ndarray, tolerance: float) -> np.ndarray:
    """A threshold for each of two groups, (2,): of all pairs whose FPR differ by at most
    `tolerance`, and whose FNR do too, the one that is right about most people.

    counts: (2, 2, K): two groups, as at the head of this file.
    tolerance: a share, in [0, 1]. Flagging everyone is always even, so there is such a pair.
    Raises ValueError for counts of another form, or a tolerance outside.
    """
    counts = _validated(counts, groups=2)
    validate_number(tolerance=tolerance, at_least=0, at_most=1)
    even = []
    for pair in itertools.product(range(1, counts.shape[-1] + 1), repeat=2):
        one, other = (error_rates(c, t) for c, t in zip(counts, pair, strict=True))
        if abs(one - other).max() <= tolerance:
            right = sum(np.trace(confusion(c, t)) for c, t in zip(counts, pair, strict=True))
            even.append((right, pair))
    return np.array(max(even)[1])


def roc(counts: np.ndarray) -> np.ndarray:
    """What each threshold does to a group: (FPR, 1 − FNR), (K + 1, 2), from flagging everyone,
    (1, 1), at threshold 1, to flagging nobody, (0, 0), at K + 1.

    counts: (2, K), as at the head of this file.
    Raises ValueError for counts of another form.
    """
    counts = _validated(counts)
    points = [error_rates(counts, threshold) for threshold in range(1, counts.shape[1] + 2)]
    return abs(np.array(points) - (0, 1))


def hull(points: np.ndarray) -> np.ndarray:
    """The thresholds worth using: the corners of the lowest roof over all points of `roc`.

    Dice between the thresholds of two corners reach every point on the line between them.

    points: (K + 1, 2).
    Returns thresholds (n,), from K + 1, which flags nobody, down to 1.
    """
    corners = [len(points)]
    while corners[-1] > 1:
        steps = points[: corners[-1] - 1] - points[corners[-1] - 1]
        slope = np.arctan2(steps[:, 1], steps[:, 0])  # the steepest, and of such the farthest
        corners.append(1 + int(np.flatnonzero(slope > slope.max() - 1e-12)[0]))
    return np.array(corners)


def equalized_odds(counts: np.ndarray) -> np.ndarray:
    """The chance of being flagged at each score, (2, K), that gives two groups the same FPR and the
    same FNR, and of all such ways is right about most people.

    Hardt, Price and Srebro (2016), "Deriving from a score function". Both groups can reach what
    lies under both roofs of `hull`; the best such point is a corner, or where they cross. A group
    whose roof is higher comes down by deciding some cases by dice alone, without a look at the
    score.

    counts: (2, 2, K): two groups, as at the head of this file.
    Raises ValueError for counts of another form.
    """
    counts = _validated(counts, groups=2)
    scores = np.arange(1, counts.shape[-1] + 1)
    corners = [hull(roc(table)) for table in counts]
    roofs = [roc(table)[c - 1].T for table, c in zip(counts, corners, strict=True)]
    fpr = np.unique(np.concatenate([x for x, _ in roofs]))
    apart = np.subtract(*(np.interp(fpr, *roof) for roof in roofs))
    cross = np.flatnonzero(apart[:-1] * apart[1:] < 0)
    part = apart[cross] / (apart[cross] - apart[cross + 1])
    fpr = np.append(fpr, fpr[cross] + part * np.diff(fpr)[cross])
    tpr = np.min([np.interp(fpr, *roof) for roof in roofs], axis=0)
    no, yes = counts.sum((0, 2))
    best = np.argmax(yes * tpr - no * fpr)
    chances = []
    for (x, y), thresholds in zip(roofs, corners, strict=True):
        between = np.array([np.interp(fpr[best], x, corner) for corner in np.eye(len(x))])
        top = between @ y
        dice = (top - tpr[best]) / (top - fpr[best]) if top > tpr[best] else 0.0
        chances.append((1 - dice) * between @ (scores >= thresholds[:, None]) + dice * fpr[best])
    return np.stack(chances)


def first_bad_month(charged: np.ndarray, people: np.ndarray) -> int:
    """The place of the month from which on, in every month, more than nine in ten were charged
    again.

    Barenstein (2019) saw such a month in ProPublica's file: from there on it holds hardly anyone
    but those who were charged again.

    charged, people: (months,), in the order of time; people above 0.
    Returns the number of months where there is no such month.
    Raises ValueError for lists that do not go together.
    """
    charged, people = np.asarray(charged), np.asarray(people)
    if charged.ndim != 1 or charged.shape != people.shape or not (people > 0).all():
        raise ValueError(
            f"Two counts a month are wanted, people above 0; of shapes {charged.shape} and"
            f" {people.shape} came."
        )
    sane = np.flatnonzero(charged / people <= 0.9)
    return int(sane[-1]) + 1 if len(sane) else 0
