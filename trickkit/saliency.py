"""Saliency maps: how much each pixel speaks for the target.

A method is (model, images, targets, …) -> maps (N, H, W). A model is any callable from pixels in
[0, 1], (N, C, H, W), to logits (N, K); a method that looks inside wants a `torch.nn.Module`.
`targets` is a class for each image, an int64 tensor (N,), or one number for all. Each method joins
the channels as its paper does, draws nothing, and leaves the model as it was.

In this order: methods that ask for the gradient (gradient … integrated_gradients), that look inside
(guided_backprop, grad_cam), that only ask (occlusion, rise); what tells how far to trust a map
(deletion … similarity); how to make one lie.
"""

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

from trickkit.activations import hooked, read, submodule, validate_maps_of, validate_module
from trickkit.common import (
    progress_bar,
    validate_count,
    validate_number,
    validate_positive,
)
from trickkit.contract import (
    Model,
    described,
    expanded_labels,
    gradient_of,
    logits_of,
    of_labels,
    score_and_gradient,
    seeded,
    validate_eps,
    validate_eval,
    validate_images,
    validate_logits,
    validated_labels,
    with_gradients,
)

BATCH = 16  # images at a time: more fill the memory and gain nothing
FIRST, MORE = 15, 8  # pieces of the way that integrated gradients begin with, and halve at a time
GREY = 0.5  # what hides a pixel


def validated_targets(
    model: Model, images: torch.Tensor, targets: int | torch.Tensor
) -> torch.Tensor:
    """The targets, one an image (N,), once images and model are fit for a map.

    Raises ValueError for images, targets or a model that do not fit.
    """
    validate_images(images)
    validate_eval(model)
    return expanded_labels(targets, images)


def gradient(model: Model, images: torch.Tensor, targets: int | torch.Tensor) -> torch.Tensor:
    """|∂score/∂pixel|, the largest of a pixel's channels: (N, H, W).

    Simonyan et al. 2013, arXiv:1312.6034, §3.1.
    """
    targets = validated_targets(model, images, targets)
    return score_and_gradient(model, images, targets)[1].abs().amax(1)


def gradient_times_input(
    model: Model, images: torch.Tensor, targets: int | torch.Tensor
) -> torch.Tensor:
    """Σ over channels of pixel · ∂score/∂pixel: (N, H, W), of either sign.

    Shrikumar et al. 2016, arXiv:1605.01713.
    """
    targets = validated_targets(model, images, targets)
    return (images.detach() * score_and_gradient(model, images, targets)[1]).sum(1)


def smoothgrad(
    model: Model,
    images: torch.Tensor,
    targets: int | torch.Tensor,
    *,
    samples: int = 50,
    sigma: float = 0.15,
    seed: int = 0,
) -> torch.Tensor:
    """The mean gradient of noisy copies, joined as in `gradient`.

    Smilkov et al. 2017, arXiv:1706.03825, §2.1.

    The copies may leave [0, 1].

    samples: how many copies.
    sigma: of the Gaussian noise, as a share of the range of the image's own pixels.
    seed: of the noise.
    Returns (N, H, W), 0 and above.
    """
    targets = validated_targets(model, images, targets)
    validate_count(samples=samples)
    validate_positive(sigma=sigma)
    images = images.detach()
    generator = seeded(seed)
    spread = sigma * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))

    def noisy(k):
        return images + spread * torch.randn(images.shape, generator=generator).to(images)

    return mean_gradient(model, noisy, targets, count=samples).abs().amax(1)


