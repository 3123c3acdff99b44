"""Lesson 18's exercises, answered rightly in other ways than the course's, and wrongly in each way
that has a sentence of its own."""

import math

import numpy as np
import pytest
import torch

from trickkit import rules
from trickkit.check import rule_lists as check

from .answers import accepted, refused


def last_that_holds(met, rows):
    line = np.full(rows, len(met))
    for place, rule in enumerate(met):
        line[rule] = place
    return line


def from_behind(met, rows):
    line = rules.first_that_holds(met, rows)
    return np.where(line < len(met), len(met) - 1 - line, line)


def in_place(met, rows):
    left = np.ones(rows, dtype=bool)
    line = np.full(rows, len(met))
    for place, rule in enumerate(met):
        rule &= left
        left &= ~rule
        line[rule] = place
    return line


def loop_of_rows(met, rows):
    return [next((j for j in range(len(met)) if met[j][i]), len(met)) for i in range(rows)]


def lgammas(counts, last=0):
    below = math.lgamma(sum(counts) + len(counts) - last)
    return sum(math.lgamma(n + 1) for n in counts) - below


def mixing(split=True, root=True, within=1, between=1, stay=True, share=lambda b, w: b / w):
    """within, between: the variances' ddof. stay: what (n - 1) / n is multiplied by."""

    def of(chains):
        values = np.array(chains)
        if split:
            values = values.reshape(2 * len(values), -1)
        n = values.shape[1]
        b, w = values.mean(1).var(ddof=between), values.var(1, ddof=within).mean()
        ratio = (n - 1) / n * stay + share(b, w)
        return ratio ** (0.5 if root else 1)

    return of


def without_n(chains):
    halves = np.reshape(chains, (2 * len(chains), -1))
    n = halves.shape[1]
    b, w = halves.mean(1).var(ddof=1), halves.var(1, ddof=1).mean()
    return ((n - 1) / n + b / (n * w)) ** 0.5


def group_errors(mark):
    def rows(met, y):
        marked = np.zeros(len(y), dtype=bool)
        _, group = np.unique(met, axis=1, return_inverse=True)
        for number in set(group):
            rows = np.flatnonzero(group == number)
            marked[mark(rows, y[rows], int(y[rows].mean() < 0.5))] = True
        return marked

    return rows


def packed(code):
    """Groups are the rows that have the same code."""

    def rows(met, y):
        groups = {}
        for number, row in enumerate(code(met)):
            groups.setdefault(row, []).append(number)
        marked = np.zeros(len(y), dtype=bool)
        for group in map(np.array, groups.values()):
            marked[group] = y[group] == (y[group].mean() < 0.5)
        return marked

    return rows


def else_gets(value):
    return lambda met, rows: [
        value if line == len(met) else int(line) for line in rules.first_that_holds(met, rows)
    ]


def of_type(dtype):
    return lambda met, rows: rules.first_that_holds(met, rows).astype(dtype)


PACKINGS = [
    lambda met: (met.T @ (1 << np.arange(len(met)))).tolist(),
    lambda met: (met.T @ 2.0 ** np.arange(len(met))).tolist(),
    lambda met: (met.T @ 2.0 ** -np.arange(len(met))).tolist(),
    lambda met: (met.T @ (1 << np.arange(len(met)) % 64)).tolist(),
    lambda met: (np.packbits(met, axis=0)[0]).tolist(),
    lambda met: (np.packbits(met[::-1], axis=0)[0]).tolist(),
    lambda met: [tuple(row[:6]) for row in met.T],
    lambda met: [tuple(row[-6:]) for row in met.T],
    lambda met: [tuple(row[:-1]) for row in met.T] if len(met) > 9 else [*map(tuple, met.T)],
    lambda met: [sum(1 << i for i in np.flatnonzero(r).tolist()) % 64 for r in met.T],
]

