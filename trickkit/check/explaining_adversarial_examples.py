"""The checks of lesson 04. Each draws fresh small networks and weights."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from trickkit.check import Marks, called, exercise, progress, recognised, told_apart
from trickkit.contract import loss_gradient, score_gradient
from trickkit.papers import goodfellow2015

__all__ = ["adversarial_loss", "progress", "sign_step", "worst_case_loss"]
LESSON = "04 explaining_adversarial_examples"


def small_network() -> tuple[nn.Module, torch.Tensor, torch.Tensor, float]:
    """A bent random network, six images (6, 1, 5, 7) with some pixels black and white, their
    labels, of which a third are what the network reads, and an ε.
    """
    network = nn.Sequential(nn.Flatten(), nn.Linear(35, 20), nn.Tanh(), nn.Linear(20, 5)).eval()
    for layer in (1, 3):  # so that it is sure of what it reads, and the curve of J bends
        network[layer].get_parameter("weight").data.mul_(2.5)
    images = torch.rand(6, 1, 5, 7).mul(1.4).sub(0.2).clamp(0, 1)
    read = network(images).argmax(1)
    other = (read + torch.randint(1, 5, (6,))) % 5
    labels = torch.where(torch.tensor([True, False, False] * 2), read, other)
    return network, images, labels, torch.empty(()).uniform_(0.05, 0.2).item()


def of_probabilities(network: nn.Module) -> Callable:
    """The network with a softmax at its end, which cross-entropy has already."""
    return lambda x: network(x).softmax(1)


@exercise(
    LESSON,
    goodfellow2015.sign_step,
    "x = images.clone().requires_grad_(True), then J = F.cross_entropy(model(x), labels).",
    "torch.autograd.grad(J, x)[0] is ∇ₓJ, a number a pixel. Only its sign is used.",
    "images + eps * gradient.sign(), and nothing more: the paper's formula has no clamp.",
    rounds=3,
)
def sign_step(yours):
    """x + ε · sign(∇ₓ J(x, y)), as printed."""
    while True:
        network, images, labels, eps = small_network()
        mistakes = sign_step_mistakes(network, images, labels, eps)
        right = goodfellow2015.sign_step(network, images, labels, eps=eps)
        ways = [("", right), *((s, way) for s, mark in mistakes.items() for way in mark)]
        pairs = itertools.combinations(ways, 2)
        if not any(one[0] != other[0] and mostly(one[1], other[1]) for one, other in pairs):
            break
    stepped = called(yours, network, images, labels, eps, like=images, what="picture")
    if mostly(stepped, right):
        return None
    if wrong := recognised(stepped, mistakes, same=mostly):
        return wrong
    if torch.equal(stepped[1:], images[1:]):
        return (
            "only the first picture of the batch moved. Take the gradient of the whole batch's loss"
            " at once."
        )
    low, high = ((stepped - images) / eps).abs().aminmax()
    if high - low < 1e-3 and abs(high - 1) > 1e-3:
        return (
            f"all your pixels move by {eps * high:.3f}, while eps is {eps:.3f}. Each should move by"
            " ε: is eps used, and once?"
        )
    if high > 1.001 or low < 0.999:
        return (
            f"your pixels move by {low:.2g}·ε to {high:.2g}·ε. Each should move by ε: of the"
            " gradient, use only the sign, and clamp nothing."
        )
    off = (stepped - right).abs() > eps / 100
    worst = off.float().mean((1, 2, 3)).argmax()
    return (
        f"of image {worst} {off[worst].float().mean():.0%} of your pixels go the other way from the"
        " sign of ∇ₓJ. Is J the cross-entropy with the labels?"
    )


def mostly(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two pictures are the same but for a pixel in a hundred, where rounding may have
    turned a gradient's sign.
    """
    return bool(((one - other).abs() > 1e-4).float().mean() < 0.01)


