"""The studio behind `trickkit studio`: paint and dream larger pictures of your own, in a page that
this computer serves to itself. `trickkit.course.jobs` makes them.

All pages are served by one process, which also keeps the queue: a page that is closed, or comes
back, changes nothing for what it has asked for.
"""

import asyncio
import contextlib
import functools
import html
import os
import pathlib
import secrets
import signal
import socket
import sys
import urllib.parse
import webbrowser
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
import tornado.httpserver
import tornado.netutil
import tornado.web
from filelock import FileLock, Timeout

from trickkit import data
from trickkit.common import printable
from trickkit.course import jobs
from trickkit.course.network import own_addresses

T = TypeVar("T")
PORT = 8866  # or the first free one of the ten from there on
SHOWN = 24  # pictures of a gallery, the newest
PAGE = pathlib.Path(__file__).parent / "page"
TV_WEIGHT = 1.0  # of what is painted
LAYERS = {
    "network.blocks.1": "lines and waves",
    "network.blocks.4": "eyes and fur",
    "network.blocks.5": "spirals and faces",
}
STRENGTHS = {
    1e-3: "a touch",
    1e-4: "light",
    2e-5: "strong",
    4e-6: "stronger",
    1e-6: "nearly all painting",
}
WHOSE_COLOURS = {
    "painting": "the painting's",
    "photo": "the photo's",
    "paper": "as in the paper",
}


class Choice:
    """A setting that is chosen from a list.

    label: what stands beside it.
    options: the values, or value -> words.
    first: the value to begin with.
    more: whether it stands among those that most people leave alone.
    """

    def __init__(self, label: str, options: list | dict, first: object, *, more: bool = False):
        self.label = label
        self.more = more
        self.options = options if isinstance(options, dict) else {v: f"{v:g}" for v in options}
        self.first = first

    def chosen(self, text: str) -> object:
        """The value that a page has sent as text.

        Raises ValueError if it is none of the options.
        """
        for value in self.options:
            if str(value) == text:
                return value
        raise ValueError(
            f"{self.label} is {text[:40]!r}; one of {', '.join(map(str, self.options))} is wanted."
        )


SIZE = Choice("size", [256, 384, 512, 768, 1024, 1536, 2048], 512)  # pixels of the longer side
SETTINGS = {
    "paint": {
        "side": SIZE,
        "minutes": Choice("minutes", [0.25, 0.5, 1, 2, 5, 10, 20], 2),
        "ratio": Choice("strength", STRENGTHS, 2e-5),
        "colours": Choice("colours", WHOSE_COLOURS, "painting", more=True),
    },
    "dream": {
        "side": SIZE,
        "layer": Choice("more of", LAYERS, "network.blocks.4"),
        "octaves": Choice("octaves", [1, 2, 3, 4, 5, 6], 4, more=True),
        "steps": Choice("steps in each", [5, 10, 20, 40, 80], 10, more=True),
    },
}


# What hangs in the page before anyone has made a picture: `weights.make_examples` makes them with
# these settings, and a click on one fills them in.
EXAMPLES: list[dict[str, Any]] = [
    {"kind": "paint", "photo": "palace", "painting": "great_wave", "minutes": 5},
    {"kind": "paint", "photo": "palace", "painting": "moulin_de_la_galette", "minutes": 5},
    {"kind": "paint", "photo": "cat", "painting": "auvers", "minutes": 5},
    {"kind": "paint", "photo": "coffee", "painting": "composition_viii", "minutes": 5},
    {"kind": "dream", "photo": "dahlia", "steps": 20},
    {"kind": "dream", "photo": "palace", "steps": 20},
]
FIRST = {"paint": EXAMPLES[0], "dream": EXAMPLES[4]}  # what is chosen to begin with


def whole(example: dict[str, Any]) -> dict[str, Any]:
    """An example's settings, with those that it leaves as they are to begin with."""
    return {name: choice.first for name, choice in SETTINGS[example["kind"]].items()} | example


def title(what: str, name: str) -> str:
    """What a photo or painting is called: one's own as its file is."""
    ours = data.sources().get(f"{what}s/{name}.jpg", {"title": name.replace("_", " ")})
    return ours["title"].partition(" (")[0]


def named(settings: dict[str, Any]) -> str:
    """What a picture is called: after the photo, and the painting if there is one."""
    painting = settings.get("painting")
    made = f"as {title('painting', painting)}" if painting else "dreaming"
    return f"{title('photo', settings['photo'])} {made}"


