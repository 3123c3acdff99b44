"""The same saliency maps by us and by captum, in one process, in turns: python
benchmarks/bench_saliency.py [--tiny] [method …]

The same photograph, target, steps, windows and number of samples. captum gets the network as timm
builds it, and once more the very network that ours gets (batch norm folded in, channels-last: the
same function, see tests/test_models.py), each at its own default batch and at the batch that ours
has. How far apart our map and another are at most, as a share of that one's largest value, is
printed too; for SmoothGrad it says little, since each draws its own noise. One turn warms up, and
the median of three counts.

"until complete": integrated gradients of each photograph that go on until their sum is within 5 %
of the score's difference, against captum's with two numbers of steps, by its default rule. Of how
many photographs the sum is within 5 %, the median of what the sums miss, and the least cosine with
a map of 500 pieces that are the shorter the nearer to grey.
"""

import functools

import torch
from captum import attr
from side_by_side import chosen, costs, in_turns, sized, table, unfolded

from trickkit import contract, data, models, saliency

STEPS = sized(50, 4)
SAMPLES = sized(50, 4)
MASKS = sized(2000, 32)

ours = models.imagenet()
quick = models.quick(ours)
theirs = unfolded()
panda = data.picture("panda", size=sized(224, 64))
PANDA = ours.index("giant panda")
photos = torch.cat(
    [data.picture(name, size=sized(224, 64)) for name in sized(data.picture_names(), ["panda"])]
)
with torch.no_grad():
    tops = ours(photos).argmax(1)


AT_ONCE = contract.PIXELS_AT_ONCE // panda[0, 0].numel()  # images whose gradients ours asks for


def integrated(model, batch):
    maps = attr.IntegratedGradients(model).attribute(
        panda,
        baselines=0.5,
        target=PANDA,
        n_steps=STEPS,
        method="riemann_middle",
        internal_batch_size=batch,
    )
    return maps.sum(1)


def complete(model, *, steps, batch):
    """captum's maps of `photos`, by its default rule."""
    method = attr.IntegratedGradients(model)
    options = {"baselines": 0.5, "n_steps": steps, "internal_batch_size": batch}
    maps = [
        method.attribute(x, target=t, **options) for x, t in zip(photos.split(1), tops, strict=True)
    ]
    return torch.cat(maps).sum(1)


def smooth(model, batch):
    maps = attr.NoiseTunnel(attr.Saliency(model)).attribute(
        panda,
        nt_type="smoothgrad",
        nt_samples=SAMPLES,
        nt_samples_batch_size=batch,
        stdevs=0.15 * (panda.max() - panda.min()).item(),
        target=PANDA,
        abs=False,
    )
    return maps.abs().amax(1)


@torch.no_grad()
def occluded(model, batch):
    maps = attr.Occlusion(lambda x: model(x).softmax(1)).attribute(
        panda,
        sliding_window_shapes=(3, 32, 32),
        strides=(3, 16, 16),
        baselines=0.5,
        target=PANDA,
        perturbations_per_eval=batch,
    )
    return maps[:, 0]


def captums(run, *, default, ours_has):
    """captum's runs, (model, batch) -> maps, of either network and batch.

    default: captum's own batch.
    ours_has: the batch of ours.
    """
    return {
        f"captum, {label}, {words}": functools.partial(run, model, batch)
        for label, model in (("timm's network", theirs), ("our network", ours))
        for words, batch in (
            ("default batch", default),
            (f"batch of {ours_has}", ours_has),
        )
    }


JOBS = {
    "integrated gradients": {
        "trickkit": lambda: saliency.integrated_gradients(
            ours, panda, PANDA, steps=STEPS, baseline=0.5
        ),
        **captums(integrated, default=None, ours_has=AT_ONCE),
    },
    "until complete": {
        "trickkit": lambda: saliency.integrated_gradients(ours, photos, tops, baseline=0.5),
        **{
            f"captum, our network, {steps} steps": functools.partial(
                complete, ours, steps=steps, batch=AT_ONCE
            )
            for steps in sized((50, 100), (4,))
        },
        **{
            f"captum, timm's network, {steps} steps": functools.partial(
                complete, theirs, steps=steps, batch=None
            )
            for steps in sized((100,), (4,))
        },
    },
    "SmoothGrad": {
        "trickkit": lambda: saliency.smoothgrad(ours, panda, PANDA, samples=SAMPLES),
        **captums(smooth, default=None, ours_has=AT_ONCE),
    },
    "occlusion": {
        "trickkit": lambda: saliency.occlusion(ours, panda, PANDA, window=32, stride=16),
        **captums(occluded, default=1, ours_has=saliency.BATCH),
    },
    "Grad-CAM": {"trickkit": lambda: saliency.grad_cam(ours, panda, PANDA, "network.blocks.6")},
    "RISE": {
        "trickkit": lambda: saliency.rise(ours, panda, PANDA, masks=MASKS),
        "trickkit, models.quick": lambda: saliency.rise(quick, panda, PANDA, masks=MASKS),
    },
}


def completeness(maps):
    """What the maps of `photos` miss, as columns."""
    grey = torch.full_like(photos, 0.5)
    with torch.no_grad():
        rise = (ours(photos) - ours(grey)).gather(1, tops[:, None])[:, 0]
    miss = (maps.sum((1, 2)) / rise - 1).abs()
    alike = torch.cosine_similarity(maps.flatten(1), fine().flatten(1))
    return {
        "within 5 %": f"{(miss <= 0.05).float().mean():.0%}",
        "median miss": f"{miss.median():.1%}",
        "cosine": f"{alike.min():.4f}",
    }


@functools.cache
def fine():
    """Maps of 500 pieces, of 4 in --tiny."""
    edges = torch.linspace(0, 1, sized(501, 5)) ** 2
    total = torch.zeros_like(photos)
    for low, high in zip(edges, edges[1:], strict=False):
        points = 0.5 + (low + high) / 2 * (photos - 0.5)
        total += (high - low) * contract.score_and_gradient(ours, points, tops)[1]
    return ((photos - 0.5) * total).sum(1)


for name, runs in chosen(JOBS).items():
    timed = in_turns(runs, turns=sized(4, 1))
    rows = costs(timed)
    for library, row in rows.items():
        other = timed[library].result
        if name == "until complete":
            row |= completeness(other)
            continue
        apart = (timed["trickkit"].result - other).abs().max() / other.abs().max()
        row["apart"] = f"{apart:.2%}"
    table(f"{name}: {torch.get_num_threads()} threads", rows)
