"""Pictures, paintings, digits, clothes, tables and texts, as tensors and frames; your own photos.

All of it lies in data/ and needs no network, but for CIFAR-10 and the complete sets (full=True).

Pictures are float32 tensors (N, 3, H, W) with values in [0, 1]; digits and clothes (N, 1, 28, 28).
They live on `device()`.
"""

import csv
import functools
import hashlib
import io
import math
import os
import pathlib
import re
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps

from trickkit.common import unknown, validate_count, whole_number
from trickkit.contract import described, device, validate_batch
from trickkit.folders import DATA, IN_CHECKOUT

if TYPE_CHECKING:  # only the tables want pandas, and they import it themselves
    import pandas as pd

# what is opened; Pillow reads forty more, and starts a program for some
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF")
OTHERS = {  # what else people have -> how such a file begins
    "a HEIC photo": rb"(?s)....ftyp(hei|hev|mif|msf)",
    "a JPEG XL photo": rb"(?s)\xff\x0a|....JXL ",
    "a PDF": rb"%PDF",
    "an SVG drawing": rb"(?si)(\xef\xbb\xbf)?\s*(<\?xml.*?|<!--.*?-->\s*)?<(!doctype )?svg",
    "a PostScript drawing": rb"%!|\xc5\xd0\xd3\xc6",
    "a Photoshop file": rb"8BPS",
    "a web page": rb"(?si)\s*<(!doctype )?html",
}
TURNS = {  # EXIF's Orientation -> what puts the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
LARGEST_FILE = 40_000_000  # bytes
# pixels: a phone takes 12 to 48 million; a decompression bomb claims billions
LARGEST_PHOTO = 50_000_000
CLOTHES = (
    "t-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "boot",
)
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Split(NamedTuple):
    """A data set in its two parts.

    train_images, test_images: float in [0, 1], (N, C, H, W).
    train_labels, test_labels: int64, (N,).
    names: a word a class.
    """

    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    names: tuple[str, ...]


def _restore(file: str) -> str:
    """What brings a file of the course back, as a sentence."""
    if IN_CHECKOUT:
        return f"Restore it with `git checkout -- data/{file}`."
    return (
        "Install the course once more, trickkit-core and trickkit-weights, the way you did (with"
        " pip: --force-reinstall --no-deps)."
    )


@functools.cache
def sources() -> dict[str, dict[str, str]]:
    """The rows of data/SOURCES.csv, by each file's path in data/.

    Returns title, author, licence, source, size and sha256 of every file.
    Raises FileNotFoundError where the table is missing.
    """
    if not (DATA / "SOURCES.csv").exists():
        raise FileNotFoundError(
            f"{DATA / 'SOURCES.csv'} is missing, and so perhaps are all of the course's data."
            f" {_restore('SOURCES.csv')}"
        )
    with open(DATA / "SOURCES.csv", encoding="utf-8", newline="") as f:
        return {row["file"]: row for row in csv.DictReader(f)}


def shipped(file: str) -> pathlib.Path:
    """The path of a file in data/, once its bytes are seen to be the ones that were shipped.

    file: path below data/, such as "pictures/panda.jpg".
    Raises FileNotFoundError if it is missing, ValueError if it is damaged or not one of the
        course's.
    """
    if file not in sources():
        raise unknown("file in data/", file, sources())
    path = DATA / file
    if not path.exists():
        raise FileNotFoundError(f"data/{file} is missing. {_restore(file)}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != sources()[file]["sha256"]:
        raise ValueError(
            f"data/{file} is damaged: its checksum is not the one in data/SOURCES.csv."
            f" {_restore(file)}"
        )
    return path


def _names(folder: str) -> list[str]:
    return [pathlib.Path(f).stem for f in sources() if f.startswith(folder + "/")]


def picture_names() -> list[str]:
    """The names of the photographs."""
    return _names("pictures")


def painting_names() -> list[str]:
    """The names of the paintings."""
    return _names("paintings")


def scene_names() -> list[str]:
    """The names of the scenes."""
    return _names("scenes")


def _by_name(
    what: str, name: str, names: list[str], *, folder: str, size: int | None
) -> torch.Tensor:
    if name not in names:
        raise unknown(what, name, names)
    return photo(shipped(f"{folder}/{name}.jpg"), size=size)


def picture(name: str, *, size: int | None = None) -> torch.Tensor:
    """A photograph of the course, by name: (1, 3, H, W) in [0, 1].

    name: one of `picture_names`.
    size: pixels of a centred square; None keeps the whole photograph as it is.
    Raises ValueError for an unknown name, with the nearest ones.
    """
    return _by_name("picture", name, picture_names(), folder="pictures", size=size)


def painting(name: str, *, size: int | None = None) -> torch.Tensor:
    """A painting of the course, by name: (1, 3, H, W) in [0, 1].

    name: one of `painting_names`.
    size: as in `picture`.
    Raises ValueError for an unknown name, with the nearest ones.
    """
    return _by_name("painting", name, painting_names(), folder="paintings", size=size)


def scene(name: str, *, size: int | None = None) -> torch.Tensor:
    """A photograph to paint or to dream on, by name: (1, 3, H, W) in [0, 1].

    Scenes show no animal and no single thing. What a lesson measures on all photographs, it
    measures on `picture_names`, which leave them out.

    name: one of `scene_names`.
    size: as in `picture`.
    Raises ValueError for an unknown name, with the nearest ones.
    """
    return _by_name("scene", name, scene_names(), folder="scenes", size=size)


def any_photo(name: str, *, size: int | None = None) -> torch.Tensor:
    """One of the course's pictures or scenes, by name: (1, 3, H, W) in [0, 1].

    name: one of `picture_names` or `scene_names`.
    size: as in `picture`.
    Raises ValueError for an unknown name, with the nearest pictures.
    """
    return scene(name, size=size) if name in scene_names() else picture(name, size=size)


def photo(
    source: str | os.PathLike | bytes | bytearray | memoryview | io.BytesIO,
    *,
    size: int | None = None,
    max_side: int | None = None,
) -> torch.Tensor:
    """Your own photograph: (1, 3, H, W) in [0, 1].

    Grey, palette, CMYK and transparent pictures are turned to RGB (transparency over white); the
    camera's rotation is applied, where the file tells it rightly. Of a film it is the first frame.

    source: a path, or the bytes of a file.
    size: as in `picture`.
    max_side: pixels that its longer side may have; a larger photo is made smaller, which costs far
        less memory here than afterwards. None for any number.
    Raises FileNotFoundError for a path that is not there; ValueError for a size that is no whole
        number of at least 1, and for a file that cannot be opened, is no picture of one of the
        `FORMATS`, is cut short, or is larger than 40 MB or 50 million pixels.
    """
    side, most = (_pixels(n, what) for n, what in ((size, "size"), (max_side, "max_side")))
    image = _decoded(*_named_content(source))
    if most:
        image.thumbnail((most, most), Image.Resampling.BICUBIC)
    if side:
        image = ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)
    return pixels.permute(2, 0, 1).unsqueeze(0).contiguous().to(device())


def _pixels(count: int | None, what: str) -> int | None:
    """A number of pixels as Python's own int, or None."""
    pixels = whole_number(count)
    if count is not None and not (pixels and 1 <= pixels <= math.isqrt(LARGEST_PHOTO)):
        raise ValueError(
            f"{what} is {count!r}; it wants a whole number of pixels, from 1 to"
            f" {math.isqrt(LARGEST_PHOTO)}, or None for the whole photo."
        )
    return pixels


def _named_content(source: object) -> tuple[str, bytes]:
    """What an error calls a file, and its bytes."""
    if isinstance(source, io.BytesIO) and source.closed:
        raise ValueError("The file is closed. Read the photo before closing it.")
    content = source.getvalue() if isinstance(source, io.BytesIO) else source
    if isinstance(content, bytes | bytearray | memoryview):
        named = "The file"
        length = memoryview(content).nbytes
    elif isinstance(content, str | os.PathLike):
        content = _checked_path(content)
        named = repr(content.name)[1:-1]
        length = content.stat().st_size
    else:
        raise ValueError(
            f"A photo's path or the bytes of its file are wanted; a {type(source).__name__} came."
        )
    if length == 0:
        raise ValueError(f"{named} is empty. Save or download it again.")
    if length > LARGEST_FILE:
        raise ValueError(
            f"{named} is larger than {LARGEST_FILE // 10**6} MB. Save a smaller copy of the photo"
            " and use that."
        )
    try:
        return named, content.read_bytes() if isinstance(content, pathlib.Path) else bytes(content)
    except OSError as error:
        raise ValueError(f"{named} cannot be read: {error.strerror}.") from error


def _checked_path(source: str | os.PathLike) -> pathlib.Path:
    """The path of a file; no folder, and nothing that would be waited for, such as a pipe."""
    shown = repr(os.fspath(source))[1:-1][:200]
    if not shown:
        raise FileNotFoundError("The path is empty. Give the path of a photo.")
    try:
        file = pathlib.Path(source).expanduser()
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(
            f"There is no file {shown}. Give the path of a photo, or use data.picture with one"
            f" of: {', '.join(picture_names())}."
        ) from error
    except (OSError, ValueError, RuntimeError, TypeError) as error:  # such as a name too long
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise ValueError(f"{shown} cannot be opened as a file: {reason}.") from error
    if stat.S_ISDIR(mode):
        raise FileNotFoundError(f"{shown} is a folder. Give the path of one photo in it.")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{shown} is a pipe or a device. Give the path of a photo.")
    return file


def _decoded(named: str, content: bytes) -> Image.Image:
    """The picture in a file, in RGB and upright."""
    Image.init()  # AVIF is there only where Pillow was built with it
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        opened = Image.open(io.BytesIO(content), formats=formats)
    except Exception as error:  # Pillow names a damaged file in many ways
        kind = next((kind for kind, begin in OTHERS.items() if re.match(begin, content)), None)
        raise ValueError(
            f"{named} is {kind or 'not a picture that can be read'}. A JPEG, PNG, GIF, WebP, AVIF,"
            " BMP or TIFF photo is wanted" + (": export it as one." if kind else ".")
        ) from error
    if opened.width * opened.height > LARGEST_PHOTO:
        raise ValueError(
            f"{named} claims {opened.width} × {opened.height} pixels, more than"
            f" {LARGEST_PHOTO // 10**6} million. Save a smaller copy of the photo and use that."
        )
    deep = any("16" in str(tile[3]) for tile in opened.tile)  # bits of each colour, of which
    try:
        with opened:
            opened.load()
            return _in_rgb(_upright(opened), deep=deep)
    except _Unclear as error:
        raise ValueError(f"{named} {error} Save it as an 8-bit PNG or a JPEG.") from error
    except Exception as error:  # in many ways here too
        raise ValueError(
            f"{named} is damaged or cut short ({error}). Save or download it again."
        ) from error


class _Unclear(Exception):
    """A whole file, whose numbers can be read as colours in more than one way."""


def _upright(image: Image.Image) -> Image.Image:
    """A picture turned as its camera was held, or as it lies where that cannot be made out."""
    try:
        held: Any = image.getexif().get(0x0112)
        turn = TURNS.get(held[0] if isinstance(held, tuple) else held)
    except Exception:  # odd tags of any kind; what they say is not worth the photo
        turn = None
    return image if turn is None else image.transpose(turn)


def _in_rgb(image: Image.Image, *, deep: bool) -> Image.Image:
    """A picture of any mode in RGB, what is transparent over white.

    deep: whether the file keeps 16 bits of each colour, of which Pillow takes the upper 8.
    """
    if image.mode.startswith(("I", "F")):
        image = _in_grey(np.asarray(image, dtype=np.float64))
    elif deep and np.asarray(image.convert("RGB")).max() < 16:
        raise _Unclear("is all but black, unless it uses fewer than its 16 bits.")
    if image.mode == "LAB":
        raise _Unclear("keeps its colours as L*a*b*.")
    if image.mode == "La":
        image = image.convert("LA")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _in_grey(levels: np.ndarray) -> Image.Image:
    """Grey levels that Pillow would cut off at 255, as 8 bits.

    levels: (H, W). White is 1 or, where they go further up, 255, 4,095 or 65,535, of 8, 12 and 16
        bits. A tenth of that below black is black.
    """
    top = levels.max()
    white = 1 if top < 2 else next((w for w in (255, 4095, 65535) if top <= w), 0)
    if not levels.min() >= -white / 10 or not white:  # written so that NaN fails too
        raise _Unclear(
            f"holds grey levels from {levels.min():g} to {top:g}; 0 to 1, to 255 or to 65535 are"
            " wanted."
        )
    return Image.fromarray((levels.clip(0, white) / (white / 255)).round().astype(np.uint8))


def scaled(image: torch.Tensor, *, side: int) -> torch.Tensor:
    """An image smaller or larger, its proportions kept, up to rounding.

    image: (1, C, H, W) in [0, 1].
    side: the length its longer side gets, in pixels.
    Raises ValueError for what is no image, and a side that is no whole number of at least 1.
    """
    validate_batch(image)
    validate_count(side=side)
    height, width = (max(1, round(side * n / max(image.shape[2:]))) for n in image.shape[2:])
    wide = image.to(torch.promote_types(image.dtype, torch.float32))  # halves it cannot average
    return (
        torch.nn.functional.interpolate(wide, (height, width), mode="bicubic", antialias=True)
        .clamp(0, 1)
        .to(image.dtype)
    )


def to_bytes(image: torch.Tensor) -> np.ndarray:
    """One image as whole grey levels, the way a file keeps it: (H, W, 3) uint8.

    image: (1, 3, H, W), (1, 1, H, W), or the same without the first axis, in [0, 1]; rounded to the
        nearest of 256 levels.
    Raises ValueError for another shape, and pixels that are not finite.
    """
    if not isinstance(image, torch.Tensor) or not image.isfinite().all():
        raise ValueError(
            f"One image is wanted, (1, 3, H, W) in [0, 1], all finite; {described(image)} came."
        )
    pixels = image.detach().cpu()
    if pixels.dim() == 4 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.dim() != 3 or pixels.shape[0] not in (1, 3):
        raise ValueError(
            f"One image is wanted, (3, H, W) or (1, 3, H, W); this has shape {tuple(image.shape)}."
        )
    levels = (as_saved(pixels) * 255).round().to(torch.uint8)
    return levels.expand(3, -1, -1).permute(1, 2, 0).numpy()


def as_saved(images: torch.Tensor) -> torch.Tensor:
    """What is left of images (N, C, H, W) once a file has kept them.

    Each pixel lies at the nearest of its 256 grey levels.

    Raises ValueError for what is no tensor of floats.
    """
    if not isinstance(images, torch.Tensor) or not images.is_floating_point():
        raise ValueError(f"Images are wanted as floats in [0, 1]; {described(images)} came.")
    return (images.clamp(0, 1) * 255).round() / 255


def png(image: torch.Tensor) -> bytes:
    """One image (1, 3, H, W) in [0, 1] as the bytes of a PNG file.

    It keeps every pixel's 256 levels exactly.
    """
    file = io.BytesIO()
    Image.fromarray(to_bytes(image)).save(file, "PNG")
    return file.getvalue()


def attribution(*names: str) -> str:
    """Who made the named pictures, paintings or scenes, and under which licence: a sentence to
    print below.

    Raises ValueError for an unknown name, with the nearest ones.
    """
    parts = []
    for name in names:
        folders = ("pictures/", "paintings/", "scenes/")
        file = next(
            (f for f in sources() if pathlib.Path(f).stem == name and f.startswith(folders)), None
        )
        if file is None:
            known = picture_names() + painting_names() + scene_names()
            raise unknown("picture, painting or scene", name, known)
        row = sources()[file]
        parts.append(f"{row['title']}: {row['author']}, {row['licence']}")
    return "; ".join(parts) + "."


def _split(file: str, names: tuple[str, ...]) -> Split:
    with np.load(shipped(file)) as z:
        images = [
            torch.from_numpy(z[k]).unsqueeze(1).float().div(255)
            for k in ("train_images", "test_images")
        ]
        labels = [torch.from_numpy(z[k]).long() for k in ("train_labels", "test_labels")]
    return _placed((images[0], labels[0], images[1], labels[1]), names)


def _placed(parts: Iterable[torch.Tensor], names: tuple[str, ...]) -> Split:
    train_images, train_labels, test_images, test_labels = (part.to(device()) for part in parts)
    return Split(train_images, train_labels, test_images, test_labels, names)


def cache() -> pathlib.Path:
    """The folder, outside the repository, that keeps what was downloaded: $TORCH_HOME/datasets."""
    return pathlib.Path(torch.hub.get_dir()).parent / "datasets"


def _complete(name: str, names: tuple[str, ...]) -> Split:
    import torchvision

    parts = []
    for train in (True, False):
        try:
            part = getattr(torchvision.datasets, name)(cache(), train=train, download=True)
        except (OSError, RuntimeError) as error:
            raise FileNotFoundError(
                f"The complete {name} is not in {cache()} and could not be downloaded. Connect to"
                " the network once, or leave out full=True to use the part that is shipped."
            ) from error
        images = torch.as_tensor(part.data)
        images = images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2)
        parts += [images.float().div(255).contiguous(), torch.as_tensor(part.targets).long()]
    return _placed(parts, names)