def file_of(example: dict[str, Any]) -> str:
    """Where an example lies in data/."""
    made = f"as_{example['painting']}" if "painting" in example else "dreaming"
    return f"examples/{example['photo']}_{made}.jpg"


def said(settings: dict[str, Any]) -> str:
    """A picture's settings as its caption tells them."""
    return " · ".join(
        f"{choice.label}: {choice.options[settings[name]]}"
        for name, choice in SETTINGS[settings["kind"]].items()
    )


# What can be chosen from, and what reads it.
OURS: dict[str, tuple[Callable[[], list[str]], Callable[[str], torch.Tensor]]] = {
    "photo": (lambda: data.scene_names() + data.picture_names(), data.any_photo),
    "painting": (data.painting_names, data.painting),
}


class Studio:
    """What all pages share.

    folder: of the galleries.
    token: what a page must know.
    """

    def __init__(self, folder: pathlib.Path, token: str):
        self.folder = folder
        self.token = token
        self.queue = jobs.Queue()
        # What is large while it is opened is opened one at a time, and holds no gallery up.
        self.opener = ThreadPoolExecutor(1)
        self.shower = ThreadPoolExecutor(1)

    def application(self) -> tornado.web.Application:
        """The pages, as Tornado serves them."""
        return tornado.web.Application(
            [
                (r"/", Page),
                (r"/(page\.(?:css|js))", File),
                (r"/ours/(photo|painting)/([a-z_]+)", Ours),
                (r"/(examples/[a-z_]+\.jpg)", Example),
                (r"/state", State),
                (r"/ask", Ask),
                (r"/cancel/([0-9a-f]+)", Cancel),
                (r"/(before|preview|made)/([0-9a-f]+)", Grown),
                (r"/kept/([^/]+)/([^/]+)", Kept),
            ],
            studio=self,
            template_path=str(PAGE),
            xsrf_cookies=True,
            xsrf_cookie_name="studio-xsrf",  # the usual name is JupyterLab's, on any port
        )


class Refused(tornado.web.HTTPError):
    """A request that is not granted, with the sentence that the page shows."""

    def __init__(self, sentence: str, *, status: int = 400):
        super().__init__(status)
        self.sentence = sentence


class Handler(tornado.web.RequestHandler):
    """An answer to one request, for those who know the token."""

    def set_default_headers(self) -> None:
        """Tell the browser that nothing comes from elsewhere, and to pass the address to nobody."""
        self.set_header("Content-Security-Policy", "default-src 'self'; img-src 'self' blob: data:")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")

    @property
    def studio(self) -> Studio:
        """What all pages share."""
        return self.settings["studio"]

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token; cookies do not tell ports apart."""
        return f"studio-{self.request.host.rpartition(':')[2]}"

    def prepare(self) -> None:
        """Let those in who know the token: by the printed link at first, then by a cookie.

        Raises Refused for all others.
        """
        known = self.get_query_argument("token", "") or self.get_cookie(self.cookie, "") or ""
        if not secrets.compare_digest(known.encode(), self.studio.token.encode()):
            raise Refused("Open the link that the studio printed when it started.", status=403)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A sentence in place of a page."""
        error = kwargs.get("exc_info", [None] * 3)[1]
        self.text(getattr(error, "sentence", f"{self._reason}."))

    def text(self, sentence: str) -> None:
        """Answer with a sentence, which the page shows."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(sentence)

    def gallery(self) -> jobs.Gallery:
        """The gallery that the address names.

        Raises Refused for a name that cannot be one.
        """
        try:
            return jobs.Gallery(self.studio.folder, self.get_query_argument("gallery", ""))
        except ValueError as error:
            raise Refused(str(error)) from error

    def job(self, number: str) -> jobs.Job:
        """A job by its number, which only its page knows.

        Raises Refused for any other.
        """
        for job in self.studio.queue.jobs:
            if job.id == number:
                return job
        raise Refused("That picture is not in the queue any more.", status=404)

    async def aside(
        self, thread: ThreadPoolExecutor, function: Callable[..., T], *args: object
    ) -> T:
        """What a function of pictures returns, worked out while other pages are answered.

        thread: one of the studio's.
        Raises Refused, with its sentence, for what it raises of a file or a setting.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(thread, function, *args)
        except (ValueError, OSError) as error:
            raise Refused(str(error)) from error

    def picture(self, content: bytes | None, kind: str) -> None:
        """Answer with a picture.

        Raises Refused if there is none.
        """
        if content is None:
            raise Refused("There is no such picture.", status=404)
        self.set_header("Content-Type", f"image/{kind}")
        self.finish(content)


