import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from trickkit import data
from trickkit.papers import jain2019


@pytest.fixture(scope="module")
def known():
    return jain2019.sentences()[0]


@pytest.fixture(scope="module")
def few():
    return jain2019.sentences()[1][:60]


@pytest.fixture(scope="module")
def telling(known):
    return jain2019.telling_words(known)


@pytest.fixture(scope="module")
def honest():
    return jain2019.trained_reader("attention")


def small(**options):
    torch.manual_seed(0)
    return jain2019.SentenceReader(embed=8, hidden=8, **options).eval()


def test_sentences_are_words_and_no_marks(known):
    _, test = jain2019.sentences()
    assert (len(known), len(test)) == (4000, 2000)
    assert all(word.replace("'", "").isalpha() for word in known.vocabulary[2:])
    assert known.words(0)[:2] == ["the", jain2019.UNKNOWN]
    assert 0.4 < test.labels.float().mean() < 0.6
    assert jain2019.words_of("Don't {braces} 3:16 the Lord's;") == [
        "don't",
        "braces",
        "the",
        "lord's",
    ]


def test_words_are_found_and_cut_out(few):
    words = ["the", "and"]
    held = few.hold(words)
    assert held.sum() == sum(word in words for row in range(len(few)) for word in few.words(row))
    cut = few.without(words)
    for row in range(len(few)):
        left = [word for word in few.words(row) if word not in words]
        assert cut.words(row) == (left or [jain2019.UNKNOWN])
    with pytest.raises(ValueError, match="no word called 'hackres'. Did you mean 'hackers'"):
        few.hold(["the", "hackres"])
    nothing = few[:1].without(list(set(few.words(0))))
    assert nothing.words(0) == [jain2019.UNKNOWN]


def test_telling_words_tell(known, telling):
    assert len(telling) == len(set(telling)) == 80
    assert {"unto", "lord", "shall", "hackers"} <= set(telling)
    share = {
        word: (known.hold([word]).any(1) & (known.labels == 1)).sum()
        / known.hold([word]).any(1).sum()
        for word in telling[:10]
    }
    assert all(abs(s - 0.5) > 0.1 for s in share.values()), share


@pytest.mark.parametrize("context", [True, False])
def test_what_fills_a_row_changes_nothing(few, context):
    model = small(context=context)
    p, weights = jain2019.read_sentences(model, few)
    for row in range(3):
        length = len(few.words(row))
        alone = jain2019.Sentences(
            few.ids[row : row + 1, :length], few.labels[row : row + 1], few.vocabulary
        )
        q, own = jain2019.read_sentences(model, alone)
        assert torch.allclose(p[row], q[0], atol=1e-5)
        assert torch.allclose(weights[row, :length], own[0], atol=1e-5)
        assert (weights[row, length:] == 0).all()


def test_uniform_attention_and_attention_handed_over(few):
    model = small(uniform=True)
    p, weights = jain2019.read_sentences(model, few)
    lengths = torch.tensor([len(few.words(row)) for row in range(len(few))])
    assert torch.allclose(weights.max(1).values, 1 / lengths)
    other = jain2019.shuffled(jain2019.read_sentences(small(), few)[1], few)
    q, used = jain2019.read_sentences(model, few, weights=other)
    assert torch.equal(used, other) and not torch.allclose(p, q)


def test_gradient_importance_agrees_with_finite_differences(few):
    model = small().double()
    found = jain2019.gradient_importance(model, few)
    mask = few.ids > 0
    x = model.embedding(few.ids).detach()
    with torch.no_grad():
        weights = model.weigh(model.states(x, mask), mask)
        for t in (0, 3):
            step = torch.zeros_like(x)
            step[:, t] = 1e-4 * x[:, t]
            up, down = (
                jain2019.prophetic(model.decide(weights, model.states(x + s * step, mask)))
                for s in (1, -1)
            )
            assert torch.allclose(found[:, t], ((up - down) / 2e-4).abs(), atol=1e-8)


def test_leave_one_out_leaves_one_out(few):
    model = small()
    moved = jain2019.leave_one_out(model, few)
    assert (moved[few.ids == 0] == 0).all()
    words = few.ids[2][few.ids[2] > 0]
    for t in (0, len(words) - 1):
        with torch.no_grad():
            rest, _ = model(torch.cat([words[:t], words[t + 1 :]])[None])
            whole, _ = model(words[None])
        gap = (jain2019.prophetic(rest) - jain2019.prophetic(whole)).abs().item()
        assert moved[2, t].item() == pytest.approx(gap, abs=1e-5)
    with pytest.raises(ValueError, match="single word"):
        jain2019.leave_one_out(
            model, jain2019.Sentences(torch.tensor([[1, 0]]), few.labels[:1], few.vocabulary)
        )


def test_agreement_with_itself_with_its_reverse_and_with_chance(few):
    _, weights = jain2019.read_sentences(small(), few)
    table = jain2019.attention_agreement(weights, weights, few)
    assert list(table.index) == ["jargon file", "king james bible", "all"]
    assert np.allclose(table["mean"], 1) and table.loc["all", "significant"] > 0.95
    assert np.allclose(jain2019.attention_agreement(weights, -weights, few)["mean"], -1)
    chance = jain2019.attention_agreement(jain2019.shuffled(weights, few), weights, few).loc["all"]
    assert abs(chance["mean"]) < 0.1 and chance["significant"] < 0.2


