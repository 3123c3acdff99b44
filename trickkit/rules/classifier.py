"""Bayesian rule lists as a scikit-learn classifier."""

import collections
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from trickkit.common import progress_bar, validate_count
from trickkit.rules import conditions
from trickkit.rules.bayesian import (
    Posterior,
    frequent_conditions,
    frequent_rules,
    from_prior,
    metropolis,
    most_probable,
    point,
    r_hat,
)
from trickkit.rules.rule_list import first_that_holds

MIXED = 1.05  # R-hat of walks that agree


def _with_names(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose names are all text where some are: scikit-learn takes no mixture."""
    texts = [isinstance(name, str) for name in frame.columns]
    return frame.set_axis(frame.columns.map(str), axis=1) if any(texts) else frame


class BayesianRuleList(ClassifierMixin, BaseEstimator):
    """Bayesian Rule Lists as a scikit-learn classifier: print it, it speaks English.

    Letham, Rudin, McCormick, Madigan 2015, arXiv:1511.01644.

    Takes a DataFrame of words and numbers, or an array of numbers, and two classes or more. Has,
    once fitted, `list_` (the `RuleList` of BRL-point), `best_` and `log_posterior_` (the best list
    visited, as places in `posterior_.antecedents`, and its log posterior), `visits_` (all lists
    sampled), `r_hat_` and `mixed_` (whether that is below 1.05), `classes_`.

    length, width: λ and η of the prior, the rules and the conditions in each that it expects.
    support, max_conditions, bins: what antecedents are mined, as in `mine`.
    chains, steps: how many walks of how many steps, of which the first half is dropped.
    average: predict by the mean over all sampled lists (BRL-post) and not by one list (BRL-point).
    random_state: an int or a numpy RandomState.
    """

    def __init__(
        self,
        *,
        length: float = 3,
        width: float = 1,
        support: float = 0.1,
        max_conditions: int = 2,
        bins: int = 4,
        chains: int = 3,
        steps: int = 10_000,
        average: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.length = length
        self.width = width
        self.support = support
        self.max_conditions = max_conditions
        self.bins = bins
        self.chains = chains
        self.steps = steps
        self.average = average
        self.random_state = random_state

    def fit(self, X: pd.DataFrame | np.ndarray, y: ArrayLike) -> Self:
        """Mine, walk, and choose.

        X: (rows, columns).
        y: (rows,), two classes or more, by position.
        Raises ValueError for anything missing, for one class only, for fewer steps than 8, and
            where no condition is frequent enough.
        """
        validate_count(chains=self.chains)
        validate_count(steps=self.steps, at_least=8)  # half are dropped, and R-hat wants 4
        y = y if y is None else conditions.label_array(y)  # scikit-learn says what None lacks
        if isinstance(X, pd.DataFrame):
            conditions.validate_frame(X)
            validate_data(self, _with_names(X), skip_check_array=True)
            labels = column_or_1d(y, warn=True)
            check_consistent_length(X, labels)
        else:
            X, labels = validate_data(self, X, y)
            X = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
        self.classes_, y = conditions.encode_labels(labels, n_rows=len(X))
        check_classification_targets(labels)
        facts = frequent_conditions(X, y, support=self.support, bins=self.bins)
        antecedents = frequent_rules(
            facts, y, support=self.support, max_conditions=self.max_conditions
        )
        self.posterior_ = Posterior.from_facts(
            antecedents, facts, self.classes_, y, length=self.length, width=self.width
        )
        self.seen_ = conditions.brief(X)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        chains = []
        for _ in progress_bar(range(self.chains), "walking"):
            walk = metropolis(
                self.posterior_,
                steps=self.steps,
                init=from_prior(self.posterior_, rng),
                seed=int(rng.integers(2**31)),
            )
            chains.append(list(walk))
        kept = [chain[len(chain) // 2 :] for chain in chains]
        self.r_hat_ = r_hat([[self.posterior_(places) for places in chain] for chain in kept])
        self.mixed_ = self.r_hat_ < MIXED
        self.visits_ = collections.Counter(places for chain in kept for places in chain)
        seen = {places for chain in chains for places in chain}
        self.best_ = most_probable(self.posterior_, seen)
        self.log_posterior_ = self.posterior_(self.best_)
        self.list_ = self.posterior_.list(point(self.posterior_, self.visits_))
        return self

    def predict_proba(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """The chance of each class: (rows, classes).

        X: (rows, columns), as in the fit.
        Raises ValueError for columns or words that the fit did not see.
        """
        check_is_fitted(self)
        if isinstance(X, pd.DataFrame):
            validate_data(self, _with_names(X), skip_check_array=True, reset=False)
        else:
            X = conditions.framed(validate_data(self, X, reset=False).T, self.seen_.columns)
        X = conditions.like(X, self.seen_)
        if not self.average:
            return self.list_.predict_proba(X)
        met = conditions.fires(self.posterior_.antecedents, X)
        total = np.zeros((len(X), len(self.classes_)))
        for places, visits in self.visits_.items():
            line = first_that_holds([met[place] for place in places], len(X))
            total += visits * self.posterior_.list(places).chances()[line]
        return total / self.visits_.total()

    def predict(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """The likeliest class of each row: (rows,)."""
        chances = self.predict_proba(X)
        return self.classes_[chances.argmax(1)]

    def __str__(self) -> str:
        if not hasattr(self, "list_"):
            return super().__str__()
        doubt = (
            f"\nThe walks have not mixed (R-hat {self.r_hat_:.2f}, wanted below {MIXED}). Raise"
            " steps before you trust this list."
        )
        return f"{self.list_}{'' if self.mixed_ else doubt}"