def integrated_gradients(
    model: Model,
    images: torch.Tensor,
    targets: int | torch.Tensor,
    *,
    steps: int | None = None,
    baseline: float | torch.Tensor = 0.0,
    tolerance: float = 0.05,
    max_steps: int = 500,
) -> torch.Tensor:
    """(x − x') · the mean gradient on the straight way from x' to x.

    Sundararajan et al. 2017, arXiv:1703.01365, eq. 1.

    Completeness: a map's sum is the score of x less that of x', but for the error of the pieces
    that the way is cut into. Without `steps`, each image's way is cut where the score bends until
    that error is small (`until_complete`); a warning names the images where `max_steps` pieces were
    not enough.

    steps: how many equal pieces, each asked about at its middle, where eq. 3 takes their ends; None
        for as many as it takes.
    baseline: x', a grey or images; black if not given.
    tolerance: how much a sum may miss where steps is None, as a share of the score's difference.
    max_steps: the most pieces of an image's way where steps is None.
    Returns (N, H, W), of either sign.
    """
    targets = validated_targets(model, images, targets)
    validate_count(max_steps=max_steps, steps=max_steps if steps is None else steps)
    validate_positive(tolerance=tolerance)
    images = images.detach()
    difference = images - validated_baseline(baseline, images)
    if steps is None:
        ways = zip(images.split(1), difference.split(1), targets.split(1), strict=True)
        found = [
            until_complete(model, *way, tolerance=tolerance, max_steps=max_steps) for way in ways
        ]
        warn_of_misses([miss for _, miss in found], tolerance=tolerance, max_steps=max_steps)
        return torch.stack([m for m, _ in found])

    def between(k):
        return images - (1 - (k + 0.5) / steps) * difference

    return (difference * mean_gradient(model, between, targets, count=steps)).sum(1)


def until_complete(
    model: Model,
    image: torch.Tensor,
    difference: torch.Tensor,
    target: torch.Tensor,
    *,
    tolerance: float,
    max_steps: int,
) -> tuple[torch.Tensor, float]:
    """One image's integrated gradients by the trapezoid rule, and what their sum misses.

    The way begins as `FIRST` pieces, the shorter the nearer to x', where a picture has little
    contrast and its score bends most. Each piece's own miss is known, since the scores at its ends
    are; those `MORE` that miss most are halved, again and again, until two things are within the
    tolerance: what the sum misses, and the root of the pieces' squared misses. Without the second
    the first could be luck, for misses of either sign cancel.

    image, difference: x and x − x', (1, C, H, W).
    target: (1,).
    tolerance: as a share of the score's difference.
    max_steps: the most pieces.
    Returns the map (H, W), and the larger of the two as a share of the score's difference.
    """
    max_steps = int(max_steps)
    new = torch.linspace(0, 1, min(FIRST, max_steps) + 1, dtype=torch.double) ** 2
    places = scores = rates = torch.empty(0, dtype=torch.double)
    maps: list[torch.Tensor] = []
    while True:
        points = image - (1 - new).to(image).view(-1, 1, 1, 1) * difference
        said, slopes = score_and_gradient(model, points, target.expand(len(new)))
        maps.append((difference * slopes).sum(1))
        places, order = torch.cat([places, new]).sort()
        scores = torch.cat([scores, said.double().cpu()])[order]
        rates = torch.cat([rates, maps[-1].double().sum((1, 2)).cpu()])[order]
        maps = [torch.cat(maps)[order.to(image.device)]]
        pieces = places.diff()
        misses = pieces * (rates[1:] + rates[:-1]) / 2 - scores.diff()
        miss = max(misses.sum().abs(), misses.norm()).item()
        rise = (scores[-1] - scores[0]).abs().item()
        if miss <= tolerance * rise or len(pieces) >= max_steps:
            break
        worst = misses.abs().topk(min(MORE, len(pieces), max_steps - len(pieces))).indices
        new = places[worst] + pieces[worst] / 2
    weights = (F.pad(pieces, (1, 0)) + F.pad(pieces, (0, 1))) / 2
    return torch.einsum("k,khw->hw", weights.to(maps[0]), maps[0]), miss / rise if rise else miss


def warn_of_misses(misses: Sequence[float], *, tolerance: float, max_steps: int) -> None:
    """Warn of the images whose maps are not complete.

    misses: one an image, as `until_complete` returns it.
    """
    far = [f"{i} ({miss:.0%})" for i, miss in enumerate(misses) if miss > tolerance]
    if far:
        warnings.warn(
            f"After {max_steps} pieces the integrated gradients still miss more than"
            f" {tolerance:.0%} of the score's difference for image {', '.join(far[:5])}"
            f"{' …' if far[5:] else ''}. Ask for more with max_steps; where the score hardly"
            " differs from the baseline's, no number may be enough.",
            stacklevel=3,
        )


