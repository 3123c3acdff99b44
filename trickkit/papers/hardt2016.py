"""Hardt, Price, Srebro 2016, Equality of Opportunity in Supervised Learning, arXiv:1610.02413: its
case study of credit scores. What a lender earns and whom it refuses, by what is to be equal.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trickkit import data
from trickkit.common import validate_number

if TYPE_CHECKING:
    import pandas as pd

BREAK_EVEN = 0.82  # a loan is worth making if it is repaid with at least this chance
LEVELS = 5001  # of an equal share that are tried, from 0 to 1


class Credit(NamedTuple):
    """What each threshold does to each group.

    groups: their G names.
    thresholds: T scores, from the lowest; a loan goes to whoever has at least this score, and at
        the last threshold to nobody.
    repaid, lost: who gets a loan and repays it, or does not, as shares of *all* people, (T, G).
    """

    groups: list[str]
    thresholds: np.ndarray
    repaid: np.ndarray
    lost: np.ndarray


def credit(scores: "pd.DataFrame | None" = None) -> Credit:
    """What each threshold does, counted from a table of scores.

    scores: as `data.credit_scores` gives it, which is taken where none comes; the same scores for
        every group, rising.
    """
    scores = data.credit_scores() if scores is None else scores
    groups = list(scores["group"].unique())
    by_group = [scores[scores["group"] == group] for group in groups]
    people = np.array([one["people"].iloc[0] for one in by_group])
    at_or_below = np.stack([one["at_or_below"] for one in by_group], 1) / 100
    here = np.diff(at_or_below, axis=0, prepend=0) * people / people.sum()  # at just this score
    bad = np.stack([one["bad"] for one in by_group], 1) / 100
    nobody = np.zeros((1, len(groups)))

    def at_least(shares: np.ndarray) -> np.ndarray:
        return np.concatenate([shares[::-1].cumsum(0)[::-1], nobody])

    thresholds = by_group[0]["score"].to_numpy()
    return Credit(
        groups, np.append(thresholds, 101), at_least(here * (1 - bad)), at_least(here * bad)
    )


def profit(repaid: np.ndarray, lost: np.ndarray, *, break_even: float = BREAK_EVEN) -> np.ndarray:
    """What loans earn, in units of what one repaid loan earns (case study, section 5).

    At the chance `break_even` of being repaid a loan earns nothing on average, so one that is lost
    costs break_even / (1 − break_even) of those that are repaid.

    repaid, lost: how many loans are repaid and are not, numbers or arrays of one shape.
    break_even: in (0, 1).
    Raises ValueError for another break_even.
    """
    validate_number(at_least=0, at_most=1, break_even=break_even)
    if break_even in (0, 1):
        raise ValueError(
            f"break_even is {break_even!r}; a chance above 0 and below 1 is wanted, such as 0.82."
        )
    return repaid - lost * break_even / (1 - break_even)


class Policy(NamedTuple):
    """A way to choose whom to lend to.

    earned: its profit, as a share of the most that can be earned.
    refused: who would repay and gets no loan, as a share of all in their group who would, (G,).
    """

    earned: float
    refused: np.ndarray


def at_levels(levels: np.ndarray, of: np.ndarray, what: np.ndarray) -> np.ndarray:
    """Something of each group at the thresholds where another share has these levels.

    Between two thresholds lots are drawn among those who have just the lower score.

    levels: (L,), rising.
    of: the share, which falls to 0 with the threshold, (T, G).
    what: (T, G).
    Returns (L, G).
    """
    pairs = zip(of.T, what.T, strict=True)
    return np.stack([np.interp(levels, x[::-1], y[::-1]) for x, y in pairs], 1)


def policies(table: Credit, *, break_even: float = BREAK_EVEN) -> dict[str, Policy]:
    """The five policies of the paper's case study, the most profitable of each kind.

    "a threshold per group" has no rule to follow, "one threshold" the same score for all, "equal
    opportunity" the same share refused of those who would repay, "equal odds" also the same share
    of the others, "equal shares" (demographic parity) the same share of everybody.

    table: as `credit` counts it.
    break_even: as in `profit`.
    """
    repaid, lost = table.repaid, table.lost
    would, would_not = repaid[0], lost[0]
    earned = profit(repaid, lost, break_even=break_even)
    most = earned.max(0).sum()
    levels = np.linspace(0, 1, LEVELS)

    def best(repaid: np.ndarray, lost: np.ndarray) -> Policy:
        all_earned = profit(repaid, lost, break_even=break_even).sum(1)
        row = all_earned.argmax()
        return Policy(float(all_earned[row] / most), 1 - repaid[row] / would)

    def equal(of: np.ndarray) -> Policy:
        return best(at_levels(levels, of, repaid), at_levels(levels, of, lost))

    free = np.take_along_axis(repaid, earned.argmax(0)[None], 0)[0]
    # of those who would not repay a share `levels` gets a loan; of those who would, as many as
    # every group's scores allow, which is what the worst of them allow
    allowed = at_levels(levels, lost / would_not, repaid / would).min(1, keepdims=True)
    return {
        "a threshold per group": Policy(1.0, 1 - free / would),
        "one threshold": best(repaid, lost),
        "equal opportunity": equal(repaid / would),
        "equal odds": best(allowed * would, levels[:, None] * would_not),
        "equal shares": equal((repaid + lost) / (would + would_not)),
    }