WRONG = [
    *((check.unavoidable_errors, packed(code), "groups are too large.* 80") for code in PACKINGS),
    (
        check.unavoidable_errors,
        packed(lambda met: [(*row[:20], *row[-20:]) for row in met.T]),
        "groups are too large|all of met",
    ),
    (check.r_hat, lambda chains: max(1.0, rules.r_hat(chains)), "fall below 1; it may"),
    (
        check.first_that_holds,
        lambda met, rows: rules.first_that_holds(met, len(met[0])),
        "may be an empty list.* stopped with IndexError",
    ),
    (
        check.first_that_holds,
        lambda met, rows: np.select(met, range(len(met)), len(met)),
        "may be an empty list.* stopped with ValueError",
    ),
    (
        check.first_that_holds,
        lambda met, rows: rules.first_that_holds(met, len(met[0]) if met else 0),
        r"for no rules has shape \(0,\)",
    ),
    (
        check.first_that_holds,
        lambda met, rows: rules.first_that_holds(met, rows) - (not met),
        r"may be an empty list.* you say \[-1\]",
    ),
    (check.first_that_holds, of_type(float), "type float64.* is a whole number"),
    (check.first_that_holds, of_type(np.float32), "type float32.* is a whole number"),
    (check.first_that_holds, of_type(np.int8), "int8, whose numbers end at 127"),
    (check.first_that_holds, of_type(np.uint8), "uint8, whose numbers end at 255"),
    (check.first_that_holds, else_gets(None), "no rule gets None; it belongs to the last line"),
    (check.first_that_holds, else_gets(math.nan), "no rule gets nan; it belongs to the last line"),
    (
        check.first_that_holds,
        lambda met, rows: np.array(else_gets(None)(met, rows)),
        "no rule gets None; it belongs to the last line",
    ),
    (check.first_that_holds, last_that_holds, "the last one; the first decides"),
    (
        check.first_that_holds,
        lambda met, rows: rules.first_that_holds(met, rows) + 1,
        "from 1; the first is 0",
    ),
    (
        check.first_that_holds,
        lambda met, rows: np.array(met).argmax(0),
        "gets 0, as if the first held",
    ),
    (
        check.first_that_holds,
        lambda met, rows: np.where(np.any(met, axis=0), np.argmax(met, axis=0), -1),
        "gets -1",
    ),
    (
        check.first_that_holds,
        lambda met, rows: np.sum(met, axis=0),
        "you count how many rules hold",
    ),
    (check.first_that_holds, in_place, "changed met itself"),
    (
        check.first_that_holds,
        lambda met, rows: np.minimum(rules.first_that_holds(met, rows), len(met) - 1),
        "gets the last rule's number",
    ),
    (check.first_that_holds, from_behind, "another line than the first rule that holds"),
    (check.first_that_holds, lambda met, rows: rules.first_that_holds(met, rows)[:3], "has shape"),
    (check.first_that_holds, lambda met, rows: np.array([None] * rows), "no numbers"),
    (check.first_that_holds, lambda met, rows: [[1], 2], "is a list"),
    (check.evidence, lambda counts: math.exp(rules.evidence(counts)), "its logarithm is wanted"),
    (check.evidence, lambda counts: -rules.evidence(counts), "the sign is turned"),
    (
        check.evidence,
        lambda counts: -math.log(sum(counts) + 1) if len(counts) == 2 else 0,
        "orders in which",
    ),
    (
        check.evidence,
        lambda counts: sum(n * math.log(n / sum(counts)) for n in counts if n),
        "takes the best chance",
    ),
    (check.evidence, lgammas, "log .K − 1.! is missing"),
    (check.evidence, lambda counts: lgammas(counts, last=len(counts) - 1), "one too small"),
    (
        check.evidence,
        lambda counts: sum(math.lgamma(n) for n in counts if n) - math.lgamma(sum(counts) or 1),
        "take lgamma",
    ),
    (
        check.evidence,
        lambda counts: (
            np.log(
                np.prod([float(math.prod(range(1, n + 1))) if n < 171 else np.inf for n in counts])
            )
            - math.lgamma(sum(counts) + 2)
        ),
        "outgrow a float",
    ),
    (
        check.evidence,
        lambda counts: math.log(
            math.prod(map(math.factorial, counts)) / math.factorial(sum(counts) + len(counts) - 1)
        ),
        "outgrow a float",
    ),
    (
        check.evidence,
        lambda counts: (
            sum(math.lgamma(n) + math.log(n) for n in counts) - math.lgamma(sum(counts) + 2)
        ),
        "it stopped with ValueError",
    ),
    (check.evidence, lambda counts: rules.evidence(counts[:2]), "only the first two counts"),
    (
        check.evidence,
        lambda counts: sum(math.lgamma(c + 1) for c in counts) - math.lgamma(sum(counts) + 2),
        "the formula for two classes",
    ),
    (check.evidence, lambda counts: 1.0, r"it is .*and yours is 1\.0000"),
    (check.r_hat, mixing(split=False), "split each in two"),
    (check.r_hat, mixing(root=False), "the root is missing"),
    (check.r_hat, without_n, "n is missing"),
    (check.r_hat, mixing(within=0, between=0), "divide by n − 1"),
    (check.r_hat, mixing(between=0), "variance of the means is divided by their number"),
    (check.r_hat, mixing(within=0), "variances within are divided by n;"),
    (check.r_hat, mixing(stay=False), "to give 1, not 0"),
    (check.r_hat, mixing(stay=39 / 38), "you take that of a whole chain"),
    (check.r_hat, mixing(share=lambda b, w: 20 * b / w), "half is one factor too many"),
    (check.r_hat, mixing(share=lambda b, w: b * w), "you multiply by W"),
    (check.r_hat, lambda chains: np.array(chains).std(), "it is .*yours is"),
    (check.r_hat, lambda chains: np.array(chains).mean(1), "has shape"),
    (
        check.unavoidable_errors,
        group_errors(lambda rows, y, rare: rows if 0 < y.mean() < 1 else []),
        "mark all rows of a mixed group",
    ),
    (
        check.unavoidable_errors,
        group_errors(lambda rows, y, rare: rows[y != rare]),
        "you mark the commoner label",
    ),
    (
        check.unavoidable_errors,
        lambda met, y: rules.unavoidable_errors(met[:1], y),
        "your groups are too large",
    ),
    (
        check.unavoidable_errors,
        lambda met, y: int(rules.unavoidable_errors(met, y).sum()),
        "you return a number",
    ),
    (
        check.unavoidable_errors,
        lambda met, y: y == 1,
        "you mark label 1 in every group",
    ),
    (
        check.unavoidable_errors,
        lambda met, y: 2 * rules.unavoidable_errors(met, y),
        "holds 2; each row is marked",
    ),
    (
        check.unavoidable_errors,
        group_errors(lambda rows, y, rare: rows[y == rare] if y.mean() != 0.5 else []),
        "In a tie too any one answer is wrong for half",
    ),
    (check.unavoidable_errors, lambda met, y: rules.unavoidable_errors(met, y)[:5], "has shape"),
    (check.first_that_holds, lambda met, rows: np.any(met, axis=0), "whether any rule holds"),
    (check.first_that_holds, lambda met, rows: np.argmin(met, axis=0), "that does not hold"),
    (
        check.first_that_holds,
        lambda met, rows: rules.first_that_holds(met, rows).astype(str),
        "no numbers",
    ),
    (
        check.evidence,
        lambda counts: math.log((max(counts) + 1) / (sum(counts) + len(counts))),
        "one label's chance",
    ),
    (check.evidence, lambda c: rules.evidence(c) + math.log(len(c)), "you added log K"),
    (check.evidence, lambda c: rules.evidence(c) / math.log(2), "to the base e"),
    (
        check.unavoidable_errors,
        group_errors(lambda rows, y, rare: rows[y != rare][: (y == rare).sum()]),
        "of the commoner|tie|some of both",
    ),
    (check.unavoidable_errors, lambda met, y: y == 0, "you mark label 0 in every group"),
]

