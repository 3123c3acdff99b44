"""Both sides of the argument over *Attention is not Explanation* (Jain, Wallace 2019,
arXiv:1902.10186), on sentences by hackers and prophets.

Does attention agree with gradients and with leaving a word out (their §4.1)? What if it is
shuffled, or as unlike itself as can be (§4.2)? The answer, *Attention is not not Explanation*
(Wiegreffe, Pinter 2019, arXiv:1908.04626): uniform weights, another seed, a model without context
that is guided by the weights, an adversary trained from the start. Last, attention that was trained
to deceive (Pruthi et al. 2020, arXiv:1909.07913). A sentence is a row of word numbers, with 0 after
its end. A model answers with logits (N, 2), for the Jargon File and for the King James Bible.
"""

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn

from trickkit import data, models
from trickkit.attention import AdditiveAttention, deceiving_loss, mixture
from trickkit.common import (
    progress_bar,
    top_by_magnitude,
    unknown,
    validate_count,
    validate_positive,
)
from trickkit.contract import described, drawn_from, seeded, with_gradients

FILE = "weights/sentence_attention.safetensors"
SOURCES = ("jargon file", "king james bible")  # labels 0 and 1
UNKNOWN = "…"  # stands for a rare word
WORDS = 2000  # that have a number of their own
TRAINED_ON = 4000  # sentences; the other 2,000 are for the tests
# (logits, weights, rows of the training sentences) -> a number to lower
SentenceLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Sentences:
    """Sentences as a model reads them.

    ids: word numbers (n, T), 0 after a sentence's end.
    labels: (n,), places in `SOURCES`.
    vocabulary: a word's number is its place here; the first stands for none, the second is
        `UNKNOWN`.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    vocabulary: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: slice) -> "Sentences":
        """Some of them."""
        return Sentences(self.ids[rows], self.labels[rows], self.vocabulary)

    def words(self, row: int) -> list[str]:
        """A sentence's words."""
        return [self.vocabulary[i] for i in self.ids[row].tolist() if i]

    def hold(self, words: Sequence[str]) -> torch.Tensor:
        """True where a word is one of these, (n, T).

        Raises ValueError for a word that has no number.
        """
        if strange := set(words) - set(self.vocabulary[1:]):
            raise unknown("word", min(strange), self.vocabulary[1:])
        numbers = [self.vocabulary.index(word) for word in words]
        return torch.isin(self.ids, torch.tensor(numbers))

    def without(self, words: Sequence[str]) -> "Sentences":
        """The same with these words cut out."""
        return self.keep(~self.hold(words))

    def keep(self, kept: torch.Tensor) -> "Sentences":
        """The same with some words only; a sentence that would be empty becomes `UNKNOWN`.

        kept: True for a word that stays, (n, T).
        """
        pairs = zip(self.ids, kept & (self.ids > 0), strict=True)
        rows = [row[stay] if stay.any() else row.new_ones(1) for row, stay in pairs]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return Sentences(ids, self.labels, self.vocabulary)


def words_of(text: str) -> list[str]:
    """A text's words in small letters, and nothing else: braces and verse marks tell too much."""
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())


@functools.cache
def sentences() -> tuple[Sentences, Sentences]:
    """The sentences of `data.hackers_and_prophets`: 4,000 to train on, 2,000 for the tests.

    The 2,000 commonest words of the first 4,000 have numbers of their own.
    """
    table = data.hackers_and_prophets()
    texts = [words_of(text) for text in table["text"]]
    labels = torch.tensor([SOURCES.index(source) for source in table["source"]])
    count = Counter(word for text in texts[:TRAINED_ON] for word in text)
    common = sorted(count, key=lambda word: (-count[word], word))[:WORDS]
    vocabulary = ("", UNKNOWN, *common)
    number = {word: i for i, word in enumerate(vocabulary)}
    rows = [torch.tensor([number.get(word, 1) for word in text]) for text in texts]
    both = Sentences(nn.utils.rnn.pad_sequence(rows, batch_first=True), labels, vocabulary)
    return both[:TRAINED_ON], both[TRAINED_ON:]


