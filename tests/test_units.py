import pytest
import torch

from trickkit import activations, concepts, data, models, units


@pytest.fixture(scope="module")
def made():
    return units.composites(24, size=40)


def test_composites_hold_a_texture_and_a_colour_where_the_masks_say(made):
    images, masks = made
    assert images.shape == (24, 3, 40, 40) and 0 <= images.min() and images.max() <= 1
    assert masks.shape == (24, 10, 20, 20) and masks.dtype == torch.bool
    textures = len(concepts.TEXTURES)
    present = masks.flatten(2).any(2)
    assert (present[:, :textures].sum(1) == 1).all() and (present[:, textures:].sum(1) == 1).all()
    assert (present.sum(0) > 0).all()
    # what a colour's mask covers has the colour; what no mask covers is the photo, untouched
    fine = masks.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for n in range(24):
        colour = int(present[n, textures:].nonzero()[0, 0])
        inner = images[n][:, fine[n, textures + colour]].T
        wanted = torch.tensor(list(units.PAINTS.values())[colour]).clamp(0, 1)
        assert ((inner - wanted).abs() < 0.11).all(1).float().mean() > 0.8
        photo = data.picture(data.picture_names()[n % 13], size=40)[0]
        outside = ~fine[n].any(0)
        assert (images[n] == photo).all(0)[outside].float().mean() > 0.8


def test_composites_are_the_same_for_the_same_seed(made):
    again = units.composites(24, size=40)
    assert torch.equal(made.images, again.images) and torch.equal(made.masks, again.masks)
    assert not torch.equal(made.masks, units.composites(24, size=40, seed=1).masks)


def test_the_overlap_agrees_with_counting_sets():
    torch.manual_seed(0)
    maps = torch.randn(3, 4, 5, 6)
    masks = torch.rand(3, 2, 5, 6) < 0.3
    scores = units.iou(maps, masks, top=0.1)
    for unit in range(4):
        values = maps[:, unit].flatten().tolist()
        on = set(sorted(range(90), key=values.__getitem__)[-9:])
        for concept in range(2):
            where = {i for i, inside in enumerate(masks[:, concept].flatten().tolist()) if inside}
            assert scores[unit, concept].item() == pytest.approx(len(on & where) / len(on | where))


def test_a_unit_that_is_the_mask_fits_perfectly_and_a_dead_one_not_at_all():
    mask = torch.zeros(2, 1, 10, 10, dtype=torch.bool)
    mask[0, 0, 2:4, 3:8] = True
    maps = torch.cat([mask.float() + 0.01 * torch.rand(2, 1, 10, 10), torch.zeros(2, 1, 10, 10)], 1)
    assert units.iou(maps, mask, top=0.05)[:, 0].tolist() == [1, 0]
    assert units.iou(maps, torch.zeros_like(mask), top=0.05)[:, 0].tolist() == [0, 0]


def test_detectors_are_those_above_the_bar():
    scores = torch.tensor([[0.05, 0.2], [0.04, 0.01], [0.3, 0.0]])
    assert units.detectors(scores).tolist() == [1, -1, 0]
    assert units.detectors(scores, least=0.25).tolist() == [-1, -1, 0]


def test_a_rotation_loses_nothing():
    maps = torch.randn(2, 6, 3, 3)
    turned = units.rotated(maps)
    assert torch.allclose(turned.norm(dim=1), maps.norm(dim=1), atol=1e-5)
    assert not torch.allclose(turned, maps) and torch.equal(turned, units.rotated(maps))


def test_silenced_units_say_their_mean_everywhere():
    maps = torch.randn(3, 4, 2, 2)
    quiet = units.silenced(maps, torch.tensor([1, 3]))
    assert torch.equal(quiet[:, [0, 2]], maps[:, [0, 2]])
    assert torch.allclose(quiet[:, 1], maps[:, 1].mean().expand(3, 2, 2))
    assert torch.equal(units.silenced(maps, torch.tensor([], dtype=torch.long)), maps)


def test_what_comes_later_is_the_same_from_maps_as_from_the_pictures(made):
    net = models.imagenet()
    images = made.images[:3].repeat_interleave(2, 2).repeat_interleave(2, 3)
    maps, later = activations.read(net, images, "network.blocks.2", "network.blocks.4")
    seen = units.read_after(net, "network.blocks.2", maps, later="network.blocks.4", batch_size=2)
    assert torch.allclose(seen, later, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: units.iou(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 5, 5)), "as fine as"),
        (lambda: units.iou(torch.zeros(2, 4, 4), torch.zeros(2, 3, 4, 4)), "as fine as"),
        (
            lambda: units.iou(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4).bool(), top=0.001),
            "0 of 32 places",
        ),
        (lambda: units.read_after(torch.nn.Identity(), "", torch.zeros(3), later=""), "Maps"),
        (lambda: units.composites(0), "count is 0"),
    ],
)
def test_bad_input_is_answered(call, says):
    with pytest.raises(ValueError, match=says):
        call()
