"""The same saliency maps by us and by captum, in one process, in turns: python
benchmarks/bench_saliency.py [--tiny] [method …]

The same photograph, target, steps, windows and number of samples. captum gets the network as timm
builds it, and once more the very network that ours gets (batch norm folded in, channels-last: the
same function, see tests/test_models.py), each at its own default batch and at the batch that ours
has. How far apart our map and another are at most, as a share of that one's largest value, is
printed too; for SmoothGrad it says little, since each draws its own noise. One turn warms up, and
the median of three counts.
"""

import functools

import torch
from captum import attr
from side_by_side import chosen, costs, in_turns, sized, table, unfolded

from trickkit import data, models, saliency

STEPS = sized(50, 4)
SAMPLES = sized(50, 4)
MASKS = sized(2000, 32)

ours = models.imagenet()
quick = models.quick(ours)
theirs = unfolded()
panda = data.picture("panda", size=sized(224, 64))
PANDA = ours.index("giant panda")


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


def captums(run, *, default):
    """captum's runs, (model, batch) -> maps, of either network and batch.

    default: captum's own batch.
    """
    return {
        f"captum, {label}, {words}": functools.partial(run, model, batch)
        for label, model in (("timm's network", theirs), ("our network", ours))
        for words, batch in (
            ("default batch", default),
            (f"batch of {saliency.BATCH}", saliency.BATCH),
        )
    }


JOBS = {
    "integrated gradients": {
        "trickkit": lambda: saliency.integrated_gradients(
            ours, panda, PANDA, steps=STEPS, baseline=0.5
        ),
        **captums(integrated, default=None),
    },
    "SmoothGrad": {
        "trickkit": lambda: saliency.smoothgrad(ours, panda, PANDA, samples=SAMPLES),
        **captums(smooth, default=None),
    },
    "occlusion": {
        "trickkit": lambda: saliency.occlusion(ours, panda, PANDA, window=32, stride=16),
        **captums(occluded, default=1),
    },
    "Grad-CAM": {"trickkit": lambda: saliency.grad_cam(ours, panda, PANDA, "network.blocks.6")},
    "RISE": {
        "trickkit": lambda: saliency.rise(ours, panda, PANDA, masks=MASKS),
        "trickkit, models.quick": lambda: saliency.rise(quick, panda, PANDA, masks=MASKS),
    },
}

for name, runs in chosen(JOBS).items():
    timed = in_turns(runs, turns=sized(4, 1))
    rows = costs(timed)
    for library, row in rows.items():
        other = timed[library].result
        apart = (timed["trickkit"].result - other).abs().max() / other.abs().max()
        row["apart"] = f"{apart:.2%}"
    table(f"{name}: {torch.get_num_threads()} threads", rows)
