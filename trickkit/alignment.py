"""Networks that translate a character at a time, and what they look at while they do.

An encoder-decoder with one vector between (Cho et al. 2014; Sutskever, Vinyals, Le 2014), or with
attention (Bahdanau, Cho, Bengio 2014), on two tasks: dates in seven formats, where we know which
characters each piece of the answer comes from; and strings of any length, to be reversed. A text is
a str of `SYMBOLS`. Its codes are their places there, counted from 1; 0 fills the rest of a row.
"""

import datetime
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from trickkit import models
from trickkit.attention import AdditiveAttention
from trickkit.common import progress_bar, unknown, validate_count, validate_positive
from trickkit.contract import drawn_from, seeded, with_gradients

SYMBOLS = " ,./()-" + string.digits + string.ascii_letters
FILE = "weights/alignment.safetensors"
STORED = {  # what `trained` knows: a task and its seeds, for each kind of network
    "dates": (0, 1, 2),
    "reversal": (0, 1),
}
PIECES = {"year": slice(0, 4), "month": slice(5, 7), "day": slice(8, 10)}  # of 1987-03-24
# The order in which a format writes its pieces, and what stands between. {y} is 87, {Y} 1987.
DATE_FORMATS = (
    "{d} {month} {Y}",
    "{month} {d}, {Y}",
    "{weekday}, {d}{th} of {mon} {y}",
    "{d}.{m}.{Y}",
    "{m}/{d}/{y}",
    "{mon} {d}{th}, {Y} ({wkd})",
    "in {Y}, on {month} {d}{th}",
)


@dataclass(frozen=True)
class Dates:
    """Dates as people write them, as ISO 8601 has them, and where each piece comes from.

    texts: (n,), such as "Tuesday, 24th of Mar 87".
    answers: (n,), such as "1987-03-24".
    sources: (n, 10, T) bool, the characters of a text that tell a character of its answer: those
        of the year for each of 1987, none for a hyphen. T is the longest text's length.
    formats: (n,), each text's place in `DATE_FORMATS`.
    """

    texts: list[str]
    answers: list[str]
    sources: torch.Tensor
    formats: list[int]


def dates(count: int, *, seed: int) -> Dates:
    """Random days from 1950 to 2049, each in one of `DATE_FORMATS`. Same seed, same dates.

    count: how many.
    seed: of the days and the formats.
    """
    validate_count(count=count)
    dice = random.Random(seeded(seed).initial_seed())
    first = datetime.date(1950, 1, 1).toordinal()
    last = datetime.date(2049, 12, 31).toordinal()
    days = [datetime.date.fromordinal(dice.randint(first, last)) for _ in range(count)]
    formats = [dice.randrange(len(DATE_FORMATS)) for _ in range(count)]
    written = [_written(day, DATE_FORMATS[form]) for day, form in zip(days, formats, strict=True)]
    sources = torch.zeros(count, 10, max(len(text) for text, _ in written), dtype=torch.bool)
    for source, (_, spans) in zip(sources, written, strict=True):
        for piece, places in PIECES.items():
            source[places, spans[piece[0]]] = True
    return Dates([text for text, _ in written], [str(day) for day in days], sources, formats)


def _written(day: datetime.date, form: str) -> tuple[str, dict[str, slice]]:
    """A day in a format, and where its parts stand, by their first letters: y, m, d, …"""
    fields = {
        "Y": f"{day:%Y}",
        "y": f"{day:%y}",
        "m": str(day.month),
        "month": f"{day:%B}",
        "mon": f"{day:%b}",
        "d": str(day.day),
        "th": "th" if 11 <= day.day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th"),
        "weekday": f"{day:%A}",
        "wkd": f"{day:%a}",
    }
    text = ""
    spans = {}
    for between, field, _, _ in string.Formatter().parse(form):
        text += between
        if field:
            spans[field[0].lower()] = slice(len(text), len(text) + len(fields[field]))
            text += fields[field]
    return text, spans


def strings(count: int, *, shortest: int, longest: int, seed: int) -> list[str]:
    """Random small letters, to be reversed. Same seed, same strings.

    count: how many.
    shortest, longest: letters of each, both ends included.
    seed: of the lengths and the letters.
    """
    validate_count(count=count, shortest=shortest, longest=longest)
    dice = random.Random(seeded(seed).initial_seed())
    return [
        "".join(dice.choices(string.ascii_lowercase, k=dice.randint(shortest, longest)))
        for _ in range(count)
    ]


