"""Bayesian Rule Lists after Letham, Rudin, McCormick and Madigan (2015, arXiv:1511.01644): antecedents are mined, a posterior
says how good a list of them is, and Metropolis-Hastings walks from list to list.
"""
import collections
import functools
import math
import operator
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from mlxtend.frequent_patterns import fpgrowth
from scipy import special
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from trickkit.common import progress, unknown
from trickkit.rules import conditions
from trickkit.rules.conditions import Rule
from trickkit.rules.rule_list import RuleList, first_that_holds

MIXED = 1.05  # R-hat of walks that agree


def mine(frame: pd.DataFrame, labels: np.ndarray, support: float = 0.1, largest: int = 2, parts: int = 4) -> list[Rule]:
    """All conjunctions of 1 to `largest` conditions that hold for a share `support` of the rows of some class (FP-growth).

    frame: (rows, columns); labels: (rows,), any values; parts: how many parts a column of numbers is cut into. Short ones
    first, in the order of the columns. Raises ValueError for a frame that cannot be used, or if none is frequent enough.
    """
    conditions.check_frame(frame)
    every = [condition for name in frame for condition in conditions.parts_of(frame[name], parts)]
    met = pd.DataFrame(np.stack([c.holds(frame) for c in every], 1) if every else np.ones((len(frame), 0), bool))
    found = {items for label in np.unique(labels)
             for items in fpgrowth(met[labels == label], support, max_len=largest)["itemsets"]} if every else set()
    if not found:
        raise ValueError(f"No condition holds for {support:.0%} of the rows of a class. Columns that vary, more rows, or a "
                         "smaller support are wanted.")
    return [tuple(every[i] for i in sorted(items)) for items in sorted(found, key=lambda i: (len(i), sorted(i)))]


# The posterior.

class Posterior:
    """The log posterior of a rule list, given antecedents and labelled rows: up to a constant that all lists share.

    antecedents: A of them; frame: (rows, columns); labels: (rows,); length, width: λ and η, what the prior expects of the
    number of rules and of the conditions in each. A list is a tuple of the antecedents' places, such as (3, 17, 0).

    A set of rows is one whole number, a bit a row: `&` intersects two sets and `bit_count` counts one, both at the speed of
    memory. What was asked once is remembered: a walk keeps coming back.
    """

    def __init__(self, antecedents: Sequence[Rule], frame: pd.DataFrame, labels: np.ndarray, length: float = 3,
                 width: float = 1):
        if not length > 0 or not width > 0:
            raise ValueError(f"length and width are {length} and {width}; both are to be above 0.")
        self.antecedents, self.length, self.width = list(antecedents), length, width
        self.classes, labels = np.unique(labels, return_inverse=True)
        conditions = {condition: bits(condition.holds(frame)) for rule in antecedents for condition in rule}
        self.holds = [functools.reduce(operator.and_, (conditions[condition] for condition in rule)) for rule in antecedents]
        self.everyone = (1 << len(frame)) - 1
        self.of_class = [bits(labels == k) for k in range(len(self.classes))]
        self.others = self.of_class[:-1]  # the last class is what these leave
        self.sizes = [len(rule) for rule in antecedents]
        self.log_factorial = special.gammaln(np.arange(1, len(frame) + len(self.classes) + 1)).tolist()
        self.known: dict[tuple[int, ...], float] = {}  # lists -> log posterior
        self.priors: dict[tuple[int, ...], float] = {}  # sizes -> log prior

    def __call__(self, rules: tuple[int, ...]) -> float:
        """log p(list) + log p(labels | list), the latter Dirichlet-multinomial with α = 1 (Letham 2015, Section 2)."""
        known = self.known.get(rules)
        if known is None:
            sizes, rest = tuple([self.sizes[rule] for rule in rules]), self.everyone
            if sizes not in self.priors:
                self.priors[sizes] = self.prior(sizes)
            known = self.priors[sizes]
            for rule in rules:
                caught = rest & self.holds[rule]
                rest ^= caught
                known += self.evidence(caught)
            self.known[rules] = known = known + self.evidence(rest)
        return known

    def evidence(self, rows: int) -> float:
        """`evidence` of the rows in a set, from a table of factorials: a walk asks for it a hundred thousand times."""
        left, factorial = rows.bit_count(), self.log_factorial
        log_p = -factorial[left + len(self.others)]
        for of_class in self.others:
            count = (rows & of_class).bit_count()
            log_p += factorial[count]
            left -= count
        return log_p + factorial[left] + factorial[len(self.others)]

    def prior(self, sizes: tuple[int, ...]) -> float:
        """log p(list), which asks only for the sizes of its rules in order (Letham 2015, Section 2).

        p(m) · ∏ p(size | sizes still to be had) · 1 / (antecedents of that size still to be had), the first two Poisson.
        """
        unused = collections.Counter(self.sizes)
        poisson = {size: self.width**size / math.factorial(size) for size in unused}
        log_p = len(sizes) * math.log(self.length) - math.lgamma(len(sizes) + 1)
        for size in sizes:
            log_p += math.log(poisson[size] / sum(p for c, p in poisson.items() if unused[c]) / unused[size])
            unused[size] -= 1
        return log_p

    def places(self, *rules: str) -> tuple[int, ...]:
        """The list with these antecedents, in words: posterior.places("class is 3rd and sex is male", "sex is male").

        Raises ValueError for words that are none of the antecedents, with the nearest.
        """
        words = [conditions.english(rule) for rule in self.antecedents]
        for rule in rules:
            if rule not in words:
                raise unknown("antecedent", rule, words)
        return tuple(words.index(rule) for rule in rules)

    def list(self, rules: Sequence[int]) -> RuleList:
        """The rule list in words and counts."""
        counts, rest = [], self.everyone
        for holds in [*(self.holds[rule] for rule in rules), self.everyone]:
            counts.append([(rest & holds & of_class).bit_count() for of_class in self.of_class])
            rest &= ~holds
        return RuleList(tuple(self.antecedents[r] for r in rules), np.array(counts), tuple(self.classes.tolist()))


