"""The checks of lesson 18, in NumPy. Each draws fresh small tables; what is wrong is told by what it equals instead."""
import math

import numpy as np

from trickkit import rules
from trickkit.check import array, as_array, dice, exercise, kept, progress, recognised, same

__all__ = ["evidence", "first_that_holds", "progress", "r_hat", "unavoidable_errors"]
LESSON = "18 rule_lists"


@exercise(LESSON, rules.first_that_holds,
          "Begin with the answer for rows that meet no rule: np.full(rows, len(met)).",
          "Go through the rules backwards and write each one's number where it holds: an earlier rule then overwrites a later.")
def first_that_holds(yours):
    """The number of the first rule that holds for each row."""
    for count, rows in ((1, 30), (4, 60), (6, 60)):
        r = dice()
        met = [r.random(rows) < 0.35 for _ in range(count)]
        before = [rule.copy() for rule in met]
        right = rules.first_that_holds(met, rows)
        mine = as_array(yours(met, rows))
        if wrong := array(mine, (rows,), "list of places"):
            return wrong
        if wrong := kept(met=(np.array(met), np.array(before))):
            return wrong
        if same(mine, right):
            continue
        mine, every = np.asarray(mine), np.array(met).reshape(count, rows)
        last = np.where(every.any(0), count - 1 - every[::-1].argmax(0), count)
        return recognised(
            mine,
            (last, "where two rules hold you name the last one; the first decides. Which of them do you write last?"),
            (right + 1, "you count the rules from 1; the first is 0."),
            (every.argmax(0), "a row that meets no rule gets 0, as if the first held. It belongs to "
             f"the last line, number {count}."),
            (np.where(right == count, -1, right), "a row that meets no rule gets -1; it belongs to the last line, number "
             f"{count}."),
            (np.minimum(right, count - 1), "a row that meets no rule gets the last rule's number; it belongs to the line "
             f"after, number {count}."),
            (every.sum(0), "you count how many rules hold; wanted is which is the first."),
        ) or f"{(mine != right).sum()} of {rows} rows get another line than the first rule that holds for them."
    return None


@exercise(LESSON, rules.evidence,
          "With two classes: p = yes! · no! / (yes + no + 1)!. The logarithm of n! is math.lgamma(n + 1).",
          "Add lgamma(n + 1) over the classes; take away lgamma(sum + K) and add lgamma(K), for K classes.")
def evidence(yours):
    """The log probability of labels whose chances nobody knows."""
    r = dice()
    for counts in ((1, 1), (0, 0), *(tuple(r.integers(1, 40, 2).tolist()) for _ in range(8)), (3, 0), (900, 1100), (2, 5, 3)):
        n, k, right = sum(counts), len(counts), rules.evidence(counts)
        try:
            mine = yours(counts)
        except (OverflowError, ValueError) as error:
            if n > 100:
                return (f"for {counts} it stopped with {type(error).__name__}: {error}. Factorials outgrow a float at 171!, "
                        "and their quotients shrink to 0. Add logarithms: math.lgamma.")
            raise
        if isinstance(mine, float | np.floating) and not math.isfinite(mine):
            return f"for {counts} your result is {mine}. Factorials outgrow a float at 171!; add logarithms: math.lgamma."
        if wrong := array(mine, (), f"result for {counts}"):
            return wrong
        mine = float(mine)
        if abs(mine - right) < 1e-6 * max(1, abs(right)):
            continue
        ways = math.lgamma(n + 1) - sum(math.lgamma(c + 1) for c in counts)
        likely = sum(c * math.log(c / n) for c in counts if c)
        for guess, sentence in (
                (math.exp(right), "this is the probability itself; its logarithm is wanted, as probabilities of a thousand "
                 "labels vanish."),
                (-right, "the sign is turned: probabilities are below 1, so their logarithms are below 0."),
                (right + ways, "you multiply by the number of orders in which such labels can come. These labels came in one."),
                (likely, "this takes the best chance, as if it were known. It is not: the mean over all chances is wanted."),
                (right - math.lgamma(k), "log (K − 1)! is missing. With two classes it is 0, and nobody sees; here there are "
                 f"{k}."),
                (sum(math.lgamma(c + 1) for c in counts) - math.lgamma(n + 1), "the last factorial is one too small: with two "
                 "classes it is (yes + no + 1)!."),
                (sum(math.lgamma(c) for c in counts if c) - math.lgamma(n) if n else 0.0, "lgamma(n) is the logarithm of "
                 "(n − 1)!; for n! take lgamma(n + 1).")):
            if abs(mine - guess) < 1e-6 * max(1, abs(guess)):
                return sentence
        return f"for {k} classes of {counts} it is {right:.4f}, and yours is {mine:.4f}."
    return None


@exercise(LESSON, rules.r_hat,
          "np.concatenate([values[:, :half], values[:, -half:]]) makes two chains of each.",
          "within is the mean of their variances, between is half times the variance of their means, both with ddof=1.",
          "The result: the root of (half − 1) / half + between / within / half.")
