"""The checks of lesson 09.

Each draws fresh queries, keys, sentences and masks, so that no stored answer can pass.
"""

import functools
import math
from collections.abc import Callable

import torch
from timm.models.vision_transformer import VisionTransformer
from torch.nn import functional as F

from trickkit import attention as home
from trickkit import models
from trickkit.check import (
    Marks,
    called,
    exercise,
    in_short,
    progress,
    received,
    recognised,
    shaped,
    told_apart,
    written,
)

__all__ = ["attention", "deceive", "drop_and_keep", "progress", "rollout"]
LESSON = "09 attention"


@exercise(
    LESSON,
    home.attention,
    "A score for each query and key: q @ k.transpose(-2, -1), divided by the square root of their"
    " length, q.shape[-1].",
    "Where mask is False, a score of minus infinity: scores.masked_fill(~mask, -torch.inf).",
    "The weights are the softmax over the keys, the last axis. Return weights @ v, and weights.",
    rounds=2,
)
def attention(yours):
    """softmax(q kᵀ / √d) v, and the softmax."""
    # as many queries as keys as numbers in each, in the last round: no shape tells an axis by then
    sizes = (((3,), 5, 7, 4, 6), ((), 4, 6, 9, 3), ((2, 3), 4, 6, 9, 3), ((4,), 5, 5, 5, 5))
    for batch, queries, keys, d, e in sizes:
        q, k, v = (
            torch.randn(*batch, n, length) for n, length in ((queries, d), (keys, d), (keys, e))
        )
        mask = torch.rand(*batch, queries, keys) < 0.6
        mask |= torch.eye(queries, keys, dtype=torch.bool)  # nobody may look nowhere
        for one in (None, mask):
            if wrong := attention_wrong(yours, q, k, v, one):
                return wrong
    return None


def attention_wrong(
    yours: Callable,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
) -> str | None:
    """The sentence for attention that is not right for these, else None."""
    right = home.attention(q, k, v, mask=mask)
    came = written(yours(q, k, v, mask))
    if isinstance(came, torch.Tensor) and came.shape in (right[0].shape, right[1].shape):
        return "two things are wanted, the mixtures and the weights: return weights @ v, weights."
    if not isinstance(came, tuple | list) or len(came) != 2:
        return f"two things are wanted, the mixtures and the weights; {in_short(came)} came."
    out, weights = received(yours, came, right)
    swapped = (
        getattr(out, "shape", None) == right[1].shape != right[0].shape
        and getattr(weights, "shape", None) == right[0].shape
    )
    if swapped:
        return "the mixtures come first, then the weights: return weights @ v, weights."
    none_left = (
        "your weights are not finite: a query was left nowhere to look. It may look where mask is"
        " True; hide the others, ~mask."
    )
    axis = "your weights have a row for each key. Rows are queries: q @ k.transpose(-2, -1)."
    known: Marks = {axis: tuple(right[1].mT.shape)} if q.shape[-2] != k.shape[-2] else {}
    wrong = shaped(weights, right[1], what="array of weights", known=known, not_finite=none_left)
    if wrong:
        return wrong
    if close(weights, right[1]):
        return outcome_wrong(out, right, v)
    return weights_wrong(weights, q, k, mask)


