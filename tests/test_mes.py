"""Model explanations: the world is learnt, the best rule is found, and the guarantee holds at its
stated rate."""

import itertools
import math
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binom
from sklearn.metrics import mutual_info_score

from trickkit import data, mes
from trickkit.rules import conditions
from trickkit.rules.conditions import Condition

# a small world, all of it
BITS = pd.DataFrame(list(itertools.product([0, 1], repeat=4)), columns=list("abcd"))
WEIGHTS = np.random.default_rng(3).dirichlet(np.full(16, 2.0))


def bits(n, rng):
    return BITS.iloc[rng.choice(16, n, p=WEIGHTS)].reset_index(drop=True)


def rings(rows):
    """Two of the first three: no rule of two conditions says so exactly."""
    return (rows["a"] + rows["b"] + rows["c"] >= 2).to_numpy()


def truth(considered, says=True):
    """The true shares caught and left alone in the small world, a rule each."""
    fired = conditions.fires(considered, BITS)
    alarm = rings(BITS) == says
    return (
        fired[:, alarm] @ WEIGHTS[alarm] / WEIGHTS[alarm].sum(),
        ~fired[:, ~alarm] @ WEIGHTS[~alarm] / WEIGHTS[~alarm].sum(),
    )


@pytest.fixture(scope="module")
def loans():
    return data.german_credit().drop(columns="risk")


# The worlds


def test_information_is_scikit_learns():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a = rng.integers(0, 4, 60)
        b = (a + rng.integers(0, 3, 60)) % 5
        assert mes.mutual_information(a, b) == pytest.approx(mutual_info_score(a, b), abs=1e-12)


def spanning_trees(nodes):
    for links in itertools.combinations(itertools.combinations(range(nodes), 2), nodes - 1):
        reached = {0}
        for _ in links:
            reached |= {x for link in links if reached & set(link) for x in link}
        if len(reached) == nodes:
            yield links


@pytest.mark.parametrize("seed", range(10))
def test_the_tree_is_the_best_of_all_trees(seed):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.integers(0, 3, (80, 4)), columns=list("wxyz"))
    table["y"] = (table["w"] + (rng.random(80) < 0.3)) % 3
    columns = table.to_numpy().T
    trees = list(spanning_trees(4))
    shared = {
        pair: mutual_info_score(columns[pair[0]], columns[pair[1]])
        for pair in itertools.combinations(range(4), 2)
    }
    assert len(trees) == 16  # Cayley: 4 ** 2
    found = {tuple(sorted("wxyz".index(name) for name in link)) for link in mes.Tree(table).links}
    assert sum(shared[pair] for pair in found) == pytest.approx(
        max(sum(shared[pair] for pair in tree) for tree in trees)
    )


def test_the_tree_draws_what_it_learnt(loans):
    tree = mes.Tree(loans)
    rng = np.random.default_rng(0)
    drawn = tree(20_000, rng)
    assert list(drawn) == list(loans) and drawn.dtypes.equals(loans.dtypes)
    bins = {name: conditions.column_conditions(loans[name], bins=8) for name in loans}
    # of linked columns, each pair of bins is as frequent as in the table
    for parent, child in tree.links:
        for p, c in itertools.product(bins[parent], bins[child]):
            both = conditions.holds([p, c], loans).mean()
            assert conditions.holds([p, c], drawn).mean() == pytest.approx(
                both, abs=5 * math.sqrt(both / 20_000) + 1e-9
            )
    assert drawn.equals(tree(20_000, np.random.default_rng(0)))
    assert not drawn.equals(tree(20_000, rng))


def test_a_tree_of_one_column_and_of_a_constant():
    table = pd.DataFrame({"x": [1, 2, 3, 4], "same": [7] * 4, "word": list("abab")})
    for columns in (["x"], ["same"], ["same", "x", "word"]):
        drawn = mes.Tree(table[columns])(50, np.random.default_rng(0))
        assert drawn.shape == (50, len(columns))
        assert all(set(drawn[c]) == set(table[c]) for c in columns)


