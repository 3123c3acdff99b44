"""Kornblith, Norouzi, Lee, Hinton 2019, Similarity of Neural Network Representations Revisited,
arXiv:1905.00414, in small: networks that differ in their seed alone, and which of the indexes finds
out which layer of one is which of the other.

Trained once by `make weights`; data/weights/twins.safetensors keeps them.
"""

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import nn

from trickkit import activations, data, models, training
from trickkit.common import unknown
from trickkit.contract import device, drawn_from

FILE = "weights/twins.safetensors"
TWIN_SEEDS = (0, 1, 2)


class Design(NamedTuple):
    """How a network is made: its first layers' channels, its convolutions, how often it sees how
    many clothes.
    """

    width: int = 8
    depth: int = 8
    epochs: int = 3
    images: int = 10_000


DESIGNS = {
    "base": Design(),
    "untrained": Design(epochs=0),
    "1 epoch": Design(epochs=1),
    "10 epochs": Design(epochs=10),
    "1,000 images": Design(images=1000, epochs=30),
    "4 convolutions": Design(depth=4),
    "12 convolutions": Design(depth=12),
    "half the width": Design(width=4),
    "3 times the width": Design(width=24),
}


def compared_layers(design: Design) -> list[str]:
    """The layers that are compared: what each convolution puts out, their mean over all places, and
    the logits. As in the paper, 10 where there are 8 convolutions.
    """
    return [*(f"relu{i}" for i in range(1, design.depth + 1)), "flatten", "logits"]


def untrained_twin(name: str, *, seed: int) -> nn.Sequential:
    """A network of one of the `DESIGNS` as it was drawn: (N, 1, 28, 28) -> (N, 10).

    After the paper's plainest one: convolutions of 3 × 3, a third of them at each of three sizes of
    maps, with twice as many channels once the maps are halved; then the mean over all places.

    Raises ValueError for an unknown name.
    """
    if name not in DESIGNS:
        raise unknown("design", name, DESIGNS)
    design = DESIGNS[name]
    halved = (0, round(design.depth * 3 / 8), round(design.depth * 6 / 8))
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    before = 1
    with drawn_from(seed):
        for i in range(design.depth):
            channels = design.width * (1 if i < halved[1] else 2)
            parts[f"conv{i + 1}"] = nn.Conv2d(
                before, channels, 3, padding=1, stride=2 if i in halved else 1
            )
            parts[f"norm{i + 1}"] = nn.BatchNorm2d(channels)
            parts[f"relu{i + 1}"] = nn.ReLU()
            before = channels
        parts |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
        parts["logits"] = nn.Linear(before, 10)
    return nn.Sequential(parts).eval().to(device())


def trained_twin(name: str, *, seed: int) -> nn.Sequential:
    """A network of one of the `DESIGNS`, trained anew; its seed is also that of the pictures'
    order.
    """
    design = DESIGNS[name]
    clothes = data.clothes()
    return training.train(
        untrained_twin(name, seed=seed),
        clothes.train_images[: design.images],
        clothes.train_labels[: design.images],
        epochs=design.epochs,
        lr=2e-3,
        seed=seed,
        schedule=training.cosine_decay,
    )


def twin(name: str, *, seed: int = 0) -> nn.Sequential:
    """A network of one of the `DESIGNS` as the course keeps it, frozen.

    seed: one of `TWIN_SEEDS`.
    Raises ValueError for an unknown name or seed, FileNotFoundError where the weights are missing.
    """
    if seed not in TWIN_SEEDS:
        raise ValueError(f"seed is {seed!r}; the course keeps the networks of {TWIN_SEEDS}.")
    model = untrained_twin(name, seed=seed)
    if not DESIGNS[name].epochs:
        return model.requires_grad_(False)
    return models.load_weights(model, FILE, prefix=f"{name}.{seed}.")


@torch.no_grad()
def representations(
    name: str, images: torch.Tensor, *, seed: int, pooled: bool = False
) -> list[torch.Tensor]:
    """What the `compared_layers` of a twin that the course keeps say of images, (n, features).

    pooled: maps as their means over all places, a feature a channel.
    """
    network = twin(name, seed=seed)
    parts = [
        [
            out.mean((2, 3)) if pooled and out.dim() == 4 else out.flatten(1)
            for out in activations.read(network, some, *compared_layers(DESIGNS[name]))
        ]
        for some in images.split(50)
    ]
    return [torch.cat(layer) for layer in zip(*parts, strict=True)]
