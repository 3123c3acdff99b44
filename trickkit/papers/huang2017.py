"""Huang, Papernot, Goodfellow, Duan, Abbeel 2017, Adversarial Attacks on Neural Network Policies,
arXiv:1702.02284, on our own players of Space Invaders: what they score while someone tampers with
what they see, or hides a part of it.

Played once by `make weights`; data/tables/tricked_scores.csv keeps every game.
"""

import io
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from trickkit import attacks, data, games, player, training, tricked
from trickkit.common import progress_bar
from trickkit.contract import logits_of, seeded

if TYPE_CHECKING:
    import pandas as pd

FILE = "tables/tricked_scores.csv"
GAMES = 30  # side by side, with the same beginnings for every trick
MOST = 3000  # moves a game; then it is stopped
KEPT_GAME = 3  # of the thirty games without a trick, the one that is kept
LEVEL = 1 / 255
BLIND = (("stay", 0), ("any action", 0), ("turned by lot", 0))  # with no change to what is seen
Seen = Callable[[torch.Tensor], torch.Tensor]


class Recorded(games.SpaceInvaders):
    """Games that keep what is played in them.

    chosen: the actions, (n,) a move. steps: what came of them, without the states. pictures: the
    newest of each state, (n, 84, 84) before each move, where they are wanted.
    """

    def __init__(self, n: int, *, pictures: bool = False, **settings: Any) -> None:
        """pictures: whether they are kept. settings: as of the games."""
        super().__init__(n, threads=1, **settings)
        self.wanted = pictures
        self.chosen: list[np.ndarray] = []
        self.steps: list[games.Step] = []
        self.pictures: list[np.ndarray] = []

    def reset(self, seed: int) -> np.ndarray:
        """Begin n games."""
        self.states = super().reset(seed)
        return self.states

    def send(self, actions: np.ndarray) -> None:
        """Play one action in each game."""
        self.chosen.append(np.asarray(actions))
        if self.wanted:
            self.pictures.append(self.states[:, -1].copy())
        super().send(actions)

    def recv(self) -> games.Step:
        """What came of the last actions."""
        step = super().recv()
        self.states = step.states
        self.steps.append(step._replace(states=np.empty(0)))
        return step


def game_rows(tape: Recorded, *, trick: str, levels: float) -> list[dict[str, Any]]:
    """A row a game: its points, its moves, and the share of them that fired."""
    ended = np.stack([step.ended for step in tape.steps])
    over = (ended.cumsum(0) - ended) > 0
    rewards = np.stack([step.rewards for step in tape.steps])
    fired = np.isin(np.stack(tape.chosen), tricked.FIRE)
    return [
        {
            "trick": trick,
            "levels": float(levels),
            "game": game,
            "points": int(rewards[~over[:, game], game].sum()),
            "moves": int((~over[:, game]).sum()),
            "fired": round(float(fired[~over[:, game], game].mean()), 3),
        }
        for game in range(tape.n)
    ]


def tricks(net: nn.Module, other: nn.Module) -> dict[tuple[str, float], Callable[[], Seen]]:
    """What makes each trick, by name and grey levels: called, it gives what becomes of the states.

    net: who plays. other: another player, on which the trick called "transfer" is made.
    """
    made_on = tricked.stored_states("make")

    def fgsm(levels: float, of: nn.Module = net) -> Seen:
        return lambda x: tricked.worst_step(of, x, eps=levels * LEVEL)

    def tossed(levels: float) -> Seen:
        dice = seeded(1)
        return lambda x: tricked.coin_tosses(x, eps=levels * LEVEL, generator=dice)

    def film(change: torch.Tensor) -> Seen:
        return lambda x: (x + change).clamp(0, 1)

    def universal(levels: float) -> Seen:
        def sharper(x: torch.Tensor) -> torch.Tensor:
            # the softmax of values so near is flat, its loss above what `universal` counts to
            return 100 * logits_of(net, x)

        labels = tricked.best_action(net, made_on)
        eps = levels * LEVEL
        return film(attacks.universal(sharper, made_on, labels, eps=eps, steps=200, batch_size=32))

    def tossed_once(levels: float) -> Seen:
        grey = torch.full_like(made_on[:1], 0.5)
        return film(tossed(levels)(grey) - grey)

    def stuck(sticker: torch.Tensor) -> Seen:
        return lambda x: tricked.with_sticker(x, sticker)

    def never(levels: float) -> Seen:
        asked = tricked.whether_to_fire(net)
        return lambda x: attacks.fgsm(asked, x, 0, eps=levels * LEVEL, targeted=True)

    def without(rows: tuple[int, int]) -> Seen:
        return lambda x: tricked.blackened(x, rows)

    def exchanged(x: torch.Tensor) -> torch.Tensor:
        return tricked.with_rows_of(x, x.roll(1, 0), tricked.REGIONS["cannon"])

    def without_others(x: torch.Tensor) -> torch.Tensor:
        return x * ~tricked.as_many_others(x, generator=dice)

    dice = seeded(1)
    return {
        ("none", 0): lambda: torch.Tensor.clone,
        **{("fgsm", e): partial(fgsm, e) for e in (0.25, 0.5, 1, 2)},
        **{("coin tosses", e): partial(tossed, e) for e in (1, 4, 8)},
        ("never fire", 1): partial(never, 1),
        **{("transfer", e): partial(fgsm, e, of=other) for e in (1, 4)},
        **{
            (f"hidden: {name}", 0): partial(without, rows) for name, rows in tricked.REGIONS.items()
        },
        ("cannon's strip of another game", 0): lambda: exchanged,
        ("hidden: shots and bombs", 0): lambda: lambda x: x * ~tricked.flying(x),
        ("hidden: as many other pixels", 0): lambda: without_others,
        ("universal", 4): partial(universal, 4),
        ("one film of coin tosses", 4): partial(tossed_once, 4),
        ("sticker", 255): lambda: stuck(tricked.sticker_for(net, made_on)),
        ("sticker of noise", 255): lambda: stuck(torch.rand(1, 1, 8, 8, generator=seeded(1))),
    }


