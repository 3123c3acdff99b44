"""Probes: small networks asked what a large one knows, and the tasks that keep them honest.

A probe reads a property off the vectors of a network that is left as it is. Its accuracy alone says
little, since a probe can learn a task by itself; a control task tells how much of one it can
(Hewitt, Liang 2019, arXiv:1909.03368).
"""

import copy
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from trickkit import activations
from trickkit.bert import PAD, Bert, Tokenizer
from trickkit.common import progress_bar, validate_count, validate_number, validate_seed
from trickkit.contract import Network, described, drawn_from, seeded, with_gradients

Fit = Callable[[torch.Tensor, torch.Tensor], Callable[[torch.Tensor], torch.Tensor]]


def level(number: int) -> str:
    """The name in a `bert.Bert` of what comes out of so many of its layers; 0 is its input, words
    and places alone.
    """
    validate_count(number=number, at_least=0)
    return f"layers.{number - 1}" if number else "norm"


class Tokens(NamedTuple):
    """The tokens of sentences one after another, without [CLS] and [SEP].

    ids: their numbers (n,).
    sentence: whose each is (n,).
    """

    ids: torch.Tensor
    sentence: torch.Tensor


@torch.no_grad()
def read_tokens(net: Bert, texts: Sequence[str], *layers: str) -> tuple[Tokens, list[torch.Tensor]]:
    """The tokens of sentences, and what layers put out for each: (n, width) a layer.

    layers: names, as in `activations.read`.
    Raises ValueError for what is no text, and for an unknown layer.
    """
    numbers = [net.tokenizer(text)[0] for text in texts]
    # sentences of one length together, or most of the work would be on what fills them up
    order = sorted(range(len(numbers)), key=lambda i: len(numbers[i]))
    seen: list[list[torch.Tensor]] = [[]] * len(numbers)
    batches = [order[start : start + 16] for start in range(0, len(order), 16)]
    for batch in progress_bar(batches, "reading"):
        rows = nn.utils.rnn.pad_sequence(
            [numbers[i] for i in batch], batch_first=True, padding_value=PAD
        )
        outs = [out.cpu() for out in activations.read(net, rows, *layers)]
        for place, i in enumerate(batch):
            seen[i] = [out[place, 1 : len(numbers[i]) - 1] for out in outs]
    inner = [row[1:-1] for row in numbers]
    lengths = torch.tensor([len(row) for row in inner])
    sentence = torch.arange(len(inner)).repeat_interleave(lengths)
    return Tokens(torch.cat(inner), sentence), [torch.cat(part) for part in zip(*seen, strict=True)]


def cased_words(texts: Sequence[str], tokenizer: Tokenizer) -> pd.DataFrame:
    """The words of sentences and whether they were capitalised, which the tokenizer forgets.

    Left out is what opens a sentence, a word that always is, or a bracket, and words of more than
    one piece.

    Returns a pandas frame: word, in small letters; capital; sentence, its number; row, the token's
        place in `read_tokens` of the same texts.
    Raises ValueError for a text whose words the tokenizer cuts otherwise.
    """
    rows = []
    row = 0
    for number, text in enumerate(texts):
        words = re.findall(r"[^\W_]+|[^\w\s]|_", text)
        pieces = [tokenizer.cut(word) for word in words]
        if sum(pieces, []) != tokenizer.cut(text):
            raise ValueError(f"The words of {text!r:.60} are not those of the tokenizer.")
        for place, (word, cut) in enumerate(zip(words, pieces, strict=True)):
            if place and len(cut) == 1 and word.isalpha():
                rows.append((word.lower(), word[0].isupper(), number, row))
            row += len(cut)
    return pd.DataFrame(rows, columns=["word", "capital", "sentence", "row"])


def sentences_of_both(words: pd.DataFrame, *, most: int = 6) -> list[int]:
    """Sentences in which a word has a capital that in others has none.

    words: as from `cased_words`.
    most: capitals of one word, the first ones.
    Returns the sentences' numbers, in order.
    """
    validate_count(most=most)
    small = set(words.loc[~words["capital"], "word"])
    capitals = words[words["capital"] & words["word"].isin(small)]
    return sorted(set(capitals.groupby("word").head(most)["sentence"]))


def held_out(words: pd.DataFrame, *, share: float = 1 / 3, seed: int = 0) -> pd.Series:
    """Which words are for the test: those of a share of the sentences, drawn at random.

    words: as from `cased_words`.
    Returns booleans, one a word.
    """
    validate_number(share=share, at_least=0, at_most=1)
    validate_seed(seed)
    sentences = np.random.default_rng(seed).permutation(words["sentence"].unique())
    return words["sentence"].isin(sentences[: round(share * len(sentences))])


