"""Every exercise: the answer is right on fresh inputs, and each way of being wrong gets its own
sentence."""

import ast
import functools
import importlib
import inspect
import json
import math
import os
import pkgutil
import re
import stat

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest, norm
from torch.nn import functional as F

import trickkit
from trickkit import (
    attacks,
    backprop,
    check,
    contract,
    data,
    defences,
    dreams,
    features,
    lime,
    linear,
    plots,
    rules,
    saliency,
    style,
)
from trickkit.backprop import layer_backward, softmax
from trickkit.check import (
    backpropagation,
    deep_dream,
    linear_classifiers,
    panda_to_vulture,
    rule_lists,
    start_here,
    stronger_attacks,
    style_transfer,
)
from trickkit.check import defences as defending
from trickkit.check import explaining_adversarial_examples as explaining
from trickkit.check import lime as liming
from trickkit.check import matrices_and_filters as filtering
from trickkit.check import model_explanation_system as explaining_systems
from trickkit.check import saliency as looking
from trickkit.contract import score_gradient
from trickkit.papers import goodfellow2015

MODULES = [
    importlib.import_module(f"trickkit.check.{module.name}")
    for module in pkgutil.iter_modules(check.__path__)
]
EXERCISES = [
    e for module in MODULES for e in vars(module).values() if isinstance(e, check.Exercise)
]
NOTEBOOKS = sorted((data.ROOT / "notebooks").glob("*.ipynb"))


def yours(function):
    """A function as a learner might write it: a plain one, called by place."""
    called = check.by_place(function)
    return lambda *args: called(*args)


def clipped_steps(size, once=False, way=1, ball=True):
    def steps_of(net, x, target, eps, steps):
        y = x
        first = score_gradient(net, x, target).sign()
        for _ in range(steps):
            y = y + way * size * eps * (first if once else score_gradient(net, y, target).sign())
            y = (torch.minimum(torch.maximum(y, x - eps), x + eps) if ball else y).clamp(0, 1)
        return y

    return steps_of


def shortest_wrong(bias=True, square=True, signs=False, way=1):
    def change(weights, biases, image, label, target):
        d = weights[target] - weights[label]
        margin = -(d @ image + (biases[target] - biases[label] if bias else 0))
        along = d.sign() if signs else d
        return way * margin / (d @ along if square else d.norm()) * along

    return change


def unguarded(weights, biases, images, labels):
    scores = images @ weights.T + biases
    margin = scores.gather(1, labels[:, None]) - scores
    return (margin / (weights[labels][:, None] - weights).abs().sum(2)).amin(1)


def changes_its_input(x, weights, eps):
    x += eps * weights.sign()
    return x


def worst_case_wrong(reach=lambda w, e, s: e * w.abs().sum(), bias=1, way=-1, mean=torch.mean):
    return lambda w, b, x, s, e: mean(F.softplus(reach(w, e, s) + way * s * (x @ w + bias * b)))


def mixed_wrong(clean, own, step=lambda m, x, y, e: goodfellow2015.sign_step(m, x, y, eps=e)):
    return lambda m, x, y, e, a: (
        clean(a) * F.cross_entropy(m(x), y) + own(a) * F.cross_entropy(m(step(m, x, y, e)), y)
    )


def as_is(a):
    return a


def rest(a):
    return 1 - a


def nothing(a):
    return 0


def cut_off(m, x, y, e, a):
    stepped = goodfellow2015.sign_step(m, x, y, eps=e)
    return a * F.cross_entropy(m(x), y) + (1 - a) * F.cross_entropy(m(stepped), y).detach()


def adding_up(m, x, y, e):
    F.cross_entropy(m(x.requires_grad_(True)), y).backward()
    return x.detach() + e * x.grad.sign()


def outside(w, b, x, s, e):
    return F.softplus(-s * (x @ w + b)).mean() + e * w.abs().sum()


def mixed_pictures(m, x, y, e, a):
    return F.cross_entropy(m(a * x + (1 - a) * goodfellow2015.sign_step(m, x, y, eps=e)), y)


def gradient_of_loss(m, x, y):
    return goodfellow2015.sign_step(m, x, y, eps=1.0) - x


def rights(model, attempts, labels):
    return torch.stack([model(x).argmax(1) == labels for x in attempts])


def break_wrong(opened=True, draws=1, targeted=False, reach=1, **options):
    def attack(model, defence, images, labels, eps):
        through = defences.straight_through(defence) if opened else defence
        steady = defences.averaged(lambda x: model(through(x)), draws=draws)
        return attacks.pgd(steady, images, labels, eps=reach * eps, targeted=targeted, **options)

    return attack


def one_step_wrong(draws):
    def attack(model, defence, images, labels, eps):
        opened = defences.straight_through(defence)
        return attacks.fgsm(
            defences.averaged(lambda x: model(opened(x)), draws=draws), images, labels, eps=eps
        )

    return attack


def silent_at_a_tie(*args):
    label, radius = defending.certificate.by_place(*args)
    return (label, radius) if label >= 0 else None


def lower(k, n, alpha):
    return binomtest(k, n, alternative="greater").proportion_ci(1 - alpha).low


def certify_wrong(bound=lower, chooser=0, power=1, abstain=True):
    def answer(selection, counts, sigma, alpha):
        label = (selection, counts)[chooser].argmax().item()
        p = bound(int(counts[label]), int(counts.sum()), alpha)
        return (label, sigma**power * norm.ppf(p)) if p > 0.5 or not abstain else (-1, 0.0)

    return answer


def margin_wrong(hide=True, sign=1, top=False, chances=False):
    def margin_of(logits, labels):
        z = logits.softmax(1) if chances else logits
        own = z.gather(1, labels[:, None])[:, 0]
        if top:
            two = z.topk(2, dim=1).values
            return two[:, 0] - two[:, 1]
        other = (z.scatter(1, labels[:, None], -torch.inf) if hide else z).amax(1)
        return sign * (own - other)

    return margin_of


def scatters_in_place(logits, labels):
    own = logits.gather(1, labels[:, None])[:, 0]
    return own - logits.scatter_(1, labels[:, None], -torch.inf).amax(1)


