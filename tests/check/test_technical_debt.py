"""Lesson 20's exercises, answered rightly in other ways than the course's, and wrongly in each way
that has a sentence of its own."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chi2

from trickkit import debt, monitors, scorecard
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


def matching_nowhere(rides, f, by):
    sums = pd.DataFrame({"rides": rides, "f": pd.Series(f)}).groupby(by).sum()
    return sums["f"] / sums["rides"] - 1


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


def dearest(error_of, inputs, tolerance):
    kept, most = list(inputs), error_of(inputs) + tolerance
    while True:
        found = {n: error_of(tuple(k for k in kept if k != n)) for n in kept}
        can = [n for n in kept if found[n] <= most]
        if not can:
            return [n for n in inputs if n not in kept]
        kept.remove(max(can, key=found.get))


def of_one(asked):
    """Inputs that can go, one at a time, where asked(name) is what error_of is asked for."""

    def drop(error_of, inputs, tolerance):
        most = error_of(inputs) + tolerance
        return [n for n in inputs if error_of(asked(n)) <= most]

    return drop


def each_alone(error_of, inputs, tolerance):
    most = error_of(inputs) + tolerance
    return [n for n in inputs if error_of(tuple(k for k in inputs if k != n)) <= most]


def one_too_many(error_of, inputs, tolerance):
    kept = list(inputs)
    while error_of(kept) <= error_of(inputs) + tolerance:
        kept.remove(min(kept, key=lambda gone: error_of([k for k in kept if k != gone])))
    return [n for n in inputs if n not in kept]


def ranked_once(error_of, inputs, tolerance):
    ranks = sorted(inputs, key=lambda gone: error_of([n for n in inputs if n != gone]))
    gone = first_come(error_of, ranks, tolerance)
    return [n for n in inputs if n in gone]


def all_subsets(error_of, inputs, tolerance):
    for n in reversed(range(len(inputs))):
        possible = list(itertools.combinations(inputs, n))
        best = min(possible, key=lambda gone: error_of(set(inputs) - set(gone)))
        if error_of(set(inputs) - set(best)) <= error_of(inputs) + tolerance:
            return best


def grown(error_of, inputs, tolerance):
    kept = []
    while error_of(kept) > error_of(inputs) + tolerance:
        rest = [n for n in inputs if n not in kept]
        kept.append(min(rest, key=lambda name: error_of([*kept, name])))
    return set(inputs) - set(kept)


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
    (
        check.bias,
        only_sliced(misaligned),
        "some groups are NaN: pandas matches rows by their index",
    ),
    (check.bias, only_sliced(matching_nowhere), "no forecast has found its hour"),
    (check.bias, lambda r, f, by: debt.bias(r, f, by=list(by)), "by may be None"),
    (check.bias, only_sliced(of_all), "Divide by its own"),
    (check.bias, only_sliced(lambda r, f, by: -debt.bias(r, f, by=by)), "sign is turned"),
    (check.bias, only_sliced(lambda r, f, by: ((f - r) / r).groupby(by).mean()), "own ratio"),
    (check.bias, only_sliced(lambda r, f, by: debt.bias(r, f, by=by) * 2), "for the group"),
    (check.bias, lambda r, f, by: np.array([debt.bias(r, f)]), "has shape"),
    (check.bias, by_group(lambda r, f: abs(debt.bias(r, f))), "turned, or lost"),
    (check.bias, only_sliced(lambda r, f, by: debt.bias(r, f, by=by).abs()), "turned, or lost"),
    (check.which_to_drop, each_alone, "try each input alone"),
    (check.which_to_drop, stays, "what stays"),
    (check.which_to_drop, greedy(lambda w, e, t: e[-1] + t), "small losses add up"),
    (check.which_to_drop, greedy(steps=1), "stop after the first"),
    (check.which_to_drop, lambda error_of, inputs, tolerance: [], "nothing goes"),
    (check.which_to_drop, greedy(lambda w, e, t: min(e) + t), "least error so far"),
    (check.which_to_drop, first_come, "the first input that can go"),
    (check.which_to_drop, greedy(lambda w, e, t: e[-1]), "stop after the first"),
    (check.which_to_drop, greedy(pick=max), "nothing goes"),
    (check.which_to_drop, of_one(lambda name: (name,)), "not for that input alone"),
    (check.which_to_drop, of_one(lambda name: name), "stopped with TypeError: error_of takes"),
    (check.which_to_drop, dearest, "the input that costs most"),
    (check.which_to_drop, one_too_many, "Test before you drop"),
    (check.which_to_drop, ranked_once, "rank the inputs once"),
    (
        check.which_to_drop,
        lambda e, i, t: debt.which_to_drop(e, i, tolerance=10 * t),
        "the error goes from",
    ),
    (check.which_to_drop, greedy(lambda w, e, t: w), "you forget the tolerance"),
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
        weights(lambda r, b, e, c: np.where(r == b, e / c, 1)),
        "can have more rides than bikes",
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
        weights(lambda r, b, e, c: np.where(r < b, 1, e * int(1 / c))),
        "cut to",
    ),
    (check.demand_weights, weights(lambda r, b, e, c: np.where(r < b, 1, e * round(1 / c))), "cut"),
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
    (check.which_to_drop, all_subsets),
    (check.which_to_drop, grown),
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


COLUMNS = list(monitors.WEATHER)


def stuck_days(hours, least=12, every=False):
    days = hours.groupby("date")
    same = days[COLUMNS].transform("nunique") == 1
    one = same.all(axis=1) if every else same.any(axis=1)
    return one & (days["hour"].transform("size") >= least)


def contract(
    slack=0.05,
    clean=True,
    gap=True,
    gap_slack=None,
    missing=True,
    stuck=True,
    least=12,
    every=False,
    columns=COLUMNS,
    sides=(True, True),
    answer=lambda inside, stuck: (~inside.all(axis=1) | stuck).to_numpy(),
):
    """The course's contract, with parts of it changed or left out."""

    def measured(hours):
        values = hours[columns]
        return values.assign(gap=values["feels_like"] - values["temperature"]) if gap else values

    def learned(train):
        values = measured(train[~stuck_days(train, every=every)] if clean else train)
        low, high = values.min(), values.max()
        room = slack * (high - low)
        if gap_slack is not None:
            room["gap"] = gap_slack * (high - low)["gap"]

        def breaks(hours):
            values = measured(hours)
            below, above = values < low - room, values > high + room
            outside = below * sides[0] + above * sides[1]
            inside = ~outside if not missing else ~outside & values.notna()
            held = stuck_days(hours, least, every) if stuck else stuck_days(hours) & False
            return answer(inside, held)

        return breaks

    return learned


