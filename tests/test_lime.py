"""LIME: what it says in the limit, how steadily, and what it refuses."""

import itertools
import re
import tracemalloc
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.random import default_rng
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from trickkit import data, lime, rules


def rows(n, d, seed, share=0.5):
    return (default_rng(seed).random((n, d)) < share).astype(float)


@pytest.fixture(scope="module")
def table():
    """Two columns of numbers and two of words that hang together, and a crooked box that knows all
    four."""
    rng = default_rng(0)
    a = rng.normal(size=400)
    train = pd.DataFrame(
        {
            "a": a,
            "b": (10 * a + rng.normal(size=400) * 5).round(),
            "c": rng.choice(list("xyz"), 400),
            "d": rng.choice(["no", "yes"], 400, p=[0.8, 0.2]),
        }
    )

    def box(frame):
        a = frame["a"].to_numpy()
        b = frame["b"].to_numpy()
        s = a - 0.1 * b + 2 * (frame["c"] == "x") * (frame["d"] == "no") - a * (frame["d"] == "yes")
        p = 1 / (1 + np.exp(-s.to_numpy()))
        return np.column_stack([1 - p, p])

    return train, box


def test_nearness_is_the_lime_packages_kernel_written_as_the_papers():
    z = rows(50, 7, 0)
    theirs = np.sqrt(np.exp(-(np.linalg.norm(z - 1, axis=1) ** 2) / (0.75 * np.sqrt(7)) ** 2))
    assert np.allclose(lime.nearness(z, width=np.sqrt(1.125 * 7), distance=lime.euclidean), theirs)
    z = z[z.any(1)]
    cosine = 1 - z.sum(1) / np.linalg.norm(z, axis=1) / np.sqrt(7)
    assert np.allclose(lime.cosine(z), cosine)
    theirs = np.sqrt(np.exp(-((100 * cosine) ** 2) / 25**2))
    assert np.allclose(lime.nearness(z, width=lime.COSINE_WIDTH), theirs)
    assert lime.nearness(np.ones((1, 7)), width=0.1) == 1
    assert lime.nearness(np.zeros((1, 7)), width=0.1) < 1e-40


def test_weighted_ridge_is_scikit_learns():
    z = rows(60, 6, 1)
    answers = default_rng(2).random(60)
    sample_weight = default_rng(3).random(60)
    z[:, 4] = 1  # never changes
    for penalty in (1, 0.01):
        ridge = Ridge(alpha=penalty).fit(z, answers, sample_weight=sample_weight)
        b = lime.weighted_ridge(z, answers, sample_weight, penalty=penalty)
        assert np.allclose(b[1:], ridge.coef_) and np.isclose(b[0], ridge.intercept_)
        assert b[5] == 0


def test_r2_is_scikit_learns_and_counts_near_rows_more():
    z = rows(200, 6, 1)
    answers = default_rng(2).random(200) + z[:, 0] * z[:, 1]
    settings = {"answer": 0.5, "distance": lime.euclidean, "width": 1.0}
    told = lime.explanation(z, answers, list("abcdef"), **settings)
    weight = lime.nearness(z, width=1.0, distance=lime.euclidean)
    line = told.intercept + z @ told.weights
    assert told.r2 == pytest.approx(r2_score(answers, line, sample_weight=weight))
    assert abs(told.r2 - r2_score(answers, line)) > 0.01


@pytest.mark.parametrize(("other", "settled"), [(0.3, False), (0.03, True)])
def test_the_halves_may_differ_in_what_is_slight(other, settled):
    """Below a twentieth of the largest weight: which of such is second does not matter."""
    z = np.tile(list(itertools.product([0.0, 1.0], repeat=4)), (8, 1))
    second = np.repeat([[other, 0, 0], [0, other, 0]], 64, axis=0)
    answers = z[:, 0] + (z[:, 1:] * second).sum(1)
    settings = {"answer": 1.0, "distance": lime.euclidean, "width": 2.0}
    assert lime.explanation(z, answers, list("abcd"), **settings).settled == settled


def test_five_weights_must_stand_or_half_of_few():
    assert [lime.top_count(d) for d in (1, 2, 3, 4, 9, 10, 40)] == [1, 1, 2, 2, 5, 5, 5]


def test_intervals_hold_what_they_promise_where_the_box_is_crooked():
    every = np.array(list(itertools.product([0.0, 1.0], repeat=4)))

    def crooked(z):
        return 0.3 * z[:, 0] + z[:, 1] * z[:, 2] * (1 + 2 * z[:, 3])

    sample_weight = lime.nearness(every, width=1.5, distance=lime.euclidean)
    limit = lime.weighted_ridge(every, crooked(every), sample_weight, penalty=1e-9)[1:]
    held = []
    for seed in range(400):
        z = rows(150, 4, seed)
        sample_weight = lime.nearness(z, width=1.5, distance=lime.euclidean)
        b = lime.weighted_ridge(z, crooked(z), sample_weight, penalty=1e-9)
        low, high = lime.weight_intervals(z, crooked(z), sample_weight, b, penalty=1e-9).T
        held.append((low <= limit) & (limit <= high))
    assert 0.92 < np.mean(held) < 0.975


def test_even_points_are_even_and_seeded():
    points = lime.sobol(64, 5, seed=0)
    assert all(sorted((64 * column).astype(int)) == list(range(64)) for column in points.T)
    assert np.array_equal(points[:10], lime.sobol(10, 5, seed=0))
    assert not np.allclose(points, lime.sobol(64, 5, seed=1))
    assert lime.sobol(1, 3, seed=0).shape == (1, 3) and lime.sobol(500, 3, seed=0).shape == (500, 3)


