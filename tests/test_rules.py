"""Rule lists: the posterior against one written out, the walk against every list there is, a
classifier as scikit-learn's."""

import collections
import itertools
import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import special, stats
from sklearn.utils.estimator_checks import parametrize_with_checks

from trickkit import data, rules
from trickkit.rules import bayesian, classifier


@pytest.fixture(scope="module")
def titanic():
    people = data.titanic()
    return people.drop(columns="survived"), people["survived"].to_numpy()


def small_world(seed=0, rows=60, classes=2):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"a": rng.choice(["u", "v"], rows), "b": rng.choice(["p", "q", "r"], rows)}
    )
    labels = rng.integers(classes, size=rows) * (frame["a"] == "u").to_numpy()
    labels = labels + (rng.random(rows) < 0.2)
    return frame, np.minimum(labels, classes - 1)


def in_full(places, antecedents, frame, labels, length, width):
    """The log posterior as the paper writes it, with every constant: an own way to it, by rows and
    scipy."""
    every = collections.Counter(map(len, antecedents))
    used = []
    total = 0.0
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
        total += special.gammaln(len(kinds)) - special.gammaln(counts.sum() + len(kinds))
        total += special.gammaln(counts + 1).sum()
        left &= ~met
    return total


def every_list(antecedents, most):
    return [
        places
        for m in range(most + 1)
        for places in itertools.permutations(range(len(antecedents)), m)
    ]


# Mining.


def test_mined_are_all_that_are_frequent_in_a_class(titanic):
    frame, labels = titanic
    every = [c for name in frame for c in rules.column_conditions(frame[name])]
    pairs = [pair for pair in itertools.combinations(every, 2) if pair[0].column != pair[1].column]
    wanted = [
        rule
        for rule in [*((c,) for c in every), *pairs]
        if max(rules.holds(rule, frame)[labels == k].mean() for k in (0, 1)) >= 0.1
    ]
    assert rules.mine(frame, labels) == wanted  # in that order


def test_the_support_is_of_a_class_and_includes_its_edge():
    frame = pd.DataFrame({"a": list("xxx" + 17 * "y"), "b": list(18 * "u" + "vv")})
    labels = [0] * 10 + [1] * 8 + [2] * 2
    said = {rules.english(rule) for rule in rules.mine(frame, labels, support=0.3)}
    assert "a is x" in said  # three of ten zeros
    assert "b is v" in said  # both twos, a tenth of all rows


def test_labels_are_taken_by_position(titanic):
    frame, labels = titanic
    wanted = rules.mine(frame, labels)
    posterior = rules.Posterior(wanted, frame, labels)
    mixed = frame.assign(y=labels).sample(frac=1, random_state=3)
    x = mixed.drop(columns="y")
    words = mixed["y"].map({0: "died", 1: "lived"})
    for y in (mixed["y"], mixed["y"].to_numpy(), mixed["y"].tolist(), words, words.tolist()):
        assert rules.mine(x, y) == wanted
        assert rules.Posterior(wanted, x, y)((2, 0)) == posterior((2, 0))
        counts = rules.fit_list(wanted[:2], frame, labels).counts
        assert np.array_equal(rules.fit_list(wanted[:2], x, y).counts, counts)
        model = rules.BayesianRuleList(steps=20, random_state=0).fit(x, y)
        assert model.posterior_.antecedents == wanted
    half = rules.mine(x[:900], mixed["y"][:900].to_numpy())
    assert rules.mine(x[:900], mixed["y"][:900]) == half == rules.mine(x[:900], words[:900])


