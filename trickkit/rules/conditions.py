"""Tables: frames that are checked, and conditions that a row meets or does not. LIME, model explanations and rule lists speak
of both.
"""
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from trickkit.common import unknown


@dataclass(frozen=True)
class Condition:
    """Something that is true or false of each row: column == value for words, low < column ≤ high for numbers.

    Prints as English: "sex is male", "age > 42", "12 < duration ≤ 18".
    """

    column: str
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

    def __str__(self):
        if self.value is not None:
            return f"{self.column} is {self.value}"
        if self.low == -math.inf:
            return f"{self.column} ≤ {self.high:g}"
        if self.high == math.inf:
            return f"{self.column} > {self.low:g}"
        return f"{self.low:g} < {self.column} ≤ {self.high:g}"


Rule = tuple[Condition, ...]  # conditions that hold together


def english(conditions: Sequence[Condition]) -> str:
    """Conditions that hold together, as "sex is male and age > 42"; none at all hold for "anyone"."""
    return " and ".join(map(str, conditions)) or "anyone"


def holds(conditions: Sequence[Condition], frame: pd.DataFrame) -> np.ndarray:
    """For each row, whether all the conditions are true: (rows,) of bool. No condition at all is true of every row."""
    met = np.ones(len(frame), dtype=bool)
    for condition in conditions:
        met &= condition.holds(frame)
    return met


def fires(rules: Sequence[Rule], frame: pd.DataFrame) -> np.ndarray:
    """Whether each of one rule or more holds for each row: (rules, rows) of bool. Each condition is asked once."""
    conditions = {condition: i for i, condition in enumerate(dict.fromkeys(c for rule in rules for c in rule))}
    facts = np.stack([condition.holds(frame) for condition in conditions])
    longest = max(map(len, rules))
    places = np.array([[conditions[rule[min(i, len(rule) - 1)]] for rule in rules] for i in range(longest)])
    held = facts[places[0]]
    for more in places[1:]:  # a shorter rule asks its last condition again
        held &= facts[more]
    return held


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers, to be cut, and not words or yes and no."""
    return is_numeric_dtype(column) and not is_bool_dtype(column)


def edges(column: pd.Series, parts: int = 4) -> np.ndarray:
    """Where to cut a column of numbers into parts of about equal count: distinct values of it, rising, parts − 1 or fewer.

    parts: 4 for quartiles. Fewer cuts where values repeat; one for each value where there are no more values than parts.
    """
    values = column.to_numpy(dtype=float)
    distinct = np.unique(values)
    if len(distinct) <= parts:
        return distinct[:-1]
    inner = np.quantile(values, np.arange(1, parts) / parts, method="inverted_cdf")
    return np.unique(inner[inner < distinct[-1]])


def parts_of(column: pd.Series, parts: int = 4) -> list[Condition]:
    """The conditions that split a column: one for each word, or each stretch between its `edges`; none if it is constant."""
    if not is_number(column):
        words = sorted(column.unique().tolist(), key=str)
        return [Condition(column.name, word) for word in words] if len(words) > 1 else []
    cuts = edges(column, parts)
    if not len(cuts):
        return []
    return [Condition(column.name, None, low, high)
            for low, high in zip([-math.inf, *map(float, cuts)], [*map(float, cuts), math.inf], strict=True)]


def check_frame(frame: pd.DataFrame) -> None:
    """Raise ValueError unless this is a frame with rows, with a name of its own for each column, and with nothing missing."""
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"A pandas DataFrame is wanted, with a name for each column; a {type(frame).__name__} came.")
    if not frame.shape[0] or not frame.shape[1]:
        raise ValueError(f"The frame has {frame.shape[0]} rows and {frame.shape[1]} columns; at least one of each is wanted.")
    if not frame.columns.is_unique:
        raise ValueError(f"Two columns are called {frame.columns[frame.columns.duplicated()][0]!r}. Rename one.")
    missing = frame.isna().sum()
    if missing.any():
        named = ", ".join(f"{name} ({count})" for name, count in missing[missing > 0].items())
        raise ValueError(f"Values are missing, in {named}. Fill them in, or drop those rows: frame.dropna().")
    for name in frame.columns:
        if is_number(frame[name]) and not np.isfinite(frame[name].to_numpy(dtype=float)).all():
            raise ValueError(f"Column {name!r} holds infinite numbers. Replace them, or drop those rows.")


def like(frame: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """The frame with the columns of another, in that one's order: what a model trained on the other can read.

    Raises ValueError for what `check_frame` refuses, for columns that lack or are too many, for words where numbers are wanted
    or the other way round, and for a word that its column never held, with the nearest that it did.
    """
    check_frame(frame)
    lacking = [name for name in train.columns if name not in frame.columns]
    extra = [name for name in frame.columns if name not in train.columns]
    if lacking or extra:
        raise ValueError(f"The columns {', '.join(map(repr, train.columns))} are wanted. Lacking: "
                         f"{', '.join(map(repr, lacking)) or 'none'}; not known: {', '.join(map(repr, extra)) or 'none'}.")
    for name in train.columns:
        if is_number(frame[name]) != is_number(train[name]):
            came, wanted = ("numbers", "words") if is_number(frame[name]) else ("words", "numbers")
            raise ValueError(f"Column {name!r} came as {came}; {wanted} are wanted, as in the table before.")
        if not is_number(train[name]):
            known = set(train[name].unique())
            for word in frame[name].unique():
                if word not in known:
                    raise unknown(f"{name} in the table before", word, sorted(map(str, known)))
    return frame[list(train.columns)]


def brief(frame: pd.DataFrame) -> pd.DataFrame:
    """A short frame with the columns of another and each word of each: all that `like` compares with, and little to keep."""
    words = {name: frame[name].head(1) if is_number(frame[name]) else frame[name].drop_duplicates() for name in frame}
    longest = max(map(len, words.values()))
    return pd.DataFrame({name: column.iloc[np.arange(longest) % len(column)].to_numpy() for name, column in words.items()})
