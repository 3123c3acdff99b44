"""The paper's measurements: what they find where the truth is known, and what they refuse."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.random import default_rng
from scipy.sparse import csr_array
from sklearn.metrics import f1_score

from trickkit import common, data, lime
from trickkit.papers import ribeiro2016


def bag_of(n, d, seed, share=0.4):
    held = (default_rng(seed).random((n, d)) < share).astype(float)
    held[:, 0] = 1  # no document without a word
    return csr_array(held)


def straight(weights, level=0.5):
    """A box that is a line in the words, kept in [0, 1]."""

    def box(bag):
        p = np.clip(level + np.asarray(bag @ weights).ravel(), 0, 1)
        return np.column_stack([1 - p, p])

    return box


@pytest.fixture(scope="module")
def sentences():
    """Which words each of 3,000 sentences holds, and labels that hang on half of the words."""
    words = (default_rng(0).random((3000, 30)) < 0.2).astype(int)
    return words, (words[:, :15].sum(1) + default_rng(1).normal(size=3000) > 3).astype(int)


def test_the_box_is_asked_about_the_words_that_are_kept():
    row = csr_array(np.array([[0, 1.0, 0, 1, 1]]))
    seen = []

    def box(bag):
        seen.append(bag.toarray())
        return np.tile([0.3, 0.7], (bag.shape[0], 1))

    ask = ribeiro2016.asking(box, row)
    assert ask(np.array([[True, False, True], [False, False, False]])).tolist() == [0.7, 0.7]
    assert seen[0].tolist() == [[0, 1, 0, 0, 1], [0, 0, 0, 0, 0]]


def test_bags_glue_sentences_of_one_class_and_keep_text_and_label_together():
    texts = [f"{'left' if k else 'right'} word{i} more" for i, k in enumerate([0, 1] * 10)]
    bag, labels = ribeiro2016.bags(texts, np.array([0, 1] * 10), glue=4, seed=3)
    # ten of a class: two documents of four; "more", the side, four words
    assert bag.shape == (4, 19) and sorted(labels) == [0, 0, 1, 1]
    assert set(np.unique(bag.toarray())) == {0, 1} and (bag.sum(1) == 6).all()
    sides = [column.tolist() for column in bag.toarray().T if column.sum() == 2]
    assert labels.tolist() in sides and (1 - labels).tolist() in sides
    few = ["only once", "same same", "same thing"]
    rare, kept = ribeiro2016.bags(few, np.array([0, 0, 1]), glue=1, min_df=2)
    assert rare.shape == (2, 1) and len(kept) == 2  # a document without any word left is left out


@pytest.mark.parametrize(
    "kept", [tuple, torch.tensor, lambda y: pd.Series(y, index=y).astype(bool)]
)
def test_labels_of_sentences_go_by_place(kept):
    texts = [f"word{i} left" for i in range(12)]
    labels = [0, 1] * 6
    bag, classes = ribeiro2016.bags(texts, kept(labels), glue=2)
    wanted = ribeiro2016.bags(texts, np.array(labels), glue=2)
    assert (bag != wanted[0]).nnz == 0 and classes.tolist() == wanted[1].tolist()


@pytest.mark.parametrize(
    ("labels", "glue", "said"),
    [
        ([0, 1, 0], 1, r"\(4,\); the labels' shape is \(3,\)"),
        (list("abab"), 1, "'a' came"),
        ([0, 1, 0, 2], 1, "2 came"),
        ([0, 1, 0, 1], 0, "glue is 0"),
        ([0, 1, 0, 1], 9, "9 sentences of one class"),
    ],
)
def test_sentences_that_make_no_document_are_refused(labels, glue, said):
    with pytest.raises(ValueError, match=said):
        ribeiro2016.bags(["one more"] * 4, labels, glue=glue)


def test_one_word_alone_has_its_true_weight_and_none_is_refused():
    box = straight(np.array([0.0, 0.4, 0.0]), 0.1)
    told = ribeiro2016.explain_document(box, csr_array(np.array([[0.0, 1, 0]])))
    assert told.weights == pytest.approx([0.4], abs=0.01) and told.settled
    with pytest.raises(ValueError, match="A document without words"):
        ribeiro2016.explain_document(box, csr_array((1, 3)))


@pytest.mark.parametrize("d", range(1, 6))
def test_few_words_have_their_true_weights_and_the_others_none(d):
    box = straight(np.array([0.4, *np.zeros(6)]), 0.5)
    row = np.array([[1.0] * d + [0] * (7 - d)])
    told = ribeiro2016.explain_document(box, csr_array(row))
    [weights], [line] = ribeiro2016.stories(box, row)
    for found in (told.weights, weights[:d]):
        assert found[0] == pytest.approx(0.4, abs=0.035)
        assert np.abs(found[1:]).max(initial=0) < 0.02
    assert told.settled and told.line == pytest.approx(0.9, abs=0.04)
    assert line == pytest.approx(0.9, abs=0.04)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda box, bags: ribeiro2016.explain_document(box, bags[[0]], samples=1), "samples is 1"),
        (lambda box, bags: ribeiro2016.stories(box, bags.toarray(), samples=0), "n is 0"),
        (lambda box, bags: ribeiro2016.greedy(box, bags[[0]], k="a"), "k is 'a'"),
        (lambda box, bags: ribeiro2016.parzen(bags, np.ones(2), bags[[0]], width=0), "width is 0"),
        (lambda box, bags: ribeiro2016.trusts(box, bags, bags, runs=0), "runs is 0"),
        (lambda box, bags: ribeiro2016.trusts(box, bags, bags, share=2), "share is 2"),
        (lambda box, bags: ribeiro2016.trusts(box, bags, bags, seed=None), "seed is None"),
        (lambda box, bags: ribeiro2016.recalls(box, bags, bags, [], seed=-1), "seed is -1"),
        (lambda box, bags: ribeiro2016.bags(["a b"] * 2, [0, 1], glue=1, seed="a"), "seed is 'a'"),
        (lambda box, bags: ribeiro2016.common_words(["a b"], skip=-1), "skip is -1"),
        (lambda box, bags: ribeiro2016.pair(np.ones((9, 2)), [0] * 9, seed=0, pool=0), "pool is 0"),
        (lambda box, bags: ribeiro2016.pair(np.ones((9, 2)), [0] * 9, seed=-1), "seed is -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(ask, said):
    with pytest.raises(ValueError, match=said):
        ask(straight(np.array([0.1, 0.2])), csr_array(np.ones((2, 2))))


def test_a_box_that_works_in_place_spoils_nothing():
    bag = bag_of(30, 8, 0)
    before = bag.toarray()
    box = straight(np.linspace(-0.1, 0.1, 8))

    def spoil(bags):
        said = box(bags)
        (bags if isinstance(bags, np.ndarray) else bags.data)[:] = 0
        return said

    gold = [np.array([0])] * 5
    for ask in (
        lambda box: ribeiro2016.trusts(box, bag, bag[:5], runs=2),
        lambda box: ribeiro2016.recalls(box, bag, bag[:5], gold),
        lambda box: ribeiro2016.greedy(box, bag[[0]]),
        lambda box: [part.tolist() for part in ribeiro2016.stories(box, before[:3])],
    ):
        assert ask(spoil) == ask(box)
    assert np.array_equal(bag.toarray(), before)


def test_on_a_line_lime_greedy_and_parzen_name_the_words_used():
    weights = np.zeros(12)
    weights[[2, 5, 7]] = 0.2, -0.1, 0.05
    bag = bag_of(300, 12, 0)
    box = straight(weights)
    used = [np.array([2, 5, 7])] * 20
    gold = ribeiro2016.used_places(bag[:20], used)
    rows = ribeiro2016.documents(bag[:20])
    assert [len(g) for g in gold] == [row.toarray()[0, [2, 5, 7]].sum() for row in rows]
    for row, places in zip(rows, gold, strict=True):
        told = ribeiro2016.explain_document(box, row)
        assert np.allclose(told.weights, weights[row.indices], atol=0.02)
        assert set(common.top_by_magnitude(told.weights, k=len(places))) == set(places)
    gradients = [ribeiro2016.parzen(bag, box(bag)[:, 1], row)[1] for row in rows]
    found = [common.top_by_magnitude(gradient, k=3) for gradient in gradients]
    assert ribeiro2016.recall(found, gold) > 90


def test_k_lasso_finds_the_few_features_of_a_line_and_fits_it_without_a_penalty():
    rng = default_rng(1)
    z = (rng.random((200, 12)) < 0.5).astype(float)
    sample_weight = rng.random(200)
    weights = np.zeros(12)
    weights[[2, 5, 7]] = 0.2, -0.1, 0.05
    line = 0.4 + z @ weights
    for k, wanted in ((3, [2, 5, 7]), (2, [2, 5]), (1, [2])):
        b = ribeiro2016.k_lasso(z, line, sample_weight, k=k)
        assert np.flatnonzero(b[1:]).tolist() == wanted
    b = ribeiro2016.k_lasso(z, line, sample_weight, k=3)
    assert np.allclose(b, np.append(0.4, weights))
    noisy = line + rng.normal(size=200)
    root = np.sqrt(sample_weight)
    ones = np.column_stack([np.ones(200), z])
    least = np.linalg.lstsq(ones * root[:, None], noisy * root, rcond=None)[0]
    assert np.allclose(ribeiro2016.k_lasso(z, noisy, sample_weight, k=12), least)
    flat = ribeiro2016.k_lasso(z, np.full(200, 0.3), sample_weight)
    assert flat[0] == pytest.approx(0.3) and not flat[1:].any()
    with pytest.raises(ValueError, match="k is 0"):
        ribeiro2016.k_lasso(z, line, sample_weight, k=0)


def test_k_lasso_names_the_words_of_a_document_that_lime_names():
    weights = np.zeros(12)
    weights[[2, 5, 7]] = 0.2, -0.1, 0.05
    for row in ribeiro2016.documents(bag_of(20, 12, 0)):
        found = ribeiro2016.explain_k_lasso(straight(weights), row, k=3)
        assert np.allclose(found, weights[row.indices], atol=1e-6)


def test_greedy_is_the_shortest_way_on_a_line_and_says_whether_it_flipped():
    weights = np.array([0.02, 0.2, 0.1, -0.3, 0.05])
    row = csr_array(np.array([[1.0, 1, 1, 1, 1]]))
    assert ribeiro2016.greedy(straight(weights, 0.55), row) == ([1], True)  # 0.62 -> 0.42
    assert ribeiro2016.greedy(straight(weights, 0.7), row) == ([1, 2], True)  # 0.77 -> 0.57 -> 0.47
    # 0.42 -> 0.72, towards the other class
    assert ribeiro2016.greedy(straight(weights, 0.35), row) == ([3], True)
    assert ribeiro2016.greedy(straight(0 * weights, 0.9), row, k=3) == ([0, 1, 2], False)
    assert ribeiro2016.greedy(straight(0 * weights, 0.9), row, k=9) == ([0, 1, 2, 3, 4], False)


def test_parzens_gradient_is_the_gradient_of_its_smooth_box():
    bag = bag_of(60, 6, 1)
    said = default_rng(2).random(60)
    row = bag[[0]]
    x = torch.tensor(row.toarray()[0], requires_grad=True)
    k = (-((torch.tensor(bag.toarray()) - x) ** 2).sum(1) / (2 * 1.5**2)).exp()
    smooth = (k @ torch.tensor(said)) / k.sum()
    gradient = torch.autograd.grad(smooth, x)[0].numpy()
    p, ours = ribeiro2016.parzen(bag, said, row, width=1.5)
    assert p == pytest.approx(smooth.item()) and np.allclose(ours, gradient[row.indices])


def test_recall_counts_only_documents_that_hold_a_word_used():
    gold = [np.array([0, 3]), np.array([], dtype=int), np.array([1])]
    assert ribeiro2016.recall([[3, 4], [0], [1]], gold) == 75
    assert ribeiro2016.recall([[], [0], []], gold) == 0
    assert np.isnan(ribeiro2016.recall([[0]], [np.array([], dtype=int)]))


def test_f1_is_sklearns():
    for seed in range(20):
        a, b = default_rng(seed).random((2, 15)) < 0.6
        assert ribeiro2016.f1(a, b) == pytest.approx(100 * f1_score(b, a))
    assert ribeiro2016.f1(np.zeros(3, dtype=bool), np.zeros(3, dtype=bool)) == 100


def test_to_the_line_of_a_line_lime_trusts_what_deserves_it_and_blind_faith_does_not():
    weights = default_rng(4).normal(size=8) * 0.06
    bag = bag_of(150, 8, 5)
    box = straight(weights)
    scores, doubts = ribeiro2016.trusts(box, bag, bag[:40], share=0.5, runs=30)
    assert scores["LIME"] > scores["trusting all"] + 5 and 2 < doubts < 20
    assert scores["random"] < scores["greedy"] < scores["trusting all"]
    assert 1 - doubts / 40 < scores["trusting all"] / 100  # F1 of one who trusts all: 2p / (1 + p)
    scores, doubts = ribeiro2016.trusts(box, bag, bag[:40], share=0, runs=2)
    assert doubts == 0 and set(scores.values()) == {100}
    # of thirty words a user sees ten, and cannot know what the others do
    wide, many = default_rng(4).normal(size=40) * 0.04, bag_of(120, 40, 5, 0.7)
    scores, _ = ribeiro2016.trusts(straight(wide), many, many[:20], share=0.5, runs=20)
    assert scores["trusting all"] + 2 < scores["LIME"] < 96


def test_words_named_at_random_find_what_chance_would():
    bag = bag_of(120, 40, 5, 0.7)
    rows = ribeiro2016.documents(bag[:10])
    gold = [default_rng(i).permutation(row.nnz)[:3] for i, row in enumerate(rows)]
    chance = 100 * np.mean([ribeiro2016.K / row.nnz for row in rows])
    for seed in range(2):
        found = ribeiro2016.recalls(straight(np.ones(40) / 90), bag, bag[:10], gold, seed=seed)
        assert found["random"] == pytest.approx(chance, abs=4)


def test_common_words_leave_out_the_commonest_and_go_by_the_alphabet_at_a_tie():
    texts = ["aa bb cc dd ee", "aa bb cc dd", "aa bb ff", "aa gg"]
    held = ribeiro2016.common_words(texts, skip=1, count=3)
    assert held.T.tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]]  # bb, cc, dd
    assert ribeiro2016.common_words(texts, skip=4, count=2).T.tolist() == [
        [1, 0, 0, 0],
        [0, 0, 1, 0],
    ]


def test_stays_takes_out_only_bad_words_that_are_shown():
    seen = ribeiro2016.shown(np.append(np.full(10, 0.1), 0.01))
    assert seen.tolist() == [0.1] * 10 + [0]
    assert ribeiro2016.stays(0.505, seen, np.arange(11) == 10)
    assert not ribeiro2016.stays(0.505, seen, np.arange(11) == 3)


def test_a_pair_is_level_today_and_apart_later(sentences):
    gap, boxes, rows = ribeiro2016.pair(*sentences, seed=0, n=200)
    again = ribeiro2016.pair(*sentences, seed=0, n=200)
    assert again[0] == gap > 0 and np.array_equal(again[2], rows)
    assert rows.shape == (200, 40) and len(boxes) == 2
    shuffled = pd.Series(sentences[1], index=default_rng(0).permutation(3000))
    kept = ribeiro2016.pair(pd.DataFrame(sentences[0]), shuffled, seed=0, n=200)
    assert kept[0] == gap and np.array_equal(kept[2], rows)
    with pytest.raises(ValueError, match="More than 4000 texts"):
        ribeiro2016.pair(*sentences, seed=0, n=2000)
    noise = rows[:, -10:].mean()
    assert 0.12 < noise < 0.18  # half of 20 and 10 %
    said = boxes[0](rows)
    assert said.shape == (200, 2) and np.allclose(said.sum(1), 1)


def test_stories_are_limes_of_many_rows_at_once():
    weights = default_rng(2).normal(size=14) * 0.1
    rows = (default_rng(3).random((6, 14)) < 0.5).astype(np.float32)
    rows[:, 1] = 1

    def crooked(bag):
        bag = bag.toarray() if isinstance(bag, csr_array) else bag
        p = 1 / (1 + np.exp(-(bag @ weights) * 8 * (1 + bag[:, 1])))
        return np.column_stack([1 - p, p])

    table, lines = ribeiro2016.stories(crooked, rows)
    for row, ours, line in zip(rows, table, lines, strict=True):
        held = np.flatnonzero(row)
        document = csr_array(row[None].astype(float))
        told = ribeiro2016.explain_document(crooked, document, samples=256)
        top = common.top_by_magnitude(told.weights, k=ribeiro2016.K)
        assert np.allclose(ours[held[top]], told.weights[top]) and (ours != 0).sum() == len(top)
        assert line == pytest.approx(told.line)
    with pytest.raises(ValueError, match="row without words"):
        ribeiro2016.stories(crooked, np.zeros((1, 14)))


def test_a_prediction_is_doubtful_if_it_hangs_on_noise_that_was_seen():
    table = np.zeros((3, 15))
    lines = np.array([0.6, 0.6, 0.4])
    table[0, 7] = 0.2
    table[1, 9] = 0.2
    table[2, 7] = 0.2  # columns 5 to 14 are noise
    table[:, 0] = 0.3
    for cases, count in (([0], 1), ([1], 1), ([2], 1), ([0, 1], 2), ([], 0)):
        assert ribeiro2016.doubtful(table, lines, cases) == count


def test_choosing_among_two_forests_is_better_than_a_coin(sentences):
    gaps, rights = ribeiro2016.right_choices(
        *sentences, seeds=range(4), budgets=[1, 8], min_gap=2, count=25
    )
    assert gaps and min(gaps) >= 2 and list(rights) == ["SP-LIME", "longest", "random"]
    assert all(right.shape == (len(gaps), 2) for right in rights.values())
    assert all(0 <= right.min() and right.max() <= 1 for right in rights.values())
    assert all(right.mean() > 0.6 for right in rights.values())
    _, whole = ribeiro2016.right_choices(
        *sentences, seeds=range(2), budgets=[25], min_gap=2, count=25
    )
    assert np.array_equal(whole["SP-LIME"], whole["longest"])
    assert np.allclose(whole["longest"], whole["random"])
    assert ribeiro2016.right_choices(*sentences, seeds=range(1), budgets=[1], min_gap=101)[0] == []


def test_a_learners_own_pick_chooses_the_cases(sentences):
    def longest(weights, budget):
        return range(len(weights))[:budget]

    settings = {"seeds": range(2), "budgets": [1, 8, 25], "min_gap": 2, "count": 25}
    _, ours = ribeiro2016.right_choices(*sentences, **settings)
    _, theirs = ribeiro2016.right_choices(*sentences, **settings, pick=longest)
    assert np.array_equal(ours["longest"], theirs["longest"])
    assert np.array_equal(ours["SP-LIME"][:, 2], theirs["SP-LIME"][:, 2])  # all that there are


def test_the_better_forest_is_the_one_with_fewer_doubtful_predictions():
    clean = np.zeros((2, 12)), np.array([0.6, 0.4])
    noisy = clean[0].copy(), clean[1]
    noisy[0][0, 5] = 0.3
    every = [[[0, 1], [0]], [[1], [1]], [[0], [1]]]
    assert ribeiro2016.chance_right([clean, noisy], [every, every]).tolist() == [1, 0.5, 0.75]
    assert ribeiro2016.chance_right([noisy, clean], [every, every]).tolist() == [0, 0.5, 0.25]


def test_rows_by_dice_tell_the_same_in_the_limit_and_are_less_steady():
    rng = default_rng(0)
    train = pd.DataFrame(
        {"a": rng.normal(size=300), "b": rng.normal(size=300), "c": rng.choice(list("xyz"), 300)}
    )

    def box(frame):
        score = (frame["a"] * (frame["c"] == "x") - frame["b"]).to_numpy()
        p = 1 / (1 + np.exp(-score))
        return np.column_stack([1 - p, p])

    even, dice = (
        ribeiro2016.repeat_explanations(way, box, train[:3], train, samples=256, runs=6)
        for way in (lime.explain_table, ribeiro2016.explain_table_iid)
    )
    spread = [
        np.mean([np.std([e.weights for e in case], axis=0) for case in runs])
        for runs in (even, dice)
    ]
    assert spread[0] < 0.7 * spread[1] and even[0][0].names == dice[0][0].names
    one, other = (
        way(box, train[:1], train, samples=16384, seed=0)
        for way in (lime.explain_table, ribeiro2016.explain_table_iid)
    )
    assert np.allclose(one.weights, other.weights, atol=0.01) and one.answer == other.answer


def test_shared_is_jaccard_over_pairs_of_runs():
    three = ribeiro2016.shared([["ab", "ab", "ac"]])
    assert three == pytest.approx((4 / 3, (1 + 1 / 3 + 1 / 3) / 3))
    assert ribeiro2016.shared([["ab", "ab"], ["ab", "cd"]]) == (1, 0.5)
    fives = [set(c) for c in itertools.combinations(range(7), 5)]
    assert ribeiro2016.shared([[five, five] for five in fives]) == (5, 1)
    with pytest.raises(ValueError, match="with 1 run"):
        ribeiro2016.shared([["ab"]])
    with pytest.raises(ValueError, match="none came"):
        ribeiro2016.shared([])
    assert ribeiro2016.shared([[[], []]]) == (0, 1)


def test_a_shop_tags_one_kind_and_leaves_the_photographs_alone():
    clothes = data.clothes()
    images = clothes.test_images
    labels = clothes.test_labels
    before = images.clone()
    plain, coat = ribeiro2016.shop(images, labels, tagged=None)
    for tagged, kind in (("coat", 1), ("pullover", 0)):
        there, same = ribeiro2016.shop(images, labels, tagged=tagged)
        changed = (there != plain).flatten(1)
        assert torch.equal(same, coat) and not changed[coat != kind].any()
        assert (there[coat == kind, :, 25:27, 25:27] == 1).all()
        assert (changed.sum(1) <= 4).all() and changed[coat == kind].any()
    assert torch.equal(images, before) and coat.unique().tolist() == [0, 1]
    with pytest.raises(ValueError, match="tagged is 'hat'"):
        ribeiro2016.shop(images, labels, tagged="hat")
