"""Live panels: controls above, a picture below that follows them at once and stays in the notebook
when the kernel is gone.
"""

import asyncio
import base64
import functools
import html
import pathlib
import random
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import anywidget
import ipywidgets as w
import numpy as np
import torch
import traitlets
from IPython import get_ipython
from IPython.display import HTML, DisplayHandle, display
from torch import nn

from trickkit import (
    activations,
    atlas,
    attacks,
    attention,
    data,
    dreams,
    features,
    games,
    models,
    player,
    plots,
)
from trickkit.contract import logits_of
from trickkit.plots.atlas import painted

Result = TypeVar("Result")

WIDGET = "application/vnd.jupyter.widget-view+json"
PLAIN = "Live panel: run this cell in JupyterLab to move its controls."
PAUSE = 0.02  # seconds in which the kernel can hear its messages
HEARING = 0.05  # seconds at most until the kernel hears them, while something is worked on
REST = 0.25  # seconds without a touch, as between two steps but not while one drags
SLOW = 0.3  # seconds: what takes longer is announced
AHEAD = 1.0  # seconds: what takes longer is not drawn before it is chosen
AT_HAND = 200  # pictures that a panel remembers, some 50 KB each


def slider(values: list, label: str, *, index: int = 0, fmt: str = "{:g}") -> w.SelectionSlider:
    """A slider over a list of values, moved by mouse or arrow keys.

    values: from left to right.
    label: what stands before them.
    index: the place of the value to begin with.
    fmt: how a value is shown.
    """
    return w.SelectionSlider(
        options=[(fmt.format(v), v) for v in values],
        index=index,
        description=label,
        continuous_update=True,
        style={"description_width": "initial"},
        layout={"width": "420px"},
    )


def choice(names: list[str], label: str, *, value: str | None = None) -> w.Dropdown:
    """A list to choose one name from.

    names: from the top.
    label: what stands before them.
    value: the name to begin with, None for the topmost.
    """
    return w.Dropdown(
        options=names,
        value=value or names[0],
        description=label,
        style={"description_width": "initial"},
    )


def show_controls(*controls: w.Widget) -> None:
    """Show widgets; where there is no live notebook, a sentence stands in their place."""
    bundle = w.VBox(controls)._repr_mimebundle_()
    display({WIDGET: bundle[WIDGET], "text/plain": PLAIN}, raw=True)


def link(png: bytes, file: str, *, words: str) -> HTML:
    """A link that saves a picture, from the page itself: no server, no file on this machine.

    png: the picture's bytes.
    file: the name to save it under.
    words: what the link says.
    """
    return HTML(
        f'<a download="{html.escape(file)}"'
        f' href="data:image/png;base64,{base64.b64encode(png).decode()}">{html.escape(words)}</a>'
    )


def in_words(error: Exception) -> str:
    """An error as a sentence: its own, where it was written for a reader, else with its name."""
    if isinstance(error, ValueError | FileNotFoundError):
        return str(error)
    return f"It stopped with {type(error).__name__}: {str(error).rstrip('.')}."


class Announcer(w.HTML):
    """A line for sentences that a screen reader announces when they appear."""

    def say(self, sentence: str) -> None:
        """Show a sentence in place of the last one; an empty one only takes that away."""
        safe = html.escape(sentence, quote=False)
        self.value = f'<div role="status" aria-live="polite">{safe}</div>' if sentence else ""


class Download(w.HTML):
    """A link that saves a picture, once there is one to offer."""

    def offer(self, png: bytes, file: str, *, words: str = "Download this picture (PNG)") -> None:
        """Offer a picture, in place of the last one.

        png, file, words: as for `link`.
        """
        self.value = link(png, file, words=words).data


