"""The checks of lesson 12.

Each draws fresh representations, concepts and heads, so that no stored answer can pass.
"""

from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F

from trickkit import atlas, concepts, similarity, units
from trickkit.check import Marks, called, exercise, progress, recognised, same, told_apart
from trickkit.contract import with_gradients

__all__ = ["cells", "cka", "concept_vector", "iou", "move", "progress", "tcav_score"]
LESSON = "12 abstract_summaries"


@exercise(
    LESSON,
    similarity.cka,
    "First centre: subtract from each column its mean over the examples, x - x.mean(0).",
    "The three matrices are y.T @ x, x.T @ x and y.T @ y; .norm() of a matrix is Frobenius' norm.",
    "(y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())",
    rounds=3,
)
def cka(yours):
    """Linear CKA of two representations."""
    # with as many features in each, what is transposed gives a number; with others, it cannot
    for features in ((5, 5), (7, 4)):
        while True:
            x, y, mistakes = pair_of_representations(*features)
            right = similarity.cka(x, y)
            if told_apart(right, mistakes):
                break
        got = called(yours, x, y, like=right)
        if not same(got, right):
            return recognised(got, mistakes) or (
                f"your result is {float(got):.4f}; {float(right):.4f} is wanted, the square of"
                " ‖YᵀX‖ divided by ‖XᵀX‖ and by ‖YᵀY‖, all centred."
            )
    return None


def pair_of_representations(p: int, q: int) -> tuple[torch.Tensor, torch.Tensor, Marks]:
    """Two representations of 12 examples that have something in common, and what known mistakes
    make of them.
    """
    shared = torch.randn(12, 3).double()
    x, y = (
        shared @ torch.randn(3, d).double()
        + 0.5 * torch.randn(12, d)
        + torch.randn(d)
        + torch.randn(12, 1)
        for d in (p, q)
    )
    a, b = x - x.mean(0), y - y.mean(0)

    def ratio(a, b, c=None, d=None):
        c, d = a if c is None else c, b if d is None else d
        return (b.T @ a).norm() ** 2 / ((c.T @ c).norm() * (d.T @ d).norm())

    def by_kernels(k, m):
        return (k * m).sum() / (k.norm() * m.norm())

    top, left, right = (b.T @ a).norm(), (a.T @ a).norm(), (b.T @ b).norm()
    k, m = x @ x.T, y @ y.T
    kc, lc = a @ a.T, b @ b.T
    mistakes: Marks = {
        "the columns are not centred. Subtract x.mean(0) from x, and y.mean(0) from y: what all"
        " examples have in common says nothing about them.": ratio(x, y),
        "you centred each example over its features. Centre each feature over the examples:"
        " x.mean(0).": ratio(x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)),
        "you subtracted one mean from everything, x.mean(). Each feature has its own: x.mean(0).": (
            ratio(x - x.mean(), y - y.mean())
        ),
        "only y is centred. x wants it too.": [ratio(x, b), ratio(a, b, x, b)],
        "only x is centred. y wants it too.": [ratio(a, y), ratio(a, b, a, y)],
        "you centred the numerator alone. ‖XᵀX‖ and ‖YᵀY‖ are of the centred ones too.": (
            ratio(a, b, x, y)
        ),
        "the norms in the denominator are squared, and should not be: only the numerator is.": (
            top**2 / (left * right) ** 2
        ),
        "that is CKA's root: the norm in the numerator is to be squared, and no root taken.": (
            top / (left * right).sqrt()
        ),
        "the numerator is not squared: ‖YᵀX‖².": top / (left * right),
        "that is the numerator alone. Divide by ‖XᵀX‖ ‖YᵀY‖.": [top**2, top],
        "a / b * c divides by b and multiplies by c. Put the denominator in brackets.": (
            top**2 / left * right
        ),
        "you took ‖X‖² and ‖Y‖² for the denominator. Wanted are ‖XᵀX‖ and ‖YᵀY‖.": (
            top**2 / (a.norm() * b.norm()) ** 2
        ),
        "you took the root of the denominator. Of the norms no root is taken.": (
            top**2 / (left * right).sqrt()
        ),
        "you scaled each feature to a standard deviation of 1. Centre, and leave the sizes as they"
        " are.": ratio(a / a.std(0), b / b.std(0)),
        "those are spectral norms, the largest singular value. Frobenius' is wanted, the root of"
        " the sum of all squares: .norm().": (
            torch.linalg.matrix_norm(b.T @ a, 2) ** 2
            / (torch.linalg.matrix_norm(a.T @ a, 2) * torch.linalg.matrix_norm(b.T @ b, 2))
        ),
        "the kernels are centred from one side only. Centre x and y before multiplying.": (
            by_kernels(k - k.mean(0), m - m.mean(0))
        ),
        "k - k.diag() subtracts the diagonal from every row. Here nothing of it is to go: this is"
        " the plain CKA.": [
            by_kernels(k - k.diag(), m - m.diag()),
            by_kernels(kc - kc.diag(), lc - lc.diag()),
        ],
        "that is the unbiased estimate, which comes later. Here the diagonals stay.": [
            similarity.kernel_cka(k, m, unbiased=True),
            by_kernels(kc - kc.diag().diag(), lc - lc.diag().diag()),
        ],
        "that is CCA's R², which forgets how large a direction is. CKA does without inverses.": (
            similarity.cca_r2(x, y)
        ),
    }
    if p == q:
        mistakes |= {
            "you compared features instead of examples: x.T @ x and y.T @ x have a row a feature,"
            " x @ x.T a row an example.": [
                (a @ b.T).norm() ** 2 / ((a @ a.T).norm() * (b @ b.T).norm()),
                by_kernels(a.T @ a, b.T @ b),
            ],
        }
    return x.float(), y.float(), mistakes


