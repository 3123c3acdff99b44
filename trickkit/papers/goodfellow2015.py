"""Adversarial training by the fast gradient sign, and the measurements of the paper that named it.

Goodfellow, Shlens, Szegedy 2015, "Explaining and Harnessing Adversarial Examples", arXiv:1412.6572.

Everything here is for handwritten digits, ε = 0.25 of the way from black to white. The paper's
x + ε · sign(∇J) is taken as it is printed, so a pixel may leave [0, 1]; `attacks.fgsm` is the same
step kept in the picture. Shares and confidences are percentages.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from trickkit import data, models, training
from trickkit.contract import asked, device, margin, with_gradients

EPS = 0.25


@with_gradients
def sign_step(
    model: Callable,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    eps: float = EPS,
    loss: Callable = F.cross_entropy,
) -> torch.Tensor:
    """x + ε · sign(∇ₓ J(x, y)), as the paper prints it.

    Goodfellow et al. 2015, §4.

    Pixels may leave [0, 1], and each moves by ε or not at all.

    images: (N, C, H, W).
    labels: (N,).
    eps: ε.
    loss: (outputs of the model, labels) -> J, the cross-entropy unless the model learnt another.
    """
    images = images.detach().clone().requires_grad_(True)
    gradient = torch.autograd.grad(loss(asked(model, images), labels), images)[0]
    return images.detach() + eps * gradient.sign()


def worst_case_loss(
    weights: torch.Tensor,
    bias: torch.Tensor,
    images: torch.Tensor,
    signs: torch.Tensor,
    *,
    eps: float,
) -> torch.Tensor:
    """Logistic regression's loss on the worst change of ε per pixel.

    Goodfellow et al. 2015, §5, which prints ζ(y(ε‖w‖₁ − w·x − b)), the same for y = +1 only.

    The mean of ζ(ε‖w‖₁ − y(w·x + b)), ζ the softplus: no change of ε per pixel can lower y(w·x + b)
    by more than ε‖w‖₁, and one does.

    weights: w, (pixels,).
    bias: b, ().
    images: (N, pixels).
    signs: y, (N,), +1 or −1.
    eps: ε.
    """
    return F.softplus(eps * weights.abs().sum() - signs * (images @ weights + bias)).mean()


def adversarial_loss(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    eps: float = EPS,
    alpha: float = 0.5,
) -> torch.Tensor:
    """α J(x, y) + (1 − α) J(x + ε · sign(∇ₓ J(x, y)), y), the step taken anew each time.

    Goodfellow et al. 2015, §6.

    For `training.train(…, loss=adversarial_loss)`. The step is that of the model as it is now; no
    gradient flows through the sign.
    """
    stepped = sign_step(model, images, labels, eps=eps)
    clean = F.cross_entropy(asked(model, images), labels)
    worst = F.cross_entropy(asked(model, stepped), labels)
    return alpha * clean + (1 - alpha) * worst


def logistic_loss(model: nn.Module, images: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
    """The mean of ζ(−y(w·x + b)) for a model with one output and labels y of +1 or −1."""
    return F.softplus(-signs * asked(model, images)[:, 0]).mean()


def sigmoid_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss of ten separate yes-or-no questions, p_k = σ(logit k).

    It is the mean over images of the sum over classes.
    """
    yes = F.one_hot(labels, logits.shape[1]).to(logits)
    return F.binary_cross_entropy_with_logits(logits, yes, reduction="sum") / len(labels)


def rbf_loss(log_chances: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss of `sigmoid_loss` for a `models.RBF`, which gives log p_k.

    It is −log p_y − Σ log(1 − p_k) over the other classes, mean over images.
    """
    log_no = torch.log(-torch.expm1(log_chances.clamp(max=-1e-6)))
    yes = F.one_hot(labels, log_chances.shape[1]).bool()
    return -torch.where(yes, log_chances, log_no).sum(1).mean()


def softmax(outputs: torch.Tensor) -> torch.Tensor:
    """Probabilities (N, K) that sum to 1, from logits."""
    return outputs.softmax(1)


@torch.no_grad()
def mistakes(
    model: Callable,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    probabilities: Callable = softmax,
) -> tuple[float, float]:
    """The share of images misread, and the mean confidence on those, both in %.

    Confidence is the largest probability, whatever the class.

    images: (N, C, H, W).
    labels: (N,).
    probabilities: from the model's outputs to probabilities (N, K): `softmax`, torch.sigmoid, or
        torch.exp for log p.
    """
    outputs = asked(model, images)
    sure = probabilities(outputs).amax(1)
    wrong = outputs.argmax(1) != labels
    confidence = 100 * sure[wrong].mean().item() if wrong.any() else 0.0
    return 100 * wrong.float().mean().item(), confidence


@torch.no_grad()
def rubbish(
    model: Callable, *, probabilities: Callable = softmax, count: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """What a model says to Gaussian noise, where the only right answer is "nothing".

    Goodfellow et al. 2015, App. A.

    The noise is N(0, 1) a pixel, not clipped. A false alarm is a class with p > ½.

    probabilities: as in `mistakes`.
    count: images of noise.
    seed: of the noise.
    Returns the share of false alarms, their mean confidence, and the share of the class most often
        given (all in %).
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 1, 28, 28, generator=generator).to(device())
    sure, read = probabilities(asked(model, noise)).max(1)
    alarm = sure > 0.5
    if not alarm.any():
        return 0.0, 0.0, 0.0
    favourite = read[alarm].bincount().max() / alarm.sum()
    return (
        100 * alarm.float().mean().item(),
        100 * sure[alarm].mean().item(),
        100 * favourite.item(),
    )