def later(work: Coroutine) -> asyncio.Task | None:
    """Have work done between the kernel's messages; where there is no kernel, at once."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return None
    return loop.create_task(work)


class Overtaken(BaseException):
    """What is worked on is not wanted any more."""


class Worker:
    """A thread in which one thing at a time is worked on, while the kernel hears touches."""

    NAME = "trickkit panel"

    def __init__(self) -> None:
        self.pool = futures.ThreadPoolExecutor(1, thread_name_prefix=self.NAME)
        self.job: futures.Future | None = None

    def wait_for(self, work: Callable[[], Result]) -> Generator[None, None, Result]:
        """Have work done, in place of what was worked on, and yield until it is.

        Returns what the work returns, or raises what it raises.
        """
        self.stop()
        self.job = job = self.pool.submit(work)
        while not futures.wait([job], timeout=HEARING).done:
            yield None
        return job.result()

    def stop(self) -> None:
        """End what is worked on, at the next layer of a network that it asks. After that no network
        is asked by two at once.
        """
        if self.job is None or self.job.cancel() or self.job.done():
            return

        def refuse(*_: object) -> None:
            if threading.current_thread().name.startswith(self.NAME):
                raise Overtaken

        hook = nn.modules.module.register_module_forward_pre_hook(refuse)
        try:
            futures.wait([self.job])
        finally:
            hook.remove()


WORKER = Worker()


class Live:
    """A picture that follows controls. It is the cell's own output, not a widget: it is saved with
    the notebook and read by GitHub and on paper.

    A panel builds on this: it calls `show` once, and each of its controls `follow`. JupyterLab
    keeps back the changes of a control, but for the last, until the kernel has answered the one
    before; so a slider that is dragged never queues.
    """

    latest: "Live | None" = None  # whichever was touched last

    def __init__(self) -> None:
        self.says = Announcer()
        self.task: asyncio.Task | None = None
        self.handle: DisplayHandle | None = None
        self.finished = True  # the picture that is shown
        if shell := get_ipython():
            shell.events.register("pre_run_cell", give_way)
            shell.events.register("post_run_cell", take_up)

    def draw(self) -> plots.Picture:
        """What is chosen.

        Raises NotImplementedError where a panel does not say it.
        """
        raise NotImplementedError

    def stages(self) -> Iterable[plots.Picture | None]:
        """What is chosen, coarse first, or in one piece; None is a moment to hear a new touch."""
        return (self.draw(),)

    def show(self, *controls: w.Widget) -> None:
        """Show the controls, and below them what is chosen."""
        pictures = [picture for picture in self.stages() if picture]
        self.says.say("")
        show_controls(*controls)
        self.handle = display(pictures[-1], display_id=True)

    def attempt(self, work: Callable[[], object]) -> bool:
        """Whether a piece of work succeeds; if not, `says` tells why.

        A kernel shows nobody an error that comes while it answers a control.
        """
        try:
            work()
        except Exception as error:
            self.says.say(in_words(error))
            return False
        return True

    def update(self, picture: plots.Picture | None) -> None:
        """Show a picture in place of the last one; None leaves that."""
        if picture and self.handle:
            self.handle.update(picture)

    def follow(self) -> None:
        """Show what is chosen: its first stage now, the others between the kernel's messages."""
        give_way()
        Live.latest = self
        stages = iter(self.stages())
        self.finished = not self.attempt(lambda: self.update(next(stages)))
        if not self.finished:
            self.task = later(self.go_on(stages))

    async def go_on(self, stages: Iterator[plots.Picture | None]) -> None:
        """Show the stages that are left, then look ahead."""
        await asyncio.sleep(PAUSE)
        try:
            for picture in stages:
                self.update(picture)
                await asyncio.sleep(PAUSE)
        except Exception as error:  # nobody waits for a task, so it must tell for itself
            wrong = in_words(error)
        else:
            wrong = ""
        self.finished = True
        self.says.say(wrong)
        if not wrong:
            await self.look_ahead()

    async def look_ahead(self) -> None:
        """Get ready for what may be chosen next."""

    def end(self) -> None:
        """End what is being worked on, if anything is."""
        WORKER.stop()
        if self.task:
            self.task.cancel()
            self.task = None

    def waited_for(self, work: Callable[[], Result]) -> Generator[None, None, Result]:
        """What work returns: `yield from` this where it takes long and asks networks. Until it is
        done, touches are heard, and another one ends it.

        The first picture is waited for, since its cell runs.
        """
        if self.handle:
            return (yield from WORKER.wait_for(work))
        return work()


def give_way(_: object = None) -> None:
    """End what a panel works on: a cell is to run, or another choice to be followed."""
    if Live.latest:
        Live.latest.end()


def take_up(_: object = None) -> None:
    """Begin anew what gave way to a cell."""
    if Live.latest and not Live.latest.finished:
        Live.latest.follow()


def cells_run() -> int:
    """How many cells the kernel has run."""
    shell = get_ipython()
    return shell.execution_count if shell else 0


@contextmanager
def dice_left_alone() -> Iterator[None]:
    """What is thrown in here changes nothing of what is thrown afterwards."""
    plain, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(plain)
        np.random.set_state(numpy)


