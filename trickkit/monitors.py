"""Monitors: what may be watched of a pipeline that serves, and how often each watch cries wolf.

Sculley and others 2015, "Hidden Technical Debt in Machine Learning Systems", section 7; Breck and
others 2017, "The ML Test Score", section V; Rabanser, Günnemann and Lipton 2019, "Failing Loudly".

Rows are hours of `data.bike_hours`, with their `forecast`. Every monitor gives each day one number,
and rings where that is above its threshold.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2, kstwo

from trickkit import debt
from trickkit.common import unknown, validate_count, validate_number

WEATHER = ("temperature", "feels_like", "humidity", "wind")
BINS = 10
LONG = 12  # hours: a shorter day may well have one temperature
Fault = Callable[[pd.DataFrame], pd.DataFrame]


# -- serving ---------------------------------------------------------------------------------------


def monthly_models(hours: pd.DataFrame, *, months: int = 3) -> dict:
    """Models retrained on the first of each month, on so many months before it.

    hours: rows of `data.bike_hours`, of more months than that.
    Returns a model of `debt.train` for each month that has enough before it, by its pandas Period.
    """
    validate_count(months=months)
    month = hours["date"].dt.to_period("M")
    return {
        now: debt.train(hours[(month < now) & (month >= now - months)])
        for now in sorted(month.unique())[months:]
    }


def with_forecasts(models: Mapping, hours: pd.DataFrame) -> pd.DataFrame:
    """The hours with what each month's model forecasts for them, in a new column `forecast`.

    models: of `monthly_models`.
    Raises ValueError for hours of a month that has no model.
    """
    month = hours["date"].dt.to_period("M")
    if missing := sorted(set(month) - set(models)):
        raise ValueError(
            f"There is no model for {missing[0]}; monthly_models makes one for each month that has"
            " enough months before it. Take later hours."
        )
    forecasts = np.zeros(len(hours))
    for now in month.unique():
        rows = (month == now).to_numpy()
        forecasts[rows] = debt.forecast(models[now], hours[rows])
    return hours.assign(forecast=forecasts)


# -- faults ----------------------------------------------------------------------------------------


def replaced_weather(hours: pd.DataFrame, dates: pd.Series | pd.DatetimeIndex) -> pd.DataFrame:
    """Hours with the weather that the same hour had on other dates; where none is known, their own.

    dates: one an hour.
    """
    known = hours.set_index(["date", "hour"])[list(WEATHER)]
    other = known.reindex(pd.MultiIndex.from_arrays([dates, hours["hour"]])).set_index(hours.index)
    return hours.assign(**{name: other[name].fillna(hours[name]) for name in WEATHER})


def fahrenheit(hours: pd.DataFrame) -> pd.DataFrame:
    """Both temperatures in degrees Fahrenheit."""
    names = ("temperature", "feels_like")
    return hours.assign(**{name: hours[name] * 1.8 + 32 for name in names})


def days_late(hours: pd.DataFrame, *, days: int = 2) -> pd.DataFrame:
    """Each day with the weather of so many days before."""
    return replaced_weather(hours, hours["date"] - pd.Timedelta(days=days))


def feed_stopped(hours: pd.DataFrame) -> pd.DataFrame:
    """Each day with the weather of the first."""
    return replaced_weather(hours, pd.DatetimeIndex([hours["date"].min()] * len(hours)))


def in_utc(hours: pd.DataFrame) -> pd.DataFrame:
    """Each hour as Universal Time has it: five later than in Washington, and four in summer time,
    from the second Sunday of March to the first of November. The date stays.
    """

    def sunday(since):
        """The first Sunday from such a day, "-03-08", of each hour's year."""
        day = pd.to_datetime(hours["date"].dt.year.astype(str) + since)
        return day + pd.to_timedelta((6 - day.dt.day_of_week) % 7, unit="D")

    summer = (hours["date"] >= sunday("-03-08")) & (hours["date"] < sunday("-11-01"))
    return hours.assign(hour=(hours["hour"] + 5 - summer) % 24)


def rows_twice(hours: pd.DataFrame) -> pd.DataFrame:
    """Each hour twice, as when a file is loaded a second time."""
    return hours.loc[hours.index.repeat(2)]


# What is done to hours that are served. All are injected: none of these happened in Washington.
FAULTS: dict[str, Fault] = {
    "temperatures in °F": fahrenheit,
    "humidity as a fraction": lambda hours: hours.assign(humidity=hours["humidity"] / 100),
    "wind in miles": lambda hours: hours.assign(wind=hours["wind"] / 1.609),
    "hours in UTC": in_utc,
    "workday upside down": lambda hours: hours.assign(workday=1 - hours["workday"]),
    "rows twice": rows_twice,
    "feed has stopped": feed_stopped,
    "two days late": days_late,
}


