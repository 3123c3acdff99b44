"""LIME: explain one answer of any black box by a line that is right near it (Ribeiro, Singh, Guestrin 2016, arXiv:1602.04938).

One core for tables, pictures and text. Rows of 0 and 1 say which parts of the case are kept; the box is asked about each; near
rows count more (`nearness`); a weighted ridge regression gives every part a weight (`fit`). Where the box is asked is drawn
evenly (`even`) and not by dice, so that two seeds tell nearly the same story. Below that, what choosing among explanations
needs (`pick`), and two ways to make them lie (`liar`, `disguised`). The paper's measurements are the room `trust`.
"""
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import qmc
from sklearn.ensemble import RandomForestClassifier

from trickkit.contract import Model, check_eval, check_images, check_labels
from trickkit.rules import conditions

FIRST, LAST = 512, 16384  # answers to begin with, and the most; powers of two, since `even` is evenest there
TOP = 5  # weights that must stand before we stop
SLIGHT = 0.05  # of the largest weight: which of such are in the top does not matter
BATCH = 8  # pictures at a time: what one core keeps near; more go slower there
COSINE_WIDTH = 1 / math.sqrt(8)  # the lime package's, written for exp(-D²/width²)
PROBE = 1.96  # standard errors in half of a 95 % interval

TableBox = Callable[[pd.DataFrame], np.ndarray]
TextBox = Callable[[list[str]], np.ndarray]


