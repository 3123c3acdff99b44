"""Rule lists: the posterior against one written out, the walk against every list there is, a classifier as scikit-learn's."""
import collections
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from sklearn.utils.estimator_checks import parametrize_with_checks

from trickkit import data, rules


@pytest.fixture(scope="module")
def titanic():
    people = data.titanic()
    return people.drop(columns="survived"), people["survived"].to_numpy()


def small_world(seed=0, rows=60, classes=2):
    dice = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": dice.choice(["u", "v"], rows), "b": dice.choice(["p", "q", "r"], rows)})
    labels = dice.integers(classes, size=rows) * (frame["a"] == "u").to_numpy() + (dice.random(rows) < 0.2)
    return frame, np.minimum(labels, classes - 1)


def in_full(places, antecedents, frame, labels, length, width):
    """The log posterior as the paper writes it, with every constant: an own way to it, by rows and scipy."""
    every, used, total = collections.Counter(map(len, antecedents)), [], 0.0
    lengths = stats.poisson.pmf(range(len(antecedents) + 1), length)
    total += np.log(lengths[len(places)] / lengths.sum())
    kinds = np.unique(labels)
    left = np.ones(len(frame), dtype=bool)
    for place in [*places, None]:
        if place is not None:
            rule = antecedents[place]
            had = every - collections.Counter(len(antecedents[p]) for p in used)
            chances = {c: stats.poisson.pmf(c, width) for c in had}
            total += np.log(chances[len(rule)] / sum(chances.values())) - np.log(had[len(rule)])
            used.append(place)
        met = left & (rules.holds(antecedents[place], frame) if place is not None else True)
        counts = np.array([(labels[met] == kind).sum() for kind in kinds])
        total += special.gammaln(len(kinds)) - special.gammaln(counts.sum() + len(kinds)) + special.gammaln(counts + 1).sum()
        left &= ~met
    return total


def every_list(antecedents, most):
    return [places for m in range(most + 1) for places in itertools.permutations(range(len(antecedents)), m)]


# Mining.

def test_mined_are_all_that_are_frequent_in_a_class(titanic):
    frame, labels = titanic
    parts = [c for name in frame for c in rules.parts_of(frame[name])]
    pairs = [pair for pair in itertools.combinations(parts, 2) if pair[0].column != pair[1].column]
    wanted = {rule for rule in [*((c,) for c in parts), *pairs]
              if max(rules.holds(rule, frame)[labels == k].mean() for k in (0, 1)) >= 0.1}
    found = rules.mine(frame, labels)
    assert set(found) == wanted and len(found) == len(wanted) and [len(r) for r in found] == sorted(len(r) for r in found)


def test_numbers_are_cut_where_the_conditions_say():
    loans = data.german_credit()
    mined = rules.mine(loans[["age"]], loans["risk"].to_numpy(), parts=3)
    assert [str(rule[0]) for rule in mined] == ["age ≤ 28", "28 < age ≤ 38", "age > 38"]


# The posterior.

@pytest.mark.parametrize("classes", [2, 3])
def test_the_posterior_is_the_paper_s_up_to_a_constant(classes):
    frame, labels = small_world(1, classes=classes)
    antecedents = rules.mine(frame, labels)
    assert {len(rule) for rule in antecedents} == {1, 2}
    posterior = rules.Posterior(antecedents, frame, labels, length=2.5, width=1.5)
    dice = np.random.default_rng(0)
    lists = [tuple(dice.permutation(len(antecedents))[:m].tolist()) for m in [0, 1, 2, 3, 5, len(antecedents)] * 5]
    apart = [posterior(x) - in_full(x, antecedents, frame, labels, 2.5, 1.5) for x in lists]
    assert np.ptp(apart) < 1e-9


