"""The checks of lesson 19, in NumPy.

Each draws fresh tables of counts; what is wrong is told by what it equals instead.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd

from trickkit import audit, fairness, feedback
from trickkit.check import (
    Marks,
    NotWritten,
    called,
    exercise,
    fresh_rng,
    progress,
    recognised,
    same,
    told_apart,
)
from trickkit.common import finite_number
from trickkit.papers import hardt2016

__all__ = [
    "balance",
    "error_rates",
    "first_bad_month",
    "forced_fpr",
    "give_away",
    "learn",
    "profit",
    "progress",
]
LESSON = "19 consequences"
SCORES = np.arange(1, 11)


def drawn_group(rng: np.random.Generator, *, people: int, base: float, slope: float) -> np.ndarray:
    """A group whose odds of the outcome rise with the score, e^slope a step: counts, (2, 10)."""
    at = rng.dirichlet(np.full(10, 8.0)) * people
    share = 1 / (1 + np.exp(-slope * (SCORES - 5.5) - np.log(base / (1 - base))))
    return np.round([at * (1 - share), at * share]).astype(int) + 1


@exercise(
    LESSON,
    fairness.error_rates,
    "Decile t stands in column t − 1, so counts[:, threshold - 1:] are those at or above it.",
    "Each rate looks along one row: FPR divides by counts[0].sum(), FNR by counts[1].sum().",
    rounds=3,
)
def error_rates(yours):
    """FPR and FNR of one group's counts."""
    for _ in range(100):
        rng = fresh_rng()
        people, base = int(rng.integers(800, 4000)), rng.uniform(0.3, 0.6)
        counts = drawn_group(rng, people=people, base=base, slope=0.3)
        threshold = int(rng.integers(3, 9))
        right = fairness.error_rates(counts, threshold)
        mistakes = error_rate_mistakes(counts, threshold)
        if told_apart(right, mistakes):
            break
    mine = called(yours, counts, threshold, like=right, what="pair (FPR, FNR)")
    if not same(mine, right):
        if np.round(right, 2).tolist() == np.round(mine, 3).tolist():
            return "your rates are rounded to two digits. Leave them as they are."
        return recognised(mine, mistakes) or (
            f"at threshold {threshold} the rates are {right[0]:.4f} and {right[1]:.4f}, and yours"
            f" are {mine[0]:.4f} and {mine[1]:.4f}."
        )
    nobody = called(yours, counts, 11, like=right, what="pair (FPR, FNR) at threshold 11")
    if not same(nobody, (0.0, 1.0)):
        return (
            "at threshold 11 nobody is flagged, so the rates are 0 and 1, and yours are"
            f" {nobody[0]:g} and {nobody[1]:g}."
        )
    return None


def error_rate_mistakes(counts: np.ndarray, threshold: int) -> Marks:
    """The sentences for what a wrong pair of rates may equal."""
    (tn, fp), (fn, tp) = fairness.confusion(counts, threshold).tolist()
    above, below = (fairness.error_rates(counts, threshold + step) for step in (1, -1))
    alone = counts[:, threshold - 1] / counts.sum(1)
    n = counts.sum()
    large = (counts * (counts >= threshold)).sum(1) / counts.sum(1)
    by_size = [(large[0], 1 - large[1])]
    fpr, fnr = fp / (fp + tn), fn / (fn + tp)
    return {
        "you look down the columns: of those flagged, how many were not charged again. FPR looks"
        " along a row: of those not charged again, how many were flagged.": [
            (fp / (fp + tp), fn / (fn + tn)),
            (fp / (fp + tp), fnr),
            (fpr, fn / (fn + tn)),
        ],
        "you flag those above the threshold only. Who scores the threshold itself is flagged, and"
        " decile t stands in column t − 1.": [
            (above[0], above[1]),
            (above[0], fnr),
            (fpr, above[1]),
        ],
        "you flag one decile too many: the threshold's own stands in column t − 1.": [
            (below[0], below[1]),
            (below[0], fnr),
            (fpr, below[1]),
        ],
        "you flag the threshold's own decile alone. Those above it are flagged as well.": [
            (alone[0], 1 - alone[1]),
            (alone[0], alone[1]),
        ],
        "your rates are those at 5, whatever `threshold` says.": [
            tuple(fairness.error_rates(counts, 5))
        ],
        "the two rates are in the other order: FPR comes first.": (fnr, fpr),
        "the second is the share that was flagged, 1 − FNR. FNR counts those charged again who"
        " were not flagged.": (fpr, 1 - fnr),
        "you flag those below the threshold. A high decile means a high risk.": [
            (1 - fpr, 1 - fnr)
        ],
        "the first is the share that was rightly left alone, 1 − FPR. FPR counts those flagged.": [
            (1 - fpr, fnr)
        ],
        "you divide by everyone. FPR is a share of those not charged again, FNR of those charged"
        " again.": (fp / n, fn / n),
        "these are numbers of people; shares are wanted. Divide each by its own row's sum.": [
            (fp, fn)
        ],
        "you compare the counts with the threshold. They are people; the decile is told by the"
        " column's place.": by_size,
        "these are percentages; shares from 0 to 1 are wanted.": (100 * fpr, 100 * fnr),
        "you took row 0 for those charged again. It holds those who were not.": [
            (tp / (fn + tp), tn / (fp + tn))
        ],
    }