def inject(hours: pd.DataFrame, fault: str, *, start: str, days: int) -> pd.DataFrame:
    """So many days of hours, the first being start, as a fault leaves them.

    Its rows keep their labels: which hour of `hours` each one really is.

    hours: rows of `data.bike_hours`, without labels that stand twice.
    fault: one of `FAULTS`.
    start: a date, "2012-06-01".
    Raises ValueError for an unknown fault, and where there is no such day.
    """
    if fault not in FAULTS:
        raise unknown("fault", fault, FAULTS)
    validate_count(days=days)
    since = hours["date"] - pd.Timestamp(start)
    rows = hours[(since >= pd.Timedelta(0)) & (since < pd.Timedelta(days=days))]
    if rows.empty:
        raise ValueError(f"No hour lies within {days} days from {start}; take another start.")
    return FAULTS[fault](rows)


# -- watching --------------------------------------------------------------------------------------


def data_contract(
    train: pd.DataFrame, *, slack: float = 0.05
) -> Callable[[pd.DataFrame], np.ndarray]:
    """What weather may look like, learned from clean hours: hours -> which of them break it, (N,).

    An hour breaks it where one of `WEATHER` is missing; where one of them, or feels_like less
    temperature, lies outside its range in train, with some slack on either side; and where one of
    them has the same value all day, which weather hardly ever has. Such days of train itself teach
    nothing.

    train: rows of `data.bike_hours`.
    slack: as a share of the range.
    """
    validate_number(at_least=0, slack=slack)

    def stuck(hours):
        days = hours.groupby("date")[list(WEATHER)]
        constant = (days.transform("nunique") == 1).any(axis=1)
        return constant & (hours.groupby("date")["hour"].transform("size") >= LONG)

    def measured(hours):
        gap = hours["feels_like"] - hours["temperature"]
        return hours[list(WEATHER)].assign(gap=gap)

    clean = measured(train[~stuck(train)])
    low, high = clean.min(), clean.max()
    room = slack * (high - low)

    def breaks(hours):
        values = measured(hours)
        inside = (values >= low - room) & (values <= high + room)  # not so for a missing value
        return (~inside.all(axis=1) | stuck(hours)).to_numpy()

    return breaks


def ks_distance(sample: np.ndarray, reference: np.ndarray) -> float:
    """The statistic of Kolmogorov and Smirnov: how far apart two distribution functions
    lie, 0 to 1.

    sample: (n,); what is missing is left out, and of nothing at all the distance is 1.
    reference: (m,), in rising order.
    """
    values = np.sort(np.asarray(sample, float))
    values = values[~np.isnan(values)]
    if not len(values):
        return 1.0
    sides = [
        np.searchsorted(values, values, side) / len(values)
        - np.searchsorted(reference, values, side) / len(reference)
        for side in ("left", "right")
    ]
    return float(np.abs(sides).max())


def bbsd(sample: np.ndarray, reference: np.ndarray, *, alpha: float = 0.05) -> bool:
    """Whether a classifier's outputs have shifted: black box shift detection, by soft outputs.

    Rabanser 2019, section 3 (BBSDs): Kolmogorov and Smirnov's test of each class's probability, at
    alpha over their number, after Bonferroni.

    sample: (n, K), the probabilities of K classes.
    reference: (m, K).
    alpha: how often it may ring where nothing has shifted, in (0, 1).
    """
    limit = ks_threshold(len(sample), len(reference), alpha=alpha / sample.shape[1])
    pairs = zip(sample.T, np.sort(reference, axis=0).T, strict=True)
    return any(ks_distance(one, other) > limit for one, other in pairs)


@functools.cache  # the quantile takes longer than all else that a monitor does
def ks_threshold(n: int, m: int, *, alpha: float) -> float:
    """The distance that n and m draws from one and the same distribution exceed in alpha of cases.

    As scipy's `ks_2samp` with method="asymp".

    alpha: in (0, 1).
    """
    validate_count(n=n, m=m)
    validate_number(at_least=0, at_most=1, alpha=alpha)
    return float(kstwo.isf(alpha, max(1, round(n * m / (n + m)))))


