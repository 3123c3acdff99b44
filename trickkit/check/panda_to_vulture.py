"""The checks of lesson 03.

Each draws fresh small networks, so that it is the method that is checked, not one answer.
"""

import torch
from torch import nn

from trickkit import attacks, data
from trickkit.check import called, exercise, progress
from trickkit.contract import score_gradient

__all__ = ["as_saved", "many_steps", "one_step", "progress"]
LESSON = "03 panda_to_vulture"


def small_network() -> tuple[nn.Module, torch.Tensor, int, float]:
    """A bent random network, two images (2, 3, 8, 8) with some pixels black and white, a target
    class and an ε.
    """
    network = (
        nn.Sequential(nn.Flatten(), nn.Linear(192, 24), nn.Tanh(), nn.Linear(24, 5))
        .eval()
        .requires_grad_(False)
    )
    # so that the straight line of the gradient bends within ε
    network[1].get_parameter("weight").mul_(6)
    images = torch.rand(2, 3, 8, 8).mul(1.4).sub(0.2).clamp(0, 1)
    target = int(torch.randint(5, ()))
    return network, images, target, torch.empty(()).uniform_(0.01, 0.05).item()


def stays(moved: torch.Tensor, images: torch.Tensor, eps: float) -> str | None:
    """The sentence for a picture that left [0, 1] or went further than ε, else None."""
    outside = ((moved < 0) | (moved > 1)).float().mean()
    if outside:
        return (
            f"{100 * outside:.1f} % of your pixels left [0, 1]. A picture cannot be whiter than"
            " white."
        )
    furthest = (moved - images).abs().max() / eps
    if furthest > 1.001:
        return (
            f"one pixel moved by {furthest:.2f}·ε. It may be at most ε away from where the picture"
            " started."
        )
    return None


@exercise(
    LESSON,
    attacks.one_step,
    "contract.score_gradient(net, x, target) says, for every pixel, how fast the target's score"
    " rises.",
    "You need only the direction: .sign() of the gradient, times eps, added to x.",
    "Last, .clamp(0, 1): a picture has no pixels blacker than black.",
)
def one_step(yours):
    """x moved by ε per pixel, so that the target's score rises, and still a picture."""
    fell = 0
    for _ in range(20):
        network, images, target, eps = small_network()
        eps = eps / 50  # so short that the gradient's line holds
        moved = called(
            yours, network, images, target, eps, like=images, what="picture", keeps={"x": images}
        )
        if torch.allclose(moved, eps * score_gradient(network, images, target).sign(), atol=1e-7):
            return "you returned the change alone; x with the change added is wanted."
        if torch.equal(moved[1], images[1]) and not torch.equal(moved[0], images[0]):
            return (
                "only the first picture of the batch moved. Sum the target's scores over all:"
                " net(x)[:, target].sum()."
            )
        fell += int((network(moved) - network(images))[:, target].sum() < 0)
        best = attacks.one_step(network, images, target, eps=eps)
        free = (best - images).abs() > 0.5 * eps  # pixels that black or white does not hold back
        change = (moved - images).abs()[free] / eps
        if not fell and change.median() < 0.5 and change.max() < 1.001:
            return (
                f"your largest change is {change.max():.3g}·ε and most are smaller. Every pixel may"
                " move the full ε: use only the sign."
            )
        if not fell and (wrong := stays(moved, images, eps)):
            return wrong
        if not fell and ((moved - best).abs() > 0.01 * eps).float().mean() > 0.02:
            return (
                "the score rises, but by less than it could. Does each pixel follow the gradient of"
                " the *target's* score?"
            )
    if fell:
        return (
            f"the target's score fell in {fell} of 20 tries. You are walking away from it: look at"
            " the sign of your step."
        )
    return None


@exercise(
    LESSON,
    attacks.many_steps,
    "Call one_step again and again with eps / 4. What keeps the sum of those steps within eps?",
    "Before the loop: low, high = (x - eps).clamp(min=0), (x + eps).clamp(max=1). After each step:"
    " .clamp(low, high).",
)
def many_steps(yours):
    """Small steps towards the target, never more than ε from the start."""
    steps = 12
    gained = []
    for _ in range(20):
        network, images, target, eps = small_network()
        asked: list[int] = []
        counting = nn.Sequential(network)
        counting.register_forward_hook(lambda *_, asked=asked: asked.append(1))
        moved = called(
            yours,
            counting,
            images,
            target,
            eps,
            steps,
            like=images,
            what="picture",
            keeps={"images": images},
        )
        first = (yours(network, images, target, eps, 1) - images).abs().max() / eps
        if not 0.24 < first < 0.26:
            return f"one step of yours moves a pixel by {first:.2g}·ε; a step of ε/4 is asked for."
        if len(asked) < steps:
            return (
                f"{steps} steps, and the network was asked {len(asked)} times. The map is only"
                " right near where you stand: take the gradient anew at every step."
            )
        if wrong := stays(moved, images, eps):
            return wrong
        reached, at_start, at_once = (
            network(z).softmax(1)[:, target].mean()
            for z in (moved, images, attacks.one_step(network, images, target, eps=eps))
        )
        gained.append((reached - at_start, reached - at_once))
    rise, over = (sum(g).item() / 20 for g in zip(*gained, strict=True))
    if rise < 0:
        return (
            f"the target's probability fell by {-rise:.2f} on average. Look at the sign of your"
            " step."
        )
    if over < -0.01:
        return (
            f"one big step does better, by {-over:.2f} in probability. Does each step start where"
            " the last one ended?"
        )
    return None


@exercise(
    LESSON,
    data.as_saved,
    "A file keeps whole numbers from 0 to 255. Multiply, .round(), divide.",
    "What is below 0 or above 1 is cut off first: .clamp(0, 1).",
    rounds=20,
)
def as_saved(yours):
    """What is left of pixels once a file has kept them in 256 grey levels."""
    images = torch.rand(2, 3, 6, 6).mul(1.2).sub(0.1)
    saved = called(yours, images.clone(), like=images, what="picture")
    if torch.equal(saved, saved.round()) and saved.max() == 1:
        return (
            "your pixels are all 0 or 1, black or white. A file keeps 256 levels: multiply by 255"
            " before you round."
        )
    if saved.max() > 1.5:
        return (
            f"your pixels go up to {saved.max():.0f}. After rounding, come back to [0, 1]: divide"
            " by 255."
        )
    if saved.min() < 0 or saved.max() > 1:
        return (
            f"your pixels go from {saved.min():.2f} to {saved.max():.2f}. A file has nothing below"
            " 0 or above 255."
        )
    if not torch.allclose(saved * 255, (saved * 255).round(), atol=1e-3):
        return (
            "some of your pixels lie between two grey levels. A file keeps whole numbers only:"
            " round."
        )
    off = (saved - images.clamp(0, 1)).abs().max() * 255
    if off > 0.51:
        return (
            f"one pixel went {off:.2f} grey levels away. Go to the nearest level, not to the one"
            " below: .round()."
        )
    return None
