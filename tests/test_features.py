import pytest
import torch
from scipy.stats import pearsonr
from torch import nn
from torch.nn import functional as F

from trickkit import dreams, features, models, plots, widgets


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3),
            nn.ReLU(),
            nn.Conv2d(6, 5, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(5, 4, 5),
        ).eval()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2), (4, 5)])
def test_the_matrix_of_a_convolution_agrees_with_it_and_is_toeplitz(shape):
    kernel = torch.randn(shape)
    image = torch.randn(5, 7)
    matrix = features.toeplitz(kernel, 5, 7)
    product = F.conv2d(image[None, None], kernel[None, None])
    assert torch.allclose(matrix @ image.flatten(), product.flatten(), atol=1e-5)
    height = 5 - shape[0] + 1
    width = 7 - shape[1] + 1
    blocks = matrix.view(height, width, 5, 7)
    # the same, one place further along both diagonals
    assert torch.equal(blocks[:-1, :-1, :-1, :-1], blocks[1:, 1:, 1:, 1:])
    assert (matrix != 0).sum() == kernel.numel() * height * width


def test_a_kernel_larger_than_the_image_is_refused():
    for kernel in (torch.randn(6, 2), torch.randn(2, 8), torch.randn(1, 1, 2, 2)):
        with pytest.raises(ValueError, match="no larger than the image"):
            features.toeplitz(kernel, 5, 7)


def test_energy_is_what_the_best_matrix_of_that_rank_keeps():
    weights = torch.randn(6, 9)
    share = features.energy(weights)
    assert (
        share.shape == (6,)
        and torch.isclose(share[-1], torch.ones(()))
        and (share.diff() >= 0).all()
    )
    for k in range(1, 7):
        best = features.low_rank(weights, k=k)
        assert torch.linalg.matrix_rank(best) == k
        left = (weights - best).square().sum() / weights.square().sum()
        assert torch.isclose(share[k - 1], 1 - left, atol=1e-5)
        for _ in range(10):  # no other matrix of rank k is nearer
            other = torch.randn(6, k) @ torch.randn(k, 9)
            other = other * (other * weights).sum() / other.square().sum()
            assert (weights - other).square().sum() >= (weights - best).square().sum()


@pytest.mark.parametrize("shape", [(64, 900), (300, 200)])
def test_random_matrices_stay_within_the_bounds_and_reach_them(shape):
    weights = 0.3 * torch.randn(shape, generator=torch.Generator().manual_seed(1))
    low, high = features.bulk_edges(weights)
    values = torch.linalg.svdvals(weights)
    assert 0.97 * high < values[0] < 1.03 * high and 0.8 * low < values[-1] < 1.2 * low
    assert features.bulk_edges(2 * weights)[1] == pytest.approx(2 * high)
    # the size of the entries is their mean square, not how far they are from their mean
    assert features.bulk_edges(torch.full((4, 9), 2.0)) == pytest.approx((2, 10))


def test_correlations_against_scipy():
    a = torch.randn(40, 3)
    b = torch.randn(40, 5)
    b[:, 1] = 2 - 3 * a[:, 0]
    found = features.correlations(a, b)
    for i in range(3):
        for j in range(5):
            assert found[i, j].item() == pytest.approx(pearsonr(a[:, i], b[:, j])[0], abs=1e-5)
    assert found[0, 1].item() == pytest.approx(-1, abs=1e-5)
    for constant in (0, 7, 3.3, 1e-3):
        a = torch.randn(1000, 3)
        b = torch.randn(1000, 5)
        a[:, 2] = b[:, 4] = constant
        assert (features.correlations(a, b)[2] == 0).all() and (
            features.correlations(a, b)[:, 4] == 0
        ).all()
        assert (features.correlations(a, a).diag()[:2] - 1).abs().max() < 1e-4


def test_dead_units():
    activations = torch.rand(3, 4, 5, 5)
    activations[:, 2] = 0
    activations[:, 3] = 0
    activations[2, 3, 4, 4] = 0.1  # once is enough
    assert features.dead(activations).tolist() == [False, False, True, False]
    assert features.dead(activations.amax((2, 3))).tolist() == [False, False, True, False]


