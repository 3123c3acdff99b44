"""The checks of lesson 17, in NumPy.

Each draws fresh rules and alarms, or asks for fresh customers.
"""

import math

import numpy as np
import pandas as pd
import torch

from trickkit import mes
from trickkit.check import called, exercise, fresh_rng, progress, recognised, same, written

__all__ = ["draws_needed", "progress", "red_shoes", "score"]
LESSON = "17 model_explanation_system"


@exercise(
    LESSON,
    mes.score,
    "fired[:, alarms] keeps the columns where the alarm rings, fired[:, ~alarms] the others.",
    "The mean over axis 1 of fired[:, alarms] is the share of the alarms that each rule catches.",
    "In the quiet the rule should not hold: (~fired[:, ~alarms]).mean(1). The score is the mean of"
    " the two.",
    rounds=20,
)
def score(yours):
    """Half for the alarms caught, half for the quiet left alone."""
    rng = fresh_rng()
    fired = rng.random((6, 60)) < rng.uniform(0.2, 0.8, (6, 1))
    alarms = rng.random(60) < rng.uniform(0.15, 0.3)
    alarms[:2] = (True, False)
    fired[0] = True
    fired[1] = False
    right = mes.score(fired, alarms)
    mine = called(yours, fired, alarms, like=right, what="list of scores")
    if same(mine, right):
        return None
    caught = fired[:, alarms].mean(1)
    left = (~fired[:, ~alarms]).mean(1)
    hits = fired & alarms
    mistakes = {
        f"this is the plain share of agreement. A rule that never holds gets {mine[1]:.2f} of it"
        " here, because alarms are rare. Take the two halves by themselves, each with its own"
        " mean.": (fired == alarms).mean(1),
        "you count the alarms caught only; a rule that always holds catches them all. The other"
        " half of the score is the quiet left alone.": caught,
        "you count the quiet left alone only; a rule that never holds does that best. The other"
        " half of the score is the alarms caught.": left,
        "your scores are upside down: the better the rule, the lower yours. In the alarms the rule"
        " should hold, in the quiet it should not.": 1 - right,
        "your scores go up to 2: take the mean of the two halves, not their sum.": 2 * right,
        "in the quiet you count where the rule holds. There it should not: ~fired.": (
            (caught + 1 - left) / 2
        ),
        "each half is divided by all inputs. Divide the alarms caught by the alarms, and the quiet"
        " left alone by the quiet.": hits.mean(1) / 2 + (~fired & ~alarms).mean(1) / 2,
        "your first half is the share of the rule's rows that are alarms. The other way round: the"
        " share of the alarms for which the rule holds.": (
            hits.sum(1) / np.maximum(fired.sum(1), 1) / 2 + left / 2
        ),
        "that is caught + left − 1, from −1 to 1; the mean of the two halves is wanted.": (
            caught + left - 1
        ),
        "you multiply the two halves; their mean is wanted.": caught * left,
        "you add up numbers of draws; shares are wanted. Take .mean(1), not .sum(1).": [
            hits.sum(1) + (~fired & ~alarms).sum(1),
            (hits.sum(1) + (~fired & ~alarms).sum(1)) / 2,
        ],
    }
    i = np.abs(mine - right).argmax()
    return recognised(mine, mistakes) or (
        f"a rule that catches {caught[i]:.1%} of the alarms and leaves {left[i]:.1%} of the quiet"
        f" alone has {right[i]:.4f}; you give it {mine[i]:.4f}."
    )


def whole(mine: float, exact: float) -> bool:
    """Whether it is a number of draws, rounded up or down or not at all."""
    return abs(mine - exact) < 1 + 1e-6 * abs(exact)


