"""The checks of lesson 01, in NumPy.

Each draws fresh small arrays; what is wrong is told by what it equals instead.
"""

from collections.abc import Callable
from itertools import permutations

import numpy as np

from trickkit import backprop
from trickkit.check import (
    Changed,
    called,
    exercise,
    fresh_rng,
    progress,
    received,
    recognised,
    same,
    shaped,
    told_apart,
    written,
)

__all__ = ["cross_entropy_backward", "fool", "layer_backward", "progress", "relu_backward"]
LESSON = "01 backpropagation"


def layer_mistakes(
    name: str, g: np.ndarray, x: np.ndarray, W: np.ndarray, best: np.ndarray
) -> dict[str, np.ndarray]:
    """The sentences for what a wrong gx, gW or gb may equal."""
    N = len(g)
    mean = "" if name == "gx" else "the mean, not the sum, over the images: "
    unseen = (
        "without the transpose ({}.T; reshape lays nothing on its side). Here all sides are equal,"
        " so the shapes did not warn you."
    )
    found = {"has its sign flipped. Nothing in x @ W + b flips a sign.": -best}
    if N > 1:
        found |= {
            f"is {mean}divided by {N}. The loss was a mean already, so g is divided by {N}; once is"
            " enough.": best / N
        }
    if name == "gb":
        found |= {
            "has a number for each image. Rows are images: sum over axis 0.": g.sum(axis=1),
        }
    elif g.shape == x.shape == W.shape and name == "gx":
        found |= {
            "is g @ W, " + unseen.format("W"): g @ W,
            "has its factors in the wrong order. g comes first: its rows are images, like those of"
            " x.": W.T @ g,
            "is W @ g.T, which is gx on its side: g comes first, its rows are images.": W @ g.T,
        }
    elif g.shape == x.shape == W.shape:
        found |= {
            "is x @ g, " + unseen.format("x"): x @ g,
            "is g.T @ x, which is gW on its side: its rows belong to outputs, those of W to"
            " inputs.": g.T @ x,
        }
    return {f"your {name} {sentence}": array for sentence, array in found.items()}


@exercise(
    LESSON,
    backprop.layer_backward,
    "For one number, a = x·w + b: the gradient of x is g·w, that of w is g·x, that of b is g. Now"
    " with shapes.",
    "gx has the shape of x: g @ W.T. gW has the shape of W: which of x and g must be laid on its"
    " side?",
    "b was added to every row, so its gradient is the sum of all rows: g.sum(axis=0).",
)
def layer_backward(yours):
    """Back through x @ W + b."""
    rng = fresh_rng()
    # Where all sides are equal, no shape warns of a mistake.
    for N, n, m in ((5, 5, 5), (4, 7, 3), (1, 6, 2), (3, 3, 3)):
        g = rng.normal(size=(N, m))
        x = rng.normal(size=(N, n))
        W = rng.normal(size=(n, m))
        got = written(yours(g, x, W))
        if not isinstance(got, tuple | list) or len(got) != 3:
            came = f"a {type(got).__name__}"
            if hasattr(got, "shape"):
                came = f"one that has shape {tuple(got.shape)}"
            if isinstance(got, tuple | list):
                came = f"{len(got)} things"
            return f"three gradients are wanted, return gx, gW, gb; {came} came."
        right = backprop.layer_backward(g, x, W)
        got = received(yours, got, right)
        names = ("gx", "gW", "gb")
        for order in permutations(range(3)):
            if order != (0, 1, 2) and all(
                same(mine, right[i]) for mine, i in zip(got, order, strict=True)
            ):
                return (
                    f"you return {', '.join(names[i] for i in order)}. Each is right; the order"
                    " wanted is gx, gW, gb."
                )
        for name, mine, best in zip(names, got, right, strict=True):
            if mine is None or mine is Ellipsis:
                return f"your {name} is still {mine}; an array of shape {best.shape} is wanted."
            if name == "gb" and np.shape(mine) == (N, m):
                return (
                    f"your gb has shape {(N, m)}; {(m,)} is wanted. One bias serves all {N} images,"
                    " so their gradients add up: sum over axis 0."
                )
            if wrong := shaped(mine, best, what=name):
                return wrong
            if not same(mine, best):
                off = np.abs(np.asarray(mine) - best).max()
                return recognised(mine, layer_mistakes(name, g, x, W, best)) or (
                    f"your {name} is off by up to {off:.2g}. Take one number of it: which others"
                    " does it meet?"
                )
    return None


