"""What all of the course agrees on: models, images, labels, and how to ask for a gradient.

A model is any callable from pixels in [0, 1], (N, C, H, W), to logits (N, K). ε is a change of
pixels on that scale: 1/255 is one grey level. Labels are an int64 tensor (N,), or one number for
all. What does not fit is refused with a ValueError that says what came, what is wanted, and what to
do.
"""

import contextlib
import functools
import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from trickkit.common import (
    unknown,
    validate_count,
    validate_flag,
    validate_number,
    whole_number,
)

Model = Callable[[torch.Tensor], torch.Tensor]
Network = TypeVar("Network", bound=nn.Module)  # one that comes back is of the kind that was given
Numbers = Sequence[float] | np.ndarray | torch.Tensor  # (n,), whatever holds them

PIXELS_AT_ONCE = 4 * 224 * 224  # of images whose gradients are asked for at a time

# Decorates what asks for gradients: they come also where the caller has switched them off, by
# torch.no_grad() or torch.inference_mode().
with_gradients = torch.inference_mode(False)


def asked(model: Callable, images: torch.Tensor) -> Any:
    """What a model says to images. It is handed a copy, since it may work in place.

    Raises ValueError where the images' type or size does not fit the model, for weights that no
        gradient leads through, and for a function that uses a module in train mode (a module
        itself may be in it: its owner is training). An error of the model's own goes through.
    """
    if not isinstance(images, torch.Tensor):
        validate_batch(images)
    used: list[nn.Module] = []

    def look(part: nn.Module, _: object) -> None:
        used.append(part)
        refuse_training([part])

    whole = module_of(model)
    with contextlib.ExitStack() as stack:
        if whole is None:  # what a function holds is seen as soon as it is used
            stack.callback(nn.modules.module.register_module_forward_pre_hook(look).remove)
        try:
            return model(images.clone())
        except (RuntimeError, AssertionError) as error:
            said = cannot_read(error, images, used if whole is None else whole.modules())
            if said is None:
                raise
            raise ValueError(said) from error


def cannot_read(error: Exception, images: torch.Tensor, parts: Iterable[nn.Module]) -> str | None:
    """What is wrong with images that a model could not read, or None for an error of its own.

    parts: the modules that the model is made of.
    """
    weights = (p.dtype for m in parts for p in m.parameters(recurse=False))
    wanted = next((dtype for dtype in weights if dtype.is_floating_point), images.dtype)
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    by_torch = frame.f_globals["__name__"].partition(".")[0] in ("torch", "torchvision", "timm")
    out_of_memory = isinstance(error, torch.OutOfMemoryError)
    if out_of_memory or not by_torch and wanted == images.dtype:
        return None
    if "Inference tensors" in str(error):
        return (
            "The model's weights were made in torch.inference_mode(), so no gradient leads"
            " through them. Use copy.deepcopy(model) outside of it."
        )
    said = f"The model cannot read these images, {described(images)}: {error}."
    if wanted != images.dtype:
        change = "float()" if wanted == torch.float32 else f"to({wanted})"
        said += f" Its weights are {wanted}: use images.{change}."
    return said