@exercise(
    LESSON,
    fairness.forced_fpr,
    "Count in shares of the group: TP = p (1 − FNR), and TP / (TP + FP) = PPV. Solve for FP.",
    "FP = TP (1 − PPV) / PPV. FPR is FP divided by the share not charged again, 1 − p.",
    rounds=3,
)
def forced_fpr(yours):
    """The rate that the other three force."""
    for _ in range(100):
        base, ppv, fnr = fresh_rng().uniform(0.2, 0.8, 3).tolist()
        right = fairness.forced_fpr(base, ppv, fnr)
        mistakes = {
            "the base rate's odds are upside down: p / (1 − p).": (
                right * ((1 - base) / base) ** 2
            ),
            "the odds of PPV are upside down: (1 − PPV) / PPV. A better PPV means fewer who are"
            " wrongly flagged.": right * (ppv / (1 - ppv)) ** 2,
            "you multiply by FNR. The flagged among those charged again are 1 − FNR.": [
                right * fnr / (1 - fnr)
            ],
            "this is FP as a share of the whole group. FPR is a share of those not charged again:"
            " divide by 1 − p.": right * (1 - base),
            "the base rate is missing, or cancels: FP holds p, and is divided by 1 − p, not p.": [
                right * (1 - base) / base,
            ],
            "you multiply by 1 − PPV without dividing by PPV.": right * ppv,
            "(1 − PPV) / PPV is missing: it turns TP into FP.": base * (1 - fnr) / (1 - base),
            "FNR is missing: of those charged again, 1 − FNR are flagged.": right / (1 - fnr),
            "these are percentages; a share from 0 to 1 is wanted.": 100 * right,
            "this is PPV, which was given.": ppv,
            "brackets are missing: a / 1 - p is a less p, not a / (1 - p).": [
                right * (1 - base) - base,
                base - base * (1 - ppv) / ppv * (1 - fnr),
                base / 1 - base,
            ],
            "this counts all who are flagged: TP / PPV is TP + FP. Take TP away.": (
                base * (1 - fnr) / ppv / (1 - base)
            ),
            "this is 1 − FPR, the share rightly left alone.": 1 - right,
            "you divide by 1 − p but TP is a share of those charged again only: multiply by p.": [
                right / base
            ],
        }
        if right < 0.9 and told_apart(right, mistakes):
            break
    mine = float(called(yours, base, ppv, fnr, like=right))
    if same(mine, right):
        return None
    if mine == round(right, 2):
        return "your rate is rounded to two digits. Leave it as it is."
    return recognised(mine, mistakes) or (
        f"with p = {base:.3f}, PPV = {ppv:.3f} and FNR = {fnr:.3f} it is {right:.4f}, and yours is"
        f" {mine:.4f}."
    )