def digits(*, full: bool = False) -> Split:
    """Handwritten digits: 4,000 to train and 1,000 to test, (N, 1, 28, 28) in [0, 1].

    MNIST; LeCun, Cortes, Burges.

    full: all 60,000 + 10,000, downloaded once into `cache()`.
    Raises FileNotFoundError where that cannot be.
    """
    names = tuple("0123456789")
    return _complete("MNIST", names) if full else _split("datasets/mnist_5k.npz", names)


def clothes(*, full: bool = False) -> Split:
    """Clothes: 10,000 to train and 2,000 to test, (N, 1, 28, 28) in [0, 1].

    Fashion-MNIST; Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747.

    full: all 60,000 + 10,000, as in `digits`.
    Raises FileNotFoundError where that cannot be.
    """
    return (
        _complete("FashionMNIST", CLOTHES)
        if full
        else _split("datasets/fashion_mnist_12k.npz", CLOTHES)
    )


def cifar10() -> Split:
    """CIFAR-10, all of it: 50,000 + 10,000 colour images, (N, 3, 32, 32) in [0, 1].

    Krizhevsky 2009.

    It is not shipped, but downloaded once into `cache()`.

    Raises FileNotFoundError where that cannot be.
    """
    return _complete("CIFAR10", CIFAR10)


