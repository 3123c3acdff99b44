"""The best rule list there is, and the proof: branch and bound after CORELS.

Angelino, Larus-Stone, Alabi, Seltzer and Rudin 2018, arXiv:1704.01701.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from trickkit.common import finite_number, validate_number
from trickkit.rules import conditions
from trickkit.rules.conditions import Rule
from trickkit.rules.rule_list import RuleList, counted_list

TINY = 1e-9  # fees add up with rounding


@dataclass(frozen=True)
class CertifiedList:
    """What a search found.

    list: the best rule list seen.
    objective: its own.
    bound: no list of these antecedents has a smaller objective; equal to the list's own, it proves
        that list optimal.
    looked_at: how many prefixes were taken from the queue.
    """

    list: RuleList
    objective: float
    bound: float
    looked_at: int

    @property
    def optimal(self) -> bool:
        """Whether the search proved that no list is better."""
        return self.bound >= self.objective


def pack_rows(rows: np.ndarray) -> np.ndarray:
    """Sets of rows, 64 to a word: (…, rows) of bool to (…, words) of uint64."""
    packed = np.packbits(rows, axis=-1)
    return np.pad(packed, [(0, 0)] * (rows.ndim - 1) + [(0, -packed.shape[-1] % 8)]).view(np.uint64)


def count_rows(sets: np.ndarray) -> np.ndarray:
    """How many rows are in each set: (…, words) to (…)."""
    return np.bitwise_count(sets).sum(-1, dtype=np.int64)


def corels(
    antecedents: Sequence[Rule],
    frame: pd.DataFrame,
    labels: ArrayLike,
    *,
    cost: float = 0.01,
    max_prefixes: float = 100_000,
) -> CertifiedList:
    """The rule list with the smallest objective: the share of rows it gets wrong, and `cost` for
    each rule.

    Angelino et al. 2018, arXiv:1704.01701.

    A prefix, which is how a list begins, is dropped

    - if no list that starts with it can beat the best so far, for all of them have its errors, its
      cost, one more rule's cost, and the errors that nobody can avoid: rows that meet the same
      antecedents and have different labels;
    - if another prefix leaves the same rows over at no greater cost, the same rules in another
      order for instance;
    - if its last rule gets fewer rows right than the rule costs.

    antecedents: to choose from, one or more.
    frame: (rows, columns).
    labels: (rows,), two classes.
    cost: of a rule, as a share of the rows.
    max_prefixes: how many to take from the queue before the search gives up its proof; may be
        infinite.
    Raises ValueError for no antecedents, for what `conditions.encode_labels` refuses, for labels of
        more or fewer classes than two, and for a cost that is no share of the rows.
    """
    conditions.validate_columns(frame)
    classes, y = conditions.encode_labels(labels, n_rows=len(frame))
    if len(classes) != 2:
        raise ValueError(f"Labels of two classes are wanted; these have {len(classes)}.")
    if not 0 < (finite_number(cost) or 0) < 1:
        raise ValueError(f"A rule's cost is a share of the rows, between 0 and 1; {cost!r} came.")
    if max_prefixes != math.inf:
        validate_number(max_prefixes=max_prefixes, at_least=0)
    rows = len(y)
    fee = cost * rows
    antecedents = conditions.validated_rules(antecedents)
    met = conditions.fires(antecedents, frame)
    holds = pack_rows(met)
    yes = pack_rows(y == 1)
    unavoidable = pack_rows(unavoidable_errors(met, y))
    everyone = pack_rows(np.ones(rows, dtype=bool))
    best = min(y.sum(), rows - y.sum())
    chosen: tuple[int, ...] = ()
    # bound, age, errors and fees, antecedents, rows left over
    queue: list[tuple[float, int, float, tuple[int, ...], np.ndarray]] = [
        (float(count_rows(unavoidable)), 0, 0.0, (), everyone)
    ]
    cheapest = {everyone.tobytes(): 0.0}
    looked_at = 0
    while queue and queue[0][0] + fee < best - TINY and looked_at < max_prefixes:
        _, _, spent, begun, rest = heapq.heappop(queue)
        looked_at += 1
        if spent > cheapest[rest.tobytes()]:  # a cheaper way there was found since
            continue
        caught = holds & rest
        both = count_rows(caught)
        positive = count_rows(caught & yes)
        right = np.maximum(positive, both - positive)
        wrong = np.minimum(positive, both - positive)
        spent = spent + wrong + fee
        left = count_rows(rest) - both
        left_positive = count_rows(rest & yes) - positive
        objective = spent + np.minimum(left_positive, left - left_positive)
        if objective.min() < best - TINY:
            best = objective.min()
            chosen = (*begun, int(objective.argmin()))
        bounds = spent + count_rows(rest & unavoidable) - count_rows(caught & unavoidable)
        for a in np.flatnonzero((bounds + fee < best - TINY) & (right >= fee)).tolist():
            left_over = rest & ~holds[a]
            key = left_over.tobytes()
            if spent[a] < cheapest.get(key, np.inf) - TINY:
                cheapest[key] = spent[a]
                heapq.heappush(queue, (bounds[a], len(cheapest), spent[a], (*begun, a), left_over))
    proved = not queue or queue[0][0] + fee >= best - TINY
    bound = best if proved else queue[0][0] + fee
    return CertifiedList(
        counted_list([antecedents[a] for a in chosen], [met[a] for a in chosen], classes, y),
        float(best) / rows,
        float(bound) / rows,
        looked_at,
    )


def unavoidable_errors(met: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rows that any list must get wrong, at least so many: the rarer label among rows that meet the
    same antecedents.

    met: (antecedents, rows) of bool, the rows for which each holds.
    y: (rows,) of 0 and 1.
    Returns (rows,) of bool.
    """
    y = np.asarray(y).astype(int)
    _, group = np.unique(met, axis=1, return_inverse=True)
    counts = np.zeros((group.max() + 1, 2), dtype=int)
    np.add.at(counts, (group, y), 1)
    return y != counts.argmax(1)[group]
