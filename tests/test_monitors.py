import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from trickkit import data, monitors

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def hours():
    return data.bike_hours()


@pytest.fixture(scope="module")
def models(hours):
    return monitors.monthly_models(hours[hours["date"] < "2012-08"])


@pytest.fixture(scope="module")
def reference(hours):
    return hours[hours["date"] < "2012"]


@pytest.fixture(scope="module")
def june(hours, models):
    month = hours["date"].dt.to_period("M")
    return monitors.with_forecasts(models, hours[month == "2012-06"])


def test_a_month_is_forecast_by_a_model_that_has_not_seen_it(hours, models):
    """It hangs on the three months before it, and on nothing earlier or later."""
    month = hours["date"].dt.to_period("M")
    changed = hours.assign(rides=hours["rides"].where(month.between("2012-03", "2012-05"), 7))
    again = monitors.monthly_models(changed[month <= "2012-06"])
    june = hours[month == "2012-06"]
    forecasts = [monitors.with_forecasts(found, june)["forecast"] for found in (models, again)]
    assert forecasts[0].equals(forecasts[1])
    assert min(models) == pd.Period("2011-04") and "forecast" not in june


def test_a_month_without_a_model_of_its_own_is_refused(hours, models):
    """So no model is older than a month when it serves."""
    with pytest.raises(ValueError, match="no model for 2011-01"):
        monitors.with_forecasts({}, hours)
    with pytest.raises(ValueError, match="no model for 2012-08"):
        monitors.with_forecasts(models, hours[hours["date"] >= "2012-07"])


def test_ks_is_scipys():
    for n, m, digits in ((24, 500, 3), (60, 60, 1), (1, 9, 0)):
        sample, reference = RNG.normal(0.3, 1, n).round(digits), RNG.normal(0, 1, m).round(digits)
        theirs = ks_2samp(sample, reference, method="asymp")
        assert monitors.ks_distance(sample, np.sort(reference)) == pytest.approx(theirs.statistic)
    limit = monitors.ks_threshold(24, 500, alpha=0.05)
    rings = [RNG.random(24) for _ in range(300)]
    reference = np.sort(RNG.random(500))
    for sample in rings:
        ours = monitors.ks_distance(sample, reference) > limit
        assert ours == (ks_2samp(sample, reference, method="asymp").pvalue < 0.05)


def test_psi_by_hand():
    reference = np.repeat(np.arange(4), 25)
    sample = np.repeat(np.arange(4), [10, 20, 30, 40])
    q = np.array([0.1, 0.2, 0.3, 0.4])
    by_hand = ((q - 0.25) * np.log(q / 0.25)).sum()
    assert monitors.psi(sample, reference, bins=4) == pytest.approx(by_hand)
    assert monitors.psi(reference, reference, bins=4) == 0
    with_gaps = np.append(sample.astype(float), np.nan)
    assert monitors.psi(with_gaps, reference, bins=4) == pytest.approx(by_hand)


def test_psi_rings_as_often_as_its_law_says():
    rang = [
        monitors.psi(RNG.normal(size=400), RNG.normal(size=800)) > monitors.psi_alarm(400, 800)
        for _ in range(600)
    ]
    assert 0.025 < np.mean(rang) < 0.09


def test_nothing_at_all_is_infinitely_far():
    nothing = np.full(5, np.nan)
    assert monitors.ks_distance(nothing, np.arange(3.0)) == 1
    assert monitors.psi(nothing, np.arange(30.0)) == np.inf


def test_the_bicycles_keep_their_contract_but_for_four_days(hours, reference):
    """A day without humidity, a day of drizzle, and two on which feels_like stands at 0 °C."""
    broken = hours[monitors.data_contract(reference)(hours)]
    assert broken.groupby("date").size().to_dict() == {
        pd.Timestamp("2011-03-10"): 22,
        pd.Timestamp("2011-09-06"): 23,
        pd.Timestamp("2012-08-17"): 24,
        pd.Timestamp("2012-12-29"): 24,
    }
    assert (hours["feels_like"][hours["date"].isin(["2012-08-17", "2012-12-29"])] == 0).all()