class Page(Handler):
    """The page itself."""

    def get(self) -> None:
        """Show it; first the token goes from the address into a cookie, and who has no gallery gets
        one.
        """
        name = self.get_query_argument("gallery", "")
        if self.get_query_argument("token", "") or not name:
            self.set_cookie(self.cookie, self.studio.token, httponly=True, samesite="Lax")
            query = urllib.parse.urlencode({"gallery": name or secrets.token_hex(8)})
            return self.redirect(f"/?{query}")
        self.render(
            "page.html",
            gallery=self.gallery().name,
            settings_of=SETTINGS,
            ours={what: names() for what, (names, _) in OURS.items()},
            first=FIRST,
            examples=[whole(example) for example in EXAMPLES],
            file_of=file_of,
            named=named,
            said=said,
            title=title,
            credit=data.attribution,
            largest=data.LARGEST_FILE,
        )


class File(Handler):
    """The page's style and script."""

    def get(self, name: str) -> None:
        """Send it."""
        self.set_header("Content-Type", "text/css" if name.endswith("css") else "text/javascript")
        self.finish((PAGE / name).read_bytes())


class Ours(Handler):
    """A small copy of one of the course's photos or paintings."""

    async def get(self, kind: str, name: str) -> None:
        """Send it."""
        known = name in OURS[kind][0]()
        side = 640 if self.get_query_argument("large", "") else 320
        copied = self.aside(self.studio.shower, small_copy, kind, name, side)
        self.picture(await copied if known else None, "jpeg")


@functools.cache
def small_copy(kind: str, name: str, side: int) -> bytes:
    """One of the course's photos or paintings, small, as the bytes of a JPEG."""
    return jobs.jpeg(OURS[kind][1](name), side=side)


class Example(Handler):
    """One of the finished examples."""

    def get(self, file: str) -> None:
        """Send it."""
        known = file in map(file_of, EXAMPLES)
        self.picture(data.shipped(file).read_bytes() if known else None, "jpeg")


class Ask(Handler):
    """What a page asks for."""

    async def post(self) -> None:
        """Put it into the queue.

        Raises Refused, with the sentence that says why not.
        """
        kind = self.get_body_argument("kind", "")
        if kind not in SETTINGS:
            raise Refused(f"A painting or a dream is wanted; {kind[:40]!r} came.")
        photo, title = await self.source("photo")
        painting, style = await self.source("painting") if kind == "paint" else (None, "")
        settings = {"title": named({"photo": title, "painting": style}), "tv_weight": TV_WEIGHT}
        try:
            for name, choice in SETTINGS[kind].items():
                settings[name] = choice.chosen(self.get_body_argument(name, ""))
            make = functools.partial(jobs.Job, gallery=self.gallery(), painting=painting)
            job = await self.aside(self.studio.opener, make, kind, photo, settings)
            self.studio.queue.put(job)
        except ValueError as error:
            raise Refused(str(error)) from error
        self.text("Asked for: see above how it grows.")

    async def source(self, what: str) -> tuple[torch.Tensor, str]:
        """The photo or painting that was chosen, and its name: one's own file, or one of the
        course's.

        Raises Refused for a file that is no picture, and for a name that does not exist.
        """
        opener = self.studio.opener
        files = self.request.files.get(f"{what}_file", [])
        if files and files[0].filename:
            return await self.aside(opener, own, files[0].body), pathlib.Path(
                files[0].filename
            ).stem[:40]
        name = self.get_body_argument(what, "")
        if not name:
            raise Refused(f"Choose a {what}: your own, or one of ours.")
        return await self.aside(opener, OURS[what][1], name), name


def own(content: bytes) -> torch.Tensor:
    """Someone's own picture, no larger than anything made from it."""
    return data.photo(content, max_side=max(SIZE.options))


class Cancel(Handler):
    """A page gives up what it asked for."""

    def post(self, number: str) -> None:
        """Cancel it."""
        self.job(number).cancel()
        self.text("")


class State(Handler):
    """How it stands with all that a page has asked for, and its gallery."""

    async def get(self) -> None:
        """Tell it."""
        gallery = self.gallery()
        look = functools.partial(gallery.pictures, count=SHOWN)
        shown, left_out = await self.aside(self.studio.shower, look)
        queue = self.studio.queue
        self.finish(
            {
                "jobs": [told(job, queue.before(job)) for job in queue.of(gallery)],
                "pictures": shown,
                "left_out": left_out,
                "ahead": sum(job.state in jobs.GOING for job in queue.jobs),
                "pace": queue.pace(),
            }
        )


