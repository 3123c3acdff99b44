"""Live panels: controls above, a picture below that follows them at once and stays in the notebook when the kernel is gone."""
import asyncio
import base64
import time
from collections.abc import Callable

import ipywidgets as w
import torch
from IPython.display import HTML, display

from trickkit import activations, attacks, data, dreams, features, models, plots
from trickkit.common import unknown

WIDGET = "application/vnd.jupyter.widget-view+json"
PLAIN = "Live panel: run this cell in JupyterLab to move its controls."


def slider(values: list, label: str, start: int = 0, form: str = "{:g}") -> w.SelectionSlider:
    """A slider over a list of values, moved by mouse or arrow keys. start: place in the list; form: how a value is shown."""
    return w.SelectionSlider(options=[(form.format(v), v) for v in values], index=start, description=label,
                             continuous_update=True, style={"description_width": "initial"}, layout={"width": "420px"})


def choice(names: list[str], label: str, start: str | None = None) -> w.Dropdown:
    """A list to choose one name from."""
    return w.Dropdown(options=names, value=start or names[0], description=label, style={"description_width": "initial"})


def show_controls(*controls: w.Widget) -> None:
    """Show widgets; where there is no live notebook, a sentence stands in their place."""
    bundle = w.VBox(controls)._repr_mimebundle_()
    display({WIDGET: bundle[WIDGET], "text/plain": PLAIN}, raw=True)


def panel(draw: Callable[..., plots.Picture], **controls: w.Widget) -> None:
    """Controls by name, and under them what draw(**values) returns, drawn anew whenever a value changes.

    The picture is the cell's own output, not a widget: it is saved with the notebook and read by GitHub and on paper.
    """
    def drawn():
        return draw(**{name: control.value for name, control in controls.items()})

    show_controls(*controls.values())
    handle = display(drawn(), display_id=True)
    for control in controls.values():
        control.observe(lambda _: handle.update(drawn()), "value")


def link(png: bytes, file: str, words: str) -> HTML:
    """A link that saves a picture under that name, from the page itself: no server, no file on this machine."""
    return HTML(f'<a download="{file}" href="data:image/png;base64,{base64.b64encode(png).decode()}">{words}</a>')


def spoken(sentence: str) -> str:
    """A sentence as HTML that a screen reader announces when it appears."""
    safe = sentence.replace("&", "&amp;").replace("<", "&lt;")
    return f'<div role="status" aria-live="polite">{safe}</div>'


def chosen(source: str | bytes, size: int | None = None) -> tuple[torch.Tensor, str]:
    """A photo and its attribution: one of the course's by name, or the bytes of a learner's own file, which needs none."""
    if isinstance(source, bytes):
        return data.photo(source, size), ""
    return data.picture(source, size), data.attribution(source)


class OwnPhoto:
    """Trick your own photo: upload it, type any class, move ε; see the picture, what is left of it, and download it.

    model: a `models.Classifier`. levels: the ε to choose from, in grey levels; each has its own attack, all made in one batch,
    so that the slider only looks them up. The uploaded file stays in the kernel's memory. Raises ValueError for an unknown
    picture or target.
    """

    def __init__(self, model: models.Classifier, picture: str = "panda", target: str = "vulture",
                 levels: tuple[float, ...] = (0, 0.25, 0.5, 1, 2, 4), steps: int = 12):
        if picture not in data.pictures():
            raise unknown("picture", picture, data.pictures())
        model.index(target)
        self.model, self.levels, self.steps = model, levels, steps
        self.upload = w.FileUpload(accept="image/*", multiple=False, description="Your photo")
        self.shipped = choice(data.pictures(), "or one of ours", picture)
        self.target = w.Combobox(options=model.names, value=target, ensure_option=False, continuous_update=False,
                                 description="make it a", placeholder="type a class")
        self.eps = slider(list(levels), "ε, grey levels of 255", start=levels.index(1))
        self.says, self.credit, self.download = w.HTML(), w.HTML(data.attribution(picture)), w.HTML()
        self.photo = data.picture(picture, model.size)
        self.attack()
        show_controls(w.HBox([self.upload, self.shipped]), self.target, self.eps, self.says, self.credit, self.download)
        self.handle = display(self.draw(), display_id=True)
        self.offer()
        self.upload.observe(lambda _: self.take(self.upload.value[0]["content"].tobytes()), "value")
        self.shipped.observe(lambda _: self.take(self.shipped.value), "value")
        self.target.observe(lambda _: self.again(), "value")
        self.eps.observe(lambda _: self.follow(), "value")

    def take(self, source: str | bytes) -> None:
        """Take another photo: the name of one of ours, or the bytes of a file."""
        try:
            self.photo, self.credit.value = chosen(source, self.model.size)
        except ValueError as error:
            self.say(str(error))
        else:
            self.again()

    def again(self) -> None:
        """Attack anew and show it; a class that does not exist is answered with the nearest ones."""
        try:
            self.say("working …")
            self.attack()
        except ValueError as error:
            self.say(str(error))
        else:
            self.say("")
            self.follow()

    def attack(self) -> None:
        """All ε in one batch: self.tricked is (levels, 3, H, W), self.read what the network makes of each."""
        eps = torch.tensor(self.levels, device=self.photo.device) / 255
        target = self.model.index(self.target.value.strip())
        self.tricked = attacks.pgd(self.model, self.photo.repeat(len(eps), 1, 1, 1), target, eps, self.steps,
                                   targeted=True, random_start=False, early_stop=False)
        self.read = [models.top(self.model, image[None], 5) for image in self.tricked]

    def draw(self) -> plots.Picture:
        """The tricked photo at the chosen ε, and what the network makes of it."""
        place = self.levels.index(self.eps.value)
        names, chances = zip(*self.read[place], strict=True)
        title = f"ε = {self.eps.value:g} of 255: {names[0]}, {chances[0]:.2f}"
        return plots.chances(self.tricked[[place]], names, chances, title, mark=self.target.value)

    def follow(self) -> None:
        """Show the chosen ε."""
        self.handle.update(self.draw())
        self.offer()

    def offer(self) -> None:
        """Offer the picture at the chosen ε for download."""
        file = data.png(self.tricked[[self.levels.index(self.eps.value)]])
        self.download.value = link(file, "tricked.png", "Download this picture (PNG)").data

    def say(self, sentence: str) -> None:
        """Show a sentence where a screen reader announces it."""
        self.says.value = spoken(sentence)


