"""Every public function that is handed a model, with models and images of every kind.

It answers, or says in a sentence of its own what is wrong; and what it was handed is as before.
Functions are found, not listed: a new one is tried as soon as it is there, and only an argument of
a new name wants a line in `SMALL`.
"""

import contextlib
import functools
import inspect
import traceback
from collections.abc import Callable

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import nn

from trickkit import activations, attacks, defences, dreams, features, lime, models, saliency

SIDES = st.sampled_from([1, 2, 5, 8])
PARTS = {  # of other functions, which have looked at what these are handed
    *("iterate_until_fooled", "loss_and_gradient", "hop_skip_jump_one", "probability_curve"),
    *(
        "mean_gradient",
        "hooked",
        "submodule",
        "load_weights",
        "classifier_of",
        "target_probability",
        "until_complete",
    ),
}


class InPlace(nn.Module):
    """Works on what it is given itself."""

    def forward(self, x):
        return x.sub_(0.5).div_(0.5)


class Last(nn.Module):
    """Puts its channels last, as Swin does."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1)


class Tokens(nn.Module):
    """Puts out tokens, as a ViT does."""

    def forward(self, x):
        return x.flatten(2).transpose(1, 2)


class Says(nn.Module):
    """Returns what a function makes of the logits."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Moody(nn.Module):
    """Answers otherwise in training, and is no layer that torch knows."""

    def forward(self, x):
        return x + torch.rand_like(x) if self.training else x