def told(job: jobs.Job, before: int) -> dict:
    """How a job stands, as its page shows it.

    before: how many are made first.
    """
    words = {
        "waiting": f"waiting, {before} before it" if before else "its turn comes",
        "working": "working" if job.preview else "its network is being loaded",
        "done": "finished",
        "cancelled": "cancelled",
        "failed": "could not be made",
    }[job.state]
    return {
        "id": job.id,
        "title": job.settings["title"],
        "state": job.state,
        "says": f"{job.settings['title']}: {words}. {job.why}".strip(),
        "share": job.share,
        "before": f"/before/{job.id}",
        "preview": f"/preview/{job.id}?share={job.share}" if job.preview else None,
        "kept": job.result.name if job.result else None,
        "made": f"/made/{job.id}" if job.made else None,
    }


class Grown(Handler):
    """What a job began with and looks like so far, and a finished picture that could not be written
    to the disk.
    """

    def get(self, what: str, number: str) -> None:
        """Send it."""
        self.picture(getattr(self.job(number), what), "png" if what == "made" else "jpeg")


class Kept(Handler):
    """A picture of a gallery, whole or small."""

    async def get(self, gallery: str, name: str) -> None:
        """Send it, if it is one."""
        small = self.get_query_argument("small", "")
        send = jobs.thumbnail if small else pathlib.Path.read_bytes
        shower = self.studio.shower
        file = await self.aside(shower, jobs.Gallery(self.studio.folder, gallery).picture, name)
        self.picture(await self.aside(shower, send, file), "jpeg" if small else "png")


def serve(*, room: bool = False) -> None:
    """Serve the page until Ctrl-C, or until the process is told to end, to this computer only.

    room: to all who know the printed link instead.
    """
    try:
        home = jobs.home()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(home / ".lock", timeout=0):
            asyncio.run(served(home, room=room))
    except Timeout:
        sys.exit("The studio is running already: use the link that it printed, or end it there.")
    except (OSError, RuntimeError) as error:  # the latter where there is no home folder
        sys.exit(
            printable(f"Pictures cannot be kept: {error}. Say where they are to be:")
            + " TRICKKIT_STUDIO=another/folder"
        )
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("The studio has ended.")


async def served(home: pathlib.Path, *, room: bool) -> None:
    """Serve the page until cancelled.

    home: where pictures are kept.
    room: as in `serve`.
    """
    # Ended by another program, or with its terminal, it ends as by Ctrl-C.
    loop = asyncio.get_running_loop()
    end = asyncio.current_task().cancel  # type: ignore[union-attr]  # this runs in one
    for name in {"SIGTERM", "SIGHUP"} & set(dir(signal)):  # Windows has one of them
        signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(end))
    # Threads that wait are to sleep: on a busy computer those that spin instead make a dream many
    # times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # So that nobody in the room guesses their way into your own gallery.
    studio = Studio(home / "room" if room else home, secrets.token_urlsafe(12))
    sockets = bound("0.0.0.0" if room else "127.0.0.1")
    port = sockets[0].getsockname()[1]
    server = tornado.httpserver.HTTPServer(
        studio.application(), max_body_size=2 * data.LARGEST_FILE + 10**6
    )
    server.add_sockets(sockets)
    address = f"http://127.0.0.1:{port}/?token={studio.token}" + ("" if room else "&gallery=mine")
    # A browser's command line can be read by everyone on this computer, and a file like this not.
    door = home / "open_the_studio.html"
    door.touch(mode=0o600)
    door.chmod(0o600)
    link = f'<meta http-equiv="refresh" content="0; url={html.escape(address)}">'
    door.write_text(link, encoding="utf-8")
    if room:
        links = [f"http://{address}:{port}/?token={studio.token}" for address in own_addresses()]
        print(f"Anyone who knows this link can use the studio: {' or '.join(links)}")
    print(f"Your own: {address}")
    print(printable(f"Pictures are kept in {studio.folder}. Ctrl-C here ends it."), flush=True)
    try:
        opening = asyncio.to_thread(webbrowser.open, door.absolute().as_uri())
        await asyncio.gather(studio.queue.run(), opening)
    finally:
        door.unlink(missing_ok=True)
        server.stop()


def bound(ip: str) -> list[socket.socket]:
    """Sockets on the first free port from PORT on, or any free one if ten are taken.

    A port on which somebody answers is not free, also where the system would share it.
    """
    for port in range(PORT, PORT + 10):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            continue
        with contextlib.suppress(OSError):
            return tornado.netutil.bind_sockets(port, ip)
    return tornado.netutil.bind_sockets(0, ip)
