import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize

from trickkit import linear


def problem(seed: int):
    torch.manual_seed(seed)
    weights = torch.randn(4, 8)
    biases = torch.randn(4)
    images = torch.rand(5, 8).mul(1.4).sub(0.2).clamp(0, 1)
    labels = (images @ weights.T + biases).argmax(1)
    labels[0] = (labels[0] + 1) % 4
    return weights, biases, images, labels


def by_linear_programming(w, b, x, y, bounds):
    """The least ε with some j whose score reaches y's: minimise ε over (change, ε) by SciPy, class
    by class."""
    best = np.inf
    for j in range(len(w)):
        if j == y:
            continue
        d = w[j] - w[y]
        n = len(x)
        reach = np.append(-d, 0)  # d · change >= lead
        limits = np.vstack(
            [
                np.hstack([np.eye(n), -np.ones((n, 1))]),
                np.hstack([-np.eye(n), -np.ones((n, 1))]),
                reach,
            ]
        )
        rights = np.append(np.zeros(2 * n), d @ x + b[j] - b[y])
        found = linprog(np.append(np.zeros(n), 1), limits, rights, bounds=[*bounds(x), (0, None)])
        best = min(best, found.fun if found.success else np.inf)
    return max(best, 0)


@pytest.mark.parametrize("seed", range(8))
def test_distance_per_pixel_against_linear_programming(seed):
    weights, biases, images, labels = problem(seed)
    given = (weights.double(), biases.double(), images.double(), labels)
    free = linear.distance(*given)
    boxed = linear.distance_in_box(*given)
    for i in range(5):
        w = weights.double().numpy()
        b = biases.double().numpy()
        x = images[i].double().numpy()
        y = int(labels[i])
        assert free[i] == pytest.approx(
            by_linear_programming(w, b, x, y, lambda x: [(None, None)] * 8), abs=1e-6
        )
        assert boxed[i] == pytest.approx(
            by_linear_programming(w, b, x, y, lambda x: [(-v, 1 - v) for v in x]), abs=1e-6
        )


