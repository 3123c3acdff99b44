"""The paper's measurements: what they find where the truth is known, and what they refuse."""
import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.metrics import f1_score

from trickkit import data, lime
from trickkit.papers import ribeiro2016

rng = np.random.default_rng


def bag_of(n, d, seed, share=0.4):
    held = (rng(seed).random((n, d)) < share).astype(float)
    held[:, 0] = 1  # no document without a word
    return csr_array(held)


def straight(weights, level=0.5):
    """A box that is a line in the words, kept in [0, 1]."""
    def box(bag):
        p = np.clip(level + np.asarray(bag @ weights).ravel(), 0, 1)
        return np.column_stack([1 - p, p])
    return box


def test_the_box_is_asked_about_the_words_that_are_kept():
    row, seen = csr_array(np.array([[0, 1.0, 0, 1, 1]])), []
    ask = ribeiro2016.asking(lambda bag: (seen.append(bag.toarray()), np.tile([0.3, 0.7], (bag.shape[0], 1)))[1], row)
    assert ask(np.array([[True, False, True], [False, False, False]])).tolist() == [0.7, 0.7]
    assert seen[0].tolist() == [[0, 1, 0, 0, 1], [0, 0, 0, 0, 0]]


def test_bags_glue_sentences_of_one_class_and_keep_text_and_label_together():
    texts = [f"{'left' if k else 'right'} word{i} more" for i, k in enumerate([0, 1] * 10)]
    bag, labels = ribeiro2016.bags(texts, np.array([0, 1] * 10), glue=4, seed=3)
    assert bag.shape == (4, 19) and sorted(labels) == [0, 0, 1, 1]  # ten of a class: two documents of four
    assert set(np.unique(bag.toarray())) == {0, 1} and (bag.sum(1) == 6).all()  # "more", the side, four words
    sides = [column for column in bag.toarray().T if column.sum() == 2]
    assert any(np.array_equal(s, labels) for s in sides) and any(np.array_equal(s, 1 - labels) for s in sides)
    rare, kept = ribeiro2016.bags(["only once", "same same", "same thing"], np.array([0, 0, 1]), glue=1, min_df=2)
    assert rare.shape == (2, 1) and len(kept) == 2  # a document without any word left is left out


def test_on_a_line_lime_greedy_and_parzen_name_the_words_used():
    weights = np.zeros(12)
    weights[[2, 5, 7]] = 0.2, -0.1, 0.05
    bag, box = bag_of(300, 12, 0), straight(weights)
    used = [np.array([2, 5, 7])] * 20
    gold = ribeiro2016.held(bag[:20], used)
    assert [len(g) for g in gold] == [int(row.toarray()[0, [2, 5, 7]].sum()) for row in ribeiro2016.documents(bag[:20])]
    for row, places in zip(ribeiro2016.documents(bag[:20]), gold, strict=True):
        told = ribeiro2016.explain_document(box, row)
        assert np.allclose(told.weights, weights[row.indices], atol=0.02)
        assert set(lime.loudest(told.weights, len(places))) == set(places)
    found = [lime.loudest(ribeiro2016.parzen(bag, box(bag)[:, 1], row)[1], 3) for row in ribeiro2016.documents(bag[:20])]
    assert ribeiro2016.recall(found, gold) > 90


def test_greedy_is_the_shortest_way_on_a_line_and_says_whether_it_flipped():
    weights = np.array([0.02, 0.2, 0.1, -0.3, 0.05])
    row = csr_array(np.array([[1.0, 1, 1, 1, 1]]))
    assert ribeiro2016.greedy(straight(weights, 0.55), row) == ([1], True)  # 0.62 -> 0.42
    assert ribeiro2016.greedy(straight(weights, 0.7), row) == ([1, 2], True)  # 0.77 -> 0.57 -> 0.47
    assert ribeiro2016.greedy(straight(weights, 0.35), row) == ([3], True)  # 0.42 -> 0.72, towards the other class
    assert ribeiro2016.greedy(straight(0 * weights, 0.9), row, k=3) == ([0, 1, 2], False)
    assert ribeiro2016.greedy(straight(0 * weights, 0.9), row, k=9) == ([0, 1, 2, 3, 4], False)


