"""The checks of lesson 20.

Each draws a fresh log of rides, or a fresh account of what inputs are worth.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

from trickkit import debt, monitors, scorecard
from trickkit.check import (
    Marks,
    Trial,
    Wrong,
    called,
    exercise,
    fresh_rng,
    progress,
    recognised,
    same,
    shaped,
    told_apart,
    written,
)

__all__ = [
    "bias",
    "data_contract",
    "demand_weights",
    "ml_test_score",
    "progress",
    "psi_alarm",
    "which_to_drop",
]
LESSON = "20 technical_debt"
WITHOUT_GROUPS = "by may be None: then one number for all hours is wanted."
BY_INDEX = (
    "pandas matches rows by their index, not by their place: np.asarray(…) takes the index away."
)


def biases(rides: Any, forecasts: Any, total: Any) -> Marks:
    """The sentences for what a wrong bias may equal.

    rides, forecasts: a group's, (N,).
    total: the rides of all groups.
    """
    off = forecasts - rides
    right = off.sum() / rides.sum()
    return {
        "the sign is turned, or lost: too few rides forecast is a bias below 0.": [
            -right,
            abs(right),
        ],
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
    "Without groups: sum first, all that is forecast less all rides; then divide, by all rides.",
    "With groups: sum both columns of a table within each group,"
    " table.groupby(np.asarray(by)).sum(), and divide afterwards.",
)
def bias(yours):
    """How many rides too many are forecast, as a share of the rides.

    Raises Wrong where it is right by group, and stops without groups.
    """
    rng = fresh_rng()
    names = [str(name) for name in rng.permutation(["holiday", "sunday", "workday"])]
    place = np.concatenate([[0, 1, 2], rng.integers(0, 3, 57)])
    rides = pd.Series(rng.integers(5, 400, 60), index=1000 + rng.permutation(60), name="rides")
    forecasts = rides.to_numpy() * np.array([0.5, 0.8, 1.4])[place] * rng.uniform(0.7, 1.3, 60)
    by = pd.Series(np.array(names)[place], index=rides.index, name="day")
    right = debt.bias(rides, forecasts)
    known: Marks = {WITHOUT_GROUPS: (0,)}
    try:
        mine = called(yours, rides, forecasts, None, like=right, known=known)
    except Exception as error:
        if sliced(written(yours(rides, forecasts, by)), rides.to_numpy(), forecasts, by.to_numpy()):
            raise
        raise Wrong(WITHOUT_GROUPS) from error
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
        not_finite=f"some groups are NaN: {BY_INDEX}",
    ):
        return wrong
    if same(values, right.to_numpy()):
        return None
    groups = [biases(rides[by == g], forecasts[by == g], rides.sum()) for g in right.index]
    # a table whose rows match nowhere has no forecasts in any group
    mistakes: Marks = {f"no forecast has found its hour: {BY_INDEX}": np.full(len(right), -1.0)}
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
    """Nine inputs, and what a model without some of them gets wrong.

    Two tell the same, so that either can go, and not both; one does harm; one costs little while
    that is there, and much once it has gone; two cost little, a third too much on top of them, and
    a fourth still more; one is needed.
    """
    weather = ["rain", "snow", "fog", "sun", "hail", "dew", "frost", "cloud", "storm"]
    names = tuple(map(str, rng.permutation(weather)))
    twin, other, harm, small, middle, large, huge, most, _ = rng.permutation(names).tolist()
    drawn = rng.uniform(0.95, 1.05, 8)
    costs = {twin: 0.2, other: 0.8, harm: -2.0, small: 2.6}
    costs |= {middle: 2.9, large: 3.4, huge: 4.5, most: 4.7}
    costs = {name: 1e-3 * cost * d for (name, cost), d in zip(costs.items(), drawn, strict=True)}
    base = rng.uniform(0.2, 0.3)

    def error_of(inputs):
        if isinstance(inputs, str):
            raise TypeError(f"error_of takes a tuple of names, those that are read, not {inputs!r}")
        gone = set(names) - set(inputs)
        found = base + sum(costs.get(name, 0.2) for name in gone)
        return found + 0.1 * ({twin, other} <= gone) + 0.003 * ({harm, small} <= gone)

    return names, error_of


def first_come(
    error_of: Callable, inputs: tuple[str, ...], tolerance: float, order: Iterable[str]
) -> set[str]:
    """What goes where each input is tried once, in an order."""
    kept = inputs
    for name in order:
        fewer = tuple(n for n in kept if n != name)
        if error_of(fewer) <= error_of(inputs) + tolerance:
            kept = fewer
    return set(inputs) - set(kept)


def greedy(
    error_of: Callable,
    inputs: tuple[str, ...],
    limit: Callable[[list[float]], float],
    pick: Callable = min,
) -> set[str]:
    """What goes, one at a time, while the error is at most a limit of the errors so far.

    pick: the best of those that can go, or the worst.
    """
    kept = inputs
    errors = [error_of(inputs)]
    while len(kept) > 1:
        without = [tuple(n for n in kept if n != gone) for gone in kept]
        possible = [names for names in without if error_of(names) <= limit(errors)]
        if not possible:
            break
        kept = pick(possible, key=error_of)
        errors.append(error_of(kept))
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
    left = [name for name in inputs if name not in right]
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
        "one too many goes: it brings the error above the tolerance. Test before you drop.": (
            right | {min(left, key=lambda gone: error_of([n for n in left if n != gone]))}
        ),
        "you rank the inputs once, by the error without each alone. After one has gone, another may"
        " be the best: measure again, each time.": (
            first_come(error_of, inputs, tolerance, sorted(inputs, key=alone.__getitem__))
        ),
        "you stop after the first. Go on with what is left: the error may rise, by the tolerance in"
        " all.": {min(alone, key=alone.__getitem__)},
        "nothing goes. Ask error_of for what is left without one input, not for that input alone;"
        " then drop where the error is least.": set(),
        "you forget the tolerance: by so much the error may rise above that of all inputs.": (
            greedy(error_of, inputs, lambda errors: errors[0])
        ),
        "each time you drop the input that costs most and still can go; drop the one without which"
        " the error is least.": (
            greedy(error_of, inputs, lambda errors: errors[0] + tolerance, pick=max)
        ),
        "you compare with the least error so far; compare with the error of all inputs.": (
            greedy(error_of, inputs, lambda errors: min(errors) + tolerance)
        ),
        "each time you drop the first input that can go; drop the one without which the error is"
        " least.": first_come(error_of, inputs, tolerance, inputs),
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
    chance = float(rng.choice([0.15, 0.3]))
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
        "your weights are cut to whole numbers; 1 / chance need not be one.": [
            np.trunc(right),
            np.round(right),
        ],
        "you multiply by chance; divide by it.": np.where(out, tried * chance, 1),
        "an explored hour can have more rides than bikes, and then they would have run out, too."
        " Compare with >=.": np.where(rides == bikes, tried / chance, 1),
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


def weather(rng: np.random.Generator, days: int) -> pd.DataFrame:
    """Hours of made-up weather, whose felt temperature is never far from the other."""
    n = 24 * days
    temperature = rng.uniform(0, 30, n)
    return pd.DataFrame(
        {
            "date": pd.Timestamp("2011-01-01") + pd.to_timedelta(np.repeat(range(days), 24), "D"),
            "hour": np.tile(range(24), days),
            "temperature": temperature,
            "feels_like": temperature + rng.uniform(-4, 4, n),
            "humidity": rng.uniform(20, 95, n),
            "wind": rng.uniform(0, 50, n),
        },
        index=range(500, 500 + n),
    )


def months(
    rng: np.random.Generator, clean: pd.DataFrame, *, name: str, steady: str
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The sentence for a wrong answer, and a month of which a contract has to say something.

    clean: hours that keep it.
    name: the column that is to leave its range.
    steady: the one that is to stand still, temperature or wind.
    """
    month = clean.iloc[24 * 3 : 24 * 31]

    def spoilt(rows, **columns):
        changed = month.copy()
        for name, values in columns.items():
            changed.loc[rows, name] = values
        return changed

    hours = month.index[rng.choice(len(month), 9, replace=False)]
    low, high = clean[name].min(), clean[name].max()
    gap = clean["feels_like"] - clean["temperature"]
    day = month.index[month["date"] == rng.choice(month["date"])]
    stuck = follows(spoilt(day, **{steady: 20.0}), gap)
    plus = (month["feels_like"] > month["temperature"]) & (month["temperature"] > 0)
    yield "alarms in a month like those it has learned from", month[plus]
    yield (
        "alarms on a feels_like below the temperature, as it has learned from. Where low is below"
        " 0, low times 0.95 lies above it: take away a twentieth of high − low",
        month,
    )
    for column in monitors.WEATHER:
        yield (
            f"lets a missing {column} pass. Either {column} is not looked at, or it is compared:"
            " whatever a NaN is compared with, the answer is False. Ask which hours lie inside, and"
            " turn that round",
            spoilt(hours, **{column: np.nan}),
        )
    for edge, sign in ((low, -1), (high, 1)):
        yield (
            f"alarms on {name} just outside what it has learned, as in a hot July. A twentieth of"
            " the range, on either side, is allowed",
            only_gap(spoilt(hours, **{name: edge + sign * 0.03 * (high - low)}), name),
        )
        yield (
            f"lets {name} pass that lies a tenth of the range {'below' if sign < 0 else 'above'}"
            " it. Only a twentieth is allowed",
            only_gap(spoilt(hours, **{name: edge + sign * 0.1 * (high - low)}), name),
        )
    yield (
        f"lets a day pass on which {steady} never changes: with one value all day it is stuck, and"
        " one stuck column is enough",
        stuck,
    )
    yield (
        "lets a day of twelve hours pass on which a sensor is stuck. At least twelve: twelve will"
        " do",
        stuck.drop(day[12:]),
    )
    yield (
        "calls a sensor stuck on a day that has only eleven hours. Ask for twelve at least",
        stuck.drop(day[11:]),
    )
    yield (
        "lets a humidity given as a fraction pass, from 0.2 to 0.95. One day of train has humidity"
        " 0 all day: leave such days out before you learn the range",
        month.assign(humidity=month["humidity"] / 100),
    )
    yield (
        f"lets a {steady} of 75 pass. One day of train has {steady} 80 all day: leave out each day"
        " on which any of the four has one value, before you learn the range",
        follows(spoilt(hours, **{steady: 75.0}), gap),
    )
    yield (
        "lets 25 degrees pass that feel like 5. Each column is within its range, and their"
        " difference is not: feels_like − temperature wants a range of its own",
        spoilt(hours, temperature=25.0, feels_like=5.0),
    )
    yield (
        "alarms on a difference between feels_like and temperature that is just outside what it has"
        " learned. A twentieth of its range is allowed here too",
        spoilt(hours, temperature=15.0, feels_like=15 + gap.max() + 0.03 * (gap.max() - gap.min())),
    )


