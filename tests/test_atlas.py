import pytest
import torch
from torch import nn
from torch.nn import functional as F

from trickkit import activations, atlas, concepts, models


@pytest.fixture(scope="module")
def net():
    return models.imagenet()


@pytest.fixture(scope="module")
def chart():
    return atlas.stored(atlas.MAIN)


def test_activations_come_with_their_places(net, chart):
    images = [chart.images[9], chart.images[0]]
    sample = atlas.collect(net, images, "network.blocks.2", count=50)
    assert sample.vectors.shape == (50, 40) and sample.places.shape == (50, 3)
    for vector, (picture, row, column) in zip(sample.vectors, sample.places.tolist(), strict=True):
        [maps] = activations.read(net, images[picture], "network.blocks.2")
        assert 0 < row < maps.shape[2] - 1 and 0 < column < maps.shape[3] - 1
        assert torch.equal(vector, maps[0, :, row, column])
    again = atlas.collect(net, images, "network.blocks.2", places=sample.places)
    assert torch.equal(again.vectors, sample.vectors)


def test_tokens_are_read_without_the_first():
    tokens = torch.arange(10).float().view(1, 10, 1)
    grid = atlas.as_maps(tokens)
    assert grid.shape == (1, 1, 3, 3) and grid[0, 0].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_a_layout_keeps_groups_apart():
    torch.manual_seed(0)
    centres = 5 * torch.randn(3, 20)
    label = torch.arange(150) % 3
    points = atlas.layout(centres[label] + torch.randn(150, 20))
    assert points.shape == (150, 2) and points.min() == 0 and points.max() == 1
    near = atlas.neighbours(points, k=5)
    assert (label[near] == label[:, None]).float().mean() > 0.95
    other = atlas.layout(centres[label] + torch.randn(150, 20), seed=1)
    assert 0 < atlas.kept(near, atlas.neighbours(other, k=5)) < 1


@pytest.mark.parametrize("grid", [1, 4])
def test_cells_hold_the_mean_of_what_lies_in_them(grid):
    torch.manual_seed(0)
    points = torch.rand(30, 2)
    points[0] = torch.tensor([1.0, 1.0])
    vectors = torch.randn(30, 5)
    means = atlas.cells(points, vectors, grid=grid)
    land = atlas.land(points, grid=grid, fewest=2)
    assert means.shape == (grid**2, 5)
    for cell in range(grid**2):
        row, column = divmod(cell, grid)
        inside = [
            i
            for i, (x, y) in enumerate(points.tolist())
            if min(int(x * grid), grid - 1) == column and min(int(y * grid), grid - 1) == row
        ]
        assert land[cell] == (len(inside) >= 2)
        wanted = vectors[inside].mean(0) if inside else torch.zeros(5)
        assert torch.allclose(means[cell], wanted, atol=1e-6)
        assert sorted(atlas.in_cell(points, cell, grid=grid).tolist()) == inside


def test_in_a_cell_the_middle_comes_first():
    points = torch.tensor([[0.45, 0.05], [0.3, 0.2], [0.9, 0.9], [0.25, 0.26]])
    assert atlas.in_cell(points, 0, grid=2).tolist() == [3, 1, 0]


def test_a_drawing_points_where_it_should(net, chart):
    torch.manual_seed(0)
    sample = atlas.collect(net, chart.images[:2], "network.blocks.2", count=2)
    drawn = atlas.draw(net, "network.blocks.2", sample.vectors, size=48, steps=24)
    assert drawn.shape == (2, 3, 48, 48)
    said = activations.read_maps(net, drawn, "network.blocks.2").mean((2, 3))
    alike = F.cosine_similarity(said[:, None], sample.vectors, dim=2)
    assert (alike.argmax(1) == torch.arange(2)).all() and alike.diagonal().min() > 0.3
    alone = atlas.draw(net, "network.blocks.2", sample.vectors[1:], size=48, steps=24)
    assert (alone - drawn[1:]).abs().mean() < 0.05  # the company that it is drawn in does not count


def test_the_objective_is_the_dot_product_times_the_cosine_squared():
    layer = nn.Sequential(nn.Conv2d(3, 4, 1)).eval()
    x, v = torch.rand(2, 3, 5, 5), torch.randn(2, 4)
    h = layer(x).permute(0, 2, 3, 1)
    unit = v / v.norm(dim=1, keepdim=True)
    along = (h * unit[:, None, None]).sum(3)
    wanted = along * (along / h.norm(dim=3)).clamp(min=0.1) ** 2
    assert torch.allclose(atlas.towards("0", v)(layer, x), wanted.mean((1, 2)), atol=1e-3)


