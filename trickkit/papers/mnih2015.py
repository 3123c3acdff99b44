"""Mnih et al. 2013, Playing Atari with Deep Reinforcement Learning, arXiv:1312.5602, and 2015,
Human-level control through deep reinforcement learning, Nature 518, in small.

What takes longer than a lesson is measured once, by `make weights`: the tiny game, learnt with a
part of the method broken (data/tables/broken_parts.csv), and the scores of players of Space
Invaders (data/tables/space_invaders_scores.csv).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trickkit import data, games, player
from trickkit.common import progress_bar
from trickkit.contract import drawn_from

if TYPE_CHECKING:
    import pandas as pd

PARTS_FILE = "tables/broken_parts.csv"
SCORES_FILE = "tables/space_invaders_scores.csv"
MOVES = 120_000  # of all tiny games together
RECIPE: dict[str, Any] = {
    "warm": 2_000,
    "batch_size": 128,
    "every": 32,
    "lr": 2e-3,
    "gamma": 0.95,
    "sync": 200,
    "schedule": ((0, 1.0), (40_000, 0.05)),
}
PARTS: dict[str, dict[str, Any]] = {
    "whole": {},
    # only what was played since the last update can be drawn: four moves of each of 8 games, whose
    # states and what follows take six pictures; one move of 128 games
    "no replay": {"capacity": 6 * 8},
    "no second network": {"sync": 1},
    "ends not seen": {"sees_ends": False},
}
SIDE_BY_SIDE = (128, 8)
REPEATS = 5
CONTESTANTS = ("random", "always fire", "fire and wander", "2013", "2015")


def tiny_learner(*, n: int = 128, seed: int = 0, **changed: Any) -> player.Learner:
    """Who is to learn the tiny game, untrained.

    n: games side by side.
    seed: of the network's first weights, of the games and of all dice.
    changed: options of `player.Learner` that are to be other than in `RECIPE`.
    """
    with drawn_from(seed):
        net = player.q_network("tiny", len(games.Tiny.actions), pictures=2)
    return player.Learner(games.Tiny(n), net, **(RECIPE | {"seed": seed} | changed))


def learning(
    learner: player.Learner, *, moves: int = MOVES, rows: int = 20
) -> Iterator[dict[str, float]]:
    """Play and learn, and tell from time to time how the learner stands.

    moves: of all games together.
    rows: how often it is looked at.
    Yields what `Learner.row` returns.
    """
    for row in range(1, rows + 1):
        while learner.moves < moves * row / rows:
            learner.move()
        yield learner.row()


def broken_parts() -> "pd.DataFrame":
    """How the tiny game is learnt whole, and with one part of the method missing.

    Returns a pandas frame: together (games side by side), part (of `PARTS`), seed, moves, points
        (mean of the last 200 games, played with ε) and value (mean Q of a batch).
    """
    import pandas as pd

    return pd.read_csv(data.shipped(PARTS_FILE))


def learn_broken() -> bytes:
    """The table that `broken_parts` reads, made anew, for `make weights`: 15 minutes."""
    rows = []
    runs = [(n, part, seed) for seed in range(REPEATS) for n in SIDE_BY_SIDE for part in PARTS]
    for n, part, seed in progress_bar(runs, "runs"):
        learner = tiny_learner(n=n, seed=seed, **PARTS[part])
        for row in learning(learner):
            points, value = round(row["score"], 2), round(row["value"], 2)
            rows.append((n, part, seed, row["moves"], points, value))
    return as_csv(("together", "part", "seed", "moves", "points", "value"), rows)


def contestant(who: str) -> tuple[dict[str, Any], player.Actor]:
    """What games one of `CONTESTANTS` plays, and how.

    The two that learnt take a random action one time in twenty (ε = 0.05), as in both papers.

    Returns options of `games.SpaceInvaders`, and the policy.
    """
    how = player.PREPROCESSING.get(who, player.PREPROCESSING["2015"])
    pressed = {"random": range(6), "always fire": [1], "fire and wander": [1, 4, 5]}
    if who not in pressed:
        return how, player.epsilon_greedy(player.shipped_player(who), seed=1)
    rng = np.random.default_rng(0)
    return how, lambda states: rng.choice(pressed[who], len(states))


def scores() -> "pd.DataFrame":
    """What each of `CONTESTANTS` scores in Space Invaders: a pandas frame, who, game and points."""
    import pandas as pd

    return pd.read_csv(data.shipped(SCORES_FILE), dtype={"who": str})


def play_scores(*, n: int = 32) -> bytes:
    """The table that `scores` reads, made anew, for `make weights`: five minutes.

    n: games each.
    Raises ImportError where the emulator is not installed.
    """
    rows = []
    for who in progress_bar(CONTESTANTS, "players"):
        how, policy = contestant(who)
        points = player.play_games(games.SpaceInvaders(n, **how), policy, seed=1)
        rows += [(who, game, int(p)) for game, p in enumerate(points)]
    return as_csv(("who", "game", "points"), rows)


def as_csv(columns: Sequence[str], rows: Sequence[tuple]) -> bytes:
    """A table as the bytes of a CSV file."""
    import pandas as pd

    return (
        pd.DataFrame(rows, columns=list(columns)).to_csv(index=False, lineterminator="\n").encode()
    )