def follows(hours: pd.DataFrame, gap: pd.Series) -> pd.DataFrame:
    """Hours whose felt temperature follows the other, at its usual distance."""
    return hours.assign(feels_like=hours["temperature"] + gap.loc[hours.index])


def only_gap(hours: pd.DataFrame, changed: str) -> pd.DataFrame:
    """Hours whose felt temperature has followed the other, if it was that which was changed."""
    if changed != "temperature":
        return hours
    return hours.assign(feels_like=hours["temperature"].clip(-2, 32))


@exercise(
    LESSON,
    monitors.data_contract,
    'Begin with the stuck days: hours.groupby("date")[name].transform("nunique") == 1 tells, for'
    ' each hour, whether a column has one value that day; .transform("size") how many hours it'
    " has.",
    "Put the four columns and feels_like − temperature into one frame, values. Its .min() and"
    " .max(), without the stuck days, are the range; the slack is (high − low) / 20.",
    "((values >= low − slack) & (values <= high + slack)).all(axis=1) is True for hours that keep"
    " the contract. It is False for a NaN, as it should be.",
)
def data_contract(yours):
    """A contract learned from weather, and what it says of months in which something is wrong."""
    rng = fresh_rng()
    clean = weather(rng, 34)
    train = clean.copy()
    train.loc[train["date"] == train["date"].iloc[24 * 32], "humidity"] = 0.0
    name, steady = ("temperature", "wind") if rng.random() < 0.5 else ("wind", "temperature")
    train.loc[train["date"] == train["date"].iloc[24 * 33], steady] = 80.0
    train = follows(train, clean["feels_like"] - clean["temperature"])
    breaks = written(yours(train))
    if not callable(breaks):
        shape = getattr(breaks, "shape", None)
        came = f"a {type(breaks).__name__}" + (f" that has shape {tuple(shape)}" if shape else "")
        return (
            "a function is to be returned, which takes hours and says which of them break the"
            f" contract; yours returned {came}."
        )
    return broken_wrongly(
        Trial(breaks, breaks), train, months(rng, clean, name=name, steady=steady)
    )


