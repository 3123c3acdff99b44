import asyncio
import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from trickkit import activations, data, dreams, models, widgets
from trickkit.dreams import dream, dreaming, guide, label, layer, unit, visualise, zoom

NAMES = ("ant", "bee", "cat")


@pytest.fixture
def net():
    """A small network for any size of picture, with a name for each class."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, padding=2),
        nn.Tanh(),
        nn.Conv2d(8, 6, 3, stride=2),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )
    return (
        models.Classifier(network, mean=(0.5,) * 3, std=(0.5,) * 3, names=NAMES, size=64)
        .eval()
        .requires_grad_(False)
    )


@pytest.fixture
def photo():
    torch.manual_seed(1)
    return torch.rand(1, 3, 75, 98)


# Objectives.


def test_the_objectives_by_their_definitions(net, photo):
    maps, scores = activations.read(net, photo, "network.2", "")
    upper = maps[:, :, : maps.shape[2] // 2]
    assert torch.allclose(dreams.shaded("network.2")(net, photo), upper.square().sum()[None] / 2)
    assert torch.allclose(layer("network.2")(net, photo), maps.square().sum()[None] / 2, rtol=1e-5)
    assert torch.allclose(unit("network.2", 4)(net, photo), maps[0, 4].mean()[None], atol=1e-6)
    assert torch.allclose(unit("", 2)(net, photo), scores[:, 2])
    assert torch.allclose(label("bee")(net, photo), scores[:, 1]) and torch.allclose(
        label(1)(net, photo), scores[:, 1]
    )
    other = torch.rand(1, 3, 40, 50)
    y = activations.read(net, other, "network.2")[0][0].flatten(1).numpy()
    best = sum(
        (maps[0, :, i, j].numpy() @ y).max()
        for i, j in itertools.product(*map(range, maps.shape[2:]))
    )
    assert guide(other, "network.2")(net, photo).item() == pytest.approx(float(best), rel=1e-4)


def test_the_gradient_of_the_guide_is_googles(net, photo):
    # dst.diff[0].reshape(ch, -1)[:] = y[:, A.argmax(1)]
    y = activations.read(net, torch.rand(1, 3, 40, 50), "network.1")[0]
    x = torch.randn(1, 8, 5, 7, requires_grad=True)
    objective = guide(torch.rand(1, 3, 40, 50), "network.1")
    objective.value(net, {"network.1": x}).sum().backward()
    with torch.no_grad():
        features_of_guide = objective.value.__closure__[0].cell_contents(net)
        theirs = features_of_guide[:, (x[0].flatten(1).T @ features_of_guide).argmax(1)]
    assert y.shape[1] == 8 and torch.allclose(x.grad[0].flatten(1), theirs)


def test_objectives_compose(net, photo):
    a = layer("network.2")
    b = label("cat")
    for made, wanted in (
        (a + 0.5 * b, a(net, photo) + 0.5 * b(net, photo)),
        (a - b * 2, a(net, photo) - 2 * b(net, photo)),
        (-a, -a(net, photo)),
        (a + a, 2 * a(net, photo)),
    ):
        assert torch.allclose(made(net, photo), wanted, rtol=1e-5)
    with pytest.raises(TypeError, match="unsupported operand"):
        a + 1
    with pytest.raises(TypeError, match="unsupported operand"):
        a * b


def test_each_image_of_a_batch_has_its_own_number(net):
    images = torch.rand(3, 3, 40, 44)
    for objective in (
        layer("network.0"),
        unit("network.2", 1),
        label("ant"),
        guide(images[:1], "network.1"),
    ):
        alone = torch.cat([objective(net, image[None]) for image in images])
        assert alone.shape == (3,) and torch.allclose(objective(net, images), alone, rtol=1e-4)


def test_the_forward_pass_ends_at_the_last_layer_that_is_read(net, photo):
    reached = []
    for i, module in enumerate(net.network):
        module.register_forward_hook(lambda *_, i=i: reached.append(i))
    (layer("network.2") + unit("network.0", 0))(net, photo)
    assert reached == [0, 1, 2]
    net(photo)
    assert reached[3:] == list(range(7)) and net.network[3].inplace


def test_what_follows_in_place_does_not_change_what_was_seen(net, photo):
    assert (activations.read(net, photo, "network.2", "network.4")[0] < 0).any()


def test_objectives_that_cannot_be(net, photo):
    with pytest.raises(ValueError, match=r"no layer called 'network\.9'.*Did you mean"):
        layer("network.9")(net, photo)
    with pytest.raises(ValueError, match="no unit 8: network.0 has 8"):
        unit("network.0", 8)(net, photo)
    with pytest.raises(ValueError, match="no class called 'bea'. Did you mean 'bee'"):
        label("bea")(net, photo)
    idle = nn.Conv2d(3, 3, 1)
    idle.spare = nn.Conv2d(1, 1, 1)  # never called
    with pytest.raises(ValueError, match="'spare' took no part"):
        (layer("spare") + layer(""))(idle, photo)
    for wrong in (torch.rand(2, 3, 9, 9), torch.rand(1, 1, 9, 9), torch.rand(1, 3, 9, 9) * 255):
        with pytest.raises(ValueError, match=r"One photo in colour|\[0, 1\]"):
            guide(wrong, "network.0")


# Deep dream.


def googles(net, photo, end, octave_n, iter_n, octave_scale, jitter, step_size, seed):
    """dream.ipynb with numpy and scipy, line by line; the network's gradient is autograd's."""
    dice = torch.Generator().manual_seed(seed)
    octaves = [photo[0].numpy().astype(np.float64)]
    for _ in range(octave_n - 1):
        octaves.append(
            ndimage.zoom(octaves[-1], (1, 1.0 / octave_scale, 1.0 / octave_scale), order=1)
        )
    detail = np.zeros_like(octaves[-1])
    pictures = []
    for octave, octave_base in enumerate(octaves[::-1]):
        h, w = octave_base.shape[-2:]
        if octave > 0:
            h1, w1 = detail.shape[-2:]
            detail = ndimage.zoom(detail, (1, 1.0 * h / h1, 1.0 * w / w1), order=1)
        src = octave_base + detail
        for _ in range(iter_n):
            oy, ox = torch.randint(-jitter, jitter + 1, (2,), generator=dice).tolist()
            src = np.roll(np.roll(src, ox, -1), oy, -2)
            x = torch.tensor(src[None], dtype=torch.float32, requires_grad=True)
            dst = activations.read(net, x, end)[0]
            dst.backward(dst.detach())  # objective_L2: dst.diff[:] = dst.data
            g = x.grad[0].numpy()
            src = src + step_size / np.abs(g).mean() * g
            src = np.roll(np.roll(src, -ox, -1), -oy, -2)
            src = np.clip(src, 0, 1)
            pictures.append(src)
        detail = src - octave_base
    return pictures


def test_it_is_googles_algorithm(net, photo):
    settings = {"octaves": 3, "steps": 4, "scale": 1.4, "jitter": 9, "lr": 1.5 / 255, "seed": 5}
    ours = list(dreaming(net, photo, layer("network.2"), **settings))
    theirs = googles(net, photo, "network.2", 3, 4, 1.4, 9, 1.5 / 255, 5)
    assert [tuple(x.shape[2:]) for x in ours] == [x.shape[1:] for x in theirs] and len(ours) == 12
    for x, y in zip(ours, theirs, strict=True):
        assert np.abs(x[0].numpy() - y).max() < 2e-4


def test_it_dreams_more_of_what_it_is_told_and_leaves_the_photo_alone(net, photo):
    before = photo.clone()
    for objective in (
        layer("network.2"),
        unit("network.2", 3),
        label("bee"),
        -label("bee"),
        guide(photo, "network.0"),
    ):
        out = dream(net, photo, objective, octaves=2, steps=5)
        assert (
            out.shape == photo.shape and out.min() >= 0 and out.max() <= 1 and not out.requires_grad
        )
        assert objective(net, out) > objective(net, photo)
    assert torch.equal(photo, before) and all(p.grad is None for p in net.parameters())


def test_a_step_has_the_rate_as_its_mean_size_whatever_the_objectives_scale(net):
    x = torch.full((1, 3, 40, 40), 0.5)
    one, other = (
        dreams.gradient_step(x, dreams.objective_gradient(net, x, objective), lr=0.003)
        for objective in (layer("network.2"), 1000 * layer("network.2"))
    )
    assert (one - x).abs().mean().item() == pytest.approx(0.003, rel=1e-4) and torch.allclose(
        one, other, atol=1e-6
    )
    flat = dreams.gradient_step(
        x, dreams.objective_gradient(net, x, 0 * layer("network.2")), lr=0.003
    )
    assert torch.equal(flat, x)  # no slope, no step, and nothing divided by 0


def test_jitter_is_undone(photo):
    assert torch.equal(dreams.jittered(photo, lambda z: z, down=7, right=-30), photo)
    marked = dreams.jittered(
        photo,
        lambda z: z.index_put(
            (torch.tensor(0), torch.tensor(0), torch.tensor(0), torch.tensor(0)), torch.tensor(5.0)
        ),
        down=2,
        right=3,
    )
    assert marked[0, 0, -2, -3] == 5 and (marked == 5).sum() == 1


def test_the_seed_decides(net, photo):
    a, b, c = (dream(net, photo, layer("network.2"), octaves=2, steps=3, seed=s) for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    torch.manual_seed(3)
    first = torch.rand(1)
    torch.manual_seed(3)
    dream(net, photo, layer("network.2"), octaves=1, steps=1)
    assert torch.equal(torch.rand(1), first)


def test_the_consumer_may_stop(net, photo):
    asked = []
    net.network[0].register_forward_hook(lambda *_: asked.append(1))
    first = list(itertools.islice(dreaming(net, photo, layer("network.2"), octaves=3, steps=10), 3))
    assert len(asked) == 3 and first[-1].shape == (1, 3, 39, 50)
    kept = first[0].clone()
    first[1].zero_()  # a consumer's hands off what comes next
    assert torch.equal(first[0], kept)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"photo": torch.rand(2, 3, 64, 64)}, "One photo in colour"),
        ({"photo": torch.rand(1, 1, 64, 64)}, "One photo in colour"),
        ({"photo": torch.rand(1, 3, 64, 64) + 1}, r"\[0, 1\]"),
        ({"photo": torch.rand(3, 64, 64)}, r"image\.unsqueeze"),
        ({"octaves": 0}, "octaves is 0"),
        ({"steps": 2.5}, r"steps is 2\.5"),
        ({"scale": 1.0}, "scale above 1"),
        ({"lr": -1}, "lr above 0"),
        ({"jitter": -1}, "jitter of 0 or more"),
        ({"octaves": 5}, r"5 octaves shrink this photo to 28 × 36 .* Take 3 or fewer"),
        ({"photo": torch.rand(1, 3, 20, 200)}, "2 octaves shrink .* Take 1 or fewer"),
    ],
)
def test_bad_input_is_answered_before_the_first_step(net, photo, change, says):
    with pytest.raises(ValueError, match=says):
        dreaming(net, **{"photo": photo, "objective": layer("network.2"), "octaves": 2, **change})


def test_a_model_in_train_mode_is_refused(photo):
    moody = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(ValueError, match="train mode"):
        dreaming(moody, photo, layer("0"))
    with pytest.raises(ValueError, match="train mode"):
        visualise(moody, layer("0"))


def test_the_advice_on_octaves_is_good(net):
    for side in (33, 47, 64, 90, 124, 200):
        x = torch.rand(1, 3, side, 250)
        with pytest.raises(ValueError, match="Take") as told:
            dreaming(net, x, layer("network.2"), octaves=12)
        advised = int(str(told.value).split("Take ")[1].split()[0])
        dreaming(net, x, layer("network.2"), octaves=advised)


# Film.


def test_the_film_goes_nearer_and_is_seeded(net, photo):
    settings = {"frames": 3, "by": 0.1, "octaves": 1, "steps": 2}
    film = list(zoom(net, photo, layer("network.2"), **settings))
    assert [f.shape for f in film] == [photo.shape] * 3
    assert torch.equal(film[0], dream(net, photo, layer("network.2"), octaves=1, steps=2))
    nearer = dreams.enlarged(film[0], by=0.1).clamp(0, 1)
    onward = dream(net, nearer, layer("network.2"), octaves=1, steps=2, seed=1)
    assert torch.equal(film[1], onward)
    again = list(zoom(net, photo, layer("network.2"), **settings))
    assert all(torch.equal(a, b) for a, b in zip(film, again, strict=True))
    for wrong in ({"frames": 0}, {"by": 1.0}, {"by": -0.1}):
        with pytest.raises(ValueError, match="wanted|from 0"):
            zoom(net, photo, layer("network.2"), **wrong)


def test_enlarged_is_the_middle():
    ramp = torch.linspace(0, 1, 101).expand(1, 3, 61, 101)
    near = dreams.enlarged(ramp, by=0.2)
    assert near[0, 0, 30, 50].item() == pytest.approx(0.5, abs=1e-5)
    assert near[0, 0, 0, 100].item() == pytest.approx(0.9, abs=2e-3) and near[
        0, 0, 0, 0
    ].item() == pytest.approx(0.1, abs=2e-3)
    assert torch.allclose(dreams.enlarged(ramp, by=0), ramp, atol=1e-5)


# Feature visualisation.


@pytest.mark.parametrize("switches", list(itertools.product((True, False), repeat=3)))
def test_every_switch_by_itself_draws_more_of_the_unit_than_noise(net, switches):
    on = dict(zip(("fourier", "decorrelate", "transform"), switches, strict=True))
    picture = visualise(net, unit("network.2", 2), size=48, steps=16, **on)
    noise = torch.rand(20, 3, 48, 48)
    assert picture.shape == (1, 3, 48, 48) and picture.min() >= 0 and picture.max() <= 1
    assert unit("network.2", 2)(net, picture) > unit("network.2", 2)(net, noise).max()
    assert torch.equal(picture, visualise(net, unit("network.2", 2), size=48, steps=16, **on))


def test_every_switch_does_something(net):
    pictures = [
        visualise(net, unit("network.2", 2), size=48, steps=4, **off)
        for off in ({}, {"fourier": False}, {"decorrelate": False}, {"transform": False})
    ]
    assert all((a - b).abs().max() > 0.01 for i, a in enumerate(pictures) for b in pictures[:i])


def test_the_palette_has_the_colours_of_the_photographs():
    pixels = torch.cat([data.picture(name, size=64) for name in data.picture_names()])
    covariance = np.cov(pixels.cpu().transpose(0, 1).flatten(1).numpy())
    assert np.allclose(dreams.palette() @ dreams.palette().T, covariance, atol=1e-5)


def test_odd_and_even_sizes_and_composed_objectives(net):
    assert visualise(net, layer("network.0") - label("cat"), size=33, steps=2).shape == (
        1,
        3,
        33,
        33,
    )
    with pytest.raises(ValueError, match="32 pixels or more"):
        visualise(net, layer("network.0"), size=20)


def test_noise_before_the_first_step_is_as_loud_with_waves_as_with_pixels_in_all(net):
    waves = dreams.loudness(64)
    assert (
        waves.shape == (64, 33)
        and waves.argmax() in (0, 1)
        and (waves[0, 2:] < waves[0, 1:-1]).all()
    )
    # as the frequency, down or across, to the power of -1.25
    for far in (waves[0], waves[:33, 0]):
        assert torch.allclose(far[1:], far[1] * torch.arange(1.0, 33) ** -1.25)
    assert waves[3, 4] == pytest.approx(waves[0, 5].item())


def test_a_picture_of_waves_is_numpys_and_its_colours_are_mixed():
    dice = np.random.default_rng(0)
    z = dice.normal(size=(2, 3, 12, 7)) + 1j * dice.normal(size=(2, 3, 12, 7))
    loud, mix = dice.random((12, 7)), dice.normal(size=(3, 3))
    waves = torch.view_as_real(torch.from_numpy(z))
    seen = dreams.from_waves(waves, loud=torch.from_numpy(loud), mix=torch.from_numpy(mix))
    numbers = np.fft.irfft2(z * loud, s=(12, 12), norm="ortho")
    colours = np.stack([(row[:, None, None] * numbers).sum(1) for row in mix], axis=1)
    assert np.allclose(seen, 1 / (1 + np.exp(-colours)))
    assert torch.allclose(
        seen, dreams.in_colours(torch.from_numpy(numbers), mix=torch.from_numpy(mix))
    )


def test_shaken_stays_a_picture_and_moves_by_what_it_says():
    dice = torch.Generator().manual_seed(0)
    dot = torch.zeros(1, 1, 101, 101)
    dot[..., 49:52, 49:52] = 1
    for _ in range(20):
        seen = dreams.shaken(dot, generator=dice)
        assert seen.min() >= 0 and seen.max() <= 1
        place = (seen[0, 0] > 0.3).nonzero().float().mean(0)
        assert (place - 50).abs().max() < 9.5
    away = torch.zeros(1, 1, 101, 101)
    away[..., 49:52, 89:92] = 1  # forty pixels to the right of the middle
    least = {"turn": 0, "zoom": 0, "shift": 0}
    for change, axis, most in (
        ({"turn": 10}, 0, 7),
        ({"zoom": 0.1}, 1, 4.4),
        ({"shift": 0.07}, 0, 7),
    ):
        seen = [dreams.shaken(away, generator=dice, **least | change) for _ in range(40)]
        places = torch.stack([(s[0, 0] > 0.3).nonzero().float().mean(0) for s in seen])
        moved = places - torch.tensor([50.0, 90.0])
        assert moved[:, axis].max() > most / 2 and moved[:, axis].min() < -most / 2
        assert moved.abs().max() < most + 1
    still = dreams.shaken(dot, generator=dice, turn=0, zoom=0, shift=0)
    assert torch.allclose(still, dot, atol=1e-4)


# On the network of the course.


@pytest.fixture(scope="module")
def efficientnet():
    return models.imagenet()


def test_on_the_courses_network(efficientnet):
    cat = dreams.resized(data.picture("cat"), 300, 450).clamp(0, 1)
    objective = layer("network.blocks.4")
    out = dream(efficientnet, cat, objective)
    assert objective(efficientnet, out) > 2 * objective(efficientnet, cat)


def test_googlenet_would_dream_too():
    """Its weights cannot be had without a network; that all works by its layers' names can."""
    from torchvision.models import googlenet

    torch.manual_seed(0)
    network = models.fold_batchnorm(
        googlenet(weights=None, init_weights=False, aux_logits=False).eval()
    )
    net = (
        models.Classifier(
            network, mean=(0.5,) * 3, std=(0.5,) * 3, names=[str(i) for i in range(1000)], size=224
        )
        .eval()
        .requires_grad_(False)
    )
    photo = torch.rand(1, 3, 96, 120)
    # inception_4c/output, inception_3b/5x5_reduce
    for name in (
        "network.inception4c",
        "network.inception3b.branch3.0",
    ):
        assert name in activations.layers(net)
        out = dream(net, photo, layer(name), octaves=2, steps=2)
        assert layer(name)(net, out) > layer(name)(net, photo)
    dream(
        net,
        photo,
        guide(torch.rand(1, 3, 64, 64), "network.inception3b") + label("3"),
        octaves=2,
        steps=1,
    )


