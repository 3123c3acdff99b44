"""From a key on a panel's slider to the new picture on the screen, in a real browser: python
benchmarks/bench_slider.py [--tiny]
"""

import pathlib
import statistics
import sys
import tempfile

import nbformat
from side_by_side import sized, table

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from browser import PROGRAM, chromium, copy_of, jupyterlab, run_all

WATCH = """alt => new Promise(done => {
    const start = performance.now(), seen = () => {
        const pictures = [...document.querySelectorAll('.jp-OutputArea img')];
        const picture = pictures.find(i => i.alt.startsWith(alt));
        const shown = () => done(performance.now() - start);
        requestAnimationFrame(picture && picture.complete ? shown : seen);
    };
    requestAnimationFrame(seen);
})"""
LEFT, RIGHT = "ArrowLeft", "ArrowRight"
LEVELS = ((RIGHT, 2), (RIGHT, 4), (LEFT, 2), (LEFT, 1), (LEFT, 0.5), (LEFT, 0.25), (LEFT, 0))
# a notebook's moves: a key, and how the alt text of the picture begins that it brings
LESSONS = {
    "02_linear_classifiers.ipynb": [(RIGHT, f"boot + {i / 50:g} of") for i in range(21, 29)],
    "03_panda_to_vulture.ipynb": [(key, f"ε = {level:g} of") for key, level in LEVELS],
}
# the least that has a slider
PANEL = """import ipywidgets
from IPython.display import HTML, display

def picture(height):
    pixel = "R0lGODlhAQABAAAAACwAAAAAAQABAAA="
    return HTML(f'<img alt="height {height}" src="data:image/gif;base64,{pixel}">')

slider = ipywidgets.IntSlider(1)
display(slider)
handle = display(picture(1), display_id=True)
slider.observe(lambda change: handle.update(picture(change["new"])), "value")"""


def write(notebook, folder):
    if notebook in LESSONS:
        copy_of(notebook, folder)
    else:
        cells = [nbformat.v4.new_code_cell(PANEL)]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / notebook)


def milliseconds(notebook, moves):
    """From each key to its picture."""
    with tempfile.TemporaryDirectory() as folder:
        write(notebook, pathlib.Path(folder))
        with jupyterlab(pathlib.Path(folder)) as address, chromium() as page:
            run_all(page, address.format(notebook))
            page.get_by_role("slider").first.focus()
            for key, alt in moves:
                page.wait_for_timeout(500)
                page.evaluate(f"void (window.drawn = ({WATCH})({alt!r}))")
                page.keyboard.press(key)
                yield page.evaluate("window.drawn")


if PROGRAM:
    rows = {}
    for notebook, moves in sized(LESSONS, {"panel.ipynb": [(RIGHT, "height 2")]}).items():
        times = list(milliseconds(notebook, moves))
        rows[notebook] = {
            "ms, median": statistics.median(times),
            "ms, longest": max(times),
            "moves": len(times),
        }
    table("From a key to the picture", rows)
else:
    print("There is no Chromium on this machine: apt-get install chromium")
