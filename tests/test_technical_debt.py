"""Lesson 20: what is forecast, how far it is off, and a log that knows only what it saw."""

import itertools

import numpy as np
import pandas as pd
import pytest

from trickkit import data, debt

HOURS = data.bike_hours()
PAST = HOURS[HOURS["date"] < "2012"]
PRESENT = HOURS[HOURS["date"] >= "2012"]


def test_bias_and_error_by_hand():
    rides, forecasts = np.array([10, 30, 20]), np.array([5, 45, 20])
    assert debt.bias(rides, forecasts) == pytest.approx(10 / 60)
    assert debt.error(rides, forecasts) == pytest.approx(20 / 60)
    by = debt.bias(rides, forecasts, by=["b", "a", "b"])
    assert by.to_dict() == pytest.approx({"a": 0.5, "b": -5 / 30})


def test_bias_goes_by_place_and_not_by_index():
    rides = pd.Series([10, 30], index=[7, 3])
    by = debt.bias(rides, pd.Series([20, 30]), by=pd.Series(["a", "b"], index=[3, 7]))
    assert by.to_dict() == pytest.approx({"a": 1.0, "b": 0.0})


def test_each_input_is_what_it_should_be():
    """Whole hours of a day, yes or no, degrees, per cent, and km/h."""
    limits = pd.DataFrame(
        {
            **{"hour": (0, 23), "workday": (0, 1), "temperature": (-8, 39)},
            **{"humidity": (0, 100), "wind": (0, 67), "feels_like": (-16, 50)},
        }
    )
    assert set(limits) == set(debt.INPUTS)
    values = HOURS[list(limits)]
    assert (values.min() >= limits.loc[0]).all() and (values.max() <= limits.loc[1]).all()
    assert set(HOURS["hour"]) == set(range(24)) and set(HOURS["workday"]) == {0, 1}
    assert not values.isna().any(axis=None)


def test_last_week_goes_by_the_calendar():
    week = debt.last_week(HOURS)
    rides = HOURS.set_index(["date", "hour"])["rides"]
    assert np.isnan(week[: 24 * 6]).all()
    checked = 0
    for place in range(200, len(HOURS), 97):
        date, hour = HOURS["date"].iloc[place], HOURS["hour"].iloc[place]
        before = date - pd.Timedelta(days=7), hour
        if before in rides.index:
            assert week[place] == rides[before]
            checked += 1
    assert checked > 150 and not np.isnan(week[24 * 8 :]).any()


def test_models_read_what_they_were_told_to():
    model = debt.train(PAST, inputs=("hour", "wind"))
    assert (debt.forecast(model, PRESENT) == debt.forecast(model, PRESENT[["hour", "wind"]])).all()
    network = debt.train_network(PAST[:2000], seed=3)
    again = debt.train_network(PAST[:2000], seed=3)
    assert (debt.forecast(network, PRESENT) == debt.forecast(again, PRESENT)).all()
    assert debt.error(PRESENT["rides"][:500], debt.forecast(network, PRESENT[:500])) < 1


def test_a_weight_is_as_good_as_a_row_twice():
    rows = PAST[:400]
    twice = debt.train(pd.concat([rows, rows]))
    weighted = debt.train(rows, sample_weight=np.full(400, 2.0))
    # the least number of rows in a leaf is not weighted, so only the sums are alike
    sums = [debt.forecast(model, rows).sum() for model in (twice, weighted)]
    assert sums[0] == pytest.approx(sums[1], rel=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_which_to_drop_stays_within_the_tolerance_and_could_drop_no_more(seed):
    rng = np.random.default_rng(seed)
    names = tuple("abcde")
    table = {
        inputs: 1 - 0.1 * len(inputs) + 0.3 * rng.random()
        for size in range(1, 6)
        for inputs in itertools.combinations(names, size)
    }
    gone = debt.which_to_drop(table.__getitem__, names, tolerance=0.1)
    kept = tuple(name for name in names if name not in gone)
    assert table[kept] <= table[names] + 0.1
    further = [table[tuple(k for k in kept if k != name)] for name in kept if len(kept) > 1]
    assert all(error > table[names] + 0.1 for error in further)


def test_one_input_is_always_kept():
    assert debt.which_to_drop(lambda inputs: 0.0, ("a", "b"), tolerance=0.1) == ["a"]


def test_readers_are_named():
    found = debt.readers(["workday", "casual"])
    assert found["workday"] == ["INPUTS"] and found["casual"] == []


def test_weights_tell_the_demand_on_average():
    rng = np.random.default_rng(0)
    demand = rng.poisson(50, 2000)
    bikes = np.full(2000, 45)
    told = []
    for _ in range(200):
        explored = rng.random(2000) < 0.2
        rides = np.where(explored, demand, np.minimum(demand, bikes))
        log = pd.DataFrame({"rides": rides, "bikes": bikes, "explored": explored})
        told.append((debt.demand_weights(log, chance=0.2) * rides).sum())
    assert np.mean(told) == pytest.approx(demand.sum(), rel=0.01)
    for chance in (0, 1.5):
        with pytest.raises(ValueError, match="chance is"):
            debt.demand_weights(log, chance=chance)


def test_the_loop_logs_what_it_allowed():
    log = debt.closed_loop(HOURS, explored=0.2, months=1)
    assert len(log) == len(PRESENT) and (log["demand"] == PRESENT["rides"]).all()
    assert (log["rides"][log["explored"]] == log["demand"][log["explored"]]).all()
    rest = log[~log["explored"]]
    assert (rest["rides"] == np.minimum(rest["demand"], rest["bikes"])).all()
    assert 0.17 < log["explored"].mean() < 0.23
