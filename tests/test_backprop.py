import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from trickkit import backprop


def problem(seed):
    """A small network with random biases too, five images, their labels, and dice to go on with."""
    dice = np.random.default_rng(seed)
    net = backprop.init(pixels=12, hidden=8, classes=4, seed=seed)
    net[1] = dice.normal(size=8)
    net[3] = dice.normal(size=4)
    return net, dice.random((5, 12)), dice.integers(0, 4, 5), dice


def by_autograd(net, x, y):
    parts = [torch.tensor(part, requires_grad=True) for part in (x, *net)]
    x, W1, b1, W2, b2 = parts
    cross_entropy(torch.relu(x @ W1 + b1) @ W2 + b2, torch.tensor(y)).backward()
    return [part.grad.numpy() for part in parts]


@pytest.mark.parametrize("seed", range(10))
def test_backward_against_autograd(seed):
    net, x, y, _ = problem(seed)
    gx, gradients = backprop.backward(net, x, y)
    for mine, theirs in zip([gx, *gradients], by_autograd(net, x, y), strict=True):
        assert mine.shape == theirs.shape and np.allclose(mine, theirs, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_backward_against_finite_differences(seed, capsys):
    net, x, y, _ = problem(seed)
    gx, gradients = backprop.backward(net, x, y)
    for place, mine in enumerate([gx, *gradients]):

        def loss(value, place=place):
            parts = [x, *net]
            parts[place] = value
            return backprop.cross_entropy(backprop.forward(parts[1:], parts[0])[2], y)

        assert backprop.compare_gradients(
            "part", mine, backprop.finite_differences(loss, [x, *net][place])
        )


def test_loss_and_softmax_against_torch_also_far_out():
    for size in (1, 1000):
        scores = size * np.random.default_rng(size).normal(size=(6, 4))
        y = np.array([0, 1, 2, 3, 0, 1])
        assert np.allclose(backprop.softmax(scores), torch.tensor(scores).softmax(1).numpy())
        assert backprop.cross_entropy(scores, y) == pytest.approx(
            cross_entropy(torch.tensor(scores), torch.tensor(y)).item()
        )
        g = backprop.cross_entropy_backward(scores, y)
        # all scores up together change nothing
        assert np.isfinite(g).all() and np.allclose(g.sum(axis=1), 0)


def test_a_layers_gradient_is_a_sum_of_outer_products():
    _, x, _, dice = problem(0)
    g = dice.normal(size=(5, 8))
    W = dice.normal(size=(12, 8))
    gx, gW, gb = backprop.layer_backward(g, x, W)
    assert np.allclose(gW, sum(np.outer(a, b) for a, b in zip(x, g, strict=True))) and np.allclose(
        gb, sum(g)
    )
    assert [
        np.linalg.matrix_rank(backprop.layer_backward(g[:n], x[:n], W)[1]) for n in (1, 2, 5)
    ] == [1, 2, 5]
    # the loss is linear in each factor, so the gradient foretells any change exactly
    dx = dice.normal(size=x.shape)
    dW = dice.normal(size=W.shape)
    assert np.isclose((gx * dx).sum(), (g * (dx @ W)).sum()) and np.isclose(
        (gW * dW).sum(), (g * (x @ dW)).sum()
    )


def test_relu_stops_what_was_off():
    g = np.array([[1.0, -2.0, 3.0, 4.0]])
    a = np.array([[0.5, 2.0, -1.0, 0.0]])
    assert (backprop.relu_backward(g, a) == [[1, -2, 0, 0]]).all()


def test_a_step_against_the_gradient_lowers_the_loss():
    for seed in range(10):
        net, x, y, _ = problem(seed)
        before = backprop.cross_entropy(backprop.forward(net, x)[2], y)
        _, gradients = backprop.backward(net, x, y)
        after = backprop.forward([p - 1e-3 * g for p, g in zip(net, gradients, strict=True)], x)[2]
        foretold = 1e-3 * sum((g**2).sum() for g in gradients)
        assert before - backprop.cross_entropy(after, y) == pytest.approx(foretold, rel=0.05)


def test_fool_raises_the_target_within_bounds_and_touches_nothing_else():
    for seed in range(10):
        net, x, y, _ = problem(seed)
        kept = [part.copy() for part in (x, *net)]
        target = (y + 1) % 4
        one = backprop.fool(net, x, target, step_size=0.5, steps=1)
        assert np.allclose(one, np.clip(x - 0.5 * by_autograd(net, x, target)[0], 0, 1))
        moved = backprop.fool(net, x, target, step_size=0.5, steps=30)
        losses = [backprop.cross_entropy(backprop.forward(net, z)[2], target) for z in (x, moved)]
        assert losses[1] < losses[0] and moved.min() >= 0 and moved.max() <= 1
        assert all(np.array_equal(a, b) for a, b in zip((x, *net), kept, strict=True))
        two = backprop.fool(
            net,
            backprop.fool(net, x, target, step_size=0.5, steps=10),
            target,
            step_size=0.5,
            steps=20,
        )
        assert np.array_equal(moved, two)


def test_finite_differences_of_a_square_and_of_whole_numbers():
    at = np.array([[1, 2], [3, 4]])
    slopes = backprop.finite_differences(lambda z: (z**2).sum(), at)
    assert np.allclose(slopes, 2 * at) and (at == [[1, 2], [3, 4]]).all()
    # at the bottom of a steep valley a step to one side would see a slope of 0.01
    assert np.allclose(backprop.finite_differences(lambda z: 1e4 * z @ z, np.zeros(2)), 0)


def test_compare_tells_exact_from_close_from_wrong(capsys):
    right = np.array([1.0, -2.0])
    assert backprop.compare_gradients("same", right, right) and backprop.compare_gradients(
        "near", right + [0, 1e-9], right
    )
    assert not backprop.compare_gradients(
        "off", right + 1e-5, right
    ) and not backprop.compare_gradients("nan", right * np.nan, right)
    for size in (1e-9, 1e9):  # close is a share of the gradient, however large that is
        near, off = ((1 + by) * size * right for by in (1e-7, 1e-5))
        assert backprop.compare_gradients("near", near, size * right)
        assert not backprop.compare_gradients("off", off, size * right)
    lines = capsys.readouterr().out.splitlines()
    assert (
        "exact yes   close yes" in lines[0]
        and "exact no    close yes" in lines[1]
        and "close no" in lines[2]
    )
    with pytest.raises(ValueError, match="has the shape of what it is the gradient of"):
        backprop.compare_gradients("side", np.zeros((2, 3)), np.zeros((3, 2)))


def test_images_and_labels_of_another_shape_are_refused():
    net, x, y, _ = problem(0)
    for images in (x[0], x.reshape(5, 3, 4), x[:, :11]):
        with pytest.raises(ValueError, match=r"\(N, 12\) is wanted, a row an image"):
            backprop.forward(net, images)
    scores = backprop.forward(net, x)[2]
    for labels in (y[:4], y[:, None], y + 4, y - 4, y / 1.0):
        for ask in (backprop.cross_entropy, backprop.cross_entropy_backward):
            with pytest.raises(ValueError, match="whole numbers from 0 to 3"):
                ask(scores, labels)


def test_a_fresh_network_keeps_the_size_of_its_sums():
    net = backprop.init(pixels=400, hidden=300, classes=10)
    a, _, scores = backprop.forward(net, np.random.default_rng(1).normal(size=(200, 400)))
    assert 0.9 < a.std() < 1.1 and 0.4 < scores.std() < 1.1
    assert all(
        (p == q).all()
        for p, q in zip(net, backprop.init(pixels=400, hidden=300, classes=10), strict=True)
    )


def test_a_loss_may_work_on_what_it_is_handed():
    def loss(x):
        x *= x
        return x.sum()

    at = np.array([1.0, 2.0])
    assert np.allclose(backprop.finite_differences(loss, at), 2 * at) and at.tolist() == [1, 2]


def test_no_labels_at_all_are_refused():
    with pytest.raises(ValueError, match="whole numbers from 0 to 2"):
        backprop.cross_entropy(np.zeros((0, 3)), np.zeros(0, int))


def test_lists_will_do_for_arrays():
    net = backprop.init(pixels=1, hidden=1, classes=2)
    scores = backprop.forward(net, [[0.5]])[2]
    assert np.array_equal(scores, backprop.forward(net, np.array([[0.5]]))[2])
    assert backprop.cross_entropy(scores, [1]) == backprop.cross_entropy(scores, np.array([1]))
