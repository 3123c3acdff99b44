"""Cohen, Rosenfeld, Kolter 2019, "Certified Adversarial Robustness via Randomized Smoothing",
arXiv:1902.02918: its table of certified accuracy, by noise σ and radius r.

A cell is one network of lesson 06 from one seed, trained with noise σ, and the certificates of test
digits drawn by that seed. The paper certifies photographs of a thousand classes with 100,000 votes;
ours are digits of ten classes, and 6,000 votes (full: 100,000): enough for 3σ, as far as its table
goes, where the lesson's 1,000 end at 2.5σ. Nulls, at the two σ of the lesson: a network trained in
the usual way, and an untrained one, which says one digit to all and is certain of it.
"""

import torch

from trickkit import data, defences, training
from trickkit.scale.grid import Grid, axes

IDS = {
    (0.25, 0.5): "cohen2019/quarter-half",
    (0.25, 1.0): "cohen2019/quarter-one",
    (0.5, 0.5): "cohen2019/half-half",
    (0.5, 1.0): "cohen2019/half-one",
}
RADII = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
EPOCHS = {"noise": 25, "usual training": 25, "untrained": 0}


def measure(*, seed: int, full: bool, training_with: str, sigma: float) -> dict[str, float]:
    """The share of digits read rightly and certified at least as far as each radius."""
    digits = data.digits(full=full)
    noise = defences.gaussian_noise(sigma) if training_with == "noise" else None
    net = training.train(
        defences.digit_network(seed=seed),
        digits.train_images,
        digits.train_labels,
        epochs=EPOCHS[training_with],
        lr=2e-3,
        seed=seed,
        augment=defences.shifts(noise),
        schedule=training.cosine_decay,
    )
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(digits.test_images), generator=generator)[: 500 if full else 50]
    reach = []
    for i in drawn:
        place, radius = defences.certify(
            net,
            digits.test_images[i : i + 1],
            sigma=sigma,
            n=100_000 if full else 6_000,
            seed=1_000_000 * seed + int(i),
        )
        reach.append(radius if place == digits.test_labels[i] else -1.0)  # -1: wrong, or none
    shares = {r: sum(far >= r for far in reach) / len(reach) for r in RADII}
    if training_with != "noise":
        return {
            f"{training_with}: {IDS[sigma, r]}": share
            for r, share in shares.items()
            if (sigma, r) in IDS
        }
    return {
        IDS.get((sigma, r), f"share certified, σ = {sigma:g}, r = {r:g}"): share
        for r, share in shares.items()
    }


EASIER = "perhaps because the task is easier: ten digits, not a thousand classes of photographs"
GRID = Grid(
    measure=measure,
    settings=[
        *axes(training_with=("noise",), sigma=(0.25, 0.5, 1.0)),
        *axes(training_with=("usual training", "untrained"), sigma=defences.NOISES),
    ],
    seeds=4,
    varies="the network, the digits that are certified, the votes; not the digits to learn from",
    ours="4,000 digits to learn, 25 epochs; 50 test digits a seed, 6,000 votes",
    ours_full="MNIST, 60,000 to learn, 25 epochs; 500 test digits a seed, 100,000 votes",
    complete=data.digits,
    why={
        "cohen2019/quarter-half": EASIER,
        "cohen2019/half-half": EASIER,
        "cohen2019/half-one": EASIER,
    },
)
