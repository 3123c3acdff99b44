"""The stronger attacks, against what is known exactly: linear classifiers, exhaustive search, and
their own promises."""

import itertools
import math

import numpy as np
import pytest
import torch
from test_attacks import network, pictures
from torch import nn
from torch.nn import functional as F

from trickkit import attacks, contract, linear
from trickkit.attacks.gradient import Ascent


def lines(seed: int, classes: int) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A linear classifier, images far from black and white, and what it says to them: there all
    distances are known."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, classes)).eval().requires_grad_(False)
    x = 0.4 + 0.2 * torch.rand(20, 3, 8, 8)
    return net, x, net(x).argmax(1)


def exact(net, x, y, norm):
    return linear.distance(net[1].weight, net[1].bias, x.flatten(1), y, norm=norm)


def counted(net):
    def model(images):
        model.asked.append(len(images))
        return net(images)

    model.asked = []
    return model


BUDGET = {  # attack(model, images, labels, eps)
    "momentum": lambda m, x, y, e: attacks.momentum(m, x, y, eps=e),
    "apgd": lambda m, x, y, e: attacks.apgd(m, x, y, eps=e, steps=40),
    "apgd ce": lambda m, x, y, e: attacks.apgd(m, x, y, eps=e, steps=40, loss="ce"),
    "square": lambda m, x, y, e: attacks.square(m, x, y, eps=e, queries=60),
    "nes": lambda m, x, y, e: attacks.nes(m, x, y, eps=e, queries=300, samples=20),
}
NEAREST = {  # attack(model, images, labels)
    "cw": lambda m, x, y: attacks.cw(m, x, y, searches=7, steps=200, lr=0.02, c=1.0),
    "deepfool": attacks.deepfool,
    "hop_skip_jump": lambda m, x, y: attacks.hop_skip_jump(m, x, y, queries=600),
    "one_pixel": lambda m, x, y: attacks.one_pixel(m, x, y, generations=3, population=30),
}
EVERY = (
    BUDGET
    | {name: lambda m, x, y, e, f=f: f(m, x, y) for name, f in NEAREST.items()}
    | {
        "universal": (
            lambda m, x, y, e: (x + attacks.universal(m, x, y, eps=e, steps=5)).clamp(0, 1)
        ),
    }
)


@pytest.mark.parametrize("name", BUDGET)
def test_inside_the_ball_and_a_picture(name):
    net = network(1)
    x = pictures(8)
    y = net(x).argmax(1)
    before = x.clone()
    for eps in (0.01, 0.1):
        moved = BUDGET[name](net, x, y, eps)
        assert (moved - x).abs().max() <= eps + 1e-6 and moved.min() >= 0 and moved.max() <= 1
        # same seed, same picture
        assert torch.equal(x, before) and torch.equal(moved, BUDGET[name](net, x, y, eps))


def inside(change, *, eps, norm):
    """The nearest change in the ball."""
    if norm == "linf":
        return np.minimum(np.maximum(change, -eps), eps)
    return change * min(eps / max(np.sqrt((change**2).sum()), 1e-12), 1)


def value_and_slope(net, now, label, loss):
    """A loss of one image, its gradient, and whether the label is lost."""
    x = torch.from_numpy(now)[None].requires_grad_(True)
    [logits] = net(x)
    first, second, third = logits.sort(descending=True).values[:3]
    lost = logits.argmax() != label
    if loss == "ce":
        value = logits.logsumexp(0) - logits[label]
    else:
        value = ((first if lost else second) - logits[label]) / (first - third)
    return value.item(), torch.autograd.grad(value, x)[0][0].numpy(), lost.item()


def momentum_in_numpy(net, x, y, eps, steps, mu, targeted):
    """Dong et al. 2018, algorithm 1, written again with NumPy, an image at a time."""
    out = []
    for image, label in zip(x.numpy(), y, strict=True):
        now = image
        total = 0
        for _ in range(steps):
            _, g, lost = value_and_slope(net, now, label, "ce")
            if lost != targeted:
                break
            total = mu * total + g / np.abs(g).sum()
            now = now + (-1 if targeted else 1) * eps / steps * np.sign(total)
            now = np.clip(image + inside(now - image, eps=eps, norm="linf"), 0, 1)
        out.append(torch.from_numpy(now))
    return torch.stack(out)