def bits(rows: np.ndarray) -> int:
    """A set of rows as one whole number. rows: (rows,) of bool; row i is the i-th bit."""
    return int.from_bytes(np.packbits(rows, bitorder="little").tobytes(), "little")


# The walk.

def metropolis(posterior: Posterior, steps: int, start: tuple[int, ...] = (), seed: int = 0) -> Iterator[tuple[int, ...]]:
    """Metropolis-Hastings over rule lists: the list after each step (Letham 2015, Section 2).

    One of three moves is proposed, each as likely: a rule goes to another place, one is added, one is removed. The paper adds
    one of the unused antecedents; we propose any and stay where we are if it is used, which has the same limit.
    """
    dice = np.random.default_rng(seed)
    every, now = len(posterior.antecedents), tuple(start)
    log_every, score = math.log(every), posterior(now)
    for first in range(0, steps, 10_000):
        count = min(10_000, steps - first)
        for move, which, where, luck in zip(dice.integers(3, size=count).tolist(), dice.random(count).tolist(),
                                            dice.random(count).tolist(), np.log(dice.random(count)).tolist(), strict=True):
            m, proposed, ratio = len(now), now, 0.0
            if move == 0:  # as likely back: 1/every · 1/(m + 1) to add there, 1/(m + 1) to remove it again
                rule, place = int(which * every), int(where * (m + 1))
                if rule not in now:
                    proposed, ratio = now[:place] + (rule,) + now[place:], log_every
            elif m and move == 1:
                place = int(which * m)
                proposed, ratio = now[:place] + now[place + 1:], -log_every
            elif m > 1:
                place, there = int(which * m), int(where * m)
                others = now[:place] + now[place + 1:]
                proposed = others[:there] + (now[place],) + others[there:]
            if proposed != now and luck < posterior(proposed) - score + ratio:
                now, score = proposed, posterior(proposed)
            yield now


def from_prior(posterior: Posterior, dice: np.random.Generator) -> tuple[int, ...]:
    """A list to start a walk from: a length drawn from the prior, antecedents drawn at random."""
    length = min(int(dice.poisson(posterior.length)), len(posterior.antecedents))
    return tuple(dice.permutation(len(posterior.antecedents))[:length].tolist())


def r_hat(chains: Sequence[Sequence[float]]) -> float:
    """How far chains are from having mixed: 1 when they have (Gelman et al. 2013, Bayesian Data Analysis, Section 11.4).

    chains: each (steps,), of one number such as the log posterior; each is split in two. Raises ValueError if they differ in
    length or have fewer than 4 steps. Chains that stand still on one value count as mixed.
    """
    values = np.array(chains, dtype=float)
    if values.ndim != 2 or values.shape[1] < 4:
        raise ValueError(f"Chains of one length, 4 steps or more, are wanted; the shape {values.shape} came.")
    half = values.shape[1] // 2
    values = np.concatenate([values[:, :half], values[:, -half:]])
    within, between = values.var(1, ddof=1).mean(), half * values.mean(1).var(ddof=1)
    if within == 0:
        return 1.0 if between == 0 else math.inf
    return float(np.sqrt((half - 1) / half + between / within / half))


