"""Draw what each live panel shows, frame by frame, for the book: its pages have no kernel.

    python tools/frames.py notebooks/03_panda_to_vulture.ipynb …

Of a lesson only those cells are run that its panels need. Of a panel one control is moved: that of
MOVED, which its question is about, else its first slider, else its first list. The others stay as
they are. The frames and their words are kept in book/frames/LESSON-CELL/, for `make book`, which
runs nothing.
"""

import io
import json
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import ipywidgets as w
import nbformat
import numpy as np
import sliced
from PIL import Image

from trickkit import widgets

ROOT = pathlib.Path(__file__).resolve().parent.parent
FRAMES = ROOT / "book" / "frames"
MOST = 9  # frames of a panel
MOVED = {"04-70": "ε", "07-30": "layer", "12-24": "how far", "20-82": "bias above"}
WIDTH = 1000  # pixels at most


class Screen:
    """What stands in for a notebook's output: it keeps the last picture."""

    picture: Any = None

    def update(self, picture: Any) -> None:
        self.picture = picture


def controls(shown: tuple[w.Widget, ...]) -> Iterator[w.Widget]:
    """All widgets that a panel shows, those in boxes too."""
    for one in shown:
        yield from controls(one.children) if isinstance(one, w.Box) else (one,)


def spread(n: int, *, around: int = 0) -> list[int]:
    """At most MOST of n places, about evenly, with both ends and one more.

    around: that one, which takes the place of its neighbour.
    """
    places = [round(i) for i in np.linspace(0, n - 1, min(n, MOST))]
    if around not in places:
        inner = places[1:-1]
        places[1 + int(np.argmin(np.abs(np.array(inner) - around)))] = around
    return sorted(set(places))


def frames(
    panel: widgets.Live, shown: list[w.Widget], moved: str | None
) -> Iterator[tuple[str, Any, bool]]:
    """What a panel shows at each of its settings: (what it is set to, the picture, whether the
    panel begins with that).

    moved: how the name of the control begins that is moved.
    """
    screen = panel.handle
    if isinstance(panel, widgets.Gaze):
        panel.asks.value = "the patch in the box"  # which the question is about
    if isinstance(panel, widgets.Arcade):
        yield "before the first move", screen.picture, True
        for move in range(1, MOST):
            action = move % len(panel.buttons)
            panel.press(action)
            yield f"move {move}, {panel.buttons[action].description}", screen.picture, False
    elif isinstance(panel, widgets.DreamPanel):
        steps = panel.octaves.value * panel.steps.value
        wanted = {step + 1 for step in spread(steps)}
        for step, image in enumerate(panel.dreaming(), 1):
            panel.dream = image
            if step in wanted:
                label = f"step {step} of {steps}"
                yield label, panel.draw(label), step == steps  # what it begins with is dreamt
    elif isinstance(panel, widgets.AtlasPanel):
        row, first = panel.pointer.value
        for column in spread(panel.pointer.patches, around=first):
            panel.pointer.value = row, column
            yield f"row {row + 1}, column {column + 1}", screen.picture, column == first
    else:
        sliders = [one for one in shown if isinstance(one, w.SelectionSlider)]
        lists = [one for one in shown if isinstance(one, w.Dropdown)]
        named = [one for one in shown if moved and one.description.startswith(moved)]
        control = (named or sliders or lists)[0]
        first = control.index
        for place in spread(len(control.options), around=first):
            control.index = place
            yield f"{control.description}: {control.label}", screen.picture, place == first


def kept(folder: pathlib.Path, first: str, made: Iterator[tuple[str, Any, bool]]) -> None:
    """Write frames and their words into a folder.

    first: the words of the picture that the panel shows at first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    told = []
    start = None
    for place, (label, picture, begins) in enumerate(made):
        start = place if begins else start
        image = Image.open(io.BytesIO(picture.bytes)).convert("RGB")
        image.thumbnail((WIDTH, 10 * WIDTH))
        image.save(folder / f"{place}.webp", quality=80, method=6)
        told.append({"label": " ".join(label.split()), "alt": picture.alt})
    known = {"first": first, "start": start, "frames": told}
    words = json.dumps(known, indent=1, ensure_ascii=False)
    (folder / "frames.json").write_text(words + "\n", encoding="utf-8")


def main(paths: list[str]) -> None:
    os.environ.update(TQDM_DISABLE="1", TRICKKIT_PROGRESS="")
    panels: list[tuple[widgets.Live, list[w.Widget]]] = []

    def show(self: widgets.Live, *shown: w.Widget) -> None:
        self.handle = Screen()
        for picture in self.stages():
            self.handle.update(picture or self.handle.picture)
        panels.append((self, list(controls(shown))))

    widgets.Live.show = show  # type: ignore[method-assign]
    for path in map(pathlib.Path, paths):
        cells = nbformat.read(path, as_version=4).cells
        places = [place for place, cell in enumerate(cells) if cell.cell_type == "code"]
        sources = [cells[place].source for place in places]
        showing = [i for i, source in enumerate(sources) if sliced.has_panel(source)]
        names: dict[str, Any] = {"__name__": "__main__"}
        os.chdir(path.resolve().parent)
        for i in sorted(set().union(*(sliced.needed(sources, i) for i in showing))):
            panels.clear()
            exec(compile(sources[i], f"{path.stem}, cell {places[i]}", "exec"), names)
            for panel, shown in panels:
                folder = FRAMES / f"{path.stem[:2]}-{places[i]:02d}"
                first = panel.handle.picture.alt
                kept(folder, first, frames(panel, shown, MOVED.get(folder.name)))
                print(folder.relative_to(ROOT), len(list(folder.iterdir())) - 1)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main([os.path.abspath(path) for path in sys.argv[1:]])