def agreement(
    reference: torch.Tensor, other: torch.Tensor, labels: torch.Tensor
) -> tuple[float, float]:
    """How often two models give the same class where the reference errs, and where both err, in %.

    reference, other: the classes given, (N,).
    labels: (N,).
    """
    same = reference == other
    first = reference != labels
    both = (reference != labels) & (other != labels)
    one_errs, both_err = (
        100 * same[rows].float().mean().item() if rows.any() else 0.0 for rows in (first, both)
    )
    return one_errs, both_err


def along(model: Callable, image: torch.Tensor, label: int, sizes: Sequence[float]) -> torch.Tensor:
    """One image moved by each ε in sizes along its own sign(∇ₓJ), a straight line.

    image: (1, C, H, W).
    label: its class.
    sizes: the ε.
    Returns (len(sizes), C, H, W).
    """
    labels = torch.tensor([label], device=image.device)
    direction = sign_step(model, image, labels, eps=1) - image
    return (
        image
        + torch.tensor(sizes, device=image.device, dtype=image.dtype).view(-1, 1, 1, 1) * direction
    )


def overtaken(model: Callable, images: torch.Tensor, labels: torch.Tensor) -> float:
    """The smallest ε, to a hundredth, at which a wrong class leads on the line of `along`.

    It is the median over images read rightly at 0.
    """
    direction = sign_step(model, images, labels, eps=1) - images
    first = torch.full((len(images),), torch.inf, device=images.device)
    for eps in torch.arange(100, -1, -1) / 100:
        first[asked(model, images + eps * direction).argmax(1) != labels] = eps.item()
    return first[first > 0].median().item()


def promised_and_found(
    model: Callable, images: torch.Tensor, labels: torch.Tensor, sizes: Sequence[float]
) -> tuple[list[float], list[float]]:
    """How far the right class's margin falls as ε grows: as a straight line has it, and in fact.

    Goodfellow et al. 2015, §3.

    The images go along their own gradient's sign. The margin is the label's logit less the largest
    of the others; both falls are means over the images. Promised is ε‖∇‖₁.

    images: (N, C, H, W).
    labels: (N,).
    sizes: the ε.
    Returns what was promised and what was found, a number an ε each.
    """

    def mean_margin(x):
        return margin(asked(model, x), labels).mean()

    x = images.clone().requires_grad_(True)
    gradient = torch.autograd.grad(mean_margin(x), x)[0]
    with torch.no_grad():
        found = [
            (mean_margin(images) - mean_margin(images - eps * gradient.sign())).item()
            for eps in sizes
        ]
    return [eps * gradient.abs().sum().item() for eps in sizes], found


def to_centre(
    model: models.RBF, images: torch.Tensor, labels: torch.Tensor, *, eps: float = EPS
) -> torch.Tensor:
    """Images moved to where an RBF network gives a wrong class the largest p that it can: exact.

    Not in the paper. log p_k is a sum over pixels, and each term rises as its pixel nears µ_k's. So
    the best for class k is every pixel as near as ε allows, and it remains to try each k but the
    label.

    images: (N, C, H, W).
    labels: (N,).
    eps: how far a pixel may move.
    """
    with torch.no_grad():
        tries = torch.stack(
            [images + (c.view_as(images[0]) - images).clamp(-eps, eps) for c in model.centres]
        )
        return best_wrong(
            tries, torch.stack([asked(model, t)[:, k] for k, t in enumerate(tries)]), labels
        )


