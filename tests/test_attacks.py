import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from trickkit import attacks, contract, linear


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = (
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 5))
        .eval()
        .requires_grad_(False)
    )
    for p in net.parameters():
        p.mul_(3)
    return net


def pictures(n: int = 6) -> torch.Tensor:
    return torch.rand(n, 3, 8, 8).mul(1.3).sub(0.15).clamp(0, 1)  # some pixels black, some white


def cross_entropy(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, label.expand(len(logits)), reduction="none")


def score(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    return logits[:, label.item()]


def slopes(net: nn.Module, image: torch.Tensor, label: torch.Tensor, *, loss) -> torch.Tensor:
    """The slope of a loss at each number of one image, by trying: a little up, a little down."""
    nudges = 1e-6 * torch.eye(image.numel()).to(image).view(-1, *image.shape[1:])
    up, down = (loss(net(image + nudge), label) for nudge in (nudges, -nudges))
    return ((up - down) / 2e-6).view_as(image)


@pytest.mark.parametrize("seed", range(5))
def test_fgsm_is_the_papers_formula(seed):
    """Its sign is that of slopes found by trying, one image at a time."""
    net = network(seed).double()
    x = pictures().double()
    y = torch.randint(5, (6,))
    slope = torch.cat([slopes(net, x[[i]], y[[i]], loss=cross_entropy) for i in range(6)])
    clear = slope.abs() > 1e-8  # below that, the sign of a difference is rounding
    assert clear.double().mean() > 0.95
    for way, targeted in ((1, False), (-1, True)):
        expected = (x + way * 0.03 * slope.sign()).clamp(0, 1)
        found = attacks.fgsm(net, x, y, eps=0.03, targeted=targeted)
        assert torch.allclose(found[clear], expected[clear], atol=1e-9)


def test_score_gradient_against_finite_differences():
    net = network(1).double()
    x = pictures(2).double()
    y = torch.tensor([3, 0])
    gradient = contract.score_gradient(net, x, y)
    for _ in range(20):
        n, c, h, w = (int(torch.randint(k, ())) for k in x.shape)
        if not 0.01 < x[n, c, h, w] < 0.99:
            continue
        up = x.clone()
        down = x.clone()
        up[n, c, h, w] += 1e-6
        down[n, c, h, w] -= 1e-6
        slope = (net(up) - net(down))[n, y[n]] / 2e-6
        assert torch.isclose(slope, gradient[n, c, h, w], atol=1e-5)


def test_one_step_raises_the_score_by_what_the_gradient_promises():
    for seed in range(10):
        net = network(seed)
        x = pictures()
        eps = 1e-4
        gain = (net(attacks.one_step(net, x, 2, eps=eps)) - net(x))[:, 2]
        inside = ((x > eps) & (x < 1 - eps)).float()
        promised = eps * (contract.score_gradient(net, x, 2).abs() * inside).flatten(1).sum(1)
        assert (gain > 0.9 * promised).all()


def test_one_step_moves_every_pixel_by_eps_and_stays_a_picture():
    net = network(2).double()
    x = pictures().double()
    y = torch.tensor([0, 1, 2, 3, 4, 0])
    slope = torch.cat([slopes(net, x[[i]], y[[i]], loss=score) for i in range(6)])
    clear = slope.abs() > 1e-8
    expected = (x + 0.03 * slope.sign()).clamp(0, 1)
    found = attacks.one_step(net, x, y, eps=0.03)
    assert torch.allclose(found[clear], expected[clear], atol=1e-9)
    assert found.min() >= 0 and found.max() <= 1


def pgd_in_numpy(net, x, y, eps, steps, step, norm, targeted):
    """Madry et al. 2018, written again with NumPy, an image at a time, no early stop."""
    out = []
    for image, label in zip(x, y, strict=True):
        start = image.numpy().astype(np.float64)
        now = image.numpy().astype(np.float64)
        for _ in range(steps):
            t = torch.from_numpy(now)[None].requires_grad_(True)
            g = torch.autograd.grad(F.cross_entropy(net(t), label[None]), t)[0][0].numpy()
            g = np.sign(g) if norm == "linf" else g / np.sqrt((g**2).sum())
            change = now + (-step if targeted else step) * g - start
            if norm == "linf":
                change = np.minimum(np.maximum(change, -eps), eps)
            elif (size := np.sqrt((change**2).sum())) > eps:
                change *= eps / size
            now = np.minimum(np.maximum(start + change, 0), 1)
        out.append(torch.from_numpy(now))
    return torch.stack(out)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_pgd_against_another_writing_of_it(norm, targeted):
    net = network(3).double()
    x = pictures().double()
    y = torch.randint(5, (6,))
    eps, step = (0.05, 0.01) if norm == "linf" else (0.8, 0.2)
    ours = attacks.pgd(
        net,
        x,
        y,
        eps=eps,
        steps=10,
        step_size=step,
        norm=norm,
        targeted=targeted,
        random_start=False,
        early_stop=False,
    )
    theirs = pgd_in_numpy(net, x, y, eps, 10, step, norm, targeted)
    assert torch.allclose(ours, theirs, atol=1e-9)


def test_many_steps_are_targeted_pgd_with_steps_of_a_quarter():
    net = network(3).double()
    x = pictures().double()
    y = torch.randint(5, (6,))
    for steps in (1, 2, 7):
        theirs = pgd_in_numpy(net, x, y, 0.05, steps, 0.05 / 4, "linf", True)
        assert torch.allclose(attacks.many_steps(net, x, y, eps=0.05, steps=steps), theirs)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("early_stop", [True, False])
@pytest.mark.parametrize("targeted", [True, False])
def test_pgd_stays_a_picture_inside_the_ball(norm, early_stop, targeted):
    net = network(4)
    x = pictures(9)
    eps = torch.linspace(0, 0.2, 9) * (1 if norm == "linf" else 8)
    moved = attacks.pgd(net, x, 1, eps=eps, norm=norm, targeted=targeted, early_stop=early_stop)
    assert moved.min() >= 0 and moved.max() <= 1
    size = (moved - x).flatten(1).norm(p=torch.inf if norm == "linf" else 2, dim=1)
    assert (size <= eps * 1.00001 + 1e-6).all() and torch.equal(moved[0], x[0])


@pytest.mark.parametrize("targeted", [True, False])
def test_stopping_early_fools_as_many_and_calls_less(targeted):
    net = network(5)
    x = pictures(40)
    y = net(x).topk(2).indices[:, int(targeted)]  # what it reads, or the next likeliest
    calls = {True: 0, False: 0}
    fooled = {}
    for early in (True, False):

        def counting(images, early=early):
            calls[early] += len(images)
            return net(images)

        moved = attacks.pgd(counting, x, y, eps=0.05, targeted=targeted, early_stop=early)
        fooled[early] = (net(moved).argmax(1) == y) == targeted
    assert (fooled[True] >= fooled[False]).all() and fooled[True].float().mean() > 0.5
    assert calls[True] < calls[False] / 2


def test_random_start_follows_its_seed_and_leaves_the_learners_dice_alone():
    net = network(6)
    x = pictures()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    a, b, c = (attacks.pgd(net, x, 0, eps=0.05, steps=1, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_random_start_fills_the_ball_evenly():
    x = torch.full((4000, 1, 1, 2), 0.5)
    radius = torch.ones(4000, 1, 1, 1)
    flat = attacks.random_in_ball(x, radius, norm="l2", seed=0).flatten(1)
    assert flat.norm(dim=1).max() <= 1.0001
    # area grows with the square of the radius
    assert abs((flat.norm(dim=1) < 0.5).float().mean() - 0.25) < 0.03
    box = attacks.random_in_ball(x, radius, norm="linf", seed=0).flatten()
    assert box.abs().max() <= 1 and abs(box.mean()) < 0.03
    assert abs((box.abs() < 0.5).float().mean() - 0.5) < 0.03


def test_many_steps_go_further_than_one():
    better = 0
    for seed in range(10):
        net = network(seed)
        x = pictures()
        many = attacks.many_steps(net, x, 2, eps=0.05, steps=20)
        assert (many - x).abs().max() <= 0.05 + 1e-6 and many.min() >= 0 and many.max() <= 1
        chance = (
            net(many).softmax(1)[:, 2].mean()
            - net(attacks.one_step(net, x, 2, eps=0.05)).softmax(1)[:, 2].mean()
        )
        better += int(chance >= -1e-6)
    assert better == 10


def test_fgsm_on_a_linear_two_class_model_is_the_best_attack_there_is():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2)).eval().requires_grad_(False)
    # far from black and white, so that the free distance holds
    x = 0.3 + 0.4 * torch.rand(30, 3, 8, 8)
    y = net(x).argmax(1)
    far = linear.distance(net[1].weight, net[1].bias, x.flatten(1), y)
    for share, flips in ((0.99, 0.0), (1.01, 1.0)):
        read = torch.cat(
            [
                net(attacks.fgsm(net, x[[i]], y[[i]], eps=share * far[i].item())).argmax(1)
                for i in range(30)
            ]
        )
        assert (read != y).float().mean() == flips


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"images": torch.full((2, 3, 8, 8), 1.5)},
            r"Pixels are wanted in \[0, 1\]; these go from 1.5 to 1.5",
        ),
        ({"images": torch.full((2, 3, 8, 8), torch.nan)}, "Pixels are wanted"),
        ({"images": torch.full((2, 3, 8, 8), 200.0)}, "images / 255"),
        ({"images": torch.full((2, 3, 8, 8), 200, dtype=torch.uint8)}, "images.float"),
        ({"images": torch.rand(2, 8, 8, 3)}, "permute"),
        ({"images": torch.rand(3, 8, 8)}, "unsqueeze"),
        ({"images": np.zeros((2, 3, 8, 8))}, "a ndarray came"),
        ({"labels": torch.tensor([1, 2, 3])}, "One label an image"),
        ({"labels": torch.tensor([0.1, 0.2])}, "whole numbers"),
        ({"labels": "vulture"}, "model.index"),
        ({"labels": 5}, "from 0 to 4"),
        ({"labels": -1}, "from 0 to 4"),
        ({"eps": -0.1}, "0 or more"),
        ({"eps": float("nan")}, "0 or more"),
        ({"eps": 8}, "8/255"),
        (
            {"model": nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(192, 5))},
            r"model.eval\(\)",
        ),
    ],
)
@pytest.mark.parametrize(
    "attack", [attacks.fgsm, attacks.one_step, attacks.many_steps, attacks.pgd]
)
def test_bad_input_is_answered(attack, change, says):
    given = {
        "model": network(0),
        "images": torch.rand(2, 3, 8, 8),
        "labels": 1,
        "eps": 0.1,
    } | change
    with pytest.raises(ValueError, match=says):
        attack(given["model"], given["images"], given["labels"], eps=given["eps"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"norm": "l1"}, "no norm called 'l1'"),
        ({"steps": 0}, "at least 1"),
        ({"steps": 2.5}, "at least 1"),
        ({"eps": torch.rand(3)}, r"one an image \(2,\)"),
    ],
)
def test_bad_options_of_pgd(options, says):
    given = {"eps": 0.1} | options
    with pytest.raises(ValueError, match=says):
        attacks.pgd(network(0), torch.rand(2, 3, 8, 8), 1, **given)