def test_a_printed_explanation_does_not_hang_on_rounding():
    weights = np.array([0.2, -0.1, 0.2, 0.1])

    def told(weights):
        spread = np.column_stack([weights - 0.01, weights + 0.01])
        return lime.Explanation(tuple("abcd"), weights, spread, 0.5, 0.9, 512, 0.7, True)

    for seed in range(20):
        noisy = told(weights + 1e-12 * default_rng(seed).normal(size=4))
        assert str(noisy) == str(told(weights)) and noisy.top(3) == ["a", "c", "b"]


def test_made_up_rows_hold_each_columns_values_as_often_as_the_table_and_nothing_else(table):
    train, _ = table
    made = lime.resample_columns(train, lime.sobol(4096, 4, seed=0))
    assert list(made) == list(train) and (made.dtypes == train.dtypes).all()
    for name in train:
        assert set(made[name]) <= set(train[name])
        often = (
            made[name]
            .value_counts(normalize=True)
            .sub(train[name].value_counts(normalize=True), fill_value=0)
        )
        assert often.abs().max() < 2 / 512
    assert abs(made["a"].corr(made["b"])) < 0.05 < 0.8 < train["a"].corr(train["b"])
    with pytest.raises(ValueError, match="4 columns, and points of shape"):
        lime.resample_columns(train, np.zeros((3, 2)))


def test_a_table_is_made_ready_once_for_many_rows(table, monkeypatch):
    train, box = table
    sampler = lime.TableSampler(train)
    points = lime.sobol(256, 4, seed=0)
    assert sampler(points).equals(lime.resample_columns(train, points))
    cut = []
    monkeypatch.setattr(rules.conditions, "cut", lambda *_, **__: cut.append(1))
    monkeypatch.setattr(lime.TableSampler, "__init__", lambda *_: cut.append(1))
    told = [lime.explain_table(box, train.iloc[[i]], sampler, seed=i) for i in range(3)]
    assert not cut
    monkeypatch.undo()
    for i, ours in enumerate(told):
        alone = lime.explain_table(box, train.iloc[[i]], train, seed=i)
        assert str(ours) == str(alone) and np.array_equal(ours.weights, alone.weights)
        assert ours.names == tuple(map(str, lime.row_features(train.iloc[[i]], train)))
    with pytest.raises(ValueError, match="no c in the table"):
        lime.explain_table(box, train.iloc[[0]].assign(c="w"), sampler)
    with pytest.raises(ValueError, match="missing"):
        lime.TableSampler(train.assign(a=np.nan))


def test_features_are_the_conditions_of_the_table_that_a_row_meets(table):
    train, _ = table
    sampler = lime.TableSampler(train)
    for i in range(20):
        row = train.iloc[[i]]
        met = [c for name in train for c in rules.column_conditions(train[name]) if c.holds(row)]
        assert sampler.features(row) == met


def test_a_table_is_explained_as_lime_does_in_the_limit(table):
    train, box = table
    row = train.iloc[[3]]
    rng = default_rng(5)
    n = 200_000  # an independent LIME: dice, sklearn's ridge, quarters by comparison
    made = pd.DataFrame({name: rng.choice(train[name], n) for name in train})
    kept = []
    for name in "ab":
        edges = rules.bin_edges(train[name])
        kept.append(np.searchsorted(edges, made[name]) == np.searchsorted(edges, row[name]))
    z = np.column_stack([*kept, *(made[name] == row[name].iloc[0] for name in "cd")])
    sample_weight = np.sqrt(np.exp(-(~z).sum(1) / (0.75**2 * 4)))
    ridge = Ridge(alpha=1).fit(z, box(made)[:, 1], sample_weight=sample_weight)
    ours = lime.explain_table(box, row, train, samples=16384)
    assert np.allclose(ours.weights, ridge.coef_, atol=0.006)
    assert np.isclose(ours.intercept, ridge.intercept_, atol=0.006)
    assert ours.answer == box(row)[0, 1]
    assert ours.names == tuple(map(str, lime.row_features(row, train)))
    other = lime.explain_table(box, row, train, target=0, samples=16384)
    assert np.allclose(other.weights, -ours.weights)


def test_made_up_rows_count_as_in_the_lime_package(table, monkeypatch):
    train, box = table
    asked = []
    monkeypatch.setattr(lime, "nearness", lambda z, **how: asked.append(how) or np.ones(len(z)))
    lime.explain_table(box, train.iloc[[3]], train, samples=64)
    # 0.75 √d, in a kernel that is written exp(−D²/width²) under a root
    assert all(how["distance"] is lime.euclidean for how in asked) and asked
    assert asked[0]["width"] ** 2 == pytest.approx(2 * 0.75**2 * 4)


def test_a_line_is_found_exactly_and_its_r2_is_1(table):
    train, _ = table
    row = train.iloc[[0]]
    conditions = lime.row_features(row, train)

    weights = (0.2, -0.1, 0.05, 0)

    def straight(frame):
        p = 0.5 + sum(w * c.holds(frame) for w, c in zip(weights, conditions, strict=True))
        return np.column_stack([1 - p, p])

    told = lime.explain_table(straight, row, train, samples=4096)
    assert np.allclose(told.weights, weights, atol=1e-3) and told.r2 > 0.9999
    assert told.line == pytest.approx(told.answer, abs=1e-3)
    assert told.top(2) == list(map(str, conditions[:2]))