def test_a_contract_sees_what_is_missing_and_lets_a_hot_hour_pass(reference):
    breaks = monitors.data_contract(reference)
    week = reference[reference["date"].between("2011-06-01", "2011-06-07")]
    assert not breaks(week).any()
    hot = week["temperature"].where(week.index != week.index[5], 38)
    assert not breaks(week.assign(temperature=hot, feels_like=hot + 2)).any()
    missing = week["wind"].where(week.index != week.index[5])
    assert breaks(week.assign(wind=missing)).nonzero()[0].tolist() == [5]
    short = week[week["hour"] < 11]
    assert not breaks(short.assign(wind=9.0)).any() and breaks(week.assign(wind=9.0)).all()


def test_faults_keep_the_labels_and_leave_what_they_were_given(hours):
    before = hours.copy()
    for fault in monitors.FAULTS:
        spoilt = monitors.inject(hours, fault, start="2012-06-01", days=5)
        assert set(spoilt.index) == set(
            hours.index[hours["date"].between("2012-06-01", "2012-06-05")]
        )
        own = hours.loc[spoilt.index]
        changed = {name for name in hours if not spoilt[name].equals(own[name])}
        assert changed <= {*monitors.WEATHER, "hour", "workday"} and "rides" not in changed
        assert changed or len(spoilt) == 2 * len(set(spoilt.index))
    assert hours.equals(before)


def test_universal_time_knows_summer_time(hours):
    """The United States changed over on 11 March and 4 November 2012."""
    utc = monitors.in_utc(hours)
    later = ((utc["hour"] - hours["hour"]) % 24).groupby(hours["date"]).unique()
    assert later.map(len).max() == 1
    summer = later.index[later.map(lambda hours: hours[0] == 4)]
    assert set(later.map(lambda hours: hours[0])) == {4, 5}
    days = summer[summer.year == 2012]
    assert str(days[0].date()) == "2012-03-11" and str(days[-1].date()) == "2012-11-03"
    assert len(days) == 238 and utc.drop(columns="hour").equals(hours.drop(columns="hour"))


def test_weather_that_is_late_is_that_of_another_day(hours):
    late = monitors.inject(hours, "two days late", start="2012-06-01", days=5)
    stopped = monitors.inject(hours, "feed has stopped", start="2012-06-01", days=5)

    def humidity(frame, day):
        return frame["humidity"][frame["date"] == day].tolist()

    assert humidity(late, "2012-06-05") == humidity(hours, "2012-06-03")
    assert humidity(late, "2012-06-02") == humidity(hours, "2012-06-02")  # nothing before it known
    assert humidity(stopped, "2012-06-05") == humidity(hours, "2012-06-01")


@pytest.mark.parametrize(
    ("fault", "seen"),
    {
        "temperatures in °F": {"contract", "KS"},
        "humidity as a fraction": {"contract", "KS", "PSI"},
        "wind in miles": set(),
        "hours in UTC": {"profile"},
        "workday upside down": {"profile"},
        "rows twice": {"key"},
        "feed has stopped": {"freshness"},
        "two days late": set(),
    }.items(),
)
def test_who_sees_what_in_june(june, models, reference, fault, seen):
    """On most days, at thresholds that ring on few days of 2011."""
    thresholds = {
        **{"contract": 0, "key": 0, "freshness": 0.5},
        **{"bias": 1.78, "profile": 0.22, "KS": 0.93, "PSI": 3.19},
    }
    spoilt = monitors.inject(june, fault, start="2012-06-01", days=30)
    scores = monitors.daily_scores(monitors.with_forecasts(models, spoilt), reference)
    rings = (scores > thresholds).mean()
    assert set(rings[rings > 0.7].index) == seen and (rings[rings <= 0.7] < 0.2).all()


def test_the_profile_forgets_the_days_total(june):
    more = june.assign(forecast=3 * june["forecast"])
    assert np.allclose(monitors.misplaced(more), monitors.misplaced(june))
    perfect = june.assign(forecast=june["rides"] / 2)
    assert np.allclose(monitors.misplaced(perfect), 0)


def test_hours_that_come_twice_are_planned_twice(june):
    twice = june.loc[june.index.repeat(2)]
    off = (2 * june["forecast"] - june["rides"]).abs().groupby(june["date"]).sum()
    assert np.allclose(monitors.rides_off(twice, june), off)


def made_up_year(**faults):
    """Ten days of one monitor, quiet but for the second; a fault lasts three and costs 5 a day."""
    days = pd.date_range("2012-01-01", periods=10)
    quiet = pd.DataFrame({"light": np.eye(10)[1]}, days)
    scores = {
        name: pd.DataFrame({"light": light}, days[start : start + 3])
        for name, (start, light) in faults.items()
    }
    return monitors.Year(quiet, scores, {f: s["light"] * 0 + 5.0 for f, s in scores.items()})


