"""A small BERT that reads sentences, written so that its attention can be read.

Devlin et al. 2018, arXiv:1810.04805; its tokens: Wu et al. 2016, arXiv:1609.08144, §4.1.
`models.minilm` has it with its weights.
"""

import math
import pathlib
import unicodedata
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from trickkit.contract import described, is_tokens

PAD = 0  # the number of the token that fills up short sentences
LONGEST = 512  # tokens, for which there are positions


class Tokenizer:
    """Cuts sentences into the pieces of words that a BERT knows, and numbers them.

    Wu et al. 2016, §4.1 (WordPiece): of each word the longest piece that is known, then of the
    rest, whose pieces begin with ##. Letters are made small and lose their accents.

    vocabulary: a file with a piece a line; its number is the line's, from 0.
    """

    def __init__(self, vocabulary: pathlib.Path):
        self.pieces = vocabulary.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        self.numbers = {piece: number for number, piece in enumerate(self.pieces)}

    def cut(self, text: str) -> list[str]:
        """The pieces of a text, without [CLS] and [SEP].

        Raises ValueError for what is no str.
        """
        if not isinstance(text, str):
            raise ValueError(f"A sentence is wanted, a str; {text!r:.40} came.")
        letters = unicodedata.normalize("NFD", text.lower())
        kept = [c for c in letters if unicodedata.category(c) != "Mn"]
        spaced = "".join(map(_apart, kept))
        return [piece for word in spaced.split() for piece in self._pieces_of(word)]

    def _pieces_of(self, word: str) -> list[str]:
        if word in self.numbers:
            return [word]
        pieces: list[str] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if mark + word[start:e] in self.numbers), None)
            if end is None or len(word) > 100:
                return ["[UNK]"]
            pieces.append(mark + word[start:end])
            start = end
        return pieces

    def __call__(self, texts: str | Sequence[str]) -> torch.Tensor:
        """Numbers (N, T) int64, from [CLS] to [SEP]; shorter sentences are filled up with 0.

        texts: a sentence or a list of them; of each, at most 510 pieces are read.
        Raises ValueError for what is no text, and for none at all.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts:
            raise ValueError("No sentence came; at least one is wanted.")
        rows = [["[CLS]", *self.cut(text)[: LONGEST - 2], "[SEP]"] for text in texts]
        numbers = [torch.tensor([self.numbers[piece] for piece in row]) for row in rows]
        return nn.utils.rnn.pad_sequence(numbers, batch_first=True, padding_value=PAD)

    def words(self, tokens: torch.Tensor) -> list[str]:
        """The pieces that numbers (T,) stand for, without those that only fill up."""
        return [self.pieces[number] for number in tokens.tolist() if number != PAD]


def _apart(character: str) -> str:
    """A character as BERT sets it: marks stand alone, control characters are gone."""
    category = unicodedata.category(character)
    if character in "\t\n\r" or category == "Zs":
        return " "
    if category.startswith("C") or character == "\ufffd":
        return ""
    symbol = character.isascii() and not character.isalnum() and character.isprintable()
    chinese = unicodedata.name(character, "").startswith(("CJK UNIFIED", "CJK COMPATIBILITY I"))
    return f" {character} " if symbol or chinese or category.startswith("P") else character


class SelfAttention(nn.Module):
    """Every token looks at every token, in several heads at once.

    Vaswani et al. 2017, arXiv:1706.03762, §3.2.

    width: numbers a token, shared out among the heads.
    heads: how many.
    forward: (N, T, width), and which tokens there are (N, T) bool -> (N, T, width).
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.weights = nn.Softmax(-1)  # a layer, so that what it puts out can be read
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        a = self.weights(scores.masked_fill(~there[:, None, None], -torch.inf))
        return self.out((a @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """One layer of a BERT: tokens look at each other, then each is worked on by itself.

    forward: as for `SelfAttention`.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention = SelfAttention(width, heads)
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        x = self.norm1(x + self.attention(x, there))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Bert(nn.Module):
    """A BERT: the numbers of tokens, as from `Tokenizer` -> a vector for each.

    `activations.read(net, tokens, "layers.0")` has what a layer puts out, (N, T, width), and
    "layers.0.attention.weights" where each token looks, (N, heads, T, T): the row looks, the column
    is looked at.

    layers, heads, width: its size.
    tokenizer: cuts the sentences.
    forward: (N, T) int64, 0 where a sentence has ended -> (N, T, width).
    Raises ValueError for what are no tokens.
    """

    def __init__(self, tokenizer: Tokenizer, *, layers: int = 6, heads: int = 12, width: int = 384):
        super().__init__()
        self.tokenizer = tokenizer
        self.words = nn.Embedding(len(tokenizer.pieces), width)
        self.places = nn.Embedding(LONGEST, width)
        self.kinds = nn.Embedding(2, width)  # of two texts side by side; here there is one
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(Block(width, heads) for _ in range(layers))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        validate_tokens(tokens)
        tokens = tokens.to(self.words.weight.device)
        x = self.words(tokens) + self.places.weight[: tokens.shape[1]] + self.kinds.weight[0]
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x, tokens != PAD)
        return x


def short_name(name: str) -> str:
    """A weight's name in `Bert`, from its name in the original file."""
    for theirs, ours in (
        ("embeddings.word_embeddings", "words"),
        ("embeddings.position_embeddings", "places"),
        ("embeddings.token_type_embeddings", "kinds"),
        ("embeddings.LayerNorm", "norm"),
        ("encoder.layer", "layers"),
        ("attention.self", "attention"),
        ("attention.output.dense", "attention.out"),
        ("attention.output.LayerNorm", "norm1"),
        ("intermediate.dense", "up"),
        ("output.dense", "down"),
        ("output.LayerNorm", "norm2"),
    ):
        name = name.replace(theirs, ours)
    return name


def validate_tokens(tokens: torch.Tensor) -> None:
    """Raise ValueError unless these are the tokens of sentences, (N, T) int64."""
    if not is_tokens(tokens) or not tokens.numel() or tokens.shape[1] > LONGEST:
        raise ValueError(
            f"The numbers of tokens are wanted, int64 (N, T) with T at most {LONGEST}, as"
            f" net.tokenizer(texts) makes them; {described(tokens)} came."
        )
    if (tokens[:, 0] == PAD).any():
        raise ValueError(
            "A sentence here has no first token, only 0, which fills up short sentences. Make the"
            " tokens by net.tokenizer(texts)."
        )