@exercise(
    LESSON,
    backprop.relu_backward,
    "max(a, 0) copies a where it is positive: the slope is 1. Elsewhere it says 0 whatever a does:"
    " the slope is 0.",
    "a > 0 is an array of True and False. Times g, True counts as 1.",
    rounds=5,
)
def relu_backward(yours):
    """Back through max(a, 0)."""
    rng = fresh_rng()
    g = rng.normal(size=(6, 8))
    a = rng.normal(size=(6, 8))
    on = a > 0
    right = g * on
    back = called(yours, g, a, like=right).astype(float)
    if same(back, right):
        return None
    off = []
    if not same(back[on], g[on]):
        off.append(
            f"Where a is positive you are off by up to {np.abs(back - g)[on].max():.2g}; pass g"
            " as it is."
        )
    if not off or not same(back[~on], right[~on]):
        off.append(
            f"Where a is negative you still pass up to {np.abs(back[~on]).max():.2g}; pass 0 there."
        )
    mistakes = {
        "everything came back. A unit that was off, a ≤ 0, passed nothing forward, so nothing goes"
        " back: 0 there.": g,
        "your mask looks at g."
        " Whether a unit was on is seen in a, what went *forward* through it.": g * (g > 0),
        "your mask is the wrong way round: it keeps what was off.": g * ~on,
        "this is the mask alone. Each unit that is on passes on the g that came: mask times g.": (
            on.astype(float)
        ),
        "you multiplied by max(a, 0). The slope of a unit that is on is 1, however large a is.": (
            g * np.maximum(a, 0)
        ),
        "this is max(a, 0), the way forward. On the way back it is g that passes or stops.": (
            np.maximum(a, 0)
        ),
        "you multiplied by a. The slope of a unit that is on is 1, and 0 where it is off.": g * a,
        "the sign is flipped. A unit that is on passes g as it is.": -right,
        "where a is negative you pass -g. There the slope is 0.": g * np.sign(a),
        "you cut off g where *it* is negative as well. Whether g passes is decided by a alone.": (
            np.maximum(g, 0) * on
        ),
    }
    return recognised(back, mistakes) or " ".join(off)


def stops(function: Callable, *args: np.ndarray) -> bool:
    """Whether it raises for these."""
    try:
        function(*args)
    except Exception:  # the learner's code may raise anything
        return True
    return False


def not_probabilities(*tries: np.ndarray) -> str | None:
    """The sentence for the first array whose numbers are from 0 to 1 and whose rows do not add up
    to 1, else None.
    """
    for p in tries:
        total = p.sum(axis=1)
        row = np.abs(total - 1).argmax()
        if p.min() >= 0 and p.max() <= 1 and not np.allclose(total, 1, atol=1e-4):
            return (
                "your probabilities do not add up to 1 in each row: row"
                f" {row} adds up to {total[row]:.3g}. Each image has a sum of its own to divide by:"
                " backprop.softmax."
            )
    return None


@exercise(
    LESSON,
    backprop.cross_entropy_backward,
    "Start from backprop.softmax(scores), (N, K), and take 1 away in each row, at that row's"
    " label.",
    "Row i's label is y[i]. Both at once: g[np.arange(len(y)), y] -= 1.",
    "The loss is a mean over N images, so each image has a share of 1/N.",
)
def cross_entropy_backward(yours):
    """The gradient of the mean cross-entropy with respect to the scores."""
    rng = fresh_rng()
    N, K = 7, 4
    for size in (1, 3, 0.1, 1000):
        scores = size * rng.normal(size=(N, K))
        y = rng.permutation(np.arange(N) % K)  # every class at least once
        right = backprop.cross_entropy_backward(scores, y)
        try:
            got = received(yours, yours(scores, y), right)
        except (ValueError, IndexError):
            if not stops(yours, rng.normal(size=(N, 10)), y):
                return (
                    f"it counts on ten scores an image; here there are {K}. Ask: scores.shape[1]."
                )
            raise
        fits = isinstance(got, np.ndarray) and got.shape == (N, K)
        if fits and size == 1000 and not np.isfinite(got).all():
            return (
                "with scores in the thousands exp overflows. Subtract each row's largest first;"
                " backprop.softmax does."
            )
        if wrong := shaped(got, scores):
            return wrong
        if same(got, right):
            continue
        got = np.asarray(got)
        one = np.eye(K)[y]
        return (
            recognised(got, cross_entropy_mistakes(scores, y))
            or not_probabilities(got * N + one, got + one)
            or (
                f"you are off by up to {np.abs(got - right).max():.2g}. Each row: probabilities,"
                " less 1 at the label, and all of it over N."
            )
        )
    return None