@exercise(
    LESSON,
    concepts.concept_vector,
    "scaler = StandardScaler().fit(x), then LogisticRegression(max_iter=1000).fit(scaler.transform("
    "x), is_concept). Its coef_[0] is the direction, of the scaled features.",
    "A scaled feature is the feature less its mean, divided by scaler.scale_. So a weight of w on"
    " the scaled one is a weight of w / scale on the feature itself.",
    "Divide by the length: v / np.linalg.norm(v).",
    rounds=3,
)
def concept_vector(yours):
    """The direction of a concept in a layer, of length 1."""
    while True:
        labels = torch.arange(40) % 2 == 0
        spread = 4 ** torch.linspace(-1.5, 1.5, 6)[torch.randperm(6)]
        x = torch.randn(40, 6) + labels[:, None] * torch.randn(6)
        x = (x * spread + torch.randn(6)).float()
        order = torch.randperm(40)
        x, labels = x[order], labels[order]
        right = concepts.concept_vector(x, labels)
        mistakes = directions(x.numpy(), labels.numpy())
        if apart(right, mistakes):
            break
    got = called(
        yours,
        x,
        labels,
        like=right,
        what="vector",
        known={"coef_ has a row for each classifier, and there is one: take coef_[0].": (1, 6)},
    )
    if near(got, right):
        return None
    if said := recognised(got, mistakes, same=near):
        return said
    cosine = torch.cosine_similarity(got, right, dim=0).item()
    length = got.norm().item()
    if abs(cosine) > 0.999 and abs(length - 1) > 0.01:
        turned = "" if cosine > 0 else ", and points away from the concept"
        return (
            f"the direction is right, but its length is {length:.3g}{turned}. Length 1 is wanted."
        )
    if cosine > 0.98:
        return (
            f"nearly: your direction has a cosine of {cosine:.4f} with the one wanted. Did you"
            " leave LogisticRegression as it comes, with C = 1 and an intercept?"
        )
    return (
        f"your direction has a cosine of {cosine:.3f} with the one wanted: the weights of a"
        " logistic regression on the scaled features, each divided by its feature's scale."
    )


def near(mine: Any, right: Any) -> bool:
    """The same vector, but for what another solver, which may shrink the intercept too, changes."""
    mine, right = np.asarray(mine, dtype=float), np.asarray(right, dtype=float)
    return bool(np.linalg.norm(mine - right) <= 0.05 * np.linalg.norm(right))