def test_receptive_field_against_the_gradient():
    model = network()
    noise = torch.rand(8, 3, 41, 41)
    for layer, steps in (("0", [(3, 1)]), ("2", [(3, 1), (3, 2)]), ("4", [(3, 1), (3, 2), (5, 1)])):
        seen = features.field(model, noise, layer)
        assert features.span(seen) == features.receptive_field(steps)
        assert seen.sum().item() == pytest.approx(1, abs=1e-4)
    assert features.receptive_field([]) == 1
    # red and green weigh against each other, and each is seen
    against = nn.Conv2d(3, 1, 3, bias=False)
    against.weight.data = torch.tensor([1.0, -1, 0]).view(1, 3, 1, 1).expand(1, 3, 3, 3).clone()
    assert features.span(features.field(nn.Sequential(against), noise, "0")) == 3
    vgg = [(3, 1)] * 2 + [(2, 2)] + [(3, 1)] * 2 + [(2, 2)] + ([(3, 1)] * 3 + [(2, 2)]) * 3
    assert features.receptive_field(vgg) == 212


def test_span_of_a_share():
    seen = torch.zeros(21, 21)
    seen[10, 10] = 0.9
    seen[2, 10] = seen[18, 10] = seen[10, 2] = seen[10, 18] = 0.025
    assert features.span(seen) == 17
    assert (
        features.span(seen, share=0.89) == 1
        and features.span(seen, share=0.91) == 9
        and features.span(seen, share=0.99) == 17
    )


def test_span_of_an_even_square_and_of_one_pixel_wherever_they_lie():
    square = torch.zeros(31, 31)
    dot = torch.zeros(9, 9)
    square[3:14, 18:29] = 1 / 121
    dot[8, 0] = 1
    assert [features.span(square, share=share) for share in (1, 0.999, 0.83, 0.82, 0.008)] == [
        11,
        11,
        11,
        10,
        1,
    ]
    assert features.span(dot) == features.span(dot, share=0.9) == 1
    flat = torch.zeros(31, 31)
    flat[4, 2:13] = 1 / 11
    for line in (flat, flat.T):
        assert features.span(line) == features.span(line, share=0.999) == 11
    halves = torch.zeros(9, 9)
    halves[1, 1] = halves[1, 4] = 0.5
    assert features.span(halves, share=0.5) == 1 and features.span(halves, share=0.51) == 4


def test_top_places_one_an_image_and_the_highest_first():
    activations = torch.rand(4, 3, 5, 6)
    activations[2, 1, 3, 4] = 9
    activations[0, 1, 0, 5] = 8
    activations[2, 1, 0, 0] = 8.5  # a second place of the same image does not count
    places = features.top_places(activations, 1, k=3)
    assert places[:2] == [(2, 3, 4), (0, 0, 5)] and len({i for i, _, _ in places}) == 3
    assert len(features.top_places(activations, 0, k=10)) == 4


def test_a_patch_stays_inside():
    image = torch.arange(100.0).view(1, 1, 10, 10) / 100
    cut, top, left = features.crop(image, 5, 6, side=4)
    assert (top, left) == (3, 4) and torch.equal(cut, image[..., 3:7, 4:8])
    for row, column in ((0, 0), (9, 9), (0, 9), (-5, 20)):
        cut, top, left = features.crop(image, row, column, side=4)
        assert cut.shape == (1, 1, 4, 4) and 0 <= top <= 6 and 0 <= left <= 6
    assert features.crop(image, 5, 5, side=40)[0].shape == image.shape


def test_untrained_forgets_every_weight_and_keeps_the_scale():
    model = network()
    copy = features.untrained(model)
    assert torch.equal(copy[2].weight, features.untrained(model)[2].weight)
    assert not torch.equal(copy[2].weight, features.untrained(model, seed=1)[2].weight)
    assert not any(
        torch.equal(a, b) for a, b in zip(copy.parameters(), model.parameters(), strict=True)
    )
    assert (copy[0].bias == 0).all() and torch.equal(model[0].weight, network()[0].weight)
    wide = features.untrained(nn.Conv2d(16, 400, 3))
    assert wide.weight.var().item() == pytest.approx(2 / (16 * 9), rel=0.1)


