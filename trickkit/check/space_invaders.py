"""The checks of lesson 21.

Each draws fresh games: of made-up pictures, with fresh rewards and ends.
"""

from typing import Any

import numpy as np
import torch

from trickkit import games, player
from trickkit.check import (
    Marks,
    Trial,
    Wrong,
    called,
    exercise,
    fresh_rng,
    progress,
    recognised,
    same,
)

__all__ = ["play_games", "progress", "stacked", "target"]
LESSON = "21 space_invaders"


class Scripted:
    """Games that go as a script says, whatever is played: rewards and ends (T, n).

    The picture shown is the number of the move, so that a policy can see what it is shown.
    """

    actions = ("stay", "fire")

    def __init__(self, rewards: np.ndarray, ended: np.ndarray):
        self.rewards, self.ended = rewards, ended
        self.n, self.shape = rewards.shape[1], (1, 1, 1)
        self.begun: list[Any] = []
        self.at = 0
        self.sent = False

    def states(self) -> np.ndarray:
        return np.full((self.n, 1, 1, 1), self.at % 256, np.uint8)

    def reset(self, seed: int) -> np.ndarray:
        self.begun.append(seed)
        self.at = 0
        return self.states()

    def send(self, actions: Any) -> None:
        """Play one move.

        Raises Wrong for actions that come too early, or are none.
        """
        if not self.begun:
            raise Wrong("you send actions before games.reset(seed) has begun the games.")
        if np.shape(actions) != (self.n,):
            raise Wrong(
                f"games.send was handed actions of shape {np.shape(actions)}; one for each game is"
                f" wanted, ({self.n},): policy(states), of all states."
            )
        if (np.asarray(actions) != self.at % 256).any():
            raise Wrong(
                "the policy was shown old states. What it sees next is step.states, of the step"
                " that games.recv() gave last."
            )
        self.at += 1
        self.sent = True

    def recv(self) -> games.Step:
        """What the script says of the last move.

        Raises Wrong where there is nothing to receive.
        """
        if not self.sent:
            raise Wrong("games.recv() comes after games.send(actions), once each a move.")
        self.sent = False
        move = self.at - 1
        if move >= len(self.rewards):
            raise Wrong(
                "you play on though every player has finished a game. Stop when all are over."
            )
        return games.Step(
            self.states(),
            self.rewards[move].copy(),
            self.ended[move].copy(),
            self.ended[move].copy(),
        )


def seen(states: np.ndarray) -> np.ndarray:
    """A policy whose actions say which picture it was shown."""
    return np.asarray(states)[:, 0, 0, 0].astype(np.int64)


