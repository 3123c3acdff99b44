"""Attacks that follow the gradient inside a budget ε.

One step, many, with momentum, and with steps that choose themselves.
"""

import math
from collections.abc import Callable

import torch
from torch.nn import functional as F

from trickkit.common import unknown, validate_flag, validate_number, validate_positive
from trickkit.contract import (
    Model,
    expanded_labels,
    gradient_of,
    in_parts,
    logits_of,
    loss_gradient,
    margin,
    per_image,
    score_gradient,
    seeded,
    validate_attack,
    validated_labels,
    with_gradients,
)


def fgsm(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    eps: float,
    targeted: bool = False,
) -> torch.Tensor:
    """The fast gradient sign method: x + ε · sign(∇ₓ J(x, y)), kept in [0, 1].

    Goodfellow et al. 2015, arXiv:1412.6572, §4.

    eps: ε, per pixel.
    targeted: labels are what to reach, and the step goes down the loss instead.
    """
    validate_attack(model, images, eps=eps)
    validate_flag(targeted=targeted)
    images = images.detach()
    sign = loss_gradient(model, images, labels).sign()
    return (images + (-eps if targeted else eps) * sign).clamp(0, 1)


def one_step(
    model: Model, images: torch.Tensor, targets: int | torch.Tensor, *, eps: float
) -> torch.Tensor:
    """Every pixel moved by ε in the direction that raises the target's score, kept in [0, 1].

    Evans 2016.
    """
    validate_attack(model, images, eps=eps)
    images = images.detach()
    sign = score_gradient(model, images, targets).sign()
    return (images + eps * sign).clamp(0, 1)


def many_steps(
    model: Model, images: torch.Tensor, targets: int | torch.Tensor, *, eps: float, steps: int = 20
) -> torch.Tensor:
    """Steps of ε/4 towards the targets, the gradient asked anew each time.

    Kurakin et al. 2016, arXiv:1607.02533, §2.3: the iterative targeted method.

    Each step lowers the cross-entropy, and never goes more than ε from the start.
    """
    validate_attack(model, images, eps=eps, steps=steps)
    low = (images - eps).clamp(min=0)
    high = (images + eps).clamp(max=1)
    x = images
    for _ in range(steps):
        x = (x - eps / 4 * loss_gradient(model, x, targets).sign()).clamp(low, high)
    return x


def pgd(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    eps: float | torch.Tensor,
    steps: int = 20,
    step_size: float | None = None,
    norm: str = "linf",
    targeted: bool = False,
    random_start: bool = True,
    seed: int = 0,
    early_stop: bool = True,
) -> torch.Tensor:
    """Projected gradient descent: step along the gradient, go back into the ball.

    Madry et al. 2018, arXiv:1706.06083, §2.1.

    eps: radius of the ball, a number or one an image (N,).
    steps: how many at most.
    step_size: length of one step in the same norm; ε/4 if not given.
    norm: "linf" (per pixel) or "l2" (length of the whole change).
    targeted: labels are what to reach.
    random_start: begin anywhere in the ball, by seed.
    seed: of the start.
    early_stop: an image that is already fooled keeps what fooled it and costs no more time.
    Returns images (N, C, H, W) in [0, 1], the last ones for those never fooled.
    Raises ValueError for pixels outside [0, 1], labels that do not fit, a negative ε or step, an
        unknown norm or a model in train mode.
    """
    validate_attack(model, images, eps=eps, steps=steps, norm=norm, one_an_image=True)
    validate_flag(targeted=targeted, random_start=random_start, early_stop=early_stop)
    if step_size is not None:
        validate_number(step_size=step_size, at_least=0)
    images = images.detach()
    radius = per_image(eps, images)
    length = radius / 4 if step_size is None else torch.full_like(radius, step_size)
    start = (
        images + random_in_ball(images, radius, norm=norm, seed=seed) if random_start else images
    )
    direction = -1 if targeted else 1  # down the loss of the target, or up that of the label

    def step(x, gradient, rows):
        x = x + direction * length[rows] * steepest_step(gradient, norm=norm)
        return (images[rows] + project(x - images[rows], radius[rows], norm=norm)).clamp(0, 1)

    return iterate_until_fooled(
        model,
        start.clamp(0, 1),
        labels,
        steps=steps,
        step=step,
        targeted=targeted,
        early_stop=early_stop,
    )


@with_gradients
def iterate_until_fooled(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    steps: int,
    step: Callable,
    targeted: bool,
    early_stop: bool,
) -> torch.Tensor:
    """Step after step by the gradient of the cross-entropy, until an image fools the model.

    Once it does, it leaves the batch. The forward pass that gives the gradient also tells who is
    fooled, so stopping early costs nothing.

    steps: how many at most.
    step: (x, gradient, rows) -> the next x; rows (n,), their places in the batch.
    targeted, early_stop: as in `pgd`.
    Returns images (N, C, H, W), the last ones for those never fooled.
    """
    labels = expanded_labels(labels, images)
    result = images.clone()
    for rows in in_parts(images):
        x = images[rows]
        for _ in range(steps):
            x = x.detach().clone().requires_grad_(True)
            logits = logits_of(model, x)
            y = validated_labels(labels[rows], x, logits.shape[1])
            loss = F.cross_entropy(logits, y, reduction="sum")
            going = (
                (logits.argmax(1) == y) != targeted
                if early_stop
                else torch.ones_like(rows, dtype=torch.bool)
            )
            result[rows] = x.detach()
            if not going.any():
                break
            gradient = gradient_of(loss, x)
            rows, x = rows[going], step(x.detach()[going], gradient[going], rows[going])
        result[rows] = x.detach()
    return result


