"""Style: the Gram matrix and what it forgets, the losses, the descent, and the network they are
read from."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from trickkit import activations, contract, data, models, style


@pytest.fixture(scope="module")
def net():
    return style.vgg()


@pytest.fixture(scope="module")
def photo():
    return data.scaled(data.picture("macaw"), side=56)


@pytest.fixture(scope="module")
def wave():
    return data.scaled(data.painting("great_wave"), side=64)


@pytest.fixture(autouse=True)
def dice():
    torch.manual_seed(0)


def on_device(value):
    if isinstance(value, list):
        return [on_device(v) for v in value]
    return value.to(contract.device())


def activation(channels=5, height=4, width=7):
    return torch.randn(1, channels, height, width).relu()


def test_gram_is_the_mean_product_of_two_channels_over_the_places():
    x = activation()
    g = style.gram(x)
    for i in range(5):
        for j in range(5):
            by_hand = sum(x[0, i, r, c] * x[0, j, r, c] for r in range(4) for c in range(7)) / 28
            assert torch.isclose(g[i, j], by_hand, rtol=1e-5)
    assert torch.allclose(g, g.T) and torch.linalg.eigvalsh(g.double()).min() > -1e-6


def test_gram_forgets_place_and_size():
    x = activation()
    g = style.gram(x)
    assert torch.allclose(
        style.gram(x.flatten(2)[..., torch.randperm(28)][..., None]), g, atol=1e-6
    )
    assert torch.allclose(style.gram(x.flip(3)), g, atol=1e-6)
    # tiled: six times as many places
    assert torch.allclose(style.gram(x.repeat(1, 1, 3, 2)), g, atol=1e-6)
    assert not torch.allclose(style.gram(x.roll(1, 1)), g, atol=1e-2)  # channels are not forgotten


def test_scattered_moves_places_and_keeps_the_gram_matrix():
    x = activation(height=6, width=9).contiguous(memory_format=torch.channels_last)
    y = style.scattered(x)
    assert y.shape == x.shape and not torch.equal(y, x)
    assert torch.allclose(style.gram(y), style.gram(x), atol=1e-6)
    columns = sorted(map(tuple, x.flatten(2)[0].T.tolist()))
    assert sorted(map(tuple, y.flatten(2)[0].T.tolist())) == columns


def test_style_loss_is_the_papers():
    now, wanted = ([style.gram(activation(c)) for c in (2, 5)] for _ in range(2))
    paper = [
        sum((g[i, j] - a[i, j]) ** 2 for i in range(len(g)) for j in range(len(g)))
        / (4 * len(g) ** 2)
        for g, a in zip(now, wanted, strict=True)
    ]
    assert torch.isclose(style.style_loss(now, wanted), sum(paper) / 2, rtol=1e-5)
    assert (
        style.style_loss(now, now) == 0
        and style.style_loss(now, wanted) == style.style_loss(wanted, now) > 0
    )


def test_content_loss_and_total_variation_are_means_over_places():
    a = activation()
    b = activation()
    assert torch.isclose(style.content_loss(a, b), 0.5 * (a - b).square().sum() / 28, rtol=1e-5)
    doubled = [x.repeat(1, 1, 2, 2) for x in (a, b)]
    assert torch.isclose(style.content_loss(*doubled), style.content_loss(a, b), rtol=1e-5)
    x = torch.zeros(1, 3, 4, 5)
    assert style.total_variation(x + 0.3) == 0
    x[..., 2:] = 1  # one edge down the middle: 4 steps in each of 3 channels, over 20 pixels
    assert torch.isclose(style.total_variation(x), torch.tensor(12 / 20))
    assert torch.isclose(style.total_variation(x.transpose(2, 3)), torch.tensor(12 / 20))


def test_network_is_vgg_up_to_scale_and_every_layer_is_one_on_average(net, photo):
    plain = models.vgg_features()
    for name, module in list(plain.named_children()):
        if isinstance(module, nn.MaxPool2d):
            setattr(plain, name, nn.AvgPool2d(2))
    names = ["relu1_1", "relu1_2", "relu3_3", "relu5_3"]
    for a, b in zip(
        style.responses(plain, photo, names), style.responses(net, photo, names), strict=True
    ):
        scale = a.sum() / b.sum()
        assert torch.allclose(a, scale * b, rtol=1e-3, atol=1e-3 * a.max().item())
    assert (
        not any(isinstance(m, nn.MaxPool2d) for m in net)
        and sum(isinstance(m, nn.AvgPool2d) for m in net) == 5
    )
    photos = torch.cat([data.picture(name, size=128) for name in data.picture_names()])
    for a in style.responses(net, photos, ["relu1_1", "relu2_2", "relu4_3"]):
        assert abs(a.mean().item() - 1) < 1e-3


def test_activations_come_in_the_order_asked_for_and_stop_at_the_last(net, photo):
    late, early = style.responses(net, photo, ["relu2_1", "relu1_1"])
    assert late.shape[1] == 128 and early.shape[1] == 64
    assert torch.equal(early, activations.read(net, photo, "relu1_1")[0])
    asked = []
    with activations.hooked(net, [net.conv2_2], lambda *_: asked.append(1)):
        style.responses(net, photo, ["relu2_1"])
        assert not asked
        style.responses(net, photo, ["relu2_2"])
    assert asked
    quick = style.responses(net, photo, ["relu3_1"], quick=True)[0]
    exact = style.responses(net, photo, ["relu3_1"])[0]
    assert quick.dtype == torch.float32 and (quick - exact).norm() < 0.03 * exact.norm()


def test_what_activations_refuse(net, photo):
    with pytest.raises(ValueError, match="Did you mean 'relu4_1'"):
        style.responses(net, photo, ["relu41"])
    with pytest.raises(ValueError, match="32 pixels or more"):
        style.responses(net, photo[..., :20], ["relu1_1"])
    with pytest.raises(ValueError, match="largest here is 255"):
        style.responses(net, torch.full((1, 3, 40, 40), 255.0), ["relu1_1"])
    with pytest.raises(ValueError, match="3 channels"):
        style.responses(net, photo[:, :1], ["relu1_1"])
    with pytest.raises(ValueError, match=r"style.vgg\(\) makes it"):
        style.responses(models.convnet(), photo, ["relu1"])


def test_a_painting_has_its_own_style_at_any_size(net, wave):
    wanted = style.style_of(net, wave)
    assert [len(g) for g in wanted] == [64, 128, 256, 512, 512]
    assert (
        style.style_loss(
            [style.gram(a) for a in style.responses(net, wave, style.STYLE_LAYERS)], wanted
        )
        == 0
    )
    larger, other = (
        style.style_of(net, x)
        for x in (
            data.scaled(data.painting("great_wave"), side=96),
            data.scaled(data.painting("auvers"), side=64),
        )
    )
    assert style.style_loss(larger, wanted) < style.style_loss(other, wanted)
    first = style.style_of(net, wave, layers=style.STYLE_LAYERS[:1])
    assert len(first) == 1 and torch.equal(first[0], wanted[0])


def test_paint_lowers_its_loss_and_stays_a_picture(net, photo, wave):
    wanted = style.style_of(net, wave)
    before = photo.clone()
    [content] = style.responses(net, photo, [style.CONTENT_LAYER])

    def loss(x):
        here = style.responses(net, x, [style.CONTENT_LAYER])[0]
        return 1e-4 * style.content_loss(here, content) + style.style_loss(
            style.style_of(net, x), wanted
        )

    x = style.paint(net, photo, wanted, max_evals=12)
    assert x.shape == photo.shape and x.dtype == torch.float32 and x.min() >= 0 and x.max() <= 1
    assert loss(x) < 0.6 * loss(photo) and torch.equal(photo, before)
    smooth = style.paint(net, photo, wanted, tv_weight=100, max_evals=12)
    assert style.total_variation(smooth) < 0.5 * style.total_variation(x)
    kept = style.paint(net, photo, wanted, ratio=1e3, max_evals=6)
    assert (kept - photo).abs().mean() < 0.3 * (x - photo).abs().mean()
    shallow = style.paint(net, photo, wanted[:1], max_evals=4, init=torch.rand_like(photo))
    assert shallow.shape == photo.shape


def test_the_content_as_a_sum_would_weigh_so_much_more(net):
    """Eq. 1 as printed is a sum over places: at 96 pixels the paper's 1e-3 is then our 0.1, and the
    photograph stays."""
    photo = data.scaled(data.picture("macaw"), side=96)
    wave = data.scaled(data.painting("great_wave"), side=96)
    places = style.responses(net, photo, [style.CONTENT_LAYER])[0][0, 0].numel()
    assert places == 12 * 9
    wanted = style.style_of(net, wave, layers=style.STYLE_LAYERS[:3])
    summed, ours = (
        style.paint(net, photo, wanted, ratio=r, max_evals=8) for r in (1e-3 * places, 1e-3)
    )
    assert (summed - photo).abs().mean() < 0.6 * (ours - photo).abs().mean()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"photo": torch.full((1, 3, 40, 40), 200.0)}, "largest here is 200"),
        ({"photo": torch.rand(2, 3, 40, 40)}, "in colour is wanted"),
        ({"photo": torch.rand(3, 40, 40)}, "unsqueeze"),
        ({"wanted": torch.rand(1, 3, 40, 40)}, r"style.style_of\(net, painting\)"),
        ({"wanted": [torch.rand(1, 64, 9, 9)]}, r"style.style_of\(net, painting\)"),
        ({"wanted": [torch.rand(9, 9)]}, "Gram matrices of the same layers"),
        ({"wanted": []}, "Gram matrices of the same layers"),
        ({"init": torch.rand(1, 3, 40, 41)}, "init is wanted in the photo's size"),
        ({"init": torch.rand(1, 3, 40, 40) * 3}, "Pixels are wanted in"),
    ],
)
def test_what_paint_refuses(net, change, says):
    fine = {"photo": torch.rand(1, 3, 40, 40), "wanted": [torch.rand(64, 64)]}
    style.paint(net, **{k: on_device(v) for k, v in fine.items()}, max_evals=1)
    with pytest.raises(ValueError, match=says):
        style.paint(net, **{k: on_device(v) for k, v in (fine | change).items()}, max_evals=1)


def test_what_else_is_refused(net):
    with pytest.raises(ValueError, match=r"\[64, 128\] and \[64\] channels"):
        style.style_loss([torch.rand(64, 64), torch.rand(128, 128)], [torch.rand(64, 64)])
    with pytest.raises(ValueError, match="largest here is 255"):
        style.style_of(net, torch.full((1, 3, 40, 40), 255.0))
    for two in (
        (torch.rand(1, 1, 9, 9), torch.rand(1, 3, 9, 9)),
        (torch.rand(1, 3, 9, 9), torch.rand(2, 3, 9, 9)),
    ):
        with pytest.raises(ValueError, match="in colour is wanted"):
            style.recolour(*two)


def test_descend_finds_the_nearest_picture_in_bounds():
    """Of a quadratic without cross terms, that is its minimum, cut at 0 and 1 (as near as a float32
    loss can tell)."""
    goal = torch.randn(1, 3, 5, 6) + 0.5
    steep = torch.rand(1, 3, 5, 6) * 9 + 1
    start = torch.rand(1, 3, 5, 6)
    found = style.descend(start, lambda x: (steep * (x - goal).square()).sum(), max_evals=100)
    assert torch.allclose(found, goal.clamp(0, 1), atol=2e-3) and found.shape == start.shape


def test_descend_agrees_with_another_optimiser():
    mix = torch.randn(90, 90) / 9 + 2 * torch.eye(90)
    goal = torch.rand(90) * 0.2 + 0.4  # inside, so that bounds play no part
    start = torch.full((1, 3, 5, 6), 0.5)

    def loss(x):
        return (mix @ (x.flatten() - goal)).square().sum()

    x = start.clone().requires_grad_(True)
    other = torch.optim.LBFGS([x], max_iter=300, line_search_fn="strong_wolfe", tolerance_grad=1e-7)

    def look():
        other.zero_grad()
        value = loss(x)
        value.backward()
        return value

    other.step(look)
    found = style.descend(start, loss, max_evals=300)
    assert torch.allclose(found, x.detach(), atol=1e-3) and torch.allclose(
        found.flatten(), goal, atol=1e-3
    )


def test_descend_counts_its_looks_is_watched_and_can_be_stopped():
    looks = []
    seen = []

    def loss(x):
        looks.append(x.detach().clone())
        return (torch.arange(75.0).view(1, 3, 5, 5) * (x - 0.3).square()).sum()

    def watch(x):
        seen.append(x)
        if len(seen) == 3:
            raise StopIteration

    start = torch.rand(1, 3, 5, 5)
    found = style.descend(start, loss, max_evals=8)
    assert 8 <= len(looks) <= 12 and all(x.min() >= 0 and x.max() <= 1 for x in looks)
    stopped = style.descend(start, loss, max_evals=100, callback=watch)
    assert (
        len(seen) == 3
        and torch.equal(stopped, seen[-1])
        and all(x.shape == start.shape for x in seen)
    )
    assert loss(found) < loss(stopped) < loss(start)
    with pytest.raises(ValueError, match="Pixels are wanted in"):
        style.descend(start * 2 + 0.5, loss)


def chroma(x):
    """How a pixel's channels differ."""
    return x[:, :2] - x[:, 1:]