def guess_wrong(times=lambda sigma, samples: 1.0, paired=True, draw=torch.randn, mixed=False):
    def guess(ask, x, samples, sigma):
        u = draw((samples // 2 if paired else samples, *x.shape[1:]))
        u = torch.cat([u, -u]) if paired else u
        said = ask(x + sigma * u).view(-1, 1, 1, 1)
        return (
            times(sigma, samples)
            * (said * (u[torch.randperm(len(u))] if mixed else u)).mean(0, keepdim=True)
            / sigma
        )

    return guess


def guess_clamped(ask, x, samples, sigma):
    return guess_wrong()(lambda z: ask(z.clamp(0, 1)), x, samples, sigma)


def border_wrong(inside_end=False, rounds=None, scan=False, number=False, ends="right"):
    def walk(misread, image, far, close):
        low = 0.0
        high = 1.0
        if scan:
            while not misread(image + low * (far - image)):
                low += close
            return image + low * (far - image)
        k = 0
        while high - low > close and (rounds is None or k < rounds):
            middle = (low + high) / 2
            k = k + 1
            if misread(image + middle * (far - image)) == (ends == "right"):
                high = middle
            else:
                low = middle
        t = low if inside_end else high
        return t if number else image + t * (far - image)

    return walk


def hot(y):
    return np.eye(4)[y]


def layer_wrong(gx=lambda g, x, W: g @ W.T, gW=lambda g, x, W: x.T @ g, gb=lambda g: g.sum(axis=0)):
    return lambda g, x, W: (gx(g, x, W), gW(g, x, W), gb(g))


def at_every_label(scores, y):
    g = softmax(scores)
    g[:, y] -= 1
    return g / len(y)


def overflowing(scores, y):
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(scores)
        return (e / e.sum(axis=1, keepdims=True) - hot(y)) / len(y)


def cuts_g(g, a):
    g[a <= 0] = 0
    return g


def fool_wrong(**wrong):
    return lambda net, x, target, size, steps: backpropagation.walk(
        net, x, target, size, steps, **wrong
    )


def by_the_first_alone(net, x, target, size, steps):
    for _ in range(steps):
        x = np.clip(x - size * backprop.backward(net, x[:1], target[:1])[0], 0, 1)
    return x


def ends_inside(net, x, target, size, steps):
    for _ in range(steps):
        moved = x = np.clip(x - size * backprop.backward(net, x, target)[0], 0, 1)
    return moved


def in_first_row(net, x, target, size, steps):
    return np.concatenate([backprop.fool(net, x, target, step_size=size, steps=steps)[:1], x[1:]])


def trains_the_network(net, x, target, size, steps):
    for part, gradient in zip(net, backprop.backward(net, x, target)[1], strict=True):
        part -= size * gradient
    return x


def toeplitz_wrong(kernel, height, width):
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


def centred_wrong(a, b, power=1):
    """Products of columns over their lengths to a power; nothing where one is 0."""
    return a.T @ b / (a.norm(dim=0)[:, None] * b.norm(dim=0)).pow(power).clamp(min=1e-9)


def field_wrong(start=1, own=False, less=1, join=lambda apart, stride: apart * stride):
    def receptive_field(steps):
        field = start
        apart = 1
        for kernel, stride in steps:
            field += (kernel - less) * (join(apart, stride) if own else apart)
            apart = join(apart, stride)
        return field

    return receptive_field


def correlations_wrong(centre=True, scale=True, guard=1e-12):
    def table(a, b):
        a, b = (a - a.mean(0), b - b.mean(0)) if centre else (a, b)
        return (
            a.T
            @ b
            / ((a.norm(dim=0)[:, None] * b.norm(dim=0)).clamp(min=guard) if scale else len(a))
        )

    return table


def squares(weights):
    return torch.linalg.svdvals(weights).square()


def nearness_wrong(distance=lime.cosine, power=2, over=lambda width: width**2):
    return lambda z, width: np.exp(-(distance(z) ** power) / over(width))


def fit_wrong(power=1.0, first=0.0, rest=1.0, last=False):
    def solve(z, answers, counts):
        ones = np.column_stack([np.ones(len(z)), z])
        c = counts**power
        b = np.linalg.solve(
            (ones * c[:, None]).T @ ones + np.diag(np.append(first, rest * np.ones(z.shape[1]))),
            (ones * c[:, None]).T @ answers,
        )
        return np.roll(b, -1) if last else b

    return solve


def through_nothing(z, answers, counts):
    zc = z * counts[:, None]
    return np.append(0, np.linalg.solve(zc.T @ z + np.eye(z.shape[1]), zc.T @ answers))


def ridge_by_sklearn(z, answers, counts):
    from sklearn.linear_model import Ridge

    line = Ridge(alpha=1.0).fit(z, answers, sample_weight=counts)
    return [line.intercept_, *line.coef_]


def ridge_by_lstsq(z, answers, counts):
    rows = np.column_stack([np.ones(len(z)), z])
    root = np.sqrt(counts)
    below = np.eye(1 + z.shape[1])[1:]
    return np.linalg.lstsq(
        np.vstack([rows * root[:, None], below]),
        np.append(answers * root, 0 * below[0][1:]),
        rcond=None,
    )[0]


def hide_by_loops(image, segments, z, cover):
    copies = image.repeat(len(z), 1, 1, 1)
    for i, row in enumerate(z):
        for patch, keep in enumerate(row.tolist()):
            if not keep:
                copies[i][:, segments == patch] = cover[0][:, segments == patch]
    return copies


def hide_in_place(image, segments, z, cover):
    for patch in (~z[1]).nonzero().flatten():
        image[0][:, segments == patch] = 0
    return lime.hide(image, segments, z, cover)


def pick_wrong(matters=lambda w: np.sqrt(np.abs(w).sum(0)), close=True, twice=False):
    def choose(weights, budget):
        left = matters(weights)
        taken = []
        for _ in range(budget):
            gain = (weights != 0) @ left
            if not twice:
                gain[taken] = -np.inf
            taken.append(int(gain.argmax()))
            if close:
                left = left * (weights[taken[-1]] == 0)
        return taken

    return choose


def pick_among_the_left(weights, budget):
    taken = []
    for _ in range(budget):
        left = [i for i in range(len(weights)) if i not in taken]
        matters = np.sqrt(np.abs(weights[left]).sum(0))
        taken.append(max(left, key=lambda i: (weights[i] != 0) @ matters))
    return taken


def pick_anew(weights, budget):
    """Importance worked out anew from the cases left: for features still open the same, since no
    case taken shows them."""
    taken = []
    for _ in range(budget):
        left = [i for i in range(len(weights)) if i not in taken]
        matters = np.sqrt(np.abs(weights[left]).sum(0)) * (weights[taken] == 0).all(0)
        taken.append(max(left, key=lambda i: (weights[i] != 0) @ matters))
    return taken


def two_sided(p):
    return np.column_stack([1 - p, p])


def liar_of_booleans(frame):
    odd = np.zeros(len(frame), dtype=bool)
    for name in frame:
        odd ^= frame[name].astype(bool).to_numpy()
    return two_sided(np.where(odd, 0.95, 0.05))


WRONG = [
    (start_here.magnified, lambda c: c + 0.5, "as faint as before"),
    (start_here.magnified, lambda c: 0.5 + c / (2 * c.max()), "absolute"),
    (start_here.magnified, lambda c: 0.5 + c / (4 * c.abs().max()), "stretch it to 0.5"),
    (
        start_here.magnified,
        lambda c: (c - c.min()) / (c.max() - c.min()),
        "should be grey|in proportion",
    ),
    (start_here.magnified, lambda c: (c > 0).float(), "should be grey|in proportion"),
    (linear_classifiers.nudge, lambda x, w, e: x - e * w.sign(), "the score fell"),
    (linear_classifiers.nudge, lambda x, w, e: x + e * w * 3, "No number may move further"),
    (
        linear_classifiers.nudge,
        lambda x, w, e: x + e * w / w.abs().max(),
        "Every number may move the full ε",
    ),
    (linear_classifiers.nudge, lambda x, w, e: x[:1], "has shape"),
    (linear_classifiers.nudge, changes_its_input, "changed x itself"),
    (linear_classifiers.shortest, shortest_wrong(bias=False), "the biases"),
    (linear_classifiers.shortest, shortest_wrong(square=False), "too far"),
    (linear_classifiers.shortest, lambda *a: linear.shortest(*a) / 2, "still leads by"),
    (linear_classifiers.shortest, shortest_wrong(way=-1), "margin grew"),
    (linear_classifiers.shortest, shortest_wrong(signs=True), "times as long"),
    (
        linear_classifiers.shortest,
        lambda W, b, x, y, t: x + linear.shortest(W, b, x, y, t),
        "the change alone",
    ),
    (linear_classifiers.distance, unguarded, "not a number"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a, norm="l2"), r"length ε \(ℓ₂\)"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a) - 0.1, "negative"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a) / 2, "too short"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a) * 2, "sooner than you say"),
    (
        linear_classifiers.distance,
        lambda *a: linear.distance(*a).clamp(min=0.001),
        "misread from the start|sooner",
    ),
    (
        panda_to_vulture.one_step,
        lambda n, x, t, e: (x - e * score_gradient(n, x, t).sign()).clamp(0, 1),
        "fell in 20 of 20",
    ),
    (
        panda_to_vulture.one_step,
        lambda n, x, t, e: x + e * score_gradient(n, x, t).sign(),
        "whiter than white",
    ),
    (
        panda_to_vulture.one_step,
        lambda n, x, t, e: (x + e * score_gradient(n, x, t) / 50).clamp(0, 1),
        "use only the sign",
    ),
    (
        panda_to_vulture.one_step,
        lambda n, x, t, e: (x + 2 * e * score_gradient(n, x, t).sign()).clamp(0, 1),
        "at most ε away",
    ),
    (
        panda_to_vulture.one_step,
        lambda n, x, t, e: (x + 50 * e * score_gradient(n, x, t)).clamp(0, 1),
        "at most ε away",
    ),
    (panda_to_vulture.many_steps, clipped_steps(0.25, ball=False), "at most ε away"),
    (panda_to_vulture.many_steps, clipped_steps(0.25, once=True), "the network was asked"),
    (panda_to_vulture.many_steps, clipped_steps(0.25, way=-1), "probability fell"),
    (panda_to_vulture.many_steps, clipped_steps(0.01), "a step of ε/4 is asked for"),
    (
        panda_to_vulture.many_steps,
        lambda n, x, t, e, s: [attacks.one_step(n, x, t, eps=e / 4) for _ in range(s)][0],
        "start where",
    ),
    (
        panda_to_vulture.one_step,
        lambda n, x, t, e: e * score_gradient(n, x, t).sign(),
        "the change alone",
    ),
    (
        panda_to_vulture.one_step,
        lambda n, x, t, e: torch.cat([attacks.one_step(n, x[:1], t, eps=e), x[1:]]),
        "only the first",
    ),
    (panda_to_vulture.as_saved, lambda i: i.round().clamp(0, 1), "before you round"),
    (linear_classifiers.nudge, lambda x, w, e: e * w.sign(), "the change alone"),
    (linear_classifiers.shortest, lambda *a: 2 * linear.shortest(*a), "too far"),
    (
        linear_classifiers.distance,
        lambda w, b, x, y: linear.distance(w, 0 * b, x, y),
        "biases|misread",
    ),
    (
        panda_to_vulture.as_saved,
        lambda i: (i.clamp(0, 1) * 255).floor() / 255,
        "not to the one below",
    ),
    (panda_to_vulture.as_saved, lambda i: (i * 255).round() / 255, "nothing below 0"),
    (panda_to_vulture.as_saved, lambda i: (i.clamp(0, 1) * 255).round(), "divide by 255"),
    (panda_to_vulture.as_saved, lambda i: i.clamp(0, 1), "between two grey levels"),
    (explaining.sign_step, lambda m, x, y, e: attacks.fgsm(m, x, y, eps=e), "kept the pixels in"),
    (
        explaining.sign_step,
        lambda m, x, y, e: x - e * gradient_of_loss(m, x, y),
        "the sign is flipped",
    ),
    (explaining.sign_step, lambda m, x, y, e: e * gradient_of_loss(m, x, y), "the change alone"),
    (
        explaining.sign_step,
        lambda m, x, y, e: x + e * contract.loss_gradient(m, x, y),
        "use only the sign",
    ),
    (
        explaining.sign_step,
        lambda m, x, y, e: x + 2 * e * gradient_of_loss(m, x, y),
        "Each should move by ε",
    ),
    (
        explaining.sign_step,
        lambda m, x, y, e: x - e * score_gradient(m, x, y).sign(),
        "the score of the label alone",
    ),
    (
        explaining.sign_step,
        lambda m, x, y, e: x + e * gradient_of_loss(m, x, (y + 1) % 5),
        "go the other way",
    ),
    (
        explaining.sign_step,
        lambda m, x, y, e: torch.cat([goodfellow2015.sign_step(m, x[:1], y[:1], eps=e), x[1:]]),
        "only the first",
    ),
    (
        explaining.worst_case_loss,
        worst_case_wrong(lambda w, e, s: s * e * w.abs().sum()),
        "times y, as the paper prints",
    ),
    (explaining.sign_step, adding_up, "right the first time"),
    (
        explaining.sign_step,
        lambda m, x, y, e: goodfellow2015.sign_step(m, x.requires_grad_(True), y, eps=e),
        "for images itself",
    ),
    (
        explaining.sign_step,
        lambda m, x, y, e: goodfellow2015.sign_step(m, x, y, eps=0.25),
        "is eps used",
    ),
    (explaining.worst_case_loss, outside, "belongs inside"),
    (explaining.adversarial_loss, mixed_pictures, "mixed the \\*pictures"),
    (explaining.worst_case_loss, worst_case_wrong(lambda w, e, s: 0), "without an attacker"),
    (
        explaining.worst_case_loss,
        worst_case_wrong(lambda w, e, s: -e * w.abs().sum()),
        "your attacker helps",
    ),
    (explaining.worst_case_loss, worst_case_wrong(lambda w, e, s: e * w.norm()), "the length"),
    (
        explaining.worst_case_loss,
        worst_case_wrong(lambda w, e, s: e * w.sum()),
        "both signs cancel",
    ),
    (explaining.worst_case_loss, worst_case_wrong(bias=0), "bias is missing"),
    (explaining.worst_case_loss, worst_case_wrong(mean=torch.sum), "the mean is wanted"),
    (explaining.worst_case_loss, worst_case_wrong(mean=torch.clone), "Their mean is wanted"),
    (explaining.worst_case_loss, worst_case_wrong(way=1), "turned round"),
    (
        explaining.worst_case_loss,
        worst_case_wrong(lambda w, e, s: e * w.abs().mean()),
        "by hand gives",
    ),
    (explaining.adversarial_loss, mixed_wrong(rest, as_is), "have changed places"),
    (
        explaining.adversarial_loss,
        mixed_wrong(lambda a: 1, nothing),
        "as they are. The stepped ones",
    ),
    (explaining.adversarial_loss, mixed_wrong(nothing, lambda a: 1), "stepped images alone"),
    (explaining.adversarial_loss, mixed_wrong(lambda a: 1, lambda a: 1), "added as they are"),
    (explaining.adversarial_loss, mixed_wrong(lambda a: 0.5, lambda a: 0.5), "half and half"),
    (
        explaining.adversarial_loss,
        mixed_wrong(as_is, rest, lambda m, x, y, e: goodfellow2015.sign_step(m, x, y, eps=-e)),
        "easier",
    ),
    (
        explaining.adversarial_loss,
        mixed_wrong(as_is, rest, lambda m, x, y, e: attacks.fgsm(m, x, y, eps=e)),
        "in \\[0, 1\\]",
    ),
    (
        explaining.adversarial_loss,
        lambda *a: explaining.adversarial_loss.by_place(*a).item(),
        "a plain number",
    ),
    (
        explaining.adversarial_loss,
        lambda *a: explaining.adversarial_loss.by_place(*a).detach(),
        "no gradient leads",
    ),
    (explaining.adversarial_loss, cut_off, "not its gradient"),
    (explaining.adversarial_loss, mixed_wrong(as_is, lambda a: a * a), "is wanted, from"),
    (stronger_attacks.margin, margin_wrong(hide=False), "the best \\*other\\* class"),
    (stronger_attacks.margin, margin_wrong(sign=-1), "the other way round"),
    (stronger_attacks.margin, margin_wrong(top=True), "never below 0"),
    (stronger_attacks.margin, margin_wrong(chances=True), "not on probabilities"),
    (stronger_attacks.margin, lambda z, y: margin_wrong()(z, y)[:, None], "has shape"),
    (
        stronger_attacks.margin,
        lambda z, y: z.gather(1, y[:, None])[:, 0] - z.mean(1),
        "and yours says",
    ),
    (stronger_attacks.margin, scatters_in_place, "changed the logits themselves"),
    (stronger_attacks.guess_gradient, guess_wrong(lambda sigma, n: sigma), "Divide by sigma"),
    (stronger_attacks.guess_gradient, guess_wrong(lambda sigma, n: n), "the mean of the answers"),
    (stronger_attacks.guess_gradient, guess_wrong(lambda sigma, n: 0.5), "Halve nothing"),
    (stronger_attacks.guess_gradient, guess_wrong(lambda sigma, n: 2), "counted as two"),
    (stronger_attacks.guess_gradient, guess_wrong(lambda sigma, n: -1), "the other way"),
    (
        stronger_attacks.guess_gradient,
        guess_wrong(paired=False),
        "Ask in pairs|somewhere else|times as long",
    ),
    (stronger_attacks.guess_gradient, guess_wrong(draw=torch.rand), "times as long|somewhere else"),
    (
        stronger_attacks.guess_gradient,
        guess_wrong(mixed=True),
        "the other way|times as long|somewhere else",
    ),
    (
        stronger_attacks.guess_gradient,
        lambda f, x, n, s: guess_wrong()(f, x, 2 * n, s),
        "you asked 12000 questions",
    ),
    (stronger_attacks.guess_gradient, lambda f, x, n, s: guess_wrong()(f, x, n, s)[0], "has shape"),
    (stronger_attacks.border, border_wrong(inside_end=True), "Return the misread end"),
    (stronger_attacks.border, border_wrong(rounds=4), "Go on halving|still read right"),
    (stronger_attacks.border, border_wrong(scan=True), "you asked"),
    (stronger_attacks.border, border_wrong(number=True), "you returned the number"),
    (
        stronger_attacks.border,
        border_wrong(ends="wrong"),
        "Which end moves|beyond the border|takes the place",
    ),
    (
        stronger_attacks.border,
        lambda m, i, f, c: f,
        "takes the place of the far end|beyond the border",
    ),
    (stronger_attacks.guess_gradient, guess_clamped, "Do not clamp here"),
    (
        stronger_attacks.border,
        lambda m, i, f, c: attacks.border(m, i, f, close=c) + 0.1,
        "straight line",
    ),
    (defending.withstood, lambda *a: rights(*a).any(0), r"every\* attempt fails"),
    (defending.withstood, lambda *a: ~rights(*a).all(0), "other way round"),
    (defending.withstood, lambda *a: rights(*a).float().mean(0), "an average"),
    (defending.withstood, lambda *a: rights(*a).float().mean(1).min(), "one number"),
    (defending.withstood, lambda *a: rights(*a)[-1], "only the last"),
    (defending.withstood, lambda *a: rights(*a).float().mean(0) > 0.5, "majority wins"),
    (defending.withstood, lambda *a: rights(*a)[1:].all(0), "hold by your answer"),
    (defending.straight_through, lambda d: d, "gradient is zero"),
    (defending.straight_through, lambda d: lambda x: x, "as they came"),
    (defending.straight_through, lambda d: lambda x: d(x).detach(), "no gradient gets through"),
    (defending.straight_through, lambda d: lambda x: x + d(x) - x.detach(), "two gradients"),
    (defending.straight_through, lambda d: lambda x: 2 * x + (d(x) - 2 * x).detach(), "2.00 times"),
    (
        defending.straight_through,
        lambda d: lambda x: x + d(x).detach(),
        "not what the defence puts out",
    ),
    (
        defending.straight_through,
        lambda d: d(torch.rand(2, 1, 4, 4)),
        "a function, from images to images, is wanted",
    ),
    (
        defending.break_defence,
        break_wrong(opened=False, draws=10, early_stop=False),
        "noise of the same size",
    ),
    (
        defending.break_defence,
        break_wrong(targeted=True, draws=16, early_stop=False),
        "noise of the same size",
    ),
    (
        defending.break_defence,
        lambda m, d, x, y, e: attacks.fgsm(m, x, y, eps=e),
        "never called the defence",
    ),
    (
        defending.break_defence,
        lambda m, d, x, y, e: attacks.pgd(m, x, y, eps=e, early_stop=False),
        "never called the defence",
    ),
    (defending.break_defence, break_wrong(early_stop=False), "mostly noise"),
    (defending.break_defence, one_step_wrong(16), "mostly noise"),
    (defending.break_defence, one_step_wrong(200), "as in one step"),
    (defending.break_defence, break_wrong(draws=16), "One lucky draw is no success|no early stop"),
    (
        defending.break_defence,
        break_wrong(draws=16, reach=0.3, early_stop=False),
        "You may use all of ε",
    ),
    (defending.break_defence, break_wrong(reach=2), "lie within ε"),
    (defending.break_defence, lambda m, d, x, y, e: x + e, "stays in"),
    (defending.break_defence, lambda m, d, x, y, e: x, "as they came"),
    (defending.certificate, certify_wrong(abstain=False), "may be no majority"),
    (
        defending.certificate,
        certify_wrong(lambda k, n, a: binomtest(k, n).proportion_ci(1 - a).low),
        "two-sided",
    ),
    (defending.certificate, certify_wrong(lambda k, n, a: k / n), "as it was counted"),
    (defending.certificate, certify_wrong(chooser=1), "choose by selection"),
    (defending.certificate, certify_wrong(power=0), "σ is missing"),
    (defending.certificate, certify_wrong(power=2), "the variance"),
    (
        defending.certificate,
        lambda s, c, sigma, a: (s.argmax(), sigma * norm.ppf(1 - a)),
        "alpha alone",
    ),
    (
        defending.certificate,
        lambda s, c, sigma, a: (s.argmax(), sigma * lower(int(c[s.argmax()]), int(c.sum()), a)),
        "σ·p",
    ),
    (
        defending.certificate,
        lambda *a: defending.certificate.by_place(*a)[1],
        "a pair, a class number and a radius",
    ),
    (defending.certificate, lambda *a: (-1, 0.0), "that is a majority"),
    (defending.certificate, silent_at_a_tie, "you return nothing where"),
    (
        defending.certificate,
        certify_wrong(lambda k, n, a: binomtest(k, n, alternative="less").proportion_ci(1 - a).low),
        'binomtest wants alternative="greater"',
    ),
    (
        defending.certificate,
        lambda s, c, sigma, a: defences.certificate(s, s, sigma=sigma, alpha=a),
        "you abstain where|can|is certain",
    ),
    (
        backpropagation.layer_backward,
        layer_wrong(gx=lambda g, x, W: g @ W),
        "g @ W, without the transpose",
    ),
    (
        backpropagation.layer_backward,
        layer_wrong(gx=lambda g, x, W: W.T @ g),
        "factors in the wrong order",
    ),
    (
        backpropagation.layer_backward,
        layer_wrong(gW=lambda g, x, W: x @ g),
        "x @ g, without the transpose",
    ),
    (backpropagation.layer_backward, layer_wrong(gW=lambda g, x, W: g.T @ x), "gW on its side"),
    (
        backpropagation.layer_backward,
        layer_wrong(gW=lambda g, x, W: x.T @ g / len(g)),
        "gW is the mean, not the sum",
    ),
    (
        backpropagation.layer_backward,
        layer_wrong(gx=lambda g, x, W: g @ W.T / len(x)),
        "gx is divided by 5",
    ),
    (
        backpropagation.layer_backward,
        layer_wrong(gx=lambda g, x, W: g @ W.reshape(W.shape[::-1])),
        "reshape lays nothing",
    ),
    (backpropagation.layer_backward, layer_wrong(gb=lambda g: g), "their gradients add up"),
    (
        backpropagation.layer_backward,
        layer_wrong(gb=lambda g: g.mean(axis=0)),
        "gb is the mean, not",
    ),
    (
        backpropagation.layer_backward,
        layer_wrong(gb=lambda g: g.sum(axis=1)),
        "a number for each image",
    ),
    (backpropagation.layer_backward, layer_wrong(gb=lambda g: g.sum()), "gb has shape"),
    (backpropagation.layer_backward, layer_wrong(gx=lambda g, x, W: -g @ W.T), "sign turned"),
    (
        backpropagation.layer_backward,
        lambda *a: (layer_backward(*a)[1], layer_backward(*a)[0], layer_backward(*a)[2]),
        "you return gW, gx, gb",
    ),
    (backpropagation.layer_backward, lambda *a: layer_backward(*a)[::-1], "you return gb, gW, gx"),
    (
        backpropagation.layer_backward,
        lambda *a: layer_backward(*a)[1:] + layer_backward(*a)[:1],
        "you return gW, gb, gx",
    ),
    (backpropagation.layer_backward, lambda *a: layer_backward(*a)[:2], "2 things came"),
    (
        backpropagation.layer_backward,
        lambda *a: (layer_backward(*a)[0], None, layer_backward(*a)[2]),
        "gW is still None",
    ),
    (backpropagation.relu_backward, lambda g, a: g, "everything came back"),
    (backpropagation.relu_backward, lambda g, a: g * (g > 0), "looks at g"),
    (backpropagation.relu_backward, lambda g, a: g * (a < 0), "wrong way round"),
    (backpropagation.relu_backward, lambda g, a: a > 0, "the mask alone"),
    (backpropagation.relu_backward, lambda g, a: g * np.maximum(a, 0), "however large"),
    (backpropagation.relu_backward, lambda g, a: np.maximum(a, 0), "the way forward"),
    (backpropagation.relu_backward, lambda g, a: g * np.sign(a), "you pass -g"),
    (backpropagation.relu_backward, cuts_g, "changed g itself"),
    (
        backpropagation.relu_backward,
        lambda g, a: g * np.where(a > 0, 1, 0.01),
        "^Where a is negative you still pass up to 0",
    ),
    (
        backpropagation.relu_backward,
        lambda g, a: 2 * g * (a > 0),
        r"^Where a is positive you are off by .* as it is\.$",
    ),
    (backpropagation.cross_entropy_backward, lambda s, y: softmax(s) - hot(y), "7 times too large"),
    (
        backpropagation.cross_entropy_backward,
        lambda s, y: (hot(y) - softmax(s)) / len(y),
        "sign is turned: prob",
    ),
    (
        backpropagation.cross_entropy_backward,
        lambda s, y: hot(y) - softmax(s),
        "sign is turned, and",
    ),
    (
        backpropagation.cross_entropy_backward,
        lambda s, y: softmax(s) / len(y),
        "probabilities, over N",
    ),
    (
        backpropagation.cross_entropy_backward,
        lambda s, y: softmax(s),
        "the probabilities. Take 1 away",
    ),
    (backpropagation.cross_entropy_backward, at_every_label, r"\*every\* row"),
    (
        backpropagation.cross_entropy_backward,
        lambda s, y: (s - hot(y)) / len(y),
        "scores themselves",
    ),
    (
        backpropagation.cross_entropy_backward,
        lambda s, y: (softmax(s.T).T - hot(y)) / len(y),
        "down the columns",
    ),
    (
        backpropagation.cross_entropy_backward,
        lambda s, y: (softmax(s) - hot(y)) / 4,
        "number of classes",
    ),
    (backpropagation.cross_entropy_backward, overflowing, "exp overflows"),
    (
        backpropagation.cross_entropy_backward,
        lambda s, y: (softmax(s) - np.eye(10)[y]) / len(y),
        "counts on ten scores",
    ),
    (
        backpropagation.cross_entropy_backward,
        lambda s, y: (np.exp(s) / np.exp(s).sum() - hot(y)) / len(y),
        "not add up to 1",
    ),
    (
        backpropagation.cross_entropy_backward,
        lambda s, y: (1 / (1 + np.exp(-s)) - hot(y)) / len(y),
        "do not add up to 1",
    ),
    (backpropagation.fool, fool_wrong(direction=1), "you walked up"),
    (backpropagation.fool, fool_wrong(clip=False), r"left \[0, 1\]"),
    (
        backpropagation.fool,
        lambda *a: np.clip(fool_wrong(clip=False)(*a), 0, 1),
        "once, at the end",
    ),
    (backpropagation.fool, fool_wrong(anew=False), "one gradient served all"),
    (backpropagation.fool, fool_wrong(sign=True), "the sign of the gradient"),
    (
        backpropagation.fool,
        lambda *a: backpropagation.fool.by_place(*a[:4], 1),
        "you took one step",
    ),
    (backpropagation.fool, lambda *a: backpropagation.fool.by_place(*a) - a[1], "the change alone"),
    (
        backpropagation.fool,
        lambda n, x, t, r, k: backprop.fool(n, x, t, step_size=1, steps=k),
        "step_size is not used",
    ),
    (
        backpropagation.fool,
        lambda n, x, t, *a: backpropagation.fool.by_place(n, x, np.full(len(x), t[0]), *a),
        "towards the first target",
    ),
    (
        backpropagation.fool,
        lambda n, x, t, *a: backpropagation.fool.by_place(n, x[:1], t[:1], *a),
        "one picture came back and 3 went in",
    ),
    (backpropagation.fool, by_the_first_alone, "by the first one's gradient"),
    (backpropagation.fool, in_first_row, "only the first has moved"),
    (
        backpropagation.fool,
        fool_wrong(share=lambda g: g.mean(axis=0)),
        "by the mean of their gradients",
    ),
    (
        backpropagation.fool,
        fool_wrong(share=lambda g: g.sum(axis=0)),
        "by the sum of their gradients",
    ),
    (
        backpropagation.fool,
        lambda n, x, t, r, k: backprop.fool(n, x, t, step_size=r * len(x), steps=k),
        "3 times too long",
    ),
    (
        backpropagation.fool,
        lambda n, x, t, r, k: backprop.fool(n, x, t, step_size=r / len(x), steps=k),
        "3 times too short",
    ),
    (
        backpropagation.fool,
        lambda n, x, t, r, k: backprop.fool(n, x, t, step_size=r, steps=max(k, 1)),
        "with steps = 0 something else",
    ),
    (
        backpropagation.fool,
        lambda *a: backpropagation.fool.by_place(*a) if a[4] else None,
        "with steps = 0 something else",
    ),
    (backpropagation.fool, ends_inside, "with steps = 0 it stops with UnboundLocalError"),
    (backpropagation.fool, lambda n, x, *a: x, "came back as it was"),
    (backpropagation.fool, trains_the_network, "you trained the network"),
    (
        filtering.toeplitz,
        lambda k, h, w: features.toeplitz(k.flip(0, 1), h, w),
        "turned round by 180°",
    ),
    (filtering.toeplitz, lambda k, h, w: features.toeplitz(k, h, w).T, "its transpose"),
    (filtering.toeplitz, padded, "as with padding"),
    (filtering.toeplitz, toeplitz_wrong, "stand side by side"),
    (filtering.toeplitz, wrapping, "starts at pixel r"),
    (
        filtering.toeplitz,
        lambda k, h, w: features.toeplitz(k.flip(1), h, w),
        "left and right are exchanged",
    ),
    (
        filtering.toeplitz,
        lambda k, h, w: features.toeplitz(k.flip(0), h, w),
        "top and bottom are exchanged",
    ),
    (filtering.toeplitz, lambda k, h, w: features.toeplitz(k, h, w).to_sparse(), "to_dense"),
    (filtering.toeplitz, lambda k, h, w: features.toeplitz(2 * k, h, w), "pixels differ"),
    (
        filtering.toeplitz,
        lambda k, h, w: torch.ones_like(features.toeplitz(k, h, w)),
        "that are not 0",
    ),
    (
        filtering.toeplitz,
        lambda k, h, w: features.toeplitz(k, h, w) + k.mul_(2).sum() * 0,
        "changed kernel itself",
    ),
    (filtering.receptive_field, field_wrong(join=lambda apart, stride: 1), "strides are missing"),
    (filtering.receptive_field, field_wrong(own=True), "add first, then multiply"),
    (filtering.receptive_field, field_wrong(start=0), "sees 1 pixel, not 0"),
    (
        filtering.receptive_field,
        field_wrong(join=lambda apart, stride: apart + stride - 1),
        "Go layer by|Strides multiply",
    ),
    (
        filtering.receptive_field,
        field_wrong(join=lambda apart, stride: stride),
        "only the stride of the layer before",
    ),
    (
        filtering.receptive_field,
        lambda steps: features.receptive_field(steps) + 1000,
        "Go layer by layer",
    ),
    (filtering.receptive_field, field_wrong(less=0), "adds 2 neighbours, not 3"),
    (
        filtering.receptive_field,
        lambda steps: features.receptive_field(steps[::-1]),
        "in the order of the picture's way",
    ),
    (
        filtering.receptive_field,
        lambda steps: (features.receptive_field(steps), 4),
        "the width alone",
    ),
    (
        filtering.energy,
        lambda w: squares(w).sqrt().cumsum(0) / squares(w).sqrt().sum(),
        "sum of their squares",
    ),
    (filtering.energy, lambda w: squares(w) / squares(w).sum(), "each value alone"),
    (
        filtering.energy,
        lambda w: squares(w).sqrt() / squares(w).sqrt().sum(),
        "Two things are missing",
    ),
    (filtering.energy, lambda w: 100 * features.energy(w), "per cent"),
    (filtering.energy, lambda w: squares(w).cumsum(0), "the whole energy"),
    (
        filtering.energy,
        lambda w: squares(w).flip(0).cumsum(0) / squares(w).sum(),
        "began with the smallest",
    ),
    (filtering.energy, lambda w: 1 - features.energy(w), "what is left out"),
    (filtering.energy, lambda w: features.energy(w)[0], "one number"),
    (filtering.correlations, correlations_wrong(centre=False), "a cosine"),
    (filtering.correlations, correlations_wrong(scale=False), "a covariance"),
    (filtering.correlations, correlations_wrong(guard=0), "0 / 0"),
    (
        filtering.correlations,
        lambda a, b: centred_wrong(a - a.mean(), b - b.mean()),
        "one mean of the whole",
    ),
    (
        filtering.correlations,
        lambda a, b: centred_wrong(a - a.mean(0), b - b.mean(0), power=2),
        "square root",
    ),
    (filtering.correlations, lambda a, b: features.correlations(a, b) * 23 / 24, "24 to 23"),
    (
        filtering.correlations,
        lambda a, b: features.correlations(a, b).where(b.std(0) > 0, torch.nan),
        "0 / 0",
    ),
    (
        filtering.correlations,
        lambda a, b: features.correlations(a, b).square(),
        "squares of correlations",
    ),
    (filtering.correlations, lambda a, b: features.correlations(b, a), "Transpose it"),
    (filtering.correlations, lambda a, b: torch.corrcoef(torch.cat([a, b], 1).T), "Cut out"),
    (filtering.correlations, lambda a, b: features.correlations(a, b).abs(), "lost their signs"),
    (filtering.correlations, lambda a, b: features.correlations(a, b.sub_(1)), "changed its input"),
    (liming.nearness, nearness_wrong(lambda z: np.sqrt(z.mean(1))), "You took the cosine"),
    (liming.nearness, nearness_wrong(lime.euclidean), "by Pythagoras"),
    (liming.nearness, nearness_wrong(lambda z: 1 - z.mean(1)), "the \\*root\\* of that share"),
    (liming.nearness, nearness_wrong(over=lambda width: width), "the width is not squared"),
    (liming.nearness, nearness_wrong(power=1), "D is not squared"),
    (liming.nearness, nearness_wrong(over=lambda width: 2 * width**2), "a 2 or a root too many"),
    (liming.nearness, lambda z, width: z.mean(1), "ones counts .* is right"),
    (liming.nearness, lambda z, width: lime.nearness(z, width=width)[0], "has shape"),
    (liming.weighted_ridge, fit_wrong(last=True), "the intercept stands last"),
    (liming.weighted_ridge, fit_wrong(power=0), "every row counts the same"),
    (liming.weighted_ridge, fit_wrong(first=1), "intercept is punished too"),
    (liming.weighted_ridge, fit_wrong(rest=0), "there is no penalty"),
    (liming.weighted_ridge, fit_wrong(power=2), "counts sample_weight²"),
    (liming.weighted_ridge, fit_wrong(power=0.5), "counts √sample_weight"),
    (
        liming.weighted_ridge,
        lambda z, y, c: lime.weighted_ridge(z, y, c / c.sum()),
        "you scaled sample_weight",
    ),
    (
        liming.weighted_ridge,
        lambda z, y, c: lime.weighted_ridge(z, y, c / c.max()),
        "you scaled sample_weight",
    ),
    (liming.weighted_ridge, through_nothing, "your intercept is 0"),
    (liming.weighted_ridge, fit_wrong(rest=10), "one number is off by"),
    (liming.weighted_ridge, lambda z, y, c: lime.weighted_ridge(z, y, c)[1:], "has shape"),
    (liming.hide, lambda x, s, z, c: lime.hide(x, s, ~z, c), "the other way round"),
    (liming.hide, lambda x, s, z, c: lime.hide(x, s, z, 0 * c), "what you hide is black"),
    (
        liming.hide,
        lambda x, s, z, c: lime.hide(x, s, z[:1].expand_as(z), c),
        "all your copies are alike",
    ),
    (liming.hide, lambda x, s, z, c: lime.hide(x, s, z, (x + c) / 2), "shines through"),
    (liming.hide, lambda x, s, z, c: lime.hide(x, s.flip(0), z, c), "of the pixels are wrong"),
    (liming.hide, hide_in_place, "changed image itself"),
    (
        liming.hide,
        lambda x, s, z, c: lime.hide(x, s, z, c) + 0 * c.zero_().sum(),
        "changed cover itself",
    ),
    (liming.hide, lambda x, s, z, c: lime.hide(x, s, z, c).numpy(), "a tensor of shape"),
    (liming.hide, lambda x, s, z, c: lime.hide(x, s, z, c)[0], "has shape"),
    (liming.pick, pick_wrong(close=False), "each of your cases is good alone"),
    (liming.pick, lambda w, n: np.argsort(-np.abs(w).sum(1))[:n], "the cases with the most weight"),
    (liming.pick, pick_wrong(lambda w: np.abs(w).sum(0)), "the \\*root\\* of its summed"),
    (liming.pick, pick_wrong(lambda w: np.sqrt(np.abs(w.sum(0)))), "for and against cancel"),
    (liming.pick, pick_wrong(lambda w: np.ones(w.shape[1])), "worth the same to you"),
    (liming.pick, pick_wrong(close=False, twice=True), "one case twice"),
    (liming.pick, pick_among_the_left, "anew from the cases left"),
    (
        liming.pick,
        lambda w, n: np.array(lime.pick(w, budget=n), dtype=float),
        "Places of cases are whole numbers",
    ),
    (liming.pick, lambda w, n: list(range(n)), "greedily it is"),
    (liming.pick, lambda w, n: [w.shape[0] + i for i in range(n)], "no place of a case"),
    (liming.liar, lambda f: two_sided(f["a"].to_numpy()), "when b alone does"),
    (liming.liar, lambda f: two_sided(f.to_numpy().mean(1)), "when a alone does, in 8 of 8 rows"),
    (
        liming.liar,
        lambda f: two_sided(f.to_numpy().sum(1) % 2 * 0.6 + 0.2),
        "does not change by 0.8",
    ),
    (
        liming.liar,
        lambda f: lime.liar(f) if len(f) <= 100 else 0 * lime.liar(f) + 0.5,
        "says something else to the same row",
    ),
    (liming.liar, lambda f: two_sided((f["a"] ^ f["b"]).to_numpy()), "when c alone does"),
    (liming.liar, lambda f: two_sided(f.to_numpy().sum(1) % 2) + 0.5, "no probabilities"),
    (liming.liar, lambda f: f.to_numpy().sum(1) % 2, "has shape"),
]


