"""Lesson 21's exercises, answered rightly in other ways than the course's, and wrongly in each way
that has a sentence of its own."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trickkit import attacks, games, player, tricked
from trickkit.check import space_invaders as check
from trickkit.contract import loss_gradient, score_gradient

from .answers import accepted, refused


def loop(
    count=lambda points, over, step: points + ~over * step.rewards,
    *,
    ends=lambda over, step: over | step.ended,
    shown=lambda states, step: step.states,
    stop=np.all,
    give=None,
):
    """Games played by a loop. count: of points, who was over before, and a step. ends: who is over
    after it. shown: what the policy sees next, of what it saw and the step.
    """

    def play_games(many, policy, seed, most):
        states = many.reset(seed)
        points, over = np.zeros(many.n), np.zeros(many.n, bool)
        for _ in range(most):
            many.send(policy(states))
            step = many.recv()
            points = count(points, over, step)
            over = ends(over, step)
            states = shown(states, step)
            if stop(over):
                break
        return points if give is None else give(points)

    return play_games


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


def always_four(frames, skip, maximum, stack):
    last = len(frames) - 1 - 4 * np.arange(stack)[::-1]
    return np.maximum(frames[last], frames[last - 1]) if maximum else frames[last]


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
    (check.play_games, loop(ends=lambda over, step: over | step.lost), "lost life"),
    (check.play_games, loop(ends=lambda over, step: step.ended), "always over"),
    (check.play_games, loop(lambda p, over, s: ~s.ended * (p + ~over * s.rewards)), "back to 0"),
    (check.play_games, loop(lambda p, over, s: ~s.ended * (p + s.rewards)), "back to 0"),
    (check.play_games, loop(shown=lambda states, step: states), "old states"),
    (check.play_games, forever, "most = .* play on"),
    (check.play_games, until_all, "most = .* stop after"),
    (check.play_games, twice_begun, "once, first"),
    (check.play_games, fixed_seed, r"begun with \[0\]"),
    (check.play_games, lambda many, p, s, most: many.send(0), "before reset"),
    (check.play_games, ending(lambda many, p, s: many.send(p(s)[0])), "one for each game"),
    (check.play_games, ending(lambda many, p, s: many.recv()), "comes after send"),
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
    (check.target, aims(lambda r, on, v, g: r + g * on * v.amin(1)), "smallest value"),
    (check.target, aims(lambda r, on, v, g: r + g * on * v.sum(1)), "add up"),
    (check.target, aims(lambda r, on, v, g: r - g * on * v.amax(1)), "subtract"),
    (check.target, aims(lambda r, on, v, g: r + g * on * v.median(1)[0]), "row 1, which goes on"),
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
    (check.stacked, always_four, "whatever skip says"),
    (check.stacked, lambda f, k, m, n: games.stacked(f[:-1], skip=k, maximum=m, stack=n), "early"),
    (check.stacked, pictures(lambda f, last, k, m, n: f[np.array(last) - k + 1]), "first frame of"),
    (
        check.stacked,
        brighter(lambda f, last, k: (f[last] + f[np.array(last) - 1]) // 2),
        "half as bright",
    ),
    (
        check.stacked,
        brighter(lambda f, last, k: f[last] + (d := f[np.array(last) - 1] - f[last]) * (d > 0)),
        "255 . 1 is 0",
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


FIRE, HOLD = [1, 4, 5], [0, 2, 3]


def best(net, states):
    return net(states).argmax(1)


def by_hand(net, states, eps):
    x = states.clone().requires_grad_()
    values = net(x)
    loss = -values.log_softmax(1).amax(1).sum()
    loss.backward()
    return torch.clip(states + eps * torch.sign(x.grad), 0, 1).detach()


def step(gradient, mask=1.0, clip=True):
    def moved(net, states, eps):
        x = states + eps * mask * gradient(net, states).sign()
        return x.clamp(0, 1) if clip else x

    return moved


def up(net, states):
    return loss_gradient(net, states, best(net, states))


def newest(net, states, eps):
    x = states.clone()
    x[:, -1:] = step(up)(net, states, eps)[:, -1:]
    return x


def two(holds, fires):
    return lambda values: torch.stack([holds(values), fires(values)], 1)


def blurred_by(mix, of=lambda q: q.square().sum(1) / 2):
    def score(net, states, blurred, mask):
        return of(net(mix(states, blurred, mask)) - net(states))

    return score


def right_mix(states, blurred, mask):
    return states * (1 - mask) + blurred * mask


RIGHT += [
    (check.worst_step, by_hand),
    (check.worst_step, lambda n, x, e: attacks.fgsm(n, x, n(x).argmax(1), eps=e)),
    (check.worst_step, step(up)),
    (check.fire_question, two(lambda v: v[:, HOLD].max(1)[0], lambda v: v[:, FIRE].max(1)[0])),
    (
        check.fire_question,
        lambda v: np.stack([v.numpy()[:, HOLD].max(1), v.numpy()[:, FIRE].max(1)], 1),
    ),
    (
        check.fire_question,
        lambda v: [[max(r[k] for k in HOLD), max(r[k] for k in FIRE)] for r in v.tolist()],
    ),
    (check.spot_score, blurred_by(right_mix)),
    (
        check.spot_score,
        lambda n, x, b, m: F.mse_loss(n(right_mix(x, b, m)), n(x), reduction="none").sum(1) * 0.5,
    ),
    (
        check.spot_score,
        lambda n, x, b, m: [
            0.5 * float(((n(right_mix(x, b, m)) - n(x))[i] ** 2).sum()) for i in range(len(x))
        ],
    ),
]
WRONG += [
    (check.worst_step, step(lambda n, x: -up(n, x)), "surer of its action"),
    (check.worst_step, step(lambda n, x: score_gradient(n, x, best(n, x))), "surer of its action"),
    (check.worst_step, step(up, clip=False), "end with .clamp"),
    (check.worst_step, lambda n, x, e: e * up(n, x).sign(), "the change alone"),
    (check.worst_step, step(lambda n, x: loss_gradient(n, x, 0)), "label is action 0"),
    (
        check.worst_step,
        step(lambda n, x: loss_gradient(n, x, int(best(n, x)[0]))),
        "first one's action as their label",
    ),
    (
        check.worst_step,
        step(lambda n, x: -loss_gradient(n, x, n(x).argmin(1))),
        "towards the action of lowest",
    ),
    (
        check.worst_step,
        step(lambda n, x: loss_gradient(n, x, n(x).argmin(1))),
        "argmax, not argmin",
    ),
    (
        check.worst_step,
        step(lambda n, x: -score_gradient(n, x, best(n, x))),
        "whatever becomes of the others",
    ),
    (check.worst_step, newest, "only the newest"),
    (check.worst_step, lambda n, x, e: x.clone(), "came back as they were"),
    (check.worst_step, step(up, 2), "the most that is allowed"),
    (check.worst_step, step(up, 1 / 255), "don't divide it by 255"),
    (check.worst_step, step(up, 0.5), "may move the full ε"),
    (
        check.worst_step,
        lambda n, x, e: (x + e * up(n, x).sign()).clamp(-1, 1),
        "end with .clamp",
    ),
    (check.worst_step, lambda n, x, e: 255 * step(up)(n, x, e), "from 0 to 255"),
    (
        check.worst_step,
        step(lambda n, x: loss_gradient(n, x, n(x).argmax(0)[: len(x)])),
        "went over the states",
    ),
    (
        check.worst_step,
        step(lambda n, x: -loss_gradient(n, x, n(x).topk(2).indices[:, 1])),
        "second best",
    ),
    (
        check.worst_step,
        step(
            lambda n, x: (
                score_gradient(n, x, n(x).topk(2).indices[:, 1]) - score_gradient(n, x, best(n, x))
            )
        ),
        "lower the lead",
    ),
    (
        check.worst_step,
        lambda n, x, e: (x + e * up(n, x) / up(n, x).abs().max()).clamp(0, 1),
        "use the gradient's sign",
    ),
    (
        check.worst_step,
        step(lambda n, x: up(n, x[:1]).expand_as(x)),
        "gradient of its own cross-entropy",
    ),
    (check.worst_step, lambda n, x, e: None, "not written yet"),
    (check.fire_question, lambda v: tricked.fire_question(v).flip(1), "other way round"),
    (check.fire_question, two(lambda v: v[:, HOLD].sum(1), lambda v: v[:, FIRE].sum(1)), "add"),
    (check.fire_question, two(lambda v: v[:, HOLD].mean(1), lambda v: v[:, FIRE].mean(1)), "mean"),
    (
        check.fire_question,
        two(lambda v: v[:, [0, 2, 3, 4, 5]].amax(1), lambda v: v[:, 1]),
        "only action 1 counts",
    ),
    (check.fire_question, two(lambda v: v[:, 0], lambda v: v[:, FIRE].amax(1)), "also go right"),
    (check.fire_question, lambda v: v[:, :2], "stay and fire"),
    (
        check.fire_question,
        two(lambda v: v[:, :3].amax(1), lambda v: v[:, 3:].amax(1)),
        "first three actions",
    ),
    *(
        (
            check.fire_question,
            lambda v, gone=gone: torch.stack(
                [v[:, [a for a in group if a != gone]].amax(1) for group in (HOLD, FIRE)], 1
            ),
            f"action {gone} is in neither",
        )
        for gone in range(6)
    ),
    (
        check.fire_question,
        two(lambda v: v[:, ::2].amax(1), lambda v: v[:, 1::2].amax(1)),
        "even actions",
    ),
    (check.fire_question, lambda v: tricked.fire_question(v).softmax(1), "probabilities"),
    (check.fire_question, two(lambda v: v[:, HOLD].amin(1), lambda v: v[:, FIRE].amin(1)), "worst"),
    (check.fire_question, two(lambda v: v[:, HOLD].amax(1), lambda v: v[:, 1]), "only action 1"),
    (
        check.fire_question,
        lambda v: torch.stack([v[:, HOLD].max(), v[:, FIRE].max()]),
        "best over all states",
    ),
    (
        check.fire_question,
        two(lambda v: v[:, HOLD].max(1).indices, lambda v: v[:, FIRE].max(1).indices),
        "places in the groups",
    ),
    (check.fire_question, lambda v: v.argmax(1), "one number a state"),
    (check.fire_question, lambda v: tricked.fire_question(v).T, "turn them"),
    (check.fire_question, lambda v: tricked.fire_question(v) + 1, "the two answers are"),
    (check.spot_score, blurred_by(right_mix, lambda q: q.square().sum(1)), "the half is missing"),
    (check.spot_score, blurred_by(right_mix, lambda q: q.square().mean(1)), "mean over the act"),
    (check.spot_score, blurred_by(right_mix, lambda q: q.norm(dim=1)), "a square root"),
    (check.spot_score, blurred_by(right_mix, lambda q: q.abs().sum(1) / 2), "sizes, not squares"),
    (check.spot_score, blurred_by(right_mix, lambda q: q.sum(1) / 2), "some cancel"),
    (check.spot_score, blurred_by(lambda x, b, m: x * m + b * (1 - m)), "upside down"),
    (check.spot_score, blurred_by(lambda x, b, m: b), "the mask is not used"),
    (
        check.spot_score,
        lambda n, x, b, m: n(right_mix(x, b, m)).square().sum(1) / 2,
        "without it",
    ),
    (
        check.spot_score,
        lambda n, x, b, m: (
            (n(right_mix(x, b, m)) - n(x)).gather(1, best(n, x)[:, None])[:, 0] ** 2 / 2
        ),
        "only the best action",
    ),
    (
        check.spot_score,
        lambda n, x, b, m: (n(right_mix(x, b, m)).amax(1) - n(x).amax(1)) ** 2 / 2,
        "only the best action",
    ),
    (
        check.spot_score,
        lambda n, x, b, m: (right_mix(x, b, m) - x).square().sum((1, 2, 3)) / 2,
        "how far the picture changes",
    ),
    (check.spot_score, blurred_by(lambda x, b, m: x + m * b), "added on top"),
    (check.spot_score, blurred_by(right_mix, lambda q: q.square() / 2), "one number an action"),
    (check.spot_score, blurred_by(right_mix, lambda q: q.square().sum() / 2), "one number for all"),
    (check.spot_score, blurred_by(right_mix, lambda q: q.square().sum(1) / 3), "for state"),
    (check.spot_score, blurred_by(right_mix, lambda q: q.square().sum(0) / 2), "kept the actions"),
    (
        check.spot_score,
        blurred_by(right_mix, lambda q: q.square().sum(1, keepdim=True) / 2),
        "a column came",
    ),
    (check.spot_score, blurred_by(lambda x, b, m: (1 - m) * x), "the spot is black"),
    (
        check.spot_score,
        blurred_by(lambda x, b, m: right_mix(x, b, m[:1])),
        "first one's mask",
    ),
    (
        check.spot_score,
        lambda n, x, b, m: (n(right_mix(x, b, m)) - n(x[:1])).square().sum(1) / 2,
        "compared with the first",
    ),
    (
        check.spot_score,
        lambda n, x, b, m: (n(right_mix(x, b, m)) - n(b)).square().sum(1) / 2,
        "counted from the blurred",
    ),
    (
        check.spot_score,
        lambda n, x, b, m: (n(right_mix(x, b, m)).softmax(1) - n(x).softmax(1)).square().sum(1) / 2,
        "compare probabilities",
    ),
    (
        check.spot_score,
        blurred_by(lambda x, b, m: torch.cat([x[:, :-1], right_mix(x, b, m)[:, -1:]], 1)),
        "only the newest picture",
    ),
    (
        check.spot_score,
        blurred_by(lambda x, b, m: x * m + b * (1 - m), lambda q: q.square().sum(1)),
        "upside down",
    ),
]


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_right_in_other_ways(exercise, answer):
    accepted(exercise, answer)


@pytest.mark.parametrize(("exercise", "answer", "says"), WRONG)
def test_wrong_ways_have_their_sentence(exercise, answer, says):
    refused(exercise, answer, says)
