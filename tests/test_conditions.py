"""Tables: conditions say what they hold for, and frames that cannot be used are refused with what
to do."""

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
        (Condition("sex", value="male"), "sex is male"),
        (Condition("age", low=42), "age > 42"),
        (Condition("age", high=42), "age ≤ 42"),
        (Condition("duration", low=12, high=18), "12 < duration ≤ 18"),
    ],
)
def test_a_condition_says_what_it_asks(frame, condition, said):
    assert str(condition) == said
    asked = frame.query(said.replace("≤", "<=").replace(" is male", " == 'male'"))
    assert (np.flatnonzero(condition.holds(frame)) == asked.index).all()


def test_conditions_together(frame):
    both = [Condition("sex", value="male"), Condition("age", low=42)]
    assert (rules.holds(both, frame) == both[0].holds(frame) & both[1].holds(frame)).all()
    assert rules.holds([], frame).all()
    assert rules.english(both) == "sex is male and age > 42" and rules.english([]) == "anyone"


def test_rules_are_asked_together(frame):
    age = Condition("age", low=42)
    sex = Condition("sex", value="male")
    many = [(sex,), (age, sex), (Condition("duration", high=12), age, sex), (age,)]
    fired = rules.fires(many, frame)
    assert all(
        (row == rules.holds(rule, frame)).all() for row, rule in zip(fired, many, strict=True)
    )
    assert list(conditions.evaluate(many, frame)) == [sex, age, many[2][0]]
    assert rules.fires([(), (sex,), ()], frame).mean(1).tolist() == [1, sex.holds(frame).mean(), 1]
    assert rules.fires([()], frame).tolist() == [[True] * len(frame)]
    with pytest.raises(ValueError, match="At least one rule"):
        rules.fires([], frame)


def test_what_is_brief_of_a_table_is_compared_as_the_table(frame):
    table = frame.assign(kind=pd.Categorical(frame["sex"]), yes=frame["age"] > 30)
    short = rules.brief(table)
    assert len(short) < 10 and list(short) == list(table)
    pd.testing.assert_frame_equal(rules.like(table, short), table)
    for spoil in ({"sex": 1}, {"age": "old"}, {"housing": "owned"}, {"kind": "robot"}):
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
        (lambda f: f.assign(sex=f.sex.where(f.index != 7)), r"sex \(1\)"),
        (lambda f: f.assign(age=math.inf), "'age' holds infinite"),
        (lambda f: f.drop(columns="age"), "Lacking: 'age'; not known: none"),
        (lambda f: f.rename(columns={"age": "years"}), "Lacking: 'age'; not known: 'years'"),
        (lambda f: f.assign(age=f.age.astype(str)), "'age' came as words; numbers"),
        (lambda f: f.assign(sex=1), "'sex' came as numbers; words"),
        (
            lambda f: f.assign(housing=f.housing.replace("own", "owned")),
            "called 'owned'. Did you mean 'own'",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(frame, spoil, said):
    with pytest.raises(ValueError, match=said):
        rules.like(spoil(frame), frame)
