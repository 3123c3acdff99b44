"""The studio's page: two tabs to ask for pictures, the queue, and the gallery. `trickkit.course.studio` makes them."""
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

STYLE = """<style>
.studio img { max-width: 100%; height: auto; display: block; }
.studio .widget-inline-hbox { max-width: 100%; height: auto; }
.studio a { text-decoration: underline; color: #0b5394; }
.studio :focus-visible { outline: 3px solid #0072B2; outline-offset: 2px; }
#rendered_cells > div, .jp-Cell { padding: 4px !important; }
</style>"""
# ipywidgets' upload button hides its file input; on a drop, its click is made to hand over what was dropped.
DROP = """<script>
for (const name of ["dragover", "drop"]) document.addEventListener(name, event => {
  const button = event.target.closest && event.target.closest(".source")?.querySelector(".widget-upload");
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
LAYERS = {"lines and waves": "network.blocks.1", "eyes and fur": "network.blocks.4", "spirals and faces": "network.blocks.5"}
STRENGTHS = {"a touch": 1e-2, "light": 1e-3, "as in the lesson": 1e-4, "strong": 1e-5, "nearly all painting": 1e-6}
SIZES = [256, 384, 512, 768, 1024, 1536, 2048]  # pixels of the longer side
SHOWN = 24  # pictures of the gallery, the newest


def wide() -> w.Layout:
    """As wide as the page, or 420 pixels where it is wider. A new one each time, for what shares a layout hides together."""
    return w.Layout(width="100%", max_width="420px")


def listed(label: str, options: list, start: object) -> w.Dropdown:
    """A list to choose one value from; options: values, or (words, value)."""
    return w.Dropdown(options=options, value=start, description=label, layout=wide())


def in_rows() -> w.Layout:
    """Side by side, and below each other where the page is narrow."""
    return w.Layout(flex_flow="row wrap", width="100%", grid_gap="8px", align_items="flex-start")


def picture(content: bytes, alt: str, side: int | None = None) -> str:
    """A picture's bytes, PNG or JPEG, as HTML with alt text; side: its greatest width in pixels."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    limit = f' style="max-width: min(100%, {side}px)"' if side else ""
    return f'<img alt="{html.escape(alt)}"{limit} src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'


@functools.cache
def thumbnail(file: pathlib.Path) -> bytes:
    """A finished picture, small, as the bytes of a JPEG: made once, for a gallery's files do not change."""
    return studio.jpeg(data.photo(file), 160)


class Source:
    """A picture to be chosen: a file of one's own, or one of the course's. `image` is the one chosen last, `name` its name.

    read: data.picture or data.painting; names: theirs.
    """

    def __init__(self, label: str, names: list[str], read: Callable[[str], torch.Tensor], start: str):
        self.read = read
        words = f"Drop your {label} here, or browse"
        self.upload = w.FileUpload(accept="image/*", multiple=False, description=words, layout=wide())
        self.ours = widgets.choice(names, "or one of ours", start)
        self.ours.layout, self.says, self.shown = wide(), w.HTML(), w.HTML()
        self.box = w.VBox([self.upload, self.ours, self.says, self.shown], layout=w.Layout(width="100%", max_width="440px"))
        self.box.add_class("source")
        self.choose()
        self.upload.observe(lambda _: self.take(), "value")
        self.ours.observe(lambda _: self.choose(), "value")

    def choose(self) -> None:
        """Take one of the course's."""
        self.put(self.read(self.ours.value), self.ours.value, data.attribution(self.ours.value))

    def take(self) -> None:
        """Take the file that was dropped in, if it is a picture; else say why not, and keep what was there."""
        if not self.upload.value:
            return
        file = self.upload.value[0]
        try:
            self.put(data.photo(file["content"].tobytes()), pathlib.Path(file["name"]).stem, "")
        except ValueError as error:
            self.says.value = widgets.spoken(str(error))

    def put(self, image: torch.Tensor, name: str, credit: str) -> None:
        self.image, self.name = data.scaled(image, min(max(image.shape[2:]), SIZES[-1])), name  # a phone's would fill a room
        self.says.value = widgets.spoken("")
        self.shown.value = picture(studio.jpeg(image, 240), f"Chosen: {name}") + f"<small>{html.escape(credit)}</small>"


class Row:
    """A job in the queue: how it stands, what it looks like so far, a button to cancel it, and its download."""

    def __init__(self, job: studio.Job, title: str):
        self.job, self.title = job, title
        self.says, self.shown, self.download = w.HTML(), w.HTML(), w.HTML()
        self.bar = w.FloatProgress(max=1.0, layout=wide())
        self.cancel = w.Button(description="Cancel", tooltip=f"Cancel {title}")
        self.cancel.on_click(lambda _: job.cancel())
        self.box = w.VBox([self.says, self.bar, self.cancel, self.shown, self.download], layout=w.Layout(width="100%"))
        self.told, self.seen = "", None
        self.follow()

    def follow(self) -> None:
        """Show how the job stands; what has not changed is left alone."""
        job = self.job
        self.bar.value = job.share
        ahead = f"waiting, {job.before} before it" if job.before else "its turn comes"
        words = {"waiting": ahead, "working": "working", "done": "finished", "cancelled": "cancelled",
                 "failed": f"could not be made: {job.why} The others go on"}[job.state]
        if words != self.told:
            self.told, self.says.value = words, widgets.spoken(f"{self.title}: {words}.")
        if job.preview is not self.seen:
            self.seen = job.preview
            self.shown.value = picture(job.preview, f"{self.title}, so far", 480)
        if job.state in ("done", "cancelled", "failed"):
            self.cancel.layout.display = self.bar.layout.display = "none"
        if job.state == "done" and not self.download.value:
            self.shown.value = picture(studio.jpeg(data.photo(job.result), 720), f"{self.title}, finished", 720)
            self.download.value = widgets.link(job.result.read_bytes(), job.result.name, "Download it full size (PNG)").data


