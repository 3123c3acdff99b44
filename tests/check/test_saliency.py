"""Lesson 08's exercises, answered wrongly in each way that has a sentence of its own."""

import pytest
import torch

from trickkit import contract, saliency
from trickkit.check import saliency as check
from trickkit.contract import score_gradient

from .answers import accepted, refused


def of_chance(m, x, y):
    return score_gradient(lambda z: m(z).softmax(1), x, y).abs().amax(1)


def asking_in_place(m, x, y):
    x.requires_grad_(True)
    return torch.autograd.grad(m(x).gather(1, y[:, None]).sum(), x)[0].abs().amax(1)


def along_wrong(
    factor=lambda x, b: x - b,
    mean=lambda slopes, steps: slopes / steps,
    join=lambda m: m.sum(1),
    shares=lambda n: (torch.arange(n) + 0.5) / n,
    point=lambda x, b, s: b + s * (x - b),
):
    def integrated(m, x, y, steps, b):
        slopes = sum(score_gradient(m, point(x, b, s), y) for s in shares(steps))
        return join(factor(x, b) * mean(slopes, steps))

    return integrated


def cam_wrong(alpha=lambda g: g.mean((2, 3), keepdim=True), join=lambda m: m.sum(1).relu()):
    return lambda a, g: join(alpha(g) * a)


def by_threshold(maps, share):
    k = max(round(share * 64), 1)
    return (maps >= maps.flatten(1).sort(1, descending=True).values[:, k - 1].view(-1, 1, 1)) & (
        share > 0
    )


def of_all_together(maps, share):
    first = maps.flatten().argsort(descending=True)[: round(share * maps.numel())]
    return torch.zeros(maps.numel(), dtype=torch.bool).index_fill(0, first, True).view_as(maps)


def scaled(maps):
    return maps / maps.amax((1, 2), keepdim=True)


def differences(m, x, y):
    each = 0.01 * torch.eye(x[0].numel()).view(-1, *x.shape[1:])
    rises = [[m(z[None] + e) - m(z[None] - e) for e in each] for z in x]
    rises = torch.stack([torch.cat(r)[:, k] for r, k in zip(rises, y, strict=True)])
    return (rises.view_as(x) / 0.02).abs().amax(1)