def bounding_boxes() -> "pd.DataFrame":
    """Where the thing in each of ten photographs is, for the pointing game.

    Drawn by hand for this course; of two lemurs, the one in front.

    Returns a pandas frame: picture; class, ImageNet's name; left, top, right and bottom, in pixels
        of the picture at size 224.
    """
    import pandas as pd

    return pd.read_csv(shipped("tables/boxes.csv"))


def titanic() -> "pd.DataFrame":
    """Everyone aboard the Titanic, 2,201 people.

    Dawson 1995.

    Returns a pandas frame: class, sex, age and survived (0 or 1).
    """
    import pandas as pd

    counts = pd.read_csv(shipped("tables/titanic.csv"))
    return (
        counts.loc[counts.index.repeat(counts["people"])]
        .drop(columns="people")
        .reset_index(drop=True)
    )


def german_credit() -> "pd.DataFrame":
    """German credit, 1,000 loans.

    Hofmann, UCI.

    Its column `sex` is left out: what it calls female is a code that also stands for single men
    (Grömping 2019, who corrected the list of codes), so that nothing can be said of women by it.

    Returns a pandas frame; its risk is 1 for good, 0 for bad.
    """
    import pandas as pd

    return pd.read_csv(shipped("tables/german_credit.csv")).drop(columns="sex")