def test_independent_columns_make_loans_that_cannot_be_and_a_tree_does_not(loans):
    large_and_short = [Condition("credit_amount", low=7000), Condition("duration", high=12)]
    share = [
        conditions.holds(large_and_short, world(20_000, np.random.default_rng(0))).mean()
        for world in (mes.independent(loans), mes.Tree(loans))
    ]
    real = conditions.holds(large_and_short, loans).mean()
    assert abs(share[1] - real) < 0.003 and share[0] > 5 * real


def test_handwriting_moves_and_keeps_to_pixels():
    images = data.digits().test_images[:50]
    world = mes.handwriting(images)
    drawn = world(400, np.random.default_rng(0))
    assert drawn.shape == (400, 1, 28, 28) and drawn.dtype == torch.float32
    assert 0 <= drawn.min() and drawn.max() <= 1
    assert torch.equal(drawn, world(400, np.random.default_rng(0)))
    assert not torch.equal(drawn, world(400, np.random.default_rng(1)))
    assert 0.8 < drawn.mean() / images.mean() < 1.25
    # turned and scaled about the middle, it only moves: by at most 2 pixels each way
    dot = torch.zeros(1, 1, 29, 29)
    dot[..., 13:16, 13:16] = 1
    moved = mes.handwriting(dot)(300, np.random.default_rng(0))
    place = torch.arange(29.0)
    for axis in (2, 3):
        middle = (moved.sum(5 - axis)[:, 0] * place).sum(1) / moved.sum((1, 2, 3)) - 14
        assert 1.5 < middle.abs().max() < 2.3 and middle.std() > 0.8
    ink = moved.sum((1, 2, 3))
    assert ink.min() < 8 and ink.max() > 12  # thinner and thicker
    # a level stroke shows how far each is turned, and how much longer it is
    stroke = torch.zeros(1, 1, 29, 29)
    stroke[..., 14, 5:24] = 1
    turned, longer = [], []
    for image in mes.handwriting(stroke)(300, np.random.default_rng(0))[:, 0].numpy():
        y, x = np.indices(image.shape)
        spread = np.cov(x.ravel(), y.ravel(), aweights=image.ravel())
        turned.append(np.degrees(np.arctan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1]) / 2))
        longer.append(np.sqrt(12 * np.linalg.eigvalsh(spread)[1]) / 19)
    assert -16 < min(turned) < -13 and 13 < max(turned) < 16
    assert min(longer) < 0.94 and max(longer) > 1.1


def test_blocks_count_the_ink():
    images = torch.zeros(2, 1, 28, 28)
    images[0, 0, :7, 21:] = 1
    images[1, 0, 7:14, :7] = 0.404
    frame = mes.blocks(images)
    assert frame.shape == (2, 16)
    assert frame["ink 1,4"].tolist() == [100, 0] and frame["ink 2,1"].tolist() == [0, 40]
    assert frame.to_numpy().sum() == 140
    with pytest.raises(ValueError, match="multiples of 4"):
        mes.blocks(torch.zeros(1, 1, 27, 28))
    with pytest.raises(ValueError, match="Grey"):
        mes.blocks(torch.zeros(1, 3, 28, 28))


# The black box


@pytest.mark.parametrize(
    "said",
    [
        np.array([0, 1, 1]),
        [False, True, True],
        torch.tensor([0, 1, 1]),
        torch.tensor([0.0, 1, 1]),
        pd.Series([0, 1, 1]),
        np.array([0, 1, 1], dtype=object),
        np.array([False, True, True], dtype=object),
        pd.Series([0, 1, 1], index=[2, 0, 1]),
        pd.Categorical([0, 1, 1]),
        pd.array([0, 1, 1], dtype="Int64"),
        pd.array([False, True, True], dtype="boolean"),
        torch.tensor([0, 1, 1], dtype=torch.bfloat16, requires_grad=True),
    ],
)
def test_labels_of_every_sort_are_taken(said):
    assert mes.hard_labels(lambda rows: said, BITS[:3]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (np.full((3, 2), 0.5), r"scores, of shape \(3, 2\).*predict\(rows\)\[:, 1\] > 0.5"),
        (np.array([0.2, 0.7, 1.0]), r"scores, from 0.2 to 1\..*predict\(rows\) > 0.5"),
        (np.array([0, np.nan, 1]), "scores, from 0 to nan"),
        (
            np.array([0, 3, 7]),
            r"returned 0, 3, 7\. Choose the class to explain: lambda rows: predict\(rows\) == 7",
        ),
        (np.array(["good", "bad", "bad"]), "predict.rows. == 'good'"),
        (np.array([0, 1]), r"\(3,\); the black box returned shape \(2,\)"),
        (1, r"returned shape \(\)"),
        (None, r"returned shape \(\)"),
        (np.full((3, 1), 0.7), r"one column, \(3, 1\).*np.ravel\(predict\(rows\)\) > 0.5"),
        (["0", "1", "1"], "returned '0', '1'"),
        (pd.array([None, "a", "b"], dtype="string"), "no label for some rows"),
        ([0, "a", 1], "mix words and numbers"),
        ([[0], [1, 2], [0]], "different lengths"),
    ],
)
def test_what_is_no_label_is_refused(said, message):
    with pytest.raises(ValueError, match=message):
        mes.hard_labels(lambda rows: said, BITS[:3])