@dataclass(frozen=True)
class Explanation:
    """A line near one case: answer ≈ intercept + Σ weight · (1 where the part is kept, 0 where not). Prints as a few sentences.

    names: of the d parts; weights: (d,), in probability; intervals: (d, 2), 95 %; r2: how much of the box's ups and downs near
    the case the line follows, 1 at best, NaN where there are none; answer: what the box itself says to the case; settled:
    whether the two halves of the `samples` answers, each alone, name the same top.
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

    def top(self, k: int = TOP) -> list[str]:
        """The names of the k largest weights, of either sign, the largest first."""
        return [self.names[i] for i in loudest(self.weights, k)]

    def __str__(self):
        order = loudest(self.weights)
        rows = [f"{self.weights[i]:+.3f}  ({self.intervals[i, 0]:+.3f} to {self.intervals[i, 1]:+.3f})  {self.names[i]}"
                for i in order[:8]]
        rest = [f"and {len(order) - 8} smaller"] if len(order) > 8 else []
        follows = "and the answers have no ups and downs" if math.isnan(self.r2) else f"local R² {self.r2:.2f}"
        said = f"The box says {self.answer:.3f}; the line says {self.line:.3f}, {follows}"
        stands = "both halves name the same" if self.settled else "not settled, the halves name different"
        return "\n".join([said, *rows, *rest, f"{self.samples:,} answers: {stands} top {tops(len(order))}"])


# The core ----------------------------------------------------------------------------------------------------------------


def euclidean(z: np.ndarray) -> np.ndarray:
    """How far rows of 0 and 1 are from the row of ones: √(number of zeros). (n, d) -> (n,)"""
    return np.sqrt((1 - z).sum(1))


def cosine(z: np.ndarray) -> np.ndarray:
    """The same as 1 − cosine of the angle: 1 − √(share of ones), 0 to 1. (n, d) -> (n,)"""
    return 1 - np.sqrt(z.mean(1))


def nearness(z: np.ndarray, width: float, distance: Callable[[np.ndarray], np.ndarray] = cosine) -> np.ndarray:
    """How much each row counts: exp(−D²/width²), D its distance from the case, which is all ones (the paper's π, §3.4).

    z: (n, d) of 0 and 1; the result: (n,), 1 for the case itself.
    """
    return np.exp(-distance(z) ** 2 / width**2)


def fit(z: np.ndarray, answers: np.ndarray, counts: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """Weighted ridge regression: the b that makes Σ count · (answer − b₀ − z·b)² + penalty · ‖b‖² smallest, b₀ unpunished.

    z: (n, d); answers, counts: (n,). Returns (1 + d,): the intercept b₀, then a weight for each column; a column that never
    changes has weight 0.
    """
    middle, level = np.average(z, axis=0, weights=counts), np.average(answers, weights=counts)
    centred, weighted = z - middle, (z - middle) * counts[:, None]
    b = np.linalg.solve(weighted.T @ centred + penalty * np.eye(z.shape[1]), weighted.T @ (answers - level))
    return np.append(level - middle @ b, b)


def intervals(z: np.ndarray, answers: np.ndarray, counts: np.ndarray, b: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """95 % intervals of the weights of `fit`, (d, 2), by the sandwich formula (White 1980; Eicker, Huber).

    The box has no noise: what is left over is where it is not straight, more in some places than in others, so the ordinary
    formula would be wrong. For rows that were drawn by dice; rows of `even` move less than this says, a third as much on a
    forest of 30 columns, so that there the intervals are wider than they need be.
    """
    n, d = z.shape
    centred = z - np.average(z, axis=0, weights=counts)
    bread = np.linalg.inv((centred * counts[:, None]).T @ centred + penalty * np.eye(d))
    scores = centred * (counts * (answers - b[0] - z @ b[1:]))[:, None]
    spread = np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread) * n / max(n - d - 1, 1))
    return b[1:, None] + PROBE * spread[:, None] * np.array([-1, 1])


def even(n: int, dimensions: int, seed: int) -> np.ndarray:
    """n points in the unit cube, each evenly spread by itself and all more evenly together than dice would: (n, dimensions).

    Scrambled Sobol points (Owen 1998): another seed gives other points, and each on its own is uniform.
    """
    return qmc.Sobol(dimensions, rng=seed).random_base2(max(math.ceil(math.log2(n)), 0))[:n]


def loudest(weights: np.ndarray, k: int | None = None) -> np.ndarray:
    """The places of the k largest weights, of either sign, the largest first; None for all."""
    return np.argsort(-np.abs(weights), kind="stable")[:k]


def tops(parts: int) -> int:
    """How many of the weights must stand: five, or half of the parts where there are few."""
    return min(TOP, (parts + 1) // 2)


def lime(ask: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], names: Sequence[str], answer: float, dimensions: int,
         distance: Callable[[np.ndarray], np.ndarray], width: float, samples: int | None = None, seed: int = 0,
         most: int = LAST, draw: Callable[[int, int, int], np.ndarray] = even) -> Explanation:
    """The core. ask: points of the unit cube (n, dimensions) -> which parts they keep (n, d), what the box answers (n,).

    samples: how many to ask for; None begins with 512 and doubles until both halves, each alone, name the same top five (what
    weighs less than a twentieth of the largest may differ), or `most` is reached. answer: what the box says to the case itself.
    draw: (n, dimensions, seed) -> the points.
    """
    if samples is not None and samples < 2:
        raise ValueError(f"samples is {samples}; 2 or more are wanted, or None to go on until the top weights stand.")
    points = draw(samples or most, dimensions, seed)
    z, answers = ask(points[:samples or FIRST])
    explained = explanation(z, answers, names, answer, distance, width)
    while samples is None and not explained.settled and len(z) < most:
        more, said = ask(points[len(z):2 * len(z)])
        z, answers = np.concatenate([z, more]), np.concatenate([answers, said])
        explained = explanation(z, answers, names, answer, distance, width)
    return explained


def explanation(z: np.ndarray, answers: np.ndarray, names: Sequence[str], answer: float,
                distance: Callable[[np.ndarray], np.ndarray], width: float) -> Explanation:
    """The `Explanation` by rows (n, d) and what the box answered to them (n,)."""
    z = z.astype(float)
    counts = nearness(z, width, distance)
    b = fit(z, answers, counts)
    bounds = intervals(z, answers, counts, b)
    left = np.average((answers - b[0] - z @ b[1:]) ** 2, weights=counts)
    whole = np.average((answers - np.average(answers, weights=counts)) ** 2, weights=counts)
    half, k = len(z) // 2, tops(len(names))
    first, second = (set(loudest(fit(z[i], answers[i], counts[i])[1:], k).tolist())
                     for i in (slice(half), slice(half, None)))
    settled = all(abs(b[1 + i]) <= SLIGHT * np.abs(b[1:]).max() + 1e-9 for i in first ^ second)
    return Explanation(tuple(names), b[1:], bounds, float(b[0]), 1 - left / whole if whole > 1e-20 else math.nan, len(z),
                       float(answer), settled)


def chances(answers: np.ndarray, asked: int, label: int) -> np.ndarray:
    """The probabilities of one class, (n,), once a box's answers are seen to be probabilities (n, K); else ValueError."""
    answers = np.asarray(answers, dtype=float)
    if answers.ndim == 1:
        raise ValueError(f"The box answered with shape {answers.shape}, one number a row, such as labels. Probabilities "
                         "(rows, classes) are wanted: give predict_proba, not predict.")
    if answers.ndim != 2 or len(answers) != asked:
        raise ValueError(f"The box was asked about {asked} rows and answered with shape {answers.shape}; "
                         f"({asked}, classes) is wanted.")
    if not np.isfinite(answers).all():
        raise ValueError(f"The box answered with numbers that are not finite, in {(~np.isfinite(answers)).any(1).sum()} of "
                         f"{asked} rows. Probabilities are wanted.")
    if (answers < -1e-6).any() or (np.abs(answers.sum(1) - 1) > 1e-3).any():
        raise ValueError(f"The box's rows are no probabilities: they sum to {answers.sum(1).min():.3g} to "
                         f"{answers.sum(1).max():.3g}, and 1 is wanted. Scores want a softmax first.")
    if not 0 <= label < answers.shape[1]:
        raise ValueError(f"label is {label}; the box's classes are 0 to {answers.shape[1] - 1}.")
    return answers[:, label]


# Tables, text, pictures ----------------------------------------------------------------------------------------------------


def around(train: pd.DataFrame, points: np.ndarray) -> pd.DataFrame:
    """Made-up rows: every column drawn from its own values in a table, whatever the other columns hold.

    points: (n, columns) in [0, 1); a point is a place in the sorted column. So every value, and every condition on it, comes as
    often as in the table. Raises ValueError where points and columns differ.
    """
    if points.shape[1] != train.shape[1]:
        raise ValueError(f"A number a column is wanted: {train.shape[1]} columns, and points of shape {points.shape} came.")
    made = {}
    for name, place in zip(train.columns, points.T, strict=True):
        column = train[name]
        order = np.argsort(column.to_numpy() if conditions.is_number(column) else column.astype(str).to_numpy(), kind="stable")
        made[name] = column.array.take(order[(place * len(train)).astype(int)])
    return pd.DataFrame(made)


def parts(row: pd.DataFrame, train: pd.DataFrame) -> list[conditions.Condition]:
    """What LIME says of a row: for each column its word, or the quarter of the table's values that its number lies in."""
    found = []
    for name in train.columns:
        own = [condition for condition in conditions.parts_of(train[name]) if condition.holds(row)[0]]
        found += own or [conditions.Condition(name, row[name].iloc[0])]
    return found


def lime_table(box: TableBox, row: pd.DataFrame, train: pd.DataFrame, label: int = 1, samples: int | None = None,
               seed: int = 0, draw: Callable[[int, int, int], np.ndarray] = even) -> Explanation:
    """Why a box gives a row of a table the probability it gives for a class: a weight for each column's `parts`.

    box: a frame with train's columns -> (rows, K) probabilities, as sklearn's predict_proba; row: one row; label: the class.
    Made-up rows (`around`) keep a part where its condition holds for them; a row counts by exp(−zeros / 1.125 d), as in the
    lime package. They are drawn around the table, not the case, and count nearly alike. samples: None asks until the top
    stands, and draw gives the points, see `lime`. Raises ValueError for what `conditions.like` refuses, for more rows than one, and
    for a box that does not answer in probabilities.
    """
    conditions.check_frame(train)
    row = conditions.like(row, train)
    if len(row) != 1:
        raise ValueError(f"One row is explained at a time; {len(row)} came. Take one with frame.iloc[[i]].")
    own = parts(row, train)

    def ask(points):
        frame = around(train, points)
        return np.column_stack([c.holds(frame) for c in own]), chances(box(frame), len(frame), label)

    [answer] = chances(box(row), 1, label)
    return lime(ask, list(map(str, own)), answer, train.shape[1], euclidean, math.sqrt(1.125 * train.shape[1]), samples,
                seed, draw=draw)


def some_off(points: np.ndarray) -> np.ndarray:
    """Which parts are kept, (n, d) of bool: as many as the first number says are taken away, at least one, any as likely.

    points: (n, 1 + d) in [0, 1).
    """
    d = points.shape[1] - 1
    return points[:, 1:].argsort(1).argsort(1) > (points[:, :1] * d).astype(int)


def lime_text(box: TextBox, text: str, label: int = 1, words: str = r"\w+", samples: int | None = None,
              seed: int = 0) -> Explanation:
    """Why a box gives a text the probability it gives for a class: a weight for each of its different words.

    box: a list of n texts -> (n, K) probabilities; words: what a word is, as a regular expression; the rest stays in place.
    A word is taken away wherever it stands. Nearness is by cosine, as in the lime package. samples: None asks until the top
    stands, up to 4,096. Raises ValueError for a text without words and for a box that does not answer in probabilities.
    """
    if not isinstance(text, str):
        raise ValueError(f"One text is wanted, as a string; a {type(text).__name__} came.")
    pieces, at = re.split(f"({words})", text), {}
    if re.compile(words).groups:
        raise ValueError(f"words is {words!r}; write its groups as (?:…), for plain brackets would cut the text twice.")
    for i in range(1, len(pieces), 2):
        at.setdefault(pieces[i], []).append(i)
    if not at:
        raise ValueError(f"There is no word in {text[:40]!r}, where a word is {words!r}.")
    place = np.full(len(pieces), len(at))  # of the word that a piece is; what stands between words is always kept
    for i, where in enumerate(at.values()):
        place[where] = i

    def ask(points):
        z = some_off(points)
        kept = np.pad(z, ((0, 0), (0, 1)), constant_values=True)[:, place]
        texts = ["".join(piece for piece, stays in zip(pieces, row, strict=True) if stays) for row in kept.tolist()]
        return z, chances(box(texts), len(texts), label)

    [answer] = chances(box([text]), 1, label)
    return lime(ask, list(at), answer, len(at) + 1, cosine, COSINE_WIDTH, samples, seed, most=4096)


def superpixels(image: torch.Tensor, count: int = 50) -> torch.Tensor:
    """A picture (1, C, H, W) cut into about `count` patches of one colour each (SLIC; Achanta et al. 2012): (H, W), 0, 1, …"""
    from skimage.segmentation import slic

    check_images(image)
    pixels = image[0].permute(1, 2, 0).cpu().numpy().astype(float)
    colour = {"channel_axis": 2, "compactness": 10} if pixels.shape[2] == 3 else {"channel_axis": None, "compactness": 0.1}
    found = slic(pixels if pixels.shape[2] == 3 else pixels[..., 0], count, start_label=0, **colour)
    return torch.from_numpy(np.unique(found, return_inverse=True)[1].reshape(found.shape)).to(image.device)


def blurred_out(image: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
    """A picture (1, C, H, W) in which every patch has its mean colour: what is shown where a patch is hidden."""
    flat, place = image[0].flatten(1), segments.flatten()
    sums = torch.zeros(len(flat), int(place.max()) + 1, device=image.device).index_add_(1, place, flat)
    return (sums / torch.bincount(place))[:, segments][None]


def hide(image: torch.Tensor, segments: torch.Tensor, z: torch.Tensor, cover: torch.Tensor) -> torch.Tensor:
    """Copies of a picture, each with some of its patches covered: (n, C, H, W).

    image, cover: (1, C, H, W); segments: (H, W), the number of each pixel's patch; z: (n, patches), 1 or True where a copy
    keeps the patch of the image, else it shows that of the cover.
    """
    return torch.where(z.bool()[:, segments][:, None], image, cover)


@torch.no_grad()
def lime_picture(model: Model, image: torch.Tensor, target: int, segments: torch.Tensor, samples: int | None = None,
                 seed: int = 0, cover: torch.Tensor | None = None) -> Explanation:
    """Why a model gives a picture the probability it gives for a class: a weight for each patch.

    model: images (N, C, H, W) in [0, 1] -> logits (N, K); image: one, (1, C, H, W); segments: its patches, (H, W), as
    `superpixels` cuts them; cover: what is seen where a patch is hidden, None for its mean colour. Each patch is hidden in half
    of the copies. explanation.weights[segments] is a map. samples: None asks until the top stands, up to 4,096.
    """
    check_images(image)
    check_eval(model)
    if len(image) != 1 or segments.shape != image.shape[2:]:
        raise ValueError("One picture is wanted, with the patch of each of its pixels; the shapes are "
                         f"{tuple(image.shape)} and {tuple(segments.shape)}.")
    d, logits = int(segments.max()) + 1, model(image)
    if segments.is_floating_point() or segments.min() < 0 or len(segments.unique()) != d:
        raise ValueError("Patches are wanted as whole numbers 0, 1, … with none left out; superpixels(image) gives such.")
    target = check_labels(target, image, logits.shape[1]).item()
    cover = blurred_out(image, segments) if cover is None else cover.expand_as(image)

    def ask(points):
        z = points < 0.5
        batches = torch.from_numpy(z).to(image.device).split(BATCH)
        said = [model(hide(image, segments, rows, cover)).softmax(1)[:, target] for rows in batches]
        return z, torch.cat(said).cpu().numpy().astype(float)

    return lime(ask, [f"patch {i}" for i in range(d)], logits.softmax(1)[0, target].item(), d, cosine, COSINE_WIDTH, samples,
                seed, most=4096)


# Many explanations -----------------------------------------------------------------------------------------------------------


def pick(weights: np.ndarray, budget: int) -> list[int]:
    """Which cases to look at, so that few show much: SP-LIME, greedily (the paper's algorithm 2).

    A part matters by I_j = √Σᵢ|weights_ij|; a set of cases covers the parts that have a weight other than 0 in one of them;
    each step takes the case that adds most. weights: (cases, parts). Returns `budget` places of cases, in the order taken.
    """
    sizes = np.abs(np.asarray(weights, dtype=float))
    if not 1 <= budget <= len(sizes):
        raise ValueError(f"budget is {budget}; with {len(sizes)} cases it goes from 1 to {len(sizes)}.")
    matters, open_, chosen = np.sqrt(sizes.sum(0)), np.ones(sizes.shape[1], dtype=bool), []
    for _ in range(budget):
        gain = (sizes > 0) @ (matters * open_)
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        open_ &= sizes[chosen[-1]] == 0
    return chosen


# Explanations that lie -------------------------------------------------------------------------------------------------------


def liar(frame: pd.DataFrame) -> np.ndarray:
    """A box that changes its answer with any one column, and of which LIME sees next to nothing: is the number of ones odd?

    frame: three columns or more of 0 and 1. Returns (rows, 2), the probabilities of even and odd, 0 or 1.
    """
    odd = frame.to_numpy().sum(1) % 2
    return np.column_stack([1 - odd, odd]).astype(float)


def disguised(train: pd.DataFrame, biased: TableBox, innocent: TableBox, seed: int = 0) -> TableBox:
    """A box that answers people as `biased` and explainers as `innocent` (Slack et al. 2020, arXiv:1911.02508).

    A forest learns to tell the rows of a table from made-up ones (`around`), and decides row by row who is asked.
    """
    made = around(train, even(len(train), train.shape[1], seed))

    def coded(frame):
        return pd.DataFrame({name: frame[name] if conditions.is_number(train[name])
                             else pd.Categorical(frame[name], sorted(train[name].unique(), key=str)).codes for name in train})

    guard = RandomForestClassifier(100, min_samples_leaf=2, random_state=seed)
    guard.fit(pd.concat([coded(train), coded(made)]), np.repeat([1, 0], len(train)))

    def box(frame):
        real = guard.predict_proba(coded(frame))[:, [1]] > 0.5
        return np.where(real, biased(frame), innocent(frame))

    return box
