"""The best rule list: as good as the best of all lists in small worlds, and honest where the search is cut short."""
import itertools

import numpy as np
import pandas as pd
import pytest

from trickkit import data, rules
from trickkit.rules import optimal


def objective(places, antecedents, frame, labels, cost):
    counts = rules.listed([antecedents[p] for p in places], frame, labels).counts
    return (counts.sum() - counts.max(1).sum()) / counts.sum() + cost * len(places)


@pytest.mark.parametrize("seed", range(12))
def test_no_list_of_a_small_world_is_better(seed):
    dice = np.random.default_rng(seed)
    frame = pd.DataFrame({name: dice.choice(["u", "v", "w"][: dice.integers(2, 4)], 40) for name in "abc"})
    labels = np.where((frame["a"] == "u") & (frame["b"] != "v") | (dice.random(40) < 0.2), "yes", "no")
    antecedents = rules.mine(frame, labels, support=0.05)
    antecedents = [antecedents[i] for i in dice.permutation(len(antecedents))[:6]]
    for cost in (0.002, 0.02, 0.1):
        found = rules.search(antecedents, frame, labels, cost)
        best = min(objective(places, antecedents, frame, labels, cost)
                   for m in range(7) for places in itertools.permutations(range(6), m))
        assert found.objective == pytest.approx(best) and found.optimal
        mine = [antecedents.index(rule) for rule in found.list.rules]
        assert objective(mine, antecedents, frame, labels, cost) == pytest.approx(found.objective)


def test_a_search_cut_short_keeps_a_true_bound():
    loans = data.german_credit()
    frame, labels = loans.drop(columns="risk"), loans["risk"].to_numpy()
    antecedents = rules.mine(frame, labels, largest=1, parts=2)
    whole = rules.search(antecedents, frame, labels)
    assert whole.optimal and whole.bound == whole.objective
    for limit in (1, 10, 100, 1000):
        cut = rules.search(antecedents, frame, labels, limit=limit)
        assert cut.looked_at == limit and not cut.optimal and cut.bound <= whole.objective <= cut.objective


def test_sets_are_counted():
    dice = np.random.default_rng(0)
    for rows in (1, 63, 64, 65, 1000):
        sets = dice.random((3, rows)) < 0.3
        assert (optimal.count(optimal.pack(sets)) == sets.sum(1)).all()


def test_errors_that_nobody_can_avoid():
    met = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1]], dtype=bool)
    assert rules.unavoidable_errors(met, np.array([0, 1, 1, 0, 1, 0])).sum() == 2  # one of rows 0, 1 and one of rows 3, 4, 5


@pytest.mark.parametrize("labels, cost, said", [([0, 1, 2], 0.01, "two classes.*have 3"), ([1, 1, 1], 0.01, "have 1"),
                                                ([0, 1, 1], 0.0, "between 0 and 1"), ([0, 1, 1], 2, "between 0 and 1")])
def test_bad_input(labels, cost, said):
    frame = pd.DataFrame({"a": ["u", "v", "u"]})
    with pytest.raises(ValueError, match=said):
        rules.search(rules.mine(frame, np.array([0, 1, 1])), frame, np.array(labels), cost)