class Microscope:
    """Look at any unit of a network: its activation on a photo, where that is highest, and the picture that excites it.

    layers: the names to choose from -> the side of the patch to cut out, in pixels; units: how many of each layer to offer.
    Everything but the exciting picture is looked up. That one takes a second or two and is remembered; meanwhile `says` tells.
    """

    def __init__(self, model: models.Classifier, layers: dict[str, int], photo: str, layer: str, unit: int, units: int = 16):
        self.model, self.sides, self.made = model, layers, {}
        names = data.pictures()
        self.photos = {name: data.picture(name, model.size) for name in names}
        with torch.no_grad():
            seen = activations.read(model, torch.cat(list(self.photos.values())), *layers)
        self.seen = {name: dict(zip(names, out[:, :units].cpu(), strict=True)) for name, out in zip(layers, seen, strict=True)}
        self.photo, self.layer = choice(names, "photo", photo), choice(list(layers), "layer", layer)
        self.unit = slider(list(range(units)), "unit", start=unit)
        self.unit.continuous_update = False  # dragged past, a unit costs nothing
        self.says, self.credit = w.HTML(), w.HTML(data.attribution(photo))
        self.make()
        show_controls(self.photo, self.layer, self.unit, self.says, self.credit)
        self.handle = display(self.draw(), display_id=True)
        for control in (self.photo, self.layer, self.unit):
            control.observe(lambda _: self.follow(), "value")

    def draw(self) -> plots.Picture:
        """The chosen unit on the chosen photo."""
        name, layer, unit = self.photo.value, self.layer.value, self.unit.value
        photo, activation = self.photos[name], self.seen[layer][name][unit]
        _, row, column = features.top_places(activation[None, None], 0, 1)[0]
        apart, side = photo.shape[-1] / activation.shape[-1], self.sides[layer]
        found, top, left = features.patch(photo, (row + 0.5) * apart, (column + 0.5) * apart, side)
        return plots.microscope(photo, activation, (top, left, side), found, self.made.get((layer, unit)),
                                f"{name} · {layer}, unit {unit}")

    def make(self) -> None:
        """The picture that excites the chosen unit, once."""
        chosen = self.layer.value, self.unit.value
        if chosen not in self.made:
            self.made[chosen] = dreams.visualise(self.model, dreams.unit(*chosen))

    def follow(self) -> None:
        """Show what is chosen: what is known at once, and the exciting picture when it is made."""
        self.credit.value = data.attribution(self.photo.value)
        if (self.layer.value, self.unit.value) not in self.made:
            self.handle.update(self.draw())
            self.says.value = spoken("working …")
            self.make()
            self.says.value = ""
        self.handle.update(self.draw())