def steepest_step(gradient: torch.Tensor, *, norm: str) -> torch.Tensor:
    """The step of length 1 in the norm that raises the loss most, (N, C, H, W).

    It is sign(g) for "linf", g / ‖g‖₂ for "l2".
    """
    if norm == "linf":
        return gradient.sign()
    return gradient / norms(gradient).clamp(min=1e-12)


def project(change: torch.Tensor, radius: torch.Tensor, *, norm: str) -> torch.Tensor:
    """The nearest change (N, C, H, W) inside the ball of that radius (N, 1, 1, 1) in the norm."""
    if norm == "linf":
        return change.clamp(-radius, radius)
    return change * (radius / norms(change).clamp(min=1e-12)).clamp(max=1)


def random_in_ball(
    images: torch.Tensor, radius: torch.Tensor, *, norm: str, seed: int
) -> torch.Tensor:
    """A change drawn evenly from the ball of that radius (N, 1, 1, 1) in the norm.

    It is the same on every machine for the same seed.
    """
    generator = seeded(seed)
    if norm == "linf":
        return (torch.rand(images.shape, generator=generator).to(images) * 2 - 1) * radius
    direction = torch.randn(images.shape, generator=generator).to(images)
    inward = torch.rand(len(images), 1, 1, 1, generator=generator).to(images) ** (
        1 / images[0].numel()
    )
    return steepest_step(direction, norm=norm) * radius * inward


def norms(change: torch.Tensor, *, p: int = 2) -> torch.Tensor:
    """The ℓₚ length of each change (N, C, H, W), as (N, 1, 1, 1)."""
    validate_positive(p=p)
    return change.flatten(1).norm(p=p, dim=1).view(-1, 1, 1, 1)


@with_gradients
def momentum(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    eps: float,
    steps: int = 10,
    mu: float = 1.0,
    targeted: bool = False,
    early_stop: bool = True,
) -> torch.Tensor:
    """Sign steps of ε/steps along a running sum of gradients.

    Dong et al. 2018, arXiv:1710.06081, eq. 6 and 7.

    Made to fool other networks too.

    eps: ε, per pixel.
    steps: how many at most.
    mu: μ, how much of the sum is kept; a gradient joins it divided by its own ℓ₁ length.
    targeted, early_stop: as in `pgd`.
    Returns images (N, C, H, W) in [0, 1], at most ε from where they started.
    """
    validate_attack(model, images, eps=eps, steps=steps)
    validate_number(mu=mu)
    validate_flag(targeted=targeted, early_stop=early_stop)
    images = images.detach()
    low = (images - eps).clamp(min=0)
    high = (images + eps).clamp(max=1)
    total = torch.zeros_like(images)
    direction = -1 if targeted else 1

    def step(x, gradient, rows):
        total[rows] = mu * total[rows] + gradient / norms(gradient, p=1).clamp(min=1e-12)
        return (x + direction * eps / steps * total[rows].sign()).clamp(low[rows], high[rows])

    return iterate_until_fooled(
        model, images, labels, steps=steps, step=step, targeted=targeted, early_stop=early_stop
    )


class Ascent:
    """What Auto-PGD keeps of each image: where it is and was, its best place, and how well it goes.

    x, previous: where it is and where it was one step before, (N, C, H, W).
    step_size: of the next step, (N, 1, 1, 1).
    value: the loss at x, (N,).
    best, best_gradient, best_value: where the loss was highest.
    going: whether the image still fools nobody, (N,).
    """

    def __init__(self, start: torch.Tensor, step_size: torch.Tensor):
        self.x = self.previous = start
        self.step_size = step_size
        self.best = start.clone()
        self.best_gradient = torch.zeros_like(start)
        self.value = torch.full_like(start[:, 0, 0, 0], -torch.inf)
        self.best_value = self.value.clone()
        self.going = torch.ones_like(self.value, dtype=torch.bool)
        # since the last checkpoint: steps that gained, the best value then, the step halved there
        self.gains = torch.zeros_like(self.value)
        self.marked_value = self.value.clone()
        self.halved = ~self.going

    def record(self, value: torch.Tensor, gradient: torch.Tensor, fooled: torch.Tensor) -> None:
        """Take over what the model says of the images still going: (n,), (n, C, H, W), (n,)."""
        rows = self.going.nonzero()[:, 0]
        value = value.to(self.value)  # a model may answer in more bits than it is asked in
        self.gains[rows] += (value > self.value[rows]) & self.value[rows].isfinite()
        self.value[rows] = value
        higher = value > self.best_value[rows]
        self.best[rows[higher]] = self.x[rows[higher]]
        self.best_gradient[rows[higher]] = gradient[higher]
        self.best_value[rows[higher]] = value[higher]
        self.best[rows[fooled]] = self.x[rows[fooled]]
        self.going[rows[fooled]] = False

    def look_back(self, gradient: torch.Tensor, *, steps: int) -> torch.Tensor:
        """Where the last `steps` gained too little: half the step, and back to the best place.

        Croce, Hein 2020, §3.2, conditions 1 and 2.

        gradient: at x, (N, C, H, W).
        steps: since the last checkpoint.
        Returns the gradients (N, C, H, W) at the places now taken.
        """
        idle = self.gains < 0.75 * steps
        stuck = idle | (~self.halved & (self.best_value == self.marked_value))
        back = stuck.view(-1, 1, 1, 1)
        self.step_size = torch.where(back, self.step_size / 2, self.step_size)
        self.x = torch.where(back, self.best, self.x)
        self.halved = stuck
        self.marked_value = self.best_value.clone()
        self.gains = torch.zeros_like(self.gains)
        return torch.where(back, self.best_gradient, gradient)