def compas() -> "pd.DataFrame":
    """COMPAS scores of Broward County, 2013 and 2014: 7,214 people, counted.

    Larson, Mattu, Kirchner and Angwin (ProPublica 2016), from the records of the sheriff and the
    courts. No row is a person: only counts are carried.

    Returns a pandas frame: race (Black, white or other), sex, screened (before or from April 2014),
        decile (1 to 10), reoffended (0 or 1: charged again within two years, by ProPublica's
        count) and people, how many.
    """
    import pandas as pd

    return pd.read_csv(shipped("tables/compas_counts.csv"))


def compas_months() -> "pd.DataFrame":
    """The people of `compas`, counted by the month in which they were screened.

    Returns a pandas frame: month ("2013-01"), group (Black, white or other), high (1 for a decile
        of 5 and above), reoffended (0 or 1) and people, how many.
    """
    import pandas as pd

    return pd.read_csv(shipped("tables/compas_months.csv"))


def credit_scores() -> "pd.DataFrame":
    """Credit scores of 2003, and how many of those who had them did not pay.

    Board of Governors of the Federal Reserve System, Report to the Congress on Credit Scoring
    (2007); the scores are TransUnion's TransRisk, scaled to 0 to 100.

    Returns a pandas frame, 198 scores for each of four groups: group, people (how many in the
        group), score, at_or_below (% of the group with at most this score) and bad (% of those
        near this score who failed to pay).
    """
    import pandas as pd

    return pd.read_csv(shipped("tables/credit_scores.csv"))