def of_chance(m, x, y):
    return score_gradient(lambda z: m(z).softmax(1), x, y).abs().amax(1)


def asking_in_place(m, x, y):
    x.requires_grad_(True)
    return torch.autograd.grad(m(x).gather(1, y[:, None]).sum(), x)[0].abs().amax(1)


def along_wrong(
    factor=lambda x, b: x - b,
    mean=True,
    join=lambda m: m.sum(1),
    shares=lambda n: (torch.arange(n) + 0.5) / n,
    point=lambda x, b, s: b + s * (x - b),
    whole=False,
):
    def integrated(m, x, y, steps, b):
        slopes = sum(score_gradient(m, point(x, b, s), y) for s in shares(steps))
        return join(factor(x, b) * (slopes / steps if mean else slopes))

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


WRONG += [
    (looking.gradient, lambda m, x, y: score_gradient(m, x, y), "three numbers a pixel"),
    (looking.gradient, lambda m, x, y: score_gradient(m, x, y).amax(1), "before the largest"),
    (
        looking.gradient,
        lambda m, x, y: score_gradient(m, x, y).amax(1).abs(),
        "the absolute value comes first",
    ),
    (
        looking.gradient,
        lambda m, x, y: score_gradient(m, x, y).abs().sum(1),
        "added up the channels",
    ),
    (
        looking.gradient,
        lambda m, x, y: score_gradient(m, x, y).abs().mean(1),
        "mean of the channels",
    ),
    (looking.gradient, lambda m, x, y: score_gradient(m, x, y).sum(1).abs(), "channels cancel"),
    (looking.gradient, of_chance, "gradient of the probability"),
    (
        looking.gradient,
        lambda m, x, y: contract.loss_gradient(m, x, y).abs().amax(1),
        "gradient of the loss",
    ),
    (
        looking.gradient,
        lambda m, x, y: (x * score_gradient(m, x, y)).abs().amax(1),
        "multiplied with the picture",
    ),
    (
        looking.gradient,
        lambda m, x, y: score_gradient(m, x, m(x).argmax(1)).abs().amax(1),
        "the class the network says",
    ),
    (
        looking.gradient,
        lambda m, x, y: score_gradient(m, x, y[0]).abs().amax(1),
        "the first target",
    ),
    (looking.gradient, asking_in_place, "left its input asking"),
    (looking.gradient, lambda m, x, y: 2 * score_gradient(m, x, y).abs().amax(1), "off by up to"),
    (looking.integrated_gradients, along_wrong(factor=lambda x, b: 1), "Multiply it with the way"),
    (
        looking.integrated_gradients,
        along_wrong(factor=lambda x, b: x),
        "multiplied with the picture",
    ),
    (
        looking.integrated_gradients,
        lambda m, x, y, n, b: saliency.integrated_gradients(m, x, y, steps=n),
        "starts from black",
    ),
    (looking.integrated_gradients, along_wrong(shares=lambda n: [1] * n), "at the picture alone"),
    (looking.integrated_gradients, along_wrong(shares=lambda n: [0] * n), "at the baseline alone"),
    (looking.integrated_gradients, along_wrong(mean=False), "300 times too large"),
    (looking.integrated_gradients, along_wrong(factor=lambda x, b: b - x), "the other way round"),
    (looking.integrated_gradients, along_wrong(join=lambda m: m.sum(1).abs()), "lost its signs"),
    (
        looking.integrated_gradients,
        along_wrong(join=lambda m: m.amax(1)),
        "kept the largest channel",
    ),
    (looking.integrated_gradients, along_wrong(join=lambda m: m.mean(1)), "mean of the channels"),
    (looking.integrated_gradients, along_wrong(join=lambda m: m), "three numbers a pixel"),
    (looking.integrated_gradients, along_wrong(point=lambda x, b, s: s * x), "your map sums to"),
    (
        looking.integrated_gradients,
        along_wrong(join=lambda m: m.abs().sum(1)),
        "Add up what the channels say",
    ),
    (looking.integrated_gradients, along_wrong(join=lambda m: m.sum(1).relu()), "no relu"),
    (
        looking.integrated_gradients,
        along_wrong(shares=lambda n: torch.arange(n) / n),
        "nearly: right with 300",
    ),
    (
        looking.integrated_gradients,
        along_wrong(shares=lambda n: (torch.arange(n) + 1) / n),
        "nearly: right with 300",
    ),
    (
        looking.integrated_gradients,
        lambda m, x, y, n, b: saliency.integrated_gradients(m, x, y, steps=200, baseline=b),
        "you ignore steps",
    ),
    (
        looking.gradient,
        lambda m, x, y: score_gradient(m, x, y).norm(dim=1),
        "length over the channels",
    ),
    (
        looking.gradient,
        lambda m, x, y: sum(score_gradient(m, x, k) for k in y).abs().amax(1),
        "the targets of all",
    ),
    (looking.cam, cam_wrong(alpha=lambda g: g.mean((2, 3), keepdim=True).relu()), "no relu on α"),
    (
        looking.cam,
        lambda a, g: a.mul_(g.mean((2, 3), keepdim=True)).sum(1).relu(),
        "changed maps itself",
    ),
    (looking.top_pixels, lambda m, s: saliency.top_pixels(m.abs(), share=s), "no .abs"),
    (
        looking.top_pixels,
        lambda m, s: torch.stack([saliency.top_pixels(r, share=s) for r in m[..., None]])[..., 0],
        "from the whole map",
    ),
    (looking.cam, cam_wrong(join=lambda m: m.sum(1)), "nothing below 0"),
    (
        looking.cam,
        cam_wrong(join=lambda m: m.relu().sum(1)),
        "The relu comes last|the relu comes last",
    ),
    (looking.cam, cam_wrong(alpha=lambda g: g), "each place with its own slope"),
    (looking.cam, cam_wrong(alpha=lambda g: g.sum((2, 3), keepdim=True)), "15 times too large"),
    (looking.cam, cam_wrong(join=lambda m: m.mean(1).relu()), "6 times too small"),
    (looking.cam, cam_wrong(alpha=lambda g: g.mean((2, 3), keepdim=True).abs()), "keep α's sign"),
    (
        looking.cam,
        cam_wrong(alpha=lambda g: g.mean((0, 2, 3), keepdim=True)),
        "mean over all pictures",
    ),
    (looking.cam, cam_wrong(join=lambda m: m.sum(1).abs()), "should be 0, not positive"),
    (looking.cam, cam_wrong(join=lambda m: m.sum(1, keepdim=True).relu()), "gone"),
    (looking.cam, cam_wrong(join=lambda m: m.relu()), "a number for each channel"),
    (looking.cam, lambda a, g: saliency.cam(g, a), "does it weigh the maps"),
    (looking.top_pixels, lambda m, s: saliency.top_pixels(-m, share=s), "those are the lowest"),
    (
        looking.top_pixels,
        lambda m, s: m > s * m.amax((1, 2), keepdim=True),
        "share of the pixels, not of the largest",
    ),
    (
        looking.top_pixels,
        lambda m, s: saliency.top_pixels(m, share=s).float(),
        "booleans are wanted",
    ),
    (looking.top_pixels, by_threshold, "A threshold takes all equals or none"),
    (looking.top_pixels, of_all_together, "of all maps together"),
    (
        looking.top_pixels,
        lambda m, s: saliency.top_pixels(m, share=1 - s),
        "of 64 pixels in each map",
    ),
    (
        looking.top_pixels,
        lambda m, s: saliency.top_pixels(m.roll(1, 2), share=s),
        "Sort each map by itself",
    ),
]


