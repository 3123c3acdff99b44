"""The information plane: how much each layer of a network tells of its input, and of the label.

Shwartz-Ziv, Tishby 2017, arXiv:1703.00810; Saxe et al. 2018, "On the Information Bottleneck Theory
of Deep Learning", ICLR 2018.

In this order: counting (entropy … kde_bound), the task (icosahedron, patterns), the networks, many
side by side (untrained … unseen_accuracy), their planes (plane, history).

All information is in bits. A code is a whole number, or a row of them: what is left of what a layer
says of one input, once it is counted.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from trickkit import data
from trickkit.common import (
    progress_bar,
    unknown,
    validate_count,
    validate_number,
    validate_positive,
)
from trickkit.contract import seeded, with_gradients

Codes = Sequence | np.ndarray | torch.Tensor  # (N,), or (N, units) where a row is one code
Values = Sequence | np.ndarray | torch.Tensor
# Each layer's weights (…, inputs, units) and biases (…, 1, units); … may count networks.
Weights = list[tuple[torch.Tensor, torch.Tensor]]

FILE = "weights/information_plane.safetensors"
SIZES = (12, 10, 7, 5, 4, 3, 2)  # units of the input and of each layer
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}
LAST = 8000  # epochs
# The epochs after which weights are kept: often at first, then ever more rarely.
KEPT = (0, *sorted({round(LAST ** (k / 31)) for k in range(32)}))


class Experiment(NamedTuple):
    """How networks are trained: with Adam, each on a share of the patterns that it drew itself."""

    activation: str = "tanh"
    share: float = 0.8
    batch_size: int = 256
    lr: float = 4e-4
    shuffled: bool = False  # the labels are dealt out at random: there is no rule to be learnt
    runs: int = 10  # networks
    kept: tuple[int, ...] = KEPT  # epochs, rising from 0; the last ends the training
    seed: int = 0


EXPERIMENTS = {
    "tanh": Experiment(),
    "relu": Experiment("relu"),
    "little data": Experiment(share=0.3),
    "full batch": Experiment(batch_size=4096, lr=1e-3),
    "shuffled labels": Experiment(shuffled=True),
    "forty more": Experiment(runs=40, kept=(0, 441, LAST), seed=1),  # of the first
}


def entropy(codes: Codes) -> float:
    """H = Σ p log₂ 1/p, where p is the share of each code.

    Shannon 1948, "A Mathematical Theory of Communication", section 6.

    codes: (N,), or (N, units) where a row is one code.
    Returns bits, from 0 to log₂ N.
    """
    counts = np.unique(validated_codes(codes), axis=0, return_counts=True)[1]
    p = counts / counts.sum()
    return float((p * np.log2(1 / p)).sum())


def mutual_information(a: Codes, b: Codes) -> float:
    """I(A; B) = H(A) + H(B) − H(A, B): how much one tells of the other.

    Shannon 1948, section 12.

    a, b: codes of the same N things, (N,) or (N, units) each.
    Returns bits, from 0 to the smaller of H(A) and H(B).
    Raises ValueError for codes of more things than the others are of.
    """
    a, b = validated_codes(a), validated_codes(b)
    if len(a) != len(b):
        raise ValueError(
            f"Codes of the same things are wanted; {len(a)} came for a and {len(b)} for b."
        )
    return entropy(a) + entropy(b) - entropy(np.column_stack([a, b]))


def validated_codes(codes: Codes) -> np.ndarray:
    """Codes as an array, (N,) or (N, units).

    Raises ValueError for what is no whole numbers, or of another shape.
    """
    array = np.asarray(codes)
    if array.dtype.kind not in "biu":
        raise ValueError(
            f"Codes are wanted as whole numbers; these are {array.dtype}. bins(values, count=30)"
            " makes whole numbers of values."
        )
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(f"Codes are wanted as (N,) or (N, units); the shape is {array.shape}.")
    return array


def bins(values: Values, *, count: int, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """The number of the bin that each value falls into, of `count` equal ones from low to high.

    On the edge of two bins it is the upper one; what lies outside falls into the bin at that end.

    values: of any shape.
    count: of bins.
    Returns whole numbers from 0 to count − 1, of the same shape.
    Raises ValueError for values that are not finite, and where low is not below high.
    """
    validate_count(count=count)
    validate_number(low=low, high=high)
    values = np.asarray(values)
    if not np.isfinite(values).all():
        raise ValueError("Some of the values are not finite: they belong into no bin.")
    if low >= high:
        raise ValueError(f"low is {low:g} and high {high:g}; low is to be below high.")
    return np.floor((values - low) / (high - low) * count).clip(0, count - 1).astype(int)


def kde_bound(values: Values, *, variance: float = 1e-3) -> float:
    """An upper bound on I(X; T + noise): −⟨log₂ ⟨exp(−‖tᵢ − tⱼ‖² / 2σ²)⟩ⱼ⟩ᵢ.

    Kolchinsky, Tracey 2017, arXiv:1706.02419; with this variance in the code of Saxe et al. 2018.

    Both means are over all N inputs, j = i among them.

    values: what a layer puts out, (N, units).
    variance: σ², of the Gaussian noise that each unit is imagined to have.
    Returns bits, from 0 to log₂ N.
    Raises ValueError for values of another shape.
    """
    validate_positive(variance=variance)
    t = torch.as_tensor(values, dtype=torch.float64)
    if t.dim() != 2 or not t.numel():
        raise ValueError(f"Values are wanted as (N, units); the shape is {tuple(t.shape)}.")
    near = torch.exp(-torch.cdist(t, t).square() / (2 * variance))
    return -near.mean(1).log2().mean().item()


def icosahedron() -> np.ndarray:
    """The twelve vertices of an icosahedron on the unit sphere, (12, 3)."""
    golden = (1 + math.sqrt(5)) / 2
    corners = [(0, one, other) for one in (-1, 1) for other in (-golden, golden)]
    points = np.array([np.roll(corner, turn) for turn in range(3) for corner in corners])
    return points / np.linalg.norm(points[0])


def patterns() -> tuple[torch.Tensor, torch.Tensor]:
    """All 4,096 ways to light an icosahedron's vertices, and a label that turning it never changes.

    The task of Shwartz-Ziv and Tishby 2017: the points and labels of their data file, but for the
    numbering of the vertices.

    Of the k lit vertices, count the a edges and the p axes that have both ends lit: the label is 1
    where 2a − p is large for that k.

    Returns x (4096, 12), 1 where a vertex is lit, else 0, and labels (4096,).
    """
    lit = (np.arange(2**12)[:, None] >> np.arange(12)) & 1
    between = icosahedron() @ icosahedron().T  # 1 with itself, 0.45 along an edge, −1 along an axis
    k = lit.sum(1)
    a = ((lit @ ((between > 0.1) & (between < 0.9))) * lit).sum(1) // 2
    p = ((lit @ (between < -0.9)) * lit).sum(1) // 2
    least = np.array([99] * 5 + [13, 12, 15] + [-99] * 5)[k]
    return torch.tensor(lit, dtype=torch.float32), torch.tensor(2 * a - p >= least).long()


def untrained(runs: int, *, generator: torch.Generator) -> Weights:
    """Weights of `runs` untrained networks of the paper's size, `SIZES`.

    Normal, with σ = 1/√inputs and cut off at 2σ, as in the authors' code; biases are 0.
    """
    validate_count(runs=runs)
    weights = []
    for n, m in itertools.pairwise(SIZES):
        w = torch.empty(runs, n, m)
        sigma = n**-0.5
        torch.nn.init.trunc_normal_(w, std=sigma, a=-2 * sigma, b=2 * sigma, generator=generator)
        weights.append((w, torch.zeros(runs, 1, m)))
    return weights


def outputs(
    weights: Weights, x: torch.Tensor, *, activation: str = "tanh", net_input: bool = False
) -> list[torch.Tensor]:
    """What each layer puts out, (…, N, units); the last is a softmax.

    activation: of the layers before it, one of `ACTIVATIONS`.
    net_input: what goes into the activation, instead of what comes out of it.
    Raises ValueError for an unknown activation.
    """
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    found = []
    for place, (w, b) in enumerate(weights, 1):
        z = x @ w + b
        x = ACTIVATIONS[activation](z) if place < len(weights) else z.softmax(-1)
        found.append(z if net_input else x)
    return found


def packed(weights: Weights) -> torch.Tensor:
    """All weights of each network in a row: (…, 294)."""
    return torch.cat([part.detach().flatten(-2) for pair in weights for part in pair], -1)


def unpacked(flat: torch.Tensor) -> Weights:
    """What `packed` has put in a row."""
    weights = []
    for n, m in itertools.pairwise(SIZES):
        w, b, flat = flat.split([n * m, m, flat.shape[-1] - n * m - m], -1)
        weights.append((w.unflatten(-1, (n, m)), b.unsqueeze(-2)))
    return weights


class Networks(NamedTuple):
    """Networks that were trained side by side.

    experiment: how.
    flat: their weights at each epoch that was kept, `packed`, (epochs, runs, 294).
    seen: whether a network was trained on a pattern, (runs, 4096).
    """

    experiment: Experiment
    flat: torch.Tensor
    seen: torch.Tensor


@with_gradients
def train(experiment: Experiment) -> Networks:
    """Train networks side by side, each from weights, on patterns and in an order of its own.

    One optimizer has the weights of all: Adam moves each weight by its own gradient alone, and the
    loss is the sum of the networks' own, so that each learns as if by itself.
    """
    runs, kept = experiment.runs, experiment.kept
    x, y = patterns()
    generator = seeded(experiment.seed)
    weights = untrained(runs, generator=generator)
    rows = torch.rand(runs, len(x), generator=generator).argsort(1)
    rows = rows[:, : round(experiment.share * len(x))]
    labels = y.expand(runs, -1)
    if experiment.shuffled:
        labels = y[torch.rand(runs, len(x), generator=generator).argsort(1)]
    parameters = [part.requires_grad_() for pair in weights for part in pair]
    optimizer = torch.optim.Adam(parameters, lr=experiment.lr, fused=True)
    flat = [packed(weights)]
    for epoch in progress_bar(range(1, kept[-1] + 1), "epochs"):
        order = rows.gather(1, torch.rand(rows.shape, generator=generator).argsort(1))
        for batch in order.split(experiment.batch_size, 1):
            loss = summed_loss(weights, x[batch], labels.gather(1, batch), experiment.activation)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch in kept:
            flat.append(packed(weights))
    seen = torch.zeros(runs, len(x), dtype=torch.bool).scatter(1, rows, True)
    return Networks(experiment, torch.stack(flat), seen)


def summed_loss(
    weights: Weights, x: torch.Tensor, labels: torch.Tensor, activation: str
) -> torch.Tensor:
    """The sum over networks of each one's mean cross-entropy.

    x: (runs, N, 12).
    labels: (runs, N).
    """
    logits = outputs(weights, x, activation=activation, net_input=True)[-1]
    return len(x) * F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def load(name: str) -> Networks:
    """Networks that came with the course, with their weights as they learnt.

    name: of `EXPERIMENTS`.
    Raises ValueError for an unknown name or a damaged file, FileNotFoundError for a missing one.
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    kept = load_file(data.shipped(FILE))
    return Networks(EXPERIMENTS[name], kept[f"{name}.weights"], kept[f"{name}.seen"])