def broken_wrongly(
    breaks: Callable, train: pd.DataFrame, cases: Iterator[tuple[str, pd.DataFrame]]
) -> str | None:
    """The sentence for a contract that is not the one that was asked for, else None."""
    right = monitors.data_contract(train)

    def returned(hours):
        if (came := breaks(hours)) is None:
            raise Wrong("your contract says nothing of the hours: end it with return.")
        rows = isinstance(came, pd.DataFrame) and "date" in came
        if rows or (np.ndim(came) == 1 and len(came) != len(hours)):
            raise Wrong(
                "your contract picks the hours that break it, or their places; wanted is one True"
                f" or False for each of the {len(hours)} hours."
            )
        return came

    for sentence, hours in cases:
        n = len(hours)
        known: Marks = {
            "your contract says one thing of all hours; wanted is which of them break it: one True"
            f" or False each, {n} here.": [(), bool],
            "your contract says something of each column; wanted is one True or False for each"
            " hour: .any(axis=1).": [(n, 4), (n, 5)],
        }
        wanted = right(hours)
        came = called(returned, hours, like=wanted, what="contract's answer", known=known)
        if not np.isin(came, (0, 1)).all():
            return f"your contract says {came.max():g} of an hour; True or False is wanted."
        if not wanted.all() and (came.astype(bool) == ~wanted).all():
            return "your contract says True of hours that keep it. Wanted are those that break it."
        if (came.astype(bool) != wanted).any():
            return f"your contract {sentence}."
    return None


