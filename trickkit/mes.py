"""Model explanation systems: one alarm of a black box explained by a short rule, with a guarantee.

The question is Turner's ("A Model Explanation System", NIPS 2015 workshop on Black Box Learning and Inference; extensions in
arXiv:1606.09517). Those texts could not be had; what is done here is derived on the spot, from Hoeffding's inequality and from
the empirical Bernstein bound of Maurer and Pontil (2009, arXiv:0907.3740).

A black box is a callable from rows to one hard label a row, (n,) of 0 or 1: 1 is an alarm. A world is a callable
(n, dice) -> n rows, or fewer where it throws some away, drawn from the input distribution p(x); dice is a numpy Generator. Rows
are a DataFrame, or images (n, C, H, W) with a function that reads a DataFrame off them.
"""
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from torch.nn import functional as F

from trickkit.common import check_count
from trickkit.contract import check_images
from trickkit.rules import conditions
from trickkit.rules.conditions import Condition, Rule

World = Callable[[int, np.random.Generator], pd.DataFrame | torch.Tensor]
PATIENCE = 100  # inputs that may be drawn for each one that is wanted, before an alarm counts as too rare
BATCH = 2000  # inputs that a black box is asked about at once, so that pictures do not fill the memory


# Where inputs come from

def cells(frame: pd.DataFrame, parts: int = 8) -> np.ndarray:
    """Each column cut into parts, as `conditions.parts_of` cuts it: (rows, columns), the number of the part."""
    numbers = np.zeros(frame.shape, dtype=int)
    for column, name in enumerate(frame):
        for place, part in enumerate(conditions.parts_of(frame[name], parts)):
            numbers[part.holds(frame), column] = place
    return numbers


def information(a: np.ndarray, b: np.ndarray) -> float:
    """The mutual information of two columns of whole numbers from 0, (n,) each, in nats: Σ p(a,b) ln p(a,b) / p(a) p(b)."""
    both = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(both, (a, b), 1 / len(a))
    alone = both.sum(1, keepdims=True) * both.sum(0, keepdims=True)
    seen = both > 0
    return float((both[seen] * np.log(both[seen] / alone[seen])).sum())


class Tree:
    """An input distribution learnt from a table: p(x) = p(root) Π p(column | its parent), the best tree there is.

    Best in likelihood, of all trees over the columns cut into parts: the spanning tree with the most mutual information
    (Chow and Liu 1968, IEEE Transactions on Information Theory 14:3). A world: tree(n, dice) -> a frame of n rows. Each value
    is that of a row of the table whose parent's value lies in the same part.
    links: (parent, child) names, parents first. Raises ValueError for what `conditions.check_frame` refuses.
    """

    def __init__(self, train: pd.DataFrame, parts: int = 8):
        conditions.check_frame(train)
        self.train, self.cells = train, cells(train, parts)
        columns = self.cells.T
        shared = np.array([[information(a, b) for a in columns] for b in columns])
        tree = minimum_spanning_tree(1 + shared.max() - shared)  # above 0: SciPy takes a 0 for no link at all
        order, parents = breadth_first_order(tree, 0, directed=False)
        self.order = [(parents[child], child) for child in order[1:]]
        self.links = [(train.columns[parent], train.columns[child]) for parent, child in self.order]

    def __call__(self, n: int, dice: np.random.Generator) -> pd.DataFrame:
        rows = {0: dice.integers(len(self.train), size=n)}  # for each column, the row of the table that lends its value
        for parent, child in self.order:
            there = self.cells[rows[parent], parent]
            rows[child] = np.empty(n, dtype=int)
            for cell in np.unique(there):
                lenders = np.flatnonzero(self.cells[:, parent] == cell)
                rows[child][there == cell] = dice.choice(lenders, (there == cell).sum())
        return pd.DataFrame({name: self.train[name].to_numpy()[rows[i]] for i, name in enumerate(self.train)})


def independent(train: pd.DataFrame) -> World:
    """The input distribution that takes every column by itself, from the table's values. It makes rows that cannot be."""
    conditions.check_frame(train)
    return lambda n, dice: pd.DataFrame({name: dice.choice(train[name].to_numpy(), n) for name in train})