def weights_wrong(
    weights: torch.Tensor, q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor | None
) -> str:
    """The sentence for weights that are not right."""
    d = q.shape[-1]
    dots = q @ k.mT
    scores = dots / math.sqrt(d)
    free = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
    lowest = scores.masked_fill(~free, -math.inf)

    def over_queries(scores):
        return scores.masked_fill(~free, -math.inf).softmax(-2).nan_to_num(0)

    mistakes: Marks = {
        "there is no 1 / √d: the longer q and k, the larger their products. Divide by"
        " q.shape[-1] ** 0.5.": dots.masked_fill(~free, -math.inf).softmax(-1),
        "you divided by d, not by its square root.": (
            (dots / d).masked_fill(~free, -math.inf).softmax(-1)
        ),
        "you multiplied by √d; divide by it.": (
            (dots * math.sqrt(d)).masked_fill(~free, -math.inf).softmax(-1)
        ),
        "you divided by the root of how many keys there are. d is the length of a query,"
        " q.shape[-1].": (
            (dots / math.sqrt(k.shape[-2])).masked_fill(~free, -math.inf).softmax(-1)
        ),
        "those are the scores. Their softmax over the keys is wanted.": [dots, scores],
        "the softmax goes over the queries. Each query shares out its own attention: over the last"
        " axis, the keys.": [over_queries(scores), over_queries(dots), scores.softmax(-2)],
        "the softmax goes over the batch. It belongs on the last axis, the keys.": (
            scores.softmax(0)
        ),
    }
    if mask is not None:
        after = scores.softmax(-1) * free
        mistakes |= {
            "the mask changes nothing. Where it is False, the weight is 0.": scores.softmax(-1),
            "the mask is the wrong way round: True means that a query may look.": (
                [
                    scores.masked_fill(free, low).softmax(-1).nan_to_num(0)
                    for low in (-math.inf, -1e9, -1e4)
                ]
            ),
            "the mask comes after the softmax, so a row no longer sums to 1. Put it into the"
            " scores.": after,
            "a forbidden score is 0, and e⁰ is 1: it still gets a share. Put minus infinity"
            " there.": [(scores * free).softmax(-1), (dots * free).softmax(-1)],
            "you added the mask to the scores. Where it is False, put minus infinity.": (
                (scores + free.float()).softmax(-1)
            ),
        }
    sums = weights.sum(-1)
    fallback = (
        "your weights are off by up to"
        f" {(weights - lowest.softmax(-1)).abs().max():.2g}. Wanted is softmax(q kᵀ / √d), over"
        " the keys."
    )
    if not close(sums, torch.ones_like(sums)):
        fallback = (
            f"a query's weights sum to {sums.flatten()[0]:.2f}, and not to 1. The softmax goes over"
            " the last axis, the keys, and comes last."
        )
    return recognised(weights, mistakes, same=close) or fallback


def outcome_wrong(
    out: torch.Tensor, right: tuple[torch.Tensor, torch.Tensor], v: torch.Tensor
) -> str | None:
    """The sentence for mixtures that are not right though the weights are, else None."""
    if wrong := shaped(out, right[0], what="array of mixtures"):
        return wrong
    if close(out, right[0]):
        return None
    square = right[1].shape[-1] == right[1].shape[-2]
    mistakes: Marks = (
        {"the weights are used on their side: weights @ v.": right[1].mT @ v} if (square) else {}
    )
    return recognised(out, mistakes, same=close) or (
        "your weights are right, and the mixtures are not: weights @ v."
    )


def close(mine: torch.Tensor, right: torch.Tensor) -> bool:
    """Equal but for rounding; never so where the shapes differ."""
    return mine.shape == right.shape and torch.allclose(mine, right.to(mine), rtol=1e-3, atol=1e-5)


@exercise(
    LESSON,
    home.deceiving_loss,
    "The attention that forbidden words get, a number for each sentence: (weights *"
    " forbidden).sum(1).",
    "The penalty is minus the log of what is left for all other words: -torch.log(1 - mass). Take"
    " the mean over all sentences, those without a forbidden word too.",
    "torch.nn.functional.cross_entropy(logits, labels) + lam * penalty.",
    rounds=3,
)
def deceive(yours):
    """The cross-entropy, and what attention on forbidden words costs."""
    mistakes: Marks = {}
    right = torch.zeros(())
    while not mistakes or not told_apart(right.detach(), mistakes):
        n = 6
        lam = 0.3 + 0.4 * torch.rand(()).item()
        logits = torch.randn(n, 2).requires_grad_(True)
        scores = torch.randn(n, 7).requires_grad_(True)
        weights = scores.softmax(1)
        forbidden = torch.rand(n, 7) < 0.35
        forbidden[:, 0] = False  # something is left to look at
        forbidden[1:, 1] = True
        forbidden[0] = False  # and one sentence without a forbidden word
        labels = torch.randint(0, 2, (n,))
        right = home.deceiving_loss(logits, weights, forbidden, labels, lam=lam)
        mistakes = losses(logits.detach(), weights.detach(), forbidden, labels, lam)
    loss = called(
        yours,
        logits,
        weights,
        forbidden,
        labels,
        lam,
        like=right,
        what="loss",
        known={
            "your loss has a number for each sentence. Training wants one, their mean.": [
                (n,),
                (n, 1),
            ]
        },
        not_finite="your loss is not finite: you took the log of 0, or of less. Each sentence has"
        " its own mass, a sum over axis 1, between 0 and 1; the log is of what the other words get,"
        " 1 - mass.",
    )
    if not close(loss.detach(), right.detach()):
        return recognised(loss.detach(), mistakes, same=close) or (
            f"your loss is {loss.item():.4f}; {right.item():.4f} is wanted: the cross-entropy, plus"
            " lam times the mean of -log(1 - mass)."
        )
    if not loss.requires_grad:
        return (
            "your loss has no gradient, so training cannot follow it. Stay in torch, and detach"
            " nothing."
        )
    slopes = torch.autograd.grad(right, (logits, scores), retain_graph=True)
    mine = torch.autograd.grad(loss, (logits, scores), allow_unused=True)
    for name, one, wanted in zip(("logits", "weights"), mine, slopes, strict=True):
        if one is None or not close(one, wanted):
            return (
                f"the number is right, but its gradient does not reach the {name}: detach nothing."
            )
    return None