def test_luminance_alone_leaves_the_chroma():
    start = torch.rand(1, 3, 8, 9)
    start[..., 0, 0] = torch.tensor([0.0, 0.5, 1.0])  # cannot move at all
    goal = torch.rand(1, 3, 8, 9) * 3 - 1  # far outside, so that bounds are met
    found = style.descend(start, lambda x: (x - goal).square().sum(), luminance=True, max_evals=60)
    assert found.shape == start.shape and found.min() >= 0 and found.max() <= 1
    assert torch.allclose(chroma(found), chroma(start), atol=1e-6)
    assert torch.equal(found[..., 0, 0], start[..., 0, 0])
    # the nearest such picture, from a pixel's mean, in closed form
    step = (goal - start).mean(1, keepdim=True)
    step = step.clamp(-start.amin(1, keepdim=True), 1 - start.amax(1, keepdim=True))
    assert torch.allclose(found, start + step, atol=2e-3)


def test_luminance_descends_as_another_optimiser_does():
    """On a loss that ties pixels and channels together: SciPy alone, its gradients by finite
    differences."""
    mix = (torch.randn(36, 36) / 6 + torch.eye(36)).double()
    goal = torch.rand(36, dtype=torch.double)
    start = torch.rand(1, 3, 3, 4) * 0.8 + 0.1

    def by_hand(steps):
        x = start.double() + torch.from_numpy(steps).view(1, 1, 3, 4)
        return (mix @ (x.flatten() - goal)).square().sum().item()

    bounds = list(zip(-start.amin(1).flatten(), 1 - start.amax(1).flatten(), strict=True))
    other = minimize(by_hand, np.zeros(12), method="L-BFGS-B", bounds=bounds)
    found = style.descend(
        start,
        lambda x: (mix.float() @ (x.flatten() - goal.float())).square().sum(),
        luminance=True,
        max_evals=300,
    )
    assert torch.allclose(
        (found - start).mean(1).flatten().double(), torch.from_numpy(other.x), atol=2e-3
    )


