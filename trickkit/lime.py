"""LIME for tables, text and pictures: explain one answer of any black box by a line near it.

Ribeiro, Singh, Guestrin 2016, arXiv:1602.04938.

One core for tables, text and pictures. What an explanation speaks of is a *feature* of the case: a
condition that a row meets, a word of a text, a patch of a picture. Rows of 0 and 1 say which
features are kept; the black box, or box for short, is asked about each; near rows count more
(`nearness`); a weighted ridge regression gives every feature a weight (`weighted_ridge`). Where the
box is asked is drawn evenly (`sobol`) and not by dice, so that two seeds tell nearly the same
story. Below that, what choosing among explanations needs (`pick`), and two ways to make them lie
(`liar`, `disguised`). The paper's measurements are the module `papers.ribeiro2016`.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import qmc
from sklearn.ensemble import RandomForestClassifier

from trickkit.common import top_by_magnitude, validate_count, validate_seed, whole_number
from trickkit.contract import (
    Model,
    described,
    logits_of,
    validate_batch,
    validate_eval,
    validate_images,
    validated_labels,
)
from trickkit.rules import conditions

FIRST_SAMPLES = 512  # answers to begin with; a power of two, since `sobol` is evenest there
MAX_SAMPLES = 16384  # a power of two too
TOP = 5  # weights that must stand before we stop
SLIGHT = 0.05  # of the largest weight: which of such are in the top does not matter
BATCH = 4  # pictures at a time: more take memory anew for every layer, and go slower there
COSINE_WIDTH = 1 / math.sqrt(8)  # the lime package's, written for exp(-D²/width²)
Z_95 = 1.96  # standard errors in half of a 95 % interval
SLACK = 1e-2  # by which probabilities may miss 1: floats of 16 bits, or two digits
MAX_DIMENSIONS = qmc.Sobol.MAXDIM
# Han, Japanese, Thai, Lao, Myanmar and Khmer leave no space between words
UNSPACED = (
    "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
PICTURED = "\u2600-\u27bf\u2b50-\u2b55\U0001f000-\U0001faff"  # emoji
JOINERS = "\u200c\u200d"

TablePredictor = Callable[[pd.DataFrame], np.ndarray]
TextPredictor = Callable[[list[str]], np.ndarray]


@dataclass(frozen=True)
class Explanation:
    """A line near one case: answer ≈ intercept + the sum of the weights of the features kept.

    Prints as a few sentences.

    names: of the d features.
    weights: (d,), in probability.
    intervals: (d, 2), 95 %.
    intercept: what the line says where nothing is kept.
    r2: how much of the black box's ups and downs near the case the line follows, 1 at best, NaN
        where there are none.
    samples: how many answers it rests on.
    answer: what the black box itself says to the case.
    settled: whether the two halves of the answers, each alone, name the same top, and the interval
        of the largest weight keeps clear of 0 (there is none where the answers have no ups and
        downs: then True).
    """

    names: tuple[str, ...]
    weights: np.ndarray
    intervals: np.ndarray
    intercept: float
    r2: float
    samples: int
    answer: float
    settled: bool

    @property
    def line(self) -> float:
        """What the line says to the case itself."""
        return float(self.intercept + self.weights.sum())

    @property
    def clear(self) -> np.ndarray:
        """Whether each interval keeps clear of 0, (d,)."""
        low, high = self.intervals.T
        return (low > 0) | (high < 0)

    def top(self, k: int = TOP) -> list[str]:
        """The names of the k largest weights, as `top_by_magnitude` takes them; of all if fewer."""
        validate_count(k=k)
        return [self.names[i] for i in top_by_magnitude(self.weights, k=k)]

    def __str__(self) -> str:
        order = top_by_magnitude(self.weights)
        follows = f"local R² {self.r2:.2f}"
        if math.isnan(self.r2):
            follows = "and the answers have no ups and downs"
        lines = [f"The box says {self.answer:.3f}; the line says {self.line:.3f}, {follows}"]
        for i in order[:8]:
            low, high = self.intervals[i]
            lines.append(f"{self.weights[i]:+.3f}  ({low:+.3f} to {high:+.3f})  {self.names[i]}")
        if len(order) > 8:
            lines.append(f"and {len(order) - 8} smaller")
        k = top_count(len(order))
        clear = self.clear[order[:k]]
        if self.settled:
            share = "all" if clear.all() else f"{clear.sum()} of them"
            stands = f"both halves name the same top {k}, {share} clear of 0"
        elif clear[0]:
            stands = f"not settled, the halves name different top {k}"
        else:
            stands = "not settled, the largest weight is not clear of 0"
        lines.append(f"{self.samples:,} answers: {stands}")
        return "\n".join(lines)


# The core.


def euclidean(z: np.ndarray) -> np.ndarray:
    """How far rows of 0 and 1 are from the row of ones: √(number of zeros). (n, d) -> (n,)"""
    return np.sqrt((1 - z).sum(1))


def cosine(z: np.ndarray) -> np.ndarray:
    """The same as 1 − cosine of the angle: 1 − √(share of ones), 0 to 1. (n, d) -> (n,)"""
    return 1 - np.sqrt(z.mean(1))


def nearness(
    z: np.ndarray, *, width: float, distance: Callable[[np.ndarray], np.ndarray] = cosine
) -> np.ndarray:
    """How much each row counts: exp(−D²/width²), D its distance from the case, which is all ones.

    The paper's π, §3.4.

    z: (n, d) of 0 and 1.
    width: at which distance a row counts 1/e.
    distance: `cosine` or `euclidean`.
    Returns (n,), 1 for the case itself.
    """
    return np.exp(-(distance(z) ** 2) / width**2)


def weighted_ridge(
    z: np.ndarray, answers: np.ndarray, sample_weight: np.ndarray, *, penalty: float = 1.0
) -> np.ndarray:
    """Weighted ridge regression: the b that makes Σ w · (answer − b₀ − z·b)² + penalty · ‖b‖²
    smallest, b₀ unpunished.

    z: (n, d).
    answers: (n,).
    sample_weight: (n,), w.
    penalty: 0 or more.
    Returns (1 + d,): the intercept b₀, then a weight for each column; a column that never changes
        has weight 0.
    """
    middle = np.average(z, axis=0, weights=sample_weight)
    level = np.average(answers, weights=sample_weight)
    centred = z - middle
    weighted = centred * sample_weight[:, None]
    b = np.linalg.solve(
        weighted.T @ centred + penalty * np.eye(z.shape[1]), weighted.T @ (answers - level)
    )
    return np.append(level - middle @ b, b)


def sample_weights(
    z: np.ndarray, *, width: float, distance: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """How much each row counts: its `nearness`, or 1 where there is one feature only. Rows either
    keep that or do not, and none is nearer than another; by cosine the latter would count nothing.

    z, width, distance: as for `nearness`.
    Returns (n,).
    """
    return nearness(z, width=width, distance=distance) if z.shape[1] > 1 else np.ones(len(z))


def weight_intervals(
    z: np.ndarray,
    answers: np.ndarray,
    sample_weight: np.ndarray,
    b: np.ndarray,
    *,
    penalty: float = 1.0,
) -> np.ndarray:
    """95 % intervals of the weights of `weighted_ridge`, by the sandwich formula.

    White 1980; Eicker, Huber.

    A black box has no noise: what is left over is where it is not straight, more in some places
    than in others, so the ordinary formula would be wrong. For rows that were drawn by dice; rows
    of `sobol` move less than this says, a third as much on a forest of 30 columns, so that there
    the intervals are wider than they need be.

    z, answers, sample_weight, penalty: as given to `weighted_ridge`.
    b: what it returned, (1 + d,).
    Returns (d, 2), low and high.
    """
    n, d = z.shape
    centred = z - np.average(z, axis=0, weights=sample_weight)
    bread = np.linalg.inv((centred * sample_weight[:, None]).T @ centred + penalty * np.eye(d))
    scores = centred * (sample_weight * (answers - b[0] - z @ b[1:]))[:, None]
    spread = np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread) * n / max(n - d - 1, 1))
    return b[1:, None] + Z_95 * spread[:, None] * np.array([-1, 1])


def sobol(n: int, dimensions: int, *, seed: int) -> np.ndarray:
    """n points in the unit cube, (n, dimensions), spread more evenly than by dice: scrambled Sobol
    points.

    Owen 1998.

    Another seed gives other points, and each on its own is uniform.

    Raises ValueError for fewer than 1 of either, for more dimensions than 21,201, and for a seed
        that is no whole number of at least 0.
    """
    validate_count(n=n, dimensions=dimensions)
    validate_seed(seed)
    if dimensions > MAX_DIMENSIONS:
        raise ValueError(
            f"{dimensions:,} features are too many, for even points have {MAX_DIMENSIONS:,}"
            " coordinates at most. Explain a part of the text, or fewer columns."
        )
    return qmc.Sobol(dimensions, rng=seed).random_base2(max(math.ceil(math.log2(n)), 0))[:n]


def top_count(features: int) -> int:
    """How many of the weights must stand: five, or half of the features where there are few."""
    return min(TOP, (features + 1) // 2)


def explain(
    ask: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    names: Sequence[str],
    *,
    answer: float,
    dimensions: int,
    distance: Callable[[np.ndarray], np.ndarray],
    width: float,
    samples: int | None = None,
    seed: int = 0,
    max_samples: int = MAX_SAMPLES,
    draw: Callable[..., np.ndarray] = sobol,
) -> Explanation:
    """LIME, whatever the case is made of.

    ask: points of the unit cube (n, dimensions) -> which features they keep (n, d), and what the
        black box answers (n,).
    names: of the d features, no two alike.
    answer: what the black box says to the case itself.
    dimensions: of the unit cube.
    distance, width: for `nearness`.
    samples: how many to ask for; None begins with 512 and doubles until the largest weight is clear
        of 0 and both halves, each alone, name the same top five (what weighs less than a twentieth
        of the largest may differ), or `max_samples` is reached.
    seed: for the points.
    max_samples: the most to ask for where samples is None.
    draw: what gives the points, called as `sobol` is.
    Raises ValueError for fewer samples than 2, and for two names that are alike.
    """
    if samples is not None and (whole_number(samples) or 0) < 2:
        raise ValueError(
            f"samples is {samples!r}; 2 or more are wanted, or None to go on until the top weights"
            " stand."
        )
    validate_count(max_samples=max_samples, samples=max_samples if samples is None else samples)
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"Two features are called {twice!r}. Names of their own are wanted.")
    points = draw(samples or max_samples, dimensions, seed=seed)
    z, answers = ask(points[: samples or FIRST_SAMPLES])
    explained = explanation(z, answers, names, answer=answer, distance=distance, width=width)
    while samples is None and not explained.settled and len(z) < max_samples:
        more, said = ask(points[len(z) : 2 * len(z)])
        z = np.concatenate([z, more])
        answers = np.concatenate([answers, said])
        explained = explanation(z, answers, names, answer=answer, distance=distance, width=width)
    return explained


def explanation(
    z: np.ndarray,
    answers: np.ndarray,
    names: Sequence[str],
    *,
    answer: float,
    distance: Callable[[np.ndarray], np.ndarray],
    width: float,
) -> Explanation:
    """The `Explanation` of rows and answers.

    z: (n, d) of 0 and 1, the features that each row keeps.
    answers: (n,), what the black box said to it.
    names, answer, distance, width: as given to `explain`.
    """
    z = z.astype(float)
    sample_weight = sample_weights(z, width=width, distance=distance)
    b = weighted_ridge(z, answers, sample_weight)
    residual = np.average((answers - b[0] - z @ b[1:]) ** 2, weights=sample_weight)
    level = np.average(answers, weights=sample_weight)
    total = np.average((answers - level) ** 2, weights=sample_weight)
    tops = []
    for half in (slice(len(z) // 2), slice(len(z) // 2, None)):
        weights = weighted_ridge(z[half], answers[half], sample_weight[half])[1:]
        tops.append(set(top_by_magnitude(weights, k=top_count(len(names))).tolist()))
    largest = top_by_magnitude(b[1:], k=1)[0]
    slight = SLIGHT * abs(b[1 + largest]) + 1e-9
    agreed = all(abs(b[1 + i]) <= slight for i in tops[0] ^ tops[1])
    intervals = weight_intervals(z, answers, sample_weight, b)
    flat = total <= 1e-20
    return Explanation(
        names=tuple(names),
        weights=b[1:],
        intervals=intervals,
        intercept=float(b[0]),
        r2=math.nan if flat else 1 - residual / total,
        samples=len(z),
        answer=float(answer),
        settled=agreed and bool(flat or not intervals[largest, 0] <= 0 <= intervals[largest, 1]),
    )


def asked_about(
    predict_proba: Callable[..., np.ndarray], rows: Any, *, target: int = 1
) -> np.ndarray:
    """What a black box says of one class: (n,).

    predict_proba, rows: as for `class_probabilities`.
    target: the class.
    Raises ValueError for a class that it lacks.
    """
    said = class_probabilities(predict_proba, rows)
    place = whole_number(target)
    if place is None or not 0 <= place < said.shape[1]:
        raise ValueError(
            f"target is {target!r}; the black box's classes are 0 to {said.shape[1] - 1}."
        )
    return said[:, place]


def class_probabilities(predict_proba: Callable[..., np.ndarray], rows: Any) -> np.ndarray:
    """What a black box says: (n, K), as `validated_probabilities` takes it.

    predict_proba: the black box. It gets a copy, since it may work in place.
    rows: what it is asked about, n of them, in whatever it can read.
    Raises ValueError for what is no function.
    """
    if not callable(predict_proba):
        raise ValueError(
            "A black box is a function, such as model.predict_proba; a"
            f" {type(predict_proba).__name__} came."
        )
    n = rows.shape[0] if hasattr(rows, "shape") else len(rows)
    return validated_probabilities(predict_proba(rows.copy()), asked=n)


def validated_probabilities(answers: object, *, asked: int) -> np.ndarray:
    """A black box's answers, (n, K), once they are seen to be probabilities.

    answers: what it returned; (n, K) is wanted, K at least 2.
    asked: n, the number of rows it was asked about.
    Raises ValueError for anything else, with what to do.
    """
    if isinstance(answers, torch.Tensor):
        answers = answers.detach().cpu().double().numpy()
    try:
        given = np.asarray(answers)
        real = "O" if np.iscomplexobj(given) else given.dtype  # objects refuse to lose a part
        said = np.array(given.astype(real), dtype=float)  # a copy: the box may use its own again
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The black box answered with a {type(answers).__name__}, which holds no real numbers."
            " Probabilities (rows, classes) are wanted: give predict_proba, not predict."
        ) from error
    if said.ndim == 1:
        raise ValueError(
            f"The black box answered with shape {said.shape}, one number a row, such as labels."
            " Probabilities (rows, classes) are wanted: give predict_proba, not predict. If one"
            " column came, of probabilities p, hand over np.column_stack([1 - p, p])."
        )
    if said.ndim != 2 or len(said) != asked or not said.shape[1]:
        raise ValueError(
            f"The black box was asked about {asked} rows and answered with shape {said.shape};"
            f" ({asked}, classes) is wanted."
        )
    if said.shape[1] == 1:
        raise ValueError(
            "One column came, so the black box's classes are 0 to 0, and two or more are wanted. If"
            " it holds probabilities p, hand over np.column_stack([1 - p, p])."
        )
    if not np.isfinite(said).all():
        raise ValueError(
            "The black box answered with numbers that are not finite, in"
            f" {(~np.isfinite(said)).any(1).sum()} of {asked} rows. Probabilities are wanted."
        )
    if (said < -1e-6).any() or (np.abs(said.sum(1) - 1) > SLACK).any():
        raise ValueError(
            f"The black box's rows are no probabilities: they sum to {said.sum(1).min():.3g} to"
            f" {said.sum(1).max():.3g}, and 1 is wanted. Scores want a softmax first."
        )
    return said


# Tables, text, pictures.


class TableSampler:
    """A table made ready, once, for all the rows to be explained against it: it is checked, each
    column is sorted, and numbers are cut into quarters.

    train: the table.
    Raises ValueError for what `conditions.validate_frame` refuses.
    """

    def __init__(self, train: pd.DataFrame):
        conditions.validate_frame(train)
        self.seen = conditions.brief(train)
        self.columns = {}
        self.cuts = {}
        for name, column in train.items():
            number = conditions.is_number(column)
            values = conditions.unwrapped(column) if number else conditions.coded_words(column)[1]
            self.columns[name] = column.array.take(np.argsort(values, kind="stable"))
            self.cuts[name] = conditions.column_conditions(column) if number else []

    def __call__(self, points: np.ndarray) -> pd.DataFrame:
        """Made-up rows: every column drawn from its own values, whatever the other columns hold.

        points: (n, columns) in [0, 1); a point is a place in the sorted column. So every value, and
            every condition on it, comes as often as in the table.
        Raises ValueError where points and columns differ, and for points outside [0, 1).
        """
        points = np.asarray(points, dtype=float)
        if points.ndim != 2 or points.shape[1] != len(self.columns):
            raise ValueError(
                f"A number a column is wanted: {len(self.columns)} columns, and points of shape"
                f" {points.shape} came."
            )
        if not ((points >= 0) & (points < 1)).all():
            raise ValueError("Points from 0 to below 1 are wanted, as sobol gives them.")
        made = zip(self.columns.values(), points.T, strict=True)
        rows = (values.take((place * len(values)).astype(int)) for values, place in made)
        return conditions.framed(rows, self.seen.columns)

    def features(self, row: pd.DataFrame | pd.Series | Mapping) -> list[conditions.Condition]:
        """What LIME says of a row: for each column its word, or the quarter of the table's values
        that its number lies in.

        row: one row, with the table's columns, as `conditions.one_row` takes it.
        """
        row = conditions.one_row(row, self.seen)
        found = []
        for name, cuts in self.cuts.items():
            [value] = conditions.unwrapped(row[name]).tolist()
            own = [condition for condition in cuts if condition.holds(row)[0]]
            found += own or [conditions.Condition(name, value=value)]
        return found


def resample_columns(train: pd.DataFrame, points: np.ndarray) -> pd.DataFrame:
    """Made-up rows of a table, as `TableSampler` draws them: (n, columns) points -> n rows."""
    return TableSampler(train)(points)


def row_features(
    row: pd.DataFrame | pd.Series | Mapping, train: pd.DataFrame
) -> list[conditions.Condition]:
    """What LIME says of a row of a table, as `TableSampler.features`."""
    return TableSampler(train).features(row)


def explain_table(
    predict_proba: TablePredictor,
    row: pd.DataFrame | pd.Series | Mapping,
    train: pd.DataFrame | TableSampler,
    *,
    target: int = 1,
    samples: int | None = None,
    seed: int = 0,
    draw: Callable[..., np.ndarray] = sobol,
) -> Explanation:
    """Why a black box gives a row of a table the probability it gives for a class: a weight for
    each feature of the row, a condition a column.

    A made-up row keeps a feature where the condition holds for it, and counts by
    exp(−zeros / 1.125 d), as in the lime package. Made-up rows are drawn around the table, not the
    case, and count nearly alike.

    predict_proba: a frame with the table's columns -> (rows, K) probabilities, as sklearn's
        predict_proba.
    row: one row: a frame, a Series such as frame.iloc[0], or {column: value}.
    train: the table, or a `TableSampler` of it where many rows are explained.
    target: the class.
    samples: None asks until the top stands, see `explain`.
    seed: for the made-up rows.
    draw: what gives the points that they are made of, called as `sobol` is.
    Raises ValueError for what `conditions.one_row` refuses, for fewer samples than 2, and for a
        black box that does not answer in probabilities.
    """
    sampler = train if isinstance(train, TableSampler) else TableSampler(train)
    row = conditions.one_row(row, sampler.seen)
    features = sampler.features(row)

    def ask(points):
        frame = sampler(points)
        z = np.column_stack([condition.holds(frame) for condition in features])
        return z, asked_about(predict_proba, frame, target=target)

    [answer] = asked_about(predict_proba, row, target=target)
    return explain(
        ask,
        list(map(str, features)),
        answer=answer,
        dimensions=len(features),
        distance=euclidean,
        width=math.sqrt(1.125 * len(features)),
        samples=samples,
        seed=seed,
        draw=draw,
    )


def drop_random(points: np.ndarray) -> np.ndarray:
    """Which features are kept, (n, d) of bool: as many as the first number says are taken away, at
    least one, any as likely.

    points: (n, 1 + d) in [0, 1).
    """
    d = points.shape[1] - 1
    return points[:, 1:].argsort(1, kind="stable").argsort(1) > (points[:, :1] * d).astype(int)


def drop_some(points: np.ndarray) -> np.ndarray:
    """The same, where of one or two features each is kept in half of the rows: one is always taken
    away otherwise, and what is left would be compared with next to nothing.
    """
    return drop_random(points) if points.shape[1] > 3 else points[:, 1:] < 0.5


def word_pattern(text: str) -> str:
    """What a word is in a text, as a regular expression: letters and figures, with their accents
    and vowel signs; one character where a script leaves no space between words, as Chinese,
    Japanese and Thai do; one emoji.
    """
    marks = "".join(sorted({c for c in text if unicodedata.category(c)[0] == "M"})) + JOINERS
    letter = rf"(?![{UNSPACED}])\w"
    emoji = rf"[{PICTURED}](?:[{marks}\U0001f3fb-\U0001f3ff]|(?<=\u200d)[{PICTURED}])*"
    flag = r"[\U0001f1e6-\U0001f1ff]{2}"
    return rf"{letter}(?:{letter}|[{marks}])*|(?=[{UNSPACED}])\w[{marks}]*|{flag}|{emoji}"


def explain_text(
    predict_proba: TextPredictor,
    text: str,
    *,
    target: int = 1,
    words: str | re.Pattern[str] | None = None,
    samples: int | None = None,
    seed: int = 0,
) -> Explanation:
    """Why a black box gives a text the probability it gives for a class: a weight for each of its
    different words.

    A word is taken away wherever it stands. Nearness is by cosine, as in the lime package.

    predict_proba: a list of n texts -> (n, K) probabilities.
    text: one.
    target: the class.
    words: what a word is, as a regular expression, None for `word_pattern`; the rest stays in
        place.
    samples: None asks until the top stands, up to 4,096, see `explain`.
    seed: for the choice of words.
    Raises ValueError for what is no text, for a text without words, for words that are no regular
        expression, find nothing at all, or hold groups in plain brackets, for fewer samples than 2,
        and for a black box that does not answer in probabilities.
    """
    if not isinstance(text, str):
        raise ValueError(f"One text is wanted, as a string; a {type(text).__name__} came.")
    try:
        word = re.compile(word_pattern(text) if words is None else words)
        around = re.compile(f"({word.pattern})", word.flags)
    except (re.error, TypeError) as error:
        raise ValueError(f"words is {words!r}, no regular expression: {error}.") from error
    if word.groups:
        raise ValueError(
            f"words is {words!r}; write its groups as (?:…), for plain brackets would cut the text"
            " twice."
        )
    pieces = around.split(text)  # every other one is a word
    place = {piece: i for i, piece in enumerate(dict.fromkeys(pieces[1::2]))}
    d = len(place)
    if not d:
        wanted = "letters, figures or an emoji" if words is None else f"what {words!r} finds"
        raise ValueError(
            f"There is no word in {text[:40]!r}; a word is {wanted}. Another text is wanted, or"
            " words, a regular expression."
        )
    if "" in place:
        raise ValueError(
            f"words is {words!r}, which is met by no letter at all. Write + where * stands."
        )
    feature = np.full(len(pieces), d)  # what stands between words is always kept
    feature[1::2] = [place[word] for word in pieces[1::2]]

    def ask(points):
        z = drop_some(points)
        kept = np.pad(z, ((0, 0), (0, 1)), constant_values=True)[:, feature]
        texts = [
            "".join(piece for piece, stays in zip(pieces, row, strict=True) if stays)
            for row in kept.tolist()
        ]
        return z, asked_about(predict_proba, texts, target=target)

    [answer] = asked_about(predict_proba, [text], target=target)
    return explain(
        ask,
        list(place),
        answer=answer,
        dimensions=d + 1,
        distance=cosine,
        width=COSINE_WIDTH,
        samples=samples,
        seed=seed,
        max_samples=4096,
    )


def superpixels(image: torch.Tensor, *, count: int = 50) -> torch.Tensor:
    """The patches of a picture, cut so that each is of about one colour: SLIC.

    Achanta et al. 2012.

    image: one, (1, C, H, W) in [0, 1].
    count: about how many.
    Returns (H, W), the number of each pixel's patch: 0, 1, …, none left out.
    Raises ValueError for what is no picture, and for more than one.
    """
    from skimage.segmentation import slic

    validate_images(image)
    validate_count(count=count)
    if len(image) != 1:
        raise ValueError(
            f"One picture is cut at a time, (1, C, H, W); {tuple(image.shape)} came. Take one with"
            " images[[i]]."
        )
    pixels = image[0].detach().permute(1, 2, 0).double().cpu().numpy()
    if pixels.shape[2] == 3:
        found = slic(pixels, count, compactness=10, channel_axis=2, start_label=0)
    else:
        found = slic(pixels[..., 0], count, compactness=0.1, channel_axis=None, start_label=0)
    numbers = np.unique(found, return_inverse=True)[1].reshape(found.shape)  # none left out
    return torch.from_numpy(numbers).to(image.device)


def mean_coloured(image: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
    """A picture in which every patch has its mean colour: what is shown where a patch is hidden.

    image: (1, C, H, W).
    segments: (H, W), the number of each pixel's patch.
    Returns (1, C, H, W).
    Raises ValueError for what `validated_segments` refuses.
    """
    validate_batch(image)
    segments = validated_segments(segments, image)
    flat = image[0].flatten(1)
    place = segments.flatten()
    sums = torch.zeros(len(flat), int(place.max()) + 1, dtype=image.dtype, device=image.device)
    sums.index_add_(1, place, flat)
    return (sums / torch.bincount(place))[:, segments][None]


def hide(
    image: torch.Tensor, segments: torch.Tensor, z: torch.Tensor, cover: torch.Tensor
) -> torch.Tensor:
    """Copies of a picture, each with some of its patches covered.

    image, cover: (1, C, H, W).
    segments: (H, W), the number of each pixel's patch.
    z: (n, patches), 1 or True where a copy keeps the patch of the image, else it shows that of the
        cover.
    Returns (n, C, H, W).
    """
    return torch.where(z.bool()[:, segments][:, None], image, cover)


def validated_segments(segments: torch.Tensor | np.ndarray, image: torch.Tensor) -> torch.Tensor:
    """The patch of each pixel of one image (1, C, H, W), as int64 (H, W) on its device.

    Raises ValueError for other shapes, and unless patches are whole numbers 0, 1, … with none left
        out.
    """
    try:
        patches = torch.as_tensor(segments, device=image.device)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"Patches are wanted, the number of each pixel's, (H, W); {described(segments)} came."
        ) from None
    if len(image) != 1 or patches.shape != image.shape[2:]:
        raise ValueError(
            "One picture is wanted, with the patch of each of its pixels; the shapes are "
            f"{tuple(image.shape)} and {tuple(patches.shape)}."
        )
    whole = not patches.is_floating_point() and not patches.is_complex()
    patches = patches.long()
    if not whole or patches.min() < 0 or len(patches.unique()) != patches.max() + 1:
        raise ValueError(
            "Patches are wanted as whole numbers 0, 1, … with none left out; superpixels(image)"
            " gives such."
        )
    return patches


@torch.no_grad()
def explain_picture(
    model: Model,
    image: torch.Tensor,
    target: int,
    segments: torch.Tensor,
    *,
    samples: int | None = None,
    seed: int = 0,
    cover: torch.Tensor | None = None,
) -> Explanation:
    """Why a model gives a picture the probability it gives for a class: a weight for each patch.

    Each patch is hidden in half of the copies. explanation.weights[segments.cpu()] is a map.

    model: images (N, C, H, W) in [0, 1] -> logits (N, K).
    image: one, (1, C, H, W).
    target: the class.
    segments: its patches, (H, W), as `superpixels` cuts them, or another's whole numbers.
    samples: None asks until the top stands, up to 4,096, see `explain`.
    seed: for the choice of patches.
    cover: what is seen where a patch is hidden, None for its mean colour.
    Raises ValueError for what is no picture, for patches that do not cover it or leave a number
        out, for a class that the model lacks, for a model in train mode, and for fewer samples
        than 2.
    """
    validate_images(image)
    validate_eval(model)
    segments = validated_segments(segments, image)
    d = int(segments.max()) + 1
    logits = logits_of(model, image)
    place = int(validated_labels(target, image, logits.shape[1]))
    if cover is None:
        cover = mean_coloured(image, segments)
    try:
        cover = cover.to(image).expand_as(image)
    except (AttributeError, RuntimeError):
        raise ValueError(
            f"The cover is wanted as an image of the same size, {tuple(image.shape)};"
            f" {described(cover)} came."
        ) from None

    def ask(points):
        z = points < 0.5
        batches = torch.from_numpy(z).to(image.device).split(BATCH)
        shown = (hide(image, segments, rows, cover) for rows in batches)
        said = [logits_of(model, images).softmax(1)[:, place] for images in shown]
        return z, torch.cat(said).double().cpu().numpy()

    return explain(
        ask,
        [f"patch {i}" for i in range(d)],
        answer=logits.softmax(1)[0, place].item(),
        dimensions=d,
        distance=cosine,
        width=COSINE_WIDTH,
        samples=samples,
        seed=seed,
        max_samples=4096,
    )


# Many explanations.


def pick(weights: np.ndarray, *, budget: int) -> list[int]:
    """Which cases to look at, so that few show much: SP-LIME, greedily.

    The paper's algorithm 2.

    A feature matters by I_j = √Σᵢ|weights_ij|; a set of cases covers the features that have a
    weight other than 0 in one of them; each step takes the case that adds most.

    weights: (cases, features).
    budget: how many.
    Returns `budget` places of cases, in the order taken.
    Raises ValueError for weights of another shape, or that are not finite, and for a budget below 1
        or above the number of cases.
    """
    sizes = np.abs(np.asarray(weights, dtype=float))
    if sizes.ndim != 2 or not len(sizes) or not np.isfinite(sizes).all():
        raise ValueError(
            "Weights (cases, features) are wanted, all of them finite; their shape is"
            f" {sizes.shape}."
        )
    if not 1 <= (whole_number(budget) or 0) <= len(sizes):
        raise ValueError(
            f"budget is {budget!r}; with {len(sizes)} cases it goes from 1 to {len(sizes)}."
        )
    matters = np.sqrt(sizes.sum(0))
    open_ = np.ones(sizes.shape[1], dtype=bool)
    chosen: list[int] = []
    for _ in range(budget):
        gain = (sizes > 0) @ (matters * open_)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        open_ &= sizes[chosen[-1]] == 0
    return chosen


# Explanations that lie.


def liar(frame: pd.DataFrame) -> np.ndarray:
    """A black box that changes its answer with any one column, and of which LIME sees next to
    nothing: is the number of ones odd?

    frame: three columns or more of 0 and 1.
    Returns (rows, 2), the probabilities of even and odd, 0 or 1.
    Raises ValueError for a frame that holds anything else.
    """
    conditions.validate_columns(frame)
    if not frame.isin([0, 1]).all(axis=None):
        raise ValueError("A frame of 0 and 1 is wanted; it holds something else.")
    odd = frame.to_numpy().astype(int).sum(1) % 2
    return np.column_stack([1 - odd, odd]).astype(float)


def disguised(
    train: pd.DataFrame, biased: TablePredictor, innocent: TablePredictor, *, seed: int = 0
) -> TablePredictor:
    """A black box that answers people as `biased` and explainers as `innocent`.

    Slack et al. 2020, arXiv:1911.02508.

    A forest learns to tell the rows of the table from made-up ones (`TableSampler`), and decides
    row by row who is asked. It never sees beforehand the rows that an explainer will ask about.

    train: a table of people.
    biased, innocent: black boxes, a frame with its columns -> (rows, K) probabilities.
    seed: for the made-up rows and the forest.
    Raises ValueError for a table that `conditions.validate_frame` refuses; and where it is asked,
        for boxes that do not answer in probabilities, or one of fewer classes than the other.
    """
    validate_seed(seed)
    sampler = TableSampler(train)
    [rng] = np.random.default_rng(seed).spawn(1)  # an explainer with this seed asks other rows
    made = sampler(rng.random(train.shape))
    words = {
        name: conditions.words(column)
        for name, column in train.items()
        if not conditions.is_number(column)
    }

    def coded(frame):
        codes = conditions.in_order(frame, sampler.seen.columns)
        for name, column in frame.items():
            held = conditions.unwrapped(column)
            if name in words:
                known = pd.Index(words[name], dtype=object)
                codes[name] = known.get_indexer(held.astype(object))  # -1 for one that is new
            elif held.dtype.kind in "mM":  # a forest reads numbers only
                codes[name] = held.array.asi8
        return codes.to_numpy(dtype=float)

    guard = RandomForestClassifier(100, min_samples_leaf=2, random_state=seed % 2**32)
    guard.fit(np.concatenate([coded(train), coded(made)]), np.repeat([1, 0], len(train)))

    def predict_proba(frame):
        real = guard.predict_proba(coded(frame))[:, [1]] > 0.5
        answers = [class_probabilities(box, frame) for box in (biased, innocent)]
        if answers[0].shape != answers[1].shape:
            raise ValueError(
                "Two black boxes of as many classes are wanted; they have"
                f" {answers[0].shape[1]} and {answers[1].shape[1]}."
            )
        return np.where(real, *answers)

    return predict_proba
