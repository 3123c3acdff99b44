"""Tables: frames and labels that are checked, and conditions that a row meets or does not.

LIME, model explanations and rule lists speak of both.
"""

import itertools
import math
from collections.abc import Hashable, Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from trickkit.common import unknown


@dataclass(frozen=True)
class Condition:
    """Something that is true or false of each row: column == value for words, low < column ≤ high
    for numbers.

    Prints as English: "sex is male", "age > 42", "12 < duration ≤ 18".

    column: its name.
    value: the word; None for numbers.
    low, high: the bounds of numbers, infinite where there is none.
    """

    column: Hashable
    _: KW_ONLY
    value: object = None
    low: float = -math.inf
    high: float = math.inf

    def holds(self, frame: pd.DataFrame) -> np.ndarray:
        """For each row, whether it is true: (rows,) of bool."""
        column = frame[self.column]
        if self.value is not None:
            return (column == self.value).to_numpy(dtype=bool)
        values = column.to_numpy()
        return (values > self.low) & (values <= self.high)

    def __str__(self) -> str:
        if self.value is not None:
            return f"{self.column} is {self.value}"
        if self.low == -math.inf:
            return f"{self.column} ≤ {self.high:g}"
        if self.high == math.inf:
            return f"{self.column} > {self.low:g}"
        return f"{self.low:g} < {self.column} ≤ {self.high:g}"


Rule = tuple[Condition, ...]  # conditions that hold together


def english(conditions: Sequence[Condition]) -> str:
    """Conditions that hold together, as "sex is male and age > 42"; "anyone" for none at all."""
    return " and ".join(map(str, conditions)) or "anyone"


def holds(conditions: Sequence[Condition], frame: pd.DataFrame) -> np.ndarray:
    """For each row, whether all the conditions are true: (rows,) of bool.

    No condition at all is true of every row.
    """
    met = np.ones(len(frame), dtype=bool)
    for condition in conditions:
        met &= condition.holds(frame)
    return met


def evaluate(rules: Sequence[Rule], frame: pd.DataFrame) -> dict[Condition, np.ndarray]:
    """For each different condition of some rules, the rows for which it holds: (rows,) of bool."""
    different = dict.fromkeys(condition for rule in rules for condition in rule)
    return {condition: condition.holds(frame) for condition in different}