def psi(sample: np.ndarray, reference: np.ndarray, *, bins: int = BINS) -> float:
    """The population stability index, Σ (q − p) log q/p, over bins that hold equal parts of p.

    p and q are the shares of reference and sample in each bin; an empty bin counts as half a draw.

    sample: (n,); what is missing is left out, and of nothing at all the index is infinite.
    reference: (m,).
    bins: fewer where the values are, too.
    """
    validate_count(at_least=2, bins=bins)
    values = np.asarray(sample, float)
    values = values[~np.isnan(values)]
    if not len(values):
        return np.inf
    edges = np.unique(np.quantile(reference, np.arange(1, bins) / bins))
    edges = edges[edges > np.min(reference)]
    p, q = (
        np.maximum(np.bincount(np.searchsorted(edges, v, "right"), minlength=len(edges) + 1), 0.5)
        / len(v)
        for v in (np.asarray(reference), values)
    )
    return float(((q - p) * np.log(q / p)).sum())


def psi_alarm(n: int, m: int, *, bins: int = BINS, alpha: float = 0.05) -> float:
    """The PSI that n and m draws from one and the same distribution exceed in alpha of cases.

    There PSI / (1/n + 1/m) is nearly χ² with bins − 1 degrees of freedom: Yurdakul and Naranjo
    2020, "Statistical properties of the population stability index".

    n, m: draws in the sample and in the reference.
    alpha: in (0, 1).
    """
    validate_count(n=n, m=m)
    validate_count(at_least=2, bins=bins)
    validate_number(at_least=0, at_most=1, alpha=alpha)
    return float(chi2.isf(alpha, bins - 1) * (1 / n + 1 / m))


def misplaced(hours: pd.DataFrame) -> pd.Series:
    """The share of each day's rides that are forecast for the wrong hour, the day's sum set right.

    hours: with rides and forecast.
    """
    sums = hours.groupby("date")[["rides", "forecast"]].transform("sum")
    shares = hours[["rides", "forecast"]] / sums
    return (shares["forecast"] - shares["rides"]).abs().groupby(hours["date"]).sum() / 2


def same_as_yesterday(hours: pd.DataFrame) -> pd.Series:
    """The share of each day's hours with exactly the weather that the day before had at that hour.

    A day without one before it has 0.
    """
    known = hours.drop_duplicates(["date", "hour"]).set_index(["date", "hour"])[list(WEATHER)]
    before = [hours["date"] - pd.Timedelta(days=1), hours["hour"]]
    yesterday = known.reindex(pd.MultiIndex.from_arrays(before)).to_numpy()
    same = (yesterday == hours[list(WEATHER)].to_numpy()).all(axis=1)
    return pd.Series(same, hours.index).groupby(hours["date"]).mean()