def apgd(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    eps: float | torch.Tensor,
    steps: int = 100,
    norm: str = "linf",
    loss: str = "dlr",
    seed: int = 0,
) -> torch.Tensor:
    """Auto-PGD, which chooses its own steps.

    Croce, Hein 2020, arXiv:2003.01690, Algorithm 1.

    It starts with steps of 2ε and momentum; at the paper's checkpoints an image that has stopped
    gaining goes back to its best place with half the step.

    eps: radius of the ball.
    steps: how many at most.
    norm: as in `pgd`.
    loss: "dlr" (eq. 6, the same for logits of any scale; wants three classes) or "ce".
    seed: of the start.
    Returns images (N, C, H, W) in [0, 1], at most ε from where they started; the ones with the
        highest loss where none fools.
    Raises ValueError for what `pgd` refuses, an unknown loss, and fewer than three classes with
        "dlr".
    """
    validate_attack(model, images, eps=eps, steps=steps, norm=norm, one_an_image=True)
    if loss not in ("dlr", "ce"):
        raise unknown("loss", loss, ("dlr", "ce"))
    images = images.detach()
    radius = per_image(eps, images)
    labels = expanded_labels(labels, images)

    def inside(x):
        return (images + project(x - images, radius, norm=norm)).clamp(0, 1)

    start = (images + random_in_ball(images, radius, norm=norm, seed=seed)).clamp(0, 1)
    now = Ascent(start, 2 * radius)
    halving_steps = checkpoints(int(steps))
    last = 0
    for k in range(steps):
        rows = now.going
        gradient = torch.zeros_like(images)
        value, gradient[rows], fooled = loss_and_gradient(
            model, now.x[rows], labels[rows], loss=loss
        )
        now.record(value, gradient[rows], fooled)
        if not now.going.any():
            break
        if k in halving_steps:
            gradient = now.look_back(gradient, steps=k - last)
            last = k
        ahead = inside(now.x + now.step_size * steepest_step(gradient, norm=norm))
        alpha = 0.75 if k else 1.0  # the first step has no step before it
        ahead = now.x + alpha * (ahead - now.x) + (1 - alpha) * (now.x - now.previous)
        now.previous = now.x
        now.x = inside(ahead)
    return now.best


@with_gradients
def loss_and_gradient(
    model: Model, x: torch.Tensor, labels: torch.Tensor, *, loss: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The loss of each image, its gradient, and whether the label is already lost.

    x: (N, C, H, W).
    loss: as in `apgd`.
    Returns (N,), (N, C, H, W) and booleans (N,).
    Raises ValueError for labels that do not fit, and for fewer than three classes with "dlr".
    """
    x = x.detach().clone().requires_grad_(True)
    logits = logits_of(model, x)
    labels = validated_labels(labels, x, logits.shape[1])
    if loss == "ce":
        value = F.cross_entropy(logits, labels, reduction="none")
    else:
        if logits.shape[1] < 3:
            raise ValueError(
                f"The DLR loss compares three classes and the model has {logits.shape[1]}. Use"
                ' loss="ce".'
            )
        three = logits.topk(3, dim=1).values
        value = -margin(logits, labels) / (three[:, 0] - three[:, 2]).clamp(min=1e-12)
    return value.detach(), gradient_of(value.sum(), x), logits.argmax(1) != labels


def checkpoints(steps: int) -> set[int]:
    """The steps at which Auto-PGD looks back.

    Croce, Hein 2020, §3.2.

    After 22 % of them, then ever closer, at least 6 % apart.
    """
    marks = set()
    gap = 0.22
    at = 0.22
    while at <= 1:
        marks.add(math.ceil(round(at * steps, 6)))
        gap = max(gap - 0.03, 0.06)
        at += gap
    return marks