def validated_baseline(baseline: float | torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """What `integrated_gradients` starts from, as images.

    Raises ValueError for what is no grey in [0, 1], nor images of the same size.
    """
    try:
        start = torch.as_tensor(baseline).detach().to(images).expand_as(images)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            "The baseline is wanted as a grey, 0 to 1, or as images of the same size,"
            f" {tuple(images.shape)}; {described(baseline)} came."
        ) from None
    validate_images(start)
    return start


def mean_gradient(
    model: Model, variant: Callable[[int], torch.Tensor], targets: torch.Tensor, *, count: int
) -> torch.Tensor:
    """The mean over k < count of the scores' gradient at the images variant(k), (N, C, H, W)."""
    total = torch.zeros((), device=targets.device)
    for ks in torch.arange(count).split(max(BATCH // len(targets), 1)):
        points = torch.cat([variant(k) for k in ks.tolist()])
        _, gradients = score_and_gradient(model, points, targets.repeat(len(ks)))
        total = total + gradients.unflatten(0, (len(ks), -1)).sum(0)
    return total / count


def guided_backprop(
    model: nn.Module, images: torch.Tensor, targets: int | torch.Tensor
) -> torch.Tensor:
    """The gradient, with each ReLU letting only what is positive back, joined as in `gradient`.

    Springenberg et al. 2014, arXiv:1412.6806, fig. 1.

    Returns (N, H, W), 0 and above.
    Raises ValueError for a model without layers of ReLU or ReLU6: one that calls F.relu cannot be
        guided.
    """

    def pass_positive(_, __, out):
        if out.requires_grad:
            out.register_hook(lambda grad: grad.clamp(min=0))

    with hooked(model, relus(model), pass_positive):
        return gradient(model, images, targets)


def relus(model: nn.Module) -> list[nn.ReLU | nn.ReLU6]:
    """A model's layers of ReLU and ReLU6.

    Raises ValueError if it has none, or is no torch module.
    """
    validate_module(model)
    found = [m for m in model.modules() if isinstance(m, nn.ReLU | nn.ReLU6)]
    if not found:
        raise ValueError(
            "This model has no layers of nn.ReLU or nn.ReLU6, so there is nothing to change there. "
            "Where it calls F.relu, make that a layer."
        )
    return found


@with_gradients
def grad_cam(
    model: nn.Module, images: torch.Tensor, targets: int | torch.Tensor, layer: str
) -> torch.Tensor:
    """`cam` of a layer's maps and the score's gradient there, stretched to the image's size.

    Selvaraju et al. 2017.

    layer: its name, as `activations.layers` lists them; it puts out maps (N, channels, h, w), or
        (N, h, w, channels).
    Returns (N, H, W), 0 and above.
    Raises ValueError for a layer that puts out anything else.
    """
    validate_module(model)
    targets = validated_targets(model, images, targets)
    a, logits = read(model, images.detach().clone().requires_grad_(True), layer, "")
    validate_maps_of(layer, a)
    validate_logits(logits, count=len(images))
    targets = validated_labels(targets, images, logits.shape[1])
    grad = gradient_of(of_labels(logits, targets).sum(), a)
    return F.interpolate(cam(a.detach(), grad)[:, None], images.shape[2:], mode="bilinear")[:, 0]


def cam(maps: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """relu(Σ_k α_k A_k), where α_k is the mean gradient over channel k.

    Selvaraju et al. 2017, arXiv:1610.02391, eq. 1 and 2.

    maps: a layer's output A, (N, channels, h, w).
    gradients: the score's with respect to it, of the same shape.
    Returns (N, h, w).
    """
    alpha = gradients.mean((2, 3), keepdim=True)
    return (alpha * maps).sum(1).relu()


def guided_grad_cam(
    model: nn.Module, images: torch.Tensor, targets: int | torch.Tensor, layer: str
) -> torch.Tensor:
    """Guided backpropagation where Grad-CAM points, their product: (N, H, W), 0 and above.

    Selvaraju et al. 2017, §3.2.
    """
    return guided_backprop(model, images, targets) * grad_cam(model, images, targets, layer)


def target_probability(model: Model, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The model's probability for each image's target, (N,), without gradients.

    `BATCH` images are asked about at a time.
    """
    with torch.no_grad():
        logits = torch.cat([logits_of(model, part) for part in images.split(BATCH)])
    targets = validated_labels(targets, images, logits.shape[1])
    return of_labels(logits.softmax(1), targets).to(images.dtype)


def occlusion(
    model: Model,
    images: torch.Tensor,
    targets: int | torch.Tensor,
    *,
    window: int = 32,
    stride: int = 16,
) -> torch.Tensor:
    """How far the target's probability falls when a grey square hides a pixel.

    Zeiler, Fergus 2013, arXiv:1311.2901, §4.2.

    window: the square's side.
    stride: how far it moves. Both in pixels.
    Returns (N, H, W), of either sign: the mean over the squares that hide a pixel.
    Raises ValueError for a square larger than the image, or a stride that leaves gaps.
    """
    targets = validated_targets(model, images, targets)
    validate_count(window=window, stride=stride)
    h, w = images.shape[2:]
    if not stride <= window <= min(h, w):
        raise ValueError(
            f"The window is {window} and its stride {stride}; stride ≤ window ≤ {min(h, w)}, the"
            " image's side, is wanted, or some pixels are never hidden."
        )
    before = target_probability(model, images, targets)
    drops = []
    for top in range(0, h - window + stride, stride):
        row = []
        for left in range(0, w - window + stride, stride):
            hidden = images.clone()
            hidden[:, :, top : top + window, left : left + window] = GREY
            row.append(hidden)
        after = target_probability(model, torch.cat(row), targets.repeat(len(row)))
        drops.append(before - after.unflatten(0, (len(row), -1)))
    coarse = torch.stack(drops).permute(2, 0, 1)[:, None]  # (N, 1, rows, columns)
    square = coarse.new_ones(1, 1, window, window)
    total, count = (
        F.conv_transpose2d(d, square, stride=stride)[:, 0, :h, :w]
        for d in (coarse, torch.ones_like(coarse))
    )
    return total / count


def rise(
    model: Model,
    images: torch.Tensor,
    targets: int | torch.Tensor,
    *,
    masks: int = 2000,
    cells: int = 7,
    seed: int = 0,
) -> torch.Tensor:
    """The mean of random masks, each times the target's probability behind it.

    Petsiuk et al. 2018, arXiv:1806.07421, eq. 6.

    What a mask (`random_masks`) hides is grey, as in the authors' code.

    masks: how many.
    cells: squares of a mask, along each side.
    seed: of the masks.
    Returns (N, H, W), 0 and above.
    """
    targets = validated_targets(model, images, targets)
    validate_count(masks=masks, cells=cells)
    maps = torch.zeros_like(images[:, 0])
    for part in progress_bar(
        random_masks(masks, cells=cells, size=images.shape[2:], seed=seed),
        "asking",
        total=-(-masks // BATCH),
    ):
        part = part.to(images)
        for i, image in enumerate(images):
            said = target_probability(
                model, GREY + part[:, None] * (image - GREY), targets[i].expand(len(part))
            )
            maps[i] += torch.einsum("k,khw->hw", said, part)
    # a mask shows half of the image on average
    return maps / (masks * 0.5)


def random_masks(
    count: int, *, cells: int, size: Sequence[int], seed: int = 0
) -> Iterator[torch.Tensor]:
    """`count` soft masks in [0, 1], the same for the same seed.

    Petsiuk et al. 2018, §3.3.

    A coin decides each of cells × cells squares; they are stretched smoothly to a little more than
    the image and cut at random.

    count: how many.
    cells: squares along each side.
    size: (H, W).
    seed: of the coins and the cuts.
    Yields (k, H, W), `BATCH` masks at a time.
    Raises ValueError for a size that is no two whole numbers.
    """
    if not isinstance(size, Sequence) or len(size) != 2:
        raise ValueError(f"size is {size!r}; (height, width) is wanted.")
    validate_count(count=count, cells=cells, height=size[0], width=size[1])
    generator = seeded(seed)
    step = [-(-side // cells) for side in size]
    for part in torch.arange(count).split(BATCH):
        coins = torch.randint(0, 2, (len(part), 1, cells, cells), generator=generator).float()
        smooth = F.interpolate(coins, [(cells + 1) * s for s in step], mode="bilinear")[:, 0]
        tops, lefts = (
            torch.randint(0, s, (len(part),), generator=generator).tolist() for s in step
        )
        yield torch.stack(
            [
                m[y : y + size[0], x : x + size[1]]
                for m, y, x in zip(smooth, tops, lefts, strict=True)
            ]
        )


def deletion(
    model: Model,
    images: torch.Tensor,
    targets: int | torch.Tensor,
    maps: torch.Tensor,
    *,
    steps: int = 28,
) -> torch.Tensor:
    """The target's probability while pixels turn grey, those highest in the map first.

    Petsiuk et al. 2018, §4.1.

    A good map falls early: the mean, `area`, is small.

    maps: (N, H, W).
    steps: equal parts of the pixels.
    Returns (N, steps + 1), from the whole image to none of it.
    """
    validate_images(images)
    return probability_curve(
        model, images, torch.full_like(images, GREY), targets, maps, steps=steps
    )


def insertion(
    model: Model,
    images: torch.Tensor,
    targets: int | torch.Tensor,
    maps: torch.Tensor,
    *,
    steps: int = 28,
) -> torch.Tensor:
    """The target's probability while a blurred copy turns sharp, pixels highest in the map first.

    Petsiuk et al. 2018, §4.1.

    Pixels of the image replace those of the copy; its blur is a Gaussian of 5 pixels. A good map
    rises early: `area` is large.

    maps: (N, H, W).
    steps: equal parts of the pixels.
    Returns (N, steps + 1), from the blurred copy to the image.
    """
    validate_images(images)
    # a small image is mirrored at its rim, and cannot be so further than it is wide
    kernel = min(11, 2 * min(images.shape[2:]) - 1)
    return probability_curve(
        model, gaussian_blur(images, kernel, 5), images, targets, maps, steps=steps
    )


def probability_curve(
    model: Model,
    before: torch.Tensor,
    after: torch.Tensor,
    targets: int | torch.Tensor,
    maps: torch.Tensor,
    *,
    steps: int,
) -> torch.Tensor:
    """The target's probability as one image gives way to another, highest in the map first.

    before, after: images (N, C, H, W).
    maps: (N, H, W).
    steps: equal parts of the pixels.
    Returns (N, steps + 1).
    """
    targets = validated_targets(model, before, targets)
    validate_count(steps=steps)
    steps = int(steps)
    validate_maps(maps, images=before)
    place = pixel_ranks(maps)[:, None]
    pixels = maps[0].numel()
    mixed = (
        torch.where(place < round(k / steps * pixels), after, before) for k in range(steps + 1)
    )
    return torch.stack([target_probability(model, images, targets) for images in mixed], 1)


def pixel_ranks(maps: torch.Tensor) -> torch.Tensor:
    """The place of each pixel in its map's order: 0 for the highest; of equals, the first.

    maps: (N, H, W).
    Returns (N, H, W), int64.
    """
    first = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    return first.argsort(1).view_as(maps)


def top_pixels(maps: torch.Tensor, *, share: float) -> torch.Tensor:
    """The highest pixels of each map, by their `pixel_ranks`.

    maps: (N, H, W).
    share: of the pixels, 0 to 1.
    Returns booleans (N, H, W).
    """
    validate_number(share=share, at_least=0, at_most=1)
    validate_maps(maps)
    return pixel_ranks(maps) < round(share * maps[0].numel())


def area(curves: torch.Tensor) -> torch.Tensor:
    """The area under curves (N, steps + 1) over 0 to 1, by the trapezoid rule: (N,).

    Raises ValueError for curves of fewer than two points.
    """
    if not isinstance(curves, torch.Tensor) or curves.dim() != 2 or curves.shape[1] < 2:
        raise ValueError(
            f"Curves (N, steps + 1) of two points or more are wanted; {described(curves)} came."
        )
    return torch.trapezoid(curves, dx=1 / (curves.shape[1] - 1))


def points_at(maps: torch.Tensor, bboxes: torch.Tensor, *, tolerance: int = 15) -> torch.Tensor:
    """The pointing game: does each map's highest pixel lie in its box, or near it?

    Zhang et al. 2016, arXiv:1608.00507, §4.2.

    maps: (N, H, W).
    bboxes: (N, 4), left, top, right, bottom.
    tolerance: how far off still counts. All in pixels.
    Returns booleans (N,).
    Raises ValueError for maps of another shape, boxes that are not one a map or lie the wrong way
        round, and a tolerance below 0.
    """
    validate_maps(maps)
    validate_number(tolerance=tolerance, at_least=0)
    bboxes = torch.as_tensor(bboxes)
    if bboxes.shape != (len(maps), 4):
        raise ValueError(
            f"A box for each map is wanted, ({len(maps)}, 4); the bboxes' shape is"
            f" {tuple(bboxes.shape)}."
        )
    if not (bboxes[:, :2] <= bboxes[:, 2:]).all():  # written so that NaN fails too
        raise ValueError(
            "A box is left, top, right, bottom, with left ≤ right and top ≤ bottom; some of these"
            " are not."
        )
    place = maps.flatten(1).argmax(1)
    width = maps.shape[2]
    x = place % width
    y = place // width
    left, top, right, bottom = bboxes.to(maps.device).unbind(1)
    aside = torch.maximum(left - x, x - right)
    above = torch.maximum(top - y, y - bottom)
    return torch.maximum(aside, above) <= tolerance


def cascade(
    model: nn.Module, layers: Sequence[str], *, seed: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """Copies of a model in which ever more layers have lost what they learnt.

    Adebayo et al. 2018, arXiv:1810.03292, §3.

    Their weights are shuffled, so that they keep their sizes and lose their places; the paper draws
    them anew.

    layers: names, from the outputs down.
    seed: of the shuffling.
    Yields (name, copy) after each; every copy holds what the one before had lost.
    Raises ValueError, when its turn comes, for a layer that is unknown or has no weights.
    """
    validate_module(model)
    generator = seeded(seed)
    lost = copy.deepcopy(model)
    for name in layers:
        weights = list(submodule(lost, name).parameters())
        if not weights:
            raise ValueError(f"The layer {name!r} has no weights to shuffle.")
        for w in weights:
            order = torch.randperm(w.numel(), generator=generator).to(w.device)
            w.data = w.data.flatten()[order].view_as(w)
        yield name, copy.deepcopy(lost)


def similarity(ours: torch.Tensor, others: torch.Tensor) -> tuple[float, float]:
    """How alike two maps look: Spearman's rank correlation, −1 to 1, and SSIM.

    Adebayo et al. 2018, §3; SSIM: Wang et al. 2004.

    For SSIM, each map is stretched to 0 … 1.

    ours, others: (H, W).
    Returns the two numbers.
    Raises ValueError for maps of two shapes, of one value, or smaller than SSIM's window of 7 × 7.
    """
    both = all(isinstance(m, torch.Tensor) and m.dim() == 2 for m in (ours, others))
    if not both or ours.shape != others.shape:
        raise ValueError(
            f"Two maps (H, W) are wanted, tensors of one shape; {described(ours)} and"
            f" {described(others)} came."
        )
    if min(ours.shape) < 7:
        raise ValueError(
            f"Maps of 7 × 7 or more are wanted, as SSIM's window is; these are {tuple(ours.shape)}."
        )
    a, b = (m.detach().cpu().double().numpy() for m in (ours, others))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise ValueError(
            "One of the maps has the same value everywhere, so it has no ranks to compare."
        )
    a_to_1, b_to_1 = ((m - m.min()) / np.ptp(m) for m in (a, b))
    correlation = float(spearmanr(a, b, axis=None).statistic)
    structure = float(structural_similarity(a_to_1, b_to_1, data_range=1))
    return correlation, structure


@with_gradients
def manipulate(
    model: nn.Module,
    images: torch.Tensor,
    targets: int | torch.Tensor,
    wanted: torch.Tensor,
    *,
    eps: float = 4 / 255,
    steps: int = 16,
    lr: float = 1 / 255,
) -> torch.Tensor:
    """Images within ε, read as before, whose gradient map has moved towards the wanted one.

    Dombrowski et al. 2019, arXiv:1906.07983, eq. 3.

    Adam lowers the squared distance of the map |∂score/∂x'| to the wanted one, both as shares of
    their sums, plus that of the logits to what they were. A ReLU's second derivative is 0, so the
    network is `softened` meanwhile.

    wanted: (N, H, W) or (1, H, W), 0 and above.
    eps: ε, per pixel.
    steps: Adam's.
    lr: about how far one of them moves a pixel.
    Returns images (N, C, H, W) in [0, 1], at most ε from where they started.
    Raises ValueError for a wanted map of another size, not finite, below 0 anywhere or 0
        everywhere, for a negative ε, no steps, lr ≤ 0, and for a model without ReLUs.
    """
    targets = validated_targets(model, images, targets)
    validate_eps(eps, images)
    validate_count(steps=steps)
    validate_positive(lr=lr)
    validate_maps(wanted)
    images = images.detach()
    if wanted.shape not in (images[:, 0].shape, images[:1, 0].shape):
        raise ValueError(
            f"A map for each image is wanted, {tuple(images[:, 0].shape)}, or one for all; the"
            f" wanted map is {tuple(wanted.shape)}."
        )
    goal = wanted.detach().expand_as(images[:, 0]).to(images)
    if goal.min() < 0 or (goal.sum((1, 2)) == 0).any():
        raise ValueError(
            "The wanted map should be 0 and above, and somewhere above: it is to be a share of the"
            " whole."
        )
    goal = goal / goal.sum((1, 2), keepdim=True)
    # in half precision Adam would divide by 0
    x = images.to(torch.promote_types(images.dtype, torch.float32), copy=True)
    low = (x - eps).clamp(min=0)
    high = (x + eps).clamp(max=1)
    optimizer = torch.optim.Adam([x.requires_grad_(True)], lr=lr)
    with softened(model):
        with torch.no_grad():
            before = logits_of(model, images)
        targets = validated_labels(targets, images, before.shape[1])
        for _ in progress_bar(range(steps), "bending the map"):
            logits = logits_of(model, x.to(images.dtype))
            score = of_labels(logits, targets).sum()
            grad = gradient_of(score, x, create_graph=True)
            shown = grad.abs().sum(1) / grad.abs().sum((1, 2, 3)).view(-1, 1, 1)
            loss = (
                (shown - goal).square().sum((1, 2)) / goal.square().sum((1, 2))
                + (logits - before).square().sum(1) / before.square().sum(1)
            ).sum()
            x.grad = gradient_of(loss, x)
            optimizer.step()
            x.data.clamp_(low, high)
    return x.detach().to(images.dtype)


@contextlib.contextmanager
def softened(model: nn.Module, *, beta: float = 10.0) -> Iterator[None]:
    """Inside the `with`, every ReLU is a softplus, which has a second derivative.

    Dombrowski et al. 2019, §5.

    A ReLU6 is the difference of two.

    beta: how sharp it bends; the larger, the more like a ReLU.
    Raises ValueError as `relus` does, and for a β that is not above 0.
    """
    validate_positive(beta=beta)

    def soft(layer, inputs, _):
        x = F.softplus(inputs[0], beta)
        return x - F.softplus(inputs[0] - 6, beta) if isinstance(layer, nn.ReLU6) else x

    with hooked(model, relus(model), soft):
        yield


def validate_maps(maps: torch.Tensor, *, images: torch.Tensor | None = None) -> None:
    """Raise ValueError unless maps are finite numbers (N, H, W), fit to the images if given."""
    if not isinstance(maps, torch.Tensor) or maps.dim() != 3:
        raise ValueError(f"Maps are wanted as a tensor (N, H, W); {described(maps)} came.")
    if images is not None and maps.shape != images[:, 0].shape:
        raise ValueError(
            f"A map for each image is wanted, {tuple(images[:, 0].shape)}; the maps are"
            f" {tuple(maps.shape)}."
        )
    if not maps.isfinite().all():
        raise ValueError("The maps hold numbers that are not finite.")
