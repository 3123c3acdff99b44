import copy
import functools
import io

import numpy as np
import pytest
import torch
from torch import nn

from trickkit import attacks, common, contract, data, defences, dreams, features, models, style


def test_labels_follow_one_contract():
    x = torch.rand(3, 1, 2, 2)
    assert contract.expanded_labels(2, x).tolist() == [2, 2, 2]
    for labels, says in (
        (torch.tensor([1, 2]), "One label an image"),
        (torch.tensor([0.5, 1, 2]), "whole numbers"),
    ):
        with pytest.raises(ValueError, match=says):
            contract.expanded_labels(labels, x)
    with pytest.raises(ValueError, match="from 0 to 4"):
        contract.validated_labels(5, x, 5)


def test_a_model_in_train_mode_is_refused():
    moody = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, 2))
    for model in (moody, nn.Sequential(moody)):  # however deep it lies
        with pytest.raises(ValueError, match=r"model.eval\(\)"):
            attacks.fgsm(model, torch.rand(1, 1, 2, 2), 0, eps=0.1)


def test_the_score_gradient_of_a_linear_model_is_its_weights():
    """Also for pixels outside [0, 1], which noisy copies have."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5)).eval()
    x = 3 * torch.rand(4, 3, 2, 2) - 1
    y = torch.tensor([0, 4, 2, 2])
    assert torch.allclose(contract.score_gradient(net, x, y), net[1].weight[y].view(4, 3, 2, 2))
    assert contract.of_labels(net(x), y).tolist() == [net(x)[i, k].item() for i, k in enumerate(y)]
    with pytest.raises(ValueError, match="images / 255"):
        contract.score_gradient(net, 255 * torch.rand(1, 3, 2, 2), 0)


def test_the_loss_gradient_is_each_images_own_whatever_it_is_asked_about_beside():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5)).double()
    x = torch.rand(4, 3, 2, 2).double()
    y = torch.tensor([0, 4, 2, 2])
    # of a linear model: (p − truth) · weights
    wrong = net(x).softmax(1) - nn.functional.one_hot(y, 5)
    expected = (wrong @ net[1].weight).view_as(x)
    assert torch.allclose(contract.loss_gradient(net, x, y), expected)
    assert torch.allclose(contract.loss_gradient(net, x[1:2], 4), expected[1:2])


NET = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()
X = torch.rand(2, 3, 2, 2)


class Moody(nn.Module):
    """Looks at its mode in a method of its own, and is no layer that torch knows."""

    def forward(self, x):
        return self.stirred(x.flatten(1)[:, :3])

    def stirred(self, x):
        return x + torch.rand_like(x) if self.training else x


class Box:
    """No module, but it holds one."""

    def __init__(self, model):
        self.inner = model

    def __call__(self, images):
        return self.inner(images)

    def answer(self, images):
        return self.inner(images)


@pytest.mark.parametrize(
    "hold",
    [
        nn.DataParallel,
        lambda m: lambda images: m(images),
        lambda m: functools.partial(nn.Module.__call__, m),
        lambda m: functools.partial(lambda images, of: of(images), of=m),
        lambda m: m.forward,
        Box,
        lambda m: Box(m).answer,
        lambda m: models.ensemble([NET, m]),
        lambda m: defences.with_noise(lambda images: m(images), sigma=0.1),
    ],
)
def test_train_mode_is_seen_wherever_the_module_is_held(hold):
    moody = Moody()
    with pytest.raises(ValueError, match=r"model.eval\(\)"):
        attacks.square(hold(moody.train()), X, 0, eps=0.1, queries=2)
    assert attacks.square(hold(moody.eval()), X, 0, eps=0.1, queries=2).shape == X.shape


def test_train_mode_that_changes_nothing_is_no_harm():
    calm = nn.Sequential(nn.Dropout(0.0), nn.BatchNorm2d(3, track_running_stats=False), NET).train()
    assert attacks.fgsm(calm, X, 0, eps=0.1).shape == X.shape


def test_train_mode_of_a_network_that_is_not_used_is_no_harm():
    nets = {"used": NET, "other": Moody().train()}
    assert attacks.fgsm(lambda images: nets["used"](images), X, 0, eps=0.1).shape == X.shape
    assert not nn.modules.module._global_forward_pre_hooks


def test_a_function_that_calls_itself_is_no_riddle():
    def model(images, again=True):
        return model(images, False) if again else NET(images)

    assert attacks.fgsm(model, X, 0, eps=0.1).shape == X.shape


def test_one_score_is_no_logits():
    one = nn.Sequential(nn.Flatten(), nn.Linear(12, 1)).eval()
    for ask in (
        lambda: contract.logits_of(one, X),
        lambda: attacks.hop_skip_jump(one, X, 0, queries=5),
        lambda: models.accuracy(one, X, 0),
    ):
        with pytest.raises(ValueError, match="two"):
            ask()
    with pytest.raises(ValueError, match=r"torch.cat\(\[-z, z\], 1\)"):
        contract.logits_of(one, X)
    assert contract.logits_of(lambda x: torch.cat([-one(x), one(x)], 1), X).shape == (2, 2)


@pytest.mark.parametrize(
    ("said", "described"),
    [
        (lambda z: (z, z), "a tuple of 2"),
        (lambda z: {"logits": z, "aux": z}, "a dict with 'logits', 'aux'"),
        (lambda z: z[:1], r"shape \(1, 3\)"),
        (lambda z: z.long(), "torch.int64"),
        (lambda z: z * torch.nan, "not finite"),
    ],
)
def test_what_is_no_logits_is_described(said, described):
    for method in (attacks.fgsm, attacks.square, attacks.pgd):
        with pytest.raises(ValueError, match=described):
            method(lambda x: said(NET(x)), X, 0, eps=0.1)


def test_images_of_another_type_or_size_are_told_what_to_do():
    for model in (NET, lambda x: NET(x)):
        with pytest.raises(ValueError, match=r"weights are torch.float32: use images.float\(\)"):
            attacks.fgsm(model, X.double(), 0, eps=0.1)
    with pytest.raises(ValueError, match=r"use images.to\(torch.float64\)"):
        attacks.fgsm(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).double(), X, 0, eps=0.1)
    with pytest.raises(ValueError, match=r"cannot read these images.*shape \(2, 3, 5, 5\)"):
        attacks.fgsm(NET, torch.rand(2, 3, 5, 5), 0, eps=0.1)


def test_a_models_own_error_comes_through():
    class Spent(RuntimeError):
        pass

    def model(images):
        raise Spent("no more queries")

    with pytest.raises(Spent, match="no more"):
        attacks.square(model, X, 0, eps=0.1)


def test_no_gradient_is_told():
    for model in (lambda x: NET(x.detach()), lambda x: torch.zeros(len(x), 3)):
        with pytest.raises(ValueError, match="No gradient comes back"):
            attacks.fgsm(model, X, 0, eps=0.1)
    steep = nn.Sequential(NET, nn.LogSigmoid())
    assert attacks.fgsm(steep, X, 0, eps=0.1).isfinite().all()
    with pytest.raises(ValueError, match="gradient holds numbers that are not finite"):
        attacks.fgsm(lambda x: (0 * NET(x)).sqrt(), X, 0, eps=0.1)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_come_where_they_were_switched_off(off):
    y = NET(X).argmax(1)
    expected = attacks.pgd(NET, X, y, eps=0.1, steps=3)
    with off():
        found = attacks.pgd(NET, X + 0, y + 0, eps=0.1, steps=3)
        assert not torch.is_grad_enabled()
    assert torch.equal(found, expected)


def test_a_result_hangs_on_no_graph():
    x = X.clone().requires_grad_(True)
    assert not attacks.pgd(NET, x, 0, eps=0.1).requires_grad
    assert not attacks.cw(NET, x, 0, searches=1, steps=2).requires_grad
    assert x.requires_grad and x.grad is None


@pytest.mark.parametrize(
    ("eps", "says"),
    [
        ("8/255", "eps is '8/255'; a number is wanted"),
        (None, "eps is None; a number"),
        (True, "eps is True; a number"),
        (1j, "a number is wanted"),
        ([[0.1], [0.1]], "its shape is"),
        (-0.1, "0 or more"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (8, "8/255"),
    ],
)
def test_an_eps_that_is_none(eps, says):
    for method in (attacks.fgsm, attacks.pgd, attacks.square, attacks.nes, attacks.universal):
        with pytest.raises(ValueError, match=says):
            method(NET, X, 0, eps=eps)
    if eps != 8:  # a length of 8 is one
        with pytest.raises(ValueError, match=says):
            attacks.pgd(NET, X, 0, eps=eps, norm="l2")


@pytest.mark.parametrize(
    "labels", [np.int64(2), np.array(2), [2, 2], np.array([2, 2]), (2, 2), torch.tensor(2)]
)
def test_labels_may_be_numpys_and_lists(labels):
    assert contract.expanded_labels(labels, X).tolist() == [2, 2]


@pytest.mark.parametrize("labels", [True, "cat", None, 1.0, [[1], [2]], [1, 2, 3], {1: 2}, []])
def test_labels_that_are_none(labels):
    with pytest.raises(ValueError, match="wanted"):
        contract.expanded_labels(labels, X)


def test_whole_numbers_are_anybodys():
    for count in (3, np.int64(3), np.uint8(3)):
        assert attacks.pgd(NET, X, 0, eps=0.1, steps=count).shape == X.shape
        common.validate_count(count=count)
    for count in (True, np.bool_(True), torch.tensor(True), 3.0, "3", None, 0, np.int64(0)):
        with pytest.raises(ValueError, match="whole number of at least 1"):
            common.validate_count(count=count)
    for number in (True, "0.1", None, float("nan"), float("inf"), 0, [1.0]):
        with pytest.raises(ValueError, match="above 0"):
            common.validate_positive(number=number)
    common.validate_positive(number=np.float32(0.1))
    common.validate_number(number=np.int8(-1))
    with pytest.raises(ValueError, match="number is -1; a number of at least 0"):
        common.validate_number(number=-1, at_least=0)


def test_seeds_are_whole_numbers():
    same = torch.rand(2, generator=contract.seeded(7))
    assert torch.equal(torch.rand(2, generator=contract.seeded(np.int64(7))), same)
    for seed in (None, 1.5, "7", True, 2**64):
        with pytest.raises(ValueError, match="seed is"):
            contract.seeded(seed)


def test_pixels_that_are_none():
    for images, says in (
        (torch.full((1, 3, 2, 2), torch.nan), "finite"),
        (torch.rand(1, 3, 0, 2), "empty"),
        (torch.rand(0, 3, 2, 2), "empty"),
    ):
        with pytest.raises(ValueError, match=says):
            contract.validate_batch(images)


class Slotted:
    __slots__ = ("net",)

    def __init__(self, net):
        self.net = net

    def __call__(self, images):
        return self.net(images)


class Kept:
    net = None


KEPT: dict = {}


@functools.cache
def remembered():
    return Kept.net


def ways_to_hold(net):
    """Callables that hold a network where it is not plain to see."""
    Kept.net = net
    KEPT["nested"] = {"net": [net]}

    remembered.cache_clear()

    def by_name(images, *, model=net):
        return model(images)

    class Asking:
        def ask(self, images):
            return Kept.net(images)

    nets = {"a": {"b": net}}
    return {
        "default": lambda images, model=net: model(images),
        "keyword": by_name,
        "dict": lambda images: nets["a"]["b"](images),
        "global dict": lambda images: KEPT["nested"]["net"][0](images),
        "class": lambda images: Kept.net(images),
        "slots": Slotted(net),
        "cache": lambda images: remembered()(images),
        "method": Asking().ask,
        "script": torch.jit.script(net),
    }


HOLDERS = list(ways_to_hold(nn.Identity()))


@pytest.mark.parametrize("way", HOLDERS)
def test_train_mode_is_seen_wherever_the_model_is_held(way):
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(12, 3))
    x = torch.rand(2, 3, 2, 2)
    with pytest.raises(ValueError, match="train mode"):
        attacks.fgsm(ways_to_hold(net.train())[way], x, 0, eps=0.1)
    assert attacks.fgsm(ways_to_hold(net.eval())[way], x, 0, eps=0.1).shape == x.shape


@pytest.mark.parametrize("flag", ["False", "no", None, [], 1, torch.tensor(False)])
def test_flags_are_true_or_false(flag):
    for call in (
        *(
            functools.partial(attack, NET, X, 0, eps=0.1)
            for attack in (attacks.fgsm, attacks.pgd, attacks.momentum, attacks.square, attacks.nes)
        ),
        *(functools.partial(attack, NET, X, 0) for attack in (attacks.cw, attacks.one_pixel)),
    ):
        with pytest.raises(ValueError, match="targeted is .*; True or False is wanted"):
            call(targeted=flag)
    for name in ("random_start", "early_stop"):
        with pytest.raises(ValueError, match=f"{name} is .*; True or False is wanted"):
            attacks.pgd(NET, X, 0, eps=0.1, **{name: flag})


def test_an_eps_is_no_array_of_one_number():
    for attack in (attacks.fgsm, attacks.pgd, attacks.momentum, attacks.square, attacks.universal):
        with pytest.raises(ValueError, match=r"eps is .*array\(0.1\); .*float\(eps\)"):
            attack(NET, X, 0, eps=np.array(0.1))
        with pytest.raises(ValueError, match="eps is 1000000.*a number is wanted"):
            attack(NET, X, 0, eps=10**30)


def test_logits_of_no_number_are_no_answer():
    def silent(images):
        return torch.full((len(images), 3), torch.nan)

    for call in (
        lambda: models.accuracy(silent, X, 0),
        lambda: defences.withstood(silent, [X], 0),
        lambda: attacks.hop_skip_jump(silent, X, 0, queries=5),
    ):
        with pytest.raises(ValueError, match="not finite"):
            call()


BYTES = (255 * X).byte()
ARRAY = X.numpy()
STICKER = torch.rand(1, 3, 4, 4)
NAN = float("nan")


def laid(*, images=X, sticker=STICKER, **settings):
    return attacks.paste(images, sticker, generator=torch.Generator(), **settings)


REFUSED = {
    "paste double": (lambda: laid(images=X.double()), "of torch.float64 is wanted"),
    "paste double sticker": (lambda: laid(sticker=STICKER.double()), "of torch.float32 is wanted"),
    "paste channels": (lambda: laid(sticker=STICKER[:, :1]), r"A sticker \(1, 3, S, S\)"),
    "paste empty": (lambda: laid(sticker=STICKER[..., :0]), "A sticker"),
    "paste array": (lambda: laid(images=ARRAY), "torch tensor"),
    "paste sizes": (lambda: laid(sizes=0.3), "sizes is 0.3"),
    "paste size": (lambda: laid(sizes=(0, 0.3)), "smallest is 0"),
    "paste turn": (lambda: laid(turn=NAN), "turn is nan"),
    "norms": (lambda: attacks.norms(X, p=NAN), "p is nan"),
    "overshoot": (lambda: attacks.deepfool(NET, X, 0, overshoot=-1.0), "overshoot is -1.0"),
    "averaged": (lambda: defences.averaged(NET, draws=2)(ARRAY), "torch tensor"),
    "with_noise": (lambda: defences.with_noise(NET, sigma=0.1)(ARRAY), "torch tensor"),
    "log_probabilities": (lambda: models.log_probabilities(NET, ARRAY), "torch tensor"),
    "dithered": (lambda: defences.dithered(BYTES), "floats in"),
    "dithered 255": (lambda: defences.dithered(255 * X), "Use images / 255"),
    "clouded": (lambda: defences.clouded(BYTES), "floats in"),
    "quantised": (lambda: defences.quantised(BYTES), "floats in"),
    "shifted": (
        lambda: defences.shifted(X[:, :1], max_shift=1.0, generator=torch.Generator()),
        "max_shift is 1.0",
    ),
    "suspicious": (lambda: defences.suspicious({}), "borrowed, .* are missing"),
    "enlarged bytes": (lambda: dreams.enlarged(BYTES[:1], by=0.1), "floats in"),
    "enlarged one": (lambda: dreams.enlarged(X[0], by=0.1), "unsqueeze"),
    "enlarged nan": (lambda: dreams.enlarged(X[:1], by=NAN), "by is nan"),
    "shaken": (lambda: dreams.shaken(BYTES, generator=torch.Generator()), "floats in"),
    "low_rank": (lambda: features.low_rank(torch.full((3, 3), NAN), k=1), "not finite"),
    "energy": (lambda: features.energy(torch.rand(3, 3).half()), r"use weights.float\(\)"),
    "dead": (lambda: features.dead(ARRAY), "Activations"),
    "bulk_edges 4-D": (lambda: features.bulk_edges(X), "A matrix"),
    "bulk_edges none": (lambda: features.bulk_edges(torch.rand(0, 3)), "A matrix"),
    "bulk_edges nan": (lambda: features.bulk_edges(torch.full((3, 3), NAN)), "not finite"),
    "span": (lambda: features.span(torch.ones(3, 3) / 9, share=NAN), "share is nan"),
    "top_places": (lambda: features.top_places(X, "1"), "no unit '1'"),
    "crop": (lambda: features.crop(X[:1], 1, 1, side=1.0), "side is 1.0"),
    "toeplitz": (lambda: features.toeplitz(torch.rand(2, 2), 3.0, 3), "height is 3.0"),
    "as_saved": (lambda: data.as_saved(ARRAY), "floats in"),
    "convnet": (lambda: models.convnet("10"), "classes is '10'"),
    "no classes": (lambda: models.convnet(0), "classes is 0"),
    "linear_classifier": (lambda: models.linear_classifier(True), "classes is True"),
    "maxout": (lambda: models.maxout(units=3.0), "units is 3.0"),
    "sides": (
        lambda: style.coarse_to_fine(NET, X[:1], X[:1], sides=32),
        "sides wants one or more",
    ),
    "callback": (lambda: style.descend(X, torch.sum, callback=3), "callback is 3"),
    "layers": (lambda: style.responses(NET, X, None), "layers is None"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_in_words(case):
    call, says = REFUSED[case]
    with pytest.raises(ValueError, match=says):
        call()


def test_a_closed_file_and_no_path():
    file = io.BytesIO(b"photo")
    file.close()
    with pytest.raises(ValueError, match="The file is closed"):
        data.photo(file)
    with pytest.raises(FileNotFoundError, match="The path is empty"):
        data.photo("")


def test_half_an_images_bits_are_scaled():
    half = X[:1].half()
    scaled = data.scaled(half, side=8)
    assert scaled.dtype == torch.half
    assert torch.equal(scaled, data.scaled(half.float(), side=8).half())


def test_weights_that_no_gradient_leads_through():
    with torch.inference_mode():
        net = nn.Sequential(nn.Flatten(), nn.Linear(X[0].numel(), 3))
    with pytest.raises(ValueError, match=r"torch.inference_mode.*copy.deepcopy\(model\)"):
        attacks.fgsm(net, X, 0, eps=0.1)
    assert attacks.fgsm(copy.deepcopy(net), X, 0, eps=0.1).shape == X.shape