def test_a_box_that_works_in_place_spoils_nothing():
    def spoil(rows):
        said = rings(rows)
        rows["a"] = 9
        del rows["b"]
        rows.index += 7
        return said

    own = bits(3000, np.random.default_rng(0))
    before = own.copy()
    asked = {"case": BITS.iloc[[15]], "train": BITS, "max_draws": 512}
    for world in (bits, lambda n, rng: own):
        told, wanted = (str(mes.explain_alarm(box, world=world, **asked)) for box in (spoil, rings))
        assert told == wanted
    pd.testing.assert_frame_equal(own, before)
    pd.testing.assert_frame_equal(asked["case"], BITS.iloc[[15]])

    def blacken(images):
        said = images.mean((1, 2, 3)) > 0.3
        images.zero_()
        return said

    images = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    kept = images.clone()

    def read(x):
        made = mes.blocks(x)
        x.zero_()
        return made

    world = mes.handwriting(images)
    asked = {"case": images[:1], "world": world, "train": mes.blocks(images), "max_draws": 512}
    told = mes.explain_alarm(blacken, read=read, **asked)
    plain = mes.explain_alarm(lambda x: x.mean((1, 2, 3)) > 0.3, read=mes.blocks, **asked)
    assert str(told) == str(plain) and torch.equal(images, kept)
    images.zero_()
    assert world(5, np.random.default_rng(0)).any()  # the world stays as it was

    place = np.zeros(3000, dtype=bool)

    def again(rows):
        place[: len(rows)] = rings(rows)
        return place[: len(rows)]

    said = mes.hard_labels(again, BITS)
    mes.hard_labels(again, BITS[::-1])
    assert np.array_equal(said, rings(BITS))


def test_a_world_stays_as_the_table_was():
    table = BITS.copy()
    worlds = [mes.Tree(table), mes.independent(table)]
    table.iloc[:] = 0
    for world in worlds:
        assert world(200, np.random.default_rng(0)).mean().min() > 0.2


def test_worlds_draw_the_tables_types():
    table = pd.DataFrame({"n": pd.array([1, 2, 3, 4], dtype="Int64")}).assign(
        kind=pd.Categorical(list("abab")),
        day=pd.date_range("2020-01-01", periods=4, tz="UTC"),
        text=pd.Series(list("abcd"), dtype=object),
    )
    deep = table.set_axis(pd.MultiIndex.from_product([["a", "b"], [1, 2]]), axis=1)
    for frame in (table, deep):
        for world in (mes.Tree(frame), mes.independent(frame)):
            drawn = world(20, np.random.default_rng(0))
            assert drawn.dtypes.equals(frame.dtypes) and drawn.columns.equals(frame.columns)


def test_a_world_may_throw_all_away_now_and_then():
    def now_and_then(n, rng):
        return bits(n, rng)[: n * int(rng.integers(2))]

    told = mes.explain_alarm(rings, BITS.iloc[[15]], now_and_then, BITS, max_draws=512)
    assert told.n == 512


