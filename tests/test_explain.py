"""LIME: what it says in the limit, how steadily, and what it refuses."""
import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge

from trickkit import contract, data, lime, rules

rng = np.random.default_rng


def rows(n, d, seed, share=0.5):
    return (rng(seed).random((n, d)) < share).astype(float)


@pytest.fixture(scope="module")
def table():
    """Two columns of numbers and two of words that hang together, and a crooked box that knows all four."""
    draw = rng(0)
    a = draw.normal(size=400)
    train = pd.DataFrame({"a": a, "b": (10 * a + draw.normal(size=400) * 5).round(), "c": draw.choice(list("xyz"), 400),
                          "d": draw.choice(["no", "yes"], 400, p=[0.8, 0.2])})

    def box(frame):
        a, b = frame["a"].to_numpy(), frame["b"].to_numpy()
        s = a - 0.1 * b + 2 * (frame["c"] == "x") * (frame["d"] == "no") - a * (frame["d"] == "yes")
        p = 1 / (1 + np.exp(-s.to_numpy()))
        return np.column_stack([1 - p, p])

    return train, box


def test_nearness_is_the_lime_packages_kernel_written_as_the_papers():
    z = rows(50, 7, 0)
    theirs = np.sqrt(np.exp(-np.linalg.norm(z - 1, axis=1) ** 2 / (0.75 * np.sqrt(7)) ** 2))
    assert np.allclose(lime.nearness(z, np.sqrt(1.125 * 7), lime.euclidean), theirs)
    z = z[z.any(1)]
    cosine = 1 - z.sum(1) / np.linalg.norm(z, axis=1) / np.sqrt(7)
    assert np.allclose(lime.cosine(z), cosine)
    theirs = np.sqrt(np.exp(-((100 * cosine) ** 2) / 25**2))
    assert np.allclose(lime.nearness(z, lime.COSINE_WIDTH), theirs)
    assert lime.nearness(np.ones((1, 7)), 0.1) == 1 and lime.nearness(np.zeros((1, 7)), 0.1) < 1e-40


def test_fit_is_weighted_ridge_regression():
    z, answers, counts = rows(60, 6, 1), rng(2).random(60), rng(3).random(60)
    z[:, 4] = 1  # never changes
    for penalty in (1, 0.01):
        ridge = Ridge(alpha=penalty).fit(z, answers, sample_weight=counts)
        b = lime.fit(z, answers, counts, penalty)
        assert np.allclose(b[1:], ridge.coef_) and np.isclose(b[0], ridge.intercept_)
        assert b[5] == 0


def test_intervals_hold_what_they_promise_where_the_box_is_crooked():
    every = np.array(list(itertools.product([0.0, 1.0], repeat=4)))

    def crooked(z):
        return 0.3 * z[:, 0] + z[:, 1] * z[:, 2] * (1 + 2 * z[:, 3])

    limit = lime.fit(every, crooked(every), lime.nearness(every, 1.5, lime.euclidean), 1e-9)[1:]
    held = []
    for seed in range(400):
        z = rows(150, 4, seed)
        counts = lime.nearness(z, 1.5, lime.euclidean)
        b = lime.fit(z, crooked(z), counts, 1e-9)
        low, high = lime.intervals(z, crooked(z), counts, b, 1e-9).T
        held.append((low <= limit) & (limit <= high))
    assert 0.92 < np.mean(held) < 0.975


def test_even_points_are_even_and_seeded():
    points = lime.even(64, 5, 0)
    assert all(sorted((64 * column).astype(int)) == list(range(64)) for column in points.T)
    assert np.array_equal(points[:10], lime.even(10, 5, 0)) and not np.allclose(points, lime.even(64, 5, 1))
    assert lime.even(1, 3, 0).shape == (1, 3) and lime.even(500, 3, 0).shape == (500, 3)


