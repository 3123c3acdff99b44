"""Madry, Makelov, Schmidt, Tsipras, Vladu 2018, "Towards Deep Learning Models Resistant to
Adversarial Attacks", arXiv:1706.06083: its numbers for handwritten digits at ε = 0.3.

A cell is one seed: two networks of lesson 06, trained with PGD and in the usual way, and test
digits drawn by that seed, under the lesson's attacks. Ours have 110,000 weights and learn from
4,000 digits for 100 epochs, as in the lesson (full: 60,000 for 25); the paper's takes 100,000 steps
of 50 digits. Nulls: the same attacks on the usual training, an untrained network, and coin
tosses of ±ε in place of the gradient's signs. Left out: CIFAR-10, attacks made on another network,
Carlini and Wagner's loss, 100 steps from 20 starts.
"""

import torch

from trickkit import attacks, data, defences, models, training
from trickkit.scale.grid import Grid

EPS = 0.3


def measure(*, seed: int, full: bool) -> dict[str, float]:
    """The share misread, in %, of two networks under each attack."""
    digits = data.digits(full=full)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(digits.test_images), generator=generator)[: 10_000 if full else 300]
    images, labels = digits.test_images[drawn], digits.test_labels[drawn]
    coin = torch.randn(images.shape, generator=generator).sign().to(images)
    tossed = (images + EPS * coin).clamp(0, 1)
    natural, robust = (
        training.train(
            defences.digit_network(seed=seed),
            digits.train_images,
            digits.train_labels,
            epochs=25 if full else 100,
            lr=2e-3,
            seed=seed,
            augment=defences.shifts(attacked),
            schedule=training.cosine_decay,
        )
        for attacked in (None, defences.pgd_examples(EPS))
    )

    def pgd(model, x, y, *, steps=40, start=0):
        return attacks.pgd(model, x, y, eps=EPS, steps=steps, step_size=0.01, seed=seed + start)

    def misread(model, x):
        return 100 * (1 - models.accuracy(model, x, labels))

    moved = {
        "natural": images,
        "fgsm": attacks.fgsm(robust, images, labels, eps=EPS),
        "pgd-40-1": pgd(robust, images, labels),
        "pgd-40-20": images.clone(),
    }
    for start in range(20):  # what fell is not tried again
        left = (robust(moved["pgd-40-20"]).argmax(1) == labels).nonzero()[:, 0]
        if len(left):
            again = pgd(robust, images[left], labels[left], start=1000 * start)
            moved["pgd-40-20"][left] = again
    longer = pgd(robust, images, labels, steps=100)
    attempts = [
        *moved.values(),
        longer,
        attacks.square(robust, images, labels, eps=EPS, queries=1000, seed=seed),
        attacks.pgd(natural, images, labels, eps=EPS, steps=40, seed=seed, early_stop=False),
        *(attacks.apgd(robust, images, labels, eps=EPS, loss=j, seed=seed) for j in ("ce", "dlr")),
    ]
    held = defences.withstood(robust, attempts, labels).float().mean().item()
    fgsm = attacks.fgsm(natural, images, labels, eps=EPS)
    found = {f"madry2018/{name}": misread(robust, x) for name, x in moved.items()} | {
        "madry2018/worst-known": 100 * (1 - held),
        "madry2018/natural-fgsm": misread(natural, fgsm),
        "untrained: madry2018/natural": misread(defences.digit_network(seed=seed).eval(), images),
        "usual training: madry2018/natural": misread(natural, images),
        "usual training: madry2018/pgd-40-1": misread(natural, pgd(natural, images, labels)),
        "coin tosses of ±ε: madry2018/natural-fgsm": misread(natural, tossed),
        "coin tosses of ±ε: madry2018/fgsm": misread(robust, tossed),
        "misread under PGD, 100 steps, 1 start, %": misread(robust, longer),
    }
    first = robust.state_dict()
    weights, bias = first["conv1.weight"].flatten(1), first["conv1.bias"]
    single = weights.abs().amax(1) > 0.95 * weights.abs().sum(1)
    found["filters of the first layer with a single weight, of 16"] = float(single.sum())
    if single.any():
        opens = -bias[single] / weights[single].sum(1)
        found["madry2018/threshold"] = opens.mean().item()
    return found


FEW = "perhaps fewer digits, weights and epochs"
GRID = Grid(
    measure=measure,
    seeds=5,
    varies="the networks, the digits tested, the dice of attacks; not the digits to learn from",
    ours="4,000 digits to learn, 100 epochs, 110,000 weights; 300 test digits a seed",
    ours_full="MNIST, 60,000 and 10,000; 25 epochs, 110,000 weights",
    complete=data.digits,
    why={
        f"madry2018/{name}": FEW
        for name in ("natural-fgsm", "natural", "fgsm", "pgd-40-1", "pgd-40-20", "worst-known")
    },
)
