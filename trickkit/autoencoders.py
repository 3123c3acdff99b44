"""Sparse autoencoders: a network's crowded vectors as sums of a few features of a large dictionary.

Bricken et al. 2023, *Towards Monosemanticity*; with the k largest kept, Gao et al. 2024,
arXiv:2406.04093. `trained_dictionary` has those of the course.
"""

import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from trickkit import activations, data, models, probes
from trickkit.bert import PAD, Bert
from trickkit.common import progress_bar, unknown, validate_count, validate_positive
from trickkit.contract import asked, described, drawn_from, seeded, with_gradients

Measure = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

FILE = "weights/autoencoders.safetensors"
LAYER = "layers.2"  # of MiniLM: what comes out of its third layer
VISION_LAYER = "network.blocks.8"
FEATURES, K = 768, 16
AT_ONCE = 64  # features that are measured at a time: all of them together want gigabytes
ROWS = 4096  # vectors that are coded at a time, for the same reason
UNSEEN = ("polar_bear", "macaw", "cat", "astronaut")  # photos that no autoencoder has seen
NAMES = ("trained", "untrained", "redrawn", "dinov2")


def topk(x: torch.Tensor, k: int) -> torch.Tensor:
    """The k largest of each row, negative ones as 0; all others 0.

    Gao et al. 2024, arXiv:2406.04093, §2.3.

    x: (n, features).
    Returns the same shape.
    Raises ValueError for a k below 1 or above the number of features.
    """
    validate_count(k=k)
    if k > x.shape[-1]:
        raise ValueError(f"k is {k}, and there are {x.shape[-1]} features to choose from.")
    values, places = x.relu().topk(k, dim=-1)
    return torch.zeros_like(x).scatter(-1, places, values)


def unexplained(x: torch.Tensor, reconstruction: torch.Tensor) -> float:
    """The share of the variance of vectors that a reconstruction leaves out.

    Variance is about the vectors' mean: who always answers with the mean gets 1, and who repeats
    every vector 0.

    x, reconstruction: (n, width).
    """
    left = (x - reconstruction).square().sum()
    return (left / (x - x.mean(0)).square().sum()).item()