def census() -> "pd.DataFrame":
    """15,000 answers to the American census bureau's survey of 1994.

    Becker and Kohavi, UCI ("Adult").

    Returns a pandas frame: age, workclass, education, marital_status, occupation, relationship,
        race, sex, hours_per_week and over_50k (1 for who earns more than $50,000 a year).
    """
    import pandas as pd

    return pd.read_csv(shipped("tables/census_1994.csv"))


def bike_hours() -> "pd.DataFrame":
    """Hired bicycles in Washington, hour by hour, 2011 and 2012: 17,379 hours of 17,544.

    Fanaee-T and Gama (UCI 2013), from the records of Capital Bikeshare.

    Returns a pandas frame in the order of time: date, hour, season, holiday, workday, weather,
        temperature and feels_like (degrees Celsius), humidity (%), wind (km/h), casual and
        registered (riders), and rides, both together.
    """
    import pandas as pd

    hours = pd.read_csv(shipped("tables/bike_hours.csv"), parse_dates=["date"])
    return hours.assign(rides=hours["casual"] + hours["registered"])


def tic_tac_toe() -> "pd.DataFrame":
    """Every way a game of tic-tac-toe can end, x first: 958 boards.

    The same as Aha's endgames (UCI 1991), played out here.

    Returns a pandas frame: nine squares of x, o or empty, and x_wins (0 or 1).
    """
    import pandas as pd

    squares = [
        f"{row} {column}"
        for row in ("top", "middle", "bottom")
        for column in ("left", "centre", "right")
    ]
    lines = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]

    def won(board, mark):
        return any(all(board[i] == mark for i in line) for line in lines)

    @functools.cache  # many games come by the same board
    def ends(board, mark, other):
        if won(board, other) or "empty" not in board:
            return {board}
        return set().union(
            *(
                ends((*board[:i], mark, *board[i + 1 :]), other, mark)
                for i in range(9)
                if board[i] == "empty"
            )
        )

    boards = sorted(ends(("empty",) * 9, "x", "o"))
    return pd.DataFrame(boards, columns=squares).assign(
        x_wins=[int(won(board, "x")) for board in boards]
    )


def hackers_and_prophets() -> "pd.DataFrame":
    """6,000 sentences of the Jargon File and the King James Bible.

    Returns a pandas frame: source and text.
    """
    import pandas as pd

    return pd.read_csv(shipped("texts/hackers_and_prophets.csv"))