@exercise(
    LESSON,
    fairness.balance,
    "Go through all 100 pairs: for a in range(1, 11), for b in range(1, 11). Keep those where both"
    " gaps, abs(error_rates(counts[0], a) - error_rates(counts[1], b)), are small enough.",
    "Of those kept take the one with the most right decisions in both groups together: for a group,"
    " counts[0, :t - 1].sum() + counts[1, t - 1:].sum().",
    rounds=3,
)
def balance(yours):
    """The pair that is right about most people, of those that are even enough."""
    untried: set[str] | None = None  # mistakes that were right in every table until now
    while untried != set():
        pairs = Pairs(fresh_rng())
        if not pairs.clear:
            continue
        right, mistakes = pairs.right, pairs.mistakes()
        wrong = {s: m for s, m in mistakes.items() if not np.array_equal(m, right)}
        untried = set(mistakes) if untried is None else untried
        if not (untried & wrong.keys() and told_apart(right, wrong)):
            continue
        untried -= wrong.keys()
        mine = called(yours, pairs.counts, pairs.tolerance, like=right, what="pair of thresholds")
        if np.array_equal(mine, right):
            continue
        if said := recognised(mine, wrong, same=np.array_equal):
            return said
        if not np.isin(mine, SCORES).all():
            return f"{mine[0]:g} and {mine[1]:g} are not both whole numbers from 1 to 10."
        return f"{pairs.told(mine)}, where {pairs.tolerance} is allowed; {pairs.told(right)}."
    return None


class Pairs:
    """All pairs of thresholds of two fresh groups, what they do, and which is right."""

    def __init__(self, rng: np.random.Generator):
        sizes = rng.permutation([rng.integers(700, 1500), rng.integers(3000, 6000)])
        bases, slopes = rng.permutation([0.3, 0.6]), rng.permutation([0.3, 0.4])
        self.counts = np.stack(
            [
                drawn_group(rng, people=people, base=base, slope=slope)
                for people, base, slope in zip(sizes, bases, slopes, strict=True)
            ]
        )
        self.tolerance = round(float(rng.uniform(0.05, 0.1)), 3)
        self.all = np.array(list(itertools.product(SCORES, repeat=2)))
        tables = [[fairness.confusion(c, int(t)) for t in SCORES] for c in self.counts]
        self.found = [[fairness.rates(table) for table in group] for group in tables]
        self.gaps = np.column_stack([self.apart("FPR"), self.apart("FNR")])
        one, other = self.of("accuracy")
        people = self.counts.sum((1, 2))
        self.accuracy = (one * people[0] + other * people[1]) / people.sum()
        self.mean_accuracy = (one + other) / 2
        self.even = np.all(abs(self.gaps) <= self.tolerance, axis=1)
        self.right = self.best(self.even)
        ordered = np.sort(self.accuracy[self.even])
        self.clear = (
            len(ordered) > 2
            and ordered[-1] - ordered[-2] > 1e-3
            and (abs(abs(self.gaps) - self.tolerance) > 1e-4).all()
        )

    def of(self, rate: str) -> tuple[np.ndarray, np.ndarray]:
        """A rate of the first group in each pair, and of the second."""
        shares = np.array([[f[rate][0] / f[rate][1] for f in group] for group in self.found])
        return shares[0][self.all[:, 0] - 1], shares[1][self.all[:, 1] - 1]

    def apart(self, rate: str) -> np.ndarray:
        """By how much a rate of the first group is above that of the second, in each pair."""
        one, other = self.of(rate)
        return one - other

    def best(self, kept: np.ndarray, *, by: np.ndarray | None = None) -> np.ndarray:
        """The pair that is right about most people, of those kept."""
        return self.all[np.where(kept, self.accuracy if by is None else by, -1).argmax()]

    def told(self, pair: np.ndarray) -> str:
        """What a pair does, in words."""
        i = int((self.all == pair).all(1).argmax())
        fpr, fnr = abs(self.gaps[i])
        return (
            f"{pair[0]:g} and {pair[1]:g} have gaps of {fpr:.3f} (FPR) and {fnr:.3f} (FNR), and are"
            f" right about {self.accuracy[i]:.1%} of all people"
        )

    def mistakes(self) -> Marks:
        """The sentences for what a wrong pair may be."""
        gaps, even = abs(self.gaps), self.tolerance
        used = self.all.min(1) > 1
        common = self.all[:, 0] == self.all[:, 1]
        most_even = (
            "this is the most even pair{}. Of all that are even enough, the one that is right about"
            " most people is wanted."
        )
        return {
            "you use one threshold for both groups. Theirs may differ.": [
                self.best(common),
                self.best(common & self.even),
            ],
            "only FPR is even enough in your pair; FNR has to be as well, and a gap below 0"
            " counts like one above: take abs.": (self.best(gaps[:, 0] <= even)),
            "only FNR is even enough in your pair; FPR has to be as well, and a gap below 0"
            " counts like one above: take abs.": (self.best(gaps[:, 1] <= even)),
            "your pair flags like shares of both groups. Like FPR and like FNR are wanted.": (
                self.best(abs(self.apart("flagged")) <= even)
            ),
            "your pair has like PPV in both groups. Like FPR and like FNR are wanted.": (
                self.best(abs(self.apart("PPV")) <= even)
            ),
            most_even.format(", for it flags everyone"): np.array([1, 1]),
            most_even.format(" of those that do not flag everyone"): (
                self.all[np.where(used, gaps.max(1), 9).argmin()]
            ),
            "this is the most accurate pair of all, without regard to the gaps.": (self.best(used)),
            "your pair is the best by the mean of the two groups' accuracies. The groups are not"
            " equally large: count people.": self.best(self.even, by=self.mean_accuracy),
            "the two thresholds are in the other order.": self.right[::-1],
            "your thresholds are columns, counted from 0. Decile t stands in column t − 1.": (
                self.right - 1
            ),
            "your thresholds are one too high. Who scores the threshold itself is flagged.": (
                self.right + 1
            ),
            "you allow the two gaps together no more than each may have.": (
                self.best(gaps.sum(1) <= even)
            ),
        }