def balanced(words: pd.DataFrame, *, within: bool = False, seed: int = 0) -> pd.DataFrame:
    """Some of the words, drawn at random: as many with a capital as without.

    words: as from `cased_words`.
    within: as many of *each* word, so that no word tells the answer.
    """
    validate_seed(seed)
    shuffled = words.iloc[np.random.default_rng(seed).permutation(len(words))]
    keys = shuffled["word"] if within else pd.Series(0, shuffled.index)
    place = shuffled.groupby([keys, shuffled["capital"]]).cumcount()
    count = shuffled.groupby([keys, "capital"]).size().unstack(fill_value=0)
    least = count.reindex(columns=[False, True], fill_value=0).min(axis=1)
    return shuffled[place < keys.map(least)].sort_index()


def control_labels(words: Sequence[str], *, seed: int = 0) -> torch.Tensor:
    """A label for each word that means nothing, the same wherever the word stands.

    Hewitt, Liang 2019, arXiv:1909.03368, §2: a control task. A coin is tossed for each *type*, each
    word of the vocabulary; whoever gets this right has learnt the words by heart.

    words: (n,).
    seed: of the coins.
    Returns 0 or 1, (n,) int64.
    """
    validate_seed(seed)
    types, place = np.unique(np.asarray(words), return_inverse=True)
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 2, len(types))[place])


def selectivity(
    fit: Fit,
    x: torch.Tensor,
    labels: torch.Tensor,
    control: torch.Tensor,
    train: torch.Tensor,
    test: torch.Tensor,
) -> float:
    """By how much a probe is better at a task than at a control task.

    Hewitt, Liang 2019, arXiv:1909.03368, §2.2. Same vectors, same rows, same kind of probe.

    fit: (vectors, labels) -> a probe, from vectors to logits.
    x: vectors (n, width).
    labels, control: of the task and of its control (n,).
    train, test: rows (…,).
    Returns the difference of two accuracies on the test rows, from −1 to 1.
    """

    def accuracy(y):
        probe = fit(x[train], y[train])
        return (probe(x[test]).argmax(1) == y[test]).double().mean().item()

    return accuracy(labels) - accuracy(control)


@with_gradients
def fit_probe(
    x: torch.Tensor,
    labels: torch.Tensor,
    *,
    hidden: int = 0,
    weight_decay: float = 1e-3,
    steps: int = 30,
    seed: int = 0,
) -> nn.Module:
    """Train a probe: linear, or with one hidden layer (Hewitt and Liang's MLP-1).

    All rows at once, by L-BFGS (Liu, Nocedal 1989); each number of a vector is set to mean 0 and
    variance 1 first.

    x: vectors (n, width).
    labels: whole numbers from 0 (n,).
    hidden: units of the hidden layer; 0 for none, and then the optimum is the only one.
    weight_decay: times half the sum of all squared weights is added to the mean cross-entropy.
    steps: at most.
    seed: of the first weights.
    Returns a network from vectors to logits, frozen.
    Raises ValueError for vectors or labels of other shapes.
    """
    validate_count(hidden=hidden, at_least=0)
    validate_count(steps=steps)
    validate_number(weight_decay=weight_decay, at_least=0)
    if x.dim() != 2 or labels.shape != x.shape[:1] or labels.is_floating_point() or not len(x):
        raise ValueError(
            "Vectors (n, width) and a whole number for each are wanted;"
            f" {described(x)} and {described(labels)} came."
        )
    x = x.detach().float()
    spread = x.std(0, correction=0)
    classes = int(labels.max()) + 1
    standard = nn.Linear(x.shape[1], x.shape[1]).requires_grad_(False)
    standard.weight.copy_(torch.diag(1 / spread.where(spread > 0, 1)))
    standard.bias.copy_(-standard.weight @ x.mean(0))
    with drawn_from(seed):
        layers: list[nn.Module] = (
            [nn.Linear(x.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, classes)]
            if hidden
            else [nn.Linear(x.shape[1], classes)]
        )
    probe = nn.Sequential(*layers)
    weights = [p for p in probe.parameters() if p.dim() > 1]
    optimizer = torch.optim.LBFGS(probe.parameters(), max_iter=steps, line_search_fn="strong_wolfe")
    z = standard(x)

    def closure():
        optimizer.zero_grad()
        penalty = sum(w.square().sum() for w in weights)
        loss = F.cross_entropy(probe(z), labels) + weight_decay / 2 * penalty
        loss.backward()
        return loss

    optimizer.step(closure)
    return nn.Sequential(standard, *layers).requires_grad_(False)


def redrawn(model: Network, *, std: float | None = None, seed: int = 0) -> Network:
    """A twin that has learnt nothing: every matrix is drawn anew from a normal distribution.

    model: left as it is.
    std: of all of them, and biases are 0 and norms 1, as a BERT begins (0.02; Devlin et al. 2018);
        None for each matrix's own, and all else as it was.
    seed: of the drawing.
    """
    generator = seeded(seed)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for name, weight in twin.named_parameters():
            if weight.dim() > 1:
                drawn = torch.randn(weight.shape, generator=generator)
                weight.copy_(drawn * (weight.std().cpu() if std is None else std))
            elif std is not None:
                weight.fill_(float("norm" in name and name.endswith("weight")))
    return twin
