"""Tables: frames and labels that are checked, and conditions that a row meets or does not.

LIME, model explanations and rule lists speak of both.
"""

import itertools
import math
import numbers
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.api.types import (
    infer_dtype,
    is_bool_dtype,
    is_list_like,
    is_numeric_dtype,
    is_object_dtype,
)

from trickkit.common import unknown, validate_count

CUTS = "iufmM"  # the kinds of dtypes that are cut: whole numbers, floats, lengths of time, dates
KINDS = {"b": "True and False", "c": "complex numbers", "m": "lengths of time", "M": "dates"}
KINDS |= dict.fromkeys("iuf", "numbers")
FEW = 20  # as many classes are taken, however few rows each has
MAX_SHOWN = 12  # digits: a number of more was computed, and not read off


@dataclass(frozen=True)
class Condition:
    """Something that is true or false of each row: column == value for words, low < column ≤ high
    for numbers and dates.

    Prints as English: "sex is male", "age > 42", "12 < duration ≤ 18".

    column: its name.
    value: the word; None for numbers.
    low, high: the bounds of numbers or dates, infinite where there is none.
    digits: how many a bound is shown with, at least, where it is a computed number of more than 12:
        as many as tell it from the column's other bounds. Two conditions are equal whatever it is.
    """

    column: Hashable
    _: KW_ONLY
    value: object = None
    low: Any = -math.inf
    high: Any = math.inf
    digits: int = field(default=6, compare=False, repr=False)

    def holds(self, frame: pd.DataFrame) -> np.ndarray:
        """For each row, whether it is true: (rows,) of bool; nothing is true of a missing value.

        Raises ValueError for what is no frame, for a column that it lacks, for one that holds
            something else, words where this asks for numbers for instance, and where this asks for
            a list.
        """
        if not isinstance(frame, pd.DataFrame) or not frame.columns.is_unique:
            validate_columns(frame)
        if self.column not in frame.columns:
            raise unknown("column", self.column, frame.columns)
        for asked in (self.value, self.low, self.high):
            if is_list_like(asked):
                raise ValueError(
                    f"A condition on column {self.column!r} asks for {str(asked)[:60]}; one number"
                    " or one word is wanted."
                )
        column = unwrapped(frame[self.column])
        met = np.ones(len(column), dtype=bool)
        try:
            if self.value is not None:
                met &= _truth(column == self.value)
            if self.low != -math.inf:
                met &= _truth(column > self.low)
            if self.high != math.inf:
                met &= _truth(column <= self.high)
        except TypeError as error:
            raise ValueError(
                f"{str(self)!r} cannot be asked of column {self.column!r}, which holds"
                f" {kind(column)}."
            ) from error
        return met

    def __str__(self) -> str:
        if self.value is not None:
            return f"{self.column} is {shown_as(self.value, digits=self.digits)}"
        low = shown_as(self.low, digits=self.digits)
        high = shown_as(self.high, digits=self.digits)
        if self.low == -math.inf:
            return f"{self.column} ≤ {high}"
        if self.high == math.inf:
            return f"{self.column} > {low}"
        return f"{low} < {self.column} ≤ {high}"


Rule = tuple[Condition, ...]  # conditions that hold together


def shown_as(value: object, *, digits: int = 6) -> str:
    """A value as text: a number of up to 12 digits in full, any other with `digits`; a date without
    its time where that is midnight; a word in quotation marks where blanks are at its ends.
    """
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e16
        exact = f"{value:.0f}" if whole else f"{value:.{MAX_SHOWN}g}"
        return exact if float(exact) == value else f"{value:.{digits}g}"
    if isinstance(value, str) and value.strip() != value or value == "":
        return repr(value)
    if isinstance(value, pd.Timestamp):
        return str(value).replace(" 00:00:00", "")
    if isinstance(value, pd.Timedelta):
        return str(value).removesuffix(" 00:00:00").removeprefix("0 days ")
    return str(value)


def digits_apart(bounds: Sequence[object]) -> int:
    """The fewest digits, 6 or more, with which different bounds read differently."""
    return next(
        digits
        for digits in range(6, 18)
        if len({shown_as(bound, digits=digits) for bound in bounds}) == len(bounds) or digits == 17
    )


def english(conditions: Sequence[Condition]) -> str:
    """Conditions that hold together, as "sex is male and age > 42"; "anyone" for none at all."""
    return " and ".join(map(str, validated_rule(conditions))) or "anyone"


