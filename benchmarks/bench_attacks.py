"""The same attacks by us and by three other libraries, in one process, in turns: python
benchmarks/bench_attacks.py [--tiny] [attack …]

Same images, same ε or the same steps, the same number of questions. On photographs the peers get
the network as timm builds it; ours has batch norm folded in and runs channels-last, which is the
same function (see tests/test_models.py). On digits all get the very same network. A run's success
is what the peers' network says to the result; its distance is the median ℓ₂ over all images, a
failure counting as infinite, and stands only where an attack looks for the nearest; looks are how
often a network was shown a picture, a picture. One turn warms up, and the median of two counts.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from side_by_side import chosen, costs, in_turns, installed, sized, table, unfolded

from trickkit import attacks, contract, data, defences, models

SIDE = sized(224, 64)
ours = models.imagenet()
theirs = unfolded()
photos = torch.cat([data.picture(name, size=SIDE) for name in data.picture_names()])
photos = photos[: sized(None, 3)]
names = ours(photos).argmax(1)
vulture = torch.full_like(names, ours.index("vulture"))
toaster = ours.index("toaster")
known = photos[: sized(8, 2)]
fresh = photos[sized(9, 2) :].repeat(10, 1, 1, 1)

victim = defences.robust(0.0)
digits = data.digits()
training = slice(sized(300, 50))
right = victim(digits.test_images).argmax(1) == digits.test_labels
x = digits.test_images[right]
y = digits.test_labels[right]
doubtful = contract.margin(victim(x), y).argsort()[: sized(20, 4)]

looks = [0]  # images that any of the networks was shown


def count(network, given):
    looks[0] += len(given[0])


for network in (ours, theirs, victim):
    network.register_forward_pre_hook(count)


# The libraries: an attack by its name there, with its options, is a run (model, images, labels) ->
# images.


def by_us(attack, **options):
    def run(model, images, labels):
        model = ours if model is theirs else model
        return getattr(attacks, attack)(model, images, labels, **options)

    return run


def by_torchattacks(attack, *, targeted=False, **options):
    def run(model, images, labels):
        import torchattacks

        made = getattr(torchattacks, attack)(model, **options)
        if targeted:
            made.set_mode_targeted_by_label(quiet=True)
        return made(images, labels)

    return run


def by_foolbox(attack, *, eps=None, targeted=False, **options):
    def run(model, images, labels):
        import foolbox

        goal = "TargetedMisclassification" if targeted else "Misclassification"
        criterion = getattr(foolbox.criteria, goal)(labels)
        model = foolbox.PyTorchModel(model, bounds=(0, 1), device=images.device)
        made = getattr(foolbox.attacks, attack)(**options)
        _, moved, _ = made(model, images, criterion, epsilons=eps)
        return moved

    return run


def by_art(attack, **options):
    def run(model, images, labels):
        from art.attacks import evasion

        estimator = as_art(model)
        made = getattr(evasion, attack)(estimator, batch_size=len(images), verbose=False, **options)
        goal = torch.nn.functional.one_hot(labels, estimator.nb_classes).float()
        return torch.from_numpy(made.generate(images.cpu().numpy(), goal.cpu().numpy()))

    return run


class Single(torch.nn.Module):
    """What comes as double, as ART's label-only attack has it, goes on as float."""

    def forward(self, images):
        return images.float()


@functools.cache
def as_art(model):
    from art.estimators.classification import PyTorchClassifier

    shape, classes = ((1, 28, 28), 10) if model is victim else ((3, SIDE, SIDE), 1000)
    return PyTorchClassifier(
        torch.nn.Sequential(Single(), model),
        torch.nn.CrossEntropyLoss(),
        shape,
        classes,
        clip_values=(0, 1),
    )


# What is made once for many images: from others than those that it is tried on.


def our_universal(model, images, labels):
    known = digits.train_images[training], digits.train_labels[training]
    change = attacks.universal(model, *known, eps=0.2, steps=sized(100, 10), batch_size=50)
    return (images + change).clamp(0, 1)


def arts_universal(model, images, labels):
    from art.attacks import evasion

    step = {"eps": 0.05, "eps_step": 0.05, "max_iter": 1, "batch_size": 100, "verbose": False}
    made = evasion.UniversalPerturbation(
        as_art(model),
        attacker="pgd",
        attacker_params=step,
        delta=0.01,
        max_iter=2,
        eps=0.2,
        norm=np.inf,
        batch_size=100,
        verbose=False,
    )
    made.generate(digits.train_images[training].cpu().numpy())
    return (images + torch.from_numpy(made.noise).view(1, 1, 28, 28).to(images)).clamp(0, 1)


