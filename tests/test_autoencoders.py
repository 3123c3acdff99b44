import functools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trickkit import autoencoders, data, models, probes


def by_numpy(x, k):
    """Row by row, by sorting."""
    out = np.zeros_like(x)
    for row, kept in zip(x, out, strict=True):
        places = np.argsort(-row, kind="stable")[:k]
        kept[places] = np.maximum(row[places], 0)
    return out


@pytest.mark.parametrize("k", [1, 3, 9])
def test_topk_agrees_with_sorting(k):
    x = torch.randn(20, 9) - torch.arange(20)[:, None] / 10
    out = autoencoders.topk(x, k)
    assert np.array_equal(out.numpy(), by_numpy(x.numpy(), k))
    assert (out >= 0).all() and ((out > 0).sum(1) <= k).all()
    assert torch.equal(autoencoders.topk(x[None], k)[0], out)


def test_topk_of_too_many():
    with pytest.raises(ValueError, match="there are 4 features"):
        autoencoders.topk(torch.zeros(2, 4), 5)


def test_unexplained_is_about_the_mean():
    x = torch.randn(500, 6) + 40
    assert autoencoders.unexplained(x, x) == 0
    mean = x.mean(0).expand_as(x)
    assert autoencoders.unexplained(x, mean) == pytest.approx(1, abs=1e-4)
    half = mean + (x - mean) / 2
    assert autoencoders.unexplained(x, half) == pytest.approx(0.25, abs=1e-4)


@functools.cache
def planted():
    """Vectors that are sums of 3 of 24 directions, and those directions."""
    torch.manual_seed(0)
    directions = F.normalize(torch.randn(24, 16), dim=1)
    codes = torch.zeros(6000, 24).scatter(
        1, torch.rand(6000, 24).topk(3).indices, torch.rand(6000, 3) + 0.5
    )
    return codes @ directions + 7, directions


def test_planted_directions_are_found():
    x, directions = planted()
    model = autoencoders.train(x, features=32, k=3, epochs=30, lr=3e-3)
    assert torch.allclose(model.decoder.norm(dim=1), torch.ones(32), atol=1e-5)
    assert autoencoders.unexplained(x, model(x)) < 0.1
    best = (directions @ model.decoder.T).amax(1)
    assert (best > 0.9).sum() >= 20
    assert ((model.codes(x) > 0).sum(1) <= 3).all()
    centred = x - x.mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh[:3]
    pca = autoencoders.unexplained(x, x.mean(0) + centred @ axes.T @ axes)
    assert pca > 3 * autoencoders.unexplained(x, model(x))


def test_without_centring_features_cannot_fire():
    x, _ = planted()
    dead = []
    for centre in (True, False):
        model = autoencoders.train(x, features=32, k=3, epochs=1, lr=1e-9, centre=centre)
        dead.append((model.codes(x) == 0).all(0).sum())
    assert dead[0] == 0 and dead[1] > 10


def test_same_seed_same_dictionary():
    x, _ = planted()
    one, two, other = (
        autoencoders.train(x[:500], features=8, k=2, epochs=1, seed=s) for s in (0, 0, 1)
    )
    assert torch.equal(one.decoder, two.decoder) and not torch.equal(one.decoder, other.decoder)
    with pytest.raises(ValueError, match="Vectors"):
        autoencoders.train(x[0])


@pytest.mark.parametrize("name", autoencoders.NAMES)
def test_stored_dictionaries_have_directions_of_length_1(name):
    model = autoencoders.trained_dictionary(name)
    assert model.decoder.shape == (768, 384)
    assert torch.allclose(model.decoder.norm(dim=1), torch.ones(768), atol=1e-5)


def test_features_of_another_seed():
    other = autoencoders.another_seed()
    assert other.shape == (256, 384) and torch.allclose(other.norm(dim=1), torch.ones(256))
    assert ((other @ autoencoders.trained_dictionary("trained").decoder.T).amax(1) < 0.999).all()


def test_unknown_names():
    with pytest.raises(ValueError, match="no autoencoder called 'train'"):
        autoencoders.trained_dictionary("train")
    with pytest.raises(ValueError, match="no network called 'dinov2'"):
        autoencoders.sentence_net("dinov2")