def test_sheet_scales_each_filter_by_itself():
    filters = torch.randn(10, 3, 3, 3) * torch.logspace(-3, 3, 10).view(-1, 1, 1, 1)
    filters[4] = 0
    image = features.sheet(filters, columns=5)
    assert image.shape == (1, 3, 2 * 4 + 1, 5 * 4 + 1) and image.min() >= 0 and image.max() <= 1
    first = image[0, :, 1:4, 1:4]
    empty = image[0, :, 1:4, 17:20]
    assert torch.allclose((first - 0.5).abs().max(), torch.tensor(0.5)) and (empty == 0.5).all()


def test_pictures_of_text_and_microscope():
    picture = plots.coloured_text("if x:\n    y", torch.randn(11), "a cell")
    assert "a cell. 2 lines" in picture.alt
    plots.coloured_text("a$b$", torch.zeros(4), "no formula, and nothing to scale by")
    with pytest.raises(ValueError, match="11 characters and 3 values"):
        plots.coloured_text("if x:\n    y", torch.randn(3), "a cell")
    photo = torch.rand(1, 3, 64, 64)
    for activation in (torch.randn(7, 7), torch.zeros(7, 7), -torch.ones(7, 7)):
        for excites in (None, torch.rand(1, 3, 32, 32)):
            said = plots.microscope(
                photo,
                activation,
                photo[..., :20, :20],
                excites,
                "unit 3",
                corner=(3, 4),
                side=20,
            ).alt
            assert said.startswith("unit 3. Four pictures") and ("excites" in said) == (
                excites is not None
            )


def test_the_microscope_remembers_what_it_made(monkeypatch):
    shown = []
    made = []
    handle = type("Handle", (), {"update": lambda self, picture: shown.append(picture.alt)})()
    monkeypatch.setattr(widgets, "display", lambda *a, **k: handle)
    visualising = dreams.visualising
    monkeypatch.setattr(
        dreams,
        "visualising",
        lambda model, unit: made.append(unit) or visualising(model, unit, size=32, steps=1),
    )
    first = "network.blocks.0"
    second = "network.blocks.1"
    scope = widgets.Microscope(
        models.imagenet(), {first: 7, second: 14}, photo="cat", layer=first, unit=3, units=5
    )
    assert len(made) == 1 and made[0].layers == (first,) and "what excites it" in scope.draw().alt
    scope.unit.value = 4
    assert len(made) == 2 and made[1].layers == (first,) and len(shown) == 2
    assert "…" in shown[0] and "what excites it" in shown[1]
    scope.unit.value = 3
    scope.photo.value = "panda"
    scope.layer.value = first
    assert (
        len(made) == 2
        and "panda · network.blocks.0, unit 3" in shown[-1]
        and "Logan" in scope.credit.value
    )
    scope.layer.value = second
    assert len(made) == 3 and made[2].layers == (second,) and scope.says.value == ""


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: features.sheet(torch.rand(0, 3, 2, 2)), "Filters"),
        (lambda: features.sheet(torch.rand(2, 2, 3, 3)), "Filters"),
        (lambda: features.sheet(torch.rand(2, 3, 3, 3), columns=0), "columns is 0"),
        (lambda: features.energy(torch.zeros(2, 3)), "0 everywhere"),
        (lambda: features.correlations(torch.rand(2, 2), torch.rand(3, 2)), "same length"),
        (lambda: features.dead(torch.rand(0, 3, 2, 2)), "Activations"),
        (lambda: features.span(torch.zeros(3, 3)), "square map"),
        (lambda: features.span(torch.rand(3, 4)), "square map"),
        (lambda: features.top_places(torch.rand(2, 3, 4), 0), "Activations"),
        (lambda: features.top_places(torch.rand(2, 3, 4, 4), 3), "no unit 3"),
        (lambda: features.low_rank(torch.rand(2, 2), k=0), "k is 0"),
        (lambda: features.untrained(len), "torch.nn.Module is wanted"),
        (
            lambda: features.field(nn.Flatten(2).eval(), torch.rand(1, 3, 4, 4), ""),
            "layer of maps",
        ),
    ],
)
def test_what_there_is_nothing_to_see_in(ask, says):
    with pytest.raises(ValueError, match=says):
        ask()
