"""Lesson 20's exercises, answered rightly in other ways than the course's, and wrongly in each way
that has a sentence of its own."""

import numpy as np
import pandas as pd
import pytest
import torch

from trickkit import debt
from trickkit.check import technical_debt as check

from .answers import accepted, refused


def by_group(of):
    """A bias from of(rides, forecasts) of each group."""

    def bias(rides, forecasts, by=None):
        rides = np.asarray(rides)
        if by is None:
            return of(rides, forecasts)
        by = np.asarray(by)
        return pd.Series({g: of(rides[by == g], forecasts[by == g]) for g in set(by)})

    return bias


def only_sliced(of):
    """Right for all hours, and of(rides, forecasts, by) by group."""
    return lambda rides, f, by: debt.bias(rides, f) if by is None else of(rides, f, by)


def of_all(rides, f, by):
    return (f - rides).groupby(by).sum() / rides.sum()


def misaligned(rides, f, by):
    return pd.Series(f).groupby(by).sum() / rides.groupby(by).sum() - 1


def greedy(limit=lambda whole, errors, tolerance: whole + tolerance, steps=99, pick=min):
    """Inputs dropped one at a time. limit: of (error with all, errors so far, tolerance)."""

    def drop(error_of, inputs, tolerance):
        kept, errors = list(inputs), [error_of(inputs)]
        for _ in range(steps):
            found = {n: error_of(tuple(k for k in kept if k != n)) for n in kept}
            name = pick(found, key=found.get)
            if len(kept) == 1 or found[name] > limit(errors[0], errors, tolerance):
                break
            kept.remove(name)
            errors.append(found[name])
        return [n for n in inputs if n not in kept]

    return drop


def each_alone(error_of, inputs, tolerance):
    most = error_of(inputs) + tolerance
    return [n for n in inputs if error_of(tuple(k for k in inputs if k != n)) <= most]


def first_come(error_of, inputs, tolerance):
    kept = list(inputs)
    for name in inputs:
        if error_of(tuple(k for k in kept if k != name)) <= error_of(inputs) + tolerance:
            kept.remove(name)
    return [n for n in inputs if n not in kept]


def stays(error_of, inputs, tolerance):
    gone = debt.which_to_drop(error_of, inputs, tolerance=tolerance)
    return [n for n in inputs if n not in gone]


def weights(of):
    """Weights from of(rides, bikes, explored, chance)."""
    return lambda log, chance: of(log["rides"], log["bikes"], log["explored"], chance)