def gradient_of(
    value: torch.Tensor,
    images: torch.Tensor,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> torch.Tensor:
    """The gradient of a number with respect to images, (N, C, H, W).

    retain_graph, create_graph: as in torch.autograd.grad.
    Raises ValueError where none comes back from the model, or one that is not finite.
    """
    gradient = None
    if value.requires_grad:
        [gradient] = torch.autograd.grad(
            value,
            images,
            retain_graph=retain_graph,
            create_graph=create_graph,
            allow_unused=True,
        )
    if gradient is None:
        raise ValueError(
            "No gradient comes back from the model to the pixels: it leaves torch, detaches them,"
            " or does not look at them. An attack that only asks needs none: attacks.square."
        )
    if not gradient.isfinite().all():
        raise ValueError("The model's gradient holds numbers that are not finite.")
    return gradient


def score_gradient(model: Model, images: torch.Tensor, labels: int | torch.Tensor) -> torch.Tensor:
    """The gradient of each image's score for its label with respect to its pixels.

    Pixels may lie a little outside [0, 1].

    Returns (N, C, H, W), score per unit of pixel.
    Raises ValueError for images, labels or a model that do not fit.
    """
    return score_and_gradient(model, images, labels)[1]


def in_parts(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The places of images (N, C, H, W), of so many at a time as gradients are best asked for.

    Asked part by part they want less memory, and no more time.
    """
    places = torch.arange(len(images), device=images.device)
    return places.split(max(PIXELS_AT_ONCE // images[0, 0].numel(), 1))


@with_gradients
def score_and_gradient(
    model: Model, images: torch.Tensor, labels: int | torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each image's score for its label, (N,), and its gradient, as `score_gradient` gives it.

    Raises ValueError for images, labels or a model that do not fit.
    """
    validate_batch(images)
    validate_eval(model)
    return _value_and_gradient(model, images, labels, value=of_labels)


@with_gradients
def loss_gradient(model: Model, images: torch.Tensor, labels: int | torch.Tensor) -> torch.Tensor:
    """The gradient of each image's cross-entropy J(x, y) with respect to its pixels.

    Returns (N, C, H, W).
    """
    loss = functools.partial(F.cross_entropy, reduction="none")
    return _value_and_gradient(model, images, labels, value=loss)[1]


def _value_and_gradient(
    model: Model, images: torch.Tensor, labels: int | torch.Tensor, *, value: Callable
) -> tuple[torch.Tensor, torch.Tensor]:
    """A number of each image, value(logits, labels) -> (N,), and its gradient, part by part."""
    labels = expanded_labels(labels, images)
    values, gradients = [], []
    for rows in in_parts(images):
        x = images[rows].detach().clone().requires_grad_(True)
        logits = logits_of(model, x)
        found = value(logits, validated_labels(labels[rows], x, logits.shape[1]))
        values.append(found.detach())
        gradients.append(gradient_of(found.sum(), x))
    return torch.cat(values), torch.cat(gradients)


def of_labels(values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Each image's number for its label: values (N, K), such as logits, and labels (N,) -> (N,)."""
    return values.gather(1, labels[:, None])[:, 0]


def margin(logits: torch.Tensor, labels: torch.Tensor, *, targeted: bool = False) -> torch.Tensor:
    """By how much logits still keep an attack from its goal: below 0 once it is reached.

    The label's logit over the best other's; with targeted, the best other's over the target's.

    logits: (N, K).
    labels: what to leave, (N,).
    targeted: labels are what to reach.
    Returns (N,).
    """
    own = of_labels(logits, labels)
    other = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return other - own if targeted else own - other


def logits_of(model: Model, images: torch.Tensor) -> torch.Tensor:
    """The model's logits (N, K), of two classes or more.

    Raises ValueError for a model that returns anything else.
    """
    logits = asked(model, images)
    validate_logits(logits, count=len(images))
    return logits


def validate_logits(logits: object, *, count: int | None = None) -> None:
    """Raise ValueError unless what a model said are logits (N, K), and K at least 2.

    count: N, where it is known.
    """
    if not is_logits(logits, count=count):
        raise ValueError(
            f"The model should return logits ({count or 'N'}, K), a score a class; it returned "
            f"{described(logits)}."
        )
    if logits.shape[1] < 2:
        raise ValueError(
            "The model has one score an image, and two or more classes are wanted. Of one score z,"
            " torch.cat([-z, z], 1) makes two: no and yes."
        )
    if logits.isnan().any():
        raise ValueError("The model's logits hold numbers that are not finite.")


def is_logits(said: object, *, count: int | None = None) -> TypeGuard[torch.Tensor]:
    """Whether what a model said can be logits: floats (N, K), and N as given, if it is."""
    return (
        isinstance(said, torch.Tensor)
        and said.is_floating_point()
        and said.dim() == 2
        and len(said) == (len(said) if count is None else count)
    )


def predictions(
    model: Model, images: torch.Tensor, *, labels: int | torch.Tensor | None = None
) -> torch.Tensor:
    """The model's labels (N,), whether it returns those or logits (N, K).

    labels: what they will be compared with; where there are logits, each must be a class.
    Raises ValueError for a model that returns neither, and for labels that do not fit.
    """
    said = asked(model, images)
    if (
        isinstance(said, torch.Tensor)
        and said.shape == (len(images),)
        and not said.is_floating_point()
    ):
        return said
    if is_logits(said, count=len(images)) and said.shape[1] > 1:
        validate_logits(said)
        if labels is not None:
            validated_labels(labels, images, said.shape[1])
        return said.argmax(1)
    raise ValueError(
        f"The model should return a label an image, whole numbers ({len(images)},), or logits"
        f" ({len(images)}, K) of two classes or more; it returned {described(said)}."
    )


def described(thing: object) -> str:
    """A thing in a few words, for an error."""
    if isinstance(thing, torch.Tensor):
        return f"a {thing.dtype} tensor of shape {tuple(thing.shape)}"
    if isinstance(thing, Mapping):
        return f"a {type(thing).__name__} with {', '.join(map(repr, thing))}"[:80]
    if isinstance(thing, tuple | list):
        return f"a {type(thing).__name__} of {len(thing)}"
    return repr(thing)[:60]


def per_image(eps: float | torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """ε as (N, 1, 1, 1), from one number or one an image (N,)."""
    return (
        torch.as_tensor(eps, dtype=images.dtype, device=images.device)
        .expand(len(images))
        .view(-1, 1, 1, 1)
    )


def validated_start(
    model: Model, images: torch.Tensor, labels: int | torch.Tensor, *, targeted: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The labels (N,) and the model's logits (N, K), once all fit.

    Raises ValueError for images, labels or a model that do not fit, and for a target that the model
        sees already.
    """
    validate_images(images)
    validate_eval(model)
    validate_flag(targeted=targeted)
    with torch.no_grad():
        logits = logits_of(model, images)
    labels = validated_labels(labels, images, logits.shape[1])
    there = (logits.argmax(1) == labels).nonzero()[:, 0].tolist() if targeted else []
    if there:
        raise ValueError(
            f"The model already reads image {', '.join(map(str, there[:5]))} as its target, so"
            " nothing is to do. Leave such images out: images[model(images).argmax(1) != target]."
        )
    return labels, logits


def validate_attack(
    model: Model,
    images: torch.Tensor,
    *,
    eps: float | torch.Tensor,
    steps: int = 1,
    norm: str = "linf",
    one_an_image: bool = False,
) -> None:
    """Raise ValueError unless images, model, ε, steps and norm are such as an attack can use.

    one_an_image: whether ε may differ from image to image, (N,).
    """
    validate_images(images)
    validate_eval(model)
    validate_eps(eps, images, norm=norm, one_an_image=one_an_image)
    validate_count(steps=steps)


def validate_eps(
    eps: float | torch.Tensor,
    images: torch.Tensor,
    *,
    norm: str = "linf",
    one_an_image: bool = False,
) -> None:
    """Raise ValueError unless ε is a distance in the norm.

    one_an_image: whether it may differ from image to image, (N,).
    """
    if isinstance(eps, np.ndarray) and not eps.shape:  # it would make arrays of the images
        validate_number(eps=eps)
    try:
        size = torch.as_tensor(eps)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        size = torch.tensor(False)
    if size.dtype == torch.bool or size.is_complex():
        raise ValueError(
            f"eps is {eps!r}; a number is wanted, in pixels from 0 to 1: 8 / 255 for eight grey"
            " levels."
        )
    if size.dim() and not one_an_image:  # it would be taken for one a column
        raise ValueError(
            f"eps is one number here; its shape is {tuple(size.shape)}. attacks.pgd and"
            " attacks.apgd take one an image."
        )
    if size.dim() and size.shape != (len(images),):
        raise ValueError(
            f"eps is one number, or one an image ({len(images)},); its shape is"
            f" {tuple(size.shape)}."
        )
    if not ((size >= 0) & size.isfinite()).all():
        raise ValueError(f"eps is {eps}; a distance is 0 or more, and finite.")
    validate_norm(norm)
    if norm == "linf" and size.max() > 1:
        raise ValueError(
            f"eps is {eps}; pixels go from 0 to 1, so {size.max():g} grey levels are"
            f" {size.max():g}/255."
        )


def validate_batch(images: torch.Tensor, *, channels: int | None = None) -> None:
    """Raise ValueError unless images are a float batch (N, C, H, W) that can be pixels.

    Neither 0 to 255 nor (N, H, W, C) will do. Values a little outside [0, 1] pass, for a lesson may
    ask what a network says to them; attacks want `validate_images`.

    channels: how many are wanted; None for any number.
    """
    if not isinstance(images, torch.Tensor):
        raise ValueError(
            f"Images are wanted as a torch tensor (N, C, H, W); a {type(images).__name__} came. "
            "data.photo makes one from a file."
        )
    if images.dim() == 4 and images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        raise ValueError(
            f"Images came as (N, H, W, C), shape {tuple(images.shape)}. Channels go second: "
            "use images.permute(0, 3, 1, 2)."
        )
    if images.dim() != 4:
        raise ValueError(
            f"Images are wanted as (N, C, H, W); the shape is {tuple(images.shape)}."
            + (" For a single image use image.unsqueeze(0)." if images.dim() == 3 else "")
        )
    if channels and images.shape[1] != channels:
        raise ValueError(
            f"This network wants {channels} channels; the images have {images.shape[1]}, "
            f"shape {tuple(images.shape)}."
        )
    if not images.is_floating_point():
        raise ValueError(
            f"Pixels are wanted as floats in [0, 1]; these are {images.dtype}. Use images.float() /"
            " 255."
        )
    if images.numel() == 0:
        raise ValueError(
            "The batch is empty: there are no images in it, or no pixels; the shape is"
            f" {tuple(images.shape)}."
        )
    largest = images.detach().abs().max()
    if not largest.isfinite():
        raise ValueError("Pixels are wanted in [0, 1]; some of these are not finite numbers.")
    if largest > 32:
        raise ValueError(
            f"Pixels are wanted in [0, 1]; the largest here is {largest:.0f}. Use images / 255."
        )


def is_tokens(inputs: object) -> TypeGuard[torch.Tensor]:
    """Whether these can be sentences instead of images: the numbers of tokens, (N, T) int64."""
    return isinstance(inputs, torch.Tensor) and inputs.dtype == torch.int64 and inputs.dim() == 2


def validate_images(images: torch.Tensor) -> None:
    """Raise ValueError unless images are a float batch (N, C, H, W) with every pixel in [0, 1]."""
    validate_batch(images)
    low, high = images.detach().aminmax()
    if not (low >= 0 and high <= 1):  # written so that a pixel that is not a number fails too
        raise ValueError(
            f"Pixels are wanted in [0, 1]; these go from {low:.3g} to {high:.3g}. "
            "Clamp them, and leave normalisation to the network's first layer."
        )


def validate_picture(image: torch.Tensor, *, what: str = "photo") -> None:
    """Raise ValueError unless an image is one picture in colour, (1, 3, H, W) in [0, 1].

    image: what is looked at.
    what: the word for it.
    """
    validate_images(image)
    if image.shape[:2] != (1, 3):
        raise ValueError(
            f"One {what} in colour is wanted, (1, 3, H, W); the shape is {tuple(image.shape)}."
        )


def validate_eval(model: object) -> None:
    """Raise ValueError for what is no model, or is in train mode where that makes a difference.

    It does where a layer of the model looks at its mode. What another callable holds is seen once
    it is `asked`.
    """
    if not callable(model):
        raise ValueError(
            f"A model is wanted, a function from images to logits; {described(model)} came."
        )
    whole = module_of(model)
    if whole is not None:
        refuse_training(whole.modules())


def module_of(model: object) -> nn.Module | None:
    """The module that a model is, or whose method it is; None for any other function."""
    module = getattr(model, "__self__", model)
    return module if isinstance(module, nn.Module) else None


def refuse_training(parts: Iterable[nn.Module]) -> None:
    """Raise ValueError if one of these modules is in train mode and answers otherwise there."""
    if any(part.training and minds_training(part) for part in parts):
        raise ValueError(
            "The model is in train mode: dropout and batch norm would answer differently every"
            " time. Call model.eval() first."
        )


def minds_training(module: nn.Module) -> bool:
    """Whether a module answers otherwise in training: its code looks at its mode.

    Not so dropout that drops nothing, and a norm that keeps no statistics.
    """
    if isinstance(module, torch.jit.ScriptModule):
        looks = "self.training" in getattr(module, "code", "")
    else:
        looks = _looks_at_mode(type(module))  # type: ignore[arg-type]  # classes do have a hash
    return looks and all(
        getattr(module, switch, True) for switch in ("p", "dropout", "track_running_stats")
    )


@functools.cache
def _looks_at_mode(kind: type) -> bool:
    return any(
        "training" in method.__code__.co_names
        for owner in kind.__mro__
        if issubclass(owner, nn.Module) and owner is not nn.Module
        for method in vars(owner).values()
        if inspect.isfunction(method)
    )


def validate_norm(norm: str) -> None:
    """Raise ValueError unless norm is "linf" or "l2".

    "linf" is the largest change of a pixel, "l2" the length of the whole change.
    """
    if norm not in ("linf", "l2"):
        raise unknown("norm", norm, ("linf", "l2"))


def labels_tensor(labels: object) -> torch.Tensor:
    """Labels as a tensor, from an array, a list, a column of a table or one number.

    Raises ValueError for what is none of these.
    """
    if isinstance(labels, torch.Tensor):
        return labels
    try:
        return torch.as_tensor(np.array(labels))  # a copy, for a table's column is read-only
    except (TypeError, ValueError):
        raise ValueError(
            f"Labels are wanted as class numbers; {labels!r} came. model.index(name) finds a"
            " class's number."
        ) from None


def expanded_labels(labels: int | torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Labels as an int64 tensor (N,) on the images' device.

    A single number is meant for every image.

    labels: one, or (N,), as a tensor, an array or a list.
    Raises ValueError if they are no whole numbers, or not as many as the images.
    """
    labels = labels_tensor(labels).to(images.device)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(
            f"Labels are wanted as whole numbers, a class each; these are {labels.dtype}."
        )
    if labels.dim() == 0:
        labels = labels.expand(len(images))
    if labels.shape != (len(images),):
        raise ValueError(
            f"One label an image is wanted, shape ({len(images)},); the labels' shape is"
            f" {tuple(labels.shape)}."
        )
    return labels.long().clone()  # autograd keeps it, and cannot one made in inference_mode


def validated_labels(
    labels: int | torch.Tensor, images: torch.Tensor, classes: int
) -> torch.Tensor:
    """The labels as `expanded_labels` gives them, once each is seen to be a class.

    classes: how many there are.
    Raises ValueError unless each is one of `classes`, from 0.
    """
    labels = expanded_labels(labels, images)
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"Labels are wanted from 0 to {classes - 1}, the model's classes; "
            f"these go from {labels.min()} to {labels.max()}."
        )
    return labels


def seeded(seed: int) -> torch.Generator:
    """A generator of random numbers, the same for the same seed.

    Raises ValueError for a seed that is no whole number.
    """
    whole = whole_number(seed)
    if whole is None or not -(2**63) <= whole < 2**64:
        raise ValueError(f"seed is {seed!r}; a whole number is wanted, of 64 bits at most.")
    return torch.Generator().manual_seed(whole)


@contextlib.contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Inside the `with`, torch's own dice are thrown anew from the seed; outside, they go on.

    Raises ValueError for a seed that is no whole number.
    """
    start = seeded(seed).initial_seed()
    with torch.random.fork_rng():
        torch.manual_seed(start)
        yield


def device() -> torch.device:
    """The GPU where there is one, else the processor.

    Pictures and networks of the course are made here.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    # numbers are compared: unasked, cuDNN would round what it convolves to ten bits (TF32), and
    # choose ways whose sums come out a little otherwise each time
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    return torch.device("cuda")
