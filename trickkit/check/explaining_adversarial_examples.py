"""The checks of lesson 04. Each draws fresh small networks and weights."""

from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from trickkit.check import called, exercise, progress, recognised
from trickkit.contract import score_gradient
from trickkit.papers import goodfellow2015

__all__ = ["adversarial_loss", "progress", "sign_step", "worst_case_loss"]
LESSON = "04 explaining_adversarial_examples"


def small_network() -> tuple[nn.Module, torch.Tensor, torch.Tensor, float]:
    """A bent random network, four images (4, 1, 6, 6) with some pixels black and white, their
    labels, and an ε.
    """
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 20), nn.Tanh(), nn.Linear(20, 5)).eval()
    images = torch.rand(4, 1, 6, 6).mul(1.4).sub(0.2).clamp(0, 1)
    return network, images, torch.randint(5, (4,)), torch.empty(()).uniform_(0.05, 0.3).item()


@exercise(
    LESSON,
    goodfellow2015.sign_step,
    "x = images.clone().requires_grad_(True), then J = F.cross_entropy(model(x), labels).",
    "torch.autograd.grad(J, x)[0] is ∇ₓJ, a number a pixel. Only its sign is used.",
    "images + eps * gradient.sign(), and nothing more: the paper's formula has no clamp.",
    rounds=20,
)
def sign_step(yours):
    """x + ε · sign(∇ₓ J(x, y)), as printed."""
    network, given, labels, eps = small_network()
    stepped = called(
        yours, network, given, labels, eps, like=given, what="picture", keeps={"images": given}
    ).detach()
    images = given.detach()
    right = goodfellow2015.sign_step(network, images, labels, eps=eps)
    if torch.allclose(stepped, right - images, atol=1e-5):
        return "you returned the change alone; x with the change added is wanted."
    if torch.allclose(stepped, right.clamp(0, 1), atol=1e-6):
        return (
            "you kept the pixels in [0, 1]. A sound habit, and attacks.fgsm has it; but here the"
            " paper's formula is wanted as it is printed, without a clamp."
        )
    change = (stepped - images) / eps
    if torch.allclose(change, (images - right) / eps, atol=1e-3):
        return "your step lowers the loss: the sign is flipped."
    if torch.equal(stepped[1:], images[1:]) and not torch.equal(stepped[0], images[0]):
        return (
            "only the first picture of the batch moved. Take the gradient of the whole batch's loss"
            " at once."
        )
    low, high = change.abs().aminmax()
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
    hit = torch.allclose(stepped, right, atol=1e-5)
    uphill = score_gradient(network, images, labels).sign()
    if torch.allclose(change, -uphill, atol=1e-3) and not hit:
        return (
            "you lower the score of the label alone. J is the cross-entropy, in which every class's"
            " score takes part."
        )
    if not hit:
        share = (change.sign() != ((right - images) / eps).sign()).float().mean()
        return (
            f"{share:.0%} of your pixels go the other way from the sign of ∇ₓJ. Is J the"
            " cross-entropy with the labels?"
        )
    other = small_network()[0]  # a .grad that was kept would add up
    again = yours(other, given, labels, eps).detach()
    right = goodfellow2015.sign_step(other, images, labels, eps=eps)
    if not torch.allclose(again, right, atol=1e-5):
        return (
            "right the first time; but called again on the same images with another network, it"
            " goes astray. backward() adds to the .grad that the first call left. Work on"
            " images.clone()."
        )
    if given.requires_grad:
        return (
            "you switched requires_grad on for images itself, so whoever owns them keeps a"
            " gradient. Work on images.clone()."
        )
    return None