def daily_scores(hours: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """What each monitor says of each day, the more the worse: a column a monitor, a row a day.

    contract: the share of hours that break the `data_contract` of the reference.
    key: the share of hours that come a second time.
    freshness: `same_as_yesterday`.
    bias: how far the day's forecast is from the day's rides, as a share of these.
    profile: `misplaced`.
    KS, PSI: `ks_distance` and `psi` from the reference, of whichever of `WEATHER` is furthest.

    hours: with rides and forecast.
    reference: hours of the past, such as 2011's.
    """
    day = hours["date"]
    broken = pd.Series(data_contract(reference)(hours), hours.index)
    past = {name: np.sort(reference[name].to_numpy(float)) for name in WEATHER}

    def furthest(distance):
        return [
            max(distance(rows[name].to_numpy(float), past[name]) for name in WEATHER)
            for _, rows in hours.groupby("date")
        ]

    return pd.DataFrame(
        {
            "contract": broken.groupby(day).mean(),
            "key": hours.duplicated(["date", "hour"]).groupby(day).mean(),
            "freshness": same_as_yesterday(hours),
            "bias": np.abs(debt.bias(hours["rides"], hours["forecast"], by=day)),
            "profile": misplaced(hours),
            "KS": furthest(ks_distance),
            "PSI": furthest(psi),
        }
    ).rename_axis("date")


# -- on call ---------------------------------------------------------------------------------------


class Outage(NamedTuple):
    """A fault that lasts until somebody is paged, and so many days at the most."""

    fault: str
    start: str
    days: int = 14


# Real, and so in the data already: `feels_like` stands at 0 °C all day. It is reckoned, not
# measured; why it stands there is written nowhere.
REAL = (
    Outage("0 °C, 17 August", "2012-08-17", 1),
    Outage("0 °C, 29 December", "2012-12-29", 1),
)
REAL_FAULTS = frozenset(outage.fault for outage in REAL)
OUTAGES = (
    Outage("hours in UTC", "2012-02-06"),
    Outage("feed has stopped", "2012-04-09"),
    Outage("rows twice", "2012-05-07"),
    Outage("workday upside down", "2012-06-04"),
    Outage("wind in miles", "2012-07-02"),
    Outage("temperatures in °F", "2012-09-10"),
    Outage("humidity as a fraction", "2012-10-08"),
    Outage("two days late", "2012-11-12"),
)


class Year(NamedTuple):
    """A year to be on call in.

    quiet: `daily_scores` of its days as they were.
    scores: those of the days of each outage, by its fault.
    lost: the rides that the outage costs on each of them: how much further off is the forecast.
    """

    quiet: pd.DataFrame
    scores: dict[str, pd.DataFrame]
    lost: dict[str, pd.Series]


class Ledger(NamedTuple):
    """What a year on call came to.

    pages: the days on which somebody was paged -> the fault that this ended, "" for none.
    seen: by fault: on which of its days it was ended.
    lost: rides.
    by_chance: the faults whose page would have come on that day without them, too.
    """

    pages: dict[pd.Timestamp, str]
    seen: dict[str, int]
    lost: float
    by_chance: frozenset[str] = frozenset()

    @property
    def false(self) -> int:
        """Pages on days on which nothing was wrong."""
        return sum(not fault for fault in self.pages.values())


def rides_off(hours: pd.DataFrame, truth: pd.DataFrame) -> pd.Series:
    """Σ |forecast − rides| of each day; rows with one label are one hour's, and their sum counts.

    hours: with forecast, labelled as truth.
    truth: with date and rides.
    """
    planned = hours["forecast"].groupby(level=0).sum()
    real = truth.loc[planned.index]
    return (planned - real["rides"]).abs().groupby(real["date"]).sum()


def rehearse(
    models: Mapping,
    hours: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    outages: Sequence[Outage] = (*OUTAGES, *REAL),
    quiet: pd.DataFrame | None = None,
) -> Year:
    """All that `play` needs to know of a year and its outages.

    models: of `monthly_models`.
    hours: those of the year, with forecast.
    reference: of `daily_scores`.
    quiet: the `daily_scores` of the year, if they are known already.
    """
    if quiet is None:
        quiet = daily_scores(hours, reference)
    usual = rides_off(hours, hours)
    scores, lost = {}, {}
    for fault, start, days in outages:
        if fault not in FAULTS:  # real: what the days would have been without it, nobody knows
            scores[fault] = quiet.loc[[start]]
            lost[fault] = usual.loc[[start]] * 0
            continue
        spoilt = with_forecasts(models, inject(hours, fault, start=start, days=days))
        scores[fault] = daily_scores(spoilt, reference)
        lost[fault] = (rides_off(spoilt, hours) - usual).dropna()
    return Year(quiet, scores, lost)


def play(year: Year, thresholds: Mapping[str, float], *, budget: int = 24) -> Ledger:
    """A year on call: a day on which some monitor is above its threshold costs a page.

    A page ends an outage on the evening of its day, also where it comes by chance. Once the budget
    is spent, nobody answers.

    thresholds: by monitor; those left out are switched off.
    budget: pages.
    Raises ValueError for an unknown monitor.
    """
    validate_count(at_least=0, budget=budget)
    for name in thresholds:
        if name not in year.quiet:
            raise unknown("monitor", name, map(str, year.quiet))
    names, limits = list(thresholds), list(thresholds.values())

    def rings(scores):
        return (scores[names] > limits).any(axis=1)

    quiet = rings(year.quiet)
    spoilt = {fault: rings(scores) for fault, scores in year.scores.items()}
    pages: dict[pd.Timestamp, str] = {}
    seen: dict[str, int] = {}
    by_chance = set()
    lost = 0.0
    for day in quiet.index:
        fault = next((f for f, rung in spoilt.items() if day in rung.index and f not in seen), "")
        if fault:
            lost += year.lost[fault][day]
        if len(pages) < budget and (spoilt[fault] if fault else quiet)[day]:
            pages[day] = fault
            if fault:
                seen[fault] = spoilt[fault].index.get_loc(day) + 1
                if quiet[day] and fault not in REAL_FAULTS:
                    by_chance.add(fault)
    return Ledger(pages, seen, float(lost), frozenset(by_chance))


def with_dice(year: Year, rng: np.random.Generator) -> Year:
    """A year with one more monitor, `dice`: a number from 0 to 1 a day that knows nothing."""

    def rolled(scores):
        return scores.assign(dice=rng.random(len(scores)))

    return Year(rolled(year.quiet), {f: rolled(s) for f, s in year.scores.items()}, year.lost)
