"""The checks of lesson 08.

Each draws fresh networks, pictures and maps, so that no stored answer can pass.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from trickkit import saliency
from trickkit.check import called, exercise, progress, recognised
from trickkit.contract import loss_gradient, score_gradient

__all__ = ["cam", "gradient", "integrated_gradients", "progress", "top_pixels"]
LESSON = "08 saliency"


def network() -> nn.Sequential:
    """A small smooth network: colour pictures (N, 3, 6, 7) -> logits (N, 6)."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(126, 16), nn.Tanh(), nn.Linear(16, 6)
    ).requires_grad_(False)


def asked_about(said: torch.Tensor) -> torch.Tensor:
    """Targets, no two alike, and none the class that the network says."""
    while ((targets := torch.randperm(6)[: len(said)]) == said).any():
        pass
    return targets


close = partial(torch.allclose, rtol=1e-3, atol=1e-6)


# The sentence for another gradient than the target's score's -> what it may be.
SLOPES: dict[str, Callable] = {
    "that is the gradient of the probability. Take the score itself, the target's logit.": (
        lambda model, x, t: [score_gradient(lambda z: model(z).softmax(1), x, t)]
    ),
    "that is the gradient of the loss, which is about all classes. Take the target's score.": (
        lambda model, x, t: [
            loss_gradient(model, x, t) * scale for scale in (1, -1, 1 / t.unique().numel())
        ]
    ),
    "that is the map of the class the network says. Take the target's.": (
        lambda model, x, t: [score_gradient(model, x, model(x).argmax(1))]
    ),
    "that is the map of the first target, for every picture. Each has its own.": (
        lambda model, x, t: [score_gradient(model, x, t[0])]
    ),
    "that is the map of all classes' scores together. Take the target's, .gather(1, targets[:,"
    " None]).": lambda model, x, t: [sum(score_gradient(model, x, k) for k in range(6))],
}


@exercise(
    LESSON,
    saliency.gradient,
    "contract.score_gradient(model, images, targets) is ∂score/∂pixel, a number for each channel:"
    " (N, 3, H, W).",
    "How much a pixel matters has no sign: .abs() first.",
    "Then one number a pixel, the largest of its channels: .amax(1).",
    rounds=10,
)
def gradient(yours):
    """|∂score/∂pixel|, the largest of a pixel's channels."""
    model = network()
    x = torch.rand(5, 3, 6, 7)
    t = asked_about(model(x).argmax(1))
    asks = []
    model.register_forward_pre_hook(lambda *_: asks.append(1))
    right = saliency.gradient(model, x, t)
    known = {
        "your map has three numbers a pixel, one a channel. Keep the largest of them: .amax(1).": (
            x.shape
        )
    }
    said = called(yours, model, x, t, like=right, what="map", known=known)
    if len(asks) > 100:
        return (
            f"your function asked the network {len(asks):,} times. A photograph has 150,528"
            " numbers: do not try them one by one, ask for the gradient."
        )
    if close(said, right):
        called(yours, model, x[:1], t[:1], like=right[:1], what="map of a single picture")
        return None
    grad = score_gradient(model, x, t)
    mistakes = {
        "a pixel that lowers the score matters as much as one that raises it: .abs() before the"
        " largest.": grad.amax(1),
        "the absolute value comes first: of −3 and 1, the largest is −3's.": grad.amax(1).abs(),
        "you added up the channels; this map keeps the largest of them, .amax(1).": (
            grad.abs().sum(1)
        ),
        "you took the mean of the channels; this map keeps the largest of them, .amax(1).": (
            grad.abs().mean(1)
        ),
        "added up with their signs, channels cancel. Take .abs() first, then the largest.": (
            grad.sum(1).abs()
        ),
        "you multiplied with the picture. Here the gradient alone is wanted.": (
            (grad * x).abs().amax(1)
        ),
        "you took the length over the channels; this map keeps the largest of them, .amax(1).": (
            grad.norm(dim=1)
        ),
        "every picture was asked about the targets of all. Each has its own: .gather(1, targets[:,"
        " None]).": sum((score_gradient(model, x, k) for k in t), torch.zeros_like(x))
        .abs()
        .amax(1),
        **{
            sentence: [slope.abs().amax(1) for slope in slopes(model, x, t)]
            for sentence, slopes in SLOPES.items()
        },
    }
    mistakes |= {
        f"{len(x)} times too small, the number of pictures: add up their scores, do not average.": (
            right / len(x)
        ),
        "your map is scaled to a largest value of 1. Leave the numbers as they are.": [
            right / right.amax((1, 2), keepdim=True),
            right / right.max(),
        ],
        "every picture has the first one's map.": right[:1].expand_as(right),
    }
    off = ((said - right).abs().max() / right.max()).item()
    return recognised(said, mistakes, same=close) or (
        f"off by up to {off:.0%} of the largest value. Wanted is |∂score/∂pixel|, then the largest"
        " of the channels."
    )