@exercise(
    LESSON,
    goodfellow2015.worst_case_loss,
    "Without an attacker the loss is ζ(−y(w·x + b)). How far down can ε per pixel push y(w·x + b)?"
    " Lesson 02 knows.",
    "By ε times the sum of |w|, whichever y is. So the attacker's share does not get multiplied"
    " by y.",
    "F.softplus(eps * weights.abs().sum() - signs * (images @ weights + bias)).mean()",
    rounds=20,
)
def worst_case_loss(yours):
    """The loss of logistic regression on the worst change of ε per pixel, in closed form."""
    weights = torch.randn(12)
    bias = 2 * torch.randn(())
    images = torch.rand(9, 12)
    signs = torch.tensor([1.0, -1, 1, -1, -1, 1, -1, -1, 1])[torch.randperm(9)]
    eps = torch.empty(()).uniform_(0.05, 0.3).item()
    right = goodfellow2015.worst_case_loss(weights, bias, images, signs, eps=eps)
    known = {"you return a loss for each image, shape (9,). Their mean is wanted.": (9,)}
    value = called(yours, weights, bias, images, signs, eps, like=right, what="loss", known=known)
    if torch.isclose(value, right, rtol=1e-4):
        return None
    margins = signs * (images @ weights + bias)
    reach = eps * weights.abs().sum()
    mistakes = {
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
        " Σ|w|.": F.softplus(eps * weights.sum() - margins).mean(),
        "the bias is missing.": F.softplus(reach - signs * (images @ weights)).mean(),
        "you summed over the images; the mean is wanted.": F.softplus(reach - margins).sum(),
        "the labels' signs seem to be turned round: ζ(−y(w·x + b)) is small where y and w·x + b"
        " agree.": F.softplus(reach + margins).mean(),
    }
    worst = images - eps * signs[:, None] * weights.sign()
    by_hand = F.softplus(-signs * (worst @ weights + bias)).mean()
    return recognised(value, mistakes, same=partial(torch.allclose, rtol=1e-5)) or (
        f"your loss is {value:.3f}; putting the worst change into each image by hand gives"
        f" {by_hand:.3f}. How far can ε per pixel push y(w·x + b) down?"
    )


@exercise(
    LESSON,
    goodfellow2015.adversarial_loss,
    "First make the examples: stepped = sign_step(model, images, labels, eps).",
    "Then alpha times the cross-entropy on images, and 1 − alpha times the cross-entropy on"
    " stepped.",
    "Return the number itself, not its .item(): training follows its gradient back to the weights.",
)
def adversarial_loss(yours):
    """α J(x, y) + (1 − α) J(x + ε · sign(∇ₓJ), y)."""
    unexplained = None
    known = {
        "your loss is a plain number, and training cannot follow it back to the weights. Leave out"
        " .item().": float
    }
    for _ in range(20):
        network, images, labels, eps = small_network()
        alpha = [0.2, 0.3, 0.7, 0.8][torch.randint(4, ())]
        value = called(
            yours,
            network,
            images,
            labels,
            eps,
            alpha,
            like=torch.zeros(()),
            what="loss",
            known=known,
        )
        if not value.requires_grad:
            return (
                "no gradient leads from your loss back to the weights. Compute it without detach,"
                " .item() or no_grad."
            )
        stepped, back = (
            goodfellow2015.sign_step(network, images, labels, eps=e) for e in (eps, -eps)
        )
        mixed = alpha * images + (1 - alpha) * stepped
        plain, own, easy, clipped, of_mixed = (
            F.cross_entropy(network(z), labels)
            for z in (images, stepped, back, stepped.clamp(0, 1), mixed)
        )
        right = alpha * plain + (1 - alpha) * own
        if not torch.isclose(value, right, rtol=1e-4):
            mistakes = {
                "α and 1 − α have changed places: α belongs to the images as they are.": (
                    (1 - alpha) * plain + alpha * own
                ),
                "this is the loss on the images as they are. The stepped ones take 1 − α of it.": (
                    plain
                ),
                "this is the loss on the stepped images alone."
                " The images as they are take α of it.": own,
                "the two losses should be weighted by α and 1 − α; yours are added as they are.": (
                    plain + own
                ),
                "they are mixed half and half, whatever α is.": (plain + own) / 2,
                "your examples are *easier* than the images: step up the loss, not down.": (
                    alpha * plain + (1 - alpha) * easy
                ),
                "you kept the stepped pixels in [0, 1]. Here the step is taken as the paper prints"
                " it, without a clamp.": alpha * plain + (1 - alpha) * clipped,
                "you mixed the *pictures* and took one loss. Take the loss of each kind, and mix"
                " the two numbers.": of_mixed,
            }
            if wrong := recognised(value, mistakes, same=partial(torch.allclose, rtol=1e-5)):
                return wrong
            # Several mistakes can give nearly the same number once; they seldom do twice, so ask
            # other networks first.
            unexplained = unexplained or (
                f"your loss is {value:.3f}; {right:.3f} is wanted, from {plain:.3f} on the images,"
                f" {own:.3f} on the stepped ones and α = {alpha}."
            )
            continue
        mine, theirs = (
            torch.autograd.grad(z, list(network.parameters()), allow_unused=True)
            for z in (value, right)
        )
        if any(
            a is None or not torch.allclose(a, b, atol=1e-4)
            for a, b in zip(mine, theirs, strict=True)
        ):
            unexplained = unexplained or (
                "the number is right, but not its gradient to the weights: one of the two parts is"
                " cut off from the model."
            )
    return unexplained
