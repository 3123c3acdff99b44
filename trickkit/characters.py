"""A small network that reads Python a character at a time, and what its cells remember.

Karpathy, Johnson, Fei-Fei 2015, arXiv:1506.02078, whose network read the Linux kernel.

It learnt the standard library, which every machine with Python has. Text is a str of `ALPHABET`; a
cell's state is a number a character, after reading that one.
"""

import math
import pathlib
import random
import re
import sysconfig
from collections.abc import Sequence

import torch
from torch import nn

from trickkit import models
from trickkit.common import progress_bar, validate_count, validate_positive
from trickkit.contract import drawn_from, with_gradients

ALPHABET = "\n" + "".join(map(chr, range(32, 127)))  # what nearly all of Python is written in
HIDDEN = 192
FILE = "weights/characters.safetensors"
# never trained on
HELD_OUT = (
    "bisect",
    "calendar",
    "csv",
    "fractions",
    "heapq",
    "shlex",
    "tempfile",
    "textwrap",
)
# tables, tests, tools, and what others wrote
SKIPPED_FOLDERS = {
    "encodings",
    "pydoc_data",
    "lib2to3",
    "idlelib",
    "test",
    "tests",
    "idle_test",
    "site-packages",
    "dist-packages",
}
STRING_OR_COMMENT = re.compile(
    r"""(?P<quote>\"{3}|'{3})(?:\\.|(?!(?P=quote)).)*(?P=quote)?  # three quotes may hold line ends
        |"(?:\\.|[^"\\\n])*"? | '(?:\\.|[^'\\\n])*'? | (?P<comment>\#[^\n]*)""",
    re.DOTALL | re.VERBOSE,
)


class Reader(nn.Module):
    """An LSTM with forget gates that predicts the next character.

    Hochreiter, Schmidhuber 1997; Gers et al. 2000.

    hidden: how many cells.
    forward: codes (T, N) int64, a column a text, and the state to start from -> logits (T, N, 96),
        and the state at the end.
    """

    def __init__(self, hidden: int = HIDDEN):
        super().__init__()
        self.lstm = nn.LSTM(len(ALPHABET), hidden)
        self.out = nn.Linear(hidden, len(ALPHABET))
        with torch.no_grad():
            # forget gates begin open, or nothing is remembered long enough
            self.lstm.get_parameter("bias_ih_l0")[hidden : 2 * hidden] += 1

    def forward(
        self, codes: torch.Tensor, state: tuple | None = None
    ) -> tuple[torch.Tensor, tuple]:
        seen, state = self.lstm(nn.functional.one_hot(codes, len(ALPHABET)).float(), state)
        return self.out(seen), state


def untrained(*, seed: int = 0, hidden: int = HIDDEN) -> Reader:
    """A reader before its training: random weights. Same seed, same weights."""
    with drawn_from(seed):
        return Reader(hidden).eval()


def trained() -> Reader:
    """The reader that learnt the standard library, as shipped; frozen, on the processor.

    `make weights` trains it anew.
    """
    return models.load_weights(Reader(), FILE)


def encode(text: str) -> torch.Tensor:
    """The place of each character in `ALPHABET`: (T,) int64.

    Raises ValueError for an empty text or another character.
    """
    if not isinstance(text, str) or not text:
        raise ValueError(
            f"A text is wanted, a str of at least one character; {type(text).__name__} {text!r:.40}"
            " came."
        )
    places = [ALPHABET.find(character) for character in text]
    if -1 in places:
        raise ValueError(
            f"{text[places.index(-1)]!r} is not among the characters this network knows: printable"
            " ASCII and the line end. characters.plain(text) replaces all others."
        )
    return torch.tensor(places)


def plain(text: str) -> str:
    """A text in `ALPHABET`: its tabs as spaces, and a question mark for each other character."""
    return "".join(c if c in ALPHABET else "?" for c in text.expandtabs(8))


def library(*, held_out: bool = False) -> list[str]:
    """The modules of Python's standard library as texts, without its tests and tables.

    They differ a little from one version of Python to the next.

    held_out: only those `HELD_OUT`; if False, all the others.
    Raises FileNotFoundError where Python came without sources.
    """
    root = pathlib.Path(sysconfig.get_paths()["stdlib"])
    files = sorted(
        f for f in root.rglob("*.py") if not SKIPPED_FOLDERS & set(f.relative_to(root).parts)
    )
    kept = [f for f in files if (f.parent == root and f.stem in HELD_OUT) == held_out]
    if not kept:
        raise FileNotFoundError(
            f"There is no Python source in {root}: this Python came without that of its standard"
            " library."
        )
    return [plain(f.read_text(encoding="utf-8", errors="replace")) for f in kept]