def validated_rule(rule: Iterable[Condition]) -> Rule:
    """A rule as a tuple.

    rule: conditions that hold together.
    Raises ValueError for anything else.
    """
    made = tuple(rule) if isinstance(rule, Iterable) else (None,)
    if not all(isinstance(condition, Condition) for condition in made):
        raise ValueError(
            "A rule is a tuple of conditions, of one too: (rules.Condition('sex', value='male'),);"
            f" {str(rule)[:60]!r} came."
        )
    return made


def validated_rules(rules: Iterable[Rule], *, at_least: int = 1) -> list[Rule]:
    """Rules in a list.

    at_least: 1, or 0 where there may be none.
    Raises ValueError for fewer, and for what is no rules.
    """
    if not isinstance(rules, Iterable):
        raise ValueError(f"A list of rules is wanted; {str(rules)[:60]!r} came.")
    made = [validated_rule(rule) for rule in rules]
    if len(made) < at_least:
        raise ValueError("At least one rule is wanted; none came. rules.mine finds some.")
    return made


def holds(conditions: Sequence[Condition], frame: pd.DataFrame) -> np.ndarray:
    """For each row, whether all the conditions are true: (rows,) of bool.

    No condition at all is true of every row.
    """
    validate_columns(frame)
    met = np.ones(len(frame), dtype=bool)
    for condition in validated_rule(conditions):
        met &= condition.holds(frame)
    return met


def evaluate(rules: Sequence[Rule], frame: pd.DataFrame) -> dict[Condition, np.ndarray]:
    """For each different condition of some rules, the rows for which it holds: (rows,) of bool."""
    different = dict.fromkeys(condition for rule in validated_rules(rules) for condition in rule)
    return {condition: condition.holds(frame) for condition in different}


def fires(rules: Sequence[Rule], frame: pd.DataFrame) -> np.ndarray:
    """Whether each rule holds for each row, as `holds` says of one; each condition is asked once.

    rules: one or more.
    frame: (rows, columns).
    Returns (rules, rows) of bool.
    """
    validate_columns(frame)
    rules = validated_rules(rules)
    held = np.ones((len(rules), len(frame)), dtype=bool)
    # None stands where a rule asks no more, and is true of every row
    facts = {None: held[0].copy()} | evaluate(rules, frame)
    place = {condition: i for i, condition in enumerate(facts)}
    met = np.stack(list(facts.values()))
    for asked in itertools.zip_longest(*rules):
        held &= met[[place[condition] for condition in asked]]
    return held


# Columns.


def unwrapped(column: pd.Series) -> pd.Series:
    """A column as what it holds, however it is stored: numbers, True and False, dates, lengths of
    time, or words, which is all else.

    Numbers may come as objects, Decimal among them, or in one of pandas' own types; so may dates
    and times of the day, which count from midnight. The words of a category stay words.

    Raises ValueError for what is no column.
    """
    if not isinstance(column, pd.Series):
        raise ValueError(f"One column is wanted, as frame['age']; a {type(column).__name__} came.")
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "bc" + CUTS:
        return column
    if isinstance(dtype, pd.SparseDtype):
        return unwrapped(column.astype(dtype.subtype))
    if isinstance(dtype, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if isinstance(dtype, pd.api.extensions.ExtensionDtype) and is_numeric_dtype(dtype):
        missing = column.isna().any()
        if missing and is_bool_dtype(dtype):
            return column
        return column.astype("float64" if missing else dtype.numpy_dtype)  # type: ignore[attr-defined]
    if is_object_dtype(dtype):
        inferred = column.infer_objects()
        if not is_object_dtype(inferred.dtype):
            return unwrapped(inferred)
        held = infer_dtype(column, skipna=False)
        if held == "date":
            return pd.to_datetime(column)
        if held == "time":
            return pd.to_timedelta(column.map(str))
        if held != "integer" and all(map(_is_real, column)):  # those would be one as floats
            return column.astype("float64")
    return column


def _is_real(value: object) -> bool:
    return isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool | np.bool_)


def _truth(met: pd.Series) -> np.ndarray:
    own = isinstance(met.dtype, np.dtype)
    return met.to_numpy() if own else met.to_numpy(dtype=bool, na_value=False)