class Panel(Live):
    """What `panel` shows.

    What it has drawn it remembers, until a cell runs: that may change what `function` reads. In the
    kernel's idle moments after a touch it draws what may be chosen next. Nobody touches where there
    is no JupyterLab, so nothing is drawn ahead there.

    function, controls: as for `panel`, the controls by name.
    """

    def __init__(
        self,
        function: Callable[..., plots.Picture | Iterable[plots.Picture]],
        controls: dict[str, w.Widget],
    ):
        super().__init__()
        self.function = function
        self.controls = controls
        self.known: dict[tuple, plots.Picture] = {}
        self.cells = cells_run()
        self.seconds = 0.0  # that the last picture took
        self.touched, self.way = next(iter(controls)), 1  # the last control, and which way it went
        self.show(*controls.values(), self.says)
        for name, control in controls.items():
            control.observe(functools.partial(self.touch, name), "value")

    def chosen(self) -> tuple:
        """The values of all controls."""
        return tuple(control.value for control in self.controls.values())

    def touch(self, name: str, change: dict) -> None:
        """Follow a control, and keep in mind which, and whether it goes on or back."""
        values = values_of(self.controls[name])
        if change["old"] in values and change["new"] in values:
            forward = values.index(change["new"]) > values.index(change["old"])
            self.touched, self.way = name, 1 if forward else -1
        self.follow()

    def stages(self) -> Iterator[plots.Picture | None]:
        """The picture, as it is remembered or as it comes."""
        if self.cells != cells_run():
            self.cells = cells_run()
            self.known.clear()
        values = self.chosen()
        if values in self.known:
            yield self.known[values]
            return
        if self.seconds > SLOW:
            self.says.say("working …")
        yield from self.drawn(values)

    def pieces(self, values: tuple) -> Iterator[plots.Picture]:
        """What `function` makes of values, one picture or several."""
        made = self.function(**dict(zip(self.controls, values, strict=True)))
        yield from [made] if isinstance(made, plots.Picture) else made

    def drawn(
        self, values: tuple, *, left_alone: Callable = nullcontext
    ) -> Iterator[plots.Picture | None]:
        """What `function` makes of values, stage after stage; the last is remembered.

        left_alone: makes the context in which it is drawn.
        """
        start = time.monotonic()
        pictures = self.pieces(values)

        def draw() -> plots.Picture | None:
            with left_alone():
                return next(pictures, None)

        last = None
        while picture := (yield from self.waited_for(draw)):
            self.seconds = time.monotonic() - start
            yield (last := picture)
        if last:
            self.known[values] = last
        if len(self.known) > AT_HAND:
            del self.known[next(iter(self.known))]

    def near(self) -> Iterator[tuple]:
        """What may be chosen next: three steps on, one back, one either way of other controls."""
        others = [name for name in self.controls if name != self.touched]
        moves = [(self.touched, self.way * step) for step in (1, 2, -1, 3)]
        for name, step in moves + [(name, step) for name in others for step in (1, -1)]:
            control = self.controls[name]
            values = values_of(control)
            if values and 0 <= (place := values.index(control.value) + step) < len(values):
                chosen = dict(zip(self.controls, self.chosen(), strict=True))
                yield tuple((chosen | {name: values[place]}).values())

    async def look_ahead(self) -> None:
        """Draw what may be chosen next, as long as nothing else is to be done."""
        await asyncio.sleep(REST)
        for values in self.near():
            if values in self.known:
                continue
            stages = self.drawn(values, left_alone=dice_left_alone)
            start = time.monotonic()
            while True:
                if max(self.seconds, time.monotonic() - start) > AHEAD or self.cells != cells_run():
                    WORKER.stop()
                    return
                try:
                    next(stages)
                except Exception:  # the end; or an error, which is said when it is chosen
                    break
                await asyncio.sleep(PAUSE)


def values_of(control: w.Widget) -> list:
    """What can be chosen with a control, in its order; nothing where that is no list."""
    options = getattr(control, "options", ())
    return [option[1] if isinstance(option, tuple) else option for option in options]


def panel(
    draw: Callable[..., plots.Picture | Iterable[plots.Picture]], **controls: w.Widget
) -> None:
    """Controls by name, and under them what draw(**values) returns, drawn anew whenever a value
    changes.

    draw: makes a picture of the values, of them alone and of what cells have defined; it may be
        called for values that nobody has chosen yet. One that takes long may yield several
        pictures, the last one finished.
    """
    Panel(draw, controls)


