"""Tables: conditions say what they hold for, and frames that cannot be used are refused with what
to do."""

import datetime
import decimal
import fractions
import math

import numpy as np
import pandas as pd
import pytest

from trickkit import data, rules
from trickkit.rules import conditions
from trickkit.rules.conditions import Condition


@pytest.fixture
def frame():
    return data.german_credit()


@pytest.mark.parametrize("bins", [2, 4, 7])
def test_the_conditions_of_a_column_meet_each_row_once(frame, bins):
    for name in frame:
        every = rules.column_conditions(frame[name], bins=bins)
        met = np.stack([condition.holds(frame) for condition in every])
        assert (met.sum(0) == 1).all() and met.any(1).all()


@pytest.mark.parametrize(
    "values",
    [
        [3, 1, 2, 2, 9, 4, 4],
        np.float32([0.1, 0.2, 0.3, 0.7, 0.1, 0.2, 0.9]),
        [True, False, True, True, False, True, True],
        list("bacabcb"),
        pd.Categorical(list("bacabcb")),
        pd.to_datetime(["2020-01-02", "2020-01-01"] * 3 + ["2021-05-05"]),
        pd.array([1, 5, 2, 5, 1, 1, 8], dtype="Int64"),
        [7] * 7,
        ["same"] * 7,
    ],
    ids=str,
)
def test_a_column_is_split_as_its_conditions_hold(values):
    frame = pd.DataFrame({"x": values})
    every, codes = rules.split_column(frame["x"], bins=3)
    assert every == rules.column_conditions(frame["x"], bins=3)
    for place, condition in enumerate(every):
        assert np.array_equal(condition.holds(frame), codes == place)
    assert codes.max() < len(every) if every else not codes.any()


def test_bins_are_of_about_equal_count_where_no_values_repeat():
    column = pd.Series(np.random.default_rng(0).normal(size=1000), name="x")
    every = rules.column_conditions(column, bins=5)
    assert [condition.holds(column.to_frame()).sum() for condition in every] == [200] * 5
    assert np.isin(rules.bin_edges(column, bins=7), column).all()  # cut at values that there are


def test_a_column_of_few_values_is_cut_between_each():
    assert rules.bin_edges(pd.Series([1] * 9 + [0]), bins=4).tolist() == [0]
    assert rules.bin_edges(pd.Series([3, 1, 2, 2, 2]), bins=3).tolist() == [1, 2]


@pytest.mark.parametrize("values", [[3, 3, 3], ["a", "a"]])
def test_a_constant_column_has_no_conditions(values):
    assert rules.column_conditions(pd.Series(values, name="x")) == []


@pytest.mark.parametrize(
    "condition, said",
    [
        (Condition("housing", value="own"), "housing is own"),
        (Condition("age", low=42), "age > 42"),
        (Condition("age", high=42), "age ≤ 42"),
        (Condition("duration", low=12, high=18), "12 < duration ≤ 18"),
    ],
)
def test_a_condition_says_what_it_asks(frame, condition, said):
    assert str(condition) == said
    asked = frame.query(said.replace("≤", "<=").replace(" is own", " == 'own'"))
    assert (np.flatnonzero(condition.holds(frame)) == asked.index).all()


def test_conditions_together(frame):
    both = [Condition("housing", value="own"), Condition("age", low=42)]
    assert (rules.holds(both, frame) == both[0].holds(frame) & both[1].holds(frame)).all()
    assert rules.holds([], frame).all()
    assert rules.english(both) == "housing is own and age > 42"
    assert rules.english([]) == "anyone"


def test_rules_are_asked_together(frame):
    age = Condition("age", low=42)
    own = Condition("housing", value="own")
    many = [(own,), (age, own), (Condition("duration", high=12), age, own), (age,)]
    fired = rules.fires(many, frame)
    assert all(
        (row == rules.holds(rule, frame)).all() for row, rule in zip(fired, many, strict=True)
    )
    assert list(conditions.evaluate(many, frame)) == [own, age, many[2][0]]
    assert rules.fires([(), (own,), ()], frame).mean(1).tolist() == [1, own.holds(frame).mean(), 1]
    assert rules.fires([()], frame).tolist() == [[True] * len(frame)]
    with pytest.raises(ValueError, match="At least one rule"):
        rules.fires([], frame)