def codes(texts: Sequence[str]) -> torch.Tensor:
    """Each character's place in `SYMBOLS`, from 1, a row a text, and 0 to the end of its row.

    texts: (n,), strs of at least one character.
    Returns (n, T) int64, T the longest text's length.
    Raises ValueError for no text, an empty one, or a character that is not among `SYMBOLS`.
    """
    if isinstance(texts, str) or not texts or not all(isinstance(t, str) and t for t in texts):
        raise ValueError(
            f"A list of texts is wanted, each of at least one character; {texts!r:.60} came."
        )
    if strange := set("".join(texts)) - set(SYMBOLS):
        raise ValueError(
            f"{min(strange)!r} is not among the characters these networks know: letters, digits and"
            f" {SYMBOLS[:7]!r}."
        )
    rows = [torch.tensor([SYMBOLS.index(c) + 1 for c in text]) for text in texts]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


class Seq2Seq(nn.Module):
    """Reads a text from both ends, and writes another, a character at a time.

    s_t = GRU(s_{t-1}, y_{t-1}, c), where c is what it knows of the text: either what was in mind at
    its two ends, the same at each step (Cho et al. 2014, arXiv:1406.1078), or what attention
    fetches, anew at each step (Bahdanau et al. 2014, arXiv:1409.0473, eq. 4 to 7).

    attend: whether it has attention.
    hidden: the length of s, and of what each direction of the encoder says of a character.
    forward: codes (N, T), how many characters to write, and perhaps the right ones, codes
        (N, length), each of which is then fed to the next step (teacher forcing) -> logits
        (N, length, symbols), and attention's weights (N, length, T), or None without attention.
    """

    def __init__(self, *, attend: bool, hidden: int = 64):
        super().__init__()
        symbols = len(SYMBOLS) + 1
        self.embedding = nn.Embedding(symbols, hidden // 2)
        self.encoder = nn.GRU(hidden // 2, hidden, bidirectional=True, batch_first=True)
        self.start = nn.Linear(2 * hidden, hidden)
        self.attention = AdditiveAttention(2 * hidden, hidden, state=hidden) if attend else None
        self.decoder = nn.GRUCell(hidden // 2 + 2 * hidden, hidden)
        self.out = nn.Linear(hidden, symbols)

    def forward(
        self, text: torch.Tensor, *, length: int, answer: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        h, ends = self.read(text)
        s = self.start(ends).tanh()
        last = torch.zeros_like(text[:, 0])  # nothing was written yet
        c = ends
        Uh = self.attention.U(h) if self.attention else None  # the same at each step
        logits = []
        weights = []
        for t in range(length):
            if self.attention is not None:
                c, a = self.attention(h, text > 0, s, Uh)
                weights.append(a)
            s = self.decoder(torch.cat([self.embedding(last), c], 1), s)
            logits.append(self.out(s))
            last = logits[-1].argmax(1) if answer is None else answer[:, t]
        return torch.stack(logits, 1), torch.stack(weights, 1) if weights else None

    def read(self, text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the encoder says of each character, (N, T, 2 hidden), and of all, (N, 2 hidden).

        text: codes (N, T).
        """
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(text), (text > 0).sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, ends = self.encoder(packed)
        h, _ = nn.utils.rnn.pad_packed_sequence(
            states, batch_first=True, total_length=text.shape[1]
        )
        return h, torch.cat([*ends], 1)


@with_gradients
def train(
    model: Seq2Seq,
    texts: Sequence[str],
    answers: Sequence[str],
    *,
    epochs: int = 1,
    lr: float = 4e-3,
    batch_size: int = 64,
    seed: int = 0,
) -> Seq2Seq:
    """Train a translator in place by Adam, teacher-forced, lr falling to 0 on a half cosine.

    Same seed, same order of texts.

    texts, answers: (n,), strs of `SYMBOLS`.
    epochs: how often each text is read.
    lr: Adam's first step.
    batch_size: texts a step.
    seed: of the order.
    Returns the model, in eval mode.
    Raises ValueError where there is not one answer a text.
    """
    validate_count(epochs=epochs, batch_size=batch_size)
    validate_positive(lr=lr)
    text = codes(texts)
    answer = codes(answers)
    if len(text) != len(answer):
        raise ValueError(
            f"An answer to each text is wanted: {len(text)} texts and {len(answer)} answers came."
        )
    generator = seeded(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    order = [
        rows
        for _ in range(epochs)
        for rows in torch.randperm(len(text), generator=generator).split(batch_size)
    ]
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(order))
    model.train()
    for rows in progress_bar(order, "training"):
        x = trimmed(text[rows])
        y = trimmed(answer[rows])
        logits, _ = model(x, length=y.shape[1], answer=y)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
    return model.eval()


def trimmed(ids: torch.Tensor) -> torch.Tensor:
    """Rows of codes without the columns at their end that are 0 in all of them."""
    return ids[:, : int((ids > 0).sum(1).max())]


def untrained_translator(*, attend: bool, seed: int = 0, hidden: int = 64) -> Seq2Seq:
    """A translator before its training: random weights. Same seed, same weights."""
    with drawn_from(seed):
        return Seq2Seq(attend=attend, hidden=hidden).eval()


def trained_translator(task: str, *, attend: bool, seed: int = 0) -> Seq2Seq:
    """A translator that came with the course, frozen. `make weights` trains it anew.

    task: "dates" or "reversal".
    attend: with attention or with one vector between.
    seed: which of its twins, 0, 1 or, for dates, 2.
    Raises ValueError for another task or seed.
    """
    if task not in STORED:
        raise unknown("task", task, STORED)
    if seed not in STORED[task]:
        raise ValueError(f"seed is {seed!r}; {task} came with seeds {STORED[task]}.")
    return models.load_weights(Seq2Seq(attend=attend), FILE, prefix=f"{task}.{attend}.{seed}.")


@torch.no_grad()
def translate(
    model: Seq2Seq, texts: Sequence[str], *, length: int | None = None
) -> tuple[list[str], torch.Tensor | None]:
    """What a model makes of texts, each character the likeliest, fed to the next step.

    texts: (n,), strs of `SYMBOLS`.
    length: of the answers, 10 for dates; None for answers as long as their texts.
    Returns the answers, and attention's weights (n, length, T), which sum to 1 over a text's
        characters; None for a model without attention.
    """
    text = codes(texts)
    logits, weights = model(text, length=length or text.shape[1])
    symbols = "\0" + SYMBOLS
    said = ["".join(symbols[c] for c in row) for row in logits.argmax(2).tolist()]
    ends = [length or len(text) for text in texts]
    return [answer[:end] for answer, end in zip(said, ends, strict=True)], weights


def alignment_score(weights: torch.Tensor, known: Dates) -> pd.DataFrame:
    """How much attention lies where the answer comes from.

    weights: of `translate`, (n, 10, T).
    known: the dates that were translated.
    Returns a row for year, month and day, and shares in [0, 1]: "mass", the attention on the
        characters that tell that piece; "peak", how often the largest weight is on one of them;
        "uniform", the mass, and also the chance of such a hit, if all characters got the same.
    Raises ValueError for weights of another shape.
    """
    n, _, longest = known.sources.shape
    if tuple(weights.shape) != (n, 10, longest):
        raise ValueError(
            f"Weights of shape {(n, 10, longest)} are wanted, ten characters for each date; theirs"
            f" is {tuple(weights.shape)}."
        )
    lengths = torch.tensor([len(text) for text in known.texts])
    rows = {}
    for piece, places in PIECES.items():
        seen = weights[:, places]
        right = known.sources[:, places]
        rows[piece] = {
            "mass": (seen * right).sum(2).mean().item(),
            "peak": right.gather(2, seen.argmax(2, keepdim=True)).float().mean().item(),
            "uniform": (right.sum(2) / lengths[:, None]).mean().item(),
        }
    return pd.DataFrame(rows).T


def right_characters(said: Sequence[str], answers: Sequence[str]) -> float:
    """The share of characters that are right, in their place: 0 to 1."""
    pairs = [c == d for a, b in zip(said, answers, strict=True) for c, d in zip(a, b, strict=True)]
    return sum(pairs) / len(pairs)


def reversal_by_length(
    model: Seq2Seq, lengths: Sequence[int], *, count: int = 200, seed: int = 0
) -> pd.Series:
    """The share of letters that a model reverses rightly, 0 to 1, by the length of the string.

    Bahdanau et al. 2014, figure 2, asked of a task whose difficulty is all in the length.

    lengths: in letters.
    count: strings of each.
    seed: of the strings; 0 and above are none that `train` saw in `make weights`.
    """
    found = {}
    for length in lengths:
        asked = strings(count, shortest=length, longest=length, seed=seed)
        said, _ = translate(model, asked)
        found[length] = right_characters(said, [text[::-1] for text in asked])
    return pd.Series(found)