def test_the_same_seed_says_the_same_and_leaves_all_dice_alone(table):
    train, box = table
    np.random.seed(3)
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    one, again, other = (
        lime.explain_table(box, train.iloc[[5]], train, samples=512, seed=s) for s in (0, 0, 1)
    )
    assert np.array_equal(one.weights, again.weights)
    assert not np.array_equal(one.weights, other.weights)
    assert np.array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.get_rng_state())


def test_the_order_of_the_rows_columns_does_not_matter(table):
    train, box = table
    one = lime.explain_table(box, train.iloc[[5]], train, samples=512)
    other = lime.explain_table(box, train.iloc[[5]][["d", "a", "c", "b"]], train, samples=512)
    assert str(one) == str(other)


def test_even_points_are_steadier_than_dice():
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(30, random_state=0).fit(x, y)

    def by_dice(row, seed):
        made = lime.resample_columns(x, default_rng(seed).random((2048, 30)))
        z = np.column_stack([c.holds(made) for c in lime.row_features(row, x)]).astype(float)
        sample_weight = lime.nearness(z, width=np.sqrt(1.125 * 30), distance=lime.euclidean)
        return lime.weighted_ridge(z, forest.predict_proba(made)[:, 1], sample_weight)[1:]

    for row in (x.iloc[[0]], x.iloc[[20]]):
        ours = [
            lime.explain_table(forest.predict_proba, row, x, samples=2048, seed=s).weights
            for s in range(8)
        ]
        dice = [by_dice(row, s) for s in range(8)]
        assert np.std(ours, axis=0).mean() < 0.75 * np.std(dice, axis=0).mean()
        assert np.allclose(np.mean(ours, axis=0), np.mean(dice, axis=0), atol=0.01)


def test_it_goes_on_until_the_top_stands_and_says_so(table):
    train, box = table
    told = lime.explain_table(box, train.iloc[[3]], train)
    assert told.settled and told.samples in (512, 1024, 2048)
    assert "both halves name the same top 2" in str(told)

    asked = []

    def level(points):  # forty features that matter alike, and noise: the top five are chance
        asked.append(len(points))
        z = points < 0.5
        return z, default_rng(len(asked)).random(len(points)) + 0.1 * z.sum(1)

    told = lime.explain(
        level,
        [f"w{i}" for i in range(40)],
        answer=0.5,
        dimensions=40,
        distance=lime.cosine,
        width=0.35,
        max_samples=4096,
    )
    assert sum(asked) == told.samples == 4096 and asked == [512, 512, 1024, 2048]
    assert not told.settled and "not settled" in str(told)


def test_what_may_be_nothing_is_not_called_settled():
    """Whether a sum is even hangs on every column, and no line near a row has any slope."""
    coins = pd.DataFrame(np.array(list(np.ndindex(2, 2, 2, 2))), columns=list("abcd"))

    def even(frame):
        yes = (frame.sum(axis=1) % 2 == 0).to_numpy(dtype=float)
        return np.column_stack([1 - yes, yes])

    told = lime.explain_table(even, coins.iloc[[5]], coins)
    assert not told.clear.any() and not told.settled and told.samples == lime.MAX_SAMPLES
    assert "16,384 answers: not settled, the largest weight is not clear of 0" in str(told)

    def by_a(frame):
        return np.column_stack([frame["a"], 1 - frame["a"]])

    told = lime.explain_table(by_a, coins.iloc[[5]], coins)
    assert told.clear.tolist() == [True, False, False, False] and told.settled
    assert "both halves name the same top 2, 1 of them clear of 0" in str(told)


def test_a_constant_column_gets_no_weight_and_a_constant_box_none_at_all(table):
    train, box = table
    wide = train.assign(same=7, word="w")
    told = lime.explain_table(box, wide.iloc[[0]], wide, samples=512)
    assert np.abs(told.weights[4:]).max() < 1e-12 and told.names[4:] == ("same is 7", "word is w")

    def constant(frame):
        return np.tile([0.25, 0.75], (len(frame), 1))

    told = lime.explain_table(constant, wide.iloc[[0]], wide)
    assert np.allclose(told.weights, 0) and np.isnan(told.r2)
    assert told.settled and told.samples == 512
    assert "no ups and downs" in str(told) and "R²" not in str(told)


def test_more_classes_than_two_and_a_forest_on_frames():
    train = pd.DataFrame({"a": default_rng(0).random(300), "yes": default_rng(1).random(300) > 0.5})
    y = (train["a"] * 3).astype(int)
    forest = RandomForestClassifier(20, random_state=0).fit(train, y)
    row = train.iloc[[0]]
    for target in range(3):
        told = lime.explain_table(forest.predict_proba, row, train, target=target, samples=512)
        assert told.top(1)[0] == told.names[0] and "a" in told.names[0]
        assert told.names[1].startswith("yes is ")
    with pytest.raises(ValueError, match="target is 3; the black box's classes are 0 to 2"):
        lime.explain_table(forest.predict_proba, row, train, target=3)
    with pytest.raises(ValueError, match="predict_proba, not predict"):
        lime.explain_table(forest.predict, row, train)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda n: np.zeros(n), "predict_proba, not predict"),
        (lambda n: np.full((n, 2), 0.7), "sum to 1.4 to 1.4"),
        (lambda n: np.full((n, 2), np.nan), "not finite"),
        (lambda n: np.full((n + 1, 2), 0.5), "asked about 1 rows"),
        (lambda n: np.tile([-1.0, 2.0], (n, 1)), "no probabilities"),
        (lambda n: np.ones((n, 1)), "classes are 0 to 0"),
        (lambda n: np.full((n, 1), 0.7), r"np.column_stack\(\[1 - p, p\]\)"),
        (lambda n: np.full(n, 0.7), r"np.column_stack\(\[1 - p, p\]\)"),
        (lambda n: ["good"] * n, "predict_proba, not predict"),
        (lambda n: None, r"answered with shape \(\)"),
        (lambda n: [[0.5, 0.5j]] * n, "no real numbers"),
        (lambda n: [[1], [0, 1]] * n, "no real numbers"),
    ],
)
def test_a_box_that_gives_no_probabilities_is_refused(table, answer, says):
    train, _ = table
    with pytest.raises(ValueError, match=says):
        lime.explain_table(lambda frame: answer(len(frame)), train.iloc[[0]], train)
    with pytest.raises(ValueError, match=says):
        lime.explain_text(lambda texts: answer(len(texts)), "two words")


