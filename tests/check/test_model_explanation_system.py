"""Lesson 17's exercises, answered rightly in other ways than the course's, and wrongly in each way
that has a sentence of its own."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from trickkit.check import model_explanation_system as check

from .answers import accepted, refused


def halves(both):
    """A score made of the two halves and the bits."""
    return lambda fired, alarms: both(
        fired[:, alarms].mean(1), (~fired[:, ~alarms]).mean(1), fired, alarms
    )


def spoilt(fired, alarms):
    fired[:, ~alarms] = ~fired[:, ~alarms]
    return (fired[:, alarms].mean(1) + fired[:, ~alarms].mean(1)) / 2


def hoeffding_wrong(
    log=lambda count, delta: math.log(2 * count / delta),
    per=lambda eps: 2 * eps**2,
    whole=math.ceil,
):
    return lambda eps, count, delta: whole(log(count, delta) / per(eps))


def world_wrong(
    red=lambda debt, income, dice: (debt == "high") & (income == "low"),
    debts=("high", "low"),
    incomes=("high", "low"),
    colours=("red", "black"),
    **changed,
):
    """A world with one thing wrong. red: debt, income, dice -> who wears red shoes."""

    def world(n, dice):
        debt = dice.choice(debts, n)
        income = dice.choice(incomes, n)
        rows = {
            "debt": debt,
            "income": income,
            "shoes": np.where(red(debt, income, dice), *colours),
        }
        return pd.DataFrame(rows).rename(columns=changed)

    return world


WRONG = [
    (
        check.score,
        lambda f, a: (f == a).mean(1),
        "the plain share of agreement.*never holds gets 0",
    ),
    (check.score, halves(lambda c, q, f, a: c), "the alarms caught only"),
    (check.score, halves(lambda c, q, f, a: q), "the quiet left alone only"),
    (check.score, halves(lambda c, q, f, a: c + q), "go up to 2"),
    (
        check.score,
        halves(lambda c, q, f, a: (c + 1 - q) / 2),
        "in the quiet you count where the rule holds",
    ),
    (check.score, halves(lambda c, q, f, a: 1 - (c + q) / 2), "upside down"),
    (check.score, halves(lambda c, q, f, a: c * q), "multiply the two halves"),
    (check.score, lambda f, a: ((f & a).mean(1) + (~f & ~a).mean(1)) / 2, "divided by all inputs"),
    (
        check.score,
        halves(lambda c, q, f, a: ((f & a).sum(1) / np.maximum(f.sum(1), 1) + q) / 2),
        "rows that are alarms",
    ),
    (check.score, halves(lambda c, q, f, a: c + q - 1), "from −1 to 1"),
    (
        check.score,
        halves(lambda c, q, f, a: np.sqrt(c * q)),
        "% of the quiet alone has 0.*you give it",
    ),
    (check.score, lambda f, a: ((f & a).sum(1) + (~f & ~a).sum(1)) / 2, "not .sum"),
    (check.score, halves(lambda c, q, f, a: ((c + q) / 2).mean()), "has shape"),
    (check.score, spoilt, "changed fired itself"),
    (
        check.draws_needed,
        lambda eps, count, delta: count * math.ceil(math.log(2 / delta) / (2 * eps**2)),
        "you multiply the draws by count",
    ),
    (
        check.draws_needed,
        hoeffding_wrong(lambda count, delta: math.log(delta / 2 / count), whole=math.floor),
        "the sign is turned",
    ),
    (
        check.draws_needed,
        hoeffding_wrong(lambda count, delta: math.log(2 / delta)),
        "enough for one rule",
    ),
    (
        check.draws_needed,
        hoeffding_wrong(lambda count, delta: math.log(count / delta)),
        "on either side",
    ),
    (check.draws_needed, hoeffding_wrong(per=lambda eps: eps**2), "twice too many"),
    (check.draws_needed, hoeffding_wrong(per=lambda eps: 2 / eps**2), "needs brackets"),
    (
        check.draws_needed,
        hoeffding_wrong(log=lambda count, delta: 2 * count / delta, whole=float),
        "the logarithm is missing",
    ),
    (
        check.draws_needed,
        hoeffding_wrong(log=lambda count, delta: math.log(2 / (count * delta)), whole=float),
        "above the line",
    ),
    (check.draws_needed, hoeffding_wrong(per=lambda eps: 2 * eps), "not by ε²"),
    (
        check.draws_needed,
        hoeffding_wrong(lambda count, delta: count * math.log(2 / delta)),
        "multiply the draws",
    ),
    (
        check.draws_needed,
        hoeffding_wrong(lambda count, delta: math.log10(2 * count / delta)),
        "natural logarithm",
    ),
    (check.draws_needed, hoeffding_wrong(whole=float), "cannot be made. Round up"),
    (check.draws_needed, hoeffding_wrong(whole=math.floor), "Round up: math.ceil"),
    (check.draws_needed, lambda eps, count, delta: 1000, "are wanted; you say 1,000"),
    (
        check.red_shoes,
        world_wrong(lambda debt, income, dice: dice.random(len(debt)) < 0.5),
        "0.95 is wanted",
    ),
    (check.red_shoes, world_wrong(lambda debt, income, dice: debt == "high"), "0.95 is wanted"),
    (check.red_shoes, world_wrong(colours=("black", "red")), "colours exchanged"),
    (
        check.red_shoes,
        world_wrong(incomes=("low",)),
        '"debt is high" scores 1.00, as good as the shoes',
    ),
    (check.red_shoes, world_wrong(debts=("high",)), '"income is low" scores 1.00, as good'),
    (check.red_shoes, world_wrong(debts=("low",)), "rings for 0% of your customers"),
    (
        check.red_shoes,
        world_wrong(debts=("high",), incomes=("low",)),
        "rings for 100% of your customers",
    ),
    (
        check.red_shoes,
        world_wrong(colours=("Red", "black")),
        "shoes is 'Red' in one of your rows; black or red",
    ),
    (check.red_shoes, world_wrong(shoes="hats"), "debt, income and shoes are wanted"),
    (check.red_shoes, lambda n, dice: world_wrong()(10, dice), r"n was \d+, and 10 rows came"),
    (
        check.red_shoes,
        lambda n, dice: world_wrong()(n, np.random.default_rng()),
        "asked twice with the same rng",
    ),
    (
        check.red_shoes,
        lambda n, dice: world_wrong()(n, np.random.default_rng(0)),
        "the same whatever rng is",
    ),
    (check.red_shoes, lambda n, dice: world_wrong()(2600, dice), "and 2600 rows came"),
    (check.draws_needed, hoeffding_wrong(lambda k, d: math.log(2 * k / (1 - d))), "1 − δ"),
    (
        check.draws_needed,
        hoeffding_wrong(whole=lambda n: math.ceil(n) + 1),
        "The next whole number",
    ),
]

RIGHT = [
    (check.score, halves(lambda c, q, f, a: [(x + y) / 2 for x, y in zip(c, q, strict=True)])),
    (check.score, halves(lambda c, q, f, a: (1 + c - f[:, ~a].mean(1)) / 2)),
    (check.score, lambda f, a: torch.as_tensor([(r[a].mean() + 1 - r[~a].mean()) / 2 for r in f])),
    (
        check.score,
        lambda f, a: np.average(f == a, axis=1, weights=np.where(a, 1 / a.sum(), 1 / (~a).sum())),
    ),
    (
        check.draws_needed,
        lambda eps, count, delta: int(np.ceil(np.log(2 * count / delta) / 2 / eps**2)),
    ),
    (
        check.draws_needed,
        hoeffding_wrong(lambda count, delta: np.log(2) - np.log(delta / count), whole=np.ceil),
    ),
    (check.red_shoes, world_wrong(debts=("high", "low", "low"))),
    (
        check.red_shoes,
        world_wrong(
            lambda debt, income, dice: (
                ((debt == "high") & (income == "low")) ^ (dice.random(len(debt)) < 0.02)
            )
        ),
    ),
    (check.red_shoes, lambda n, dice: world_wrong()(n, dice).sample(frac=1, random_state=1)),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
