"""Attacks that only ask: for scores (square, nes, one_pixel) or for labels (hop_skip_jump)."""

import math
from collections.abc import Callable

import torch
from torch.nn import functional as F

from trickkit.attacks.gradient import steepest_step
from trickkit.common import (
    progress_bar,
    validate_count,
    validate_number,
    validate_positive,
)
from trickkit.contract import (
    Model,
    expanded_labels,
    logits_of,
    margin,
    predictions,
    seeded,
    validate_eps,
    validate_eval,
    validate_images,
    validated_start,
)


def square(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    eps: float,
    queries: int = 1000,
    targeted: bool = False,
    seed: int = 0,
) -> torch.Tensor:
    """Random squares, kept if they help. No gradients.

    Andriushchenko et al. 2020, arXiv:1912.00049, Algorithms 1 and 2.

    Begins with vertical stripes of ±ε; each query paints one square, each channel of it +ε or −ε,
    smaller and smaller squares as the budget runs out (§3.1; p = 0.8 of the image at first, the
    paper's for MNIST), and keeps it if the margin shrinks.

    eps: ε, per pixel.
    queries: how many questions an image, at most.
    targeted: labels are what to reach.
    seed: of the squares.
    Returns images (N, C, H, W) in [0, 1], at most ε from where they started.
    """
    labels, _ = validated_start(model, images, labels, targeted=targeted)
    validate_eps(eps, images)
    validate_count(queries=queries)
    images = images.detach()
    generator = seeded(seed)
    n, c, h, w = images.shape

    def signs(*shape):
        return (torch.randint(0, 2, shape, generator=generator) * 2 - 1).to(images) * eps

    x = (images + signs(n, c, 1, w)).clamp(0, 1)
    with torch.no_grad():
        margins = margin(logits_of(model, x), labels, targeted=targeted)
        for query in range(1, queries):
            rows = (margins >= 0).nonzero()[:, 0]
            if not len(rows):
                break
            side = max(round(math.sqrt(share_of_image(query / queries) * h * w)), 1)
            tops, lefts = (
                torch.randint(0, max(m - side, 0) + 1, (n, 1), generator=generator).to(rows)
                for m in (h, w)
            )
            row_offsets, column_offsets = (
                (torch.arange(m, device=rows.device) - at[rows])
                for m, at in ((h, tops), (w, lefts))
            )
            rows_in = (0 <= row_offsets) & (row_offsets < side)
            columns_in = (0 <= column_offsets) & (column_offsets < side)
            inside = (rows_in[:, :, None] & columns_in[:, None])[:, None]
            tried = torch.where(
                inside, (images[rows] + signs(n, c, 1, 1)[rows]).clamp(0, 1), x[rows]
            )
            after = margin(logits_of(model, tried), labels[rows], targeted=targeted)
            kept = after < margins[rows]
            x[rows[kept]], margins[rows[kept]] = tried[kept], after[kept]
    return x


def share_of_image(spent: float) -> float:
    """The share of the image that `square` repaints, halved at set times.

    spent: the share of the budget that is spent, 0 to 1.
    """
    return 0.8 / 2 ** sum(spent > at for at in (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8))