def apart(right: torch.Tensor, mistakes: Marks) -> bool:
    """Whether no two results are near each other, where they mean different mistakes."""
    found = [("", right)] + [
        (sentence, mark)
        for sentence, marks in mistakes.items()
        for mark in (marks if isinstance(marks, list) else [marks])
    ]
    return not any(near(a, b) for s, a in found for t, b in found if s != t)


def directions(x: np.ndarray, labels: np.ndarray) -> Marks:
    """The sentence for a mistake -> the vector that it gives."""
    scale = StandardScaler().fit(x).scale_
    scaled = (x - x.mean(0)) / scale

    def fitted(z, y=labels):
        return LogisticRegression(max_iter=1000).fit(z, y).coef_[0]

    def unit(v):
        return v / np.linalg.norm(v)

    w = fitted(scaled)
    difference = x[labels].mean(0) - x[~labels].mean(0)
    right = unit(w / scale)
    return {
        "your vector is not of length 1. Divide it by its length.": w / scale,
        "your vector points away from the concept: turn its sign, or the answers, round.": [
            -right,
            -w / scale,
        ],
        "the scaling is not undone: those are weights of scaled features. Divide each by"
        " scaler.scale_.": [w, unit(w), -unit(w)],
        "you multiplied by the scale. A weight of w on a scaled feature is w / scale on the feature"
        " itself.": [w * scale, unit(w * scale)],
        "you divided by the variance, scaler.var_. A feature was divided by its standard deviation,"
        " scaler.scale_.": [w / scale**2, unit(w / scale**2)],
        "you fitted the features as they came. Scale them first, so that a large one does not"
        " decide by its size.": [unit(fitted(x)), fitted(x), unit(fitted(x - x.mean(0)))],
        "that is the difference of the two means, a good shortcut. Here a logistic regression is"
        " wanted.": [unit(difference), difference, unit(difference / scale)],
        "you divided by the sum of the absolute values. Length is the root of the squares added"
        " up.": right / np.abs(right).sum(),
        "you divided by the largest weight. Divide by the length.": right / np.abs(right).max(),
    }


@exercise(
    LESSON,
    concepts.tcav_score,
    "Let gradients reach the activations, or rather a copy of them:"
    " a = torch.clone(activations).requires_grad_(True). Then ask for the logits, head(a).",
    "[gradient] = torch.autograd.grad(head(a)[:, target].sum(), a) has each picture's own gradient,"
    " since no picture's logit hangs on another.",
    "gradient.flatten(1) @ vector is the derivative, a number a picture. Which share of them is"
    " above 0?",
    rounds=3,
)
def tcav_score(yours):
    """The share of pictures whose logit rises along a concept's direction."""
    count, classes = 2000, 4  # so many that a wrong share is hardly another's by chance
    slack = 2.5 / count  # who takes differences instead of derivatives may err at two pictures
    while True:
        first, second = torch.randn(12, 9), torch.randn(9, classes)
        activations = torch.randn(count, 3, 2, 2)
        vector = torch.nn.functional.normalize(torch.randn(12), dim=0)
        target = int(torch.randint(classes, ()))

        def head(a, first=first, second=second):
            return (a.flatten(1) @ first).tanh() @ second

        right = concepts.tcav_score(head, activations, vector, target)
        mistakes = scores(head, activations, vector, target)
        values = [v for m in mistakes.values() for v in (m if isinstance(m, list) else [m])]
        apart = min(abs(float(v - right)) for v in values) > 2 * slack
        if 0.25 < right < 0.8 and apart and told_apart(right, mistakes):
            break
    got = called(
        yours,
        head,
        activations,
        vector,
        target,
        like=right,
        what="score",
        known={
            "that is a number for each picture. The share of them that are above 0 is wanted.": (
                count,
            )
        },
    )
    if abs(float(got) - float(right)) < slack:
        return None
    return recognised(got, mistakes) or (
        f"your score is {float(got):.3f}; {float(right):.3f} is wanted: the share of pictures for"
        " which the target's logit rises along the vector."
    )