def test_the_sentences_kept_back():
    kept = autoencoders.kept_back()
    assert len(kept) == 834 == len(set(kept)) and kept == sorted(kept)


def test_word_share_where_it_is_known():
    torch.manual_seed(0)
    ids = torch.randint(0, 30, (3000,))
    by_word = torch.randn(30)[ids]
    noise = torch.randn(3000)
    shares = autoencoders.word_share(torch.stack([by_word, noise, by_word + noise], 1), ids)
    assert shares[0] > 0.999 and abs(shares[1]) < 0.05
    assert shares[2] == pytest.approx((by_word.var() / (by_word.var() + 1)).item(), abs=0.05)


def test_token_entropy_counts_words():
    ids = torch.arange(64) % 8
    on = torch.ones(64)
    codes = torch.stack([on * (ids == 3), on, on * (ids < 4), on * (torch.arange(64) < 4)], 1)
    entropy = autoencoders.token_entropy(codes, ids)
    assert torch.allclose(entropy[:3], torch.tensor([0.0, 3.0, 2.0]), atol=1e-5)
    assert entropy[3].isnan()  # strong in four places only


def test_contexts_are_the_highest_places_one_of_each_sentence():
    net = models.minilm()
    texts = ["The cat sat.", "A cat saw a catfish.", "Nobody came."]
    tokens, _ = probes.read_tokens(net, texts, "norm")
    words = [net.tokenizer.pieces[i] for i in tokens.ids.tolist()]
    feature = torch.tensor([2.0 if w == "cat" else 1.0 * (w == "sat") for w in words])
    feature[words.index("saw")] = 4
    found = autoencoders.contexts(feature, tokens, net.tokenizer.pieces)
    assert found == [("a cat", "saw", "a catfish .", 1.0), ("the", "cat", "sat .", 0.5)]
    assert autoencoders.contexts(0 * feature, tokens, net.tokenizer.pieces) == []


def test_precision_and_recall():
    fired = torch.tensor([True, True, False, False, True])
    named = torch.tensor([True, False, False, True, False])
    assert autoencoders.precision_recall(fired, named) == (1 / 2, 1 / 3)
    assert autoencoders.precision_recall(fired, torch.zeros(5, dtype=torch.bool)) == (0, 0)


def test_taking_a_feature_out():
    net = models.minilm()
    model = autoencoders.trained_dictionary("trained")
    texts = ["He washed his hands and his feet.", "It is so."]
    whole = autoencoders.embed_without(net, texts, model, 214, direction=torch.zeros(384))
    tokens = net.tokenizer(texts)
    there = (tokens != 0)[..., None]
    assert torch.allclose(whole, (net(tokens) * there).sum(1) / there.sum(1), atol=1e-5)
    without = autoencoders.embed_without(net, texts, model, 214)
    turned = 1 - F.cosine_similarity(whole, without)
    assert turned[0] > 10 * turned[1].abs()


def test_crops_and_patches():
    some = autoencoders.random_squares(count=1, size=28)
    assert some.shape == (len(data.picture_names()) - 4 + 6, 3, 28, 28)
    assert some.min() >= 0 and some.max() <= 1
    assert torch.equal(some, autoencoders.random_squares(count=1, size=28))
    assert autoencoders.read_patches(some[:2]).shape == (2, 4, 384)


@pytest.mark.parametrize("recording", [True, False])
def test_many_vectors_are_coded_a_few_at_a_time_to_the_same_codes(monkeypatch, recording):
    model = autoencoders.Autoencoder(6, features=12, k=3)
    x = torch.randn(11, 6)
    whole = model.codes(x)
    monkeypatch.setattr(autoencoders, "ROWS", 4)
    with torch.set_grad_enabled(recording):
        parts = model.codes(x)
    assert torch.allclose(parts, whole) and parts.requires_grad == recording


def test_features_are_measured_a_few_at_a_time_to_the_same_numbers(monkeypatch):
    codes, ids = torch.rand(60, 10).relu(), torch.randint(0, 5, (60,))
    measures = autoencoders.word_share, autoencoders.token_entropy
    whole = [measure(codes, ids) for measure in measures]
    monkeypatch.setattr(autoencoders, "AT_ONCE", 3)
    for measure, before in zip(measures, whole, strict=True):
        assert torch.allclose(measure(codes, ids), before, equal_nan=True)