def unseen_accuracy(networks: Networks) -> np.ndarray:
    """The share of right answers on what a network was not trained on: (epochs, runs)."""
    x, y = patterns()
    unseen = ~networks.seen
    found = []
    for flat in networks.flat:
        said = outputs(unpacked(flat), x, activation=networks.experiment.activation)[-1].argmax(-1)
        found.append(((said == y) & unseen).sum(1) / unseen.sum(1))
    return torch.stack(found).numpy()


def plane(
    values: Sequence[torch.Tensor],
    labels: torch.Tensor,
    *,
    code: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Where each layer lies in the information plane: I(X; T) and I(T; Y), (…, layers) each.

    Every input is another, and a layer says always the same of it: so I(X; T) = H(T).

    values: what each layer puts out, (…, N, units); … may count networks.
    labels: (N,).
    code: values -> whole numbers of the same shape, such as their `bins`.
    """
    y = np.asarray(labels)
    xt = []
    ty = []
    for t in values:
        rows = joined(code(t.detach().cpu().numpy()))
        xt.append(entropies(rows))
        ty.append(xt[-1] + entropies(y) - entropies(rows * (y.max() + 1) + y))
    return np.stack(xt, -1), np.stack(ty, -1)


def history(
    networks: Networks,
    *,
    code: Callable[[np.ndarray], np.ndarray],
    steps: Sequence[int] | None = None,
    net_input: bool = False,
    dtype: torch.dtype = torch.float32,
) -> tuple[np.ndarray, np.ndarray]:
    """`plane` of networks as they learnt: I(X; T) and I(T; Y), (steps, runs, layers) each.

    steps: which of the epochs that were kept, by their places; None for all.
    net_input: as in `outputs`.
    dtype: how exactly the layers are computed.
    """
    x, y = patterns()
    activation = networks.experiment.activation
    planes = [
        plane(
            outputs(
                unpacked(networks.flat[step].to(dtype)),
                x.to(dtype),
                activation=activation,
                net_input=net_input,
            ),
            y,
            code=code,
        )
        for step in (range(len(networks.flat)) if steps is None else steps)
    ]
    xt, ty = zip(*planes, strict=True)
    return np.stack(xt), np.stack(ty)


def each_value(values: np.ndarray) -> np.ndarray:
    """A code that keeps everything: a whole number for each value that there is."""
    return np.unique(values, return_inverse=True)[1].reshape(values.shape)


def joined(codes: np.ndarray) -> np.ndarray:
    """Rows of codes as one whole number each, the same for the same: (…, N, units) -> (…, N)."""
    codes = codes - codes.min()
    base = int(codes.max()) + 1
    rows = codes[..., 0]
    span = base
    for unit in range(1, codes.shape[-1]):
        if span * base >= 2**63:  # too large for 64 bits: number anew those that there are
            rows = each_value(rows)
            span = int(rows.max()) + 1
        rows = rows * base + codes[..., unit]
        span *= base
    return rows


def entropies(codes: np.ndarray) -> np.ndarray:
    """`entropy` of each row, all rows in one go: (…, N) -> (…).

    H = log₂ N − Σ n log₂ n / N, where n is how often a code comes up.
    """
    size = codes.shape[-1]
    ordered = np.sort(codes, axis=-1).reshape(-1, size)
    first = np.ones(ordered.shape, dtype=bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    starts = np.flatnonzero(first)
    counts = np.diff(starts, append=ordered.size)
    taken = np.bincount(starts // size, counts * np.log2(counts), len(ordered))
    return (math.log2(size) - taken / size).reshape(codes.shape[:-1])


def impostor(weights: Weights) -> Weights:
    """Weights of a network that compresses and has learnt nothing: the old ones, times 16.

    Large weights drive tanh to −1 or 1, and what is there falls into two bins.

    weights: of untrained networks.
    Returns as many, of the same shapes.
    """
    return [(16 * w, 16 * b) for w, b in weights]
