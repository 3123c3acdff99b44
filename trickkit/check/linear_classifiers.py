"""The checks of lesson 02."""

import torch

from trickkit import linear
from trickkit.check import called, exercise, progress, recognised, told_apart

__all__ = ["distance", "nudge", "progress", "shortest"]
LESSON = "02 linear_classifiers"


@exercise(
    LESSON,
    linear.nudge,
    "The score is a sum of w·x. Raising x by ε adds ε·w to it. For which w is that a gain?",
    "torch.sign(weights) is +1 where a rise helps and -1 where it hurts.",
    rounds=5,
)
def nudge(yours):
    """Every number moved by ε so that the score rises most."""
    n = int(torch.randint(30, 200, ()))
    x = torch.randn(n)
    weights = torch.randn(n)
    eps = 0.05 + torch.rand(()).item() / 2
    moved = called(yours, x, weights, eps, like=x)
    step = eps * weights.sign()
    mistakes = {
        "you returned the change alone; x with the change added is wanted.": step,
        "x came back as it was.": x,
        "you kept x in [0, 1]. These are numbers, not pixels: clamp nothing.": (
            (x + step).clamp(0, 1)
        ),
        "all numbers went up. Where a weight is negative, a rise lowers the score.": x + eps,
        "you took the signs of x. Which way is up is said by the signs of weights.": (
            x + eps * x.sign()
        ),
        "only numbers with a positive weight moved. Those with a negative one help too, if they"
        " fall.": x + eps * (weights > 0),
        "only numbers with a negative weight moved. Those with a positive one help too.": (
            x - eps * (weights < 0)
        ),
        "you multiplied x by the signs. Add ε times the signs to it instead.": [
            x * weights.sign() * eps,
            x * (1 + step),
        ],
    }
    if wrong := recognised(moved, mistakes):
        return wrong
    change = moved - x
    gain = (change @ weights).item()
    most = eps * weights.abs().sum().item()
    low, high = change.abs().aminmax()
    if gain < 0:
        return (
            f"the score fell by {-gain:.2f}. You are walking away from it: look at the sign of your"
            " step."
        )
    if high - low < 1e-4 and abs(high - eps) > 1e-4:
        return (
            f"all your numbers move by {high:.3f}, while eps is {eps:.3f}. Is eps used, and once?"
        )
    if high > eps * 1.001:
        return (
            f"one number moved by {high / eps:.2f}·ε. No number may move further than ε: the size"
            " of a weight says how much a step is worth, not how long it may be."
        )
    if gain < 0.999 * most:
        return (
            f"the score rose by {gain:.2f}, and {most:.2f} can be had. Every number may move the"
            " full ε, those with small weights too."
        )
    return None


@exercise(
    LESSON,
    linear.shortest,
    "Walk along d = weights[target] - weights[label]. Each unit of d that you add changes the"
    " margin by d·d.",
    "The margin to make up is (weights[label] - weights[target]) · image + biases[label] -"
    " biases[target].",
    rounds=3,
)
def shortest(yours):
    """The shortest change that makes the target's score equal to the label's."""
    for places in ((1, 3), (3, 1)):  # behind the label, and ahead of it already
        while True:
            weights = torch.randn(5, 30)
            biases = 3 * torch.randn(5)
            image = torch.rand(30)
            scores = weights @ image + biases
            label, target = scores.argsort(descending=True)[list(places)].tolist()
            right = linear.shortest(weights, biases, image, label, target)
            mistakes = shortest_mistakes(weights, biases, image, label, target)
            gap = (scores[label] - scores[target]).abs()
            if gap > 1 and told_apart(right, mistakes):
                break
        change = called(yours, weights, biases, image, label, target, like=image, what="change")
        if not torch.allclose(change, right, atol=1e-4, rtol=1e-3):
            return recognised(change, mistakes) or shortest_sentence(
                change, right, weights, biases, image, label, target
            )
    return None


