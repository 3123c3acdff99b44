"""Information against other libraries and against the plainest way; networks side by side against
networks alone; the task against every symmetry of an icosahedron."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score
from torch import nn

from trickkit import information, mes
from trickkit.information import Experiment

X, Y = information.patterns()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("codes", "bits"),
    [
        ([4, 4, 4], 0),
        ([0, 1], 1),
        ([[0, 0], [0, 1], [1, 0], [1, 1]], 2),
        ([[0, 0], [1, 1]], 1),
        ([True, True, True, False], 2 - 0.75 * np.log2(3)),
        (torch.arange(4096), 12),
    ],
)
def test_entropy_of_what_can_be_counted_by_hand(codes, bits):
    assert information.entropy(codes) == pytest.approx(bits)


@pytest.mark.parametrize("seed", range(5))
def test_mutual_information_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 4, 50)
    b = (a + rng.integers(0, 3, 50)) % 5
    bits = mutual_info_score(a, b) / np.log(2)
    assert information.mutual_information(a, b) == pytest.approx(bits)
    assert information.mutual_information(b, a) == pytest.approx(bits)
    assert mes.mutual_information(a, b) / np.log(2) == pytest.approx(bits)
    rows = np.column_stack([a % 2, a // 2])  # the same in two columns
    assert information.mutual_information(rows, b) == pytest.approx(bits)


def test_bins_are_numpys():
    values = np.random.default_rng(0).uniform(-2, 3, (40, 3))
    found = information.bins(values, count=7, low=-1.5, high=2.5)
    assert (found == np.digitize(values, np.linspace(-1.5, 2.5, 8)[1:-1])).all()
    assert information.bins([-1, 1, -9, 9], count=30).tolist() == [0, 29, 0, 29]


def test_the_bound_is_its_formula():
    t = np.random.default_rng(0).normal(size=(9, 2))
    total = 0.0
    for one in t:
        near = [np.exp(-((one - other) ** 2).sum() / (2 * 0.3)) for other in t]
        total -= np.log2(np.mean(near))
    assert information.kde_bound(t, variance=0.3) == pytest.approx(total / 9)


def test_the_bound_counts_what_is_far_apart():
    apart = torch.arange(16.0)[:, None]
    assert information.kde_bound(apart, variance=1e-4) == pytest.approx(4)
    assert information.kde_bound(torch.zeros(16, 3)) == pytest.approx(0)
    assert information.kde_bound(apart // 4, variance=1e-4) == pytest.approx(2)


def symmetries():
    """All ways to number an icosahedron's vertices anew that keep its edges."""
    dots = information.icosahedron() @ information.icosahedron().T
    assert np.allclose(np.sort(dots), [-1, *[-(5**-0.5)] * 5, *[5**-0.5] * 5, 1])
    joined = dots > 0.1

    def extended(found):
        if len(found) == 12:
            yield found
            return
        for vertex in set(range(12)) - set(found):
            edges = joined[vertex, list(found)] == joined[len(found), : len(found)]
            if edges.all():
                yield from extended((*found, vertex))

    return np.array(list(extended(())))


def orbits(turns):
    """How many patterns differ, up to these symmetries."""
    lit = X.numpy().astype(int)
    numbers = [lit[:, turn] @ (1 << np.arange(12)) for turn in turns]
    return len(np.unique(np.min(numbers, axis=0)))


def test_the_label_is_the_same_however_the_icosahedron_is_turned_or_mirrored():
    every = symmetries()
    assert len(every) == 120
    place = X.numpy().astype(int) @ (1 << np.arange(12))
    assert (place == np.arange(4096)).all()
    for turn in every:
        turned = X.numpy().astype(int)[:, turn] @ (1 << np.arange(12))
        assert torch.equal(Y[turned], Y)
    points = information.icosahedron()
    turns = [t for t in every if np.linalg.det(np.linalg.lstsq(points, points[t])[0]) > 0]
    assert len(turns) == 60
    # as Burnside's lemma has it: 96 ways to colour by turning, 82 with the mirror
    assert (orbits(turns), orbits(every)) == (96, 82)


def test_the_label_is_what_their_file_has():
    assert Y.double().mean() == 2118 / 4096
    assert information.entropy(Y) == pytest.approx(0.9992, abs=5e-5)


def alone(weights, run, activation):
    """One of the networks, as anybody would write it."""
    layers = []
    for w, b in weights:
        layer = nn.Linear(*w.shape[1:])
        layer.weight.data, layer.bias.data = w[run].T.clone(), b[run, 0].clone()
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize(("name", "kind"), [("tanh", nn.Tanh), ("relu", nn.ReLU)])
def test_networks_side_by_side_have_the_gradients_of_each_alone(name, kind):
    weights = information.untrained(3, generator=generator())
    rows = torch.stack([torch.randperm(4096, generator=generator(s))[:50] for s in range(3)])
    parts = [part.requires_grad_() for pair in weights for part in pair]
    loss = information.summed_loss(weights, X[rows], Y[rows], name)
    grads = torch.autograd.grad(loss, parts)
    for run in range(3):
        net = alone(weights, run, kind)
        nn.functional.cross_entropy(net(X[rows[run]]), Y[rows[run]]).backward()
        theirs = [p.grad.T if p.dim() == 2 else p.grad[None] for p in net.parameters()]
        for mine, wanted in zip(grads, theirs, strict=True):
            torch.testing.assert_close(mine[run], wanted)