def by_factor(train):
    """Slack by factors, which narrows a range where it is below 0."""
    values = train[~stuck_days(train)][COLUMNS].assign(
        gap=train["feels_like"] - train["temperature"]
    )
    low, high = 0.95 * values.min(), 1.05 * values.max()

    def breaks(hours):
        now = hours[COLUMNS].assign(gap=hours["feels_like"] - hours["temperature"])
        inside = (now >= low) & (now <= high)
        return (~inside.all(axis=1) | stuck_days(hours)).to_numpy()

    return breaks


def by_loops(train):
    """The contract a day and a column at a time."""
    bad = set()
    for date, day in train.groupby("date"):
        if len(day) >= 12 and any(len(set(day[name])) == 1 for name in COLUMNS):
            bad.add(date)
    good = train[[date not in bad for date in train["date"]]]
    series = {name: good[name].tolist() for name in COLUMNS}
    series["gap"] = (good["feels_like"] - good["temperature"]).tolist()
    limits = {}
    for name, values in series.items():
        room = (max(values) - min(values)) / 20
        limits[name] = min(values) - room, max(values) + room

    def breaks(hours):
        marks = []
        for _, day in hours.groupby("date"):
            stuck = len(day) >= 12 and any(day[name].nunique() == 1 for name in COLUMNS)
            for row in day[COLUMNS].itertuples():
                values = {name: getattr(row, name) for name in COLUMNS}
                values["gap"] = values["feels_like"] - values["temperature"]
                held = all(limits[n][0] <= v <= limits[n][1] for n, v in values.items())
                marks.append(stuck or not held)
        return marks

    return breaks