def test_the_loudest_class_is_the_heads(net, chart):
    [maps] = activations.read(net, chart.images[0][..., :224, :224], "network.blocks.4")
    vector = maps.mean((2, 3))
    flat = vector[:, :, None, None].expand(-1, -1, 7, 7)
    head = concepts.above(net, "network.blocks.4", image=chart.images[0][..., :64, :64])
    assert atlas.loudest(net, "network.blocks.4", vector) == head(flat).argmax(1)


def test_neighbours_strangers_and_what_two_maps_share():
    points = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.3, 0.0], [1.0, 0.0]])
    near = atlas.neighbours(points, k=2)
    assert near.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert atlas.kept(near, near) == 1
    assert atlas.kept(near, torch.tensor([[1, 3], [3, 2], [3, 0], [0, 1]])) == pytest.approx(0.5)
    pictures = torch.tensor([0, 0, 1, 1])
    assert atlas.strangers(points, pictures, k=1)[:, 0].tolist() == [2, 2, 1, 1]


def test_a_new_activation_lies_where_the_most_alike_one_does():
    known = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert atlas.nearest(torch.tensor([[5.0, 1.0], [0.1, 0.2]]), known).tolist() == [0, 1]


@pytest.mark.parametrize("eps", [0, 4 / 255])
def test_a_moved_image_stays_close_and_says_something_else(net, chart, eps):
    images = torch.cat([chart.images[0][..., :96, :96], chart.images[1][..., :96, :96]])
    read = atlas.middle(net, "network.blocks.2")
    targets = read(torch.cat([chart.images[5][..., :96, :96]] * 2)).mean(1)
    moved = atlas.move(read, images, targets, eps=eps, steps=6)
    assert (moved - images).abs().max() <= eps + 1e-6 and 0 <= moved.min() and moved.max() <= 1

    def alike(x):
        return F.cosine_similarity(read(x), targets[:, None], dim=2).mean(1)

    gain = alike(moved) - alike(images)
    assert (gain > 0.1).all() if eps else (gain == 0).all()
    assert read(images).shape == (2, 4, 40)


@pytest.mark.parametrize("name", atlas.STRIDES)
def test_the_stored_maps_fit_the_pictures(name):
    chart = atlas.stored(name)
    assert chart.points.shape == (len(chart.places), 2)
    assert 0 <= chart.points.min() and chart.points.max() <= 1
    sizes = torch.tensor([image.shape[2:] for image in chart.images])[chart.places[:, 0]]
    assert (chart.places[:, 1:] * chart.stride < sizes).all()
    tiles = atlas.tiles(chart, side=32)
    counts = atlas.cell_numbers(chart.points).bincount(minlength=atlas.GRID**2)
    assert (tiles.flatten(1).any(1) <= (counts > 0)).all()
    if len(chart.drawings):
        drawn = chart.drawings.flatten(1).amax(1) > 0.5
        assert torch.equal(drawn, atlas.land(chart.points))
    assert atlas.opened(chart, int(counts.argmax()), k=3, side=20).shape == (3, 3, 20, 20)


def test_the_stored_drawings_are_what_the_code_draws(net, chart):
    said = atlas.collect(net, chart.images, atlas.MAIN, places=chart.places).vectors
    cell = atlas.land(chart.points).nonzero()[50]
    drawn = atlas.draw(net, atlas.MAIN, atlas.cells(chart.points, said)[cell])
    both = torch.stack([drawn.flatten(), chart.drawings[cell].flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.5


def test_a_sheet_is_cut_where_it_was_put_together():
    tiles = torch.rand(atlas.GRID**2, 3, 4, 4)
    sheet = atlas.together(tiles)
    assert sheet.shape == (1, 3, 48, 48) and torch.equal(sheet[0, :, :4, 4:8], tiles[1])
    assert torch.equal(atlas.apart(sheet), tiles)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: atlas.stored("network.blocks.3"), "no map called"),
        (lambda: atlas.layout(torch.zeros(5, 3)), "At least 100"),
        (lambda: atlas.cell_numbers(torch.tensor([[0.5, 1.5]])), r"Points \(n, 2\) in \[0, 1\]"),
        (lambda: atlas.cells(torch.rand(3, 2), torch.rand(4, 5)), "each of 3 points"),
        (
            lambda: atlas.move(
                lambda x: x.flatten(2).mT, torch.rand(2, 3, 4, 4), torch.rand(2, 4), eps=0.1
            ),
            r"\(2, 3\)",
        ),
        (
            lambda: atlas.move(
                lambda x: x.flatten(2).mT, torch.rand(2, 3, 4, 4), torch.rand(2, 3), eps=-1
            ),
            "eps is -1",
        ),
    ],
)
def test_bad_input_is_answered(call, says):
    with pytest.raises(ValueError, match=says):
        call()