WRONG = [
    (check.bias, by_group(lambda r, f: (r - f).sum() / r.sum()), "sign is turned"),
    (check.bias, by_group(lambda r, f: ((f - r) / r).mean()), "mean of each hour's own ratio"),
    (check.bias, by_group(lambda r, f: (f / r).mean()), "mean of each hour's own ratio"),
    (check.bias, by_group(lambda r, f: f.sum() / r.sum()), "take 1 away"),
    (check.bias, by_group(lambda r, f: abs(f - r).sum() / r.sum()), "bias keeps the signs"),
    (check.bias, by_group(lambda r, f: (f - r).sum() / f.sum()), "divide by the forecasts"),
    (check.bias, by_group(lambda r, f: (f - r).mean()), "this is in rides"),
    (check.bias, by_group(lambda r, f: 100 * debt.bias(r, f)), "in percent"),
    (check.bias, by_group(lambda r, f: 2 * debt.bias(r, f)), "and yours is"),
    (check.bias, lambda r, f, by: debt.bias(r, f), "still give one number"),
    (check.bias, only_sliced(lambda r, f, by: debt.bias(r, f, by=by).to_dict()), "type dict"),
    (check.bias, only_sliced(lambda r, f, by: debt.bias(r, f, by=by).to_numpy()), "type ndarray"),
    (
        check.bias,
        lambda r, f, by: (
            pd.DataFrame({"off": f - r}).groupby(by).sum()["off"] if by is not None else np.zeros(0)
        ),
        "by may be None",
    ),
    (check.bias, only_sliced(lambda r, f, by: debt.bias(r, f, by=by).reset_index()), "DataFrame"),
    (check.bias, only_sliced(lambda r, f, by: (f - r) / r), "is indexed by"),
    (check.bias, only_sliced(misaligned), "matches rows by their index"),
    (check.bias, only_sliced(of_all), "Divide by its own"),
    (check.bias, only_sliced(lambda r, f, by: -debt.bias(r, f, by=by)), "sign is turned"),
    (check.bias, only_sliced(lambda r, f, by: ((f - r) / r).groupby(by).mean()), "own ratio"),
    (check.bias, only_sliced(lambda r, f, by: debt.bias(r, f, by=by) * 2), "for the group"),
    (check.bias, lambda r, f, by: np.array([debt.bias(r, f)]), "has shape"),
    (check.which_to_drop, each_alone, "try each input alone"),
    (check.which_to_drop, stays, "what stays"),
    (check.which_to_drop, greedy(lambda w, e, t: e[-1] + t), "small losses add up"),
    (check.which_to_drop, greedy(steps=1), "stop after the first"),
    (check.which_to_drop, lambda error_of, inputs, tolerance: [], "nothing goes"),
    (check.which_to_drop, greedy(lambda w, e, t: min(e) + t), "least error so far"),
    (check.which_to_drop, first_come, "the first input that can go"),
    (check.which_to_drop, greedy(lambda w, e, t: e[-1]), "stop after the first"),
    (check.which_to_drop, greedy(pick=max), "nothing goes"),
    (check.which_to_drop, lambda error_of, inputs, tolerance: ["rides"], "none of the inputs"),
    (check.which_to_drop, lambda error_of, inputs, tolerance: list(inputs), "the error goes from"),
    (check.which_to_drop, lambda error_of, inputs, tolerance: 3, "a int came"),
    (check.demand_weights, weights(lambda r, b, e, c: np.ones(len(r))), "you believe the log"),
    (check.demand_weights, weights(lambda r, b, e, c: r < b), "throw away every hour"),
    (check.demand_weights, weights(lambda r, b, e, c: (r < b) | e), "counts once. It stands"),
    (
        check.demand_weights,
        weights(lambda r, b, e, c: np.where(e, 1 / c, r < b)),
        "every explored hour",
    ),
    (check.demand_weights, weights(lambda r, b, e, c: e / c), "explored hours alone"),
    (
        check.demand_weights,
        weights(lambda r, b, e, c: np.where(r >= b, e * c, 1)),
        "divide by it",
    ),
    (
        check.demand_weights,
        weights(lambda r, b, e, c: np.where(r > b, e / c, 1)),
        "as many rides as bikes",
    ),
    (
        check.demand_weights,
        lambda log, chance: debt.demand_weights(log, chance=chance) * log["rides"],
        "you return rides",
    ),
    (
        check.demand_weights,
        lambda log, chance: (debt.demand_weights(log, chance=chance) * log["rides"]).sum(),
        "one number came",
    ),
    (
        check.demand_weights,
        lambda log, chance: (w := debt.demand_weights(log, chance=chance)) / w.sum(),
        "add up to 1",
    ),
    (
        check.demand_weights,
        weights(lambda r, b, e, c: np.where(r >= b, e / (1 - c), 1)),
        "and yours is",
    ),
    (
        check.demand_weights,
        weights(lambda r, b, e, c: np.where(e, 1 / c, 1)),
        "which was not explored, does not show",
    ),
    (
        check.demand_weights,
        lambda log, chance: debt.demand_weights(log.sort_index(), chance=chance),
        "in another order",
    ),
]

RIGHT = [
    (check.bias, by_group(lambda r, f: f.sum() / r.sum() - 1)),
    (check.bias, only_sliced(lambda r, f, by: (f - r).groupby(by).sum() / r.groupby(by).sum())),
    (check.bias, only_sliced(lambda r, f, by: debt.bias(r, f, by=by)[::-1].astype("float32"))),
    (check.which_to_drop, greedy()),
    (check.which_to_drop, lambda e, i, t: set(debt.which_to_drop(e, i, tolerance=t))),
    (check.which_to_drop, lambda e, i, t: np.array(debt.which_to_drop(e, i, tolerance=t)[::-1])),
    (check.demand_weights, weights(lambda r, b, e, c: (r < b) + (r >= b) * e / c)),
    (
        check.demand_weights,
        lambda log, c: [
            1 if row.rides < row.bikes else row.explored / c for row in log.itertuples()
        ],
    ),
    (
        check.demand_weights,
        lambda log, c: torch.tensor(debt.demand_weights(log, chance=c)).float(),
    ),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
