"""The checks of lesson 20.

Each draws a fresh log of rides, or a fresh account of what inputs are worth.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from trickkit import debt
from trickkit.check import (
    Marks,
    called,
    exercise,
    fresh_rng,
    progress,
    recognised,
    same,
    shaped,
    written,
)

__all__ = ["bias", "demand_weights", "progress", "which_to_drop"]
LESSON = "20 technical_debt"


def biases(rides: Any, forecasts: Any, total: Any) -> Marks:
    """The sentences for what a wrong bias may equal.

    rides, forecasts: a group's, (N,).
    total: the rides of all groups.
    """
    off = forecasts - rides
    right = off.sum() / rides.sum()
    return {
        "the sign is turned: too few rides forecast is a bias below 0.": -right,
        "this is the mean of each hour's own ratio, in which an hour at night counts as much as the"
        " rush hour. Sum first, then divide.": [(off / rides).mean(), (forecasts / rides).mean()],
        "this is the forecasts' share of the rides; take 1 away, so that 0 is no bias.": right + 1,
        "you add up the sizes of the errors, so that nothing cancels. That is error; bias keeps the"
        " signs.": abs(off).sum() / rides.sum(),
        "you divide by the forecasts; divide by the rides, which are the truth.": (
            off.sum() / forecasts.sum()
        ),
        "this is in rides; divide by the sum of the rides.": [off.mean(), off.sum()],
        "this is in percent; a share is wanted.": 100 * right,
        "each group is divided by the rides of all. Divide by its own.": off.sum() / total,
    }


@exercise(
    LESSON,
    debt.bias,
    "Without groups: (forecasts - rides).sum() / rides.sum().",
    "With groups: sum both columns of a table within each group,"
    " table.groupby(np.asarray(by)).sum(), and divide afterwards.",
)
def bias(yours):
    """How many rides too many are forecast, as a share of the rides."""
    rng = fresh_rng()
    names = [str(name) for name in rng.permutation(["holiday", "sunday", "workday"])]
    place = np.concatenate([[0, 1, 2], rng.integers(0, 3, 57)])
    rides = pd.Series(rng.integers(5, 400, 60), index=1000 + rng.permutation(60), name="rides")
    forecasts = rides.to_numpy() * np.array([0.5, 0.8, 1.4])[place] * rng.uniform(0.7, 1.3, 60)
    by = pd.Series(np.array(names)[place], index=rides.index, name="day")
    right = debt.bias(rides, forecasts)
    known: Marks = {"by may be None: then one number for all hours is wanted.": (0,)}
    mine = called(yours, rides, forecasts, None, like=right, known=known)
    if not same(mine, right):
        mistakes = biases(rides.to_numpy(), forecasts, np.inf)
        return recognised(mine, mistakes) or f"it is {right:+.4f}, and yours is {float(mine):+.4f}."
    return sliced(written(yours(rides, forecasts, by)), rides.to_numpy(), forecasts, by.to_numpy())


def sliced(mine: Any, rides: np.ndarray, forecasts: np.ndarray, by: np.ndarray) -> str | None:
    """The sentence for a bias by group that is not right, else None."""
    right: Any = debt.bias(rides, forecasts, by=by)
    if np.ndim(mine) == 0 and not isinstance(mine, dict | str):
        return "with by, you still give one number for all hours; one for each group is wanted."
    if not isinstance(mine, pd.Series):
        return (
            "with by, a pandas Series is wanted, indexed by the groups; yours is of type"
            f" {type(mine).__name__}."
        )
    if set(mine.index) != set(right.index) or len(mine) != len(right):
        return (
            f"your Series is indexed by {list(mine.index)[:4]}; the groups are {list(right.index)}."
        )
    values = mine.reindex(right.index).to_numpy()
    if wrong := shaped(
        values,
        right.to_numpy(),
        not_finite="some groups are NaN. pandas matches rows by their index, not by their place:"
        " np.asarray(…) takes the index away.",
    ):
        return wrong
    if same(values, right.to_numpy()):
        return None
    groups = [biases(rides[by == g], forecasts[by == g], rides.sum()) for g in right.index]
    mistakes: Marks = {}
    for sentence, mark in groups[0].items():
        several = range(len(mark)) if isinstance(mark, list) else [None]
        mistakes[sentence] = [
            np.array([g[sentence] if i is None else g[sentence][i] for g in groups])
            for i in several
        ]
    group = right.index[int(np.argmax(abs(values - right)))]
    return recognised(values, mistakes) or (
        f"for the group {group!r} it is {right[group]:+.4f}, and yours is {mine[group]:+.4f}."
    )


def account(rng: np.random.Generator) -> tuple[tuple[str, ...], Callable]:
    """Seven inputs, and what a model without some of them gets wrong.

    Two tell the same, so that either can go, and not both; one does harm; two cost little, a third
    too much on top of them; one is needed.
    """
    weather = ["rain", "snow", "fog", "sun", "hail", "dew", "frost"]
    names = tuple(map(str, rng.permutation(weather)))
    twin, other, harm, small, middle, large, _ = rng.permutation(names).tolist()
    drawn = rng.uniform(0.95, 1.05, 6)
    costs = {twin: 0.2, other: 0.8, harm: -2.0, small: 2.6, middle: 3.6, large: 4.5}
    costs = {name: 1e-3 * cost * d for (name, cost), d in zip(costs.items(), drawn, strict=True)}
    base = rng.uniform(0.2, 0.3)

    def error_of(inputs):
        gone = set(names) - set(inputs)
        found = base + sum(costs.get(name, 0.2) for name in gone)
        return found + 0.1 * ({twin, other} <= gone)

    return names, error_of


def first_come(error_of: Callable, inputs: tuple[str, ...], tolerance: float) -> set[str]:
    """What goes where each input is tried once, in the order given."""
    kept = inputs
    for name in inputs:
        fewer = tuple(n for n in kept if n != name)
        if error_of(fewer) <= error_of(inputs) + tolerance:
            kept = fewer
    return set(inputs) - set(kept)


def greedy(
    error_of: Callable, inputs: tuple[str, ...], limit: Callable[[list[float]], float]
) -> set[str]:
    """What goes, one at a time, while the least error is at most a limit of the errors so far."""
    kept = inputs
    errors = [error_of(inputs)]
    while len(kept) > 1:
        without = [tuple(n for n in kept if n != gone) for gone in kept]
        best = min(without, key=error_of)
        if error_of(best) > limit(errors):
            break
        kept = best
        errors.append(error_of(best))
    return set(inputs) - set(kept)


@exercise(
    LESSON,
    debt.which_to_drop,
    "Keep a tuple of what is left. Ask error_of for each tuple that has one input less.",
    "most = error_of(inputs) + tolerance is reckoned once, at the beginning. Drop the input without"
    " which the error is least; stop when even that is above most.",
    rounds=3,
)
def which_to_drop(yours):
    """Which inputs a model can do without, all of them together."""
    tolerance = 0.005
    while True:
        inputs, error_of = account(fresh_rng())
        right = set(debt.which_to_drop(error_of, inputs, tolerance=tolerance))
        mistakes = ways(error_of, inputs, tolerance, right)
        if len(set(map(frozenset, [right, *mistakes.values()]))) == len(mistakes) + 1:
            break
    came = written(yours(error_of, inputs, tolerance))
    kind = type(came).__name__
    if isinstance(came, str | dict) or not hasattr(came, "__iter__") or np.ndim(came) > 1:
        shape = f" It has shape {np.shape(came)}." if np.ndim(came) else ""
        return f"a list of names is wanted, those that go; a {kind} came.{shape}"
    if hasattr(came, "gi_frame"):
        return "your function yields the names one by one; return all of them in a list: return."
    mine = {str(name) for name in came}
    if mine == right:
        return None
    if strange := mine - set(inputs):
        return f"{sorted(strange)[0]!r} is none of the inputs; they are {', '.join(inputs)}."
    after = error_of([name for name in inputs if name not in mine])
    return next((said for said, gone in mistakes.items() if mine == gone), None) or (
        f"you drop {', '.join(sorted(mine))}: the error goes from {error_of(inputs):.4f} to"
        f" {after:.4f}, with a tolerance of {tolerance}. One at a time it would be"
        f" {', '.join(sorted(right))}."
    )


def ways(
    error_of: Callable, inputs: tuple[str, ...], tolerance: float, right: set[str]
) -> dict[str, set[str]]:
    """The sentence for a mistake -> what goes by it."""
    alone = {name: error_of(tuple(n for n in inputs if n != name)) for name in inputs}
    return {
        "you return what stays; wanted is what goes.": set(inputs) - right,
        "you try each input alone, and then drop all that passed. Two of them tell the same: either"
        " can go, and not both. After each that goes, measure again.": (
            {name for name in inputs if alone[name] <= error_of(inputs) + tolerance}
        ),
        "you compare each step with the step before, so that small losses add up beyond the"
        " tolerance. Compare with the error of all inputs.": (
            greedy(error_of, inputs, lambda errors: errors[-1] + tolerance)
        ),
        "you stop after the first. Go on with what is left: the error may rise, by the tolerance in"
        " all.": {min(alone, key=alone.__getitem__)},
        "nothing goes. Which model has the least error, of those that lack one input?": set(),
        "you compare with the least error so far; compare with the error of all inputs.": (
            greedy(error_of, inputs, lambda errors: min(errors) + tolerance)
        ),
        "each time you drop the first input that can go; drop the one without which the error is"
        " least.": first_come(error_of, inputs, tolerance),
    }


@exercise(
    LESSON,
    debt.demand_weights,
    "Where rides < bikes, bikes were left: what was logged is the demand, and counts once.",
    "Where the bikes ran out, explored / chance is 0 for an hour like any other, and 1 / chance for"
    " an explored one. np.where chooses.",
)
def demand_weights(yours):
    """How many hours each hour of a log stands for."""
    rng = fresh_rng()
    chance = float(rng.choice([0.1, 0.2, 0.25]))
    bikes = rng.integers(20, 90, 80)
    demand = np.where(np.arange(80) % 2, bikes - rng.integers(1, 20, 80), bikes + 5)
    demand[:8] = bikes[:8]  # the last bike goes, and nobody is turned away
    explored = np.arange(80) % 5 == 0
    order = rng.permutation(80)
    log = pd.DataFrame(
        {
            "rides": np.where(explored, demand, np.minimum(demand, bikes)),
            "bikes": bikes,
            "explored": explored,
        }
    ).iloc[order]
    right = debt.demand_weights(log, chance=chance)
    known: Marks = {"one number came; wanted is a weight for each hour of the log.": ()}
    mine = called(yours, log, chance, like=right, what="list of weights", known=known)
    if same(mine, right):
        return None
    rides, bikes, tried = (log[name].to_numpy() for name in ("rides", "bikes", "explored"))
    out = rides >= bikes
    mistakes = {
        "you believe the log: every hour counts once, also those in which the bikes ran out.": (
            np.ones(80)
        ),
        "you throw away every hour in which the bikes ran out, explored or not. What is left are"
        " the quiet ones.": 1.0 * ~out,
        "an explored hour whose bikes would have run out counts once. It stands for those, too,"
        " that were not explored: 1 / chance.": np.where(out, tried, 1),
        "every explored hour counts 1 / chance. Where bikes were left, the hours that were not"
        " explored speak for themselves: count 1.": np.where(tried, 1 / chance, ~out),
        "you use the explored hours alone. That is not wrong on average, but throws away all hours"
        " in which bikes were left.": tried / chance,
        "you multiply by chance; divide by it.": np.where(out, tried * chance, 1),
        "an hour with as many rides as bikes counts once. Its bikes ran out: who came later is not"
        " in the log. Compare with >=.": np.where(rides > bikes, tried / chance, 1),
        "you return rides; wanted is how often each hour counts.": right * rides,
        "your weights add up to 1; let an hour in which bikes were left count 1.": [
            right / right.sum()
        ],
    }
    if sentence := recognised(mine, mistakes):
        return sentence
    if same(np.sort(mine), np.sort(right)):
        return "these are the right weights, in another order. Keep the order of the log."
    if (mine[out & ~tried] != 0).all():
        return (
            "an hour in which the bikes ran out, and which was not explored, does not show its"
            " demand. It counts 0."
        )
    i = int(np.argmax(~np.isclose(mine, right)))
    return (
        f"an hour with {rides[i]} rides and {bikes[i]} bikes, explored: {tried[i]}, counts"
        f" {right[i]:g} at a chance of {chance:g}, and yours is {float(mine[i]):g}."
    )
