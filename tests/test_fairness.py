import itertools

import numpy as np
import pandas as pd
import pytest
from fairlearn.postprocessing import ThresholdOptimizer
from scipy.stats import binomtest
from sklearn.base import BaseEstimator
from sklearn.metrics import confusion_matrix

from trickkit import data, fairness


@pytest.fixture(scope="module")
def counts():
    """Black and white defendants by reoffended and decile, (2, 2, 10)."""
    people = data.compas().query("race != 'other'")
    table = people.groupby(["race", "reoffended", "decile"])["people"].sum()
    return table.to_numpy().reshape(2, 2, 10)


def drawn(rng):
    return rng.integers(1, 200, (2, 10))


def test_an_interval_is_scipys():
    for hits, n in ((0, 4), (3, 10), (805, 1795), (9, 9)):
        theirs = binomtest(hits, n).proportion_ci(method="wilson")
        assert fairness.interval(hits, n) == pytest.approx([theirs.low, theirs.high])


def test_a_gap_is_newcombes():
    """His example (1998, table II): 56 of 70 against 48 of 80."""
    found = fairness.gap((56, 70), (48, 80))
    assert found == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert fairness.gap((48, 80), (56, 70)) == pytest.approx((-0.2, -0.3339, -0.0524), abs=5e-5)


def test_an_interval_of_a_gap_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    one, other = rng.binomial(200, 0.4, 1000), rng.binomial(300, 0.3, 1000)
    gaps = [fairness.gap((a, 200), (b, 300)) for a, b in zip(one, other, strict=True)]
    held = np.mean([low <= 0.1 <= high for _, low, high in gaps])
    assert 0.93 < held < 0.975


def test_propublicas_four_numbers(counts):
    black, white = (100 * fairness.error_rates(table, 5) for table in counts)
    assert np.round(black, 2).tolist() == [44.85, 27.99]
    assert np.round(white, 2).tolist() == [23.45, 47.72]


def test_a_confusion_is_scikit_learns(counts):
    score, outcome = np.arange(1, 11), np.arange(2)
    people = [np.repeat(x, counts[0].ravel()) for x in (np.tile(score, 2), outcome.repeat(10))]
    for threshold in (1, 5, 11):
        table = fairness.confusion(counts[0], threshold)
        theirs = confusion_matrix(people[1], people[0] >= threshold, labels=[0, 1])
        assert table.tolist() == theirs.tolist()
        chance = (score >= threshold).astype(float)
        assert fairness.confusion(counts[0], chance).tolist() == table.tolist()


def test_rates_of_a_table():
    found = fairness.rates([[50, 10], [15, 25]])
    assert found == {
        "FPR": (10, 60),
        "FNR": (15, 40),
        "PPV": (25, 35),
        "flagged": (35, 100),
        "base rate": (40, 100),
        "accuracy": (75, 100),
    }


def test_the_identity_holds_for_any_table():
    rng = np.random.default_rng(1)
    for _ in range(20):
        found = fairness.rates(rng.integers(1, 99, (2, 2)))
        shares = {name: hits / n for name, (hits, n) in found.items()}
        forced = fairness.forced_fpr(shares["base rate"], shares["PPV"], shares["FNR"])
        assert forced == pytest.approx(shares["FPR"])


def test_a_balance_is_the_best_of_all_pairs(counts):
    assert fairness.balance(counts, 1.0).tolist() == [6, 6]
    assert fairness.balance(counts, 0.02).tolist() == [7, 5]
    assert fairness.balance(counts, 0).tolist() == [1, 1]


def test_under_a_roof_lies_every_threshold_and_every_mixture():
    rng = np.random.default_rng(2)
    for table in (drawn(rng), drawn(rng) * (np.arange(10) > 4), drawn(rng)):
        table = table + [[1] + 9 * [0], 9 * [0] + [1]]
        points = fairness.roc(table)
        corners = fairness.hull(points)
        assert corners[0] == 11 and corners[-1] == 1 and (np.diff(corners) < 0).all()
        roof = points[corners - 1].T
        for one, other in itertools.product(points, repeat=2):
            x, y = (one + other) / 2
            assert y <= np.interp(x, *roof) + 1e-12
        slopes = np.diff(roof[1]) / np.maximum(np.diff(roof[0]), 1e-12)
        assert (np.diff(slopes) < 0).all()


