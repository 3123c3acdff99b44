"""Attacks: (model, images, labels, …) -> images that the model gets wrong, and that look the same to us.

A model is any callable from pixels in [0, 1], (N, C, H, W), to logits (N, K). ε is a change of pixels on that scale: 1/255 is
one grey level. `labels` are what to leave, or with targeted=True what to reach: an int64 tensor (N,), or one number for all.

In this order: those that follow the gradient inside a budget ε (fgsm … apgd), those that look for the smallest change (cw,
deepfool), those for many images at once (universal, patch), and those that only ask (square, nes, hop_skip_jump, one_pixel).
"""
import math
from collections.abc import Callable

import torch
from torch.nn import functional as F

from trickkit.data import unknown
from trickkit.models import check_eval, check_images, check_labels, check_norm, one_each, progress

Model = Callable[[torch.Tensor], torch.Tensor]


def input_gradient(model: Model, images: torch.Tensor, labels: int | torch.Tensor) -> torch.Tensor:
    """The gradient of each image's score for its label with respect to its pixels: (N, C, H, W), score per unit of pixel."""
    check_images(images)
    check_eval(model)
    return score_gradient(model, images, labels)


def score_gradient(model: Model, images: torch.Tensor, labels: int | torch.Tensor) -> torch.Tensor:
    """`input_gradient` without its checks, for pixels that may lie outside [0, 1]."""
    images = images.detach().clone().requires_grad_(True)
    scores = answers(model, images)
    labels = check_labels(labels, images, scores.shape[1])
    return torch.autograd.grad(scores.gather(1, labels[:, None]).sum(), images)[0]


def loss_gradient(model: Model, images: torch.Tensor, labels: int | torch.Tensor) -> torch.Tensor:
    """The gradient of the cross-entropy J(x, y) of each image with respect to its pixels: (N, C, H, W)."""
    images = images.detach().clone().requires_grad_(True)
    logits = answers(model, images)
    loss = F.cross_entropy(logits, check_labels(labels, images, logits.shape[1]), reduction="sum")
    return torch.autograd.grad(loss, images)[0]


def fgsm(model: Model, images: torch.Tensor, labels: int | torch.Tensor, eps: float, targeted: bool = False) -> torch.Tensor:
    """The fast gradient sign method: x + ε · sign(∇ₓ J(x, y)), kept in [0, 1] (Goodfellow et al. 2015, arXiv:1412.6572, §4).

    targeted: labels are what to reach, and the step goes down the loss instead.
    """
    check(model, images, eps)
    uphill = loss_gradient(model, images, labels).sign()
    return (images + (-eps if targeted else eps) * uphill).clamp(0, 1)


def one_step(model: Model, images: torch.Tensor, targets: int | torch.Tensor, eps: float) -> torch.Tensor:
    """Every pixel moved by ε in the direction that raises the target's score, kept in [0, 1] (Evans 2016)."""
    check(model, images, eps)
    uphill = input_gradient(model, images, targets).sign()
    return (images + eps * uphill).clamp(0, 1)


def many_steps(model: Model, images: torch.Tensor, targets: int | torch.Tensor, eps: float, steps: int = 20) -> torch.Tensor:
    """Steps of ε/4 towards the targets, the gradient asked anew each time, never more than ε from the start.

    The iterative targeted method (Kurakin et al. 2016, arXiv:1607.02533, §2.3): each step lowers the cross-entropy.
    """
    check(model, images, eps, steps)
    low, high = (images - eps).clamp(min=0), (images + eps).clamp(max=1)
    x = images
    for _ in range(steps):
        x = (x - eps / 4 * loss_gradient(model, x, targets).sign()).clamp(low, high)
    return x


def pgd(model: Model, images: torch.Tensor, labels: int | torch.Tensor, eps: float | torch.Tensor, steps: int = 20,
        step: float | None = None, norm: str = "linf", targeted: bool = False, random_start: bool = True, seed: int = 0,
        early_stop: bool = True) -> torch.Tensor:
    """Projected gradient descent (Madry et al. 2018, arXiv:1706.06083, §2.1): step along the gradient, go back into the ball.

    eps: radius of the ball, a number or one an image (N,); norm: "linf" (per pixel) or "l2" (length of the whole change).
    step: length of one step in the same norm; ε/4 if not given. random_start: begin anywhere in the ball, by seed.
    early_stop: an image that is already fooled keeps what fooled it and costs no more time.
    Returns images (N, C, H, W) in [0, 1], the last ones for those never fooled.
    Raises ValueError for pixels outside [0, 1], labels that do not fit, a negative ε, an unknown norm or a model in train mode.
    """
    check(model, images, eps, steps, norm)
    radius = per_image(eps, images)
    length = radius / 4 if step is None else torch.full_like(radius, step)
    start = images + random_in_ball(images, radius, norm, seed) if random_start else images
    way = -1 if targeted else 1  # down the loss of the target, or up that of the label

    def move(x, gradient, rows):
        x = x + way * length[rows] * steepest(gradient, norm)
        return (images[rows] + project(x - images[rows], radius[rows], norm)).clamp(0, 1)

    return while_unsolved(model, start.clamp(0, 1), labels, steps, move, targeted, early_stop)


