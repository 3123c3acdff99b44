"""Attention: a query looks at everything at once, and takes home a weighted mean.

Scaled dot products (Vaswani et al. 2017) and the older additive attention (Bahdanau, Cho, Bengio
2014), both with the weights they used; a loss that teaches attention to hide what a model reads
(Pruthi et al. 2020); and where transformers look, followed through their layers (Abnar, Zuidema
2020) and put to the test.
"""

import functools
import math

import torch
from torch import nn
from torch.nn import functional as F

from trickkit import activations
from trickkit.common import validate_count, validate_number
from trickkit.contract import asked, described, validate_batch, validate_logits

# what the layers of attention are called in the course's transformers: timm's, and bert's
WEIGHTS = ("attn.attn_drop", "attention.weights")


def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """softmax(q kᵀ / √d) v, and the softmax itself: how much each query looks at each key.

    Vaswani et al. 2017, arXiv:1706.03762, eq. 1.

    q: queries (…, Q, d), what is looked for.
    k: keys (…, K, d), what there is to be found.
    v: values (…, K, e), what is taken home from there.
    mask: True where a query may look, (…, Q, K) or what stretches to it; None for everywhere.
    Returns the mixtures (…, Q, e), and the weights (…, Q, K), which sum to 1 over the keys.
    Raises ValueError for shapes that do not fit, a mask that does not hold booleans, and a query
        that may look nowhere.
    """
    if not q.shape[-1] == k.shape[-1] or not k.shape[-2] == v.shape[-2]:
        raise ValueError(
            "Queries and keys of one length, and a value for each key, are wanted; the shapes of"
            f" q, k and v are {tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)}."
        )
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = masked_softmax(scores, mask)
    return weights @ v, weights