def test_made_up_rows_hold_each_columns_values_as_often_as_the_table_and_nothing_else(table):
    train, _ = table
    made = lime.around(train, lime.even(4096, 4, 0))
    assert list(made) == list(train) and (made.dtypes == train.dtypes).all()
    for name in train:
        assert set(made[name]) <= set(train[name])
        often = made[name].value_counts(normalize=True).sub(train[name].value_counts(normalize=True), fill_value=0)
        assert often.abs().max() < 2 / 512
    assert abs(made["a"].corr(made["b"])) < 0.05 < 0.8 < train["a"].corr(train["b"])
    with pytest.raises(ValueError, match="4 columns, and points of shape"):
        lime.around(train, np.zeros((3, 2)))


def test_a_table_is_explained_as_lime_does_in_the_limit(table):
    train, box = table
    row = train.iloc[[3]]
    draw, n = rng(5), 200_000  # an independent LIME: dice, sklearn's ridge, quarters by comparison
    made = pd.DataFrame({name: draw.choice(train[name], n) for name in train})
    z = np.column_stack([
        *[np.searchsorted(rules.edges(train[k]), made[k]) == np.searchsorted(rules.edges(train[k]), row[k]) for k in "ab"],
        *[made[k] == row[k].iloc[0] for k in "cd"]])
    ridge = Ridge(alpha=1).fit(z, box(made)[:, 1], sample_weight=np.sqrt(np.exp(-(~z).sum(1) / (0.75**2 * 4))))
    ours = lime.lime_table(box, row, train, samples=16384)
    assert np.allclose(ours.weights, ridge.coef_, atol=0.006)
    assert np.isclose(ours.intercept, ridge.intercept_, atol=0.006) and ours.answer == box(row)[0, 1]
    assert ours.names == tuple(map(str, lime.parts(row, train)))
    other = lime.lime_table(box, row, train, label=0, samples=16384)
    assert np.allclose(other.weights, -ours.weights)


def test_a_line_is_found_exactly_and_its_r2_is_1(table):
    train, _ = table
    row = train.iloc[[0]]
    conditions = lime.parts(row, train)

    def straight(frame):
        p = 0.5 + sum(w * c.holds(frame) for w, c in zip((0.2, -0.1, 0.05, 0), conditions, strict=True))
        return np.column_stack([1 - p, p])

    told = lime.lime_table(straight, row, train, samples=4096)
    assert np.allclose(told.weights, (0.2, -0.1, 0.05, 0), atol=1e-3) and told.r2 > 0.9999
    assert told.line == pytest.approx(told.answer, abs=1e-3) and told.top(2) == [str(conditions[0]), str(conditions[1])]


def test_the_same_seed_says_the_same_and_leaves_all_dice_alone(table):
    train, box = table
    np.random.seed(3)
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    one, again, other = (lime.lime_table(box, train.iloc[[5]], train, samples=512, seed=s) for s in (0, 0, 1))
    assert np.array_equal(one.weights, again.weights) and not np.array_equal(one.weights, other.weights)
    assert np.array_equal(before[0], np.random.get_state()[1]) and torch.equal(before[1], torch.get_rng_state())


def test_the_order_of_the_rows_columns_does_not_matter(table):
    train, box = table
    one = lime.lime_table(box, train.iloc[[5]], train, samples=512)
    other = lime.lime_table(box, train.iloc[[5]][["d", "a", "c", "b"]], train, samples=512)
    assert str(one) == str(other)


def test_even_points_are_steadier_than_dice():
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(30, random_state=0).fit(x, y)

    def by_dice(row, seed):
        made = lime.around(x, rng(seed).random((2048, 30)))
        z = np.column_stack([c.holds(made) for c in lime.parts(row, x)]).astype(float)
        return lime.fit(z, forest.predict_proba(made)[:, 1], lime.nearness(z, np.sqrt(1.125 * 30), lime.euclidean))[1:]

    for row in (x.iloc[[0]], x.iloc[[20]]):
        ours = [lime.lime_table(forest.predict_proba, row, x, samples=2048, seed=s).weights for s in range(8)]
        dice = [by_dice(row, s) for s in range(8)]
        assert np.std(ours, axis=0).mean() < 0.75 * np.std(dice, axis=0).mean()
        assert np.allclose(np.mean(ours, axis=0), np.mean(dice, axis=0), atol=0.01)