# The panel.


class Screen:
    """What a cell shows: the pictures' alt texts, in order."""

    def __init__(self):
        self.alts = []

    def update(self, picture):
        self.alts.append(picture.alt)


@pytest.fixture
def panel(net, monkeypatch):
    screen = Screen()

    def display(shown, **_):
        if hasattr(shown, "alt"):
            screen.update(shown)
        return screen

    monkeypatch.setattr(widgets, "display", display)
    made = widgets.DreamPanel(
        net,
        ["network.0", "network.2"],
        picture="panda",
        layer="network.2",
        side=64,
        octaves=1,
        steps=2,
    )
    return made, screen


def test_the_panel_dreams_between_messages_and_stops_when_told(panel):
    made, screen = panel
    assert screen.alts[0].endswith("dreamt.") and "dream.png" in made.download.value

    async def learner():
        made.steps.value = 40
        made.begin()
        for _ in range(4):
            await asyncio.sleep(0.01)
        first = made.task
        made.begin()  # the first is stopped
        await asyncio.sleep(0.02)
        assert (
            first.cancelled() and made.task and made.task is not first and not made.download.value
        )
        made.halt()
        await asyncio.sleep(0.02)
        assert (
            made.task is None
            and screen.alts[-1].endswith("stopped.")
            and "dream.png" in made.download.value
        )
        made.halt()
        assert "No dream is running" in made.says.value
        made.steps.value = 2
        made.begin()
        await made.task
        assert screen.alts[-1].endswith("dreamt.") and "done" in made.says.value

    asyncio.run(learner())


