"""Games for a player of its pictures, many of them side by side: a tiny one, and Space Invaders.

Every game is played alike: `reset`, then `send` the actions and `recv` what came of them. Between
the two a player may learn, while the games run.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch


class Step(NamedTuple):
    """What came of one action in each of n games."""

    states: np.ndarray  # (n, k, H, W), uint8: the last k pictures, the newest at the end
    rewards: np.ndarray  # (n,), points
    lost: np.ndarray  # (n,), bool: a life went, or the game: nothing that follows is to be counted
    ended: np.ndarray  # (n,), bool: the game is over, and `states` begins the next one


class Games(Protocol):
    """n games side by side."""

    n: int
    actions: tuple[str, ...]
    shape: tuple[int, int, int]  # (k, H, W): pictures in a state, and their size

    def reset(self, seed: int) -> np.ndarray: ...
    def send(self, actions: np.ndarray) -> None: ...
    def recv(self) -> Step: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> np.ndarray | None: ...


class Tiny:
    """Invaders on a board of 10 × 10: twelve aliens march, descend and bomb; a cannon shoots back.

    A hit is worth one point; one shot flies at a time, two rows a move. The game ends when the
    cannon is hit, when an alien lands, or when all twelve are gone: twelve points are the best.
    """

    actions: tuple[str, ...] = ("stay", "fire", "right", "left")
    best = 12
    side = 10
    greys = {"alien": 110, "bomb": 60, "shot": 180, "cannon": 255}

    def __init__(self, n: int, *, stack: int = 2, bombs: float = 0.3) -> None:
        """n: games side by side. stack: pictures in a state. bombs: the chance of one a move."""
        self.n = n
        self.shape = (stack, self.side, self.side)
        self.bombing = bombs

    def reset(self, seed: int) -> np.ndarray:
        """Begin n games, and return their states."""
        n = self.n
        self.rng = np.random.default_rng(seed)
        self.aliens = np.ones((n, 3, 4), bool)
        self.row, self.col, self.way, self.clock = (np.zeros(n, np.int64) for _ in range(4))
        self.cannon = np.zeros(n, np.int64)
        self.shot = np.zeros((n, 2), np.int64)  # row and column; row -1 for none
        self.bombs = np.zeros((n, self.side, self.side), bool)
        self.states = np.zeros((n, *self.shape), np.uint8)
        self._begin(np.ones(n, bool))
        return self.states.copy()

    def _begin(self, who: np.ndarray) -> None:
        """Start those games anew."""
        k = int(who.sum())
        self.aliens[who] = True
        self.row[who], self.clock[who] = 1, 0
        self.col[who] = self.rng.integers(0, self.side - 3, k)
        self.way[who] = self.rng.integers(0, 2, k) * 2 - 1
        self.cannon[who] = self.rng.integers(0, self.side, k)
        self.shot[who] = -1
        self.bombs[who] = False
        self.states[who] = 0
        self.states[who, -1] = self._pictures()[who]

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of each of the twelve aliens, (n, 3, 4) each."""
        rows = self.row[:, None, None] + np.arange(3)[:, None] + 0 * np.arange(4)
        cols = self.col[:, None, None] + 0 * np.arange(3)[:, None] + np.arange(4)
        return rows, cols

    def _pictures(self) -> np.ndarray:
        """The n boards as grey pictures, (n, 10, 10)."""
        board = np.where(self.bombs, np.uint8(self.greys["bomb"]), np.uint8(0))
        rows, cols = self._places()
        game, i, j = np.nonzero(self.aliens)
        board[game, rows[game, i, j], cols[game, i, j]] = self.greys["alien"]
        flying = np.flatnonzero(self.shot[:, 0] >= 0)
        board[flying, self.shot[flying, 0], self.shot[flying, 1]] = self.greys["shot"]
        board[np.arange(self.n), -1, self.cannon] = self.greys["cannon"]
        return board

    def _hits(self) -> np.ndarray:
        """Take away what the shots hit, and return how many in each game, (n,)."""
        rows, cols = self._places()
        shot = self.shot[:, :, None, None]
        hit = self.aliens & (rows == shot[:, 0]) & (cols == shot[:, 1])
        self.aliens &= ~hit
        hits = hit.sum((1, 2))
        self.shot[hits > 0] = -1
        return hits

    def send(self, actions: np.ndarray) -> None:
        """Play one action, 0 to 3, in each game."""
        n, last = self.n, self.side - 1
        actions = np.asarray(actions)
        self.cannon = np.clip(self.cannon + (actions == 2) - (actions == 3), 0, last)
        fires = (actions == 1) & (self.shot[:, 0] < 0)
        self.shot[fires, 0], self.shot[fires, 1] = last, self.cannon[fires]
        hits = np.zeros(n, np.int64)
        for _ in range(2):  # rows
            self.shot[self.shot[:, 0] >= 0, 0] -= 1
            hits += self._hits()
        # the aliens: every other move a step aside, or down at the edge
        self.clock += 1
        there = np.where(self.aliens.any(1), np.arange(4), -1)
        first = np.argmax(there >= 0, 1)
        final = there.max(1)
        marches = self.clock % 2 == 0
        edge = (self.col + first + self.way < 0) | (self.col + final + self.way > last)
        self.col += marches * ~edge * self.way
        self.row += marches & edge
        self.way = np.where(marches & edge, -self.way, self.way)
        hits += self._hits()
        # the bombs: down by one, and a new one under the lowest alien of some column
        self.bombs = np.roll(self.bombs, 1, 1)
        self.bombs[:, 0] = False
        column = self.rng.integers(0, 4, n)
        alive = self.aliens[np.arange(n), :, column]
        lowest = 2 - np.argmax(alive[:, ::-1], 1)
        drops = np.flatnonzero(alive.any(1) & (self.rng.random(n) < self.bombing))
        below = np.minimum(self.row + lowest + 1, last)
        self.bombs[drops, below[drops], (self.col + column)[drops]] = True
        rows, _ = self._places()
        landed = (self.aliens & (rows >= last)).any((1, 2))
        lost = self.bombs[np.arange(n), -1, self.cannon] | landed
        ended = lost | ~self.aliens.any((1, 2))
        self.row[landed] = 0  # a landed game is over: nothing may be drawn below the board
        self.states = np.roll(self.states, -1, 1)
        self.states[:, -1] = self._pictures()
        if ended.any():
            self._begin(ended)
        self.step = Step(self.states.copy(), hits.astype(np.float32), ended.copy(), ended)

    def recv(self) -> Step:
        """What came of the last actions."""
        return self.step

    _kept = ("aliens", "row", "col", "way", "clock", "cannon", "shot", "bombs", "states")

    def state_dict(self) -> dict[str, Any]:
        """All that a game needs to go on later where it was."""
        kept: dict[str, Any] = {k: torch.from_numpy(getattr(self, k).copy()) for k in self._kept}
        return kept | {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> np.ndarray:
        """Go on where `state_dict` was asked, and return the states."""
        for name in self._kept:
            setattr(self, name, state[name].cpu().numpy().copy())
        self.rng = np.random.default_rng()
        self.rng.bit_generator.state = state["rng"]
        return self.states.copy()


def installed() -> Any:
    """The emulator, ale_py.vector_env.

    Raises ImportError where it is not installed.
    """
    try:
        import ale_py.vector_env
    except ImportError as error:
        raise ImportError(
            "Space Invaders runs in ale-py, which is not installed here: pip install ale-py"
            " (licence GPL-2; it brings the game along)."
        ) from error
    return ale_py.vector_env


def at_hand() -> bool:
    """Whether the emulator is installed; where it is not, a sentence says how to get it."""
    try:
        installed()
    except ImportError as error:
        print(error)
        return False
    return True


def emulator(n: int, **how: Any) -> Any:
    """n games of Space Invaders in ale-py, each begun with up to 30 idle frames.

    how: options of ale_py.vector_env.AtariVectorEnv that are to be other than the course's.
    Raises ImportError where it is not installed.
    """
    usual: dict[str, Any] = {
        "stack_num": 4,
        "noop_max": 30,
        "use_fire_reset": False,
        "reward_clipping": False,
        "repeat_action_probability": 0.0,
        "autoreset_mode": "SameStep",
    }
    return installed().AtariVectorEnv("space_invaders", n, **(usual | how))


def in_colour(actions: Sequence[int], *, seed: int) -> np.ndarray:
    """One game played again by its actions, as a person would see it.

    actions: of the first of the games that `SpaceInvaders` began with the same seed, 0 to 5.
    Returns (moves, 210, 160, 3), uint8, a picture a move.
    Raises ImportError where the emulator is not installed.
    """
    env = emulator(1, stack_num=1, img_height=210, img_width=160, grayscale=False)
    env.reset(seed=seed)
    return np.stack([env.step(np.array([action]))[0][0, 0] for action in actions])


def stacked(
    frames: np.ndarray, *, skip: int = 4, maximum: bool = True, stack: int = 4
) -> np.ndarray:
    """What a player sees after so many frames: the last few pictures, one a move.

    Mnih et al. 2015, "Methods: Preprocessing"; in 2013 without the maximum.

    frames: (T, H, W), the emulator's, the newest at the end; T is at least stack · skip.
    skip: frames a move lasts.
    maximum: a picture is the brighter, pixel by pixel, of a move's last two frames; else its last.
    stack: pictures.
    Returns (stack, H, W), the newest at the end.
    Raises ValueError for too few frames.
    """
    if len(frames) < stack * skip:
        raise ValueError(
            f"{len(frames)} frames came; {stack} pictures of {skip} frames each want"
            f" {stack * skip}. Give more frames, or a smaller stack."
        )
    last = np.arange(len(frames) - 1 - skip * (stack - 1), len(frames), skip)
    return np.maximum(frames[last], frames[last - 1]) if maximum else frames[last]


class SpaceInvaders:
    """The Atari game, with the preprocessing of Mnih et al. 2015 ("Methods: Preprocessing").

    84 × 84 grey pixels, the last four pictures, a random number of idle frames at the start.
    The six actions that do something, none repeated by chance ("v4"); points are the game's own. A
    lost life ends what a reward counts for, not the game.
    """

    actions: tuple[str, ...] = ("stay", "fire", "right", "left", "right + fire", "left + fire")
    shape: tuple[int, int, int] = (4, 84, 84)

    def __init__(self, n: int, *, skip: int = 4, maximum: bool = True, threads: int = 0) -> None:
        """n: games side by side. skip: frames an action lasts. maximum: show the brighter of the
        last two frames, pixel by pixel. threads: 0 for one a processor core.
        """
        self.n = n
        self.env = emulator(n, num_threads=threads, frameskip=skip, maxpool=maximum)

    def reset(self, seed: int) -> np.ndarray:
        """Begin n games, and return their states, (n, 4, 84, 84)."""
        states, info = self.env.reset(seed=seed)
        self.lives = info["lives"].copy()
        return states

    def send(self, actions: np.ndarray) -> None:
        """Play one action, 0 to 5, in each game."""
        self.env.send(np.asarray(actions, np.int64))

    def recv(self) -> Step:
        """What came of the last actions."""
        states, rewards, terminated, truncated, info = self.env.recv()
        ended = terminated | truncated
        lost = ended | (info["lives"] < self.lives)
        self.lives = info["lives"].copy()
        return Step(states, rewards, lost, ended)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the emulator's games cannot be put down and taken up again."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> np.ndarray | None:
        """None: whoever wants to go on begins new games."""
        return None