def kind(column: pd.Series) -> str:
    """What a column holds, in words: "numbers", "words", "dates" and so on."""
    dtype = unwrapped(column).dtype
    zone = " with a time zone" if isinstance(dtype, pd.DatetimeTZDtype) else ""
    return KINDS.get(dtype.kind, "words") + zone


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers, or dates, which are cut as numbers are, and not words or yes
    and no.
    """
    return unwrapped(column).dtype.kind in CUTS


def validate_single(values: Iterable, *, what: str) -> None:
    """Raise ValueError unless there is one thing in each place, and no list of them."""
    for value in values:
        if is_list_like(value) or not isinstance(value, Hashable):
            raise ValueError(
                f"{what} a {type(value).__name__} in a row; one number or one word a row is wanted."
            )


def validate_column(column: pd.Series) -> None:
    """Raise ValueError unless a column holds a number, a date, yes or no, or a word a row, and all
    of them finite.
    """
    held = unwrapped(column)
    missing = held.isna().sum()
    if missing:
        raise ValueError(
            f"Values are missing, in {column.name} ({missing}). Fill them in, or drop those rows:"
            " frame.dropna()."
        )
    if is_object_dtype(held.dtype):
        validate_single(held, what=f"Column {column.name!r} holds")
    if held.dtype.kind == "c":
        raise ValueError(
            f"Column {column.name!r} holds complex numbers. Make real ones of them: their size,"
            " or real and imaginary part as two columns."
        )
    if held.dtype.kind == "f" and not np.isfinite(held.to_numpy()).all():
        raise ValueError(
            f"Column {column.name!r} holds infinite numbers. Replace them, or drop those rows."
        )


def cut(column: pd.Series, *, bins: int = 4) -> tuple[list, np.ndarray]:
    """Where a column of numbers or dates is cut, as `bin_edges` says, and the bin that each row
    falls into: (rows,), from 0.
    """
    validate_count(bins=bins)
    places, distinct = pd.factorize(unwrapped(column), sort=True)
    last = len(distinct) - 1
    edges = np.arange(last)
    if last >= bins:
        inner = np.quantile(places, np.arange(1, bins) / bins, method="inverted_cdf")
        edges = np.unique(inner[inner < last])
    return distinct[edges].tolist(), np.searchsorted(edges, places)


def bin_edges(column: pd.Series, *, bins: int = 4) -> np.ndarray:
    """Where to cut a column of numbers into bins of about equal count: distinct values of it,
    rising, bins − 1 or fewer.

    Fewer cuts where values repeat; one after each value but the last where there are no more values
    than bins.

    column: (rows,) of numbers, or of dates.
    bins: 4 for quartiles.
    Raises ValueError for what `validate_column` refuses, for words, and for fewer bins than 1.
    """
    validate_column(column)
    if not is_number(column):
        raise ValueError(f"Column {column.name!r} holds {kind(column)}, and only numbers are cut.")
    return np.array(cut(column, bins=bins)[0])


def words(column: pd.Series) -> list:
    """The different words of a column, sorted as text."""
    return coded_words(column)[0]


def coded_words(column: pd.Series) -> tuple[list, np.ndarray]:
    """The different words, and the place among them of each row's: (rows,)."""
    held = unwrapped(column)
    if is_object_dtype(held.dtype):
        validate_single(held, what=f"Column {column.name!r} holds")
    codes, different = pd.factorize(held)
    every = different.tolist()
    order = sorted(range(len(every)), key=lambda i: (str(every[i]), type(every[i]).__name__))
    return [every[i] for i in order], np.argsort(order)[codes]


def split_column(column: pd.Series, *, bins: int = 4) -> tuple[list[Condition], np.ndarray]:
    """The conditions that split a column, as `column_conditions` says, and which of them each row
    meets.

    column: (rows,), words, numbers or dates.
    bins: into how many numbers are cut.
    Returns them, and (rows,), whole numbers from 0, all 0 where the column is constant.
    """
    validate_column(column)
    if is_number(column):
        edges, codes = cut(column, bins=bins)
        digits = digits_apart(edges)
        bounds = itertools.pairwise([-math.inf, *edges, math.inf])
        every = [Condition(column.name, low=low, high=up, digits=digits) for low, up in bounds]
    else:
        different, codes = coded_words(column)
        every = [Condition(column.name, value=word) for word in different]
    return every if len(every) > 1 else [], codes


def column_conditions(column: pd.Series, *, bins: int = 4) -> list[Condition]:
    """The conditions that split a column: one for each word, or each stretch between its
    `bin_edges`; none if it is constant.

    column: (rows,), words, numbers or dates.
    bins: into how many numbers are cut.
    """
    return split_column(column, bins=bins)[0]


# Frames and labels.


def validate_columns(frame: object) -> None:
    """Raise ValueError unless this is a frame, with a name of its own for each column.

    Names that read alike, such as 1 and "1", are none of their own.
    """
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"A pandas DataFrame is wanted, with a name for each column; a {type(frame).__name__}"
            " came."
        )
    twice = frame.columns.map(str).duplicated()
    if twice.any():
        raise ValueError(f"Two columns are called {frame.columns[twice][0]!r}. Rename one.")