def test_what_is_brief_of_a_table_is_compared_as_the_table(frame):
    table = frame.assign(kind=pd.Categorical(frame["housing"]), yes=frame["age"] > 30)
    short = rules.brief(table)
    assert len(short) < 10 and list(short) == list(table)
    pd.testing.assert_frame_equal(rules.like(table, short), table)
    for spoil in ({"purpose": 1}, {"age": "old"}, {"housing": "owned"}, {"kind": "robot"}):
        with pytest.raises(ValueError, match="are wanted|There is no") as whole:
            rules.like(table.assign(**spoil), table)
        with pytest.raises(ValueError, match="are wanted|There is no") as part:
            rules.like(table.assign(**spoil), short)
        assert str(whole.value) == str(part.value)


def test_yes_and_no_are_words():
    column = pd.Series([True, False, True], name="married")
    assert [str(c) for c in rules.column_conditions(column)] == [
        "married is False",
        "married is True",
    ]


def test_columns_in_another_order_are_put_in_order(frame):
    mixed = frame[frame.columns[::-1]].head(3)
    assert list(rules.like(mixed, frame).columns) == list(frame.columns)
    pd.testing.assert_frame_equal(rules.like(mixed, frame), frame.head(3))


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda f: f.to_numpy(), "a ndarray came"),
        (lambda f: f.iloc[:0], "0 rows"),
        (
            lambda f: f.set_axis(["age"] * 2 + list(f.columns[2:]), axis=1),
            "Two columns are called 'age'. Rename one",
        ),
        (lambda f: f.assign(age=f.age.where(f.age > 20)), r"age \(\d+\).*dropna"),
        (lambda f: f.assign(purpose=f.purpose.where(f.index != 7)), r"purpose \(1\)"),
        (lambda f: f.assign(age=math.inf), "'age' holds infinite"),
        (lambda f: f.drop(columns="age"), "Lacking: 'age'; not known: none"),
        (lambda f: f.rename(columns={"age": "years"}), "Lacking: 'age'; not known: 'years'"),
        (lambda f: f.assign(age=f.age.astype(str)), "'age' came as words; numbers"),
        (lambda f: f.assign(purpose=1), "'purpose' came as numbers; words"),
        (
            lambda f: f.assign(housing=f.housing.replace("own", "owned")),
            "called 'owned'. Did you mean 'own'",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(frame, spoil, said):
    with pytest.raises(ValueError, match=said):
        rules.like(spoil(frame), frame)


# What a column holds, however it is stored.


def kept(column):
    return pd.Series(column, name="x")


AGES = [30, 41, 52, 30, 63, 74]
DAYS = [datetime.date(2020, 1, age % 28 + 1) for age in AGES]


@pytest.mark.parametrize(
    "column",
    [
        AGES,
        pd.array(AGES, dtype="Int64"),
        np.float16(AGES),
        np.uint8(AGES),
        pd.arrays.SparseArray(AGES),
        kept(AGES).astype(object),
        [decimal.Decimal(age) for age in AGES],
        [fractions.Fraction(age) for age in AGES],
        kept([30, np.float32(41), 52.0, decimal.Decimal(30), 63, 74]).astype(object),
    ],
    ids=lambda column: type(column).__name__,
)
def test_numbers_are_numbers_however_they_are_kept(column):
    every, codes = rules.split_column(kept(column))
    assert [str(c) for c in every] == ["x ≤ 30", "30 < x ≤ 41", "41 < x ≤ 63", "x > 63"]
    assert codes.tolist() == [0, 1, 2, 0, 2, 3] and rules.is_number(kept(column))
    for place, condition in enumerate(every):
        assert np.array_equal(condition.holds(kept(column).to_frame()), codes == place)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (DAYS, "x ≤ 2020-01-03"),
        (pd.to_datetime(DAYS), "x ≤ 2020-01-03"),
        (pd.to_datetime(DAYS).tz_localize("Asia/Tokyo"), "x ≤ 2020-01-03+09:00"),
        (pd.PeriodIndex(DAYS, freq="D"), "x ≤ 2020-01-03"),
        (pd.to_timedelta(AGES, unit="h"), "x ≤ 1 days 06:00:00"),
        ([datetime.time(age % 24, 30) for age in AGES], "x ≤ 04:30:00"),
    ],
)
def test_dates_and_times_are_cut_as_numbers_are(column, said):
    every, codes = rules.split_column(kept(column), bins=3)
    assert str(every[0]) == said and codes.max() == len(every) - 1
    for place, condition in enumerate(every):
        assert np.array_equal(condition.holds(kept(column).to_frame()), codes == place)
    edges = rules.bin_edges(kept(column), bins=3)
    assert list(edges) == [condition.high for condition in every[:-1]]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([[1]] * 6, "'x' holds a list"),
        ([{}] * 6, "'x' holds a dict"),
        ([(1, 2)] * 6, "'x' holds a tuple"),
        ([1j] * 6, "'x' holds complex numbers"),
        ([1, None] * 3, r"missing, in x \(3\)"),
        (pd.array([1, None] * 3, dtype="Int64"), r"missing, in x \(3\)"),
        (pd.to_datetime([None, "2020-01-01"] * 3), r"missing, in x \(3\)"),
        ([decimal.Decimal("Infinity")] * 6, "'x' holds infinite"),
    ],
)
def test_a_column_of_something_else_is_refused(column, said):
    for ask in (rules.column_conditions, lambda c: rules.validate_frame(c.to_frame())):
        with pytest.raises(ValueError, match=said):
            ask(kept(column))
    with pytest.raises(ValueError, match="a list came"):
        rules.column_conditions([1, 2])
    with pytest.raises(ValueError, match="only numbers are cut"):
        rules.bin_edges(kept(list("abc")))