class Autoencoder(nn.Module):
    """x ≈ mean + scale · Σ codes · features, of whose codes only k are not 0.

    width: of the vectors.
    features: of the dictionary; `decoder` (features, width) holds a direction of length 1 for each.
    k: how many describe a vector.
    forward: (n, width) -> the reconstruction (n, width).
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, width: int, *, features: int = FEATURES, k: int = K):
        super().__init__()
        validate_count(width=width, features=features, k=k)
        self.k = k
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))
        self.decoder = nn.Parameter(F.normalize(torch.randn(features, width), dim=1))
        self.encoder = nn.Parameter(self.decoder.detach().T.contiguous())
        self.bias = nn.Parameter(torch.zeros(features))

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """How strongly each feature is there in each vector: (n, width) -> (n, features)."""
        if len(x) > ROWS:
            codes = x.new_empty(len(x), self.decoder.shape[0])
            for start in range(0, len(x), ROWS):
                codes[start : start + ROWS] = self.codes(x[start : start + ROWS])
            return codes
        return topk((x - self.mean) / self.scale @ self.encoder + self.bias, self.k)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """The vectors of codes: (n, features) -> (n, width)."""
        return self.mean + self.scale * (codes @ self.decoder)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.codes(x))


@with_gradients
def train(
    x: torch.Tensor,
    *,
    features: int = FEATURES,
    k: int = K,
    epochs: int = 3,
    lr: float = 1e-3,
    batch_size: int = 256,
    seed: int = 0,
    centre: bool = True,
) -> Autoencoder:
    """Train a sparse autoencoder by Adam, and hand it back frozen.

    Gao et al. 2024, §2.3 and appendix A: the encoder begins as the decoder's transpose, and the
    decoder's rows are kept at length 1. The vectors' mean is taken away first, or features that
    point away from it never get a turn (Simon et al. 2026, arXiv:2605.31518).

    x: vectors (n, width).
    features: of the dictionary.
    k: how many describe a vector.
    epochs: how often each vector is seen.
    lr: Adam's step; in the last half it falls to 0.
    batch_size: vectors a step.
    seed: of the first weights and of the order.
    centre: False leaves the mean where it is.
    Raises ValueError for what are no vectors.
    """
    validate_count(epochs=epochs, batch_size=batch_size)
    validate_positive(lr=lr)
    if not isinstance(x, torch.Tensor) or x.dim() != 2 or not x.is_floating_point():
        raise ValueError(f"Vectors (n, width) are wanted; {described(x)} came.")
    x = x.detach().float()
    with drawn_from(seed):
        model = Autoencoder(x.shape[1], features=features, k=k)
    model.mean.copy_(x.mean(0) if centre else torch.zeros(x.shape[1]))
    model.scale.copy_((x - x.mean(0)).square().sum(1).mean().sqrt())
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    generator = seeded(seed)
    steps = epochs * -(-len(x) // batch_size)
    step = 0
    for _ in progress_bar(range(epochs), "training"):
        for rows in torch.randperm(len(x), generator=generator).split(batch_size):
            for group in optimizer.param_groups:
                group["lr"] = lr * min(1, 2 * (1 - step / steps))
            loss = ((model(x[rows]) - x[rows]) / model.scale).square().sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                model.decoder.copy_(F.normalize(model.decoder, dim=1))
            step += 1
    return model.requires_grad_(False)


def trained_dictionary(name: str) -> Autoencoder:
    """One of the course's autoencoders, 768 features of which 16 describe a vector.

    name: "trained" read the third layer of `models.minilm`, "untrained" and "redrawn" that of its
        twins (`sentence_net`), "dinov2" patches in the ninth layer of `models.dinov2`.
    Raises ValueError for an unknown name, FileNotFoundError where the weights are missing.
    """
    if name not in NAMES:
        raise unknown("autoencoder", name, NAMES)
    model = models.load_weights(Autoencoder(384), FILE, prefix=f"{name}.")
    # as stored, in half as many bits, their lengths are a little off
    model.decoder.copy_(F.normalize(model.decoder, dim=1))
    return model


def another_seed() -> torch.Tensor:
    """Features of MiniLM's dictionary as it would be from another seed: the first 256 directions,
    (256, 384), of length 1.

    Raises FileNotFoundError where the weights are missing.
    """
    return F.normalize(models.stored_weights(FILE)["another seed"], dim=1)


def sentence_net(name: str, *, seed: int = 0) -> Bert:
    """The network that an autoencoder of sentences read: "trained" is MiniLM itself, "untrained" as
    it was before it learnt, "redrawn" with matrices as spread out as its own, but drawn at random.

    seed: of the drawing; the course's autoencoders read that of seed 0.
    Raises ValueError for an unknown name.
    """
    if name not in NAMES[:3]:
        raise unknown("network", name, NAMES[:3])
    net = models.minilm()
    if name == "trained":
        return net
    return probes.redrawn(net, std=0.02 if name == "untrained" else None, seed=seed)


def kept_back() -> list[int]:
    """The sentences of `data.hackers_and_prophets` that no autoencoder has read, by number.

    They are those of `probes.sentences_of_both`.
    """
    texts = data.hackers_and_prophets()["text"].tolist()
    return probes.sentences_of_both(probes.cased_words(texts, models.minilm().tokenizer))


def random_squares(*, count: int = 24, size: int = 224, seed: int = 0) -> torch.Tensor:
    """Squares cut at random from the photos but for `UNSEEN`, and from the paintings, half of them
    mirrored: what the autoencoder of patches learnt from.

    count: of each picture.
    size: of a side, in pixels; they are cut out larger or smaller.
    Returns (N, 3, size, size).
    """
    generator = seeded(seed)
    pictures = [data.picture(n) for n in data.picture_names() if n not in UNSEEN]
    out = []
    for image in pictures + [data.painting(name) for name in data.painting_names()]:
        shorter = min(image.shape[2:])
        for _ in range(count):
            share, down, across, mirror = torch.rand(4, generator=generator).tolist()
            side = int((0.35 + 0.65 * share) * shorter)
            top, left = (
                int(u * (n - side)) for u, n in zip((down, across), image.shape[2:], strict=True)
            )
            cut = data.scaled(image[:, :, top : top + side, left : left + side], side=size)
            out.append(cut.flip(3) if mirror < 0.5 else cut)
    return torch.cat(out)


@torch.no_grad()
def read_patches(images: torch.Tensor, *, layer: str = VISION_LAYER) -> torch.Tensor:
    """What DINOv2 says of each patch of photos in one of its layers: (N, patches, 384).

    images: (N, 3, S, S), S a multiple of 14.
    Raises ValueError for what are no such images.
    """
    net = models.dinov2(size=images.shape[-1])
    return torch.cat(
        [activations.read(net, image[None], layer)[0][:, 1:].cpu() for image in images]
    )


def a_few_features_at_a_time(measure: Measure) -> Measure:
    """A measure (codes, ids) -> (features,) that never looks at more than `AT_ONCE` of them."""

    @functools.wraps(measure)
    def whole(codes: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return torch.cat([measure(some, ids) for some in codes.split(AT_ONCE, dim=1)])

    return whole


@a_few_features_at_a_time
def word_share(codes: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """How much of a feature the word alone tells: the share of its variance that is explained by
    the mean over the *other* places where the same token stands.

    codes: (n, features).
    ids: the tokens' numbers (n,). Those that stand in one place only are left out.
    Returns (features,), at most 1; NaN for a feature that never fires there, and below 0 where the
        word tells less than nothing.
    """
    count = torch.bincount(ids)
    sums = codes.new_zeros(len(count), codes.shape[1]).index_add(0, ids, codes)
    often = count[ids] > 1
    codes, ids = codes[often], ids[often]
    guess = (sums[ids] - codes) / (count[ids] - 1)[:, None]
    return 1 - (codes - guess).square().sum(0) / (codes - codes.mean(0)).square().sum(0)


@a_few_features_at_a_time
def token_entropy(codes: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Over how many tokens a feature is spread, in bits: 0 for one that fires on one token only.

    Heap et al. 2025, arXiv:2501.17727, told trained networks from random ones by such an entropy.
    Counted are the places where it fires strongly, at more than half of its highest.

    codes: (n, features).
    ids: the tokens' numbers (n,).
    Returns (features,); NaN for a feature that is strong in fewer than 5 places.
    """
    strong = strong_places(codes).to(codes)
    share = codes.new_zeros(int(ids.max()) + 1, codes.shape[1]).index_add(0, ids, strong)
    count = share.sum(0)
    bits = torch.special.entr(share / count.clamp(min=1)).sum(0) / math.log(2)
    return bits.where(count >= 5, torch.nan)