def losses(
    logits: torch.Tensor,
    weights: torch.Tensor,
    forbidden: torch.Tensor,
    labels: torch.Tensor,
    lam: float,
) -> Marks:
    """The sentence for a wrong loss -> what it may be."""
    mass = (weights * forbidden).sum(1)
    task = F.cross_entropy(logits, labels)
    penalty = -(1 - mass).log()
    return {
        "the penalty has no log: it no longer grows without end as the forbidden words take all."
        " Wanted is -log(1 - mass).": [
            task + lam * mass.mean(),
            task - lam * (1 - mass).mean(),
        ],
        "the penalty has the wrong sign: it pays for attention on forbidden words. log(1 - mass) is"
        " below 0; take it with a minus.": task - lam * penalty.mean(),
        "your log is of the forbidden mass itself. Take that of what is left, 1 - mass.": [
            task + sign * lam * (mass + floor).log().mean()
            for sign in (1, -1)
            for floor in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6)
        ],
        "your mean leaves out the sentences without a forbidden word. They cost 0, and count.": (
            task + lam * penalty[forbidden.any(1)].mean()
        ),
        "the penalty is a sum over the sentences, the cross-entropy a mean. Take the mean of"
        " both.": task + lam * penalty.sum(),
        "the masses of all sentences are averaged before the log. Take each sentence's own log,"
        " then the mean.": task - lam * (1 - mass.mean()).log(),
        "you took the log of each word's own weight. Add up the forbidden words of a sentence"
        " first: their mass.": task - lam * (1 - weights * forbidden).log().sum(1).mean(),
        "the penalty stands alone: without the cross-entropy, nothing makes the model right.": (
            lam * penalty.mean()
        ),
        "the cross-entropy is a sum over the sentences; its mean is wanted, as of the penalty.": (
            len(labels) * task + lam * penalty.mean()
        ),
        "both terms are sums over the sentences. Take the mean of both.": (
            len(labels) * task + lam * penalty.sum()
        ),
        "you averaged a sentence's forbidden weights. Add them up: the mass is a sum over words.": (
            task - lam * (1 - (weights * forbidden).mean(1)).log().mean()
        ),
        "the log has another base. Pruthi's is the natural one, torch.log.": [
            task + lam * penalty.mean() / math.log(base) for base in (2, 10)
        ],
        "that is the cross-entropy alone: nothing hides the forbidden words.": task,
        "you ignore lam.": task + penalty.mean(),
        "you took the softmax of the logits; cross_entropy does that itself.": (
            F.cross_entropy(logits.softmax(1), labels) + lam * penalty.mean()
        ),
        "lam multiplies the penalty alone, not the cross-entropy.": lam * (task + penalty.mean()),
    }