def open_photo(source: str | bytes, *, size: int | None = None) -> torch.Tensor:
    """A photo: a picture or a scene of the course's by name, or the bytes of one's own file.

    source: the name or the bytes; of one's own, more than 2,048 pixels a side are made fewer.
    size: as in `data.photo`.
    Returns (1, 3, H, W) in [0, 1].
    Raises ValueError for an unknown name, or a file that is no picture.
    """
    if isinstance(source, bytes):
        return data.photo(source, size=size, max_side=2048)
    return data.any_photo(source, size=size)


class PhotoSource(Live):
    """A photo to be chosen: a file of one's own, or a picture or a scene of the course's, with its
    attribution.

    A panel that wants one builds on this: it places `upload`, `ours`, `says` and `credit`, and its
    `changed` tells what another photo sets off. `photo` is the one chosen last, `name` its name.

    value: the name of the first.
    read: turns a name, or the bytes of a file, into a photo, or refuses it with a ValueError.
    Raises ValueError if the first is refused.
    """

    def __init__(self, value: str, *, read: Callable[[str | bytes], torch.Tensor]):
        super().__init__()
        self.read = read
        self.photo = read(value)
        self.name = value
        self.upload = w.FileUpload(accept="image/*", multiple=False, description="Your photo")
        ours = data.picture_names() + data.scene_names()
        self.ours = choice(ours, "or one of ours", value=value)
        self.credit = w.HTML(html.escape(data.attribution(value)))
        self.upload.observe(lambda _: self.take_upload(), "value")
        self.ours.observe(lambda _: self.take(self.ours.value), "value")

    def take_upload(self) -> None:
        """Take the file that was uploaded."""
        for file in self.upload.value:  # one, or none where the upload was undone
            self.take(file["content"].tobytes(), name=pathlib.Path(file["name"]).stem)

    def take(self, source: str | bytes, *, name: str = "") -> None:
        """Take another photo; of one that is refused it is said why, and that the one before stays.

        A kernel shows nobody an error that comes while it answers a control, so all are said.

        source: the name of one of the course's, or the bytes of a file.
        name: the file's.
        """
        try:
            self.photo = self.read(source)
        except Exception as error:
            self.says.say(f"{in_words(error)} The photo before stays.")
            return
        if isinstance(source, bytes):
            self.name = name
            self.credit.value = ""
        else:
            self.name = source
            self.credit.value = html.escape(data.attribution(source))
        self.attempt(self.changed)

    def changed(self) -> None:
        """What another photo sets off.

        Raises NotImplementedError where a panel does not say it.
        """
        raise NotImplementedError


class OwnPhoto(PhotoSource):
    """Trick your own photo: upload it, type any class, move ε; see the picture, what is left of it,
    and download it.

    Each ε has its own attack, the chosen one first; after that the slider only looks them up. The
    uploaded file stays in the kernel's memory.

    model: a `models.Classifier`.
    picture: the name of the first photo.
    target: the first class to make it.
    levels: the ε to choose from, in grey levels; the first shown is 1, or without a 1 the middle.
    steps: of the attack.
    Raises ValueError for an unknown picture or target.
    """

    def __init__(
        self,
        model: models.Classifier,
        *,
        picture: str = "panda",
        target: str = "vulture",
        levels: tuple[float, ...] = (0, 0.25, 0.5, 1, 2, 4),
        steps: int = 12,
    ):
        super().__init__(picture, read=functools.partial(open_photo, size=model.size))
        model.index(target)
        self.model = model
        self.levels = levels
        self.steps = steps
        self.target = w.Combobox(
            options=model.names,
            value=target,
            ensure_option=False,
            continuous_update=False,
            description="make it a",
            placeholder="type a class",
        )
        first = levels.index(1) if 1 in levels else len(levels) // 2
        self.eps = slider(list(levels), "ε, grey levels of 255", index=first)
        self.download = Download()
        self.aim = target
        self.forget()
        self.show(
            w.HBox([self.upload, self.ours]),
            self.target,
            self.eps,
            self.says,
            self.credit,
            self.download,
        )
        self.target.observe(lambda _: self.changed(), "value")
        self.eps.observe(lambda _: self.follow(), "value")

    def changed(self) -> None:
        """Attack anew and show it; a class that does not exist is answered with the nearest."""
        aim = self.target.value.strip()
        if self.attempt(lambda: self.model.index(aim)):
            self.aim = aim
            self.forget()
            self.follow()

    def forget(self) -> None:
        """Of what was made, nothing is left but the photo as it is."""
        self.tricked = {0.0: self.photo}
        self.predictions = {0.0: models.top(self.model, self.photo, k=5)}

    def stages(self) -> Iterator[plots.Picture | None]:
        """The photo at the nearest ε that is made already, then at the chosen one; after that all
        other ε are made, the nearest first.
        """
        chosen = self.eps.value
        if chosen not in self.tricked:
            yield self.at(min(self.tricked, key=lambda eps: abs(eps - chosen)))
        for eps in sorted(self.levels, key=lambda eps: abs(eps - chosen)):
            if eps not in self.tricked:
                self.says.say("working …")
                self.tricked[eps] = yield from self.waited_for(functools.partial(self.attack, eps))
                self.predictions[eps] = models.top(self.model, self.tricked[eps], k=5)
            yield self.at(eps) if eps == chosen else None
            if eps == chosen:
                self.download.offer(data.png(self.tricked[eps]), "tricked.png")

    def attack(self, eps: float) -> torch.Tensor:
        """The photo tricked within ε, (1, 3, H, W)."""
        return attacks.pgd(
            self.model,
            self.photo,
            self.model.index(self.aim),
            eps=eps / 255,
            steps=self.steps,
            targeted=True,
            random_start=False,
            early_stop=False,
        )

    def at(self, eps: float) -> plots.Picture:
        """The tricked photo at one ε, and what the network makes of it."""
        names, probabilities = zip(*self.predictions[eps], strict=True)
        title = f"ε = {eps:g} of 255: {names[0]}, {probabilities[0]:.2f}"
        return plots.probabilities(self.tricked[eps], names, probabilities, title, mark=self.aim)


