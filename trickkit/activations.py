"""What the layers of a network put out: their names, and how to read them."""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn

from trickkit.common import unknown


def layers(model: nn.Module) -> list[str]:
    """The dotted names of a model's layers, in their order."""
    return [name for name, _ in model.named_modules() if name]


def submodule(model: nn.Module, name: str) -> nn.Module:
    """A model's layer by its dotted name; "" is the model itself.

    Raises ValueError for an unknown name, with the nearest that exist.
    """
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
    """What the named layers put out while the model looks at images: a tensor a name.

    The model is left as it was. With autograd on, the outputs are part of its graph. Of the forward
    pass, nothing after the last of them is computed; a layer that works more than once is read the
    first time.

    names: dotted, as `layers` lists them; "" is the model itself.
    Raises ValueError for an unknown name, with the nearest that exist, and for a layer that took no
        part.
    """
    modules = {name: submodule(model, name) for name in names}
    seen: dict[nn.Module, torch.Tensor] = {}
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
    raise ValueError(
        f"The layer {missing!r} took no part in the forward pass, so there is nothing to read."
    )
