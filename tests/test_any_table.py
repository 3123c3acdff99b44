"""Any table: columns, labels and indices of every kind are used or refused with a sentence, stay as
they were, and nothing hangs on the order of rows or on what holds them."""

import copy
import datetime
import decimal
import fractions

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from trickkit import lime, mes, rules

few = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # smaller cases take minutes to find
    suppress_health_check=[HealthCheck.too_slow],
)
ANY_VALUE = st.one_of(
    st.sampled_from([0, 1, -1, 2.5, 1e-9, 1e300, True, False, "", "a", "A ", "1", "True", b"a"]),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=4),
    st.dates(),
    st.times(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.timedeltas(),
    st.complex_numbers(),
    st.none(),
    st.lists(st.integers(), max_size=2),
    st.tuples(st.integers()),
    st.just({}),
    st.just(pd.NA),
    st.just(pd.Timestamp("2020-01-01", tz="UTC")),
    st.just(pd.Interval(0, 1)),
    st.just(pd.Period("2020-01")),
)
# n whole numbers below 100 -> a column of one kind that can be used
USABLE = {
    "int": np.int64,
    "uint8": np.uint8,
    "large": lambda x: np.int64(x) + 2**60,
    "float": lambda x: x / 7,
    "float16": np.float16,
    "near": lambda x: 36.6 + x * 1e-5,
    "tiny": lambda x: x * -1e-9,
    "object": lambda x: pd.Series(x, dtype=object),
    "decimal": lambda x: pd.Series([decimal.Decimal(int(i)) / 7 for i in x], dtype=object),
    "fraction": lambda x: pd.Series([fractions.Fraction(int(i), 7) for i in x], dtype=object),
    "Int64": lambda x: pd.array(x, dtype="Int64"),
    "Float64": lambda x: pd.array(x / 7, dtype="Float64"),
    "sparse": lambda x: pd.arrays.SparseArray(x),
    "bool": lambda x: x % 2 == 0,
    "boolean": lambda x: pd.array(x % 2 == 0, dtype="boolean"),
    "word": lambda x: [f"w{i % 3}" for i in x],
    "string": lambda x: pd.array([f"w{i % 3}" for i in x], dtype="string"),
    "name": lambda x: [f"C{place}" for place in range(len(x))],
    "category": lambda x: pd.Categorical([f"w{i % 3}" for i in x]),
    "group": lambda x: pd.Categorical(x % 3),
    "mixed": lambda x: pd.Series([(1, "1", "b")[i % 3] for i in x], dtype=object),
    "day": lambda x: pd.Timestamp("2020-01-01") + pd.to_timedelta(x, unit="D"),
    "zoned": lambda x: pd.Timestamp("2020-01-01", tz="Asia/Tokyo") + pd.to_timedelta(x, unit="h"),
    "date": lambda x: pd.Series([datetime.date(2020, 1, i % 28 + 1) for i in x], dtype=object),
    "time": lambda x: pd.Series([datetime.time(i % 24) for i in x], dtype=object),
    "period": lambda x: pd.PeriodIndex([f"2020-{i % 12 + 1:02d}" for i in x], freq="M"),
    "duration": lambda x: pd.to_timedelta(x, unit="h"),
    "interval": lambda x: pd.arrays.IntervalArray.from_tuples([(i, i + 1) for i in x % 5]),
    "constant": lambda x: ["same"] * len(x),
}
# n of 0 and 1 -> the same as labels, in an order that keeps 0 before 1
LABELS = {
    "array": np.asarray,
    "list": np.ndarray.tolist,
    "tuple": lambda y: tuple(y.tolist()),
    "words": lambda y: ["yes" if k else "no" for k in y],
    "bool": lambda y: y == 1,
    "float": np.float32,
    "object": lambda y: y.astype(object),
    "Series": lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
    "category": lambda y: pd.Series(pd.Categorical(np.where(y, "b", "a")), index=y),
    "Int64": lambda y: pd.array(y, dtype="Int64"),
    "boolean": lambda y: pd.array(y == 1, dtype="boolean"),
    "string": lambda y: pd.array(np.where(y, "b", "a"), dtype="string"),
    "Index": pd.Index,
    "tensor": torch.tensor,
    "half": lambda y: torch.tensor(y).half(),
}
INDICES = {
    "range": pd.RangeIndex,
    "reversed": lambda n: np.arange(n)[::-1],
    "same": lambda n: [0] * n,
    "words": lambda n: [f"r{i % 3}" for i in range(n)],
    "days": lambda n: pd.date_range("2020-01-01", periods=n),
    "deep": lambda n: pd.MultiIndex.from_arrays([np.arange(n) % 2, np.arange(n)]),
}


@st.composite
def usable(draw, smallest=2):
    """A frame that can be used, and labels of 0 and 1, some of each."""
    n = draw(st.integers(smallest, 24))
    kinds = draw(st.lists(st.sampled_from(sorted(USABLE)), min_size=1, max_size=4, unique=True))
    seed = draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    columns = {kind: USABLE[kind](rng.integers(0, 100, n)) for kind in kinds}
    frame = pd.DataFrame({kind: pd.Series(column) for kind, column in columns.items()})
    frame.index = INDICES[draw(st.sampled_from(sorted(INDICES)))](n)
    return frame, rng.permutation(np.arange(n) % 2)


