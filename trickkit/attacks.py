"""Attacks: (model, images, labels, …) -> images that the model gets wrong, and that look the same to us.

A model is any callable from pixels in [0, 1], (N, C, H, W), to logits (N, K). ε is a change of pixels on that scale: 1/255 is
one grey level. `labels` are what to leave, or with targeted=True what to reach: an int64 tensor (N,), or one number for all.
"""
from collections.abc import Callable

import torch
from torch.nn import functional as F

from trickkit.models import check_eval, check_images, check_labels, check_norm, one_each

Model = Callable[[torch.Tensor], torch.Tensor]


def input_gradient(model: Model, images: torch.Tensor, labels: int | torch.Tensor) -> torch.Tensor:
    """The gradient of each image's score for its label with respect to its pixels: (N, C, H, W), score per unit of pixel."""
    check_images(images)
    check_eval(model)
    images = images.detach().clone().requires_grad_(True)
    scores = model(images)
    labels = check_labels(labels, images, scores.shape[1])
    return torch.autograd.grad(scores.gather(1, labels[:, None]).sum(), images)[0]


def loss_gradient(model: Model, images: torch.Tensor, labels: int | torch.Tensor) -> torch.Tensor:
    """The gradient of the cross-entropy J(x, y) of each image with respect to its pixels: (N, C, H, W)."""
    images = images.detach().clone().requires_grad_(True)
    logits = model(images)
    loss = F.cross_entropy(logits, check_labels(labels, images, logits.shape[1]), reduction="sum")
    return torch.autograd.grad(loss, images)[0]


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
    radius = torch.as_tensor(eps, dtype=images.dtype, device=images.device).expand(len(images)).view(-1, 1, 1, 1)
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
        logits = model(x)
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


def lengths(change: torch.Tensor) -> torch.Tensor:
    """The ℓ₂ length of each change (N, C, H, W), as (N, 1, 1, 1)."""
    return change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def check(model: Model, images: torch.Tensor, eps: float | torch.Tensor, steps: int = 1, norm: str = "linf") -> None:
    """Refuse what no attack can use, and say what is wanted instead (see `models.check_images`)."""
    check_images(images)
    check_eval(model)
    size = torch.as_tensor(eps)
    if size.dim() and size.shape != (len(images),):
        raise ValueError(f"eps is one number, or one an image ({len(images)},); its shape is {tuple(size.shape)}.")
    if not (size >= 0).all():
        raise ValueError(f"eps is {eps}; a distance is 0 or more.")
    check_norm(norm)
    if norm == "linf" and size.max() > 1:
        raise ValueError(f"eps is {eps}; pixels go from 0 to 1, so {size.max():g} grey levels are {size.max():g}/255.")
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps is {steps!r}; a whole number of at least one step is wanted.")
