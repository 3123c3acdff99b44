"""An activation atlas: what a layer says of thousands of places in pictures, laid out as a map.

Carter et al. 2019, distill.pub/2019/activation-atlas. Activations that are alike come to lie side
by side; a grid is laid over them, and what each of its cells stands for is drawn by feature
visualisation. Behind each drawing are real patches, which tell whether it is true.
"""

import io
from collections.abc import Callable
from typing import NamedTuple

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from trickkit import activations, attention, concepts, data, dreams, features, models
from trickkit.common import progress_bar, unknown, validate_count, validate_number
from trickkit.contract import (
    described,
    gradient_of,
    seeded,
    validate_images,
    with_gradients,
)

FILE = "weights/atlas.safetensors"
COUNT = 4000  # activations laid out
GRID = 12  # cells along a side
FEWEST = 6  # activations that make a cell worth drawing
DRAWN = 64  # pixels along the side of a drawing
DRAWN_LAYERS = {"network.blocks.2": 8, "network.blocks.4": 16, "network.blocks.6": 32}
MAIN = "network.blocks.4"  # the layer whose twins are laid out too
TWINS = ("another start", "untrained", "pixels")
DINO = "network.norm"  # of models.dinov2()
SQUARE = 336  # pixels along the side of what it sees
# pixels from one place to the next
STRIDES = DRAWN_LAYERS | dict.fromkeys(TWINS, 16) | {DINO: 14}


Speaker = Callable[[torch.Tensor], torch.Tensor]  # images -> activations (N, places, C)


class Sample(NamedTuple):
    """Activations, and where they come from.

    vectors: (n, C), one a place.
    places: (n, 3) int64: number of the picture, row and column on the layer's own grid.
    """

    vectors: torch.Tensor
    places: torch.Tensor


class Atlas(NamedTuple):
    """A map that came with the course.

    images: the pictures that it is of, each (1, 3, H, W) in [0, 1]; the photographs come first.
    places: (n, 3), as in `Sample`.
    stride: pixels from one place to the next.
    points: where each lies on the map, (n, 2) in [0, 1], across and down.
    drawings: of the cells, (GRID², 3, 64, 64) in [0, 1]; (0, 3, 64, 64) where none were made.
    """

    images: list[torch.Tensor]
    places: torch.Tensor
    stride: int
    points: torch.Tensor
    drawings: torch.Tensor


def scenes(*, size: int | None = None) -> dict[str, torch.Tensor]:
    """The course's photographs and paintings by name: (1, 3, H, W) in [0, 1].

    size: pixels of a centred square; None keeps each whole.
    """
    photos = {name: data.picture(name, size=size) for name in data.picture_names()}
    return photos | {name: data.painting(name, size=size) for name in data.painting_names()}


@torch.no_grad()
def collect(
    model: nn.Module,
    images: list[torch.Tensor],
    layer: str,
    *,
    places: torch.Tensor | None = None,
    count: int = COUNT,
    seed: int = 0,
) -> Sample:
    """What a layer says of places in pictures.

    The outermost places are left out: what lies beyond the edge has a say in them.

    images: each (1, 3, H, W), of any size that the model takes.
    layer: of maps; or, of a vision transformer, of tokens, of which the first is no patch.
    places: which, as in `Sample`; None draws some.
    count: how many are drawn at most.
    seed: of the draw.
    """
    validate_count(count=count)
    maps = []
    for image in images:
        [out] = activations.read(model, image, layer)
        maps.append(as_maps(out)[0])
    if places is None:
        inner = torch.cat([inner_places(number, *m.shape[1:]) for number, m in enumerate(maps)])
        places = inner[torch.randperm(len(inner), generator=seeded(seed))[:count]]
    vectors = torch.stack([maps[i][:, row, column] for i, row, column in places.tolist()])
    return Sample(vectors.cpu(), places)


def as_maps(out: torch.Tensor) -> torch.Tensor:
    """What a layer puts out as maps (N, C, h, w): as they came, or tokens without the first."""
    return out if out.dim() == 4 else attention.on_grid(out[:, 1:].mT)


def inner_places(number: int, height: int, width: int) -> torch.Tensor:
    """All places of a picture but the outermost, (n, 3) int64, as in `Sample`."""
    rows, columns = torch.meshgrid(
        torch.arange(1, height - 1), torch.arange(1, width - 1), indexing="ij"
    )
    return torch.stack([torch.full_like(rows, number), rows, columns], 2).flatten(0, 1)