def cross_entropy_mistakes(scores: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The sentences for what a wrong gradient of the cross-entropy may equal."""
    N, K = scores.shape
    p = backprop.softmax(scores)
    down = backprop.softmax(scores.T).T
    one = np.eye(K)[y]
    columns = p.copy()
    columns[:, y] -= 1
    rows = p.copy()
    rows[y] -= 1
    every = (
        "g[:, y] takes 1 away in *every* row at all of these columns. Row i only at y[i]:"
        " g[np.arange(N), y]."
    )
    return {
        f"your gradient is {N} times too large. The loss is the mean over {N} images: each has"
        f" 1/{N} of it.": p - one,
        "the sign is flipped: probabilities less 1 at the label, not 1 less the probabilities.": (
            one / N - p / N
        ),
        "the sign is flipped, and the division by the number of images is missing.": one - p,
        "you took the labels' numbers away. The truth is 1 at the label and 0 elsewhere: take 1"
        " away at g[np.arange(N), y].": [p - y[:, None], (p - y[:, None]) / N],
        "these are the probabilities, over N. At each image's own label 1 is to be taken away"
        " first.": p / N,
        "these are the probabilities. Take 1 away at each image's own label, then divide by N.": p,
        "only the numbers at the labels are set. The other classes' probabilities belong there as"
        " well.": [(p - one) * one / N, (p - one) * one],
        "the slope p(1 − p) of each probability is in it. It has cancelled: probabilities, less 1"
        " at the label, is all.": [(p - one) * p * (1 - p) / N, (p - one) * p * (1 - p)],
        "g[y] -= 1 takes 1 away in whole rows. In row i only at y[i]: g[np.arange(N), y].": [
            rows / N,
            rows,
        ],
        every: columns / N,
        every + " And the division by N is missing.": columns,
        "the scores themselves are in it. Make probabilities of them first: backprop.softmax.": (
            (scores - one) / N
        ),
        "your probabilities add up to 1 down the columns. Each row, an image, has them: axis 1.": (
            (down - one) / N
        ),
        f"you divided by {K}, the number of classes. The mean is over the {N} images.": (
            (p - one) / K
        ),
        f"you divided by {N * K}, by images and classes. The mean is over the {N} images.": (
            (p - one) / (N * K)
        ),
    }


def walk(
    net: backprop.Net,
    x: np.ndarray,
    target: np.ndarray,
    step_size: float,
    steps: int,
    *,
    direction: int = -1,
    anew: bool = True,
    sign: bool = False,
    clip: bool = True,
    share: Callable[[np.ndarray], np.ndarray] = lambda g: g,
) -> np.ndarray:
    """Steps along the picture's gradient, made wrong in one way or another.

    share: what is done to the gradients first.
    """
    first, _ = backprop.backward(net, x, target)
    for _ in range(steps):
        g = share(backprop.backward(net, x, target)[0] if anew else first)
        x = x + direction * step_size * (np.sign(g) if sign else g)
        x = np.clip(x, 0, 1) if clip else x
    return x


def fool_problem(
    rng: np.random.Generator, N: int, steps: int
) -> tuple[backprop.Net, np.ndarray, np.ndarray, float]:
    """A network, N pictures, their targets, all different and none reached already, and a step size
    with which no known mistake is like another.
    """
    step_size = 0.3 * N
    while True:
        seed = int(rng.integers(2**31))
        net = [
            np.asarray(2.5 * w) for w in backprop.init(pixels=12, hidden=9, classes=4, seed=seed)
        ]
        net[1] += rng.normal(size=9)
        x = rng.random((N, 12))
        target = rng.permutation(4)[:N]
        if (backprop.forward(net, x)[2].argmax(axis=1) == target).any():
            continue
        right = backprop.fool(net, x, target, step_size=step_size, steps=steps)
        if told_apart(right, fool_mistakes(right, net, x, target, step_size, steps)):
            return net, x, target, step_size


@exercise(
    LESSON,
    backprop.fool,
    "gx, _ = backward(net, x, target) says how the loss of reading x as target grows with each"
    " pixel.",
    "It is training's step: x - step_size * gx, the picture where the weights were. Then np.clip(…,"
    " 0, 1), and again.",
)
def fool(yours):
    """Pictures trained to be read as other classes."""
    rng = fresh_rng()
    steps = 6
    for N in (1, 1, 1, 3, 3, 3, 3, 3):
        net, x, target, step_size = fool_problem(rng, N, steps)
        known = {
            f"one picture came back and {N} went in. x has a row for each, and target a label for"
            " each.": [(1, 12), (12,)] * (N > 1)
        }
        try:
            moved = called(
                yours, net, x, target, step_size, steps, like=x, what="picture", known=known
            )
        except Changed as changed:
            if changed.place:
                raise
            return (
                "you trained the network: its weights have changed. Leave them, and change the"
                " picture."
            )
        right = backprop.fool(net, x, target, step_size=step_size, steps=steps)
        if not same(moved, right):
            return fool_sentence(moved, right, net, x, target, step_size, steps)
    try:
        still = yours(net, x, target, step_size, 0)
    except Exception as error:  # the learner's code may raise anything
        return (
            f"with steps = 0 it stops with {type(error).__name__}: {error}. No step, no change:"
            " hand back x as it came."
        )
    if still is None or not same(still, x):
        return (
            "with steps = 0 something else than x comes back. No step, no change: hand back x as it"
            " came."
        )
    return None


def fool_sentence(
    moved: np.ndarray,
    right: np.ndarray,
    net: backprop.Net,
    x: np.ndarray,
    target: np.ndarray,
    step_size: float,
    steps: int,
) -> str:
    """What a wrong picture may be, and the sentence for it."""
    if np.array_equal(moved, x):
        return "the picture came back as it was. Each step: x = x - step_size * gx, then clip."
    N = len(x)
    if N > 1 and np.array_equal(moved[1:], x[1:]):
        return (
            f"of {N} pictures only the first has moved. Each row of x moves by its own row of gx."
        )
    mistakes = fool_mistakes(right, net, x, target, step_size, steps)
    if sentence := recognised(moved, mistakes):
        return sentence
    if moved.min() < 0 or moved.max() > 1:
        return (
            f"your pixels go from {moved.min():.2f} to {moved.max():.2f}. A picture stays in [0,"
            " 1]: np.clip."
        )
    loss = [backprop.cross_entropy(backprop.forward(net, z)[2], target) for z in (x, moved, right)]
    return (
        f"the target's loss went from {loss[0]:.2f} to {loss[1]:.2f}; {steps} steps of this size"
        f" make it {loss[2]:.2f}. Each step: the gradient at the picture as it is now, times"
        " step_size, taken away; then clip."
    )


def fool_mistakes(
    right: np.ndarray,
    net: backprop.Net,
    x: np.ndarray,
    target: np.ndarray,
    step_size: float,
    steps: int,
) -> dict[str, np.ndarray]:
    """The sentences for what wrong pictures may equal."""
    read = backprop.forward(net, x)[2].argmax(axis=1)
    unclipped = walk(net, x, target, step_size, steps, clip=False)
    found = {
        "you walked up the target's loss. Down it, as in training: a minus.": (
            walk(net, x, target, step_size, steps, direction=1)
        ),
        "you walked away from what it is read as. The label to train for is the target, and the way"
        " is down.": walk(net, x, read, step_size, steps, direction=1),
        "your pixels left [0, 1]. A picture has nothing blacker than black: np.clip after each"
        " step.": unclipped,
        "you cut off at 0 and 1 once, at the end. Do it after each step, or the next gradient is"
        " that of no picture.": np.clip(unclipped, 0, 1),
        f"one gradient served all {steps} steps. It is right only where it was taken: ask anew at"
        " each step.": walk(net, x, target, step_size, steps, anew=False),
        f"you took one step; {steps} are asked for.": walk(net, x, target, step_size, 1),
        f"yours is the picture after {steps - 1} steps; {steps} are asked for.": (
            walk(net, x, target, step_size, steps - 1)
        ),
        f"yours is the picture after {steps + 1} steps; {steps} are asked for.": (
            walk(net, x, target, step_size, steps + 1)
        ),
        "you took the sign of the gradient, a step of later lessons. Here it is step_size times the"
        " gradient itself.": walk(net, x, target, step_size, steps, sign=True),
        "you returned the change alone; the changed picture is wanted.": right - x,
        "step_size is not used: your steps are those of step size 1.": (
            walk(net, x, target, 1, steps)
        ),
    }
    return found | batch_mistakes(net, x, target, step_size, steps) if len(x) > 1 else found


def batch_mistakes(
    net: backprop.Net, x: np.ndarray, target: np.ndarray, step_size: float, steps: int
) -> dict[str, np.ndarray]:
    """The sentences for what wrong pictures may equal where there are several."""
    N = len(x)
    alone = x
    for _ in range(steps):
        gradient, _ = backprop.backward(net, alone[:1], target[:1])
        alone = np.clip(alone - step_size * gradient, 0, 1)
    alike = (
        "all {} pictures moved alike, by the {} of their gradients. Each row of x moves by its own"
        " row of gx."
    )
    scaled = (
        "with {0} pictures your steps are {0} times too {1}. step_size times gx, as it comes, is"
        " all."
    )

    def shared(share):
        return walk(net, x, target, step_size, steps, share=share)

    return {
        f"all {N} pictures went towards the first target. target has one for each row.": (
            walk(net, x, np.full(N, target[0]), step_size, steps)
        ),
        f"all {N} pictures moved by the first one's gradient. Give backward all of x and target.": (
            alone
        ),
        alike.format(N, "mean"): shared(lambda g: g.mean(axis=0)),
        alike.format(N, "sum"): shared(lambda g: g.sum(axis=0)),
        scaled.format(N, "long"): walk(net, x, target, N * step_size, steps),
        scaled.format(N, "short"): walk(net, x, target, step_size / N, steps),
    }
