"""The checks of lesson 05.

Each draws fresh numbers, functions and borders, so that no stored answer can pass.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from trickkit import attacks, contract
from trickkit.check import (
    Marks,
    called,
    exercise,
    lenient,
    progress,
    recognised,
    told_apart,
)

__all__ = ["border", "guess_gradient", "margin", "progress"]
LESSON = "05 stronger_attacks"


@exercise(
    LESSON,
    contract.margin,
    "logits.gather(1, labels[:, None])[:, 0] is each image's logit for its own label.",
    "For the best other class, hide the label first: logits.scatter(1, labels[:, None],"
    " -torch.inf).amax(1).",
    "The margin is own - other: above 0 while the label still wins.",
    rounds=5,
)
def margin(yours):
    """By how much the label's logit is ahead of the best other class's: (N,), below 0 once the
    label has lost.
    """
    while True:
        logits = 3 * torch.randn(12, 5)
        logits[0] = -logits[0].abs()  # below 0 all of them, so that 0 hides no logit
        labels = torch.randint(5, (12,))
        labels[:5] = logits[:5].argmax(1)
        labels[6:8] = logits[6:8].argmin(1)
        shuffled = torch.randperm(12)
        logits, labels = logits[shuffled], labels[shuffled]
        right = contract.margin(logits, labels)
        mistakes = margin_mistakes(logits, labels)
        if told_apart(right, mistakes):
            break
    known = {
        "a margin for each image is wanted, shape (12,); yours has one for each class as well. Take"
        " the best other class: .amax(1).": (12, 5),
        "a margin for each image is wanted; yours is one number for all of them.": (),
    }
    said = called(yours, logits, labels, like=right, what="margin", known=known)
    if torch.allclose(said, right, atol=1e-4):
        return None
    if wrong := recognised(said, mistakes):
        return wrong
    i = (said - right).abs().argmax()
    return (
        f"for logits {[round(v, 1) for v in logits[i].tolist()]} and label {labels[i]} the margin"
        f" is {right[i]:.1f}, and yours says {said[i]:.1f}."
    )


def margin_mistakes(logits: torch.Tensor, labels: torch.Tensor) -> Marks:
    """The sentences for what wrong margins may equal."""
    right = contract.margin(logits, labels)
    own = contract.of_labels(logits, labels)
    first, second = logits.topk(2, dim=1).values.T
    is_label = torch.eye(5)[labels].bool()
    return {
        "the other way round: a margin is above 0 while the label still wins, and below 0 once it"
        " has lost.": -right,
        "0 for every image that is read right: your best class may be the label itself. Take the"
        " best *other* class.": [own - first, first - own],
        "never below 0, though some of these labels have lost. Compare with the label's own logit,"
        " not the largest.": first - second,
        "never below 0, though some of these labels have lost. Keep the sign: no .abs().": (
            right.abs()
        ),
        "never below 0, though some of these labels have lost. Let it go below: no clamp.": (
            right.clamp(min=0)
        ),
        "you took the second highest logit. Where the label has lost, the best other class is the"
        " highest.": own - second,
        "that is the label's log-probability, or the loss. Take the label's own logit minus the"
        " best other one.": [
            contract.of_labels(logits.log_softmax(1), labels),
            -contract.of_labels(logits.log_softmax(1), labels),
        ],
        "these margins are of probabilities. Work on the logits, without softmax.": (
            contract.margin(logits.softmax(1), labels)
        ),
        "these are the labels' own logits. The best other class's is to be taken away.": own,
        "this is True or False, whether the label wins. By how much does it?": [
            (right > 0).float(),
            (right < 0).float(),
        ],
        "you took the mean of the other classes. The best of them is wanted: .amax(1).": (
            own - logits.masked_fill(is_label, 0).sum(1) / 4
        ),
        "you took the mean of all classes. The best of the others is wanted: .amax(1).": (
            own - logits.mean(1)
        ),
        "you hid the label with a 0, and where all other logits are below 0 that is the best of"
        " them. Hide it with -torch.inf.": own - logits.masked_fill(is_label, 0).amax(1),
        "you took the worst of the other classes. The best is wanted: .amax(1).": (
            own - logits.masked_fill(is_label, torch.inf).amin(1)
        ),
    }


@exercise(
    LESSON,
    attacks.guess_gradient,
    "Draw half as many directions as you may ask, u = torch.randn((samples // 2, *x.shape[1:]));"
    " then both u and -u.",
    "ask(x + sigma * u) has shape (samples,). Give it shape (samples, 1, 1, 1) to multiply it"
    " with u.",
    "Take the mean over the questions, .mean(0, keepdim=True), and divide by sigma.",
    rounds=2,
)
def guess_gradient(yours):
    """A gradient guessed from answers alone, asked in pairs."""
    x = torch.rand(1, 3, 4, 5)
    # A slope of every size in each channel, and as much up as down.
    w = torch.randn(1, 3, 4, 5)
    w -= w.mean()
    # A black and a white pixel, so that honest questions leave [0, 1].
    x.view(-1)[:2] = torch.tensor([0.0, 1.0])
    sigma = torch.empty(()).uniform_(0.01, 0.2).item()
    samples = 8000
    asked = []

    def plane(z):
        asked.append(z.detach().clone())
        return (z * w).flatten(1).sum(1) + 0.5

    guess = called(yours, lenient(plane, x), x, samples, sigma, like=x, what="gradient")
    questions = torch.cat(asked) if asked else x[:0]
    if len(questions) != samples:
        return (
            f"you asked {len(questions)} questions; samples says {samples}, the pairs counted as"
            " two."
        )
    if wrong := asked_wrongly((questions - x) / sigma, questions, sigma):
        return wrong
    cosine = torch.cosine_similarity(guess.flatten(), w.flatten(), dim=0).item()
    if cosine < -0.7:
        return "it points the other way: where the answers are high is uphill."
    if cosine < 0.9:
        return (
            "on a plane of known slope yours points somewhere else: the cosine between the two is"
            f" {cosine:.2f}. Is each answer multiplied with its own u?"
        )
    long = ((guess * w).sum() / w.square().sum()).item()  # 1 if it is right on average
    times = f"on a plane of known slope yours is {long:.2g} times as long as it should be."
    for factor, advice in (
        (sigma, "Divide by sigma"),
        (sigma**2, "Divide by sigma, and do not multiply with it"),
        (1 / sigma, "Divide by sigma once: u itself is not multiplied with it"),
        (samples, "Take the mean of the answers, not their sum"),
        (samples * sigma, "Take the mean of the answers, not their sum, and divide by sigma"),
        (samples / 2, "Take the mean of the answers, not their sum"),
        (0.5, "Halve nothing: the mean runs over u and over -u"),
        (2, "The mean runs over all questions, u and -u counted as two"),
        (1 / w.norm().item(), "Only its direction is left. Do not normalise it"),
    ):
        if abs(math.log(long / factor)) < 0.15 and not 0.85 < long < 1.15:
            return f"{times} {advice}."
    if not 0.85 < long < 1.15:
        return f"{times} It is the mean of ask(x + σu) · u, over σ."

    def bowl(z):
        return (z - x).square().flatten(1).sum(1) + 1

    steep = called(yours, lenient(bowl, x), x, 50, sigma, like=x, what="gradient").norm().item()
    if steep > 1e-3:
        return (
            "at the bottom of a bowl the slope is 0, and yours is not. Ask in pairs, u and -u: what"
            " is even cancels."
        )
    return None


def asked_wrongly(u: torch.Tensor, questions: torch.Tensor, sigma: float) -> str | None:
    """The sentence for directions that were not drawn as they should be, else None.

    u: the directions that were asked in, (n, C, H, W), of length about 1 a number.
    questions: the pictures that were asked.
    """
    flat = u.flatten(1)
    size = flat.square().mean().sqrt().item()
    if size < 1e-3:
        return "all your questions are x itself. Ask at x + sigma * u."
    if questions.min() >= 0 and questions.max() <= 1:
        return (
            "you asked only inside [0, 1]. Do not clamp here: a question may leave the picture by a"
            " little."
        )
    cosines = torch.cosine_similarity(flat, flat[:1]).abs()
    if cosines.min() > 0.999:
        return "you asked along one direction only. Draw a new u for each pair."
    for axis, name in ((1, "channels"), (2, "rows"), (3, "columns")):
        if (u - u.narrow(axis, 0, 1)).abs().max() < 1e-2 * size:
            return f"in each of your u all {name} are alike. Draw a number for each: x.shape[1:]."
    if abs(flat.mean().item()) > 0.1 * size:
        return (
            f"the mean of your u is {flat.mean():.2f}, so they all point to one side. Draw them by"
            " torch.randn, whose mean is 0."
        )
    if flat.mean(0).abs().max() > 1e-3 * size:
        return "your questions do not come in pairs: for each u ask at -u as well, the same u."
    if not 0.93 < size < 1.07:
        how = f"about {size:.2g}" if size > 0.01 else f"{size:.1e}"
        return (
            f"your questions are {how} times sigma away from x in each number, which should be 1:"
            " x + sigma * u, with u from torch.randn."
        )
    return None


@exercise(
    LESSON,
    attacks.border,
    "Keep two numbers: inside = 0, where it is read right, and outside = 1, where it is misread.",
    "Look at the middle: misread(image + middle * (far - image)). Which of the two may move there?",
    "Stop once outside - inside is at most close. Return the picture at outside: that one is"
    " misread for certain.",
)
def border(yours):
    """Between an image read right and one misread: a misread one just beyond the border, in few
    questions.
    """
    for _ in range(4):
        walks = {line: walked(yours, *line) for line in LINES}
        wrong = next((walk for walk in walks.values() if walk.sentence), None)
        if wrong is None:
            continue
        rough, fine, short, long = (walk.questions for walk in walks.values())
        if wrong.about_close and rough == fine == short == long:
            return (
                f"you ask {rough} times whatever close is. Go on until outside - inside is at most"
                " close, and no longer."
            )
        if wrong.about_close and 3 < long - short < 10 and long < 40:
            return (
                "close is a share of the way from image to far, not a length: compare it with"
                " outside - inside."
            )
        return wrong.sentence
    return None


# How long a line is, and how close to go: two that differ in how close, and two in how long.
LINES = ((1, 0.032), (1, 2.5e-4), (0.1, 2e-3), (10, 2e-3))


class Walk(NamedTuple):
    """How a border was looked for.

    sentence: what is wrong with it, or None.
    questions: how many were asked.
    about_close: whether it is only where the walk ended.
    """

    sentence: str | None
    questions: int
    about_close: bool = False


def walked(yours: Callable, length: float, close: float) -> Walk:
    """A walk between two fresh pictures so far apart, to a border that may be anywhere."""
    image = torch.rand(1, 2, 3, 5)
    direction = torch.randn(1, 2, 3, 5)
    far = image + length * direction / direction.norm()
    way = far - image
    at = torch.rand(()).mul(0.8).add(0.1).item()
    asked = []

    def place(z):
        return (((z - image) * way).sum() / way.square().sum()).item()

    def misread(z):
        asked.append(place(z))
        return asked[-1] > at

    number = (
        "you returned a number; the picture at that place is wanted: image + … * (far - image)."
    )
    known = {number: [float, int, ()]}
    found = called(
        yours, lenient(misread, image), image, far, close, like=image, what="picture", known=known
    )
    t = place(found)
    n = len(asked)
    most = math.ceil(math.log2(1 / close)) + 2
    if (found - (found * way).sum() / way.square().sum() * way).norm() < 1e-3 * way.norm():
        return Walk("you returned the change alone; the changed picture is wanted: image + ….", n)
    if (found - image - t * way).norm() > 1e-3 * way.norm():
        return Walk(
            "your picture does not lie on the straight line between the two. Mix them: image + t *"
            " (far - image).",
            n,
        )
    if not n and 1e-4 <= abs(t) <= 0.99:
        return Walk("you never asked misread, which alone knows where the border is.", n)
    if t <= at and at - t <= 2 * close:
        return Walk(
            "your picture is at the border, but on the side that is still read right. Return the"
            " misread end.",
            n,
        )
    if abs(t) < 1e-4:
        return Walk("your picture is image itself, and that one is read right.", n)
    if t <= at:
        return Walk(
            f"your picture is still read right, {at - t:.2f} of the way before the border. Which"
            " end moves when?",
            n,
        )
    if t > 0.99:
        return Walk(
            "your picture is still the far one. Where the middle is misread, it takes the place of"
            " the far end; where it is read right, that of the near end.",
            n,
        )
    if t - at > close * 1.01 + 1e-6:
        return Walk(
            f"your picture is misread, but {t - at:.2g} of the way beyond the border; {close:.2g}"
            " was asked for. Go on halving.",
            n,
            about_close=True,
        )
    if n > most:
        return Walk(
            f"right, but you asked {n} times where {most} will do. Halve what is left each time.",
            n,
            about_close=True,
        )
    if min(abs(t - p) for p in asked if p > at) > 1e-4 * close + 1e-6:
        return Walk(
            "nobody was asked about the picture that you return: that it is misread was luck."
            " Return the misread end.",
            n,
        )
    return Walk(None, n)