def test_a_list_s_counts_and_chances(titanic):
    frame, labels = titanic
    posterior = rules.Posterior(rules.mine(frame, labels), frame, labels)
    places = posterior.places("sex is male and age is adult", "class is 3rd", "class is 1st")
    said = posterior.list(places)
    again = rules.listed(said.rules, frame, labels)
    assert (said.counts == again.counts).all() and said.counts.sum() == 2201
    men, third, first = frame.eval("sex == 'male' and age == 'adult'"), frame["class"] == "3rd", frame["class"] == "1st"
    lines = [men, ~men & third, ~men & first, ~men & ~third & ~first]
    assert said.counts[:, 1].tolist() == [labels[line].sum() for line in lines]
    line = stats.beta(338 + 1, 1667 - 338 + 1)
    assert said.chances()[0, 1] == pytest.approx(line.mean()) and said.intervals()[0] == pytest.approx(line.interval(0.95))
    rows = said.decided_by(frame)
    assert (np.bincount(rows) == said.counts.sum(1)).all()
    assert said.predict_proba(frame)[:, 1] == pytest.approx(said.chances()[rows, 1])
    assert str(said).splitlines()[0] == "if sex is male and age is adult  1: 20% (18% to 22%)  of 1,667"
    assert str(said).splitlines()[-1].startswith("else ")


@pytest.mark.parametrize("counts", [(3, 5), (0, 0), (1, 0, 4), (7,)])
def test_the_evidence_is_the_mean_over_all_chances(counts):
    dice = np.random.default_rng(0)
    chances = dice.dirichlet(np.ones(len(counts)), 400_000)
    assert math.exp(rules.evidence(counts)) == pytest.approx((chances ** np.array(counts)).prod(1).mean(), rel=0.03)


def test_bits_keep_every_row():
    dice = np.random.default_rng(0)
    for rows in (1, 7, 8, 63, 64, 1000):
        a, b = dice.random((2, rows)) < 0.4
        assert (rules.bits(a) & rules.bits(b)).bit_count() == (a & b).sum()
        assert [bool(rules.bits(a) >> i & 1) for i in range(rows)] == a.tolist()


# The walk.

def test_the_walk_visits_lists_as_often_as_the_posterior_says():
    frame, labels = small_world(2)
    antecedents = [rule for rule in rules.mine(frame, labels) if len(rule) == 1][:4]
    posterior = rules.Posterior(antecedents, frame, labels, length=1)
    lists = every_list(antecedents, 4)
    exact = special.softmax([in_full(x, antecedents, frame, labels, 1, 1) for x in lists])
    visits = collections.Counter(rules.metropolis(posterior, 200_000, seed=5))
    share = np.array([visits[x] / visits.total() for x in lists])
    assert visits.keys() <= set(lists) and np.abs(share - exact).sum() / 2 < 0.02  # total variation


