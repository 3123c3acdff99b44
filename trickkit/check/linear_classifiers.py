"""The checks of lesson 02."""
import torch

from trickkit import linear
from trickkit.check import exercise, progress, tensor, untouched

__all__ = ["distance", "nudge", "progress", "shortest"]
LESSON = "02 linear_classifiers"


@exercise(LESSON, linear.nudge,
          "The score is a sum of w·x. Raising x by ε adds ε·w to it. For which w is that a gain?",
          "torch.sign(weights) is +1 where a rise helps and -1 where it hurts.")
def nudge(yours):
    """Every number moved by ε so that the score rises most."""
    for n in torch.randint(2, 200, (20,)).tolist():
        x, weights, eps = torch.randn(n), torch.randn(n), 0.01 + torch.rand(1).item()
        before = x.clone()
        moved = yours(x, weights, eps)
        if wrong := tensor(moved, x):
            return wrong
        if wrong := untouched(x, before):
            return wrong
        if torch.allclose(moved, eps * weights.sign(), atol=1e-6):
            return "you returned the change alone; x with the change added is wanted."
        change, gain = moved - x, ((moved - x) @ weights).item()
        most = eps * weights.abs().sum().item()
        if change.abs().max() > eps * 1.001:
            return (f"one number moved by {change.abs().max() / eps:.2f}·ε. No number may move further than ε: "
                    "the size of a weight says how much a step is worth, not how long it may be.")
        if gain < 0:
            return f"the score fell by {-gain:.2f}. You are walking away from it: look at the sign of your step."
        if gain < 0.999 * most:
            return (f"the score rose by {gain:.2f}, and {most:.2f} can be had. Every number may move the full ε, "
                    "those with small weights too.")
    return None


@exercise(LESSON, linear.shortest,
          "Walk along d = weights[target] - weights[label]. Each unit of d that you add changes the lead by d·d.",
          "The lead to make up is (weights[label] - weights[target]) · image + biases[label] - biases[target].")
def shortest(yours):
    """The shortest change that makes the target's score equal to the label's."""
    for _ in range(20):
        weights, biases, image = torch.randn(4, 30), 3 * torch.randn(4), torch.rand(30)
        scores = weights @ image + biases
        label, target = scores.argmax().item(), scores.argmin().item()
        change = yours(weights, biases, image, label, target)
        if wrong := tensor(change, image, "change"):
            return wrong
        if torch.allclose(change - image, linear.shortest(weights, biases, image, label, target), atol=1e-4):
            return "you returned the changed image; the change alone is wanted."
        lead = scores[label] - scores[target]
        left = weights[label] @ (image + change) + biases[label] - weights[target] @ (image + change) - biases[target]
        if torch.isclose(left, biases[label] - biases[target], rtol=1e-3):
            return "the scores are not equal, and they miss by just the biases. Add those to the lead."
        if left < -1e-3 * lead:
            return f"you walked too far: now the target leads by {-left:.2f}. How much lead does one unit of d take away?"
        if left > lead:
            return "the label's lead grew. You are walking away from the target: look at the sign of d."
        if (left / lead).abs() > 1e-3:
            return (f"after your change the label still leads by {left:.2f}, of {lead:.2f} before. Walk until the lead is 0: "
                    "how much lead does one unit of d take away?")
        best = linear.shortest(weights, biases, image, label, target).norm()
        if change.norm() > 1.001 * best:
            return (f"the scores are equal, but your way is {change.norm() / best:.2f} times as long as it need be. "
                    "The steepest way is straight along d, without signs.")
    return None


@exercise(LESSON, linear.distance,
          "A change of ε per pixel can take at most ε·Σ|w_y − w_j| from y's lead over j. When is the lead gone?",
          "Compute lead / Σ|w_y − w_j| for every other class j, and take the smallest. The class y itself divides 0 by 0.",
          "An image that is misread already has a negative lead: its distance is 0, so .clamp(min=0).")
def distance(yours):
    """The smallest ε, per pixel, that makes each image misread."""
    for _ in range(10):
        weights, biases, images = torch.randn(5, 12), torch.randn(5), torch.rand(9, 12)
        labels = (images @ weights.T + biases).argmax(1)
        labels[0] = (labels[0] + 1) % 5  # one that is misread from the start
        eps = yours(weights, biases, images, labels)
        if eps is not None and isinstance(eps, torch.Tensor) and eps.isnan().any():
            return "some of your distances are not a number: class y itself divides 0 by 0. Leave it out, or make it infinite."
        if wrong := tensor(eps, (9,), "list of distances"):
            return wrong
        if eps[0] < 0:
            return "one distance is negative. An image that is misread already needs no change: 0."
        right, far = linear.distance(weights, biases, images, labels), eps[1:]
        if torch.allclose(far, linear.distance(weights, biases, images, labels, "l2")[1:], rtol=1e-3):
            return "these are distances for a change of length ε (ℓ₂). Per pixel, the lead shrinks by ε·Σ|w|, not ε·‖w‖₂."
        if (far < 0.999 * right[1:]).any():
            return ("some images do not flip at your distance: it is too short. Are the biases in the lead? Does a change of ε "
                    "take ε·Σ|w_y − w_j| from it?")
        if (far > 1.001 * right[1:]).any():
            return ("some images flip sooner than you say. Is it the nearest of all the other classes that you take, and "
                    "Σ|w_y − w_j| that you divide by? Are the biases in the lead?")
        if eps[0] > 1e-6:
            return "the first image is misread from the start, and you say it needs a change. Its distance is 0."
    return None
