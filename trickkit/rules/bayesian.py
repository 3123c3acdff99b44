"""Bayesian rule lists after Letham, Rudin, McCormick and Madigan (2015, arXiv:1511.01644):
antecedents are mined, a posterior says how good a list of them is, and Metropolis-Hastings walks
from list to list.
"""

import collections
import functools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from mlxtend.frequent_patterns import fpgrowth
from numpy.typing import ArrayLike
from scipy import special

from trickkit.common import (
    ROUNDING,
    finite_number,
    unknown,
    validate_count,
    validate_positive,
    validate_rng,
    validate_seed,
    whole_number,
)
from trickkit.rules import conditions
from trickkit.rules.conditions import Condition, Rule
from trickkit.rules.rule_list import RuleList

MAX_FACTS = 2**30  # conditions times rows, a byte each


def mine(
    frame: pd.DataFrame,
    labels: ArrayLike,
    *,
    support: float = 0.1,
    max_conditions: int = 2,
    bins: int = 4,
) -> list[Rule]:
    """All conjunctions of 1 to `max_conditions` conditions that hold for a share `support` of the
    rows of some class (FP-growth), short ones first, in the order of the columns.

    frame: (rows, columns).
    labels: (rows,), any values.
    support: above 0, at most 1.
    max_conditions: in one conjunction, 1 or more.
    bins: into how many a column of numbers is cut.
    Raises ValueError for a frame or labels that cannot be used, or if none is frequent enough.
    """
    conditions.validate_frame(frame)
    _, y = conditions.encode_labels(labels, n_rows=len(frame))
    facts = frequent_conditions(frame, y, support=support, bins=bins)
    return frequent_rules(facts, y, support=support, max_conditions=max_conditions)


