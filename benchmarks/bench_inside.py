"""What the lessons on seeing inside compute, by us and in the usual way, in one process, in turns:
python benchmarks/bench_inside.py [--tiny] [information] [surface] [cka] [tcav] [zoo]

information: ten networks with 4,096 inputs, I(X; T) and I(T; Y) of every layer at several epochs.
The usual way, that of the papers' own code, goes through networks, layers and values of the
label, and counts rows with np.unique (theirs goes through all 4,096 inputs as well, to find that
each tells one thing; that is left out); ours sorts all networks at once. The same bins.
surface: a slice through the landscape of 54 layers. loss-landscape (Li et al.; scripts, and no
package to install) sets the network's weights at each point and runs through a data loader, 128
images at a time; its loop is written out here.
cka: all pairs of two networks' ten layers, unbiased. The usual way is torch-cka's (a package that
also loads pictures and draws): for each pair of layers, both kernels anew, and HSIC three times;
its loop is written out here, for one batch. ours works each kernel out once.
tcav: the score of stripes against dots for zebra at one layer of EfficientNet-Lite0, from pictures
to score. captum reads the pictures through data loaders, fits its own classifier (sklearn's SGD,
on two thirds of the examples) and writes activations to disk; so the scores need not be equal.
zoo: small networks for digits, trained all at once, and one after another by autograd and
torch.optim.AdamW: on the same digits, to the same weights.

One turn warms up, and the median of three counts.
"""

import tempfile
import warnings

import numpy as np
import torch
from side_by_side import chosen, costs, in_turns, installed, sized, table

from trickkit import activations, concepts, data, landscapes, models, similarity
from trickkit import information as plane
from trickkit import zoo as small
from trickkit.contract import seeded
from trickkit.papers import kornblith2019, li2018


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


def hsic(k, m):
    """The unbiased estimate, as torch-cka (AntixK/PyTorch-Model-Compare) works it out."""
    n = len(k)
    ones = torch.ones(n, 1, dtype=k.dtype)
    whole = torch.trace(k @ m)
    whole += (ones.T @ k @ ones @ ones.T @ m @ ones).item() / ((n - 1) * (n - 2))
    whole -= (ones.T @ k @ m @ ones).item() * 2 / (n - 2)
    return whole.item() / (n * (n - 3))


def layer_loop(xs, ys):
    found = torch.zeros(len(xs), len(ys), 3)
    for i, x in enumerate(xs):
        k = x.flatten(1) @ x.flatten(1).T
        k.fill_diagonal_(0)
        found[i, :, 0] = hsic(k, k)
        for j, y in enumerate(ys):
            m = y.flatten(1) @ y.flatten(1).T
            m.fill_diagonal_(0)
            found[i, j, 1] = hsic(k, m)
            found[i, j, 2] = hsic(m, m)
    return found[:, :, 1] / (found[:, :, 0].sqrt() * found[:, :, 2].sqrt())


def cka():
    images = data.clothes().test_images[: sized(500, 40)]
    nets = [kornblith2019.representations("base", images, seed=seed) for seed in (0, 1)]
    timed = in_turns(
        {
            "trickkit": lambda: similarity.cka_table(*nets, unbiased=True),
            "trickkit, a pair at a time": lambda: similarity.index_table(
                *nets,
                index=lambda x, y: similarity.kernel_cka(
                    similarity.linear_kernel(x), similarity.linear_kernel(y), unbiased=True
                ),
            ),
            "torch-cka's loop": lambda: layer_loop(*nets),
        },
        turns=sized(4, 1),
    )
    rows = costs(timed)
    for name, row in rows.items():
        row["apart"] = f"{(timed[name].result - timed['trickkit'].result).abs().max():.1e}"
    table(f"CKA of ten layers by ten, {len(images)} pictures", rows)


def tcav():
    net = models.imagenet()
    layer, zebra = "network.blocks.5", net.index("zebra")
    photos = torch.cat([data.picture(n, size=224) for n in data.picture_names()[: sized(13, 3)]])
    count = sized(30, 6)
    sheets = {kind: concepts.textures(kind, count) for kind in ("stripes", "dots")}

    def ours():
        with torch.no_grad():
            seen = [activations.read(net, sheet, layer)[0] for sheet in sheets.values()]
            [inner] = activations.read(net, photos, layer)
        vector = concepts.concept_vector(torch.cat(seen), torch.arange(2 * count) < count)
        head = concepts.above(net, layer, image=photos[:1])
        return float(concepts.tcav_score(head, inner, vector, zebra))

    def theirs():
        from captum.concept import TCAV, Concept

        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kinds = [
                Concept(i, name, torch.utils.data.DataLoader(sheet, batch_size=count))
                for i, (name, sheet) in enumerate(sheets.items())
            ]
            tested = TCAV(net, layers=[layer], save_path=folder)
            found = tested.interpret(photos, [kinds], target=zebra)
        return float(found["0-1"][layer]["sign_count"][0])

    jobs = installed({"trickkit": ours, "captum": theirs})
    timed = in_turns(jobs, turns=sized(4, 1))
    rows = costs(timed)
    for name, row in rows.items():
        row["score"] = f"{timed[name].result:.2f}"
    table(f"TCAV, {count} textures of two kinds, {len(photos)} photos", rows)


def zoo():
    x, labels, *_ = small.small_digits()
    order = labels.argsort(stable=True)
    x, labels = x[order], labels[order]
    count, steps = sized(100, 3), sized(200, 10)
    recipe = small.drawn_recipes(count, generator=seeded(0), steps=(steps, steps))

    def ours():
        return small.train(recipe, x, labels, generator=seeded(1)).flat

    def theirs():
        generator = seeded(1)
        start = small.Zoo(small.untrained(recipe, generator=generator), recipe.tanh).layers
        counts = torch.bincount(labels)
        draws = [small.drawn_digits(recipe.diet, counts, generator=generator) for _ in range(steps)]
        trained = []
        for row in range(count):
            act = torch.nn.Tanh() if recipe.tanh[row] else torch.nn.ReLU()
            net = torch.nn.Sequential(torch.nn.Linear(144, 12), act, torch.nn.Linear(12, 10))
            for p, values in zip(net.parameters(), start, strict=True):
                p.data = values[row].clone()
            lr, decay = recipe.lr[row].item(), recipe.decay[row].item()
            optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=decay)
            for seen in draws:
                loss = torch.nn.functional.cross_entropy(net(x[seen[row]]), labels[seen[row]])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            trained.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
        return torch.stack(trained)

    timed = in_turns({"trickkit": ours, "one by one": theirs}, turns=sized(4, 1))
    right = timed["trickkit"].result
    assert (timed["one by one"].result - right).abs().max() < 0.01 * right.abs().max()
    table(f"{count} networks of 1,870 weights, {steps} steps of 16 digits", costs(timed))


parts = {"information": information, "surface": surface, "cka": cka, "tcav": tcav, "zoo": zoo}
for part in chosen(parts).values():
    part()