@pytest.mark.parametrize(
    "kept",
    [
        np.ndarray.tolist,
        np.float16,
        pd.DataFrame,
        lambda p: pd.DataFrame(p).astype("Float64").sample(frac=1, random_state=0) * 0 + p,
        lambda p: p.astype(object),
        torch.from_numpy,
        lambda p: torch.from_numpy(p).bfloat16().requires_grad_(),
    ],
)
def test_probabilities_come_in_whatever_holds_them(table, kept):
    train, box = table
    told = lime.explain_table(lambda f: kept(box(f)), train[:1], train, samples=256)
    wanted = lime.explain_table(box, train[:1], train, samples=256)
    assert np.allclose(told.weights, wanted.weights, atol=2e-3) and told.names == wanted.names


def test_what_is_no_box_or_class_is_refused(table):
    train, box = table
    for model in (RandomForestClassifier(), None, "forest"):
        with pytest.raises(ValueError, match="such as model.predict_proba; a .* came"):
            lime.explain_table(model, train[:1], train)
    for target in ("yes", -1, 1.0, True, None):
        with pytest.raises(ValueError, match="target is .*; the black box's classes are 0 to 1"):
            lime.explain_text(says_so("a"), "a b", target=target)
    for samples in (0, "a", 2.0, True):
        with pytest.raises(ValueError, match="samples is .*; 2 or more"):
            lime.explain_table(box, train[:1], train, samples=samples)
    last = lime.explain_table(box, train[:1], train, samples=np.int64(64), target=np.int64(1))
    assert last.samples == 64


def test_a_box_that_works_in_place_spoils_nothing(table):
    train, box = table
    before = train.copy()
    row = train.iloc[[0]]

    def spoil(frame):
        said = box(frame)
        frame["a"] = 0.0
        frame["b"].array[:] = 0
        del frame["c"]
        frame.index += 1
        return said

    told = lime.explain_table(spoil, row, train)
    assert str(told) == str(lime.explain_table(box, row, train))
    twisted = lime.disguised(train, spoil, spoil)
    assert np.allclose(twisted(train), box(train))
    pd.testing.assert_frame_equal(train, before)
    pd.testing.assert_frame_equal(row, before.iloc[[0]])

    def emptied(texts):
        said = says_so("a")(texts)
        texts.clear()
        return said

    assert str(lime.explain_text(emptied, "a b c")) == str(lime.explain_text(says_so("a"), "a b c"))


def test_a_box_that_writes_its_answers_into_one_place_spoils_nothing(table):
    train, _ = table
    place = np.zeros((20_000, 2))

    def even(frame):
        odd = (frame["a"] > 0).to_numpy() ^ (frame["b"] > 0).to_numpy()
        return np.column_stack([1 - odd, odd]).astype(float)

    def again(frame):
        place[: len(frame)] = even(frame)
        return place[: len(frame)]

    told, wanted = (lime.explain_table(way, train[:1], train) for way in (again, even))
    assert told.samples > lime.FIRST_SAMPLES and np.array_equal(told.weights, wanted.weights)


@pytest.mark.parametrize("way", [dict, pd.Series, lambda row: row.to_frame().T])
def test_a_row_may_be_a_series_a_dict_or_a_frame_on_its_side(table, way):
    train, box = table
    row = way(train.iloc[5])
    told = lime.explain_table(box, row, train, samples=256)
    assert str(told) == str(lime.explain_table(box, train.iloc[[5]], train, samples=256))
    assert lime.row_features(row, train) == lime.row_features(train.iloc[[5]], train)


def test_rows_in_another_order_make_the_same_table(table):
    train, _ = table
    mixed = train.assign(c=train["c"].map({"x": 1, "y": "1", "z": 2})).astype({"c": object})
    points = lime.sobol(64, 4, seed=0)
    shuffled = mixed.sample(frac=1, random_state=1).set_axis([0] * len(mixed), axis=0)
    assert lime.resample_columns(mixed, points).equals(lime.resample_columns(shuffled, points))
    assert list(map(str, lime.row_features(mixed.iloc[3], shuffled))) == [
        str(c) for c in lime.row_features(mixed.iloc[3], mixed)
    ]


def test_made_up_rows_are_of_the_tables_types():
    train = pd.DataFrame({"n": [1, 2, 3, 4]}).assign(
        big=pd.array([1, 2, 3, 4], dtype="Int64"),
        kind=pd.Categorical(list("abab")),
        day=pd.date_range("2020-01-01", periods=4, tz="UTC"),
        thing=pd.Series([1, "1", 2, "2"], dtype=object),
        text=pd.Series(list("abcd"), dtype=object),
    )
    made = lime.resample_columns(train, lime.sobol(64, 6, seed=0))
    assert made.dtypes.equals(train.dtypes) and made["thing"].map(type).nunique() == 2
    names = pd.MultiIndex.from_product([["a", "b"], [1, 2, 3]])
    deep = train.set_axis(names, axis=1)
    assert lime.resample_columns(deep, lime.sobol(2, 6, seed=0)).columns.equals(names)
    for points in (np.ones((1, 6)), -np.ones((1, 6)), np.zeros(6), np.full((1, 6), np.nan)):
        with pytest.raises(ValueError, match="from 0 to below 1|A number a column"):
            lime.resample_columns(train, points)