def sign_step_mistakes(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, eps: float
) -> dict[str, list[torch.Tensor]]:
    """The sentences for what a wrong step may equal."""
    right = goodfellow2015.sign_step(network, images, labels, eps=eps)
    read = network(images).argmax(1)

    def step(gradient):
        return images + eps * gradient.sign()

    return {
        "you returned the change alone; x with the change added is wanted.": [right - images],
        "the images came back as they were.": [images],
        "you kept the pixels in [0, 1]. A sound habit, and attacks.fgsm has it; but here the"
        " paper's formula is wanted as it is printed, without a clamp.": [right.clamp(0, 1)],
        "your step lowers the loss: the sign is flipped.": [2 * images - right],
        "your loss takes the softmax twice. Cross-entropy has one inside: give it the logits, as"
        " the model returns them.": [
            step(loss_gradient(of_probabilities(network), images, labels)),
        ],
        "you lower the score of the label alone. J is the cross-entropy, in which every class's"
        " score takes part.": [step(-score_gradient(network, images, labels))],
        "you raise the score of the label. J, the cross-entropy, falls as that rises.": [
            step(score_gradient(network, images, labels)),
        ],
        "you took for the labels what the model reads. They are given: some images are misread.": [
            step(loss_gradient(network, images, read)),
        ],
        "you took the first image's label for all. Each has its own.": [
            step(loss_gradient(network, images, labels[:1].expand(6))),
        ],
        "all images went the way of the first one's gradient. Each has its own.": [
            step(loss_gradient(network, images, labels)[:1].expand_as(images)),
        ],
        "all images went the same way, that of their gradients' sum. Each has its own.": [
            step(loss_gradient(network, images, labels).sum(0, keepdim=True).expand_as(images)),
        ],
        "the gradient was taken at 0, not at the images.": [
            step(loss_gradient(network, torch.zeros_like(images), labels)),
        ],
    }


@exercise(
    LESSON,
    goodfellow2015.worst_case_loss,
    "Without an attacker the loss is ζ(−y(w·x + b)). How far down can ε per pixel push y(w·x + b)?"
    " Lesson 02 knows.",
    "By ε times the sum of |w|, whichever y is. So the attacker's share does not get multiplied"
    " by y.",
    "F.softplus(eps * weights.abs().sum() - signs * (images @ weights + bias)).mean()",
    rounds=3,
)
def worst_case_loss(yours):
    """The loss of logistic regression on the worst change of ε per pixel, in closed form."""
    while True:
        weights = torch.randn(12)
        bias = 2 * torch.randn(())
        images = torch.rand(9, 12)
        signs = torch.tensor([1.0, -1, 1, -1, -1, 1, -1, -1, 1])[torch.randperm(9)]
        eps = torch.empty(()).uniform_(0.05, 0.3).item()
        right = goodfellow2015.worst_case_loss(weights, bias, images, signs, eps=eps)
        mistakes = worst_case_mistakes(weights, bias, images, signs, eps)
        if told_apart(right, mistakes):
            break
    learnt = weights, bias = weights.clone(), bias.clone()
    for part in learnt:
        part.requires_grad_(True)
    right = goodfellow2015.worst_case_loss(weights, bias, images, signs, eps=eps)
    cut = (
        "no gradient leads from your loss back to the weights, and training follows it there. Work"
        " in torch all the way, without detach, .item(), NumPy or no_grad."
    )
    known = {
        "you return a loss for each image, shape (9,). Their mean is wanted.": (9,),
        cut: [float, np.ndarray, np.generic],
    }
    value = called(yours, weights, bias, images, signs, eps, like=right, what="loss", known=known)
    if not torch.isclose(value, right, rtol=1e-4):
        worst = images - eps * signs[:, None] * weights.sign()
        by_hand = F.softplus(-signs * (worst @ weights + bias)).mean()
        return recognised(value.detach(), mistakes) or (
            f"your loss is {value:.3f}; putting the worst change into each image by hand gives"
            f" {by_hand:.3f}. How far can ε per pixel push y(w·x + b) down?"
        )
    if not value.requires_grad:
        return cut
    if not same_gradients(value, right, learnt):
        return (
            "the number is right, but not its gradient to weights and bias, and training follows"
            " that. One of them is cut off: use both as they came, without detach or .item()."
        )
    return None


def same_gradients(
    value: torch.Tensor, right: torch.Tensor, learnt: Sequence[torch.Tensor]
) -> bool:
    """Whether two numbers send the same gradients back."""
    mine, theirs = (torch.autograd.grad(z, learnt, allow_unused=True) for z in (value, right))
    return all(
        a is not None and torch.allclose(a, b, rtol=1e-3, atol=1e-4)
        for a, b in zip(mine, theirs, strict=True)
    )