@with_gradients
def train(
    model: Reader,
    texts: Sequence[str],
    *,
    steps: int,
    lr: float = 4e-3,
    streams: int = 32,
    length: int = 100,
    seed: int = 0,
) -> Reader:
    """Train a reader in place by Adam, lr falling to 0 on a half cosine, and hand it back.

    It comes back in eval mode. The texts, in an order drawn from the seed, make one long tape, cut
    into pieces that are read side by side. The state goes on from step to step, the gradient does
    not (truncated backpropagation).

    texts: strs of `ALPHABET`.
    steps: how many.
    lr: Adam's first step.
    streams: how many pieces.
    length: characters of each piece that a step reads.
    seed: of the order of the texts.
    Raises ValueError for texts too short for so many pieces of more than that length, and settings
        that make no sense.
    """
    validate_count(steps=steps, streams=streams, length=length)
    validate_positive(lr=lr)
    order = random.Random(seed).sample(list(texts), len(texts))
    tape = encode("\n".join(order))
    tape = tape[: len(tape) // streams * streams].view(streams, -1).T  # (characters, streams)
    if len(tape) <= length:
        raise ValueError(
            f"{tape.numel()} characters are too few for {streams} streams of more than {length}."
            " Give more text."
        )
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    place = 0
    state = None
    model.train()
    for _ in progress_bar(range(steps), "reading"):
        if place + length + 1 > len(tape):
            place = 0
            state = None
        codes = tape[place : place + length + 1]
        logits, state = model(codes[:-1], state)
        state = tuple(s.detach() for s in state)
        place = place + length
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), codes[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
    return model.eval()


@torch.no_grad()
def bits_per_character(model: Reader, texts: Sequence[str]) -> float:
    """How many bits a character costs on average, when the model guesses each from those before.

    It is the cross-entropy, with log₂.

    texts: strs of `ALPHABET`, one of them of two characters or more.
    Raises ValueError where there is no character to guess.
    """
    spent = total = 0.0
    for text in texts:
        codes = encode(text)
        if len(codes) == 1:
            continue  # nothing stands before its only character
        logits, _ = model(codes[:-1, None])
        spent += nn.functional.cross_entropy(logits[:, 0], codes[1:], reduction="sum").item()
        total += len(codes) - 1
    if not total:
        raise ValueError("There is nothing to guess: a text of two characters or more is wanted.")
    return spent / total / math.log(2)


@torch.no_grad()
def states(model: Reader, text: str) -> torch.Tensor:
    """What every cell holds after each character: c, of any size, (T, hidden).

    The gates as in the textbooks:

    i, f, g, o = W x + U h + b      c = σ(f) · c + σ(i) · tanh(g)      h = σ(o) · tanh(c)
    """
    w, u, b_input, b_hidden = model.lstm.parameters()
    hidden = model.lstm.hidden_size
    h = c = torch.zeros(hidden)
    seen = []
    for x in nn.functional.one_hot(encode(text), len(ALPHABET)).float():
        gates = w @ x + b_input + u @ h + b_hidden
        i, f, g, o = gates.chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        seen.append(c)
    return torch.stack(seen)


def marks(text: str) -> dict[str, torch.Tensor]:
    """What a reader of Python might keep in mind after each character: six floats (T,) by name.

    "in a string", "in a comment" and "in either" are 0 or 1; "brackets" is how many stand open,
    those in strings and comments not counted; "indentation" the spaces at the line's beginning, as
    far as read; "column" the place in the line.
    """
    said = torch.zeros(6, len(text))
    for found in STRING_OR_COMMENT.finditer(text):
        comment = found.group("comment") is not None
        closed = not comment and len(found[0]) > 1 and found[0][-1] == found[0][0]
        said[int(comment), found.start() : found.end() - closed] = 1
    depth = column = indent = 0
    inside = said[:2].any(0)
    said[2] = inside
    # closing quotes are no code either
    ends = {found.end() - 1 for found in STRING_OR_COMMENT.finditer(text)}
    for place, character in enumerate(text):
        if not inside[place] and place not in ends:
            depth = max(0, depth + (character in "([{") - (character in ")]}"))
        indent = column + 1 if character == " " and indent == column else indent
        column += 1
        said[3:, place] = torch.tensor([depth, indent, column])
        if character == "\n":
            column = indent = 0
    return dict(
        zip(
            ("in a string", "in a comment", "in either", "brackets", "indentation", "column"),
            said,
            strict=True,
        )
    )
