"""Attacks that look for the smallest change (ℓ₂), and how large a change is.
"""
import torch

from trickkit.common import check_count, check_positive
from trickkit.contract import Model, answers, check_start, lead


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


def sizes(change: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three sizes of each change (N, C, H, W): ℓ₀, the pixels touched; ℓ₂, its length; ℓ∞, its largest number. Each (N,)."""
    touched = (change != 0).any(1).flatten(1).sum(1)
    return touched, change.flatten(1).norm(dim=1), change.flatten(1).abs().amax(1)