def fires(rules: Sequence[Rule], frame: pd.DataFrame) -> np.ndarray:
    """Whether each rule holds for each row, as `holds` says of one; each condition is asked once.

    rules: one or more.
    frame: (rows, columns).
    Returns (rules, rows) of bool.
    Raises ValueError for no rules.
    """
    if not len(rules):
        raise ValueError("At least one rule is wanted; none came.")
    held = np.ones((len(rules), len(frame)), dtype=bool)
    # None stands where a rule asks no more, and is true of every row
    facts = {None: held[0].copy()} | evaluate(rules, frame)
    place = {condition: i for i, condition in enumerate(facts)}
    met = np.stack(list(facts.values()))
    for asked in itertools.zip_longest(*rules):
        held &= met[[place[condition] for condition in asked]]
    return held


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers, to be cut, and not words or yes and no."""
    return is_numeric_dtype(column) and not is_bool_dtype(column)


def bin_edges(column: pd.Series, *, bins: int = 4) -> np.ndarray:
    """Where to cut a column of numbers into bins of about equal count: distinct values of it,
    rising, bins − 1 or fewer.

    Fewer cuts where values repeat; one after each value but the last where there are no more values
    than bins.

    column: (rows,) of numbers.
    bins: 4 for quartiles.
    """
    values = column.to_numpy(dtype=float)
    distinct = np.unique(values)
    if len(distinct) <= bins:
        return distinct[:-1]
    inner = np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf")
    return np.unique(inner[inner < distinct[-1]])


def words(column: pd.Series) -> list:
    """The different words of a column, sorted as text."""
    return sorted(column.unique().tolist(), key=str)


def split_column(column: pd.Series, *, bins: int = 4) -> tuple[list[Condition], np.ndarray]:
    """The conditions that split a column, as `column_conditions` says, and which of them each row
    meets.

    column: (rows,), words or numbers.
    bins: into how many numbers are cut.
    Returns them, and (rows,), whole numbers from 0, all 0 where the column is constant.
    """
    if is_number(column):
        edges = bin_edges(column, bins=bins)
        bounds = itertools.pairwise([-math.inf, *edges.tolist(), math.inf])
        every = [Condition(column.name, low=low, high=high) for low, high in bounds]
        codes = np.searchsorted(edges, column.to_numpy(dtype=float))
    else:
        different = words(column)
        every = [Condition(column.name, value=word) for word in different]
        codes = pd.Categorical(column, different).codes.astype(int)
    return every if len(every) > 1 else [], codes


def column_conditions(column: pd.Series, *, bins: int = 4) -> list[Condition]:
    """The conditions that split a column: one for each word, or each stretch between its
    `bin_edges`; none if it is constant.

    column: (rows,), words or numbers.
    bins: into how many numbers are cut.
    """
    return split_column(column, bins=bins)[0]


def validate_frame(frame: object) -> None:
    """Raise ValueError unless this is a frame with rows, with a name of its own for each column,
    and with nothing missing.
    """
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"A pandas DataFrame is wanted, with a name for each column; a {type(frame).__name__}"
            " came."
        )
    if not frame.shape[0] or not frame.shape[1]:
        raise ValueError(
            f"The frame has {frame.shape[0]} rows and {frame.shape[1]} columns; at least one of"
            " each is wanted."
        )
    if not frame.columns.is_unique:
        raise ValueError(
            f"Two columns are called {frame.columns[frame.columns.duplicated()][0]!r}. Rename one."
        )
    missing = frame.isna().sum()
    if missing.any():
        named = ", ".join(f"{name} ({count})" for name, count in missing[missing > 0].items())
        raise ValueError(
            f"Values are missing, in {named}. Fill them in, or drop those rows: frame.dropna()."
        )
    for name in frame.columns:
        if is_number(frame[name]) and not np.isfinite(frame[name].to_numpy(dtype=float)).all():
            raise ValueError(
                f"Column {name!r} holds infinite numbers. Replace them, or drop those rows."
            )


def encode_labels(labels: ArrayLike, *, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes, sorted, and the place of each row's label among them.

    labels: (n_rows,), any values, taken by position: the index of a Series says nothing.
    n_rows: how many are wanted.
    Returns (K,), and (n_rows,), whole numbers from 0.
    Raises ValueError unless there is one label a row, and none is missing.
    """
    labels = np.asarray(labels)
    if labels.shape != (n_rows,):
        raise ValueError(
            f"One label a row is wanted, ({n_rows},); the labels' shape is {labels.shape}."
        )
    missing = pd.isna(labels).sum()
    if missing:
        raise ValueError(f"{missing} of the labels are missing. Drop those rows.")
    return np.unique(labels, return_inverse=True)


def like(frame: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """The frame with the columns of another, in that one's order: what a model trained on the other
    can read.

    frame: (rows, columns), in any order of columns.
    train: the table before, or what is `brief` of it.
    Raises ValueError for what `validate_frame` refuses, for columns that lack or are too many, for
        words where numbers are wanted or the other way round, and for a word that its column never
        held, with the nearest that it did.
    """
    validate_frame(frame)
    lacking = [name for name in train.columns if name not in frame.columns]
    extra = [name for name in frame.columns if name not in train.columns]
    if lacking or extra:
        raise ValueError(
            f"The columns {', '.join(map(repr, train.columns))} are wanted. Lacking:"
            f" {', '.join(map(repr, lacking)) or 'none'}; not known:"
            f" {', '.join(map(repr, extra)) or 'none'}."
        )
    for name, column in train.items():
        number = is_number(column)
        if is_number(frame[name]) != number:
            came, wanted = ("words", "numbers") if number else ("numbers", "words")
            raise ValueError(
                f"Column {name!r} came as {came}; {wanted} are wanted, as in the table before."
            )
        if not number:
            known = set(column.unique())
            for word in frame[name].unique():
                if word not in known:
                    raise unknown(f"{name} in the table before", word, sorted(map(str, known)))
    return frame[list(train.columns)]


def brief(frame: pd.DataFrame) -> pd.DataFrame:
    """A short frame with the columns of another and each word of each: all that `like` compares
    with, and little to keep.
    """
    held = {
        name: column.array[:1] if is_number(column) else column.drop_duplicates().array
        for name, column in frame.items()
    }
    place = np.arange(max(map(len, held.values())))
    return pd.DataFrame({name: few.take(place % len(few)) for name, few in held.items()})
