"""Rule lists: if, else if, else; the rows that each line decides, and what it says of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special

from trickkit.common import finite_number
from trickkit.rules import conditions
from trickkit.rules.conditions import Rule


@dataclass(frozen=True)
class RuleList:
    """A rule list: the first antecedent that holds for a row decides; if none does, the last line.

    Prints as English, with the posterior mean of the last class's chance and its 95 % credible
    interval.

    rules: m antecedents, in order.
    counts: (m + 1, classes), the training rows that each line decides, by class.
    classes: their names.
    """

    rules: tuple[Rule, ...]
    counts: np.ndarray
    classes: tuple

    def decided_by(self, frame: pd.DataFrame) -> np.ndarray:
        """The line that decides each row: (rows,) from 0 to m."""
        conditions.validate_columns(frame)
        return first_that_holds([conditions.holds(rule, frame) for rule in self.rules], len(frame))

    def chances(self) -> np.ndarray:
        """The posterior mean of each class's chance, a row a line: (m + 1, classes), under a
        Dirichlet prior of ones.
        """
        return (self.counts + 1) / (self.counts + 1).sum(1, keepdims=True)

    def intervals(self, *, share: float = 0.95) -> np.ndarray:
        """Credible intervals of the last class's chance, a row a line.

        share: how much of the posterior they hold, in the middle.
        Returns (m + 1, 2), low and high.
        Raises ValueError for a share that is not between 0 and 1.
        """
        if not 0 < (finite_number(share) or 0) < 1:
            raise ValueError(f"share is {share!r}; a number between 0 and 1 is wanted.")
        yes = self.counts[:, -1:] + 1
        others = (self.counts[:, :-1] + 1).sum(1, keepdims=True)
        return special.betaincinv(yes, others, np.array([1 - share, 1 + share]) / 2)

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        """The chance of each class: (rows, classes)."""
        return self.chances()[self.decided_by(frame)]

    def lines(self) -> list[str]:
        """What each line asks, in words: (m + 1,)."""
        asked = [
            ("else if " if place else "if ") + conditions.english(rule)
            for place, rule in enumerate(self.rules)
        ]
        return [*asked, "else" if self.rules else "always"]

    def __str__(self) -> str:
        wide = max(map(len, self.lines()))
        return "\n".join(
            f"{line:<{wide}}  {self.classes[-1]}: {chance:.0%} ({low:.0%} to {high:.0%})  of"
            f" {count:,}"
            for line, chance, (low, high), count in zip(
                self.lines(),
                self.chances()[:, -1],
                self.intervals(),
                self.counts.sum(1),
                strict=True,
            )
        )


def evidence(counts: Sequence[int]) -> float:
    """log p(labels of the rows that one line decides), the classes' chances being unknown, all as
    likely beforehand.

    Letham 2015, Section 2, the likelihood.

    The Dirichlet-multinomial with α = 1.

    counts: (K,), the rows of each class.
    Returns log (K − 1)! ∏ n_k! / (Σ n_k + K − 1)!
    Raises ValueError for no classes, and for what is no counts.
    """
    what = "A count of 0 or more for each class"
    held = conditions.number_array(counts, what=what, whole=True).ravel().tolist()
    k = len(held)
    return math.lgamma(k) + sum(math.lgamma(n + 1) for n in held) - math.lgamma(sum(held) + k)


def first_that_holds(met: Sequence[np.ndarray], n_rows: int) -> np.ndarray:
    """The place of the first rule that holds for each row, len(met) if none does.

    met: for each rule, the rows for which it holds: (n_rows,) of bool.
    n_rows: how many there are.
    Returns (n_rows,).
    Raises ValueError for another number of rows.
    """
    first = np.full(n_rows, len(met))
    for place in reversed(range(len(met))):
        rows = np.asarray(met[place], dtype=bool)
        if rows.shape != (n_rows,):
            raise ValueError(f"{n_rows} rows are wanted for each rule; {rows.shape} came.")
        first[rows] = place
    return first


def fit_list(rules: Sequence[Rule], frame: pd.DataFrame, labels: ArrayLike) -> RuleList:
    """A rule list of your own choosing, its counts taken from labelled rows.

    rules: m antecedents, in order.
    frame: (rows, columns).
    labels: (rows,), any values.
    Raises ValueError for what is no frame, and for what `conditions.encode_labels` refuses.
    """
    conditions.validate_columns(frame)
    classes, y = conditions.encode_labels(labels, n_rows=len(frame))
    rules = conditions.validated_rules(rules, at_least=0)
    met = [conditions.holds(rule, frame) for rule in rules]
    return counted_list(rules, met, classes, y)


def counted_list(
    rules: Sequence[Rule], met: Sequence[np.ndarray], classes: np.ndarray, y: np.ndarray
) -> RuleList:
    """The rule list of these antecedents, where it is known for which rows each holds.

    rules, met: m antecedents, and for each the rows for which it holds: (rows,) of bool.
    classes, y: as `conditions.encode_labels` gives them.
    """
    counts = np.zeros((len(rules) + 1, len(classes)), dtype=int)
    np.add.at(counts, (first_that_holds(met, len(y)), y), 1)
    return RuleList(tuple(rules), counts, tuple(pd.Index(classes)))  # a date stays a date