def test_paint_in_luminance_alone(net, photo, wave):
    wanted = style.style_of(net, wave)
    x = style.paint(net, photo, wanted, luminance=True, max_evals=8)
    assert torch.allclose(chroma(x), chroma(photo), atol=1e-6) and x.min() >= 0 and x.max() <= 1
    before, after = (style.style_loss(style.style_of(net, y), wanted) for y in (photo, x))
    assert after < 0.8 * before
    with pytest.raises(ValueError, match="luminance is 'yes'"):
        style.paint(net, photo, wanted, luminance="yes")


def test_coarse_to_fine_paints_in_the_paintings_colours(net):
    """With luminance its chroma is that of the recoloured photograph, at full size."""
    photo, painting = data.scene("palace"), data.painting("great_wave")
    found = style.coarse_to_fine(net, photo, painting, sides=(48, 64), luminance=True, max_evals=3)
    tinted = data.scaled(style.recolour(photo, painting), side=64)
    assert found.shape == tinted.shape and found.min() >= 0 and found.max() <= 1
    assert torch.allclose(chroma(found), chroma(tinted), atol=1e-5)
    assert (found - tinted).abs().mean() > 0.02
    with pytest.raises(ValueError, match="luminance is 1"):
        style.coarse_to_fine(net, photo, painting, luminance=1)