def test_the_panel_answers_bad_photos_and_settings_in_words(panel):
    made, screen = panel
    before = made.photo
    made.take(b"no photo")
    assert "not a picture that can be read" in made.says.value and made.photo is before
    made.octaves.value = 5
    made.begin()
    assert "octaves shrink this photo" in made.says.value and made.task is None
    made.take("cat")
    assert (
        max(made.photo.shape) == 64
        and screen.alts[-1].endswith("awake.")
        and not made.download.value
    )


class Shaped(nn.Module):
    """A convolution whose output "shape" moves: channels last, or tokens."""

    def __init__(self, move):
        super().__init__()
        torch.manual_seed(0)
        self.same = nn.Conv2d(3, 9, 3, padding=1, stride=2)
        self.moved = nn.Identity()
        self.move = move

    def forward(self, x):
        return self.moved(self.move(self.same(x))).flatten(1)[:, :3]


def last(a):
    return a.permute(0, 2, 3, 1)


def tokens(a):
    return a.flatten(2).transpose(1, 2)


@pytest.mark.parametrize(
    "objective",
    [
        layer,
        dreams.shaded,
        lambda name: unit(name, 8),
        lambda name: guide(torch.rand(1, 3, 20, 20, generator=torch.manual_seed(0)), name),
    ],
)
def test_objectives_read_channels_that_come_last_and_no_tokens(objective):
    x = torch.rand(2, 3, 16, 24)
    model = Shaped(last).eval()
    assert torch.allclose(objective("moved")(model, x), objective("same")(model, x), rtol=1e-4)
    if objective is not layer:  # which is the same in whatever order
        with pytest.raises(ValueError, match=r"layer of maps.*'moved' puts out \(\d, \d+, 9\)"):
            objective("moved")(Shaped(tokens).eval(), x)


