"""What the layers of a network put out: their names, and how to read them."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import nn

from trickkit.common import unknown
from trickkit.contract import (
    PIXELS_AT_ONCE,
    asked,
    described,
    is_tokens,
    validate_batch,
    validate_eval,
)


def validate_module(model: object) -> None:
    """Raise ValueError unless the model is a torch module, whose layers can be found."""
    if not isinstance(model, nn.Module):
        raise ValueError(
            "This method looks inside the model, so a torch.nn.Module is wanted; a"
            f" {type(model).__name__} came."
        )


def layers(model: nn.Module) -> list[str]:
    """The dotted names of a model's layers, in their order.

    Raises ValueError for what has no layers.
    """
    validate_module(model)
    return [name for name, _ in model.named_modules() if name]


def submodule(model: nn.Module, name: str) -> nn.Module:
    """A model's layer by its dotted name; "" is the model itself.

    Raises ValueError for an unknown name, with the nearest that exist, and for what has no layers.
    """
    validate_module(model)
    if not isinstance(name, str):
        raise ValueError(f"A layer's name is wanted, a str; {name!r} came.")
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError(
            "TorchScript hides a network's layers. Hand over the network that torch.jit compiled."
        )
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise unknown("layer", name, layers(model)) from None


@contextlib.contextmanager
def hooked(model: nn.Module, modules: Iterable[nn.Module], hook: Callable) -> Iterator[None]:
    """PyTorch's forward hooks inside the `with` only, errors or not.

    Layers that work in place put their result elsewhere meanwhile, so that a hook can tell before
    from after.

    modules: layers of the model.
    hook: (module, inputs, output) -> a new output or None.
    """
    inplace = [m for m in model.modules() if getattr(m, "inplace", False)]
    handles = [m.register_forward_hook(hook) for m in modules]
    try:
        for module in inplace:
            module.inplace = False  # type: ignore[assignment]  # torch's stub knows no such flag
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in inplace:
            module.inplace = True  # type: ignore[assignment]


class _AllRead(Exception):
    """Every layer asked for has been read; the rest of the forward pass would be wasted."""


def read(model: nn.Module, images: torch.Tensor, *names: str) -> list[torch.Tensor]:
    """What the named layers put out while the model looks at images, or reads sentences: a tensor a
    name.

    The model is left as it was. With autograd on, the outputs are part of its graph; with autograd
    off, it looks at a few images at a time, which wants less memory. Of the forward pass, nothing
    after the last of them is computed; a layer that works more than once is read the first time.
    Maps come as (N, channels, h, w), also from a layer that puts its channels last
    (`channels_second`).

    images: (N, C, H, W); for a `models.minilm`, tokens (N, T).
    names: dotted, as `layers` lists them; "" is the model itself.
    Raises ValueError for an unknown name, with the nearest that exist, for a layer that took no
        part, for one that puts out anything but one tensor, and for a model in train mode.
    """
    if not is_tokens(images):
        validate_batch(images)
    validate_eval(model)
    modules = {name: submodule(model, name) for name in names}
    if not modules:
        return []
    if torch.is_grad_enabled() or is_tokens(images):
        return _read(model, images, names, modules)
    first, *others = images.split(max(2 * PIXELS_AT_ONCE // images[0, 0].numel(), 2))
    told = [_read(model, first, names, modules)]
    if not others:
        return told[0]
    if any(out.dim() == 0 or len(out) != len(first) for out in told[0]):
        return _read(model, images, names, modules)  # a layer that does not put out a row an image
    told += [_read(model, some, names, modules) for some in others]
    return [torch.cat(parts) for parts in zip(*told, strict=True)]


def _read(
    model: nn.Module,
    images: torch.Tensor,
    names: Sequence[str],
    modules: Mapping[str, nn.Module],
) -> list[torch.Tensor]:
    """What `read` returns, of all images at once."""
    seen: dict[nn.Module, torch.Tensor] = {}
    wanted = set(modules.values())

    def keep(module, _, out):
        if not isinstance(out, torch.Tensor):
            name = next(name for name in names if modules[name] is module)
            raise ValueError(
                f"{f'The layer {name!r}' if name else 'The model'} puts out {described(out)}; one"
                " tensor is wanted. "
                + (
                    "Name a layer inside it, or after it."
                    if name
                    else "Wrap it in a module that returns one of them."
                )
            )
        moved = channels_second(out, images)
        seen.setdefault(module, moved)
        if len(seen) == len(wanted):
            raise _AllRead
        # a copy, for what follows may work in place and is to leave what was read alone; of what
        # was read, so that a gradient comes back to it
        return (out if moved is out else moved.permute(0, 2, 3, 1)).clone()

    try:
        with hooked(model, wanted, keep):
            asked(model, images)
    except _AllRead:
        return [seen[modules[name]] for name in names]
    missing = next(name for name in names if modules[name] not in seen)
    raise ValueError(
        f"The layer {missing!r} took no part in the forward pass, so there is nothing to read."
    )


def channels_second(out: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """A layer's output as (N, channels, h, w), where it is maps and held (N, h, w, channels).

    That is seen by the proportions, which maps share with their images. Where both orders of axes
    have them, the channels are taken to be second already, as everywhere in torch.

    out: what a layer put out, of any shape.
    images: what it looked at, (N, C, H, W), or the tokens that it read.
    """
    if out.dim() != 4 or images.dim() != 4:
        return out
    height, width = images.shape[2:]
    # for images that are not square, up to a pixel that was lost in halving
    slack = 0 if height == width else max(height, width)
    second, last = (abs(h * width - w * height) for h, w in (out.shape[2:], out.shape[1:3]))
    return out.permute(0, 3, 1, 2) if last <= slack < second else out


def validate_maps_of(layer: str, out: torch.Tensor) -> None:
    """Raise ValueError unless what a layer puts out is maps, (N, channels, h, w)."""
    if out.dim() != 4:
        raise ValueError(
            f"This wants a layer of maps, (N, channels, h, w); {layer!r} puts out"
            f" {tuple(out.shape)}."
        )


def read_maps(model: nn.Module, images: torch.Tensor, name: str) -> torch.Tensor:
    """What a layer of maps puts out, as `read`: (N, channels, h, w).

    Raises ValueError for a layer that puts out anything else, and for what `read` refuses.
    """
    [out] = read(model, images, name)
    validate_maps_of(name, out)
    return out
