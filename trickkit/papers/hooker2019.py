"""Hooker, Courville, Clark, Dauphin, Frome 2019, What Do Compressed Deep Neural Networks Forget?,
arXiv:1911.05248, in small: shoes that face right stand for a group that is rare in the training.

Trained and pruned once by `make weights`; data/weights/pruned_answers.safetensors keeps what each
network answers, a byte a picture.
"""

import copy

import torch
from torch import nn
from torch.nn.utils import prune

from trickkit import data, defences, training
from trickkit.common import progress_bar
from trickkit.contract import seeded
from trickkit.models import stored_weights

FILE = "weights/pruned_answers.safetensors"
SHOES = tuple(data.CLOTHES.index(name) for name in ("sandal", "sneaker", "boot"))
MIRRORED = {"rare": 0.03, "even": 0.5}  # how many of the shoes face right in training
SPARSITIES = (0.0, 0.9, 0.95, 0.975)  # shares of the weights that are taken out
HOW_MANY = 5  # of each kind, told apart by their seeds


def is_shoe(labels: torch.Tensor) -> torch.Tensor:
    """Which of these clothes are shoes: (N,) -> (N,) of bool."""
    return torch.isin(labels, torch.tensor(SHOES, device=labels.device))


def with_mirrored(
    images: torch.Tensor, labels: torch.Tensor, *, share: float, generator: torch.Generator
) -> torch.Tensor:
    """The clothes with some of the shoes mirrored: in this data set nearly all shoes face left.

    images, labels: (N, 1, 28, 28) and (N,).
    share: of the shoes, drawn at random.
    """
    shoes = is_shoe(labels).nonzero()[:, 0]
    drawn = torch.randperm(len(shoes), generator=generator)[: round(share * len(shoes))]
    rows = shoes[drawn.to(shoes.device)]
    images = images.clone()
    images[rows] = images[rows].flip(3)
    return images


def pictures_asked() -> tuple[torch.Tensor, torch.Tensor]:
    """What the networks are asked: the 2,000 test clothes as they are, then their 600 shoes,
    mirrored. Returns the images (2600, 1, 28, 28) and their labels (2600,).
    """
    clothes = data.clothes()
    shoes = is_shoe(clothes.test_labels)
    images = torch.cat([clothes.test_images, clothes.test_images[shoes].flip(3)])
    return images, torch.cat([clothes.test_labels, clothes.test_labels[shoes]])


def smaller(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, *, sparsity: float, seed: int
) -> nn.Module:
    """A copy of a network without its smallest weights, trained for one more epoch to repair it.

    images, labels: what it was trained on.
    sparsity: the share of all weights taken out, those nearest 0; a copy without any taken out is
        trained on as well, to be compared with.
    seed: of the order of images.
    """
    model = copy.deepcopy(model)
    if sparsity:
        parts = [(part, "weight") for part in model.modules() if hasattr(part, "weight")]
        prune.global_unstructured(parts, pruning_method=prune.L1Unstructured, amount=sparsity)
    return training.train(model, images, labels, lr=1e-3, epochs=1, seed=seed)


def asked_anew(kind: str, *, seed: int) -> torch.Tensor:
    """Train a network, prune it, ask it: what `answers_kept` keeps, a quarter of a minute.

    kind: one of `MIRRORED`.
    Returns its answers to `pictures_asked` at each of the `SPARSITIES`, (4, 2600) of uint8.
    """
    clothes = data.clothes()
    images = with_mirrored(
        clothes.train_images,
        clothes.train_labels,
        share=MIRRORED[kind],
        generator=seeded(seed),
    )
    model = training.train(
        defences.digit_network(seed=seed),
        images,
        clothes.train_labels,
        epochs=8,
        lr=2e-3,
        seed=seed,
        schedule=training.cosine_decay,
    )
    said = []
    for sparsity in SPARSITIES:
        small = smaller(model, images, clothes.train_labels, sparsity=sparsity, seed=seed)
        with torch.no_grad():
            said.append(small(pictures_asked()[0]).argmax(1).to(torch.uint8).cpu())
    return torch.stack(said)


def all_asked_anew() -> dict[str, torch.Tensor]:
    """Every network of every kind, for `make weights`: (5, 4, 2600) of uint8, by kind."""
    return {
        kind: torch.stack([asked_anew(kind, seed=seed) for seed in range(HOW_MANY)])
        for kind in progress_bar(MIRRORED, "kinds")
    }


def answers_kept(kind: str) -> torch.Tensor:
    """What the networks of a kind answered, as the course keeps it: (5, 4, 2600) of class numbers,
    by network, by sparsity, by picture of `pictures_asked`.

    kind: one of `MIRRORED`.
    Raises FileNotFoundError or ValueError where the file is missing or damaged.
    """
    return stored_weights(FILE)[kind].long()