def test_a_column_of_names_costs_a_tree_no_more_than_its_rows():
    table = pd.DataFrame({"name": [f"customer {i}" for i in range(4000)], "n": range(4000)})
    tracemalloc.start()
    drawn = mes.Tree(table)(1000, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert drawn["name"].nunique() > 500 and peak < 8 * 2**20  # squared: 15 MiB of bools


@pytest.mark.parametrize("way", [dict, pd.Series, lambda row: row.to_frame().T])
def test_a_case_may_be_a_series_a_dict_or_a_frame_on_its_side(loans, way):
    case = way(loans.iloc[7])
    assert mes.candidates(case, loans) == mes.candidates(loans.iloc[[7]], loans)
    asked = {"world": mes.Tree(loans), "train": loans, "max_draws": 512}

    def long(rows):
        return (rows["duration"] > 24).to_numpy()

    told = [str(mes.explain_alarm(long, c, **asked)) for c in (case, loans.iloc[[7]])]
    assert told[0] == told[1]


def test_candidates_say_dates_and_close_cuts_apart():
    table = pd.DataFrame({"x": [1 / 3, 1 / 3 + 1e-8, 1 / 3 + 2e-8]})
    table["day"] = pd.date_range("2020-01-01", periods=3)
    said = [conditions.english(r) for r in mes.candidates(table.iloc[1], table, max_conditions=1)]
    assert said == ["x > 0.33333333", "x ≤ 0.33333334", "day > 2020-01-01", "day ≤ 2020-01-02"]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: mes.score([True, False], [1, 0]), r"\(2,\) and \(2,\)"),
        (lambda: mes.score([[True, False]], [1, 1]), "Of 2 inputs, 2 are alarms"),
        (lambda: mes.score([[True, False]], [1, 0, 1]), "the shapes are"),
        (lambda: mes.draws_needed(eps=0, count=1, delta=0.1), "eps is 0"),
        (lambda: mes.draws_needed(eps=0.1, count=0, delta=0.1), "count is 0"),
        (lambda: mes.hoeffding(n=0, count=1, delta=0.1), "n is 0"),
        (lambda: mes.bernstein(0.1, n=1, delta=0.1), "n is 1"),
        (lambda: mes.bernstein(0.1, n=5, delta=2), "delta is 2"),
        (lambda: mes.regret_bounds(np.ones((2, 1)), 0, delta=0.1), "n is 1"),
        (lambda: mes.bernstein(-1.0, n=10, delta=0.1), "A variance of 0 or more .* -1.0 came"),
        (lambda: mes.bernstein(math.inf, n=10, delta=0.1), "A variance .* inf came"),
        (lambda: mes.bernstein(np.float32(np.inf), n=10, delta=0.1), "A variance .* inf came"),
        (lambda: mes.bernstein(math.nan, n=10, delta=0.1), "A variance .* nan came"),
        (lambda: mes.bernstein(np.array([0.1, -0.1]), n=10, delta=0.1), "A variance"),
        (lambda: mes.bernstein(1j, n=10, delta=0.1), "A variance"),
        (lambda: mes.bernstein("a", n=10, delta=0.1), "A variance"),
        (lambda: mes.regret_bounds(np.ones((3, 9)), -1, delta=0.1), "best is -1; the rows are 0"),
        (lambda: mes.regret_bounds(np.ones((3, 9)), 3, delta=0.1), "best is 3; the rows are 0"),
        (lambda: mes.regret_bounds(np.ones((3, 9)), True, delta=0.1), "best is True"),
        (lambda: mes.regret_bounds(np.ones((3, 9)) * 2, 0, delta=0.1), "A value of 0 to 1"),
        (lambda: mes.regret_bounds(np.ones((3, 9)) * math.nan, 0, delta=0.1), "A value of 0 to 1"),
        (lambda: mes.regret_bounds(np.ones(9), 0, delta=0.1), r"Values \(rows, n\) are wanted"),
        (lambda: mes.regret_bounds(None, 0, delta=0.1), "A value of 0 to 1 .* None came"),
        (lambda: mes.mutual_information([0, 1], [0, 1, 1]), r"one length .* \(2,\) and \(3,\)"),
        (lambda: mes.mutual_information([0, 1], [0.5, 1]), "A whole number of 0 or more"),
        (lambda: mes.mutual_information([0, -1], [0, 1]), "A whole number of 0 or more"),
        (lambda: mes.mutual_information([], []), "A whole number of 0 or more"),
        (lambda: mes.mutual_information([[0], [0, 1]], [0, 1]), "A whole number of 0 or more"),
        (lambda: mes.bin_indices(BITS[[]]), "16 rows and 0 columns"),
        (lambda: mes.bin_indices(None), "a NoneType came"),
        (
            lambda: mes.balanced_sample(rings, bits, n=np.array(10), rng=np.random.default_rng(0)),
            "n is array",
        ),
        (
            lambda: mes.explain_alarm(rings, BITS.iloc[[15]], bits, BITS, seed=-1),
            "seed is -1; a whole number of at least 0",
        ),
        *(
            (lambda world=world, n=n, rng=rng: world(n, rng), said)
            for world in (
                mes.Tree(BITS),
                mes.independent(BITS),
                mes.red_shoes,
                mes.handwriting(torch.rand(2, 1, 8, 8)),
                lambda n, rng: mes.balanced_sample(rings, bits, n=n, rng=rng),
            )
            for n, rng, said in ((-1, np.random.default_rng(0), "n is -1"), (3, 0, "rng is 0"))
        ),
        (lambda: mes.blocks(torch.rand(1, 1, 4, 4), across=0), "across is 0"),
        (lambda: mes.Tree(BITS, bins=0), "bins is 0"),
        (lambda: mes.hard_labels("predict", BITS), "such as model.predict; a str came"),
    ],
)
def test_what_has_no_measure_is_refused(ask, said):
    with pytest.raises(ValueError, match=said):
        ask()