def r_hat(yours):
    """How far chains are from having mixed."""
    for apart, drift in ((3, 0), (0, 6), (1, 0), (1, 1), (0, 0)):
        r = dice()
        chains = r.normal(size=(3, 40)) + apart * r.normal(size=(3, 1)) + drift * np.linspace(0, 1, 40)
        before, right = chains.copy(), rules.r_hat(chains)
        mine = yours(chains)
        if wrong := array(mine, ()):
            return wrong
        if wrong := kept(chains=(chains, before)):
            return wrong
        if abs(mine - right) < 1e-6:
            continue
        halves = chains.reshape(6, 20)
        means, within = halves.mean(1), halves.var(1, ddof=1).mean()
        whole = np.sqrt(39 / 40 + chains.mean(1).var(ddof=1) / chains.var(1, ddof=1).mean())
        return recognised(
            np.asarray(mine),
            (np.asarray(right**2), "the root is missing."),
            (np.asarray(whole), "this compares whole chains. One that drifts goes unseen so: split each in two."),
            (np.sqrt(19 / 20 + means.var() / halves.var(1).mean()), "np.var divides by n; here divide by n − 1: ddof=1."),
            (np.sqrt(19 / 20 + means.var() / within), "the variance of the means is divided by their number; one less is "
             "wanted: ddof=1."),
            (np.sqrt(19 / 20 + means.var(ddof=1) / halves.var(1).mean()), "the variances within are divided by n; n − 1 is "
             "wanted: ddof=1."),
            (np.sqrt(19 / 20 + 20 * means.var(ddof=1) / within), "half is one factor too many: between, which is half times "
             "the variance of the means, is divided by within and by half."),
            (np.sqrt(39 / 40 + means.var(ddof=1) / within), "n is the length of a half, 20 here, and "
             "you take that of a whole chain."),
            (np.sqrt(19 / 20 + means.var(ddof=1) * within), "you multiply by W; divide by it."),
            (np.sqrt(means.var(ddof=1) / within), "(half − 1) / half is missing: mixed chains are to give 1, not 0."),
        ) or f"of three chains {apart} apart that drift by {drift} it is {right:.3f}; yours is {float(mine):.3f}."
    return None


@exercise(LESSON, rules.unavoidable_errors,
          "Rows with the same column of met look the same to every list. np.unique(met, axis=1, return_inverse=True) numbers "
          "such groups.",
          "In each group, count the labels. A list gives them all one answer, so the rarer label is wrong.")
def unavoidable_errors(yours):
    """The rows that any list must get wrong."""
    for count in (1, 2, 2, 3, 3, 3):
        r = dice()
        met = r.random((count, 40)) < 0.5 if count > 1 else r.permutation(40)[None] < 20
        groups = [np.flatnonzero((met.T == group).all(1)) for group in np.unique(met.T, axis=0)]
        y = np.zeros(40, dtype=int)
        for rows in groups:
            y[rows] = r.random(len(rows)) < r.choice([0.25, 0.75])
        if count == 1:
            y[groups[0]] = np.arange(20) % 2  # a tie
        before = met.copy(), y.copy()
        mine = as_array(yours(met, y))
        if isinstance(mine, int | np.integer):
            return f"you return a number, {mine}; wanted is which rows: an array of 40 booleans."
        if wrong := array(mine, (40,), "list of rows"):
            return wrong
        if wrong := kept(met=(met, before[0]), y=(y, before[1])):
            return wrong
        if not np.isin(mine, (0, 1)).all():
            return f"your list of rows holds {np.asarray(mine).max()}; each row is marked, True, or not, False."
        mine = np.asarray(mine).astype(bool)
        ones = [int(y[rows].sum()) for rows in groups]
        mixed = [rows for rows, n in zip(groups, ones, strict=True) if 0 < n < len(rows)]
        if mixed and all(mine[rows].all() for rows in mixed):
            return "you mark all rows of a mixed group. A list can get the commoner label right; only the rarer is wrong."
        uneven = [rows for rows in mixed if y[rows].mean() != 0.5]
        if uneven and all((mine[rows] == (y[rows] == (y[rows].mean() > 0.5))).all() for rows in uneven):
            return "you mark the commoner label of each group. A list will choose that one, and get the rarer wrong."
        for rows, n in zip(groups, ones, strict=True):
            marked, fewest = y[rows[mine[rows]]], min(n, len(rows) - n)
            if 2 * n == len(rows) and len(marked) in (0, len(rows)):
                return (f"a group of rows alike has {n} of label 0 and {n} of label 1, and you mark {len(marked)}. In a tie "
                        "too any one answer is wrong for half: mark one label, either.")
            if len(marked) != fewest or len(set(marked.tolist())) > 1:
                return (f"a group of rows alike has {len(rows) - n} of label 0 and {n} of label 1, and you mark {len(marked)}; "
                        f"{fewest} of the rarer label cannot be avoided. Are your groups the rows alike in all of met?")
    return None
