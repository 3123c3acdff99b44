"""The same attacks by us and by three other libraries, in one process, in turns: python
benchmarks/attacks.py [attack …]

Same images, same ε or the same steps, the same number of questions. On photographs the peers get
the network as timm builds it; ours has batch norm folded in and runs channels-last, which is the
same function (see tests/test_models.py). On digits all get the very same network. A run's success
is what that network says to the result; its distance is the median ℓ₂ over all images, a failure
counting as infinite, and stands only where an attack looks for the nearest; looks are how often the
network was shown a picture, a picture. One turn warms up.
"""

import logging
import statistics
import sys
import warnings

import foolbox
import numpy as np
import torch
import torchattacks
from art.attacks import evasion as art
from art.estimators.classification import PyTorchClassifier
from peers import measured, unfolded

from trickkit import attacks, contract, data, defences, models

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

ours = models.imagenet()
peer = unfolded()
photos = torch.cat([data.picture(name, size=224) for name in data.picture_names()])
names = ours(photos).argmax(1)
vulture = ours.index("vulture")
toaster = ours.index("toaster")

victim = defences.robust(0.0)
digits = data.digits()
asked = [0]  # images that any of the networks was shown
for network in (ours, peer, victim):
    network.register_forward_pre_hook(
        lambda _, given: asked.__setitem__(0, asked[0] + len(given[0]))
    )
right = victim(digits.test_images).argmax(1) == digits.test_labels
x = digits.test_images[right]
y = digits.test_labels[right]
doubtful = contract.margin(victim(x), y).argsort()[:20]


def as_art(model, shape, classes):
    return PyTorchClassifier(model, torch.nn.CrossEntropyLoss(), shape, classes, clip_values=(0, 1))


class Single(torch.nn.Module):
    """What comes as double, as ART's label-only attack has it, goes on as float."""

    def forward(self, images):
        return images.float()


art_photos = as_art(peer, (3, 224, 224), 1000)
art_digits = as_art(torch.nn.Sequential(Single(), victim), (1, 28, 28), 10)


def by_art(attack, images, labels=None, classes=1000):
    goal = None if labels is None else torch.nn.functional.one_hot(labels, classes).float().numpy()
    return torch.from_numpy(attack.generate(images.cpu().numpy(), goal)).to(images)


def by_foolbox(attack, model, images, labels, eps=None, targeted=False):
    aim = (
        foolbox.criteria.TargetedMisclassification(labels)
        if targeted
        else foolbox.criteria.Misclassification(labels)
    )
    return attack(foolbox.PyTorchModel(model, bounds=(0, 1)), images, aim, epsilons=eps)[1]


def aimed(attack, images, labels):
    attack.set_mode_targeted_by_label(quiet=True)
    return attack(images, labels)


def universal(change):
    """A change for all, added to 400 digits that it was not made from."""
    return (x[:400] + change).clamp(0, 1)


def arts_universal():
    base = {"eps": 0.05, "eps_step": 0.05, "max_iter": 1, "batch_size": 100, "verbose": False}
    attack = art.UniversalPerturbation(
        art_digits,
        attacker="pgd",
        attacker_params=base,
        delta=0.01,
        max_iter=2,
        eps=0.2,
        norm=np.inf,
        batch_size=100,
        verbose=False,
    )
    attack.generate(digits.train_images[:300].numpy())
    return universal(torch.from_numpy(attack.noise).view(1, 1, 28, 28))


def stuck(sticker):
    """A sticker on the four photographs it was not made from, ten times each, a tenth to a fifth of
    the picture.
    """
    return attacks.paste(
        photos[9:].repeat(10, 1, 1, 1),
        sticker,
        generator=torch.Generator().manual_seed(0),
        sizes=(0.36, 0.5),
    )


def arts_sticker():
    attack = art.AdversarialPatchPyTorch(
        art_photos,
        rotation_max=22.5,
        scale_min=0.3,
        scale_max=0.5,
        learning_rate=0.05,
        max_iter=40,
        batch_size=4,
        patch_shape=(3, 48, 48),
        patch_type="circle",
        optimizer="Adam",
        verbose=False,
    )
    goal = np.eye(1000, dtype=np.float32)[
        [toaster] * 8
    ]  # 40 rounds over eight photos in batches of four: 80 steps
    return stuck(torch.from_numpy(attack.generate(photos[:8].numpy(), goal)[0])[None].float())


