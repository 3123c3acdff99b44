"""Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv:1712.09913: deep and
shallow networks with skip connections and without, and slices through their landscapes.

A cell is one network of lesson 11, trained anew from its seed, and one slice along directions of
that seed, where the lesson cuts five through one network. The paper's learn CIFAR-10 for 300
epochs, with batch norm; ours have 8 channels and group norm, and learn clothes for 6 epochs (54
layers without skips: 12, so its error is not to be compared with the others'). One more cell a seed
holds what the lesson asks of perceptrons: a path, a rescaled twin (Dinh et al. 2017), and batches
of 64 and of 2,048 (Keskar et al. 2017). Left out: paths between networks.

Nulls: the same networks before training; a path over shuffled labels, and a random walk (Antognini
and Sohl-Dickstein 2018); a step that is not normalised; and small batches against small ones.
"""

import torch

from trickkit import connectivity, data, landscapes, models, training
from trickkit.papers import li2018
from trickkit.scale.grid import Grid, axes

ERRORS = {
    "54 with skips": "li2018/resnet56",
    "54 without": "li2018/resnet56-noshort",
    "18 with skips": "li2018/resnet20",
    "18 without": "li2018/resnet20-noshort",
}
DENTS = {
    "54 with skips": "li2018/deep-smooth",
    "54 without": "li2018/deep-dents",
    "18 with skips": "with skips: li2018/shallow",
    "18 without": "li2018/shallow",
}
STAGES = 40  # of 1,000 pictures
BATCHES = {64: 5, 2048: 40}  # pictures a step -> epochs


def deep(clothes: data.Split, name: str, *, seed: int, full: bool) -> dict[str, float]:
    """A deep network's test error, and the dents of a slice, before training and after."""
    said: dict[str, float] = {}
    for null, model in (
        ("", li2018.trained_network(name, full=full, seed=seed)),
        ("untrained: ", li2018.untrained_network(name, seed=seed)),
    ):
        [cut] = li2018.measured_slices(model, pairs=1, seed=seed)
        right = models.accuracy(model, clothes.test_images, clothes.test_labels)
        said |= {
            f"{null}{ERRORS[name]}": 100 - 100 * right,
            f"{null}{DENTS[name]}": float(landscapes.minima(cut)),
            f"{null}local minima 5 % deep in a slice": float(landscapes.minima(cut, depth=0.05)),
            f"{null}roughness of a slice, 0 for a plane": landscapes.roughness(cut),
        }
    return said


def perceptron_path(images: torch.Tensor, labels: torch.Tensor, *, seed: int) -> torch.Tensor:
    """The points that a perceptron's training passes, (STAGES + 1, d)."""
    net = connectivity.perceptron(128, seed=seed)
    points = [landscapes.as_point(dict(net.named_parameters())).detach()]
    for stage in range(STAGES):
        rows = torch.arange(1000 * stage, 1000 * (stage + 1)) % len(images)
        training.train(net, images[rows], labels[rows], epochs=1, seed=STAGES * seed + stage)
        points.append(landscapes.as_point(dict(net.named_parameters())).detach())
    return torch.stack(points)


def paths(clothes: data.Split, *, seed: int) -> dict[str, float]:
    """The share of a path's variation in its two best directions, and in two random ones."""
    images, labels = clothes.train_images, clothes.train_labels
    generator = torch.Generator().manual_seed(seed)
    shuffled = labels[torch.randperm(len(labels), generator=generator)]
    path = perceptron_path(images, labels, seed=seed)
    walk = torch.randn(path.shape, generator=generator).cumsum(0).to(path)
    two = torch.linalg.qr(torch.randn(path.shape[1], 2, generator=generator))[0].to(path)
    said = {}
    for null, points in (
        ("", path),
        ("shuffled labels: ", perceptron_path(images, shuffled, seed=seed)),
        ("random walk: ", walk),
    ):
        _, shares = landscapes.principal_directions(points)
        centred = points - points.mean(0)
        seen = (centred @ two).square().sum() / centred.square().sum()
        said[f"{null}li2018/path"] = 100 * shares[:2].sum()
        said[f"{null}li2018/random"] = 100 * seen.item()
    first, second = 100 * shares[:2]  # of the walk
    return said | {"antognini2018/first": first, "antognini2018/second": second}


