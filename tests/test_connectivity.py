"""Paths between networks, and the symmetries that move them."""

import copy

import pytest
import torch
from torch import nn

from trickkit import connectivity, landscapes


def net(hidden=1, seed=0):
    return connectivity.perceptron(7, hidden=hidden, pixels=9, seed=seed).eval()


X = torch.rand(30, 1, 3, 3, generator=torch.Generator().manual_seed(0))


def point(model):
    return landscapes.as_point(dict(model.named_parameters())).detach()


def test_paths_begin_and_end_at_the_networks():
    one, bend, other = torch.randn(3, 5)
    for path in (connectivity.straight(one, other), connectivity.bezier(one, bend, other)):
        assert torch.allclose(path(0.0), one) and torch.allclose(path(1.0), other)
    half = connectivity.bezier(one, bend, other)(0.5)
    assert torch.allclose(half, one / 4 + bend / 2 + other / 4)
    flat = connectivity.bezier(one, (one + other) / 2, other)
    assert torch.allclose(flat(0.3), connectivity.straight(one, other)(0.3), atol=1e-6)


def test_the_barrier_of_a_known_hill():
    found = connectivity.barrier(
        lambda p: 1 - p.square().sum(), torch.tensor([-1.0]), torch.tensor([1.0])
    )
    assert found == pytest.approx(1)
    slope = connectivity.barrier(lambda p: p.sum(), torch.tensor([0.0]), torch.tensor([2.0]))
    assert slope == pytest.approx(1)  # above the mean of the ends
    assert connectivity.barrier(lambda p: p.sum() * 0, torch.zeros(2), torch.ones(2)) == 0


@pytest.mark.parametrize("hidden", [1, 2, 3])
def test_a_permuted_network_is_the_same_function(hidden):
    model = net(hidden)
    orders = [torch.randperm(7) for _ in range(hidden)]
    before = copy.deepcopy(model.state_dict())
    twin = connectivity.permuted(model, orders)
    assert torch.allclose(twin(X), model(X), atol=1e-6)
    assert not torch.allclose(point(twin), point(model))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("hidden", [1, 2, 3])
def test_a_known_permutation_is_found_exactly(hidden):
    model = net(hidden, seed=hidden)
    orders = [torch.randperm(7) for _ in range(hidden)]
    twin = connectivity.permuted(model, orders)
    found = connectivity.match(model, twin)
    assert [order.argsort().tolist() for order in orders] == [f.tolist() for f in found]
    assert torch.equal(point(connectivity.permuted(twin, found)), point(model))


def test_matching_brings_two_networks_nearer_than_any_other_order():
    one, other = net(seed=1), net(seed=2)
    best = (point(one) - point(connectivity.permuted(other, connectivity.match(one, other)))).norm()
    for _ in range(200):
        drawn = point(connectivity.permuted(other, [torch.randperm(7)]))
        assert best <= (point(one) - drawn).norm() + 1e-5


def test_a_rescaled_network_is_the_same_function():
    model = net()
    w1, b1, w2 = model.hidden1.weight, model.hidden1.bias, model.classes.weight
    for factor in (0.1, 10):
        a, b, c = connectivity.rescale(w1, b1, w2, factor)
        said = (X.flatten(1) @ a.T + b).relu() @ c.T + model.classes.bias
        assert torch.allclose(said, model(X), atol=1e-5)
    with pytest.raises(ValueError, match="factor is -1; a number above 0"):
        connectivity.rescale(w1, b1, w2, -1)


def test_the_flattest_twin_has_the_lowest_sharpness():
    w1, w2 = torch.randn(2, 4, 4)
    b1 = torch.randn(4)
    factors = [0.5, 1.0, 2.0, 4.0]
    a, _, c = connectivity.flattest(
        lambda twin: (twin[0].norm() - 2 * w1.norm()).abs(), w1, b1, w2, factors
    )
    assert torch.equal(a, 2 * w1) and torch.equal(c, w2 / 2)


def test_a_found_bend_lowers_the_loss_on_the_curve():
    torch.manual_seed(0)
    y = torch.arange(30) % 3
    land = landscapes.Landscape(net(), X, y)
    one, other = land.start, point(net(seed=5)) * 2
    bend = connectivity.find_bend(land, one, other, epochs=40, lr=0.01, batch_size=10)
    ts = torch.linspace(0, 1, 11).tolist()
    curved = sum(float(land(connectivity.bezier(one, bend, other)(t))) for t in ts)
    straight = sum(float(land(connectivity.straight(one, other)(t))) for t in ts)
    assert curved < straight


def test_what_cannot_be_matched_is_refused():
    with pytest.raises(ValueError, match="the layers of these differ"):
        connectivity.match(net(), net(2))
    with pytest.raises(ValueError, match="A network of linear layers with a ReLU"):
        connectivity.match(nn.Sequential(nn.Linear(3, 3)), net())
    with pytest.raises(ValueError, match="An order for each hidden layer"):
        connectivity.permuted(net(), [torch.zeros(7, dtype=int)])
    with pytest.raises(ValueError, match="A network of linear layers"):
        connectivity.permuted(nn.Linear(3, 3), [])
