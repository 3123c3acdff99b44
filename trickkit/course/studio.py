"""The studio behind `make studio`: paint and dream larger pictures of your own, in a page that this
computer serves to itself.

A picture is a `Job`: a process of its own, so that one that fails takes nothing with it. Only one
works at a time; what all open pages ask for waits in one queue. `trickkit.course.studio_page` is
the page.
"""

import asyncio
import contextlib
import io
import json
import os
import pathlib
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable, Sequence

import psutil
import torch
from filelock import FileLock, Timeout
from PIL import Image

from trickkit import data, models

NOTEBOOK = data.ROOT / "notebooks" / "studio" / "studio.ipynb"
PORT = 8866
SIDES = (128, 256, 512, 1024, 2048)  # of the sizes that a painting goes through
# What a process needs at its most, in bytes: so many to begin with and so many a pixel (`python
# benchmarks/bench_studio.py`).
NEEDS = {"paint": (1.0e9, 4500), "dream": (1.0e9, 1500)}


def home() -> pathlib.Path:
    """The folder that keeps what was made, outside the repository: $TRICKKIT_STUDIO, or
    trickkit_studio at home.
    """
    return pathlib.Path(os.environ.get("TRICKKIT_STUDIO", "~/trickkit_studio")).expanduser()


def gallery(name: str) -> pathlib.Path:
    """The folder of one gallery.

    Raises ValueError for a name that is not letters, digits and dashes, 40 at most.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]{1,40}", name):
        raise ValueError(
            f"A gallery's name is letters, digits and dashes, 40 at most; {name[:60]!r} came."
        )
    return home() / name


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


class Turn:
    """A place in the queue of all pages on this computer, first come first served.

    It is lost when its process ends.
    """

    def __init__(self) -> None:
        self.folder = home() / ".queue"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ticket = self.folder / f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        with self.door():
            self.lock = FileLock(self.ticket)
            self.lock.acquire()

    def door(self) -> FileLock:
        """The lock that is held while places are taken or counted."""
        return FileLock(self.folder / "door")

    def before(self) -> int:
        """How many are before this one; the tickets of those that ended without a word are thrown
        away.
        """
        waiting = 0
        with self.door():
            for other in self.folder.glob("*-*"):
                if other.name < self.ticket.name:
                    try:
                        with FileLock(other, timeout=0):
                            other.unlink(missing_ok=True)
                    except Timeout:
                        waiting += 1
        return waiting

    def leave(self) -> None:
        """Give the place up."""
        self.lock.release()
        self.ticket.unlink(missing_ok=True)


class Job:
    """One picture to be made, in a process of its own; its `state` says how it stands.

    `state` is "waiting", "working", "done", "cancelled" or "failed", and `why` says what failed;
    `share` is how much of the work is done, 0 to 1; `before` is how many others are first;
    `preview` is a JPEG's bytes, or None; `result` is the finished picture's file in the gallery.

    kind: "paint" or "dream".
    photo: (1, 3, H, W) in [0, 1].
    settings: `side`, pixels of the longer side, and `title`; to paint also `ratio`, `tv_weight`,
        `colours` ("painting" or "photo") and `minutes`; to dream `layer`, `octaves` and `steps`.
    painting: (1, 3, H, W) in [0, 1], whose style is painted in.
    folder: the gallery's, None for that of `gallery("mine")`.
    Raises ValueError where the memory is too small.
    """

    def __init__(
        self,
        kind: str,
        photo: torch.Tensor,
        settings: dict,
        *,
        painting: torch.Tensor | None = None,
        folder: pathlib.Path | None = None,
    ):
        validate_memory(kind, photo.shape, side=settings["side"])
        self.kind = kind
        self.shape = photo.shape
        self.settings = settings
        self.gallery = folder or gallery("mine")
        self.state = "waiting"
        self.share = 0.0
        self.before = 0
        self.why = ""
        self.preview: bytes | None = None
        self.result: pathlib.Path | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="trickkit-studio-"))
        for name, image in (("photo", photo), ("painting", painting)):
            if image is not None:
                (self.folder / f"{name}.png").write_bytes(data.png(image))
        (self.folder / "settings.json").write_text(json.dumps({"kind": kind} | settings))

    def cancel(self) -> None:
        """Give it up, waiting or working."""
        if self.state in ("waiting", "working"):
            self.state = "cancelled"
            if self.process:
                self.process.kill()

    async def run(self) -> None:
        """Wait for the turn, work, and keep the result.

        Never raises for what happens to the process.
        """
        turn = Turn()
        try:
            while self.state == "waiting" and (before := turn.before()):
                self.before = before
                await asyncio.sleep(0.5)
            if self.state == "waiting":
                await self.work()
        finally:
            turn.leave()
            shutil.rmtree(self.folder, ignore_errors=True)

    async def work(self) -> None:
        """Work in a process, take over how far it comes, and keep what it makes."""
        try:
            validate_memory(self.kind, self.shape, side=self.settings["side"])
        except ValueError as error:
            self.state = "failed"
            self.why = str(error)
            return
        self.state = "working"
        self.before = 0
        with open(self.folder / "errors.txt", "wb") as errors:
            # The open pipe tells the process that its page's kernel lives. Threads that wait are to
            # sleep: on a busy computer those that spin instead make a dream many times slower.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "trickkit.course.studio", str(self.folder)],
                cwd=data.ROOT,
                env={"OMP_WAIT_POLICY": "passive"} | os.environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        try:
            while self.process.poll() is None:
                self.look()
                await asyncio.sleep(0.3)
        finally:
            self.process.kill()
            self.process.communicate()  # closes the pipe and waits
        if self.state == "cancelled":
            return
        made = self.folder / "result.png"
        if self.process.returncode == 0 and made.exists():
            self.look()
            self.result = self.keep(made.read_bytes())
            self.state = "done"
            self.share = 1.0
        else:
            said = (self.folder / "errors.txt").read_text(errors="replace").strip().splitlines()
            if self.process.returncode in (-9, 137):
                self.why = "The system ended it, most likely for want of memory."
            else:
                self.why = said[-1] if said else "It ended early."
            self.state = "failed"

    def look(self) -> None:
        """Take over how far the process has come."""
        with contextlib.suppress(FileNotFoundError):  # not written yet
            self.share = float((self.folder / "share").read_text())
            self.preview = (self.folder / "preview.jpg").read_bytes()

    def keep(self, content: bytes) -> pathlib.Path:
        """Put the finished picture into the gallery, under a name of its own."""
        self.gallery.mkdir(parents=True, exist_ok=True)
        stem = (
            f"{time.strftime('%Y-%m-%d %H.%M.%S')}"
            f" {re.sub(r'[^a-z0-9]+', '_', self.settings['title'].lower())[:40]}"
        )
        names = [
            self.gallery / f"{stem}.png",
            *(self.gallery / f"{stem} {i}.png" for i in range(2, 100)),
        ]
        path = next(p for p in names if not p.exists())
        data.write_whole(path, content)
        return path


def limited(image: torch.Tensor, *, side: int) -> torch.Tensor:
    """An image (1, 3, H, W), made smaller if it is more than `side` pixels wide or high."""
    return data.scaled(image, side=min(side, max(image.shape[2:])))


def jpeg(image: torch.Tensor, *, side: int = 480) -> bytes:
    """A small copy of an image (1, 3, H, W), at most `side` pixels wide or high, as the bytes of a
    JPEG.
    """
    file = io.BytesIO()
    Image.fromarray(data.to_bytes(limited(image, side=side))).save(file, "JPEG", quality=85)
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
    """
    from trickkit import style

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
        callback=callback,
    )