def telling_words(known: Sentences, *, count: int = 80) -> list[str]:
    """The words that tell the books apart best, the most telling first.

    Those that move the score of a logistic regression on bags of words most: the size of a word's
    weight, times the standard deviation of its being there.

    known: sentences to train it on.
    count: how many, for both books together.
    """
    validate_count(count=count)
    counter = CountVectorizer(
        vocabulary=known.vocabulary[2:], analyzer=lambda words: words, binary=True
    )
    bags = counter.transform(known.words(row) for row in range(len(known)))
    weights = LogisticRegression(max_iter=1000).fit(bags, known.labels.numpy()).coef_[0]
    share = np.asarray(bags.mean(0)).ravel()
    return [
        known.vocabulary[2 + i]
        for i in top_by_magnitude(weights * np.sqrt(share * (1 - share)), k=count)
    ]


class SentenceReader(nn.Module):
    """Says which of two books a sentence is from: an encoder, attention over it, a linear layer.

    context: True for a BiLSTM, whose state at a word knows the words around it; False for a layer
        that sees each word alone (Jain and Wallace's "average" encoder).
    uniform: True for attention that is the same everywhere.
    words: how many have a number.
    embed: the length of a word's vector.
    hidden: the length of an encoder's state.
    forward: ids (N, T), and perhaps weights (N, T) that take attention's place -> logits (N, 2),
        and the weights that were used.
    """

    def __init__(
        self,
        *,
        context: bool = True,
        uniform: bool = False,
        words: int = WORDS + 2,
        embed: int = 32,
        hidden: int = 64,
    ):
        super().__init__()
        self.embedding = nn.Embedding(words, embed, padding_idx=0)
        if context:
            self.encoder: nn.Module = nn.LSTM(
                embed, hidden // 2, bidirectional=True, batch_first=True
            )
        else:
            self.encoder = nn.Sequential(nn.Linear(embed, hidden), nn.ReLU())
        self.attention = None if uniform else AdditiveAttention(hidden, hidden // 2)
        self.out = nn.Linear(hidden, 2)

    def forward(
        self, ids: torch.Tensor, weights: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.states(self.embedding(ids), ids > 0)
        weights = self.weigh(states, ids > 0) if weights is None else weights
        return self.decide(weights, states), weights

    def states(self, embedded: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the encoder says of each word, (N, T, hidden).

        embedded: words' vectors (N, T, embed).
        mask: True where there is a word, (N, T).
        """
        if not isinstance(self.encoder, nn.LSTM):
            return self.encoder(embedded)
        packed = nn.utils.rnn.pack_padded_sequence(
            embedded, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = self.encoder(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(
            states, batch_first=True, total_length=mask.shape[1]
        )
        return states

    def weigh(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Attention over the states, (N, T)."""
        if self.attention is None:
            return uniform_weights(mask)
        _, weights = self.attention(states, mask)
        return weights

    def decide(self, weights: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Logits (N, 2) of the states' mixture."""
        return self.out(mixture(weights, states))


def uniform_weights(mask: torch.Tensor) -> torch.Tensor:
    """The same for each word of a sentence, (N, T).

    mask: True where there is a word, (N, T).
    """
    return mask / mask.sum(1, keepdim=True)


def prophetic(logits: torch.Tensor) -> torch.Tensor:
    """The probability that it is the Bible, (N,)."""
    return logits.softmax(1)[:, 1]


@with_gradients
def train(
    model: SentenceReader,
    known: Sentences,
    *,
    epochs: int = 5,
    lr: float = 2e-3,
    batch_size: int = 32,
    seed: int = 0,
    guide: torch.Tensor | None = None,
    loss: SentenceLoss | None = None,
) -> SentenceReader:
    """Train a reader of sentences in place by Adam with amsgrad, as Jain and Wallace do.

    Same seed, same order of sentences. Weights decay by 1e-5, but for those of attention.

    known: what it learns.
    epochs: how often each sentence is read.
    lr: Adam's step.
    batch_size: sentences a step.
    seed: of the order.
    guide: weights (n, T) that take attention's place, all through the training.
    loss: what is lowered, of (logits, weights, rows); None for the cross-entropy.
    Returns the model, in eval mode.
    Raises ValueError for a guide of another shape than the sentences.
    """
    validate_count(epochs=epochs, batch_size=batch_size)
    validate_positive(lr=lr)
    if guide is not None and guide.shape != known.ids.shape:
        raise ValueError(
            f"A weight for each word is wanted, {tuple(known.ids.shape)}; {described(guide)} came."
        )
    attention = [p for name, p in model.named_parameters() if name.startswith("attention")]
    others = [p for name, p in model.named_parameters() if not name.startswith("attention")]
    groups = [{"params": others, "weight_decay": 1e-5}]
    groups += [{"params": attention, "weight_decay": 0.0}] if attention else []
    optimizer = torch.optim.Adam(groups, lr=lr, amsgrad=True)
    generator = seeded(seed)
    model.train()
    for _ in progress_bar(range(epochs), "training"):
        for rows in torch.randperm(len(known), generator=generator).split(batch_size):
            logits, weights = model(known.ids[rows], None if guide is None else guide[rows])
            if loss is None:
                value = nn.functional.cross_entropy(logits, known.labels[rows])
            else:
                value = loss(logits, weights, rows)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return model.eval()


def deceiving(known: Sentences, words: Sequence[str], *, lam: float) -> SentenceLoss:
    """A loss for `train` that hides these words from attention (Pruthi et al. 2020, §3).

    lam: λ of `attention.deceiving_loss`.
    """
    forbidden = known.hold(words)

    def loss(logits, weights, rows):
        return deceiving_loss(logits, weights, forbidden[rows], known.labels[rows], lam=lam)

    return loss


def adversarial(base: SentenceReader, known: Sentences, *, lam: float) -> SentenceLoss:
    """A loss for `train`: the base's predictions, and attention unlike its own.

    Wiegreffe, Pinter 2019, §4: the total variation of the predictions − λ · KL(weights ‖ base's).

    base: the model to imitate.
    known: the sentences it will be asked for.
    lam: λ, what other attention is worth.
    """
    probabilities, weights_of_base = read_sentences(base, known)

    def loss(logits, weights, rows):
        moved = (prophetic(logits) - probabilities[rows]).abs()
        other = weights_of_base[rows].clamp_min(1e-6)
        kl = (weights * (weights.clamp_min(1e-12) / other).log()).sum(1)
        return (moved - lam * kl).mean()

    return loss


# Models that came with the course.

READERS: dict[str, dict[str, bool]] = {  # a model's name -> how it is built
    "attention": {},
    "average": {"context": False},
    "uniform": {"uniform": True},
    "adversary": {},
    "deceiving 0.1": {},
    "deceiving 1": {},
    "without": {},
    "guided by attention": {"context": False, "uniform": True},
    "guided by adversary": {"context": False, "uniform": True},
    "guided by uniform": {"context": False, "uniform": True},
}
SEEDS = (0, 1)  # of each kind


def untrained_reader(kind: str, *, seed: int = 0) -> SentenceReader:
    """A reader of one of `READERS` before its training. Same seed, same weights.

    Raises ValueError for another kind.
    """
    if kind not in READERS:
        raise unknown("kind of reader", kind, READERS)
    with drawn_from(seed):
        return SentenceReader(**READERS[kind]).eval()


def trained_reader(kind: str, *, seed: int = 0) -> SentenceReader:
    """A reader that came with the course, frozen. `make weights` trains it anew.

    kind: of `READERS`; "without" learnt sentences without their telling words. A "guided …" reader
        wants the weights of its guide, for it has no attention of its own.
    seed: 0 or 1.
    Raises ValueError for another kind or seed.
    """
    model = untrained_reader(kind)
    if seed not in SEEDS:
        raise ValueError(f"seed is {seed!r}; each reader came with seeds 0 and 1.")
    return models.load_weights(model, FILE, prefix=f"{kind}.{seed}.")


def train_all(*, seed: int) -> dict[str, SentenceReader]:
    """Every one of `READERS`, trained: by its name. Two minutes.

    seed: of the first weights and of the order.
    """
    known, _ = sentences()
    words = telling_words(known)

    def taught(kind, seed=seed, known=known, **options):
        return train(untrained_reader(kind, seed=seed), known, seed=seed, **options)

    out = {kind: taught(kind) for kind in ("attention", "average", "uniform")}
    out["without"] = taught("without", known=known.without(words))
    # from a start of its own, for at the honest model's it would only have to stay
    imitate = adversarial(out["attention"], known, lam=0.003)
    out["adversary"] = taught("adversary", seed=seed + len(SEEDS), loss=imitate)
    for lam in (0.1, 1):
        kind = f"deceiving {lam}"
        out[kind] = taught(kind, loss=deceiving(known, words, lam=lam))
    for guide in ("attention", "adversary", "uniform"):
        _, weights = read_sentences(out[guide], known)
        out[f"guided by {guide}"] = taught(f"guided by {guide}", guide=weights)
    return out


# Asking a model.


@torch.no_grad()
def read_sentences(
    model: SentenceReader, asked_about: Sentences, *, weights: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The probability that each is from the Bible, (n,), and attention's weights, (n, T).

    weights: (n, T), that take attention's place.
    """
    logits, used = model(asked_about.ids, weights)
    return prophetic(logits), used


def share_right(
    model: SentenceReader, asked_about: Sentences, *, weights: torch.Tensor | None = None
) -> float:
    """The share of sentences whose book a model names: 0 to 1.

    weights: (n, T), that take attention's place.
    """
    probabilities, _ = read_sentences(model, asked_about, weights=weights)
    return ((probabilities > 0.5) == asked_about.labels).float().mean().item()


def attention_on(model: SentenceReader, asked_about: Sentences, words: Sequence[str]) -> float:
    """The share of attention that these words get, mean over sentences: 0 to 1."""
    _, weights = read_sentences(model, asked_about)
    return (weights * asked_about.hold(words)).sum(1).mean().item()


# Does attention agree with other measures? (§4.1)


@with_gradients
def gradient_importance(model: SentenceReader, asked_about: Sentences) -> torch.Tensor:
    """|gradient · vector| of each word, attention held still: (n, T).

    Jain, Wallace 2019, §4.1, algorithm 1. The gradient is that of the Bible's probability.
    """
    mask = asked_about.ids > 0
    embedded = model.embedding(asked_about.ids).detach().requires_grad_(True)
    states = model.states(embedded, mask)
    logits = model.decide(model.weigh(states, mask).detach(), states)
    (gradient,) = torch.autograd.grad(prophetic(logits).sum(), embedded)
    return (gradient * embedded.detach()).sum(2).abs()


@torch.no_grad()
def leave_one_out(model: SentenceReader, asked_about: Sentences) -> torch.Tensor:
    """How far the probability moves when a word is left out: (n, T).

    Jain, Wallace 2019, §4.1, algorithm 1.

    Raises ValueError for a sentence of a single word.
    """
    ids = asked_about.ids
    lengths = (ids > 0).sum(1)
    if lengths.min() < 2:
        raise ValueError(
            "A sentence of a single word came; without it, nothing is left to ask about."
        )
    before, _ = read_sentences(model, asked_about)
    moved = torch.zeros(ids.shape)
    for t in range(ids.shape[1]):
        rows = (lengths > t).nonzero()[:, 0]
        if len(rows):
            rest = torch.cat([ids[rows, :t], ids[rows, t + 1 :]], 1)
            logits, _ = model(rest)
            moved[rows, t] = (prophetic(logits) - before[rows]).abs()
    return moved


def attention_agreement(
    weights: torch.Tensor, importance: torch.Tensor, asked_about: Sentences
) -> pd.DataFrame:
    """Kendall's τ between attention and another measure of importance, a sentence at a time.

    Jain, Wallace 2019, table 2.

    weights, importance: (n, T).
    Returns a row for each label and for all: "mean" and "sd" of τ, −1 to 1, and "significant", the
        share of sentences where p < 0.05.
    """
    taus = []
    ps = []
    for row, (a, b) in enumerate(zip(weights.numpy(), importance.numpy(), strict=True)):
        there = asked_about.ids[row].numpy() > 0
        tau, p = kendalltau(a[there], b[there])
        taus.append(tau)
        ps.append(p)
    table = pd.DataFrame({"tau": taus, "significant": np.array(ps) < 0.05})
    sources = np.array(SOURCES)[asked_about.labels.numpy()]

    def summary(part):
        return {
            "mean": part["tau"].mean(),
            "sd": part["tau"].std(),
            "significant": part["significant"].mean(),
        }

    rows = {source: summary(part) for source, part in table.groupby(sources)}
    return pd.DataFrame(rows | {"all": summary(table)}).T


def shuffled(weights: torch.Tensor, asked_about: Sentences, *, seed: int = 0) -> torch.Tensor:
    """The same weights, dealt to a sentence's words by chance: (n, T).

    seed: of the dice.
    """
    dice = torch.rand(weights.shape, generator=seeded(seed))
    mask = asked_about.ids > 0
    # both orders have a sentence's own words first
    to = dice.masked_fill(~mask, math.inf).argsort(1)
    return torch.zeros_like(weights).scatter(1, to, weights)


def others(held: torch.Tensor, asked_about: Sentences, *, seed: int = 0) -> torch.Tensor:
    """As many other words of each sentence, by chance, as far as it has so many: (n, T) bool.

    held: True for the words that they are not to be, (n, T).
    seed: of the dice.
    """
    dice = torch.rand(held.shape, generator=seeded(seed))
    rank = dice.masked_fill(held | (asked_about.ids == 0), 2).argsort(1).argsort(1)
    return (rank < held.sum(1, keepdim=True)) & ~held & (asked_about.ids > 0)


# Would another attention have said the same? (§4.2)


@torch.no_grad()
def permuting(
    model: SentenceReader, asked_about: Sentences, *, count: int = 100, seed: int = 0
) -> torch.Tensor:
    """How far the probability moves when attention is shuffled, the median of `count` times: (n,).

    Jain, Wallace 2019, §4.2.1, algorithm 2.

    seed: of the shuffles.
    """
    validate_count(count=count)
    states = model.states(model.embedding(asked_about.ids), asked_about.ids > 0)
    weights = model.weigh(states, asked_about.ids > 0)
    before = prophetic(model.decide(weights, states))
    moved = [
        (
            prophetic(model.decide(shuffled(weights, asked_about, seed=seed + k), states)) - before
        ).abs()
        for k in range(count)
    ]
    return torch.stack(moved).median(0).values


def jensen_shannon(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """How far apart two distributions are, 0 to ln 2 = 0.69.

    ½ KL(p ‖ m) + ½ KL(q ‖ m), where m = ½ (p + q).

    p, q: (…, T), each summing to 1 over T.
    Returns (…).
    """
    m = (p + q) / 2
    tiny = 1e-12  # 0 · log 0 is 0, and so is its gradient
    halves = [(r * ((r + tiny) / (m + tiny)).log()).sum(-1) / 2 for r in (p, q)]
    return halves[0] + halves[1]


@with_gradients
def adversarial_weights(
    model: SentenceReader,
    asked_about: Sentences,
    *,
    starts: int = 5,
    steps: int = 500,
    lr: float = 0.01,
    allowed: float = 0.01,
    seed: int = 0,
) -> torch.Tensor:
    """Attention as unlike the model's as can be that leaves its answer nearly as it was: (n, T).

    Jain, Wallace 2019, §4.2.2, algorithm 3. As in their code, Adam lowers −JSD + 500 · relu(|Δp| −
    allowed).

    starts: how many tries for each sentence. Of those that move the answer by at most 0.05, the
        farthest is kept; if there is none, attention as it was.
    steps: of Adam.
    lr: Adam's step.
    allowed: how far the probability may move.
    seed: of the starts.
    """
    validate_count(starts=starts, steps=steps)
    validate_positive(lr=lr, allowed=allowed)
    mask = asked_about.ids > 0
    with torch.no_grad():
        states = model.states(model.embedding(asked_about.ids), mask)
        weights = model.weigh(states, mask)
        before = prophetic(model.decide(weights, states))
    noise = torch.randn(starts, *mask.shape, generator=seeded(seed))
    logits = (uniform_weights(mask).clamp_min(1e-9).log() + 3 * noise).requires_grad_(True)
    optimizer = torch.optim.Adam([logits], lr=lr, amsgrad=True)

    def tried():
        other = logits.masked_fill(~mask, -math.inf).softmax(2)
        said = model.out(torch.einsum("knt,ntd->knd", other, states)).softmax(2)[..., 1]
        return other, jensen_shannon(weights, other), (said - before).abs()

    for _ in progress_bar(range(steps), "looking elsewhere"):
        _, distance, moved = tried()
        loss = (500 * (moved - allowed).relu() - distance).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        other, distance, moved = tried()
        best, which = distance.masked_fill(moved > 0.05, -1).max(0)
        found = other[which, torch.arange(len(mask))]
        return torch.where(best[:, None] >= 0, found, weights)
