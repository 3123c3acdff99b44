"""Trained networks hold, certificates tell the truth, broken defences break, and bad input is told
what is wanted."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import beta, binom, norm
from torch import nn

from trickkit import attacks, contract, data, defences, training
from trickkit.course import weights
from trickkit.models import accuracy

DIGITS = data.digits()
X = DIGITS.test_images[:60]
Y = DIGITS.test_labels[:60]


@pytest.fixture(scope="module")
def natural():
    return defences.robust(0.0)


# Training.


@pytest.mark.parametrize(
    "augment", [defences.pgd_examples(0.2, steps=2), defences.gaussian_noise(0.5), None]
)
def test_training_is_the_same_twice_and_learns(augment):
    images = DIGITS.train_images[:200]
    labels = DIGITS.train_labels[:200]
    once, twice = (
        training.train(
            defences.digit_network(),
            images,
            labels,
            epochs=4,
            lr=2e-3,
            batch_size=20,
            augment=defences.shifts(augment),
            schedule=training.cosine_decay,
        )
        for _ in range(2)
    )
    assert not once.training
    assert all(
        torch.equal(a, b) for a, b in zip(once.parameters(), twice.parameters(), strict=True)
    )
    start = nn.functional.cross_entropy(defences.digit_network()(images), labels)
    assert nn.functional.cross_entropy(once(images), labels) < start - 0.02


def test_adversarial_spoils_up_to_an_eps_that_grows(natural):
    dice = torch.Generator().manual_seed(0)
    for done, eps in ((0.1, 0.075), (0.4, 0.3), (1.0, 0.3)):
        spoilt = defences.pgd_examples(0.3)(natural, X, Y, done, dice)
        assert math.isclose((spoilt - X).abs().max(), eps, rel_tol=1e-4)
        assert nn.functional.cross_entropy(natural(spoilt), Y) > nn.functional.cross_entropy(
            natural(X), Y
        )


def test_noise_has_its_spread_and_comes_after_the_shift(natural):
    dice = torch.Generator().manual_seed(0)
    spread = defences.gaussian_noise(0.25)(natural, X, Y, 1.0, dice) - X
    assert abs(spread.std() - 0.25) < 0.005 and abs(spread.mean()) < 0.005
    given = []

    def then(model, images, labels, done, generator):
        given.append(images)
        return images + done

    shifted = defences.shifts(then)(natural, X, Y, 0.5, torch.Generator().manual_seed(3))
    alone = defences.shifts()(natural, X, Y, 0.5, torch.Generator().manual_seed(3))
    assert torch.equal(given[0], alone) and torch.equal(shifted, alone + 0.5)
    assert not torch.equal(alone, X)


def test_shifted_moves_each_image_its_own_way_with_black_at_the_rim():
    images = torch.zeros(300, 1, 9, 7)
    images[:, 0, 4, 3] = 1
    moved = defences.shifted(images, max_shift=2, generator=torch.Generator().manual_seed(1))
    assert moved.shape == images.shape and (moved.sum((1, 2, 3)) == 1).all()
    places = moved.flatten(1).argmax(1)
    assert set(places.tolist()) == {(4 + i) * 7 + 3 + j for i in range(-2, 3) for j in range(-2, 3)}
    assert torch.equal(defences.shifted(X, max_shift=0, generator=torch.Generator()), X)


def test_the_shipped_networks_do_what_they_were_trained_for(natural):
    robust = defences.robust(0.3)
    assert accuracy(natural, X, Y) > 0.9 and accuracy(robust, X, Y) > 0.9
    assert accuracy(natural, attacks.pgd(natural, X, Y, eps=0.3, steps=20), Y) < 0.1
    assert accuracy(robust, attacks.pgd(robust, X, Y, eps=0.3, steps=20), Y) > 0.8
    noisy = X + 0.5 * torch.randn(X.shape, generator=torch.Generator().manual_seed(0)).to(X)
    assert accuracy(defences.noise_trained(0.5), noisy, Y) > accuracy(natural, noisy, Y) + 0.1
    assert (data.DATA / defences.FILE).stat().st_size < 2e6


def test_the_twin_is_another_network_of_the_same_kind(natural):
    twin = defences.natural_twin()
    assert accuracy(twin, X, Y) > 0.9
    for ours, theirs in zip(twin.parameters(), natural.parameters(), strict=True):
        assert ours.shape == theirs.shape and not torch.allclose(ours, theirs, atol=0.01)
    moved = attacks.momentum(twin, X, Y, eps=0.2, steps=10, early_stop=False)
    assert accuracy(natural, moved, Y) < 0.3  # what is made on the one fools the other


def test_a_network_that_does_not_exist_or_weights_that_are_gone(monkeypatch, tmp_path):
    with pytest.raises(
        ValueError, match="no network trained with eps = 0.25; there are 0, 0.1, 0.2, 0.3"
    ):
        defences.robust(0.25)
    with pytest.raises(ValueError, match="no network trained with sigma = 1; there are 0.25, 0.5"):
        defences.noise_trained(1)
    monkeypatch.setattr(data, "DATA", tmp_path)
    with pytest.raises(FileNotFoundError, match="missing. Restore it with"):
        defences.robust(0.3)
    (tmp_path / "weights").mkdir()
    (tmp_path / defences.FILE).write_bytes(b"half")
    with pytest.raises(ValueError, match="damaged"):
        defences.robust(0.3)


def test_made_weights_are_written_whole_and_their_checksum_recorded(monkeypatch, tmp_path, capsys):
    (tmp_path / "weights").mkdir()
    (tmp_path / "SOURCES.csv").write_bytes((data.DATA / "SOURCES.csv").read_bytes())
    before = (tmp_path / "SOURCES.csv").read_bytes().decode().splitlines(keepends=True)
    few = DIGITS._replace(
        train_images=DIGITS.train_images[:100], train_labels=DIGITS.train_labels[:100]
    )
    monkeypatch.setattr(data, "digits", lambda: few)
    monkeypatch.setattr(data, "DATA", tmp_path)
    monkeypatch.setattr(defences, "RECIPES", {name: (None, 1, 0) for name in defences.RECIPES})
    try:
        weights.train_networks()
        made = training.train(
            defences.digit_network(),
            few.train_images,
            few.train_labels,
            epochs=1,
            lr=2e-3,
            schedule=training.cosine_decay,
        )
        for kept in (defences.robust(0.3), defences.noise_trained(0.5)):  # in half as many bits
            for ours, theirs in zip(kept.parameters(), made.parameters(), strict=True):
                assert torch.allclose(ours, theirs, atol=1e-3)
        after = (tmp_path / "SOURCES.csv").read_bytes().decode().splitlines(keepends=True)
        changed = [a for a, b in zip(after, before, strict=True) if a != b]
        assert len(changed) == 1 and changed[0].startswith(defences.FILE)
        assert changed[0].count('"') == next(
            row for row in before if row.startswith(defences.FILE)
        ).count('"')
    finally:
        data.sources.cache_clear()


# The worst case, and gradients that hide.


def test_held_is_the_worst_case_of_each_image(natural):
    attempts = [
        X,
        attacks.fgsm(natural, X, Y, eps=0.1),
        attacks.pgd(natural, X, Y, eps=0.1, steps=5),
    ]
    found = defences.withstood(natural, attempts, Y)
    for i in range(len(X)):
        assert found[i] == all(natural(x[i : i + 1]).argmax() == Y[i] for x in attempts)
    assert found.float().mean() <= min(accuracy(natural, x, Y) for x in attempts)


def test_quantised_and_dithered_keep_few_levels_and_dithered_is_right_on_average(monkeypatch):
    images = torch.rand(3, 1, 5, 5)
    for levels in (2, 4, 7):
        grid = torch.arange(levels) / (levels - 1)
        near = defences.quantised(images, levels=levels)
        assert (
            torch.equal(defences.quantised(near, levels=levels), near)
            and (near - images).abs().max() <= 0.5 / (levels - 1) + 1e-6
        )
        tossed = torch.stack([defences.dithered(images, levels=levels) for _ in range(4000)])
        assert set(tossed.unique().tolist()) <= set(grid.tolist())
        assert (tossed - images).abs().max() < 1 / (levels - 1) + 1e-6
        assert (tossed.mean(0) - images).abs().max() < 5 * 0.5 / (levels - 1) / math.sqrt(4000)
    white = torch.ones(1, 1, 2, 2)
    # the largest throw there is rounds up in the sum
    monkeypatch.setattr(torch, "rand_like", lambda x: torch.full_like(x, 1 - 2**-24))
    assert torch.equal(defences.dithered(white), white)


def test_clouded_is_the_rounded_image_and_noise_of_that_spread():
    images = torch.rand(2, 1, 5, 5)
    seen = torch.stack(
        [defences.clouded(images, levels=8, sigma=0.5) for _ in range(4000)]
    ) - defences.quantised(images, levels=8)
    assert seen.mean(0).abs().max() < 5 * 0.5 / math.sqrt(4000) and abs(seen.std() - 0.5) < 0.01
    assert not contract.loss_gradient(
        lambda x: defences.clouded(x).flatten(1), images, torch.tensor([0, 1])
    ).any()
    with pytest.raises(ValueError, match="sigma is 0"):
        defences.clouded(images, sigma=0)


def test_straight_through_keeps_the_output_and_passes_the_gradient(natural):
    def opened(x):
        return natural(defences.straight_through(defences.quantised)(x))

    assert torch.allclose(opened(X), natural(defences.quantised(X)), atol=1e-4)
    hidden = contract.loss_gradient(lambda x: natural(defences.quantised(x)), X, Y)
    assert not hidden.any()
    behind = contract.loss_gradient(natural, defences.quantised(X), Y)
    assert torch.allclose(contract.loss_gradient(opened, X, Y), behind, atol=1e-6)


def test_averaged_is_the_log_of_the_mean_probability_and_so_is_its_gradient():
    answers = iter(list(torch.randn(6, 4, 5)) * 2)
    mean = defences.averaged(lambda x: next(answers), draws=6)(X)
    again = torch.stack([next(answers).softmax(1) for _ in range(6)]).mean(0)
    assert torch.allclose(mean.exp(), again, atol=1e-6) and torch.allclose(
        mean.exp().sum(1), torch.ones(4)
    )
    weights = torch.randn(784, 3).to(X)
    signs = [1.0, -1.0]
    tosses = iter([0, 1, 0, 1])

    def model(x):
        return signs[next(tosses)] * (x.flatten(1) @ weights)

    x = X[:2].clone().requires_grad_(True)
    found = torch.autograd.grad(defences.averaged(model, draws=2)(x)[:, 1].exp().sum(), x)[0]
    exact = torch.autograd.grad(sum(model(x).softmax(1)[:, 1].sum() for _ in range(2)) / 2, x)[0]
    assert torch.allclose(found, exact, atol=1e-6)


def test_a_defence_that_hides_its_gradient_shows_it_and_falls(natural):
    def broken(x):
        return natural(defences.quantised(x))

    found = defences.symptoms(broken, X, Y, eps=0.2, stand_in=natural)
    signs = dict(zip(defences.SIGNS, defences.suspicious(found), strict=True))
    assert signs["gradients are zero"] and signs["a query attack beats the gradient"]
    assert (
        signs["a borrowed attack beats the gradient"] and signs["without a limit some still hold"]
    )
    assert not any(
        defences.suspicious(
            defences.symptoms(natural, X, Y, eps=0.2, stand_in=defences.robust(0.1))
        )
    )
    asked = []

    def counted(images):
        asked.append(len(images))
        return natural(images)

    x = defences.break_defence(counted, defences.dithered, X, Y, eps=0.2)
    assert asked == [len(X)] * 16 * 20  # sixteen draws a step, and no digit is left out early
    assert (x - X).abs().max() < 0.2001 and x.min() >= 0 and x.max() <= 1
    assert accuracy(lambda z: natural(defences.dithered(z)), x, Y) < 0.1


def test_each_symptom_is_the_share_that_it_says():
    """Of a model that looks at the first pixel alone, and a lender that looks at the last."""
    images = torch.full((8, 1, 2, 2), 0.5)
    images[:, 0, 0, 0] = torch.tensor([0.51, 0.55, 0.59, 0.62, 0.7, 0.75, 0.8, 0.9])
    labels = torch.ones(8, dtype=torch.long)

    def looks_at(row, column):
        return lambda x: torch.stack([torch.full_like(x[:, 0, 0, 0], 0.5), x[:, 0, row, column]], 1)

    model, lender = looks_at(0, 0), looks_at(1, 1)
    found = defences.symptoms(model, images, labels, eps=0.1, stand_in=lender)
    assert found["one step"] == found["many steps"] == found["queries"] == 0.625
    assert found["gradient zero"] == found["no limit"] == 0 and found["borrowed"] == 1
    held = torch.ones(8, dtype=torch.bool)
    for seed in range(20):  # noise within ε, and each image's worst case
        noise = attacks.random_in_ball(images, torch.tensor(0.1), norm="linf", seed=seed)
        held &= model(images + noise).argmax(1) == 1
    assert found["noise"] == held.float().mean() < 1
    blind = defences.symptoms(lambda x: model(x.round()), images, labels, eps=0.1, stand_in=model)
    assert blind["gradient zero"] == 1 and blind["borrowed"] == 0.625


@pytest.mark.parametrize(
    ("change", "signs"),
    [
        ({}, []),
        ({"gradient zero": 0.03}, [0]),
        ({"one step": 0.47}, [1]),
        ({"noise": 0.47}, [2]),
        ({"queries": 0.47}, [3]),
        ({"borrowed": 0.47}, [4]),
        ({"no limit": 0.03}, [5]),
        ({"many steps": 0.53}, [1, 2, 3, 4]),
        ({"many steps": 0.51, "gradient zero": 0.01, "no limit": 0.01}, []),
    ],
)
def test_a_sign_is_more_than_two_points(change, signs):
    even = {"gradient zero": 0.0, "no limit": 0.0} | dict.fromkeys(
        ("one step", "many steps", "noise", "queries", "borrowed"), 0.5
    )
    shown = defences.suspicious(even | change)
    assert len(shown) == len(defences.SIGNS) and [i for i, s in enumerate(shown) if s] == signs


# Randomised smoothing.


def test_the_class_is_the_favourite_of_the_first_draws_alone():
    certificate = defences.certificate(
        torch.tensor([3, 90, 7]), torch.tensor([900, 100, 0]), sigma=0.5
    )
    assert certificate == (-1, 0.0)


@pytest.mark.parametrize("alpha", [0.001, 0.05])
def test_the_bound_is_clopper_and_pearsons(alpha):
    selection = torch.tensor([3, 90, 7])
    for n in (20, 500, 10_000):
        for hits in {n // 2 + 1, int(0.8 * n), n - 1, n}:
            label, radius = defences.certificate(
                selection, torch.tensor([n - hits, hits, 0]), sigma=0.5, alpha=alpha
            )
            p = beta.ppf(alpha, hits, n - hits + 1)
            assert (label, radius) == (
                (-1, 0.0) if p <= 0.5 else (1, pytest.approx(0.5 * norm.ppf(p), rel=1e-6))
            )


def test_a_certificate_is_wrong_no_more_often_than_alpha():
    dice = torch.Generator().manual_seed(0)
    alpha = 0.05
    tries = 1500
    for p in (0.45, 0.55, 0.9):
        counts = (torch.rand(tries, 200, generator=dice) < p).sum(1)
        wrong = 0
        for hits in counts.tolist():
            label, radius = defences.certificate(
                torch.tensor([0, 10]), torch.tensor([200 - hits, hits]), sigma=1.0, alpha=alpha
            )
            wrong += label == 1 and radius > norm.ppf(p)
        assert wrong <= binom.ppf(0.9999, tries, alpha)
        assert p < 0.5 or wrong > 0.2 * alpha * tries  # and the bound is not a careless one


def test_certify_agrees_with_the_truth_on_a_linear_classifier():
    """Two classes, score w·x + b: the smoothed classifier's radius is |w·x + b| / ‖w‖, whatever σ
    is (Cohen et al., app. B)."""
    torch.manual_seed(0)
    wrong = 0
    for seed in range(40):
        w = torch.randn(49)
        image = torch.rand(1, 1, 7, 7)
        sigma = 0.3 + torch.rand(()).item()
        # further out a share near 1 is hard to count
        reach = sigma * (0.01 + 2.2 * torch.rand(()).item())
        b = reach * w.norm() - w @ image.flatten()  # so that the distance to the plane is reach

        def model(x, w=w, b=b):
            score = x.flatten(1) @ w + b
            return torch.stack([-score, score], 1)

        label, radius = defences.certify(
            model, image, sigma=sigma, n0=50, n=20_000, alpha=0.01, seed=seed
        )
        assert label in (1, -1)
        wrong += label == 1 and radius > reach
        if label == 1:
            assert radius > reach - 0.12 * sigma
        else:
            assert reach < 0.05 * sigma
    assert wrong <= binom.ppf(0.999, 40, 0.01)


def test_no_l2_attack_inside_the_certified_radius_succeeds_more_often_than_alpha():
    """PGD on the mean of 16 noisy answers (EOT) at 99 % of each radius; 1000 new draws say what is
    read."""
    model = defences.noise_trained(0.5)
    sigma = 0.5
    alpha = 0.02
    certified = [
        (x, *defences.certify(model, x, sigma=sigma, n0=50, n=400, alpha=alpha, seed=i))
        for i, x in enumerate(X[:30].split(1))
    ]
    certified = [c for c in certified if c[1] >= 0]
    images = torch.cat([c[0] for c in certified])
    radii = torch.tensor([c[2] for c in certified]).to(images)
    labels = torch.tensor([c[1] for c in certified], device=images.device)
    steady = defences.averaged(defences.with_noise(model, sigma=sigma, seed=9), draws=16)
    for share, steps in ((0.99, 12), (2.5, 12)):
        moved = attacks.pgd(
            steady, images, labels, eps=share * radii, steps=steps, norm="l2", early_stop=False
        )
        lengths = (moved - images).flatten(1).norm(dim=1)
        assert (lengths <= share * radii * 1.001).all()
        reads = torch.tensor(
            [
                defences.votes(model, x[None], sigma=sigma, n=1000, seed=77).argmax().item()
                for x in moved
            ]
        )
        turned = int((reads.to(labels) != labels).sum())
        tried = len(labels)
        if share < 1:
            assert lengths.median() > 0.5 * radii.median()  # the attack did use its room
            assert turned <= binom.ppf(0.999, tried, alpha)
    # further out the same attack does succeed
    assert tried >= 25 and turned > binom.ppf(0.999, tried, alpha)


def test_votes_are_counted_whole_and_the_same_for_the_same_seed(natural):
    for n in (1, 999, 1000, 2500):
        counts = defences.votes(natural, X[:1], sigma=0.5, n=n)
        assert counts.shape == (10,) and counts.sum() == n and counts.dtype == torch.int64
    assert torch.equal(
        defences.votes(natural, X[:1], sigma=0.5, n=500, seed=3),
        defences.votes(natural, X[:1], sigma=0.5, n=500, seed=3),
    )
    assert not torch.equal(
        defences.votes(natural, X[:1], sigma=1.0, n=500, seed=3),
        defences.votes(natural, X[:1], sigma=1.0, n=500, seed=4),
    )
    seen = []

    def watched(images):
        seen.append(images)
        return natural(images)

    defences.certify(watched, X[:1], sigma=0.5, n0=10, n=2000)
    # no draw is used twice: neither to choose the class and to bound it, nor in two thousands
    assert [len(images) for images in seen] == [10, 1000, 1000]
    assert len(torch.cat(seen).flatten(1).unique(dim=0)) == 2010
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    defences.certify(natural, X[:1], sigma=0.5, n0=10, n=10)
    assert torch.equal(torch.rand(2), expected)  # the learner's dice are left alone


class Moody(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout()

    def forward(self, x):
        return self.drop(x.flatten(1))[:, :10]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sigma": 0}, "sigma is 0; the noise wants a standard deviation above 0"),
        ({"sigma": -0.5}, "sigma is -0.5"),
        ({"sigma": math.nan}, "sigma is nan"),
        ({"sigma": math.inf}, "sigma is inf"),
        ({"alpha": 0}, "alpha is 0; it is how often a certificate may be wrong, between 0 and 1"),
        ({"alpha": 1.0}, "alpha is 1.0"),
        ({"n": 0}, "n is 0; a whole number of at least 1"),
        ({"n": 10.5}, "n is 10.5"),
        ({"n0": 0}, "n is 0"),
        ({"image": X[:2]}, "One image is wanted, .1, C, H, W.; 2 came"),
        ({"image": X[0]}, "For a single image use image.unsqueeze"),
        ({"image": X[:1] * 255}, "Use images / 255"),
        ({"image": X[:1] - 0.5}, "Pixels are wanted in"),
        ({"model": Moody()}, "in train mode"),
    ],
)
def test_certify_refuses_what_it_cannot_use(natural, change, says):
    asked = {
        "model": natural,
        "image": X[:1],
        "sigma": 0.5,
        "n0": 10,
        "n": 10,
        "alpha": 0.001,
    } | change
    with pytest.raises(ValueError, match=says):
        defences.certify(**asked)


def test_other_bad_input(natural):
    with pytest.raises(ValueError, match="draws is 0"):
        defences.averaged(natural, draws=0)
    with pytest.raises(ValueError, match="levels is 1; a whole number of at least two"):
        defences.quantised(X, levels=1)
    with pytest.raises(ValueError, match="levels is 2.5"):
        defences.dithered(X, levels=2.5)
    with pytest.raises(ValueError, match="sigma is 0"):
        defences.with_noise(natural, sigma=0)
    with pytest.raises(ValueError, match="Pixels are wanted in"):
        defences.symptoms(natural, X * 2, Y, eps=0.2, stand_in=natural)
    with pytest.raises(ValueError, match="Pixels are wanted in"):
        training.train(defences.digit_network(), X * 2, Y, epochs=1)


def test_a_defence_and_a_model_may_work_in_place():
    def defence(images):
        return images.mul_(3).round_().div_(3)

    def model(images):
        return images.sub_(0.5).flatten(1)[:, :3]

    x = torch.rand(2, 1, 2, 2)
    kept = x.clone()
    hidden = defences.straight_through(defence)(x)
    assert torch.allclose(hidden, (kept * 3).round() / 3) and torch.equal(x, kept)
    y = model(kept.clone()).argmax(1)
    assert defences.withstood(model, [x, x], y.tolist()).all() and torch.equal(x, kept)
    assert defences.break_defence(model, defence, x, y, eps=0.1).shape == x.shape
    assert defences.votes(model, x[:1], sigma=0.1, n=np.int64(3)).sum() == 3
    assert torch.equal(x, kept)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda m: defences.withstood(m, [], Y), "no attempt"),
        (lambda m: defences.withstood(m, [X], 10), "from 0 to 9"),
        (
            lambda m: defences.certificate(torch.tensor([0, 1]), torch.tensor([0, 0]), sigma=1),
            "dra",
        ),
        (lambda m: defences.quantised(X, levels=True), "two grey levels"),
        (lambda m: defences.with_noise(m, sigma="0.1"), "sigma is 0.1"),
        (lambda m: defences.certify(m, X[:1], sigma=0.1, alpha=None), "alpha is None"),
    ],
)
def test_more_that_is_refused(natural, ask, says):
    with pytest.raises(ValueError, match=says):
        ask(natural)


def test_a_defence_gives_images_back():
    x = torch.rand(2, 1, 28, 28)
    for defence in (lambda t: t[:, :, :14], lambda t: t[:1], lambda t: None, lambda t: 0.5):
        with pytest.raises(ValueError, match="The defence should return images as it gets them"):
            defences.straight_through(defence)(x)


def test_numbers_that_judge_no_defence():
    found = dict.fromkeys(("gradient zero", "one step", "many steps", "noise", "queries"), 0.5)
    for tolerance in (float("nan"), -0.1, None):
        with pytest.raises(ValueError, match="tolerance is"):
            defences.suspicious(found, tolerance=tolerance)
    for seed in (None, "a", 1.5):
        with pytest.raises(ValueError, match="seed is"):
            defences.certify(lambda t: t.flatten(1), torch.rand(1, 1, 2, 2), sigma=1, seed=seed)