def test_an_eps_an_image_is_each_images_own():
    """Also where there are as many images as columns, which a careless broadcast would take."""
    net = network(2)
    x = pictures(8)
    y = net(x).argmax(1)
    eps = torch.linspace(0.01, 0.08, 8)
    options = {"steps": 4, "random_start": False, "early_stop": False}
    each = attacks.pgd(net, x, y, eps=eps, **options)
    for i in range(8):
        alone = attacks.pgd(net, x[[i]], y[[i]], eps=eps[i].item(), **options)
        assert torch.allclose(each[[i]], alone, atol=1e-6)
    moved = (attacks.apgd(net, x, y, eps=eps, steps=4) - x).abs().amax((1, 2, 3))
    assert (moved <= eps + 1e-6).all() and (moved > eps / 2).all()


@pytest.mark.parametrize("attack", [attacks.fgsm, attacks.one_step, attacks.many_steps])
def test_one_eps_is_wanted_where_there_is_one(attack):
    x = pictures(8)
    with pytest.raises(ValueError, match=r"eps is one number here; its shape is \(8,\)"):
        attack(network(2), x, 1, eps=torch.linspace(0.01, 0.08, 8))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("answers", ["alike", "in float32"])
@pytest.mark.parametrize(
    "attack",
    [
        lambda m, x, y: attacks.pgd(m, x, y, eps=0.3),
        lambda m, x, y: attacks.apgd(m, x, y, eps=0.3, steps=5),
        lambda m, x, y: attacks.cw(m, x, y, searches=3, steps=20, lr=0.1, c=1.0),
        lambda m, x, y: attacks.deepfool(m, x, y),
    ],
)
def test_pictures_and_models_of_other_types(attack, answers, dtype):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 4)).to(dtype)

    def model(images):
        return net(images).float() if answers == "in float32" else net(images)

    x = torch.rand(3, 3, 4, 4).to(dtype)
    x[0, :, 0] = 0  # black and white, which lie at the end of what a half can hold
    x[0, :, 1] = 1
    y = model(x).argmax(1)
    found = attack(model, x, y)
    assert found.dtype == dtype and found.isfinite().all() and not found.requires_grad
    assert (model(found).argmax(1) != y).all()
