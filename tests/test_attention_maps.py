"""Where transformers look: reading it, following it down, and what is left without it."""

import numpy as np
import pytest
import timm
import torch
from torch.nn import functional as F

from trickkit import attacks, attention, data, models


def small(*, size: int = 56, seed: int = 0) -> models.VisionTransformer:
    """A transformer as dinov2 is one, of two layers and two heads, that has learnt nothing."""
    torch.manual_seed(seed)
    network = timm.models.vision_transformer.VisionTransformer(
        img_size=size, patch_size=14, embed_dim=16, depth=2, num_heads=2, num_classes=0
    )
    for p in network.parameters():
        torch.nn.init.normal_(p, std=0.4)
    for part in network.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
    return models.VisionTransformer(network, size=size).eval().requires_grad_(False)


@pytest.fixture
def images():
    return torch.rand(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))


def test_maps_of_both_transformers_are_shares():
    net = models.minilm()
    tokens = net.tokenizer(["A short one.", "A sentence that is rather longer."])
    heads = attention.heads(net, tokens)
    assert heads.shape == (2, 6, 12, tokens.shape[1], tokens.shape[1])
    torch.testing.assert_close(heads.sum(-1), torch.ones_like(heads[..., 0]))
    heads = attention.heads(small(), torch.rand(2, 3, 56, 56))
    assert heads.shape == (2, 2, 2, 17, 17)
    torch.testing.assert_close(heads.sum(-1), torch.ones_like(heads[..., 0]))


def test_a_network_without_attention_is_refused():
    with pytest.raises(ValueError, match="no layer of attention.*models.dinov2"):
        attention.heads(models.convnet().eval(), torch.rand(1, 1, 28, 28))


def test_rollout_is_the_product_written_out():
    """In NumPy, by the paper's recursion, a token at a time."""
    rng = np.random.default_rng(0)
    heads = rng.dirichlet(np.ones(5), size=(2, 3, 4, 5))
    wanted = np.tile(np.eye(5), (2, 1, 1))
    for layer in range(3):
        mean = heads[:, layer].mean(1)
        wanted = 0.5 * np.einsum("nij,njk->nik", mean, wanted) + 0.5 * wanted
    ours = attention.rollout(torch.tensor(heads))
    np.testing.assert_allclose(ours, wanted, atol=1e-12)
    torch.testing.assert_close(ours.sum(-1), torch.ones(2, 5, dtype=torch.float64))


def test_rollout_of_tokens_that_look_at_themselves_stays_put():
    heads = torch.eye(4).expand(1, 6, 2, 4, 4)
    assert attention.rollout(heads).equal(torch.eye(4)[None])
    with pytest.raises(ValueError, match=r"\(N, layers, heads, T, T\).*\(4, 4\)"):
        attention.rollout(torch.eye(4))


def test_all_patches_kept_is_the_plain_feature(images):
    net = small()
    everything = torch.ones(3, 16, dtype=torch.bool)
    torch.testing.assert_close(attention.feature(net, images, keep=everything), net(images))


def test_patches_that_are_dropped_cannot_matter(images):
    """Not what is in them, nor how many others there are; those that stay keep their places."""
    net = small()
    keep = torch.zeros(3, 16, dtype=torch.bool)
    keep[:, [1, 6, 11]] = True
    said = attention.feature(net, images, keep=keep)
    hidden = F.interpolate((~keep).float().view(3, 1, 4, 4), (56, 56))
    other = torch.where(hidden.bool(), torch.rand(3, 3, 56, 56), images)
    torch.testing.assert_close(attention.feature(net, other, keep=keep), said)
    assert not torch.allclose(net(other), net(images))
    moved = keep.roll(1, 1)
    assert not torch.allclose(attention.feature(net, images, keep=moved), said)


@pytest.mark.parametrize(
    "keep", [torch.ones(3, 15, dtype=torch.bool), torch.ones(3, 16), torch.ones(16).bool()]
)
def test_what_is_kept_must_fit(images, keep):
    with pytest.raises(ValueError, match=r"bool \(3, 16\)"):
        attention.feature(small(), images, keep=keep)
    ragged = torch.ones(3, 16, dtype=torch.bool)
    ragged[0, 0] = False
    with pytest.raises(ValueError, match="of one stay 15, and of another 16"):
        attention.feature(small(), images, keep=ragged)