def test_it_goes_on_until_the_top_stands_and_says_so(table):
    train, box = table
    told = lime.lime_table(box, train.iloc[[3]], train)
    assert told.settled and told.samples in (512, 1024, 2048) and "both halves name the same top 2" in str(told)

    asked = []

    def level(points):  # forty parts that matter alike, and noise: which five are the top is chance
        asked.append(len(points))
        return points < 0.5, rng(len(asked)).random(len(points)) + 0.1 * (points < 0.5).sum(1)

    told = lime.lime(level, [f"w{i}" for i in range(40)], 0.5, 40, lime.cosine, 0.35, most=4096)
    assert sum(asked) == told.samples == 4096 and asked == [512, 512, 1024, 2048] and not told.settled
    assert "not settled" in str(told)


def test_a_constant_column_gets_no_weight_and_a_constant_box_none_at_all(table):
    train, box = table
    wide = train.assign(same=7, word="w")
    told = lime.lime_table(box, wide.iloc[[0]], wide, samples=512)
    assert np.abs(told.weights[4:]).max() < 1e-12 and told.names[4:] == ("same is 7", "word is w")
    told = lime.lime_table(lambda frame: np.tile([0.25, 0.75], (len(frame), 1)), wide.iloc[[0]], wide)
    assert np.allclose(told.weights, 0) and np.isnan(told.r2) and told.settled and told.samples == 512
    assert "no ups and downs" in str(told) and "R²" not in str(told)


def test_more_classes_than_two_and_a_forest_on_frames():
    train = pd.DataFrame({"a": rng(0).random(300), "yes": rng(1).random(300) > 0.5})
    y = (train["a"] * 3).astype(int)
    forest = RandomForestClassifier(20, random_state=0).fit(train, y)
    for label in range(3):
        told = lime.lime_table(forest.predict_proba, train.iloc[[0]], train, label=label, samples=512)
        assert told.top(1)[0] == told.names[0] and "a" in told.names[0] and told.names[1].startswith("yes is ")
    with pytest.raises(ValueError, match="classes are 0 to 2"):
        lime.lime_table(forest.predict_proba, train.iloc[[0]], train, label=3)
    with pytest.raises(ValueError, match="predict_proba, not predict"):
        lime.lime_table(forest.predict, train.iloc[[0]], train)


@pytest.mark.parametrize(("answer", "says"), [
    (lambda n: np.zeros(n), "predict_proba, not predict"), (lambda n: np.full((n, 2), 0.7), "sum to 1.4 to 1.4"),
    (lambda n: np.full((n, 2), np.nan), "not finite"), (lambda n: np.full((n + 1, 2), 0.5), "asked about 1 rows"),
    (lambda n: np.tile([-1.0, 2.0], (n, 1)), "no probabilities"), (lambda n: np.ones((n, 1)), "classes are 0 to 0"),
])
def test_a_box_that_gives_no_probabilities_is_refused(table, answer, says):
    train, _ = table
    with pytest.raises(ValueError, match=says):
        lime.lime_table(lambda frame: answer(len(frame)), train.iloc[[0]], train)
    with pytest.raises(ValueError, match=says):
        lime.lime_text(lambda texts: answer(len(texts)), "two words")


def test_a_row_that_cannot_be_is_refused(table):
    train, box = table
    row = train.iloc[[0]]
    for bad, says in (
            (train.iloc[:2], "One row"), (train.iloc[:0], "0 rows"), (row.assign(c="w"), "no c in the table"),
            (row.drop(columns="a"), "Lacking: 'a'"), (row.assign(a=np.nan), "missing"), (row.to_numpy(), "DataFrame")):
        with pytest.raises(ValueError, match=says):
            lime.lime_table(box, bad, train)
    with pytest.raises(ValueError, match="samples is 1"):
        lime.lime_table(box, row, train, samples=1)
    with pytest.raises(ValueError, match="missing"):
        lime.lime_table(box, row, train.assign(a=np.nan))