def strong_places(codes: torch.Tensor) -> torch.Tensor:
    """Where features fire strongly, at more than half of their highest: (n, features) bool."""
    return codes > codes.amax(0) / 2


def contexts(
    feature: torch.Tensor, tokens: probes.Tokens, pieces: Sequence[str], *, count: int = 6
) -> list[tuple[str, str, str, float]]:
    """The places where a feature is highest, one of each sentence, the highest first.

    feature: its codes (n,).
    tokens: what they were read from.
    pieces: the vocabulary, as in `bert.Tokenizer`.
    count: at most; where it is 0 is no place.
    Returns what stands before, the token itself, what stands after, and the code as a share of the
        highest.
    """
    validate_count(count=count)
    found: dict[int, tuple[str, str, str, float]] = {}
    order = feature.argsort(descending=True, stable=True)[: 50 * count].tolist()
    for row in order:
        number = int(tokens.sentence[row])
        if number in found or feature[row] <= 0:
            continue
        whole = (tokens.sentence == number).nonzero()[:, 0]
        first, last = int(whole[0]), int(whole[-1]) + 1
        parts = ((first, row), (row, row + 1), (row + 1, last))
        before, word, after = (
            " ".join(pieces[i] for i in tokens.ids[a:b].tolist()).replace(" ##", "")
            for a, b in parts
        )
        found[number] = (before, word, after, float(feature[row] / feature.max()))
        if len(found) == count:
            break
    return list(found.values())


@torch.no_grad()
def embed_without(
    net: Bert,
    texts: Sequence[str],
    model: Autoencoder,
    feature: int,
    *,
    direction: torch.Tensor | None = None,
) -> torch.Tensor:
    """What MiniLM says of sentences when a feature is taken out of its third layer: (N, width).

    net: `models.minilm()`, whose embedding of a sentence is the mean of its last vectors.
    texts: N sentences.
    model: the autoencoder of that layer.
    feature: its number.
    direction: of length 1 (width,), taken out in the feature's place, by as much; to keep all,
        zeros.
    """
    tokens = net.tokenizer(texts)
    out_of = model.decoder[feature] if direction is None else direction

    def take_out(_: nn.Module, __: tuple, out: torch.Tensor) -> torch.Tensor:
        return out - model.scale * model.codes(out)[..., [feature]] * out_of

    with activations.hooked(net, [activations.submodule(net, LAYER)], take_out):
        out = asked(net, tokens)
    there = (tokens != PAD)[..., None]
    return (out * there).sum(1) / there.sum(1)


def precision_recall(fired: torch.Tensor, named: torch.Tensor) -> tuple[float, float]:
    """What a feature's name is worth as a forecast of where it fires.

    fired: where the feature did, (n,) bool.
    named: where it should by its name, (n,) bool.
    Returns the share of named places at which it fired, and the share of places at which it fired
        that were named; 0 where there are none.
    """
    both = (fired & named).sum().item()
    return both / max(named.sum().item(), 1), both / max(fired.sum().item(), 1)
