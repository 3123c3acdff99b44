"""Style transfer against the clock: python benchmarks/bench_painting.py [--tiny] [paint] [large]
[keep]

paint: the well-known PyTorch tutorial's way to descend (torch.optim.LBFGS as it comes, clamping the
picture in its closure, float32, channels first) and ours, on the same network, start, loss and
number of evaluations, at 256 pixels. The loss of the picture that is left, inside [0, 1], is
computed in float32 for both. large: the same at 512 pixels, one turn. keep: 256 pixels, coarse to
fine. Of four turns one warms up, and the median of three counts.
"""

import copy
import functools
from unittest import mock

import torch
from side_by_side import chosen, costs, in_turns, sized, table

from trickkit import data, models, style

EVALUATIONS = sized(60, 2)
RATIO = 1e-4

net = style.vgg()
plain = copy.deepcopy(net).to(memory_format=torch.contiguous_format)


def loss_of(net, photo, painting):
    wanted = style.style_of(net, painting)
    with torch.no_grad():
        content = style.responses(net, photo, [style.CONTENT_LAYER])[0]

    def loss(x):
        *now, here = style.responses(net, x, [*style.STYLE_LAYERS, style.CONTENT_LAYER])
        return RATIO * style.content_loss(here, content) + style.style_loss(
            [style.gram(a) for a in now], wanted
        )

    return loss


def tutorial(photo, painting):
    loss = loss_of(plain, photo, painting)
    x = photo.clone().contiguous().requires_grad_(True)
    evaluations = [0]
    descent = torch.optim.LBFGS([x])

    def closure():
        with torch.no_grad():
            x.clamp_(0, 1)
        descent.zero_grad()
        value = loss(x)
        value.backward()
        evaluations[0] += 1
        return value

    while evaluations[0] < EVALUATIONS:
        descent.param_groups[0]["max_eval"] = min(25, EVALUATIONS - evaluations[0])
        descent.step(closure)
    return x.detach().clamp(0, 1)


def ours(photo, painting):
    wanted = style.style_of(net, painting)
    return style.paint(net, photo, wanted, ratio=RATIO, max_evals=EVALUATIONS)


@mock.patch.object(models, "has_bfloat16", lambda there: False)
def in_float32(photo, painting):
    return ours(photo, painting)


def compare(side, *, turns):
    photo = data.picture("macaw", size=side)
    painting = data.painting("great_wave", size=side)
    runs = {
        "trickkit": lambda: ours(photo, painting),
        "trickkit, float32": lambda: in_float32(photo, painting),
        "tutorial": lambda: tutorial(photo, painting),
    }
    timed = in_turns(runs, turns=turns)
    rows = costs(timed)
    loss = loss_of(net, photo, painting)
    pictures = {name: t.result for name, t in timed.items()}
    dice = torch.Generator().manual_seed(0)
    nudge = 0.5 / 255 * torch.randn(photo.shape, generator=dice).to(photo)
    nudged = "trickkit, float32, begun half a grey level away"
    pictures[nudged] = in_float32((photo + nudge).clamp(0, 1), painting)
    for name, picture in pictures.items():
        with torch.no_grad():
            rows.setdefault(name, {})["loss"] = loss(picture).item()
        apart = (picture - pictures["trickkit, float32"]).abs().mean().item()
        rows[name]["grey levels from float32"] = 255 * apart
    with torch.no_grad():
        start = loss(photo).item()
    table(
        f"{side} pixels, {EVALUATIONS} evaluations from a loss of {start:.3f},"
        f" {torch.get_num_threads()} threads",
        rows,
    )


def keep():
    photo = data.picture("macaw")
    sides, evaluations = sized(((128, 256), 80), ((48, 64), 2))
    runs = {
        name: functools.partial(
            style.coarse_to_fine,
            net,
            photo,
            data.painting(name),
            sides=sides,
            max_evals=evaluations,
        )
        for name in ("great_wave", "auvers")
    }
    table(
        f"Coarse to fine, {sides[-1]} pixels, {torch.get_num_threads()} threads",
        costs(in_turns(runs, turns=sized(4, 1))),
    )


PARTS = {
    "paint": lambda: compare(sized(256, 32), turns=sized(4, 1)),
    "large": lambda: compare(sized(512, 48), turns=1),
    "keep": keep,
}

for part in chosen(PARTS).values():
    part()
