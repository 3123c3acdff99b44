"""Saliency maps against captum and pytorch-grad-cam, on fresh random networks and on
EfficientNet-Lite0; and what must hold."""

import copy

import numpy as np
import pytest
import torch
from captum import attr
from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from scipy.ndimage import gaussian_filter1d
from torch import nn
from torch.nn import functional as F

from trickkit import data, models, saliency

pytestmark = pytest.mark.filterwarnings("ignore:Setting backward hooks", "ignore:Input Tensor")
LAST = "network.blocks.6"


def fresh(seed=0, inplace=False):
    """A small random network of colour pictures (N, 3, 16, 16) -> (N, 5), its first ReLU used
    twice."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Conv2d(3, 8, 3, padding=1)
            self.two = nn.Conv2d(8, 8, 3, padding=1)
            self.three = nn.Conv2d(8, 6, 3)
            self.relu = nn.ReLU(inplace)
            self.last = nn.ReLU(inplace)
            self.out = nn.Linear(6 * 14 * 14, 5)

        def forward(self, x):
            x = self.relu(self.one(x))
            return self.out(self.last(self.three(self.relu(self.two(x)))).flatten(1))

    torch.manual_seed(seed)
    return Twice().eval().requires_grad_(False)


class AsReLU(nn.ReLU):
    """ReLU6 by a name that captum and pytorch-grad-cam know."""

    def forward(self, x):
        return F.relu6(x)


@pytest.fixture(scope="module")
def net():
    return models.imagenet().double()


@pytest.fixture(scope="module")
def known(net):
    """EfficientNet-Lite0 with its ReLU6 under that name, for the peers."""
    twin = copy.deepcopy(net)
    for parent in list(twin.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU6):
                setattr(parent, name, AsReLU())
    return twin


def cases(net, known):
    """Double precision: where a ReLU bends, the last bit of a float32 may turn a slope on or
    off."""
    x = torch.rand(3, 3, 16, 16).double()
    t = torch.tensor([0, 4, 2])
    for seed in range(3):
        yield fresh(seed).double(), fresh(seed).double(), x, t, "three", 20, 4, 3
    yield net, known, data.picture("panda", size=224).double(), torch.tensor([388]), LAST, 5, 96, 64


def close(ours, theirs):
    theirs = torch.as_tensor(theirs).reshape(ours.shape)
    assert (ours - theirs).abs().max() <= 1e-4 * theirs.abs().max()


def probabilities(model):
    return lambda x: model(x).softmax(1)


def test_gradient_and_its_product_with_the_input_are_captums(net, known):
    for ours, theirs, x, t, *_ in cases(net, known):
        close(saliency.gradient(ours, x, t), attr.Saliency(theirs).attribute(x.clone(), t).amax(1))
        close(
            saliency.gradient_times_input(ours, x, t),
            attr.InputXGradient(theirs).attribute(x.clone(), t).sum(1).detach(),
        )


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_integrated_gradients_are_captums_by_the_same_rule(net, known, baseline):
    for ours, theirs, x, t, _, steps, *_ in cases(net, known):
        peer = attr.IntegratedGradients(theirs).attribute(
            x, baseline, t, n_steps=steps, method="riemann_middle"
        )
        close(
            saliency.integrated_gradients(ours, x, t, steps=steps, baseline=baseline), peer.sum(1)
        )


def test_occlusion_is_captums(net, known):
    for ours, theirs, x, t, _, _, window, stride in cases(net, known):
        peer = attr.Occlusion(probabilities(theirs)).attribute(
            x, (3, window, window), (3, stride, stride), 0.5, t, perturbations_per_eval=8
        )
        close(saliency.occlusion(ours, x, t, window=window, stride=stride), peer[:, 0])


def test_grad_cam_is_captums_and_pytorch_grad_cams(net, known):
    for ours, theirs, x, t, layer, *_ in cases(net, known):
        found = saliency.grad_cam(ours, x, t, layer)
        peer = attr.LayerGradCam(theirs, theirs.get_submodule(layer)).attribute(
            x, t, relu_attributions=True
        )
        close(found, attr.LayerAttribution.interpolate(peer, x.shape[2:], "bilinear").detach())
        with GradCAM(theirs, [theirs.get_submodule(layer)]) as cam:
            other = torch.from_numpy(
                cam(x.clone().requires_grad_(True), [ClassifierOutputTarget(k) for k in t.tolist()])
            ).to(found.device)
        close(
            found - found.amin((1, 2), keepdim=True),
            other * (found.amax((1, 2)) - found.amin((1, 2))).view(-1, 1, 1),
        )


def test_guided_backpropagation_is_captums_and_pytorch_grad_cams(net, known):
    for ours, theirs, x, t, *_ in cases(net, known):
        found = saliency.guided_backprop(ours, x, t)
        close(found, attr.GuidedBackprop(theirs).attribute(x.clone(), t).abs().amax(1))
        if theirs is not known:  # pytorch-grad-cam replaces nn.ReLU itself only
            guide = GuidedBackpropReLUModel(copy.deepcopy(theirs), "cpu")
            close(
                found, np.stack([np.abs(guide(x[[i]], t[i].item())).max(2) for i in range(len(x))])
            )


def test_guided_grad_cam_is_the_product():
    model = fresh()
    x = torch.rand(2, 3, 16, 16)
    product = saliency.guided_backprop(model, x, 1) * saliency.grad_cam(model, x, 1, "two")
    assert torch.equal(saliency.guided_grad_cam(model, x, 1, "two"), product) and product.max() > 0


def test_smoothgrad_is_the_mean_gradient_of_noisy_copies():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(768, 5)).requires_grad_(False)
    x = torch.rand(2, 3, 16, 16) * torch.tensor([1, 0.4]).view(2, 1, 1, 1)  # one with less contrast
    t = torch.tensor([1, 3])
    # a plane has one gradient
    close(saliency.smoothgrad(flat, x, t, samples=7), saliency.gradient(flat, x, t))
    asked = []
    model = fresh()

    def listening(points):
        asked.append(points.detach())
        return model(points)

    found = saliency.smoothgrad(listening, x, t, samples=20, sigma=0.1, seed=5)
    noise = torch.cat(asked).view(20, 2, 3, 16, 16) - x
    reach = 0.1 * (x.amax((1, 2, 3)) - x.amin((1, 2, 3)))
    assert torch.allclose(noise.std((0, 2, 3, 4)), reach, rtol=0.05) and noise.mean().abs() < 0.01
    points = (noise + x).requires_grad_(True)
    model(points.flatten(0, 1))[torch.arange(40), t.repeat(20)].sum().backward()
    close(found, points.grad.mean(0).abs().amax(1))
    assert torch.equal(found, saliency.smoothgrad(model, x, t, samples=20, sigma=0.1, seed=5))
    assert not torch.equal(found, saliency.smoothgrad(model, x, t, samples=20, sigma=0.1, seed=6))


def test_integrated_gradients_are_complete():
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(75, 20), nn.Tanh(), nn.Linear(20, 4)
    ).requires_grad_(False)
    x = torch.rand(3, 3, 5, 5)
    start = torch.rand(3, 3, 5, 5)
    rise = (model(x) - model(start))[:, 2]
    assert torch.allclose(
        saliency.integrated_gradients(model, x, 2, steps=200, baseline=start).sum((1, 2)),
        rise,
        atol=1e-4,
    )


def along(score):
    """A model whose score for class 1 is a function of an image's mean alone."""
    return lambda x: torch.stack([torch.zeros_like(x[:, 0, 0, 0]), score(x.mean((1, 2, 3)))], 1)


