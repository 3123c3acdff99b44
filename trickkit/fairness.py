"""Whom a decision treats how: error rates by group, each with its interval, and what can be equal.

Chouldechova, "Fair prediction with disparate impact" (2017); Kleinberg, Mullainathan and Raghavan,
"Inherent trade-offs in the fair determination of risk scores" (2016); Hardt, Price and Srebro,
"Equality of opportunity in supervised learning" (2016).
"""

import numpy as np
from scipy.stats import norm


def interval(hits: np.ndarray, n: np.ndarray, *, confidence: float = 0.95) -> np.ndarray:
    """Between which shares the true one lies, where `hits` of `n` were seen: Wilson (1927), eq. 4.

    hits, n: counts, of like shapes (or one number); n above 0.
    confidence: how often such an interval holds the truth, in (0, 1).

    Returns (…, 2): its two ends, in [0, 1].
    """
    hits, n = np.asarray(hits, float), np.asarray(n, float)
    z = norm.ppf((1 + confidence) / 2)
    centre = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(hits * (n - hits) / n + z**2 / 4)
    return np.stack([centre - half, centre + half], axis=-1)