def test_a_page_ends_a_fault_that_evening():
    year = made_up_year(loud=(3, [0, 1, 1]), silent=(7, [0, 0, 0]))
    ledger = monitors.play(year, {"light": 0.5})
    assert ledger.seen == {"loud": 2} and ledger.lost == 10 + 15
    assert [day.day for day in ledger.pages] == [2, 5] and ledger.false == 1
    assert monitors.play(year, {}) == ({}, {}, 30, frozenset())


def test_once_the_budget_is_spent_nobody_answers():
    year = made_up_year(loud=(3, [1, 1, 1]))
    ledger = monitors.play(year, {"light": 0.5}, budget=1)
    assert not ledger.seen and ledger.false == 1 and ledger.lost == 15


def test_two_faults_at_once_are_seen_one_after_the_other():
    year = made_up_year(one=(3, [1, 1, 1]), other=(3, [1, 1, 1]))
    ledger = monitors.play(year, {"light": 0.5})
    assert ledger.seen == {"one": 1, "other": 2} and len(ledger.pages) == 3


def test_a_page_that_would_have_come_anyway_came_by_chance():
    year = made_up_year(hidden=(0, [0, 1, 1]), loud=(5, [1, 1, 1]))  # the second day rings anyway
    ledger = monitors.play(year, {"light": 0.5})
    assert ledger.seen == {"hidden": 2, "loud": 1} and ledger.by_chance == {"hidden"}
    assert ledger.false == 0


def test_a_real_fault_is_in_the_quiet_year_and_not_found_by_chance():
    year = made_up_year(**{monitors.REAL[0].fault: (1, [1, 1, 1])})
    ledger = monitors.play(year, {"light": 0.5})
    assert len(ledger.seen) == 1 and not ledger.by_chance


def test_dice_ring_as_often_as_they_are_told():
    year = made_up_year(loud=(3, [0, 0, 0]))
    pages = [
        len(
            monitors.play(
                monitors.with_dice(year, np.random.default_rng(seed)), {"dice": 0.8}
            ).pages
        )
        for seed in range(200)
    ]
    assert 1.6 < np.mean(pages) < 2.3


def test_a_year_is_rehearsed_fault_by_fault(june, models, reference):
    outages = (
        monitors.Outage("rows twice", "2012-06-04", 3),
        monitors.Outage("real", "2012-06-20"),
    )
    year = monitors.rehearse(models, june, reference, outages=outages)
    assert len(year.quiet) == 30 and [len(s) for s in year.scores.values()] == [3, 1]
    assert (year.scores["rows twice"]["key"] == 0.5).all() and year.lost["rows twice"].sum() > 0
    assert year.lost["real"].sum() == 0
    known = monitors.rehearse(models, june, reference, outages=outages, quiet=year.quiet)
    assert known.quiet is year.quiet and known.scores["real"].equals(year.scores["real"])


def test_a_classifiers_outputs_ring_where_they_have_shifted_and_seldom_elsewhere():
    outputs = RNG.dirichlet(np.ones(10), 4000)
    shifted = RNG.dirichlet(np.linspace(1, 2, 10), 100)
    assert monitors.bbsd(shifted, outputs[:1000])
    rang = [
        monitors.bbsd(RNG.permutation(outputs[1000:])[:100], outputs[:1000]) for _ in range(200)
    ]
    assert np.mean(rang) < 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda hours: monitors.inject(hours, "rows trice", start="2012-06-01", days=1),
            "Did you mean 'rows twice'",
        ),
        (
            lambda hours: monitors.inject(hours, "rows twice", start="2013-06-01", days=2),
            "No hour lies within 2 days from 2013-06-01",
        ),
        (lambda hours: monitors.play(made_up_year(), {"lights": 1}), "Did you mean 'light'"),
        (lambda hours: monitors.psi_alarm(0, 5), "n is 0"),
        (lambda hours: monitors.psi_alarm(5, 5, alpha=2), "alpha is 2"),
        (lambda hours: monitors.data_contract(hours, slack=-1), "slack is -1"),
    ],
)
def test_what_cannot_be_is_refused(hours, call, message):
    with pytest.raises(ValueError, match=message):
        call(hours)
