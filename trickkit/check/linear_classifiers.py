"""The checks of lesson 02."""

import torch

from trickkit import linear
from trickkit.check import called, exercise, progress, shaped

__all__ = ["distance", "nudge", "progress", "shortest"]
LESSON = "02 linear_classifiers"


@exercise(
    LESSON,
    linear.nudge,
    "The score is a sum of w·x. Raising x by ε adds ε·w to it. For which w is that a gain?",
    "torch.sign(weights) is +1 where a rise helps and -1 where it hurts.",
    rounds=20,
)
def nudge(yours):
    """Every number moved by ε so that the score rises most."""
    n = int(torch.randint(2, 200, ()))
    x = torch.randn(n)
    weights = torch.randn(n)
    eps = 0.01 + torch.rand(1).item()
    moved = called(yours, x, weights, eps, like=x, keeps={"x": x})
    if torch.allclose(moved, eps * weights.sign(), atol=1e-6):
        return "you returned the change alone; x with the change added is wanted."
    change = moved - x
    gain = (change @ weights).item()
    most = eps * weights.abs().sum().item()
    if change.abs().max() > eps * 1.001:
        return (
            f"one number moved by {change.abs().max() / eps:.2f}·ε. No number may move further than"
            " ε: the size of a weight says how much a step is worth, not how long it may be."
        )
    if gain < 0:
        return (
            f"the score fell by {-gain:.2f}. You are walking away from it: look at the sign of your"
            " step."
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
    rounds=20,
)
def shortest(yours):
    """The shortest change that makes the target's score equal to the label's."""
    weights = torch.randn(4, 30)
    biases = 3 * torch.randn(4)
    image = torch.rand(30)
    scores = weights @ image + biases
    label = int(scores.argmax())
    target = int(scores.argmin())
    right = linear.shortest(weights, biases, image, label, target)
    change = called(yours, weights, biases, image, label, target, like=image, what="change")
    if torch.allclose(change - image, right, atol=1e-4):
        return "you returned the changed image; the change alone is wanted."
    margin = scores[label] - scores[target]
    moved = weights @ (image + change) + biases
    left = moved[label] - moved[target]
    if torch.isclose(left, biases[label] - biases[target], rtol=1e-3):
        return (
            "the scores are not equal, and they miss by just the biases. Add those to the margin."
        )
    if left < -1e-3 * margin:
        return (
            f"you walked too far: now the target leads by {-left:.2f}. How much margin does one"
            " unit of d take away?"
        )
    if left > margin:
        return (
            "the label's margin grew. You are walking away from the target: look at the sign of d."
        )
    if (left / margin).abs() > 1e-3:
        return (
            f"after your change the label still leads by {left:.2f}, of {margin:.2f} before. Walk"
            " until the margin is 0: how much margin does one unit of d take away?"
        )
    if change.norm() > 1.001 * right.norm():
        return (
            f"the scores are equal, but your way is {change.norm() / right.norm():.2f} times as"
            " long as it need be. The steepest way is straight along d, without signs."
        )
    return None


@exercise(
    LESSON,
    linear.distance,
    "A change of ε per pixel can take at most ε·Σ|w_y − w_j| from y's margin over j. When is the"
    " margin gone?",
    "Compute margin / Σ|w_y − w_j| for every other class j, and take the smallest. The class y"
    " itself divides 0 by 0.",
    "An image that is misread already has a negative margin: its distance is 0, so .clamp(min=0).",
    rounds=10,
)
def distance(yours):
    """The smallest ε, per pixel, that makes each image misread."""
    weights = torch.randn(5, 12)
    biases = torch.randn(5)
    images = torch.rand(9, 12)
    labels = (images @ weights.T + biases).argmax(1)
    labels[0] = (labels[0] + 1) % 5  # one that is misread from the start
    eps = yours(weights, biases, images, labels)
    if isinstance(eps, torch.Tensor) and eps.isnan().any():
        return (
            "some of your distances are not a number: class y itself divides 0 by 0. Leave it out,"
            " or make it infinite."
        )
    right = linear.distance(weights, biases, images, labels)
    if wrong := shaped(eps, right, what="list of distances"):
        return wrong
    if eps[0] < 0:
        return "one distance is negative. An image that is misread already needs no change: 0."
    in_l2 = linear.distance(weights, biases, images, labels, norm="l2")
    if torch.allclose(eps[1:], in_l2[1:], rtol=1e-3):
        return (
            "these are distances for a change of length ε (ℓ₂). Per pixel, the margin shrinks by"
            " ε·Σ|w|, not ε·‖w‖₂."
        )
    if (eps[1:] < 0.999 * right[1:]).any():
        return (
            "some images do not flip at your distance: it is too short. Are the biases in the"
            " margin? Does a change of ε take ε·Σ|w_y − w_j| from it?"
        )
    if (eps[1:] > 1.001 * right[1:]).any():
        return (
            "some images flip sooner than you say. Is it the nearest of all the other classes that"
            " you take, and Σ|w_y − w_j| that you divide by? Are the biases in the margin?"
        )
    if eps[0] > 1e-6:
        return (
            "the first image is misread from the start, and you say it needs a change. Its distance"
            " is 0."
        )
    return None