def nes(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    eps: float,
    queries: int = 10_000,
    samples: int = 50,
    sigma: float = 0.001,
    step_size: float | None = None,
    targeted: bool = False,
    seed: int = 0,
) -> torch.Tensor:
    """PGD down the label's margin, on a gradient guessed from answers alone.

    Ilyas et al. 2018, arXiv:1804.08598, §3.1.

    Each step follows the sign of nine tenths of the guess before and one tenth of the new.

    eps: ε, per pixel.
    queries: how many questions an image, at most.
    samples, sigma: as in `guess_gradient`.
    step_size: of each step, in pixels; ε/4 if not given.
    targeted: labels are what to reach.
    seed: of the guesses.
    Returns images (N, C, H, W) in [0, 1], at most ε from where they started.
    Raises ValueError for fewer queries than the samples + 1 of one step, and for σ ≤ 0.
    """
    labels, _ = validated_start(model, images, labels, targeted=targeted)
    validate_eps(eps, images)
    validate_count(queries=queries, samples=samples)
    step_size = eps / 4 if step_size is None else step_size
    validate_number(step_size=step_size, at_least=0)
    validate_positive(sigma=sigma)
    if queries <= samples:
        raise ValueError(
            f"queries is {queries}; one step asks samples + 1 = {samples + 1} times, so fewer lead"
            " nowhere."
        )
    images = images.detach()
    generator = seeded(seed)
    result = images.clone()
    with torch.no_grad():
        for i in progress_bar(range(len(images)), "asking"):

            def ask(points, label=labels[[i]]):
                return margin(
                    logits_of(model, points), label.expand(len(points)), targeted=targeted
                )

            x = images[[i]]
            gradient = torch.zeros_like(x)
            low = (x - eps).clamp(min=0)
            high = (x + eps).clamp(max=1)
            for _ in range(queries // (samples + 1)):
                if ask(x) < 0:
                    break
                gradient = 0.9 * gradient + 0.1 * guess_gradient(
                    ask, x, samples=samples, sigma=sigma, generator=generator
                )
                x = (x - step_size * gradient.sign().to(x)).clamp(low, high)
            result[i] = x[0]
    return result


def guess_gradient(
    ask: Callable,
    x: torch.Tensor,
    *,
    samples: int,
    sigma: float,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """The gradient of `ask` at x, (1, C, H, W), from its answers alone.

    Ilyas et al. 2018, §3.1, Algorithm 1, "NES".

    Random directions u come in pairs, u and −u; the guess is the mean of ask(x + σu) · u / σ over
    all of them. Right on average as σ → 0, with an error that falls as 1/√samples.

    ask: images (n, C, H, W) -> numbers (n,).
    x: (1, C, H, W).
    samples: an even number of questions.
    sigma: σ, in pixels.
    generator: torch's if None.
    Raises ValueError for an odd number of questions, or fewer than two, and σ ≤ 0.
    """
    validate_positive(sigma=sigma)
    validate_count(samples=samples)
    if samples % 2:
        raise ValueError(
            f"samples is {samples}; an even number is wanted, for the questions come in pairs."
        )
    u = torch.randn((samples // 2, *x.shape[1:]), generator=generator).to(x)
    u = torch.cat([u, -u])
    return (ask(x + sigma * u).view(-1, 1, 1, 1) * u).mean(0, keepdim=True) / sigma


def hop_skip_jump(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    queries: int = 2000,
    seed: int = 0,
) -> torch.Tensor:
    """A misread image near each image, found from the answered labels alone.

    Chen et al. 2020, arXiv:1904.02144, Algorithm 2.

    It starts from noise that is misread, bisects towards the image up to the border, tells the
    border's direction by asking on which side random points lie (eq. 9 and 16), jumps along it, and
    bisects again. ℓ₂. The points lie √dimensions times further out than the paper's, so that a
    coarser bisection will do, and a landing that is not nearer is not kept.

    model: images (n, C, H, W) -> logits (n, K), of which only the largest is used, or labels (n,).
    queries: how many questions an image, at most.
    seed: of the noise and the points.
    Returns misread images (N, C, H, W) in [0, 1]; the image itself if none was found.
    """
    validate_images(images)
    validate_eval(model)
    validate_count(queries=queries)
    labels = expanded_labels(labels, images)
    images = images.detach()
    generator = seeded(seed)
    with torch.no_grad():
        return torch.cat(
            [
                hop_skip_jump_one(
                    model, images[[i]], labels[i], queries=queries, generator=generator
                )
                for i in progress_bar(range(len(images)), "asking")
            ]
        )


def hop_skip_jump_one(
    model: Model,
    image: torch.Tensor,
    label: torch.Tensor,
    *,
    queries: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """`hop_skip_jump` for one image (1, C, H, W)."""
    left = queries
    dimensions = image.numel()

    def misread(points):  # (n,), False once the budget is spent
        nonlocal left
        asked = points[: max(left, 0)]
        left -= len(asked)
        wrong = torch.zeros(len(points), dtype=torch.bool, device=image.device)
        if len(asked):
            wrong[: len(asked)] = predictions(model, asked, labels=label) != label
        return wrong

    # noise of single pixels, then of ever larger blocks, down to one plain colour
    for k in range(50):
        blocks = max(1, *(m >> k % 8 for m in image.shape[2:]))
        x = F.interpolate(
            torch.rand((1, image.shape[1], blocks, blocks), generator=generator), image.shape[2:]
        ).to(image)
        if misread(x):
            break
    else:
        return image
    close = 0.1 / dimensions**0.5
    x = border(misread, image, x, close=close)
    for t in range(1, queries):
        distance = (x - image).norm()
        if left <= 0 or distance == 0:
            break
        count = min(int(100 * t**0.5), left)
        reach = distance / dimensions**0.5
        u = torch.randn((count, *image.shape[1:]), generator=generator).to(image)
        points = (x + reach * steepest_step(u, norm="l2")).clamp(0, 1)
        u = (points - x) / reach
        side = misread(points).to(image) * 2 - 1
        side = side - side.mean() if side.aminmax().min < side.max() else side
        direction = steepest_step((side.view(-1, 1, 1, 1) * u).mean(0, keepdim=True), norm="l2")
        jump = distance / t**0.5
        while left > 0 and jump > distance * 1e-4:
            if misread((x + jump * direction).clamp(0, 1)):
                break
            jump = jump / 2
        if left > 0 and jump > distance * 1e-4:
            landed = border(misread, image, (x + jump * direction).clamp(0, 1), close=close)
            x = landed if (landed - image).norm() < distance else x
    return x


def border(
    misread: Callable, image: torch.Tensor, far: torch.Tensor, *, close: float = 1e-3
) -> torch.Tensor:
    """A misread image just beyond the border, between one that is read right and one misread.

    Bisection looks at the middle and keeps the half that has the border, until it is short enough.

    misread: images (1, C, H, W) -> true or false.
    image, far: read right, and misread, (1, C, H, W).
    close: what is short enough, as a share of the whole way.
    Returns (1, C, H, W).
    """
    validate_number(close=close, at_least=1e-7)  # nearer, float32 knows no middle
    inside = 0.0
    outside = 1.0
    while outside - inside > close:
        middle = (inside + outside) / 2
        if misread(image + middle * (far - image)):
            outside = middle
        else:
            inside = middle
    return image + outside * (far - image)


def one_pixel(
    model: Model,
    images: torch.Tensor,
    labels: int | torch.Tensor,
    *,
    pixels: int = 1,
    generations: int = 100,
    population: int = 400,
    targeted: bool = False,
    seed: int = 0,
) -> torch.Tensor:
    """The few pixels that hurt most, bred by differential evolution.

    Su et al. 2019, arXiv:1710.08864, §3.2; the evolution is SciPy's.

    A candidate says for each of its pixels where it is and what colour; the label's margin is to be
    small. Children come from the best so far, as SciPy has it, where the paper's come from any.
    Ends as soon as one succeeds.

    pixels: how many, at most.
    generations: how many, at most.
    population: candidates of a generation, about.
    targeted: labels are what to reach.
    seed: of the evolution.
    Returns images (N, C, H, W) in [0, 1] in which at most `pixels` pixels are changed.
    """
    from scipy.optimize import differential_evolution

    labels, _ = validated_start(model, images, labels, targeted=targeted)
    validate_count(pixels=pixels, generations=generations)
    validate_count(population=population, at_least=5)
    images = images.detach()
    n, c, h, w = images.shape
    bounds = [(0, h - 1e-6), (0, w - 1e-6), *[(0, 1)] * c] * int(pixels)
    result = images.clone()

    def painted(image, genes):  # genes: (candidates, pixels · (2 + C))
        genes = torch.as_tensor(genes).to(image).view(len(genes), pixels, 2 + c)
        rows = genes[..., 0].long()
        columns = genes[..., 1].long()
        x = image.repeat(len(genes), 1, 1, 1)
        for p in range(pixels):
            x[torch.arange(len(x)), :, rows[:, p], columns[:, p]] = genes[:, p, 2:]
        return x

    for i in progress_bar(range(n), "breeding"):
        image = images[[i]]
        label = labels[[i]]

        @torch.no_grad()
        def margins(genes, image=image, label=label):
            logits = logits_of(model, painted(image, genes.T))
            ahead = margin(logits, label.expand(genes.shape[1]), targeted=targeted)
            return ahead.double().cpu().numpy()

        bred = differential_evolution(
            margins,
            bounds,  # type: ignore[arg-type]  # the stub forgets that a list of pairs will do
            popsize=max(population // len(bounds), 1),
            maxiter=generations,
            mutation=0.5,
            recombination=1,
            tol=-1,
            rng=seeded(seed).initial_seed(),
            polish=False,
            updating="deferred",
            vectorized=True,
            callback=lambda intermediate_result: intermediate_result.fun < 0,
        )
        result[i] = painted(image, bred.x[None])[0]
    return result
