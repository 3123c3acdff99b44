"""Defences: networks that hold, certificates that say how far, and how a sham one is seen through.

All takes and gives what the course's attacks do: a model is any callable from pixels in [0, 1],
(N, C, H, W), to logits (N, K). `make weights` trains the networks that are shipped anew.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from trickkit import attacks
from trickkit.common import finite_number, validate_count, validate_number, whole_number
from trickkit.contract import (
    Model,
    asked,
    described,
    device,
    drawn_from,
    expanded_labels,
    logits_of,
    loss_gradient,
    per_image,
    predictions,
    seeded,
    validate_attack,
    validate_batch,
    validate_eval,
    validate_images,
)
from trickkit.models import accuracy, ensemble, load_weights
from trickkit.training import Augment

FILE = "weights/defended_digits.safetensors"
RADII = (0.0, 0.1, 0.2, 0.3)  # the ε that shipped networks were trained with
NOISES = (0.25, 0.5)  # the σ that shipped networks were trained with


# Training.


def digit_network(*, seed: int = 0) -> nn.Sequential:
    """The lesson's network for digits: (N, 1, 28, 28) -> (N, 10), 110,000 weights.

    Strides in place of pooling make it cheap enough to be attacked at every step of its training.
    Same seed, same weights.
    """
    with drawn_from(seed):
        return nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(1, 16, 4, stride=2, padding=1),
                relu1=nn.ReLU(),
                conv2=nn.Conv2d(16, 32, 4, stride=2, padding=1),
                relu2=nn.ReLU(),
                flatten=nn.Flatten(),
                hidden=nn.Linear(32 * 7 * 7, 64),
                relu3=nn.ReLU(),
                logits=nn.Linear(64, 10),
            )
        ).to(device())


def pgd_examples(eps: float, *, steps: int = 7) -> Augment:
    """Each batch at its worst: PGD's answer to max J(x + δ, y) over |δ| ≤ ε.

    Madry et al. 2018, arXiv:1706.06083, eq. 2.1.

    ε grows from 0 in the first two fifths of the training: at the full ε = 0.3 from the start, a
    network may learn nothing.

    eps: ε, in the end.
    steps: PGD's, a batch.
    """

    def augment(model, images, labels, done, generator):
        now = eps * min(1.0, done / 0.4)
        seed = int(torch.randint(2**31, (), generator=generator))
        return attacks.pgd(
            model,
            images,
            labels,
            eps=now,
            steps=steps,
            step_size=2.5 * now / steps,
            seed=seed,
            early_stop=False,
        )

    return augment


def gaussian_noise(sigma: float) -> Augment:
    """Each batch with Gaussian noise of standard deviation σ added.

    Cohen et al. 2019, arXiv:1902.02918, §3.3.
    """

    def augment(model, images, labels, done, generator):
        return images + sigma * torch.randn(images.shape, generator=generator).to(images)

    return augment


def shifts(then: Augment | None = None) -> Augment:
    """Each image moved by up to two pixels, and after that what `then` makes of it."""

    def augment(model, images, labels, done, generator):
        images = shifted(images, max_shift=2, generator=generator)
        return then(model, images, labels, done, generator) if then else images

    return augment


def shifted(images: torch.Tensor, *, max_shift: int, generator: torch.Generator) -> torch.Tensor:
    """Each image (N, 1, H, W) moved its own way, by up to `max_shift` pixels.

    Black comes in at the rim.
    """
    validate_batch(images, channels=1)
    validate_count(max_shift=max_shift, at_least=0)
    height, width = images.shape[2:]
    down, right = torch.randint(2 * max_shift + 1, (2, len(images), 1), generator=generator)
    rows = down + torch.arange(height)
    columns = right + torch.arange(width)
    padded = F.pad(images, (max_shift,) * 4)
    each = torch.arange(len(images))[:, None, None]
    return padded[each, 0, rows[:, :, None], columns[:, None, :]].unsqueeze(1)


# name -> what becomes of the images, epochs, and the seed of the first weights and of the order
RECIPES = {
    "eps0": (shifts(), 50, 0),
    "eps0.1": (shifts(pgd_examples(0.1)), 50, 0),
    "eps0.2": (shifts(pgd_examples(0.2)), 50, 0),
    "eps0.3": (shifts(pgd_examples(0.3)), 100, 0),
    "sigma0.25": (shifts(gaussian_noise(0.25)), 50, 0),
    "sigma0.5": (shifts(gaussian_noise(0.5)), 50, 0),
    "twin": (shifts(), 50, 5),
}


def _shipped(name: str) -> nn.Sequential:
    """A network of `RECIPES` as it came with the course, on `device()`."""
    return load_weights(digit_network(), FILE, prefix=f"{name}.")


def robust(eps: float) -> nn.Sequential:
    """The digit network trained against PGD with that ε: 0 (natural training), 0.1, 0.2 or 0.3.

    Raises ValueError for any other ε, FileNotFoundError or ValueError where the weights are missing
        or damaged.
    """
    if eps not in RADII:
        raise ValueError(
            f"There is no network trained with eps = {eps!r}; there are"
            f" {', '.join(f'{e:g}' for e in RADII)}."
        )
    return _shipped(f"eps{eps:g}")


def natural_twin() -> nn.Sequential:
    """The twin of `robust(0.0)`: same build, same digits, trained alike, but from other dice.

    It stands in for a network that an attacker may not look into.

    Raises FileNotFoundError or ValueError where the weights are missing or damaged.
    """
    return _shipped("twin")


def noise_trained(sigma: float) -> nn.Sequential:
    """The digit network trained with Gaussian noise of that σ: 0.25 or 0.5.

    Raises ValueError for any other σ, FileNotFoundError or ValueError where the weights are missing
        or damaged.
    """
    if sigma not in NOISES:
        raise ValueError(
            f"There is no network trained with sigma = {sigma!r}; there are"
            f" {', '.join(map(str, NOISES))}."
        )
    return _shipped(f"sigma{sigma:g}")


# Judging a defence by its worst case.


@torch.no_grad()
def withstood(
    model: Model, attempts: Sequence[torch.Tensor], labels: int | torch.Tensor
) -> torch.Tensor:
    """Which images held out against every attempt, read rightly each time.

    Carlini et al. 2019, arXiv:1902.06705: the worst case is taken image by image.

    attempts: batches (N, C, H, W), the same images under one attack each.
    Returns booleans (N,).
    Raises ValueError for no attempt, and for images, labels or a model that do not fit.
    """
    if len(attempts) == 0:
        raise ValueError("There is no attempt to withstand: a list of batches of images is wanted.")
    validate_eval(model)
    held = []
    for images in attempts:
        validate_batch(images)
        read = predictions(model, images, labels=labels)
        held.append(read == expanded_labels(labels, images))
    return torch.stack(held).all(0)


# Defences that hide the gradient, and how it is had all the same.


def quantised(images: torch.Tensor, *, levels: int = 4) -> torch.Tensor:
    """Each pixel at the nearest of a few grey levels from 0 to 1.

    Its gradient is 0 wherever it has one.
    """
    validate_batch(images)
    validate_levels(levels)
    return (images * (levels - 1)).round() / (levels - 1)


def dithered(images: torch.Tensor, *, levels: int = 4) -> torch.Tensor:
    """Each pixel at one of the two grey levels around it, by a toss.

    The nearer one is likelier, so that the mean is the pixel.
    """
    validate_batch(images)
    validate_levels(levels)
    return (images * (levels - 1) + torch.rand_like(images)).floor().clamp(max=levels - 1) / (
        levels - 1
    )


def clouded(images: torch.Tensor, *, levels: int = 4, sigma: float = 0.5) -> torch.Tensor:
    """Each pixel at the nearest of a few grey levels, then Gaussian noise. Nothing is clipped.

    Both halves of a defence that hides: no gradient comes through the rounding, and no two answers
    are alike.

    levels: how many grey levels.
    sigma: σ, the noise's standard deviation.
    """
    validate_sigma(sigma)
    return quantised(images, levels=levels) + sigma * torch.randn_like(images)


def validate_levels(levels: int) -> None:
    """Raise ValueError for fewer than two grey levels."""
    if (whole_number(levels) or 0) < 2:
        raise ValueError(
            f"levels is {levels!r}; a whole number of at least two grey levels is wanted."
        )


def straight_through(
    defence: Callable[[torch.Tensor], torch.Tensor],
) -> Callable[[torch.Tensor], torch.Tensor]:
    """A defence whose output stays as it is, and whose gradient is taken to be 1.

    Athalye et al. 2018, arXiv:1802.00420, §4.1.1: BPDA with the identity.

    It is right where a defence hardly moves its input.

    defence: images -> images, both (N, C, H, W).
    Returns the same kind of function; it raises ValueError where the defence returns another shape.
    """

    def opened(images):
        answer = asked(defence, images)
        if not isinstance(answer, torch.Tensor) or answer.shape != images.shape:
            raise ValueError(
                f"The defence should return images as it gets them, {tuple(images.shape)}; it"
                f" returned {described(answer)}."
            )
        return images + (answer - images).detach()

    return opened


def averaged(model: Model, *, draws: int) -> Model:
    """A randomised model's expectation: the logarithm of its mean probabilities, (N, K).

    Athalye et al. 2018, arXiv:1707.07397, §2.1: EOT.

    Its gradient is the gradient of the mean.

    draws: how many fresh answers the mean is of.
    Raises ValueError for no draws.
    """
    validate_count(draws=draws)
    return ensemble([model] * draws)


def break_defence(
    model: Model,
    defence: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    eps: float,
) -> torch.Tensor:
    """Images within ε (ℓ∞) that model(defence(images)) reads wrongly.

    For a defence that tosses coins and has no gradient: straight through it (BPDA), sixteen draws a
    step (EOT), PGD with no early stop, for one lucky toss is no success.
    """
    opened = straight_through(defence)
    return attacks.pgd(
        averaged(lambda x: asked(model, opened(x)), draws=16),
        images,
        labels,
        eps=eps,
        steps=20,
        early_stop=False,
    )


SIGNS = (
    "gradients are zero",
    "one step beats many",
    "noise beats the gradient",
    "a query attack beats the gradient",
    "a borrowed attack beats the gradient",
    "without a limit some still hold",
)


ASKED = {"gradient zero", "one step", "many steps", "noise", "queries", "borrowed", "no limit"}


def symptoms(
    model: Model, images: torch.Tensor, labels: int | torch.Tensor, *, eps: float, stand_in: Model
) -> dict[str, float]:
    """What to ask a defence, to see whether it only hides its gradient.

    Athalye et al. 2018, arXiv:1802.00420, §3.1; Carlini et al. 2019, arXiv:1902.06705.

    The answers are shares of the images, 0 to 1: those whose gradient is zero, and those read
    rightly under each attack within ε (ℓ∞), and at last without that limit.

    eps: ε.
    stand_in: another network, whose adversarial images are borrowed.
    Returns the shares by name; `suspicious` judges them.
    """
    validate_attack(model, images, eps=eps)

    def right(x):
        return accuracy(model, x, labels)

    radius = per_image(eps, images)
    random = [
        (images + attacks.random_in_ball(images, radius, norm="linf", seed=seed)).clamp(0, 1)
        for seed in range(20)
    ]
    largest = loss_gradient(model, images, labels).flatten(1).abs().amax(1)
    return {
        "gradient zero": (largest == 0).float().mean().item(),
        "one step": right(attacks.fgsm(model, images, labels, eps=eps)),
        "many steps": right(attacks.pgd(model, images, labels, eps=eps, steps=40)),
        "noise": withstood(model, random, labels).float().mean().item(),
        "queries": right(attacks.square(model, images, labels, eps=eps, queries=300)),
        "borrowed": right(
            attacks.pgd(stand_in, images, labels, eps=eps, steps=40, early_stop=False)
        ),
        "no limit": right(attacks.pgd(model, images, labels, eps=1.0, steps=40)),
    }


def suspicious(found: dict[str, float], *, tolerance: float = 0.02) -> list[bool]:
    """Which of `SIGNS` the answers of `symptoms` show.

    found: what `symptoms` returned.
    tolerance: a share of the images; less than that is no sign.
    Raises ValueError for answers that are missing, and a tolerance below 0.
    """
    validate_number(tolerance=tolerance, at_least=0)
    if missing := ASKED - found.keys():
        raise ValueError(
            f"found wants what symptoms returns; {', '.join(sorted(missing))} are missing."
        )
    many = found["many steps"] - tolerance
    return [
        found["gradient zero"] > tolerance,
        found["one step"] < many,
        found["noise"] < many,
        found["queries"] < many,
        found["borrowed"] < many,
        found["no limit"] > tolerance,
    ]


# Randomised smoothing.


def with_noise(model: Model, *, sigma: float, seed: int = 0) -> Model:
    """The model looking through Gaussian noise that is new at every call.

    sigma: σ, its standard deviation, in brightness, 0 to 1.
    seed: of the noise.
    """
    validate_sigma(sigma)
    generator = seeded(seed)

    def noisy(images):
        validate_batch(images)
        return asked(
            model, images + sigma * torch.randn(images.shape, generator=generator).to(images)
        )

    return noisy


@torch.no_grad()
def votes(
    model: Model, image: torch.Tensor, *, sigma: float, n: int, seed: int = 0
) -> torch.Tensor:
    """How often the model reads each class in n noisy copies of one image.

    Cohen et al. 2019, arXiv:1902.02918, §3.2: SAMPLEUNDERNOISE.

    The noise is not clipped to [0, 1].

    image: (1, C, H, W).
    sigma: σ, the noise's standard deviation.
    n: how many copies.
    seed: of the noise.
    Returns counts (K,), int64, with sum n.
    Raises ValueError for anything but one image, σ ≤ 0, no copies, or a model in train mode.
    """
    validate_batch(image)
    if len(image) != 1:
        raise ValueError(
            f"One image is wanted, (1, C, H, W); {len(image)} came. Certify them one after another."
        )
    validate_eval(model)
    validate_count(n=n)
    noisy = with_noise(model, sigma=sigma, seed=seed)
    counts = []
    for rows in torch.arange(int(n)).split(1000):
        logits = logits_of(noisy, image.expand(len(rows), -1, -1, -1))
        counts.append(logits.argmax(1).bincount(minlength=logits.shape[1]))
    return torch.stack(counts).sum(0)


def certificate(
    selection: torch.Tensor, counts: torch.Tensor, *, sigma: float, alpha: float = 0.001
) -> tuple[int, float]:
    """The class of the smoothed classifier and its certified ℓ₂ radius; or (-1, 0.0), to abstain.

    Cohen et al. 2019, arXiv:1902.02918, §3.2.2: CERTIFY.

    The class is the favourite of `selection`. The radius is σ·Φ⁻¹(p), with p the one-sided lower
    Clopper-Pearson bound, at confidence 1 - α, for how often the class comes up, from `counts`. It
    abstains unless p > 1/2.

    selection, counts: the classes of two separate sets of draws, (K,) each.
    sigma: σ, the noise's standard deviation.
    alpha: α, how often the certificate may be wrong.
    Raises ValueError for σ ≤ 0, α outside (0, 1), and no draws.
    """
    validate_sigma(sigma)
    validate_alpha(alpha)
    if not counts.sum() > 0:
        raise ValueError("There are no draws to count: counts are all 0.")
    label = int(selection.argmax())
    found = stats.binomtest(int(counts[label]), int(counts.sum()), alternative="greater")
    p = found.proportion_ci(confidence_level=1 - alpha).low
    return (label, float(sigma * stats.norm.ppf(p))) if p > 0.5 else (-1, 0.0)


def certify(
    model: Model,
    image: torch.Tensor,
    *,
    sigma: float,
    n0: int = 100,
    n: int = 1000,
    alpha: float = 0.001,
    seed: int = 0,
) -> tuple[int, float]:
    """The class that the smoothed classifier gives one image, and its certified ℓ₂ radius.

    Nothing within that radius changes the class; that is wrong with probability α at most.

    image: (1, C, H, W) in [0, 1].
    sigma: σ, the noise's standard deviation.
    n0: draws that choose the class.
    n: others, that bound its share.
    alpha: α.
    seed: of the noise.
    Returns the two, or (-1, 0.0) if it abstains.
    Raises ValueError for σ ≤ 0, α outside (0, 1), no draws, pixels outside [0, 1], a model in train
        mode.
    """
    validate_images(image)
    validate_alpha(alpha)
    seeded(seed)
    return certificate(
        votes(model, image, sigma=sigma, n=n0, seed=2 * seed),
        votes(model, image, sigma=sigma, n=n, seed=2 * seed + 1),
        sigma=sigma,
        alpha=alpha,
    )


def validate_sigma(sigma: float) -> None:
    """Raise ValueError unless σ is a number above 0."""
    if not (finite_number(sigma) or 0) > 0:
        raise ValueError(
            f"sigma is {sigma}; the noise wants a standard deviation above 0, as a share of black"
            " to white: 0.5."
        )


def validate_alpha(alpha: float) -> None:
    """Raise ValueError unless α is a probability strictly between 0 and 1."""
    if not 0 < (finite_number(alpha) or 0) < 1:
        raise ValueError(
            f"alpha is {alpha}; it is how often a certificate may be wrong, between 0 and 1: 0.001"
            " in the paper."
        )
