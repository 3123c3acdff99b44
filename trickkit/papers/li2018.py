"""Li et al. 2018, Visualizing the Loss Landscape of Neural Nets, arXiv:1712.09913, in small: deep
and shallow networks, with skip connections and without, and slices through their landscapes.

Trained and measured once by `make weights`; data/weights/landscapes.safetensors keeps both.
"""

import numpy as np
import torch
from safetensors.numpy import load_file

from trickkit import data, landscapes, models, training
from trickkit.common import unknown
from trickkit.contract import device

FILE = "weights/landscapes.safetensors"
# name -> (convolutions, skips, epochs). 0 epochs: as it was drawn.
NETWORKS = {
    "54 with skips": (54, True, 6),
    "54 without": (54, False, 12),
    "18 with skips": (18, True, 6),
    "18 without": (18, False, 6),
    "54 with skips, untrained": (54, True, 0),
    "54 without, untrained": (54, False, 0),
}
IMAGES = 200  # of the training images, for a slice
PAIRS = 5  # of random directions
POINTS = 25  # along each side of a slice


def untrained_network(name: str, *, seed: int = 0) -> landscapes.DeepNetwork:
    """One of `NETWORKS` as it was drawn.

    seed: of the first weights.
    Raises ValueError for an unknown name.
    """
    if name not in NETWORKS:
        raise unknown("network", name, NETWORKS)
    convolutions, skips, _ = NETWORKS[name]
    return landscapes.DeepNetwork(convolutions, skips=skips, seed=seed).eval().to(device())


def trained_network(name: str, *, full: bool = False, seed: int = 0) -> landscapes.DeepNetwork:
    """One of `NETWORKS`, trained anew on the course's 10,000 clothes, its weights rounded to half
    as many bits, as they are kept.

    full: train on all 60,000.
    seed: of the first weights and the order of the clothes.
    Raises ValueError for an unknown name.
    """
    clothes = data.clothes(full=full)
    model = training.train(
        untrained_network(name, seed=seed),
        clothes.train_images,
        clothes.train_labels,
        epochs=NETWORKS[name][2],
        seed=seed,
        schedule=training.cosine_decay,
    )
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.half())
    return model


def network(name: str) -> landscapes.DeepNetwork:
    """One of `NETWORKS` as the course keeps it, frozen.

    Raises ValueError for an unknown name, FileNotFoundError where the weights are missing.
    """
    return models.load_weights(untrained_network(name), FILE, prefix=f"{name}.")


def landscape(model: landscapes.DeepNetwork) -> landscapes.Landscape:
    """What its slices are cut from: the loss on the first `IMAGES` clothes."""
    clothes = data.clothes()
    return landscapes.Landscape(model, clothes.train_images[:IMAGES], clothes.train_labels[:IMAGES])


def measured_slices(
    model: landscapes.DeepNetwork, *, pairs: int = PAIRS, seed: int = 0
) -> np.ndarray:
    """Slices through a network's landscape, (pairs, POINTS, POINTS).

    pairs: of random directions.
    seed: of the directions; another seed, others.
    """
    land = landscape(model)
    slices = [
        landscapes.surface(
            land,
            land.start,
            land.direction(seed=2 * pair),
            land.direction(seed=2 * pair + 1),
            points=POINTS,
        )
        for pair in range(pairs * seed, pairs * (seed + 1))
    ]
    return np.stack(slices)


def slices(name: str) -> np.ndarray:
    """The slices through a network's landscape as the course keeps them, (PAIRS, POINTS, POINTS).

    Raises ValueError for an unknown name, FileNotFoundError where the file is missing.
    """
    if name not in NETWORKS:
        raise unknown("network", name, NETWORKS)
    return load_file(data.shipped(FILE))[f"{name}.slices"]