@pytest.mark.parametrize("targeted", [True, False])
@pytest.mark.parametrize("mu", [0.0, 0.5, 1.0])
def test_momentum_against_another_writing_of_it(mu, targeted):
    net = network(3).double()
    x = pictures().double()
    y = net(x).topk(2).indices[:, int(targeted)]
    for eps in (0.01, 0.05):
        ours = attacks.momentum(net, x, y, eps=eps, steps=7, mu=mu, targeted=targeted)
        assert torch.allclose(ours, momentum_in_numpy(net, x, y, eps, 7, mu, targeted), atol=1e-9)


def apgd_in_numpy(net, x, y, eps, steps, norm, loss):
    """Croce, Hein 2020, algorithm 1, written again with NumPy, an image at a time."""
    radius = torch.full((len(x), 1, 1, 1), eps).to(x)
    starts = (x + attacks.random_in_ball(x, radius, norm=norm, seed=0)).clamp(0, 1)
    out = []
    for image, label, start in zip(x.numpy(), y, starts.numpy(), strict=True):
        now = previous = start
        eta, mark, halved, best, marked = 2 * eps, 0, False, (-np.inf,), -np.inf
        values = []
        for k in range(steps):
            value, g, lost = value_and_slope(net, now, label, loss)
            values.append(value)
            if value > best[0] or lost:
                best = value, now, g
            if lost:
                break
            if k in attacks.checkpoints(steps):
                gains = sum(b > a for a, b in itertools.pairwise(values[mark:]))
                halved = gains < 0.75 * (k - mark) or (not halved and best[0] == marked)
                if halved:
                    eta, now, g = eta / 2, *best[1:]
                mark, marked = k, best[0]
            step = np.sign(g) if norm == "linf" else g / np.sqrt((g**2).sum())
            ahead = np.clip(image + inside(now + eta * step - image, eps=eps, norm=norm), 0, 1)
            if k:
                ahead = now + 0.75 * (ahead - now) + 0.25 * (now - previous)
            previous = now
            now = np.clip(image + inside(ahead - image, eps=eps, norm=norm), 0, 1)
        out.append(torch.from_numpy(best[1]))
    return torch.stack(out)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.02), ("linf", 0.005), ("l2", 0.1)])
@pytest.mark.parametrize("loss", ["dlr", "ce"])
def test_apgd_against_another_writing_of_it(norm, eps, loss):
    net = network(3).double()
    x = pictures(8).double()
    y = net(x).argmax(1)
    ours = attacks.apgd(net, x, y, eps=eps, steps=50, norm=norm, loss=loss)
    assert torch.allclose(ours, apgd_in_numpy(net, x, y, eps, 50, norm, loss), atol=1e-9)
    assert (net(ours).argmax(1) == y).any()  # some went all the way


def test_the_step_is_halved_where_few_steps_gain_or_the_best_stands_still():
    """§3.2, conditions 1 and 2."""
    now = Ascent(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))

    def after(*values):
        for value in values:
            now.x = torch.full((1, 1, 1, 1), float(value))
            now.record(now.x[:, 0, 0, 0], now.x, torch.tensor([False]))
        now.look_back(now.x, steps=len(values))
        return now.step_size.item(), now.x.item()

    assert after(1, 2, 3, 5) == (1, 5)  # three gains of four steps
    rises = 1, 2, 3, 4, 4.5  # four of five, and all below the best
    assert after(*rises) == (0.5, 5)
    assert after(*rises) == (0.5, 4.5)  # halved last time: it gets another try
    assert after(*rises) == (0.25, 5)
    assert after(6, 1, 2, 1) == (0.125, 6)  # two gains of four


@pytest.mark.parametrize("name", ["momentum", "apgd ce"])
def test_on_two_classes_they_fool_whom_they_can_and_nobody_else(name):
    net, x, y = lines(0, 2)
    far = exact(net, x, y, "linf")
    for share, expected in ((0.97, 0.0), (1.03, 1.0)):
        moved = torch.cat(
            [BUDGET[name](net, x[[i]], y[[i]], share * far[i].item()) for i in range(len(x))]
        )
        assert (net(moved).argmax(1) != y).float().mean() == expected


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_with_dlr_reaches_the_nearest_of_five_classes(norm):
    for seed in (1, 2, 3):
        net, x, y = lines(seed, 5)
        far = exact(net, x, y, norm)
        fooled = {}
        for share in (0.97, 1.05):
            moved = torch.cat(
                [
                    attacks.apgd(net, x[[i]], y[[i]], eps=share * far[i].item(), norm=norm)
                    for i in range(len(x))
                ]
            )
            fooled[share] = (net(moved).argmax(1) != y).float().mean()
        assert fooled[0.97] == 0 and fooled[1.05] >= 0.9


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_stays_in_its_ball_and_is_not_below_pgd(norm):
    fooled = {"pgd": 0, "apgd": 0}
    for seed in range(6):
        net = network(seed)
        x = pictures(20)
        y = net(x).argmax(1)
        eps = 0.02 if norm == "linf" else 0.25
        moved = attacks.apgd(net, x, y, eps=eps, steps=30, norm=norm)
        size = (moved - x).flatten(1).norm(p=torch.inf if norm == "linf" else 2, dim=1)
        assert (size <= eps * 1.0001).all() and moved.min() >= 0 and moved.max() <= 1
        fooled["apgd"] += (net(moved).argmax(1) != y).sum().item()
        fooled["pgd"] += (
            (net(attacks.pgd(net, x, y, eps=eps, steps=30, norm=norm)).argmax(1) != y).sum().item()
        )
    assert 20 < fooled["pgd"] <= fooled["apgd"] + 1 < 120


