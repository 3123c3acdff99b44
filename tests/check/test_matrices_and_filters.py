"""Lesson 07's exercises, answered rightly in other ways than the course's, and wrongly in each way
that has a sentence of its own."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trickkit import features
from trickkit.check import matrices_and_filters as check

from .answers import accepted, refused


def side_by_side(kernel, height, width):
    """The kernel's rows side by side, and each row of the matrix one place further along."""
    rows = (height - kernel.shape[0] + 1) * (width - kernel.shape[1] + 1)
    k, across = kernel.shape
    first = torch.zeros(height * width)
    first[: k * across] = kernel.flatten()
    return torch.stack([first.roll(i) for i in range(rows)])


def wrapping(kernel, height, width):
    """Each row of the matrix one place further along, also where the kernel then reaches around the
    picture's edge."""
    right = features.toeplitz(kernel, height, width)
    return torch.stack([right[0].roll(i) for i in range(len(right))])


def padded(kernel, height, width):
    k, across = (n - 1 for n in kernel.shape)
    ones = F.pad(
        torch.eye(height * width).view(-1, 1, height, width),
        (across // 2, across - across // 2, k // 2, k - k // 2),
    )
    return F.conv2d(ones, kernel[None, None]).flatten(1).T


def on_its_side(kernel, height, width):
    """The kernel's rows for its columns, where the shapes do not tell."""
    square = kernel.shape[0] == kernel.shape[1]
    return features.toeplitz(kernel.T.contiguous() if square else kernel, height, width)


def field_wrong(start=1, own=False, less=1, join=lambda apart, stride: apart * stride):
    def receptive_field(steps):
        field = start
        apart = 1
        for kernel, stride in steps:
            field += (kernel - less) * (join(apart, stride) if own else apart)
            apart = join(apart, stride)
        return field

    return receptive_field


def strides_added(steps):
    apart = [max(1, sum(stride for _, stride in steps[:i])) for i in range(len(steps))]
    return 1 + sum((kernel - 1) * far for (kernel, _), far in zip(steps, apart, strict=True))


def correlations_wrong(mean=lambda a: a.mean(0), over=lambda m, n: (m * n).clamp(min=1e-12)):
    """over: the lengths of a's columns, those of b's -> what their products are divided by."""

    def table(a, b):
        a, b = a - mean(a), b - mean(b)
        return a.T @ b / over(a.norm(dim=0)[:, None], b.norm(dim=0))

    return table


def ranks(a):
    return a.argsort(0).argsort(0).float()


def squares(weights):
    return torch.linalg.svdvals(weights).square()


WRONG = [
    (check.toeplitz, lambda k, h, w: features.toeplitz(k.flip(0, 1), h, w), "turned round by 180°"),
    (check.toeplitz, lambda k, h, w: features.toeplitz(k, h, w).T, "its transpose"),
    (check.toeplitz, padded, "as with padding"),
    (check.toeplitz, side_by_side, "stand side by side"),
    (check.toeplitz, wrapping, "starts at pixel r"),
    (
        check.toeplitz,
        lambda k, h, w: features.toeplitz(k.flip(1), h, w),
        "left and right are exchanged",
    ),
    (
        check.toeplitz,
        lambda k, h, w: features.toeplitz(k.flip(0), h, w),
        "top and bottom are exchanged",
    ),
    (check.toeplitz, on_its_side, "lies on its side"),
    (check.toeplitz, lambda k, h, w: features.toeplitz(k, h, w).to_sparse(), "to_dense"),
    (check.toeplitz, lambda k, h, w: features.toeplitz(2 * k, h, w), "pixels differ"),
    (check.toeplitz, lambda k, h, w: torch.ones_like(features.toeplitz(k, h, w)), "that are not 0"),
    (
        check.toeplitz,
        lambda k, h, w: features.toeplitz(k, h, w) + k.mul_(2).sum() * 0,
        "changed kernel itself",
    ),
    (check.receptive_field, field_wrong(join=lambda apart, stride: 1), "strides are missing"),
    (check.receptive_field, field_wrong(own=True), "add first, then multiply"),
    (check.receptive_field, field_wrong(start=0), "sees 1 pixel, not 0"),
    (
        check.receptive_field,
        field_wrong(join=lambda apart, stride: apart + stride - 1),
        "Strides multiply.*not 3",
    ),
    (check.receptive_field, strides_added, "Strides multiply"),
    (check.receptive_field, field_wrong(join=lambda a, stride: a + stride), "Strides multiply"),
    (
        check.receptive_field,
        field_wrong(join=lambda apart, stride: stride),
        "only the stride of the layer before",
    ),
    (
        check.receptive_field,
        lambda steps: features.receptive_field(steps) + 1000,
        "Go layer by layer",
    ),
    (check.receptive_field, field_wrong(less=0), "adds 2 neighbours, not 3"),
    (
        check.receptive_field,
        lambda steps: features.receptive_field(steps[::-1]),
        "in the order of the picture's way",
    ),
    (check.receptive_field, lambda steps: (features.receptive_field(steps), 4), "the width alone"),
    (check.correlations, correlations_wrong(mean=lambda a: 0), "a cosine"),
    (check.correlations, correlations_wrong(over=lambda m, n: 24), "a covariance"),
    (check.correlations, correlations_wrong(over=lambda m, n: m * n), "0 / 0"),
    (check.correlations, correlations_wrong(mean=torch.mean), "one mean of the whole"),
    (
        check.correlations,
        correlations_wrong(over=lambda m, n: (m * n).square().clamp(min=1e-9)),
        "square root",
    ),
    (
        check.correlations,
        correlations_wrong(over=lambda m, n: m.clamp(min=1e-9)),
        "None can be beyond 1",
    ),
    (
        check.correlations,
        lambda a, b: features.correlations(ranks(a), ranks(b)),
        "correlate at .* and you say",
    ),
    (check.correlations, lambda a, b: features.correlations(a, b) * 23 / 24, "24 to 23"),
    (
        check.correlations,
        lambda a, b: features.correlations(a, b).where(b.std(0) > 0, torch.nan),
        "0 / 0",
    ),
    (
        check.correlations,
        lambda a, b: features.correlations(a, b).square(),
        "squares of correlations",
    ),
    (check.correlations, lambda a, b: features.correlations(b, a), "Transpose it"),
    (check.correlations, lambda a, b: torch.corrcoef(torch.cat([a, b], 1).T), "Cut out"),
    (check.correlations, lambda a, b: features.correlations(a, b).abs(), "lost their signs"),
    (check.correlations, lambda a, b: features.correlations(a, b.sub_(1)), "changed b itself"),
    (
        check.energy,
        lambda w: squares(w).sqrt().cumsum(0) / squares(w).sqrt().sum(),
        "sum of their squares",
    ),
    (check.energy, lambda w: squares(w) / squares(w).sum(), "each value alone"),
    (check.energy, lambda w: squares(w).sqrt() / squares(w).sqrt().sum(), "Two things are missing"),
    (check.energy, lambda w: 100 * features.energy(w), "per cent"),
    (check.energy, lambda w: squares(w).cumsum(0), "the whole energy"),
    (
        check.energy,
        lambda w: squares(w).flip(0).cumsum(0) / squares(w).sum(),
        "began with the smallest",
    ),
    (check.energy, lambda w: 1 - features.energy(w), "what is left out"),
    (check.energy, lambda w: features.energy(w)[0], "one number"),
    (
        check.energy,
        lambda w: squares(w).square().cumsum(0) / squares(w).square().sum(),
        "for k = . the share is",
    ),
]

RIGHT = [
    (check.receptive_field, lambda steps: np.array([features.receptive_field(steps)])),
    (check.receptive_field, lambda steps: torch.tensor(features.receptive_field(steps))),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