@pytest.mark.parametrize(
    "labels, said",
    [
        ([0, 1], r"\(4,\); the labels' shape is \(2,\)"),
        (np.zeros((4, 1)), r"shape is \(4, 1\)"),
        ([0, 1, None, 1], "1 of the labels are missing"),
        ([0, 1, np.nan, np.nan], "2 of the labels are missing"),
        ([[0], [1], [0, 1], [1]], "different lengths"),
        ([0, "0", 1, 1], "mix words and numbers"),
        (pd.Series([0, "a", 1, 1], dtype=object), "mix words and numbers"),
        ([0] * 4, "one class only, 0"),
        ("name", r"labels' shape is \(\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, said):
    frame = pd.DataFrame({"a": list("uvuv")})
    mined = rules.mine(frame, [0, 0, 1, 1])
    for ask in (
        lambda: rules.mine(frame, labels),
        lambda: rules.Posterior(mined, frame, labels),
        lambda: rules.fit_list(mined, frame, labels),
        lambda: rules.corels(mined, frame, labels),
    ):
        with pytest.raises(ValueError, match=said):
            ask()


@pytest.mark.parametrize(
    "kept",
    [
        tuple,
        pd.Index,
        pd.Categorical,
        torch.tensor,
        lambda y: torch.tensor(y, dtype=torch.bfloat16, requires_grad=True),
        lambda y: torch.tensor(y).bool(),
        lambda y: pd.array(y, dtype="Int64"),
        lambda y: pd.array(y, dtype="boolean"),
        lambda y: np.array(y, dtype=object),
        lambda y: pd.Series(["yes" if k else "no" for k in y], dtype="string", index=y),
        lambda y: pd.to_datetime(["2021" if k else "2020" for k in y]).astype("datetime64[ns]"),
    ],
)
def test_labels_are_the_same_whatever_holds_them(kept):
    frame, labels = small_world()
    y = kept(labels.tolist())
    mined = rules.mine(frame, labels)
    assert rules.mine(frame, y) == mined
    assert rules.Posterior(mined, frame, y)((1, 0)) == rules.Posterior(mined, frame, labels)((1, 0))
    for ask in (
        lambda y: rules.fit_list(mined[:2], frame, y),
        lambda y: rules.corels(mined, frame, y).list,
    ):
        assert np.array_equal(ask(y).counts, ask(labels).counts)
    first, second = rules.fit_list(mined[:2], frame, y).classes
    assert type(first) is type(second) and not isinstance(first, np.generic) and first < second
    model = rules.BayesianRuleList(steps=20, random_state=0).fit(frame, y)
    plain = rules.BayesianRuleList(steps=20, random_state=0).fit(frame, labels)
    assert (model.predict_proba(frame) == plain.predict_proba(frame)).all()


def test_labels_that_are_all_different_are_no_classes():
    frame = pd.DataFrame({"a": list("uv") * 2000, "id": range(4000)})
    for labels in (range(4000), frame["id"].to_numpy() / 7, frame["id"].astype(str)):
        with pytest.raises(ValueError, match="4,000 different values in 4,000 rows"):
            rules.mine(frame, labels)
    assert rules.mine(frame[:3], ["x", "y", "z"])


def test_too_many_conditions_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(bayesian, "MAX_FACTS", 40 * 10)
    frame = pd.DataFrame({"id": [f"C{i}" for i in range(40)]})
    with pytest.raises(ValueError, match="More than 10 conditions hold for 10% .* 20"):
        rules.mine(frame, np.arange(40) % 20)


def test_a_column_of_names_costs_no_more_than_its_rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.choice(["u", "v"], 4000), "n": rng.integers(0, 99, 4000)})
    labels = (frame["a"] == "u") & (frame["n"] > 40)
    named = frame.assign(name=[f"customer {i}" for i in range(4000)])
    tracemalloc.start()
    found = rules.mine(named, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == rules.mine(frame, labels) and peak < 4 * 2**20  # a bit a name and row: 2 MiB


def test_cuts_that_round_alike_are_told_apart():
    frame = pd.DataFrame({"account": [40012341, 40012342, 40012343, 40012344] * 50})
    labels = (frame["account"] == 40012342).astype(int)
    posterior = rules.Posterior(
        rules.mine(frame, labels, support=0.05, max_conditions=1), frame, labels
    )
    words = [rules.english(rule) for rule in posterior.antecedents]
    assert len(set(words)) == 4 and words[1] == "40012341 < account ≤ 40012342"
    assert [posterior.places(text) for text in words] == [(0,), (1,), (2,), (3,)]


def test_words_that_are_two_antecedents_are_not_guessed():
    frame = pd.DataFrame({"x": [1, "1"] * 20}, dtype=object)
    labels = np.arange(40) % 2
    posterior = rules.Posterior(rules.mine(frame, labels), frame, labels)
    assert len(posterior.antecedents) == 2
    with pytest.raises(ValueError, match="2 antecedents read 'x is 1'.*one of 0, 1"):
        posterior.places("x is 1")
    assert posterior.list((0,)).counts.tolist() == [[20, 0], [0, 20]]


@pytest.mark.parametrize(
    "option",
    [
        {"support": 0},
        {"support": 2},
        {"support": "a"},
        {"support": math.nan},
        {"bins": 0},
        {"bins": 2.5},
        {"max_conditions": 0},
        {"max_conditions": "2"},
    ],
)
def test_options_out_of_range_are_refused(option):
    [(name, value)] = option.items()
    with pytest.raises(ValueError, match=f"{name} is {value!r}"):
        rules.mine(pd.DataFrame({"a": [1, 2, 3, 4]}), [0, 1, 0, 1], **option)
    whole = {"bins": np.int64(3), "max_conditions": np.int64(1), "support": np.float32(0.1)}
    assert rules.mine(pd.DataFrame({"a": [1, 2, 3, 4]}), [0, 1, 0, 1], **whole)


def test_numbers_are_cut_where_the_conditions_say():
    loans = data.german_credit()
    mined = rules.mine(loans[["age"]], loans["risk"].to_numpy(), bins=3)
    assert [str(rule[0]) for rule in mined] == ["age ≤ 28", "28 < age ≤ 38", "age > 38"]


# The posterior.


@pytest.mark.parametrize("classes", [2, 3])
def test_the_posterior_is_the_paper_s_up_to_a_constant(classes):
    frame, labels = small_world(1, classes=classes)
    antecedents = rules.mine(frame, labels)
    assert {len(rule) for rule in antecedents} == {1, 2}
    posterior = rules.Posterior(antecedents, frame, labels, length=2.5, width=1.5)
    rng = np.random.default_rng(0)
    lists = [
        tuple(rng.permutation(len(antecedents))[:m].tolist())
        for m in [0, 1, 2, 3, 5, len(antecedents)] * 5
    ]
    apart = [posterior(x) - in_full(x, antecedents, frame, labels, 2.5, 1.5) for x in lists]
    assert np.ptp(apart) < 1e-9


def test_a_list_s_counts_and_chances(titanic):
    frame, labels = titanic
    posterior = rules.Posterior(rules.mine(frame, labels), frame, labels)
    places = posterior.places("sex is male and age is adult", "class is 3rd", "class is 1st")
    said = posterior.list(places)
    again = rules.fit_list(said.rules, frame, labels)
    assert (said.counts == again.counts).all() and said.counts.sum() == 2201
    men = frame.eval("sex == 'male' and age == 'adult'")
    third = frame["class"] == "3rd"
    first = frame["class"] == "1st"
    lines = [men, ~men & third, ~men & first, ~men & ~third & ~first]
    assert said.counts[:, 1].tolist() == [labels[line].sum() for line in lines]
    line = stats.beta(338 + 1, 1667 - 338 + 1)
    assert said.chances()[0, 1] == pytest.approx(line.mean())
    assert said.intervals()[0] == pytest.approx(line.interval(0.95))
    assert said.intervals(share=0.5)[0] == pytest.approx(line.interval(0.5))
    rows = said.decided_by(frame)
    assert (np.bincount(rows) == said.counts.sum(1)).all()
    assert said.predict_proba(frame)[:, 1] == pytest.approx(said.chances()[rows, 1])
    first, *_, last = str(said).splitlines()
    assert first == "if sex is male and age is adult  1: 20% (18% to 22%)  of 1,667"
    assert last.startswith("else ")


@pytest.mark.parametrize("counts", [(3, 5), (0, 0), (1, 0, 4), (7,)])
def test_the_evidence_is_the_mean_over_all_chances(counts):
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(len(counts)), 400_000)
    mean = (chances ** np.array(counts)).prod(1).mean()
    assert math.exp(rules.evidence(counts)) == pytest.approx(mean, rel=0.03)


def test_bits_keep_every_row():
    rng = np.random.default_rng(0)
    for rows in (1, 7, 8, 63, 64, 1000):
        a, b = rng.random((2, rows)) < 0.4
        assert (rules.bit_set(a) & rules.bit_set(b)).bit_count() == (a & b).sum()
        assert [bool(rules.bit_set(a) >> i & 1) for i in range(rows)] == a.tolist()


def test_an_antecedent_that_asks_nothing_decides_every_row(titanic):
    frame, labels = titanic
    posterior = rules.Posterior([()], frame, labels)
    assert posterior.list((0,)).counts.sum(1).tolist() == [len(frame), 0]
    assert posterior.list(posterior.places("anyone")).decided_by(frame).max() == 0


def test_places_are_antecedents_each_once():
    frame, labels = small_world()
    posterior = rules.Posterior(rules.mine(frame, labels), frame, labels)
    assert posterior([1, 0]) == posterior(np.array([1, 0])) == posterior((1, 0))
    for places in (
        (0, 0),
        (99,),
        (-1,),
        "ab",
        3.5,
        (0, 1.5),
        (1.0,),
        (True,),
        ([1],),
        [[1]],
        None,
        1,
    ):
        for ask in (
            posterior,
            posterior.list,
            lambda init: next(rules.metropolis(posterior, steps=3, init=init)),
            lambda places: rules.most_probable(posterior, [places]),
        ):
            with pytest.raises(ValueError, match="is no list: places from 0"):
                ask(places)
    assert rules.most_probable(posterior, [[1, 0]]) == (1, 0)
    for sizes in (3, (9,), (1,) * 99, ("a",), ([1],), None):
        with pytest.raises(ValueError, match="No list has rules of sizes"):
            posterior.prior(sizes)
    with pytest.raises(ValueError, match="no antecedent called"):
        posterior.places(["a"])
    for seed in (-1, "a", None, 1.5, True, np.array(3), torch.tensor(3)):
        with pytest.raises(ValueError, match="seed is"):
            next(rules.metropolis(posterior, steps=3, seed=seed))
    for steps in (torch.tensor(3), np.array(3)):
        with pytest.raises(ValueError, match="steps is"):
            next(rules.metropolis(posterior, steps=steps))
    with pytest.raises(ValueError, match="is no list"):
        posterior.list((99,))
    with pytest.raises(ValueError, match="At least one rule is wanted"):
        rules.Posterior([], frame, labels)
    one = rules.Posterior([((rules.Condition("a", value="u")),)], frame, labels)
    assert set(rules.metropolis(one, steps=50)) == {(), (0,)}


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: rules.evidence([]), "A count of 0 or more"),
        (lambda: rules.evidence([1, -1]), "A count of 0 or more"),
        (lambda: rules.holds((), None), "a NoneType came"),
        (lambda: rules.fit_list([], *small_world()).predict_proba(3), "a int came"),
        (lambda: rules.evidence(None), "A count of 0 or more for each class is wanted; None came"),
        (lambda: rules.evidence([1, 0.5]), "A count of 0 or more"),
        (lambda: rules.evidence(["a"]), "A count of 0 or more"),
        (lambda: rules.fit_list(3, *small_world()), "A list of rules is wanted; '3' came"),
        (lambda: rules.most_probable(len, 3), "Lists to choose from are wanted; 3 came"),
        (lambda: rules.point(len, {(0,): "a"}), "A count of 0 or more for each list"),
        (lambda: bayesian.from_prior(len, 3), "rng is 3; a generator is wanted"),
        (lambda: rules.point(len, 3), "Lists that were visited are wanted.* 3 came"),
        (lambda: rules.first_that_holds([[True]], 2), "2 rows are wanted"),
        (lambda: rules.most_probable(len, []), "none came"),
        (lambda: rules.point(len, {}), "none came"),
        (lambda: rules.r_hat([[1, 2, 3, 4], [1]]), "Chains of one length"),
        (lambda: rules.r_hat([list("abcd")]), "Chains of one length"),
        (lambda: rules.fit_list([], *small_world()).intervals(share=1), "share is 1"),
        (lambda: list(rules.metropolis(None, steps=0)), "steps is 0"),
    ],
)
def test_what_is_nothing_is_refused(ask, said):
    with pytest.raises(ValueError, match=said):
        ask()


