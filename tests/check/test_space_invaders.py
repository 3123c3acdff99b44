"""Lesson 21's exercises, answered rightly in other ways than the course's, and wrongly in each way
that has a sentence of its own."""

import numpy as np
import pytest
import torch

from trickkit import games, player
from trickkit.check import space_invaders as check

from .answers import accepted, refused


def loop(count=lambda points, over, step: points + ~over * step.rewards, *, stop=np.all, give=None):
    """Games played by a loop. count: of points, who was over before, and a step."""

    def play_games(many, policy, seed, most):
        states = many.reset(seed)
        points, over = np.zeros(many.n), np.zeros(many.n, bool)
        for _ in range(most):
            many.send(policy(states))
            step = many.recv()
            points = count(points, over, step)
            over = over | step.ended
            states = step.states
            if stop(over):
                break
        return points if give is None else give(points)

    return play_games


def old_states(many, policy, seed, most):
    states, points, over = many.reset(seed), np.zeros(many.n), np.zeros(many.n, bool)
    while not over.all():
        many.send(policy(states))
        step = many.recv()
        points += ~over * step.rewards
        over |= step.ended
    return points


def ending(move):
    """A game played where move(many, policy, states) sends, or not."""

    def play_games(many, policy, seed, most):
        return move(many, policy, many.reset(seed))

    return play_games


def forever(many, policy, seed, most):
    return loop()(many, policy, seed, 10**6)


def until_all(many, policy, seed, most):
    return loop()(many, policy, seed, most + 1)


def twice_begun(many, policy, seed, most):
    many.reset(seed)
    return player.play_games(many, policy, seed=seed, most=most)


def fixed_seed(many, policy, seed, most):
    return player.play_games(many, policy, seed=0, most=most)


def aims(of):
    """A target from of(rewards, goes on, next values, gamma)."""
    return lambda r, ended, v, gamma: of(r, ~ended, v.detach(), gamma)


def pictures(of):
    """A state from of(frames, places of the moves' last frames, skip, maximum, stack)."""

    def stacked(frames, skip, maximum, stack):
        last = [len(frames) - 1 - skip * back for back in reversed(range(stack))]
        return np.asarray(of(frames, last, skip, maximum, stack))

    return stacked


def brighter(of):
    """Right without maximum; with it, of(frames, last, skip)."""
    return pictures(lambda f, last, skip, maximum, stack: of(f, last, skip) if maximum else f[last])


def from_the_start(frames, skip, maximum, stack):
    ends = np.arange(skip - 1, len(frames), skip)[:stack]
    return np.maximum(frames[ends], frames[ends - 1]) if maximum else frames[ends]


def slowly(frames, skip, maximum, stack):
    state, at = [], len(frames)
    while len(state) < stack:
        state.insert(0, frames[at - 2 : at].max(0) if maximum else frames[at - 1])
        at -= skip
    return state