@exercise(
    LESSON,
    saliency.integrated_gradients,
    "The way is images - baseline. A point on it: baseline + share * way, share from 0 to 1.",
    "At each of `steps` shares ask contract.score_gradient(model, point, targets), and take the"
    " mean of the answers.",
    "(way * mean).sum(1). For the middles of the pieces, share = (k + 0.5) / steps.",
    rounds=2,
)
def integrated_gradients(yours):
    """(x − x') times the mean gradient on the straight way from x' to x."""
    model = network()
    x = torch.rand(3, 3, 6, 7)
    model[1].get_parameter("weight").mul_(3)  # bent enough for one gradient to be wrong
    t = asked_about(model(x).argmax(1))
    grey = torch.rand(()).mul(0.5).add(0.2).item()
    right = saliency.integrated_gradients(model, x, t, steps=300, baseline=grey)
    known = {
        "your map has three numbers a pixel, one a channel. Here they are added up: .sum(1).": (
            x.shape
        )
    }
    said = called(yours, model, x, t, 300, grey, like=right, what="map", known=known)
    if near(said, right):
        return of_three_pieces(yours, model, x, t, grey, said)
    way = x - grey
    points = torch.cat([grey + (k + 0.5) / 300 * way for k in range(300)])
    mean = saliency.mean_gradient(model, lambda k: grey + (k + 0.5) / 300 * way, t, count=300)
    at_end = score_gradient(model, x, t)
    at_start = score_gradient(model, torch.full_like(x, grey), t)
    mistakes = {
        "that is the mean gradient. Multiply it with the way, images - baseline.": mean.sum(1),
        "you multiplied with the picture. Multiply with the way to it: images - baseline.": (
            (x * mean).sum(1)
        ),
        "that starts from black, whatever the baseline says.": (
            saliency.integrated_gradients(model, x, t, steps=300, baseline=0.0)
        ),
        "you asked for the gradient at the picture alone, or kept the last answer alone. Ask all"
        " along the way, and take the mean.": (way * at_end).sum(1),
        "that is the map of the class that the network says of the picture. Take the target's.": (
            saliency.integrated_gradients(model, x, model(x).argmax(1), steps=300, baseline=grey)
        ),
        "you asked for the gradient at the baseline alone. Ask all along the way, and take the"
        " mean.": (way * at_start).sum(1),
        "300 times too large: take the mean of the gradients, not their sum.": right * 300,
        "the other way round: the way goes from the baseline to the picture, images - baseline.": (
            -right
        ),
        "your map has lost its signs. A pixel that speaks against the target is below 0.": (
            right.abs()
        ),
        "your map has lost its signs. Add up what the channels say as it is, below 0 or not.": (
            (way * mean).abs().sum(1)
        ),
        "your map has lost its signs. The mean gradient keeps them.": (way * mean.abs()).sum(1),
        "a pixel that speaks against the target is below 0, and stays there: no relu.": (
            right.relu()
        ),
        "you kept the largest channel; add them up, .sum(1), or completeness is lost.": (
            (way * mean).amax(1)
        ),
        "you took the mean of the channels; add them up, .sum(1), or completeness is lost.": (
            right / 3
        ),
        **{
            sentence: [
                (way * slope.view(300, *x.shape).mean(0)).sum(1)
                for slope in slopes(model, points, t.repeat(300))
            ]
            for sentence, slopes in SLOPES.items()
        },
    }
    rise = (model(x) - model(torch.full_like(x, grey))).gather(1, t[:, None])[:, 0]
    sums = said.sum((1, 2))
    i = int((sums - rise).abs().argmax())
    return recognised(said, mistakes, same=near) or (
        f"with 300 steps, your map of picture {i} sums to {sums[i]:.3f}, and from the baseline"
        f" to the picture the score rose by {rise[i]:.3f}. Are your points baseline + share * way,"
        " with shares spread from 0 to 1?"
    )


