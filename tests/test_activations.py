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


class Last(nn.Module):
    """A convolution that puts its channels last, as Swin's blocks do."""

    def __init__(self, channels):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, channels, 3, padding=1, stride=2)

    def forward(self, x):
        return self.conv(x).permute(0, 2, 3, 1)


class First(nn.Module):
    """The same, and the channels second again."""

    def __init__(self, channels):
        super().__init__()
        self.last = Last(channels)

    def forward(self, x):
        return self.last(x).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (16, 24), (17, 24), (33, 9)])
def test_maps_are_read_with_their_channels_second(height, width):
    x = torch.rand(2, 3, height, width, requires_grad=True)
    net = First(7)
    moved, second = activations.read(net, x, "last", "")
    assert torch.equal(moved, second) and second.shape[1] == 7
    # and what follows sees what it saw, with a gradient on the way
    grad = torch.autograd.grad(second.sum(), moved)[0]
    assert torch.equal(grad, torch.ones_like(moved))
    assert activations.read(net, x, "last.conv")[0].shape == moved.shape


@pytest.mark.parametrize(
    "shape", [(2, 16, 8, 8), (2, 8, 8, 8), (2, 16, 1, 1), (2, 5, 3, 9), (2, 9)]
)
def test_what_is_no_map_with_its_channels_last_stays(shape):
    out = torch.rand(shape)
    assert activations.channels_second(out, torch.rand(2, 3, 16, 16)) is out


class Pair(nn.Module):
    def forward(self, x):
        return x, {"mean": x.mean()}


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("0.0", "The layer '0.0' puts out a tuple of 2"),
        ("", "The model puts out a dict with 'out'"),
        ("nowhere", "no layer called 'nowhere'"),
        (3, "a str; 3 came"),
    ],
)
def test_layers_that_put_out_no_tensor(layer, says):
    class Named(nn.Sequential):
        def forward(self, x):
            return {"out": super().forward(x)[0]}

    net = Named(nn.Sequential(Pair())).eval()
    with pytest.raises(ValueError, match=says):
        activations.read(net, torch.rand(1, 3, 4, 4), layer)
    assert not any(m._forward_hooks for m in net.modules())


def test_reading_a_model_in_train_mode_would_change_it():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
    mean = net[0].running_mean.clone()
    with pytest.raises(ValueError, match=r"model.eval\(\)"):
        activations.read(net, torch.rand(2, 3, 4, 4), "1")
    assert torch.equal(net[0].running_mean, mean)
    assert activations.read(net.eval(), torch.rand(2, 3, 4, 4)) == []
    for ask in (lambda: activations.layers(len), lambda: activations.read(len, mean, "1")):
        with pytest.raises(ValueError, match="wanted"):
            ask()


def test_tokens_are_no_maps():
    net = nn.Sequential(nn.Flatten(2), nn.ReLU())
    assert activations.read(net, torch.rand(1, 3, 4, 4), "1")[0].shape == (1, 3, 16)
    with pytest.raises(ValueError, match=r"wants a layer of maps.* '1' puts out \(1, 3, 16\)"):
        activations.read_maps(net, torch.rand(1, 3, 4, 4), "1")


def test_a_compiled_network_hides_its_layers():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()).eval()
    compiled = torch.jit.script(net)
    with pytest.raises(ValueError, match="TorchScript hides"):
        activations.read(compiled, torch.rand(1, 3, 8, 8), "0")


def test_without_gradients_a_few_images_are_looked_at_at_a_time(monkeypatch):
    monkeypatch.setattr(activations, "PIXELS_AT_ONCE", 2 * 16 * 16)
    model = Lazy()
    images = torch.rand(11, 3, 16, 16)
    seen = []
    model.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    [whole] = activations.read(model, images, "used")
    with torch.no_grad():
        again, late, twice = activations.read(model, images, "used", "late", "used")
    assert seen == [11, 4, 4, 3]
    assert torch.allclose(again, whole) and torch.equal(again, twice)
    assert torch.allclose(late, whole.relu())


def test_a_layer_that_puts_out_no_row_an_image_is_read_in_one_piece(monkeypatch):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Identity()

        def forward(self, images):
            return images.flatten(1) + self.first(images.flatten(1).mean(0, keepdim=True))

    monkeypatch.setattr(activations, "PIXELS_AT_ONCE", 1)
    images = torch.rand(5, 3, 4, 4)
    with torch.no_grad():
        [mean] = activations.read(Odd(), images, "first")
    assert torch.allclose(mean, images.flatten(1).mean(0, keepdim=True))
