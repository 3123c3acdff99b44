"""No function of the package mixes devices: each works on a GPU that is pretended, and leaves there
what it makes of pictures."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import torch
from pretend_device import CUDA, PretendTensor, pretend_cuda
from torch import nn

from trickkit import (
    activations,
    attacks,
    check,
    contract,
    data,
    defences,
    dreams,
    fast_style,
    features,
    lime,
    linear,
    mes,
    models,
    plots,
    saliency,
    style,
    training,
    widgets,
)
from trickkit.papers import goodfellow2015

PANDA = 388


@pytest.fixture(scope="module", autouse=True)
def gpu():
    with pretend_cuda():
        yield


@pytest.fixture(scope="module")
def net(gpu):
    return models.imagenet()


@pytest.fixture(scope="module")
def photo(gpu):
    return data.picture("panda", size=64)


@pytest.fixture(scope="module")
def vgg(gpu):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(data, "picture_names", lambda: ["panda"])
        return style.vgg()


@pytest.fixture(scope="module")
def digits(gpu):
    split = data.digits()
    return data.Split(*(part[:60] for part in split[:4]), split.names)


@pytest.fixture(scope="module")
def small(gpu):
    return defences.robust(0.0)


# The pretence itself.


def test_what_cuda_refuses_is_refused():
    x = torch.arange(3.0, device="cuda")
    other = torch.ones(3)
    dice = torch.Generator()
    mixture = pytest.raises(RuntimeError, match="same device")
    for wrong in (
        lambda: x + other,
        lambda: other.clone().add_(x),
        lambda: other.clone().add_(x[0]),
        lambda: torch.where(other > 0, x, x),
        lambda: torch.stack([x[0], torch.tensor(1.0)]),
        lambda: nn.Linear(3, 2)(x),
        lambda: x.clone().index_put_((x > 0,), torch.ones(2)),
        lambda: torch.allclose(x, other),
        lambda: other[x > 0],
    ):
        with mixture:
            wrong()
    for wrong in (lambda: x.numpy(), lambda: np.asarray(x), lambda: np.ones(3)[x.long()]):
        with pytest.raises(TypeError, match="can't convert cuda:0"):
            wrong()
    for wrong in (
        lambda: torch.randn(3, generator=dice, device="cuda"),
        lambda: torch.empty_like(x).uniform_(generator=dice),
    ):
        with pytest.raises(RuntimeError, match="device type for generator"):
            wrong()


def test_what_cuda_allows_is_worked_out():
    x = torch.arange(3.0, device="cuda")
    assert x.device == contract.device() == CUDA and "device='cuda:0'" in repr(x)
    assert (x + torch.tensor(1.0)).tolist() == [1, 2, 3] and x[torch.tensor([2, 0])].sum() == 2
    assert x[[1, 2]].tolist() == [1, 2] and torch.tensor([x[1], x[2]]).device.type == "cpu"
    y = x.clone()
    y[1:] = torch.tensor([7.0, 8.0])
    y[0] += 5
    assert y.cpu().numpy().tolist() == [5, 7, 8] and f"{y[0]:.1f}" == "5.0"
    here = torch.zeros(3)
    here.copy_(x)
    assert type(here) is torch.Tensor and here.tolist() == [0, 1, 2]
    x.requires_grad_(True)
    gradient = torch.autograd.grad((x.cpu() * torch.ones(3)).square().sum(), x)[0]
    assert gradient.device == CUDA and gradient.tolist() == [0, 2, 4]
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).to(CUDA).double()
    assert net(x.double().expand(4, 3)).dtype == torch.float64
    assert all(isinstance(p, PretendTensor) for p in net.parameters())


def test_a_function_that_mixes_devices_is_caught(small, digits, monkeypatch):
    def start_here(images, radius, *, norm, seed):
        return torch.rand(images.shape) * radius

    monkeypatch.setattr(attacks.gradient, "random_in_ball", start_here)
    with pytest.raises(RuntimeError, match="same device"):
        attacks.pgd(small, digits.test_images, digits.test_labels, eps=0.1, steps=1)


def test_a_gpu_convolves_in_float32_and_alike_each_time(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    device = inspect.unwrap(contract.device)  # what the pretence stands in for
    assert device().type == "cpu" and torch.backends.cudnn.allow_tf32
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device().type == "cuda"
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.allow_tf32


# The package.

ATTACKS = {  # of digits
    "fgsm": {"eps": 0.1},
    "one_step": {"eps": 0.1},
    "many_steps": {"eps": 0.1, "steps": 2},
    "pgd": {"eps": 0.1, "steps": 2},
    "momentum": {"eps": 0.1, "steps": 2},
    "apgd": {"eps": 0.1, "steps": 8},
    "cw": {"searches": 2, "steps": 3},
    "deepfool": {"steps": 3},
    "universal": {"eps": 0.1, "steps": 2},
    "square": {"eps": 0.3, "queries": 20},
    "nes": {"eps": 0.3, "queries": 20, "samples": 4},
    "hop_skip_jump": {"queries": 60},
    "one_pixel": {"generations": 2, "population": 10},
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks(small, digits, name):
    x = digits.test_images[:3]
    y = digits.test_labels[:3]
    moved = getattr(attacks, name)(small, x, y, **ATTACKS[name])
    assert moved.device == CUDA and moved.shape[1:] == x.shape[1:]


def test_a_sticker_and_the_sizes_of_changes(net, photo):
    sticker = attacks.patch(net, photo, 859, side=16, steps=2)
    laid = attacks.paste(photo, sticker, generator=torch.Generator().manual_seed(0))
    assert laid.device == CUDA and all(s > 0 for s in attacks.sizes(laid - photo))


MAPS = {
    "gradient": {},
    "gradient_times_input": {},
    "smoothgrad": {"samples": 3},
    "integrated_gradients": {"steps": 3},
    "guided_backprop": {},
    "grad_cam": {"layer": "network.bn2"},
    "guided_grad_cam": {"layer": "network.bn2"},
    "occlusion": {"window": 32, "stride": 32},
    "rise": {"masks": 20},
}


@pytest.mark.parametrize("name", MAPS)
def test_maps(net, photo, name):
    found = getattr(saliency, name)(net, photo, PANDA, **MAPS[name])
    assert found.device == CUDA and found.shape == (1, 64, 64)


def test_what_is_asked_of_maps(net, photo, small, digits):
    maps = saliency.gradient(net, photo, PANDA)
    box = torch.tensor([[10, 10, 50, 50]])
    curves = (
        ask(net, photo, PANDA, maps, steps=2) for ask in (saliency.deletion, saliency.insertion)
    )
    for found in (
        *map(saliency.area, curves),
        saliency.points_at(maps, box),
        saliency.top_pixels(maps, share=0.1),
        saliency.manipulate(small, digits.test_images[:1], 7, torch.ones(1, 28, 28), steps=2),
    ):
        assert found.device == CUDA
    whole = saliency.integrated_gradients(net, photo, PANDA, tolerance=1e9)
    assert whole.device == CUDA and whole.isfinite().all()
    [(_, lost)] = saliency.cascade(net, ["network.classifier"])
    assert saliency.similarity(maps[0], saliency.gradient(lost, photo, PANDA)[0])[0] < 1


def test_dreams(net, photo):
    layer = "network.blocks.2"
    objective = dreams.layer(layer) + dreams.guide(photo.flip(3), layer) - dreams.label(PANDA)
    for found in (
        dreams.dream(net, photo, objective, octaves=2, steps=1),
        *dreams.zoom(net, photo, dreams.unit(layer, 3), frames=2, octaves=1, steps=1),
        dreams.visualise(net, dreams.shaded(layer), size=32, steps=2),
        dreams.visualise(net, objective, size=32, steps=1, fourier=False, decorrelate=False),
    ):
        assert found.device == CUDA


def test_style(vgg, photo):
    wave = data.painting("great_wave", size=64)
    wanted = style.style_of(vgg, style.recolour(wave, photo))
    seen = []
    painted = style.paint(vgg, photo, wanted, tv_weight=1.0, max_evals=2, callback=seen.append)
    finer, tinted = (
        style.coarse_to_fine(vgg, photo, wave, sides=(32, 48), luminance=alone, max_evals=1)
        for alone in (False, True)
    )
    scattered = style.scattered(style.responses(vgg, photo, ["relu2_1"])[0])
    assert all(made.device == CUDA for made in (painted, *seen, finer, tinted, scattered))


def test_fast_style(photo, vgg, monkeypatch):
    monkeypatch.setattr(style, "vgg", lambda: vgg)
    monkeypatch.setattr(data, "picture_names", lambda: ["panda"])
    painter = fast_style.train(fast_style.Painter(width=4), steps=1, batch_size=1, side=32)
    for each in (painter, fast_style.painter()):
        assert each(photo, fast_style.STYLES[0]).device == CUDA


def test_defences(small, digits, monkeypatch):
    x = digits.test_images[:2]
    y = digits.test_labels[:2]
    found = defences.symptoms(small, x, y, eps=0.3, stand_in=defences.noise_trained(0.5))
    assert len(defences.suspicious(found)) == len(defences.SIGNS)
    assert defences.averaged(small, draws=2)(x).device == CUDA
    monkeypatch.setattr(defences, "averaged", lambda model, *, draws: model)
    assert defences.break_defence(small, defences.dithered, x, y, eps=0.3).device == CUDA
    assert defences.clouded(x).device == CUDA
    assert defences.certify(small, x[:1], sigma=0.1, n=100)[0] in range(-1, 10)


@pytest.mark.parametrize("recipe", defences.RECIPES)
def test_training(digits, recipe):
    augment, *_ = defences.RECIPES[recipe]
    model = training.train(
        defences.digit_network(), *digits[:2], epochs=1, augment=augment, batch_size=40
    )
    assert 0 <= models.accuracy(model, *digits[2:4]) <= 1


def test_models(net, photo, digits):
    x, y = digits[:2]
    for model in (models.linear_classifier(), models.convnet(), models.maxout()):
        both = models.ensemble([training.train(model, x, y, epochs=1), model])
        assert both(x).device == models.quick(model)(x).device == CUDA
    assert models.rbf(x, y)(x).device == CUDA
    assert len(models.top(net, photo)) == 3
    assert net(photo.cpu()).device == CUDA  # pictures go to the network by themselves


def test_weights_and_activations(net, photo):
    seen = activations.read(net, photo, "network.blocks.1")[0]
    filters = net.network.conv_stem.weight
    matrix = net.network.classifier.weight
    for found in (
        activations.read(features.untrained(net), photo, "network.conv_stem")[0],
        features.toeplitz(filters[0, 0], 5, 6),
        features.energy(matrix),
        features.low_rank(matrix, k=2),
        features.correlations(matrix, matrix.flip(0)),
        features.dead(seen),
        features.crop(photo, 3, 60, side=16)[0],
    ):
        assert found.device == CUDA
    field = features.field(net, photo, "network.blocks.1")
    assert features.span(field) >= features.span(field, share=0.9) > 0
    assert features.bulk_edges(matrix) and features.top_places(seen, 3)
    assert features.sheet(filters).shape[0] == 1


def test_linear(digits):
    torch.manual_seed(0)
    weights = torch.randn(10, 784, device="cuda")
    biases = torch.zeros(10, device="cuda")
    x = digits.test_images.flatten(1)
    for norm in ("linf", "l2"):
        for distance in (linear.distance, linear.distance_in_box):
            assert distance(weights, biases, x, digits.test_labels, norm=norm).device == CUDA
    moved = linear.nudge(x[0], weights[1], eps=0.1)
    assert (moved + linear.shortest(weights, biases, x[0], 0, 1)).device == CUDA


def test_explanations_of_pictures(net, photo, small, digits):
    segments = lime.superpixels(photo, count=9)
    told = lime.explain_picture(net, photo, PANDA, segments, samples=20)
    assert len(told.weights) == segments.max() + 1
    squares = torch.arange(28)[:, None] // 4 * 7 + torch.arange(28) // 4  # on the processor
    lime.explain_picture(small, digits.test_images[:1], 7, squares, samples=60)
    kept = torch.rand(5, len(told.weights), device="cuda") < 0.5
    assert lime.hide(photo, segments, kept, torch.zeros_like(photo)).device == CUDA


def test_a_model_explanation_system(small, digits):
    rng = np.random.default_rng(0)

    def is_three(images):
        return small(images).argmax(1) == 3

    rows = mes.handwriting(digits.train_images)(30, rng)
    assert rows.device == CUDA and mes.hard_labels(is_three, rows).dtype == bool
    assert mes.blocks(rows).shape == (30, 16)


def test_the_measurements_of_a_paper(digits, monkeypatch):
    train = training.train
    monkeypatch.setattr(training, "train", lambda *a, **k: train(*a, **k | {"epochs": 1}))
    nets = goodfellow2015.networks(digits)
    assert all(isinstance(v, float) for v in goodfellow2015.measure(nets, digits).values())


def test_figures(net, photo):
    two = torch.cat([photo, photo.flip(3)])
    maps = saliency.gradient(net, two, PANDA)
    names = ["a", "b"]
    for figure in (
        plots.pictures(two, names, "title"),
        plots.signed(maps, names, "title"),
        plots.maps(two, maps, names, "title"),
        plots.film([*two.split(1)] * 2, "title"),
        plots.probabilities(photo, names, [0.7, 0.3], "title"),
        plots.attacked(photo, two[1:], names, [0.7, 0.3], "title"),
        plots.histograms({"one": maps[0, 0], "other": maps[1, 0]}, "title", xlabel="x"),
        plots.ticks(maps[0, :2, :2] > 0, names, names, "title", label="yes"),
        plots.matrix(maps[0, :2, :2].clamp(0, 1), names, names, "title", xlabel="x", ylabel="y"),
        plots.curves(maps[0, 0], {"one": maps[0, 1]}, "title", xlabel="x", ylabel="y"),
        plots.microscope(photo, maps[0], photo, None, "title", corner=(3, 4), side=20),
    ):
        assert figure.alt
    assert data.png(plots.magnified(two[:1] - two[1:]))


def test_panels(net):
    widgets.OwnPhoto(net, levels=[1], steps=1)


# The exercises.

LESSONS = [module.name for module in pkgutil.iter_modules(check.__path__)]


@pytest.mark.parametrize("lesson", LESSONS)
def test_exercises_take_the_packages_own_answers(lesson):
    module = importlib.import_module(f"trickkit.check.{lesson}")
    for exercise in vars(module).values():
        if isinstance(exercise, check.Exercise):
            torch.manual_seed(0)
            assert not exercise.test(exercise.by_place), exercise.name


# Nothing is forgotten.


@pytest.mark.parametrize(
    ("module", "tried"),
    [
        (attacks, {*ATTACKS, "patch", "loss_and_gradient", "iterate_until_fooled"}),
        (
            saliency,
            {
                *MAPS,
                "deletion",
                "insertion",
                "manipulate",
                "target_probability",
            },
        ),
    ],
)
def test_every_method_is_tried(module, tried):
    methods = {
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__.startswith(module.__name__)
        and {"model", "images"} < inspect.signature(function).parameters.keys()
    }
    assert methods - {"validated_targets"} <= tried