def shortest_mistakes(
    weights: torch.Tensor, biases: torch.Tensor, image: torch.Tensor, label: int, target: int
) -> dict[str, torch.Tensor | list[torch.Tensor]]:
    """The sentences for what a wrong change may equal."""
    right = linear.shortest(weights, biases, image, label, target)
    scores = weights @ image + biases
    d = weights[target] - weights[label]
    margin = scores[label] - scores[target]
    alone = weights[target]
    top = int(scores.argmax())
    found = {
        "you returned the changed image; the change alone is wanted.": image + right,
        "the scores are not equal: they differ by exactly the biases. Add those to the margin.": (
            (margin - biases[label] + biases[target]) / (d @ d) * d
        ),
        "the biases have the wrong signs: the margin has + biases[label] - biases[target].": (
            (margin - 2 * (biases[label] - biases[target])) / (d @ d) * d
        ),
        "you divided by the length of d. One unit of d changes the margin by d·d, so divide by"
        " that.": margin / d.norm() * d,
        "you did not divide by d·d: one unit of d changes the margin by that much.": margin * d,
        "you walked one unit of d, whatever the margin. How many are needed?": d,
        "the scores are equal, but your way is longer than it need be. The steepest way is straight"
        " along d, without signs.": margin / d.abs().sum() * d.sign(),
        "you kept the image in [0, 1], so the scores are not equal. Clamp nothing here.": (
            (image + right).clamp(0, 1) - image
        ),
        "you walked along weights[target] alone. The label's score changes as well: d is"
        " weights[target] - weights[label].": [
            margin / (alone @ alone) * alone,
            margin / (alone @ d) * alone,
        ],
        "you took the class with the highest score for the label. It is given: label.": (
            linear.shortest(weights, biases, image, top, target)
        ),
        "you took the class with the lowest score for the target. It is given: target.": (
            linear.shortest(weights, biases, image, label, int(scores.argmin()))
        ),
        "you walked half the way: the label's score and the target's are not equal yet.": right / 2,
        "you walked twice the way: now the other of the two is ahead by as much.": 2 * right,
    }
    if margin > 0:
        return found | {"the gap grew. You walk the wrong way: look at the sign of d.": -right}
    return found | {
        "you took the margin without its sign. Where the target is ahead already, the way is back:"
        " its score has to fall to the label's.": -right,
        "nothing changed where the target is ahead already. Equal scores are wanted there too.": (
            torch.zeros_like(d)
        ),
    }


def shortest_sentence(
    change: torch.Tensor,
    right: torch.Tensor,
    weights: torch.Tensor,
    biases: torch.Tensor,
    image: torch.Tensor,
    label: int,
    target: int,
) -> str:
    """The sentence for a wrong change that is no known mistake."""
    before, after = (weights @ x + biases for x in (image, image + change))
    margin, left = (scores[label] - scores[target] for scores in (before, after))
    if (left / margin).abs() < 1e-3:
        return (
            f"the scores are equal, but your way is {change.norm() / right.norm():.3f} times as"
            " long as it need be. The shortest way is straight along d, without signs."
        )
    return (
        f"before your change the label led by {margin:.2f}, after it by {left:.2f}; 0 is wanted."
        " How much of the margin does one unit of d take away?"
    )


@exercise(
    LESSON,
    linear.distance,
    "A change of ε per pixel can take at most ε·Σ|w_y − w_j| from y's margin over j. When is the"
    " margin gone?",
    "Compute margin / Σ|w_y − w_j| for every other class j, and take the smallest. The class y"
    " itself divides 0 by 0.",
    "An image that is misread already has a negative margin: its distance is 0, so .clamp(min=0).",
    rounds=3,
)
def distance(yours):
    """The smallest ε, per pixel, that makes each image misread."""
    while True:
        weights = torch.randn(5, 12)
        biases = torch.randn(5)
        images = torch.rand(11, 12)
        scores = images @ weights.T + biases
        misread = torch.randperm(11)[:4]  # from the start
        ranks = scores.argsort(descending=True)
        labels = ranks[:, 0].clone()
        labels[misread] = ranks[misread, torch.tensor([1, 1, 2, 3])]
        mistakes = distance_mistakes(weights, biases, images, labels)
        right = linear.distance(weights, biases, images, labels)
        if told_apart(right, mistakes):
            break
    eps = called(
        yours,
        weights,
        biases,
        images,
        labels,
        like=right,
        what="list of distances",
        known={
            "you return a distance for each class as well. The nearest class decides: .amin(1).": (
                scores.shape
            ),
            "you return one number; a distance for each image is wanted: .amin(1).": (),
        },
        not_finite="some of your distances are not finite. The class y itself divides 0 by 0:"
        " leave it out when you take the smallest.",
    )
    if torch.allclose(eps, right, rtol=1e-3, atol=1e-5):
        return None
    if wrong := recognised(eps, mistakes):
        return wrong
    if eps.min() < 0:
        return "one distance is negative. An image that is misread already needs no change: 0."
    if eps[misread].max() > 1e-5:
        i = misread[eps[misread].argmax()]
        return (
            f"image {i} is misread from the start, and you say it needs a change of {eps[i]:.3f}."
            " Its distance is 0."
        )
    i = (eps - right).abs().argmax()
    how = "does not flip" if eps[i] < right[i] else "flips sooner, at"
    at = "yet: its distance is" if eps[i] < right[i] else ""
    return (
        f"image {i} {how} {at} {right[i]:.3f}, and you say {eps[i]:.3f}. Is it the smallest of"
        " margin / Σ|w_y − w_j| over all other classes, with the biases in the margin?"
    ).replace("  ", " ")