def listening(model):
    """The same model, and the list to which it adds how many images it is asked about."""
    asked = []

    def ask(images):
        asked.append(len(images))
        return model(images)

    return ask, asked


def test_integrated_gradients_go_on_until_they_are_complete():
    torch.manual_seed(2)
    bent = nn.Sequential(
        nn.Flatten(), nn.Linear(75, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(),
        nn.Linear(200, 4)
    ).requires_grad_(False)  # fmt: skip
    bent[1].bias.mul_(20)
    x = torch.rand(4, 3, 5, 5)
    rise = (bent(x) - bent(torch.zeros_like(x)))[:, 2]
    fine = saliency.integrated_gradients(bent, x, 2, steps=3000)
    for tolerance in (0.05, 0.002):
        model, asked = listening(bent)
        maps = saliency.integrated_gradients(model, x, 2, tolerance=tolerance)
        assert ((maps.sum((1, 2)) - rise).abs() <= tolerance * rise.abs() + 1e-5).all()
        assert torch.cosine_similarity(maps.flatten(1), fine.flatten(1)).min() > 0.995
        alone = [saliency.integrated_gradients(bent, x[[i]], 2, tolerance=tolerance)
                 for i in range(4)]  # fmt: skip
        assert torch.allclose(maps, torch.cat(alone), atol=1e-6)
        assert max(asked) <= 16
    assert sum(asked) > 4 * 16  # 0.2 % takes more than the first pieces


def test_pieces_whose_misses_cancel_do_not_pass_for_complete():
    mean = [((k / 15) ** 2 + ((k + 1) / 15) ** 2) / 2 for k in (13, 14)]

    def two_bends(s):
        return s + 10 * (s - mean[0] + 0.02).relu() + 10 * (s - mean[1] - 0.02).relu()

    model, asked = listening(along(two_bends))
    x = torch.ones(1, 3, 8, 8, dtype=torch.double)
    first = saliency.until_complete(
        along(two_bends), x, x, torch.tensor([1]), tolerance=0.05, max_steps=15
    )
    rise = two_bends(torch.ones(1, dtype=torch.double)).item()
    assert first[0].sum().item() == pytest.approx(rise, rel=1e-4)  # luck
    assert first[1] > 0.05
    maps = saliency.integrated_gradients(model, x, 1)
    assert sum(asked) > 16 and maps.sum().item() == pytest.approx(rise, rel=0.05)


def test_only_what_is_not_complete_goes_on_and_is_named_at_the_end():
    model, asked = listening(along(lambda s: 5 * (40 * s).sin()))
    straight = torch.full((1, 1, 8, 8), 0.25)
    bent = torch.ones(1, 1, 8, 8)
    both = torch.cat([straight, bent])
    with pytest.warns(UserWarning, match=r"After 20 pieces .* for image 1 \(\d+%\)\. Ask"):
        saliency.integrated_gradients(model, both, 1, baseline=straight, max_steps=20)
    assert sum(asked) == 16 + 21  # the first starts where it ends
    level = along(lambda s: (s - 0.5).abs())  # as high at the end as at the start
    with pytest.warns(UserWarning, match="no number may be enough"):
        saliency.integrated_gradients(level, bent * 0.9, 1, baseline=0.1, max_steps=16)


def test_rise_by_the_papers_sum_and_its_masks_by_their_seed():
    masks = torch.cat(list(saliency.random_masks(600, cells=7, size=(32, 40), seed=3)))
    assert masks.shape == (600, 32, 40) and masks.min() >= 0 and masks.max() <= 1 + 1e-6
    assert (masks.mean(0) - 0.5).abs().max() < 0.1 and masks.std(0).min() > 0.2
    # cut anywhere, so that no pixel lies in the middle of a square more often than another
    spread = masks.std(0)[8:-8, 8:-8]
    assert spread.max() < 1.3 * spread.min()
    assert torch.equal(
        masks, torch.cat(list(saliency.random_masks(600, cells=7, size=(32, 40), seed=3)))
    )
    model = fresh()
    x = torch.rand(2, 3, 16, 16)
    t = torch.tensor([1, 4])
    for change in ({"count": 0}, {"cells": "a"}, {"size": 16}, {"size": (16, 0)}):
        [name] = change
        options = {"count": 5, "cells": 4, "size": (16, 16)} | change
        with pytest.raises(ValueError, match="size is 16|width is 0" if name == "size" else name):
            list(saliency.random_masks(options.pop("count"), **options))
    masks = torch.cat(list(saliency.random_masks(50, cells=4, size=(16, 16), seed=2)))
    for i in range(2):
        sum_ = sum(model(m * x[[i]] + (1 - m) * 0.5).softmax(1)[0, t[i]] * m for m in masks)
        close(saliency.rise(model, x, t, masks=50, cells=4, seed=2)[i], sum_ / (50 * 0.5))


def eye(images):
    """A model that sees only the square rows 4–7, columns 8–11: brighter there, surer of class
    1."""
    light = images[:, :, 4:8, 8:12].mean((1, 2, 3))
    return torch.stack([torch.zeros_like(light), 8 * light - 4], 1)


def test_maps_find_what_a_model_looks_at():
    x = torch.rand(2, 3, 16, 16) * 0.2 + 0.8
    box = torch.tensor([[8, 4, 11, 7]] * 2)
    maps = {
        "gradient": saliency.gradient(eye, x, 1),
        "smooth": saliency.smoothgrad(eye, x, 1, samples=5),
        "integrated": saliency.integrated_gradients(eye, x, 1, steps=5),
        "occlusion": saliency.occlusion(eye, x, 1, window=4, stride=2),
        "rise": saliency.rise(eye, x, 1, masks=3000),
    }
    for name, m in maps.items():
        assert saliency.points_at(m, box, tolerance=0 if name != "rise" else 2).all(), name
        assert (
            saliency.area(saliency.deletion(eye, x, 1, m, steps=16)).mean()
            < saliency.area(saliency.deletion(eye, x, 1, -m, steps=16)).mean()
        ), name


def test_deletion_and_insertion_go_from_one_picture_to_the_other():
    model = fresh()
    x = torch.rand(3, 3, 16, 16)
    t = torch.tensor([0, 1, 2])
    maps = torch.rand(3, 16, 16)
    gone = saliency.deletion(model, x, t, maps, steps=8)
    back = saliency.insertion(model, x, t, maps, steps=8)
    assert gone.shape == back.shape == (3, 9)
    assert torch.allclose(gone[:, 0], saliency.target_probability(model, x, t)) and torch.allclose(
        back[:, -1], gone[:, 0]
    )
    assert torch.allclose(
        gone[:, -1], saliency.target_probability(model, torch.full_like(x, 0.5), t)
    )
    blurred = gaussian_filter1d(x.numpy(), 5, axis=2, mode="mirror", radius=5)
    blurred = torch.from_numpy(gaussian_filter1d(blurred, 5, axis=3, mode="mirror", radius=5))
    assert torch.allclose(back[:, 0], saliency.target_probability(model, blurred, t), atol=1e-5)
    half = x.clone()  # by hand: the highest half of the first map's pixels
    for place in maps[0].flatten().sort(descending=True).indices[:128].tolist():
        half[0, :, place // 16, place % 16] = 0.5
    assert torch.allclose(gone[0, 4], saliency.target_probability(model, half[:1], t[:1])[0])
    assert torch.allclose(
        saliency.area(gone), torch.from_numpy(np.trapezoid(gone.numpy(), dx=1 / 8)).float()
    )


def test_highest_takes_as_many_of_each_map_and_of_equals_the_first():
    maps = torch.cat([torch.zeros(1, 4, 4), torch.arange(16.0).view(1, 4, 4)])
    mask = saliency.top_pixels(maps, share=0.25)
    assert (
        mask[0].flatten().tolist() == [True] * 4 + [False] * 12
        and mask[1].flatten().tolist() == [False] * 12 + [True] * 4
    )
    assert (
        saliency.top_pixels(maps, share=0).sum() == 0 and saliency.top_pixels(maps, share=1).all()
    )


def test_points_at():
    maps = torch.zeros(1, 40, 60)
    maps[0, 10, 50] = 1  # row 10, column 50
    for box, off in (
        ((40, 5, 55, 20), -1),
        ((10, 5, 45, 20), 5),
        ((40, 17, 55, 30), 7),
        ((0, 0, 30, 3), 20),
    ):
        for tolerance in range(25):
            assert saliency.points_at(maps, torch.tensor([box]), tolerance=tolerance).item() == (
                off <= tolerance
            )


def test_cascade_shuffles_one_layer_after_the_other_and_leaves_the_model():
    model = fresh()
    before = copy.deepcopy(model.state_dict())
    stages = list(saliency.cascade(model, ["out", "three", "one"]))
    assert [name for name, _ in stages] == ["out", "three", "one"]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    for done, (_, broken) in enumerate(stages, 1):
        for key, weight in broken.state_dict().items():
            lost = key.split(".")[0] in ["out", "three", "one"][:done]
            assert torch.equal(weight, before[key]) != (lost and weight.numel() > 1)
            assert torch.equal(weight.flatten().sort().values, before[key].flatten().sort().values)
    again = dict(saliency.cascade(model, ["out", "three", "one"]))["one"]
    assert torch.equal(again.one.weight, stages[-1][1].one.weight)


def test_similarity():
    a = torch.rand(20, 20)
    b = torch.rand(20, 20)
    rank, look = saliency.similarity(a, a)
    assert rank == pytest.approx(1) and look == pytest.approx(1)
    assert saliency.similarity(a, a.exp())[0] == pytest.approx(1) and saliency.similarity(a, -a)[
        0
    ] == pytest.approx(-1)
    ranks = [m.flatten().argsort().argsort().double() for m in (a, b)]
    assert saliency.similarity(a, b)[0] == pytest.approx(
        torch.corrcoef(torch.stack(ranks))[0, 1].item()
    )
    assert abs(saliency.similarity(a, b)[1]) < 0.3
    assert saliency.similarity(a, 100 * a + 7)[1] == pytest.approx(1)


def test_fool_moves_the_map_and_not_the_answer():
    model = fresh(inplace=True)
    x = torch.rand(2, 3, 16, 16)
    t = model(x).argmax(1)
    before = copy.deepcopy(model.state_dict())
    wanted = torch.zeros(1, 16, 16)
    wanted[:, :5, :5] = 1
    moved = saliency.manipulate(model, x, t, wanted, eps=0.2, steps=60, lr=0.02)
    assert (moved - x).abs().max() <= 0.2 + 1e-6 and moved.min() >= 0 and moved.max() <= 1
    assert torch.equal(model(moved).argmax(1), t)
    # without the part of the loss that holds the logits it would be up to 0.28
    assert ((model(moved) - model(x)).norm(dim=1) < 0.23 * model(x).norm(dim=1)).all()
    share = [
        (m * wanted).sum((1, 2)) / m.sum((1, 2))
        for m in (saliency.gradient(model, z, t) for z in (x, moved))
    ]
    assert (share[1] > 1.5 * share[0]).all()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items()) and untouched(
        model
    )


def untouched(model):
    """No hooks left, and the in-place layers in place again."""
    relus = [m for m in model.modules() if isinstance(m, nn.ReLU)]
    return (
        not any(
            m._forward_hooks or m._backward_hooks or m._forward_pre_hooks for m in model.modules()
        )
        and len({m.inplace for m in relus}) == 1
    )


class Broken(nn.Module):
    """Fails after its ReLU has run."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        self.relu(x.clone())
        raise RuntimeError("no power")


@pytest.mark.parametrize(
    "method",
    [
        lambda m, x: saliency.guided_backprop(m, x, 0),
        lambda m, x: saliency.grad_cam(m, x, 0, "relu"),
        lambda m, x: saliency.manipulate(m, x, 0, torch.ones(1, 16, 16), steps=1),
    ],
)
def test_what_looks_inside_undoes_itself_also_after_an_error(method):
    broken = Broken()
    x = torch.rand(1, 3, 16, 16)
    with pytest.raises(RuntimeError, match="no power"):
        method(broken, x)
    assert untouched(broken) and broken.relu.inplace
    model = fresh(inplace=True)
    before = model(x)
    slope = saliency.gradient(model, x, 0)
    method(model, x)
    assert untouched(model) and model.relu.inplace
    assert torch.equal(model(x), before) and torch.equal(saliency.gradient(model, x, 0), slope)


def test_softened_is_close_to_the_network_and_has_a_second_derivative():
    model = (
        nn.Sequential(nn.Flatten(), nn.Linear(48, 30), nn.ReLU6(), nn.Linear(30, 3))
        .requires_grad_(False)
        .double()
    )
    x = torch.rand(2, 3, 4, 4, dtype=torch.double).mul(20)
    hard = model(x)
    with saliency.softened(model, beta=200):
        assert torch.allclose(model(x), hard, atol=0.05)
    hasty = copy.deepcopy(model)
    hasty[2].inplace = True
    with saliency.softened(model, beta=2), saliency.softened(hasty, beta=2):
        assert torch.equal(hasty(x), model(x))
        assert torch.autograd.gradgradcheck(model, x.requires_grad_(True))
    assert torch.equal(model(x), hard)


X = torch.rand(1, 3, 16, 16)
M = torch.rand(1, 16, 16)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: saliency.gradient(m, X * 255, 0), r"Pixels are wanted in \[0, 1\]"),
        (lambda m: saliency.gradient(m, X[0], 0), "unsqueeze"),
        (lambda m: saliency.gradient(m, X, "vulture"), "class numbers"),
        (lambda m: saliency.gradient(m, X, 9), "from 0 to 4"),
        (lambda m: saliency.occlusion(m, X, 9, window=4, stride=2), "from 0 to 4"),
        (lambda m: saliency.grad_cam(m, X, 9, "two"), "from 0 to 4"),
        (lambda m: saliency.gradient(nn.Sequential(m, nn.Dropout()).train(), X, 0), "train mode"),
        (lambda m: saliency.smoothgrad(m, X, 0, samples=0), "samples is 0"),
        (lambda m: saliency.smoothgrad(m, X, 0, sigma=0), "sigma is 0"),
        (lambda m: saliency.integrated_gradients(m, X, 0, steps=2.5), "steps is 2.5"),
        (lambda m: saliency.integrated_gradients(m, X, 0, max_steps=0), "max_steps is 0"),
        (lambda m: saliency.integrated_gradients(m, X, 0, tolerance=0), "tolerance is 0"),
        (
            lambda m: saliency.integrated_gradients(m, X, 0, steps=5, baseline=3.0),
            r"Pixels are wanted in \[0, 1\]",
        ),
        (lambda m: saliency.guided_backprop(lambda x: m(x), X, 0), "looks inside the model"),
        (
            lambda m: saliency.guided_backprop(
                nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), X, 0
            ),
            "no layers of nn.ReLU",
        ),
        (lambda m: saliency.grad_cam(m, X, 0, "tow"), "Did you mean 'two'"),
        (lambda m: saliency.grad_cam(m, X, 0, "out"), r"wants a layer of maps.*\(1, 5\)"),
        (lambda m: saliency.occlusion(m, X, 0, window=20, stride=4), "stride ≤ window ≤ 16"),
        (lambda m: saliency.occlusion(m, X, 0, window=4, stride=6), "stride ≤ window ≤ 16"),
        (lambda m: saliency.rise(m, X, 0, masks=0), "masks is 0"),
        (lambda m: saliency.deletion(m, X, 0, M[0]), r"Maps are wanted as a tensor \(N, H, W\)"),
        (
            lambda m: saliency.deletion(m, X, 0, torch.rand(1, 8, 8)),
            r"A map for each image is wanted, \(1, 16, 16\)",
        ),
        (lambda m: saliency.insertion(m, X, 0, M * torch.nan), "not finite"),
        (lambda m: saliency.points_at(M, torch.rand(2, 4)), "A box for each map"),
        (lambda m: list(saliency.cascade(m, ["relu"])), "no weights to shuffle"),
        (lambda m: list(saliency.cascade(m, ["fourth"])), "no layer called 'fourth'"),
        (lambda m: saliency.similarity(M[0], M), "Two maps"),
        (lambda m: saliency.similarity(M[0], torch.ones(16, 16)), "the same value everywhere"),
        (lambda m: saliency.manipulate(m, X, 0, M, eps=4), "4/255"),
        (lambda m: saliency.manipulate(m, X, 0, torch.zeros(1, 16, 16)), "wanted map"),
    ],
)
def test_bad_input_is_answered(call, says):
    with pytest.raises(ValueError, match=says):
        call(fresh())


def test_boxes_lie_in_the_pictures_and_name_classes(net):
    boxes = data.bounding_boxes()
    assert len(set(boxes["picture"])) == 10 and set(boxes["picture"]) <= set(data.picture_names())
    assert (boxes[["left", "top"]].min() >= 0).all() and (
        boxes[["right", "bottom"]].max() <= 224
    ).all()
    assert (boxes["left"] < boxes["right"]).all() and (boxes["top"] < boxes["bottom"]).all()
    assert all(net.index(name) >= 0 for name in boxes["class"])


def test_quick_says_nearly_the_same():
    net = models.imagenet()
    x = torch.cat([data.picture(n, size=224) for n in ("panda", "koala")])
    quick = models.quick(net)
    assert torch.equal(quick(x).argmax(1), net(x).argmax(1))
    assert (quick(x) - net(x)).abs().max() < 0.05 * net(x).abs().max() and quick(
        x
    ).dtype == torch.float32


class ChannelsLast(nn.Module):
    """A network whose layer "last" is `same` with its channels last."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.same = nn.Conv2d(3, 9, 3, padding=1, stride=2)
        self.last = nn.Identity()
        self.out = nn.Linear(9, 4)

    def forward(self, x):
        a = self.last(self.same(x).permute(0, 2, 3, 1)).relu()
        return self.out(a.square().mean((1, 2)))


@pytest.mark.parametrize("size", [(16, 16), (16, 30)])
def test_grad_cam_reads_channels_that_come_last(size):
    model = ChannelsLast().eval()
    x = torch.rand(2, 3, *size)
    expected = saliency.grad_cam(model, x, 1, "same")
    assert expected.max() > 0
    assert torch.allclose(saliency.grad_cam(model, x, 1, "last"), expected, atol=1e-7)


@pytest.mark.parametrize("side", [1, 2, 4, 5, 6])
def test_insertion_into_a_small_image(side):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, 4)).eval()
    x = torch.rand(2, 3, side, side)
    curves = saliency.insertion(model, x, 1, x.mean(1), steps=2)
    assert torch.allclose(curves[:, -1], model(x).softmax(1)[:, 1]) and curves.isfinite().all()


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "method",
    [
        saliency.gradient,
        saliency.guided_backprop,
        lambda m, x, t: saliency.grad_cam(m, x, t, "three"),
        lambda m, x, t: saliency.integrated_gradients(m, x, t, steps=2),
        lambda m, x, t: saliency.manipulate(m, x, t, torch.ones(1, 16, 16), steps=1),
    ],
)
def test_maps_come_where_gradients_were_switched_off(method, off):
    model = fresh().eval()
    x = torch.rand(2, 3, 16, 16)
    expected = method(model, x, 1)
    with off():
        assert torch.equal(method(model, x + 0, 1), expected)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda m, x: saliency.manipulate(m, x, 0, torch.ones(2, 9, 9)), "A map for each image"),
        (lambda m, x: saliency.manipulate(m, x, 9, torch.ones(1, 16, 16)), "from 0 to 4"),
        (lambda m, x: saliency.integrated_gradients(m, x, 0, baseline="grey"), "The baseline"),
        (lambda m, x: saliency.integrated_gradients(m, x, 0, baseline=x[:, :, :3]), "The baseline"),
        (lambda m, x: saliency.similarity(x[0, 0, :5], x[0, 1, :5]), "7 × 7"),
        (lambda m, x: saliency.grad_cam(m, x.double(), 0, "three"), r"images.float\(\)"),
    ],
)
def test_more_bad_input_is_answered(ask, says):
    with pytest.raises(ValueError, match=says):
        ask(fresh().eval(), torch.rand(1, 3, 16, 16))


