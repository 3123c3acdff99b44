"""What the studio makes, and where it is kept: jobs that wait in one queue, each worked on in a
process of its own, and the galleries that their pictures go to. `trickkit.course.studio` serves it.
"""

import asyncio
import io
import multiprocessing
import os
import pathlib
import re
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import psutil
import torch
from PIL import Image

from trickkit import data, dreams, folders, models, style

SIDES = (128, 256, 512, 1024, 2048)  # of the sizes that a painting goes through
# What a process needs at its most, in bytes: so many to begin with and so many a pixel (`python
# benchmarks/bench_studio.py`).
NEEDS = {"paint": (1.0e9, 4500), "dream": (1.0e9, 1500)}
# Seconds that a step takes for each pixel, and that pass before the first: a guess for two cores,
# as long as none was made here.
PACE = {"paint": 2e-5, "dream": 6e-7, "warmup": 6.0}
UNFINISHED = 5  # that one gallery may have in the queue
REMEMBERED = 10  # of a gallery's jobs that have ended
GOING = ("waiting", "working")


def home() -> pathlib.Path:
    """The folder that keeps what was made, outside the repository: $TRICKKIT_STUDIO, or
    trickkit_studio at home.
    """
    return pathlib.Path(os.environ.get("TRICKKIT_STUDIO", "~/trickkit_studio")).expanduser()