def test_the_first_that_holds_goes_by_place_and_by_truth():
    met = [pd.Series([True, False], index=[1, 0]), [0, 1]]
    assert rules.first_that_holds(met, 2).tolist() == [0, 1]


# The walk.


def test_the_walk_visits_lists_as_often_as_the_posterior_says():
    frame, labels = small_world(2)
    antecedents = [rule for rule in rules.mine(frame, labels) if len(rule) == 1][:4]
    posterior = rules.Posterior(antecedents, frame, labels, length=1)
    lists = every_list(antecedents, 4)
    exact = special.softmax([in_full(x, antecedents, frame, labels, 1, 1) for x in lists])
    visits = collections.Counter(rules.metropolis(posterior, steps=200_000, seed=5))
    share = np.array([visits[x] / visits.total() for x in lists])
    assert visits.keys() <= set(lists) and np.abs(share - exact).sum() / 2 < 0.02  # total variation


def test_a_seed_gives_the_same_walk(titanic):
    posterior = rules.Posterior(rules.mine(*titanic), *titanic)
    first, again, other = (
        list(rules.metropolis(posterior, steps=500, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again != other
    steps = list(itertools.pairwise(first))
    assert {len(b) - len(a) for a, b in steps} == {-1, 0, 1}
    assert any(a != b and sorted(a) == sorted(b) for a, b in steps)  # a rule may change its place


def test_r_hat():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(3, 4000))
    assert rules.r_hat(mixed) == pytest.approx(1, abs=0.005)
    assert rules.r_hat(mixed + [[0], [0], [3]]) > 1.5
    # alike among themselves, and not at rest: the halves tell
    drifting = mixed + np.linspace(0, 3, 4000)
    assert rules.r_hat(drifting) > 1.2
    assert rules.r_hat(np.ones((2, 10))) == 1 and rules.r_hat([[1.0] * 10, [2.0] * 10]) == math.inf
    with pytest.raises(ValueError, match="4 steps or more"):
        rules.r_hat([[1, 2]])


def test_point_is_the_best_list_of_the_mean_s_size():
    frame, labels = small_world(3)
    posterior = rules.Posterior(rules.mine(frame, labels), frame, labels)
    # 2.25 rules: 2 or 3 of them, neither the best list of all nor the one seen most often
    visits = collections.Counter({(0,): 1, (0, 1): 20, (1, 2): 5, (1, 2, 0): 10})
    assert max(visits, key=posterior) == (0,) and max(visits, key=visits.get) == (0, 1)
    assert rules.point(posterior, visits) == (1, 2)


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
    assert model.predict_proba(frame).sum(1) == pytest.approx(1) and "else if" in str(model)
    mean = rules.BayesianRuleList(random_state=0, average=True).fit(frame, labels)
    average = mean.predict_proba(frame)
    assert np.abs(average - model.predict_proba(frame)).max() < 0.35
    assert average.sum(1) == pytest.approx(1)


def test_the_fit_mines_and_counts_as_the_parts_do_and_asks_once(monkeypatch):
    loans = data.german_credit()
    frame, labels = loans.drop(columns="risk"), loans["risk"]
    mined = rules.mine(frame, labels, support=0.05, max_conditions=3, bins=3)
    posterior = rules.Posterior(mined, frame, labels, length=2, width=2)
    asked = collections.Counter()

    def counted(module, name):
        real = getattr(module, name)

        def watched(*args, **options):
            asked[name] += 1
            return real(*args, **options)

        monkeypatch.setattr(module, name, watched)

    counted(rules.Condition, "holds")
    counted(rules.conditions, "validate_frame")
    counted(rules.conditions, "encode_labels")
    counted(rules.conditions, "split_column")
    model = rules.BayesianRuleList(
        length=2, width=2, support=0.05, max_conditions=3, bins=3, steps=50, random_state=0
    ).fit(frame, labels)
    once = {"validate_frame": 1, "encode_labels": 1, "split_column": frame.shape[1]}
    assert asked == once  # and no condition is asked for its rows
    assert model.posterior_.antecedents == mined and model.posterior_.holds == posterior.holds
    assert model.posterior_((3, 1)) == posterior((3, 1))


def test_the_average_is_over_every_visit():
    frame, labels = small_world(4)
    model = rules.BayesianRuleList(steps=100, chains=2, average=True, random_state=3)
    model.fit(frame, labels)
    lists = model.visits_.items()
    by_hand = sum(model.posterior_.list(x).predict_proba(frame) * n for x, n in lists) / 100
    assert model.predict_proba(frame) == pytest.approx(by_hand)


def test_the_first_half_of_a_walk_counts_for_the_best_list_alone(monkeypatch):
    def walk(posterior, *, steps, init, seed):
        return [(0,)] * (steps // 2) + [(1, 2)] * (steps // 2)

    monkeypatch.setattr(classifier, "metropolis", walk)
    model = rules.BayesianRuleList(steps=10, chains=2, random_state=0).fit(*small_world(3))
    assert model.visits_ == {(1, 2): 10} and model.best_ == (0,)
    assert model.log_posterior_ == model.posterior_((0,)) > model.posterior_((1, 2))


def test_walks_that_disagree_are_told():
    boards = data.tic_tac_toe()
    model = rules.BayesianRuleList(length=8, width=3, max_conditions=3, steps=300, random_state=0)
    model.fit(boards.drop(columns="x_wins"), boards["x_wins"])
    assert not model.mixed_
    assert "have not mixed (R-hat" in str(model) and "Raise steps" in str(model)


def test_three_classes_and_words_as_labels():
    loans = data.german_credit()
    housing = loans.pop("housing")
    model = rules.BayesianRuleList(steps=2000, random_state=0).fit(loans, housing)
    assert list(model.classes_) == ["free", "own", "rent"] == list(model.list_.classes)
    assert model.predict_proba(loans).shape == (1000, 3) and "rent: " in str(model)
    assert set(model.predict(loans)) <= set(model.classes_)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (
            lambda f, y: (f.assign(age=f.age.where(f.age != "child")), y),
            "Values are missing, in age",
        ),
        (lambda f, y: (f, np.zeros(len(y))), "one class only, .*0"),
        (lambda f, y: (f, np.where(y == 1, np.nan, 0)), "labels are missing"),
        (
            lambda f, y: (f.assign(**{"class": "3rd", "sex": "male", "age": "adult"}), y),
            "No condition holds for 10%",
        ),
        (lambda f, y: (f, y[:-1]), "inconsistent numbers of samples"),
        (lambda f, y: (f.assign(age=[["child"]] * len(f)), y), "'age' holds a list"),
    ],
)
def test_a_table_that_cannot_be_learnt_is_refused(titanic, spoil, said):
    with pytest.raises(ValueError, match=said):
        rules.BayesianRuleList(steps=10).fit(*spoil(*titanic))


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda f: f.assign(sex="Male"), "called 'Male'. Did you mean 'male'"),
        (lambda f: f[f.columns[::-1]], "same order"),
        (lambda f: f.drop(columns="age"), "age"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused(titanic, spoil, said):
    model = rules.BayesianRuleList(steps=10).fit(*titanic)
    with pytest.raises(ValueError, match=said):
        model.predict(spoil(titanic[0].head()))


def test_the_classifier_reads_a_row_of_objects_and_names_of_any_kind():
    frame, labels = small_world()
    frame = frame.assign(n=np.arange(60), day=pd.Timestamp("2020-01-01")).rename(columns={"b": 7})
    model = rules.BayesianRuleList(steps=20, random_state=0).fit(frame, labels)
    wanted = model.predict_proba(frame.iloc[[3]])
    assert (model.predict_proba(frame.iloc[3].to_frame().T) == wanted).all()
    numbers = frame[["n"]].to_numpy(dtype=float)
    array = rules.BayesianRuleList(steps=20, random_state=0).fit(numbers, labels)
    assert array.predict(numbers[:1]).shape == (1,)
    for option, said in (({"steps": 7}, "steps is 7"), ({"chains": 0}, "chains is 0")):
        with pytest.raises(ValueError, match=said):
            rules.BayesianRuleList(**option).fit(frame, labels)


def test_an_unknown_antecedent_is_answered_with_the_nearest(titanic):
    posterior = rules.Posterior(rules.mine(*titanic), *titanic)
    with pytest.raises(ValueError, match="Did you mean 'class is 3rd'"):
        posterior.places("class is third")
    with pytest.raises(ValueError, match="above 0"):
        rules.Posterior(posterior.antecedents, *titanic, length=0)


def test_scikit_learn_waits_until_the_classifier_is_asked_for():
    code = """
import sys
from trickkit import rules
assert not {"torch", "sklearn"} & set(sys.modules)
assert "BayesianRuleList" in dir(rules) and rules.BayesianRuleList().steps == 10_000
assert "sklearn" in sys.modules and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rules.nothing  # noqa: B018


def test_rounding_does_not_choose_among_lists_as_probable_as_each_other():
    heights = {(2, 0): -100.0, (0, 2): -100.0 + 1e-11, (1,): -100.0 - 1e-3, (0, 1): -120.0}
    for lists in (list(heights), list(heights)[::-1], set(heights)):
        assert rules.most_probable(heights.__getitem__, lists) == (0, 2)
    heights[(2, 0)] += 1e-3
    assert rules.most_probable(heights.__getitem__, heights) == (2, 0)