def without_humidity_0(train):
    return contract(clean=False)(train[train["humidity"] > 0])


def spoils(train):
    breaks = monitors.data_contract(train)

    def spoiling(hours):
        marks = breaks(hours)
        hours["wind"] = 0.0
        return marks

    return spoiling


def alarm(quantile, spread=lambda n, m: 1 / n + 1 / m):
    return lambda n, m, bins, alpha: quantile(bins, alpha) * spread(n, m)


def right_quantile(bins, alpha):
    return chi2.isf(alpha, bins - 1)


def sums(points):
    return [sum(part) for part in points.values()]


WRONG += [
    (check.data_contract, lambda train: np.zeros(5, bool), r"a function is to be .* shape \(5,\)"),
    (check.data_contract, lambda train: "limits", "yours returned a str"),
    (check.data_contract, lambda train: lambda hours: None, "says nothing of the hours"),
    (check.data_contract, lambda train: lambda hours: True, "says one thing of all hours"),
    (
        check.data_contract,
        contract(answer=lambda inside, stuck: (~inside).to_numpy()),
        "something of each column.*any",
    ),
    (
        check.data_contract,
        contract(gap=False, answer=lambda inside, stuck: (~inside).to_numpy()),
        "something of each column.*any",
    ),
    (
        check.data_contract,
        contract(answer=lambda inside, stuck: (inside.all(axis=1) & ~stuck).to_numpy()),
        "True of hours that keep it",
    ),
    (
        check.data_contract,
        contract(answer=lambda inside, stuck: (~inside).sum(axis=1).to_numpy() + 2),
        "says 2 of an hour; True or False",
    ),
    (check.data_contract, contract(missing=False), "missing .* pass.*NaN"),
    (check.data_contract, contract(clean=False), "humidity given as a fraction"),
    (check.data_contract, contract(slack=0), "a hot July"),
    (check.data_contract, contract(slack=0.2), "a tenth of the range (below|above) it"),
    (check.data_contract, contract(sides=(True, False)), "a tenth of the range above it"),
    (check.data_contract, contract(sides=(False, True)), "range below it"),
    (check.data_contract, contract(gap=False), "25 degrees .* feel like 5"),
    (check.data_contract, contract(gap_slack=0.0), "just outside .* here too"),
    (check.data_contract, contract(stuck=False), "never changes: with one value all day"),
    (check.data_contract, contract(least=1), "only eleven hours"),
    (check.data_contract, contract(least=11), "only eleven hours"),
    (check.data_contract, contract(least=13), "a day of twelve hours pass"),
    (check.data_contract, contract(least=24), "a day of twelve hours pass"),
    (check.data_contract, contract(slack=0.5), "a tenth of the range (below|above) it"),
    (check.data_contract, contract(every=True), "one stuck column is enough"),
    (check.data_contract, contract(columns=COLUMNS[:3]), "wind is not looked at"),
    (check.data_contract, by_factor, "below the temperature.*low times 0.95"),
    (
        check.data_contract,
        lambda train: lambda hours: np.ones(len(hours), bool),
        "True of hours that keep it",
    ),
    (
        check.data_contract,
        lambda train: lambda hours: stuck_days(hours) | (hours["wind"] > 40),
        "like those it has learned from",
    ),
    (check.data_contract, spoils, "changed hours itself"),
    (check.data_contract, without_humidity_0, "of 75 pass.*80 all day"),
    (
        check.data_contract,
        contract(answer=lambda inside, stuck: np.flatnonzero(~inside.all(axis=1) | stuck)),
        "picks the hours that break it, or their places",
    ),
    (
        check.data_contract,
        lambda train: lambda hours: hours[monitors.data_contract(train)(hours)],
        "picks the hours that break it, or their places",
    ),
    (check.psi_alarm, lambda n, m, bins, alpha: 0.1, "a fixed number"),
    (check.psi_alarm, lambda n, m, bins, alpha: 0.25, "a fixed number"),
    (check.psi_alarm, alarm(right_quantile, lambda n, m: 1 / n), "1/m is missing"),
    (check.psi_alarm, alarm(right_quantile, lambda n, m: 1 / m), "1/n is missing"),
    (check.psi_alarm, alarm(lambda bins, alpha: chi2.isf(alpha, bins)), "you take bins"),
    (check.psi_alarm, alarm(right_quantile, lambda n, m: 1), "does not fall as n grows"),
    (check.psi_alarm, alarm(right_quantile, lambda n, m: 1 / (n + m)), r"is not 1/\(n \+ m\)"),
    (check.psi_alarm, alarm(right_quantile, lambda n, m: 1 / (1 / n + 1 / m)), "you divide"),
    (check.psi_alarm, alarm(lambda bins, alpha: chi2.ppf(alpha, bins - 1)), "at 1 − alpha"),
    (check.psi_alarm, alarm(lambda bins, alpha: chi2.isf(alpha / 2, bins - 1)), "halved"),
    (check.psi_alarm, alarm(lambda bins, alpha: bins - 1), "on average"),
    (check.psi_alarm, alarm(lambda bins, alpha: chi2.isf(0.05, bins - 1)), "always 0.05"),
    (check.psi_alarm, alarm(lambda bins, alpha: chi2.isf(alpha, 9)), "10 bins"),
    (check.psi_alarm, alarm(lambda bins, alpha: chi2.sf(alpha, bins - 1)), "a probability"),
    (check.psi_alarm, alarm(lambda bins, alpha: chi2.cdf(alpha, bins - 1)), "a probability"),
    (check.psi_alarm, alarm(lambda bins, alpha: 3 * bins), "yours is .*; wanted is"),
    (check.ml_test_score, lambda points: np.mean(sums(points)), "mean of the sections"),
    (check.ml_test_score, lambda points: sum(sums(points)), "add up all points"),
    (check.ml_test_score, lambda points: max(sums(points)), "the best section"),
    (check.ml_test_score, lambda points: np.median(sums(points)), "or their median"),
    (check.ml_test_score, lambda points: min(sums(points)[:3]), "leave out the last"),
    (check.ml_test_score, lambda points: sums(points)[3], "the best section, or the last"),
    (check.ml_test_score, lambda points: sums(points)[0], "comes first"),
    (check.ml_test_score, lambda points: sum(points["model"]), "called model"),
    (check.ml_test_score, lambda points: min(round(s) for s in sums(points)), "you round"),
    (check.ml_test_score, lambda points: min(sums(points)) / 7, "share of points"),
    (
        check.ml_test_score,
        lambda points: min(sum(p > 0 for p in part) for part in points.values()),
        "counts as a whole one",
    ),
    (
        check.ml_test_score,
        lambda points: min(sum(int(p) for p in part) for part in points.values()),
        "half points are lost",
    ),
    (
        check.ml_test_score,
        lambda points: min(sum(part) for part in points.values() if part),
        "pass over a section",
    ),
    (check.ml_test_score, lambda points: min(points, key=lambda s: sum(points[s])), "a str"),
    (check.ml_test_score, lambda points: min(sums(points)) + 40, "your score is"),
]

RIGHT += [
    (check.data_contract, contract()),
    (check.data_contract, by_loops),
    (
        check.data_contract,
        contract(answer=lambda inside, stuck: (~inside.all(axis=1) | stuck).tolist()),
    ),
    (check.data_contract, contract(answer=lambda inside, stuck: ~inside.all(axis=1) | stuck)),
    (
        check.data_contract,
        contract(
            answer=lambda inside, stuck: torch.tensor((~inside.all(axis=1) | stuck).to_numpy())
        ),
    ),
    (
        check.data_contract,
        contract(answer=lambda inside, stuck: (~inside.all(axis=1) | stuck).astype(int)),
    ),
    (check.psi_alarm, alarm(lambda bins, alpha: chi2.ppf(1 - alpha, bins - 1))),
    (check.psi_alarm, lambda *args: torch.tensor(alarm(right_quantile)(*args)).float()),
    (check.ml_test_score, lambda points: min(sums(points))),
    (check.ml_test_score, lambda points: np.float32(min(sums(points)))),
    (check.ml_test_score, lambda points: pd.Series(points).map(sum).min()),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function, times=12)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)


def test_the_score_is_of_sections_with_any_names():
    assert scorecard.ml_test_score({"one": [1], "two": [0.5]}) == 0.5
