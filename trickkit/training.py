"""Training: one loop for the course's classifiers.
"""
import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import nn

from trickkit.common import progress
from trickkit.contract import check_images


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one processor core inside the `with`: small networks lose more by waiting for a second one than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def plain_loss(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy J of a batch: what `train` lowers unless told otherwise."""
    return nn.functional.cross_entropy(model(images), labels)


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int = 5, rate: float = 1e-3,
          decay: float = 0.0, batch: int = 100, seed: int = 0, loss: Callable = plain_loss) -> nn.Module:
    """Train a model in place by Adam, and hand it back in eval mode. Same seed, same order of images.

    images: (N, C, H, W) in [0, 1]; labels: (N,); rate: Adam's step; decay: L2 penalty decay/2 · ‖weights‖² added to the
    loss, biases left out (Kingma, Ba 2014, arXiv:1412.6980). loss: (model, images, labels) of a batch -> a number to lower.
    """
    check_images(images)
    weights = [p for p in model.parameters() if p.dim() > 1]
    biases = [p for p in model.parameters() if p.dim() <= 1]
    steps = torch.optim.Adam([{"params": weights, "weight_decay": decay}, {"params": biases}], lr=rate)
    order = torch.Generator().manual_seed(seed)
    model.train()
    for _ in progress(range(epochs), "training"):
        for rows in torch.randperm(len(images), generator=order).split(batch):
            rows = rows.to(images.device)
            value = loss(model, images[rows], labels[rows])
            steps.zero_grad()
            value.backward()
            steps.step()
    return model.eval()