def twins(clothes: data.Split, *, seed: int) -> dict[str, float]:
    """What rescaling a perceptron by 10 does to the loss after a step, and to the sharpness."""
    images, labels = clothes.train_images, clothes.train_labels
    net = connectivity.perceptron(128, seed=seed)
    training.train(net, images, labels, epochs=5, weight_decay=1e-3, seed=seed)
    land = landscapes.Landscape(net, images[:1000], labels[:1000])
    weights = land.parts(land.start)
    names = ("hidden1.weight", "hidden1.bias", "classes.weight")
    w1, b1, w2 = (weights[name] for name in names)
    rescaled = connectivity.rescale(w1, b1, w2, 10)
    twin = landscapes.as_point(weights | dict(zip(names, rescaled, strict=True)))
    drawn = torch.randn(len(twin), generator=torch.Generator().manual_seed(seed)).to(twin)

    def normalised(point):
        own, raw = land.parts(point), land.parts(drawn)
        return landscapes.as_point(
            {name: landscapes.filter_normalise(raw[name], own[name]) for name in own}
        )

    def rise(point, step):
        with torch.no_grad():
            return (land(point + step) - land(point)).item()

    step = normalised(land.start)
    raw = drawn * (step.norm() / drawn.norm())
    sharp, sharper = (landscapes.top_eigenvalue(land, point) for point in (land.start, twin))
    changes = {
        "li2018/rescaled": rise(twin, normalised(twin)) / rise(land.start, step) - 1,
        "a raw step as long: li2018/rescaled": rise(twin, raw) / rise(land.start, raw) - 1,
    }
    return {name: 100 * abs(change) for name, change in changes.items()} | {
        "dinh2017/twin": sharper / sharp
    }


def batches(clothes: data.Split, *, seed: int) -> dict[str, float]:
    """How much sharper large batches end, and how much worse they read."""
    images, labels = clothes.train_images, clothes.train_labels

    def ended(size, seed):
        net = connectivity.perceptron(128, seed=seed)
        training.train(net, images, labels, epochs=BATCHES[size], batch_size=size, seed=seed)
        near, whole = (landscapes.Landscape(net, images[:n], labels[:n]) for n in (1000, None))
        return (
            landscapes.top_eigenvalue(near, near.start),
            100 * models.accuracy(net, clothes.test_images, clothes.test_labels),
            whole(whole.start).item(),
        )

    small, large, again = ended(64, seed), ended(2048, seed), ended(64, 1000 + seed)
    return {
        "keskar2017/sharp": large[0] / small[0],
        "keskar2017/worse": large[1] - small[1],
        "small batches, another seed: keskar2017/sharp": again[0] / small[0],
        "small batches, another seed: keskar2017/worse": again[1] - small[1],
        "training loss after batches of 64, nats": small[2],
        "training loss after batches of 2,048, nats": large[2],
    }


def measure(*, seed: int, full: bool, network: str) -> dict[str, float]:
    """What is measured of one deep network, or of perceptrons."""
    clothes = data.clothes(full=full)
    if network == "perceptrons":
        return paths(clothes, seed=seed) | twins(clothes, seed=seed) | batches(clothes, seed=seed)
    return deep(clothes, network, seed=seed, full=full)


GRID = Grid(
    measure=measure,
    settings=axes(network=(*ERRORS, "perceptrons")),
    seeds=4,
    varies="the networks, the order of the clothes, the directions of the slice; not the clothes",
    ours="10,000 clothes; networks of 8 channels, 6 or 12 epochs, a slice each",
    ours_full="60,000 clothes; networks of 8 channels, 6 or 12 epochs, a slice each",
    complete=data.clothes,
    why=dict.fromkeys(
        ERRORS.values(), "perhaps other pictures, a smaller network, far fewer epochs"
    ),
)
