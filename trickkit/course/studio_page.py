"""The studio's page: two tabs to ask for pictures, the queue, and the gallery.
`trickkit.course.studio` makes them.
"""

import asyncio
import base64
import functools
import html
import os
import pathlib
import secrets
from collections.abc import Callable
from urllib.parse import parse_qs

import ipywidgets as w
import torch
from IPython.display import HTML, display

from trickkit import data, widgets
from trickkit.course import studio

CSS = """<style>
.studio img { max-width: 100%; height: auto; display: block; }
.studio .widget-inline-hbox { max-width: 100%; height: auto; }
.studio a { text-decoration: underline; color: #0b5394; }
.studio :focus-visible { outline: 3px solid #0072B2; outline-offset: 2px; }
#rendered_cells > div, .jp-Cell { padding: 4px !important; }
</style>"""
# ipywidgets' upload button hides its file input; on a drop, its click is made to hand over what was
# dropped.
DROP = """<script>
for (const name of ["dragover", "drop"]) document.addEventListener(name, event => {
  const source = event.target.closest && event.target.closest(".source");
  const button = source?.querySelector(".widget-upload");
  event.preventDefault();
  if (name === "dragover" || !button || !event.dataTransfer.files.length) return;
  const usual = HTMLInputElement.prototype.click;
  HTMLInputElement.prototype.click = function () {
    this.files = event.dataTransfer.files;
    this.dispatchEvent(new Event("change"));
  };
  try { button.click(); } finally { HTMLInputElement.prototype.click = usual; }
});
</script>"""
LAYERS = {
    "lines and waves": "network.blocks.1",
    "eyes and fur": "network.blocks.4",
    "spirals and faces": "network.blocks.5",
}
STRENGTHS = {
    "a touch": 1e-2,
    "light": 1e-3,
    "as in the lesson": 1e-4,
    "strong": 1e-5,
    "nearly all painting": 1e-6,
}
SIZES = [256, 384, 512, 768, 1024, 1536, 2048]  # pixels of the longer side
SHOWN = 24  # pictures of the gallery, the newest
FULL_SIZE = "Download it full size (PNG)"


def wide() -> w.Layout:
    """As wide as the page, or 420 pixels where it is wider.

    A new one each time, for what shares a layout hides together.
    """
    return w.Layout(width="100%", max_width="420px")


def dropdown(label: str, options: list, value: object) -> w.Dropdown:
    """A list to choose one value from.

    label: what stands before them.
    options: values, or (words, value).
    value: the one to begin with.
    """
    return w.Dropdown(options=options, value=value, description=label, layout=wide())


def in_rows() -> w.Layout:
    """Side by side, and below each other where the page is narrow."""
    return w.Layout(flex_flow="row wrap", width="100%", grid_gap="8px", align_items="flex-start")


def image_tag(content: bytes, alt: str, *, side: int | None = None) -> str:
    """A picture as HTML with alt text.

    content: its bytes, PNG or JPEG.
    alt: what is to be seen.
    side: its greatest width in pixels.
    """
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    limit = f' style="max-width: min(100%, {side}px)"' if side else ""
    return (
        f'<img alt="{html.escape(alt)}"{limit}'
        f' src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'
    )


@functools.cache
def thumbnail(file: pathlib.Path) -> bytes:
    """A finished picture, small, as the bytes of a JPEG: made once, for a gallery's files do not
    change.
    """
    return studio.jpeg(data.photo(file), side=160)


class Source(widgets.PhotoSource):
    """A photograph or painting to be chosen, which can be dropped here too; a small copy is shown.

    kind: "photo" or "painting".
    value: the name of the first.
    names: of the course's, to choose from.
    ours: what reads them, `data.picture` or `data.painting`.
    """

    def __init__(
        self, kind: str, value: str, *, names: list[str], ours: Callable[..., torch.Tensor]
    ):
        def read(source):
            photo = widgets.open_photo(source, ours=ours)
            return studio.limited(photo, side=SIZES[-1])  # a phone's would fill a room

        label = f"Drop your {kind} here, or browse"
        super().__init__(value, names=names, read=read, label=label)
        self.upload.layout = wide()
        self.ours.layout = wide()
        self.shown = w.HTML()
        self.box = w.VBox(
            [self.upload, self.ours, self.says, self.shown],
            layout=w.Layout(width="100%", max_width="440px"),
        )
        self.box.add_class("source")
        self.changed()

    def changed(self) -> None:
        """Show a small copy, and its attribution."""
        self.says.say("")
        self.shown.value = (
            image_tag(studio.jpeg(self.photo, side=240), f"Chosen: {self.name}")
            + f"<small>{self.credit.value}</small>"
        )