def handwriting(images: torch.Tensor) -> World:
    """An input distribution of digits: one of these, turned, moved, made larger or smaller, and its stroke thicker or thinner.

    images: (N, 1, H, W) in [0, 1]. Turned by up to 15°, moved by up to 2 pixels, scaled by up to a tenth; thicker or thinner by
    up to half a pixel on each side.
    """
    check_images(images)

    def world(n: int, dice: np.random.Generator) -> torch.Tensor:
        x = images[dice.integers(len(images), size=n)]
        turn, size = np.radians(dice.uniform(-15, 15, n)), dice.uniform(0.9, 1.1, n)
        moved = dice.uniform(-2, 2, (2, n)) * 2 / np.array(images.shape[:1:-1])[:, None]
        cos, sin = np.cos(turn) * size, np.sin(turn) * size
        rows = np.stack([cos, -sin, moved[0], sin, cos, moved[1]])
        grid = F.affine_grid(torch.from_numpy(rows.T.reshape(n, 2, 3)).to(x), list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, align_corners=False)
        thick = torch.from_numpy(dice.uniform(-0.5, 0.5, (n, 1, 1, 1))).to(x)
        fat, thin = F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1)
        return (x + thick.clamp(min=0) * (fat - x) - thick.clamp(max=0) * (thin - x)).clamp(0, 1)

    return world