RIGHT = [
    (check.first_that_holds, loop_of_rows),
    (check.first_that_holds, lambda met, rows: np.vstack([*met, np.ones(rows)]).argmax(0)),
    (
        check.first_that_holds,
        lambda met, rows: np.select([*met, np.ones(rows, dtype=bool)], range(len(met) + 1)),
    ),
    (check.first_that_holds, lambda met, rows: rules.first_that_holds(met, rows).astype(np.int16)),
    (check.first_that_holds, lambda met, rows: torch.tensor(rules.first_that_holds(met, rows))),
    (check.unavoidable_errors, packed(lambda met: [tuple(row) for row in met.T])),
    (
        check.unavoidable_errors,
        packed(lambda met: [sum(1 << i for i in np.flatnonzero(row).tolist()) for row in met.T]),
    ),
    (
        check.evidence,
        lambda counts: (
            math.log(math.prod(map(math.factorial, counts)) * math.factorial(len(counts) - 1))
            - math.log(math.factorial(sum(counts) + len(counts) - 1))
        ),
    ),
    (check.r_hat, lambda chains: float(torch.tensor(rules.r_hat(chains)))),
    (check.unavoidable_errors, group_errors(lambda rows, y, rare: rows[y == rare])),
    (check.unavoidable_errors, lambda met, y: list(rules.unavoidable_errors(met, y))),
    (check.evidence, lambda c: torch.tensor(rules.evidence(c)).float()),
    (check.r_hat, lambda chains: torch.tensor(rules.r_hat(chains)).float()),
    (check.unavoidable_errors, lambda met, y: torch.tensor(rules.unavoidable_errors(met, y))),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