def dream_job(
    photo: torch.Tensor,
    painting: None,
    settings: dict,
    tell: Callable[[torch.Tensor, float], None],
) -> torch.Tensor:
    """A dream over the photograph: `dreams.dreaming` with the settings."""
    from trickkit import dreams

    net = models.imagenet()
    count = settings["octaves"] * settings["steps"]
    photo = data.scaled(photo, side=settings["side"])
    steps = dreams.dreaming(
        net,
        photo,
        dreams.layer(settings["layer"]),
        octaves=settings["octaves"],
        steps=settings["steps"],
    )
    for done, image in enumerate(steps, 1):
        tell(image, done / count)
    return image


def work(folder: pathlib.Path) -> None:
    """Make the picture that lies in a job's folder, telling there how it goes; end if the page that
    wants it is gone.
    """

    def guard():
        os.read(0, 1)  # until the page's end of the pipe is closed, by whatever
        os._exit(1)

    threading.Thread(target=guard, daemon=True).start()
    settings = json.loads((folder / "settings.json").read_text())
    told = [0.0]
    photo = data.photo(folder / "photo.png")
    painting = data.photo(folder / "painting.png") if (folder / "painting.png").exists() else None

    def tell(image, share):
        if time.monotonic() - told[0] > 1:
            data.write_whole(folder / "preview.jpg", jpeg(image))
            data.write_whole(folder / "share", f"{min(share, 1):.3f}".encode())
            told[0] = time.monotonic()

    jobs: dict[str, Callable[..., torch.Tensor]] = {"paint": paint_job, "dream": dream_job}
    made = jobs[settings["kind"]](photo, painting, settings, tell)
    told[0] = 0.0
    tell(made, 1)
    data.write_whole(folder / "result.png", data.png(made))


# The page.


def serve(*, room: bool = False) -> None:
    """Serve the page with Voilà until Ctrl-C, to this computer only.

    room: to all who know the printed link instead.
    """
    token = secrets.token_urlsafe(12)
    address = f"http://127.0.0.1:{PORT}/?token={token}" + ("" if room else "&gallery=mine")
    # So that nobody in the room guesses their way into your own gallery.
    folder = home() / "room" if room else home()
    if room:
        print(
            "Anyone who knows this link can use the studio:"
            f" http://ADDRESS-OF-THIS-COMPUTER:{PORT}/?token={token}"
        )
    print(f"Your own: {address}\nPictures are kept in {folder}. Ctrl-C here ends it.", flush=True)
    threading.Thread(target=open_when_served, args=[address], daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        command = voila(PORT, token, ip="0.0.0.0" if room else "127.0.0.1")
        sys.exit(
            subprocess.run(command, env=os.environ | {"TRICKKIT_STUDIO": str(folder)}).returncode
        )


def open_when_served(address: str) -> None:
    """Open an address in the browser as soon as the port answers."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), timeout=1):
            break
        time.sleep(0.2)
    webbrowser.open(address)


def voila(port: int, token: str, *, ip: str = "127.0.0.1") -> list[str]:
    """The command that serves the studio's notebook: a phone's photo fits one message, and nothing
    comes from elsewhere.
    """
    policy = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
    settings = {
        "websocket_max_message_size": 100_000_000,
        "headers": {"Content-Security-Policy": policy},
    }
    return [
        sys.executable,
        "-m",
        "voila",
        str(NOTEBOOK),
        "--no-browser",
        f"--port={port}",
        f"--Voila.ip={ip}",
        f"--token={token}",
        f"--Voila.tornado_settings={settings}",
        "--MappingKernelManager.cull_idle_timeout=600",
    ]


if __name__ == "__main__":
    if sys.argv[1:] in ([], ["--room"]):
        serve(room="--room" in sys.argv)
    else:
        work(pathlib.Path(sys.argv[1]))