def scores(head: Any, activations: torch.Tensor, vector: torch.Tensor, target: int) -> Marks:
    """The sentence for a mistake -> the number that it gives."""

    def slopes(value):
        a = activations.clone().requires_grad_(True)
        [gradient] = torch.autograd.grad(value(head(a)).sum(), a)
        return gradient.flatten(1)

    def share(slope):
        return (slope > 0).float().mean()

    of_logit = slopes(lambda z: z[:, target])
    along = of_logit @ vector
    of_chance = slopes(lambda z: z.softmax(1)[:, target]) @ vector
    of_best = slopes(lambda z: z.amax(1)) @ vector
    return {
        "you differentiated the probability. It falls where another class rises faster, and hardly"
        " moves where the network is certain. Take the logit.": share(of_chance),
        "you differentiated the loss, which falls where the class gains. Take the logit.": share(
            -of_chance
        ),
        "you moved the activations a whole step, and the logit bends on the way. Ask how fast it"
        " rises at the start: the gradient times the vector.": share(
            (head(activations + vector.view(activations.shape[1:])) - head(activations))[:, target]
        ),
        "that is the share for which it falls.": share(-along),
        "that is the mean of the derivatives. The share of pictures for which it is above 0 is"
        " wanted.": [along.mean(), along.sum()],
        "that counts pictures. Divide by how many there are.": (along > 0).float().sum(),
        "that is a percentage. A share from 0 to 1 is wanted.": 100 * share(along),
        "head(a)[target] is one picture's logits. The target's, of all pictures, are"
        " head(a)[:, target].": share(slopes(lambda z: z[target]) @ vector),
        "you dropped the sign, so that every picture counts. Count those whose derivative is above"
        " 0.": share(along.abs()),
        "that is how often the target has the highest logit. Wanted is how it changes along the"
        " vector.": (head(activations).argmax(1) == target).float().mean(),
        "you added the pictures' gradients up before you looked at the sign. Each picture has one"
        " vote.": share((of_logit.mean(0) @ vector)[None]),
        "you differentiated each picture's highest logit. Take the target's.": share(of_best),
        "you differentiated the sum of all logits. Take the target's alone, logits[:, target].": (
            share(slopes(lambda z: z) @ vector)
        ),
        "that is the share whose logit itself is above 0. Wanted is how it changes along the"
        " vector.": share(head(activations)[:, target]),
        "you multiplied the activations by the vector. It is the gradient that goes with it.": (
            share(activations.flatten(1) @ vector)
        ),
        "you took the sign of each number of the gradient. First the product with the vector, one"
        " number a picture.": [share(of_logit), share(of_logit * vector)],
    }


@exercise(
    LESSON,
    units.iou,
    "A row for each unit: maps.transpose(0, 1).flatten(1) has the unit's values at all places of"
    " all pictures.",
    "Its threshold is that row's quantile(1 - top, dim=1). The unit is on where it is above.",
    "With both as 0 and 1, on @ where.T counts the intersections (C, K). The union is the one's"
    " size plus the other's, less the intersection.",
    rounds=3,
)
def iou(yours):
    """Intersection over union of where units are high and where concepts are."""
    top = 0.1
    mistakes: Marks = {}
    right = torch.zeros(())
    while not mistakes or not told_apart(right, mistakes):
        # pictures and units differ in level, so that it matters over what a threshold is taken
        maps = torch.randn(5, 4, 8, 8) + 2 * torch.randn(5, 1, 1, 1) + torch.randn(1, 4, 1, 1)
        masks = torch.rand(5, 3, 8, 8) < torch.tensor([0.1, 0.3, 0.6]).view(1, 3, 1, 1)
        right = units.iou(maps, masks, top=top)
        mistakes = overlaps(maps, masks, top)
    scores = called(
        yours,
        maps,
        masks,
        top,
        like=right,
        what="array of overlaps",
        known={
            "a row for each unit and a column for each concept is wanted; yours has them the other"
            " way round.": (3, 4),
            "you give an overlap for each picture. Count places over all pictures together, then"
            " divide.": (5, 4, 3),
        },
        not_finite="your overlaps are not finite: a union was empty. Count over all pictures"
        " together, and no union is.",
    )
    count = maps[:, 0].numel()
    for spare in (0, -1, 1):  # a place more or less above the threshold is as right
        fair = units.iou(maps, masks, top=top + spare / count)
        if torch.allclose(scores, fair, rtol=1e-3, atol=1e-4):
            return None
    return recognised(scores, mistakes) or (
        f"your overlaps are off by up to {(scores - right).abs().max():.2f}. Wanted is how many"
        " places are in both, over how many are in one or the other."
    )