def while_unsolved(model: Model, images: torch.Tensor, labels: int | torch.Tensor, steps: int, move: Callable,
                   targeted: bool, early_stop: bool) -> torch.Tensor:
    """Repeat x <- move(x, gradient of the cross-entropy, rows), and leave images out of the batch once they fool the model.

    The forward pass that gives the gradient also tells who is fooled, so stopping early costs nothing. rows: (n,) their
    places in the batch.
    """
    labels = one_each(labels, images)
    result, rows, x = images.clone(), torch.arange(len(images), device=images.device), images
    for _ in range(steps):
        x = x.detach().clone().requires_grad_(True)
        logits = answers(model, x)
        loss = F.cross_entropy(logits, check_labels(labels[rows], x, logits.shape[1]), reduction="sum")
        going = (logits.argmax(1) == labels[rows]) != targeted if early_stop else torch.ones_like(rows, dtype=torch.bool)
        result[rows] = x.detach()
        if not going.any():
            return result
        gradient = torch.autograd.grad(loss, x)[0]
        rows, x = rows[going], move(x.detach()[going], gradient[going], rows[going])
    result[rows] = x
    return result


def steepest(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    """The step of length 1 in the norm that raises the loss most: sign(g) for "linf", g / ‖g‖₂ for "l2". (N, C, H, W)"""
    if norm == "linf":
        return gradient.sign()
    return gradient / lengths(gradient).clamp(min=1e-12)


def project(change: torch.Tensor, radius: torch.Tensor, norm: str) -> torch.Tensor:
    """The nearest change (N, C, H, W) inside the ball of that radius (N, 1, 1, 1) in the norm."""
    if norm == "linf":
        return change.clamp(-radius, radius)
    return change * (radius / lengths(change).clamp(min=1e-12)).clamp(max=1)


def random_in_ball(images: torch.Tensor, radius: torch.Tensor, norm: str, seed: int) -> torch.Tensor:
    """A change drawn evenly from the ball of that radius (N, 1, 1, 1), the same on every machine for the same seed."""
    dice = torch.Generator().manual_seed(seed)
    if norm == "linf":
        return (torch.rand(images.shape, generator=dice).to(images) * 2 - 1) * radius
    direction = torch.randn(images.shape, generator=dice).to(images)
    inward = torch.rand(len(images), 1, 1, 1, generator=dice).to(images) ** (1 / images[0].numel())
    return steepest(direction, norm) * radius * inward


def lengths(change: torch.Tensor, p: int = 2) -> torch.Tensor:
    """The ℓₚ length of each change (N, C, H, W), as (N, 1, 1, 1)."""
    return change.flatten(1).norm(p=p, dim=1).view(-1, 1, 1, 1)


def momentum(model: Model, images: torch.Tensor, labels: int | torch.Tensor, eps: float, steps: int = 10, decay: float = 1.0,
             targeted: bool = False, early_stop: bool = True) -> torch.Tensor:
    """Sign steps of ε/steps along a running sum of gradients (Dong et al. 2018, arXiv:1710.06081, eq. 6 and 7).

    decay: μ, how much of the sum is kept; a gradient joins it divided by its own ℓ₁ length. Made to fool other networks too.
    Returns images (N, C, H, W) in [0, 1], at most ε from where they started.
    """
    check(model, images, eps, steps)
    low, high = (images - eps).clamp(min=0), (images + eps).clamp(max=1)
    total = torch.zeros_like(images)
    way = -1 if targeted else 1

    def move(x, gradient, rows):
        total[rows] = decay * total[rows] + gradient / lengths(gradient, 1).clamp(min=1e-12)
        return (x + way * eps / steps * total[rows].sign()).clamp(low[rows], high[rows])

    return while_unsolved(model, images, labels, steps, move, targeted, early_stop)


def apgd(model: Model, images: torch.Tensor, labels: int | torch.Tensor, eps: float, steps: int = 100, norm: str = "linf",
         loss: str = "dlr", seed: int = 0) -> torch.Tensor:
    """Auto-PGD, which chooses its own steps (Croce, Hein 2020, arXiv:2003.01690, Algorithm 1).

    It starts with steps of 2ε and momentum; at the paper's checkpoints an image that has stopped gaining goes back to its best
    place with half the step. loss: "dlr" (eq. 6, the same for logits of any scale; wants three classes) or "ce".
    Returns images (N, C, H, W) in [0, 1], at most ε from where they started; the ones with the highest loss where none fools.
    """
    check(model, images, eps, steps, norm)
    if loss not in ("dlr", "ce"):
        raise unknown("loss", loss, ("dlr", "ce"))
    radius, labels = per_image(eps, images), one_each(labels, images)
    before = x = (images + random_in_ball(images, radius, norm, seed)).clamp(0, 1)
    step, best, best_slope = 2 * radius, x.clone(), torch.zeros_like(x)
    value, best_value, marked_value = (torch.full((len(x),), -torch.inf, device=x.device, dtype=x.dtype) for _ in range(3))
    gains, halved = torch.zeros_like(labels), torch.zeros_like(labels, dtype=torch.bool)
    going = ~halved
    marks, last = checkpoints(steps), 0
    for k in range(steps):
        rows = going.nonzero()[:, 0]
        slope = torch.zeros_like(x)
        now, slope[rows], fooled = climb(model, x[rows], labels[rows], loss)
        gains[rows] += (now > value[rows]) & (k > 0)
        value[rows] = now
        higher = rows[now > best_value[rows]]
        best[higher], best_slope[higher], best_value[higher] = x[higher], slope[higher], value[higher]
        best[rows[fooled]] = x[rows[fooled]]
        going[rows[fooled]] = False
        if not going.any():
            break
        if k in marks:
            stuck = (gains < 0.75 * (k - last)) | (~halved & (best_value == marked_value))
            at = stuck.view(-1, 1, 1, 1)
            step, x, slope = torch.where(at, step / 2, step), torch.where(at, best, x), torch.where(at, best_slope, slope)
            halved, marked_value, gains, last = stuck, best_value.clone(), torch.zeros_like(gains), k
        ahead = images + project(x + step * steepest(slope, norm) - images, radius, norm)
        share = 0.75 if k else 1.0  # the first step has no step before it
        ahead = x + share * (ahead.clamp(0, 1) - x) + (1 - share) * (x - before)
        before, x = x, (images + project(ahead - images, radius, norm)).clamp(0, 1)
    return best


def climb(model: Model, x: torch.Tensor, labels: torch.Tensor, loss: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The loss of each image (N,), its gradient (N, C, H, W), and whether the label is already lost (N,)."""
    x = x.detach().clone().requires_grad_(True)
    logits = answers(model, x)
    labels = check_labels(labels, x, logits.shape[1])
    if loss == "ce":
        value = F.cross_entropy(logits, labels, reduction="none")
    else:
        if logits.shape[1] < 3:
            raise ValueError(f'The DLR loss compares three classes and the model has {logits.shape[1]}. Use loss="ce".')
        three = logits.topk(3, dim=1).values
        value = -lead(logits, labels) / (three[:, 0] - three[:, 2]).clamp(min=1e-12)
    return value.detach(), torch.autograd.grad(value.sum(), x)[0], logits.argmax(1) != labels


def checkpoints(steps: int) -> set[int]:
    """The steps at which Auto-PGD looks back: after 22 % of them, then ever closer, at least 6 % apart (§3.2)."""
    marks, gap, at = set(), 0.22, 0.22
    while at <= 1:
        marks.add(math.ceil(round(at * steps, 6)))
        gap = max(gap - 0.03, 0.06)
        at += gap
    return marks


def cw(model: Model, images: torch.Tensor, labels: int | torch.Tensor, searches: int = 5, steps: int = 100, rate: float = 0.01,
       c: float = 0.01, confidence: float = 0.0, targeted: bool = False) -> torch.Tensor:
    """The nearest image in ℓ₂ that is misread (Carlini, Wagner 2017, arXiv:1608.04644, §V-A and §VI).

    Adam on w, with x' = (tanh(w) + 1)/2, minimises ‖x' − x‖² + c · max(lead + confidence, 0), where lead says how far the label
    is ahead. c is the price of a lead that is left: ten times higher after a search that failed, else bisected. rate: Adam's.
    Returns the nearest misread images found (N, C, H, W) in [0, 1]; the image itself where none was.
    """
    labels, _ = check_start(model, images, labels, targeted)
    check_count(steps=steps, searches=searches)
    check_positive(rate=rate, c=c)
    n = len(images)
    result, nearest = images.clone(), torch.full((n,), torch.inf, device=images.device)
    low, high, price = torch.zeros(n).to(images), torch.full((n,), torch.inf).to(images), torch.full((n,), c).to(images)
    outset = torch.atanh((images * 2 - 1) * 0.999999)  # black and white would lie at infinity
    for _ in range(searches):
        w, won = outset.clone().requires_grad_(True), torch.zeros(n, dtype=torch.bool, device=images.device)
        adam, best = torch.optim.Adam([w], lr=rate), torch.full_like(nearest, torch.inf)
        rows = torch.arange(n, device=images.device)
        for k in range(steps):
            x = (w[rows].tanh() + 1) / 2
            ahead = lead(answers(model, x), labels[rows], targeted)
            squared = (x - images[rows]).square().flatten(1).sum(1)
            cost = squared + price[rows] * (ahead + confidence).clamp(min=0)
            found = (ahead + confidence <= 0) & (ahead < 0)
            won[rows] |= found
            nearer = found & (squared < nearest[rows])
            result[rows[nearer]], nearest[rows[nearer]] = x.detach()[nearer], squared.detach()[nearer]
            adam.zero_grad()
            cost.sum().backward()
            adam.step()
            if k % max(steps // 10, 1) == 0:  # a tenth of the steps without a gain: done, as in the authors' code
                gaining = cost < 0.9999 * best[rows]
                best[rows], rows = cost.detach(), rows[gaining]
                if not len(rows):
                    break
        low, high = torch.where(won, low, price), torch.where(won, price, high)
        price = torch.where(high.isinf(), price * 10, (low + high) / 2)
    return result


def deepfool(model: Model, images: torch.Tensor, labels: int | torch.Tensor, steps: int = 50, classes: int = 10,
             overshoot: float = 0.02) -> torch.Tensor:
    """Short ℓ₂ steps to the nearest border of a linear picture of the network (Moosavi-Dezfooli et al. 2016,
    arXiv:1511.04599, Algorithm 2).

    Among the `classes` likeliest, each step goes to the one whose border is nearest: |f| / ‖w‖₂² · w, with f the difference of
    the logits and w of their gradients. The whole change is stretched by 1 + overshoot, to land beyond the border.
    Returns misread images (N, C, H, W) in [0, 1], or the last ones where none was found in that many steps.
    """
    labels, logits = check_start(model, images, labels)
    check_count(steps=steps, classes=classes - 1)
    others = logits.scatter(1, labels[:, None], -torch.inf).topk(min(classes, logits.shape[1]) - 1).indices
    x, total, rows = images.clone(), torch.zeros_like(images), torch.arange(len(images), device=images.device)
    for _ in range(steps):
        here = x[rows].requires_grad_(True)
        logits = answers(model, here)
        going = logits.argmax(1) == labels[rows]
        if not going.any():
            break
        leads = logits.gather(1, others[rows]) - logits.gather(1, labels[rows, None])  # (n, classes - 1), below 0
        slopes = torch.stack([torch.autograd.grad(leads[:, j].sum(), here, retain_graph=True)[0]
                              for j in range(leads.shape[1])], 1)[going]
        size, rows = slopes.flatten(2).norm(dim=2).clamp(min=1e-12), rows[going]
        far = leads.detach()[going].abs() / size + 1e-4  # a little more, or black and white hold it back for ever
        border = far.argmin(1, keepdim=True)
        way = (slopes / size[..., None, None, None]).take_along_dim(border.view(-1, 1, 1, 1, 1), 1)[:, 0]
        total[rows] += far.gather(1, border).view(-1, 1, 1, 1) * way
        x[rows] = (images[rows] + (1 + overshoot) * total[rows]).clamp(0, 1)
    return x


def universal(model: Model, images: torch.Tensor, labels: int | torch.Tensor, eps: float, steps: int = 100, batch: int = 10,
              seed: int = 0) -> torch.Tensor:
    """One change for all images, known and unknown: (1, C, H, W) in [−ε, ε], to be added and clamped.

    That there is one was found by Moosavi-Dezfooli et al. 2017, arXiv:1610.08401; this way to find it is that of Shafahi et
    al. 2020, arXiv:1811.11304, Algorithm 1: sign steps up the loss of a few images at a time, each image's counted up to a
    bound only (1 here), so that those already fooled do not lead. Steps of ε/2 along a running sum, as in `momentum`.
    """
    check(model, images, eps, steps)
    labels, dice = one_each(labels, images), torch.Generator().manual_seed(seed)
    change, total = torch.zeros_like(images[:1]), torch.zeros_like(images[:1])
    for _ in progress(range(steps), "one change for all"):
        rows = torch.randperm(len(images), generator=dice)[:batch].to(images.device)
        change.requires_grad_(True)
        logits = answers(model, (images[rows] + change).clamp(0, 1))
        loss = F.cross_entropy(logits, check_labels(labels[rows], images[rows], logits.shape[1]), reduction="none")
        gradient = torch.autograd.grad(loss.clamp(max=1).sum(), change)[0]
        total = 0.9 * total + gradient / lengths(gradient, 1).clamp(min=1e-12)
        change = (change.detach() + eps / 2 * total.sign()).clamp(-eps, eps)
    return change


def patch(model: Model, images: torch.Tensor, target: int, side: int = 80, steps: int = 100, batch: int = 4, rate: float = 0.05,
          seed: int = 0) -> torch.Tensor:
    """A round sticker (1, 3, side, side) in [0, 1] that makes whatever it lies on a `target` (Brown et al. 2017,
    arXiv:1712.09665, eq. 1).

    Adam raises log p(target) on average over images, places, turns and sizes (`paste`), so that it also works where it was
    not tried. rate: of Adam, in pixels.
    """
    check_start(model, images, target, targeted=True)
    check_count(steps=steps, side=side, batch=batch)
    check_positive(rate=rate)
    dice = torch.Generator().manual_seed(seed)
    sticker = torch.full((1, images.shape[1], side, side), 0.5).to(images).requires_grad_(True)
    adam = torch.optim.Adam([sticker], lr=rate)
    for _ in progress(range(steps), "printing a sticker"):
        rows = torch.randperm(len(images), generator=dice)[:batch].to(images.device)
        logits = answers(model, paste(images[rows], sticker, dice))
        adam.zero_grad()
        F.cross_entropy(logits, one_each(target, logits)).backward()
        adam.step()
        sticker.data.clamp_(0, 1)
    return sticker.detach()


def paste(images: torch.Tensor, sticker: torch.Tensor, dice: torch.Generator, sizes: tuple[float, float] = (0.3, 0.5),
          turn: float = 22.5) -> torch.Tensor:
    """Images (N, C, H, W) with the round sticker (1, C, S, S) laid on each, somewhere, by the throw of dice.

    sizes: its diameter, smallest and largest, as a share of the image's side; turn: degrees it may be turned either way.
    """
    n = len(images)
    size, angle, across, down = torch.rand(4, n, generator=dice).to(images)
    size = sizes[0] + size * (sizes[1] - sizes[0])
    angle = (2 * angle - 1) * math.radians(turn)
    across, down = ((2 * place - 1) * (1 - size) for place in (across, down))  # wholly inside
    cos, sin = angle.cos() / size, angle.sin() / size
    where = torch.stack([torch.stack([cos, sin, -(cos * across + sin * down)], 1),
                         torch.stack([-sin, cos, sin * across - cos * down], 1)], 1)
    grid = F.affine_grid(where, list(images.shape), align_corners=False)
    laid = F.grid_sample(sticker.expand(n, -1, -1, -1), grid, padding_mode="border", align_corners=False)
    disc = (grid.norm(dim=3) <= 1)[:, None]
    return torch.where(disc, laid, images)


def square(model: Model, images: torch.Tensor, labels: int | torch.Tensor, eps: float, queries: int = 1000,
           targeted: bool = False, seed: int = 0) -> torch.Tensor:
    """Random squares, kept if they help (Andriushchenko et al. 2020, arXiv:1912.00049, Algorithms 1 and 2). No gradients.

    Begins with vertical stripes of ±ε; each query paints one square, each channel of it +ε or −ε, smaller and smaller squares
    as the budget runs out (§3.1; p = 0.8 of the image at first, the paper's for MNIST), and keeps it if the lead shrinks.
    Returns images (N, C, H, W) in [0, 1], at most ε from where they started, after at most `queries` questions an image.
    """
    labels, _ = check_start(model, images, labels, targeted)
    check_eps(eps, images)
    check_count(queries=queries)
    dice, (n, c, h, w) = torch.Generator().manual_seed(seed), images.shape

    def signs(*shape):
        return (torch.randint(0, 2, shape, generator=dice) * 2 - 1).to(images) * eps

    x = (images + signs(n, c, 1, w)).clamp(0, 1)
    with torch.no_grad():
        ahead = lead(answers(model, x), labels, targeted)
        for query in range(1, queries):
            rows = (ahead >= 0).nonzero()[:, 0]
            if not len(rows):
                break
            side = max(round(math.sqrt(share_of_image(query / queries) * h * w)), 1)
            tops, lefts = (torch.randint(0, max(m - side, 0) + 1, (n, 1), generator=dice).to(rows) for m in (h, w))
            tall, wide = ((torch.arange(m, device=rows.device) - at[rows]) for m, at in ((h, tops), (w, lefts)))
            inside = (((0 <= tall) & (tall < side))[:, :, None] & ((0 <= wide) & (wide < side))[:, None])[:, None]
            tried = torch.where(inside, (images[rows] + signs(n, c, 1, 1)[rows]).clamp(0, 1), x[rows])
            after = lead(answers(model, tried), labels[rows], targeted)
            kept = after < ahead[rows]
            x[rows[kept]], ahead[rows[kept]] = tried[kept], after[kept]
    return x


def share_of_image(spent: float) -> float:
    """The share of the image that Square repaints when that share of its budget, 0 to 1, is spent: halved at set times."""
    return 0.8 / 2 ** sum(spent > at for at in (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8))


def nes(model: Model, images: torch.Tensor, labels: int | torch.Tensor, eps: float, queries: int = 10_000, samples: int = 50,
        sigma: float = 0.001, step: float | None = None, targeted: bool = False, seed: int = 0) -> torch.Tensor:
    """PGD down the label's lead, on a gradient guessed from answers alone (Ilyas et al. 2018, arXiv:1804.08598, §3.1).

    samples, sigma: as in `guess_gradient`. Steps of `step` (ε/4 if not given) follow the sign of nine tenths of the guess
    before and one tenth of the new.
    Returns images (N, C, H, W) in [0, 1], at most ε from where they started, after at most `queries` questions an image.
    """
    labels, _ = check_start(model, images, labels, targeted)
    check_eps(eps, images)
    check_count(queries=queries)
    check_positive(sigma=sigma)
    step, dice = eps / 4 if step is None else step, torch.Generator().manual_seed(seed)
    result = images.clone()
    with torch.no_grad():
        for i in progress(range(len(images)), "asking"):
            def ahead(points, label=labels[[i]]):
                return lead(answers(model, points), label.expand(len(points)), targeted)

            x, uphill = images[[i]], 0.0
            low, high = (x - eps).clamp(min=0), (x + eps).clamp(max=1)
            for _ in range(queries // (samples + 1)):
                if ahead(x) < 0:
                    break
                uphill = 0.9 * uphill + 0.1 * guess_gradient(ahead, x, samples, sigma, dice)
                x = (x - step * uphill.sign()).clamp(low, high)
            result[i] = x[0]
    return result


def guess_gradient(ask: Callable, x: torch.Tensor, samples: int, sigma: float,
                   dice: torch.Generator | None = None) -> torch.Tensor:
    """The gradient of `ask` at x, (1, C, H, W), from its answers alone (Ilyas et al. 2018, §3.1, Algorithm 1, "NES").

    Random directions u come in pairs, u and −u; the guess is the mean of ask(x + σu) · u / σ over all of them. Right on
    average as σ → 0, with an error that falls as 1/√samples.
    ask: images (n, C, H, W) -> numbers (n,); samples: an even number of questions; sigma: in pixels; dice: torch's if None.
    """
    if samples < 2 or samples % 2:
        raise ValueError(f"samples is {samples}; an even number is wanted, for the questions come in pairs.")
    u = torch.randn((samples // 2, *x.shape[1:]), generator=dice).to(x)
    u = torch.cat([u, -u])
    return (ask(x + sigma * u).view(-1, 1, 1, 1) * u).mean(0, keepdim=True) / sigma


def hop_skip_jump(model: Model, images: torch.Tensor, labels: int | torch.Tensor, queries: int = 2000,
                  seed: int = 0) -> torch.Tensor:
    """A misread image near each image, found from the answered labels alone (Chen et al. 2020, arXiv:1904.02144, Algorithm 2).

    It starts from noise that is misread, bisects towards the image up to the border, tells the border's direction by asking on
    which side random points lie (eq. 9 and 16), jumps along it, and bisects again. ℓ₂. The points lie √dimensions times further
    out than the paper's, so that a coarser bisection will do, and a landing that is not nearer is not kept.
    model: images (n, C, H, W) -> logits (n, K), of which only the largest is used, or labels (n,).
    Returns misread images (N, C, H, W) in [0, 1] after at most `queries` questions each; the image itself if none was found.
    """
    check_images(images)
    check_eval(model)
    check_count(queries=queries)
    labels, dice = one_each(labels, images), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        return torch.cat([hop(model, images[[i]], labels[i], queries, dice)
                          for i in progress(range(len(images)), "asking")])


def hop(model: Model, image: torch.Tensor, label: torch.Tensor, queries: int, dice: torch.Generator) -> torch.Tensor:
    """`hop_skip_jump` for one image (1, C, H, W)."""
    left, dimensions = queries, image.numel()

    def misread(points):  # (n,), False once the budget is spent
        nonlocal left
        asked = points[:max(left, 0)]
        left -= len(asked)
        wrong = torch.zeros(len(points), dtype=torch.bool, device=image.device)
        if len(asked):
            wrong[:len(asked)] = read_labels(model, asked) != label
        return wrong

    for k in range(50):  # noise of single pixels, then of ever larger blocks, down to one plain colour
        blocks = max(1, *(m >> k % 8 for m in image.shape[2:]))
        x = F.interpolate(torch.rand((1, image.shape[1], blocks, blocks), generator=dice), image.shape[2:]).to(image)
        if misread(x):
            break
    else:
        return image
    close = 0.1 / dimensions ** 0.5
    x = border(misread, image, x, close)
    for t in range(1, queries):
        if left <= 0:
            break
        distance = (x - image).norm()
        count, reach = min(int(100 * t ** 0.5), left), distance / dimensions ** 0.5
        u = torch.randn((count, *image.shape[1:]), generator=dice).to(image)
        points = (x + reach * steepest(u, "l2")).clamp(0, 1)
        u = (points - x) / reach
        side = misread(points).to(image) * 2 - 1
        side = side - side.mean() if side.aminmax().min < side.max() else side
        way = steepest((side.view(-1, 1, 1, 1) * u).mean(0, keepdim=True), "l2")
        jump = distance / t ** 0.5
        while left > 0 and jump > distance * 1e-4 and not misread((x + jump * way).clamp(0, 1)):
            jump = jump / 2
        if left > 0 and jump > distance * 1e-4:
            landed = border(misread, image, (x + jump * way).clamp(0, 1), close)
            x = landed if (landed - image).norm() < distance else x
    return x


def border(misread: Callable, image: torch.Tensor, far: torch.Tensor, close: float = 1e-3) -> torch.Tensor:
    """Between an image that is read right and one far away that is misread: a misread one just beyond the border.

    Bisection: look at the middle, keep the half that has the border, until it is shorter than `close` times the whole way.
    misread: images (1, C, H, W) -> true or false; image, far and the result: (1, C, H, W).
    """
    inside, outside = 0.0, 1.0
    while outside - inside > close:
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if misread(image + middle * (far - image)) else (middle, outside)
    return image + outside * (far - image)


def one_pixel(model: Model, images: torch.Tensor, labels: int | torch.Tensor, pixels: int = 1, generations: int = 100,
              population: int = 400, targeted: bool = False, seed: int = 0) -> torch.Tensor:
    """The few pixels that hurt most, bred by differential evolution (Su et al. 2019, arXiv:1710.08864, §3.2; SciPy's).

    A candidate says for each of its pixels where it is and what colour; the label's lead is to be small. Children come from the
    best so far, as SciPy has it, where the paper's come from any. Ends as soon as one succeeds.
    Returns images (N, C, H, W) in [0, 1] in which at most `pixels` pixels are changed.
    """
    from scipy.optimize import differential_evolution

    labels, _ = check_start(model, images, labels, targeted)
    check_count(pixels=pixels, generations=generations, population=population // 5)
    n, c, h, w = images.shape
    bounds = [(0, h - 1e-6), (0, w - 1e-6), *[(0, 1)] * c] * pixels
    result = images.clone()

    def painted(image, genes):  # genes: (candidates, pixels · (2 + C))
        genes = torch.as_tensor(genes).to(image).view(len(genes), pixels, 2 + c)
        rows, columns = genes[..., 0].long(), genes[..., 1].long()
        x = image.repeat(len(genes), 1, 1, 1)
        for p in range(pixels):
            x[torch.arange(len(x)), :, rows[:, p], columns[:, p]] = genes[:, p, 2:]
        return x

    for i in progress(range(n), "breeding"):
        image, label = images[[i]], labels[[i]]

        @torch.no_grad()
        def ahead(genes, image=image, label=label):
            return lead(answers(model, painted(image, genes.T)), label.expand(genes.shape[1]), targeted).double().cpu().numpy()

        bred = differential_evolution(ahead, bounds, popsize=max(population // len(bounds), 1), maxiter=generations,
                                      mutation=0.5, recombination=1, tol=-1, rng=seed, polish=False,
                                      updating="deferred", vectorized=True,
                                      callback=lambda intermediate_result: intermediate_result.fun < 0)
        result[i] = painted(image, bred.x[None])[0]
    return result


def lead(logits: torch.Tensor, labels: torch.Tensor, targeted: bool = False) -> torch.Tensor:
    """By how much logits (N, K) still keep an attack from its goal: (N,), below 0 once it is reached.

    The label's logit over the best other's; with targeted, the best other's over the target's.
    """
    own = logits.gather(1, labels[:, None])[:, 0]
    other = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return other - own if targeted else own - other


def sizes(change: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three sizes of each change (N, C, H, W): ℓ₀, the pixels touched; ℓ₂, its length; ℓ∞, its largest number. Each (N,)."""
    touched = (change != 0).any(1).flatten(1).sum(1)
    return touched, change.flatten(1).norm(dim=1), change.flatten(1).abs().amax(1)


def answers(model: Model, images: torch.Tensor) -> torch.Tensor:
    """The model's logits (N, K); ValueError for a model that returns anything else."""
    logits = model(images)
    if not isinstance(logits, torch.Tensor) or logits.dim() != 2 or len(logits) != len(images):
        raise ValueError(f"The model should return logits ({len(images)}, K), a score a class; it returned "
                         f"{described(logits)}.")
    return logits


def read_labels(model: Model, images: torch.Tensor) -> torch.Tensor:
    """The model's labels (N,), given as such or as logits (N, K); ValueError for a model that returns neither."""
    said = model(images)
    if isinstance(said, torch.Tensor) and said.shape == (len(images),) and not said.is_floating_point():
        return said
    if isinstance(said, torch.Tensor) and said.dim() == 2 and len(said) == len(images):
        return said.argmax(1)
    raise ValueError(f"The model should return a label an image, whole numbers ({len(images)},), or logits ({len(images)}, K); "
                     f"it returned {described(said)}.")


def described(thing: object) -> str:
    """A thing in a few words, for an error."""
    return f"a {thing.dtype} tensor of shape {tuple(thing.shape)}" if isinstance(thing, torch.Tensor) else repr(thing)[:60]


def per_image(eps: float | torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """ε as (N, 1, 1, 1), from one number or one an image (N,)."""
    return torch.as_tensor(eps, dtype=images.dtype, device=images.device).expand(len(images)).view(-1, 1, 1, 1)


def check_start(model: Model, images: torch.Tensor, labels: int | torch.Tensor,
                targeted: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """The labels (N,) and the model's logits (N, K), once all fit; ValueError also for a target that it sees already."""
    check_images(images)
    check_eval(model)
    with torch.no_grad():
        logits = answers(model, images)
    labels = check_labels(labels, images, logits.shape[1])
    there = (logits.argmax(1) == labels).nonzero()[:, 0].tolist() if targeted else []
    if there:
        raise ValueError(f"The model already reads image {', '.join(map(str, there[:5]))} as its target, so nothing is to do. "
                         "Leave such images out: images[model(images).argmax(1) != target].")
    return labels, logits


def check_count(**counts: int) -> None:
    """Raise ValueError unless each is a whole number of at least 1."""
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"{name} is {count!r}; a whole number of at least 1 is wanted.")


def check_positive(**numbers: float) -> None:
    """Raise ValueError unless each is a number above 0."""
    for name, number in numbers.items():
        if not number > 0:
            raise ValueError(f"{name} is {number!r}; a number above 0 is wanted.")


def check(model: Model, images: torch.Tensor, eps: float | torch.Tensor, steps: int = 1, norm: str = "linf") -> None:
    """Refuse what no attack can use, and say what is wanted instead (see `models.check_images`)."""
    check_images(images)
    check_eval(model)
    check_eps(eps, images, norm)
    check_count(steps=steps)


def check_eps(eps: float | torch.Tensor, images: torch.Tensor, norm: str = "linf") -> None:
    """Raise ValueError unless ε is a distance in the norm, one number or one an image (N,)."""
    size = torch.as_tensor(eps)
    if size.dim() and size.shape != (len(images),):
        raise ValueError(f"eps is one number, or one an image ({len(images)},); its shape is {tuple(size.shape)}.")
    if not (size >= 0).all():
        raise ValueError(f"eps is {eps}; a distance is 0 or more.")
    check_norm(norm)
    if norm == "linf" and size.max() > 1:
        raise ValueError(f"eps is {eps}; pixels go from 0 to 1, so {size.max():g} grey levels are {size.max():g}/255.")
