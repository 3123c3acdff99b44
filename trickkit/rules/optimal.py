"""The best rule list there is, and the proof: branch and bound after CORELS (Angelino, Larus-Stone, Alabi, Seltzer and Rudin
2018, arXiv:1704.01701).
"""
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trickkit.rules import conditions
from trickkit.rules.conditions import Rule
from trickkit.rules.rule_list import RuleList, listed

TINY = 1e-9  # fees add up with rounding


@dataclass(frozen=True)
class Certified:
    """What a search found: a rule list, its objective, and the bound below which no list of these antecedents can be.

    The search is a proof of optimality where bound equals objective. looked_at: the beginnings of lists that were worked out.
    """

    list: RuleList
    objective: float
    bound: float
    looked_at: int

    @property
    def optimal(self) -> bool:
        return self.bound >= self.objective


def pack(rows: np.ndarray) -> np.ndarray:
    """Sets of rows, 64 to a word: (…, rows) of bool to (…, words) of uint64."""
    packed = np.packbits(rows, axis=-1)
    return np.pad(packed, [(0, 0)] * (rows.ndim - 1) + [(0, -packed.shape[-1] % 8)]).view(np.uint64)


def count(sets: np.ndarray) -> np.ndarray:
    """How many rows are in each set: (…, words) to (…)."""
    return np.bitwise_count(sets).sum(-1, dtype=np.int64)


def search(antecedents: Sequence[Rule], frame: pd.DataFrame, labels: np.ndarray, cost: float = 0.01,
           limit: int = 100_000) -> Certified:
    """The rule list with the smallest objective: the share of rows it gets wrong, and `cost` for each rule.

    antecedents: to choose from; frame: (rows, columns); labels: (rows,), two classes; limit: beginnings to work out before the
    search gives up its proof. A beginning is dropped

    - if no list that starts with it can beat the best so far, for all of them have its errors, its cost, one more rule's cost,
      and the errors that nobody can avoid: rows that meet the same antecedents and have different labels;
    - if another beginning leaves the same rows over at no greater cost, the same rules in another order for instance;
    - if its last rule gets fewer rows right than the rule costs.

    Raises ValueError for labels of more or fewer classes than two, and for a cost that is no share of the rows.
    """
    classes, y = np.unique(labels, return_inverse=True)
    if len(classes) != 2:
        raise ValueError(f"Labels of two classes are wanted; these have {len(classes)}.")
    if not 0 < cost < 1:
        raise ValueError(f"A rule's cost is a share of the rows, between 0 and 1; {cost} came.")
    rows, fee = len(y), cost * len(y)
    met = conditions.fires(antecedents, frame)
    holds, yes, unavoidable = pack(met), pack(y == 1), pack(unavoidable_errors(met, y))
    everyone = pack(np.ones(rows, dtype=bool))
    best, rules = min(y.sum(), rows - y.sum()), ()
    queue = [(float(count(unavoidable)), 0, 0.0, (), everyone)]  # bound, age, errors and fees, rules, rows left over
    cheapest, looked_at = {everyone.tobytes(): 0.0}, 0
    while queue and queue[0][0] + fee < best - TINY and looked_at < limit:
        _, _, spent, begun, rest = heapq.heappop(queue)
        looked_at += 1
        if spent > cheapest[rest.tobytes()]:  # a cheaper way there was found since
            continue
        caught = holds & rest
        both, positive = count(caught), count(caught & yes)
        right, wrong = np.maximum(positive, both - positive), np.minimum(positive, both - positive)
        spent = spent + wrong + fee
        left, left_positive = count(rest) - both, count(rest & yes) - positive
        objective = spent + np.minimum(left_positive, left - left_positive)
        if objective.min() < best - TINY:
            best, rules = objective.min(), (*begun, int(objective.argmin()))
        bounds = spent + count(rest & unavoidable) - count(caught & unavoidable)
        for a in np.flatnonzero((bounds + fee < best - TINY) & (right >= fee)).tolist():
            left_over = rest & ~holds[a]
            key = left_over.tobytes()
            if spent[a] < cheapest.get(key, np.inf) - TINY:
                cheapest[key] = spent[a]
                heapq.heappush(queue, (bounds[a], len(cheapest), spent[a], (*begun, a), left_over))
    proved = not queue or queue[0][0] + fee >= best - TINY
    bound = best if proved else queue[0][0] + fee
    return Certified(listed([antecedents[r] for r in rules], frame, labels), float(best) / rows, float(bound) / rows, looked_at)


def unavoidable_errors(met: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rows that any list must get wrong, at least so many: the rarer label among rows that meet the same antecedents.

    met: (antecedents, rows) of bool; y: (rows,) of 0 and 1. Returns (rows,) of bool.
    """
    _, group = np.unique(met, axis=1, return_inverse=True)
    counts = np.zeros((group.max() + 1, 2), dtype=int)
    np.add.at(counts, (group, y), 1)
    return y != counts.argmax(1)[group]