@exercise(
    LESSON,
    monitors.psi_alarm,
    "PSI / (1/n + 1/m) is nearly χ² with bins − 1 degrees of freedom. So the threshold is a"
    " quantile of χ², times (1/n + 1/m).",
    "scipy.stats.chi2.isf(alpha, df) is what χ² exceeds in alpha of all cases.",
    rounds=3,
)
def psi_alarm(yours):
    """The PSI that is exceeded in a share alpha of cases where nothing has shifted."""
    rng = fresh_rng()
    while True:
        n, m = int(rng.integers(50, 400)), int(rng.integers(500, 3000))
        bins, alpha = int(rng.integers(5, 21)), float(rng.choice([0.01, 0.02, 0.1]))
        right = monitors.psi_alarm(n, m, bins=bins, alpha=alpha)
        q = chi2.isf(alpha, bins - 1)
        both = 1 / n + 1 / m
        mistakes: Marks = {
            "that is a fixed number. What PSI does by chance depends on n, m, bins and alpha.": [
                0.1,
                0.2,
                0.25,
            ],
            "1/m is missing: the reference was drawn by chance, too.": q / n,
            "1/n is missing: the sample is the smaller, and chance moves it more.": q / m,
            "χ² has bins − 1 degrees of freedom, for the shares add up to 1; you take bins.": (
                chi2.isf(alpha, bins) * both
            ),
            "your threshold does not fall as n grows: (1/n + 1/m) is missing.": q,
            "1/n + 1/m is not 1/(n + m).": q / (n + m),
            "you divide by (1/n + 1/m); multiply by it.": q / both,
            "nearly every PSI lies above your threshold: that is χ²'s quantile at alpha, and at"
            " 1 − alpha it is wanted. chi2.isf(alpha, df) is chi2.ppf(1 − alpha, df).": (
                chi2.ppf(alpha, bins - 1) * both
            ),
            "alpha is halved. Only a large PSI is an alarm, so all of alpha lies above.": (
                chi2.isf(alpha / 2, bins - 1) * both
            ),
            "your alpha is always 0.05; take the one that came.": chi2.isf(0.05, bins - 1) * both,
            "you count on 10 bins; take the number that came.": chi2.isf(alpha, 9) * both,
            "that is a probability of χ²; wanted is a quantile, chi2.isf(alpha, df).": [
                chi2.sf(alpha, bins - 1) * both,
                chi2.cdf(alpha, bins - 1) * both,
            ],
            "that is what PSI comes to on average, (bins − 1) · (1/n + 1/m), and it is exceeded"
            " nearly half the time.": (bins - 1) * both,
        }
        if told_apart(right, mistakes):
            break
    mine = called(yours, n, m, bins, alpha, like=right, what="threshold")
    if np.isclose(mine, right, rtol=1e-3):
        return None
    return recognised(mine, mistakes) or (
        f"for n = {n}, m = {m}, {bins} bins and alpha = {alpha:g} yours is {mine:.4g}; wanted is"
        f" {right:.4g}."
    )


