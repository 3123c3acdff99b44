"""The checks of lesson 06. Each draws fresh small networks, images or counts."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.stats import beta, binom, norm

from trickkit import attacks, defences
from trickkit.check import (
    Marks,
    Trial,
    called,
    exercise,
    progress,
    recognised,
    shaped,
    untied,
    written,
)

__all__ = ["break_defence", "certificate", "progress", "straight_through", "withstood"]
LESSON = "06 defences"


def of_kind(value: object, fits: bool, what: str) -> str | None:
    """The sentence for a value that does not fit, else None.

    Raises NotWritten for None.
    """
    written(value)
    if isinstance(value, torch.Tensor):
        return f"your answer is a tensor and has shape {tuple(value.shape)}; {what} is wanted."
    return None if fits else f"your answer is a {type(value).__name__}; {what} is wanted."


def readings(labels: torch.Tensor, attempts: int, classes: int) -> torch.Tensor:
    """What a network says of each image under each attempt, (attempts, N), so that no two ways to
    read them agree.

    Of every five images one is read rightly each time, one under all attempts but one, one under
    half of them, one under a single attempt, and one never, but always as the same class. One
    attempt fools more images than any other, and one fewer; neither is the first or the last.
    """
    n = len(labels)
    kind = torch.arange(n) % 5
    place = torch.arange(n) // 5
    most, fewest = (torch.randperm(attempts - 2)[:2] + 1).tolist()
    start = place.clone()
    start[(kind == 1) & (place < n // 10)] = attempts - 1 - most
    start[(kind == 3) & (place < n // 10)] = attempts - fewest
    turn = (start + torch.arange(attempts)[:, None]) % attempts
    right = turn < torch.tensor([attempts, attempts - 1, attempts // 2, 1, 0])[kind]
    wrong = (labels + torch.randint(1, classes, (attempts, n))) % classes
    wrong[:, kind == 4] = wrong[0, kind == 4]
    return torch.where(right, labels, wrong)


@exercise(
    LESSON,
    defences.withstood,
    "model(images).argmax(1) == labels says who held under one attempt. What joins several such"
    " answers?",
    "torch.stack(answers).all(0): True where an image held under every attempt.",
    rounds=5,
)
def withstood(yours):
    """Which images hold out against every attempt."""
    weights = torch.randn(12, 5)
    labels = torch.randint(0, 5, (40,))
    read = readings(labels, 4, 5)
    logits = (2 * torch.eye(5)[read] + torch.rand(4, 40, 5)) * (1 + 4 * torch.rand(4, 40, 1))
    attempts = list((logits @ torch.linalg.pinv(weights)).view(4, 40, 1, 3, 4))

    def model(images):
        return images.flatten(1) @ weights

    rights = read == labels
    held = rights.all(0)
    share = rights.float().mean(0)
    known = {
        "you returned one number. One attack fools some images and another others: keep the answer"
        " for each image, True or False, and take the mean last.": [float, ()]
    }
    said = called(yours, model, attempts, labels, like=held, what="answer", known=known)
    answer = said.bool()
    if torch.equal(answer, held) and ((said == 0) | (said == 1)).all():
        if said.is_floating_point():
            return (
                f"your answer is of type {said.dtype}, 1.0 and 0.0; True and False are wanted, as"
                " == gives them and .all(0) keeps them."
            )
        return None
    if torch.equal(answer, ~held):
        return (
            "your answer is the other way round: True is for an image that is read rightly under"
            " every attempt."
        )
    if (said > 1).any():
        return (
            "your answer counts for how many attempts an image is read rightly. It holds if that is"
            " so for all of them: == len(attempts)."
        )
    if said.is_floating_point() and ((said > 0) & (said < 1)).any():
        return (
            "your answer is an average over the attempts. One that works is enough: an image holds"
            " if all fail."
        )
    only = "only the {} attempt counts in your answer. An image holds if every attempt fails."
    vote = (
        "your attempts vote, and the majority wins. One attempt that fools is enough: an image"
        " holds if *every* one fails."
    )
    steady = (
        "an image holds for you if all attempts are read alike. They may all be read as the same"
        " wrong class: compare what is read with labels."
    )
    mistakes: Marks = {
        "your images hold if one attempt fails. An attacker tries them all: an image holds if"
        " *every* attempt fails.": rights.any(0),
        "you mark the images that every attempt fools. An image falls if one does: mark those that"
        " no attempt fools.": ~rights.any(0),
        only.format("first"): rights[0],
        only.format("last"): rights[-1],
        "you took the worst attack, not the worst case image by image. One attack fools some images"
        " and another others: an image holds if every attempt fails.": (
            rights[rights.sum(1).argmin()]
        ),
        "you took the attack that fools fewest. An attacker tries them all: an image holds if every"
        " attempt fails.": rights[rights.sum(1).argmax()],
        vote: [share > 0.5, share >= 0.5],
        steady: (read == read[0]).all(0),
        "you average the attempts, or the logits, and only then ask for the class. Ask for the"
        " class of every attempt by itself.": logits.mean(0).argmax(1) == labels,
    }
    return recognised(answer, mistakes, same=torch.equal) or (
        f"{(answer & ~held).sum()} images hold by your answer and are misread under some attempt;"
        f" {(~answer & held).sum()} fall by your answer and are always read rightly."
    )


@exercise(
    LESSON,
    defences.straight_through,
    "Return a function of images. Forward it gives defence(images), which is images plus something."
    " The gradient should take that something for a constant.",
    "images + (defence(images) - images) is the defence's output. .detach() makes the bracket a"
    " constant.",
    rounds=3,
)
def straight_through(yours):
    """A defence that keeps its output and lets gradients through as if it were not there."""
    for defence in (
        lambda x: (x * 3).round() / 3,
        lambda x: x * x,
        lambda x: (x * 3).round() / 3 + torch.randn_like(x),
    ):
        put_out: list[tuple[torch.Tensor, torch.Tensor]] = []

        def watched(images, defence=defence, put_out=put_out):
            out = defence(images)
            put_out.append((out, untied(out)))
            return out

        opened = yours(watched)
        if wrong := of_kind(opened, callable(opened), "a function, from images to images,"):
            return wrong
        for _ in range(2):
            put_out.clear()
            if wrong := opened_wrongly(Trial(opened, opened), put_out):
                return wrong
    return None


def opened_wrongly(opened: Callable, put_out: list) -> str | None:
    """The sentence for an opened defence whose output or gradient is not as it should be.

    put_out: what the defence puts out while `opened` runs, each with a copy.
    """
    images = torch.rand(2, 1, 4, 5).requires_grad_(True)
    pull = torch.randn(2, 1, 4, 5)
    out = opened(images)
    if out is None:
        return "your opened defence returns nothing: end it with return."
    if isinstance(out, torch.Tensor) and out.dtype != images.dtype:
        return f"images came in as {images.dtype}, and your opened defence puts out {out.dtype}."
    if wrong := shaped(out, images, what="opened defence's output"):
        return wrong
    if torch.allclose(out, images, atol=1e-6):
        return (
            "your function gives the images back as they came. Forward it must give what the"
            " defence makes of them."
        )
    if not all(torch.equal(now, before) for now, before in put_out):
        return "your function changed in place what the defence puts out. Work on a new tensor."
    if not any(torch.allclose(out, put, atol=1e-5) for _, put in put_out):
        if any(torch.allclose(out, put.clamp(0, 1), atol=1e-5) for _, put in put_out):
            return (
                "you clip what the defence puts out. Its noise may leave [0, 1], and the network"
                " reads it so: pass it on as it is."
            )
        return (
            "your function's output is not what the defence puts out. Only the gradient may differ."
        )
    if not out.requires_grad:
        return (
            "no gradient gets through: all of it is detached. Leave images themselves outside"
            " .detach()."
        )
    gradient = torch.autograd.grad((out * pull).sum(), images, allow_unused=True)[0]
    if gradient is None:
        return (
            "no gradient gets through: your output is cut off from images. Leave images themselves"
            " outside .detach()."
        )
    if (gradient == 0).all():
        return (
            "the gradient is zero: it goes through the rounding, or it cancels. Detach what it"
            " should not follow."
        )
    if torch.allclose(gradient, pull * 2 * images, atol=1e-5):
        return (
            "the gradient is the defence's own. It should be that of the identity, whatever the"
            " defence is."
        )
    if torch.allclose(gradient, pull * (1 + 2 * images), atol=1e-5):
        return (
            "two gradients arrive, that of the images and the defence's own. Detach the whole"
            " bracket."
        )
    if torch.allclose(gradient, pull, atol=1e-5):
        return None
    lost = gradient == 0
    if lost.any() and torch.allclose(gradient[~lost], pull[~lost], atol=1e-5):
        return (
            f"at {lost.sum()} of {lost.numel()} pixels the gradient is 0, as where one clips. It"
            " should come through everywhere as it went in."
        )
    times = gradient / pull
    return (
        f"the gradient comes out {times.flatten()[(times - 1).abs().argmax()]:.2f} times as large"
        " as it went in at one pixel; it should come out the same everywhere."
    )


def clouded(images: torch.Tensor) -> torch.Tensor:
    """The defence of the exercise: four grey levels, and noise."""
    return defences.clouded(images, levels=4, sigma=0.3)


def defended() -> tuple[Callable, torch.Tensor, torch.Tensor]:
    """A random network, 15 images (15, 1, 12, 12) that it reads most steadily through the defence,
    and what it reads.

    It adds slow waves, which outlive the noise, and fast ones, which the noise wipes out: they lead
    astray whoever follows one draw, or the network alone.
    """
    slow = 3 * torch.randn(8, 144) / 12
    fast = torch.randn(64, 144)
    turns = 2 * math.pi * torch.rand(72)
    mix = torch.cat([5 * torch.randn(4, 8) / math.sqrt(8), torch.randn(4, 64) / 2], 1)

    def network(x):
        return (x.flatten(1) @ torch.cat([slow, fast]).T + turns).sin() @ mix.T

    images = torch.rand(200, 1, 12, 12)
    probabilities = torch.stack([network(clouded(images)).softmax(1) for _ in range(40)]).mean(0)
    sure = probabilities.amax(1).argsort(descending=True)[:15]
    return network, images[sure], probabilities[sure].argmax(1)


def fooled(network: Callable, images: torch.Tensor, labels: torch.Tensor) -> float:
    """How often, over images and 40 fresh draws, the defended images are misread."""
    read = network(clouded(images.repeat(40, 1, 1, 1))).argmax(1)
    return (read != labels.repeat(40)).float().mean().item()


def broken(
    network: Callable, images: torch.Tensor, labels: torch.Tensor, eps: float
) -> torch.Tensor:
    """What the course's `break_defence` does, all draws of a step in one batch: five times as fast.

    network: takes any number of images.
    """
    opened = defences.straight_through(clouded)

    def steady(x):
        said = network(opened(x.repeat(16, 1, 1, 1))).log_softmax(1)
        return said.view(16, len(x), -1).logsumexp(0)

    return attacks.pgd(steady, images, labels, eps=eps, steps=20, early_stop=False)


@exercise(
    LESSON,
    defences.break_defence,
    "No gradient comes through the rounding: open the whole defence with"
    " straight_through(defence).",
    "Noise has no steady gradient: defences.averaged(model, draws=…) takes the mean over fresh"
    " draws, sixteen or so.",
    "attacks.pgd(averaged(lambda x: model(opened(x)), draws=16), images, labels, eps=eps, steps=20,"
    " early_stop=False)",
)
def break_defence(yours):
    """Images within ε that a network misreads behind rounding and noise, wherever the noise
    falls.
    """
    eps = 0.15
    doubtful = {2: (0.85, 0.985), 4: (0.9, 0.97)}  # after so many networks; all eight tell for sure
    shares = []
    full = []
    furthest = 0
    looks = 0.0  # at the defence, of each of the images
    followed = 0.0  # those for a gradient
    points: dict[bytes, float] = {}  # where those were taken, and with what share of the images

    def watched(x):
        nonlocal looks, followed
        share = x.numel() / images.numel()
        looks += share
        if torch.is_grad_enabled() and x.requires_grad:
            followed += share
            points[untied(x).numpy().tobytes()] = min(1, share)
        return clouded(x)

    for tried in range(1, 9):
        network, images, labels = defended()
        inputs = (network, watched, images, labels, eps)
        moved = called(yours, *inputs, like=images, what="picture").detach()
        if torch.equal(moved, images):
            return "you returned the images as they came."
        if moved.min() < 0 or moved.max() > 1:
            return (
                f"your pixels go from {moved.min():.2f} to {moved.max():.2f}. A picture stays in"
                " [0, 1]: .clamp(0, 1)."
            )
        reach = (moved - images).abs() / eps
        if reach.max() > 1.001:
            return (
                f"one pixel moved by {reach.max():.3f}·ε. What fools the defence must lie within ε"
                " of where it started."
            )
        furthest = max(furthest, reach.max().item())
        full.append(((reach > 0.99) | (moved == 0) | (moved == 1)).float().mean((1, 2, 3)))
        won = fooled(network, moved, labels)
        theirs = fooled(network, broken(network, images, labels, eps), labels)
        noise = (images + eps * (torch.rand_like(images) * 2 - 1)).clamp(0, 1)
        by_noise = max(fooled(network, images, labels), fooled(network, noise, labels))
        shares.append((won, theirs, by_noise))
        won, theirs, by_noise = (sum(share) / tried for share in zip(*shares, strict=True))
        low, high = doubtful.get(tried, (0, math.inf))
        if not low < won / theirs < high:
            break
    if won >= 0.93 * theirs:
        return None
    at_bound = torch.cat(full)
    looks /= tried
    steps = sum(points.values()) / tried
    draws = followed / tried / max(steps, 1)
    said = f"your images are misread under {won:.0%} of fresh draws, and {theirs:.0%} can be had. "
    if looks == 0:
        return (
            said + "You never called the defence: what tricks the network alone need not trick"
            " model(defence(x))."
        )
    if not followed:
        return (
            said + f"Your attack saw the defence {looks:.0f} times and never asked for a gradient."
            " Opened, the defence has one."
        )
    if won < by_noise + 0.1 * (theirs - by_noise):
        return (
            f"your images are misread under {won:.0%} of fresh draws; noise of the same size"
            f" manages {by_noise:.0%}. Print your gradient: is it zero, or is the step's sign"
            " wrong?"
        )
    if furthest < 0.9:
        return said + f"No pixel of yours went further than {furthest:.2f}·ε. You may use all of ε."
    if draws < 8:
        return (
            said
            + f"Your attack saw the defence {looks:.0f} times in all. One draw's gradient is mostly"
            " noise: take the mean over sixteen or so, at each of twenty steps."
        )
    if at_bound.mean() > 0.95:
        return (
            said + f"{at_bound.mean():.0%} of your pixels went the full ε, as in one step. The"
            " slope changes on the way: twenty steps of ε/4."
        )
    if steps < 10:
        return (
            said + f"Your attack takes {draws:.0f} draws a step, and {steps:.0f} steps. The"
            " slope changes on the way: take twenty steps of ε/4, and no early stop."
        )
    if at_bound.quantile(0.1) < 0.15:
        return (
            said + "In some of your images few pixels went the full ε. Did they stop early? One"
            " lucky draw is no success: early_stop=False."
        )
    return (
        said + f"Your attack saw the defence {looks:.0f} times, and {at_bound.mean():.0%} of your"
        " pixels went the full ε. The course takes sixteen draws at each of twenty steps, no early"
        " stop, and returns where the last step led."
    )


@exercise(
    LESSON,
    defences.certificate,
    "The class is selection.argmax(). Its hits are counts[label], out of counts.sum().",
    'binomtest(hits, n, alternative="greater").proportion_ci(confidence_level=1 - alpha).low is the'
    " bound p.",
    "If p > 1/2 the radius is sigma * norm.ppf(p). If not, return -1, 0.0.",
)
def certificate(yours):
    """The class and certified radius from two sets of counts, or (-1, 0.0)."""
    for turn in range(24):
        case = ("clear", "all", "almost", "just", "swayed", "split")[turn % 6]
        sigma = (0.25, 0.5, 2.0)[(turn + turn // 6) % 3]
        alpha = (0.001, 0.01)[turn // 6 % 2]
        classes = int(torch.randint(3, 9, ()))
        n = int(torch.randint(800, 990, ()) if turn == 0 else torch.randint(300, 3000, ()))
        label, other = torch.randperm(classes)[:2].tolist()
        majority = int(binom.isf(alpha, n, 0.5)) + 1  # the fewest hits whose bound is above 1/2
        hits = {
            "clear": math.ceil(n * (0.8 + 0.15 * torch.rand(()).item())),
            "all": n,
            "almost": majority - 1,
            "just": majority,
            "swayed": n // 7,
            "split": n // 7,
        }[case]
        counts = torch.zeros(classes, dtype=torch.int64)
        counts[label] = hits
        counts[other] = n - hits
        chosen = int(torch.randint(85, 96, ())) * (n if case == "swayed" else 1)
        selection = torch.zeros(classes, dtype=torch.int64)
        selection[label] = chosen
        selection[other] = chosen // 9
        try:
            answer = yours(selection, counts, sigma, alpha)
        except ValueError as error:
            if "must not be greater than n" not in str(error):
                raise
            return (
                f"binomtest stopped with: {error} k, the hits, is counts[label], and n is not"
                f" always the same: ask counts.sum(), {n} here."
            )
        if answer is None and turn:
            return (
                f"you return nothing where {hits} of {n} draws agree. Where there is nothing to"
                " promise, return -1, 0.0."
            )
        if isinstance(answer, np.ndarray | torch.Tensor) and answer.shape == (2,):
            answer = answer.tolist()
        if wrong := of_kind(
            answer, isinstance(answer, tuple | list), "a pair, a class number and a radius,"
        ):
            return wrong
        if len(answer) != 2:
            return (
                f"your answer holds {len(answer)} things; a pair, a class number and a radius, is"
                " wanted."
            )
        said, radius = map(number, answer)
        if not said.is_integer() or math.isnan(radius):
            return (
                f"for {hits} of {n} draws your answer is {answer[0]!r}, {answer[1]!r}. A class"
                " number and a radius are wanted; to abstain, return -1, 0.0."
            )
        if wrong := judged(int(said), radius, case, selection, counts, sigma, alpha):
            return wrong
    return None


def number(value: Any) -> float:
    """A value as a float, nan where it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return math.nan