class Page:
    """The whole page, for one browser: what it asks for and its gallery are its own.

    gallery: the name of the folder in `studio.home()` that it keeps its pictures in.
    """

    def __init__(self, gallery: str):
        self.folder, self.rows = studio.gallery(gallery), []
        self.queue, self.album, self.opened = w.VBox(), w.Box(layout=in_rows()), w.VBox()
        tabs = w.Tab([self.paint_tab(), self.dream_tab()], titles=["Paint", "Dream"])
        link = f'<a href="?gallery={gallery}">?gallery={gallery}</a>'
        self.box = w.VBox([
            w.HTML(f"{STYLE}<h1>The studio</h1><p>All is made on the computer that serves this page, and stays there.</p>"
                   f"<p>Your pictures are kept under {link}: keep that link to come back to them.</p>"),
            tabs, w.HTML("<h2>Being made</h2>"), self.queue, w.HTML("<h2>Gallery</h2>"), self.album, self.opened])
        self.box.add_class("studio")
        self.hang()

    def paint_tab(self) -> w.VBox:
        photo = Source("photo", data.pictures(), data.picture, "macaw")
        painting = Source("painting", data.paintings(), data.painting, "great_wave")
        strength = w.SelectionSlider(options=list(STRENGTHS.items()), value=1e-4, description="strength", layout=wide())
        colours = listed("colours", [("the painting's", "painting"), ("the photo's", "photo")], "painting")
        side = listed("size", SIZES, 512)
        minutes = listed("minutes", [0.25, 0.5, 1, 2, 5, 10, 20], 2)

        def asked():
            title = f"{photo.name} as {painting.name}"
            self.start("paint", photo.image, title, {"ratio": strength.value, "rough": 3.0, "colours": colours.value,
                                                     "side": side.value, "minutes": minutes.value}, painting.image)

        return self.tab([photo, painting], [strength, colours, side, minutes], "Paint it", asked)

    def dream_tab(self) -> w.VBox:
        photo = Source("photo", data.pictures(), data.picture, "rocket")
        layer = listed("more of", list(LAYERS.items()), "network.blocks.4")
        octaves = widgets.slider([1, 2, 3, 4, 5, 6], "octaves", start=3)
        steps = widgets.slider([5, 10, 20, 40, 80], "steps in each", start=1)
        octaves.layout, steps.layout = wide(), wide()
        side = listed("size", SIZES, 512)

        def asked():
            self.start("dream", photo.image, f"{photo.name} dreaming", {"layer": layer.value, "octaves": octaves.value,
                                                                        "steps": steps.value, "side": side.value})

        return self.tab([photo], [layer, octaves, steps, side], "Dream it", asked)

    def tab(self, sources: list[Source], controls: list[w.Widget], words: str, asked: Callable) -> w.VBox:
        """What is chosen from, how it is to be done, and a button that asks for it; a refusal is said below the button."""
        button, says = w.Button(description=words, button_style="primary"), w.HTML()

        def clicked(_):
            try:
                asked()
                says.value = widgets.spoken("Asked for: it is made below.")
            except (ValueError, OSError) as error:
                says.value = widgets.spoken(str(error))

        button.on_click(clicked)
        return w.VBox([w.Box([s.box for s in sources], layout=in_rows()), *controls, button, says])

    def start(self, kind: str, photo: torch.Tensor, title: str, settings: dict, painting: torch.Tensor | None = None) -> None:
        """Ask for a picture: a new row, and a task that follows it to its end."""
        job = studio.Job(kind, photo, settings | {"title": title}, painting, self.folder)
        row = Row(job, title)
        self.rows.insert(0, row)
        self.queue.children = [r.box for r in self.rows]
        row.task = asyncio.ensure_future(self.follow(row))

    async def follow(self, row: Row) -> None:
        task = asyncio.ensure_future(row.job.run())
        while not task.done():
            row.follow()
            await asyncio.wait([task], timeout=0.4)
        if task.exception():
            row.job.state, row.job.why = "failed", str(task.exception())
        row.follow()
        self.hang()

    def hang(self) -> None:
        """Hang the gallery's newest pictures, each a button that opens it."""
        files = sorted(self.folder.glob("*.png"), reverse=True)[:SHOWN]
        hung = []
        for file in files:
            thumb = w.HTML(picture(thumbnail(file), file.stem, 160))
            button = w.Button(description="Open", tooltip=f"Open {file.stem}")
            button.on_click(lambda _, file=file: self.open(file))
            hung.append(w.VBox([thumb, button]))
        self.album.children = hung or [w.HTML("<p>Nothing yet.</p>")]

    def open(self, file: pathlib.Path) -> None:
        """Show a picture of the gallery large, with its download."""
        content = file.read_bytes()
        self.opened.children = [w.HTML(picture(studio.jpeg(data.photo(content), 1024), file.stem, 1024)),
                                w.HTML(widgets.link(content, file.name, "Download it full size (PNG)").data)]


def show() -> None:
    """Show the page. The gallery is the one that the address names (?gallery=…), or else a new one."""
    asked = parse_qs(os.environ.get("QUERY_STRING", "")).get("gallery", [""])[0]
    try:
        page = Page(asked or secrets.token_hex(5))
    except ValueError as error:
        widgets.show_controls(w.HTML(widgets.spoken(str(error))))
    else:
        widgets.show_controls(page.box)
        display(HTML(DROP))