def blocks(images: torch.Tensor, across: int = 4) -> pd.DataFrame:
    """The ink in coarse blocks of each picture, in whole per cent of black, as a frame: across × across columns.

    images: (N, 1, H, W) in [0, 1], 1 is ink; H and W multiples of across. Block "2,3" is in row 2 from the top, column 3 from
    the left. Raises ValueError for pictures that cannot be cut so.
    """
    check_images(images)
    if images.shape[1] != 1 or images.shape[2] % across or images.shape[3] % across:
        raise ValueError(f"Grey pictures (N, 1, H, W) are wanted, H and W multiples of {across}; the shape is "
                         f"{tuple(images.shape)}.")
    ink = F.avg_pool2d(images, (images.shape[2] // across, images.shape[3] // across)).flatten(1)
    names = [f"ink {row + 1},{column + 1}" for row in range(across) for column in range(across)]
    return pd.DataFrame((ink * 100).round().cpu().numpy().astype(int), columns=names)


# What the black box says

def ask(box: Callable, rows: pd.DataFrame | torch.Tensor) -> np.ndarray:
    """The black box's hard labels as (n,) of bool, True for an alarm.

    Raises ValueError, with what to do, where it returns scores, more than two classes, or not one label a row.
    """
    with torch.no_grad():
        said = box(rows)
    said = said.detach().cpu().numpy() if isinstance(said, torch.Tensor) else np.asarray(said)
    if said.ndim == 2 and len(said) == len(rows):
        raise ValueError(f"One label a row is wanted, 0 or 1; the black box returned scores, of shape {said.shape}. "
                         "Make labels of them: lambda rows: box(rows)[:, 1] > 0.5.")
    if said.shape != (len(rows),):
        raise ValueError(f"One label a row is wanted, ({len(rows)},); the black box returned shape {said.shape}.")
    if said.dtype == bool:
        return said
    kinds = np.unique(said)
    if np.isin(kinds, (0, 1)).all():
        return said == 1
    if said.dtype.kind == "f" and (kinds != np.round(kinds)).any():
        raise ValueError(f"Hard labels are wanted, 0 or 1; the black box returned scores, from {kinds[0]:.3g} to "
                         f"{kinds[-1]:.3g}. Make labels of them: lambda rows: box(rows) > 0.5.")
    raise ValueError(f"Labels 0 and 1 are wanted; the black box returned {', '.join(map(repr, kinds.tolist()[:5]))}. "
                     f"Choose the class to explain: lambda rows: box(rows) == {kinds.tolist()[-1]!r}.")


def balanced(box: Callable, world: World, n: int, dice: np.random.Generator,
             read: Callable | None = None) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """n inputs that ring the alarm, n that do not, each drawn from the world until enough came; and the share that rings.

    read: rows -> DataFrame, where rows are no table themselves. Raises ValueError where one kind does not come, or hardly.
    """
    check_count(n=n)
    found: dict[bool, list[pd.DataFrame]] = {True: [], False: []}
    counts, drawn = {True: 0, False: 0}, 0
    while min(counts.values()) < n:
        if drawn >= PATIENCE * max(n, 100):
            kind = counts[True] < n
            raise ValueError(f"{n} inputs {'with' if kind else 'without'} an alarm are wanted; of {drawn} that the world drew, "
                             f"{counts[kind]} are. An explanation tells alarms from quiet, so it needs both. Is it the right "
                             "world for this black box? Choose a class or a threshold that divides it.")
        rows = world(min(2 * n, BATCH), dice)
        frame = rows if read is None else read(rows)
        conditions.check_frame(frame)
        rings = ask(box, rows)
        for kind in (True, False):
            found[kind].append(frame[rings == kind])
            counts[kind] += int((rings == kind).sum())
        drawn += len(frame)
    return (*(pd.concat(found[kind], ignore_index=True)[:n] for kind in (True, False)), counts[True] / drawn)


# Candidates, and their score

def candidates(case: pd.DataFrame, train: pd.DataFrame, parts: int = 4, most: int = 2) -> list[Rule]:
    """Every rule of 1 to `most` conditions that hold for this case; thresholds are the table's quantiles.

    Conditions: column ≤ t or column > t, whichever is true of the case, and column is word. No two that say the same way of one
    column, of which one would follow from the other. case: one row. Raises ValueError for a case that does not fit the table,
    or where no column varies.
    """
    case = conditions.like(case, train)
    if len(case) != 1:
        raise ValueError(f"One case is wanted, a frame of one row: frame.iloc[[i]]; {len(case)} rows came.")
    check_count(most=most)
    true = []
    for name in train:
        if conditions.is_number(train[name]):
            ways = [Condition(name, **{way: float(t)}) for t in conditions.edges(train[name], parts) for way in ("low", "high")]
        else:
            ways = conditions.parts_of(train[name])
        true += [condition for condition in ways if condition.holds(case)[0]]
    if not true:
        raise ValueError("No column of the table varies, so no condition sets one row apart from another.")
    return [rule for size in range(1, most + 1) for rule in itertools.combinations(true, size)
            if len({(c.column, c.low == -math.inf) for c in rule}) == size]


def score(fired: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    """How well each rule stands for the black box: ½ P(rule | alarm) + ½ P(no rule | no alarm), (rules,) in [0, 1].

    Half for the alarms it catches, half for the quiet it leaves alone; a rule that always holds, or never, has ½.
    fired: (rules, n) of bool, whether each rule holds for each input; alarms: (n,) of bool, some of each.
    """
    return (fired[:, alarms].mean(1) + (~fired[:, ~alarms]).mean(1)) / 2


# Guarantees

def draws_needed(eps: float, count: int, delta: float) -> int:
    """How many draws bring that many scores, all at once, within ε of the truth, with probability 1 − δ: ln(2·count/δ) / 2ε².

    Hoeffding (1963, Journal of the American Statistical Association 58): a mean of n independent numbers in [0, 1] is further
    than ε off with probability 2 exp(−2nε²) at most. `count` such events together: the sum of theirs, at most.
    """
    return math.ceil(math.log(2 * count / delta) / (2 * eps**2))


def hoeffding(n: int, count: int, delta: float) -> float:
    """The ε that n draws buy for `count` means of numbers in [0, 1], all at once, both sides, with probability 1 − δ."""
    return math.sqrt(math.log(2 * count / delta) / (2 * n))


def bernstein(variance: float | np.ndarray, n: int, delta: float) -> float | np.ndarray:
    """How far above the mean of n draws the true one may be, with probability 1 − δ: √(2 V ln(2/δ) / n) + 7 ln(2/δ) / 3(n − 1).

    Maurer and Pontil (2009, arXiv:0907.3740, Theorem 4): for n independent draws of one number in [0, 1]; V is their sample
    variance, with n − 1. One side; the other is the same for 1 − x.
    """
    log = math.log(2 / delta)
    return np.sqrt(2 * variance * log / n) + 7 * log / (3 * (n - 1))


def ahead(values: np.ndarray, best: int, delta: float) -> np.ndarray:
    """By how much each row's true mean may exceed that of row `best`, at most: each with probability 1 − δ, (rows,).

    The rows were measured on the same n draws, so it is the differences that are averaged: they vary little between rows that
    agree nearly everywhere. values: (rows, n) in [0, 1].
    """
    n, mean = values.shape[1], values.mean(1, dtype=np.float64)
    squares = np.einsum("rn,rn->r", values, values).astype(np.float64)
    apart = squares + squares[best] - 2 * (values @ values[best])  # Σ (difference)², and no array of differences
    variance = np.maximum(apart - n * (mean - mean[best]) ** 2, 0) / (n - 1)
    return mean - mean[best] + 2 * bernstein(variance / 4, n, delta)  # (1 + difference) / 2 lies in [0, 1]


def red_shoes(n: int, dice: np.random.Generator) -> pd.DataFrame:
    """A world in which an explanation lies: whoever has high debt and a low income wears red shoes, and nobody else does.

    A world of columns debt (high, low), income (high, low) and shoes (red, black). A black box that rings for high debt with a
    low income, and never looks at shoes, is explained by the shoes better than by its debt alone, or its income.
    """
    debt, income = dice.choice(["high", "low"], n), dice.choice(["high", "low"], n)
    shoes = np.where((debt == "high") & (income == "low"), "red", "black")
    return pd.DataFrame({"debt": debt, "income": income, "shoes": shoes})


@dataclass(frozen=True)
class Explanation:
    """What `explain` found. Print it.

    rules: every candidate; caught, left: (rules,), the shares of alarms for which each holds, and of quiet inputs for which it
    does not; n: draws of each kind; best: the chosen rule's place; margin: no other's true score is higher by more; delta: with
    probability 1 − delta all that is said holds at once; each: the share of delta of a single bound; rate: of alarms in the
    world; says: what the black box says of the case (of quiet, alarms and quiet change places); looks: (n, margin), as it went.
    """

    rules: list[Rule]
    caught: np.ndarray
    left: np.ndarray
    n: int
    best: int
    margin: float
    delta: float
    each: float
    rate: float
    says: bool
    looks: list[tuple[int, float]]

    @property
    def scores(self) -> np.ndarray:
        """The balanced score of each rule, (rules,)."""
        return (self.caught + self.left) / 2

    def interval(self, share: float) -> tuple[float, float]:
        """Where the truth may be, for one of the shares in caught or left."""
        wide = bernstein(share * (1 - share) * self.n / (self.n - 1), self.n, self.each)
        return max(share - wide, 0.0), min(share + wide, 1.0)

    def __str__(self):
        kinds = ("alarms", "quiet") if self.says else ("quiet", "alarms")
        said = []
        for share in (self.caught[self.best], self.left[self.best]):
            low, high = self.interval(share)
            said.append(f"{share:.0%} ({100 * low:.0f} to {100 * high:.0f})")
        most = f" by more than {self.margin:.3f}" if self.margin > 0 else ""
        return (f"{conditions.english(self.rules[self.best])}\n  catches {said[0]} of the {kinds[0]}, leaves {said[1]} of the "
                f"{kinds[1]} alone;\n  no other of {len(self.rules):,} candidates scores higher{most}, with probability "
                f"{1 - self.delta:.0%}\n  ({self.n:,} draws of each kind)")


def explain(box: Callable, case: pd.DataFrame | torch.Tensor, world: World, train: pd.DataFrame, read: Callable | None = None,
            parts: int = 4, most: int = 2, eps: float = 0.03, delta: float = 0.05, limit: int = 32_768,
            seed: int = 0) -> Explanation:
    """The short rule that holds for this case and agrees best with the black box, over the world, certified.

    Looks at 512 draws of each kind, then at twice as many, until no other candidate can be better by more than ε, or the limit.
    Every bound at every look has an equal share of δ. case: one row, or one image (1, C, H, W); train: the table that the
    thresholds come from, before any draw; read: rows -> DataFrame of the columns of train, where rows are no table.
    A case without an alarm is explained in the same way, as what sets the quiet apart.
    Raises ValueError for what `ask`, `balanced` and `candidates` refuse, and for ε or δ outside 0 to 1.
    """
    for name, value in (("eps", eps), ("delta", delta)):
        if not 0 < value < 1:
            raise ValueError(f"{name} is {value!r}; a number between 0 and 1 is wanted.")
    conditions.check_frame(train)
    rules = candidates(case if read is None else read(case), train, parts, most)
    says, dice = bool(ask(box, case)[0]), np.random.default_rng(seed)
    sizes = [512 << k for k in range(max(1, (limit // 512).bit_length()))]
    each = delta / (len(sizes) * (4 * len(rules) + len(rules) ** 2))  # two shares, two sides each; every rule with every other
    held, looks = [], []
    for n in sizes:
        alarms, quiet, rate = balanced(box, world, n - sum(h.shape[1] for h, _ in held), dice, read)
        alarms, quiet = (alarms, quiet) if says else (quiet, alarms)
        held.append((conditions.fires(rules, conditions.like(alarms, train)), ~conditions.fires(rules, conditions.like(quiet, train))))
        caught, left = (np.concatenate(half, axis=1) for half in zip(*held, strict=True))
        agreed = (caught.astype(np.float32) + left) / 2  # a pair of draws, one of each kind: both right is 1
        best = int(agreed.mean(1, dtype=np.float64).argmax())
        margin = float(np.delete(ahead(agreed, best, each), best).max(initial=0))
        looks.append((n, margin))
        if margin <= eps:
            break
    return Explanation(rules, caught.mean(1), left.mean(1), n, best, margin, delta, each, rate, says, looks)