WRONG = [
    (check.play_games, loop(lambda p, over, s: p + s.rewards), "count the games that follow"),
    (
        check.play_games,
        loop(lambda p, over, s: p + ~over * np.sign(s.rewards)),
        "cut to their sign",
    ),
    (check.play_games, loop(lambda p, over, s: p + np.sign(s.rewards)), "cut to their sign"),
    (
        check.play_games,
        loop(lambda p, over, s: p + ~(over | s.ended) * s.rewards),
        "move that ends the game|move that ends a game",
    ),
    (check.play_games, loop(give=lambda p: np.full(5, p.mean())), "the mean, or the sum"),
    (check.play_games, loop(give=lambda p: np.full(5, p.sum())), "the mean, or the sum"),
    (check.play_games, loop(stop=np.any), "stop everybody"),
    (check.play_games, loop(lambda p, over, s: p + ~over * s.rewards + 1), "and you count"),
    (check.play_games, loop(stop=lambda over: False), "play on though"),
    (check.play_games, old_states, "old states"),
    (check.play_games, forever, "most = .* play on"),
    (check.play_games, until_all, "most = .* stop after"),
    (check.play_games, twice_begun, "once, first"),
    (check.play_games, fixed_seed, r"begun with \[0\]"),
    (check.play_games, lambda many, p, s, most: many.send(0), "before games.reset"),
    (check.play_games, ending(lambda many, p, s: many.send(p(s)[0])), "one for each game"),
    (check.play_games, ending(lambda many, p, s: many.recv()), "comes after games.send"),
    (check.target, aims(lambda r, on, v, g: r + g * v.amax(1)), "forget the ends"),
    (check.target, aims(lambda r, on, v, g: r + g * ~on * v.amax(1)), "turned round"),
    (check.target, aims(lambda r, on, v, g: on * (r + g * v.amax(1))), "takes away the reward"),
    (check.target, aims(lambda r, on, v, g: r + g * on * v.amax(0)), "down each column"),
    (check.target, aims(lambda r, on, v, g: r + g * on * v.max()), "each row has its own best"),
    (check.target, aims(lambda r, on, v, g: r + g * on * v.mean(1)), "take the mean"),
    (check.target, aims(lambda r, on, v, g: g * (r + on * v.amax(1))), "on the reward as well"),
    (check.target, aims(lambda r, on, v, g: g * r + on * v.amax(1)), "instead of what follows"),
    (check.target, aims(lambda r, on, v, g: r + on * v.amax(1)), "gamma is missing"),
    (check.target, aims(lambda r, on, v, g: g * on * v.amax(1)), "rewards are missing"),
    (
        check.target,
        aims(lambda r, on, v, g: r + g * on * v.amax(1).clamp(min=0)),
        "cut off at 0",
    ),
    (check.target, aims(lambda r, on, v, g: r + g * on * v.argmax(1)), "number is taken"),
    (check.target, aims(lambda r, on, v, g: r + g * on * v.amin(1)), "row 1, which goes on"),
    (check.target, lambda r, ended, v, g: r + g * ~ended * v.amax(1), "a gradient flows"),
    (check.stacked, pictures(lambda f, last, k, m, n: f[last][::-1]), "order is reversed"),
    (check.stacked, pictures(lambda f, last, k, m, n: f[-n:]), "one after another"),
    (check.stacked, from_the_start, "first moves"),
    (check.stacked, pictures(lambda f, last, k, m, n: f[::k][-n:]), "counted from the first"),
    (check.stacked, pictures(lambda f, last, k, m, n: f[last] // 2), "is another"),
    (
        check.stacked,
        pictures(lambda f, last, k, m, n: games.stacked(f, skip=k, stack=n)),
        "without maximum",
    ),
    (check.stacked, brighter(lambda f, last, k: f[last]), "last frame as it is"),
    (check.stacked, brighter(lambda f, last, k: f[np.array(last) - 1]), "before each move's last"),
    (
        check.stacked,
        brighter(lambda f, last, k: np.minimum(f[last], f[np.array(last) - 1])),
        "darker",
    ),
    (
        check.stacked,
        brighter(lambda f, last, k: f[last] / 2 + f[np.array(last) - 1] / 2),
        "half as bright",
    ),
    (
        check.stacked,
        brighter(lambda f, last, k: [f[i - k + 1 : i + 1].max(0) for i in last]),
        "of all frames of its move",
    ),
    (
        check.stacked,
        brighter(lambda f, last, k: np.maximum(f[last], f[np.maximum(np.array(last) - k, 0)])),
        "a whole move apart",
    ),
    (
        check.stacked,
        brighter(lambda f, last, k: np.maximum(f[last], f[np.array(last) - 1])[::-1]),
        "order is reversed",
    ),
]

RIGHT = [
    (check.play_games, loop()),
    (check.play_games, loop(give=list)),
    (check.play_games, loop(give=torch.from_numpy)),
    (
        check.play_games,
        loop(lambda p, over, s: np.where(over, p, p + s.rewards), stop=lambda over: all(over)),
    ),
    (check.target, aims(lambda r, on, v, g: torch.where(on, r + g * v.max(1).values, r))),
    (check.target, aims(lambda r, on, v, g: (r + g * on.double() * v.max(1)[0]).numpy())),
    (check.stacked, slowly),
    (check.stacked, lambda *args: torch.from_numpy(np.stack(slowly(*args)))),
    (check.stacked, lambda *args: np.stack(slowly(*args)).astype(float)),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function, times=12)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
