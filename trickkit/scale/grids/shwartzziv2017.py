"""Shwartz-Ziv, Tishby 2017, "Opening the Black Box of Deep Neural Networks via Information",
arXiv:1703.00810, and Saxe et al. 2018, "On the Information Bottleneck Theory of Deep Learning",
ICLR 2018: what both say of layer 5 in the information plane.

A cell is one of lesson 10's experiments from one seed, four networks side by side (full: ten, so
that five seeds are the first paper's fifty), each with weights, patterns and an order of its own,
for 8,000 epochs, as in the lesson. Bits lost are counted from epoch 441 to the end. Nulls: shuffled
labels, from which nothing can be learnt; the same networks with every value counted, exactly, or
through the other ruler; and the networks before training.
"""

import numpy as np
import torch

from trickkit import information
from trickkit.scale.grid import Grid, axes

LOST = {  # experiment -> the id of the bits that layer 5 loses
    "tanh": "shwartzziv2017/compression",
    "relu": "saxe2018/relu",
    "little data": "saxe2018/little_data",
    "full batch": "saxe2018/full_batch",
    "shuffled labels": "shuffled labels: shwartzziv2017/compression",
}
RIGHT = {"relu": "saxe2018/generalise", "little data": "saxe2018/little_data_right"}
LATE, END = (information.KEPT.index(epoch) for epoch in (441, 8000))


def thirty(values: np.ndarray) -> np.ndarray:
    """The first paper's code: 30 bins from −1 to 1."""
    return information.bins(values, count=30)


def endless(values: np.ndarray) -> np.ndarray:
    """Bins as wide as those, without an end."""
    return np.floor(15 * values).astype(int)


def measure(*, seed: int, full: bool, experiment: str) -> dict[str, float]:
    """What layer 5 loses and what is right, as means over the networks of one experiment."""
    networks = information.train(
        information.EXPERIMENTS[experiment]._replace(
            runs=10 if full else 4, kept=information.KEPT[: END + 1], seed=seed
        )
    )

    def fifth(code, steps, **options):
        """Mean bits of layer 5 at each step."""
        xt, _ = information.history(networks, code=code, steps=steps, **options)
        return xt[:, :, 4].mean(1)

    def lost(code, **options):
        late, end = fifth(code, (LATE, END), **options)
        return float(late - end)

    right = 100 * information.unseen_accuracy(networks).mean(1)
    found = {LOST[experiment]: lost(endless if experiment == "relu" else thirty)}
    if experiment in RIGHT:
        found[RIGHT[experiment]] = float(right[END])
        found[f"untrained: {RIGHT[experiment]}"] = float(right[0])
    else:
        found[f"unseen patterns right, {experiment}, %"] = float(right[END])
    if experiment != "shuffled labels":
        exactly = lost(information.each_value, dtype=torch.float64)
        found[f"every value counted: {LOST[experiment]}"] = exactly
    if experiment == "relu":
        bits = fifth(thirty, range(0, END + 1, 5))
        found["shwartzziv2017/issue"] = float(bits.max() - bits[-1])
    if experiment == "tanh":
        _, labels = information.patterns()
        trained_on = information.unseen_accuracy(networks._replace(seen=~networks.seen)).mean(1)
        inside = fifth(endless, (0, END), net_input=True)
        output = fifth(thirty, (0, END))
        found |= {
            "shwartzziv2017/ones": 100 * labels.double().mean().item(),
            "shwartzziv2017/label": information.entropy(labels),
            "shwartzziv2017/fitting": 100 * float(trained_on[END] - trained_on[LATE]),
            "saxe2018/net_input": float(inside[1] - inside[0]),
            "30 bins of the output: saxe2018/net_input": float(output[1] - output[0]),
        }
    return found


GRID = Grid(
    measure=measure,
    settings=axes(experiment=tuple(LOST)),
    seeds=3,
    varies="the networks' first weights, the patterns seen, and their order; not the task",
    ours="four networks a seed, 8,000 epochs",
    ours_full="ten networks a seed, 8,000 epochs",
    complete=lambda full: None,  # nothing to fetch: more networks, of the same 4,096 patterns
)