def play_with(seen: Seen, *, pictures: bool = False) -> Recorded:
    """Thirty games of the player of 2015, which sees what a trick makes of the states.

    A random move one time in twenty, for every trick with the same beginnings and dice.
    """
    tape = Recorded(GAMES, pictures=pictures)
    policy = player.epsilon_greedy(player.shipped_player("2015"), epsilon=0.05, seed=0, seen=seen)
    player.play_games(tape, policy, seed=0, most=MOST)
    return tape


def play_blindly(how: str) -> Recorded:
    """Thirty games of "stay" all the time, of "any action" at random, or "turned by lot": those of
    the player of 2015, but with chance 0.89 any action, so 74 % of its actions are others.
    """
    tape, rng = Recorded(GAMES), np.random.default_rng(0)
    policies: dict[str, player.Actor] = {
        "stay": lambda _: np.zeros(GAMES, np.int64),
        "any action": lambda _: rng.integers(0, 6, GAMES),
        "turned by lot": player.epsilon_greedy(player.shipped_player("2015"), epsilon=0.89, seed=0),
    }
    player.play_games(tape, policies[how], seed=0, most=MOST)
    return tape


def measure_tricks(*, only: Iterable[str] | None = None) -> "pd.DataFrame":
    """Play the games of `tricked_scores`: half an hour of one core.

    only: the tricks to play anew, the others being kept as they are: ["transfer"] once the player
        of 2013 is another.
    Returns the frame of `tricked_scores`.
    Raises ImportError where the emulator is not installed.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    kept = None if only is None else tricked_scores()
    known = tricks(player.shipped_player("2015"), player.shipped_player("2013"))
    with training.one_thread():
        for trick, levels in progress_bar([*known, *BLIND], "tricks"):
            if kept is not None and trick not in list(only or ()):
                same = (kept["trick"] == trick) & (kept["levels"] == levels)
                rows += kept[same].to_dict("records")
            elif (trick, levels) in BLIND:
                rows += game_rows(play_blindly(trick), trick=trick, levels=levels)
            else:
                tape = play_with(known[trick, levels]())
                rows += game_rows(tape, trick=trick, levels=levels)
    return pd.DataFrame(rows)


def tricked_scores() -> "pd.DataFrame":
    """Every game that was played, as the course keeps it.

    Returns a pandas frame: trick, levels (grey levels a pixel may move), game (0 to 29), points,
        moves, and fired, the share of moves that fired.
    """
    import pandas as pd

    return pd.read_csv(data.shipped(FILE))


def record_games() -> bytes:
    """Play what `tricked.stored_game` and `tricked.stored_states` read: three minutes."""
    net, rng = player.shipped_player("2015"), np.random.default_rng(0)
    parts: dict[str, list[np.ndarray]] = {"make": [], "measure": []}
    many = games.SpaceInvaders(32, threads=1)
    states, policy = many.reset(1000), player.epsilon_greedy(net, seed=1000)
    for move in progress_bar(range(640), "states"):
        many.send(policy(states))
        states = many.recv().states
        if move % 40 == 39:  # eight games of the first sixteen, and eight of the others
            for first, part in zip((0, 16), parts.values(), strict=True):
                part.append(states[first + rng.permutation(16)[:8]])
    kept: dict[str, Any] = {name: np.concatenate(part) for name, part in parts.items()}
    start = games.SpaceInvaders(GAMES, threads=1).reset(0)[KEPT_GAME, :3]
    for trick, seen in (
        ("none", torch.Tensor.clone),
        ("fgsm", lambda x: tricked.worst_step(net, x, eps=LEVEL)),
    ):
        tape = play_with(seen, pictures=True)
        moves = 1 + int(np.argmax([step.ended[KEPT_GAME] for step in tape.steps]))
        pictures = [shown[KEPT_GAME] for shown in tape.pictures[:moves]]
        kept |= {
            f"{trick}.pictures": np.concatenate([start, pictures]),
            f"{trick}.actions": np.array([a[KEPT_GAME] for a in tape.chosen[:moves]]),
            f"{trick}.rewards": np.array([step.rewards[KEPT_GAME] for step in tape.steps[:moves]]),
            f"{trick}.lost": np.array([step.lost[KEPT_GAME] for step in tape.steps[:moves]]),
        }
    file = io.BytesIO()
    np.savez_compressed(file, **kept)
    return file.getvalue()