def overlaps(maps: torch.Tensor, masks: torch.Tensor, top: float) -> Marks:
    """The sentence for a wrong overlap -> what it may be."""

    def counts(on):
        where = masks.transpose(0, 1).flatten(1).float()
        on = on.transpose(0, 1).flatten(1).float()
        return on @ where.T, on.sum(1)[:, None], where.sum(1)

    def over_union(on):
        both, one, other = counts(on)
        return both / (one + other - both)

    rows = maps.transpose(0, 1).flatten(1)
    on = maps > rows.quantile(1 - top, dim=1).view(1, -1, 1, 1)
    both, one, other = counts(on)
    of_picture = maps > maps.flatten(2).quantile(1 - top, dim=2)[..., None, None]
    mixed, mixed_masks = (x.reshape(x.shape[1], -1) for x in (maps, masks))
    mixed_on = (mixed > mixed.quantile(1 - top, dim=1, keepdim=True)).float()
    mixed_both = mixed_on @ mixed_masks.float().T
    single = []
    for o, m in zip(on, masks, strict=True):
        inside = (o[:, None] & m[None]).flatten(2).sum(2).float()
        single.append(inside / (o[:, None] | m[None]).flatten(2).sum(2).clamp(min=1))
    return {
        "the threshold is taken picture by picture, so that each picture has its share even of what"
        " is nowhere in it. Take one for each unit, over all pictures.": over_union(of_picture),
        "all units have one threshold, so that loud ones are on almost everywhere. Each needs its"
        " own.": over_union(maps > maps.flatten().quantile(1 - top)),
        "the union is a sum: what lies in both is counted twice. Take the intersection off"
        " once.": both / (one + other),
        "that is twice the intersection over the sum, the Dice score. Wanted is the intersection"
        " over the union.": 2 * both / (one + other),
        "you divided by the mask alone: a unit that is on everywhere would be perfect. Divide by"
        " the union.": both / other,
        "you divided by where the unit is on: a mask that covers everything would be perfect."
        " Divide by the union.": both / one,
        "the units are on in all places but the highest: the threshold is the quantile at top. It"
        " should be the one at 1 - top.": over_union(
            maps > rows.quantile(top, dim=1).view(1, -1, 1, 1)
        ),
        "your units are on where they are lowest. Above the threshold, not below.": [
            over_union(~on),
            over_union(maps < rows.quantile(top, dim=1).view(1, -1, 1, 1)),
        ],
        "the overlap is computed picture by picture, then averaged. Count over all pictures"
        " together first.": torch.stack(single).mean(0),
        "those are the intersections. Divide by the unions.": both,
        "top is ignored: your units are on in one place of a hundred.": over_union(
            maps > rows.quantile(0.99, dim=1).view(1, -1, 1, 1)
        ),
        "your rows mix the units: reshape cuts pictures from other units into one row. First bring"
        " the units to the front, transpose(0, 1), then flatten(1).": (
            mixed_both / (mixed_on.sum(1)[:, None] + mixed_masks.sum(1) - mixed_both)
        ),
        "those are percent. An overlap goes from 0 to 1.": 100 * over_union(on),
        "you divided by the places in just one of the two, ^. The union has those in both as well,"
        " |.": both / (one + other - 2 * both),
        "the threshold is taken place by place, over the pictures alone. Take one for each unit,"
        " over all places of all pictures.": over_union(maps > maps.quantile(1 - top, dim=0)),
        "your threshold is a share of the highest value. Wanted is the one that a share top of all"
        " places exceeds, the quantile at 1 - top.": over_union(
            maps > (1 - top) * rows.amax(1).view(1, -1, 1, 1)
        ),
        "all your overlaps are 0: a whole number cannot hold a fraction. Give floats.": (
            torch.zeros_like(both)
        ),
    }