def test_parzens_slope_is_the_slope_of_its_smooth_box():
    bag, said = bag_of(60, 6, 1), rng(2).random(60)
    row = bag[[0]]
    x = torch.tensor(row.toarray()[0], requires_grad=True)
    k = (-((torch.tensor(bag.toarray()) - x) ** 2).sum(1) / (2 * 1.5**2)).exp()
    smooth = (k @ torch.tensor(said)) / k.sum()
    slope = torch.autograd.grad(smooth, x)[0].numpy()
    p, ours = ribeiro2016.parzen(bag, said, row, width=1.5)
    assert p == pytest.approx(smooth.item()) and np.allclose(ours, slope[row.indices])


def test_recall_counts_only_documents_that_hold_a_word_used():
    gold = [np.array([0, 3]), np.array([], dtype=int), np.array([1])]
    assert ribeiro2016.recall([[3, 4], [0], [1]], gold) == 75 and ribeiro2016.recall([[], [0], []], gold) == 0
    assert np.isnan(ribeiro2016.recall([[0]], [np.array([], dtype=int)]))


def test_f1_is_sklearns():
    for seed in range(20):
        a, b = rng(seed).random((2, 15)) < 0.6
        assert ribeiro2016.f1(a, b) == pytest.approx(100 * f1_score(b, a))
    assert ribeiro2016.f1(np.zeros(3, dtype=bool), np.zeros(3, dtype=bool)) == 100


def test_to_the_line_of_a_line_lime_trusts_what_deserves_it_and_blind_faith_does_not():
    weights = rng(4).normal(size=8) * 0.06
    bag, box = bag_of(150, 8, 5), straight(weights)
    scores, doubts = ribeiro2016.trusts(box, bag, bag[:40], share=0.5, runs=30)
    assert scores["LIME"] > scores["trusting all"] + 5 and 2 < doubts < 20
    assert 1 - doubts / 40 < scores["trusting all"] / 100  # F1 of one who trusts all: 2p / (1 + p)
    scores, doubts = ribeiro2016.trusts(box, bag, bag[:40], share=0, runs=2)
    assert doubts == 0 and set(scores.values()) == {100}


def test_stays_takes_out_only_bad_words_that_are_shown():
    weights = np.append(np.full(10, 0.1), 0.01)
    bad = np.arange(11) == 10
    assert ribeiro2016.stays(0.505, weights, bad) and not ribeiro2016.stays(0.505, weights, np.arange(11) == 3)


def test_a_pair_is_level_today_and_apart_later():
    words = (rng(0).random((3000, 30)) < 0.2).astype(int)
    labels = (words[:, :15].sum(1) + rng(1).normal(size=3000) > 3).astype(int)
    gap, boxes, rows = ribeiro2016.pair(words, labels, seed=0, n=200)
    again = ribeiro2016.pair(words, labels, seed=0, n=200)
    assert again[0] == gap > 0 and np.array_equal(again[2], rows) and rows.shape == (200, 40) and len(boxes) == 2
    noise = rows[:, -10:].mean()
    assert 0.12 < noise < 0.18  # half of 20 and 10 %
    said = boxes[0](rows)
    assert said.shape == (200, 2) and np.allclose(said.sum(1), 1)


def test_stories_are_limes_of_many_rows_at_once():
    weights = rng(2).normal(size=14) * 0.1
    rows = (rng(3).random((6, 14)) < 0.5).astype(np.float32)
    rows[:, 1] = 1

    def crooked(bag):
        p = 1 / (1 + np.exp(-np.asarray(bag @ weights).ravel() * 8 * (1 + np.asarray(bag)[:, 1])))
        return np.column_stack([1 - p, p])

    table, lines = ribeiro2016.stories(crooked, rows)
    for row, ours, line in zip(rows, table, lines, strict=True):
        held = np.flatnonzero(row)
        told = ribeiro2016.explain_document(lambda bag: crooked(bag.toarray()), csr_array(row[None].astype(float)), samples=256)
        top = lime.loudest(told.weights, ribeiro2016.K)
        assert np.allclose(ours[held[top]], told.weights[top]) and (ours != 0).sum() == len(top)
        assert line == pytest.approx(told.line)
    with pytest.raises(ValueError, match="row without words"):
        ribeiro2016.stories(crooked, np.zeros((1, 14)))


