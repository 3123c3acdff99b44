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

    Theirs: Adam on w, with x' = (tanh(w) + 1)/2, minimises ‖x' − x‖² + c · max(margin + confidence,
    0). The margin says how far the label is ahead; c is the price of what is left of it, an image's
    own, and looked for. Ours: c rises by a fifth after each step that leaves the label ahead, and
    falls by as much after another, where theirs is bisected from search to search; a search begins
    at the nearest that was found, not at the image; and lr falls evenly to 0 over all searches.

    searches: how often Adam begins anew.
    steps: of each search; each asks once about each image.
    lr: Adam's first step, in w.
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
    result = images.clone()
    # in half precision black and white would lie at infinity all the same, and Adam divide by 0
    wide = images.to(torch.promote_types(images.dtype, torch.float32))
    nearest = torch.full((len(images),), torch.inf).to(wide)
    price = torch.full((len(images),), c).to(wide)
    start = torch.atanh((wide * 2 - 1) * 0.999999)  # black and white would lie at infinity
    for search in range(searches):
        w = start.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([w])
        for k in range(steps):
            x = (w.tanh() + 1) / 2
            margins = margin(logits_of(model, x.to(images.dtype)), labels, targeted=targeted)
            squared = (x - wide).square().flatten(1).sum(1)
            cost = squared + price * (margins + confidence).clamp(min=0)
            found = (margins + confidence <= 0) & (margins < 0)
            nearer = found & (squared < nearest)
            result[nearer] = x.detach()[nearer].to(result.dtype)
            nearest[nearer] = squared.detach()[nearer]
            start[nearer] = w.detach()[nearer]
            w.grad = gradient_of(cost.sum(), w)
            optimizer.param_groups[0]["lr"] = lr * (1 - (search + k / steps) / searches)
            optimizer.step()
            price = torch.where(found, price / 1.2, price * 1.2).clamp(1e-10, 1e10)
        start = torch.where(nearest.isinf().view(-1, 1, 1, 1), w.detach(), start)
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