def lower_bound(hits: Any, n: Any, alpha: float) -> Any:
    """Clopper and Pearson's one-sided bound, at confidence 1 - alpha; of arrays, one for each."""
    return beta.ppf(alpha, hits, n - hits + 1)


def judged(
    said: int,
    radius: float,
    case: str,
    selection: torch.Tensor,
    counts: torch.Tensor,
    sigma: float,
    alpha: float,
) -> str | None:
    """The sentence for a wrong certificate, else None.

    case: what is special about these counts.
    """
    label = int(selection.argmax())
    n = int(counts.sum())
    hits = int(counts[label])
    p = lower_bound(hits, n, alpha)
    best = sigma * norm.ppf(p)
    if p <= 0.5:
        if said != -1 and said == counts.argmax() and case == "split":  # "swayed" came before
            return (
                "you chose the class by selection and counts together. What the same draws choose"
                " and then vouch for looks better than it is: choose by selection alone."
            )
        if said != -1 and said == counts.argmax() and case == "swayed":
            return (
                "you chose the class by counts. What the same draws choose and then vouch for looks"
                " better than it is: choose by selection, and count with counts."
            )
        if said != -1:
            return (
                f"{hits} of {n} draws are for the class, and at confidence {1 - alpha:g} that only"
                f" shows a share above {p:.4f}. It may be no majority: where the bound is not above"
                " 1/2, return -1, 0.0."
            )
        if radius:
            return (
                f"you abstain, and give a radius of {radius:.2f}. Without a class there is none:"
                " 0.0."
            )
        return None
    if said == -1:
        return (
            f"you abstain where {hits} of {n} draws agree: their share is above {p:.4f}, and that"
            ' is a majority. For such a bound binomtest wants alternative="greater", and'
            " counts[label] hits out of counts.sum()."
        )
    if said != label:
        return f"you answer class {said}; the favourite of selection is {label}."
    close = partial(math.isclose, rel_tol=1e-3)
    if close(radius, best):
        return None
    counted = (
        f"your radius takes the share as it was counted, {hits} of {n}. The true one may be lower:"
        " take the lower bound at confidence 1 - alpha."
    )
    halved = (  # the same number either way
        "only half of alpha went into your bound. Either it is two-sided, and the other half is"
        ' spent on the share being higher, which harms nobody: alternative="greater". Or its'
        " confidence is 1 - alpha / 2: take 1 - alpha."
    )
    others = (
        f"your radius takes another alpha than {alpha:g}, the one that was given. The bound's"
        " confidence is 1 - alpha."
    )

    def at(alpha, hits=hits, n=n):
        return sigma * norm.ppf(lower_bound(hits, n, alpha))

    both = selection + counts
    rounded = [m for m in range(100, 10_001, 100) if hits <= m != n]
    lengths = at(alpha, n=np.array(rounded))
    hard_coded = {
        f"you take {m:,} for the number of draws, and here they are {n:,}: ask counts.sum().": far
        for m, far in zip(rounded, lengths, strict=True)
    }

    mistakes = {
        "you bound with selection; count with counts. What the same draws choose and then vouch for"
        " looks better than it is.": at(alpha, int(selection[label]), int(selection.sum())),
        "you bound with selection and counts together; count with counts alone. What the same draws"
        " choose and then vouch for looks better than it is.": (
            at(alpha, int(both[label]), int(both.sum()))
        ),
        counted: [sigma * norm.ppf(hits / n), math.inf],
        halved: at(alpha / 2),
        others: [at(1 - alpha), *(at(a) for a in (0.001, 0.01, 0.05) if a != alpha)],
        "your radius is in units of the noise: σ is missing. It is σ·Φ⁻¹(p).": norm.ppf(p),
        "your radius has σ² in it, the variance. It is σ·Φ⁻¹(p), with the standard deviation.": (
            sigma**2 * norm.ppf(p)
        ),
        "your radius depends on alpha alone."
        " The confidence goes into the bound p, and p into Φ⁻¹.": sigma * norm.ppf(1 - alpha),
        "you took Φ; Φ⁻¹ is wanted: norm.ppf.": sigma * norm.cdf(p),
        "your radius is σ·p. The share goes through Φ⁻¹ first, norm.ppf: how many σ from a half to"
        " p.": sigma * p,
        **hard_coded,
    }
    if wrong := recognised(radius, mistakes, same=partial(math.isclose, rel_tol=1e-5)):
        return wrong
    if radius < 0:
        return (
            f"your radius is {radius:.2f}, below 0. Is p the favourite's bound? norm.ppf(p) is"
            " positive for p above 1/2."
        )
    return (
        f"{hits} of {n}, sigma {sigma:g}, alpha {alpha:g}: your radius is {radius:.5g}, and"
        f" {best:.5g} is certain. The bound is Clopper and Pearson's, one-sided; the radius"
        " σ·Φ⁻¹(p)."
    )