def test_a_column_of_names_costs_an_explanation_no_more_than_its_rows():
    train = pd.DataFrame({"name": [f"customer {i}" for i in range(4000)], "n": range(4000)})
    tracemalloc.start()
    told = lime.explain_table(
        lambda f: np.tile([0.4, 0.6], (len(f), 1)), train[:1], train, samples=64
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert told.names == ("name is customer 0", "n ≤ 999") and peak < 8 * 2**20  # squared: 15 MiB


def test_one_column_alone_has_its_true_weight():
    train = pd.DataFrame({"a": [0, 1] * 20})
    told = lime.explain_table(
        lambda f: np.column_stack([1 - f["a"] * 0.8, f["a"] * 0.8]), train[1:2], train
    )
    assert told.weights == pytest.approx([0.8], abs=0.02) and told.settled


def test_features_that_read_alike_are_refused():
    train = pd.DataFrame({"a": ["b is c", "x"], "a is b": ["c", "d"]})
    with pytest.raises(ValueError, match="Two features are called 'a is b is c'"):
        lime.explain_table(lambda f: np.tile([0.4, 0.6], (len(f), 1)), train[:1], train)


def test_a_row_that_cannot_be_is_refused(table):
    train, box = table
    row = train.iloc[[0]]
    for bad, says in (
        (train.iloc[:2], "One row"),
        (train.iloc[:0], "0 rows"),
        (row.assign(c="w"), "no c in the table"),
        (row.drop(columns="a"), "Lacking: 'a'"),
        (row.assign(a=np.nan), "missing"),
        (row.to_numpy(), "DataFrame"),
    ):
        with pytest.raises(ValueError, match=says):
            lime.explain_table(box, bad, train)
    with pytest.raises(ValueError, match="samples is 1"):
        lime.explain_table(box, row, train, samples=1)
    with pytest.raises(ValueError, match="missing"):
        lime.explain_table(box, row, train.assign(a=np.nan))


# Text


def test_words_are_taken_away_as_often_as_the_lime_package_does():
    z = lime.drop_random(lime.sobol(2**14, 6, seed=0))
    off = (~z).sum(1)
    assert np.allclose(np.bincount(off, minlength=6)[1:] / len(z), 1 / 5, atol=0.01)
    assert off.min() == 1
    pairs = Counter(tuple(np.flatnonzero(~row)) for row in z[off == 2])
    assert len(pairs) == 10 and max(pairs.values()) < 1.2 * min(pairs.values())


def says_so(word, gain=0.4):
    def box(texts):
        p = np.array([0.1 + gain * (word in text.split()) for text in texts])
        return np.column_stack([1 - p, p])

    return box


def test_the_word_that_decides_is_found_and_goes_everywhere_at_once():
    text = "the cat, the dog and the fish"
    told = lime.explain_text(says_so("the"), text)
    assert told.names == ("the", "cat", "dog", "and", "fish") and told.top(1) == ["the"]
    assert told.weights[0] == pytest.approx(0.4, abs=0.02) and told.answer == 0.5
    assert np.abs(told.weights[1:]).max() < 0.02
    seen = []

    def watched(texts):
        seen.extend(texts)
        return says_so("the")(texts)

    lime.explain_text(watched, text, samples=256)
    assert " cat,  dog and  fish" in seen
    assert all(t.count("the") in (0, 3) and "," in t for t in seen)


def test_what_a_word_is_can_be_said():
    told = lime.explain_text(
        says_so("{ping}"), "see {ping} for more", words=r"\w+|[{}]", samples=64
    )
    assert told.names == ("see", "{", "ping", "}", "for", "more")
    assert set(told.top(3)) == {"{", "ping", "}"}
    with pytest.raises(ValueError, match="no word in '!!'"):
        lime.explain_text(says_so("a"), "!!")
    with pytest.raises(ValueError, match=r"\(\?:"):
        lime.explain_text(says_so("a"), "a b", words=r"(\w+)")
    with pytest.raises(ValueError, match="a list came"):
        lime.explain_text(says_so("a"), ["a b"])


@pytest.mark.parametrize("text", ["yes", "yes yes", "yes!"])
def test_one_word_alone_has_its_true_weight(text):
    told = lime.explain_text(
        lambda texts: says_so("yes")([re.sub("!", "", t) for t in texts]), text
    )
    assert told.names == ("yes",) and told.settled and told.clear.all()
    assert told.weights == pytest.approx([0.4], abs=0.01) and told.line == pytest.approx(
        0.5, abs=0.01
    )


def of_text(d):
    says = says_so("word0")
    return lime.explain_text(says, " ".join(f"word{i}" for i in range(d)))


def of_table(d):
    train = pd.DataFrame(
        list(itertools.product("ny", repeat=d)), columns=[f"c{i}" for i in range(d)]
    )

    def box(frame):
        p = 0.5 + 0.4 * (frame["c0"] == "y").to_numpy()
        return np.column_stack([1 - p, p])

    return lime.explain_table(box, train.iloc[[-1]], train)


def of_picture(d):
    def model(images):
        p = 0.5 + 0.4 * images[:, 0, :, 0].mean(1)
        return torch.stack([1 - p, p], 1).log()

    black = torch.zeros(1, 1, 4, d)
    return lime.explain_picture(model, black + 1, 1, torch.arange(d).repeat(4, 1), cover=black)


@pytest.mark.parametrize("d", range(1, 6))
@pytest.mark.parametrize("explained", [of_text, of_table, of_picture])
def test_few_features_have_their_true_weights_and_the_others_none(explained, d):
    told = explained(d)
    assert told.settled and told.weights[0] == pytest.approx(0.4, abs=0.03)
    assert np.abs(told.weights[1:]).max(initial=0) < 0.015


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't you see {a_b} 3.5 times?", ["Don", "t", "you", "see", "a_b", "3", "5", "times"]),
        ("这家餐厅好", list("这家餐厅好")),
        ("これは好き", list("これは好き")),
        ("อาหารดีมาก", ["อ", "า", "ห", "ร", "ดี", "ม", "ก"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("مُحَمَّد رسول", ["مُحَمَّد", "رسول"]),
        ("cafe\u0301 e\u0301te\u0301", ["cafe\u0301", "e\u0301te\u0301"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("good好good", ["good", "好"]),
        ("so 👍🏽 👨‍👩‍👧 🇫🇷🇩🇪 ❤️", ["so", "👍🏽", "👨‍👩‍👧", "🇫🇷", "🇩🇪", "❤️"]),
    ],
)
def test_a_word_is_what_its_script_calls_one(text, words):
    told = lime.explain_text(lambda texts: np.tile([0.4, 0.6], (len(texts), 1)), text, samples=4)
    assert list(told.names) == words


def test_a_text_without_blanks_has_its_weights():
    def box(texts):
        p = np.array([0.9 if "好" in text else 0.1 for text in texts])
        return np.column_stack([1 - p, p])

    told = lime.explain_text(box, "这家餐厅的服务非常好")
    assert told.top(1) == ["好"] and told.weights[-1] == pytest.approx(0.8, abs=0.03)
    assert np.abs(told.weights[:-1]).max() < 0.02
    assert lime.explain_text(box, "好").weights == pytest.approx([0.8], abs=0.01)


def test_english_is_cut_as_ever():
    for text in data.hackers_and_prophets()["text"][::7]:
        assert re.findall(lime.word_pattern(text), text) == re.findall(r"\w+", text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (r"\w*", r"Write \+ where \* stands"),
        ("(", "no regular expression: missing"),
        ("(?i)a", "no regular expression: global flags"),
        (5, "no regular expression"),
        ("zzz", "no word in 'two words'; a word is what 'zzz' finds"),
    ],
)
def test_what_finds_no_words_is_refused(words, said):
    with pytest.raises(ValueError, match=said):
        lime.explain_text(says_so("a"), "two words", words=words)
    folded = re.compile("TWO", re.IGNORECASE)
    assert lime.explain_text(says_so("a"), "two words", words=folded, samples=4).names == ("two",)


@pytest.mark.parametrize("text", ["", "  ", "?!…", "\u0301"])
def test_a_text_without_words_is_refused(text):
    with pytest.raises(ValueError, match="no word in .*letters, figures or an emoji"):
        lime.explain_text(says_so("a"), text)


def test_a_text_of_too_many_words_is_refused():
    with pytest.raises(ValueError, match="21,202 features are too many"):
        lime.explain_text(says_so("a"), " ".join(map(str, range(21_201))), samples=2)


# Pictures


def looks_at(top, left, side=8):
    def model(images):
        bright = images[:, :, top : top + side, left : left + side].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(bright), 6 * bright - 3], 1)

    return model


