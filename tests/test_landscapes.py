"""The loss as a function of the weights: slices, curvature, gradients."""

import numpy as np
import pytest
import torch
from torch import nn

from trickkit import data, landscapes
from trickkit.papers import li2018


def tiny(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).eval()


@pytest.fixture
def land():
    torch.manual_seed(1)
    return landscapes.Landscape(tiny(), torch.rand(12, 1, 2, 2), torch.arange(12) % 3)


def test_the_loss_at_a_point_is_that_of_a_network_with_its_weights(land):
    other = tiny(7)
    point = landscapes.as_point(dict(other.named_parameters())).detach()
    theirs = nn.functional.cross_entropy(other(land.images), land.labels)
    assert float(land(point)) == pytest.approx(theirs.item(), rel=1e-6)
    right = (other(land.images).argmax(1) == land.labels).double().mean().item()
    assert land.accuracy(point) == right
    assert not torch.equal(point, land.start)


def test_a_part_of_the_images_has_its_own_landscape(land):
    part = land.on(torch.tensor([0, 3, 4]))
    assert len(part.images) == 3 and len(land.images) == 12
    losses = torch.stack([land.on(torch.tensor([i]))(land.start) for i in range(12)])
    assert torch.allclose(losses.mean(), land(land.start))


def test_what_is_no_landscape_is_refused(land):
    x, y = torch.rand(2, 1, 2, 2), torch.tensor([0, 1])
    batch_norm = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    with pytest.raises(ValueError, match="batch norm"):
        landscapes.Landscape(batch_norm, x, y)
    with pytest.raises(ValueError, match="no weights"):
        landscapes.Landscape(nn.Flatten(), x, y)
    with pytest.raises(ValueError, match=r"A point of this landscape is a tensor \(43,\)"):
        land(torch.zeros(3))


def test_a_normalised_direction_has_the_filters_lengths(land):
    weight = torch.randn(6, 3, 2, 2) * torch.rand(6, 1, 1, 1)
    drawn = torch.randn(6, 3, 2, 2)
    made = landscapes.filter_normalise(drawn, weight)
    assert torch.allclose(made.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))
    cosines = torch.cosine_similarity(made.flatten(1), drawn.flatten(1))
    assert torch.allclose(cosines, torch.ones(6))
    parts = land.parts(land.direction(seed=3))
    here = land.parts(land.start)
    for name, part in parts.items():
        length = part.norm(dim=-1)
        assert torch.allclose(length, here[name].norm(dim=-1) if part.dim() > 1 else length * 0)
    assert torch.equal(land.direction(seed=3), land.direction(seed=3))


def test_a_surface_is_the_loss_at_each_place(land):
    a, b = land.direction(seed=1), land.direction(seed=2)
    values = landscapes.surface(land, land.start, a, b, span=0.5, points=5)
    steps = np.linspace(-0.5, 0.5, 5)
    for i, j in ((0, 0), (1, 4), (2, 2), (4, 3)):
        there = land.start + float(steps[j]) * a + float(steps[i]) * b
        assert values[i, j] == pytest.approx(float(land(there)), rel=1e-5)


def test_a_plane_comes_back_as_a_plane():
    d = 7
    slope, centre, a, b = torch.randn(4, d)
    values = landscapes.surface(lambda p: 3 + p @ slope, centre, a, b, points=9)
    row, column = np.diff(values, axis=1), np.diff(values, axis=0)
    assert np.allclose(row, float(a @ slope) / 4, atol=1e-5)
    assert np.allclose(column, float(b @ slope) / 4, atol=1e-5)
    assert landscapes.minima(values) == 0


@pytest.mark.parametrize("waves", [1, 2, 3])
def test_minima_of_a_known_surface_are_counted(waves):
    s = np.linspace(0, 2 * np.pi * waves, 20 * waves + 1)
    hills = 2 + np.cos(s)[:, None] + np.cos(s)[None]
    assert landscapes.minima(hills) == waves**2  # one a wave, along each side
    assert landscapes.minima(np.ones((5, 5))) == 0
    bowl = np.add.outer((s - s.mean()) ** 2, (s - s.mean()) ** 2)
    assert landscapes.minima(bowl) == 1 and landscapes.minima(-bowl) == 0


def test_a_ripple_counts_only_as_deep_as_asked():
    noise = 1 + 1e-6 * np.random.default_rng(0).normal(size=(25, 25))
    assert landscapes.minima(noise) == 0 and landscapes.minima(noise, depth=0) > 40
    dents = np.ones((7, 9))
    dents[2, 2], dents[4, 6] = 0.97, 0.8  # 3 % and 25 % below their neighbours
    for values in (dents, 50 * dents):
        assert [landscapes.minima(values, depth=d) for d in (0, 0.03, 0.04, 0.26)] == [2, 2, 1, 0]
    with pytest.raises(ValueError, match="depth"):
        landscapes.minima(dents, depth=-0.1)