class Microscope(Live):
    """Look at any unit of a network: its activation on a photo, where that is highest, and the
    picture that excites it.

    Everything but the exciting picture is looked up. That one takes a second or two, and is
    remembered.

    model: a `models.Classifier`.
    layers: the names to choose from -> the side of the patch to cut out, in pixels.
    photo, layer, unit: the first.
    units: how many of each layer to offer.
    """

    def __init__(
        self,
        model: models.Classifier,
        layers: dict[str, int],
        *,
        photo: str,
        layer: str,
        unit: int,
        units: int = 16,
    ):
        super().__init__()
        self.model = model
        self.sides = layers
        self.made: dict[tuple[str, int], torch.Tensor] = {}
        names = data.picture_names()
        self.photos = {name: data.picture(name, size=model.size) for name in names}
        with torch.no_grad():
            seen = activations.read(model, torch.cat(list(self.photos.values())), *layers)
        self.seen = {
            name: dict(zip(names, out[:, :units].cpu(), strict=True))
            for name, out in zip(layers, seen, strict=True)
        }
        self.photo = choice(names, "photo", value=photo)
        self.layer = choice(list(layers), "layer", value=layer)
        self.unit = slider(list(range(units)), "unit", index=unit)
        self.credit = w.HTML(html.escape(data.attribution(photo)))
        self.show(self.photo, self.layer, self.unit, self.says, self.credit)
        for control in (self.photo, self.layer, self.unit):
            control.observe(lambda _: self.follow(), "value")

    def draw(self) -> plots.Picture:
        """The chosen unit on the chosen photo."""
        name = self.photo.value
        layer = self.layer.value
        unit = self.unit.value
        photo = self.photos[name]
        activation = self.seen[layer][name][unit]
        _, row, column = features.top_places(activation[None, None], 0, k=1)[0]
        apart = photo.shape[-1] / activation.shape[-1]
        side = self.sides[layer]
        found, top, left = features.crop(
            photo, (row + 0.5) * apart, (column + 0.5) * apart, side=side
        )
        return plots.microscope(
            photo,
            activation,
            found,
            self.made.get((layer, unit)),
            f"{name} · {layer}, unit {unit}",
            corner=(top, left),
            side=side,
        )

    def stages(self) -> Iterator[plots.Picture | None]:
        """What is known, and then with the exciting picture, which is made once."""
        self.credit.value = html.escape(data.attribution(self.photo.value))
        chosen = self.layer.value, self.unit.value
        if chosen not in self.made:
            yield self.draw()
            self.says.say("working …")
            growing = dreams.visualising(self.model, dreams.unit(*chosen))
            for step, picture in enumerate(growing):
                last = picture
                if step % 8 == 0:
                    yield None
            self.made[chosen] = last
        yield self.draw()


