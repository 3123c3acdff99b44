"""A small pipeline that rots: bicycles hired in Washington, forecast hour by hour.

Trained on 2011 and left to serve 2012, nothing has to be invented for it to go wrong: the business
grows, a column stands at 0 all day, a day of humidity is missing. What is measured here are the
debts of Sculley and others, "Machine Learning: The High Interest Credit Card of Technical Debt"
(2014) and "Hidden Technical Debt in Machine Learning Systems" (2015).
"""

import ast
import inspect
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import ThreadpoolController

from trickkit.common import progress_bar, validate_number, validate_positive

INPUTS = ("hour", "workday", "temperature", "humidity", "wind", "feels_like")
# Trees for so few rows are grown by one thread: on a busy machine two wait for each other, and take
# ten times as long.
THREADS = ThreadpoolController()


def train(
    hours: pd.DataFrame,
    *,
    inputs: Sequence[str] = INPUTS,
    seed: int = 0,
    sample_weight: np.ndarray | None = None,
) -> HistGradientBoostingRegressor:
    """A forecaster of rides: boosted trees that minimise the Poisson deviance, a tenth of a second.

    hours: rows of `data.bike_hours`, with the inputs and rides.
    inputs: the columns it may read.
    seed: for the library; with fewer than 10,000 rows it plays no part.
    sample_weight: (N,), how much each hour counts; None for all alike.
    """
    trees = HistGradientBoostingRegressor(loss="poisson", early_stopping=False, random_state=seed)
    with THREADS.limit(limits=1, user_api="openmp"):
        return trees.fit(hours[list(inputs)], hours["rides"], sample_weight=sample_weight)


def train_network(hours: pd.DataFrame, *, seed: int) -> BaseEstimator:
    """Another forecaster: a network of two layers of 32 units, which learns log(1 + rides).

    hours: as for `train`; it reads `INPUTS`, the hour as 24 inputs of 0 or 1.
    seed: of its first weights and of the order of its batches.
    """
    inputs = make_column_transformer((OneHotEncoder(), ["hour"]), (StandardScaler(), INPUTS[1:]))
    network = MLPRegressor(
        hidden_layer_sizes=(32, 32), learning_rate_init=3e-3, max_iter=20, random_state=seed
    )
    learner = TransformedTargetRegressor(
        make_pipeline(inputs, network), func=np.log1p, inverse_func=np.expm1
    )
    with warnings.catch_warnings():  # twenty epochs are meant
        warnings.simplefilter("ignore", ConvergenceWarning)
        return learner.fit(hours[list(INPUTS)], hours["rides"])


def forecast(model: BaseEstimator, hours: pd.DataFrame) -> np.ndarray:
    """The rides that a model of `train` or `train_network` expects in each hour, (N,)."""
    with THREADS.limit(limits=1, user_api="openmp"):
        return model.predict(hours[list(model.feature_names_in_)])


def error(rides: np.ndarray | pd.Series, forecasts: np.ndarray | pd.Series) -> float:
    """How far off, as a share of all rides: Σ|forecast − rides| / Σ rides; 0 is perfect."""
    return float(np.abs(np.asarray(forecasts) - rides).sum() / np.sum(rides))


def bias(
    rides: np.ndarray | pd.Series,
    forecasts: np.ndarray | pd.Series,
    *,
    by: Sequence | np.ndarray | pd.Series | None = None,
) -> float | pd.Series:
    """How many rides too many are forecast, as a share of the rides: Σ(forecast − rides) / Σ rides.

    The prediction bias of Sculley et al. 2015, section 7; below 0 where too few are forecast.

    rides, forecasts: (N,).
    by: the group of each hour, (N,), such as its month; None for all in one.

    Returns one number, or a Series of one a group, indexed by the groups in their order.
    """
    table = pd.DataFrame({"rides": np.asarray(rides), "forecasts": np.asarray(forecasts)})
    sums = table.sum() if by is None else table.groupby(np.asarray(by)).sum()
    return sums["forecasts"] / sums["rides"] - 1


def last_week(hours: pd.DataFrame) -> np.ndarray:
    """The simplest forecast: as many rides as in the same hour a week ago, (N,).

    Where that hour is missing, those of the last hour before it; NaN in the first week.

    hours: rows of `data.bike_hours`, in the order of time.
    """
    at = pd.DatetimeIndex(hours["date"] + pd.to_timedelta(hours["hour"], unit="h"))
    rides = pd.Series(hours["rides"].to_numpy(), at)
    return rides.reindex(at - pd.Timedelta(days=7), method="ffill").to_numpy()