def masked_softmax(scores: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """The softmax over the last axis, with exactly 0 where the mask is False.

    scores: (…, K).
    mask: booleans that stretch to the scores' shape; None for True everywhere.
    Raises ValueError for a mask of another type or shape, and for a row that is False throughout.
    """
    if mask is None:
        return scores.softmax(-1)
    if not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool:
        raise ValueError(
            "The mask should be a tensor of booleans, True where a query may look;"
            f" {described(mask)} came."
        )
    try:
        mask = mask.expand_as(scores)
    except RuntimeError:
        raise ValueError(
            f"The mask's shape is {tuple(mask.shape)}; {tuple(scores.shape)}, a row for each query"
            " and a column for each key, is wanted."
        ) from None
    if not mask.any(-1).all():
        raise ValueError(
            "The mask leaves a query nowhere to look. Each needs at least one True in its row."
        )
    # e to the power of minus infinity is 0
    return scores.masked_fill(~mask, -math.inf).softmax(-1)


class AdditiveAttention(nn.Module):
    """e_j = vᵀ tanh(W s + U h_j), a = softmax(e), c = Σ_j a_j h_j.

    Bahdanau, Cho, Bengio 2014, arXiv:1409.0473, eq. 5 and 6 and appendix A.1.2. Without s it is the
    attention of classifiers: what matters is asked of each word alone.

    memory: the length of h_j.
    hidden: that of the tanh.
    state: that of s; 0 for none.
    forward: h (N, T, memory), mask (N, T), True where there is something to look at, s (N, state)
        or None, and U h if it is known from a step before -> c (N, memory), and a (N, T).
    """

    def __init__(self, memory: int, hidden: int, *, state: int = 0):
        super().__init__()
        self.U = nn.Linear(memory, hidden)
        self.W = nn.Linear(state, hidden, bias=False) if state else None
        self.v = nn.Linear(hidden, 1, bias=False)

    def forward(
        self,
        h: torch.Tensor,
        mask: torch.Tensor,
        s: torch.Tensor | None = None,
        Uh: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        Uh = self.U(h) if Uh is None else Uh
        inside = Uh if self.W is None else self.W(s)[:, None] + Uh
        a = masked_softmax(self.v(inside.tanh())[..., 0], mask)
        return mixture(a, h), a


def mixture(a: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """c = Σ_j a_j h_j.

    a: weights (N, T).
    h: (N, T, d).
    Returns (N, d).
    """
    return torch.einsum("nt,ntd->nd", a, h)


def deceiving_loss(
    logits: torch.Tensor,
    weights: torch.Tensor,
    forbidden: torch.Tensor,
    labels: torch.Tensor,
    *,
    lam: float,
) -> torch.Tensor:
    """The cross-entropy − λ · log(1 − the attention on forbidden words), a mean over texts.

    Pruthi et al. 2020, arXiv:1909.07913, section 3.

    logits: (N, K).
    weights: each text's attention (N, T), which sums to 1.
    forbidden: True for a word that is to get none, (N, T). A text without any costs nothing.
    labels: (N,).
    lam: λ, what hiding is worth; at 0 the model is trained as ever.
    Raises ValueError for logits, weights or forbidden words of shapes that do not fit.
    """
    validate_logits(logits, count=len(labels))
    validate_number(lam=lam, at_least=0)
    if not weights.shape == forbidden.shape or len(weights) != len(labels):
        raise ValueError(
            f"Weights and forbidden words are wanted as (N, T), a row for each of {len(labels)}"
            f" labels; their shapes are {tuple(weights.shape)} and {tuple(forbidden.shape)}."
        )
    # 1 − the forbidden mass, as a sum: no rounding below 0; and where all is forbidden, no log of 0
    allowed = (weights * ~forbidden).sum(1).clamp_min(1e-6)
    return F.cross_entropy(logits, labels) - lam * allowed.log().mean()


def weight_layers(model: nn.Module) -> list[str]:
    """The names of the layers of a transformer that put out where each token looks, in order.

    Raises ValueError for a model that has none.
    """
    names = [name for name in activations.layers(model) if name.endswith(WEIGHTS)]
    if not names:
        raise ValueError(
            f"This {type(model).__name__} has no layer of attention that the course can read."
            " models.dinov2() and models.minilm() have."
        )
    return names


def heads(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Where each token looks in each head of each layer.

    images: (N, C, H, W); for a `models.minilm`, tokens (N, T).
    Returns (N, layers, heads, T, T): the row looks, the column is looked at; each row sums to 1.
    Raises ValueError for a model without attention, and for images or tokens that do not fit.
    """
    return torch.stack(activations.read(model, images, *weight_layers(model)), 1)


def rollout(weights: torch.Tensor) -> torch.Tensor:
    """Attention followed through all layers, back to the patches or words at the bottom.

    Abnar, Zuidema 2020, arXiv:2005.00928, §3: in each layer half of a token is what it was, and
    half is what the mean head brings; layer upon layer multiplies.

    weights: (N, layers, heads, T, T), from the bottom up, as `heads` reads them.
    Returns (N, T, T): how much of each token of the top, a row, comes from each at the bottom. Rows
        sum to 1.
    Raises ValueError for another shape.
    """
    if weights.dim() != 5 or weights.shape[-1] != weights.shape[-2]:
        raise ValueError(
            "Attention is wanted as (N, layers, heads, T, T), as attention.heads reads it; its"
            f" shape is {tuple(weights.shape)}."
        )
    itself = torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device)
    layers = (weights.mean(2) + itself) / 2
    layers = layers / layers.sum(-1, keepdim=True)
    return functools.reduce(lambda below, layer: layer @ below, layers.unbind(1))


def on_grid(patches: torch.Tensor) -> torch.Tensor:
    """Numbers of a square photo's patches where they lie: (…, patches) -> (…, rows, columns)."""
    side = round(patches.shape[-1] ** 0.5)
    return patches.unflatten(-1, (side, side))


def look(model: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where a vision transformer looks, and what it says of it.

    images: (N, 3, S, S).
    Returns where [CLS] looks in the last layer, the mean of all heads, (N, rows, columns), which
        with its look at itself sums to 1; and the feature (N, width). Gradients lead through both.
    Raises ValueError for a model without attention, and for images that do not fit.
    """
    validate_batch(images)
    looks, says = activations.read(model, images, weight_layers(model)[-1], "")
    return on_grid(looks[:, :, 0, 1:].mean(1)), says


def patches_inside(bboxes: torch.Tensor, *, side: int, size: int) -> torch.Tensor:
    """Which patches have their middle inside a box.

    bboxes: (N, 4), left, top, right, bottom, in pixels.
    side: patches along a side of the photo.
    size: that side, in pixels.
    Returns booleans (N, side, side).
    Raises ValueError for boxes of another shape.
    """
    validate_count(side=side, size=size)
    bboxes = torch.as_tensor(bboxes)
    if bboxes.dim() != 2 or bboxes.shape[1] != 4:
        raise ValueError(
            "Boxes are wanted as (N, 4), left, top, right and bottom of each; the shape is"
            f" {tuple(bboxes.shape)}."
        )
    middle = (torch.arange(side) + 0.5) * size / side
    left, top, right, bottom = (edge[:, None] for edge in bboxes.unbind(1))
    rows = (middle > top) & (middle < bottom)
    columns = (middle > left) & (middle < right)
    return rows[:, :, None] & columns[:, None]


def feature(
    model: nn.Module, images: torch.Tensor, *, keep: torch.Tensor | None = None
) -> torch.Tensor:
    """What a vision transformer says of images of which it gets to see some patches only.

    The others are taken out of the sequence, not painted grey; those that stay keep their places,
    and [CLS] stays.

    images: (N, 3, H, W).
    keep: which patches stay, (N, patches) bool, row by row; as many in each image. None for all.
    Returns (N, width).
    Raises ValueError for patches that do not fit the images.
    """
    validate_batch(images)
    if keep is None:
        return asked(model, images)

    def take(_: nn.Module, __: tuple, tokens: torch.Tensor) -> torch.Tensor:
        patches = tokens[:, 1:]
        if keep.shape != patches.shape[:2] or keep.dtype != torch.bool:
            raise ValueError(
                f"Which patches stay is wanted as bool {tuple(patches.shape[:2])};"
                f" {described(keep)} came."
            )
        least, most = (int(count) for count in keep.sum(1).aminmax())
        if least < most:
            raise ValueError(
                "As many patches should stay of each image, so that they make one batch; of one"
                f" stay {least}, and of another {most}."
            )
        chosen = patches[keep.to(patches.device)].unflatten(0, (len(patches), -1))
        return torch.cat([tokens[:, :1], chosen], 1)

    with activations.hooked(model, [activations.submodule(model, "network.patch_drop")], take):
        return asked(model, images)


def drop_and_keep(
    model: nn.Module, images: torch.Tensor, relevance: torch.Tensor, *, share: float = 0.25
) -> tuple[torch.Tensor, torch.Tensor]:
    """Whether the patches that a map calls relevant are necessary, and whether they are enough.

    images: (N, 3, H, W).
    relevance: a number a patch, (N, patches), or (N, rows, columns); the larger, the more it says.
    share: of the patches, the most relevant, that are dropped and kept, between 0 and 1.
    Returns two cosines (N,) with the feature of the whole image: without those patches (the lower,
        the more they were needed), and of those patches alone (the higher, the more they suffice).
    Raises ValueError for a map that does not fit, or a share of no patches or of all.
    """
    relevance = relevance.flatten(1)
    validate_number(share=share, at_least=0)
    count = round(share * relevance.shape[1])
    if not 0 < count < relevance.shape[1]:
        raise ValueError(
            f"share is {share}: {count} of {relevance.shape[1]} patches. Some are to go and some to"
            " stay."
        )
    top = relevance.argsort(dim=1, descending=True, stable=True)[:, :count]
    relevant = torch.zeros_like(relevance, dtype=torch.bool).scatter(1, top, True)
    whole = feature(model, images)
    dropped = F.cosine_similarity(feature(model, images, keep=~relevant), whole)
    kept = F.cosine_similarity(feature(model, images, keep=relevant), whole)
    return dropped, kept


def patch_colours(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The three directions in which the patches of images differ most, as red, green and blue.

    Oquab et al. 2023, arXiv:2304.07193, §7.4: one principal component analysis for all the images,
    so that one colour means one thing in all of them. There the background is cut out first.

    images: (N, 3, S, S).
    Returns (N, 3, rows, columns) in [0, 1]: of each component the middle 98 %.
    Raises ValueError for images that do not fit.
    """
    [tokens] = activations.read(model, images, "network.norm")
    patches = tokens[:, 1:].flatten(0, 1)
    centred = patches - patches.mean(0)
    directions = torch.linalg.svd(centred, full_matrices=False).Vh[:3]
    scores = centred @ directions.T
    scores = scores * (scores**3).sum(0).sign()  # a component's sign is arbitrary
    low, high = scores.quantile(scores.new_tensor([0.01, 0.99]), dim=0)
    colours = ((scores - low) / (high - low)).clamp(0, 1)
    return on_grid(colours.view(len(images), -1, 3).mT)
