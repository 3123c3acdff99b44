"""Attacks that follow the gradient inside a budget ε: one step, many, with momentum, and with steps that choose themselves.
"""
import math
from collections.abc import Callable

import torch
from torch.nn import functional as F

from trickkit.common import unknown
from trickkit.contract import Model, answers, check, check_labels, input_gradient, lead, loss_gradient, one_each, per_image


def fgsm(model: Model, images: torch.Tensor, labels: int | torch.Tensor, eps: float, targeted: bool = False) -> torch.Tensor:
    """The fast gradient sign method: x + ε · sign(∇ₓ J(x, y)), kept in [0, 1] (Goodfellow et al. 2015, arXiv:1412.6572, §4).

    targeted: labels are what to reach, and the step goes down the loss instead.
    """
    check(model, images, eps)
    uphill = loss_gradient(model, images, labels).sign()
    return (images + (-eps if targeted else eps) * uphill).clamp(0, 1)


def one_step(model: Model, images: torch.Tensor, targets: int | torch.Tensor, eps: float) -> torch.Tensor:
    """Every pixel moved by ε in the direction that raises the target's score, kept in [0, 1] (Evans 2016)."""
    check(model, images, eps)
    uphill = input_gradient(model, images, targets).sign()
    return (images + eps * uphill).clamp(0, 1)


def many_steps(model: Model, images: torch.Tensor, targets: int | torch.Tensor, eps: float, steps: int = 20) -> torch.Tensor:
    """Steps of ε/4 towards the targets, the gradient asked anew each time, never more than ε from the start.

    The iterative targeted method (Kurakin et al. 2016, arXiv:1607.02533, §2.3): each step lowers the cross-entropy.
    """
    check(model, images, eps, steps)
    low, high = (images - eps).clamp(min=0), (images + eps).clamp(max=1)
    x = images
    for _ in range(steps):
        x = (x - eps / 4 * loss_gradient(model, x, targets).sign()).clamp(low, high)
    return x


def pgd(model: Model, images: torch.Tensor, labels: int | torch.Tensor, eps: float | torch.Tensor, steps: int = 20,
        step: float | None = None, norm: str = "linf", targeted: bool = False, random_start: bool = True, seed: int = 0,
        early_stop: bool = True) -> torch.Tensor:
    """Projected gradient descent (Madry et al. 2018, arXiv:1706.06083, §2.1): step along the gradient, go back into the ball.

    eps: radius of the ball, a number or one an image (N,); norm: "linf" (per pixel) or "l2" (length of the whole change).
    step: length of one step in the same norm; ε/4 if not given. random_start: begin anywhere in the ball, by seed.
    early_stop: an image that is already fooled keeps what fooled it and costs no more time.
    Returns images (N, C, H, W) in [0, 1], the last ones for those never fooled.
    Raises ValueError for pixels outside [0, 1], labels that do not fit, a negative ε, an unknown norm or a model in train mode.
    """
    check(model, images, eps, steps, norm)
    radius = per_image(eps, images)
    length = radius / 4 if step is None else torch.full_like(radius, step)
    start = images + random_in_ball(images, radius, norm, seed) if random_start else images
    way = -1 if targeted else 1  # down the loss of the target, or up that of the label

    def move(x, gradient, rows):
        x = x + way * length[rows] * steepest(gradient, norm)
        return (images[rows] + project(x - images[rows], radius[rows], norm)).clamp(0, 1)

    return while_unsolved(model, start.clamp(0, 1), labels, steps, move, targeted, early_stop)


def while_unsolved(model: Model, images: torch.Tensor, labels: int | torch.Tensor, steps: int, move: Callable,
                   targeted: bool, early_stop: bool) -> torch.Tensor:
    """Repeat x <- move(x, gradient of the cross-entropy, rows), and leave images out of the batch once they fool the model.

    The forward pass that gives the gradient also tells who is fooled, so stopping early costs nothing. rows: (n,) their
    places in the batch.
    """
    labels = one_each(labels, images)
    result, rows, x = images.clone(), torch.arange(len(images), device=images.device), images
    for _ in range(steps):
        x = x.detach().clone().requires_grad_(True)
        logits = answers(model, x)
        loss = F.cross_entropy(logits, check_labels(labels[rows], x, logits.shape[1]), reduction="sum")
        going = (logits.argmax(1) == labels[rows]) != targeted if early_stop else torch.ones_like(rows, dtype=torch.bool)
        result[rows] = x.detach()
        if not going.any():
            return result
        gradient = torch.autograd.grad(loss, x)[0]
        rows, x = rows[going], move(x.detach()[going], gradient[going], rows[going])
    result[rows] = x
    return result