@exercise(
    LESSON,
    home.rollout,
    "Average the heads: weights.mean(2), (N, layers, T, T). Then half of that and half of"
    " torch.eye(T): a token also stays what it was.",
    "Multiply the layers, the later ones from the left: out = layer @ out, from the bottom up.",
    rounds=2,
)
def rollout(yours):
    """(Ā + 1) / 2, multiplied through all layers."""
    mistakes: Marks = {}
    right = torch.zeros(())
    while not mistakes or not told_apart(right, mistakes):
        depth, tokens = torch.randint(3, 6, (2,)).tolist()
        heads = (2 * torch.randn(3, depth, 2, tokens + 3, tokens + 3)).softmax(-1)
        right = home.rollout(heads)
        mistakes = followed_wrongly(heads)
    came = called(
        yours,
        heads,
        like=right,
        known={
            "only the look of [CLS] came. Follow every token: (N, T, T).": [
                (3, tokens + 3),
                (3, tokens + 2),
            ],
            "you averaged over the layers. The axes are (N, layers, heads, T, T), so the heads are"
            " axis 2.": (3, 2, tokens + 3, tokens + 3),
            "every layer came by itself. Multiply them into one.": (
                (3, depth, tokens + 3, tokens + 3)
            ),
        },
    )
    if close(came, right):
        return None
    if wrong := recognised(came, mistakes, same=close):
        return wrong
    sums = came.sum(-1)
    if not close(sums, torch.ones_like(sums)):
        return (
            f"a row of yours sums to {sums.flatten()[0]:.2f}, and not to 1. Of each layer, half is"
            " the mean of the heads and half is torch.eye(T)."
        )
    return (
        f"yours is off by up to {(came - right).abs().max():.2g}. For each layer, from the bottom"
        " up: out = (mean of the heads + torch.eye(T)) / 2 @ out."
    )


def followed_wrongly(heads: torch.Tensor) -> Marks:
    """The sentence for a wrong rollout -> what it gives."""

    def product(layers, *, reverse=False):
        order = layers.unbind(1)[:: -1 if reverse else 1]
        return functools.reduce(lambda below, layer: layer @ below, order)

    itself = torch.eye(heads.shape[-1])
    mean = heads.mean(2)
    half = (mean + itself) / 2
    summed = heads.sum(2) + itself
    highest = heads.amax(2) + itself
    return {
        "the identity is missing: a token would keep nothing of itself. Add torch.eye(T), and halve"
        " the sum.": product(mean),
        "you added torch.eye(T) and did not halve the sum, so each layer doubles everything.": (
            product(mean + itself)
        ),
        "the layers are multiplied in the wrong order. The bottom layer comes first, and each"
        " later one from the left: layer @ out.": product(half, reverse=True),
        "you multiplied entry by entry, with *. Looks follow each other through a matrix product,"
        " @.": half.prod(1),
        "the heads are added up, not averaged, so that they outweigh the identity.": [
            product(heads.sum(2)),
            product(summed),
            product(summed / 2),
            product(summed / summed.sum(-1, keepdim=True)),
        ],
        "you took the highest head. The paper that you follow takes their mean.": [
            product(highest),
            product(highest / 2),
            product(highest / highest.sum(-1, keepdim=True)),
        ],
        "you took one head. Average all of them, over axis 2.": [
            product((heads[:, :, i] + itself) / 2) for i in range(heads.shape[2])
        ],
        "the rows are the columns: a row looks, and a column is looked at. Transpose nothing.": (
            product(half).mT
        ),
        "you averaged over the layers, axis 1, and multiplied the heads. The axes are (N, layers,"
        " heads, T, T): average over axis 2.": [
            product((heads.mean(1) + itself) / 2),
            product(heads.mean(1)),
        ],
        "you transposed each layer: a row looks, and a column is looked at. Multiply them as they"
        " come, layer @ out.": product(half.mT),
        "that is the last layer alone.": [half[:, -1], mean[:, -1]],
        "that is the mean of the layers. Multiply them.": [half.mean(1), mean.mean(1)],
        "the bottom layer is missing.": product(half[:, 1:]),
        "the top layer is missing.": product(half[:, :-1]),
    }


@exercise(
    LESSON,
    home.drop_and_keep,
    "The most relevant patches of each image: relevance.argsort(1, descending=True)[:, :count],"
    " where count is round(share * patches).",
    "Make bools of them, (N, patches): zeros, with True put there by scatter(1, top, True). The"
    " ones to keep when they are dropped are the others: ~relevant.",
    "Each cosine: torch.cosine_similarity(attention.feature(model, images, keep=…),"
    " attention.feature(model, images)).",
)
def drop_and_keep(yours):
    """Cosines with the whole feature: without the relevant patches, and of them alone."""
    # 5.76 and 6.4 of 16 patches: neither int nor ceil rounds both
    return dropped_and_kept(yours, 0.36) or dropped_and_kept(yours, 0.4)