@st.composite
def anything(draw):
    """A frame that may hold whatever there is, and labels that may, too."""
    n = draw(st.integers(0, 8))
    width = draw(st.integers(0, 3))
    columns = [draw(st.lists(ANY_VALUE, min_size=n, max_size=n)) for _ in range(width)]
    names = draw(st.lists(st.sampled_from(["a", "b", 1, "1", ("a", 1)]), min_size=3, max_size=3))
    frame = pd.concat(
        [pd.Series(column, dtype=object) for column in columns] or [pd.Series(range(n))[:0]], axis=1
    ).set_axis(pd.Index(names[: max(width, 1)], tupleize_cols=False), axis=1)
    if draw(st.booleans()):
        frame = frame.infer_objects()
    return frame, draw(st.lists(ANY_VALUE, min_size=n, max_size=draw(st.integers(n, n + 1))))


def flat(frame):
    return np.tile([0.4, 0.6], (len(frame), 1))


def every_way(frame, labels):
    """Whatever can be asked of a table, by name."""
    mined = [(rules.Condition(name, low=0),) for name in frame.columns]

    def fitted():
        model = rules.BayesianRuleList(steps=8, chains=1, random_state=0).fit(frame, labels)
        return model.predict_proba(frame[:2]), model.predict_proba(frame[:1].astype(object))

    return {
        "mine": lambda: rules.mine(frame, labels),
        "posterior": lambda: rules.Posterior(mined, frame, labels)((0,)),
        "list": lambda: str(rules.fit_list(rules.mine(frame, labels)[:2], frame, labels)),
        "corels": lambda: rules.corels(rules.mine(frame, labels)[:3], frame, labels),
        "classifier": fitted,
        "table": lambda: str(lime.explain_table(flat, frame.iloc[0], frame, samples=4)),
        "features": lambda: lime.row_features(frame[:1], frame),
        "disguised": lambda: lime.disguised(frame, flat, flat)(frame),
        "candidates": lambda: mes.candidates(frame[:1], frame),
        "tree": lambda: mes.Tree(frame)(3, np.random.default_rng(0)),
        "independent": lambda: mes.independent(frame)(3, np.random.default_rng(0)),
        "labels": lambda: mes.hard_labels(lambda rows: labels, frame),
        "bags": lambda: lime.validated_probabilities(labels, asked=len(frame)),
        "like": lambda: rules.like(frame, frame),
        "fires": lambda: rules.fires(mined, frame),
    }


@few
@given(anything())
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_whatever_comes_is_used_or_refused_with_a_sentence(table):
    frame, labels = table
    before = copy.deepcopy(frame)
    for name, ask in every_way(frame, labels).items():
        if len(frame) or name != "table":  # there is no row to take
            try:
                ask()
            except ValueError as error:
                assert type(error) is ValueError and " " in str(error), (name, error)
    assert frame.dtypes.equals(before.dtypes) and frame.index.equals(before.index)
    assert repr(frame.to_dict("list")) == repr(before.to_dict("list"))


@few
@given(usable(), st.sampled_from(sorted(LABELS)))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_can_be_used_is_used_and_stays_as_it_was(table, kept):
    frame, y = table
    labels = LABELS[kept](y)
    before = frame.copy(), copy.deepcopy(labels)
    for name, ask in every_way(frame, labels).items():
        if name in ("posterior", "fires", "labels", "bags"):
            continue  # of conditions and answers that need not fit
        try:
            ask()
        except ValueError as error:
            wanted = (
                "No condition holds" if name != "candidates" else "No column of the table varies"
            )
            assert str(error).startswith(wanted), name
    pd.testing.assert_frame_equal(frame, before[0])
    assert str(labels) == str(before[1])


@few
@given(
    usable(smallest=4), st.sampled_from(sorted(LABELS)), st.sampled_from(sorted(INDICES)), st.data()
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_hangs_on_the_order_of_rows_or_on_what_holds_them(table, kept, index, data):
    frame, y = table
    frame = frame.assign(extra=np.arange(len(frame)) % 3)
    order = data.draw(st.permutations(range(len(frame))))
    mixed = frame.iloc[order].set_axis(INDICES[index](len(frame)), axis=0)
    labels = LABELS[kept](y[order])
    mined = rules.mine(frame, y)
    assert rules.mine(mixed, labels) == mined
    assert list(map(rules.english, rules.mine(mixed, labels))) == list(map(rules.english, mined))
    posteriors = [rules.Posterior(mined, *given) for given in ((frame, y), (mixed, labels))]
    assert posteriors[0]((0,)) == posteriors[1]((0,))
    lists = [rules.corels(mined[:4], *given) for given in ((frame, y), (mixed, labels))]
    assert lists[0].list.rules == lists[1].list.rules
    assert np.array_equal(lists[0].list.counts, lists[1].list.counts)
    place = order.index(0)
    told = [
        lime.explain_table(flat, case, train, samples=8)
        for case in (frame[:1], frame.iloc[0], mixed.iloc[[place]], mixed.iloc[place].to_frame().T)
        for train in (frame, mixed)
    ]
    assert len({one.names for one in told}) == 1
    assert mes.candidates(mixed.iloc[place], mixed) == mes.candidates(frame[:1], frame)
    for name in frame:
        every, codes = rules.split_column(frame[name])
        assert len(set(map(str, every))) == len(every) or name == "mixed"
        for number, condition in enumerate(every):
            assert np.array_equal(condition.holds(frame), codes == number)