@pytest.mark.parametrize("channels", [1, 3])
def test_the_patch_that_a_model_looks_at_is_found(channels):
    image = torch.full((1, channels, 32, 32), 0.1)
    image[:, :, 8:16, 16:24] = 1
    squares = torch.arange(32)[:, None] // 8 * 4 + torch.arange(32) // 8
    told = lime.explain_picture(looks_at(8, 16), image, 1, squares, cover=torch.zeros(1, 1, 1, 1))
    assert told.top(1) == ["patch 6"] and told.weights[6] > 0.5
    assert np.abs(np.delete(told.weights, 6)).max() < 0.05
    found = lime.superpixels(image, count=16)
    told = lime.explain_picture(looks_at(8, 16), image, 1, found, cover=torch.zeros(1, 1, 1, 1))
    best = torch.from_numpy(told.weights)[found].argmax().item()
    assert 8 <= best // 32 < 16 and 16 <= best % 32 < 24


def test_a_patch_is_hidden_in_half_of_the_copies():
    image = torch.ones(1, 1, 8, 8)
    squares = torch.arange(8)[:, None] // 4 * 2 + torch.arange(8) // 4
    shown = []

    def model(images):
        shown.append(images[:, 0, ::4, ::4].flatten(1))
        return torch.zeros(len(images), 2)

    lime.explain_picture(model, image, 0, squares, samples=512, cover=torch.zeros(1, 1, 1, 1))
    assert (shown[0] == 1).all() and torch.cat(shown[1:]).mean(0).tolist() == [0.5] * 4


def test_superpixels_are_numbered_patches_of_any_picture():
    for image in (
        data.picture("panda", size=96),
        torch.rand(1, 1, 28, 28),
        torch.zeros(1, 3, 20, 30),
        torch.ones(1, 1, 16, 16),
    ):
        patches = lime.superpixels(image)
        assert patches.shape == image.shape[2:] and patches.dtype == torch.int64
        assert patches.unique().tolist() == list(range(int(patches.max()) + 1))
        mean = lime.mean_coloured(image, patches)
        for p in patches.unique()[:5]:
            own = image[0][:, patches == p].mean(1, keepdim=True)
            assert torch.allclose(mean[0][:, patches == p], own, atol=1e-5)
    with pytest.raises(ValueError, match=r"One picture .*\(2, 1, 28, 28\) came"):
        lime.superpixels(torch.rand(2, 1, 28, 28))


