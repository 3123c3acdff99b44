"""The painter: what it takes, what it learns from, and that the shipped one lowers the loss on
photographs it never saw."""

import pytest
import torch
from torch.nn import functional as F

from trickkit import data, fast_style, style
from trickkit.fast_style import HELD_OUT, STYLES, Painter, crops


def test_a_painter_takes_any_size_and_paints_inside_the_range():
    painter = Painter(width=4).eval()
    for shape in ((1, 3, 37, 50), (2, 3, 32, 32), (1, 3, 33, 46)):
        with torch.no_grad():
            painted = painter(torch.rand(shape), STYLES[1])
        assert painted.shape == shape and painted.min() >= 0 and painted.max() <= 1
    photo = torch.rand(1, 3, 33, 38)  # filled up to multiples of 4, at the right and below
    filled = F.pad(photo, (0, 2, 0, 3), mode="replicate")
    with torch.no_grad():
        painted, larger = (painter(x, STYLES[0]) for x in (photo, filled))
    assert torch.equal(painted, larger[..., :33, :38])
    with pytest.raises(
        ValueError, match="no style that was trained called 'auver'. Did you mean 'auvers'"
    ):
        painter(torch.rand(1, 3, 32, 32), "auver")
    with pytest.raises(ValueError, match="Pixels are wanted in"):
        painter(2 * torch.rand(1, 3, 32, 32), STYLES[0])


def test_styles_differ_by_scale_and_shift_alone():
    painter = Painter(width=4).eval()
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        first = painter(x, STYLES[0])
        second = painter(x, STYLES[1])
        assert torch.equal(first, second)  # before training they are one
        painter.last.shift[1] += 1
        assert torch.equal(painter(x, STYLES[0]), first) and not torch.equal(
            painter(x, STYLES[1]), second
        )
    own = sum(
        w.numel() for name, w in painter.named_parameters() if name.endswith(("scale", "shift"))
    )
    assert own < 0.1 * sum(w.numel() for w in painter.parameters())


def test_same_seed_same_painter_and_nothing_else_is_drawn():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two, other = (Painter(width=4, seed=seed).last.conv.weight for seed in (0, 0, 1))
    assert (
        torch.equal(torch.get_rng_state(), before)
        and torch.equal(one, two)
        and not torch.equal(one, other)
    )


def test_crops_are_squares_of_the_photographs():
    photo = torch.arange(40 * 60.0).view(1, 1, 40, 60).expand(1, 3, 40, 60) / 2400
    cut = crops(torch.Generator().manual_seed(0), photos=[photo], count=12, side=16)
    assert cut.shape == (12, 3, 16, 16) and cut.min() >= 0 and cut.max() <= 1
    assert len({round(c.mean().item(), 4) for c in cut}) > 8
    rising = (cut[:, 0, :, 1:] > cut[:, 0, :, :-1]).all(2).all(1)
    assert 0 < rising.sum() < 12  # some are mirrored
    assert torch.equal(
        cut, crops(torch.Generator().manual_seed(0), photos=[photo], count=12, side=16)
    )


def loss_of(net, photo, name, painted):
    wanted = style.style_of(net, data.scaled(data.painting(name), side=256))
    content = style.responses(net, photo, [style.CONTENT_LAYER])[0]
    *now, here = style.responses(net, painted, [*style.STYLE_LAYERS, style.CONTENT_LAYER])
    return (
        2e-3 * style.content_loss(here, content)
        + style.style_loss([style.gram(a) for a in now], wanted)
    ).item()


def test_training_lowers_the_loss_on_a_photograph_held_out():
    net = style.vgg()
    photo = data.picture(HELD_OUT[1], size=64)
    painter = Painter(width=8).to(photo.device)
    before = loss_of(net, photo, STYLES[0], painter(photo, STYLES[0]))
    fast_style.train(painter, steps=24, batch_size=1, side=64, lr=1e-2)
    assert (
        not painter.training
        and loss_of(net, photo, STYLES[0], painter(photo, STYLES[0])) < 0.5 * before
    )


def test_roughness_is_lowered_as_much_as_it_weighs():
    photo = data.picture(HELD_OUT[1], size=64)
    rough, smooth = (
        fast_style.train(
            Painter(width=4), steps=6, batch_size=1, side=64, lr=1e-2, tv_weight=weight
        )
        for weight in (0, 1000)
    )
    with torch.no_grad():
        bumps = [style.total_variation(p(photo, STYLES[0])) for p in (rough, smooth)]
    assert bumps[1] < 0.8 * bumps[0]


@pytest.mark.parametrize("name", HELD_OUT)
def test_the_shipped_painter_beats_the_photograph_itself(name):
    net = style.vgg()
    painter = fast_style.painter()
    photo = data.scaled(data.picture(name), side=256)
    with torch.no_grad():
        for manner in STYLES:
            assert loss_of(net, photo, manner, painter(photo, manner)) < 0.85 * loss_of(
                net, photo, manner, photo
            )


def test_photographs_too_small_or_grey_are_refused():
    painter = fast_style.Painter(width=4)
    name = fast_style.STYLES[0]
    assert painter(torch.rand(1, 3, 5, 5), name).shape == (1, 3, 5, 5)
    with pytest.raises(ValueError, match="5 pixels or more"):
        painter(torch.rand(1, 3, 4, 9), name)
    with pytest.raises(ValueError, match="3 channels"):
        painter(torch.rand(1, 1, 9, 9), name)
