"""Lesson 21's measurements: the stored are what the code gives, and say what the lesson says."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from trickkit import games, player
from trickkit.papers import mnih2015


def test_a_tiny_game_is_learnt_alike_from_the_same_seed():
    def rows():
        with torch.random.fork_rng():
            torch.manual_seed(np.random.randint(1000))  # the caller's own dice do not matter
            learner = mnih2015.tiny_learner(n=16, seed=3, warm=200, batch_size=16)
        return list(mnih2015.learning(learner, moves=800, rows=4))

    one, other = rows(), rows()
    assert one == other and [row["moves"] for row in one] == [208, 400, 608, 800]


def test_a_broken_part_is_the_one_that_is_named():
    def learner(part):
        return mnih2015.tiny_learner(n=8, **mnih2015.PARTS[part])

    assert learner("whole").memory.length == 12_500
    # two pictures and the one after them can be drawn: four moves of 8 games, one of 128
    for n, newest in ((8, 4), (128, 1)):
        bare = mnih2015.tiny_learner(n=n, **mnih2015.PARTS["no replay"])
        assert bare.memory.length - bare.memory.stack == newest == max(bare.every // n, 1)
    assert learner("no second network").sync == 1
    assert not learner("ends not seen").sees_ends


def test_what_is_stored_of_the_broken_parts():
    """Each setting with each seed, all rows; and what lesson 21 says of them, seed by seed."""
    table = mnih2015.broken_parts()
    runs = table.groupby(["together", "part", "seed"])
    wanted = itertools.product(mnih2015.SIDE_BY_SIDE, mnih2015.PARTS, range(mnih2015.REPEATS))
    assert set(runs.groups) == set(wanted) and (runs.size() == 20).all()
    last = table[table["moves"] >= mnih2015.MOVES].set_index(["together", "part", "seed"])
    points, value = (last[name].unstack("seed") for name in ("points", "value"))
    for n in mnih2015.SIDE_BY_SIDE:
        whole = points.loc[n, "whole"]
        assert (whole > 9.6).all()
        assert 0.7 < (points.loc[n, "no replay"] / whole).mean() < 0.78  # a quarter is missing
        assert (points.loc[n, "no replay"] < 0.86 * whole).all()
        assert (points.loc[n, "ends not seen"] < 0.7 * whole).all()
        for part in ("no second network", "ends not seen"):
            assert (value.loc[n, part] > value.loc[n, "whole"]).all()
    kept = points / points.xs("whole", level="part")
    assert kept.loc[128, "no second network"].mean() > 0.94
    assert (kept.loc[8, "no second network"] < 0.9).sum() == 3


def test_the_first_rows_of_what_is_stored_come_out_again():
    table = mnih2015.broken_parts()
    stored = table[(table["together"] == 128) & (table["part"] == "whole") & (table["seed"] == 0)]
    with torch.random.fork_rng():
        learner = mnih2015.tiny_learner(n=128, seed=0)
        row = next(mnih2015.learning(learner))
    assert row["moves"] == stored["moves"].iloc[0]
    assert row["score"] == pytest.approx(stored["points"].iloc[0], abs=0.5)


def test_scores_are_of_32_games_each():
    scores = mnih2015.scores()
    assert (scores.groupby("who").size() == 32).all()
    assert list(scores["who"].unique()) == list(mnih2015.CONTESTANTS)
    fire = scores[scores["who"] == "always fire"]["points"]
    assert (fire == 285).all()


@pytest.mark.parametrize("skip", [3, 4])
def test_always_firing_gets_what_is_stored(skip):
    many = games.SpaceInvaders(2, skip=skip, maximum=skip == 4)
    assert (player.play_games(many, lambda states: np.ones(2, int), seed=1) == 285).all()


def test_a_table_is_read_as_it_was_written():
    kept = mnih2015.as_csv(("a", "b"), [(1, 0.5), (2, 1.5)])
    assert pd.read_csv(io.BytesIO(kept)).to_dict("list") == {"a": [1, 2], "b": [0.5, 1.5]}
