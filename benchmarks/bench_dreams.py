"""Deep dream against the clock, on a photograph of 300 × 450: python benchmarks/bench_dreams.py
[--tiny]

One turn warms up, and the median of five counts.
"""

import functools

import torch
from side_by_side import costs, in_turns, sized, table

from trickkit import data, dreams, models

OCTAVES, STEPS = sized((4, 10), (2, 2))

net = models.imagenet()
photo = torch.nn.functional.interpolate(
    data.picture("rocket"), sized((300, 450), (64, 96)), mode="bicubic", antialias=True
).clamp(0, 1)
runs = {
    layer: functools.partial(
        dreams.dream, net, photo, dreams.layer(layer), octaves=OCTAVES, steps=STEPS
    )
    for layer in ("network.blocks.4", "network.blocks.5")
}
timed = in_turns(runs, turns=sized(6, 1))
table(
    f"Deep dream on {photo.shape[2]} × {photo.shape[3]}, {OCTAVES} octaves of {STEPS} steps,"
    f" {torch.get_num_threads()} threads",
    costs(timed),
)
