"""What is connected to what in a loss landscape: paths between two networks, barriers on them, and
symmetries, which move a network far away and leave its function as it was.

A path is a function of t from 0 to 1 to a point (d,), all of a network's weights in one vector (see
`landscapes`).
"""

import copy
from collections import OrderedDict
from collections.abc import Callable

import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from trickkit.common import progress_bar, validate_count, validate_positive
from trickkit.contract import (
    described,
    device,
    drawn_from,
    seeded,
    with_gradients,
)
from trickkit.landscapes import Landscape

Path = Callable[[float], torch.Tensor]
Twin = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # w1, b1, w2


def perceptron(
    width: int = 512, *, hidden: int = 1, pixels: int = 784, seed: int = 0
) -> nn.Sequential:
    """Layers of `width` ReLUs, and 10 classes: images of `pixels` numbers -> (N, 10).

    Same seed, same weights.
    """
    validate_count(width=width, hidden=hidden, pixels=pixels)
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    with drawn_from(seed):
        for i in range(1, hidden + 1):
            layers[f"hidden{i}"] = nn.Linear(pixels if i == 1 else width, width)
            layers[f"relu{i}"] = nn.ReLU()
        layers["classes"] = nn.Linear(width, 10)
    return nn.Sequential(layers).to(device())


def straight(one: torch.Tensor, other: torch.Tensor) -> Path:
    """The straight path from one point to the other."""
    return lambda t: one + t * (other - one)


def bezier(one: torch.Tensor, bend: torch.Tensor, other: torch.Tensor) -> Path:
    """The curve from one point to the other that is drawn towards `bend`.

    Garipov et al. 2018, arXiv:1802.10026, eq. 4.
    """
    return lambda t: (1 - t) ** 2 * one + 2 * t * (1 - t) * bend + t**2 * other


@torch.no_grad()
def barrier(
    loss: Callable[[torch.Tensor], torch.Tensor],
    one: torch.Tensor,
    other: torch.Tensor,
    *,
    points: int = 11,
) -> float:
    """How far the loss rises between two points, above the mean of their own losses.

    Frankle et al. 2020, arXiv:1912.05671, §2.

    loss: a point (d,) -> a number.
    one, other: (d,).
    points: how many places on the straight path to try, with both ends.
    """
    validate_count(points=points, at_least=2)
    path = straight(one, other)
    losses = [float(loss(path(t))) for t in torch.linspace(0, 1, points).tolist()]
    return max(losses) - (losses[0] + losses[-1]) / 2


@with_gradients
def find_bend(
    landscape: Landscape,
    one: torch.Tensor,
    other: torch.Tensor,
    *,
    epochs: int = 8,
    lr: float = 1e-3,
    batch_size: int = 100,
    seed: int = 0,
) -> torch.Tensor:
    """The bend (d,) of the `bezier` curve on which the loss is low everywhere.

    Garipov et al. 2018, eq. 2: each step takes a random t, and lowers the loss there by moving the
    bend alone. It begins half way.

    landscape: of the network and the images to train on.
    """
    validate_count(epochs=epochs, batch_size=batch_size)
    validate_positive(lr=lr)
    bend = ((one + other) / 2).detach().clone().requires_grad_(True)
    optimizer = torch.optim.Adam([bend], lr=lr)
    generator = seeded(seed)
    path = bezier(one.detach(), bend, other.detach())
    count = len(landscape.images)
    for _ in progress_bar(range(epochs), "bending"):
        for rows in torch.randperm(count, generator=generator).split(batch_size):
            t = torch.rand((), generator=generator).item()
            optimizer.zero_grad()
            landscape.on(rows)(path(t)).backward()
            optimizer.step()
    return bend.detach()


def permute(w1: torch.Tensor, b1: torch.Tensor, w2: torch.Tensor, order: torch.Tensor) -> Twin:
    """The same two layers with the units between them in another order.

    w1: (hidden, in). b1: (hidden,). w2: (out, hidden).
    order: which of the old units comes first, second, …, (hidden,).
    Returns w1, b1, w2 of the new order.
    """
    return w1[order], b1[order], w2[:, order]


def rescale(w1: torch.Tensor, b1: torch.Tensor, w2: torch.Tensor, factor: float) -> Twin:
    """The same two layers with the units between them `factor` times larger, and read as much less.

    Dinh et al. 2017, arXiv:1703.04933: ReLUs pass any factor above 0 through.

    w1: (hidden, in). b1: (hidden,). w2: (out, hidden).
    """
    validate_positive(factor=factor)
    return w1 * factor, b1 * factor, w2 / factor