@exercise(
    LESSON,
    scorecard.ml_test_score,
    "Add up the points of each section: sum(given) for given in points.values().",
    "The score is the least of these sums. sum([]) is 0, so an empty section needs no care.",
    rounds=3,
)
def ml_test_score(yours):
    """The lowest of the sums of the sections."""
    rng = fresh_rng()
    for weakest, empty in ((2, False), (3, False), (3, True)):
        while True:
            given = rng.choice([0.0, 0.5, 1.0], size=(4, 7), p=[0.25, 0.4, 0.35])
            points = dict(zip(scorecard.SECTIONS, given.tolist(), strict=True))
            if empty:
                points[str(rng.choice(scorecard.SECTIONS))] = []
            sums = [sum(part) for part in points.values()]
            filled = [sum(part) for part in points.values() if part]
            right = scorecard.ml_test_score(points)
            mistakes: Marks = {
                "you take the mean of the sections, or their median. The score is that of the"
                " lowest: a chain breaks at its weakest link.": [
                    np.mean(sums),
                    np.mean(filled),
                    np.median(sums),
                ],
                "you add up all points. The score is that of the lowest section.": sum(sums),
                "you take the section that comes first; the score is that of the lowest.": sums[0],
                "you take the section that is called model here; which is the lowest differs.": (
                    sums[1]
                ),
                "you round; half a point stays half a point.": [np.floor(right), np.ceil(right)],
                "you take the best section, or the last; the score is that of the lowest.": [
                    max(sums),
                    sums[3],
                ],
                "you take the share of points in the lowest section; add them up.": right / 7,
                "half a point counts as a whole one with you. What is done by hand is worth ½.": (
                    min(sum(point > 0 for point in part) for part in points.values())
                ),
                "half points are lost: what is done by hand is worth ½.": min(
                    sum(int(point) for point in part) for part in points.values()
                ),
            }
            if weakest == 3:
                mistakes = {"you leave out the last section.": min(sums[:3])}
            if empty:
                ignored = "you pass over a section without points; it has 0, and so has the score."
                mistakes = {ignored: min(filled)}
            lowest = empty or (right % 1 and int(np.argmin(sums)) == weakest)
            if lowest and told_apart(right, mistakes):
                break
        known: Marks = {
            "your score is a str, the section's name perhaps; wanted is its sum of points.": str
        }
        mine = called(yours, points, like=right, what="score", known=known)
        if not np.isclose(mine, right):
            return recognised(mine, mistakes) or (
                f"with sums of {', '.join(f'{s:g}' for s in sums)} your score is {mine:g}; wanted"
                f" is {right:g}."
            )
    return None