def patches(
    images: list[torch.Tensor], places: torch.Tensor, *, stride: int, side: int
) -> torch.Tensor:
    """The pixels around places in pictures: (n, 3, side, side).

    images: each (1, 3, H, W), no side shorter than `side`.
    places: as in `Sample`.
    stride: pixels from one place to the next.
    side: of a patch, in pixels; at an edge it is moved inside.
    """
    crops = [
        features.crop(images[i], (r + 0.5) * stride, (c + 0.5) * stride, side=side)[0]
        for i, r, c in places.tolist()
    ]
    return torch.cat(crops) if crops else torch.zeros(0, 3, side, side)


def layout(vectors: torch.Tensor, *, seed: int | None = None) -> torch.Tensor:
    """A map of activations: t-SNE in two dimensions.

    van der Maaten, Hinton 2008. Seen from their mean, vectors get length 1, so that directions
    decide; fifty principal components of them are laid out.

    vectors: (n, C).
    seed: None starts from the first two components; a number from places drawn at random.
    Returns (n, 2) in [0, 1].
    Raises ValueError for what are no vectors, or too few.
    """
    # here, since they are slow to import and a lesson reads its maps from a file
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if vectors.dim() != 2 or len(vectors) < 100:
        raise ValueError(f"At least 100 vectors (n, C) are wanted; {described(vectors)} came.")
    unit = F.normalize(vectors - vectors.mean(0), dim=1).cpu().numpy()
    fewer = PCA(min(50, unit.shape[1]), random_state=0).fit_transform(unit)
    start = "pca" if seed is None else "random"
    points = TSNE(init=start, random_state=seed or 0).fit_transform(fewer)
    low, high = points.min(0), points.max(0)
    return torch.from_numpy((points - low) / (high - low))


def cell_numbers(points: torch.Tensor, *, grid: int = GRID) -> torch.Tensor:
    """The cell in which each point lies, counted row by row from the upper left: (n,) int64.

    points: (n, 2) in [0, 1], across and down; the far edges belong to the last cells.
    grid: cells along a side.
    Raises ValueError for points outside.
    """
    validate_count(grid=grid)
    if points.dim() != 2 or points.shape[1] != 2 or not ((points >= 0) & (points <= 1)).all():
        raise ValueError(f"Points (n, 2) in [0, 1] are wanted; {described(points)} came.")
    column, row = (points * grid).long().clamp(max=grid - 1).unbind(1)
    return row * grid + column


def cells(points: torch.Tensor, vectors: torch.Tensor, *, grid: int = GRID) -> torch.Tensor:
    """What the cells of a map stand for: in each, the mean of the activations that lie there.

    Carter et al. 2019, "Aggregating multiple images".

    points: (n, 2) in [0, 1], across and down.
    vectors: the activations, (n, C).
    grid: cells along a side.
    Returns the means (grid², C), row by row from the upper left, 0 where a cell is empty.
    Raises ValueError for points outside, and vectors that are not as many.
    """
    number = cell_numbers(points, grid=grid)
    if vectors.dim() != 2 or len(vectors) != len(points):
        raise ValueError(
            f"A vector for each of {len(points)} points is wanted; {described(vectors)} came."
        )
    counts = number.bincount(minlength=grid**2)
    sums = vectors.new_zeros(grid**2, vectors.shape[1]).index_add(0, number, vectors)
    return sums / counts.clamp(min=1)[:, None]


def land(points: torch.Tensor, *, grid: int = GRID, fewest: int = FEWEST) -> torch.Tensor:
    """Which cells of a map have enough points to be worth drawing: (grid²,) bool.

    points: (n, 2) in [0, 1].
    grid: cells along a side.
    fewest: as many are enough.
    """
    validate_count(fewest=fewest)
    return cell_numbers(points, grid=grid).bincount(minlength=grid**2) >= fewest


def towards(layer: str, directions: torch.Tensor) -> dreams.Objective:
    """A picture's activations should point in a direction: h·v · cos(h, v)², a mean over places.

    Carter et al. 2019, "Looking at a single image", n = 2; there at one place. A cosine below .1
    counts as .1, as in their code, so that there is a way uphill from anywhere.

    layer: of maps.
    directions: v, one a picture, (N, C).
    """
    unit = F.normalize(directions, dim=1)[:, :, None, None]

    def value(_, out):
        h = out[layer]
        along = (h * unit.to(h)).sum(1)
        cosine = along / (h.norm(dim=1) + 1e-4)
        return (along * cosine.clamp(min=0.1).square()).mean((1, 2))

    return dreams.Objective([layer], value)


def draw(
    model: nn.Module, layer: str, directions: torch.Tensor, *, size: int = DRAWN, steps: int = 96
) -> torch.Tensor:
    """What a layer would like to see in order to say this: a drawing for each direction.

    Each starts from the same noise, so it does not matter in which company a direction is drawn.

    layer: of maps.
    directions: (N, C).
    size: the drawings' side in pixels.
    steps: of `dreams.visualise`.
    Returns (N, 3, size, size) in [0, 1].
    """
    wish = towards(layer, directions)
    return dreams.visualise(model, wish, count=len(directions), size=size, steps=steps)


