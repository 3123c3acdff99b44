"""A small pipeline that rots: bicycles hired in Washington, forecast hour by hour.

Trained on 2011 and left to serve 2012, nothing has to be invented for it to go wrong: the business
grows, a thermometer sticks, a day of humidity is missing. What is measured here are the debts of
Sculley and others, "Machine Learning: The High Interest Credit Card of Technical Debt" (2014) and
"Hidden Technical Debt in Machine Learning Systems" (2015).
"""

from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

if TYPE_CHECKING:
    import pandas as pd

INPUTS = ("hour", "workday", "temperature", "humidity", "wind", "feels_like")


def train(
    hours: "pd.DataFrame", *, inputs: tuple[str, ...] = INPUTS, seed: int = 0
) -> HistGradientBoostingRegressor:
    """A forecaster of rides: boosted trees that minimise the Poisson deviance, a tenth of a second.

    hours: rows of `data.bike_hours`, with the inputs and rides.
    inputs: the columns it may read.
    seed: for the library; with fewer than 10,000 rows it plays no part.
    """
    return HistGradientBoostingRegressor(
        loss="poisson", early_stopping=False, random_state=seed
    ).fit(hours[list(inputs)], hours["rides"])


def forecast(model: HistGradientBoostingRegressor, hours: "pd.DataFrame") -> np.ndarray:
    """The rides that a model of `train` expects in each hour, (N,)."""
    return model.predict(hours[list(model.feature_names_in_)])


def error(rides: np.ndarray, forecasts: np.ndarray) -> float:
    """How far off, as a share of all rides: Σ|forecast − rides| / Σ rides; 0 is perfect."""
    return float(np.abs(np.asarray(forecasts) - rides).sum() / np.sum(rides))