def test_coarse_to_fine_has_the_size_and_the_proportions(net):
    steps = []
    found = style.coarse_to_fine(
        net,
        data.picture("crocodile"),
        data.painting("mona_lisa"),
        sides=(64, 96),
        max_evals=2,
        ratio=1e-3,
        tv_weight=1,
        callback=lambda x: steps.append(max(x.shape[2:])),
    )
    assert found.shape == (1, 3, 47, 96) and found.min() >= 0 and found.max() <= 1
    assert set(steps) == {64, 96} and steps == sorted(steps)


def test_each_size_begins_with_the_one_before_it(net, monkeypatch):
    inits = []

    def paint(net, photo, wanted, *, init, luminance, max_evals):
        inits.append(init)
        assert not luminance
        return torch.full_like(init, 0.25)

    monkeypatch.setattr(style, "paint", paint)
    photo = data.picture("crocodile")
    style.coarse_to_fine(net, photo, photo, sides=(64, 96), max_evals=1)
    assert torch.allclose(inits[0], data.scaled(photo, side=64), atol=0.05)
    assert inits[1].shape == (1, 3, 47, 96) and torch.allclose(inits[1], torch.tensor(0.25))


def test_recolour_gives_mean_and_covariance():
    """On pixels that need no cutting; and the other way round again it is the painting that there
    was."""
    painting = 0.5 + torch.randn(1, 3, 30, 40) * 0.03
    photo = 0.5 + torch.randn(1, 3, 20, 20) * 0.05
    photo[:, 1] += 0.4 * (photo[:, 0] - 0.5)  # channels that go together
    tinted = style.recolour(painting, photo)
    here, wanted = (x[0].flatten(1) for x in (tinted, photo))
    assert tinted.shape == painting.shape and torch.allclose(
        here.mean(1), wanted.mean(1), atol=1e-4
    )
    assert torch.allclose(here.cov(), wanted.cov(), atol=2e-5)
    assert torch.allclose(style.recolour(tinted, painting), painting, atol=2e-3)
    # no matrix with that covariance moves the colours less: turns of it are no nearer
    root = torch.linalg.cholesky(wanted.cov())
    middle = painting[0].flatten(1) - painting[0].flatten(1).mean(1, keepdim=True)
    for _ in range(20):
        turn = torch.linalg.qr(torch.randn(3, 3))[0]
        other = root @ turn @ torch.linalg.solve(torch.linalg.cholesky(middle.cov()), middle)
        moved = (other + wanted.mean(1, keepdim=True) - painting[0].flatten(1)).square().mean()
        assert moved > (here - painting[0].flatten(1)).square().mean() - 1e-7
    # a painting of one colour takes the mean of the photo's
    one = style.recolour(torch.full((1, 3, 8, 8), 0.2), photo)
    assert torch.allclose(one[0].flatten(1).mean(1), wanted.mean(1), atol=1e-3)
    wild = style.recolour(
        data.scaled(data.painting("auvers"), side=40), data.scaled(data.picture("rocket"), side=40)
    )
    assert wild.min() >= 0 and wild.max() <= 1


