"""The checks of lesson 03.

Each draws fresh small networks, so that it is the method that is checked, not one answer.
"""

from collections.abc import Callable
from functools import partial
from itertools import combinations

import torch
from torch import nn

from trickkit import attacks, data
from trickkit.check import Marks, called, exercise, progress, recognised
from trickkit.contract import loss_gradient, score_gradient

__all__ = ["as_saved", "many_steps", "one_step", "progress"]
LESSON = "03 panda_to_vulture"


def small_network() -> tuple[nn.Sequential, torch.Tensor, int, float]:
    """A bent random network, two images (2, 3, 6, 8) with some pixels black and white, a class that
    neither is read as, and an ε.
    """
    network = (
        nn.Sequential(nn.Flatten(), nn.Linear(144, 24), nn.Tanh(), nn.Linear(24, 5))
        .eval()
        .requires_grad_(False)
    )
    # so that the straight line of the gradient bends within ε
    network[1].get_parameter("weight").mul_(3)
    images = torch.rand(2, 3, 6, 8).mul(1.4).sub(0.2).clamp(0, 1)
    likely = network(images).softmax(1)
    likely[:, likely.argmax(1)] = 0
    target = int(likely.sum(0).argmax())
    return network, images, target, torch.empty(()).uniform_(0.03, 0.15).item()


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


def nearly(eps: float) -> Callable[[torch.Tensor, torch.Tensor], bool]:
    """Whether two pictures are the same but for a pixel in fifty, where rounding may have turned a
    gradient's sign.
    """
    return lambda a, b: bool(((a - b).abs() > 0.01 * eps).float().mean() < 0.02)


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
    tries = 20
    for k in range(tries):
        network, images, target, eps = tiny_step(apart=k == 0)
        moved = called(yours, network, images, target, eps, like=images, what="picture")
        best = attacks.one_step(network, images, target, eps=eps)
        if nearly(eps)(moved, best) and not stays(moved, images, eps):
            continue
        mistakes = one_step_mistakes(network, images, target, eps) if k == 0 else {}
        if wrong := recognised(moved, mistakes, same=nearly(eps)):
            return wrong
        if torch.equal(moved, images):
            return "x came back as it was."
        if torch.equal(moved[1], images[1]):
            return (
                "only the first picture of the batch moved. Sum the target's scores over all:"
                " net(x)[:, target].sum()."
            )
        before, after, most = (network(z)[:, target].sum() for z in (images, moved, best))
        if after - before < -0.01 * (most - before):
            fell += 1
        elif not fell:
            return not_far_enough(moved, images, eps)
    if fell > 0.8 * tries:
        return (
            f"the target's score fell in {fell} of {tries} tries. You are walking away from it:"
            " look at the sign of your step."
        )
    if fell:
        return (
            f"the target's score fell in {fell} of {tries} tries. Does each pixel follow the"
            " gradient of the *target's* score?"
        )
    return None


def tiny_step(*, apart: bool) -> tuple[nn.Sequential, torch.Tensor, int, float]:
    """A network, images, a target and an ε so short that the gradient's line holds. Half of the
    slopes are below ε, so that nothing but their sign makes the full step.

    apart: no known mistake is like another.
    """
    while True:
        network, images, target, eps = small_network()
        eps = eps / 150
        slope = score_gradient(network, images, target).abs().median()
        network[3].get_parameter("weight").mul_(eps / slope)
        if not apart:
            return network, images, target, eps
        right = attacks.one_step(network, images, target, eps=eps)
        back = (2 * images - right).clamp(0, 1)
        marks = one_step_mistakes(network, images, target, eps).values()
        wrong = [mark if isinstance(mark, list) else [mark] for mark in marks]
        pairs = combinations([[right], [back], *wrong], 2)
        if not any(nearly(eps)(a, b) for one, other in pairs for a in one for b in other):
            return network, images, target, eps


def one_step_mistakes(network: nn.Module, images: torch.Tensor, target: int, eps: float) -> Marks:
    """The sentences for what a wrong step may equal."""
    gradient = score_gradient(network, images, target)
    read = network(images).argmax(1)
    change = eps * gradient.sign()

    def step(g):
        return (images + eps * g.sign()).clamp(0, 1)

    return {
        "you returned the change alone; x with the change added is wanted.": [
            change,
            change.clamp(0, 1),
        ],
        "you went down the cross-entropy. That also lowers the other classes' scores; here it is"
        " the target's score, before the softmax, that should rise.": (
            step(-loss_gradient(network, images, target))
        ),
        "you followed the score of the class that is read. It is target's that should rise.": (
            step(score_gradient(network, images, read))
        ),
        "you went away from the class that is read. Go towards target, by its own score.": [
            step(-score_gradient(network, images, read)),
            step(loss_gradient(network, images, read)),
        ],
        "you followed the sum of all classes' scores. Take the target's: net(x)[:, target].": (
            step(sum(score_gradient(network, images, k) for k in range(5)))
        ),
        "both pictures followed the first one's gradient. Each has its own.": (
            step(gradient[:1].expand_as(images))
        ),
    }