def distance_mistakes(
    weights: torch.Tensor, biases: torch.Tensor, images: torch.Tensor, labels: torch.Tensor
) -> dict[str, torch.Tensor | list[torch.Tensor]]:
    """The sentences for what wrong distances may equal."""
    scores = images @ weights.T + biases
    margin = scores.gather(1, labels[:, None]) - scores
    gaps = weights[labels][:, None] - weights
    reach = gaps.abs().sum(2)
    ratio = (margin / reach).scatter(1, labels[:, None], torch.inf)
    others = margin.scatter(1, labels[:, None], torch.inf)
    second = others.argmin(1, keepdim=True)
    read = scores.argmax(1)
    right = ratio.amin(1).clamp(min=0)
    farthest = ratio.scatter(1, labels[:, None], -torch.inf).amax(1)
    runner_up = ratio.gather(1, second)[:, 0]
    per_pixel = (
        "these are distances for a change of length ε (ℓ₂). Per pixel, the margin shrinks by"
    )
    return {
        f"{per_pixel} ε·Σ|w|, not ε·‖w‖₂.": linear.distance(
            weights, biases, images, labels, norm="l2"
        ),
        "all your distances are 0. Take the smallest for each image, .amin(1), and leave out the"
        " class y itself, whose margin is 0.": torch.zeros_like(right),
        "you took the first image's label for all of them.": linear.distance(
            weights, biases, images, labels[:1].expand(len(labels))
        ),
        "some are negative. An image that is misread already needs no change: 0.": ratio.amin(1),
        "an image that is misread already has distance 0. You took the size of its negative"
        " margin.": [ratio.amin(1).abs(), ratio.abs().amin(1)],
        "your labels are those that the classifier reads. They are given: some images are misread"
        " from the start.": linear.distance(weights, biases, images, read),
        "the biases are missing in the margin.": (
            linear.distance(weights, 0 * biases, images, labels)
        ),
        "you took the farthest of the other classes. The nearest decides: the smallest.": [
            farthest,
            farthest.clamp(min=0),
        ],
        "you took the class with the next best score. Another, with a lower score, may be nearer:"
        " divide first, then take the smallest.": [runner_up, runner_up.clamp(min=0)],
        "these are margins. How much of a margin does an ε per pixel take away? Divide by that.": [
            others.amin(1),
            others.amin(1).clamp(min=0),
        ],
        "you took the mean of |w_y − w_j| over the pixels. Every pixel moves by ε, so it is their"
        " sum.": 12 * right,
        "half of the right distances: only y's score, or only j's, need not do it alone.": (
            right / 2
        ),
        "twice the right distances.": 2 * right,
        "you summed w_y − w_j with its signs, which cancel. Each pixel follows its own sign:"
        " Σ|w_y − w_j|.": [
            (margin / gaps.sum(2)).scatter(1, labels[:, None], torch.inf).amin(1).clamp(min=0),
            (margin / gaps.sum(2).abs()).scatter(1, labels[:, None], torch.inf).amin(1).clamp(0),
        ],
        "you divided by Σ|w_j| alone. The label's score moves as well: Σ|w_y − w_j|.": (
            (margin / weights.abs().sum(1)).scatter(1, labels[:, None], torch.inf).amin(1).clamp(0)
        ),
        "you divided by Σ|w_y| alone. The other's score moves as well: Σ|w_y − w_j|.": (
            (others / weights[labels].abs().sum(1, keepdim=True)).amin(1).clamp(min=0)
        ),
    }