class DreamPanel:
    """Dream on any photo and watch it grow: photo, layer, octaves, steps; start, stop, download.

    model: a `models.Classifier`; layers: the names to choose from; side: pixels that the longer side may have, which decides
    how long a dream takes. The first dream is made here and now. Those after it run between the kernel's messages, so that the
    stop button is heard; a new start stops the one before. Raises ValueError for an unknown picture or layer.
    """

    def __init__(self, model: models.Classifier, layers: list[str], picture: str, layer: str, side: int = 384,
                 octaves: int = 4, steps: int = 10):
        activations.layer(model, layer)
        self.model, self.side, self.task = model, side, None
        self.upload = w.FileUpload(accept="image/*", multiple=False, description="Your photo")
        self.shipped = choice(data.pictures(), "or one of ours", picture)
        self.layer = choice(layers, "layer", layer)
        self.octaves = slider([1, 2, 3, 4, 5], "octaves", start=octaves - 1)
        self.steps = slider([2, 5, 10, 20, 40], "steps an octave", start=[2, 5, 10, 20, 40].index(steps))
        self.start = w.Button(description="Start the dream", icon="play")
        self.stop = w.Button(description="Stop the dream", icon="stop")
        self.says, self.credit, self.download = w.HTML(), w.HTML(data.attribution(picture)), w.HTML()
        self.photo = data.scaled(data.picture(picture), side)
        for picture in self.steps_of_it():
            self.dream = picture
        show_controls(w.HBox([self.upload, self.shipped]), self.layer, self.octaves, self.steps,
                      w.HBox([self.start, self.stop]), self.says, self.credit, self.download)
        self.handle = display(self.draw("dreamt"), display_id=True)
        self.offer()
        self.upload.observe(lambda _: self.take(self.upload.value[0]["content"].tobytes()), "value")
        self.shipped.observe(lambda _: self.take(self.shipped.value), "value")
        self.start.on_click(lambda _: self.begin())
        self.stop.on_click(lambda _: self.halt())

    def steps_of_it(self):
        """The dream that the controls ask for, step by step."""
        return dreams.dreaming(self.model, self.photo, dreams.layer(self.layer.value), self.octaves.value, self.steps.value)

    def take(self, source: str | bytes) -> None:
        """Take another photo: the name of one of ours, or the bytes of a file. A dream that runs is stopped."""
        try:
            photo, self.credit.value = chosen(source)
        except ValueError as error:
            self.say(str(error))
            return
        self.end()
        self.dream = self.photo = data.scaled(photo, self.side)
        self.download.value = ""
        self.handle.update(self.draw("awake"))
        self.say('Here is the photo. Press "Start the dream".')

    def begin(self) -> None:
        """Start to dream; what runs is stopped first. Settings that cannot be are answered in words."""
        self.end()
        try:
            steps = self.steps_of_it()
        except ValueError as error:
            self.say(str(error))
            return
        self.download.value = ""
        self.say("dreaming …")
        self.task = asyncio.ensure_future(self.run(steps))

    async def run(self, steps) -> None:
        """Take the steps, showing how far they have come, and let the kernel read its messages after each."""
        whole, drawn = self.octaves.value * self.steps.value, 0.0
        try:
            for count, picture in enumerate(steps, 1):
                self.dream = picture
                if time.monotonic() > drawn + 0.4:  # drawing takes its time too
                    self.handle.update(self.draw(f"step {count} of {whole}"))
                    drawn = time.monotonic()
                await asyncio.sleep(0.01)
        except Exception as error:  # nobody waits for a task, so it must tell for itself
            self.say(f"It stopped with {type(error).__name__}: {error}")
        else:
            self.finish("dreamt")

    def finish(self, state: str) -> None:
        """Show and offer what there is."""
        self.task = None
        self.handle.update(self.draw(state))
        self.offer()
        self.say(f"The dream has {state}." if state == "stopped" else "The dream is done.")

    def end(self) -> None:
        """End the dream that runs, if one does."""
        if self.task:
            self.task.cancel()
            self.task = None

    def halt(self) -> None:
        """Stop the dream that runs, and show and offer how far it came."""
        if self.task:
            self.end()
            self.finish("stopped")
        else:
            self.say("No dream is running.")

    def draw(self, state: str) -> plots.Picture:
        """The dream so far, at the photo's size."""
        so_far = dreams.resized(self.dream, *self.photo.shape[2:]).clamp(0, 1)
        return plots.pictures([so_far], [state], f"{self.layer.value}, {self.octaves.value} octaves", size=4.6)

    def offer(self) -> None:
        """Offer the dream for download."""
        self.download.value = link(data.png(self.dream), "dream.png", "Download this picture (PNG)").data

    def say(self, sentence: str) -> None:
        """Show a sentence where a screen reader announces it."""
        self.says.value = spoken(sentence)