class Gallery:
    """A folder of finished pictures, which nobody but its owner can read.

    folder: that of all galleries.
    name: letters, digits and dashes, 40 at most.
    Raises ValueError for another name.
    """

    def __init__(self, folder: pathlib.Path, name: str):
        if not re.fullmatch(r"[A-Za-z0-9-]{1,40}", name):
            raise ValueError(
                f"A gallery's name is letters, digits and dashes, 40 at most; {name[:60]!r} came."
            )
        self.name = name
        self.folder = folder / name

    def keep(self, title: str, content: bytes) -> pathlib.Path:
        """Put a finished picture here, under a name of its own.

        Raises OSError where it cannot be written; then nothing of it lies here.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)  # also where it was there before
        words = re.sub(r"[^a-z0-9]+", "_", title.lower())[:40]
        stem = f"{time.strftime('%Y-%m-%d %H.%M.%S')} {words}"
        names = [f"{stem}.png", *(f"{stem} {i}.png" for i in range(2, 1000))]
        path = next(p for p in map(self.folder.joinpath, names) if not p.exists())
        folders.write_whole(path, content)
        return path

    def pictures(self, *, count: int) -> tuple[list[str], list[str]]:
        """The names of the newest pictures, and of what looks like one and cannot be shown.

        count: how many pictures at most.
        Raises OSError where the folder cannot be read.
        """
        shown: list[str] = []
        left_out: list[str] = []
        files = sorted(self.folder.glob("*.png"), reverse=True)
        for file in files:
            if len(shown) < count:
                (shown if thumbnail(file) else left_out).append(file.name)
        return shown, left_out

    def picture(self, name: str) -> pathlib.Path:
        """The file of a picture that lies here.

        Raises ValueError for what is none.
        """
        file = self.folder / name
        if pathlib.PurePath(name).name != name or not thumbnail(file):
            raise ValueError(f"There is no picture {name[:60]!r} in this gallery.")
        return file


THUMBNAILS: dict[tuple[pathlib.Path, int], bytes | None] = {}  # the newest 500 that were asked for


def thumbnail(file: pathlib.Path) -> bytes | None:
    """A finished picture, small, as the bytes of a JPEG; None for what cannot be read as one.

    It is made once, and again when the file changes.
    """
    try:
        stamp = file, file.stat().st_mtime_ns
        if stamp not in THUMBNAILS:
            THUMBNAILS[stamp] = None  # a file that cannot be read is not tried at each look
            THUMBNAILS[stamp] = jpeg(data.photo(file, max_side=480), side=480)
            for old in list(THUMBNAILS)[:-500]:
                THUMBNAILS.pop(old, None)
    except (OSError, ValueError):
        return None
    return THUMBNAILS[stamp]


def validate_memory(kind: str, shape: Sequence[int], *, side: int) -> None:
    """Raise ValueError if a picture wants more memory than is free now.

    kind: a key of NEEDS.
    shape: of the photo, (1, 3, H, W), for its proportions.
    side: pixels of the picture's longer side.
    """
    base, each = NEEDS[kind]
    square = each * min(shape[2:]) / max(shape[2:])  # bytes a pixel of the square that it fits into
    free = psutil.virtual_memory().available
    needed = base + square * side**2
    if needed > 0.9 * free:
        max_side = int(max(0.0, (0.9 * free - base) / square) ** 0.5)
        advice = "Close other programs"
        if max_side >= SIDES[0]:
            advice = f"Choose {max_side} pixels or fewer"
        raise ValueError(
            f"{side} pixels want {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free."
            f" {advice}."
        )


class Job:
    """One picture to be made, in a process of its own; its `state` says how it stands.

    `state` is "waiting", "working", "done", "cancelled" or "failed", and `why` says what went
    wrong; `share` is how much of the work is done, 0 to 1; `before` and `preview` are the photo and
    what has become of it, as the bytes of a JPEG, or None; `pace` is as much of a `PACE` as it has
    measured; `result` is the finished picture's file in the
    gallery; `made` is its bytes as long as it could not be written there.

    kind: "paint" or "dream".
    photo: (1, 3, H, W) in [0, 1].
    settings: `side`, pixels of the longer side, and `title`; to paint also `ratio`, `tv_weight`,
        `colours` (as in `paint_job`) and `minutes`; to dream `layer`, `octaves` and `steps`.
    gallery: where it is kept.
    painting: (1, 3, H, W) in [0, 1], whose style is painted in.
    Raises ValueError where the memory is too small, or the photo for so many octaves.
    """

    def __init__(
        self,
        kind: str,
        photo: torch.Tensor,
        settings: dict,
        *,
        gallery: Gallery,
        painting: torch.Tensor | None = None,
    ):
        validate_memory(kind, photo.shape, side=settings["side"])
        if kind == "dream":  # what it would refuse at its turn, it refuses now
            dreamt(torch.nn.Identity().eval(), photo, settings)
        self.id = secrets.token_hex(8)
        self.kind = kind
        self.shape = photo.shape
        self.settings = settings
        self.gallery = gallery
        self.state = "waiting"
        self.share = 0.0
        self.why = ""
        self.begun = 0.0
        self.pace: dict[str, float] = {}
        self.before = jpeg(limited(photo, side=settings["side"]))
        self.preview: bytes | None = None
        self.result: pathlib.Path | None = None
        self.made: bytes | None = None
        self.process: SpawnProcess | None = None
        # Kept in memory, and smaller than a photo's tensor: nothing lies about when all ends.
        self.images = [
            image if image is None else data.png(limited(image, side=settings["side"]))
            for image in (photo, painting)
        ]

    def cancel(self) -> None:
        """Give it up, waiting or working."""
        if self.state in GOING:
            self.state = "cancelled"
            if self.process and self.process.is_alive():
                self.process.kill()

    async def work(self) -> None:
        """Work in a process, take over how far it comes, and keep what it makes.

        Never raises for what happens to the process.
        """
        try:
            validate_memory(self.kind, self.shape, side=self.settings["side"])
        except ValueError as error:
            self.state, self.why = "failed", str(error)
            return
        self.state, self.begun = "working", time.monotonic()
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        self.process = context.Process(
            target=work, args=(sender, self.kind, self.settings, *self.images), daemon=True
        )
        try:
            await asyncio.to_thread(self.process.start)
        except OSError as error:
            self.state, self.why = "failed", f"No process could be started for it: {error}."
            return
        sender.close()  # the process has one of its own: when it ends, so does what comes
        try:
            while self.state == "working":
                self.take(*await asyncio.to_thread(receiver.recv))
        except (EOFError, OSError):  # a pipe that breaks is another system's end of file
            await asyncio.to_thread(self.process.join)
        finally:
            self.process.kill()
        self.images = []
        if self.state == "working":
            self.state = "failed"
            if self.process.exitcode == -9:
                self.why = "The system ended it, most likely for want of memory."
            else:
                self.why = f"Its process ended early, with exit code {self.process.exitcode}."

    def take(self, what: str, *values: Any) -> None:
        """Take over what the process tells: its "share" of the work, a preview and its pace, the
        picture that it "made", or "why" there is none.
        """
        if what == "share":
            if not self.preview:
                self.pace = {"warmup": time.monotonic() - self.begun}
            self.share, self.preview, pace = values
            self.pace |= pace
        elif what == "why":
            self.state, self.why = "failed", values[0]
        elif self.state == "working":
            self.state, self.share, self.made = "done", 1.0, values[0]
            self.keep()

    def keep(self) -> None:
        """Write what was made into the gallery; where that cannot be, it stays in memory."""
        if self.made is not None:
            try:
                self.result = self.gallery.keep(self.settings["title"], self.made)
                self.made, self.why = None, ""
            except OSError as error:
                self.why = (
                    f"It could not be written to the disk ({error.strerror}). Download it: it lies"
                    " in memory until there is room, or until the studio ends."
                )


class Queue:
    """What was asked for, by everyone, and is made one at a time in that order."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.news = asyncio.Event()

    def of(self, gallery: Gallery) -> list[Job]:
        """A gallery's jobs, the newest first."""
        return [job for job in reversed(self.jobs) if job.gallery.name == gallery.name]

    def put(self, job: Job) -> None:
        """Let a job wait for its turn.

        Raises ValueError if its gallery has too many that do.
        """
        mine = self.of(job.gallery)
        if sum(other.state in GOING for other in mine) >= UNFINISHED:
            raise ValueError(
                f"{UNFINISHED} of your pictures are waiting or being made. Wait for one of them, or"
                " cancel one."
            )
        ended = [other for other in mine if other.state not in GOING and other.made is None]
        for old in ended[REMEMBERED - 1 :]:
            self.jobs.remove(old)
        self.jobs.append(job)
        self.news.set()

    def before(self, job: Job) -> int:
        """How many are made before a job."""
        return sum(other.state in GOING for other in self.jobs[: self.jobs.index(job)])

    def pace(self) -> dict[str, float]:
        """A `PACE` as the newest jobs have measured it."""
        pace = dict(PACE)
        for job in self.jobs:
            pace |= job.pace
        return pace

    async def run(self) -> None:
        """Work on one after the other, until cancelled.

        What could not be written is tried again between them, and every ten seconds.
        """
        while True:
            for job in self.jobs:
                job.keep()
            waiting = next((job for job in self.jobs if job.state == "waiting"), None)
            if waiting:
                await waiting.work()
            else:
                self.news.clear()
                try:
                    await asyncio.wait_for(self.news.wait(), timeout=10)
                except TimeoutError:
                    continue