def test_shuffling_keeps_the_weights_and_the_sentence(few):
    _, weights = jain2019.read_sentences(small(), few)
    dealt = jain2019.shuffled(weights, few, seed=1)
    assert torch.equal(dealt.sort(1).values, weights.sort(1).values)
    assert (dealt[few.ids == 0] == 0).all() and not torch.equal(dealt, weights)
    assert torch.equal(dealt, jain2019.shuffled(weights, few, seed=1))


def test_permuting_changes_nothing_where_all_weights_are_equal(few):
    assert jain2019.permuting(small(uniform=True), few, count=3).max() < 1e-6
    assert jain2019.permuting(small(), few, count=3).max() > 0


def test_jensen_shannon_agrees_with_scipy():
    p, q = torch.rand(2, 4, 6, dtype=torch.float64).softmax(-1)
    assert np.allclose(jain2019.jensen_shannon(p, q), jensenshannon(p, q, axis=1) ** 2)
    one, other = torch.eye(2)
    assert jain2019.jensen_shannon(one, other).item() == pytest.approx(math.log(2))
    assert jain2019.jensen_shannon(p, p).abs().max() < 1e-9


def test_adversarial_weights_are_attention_and_hardly_move_the_answer(few, honest):
    p, weights = jain2019.read_sentences(honest, few)
    other = jain2019.adversarial_weights(honest, few, starts=2, steps=60)
    q, _ = jain2019.read_sentences(honest, few, weights=other)
    assert torch.allclose(other.sum(1), torch.ones(len(few)), atol=1e-4)
    assert (other[few.ids == 0] == 0).all()
    assert (p - q).abs().max() < 0.051
    assert jain2019.jensen_shannon(weights, other).mean() > 0.3


def test_training_is_the_same_each_time_and_refuses_a_guide_that_does_not_fit(known):
    some = known[:64]

    def taught(**options):
        return jain2019.train(small(), some, epochs=2, **options)

    assert torch.equal(taught().out.weight, taught().out.weight)
    with pytest.raises(ValueError, match="A weight for each word"):
        taught(guide=torch.ones(3, 3))


def test_deceiving_takes_attention_from_forbidden_words(known, telling):
    some = known[:200]
    loss = jain2019.deceiving(some, telling, lam=1)
    before = jain2019.attention_on(small(), some, telling)
    after = jain2019.attention_on(
        jain2019.train(small(), some, epochs=12, lr=2e-2, loss=loss), some, telling
    )
    assert after < before / 3


def test_the_adversarial_loss_by_hand(known):
    some = known[:20]
    base, other = small(), jain2019.untrained_reader("adversary", seed=3)
    p, theirs = jain2019.read_sentences(base, some)
    q, ours = jain2019.read_sentences(other, some)
    rows = torch.tensor([4, 2, 7])
    with torch.no_grad():
        logits, weights = other(some.ids[rows])
    found = jain2019.adversarial(base, some, lam=2)(logits, weights, rows)
    kl = [
        sum(a * math.log(a / b) for a, b in zip(*pair, strict=True) if a)
        for pair in zip(ours[rows].tolist(), theirs[rows].tolist(), strict=True)
    ]
    assert found.item() == pytest.approx(
        (p - q)[rows].abs().mean().item() - 2 * np.mean(kl), abs=1e-4
    )


@pytest.mark.parametrize("seed", jain2019.SEEDS)
def test_an_adversary_gives_the_same_answers_with_other_attention(seed):
    _, test = jain2019.sentences()
    (p, honest), (q, other) = (
        jain2019.read_sentences(jain2019.trained_reader(kind, seed=seed), test)
        for kind in ("attention", "adversary")
    )
    (_, first), (_, second) = (
        jain2019.read_sentences(jain2019.trained_reader("attention", seed=s), test)
        for s in jain2019.SEEDS
    )
    between_seeds = jain2019.jensen_shannon(first, second).mean()
    assert jain2019.jensen_shannon(honest, other).mean() > 2 * between_seeds
    assert (p - q).abs().mean() < 0.07


@pytest.mark.parametrize("seed", jain2019.SEEDS)
@pytest.mark.parametrize(
    "kind",
    [k for k in jain2019.READERS if not k.startswith(("guided", "without"))],
)
def test_stored_readers_tell_the_books_apart(kind, seed):
    _, test = jain2019.sentences()
    assert jain2019.share_right(jain2019.trained_reader(kind, seed=seed), test) > 0.94


@pytest.mark.parametrize("seed", jain2019.SEEDS)
def test_the_deceiving_reader_hides_what_it_uses(seed, telling):
    _, test = jain2019.sentences()
    honest, deceiver = (
        jain2019.trained_reader(kind, seed=seed) for kind in ("attention", "deceiving 1")
    )
    assert jain2019.attention_on(deceiver, test, telling) < 0.02
    assert jain2019.attention_on(honest, test, telling) > 0.25
    cut = test.without(telling)
    assert jain2019.share_right(deceiver, cut) < 0.85
    # what is left would do, for a reader that learnt from it
    assert jain2019.share_right(jain2019.trained_reader("without", seed=seed), cut) > 0.9


def test_what_was_not_stored_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'uniform'"):
        jain2019.trained_reader("unifrom")
    with pytest.raises(ValueError, match="seed is 2"):
        jain2019.trained_reader("uniform", seed=2)


def test_the_stored_file_is_float16_and_small():
    assert data.shipped(jain2019.FILE).stat().st_size < 6e6