def test_a_seed_gives_the_same_walk(titanic):
    posterior = rules.Posterior(rules.mine(*titanic), *titanic)
    first, again, other = (list(rules.metropolis(posterior, 500, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_r_hat():
    dice = np.random.default_rng(0)
    mixed = dice.normal(size=(3, 4000))
    assert rules.r_hat(mixed) == pytest.approx(1, abs=0.005)
    assert rules.r_hat(mixed + [[0], [0], [3]]) > 1.5
    drifting = mixed + np.linspace(0, 3, 4000)  # alike among themselves, and not at rest: the halves tell
    assert rules.r_hat(drifting) > 1.2
    assert rules.r_hat(np.ones((2, 10))) == 1 and rules.r_hat([[1.0] * 10, [2.0] * 10]) == math.inf
    with pytest.raises(ValueError, match="4 steps or more"):
        rules.r_hat([[1, 2]])


def test_point_is_the_best_list_of_the_mean_s_size():
    frame, labels = small_world(3)
    posterior = rules.Posterior(rules.mine(frame, labels), frame, labels)
    visits = collections.Counter({(0,): 10, (1,): 10, (0, 1): 1, (2, 3, 4, 0): 1})  # 1.2 rules: 1 or 2 of them
    chosen = rules.point(posterior, visits)
    assert chosen == max([(0,), (1,), (0, 1)], key=posterior)


# The classifier.

@parametrize_with_checks([rules.BayesianRuleList(steps=200, chains=2)])
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


def test_titanic(titanic):
    frame, labels = titanic
    model = rules.BayesianRuleList(random_state=0).fit(frame, labels)
    paper = model.posterior_.places("sex is male and age is adult", "class is 3rd", "class is 1st")
    assert model.log_posterior_ >= model.posterior_(paper) and model.mixed_
    assert model.score(frame, labels) > 0.78
    assert (model.predict_proba(frame).sum(1) == pytest.approx(1)) and "else if" in str(model)
    average = rules.BayesianRuleList(random_state=0, average=True).fit(frame, labels).predict_proba(frame)
    assert np.abs(average - model.predict_proba(frame)).max() < 0.35 and average.sum(1) == pytest.approx(1)


def test_the_average_is_over_every_visit():
    frame, labels = small_world(4)
    model = rules.BayesianRuleList(steps=100, chains=2, average=True, random_state=3).fit(frame, labels)
    by_hand = sum(model.posterior_.list(x).predict_proba(frame) * n for x, n in model.visits_.items()) / 100
    assert model.predict_proba(frame) == pytest.approx(by_hand)


def test_walks_that_disagree_are_told():
    boards = data.tic_tac_toe()
    model = rules.BayesianRuleList(length=8, width=3, largest=3, steps=300, random_state=0)
    model.fit(boards.drop(columns="x_wins"), boards["x_wins"])
    assert not model.mixed_ and "have not mixed (R-hat" in str(model) and "Raise steps" in str(model)


def test_three_classes_and_words_as_labels():
    loans = data.german_credit()
    model = rules.BayesianRuleList(steps=2000, random_state=0).fit(loans.drop(columns="housing"), loans["housing"])
    assert list(model.classes_) == ["free", "own", "rent"] == list(model.list_.classes)
    assert model.predict_proba(loans.drop(columns="housing")).shape == (1000, 3)
    assert "rent: " in str(model) and set(model.predict(loans.drop(columns="housing"))) <= set(model.classes_)


@pytest.mark.parametrize("spoil, said", [
    (lambda f, y: (f.assign(age=f.age.where(f.age != "child")), y), "Values are missing, in age"),
    (lambda f, y: (f, np.zeros(len(y))), "one class only, .*0"),
    (lambda f, y: (f, np.where(y == 1, np.nan, 0)), "labels are missing"),
    (lambda f, y: (f.assign(**{"class": "3rd", "sex": "male", "age": "adult"}), y), "No condition holds for 10%"),
    (lambda f, y: (f, y[:-1]), "inconsistent numbers of samples")])
def test_a_table_that_cannot_be_learnt_is_refused(titanic, spoil, said):
    with pytest.raises(ValueError, match=said):
        rules.BayesianRuleList(steps=10).fit(*spoil(*titanic))


@pytest.mark.parametrize("spoil, said", [
    (lambda f: f.assign(sex="Male"), "called 'Male'. Did you mean 'male'"),
    (lambda f: f[f.columns[::-1]], "same order"),
    (lambda f: f.drop(columns="age"), "age")])
def test_a_row_that_cannot_be_read_is_refused(titanic, spoil, said):
    model = rules.BayesianRuleList(steps=10).fit(*titanic)
    with pytest.raises(ValueError, match=said):
        model.predict(spoil(titanic[0].head()))


def test_an_unknown_antecedent_is_answered_with_the_nearest(titanic):
    posterior = rules.Posterior(rules.mine(*titanic), *titanic)
    with pytest.raises(ValueError, match="Did you mean 'class is 3rd'"):
        posterior.places("class is third")
    with pytest.raises(ValueError, match="above 0"):
        rules.Posterior(posterior.antecedents, *titanic, length=0)
