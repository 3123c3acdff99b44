"""The checks of lesson 21.

Each draws fresh games: of made-up pictures, with fresh rewards and ends.
"""

from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import nn

from trickkit import games, player, tricked
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
    told_apart,
)
from trickkit.check.panda_to_vulture import nearly
from trickkit.contract import loss_gradient, score_gradient

__all__ = [
    "fire_question",
    "play_games",
    "progress",
    "spot_score",
    "stacked",
    "target",
    "worst_step",
]
LESSON = "21 space_invaders"


class Scripted:
    """Games that go as a script says, whatever is played: rewards, lost lives and ends, (T, n).

    The picture shown is the number of the move, so that a policy can see what it is shown.
    """

    actions = ("stay", "fire")

    def __init__(self, rewards: np.ndarray, lost: np.ndarray, ended: np.ndarray):
        self.rewards, self.lost, self.ended = rewards, lost, ended
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
            raise Wrong("you send actions before reset(seed) has begun the games.")
        if np.shape(actions) != (self.n,):
            raise Wrong(
                f"send was handed actions of shape {np.shape(actions)}; one for each game is"
                f" wanted, ({self.n},): policy(states), of all states."
            )
        if (np.asarray(actions) != self.at % 256).any():
            raise Wrong(
                "the policy was shown old states. What it sees next is step.states, of the step"
                " that recv() gave last."
            )
        self.at += 1
        self.sent = True

    def recv(self) -> games.Step:
        """What the script says of the last move.

        Raises Wrong where there is nothing to receive.
        """
        if not self.sent:
            raise Wrong("recv() comes after send(actions), once each a round.")
        self.sent = False
        move = self.at - 1
        if move >= len(self.rewards):
            raise Wrong(
                "you play on though every player has finished a game. Once over, always over (over"
                " |= step.ended), and stop when all are."
            )
        return games.Step(
            self.states(),
            self.rewards[move].copy(),
            self.lost[move].copy(),
            self.ended[move].copy(),
        )


def seen(states: np.ndarray) -> np.ndarray:
    """A policy whose actions say which picture it was shown."""
    return np.asarray(states)[:, 0, 0, 0].astype(np.int64)