def steepest(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    """The step of length 1 in the norm that raises the loss most: sign(g) for "linf", g / ‖g‖₂ for "l2". (N, C, H, W)"""
    if norm == "linf":
        return gradient.sign()
    return gradient / lengths(gradient).clamp(min=1e-12)


def project(change: torch.Tensor, radius: torch.Tensor, norm: str) -> torch.Tensor:
    """The nearest change (N, C, H, W) inside the ball of that radius (N, 1, 1, 1) in the norm."""
    if norm == "linf":
        return change.clamp(-radius, radius)
    return change * (radius / lengths(change).clamp(min=1e-12)).clamp(max=1)


def random_in_ball(images: torch.Tensor, radius: torch.Tensor, norm: str, seed: int) -> torch.Tensor:
    """A change drawn evenly from the ball of that radius (N, 1, 1, 1), the same on every machine for the same seed."""
    dice = torch.Generator().manual_seed(seed)
    if norm == "linf":
        return (torch.rand(images.shape, generator=dice).to(images) * 2 - 1) * radius
    direction = torch.randn(images.shape, generator=dice).to(images)
    inward = torch.rand(len(images), 1, 1, 1, generator=dice).to(images) ** (1 / images[0].numel())
    return steepest(direction, norm) * radius * inward


def lengths(change: torch.Tensor, p: int = 2) -> torch.Tensor:
    """The ℓₚ length of each change (N, C, H, W), as (N, 1, 1, 1)."""
    return change.flatten(1).norm(p=p, dim=1).view(-1, 1, 1, 1)


def momentum(model: Model, images: torch.Tensor, labels: int | torch.Tensor, eps: float, steps: int = 10, decay: float = 1.0,
             targeted: bool = False, early_stop: bool = True) -> torch.Tensor:
    """Sign steps of ε/steps along a running sum of gradients (Dong et al. 2018, arXiv:1710.06081, eq. 6 and 7).

    decay: μ, how much of the sum is kept; a gradient joins it divided by its own ℓ₁ length. Made to fool other networks too.
    Returns images (N, C, H, W) in [0, 1], at most ε from where they started.
    """
    check(model, images, eps, steps)
    low, high = (images - eps).clamp(min=0), (images + eps).clamp(max=1)
    total = torch.zeros_like(images)
    way = -1 if targeted else 1

    def move(x, gradient, rows):
        total[rows] = decay * total[rows] + gradient / lengths(gradient, 1).clamp(min=1e-12)
        return (x + way * eps / steps * total[rows].sign()).clamp(low[rows], high[rows])

    return while_unsolved(model, images, labels, steps, move, targeted, early_stop)


def apgd(model: Model, images: torch.Tensor, labels: int | torch.Tensor, eps: float, steps: int = 100, norm: str = "linf",
         loss: str = "dlr", seed: int = 0) -> torch.Tensor:
    """Auto-PGD, which chooses its own steps (Croce, Hein 2020, arXiv:2003.01690, Algorithm 1).

    It starts with steps of 2ε and momentum; at the paper's checkpoints an image that has stopped gaining goes back to its best
    place with half the step. loss: "dlr" (eq. 6, the same for logits of any scale; wants three classes) or "ce".
    Returns images (N, C, H, W) in [0, 1], at most ε from where they started; the ones with the highest loss where none fools.
    """
    check(model, images, eps, steps, norm)
    if loss not in ("dlr", "ce"):
        raise unknown("loss", loss, ("dlr", "ce"))
    radius, labels = per_image(eps, images), one_each(labels, images)
    before = x = (images + random_in_ball(images, radius, norm, seed)).clamp(0, 1)
    step, best, best_slope = 2 * radius, x.clone(), torch.zeros_like(x)
    value, best_value, marked_value = (torch.full((len(x),), -torch.inf, device=x.device, dtype=x.dtype) for _ in range(3))
    gains, halved = torch.zeros_like(labels), torch.zeros_like(labels, dtype=torch.bool)
    going = ~halved
    marks, last = checkpoints(steps), 0
    for k in range(steps):
        rows = going.nonzero()[:, 0]
        slope = torch.zeros_like(x)
        now, slope[rows], fooled = climb(model, x[rows], labels[rows], loss)
        gains[rows] += (now > value[rows]) & (k > 0)
        value[rows] = now
        higher = rows[now > best_value[rows]]
        best[higher], best_slope[higher], best_value[higher] = x[higher], slope[higher], value[higher]
        best[rows[fooled]] = x[rows[fooled]]
        going[rows[fooled]] = False
        if not going.any():
            break
        if k in marks:
            stuck = (gains < 0.75 * (k - last)) | (~halved & (best_value == marked_value))
            at = stuck.view(-1, 1, 1, 1)
            step, x, slope = torch.where(at, step / 2, step), torch.where(at, best, x), torch.where(at, best_slope, slope)
            halved, marked_value, gains, last = stuck, best_value.clone(), torch.zeros_like(gains), k
        ahead = images + project(x + step * steepest(slope, norm) - images, radius, norm)
        share = 0.75 if k else 1.0  # the first step has no step before it
        ahead = x + share * (ahead.clamp(0, 1) - x) + (1 - share) * (x - before)
        before, x = x, (images + project(ahead - images, radius, norm)).clamp(0, 1)
    return best


def climb(model: Model, x: torch.Tensor, labels: torch.Tensor, loss: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The loss of each image (N,), its gradient (N, C, H, W), and whether the label is already lost (N,)."""
    x = x.detach().clone().requires_grad_(True)
    logits = answers(model, x)
    labels = check_labels(labels, x, logits.shape[1])
    if loss == "ce":
        value = F.cross_entropy(logits, labels, reduction="none")
    else:
        if logits.shape[1] < 3:
            raise ValueError(f'The DLR loss compares three classes and the model has {logits.shape[1]}. Use loss="ce".')
        three = logits.topk(3, dim=1).values
        value = -lead(logits, labels) / (three[:, 0] - three[:, 2]).clamp(min=1e-12)
    return value.detach(), torch.autograd.grad(value.sum(), x)[0], logits.argmax(1) != labels


def checkpoints(steps: int) -> set[int]:
    """The steps at which Auto-PGD looks back: after 22 % of them, then ever closer, at least 6 % apart (§3.2)."""
    marks, gap, at = set(), 0.22, 0.22
    while at <= 1:
        marks.add(math.ceil(round(at * steps, 6)))
        gap = max(gap - 0.03, 0.06)
        at += gap
    return marks