def test_apgd_sees_through_large_logits_where_the_cross_entropy_is_flat():
    net, x, y = lines(2, 4)
    net[1].weight *= 3e4
    net[1].bias *= 3e4
    far = exact(net, x, y, "linf").max().item()
    moved = {
        loss: attacks.apgd(net, x, y, eps=1.2 * far, steps=30, loss=loss) for loss in ("dlr", "ce")
    }
    assert (net(moved["dlr"]).argmax(1) != y).all() and (net(moved["ce"]).argmax(1) == y).any()


def test_checkpoints_are_the_papers():
    # §3.2: p = 0, 0.22, 0.41, 0.57, …
    assert sorted(attacks.checkpoints(100)) == [
        22,
        41,
        57,
        70,
        80,
        87,
        93,
        99,
    ]


@pytest.mark.parametrize(
    ("name", "slack"), [("cw", 1.02), ("deepfool", 1.03), ("hop_skip_jump", 1.6)]
)
def test_the_nearest_mistake_of_a_linear_classifier(name, slack):
    net, x, y = lines(3, 5)
    moved = NEAREST[name](net, x, y)
    found = attacks.sizes(moved - x)[1]
    known = exact(net, x, y, "l2")
    assert (net(moved).argmax(1) != y).all() and moved.min() >= 0 and moved.max() <= 1
    assert (found >= known * 0.999).all() and (found / known).median() < slack