def not_far_enough(moved: torch.Tensor, images: torch.Tensor, eps: float) -> str:
    """The sentence for a step that raises the score by less than it could, or leaves the box."""
    if wrong := stays(moved, images, eps):
        return wrong
    free = (images > eps) & (images < 1 - eps)  # pixels that black or white does not hold back
    low, high = (moved - images).abs()[free].div(eps).aminmax()
    if high - low > 0.1 * high:
        return (
            f"your largest change is {high:.3g}·ε and the smallest {low:.2g}·ε. Every pixel may"
            " move the full ε: use only the sign."
        )
    if high < 0.99:
        return (
            f"your pixels move by {high:.3g}·ε. Every pixel may move the full ε: is eps used, and"
            " once?"
        )
    return (
        "the score rises, but by less than it could. Does each pixel follow the gradient of the"
        " *target's* score?"
    )


@exercise(
    LESSON,
    attacks.many_steps,
    "Call one_step again and again with eps / 4. What keeps the sum of those steps within eps?",
    "Before the loop: low, high = (x - eps).clamp(min=0), (x + eps).clamp(max=1). After each step:"
    " .clamp(low, high).",
)
def many_steps(yours):
    """Small steps towards the target, never more than ε from the start."""
    gained: list[tuple[torch.Tensor, torch.Tensor]] = []
    for steps in (1, 3, 12, 12, 12, 12):
        network, images, target, eps = small_network()
        fits = reached_half_way if gained else tells_apart
        while steps == 12 and not fits(network, images, target, eps):
            network, images, target, eps = small_network()
        asked: list[torch.Tensor] = []
        watched = nn.Sequential(network)
        watched.register_forward_pre_hook(lambda _, x, asked=asked: asked.append(x[0].detach()))
        moved = called(yours, watched, images, target, eps, steps, like=images, what="picture")
        if wrong := many_steps_sentence(moved, asked, network, images, target, eps, steps):
            return wrong
        if steps == 12:
            reached, at_start, at_once = (
                network(z).softmax(1)[:, target].mean()
                for z in (moved, images, attacks.one_step(network, images, target, eps=eps))
            )
            gained.append((reached - at_start, reached - at_once))
    rise, over = (sum(g).item() / len(gained) for g in zip(*gained, strict=True))
    if rise < 0:
        return (
            f"the target's probability fell by {-rise:.2f} on average. Look at the sign of your"
            " step."
        )
    if over < -0.01:
        return (
            f"one big step does better, by {-over:.2f} in probability. Does each step follow the"
            " gradient of the *target's* score, where the last one ended?"
        )
    return None


def reached_half_way(network: nn.Module, images: torch.Tensor, target: int, eps: float) -> bool:
    """Whether six steps will do, and six more change something."""
    pictures = trail(lambda x: -loss_gradient(network, x, target), images, eps, 12)
    read = network(pictures[6]).argmax(1)
    return bool((read == target).all()) and not nearly(eps)(pictures[6], pictures[12])


def tells_apart(network: nn.Module, images: torch.Tensor, target: int, eps: float) -> bool:
    """`reached_half_way`, and each mistake that is known leads to a picture of its own."""
    if not reached_half_way(network, images, target, eps):
        return False

    def way(x: torch.Tensor) -> torch.Tensor:
        return score_gradient(network, x, target)

    right = trail(way, images, eps, 12)[12]
    pictures = [right, *walked_wrongly(way, images, eps, 12).values()]
    close = nearly(eps)
    return not any(close(a, b) for a, b in combinations(pictures, 2))


def trail(gradient: Callable, images: torch.Tensor, eps: float, steps: int) -> list[torch.Tensor]:
    """The pictures after 0, 1, … steps."""
    low = (images - eps).clamp(min=0)
    high = (images + eps).clamp(max=1)
    x = images
    return [x] + [x := (x + eps / 4 * gradient(x).sign()).clamp(low, high) for _ in range(steps)]