def climb_wrong(size=lambda g: g.abs().mean(), way=1, clip=True):
    return lambda x, g, rate: (lambda y: y.clamp(0, 1) if clip else y)(x + way * rate * g / size(g))


def rolled_in_place(x, move, down, right):
    x[:] = x.roll((down, right), (2, 3))
    return move(x).roll((-down, -right), (2, 3))


def detail_of(enlarge=dreams.resized, way=1, end=lambda z: z):
    return lambda d, s, b: end(b + way * enlarge(d - s, *b.shape[2:]))


def half(
    part=lambda a: a[:, :, : a.shape[2] // 2], join=lambda z: z.square().flatten(1).sum(1) / 2
):
    return lambda name: dreams.Objective([name], lambda _, out: join(part(out[name])))


WRONG += [
    (deep_dream.gradient_step, climb_wrong(way=-1), "walk downhill"),
    (deep_dream.gradient_step, climb_wrong(clip=False), "Clip them to"),
    (deep_dream.gradient_step, climb_wrong(lambda g: 1), "whatever the gradient's size"),
    (deep_dream.gradient_step, climb_wrong(lambda g: g.abs()), "lesson 03's sign"),
    (deep_dream.gradient_step, climb_wrong(lambda g: g.abs().max()), "its largest value"),
    (deep_dream.gradient_step, climb_wrong(lambda g: g.norm()), "its length"),
    (deep_dream.gradient_step, climb_wrong(lambda g: g.std()), "its standard deviation"),
    (
        deep_dream.gradient_step,
        climb_wrong(lambda g: g.mean()),
        "whatever the gradient's size|walk downhill",
    ),
    (
        deep_dream.gradient_step,
        climb_wrong(lambda g: g.abs().sum()),
        "whatever the gradient's size",
    ),
    (deep_dream.gradient_step, lambda x, g, rate: rate * g / g.abs().mean(), "the step alone"),
    (
        deep_dream.gradient_step,
        lambda x, g, rate: x + (rate * g / g.abs().mean()).clamp(0, 1),
        "clipped the step",
    ),
    (
        deep_dream.gradient_step,
        lambda x, g, rate: x.add_(rate * g / g.abs().mean()).clamp_(0, 1),
        "changed x itself",
    ),
    (deep_dream.jittered, lambda x, m, d, r: m(x), "where it lay"),
    (
        deep_dream.jittered,
        lambda x, m, d, r: m(x.roll((d, r), (2, 3))),
        "left where it had been rolled",
    ),
    (
        deep_dream.jittered,
        lambda x, m, d, r: m(x.roll((d, r), (2, 3))).roll((d, r), (2, 3)),
        "twice the same way",
    ),
    (
        deep_dream.jittered,
        lambda x, m, d, r: m(x.roll((d, r), (3, 2))).roll((-d, -r), (3, 2)),
        "rows are axis 2",
    ),
    (
        deep_dream.jittered,
        lambda x, m, d, r: m(x.roll((-d, -r), (2, 3))).roll((d, r), (2, 3)),
        "up and left",
    ),
    (
        deep_dream.jittered,
        lambda x, m, d, r: x.roll((d, r), (2, 3)).roll((-d, -r), (2, 3)),
        "never called step",
    ),
    (
        deep_dream.jittered,
        lambda x, m, d, r: m(x.roll((d, r), (2, 3))).roll((-r, -d), (2, 3)),
        "not where it belongs",
    ),
    (
        deep_dream.jittered,
        lambda x, m, d, r: m(m(x.roll((d, r), (2, 3)))).roll((-d, -r), (2, 3)),
        "2 times",
    ),
    (deep_dream.jittered, rolled_in_place, "changed x itself"),
    (deep_dream.carry, lambda d, s, b: b, "the photo alone"),
    (deep_dream.carry, lambda d, s, b: dreams.resized(d, *b.shape[2:]), "is blurred now"),
    (
        deep_dream.carry,
        lambda d, s, b: dreams.resized(d - s, *b.shape[2:]),
        "what was dreamt, alone",
    ),
    (deep_dream.carry, detail_of(way=-1), "took the dream away"),
    (deep_dream.carry, lambda d, s, b: b + dreams.resized(d, *b.shape[2:]), "two photos"),
    (
        deep_dream.carry,
        lambda d, s, b: (b + dreams.resized(d, *b.shape[2:])) / 2,
        "mean of two pictures",
    ),
    (deep_dream.carry, detail_of(end=lambda z: z.clamp(0, 1)), "clipping"),
    (
        deep_dream.carry,
        detail_of(lambda z, *size: F.interpolate(z, size)),
        "in another way",
    ),
    (deep_dream.carry, lambda d, s, b: d, "has shape"),
    (
        deep_dream.carry,
        lambda d, s, b: (
            b + F.interpolate(d - s, scale_factor=1.4, mode="bilinear", align_corners=True)
        ),
        "has shape|stopped with|in another way",
    ),
    (deep_dream.carry, detail_of(way=2), "the large photo plus"),
    (deep_dream.shaded, dreams.layer, "the whole layer"),
    (deep_dream.shaded, half(lambda a: a[:, :, a.shape[2] // 2 :]), "the lower half"),
    (deep_dream.shaded, half(lambda a: a[..., : a.shape[3] // 2]), "the left half"),
    (deep_dream.shaded, half(lambda a: a[:, : a.shape[1] // 2]), "halved the channels"),
    (deep_dream.shaded, half(join=lambda z: z.square().flatten(1).sum(1)), "twice too large"),
    (
        deep_dream.shaded,
        half(join=lambda z: z.square().flatten(1).mean(1) / 2),
        "the mean of the squares",
    ),
    (deep_dream.shaded, half(join=lambda z: z.flatten(1).sum(1)), "Square it first"),
    (deep_dream.shaded, half(join=lambda z: z.square().sum() / 2), "has shape"),
    (
        deep_dream.shaded,
        half(join=lambda z: -z.square().flatten(1).sum(1) / 2),
        "the sign is turned",
    ),
    (deep_dream.shaded, lambda name: torch.zeros(2), "a tensor came"),
    (deep_dream.shaded, lambda name: dreams.layer("bend"), "should read the one given"),
    (
        deep_dream.shaded,
        lambda name: dreams.Objective(name, lambda _, out: out[name].sum()),
        "a list of letters",
    ),
    (
        deep_dream.shaded,
        half(join=lambda z: z.detach().square().flatten(1).sum(1) / 2),
        "lost its gradient",
    ),
    (deep_dream.shaded, half(lambda a: a.chunk(2, 2)[0]), "one too many"),
    (deep_dream.shaded, half(lambda a: a[:, :, :4]), "for one image your value is|one too many"),
]


def gram_wrong(rows=lambda x: x.flatten(2)[0], join=lambda r: r @ r.T, size=lambda r: r.shape[1]):
    return lambda x: join(rows(x)) / size(rows(x))


def style_wrong(
    layer=lambda g, a: (g - a).square().sum() / (4 * len(g) ** 2), join=lambda z: sum(z) / len(z)
):
    return lambda now, wanted: join([layer(g, a) for g, a in zip(now, wanted, strict=True)])


def each_by_itself(x):
    return torch.stack([row[torch.randperm(row.numel())] for row in x.flatten(2)[0]]).view_as(x)


WRONG += [
    (style_transfer.gram, gram_wrong(size=lambda r: 1), "times too large"),
    (style_transfer.gram, gram_wrong(size=len), "divided by the number of channels"),
    (style_transfer.gram, gram_wrong(size=torch.numel), "channels times places"),
    (style_transfer.gram, gram_wrong(join=lambda r: r.T @ r), "places with places"),
    (
        style_transfer.gram,
        gram_wrong(lambda x: x.flatten(2)[0] - x.flatten(2)[0].mean(1, keepdim=True)),
        "covariance",
    ),
    (style_transfer.gram, gram_wrong(join=torch.cov, size=lambda r: 1), "covariance"),
    (style_transfer.gram, gram_wrong(join=torch.corrcoef, size=lambda r: 1), "correlation"),
    (
        style_transfer.gram,
        lambda x: x.mean((2, 3)).T @ x.mean((2, 3)),
        "averaged over the places first",
    ),
    (
        style_transfer.gram,
        lambda x: gram_wrong(lambda x: x.reshape(-1, x.shape[1]).T)(x),
        "cuts channels apart",
    ),
    (style_transfer.gram, lambda x: style.gram(x).sqrt(), "took a root"),
    (style_transfer.gram, lambda x: style.gram(x)[None], "without the batch's axis"),
    (style_transfer.gram, lambda x: 2 * style.gram(x), "off by up to"),
    (style_transfer.gram, lambda x: style.gram(x.detach()), "cut off from the activation"),
    (style_transfer.gram, lambda x: torch.from_numpy(x.numpy()), "stopped with RuntimeError"),
    (style_transfer.gram, lambda x: style.gram(x.mul_(2)), "changed the activation itself"),
    (style_transfer.style_loss, style_wrong(join=sum), "three times too large"),
    (
        style_transfer.style_loss,
        style_wrong(lambda g, a: (g - a).square().mean()),
        "four times too large",
    ),
    (
        style_transfer.style_loss,
        style_wrong(lambda g, a: (g - a).square().mean(), sum),
        "four times, and once",
    ),
    (
        style_transfer.style_loss,
        style_wrong(lambda g, a: (g - a).square().sum()),
        "drown the others",
    ),
    (
        style_transfer.style_loss,
        style_wrong(lambda g, a: (g - a).square().sum(), sum),
        "neither divided",
    ),
    (
        style_transfer.style_loss,
        style_wrong(lambda g, a: (g - a).square().sum() / (4 * len(g))),
        "the paper by 4 C²",
    ),
    (style_transfer.style_loss, style_wrong(join=lambda z: -sum(z) / 3), "the sign is turned"),
    (style_transfer.style_loss, style_wrong(join=lambda z: z[0]), "only the first layer"),
    (style_transfer.style_loss, style_wrong(join=lambda z: z[2]), "only the last layer"),
    (style_transfer.style_loss, style_wrong(join=lambda z: (sum(z) / 3).sqrt()), "took a root"),
    (
        style_transfer.style_loss,
        style_wrong(lambda g, a: (g - a).abs().sum() / (4 * len(g) ** 2)),
        "absolute values",
    ),
    (
        style_transfer.style_loss,
        style_wrong(lambda g, a: (g - a).sum().square() / (4 * len(g) ** 2)),
        "squared the sum",
    ),
    (style_transfer.style_loss, style_wrong(join=torch.stack), "a number a layer"),
    (style_transfer.style_loss, style_wrong(join=lambda z: (sum(z) / 3).item()), "no .item"),
    (
        style_transfer.style_loss,
        style_wrong(join=lambda z: (sum(z) / 3).detach()),
        "no gradient flows back",
    ),
    (style_transfer.style_loss, style_wrong(join=lambda z: 3 * sum(z)), "your loss is"),
    (
        style_transfer.style_loss,
        style_wrong(join=lambda z: (z[0] + z[1].detach() + z[2]) / 3),
        "of the matrices are cut off",
    ),
    (
        style_transfer.style_loss,
        style_wrong(join=lambda z: torch.tensor(sum(z).item() / 3, requires_grad=True)),
        "are cut off",
    ),
    (
        style_transfer.style_loss,
        style_wrong(lambda g, a: style.style_loss([g.data.sub_(a)], [g.data])),
        "changed its matrices",
    ),
    (style_transfer.scattered, lambda x: x.clone(), "that is what came"),
    (style_transfer.scattered, lambda x: -x, "true, turning signs keeps"),
    (style_transfer.scattered, lambda x: x - 1, "some of your numbers are below 0"),
    (
        style_transfer.scattered,
        lambda x: x[:, torch.arange(x.shape[1]).roll(1)],
        "you moved the channels",
    ),
    (style_transfer.scattered, each_by_itself, "shuffled by itself"),
    (
        style_transfer.scattered,
        lambda x: x.flatten()[torch.randperm(x.numel())].view_as(x),
        "no place kept its own together",
    ),
    (
        style_transfer.scattered,
        lambda x: torch.cat([x[:, :, :1].flip(3), x[:, :, 1:]], 2),
        "of the places hold other numbers",
    ),
    (style_transfer.scattered, lambda x: x.transpose(2, 3), "has shape"),
    (style_transfer.scattered, lambda x: x * 1.0001, "of the places hold other numbers"),
    (style_transfer.scattered, torch.rand_like, "its Gram matrix is another"),
    (style_transfer.scattered, lambda x: 2 * x, "its Gram matrix is another"),
    (style_transfer.scattered, lambda x: x.copy_(x.flip(3)), "changed the activation itself"),
]


def halves(both):
    """A score made of the two halves and the bits."""
    return lambda fired, alarms: both(
        fired[:, alarms].mean(1), (~fired[:, ~alarms]).mean(1), fired, alarms
    )


def spoilt(fired, alarms):
    fired[:, ~alarms] = ~fired[:, ~alarms]
    return (fired[:, alarms].mean(1) + fired[:, ~alarms].mean(1)) / 2


def hoeffding_wrong(
    log=lambda count, delta: math.log(2 * count / delta),
    per=lambda eps: 2 * eps**2,
    whole=math.ceil,
):
    return lambda eps, count, delta: whole(log(count, delta) / per(eps))


def world_wrong(
    red=lambda debt, income, dice: (debt == "high") & (income == "low"),
    debts=("high", "low"),
    incomes=("high", "low"),
    colours=("red", "black"),
    **changed,
):
    """A world with one thing wrong. red: debt, income, dice -> who wears red shoes."""

    def world(n, dice):
        debt = dice.choice(debts, n)
        income = dice.choice(incomes, n)
        rows = {
            "debt": debt,
            "income": income,
            "shoes": np.where(red(debt, income, dice), *colours),
        }
        return pd.DataFrame(rows).rename(columns=changed)

    return world


WRONG += [
    (
        explaining_systems.score,
        lambda f, a: (f == a).mean(1),
        "the plain share of agreement.*never holds gets 0",
    ),
    (explaining_systems.score, halves(lambda c, q, f, a: c), "the alarms caught only"),
    (explaining_systems.score, halves(lambda c, q, f, a: q), "the quiet left alone only"),
    (explaining_systems.score, halves(lambda c, q, f, a: c + q), "go up to 2"),
    (
        explaining_systems.score,
        halves(lambda c, q, f, a: (c + 1 - q) / 2),
        "in the quiet you count where the rule holds",
    ),
    (explaining_systems.score, halves(lambda c, q, f, a: 1 - (c + q) / 2), "upside down"),
    (explaining_systems.score, halves(lambda c, q, f, a: c * q), "multiply the two halves"),
    (
        explaining_systems.score,
        lambda f, a: ((f & a).mean(1) + (~f & ~a).mean(1)) / 2,
        "divided by all inputs",
    ),
    (
        explaining_systems.score,
        halves(lambda c, q, f, a: ((f & a).sum(1) / np.maximum(f.sum(1), 1) + q) / 2),
        "rows that are alarms",
    ),
    (explaining_systems.score, halves(lambda c, q, f, a: c + q - 1), "from −1 to 1"),
    (
        explaining_systems.draws_needed,
        lambda eps, count, delta: count * math.ceil(math.log(2 / delta) / (2 * eps**2)),
        "you multiply the draws by count",
    ),
    (
        explaining_systems.draws_needed,
        hoeffding_wrong(lambda count, delta: math.log(delta / 2 / count), whole=math.floor),
        "the sign is turned",
    ),
    (
        explaining_systems.score,
        halves(lambda c, q, f, a: np.sqrt(c * q)),
        "% of the quiet alone has 0.*you give it",
    ),
    (explaining_systems.score, halves(lambda c, q, f, a: ((c + q) / 2).mean()), "has shape"),
    (explaining_systems.score, spoilt, "changed fired itself"),
    (
        explaining_systems.draws_needed,
        hoeffding_wrong(lambda count, delta: math.log(2 / delta)),
        "enough for one rule",
    ),
    (
        explaining_systems.draws_needed,
        hoeffding_wrong(lambda count, delta: math.log(count / delta)),
        "on either side",
    ),
    (explaining_systems.draws_needed, hoeffding_wrong(per=lambda eps: eps**2), "twice too many"),
    (explaining_systems.draws_needed, hoeffding_wrong(per=lambda eps: 2 * eps), "not by ε²"),
    (
        explaining_systems.draws_needed,
        hoeffding_wrong(lambda count, delta: count * math.log(2 / delta)),
        "multiply the draws",
    ),
    (
        explaining_systems.draws_needed,
        hoeffding_wrong(lambda count, delta: math.log10(2 * count / delta)),
        "natural logarithm",
    ),
    (explaining_systems.draws_needed, hoeffding_wrong(whole=float), "cannot be made. Round up"),
    (explaining_systems.draws_needed, hoeffding_wrong(whole=math.floor), "Round up: math.ceil"),
    (explaining_systems.draws_needed, lambda eps, count, delta: 1000, "are wanted; you say 1,000"),
    (
        explaining_systems.red_shoes,
        world_wrong(lambda debt, income, dice: dice.random(len(debt)) < 0.5),
        "0.95 is wanted",
    ),
    (
        explaining_systems.red_shoes,
        world_wrong(lambda debt, income, dice: debt == "high"),
        "0.95 is wanted",
    ),
    (explaining_systems.red_shoes, world_wrong(colours=("black", "red")), "colours exchanged"),
    (
        explaining_systems.red_shoes,
        world_wrong(incomes=("low",)),
        '"debt is high" scores 1.00, as good as the shoes',
    ),
    (
        explaining_systems.red_shoes,
        world_wrong(debts=("high",)),
        '"income is low" scores 1.00, as good',
    ),
    (explaining_systems.red_shoes, world_wrong(debts=("low",)), "rings for 0% of your customers"),
    (
        explaining_systems.red_shoes,
        world_wrong(debts=("high",), incomes=("low",)),
        "rings for 100% of your customers",
    ),
    (
        explaining_systems.red_shoes,
        world_wrong(colours=("Red", "black")),
        "shoes is 'Red' in one of your rows; black or red",
    ),
    (explaining_systems.red_shoes, world_wrong(shoes="hats"), "debt, income and shoes are wanted"),
    (
        explaining_systems.red_shoes,
        lambda n, dice: world_wrong()(10, dice),
        "n was 2000, and 10 rows came",
    ),
]


def last_that_holds(met, rows):
    line = np.full(rows, len(met))
    for place, rule in enumerate(met):
        line[rule] = place
    return line


def in_place(met, rows):
    left = np.ones(rows, dtype=bool)
    line = np.full(rows, len(met))
    for place, rule in enumerate(met):
        rule &= left
        left &= ~rule
        line[rule] = place
    return line


def loop_of_rows(met, rows):
    return [next((j for j in range(len(met)) if met[j][i]), len(met)) for i in range(rows)]


def lgammas(counts, plus=1, last=0):
    return sum(math.lgamma(n + plus) for n in counts) - math.lgamma(
        sum(counts) + len(counts) - last
    )


def mixing(split=True, root=True, within=1, between=1, stay=True, times=1):
    def of(chains):
        values = np.array(chains)
        if split:
            values = values.reshape(2 * len(values), -1)
        n = values.shape[1]
        ratio = (n - 1) / n * stay + times * values.mean(1).var(ddof=between) / values.var(
            1, ddof=within
        ).mean()
        return ratio ** (0.5 if root else 1)

    return of


def group_errors(mark):
    def rows(met, y):
        marked = np.zeros(len(y), dtype=bool)
        _, group = np.unique(met, axis=1, return_inverse=True)
        for number in set(group):
            rows = np.flatnonzero(group == number)
            marked[mark(rows, y[rows], int(y[rows].mean() < 0.5))] = True
        return marked

    return rows


WRONG += [
    (rule_lists.first_that_holds, last_that_holds, "the last one; the first decides"),
    (
        rule_lists.first_that_holds,
        lambda met, rows: rules.first_that_holds(met, rows) + 1,
        "from 1; the first is 0",
    ),
    (
        rule_lists.first_that_holds,
        lambda met, rows: np.array(met).argmax(0),
        "gets 0, as if the first held",
    ),
    (
        rule_lists.first_that_holds,
        lambda met, rows: np.where(np.any(met, axis=0), np.argmax(met, axis=0), -1),
        "gets -1",
    ),
    (
        rule_lists.first_that_holds,
        lambda met, rows: np.sum(met, axis=0),
        "you count how many|the last one|gets 0",
    ),
    (rule_lists.first_that_holds, in_place, "changed met itself"),
    (
        rule_lists.first_that_holds,
        lambda met, rows: np.minimum(rules.first_that_holds(met, rows), len(met) - 1),
        "gets the last rule's number|gets 0, as if the first",
    ),
    (
        rule_lists.first_that_holds,
        lambda met, rows: rules.first_that_holds(met, rows)[:3],
        "has shape",
    ),
    (rule_lists.first_that_holds, lambda met, rows: np.array([None] * rows), "no numbers"),
    (rule_lists.first_that_holds, lambda met, rows: [[1], 2], "is a list"),
    (
        rule_lists.evidence,
        lambda counts: math.exp(rules.evidence(counts)),
        "its logarithm is wanted",
    ),
    (rule_lists.evidence, lambda counts: -rules.evidence(counts), "the sign is turned"),
    (
        rule_lists.evidence,
        lambda counts: -math.log(sum(counts) + 1) if len(counts) == 2 else 0,
        "orders in which",
    ),
    (
        rule_lists.evidence,
        lambda counts: sum(n * math.log(n / sum(counts)) for n in counts if n),
        "takes the best chance",
    ),
    (rule_lists.evidence, lgammas, "log .K − 1.! is missing"),
    (rule_lists.evidence, lambda counts: lgammas(counts, last=len(counts) - 1), "one too small"),
    (
        rule_lists.evidence,
        lambda counts: sum(math.lgamma(n) for n in counts if n) - math.lgamma(sum(counts) or 1),
        "take lgamma",
    ),
    (
        rule_lists.evidence,
        lambda counts: (
            np.log(
                np.prod([float(math.prod(range(1, n + 1))) if n < 171 else np.inf for n in counts])
            )
            - math.lgamma(sum(counts) + 2)
        ),
        "outgrow a float",
    ),
    (
        rule_lists.evidence,
        lambda counts: math.log(
            math.prod(map(math.factorial, counts)) / math.factorial(sum(counts) + len(counts) - 1)
        ),
        "outgrow a float",
    ),
    (rule_lists.evidence, lambda counts: 1.0, r"it is .*and yours is 1\.0000"),
    (rule_lists.r_hat, mixing(split=False), "split each in two"),
    (rule_lists.r_hat, mixing(root=False), "the root is missing"),
    (rule_lists.r_hat, mixing(within=0, between=0), "divide by n − 1"),
    (rule_lists.r_hat, mixing(between=0), "variance of the means is divided by their number"),
    (rule_lists.r_hat, mixing(within=0), "variances within are divided by n;"),
    (rule_lists.r_hat, mixing(stay=False), "to give 1, not 0"),
    (rule_lists.r_hat, mixing(stay=39 / 38), "you take that of a whole chain"),
    (rule_lists.r_hat, mixing(times=20), "half is one factor too many"),
    (rule_lists.r_hat, lambda chains: np.array(chains).std(), "it is .*yours is"),
    (rule_lists.r_hat, lambda chains: np.array(chains).mean(1), "has shape"),
    (
        rule_lists.unavoidable_errors,
        group_errors(lambda rows, y, rare: rows if 0 < y.mean() < 1 else []),
        "mark all rows of a mixed group",
    ),
    (
        rule_lists.unavoidable_errors,
        group_errors(lambda rows, y, rare: rows[y != rare]),
        "the commoner label",
    ),
    (
        rule_lists.unavoidable_errors,
        lambda met, y: rules.unavoidable_errors(met[:1], y),
        "alike in all of met|the commoner label of each",
    ),
    (
        rule_lists.unavoidable_errors,
        lambda met, y: int(rules.unavoidable_errors(met, y).sum()),
        "you return a number",
    ),
    (rule_lists.unavoidable_errors, lambda met, y: y == 1, "you mark"),
    (
        rule_lists.unavoidable_errors,
        lambda met, y: 2 * rules.unavoidable_errors(met, y),
        "holds 2; each row is marked",
    ),
    (
        rule_lists.unavoidable_errors,
        group_errors(lambda rows, y, rare: rows[y == rare] if y.mean() != 0.5 else []),
        "In a tie too any one answer is wrong for half",
    ),
    (
        rule_lists.unavoidable_errors,
        lambda met, y: rules.unavoidable_errors(met, y)[:5],
        "has shape",
    ),
]

RIGHT = [
    (rule_lists.first_that_holds, loop_of_rows),
    (rule_lists.first_that_holds, lambda met, rows: np.vstack([*met, np.ones(rows)]).argmax(0)),
    (rule_lists.first_that_holds, lambda met, rows: np.select(met, range(len(met)), len(met))),
    (
        rule_lists.evidence,
        lambda counts: (
            math.log(math.prod(map(math.factorial, counts)) * math.factorial(len(counts) - 1))
            - math.log(math.factorial(sum(counts) + len(counts) - 1))
        ),
    ),
    (rule_lists.r_hat, lambda chains: float(torch.tensor(rules.r_hat(chains)))),
    (rule_lists.unavoidable_errors, group_errors(lambda rows, y, rare: rows[y == rare])),
    (rule_lists.unavoidable_errors, lambda met, y: list(rules.unavoidable_errors(met, y))),
    (style_transfer.gram, lambda x: torch.einsum("bchw,bdhw->cd", x, x) / x.shape[2] / x.shape[3]),
    (style_transfer.gram, lambda x: (x[0, :, None] * x[0]).mean((2, 3))),
    (style_transfer.gram, lambda x: style.gram(x.double())),
    (
        style_transfer.gram,
        lambda x: torch.stack([torch.stack([(a * b).mean() for b in x[0]]) for a in x[0]]),
    ),
    (style_transfer.style_loss, style_wrong(lambda g, a: (g - a).square().mean() / 4)),
    (style_transfer.style_loss, style_wrong(lambda g, a: F.mse_loss(g, a) / 4)),
    (
        style_transfer.style_loss,
        style_wrong(lambda g, a: ((g - a).double().norm() / (2 * len(g))) ** 2),
    ),
    (style_transfer.scattered, lambda x: x.flip(2)),
    (style_transfer.scattered, lambda x: x.flip(2, 3).double()),
    (style_transfer.scattered, lambda x: x.roll((1, 2), (2, 3))),
    (style_transfer.scattered, lambda x: x[:, :, torch.randperm(x.shape[2]).roll(1)].flip(3)),
    (
        liming.nearness,
        lambda z, width: np.exp(-(((1 - z.sum(1) / np.sqrt(z.sum(1) * z.shape[1])) / width) ** 2)),
    ),
    (liming.nearness, lambda z, width: torch.tensor(lime.nearness(z, width=width)).float()),
    (liming.weighted_ridge, ridge_by_sklearn),
    (liming.weighted_ridge, ridge_by_lstsq),
    (liming.hide, hide_by_loops),
    (liming.hide, lambda x, s, z, c: (z[:, s][:, None] * x + ~z[:, s][:, None] * c).double()),
    (liming.pick, lambda w, n: np.array(lime.pick(-w, budget=n))),
    (liming.pick, pick_anew),
    (liming.liar, liar_of_booleans),
    (liming.liar, lambda f: lime.liar(f)[:, ::-1]),
    (
        explaining_systems.score,
        halves(lambda c, q, f, a: [(x + y) / 2 for x, y in zip(c, q, strict=True)]),
    ),
    (explaining_systems.score, halves(lambda c, q, f, a: (1 + c - f[:, ~a].mean(1)) / 2)),
    (
        explaining_systems.score,
        lambda f, a: torch.as_tensor([(r[a].mean() + 1 - r[~a].mean()) / 2 for r in f]),
    ),
    (
        explaining_systems.score,
        lambda f, a: np.average(f == a, axis=1, weights=np.where(a, 1 / a.sum(), 1 / (~a).sum())),
    ),
    (
        explaining_systems.draws_needed,
        lambda eps, count, delta: int(np.ceil(np.log(2 * count / delta) / 2 / eps**2)),
    ),
    (
        explaining_systems.draws_needed,
        hoeffding_wrong(lambda count, delta: np.log(2) - np.log(delta / count), whole=np.ceil),
    ),
    (explaining_systems.red_shoes, world_wrong(debts=("high", "low", "low"))),
    (
        explaining_systems.red_shoes,
        world_wrong(
            lambda debt, income, dice: (
                ((debt == "high") & (income == "low")) ^ (dice.random(len(debt)) < 0.02)
            )
        ),
    ),
    (
        explaining_systems.red_shoes,
        lambda n, dice: world_wrong()(n, dice).sample(frac=1, random_state=1),
    ),
]


def test_no_exercise_is_forgotten():
    assert {exercise for exercise, _, _ in WRONG} == set(EXERCISES)


@pytest.mark.parametrize(("exercise", "function"), RIGHT)
def test_another_right_way_is_right(exercise, function):
    for seed in range(10):
        torch.manual_seed(seed)
        verdict = exercise.judge(yours(function))
        assert verdict.right, verdict.sentence


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_the_answer_is_right_every_time(exercise):
    for seed in range(30):
        torch.manual_seed(seed)  # a judgement puts it back, and all would be the same
        verdict = exercise.judge(yours(exercise.answer))
        assert verdict.right and verdict.sentence.startswith("right. "), verdict.sentence


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    for seed in range(5):
        torch.manual_seed(seed)
        right, said = exercise.judge(yours(function))
        assert not right and re.search(says, said), said
        # The sentence for an error quotes the line that raised it, and so this table.
        assert "stopped with" in says or not said.startswith("it stopped with"), said


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_odd_answers_never_raise(exercise, capsys):
    def said(answer):
        verdict = exercise.judge(answer)
        assert not verdict.right
        return verdict.sentence

    assert said(None).startswith("not written yet. ") == said(...).startswith("not written yet. ")
    assert said(lambda *a: None).startswith("not written yet: it returns nothing")
    assert "function's name, without brackets" in said(torch.zeros(3))
    assert "the course's own function" in said(exercise.answer)
    assert "a str" in said(lambda *a: "five")
    assert "has shape" in said(lambda *a: torch.zeros(7, 7, 7))
    assert "TypeError" in said(lambda: 1)
    assert inspect.unwrap(exercise(lambda *a: None)) is inspect.unwrap(exercise.answer)
    mine = yours(exercise.answer)
    assert exercise(mine) is mine
    capsys.readouterr()
    for _ in exercise.hints:
        exercise.hint()
    exercise.hint()
    printed = capsys.readouterr().out
    assert all(hint in printed for hint in exercise.hints) and "last hint" in printed


def test_a_broken_answer_is_told_with_its_line():
    def many_steps(net, x, target, eps, steps):
        return x + undefined  # noqa: F821

    right, said = panda_to_vulture.many_steps.judge(many_steps)
    assert not right and "NameError" in said and "return x + undefined" in said


def test_a_sentence_that_begins_with_right_is_no_praise(capsys):
    def sign_step(model, images, labels, eps):
        return adding_up(model, images, labels, eps)

    handed = explaining.sign_step(sign_step)
    assert "sign_step: right the first time; but" in capsys.readouterr().out
    assert inspect.unwrap(handed) is goodfellow2015.sign_step


def test_a_check_leaves_the_learners_dice_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    panda_to_vulture.one_step.judge(yours(attacks.one_step))
    assert torch.equal(torch.rand(2), expected)


def test_the_solution_is_the_packages_source(capsys):
    linear_classifiers.nudge.solution()
    assert "return x + eps * weights.sign()" in capsys.readouterr().out
    assert (
        start_here.magnified.answer is plots.magnified
        and panda_to_vulture.as_saved.answer is data.as_saved
    )


X = torch.tensor([0.5, -2.0, 1.0])
W = torch.tensor([1.0, -1.0, 2.0])
NUDGED = torch.tensor([0.6, -2.1, 1.1])


def nudge_renamed(numbers, slopes, size):
    return numbers + size * slopes.sign()


def nudge_copied(x, weights, *, eps):
    return x + eps * weights.sign()


class Nudge:
    def __call__(self, x, weights, eps):
        return nudge_renamed(x, weights, eps)

    def method(self, x, weights, *, eps):
        return nudge_copied(x, weights, eps=eps)


def nudge_with_more(x, weights, eps, scale):
    return x + scale * eps * weights.sign()


RIGHT_NUDGES = {
    "renamed": nudge_renamed,
    "copied": nudge_copied,
    "lambda": lambda *a: nudge_renamed(*a),
    "partial": functools.partial(nudge_with_more, scale=1),
    "partial of a copy": functools.partial(nudge_copied, eps=None),
    "object": Nudge(),
    "method": Nudge().method,
    "wrapped": functools.wraps(nudge_copied)(lambda *a, **k: nudge_copied(*a, **k)),
}


@pytest.mark.parametrize("nudge", RIGHT_NUDGES.values(), ids=RIGHT_NUDGES)
def test_a_right_answer_is_handed_back_and_goes_on_by_place(nudge):
    handed = linear_classifiers.nudge(nudge)
    assert inspect.unwrap(handed) is inspect.unwrap(nudge)
    assert torch.allclose(handed(X, W, 0.1), NUDGED)


def test_a_builtin_may_be_an_answer():
    assert not linear_classifiers.nudge.judge(torch.sign).right
    assert torch.allclose(linear_classifiers.nudge(torch.sign)(X, W, 0.1), NUDGED)
    assert not linear_classifiers.nudge.judge(math.hypot).right


@pytest.mark.parametrize(
    "nudge",
    [
        functools.partial(nudge_with_more, scale=2),
        functools.partial(nudge_with_more, scale=2).func,
        Nudge().__call__.__func__,
        lambda *a: None,
        lambda **k: None,
        lambda x, weights, eps: None,
        lambda x, weights, *, eps: None,
    ],
)
def test_whatever_was_wrong_the_cells_go_on_with_the_courses_function(nudge):
    handed = linear_classifiers.nudge(nudge)
    assert inspect.unwrap(handed) is linear.nudge
    if len(inspect.signature(nudge).parameters) == 3:
        assert torch.allclose(handed(X, W, 0.1), NUDGED)


def test_a_wrong_answers_names_and_defaults_stay():
    def nudge(numbers, slopes, size=0.1):
        return numbers

    handed = linear_classifiers.nudge(nudge)
    assert str(inspect.signature(handed)) == "(numbers, slopes, size=0.1)"
    assert torch.allclose(handed(X, slopes=W), NUDGED)
    assert torch.allclose(handed(slopes=W, numbers=X, size=0.2), X + 0.2 * W.sign())


def test_a_wrong_answer_with_an_option_of_its_own_goes_on_too():
    def nudge(x, weights, eps, twice=False):
        return x

    handed = linear_classifiers.nudge(nudge)
    assert torch.allclose(handed(X, W, 0.1), NUDGED)


def test_a_wrong_answer_takes_no_more_than_it_says():
    def sign_step(model, images, labels, eps):
        return images

    handed = explaining.sign_step(sign_step)  # the course's takes a loss as well
    model = torch.nn.Linear(4, 3)
    images = torch.rand(2, 4)
    labels = torch.tensor([0, 2])
    moved = goodfellow2015.sign_step(model, images, labels, eps=0.1)
    assert torch.equal(handed(model, images, labels, 0.1), moved)
    assert torch.equal(handed(model, images, labels, eps=0.1), moved)
    stub = re.escape("sign_step(model, images, labels, eps)")
    with pytest.raises(TypeError, match=f"{stub}: too many positional"):
        handed(model, images, labels, 0.1, F.mse_loss)
    with pytest.raises(TypeError, match=f"{stub}: .*unexpected keyword argument 'loss'"):
        handed(model, images, labels, 0.1, loss=F.mse_loss)
    with pytest.raises(TypeError, match=f"{stub}: missing .*'eps'"):
        handed(model, images, labels)


def test_what_was_handed_back_is_not_taken_for_the_learners():
    handed = linear_classifiers.nudge(lambda x, weights, eps: x)
    for own in (handed, linear_classifiers.nudge.by_place, linear.nudge):
        assert "the course's own function" in linear_classifiers.nudge.judge(own).sentence


def test_by_place_gives_no_argument_twice_and_loses_none():
    placed = check.by_place(nudge_copied)
    assert torch.equal(placed(X, W, 0.1), placed(X, weights=W, eps=0.1))
    with pytest.raises(TypeError, match="nudge_copied"):
        placed(X, W, 0.1, 3)
    with pytest.raises(TypeError, match="multiple values"):
        placed(X, W, 0.1, eps=0.1)
    for as_it_is in (nudge_renamed, torch.sign, print, lambda *a, k=1: a):
        assert check.by_place(as_it_is) is as_it_is


def test_what_came_is_told_by_kind_shape_and_size():
    known = {"a number": [float, ()], "too many": (3,)}
    like = torch.zeros(2)
    assert check.shaped(torch.ones(2), like, known=known) is None
    assert check.shaped(0.5, like, known=known) == "a number"
    assert check.shaped(torch.tensor(0.5), like, known=known) == "a number"
    assert check.shaped(torch.ones(3), like, known=known) == "too many"
    assert check.shaped(torch.ones(4), like) == "your result has shape (4,); (2,) is wanted."
    assert "is a ndarray; a tensor of shape (2,)" in check.shaped(np.ones(2), like, known=known)
    assert "not finite" in check.shaped(torch.tensor([0.0, torch.nan]), like)
    assert check.shaped(torch.ones(2), np.zeros(2)) is None
    assert "is a list; an array of shape (2,)" in check.shaped([[1], 2], np.zeros(2))
    assert "no numbers" in check.shaped(np.array([None, None]), np.zeros(2))
    assert "not finite" in check.shaped(np.array([1.0, np.inf]), np.zeros(2))
    with pytest.raises(check.NotWritten):
        check.shaped(None, like)


def test_what_was_changed_in_place_is_told_by_its_name():
    def spoils(x, a):
        x += 1
        a.append(2)
        return x.clone()

    x = torch.zeros(2)
    with pytest.raises(check.Wrong, match=r"changed x itself\. Work on a new tensor: x \+ …, not"):
        check.called(spoils, x, [1], like=x, keeps={"x": x})
    a = [1]
    with pytest.raises(check.Wrong, match=r"changed a itself\. Work on a new array\."):
        check.called(spoils, x, a, like=x, keeps={"a": a})
    assert check.called(lambda a: a, [1, 2], like=np.zeros(2)).tolist() == [1, 2]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_what_a_hint_names_exists(exercise):
    modules = {name: getattr(trickkit, name) for name in trickkit.MODULES}
    for hint in exercise.hints:
        for module, name in re.findall(r"\b([a-z]+)\.(\w+)", hint):
            assert module not in modules or hasattr(modules[module], name), f"{module}.{name}"


def stubs(path):
    """A notebook's exercises: the stub's name and signature, the exercise's name, and the cells
    that follow."""
    code = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    cells = [ast.parse(source) for source in code]
    for place, cell in enumerate(cells, 1):
        functions = {node.name: node for node in cell.body if isinstance(node, ast.FunctionDef)}
        for node in cell.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("check."):
                name = node.targets[0].id
                stub = eval(f"lambda {ast.unparse(functions[name].args)}: None")
                yield name, inspect.signature(stub), node.value.func.attr, cells[place:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_cells_call_a_learners_function_as_its_stub_allows(path):
    """And the course's answer, which may take its place, has room for all that a stub takes."""
    answers = {e.name: e.answer for e in EXERCISES if e.lesson.replace(" ", "_", 1) == path.stem}
    found = list(stubs(path))
    assert [exercise for _, _, exercise, _ in found] == list(answers)
    for name, signature, exercise, cells in found:
        assert len(signature.parameters) <= len(inspect.signature(answers[exercise]).parameters)
        nodes = [node for cell in cells for node in ast.walk(cell)]
        assert any(isinstance(n, ast.Name) and n.id == name for n in nodes), f"{name} is not used"
        for call in (n for n in nodes if isinstance(n, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id == name:
                args = [a for a in call.args if not isinstance(a, ast.Starred)]
                kwargs = {k.arg: k.value for k in call.keywords if k.arg}
                whole = len(args) + len(kwargs) == len(call.args) + len(call.keywords)
                try:
                    (signature.bind if whole else signature.bind_partial)(*args, **kwargs)
                except TypeError as error:
                    pytest.fail(f"{ast.unparse(call)}: {error}")


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "SOLVED", set())
    monkeypatch.setenv("TRICKKIT_PROGRESS", str(tmp_path / "new" / "progress.json"))
    return tmp_path / "new" / "progress.json"


def test_progress_is_kept_and_drawn(file, capsys):
    linear_classifiers.nudge(yours(linear.nudge))
    assert "right. 1 of 3 in this lesson." in capsys.readouterr().out
    assert json.loads(file.read_text()) == ["02 linear_classifiers/nudge"]
    check.SOLVED.clear()  # a new kernel
    linear_classifiers.shortest(yours(linear.shortest))
    assert "2 of 3" in capsys.readouterr().out
    check.progress()
    assert "■■□" in capsys.readouterr().out


@pytest.mark.parametrize(
    "damage", [b"", b"{half", b"\xff\xfe\x00", b"3", b"null", b'[1, {"a": 2}]']
)
def test_a_damaged_file_harms_nothing(file, damage, capsys):
    file.parent.mkdir()
    file.write_bytes(damage)
    check.progress()
    linear_classifiers.nudge(yours(linear.nudge))
    assert "right. 1 of 3" in capsys.readouterr().out
    assert "02 linear_classifiers/nudge" in json.loads(file.read_text())


def test_a_file_that_cannot_be_written_is_told(file, capsys):
    file.parent.write_text("a file where the folder should be")
    linear_classifiers.nudge(yours(linear.nudge))
    assert "could not be written down" in capsys.readouterr().out
    assert stat.S_ISREG(os.stat(file.parent).st_mode)


def test_nothing_is_written_while_notebooks_are_tested():
    assert os.environ["TRICKKIT_PROGRESS"] == "" and check.progress_file() is None
    assert check.remember("a/b") == ""
    check.SOLVED.discard("a/b")