@pytest.mark.parametrize("name", ["cw", "deepfool", "hop_skip_jump"])
def test_on_a_bent_network_the_nearest_are_misread_and_near(name):
    net = network(7)
    x = pictures(10)
    y = net(x).argmax(1)
    moved = NEAREST[name](net, x, y)
    fooled = net(moved).argmax(1) != y
    fgsm = torch.stack(
        [
            net(attacks.fgsm(net, x, y, eps=eps)).argmax(1) != y
            for eps in (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
        ]
    )
    least = torch.tensor([0.01, 0.02, 0.05, 0.1, 0.2, 0.4])[fgsm.float().argmax(0)] * math.sqrt(192)
    assert fooled.all() and (attacks.sizes(moved - x)[1] < least).float().mean() > 0.6


@pytest.mark.parametrize("c", [0.001, 30.0])
def test_the_price_is_found_from_far_below_and_from_far_above(c):
    net, x, y = lines(3, 5)
    moved = attacks.cw(net, x, y, searches=8, steps=100, lr=0.02, c=c)
    assert (net(moved).argmax(1) != y).all()
    assert (attacks.sizes(moved - x)[1] / exact(net, x, y, "l2")).median() < 1.03


def test_few_searches_come_near_and_look_no_more_often_than_asked():
    net, x, y = lines(3, 5)
    looked = []

    def model(images):
        looked.append(len(images))
        return net(images)

    known = exact(net, x, y, "l2")
    once, thrice = (
        attacks.cw(model, x, y, searches=searches, steps=40, lr=0.02, c=1.0) for searches in (1, 3)
    )
    assert looked == [len(x)] * (1 + 40 + 1 + 120)
    for moved, slack in ((once, 1.3), (thrice, 1.02)):
        assert (net(moved).argmax(1) != y).all()
        assert (attacks.sizes(moved - x)[1] / known).median() < slack


def test_a_search_that_finds_nothing_is_gone_on_with():
    net, x, y = lines(3, 5)
    alone = attacks.cw(net, x, y, searches=1, steps=5, lr=0.02, c=1.0)
    assert (net(alone).argmax(1) == y).any()
    moved = attacks.cw(net, x, y, searches=40, steps=5, lr=0.02, c=1.0)
    assert (net(moved).argmax(1) != y).all()


def deepfool_by_hand(net, x, y, steps, classes, overshoot):
    """Moosavi-Dezfooli et al. 2016, algorithm 2, written again, an image at a time."""
    out = []
    for image, label in zip(x.split(1), y.tolist(), strict=True):
        order = net(image)[0].argsort(descending=True).tolist()
        rivals = [k for k in order if k != label][: classes - 1]
        now, total = image, 0
        for _ in range(steps):
            here = now.clone().requires_grad_(True)
            [logits] = net(here)
            if logits.argmax() != label:
                break
            ways = []
            for k in rivals:
                lead = logits[label] - logits[k]
                [w] = torch.autograd.grad(-lead, here, retain_graph=True)
                ways.append(((lead / w.norm()).item() + 1e-4, w / w.norm()))
            far, way = min(ways, key=lambda found: found[0])
            total = total + far * way
            now = (image + (1 + overshoot) * total).clamp(0, 1)
        out.append(now)
    return torch.cat(out)


@pytest.mark.parametrize(("classes", "overshoot"), [(10, 0.02), (3, 0.5), (5, 0.0)])
def test_deepfool_against_another_writing_of_it(classes, overshoot):
    net = network(3).double()
    x = pictures(8).double()
    y = net(x).argmax(1)
    ours = attacks.deepfool(net, x, y, steps=6, classes=classes, overshoot=overshoot)
    assert torch.allclose(ours, deepfool_by_hand(net, x, y, 6, classes, overshoot), atol=1e-9)


def test_a_mistake_to_be_sure_of_is_as_much_further():
    net, x, y = lines(4, 2)
    apart = (net[1].weight[0] - net[1].weight[1]).norm()
    for confidence in (0.0, 0.3):
        moved = attacks.cw(net, x, y, searches=7, steps=200, lr=0.02, c=1.0, confidence=confidence)
        known = (contract.margin(net(x), y) + confidence) / apart
        assert (contract.margin(net(moved), y) <= -confidence).all()
        assert (attacks.sizes(moved - x)[1] / known).median() < 1.02


def test_what_is_misread_already_costs_nothing():
    net = network(2)
    x = pictures()
    y = (net(x).argmax(1) + 1) % 5
    for name in ("momentum", "deepfool", "nes"):
        assert torch.equal(EVERY[name](net, x, y, 0.1), x)
    assert attacks.sizes(attacks.cw(net, x, y) - x)[1].max() < 0.01


def test_targeted_ones_arrive():
    net = network(3)
    x = pictures(12)
    target = net(x).argmin(1)
    reached = {
        "momentum": attacks.momentum(net, x, target, eps=0.2, steps=20, targeted=True),
        "cw": attacks.cw(net, x, target, searches=6, steps=100, lr=0.05, c=1.0, targeted=True),
        "square": attacks.square(net, x, target, eps=0.3, queries=500, targeted=True),
        "nes": attacks.nes(net, x, target, eps=0.3, queries=3000, targeted=True),
        "one_pixel": attacks.one_pixel(
            net, x[:3], target[:3], pixels=30, generations=40, population=300, targeted=True
        ),
    }
    for name, moved in reached.items():
        assert (net(moved).argmax(1) == target[: len(moved)]).float().mean() >= (
            0.6 if name == "one_pixel" else 0.9
        ), name


@pytest.mark.parametrize(
    ("name", "queries"), [("square", 60), ("nes", 300), ("hop_skip_jump", 600)]
)
def test_never_more_questions_than_allowed_and_no_gradient(name, queries):
    net = network(4)
    x = pictures(5)
    y = net(x).argmax(1)
    eps = 0.004

    def asked(images):
        assert not images.requires_grad and not torch.is_grad_enabled()
        return net(images)

    model = counted(asked)
    EVERY[name](model, x, y, eps)
    first = 0 if name == "hop_skip_jump" else len(x)  # one look, to see that labels and model fit
    assert sum(model.asked) - first <= queries * len(x) and sum(model.asked) > len(x)


def test_square_and_nes_lower_the_lead():
    net = network(5)
    x = pictures(10)
    y = net(x).argmax(1)
    for name in ("square", "nes"):
        assert (
            contract.margin(net(BUDGET[name](net, x, y, 0.01)), y).mean()
            < contract.margin(net(x), y).mean() - 0.1
        )


def test_squares_shrink_as_in_the_paper():
    # §3.1: p = 0.8 is halved at these iterations of 10,000
    for halvings, at in enumerate((10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)):
        assert attacks.share_of_image(at / 10_000) == 0.8 / 2**halvings
        assert attacks.share_of_image((at + 1) / 10_000) == 0.8 / 2 ** (halvings + 1)


def test_square_begins_with_stripes_and_paints_each_image_at_a_place_of_its_own():
    leads = itertools.count(1000, -1)

    def easier(images):  # at each question, so that every square is kept
        return torch.tensor([[float(next(leads)), 0.0]]).expand(len(images), 2)

    x = torch.full((30, 3, 32, 32), 0.5)
    stripes, painted = (attacks.square(easier, x, 0, eps=0.1, queries=n) for n in (1, 2))
    for moved in (stripes, painted):
        assert torch.allclose((moved - x).abs(), torch.tensor(0.1))
    assert torch.equal(stripes, stripes[:, :, :1].expand_as(x)) and stripes.std() > 0.09
    places = [changed.nonzero() for changed in (painted != stripes).any(1)]
    # half of the budget is spent: 0.8 / 2⁷ of 1,024 pixels, a square of 3 × 3
    assert all((p.amax(0) - p.amin(0) < 3).all() for p in places if len(p))
    assert len({tuple(p.amin(0).tolist()) for p in places if len(p)}) > 20


def nes_by_hand(net, x, y, eps, queries, samples, sigma, step):
    """Ilyas et al. 2018, algorithm 1 inside PGD, written again, its guess nine tenths the old."""
    generator = torch.Generator().manual_seed(0)
    out = []
    for image, label in zip(x.split(1), y.split(1), strict=True):
        now = image
        guess = 0
        for _ in range(queries // (samples + 1)):
            if contract.margin(net(now), label) < 0:
                break
            new = 0
            for u in torch.randn((samples // 2, *image.shape[1:]), generator=generator).to(image):
                up, down = (contract.margin(net(now + way * sigma * u), label) for way in (1, -1))
                new = new + (up - down) * u / (samples * sigma)
            guess = 0.9 * guess + 0.1 * new
            now = (now - step * guess.sign()).clamp(image - eps, image + eps).clamp(0, 1)
        out.append(now)
    return torch.cat(out)


@pytest.mark.parametrize("step", [None, 0.01])
def test_nes_against_another_writing_of_it(step):
    net = network(3).double()
    x = pictures(4).double()
    y = net(x).argmax(1)
    ours = attacks.nes(net, x, y, eps=0.02, queries=250, samples=20, sigma=0.01, step_size=step)
    theirs = nes_by_hand(net, x, y, 0.02, 250, 20, 0.01, step or 0.02 / 4)
    assert torch.allclose(ours, theirs, atol=1e-9)
    assert (net(ours).argmax(1) == y).any()  # some went all the way


def test_hop_skip_jump_needs_labels_only_and_more_questions_bring_it_nearer():
    net = network(6)
    x = pictures(4)
    y = net(x).argmax(1)
    by_label = attacks.hop_skip_jump(lambda z: net(z).argmax(1), x, y, queries=300)
    assert torch.equal(by_label, attacks.hop_skip_jump(net, x, y, queries=300))
    lengths = [
        attacks.sizes(attacks.hop_skip_jump(net, x, y, queries=n) - x)[1]
        for n in (100, 200, 300, 450, 600, 900, 1300)
    ]
    assert torch.stack(lengths).diff(dim=0).max() < 0.01
    near = attacks.sizes(attacks.hop_skip_jump(net, x, y, queries=3000) - x)[1]
    assert (near <= attacks.sizes(by_label - x)[1]).all() and near.mean() < 0.9 * attacks.sizes(
        by_label - x
    )[1].mean()


def test_a_model_that_always_says_the_same_is_left_in_peace():
    x = pictures(2)
    same = lambda z: torch.eye(5)[torch.ones(len(z), dtype=torch.long)]  # noqa: E731
    assert torch.equal(attacks.hop_skip_jump(same, x, 1, queries=200), x)


def test_one_pixel_finds_what_trying_them_all_finds():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval().requires_grad_(False)
    x = torch.rand(12, 1, 4, 16)
    y = net(x).argmax(1)
    every = []
    for i in range(12):
        tries = x[[i]].repeat(128, 1, 1, 1).flatten(1)
        tries[torch.arange(128), torch.arange(64).repeat(2)] = torch.tensor(
            [0.0, 1.0]
        ).repeat_interleave(64)
        every.append((net(tries.view(128, 1, 4, 16)).argmax(1) != y[i]).any().item())
    model = counted(net)
    moved = attacks.one_pixel(model, x, y, generations=40, population=120)
    # those that fall end the search, the others go on through all generations
    assert 0.9 < sum(model.asked) / (40 * 120 * (12 - sum(every))) < 1.5
    assert (attacks.sizes(moved - x)[0] <= 1).all() and 1 < sum(every) < 12
    assert (net(moved).argmax(1) != y).tolist() == every


def test_universal_is_one_change_and_better_than_noise():
    net = network(8)
    x = pictures(60)
    y = net(x).argmax(1)
    change = attacks.universal(net, x[:40], y[:40], eps=0.05)
    noise = 0.05 * (torch.randint(0, 2, change.shape) * 2 - 1)
    fooled, by_noise = (
        ((net((x[40:] + c).clamp(0, 1)).argmax(1) != y[40:]).float().mean())
        for c in (change, noise)
    )
    assert change.shape == (1, 3, 8, 8) and change.abs().max() <= 0.05 + 1e-6
    assert fooled > by_noise + 0.1


def universal_by_hand(net, x, y, eps, steps, batch_size):
    """Shafahi et al. 2020, algorithm 1, written again, an image at a time."""
    generator = torch.Generator().manual_seed(0)
    change = total = torch.zeros_like(x[:1])
    for _ in range(steps):
        gradient = torch.zeros_like(change)
        for i in torch.randperm(len(x), generator=generator)[:batch_size].tolist():
            now = x[[i]] + change
            if F.cross_entropy(net(now), y[[i]]) < 1:  # one that is lost no longer counts
                gradient += contract.loss_gradient(net, now, y[[i]])
        total = 0.9 * total + gradient / gradient.abs().sum()
        change = (change + eps / 2 * total.sign()).clamp(-eps, eps)
    return change


def test_universal_against_another_writing_of_it():
    net = network(8).double()
    x = 0.05 + 0.9 * pictures(30).double()  # so far inside that nothing is clamped
    y = net(x).argmax(1)
    ours = attacks.universal(net, x, y, eps=0.02, steps=9, batch_size=12)
    assert torch.allclose(ours, universal_by_hand(net, x, y, 0.02, 9, 12), atol=1e-9)


def test_paste_lays_a_whole_disc_and_nothing_else():
    x = torch.rand(200, 3, 48, 48)
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    laid = attacks.paste(x, red, generator=torch.Generator().manual_seed(0), sizes=(0.5, 0.5))
    changed = (laid != x).any(1)
    area = changed.float().flatten(1).mean(1)
    # wholly inside, so always the same area
    assert abs(area.mean() - math.pi / 4 * 0.25) < 0.005 and area.std() < 0.01
    assert torch.allclose(laid.permute(0, 2, 3, 1)[changed], torch.tensor([1.0, 0, 0]), atol=1e-5)
    laid = attacks.paste(x, red, generator=torch.Generator().manual_seed(0), sizes=(0.2, 0.6))
    wide = ((laid != x).any(1).float().flatten(1).mean(1) * 4 / math.pi).sqrt()
    assert 0.19 < wide.min() < 0.23 and 0.57 < wide.max() < 0.61 and abs(wide.mean() - 0.4) < 0.03
    middle = (changed.float() * torch.arange(48)).sum((1, 2)) / changed.sum((1, 2))
    assert middle.min() < 15 and middle.max() > 33  # it lies anywhere


def test_paste_turns_no_further_than_it_may():
    half = torch.zeros(1, 1, 32, 32)
    half[..., 16:, :] = (
        1  # white below: turned by t, the border between black and white slopes by t
    )
    laid = attacks.paste(
        torch.full((100, 1, 64, 64), 0.5),
        half,
        generator=torch.Generator().manual_seed(1),
        sizes=(0.9, 0.9),
        turn=20,
    )
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    angles = []
    for white, black in zip(laid[:, 0] > 0.9, laid[:, 0] < 0.1, strict=True):
        down = rows[white].mean() - rows[black].mean()
        across = columns[white].mean() - columns[black].mean()
        angles.append(math.degrees(math.atan2(across, down)))
    assert max(angles) < 21 and min(angles) > -21 and max(angles) > 15 and min(angles) < -15


def test_a_sticker_raises_its_target_where_it_was_not_tried():
    net = network(9)
    x = pictures(30)
    target = net(x).argmax(1).bincount(minlength=5).argmin().item()
    others = x[net(x).argmax(1) != target]
    sticker = attacks.patch(net, others[:15], target, side=6, steps=60, batch_size=5)
    assert sticker.shape == (1, 3, 6, 6) and sticker.min() >= 0 and sticker.max() <= 1
    chance = [
        net(attacks.paste(others[15:], s, generator=torch.Generator().manual_seed(3)))
        .softmax(1)[:, target]
        .mean()
        for s in (sticker, torch.rand(sticker.shape))
    ]
    assert chance[0] > 1.5 * chance[1]


def test_guess_gradient_is_the_gradient_on_average_and_nothing_at_a_bottom():
    torch.manual_seed(2)
    w = torch.randn(1, 2, 3, 3)
    x = torch.rand(1, 2, 3, 3)
    guess = attacks.guess_gradient(
        lambda z: (z * w).flatten(1).sum(1) + 7, x, samples=40_000, sigma=0.1
    )
    assert (guess - w).norm() / w.norm() < 0.05
    assert (
        attacks.guess_gradient(
            lambda z: (z - x).square().flatten(1).sum(1), x, samples=10, sigma=0.1
        ).norm()
        < 1e-5
    )
    with pytest.raises(ValueError, match="an even number is wanted"):
        attacks.guess_gradient(lambda z: z.flatten(1).sum(1), x, samples=7, sigma=0.1)


def test_border_is_where_it_is():
    image = torch.zeros(1, 1, 2, 2)
    far = torch.ones(1, 1, 2, 2)
    for at in (0.001, 0.3, 0.77, 0.999):
        found = attacks.border(lambda z, at=at: z.mean() > at, image, far, close=1e-4)
        assert at < found.mean() <= at + 1.01e-4


def test_lead_and_sizes_by_hand():
    logits = torch.tensor([[1.0, 4.0, 2.0], [1.0, 4.0, 2.0], [0.0, 0.0, -1.0]])
    labels = torch.tensor([1, 2, 2])
    assert contract.margin(logits, labels).tolist() == [2.0, -2.0, -1.0]
    assert contract.margin(logits, labels, targeted=True).tolist() == [-2.0, 2.0, 1.0]
    change = torch.zeros(1, 3, 4, 4)
    change[0, 0, 1, 1] = 0.3
    change[0, 2, 1, 1] = 0.4
    change[0, 1, 3, 3] = -1.2
    zero, two, most = attacks.sizes(change)
    assert zero.item() == 2 and abs(two.item() - 1.3) < 1e-6 and abs(most.item() - 1.2) < 1e-6


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"images": torch.full((2, 3, 8, 8), 1.5)},
            r"Pixels are wanted in \[0, 1\]; these go from 1.5 to 1.5",
        ),
        ({"images": torch.full((2, 3, 8, 8), torch.nan)}, "Pixels are wanted"),
        ({"images": torch.full((2, 3, 8, 8), 200, dtype=torch.uint8)}, "images.float"),
        ({"images": torch.rand(2, 8, 8, 3)}, "permute"),
        ({"labels": torch.tensor([1, 2, 3])}, "One label an image"),
        ({"labels": torch.tensor([0.1, 0.2])}, "whole numbers"),
        ({"labels": "vulture"}, "model.index"),
        ({"labels": 5}, "from 0 to 4"),
        ({"labels": -1}, "from 0 to 4"),
        (
            {"model": nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(192, 5))},
            r"model.eval\(\)",
        ),
        ({"model": lambda x: None}, "returned None"),
        (
            {"model": lambda x: torch.rand(len(x))},
            r"returned a torch.float32 tensor of shape \(2,\)",
        ),
    ],
)
@pytest.mark.parametrize("name", [n for n in EVERY if n != "hop_skip_jump"])
def test_bad_input_is_answered(name, change, says):
    given = {"model": network(0), "images": torch.rand(2, 3, 8, 8), "labels": 1} | change
    with pytest.raises(ValueError, match=says):
        EVERY[name](given["model"], given["images"], given["labels"], 0.1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": torch.full((2, 3, 8, 8), 1.5)}, "Pixels are wanted"),
        ({"labels": torch.tensor([1, 2, 3])}, "One label an image"),
        ({"model": lambda x: None}, "a label an image.*returned None"),
        ({"model": lambda x: torch.rand(len(x))}, "a label an image.*returned a torch.float32"),
        ({"model": lambda x: torch.zeros(1, dtype=torch.long)[:0]}, "a label an image"),
        ({"queries": 0}, "queries is 0; a whole number of at least 1"),
    ],
)
def test_bad_input_of_hop_skip_jump(change, says):
    given = {
        "model": network(0),
        "images": torch.rand(2, 3, 8, 8),
        "labels": 1,
        "queries": 50,
    } | change
    with pytest.raises(ValueError, match=says):
        attacks.hop_skip_jump(**given)