def network(shape, *, front=(), middle=(), back=(), classes=3):
    """A small network for images of a shape, in eval mode; its layers are called "0", "1", …"""
    _, channels, height, width = shape
    torch.manual_seed(0)
    layers = [
        *front,
        nn.Conv2d(channels, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        *middle,
        nn.Flatten(),
        nn.Linear(4 * height * width, classes),
        *back,
    ]
    return nn.Sequential(*layers).eval()


MODELS = {
    "plain": network,
    "in place": lambda shape: network(shape, front=[InPlace()]),
    "channels last": lambda shape: network(shape, middle=[Last()]),
    "tokens": lambda shape: network(shape, middle=[Tokens()]),
    "a tuple": lambda shape: network(shape, back=[Says(lambda z: (z, z))]),
    "a tuple within": lambda shape: network(
        shape, middle=[Says(lambda a: (a, 0)), Says(lambda pair: pair[0])]
    ),
    "a dict": lambda shape: network(shape, back=[Says(lambda z: {"logits": z})]),
    "one class": lambda shape: network(shape, classes=1),
    "two classes": lambda shape: network(shape, classes=2),
    "not a number": lambda shape: network(shape, back=[Says(lambda z: z * torch.nan)]),
    "whole numbers": lambda shape: network(shape, back=[Says(lambda z: z.long())]),
    "no gradient": lambda shape: network(shape, back=[Says(lambda z: z.detach())]),
    "a steep gradient": lambda shape: network(shape, back=[Says(lambda z: (0 * z).sqrt())]),
    "labels": lambda shape: network(shape, back=[Says(lambda z: z.argmax(1))]),
    "batch norm in training": lambda shape: network(shape, middle=[nn.BatchNorm2d(4)]).train(),
    "moody in training": lambda shape: network(shape, middle=[Moody()]).train(),
    "float64": lambda shape: network(shape).double(),
    "float16": lambda shape: network(shape).half(),
    "bfloat16": lambda shape: network(shape).bfloat16(),
    "frozen": lambda shape: network(shape).requires_grad_(False),
    "wrapped": lambda shape: nn.DataParallel(network(shape)),
    "named": lambda shape: models.Classifier(
        network(shape), mean=[0.5], std=[0.5], names=["ant", "bee", "cat"], size=8
    ).eval(),
    "another size": lambda shape: network((*shape[:2], 3, 3)),
}
HELD = {  # how a model may be handed over
    "itself": lambda model: model,
    "a lambda": lambda model: lambda images: model(images),
    "a partial": lambda model: functools.partial(nn.Module.__call__, model),
    "a method": lambda model: model.forward,
}
WHERE = {
    "as usual": contextlib.nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


@st.composite
def cases(draw):
    shape = (draw(st.integers(1, 3)), draw(st.sampled_from([1, 3])), draw(SIDES), draw(SIDES))
    torch.manual_seed(draw(st.integers(0, 5)))
    images = torch.rand(shape[0], shape[1], shape[3], shape[2]).transpose(2, 3)
    model = draw(st.sampled_from([*MODELS, *["plain", "in place", "named"] * 4]))
    alike = getattr(torch, model, torch.float32)  # such images as the model is made for
    images = images.to(draw(st.sampled_from([alike] * 4 + [torch.float64, torch.half])))
    label = draw(st.sampled_from([0, 0, 1, 2, 3, -1]))
    labels = draw(
        st.sampled_from(
            [label, np.int64(label), torch.tensor(label), torch.full(shape[:1], label), None]
        )
    )
    labels = [label] * shape[0] if labels is None else labels
    return {
        "model": model,
        "held": draw(st.sampled_from(["itself"] * 3 + [*HELD])),
        "where": draw(st.sampled_from(["as usual"] * 2 + [*WHERE])),
        "images": images.requires_grad_(draw(st.booleans())),
        "labels": labels,
        "layer": draw(st.sampled_from(["0", "1", "2", "3", ""])),
        "count": draw(st.sampled_from([1, 2, np.int64(2), torch.tensor(1)])),
        "eps": draw(st.sampled_from([0, 0.1, np.float32(0.1), 1, torch.tensor(0.1)])),
    }


SMALL = {  # an argument's name -> a small value of it, made of the case
    "images": lambda case: case["images"],
    "image": lambda case: case["images"][:1],
    "photo": lambda case: case["images"][:1],
    "labels": lambda case: case["labels"],
    "targets": lambda case: case["labels"],
    "target": lambda case: case["labels"],
    "eps": lambda case: case["eps"],
    "layer": lambda case: case["layer"],
    "layers": lambda case: [case["layer"]],
    "names": lambda case: case["layer"],
    "name": lambda case: case["layer"],
    "maps": lambda case: case["images"][:, 0].detach().float(),
    "wanted": lambda case: case["images"][:, 0].detach().float(),
    "segments": lambda case: torch.arange(case["images"][0, 0].numel()).view_as(
        case["images"][0, 0]
    ),
    "attempts": lambda case: [case["images"], case["images"]],
    "stand_in": lambda case: network(case["images"].shape),
    "defence": lambda case: InPlace(),
    "objective": lambda case: dreams.layer(case["layer"]),
    "x": lambda case: case["images"][:1],
    "sigma": lambda case: 0.25,
    "queries": lambda case: 60,
    "population": lambda case: 5,
    "window": lambda case: min(case["images"].shape[2:]),
    "stride": lambda case: 1,
    "side": lambda case: 4,
    "size": lambda case: 32,
    **dict.fromkeys(
        ["steps", "searches", "generations", "masks", "cells", "draws", "n", "n0", "octaves"],
        lambda case: case["count"],
    ),
    **dict.fromkeys(["samples"], lambda case: 2),
    **dict.fromkeys(["batch_size", "k", "frames"], lambda case: case["count"]),
}
OBJECTIVES = {
    "layer": lambda case: dreams.layer(case["layer"]),
    "unit": lambda case: dreams.unit(case["layer"], case["count"]),
    "shaded": lambda case: dreams.shaded(case["layer"]),
    "label": lambda case: dreams.label(case["labels"]),
    "guide": lambda case: dreams.guide(case["images"][:1], case["layer"]),
}


def handed_a_model():
    """Public functions whose first argument is a model or a network, by name."""
    for module in (activations, attacks, defences, dreams, features, lime, models, saliency):
        for name, function in vars(module).items():
            own = getattr(function, "__module__", "").startswith(module.__name__)
            if inspect.isfunction(function) and own and not name.startswith(("_", "validate")):
                first = next(iter(inspect.signature(function).parameters), "")
                if first in ("model", "net", "network") and name not in PARTS:
                    yield pytest.param(function, id=f"{module.__name__}.{name}")


def arguments(function, case):
    """What to call a function with: by place, and by name."""
    by_place, by_name = [], {}
    for parameter in [*inspect.signature(function).parameters.values()][1:]:
        if parameter.kind is parameter.VAR_KEYWORD:
            octaves = {} if function is dreams.visualise else {"octaves": 1, "jitter": 0}
            by_name |= {"steps": 1} | octaves
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            by_place.append(SMALL[parameter.name](case))
        elif parameter.name in SMALL or parameter.default is parameter.empty:
            by_name[parameter.name] = SMALL[parameter.name](case)
    return by_place, by_name


def state(model, images):
    """All of a model and of images that a function should leave as it was."""
    return [
        *[t.clone() for t in model.state_dict().values()],
        *[p.requires_grad for p in model.parameters()],
        *[p.grad for p in model.parameters()],
        *[m.training for m in model.modules()],
        *[getattr(m, "inplace", None) for m in model.modules()],
        *[len(m._forward_hooks) + len(m._backward_hooks) for m in model.modules()],
        images.detach().clone(),
        images.requires_grad,
        images.grad,
    ]


def same(a, b):
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def tensors(thing):
    """All tensors in what a function returned."""
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, tuple | list):
        for part in thing:
            yield from tensors(part)
    elif isinstance(thing, dict):
        yield from tensors(list(thing.values()))
    elif inspect.isgenerator(thing):
        yield from tensors(list(thing))


def tried(function: Callable, case: dict, by_place: list, by_name: dict):
    """What a function returned, or None where it refused in its own words."""
    images = case["images"]
    model = MODELS[case["model"]](images.shape)
    before = state(model, images)
    try:
        with WHERE[case["where"]]():
            found = function(HELD[case["held"]](model), *by_place, **by_name)
            if inspect.isgenerator(found):
                found = list(found)
    except ValueError as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        assert frame.f_globals["__name__"].startswith("trickkit"), f"not our own words: {error}"
        assert str(error).endswith((".", "?")), error
        found = None
    assert all(map(same, before, state(model, images)))
    return found


def settings(examples):
    return hypothesis.settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


@pytest.mark.parametrize("function", list(handed_a_model()))
@hypothesis.given(case=cases())
@settings(25)
def test_a_function_answers_or_refuses_and_changes_nothing(function, case):
    images = case["images"]
    by_place, by_name = arguments(function, case)
    found = tried(function, case, by_place, by_name)
    for out in tensors(found):
        assert out.isfinite().all()
    if found is None or not function.__module__.startswith("trickkit.attacks"):
        return
    if function is attacks.universal:
        found = images + found
    else:
        assert 0 <= found.min() and found.max() <= 1
    if "eps" in by_name:
        rounding = torch.finfo(images.dtype).eps
        assert (found - images).abs().max() <= by_name["eps"] + rounding


@pytest.mark.parametrize("name", OBJECTIVES)
@hypothesis.given(case=cases())
@settings(25)
def test_an_objective_answers_or_refuses_and_changes_nothing(name, case):
    made = {
        key
        for key, thing in vars(dreams).items()
        if inspect.isfunction(thing) and thing.__annotations__.get("return") is dreams.Objective
    }
    assert made == OBJECTIVES.keys()
    images = case["images"]
    case["images"] = images = images[:1].detach()

    def climbed(model):
        return dreams.objective_gradient(model, images, OBJECTIVES[name](case))

    found = tried(climbed, case, [], {})
    assert found is None or found.shape == images.shape and found.isfinite().all()