class JobRow:
    """A job in the queue: how it stands, what it looks like so far, a button to cancel it, and its
    download.
    """

    def __init__(self, job: studio.Job, title: str):
        self.job = job
        self.title = title
        self.says = widgets.Announcer()
        self.shown = w.HTML()
        self.download = widgets.Download()
        self.bar = w.FloatProgress(max=1.0, layout=wide())
        self.cancel = w.Button(description="Cancel", tooltip=f"Cancel {title}")
        self.cancel.on_click(lambda _: job.cancel())
        self.box = w.VBox(
            [self.says, self.bar, self.cancel, self.shown, self.download],
            layout=w.Layout(width="100%"),
        )
        self.told = ""
        self.seen: bytes | None = None
        self.task: asyncio.Task | None = None  # kept here, or it might be thrown away half done
        self.follow()

    def follow(self) -> None:
        """Show how the job stands; what has not changed is left alone."""
        job = self.job
        self.bar.value = job.share
        ahead = f"waiting, {job.before} before it" if job.before else "its turn comes"
        words = {
            "waiting": ahead,
            "working": "working",
            "done": "finished",
            "cancelled": "cancelled",
            "failed": f"could not be made: {job.why} The others go on",
        }[job.state]
        if words != self.told:
            self.told = words
            self.says.say(f"{self.title}: {words}.")
        if job.preview is not None and job.preview is not self.seen:
            self.seen = job.preview
            self.shown.value = image_tag(job.preview, f"{self.title}, so far", side=480)
        if job.state in ("done", "cancelled", "failed"):
            self.cancel.layout.display = self.bar.layout.display = "none"
        if job.result is not None and not self.download.value:
            self.shown.value = image_tag(
                studio.jpeg(data.photo(job.result), side=720), f"{self.title}, finished", side=720
            )
            self.download.offer(job.result.read_bytes(), job.result.name, words=FULL_SIZE)