@exercise(
    LESSON,
    atlas.cells,
    "(points * grid).long() gives each point's column and row. A point on the far edge, at exactly"
    " 1, belongs to the last: clamp(max=grid - 1).",
    "A cell's number is row * grid + column. counts = number.bincount(minlength=grid**2).",
    "sums = torch.zeros(grid**2, C).index_add(0, number, vectors), divided by"
    " counts.clamp(min=1)[:, None].",
    rounds=3,
)
def cells(yours):
    """The mean of the activations in each cell of a map."""
    mistakes: Marks = {}
    right = torch.zeros(())
    while not mistakes or not told_apart(right, mistakes):
        grid = int(torch.randint(3, 6, ()))
        points = torch.rand(40, 2) * torch.tensor([0.95, 0.7])  # the lowest cells are nearly empty
        points[:2] = torch.tensor([[1.0, 0.3], [0.1, 1.0]])
        vectors = torch.randn(40, 7) + 1
        right = atlas.cells(points, vectors, grid=grid)
        mistakes = wrong_means(points, vectors, grid)
    means = called(
        yours,
        points,
        vectors,
        grid,
        like=right,
        what="array of means",
        known={
            "you averaged positions. A cell stands for the mean of the activations, vectors, that"
            " lie in it.": (grid**2, 2),
            "the cells are numbered row by row, in one axis: (grid², C).": (grid, grid, 7),
            "cells in which nothing lies are missing. There are grid² in all; those have 0.": (
                int(right.any(1).sum()),
                7,
            ),
        },
        not_finite="your means are not finite: an empty cell has nothing to average. Divide by"
        " counts.clamp(min=1), so that it gets 0.",
    )
    if torch.allclose(means, right, rtol=1e-3, atol=1e-4):
        return None
    if said := recognised(means, mistakes):
        return said
    if torch.equal(means.any(1), right.any(1)):
        return (
            "the cells are right, but what you give for one is not the mean of the activations in"
            " it: their sum, divided by how many there are."
        )
    return (
        f"your means are off by up to {(means - right).abs().max():.2g}. A point at (across, down)"
        " lies in row int(down * grid) and column int(across * grid)."
    )


def wrong_means(points: torch.Tensor, vectors: torch.Tensor, grid: int) -> Marks:
    """The sentence for wrong means of cells -> what they may be."""
    column, row = (points * grid).long().clamp(max=grid - 1).unbind(1)
    size = grid**2

    def means(number, values=vectors):
        number = number.clamp(0, size - 1)
        counts = number.bincount(minlength=size).clamp(min=1)
        return torch.zeros(size, values.shape[1]).index_add(0, number, values) / counts[:, None]

    number = row * grid + column
    counts = number.bincount(minlength=size)
    beyond_column, beyond_row = (points * grid).long().unbind(1)
    near_column, near_row = (points * (grid - 1)).round().long().unbind(1)
    shrunk_column, shrunk_row = (points * (grid - 1)).long().unbind(1)
    inner = (points < 1).all(1)
    sums = means(number) * counts.clamp(min=1)[:, None]
    lost = torch.zeros_like(sums).index_add(0, number[inner], vectors[inner])
    lost = lost / number[inner].bincount(minlength=size).clamp(min=1)[:, None]
    last = torch.zeros_like(sums)
    for cell, vector in zip(number.tolist(), vectors, strict=True):
        last[cell] = vector
    return {
        "rows and columns are exchanged: a point is (across, down), and a cell row * grid +"
        " column.": means(column * grid + row),
        "the rows are counted from below. The first row is the top one, where down is near 0.": (
            means((grid - 1 - row) * grid + column)
        ),
        "those are sums. Divide each by how many activations lie in its cell.": sums,
        "you divided by the number of all activations. Divide by how many lie in the cell.": (
            sums / len(points)
        ),
        "a point at exactly 1 spills into the next row, or is lost. It belongs to the last cell:"
        " clamp row and column, each, to grid - 1.": [
            means(beyond_row * grid + beyond_column),
            lost,
        ],
        "you rounded, so the outermost cells are half as wide. Multiply by grid, and round down.": [
            means(near_row * grid + near_column),
            means(
                (points * grid).round().long().clamp(max=grid - 1)[:, 1] * grid
                + (points * grid).round().long().clamp(max=grid - 1)[:, 0]
            ),
        ],
        "you multiplied by grid - 1, so the last row and column are all but empty. Multiply by"
        " grid.": means(shrunk_row * grid + shrunk_column),
        "you averaged directions: each activation counts as it is, long or short.": means(
            number, F.normalize(vectors, dim=1)
        ),
        "% grid takes a point at exactly 1 round to the first row or column. It belongs to the"
        " last: clamp(max=grid - 1).": means(beyond_row % grid * grid + beyond_column % grid),
        "of several activations in a cell you keep one: out[number] += vectors writes each cell"
        " once. index_add adds them all up.": [last, last / counts.clamp(min=1)[:, None]],
    }