def test_scores_go_by_place_and_by_truth():
    fired = [[1, 0, 1]]
    assert mes.score(fired, pd.Series([1, 0, 1], index=[2, 0, 1])).tolist() == [1]


@pytest.mark.parametrize("answer", [0, 1])
def test_a_box_that_never_or_always_rings_is_refused(answer):
    said = f"with{'' if answer == 0 else 'out'} an alarm are wanted; of [0-9]+ .* 0 are"
    with pytest.raises(ValueError, match=said):
        mes.explain_alarm(lambda rows: np.full(len(rows), answer), BITS[:1], bits, BITS)


def test_balanced_draws_are_the_worlds_own_of_each_kind():
    alarms, quiet, rate = mes.balanced_sample(rings, bits, n=20_000, rng=np.random.default_rng(0))
    true = rings(BITS)
    assert len(alarms) == len(quiet) == 20_000 and rings(alarms).all() and not rings(quiet).any()
    assert rate == pytest.approx(WEIGHTS[true].sum(), abs=0.02)
    for kind, frame in ((true, alarms), (~true, quiet)):
        counts = frame.value_counts().reindex(pd.MultiIndex.from_frame(BITS[kind]), fill_value=0)
        share = counts.to_numpy() / 20_000
        assert np.abs(share - WEIGHTS[kind] / WEIGHTS[kind].sum()).max() < 0.02


# Candidates and scores


def test_candidates_hold_for_the_case_and_are_all_there_are(loans):
    case = loans.iloc[[7]]
    found = mes.candidates(case, loans, max_conditions=3)
    assert conditions.fires(found, case).all() and len(set(found)) == len(found)
    single = []
    for name in loans:
        ways = conditions.column_conditions(loans[name])
        if conditions.is_number(loans[name]):
            edges = conditions.bin_edges(loans[name]).tolist()
            ways = [Condition(name, **{way: t}) for t in edges for way in ("low", "high")]
        single += [condition for condition in ways if condition.holds(case)[0]]
    for size in (1, 2, 3):
        wanted = [
            r
            for r in itertools.combinations(single, size)
            if not any(
                a.column == b.column
                and a.value is None
                and (a.low > -math.inf) == (b.low > -math.inf)
                for a, b in itertools.combinations(r, 2)
            )
        ]
        assert {frozenset(r) for r in found if len(r) == size} == set(map(frozenset, wanted))


def test_every_rule_fires_where_its_conditions_hold(loans):
    found = mes.candidates(loans.iloc[[3]], loans, max_conditions=3)
    fired = conditions.fires(found, loans)
    for i in range(0, len(found), 37):
        assert (fired[i] == conditions.holds(found[i], loans)).all()