def our_sticker(model, images, labels):
    side, steps = sized((48, 80), (16, 4))
    return stuck(attacks.patch(ours, known, toaster, side=side, steps=steps, batch_size=4), images)


def arts_sticker(model, images, labels):
    from art.attacks import evasion

    side, rounds = sized((48, 40), (16, 4))  # over eight photos in batches of four: 80 steps
    made = evasion.AdversarialPatchPyTorch(
        as_art(model),
        rotation_max=22.5,
        scale_min=0.3,
        scale_max=0.5,
        learning_rate=0.05,
        max_iter=rounds,
        batch_size=4,
        patch_shape=(3, side, side),
        patch_type="circle",
        optimizer="Adam",
        verbose=False,
    )
    goal = np.eye(1000, dtype=np.float32)[[toaster] * len(known)]
    return stuck(torch.from_numpy(made.generate(known.cpu().numpy(), goal)[0])[None], images)


def stuck(sticker, images):
    """A sticker, a tenth to a fifth of the picture, somewhere on each."""
    generator = torch.Generator().manual_seed(0)
    return attacks.paste(images, sticker.to(images), generator=generator, sizes=(0.36, 0.5))


class Job(NamedTuple):
    """An attack by several libraries.

    model: what is attacked, and says whether that succeeded.
    images, labels: what is attacked, and what it is to leave or, if targeted, to reach.
    runs: by library.
    eps: what each has to keep; None where the nearest is looked for.
    """

    model: torch.nn.Module
    images: torch.Tensor
    labels: torch.Tensor
    runs: dict[str, Callable]
    eps: float | None = None
    targeted: bool = False


EPS = sized(1, 4) / 255
MI = 0.5 / 255
STEPS = sized(20, 10)
MI_STEPS = sized(10, 5)
SEARCHES = sized(3, 1)
QUERIES = sized(100, 20)