@exercise(
    LESSON,
    atlas.move,
    "How alike: torch.nn.functional.cosine_similarity(read(x), targets[:, None], dim=-1), and its"
    " gradient with respect to x.",
    "A step: x + eps / 4 * gradient.sign(). Then put it back: within eps of the image that you"
    " started from, and within [0, 1].",
    "(images + (x - images).clamp(-eps, eps)).clamp(0, 1), after each of the steps.",
    rounds=2,
)
@with_gradients
def move(yours):
    """Images within ε, of which a network says what the target says."""
    eps = 16 / 255
    images = torch.rand(3, 3, 12, 12).mul(1.4).sub(0.2).clamp(0, 1)  # some pixels at the edges
    below, above = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 12, 3, stride=2)
    net = nn.Sequential(below, nn.Tanh(), above, nn.Tanh()).eval().requires_grad_(False)
    below.weight.mul_(8)  # bent, so that one long step does not get there
    above.weight.mul_(3)
    middle = atlas.middle(net, "3")
    loud = torch.tensor([0.2, 6.0, 0.5, 1.5])[torch.randperm(4)][:, None]
    asked: list[int] = []

    def read(x):
        asked.append(len(x))
        return loud * middle(x)  # places of very different lengths, which a cosine does not mind

    # a little alike at the start: at a right angle, dot product and cosine rise the same way
    targets = torch.randn(3, 12) + middle(images)[:, int(loud.argmax())]
    targets = targets * torch.tensor([[0.3], [1.0], [4.0]])
    steps = 12

    def alike(x, wanted=targets):
        return F.cosine_similarity(read(x), wanted[:, None], dim=-1).mean(1)

    right = atlas.move(read, images, targets, eps=eps, steps=steps)
    one_step = atlas.move(read, images, targets, eps=4 * eps, steps=1) - images
    asked.clear()
    moved = called(yours, read, images, targets, eps, steps, like=images, what="batch of images")
    rounds = sum(asked) / len(images)
    change = moved - images
    if not change.any():
        return "the images came back as they were."
    if moved.abs().max() <= eps * 1.01:
        return (
            "your result lies within ε of 0, and should lie within ε of the images: it is the"
            " change, x - images, that is clamped, and then added to the images."
        )
    if moved.max() > 2:
        return f"your pixels go up to {moved.max():.0f}. Leave them on the scale of 0 to 1."
    if change.abs().max() > eps * 1.01 + 1e-6:
        return (
            f"a pixel moved by {change.abs().max() / eps:.1f} ε. After each step, go back to within"
            " ε of the image that you started from: (x - images).clamp(-eps, eps)."
        )
    outside = ((moved < -1e-6) | (moved > 1 + 1e-6)).float().mean()
    if outside:
        return (
            f"{outside:.1%} of your pixels left [0, 1]. A picture cannot be whiter than white:"
            " clamp(0, 1)."
        )
    if torch.allclose(change, one_step.clamp(-eps, eps), atol=1e-3 * eps):
        return (
            "that is one step along the gradient of the image that you started from. Take a new"
            " gradient at each step, at the image that you have by then."
        )
    if rounds < steps or steps + 2 < rounds < 2 * steps:
        return f"with steps={steps} you asked the network {rounds:.3g} times. Once a step."
    first = called(yours, read, images, targets, eps, 1, like=images, what="batch of images")
    inside = (images > eps) & (images < 1 - eps)  # where nothing was cut off
    step = (first - images)[inside]
    if said := recognised(step.sign(), wrong_steps(read, images, targets, inside), same=agree):
        return said
    sizes = step[step != 0].abs()  # no place looks at the outermost pixels
    size = sizes.mean() / eps
    if len(sizes) and sizes.std() < 0.01 * sizes.mean() and not 0.24 < size < 0.26:
        return (
            f"with steps=1 your pixels move by {size:.3g} ε. A step is eps / 4, however many there"
            " are."
        )
    gain = alike(moved) - alike(images)
    best = alike(right) - alike(images)
    if (gain > 0.8 * best).all():
        return None
    if change.abs().mean() < 0.4 * (right - images).abs().mean():
        return (
            f"your pixels moved by {change.abs().mean() / eps:.2f} ε on average, and may move ε."
            " Step by the sign of the gradient, eps / 4 at a time, in each of the steps."
        )
    return (
        f"the cosine with the target rose by {gain.mean():.2f}; the same steps can reach"
        f" {best.mean():.2f}. Is it the cosine that you raise, over the last axis, at all places?"
        " Is each gradient taken at the image that you have by then?"
    )