def test_scores():
    rng = np.random.default_rng(0)
    fired = rng.random((5, 40)) < 0.4
    alarms = rng.random(40) < 0.3
    fired[0] = True
    fired[1] = False
    fired[2] = alarms
    found = mes.score(fired, alarms)
    assert found[:3].tolist() == [0.5, 0.5, 1.0]
    assert mes.score(~fired, alarms) == pytest.approx(1 - found)
    for rule, s in zip(fired, found, strict=True):
        caught = [f for f, a in zip(rule, alarms, strict=True) if a]
        left = [not f for f, a in zip(rule, alarms, strict=True) if not a]
        assert s == pytest.approx(sum(caught) / len(caught) / 2 + sum(left) / len(left) / 2)


# Guarantees


@pytest.mark.parametrize(
    ("eps", "count", "delta"), [(0.1, 1, 0.05), (0.03, 1000, 0.05), (0.02, 7, 0.2)]
)
def test_draws_needed_are_enough_and_not_one_too_many(eps, count, delta):
    n = mes.draws_needed(eps=eps, count=count, delta=delta)
    enough, few = (mes.hoeffding(n=m, count=count, delta=delta) for m in (n, n - 1))
    assert enough <= eps < few
    for p in (0.1, 0.5, 0.8):  # the exact chance that a share of n is further off
        below = binom.cdf(math.ceil(n * (p - eps)) - 1, n, p)
        above = binom.sf(math.floor(n * (p + eps)), n, p)
        assert below + above <= delta / count


def test_what_small_types_hold_does_not_overflow():
    codes = np.random.default_rng(0).integers(0, 200, (2, 500))
    assert mes.mutual_information(*codes.astype(np.uint8)) == mes.mutual_information(*codes)
    hits = codes % 2
    bounds = mes.regret_bounds(hits.astype(float), 1, delta=0.1)
    for kind in (np.uint8, bool, torch.from_numpy):
        held = kind(hits) if kind is torch.from_numpy else hits.astype(kind)
        assert mes.regret_bounds(held, 1, delta=0.1) == pytest.approx(bounds)


def test_bernsteins_bound_is_the_theorems():
    # Maurer, Pontil 2009, theorem 4, with ln(2/0.05) = 3.6889
    by_hand = (2 * 0.25 * 3.6889 / 101) ** 0.5 + 7 * 3.6889 / 300
    assert mes.bernstein(0.25, n=101, delta=0.05) == pytest.approx(by_hand, rel=1e-4)
    for kept in (list, np.array, torch.tensor, np.float32, np.float16):
        with warnings.catch_warnings(action="error"):
            several = mes.bernstein(kept([0.25, 0.25]), n=101, delta=0.05)
        assert several == pytest.approx([by_hand] * 2, rel=1e-4)


@pytest.mark.parametrize("n", [20, 200, 3000])
@pytest.mark.parametrize("delta", [0.2, 0.01])
def test_bernsteins_bound_fails_as_seldom_as_it_says_and_is_no_wider_than_it_need_be(n, delta):
    hits = np.arange(n + 1)
    share = hits / n
    wide = mes.bernstein(share * (1 - share) * n / (n - 1), n=n, delta=delta)
    for p in (0.02, 0.1, 0.5, 0.9, 0.98):
        assert binom.pmf(hits, n, p)[p > share + wide].sum() <= delta
    if n >= 200 and delta == 0.2:  # and it has teeth
        assert binom.pmf(hits, n, 0.5)[0.5 > share + wide / 4].sum() > delta
    if n == 3000:
        plain = math.sqrt(math.log(2 / delta) / (2 * n))
        assert mes.bernstein(0.0, n=n, delta=delta) < plain / 5
        assert mes.bernstein(0.04, n=n, delta=delta) < plain / 1.6


def test_ahead_is_bernsteins_bound_on_the_differences():
    rng = np.random.default_rng(0)
    for values in (rng.random((6, 300)), rng.integers(0, 3, (6, 300)).astype(np.float32) / 2):
        apart = (values - values[2]).astype(np.float64)
        wanted = apart.mean(1) + 2 * mes.bernstein(
            ((1 + apart) / 2).var(1, ddof=1), n=300, delta=0.01
        )
        assert mes.regret_bounds(values, 2, delta=0.01) == pytest.approx(wanted, abs=1e-6)