def which_to_drop(
    error_of: Callable[[tuple[str, ...]], float], inputs: Sequence[str], *, tolerance: float
) -> list[str]:
    """Which inputs a model can do without, all of them together: one goes at a time.

    Each time the one without which the error is the least, as long as that is at most `tolerance`
    above the error with all inputs (Sculley et al. 2014, section 3.2, leave-one-feature-out).

    error_of: inputs -> the error, on hours held out, of a model that reads those.
    inputs: all there are.
    tolerance: how much worse it may become in all.

    Returns those that go, in the order of `inputs`.
    """
    kept = tuple(inputs)
    most = error_of(kept) + tolerance
    while len(kept) > 1:
        without = [tuple(name for name in kept if name != gone) for gone in kept]
        errors = [error_of(names) for names in without]
        if min(errors) > most:
            break
        kept = without[int(np.argmin(errors))]
    return [name for name in inputs if name not in kept]


def readers(columns: Iterable[str]) -> dict[str, list[str]]:
    """Which functions and constants of this file name each column of a table: a static analysis.

    Nothing is run; a name that is put together while the program runs is not found (Sculley et al.
    2014, section 3.3).
    """
    named = {}
    for node in ast.parse(inspect.getsource(sys.modules[__name__])).body:
        if isinstance(node, ast.FunctionDef | ast.Assign):
            owner = node.name if isinstance(node, ast.FunctionDef) else ast.unparse(node.targets[0])
            named[owner] = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
    return {column: [owner for owner in named if column in named[owner]] for column in columns}


def demand_weights(log: pd.DataFrame, *, chance: float) -> np.ndarray:
    """How many hours each hour of a log stands for, so that the demand can be told from it.

    An hour in which all bikes ran out shows fewer rides than were wanted, and counts 0; unless it
    was explored, and bikes put out in plenty: then it stands for those that were not. Where bikes
    were left the rides are the demand (Horvitz and Thompson 1952).

    log: rows with rides, bikes (how many are put out unless the hour is explored) and explored.
    chance: of an hour to be explored, in (0, 1].

    Returns (N,): 0, 1 or 1 / chance.
    Raises ValueError for a chance outside (0, 1].
    """
    validate_positive(chance=chance)
    validate_number(chance=chance, at_most=1)
    ran_out = log["rides"] >= log["bikes"]
    return np.where(ran_out, log["explored"] / chance, 1.0)


def closed_loop(
    hours: pd.DataFrame,
    *,
    explored: float = 0.0,
    weighted: bool = False,
    censored: bool = True,
    margin: float = 1.1,
    months: int = 3,
    seed: int = 0,
) -> pd.DataFrame:
    """2012 once more, with no more bikes than are forecast: the model learns from what it allowed.

    Each month it is trained anew on the log of the last ones; as many bikes are put out as it
    forecasts, times `margin`, and an hour without a bike has no rides to log. The rides that truly
    were stand for the demand (Sculley et al. 2015, section 4, direct feedback loops).

    hours: of `data.bike_hours`, all.
    explored: the chance of an hour in which bikes are put out in plenty.
    weighted: learn with `demand_weights`.
    censored: False lets it learn from the demand, as nobody could.
    months: how far back it looks.

    Returns the log of 2012: its hours, with rides as logged, demand, forecast, bikes and explored.
    """
    rng = np.random.default_rng(seed)
    log = hours[hours["date"] < "2012"].assign(bikes=np.inf, explored=False)
    log["demand"] = log["rides"]
    start = pd.date_range("2012-01", periods=13, freq="MS")
    for begin, end in progress_bar(list(zip(start, start[1:], strict=False)), "months"):
        known = log[log["date"] >= begin - pd.DateOffset(months=months)]
        weights = demand_weights(known, chance=explored) if weighted else None
        truth = known if censored else known.assign(rides=known["demand"])
        now = hours[(hours["date"] >= begin) & (hours["date"] < end)]
        expected = forecast(train(truth, sample_weight=weights), now)
        now = now.assign(
            demand=now["rides"],
            forecast=expected,
            bikes=np.ceil(margin * expected),
            explored=rng.random(len(now)) < explored,
        )
        now["rides"] = now["demand"].where(now["explored"], now[["demand", "bikes"]].min(axis=1))
        log = pd.concat([log, now])
    return log[log["date"] >= "2012"]
