"""Tables: conditions say what they hold for, and frames that cannot be used are refused with what to do."""
import math

import numpy as np
import pandas as pd
import pytest

from trickkit import data, rules
from trickkit.rules.conditions import Condition


@pytest.fixture
def frame():
    return data.german_credit()


@pytest.mark.parametrize("parts", [2, 4, 7])
def test_the_parts_of_a_column_meet_each_row_once(frame, parts):
    for name in frame:
        met = np.stack([condition.holds(frame) for condition in rules.parts_of(frame[name], parts)])
        assert (met.sum(0) == 1).all() and met.any(1).all()


def test_parts_are_of_about_equal_count_where_no_values_repeat():
    column = pd.Series(np.random.default_rng(0).normal(size=1000), name="x")
    counts = [condition.holds(column.to_frame()).sum() for condition in rules.parts_of(column, 5)]
    assert counts == [200] * 5


def test_a_column_of_few_values_is_cut_between_each():
    assert rules.edges(pd.Series([1] * 9 + [0]), 4).tolist() == [0]
    assert rules.edges(pd.Series([3, 1, 2, 2, 2]), 3).tolist() == [1, 2]


def test_a_constant_column_has_no_parts():
    assert rules.parts_of(pd.Series([3, 3, 3], name="x")) == [] == rules.parts_of(pd.Series(["a", "a"], name="x"))


@pytest.mark.parametrize("condition, said", [
    (Condition("sex", "male"), "sex is male"), (Condition("age", low=42), "age > 42"), (Condition("age", high=42), "age ≤ 42"),
    (Condition("duration", low=12, high=18), "12 < duration ≤ 18")])
def test_a_condition_says_what_it_asks(frame, condition, said):
    assert str(condition) == said
    asked = frame.query(said.replace("≤", "<=").replace(" is male", " == 'male'"))
    assert (np.flatnonzero(condition.holds(frame)) == asked.index).all()


def test_conditions_together(frame):
    both = [Condition("sex", "male"), Condition("age", low=42)]
    assert (rules.holds(both, frame) == both[0].holds(frame) & both[1].holds(frame)).all()
    assert rules.holds([], frame).all()
    assert rules.english(both) == "sex is male and age > 42" and rules.english([]) == "anyone"


def test_yes_and_no_are_words():
    column = pd.Series([True, False, True], name="married")
    assert [str(c) for c in rules.parts_of(column)] == ["married is False", "married is True"]


def test_columns_in_another_order_are_put_in_order(frame):
    mixed = frame[frame.columns[::-1]].head(3)
    assert list(rules.like(mixed, frame).columns) == list(frame.columns)
    pd.testing.assert_frame_equal(rules.like(mixed, frame), frame.head(3))


@pytest.mark.parametrize("spoil, said", [
    (lambda f: f.to_numpy(), "a ndarray came"),
    (lambda f: f.iloc[:0], "0 rows"),
    (lambda f: f.set_axis(["age"] * 2 + list(f.columns[2:]), axis=1), "Two columns are called 'age'. Rename one"),
    (lambda f: f.assign(age=f.age.where(f.age > 20)), r"age \(\d+\).*dropna"),
    (lambda f: f.assign(sex=f.sex.where(f.index != 7)), r"sex \(1\)"),
    (lambda f: f.assign(age=math.inf), "'age' holds infinite"),
    (lambda f: f.drop(columns="age"), "Lacking: 'age'; not known: none"),
    (lambda f: f.rename(columns={"age": "years"}), "Lacking: 'age'; not known: 'years'"),
    (lambda f: f.assign(age=f.age.astype(str)), "'age' came as words; numbers"),
    (lambda f: f.assign(sex=1), "'sex' came as numbers; words"),
    (lambda f: f.assign(housing=f.housing.replace("own", "owned")), "called 'owned'. Did you mean 'own'")])
def test_what_cannot_be_used_is_refused(frame, spoil, said):
    with pytest.raises(ValueError, match=said):
        rules.like(spoil(frame), frame)