@exercise(
    LESSON,
    player.play_games,
    "Keep two arrays: points, of numbers, and over, of bools; both begin at 0 for all n players."
    " Each move: send what policy(states) gives, then recv a step.",
    "A finished game begins anew at once, in the same place, so add a reward only where over is"
    " still False; and set over where step.ended, after adding.",
)
def play_games(yours: Trial) -> str | None:
    """The points of the first game that each of n players finishes.

    Raises Wrong for games that are played otherwise than they allow.
    """
    rng = fresh_rng()
    n, length = 5, 40
    rewards = rng.choice([0.0, 0.0, 5.0, 10.0, 30.0], (length, n))
    ended = np.zeros((length, n), bool)
    first = 5 + rng.permutation(n) * 4  # the move that ends each player's first game
    ended[first, np.arange(n)] = ended[first + 3, np.arange(n)] = True
    rewards[first, np.arange(n)] = 20  # the move that ends a game scores too
    rewards[first + 1, np.arange(n)] = 10
    longest = first.max() + 1
    rewards, ended = rewards[:longest], ended[:longest]
    seed = int(rng.integers(1, 1000))
    over = np.cumsum(ended, 0) - ended > 0
    right = np.where(over, 0, rewards).sum(0)
    script = Scripted(rewards, ended)
    mine = called(yours, script, seen, seed, 1000, like=right)
    if script.begun != [seed]:
        return f"the games were begun with {script.begun}; call games.reset(seed) once, first."
    mistakes: Marks = {
        "you count the games that follow a player's first as well: once a game is over, its place"
        " is taken by a new one.": rewards.sum(0),
        "the rewards are cut to their sign. That is for learning; a score is the game's own"
        " points.": [np.sign(np.where(over, 0, rewards)).sum(0), np.sign(rewards).sum(0)],
        "the move that ends a game may score too, and you leave it out: mark the game as over"
        " after its points are added.": np.where(over | ended, 0, rewards).sum(0),
        "this is the mean, or the sum, of all players; each player's own points are wanted.": [
            np.full(n, right.mean()),
            np.full(n, right.sum()),
        ],
        "you stop everybody when the first player is over.": (rewards[: first.min() + 1].sum(0)),
    }
    if not same(mine, right):
        off = int(np.argmax(abs(mine - right)))
        return recognised(mine, mistakes) or (
            f"player {off} scored {right[off]:g} in its first game, and you count {mine[off]:g}."
        )
    script = Scripted(rewards, np.zeros_like(ended))
    few = int(rng.integers(3, 8))
    try:
        mine = called(yours, script, seen, seed, few, like=right)
    except Wrong as wrong:
        raise Wrong(
            f"with most = {few} and games that never end, you play on. Stop after so many moves."
        ) from wrong
    if script.at != few or not same(mine, rewards[:few].sum(0)):
        return (
            f"with most = {few} and games that never end, you made {script.at} moves; stop after"
            f" {few}, and return the points so far."
        )
    return None


@exercise(
    LESSON,
    player.target,
    "What follows is worth next_values.max(dim=1).values, the best action in each row (N,).",
    "Multiply it by gamma, and by ~ended, so that nothing follows an end; add the rewards; and take"
    " next_values.detach(), so that no gradient flows.",
    rounds=5,
)
def target(yours: Trial) -> str | None:
    """What an action should have been thought worth."""
    n, actions = 6, 6
    rewards = torch.randint(0, 2, (n,)) + 0.0
    rewards[:2] = 1.0
    ended = torch.rand(n) < 0.5
    ended[0], ended[1], ended[2], ended[3] = True, False, True, False
    values = torch.randn(n, actions) + 2
    values[1] -= 6  # even the best of what follows may be bad
    gamma = float(torch.rand(()) * 0.4 + 0.5)
    values.requires_grad_()
    with torch.no_grad():
        right = player.target(rewards, ended, values, gamma)
        best = values.max(1).values
        goes_on = ~ended
        mistakes: Marks = {
            "you forget the ends: where ended is True, nothing follows, and the target is the"
            " reward alone.": rewards + gamma * best,
            "the ends are turned round: you keep what follows where the game is over, and drop it"
            " where it goes on.": rewards + gamma * ended * best,
            "an end takes away the reward too. The move that ends a life can score.": (
                goes_on * (rewards + gamma * best)
            ),
            "the largest value is taken over the states, down each column. Take it over the"
            " actions, in each row: max(dim=1).": rewards + gamma * goes_on * values.max(0).values,
            "the largest value of all states is taken; each row has its own best.": (
                rewards + gamma * goes_on * values.max()
            ),
            "you take the mean of what follows. The player will choose, so take the best.": (
                rewards + gamma * goes_on * values.mean(1)
            ),
            "gamma is on the reward as well. The reward comes now, and is worth all of itself;"
            " only what follows is worth less.": gamma * (rewards + goes_on * best),
            "gamma is on the reward instead of what follows.": gamma * rewards + goes_on * best,
            "gamma is missing: what follows is worth gamma times as much.": (
                rewards + goes_on * best
            ),
            "the rewards are missing.": gamma * goes_on * best,
            "what follows is cut off at 0. Values may be below.": (
                rewards + gamma * goes_on * best.clamp(min=0)
            ),
            "the action's number is taken for its value: max(dim=1) gives both, so take .values;"
            " argmax gives the number alone.": rewards + gamma * goes_on * values.argmax(1),
        }
    mine = called(yours, rewards, ended, values, gamma, like=right)
    flows = mine.requires_grad
    mine = mine.detach()
    if not same(mine, right):
        return recognised(mine, mistakes) or (
            f"row 1, which goes on: {right[1]:.3f} is right, and yours is {float(mine[1]):.3f}; row"
            f" 0, which ends: {right[0]:.3f}, and {float(mine[0]):.3f}."
        )
    if flows:
        return (
            "the numbers are right, but a gradient flows through the target. It is what the network"
            " is pulled to, and must hold still: next_values.detach()."
        )
    return None