@exercise(
    LESSON,
    fairness.first_bad_month,
    "Divide month by month. Which is the last month in which nine in ten or fewer were charged"
    " again?",
    "np.flatnonzero(share <= 0.9)[-1] is the last month in order; the bad ones begin after it.",
    rounds=3,
)
def first_bad_month(yours):
    """The month from which on the table cannot be right."""
    while True:
        charged, people, right, mistakes = months_gone_bad(fresh_rng())
        if told_apart(right, mistakes):
            break
    mine = int(called(yours, charged, people, like=right, what="place of a month"))
    if mine == right:
        return without_a_fault(yours, charged[:right], people[:right])
    return recognised(mine, mistakes, same=lambda a, b: a == b) or (
        f"month {right} is the first from which on more than nine in ten were charged again"
        f" ({charged[right]} of {people[right]}), and you say {mine}."
    )


def months_gone_bad(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int, Marks]:
    """Charged and people in each month, from where they are bad, and what mistakes find instead."""
    months = int(rng.integers(28, 40))
    bad = int(rng.integers(14, months - 11))
    people = rng.integers(300, 600, months)
    share = rng.uniform(0.3, 0.42, months)
    thin, chance = np.sort(rng.choice(np.arange(2, bad - 7), 2, replace=False)).tolist()
    people[thin] = rng.integers(50, 60)
    lucky = slice(chance, chance + rng.integers(1, 4))
    people[lucky] = rng.integers(5, 12)  # a few people, all charged again
    share[lucky] = 1
    people[bad - 2 : bad] = rng.integers(60, 90, 2)  # added up with the bad ones, they look bad too
    share[bad - 1] = 0.85
    people[bad:] = rng.integers(90, 140, months - bad)
    share[bad:] = 1
    share[bad] = rng.uniform(0.93, 0.98)
    charged = np.round(people * share).astype(int)
    right = fairness.first_bad_month(charged, people)
    onwards = charged[::-1].cumsum()[::-1] / people[::-1].cumsum()[::-1]
    mistakes: Marks = {
        f"month {chance} has {people[chance]} people, by chance all charged again, and soon after"
        " it the months are as usual. The bad ones go on to the end.": chance,
        f"month {thin} has few people, but a usual share of them was charged again.": thin,
        "you add up all months to the end. Each of them by itself has to be above nine in ten.": (
            int((onwards > 0.9).argmax())
        ),
        "this is the first month in which everyone was charged again. The one before it is already"
        " above nine in ten.": right + 1,
        f"month {right - 1} is the last in order, with {charged[right - 1]} of {people[right - 1]}"
        " charged again, not more than nine in ten. The first bad one comes after it.": right - 1,
        "this is the last month of all. When do the bad ones begin?": months - 1,
        "month 15 is where ProPublica's file goes bad; this table's fault is elsewhere.": 15,
        "this is how many months are bad. Which is the first?": months - right,
    }
    return charged, people, right, mistakes