EPS = 1 / 255
STEPS = 20
MI = 0.5 / 255
# name -> (ε to keep, None if it looks for the nearest; model that judges, images, labels, aimed,
# {library: run})
JOBS = {
    "pgd": (
        EPS,
        peer,
        photos,
        names,
        False,
        {
            "trickkit": lambda: attacks.pgd(
                ours, photos, names, eps=EPS, steps=STEPS, random_start=False
            ),
            "trickkit, no early stop": lambda: attacks.pgd(
                ours, photos, names, eps=EPS, steps=STEPS, random_start=False, early_stop=False
            ),
            "torchattacks": lambda: torchattacks.PGD(peer, EPS, EPS / 4, STEPS, random_start=False)(
                photos, names
            ),
            "foolbox": lambda: by_foolbox(
                foolbox.attacks.LinfPGD(rel_stepsize=0.25, steps=STEPS, random_start=False),
                peer,
                photos,
                names,
                EPS,
            ),
            "ART": lambda: by_art(
                art.ProjectedGradientDescent(
                    art_photos,
                    eps=EPS,
                    eps_step=EPS / 4,
                    max_iter=STEPS,
                    batch_size=13,
                    verbose=False,
                ),
                photos,
                names,
            ),
        },
    ),
    "pgd to vulture": (
        EPS,
        peer,
        photos,
        torch.full_like(names, vulture),
        True,
        {
            "trickkit": lambda: attacks.pgd(
                ours, photos, vulture, eps=EPS, steps=STEPS, targeted=True, random_start=False
            ),
            "torchattacks": lambda: aimed(
                torchattacks.PGD(peer, EPS, EPS / 4, STEPS, random_start=False),
                photos,
                torch.full_like(names, vulture),
            ),
            "foolbox": lambda: by_foolbox(
                foolbox.attacks.LinfPGD(rel_stepsize=0.25, steps=STEPS, random_start=False),
                peer,
                photos,
                torch.full_like(names, vulture),
                EPS,
                True,
            ),
        },
    ),
    "momentum": (
        MI,
        peer,
        photos,
        names,
        False,
        {
            "trickkit": lambda: attacks.momentum(ours, photos, names, eps=MI, steps=10),
            "torchattacks": lambda: torchattacks.MIFGSM(peer, MI, MI / 10, 10)(photos, names),
            "ART": lambda: by_art(
                art.MomentumIterativeMethod(
                    art_photos,
                    eps=MI,
                    eps_step=MI / 10,
                    max_iter=10,
                    decay=1.0,
                    batch_size=13,
                    verbose=False,
                ),
                photos,
                names,
            ),
        },
    ),
    "apgd": (
        MI,
        peer,
        photos,
        names,
        False,
        {
            "trickkit": lambda: attacks.apgd(ours, photos, names, eps=MI, steps=20, loss="ce"),
            "torchattacks": lambda: torchattacks.APGD(
                peer, eps=MI, steps=20, n_restarts=1, loss="ce"
            )(photos, names),
            "ART": lambda: by_art(
                art.AutoProjectedGradientDescent(
                    art_photos,
                    eps=MI,
                    eps_step=2 * MI,
                    max_iter=20,
                    nb_random_init=1,
                    loss_type="cross_entropy",
                    batch_size=13,
                    verbose=False,
                ),
                photos,
                names,
            ),
        },
    ),
    "cw": (
        None,
        peer,
        photos[:2],
        names[:2],
        False,
        {
            "trickkit": lambda: attacks.cw(
                ours, photos[:2], names[:2], searches=3, steps=30, lr=0.002, c=0.1
            ),
            "torchattacks": lambda: torchattacks.CW(peer, c=0.1, steps=90, lr=0.002)(
                photos[:2], names[:2]
            ),
            "foolbox": lambda: by_foolbox(
                foolbox.attacks.L2CarliniWagnerAttack(3, 30, 0.002, 0, 0.1),
                peer,
                photos[:2],
                names[:2],
            ),
            "ART": lambda: by_art(
                art.CarliniL2Method(
                    art_photos,
                    learning_rate=0.002,
                    binary_search_steps=3,
                    max_iter=30,
                    initial_const=0.1,
                    batch_size=2,
                    verbose=False,
                ),
                photos[:2],
                names[:2],
            ),
        },
    ),
    "deepfool": (
        None,
        peer,
        photos[1:3],
        names[1:3],
        False,
        {  # torchattacks' takes 1000 gradients a step
            "trickkit": lambda: attacks.deepfool(ours, photos[1:3], names[1:3]),
            "foolbox": lambda: by_foolbox(
                foolbox.attacks.L2DeepFoolAttack(steps=50, candidates=10),
                peer,
                photos[1:3],
                names[1:3],
            ),
            "ART": lambda: by_art(
                art.DeepFool(art_photos, 50, 0.02, 10, batch_size=2, verbose=False), photos[1:3]
            ),
        },
    ),
    "universal": (
        0.2,
        victim,
        x[:400],
        y[:400],
        False,
        {
            "trickkit": lambda: universal(
                attacks.universal(
                    victim,
                    digits.train_images[:300],
                    digits.train_labels[:300],
                    eps=0.2,
                    steps=100,
                    batch_size=50,
                )
            ),
            "ART": arts_universal,
        },
    ),
    "patch": (
        1,
        peer,
        photos[9:].repeat(10, 1, 1, 1),
        torch.full((40,), toaster),
        True,
        {
            "trickkit": lambda: stuck(
                attacks.patch(ours, photos[:8], toaster, side=48, steps=80, batch_size=4)
            ),
            "ART": arts_sticker,
        },
    ),
    "square": (
        0.05,
        peer,
        photos,
        names,
        False,
        {
            "trickkit": lambda: attacks.square(ours, photos, names, eps=0.05, queries=100),
            "torchattacks": lambda: torchattacks.Square(
                peer, eps=0.05, n_queries=100, loss="margin"
            )(photos, names),
            "ART": lambda: by_art(
                art.SquareAttack(art_photos, eps=0.05, max_iter=100, batch_size=13, verbose=False),
                photos,
                names,
            ),
        },
    ),
    "nes": (
        0.2,
        victim,
        x[:40],
        y[:40],
        False,
        {  # the nearest kin a peer has is SPSA
            "trickkit": lambda: attacks.nes(
                victim, x[:40], y[:40], eps=0.2, queries=1050, samples=20, sigma=0.01
            ),
            "torchattacks, SPSA": lambda: torchattacks.SPSA(
                victim, eps=0.2, delta=0.01, lr=0.01, nb_iter=50, nb_sample=20, max_batch_size=40
            )(x[:40], y[:40]),
        },
    ),
    "hop_skip_jump": (
        None,
        victim,
        x[:20],
        y[:20],
        False,
        {
            "trickkit": lambda: attacks.hop_skip_jump(victim, x[:20], y[:20], queries=3400),
            "foolbox": lambda: by_foolbox(
                foolbox.attacks.HopSkipJumpAttack(steps=13), victim, x[:20], y[:20]
            ),
            "ART": lambda: by_art(
                art.HopSkipJump(
                    art_digits, norm=2, max_iter=13, init_eval=100, batch_size=20, verbose=False
                ),
                x[:20],
                y[:20],
                10,
            ),
        },
    ),
    "one_pixel": (
        1,
        victim,
        x[doubtful],
        y[doubtful],
        False,
        {
            "trickkit": lambda: attacks.one_pixel(
                victim, x[doubtful], y[doubtful], generations=20, population=100
            ),
            "torchattacks": lambda: torchattacks.OnePixel(victim, pixels=1, steps=20, popsize=100)(
                x[doubtful], y[doubtful]
            ),
        },
    ),
}


