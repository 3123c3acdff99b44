"""Model explanation systems: one alarm of a black box explained by a short rule, with a guarantee.

The question is Turner's ("A Model Explanation System", NIPS 2015 workshop on Black Box Learning and
Inference; extensions in arXiv:1606.09517). Those texts could not be had; what is done here is
derived on the spot, from Hoeffding's inequality and from the empirical Bernstein bound of Maurer
and Pontil (2009, arXiv:0907.3740).

A black box is a callable `predict` from rows to one hard label a row, (n,) of 0 or 1: 1 is an
alarm. A world is a callable (n, rng) -> n rows, or fewer where it throws some away, drawn from the
input distribution p(x); rng is a NumPy Generator. Rows are a DataFrame, or images (n, C, H, W) with
a function that reads a DataFrame off them.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from torch.nn import functional as F

from trickkit.common import (
    finite_number,
    validate_count,
    validate_number,
    validate_rng,
    validate_seed,
    whole_number,
)
from trickkit.contract import validate_images
from trickkit.rules import conditions
from trickkit.rules.conditions import Condition, Rule

World = Callable[[int, np.random.Generator], pd.DataFrame | torch.Tensor]
PATIENCE = 100  # inputs drawn for each one wanted, before an alarm counts as too rare
BATCH = 2000  # inputs a black box is asked about at once, so that pictures do not fill the memory


# Where inputs come from.


def validate_draw(n: int, rng: np.random.Generator) -> None:
    """Raise ValueError unless a world can draw n rows with this rng."""
    validate_count(n=n, at_least=0)
    validate_rng(rng)


def bin_indices(frame: pd.DataFrame, *, bins: int = 8) -> np.ndarray:
    """Each column cut into bins, as `conditions.split_column` cuts it.

    frame: (rows, columns).
    bins: into how many a column of numbers is cut.
    Returns (rows, columns), the number of the bin.
    Raises ValueError for what `conditions.validate_frame` refuses.
    """
    conditions.validate_filled(frame)  # and the rest, column by column
    return np.stack([conditions.split_column(frame[name], bins=bins)[1] for name in frame], 1)


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """The mutual information of two columns, in nats: Σ p(a,b) ln p(a,b) / p(a) p(b).

    a, b: (n,), whole numbers from 0.
    Raises ValueError for other numbers, and for columns of different lengths.
    """
    what = "A whole number of 0 or more for each row"
    a, b = (conditions.number_array(column, what=what, whole=True) for column in (a, b))
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            f"Two columns of one length are wanted; the shapes are {a.shape} and {b.shape}."
        )
    # only the pairs that there are: a column may hold as many words as rows
    pairs, both = np.unique(a * (b.max() + 1) + b, return_counts=True)
    own, other = np.divmod(pairs, b.max() + 1)
    alone = np.bincount(a)[own] * np.bincount(b)[other]
    return float((both / len(a) * np.log(both * len(a) / alone)).sum())


class Tree:
    """An input distribution learnt from a table: p(x) = p(root) Π p(column | its parent), the best
    tree there is. A world: tree(n, rng) -> a frame of n rows.

    Chow and Liu 1968, IEEE Transactions on Information Theory 14:3.

    Best in likelihood, of all trees over the columns cut into bins: the spanning tree with the most
    mutual information. Each value is that of a row of the table whose parent's value lies in the
    same bin. `links` are the names of parent and child, parents first.

    train: the table.
    bins: into how many its columns of numbers are cut.
    Raises ValueError for what `conditions.validate_frame` refuses.
    """

    def __init__(self, train: pd.DataFrame, *, bins: int = 8):
        conditions.validate_frame(train)
        self.train = train.copy()
        self.cells = bin_indices(train, bins=bins)
        columns = self.cells.T
        shared = np.array([[mutual_information(a, b) for a in columns] for b in columns])
        lengths = 1 + shared.max() - shared  # above 0: SciPy takes a 0 for no link at all
        tree = minimum_spanning_tree(lengths)
        order, parents = breadth_first_order(tree, 0, directed=False)
        self.order = [(parents[child], child) for child in order[1:]]
        self.links = [(train.columns[parent], train.columns[child]) for parent, child in self.order]

    def __call__(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        validate_draw(n, rng)
        # for each column, the row of the table that lends its value
        rows = {0: rng.integers(len(self.train), size=n)}
        for parent, child in self.order:
            there = self.cells[rows[parent], parent]
            rows[child] = np.empty(n, dtype=int)
            lenders = rows_of(self.cells[:, parent])
            for cell, drawn in enumerate(rows_of(there)):
                if len(drawn):
                    rows[child][drawn] = rng.choice(lenders[cell], len(drawn))
        columns = (self.train[name].array.take(rows[i]) for i, name in enumerate(self.train))
        return conditions.framed(columns, self.train.columns)


def rows_of(cells: np.ndarray) -> list[np.ndarray]:
    """For each cell, from 0, the places of the rows in it, rising.

    cells: (rows,), whole numbers from 0.
    """
    order = np.argsort(cells, kind="stable")
    return np.split(order, np.cumsum(np.bincount(cells))[:-1])


def independent(train: pd.DataFrame) -> World:
    """The input distribution that takes every column by itself, from the table's values.

    It makes rows that cannot be.

    train: the table.
    Raises ValueError for what `conditions.validate_frame` refuses.
    """
    conditions.validate_frame(train)
    columns = [column.array.copy() for _, column in train.items()]
    names = train.columns

    def world(n: int, rng: np.random.Generator) -> pd.DataFrame:
        validate_draw(n, rng)
        lent = (values.take(rng.integers(len(values), size=n)) for values in columns)
        return conditions.framed(lent, names)

    return world


def red_shoes(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """A world in which an explanation lies: whoever has high debt and a low income wears red shoes,
    and nobody else does.

    A world of columns debt (high, low), income (high, low) and shoes (red, black). A black box that
    rings for high debt with a low income, and never looks at shoes, is explained by the shoes
    better than by its debt alone, or its income.
    """
    validate_draw(n, rng)
    debt = rng.choice(["high", "low"], n)
    income = rng.choice(["high", "low"], n)
    shoes = np.where((debt == "high") & (income == "low"), "red", "black")
    return pd.DataFrame({"debt": debt, "income": income, "shoes": shoes})


def handwriting(images: torch.Tensor) -> World:
    """An input distribution of digits: one of these, turned, moved, made larger or smaller, and its
    stroke thicker or thinner.

    Turned by up to 15°, moved by up to 2 pixels, scaled by up to a tenth; thicker or thinner by up
    to half a pixel on each side.

    images: (N, 1, H, W) in [0, 1].
    Raises ValueError for what is no batch of images.
    """
    validate_images(images)
    images = images.clone()  # the world stays as it is

    def world(n: int, rng: np.random.Generator) -> torch.Tensor:
        validate_draw(n, rng)
        x = images[rng.integers(len(images), size=n)]
        turn = np.radians(rng.uniform(-15, 15, n))
        size = rng.uniform(0.9, 1.1, n)
        moved = rng.uniform(-2, 2, (2, n)) * 2 / np.array(images.shape[:1:-1])[:, None]
        cos = np.cos(turn) * size
        sin = np.sin(turn) * size
        rows = np.stack([cos, -sin, moved[0], sin, cos, moved[1]])
        grid = F.affine_grid(
            torch.from_numpy(rows.T.reshape(n, 2, 3)).to(x), list(x.shape), align_corners=False
        )
        x = F.grid_sample(x, grid, align_corners=False)
        thick = torch.from_numpy(rng.uniform(-0.5, 0.5, (n, 1, 1, 1))).to(x)
        fat = F.max_pool2d(x, 3, 1, 1)
        thin = -F.max_pool2d(-x, 3, 1, 1)
        return (x + thick.clamp(min=0) * (fat - x) - thick.clamp(max=0) * (thin - x)).clamp(0, 1)

    return world


def blocks(images: torch.Tensor, *, across: int = 4) -> pd.DataFrame:
    """The ink in coarse blocks of each picture, in whole per cent of black.

    images: (N, 1, H, W) in [0, 1], 1 is ink; H and W multiples of across.
    across: how many blocks in a row, and in a column.
    Returns a frame with the columns "ink 1,1", …: row from the top, column from the left.
    Raises ValueError for pictures that cannot be cut so.
    """
    validate_images(images)
    validate_count(across=across)
    if images.shape[1] != 1 or images.shape[2] % across or images.shape[3] % across:
        raise ValueError(
            f"Grey pictures (N, 1, H, W) are wanted, H and W multiples of {across}; the shape is "
            f"{tuple(images.shape)}."
        )
    ink = F.avg_pool2d(images, (images.shape[2] // across, images.shape[3] // across)).flatten(1)
    names = [f"ink {row + 1},{column + 1}" for row in range(across) for column in range(across)]
    return pd.DataFrame((ink * 100).round().cpu().numpy().astype(int), columns=names)


# What the black box says.


def hard_labels(predict: Callable, rows: pd.DataFrame | torch.Tensor) -> np.ndarray:
    """The black box's hard labels.

    predict: the black box. It gets a copy, since it may work in place.
    rows: n of them, a DataFrame or images.
    Returns (n,) of bool, True for an alarm.
    Raises ValueError, with what to do, where it is no function, or returns scores, more than two
        classes, or not one label a row.
    """
    if not callable(predict):
        raise ValueError(
            f"A black box is a function, such as model.predict; a {type(predict).__name__} came."
        )
    n = len(rows)
    with torch.no_grad():
        said = conditions.label_array(predict(copied(rows)))
    if said.ndim == 2 and said.shape == (n, 1):
        raise ValueError(
            f"One label a row is wanted, ({n},); the black box returned one column, {said.shape}."
            " Make labels of it: lambda rows: np.ravel(predict(rows)) > 0.5."
        )
    if said.ndim == 2 and len(said) == n:
        raise ValueError(
            "One label a row is wanted, 0 or 1; the black box returned scores, of shape"
            f" {said.shape}. Make labels of them: lambda rows: predict(rows)[:, 1] > 0.5."
        )
    if said.shape != (n,):
        raise ValueError(
            f"One label a row is wanted, ({n},); the black box returned shape {said.shape}."
        )
    if said.dtype == bool:
        return said.copy()  # the box may use its own again
    if said.dtype.kind != "f" and pd.isna(said).any():
        raise ValueError("The black box returned no label for some rows; 0 or 1 is wanted.")
    kinds = np.unique(said) if said.dtype.kind in "iuf" else _kinds(said)
    if np.isin(kinds, (0, 1)).all():
        return said == 1
    if said.dtype.kind == "f" and (kinds != np.round(kinds)).any():
        raise ValueError(
            f"Hard labels are wanted, 0 or 1; the black box returned scores, from {kinds[0]:.3g} to"
            f" {kinds[-1]:.3g}. Make labels of them: lambda rows: predict(rows) > 0.5."
        )
    raise ValueError(
        "Labels 0 and 1 are wanted; the black box returned"
        f" {', '.join(map(repr, kinds.tolist()[:5]))}. Choose the class to explain: lambda rows:"
        f" predict(rows) == {kinds.tolist()[-1]!r}."
    )


def _kinds(said: np.ndarray) -> np.ndarray:
    return np.array(conditions.words(pd.Series(said)), dtype=said.dtype)


def copied(rows: pd.DataFrame | torch.Tensor) -> pd.DataFrame | torch.Tensor:
    """Rows to hand over: what is done to them is not done to ours."""
    return rows.clone() if isinstance(rows, torch.Tensor) else rows.copy()


def balanced_sample(
    predict: Callable,
    world: World,
    *,
    n: int,
    rng: np.random.Generator,
    read: Callable[..., pd.DataFrame] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """n inputs that ring the alarm, n that do not, each drawn from the world until enough came; and
    the share that rings.

    predict: the black box.
    world: (n, rng) -> n rows, or fewer.
    n: how many of each kind.
    rng: for the world.
    read: rows -> DataFrame, where rows are no table themselves.
    Raises ValueError for n below 1, for an rng that is no generator, for a world that is no
        function, for what `conditions.validate_frame` and `hard_labels` refuse, and where one kind
        does not come, or hardly.
    """
    validate_count(n=n)
    validate_rng(rng)
    if not callable(world):
        raise ValueError(
            f"A world is a function of n and rng; a {type(world).__name__} came. Of a table,"
            " mes.Tree(table) makes one."
        )
    found: dict[bool, list[pd.DataFrame]] = {True: [], False: []}
    counts = {True: 0, False: 0}
    drawn = 0
    empty = 0
    while min(counts.values()) < n:
        if drawn >= PATIENCE * max(n, 100):
            kind = counts[True] < n
            raise ValueError(
                f"{n} inputs {'with' if kind else 'without'} an alarm are wanted; of {drawn} that"
                f" the world drew, {counts[kind]} are. An explanation tells alarms from quiet, so"
                " it needs both. Is it the right world for this black box? Choose a class or a"
                " threshold that divides it."
            )
        rows = world(min(2 * n, BATCH), rng)
        if hasattr(rows, "__len__") and not len(rows) and empty < PATIENCE:
            empty += 1  # it threw all of them away, and may give some next time
            continue
        frame = _as_frame(rows, read)
        rings = hard_labels(predict, rows)
        for kind in (True, False):
            if counts[kind] < n:
                found[kind].append(frame[rings == kind])
            counts[kind] += int((rings == kind).sum())
        drawn += len(frame)
    alarms, quiet = (pd.concat(found[kind], ignore_index=True)[:n] for kind in (True, False))
    return alarms, quiet, counts[True] / drawn


def _as_frame(
    rows: pd.DataFrame | torch.Tensor, read: Callable[..., pd.DataFrame] | None
) -> pd.DataFrame:
    frame = rows if read is None else read(copied(rows))
    conditions.validate_frame(frame)
    assert isinstance(frame, pd.DataFrame)  # or it would have been refused
    if len(frame) != len(rows):
        raise ValueError(
            f"read made {len(frame)} rows of {len(rows)}; a row for each is wanted, in their order."
        )
    return frame


# Candidates, and their score.


def candidates(
    case: pd.DataFrame | pd.Series | Mapping,
    train: pd.DataFrame,
    *,
    bins: int = 4,
    max_conditions: int = 2,
) -> list[Rule]:
    """Every rule of 1 to `max_conditions` conditions that hold for this case.

    A condition is column ≤ t or column > t, whichever is true of the case, or column is word. No
    rule bounds one column twice from the same side, for one bound would follow from the other.

    case: one row: a frame, a Series such as frame.iloc[0], or {column: value}.
    train: the table whose quantiles are the thresholds.
    bins: into how many its columns of numbers are cut.
    max_conditions: in one rule, 1 or more.
    Raises ValueError for a case that does not fit the table, for max_conditions below 1, and where
        no column varies.
    """
    case = conditions.one_row(case, train)
    validate_count(max_conditions=max_conditions)
    true = []
    for name, column in train.items():
        [value] = conditions.unwrapped(case[name]).tolist()
        for condition in conditions.column_conditions(column, bins=bins):
            if condition.value is not None:
                true += [condition] if condition.value == value else []
            elif condition.high != math.inf:  # a cut: the case is on one side of it
                t = condition.high
                side = {"low": t} if value > t else {"high": t}
                true.append(Condition(name, **side, digits=condition.digits))
    if not true:
        raise ValueError(
            "No column of the table varies, so no condition sets one row apart from another."
        )
    return [
        rule
        for size in range(1, max_conditions + 1)
        for rule in itertools.combinations(true, size)
        if len({(c.column, c.low == -math.inf) for c in rule}) == size
    ]


def score(fired: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    """How well each rule stands for the black box: ½ P(rule | alarm) + ½ P(no rule | no alarm).

    Half for the alarms it catches, half for the quiet it leaves alone; a rule that always holds, or
    never, has ½.

    fired: (rules, n) of bool, whether each rule holds for each input.
    alarms: (n,) of bool, some of each.
    Returns (rules,) in [0, 1].
    Raises ValueError for other shapes, and for alarms of one kind only.
    """
    fired = np.asarray(fired, dtype=bool)
    alarms = np.asarray(alarms, dtype=bool)
    if fired.ndim != 2 or alarms.shape != fired.shape[1:]:
        raise ValueError(
            "A row of n for each rule is wanted, and n alarms; the shapes are"
            f" {fired.shape} and {alarms.shape}."
        )
    if alarms.all() or not alarms.any():
        raise ValueError(
            f"Of {len(alarms)} inputs, {alarms.sum()} are alarms; some of each kind are wanted."
        )
    return (fired[:, alarms].mean(1) + (~fired[:, ~alarms]).mean(1)) / 2


# Guarantees.


def validate_chance(**chances: float) -> None:
    """Raise ValueError unless each is a number between 0 and 1."""
    for name, chance in chances.items():
        if not 0 < (finite_number(chance) or 0) < 1:
            raise ValueError(f"{name} is {chance!r}; a number between 0 and 1 is wanted.")


def draws_needed(*, eps: float, count: int, delta: float) -> int:
    """How many draws bring `count` scores, all at once, within ε of the truth, with probability
    1 − δ: ln(2·count/δ) / 2ε².

    Hoeffding 1963, Journal of the American Statistical Association 58.

    A mean of n independent numbers in [0, 1] is further than ε off with probability 2 exp(−2nε²) at
    most. `count` such events together: the sum of theirs, at most.

    eps, delta: ε and δ, between 0 and 1.
    count: of scores.
    """
    validate_chance(eps=eps, delta=delta)
    validate_count(count=count)
    return math.ceil(math.log(2 * count / delta) / (2 * eps**2))


def hoeffding(*, n: int, count: int, delta: float) -> float:
    """The ε that n draws buy for `count` means of numbers in [0, 1], all at once, both sides, with
    probability 1 − δ: √(ln(2·count/δ) / 2n).

    n: how many draws.
    count: of means.
    delta: δ, between 0 and 1.
    """
    validate_chance(delta=delta)
    validate_count(n=n, count=count)
    return math.sqrt(math.log(2 * count / delta) / (2 * n))


def bernstein(variance: float | np.ndarray, *, n: int, delta: float) -> float | np.ndarray:
    """How far above the mean of n draws the true one may be, with probability 1 − δ:
    √(2 V ln(2/δ) / n) + 7 ln(2/δ) / 3(n − 1).

    Maurer and Pontil 2009, arXiv:0907.3740, Theorem 4.

    One side; the other is the same for 1 − x.

    variance: V, the sample variance of n independent draws of one number in [0, 1], with n − 1.
    n: how many draws, 2 or more.
    delta: δ, between 0 and 1.
    Raises ValueError for a variance below 0, and for n or δ that cannot be.
    """
    validate_chance(delta=delta)
    validate_count(n=n, at_least=2)
    variance = conditions.number_array(variance, what="A variance of 0 or more")
    log = math.log(2 / delta)
    return np.sqrt(2 * variance * log / n) + 7 * log / (3 * (n - 1))


def regret_bounds(values: np.ndarray, best: int, *, delta: float) -> np.ndarray:
    """By how much each row's true mean may exceed that of row `best`, at most: each with
    probability 1 − δ.

    The rows were measured on the same n draws, so it is the differences that are averaged: they
    vary little between rows that agree nearly everywhere.

    values: (rows, n) in [0, 1].
    best: the place of a row.
    delta: δ, of each bound.
    Returns (rows,).
    Raises ValueError for other values, for fewer than 2 a row, and for a place that is no row's.
    """
    values = conditions.number_array(values, what="A value of 0 to 1 for each draw", at_most=1)
    if values.ndim != 2:
        raise ValueError(f"Values (rows, n) are wanted; their shape is {values.shape}.")
    n = values.shape[1]
    validate_count(n=n, at_least=2)
    place = whole_number(best)
    if place is None or not 0 <= place < len(values):
        raise ValueError(f"best is {best!r}; the rows are 0 to {len(values) - 1}.")
    if values.dtype.kind != "f":  # whole numbers of 8 bits would overflow
        values = values.astype(float)
    mean = values.mean(1, dtype=np.float64)
    squares = np.einsum("rn,rn->r", values, values).astype(np.float64)
    # Σ (difference)², and no array of differences
    apart = squares + squares[best] - 2 * (values @ values[best])
    variance = np.maximum(apart - n * (mean - mean[best]) ** 2, 0) / (n - 1)
    # (1 + difference) / 2 lies in [0, 1], and has a quarter of the variance
    return mean - mean[best] + 2 * bernstein(variance / 4, n=n, delta=delta)


# One case explained.


@dataclass(frozen=True)
class CertifiedRule:
    """What `explain_alarm` found. Print it.

    rules: every candidate.
    caught, left: (rules,), the shares of alarms for which each holds, and of quiet inputs for which
        it does not; the other way round where the case is quiet.
    n: draws of each kind.
    best: the chosen rule's place.
    gap: no other's true score is higher by more.
    delta: with probability 1 − delta all that is said holds at once.
    each: the share of delta of a single bound.
    alarm_rate: the share of alarms in the world.
    says: what the black box says of the case, True for an alarm.
    history: n and gap after each doubling.
    """

    rules: list[Rule]
    caught: np.ndarray
    left: np.ndarray
    n: int
    best: int
    gap: float
    delta: float
    each: float
    alarm_rate: float
    says: bool
    history: list[tuple[int, float]]

    @property
    def scores(self) -> np.ndarray:
        """The balanced score of each rule, (rules,)."""
        return (self.caught + self.left) / 2

    def interval(self, share: float) -> tuple[float, float]:
        """Where the truth may be, for one of the shares in caught or left: low, high."""
        validate_number(share=share, at_least=0, at_most=1)
        variance = share * (1 - share) * self.n / (self.n - 1)
        wide = float(bernstein(variance, n=self.n, delta=self.each))
        return max(share - wide, 0.0), min(share + wide, 1.0)

    def __str__(self) -> str:
        own, other = ("alarms", "quiet") if self.says else ("quiet", "alarms")
        said = []
        for share in (self.caught[self.best], self.left[self.best]):
            low, high = self.interval(share)
            said.append(f"{share:.0%} ({100 * low:.0f} to {100 * high:.0f})")
        by = f" by more than {self.gap:.3f}" if self.gap > 0 else ""
        lines = [
            conditions.english(self.rules[self.best]),
            f"  catches {said[0]} of the {own}, leaves {said[1]} of the {other} alone;",
            f"  no other of {len(self.rules):,} candidates scores higher{by}, with probability"
            f" {1 - self.delta:.0%}",
            f"  ({self.n:,} draws of each kind)",
        ]
        return "\n".join(lines)


def explain_alarm(
    predict: Callable,
    case: Any,
    world: World,
    train: pd.DataFrame,
    *,
    read: Callable[..., pd.DataFrame] | None = None,
    bins: int = 4,
    max_conditions: int = 2,
    eps: float = 0.03,
    delta: float = 0.05,
    max_draws: int = 32_768,
    seed: int = 0,
) -> CertifiedRule:
    """The short rule that holds for this case and agrees best with the black box, over the world,
    certified. A case without an alarm is explained in the same way, as what sets the quiet apart.

    Draws 512 of each kind, then twice as many, until no other candidate can be better by more than
    ε, or `max_draws` is reached. Every bound after every doubling has an equal share of δ.

    predict: the black box.
    case: one row, as `candidates` takes it, or one image (1, C, H, W).
    world: where inputs come from.
    train: the table that the thresholds come from, before any draw.
    read: rows -> DataFrame of the columns of train, where rows are no table.
    bins, max_conditions: which rules are `candidates`.
    eps: ε, by how much another candidate may be better where it stops.
    delta: δ, the chance that anything said is untrue.
    max_draws: the most of each kind; 512 are always drawn.
    seed: for the draws.
    Raises ValueError for what `hard_labels`, `balanced_sample` and `candidates` refuse, and for ε
        or δ outside 0 to 1.
    """
    validate_chance(eps=eps, delta=delta)
    validate_count(max_draws=max_draws)
    conditions.validate_frame(train)
    if read is None:
        case = own = conditions.one_row(case, train)
    else:
        own = _as_frame(case, read)
    considered = candidates(own, train, bins=bins, max_conditions=max_conditions)
    says = bool(hard_labels(predict, case)[0])
    validate_seed(seed)
    rng = np.random.default_rng(seed)
    sizes = [512 << k for k in range(max(1, int(max_draws // 512).bit_length()))]
    # two shares, two sides each; every rule with every other
    each = delta / (len(sizes) * (4 * len(considered) + len(considered) ** 2))
    right = []  # of each doubling, where the rules are right: of the case's kind, of the other
    history = []
    drawn = 0
    for n in sizes:
        alarms, quiet, alarm_rate = balanced_sample(predict, world, n=n - drawn, rng=rng, read=read)
        alike, others = (alarms, quiet) if says else (quiet, alarms)
        right.append(
            (
                conditions.fires(considered, conditions.like(alike, train)),
                ~conditions.fires(considered, conditions.like(others, train)),
            )
        )
        drawn = n
        caught, left = (np.concatenate(half, axis=1) for half in zip(*right, strict=True))
        # a pair of draws, one of each kind: both right is 1
        agreed = (caught.astype(np.float32) + left) / 2
        best = int(agreed.mean(1, dtype=np.float64).argmax())
        gap = float(np.delete(regret_bounds(agreed, best, delta=each), best).max(initial=0))
        history.append((n, gap))
        if gap <= eps:
            break
    return CertifiedRule(
        rules=considered,
        caught=caught.mean(1),
        left=left.mean(1),
        n=n,
        best=best,
        gap=gap,
        delta=delta,
        each=each,
        alarm_rate=alarm_rate,
        says=says,
        history=history,
    )
