import functools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from trickkit import activations, models, probes

TEXTS = ["And the LORD said unto my father.", "The Father said: And behold!", "Unix is an OS."]


@functools.cache
def net():
    return models.minilm()


def test_levels():
    assert [probes.level(n) for n in (0, 1, 6)] == ["norm", "layers.0", "layers.5"]
    with pytest.raises(ValueError, match="at least 0"):
        probes.level(-1)


def test_tokens_are_read_as_they_stand_one_sentence_at_a_time():
    tokens, [at3] = probes.read_tokens(net(), TEXTS, probes.level(3))
    for number, text in enumerate(TEXTS):
        ids = net().tokenizer(text)
        [alone] = activations.read(net(), ids, "layers.2")
        here = tokens.sentence == number
        assert tokens.ids[here].tolist() == ids[0, 1:-1].tolist()
        assert torch.allclose(at3[here], alone[0, 1:-1].cpu(), atol=1e-4)


def test_cased_words_find_the_tokens():
    words = probes.cased_words(TEXTS, net().tokenizer)
    tokens, _ = probes.read_tokens(net(), TEXTS, "norm")
    pieces = [net().tokenizer.pieces[i] for i in tokens.ids[words["row"].tolist()].tolist()]
    assert pieces == words["word"].tolist()
    first = words[words["sentence"] == 0]
    assert first["word"].tolist() == ["the", "lord", "said", "unto", "my", "father"]
    assert first["capital"].tolist() == [False, True, False, False, False, False]
    assert "unix" not in set(words["word"])  # begins its sentence
    assert probes.sentences_of_both(words) == [1]  # Father, and of the first sentence father
    with pytest.raises(ValueError, match="not those of the tokenizer"):
        probes.cased_words(["x\u200dy"], net().tokenizer)


@functools.cache
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "word": rng.choice(list("abcdef"), 400),
            "capital": rng.random(400) < 0.3,
            "sentence": np.arange(400) // 10,
            "row": np.arange(400),
        }
    )


def test_balanced_over_all_and_within_each_word():
    words = table()
    over_all = probes.balanced(words)
    assert over_all["capital"].mean() == 0.5 and over_all["capital"].sum() == words["capital"].sum()
    within = probes.balanced(words, within=True)
    shares = within.groupby("word")["capital"].agg(["mean", "sum"])
    assert (shares["mean"] == 0.5).all()
    capitals = words.groupby("word")["capital"].sum()
    assert (shares["sum"] == np.minimum(capitals, words["word"].value_counts() - capitals)).all()
    assert within.index.is_monotonic_increasing
    assert probes.balanced(words, seed=1)["row"].tolist() != over_all["row"].tolist()


def test_whole_sentences_are_held_out():
    later = probes.held_out(table())
    assert later.sum() == 130 and later.groupby(table()["sentence"]).nunique().max() == 1
    assert not later.equals(probes.held_out(table(), seed=1))


def test_control_labels_belong_to_types():
    words = list(np.random.default_rng(0).choice([f"w{i}" for i in range(300)], 2000))
    labels = probes.control_labels(words, seed=3)
    frame = pd.DataFrame({"word": words, "label": labels})
    assert frame.groupby("word")["label"].nunique().max() == 1
    assert 0.4 < frame.groupby("word")["label"].first().mean() < 0.6
    assert torch.equal(labels, probes.control_labels(words, seed=3))
    assert not torch.equal(labels, probes.control_labels(words, seed=4))


def test_selectivity_where_it_is_known():
    """Vectors that hold the task and not the word, and vectors that hold the word alone."""
    torch.manual_seed(0)
    types = torch.randint(0, 40, (600,))
    labels = torch.randint(0, 2, (600,))
    control = probes.control_labels(types.tolist())
    train, test = torch.arange(600).split([400, 200])
    task_alone = torch.randn(600, 5) + 5 * labels[:, None]
    word_alone = torch.nn.functional.one_hot(types, 40).float()
    one = probes.selectivity(probes.fit_probe, task_alone, labels, control, train, test)
    other = probes.selectivity(probes.fit_probe, word_alone, labels, control, train, test)
    assert one == pytest.approx(0.5, abs=0.12) and other == pytest.approx(-0.5, abs=0.12)


def test_a_linear_probe_is_scikit_learns():
    torch.manual_seed(0)
    x = torch.randn(300, 8) * torch.rand(8) * 9 + 4
    y = (x[:, 0] + torch.randn(300) * 3 > 4).long()
    decay = 1e-2
    probe = probes.fit_probe(x, y, weight_decay=decay, steps=200)
    # two logits with weights ±w/2 cost half of what one with w does: C is 2 / (n · decay)
    peer = LogisticRegression(C=2 / (300 * decay), tol=1e-10, max_iter=1000)
    scaler = StandardScaler().fit(x)
    peer.fit(scaler.transform(x), y)
    mine = probe(x).softmax(1)[:, 1].numpy()
    assert np.allclose(mine, peer.predict_proba(scaler.transform(x))[:, 1], atol=2e-3)


def test_a_hidden_layer_learns_what_no_line_can():
    torch.manual_seed(0)
    x = torch.cat([torch.randn(400, 2), torch.ones(400, 1)], 1)  # the last never changes
    y = (x[:, 0] * x[:, 1] > 0).long()
    accuracy = [
        (probes.fit_probe(x, y, hidden=h)(x).argmax(1) == y).double().mean() for h in (0, 16)
    ]
    assert accuracy[0] < 0.65 and accuracy[1] > 0.95
    again = probes.fit_probe(x, y, hidden=16)
    assert torch.equal(again(x), probes.fit_probe(x, y, hidden=16)(x))
    with torch.no_grad():
        assert torch.equal(again(x), probes.fit_probe(x, y, hidden=16)(x))


def test_vectors_and_labels_that_do_not_fit():
    x = torch.randn(5, 3)
    for vectors, labels in ((x, torch.ones(4).long()), (x, torch.ones(5)), (x[0], torch.ones(3))):
        with pytest.raises(ValueError, match="a whole number for each are wanted"):
            probes.fit_probe(vectors, labels)


def test_redrawn_twins():
    model = net()
    kept = model.words.weight.clone()
    fresh = probes.redrawn(model, std=0.02)
    shuffled = probes.redrawn(model)
    assert torch.equal(model.words.weight, kept)
    for twin, std in ((fresh, 0.02), (shuffled, kept.std().item())):
        assert twin.words.weight.std().item() == pytest.approx(std, rel=0.01)
        assert (
            torch.corrcoef(torch.stack([twin.words.weight[:50].flatten(), kept[:50].flatten()]))[
                0, 1
            ].abs()
            < 0.05
        )
    assert (fresh.norm.weight == 1).all() and (fresh.layers[0].up.bias == 0).all()
    assert torch.equal(shuffled.norm.weight, model.norm.weight)
    assert torch.equal(probes.redrawn(model).words.weight, shuffled.words.weight)
