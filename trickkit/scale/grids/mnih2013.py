"""Mnih et al. 2013, "Playing Atari with Deep Reinforcement Learning", arXiv:1312.5602, and 2015,
"Human-level control through deep reinforcement learning", Nature 518: scores in Space Invaders.

A cell is sixteen games of one player, whose starts and dice come from the seed. The two networks
are those that came with the course and nothing is learnt anew, so an interval tells what the games'
luck does, and nothing of another training. They saw 3.2 of the first paper's 10 million frames, and
a seventh of the second's moves. Each year has its own rules: skip 3 and a move's last frame, or
skip 4 and the brighter of its last two. Nulls under the same rules: a fire button that is held (the
same from all seeds: the emulator has no dice), and an untrained network.
"""

import numpy as np

from trickkit import games, player
from trickkit.contract import device, drawn_from
from trickkit.scale.grid import Grid, axes

GAMES = 16
ACTIONS = len(games.SpaceInvaders.actions)


def actor(who: str, *, rules: str, seed: int) -> player.Actor:
    """A policy: the network that learnt by these rules, an untrained one, or one of the nulls.

    The networks take a random action one time in twenty, as in both papers.
    """
    if who == "random":
        rng = np.random.default_rng(seed)
        return lambda states: rng.integers(0, ACTIONS, len(states))
    if who == "always fire":
        return lambda states: np.full(len(states), games.SpaceInvaders.actions.index("fire"))
    if who == "learnt":
        return player.epsilon_greedy(player.shipped_player(rules), seed=seed)
    with drawn_from(seed):
        net = player.q_network(rules, ACTIONS).to(device())
    return player.epsilon_greedy(net, seed=seed)


def measure(*, seed: int, full: bool, rules: str, who: str) -> dict[str, float]:
    """Mean and best points of sixteen games; the player who presses at random has one id a year."""
    del full  # there is no more of it
    points = player.play_games(
        games.SpaceInvaders(GAMES, threads=1, **player.PREPROCESSING[rules]),
        actor(who, rules=rules, seed=seed),
        seed=GAMES * seed,  # game i begins from seed + i: without the factor, seeds share games
    )
    if who == "random":
        best = {"random: mnih2013/best": points.max()} if rules == "2013" else {}
        return {f"mnih{rules}/random": float(points.mean())} | best
    null = "" if who == "learnt" else f"{who}: "
    found = {f"{null}mnih{rules}/dqn": float(points.mean())}
    if rules == "2013":
        found[f"{null}mnih2013/best"] = float(points.max())
    return found


GRID = Grid(
    measure=measure,
    settings=axes(rules=("2013", "2015"), who=("learnt", "random", "always fire", "untrained")),
    seeds=5,
    varies="the starts and dice of the games, the untrained network; not the two trained ones",
    ours="sixteen games a seed; stored networks, ε = 0.05",
    why={
        "mnih2013/dqn": "perhaps the frames: a third of the paper's; a tenth, if it counts moves,"
        " as that of 2015 does",
        "mnih2013/best": "perhaps the frames, a third of the paper's, and the sixteen games",
        "mnih2013/random": "perhaps chance: there are 80 games",
        "mnih2015/random": "perhaps chance: single games vary by about a hundred points",
        "mnih2015/dqn": "perhaps the moves: a seventh of the paper's",
    },
)