def without_a_fault(yours: Callable, charged: np.ndarray, people: np.ndarray) -> str | None:
    """The sentence for a function that finds a fault in a table that has none."""
    right = len(people)
    wanted = f"in a table without a bad month the answer is the number of months, {right}"
    try:
        mine = called(yours, charged, people, like=right, what="place where no month is bad")
    except NotWritten:
        return f"{wanted}, and yours returns nothing."
    except (LookupError, StopIteration, TypeError, ValueError) as error:
        told = f"{type(error).__name__}: {error}".removesuffix(": ")
        return f"{wanted}; yours stopped with {told}."
    return None if int(mine) == right else f"{wanted}, and you say {int(mine)}."


@exercise(
    LESSON,
    hardt2016.profit,
    "At 0.82, of 100 loans 82 are repaid and 18 are lost, and the lender comes out even.",
    "So 18 lost loans cost as much as 82 repaid ones earn: one lost costs 82 / 18.",
    rounds=5,
)
def profit(yours):
    """repaid − lost · b / (1 − b)."""
    while True:
        rng = fresh_rng()
        repaid, lost = rng.uniform(0.1, 0.9, (2, 4, 3))
        b = float(rng.uniform(0.6, 0.9))
        right = hardt2016.profit(repaid, lost, break_even=b)
        mistakes = {
            "a lost loan costs as much as a repaid one earns. Then the lender would break even at"
            " one half, and not at break_even.": repaid - lost,
            "the odds are upside down: the higher break_even, the dearer is a lost loan.": (
                repaid - lost * (1 - b) / b
            ),
            "that is right but for its unit: what *one* repaid loan earns is to be 1. Divide by"
            " 1 − break_even.": repaid * (1 - b) - lost * b,
            "that is right but for its unit: what *one* repaid loan earns is to be 1, and not"
            " (1 − break_even) / break_even.": repaid * (1 - b) / b - lost,
            "a lost loan costs break_even of what a repaid one earns. Of 100 loans,"
            " 100 · break_even are repaid: how many lost ones do they pay for?": repaid - lost * b,
            "a lost loan costs 1 / (1 − break_even). Of 100 loans, 100 · break_even are repaid, not"
            " all of them.": repaid - lost / (1 - b),
            "lost loans *add* to your profit: look at the sign.": repaid + lost * b / (1 - b),
            "the two have changed places: repaid loans earn, lost ones cost.": (
                lost - repaid * b / (1 - b)
            ),
            "your lender breaks even at 0.82, whatever break_even says.": (
                hardt2016.profit(repaid, lost)
            ),
            "lost loans cost nothing yet.": repaid,
            "brackets are missing: b / 1 - b is b less b, not b / (1 - b).": (
                repaid - lost * b / 1 - b
            ),
            "the odds are for what is lost alone: repaid loans earn 1 each.": (
                (repaid - lost) * b / (1 - b)
            ),
            "that is the profit of one loan on average; what all of them earn is wanted.": (
                right / (repaid + lost)
            ),
            "those are per cent: one repaid loan earns 1.": 100 * right,
            "your profit stops at 0, but a lender can lose.": np.maximum(right, 0),
            "that is the lender's chance to be repaid, not what is earned.": (
                repaid / (repaid + lost)
            ),
        }
        if told_apart(right, mistakes):
            break
    known = {
        "you added everything up. A number for each place is wanted, as they came.": (),
        "you added up each row, all groups. A number for each place is wanted.": (4,),
        "you added up each column, all thresholds. A number for each place is wanted.": (3,),
    }
    number = finite_number(yours(repaid, lost, b))
    if number is not None and same(number, b / (1 - b)):
        return "that is what one lost loan costs. Now: what do all the loans earn, at each place?"
    said = called(yours, repaid, lost, b, like=right, what="profit", known=known)
    if same(said, right):
        return None
    return recognised(said, mistakes) or (
        f"{repaid[0, 0]:.2f} repaid and {lost[0, 0]:.2f} lost at break-even {b:.2f} earn"
        f" {right[0, 0]:.2f}; yours is {float(said[0, 0]):.2f}."
    )