class Page:
    """The whole page, for one browser: what it asks for and its gallery are its own.

    gallery: the name of the folder in `studio.home()` that it keeps its pictures in.
    Raises ValueError for a name that `studio.gallery` refuses.
    """

    def __init__(self, gallery: str):
        self.folder = studio.gallery(gallery)
        self.rows: list[JobRow] = []
        self.queue = w.VBox()
        self.album = w.Box(layout=in_rows())
        self.opened = w.VBox()
        tabs = w.Tab([self.paint_tab(), self.dream_tab()], titles=["Paint", "Dream"])
        link = f'<a href="?gallery={gallery}">?gallery={gallery}</a>'
        self.box = w.VBox(
            [
                w.HTML(
                    f"{CSS}<h1>The studio</h1><p>All is made on the computer that serves this page,"
                    f" and stays there.</p><p>Your pictures are kept under {link}: keep that link"
                    " to come back to them.</p>"
                ),
                tabs,
                w.HTML("<h2>Being made</h2>"),
                self.queue,
                w.HTML("<h2>Gallery</h2>"),
                self.album,
                self.opened,
            ]
        )
        self.box.add_class("studio")
        self.hang()

    def paint_tab(self) -> w.VBox:
        """What to ask for a painting with."""
        content = Source("photo", "macaw", names=data.picture_names(), ours=data.picture)
        style = Source("painting", "great_wave", names=data.painting_names(), ours=data.painting)
        strength = w.SelectionSlider(
            options=list(STRENGTHS.items()), value=1e-4, description="strength", layout=wide()
        )
        colours = dropdown(
            "colours", [("the painting's", "painting"), ("the photo's", "photo")], "painting"
        )
        side = dropdown("size", SIZES, 512)
        minutes = dropdown("minutes", [0.25, 0.5, 1, 2, 5, 10, 20], 2)

        def asked():
            self.start(
                "paint",
                content.photo,
                f"{content.name} as {style.name}",
                {
                    "ratio": strength.value,
                    "tv_weight": 3.0,
                    "colours": colours.value,
                    "side": side.value,
                    "minutes": minutes.value,
                },
                painting=style.photo,
            )

        return self.tab([content, style], [strength, colours, side, minutes], "Paint it", asked)

    def dream_tab(self) -> w.VBox:
        """What to ask for a dream with."""
        source = Source("photo", "rocket", names=data.picture_names(), ours=data.picture)
        layer = dropdown("more of", list(LAYERS.items()), "network.blocks.4")
        octaves = widgets.slider([1, 2, 3, 4, 5, 6], "octaves", index=3)
        steps = widgets.slider([5, 10, 20, 40, 80], "steps in each", index=1)
        octaves.layout = wide()
        steps.layout = wide()
        side = dropdown("size", SIZES, 512)

        def asked():
            self.start(
                "dream",
                source.photo,
                f"{source.name} dreaming",
                {
                    "layer": layer.value,
                    "octaves": octaves.value,
                    "steps": steps.value,
                    "side": side.value,
                },
            )

        return self.tab([source], [layer, octaves, steps, side], "Dream it", asked)

    def tab(
        self, sources: list[Source], controls: list[w.Widget], words: str, asked: Callable
    ) -> w.VBox:
        """What is chosen from, how it is to be done, and a button that asks for it; a refusal is
        said below the button.
        """
        button = w.Button(description=words, button_style="primary")
        says = widgets.Announcer()

        def clicked(_):
            try:
                asked()
                says.say("Asked for: it is made below.")
            except (ValueError, OSError) as error:
                says.say(str(error))

        button.on_click(clicked)
        return w.VBox([w.Box([s.box for s in sources], layout=in_rows()), *controls, button, says])

    def start(
        self,
        kind: str,
        photo: torch.Tensor,
        title: str,
        settings: dict,
        *,
        painting: torch.Tensor | None = None,
    ) -> None:
        """Ask for a picture: a new row, and a task that follows it to its end."""
        job = studio.Job(
            kind, photo, settings | {"title": title}, painting=painting, folder=self.folder
        )
        row = JobRow(job, title)
        self.rows.insert(0, row)
        self.queue.children = [r.box for r in self.rows]
        row.task = asyncio.ensure_future(self.follow(row))

    async def follow(self, row: JobRow) -> None:
        """Keep a row up to date until its job has ended, then hang what was made."""
        task = asyncio.ensure_future(row.job.run())
        while not task.done():
            row.follow()
            await asyncio.wait([task], timeout=0.4)
        if task.exception():
            row.job.state = "failed"
            row.job.why = str(task.exception())
        row.follow()
        self.hang()

    def hang(self) -> None:
        """Hang the gallery's newest pictures, each a button that opens it."""
        files = sorted(self.folder.glob("*.png"), reverse=True)[:SHOWN]
        hung = []
        for file in files:
            thumb = w.HTML(image_tag(thumbnail(file), file.stem, side=160))
            button = w.Button(description="Open", tooltip=f"Open {file.stem}")
            button.on_click(lambda _, file=file: self.open(file))
            hung.append(w.VBox([thumb, button]))
        self.album.children = hung or [w.HTML("<p>Nothing yet.</p>")]

    def open(self, file: pathlib.Path) -> None:
        """Show a picture of the gallery large, with its download."""
        content = file.read_bytes()
        large = image_tag(studio.jpeg(data.photo(content), side=1024), file.stem, side=1024)
        download = widgets.Download()
        download.offer(content, file.name, words=FULL_SIZE)
        self.opened.children = [w.HTML(large), download]


def show_page() -> None:
    """Show the page.

    The gallery is the one that the address names (?gallery=…), or else a new one.
    """
    asked = parse_qs(os.environ.get("QUERY_STRING", "")).get("gallery", [""])[0]
    try:
        page = Page(asked or secrets.token_hex(5))
    except ValueError as error:
        says = widgets.Announcer()
        says.say(str(error))
        widgets.show_controls(says)
    else:
        widgets.show_controls(page.box)
        display(HTML(DROP))