def of_three_pieces(
    yours: Callable,
    model: nn.Module,
    x: torch.Tensor,
    t: torch.Tensor,
    grey: float,
    fine: torch.Tensor,
) -> str | None:
    """The sentence for a map that is right with 300 pieces, and not with 3, else None.

    fine: the learner's map with 300.
    """
    right = saliency.integrated_gradients(model, x, t, steps=3, baseline=grey)
    rough = called(yours, model, x, t, 3, grey, like=right, what="map")
    if torch.allclose(rough, fine, atol=1e-6):
        return "your map is the same with 3 pieces as with 300: you ignore steps."
    if (rough - right).abs().max() < 1e-3 * right.abs().max():
        called(yours, model, x[:1], t[:1], 3, grey, like=right[:1], what="map of a single picture")
        return None

    def along(*shares):
        slopes = [score_gradient(model, grey + share * (x - grey), t) for share in shares]
        return ((x - grey) * torch.stack(slopes).mean(0)).sum(1)

    off_the_middle = [
        along(*shares)
        for shares in ((0, 1 / 3, 2 / 3), (1 / 3, 2 / 3, 1), (0, 1 / 2, 1), (0, 1 / 3, 2 / 3, 1))
    ]
    mistakes = {
        "nearly: right with 300 pieces, off with 3. Ask at the middle of each piece, share (k +"
        " 0.5) / steps.": off_the_middle
    }
    return recognised(rough, mistakes, same=close) or (
        "nearly: right with 300 pieces, off with 3. Do you ask at just `steps` shares, (k + 0.5) /"
        " steps, and divide by just so many?"
    )


def near(said: torch.Tensor, wanted: torch.Tensor) -> bool:
    """The same map but for 2 % of its largest number: sums along a way differ by so much."""
    return bool((said - wanted).abs().max() < 0.02 * wanted.abs().max())


@exercise(
    LESSON,
    saliency.cam,
    "α is one number a channel: gradients.mean((2, 3), keepdim=True), shape (N, channels, 1, 1).",
    "Weigh each channel's map with its α and add up the channels: (alpha * maps).sum(1).",
    "What is left below 0 speaks against this class: .relu() at the end.",
    rounds=10,
)
def cam(yours):
    """relu(Σ α_k A_k), α_k the mean slope of a channel."""
    a = torch.randn(4, 6, 5, 3)  # few places, of which some in each picture are above 0
    g = torch.randn(4, 6, 5, 3)
    alpha = g.mean((2, 3), keepdim=True)
    weighed = alpha * a
    right = weighed.sum(1).relu()
    known = {
        "your map has shape (4, 1, 5, 3). The channels are added up and gone: .sum(1), without"
        " keepdim.": (4, 1, 5, 3),
        "your map still has a number for each channel. Add them up: .sum(1).": (4, 6, 5, 3),
    }
    said = called(yours, a, g, like=right, what="map", known=known)
    if torch.allclose(said, right, rtol=1e-4, atol=1e-5):
        called(yours, a[:1], g[:1], like=right[:1], what="map of a single picture")
        return None
    scaled = (
        "your map is scaled to a largest value of 1. Which of two pictures speaks more for its"
        " class would be lost: leave relu(Σ α A) as it is."
    )
    least, most = (f((1, 2), keepdim=True) for f in (right.amin, right.amax))
    mistakes = {
        "a map of what speaks *for* the target has nothing below 0: .relu() at the end.": (
            weighed.sum(1)
        ),
        "the relu comes last. Before it, channels that speak against the target must be able to"
        " take away.": weighed.relu().sum(1),
        "you weighed each place with its own slope. α is one number a channel, the mean over its"
        " places.": (a * g).sum(1).relu(),
        "15 times too large: α is the *mean* of a channel's slopes over its 15 places.": 15 * right,
        "6 times too small: add up the channels, .sum(1).": weighed.mean(1).relu(),
        "a channel with a negative slope speaks against the target: keep α's sign.": (
            (alpha.abs() * a).sum(1).relu()
        ),
        "a channel with a negative slope takes away from the map: no relu on α.": (
            (alpha.relu() * a).sum(1).relu()
        ),
        "your α is a mean over all pictures. Each has its own: .mean((2, 3), keepdim=True).": (
            (g.mean((0, 2, 3), keepdim=True) * a).sum(1).relu()
        ),
        "your α is the mean of the maps. Take the mean of the gradients, and weigh the maps.": (
            (a.mean((2, 3), keepdim=True) * a).sum(1).relu()
        ),
        scaled: [
            right / most,
            right / right.max(),
            (right - least) / (most - least),
            (right - right.min()) / (right.max() - right.min()),
        ],
        "you kept the largest channel; add them up: .sum(1).": weighed.amax(1).relu(),
        "your α is the largest slope of a channel. Take its mean.": (
            (g.amax((2, 3), keepdim=True) * a).sum(1).relu()
        ),
        "your α is one number a place, the mean over channels. It is one a channel, the mean over"
        " places: .mean((2, 3), keepdim=True).": (g.mean(1, keepdim=True) * a).sum(1).relu(),
        "every picture has the first one's map.": right[:1].expand_as(right),
        "that is |Σ α A|. What speaks against the target should be 0, not positive.": (
            weighed.sum(1).abs()
        ),
    }
    off = (said - right).abs().amax((1, 2))
    i = int(off.argmax())
    return recognised(said, mistakes, same=close) or (
        f"that is not relu(Σ α A): for picture {i} it is off by up to {off[i]:.2g}, where the"
        f" largest value is {right[i].max():.2g}. Is α the mean of each channel's slopes, and does"
        " it weigh the maps?"
    )