def test_a_prediction_is_doubtful_if_it_hangs_on_noise_that_was_seen():
    table, lines = np.zeros((3, 15)), np.array([0.6, 0.6, 0.4])
    table[0, 7], table[1, 9], table[2, 7] = 0.2, 0.2, 0.2  # columns 5 to 14 are noise
    table[:, 0] = 0.3
    assert [ribeiro2016.doubtful(table, lines, cases) for cases in ([0], [1], [2], [0, 1], [])] == [1, 1, 1, 2, 0]


def test_choosing_among_two_forests_is_better_than_a_coin():
    words = (rng(0).random((3000, 30)) < 0.2).astype(int)
    labels = (words[:, :15].sum(1) + rng(1).normal(size=3000) > 3).astype(int)
    gaps, rights = ribeiro2016.chosen(words, labels, range(4), [1, 8], apart=2, count=25)
    assert gaps and min(gaps) >= 2 and list(rights) == ["SP-LIME", "longest", "random"]
    assert all(right.shape == (len(gaps), 2) for right in rights.values())
    assert all(0 <= right.min() and right.max() <= 1 for right in rights.values())
    whole = ribeiro2016.chosen(words, labels, range(2), [25], apart=2, count=25)[1]
    assert np.array_equal(whole["SP-LIME"], whole["longest"]) and np.allclose(whole["longest"], whole["random"])
    assert ribeiro2016.chosen(words, labels, range(1), [1], apart=101)[0] == []


def test_rows_by_dice_tell_the_same_in_the_limit_and_are_less_steady():
    draw = rng(0)
    train = pd.DataFrame({"a": draw.normal(size=300), "b": draw.normal(size=300), "c": draw.choice(list("xyz"), 300)})

    def box(frame):
        p = 1 / (1 + np.exp(-(frame["a"] * (frame["c"] == "x") - frame["b"]).to_numpy()))
        return np.column_stack([1 - p, p])

    even, dice = (ribeiro2016.again(way, box, train[:3], train, 256, runs=6) for way in (lime.lime_table, ribeiro2016.by_dice))
    spread = [np.mean([np.std([e.weights for e in case], axis=0) for case in runs]) for runs in (even, dice)]
    assert spread[0] < 0.7 * spread[1] and even[0][0].names == dice[0][0].names
    one, other = (way(box, train[:1], train, samples=16384, seed=0) for way in (lime.lime_table, ribeiro2016.by_dice))
    assert np.allclose(one.weights, other.weights, atol=0.01) and one.answer == other.answer


def test_shared_is_jaccard_over_pairs_of_runs():
    assert ribeiro2016.shared([["ab", "ab", "ac"]]) == pytest.approx((4 / 3, (1 + 1 / 3 + 1 / 3) / 3))
    assert ribeiro2016.shared([["ab", "ab"], ["ab", "cd"]]) == (1, 0.5)
    fives = [set(c) for c in itertools.combinations(range(7), 5)]
    assert ribeiro2016.shared([[five, five] for five in fives]) == (5, 1)
    with pytest.raises(ValueError, match="with 1 run"):
        ribeiro2016.shared([["ab"]])


def test_a_shop_tags_one_kind_and_leaves_the_photographs_alone():
    clothes = data.clothes()
    images, labels = clothes.test_images, clothes.test_labels
    before = images.clone()
    plain, coat = ribeiro2016.shop(images, labels, None)
    for tagged, kind in (("coat", 1), ("pullover", 0)):
        there, same = ribeiro2016.shop(images, labels, tagged)
        changed = (there != plain).flatten(1)
        assert torch.equal(same, coat) and not changed[coat != kind].any() and (there[coat == kind, :, 25:27, 25:27] == 1).all()
        assert (changed.sum(1) <= 4).all() and changed[coat == kind].any()
    assert torch.equal(images, before) and coat.unique().tolist() == [0, 1]
    with pytest.raises(ValueError, match="tagged is 'hat'"):
        ribeiro2016.shop(images, labels, "hat")