def limited(image: torch.Tensor, *, side: int) -> torch.Tensor:
    """An image (1, 3, H, W), made smaller if it is more than `side` pixels wide or high."""
    return data.scaled(image, side=min(side, max(image.shape[2:])))


def jpeg(image: torch.Tensor, *, side: int = 960, quality: int = 85) -> bytes:
    """A small copy of an image (1, 3, H, W), at most `side` pixels wide or high, as the bytes of a
    JPEG.

    quality: Pillow's, 0 to 95.
    """
    file = io.BytesIO()
    Image.fromarray(data.to_bytes(limited(image, side=side))).save(file, "JPEG", quality=quality)
    return file.getvalue()


# What the process of a job does.


def paint_job(
    photo: torch.Tensor,
    painting: torch.Tensor,
    settings: dict,
    tell: Callable[[torch.Tensor, float], None],
) -> torch.Tensor:
    """The photograph in the painting's style, as good as the minutes allow: `style.coarse_to_fine`
    against the clock.

    The colours are the "painting"'s, which the photograph is given and the descent leaves alone; or
    the "photo"'s, which the painting is given; or as in the "paper", where the descent finds them.
    """
    net = style.vgg()
    side = settings["side"]
    if settings["colours"] == "photo":
        painting = style.recolour(painting, photo)
    sides = [s for s in SIDES if s < side] + [side]
    seconds = 60 * settings["minutes"]
    begun = time.monotonic()
    until = {s: seconds * sum(sides[: i + 1]) / sum(sides) for i, s in enumerate(sides)}

    def callback(image):
        spent = time.monotonic() - begun
        tell(image, spent / seconds)
        if spent > until[max(image.shape[2:])]:
            raise StopIteration

    return style.coarse_to_fine(
        net,
        photo,
        painting,
        sides=sides,
        max_evals=10**6,
        ratio=settings["ratio"],
        tv_weight=settings["tv_weight"],
        luminance=settings["colours"] == "painting",
        callback=callback,
    )


def dream_job(
    photo: torch.Tensor,
    painting: None,
    settings: dict,
    tell: Callable[[torch.Tensor, float], None],
) -> torch.Tensor:
    """A dream over the photograph."""
    count = settings["octaves"] * settings["steps"]
    for done, image in enumerate(dreamt(models.imagenet(), photo, settings), 1):
        tell(image, done / count)
    return image


def dreamt(net: torch.nn.Module, photo: torch.Tensor, settings: dict) -> Iterator[torch.Tensor]:
    """The dream step by step: `dreams.dreaming` with the settings."""
    return dreams.dreaming(
        net,
        data.scaled(photo, side=settings["side"]),
        dreams.layer(settings["layer"]),
        octaves=settings["octaves"],
        steps=settings["steps"],
    )


def work(
    sender: Connection, kind: str, settings: dict, photo: bytes, painting: bytes | None
) -> None:
    """Make a picture and send it, with how far it has come once a second.

    It ends with the studio: what nobody is there to take raises BrokenPipeError.

    sender: takes what `Job.take` does.
    photo, painting: the bytes of PNG files.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the studio, which ends this
    told = 0.0
    pixels = 0  # of the steps since then

    def tell(image: torch.Tensor, share: float) -> None:
        nonlocal told, pixels
        pixels += image[0, 0].numel()
        if (spent := time.monotonic() - told) > 1:
            pace = {kind: spent / pixels} if told else {}
            sender.send(("share", min(share, 1), jpeg(image), pace))
            told, pixels = time.monotonic(), 0

    jobs: dict[str, Callable[..., torch.Tensor]] = {"paint": paint_job, "dream": dream_job}
    try:
        made = jobs[kind](data.photo(photo), painting and data.photo(painting), settings, tell)
    except Exception as error:  # whatever it is, who asked for the picture is told
        sender.send(("why", str(error) or type(error).__name__))
        raise
    sender.send(("share", 1, jpeg(made), {}))
    sender.send(("made", data.png(made)))
