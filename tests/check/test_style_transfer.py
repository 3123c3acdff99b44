"""Lesson 15's exercises, answered rightly in other ways than the course's, and wrongly in each way
that has a sentence of its own."""

import pytest
import torch
from torch.nn import functional as F

from trickkit import style
from trickkit.check import style_transfer as check

from .answers import accepted, refused


def gram_wrong(rows=lambda x: x.flatten(2)[0], join=lambda r: r @ r.T, size=lambda r: r.shape[1]):
    return lambda x: join(rows(x)) / size(rows(x))


def style_wrong(
    layer=lambda g, a: (g - a).square().sum() / (4 * len(g) ** 2), join=lambda z: sum(z) / len(z)
):
    return lambda now, wanted: join([layer(g, a) for g, a in zip(now, wanted, strict=True)])


def each_by_itself(x):
    return torch.stack([row[torch.randperm(row.numel())] for row in x.flatten(2)[0]]).view_as(x)


WRONG = [
    (check.gram, lambda a: style.gram(a.relu()), "stops where the activation is 0"),
    (check.gram, gram_wrong(size=lambda r: 1), "times too large"),
    (check.gram, gram_wrong(size=len), "divided by the number of channels"),
    (check.gram, gram_wrong(size=torch.numel), "channels times places"),
    (check.gram, gram_wrong(join=lambda r: r.T @ r), "places with places"),
    (
        check.gram,
        gram_wrong(lambda x: x.flatten(2)[0] - x.flatten(2)[0].mean(1, keepdim=True)),
        "covariance",
    ),
    (check.gram, gram_wrong(join=torch.cov, size=lambda r: 1), "covariance"),
    (check.gram, gram_wrong(join=torch.corrcoef, size=lambda r: 1), "correlation"),
    (check.gram, lambda x: x.mean((2, 3)).T @ x.mean((2, 3)), "averaged over the places first"),
    (check.gram, gram_wrong(lambda x: x.reshape(-1, x.shape[1]).T), "cuts channels apart"),
    (check.gram, lambda x: style.gram(x).sqrt(), "took a root"),
    (check.gram, lambda x: style.gram(x)[None], "without the batch's axis"),
    (check.gram, lambda x: 2 * style.gram(x), "off by up to"),
    (check.gram, lambda x: style.gram(x.detach()), "cut off from the activation"),
    (check.gram, lambda x: torch.from_numpy(x.numpy()), "stopped with RuntimeError"),
    (check.gram, lambda x: style.gram(x.mul_(2)), "changed activation itself"),
    (
        check.gram,
        lambda x: torch.stack([torch.stack([(a * b).mean() for b in x[0]]) for a in x[0]]),
        "No loop over channels",
    ),
    (
        check.gram,
        lambda x: torch.stack([(x[0] * a).mean((1, 2)) for a in x[0]]),
        "No loop over channels",
    ),
    (
        check.gram,
        gram_wrong(join=lambda r: r @ r.detach().T),
        "its gradient is not: a factor of it is cut off",
    ),
    (check.gram, lambda x: style.gram((x > 0) * 1.0 + 0 * x), "1 where both channels fire"),
    (check.gram, lambda x: style.gram(x).diag().diag(), "its diagonal alone"),
    (check.gram, lambda x: style.gram(x) * x.shape[2], "one side of the layer"),
    (check.gram, gram_wrong(size=lambda r: r.shape[1] ** 0.5), "root of the number of places"),
    (check.gram, gram_wrong(size=lambda r: r.shape[1] ** 2), "number of places twice"),
    (check.gram, gram_wrong(size=lambda r: r.shape[1] - 1), "divided by M - 1"),
    (
        check.gram,
        gram_wrong(lambda x: F.normalize(x.flatten(2)[0], dim=1), size=lambda r: 1),
        "cosine",
    ),
    (
        check.gram,
        gram_wrong(join=lambda r: torch.outer(r.sum(1), r.sum(1))),
        "averaged over the places first",
    ),
    (
        check.gram,
        gram_wrong(lambda x: x[0].permute(1, 2, 0).reshape(x.shape[1], -1)),
        "cuts channels apart",
    ),
    (check.gram, lambda x: style.gram(x).triu(), "half of your matrix is missing"),
    (check.gram, lambda x: style.gram(x).tril(), "half of your matrix is missing"),
    (check.style_loss, style_wrong(join=sum), "three times too large"),
    (check.style_loss, style_wrong(lambda g, a: (g - a).square().mean()), "four times too large"),
    (
        check.style_loss,
        style_wrong(lambda g, a: (g - a).square().mean(), sum),
        "four times, and once",
    ),
    (check.style_loss, style_wrong(lambda g, a: (g - a).square().sum()), "drown the others"),
    (
        check.style_loss,
        style_wrong(lambda g, a: (g - a).square().sum(), sum),
        "neither divided each layer",
    ),
    (
        check.style_loss,
        style_wrong(lambda g, a: (g - a).square().sum() / (4 * len(g))),
        "the paper by 4 C²",
    ),
    (check.style_loss, style_wrong(join=lambda z: -sum(z) / 3), "the sign is turned"),
    (check.style_loss, style_wrong(join=lambda z: z[0]), "only the first layer counts. Go"),
    (check.style_loss, style_wrong(join=lambda z: z[0] / 3), "first layer counts, as a third"),
    (check.style_loss, style_wrong(join=lambda z: z[2]), "only the last layer"),
    (check.style_loss, style_wrong(join=lambda z: (sum(z) / 3).sqrt()), "took a root"),
    (
        check.style_loss,
        style_wrong(lambda g, a: (g - a).square().sum() / 4 * len(g) ** 2),
        "put brackets",
    ),
    (
        check.style_loss,
        style_wrong(lambda g, a: (g - a).square().sum() / (4 * g.numel() ** 2)),
        "matrix's entries",
    ),
    (check.style_loss, style_wrong(lambda g, a: (g - a).norm() / (2 * len(g))), "took a root"),
    (check.style_loss, style_wrong(lambda g, a: (g - a).norm() / (4 * len(g) ** 2)), "a root"),
    (
        check.style_loss,
        style_wrong(lambda g, a: (g - a).abs().sum() / (4 * len(g) ** 2)),
        "absolute values",
    ),
    (
        check.style_loss,
        style_wrong(lambda g, a: (g - a).sum().square() / (4 * len(g) ** 2)),
        "squared the sum",
    ),
    (
        check.style_loss,
        lambda now, wanted: style_wrong(lambda g, a: (g - a).square().sum() / (4 * len(now) ** 2))(
            now, wanted
        ),
        "you took the number of layers",
    ),
    (check.style_loss, style_wrong(join=lambda z: sum(z) / 5), "sum by another number"),
    (check.style_loss, style_wrong(join=lambda z: sum(z) / 2), "sum by another number"),
    (
        check.style_loss,
        style_wrong(lambda g, a: (g - a).square().sum() / (4 * len(g)) ** 2),
        "squared the 4 as well",
    ),
    (
        check.style_loss,
        style_wrong(lambda g, a: (g**2 - a**2).sum() / (4 * len(g) ** 2)),
        "squared the matrices and took the difference",
    ),
    (
        check.style_loss,
        style_wrong(lambda g, a: (g - a).flatten(), lambda z: torch.cat(z).square().mean() / 4),
        "all entries of all matrices",
    ),
    (
        check.style_loss,
        lambda now, wanted: style_wrong(
            lambda g, a: (g - a).square().sum() / (4 * len(now[-1]) ** 2)
        )(now, wanted),
        "one layer's C",
    ),
    (check.style_loss, style_wrong(join=torch.stack), "a number for each layer"),
    (check.style_loss, style_wrong(join=lambda z: (sum(z) / 3).item()), "no .item"),
    (check.style_loss, style_wrong(join=lambda z: (sum(z) / 3).detach()), "no gradient flows back"),
    (check.style_loss, style_wrong(join=lambda z: 3 * sum(z)), "your loss is .* and their mean"),
    (
        check.style_loss,
        style_wrong(join=lambda z: (z[0] + z[1].detach() + z[2]) / 3),
        "of the matrices are cut off",
    ),
    (
        check.style_loss,
        style_wrong(join=lambda z: torch.tensor(sum(z).item() / 3, requires_grad=True)),
        "of the matrices are cut off",
    ),
    (
        check.style_loss,
        style_wrong(lambda g, a: style.style_loss([g.data.sub_(a)], [g.data])),
        "changed (now|wanted) itself",
    ),
    (check.scattered, lambda x: x.clone(), "that is the one you were given"),
    (check.scattered, lambda x: -x, "true, turning the signs keeps"),
    (check.scattered, lambda x: x - 1, "some of your numbers are below 0"),
    (check.scattered, lambda x: x[:, torch.arange(x.shape[1]).roll(1)], "you moved the channels"),
    (check.scattered, each_by_itself, "shuffled by itself"),
    (
        check.scattered,
        lambda x: x.flatten()[torch.randperm(x.numel())].view_as(x),
        "no place kept its numbers together",
    ),
    (
        check.scattered,
        lambda x: torch.cat([x[:, :, :1].flip(3), x[:, :, 1:]], 2),
        "of the places hold other numbers",
    ),
    (check.scattered, lambda x: x.transpose(2, 3), "has shape"),
    (check.scattered, lambda x: x * 1.0001, "of the places hold other numbers"),
    (check.scattered, torch.rand_like, "its Gram matrix is off by"),
    (check.scattered, lambda x: 2 * x, "its Gram matrix is off by"),
    (check.scattered, lambda x: x.copy_(x.flip(3)), "changed activation itself"),
]

RIGHT = [
    (check.gram, lambda x: torch.einsum("bchw,bdhw->cd", x, x) / x.shape[2] / x.shape[3]),
    (check.gram, lambda x: (x[0, :, None] * x[0]).mean((2, 3))),
    (check.gram, lambda x: style.gram(x.double())),
    (check.style_loss, style_wrong(lambda g, a: (g - a).square().mean() / 4)),
    (check.style_loss, style_wrong(lambda g, a: F.mse_loss(g, a) / 4)),
    (check.style_loss, style_wrong(lambda g, a: ((g - a).double().norm() / (2 * len(g))) ** 2)),
    (check.scattered, lambda x: x.flip(2)),
    (check.scattered, lambda x: x.flip(2, 3).double()),
    (check.scattered, lambda x: x.roll((1, 2), (2, 3))),
    (check.scattered, lambda x: x[:, :, torch.randperm(x.shape[2]).roll(1)].flip(3)),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
