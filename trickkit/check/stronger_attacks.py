"""The checks of lesson 05.

Each draws fresh numbers, functions and borders, so that no stored answer can pass.
"""

import math

import torch

from trickkit import attacks, contract
from trickkit.check import called, exercise, progress, shaped, unchanged

__all__ = ["border", "guess_gradient", "margin", "progress"]
LESSON = "05 stronger_attacks"


@exercise(
    LESSON,
    contract.margin,
    "logits.gather(1, labels[:, None])[:, 0] is each image's logit for its own label.",
    "For the best other class, hide the label first: logits.scatter(1, labels[:, None],"
    " -torch.inf).amax(1).",
    "The margin is own - other: above 0 while the label still wins.",
    rounds=20,
)
def margin(yours):
    """By how much the label's logit is ahead of the best other class's: (N,), below 0 once the
    label has lost.
    """
    logits = 3 * torch.randn(12, 5)
    labels = torch.randint(5, (12,))
    labels[:6] = logits[:6].argmax(1)
    labels[6:8] = logits[6:8].argmin(1)
    before = logits.clone()
    right = contract.margin(logits, labels)
    said = called(yours, logits, labels, like=right, what="margin")
    if unchanged(logits=(logits, before)):
        return (
            "your function changed the logits themselves. Work on a new one: .scatter(…), not"
            " .scatter_(…)."
        )
    if torch.allclose(said, right, atol=1e-4):
        return None
    if torch.allclose(said, -right, atol=1e-4):
        return (
            "the other way round: a margin is above 0 while the label still wins, and below 0 once"
            " it has lost."
        )
    if said[:6].abs().max() < 1e-6:
        return (
            "0 for every image that is read right: your best class may be the label itself. Take"
            " the best *other* class."
        )
    if said.min() >= 0:
        return (
            "never below 0, though some of these labels have lost. Compare with the label's own"
            " logit, not the largest."
        )
    if not torch.allclose(yours(2 * logits, labels), 2 * said, atol=1e-4):
        return (
            "twice the logits should give twice the margin; yours does not. Work on the logits, not"
            " on probabilities."
        )
    i = (said - right).abs().argmax()
    return (
        f"for logits {[round(v, 1) for v in logits[i].tolist()]} and label {labels[i]} the margin"
        f" is {right[i]:.1f}, and yours says {said[i]:.1f}."
    )


@exercise(
    LESSON,
    attacks.guess_gradient,
    "Draw half as many directions as you may ask, u = torch.randn((samples // 2, *x.shape[1:]));"
    " then both u and -u.",
    "ask(x + sigma * u) has shape (samples,). Give it shape (samples, 1, 1, 1) to multiply it"
    " with u.",
    "Take the mean over the questions, .mean(0, keepdim=True), and divide by sigma.",
    rounds=5,
)
def guess_gradient(yours):
    """A gradient guessed from answers alone, asked in pairs."""
    x = torch.rand(1, 1, 4, 4)
    w = torch.randn(1, 1, 4, 4)
    # A black and a white pixel, so that honest questions leave [0, 1].
    x.view(-1)[:2] = torch.tensor([0.0, 1.0])
    sigma = torch.empty(()).uniform_(0.01, 0.2).item()
    samples = 6000
    asked = []

    def plane(z):
        asked.append(z.clone())
        return (z * w).flatten(1).sum(1) + 0.5

    guess = called(yours, plane, x, samples, sigma, like=x, what="gradient")
    count = sum(map(len, asked))
    if count != samples:
        return f"you asked {count} questions; samples says {samples}, the pairs counted as two."
    if all(z.min() >= 0 and z.max() <= 1 for z in asked):
        return (
            "you asked only inside [0, 1]. Do not clamp here: a question may leave the picture by a"
            " little."
        )
    long = ((guess * w).sum() / w.square().sum()).item()  # 1 if it is right on average
    if long <= 0:
        return "it points the other way: where the answers are high is uphill."
    times = f"on a plane of known slope yours is {long:.2g} times as long as it should be."
    for factor, advice in (
        (sigma, "Divide by sigma"),
        (samples, "Take the mean of the answers, not their sum"),
        (0.5, "Halve nothing: the mean runs over u and over -u"),
        (2, "The mean runs over all questions, u and -u counted as two"),
    ):
        if abs(math.log(long / factor)) < 0.2 and not 0.8 < long < 1.25:
            return f"{times} {advice}."
    if not 0.7 < long < 1.4:
        return f"{times} Is u drawn by torch.randn?"
    if (guess - long * w).norm() / w.norm() > 0.4:
        return (
            "on a plane of known slope yours points somewhere else. Is each answer multiplied with"
            " its own u?"
        )

    def bowl(z):
        return (z - x).square().flatten(1).sum(1)

    if yours(bowl, x, 50, sigma).norm() > 1e-3 * sigma:
        return (
            "at the bottom of a bowl the slope is 0, and yours is not. Ask in pairs, u and -u: what"
            " is even cancels."
        )
    return None


@exercise(
    LESSON,
    attacks.border,
    "Keep two numbers: inside = 0, where it is read right, and outside = 1, where it is misread.",
    "Look at the middle: misread(image + middle * (far - image)). Which of the two may move there?",
    "Stop once outside - inside is at most close. Return the picture at outside: that one is"
    " misread for certain.",
    rounds=20,
)
def border(yours):
    """Between an image read right and one misread: a misread one just beyond the border, in few
    questions.
    """
    image = torch.rand(1, 1, 4, 4)
    direction = torch.randn(1, 1, 4, 4)
    far = image + direction * 10 ** torch.empty(()).uniform_(-1, 1)  # a short line or a long one
    at = torch.rand(()).mul(0.9).add(0.05).item()
    close = 10 ** -torch.empty(()).uniform_(2, 4).item()
    asked = []

    def place(z):
        return (((z - image) * (far - image)).sum() / (far - image).square().sum()).item()

    def misread(z):
        asked.append(1)
        return place(z) > at

    before = image.clone()
    found = yours(misread, image, far, close)
    if isinstance(found, float):
        return (
            f"you returned the number {found:.3g}; the picture at that place is wanted: image + … *"
            " (far - image)."
        )
    if wrong := shaped(found, image, what="picture") or unchanged(image=(image, before)):
        return wrong
    most = math.ceil(math.log2(1 / close)) + 2
    t = place(found)
    if (found - image - t * (far - image)).norm() > 1e-3 * (far - image).norm():
        return (
            "your picture does not lie on the straight line between the two. Mix them: image + t *"
            " (far - image)."
        )
    if t <= at and at - t <= 2 * close:
        return (
            "your picture is at the border, but on the side that is still read right. Return the"
            " misread end."
        )
    if t <= at:
        return (
            f"your picture is still read right, {at - t:.2f} of the way before the border. Which"
            " end moves when?"
        )
    if t > 0.99 and at < 0.9:
        return (
            "your picture is still the far one. Where the middle is misread, it takes the place of"
            " the far end; where it is read right, that of the near end."
        )
    if t - at > close * 1.01 + 1e-6:
        return (
            f"your picture is misread, but {t - at:.2g} of the way beyond the border; {close:.2g}"
            " was asked for. Go on halving."
        )
    if len(asked) > most:
        return (
            f"right, but you asked {len(asked)} times where {most} will do. Halve what is left each"
            " time."
        )
    return None