def broken(e, narrow=1.0):
    """Whether anything that an explanation says is untrue, its widths multiplied by narrow."""
    true = truth(e.rules, e.says)
    wide = [
        narrow * np.diff([e.interval(s) for s in share], axis=1)[:, 0] / 2
        for share in (e.caught, e.left)
    ]
    off = [
        np.abs(share - t) > w + 1e-12
        for share, t, w in zip((e.caught, e.left), true, wide, strict=True)
    ]
    real = (true[0] + true[1]) / 2
    return bool(np.any(off)) or real.max() - real[e.best] > narrow * e.gap + 1e-12


def test_the_guarantee_holds_at_its_stated_rate():
    runs = [
        mes.explain_alarm(
            rings, BITS.iloc[[i % 16]], bits, BITS, eps=1e-6, delta=0.1, max_draws=512, seed=i
        )
        for i in range(400)
    ]
    assert np.mean([broken(e) for e in runs]) <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / 400)
    # and the promise is not kept by saying nothing
    assert np.mean([broken(e, 0.25) for e in runs]) > 0.5
    assert np.mean([e.gap for e in runs]) < 0.25
    assert np.mean([np.diff(e.interval(e.caught[e.best])) for e in runs]) < 0.3


@pytest.mark.parametrize(("max_draws", "looks"), [(512, 1), (4095, 3), (4096, 4)])
def test_every_bound_at_every_look_has_its_share_of_delta(max_draws, looks):
    e = mes.explain_alarm(
        rings, BITS.iloc[[15]], bits, BITS, eps=1e-6, delta=0.2, max_draws=max_draws
    )
    bounds = sum(2 for _ in (*e.caught, *e.left)) + len(e.rules) ** 2
    assert len(e.history) == looks and e.each * looks * bounds == pytest.approx(0.2)


