"""The checks of lesson 18, in NumPy.

Each draws fresh small tables; what is wrong is told by what it equals instead.
"""

import math

import numpy as np

from trickkit import rules
from trickkit.check import (
    as_array,
    called,
    exercise,
    fresh_rng,
    progress,
    recognised,
    same,
    shaped,
    unchanged,
)

__all__ = ["evidence", "first_that_holds", "progress", "r_hat", "unavoidable_errors"]
LESSON = "18 rule_lists"


@exercise(
    LESSON,
    rules.first_that_holds,
    "Begin with the answer for rows that meet no rule: np.full(n_rows, len(met)).",
    "Go through the rules backwards and write each one's number where it holds: an earlier rule"
    " then overwrites a later.",
)
def first_that_holds(yours):
    """The number of the first rule that holds for each row."""
    for count, n_rows in ((4, 60), (6, 60), (1, 30)):
        rng = fresh_rng()
        met = [rng.random(n_rows) < 0.35 for _ in range(count)]
        right = rules.first_that_holds(met, n_rows)
        mine = called(yours, met, n_rows, like=right, what="list of places", keeps={"met": met})
        if same(mine, right):
            continue
        every = np.array(met)
        mistakes = {
            "where two rules hold you name the last one; the first decides. Which of them do you"
            " write last?": np.where(every.any(0), count - 1 - every[::-1].argmax(0), count),
            "you count the rules from 1; the first is 0.": right + 1,
            "a row that meets no rule gets 0, as if the first held. It belongs to the last line,"
            f" number {count}.": every.argmax(0),
            f"a row that meets no rule gets -1; it belongs to the last line, number {count}.": (
                np.where(right == count, -1, right)
            ),
            "a row that meets no rule gets the last rule's number; it belongs to the line after,"
            f" number {count}.": np.minimum(right, count - 1),
            "you count how many rules hold; wanted is which is the first.": every.sum(0),
        }
        return recognised(mine, mistakes) or (
            f"{(mine != right).sum()} of {n_rows} rows get another line than the first rule that"
            " holds for them."
        )
    return None


@exercise(
    LESSON,
    rules.evidence,
    "With two classes: p = yes! · no! / (yes + no + 1)!. The logarithm of n! is math.lgamma(n"
    " + 1).",
    "Add lgamma(n + 1) over the classes; take away lgamma(sum + K) and add lgamma(K), for K"
    " classes.",
)
def evidence(yours):
    """The log probability of labels whose chances nobody knows."""
    rng = fresh_rng()
    drawn = [tuple(rng.integers(1, 40, 2).tolist()) for _ in range(8)]
    for counts in ((1, 1), (0, 0), *drawn, (3, 0), (900, 1100), (2, 5, 3)):
        n = sum(counts)
        k = len(counts)
        right = rules.evidence(counts)
        try:
            mine = yours(counts)
        except (OverflowError, ValueError) as error:
            if n > 100:
                return (
                    f"for {counts} it stopped with {type(error).__name__}: {error}. Factorials"
                    " outgrow a float at 171!, and their quotients shrink to 0. Add logarithms:"
                    " math.lgamma."
                )
            raise
        if isinstance(mine, float | np.floating) and not math.isfinite(mine):
            return (
                f"for {counts} your result is {mine}. Factorials outgrow a float at 171!; add"
                " logarithms: math.lgamma."
            )
        if wrong := shaped(mine, right, what=f"result for {counts}"):
            return wrong
        mine = float(mine)
        if close(mine, right):
            continue
        return recognised(mine, evidence_mistakes(counts, right), same=close) or (
            f"for {k} classes of {counts} it is {right:.4f}, and yours is {mine:.4f}."
        )
    return None


def close(mine: float, right: float) -> bool:
    """Equal but for rounding, near 0 too."""
    return abs(mine - right) < 1e-6 * max(1, abs(right))


def evidence_mistakes(counts: tuple[int, ...], right: float) -> dict[str, float]:
    """The sentences for what a wrong log probability may equal."""
    n = sum(counts)
    k = len(counts)
    factorials = sum(math.lgamma(c + 1) for c in counts)  # log of their product
    one_less = sum(math.lgamma(c) for c in counts if c)
    return {
        "this is the probability itself; its logarithm is wanted, as probabilities of a thousand"
        " labels vanish.": math.exp(right),
        "the sign is turned: probabilities are below 1, so their logarithms are below 0.": -right,
        "you multiply by the number of orders in which such labels can come. These labels came in"
        " one.": right + math.lgamma(n + 1) - factorials,
        "this takes the best chance, as if it were known. It is not: the mean over all chances is"
        " wanted.": sum(c * math.log(c / n) for c in counts if c),
        "log (K − 1)! is missing. With two classes it is 0, and nobody sees;"
        f" here there are {k}.": right - math.lgamma(k),
        "the last factorial is one too small: with two classes it is (yes + no + 1)!.": (
            factorials - math.lgamma(n + 1)
        ),
        "lgamma(n) is the logarithm of (n − 1)!; for n! take lgamma(n + 1).": (
            one_less - math.lgamma(n) if n else 0.0
        ),
    }