# Cuts told apart.


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            [40012341, 40012342, 40012343],
            ["x ≤ 40012341", "40012341 < x ≤ 40012342", "x > 40012342"],
        ),
        (
            [36.60001, 36.60002, 36.60003],
            ["x ≤ 36.60001", "36.60001 < x ≤ 36.60002", "x > 36.60002"],
        ),
        ([1000200.0, 1000300.0], ["x ≤ 1000200", "x > 1000200"]),
        ([-1e-9, 1e-9, 2e-9], ["x ≤ -1e-09", "-1e-09 < x ≤ 1e-09", "x > 1e-09"]),
        ([2**60 + 1, 2**60 + 2], [f"x ≤ {2**60 + 1}", f"x > {2**60 + 1}"]),
        ([10**25, 10**25 + 1], [f"x is {10**25}", f"x is {10**25 + 1}"]),
        ([1 / 3, 2 / 3], ["x ≤ 0.333333", "x > 0.333333"]),
        (
            [1 / 3, 1 / 3 + 1e-8, 1 / 3 + 2e-8],
            ["x ≤ 0.33333333", "0.33333333 < x ≤ 0.33333334", "x > 0.33333334"],
        ),
        (np.float32([0.1, 0.2]), ["x ≤ 0.1", "x > 0.1"]),
        (["", " a", "a"], ["x is ''", "x is ' a'", "x is a"]),
    ],
)
def test_a_cut_has_as_many_digits_as_tell_it_apart(values, said):
    every = rules.column_conditions(kept(values))
    assert [str(condition) for condition in every] == said
    met = np.stack([condition.holds(kept(values).to_frame()) for condition in every])
    assert np.array_equal(met, np.eye(len(values)))  # by value, and not as it is shown


def test_conditions_are_equal_by_value_whatever_they_show():
    assert Condition("x", high=1 / 3, digits=9) == Condition("x", high=1 / 3)
    assert Condition("x", high=30.0) == Condition("x", high=30)
    assert len({Condition("x", value=1), Condition("x", value="1")}) == 2


# Rows.