def past_border(
    model: models.RBF, images: torch.Tensor, labels: torch.Tensor, *, eps: float = EPS
) -> torch.Tensor:
    """Images moved to where some wrong class of an RBF network leads the right one most: exact.

    Not in the paper. log p_k − log p_y is a sum over pixels too, of β_y(x − µ_y)² − β_k(x − µ_k)²:
    a parabola each, largest within ε at an end or at its turning point. Where no wrong class leads
    even so, no change of ε has the image misread.

    images: (N, C, H, W).
    labels: (N,).
    eps: how far a pixel may move.
    """
    with torch.no_grad():
        x = images.flatten(1)
        mu = model.centres
        beta = model.log_betas.exp()
        best = []  # for each class, the images moved to where it gains most
        for k in range(len(mu)):
            own = (mu[labels], beta[labels])
            other = (mu[k], beta[k])
            # 0/0 for the label itself, never taken
            turn = (own[0] * own[1] - other[0] * other[1]) / (own[1] - other[1])
            points = torch.stack([x - eps, x + eps, torch.nan_to_num(turn).clamp(x - eps, x + eps)])
            margins = own[1] * (points - own[0]).square() - other[1] * (points - other[0]).square()
            best.append(points.gather(0, margins.argmax(0, keepdim=True))[0].view_as(images))
        tries = torch.stack(best)
        said = torch.stack([asked(model, t) for t in tries])  # (K, N, K), log p of each try
        margins = (
            said.diagonal(dim1=0, dim2=2).T
            - said.gather(2, labels.expand(len(mu), -1)[..., None])[..., 0]
        )
        return best_wrong(tries, margins, labels)