@torch.no_grad()
def loudest(model: nn.Module, layer: str, vectors: torch.Tensor) -> torch.Tensor:
    """The class that a network would name if a layer said this everywhere: (n,) int64.

    Everywhere means 7 × 7 places, as many as the last block has in a picture of 224 pixels. Below
    the last block the class depends on how many there are.

    vectors: (n, C), of the layer.
    """
    head = concepts.above(model, layer, image=torch.zeros(1, 3, 32, 32))
    return head(vectors[:, :, None, None].repeat(1, 1, 7, 7)).argmax(1)


def in_cell(points: torch.Tensor, cell: int, *, grid: int = GRID) -> torch.Tensor:
    """Which points lie in a cell, those nearest its middle first: their places, (m,) int64.

    points: (n, 2) in [0, 1].
    cell: its number, row by row from the upper left.
    grid: cells along a side.
    """
    found = (cell_numbers(points, grid=grid) == cell).nonzero()[:, 0]
    row, column = divmod(cell, grid)
    away = (points[found] * grid - torch.tensor([column + 0.5, row + 0.5])).norm(dim=1)
    return found[away.argsort(stable=True)]


def opened(chart: Atlas, cell: int, *, k: int = 12, side: int = 80) -> torch.Tensor:
    """The real patches behind a cell, those nearest its middle first: (at most k, 3, side, side).

    cell: its number, row by row from the upper left.
    k: how many.
    side: of a patch, in pixels.
    """
    validate_count(k=k)
    places = chart.places[in_cell(chart.points, cell)[:k]]
    return patches(chart.images, places, stride=chart.stride, side=side)


def tiles(chart: Atlas, *, side: int = 80) -> torch.Tensor:
    """The real patch nearest the middle of each cell: (GRID², 3, side, side), black where none is.

    side: of a patch, in pixels.
    """
    found = torch.zeros(GRID**2, 3, side, side)
    for cell in cell_numbers(chart.points).unique().tolist():
        found[cell] = opened(chart, cell, k=1, side=side)[0]
    return found


def neighbours(points: torch.Tensor, *, k: int = 10) -> torch.Tensor:
    """The k nearest others of each of n points (n, d), the nearest first: (n, k) int64."""
    return strangers(points, torch.arange(len(points), device=points.device), k=k)


def kept(one: torch.Tensor, other: torch.Tensor) -> float:
    """What share of each point's neighbours it has on another map as well, 0 to 1.

    one, other: (n, k), as `neighbours` gives them.
    """
    return (one[:, :, None] == other[:, None]).any(2).float().mean().item()


def strangers(points: torch.Tensor, pictures: torch.Tensor, *, k: int = 10) -> torch.Tensor:
    """The k nearest of each point that come from another picture: (n, k) int64.

    points: (n, 2).
    pictures: the number of each one's picture, (n,).
    """
    validate_count(k=k)
    apart = torch.cdist(points.float(), points.float())
    apart[pictures[:, None] == pictures] = torch.inf
    return apart.topk(k, largest=False).indices