@exercise(
    LESSON,
    games.stacked,
    "The last frames of the moves are frames[-1], frames[-1 - skip], … ; four of them, and the"
    " oldest comes first.",
    "Their places, in order: range(len(frames) - 1 - skip * (stack - 1), len(frames), skip). The"
    " frame before each is one place less; np.maximum(a, b) is the brighter, pixel by pixel.",
    rounds=3,
)
def stacked(yours: Trial) -> str | None:
    """What a player sees after so many frames."""
    rng = fresh_rng()
    skip, stack = int(rng.integers(3, 6)), int(rng.integers(3, 6))
    length = skip * (stack + int(rng.integers(0, 2))) + 3  # so that no two mistakes are alike
    frames = rng.integers(0, 256, (length, 7, 9))
    for maximum in (False, True):
        right = games.stacked(frames, skip=skip, maximum=maximum, stack=stack)
        mine = called(yours, frames, skip, maximum, stack, like=right)
        if same(mine, right):
            continue
        last = np.arange(len(frames) - 1 - skip * (stack - 1), len(frames), skip)
        mistakes: Marks = {
            "the order is reversed: the newest picture goes to the end.": right[::-1],
            "these are the last frames one after another. A move lasts skip frames, and gives one"
            " picture.": frames[-stack:],
            "these are the first moves; the last are wanted, up to the newest frame.": frames[
                skip - 1 :: skip
            ][:stack],
            "your moves are counted from the first frame, and the newest picture is not of the"
            " newest frame. Count back from the end.": [
                frames[::skip][-stack:],
                frames[::skip][:stack],
            ],
        }
        if maximum:
            mistakes |= {
                "with maximum, you return each move's last frame as it is; the brighter of its last"
                " two frames is wanted, pixel by pixel.": frames[last],
                "with maximum, you return the frame before each move's last; the brighter of the"
                " two is wanted.": frames[last - 1],
                "you take the darker of the two frames; what blinks must be seen: np.maximum.": (
                    np.minimum(frames[last], frames[last - 1])
                ),
                "this is the mean of the two frames, in which what blinks is half as bright.": [
                    (frames[last] + frames[last - 1]) // 2,
                    (frames[last] + frames[last - 1]) / 2,
                ],
                "each picture is the brightest of all frames of its move; only of the last two.": (
                    np.stack([frames[i - skip + 1 : i + 1].max(0) for i in last])
                ),
                "the brighter is taken of two pictures, a whole move apart. Take it of two frames,"
                " the last of a move and the one before.": np.maximum(
                    frames[last], frames[np.maximum(last - skip, 0)]
                ),
            }
        else:
            mistakes |= {
                "without maximum, a picture is a move's last frame alone.": games.stacked(
                    frames, skip=skip, maximum=True, stack=stack
                ),
            }
        off = int((np.asarray(mine) != right).any((1, 2)).argmax())
        return recognised(mine, mistakes) or (
            f"with maximum={maximum}, skip={skip} and {len(frames)} frames, picture {off} of"
            f" {stack} is another."
        )
    return None
