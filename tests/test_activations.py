import pytest
import torch
from torch import nn

from trickkit import activations, models


@pytest.fixture(scope="module")
def net():
    return models.imagenet()


def test_reading_layers_leaves_the_model_as_it_was(net):
    x = torch.rand(1, 3, 224, 224)
    before = net(x)
    conv, blocks, logits = activations.read(
        net, x, "network.conv_stem", "network.blocks.4", "network"
    )
    assert (
        conv.shape == (1, 32, 112, 112) and blocks.shape[1] == 112 and torch.equal(logits, before)
    )
    assert not any(m._forward_hooks for m in net.modules())
    with pytest.raises(ValueError, match="wants 3 channels"):
        activations.read(net, x[:, :1], "network.conv_stem")
    assert not any(m._forward_hooks for m in net.modules())
    # what a layer gave is what it gave, though the next one works in place
    inplace = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.ReLU(inplace=True))
    assert torch.equal(
        activations.read(inplace, x[:, :1, :2, :2], "1")[0], inplace[1](x[:, :1, :2, :2].flatten(1))
    )


class Lazy(torch.nn.Module):
    """One of its layers takes no part."""

    def __init__(self):
        super().__init__()
        self.used = torch.nn.Conv2d(3, 4, 3)
        self.idle = torch.nn.Identity()
        self.late = torch.nn.ReLU()

    def forward(self, images):
        return self.late(self.used(images))


def test_reading_computes_nothing_after_the_last_layer_asked_for():
    model = Lazy()
    images = torch.rand(2, 3, 16, 16)
    ran = []
    model.late.register_forward_hook(lambda *_: ran.append("late"))
    assert torch.equal(activations.read(model, images, "used")[0], model.used(images)) and not ran
    late, used, again = activations.read(model, images, "late", "used", "used")
    assert ran and torch.equal(late, model(images)) and torch.equal(used, again)
    with pytest.raises(ValueError, match="The layer 'idle' took no part"):
        activations.read(model, images, "used", "idle")
    assert not model.used._forward_hooks


def test_what_follows_in_place_leaves_what_was_read_alone():
    class Hasty(nn.Module):
        def __init__(self):
            super().__init__()
            self.used = nn.Conv2d(3, 4, 3)

        def forward(self, images):
            return self.used(images).relu_()

    model = Hasty()
    images = torch.rand(2, 3, 8, 8)
    used, out = activations.read(model, images, "used", "")
    assert torch.equal(used, model.used(images)) and torch.equal(out, used.relu())
    assert (used < 0).any()


def test_a_layer_that_works_twice_is_read_the_first_time():
    twice = nn.ReLU()
    model = nn.Sequential(nn.Flatten(), twice, nn.Linear(4, 4), twice, nn.Linear(4, 2))
    images = torch.rand(3, 1, 2, 2) - 0.5
    first, logits = activations.read(model, images, "1", "4")
    assert torch.equal(first, images.flatten(1).relu()) and torch.equal(logits, model(images))
