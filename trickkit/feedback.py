"""Patrols go where crime was found, and find it where they go: the urn of runaway feedback.

Ensign, Friedler, Neville, Scheidegger, Venkatasubramanian, "Runaway feedback loops in predictive
policing" (2018), arXiv:1706.09847.
"""

from collections.abc import Callable

import numpy as np

from trickkit.common import validate_count, validate_flag, validate_rng

# (record (cities, districts), the district patrolled in each city (cities,)) -> what a find counts
Learn = Callable[[np.ndarray, np.ndarray], np.ndarray]


def own_share(record: np.ndarray, patrol: np.ndarray) -> np.ndarray:
    """The share of each city's record that the patrolled district has: (cities,).

    record, patrol: as in `learn`.
    """
    return record[np.arange(len(record)), patrol] / record.sum(1)


def as_found(record: np.ndarray, patrol: np.ndarray) -> np.ndarray:
    """Each find counts 1, as when a record is simply kept: (cities,).

    record, patrol: as in `learn`.
    """
    return np.ones(len(record))


def learn(record: np.ndarray, patrol: np.ndarray) -> np.ndarray:
    """What a find counts if the record is to grow with crime and not with patrols: (cities,).

    One over the share of the patrols that its district gets (Horvitz, Thompson 1952): what is
    looked for half as often counts twice.

    record: what was found so far, (cities, districts), above 0; patrols are sent in proportion.
    patrol: the district patrolled today in each city, (cities,) of whole numbers.
    """
    return 1 / own_share(record, patrol)


def thin(record: np.ndarray, patrol: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Whether a find is written down: 0 or 1, (cities,). The other cure, in the manner of
    Ensign and others (section on modifying the urn).

    Kept with a probability of the smallest share of patrols over the district's own: what is
    looked for twice as often is kept half as often.

    record, patrol: as in `learn`.
    rng: throws the dice.
    Raises ValueError for what is no generator.
    """
    validate_rng(rng)
    smallest = record.min(1) / record.sum(1)
    return (rng.random(len(record)) < smallest / own_share(record, patrol)).astype(float)


def patrol_days(
    crime: np.ndarray,
    record: np.ndarray,
    *,
    rng: np.random.Generator,
    learn: Learn = as_found,
    days: int = 1000,
    cities: int = 400,
    greedy: bool = False,
) -> np.ndarray:
    """Cities alike, day by day: one patrol a city, sent by its record, which what it finds changes.

    crime: how likely a patrol is to find a crime in each district, (districts,), in [0, 1].
    record: what every city's record says at first, (districts,), above 0.
    rng: throws all dice.
    learn: what a find counts.
    days: of patrol.
    cities: told apart by luck alone.
    greedy: the patrol always goes where the record is longest (of equals, where a coin says);
        otherwise by lot, in proportion to the record.
    Returns each district's share of the record, at first and after each day, (days + 1, cities,
        districts).
    Raises ValueError for crime outside [0, 1], a record that is not above 0, or not of as many
        districts, no generator, and counts that make no sense.
    """
    validate_rng(rng)
    validate_count(days=days, cities=cities)
    validate_flag(greedy=greedy)
    crime, record = np.asarray(crime, float), np.asarray(record, float)
    if crime.ndim != 1 or not ((crime >= 0) & (crime <= 1)).all():
        raise ValueError(f"crime is {crime}; a chance from 0 to 1 is wanted for each district.")
    if record.shape != crime.shape or not (record > 0).all():
        raise ValueError(
            f"record is {record}; a number above 0 is wanted for each of {len(crime)} districts."
        )
    rows = np.arange(cities)
    now = np.tile(record, (cities, 1))
    shares = [now / now.sum(1, keepdims=True)]
    for _ in range(days):
        if greedy:
            patrol = (now + 1e-9 * rng.random(now.shape)).argmax(1)
        else:
            lot = rng.random((cities, 1))
            patrol = (lot >= shares[-1].cumsum(1)[:, :-1]).sum(1)
        found = rng.random(cities) < crime[patrol]
        counted = found * learn(now, patrol)
        now = now.copy()
        now[rows, patrol] += counted
        shares.append(now / now.sum(1, keepdims=True))
    return np.stack(shares)