def compare(name, eps, judge, images, labels, targeted, runs, rounds=2):
    times = {n: [] for n in runs}
    memory = dict.fromkeys(runs, 0.0)
    fooled = {}
    far = {}
    shown = {}
    for turn in range(rounds + 1):  # the first turn warms up
        for library, run in runs.items():
            asked[0] = 0
            torch.manual_seed(0)
            np.random.seed(0)
            moved, seconds, mib = measured(run)
            shown[library] = asked[0] / len(images)
            assert eps is None or (moved.to(images) - images).abs().max() <= eps + 1e-6, (
                f"{library} went further than ε"
            )
            hit = judge(moved.to(images)).argmax(1) == labels
            hit = hit if targeted else ~hit
            length = torch.where(hit, (moved - images).flatten(1).norm(dim=1), torch.inf)
            fooled[library] = hit.float().mean().item()
            far[library] = length.median().item()
            if turn:
                times[library].append(seconds)
                memory[library] = max(memory[library], mib)
    base = statistics.median(times["trickkit"])
    print(f"\n{name}: {len(images)} images, {torch.get_num_threads()} threads, median of {rounds}")
    print(
        f"{'':<26}{'success':>8}{'distance':>10}{'looks':>8}"
        f"{'seconds':>9}{'× ours':>8}{'added MiB':>11}"
    )
    for library in runs:
        seconds = statistics.median(times[library])
        distance = f"{far[library]:.3f}" if eps is None else ""
        print(
            f"{library:<26}{fooled[library]:>8.0%}{distance:>10}{shown[library]:>8.0f}"
            f"{seconds:>9.2f}{seconds / base:>8.1f}{memory[library]:>11.0f}",
            flush=True,
        )


for name in sys.argv[1:] or JOBS:
    compare(name, *JOBS[name])