def test_equalized_odds_are_equal_and_beat_every_pair_that_is_as_even(counts):
    rng = np.random.default_rng(3)
    for groups in (counts, np.stack([drawn(rng), drawn(rng)]), np.stack([counts[0]] * 2)):
        chances = fairness.equalized_odds(groups)
        assert chances.min() >= 0 and chances.max() <= 1 + 1e-12
        tables = [
            fairness.confusion(table, np.clip(chance, 0, 1))
            for table, chance in zip(groups, chances, strict=True)
        ]
        shares = [table / table.sum(1, keepdims=True) for table in tables]
        assert np.allclose(*shares)
        right = sum(np.trace(table) for table in tables)
        no, yes = groups.sum((0, 2))
        assert right >= max(no, yes) - 1e-9  # flagging nobody, or everyone


class Score(BaseEstimator):
    """A model that is fitted already: it says the score that it reads."""

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, x, y):
        return self

    def predict(self, x):
        return np.asarray(x)[:, 0]


def test_equalized_odds_are_fairlearns(counts):
    cells = itertools.product((0, 1), (0, 1), range(1, 11))
    rows = np.repeat(np.array(list(cells)), counts.ravel(), axis=0)
    people = pd.DataFrame(rows, columns=["group", "outcome", "score"])
    theirs = ThresholdOptimizer(
        estimator=Score(), constraints="equalized_odds", prefit=True, predict_method="predict"
    )
    theirs.fit(people[["score"]], people["outcome"], sensitive_features=people["group"])
    people["said"] = theirs._pmf_predict(people[["score"]], sensitive_features=people["group"])[
        :, 1
    ]
    chances = fairness.equalized_odds(counts)
    for group, outcome in itertools.product((0, 1), repeat=2):
        of = people.query("group == @group and outcome == @outcome")
        ours = chances[group] @ counts[group, outcome] / counts[group, outcome].sum()
        assert of["said"].mean() == pytest.approx(ours, abs=1e-3)  # they search a grid


def test_the_month_from_which_on_the_file_is_bad():
    months = data.compas_months()
    months["charged"] = months["people"] * months["reoffended"]
    table = months.groupby("month")[["charged", "people"]].sum()
    place = fairness.first_bad_month(table["charged"], table["people"])
    assert table.index[place] == "2014-04"
    assert table.iloc[place:].sum().tolist() == [1004, 1007]
    assert fairness.first_bad_month([1, 2], [2, 4]) == 2
    assert fairness.first_bad_month([9, 4], [9, 4]) == 0


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: fairness.error_rates(np.ones((3, 10)), 5), r"\(2, K\).* shape \(3, 10\) came"),
        (lambda: fairness.error_rates(-np.ones((2, 10)), 5), "Counts of people are wanted"),
        (lambda: fairness.error_rates([[0, 0], [1, 1]], 1), "A row of the counts is all 0"),
        (lambda: fairness.error_rates(np.ones((2, 10)), 2.5), "threshold is 2.5; a whole number"),
        (lambda: fairness.confusion(np.ones((2, 10)), 0), "rule is 0; a whole number"),
        (lambda: fairness.confusion(np.ones((2, 10)), [0.5]), "10 chances from 0 to 1"),
        (lambda: fairness.confusion(np.ones((2, 2)), [0.5, 2]), "2 chances from 0 to 1"),
        (lambda: fairness.rates(np.ones((2, 10))), r"its shape is \(2, 10\)"),
        (lambda: fairness.forced_fpr(1.0, 0.5, 0.5), "base is 1 and ppv 0.5"),
        (lambda: fairness.forced_fpr(0.5, 50, 0.5), "ppv is 50; a number from 0 to 1"),
        (lambda: fairness.balance(np.ones((2, 10)), 0.1), r"\(2, 2, K\)"),
        (lambda: fairness.balance(np.ones((2, 2, 10)), 5), "tolerance is 5"),
        (lambda: fairness.equalized_odds(np.ones((3, 2, 10))), r"\(2, 2, K\)"),
        (lambda: fairness.first_bad_month([1], [1, 2]), "Two counts a month are wanted"),
        (lambda: fairness.first_bad_month([0], [0]), "people above 0"),
    ],
)
def test_what_is_refused(act, says):
    with pytest.raises(ValueError, match=says):
        act()