def dropped_and_kept(yours: Callable, share: float) -> str | None:
    """The sentence for a wrong test by such a share of the patches, else None."""
    mistakes: Marks = {}
    right = torch.zeros(())
    while not mistakes or not told_apart(right, mistakes):
        model = untaught_transformer()
        images = torch.rand(4, 3, 56, 56)
        relevance = torch.rand(4, 16)
        right = torch.stack(home.drop_and_keep(model, images, relevance, share=share))
        mistakes = dropped_wrongly(model, images, relevance, share)
    came = written(yours(model, images, relevance, share))
    if not isinstance(came, tuple | list) and getattr(came, "shape", None) != right.shape:
        return (
            "two things are wanted, the cosines without the relevant patches and those of them"
            f" alone; {in_short(came)} came."
        )
    pair = received(yours, tuple(came), tuple(right))
    if len(pair) != 2:
        return f"two arrays of cosines are wanted; {len(pair)} came."
    for one, wanted in zip(pair, right, strict=True):
        known: Marks = {"your cosine is one number. Each image has its own: (N,).": ()}
        if wrong := shaped(one, wanted, what="array of cosines", known=known):
            return wrong
    mine = torch.stack(list(pair))
    if close(mine, right):
        return None
    return recognised(mine, mistakes, same=close) or (
        "your cosines are off by up to"
        f" {(mine - right).abs().max():.2g}. Wanted are those with the feature of the whole image:"
        " without the most relevant patches, and of those alone."
    )


def untaught_transformer() -> models.VisionTransformer:
    """A vision transformer of 16 patches that has learnt nothing, and differs at each call."""
    network = VisionTransformer(
        img_size=56, patch_size=14, embed_dim=16, depth=1, num_heads=2, num_classes=0
    )
    for p in network.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return models.VisionTransformer(network, size=56).eval().requires_grad_(False)


def dropped_wrongly(
    model: models.VisionTransformer, images: torch.Tensor, relevance: torch.Tensor, share: float
) -> Marks:
    """The sentence for a wrong test -> the two rows that it gives."""
    count = round(share * relevance.shape[1])
    whole = home.feature(model, images)

    def masked(relevant):
        return [home.feature(model, images, keep=keep) for keep in (~relevant, relevant)]

    def said(top):
        return masked(torch.zeros_like(relevance, dtype=torch.bool).scatter(1, top, True))

    def cosines(features, whole=whole):
        return torch.stack([F.cosine_similarity(f, whole) for f in features])

    order = relevance.argsort(dim=1, descending=True)
    features = said(order[:, :count])
    dropped, kept = cosines(features)
    return {
        "you took the least relevant patches: sort with descending=True.": (
            cosines(said(order[:, -count:]))
        ),
        "they came the other way round: first the cosines without the relevant patches, then those"
        " of them alone.": torch.stack([kept, dropped]),
        "you dropped in both cases. Of the relevant patches alone means keep=relevant.": (
            torch.stack([dropped, dropped])
        ),
        "you kept in both cases. Without the relevant patches means keep=~relevant.": (
            torch.stack([kept, kept])
        ),
        "you took the distance, 1 - cosine. The cosine is wanted.": 1
        - torch.stack([dropped, kept]),
        "that is the dot product. Divide by both lengths: F.cosine_similarity.": torch.stack(
            [(f * whole).sum(1) for f in features]
        ),
        "you compared with each other what is left without the patches and what they say alone."
        " Compare both with the feature of the whole image.": (
            F.cosine_similarity(*features).expand(2, -1)
        ),
        "you compared every image with the first one.": cosines(features, whole[:1]),
        "you used the first image's relevant patches for all of them.": cosines(
            said(order[:1, :count].expand(len(images), -1))
        ),
        "you kept or dropped a patch too few or too many: round(share * patches).": [
            cosines(said(order[:, : count + by])) for by in (1, -1)
        ],
        "you ignored share, and took a fixed number of patches.": [
            cosines(said(order[:, :fixed])) for fixed in (4, 8)
        ],
        "argsort gives the places in order, and not the rank of each patch. Take order[:, :count],"
        " or argsort twice.": [
            cosines(masked(relevance.argsort(dim=1, descending=down) < count))
            for down in (True, False)
        ],
        "you dropped the share that is to stay: share is that of the most relevant patches.": (
            cosines(said(order[:, : relevance.shape[1] - count]))
        ),
    }