def many_steps_sentence(
    moved: torch.Tensor,
    asked: list[torch.Tensor],
    network: nn.Module,
    images: torch.Tensor,
    target: int,
    eps: float,
    steps: int,
) -> str | None:
    """The sentence for a picture that was not made by so many steps, else None.

    asked: what the network was asked on the way.
    """
    ways: tuple[Callable, ...] = (
        lambda x: score_gradient(network, x, target),
        lambda x: -loss_gradient(network, x, target),
        lambda x: score_gradient(lambda z: network(z).softmax(1), x, target),
    )
    trails = [trail(way, images, eps, steps + 1) for way in ways]
    close = nearly(eps)
    if any(close(moved, pictures[steps]) for pictures in trails):
        return stays(moved, images, eps)
    if torch.equal(moved, images):
        return "x came back as it was."
    if torch.equal(moved[1], images[1]):
        return "only the first picture of the batch moved. Take steps with all of x."
    if any(close(moved, (p[steps] - images)) for p in trails):
        return "you returned the change alone; the changed picture is wanted."
    if wrong := stays(moved, images, eps):
        return wrong
    if steps > 1 and any(close(moved, pictures[1]) for pictures in trails):
        if sum(not torch.equal(images, z) for z in asked) >= steps - 1 > 1:
            return (
                "no pixel of yours gets further than 0.25·ε from the start. It may go as far as ε."
            )
        if sum(map(partial(torch.equal, images), asked)) < steps:
            return (
                f"{steps} steps are asked for, and yours is the picture after 1: so go on until all"
                " are taken."
            )
        return f"{steps} steps took you as far as one. Each should start where the last one ended."
    if len(asked) == 1 < steps:
        return (
            f"{steps} steps, and the network was asked once. The map is only right near where you"
            " stand: take the gradient anew at every step."
        )
    wrongly = [walked_wrongly(way, images, eps, steps) for way in ways]
    named = [
        sentence
        for sentence in wrongly[0]
        if any(close(moved, walked[sentence]) for walked in wrongly)
    ]
    if len(named) == 1 or named and steps == 12:
        return named[0]
    if named:
        return None  # which of them, the next network tells
    for z in asked:
        if z.min() < 0 or z.max() > 1:
            return (
                "on the way your picture left [0, 1]. Cut off after each step, not only at the"
                " end: the gradient that you take next is that of no picture."
            )
        away = torch.stack([(z - x).abs().flatten(1).amax(1) for x in images]).amin(0).max() / eps
        if away > 1.001:
            return (
                f"on the way one pixel was {away:.2f}·ε from the start. Hold the sum of the steps"
                " within ε after each step, not only at the end: the next gradient is taken there."
            )
    wanted = "1 step is" if steps == 1 else f"{steps} steps are"
    for k in (*range(2, steps), *[steps + 1] * (len(asked) > steps)):
        if any(close(moved, pictures[k]) for pictures in trails):
            many = "one too many" if k > steps else "so go on until all are taken"
            return f"{wanted} asked for, and yours is the picture after {k}: {many}."
    if len(asked) < steps:
        return (
            f"{steps} steps, and the network was asked {len(asked)} times. The map is only right"
            " near where you stand: take the gradient anew at every step."
        )
    if steps == 1:
        free = (images > eps) & (images < 1 - eps)
        low, high = (moved - images).abs()[free].div(eps).aminmax()
        if high - low > 0.01:
            return (
                f"in one step your pixels move by {low:.2g}·ε to {high:.2g}·ε. Each should move by"
                " ε/4: of the gradient use only the sign."
            )
        if not 0.24 < high < 0.26:
            return f"one step of yours moves a pixel by {high:.2g}·ε; a step of ε/4 is asked for."
    return None