@pytest.mark.parametrize("attack", [attacks.square, attacks.nes])
def test_a_budget_of_no_questions(attack):
    with pytest.raises(ValueError, match="queries is 0; a whole number of at least 1"):
        attack(network(0), torch.rand(2, 3, 8, 8), 1, eps=0.1, queries=0)


@pytest.mark.parametrize(
    "attack",
    [
        lambda m, x, t: attacks.cw(m, x, t, targeted=True),
        lambda m, x, t: attacks.square(m, x, t, eps=0.1, targeted=True),
        lambda m, x, t: attacks.nes(m, x, t, eps=0.1, targeted=True),
        lambda m, x, t: attacks.one_pixel(m, x, t, targeted=True),
        lambda m, x, t: attacks.patch(m, x, t[0].item()),
    ],
)
def test_a_target_that_the_model_sees_already(attack):
    net = network(0)
    x = torch.rand(2, 3, 8, 8)
    with pytest.raises(ValueError, match="already reads image 0.*Leave such images out"):
        attack(net, x, net(x).argmax(1))


@pytest.mark.parametrize(
    ("attack", "options", "says"),
    [
        (attacks.apgd, {"eps": 0.1, "loss": "mse"}, "no loss called 'mse'"),
        (attacks.apgd, {"eps": 0.1, "norm": "l1"}, "no norm called 'l1'"),
        (attacks.apgd, {"eps": 0.1, "steps": 0}, "at least 1"),
        (attacks.momentum, {"eps": -1}, "0 or more"),
        (attacks.square, {"eps": 8}, "8/255"),
        (attacks.nes, {"eps": 0.1, "sigma": 0}, "sigma is 0; a number above 0"),
        (attacks.nes, {"eps": 0.1, "samples": 5}, "an even number"),
        (attacks.cw, {"searches": 0}, "searches is 0"),
        (attacks.cw, {"lr": -1}, "lr is -1; a number above 0"),
        (attacks.deepfool, {"steps": 0}, "steps is 0"),
        (attacks.deepfool, {"classes": 1}, "classes is 1; a whole number of at least 2"),
        (attacks.universal, {"eps": 0.1, "steps": 0}, "at least 1"),
        (attacks.one_pixel, {"pixels": 0}, "pixels is 0"),
        (attacks.one_pixel, {"population": 2}, "population is 2; a whole number of at least 5"),
        (attacks.universal, {"eps": 0.1, "batch_size": 0}, "batch_size is 0"),
        (attacks.nes, {"eps": 0.1, "queries": 50}, r"one step asks samples \+ 1 = 51 times"),
        (attacks.momentum, {"eps": torch.rand(2)}, r"eps is one number here; its shape is \(2,\)"),
        (attacks.square, {"eps": torch.rand(2)}, "eps is one number here"),
        (attacks.apgd, {"eps": torch.rand(3)}, r"one an image \(2,\); its shape is \(3,\)"),
        (attacks.patch, {"side": 0}, "side is 0"),
    ],
)
def test_bad_options(attack, options, says):
    net = network(0)
    x = torch.rand(2, 3, 8, 8)
    labels = net(x).argmin(1)[0].item() if attack is attacks.patch else net(x).argmax(1)
    with pytest.raises(ValueError, match=says):
        attack(net, x, labels, **options)