def best_wrong(tries: torch.Tensor, gains: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Of a try for each class, each image's own that gains most, its label's left out.

    tries: (K, N, C, H, W).
    gains: (K, N).
    labels: (N,).
    Returns (N, C, H, W).
    """
    best = gains.scatter(0, labels[None], -torch.inf).argmax(0)
    return tries[best, torch.arange(len(best), device=best.device)]


def three_or_seven(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The 3s and 7s alone, and their signs as floats: −1 for a 3, +1 for a 7."""
    rows = (labels == 3) | (labels == 7)
    return images[rows], (labels[rows] == 7).to(images) * 2 - 1


@training.one_thread()
def networks(
    split: data.Split, *, seed: int = 0, epochs: int = 15, members: int = 3
) -> dict[str, nn.Module]:
    """Every network of the paper that digits permit, trained alike; a name each.

    logistic (3 or 7), softmax, maxout, adversarial, noise_sign, noise_even, sigmoid (maxout with a
    sigmoid loss), l1, rbf, and member1 … of an ensemble whose first is maxout.

    split: the digits.
    seed: of the starting weights, the order of the images and the noise.
    epochs: of each training; the shallow ones get a third more.
    members: of the ensemble.
    """
    images = split.train_images
    labels = split.train_labels
    generator = torch.Generator().manual_seed(seed)
    longer = epochs + epochs // 3  # for the shallow ones

    def noisy(noise):
        return lambda m, x, y: training.mean_cross_entropy(
            m, x + EPS * noise(torch.rand(x.shape, generator=generator).to(x) * 2 - 1), y
        )

    def decayed(m, x, y):
        return training.mean_cross_entropy(m, x, y) + 0.0025 * m.maxout1.linear.weight.abs().sum()

    def fit(
        model,
        loss=training.mean_cross_entropy,
        x=images,
        y=labels,
        lr=0.002,
        epochs=epochs,
        seed=seed,
    ):
        return training.train(model, x, y, epochs=epochs, lr=lr, seed=seed, loss=loss)

    def maxout(loss=training.mean_cross_entropy, seed=seed):
        return fit(models.maxout(seed=seed), loss, seed=seed)

    return {
        "logistic": fit(
            models.linear_classifier(1),
            logistic_loss,
            *three_or_seven(images, labels),
            lr=0.001,
            epochs=longer,
        ),
        "softmax": fit(models.linear_classifier(), lr=0.001, epochs=longer),
        "maxout": maxout(),
        "adversarial": maxout(adversarial_loss),
        "noise_sign": maxout(noisy(torch.sign)),
        "noise_even": maxout(noisy(torch.clone)),
        "sigmoid": maxout(lambda m, x, y: sigmoid_loss(m(x), y)),
        "l1": maxout(decayed),
        "rbf": fit(
            models.rbf(images, labels), lambda m, x, y: rbf_loss(m(x), y), lr=0.01, epochs=longer
        ),
        **{f"member{i}": maxout(seed=seed + 100 * i) for i in range(1, members)},
    }


def measure(nets: dict[str, nn.Module], split: data.Split) -> dict[str, float]:
    """The paper's numbers for the networks of one seed, in %.

    nets: as `networks` makes them.
    split: the digits.
    Returns a number a name; the names are those of data/papers.csv after "goodfellow2015/".
    """
    x = split.test_images
    y = split.test_labels
    digits37, signs = three_or_seven(x, y)
    aimed = {
        name: sign_step(nets[name], x, y)
        for name in ("softmax", "maxout", "adversarial", "noise_sign", "noise_even")
    }
    aimed37 = sign_step(
        lambda z: nets["logistic"](z)[:, 0],
        digits37,
        signs,
        loss=lambda z, s: F.softplus(-s * z).sum(),
    )
    rbf = nets["rbf"]
    maxout = nets["maxout"]
    committee = models.ensemble(
        [m for name, m in nets.items() if name == "maxout" or "member" in name]
    )
    own = {name: mistakes(nets[name], aimed[name], y) for name in aimed}
    rbf_own = mistakes(rbf, sign_step(rbf, x, y, loss=rbf_loss), y, probabilities=torch.exp)
    read = {name: nets[name](aimed["maxout"]).argmax(1) for name in ("maxout", "softmax", "rbf")}
    noise = {
        "maxout": rubbish(maxout),
        "sigmoid": rubbish(nets["sigmoid"], probabilities=torch.sigmoid),
        "softmax": rubbish(nets["softmax"]),
        "rbf": rubbish(rbf, probabilities=torch.exp),
    }
    softmax_agrees, rbf_agrees = (
        agreement(read["maxout"], read[name], y) for name in ("softmax", "rbf")
    )
    with torch.no_grad():
        found = {
            "softmax-error": own["softmax"][0],
            "softmax-confidence": own["softmax"][1],
            "maxout-error": own["maxout"][0],
            "maxout-confidence": own["maxout"][1],
            "logistic-clean": (
                100 * (signs * nets["logistic"](digits37)[:, 0] <= 0).float().mean().item()
            ),
            "logistic-error": (
                100 * (signs * nets["logistic"](aimed37)[:, 0] <= 0).float().mean().item()
            ),
            "l1-train-error": mistakes(nets["l1"], split.train_images, split.train_labels)[0],
            "clean-without": mistakes(maxout, x, y)[0],
            "clean-with": mistakes(nets["adversarial"], x, y)[0],
            "trained-error": own["adversarial"][0],
            "trained-confidence": own["adversarial"][1],
            "transfer-to-trained": mistakes(nets["adversarial"], aimed["maxout"], y)[0],
            "transfer-to-original": mistakes(maxout, aimed["adversarial"], y)[0],
            "noise-sign-error": own["noise_sign"][0],
            "noise-sign-confidence": own["noise_sign"][1],
            "noise-even-error": own["noise_even"][0],
            "noise-even-confidence": own["noise_even"][1],
            "rbf-error": rbf_own[0],
            "rbf-confidence": rbf_own[1],
            "rbf-clean-confidence": 100 * rbf(x).exp().amax(1).mean().item(),
            "agree-softmax": softmax_agrees[0],
            "agree-rbf": rbf_agrees[0],
            "agree-softmax-both-wrong": softmax_agrees[1],
            "agree-rbf-both-wrong": rbf_agrees[1],
            "agree-rbf-softmax": agreement(read["softmax"], read["rbf"], y)[1],
        }
    found["figure4-overtakes"] = overtaken(maxout, x[y == 4], y[y == 4])
    found |= {
        "ensemble-error": mistakes(committee, sign_step(committee, x, y), y)[0],
        "ensemble-member-error": mistakes(committee, aimed["maxout"], y)[0],
        "rubbish-maxout-error": noise["maxout"][0],
        "rubbish-maxout-confidence": noise["maxout"][1],
        "rubbish-favourite": noise["maxout"][2],
        "rubbish-sigmoid-error": noise["sigmoid"][0],
        "rubbish-sigmoid-confidence": noise["sigmoid"][1],
        "rubbish-softmax-error": noise["softmax"][0],
        "rubbish-softmax-confidence": noise["softmax"][1],
        "rubbish-rbf-error": noise["rbf"][0],
    }
    return found


def experiment(
    split: data.Split, *, seeds: Sequence[int] = (0, 1, 2), epochs: int = 15
) -> tuple[list, dict[str, list[float]]]:
    """`networks` and `measure` for each seed.

    split: the digits.
    seeds: one a run.
    epochs: as in `networks`.
    Returns the networks, a dict a seed, and for each name a list of numbers, one a seed.
    """
    nets = [networks(split, seed=seed, epochs=epochs) for seed in seeds]
    runs = [measure(n, split) for n in nets]
    return nets, {name: [run[name] for run in runs] for name in runs[0]}