WRONG = [
    (check.gradient, lambda m, x, y: score_gradient(m, x, y), "three numbers a pixel"),
    (check.gradient, lambda m, x, y: score_gradient(m, x, y).amax(1), "before the largest"),
    (
        check.gradient,
        lambda m, x, y: score_gradient(m, x, y).amax(1).abs(),
        "the absolute value comes first",
    ),
    (check.gradient, lambda m, x, y: score_gradient(m, x, y).abs().sum(1), "added up the channels"),
    (check.gradient, lambda m, x, y: score_gradient(m, x, y).abs().mean(1), "mean of the channels"),
    (check.gradient, lambda m, x, y: score_gradient(m, x, y).sum(1).abs(), "channels cancel"),
    (check.gradient, of_chance, "gradient of the probability"),
    (
        check.gradient,
        lambda m, x, y: contract.loss_gradient(m, x, y).abs().amax(1),
        "gradient of the loss",
    ),
    (
        check.gradient,
        lambda m, x, y: (x * score_gradient(m, x, y)).abs().amax(1),
        "multiplied with the picture",
    ),
    (
        check.gradient,
        lambda m, x, y: score_gradient(m, x, m(x).argmax(1)).abs().amax(1),
        "the class the network says",
    ),
    (check.gradient, lambda m, x, y: score_gradient(m, x, y[0]).abs().amax(1), "the first target"),
    (check.gradient, asking_in_place, "switched requires_grad on"),
    (check.gradient, lambda m, x, y: 2 * score_gradient(m, x, y).abs().amax(1), "off by up to"),
    (
        check.gradient,
        lambda m, x, y: score_gradient(m, x, y).norm(dim=1),
        "length over the channels",
    ),
    (
        check.gradient,
        lambda m, x, y: sum(score_gradient(m, x, k) for k in y).abs().amax(1),
        "the targets of all",
    ),
    (check.integrated_gradients, along_wrong(factor=lambda x, b: 1), "Multiply it with the way"),
    (check.integrated_gradients, along_wrong(factor=lambda x, b: x), "multiplied with the picture"),
    (
        check.integrated_gradients,
        lambda m, x, y, n, b: saliency.integrated_gradients(m, x, y, steps=n),
        "starts from black",
    ),
    (check.integrated_gradients, along_wrong(shares=lambda n: [1] * n), "at the picture alone"),
    (check.integrated_gradients, along_wrong(shares=lambda n: [0] * n), "at the baseline alone"),
    (
        check.integrated_gradients,
        along_wrong(mean=lambda slopes, steps: slopes),
        "300 times too large",
    ),
    (check.integrated_gradients, along_wrong(factor=lambda x, b: b - x), "the other way round"),
    (
        check.integrated_gradients,
        along_wrong(join=lambda m: m.sum(1).abs()),
        "lost its signs. A pixel that speaks against",
    ),
    (check.integrated_gradients, along_wrong(join=lambda m: m.amax(1)), "kept the largest channel"),
    (check.integrated_gradients, along_wrong(join=lambda m: m.mean(1)), "mean of the channels"),
    (check.integrated_gradients, along_wrong(join=lambda m: m), "three numbers a pixel"),
    (
        check.integrated_gradients,
        along_wrong(point=lambda x, b, s: s * x),
        r"your map of picture \d sums to",
    ),
    (
        check.integrated_gradients,
        along_wrong(join=lambda m: m.abs().sum(1)),
        "Add up what the channels say",
    ),
    (
        check.integrated_gradients,
        along_wrong(mean=lambda slopes, steps: (slopes / steps).abs()),
        "lost its signs. The mean gradient keeps them",
    ),
    (check.integrated_gradients, along_wrong(join=lambda m: m.sum(1).relu()), "no relu"),
    (
        check.integrated_gradients,
        along_wrong(shares=lambda n: torch.arange(n) / n),
        "nearly: right with 300",
    ),
    (
        check.integrated_gradients,
        along_wrong(shares=lambda n: (torch.arange(n) + 1) / n),
        "nearly: right with 300",
    ),
    (
        check.integrated_gradients,
        lambda m, x, y, n, b: saliency.integrated_gradients(m, x, y, steps=200, baseline=b),
        "you ignore steps",
    ),
    (check.cam, cam_wrong(alpha=lambda g: g.mean((2, 3), keepdim=True).relu()), "no relu on α"),
    (
        check.cam,
        lambda a, g: a.mul_(g.mean((2, 3), keepdim=True)).sum(1).relu(),
        "changed maps itself",
    ),
    (check.cam, cam_wrong(join=lambda m: m.sum(1)), "nothing below 0"),
    (check.cam, cam_wrong(join=lambda m: m.relu().sum(1)), "the relu comes last"),
    (check.cam, cam_wrong(alpha=lambda g: g), "each place with its own slope"),
    (check.cam, cam_wrong(alpha=lambda g: g.sum((2, 3), keepdim=True)), "15 times too large"),
    (check.cam, cam_wrong(join=lambda m: m.mean(1).relu()), "6 times too small"),
    (check.cam, cam_wrong(alpha=lambda g: g.mean((2, 3), keepdim=True).abs()), "keep α's sign"),
    (
        check.cam,
        cam_wrong(alpha=lambda g: g.mean((0, 2, 3), keepdim=True)),
        "mean over all pictures",
    ),
    (check.cam, cam_wrong(join=lambda m: m.sum(1).abs()), "should be 0, not positive"),
    (check.cam, cam_wrong(join=lambda m: m.sum(1, keepdim=True).relu()), "added up and gone"),
    (check.cam, cam_wrong(join=lambda m: m.relu()), "a number for each channel"),
    (check.cam, lambda a, g: saliency.cam(g, a), "does it weigh the maps"),
    (check.top_pixels, lambda m, s: saliency.top_pixels(m.abs(), share=s), "no .abs"),
    (
        check.top_pixels,
        lambda m, s: torch.stack([saliency.top_pixels(r, share=s) for r in m[..., None]])[..., 0],
        "from the whole map",
    ),
    (check.top_pixels, lambda m, s: saliency.top_pixels(-m, share=s), "those are the lowest"),
    (
        check.top_pixels,
        lambda m, s: m > s * m.amax((1, 2), keepdim=True),
        "share of the pixels, not of the largest",
    ),
    (check.top_pixels, lambda m, s: saliency.top_pixels(m, share=s).float(), "booleans are wanted"),
    (check.top_pixels, by_threshold, "A threshold takes all equals or none"),
    (check.top_pixels, of_all_together, "of all maps together"),
    (
        check.top_pixels,
        lambda m, s: saliency.top_pixels(m, share=1 - s),
        "of 64 pixels in each map",
    ),
    (
        check.top_pixels,
        lambda m, s: saliency.top_pixels(m.roll(1, 2), share=s),
        "Sort each map by itself",
    ),
    (
        check.gradient,
        lambda m, x, y: score_gradient(m, x, y).abs().amax(1) / 5,
        "5 times too small",
    ),
    (check.gradient, lambda m, x, y: scaled(saliency.gradient(m, x, y)), "largest value of 1"),
    (check.gradient, lambda m, x, y: saliency.gradient(m, x, y).squeeze(), "of a single picture"),
    (check.gradient, differences, "do not try them one by one"),
    (
        check.integrated_gradients,
        lambda m, x, y, n, b: along_wrong()(m, x, m(x).argmax(1), n, b),
        "the class that the network says of the picture",
    ),
    (
        check.integrated_gradients,
        lambda m, x, y, n, b: along_wrong()(m, x, y[:1].expand(len(y)), n, b),
        "the map of the first target",
    ),
    (
        check.integrated_gradients,
        lambda m, x, y, n, b: along_wrong()(lambda z: m(z).softmax(1), x, y, n, b),
        "gradient of the probability",
    ),
    (
        check.integrated_gradients,
        lambda m, x, y, n, b: along_wrong()(lambda z: m(z).log_softmax(1), x, y, n, b),
        "gradient of the loss",
    ),
    (
        check.integrated_gradients,
        along_wrong(mean=lambda slopes, steps: slopes / (steps + 1)),
        "divide by just so many",
    ),
    (check.cam, lambda a, g: scaled(saliency.cam(a, g)), "scaled to a largest value of 1"),
    (check.cam, cam_wrong(join=lambda m: m.sum(1).squeeze().relu()), "of a single picture"),
    (check.cam, cam_wrong(join=lambda m: m.amax(1).relu()), "kept the largest channel"),
    (
        check.top_pixels,
        lambda m, s: (m.flatten(1).argsort(1, descending=True) < round(64 * s)).view_as(m),
        "which place a pixel has",
    ),
]

RIGHT = [
    (check.gradient, lambda m, x, y: score_gradient(m, x, y).double().abs().amax(1).numpy()),
    (check.integrated_gradients, lambda *a: along_wrong()(*a).double()),
    (check.cam, lambda a, g: (g.double().mean((2, 3), keepdim=True) * a).sum(1).relu()),
    (check.top_pixels, lambda m, s: saliency.top_pixels(m, share=s).tolist()),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