@pytest.mark.parametrize("seed", range(4))
def test_length_against_a_general_optimiser(seed):
    weights, biases, images, labels = (
        t.double() if t.is_floating_point() else t for t in problem(seed)
    )
    free = linear.distance(weights, biases, images, labels, norm="l2")
    boxed = linear.distance_in_box(weights, biases, images, labels, norm="l2")
    assert (boxed >= free - 1e-9).all() and free[0] == 0 and boxed[0] == 0
    for i in range(1, 5):
        y = int(labels[i])
        best = {"free": np.inf, "box": np.inf}
        for j in set(range(4)) - {y}:
            d = (weights[j] - weights[y]).numpy()
            x = images[i].numpy()
            lead = -(d @ x + float(biases[j] - biases[y]))
            for kind, bounds in (("free", None), ("box", [(-v, 1 - v) for v in x])):
                found = minimize(
                    lambda c: c @ c,
                    np.zeros(8),
                    jac=lambda c: 2 * c,
                    bounds=bounds,
                    method="SLSQP",
                    constraints={"type": "ineq", "fun": lambda c, d=d, lead=lead: d @ c - lead},
                )
                if found.success:
                    best[kind] = min(best[kind], np.sqrt(found.fun))
        assert free[i].item() == pytest.approx(best["free"], abs=1e-4)
        assert boxed[i].item() == pytest.approx(best["box"], abs=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_scale_of_the_scores_does_not_matter(norm):
    weights, biases, images, labels = problem(0)
    for ask in (linear.distance, linear.distance_in_box):
        plain = ask(weights, biases, images, labels, norm=norm)
        assert plain.max() > 0.1
        for scale in (1e-3, 1e3):
            scaled = ask(scale * weights, scale * biases, images, labels, norm=norm)
            assert torch.allclose(scaled, plain, rtol=1e-4)


def test_no_picture_that_flips_is_infinitely_far():
    weights = torch.tensor([[0.0], [1.0]])
    biases = torch.tensor([5.0, 0.0])
    assert (
        linear.distance_in_box(weights, biases, torch.tensor([[0.5]]), torch.tensor([0]))
        == torch.inf
    )


def test_shortest_makes_the_scores_equal_and_is_shortest():
    for seed in range(20):
        weights, biases, images, _ = problem(seed)
        change = linear.shortest(weights, biases, images[1], 0, 3)
        scores = weights @ (images[1] + change) + biases
        assert torch.isclose(scores[0], scores[3], atol=1e-4)
        for _ in range(20):  # any other change that makes them equal is longer
            other = torch.randn(8)
            d = weights[3] - weights[0]
            other = other - (other @ d) / (d @ d) * d + change
            assert other.norm() >= change.norm() - 1e-5


def test_nudge_reaches_the_dual_norm():
    for n in (1, 10, 1000):
        x = torch.randn(n)
        w = torch.randn(n)
        gain = (linear.nudge(x, w, eps=0.1) - x) @ w
        assert torch.isclose(gain, 0.1 * w.abs().sum(), rtol=1e-3)
        others = (torch.rand(200, n) * 2 - 1) * 0.1  # nobody within ε gains more
        assert (others @ w).max() <= gain + 1e-5


def test_an_unknown_norm_is_refused():
    for ask in (linear.distance, linear.distance_in_box):
        with pytest.raises(ValueError, match="no norm called 'l0'"):
            ask(*problem(0), norm="l0")


def test_classes_with_one_template_are_told_apart_by_nothing():
    weights = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.0, 1.0]])
    biases = torch.tensor([0.0, 0.0, -9.0])
    image = torch.tensor([0.5, 0.5])
    with pytest.raises(ValueError, match="Classes 0 and 1 have the same template"):
        linear.shortest(weights, biases, image, 0, 1)
    for norm in ("linf", "l2"):
        assert linear.distance(weights, biases, image[None], torch.tensor([0]), norm=norm) == 0
    with pytest.raises(ValueError, match="from 0 to 2"):
        linear.distance(weights, biases, image[None], torch.tensor([3]))


X = torch.rand(2, 8)
W = torch.randn(3, 8)


@pytest.mark.parametrize(
    "weights, biases, images, says",
    [
        (W[:1], torch.zeros(1), X, "two classes or more"),
        (W, torch.zeros(2), X, "two classes or more"),
        (W, torch.zeros(3), X[:, :7], "two classes or more"),
        (W, torch.zeros(3), X[:0], "two classes or more"),
        (W, torch.zeros(3), X.double(), "one of them is wanted. Use images.to"),
        (W, torch.zeros(3).double(), X, "one of them is wanted. Use biases.to"),
        (W, torch.zeros(3), X.numpy(), "images is array.*a torch tensor of floats"),
        (W, torch.zeros(3), X * torch.nan, "images holds numbers that are not finite"),
        (W * torch.inf, torch.zeros(3), X, "weights holds numbers that are not finite"),
    ],
)
def test_a_classifier_and_images_that_do_not_fit(weights, biases, images, says):
    for call in (linear.distance, linear.distance_in_box):
        with pytest.raises(ValueError, match=says):
            call(weights, biases, images, 0)
    if len(images):
        with pytest.raises(ValueError, match=says):
            linear.shortest(weights, biases, images[0], 0, 1)


def test_classes_that_there_are_not():
    for label, target in ((-1, 2), (1, 99), (1, -1), (1.0, 2)):
        with pytest.raises(ValueError, match="Labels are wanted"):
            linear.shortest(W, torch.zeros(3), X[0], label, target)
    for eps in (float("nan"), None, np.array(0.1)):
        with pytest.raises(ValueError, match="eps is"):
            linear.nudge(X[0], W[0], eps=eps)