def test_a_label_by_number_wants_no_names(net, photo):
    plain = net.network
    for number in (2, np.int64(2), torch.tensor(2)):
        assert torch.equal(label(number)(plain, photo), plain(photo)[:, 2])
    assert torch.equal(label("cat")(nn.DataParallel(net), photo), net(photo)[:, 2])
    with pytest.raises(ValueError, match="have no names"):
        label("cat")(plain, photo)
    for number in (3, -1):
        with pytest.raises(ValueError, match=f"no class {number}"):
            label(number)(plain, photo)
    for channel in (-1, 1.5, True):
        with pytest.raises(ValueError, match="channel is"):
            unit("network.0", channel)


def test_who_looks_on_may_draw_on_the_dream(net, photo):
    settings = {"octaves": 1, "steps": 3, "jitter": 0}
    expected = list(dreaming(net, photo, layer("network.2"), **settings))
    for picture, same in zip(
        dreaming(net, photo, layer("network.2"), **settings), expected, strict=True
    ):
        assert torch.equal(picture, same)
        picture.zero_()
    kept = list(zoom(net, photo, layer("network.2"), frames=2, **settings))
    for frame, same in zip(
        zoom(net, photo, layer("network.2"), frames=2, **settings), kept, strict=True
    ):
        assert torch.equal(frame, same)
        frame.zero_()


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_one_dreams_where_gradients_were_switched_off(net, photo, off):
    expected = dream(net, photo, layer("network.2"), octaves=1, steps=2)
    seen = visualise(net, label(1), size=32, steps=2)
    with off():
        assert torch.equal(dream(net, photo + 0, layer("network.2"), octaves=1, steps=2), expected)
        assert torch.equal(visualise(net, label(1), size=32, steps=2), seen)


def test_a_class_by_name_wants_names_alone():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))
    net.names = ["cat", "dog"]
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(label("dog")(net, x), net(x)[:, 1])
    with pytest.raises(ValueError, match="no class called 'cow'"):
        label("cow")(net, x)


@pytest.mark.parametrize("name", ["fourier", "decorrelate", "transform"])
def test_ways_to_draw_are_on_or_off(name):
    with pytest.raises(ValueError, match=f"{name} is 'no'; True or False"):
        visualise(nn.Conv2d(3, 2, 3), unit("", 0), **{name: "no"})
