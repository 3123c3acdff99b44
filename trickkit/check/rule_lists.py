"""The checks of lesson 18, in NumPy.

Each draws fresh small tables; what is wrong is told by what it equals instead.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from trickkit import rules
from trickkit.check import (
    Marks,
    called,
    exercise,
    fresh_rng,
    progress,
    received,
    recognised,
    same,
    shaped,
    written,
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
    for count, n_rows, share in ((4, 60, 0.35), (6, 50, 0.35), (1, 30, 0.35), (150, 60, 0.02)):
        rng = fresh_rng()
        met = list(rng.random((count, n_rows)) < share)
        for rule in met:  # one row meets all rules, one meets none
            rule[:2] = True, False
        right = rules.first_that_holds(met, n_rows)
        came = written(yours(met, n_rows))
        if no_place(came) == (right == count).tolist():
            return (
                f"a row that meets no rule gets {came[1]}; it belongs to the last line, number"
                f" {count}."
            )
        mine = received(yours, came, right)
        if wrong := shaped(mine, right, what="list of places"):
            return wrong
        mine = np.asarray(mine)
        if same(mine, right):
            if not np.issubdtype(mine.dtype, np.integer):
                return (
                    f"your list of places holds numbers of type {mine.dtype}. A place in a list is"
                    " a whole number: int."
                )
            if mine.dtype.itemsize == 1:
                return (
                    f"your list of places is {mine.dtype}, whose numbers end at"
                    f" {np.iinfo(mine.dtype).max}, and there may be more rules: take int."
                )
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
            "you say whether any rule holds; wanted is which is the first.": every.any(0),
            "you give the first rule that does not hold.": [
                every.argmin(0),
                np.where(every.all(0), count, every.argmin(0)),
            ],
            "a row that meets no rule gets the number of rows; it belongs to the last line, number"
            f" {count}.": np.where(right == count, n_rows, right),
        }
        i = int(np.flatnonzero(mine != right)[0])
        return recognised(mine, mistakes) or (
            f"{(mine != right).sum()} of {n_rows} rows get another line than the first rule that"
            f" holds for them. Row {i}, say: of the rules {np.flatnonzero(every[:, i]).tolist()}"
            f" hold, so it is {right[i]}, and you say {mine[i]:g}."
        )
    return without_rules(yours)


def no_place(came: object) -> list[bool] | None:
    """Which rows got None or nan for their place; None for what is no list."""
    if not isinstance(came, list | tuple | np.ndarray) or np.ndim(came[0]):
        return None
    return [line is None or isinstance(line, float) and math.isnan(line) for line in came]


def without_rules(yours: Callable) -> str | None:
    """The sentence for a function that does not send all rows to line 0 where there is no rule."""
    n_rows = 20 + int(fresh_rng().integers(20))
    right = np.zeros(n_rows, dtype=int)
    empty = f"met may be an empty list. Then all {n_rows} rows, n_rows, belong to the last line, 0"
    try:
        mine = called(yours, [], n_rows, like=right, what="list of places for no rules")
    except (LookupError, TypeError, ValueError) as error:
        return f"{empty}; yours stopped with {type(error).__name__}: {error}."
    return None if same(mine, right) else f"{empty}, and you say {np.unique(mine).tolist()}."


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
    for counts in ((7, 2), (3, 0), (0, 0), (1, 1), *drawn, (900, 1100), (2, 6, 3)):
        right = rules.evidence(counts)
        outgrown = (
            f"for {counts} your result is not finite, or no number at all. Factorials outgrow a"
            " float at 171!, and their quotients shrink to 0. Add logarithms: math.lgamma."
        )
        try:
            mine = float(
                called(yours, counts, like=right, what=f"result for {counts}", not_finite=outgrown)
            )
        except (OverflowError, ValueError) as error:
            if sum(counts) > 100:
                return (
                    f"for {counts} it stopped with {type(error).__name__}: {error}. Factorials"
                    " outgrow a float at 171!, and their quotients shrink to 0. Add logarithms:"
                    " math.lgamma."
                )
            raise
        if close(mine, right):
            continue
        return recognised(mine, evidence_mistakes(counts, right), same=close) or (
            f"for {len(counts)} classes of {counts} it is {right:.5f}, and yours is {mine:.5f}."
        )
    return None


def close(mine: float, right: float) -> bool:
    """Equal but for rounding, near 0 too, and also where float32 adds up large logarithms."""
    return abs(mine - right) < 1e-5 * max(1, abs(right))


def evidence_mistakes(counts: tuple[int, ...], right: float) -> Marks:
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
        "the logarithm is to the base e: math.log, not log10 or log2.": [
            right / math.log(base) for base in (10, 2)
        ],
        "that is one label's chance, the next one's. All labels of the line are wanted together.": [
            math.log((c + 1) / (n + k)) for c in counts
        ],
        "you added log K. In front of the product stands (K − 1)!, which is 1 for two classes.": (
            right + math.log(k)
        ),
        "this multiplies the chances (n + 1) / (sum + K), as if one chance were known. The mean"
        " over all chances is wanted.": sum(c * math.log((c + 1) / (n + k)) for c in counts),
        "the last factorial is left out: divide by (yes + no + 1)!.": factorials,
        "the last factorial is one too large: with two classes it is (yes + no + 1)!.": (
            right - math.log(n + k)
        ),
        "this takes the best chance, as if it were known. It is not: the mean over all chances is"
        " wanted.": sum(c * math.log(c / n) for c in counts if c),
        "log (K − 1)! is missing. With two classes it is 0, and nobody sees;"
        f" here there are {k}.": right - math.lgamma(k),
        "the last factorial is one too small: with two classes it is (yes + no + 1)!.": (
            factorials - math.lgamma(n + 1)
        ),
        f"only the first two counts enter; here there are {k} classes.": (
            [rules.evidence(counts[:2])] if k > 2 else []
        ),
        f"that is the formula for two classes; here there are {k}: (K − 1)! in front, and"
        " (sum + K − 1)! below.": [factorials - math.lgamma(n + 2)] if k > 2 else [],
        "lgamma(n) is the logarithm of (n − 1)!; for n! take lgamma(n + 1).": (
            [one_less - math.lgamma(n), one_less - math.lgamma(n + k) + math.lgamma(k)] if n else []
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
    for apart, drift, walks, steps in ((3, 4, 3, 40), (3, 4, 4, 26), (0, 0, 5, 30)):
        rng = fresh_rng()
        right = math.inf
        while right > (0.99 if apart == 0 else 100):  # mixed chains may come below 1: here they do
            chains = (
                rng.normal(size=(walks, steps))
                + apart * np.linspace(-1, 1, walks)[:, None]
                + drift * np.linspace(0, 1, steps)
            )
            right = rules.r_hat(chains)
        mine = called(yours, chains, like=right)
        if same(mine, right):
            continue
        exactly = partial(np.allclose, rtol=1e-5, atol=0)
        return recognised(mine, r_hat_mistakes(chains, right), same=exactly) or (
            f"of {walks} chains that lie {apart} apart and drift by {drift} it is {right:.5f};"
            f" yours is {float(mine):.5f}."
        )
    return None


def r_hat_mistakes(chains: np.ndarray, right: float) -> Marks:
    """The sentences for what a wrong R-hat may equal."""
    n = chains.shape[1] // 2
    halves = chains.reshape(-1, n)
    even = np.concatenate([chains[:, ::2], chains[:, 1::2]])
    first = chains[:, :n]
    stays = (n - 1) / n
    means = halves.mean(1)
    within = halves.var(1, ddof=1).mean()
    whole = chains.mean(1).var(ddof=1) / chains.var(1, ddof=1).mean()
    return {
        "the root is missing.": right**2,
        "n is missing: B is n times the variance of the means.": (
            np.sqrt(stays + means.var(ddof=1) / within / n)
        ),
        "this compares whole chains. One that drifts goes unseen so: split each in two.": (
            np.sqrt((2 * n - 1) / (2 * n) + whole)
        ),
        "np.var divides by n; here divide by n − 1: ddof=1.": (
            np.sqrt(stays + means.var() / halves.var(1).mean())
        ),
        "the variance of the means is divided by their number; one less is wanted: ddof=1.": (
            np.sqrt(stays + means.var() / within)
        ),
        "the variances within are divided by n; n − 1 is wanted: ddof=1.": (
            np.sqrt(stays + means.var(ddof=1) / halves.var(1).mean())
        ),
        "half is one factor too many: between, which is half times the variance of the means, is"
        " divided by within and by half.": np.sqrt(stays + n * means.var(ddof=1) / within),
        f"n is the length of a half, {n} here, and you take that of a whole chain.": (
            np.sqrt((2 * n - 1) / (2 * n) + means.var(ddof=1) / within)
        ),
        "you split by even and odd steps. Then halves drift alike, and nobody sees: split in the"
        " middle.": np.sqrt(stays + even.mean(1).var(ddof=1) / even.var(1, ddof=1).mean()),
        "only one half of each chain is left. Take both.": [
            np.sqrt(stays + h.mean(1).var(ddof=1) / h.var(1, ddof=1).mean())
            for h in (first, chains[:, n:])
        ],
        "W is the mean of the variances, not their sum.": np.sqrt(
            stays + means.var(ddof=1) / within / len(halves)
        ),
        "you multiply by W; divide by it.": np.sqrt(stays + means.var(ddof=1) * within),
        "(half − 1) / half is missing: mixed chains are to give 1, not 0.": (
            np.sqrt(means.var(ddof=1) / within)
        ),
        "you do not let it fall below 1; it may.": max(1.0, right),
    }


def twins(rng: np.random.Generator) -> np.ndarray:
    """What eight groups of rows meet of 80 antecedents: (8, 80) of bool.

    The first two differ in the last antecedent alone, the next in the first, the next in one
    amidst. The last two each meet one of two that are 64 apart.
    """
    patterns = np.repeat(rng.random((4, 80)) < 0.5, 2, axis=0)
    for place, differs in enumerate((79, 0, int(rng.integers(33, 47)), 9)):
        patterns[2 * place : 2 * place + 2, differs] = True, False
    patterns[6:, 9 + 64] = False, True
    return patterns


def people(sizes: tuple[int, ...], *, many: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """What 40 rows meet, and their labels; of rows that meet the same there are as many as given.

    One label is the rarer in one such group, the other in the next, and so also where no more than
    a single antecedent is looked at. With two groups, the first is a tie.

    many: of the antecedents there are 80, and not just as many as tell the groups apart.
    """
    rng = fresh_rng()
    groups = np.split(rng.permutation(40), np.cumsum(sizes)[:-1])
    y = np.zeros(40, dtype=int)
    for i, rows in enumerate(groups):
        fewest = len(rows) // (2 if len(sizes) == 2 and i == 0 else 4)
        y[rows[: fewest if i % 2 else len(rows) - fewest]] = 1
    antecedents = 80 if many else len(sizes).bit_length() - 1
    met = np.zeros((antecedents, 40), dtype=bool)
    while True:
        numbers = rng.permutation(len(sizes))[:, None]
        patterns = twins(rng) if many else numbers >> np.arange(antecedents) & 1
        for rows, pattern in zip(groups, patterns, strict=True):
            met[:, rows] = pattern[:, None]
        if (
            many
            or antecedents == 1
            or all((y[m].mean() > 0.5) != (y[~m].mean() > 0.5) for m in met)
        ):
            return met, y


def alike(met: np.ndarray) -> list[np.ndarray]:
    """The places of rows that meet the same, a group each."""
    return [np.flatnonzero((met.T == seen).all(1)) for seen in np.unique(met.T, axis=0)]


def rarer(groups: list[np.ndarray], y: np.ndarray) -> np.ndarray:
    """Which rows have the rarer label of their group; in a tie label 1."""
    marks = np.zeros(len(y), dtype=bool)
    for rows in groups:
        marks[rows] = y[rows] == (y[rows].mean() <= 0.5)
    return marks


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
    few = ((13, 12, 9, 6), (20, 20), (9, 7, 6, 5, 5, 4, 3, 1))
    for met, y in (*map(people, few), people((7, 6, 6, 5, 5, 4, 4, 3), many=True)):
        known: Marks = {
            "you return a number; wanted is which rows: an array of 40 booleans.": [int, ()]
        }
        marks = called(yours, met, y, like=y, what="list of rows", known=known)
        if not np.isin(marks, (0, 1)).all():
            return (
                f"your list of rows holds {marks.max()}; each row is marked, True, or not, False."
            )
        if wrong := marked_wrongly(marks.astype(bool), met, y):
            return wrong
    return None


def marked_wrongly(mine: np.ndarray, met: np.ndarray, y: np.ndarray) -> str | None:
    """The sentence for marks that are not on the rarer label of each group of rows, else None."""
    groups = alike(met)
    right = rarer(groups, y)
    ties = [rows for rows in groups if y[rows].mean() == 0.5]
    for rows in ties:  # either label will do
        right[rows] ^= (mine[rows] == ~right[rows]).all()
    if (mine == right).all():
        return None
    mixed = np.concatenate([rows for rows in groups if 0 < y[rows].mean() < 1])
    uneven = np.setdiff1d(mixed, np.concatenate([*ties, []]).astype(int))
    n = len(met)
    coarser = [
        *(met[[i]] for i in range(n)),
        *(np.delete(met, i, 0) for i in range(n)),
        *(part for i in range(1, n) for part in (met[:i], met[i:])),
        ((1 << np.arange(n) % 64) @ met)[None],
        met.sum(0)[None],
    ]
    fit = f" They are {n} here, and one 64-bit number does not hold so many." if n > 63 else ""
    mistakes: Marks = {
        "you mark all rows of a mixed group. A list can get the commoner label right; only the"
        " rarer is wrong.": np.isin(np.arange(len(y)), mixed),
        "your groups are too large: rows are alike where they meet the same antecedents, all of"
        f" met.{fit}": [rarer(alike(m), y) for m in coarser if len(m)],
        "you mark label 1 in every group. Which label is the rarer differs from group to group.": (
            y == 1
        ),
        "you mark label 0 in every group. Which label is the rarer differs from group to group.": (
            y == 0
        ),
    }
    if (mine[uneven] == ~right[uneven]).all():
        return (
            "you mark the commoner label of each group. A list will choose that one, and get the"
            " rarer wrong."
        )
    if wrong := recognised(mine, mistakes, same=np.array_equal):
        return wrong
    rows = max(groups, key=lambda rows: (mine[rows] != right[rows]).sum())
    zeros, ones = (int((y[rows] == label).sum()) for label in (0, 1))
    count = int(mine[rows].sum())
    group = f"a group of rows alike has {zeros} of label 0 and {ones} of label 1, and you mark"
    if zeros == ones and count in (0, len(rows)):
        return (
            f"{group} {count}. In a tie too any one answer is wrong for half: mark one label,"
            " either."
        )
    if len(set(y[rows[mine[rows]]])) > 1:
        return (
            f"{group} some of both. A list gives the whole group one answer: mark the rows of one"
            " label."
        )
    if count == min(zeros, ones):
        return f"{group} {count} of the commoner. All of the rarer label have to be wrong."
    return (
        f"{group} {count}; {min(zeros, ones)} of the rarer label cannot be avoided. Are your groups"
        " the rows alike in all of met?"
    )