class Pointer(anywidget.AnyWidget):
    """A photo, any patch of which is chosen by a click or with the arrow keys.

    `value` is the patch, (row, column) from the upper left, counted from 0.

    photo: (1, 3, S, S) in [0, 1].
    label: what it is, for a screen reader.
    patches: along a side.
    value: the first one chosen.
    """

    _esm = pathlib.Path(__file__).with_name("pointer.js")
    source = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    patches = traitlets.Int().tag(sync=True)
    value = traitlets.Tuple(traitlets.Int(), traitlets.Int()).tag(sync=True)

    def __init__(self, photo: torch.Tensor, label: str, *, patches: int, value: tuple[int, int]):
        super().__init__(patches=patches, value=value)
        self.show(photo, label)

    def show(self, photo: torch.Tensor, label: str) -> None:
        """Show another photo; the patch stays where it is.

        photo, label: as for the first.
        """
        self.source = f"data:image/png;base64,{base64.b64encode(data.png(photo)).decode()}"
        self.label = label


class Gaze(Live):
    """See where a vision transformer looks: from the patch that is clicked, or from [CLS], in any
    layer and head.

    A photo is looked at once; the rest is looked up.

    model: a `models.VisionTransformer`.
    picture, layer, head: the first, as for `data.picture`, and counted from 0.
    patch: the first, (row, column).
    """

    def __init__(
        self,
        model: models.VisionTransformer,
        *,
        picture: str,
        layer: int,
        head: int,
        patch: tuple[int, int],
    ):
        super().__init__()
        self.model = model
        self.photo = choice(data.picture_names(), "photo", value=picture)
        self.name = picture
        self.image = data.picture(picture, size=model.size)
        self.look()
        layers, heads = self.attention.shape[:2]
        self.layer = slider(list(range(layers)), "layer", index=layer)
        self.head = slider(list(range(heads)), "head", index=head)
        self.asks = w.ToggleButtons(
            options=["the patch in the box", "[CLS]"], description="who looks", value="[CLS]"
        )
        self.pointer = Pointer(self.image, picture, patches=self.side, value=patch)
        self.credit = w.HTML(html.escape(data.attribution(picture)))
        self.show(
            self.photo, self.layer, self.head, self.asks, self.pointer, self.says, self.credit
        )
        self.pointer.observe(lambda _: self.clicked(), "value")
        for control in (self.photo, self.layer, self.head, self.asks):
            control.observe(lambda _: self.follow(), "value")

    def look(self) -> None:
        """Have the network look at the photo: `attention` is (layers, heads, T, T)."""
        with torch.no_grad():
            self.attention = attention.heads(self.model, self.image)[0].half().cpu()
        self.side = round((self.attention.shape[-1] - 1) ** 0.5)

    def stages(self) -> Iterator[plots.Picture | None]:
        """Another photo as it is, then where the network looks."""
        name = self.photo.value
        if name != self.name:
            self.says.say("working …")
            self.name = ""  # until it is looked at
            self.image = data.picture(name, size=self.model.size)
            self.pointer.show(self.image, name)
            self.credit.value = html.escape(data.attribution(name))
            yield plots.pictures([self.image], ["the network looks at it"], name)
            yield from self.waited_for(self.look)
            self.name = name
        yield self.draw()

    def clicked(self) -> None:
        """Show where the patch that was clicked looks."""
        if self.asks.value == "[CLS]":
            self.asks.value = "the patch in the box"  # which shows it
        else:
            self.follow()

    def draw(self) -> plots.Picture:
        """Where the token that is asked looks, and, as one head is not all, the mean of all."""
        row, column = self.pointer.value
        from_patch = self.asks.value != "[CLS]"
        token = 1 + row * self.side + column if from_patch else 0
        looks = self.attention[self.layer.value, :, token].float()
        who = f"patch {row + 1}, {column + 1}" if from_patch else "[CLS]"
        step = 1 / self.side
        return plots.lit(
            self.image,
            [attention.on_grid(m[1:]) for m in (looks[self.head.value], looks.mean(0))],
            [
                f"head {self.head.value}, {looks[self.head.value, 0]:.0%} of it on [CLS]",
                f"all {len(looks)} heads, {looks[:, 0].mean():.0%} of it on [CLS]",
            ],
            f"{self.name}: where {who} looks in layer {self.layer.value}",
            size=3.4,
            box=(column * step, row * step, step, step) if from_patch else None,
        )