def walked_wrongly(
    way: Callable, images: torch.Tensor, eps: float, steps: int
) -> dict[str, torch.Tensor]:
    """The sentence for a mistake -> where it leads in so many steps.

    way: pictures -> the gradient that is followed.
    """
    low = (images - eps).clamp(min=0)
    high = (images + eps).clamp(max=1)

    def walk(
        direction: Callable[[torch.Tensor], torch.Tensor] = way,
        *,
        lengths: list[float] | None = None,
        reach: float = 1.0,
    ) -> torch.Tensor:
        x = images
        least, most = torch.lerp(images, low, reach), torch.lerp(images, high, reach)
        for length in lengths or [0.25] * steps:
            x = (x + length * eps * direction(x).sign()).clamp(least, most)
        return x

    def remembering(kind: str) -> Callable[[torch.Tensor], torch.Tensor]:
        seen: list[torch.Tensor] = []

        def direction(x: torch.Tensor) -> torch.Tensor:
            seen.append(way(x))
            last = len(seen) - 1
            followed = {"every second": seen[last // 2 * 2], "late": seen[max(last - 1, 0)]}
            return torch.stack(seen).sum(0) if kind == "summed" else followed[kind]

        return direction

    start = way(images)
    longer = images
    for step in range(steps):
        ahead = min(step + 1, 4) * eps / 4
        longer = (images + ahead * way(longer).sign()).clamp(low, high)
    short = min(1 / steps, 0.25)
    return {
        "no pixel of yours gets further than 0.5·ε from the start. It may go as far as ε.": walk(
            reach=0.5
        ),
        "you asked for the gradient where the picture started, every time. Ask where the last step"
        " ended.": walk(lambda _: start),
        "every second step of yours follows an old gradient. Take it anew at every step.": walk(
            remembering("every second")
        ),
        "each step of yours follows the gradient of the step before. Take it where the last one"
        " ended.": walk(remembering("late")),
        "your gradients add up from step to step. Each step follows its own: with backward(), set"
        " .grad to None before.": walk(remembering("summed")),
        "both pictures followed the first one's gradient. Each has its own.": walk(
            lambda x: way(x)[:1].expand_as(x)
        ),
        "both pictures moved alike. Each has its own gradient.": walk(
            lambda x: way(x).mean(0, keepdim=True).expand_as(x)
        ),
        f"in {steps} steps, each of yours moves a pixel by {short:.2g}·ε; ε/4 is asked for.": walk(
            lengths=[short] * steps
        ),
        "your steps get shorter. Each is ε/4.": walk(
            lengths=[0.25 ** (step + 1) for step in range(steps)]
        ),
        "yours are ever longer steps from the start. Each should start where the last one ended.": (
            longer
        ),
    }


@exercise(
    LESSON,
    data.as_saved,
    "A file keeps whole numbers from 0 to 255. Multiply, .round(), divide.",
    "What is below 0 or above 1 is cut off first: .clamp(0, 1).",
    rounds=5,
)
def as_saved(yours):
    """What is left of pixels once a file has kept them in 256 grey levels."""
    images = torch.rand(2, 3, 5, 7).mul(1.2).sub(0.1)
    images.view(-1)[:4] = torch.tensor([-0.08, 1.08, 0.0, 1.0])
    saved = called(yours, images, like=images, what="picture")
    right = data.as_saved(images)
    if torch.allclose(saved, right, atol=1e-4):
        return None
    kept = images.clamp(0, 1)
    mistakes: Marks = {
        "your pixels are all 0 or 1, black or white. A file keeps 256 levels: multiply by 255"
        " before you round.": [images.round().clamp(0, 1), images.round()],
        "a file has nothing below 0 or above 255, and yours wraps round: what is a little too black"
        " comes out white. Cut off first: .clamp(0, 1).": [
            (images * 255).round() % 256 / 255,
            (images * 255).trunc() % 256 / 255,
            (images * 255).floor() % 256 / 255,
        ],
        "256 levels go from 0 to 255: multiply and divide by 255, not by 256.": [
            (kept * 256).round() / 256,
            (kept * 256).floor() / 256,
            (kept * 256).round() / 255,
            (kept * 255).round() / 256,
            (kept * 256).floor().clamp(max=255) / 255,
            (kept * 256).floor() / 255,
            (kept * 256).round().clamp(max=255) / 256,
            (kept * 256).floor().clamp(max=255) / 256,
            (images * 256).round() / 256,
        ],
        "you went to the level below. Go to the nearest: .round(). A conversion to whole numbers"
        " cuts off too.": [(kept * 255).floor() / 255, (images * 255).floor() / 255],
        "you went to the level above. Go to the nearest: .round().": (kept * 255).ceil() / 255,
        "you rounded to two places, 101 levels. A file keeps 256: multiply by 255 before you"
        " round.": [(kept * 100).round() / 100, (images * 100).round() / 100],
        "these are the levels, 0 to 255. After rounding, come back to [0, 1]: divide by 255.": [
            right * 255,
            (images * 255).round(),
            (kept * 255).floor(),
        ],
        "your pixels lie between two grey levels. A file keeps whole numbers only: round.": [
            kept,
            images,
        ],
        "you cut off at 1 before you divided, so that nothing but black and white is left.": (
            [(images * 255).round().clamp(0, 1), (images * 255).round().clamp(0, 1) / 255]
        ),
        "// leaves whole numbers only, so all is black or white: divide by /.": (
            (kept * 255).round() // 255
        ),
        "all is black: multiply by 255 first, then divide.": (kept / 255).round() * 255,
        "you stretched the range; cut off what is below 0 or above 1 instead.": (
            ((images - images.min()) / (images.max() - images.min()) * 255).round() / 255
        ),
        "your pixels lie between two grey levels: to add a half rounds only with .floor() after"
        " it.": (kept * 255 + 0.5) / 255,
    }
    if wrong := recognised(saved, mistakes):
        return wrong
    if saved.min() < 0 or saved.max() > 1:
        return (
            f"your pixels go from {saved.min():.2f} to {saved.max():.2f}. A file has nothing below"
            " 0 or above 255."
        )
    if not torch.allclose(saved * 255, (saved * 255).round(), atol=1e-3):
        return "your pixels lie between two grey levels. A file keeps whole numbers only: round."
    worst = (saved - right).abs().argmax()
    return (
        f"a pixel of {images.flatten()[worst]:.4f} is level {right.flatten()[worst] * 255:.0f} in a"
        f" file, and yours is {saved.flatten()[worst] * 255:.0f}."
    )