def frequent_conditions(
    frame: pd.DataFrame, y: np.ndarray, *, support: float, bins: int
) -> dict[Condition, np.ndarray]:
    """The conditions that hold for a share `support` of the rows of some class.

    frame: (rows, columns).
    y: (rows,), the places of the classes.
    support, bins: as in `mine`.
    Returns for each the rows for which it holds: (rows,) of bool.
    Raises ValueError for a support that is no share, and for more conditions than memory holds.
    """
    if not 0 < (finite_number(support) or 0) <= 1:
        raise ValueError(f"support is {support!r}; a share above 0, and at most 1, is wanted.")
    sizes = np.bincount(y)
    most = MAX_FACTS // len(y)
    facts: dict[Condition, np.ndarray] = {}
    for name in frame:
        every, met = conditions.split_column(frame[name], bins=bins)
        # counted before a row of bools is made for each: a column may hold as many words as rows
        pairs, counts = np.unique(met * len(sizes) + y, return_counts=True)
        frequent = np.unique(pairs[counts / sizes[pairs % len(sizes)] >= support] // len(sizes))
        if len(facts) + len(frequent) > most:
            raise ValueError(
                f"More than {most:,} conditions hold for {support:.0%} of the rows of a class, too"
                f" many to keep with {len(y):,} rows. Fewer classes than {len(sizes):,} are wanted,"
                " or a larger support."
            )
        if every:
            facts |= {every[place]: met == place for place in frequent.tolist()}
    return facts


def frequent_rules(
    facts: dict[Condition, np.ndarray], y: np.ndarray, *, support: float, max_conditions: int
) -> list[Rule]:
    """The conjunctions that `mine` finds among conditions.

    facts: as `frequent_conditions` gives them.
    y: (rows,), the places of the classes.
    support, max_conditions: as in `mine`.
    Raises ValueError if none is frequent enough.
    """
    validate_count(max_conditions=max_conditions)
    every = list(facts)
    met = pd.DataFrame(dict(enumerate(facts.values())), index=range(len(y)))
    found = set()
    for label in range(y.max() + 1):
        found.update(fpgrowth(met[y == label], support, max_len=max_conditions)["itemsets"])
    if not found:
        raise ValueError(
            f"No condition holds for {support:.0%} of the rows of a class. Columns that vary, more"
            " rows, or a smaller support are wanted."
        )
    places = sorted(map(sorted, found), key=lambda rule: (len(rule), rule))
    return [tuple(every[place] for place in rule) for rule in places]


# The posterior.


class Posterior:
    """The log posterior of a rule list, given antecedents and labelled rows: up to a constant that
    all lists share.

    A list is a tuple of the antecedents' places, such as (3, 17, 0). A set of rows is one whole
    number, a bit a row: `&` intersects two sets and `bit_count` counts one, both at the speed of
    memory. What was asked once is remembered: a walk keeps coming back.

    antecedents: A of them.
    frame: (rows, columns).
    labels: (rows,), any values.
    length, width: λ and η, what the prior expects of the number of rules and of the conditions in
        each.
    Raises ValueError for no antecedents, for λ or η that is not above 0, and for what
        `conditions.encode_labels` refuses.
    """

    def __init__(
        self,
        antecedents: Sequence[Rule],
        frame: pd.DataFrame,
        labels: ArrayLike,
        *,
        length: float = 3,
        width: float = 1,
    ):
        conditions.validate_columns(frame)
        classes, y = conditions.encode_labels(labels, n_rows=len(frame))
        antecedents = conditions.validated_rules(antecedents)
        facts = conditions.evaluate(antecedents, frame)
        self._begin(antecedents, facts, classes, y, length=length, width=width)

    @classmethod
    def from_facts(
        cls,
        antecedents: Sequence[Rule],
        facts: dict[Condition, np.ndarray],
        classes: np.ndarray,
        y: np.ndarray,
        *,
        length: float,
        width: float,
    ) -> "Posterior":
        """The same, where it is known for which rows each condition holds.

        antecedents: A of them.
        facts: for each condition in them, (rows,) of bool.
        classes, y: as `conditions.encode_labels` gives them.
        length, width: λ and η.
        Raises ValueError for no antecedents, and for λ or η that is not above 0.
        """
        posterior = cls.__new__(cls)
        posterior._begin(antecedents, facts, classes, y, length=length, width=width)
        return posterior

    def _begin(
        self,
        antecedents: Sequence[Rule],
        facts: dict[Condition, np.ndarray],
        classes: np.ndarray,
        y: np.ndarray,
        *,
        length: float,
        width: float,
    ) -> None:
        validate_positive(length=length, width=width)
        self.antecedents = conditions.validated_rules(antecedents)
        self.every = frozenset(range(len(self.antecedents)))
        self.length = length
        self.width = width
        self.classes = classes
        sets = {condition: bit_set(rows) for condition, rows in facts.items()}
        self.everyone = (1 << len(y)) - 1
        self.holds = [
            functools.reduce(operator.and_, (sets[condition] for condition in rule), self.everyone)
            for rule in self.antecedents
        ]
        self.of_class = [bit_set(y == k) for k in range(len(classes))]
        self.others = self.of_class[:-1]  # the last class is what these leave
        self.sizes = [len(rule) for rule in self.antecedents]
        self.log_factorial = special.gammaln(np.arange(1, len(y) + len(classes) + 1)).tolist()
        self.known: dict[tuple[int, ...], float] = {}  # lists -> log posterior
        self.priors: dict[tuple[int, ...], float] = {}  # sizes -> log prior

    def __call__(self, places: tuple[int, ...]) -> float:
        """log p(list) + log p(labels | list), the latter Dirichlet-multinomial with α = 1.

        Letham 2015, Section 2.

        Raises ValueError for what is no list of places, each once.
        """
        try:
            known = self.known.get(places)
        except TypeError:  # a list or an array, which cannot be looked up
            known = None
        if known is None:
            places = self.validated_places(places)
            sizes = tuple([self.sizes[place] for place in places])
            if sizes not in self.priors:
                self.priors[sizes] = self.prior(sizes)
            known = self.priors[sizes]
            rest = self.everyone
            for place in places:
                caught = rest & self.holds[place]
                rest ^= caught
                known += self.evidence(caught)
            self.known[places] = known = known + self.evidence(rest)
        return known

    def validated_places(self, places: Iterable[int]) -> tuple[int, ...]:
        """A list as a tuple.

        Raises ValueError unless these are places of antecedents, each once.
        """
        made = tuple(map(whole_number, places)) if isinstance(places, Iterable) else (None,)
        if len(set(made)) < len(made) or not self.every.issuperset(made):
            raise ValueError(
                f"{places!r} is no list: places from 0 to {len(self.every) - 1} are wanted, each"
                " once, in a tuple such as (3, 0)."
            )
        return made  # type: ignore[return-value]  # None is no place

    def evidence(self, rows: int) -> float:
        """`rule_list.evidence` of the rows in a set, from a table of factorials: a walk asks for it
        a hundred thousand times.
        """
        left = rows.bit_count()
        factorial = self.log_factorial
        log_p = -factorial[left + len(self.others)]
        for of_class in self.others:
            count = (rows & of_class).bit_count()
            log_p += factorial[count]
            left -= count
        return log_p + factorial[left] + factorial[len(self.others)]

    def prior(self, sizes: tuple[int, ...]) -> float:
        """log p(list), which asks only for the sizes of its m rules, in order.

        Letham 2015, Section 2.

        The log of p(m), and for each rule of p(size | sizes still to be had), both Poisson, and of
        1 / (antecedents of that size still to be had).

        Raises ValueError for sizes that no list of these antecedents has.
        """
        unused = collections.Counter(self.sizes)
        made = tuple(map(whole_number, sizes)) if isinstance(sizes, Iterable) else (None,)
        if not collections.Counter(made) <= unused:
            raise ValueError(
                f"No list has rules of sizes {sizes!r}. The antecedents' own are wanted, in a tuple"
                f" such as {tuple(self.sizes[:2])}."
            )
        poisson = {size: self.width**size / math.factorial(size) for size in unused}
        log_p = len(sizes) * math.log(self.length) - math.lgamma(len(sizes) + 1)
        for size in sizes:
            log_p += math.log(
                poisson[size] / sum(p for c, p in poisson.items() if unused[c]) / unused[size]
            )
            unused[size] -= 1
        return log_p

    def places(self, *antecedents: str) -> tuple[int, ...]:
        """The list with these antecedents, in words: posterior.places("class is 3rd and sex is
        male", "sex is male").

        Raises ValueError for words that are none of the antecedents, with the nearest, and for
            words that are more than one's.
        """
        known: dict[str, list[int]] = {}
        for place, rule in enumerate(self.antecedents):
            known.setdefault(conditions.english(rule), []).append(place)
        for words in antecedents:
            if not isinstance(words, str) or words not in known:
                raise unknown("antecedent", words, known)
            if len(known[words]) > 1:
                raise ValueError(
                    f"{len(known[words])} antecedents read {words!r}. Take one by its place, one of"
                    f" {', '.join(map(str, known[words]))}."
                )
        return tuple(known[words][0] for words in antecedents)

    def list(self, places: Sequence[int]) -> RuleList:
        """The rule list in words and counts."""
        places = self.validated_places(places)
        counts = []
        rest = self.everyone
        for holds in [*(self.holds[place] for place in places), self.everyone]:
            counts.append([(rest & holds & of_class).bit_count() for of_class in self.of_class])
            rest &= ~holds
        chosen = tuple(self.antecedents[place] for place in places)
        return RuleList(chosen, np.array(counts), tuple(pd.Index(self.classes)))


def bit_set(rows: np.ndarray) -> int:
    """A set of rows as one whole number.

    rows: (rows,) of bool; row i is the i-th bit.
    """
    return int.from_bytes(np.packbits(rows, bitorder="little").tobytes(), "little")


# The walk.


def metropolis(
    posterior: Posterior, *, steps: int, init: tuple[int, ...] = (), seed: int = 0
) -> Iterator[tuple[int, ...]]:
    """Metropolis-Hastings over rule lists: the list after each step.

    Letham 2015, Section 2.

    One of three moves is proposed, each as likely: a rule goes to another place, one is added, one
    is removed. The paper adds one of the unused antecedents; we propose any and stay where we are
    if it is used, which has the same limit.

    posterior: of the lists.
    steps: how many.
    init: the list to begin with, places of the posterior's antecedents.
    seed: for the moves.
    """
    validate_count(steps=steps)
    validate_seed(seed)
    rng = np.random.default_rng(seed)
    n_antecedents = len(posterior.antecedents)
    log_n = math.log(n_antecedents)
    now = posterior.validated_places(init)
    score = posterior(now)
    for first in range(0, steps, 10_000):
        count = min(10_000, steps - first)
        moves = rng.integers(3, size=count).tolist()
        which_ones = rng.random(count).tolist()
        wheres = rng.random(count).tolist()
        lucks = np.log(rng.random(count)).tolist()
        for move, which, where, luck in zip(moves, which_ones, wheres, lucks, strict=True):
            m = len(now)
            proposed = now
            ratio = 0.0
            if move == 0:
                new = int(which * n_antecedents)
                there = int(where * (m + 1))
                if new not in now:
                    proposed = now[:there] + (new,) + now[there:]
                    # as likely back: to add it there, 1/n · 1/(m + 1); to remove it, 1/(m + 1)
                    ratio = log_n
            elif m and move == 1:
                old = int(which * m)
                proposed = now[:old] + now[old + 1 :]
                ratio = -log_n
            elif m > 1:
                old = int(which * m)
                there = int(where * m)
                others = now[:old] + now[old + 1 :]
                proposed = others[:there] + (now[old],) + others[there:]
            if proposed != now and luck < posterior(proposed) - score + ratio:
                now = proposed
                score = posterior(proposed)
            yield now


def from_prior(posterior: Posterior, rng: np.random.Generator) -> tuple[int, ...]:
    """A list to begin a walk with: a length drawn from the prior, antecedents drawn at random."""
    validate_rng(rng)
    length = min(int(rng.poisson(posterior.length)), len(posterior.antecedents))
    return tuple(rng.permutation(len(posterior.antecedents))[:length].tolist())


def r_hat(chains: Sequence[Sequence[float]] | np.ndarray) -> float:
    """How far chains are from having mixed: 1 when they have.

    Gelman et al. 2013, Bayesian Data Analysis, Section 11.4.

    Each chain is split in two. Chains that stand still on one value count as mixed.

    chains: each (steps,), of one number such as the log posterior.
    Raises ValueError if they differ in length or have fewer than 4 steps.
    """
    try:
        values = np.asarray(chains, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError("Chains of one length are wanted, of numbers.") from error
    if values.ndim != 2 or values.shape[1] < 4:
        raise ValueError(
            f"Chains of one length, 4 steps or more, are wanted; the shape {values.shape} came."
        )
    half = values.shape[1] // 2
    values = np.concatenate([values[:, :half], values[:, -half:]])
    within = values.var(1, ddof=1).mean()
    between = half * values.mean(1).var(ddof=1)
    if within == 0:
        return 1.0 if between == 0 else math.inf
    return float(np.sqrt((half - 1) / half + between / within / half))


def point(posterior: Posterior, visits: Mapping[tuple[int, ...], int]) -> tuple[int, ...]:
    """BRL-point: the best list among those visited of about the posterior mean's length and width.

    Letham 2015, Section 2.

    posterior: of the lists.
    visits: lists and how often each was sampled.
    Raises ValueError for no lists.
    """
    if not isinstance(visits, Mapping) or not visits:
        raise ValueError(
            "Lists that were visited are wanted, each with how often, as {(3, 0): 17};"
            f" {str(visits)[:60] if visits else 'none'} came."
        )

    what = "A count of 0 or more for each list"
    conditions.number_array(list(visits.values()), what=what, whole=True)

    def width(places):
        return sum(posterior.sizes[place] for place in places) / len(places) if places else 0.0

    samples = sum(visits.values())
    length = sum(len(places) * n for places, n in visits.items()) / samples
    wide = sum(width(places) * n for places, n in visits.items()) / samples
    alike = [
        places
        for places in visits
        if math.floor(length) <= len(places) <= math.ceil(length)
        and math.floor(wide) <= width(places) <= math.ceil(wide)
    ]
    return most_probable(posterior, alike or visits)


def most_probable(posterior: Posterior, lists: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """The list of the highest posterior; of those that rounding alone tells apart, such as the same
    rules in another order, the first in the order of their places.

    lists: one or more.
    Raises ValueError for none, and for what is no lists.
    """
    if not isinstance(lists, Iterable):
        raise ValueError(f"Lists to choose from are wanted; {str(lists)[:60]} came.")
    found = [(posterior(places), places) for places in lists]
    heights = {tuple(places): height for height, places in found}
    if not heights:
        raise ValueError("Lists to choose from are wanted; none came.")
    top = max(heights.values())
    return min(places for places in heights if heights[places] >= top - ROUNDING * abs(top))
