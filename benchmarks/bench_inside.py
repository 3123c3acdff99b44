"""What the lessons on seeing inside compute, by us and in the usual way, in one process, in turns:
python benchmarks/bench_inside.py [--tiny] [information] [surface]

information: ten networks with 4,096 inputs, I(X; T) and I(T; Y) of every layer at several epochs.
The usual way, that of the papers' own code, goes through networks, layers and values of the
label, and counts rows with np.unique (theirs goes through all 4,096 inputs as well, to find that
each tells one thing; that is left out); ours sorts all networks at once. The same bins.
surface: a slice through the landscape of 54 layers. loss-landscape (Li et al.; scripts, and no
package to install) sets the network's weights at each point and runs through a data loader, 128
images at a time; its loop is written out here.

One turn warms up, and the median of three counts.
"""

import numpy as np
import torch
from side_by_side import chosen, costs, in_turns, sized, table

from trickkit import information as plane
from trickkit import landscapes
from trickkit.papers import li2018


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


def surface():
    net = li2018.network("54 with skips")
    land = li2018.landscape(net)
    first, second = land.direction(seed=0), land.direction(seed=1)
    points = sized(9, 3)
    pairs = torch.utils.data.TensorDataset(land.images, land.labels)
    loader = torch.utils.data.DataLoader(pairs, batch_size=128)
    criterion = torch.nn.CrossEntropyLoss()
    steps = torch.linspace(-1, 1, points).tolist()

    @torch.no_grad()
    def theirs():
        weights = [p.clone() for p in net.parameters()]
        ways = [list(land.parts(way).values()) for way in (first, second)]
        values = torch.empty(points, points)
        for i, b in enumerate(steps):
            for j, a in enumerate(steps):
                for p, w, d, e in zip(net.parameters(), weights, *ways, strict=True):
                    p.data = w + (a * d + b * e)
                total = 0.0
                for images, labels in loader:
                    total += criterion(net(images), labels).item() * len(images)
                values[i, j] = total / len(pairs)
        for p, w in zip(net.parameters(), weights, strict=True):
            p.data = w
        return values

    def ours():
        return torch.from_numpy(
            landscapes.surface(land, land.start, first, second, points=points)
        ).float()

    timed = in_turns({"trickkit": ours, "loss-landscape's loop": theirs}, turns=sized(4, 1))
    rows = costs(timed)
    right = timed["trickkit"].result
    for name, row in rows.items():
        row["apart"] = f"{((timed[name].result - right).abs() / right).max():.2%}"
    table(f"loss surface, {points} × {points}: {torch.get_num_threads()} threads", rows)


for part in chosen({"information": information, "surface": surface}).values():
    part()
