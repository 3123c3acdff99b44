"""The same saliency maps by us and by captum, in one process, in turns: python
benchmarks/saliency.py [method …]

The same photograph, target, steps, windows and number of samples. captum gets the network as timm
builds it, and once more the very network that ours gets (batch norm folded in, channels-last: the
same function, see tests/test_models.py), each at its own default batch and at the batch that ours
has. How far the maps are apart, in the largest value of captum's, is printed too; for SmoothGrad it
says little, since each draws its own noise. Seconds are the median of three turns after one that
warms up; memory is the most that a turn added to the process.
"""

import statistics
import sys
import warnings

import torch
from captum import attr
from peers import measured, unfolded

from trickkit import data, models, saliency

warnings.filterwarnings("ignore")

ours = models.imagenet()
peer = unfolded()
panda = data.picture("panda", size=224)
PANDA = ours.index("giant panda")


def probability(model):
    return lambda x: model(x).softmax(1)


def integrated(model, batch):
    maps = attr.IntegratedGradients(model).attribute(
        panda, 0.5, PANDA, n_steps=50, method="riemann_middle", internal_batch_size=batch
    )
    return maps.sum(1)


def smooth(model, batch):
    reach = 0.15 * (panda.max() - panda.min()).item()
    maps = attr.NoiseTunnel(attr.Saliency(model)).attribute(
        panda, "smoothgrad", 50, batch, reach, target=PANDA, abs=False
    )
    return maps.abs().amax(1)


def occlusion(model, batch):
    with torch.no_grad():
        return attr.Occlusion(probability(model)).attribute(
            panda, (3, 32, 32), (3, 16, 16), 0.5, PANDA, perturbations_per_eval=batch
        )[:, 0]


JOBS = {  # name -> (ours, captum's with (model, batch), captum's default batch)
    "integrated gradients, 50 steps": (
        lambda: saliency.integrated_gradients(ours, panda, PANDA, steps=50, baseline=0.5),
        integrated,
        None,
    ),
    "SmoothGrad, 50 samples": (
        lambda: saliency.smoothgrad(ours, panda, PANDA, samples=50),
        smooth,
        None,
    ),
    "occlusion, window 32, stride 16": (
        lambda: saliency.occlusion(ours, panda, PANDA),
        occlusion,
        1,
    ),
    "Grad-CAM": (lambda: saliency.grad_cam(ours, panda, PANDA, "network.blocks.6"), None, None),
    "RISE, 2,000 masks": (lambda: saliency.rise(ours, panda, PANDA), None, None),
    "RISE, 2,000 masks, models.quick": (lambda: saliency.rise(quick, panda, PANDA), None, None),
}
quick = models.quick(ours)


def compare(name, run, theirs, default, rounds=3):
    runs = {"trickkit": run}
    if theirs:
        batches = {"default batch": default, f"batch of {saliency.BATCH}": saliency.BATCH}
        runs |= {
            f"captum, {label}, {words}": lambda model=model, batch=batch: theirs(model, batch)
            for label, model in (("timm's network", peer), ("our network", ours))
            for words, batch in batches.items()
        }
    times = {n: [] for n in runs}
    memory = dict.fromkeys(runs, 0.0)
    maps = {}
    for turn in range(rounds + 1):
        for library, job in runs.items():
            maps[library], seconds, mib = measured(job)
            if turn:
                times[library].append(seconds)
                memory[library] = max(memory[library], mib)
    base = statistics.median(times["trickkit"])
    print(f"\n{name}: {torch.get_num_threads()} threads, median of {rounds}")
    print(f"{'':<42}{'seconds':>9}{'× ours':>8}{'added MiB':>11}{'apart':>9}")
    for library in runs:
        seconds = statistics.median(times[library])
        apart = ((maps["trickkit"] - maps[library]).abs().max() / maps[library].abs().max()).item()
        print(
            f"{library:<42}{seconds:>9.2f}{seconds / base:>8.1f}"
            f"{memory[library]:>11.0f}{apart:>9.1%}",
            flush=True,
        )


for job in JOBS:
    if not sys.argv[1:] or any(word in job for word in sys.argv[1:]):
        compare(job, *JOBS[job])
