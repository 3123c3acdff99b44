"""Attacks that look for the smallest change (ℓ₂), and how large a change is."""

import torch

from trickkit.common import validate_count, validate_number, validate_positive
from trickkit.contract import (
    Model,
    gradient_of,
    logits_of,
    margin,
    of_labels,
    validated_start,
    with_gradients,
)


@with_gradients
def cw(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    searches: int = 5,
    steps: int = 100,
    lr: float = 0.01,
    c: float = 0.01,
    confidence: float = 0.0,
    targeted: bool = False,
) -> torch.Tensor:
    """The nearest image in ℓ₂ that is misread.

    Carlini, Wagner 2017, arXiv:1608.04644, §V-A and §VI.

    Adam on w, with x' = (tanh(w) + 1)/2, minimises ‖x' − x‖² + c · max(margin + confidence, 0): the
    margin says how far the label is ahead. c is the price of what is left of it: ten times higher
    after a search that failed, else bisected.

    searches: how often c is chosen anew.
    steps: of each search, at most.
    lr: Adam's step, in w.
    c: its first value.
    confidence: how far another class is to lead, in logits.
    targeted: labels are what to reach.
    Returns the nearest misread images found (N, C, H, W) in [0, 1]; the image itself where none
        was.
    """
    labels, _ = validated_start(model, images, labels, targeted=targeted)
    validate_count(steps=steps, searches=searches)
    validate_positive(lr=lr, c=c)
    validate_number(confidence=confidence)
    images = images.detach()
    n = len(images)
    result = images.clone()
    # in half precision black and white would lie at infinity all the same, and Adam divide by 0
    wide = images.to(torch.promote_types(images.dtype, torch.float32))
    nearest = torch.full((n,), torch.inf).to(wide)
    low = torch.zeros(n).to(wide)
    high = torch.full((n,), torch.inf).to(wide)
    price = torch.full((n,), c).to(wide)
    w0 = torch.atanh((wide * 2 - 1) * 0.999999)  # black and white would lie at infinity
    for _ in range(searches):
        w = w0.clone().requires_grad_(True)
        won = torch.zeros(n, dtype=torch.bool, device=images.device)
        optimizer = torch.optim.Adam([w], lr=lr)
        best = torch.full_like(nearest, torch.inf)
        rows = torch.arange(n, device=images.device)
        for k in range(steps):
            x = (w[rows].tanh() + 1) / 2
            margins = margin(logits_of(model, x.to(images.dtype)), labels[rows], targeted=targeted)
            squared = (x - wide[rows]).square().flatten(1).sum(1)
            cost = squared + price[rows] * (margins + confidence).clamp(min=0)
            found = (margins + confidence <= 0) & (margins < 0)
            won[rows] |= found
            nearer = found & (squared < nearest[rows])
            result[rows[nearer]] = x.detach()[nearer].to(result.dtype)
            nearest[rows[nearer]] = squared.detach()[nearer]
            w.grad = gradient_of(cost.sum(), w)
            optimizer.step()
            # a tenth of the steps without a gain: done, as in the authors' code
            if k % max(steps // 10, 1) == 0:
                gaining = cost < 0.9999 * best[rows]
                best[rows], rows = cost.detach().to(best), rows[gaining]
                if not len(rows):
                    break
        low = torch.where(won, low, price)
        high = torch.where(won, price, high)
        price = torch.where(high.isinf(), price * 10, (low + high) / 2)
    return result


@with_gradients
def deepfool(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    steps: int = 50,
    classes: int = 10,
    overshoot: float = 0.02,
) -> torch.Tensor:
    """Short ℓ₂ steps to the nearest border of a linear picture of the network.

    Moosavi-Dezfooli et al. 2016, arXiv:1511.04599, Algorithm 2.

    Each step goes to the class whose border is nearest: |f| / ‖w‖₂² · w, with f the difference of
    the logits and w of their gradients. The whole change is stretched by 1 + overshoot, to land
    beyond the border.

    steps: how many at most.
    classes: how many are looked at, the likeliest.
    overshoot: a share of the change.
    Returns misread images (N, C, H, W) in [0, 1], or the last ones where none was found in that
        many steps.
    """
    labels, logits = validated_start(model, images, labels)
    validate_count(steps=steps)
    validate_count(classes=classes, at_least=2)  # the label's, and one to go to
    validate_number(overshoot=overshoot, at_least=0)
    images = images.detach()
    rivals = logits.scatter(1, labels[:, None], -torch.inf)
    others = rivals.topk(min(classes, logits.shape[1]) - 1).indices
    x = images.clone()
    total = torch.zeros_like(images)
    rows = torch.arange(len(images), device=images.device)
    for _ in range(steps):
        here = x[rows].requires_grad_(True)
        logits = logits_of(model, here)
        going = logits.argmax(1) == labels[rows]
        if not going.any():
            break
        # (n, classes - 1), below 0
        margins = logits.gather(1, others[rows]) - of_labels(logits, labels[rows])[:, None]
        gradients = torch.stack(
            [
                gradient_of(margins[:, j].sum(), here, retain_graph=True)
                for j in range(margins.shape[1])
            ],
            1,
        )[going]
        size = gradients.flatten(2).norm(dim=2).clamp(min=1e-12)
        rows = rows[going]
        # a little more, or black and white hold it back for ever
        far = margins.detach()[going].abs() / size + 1e-4
        border = far.argmin(1, keepdim=True)
        directions = gradients / size[..., None, None, None]
        direction = directions.take_along_dim(border.view(-1, 1, 1, 1, 1), 1)[:, 0]
        total[rows] += (far.gather(1, border).view(-1, 1, 1, 1) * direction).to(total)
        x[rows] = (images[rows] + (1 + overshoot) * total[rows]).clamp(0, 1)
    return x


def sizes(change: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three sizes of each change (N, C, H, W).

    Returns ℓ₀, the pixels touched; ℓ₂, its length; ℓ∞, its largest number. Each (N,).
    """
    touched = (change != 0).any(1).flatten(1).sum(1)
    return touched, change.flatten(1).norm(dim=1), change.flatten(1).abs().amax(1)