ROWS = 500  # of the tables that a give_away is tried on
NOISE = 16  # of their columns tell nothing, enough to be learnt by heart
SLACK = 0.09  # of what is right, more than chance and another model's skill do


def made_up(rng: np.random.Generator, *, told: float, common: float) -> pd.DataFrame:
    """A table with a column `hidden` of two words.

    told: how often another column, of words, says it right.
    common: how frequent the commoner word is.
    """
    hidden = rng.permutation(np.where(np.arange(ROWS) < common * ROWS, "a", "b"))
    heard = np.where(rng.random(ROWS) < told, hidden, np.where(hidden == "a", "b", "a"))
    noise = {f"noise {i}": rng.normal(size=ROWS) for i in range(NOISE)}
    return pd.DataFrame(noise | {"word": heard, "hidden": hidden})


@exercise(
    LESSON,
    audit.give_away,
    "frame.drop(columns=column) is what the model may see, frame[column] what it is to guess.",
    "model_selection.cross_val_score(audit.trees(), inputs, answers) trains on some rows and is"
    " scored on others, five times: five accuracies. What would you get by always naming the"
    " commonest answer?",
    "answers.value_counts(normalize=True).max() is that. Take it from the mean of the five.",
    rounds=1,
)
def give_away(yours):
    """Accuracy on rows not seen, less the commonest value's share."""
    rng = fresh_rng()
    told, common = float(rng.uniform(0.88, 0.94)), float(rng.uniform(0.62, 0.7))
    telling, silent = (made_up(rng, told=t, common=common) for t in (told, 0.5))
    silent["word"] = rng.permutation(silent["word"])
    gained, invented = (
        float(called(yours, table, "hidden", like=0.0, what="gain")) for table in (telling, silent)
    )
    told = (telling["word"] == telling["hidden"]).mean()
    most = telling["hidden"].value_counts(normalize=True).max()
    right = told - most
    if -1.5 * SLACK < gained - right < SLACK and invented < SLACK:
        return mean_and_plain(yours, rng)
    found = f"in a table whose other columns tell nothing you find {invented:.2f} to gain"
    if gained > 2:
        return "those are per cent; a share is wanted, from 0 to 1."
    if gained > 1:
        return "you divided by the share of the commonest value; take it away."
    if gained < -1:
        return "you took away how many rows the commonest value has. Their share is wanted."
    if gained < -right / 2:
        return "the sign is turned: accuracy *less* the share of the commonest value."
    if abs(gained - right / (1 - most)) < SLACK and invented < SLACK:
        return (
            "you divided by all there was to gain, 1 less the commonest value's share. The gain"
            " itself is wanted."
        )
    if abs(gained - (told - 1 + most)) < SLACK / 2 and invented > SLACK:
        return (
            f"you took away the share of the *rarest* value. Naming the commonest is right in"
            f" {most:.2f} of the rows: take that away."
        )
    if gained > 0.97 and invented > 0.97:
        return (
            f"{found}. The column was left among the inputs, and the share of the commonest value"
            " was not taken away."
        )
    if abs(gained - told) < SLACK and invented > 0.3:
        return (
            f"{found}. That is accuracy. Whoever always names the commonest value is right in"
            f" {most:.2f} of the rows, and knows nothing: take that away."
        )
    if invented > 1 - most - 0.02:
        return (
            f"{found}, which is all there is: your model saw the column itself, or was scored on"
            " the rows it was trained on."
        )
    if abs(gained - (told - 0.5)) < SLACK / 2 and invented > -SLACK / 2:
        return (
            f"you took away one half, but the commoner value has {most:.2f} of the rows: that is"
            " what you get right without knowing anything."
        )
    if invented > SLACK:
        return f"{found}. Score the model on rows it was not trained on: those it knows by heart."
    if gained < right / 4:
        return (
            f"one column of words tells the hidden one in {told:.0%} of the rows, and you find"
            f" {gained:.2f} to gain. Did the model see all the other columns, words too?"
        )
    return (
        f"the other columns tell the hidden one in {told:.0%} of the rows, and its commonest value"
        f" has {most:.0%}: about {right:.2f} to gain. Yours is {gained:.2f}."
    )