def worst_case_mistakes(
    weights: torch.Tensor, bias: torch.Tensor, images: torch.Tensor, signs: torch.Tensor, eps: float
) -> Marks:
    """The sentences for what a wrong loss may equal."""
    margins = signs * (images @ weights + bias)
    reach = eps * weights.abs().sum()
    worst = (images - eps * signs[:, None] * weights.sign()).clamp(0, 1)
    return {
        "you wrote ε‖w‖₁ times y, as the paper prints it: for y = −1 the attacker would *help*. The"
        " attacker lowers y(w·x + b) for either sign.": F.softplus(signs * reach - margins).mean(),
        "you added ε‖w‖₁ to the loss. The attacker takes it off y(w·x + b),"
        " so it belongs inside ζ.": F.softplus(-margins).mean() + reach,
        "this is the loss without an attacker: ε plays no part in it.": F.softplus(-margins).mean(),
        "your attacker helps: the loss is lower than with no attack at all."
        " Which sign has ε‖w‖₁?": F.softplus(-reach - margins).mean(),
        "you took the length ‖w‖₂. A change of ε in every pixel shifts the score by ε·Σ|w|.": (
            F.softplus(eps * weights.norm() - margins).mean()
        ),
        "you took Σw, in which weights of both signs cancel. The attacker follows each one's sign:"
        " Σ|w|.": [
            F.softplus(eps * weights.sum() - margins).mean(),
            F.softplus(eps * weights.sum().abs() - margins).mean(),
        ],
        "you took the largest |w|. Every pixel may change by ε, so all of them count: Σ|w|.": (
            F.softplus(eps * weights.abs().max() - margins).mean()
        ),
        "you took the mean of |w|. Every pixel may change by ε, so they add up: Σ|w|.": (
            F.softplus(eps * weights.abs().mean() - margins).mean()
        ),
        "eps is not used: your attacker moves each pixel by 1.": (
            F.softplus(weights.abs().sum() - margins).mean()
        ),
        "the bias is missing.": F.softplus(reach - signs * (images @ weights)).mean(),
        "you summed over the images; the mean is wanted.": F.softplus(reach - margins).sum(),
        "you took the largest loss of all images; the mean is wanted.": (
            F.softplus(reach - margins).max()
        ),
        "the labels' signs seem to be turned round: ζ(−y(w·x + b)) is small where y and w·x + b"
        " agree.": [F.softplus(reach + margins).mean(), F.softplus(margins - reach).mean()],
        "signs are not used: every image is treated as a +1.": (
            F.softplus(reach - (images @ weights + bias)).mean()
        ),
        "you kept the changed pixels in [0, 1]. Here the attacker may leave that, or there would be"
        " no closed form.": F.softplus(-signs * (worst @ weights + bias)).mean(),
        "you took the mean of the margins first, and ζ of that. Each image has its own loss: ζ"
        " first.": F.softplus((reach - margins).mean()),
        "you took sigmoid for ζ. It is softplus, log(1 + eᶻ).": (reach - margins).sigmoid().mean(),
        "you took max(z, 0) for ζ. It is softplus, log(1 + eᶻ).": (reach - margins).relu().mean(),
    }


