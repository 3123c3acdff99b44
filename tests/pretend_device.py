"""A GPU that is none: tensors that lie in the processor's memory and claim to be on "cuda".

Inside `pretend_cuda`, what the course makes on `contract.device()` is such a tensor. It computes as
ever, and is refused where CUDA would refuse it: beside a tensor of the processor, by NumPy, by a
generator of the processor. So a function that mixes devices fails on a machine without a GPU too.

How fast or how exact a GPU is, it cannot tell.
"""

import contextlib
import copy
import functools
import sys
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from trickkit import contract

CUDA = torch.device("cuda:0")
META = torch.device("meta")  # what PyTorch itself takes it for: CUDA would want a driver
aten = torch.ops.aten
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
MOVING = {aten.copy_, aten._to_copy}
TAKING_SCALARS = {aten.allclose, aten.fill, aten.fill_, aten.masked_fill, aten.masked_fill_}
FROM_DATA = {torch.tensor, torch.as_tensor, torch.asarray}


class PretendTensor(torch.Tensor):
    """A tensor of the processor, `held`, that claims to be on the GPU."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=META,
        )

    def __init__(self, held):
        self.held = held

    def _set_data(self, fresh):
        torch.Tensor.data.__set__(self, fresh)
        self.held = fresh.held

    data = property(torch.Tensor.data.__get__, _set_data)
    device = property(lambda self: CUDA)
    is_cuda = True
    is_cpu = is_meta = False
    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return computed(func, types, args, kwargs or {})

    def numpy(self, **_):
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor"
            " to host memory first."
        )

    def tolist(self):
        return self.held.tolist()

    def __format__(self, spec):
        return format(self.item() if self.dim() == 0 else repr(self), spec)

    def __repr__(self):
        return f"{repr(self.held)[:-1]}, device='{CUDA}')"

    def __deepcopy__(self, memo):
        fresh = self.detach().clone().requires_grad_(self.requires_grad)
        fresh.__dict__.update(
            {k: copy.deepcopy(v, memo) for k, v in self.__dict__.items() if k != "held"}
        )
        return memo.setdefault(id(self), fresh)


def computed(func, types, args, kwargs):
    """What an operation of PyTorch gives: refused as by CUDA, else worked out on the processor."""
    assert not any(isinstance(t, torch.Tensor) and t.is_meta for t in args), f"{func}: data is lost"
    asked = kwargs.get("device")
    pretended = PretendTensor in types
    there = asked.type == "meta" if asked is not None else pretended
    if not (pretended or there):
        return func(*args, **kwargs)
    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    if pretended:
        refuse_mixture(func, args, tensors)
    if there and getattr(kwargs.get("generator"), "device", META).type == "cpu":
        raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
    wrappers = {id(t.held): t for t in tensors if isinstance(t, PretendTensor)}
    if there and asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    held = tree_map(lambda t: t.held if isinstance(t, PretendTensor) else t, (args, kwargs))
    out = func(*held[0], **held[1])
    if torch.Tag.inplace_view in func.tags:  # the wrapper takes on the new shape too
        with no_dispatch():
            func(*args, **kwargs)
    if not there:
        return out

    def wrapped(leaf):
        if not isinstance(leaf, torch.Tensor):
            return leaf
        known = wrappers.get(id(leaf))  # what an operation in place gives back
        return PretendTensor(leaf) if known is None else known

    return tree_map(wrapped, out)


def refuse_mixture(func, args, tensors):
    """Raise RuntimeError where CUDA would, for tensors of which one or more are on the GPU."""
    packet = func.overloadpacket
    stays = func._schema.is_mutable and not isinstance(tensors[0], PretendTensor)
    if packet in MOVING:
        return
    if packet in INDEXING:
        if not isinstance(args[0], PretendTensor):
            raise RuntimeError(
                "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
            )
        tensors = [t for t in args[2:3] if isinstance(t, torch.Tensor)]
    scalars = torch.Tag.pointwise in func.tags or packet in TAKING_SCALARS
    strangers = [
        t for t in tensors if not isinstance(t, PretendTensor) and not (scalars and t.dim() == 0)
    ]
    if strangers or stays:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, cuda:0"
            f" and cpu! ({func})"
        )


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return computed(func, types, args, kwargs or {})


class _Calls(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in FROM_DATA:
            data, *rest = args
            if isinstance(data, list | tuple):  # PyTorch reads these below where we can step in
                data = tree_map(lambda t: t.tolist() if isinstance(t, PretendTensor) else t, data)
            device = kwargs.pop("device", None)
            found = func(data, *rest, **kwargs)
            return found if device is None else found.to(META if is_cuda(device) else device)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            image, places, *rest = args
            places = places if isinstance(places, tuple) else (places,)
            listed = [torch.tensor([*p]) if isinstance(p, list | range) else p for p in places]
            args = (image, tuple(listed), *rest)
        if func is not torch.device:
            args = [META if is_cuda(value) else value for value in args]
            kwargs = {k: META if is_cuda(value) else value for k, value in kwargs.items()}
        return func(*args, **kwargs)


def is_cuda(argument):
    return isinstance(argument, torch.device | str) and str(argument).partition(":")[0] == "cuda"


@contextlib.contextmanager
def pretend_cuda():
    """Inside the `with`, the course's pictures and networks are made on a pretended GPU."""
    chosen = contract.device

    @functools.wraps(chosen)
    def device():
        return CUDA

    with contextlib.ExitStack() as stack:
        for module in [m for n, m in sys.modules.items() if n.startswith("trickkit")]:
            if getattr(module, "device", None) is chosen:
                stack.enter_context(mock.patch.object(module, "device", device))
        stack.enter_context(_Operations())
        stack.enter_context(_Calls())
        yield


def pytest_configure(config):
    """With `-p pretend_device`, every test runs on the pretended GPU."""
    pretence = contextlib.ExitStack()
    pretence.enter_context(pretend_cuda())
    config.add_cleanup(pretence.close)