def point(posterior: Posterior, visits: collections.Counter) -> tuple[int, ...]:
    """BRL-point: the best list among those visited of about the posterior mean's length and width (Letham 2015, Section 2).

    visits: lists and how often each was sampled.
    """
    def width(rules):
        return sum(posterior.sizes[r] for r in rules) / len(rules) if rules else 0.0

    samples = visits.total()
    length = sum(len(rules) * n for rules, n in visits.items()) / samples
    wide = sum(width(rules) * n for rules, n in visits.items()) / samples
    alike = [rules for rules in visits if math.floor(length) <= len(rules) <= math.ceil(length)
             and math.floor(wide) <= width(rules) <= math.ceil(wide)]
    return max(alike or visits, key=posterior)


class BayesianRuleList(ClassifierMixin, BaseEstimator):
    """Bayesian Rule Lists (Letham, Rudin, McCormick, Madigan 2015) as a scikit-learn classifier. Print it: it speaks English.

    length, width: λ and η of the prior, the rules and the conditions in each that it expects; support, largest, parts: what
    antecedents are mined, as in `mine`; chains, steps: how many walks of how many steps, of which the first half is dropped;
    average: predict by the mean over all sampled lists (BRL-post) and not by one list (BRL-point); random_state: an int or a
    numpy RandomState.

    Takes a DataFrame of words and numbers, or an array of numbers, and two classes or more. After fit: `list_` (the
    `RuleList` of BRL-point), `best_` and `log_posterior_` (the best list visited, as places in `posterior_.antecedents`, and
    its log posterior), `visits_` (all lists sampled), `r_hat_` and `mixed_` (whether that is below 1.05), `classes_`.
    """

    def __init__(self, length: float = 3, width: float = 1, support: float = 0.1, largest: int = 2, parts: int = 4,
                 chains: int = 3, steps: int = 10_000, average: bool = False, random_state=None):
        self.length, self.width, self.support, self.largest, self.parts = length, width, support, largest, parts
        self.chains, self.steps, self.average, self.random_state = chains, steps, average, random_state

    def fit(self, X, y):
        """Mine, walk, and choose. X: (rows, columns); y: (rows,), two classes or more.

        Raises ValueError for anything missing, for one class only, and where no condition is frequent enough.
        """
        if isinstance(X, pd.DataFrame):
            conditions.check_frame(X)
            validate_data(self, X, skip_check_array=True)
            y = column_or_1d(y, warn=True)
            check_consistent_length(X, y)
            if pd.isna(y).any():
                raise ValueError(f"{pd.isna(y).sum()} of the labels are missing. Drop those rows.")
        else:
            X, y = validate_data(self, X, y)
            X = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"The labels hold one class only, {self.classes_[0]!r}; two classes or more are wanted.")
        self.posterior_ = Posterior(mine(X, y, self.support, self.largest, self.parts), X, y, self.length, self.width)
        self.seen_ = conditions.brief(X)
        dice = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        chains = []
        for _ in progress(range(self.chains), "walking", self.chains):
            walk = metropolis(self.posterior_, self.steps, from_prior(self.posterior_, dice), int(dice.integers(2**31)))
            chains.append(list(walk))
        kept = [chain[len(chain) // 2:] for chain in chains]
        self.r_hat_ = r_hat([[self.posterior_(rules) for rules in chain] for chain in kept])
        self.mixed_ = self.r_hat_ < MIXED
        self.visits_ = collections.Counter(rules for chain in kept for rules in chain)
        self.best_ = max({rules for chain in chains for rules in chain}, key=self.posterior_)
        self.log_posterior_ = self.posterior_(self.best_)
        self.list_ = self.posterior_.list(point(self.posterior_, self.visits_))
        return self

    def predict_proba(self, X) -> np.ndarray:
        """The chance of each class: (rows, classes). Raises ValueError for columns or words that the fit did not see."""
        check_is_fitted(self)
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True, reset=False)
            X = conditions.like(X, self.seen_)
        else:
            X = pd.DataFrame(validate_data(self, X, reset=False), columns=list(self.seen_))
        if not self.average:
            return self.list_.predict_proba(X)
        met = conditions.fires(self.posterior_.antecedents, X)
        total = np.zeros((len(X), len(self.classes_)))
        for rules, visits in self.visits_.items():
            total += visits * self.posterior_.list(rules).chances()[first_that_holds([met[r] for r in rules], len(X))]
        return total / self.visits_.total()

    def predict(self, X) -> np.ndarray:
        """The likeliest class of each row: (rows,)."""
        chances = self.predict_proba(X)
        return self.classes_[chances.argmax(1)]

    def __str__(self):
        if not hasattr(self, "list_"):
            return super().__str__()
        doubt = (f"\nThe walks have not mixed (R-hat {self.r_hat_:.2f}, wanted below {MIXED}). Raise steps before you trust "
                 "this list.")
        return f"{self.list_}{'' if self.mixed_ else doubt}"
