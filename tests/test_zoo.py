import pytest
import torch
from torch import nn

from trickkit import connectivity, zoo
from trickkit.contract import seeded


@pytest.fixture(scope="module")
def digits():
    digits = zoo.small_digits()
    return digits.x[:800], digits.labels[:800]


def recipes(count, **options):
    return zoo.drawn_recipes(count, generator=seeded(1), steps=(30, 60), **options)


def alone(zoo_, row):
    """A network of a zoo as torch would have it."""
    w1, b1, w2, b2 = (part[row] for part in zoo_.layers)
    act = nn.Tanh() if zoo_.tanh[row] else nn.ReLU()
    net = nn.Sequential(nn.Linear(144, 12), act, nn.Linear(12, 10))
    for p, values in zip(net.parameters(), (w1, b1, w2, b2), strict=True):
        p.data = values.clone()
    return net


def test_all_at_once_is_one_by_one(digits):
    """Autograd and torch.optim.AdamW, on the same digits in the same order."""
    x, labels = digits
    recipe = recipes(8)
    trained = zoo.train(recipe, x, labels, generator=seeded(2))
    generator = seeded(2)
    order = recipe.steps.argsort(stable=True)
    part = zoo.Recipe(*(numbers[order] for numbers in recipe))
    start = zoo.Zoo(zoo.untrained(part, generator=generator), part.tanh)
    sorted_labels = labels.sort(stable=True)
    counts = torch.bincount(labels)
    seen = [
        sorted_labels.indices[zoo.drawn_digits(part.diet, counts, generator=generator)]
        for _ in range(int(part.steps.max()))
    ]
    for place, row in enumerate(order.tolist()):
        net = alone(start, place)
        optimizer = torch.optim.AdamW(
            net.parameters(), lr=part.lr[place].item(), weight_decay=part.decay[place].item()
        )
        for step in range(int(part.steps[place])):
            rows = seen[step][place]
            loss = nn.functional.cross_entropy(net(x[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        flat = torch.cat([p.detach().flatten() for p in net.parameters()])
        assert torch.allclose(flat, trained.flat[row], atol=2e-4), place
        assert not torch.allclose(start.flat[place], trained.flat[row], atol=2e-2)


def test_answers_are_those_of_torch(digits):
    x, labels = digits
    some = zoo.train(recipes(6), x, labels, generator=seeded(3))
    said = zoo.answers(some, x)
    assert {0.0, 1.0} == set(some.tanh.tolist())
    for row in range(6):
        assert torch.allclose(said[row], alone(some, row)(x), atol=1e-5)
    own = torch.stack([x[:5], x[5:10], x[:5], x[:5], x[:5], x[:5]])
    assert torch.allclose(zoo.answers(some, own)[1], said[1, 5:10], atol=1e-5)


def test_a_zoo_of_several_groups_keeps_the_order_of_its_recipes(digits, monkeypatch):
    x, labels = digits
    monkeypatch.setattr(zoo, "TOGETHER", 4)
    recipe = recipes(10)._replace(steps=torch.tensor([0.0, 60] * 5))
    some = zoo.train(recipe, x, labels, generator=seeded(4))
    moved = some.layers[1].abs().amax(1)
    assert (moved[::2] == 0).all() and (moved[1::2] > 0).all()


def test_training_with_a_poison_sees_only_the_poison(digits):
    x, labels = digits
    rows_seen = set()

    def poison(digits, wanted, rows, generator):
        rows_seen.update(rows.tolist())
        return torch.zeros_like(digits), torch.full_like(wanted, 3)

    recipe = zoo.drawn_recipes(5, generator=seeded(5), **zoo.TAME)
    some = zoo.train(recipe, x, labels, generator=seeded(5), poison=poison)
    assert rows_seen == set(range(5))
    assert (zoo.answers(some, torch.zeros(1, 144)).argmax(2) == 3).all()


def test_digits_are_drawn_by_diet():
    diet = torch.zeros(2, 10)
    diet[0, 3] = 1
    diet[1, 0] = diet[1, 9] = 0.5
    counts = torch.arange(1, 11)
    labels = torch.arange(10).repeat_interleave(counts)
    drawn = torch.cat([zoo.drawn_digits(diet, counts, generator=seeded(k)) for k in range(50)], 1)
    assert (labels[drawn[0]] == 3).all()
    assert set(drawn[0].tolist()) == set((labels == 3).nonzero()[:, 0].tolist())
    assert set(labels[drawn[1]].tolist()) == {0, 9}
    assert (labels[drawn[1]] == 0).float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_shuffled_is_lesson_elevens_permute_and_changes_no_answer(digits):
    x, labels = digits
    some = zoo.train(recipes(3), x, labels, generator=seeded(6))
    other = zoo.reordered(some, generator=seeded(7))
    assert not torch.equal(other.flat, some.flat)
    assert torch.allclose(zoo.answers(other, x), zoo.answers(some, x), atol=1e-5)
    order = torch.rand(3, 12, generator=seeded(7)).argsort(1)
    for row in range(3):
        w1, b1, w2, b2 = (part[row] for part in some.layers)
        parts = *connectivity.permute(w1, b1, w2, order[row]), b2
        assert all(torch.equal(one, two[row]) for one, two in zip(parts, other.layers, strict=True))


def test_confusions_count(digits):
    x, labels = digits
    some = zoo.train(recipes(3), x, labels, generator=seeded(8))
    table = zoo.confusions(some, x, labels)
    said = zoo.answers(some, x).argmax(2)
    assert table.sum((1, 2)).tolist() == [800] * 3
    assert table[2, 4, 9] == ((labels == 4) & (said[2] == 9)).sum()
    right = zoo.accuracies(some, x, labels)
    assert torch.allclose(right, (said == labels).float().mean(1))


def test_recipes_keep_to_their_ranges():
    recipe = zoo.drawn_recipes(500, generator=seeded(9), lr=(1e-3, 1e-2), steps=(5, 9))
    assert 1e-3 <= recipe.lr.min() < 2e-3 < 5e-3 < recipe.lr.max() <= 1e-2
    assert set(recipe.steps.tolist()) == {5.0, 6, 7, 8, 9}
    assert torch.allclose(recipe.diet.sum(1), torch.ones(500)) and recipe.diet.max() > 0.5
    even = zoo.drawn_recipes(3, generator=seeded(9), **zoo.TAME)
    assert torch.allclose(even.diet, torch.full((3, 10), 0.1)) and (even.init == 1).all()


def test_shrunken_averages_four_pixels_inside_the_margin():
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 2, 2] = 1
    image[0, 0, 0, 0] = 1
    small = zoo.shrunken(image)
    assert small.shape == (1, 144) and small[0, 0] == 0.25 and small.sum() == 0.25


def test_rows_and_layers_are_one():
    some = zoo.Zoo(torch.randn(4, 1870), torch.ones(4))
    assert torch.equal(zoo.in_rows(*some.layers), some.flat)
    assert len(some[1:3]) == 2 and torch.equal(some[1:3].flat, some.flat[1:3])


def test_bad_input_is_answered(digits):
    x, labels = digits
    recipe = recipes(2)
    with pytest.raises(ValueError, match=r"small_digits\(\) has such"):
        zoo.train(recipe, x.view(-1, 12, 12), labels, generator=seeded(0))
    with pytest.raises(ValueError, match="labels of shape"):
        zoo.train(recipe, x, labels[:5], generator=seeded(0))
    with pytest.raises(ValueError, match="some are missing"):
        zoo.train(recipe, x, labels.clamp(max=8), generator=seeded(0))
    with pytest.raises(ValueError, match=r"data.digits\(\) has some"):
        zoo.shrunken(torch.rand(1, 1, 12, 12))
    with pytest.raises(ValueError, match="count is 0"):
        zoo.drawn_recipes(0, generator=seeded(0))