@exercise(
    LESSON,
    mes.draws_needed,
    "Set count · 2 exp(−2nε²) = δ and solve for n. Take the logarithm of both sides.",
    "n = ln(2 · count / δ) / (2ε²). Draws come whole: math.ceil.",
    rounds=30,
)
def draws_needed(yours):
    """Hoeffding's n for many means at once."""
    rng = fresh_rng()
    eps = rng.uniform(0.01, 0.1)
    count = int(rng.integers(10, 5000))
    delta = rng.uniform(0.01, 0.2)
    mine = float(called(yours, eps, count, delta, like=1.0, what="number of draws"))
    log = math.log(2 * count / delta)
    twice = 2 * eps**2
    exact = log / twice
    if mine in (math.ceil(exact), math.ceil(exact - 1e-9)):
        return None
    if abs(mine - exact) < 1e-6 * exact:
        return f"{exact:.2f} draws cannot be made. Round up, to a whole number."
    if mine == math.floor(exact):
        return "that is one draw too few, and the promise does not hold. Round up: math.ceil."
    by_count = (
        "you multiply the draws by count. All rules are measured on the same draws; it is the"
        " chance of failure, inside the logarithm, that count multiplies."
    )
    mistakes = {
        "this is enough for one rule. With many, each may go wrong by itself: their chances add up,"
        " so multiply by count before you solve.": math.log(2 / delta) / twice,
        "the 2 before exp is missing: a mean may be off on either side.": (
            math.log(count / delta) / twice
        ),
        "twice too many: the exponent is −2nε², so divide by 2 as well.": log / eps**2,
        "you divide by ε, not by ε²: a mean twice as exact takes four times the draws.": (
            log / (2 * eps)
        ),
        by_count: [
            count * math.ceil(math.log(2 / delta) / twice),
            count * math.log(2 / delta) / twice,
        ],
        "the sign is turned: −2nε² = ln(δ / (2·count)), and that logarithm is below 0.": -exact,
        "exp is undone by the natural logarithm, math.log, not log10 or log2.": [
            log / math.log(base) / twice for base in (10, 2)
        ],
        "the logarithm is missing; it undoes exp.": 2 * count / delta / twice,
        "count belongs above the line: ln(2 · count / δ).": math.log(2 / (count * delta)) / twice,
        "delta is the chance of failure. You put in that of success, 1 − δ.": (
            math.log(2 * count / (1 - delta)) / twice
        ),
        "half as many as are needed: 2ε² is twice the square of ε, not the square of 2ε.": (
            log / twice / 2
        ),
        "you multiply by ε² where you should divide: 2ε² below the line needs brackets,"
        " / (2 * eps**2).": log / 2 * eps**2,
        "four times too many: 2ε² stands below, and you divide by ε²/2.": log / eps**2 * 2,
    }
    if abs(mine - exact) < 2:
        return (
            f"the exact number is {exact:.2f}, and you say {mine:.2f}. The next whole number is"
            " wanted: math.ceil."
        )
    return recognised(mine, mistakes, same=whole) or (
        f"for ε = {eps:.3f}, {count} rules and δ = {delta:.3f}, {math.ceil(exact):,} are wanted;"
        f" you say {mine:,.0f}."
    )


def lender(rows: pd.DataFrame) -> np.ndarray:
    """The black box of the exercise: an alarm for high debt with a low income.

    It never reads the shoes.
    """
    return ((rows["debt"] == "high") & (rows["income"] == "low")).to_numpy()


WORDS = {"debt": {"high", "low"}, "income": {"high", "low"}, "shoes": {"red", "black"}}


@exercise(
    LESSON,
    mes.red_shoes,
    "Draw debt and income by coin. Then let the shoes follow from the two.",
    "shoes = np.where((debt == 'high') & (income == 'low'), 'red', 'black')",
    rounds=5,
)
def red_shoes(yours):
    """A world in which the shoes explain a box that never looks at them."""
    n = int(torch.randint(1500, 2500, ()))
    seed = int(torch.randint(2**31, ()))
    rows, again = (written(yours(n, np.random.default_rng(seed))) for _ in range(2))
    if not isinstance(rows, pd.DataFrame):
        what = (
            f"has shape {tuple(rows.shape)}"
            if hasattr(rows, "shape")
            else f"is a {type(rows).__name__}"
        )
        return f"your result {what}; a DataFrame of {n} rows is wanted."
    if set(rows.columns) != set(WORDS):
        return (
            f"your columns are {', '.join(map(str, rows.columns))}; debt, income and shoes are"
            " wanted."
        )
    if len(rows) != n:
        return f"n was {n}, and {len(rows)} rows came."
    for name, words in WORDS.items():
        if extra := set(rows[name]) - words:
            return (
                f"{name} is {extra.pop()!r} in one of your rows; {' or '.join(sorted(words))} is"
                " wanted."
            )
    alarms = lender(rows)
    if not 0.05 <= alarms.mean() <= 0.95:
        return (
            f"the alarm rings for {alarms.mean():.0%} of your customers. To tell alarms from quiet"
            " there must be some of each, 5 % at least."
        )
    fired = np.stack([rows["shoes"] == "red", rows["debt"] == "high", rows["income"] == "low"])
    shoes, debt, income = mes.score(fired, alarms)
    if shoes < 0.1:
        return (
            "your shoes have the colours exchanged: black where the alarm rings. Let those be red."
        )
    if shoes < 0.95:
        return (
            f'"shoes are red" scores {shoes:.3f} in your world; 0.95 is wanted. Let the colour'
            " follow from what the box reads."
        )
    other, best = max(
        (("debt is high", debt), ("income is low", income)), key=lambda named: named[1]
    )
    if shoes <= best:
        return (
            f'"{other}" scores {best:.2f}, as good as the shoes. In your world it decides alone;'
            " let customers vary, so that the box needs both columns."
        )
    if not np.array_equal(rows, again):
        return (
            "asked twice with the same rng, you drew other customers. Toss with rng alone, so that"
            " whoever hands it over can repeat it."
        )
    if np.array_equal(rows, yours(n, np.random.default_rng(seed + 1))):
        return "your customers are the same whatever rng is. Draw them with it: rng.choice(…, n)."
    return None
