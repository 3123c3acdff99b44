"""Concepts: textures, directions, and what a class makes of them."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from trickkit import activations, concepts


def small(seed=0):
    torch.manual_seed(seed)
    parts = [nn.Conv2d(3, 5, 3, padding=1), nn.Tanh(), nn.AvgPool2d(4), nn.Flatten()]
    return nn.Sequential(*parts, nn.Linear(20, 12), nn.Tanh(), nn.Linear(12, 4)).eval()


@pytest.fixture
def seen():
    """A network, pictures, what its second layer says of them, and what is above."""
    net, images = small(), torch.rand(9, 3, 8, 8)
    with torch.no_grad():
        [inner] = activations.read(net, images, "1")
    return net, images, inner, concepts.above(net, "1", image=images[:1])


def test_textures_are_pictures_and_share_their_dice():
    sheets = {kind: concepts.textures(kind, 5, size=64, seed=3) for kind in concepts.TEXTURES}
    for sheet in sheets.values():
        assert sheet.shape == (5, 3, 64, 64) and 0 <= sheet.min() and sheet.max() <= 1
    for one, other in zip(sheets["stripes"], sheets["blobs"], strict=True):  # the same two colours
        first, second = (
            {tuple(c) for c in (part.flatten(1).T * 50).round().int().tolist()}
            for part in (one, other)
        )
        assert len(first & second) >= 2
    again = concepts.textures("dots", 5, size=64, seed=3)
    assert torch.equal(again, sheets["dots"])
    assert not torch.equal(again, concepts.textures("dots", 5, size=64, seed=4))


def test_a_mosaic_holds_each_kind_once_where_it_says():
    kinds = ["stripes", "dots", "checks", "blobs"]
    images, order = concepts.mosaics(kinds, 6, size=64, seed=2)
    assert images.shape == (6, 3, 64, 64) and order.sort(1).values.tolist() == [[0, 1, 2, 3]] * 6
    quarters = images.unflatten(3, (2, 32)).unflatten(2, (2, 32)).permute(0, 2, 4, 1, 3, 5)
    quarters = quarters.flatten(1, 2)  # picture, quarter, …
    sharp = quarters.diff(dim=3).abs().mean((2, 3, 4)) + quarters.diff(dim=4).abs().mean((2, 3, 4))
    assert sharp.min() > 0
    again, same = concepts.mosaics(kinds, 6, size=64, seed=2)
    assert torch.equal(images, again) and torch.equal(order, same)
    # moved to another order, the same quarters would make the same picture of each kind
    _, other = concepts.mosaics(kinds, 6, size=64, seed=3)
    assert not torch.equal(order, other)
    for wrong in ({"kinds": kinds[:3]}, {"size": 63}):
        with pytest.raises(ValueError, match="Four kinds and an even size"):
            concepts.mosaics(**{"kinds": kinds, "count": 2, "size": 64} | wrong)


@pytest.mark.parametrize("kind", concepts.TEXTURES[:5])
def test_a_texture_has_both_its_colours_in_fair_shares(kind):
    u, v = torch.rand(2, 4000, generator=torch.Generator().manual_seed(0)) - 0.5
    share = (concepts.pattern(kind, u, v) > 0).double().mean()
    assert 0.25 < share < 0.75


def test_stripes_are_the_same_along_and_change_across():
    u = torch.linspace(-0.5, 0.49, 100)
    v = torch.rand(100) - 0.5
    assert torch.equal(concepts.pattern("stripes", u, v), concepts.pattern("stripes", u, -v))
    for kind in ("dots", "checks", "grid", "zigzag"):
        assert not torch.allclose(
            concepts.pattern(kind, u, v), concepts.pattern(kind, u, v.roll(1))
        )


def test_a_concepts_vector_is_found_in_features_of_any_size():
    torch.manual_seed(0)
    labels = torch.arange(200) % 2 == 0
    x = torch.randn(200, 4) + labels[:, None] * torch.tensor([2.0, 0, 0, 0])
    plain = concepts.concept_vector(x, labels)
    assert plain.norm().item() == pytest.approx(1) and plain[0] > 0.9
    large = concepts.concept_vector(x * torch.tensor([1.0, 1, 1, 1000]), labels)
    assert large[0] > 0.9  # the large feature says nothing, and gets nothing
    assert torch.allclose(concepts.concept_vector(x, ~labels), -plain, atol=1e-3)
    z = ((x - x.mean(0)) / x.std(0, correction=0)).numpy()
    w = LogisticRegression(max_iter=1000).fit(z, labels).coef_[0] / x.std(0, correction=0).numpy()
    assert np.allclose(plain, w / np.linalg.norm(w), atol=1e-3)


def test_above_is_the_rest_of_the_network(seen):
    net, images, inner, head = seen
    assert torch.allclose(head(inner), net(images), atol=1e-6)
    assert torch.allclose(head(inner[:2]), net(images[:2]), atol=1e-6)
    assert not torch.allclose(head(inner + 1), net(images))


class Shortcut(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.classes = nn.Linear(12, 12), nn.Linear(12, 4)

    def forward(self, x):
        x = x.flatten(1)
        return self.classes(x + self.inner(x))


def test_a_layer_that_is_passed_by_is_refused():
    head = concepts.above(Shortcut().eval(), "inner", image=torch.rand(1, 3, 2, 2))
    for count in (1, 2, 5):
        with pytest.raises(ValueError, match="shortcut leads past"):
            head(torch.randn(count, 12))


def test_derivatives_are_finite_differences(seen):
    _, _, inner, head = seen
    torch.manual_seed(1)
    vector = nn.functional.normalize(torch.randn(inner[0].numel()), dim=0)
    towards = vector.view(1, *inner.shape[1:])
    step = 1e-2
    slow = (head(inner + step * towards) - head(inner - step * towards)) / (2 * step)
    fast = concepts.derivatives(head, inner, vector)
    assert fast.shape == (9, 4) and torch.allclose(fast, slow, atol=1e-4)
    for target in range(4):
        score = concepts.tcav_score(head, inner, vector, target)
        assert float(score) == pytest.approx((slow[:, target] > 0).float().mean().item())
    with torch.inference_mode():
        assert float(concepts.tcav_score(head, inner, vector, 3)) == float(score)


def test_the_score_is_captums(seen, tmp_path):
    captum = pytest.importorskip("captum.concept")
    net, images, inner, head = seen
    torch.manual_seed(2)
    vector = torch.randn(inner[0].numel())

    class Ours:  # in place of the classifier that captum would fit
        def train_and_eval(self, dataloader, **kwargs):
            return {}

        def weights(self):
            return torch.stack([vector, -vector])

        def classes(self):
            return [0, 1]

    kinds = [
        captum.Concept(i, name, torch.utils.data.DataLoader(torch.rand(4, 3, 8, 8), batch_size=4))
        for i, name in enumerate(("this", "that"))
    ]
    theirs = captum.TCAV(net, ["1"], classifier=Ours(), save_path=str(tmp_path))
    for target in range(4):
        score = theirs.interpret(images, [kinds], target=target)["0-1"]["1"]["sign_count"][0]
        ours = concepts.tcav_score(head, inner, vector, target)
        assert float(ours) == pytest.approx(float(score))


def test_what_does_not_fit_is_refused(seen):
    _, _, inner, head = seen
    with pytest.raises(ValueError, match="no texture called 'stripe'. Did you mean 'stripes'"):
        concepts.textures("stripe", 3)
    with pytest.raises(ValueError, match="For each of 9 rows"):
        concepts.concept_vector(inner, torch.ones(3))
    with pytest.raises(ValueError, match="and others beside them"):
        concepts.concept_vector(inner, torch.ones(9))
    with pytest.raises(ValueError, match=r"should be \(320,\)"):
        concepts.tcav_score(head, inner, torch.ones(3), 0)
    with pytest.raises(ValueError, match="from 0 to 3"):
        concepts.tcav_score(head, inner, torch.ones(320), 7)
    with pytest.raises(ValueError, match="a row a picture"):
        concepts.concept_vector(torch.ones(3), torch.ones(3))
