"""Linear classifiers, where everything about tricking can be said exactly.

Scores are weights · x + biases. weights: (K, pixels), a template a class; biases: (K,); images:
(N, pixels). The margin of class y over j is the difference of their scores; an image is misread
once its label has lost one.
"""

import torch

from trickkit.common import validate_number
from trickkit.contract import described, validate_norm, validated_labels


def _validate_classifier(weights: torch.Tensor, biases: torch.Tensor, images: torch.Tensor) -> None:
    """Raise ValueError unless weights, biases and images are finite floats that go together."""
    given = {"weights": weights, "biases": biases, "images": images}
    for name, what in given.items():
        if not isinstance(what, torch.Tensor) or not what.is_floating_point():
            raise ValueError(f"{name} is {described(what)}; a torch tensor of floats is wanted.")
        if what.dtype != weights.dtype:
            raise ValueError(
                f"{name} is {what.dtype} and weights is {weights.dtype}; one of them is wanted."
                f" Use {name}.to(weights.dtype)."
            )
        if not what.isfinite().all():
            raise ValueError(f"{name} holds numbers that are not finite.")
    k, pixels = weights.shape if weights.dim() == 2 else (0, 0)
    if k < 2 or biases.shape != (k,) or images.shape[1:] != (pixels,) or not images.numel():
        raise ValueError(
            "Weights (K, pixels) of two classes or more, biases (K,) and images (N, pixels) are"
            f" wanted; the shapes are {tuple(weights.shape)}, {tuple(biases.shape)} and"
            f" {tuple(images.shape)}."
        )


def nudge(x: torch.Tensor, weights: torch.Tensor, *, eps: float) -> torch.Tensor:
    """Every number of x moved by ε so that the score weights · x rises most.

    Goodfellow et al. 2015, §3; Karpathy 2015 adds a fraction of w itself.

    This is x + ε · sign(w), which adds ε · Σ|w|.

    x, weights: the same shape (n,).
    eps: ε.
    """
    validate_number(eps=eps)
    return x + eps * weights.sign()


def shortest(
    weights: torch.Tensor, biases: torch.Tensor, image: torch.Tensor, label: int, target: int
) -> torch.Tensor:
    """The shortest change, in ℓ₂, that lifts the target's score to the label's.

    Moosavi-Dezfooli et al. 2016, arXiv:1511.04599, eq. 3.

    It goes straight along d = w_target − w_label, margin / ‖d‖² of it.

    weights: (K, pixels).
    biases: (K,).
    image: (pixels,).
    label, target: classes.
    Returns (pixels,).
    Raises ValueError where both classes have the same template, so that no change tells them apart,
        and for what does not fit.
    """
    _validate_classifier(weights, biases, image[None])
    for one in (label, target):
        validated_labels(one, image[None], len(weights))
    d = weights[target] - weights[label]
    if not d.any():
        raise ValueError(
            f"Classes {label} and {target} have the same template: no change of the image moves one"
            " against the other."
        )
    margin = -(d @ image + biases[target] - biases[label])
    return margin / (d @ d) * d


def distance(
    weights: torch.Tensor,
    biases: torch.Tensor,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    norm: str = "linf",
) -> torch.Tensor:
    """The smallest ε that makes a linear classifier misread each image, exactly.

    The margin of y over j shrinks by at most ε·‖w_y − w_j‖₁ under a change of ε per pixel ("linf"),
    by ε·‖w_y − w_j‖₂ under a change of length ε ("l2"). Pixels may leave [0, 1].

    weights: (K, pixels).
    biases: (K,).
    images: (N, pixels).
    labels: (N,).
    norm: "linf" or "l2".
    Returns (N,); 0 for those misread already.
    Raises ValueError for an unknown norm and what does not fit.
    """
    validate_norm(norm)
    _validate_classifier(weights, biases, images)
    labels = validated_labels(labels, images, len(weights))
    scores = images @ weights.T + biases
    margin = scores.gather(1, labels[:, None]) - scores
    reach = (weights[labels][:, None] - weights).norm(p=1 if norm == "linf" else 2, dim=2)
    # of two classes with one template and one score, neither is ahead
    far = torch.where((margin == 0) & (reach == 0), 0, margin / reach)
    return far.scatter(1, labels[:, None], torch.inf).amin(1).clamp(min=0)


def distance_in_box(
    weights: torch.Tensor,
    biases: torch.Tensor,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    norm: str = "linf",
) -> torch.Tensor:
    """As `distance`, for a change that must stay a picture.

    Pixels that reach black or white go no further. The best change of a given size is known (along
    sign(w_j − w_y), or along w_j − w_y, cut off at the bounds), and the margin falls as it grows,
    so bisection finds the size.

    weights, biases, images, labels, norm: as in `distance`.
    Returns (N,), as there; infinite where even the largest change flips nothing.
    Raises ValueError for an unknown norm and what does not fit.
    """
    validate_norm(norm)
    _validate_classifier(weights, biases, images)
    labels = validated_labels(labels, images, len(weights))
    away = weights[None] - weights[labels][:, None]  # (N, K, pixels): the way that raises j over y
    direction = away.sign() if norm == "linf" else away
    scores = images @ weights.T + biases
    margin = scores.gather(1, labels[:, None]) - scores

    def change(size):
        return (images[:, None] + size[..., None] * direction).clamp(0, 1) - images[:, None]

    low = torch.zeros_like(margin)
    # each pixel at its bound
    high = (1 / direction.abs().masked_fill(direction == 0, torch.inf).amin(2)).clamp(max=1e6)
    never = (change(high) * away).sum(2) < margin
    for _ in range(50):
        middle = (low + high) / 2
        enough = (change(middle) * away).sum(2) >= margin
        low = torch.where(enough, low, middle)
        high = torch.where(enough, middle, high)
    size = high if norm == "linf" else change(high).norm(dim=2)
    size = size.masked_fill(never, torch.inf).masked_fill(margin < 0, 0)
    return size.scatter(1, labels[:, None], torch.inf).amin(1)
