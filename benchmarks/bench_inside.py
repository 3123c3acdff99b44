"""What a network does inside, measured by us and in the usual way, in one process, in turns:
python benchmarks/bench_inside.py [--tiny] [information]

information: ten networks with 4,096 inputs, I(X; T) and I(T; Y) of every layer at several epochs.
The usual way, that of the papers' own code, goes through networks, layers and values of the
label, and counts rows with np.unique (theirs goes through all 4,096 inputs as well, to find that
each tells one thing; that is left out); ours sorts all networks at once. The same bins.
"""

import numpy as np
from side_by_side import chosen, costs, in_turns, sized, table

from trickkit import information as plane


def entropy(codes):
    """Of rows, each seen as one piece of memory, as in ravidziv/IDNNs and artemyk/ibsgd."""
    rows = np.ascontiguousarray(codes)
    rows = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))
    counts = np.unique(rows, return_counts=True)[1]
    p = counts / counts.sum()
    return -(p * np.log2(p)).sum()


def loops(networks, steps, code):
    x, y = (part.numpy() for part in plane.patterns())
    found = []
    for step in steps:
        layers = plane.outputs(plane.unpacked(networks.flat[step]), plane.patterns()[0])
        for layer in layers:
            for run in layer.numpy():
                codes = code(run)
                whole = entropy(codes)
                rest = sum((y == label).mean() * entropy(codes[y == label]) for label in (0, 1))
                found.append((whole, whole - rest))
    shape = (len(steps), len(layers), len(networks.seen), 2)
    return np.array(found).reshape(shape).transpose(3, 0, 2, 1)


def information():
    networks = plane.load("tanh")
    steps = range(0, 31, sized(3, 15))

    def code(values):
        return plane.bins(values, count=30)

    timed = in_turns(
        {
            "trickkit": lambda: np.stack(plane.history(networks, code=code, steps=steps)),
            "a loop with np.unique": lambda: loops(networks, steps, code),
        },
        turns=sized(4, 1),
    )
    ours, theirs = (t.result for t in timed.values())
    assert np.allclose(ours, theirs)
    table(f"Information of ten networks of six layers at {len(steps)} epochs", costs(timed))


for part in chosen({"information": information}).values():
    part()
