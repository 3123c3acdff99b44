"""Lesson 12's exercises, answered wrongly in each way that has a sentence of its own."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from trickkit import concepts, similarity
from trickkit.check import abstract_summaries as check

from .answers import accepted, refused


def ratio(a, b, c=None, d=None):
    c, d = a if c is None else c, b if d is None else d
    return (b.T @ a).norm() ** 2 / ((c.T @ c).norm() * (d.T @ d).norm())


def centred(make):
    return lambda x, y: make(x - x.mean(0), y - y.mean(0))


def kernels(change=lambda k: k):
    def made(a, b):
        k, m = change(a @ a.T), change(b @ b.T)
        return (k * m).sum() / (k.norm() * m.norm())

    return made


def spectral(a, b):
    def size(m):
        return torch.linalg.matrix_norm(m, 2)

    return size(b.T @ a) ** 2 / (size(a.T @ a) * size(b.T @ b))


one_sided = kernels(lambda k: k - k.mean(0))


def unit(v):
    return v / np.linalg.norm(v)


def aside(v):
    other = np.roll(v, 1) - (np.roll(v, 1) @ v) * v
    return unit(v + 0.15 * unit(other))


def direction(finish, scaled=True, **options):
    def made(x, is_concept):
        x = np.asarray(x)
        scaler = StandardScaler().fit(x)
        z = scaler.transform(x) if scaled else x
        classifier = LogisticRegression(max_iter=1000, **options).fit(z, np.asarray(is_concept))
        return finish(classifier.coef_[0], scaler)

    return made


def means(x, is_concept):
    x, yes = np.asarray(x), np.asarray(is_concept)
    return unit(x[yes].mean(0) - x[~yes].mean(0))


def slopes(value):
    def made(head, activations, target):
        a = activations.clone().requires_grad_(True)
        return torch.autograd.grad(value(head(a), target).sum(), a)[0].flatten(1)

    return made


LOGIT = slopes(lambda z, t: z[:, t])


def share(value, sign=1):
    def made(head, activations, vector, target):
        return (sign * slopes(value)(head, activations, target) @ vector > 0).float().mean()

    return made


def along(finish):
    return lambda head, a, v, t: finish(LOGIT(head, a, t) @ v)


def rises_by(head, activations, vector, target, *, length):
    step = length / 2 * vector.view(activations.shape[1:])
    return (head(activations + step) > head(activations - step))[:, target].float().mean()


def moved(head, activations, vector, target):
    there = head(activations + vector.view(activations.shape[1:]))
    return (there > head(activations))[:, target].float().mean()


WRONG = [
    (check.tcav_score, moved, "a whole step"),
    (check.cka, ratio, "the columns are not centred"),
    (
        check.cka,
        lambda x, y: ratio(x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)),
        "each example over its features",
    ),
    (check.cka, lambda x, y: ratio(x - x.mean(), y - y.mean()), "one mean from everything"),
    (check.cka, lambda x, y: ratio(x, y - y.mean(0)), "only y is centred"),
    (check.cka, lambda x, y: ratio(x - x.mean(0), y), "only x is centred"),
    (
        check.cka,
        lambda x, y: ratio(x - x.mean(0), y - y.mean(0), x, y),
        "the numerator alone. ‖XᵀX‖",
    ),
    (
        check.cka,
        centred(lambda a, b: (b.T @ a).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm()) ** 2),
        "denominator are squared",
    ),
    (check.cka, centred(lambda a, b: ratio(a, b).sqrt()), "that is CKA's root"),
    (
        check.cka,
        centred(lambda a, b: (b.T @ a).norm() / ((a.T @ a).norm() * (b.T @ b).norm())),
        "the numerator is not squared",
    ),
    (check.cka, centred(lambda a, b: (b.T @ a).norm() ** 2), "the numerator alone. Divide"),
    (
        check.cka,
        centred(lambda a, b: (b.T @ a).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm()) ** 0.5),
        "the root of the denominator",
    ),
    (
        check.cka,
        centred(lambda a, b: (b.T @ a).norm() ** 2 / (a.T @ a).norm() * (b.T @ b).norm()),
        "Put the denominator in brackets",
    ),
    (
        check.cka,
        centred(lambda a, b: (b.T @ a).norm() ** 2 / (a.norm() ** 2 * b.norm() ** 2)),
        "took ‖X‖² and ‖Y‖²",
    ),
    (check.cka, lambda x, y: x.mean(0), "one number is wanted"),
    (check.cka, centred(lambda a, b: ratio(a / a.std(0), b / b.std(0))), "standard deviation of 1"),
    (check.cka, centred(spectral), "spectral norms"),
    (check.cka, one_sided, "from one side only"),
    (check.cka, kernels(lambda k: k - k.diag()), "subtracts the diagonal from every row"),
    (check.cka, centred(kernels(lambda k: k - k.diag())), "subtracts the diagonal from every row"),
    (
        check.cka,
        lambda x, y: similarity.kernel_cka(x @ x.T, y @ y.T, unbiased=True),
        "that is the unbiased estimate",
    ),
    (check.cka, similarity.cca_r2, "that is CCA's R²"),
    (check.cka, lambda x, y: 0.123456, "your result is 0.1235"),
    (
        check.cka,
        centred(lambda a, b: (a @ b.T).norm() ** 2 / ((a @ a.T).norm() * (b @ b.T).norm())),
        "you compared features instead of examples",
    ),
    (check.concept_vector, direction(lambda w, s: w / s.scale_), "not of length 1"),
    (check.concept_vector, direction(lambda w, s: -unit(w / s.scale_)), "away from the concept"),
    (check.concept_vector, direction(lambda w, s: unit(w)), "the scaling is not undone"),
    (check.concept_vector, direction(lambda w, s: w), "the scaling is not undone"),
    (check.concept_vector, direction(lambda w, s: unit(w * s.scale_)), "multiplied by the scale"),
    (
        check.concept_vector,
        direction(lambda w, s: unit(w / s.var_)),
        "divided by the variance",
    ),
    (check.concept_vector, direction(lambda w, s: unit(w), scaled=False), "as they came"),
    (check.concept_vector, means, "difference of the two means"),
    (
        check.concept_vector,
        direction(lambda w, s: w / s.scale_ / abs(w / s.scale_).sum()),
        "the sum of the absolute values",
    ),
    (
        check.concept_vector,
        direction(lambda w, s: w / s.scale_ / abs(w / s.scale_).max()),
        "the largest weight",
    ),
    (check.concept_vector, direction(lambda w, s: unit(w / s.scale_)[None]), "take coef_\\[0\\]"),
    (check.concept_vector, direction(lambda w, s: 7 * unit(w / s.scale_)), "its length is 7"),
    (
        check.concept_vector,
        direction(lambda w, s: aside(unit(w / s.scale_))),
        "nearly: your direction has a cosine of 0.98",
    ),
    (
        check.concept_vector,
        direction(lambda w, s: unit(w[::-1] / s.scale_)),
        "your direction has a cosine",
    ),
    (check.tcav_score, share(lambda z, t: z.softmax(1)[:, t]), "differentiated the probability"),
    (
        check.tcav_score,
        share(lambda z, t: z.log_softmax(1)[:, t]),
        "differentiated the probability",
    ),
    (check.tcav_score, share(lambda z, t: -z.log_softmax(1)[:, t]), "differentiated the loss"),
    (check.tcav_score, share(lambda z, t: z[:, t], sign=-1), "for which it falls"),
    (check.tcav_score, along(lambda s: s.mean()), "the mean of the derivatives"),
    (check.tcav_score, along(lambda s: (s > 0).sum()), "that counts pictures"),
    (check.tcav_score, along(lambda s: 100 * (s > 0).float().mean()), "that is a percentage"),
    (check.tcav_score, share(lambda z, t: z[t]), "one picture's logits"),
    (check.tcav_score, along(lambda s: (s.abs() > 0).float().mean()), "dropped the sign"),
    (
        check.tcav_score,
        lambda h, a, v, t: (h(a).argmax(1) == t).float().mean(),
        "how often the target has the highest logit",
    ),
    (check.tcav_score, along(lambda s: s > 0), "a number for each picture"),
    (
        check.tcav_score,
        lambda h, a, v, t: (LOGIT(h, a, t).mean(0) @ v > 0).float(),
        "added the pictures' gradients up",
    ),
    (check.tcav_score, share(lambda z, t: z.amax(1)), "each picture's highest logit"),
    (check.tcav_score, share(lambda z, t: z), "the sum of all logits"),
    (
        check.tcav_score,
        lambda h, a, v, t: (h(a)[:, t] > 0).float().mean(),
        "whose logit itself is above 0",
    ),
    (
        check.tcav_score,
        lambda h, a, v, t: (a.flatten(1) @ v > 0).float().mean(),
        "multiplied the activations by the vector",
    ),
    (
        check.tcav_score,
        lambda h, a, v, t: (LOGIT(h, a, t) * v > 0).float().mean(),
        "the sign of each number of the gradient",
    ),
    (check.tcav_score, lambda h, a, v, t: 0.123, "your score is 0.123"),
]

RIGHT = [
    (check.cka, centred(kernels())),
    (check.cka, lambda x, y: centred(ratio)(x.double(), y.double()).item()),
    (check.concept_vector, direction(lambda w, s: unit(w / s.scale_).tolist())),
    (check.concept_vector, direction(lambda w, s: unit(w / s.scale_), solver="liblinear")),
    (
        check.concept_vector,
        direction(lambda w, s: torch.nn.functional.normalize(torch.tensor(w / s.scale_), dim=0)),
    ),
    (check.tcav_score, along(lambda s: (s > 0).double().mean().item())),
    (check.tcav_score, lambda h, a, v, t: rises_by(h, a, v, t, length=1e-3)),
    (
        check.tcav_score,
        lambda h, a, v, t: (concepts.derivatives(h, a, v)[:, t] > 0).float().mean(),
    ),
]


def per_unit(maps, top):
    rows = maps.transpose(0, 1).flatten(1)
    return rows.quantile(1 - top, dim=1)[None, :, None, None]


def iou_wrong(
    threshold=per_unit,
    above=torch.gt,
    score=lambda both, one, other: both / (one + other - both),
    returns=lambda scores: scores,
):
    def iou(maps, masks, top):
        on = above(maps, threshold(maps, top)).transpose(0, 1).flatten(1).float()
        where = masks.transpose(0, 1).flatten(1).float()
        return returns(score(on @ where.T, on.sum(1)[:, None], where.sum(1)[None]))

    return iou


def picture_by_picture(maps, masks, top):
    on = (maps > per_unit(maps, top))[:, :, None]
    both = (on & masks[:, None]).flatten(3).sum(3).float()
    return both / (on | masks[:, None]).flatten(3).sum(3).clamp(min=1)


def iou_in_numpy(maps, masks, top):
    maps, masks = maps.numpy(), masks.numpy()
    scores = np.zeros((maps.shape[1], masks.shape[1]))
    for c in range(maps.shape[1]):
        on = maps[:, c] > np.quantile(maps[:, c], 1 - top)
        for k in range(masks.shape[1]):
            where = masks[:, k]
            scores[c, k] = (on & where).sum() / (on | where).sum()
    return scores


def iou_reshaped(maps, masks, top):
    rows, where = (x.reshape(x.shape[1], -1) for x in (maps, masks))
    on = rows > rows.quantile(1 - top, dim=1, keepdim=True)
    return (on[:, None] & where).sum(2) / (on[:, None] | where).sum(2)


def per_unit_by_sorting(maps, top):
    rows = maps.transpose(0, 1).flatten(1).sort(dim=1).values
    return rows[:, int((1 - top) * rows.shape[1])][None, :, None, None]


def iou_by_topk(maps, masks, top):
    rows = maps.transpose(0, 1).flatten(1)
    count = round(top * rows.shape[1])
    on = torch.zeros_like(rows).scatter(1, rows.topk(count).indices, 1.0)
    where = masks.transpose(0, 1).flatten(1).float()
    both = on @ where.T
    return both / (count + where.sum(1) - both)


def places(points, grid):
    return (points * grid).long().clamp(max=grid - 1).unbind(1)


def row_by_row(points, grid):
    column, row = places(points, grid)
    return row * grid + column


def cells_wrong(
    number=row_by_row,
    values=lambda points, vectors: vectors,
    mean=lambda sums, counts, points: sums / counts.clamp(min=1)[:, None],
    returns=lambda counts, means: means,
):
    def cells(points, vectors, grid):
        where = number(points, grid).clamp(0, grid**2 - 1)
        what = values(points, vectors)
        counts = where.bincount(minlength=grid**2)
        sums = torch.zeros(grid**2, what.shape[1]).index_add(0, where, what)
        return returns(counts, mean(sums, counts, points))

    return cells


def spilling(points, grid):
    column, row = (points * grid).long().unbind(1)
    return row * grid + column


def losing(points, vectors, grid):
    inner = (points < 1).all(1)
    return cells_wrong()(points[inner], vectors[inner], grid)


def rounding(points, grid):
    column, row = (points * (grid - 1)).round().long().unbind(1)
    return row * grid + column


def shrinking(points, grid):
    column, row = (points * (grid - 1)).long().unbind(1)
    return row * grid + column


def swapped(points, grid):
    column, row = places(points, grid)
    return column * grid + row


def from_below(points, grid):
    column, row = places(points, grid)
    return (grid - 1 - row) * grid + column


def wrapping(points, grid):
    column, row = ((points * grid).long() % grid).unbind(1)
    return row * grid + column


def overwriting(divide):
    def cells(points, vectors, grid):
        number = row_by_row(points, grid)
        out = torch.zeros(grid**2, vectors.shape[1])
        for cell, vector in zip(number.tolist(), vectors, strict=True):
            out[cell] = vector
        counts = number.bincount(minlength=grid**2).clamp(min=1)[:, None]
        return out / counts if divide else out

    return cells


def in_square(counts, means):
    side = round(len(counts) ** 0.5)
    return means.view(side, side, -1)


def cells_in_loops(points, vectors, grid):
    counts, means = np.zeros(grid**2, dtype=int), np.zeros((grid**2, vectors.shape[1]))
    for (x, y), vector in zip(points.tolist(), vectors.numpy(), strict=True):
        cell = min(int(y * grid), grid - 1) * grid + min(int(x * grid), grid - 1)
        counts[cell] += 1
        means[cell] += vector
    means[counts > 0] /= counts[counts > 0][:, None]
    return means


def move_wrong(
    sign=1,
    length=lambda eps: eps / 4,
    direction=torch.sign,
    back=lambda x, images, eps: images + (x - images).clamp(-eps, eps),
    inside=lambda x: x.clamp(0, 1),
    wanted=lambda targets: targets,
    count=lambda steps: steps,
    look=lambda x, images: x,
    value=lambda said, targets: F.cosine_similarity(said, targets[:, None], dim=-1),
    returns=lambda x, images: x,
):
    def move(read, images, targets, eps, steps=20):
        x = images.clone()
        for _ in range(count(steps)):
            at = look(x, images).detach().requires_grad_(True)
            alike = value(read(at), wanted(targets))
            (gradient,) = torch.autograd.grad(alike.sum(), at)
            x = inside(back(x + sign * length(eps) * direction(gradient), images, eps)).detach()
        return returns(x, images)

    return move


def from_anywhere(read, images, targets, eps, steps=20):
    start = (images + (2 * torch.rand_like(images) - 1) * eps).clamp(0, 1)
    x = start
    for _ in range(steps):
        x = move_wrong(count=lambda n: 1, back=lambda x, _, eps: x)(read, x, targets, eps)
        x = (images + (x - images).clamp(-eps, eps)).clamp(0, 1)
    return x


def one_by_one(read, images, targets, eps, steps=20):
    pairs = zip(images.split(1), targets.split(1), strict=True)
    return torch.cat([move_wrong()(read, image, target, eps, steps) for image, target in pairs])


WRONG += [
    (
        check.iou,
        iou_wrong(threshold=lambda m, t: m.flatten(2).quantile(1 - t, dim=2)[..., None, None]),
        "picture by picture, so that",
    ),
    (check.iou, iou_wrong(threshold=lambda m, t: m.quantile(1 - t)), "all units have one"),
    (check.iou, iou_wrong(score=lambda b, m, k: b / (m + k)), "the union is a sum"),
    (check.iou, iou_wrong(score=lambda b, m, k: 2 * b / (m + k)), "the Dice score"),
    (check.iou, iou_wrong(score=lambda b, m, k: b / k), "divided by the mask alone"),
    (check.iou, iou_wrong(score=lambda b, m, k: b / m), "divided by where the unit is on"),
    (check.iou, iou_wrong(score=lambda b, m, k: b), "those are the intersections"),
    (check.iou, iou_wrong(threshold=lambda m, t: per_unit(m, 1 - t)), "the quantile at top"),
    (check.iou, iou_wrong(above=torch.le), "on where they are lowest"),
    (
        check.iou,
        iou_wrong(threshold=lambda m, t: per_unit(m, 1 - t), above=torch.lt),
        "on where they are lowest",
    ),
    (check.iou, iou_wrong(threshold=lambda m, t: per_unit(m, 0.01)), "top is ignored"),
    (check.iou, lambda *a: picture_by_picture(*a).mean(0), "then averaged"),
    (check.iou, picture_by_picture, "an overlap for each picture"),
    (check.iou, iou_wrong(returns=lambda s: s.T), "the other way round"),
    (check.iou, iou_wrong(returns=lambda s: s / 0), "a union was empty"),
    (check.iou, iou_wrong(returns=lambda s: s.sqrt()), "your overlaps are off by up to"),
    (check.iou, iou_reshaped, "your rows mix the units"),
    (check.iou, iou_wrong(returns=lambda s: 100 * s), "those are percent"),
    (check.iou, iou_wrong(score=lambda b, m, k: b / (m + k - 2 * b)), "in just one of the two"),
    (check.iou, iou_wrong(threshold=lambda m, t: m.quantile(1 - t, dim=0)), "place by place"),
    (
        check.iou,
        iou_wrong(threshold=lambda m, t: (1 - t) * m.amax((0, 2, 3), keepdim=True)),
        "a share of the highest value",
    ),
    (check.iou, iou_wrong(returns=lambda s: s.long()), "cannot hold a fraction"),
    (check.iou, iou_wrong(returns=lambda s: s.amax(1)), r"has shape \(4,\)"),
    (check.cells, cells_wrong(number=swapped), "rows and columns are exchanged"),
    (check.cells, cells_wrong(number=from_below), "counted from below"),
    (check.cells, cells_wrong(mean=lambda s, c, p: s), "those are sums"),
    (check.cells, cells_wrong(mean=lambda s, c, p: s / len(p)), "the number of all activations"),
    (check.cells, cells_wrong(number=spilling), "a point at exactly 1"),
    (check.cells, losing, "a point at exactly 1"),
    (check.cells, cells_wrong(number=rounding), "you rounded"),
    (check.cells, cells_wrong(number=shrinking), "multiplied by grid - 1"),
    (check.cells, cells_wrong(values=lambda p, v: F.normalize(v, dim=1)), "averaged directions"),
    (check.cells, cells_wrong(values=lambda p, v: p), "averaged positions"),
    (check.cells, cells_wrong(mean=lambda s, c, p: s / c[:, None]), "not finite: an empty cell"),
    (check.cells, cells_wrong(returns=in_square), "numbered row by row, in one axis"),
    (check.cells, cells_wrong(returns=lambda c, m: m[c > 0]), "in which nothing lies"),
    (check.cells, cells_wrong(returns=lambda c, m: m + 1), "your means are off by up to"),
    (check.cells, cells_wrong(number=wrapping), "round to the first row or column"),
    (check.cells, overwriting(divide=True), "of several activations in a cell you keep one"),
    (check.cells, overwriting(divide=False), "of several activations in a cell you keep one"),
    (check.cells, cells_wrong(returns=lambda c, m: F.normalize(m, dim=1)), "the cells are right"),
    (check.cells, cells_wrong(values=lambda p, v: v - v.mean(0)), "the cells are right"),
    (check.cells, cells_wrong(mean=lambda s, c, p: s / (c + 1)[:, None]), "the cells are right"),
    (check.move, move_wrong(sign=-1), "away from their targets"),
    (check.move, move_wrong(back=lambda x, images, eps: x), r"moved by [\d.]+ ε. After each"),
    (check.move, move_wrong(inside=lambda x: x), "whiter than white"),
    (check.move, move_wrong(direction=lambda g: g), "Step by the sign of the gradient"),
    (
        check.move,
        move_wrong(length=lambda eps: eps / 200),
        "with steps=1 your pixels move by 0.005",
    ),
    (check.move, move_wrong(length=lambda eps: eps), "with steps=1 your pixels move by 1 ε"),
    (check.move, move_wrong(length=lambda eps: eps, count=lambda n: 1), "that is one step"),
    (check.move, move_wrong(look=lambda x, images: images), "that is one step"),
    (check.move, move_wrong(count=lambda n: 5), "asked the network 5 times"),
    (check.move, move_wrong(count=lambda n: 20), "asked the network 20 times"),
    (check.move, move_wrong(wanted=lambda t: t[:1].expand_as(t)), "to the first target"),
    (check.move, move_wrong(wanted=lambda t: t.roll(1, 0)), "to another's target"),
    (check.move, move_wrong(value=lambda s, t: s * t[:, None]), "raises the dot product"),
    (check.move, move_wrong(value=lambda s, t: -((s - t[:, None]) ** 2)), "lowers the distance"),
    (
        check.move,
        move_wrong(value=lambda s, t: F.cosine_similarity(s, t[:, None], dim=1)),
        "a cosine over the places",
    ),
    (
        check.move,
        move_wrong(value=lambda s, t: F.cosine_similarity(s[:, 0], t, dim=-1)),
        "only one place moves",
    ),
    (
        check.move,
        move_wrong(value=lambda s, t: F.cosine_similarity(s.mean(1), t, dim=-1)),
        "averaged the places before",
    ),
    (check.move, move_wrong(returns=lambda x, images: x - images), "within ε of 0"),
    (check.move, move_wrong(back=lambda x, images, eps: x.clamp(-eps, eps)), "within ε of 0"),
    (check.move, move_wrong(returns=lambda x, images: (255 * x).round()), "go up to 255"),
    (check.move, move_wrong(count=lambda n: 0), "came back as they were"),
    (check.move, move_wrong(direction=lambda g: torch.randn_like(g).sign()), "Is it the cosine"),
]


RIGHT += [
    (check.iou, iou_wrong()),
    (check.iou, iou_wrong(above=torch.ge)),
    (check.iou, iou_by_topk),
    (check.iou, iou_wrong(threshold=per_unit_by_sorting)),
    (check.iou, iou_in_numpy),
    (check.iou, iou_wrong(returns=lambda s: s.double())),
    (check.iou, iou_wrong(returns=lambda s: s.tolist())),
    (check.cells, cells_wrong()),
    (check.cells, cells_in_loops),
    (check.cells, cells_wrong(returns=lambda c, m: m.double())),
    (check.cells, cells_wrong(returns=lambda c, m: m.tolist())),
    (check.move, move_wrong()),
    (check.move, from_anywhere),
    (check.move, one_by_one),
    (check.move, move_wrong(back=lambda x, i, eps: torch.min(torch.max(x, i - eps), i + eps))),
]


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    accepted(exercise, function, times=20)


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    refused(exercise, function, says)