def test_hide_covers_patch_by_patch():
    image = torch.rand(1, 3, 6, 8)
    cover = torch.rand(1, 3, 6, 8)
    segments = torch.randint(4, (6, 8))
    z = torch.rand(5, 4) < 0.5
    hidden = lime.hide(image, segments, z, cover)
    for n, i, j in itertools.product(range(5), range(6), range(8)):
        shown = image if z[n, segments[i, j]] else cover
        assert torch.equal(hidden[n, :, i, j], shown[0, :, i, j])
    assert torch.equal(lime.hide(image, segments, z.float(), cover), hidden)


def test_pictures_that_cannot_be_explained_are_refused():
    image = torch.rand(1, 1, 8, 8)
    model = looks_at(0, 0)
    squares = torch.arange(8)[:, None] // 4 * 2 + torch.arange(8) // 4
    for bad, target, patches, says in (
        (image * 255, 1, squares, r"\[0, 1\]"),
        (image.repeat(2, 1, 1, 1), 1, squares, "One picture"),
        (image, 2, squares, "from 0 to 1"),
        (image, 1, squares[:4], "shapes"),
        (image, 1, squares * 2, "none left out"),
        (image, 1, squares.float(), "whole numbers"),
    ):
        with pytest.raises(ValueError, match=says):
            lime.explain_picture(model, bad, target, patches)
    moody = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Flatten()).train()
    with pytest.raises(ValueError, match="train mode"):
        lime.explain_picture(moody, image, 1, squares)


# Many explanations, and lies


def covered(weights, cases):
    return np.sqrt(np.abs(weights).sum(0))[(weights[list(cases)] != 0).any(0)].sum()


def test_pick_is_greedy_and_within_its_guarantee_of_the_best():
    for seed in range(30):
        rng = default_rng(seed)
        weights = rng.normal(size=(8, 10)) * (rng.random((8, 10)) < 0.25)
        chosen = lime.pick(weights, budget=3)
        best = max(covered(weights, c) for c in itertools.combinations(range(8), 3))
        assert covered(weights, chosen) >= (1 - 1 / np.e) * best - 1e-9
        for n in (1, 2, 3):  # each adds as much as any could
            most = max(covered(weights, [*chosen[: n - 1], i]) for i in range(8))
            assert covered(weights, chosen[:n]) == pytest.approx(most)
        assert len(set(lime.pick(weights, budget=8))) == 8
        assert lime.pick(-weights, budget=3) == chosen
    for budget in (0, 9):
        with pytest.raises(ValueError, match="goes from 1 to 8"):
            lime.pick(weights, budget=budget)


@pytest.mark.parametrize(
    ("weights", "budget", "said"),
    [
        ([1.0, 2.0], 1, r"their shape is \(2,\)"),
        (np.zeros((0, 3)), 1, r"their shape is \(0, 3\)"),
        ([[1.0, np.nan]], 1, "all of them finite"),
        ([[1.0, 2.0]], 1.0, "budget is 1.0"),
        ([[1.0, 2.0]], "a", "budget is 'a'"),
    ],
)
def test_what_cannot_be_picked_from_is_refused(weights, budget, said):
    with pytest.raises(ValueError, match=said):
        lime.pick(weights, budget=budget)
    assert lime.pick([[1.0, 2.0]], budget=np.int64(1)) == [0]


def test_the_liar_wants_0_and_1_however_they_are_kept():
    with pytest.raises(ValueError, match="a ndarray came"):
        lime.liar(np.ones((2, 3)))
    bits = pd.DataFrame({"a": [0, 1], "b": [1, 1], "c": [1, 1]})
    for kind in (bool, float, object, "Int64", "boolean"):
        assert np.array_equal(lime.liar(bits.astype(kind)), lime.liar(bits))
    with pytest.raises(ValueError, match="A frame of 0 and 1"):
        lime.liar(bits + 1)