JOBS = {
    "pgd": Job(
        theirs,
        photos,
        names,
        {
            "trickkit": by_us("pgd", eps=EPS, steps=STEPS, random_start=False),
            "trickkit, no early stop": by_us(
                "pgd", eps=EPS, steps=STEPS, random_start=False, early_stop=False
            ),
            "torchattacks": by_torchattacks(
                "PGD", eps=EPS, alpha=EPS / 4, steps=STEPS, random_start=False
            ),
            "foolbox": by_foolbox(
                "LinfPGD", eps=EPS, rel_stepsize=0.25, steps=STEPS, random_start=False
            ),
            "ART": by_art("ProjectedGradientDescent", eps=EPS, eps_step=EPS / 4, max_iter=STEPS),
        },
        eps=EPS,
    ),
    "pgd to vulture": Job(
        theirs,
        photos,
        vulture,
        {
            "trickkit": by_us("pgd", eps=EPS, steps=STEPS, targeted=True, random_start=False),
            "torchattacks": by_torchattacks(
                "PGD", eps=EPS, alpha=EPS / 4, steps=STEPS, random_start=False, targeted=True
            ),
            "foolbox": by_foolbox(
                "LinfPGD",
                eps=EPS,
                rel_stepsize=0.25,
                steps=STEPS,
                random_start=False,
                targeted=True,
            ),
        },
        eps=EPS,
        targeted=True,
    ),
    "momentum": Job(
        theirs,
        photos,
        names,
        {
            "trickkit": by_us("momentum", eps=MI, steps=MI_STEPS),
            "torchattacks": by_torchattacks("MIFGSM", eps=MI, alpha=MI / MI_STEPS, steps=MI_STEPS),
            "ART": by_art(
                "MomentumIterativeMethod", eps=MI, eps_step=MI / MI_STEPS, max_iter=MI_STEPS
            ),
        },
        eps=MI,
    ),
    "apgd": Job(
        theirs,
        photos,
        names,
        {
            "trickkit": by_us("apgd", eps=MI, steps=STEPS, loss="ce"),
            "torchattacks": by_torchattacks("APGD", eps=MI, steps=STEPS, loss="ce"),
            "ART": by_art(
                "AutoProjectedGradientDescent",
                eps=MI,
                eps_step=2 * MI,
                max_iter=STEPS,
                nb_random_init=1,
                loss_type="cross_entropy",
            ),
        },
        eps=MI,
    ),
    "cw": Job(
        theirs,
        photos[: sized(2, 1)],
        names[: sized(2, 1)],
        {
            "trickkit": by_us("cw", searches=SEARCHES, steps=30, lr=0.002, c=0.1),
            "trickkit, 20 steps": by_us("cw", searches=SEARCHES, steps=20, lr=0.002, c=0.1),
            "torchattacks": by_torchattacks("CW", c=0.1, steps=30 * SEARCHES, lr=0.002),
            "foolbox": by_foolbox(
                "L2CarliniWagnerAttack",
                binary_search_steps=SEARCHES,
                steps=30,
                stepsize=0.002,
                initial_const=0.1,
            ),
            "ART": by_art(
                "CarliniL2Method",
                learning_rate=0.002,
                binary_search_steps=SEARCHES,
                max_iter=30,
                initial_const=0.1,
            ),
        },
    ),
    "deepfool": Job(
        theirs,
        photos[1 : sized(3, 2)],
        names[1 : sized(3, 2)],
        {  # torchattacks' takes 1000 gradients a step
            "trickkit": by_us("deepfool"),
            "foolbox": by_foolbox("L2DeepFoolAttack", steps=50, candidates=10),
            "ART": by_art("DeepFool", max_iter=50, epsilon=0.02, nb_grads=10),
        },
    ),
    "universal": Job(
        victim,
        x[: sized(400, 100)],
        y[: sized(400, 100)],
        {"trickkit": our_universal, "ART": arts_universal},
        eps=0.2,
    ),
    "patch": Job(
        theirs,
        fresh,
        torch.full((len(fresh),), toaster).to(names),
        {"trickkit": our_sticker, "ART": arts_sticker},
        eps=1,
        targeted=True,
    ),
    "square": Job(
        theirs,
        photos,
        names,
        {
            "trickkit": by_us("square", eps=0.05, queries=QUERIES),
            "torchattacks": by_torchattacks("Square", eps=0.05, n_queries=QUERIES, loss="margin"),
            "ART": by_art("SquareAttack", eps=0.05, max_iter=QUERIES),
        },
        eps=0.05,
    ),
    "nes": Job(
        victim,
        x[: sized(40, 10)],
        y[: sized(40, 10)],
        {  # the nearest kin a peer has is SPSA
            "trickkit": by_us("nes", eps=0.2, queries=sized(1050, 525), samples=20, sigma=0.01),
            "torchattacks, SPSA": by_torchattacks(
                "SPSA",
                eps=0.2,
                delta=0.01,
                lr=0.01,
                nb_iter=sized(50, 25),
                nb_sample=20,
                max_batch_size=40,
            ),
        },
        eps=0.2,
    ),
    "hop_skip_jump": Job(
        victim,
        x[: sized(20, 3)],
        y[: sized(20, 3)],
        {
            "trickkit": by_us("hop_skip_jump", queries=sized(3400, 400)),
            "foolbox": by_foolbox("HopSkipJumpAttack", steps=sized(13, 2)),
            "ART": by_art("HopSkipJump", norm=2, max_iter=sized(13, 2), init_eval=100),
        },
    ),
    "one_pixel": Job(
        victim,
        x[doubtful],
        y[doubtful],
        {
            "trickkit": by_us("one_pixel", generations=sized(20, 2), population=sized(100, 20)),
            "torchattacks": by_torchattacks(
                "OnePixel", pixels=1, steps=sized(20, 2), popsize=sized(100, 20)
            ),
        },
        eps=1,
    ),
}


def compare(name, job):
    shown = {}

    def seeded(library, run):
        def again():
            torch.manual_seed(0)
            np.random.seed(0)
            looks[0] = 0
            moved = run(job.model, job.images, job.labels).to(job.images)
            shown[library] = looks[0] / len(job.images)
            return moved

        return again

    runs = {library: seeded(library, run) for library, run in installed(job.runs).items()}
    timed = in_turns(runs, turns=sized(3, 1))
    rows = costs(timed)
    for library, row in rows.items():
        moved = timed[library].result
        change = moved - job.images
        assert job.eps is None or change.abs().max() <= job.eps + 1e-6, f"{library} went too far"
        hit = (job.model(moved).argmax(1) == job.labels) == job.targeted
        row["success"] = f"{hit.float().mean():.0%}"
        row["looks"] = shown[library]
        if job.eps is None:
            lengths = torch.where(hit, change.flatten(1).norm(dim=1), torch.inf)
            row["distance"] = lengths.median().item()
    table(f"{name}: {len(job.images)} images, {torch.get_num_threads()} threads", rows)


for name, job in chosen(JOBS).items():
    compare(name, job)