def flattest(
    sharpness: Callable[[Twin], float],
    w1: torch.Tensor,
    b1: torch.Tensor,
    w2: torch.Tensor,
    factors: list[float],
) -> Twin:
    """Of a network's rescaled twins, all of them the same function, the least sharp one.

    sharpness: a twin, (w1, b1, w2), -> a number.
    w1: (hidden, in). b1: (hidden,). w2: (out, hidden).
    factors: to rescale by, each above 0.
    Returns the w1, b1, w2 of the twin.
    """
    twins = [rescale(w1, b1, w2, factor) for factor in factors]
    return min(twins, key=lambda twin: float(sharpness(twin)))


def linear_layers(model: nn.Module) -> list[nn.Linear]:
    """The linear layers of a network that has nothing else but ReLUs and a Flatten in front.

    Raises ValueError for any other network, or one without a hidden layer.
    """
    layers = list(model) if isinstance(model, nn.Sequential) else []
    kinds = [type(m) for m in layers]
    linear = [m for m in layers if isinstance(m, nn.Linear)]
    if kinds[:1] == [nn.Flatten]:
        kinds = kinds[1:]
    if len(linear) < 2 or kinds != [nn.Linear, nn.ReLU] * (len(linear) - 1) + [nn.Linear]:
        raise ValueError(
            "A network of linear layers with a ReLU between every two is wanted, as"
            f" connectivity.perceptron makes; {described(model)} came."
        )
    return linear


@torch.no_grad()
def permuted(model: nn.Sequential, orders: list[torch.Tensor]) -> nn.Sequential:
    """A copy of a perceptron, each hidden layer's units in the order given (`permute`): the same
    function, elsewhere in the landscape.

    orders: one a hidden layer, (width,).
    Raises ValueError for orders that do not fit.
    """
    twin = copy.deepcopy(model)
    layers = linear_layers(twin)
    widths = [layer.out_features for layer in layers[:-1]]
    if [sorted(order.tolist()) for order in orders] != [list(range(w)) for w in widths]:
        raise ValueError(
            f"An order for each hidden layer is wanted, of {', '.join(map(str, widths))} units,"
            " each of them once."
        )
    for one, two, order in zip(layers, layers[1:], orders, strict=False):
        w1, b1, w2 = permute(one.weight, one.bias, two.weight, order)
        one.weight.copy_(w1)
        one.bias.copy_(b1)
        two.weight.copy_(w2)
    return twin


@torch.no_grad()
def match(one: nn.Sequential, other: nn.Sequential, *, seed: int = 0) -> list[torch.Tensor]:
    """The orders of the other network's hidden units that bring it nearest to the first.

    Ainsworth et al. 2022, arXiv:2209.04836, algorithm 1: weight matching. One layer at a time, in
    random order, its units are assigned to those of the first so that the weights around them have
    the largest scalar product; until no layer gains. With one hidden layer this is the best there
    is.

    one, other: perceptrons of the same size.
    seed: of the order of layers.
    Returns an order for each hidden layer, (width,), for `permuted`.
    Raises ValueError for networks of different sizes.
    """
    goal = linear_layers(one)
    layers = linear_layers(other)
    if [m.weight.shape for m in goal] != [m.weight.shape for m in layers]:
        raise ValueError("Two networks of the same size are wanted; the layers of these differ.")
    orders = [torch.arange(layer.out_features) for layer in goal[:-1]]
    generator = seeded(seed)
    gained = True
    while gained:
        gained = False
        for i in torch.randperm(len(orders), generator=generator).tolist():
            now = linear_layers(permuted(other, orders))
            alike = (
                (
                    goal[i].weight @ now[i].weight.T
                    + torch.outer(goal[i].bias, now[i].bias)
                    + goal[i + 1].weight.T @ now[i + 1].weight
                )
                .double()
                .cpu()
            )
            best = torch.from_numpy(linear_sum_assignment(alike.numpy(), maximize=True)[1])
            rows = torch.arange(len(best))
            if alike[rows, best].sum() > alike.trace() + 1e-6 * alike.abs().max():
                orders[i] = orders[i][best]
                gained = True
    return orders