def test_a_disguise_reads_whatever_a_table_holds():
    rng = default_rng(0)
    train = pd.DataFrame(
        {"n": rng.random(80), "m": pd.array(rng.integers(9, size=80), dtype="Int64")}
    )
    train["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(train["m"].astype(int), unit="D")
    train["kind"] = pd.Categorical(np.where(train["n"] > 0.5, "a", "b"))

    def flat(frame):
        return np.tile([0.4, 0.6], (len(frame), 1))

    box = lime.disguised(train, flat, flat)
    assert np.array_equal(box(train[::-1][["kind", "day", "m", "n"]]), flat(train))
    assert box(train[:1].assign(kind="new")).shape == (1, 2)
    with pytest.raises(ValueError, match="Lacking: 'n'"):
        box(train.drop(columns="n"))


def test_the_liar_hangs_on_every_column_and_lime_sees_none():
    train = pd.DataFrame(np.array(list(itertools.product([0, 1], repeat=3))), columns=list("abc"))
    for i in range(8):
        row = train.iloc[[i]]
        told = lime.explain_table(lime.liar, row, train, samples=4096)
        assert np.abs(told.weights).max() < 0.05
        for name in train:
            assert lime.liar(row.assign(**{name: 1 - row[name]}))[0, 1] == 1 - lime.liar(row)[0, 1]


def test_a_disguise_answers_people_one_way_and_lime_another(table):
    train, _ = table

    def says(column, value):
        return lambda frame: np.column_stack(
            [frame[column] != value, frame[column] == value]
        ).astype(float)

    box = lime.disguised(train, says("d", "yes"), says("c", "x"))
    people = (box(train)[:, 1] == says("d", "yes")(train)[:, 1]).mean()
    made = lime.resample_columns(train, default_rng(8).random((1000, 4)))
    explainers = (box(made)[:, 1] == says("c", "x")(made)[:, 1]).mean()
    assert people > 0.9 and explainers > 0.7
    again = lime.disguised(train, says("d", "yes"), says("c", "x"))
    assert np.array_equal(again(made), box(made))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_disguise_has_not_learnt_an_explainer_s_rows_by_heart(seed):
    train = pd.DataFrame(default_rng(5).random((400, 4)), columns=list("abcd"))  # as if made up

    def says(yes):
        return lambda frame: np.tile([1 - yes, yes], (len(frame), 1))

    box = lime.disguised(train, says(1.0), says(0.0), seed=seed)
    for points in (lime.sobol(400, 4, seed=seed), default_rng(seed).random((400, 4))):
        assert 0.3 < box(lime.resample_columns(train, points))[:, 1].mean() < 0.7  # a guess


@pytest.mark.parametrize("seed", [-1, "a", None, 1.5, True, np.array(3), torch.tensor(3)])
def test_a_seed_that_is_none_is_refused(table, seed):
    train, box = table
    image = torch.rand(1, 1, 4, 4)
    patches = torch.arange(16).view(4, 4) // 4
    for ask in (
        lambda: lime.explain_text(says_so("yes"), "yes or no", seed=seed),
        lambda: lime.explain_table(box, train.iloc[[0]], train, seed=seed),
        lambda: lime.explain_picture(lambda x: x[:, 0, 0, :2], image, 1, patches, seed=seed),
        lambda: lime.disguised(train, box, box, seed=seed),
        lambda: lime.sobol(8, 2, seed=seed),
    ):
        with pytest.raises(ValueError, match="seed is .* wanted"):
            ask()


def test_any_seed_of_64_bits_will_do(table):
    train, box = table
    for seed in (2**32, np.int64(7)):
        assert lime.disguised(train, box, box, seed=seed)(train).shape == (400, 2)


def test_a_disguise_hears_boxes_as_lime_does(table):
    train, box = table
    answers = torch.tensor(box(train), requires_grad=True)
    tensors = lime.disguised(train, lambda frame: answers, lambda frame: answers)
    assert np.array_equal(tensors(train), box(train))
    three = np.full((400, 3), 1 / 3)
    for other, said in (
        (lambda frame: three, "they have 2 and 3"),
        (lambda frame: answers[:, 0], "one number a row"),
        (None, "such as model.predict_proba; a NoneType came"),
    ):
        with pytest.raises(ValueError, match=said):
            lime.disguised(train, box, other)(train)


@pytest.mark.parametrize("samples", [0, 1, True, "a", 2.5, np.array(300), torch.tensor(300)])
def test_samples_that_are_no_count_are_refused(samples):
    with pytest.raises(ValueError, match="samples is"):
        lime.explain_text(says_so("yes"), "yes or no", samples=samples)


@pytest.mark.parametrize("k", [-1, 0, True, None, "a", 1.5])
def test_the_top_wants_a_count(k):
    told = lime.explain_text(says_so("yes"), "yes or no", samples=64)
    assert told.top(2)[0] == "yes" and len(told.top(99)) == 3
    with pytest.raises(ValueError, match=f"k is {k!r}"):
        told.top(k)


def test_mean_colours_want_the_patch_of_each_pixel():
    image = torch.rand(1, 3, 4, 4)
    for patches in (torch.zeros(3, 4).long(), torch.zeros(4, 4), torch.ones(4, 4).long(), None):
        with pytest.raises(ValueError, match="[Pp]atch"):
            lime.mean_coloured(image, patches)
    assert lime.mean_coloured(image, np.zeros((4, 4), int)).unique().numel() == 3
    with pytest.raises(ValueError, match="Images are wanted"):
        lime.mean_coloured(image[0], torch.zeros(4, 4).long())


def test_patches_may_be_anybodys_whole_numbers():
    image = torch.rand(1, 1, 16, 16)
    halves = (torch.arange(16) >= 8).expand(16, 16)
    expected = lime.explain_picture(looks_at(8, 8), image, 1, halves.long())
    for segments in (halves, halves.byte(), halves.numpy(), halves.int().numpy()):
        assert str(lime.explain_picture(looks_at(8, 8), image, 1, segments)) == str(expected)
    whole = lime.explain_picture(looks_at(8, 8), image, 1, torch.zeros(16, 16).long())
    assert whole.names == ("patch 0",) and np.isfinite(whole.weights).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"segments": np.ones((16, 16), int)}, "none left out"),
        ({"segments": "patches"}, "Patches are wanted"),
        ({"segments": torch.rand(16, 16)}, "whole numbers"),
        ({"cover": torch.zeros(1, 1, 9, 9)}, "same size"),
        ({"cover": 0.5}, "same size"),
        ({"target": 2}, "from 0 to 1"),
        ({"model": lambda images: images.mean((2, 3))}, "two or more classes"),
        ({"model": lambda images: {"logits": images}}, "a dict with 'logits'"),
    ],
)
def test_pictures_that_cannot_be_explained(change, says):
    given = {
        "model": looks_at(8, 8),
        "image": torch.rand(1, 1, 16, 16),
        "target": 1,
        "segments": torch.arange(16).expand(16, 16) // 4,
        **change,
    }
    with pytest.raises(ValueError, match=says):
        lime.explain_picture(**given)