# Text


def test_words_are_taken_away_as_often_as_the_lime_package_does():
    z = lime.some_off(lime.even(2**14, 6, 0))
    off = (~z).sum(1)
    assert np.allclose(np.bincount(off, minlength=6)[1:] / len(z), 1 / 5, atol=0.01) and off.min() == 1
    pairs = [tuple(np.flatnonzero(~row)) for row in z[off == 2]]
    assert len(set(pairs)) == 10 and max(pairs.count(p) for p in set(pairs)) < 1.2 * min(pairs.count(p) for p in set(pairs))


def says_so(word, gain=0.4):
    def box(texts):
        p = np.array([0.1 + gain * (word in text.split()) for text in texts])
        return np.column_stack([1 - p, p])
    return box


def test_the_word_that_decides_is_found_and_goes_everywhere_at_once():
    text = "the cat, the dog and the fish"
    told = lime.lime_text(says_so("the"), text)
    assert told.top(1) == ["the"] and told.weights[0] == pytest.approx(0.4, abs=0.02) and told.answer == 0.5
    assert told.names == ("the", "cat", "dog", "and", "fish") and np.abs(told.weights[1:]).max() < 0.02
    seen = []
    lime.lime_text(lambda texts: (seen.extend(texts), says_so("the")(texts))[1], text, samples=256)
    assert " cat,  dog and  fish" in seen and all(t.count("the") in (0, 3) and "," in t for t in seen)


def test_what_a_word_is_can_be_said():
    told = lime.lime_text(says_so("{ping}"), "see {ping} for more", words=r"\w+|[{}]", samples=64)
    assert told.names == ("see", "{", "ping", "}", "for", "more")
    assert set(told.top(3)) == {"{", "ping", "}"}
    with pytest.raises(ValueError, match="no word in '!!'"):
        lime.lime_text(says_so("a"), "!!")
    with pytest.raises(ValueError, match=r"\(\?:"):
        lime.lime_text(says_so("a"), "a b", words=r"(\w+)")
    with pytest.raises(ValueError, match="a list came"):
        lime.lime_text(says_so("a"), ["a b"])


def test_one_word_alone_can_be_explained():
    told = lime.lime_text(says_so("yes"), "yes")
    assert told.names == ("yes",) and told.settled


# Pictures


def looks_at(top, left, side=8):
    def model(images):
        bright = images[:, :, top:top + side, left:left + side].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(bright), 6 * bright - 3], 1)
    return model


@pytest.mark.parametrize("channels", [1, 3])
def test_the_patch_that_a_model_looks_at_is_found(channels):
    image = torch.full((1, channels, 32, 32), 0.1)
    image[:, :, 8:16, 16:24] = 1
    squares = torch.arange(32)[:, None] // 8 * 4 + torch.arange(32) // 8
    told = lime.lime_picture(looks_at(8, 16), image, 1, squares, cover=torch.zeros(1, 1, 1, 1))
    assert told.top(1) == ["patch 6"] and told.weights[6] > 0.5 and np.abs(np.delete(told.weights, 6)).max() < 0.05
    found = lime.superpixels(image, 16)
    told = lime.lime_picture(looks_at(8, 16), image, 1, found, cover=torch.zeros(1, 1, 1, 1))
    best = torch.from_numpy(told.weights)[found].argmax().item()
    assert 8 <= best // 32 < 16 and 16 <= best % 32 < 24


def test_superpixels_are_numbered_patches_of_any_picture():
    for image in (data.picture("panda", 96), torch.rand(1, 1, 28, 28), torch.zeros(1, 3, 20, 30), torch.ones(1, 1, 16, 16)):
        patches = lime.superpixels(image)
        assert patches.shape == image.shape[2:] and patches.dtype == torch.int64
        assert patches.unique().tolist() == list(range(int(patches.max()) + 1))
        mean = lime.blurred_out(image, patches)
        for p in patches.unique()[:5]:
            assert torch.allclose(mean[0][:, patches == p], image[0][:, patches == p].mean(1, keepdim=True), atol=1e-5)