def validate_filled(frame: object) -> None:
    """Raise ValueError unless this is a frame with rows and columns, and a name of its own for each
    column.
    """
    validate_columns(frame)
    assert isinstance(frame, pd.DataFrame)  # or it would have been refused
    if not frame.shape[0] or not frame.shape[1]:
        raise ValueError(
            f"The frame has {frame.shape[0]} rows and {frame.shape[1]} columns; at least one of"
            " each is wanted."
        )


def validate_frame(frame: object) -> None:
    """Raise ValueError unless this is a frame with rows, with a name of its own for each column,
    with nothing missing, and with one number, date or word in each place.
    """
    validate_filled(frame)
    assert isinstance(frame, pd.DataFrame)  # or it would have been refused
    missing = frame.isna().sum()
    if missing.any():
        named = ", ".join(f"{name} ({count})" for name, count in missing[missing > 0].items())
        raise ValueError(
            f"Values are missing, in {named}. Fill them in, or drop those rows: frame.dropna()."
        )
    for name in frame.columns:
        validate_column(frame[name])


def number_array(
    values: ArrayLike, *, what: str, at_most: float = math.inf, whole: bool = False
) -> np.ndarray:
    """Finite real numbers from 0 to `at_most`, one or more, as an array, whatever holds them.

    what: is wanted, for an error.
    at_most: the most that any may be.
    whole: whether they must be whole ones; these come back as int64.
    Raises ValueError for anything else.
    """
    if hasattr(values, "detach"):  # a tensor, and no torch here
        values = values.detach().tolist()
    try:
        held = np.asarray(values)
    except ValueError:  # lists of different lengths
        held = np.empty(0)
    numbers = held.size and held.dtype.kind in ("biu" if whole else "biuf")
    if not numbers or not 0 <= held.min() <= held.max() <= at_most or held.max() == math.inf:
        raise ValueError(f"{what} is wanted; {str(values)[:60]} came.")
    return held.astype(np.int64) if whole else held


def label_array(labels: ArrayLike) -> np.ndarray:
    """Labels as an array, whatever holds them: a list, a Series and its index, a tensor, one of
    pandas' own types.

    Raises ValueError where words and numbers are mixed, or lists of different lengths came.
    """
    if hasattr(labels, "detach"):  # a tensor, and no torch here
        labels = labels.detach().tolist()
    try:
        values = np.asarray(labels)
    except ValueError as error:
        raise ValueError(
            "The labels are lists of different lengths; one a row is wanted."
        ) from error
    if is_object_dtype(values.dtype):
        if values.ndim:
            validate_single(values.ravel(), what="The labels hold")
        held = pd.Series(values.ravel()).infer_objects().to_numpy()
        return held.reshape(values.shape) if held.dtype.kind in "biuf" else values
    if values.dtype.kind == "U" and isinstance(labels, list | tuple) and values.ndim == 1:
        if not all(isinstance(label, str) for label in labels):  # 1 and "1" would be one class
            raise _mixed_labels()
    return values


def _mixed_labels() -> ValueError:
    return ValueError(
        "The labels mix words and numbers, or other things that have no order among them. One kind"
        " is wanted: pd.Series(labels).astype(str)."
    )