class DreamPanel(PhotoSource):
    """Dream on any photo and watch it grow: photo, layer, octaves, steps; start, stop, download.

    The first dream is made here and now. Those after it run between the kernel's messages, so that
    the stop button is heard; a new start stops the one before.

    model: a `models.Classifier`.
    layers: the names to choose from.
    picture: the name of the first photo.
    layer: the first.
    side: pixels that the longer side may have; it decides how long a dream takes.
    octaves, steps: the first, of 1 to 5, and of 2, 5, 10, 20, 40.
    Raises ValueError for an unknown picture or layer.
    """

    def __init__(
        self,
        model: models.Classifier,
        layers: list[str],
        *,
        picture: str,
        layer: str,
        side: int = 384,
        octaves: int = 4,
        steps: int = 10,
    ):
        super().__init__(picture, read=lambda source: data.scaled(open_photo(source), side=side))
        activations.submodule(model, layer)
        self.model = model
        self.layer = choice(layers, "layer", value=layer)
        self.octaves = slider([1, 2, 3, 4, 5], "octaves", index=octaves - 1)
        counts = [2, 5, 10, 20, 40]
        self.steps = slider(counts, "steps an octave", index=counts.index(steps))
        self.start = w.Button(description="Start the dream", icon="play")
        self.stop = w.Button(description="Stop the dream", icon="stop")
        self.download = Download()
        for image in self.dreaming():
            self.dream = image
        self.show(
            w.HBox([self.upload, self.ours]),
            self.layer,
            self.octaves,
            self.steps,
            w.HBox([self.start, self.stop]),
            self.says,
            self.credit,
            self.download,
        )
        self.offer()
        self.start.on_click(lambda _: self.begin())
        self.stop.on_click(lambda _: self.halt())

    def dreaming(self) -> Iterator[torch.Tensor]:
        """The dream that the controls ask for, step by step."""
        return dreams.dreaming(
            self.model,
            self.photo,
            dreams.layer(self.layer.value),
            octaves=self.octaves.value,
            steps=self.steps.value,
        )

    def changed(self) -> None:
        """Show the photo that was taken; a dream that runs is stopped."""
        self.end()
        self.dream = self.photo
        self.download.value = ""
        self.update(self.draw("awake"))
        self.says.say('Here is the photo. Press "Start the dream".')

    def begin(self) -> None:
        """Start to dream; what runs is stopped first.

        Settings that cannot be are answered in words.
        """
        self.end()
        try:
            steps = self.dreaming()
        except Exception as error:  # nobody else would say it, as in `take`
            self.says.say(in_words(error))
            return
        self.download.value = ""
        self.says.say("dreaming …")
        self.task = asyncio.ensure_future(self.run(steps))

    async def run(self, steps: Iterator[torch.Tensor]) -> None:
        """Take the steps, showing how far they have come, and let the kernel read its messages
        after each.
        """
        whole = self.octaves.value * self.steps.value
        drawn = 0.0
        try:
            for count, image in enumerate(steps, 1):
                self.dream = image
                if time.monotonic() > drawn + 0.4:  # drawing takes its time too
                    self.update(self.draw(f"step {count} of {whole}"))
                    drawn = time.monotonic()
                await asyncio.sleep(0.01)
        except Exception as error:  # nobody waits for a task, so it must tell for itself
            self.says.say(in_words(error))
        else:
            self.finish("dreamt")

    def finish(self, state: str) -> None:
        """Show and offer what there is."""
        self.task = None
        self.update(self.draw(state))
        self.offer()
        self.says.say(f"The dream has {state}." if state == "stopped" else "The dream is done.")

    def halt(self) -> None:
        """Stop the dream that runs, and show and offer how far it came."""
        if self.task:
            self.end()
            self.finish("stopped")
        else:
            self.says.say("No dream is running.")

    def draw(self, state: str = "dreamt") -> plots.Picture:
        """The dream so far, at the photo's size."""
        so_far = dreams.resized(self.dream, *self.photo.shape[2:]).clamp(0, 1)
        return plots.pictures(
            [so_far], [state], f"{self.layer.value}, {self.octaves.value} octaves", size=4.6
        )

    def offer(self) -> None:
        """Offer the dream for download."""
        self.download.offer(data.png(self.dream), "dream.png")