def nearest(vectors: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """For each vector (m, C) the known one (n, C) that points most nearly the same way: (m,).

    t-SNE lays out what it is given and has no place for anything new. So whatever comes later is
    put where the known activation lies that is most like it.
    """
    return (F.normalize(vectors, dim=1) @ F.normalize(known, dim=1).T).argmax(1)


def middle(model: nn.Module, layer: str, *, side: int = 2) -> Speaker:
    """A function that reads what a layer says of the middle of images.

    layer: of maps.
    side: how many places across and down.
    Returns a function: images (N, 3, H, W) -> (N, side², C), with gradients.
    """
    validate_count(side=side)

    def read(images: torch.Tensor) -> torch.Tensor:
        maps = activations.read_maps(model, images, layer)
        top, left = ((length - side) // 2 for length in maps.shape[2:])
        return maps[:, :, top : top + side, left : left + side].flatten(2).mT

    return read


@with_gradients
def move(
    read: Speaker,
    images: torch.Tensor,
    targets: torch.Tensor,
    *,
    eps: float,
    steps: int = 20,
) -> torch.Tensor:
    """Images that hardly change, and of which a network says something else: PGD on activations.

    Sabour et al. 2016, arXiv:1511.05122, with the steps of Madry et al. 2018. What rises is the
    cosine between the activations and the target, a mean over places. A step is ε/4.

    read: images -> activations (N, places, C), such as `middle` makes.
    images: (N, 3, H, W) in [0, 1].
    targets: the activation to be reached, one an image, (N, C).
    eps: how far a pixel may move.
    steps: how many.
    Returns (N, 3, H, W) in [0, 1], no pixel further away than eps.
    Raises ValueError for images outside [0, 1], targets that do not fit, and a negative ε.
    """
    validate_images(images)
    validate_number(eps=eps, at_least=0)
    validate_count(steps=steps)
    x = images.detach()
    for _ in range(steps):
        x = x.clone().requires_grad_(True)
        said = read(x)
        if targets.shape != (len(said), said.shape[-1]):
            raise ValueError(
                f"A target for each image is wanted, ({len(said)}, {said.shape[-1]}); the targets'"
                f" shape is {tuple(targets.shape)}."
            )
        alike = F.cosine_similarity(said, targets.to(said)[:, None], dim=-1).mean(1)
        step = eps / 4 * gradient_of(alike.sum(), x).sign()
        x = (images + (x.detach() + step - images).clamp(-eps, eps)).clamp(0, 1)
    return x.detach()


def stored(name: str) -> Atlas:
    """A map that came with the course: of a layer, or one of the twins of the middle layer's.

    name: one of `STRIDES`.
    Raises ValueError for another name, FileNotFoundError or ValueError where the file is missing or
        damaged.
    """
    if name not in STRIDES:
        raise unknown("map", name, STRIDES)
    kept = load_file(data.shipped(FILE))
    drawings = torch.zeros(0, 3, DRAWN, DRAWN)
    if f"{name}.sheet" in kept:
        drawings = apart(data.photo(kept[f"{name}.sheet"].numpy().tobytes()).cpu())
    places = kept[f"{MAIN if name in TWINS else name}.places"].long()
    images = list(scenes(size=SQUARE if name == DINO else None).values())
    return Atlas(images, places, STRIDES[name], kept[f"{name}.points"].float(), drawings)


def apart(sheet: torch.Tensor) -> torch.Tensor:
    """The tiles of a sheet (1, 3, GRID · s, GRID · s), row by row: (GRID², 3, s, s)."""
    side = sheet.shape[-1] // GRID
    tiles = sheet[0].unflatten(2, (GRID, side)).unflatten(1, (GRID, side))
    return tiles.permute(1, 3, 0, 2, 4).flatten(0, 1)


def together(tiles: torch.Tensor) -> torch.Tensor:
    """Tiles (GRID², 3, s, s), row by row, as one sheet (1, 3, GRID · s, GRID · s)."""
    rows = tiles.unflatten(0, (GRID, GRID)).permute(2, 0, 3, 1, 4)
    return rows.flatten(3, 4).flatten(1, 2)[None]


def make() -> dict[str, torch.Tensor]:
    """Every map of `STRIDES`, laid out and drawn anew: what the file holds."""
    net = models.imagenet()
    images = list(scenes().values())
    samples = {layer: collect(net, images, layer) for layer in DRAWN_LAYERS}
    squares = list(scenes(size=SQUARE).values())
    samples[DINO] = collect(models.dinov2(), squares, DINO)
    kept = {f"{name}.places": s.places.to(torch.int16) for name, s in samples.items()}
    places = samples[MAIN].places
    twin = collect(features.untrained(net), images, MAIN, places=places)
    around = patches(images, places, stride=STRIDES[MAIN], side=64)
    small = F.interpolate(around, (8, 8), mode="area")
    vectors = {name: s.vectors for name, s in samples.items()}
    vectors |= {
        "another start": samples[MAIN].vectors,
        "untrained": twin.vectors,
        "pixels": small.flatten(1).cpu(),
    }
    for name, found in progress_bar(vectors.items(), "maps"):
        points = layout(found, seed=1 if name == "another start" else None).half()
        kept[f"{name}.points"] = points
        if name in DRAWN_LAYERS:
            kept[f"{name}.sheet"] = drawn_sheet(net, name, points.float(), found)
    return kept


def drawn_sheet(
    model: nn.Module, layer: str, points: torch.Tensor, vectors: torch.Tensor
) -> torch.Tensor:
    """The drawings of all cells that have enough activations, as the bytes of a JPEG.

    points: of the map, (n, 2).
    vectors: the layer's activations there, (n, C).
    """
    means = cells(points, vectors)
    tiles = torch.zeros(GRID**2, 3, DRAWN, DRAWN)
    for some in land(points).nonzero()[:, 0].split(32):
        tiles[some] = draw(model, layer, means[some]).cpu()
    file = io.BytesIO()
    Image.fromarray(data.to_bytes(together(tiles))).save(file, "JPEG", quality=85)
    return torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)