def test_hide_covers_patch_by_patch():
    image, cover = torch.rand(1, 3, 6, 8), torch.rand(1, 3, 6, 8)
    segments = torch.randint(4, (6, 8))
    z = torch.rand(5, 4) < 0.5
    hidden = lime.hide(image, segments, z, cover)
    for n, i, j in itertools.product(range(5), range(6), range(8)):
        assert torch.equal(hidden[n, :, i, j], (image if z[n, segments[i, j]] else cover)[0, :, i, j])
    assert torch.equal(lime.hide(image, segments, z.float(), cover), hidden)


def test_pictures_that_cannot_be_explained_are_refused():
    image, model = torch.rand(1, 1, 8, 8), looks_at(0, 0)
    squares = torch.arange(8)[:, None] // 4 * 2 + torch.arange(8) // 4
    for bad, target, patches, says in (
            (image * 255, 1, squares, r"\[0, 1\]"), (image.repeat(2, 1, 1, 1), 1, squares, "One picture"),
            (image, 2, squares, "from 0 to 1"), (image, 1, squares[:4], "shapes"), (image, 1, squares * 2, "none left out"),
            (image, 1, squares.float(), "whole numbers")):
        with pytest.raises(ValueError, match=says):
            lime.lime_picture(model, bad, target, patches)
    with pytest.raises(ValueError, match="train mode"):
        lime.lime_picture(torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Flatten()).train(), image, 1, squares)
    assert contract.check_eval(model) is None


# Many explanations, and lies


def covered(weights, cases):
    return np.sqrt(np.abs(weights).sum(0))[(weights[list(cases)] != 0).any(0)].sum()


def test_pick_is_greedy_and_within_its_guarantee_of_the_best():
    for seed in range(30):
        weights = rng(seed).normal(size=(8, 10)) * (rng(seed + 99).random((8, 10)) < 0.25)
        chosen = lime.pick(weights, 3)
        best = max(covered(weights, c) for c in itertools.combinations(range(8), 3))
        assert covered(weights, chosen) >= (1 - 1 / np.e) * best - 1e-9
        assert covered(weights, chosen[:1]) == pytest.approx(max(covered(weights, [i]) for i in range(8)))
        assert len(set(lime.pick(weights, 8))) == 8 and lime.pick(-weights, 3) == chosen
    for budget in (0, 9):
        with pytest.raises(ValueError, match="goes from 1 to 8"):
            lime.pick(weights, budget)


def test_the_liar_hangs_on_every_column_and_lime_sees_none():
    train = pd.DataFrame(np.array(list(itertools.product([0, 1], repeat=3))), columns=list("abc"))
    for i in range(8):
        row = train.iloc[[i]]
        told = lime.lime_table(lime.liar, row, train, samples=4096)
        assert np.abs(told.weights).max() < 0.05
        for name in train:
            assert lime.liar(row.assign(**{name: 1 - row[name]}))[0, 1] == 1 - lime.liar(row)[0, 1]


def test_a_disguise_answers_people_one_way_and_lime_another(table):
    train, _ = table

    def says(column, value):
        return lambda frame: np.column_stack([frame[column] != value, frame[column] == value]).astype(float)

    box = lime.disguised(train, says("d", "yes"), says("c", "x"))
    people = (box(train)[:, 1] == says("d", "yes")(train)[:, 1]).mean()
    made = lime.around(train, rng(8).random((1000, 4)))
    explainers = (box(made)[:, 1] == says("c", "x")(made)[:, 1]).mean()
    assert people > 0.9 and explainers > 0.7
    assert lime.disguised(train, says("d", "yes"), says("c", "x"))(made).tolist() == box(made).tolist()