def test_roughness_is_zero_for_what_grows_evenly_and_counts_bends():
    s = np.arange(6)
    assert landscapes.roughness(10.0 ** np.add.outer(s, 2 * s)) == pytest.approx(0, abs=1e-9)
    assert landscapes.roughness(10.0 ** np.add.outer(s**2, 0 * s)) == pytest.approx(1)  # 2, and 0
    rng = np.random.default_rng(0)
    rough = np.exp(rng.normal(size=(8, 8)))
    assert landscapes.roughness(rough) == pytest.approx(landscapes.roughness(7 * rough))


def test_the_top_eigenvalue_is_that_of_the_whole_hessian(land):
    hessian = torch.autograd.functional.hessian(land, land.start)
    right = torch.linalg.eigvalsh(hessian)[-1].item()
    assert landscapes.top_eigenvalue(land, land.start) == pytest.approx(right, rel=1e-3)


def test_the_top_eigenvalue_of_a_known_form_is_the_most_positive():
    curvature = torch.tensor([1.0, 2.0, 5.0, -9.0, 0.0, 0.5])
    found = landscapes.top_eigenvalue(lambda p: (curvature * p.square()).sum() / 2, torch.ones(6))
    assert found == pytest.approx(5, rel=1e-3)


def test_principal_directions_are_those_of_a_full_decomposition():
    path = torch.randn(9, 20, dtype=torch.float64).cumsum(0)
    directions, shares = landscapes.principal_directions(path)
    centred = path - path.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    assert np.allclose(shares[:2], (values.flip(0)[:2] / values.sum()).numpy())
    for mine, right in zip(directions, vectors.T.flip(0), strict=False):
        assert abs((mine @ right).item()) == pytest.approx(1)


def test_a_long_random_walk_has_the_shares_that_theory_says():
    walk = torch.randn(400, 20_000, generator=torch.Generator().manual_seed(0)).cumsum(0)
    _, shares = landscapes.principal_directions(walk)
    assert shares[:3] == pytest.approx([6 / np.pi**2 / k**2 for k in (1, 2, 3)], rel=0.05)


def test_gradients_of_batches_are_those_of_their_losses(land):
    batches = torch.arange(12).split(4)
    found = landscapes.batch_gradients(land, land.start, batches=batches)
    for gradient, rows in zip(found, batches, strict=True):
        point = land.start.clone().requires_grad_(True)
        land.on(rows)(point).backward()
        assert torch.allclose(gradient, point.grad, atol=1e-6)


def test_parallel_is_the_mean_cosine_of_all_pairs():
    v = torch.randn(6, 4)
    cosines = torch.cosine_similarity(v[:, None], v[None], dim=2)
    right = cosines[~torch.eye(6, dtype=bool)].mean().item()
    assert landscapes.parallel(v) == pytest.approx(right, abs=1e-6)
    assert landscapes.parallel(v[:1].repeat(3, 1) * torch.tensor([[1.0], [2.0], [3.0]])) == (
        pytest.approx(1)
    )


def test_a_deep_network_adds_its_input_only_with_skips():
    x = torch.rand(3, 1, 28, 28)
    plain, skips = (landscapes.DeepNetwork(4, skips=s, seed=2) for s in (False, True))
    assert plain(x).shape == (3, 10)
    for one, other in zip(plain.parameters(), skips.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not torch.allclose(plain(x), skips(x))
    with pytest.raises(ValueError, match="An even number of convolutions"):
        landscapes.DeepNetwork(3, skips=True)


def test_the_kept_slices_are_those_of_the_kept_networks():
    for name in ("18 with skips", "18 without"):
        net = li2018.network(name)
        land = li2018.landscape(net)
        kept = li2018.slices(name)
        assert kept.shape == (li2018.PAIRS, li2018.POINTS, li2018.POINTS)
        first, second = land.direction(seed=4), land.direction(seed=5)
        steps = np.linspace(-1, 1, li2018.POINTS)
        for i, j in ((0, 0), (12, 12), (7, 20)):
            there = land.start + float(steps[j]) * first + float(steps[i]) * second
            with torch.no_grad():
                assert kept[2, i, j] == pytest.approx(float(land(there)), rel=0.02)


def test_an_unknown_deep_network_is_refused():
    with pytest.raises(ValueError, match="54 with skips"):
        li2018.network("54 with skip")
    with pytest.raises(ValueError, match="no network called"):
        li2018.slices("55")


def test_the_deep_networks_read_clothes():
    clothes = data.clothes()
    for name, low in (("54 with skips", 0.7), ("54 without", 0.6)):
        said = li2018.network(name)(clothes.test_images[:500]).argmax(1)
        assert (said == clothes.test_labels[:500]).double().mean() > low