def test_training_side_by_side_is_training_alone():
    networks = information.train(
        Experiment(share=1.0, batch_size=4096, lr=0.01, runs=2, kept=(0, 1, 5), seed=3)
    )
    assert networks.flat.shape == (3, 2, 294)
    for run in range(2):
        net = alone(information.unpacked(networks.flat[0]), run, nn.Tanh)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X), Y).backward()
            optimizer.step()
        mine = alone(information.unpacked(networks.flat[-1]), run, nn.Tanh)
        for one, other in zip(mine.parameters(), net.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_each_network_has_its_own_patterns_and_the_seed_decides():
    few = Experiment(share=0.3, runs=3, kept=(0, 1))
    one, same, other = (information.train(few._replace(seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(one.flat, same.flat) and not torch.equal(one.flat, other.flat)
    assert one.seen.sum(1).tolist() == [1229] * 3
    assert not torch.equal(one.seen[0], one.seen[1])


def test_shuffled_labels_teach_nothing():
    some = Experiment(lr=0.01, runs=3, kept=(0, 40))
    learnt, shuffled = (information.train(some._replace(shuffled=s)) for s in (False, True))
    assert information.unseen_accuracy(learnt)[-1].min() > 0.8
    assert abs(information.unseen_accuracy(shuffled)[-1].mean() - 0.5) < 0.1


def test_impostors_compress_and_know_nothing():
    weights = information.impostor(information.untrained(10, generator=generator(5)))
    values = information.outputs(weights, X)
    xt, ty = information.plane(values, Y, code=lambda t: information.bins(t, count=30))
    assert xt[:, 4].mean() < 4 and ty[:, 4].mean() < 0.2
    assert abs((values[-1].argmax(-1) == Y).double().mean() - 0.5) < 0.1


def test_the_networks_that_came_with_the_course():
    for name, experiment in information.EXPERIMENTS.items():
        networks = information.load(name)
        assert networks.experiment == experiment
        assert networks.flat.shape == (len(experiment.kept), experiment.runs, 294)
        assert (networks.seen.sum(1) == round(4096 * experiment.share)).all()
    right = information.unseen_accuracy(information.load("tanh"))
    assert right.shape == (31, 10) and right[0].mean() < 0.6 and right[-1].min() > 0.93


def test_weights_go_into_a_row_and_back():
    weights = information.untrained(4, generator=generator())
    back = information.unpacked(information.packed(weights))
    for pair, other in zip(weights, back, strict=True):
        assert all(map(torch.equal, pair, other))


def test_the_plane_is_its_definition():
    weights = information.untrained(2, generator=generator())
    values = information.outputs(weights, X)
    xt, ty = information.plane(values, Y, code=lambda t: information.bins(t, count=30))
    for run, layer in itertools.product(range(2), (0, 2, 5)):
        codes = information.bins(values[layer][run], count=30)
        assert xt[run, layer] == pytest.approx(
            information.mutual_information(torch.arange(4096), codes)
        )
        assert ty[run, layer] == pytest.approx(information.mutual_information(codes, Y))


def test_a_history_is_one_plane_after_another():
    networks = information.train(Experiment("relu", runs=2, kept=(0, 1)))
    xt, ty = information.history(networks, code=information.each_value, steps=(1, 0))
    assert xt.shape == ty.shape == (2, 2, 6)
    values = information.outputs(information.unpacked(networks.flat[1]), X, activation="relu")
    assert xt[0] == pytest.approx(information.plane(values, Y, code=information.each_value)[0])


def test_rows_stay_apart_when_they_are_joined_however_many_units():
    codes = np.random.default_rng(0).integers(0, 1000, (2, 300, 10))
    codes[:, 100:] = codes[:, :200]
    joined = information.joined(codes)
    assert joined.shape == (2, 300)
    for rows, numbers in zip(codes, joined, strict=True):
        assert information.entropy(rows) == pytest.approx(information.entropy(numbers))
    flat = codes.reshape(600, 10)
    same = (flat[:, None] == flat).all(2)
    assert (same == (joined.ravel()[:, None] == joined.ravel())).all()


def test_an_exact_layer_tells_everything():
    """No two inputs give the same."""
    weights = [(w.double(), b.double()) for w, b in information.untrained(3, generator=generator())]
    values = information.outputs(weights, X.double())
    xt, ty = information.plane(values, Y, code=information.each_value)
    assert xt == pytest.approx(12) and ty == pytest.approx(information.entropy(Y))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="whole numbers; these are float"):
        information.entropy([0.5, 1.5])
    with pytest.raises(ValueError, match="the shape is"):
        information.entropy(np.zeros((2, 2, 2), dtype=int))
    with pytest.raises(ValueError, match="3 came for a and 2 for b"):
        information.mutual_information([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="not finite"):
        information.bins([0, np.nan], count=3)
    with pytest.raises(ValueError, match="low is to be below high"):
        information.bins([0], count=3, low=1, high=1)
    with pytest.raises(ValueError, match=r"\(N, units\); the shape is \(3,\)"):
        information.kde_bound([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="no activation called 'Tanh'. Did you mean 'tanh'"):
        information.outputs(information.untrained(1, generator=generator()), X, activation="Tanh")
    with pytest.raises(ValueError, match="no experiment called 'ReLU'. Did you mean 'relu'"):
        information.load("ReLU")
