"""Training: one loop for the course's classifiers."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from trickkit.common import progress_bar, validate_count, validate_number, validate_positive
from trickkit.contract import (
    Network,
    described,
    labels_tensor,
    logits_of,
    seeded,
    validate_images,
    validated_labels,
    with_gradients,
)

# (model, images, labels) -> a number to lower
Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
# (model, images, labels, share of the training that is done, generator) -> images
Augment = Callable[[nn.Module, torch.Tensor, torch.Tensor, float, torch.Generator], torch.Tensor]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one processor core inside the `with`.

    Small networks lose more by waiting for a second one than they gain.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def mean_cross_entropy(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """The mean cross-entropy J of a batch: what `train` lowers unless told otherwise."""
    logits = logits_of(model, images)
    return nn.functional.cross_entropy(logits, validated_labels(labels, images, logits.shape[1]))


def cosine_decay(done: float) -> float:
    """What is left of the learning rate once that share of the training is done: from 1 to 0.

    Loshchilov, Hutter 2017, arXiv:1608.03983, eq. 5, without restarts.
    """
    return (1 + math.cos(math.pi * done)) / 2


def _validate_loss(value: object) -> None:
    """Raise ValueError unless what a loss returned can be lowered."""
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
        raise ValueError(
            "The loss should return one number that torch can differentiate, such as a mean over"
            f" the batch; it returned {described(value)}."
        )
    if not value.isfinite():
        raise ValueError(
            f"The loss is {value.item():g}, and the weights would be lost. Take a smaller lr, or"
            " see whether the loss divides by 0."
        )


@with_gradients
def train(
    model: Network,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    epochs: int = 5,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    batch_size: int = 100,
    seed: int = 0,
    loss: Loss = mean_cross_entropy,
    augment: Augment | None = None,
    schedule: Callable[[float], float] | None = None,
) -> Network:
    """Train a model in place by Adam, and hand it back in eval mode.

    Kingma, Ba 2014, arXiv:1412.6980.

    Same seed, same order of images.

    images: (N, C, H, W) in [0, 1].
    labels: (N,).
    epochs: how often each image is seen.
    lr: Adam's step.
    weight_decay: L2 penalty weight_decay/2 · ‖weights‖² added to the loss, biases left out.
    batch_size: images a step.
    seed: of the order of images.
    loss: (model, images, labels) of a batch -> a number to lower.
    augment: what a batch of images becomes before the model sees it; None for images as they are.
    schedule: share of the training that is done -> share of lr, such as `cosine_decay`; None keeps
        lr as it is.
    Raises ValueError for pixels outside [0, 1], labels that are not one an image, settings that
        make no sense, a model whose weights are all frozen, a loss that is no finite number with a
        gradient, and images that `augment` made something else of.
    """
    validate_images(images)
    validate_count(batch_size=batch_size)
    validate_count(epochs=epochs, at_least=0)
    validate_positive(lr=lr)
    validate_number(weight_decay=weight_decay, at_least=0)
    labels = labels_tensor(labels).to(images.device)
    if labels.shape[:1] != images.shape[:1]:
        raise ValueError(
            f"One label an image is wanted, shape ({len(images)},); the labels' shape is"
            f" {tuple(labels.shape)}."
        )
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(
            "The model has no weight that may change. model.requires_grad_(True) thaws a frozen"
            " one."
        )
    weights = [p for p in model.parameters() if p.dim() > 1]
    biases = [p for p in model.parameters() if p.dim() <= 1]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": weight_decay},
        {"params": biases},
    ]
    optimizer = torch.optim.Adam(groups, lr=lr)
    generator = seeded(seed)
    steps = epochs * math.ceil(len(images) / batch_size)
    step = 0
    model.train()
    for _ in progress_bar(range(epochs), "training"):
        for rows in torch.randperm(len(images), generator=generator).split(int(batch_size)):
            step += 1
            rows = rows.to(images.device)
            x = images[rows]
            y = labels[rows]
            if schedule:
                for group in optimizer.param_groups:
                    group["lr"] = lr * schedule(step / steps)
            if augment:
                x = augment(model, x, y, step / steps, generator)
                if not isinstance(x, torch.Tensor) or x.shape[:1] != y.shape[:1]:
                    raise ValueError(
                        f"augment should return the {len(y)} images of a batch, (N, C, H, W); it"
                        f" returned {described(x)}."
                    )
            value = loss(model, x, y)
            _validate_loss(value)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return model.eval()