def test_scaled_keeps_proportions():
    x = data.picture("crocodile")
    assert data.scaled(x, side=100).shape == (1, 3, 49, 100) and data.scaled(
        x.transpose(2, 3), side=100
    ).shape == (1, 3, 100, 49)
    assert data.scaled(x[..., :3, :], side=10).shape[2] == 1  # never no pixel at all
    flat = data.scaled(torch.full((1, 3, 30, 40), 0.25), side=64)
    assert flat.shape[3] == 64 and torch.allclose(flat, torch.tensor(0.25), atol=1e-5)
    # bicubic, and yet no pixel beyond white
    assert data.scaled(torch.rand(1, 3, 9, 9).round(), side=50).max() <= 1


def test_a_picture_of_one_pixel_has_a_colour():
    painting = torch.rand(1, 3, 4, 4)
    one = torch.tensor([0.2, 0.5, 0.8]).view(1, 3, 1, 1)
    assert torch.allclose(style.recolour(one, painting), painting.mean((2, 3), keepdim=True))
    assert torch.allclose(style.recolour(painting, one), one, atol=0.01)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_descent_hands_out_copies_wherever_it_is_called(off):
    def loss(x):
        return x.sub_(0.3).square().sum()

    start = torch.rand(1, 3, 2, 2)
    kept = start.clone()
    with off():
        found = style.descend(start, loss, callback=lambda picture: picture.zero_())
    assert torch.allclose(found, torch.tensor(0.3), atol=1e-3) and torch.equal(start, kept)
    with pytest.raises(ValueError, match="max_evals is 0"):
        style.descend(start, loss, max_evals=0)