def encode_labels(labels: ArrayLike, *, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes, sorted, and the place of each row's label among them.

    labels: (n_rows,), any values, taken by position: the index of a Series says nothing.
    n_rows: how many are wanted.
    Returns (K,), and (n_rows,), whole numbers from 0.
    Raises ValueError unless there is one label a row, none is missing, and there are two classes or
        more, and fewer than one for each two rows where they are many.
    """
    values = label_array(labels)
    if not n_rows:
        raise ValueError("The frame has no rows; at least one is wanted.")
    if values.shape != (n_rows,):
        raise ValueError(
            f"One label a row is wanted, ({n_rows},); the labels' shape is {values.shape}."
        )
    missing = pd.isna(values).sum()
    if missing:
        raise ValueError(f"{missing} of the labels are missing. Drop those rows.")
    try:
        classes, y = np.unique(values, return_inverse=True)
    except TypeError as error:
        raise _mixed_labels() from error
    if len(classes) < 2:
        raise ValueError(
            "Labels of two or more classes are wanted; these have 1: all rows are of one class"
            f" only, {classes.tolist()[0]!r}."
        )
    if len(classes) > max(FEW, n_rows / 2):
        raise ValueError(
            f"The labels have {len(classes):,} different values in {n_rows:,} rows: they are"
            " continuous, or names, and a few classes are wanted. pd.qcut(labels, 4) makes four."
        )
    return classes, y


def in_order(frame: pd.DataFrame, names: Iterable[Hashable]) -> pd.DataFrame:
    """A copy of a frame with these columns, in this order.

    Raises ValueError for columns that lack or are too many.
    """
    validate_columns(frame)
    wanted = list(names)
    lacking = [name for name in wanted if name not in frame.columns]
    extra = [name for name in frame.columns if name not in set(wanted)]
    if lacking or extra:
        raise ValueError(
            f"The columns {', '.join(map(repr, wanted))} are wanted. Lacking:"
            f" {', '.join(map(repr, lacking)) or 'none'}; not known:"
            f" {', '.join(map(repr, extra)) or 'none'}."
        )
    return frame[wanted].copy()


def like(frame: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """A copy of the frame with the columns of another, in that one's order and of its types: what a
    model trained on the other can read.

    frame: (rows, columns), in any order of columns; a column of objects will do that hold the same,
        as a row does that was turned on its side.
    train: the table before, or what is `brief` of it.
    Raises ValueError for what `validate_frame` refuses, for columns that lack or are too many, for
        words where numbers are wanted or the other way round, and for a word that its column never
        held, with the nearest that it did.
    """
    validate_frame(frame)
    validate_columns(train)
    made = in_order(frame, train.columns)
    for name, column in train.items():
        came, wanted = kind(frame[name]), kind(column)
        number = is_number(column)
        known = set() if number else set(words(column))
        strange = [] if number else [word for word in words(frame[name]) if word not in known]
        if came != wanted and (number or strange and is_number(frame[name])):
            raise ValueError(
                f"Column {name!r} came as {came}; {wanted} are wanted, as in the table before."
            )
        if strange:
            raise _never_held(name, strange[0], known)
        if column.dtype != frame[name].dtype:
            held = unwrapped(frame[name])
            made[name] = (_of_type(held, column) if number else held.astype(column.dtype)).array
    return made


def _never_held(name: Hashable, word: object, known: set) -> ValueError:
    """The error for a word that its column never held, be it that it reads like one that it did."""
    alike = [other for other in known if str(other) == str(word)]
    if not alike:
        return unknown(f"{name} in the table before", word, sorted(map(str, known)))
    came, wanted = (type(value).__name__ for value in (word, alike[0]))
    return ValueError(
        f"Column {name!r} came with {word!r}, of type {came}; the table before holds {alike[0]!r},"
        f" of type {wanted}. Write it as there."
    )


def _of_type(held: pd.Series, column: pd.Series) -> pd.Series:
    """Numbers in the type of another column, or as they are where something would be lost."""
    with np.errstate(invalid="ignore"):  # a number too large for the type is seen below
        cast = held.astype(unwrapped(column).dtype)
    return held.astype(column.dtype) if (cast == held).all() else held


def one_row(row: pd.DataFrame | pd.Series | Mapping, train: pd.DataFrame) -> pd.DataFrame:
    """A row of a table as a frame of its own, `like` the table.

    row: a frame of one row, a Series such as frame.iloc[0], or {column: value}.
    train: the table, or what is `brief` of it.
    Raises ValueError for more rows than one, and for what `like` refuses.
    """
    if isinstance(row, pd.Series):
        row = row.to_dict()
    if isinstance(row, Mapping):
        row = pd.DataFrame({name: pd.Series([value], dtype=object) for name, value in row.items()})
    row = like(row, train)
    if len(row) != 1:
        raise ValueError(f"One row is wanted, such as frame.iloc[[0]]; {len(row)} rows came.")
    return row


def brief(frame: pd.DataFrame) -> pd.DataFrame:
    """A short frame with the columns of another and each word of each: all that `like` compares
    with, and little to keep.

    Raises ValueError for what `validate_filled` refuses.
    """
    validate_filled(frame)
    held = {
        name: column.array[:1] if is_number(column) else column.drop_duplicates().array
        for name, column in frame.items()
    }
    place = np.arange(max(map(len, held.values())))
    made = [few.take(place % len(few)) for few in held.values()]
    return framed(made, frame.columns)


def framed(columns: Iterable, names: pd.Index) -> pd.DataFrame:
    """A frame of columns under the names of another frame, whatever these are."""
    made = {
        i: pd.Series(values, dtype=object if is_object_dtype(values.dtype) else values.dtype)
        for i, values in enumerate(columns)
    }
    return pd.DataFrame(made).set_axis(names, axis=1)