@exercise(
    LESSON,
    saliency.top_pixels,
    "maps.flatten(1) has a row a map; k = round(share * its length) of its pixels are wanted.",
    ".argsort(1, descending=True) says where the highest is, the next, …; .argsort(1) of that, the"
    " place of each pixel.",
    "Those whose place is below k are wanted; .view_as(maps) gives back the shape."
    " saliency.pixel_ranks(maps) has the places.",
)
def top_pixels(yours):
    """The given share of each map's pixels, the highest, as booleans."""
    for share in (0.25, 0.5, 0.75, 0.0, 1.0):
        maps = torch.randn(3, 4, 16) * torch.tensor([1.0, 10.0, 0.1]).view(-1, 1, 1)
        maps[2] = (maps[2] - maps[2].median()).relu()  # half of it 0, as Grad-CAM's maps are
        k = round(64 * share)
        said = called(yours, maps, share, like=maps > 0, what="mask")
        if said.dtype != torch.bool:
            return (
                "booleans are wanted, True for a pixel that is among the highest; yours are"
                f" {said.dtype}."
            )
        counts = said.flatten(1).sum(1).tolist()
        if counts != [k] * 3 and torch.equal(said, maps > share * maps.amax((1, 2), keepdim=True)):
            return "share is a share of the pixels, not of the largest value: sort them, and count."
        if said.sum() == 3 * k and counts != [k] * 3:
            return (
                f"you chose {counts} pixels: the highest of all maps together. Choose {k} in each"
                " map by itself."
            )
        if counts[:2] == [k, k] and counts[2] != k:
            return (
                f"right for maps without equal values; in one with many zeros you chose {counts[2]}"
                f" pixels, and {k} are wanted. A threshold takes all equals or none: choose by"
                " place in the order."
            )
        if counts != [k] * 3:
            return f"a share of {share:g} is {k} of 64 pixels in each map; you chose {counts}."
        once = maps.flatten(1).argsort(1, descending=True)
        for m, s in zip(maps, said, strict=True) if 0 < k < 64 else ():
            if m[s].min() >= m[~s].max():
                continue
            if m[s].max() <= m[~s].min():
                return "those are the lowest. Sort the other way: descending=True."
            if m[s].abs().min() >= m[~s].abs().max():
                return "those are the largest in size. Below 0 is low, however far: no .abs()."
            by_row = m.argsort(1, descending=True).argsort(1) < 16 * share
            by_column = m.argsort(0, descending=True).argsort(0) < 4 * share
            if torch.equal(s, by_row) or torch.equal(s, by_column):
                return (
                    "you chose as many in each row or column. Choose from the whole map:"
                    " .flatten(1) first."
                )
            if torch.equal(said.flatten(1), once < k):
                return (
                    ".argsort says which pixel comes first, which next, …; which place a pixel has"
                    " says .argsort(1) of that."
                )
            return (
                f"a pixel of {m[~s].max():.2f} is left out, and one of {m[s].min():.2f} is in. Sort"
                " each map by itself, and keep its pixels in their places."
            )
        called(yours, maps[:1], share, like=maps[:1] > 0, what="mask of a single map")
    return None