def agree(mine: torch.Tensor, mark: torch.Tensor) -> bool:
    """Whether two sets of signs are the same, but for gradients of next to nothing."""
    seen = (mine != 0) | (mark != 0)
    return bool((mine == mark)[seen].float().mean() > 0.99)


def wrong_steps(
    read: atlas.Speaker, images: torch.Tensor, targets: torch.Tensor, inside: torch.Tensor
) -> Marks:
    """The sentence for something else that was raised -> the signs of its first step."""

    def signs(value):
        x = images.clone().requires_grad_(True)
        [gradient] = torch.autograd.grad(value(read(x)).sum(), x)
        return gradient.sign()[inside]

    def cosine(said, wanted=targets, dim=-1):
        return F.cosine_similarity(said, wanted[:, None], dim=dim)

    return {
        "the activations move away from their targets. Look at the sign of your step: the cosine"
        " should rise.": signs(lambda said: -cosine(said)),
        "all images go to the first target. Each has its own: targets[:, None].": signs(
            lambda said: cosine(said, targets[:1].expand_as(targets))
        ),
        "each image goes to another's target. targets[:, None] keeps them in order.": [
            signs(lambda said, k=k: cosine(said, targets.roll(k, 0))) for k in (1, 2)
        ],
        "that raises the dot product, which a loud place can raise alone. Take the cosine.": signs(
            lambda said: said * targets[:, None]
        ),
        "that lowers the distance to the target, which hangs on how long an activation is. Take"
        " the cosine, which does not.": [
            signs(lambda said: -(said - targets[:, None]).square()),
            signs(lambda said: -(said - targets[:, None]).norm(dim=-1)),
            signs(lambda said: -(said - targets[:, None]).abs()),
        ],
        "that is a cosine over the places. Take it over the channels, dim=-1.": signs(
            lambda said: cosine(said, dim=1)
        ),
        "only one place moves. Take the cosine at all of them.": [
            signs(lambda said, k=k: cosine(said)[:, k]) for k in range(4)
        ],
        "you averaged the places before you took the cosine, so that a loud one decides. First a"
        " cosine at each, then the mean.": signs(lambda said: cosine(said.mean(1, keepdim=True))),
    }