def test_drop_and_keep_are_two_sides(images):
    """Dropping the most relevant half is keeping the least relevant half."""
    net = small()
    relevance = torch.rand(3, 4, 4)
    dropped, kept = attention.drop_and_keep(net, images, relevance, share=0.5)
    dropped2, kept2 = attention.drop_and_keep(net, images, -relevance, share=0.5)
    torch.testing.assert_close(dropped, kept2)
    torch.testing.assert_close(kept, dropped2)
    for share in (0, 0.01, 1):
        with pytest.raises(ValueError, match="Some are to go and some to stay"):
            attention.drop_and_keep(net, images, relevance, share=share)


def test_look_is_what_reading_says(images):
    net = small()
    looks, says = attention.look(net, images)
    heads = attention.heads(net, images)
    torch.testing.assert_close(looks.flatten(1), heads[:, -1, :, 0, 1:].mean(1))
    torch.testing.assert_close(says, net(images))


def test_attention_can_be_attacked_like_a_class(images):
    """Through the course's own attack: more of the look falls on the first row."""
    net = small()

    def on_top(images):
        goal = attention.look(net, images)[0][:, 0].sum(1).log()
        return torch.stack([goal, torch.zeros_like(goal)], 1)

    moved = attacks.pgd(on_top, images, 0, eps=8 / 255, steps=5, targeted=True, early_stop=False)
    assert (on_top(moved)[:, 0] > on_top(images)[:, 0]).all()
    assert (moved - images).abs().max() <= 8 / 255 + 1e-6


def test_parts_are_principal_components(images):
    net = small()
    colours = attention.patch_colours(net, images)
    assert colours.shape == (3, 3, 4, 4) and colours.min() == 0 and colours.max() == 1
    from sklearn.decomposition import PCA

    tokens = attention.activations.read(net, images, "network.norm")[0][:, 1:].flatten(0, 1)
    scores = PCA(3, svd_solver="full").fit_transform(tokens.numpy())
    ours = colours.permute(0, 2, 3, 1).flatten(0, 2)
    for theirs, mine in zip(scores.T, ours.T, strict=True):
        inside = (mine > 0) & (mine < 1)  # what is cut off says nothing
        r = np.corrcoef(theirs[inside], mine[inside])[0, 1]
        assert abs(r) > 0.999


def test_dinov2_looks_at_the_animal():
    """More of its last look falls into the animal's box than the box's share of the photo."""
    net = models.dinov2(size=224)
    boxes = data.bounding_boxes().set_index("picture", drop=False)
    boxes = boxes.loc[["panda", "koala", "polar_bear", "macaw"]]
    photos = torch.cat([data.picture(name, size=224) for name in boxes.picture])
    with torch.no_grad():
        looks = attention.look(net, photos)[0].cpu()
    centres = (torch.arange(16) + 0.5) * 14
    for look, box in zip(looks, boxes.itertuples(), strict=True):
        inside = ((centres > box.top) & (centres < box.bottom))[:, None] & (
            (centres > box.left) & (centres < box.right)
        )
        assert look[inside].sum() / look.sum() > inside.float().mean() + 0.1


def test_the_patches_inside_a_box_are_those_whose_middle_is():
    boxes = torch.tensor([[0, 0, 8, 8], [3, 1, 8, 5], [0, 0, 0, 0]])
    inside = attention.patches_inside(boxes, side=4, size=8)
    for box, found in zip(boxes.tolist(), inside, strict=True):
        left, top, right, bottom = box
        for row in range(4):
            for column in range(4):
                y, x = 2 * row + 1, 2 * column + 1
                assert found[row, column] == (left < x < right and top < y < bottom)
    with pytest.raises(ValueError, match=r"\(N, 4\).*shape is \(4,\)"):
        attention.patches_inside(torch.zeros(4), side=4, size=8)