def test_the_scores_of_hoeffding_hold_all_at_once():
    considered = mes.candidates(BITS.iloc[[13]], BITS)
    true = sum(truth(considered)) / 2
    eps = 0.1
    missed = 0
    n = mes.draws_needed(eps=eps, count=len(considered), delta=0.1)
    for seed in range(400):
        alarms, quiet, _ = mes.balanced_sample(
            rings, bits, n=n // 2, rng=np.random.default_rng(seed)
        )
        fired = conditions.fires(considered, pd.concat([alarms, quiet]))
        found = mes.score(fired, np.arange(n // 2 * 2) < n // 2)
        missed += bool((np.abs(found - true) > eps).any())
    assert missed / 400 <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / 400)


@pytest.mark.parametrize("place", [0, 3, 5, 11, 14, 15])
def test_the_best_rule_is_the_best_of_the_whole_world(place):
    e = mes.explain_alarm(rings, BITS.iloc[[place]], bits, BITS, eps=0.01, max_draws=16_384)
    true = sum(truth(e.rules, e.says)) / 2
    assert e.says == rings(BITS.iloc[[place]])[0] and true.max() - true[e.best] <= e.gap
    assert true.max() - true[e.best] < 0.01 and e.scores == pytest.approx(true, abs=0.02)
    assert all(c.holds(BITS.iloc[[place]])[0] for c in e.rules[e.best])


def test_it_stops_when_it_is_sure_enough_and_says_so_where_it_is_not():
    sure = mes.explain_alarm(rings, BITS.iloc[[15]], bits, BITS, eps=0.05)
    assert sure.gap <= 0.05 < sure.history[-2][1]
    assert [n for n, _ in sure.history] == [512 << k for k in range(len(sure.history))]
    unsure = mes.explain_alarm(rings, BITS.iloc[[15]], bits, BITS, eps=1e-4, max_draws=1000)
    assert unsure.n == 512 and unsure.gap > 1e-4 and f"by more than {unsure.gap:.3f}" in str(unsure)


def test_quiet_is_explained_like_an_alarm():
    quiet = mes.explain_alarm(rings, BITS.iloc[[0]], bits, BITS, seed=4)
    turned = mes.explain_alarm(lambda rows: ~rings(rows), BITS.iloc[[0]], bits, BITS, seed=4)
    assert not quiet.says and turned.says and quiet.rules[quiet.best] == turned.rules[turned.best]
    assert (quiet.caught == turned.caught).all() and quiet.gap == turned.gap
    assert quiet.alarm_rate == 1 - turned.alarm_rate
    assert "of the quiet, leaves" in str(quiet) and "of the alarms alone" in str(quiet)


def test_an_exact_rule_is_found_and_said_in_english():
    e = mes.explain_alarm(lambda rows: rows["a"] + rows["d"] == 2, BITS.iloc[[15]], bits, BITS)
    assert str(e).startswith("a > 0 and d > 0\n  catches 100% (") and "probability 95%" in str(e)
    assert e.scores[e.best] == 1
    assert e.history[-1] == (e.n, e.gap) and e.gap <= 0.03


def test_digits_are_explained_by_their_ink():
    images = (torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    images[::2, :, :2, :2] = 0

    def corner(x):
        return x[:, 0, :2, :2].mean((1, 2)) > 0.4

    def world(n, rng):
        return images[rng.integers(60, size=n)]

    place = corner(images).nonzero()[0, 0].item()
    e = mes.explain_alarm(corner, images[[place]], world, mes.blocks(images), read=mes.blocks)
    assert e.says and "ink 1,1 > " in str(e) and e.scores[e.best] > 0.9


def test_red_shoes_explain_a_box_that_never_looks_at_them():
    def lender(rows):
        return (rows["debt"] == "high") & (rows["income"] == "low")

    table = mes.red_shoes(500, np.random.default_rng(1))
    case = table[lender(table)].iloc[[0]]
    e = mes.explain_alarm(lender, case, mes.red_shoes, table, max_conditions=1)
    for share in (-0.1, 1.1, math.nan, "a"):
        with pytest.raises(ValueError, match=f"share is {share!r}"):
            e.interval(share)
    assert str(e).startswith("shoes is red") and e.gap == 0 and "scores higher, with" in str(e)


# What cannot be used


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": 0}, "eps is 0"),
        ({"delta": 1}, "delta is 1"),
        ({"delta": -0.1}, "delta is -0.1"),
        ({"max_conditions": 0}, "max_conditions is 0"),
        ({"case": BITS.iloc[:2]}, "2 rows came"),
        ({"case": BITS.iloc[[0], :3]}, "Lacking: 'd'"),
        ({"train": BITS * 0}, "No column of the table varies"),
        ({"train": BITS.where(BITS["a"] > 0)}, "Values are missing, in a"),
        ({"case": BITS.iloc[[0]].astype(str)}, "came as words"),
        ({"world": lambda n, rng: bits(n, rng)[["a", "b", "c"]]}, "Lacking: 'd'"),
        ({"world": lambda n, rng: bits(0, rng)}, "0 rows"),
        ({"world": lambda n, rng: bits(n, rng).to_numpy()}, "a ndarray came"),
        ({"predict": lambda rows: rows.to_numpy() * 0.5}, "returned scores"),
        ({"predict": None}, "a NoneType came"),
        ({"world": BITS}, "mes.Tree"),
        ({"max_draws": 0}, "max_draws is 0"),
        ({"max_draws": "a"}, "max_draws is 'a'"),
        ({"eps": "a"}, "eps is 'a'"),
        ({"read": lambda rows: rows[:1], "case": BITS[:2]}, "read made 1 rows of 2"),
    ],
)
def test_what_cannot_be_explained_is_refused(change, message):
    asked = {"predict": rings, "case": BITS.iloc[[15]], "world": bits, "train": BITS} | change
    with pytest.raises(ValueError, match=message):
        mes.explain_alarm(**asked)


def test_columns_in_another_order_are_the_same_case():
    plain, turned = (
        mes.explain_alarm(rings, BITS.iloc[[15]][names], bits, BITS)
        for names in (list("abcd"), list("dbca"))
    )
    assert str(plain) == str(turned)


def test_an_unseen_word_is_named(loans):
    with pytest.raises(ValueError, match="called 'yacht'"):
        mes.candidates(loans.iloc[[0]].assign(purpose="yacht"), loans)