def test_a_row_comes_in_many_ways(frame):
    table = frame.assign(
        kind=pd.Categorical(frame["housing"]),
        yes=frame["age"] > 30,
        when=pd.Timestamp("2020-01-01") + pd.to_timedelta(frame["age"], unit="D"),
        group=pd.Categorical(frame["job"]),
        large=frame["age"].astype("Int64"),
    )
    wanted = table.iloc[[3]].reset_index(drop=True)
    row = table.iloc[3]
    for way in (table.iloc[[3]], row, row.to_dict(), row.to_frame().T, row[::-1]):
        came = conditions.one_row(way, table)
        pd.testing.assert_frame_equal(came.reset_index(drop=True), wanted)
    assert conditions.one_row(row.to_dict() | {"age": 30.5}, table)["age"].tolist() == [
        30.5
    ]  # and not 30
    with pytest.raises(ValueError, match="One row is wanted.*; 2 rows came"):
        conditions.one_row(table[:2], table)
    with pytest.raises(ValueError, match="came with 'True', of type str; .* True, of type bool"):
        conditions.one_row(row.to_dict() | {"yes": "True"}, table)
    with pytest.raises(ValueError, match="'when' came as words; dates are wanted"):
        conditions.one_row(row.to_dict() | {"when": "2020-05-05"}, table)
    with pytest.raises(ValueError, match="'age' holds a list"):
        conditions.one_row(row.to_dict() | {"age": [30]}, table)


def test_what_was_given_stays_as_it_was(frame):
    objects = frame.astype(object)
    before = objects.copy()
    made = rules.like(objects, frame)
    pd.testing.assert_frame_equal(made, frame)
    made.iloc[:] = made.iloc[0].tolist()
    pd.testing.assert_frame_equal(objects, before)


def test_columns_whose_names_read_alike_are_refused(frame):
    with pytest.raises(ValueError, match="Two columns are called '1'"):
        rules.validate_frame(pd.DataFrame({1: [1], "1": [2]}))
    twice = frame[["age", "age"]]
    with pytest.raises(ValueError, match="Two columns are called 'age'"):
        Condition("age", low=30).holds(twice)
    deep = frame[["age", "housing"]].set_axis(
        pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]), axis=1
    )
    assert rules.column_conditions(deep[("a", 1)])[0].holds(deep).any()


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            lambda f: Condition("agee", low=3).holds(f),
            "no column called 'agee'. Did you mean 'age'",
        ),
        (
            lambda f: Condition("purpose", low=3).holds(f),
            "'purpose > 3' cannot be asked .* holds words",
        ),
        (lambda f: Condition("age", high="x").holds(f), "cannot be asked .* holds numbers"),
        (lambda f: Condition("age", low=3).holds(f.to_numpy()), "a ndarray came"),
        (
            lambda f: Condition("age", low=[3]).holds(f),
            r"on column 'age' asks for \[3\]; one number",
        ),
        (lambda f: Condition("age", high=np.ones(len(f))).holds(f), "asks for .*; one number"),
        (lambda f: Condition("purpose", value=["x"]).holds(f), "asks for .*; one number"),
        (lambda f: rules.conditions.brief(f[["age", "age"]]), "Two columns are called 'age'"),
        (lambda f: rules.conditions.brief(f[[]]), "0 columns; at least one"),
        (
            lambda f: rules.fires([Condition("age", low=3)], f),
            r"tuple of conditions.*'age > 3' came",
        ),
        (lambda f: rules.holds(Condition("age", low=3), f), "tuple of conditions"),
        (lambda f: rules.english(["age > 3"]), "tuple of conditions"),
        (lambda f: rules.fires(Condition("age", low=3), f), "list of rules"),
        (lambda f: rules.bin_edges(f["age"], bins=0), "bins is 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(frame, ask, said):
    with pytest.raises(ValueError, match=said):
        ask(frame)


def test_nothing_is_true_of_a_missing_value():
    for missing in (math.nan, pd.array([None] * 3, dtype="Int64")):
        frame = pd.DataFrame({"x": missing}, index=range(3))
        assert not Condition("x", low=0).holds(frame).any()
    words = pd.DataFrame({"x": pd.array(["a", None], dtype="string")})
    assert Condition("x", value="a").holds(words).tolist() == [True, False]