def test_boxes_may_be_lists_and_curves_have_two_points():
    assert saliency.points_at(torch.eye(3)[None], [[0, 0, 1, 1]]).tolist() == [True]
    with pytest.raises(ValueError, match="two points or more"):
        saliency.area(torch.rand(2, 1))


def test_settings_of_judges_that_make_no_sense():
    maps = torch.rand(2, 4, 4)
    boxes = torch.tensor([[0, 0, 2, 2], [1, 1, 3, 3]])
    nan = float("nan")
    for share in (-1, 1.1, nan, None, True):
        with pytest.raises(ValueError, match="share is"):
            saliency.top_pixels(maps, share=share)
    for tolerance in (-1, nan, None):
        with pytest.raises(ValueError, match="tolerance is"):
            saliency.points_at(maps, boxes, tolerance=tolerance)
    for box in ([2, 0, 0, 2], [0, 2, 2, 0], [nan, 0, 2, 2]):
        with pytest.raises(ValueError, match="left ≤ right"):
            saliency.points_at(maps, torch.tensor([box, box]))
    for beta in (-1, 0, nan, float("inf"), True):
        with pytest.raises(ValueError, match="beta is"), saliency.softened(nn.ReLU(), beta=beta):
            pass
    with pytest.raises(ValueError, match="two points or more"):
        saliency.area(np.ones((2, 5)))
    with pytest.raises(ValueError, match="Two maps"):
        saliency.similarity(np.ones((9, 9)), torch.rand(9, 9))