@exercise(
    LESSON,
    goodfellow2015.adversarial_loss,
    "First make the examples: stepped = sign_step(model, images, labels, eps).",
    "Then alpha times the cross-entropy on images, and 1 − alpha times the cross-entropy on"
    " stepped.",
    "Return the number itself, not its .item(): training follows its gradient back to the weights.",
    rounds=3,
)
def adversarial_loss(yours):
    """α J(x, y) + (1 − α) J(x + ε · sign(∇ₓJ), y)."""
    while True:
        network, images, labels, eps = small_network()
        alpha = [0.2, 0.3, 0.7, 0.8][torch.randint(4, ())]
        right = goodfellow2015.adversarial_loss(network, images, labels, eps=eps, alpha=alpha)
        mistakes = adversarial_mistakes(network, images, labels, eps, alpha)
        if told_apart(right.detach(), mistakes):
            break
    known = {
        "your loss is a plain number, and training cannot follow it back to the weights. Leave out"
        " .item() and NumPy.": [float, np.ndarray, np.generic],
        "you return a loss for each image; their mean is wanted, as F.cross_entropy has it.": (6,),
    }
    value = called(yours, network, images, labels, eps, alpha, like=right, what="loss", known=known)
    if not value.requires_grad:
        return (
            "no gradient leads from your loss back to the weights. Compute it without detach,"
            " .item() or no_grad."
        )
    if not torch.isclose(value, right, rtol=1e-4):
        plain, own = (
            F.cross_entropy(network(z), labels)
            for z in (images, goodfellow2015.sign_step(network, images, labels, eps=eps))
        )
        return recognised(value.detach(), mistakes) or (
            f"your loss is {value:.3f}; {right:.3f} is wanted, from {plain:.3f} on the images,"
            f" {own:.3f} on the stepped ones and α = {alpha}."
        )
    learnt = list(network.parameters())
    if not same_gradients(value, right, learnt):
        return (
            "the number is right, but not its gradient to the weights: one of the two parts is cut"
            " off from the model."
        )
    return None


@torch.no_grad()
def adversarial_mistakes(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, eps: float, alpha: float
) -> Marks:
    """The sentences for what a wrong loss may equal."""

    def step(by, model=network, aim=labels):
        with torch.enable_grad():
            return goodfellow2015.sign_step(model, images, aim, eps=by)

    def loss(x):
        return F.cross_entropy(network(x), labels)

    def weighted(one, other, share=alpha):
        return share * one + (1 - share) * other

    stepped = step(eps)
    plain = loss(images)
    own = loss(stepped)
    twice = of_probabilities(network)
    plain_twice = F.cross_entropy(twice(images), labels)
    stepped_twice = [F.cross_entropy(twice(z), labels) for z in (stepped, step(eps, twice))]
    read = network(images).argmax(1)
    of_read = F.cross_entropy(network(stepped), read)
    scores = weighted(network(images), network(stepped))
    return {
        "α and 1 − α have changed places: α belongs to the images as they are.": (
            weighted(own, plain)
        ),
        "this is the loss on the images as they are. The stepped ones take 1 − α of it.": plain,
        "this is the loss on the stepped images alone. The images as they are take α of it.": own,
        "the two losses should be weighted by α and 1 − α; yours are added as they are.": (
            plain + own
        ),
        "the second loss is weighted by 1 − α, not by α as well.": alpha * (plain + own),
        "only the first of the two losses is weighted; the second takes 1 − α.": (
            alpha * plain + own
        ),
        "only the second of the two losses is weighted; the first takes α.": (
            plain + (1 - alpha) * own
        ),
        "they are mixed half and half, whatever α is.": (plain + own) / 2,
        "your examples are *easier* than the images: step up the loss, not down.": (
            weighted(plain, loss(step(-eps)))
        ),
        "you kept the stepped pixels in [0, 1]. Here the step is taken as the paper prints it,"
        " without a clamp.": weighted(plain, loss(stepped.clamp(0, 1))),
        "you mixed the *pictures* and took one loss. Take the loss of each kind, and mix the two"
        " numbers.": loss(weighted(images, stepped)),
        "you mixed the logits and took one loss. Take the loss of each kind, and mix the two"
        " numbers.": F.cross_entropy(scores, labels),
        "you summed over the images. J is their mean, as F.cross_entropy gives it.": 6
        * weighted(plain, own),
        "your losses take the softmax twice. Cross-entropy has one inside: give it the logits.": [
            *(weighted(plain_twice, loss_twice) for loss_twice in stepped_twice),
            weighted(plain_twice, own),
            weighted(plain, stepped_twice[0]),
        ],
        "your step takes the softmax twice. Cross-entropy has one inside: give it the logits.": (
            weighted(plain, loss(step(eps, twice)))
        ),
        "you stepped away from what the model reads, not from the labels. Some are misread.": (
            weighted(plain, loss(step(eps, aim=read)))
        ),
        "on the stepped images you took for the labels what the model reads. The labels stay.": (
            weighted(plain, of_read)
        ),
        "your step is 0.25, whatever eps is.": weighted(plain, loss(step(0.25))),
    }