def mean_and_plain(yours: Callable, rng: np.random.Generator) -> str | None:
    """The sentence for the accuracy of the luckiest fold, or a balanced one, in place of the mean
    and plain one."""
    uneven = made_up(rng, told=0.7, common=0.6)[["word", "hidden"]]
    easy = ROWS // 3  # in the first third of the rows the word always tells
    uneven.loc[:easy, "word"] = uneven.loc[:easy, "hidden"]
    right = float((uneven["word"] == uneven["hidden"]).mean()) - 0.6
    gained = float(called(yours, uneven, "hidden", like=0.0, what="gain"))
    if gained > right + 1.3 * SLACK:
        return (
            f"in a table whose first rows are easy there is {right:.2f} to gain, and you find"
            f" {gained:.2f}: is that the luckiest part of the rows? Take the mean of all parts."
        )
    rare = made_up(rng, told=0.5, common=0.9)
    rare["word"] = rng.permutation(rare["word"])
    gained = float(called(yours, rare, "hidden", like=0.0, what="gain"))
    if gained < -0.25:
        return (
            "where one value has nine in ten of the rows and nothing tells it, you find"
            f" {gained:.2f}: did you count the rare value as much as the common one (balanced"
            " accuracy)? Count every row alike."
        )
    return None


@exercise(
    LESSON,
    feedback.learn,
    "record[np.arange(len(record)), patrol] is what each city's record says of the district"
    " patrolled; record.sum(1) is all of it.",
    "A district with a quarter of the record gets a quarter of the patrols. How often must a find"
    " there count to make up for the other three quarters?",
    "Four times: one over the share of the record.",
    rounds=5,
)
def learn(yours):
    """One over the patrolled district's share of the record."""
    while True:
        rng = fresh_rng()
        record = rng.integers(2, 60, (7, 3)).astype(float)
        patrol = rng.integers(0, 3, 7)
        if len(set(patrol.tolist())) < 3:
            continue
        own = record[np.arange(7), patrol]
        share = own / record.sum(1)
        right = feedback.learn(record, patrol)
        mistakes = {
            "every find counts 1, which is how the record was kept without a cure.": np.ones(7),
            "you multiply by the share, and should divide: now a find counts *more* where more"
            " patrols go.": share,
            "a find counts 1 less the share. Where half as many patrols go, a find must count twice"
            " as much: one *over* the share.": 1 - share,
            "those are the odds against the district, 1 / share − 1. One over the share.": (
                1 / share - 1
            ),
            "you divided by the record itself. The longer all records get, the less a find counts:"
            " the *share* of the record is wanted.": 1 / own,
            "that is what the record says of the district, not what a find counts.": own,
            "you divide by the share of the district with the longest record, wherever the patrol"
            " was.": record.sum(1) / record.max(1),
            "you divide by the share of the first district, wherever the patrol was.": (
                record.sum(1) / record[:, 0]
            ),
            "you added up all cities. Each has a record of its own: .sum(1).": (record.sum() / own),
            "record.sum(0) adds up a district over all cities. Each city has a record of its own:"
            " .sum(1).": record.sum(0)[patrol] / own,
            "within a city that weighs finds rightly, but a find is to count 1 / share, whatever"
            " the least patrolled district gets.": record.min(1) / own,
            "with three districts the mean is not the sum: one over the *share* of the record.": (
                record.mean(1) / own
            ),
            "that is the longest record over the district's own. One over its share of *all*.": (
                record.max(1) / own
            ),
            "you divide by the share twice: half as many patrols, twice the count.": right**2,
            "you count today's patrols in all cities. The *record* tells how many a city's district"
            " gets.": 7 / np.bincount(patrol)[patrol],
        }
        if told_apart(right, mistakes):
            break
    known = {
        "record[:, patrol] takes those columns in *every* city. One for each city:"
        " record[np.arange(len(record)), patrol].": (7, 7),
        "that is a number for each district. One for each city is wanted: for the district that"
        " was patrolled.": (7, 3),
    }
    said = called(yours, record, patrol, like=right, what="count", known=known)
    if same(said, right):
        return None
    return recognised(said, mistakes) or (
        f"in the first city the record is {record[0].astype(int).tolist()} and district"
        f" {patrol[0]} was patrolled: a find counts {right[0]:.2f}. Yours counts"
        f" {float(said[0]):.2f}."
    )