@exercise(
    LESSON,
    player.play_games,
    "Keep two arrays for the n players: points, np.zeros(n), and over, np.zeros(n, bool)."
    " Each round: send what policy(states) gives, then recv a step.",
    "A finished game begins anew at once, in the same place, so add a reward only where over is"
    " still False; and over |= step.ended, after adding.",
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
    who = np.arange(n)
    ended[first, who] = ended[first + 3, who] = True
    lost = ended.copy()
    lost[first - 2, who] = True
    rewards[first - 1, who] = 5
    rewards[first, who] = 20  # the move that ends a game scores too
    rewards[first + 1, who] = 10
    longest = first.max() + 1
    rewards, lost, ended = rewards[:longest], lost[:longest], ended[:longest]
    seed = int(rng.integers(1, 1000))
    over, hit = (np.cumsum(what, 0) - what > 0 for what in (ended, lost))
    goes_on = np.cumsum(ended[::-1], 0)[::-1] == 0  # of the game that is cut off at the end
    right = np.where(over, 0, rewards).sum(0)
    script = Scripted(rewards, lost, ended)
    mine = called(yours, script, seen, seed, 1000, like=right)
    if script.begun != [seed]:
        return f"the games were begun with {script.begun}; call reset(seed) once, first."
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
        "you stop at step.lost, a lost life. The game goes on until step.ended.": [
            np.where(hit, 0, rewards).sum(0),
            np.where(hit | lost, 0, rewards).sum(0),
        ],
        "you set the points back to 0 at an end. They are what is wanted; only add nothing more.": [
            np.zeros(n),
            np.where(goes_on, rewards, 0).sum(0),
        ],
    }
    if not same(mine, right):
        off = int(np.argmax(abs(mine - right)))
        return recognised(mine, mistakes) or (
            f"player {off} scored {right[off]:g} in its first game, and you count {mine[off]:g}."
        )
    script = Scripted(rewards, *np.zeros((2, *ended.shape), bool))
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
            "you add up what all actions are worth. The player will take one, so take the best.": (
                rewards + gamma * goes_on * values.sum(1)
            ),
            "you take the smallest value in each row; the player will choose the largest.": (
                rewards + gamma * goes_on * values.amin(1)
            ),
            "you subtract what follows; add it.": rewards - gamma * goes_on * best,
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
    "The last frames of the moves are frames[-1], frames[-1 - skip], … ; `stack` of them,"
    " and the oldest comes first.",
    "Their places, in order: range(len(frames) - 1 - skip * (stack - 1), len(frames), skip). The"
    " frame before each is one place less; np.maximum(a, b) is the brighter, pixel by pixel.",
    rounds=3,
)
def stacked(yours: Trial) -> str | None:
    """What a player sees after so many frames."""
    rng = fresh_rng()
    skip, stack = int(rng.integers(5, 7)), int(rng.integers(3, 6))
    length = skip * (stack + int(rng.integers(0, 2))) + 3  # so that no two mistakes are alike
    frames = rng.integers(0, 256, (length, 7, 9))
    for maximum in (False, True):
        right = games.stacked(frames, skip=skip, maximum=maximum, stack=stack)
        mine = called(yours, frames, skip, maximum, stack, like=right)
        if same(mine, right):
            continue
        last, fours = (length - 1 - every * np.arange(stack)[::-1] for every in (skip, 4))
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
            "a move lasts 4 frames in yours, whatever skip says.": (
                np.maximum(frames[fours], frames[fours - 1]) if maximum else frames[fours]
            ),
            "your pictures end a frame too early: the newest frame is frames[-1].": (
                np.maximum(frames[last - 1], frames[last - 2]) if maximum else frames[last - 1]
            ),
            "you take the first frame of each move; it is seen as it ends.": frames[
                last - skip + 1
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
    small = frames.astype(np.uint8)
    right = games.stacked(small, skip=skip, stack=stack)
    if not same(called(yours, small, skip, True, stack, like=right), right):
        return (
            "right for int64, but frames are uint8, in which 255 + 1 is 0. The brighter needs no"
            " sum: np.maximum."
        )
    return None


def small_player() -> tuple[nn.Sequential, torch.Tensor]:
    """A bent random network of six values, and three states (3, 4, 6, 7) with some pixels black and
    some white, for which its best action is not always the same, nor the first.
    """
    while True:
        net = nn.Sequential(nn.Flatten(), nn.Linear(168, 24), nn.Tanh(), nn.Linear(24, 6))
        net = net.eval().requires_grad_(False)
        net[1].get_parameter("weight").mul_(3)
        states = torch.rand(3, 4, 6, 7).mul(1.4).sub(0.2).clamp(0, 1)
        best = net(states).argmax(1)
        if best.min() > 0 and len(best.unique()) > 1:
            return net, states


def step_mistakes(net: nn.Module, states: torch.Tensor, eps: float) -> Marks:
    """The sentences for what a wrong step may equal."""
    values = net(states)
    best, worst = values.argmax(1), values.argmin(1)
    second = values.topk(2).indices[:, 1]
    gradient = loss_gradient(net, states, best)
    newest = torch.zeros_like(states)
    newest[:, -1] = 1

    def step(g: torch.Tensor) -> torch.Tensor:
        return (states + eps * g.sign()).clamp(0, 1)

    return {
        "your step makes the player surer of its action: you went down the cross-entropy of the"
        " best action, or up its value. Turn the sign.": [
            step(-gradient),
            step(score_gradient(net, states, best)),
        ],
        "some pixels left [0, 1]: end with .clamp(0, 1).": states + eps * gradient.sign(),
        "you returned the change alone; the states with the change added are wanted.": [
            eps * gradient.sign(),
            (eps * gradient.sign()).clamp(0, 1),
        ],
        "your label is action 0, whatever the state. It should be the action that the player would"
        " choose there: net(states).argmax(1).": step(
            loss_gradient(net, states, torch.zeros_like(best))
        ),
        "all states got the first one's action as their label. Each has its own:"
        " net(states).argmax(1).": step(loss_gradient(net, states, best[:1].expand_as(best))),
        "you went towards the action of lowest value. The step wanted goes away from the best"
        " one, wherever that leads.": step(-loss_gradient(net, states, worst)),
        "argmax went over the states; over the actions it is .argmax(1).": step(
            loss_gradient(net, states, values.argmax(0)[: len(states)])
        ),
        "you aim at the second best action, or lower the lead over it. A good attack, often the"
        " stronger, but another one: here raise the cross-entropy of the best.": [
            step(-loss_gradient(net, states, second)),
            step(score_gradient(net, states, second) - score_gradient(net, states, best)),
        ],
        "you left the action of lowest value, which the player would not have chosen anyway. Its"
        " best one is the label: argmax, not argmin.": step(loss_gradient(net, states, worst)),
        "you lowered the best action's value, whatever becomes of the others: they may fall as far."
        " Raise the cross-entropy, in which the others count.": step(
            -score_gradient(net, states, best)
        ),
        "only the newest picture changed. The player looks at all four.": (
            states + eps * newest * gradient.sign()
        ).clamp(0, 1),
    }


def apart_step() -> tuple[nn.Module, torch.Tensor, float]:
    """A player, states and an ε for which no known mistake is like another, or right."""
    while True:
        net, states = small_player()
        eps = torch.empty(()).uniform_(0.03, 0.1).item()
        marks = [
            mark if isinstance(mark, list) else [mark]
            for mark in step_mistakes(net, states, eps).values()
        ]
        all_marks = [[tricked.worst_step(net, states, eps=eps)], *marks]
        if not any(
            nearly(eps)(a, b)
            for one, other in combinations(all_marks, 2)
            for a in one
            for b in other
        ):
            return net, states, eps


@exercise(
    LESSON,
    tricked.worst_step,
    "Which label? None comes with a state: it is the action that the player itself would choose,"
    " net(states).argmax(1).",
    "The rest is the fast gradient sign method, and attacks.fgsm(net, states, labels, eps=eps) is"
    " at hand. Untargeted: it leaves the label.",
)
def worst_step(yours):
    """Every pixel by ε against the best action."""
    net, states, eps = apart_step()
    right = tricked.worst_step(net, states, eps=eps)
    close = nearly(eps)
    mistakes = step_mistakes(net, states, eps)
    moved = called(yours, net, states, eps, like=right, what="batch of states")
    if close(moved, right):
        return None
    if torch.equal(moved, states):
        return "the states came back as they were."
    furthest = (moved - states).abs().max() / eps
    if furthest < 0.005:
        return (
            f"no pixel moved by more than {furthest:.4f}·ε. Here ε is in pixels of [0, 1] already:"
            " don't divide it by 255."
        )
    if moved.max() > 2:
        return "pixels from 0 to 255 came; states are in [0, 1]."
    if wrong := recognised(moved, mistakes, same=close):
        return wrong
    if moved.min() < -1e-6 or moved.max() > 1 + 1e-6:
        return "some pixels left [0, 1]: end with .clamp(0, 1)."
    if furthest > 1.001:
        return f"one pixel moved by {furthest:.2f}·ε; ε is the most that is allowed."
    free = (states > eps) & (states < 1 - eps)
    low = (moved - states).abs()[free].div(eps).min()
    if low < 0.99:
        return (
            f"some pixels move by {low:.2g}·ε only. Each may move the full ε: use the gradient's"
            " sign."
        )
    return (
        "the pixels move by ε, but not all of them against the best action. Does each state follow"
        " the gradient of its own cross-entropy?"
    )


def fire_mistakes(values: torch.Tensor) -> Marks:
    """The sentences for what wrong answers may equal."""
    holds, fires = values[:, [0, 2, 3]], values[:, [1, 4, 5]]

    def two(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.stack([a, b], 1)

    right = tricked.fire_question(values)
    return {
        "the columns are the other way round: don't fire is class 0, fire is class 1.": right.flip(
            1
        ),
        "you add the values up. The player takes the best action, so the best of each group"
        " counts.": [two(holds.sum(1), fires.sum(1)), two(fires.sum(1), holds.sum(1))],
        "you take the mean of each group. The player takes the best action, so the best of each"
        " group counts.": two(holds.mean(1), fires.mean(1)),
        "you take the worst value of each group; the player takes the best.": two(
            holds.amin(1), fires.amin(1)
        ),
        "these are places in the groups, not values: .amax(1), or .max(1).values.": two(
            holds.argmax(1).float(), fires.argmax(1).float()
        ),
        "only action 1 counts as fire. The actions right + fire, 4, and left + fire, 5, fire"
        " too.": [
            two(values[:, [0, 2, 3, 4, 5]].amax(1), values[:, 1]),
            two(holds.amax(1), values[:, 1]),
        ],
        "without firing it can stay, but also go right, 2, or left, 3.": two(
            values[:, 0], fires.amax(1)
        ),
        **{
            f"action {gone} is in neither group.": two(
                values[:, [a for a in (0, 2, 3) if a != gone]].amax(1),
                values[:, [a for a in (1, 4, 5) if a != gone]].amax(1),
            )
            for gone in range(6)
        },
        "even actions are in one group and odd ones in the other. Those that fire are 1, 4 and"
        " 5.": two(values[:, ::2].amax(1), values[:, 1::2].amax(1)),
        "only one way to hold fire and one to fire are left: stay and fire.": two(
            values[:, 0], values[:, 1]
        ),
        "the first three actions are in one group and the last three in the other. Those that fire"
        " are 1, 4 and 5.": two(values[:, :3].amax(1), values[:, 3:].amax(1)),
        "these are probabilities; values are wanted, before any softmax.": [
            right.softmax(1),
            two(
                values.softmax(1)[:, [0, 2, 3]].sum(1),
                values.softmax(1)[:, [1, 4, 5]].sum(1),
            ),
        ],
    }


@exercise(
    LESSON,
    tricked.fire_question,
    "Actions 1, 4 and 5 fire. What is the best that the player could do without them?",
    "values[:, [0, 2, 3]].amax(1) is the first answer; torch.stack([…, …], 1) makes two columns.",
)
def fire_question(yours):
    """The best value without firing, and with."""
    values = torch.randn(7, 6) * 3
    while not told_apart(tricked.fire_question(values), fire_mistakes(values)):
        values = torch.randn(7, 6) * 3
    right = tricked.fire_question(values)
    known: Marks = {
        "this is one number a state: its action, or whether it fires. Two values a state are"
        " wanted, (N, 2).": (7,),
        "two rows came, a column a state; turn them: torch.stack([…, …], 1).": (2, 7),
        "you take the best over all states; each state has its own: .amax(1).": (2,),
    }
    mine = called(yours, values, like=right, what="pair of answers", known=known)
    if same(mine, right):
        return None
    row = int((mine - right).abs().amax(1).argmax())
    return recognised(mine, fire_mistakes(values)) or (
        f"for the values {[round(v, 1) for v in values[row].tolist()]} the two answers are"
        f" {right[row, 0]:.1f} and {right[row, 1]:.1f}; yours are {float(mine[row, 0]):.1f} and"
        f" {float(mine[row, 1]):.1f}."
    )


def spot_mistakes(
    net: nn.Module, states: torch.Tensor, blurred: torch.Tensor, mask: torch.Tensor
) -> Marks:
    """The sentences for what a wrong score may equal."""
    best = net(states).argmax(1, keepdim=True)

    def changed(mixed: torch.Tensor, to: torch.Tensor | None = None) -> torch.Tensor:
        return (net(mixed) - net(states if to is None else to)).square().sum(1) / 2

    def under(spot: torch.Tensor) -> torch.Tensor:
        return states + spot * (blurred - states)

    mixed = under(mask)
    moved = net(mixed) - net(states)
    squares = moved.square()
    newest = torch.cat([states[:, :-1], mixed[:, -1:]], 1)
    return {
        "the spot is black: the blurred state is to show in it, + mask * blurred.": changed(
            (1 - mask) * states
        ),
        "you compare probabilities; the values themselves are wanted, before any softmax.": (
            (net(mixed).softmax(1) - net(states).softmax(1)).square().sum(1) / 2
        ),
        "only the newest picture is blurred; the spot goes through all four.": changed(newest),
        "the change is counted from the blurred state; count it from the state as it is.": changed(
            mixed, blurred
        ),
        "all states got the first one's mask; each has its own.": changed(under(mask[:1])),
        "all states are compared with the first; each has its own values.": changed(
            mixed, states[:1]
        ),
        "the half is missing: ½ of the sum of squares.": squares.sum(1),
        "you take the mean over the actions; the measure is half their sum.": [
            squares.mean(1),
            squares.mean(1) / 2,
        ],
        "this is the length of the change, a square root; its square is wanted, halved.": [
            moved.norm(dim=1),
            moved.norm(dim=1) / 2,
        ],
        "you add up sizes, not squares.": [moved.abs().sum(1), moved.abs().sum(1) / 2],
        "you add up the changes with their signs, and some cancel. Square them first.": [
            moved.sum(1),
            moved.sum(1) / 2,
            moved.sum(1).square() / 2,
        ],
        "the mask is upside down: where it is 1 the picture should be blurred.": [
            changed(under(1 - mask)),
            changed(under(1 - mask)) * 2,
        ],
        "the whole picture is blurred: the mask is not used.": changed(blurred),
        "these are the values under the spot. How far are they from the values without it?": (
            net(mixed).square().sum(1) / 2
        ),
        "only the best action's value counts in yours; all six do in the paper's.": [
            squares.gather(1, best)[:, 0] / 2,
            squares.gather(1, best)[:, 0],
            (net(mixed).amax(1) - net(states).amax(1)).square() / 2,
            (net(mixed).amax(1) - net(states).amax(1)).square(),
        ],
        "this is how far the picture changes. How far do the network's values?": [
            (mixed - states).square().sum((1, 2, 3)) / 2,
            (mixed - states).square().sum((1, 2, 3)),
        ],
        "the blurred spot is added on top of the state. It takes the place of what was there:"
        " (1 - mask) * states + mask * blurred.": changed(states + mask * blurred),
    }


@exercise(
    LESSON,
    tricked.spot_score,
    "I′ first: (1 - mask) * states + mask * blurred. Then ask the network twice.",
    "A change for each action, (N, 6): square it, sum it over the actions, halve it.",
)
def spot_score(yours):
    """Half the squared change of all values under a blurred spot."""
    mistakes: Marks = {}
    right = torch.zeros(3)
    while not mistakes or not told_apart(right, mistakes):
        net, states = small_player()
        blurred, mask = torch.rand(3, 4, 6, 7), torch.rand(3, 1, 6, 7) * 0.6
        right = tricked.spot_score(net, states, blurred, mask)
        mistakes = spot_mistakes(net, states, blurred, mask)
    known: Marks = {
        "this is one number an action; sum over the six: a state has one number.": (
            3,
            6,
        ),
        "this is one number for all states together; sum over the actions only, .sum(1).": (),
        "you summed over the states and kept the actions; sum over the actions, .sum(1).": (6,),
        "a column came; one number a state is wanted, (N,): .sum(1), without keepdim.": (3, 1),
    }
    mine = called(yours, net, states, blurred, mask, like=right, what="list of scores", known=known)
    if same(mine, right):
        return None
    row = int(((mine - right).abs() / right).argmax())
    return recognised(mine, mistakes) or (
        f"for state {row} of {len(right)} it is {right[row]:.4f}, and yours is {mine[row]:.4f}."
    )