def test_dlr_wants_three_classes():
    net, x, y = lines(0, 2)
    with pytest.raises(ValueError, match='Use loss="ce"'):
        attacks.apgd(net, x, y, eps=0.1)


@pytest.mark.parametrize("close", [-1, 0, 1e-300, float("nan"), None])
def test_a_bisection_ends(close):
    with pytest.raises(ValueError, match="close is"):
        attacks.border(
            lambda x: bool(x.sum() > 1),
            torch.zeros(1, 1, 2, 2),
            torch.ones(1, 1, 2, 2),
            close=close,
        )


def test_a_budget_is_left_as_it_was():
    for budget in (torch.tensor(300), np.array(300)):
        with pytest.raises(ValueError, match=r"plain number is wanted: int\(queries\)"):
            attacks.hop_skip_jump(lambda x: x.flatten(1), torch.rand(1, 1, 2, 2), 0, queries=budget)
        assert budget == 300


def test_guesses_come_in_the_images_bits():
    torch.manual_seed(0)
    weights = torch.randn(4, 3).double()
    x = torch.rand(2, 1, 2, 2)

    def model(images):
        assert images.dtype == torch.float32
        return images.double().flatten(1) @ weights

    assert attacks.nes(model, x, 0, eps=0.1, queries=60, samples=4).dtype == torch.float32