class Arcade(Live):
    """Play the tiny game by hand; before each move, see what a network thinks of it.

    net: states (N, 2, 10, 10) in [0, 1] to the value of each action, (N, 4).
    seed: of the game.
    """

    def __init__(self, net: torch.nn.Module, *, seed: int = 0):
        super().__init__()
        self.net = net
        self.game = games.Tiny(1)
        self.states = self.game.reset(seed)
        self.points = self.moves = 0
        self.before = ""  # how the last game went
        self.buttons = [w.Button(description=action) for action in self.game.actions]
        self.show(w.HBox(self.buttons), self.says)
        for action, button in enumerate(self.buttons):
            button.on_click(lambda _, action=action: self.press(action))

    def press(self, action: int) -> None:
        """Play one move, and show what came of it."""
        self.game.send(np.array([action]))
        step = self.game.recv()
        self.states = step.states
        self.points += int(step.rewards[0])
        self.moves += 1
        if step.ended[0]:
            self.before = f"Game over: {self.points} points in {self.moves} moves. Another begins."
            self.points = self.moves = 0
        elif self.moves > 1:
            self.before = ""
        self.follow()

    def draw(self) -> plots.Picture:
        """The state, and the network's values of the four actions."""
        with torch.no_grad():
            values = logits_of(self.net, player.as_images(self.net, self.states))[0].tolist()
        said = ", ".join(
            f"{name} {value:.1f}" for name, value in zip(self.game.actions, values, strict=True)
        )
        return plots.boards(
            self.states[0],
            ["a move ago", f"now: {self.points} points, {self.moves} moves"],
            self.before or f"It thinks: {said}",
            size=2.5,
        )


class AtlasPanel(Live):
    """Travel an atlas: point at a cell, and see its drawing and the real patches behind it.

    The maps came with the course, so all of it is looked up.

    maps: what the slider says -> the name of a map, as for `atlas.stored`.
    classes: what the slider says -> the loudest class of each cell, GRID² words; a map that is not
        there names nothing.
    index: the place on the slider to begin with.
    cell: the first, (row, column).
    """

    def __init__(
        self,
        maps: dict[str, str],
        classes: dict[str, list[str]],
        *,
        index: int = 0,
        cell: tuple[int, int] = (5, 5),
    ):
        super().__init__()
        self.classes = classes
        self.charts = {label: atlas.stored(name) for label, name in maps.items()}
        self.cells = {k: atlas.cell_numbers(c.points) for k, c in self.charts.items()}
        self.real = {label: atlas.tiles(chart) for label, chart in self.charts.items()}
        self.map = slider(list(maps), "map", index=index, fmt="{}")
        self.shows = w.ToggleButtons(options=["drawings", "real patches"], description="shows")
        self.pointer = Pointer(self.sheet(), self.map.value, patches=atlas.GRID, value=cell)
        self.show(self.map, self.shows, self.pointer, self.says)
        self.pointer.observe(lambda _: self.follow(), "value")
        for control in (self.map, self.shows):
            control.observe(lambda _: self.attempt(self.changed), "value")

    def tiles(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What the chosen map shows, drawings where it has any, and which cells are land."""
        label = self.map.value
        chart = self.charts[label]
        drawn = len(chart.drawings) and self.shows.value == "drawings"
        return chart.drawings if drawn else self.real[label], atlas.land(chart.points)

    def sheet(self) -> torch.Tensor:
        """The chosen map as one picture, for the pointer."""
        return painted(*self.tiles(), side=40)

    def changed(self) -> None:
        """Show another map; the cell stays where it is."""
        self.pointer.show(self.sheet(), self.map.value)
        self.follow()

    def draw(self) -> plots.Picture:
        """The chosen cell, opened."""
        label = self.map.value
        chart = self.charts[label]
        row, column = self.pointer.value
        cell = row * atlas.GRID + column
        tiles, land = self.tiles()
        inside = self.cells[label] == cell
        if not land[cell]:
            title = f"{label}, row {row + 1}, column {column + 1}: open sea"
            return plots.cell_opened(tiles, land, cell, torch.zeros(0, 3, 80, 80), title)
        pictures = chart.places[inside, 0].unique().numel()
        title = f"{label}: {inside.sum()} activations from {pictures} pictures"
        if label in self.classes:
            title += f"; loudest class: {self.classes[label][cell]}"
        drawing = chart.drawings[cell] if len(chart.drawings) else None
        return plots.cell_opened(
            tiles, land, cell, atlas.opened(chart, cell), title, drawing=drawing
        )