@exercise(
    LESSON,
    rules.r_hat,
    "np.concatenate([values[:, :half], values[:, -half:]]) makes two chains of each.",
    "within is the mean of their variances, between is half times the variance of their means, both"
    " with ddof=1.",
    "The result: the root of (half − 1) / half + between / within / half.",
)
def r_hat(yours):
    """How far chains are from having mixed."""
    for apart, drift in ((3, 0), (0, 6), (1, 0), (1, 1), (0, 0)):
        rng = fresh_rng()
        chains = (
            rng.normal(size=(3, 40))
            + apart * rng.normal(size=(3, 1))
            + drift * np.linspace(0, 1, 40)
        )
        right = rules.r_hat(chains)
        mine = called(yours, chains, like=right, keeps={"chains": chains})
        if abs(mine - right) < 1e-6:
            continue
        return recognised(mine, r_hat_mistakes(chains, right)) or (
            f"of three chains {apart} apart that drift by {drift} it is {right:.3f}; yours is"
            f" {float(mine):.3f}."
        )
    return None


def r_hat_mistakes(chains: np.ndarray, right: float) -> dict[str, float]:
    """The sentences for what a wrong R-hat of three chains of 40 may equal."""
    halves = chains.reshape(6, 20)
    means = halves.mean(1)
    within = halves.var(1, ddof=1).mean()
    whole = chains.mean(1).var(ddof=1) / chains.var(1, ddof=1).mean()
    return {
        "the root is missing.": right**2,
        "this compares whole chains. One that drifts goes unseen so: split each in two.": (
            np.sqrt(39 / 40 + whole)
        ),
        "np.var divides by n; here divide by n − 1: ddof=1.": (
            np.sqrt(19 / 20 + means.var() / halves.var(1).mean())
        ),
        "the variance of the means is divided by their number; one less is wanted: ddof=1.": (
            np.sqrt(19 / 20 + means.var() / within)
        ),
        "the variances within are divided by n; n − 1 is wanted: ddof=1.": (
            np.sqrt(19 / 20 + means.var(ddof=1) / halves.var(1).mean())
        ),
        "half is one factor too many: between, which is half times the variance of the means, is"
        " divided by within and by half.": np.sqrt(19 / 20 + 20 * means.var(ddof=1) / within),
        "n is the length of a half, 20 here, and you take that of a whole chain.": (
            np.sqrt(39 / 40 + means.var(ddof=1) / within)
        ),
        "you multiply by W; divide by it.": np.sqrt(19 / 20 + means.var(ddof=1) * within),
        "(half − 1) / half is missing: mixed chains are to give 1, not 0.": (
            np.sqrt(means.var(ddof=1) / within)
        ),
    }


@exercise(
    LESSON,
    rules.unavoidable_errors,
    "Rows with the same column of met look the same to every list. np.unique(met, axis=1,"
    " return_inverse=True) numbers such groups.",
    "In each group, count the labels. A list gives them all one answer, so the rarer label is"
    " wrong.",
)
def unavoidable_errors(yours):
    """The rows that any list must get wrong."""
    for count in (1, 2, 2, 3, 3, 3):
        rng = fresh_rng()
        met = rng.random((count, 40)) < 0.5 if count > 1 else rng.permutation(40)[None] < 20
        groups = [np.flatnonzero((met.T == group).all(1)) for group in np.unique(met.T, axis=0)]
        y = np.zeros(40, dtype=int)
        for rows in groups:
            y[rows] = rng.random(len(rows)) < rng.choice([0.25, 0.75])
        if count == 1:
            y[groups[0]] = np.arange(20) % 2  # a tie
        before = met.copy(), y.copy()
        mine = as_array(yours(met, y))
        if isinstance(mine, int | np.integer):
            return f"you return a number, {mine}; wanted is which rows: an array of 40 booleans."
        wrong = shaped(mine, y, what="list of rows") or unchanged(
            met=(met, before[0]), y=(y, before[1])
        )
        if wrong:
            return wrong
        marks = np.asarray(mine)
        if not np.isin(marks, (0, 1)).all():
            return (
                f"your list of rows holds {marks.max()}; each row is marked, True, or not, False."
            )
        if wrong := marked_wrongly(marks.astype(bool), y, groups):
            return wrong
    return None


def marked_wrongly(mine: np.ndarray, y: np.ndarray, groups: list[np.ndarray]) -> str | None:
    """The sentence for marks that are not on the rarer label of each group of rows, else None."""
    ones = [int(y[rows].sum()) for rows in groups]
    mixed = [rows for rows, n in zip(groups, ones, strict=True) if 0 < n < len(rows)]
    if mixed and all(mine[rows].all() for rows in mixed):
        return (
            "you mark all rows of a mixed group. A list can get the commoner label right; only the"
            " rarer is wrong."
        )
    uneven = [rows for rows in mixed if y[rows].mean() != 0.5]
    if uneven and all((mine[rows] == (y[rows] == (y[rows].mean() > 0.5))).all() for rows in uneven):
        return (
            "you mark the commoner label of each group. A list will choose that one, and get the"
            " rarer wrong."
        )
    for rows, n in zip(groups, ones, strict=True):
        marked = y[rows[mine[rows]]]
        fewest = min(n, len(rows) - n)
        if 2 * n == len(rows) and len(marked) in (0, len(rows)):
            return (
                f"a group of rows alike has {n} of label 0 and {n} of label 1, and you mark"
                f" {len(marked)}. In a tie too any one answer is wrong for half: mark one label,"
                " either."
            )
        if len(marked) != fewest or len(set(marked.tolist())) > 1:
            return (
                f"a group of rows alike has {len(rows) - n} of label 0 and {n} of label 1, and you"
                f" mark {len(marked)}; {fewest} of the rarer label cannot be avoided. Are your"
                " groups the rows alike in all of met?"
            )
    return None
