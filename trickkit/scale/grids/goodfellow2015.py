"""Goodfellow, Shlens, Szegedy 2015, "Explaining and Harnessing Adversarial Examples",
arXiv:1412.6572: all its numbers for handwritten digits.

A cell is one seed of all eleven networks, trained and measured by the functions of lesson 04. Ours
have 64 maxout units a layer and learn for 15 epochs without dropout, on 4,000 digits (full: MNIST's
60,000); the paper's have 240 and 1,600 units, dropout and early stopping on 50,000 to 60,000. Our
ensemble has three members, the paper's twelve. Two nulls stand beside its numbers: networks that
never learnt, and coin tosses of ±ε a pixel in place of the gradient's signs.
"""

import torch

from trickkit import data
from trickkit.papers import goodfellow2015
from trickkit.scale.grid import Grid, axes


def measure(*, seed: int, full: bool, epochs: int) -> dict[str, float]:
    """The paper's numbers from one seed; of untrained networks (0 epochs) the errors alone."""
    split = data.digits(full=full)
    nets = goodfellow2015.networks(split, seed=seed, epochs=epochs)
    found = goodfellow2015.measure(nets, split)
    ids = {f"goodfellow2015/{name}": value for name, value in found.items()}
    if not epochs:
        return {f"untrained: {id}": value for id, value in ids.items() if id.endswith("-error")}
    generator = torch.Generator().manual_seed(seed)
    coin = torch.randn(split.test_images.shape, generator=generator).sign().to(split.test_images)
    tossed = split.test_images + goodfellow2015.EPS * coin
    for id, name in (
        ("softmax-error", "softmax"),
        ("maxout-error", "maxout"),
        ("trained-error", "adversarial"),
        ("rbf-error", "rbf"),
    ):
        wrong, _ = goodfellow2015.mistakes(nets[name], tossed, split.test_labels)
        ids[f"coin tosses of ±ε: goodfellow2015/{id}"] = wrong
    return ids


FEW = "perhaps because of 4,000 digits to learn from"
SMALL = "perhaps 64 units, no dropout"
LESS = "perhaps a smaller network, trained less"
FIT = "perhaps the fit, which the paper does not describe; our β is a diagonal"
WHY = {
    "softmax-confidence": "perhaps the training: 79 after 10 epochs",
    "maxout-error": SMALL,
    "maxout-confidence": LESS,
    "logistic-clean": "perhaps the digits: 808 to learn from, 191 to test on",
    "clean-without": FEW,
    "clean-with": FEW,
    "trained-error": "perhaps 64 units, not 1,600",
    "trained-confidence": LESS,
    "transfer-to-trained": FEW,
    "transfer-to-original": SMALL,
    "noise-sign-error": SMALL,
    "noise-sign-confidence": LESS,
    "noise-even-error": SMALL,
    "noise-even-confidence": LESS,
    "rbf-error": FIT,
    "rbf-confidence": FIT,
    "agree-softmax": "perhaps our softmax, which misreads nearly all of them",
    "agree-rbf": "perhaps our RBF, which misreads half of them",
    "agree-softmax-both-wrong": FEW,
    "agree-rbf-both-wrong": FEW,
    "agree-rbf-softmax": FEW,
    "ensemble-error": f"perhaps 3 networks, not 12; {SMALL}",
    "ensemble-member-error": f"perhaps 3 networks, not 12; {SMALL}",
    "rubbish-maxout-error": LESS,
    "rubbish-maxout-confidence": LESS,
    "rubbish-favourite": "perhaps chance: another training, another favourite",
    "rubbish-sigmoid-error": FEW,
    "rubbish-sigmoid-confidence": LESS,
    "rubbish-softmax-error": "perhaps the training: 53 after 10 epochs",
    "rubbish-softmax-confidence": "perhaps the longer training",
}

GRID = Grid(
    measure=measure,
    settings=axes(epochs=(15, 0)),
    seeds=10,
    varies="the networks' first weights, the order of the digits, the coin tosses; not the digits",
    ours="4,000 digits to learn, 1,000 to test; 64 maxout units a layer, no dropout",
    ours_full="MNIST, 60,000 and 10,000; 64 maxout units a layer, no dropout",
    complete=data.digits,
    why={f"goodfellow2015/{name}": reason for name, reason in WHY.items()},
)
