"""From a key on a panel's control to the new picture on the screen, in a real browser, and the
memory that the kernel has then: python benchmarks/bench_panels.py [01 17 …] [--tiny]
"""

import pathlib
import statistics
import sys
import tempfile

import psutil
from side_by_side import chosen, sized, table

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import sliced
from browser import (
    PROGRAM,
    chromium,
    end_kernels,
    jupyterlab,
    panels_of,
    run_all,
    shown_panels,
    write_notebook,
)

from trickkit import folders

# from the key that goes down, or the choice from a list, to the first picture that is another,
# decoded and about to be painted
WATCH = """cell => { window.took = new Promise(done => {
    const picture = () => cell.querySelector(".jp-OutputArea img:not([alt=''])");
    const before = picture(), source = before.src;
    let pressed = 0;
    const start = () => pressed = performance.now(), once = {capture: true, once: true};
    for (const event of ["keydown", "change"]) addEventListener(event, start, once);
    const watcher = new MutationObserver(() => {
        const now = picture();
        if (!pressed || !now || (now === before && now.src === source)) return;
        watcher.disconnect();
        const shown = () => requestAnimationFrame(() => done(performance.now() - pressed));
        now.decode().then(shown, shown);
    });
    watcher.observe(cell, {subtree: true, childList: true, attributes: true});
    setTimeout(() => done(null), 10000);
}) }"""
PAUSE = 700  # ms that a learner looks before the next key
# the least that has a slider
LEAST = """from trickkit import plots, widgets
import torch

def draw(height):
    return plots.pictures([torch.ones(1, 1, 8, 8)], [""], f"height {height}")

widgets.panel(draw, height=widgets.slider([1, 2, 3, 4, 5, 6, 7], "height", index=1))"""


def kernel_mib() -> float:
    """The memory of the kernel that runs."""
    started = psutil.Process().children(recursive=True)
    kernels = [p for p in started if any("ipykernel" in word for word in p.cmdline())]
    return sum(p.memory_info().rss for p in kernels) / 2**20


def milliseconds(page, panel):
    """{control: from each key to its picture}."""
    panel.cell.scroll_into_view_if_needed()
    cell = panel.cell.element_handle()
    times = {}
    for control in panel.controls():
        for key in control.keys:
            page.wait_for_timeout(PAUSE)
            page.evaluate(WATCH, cell)
            if control.press(key):
                if not (took := page.evaluate("window.took")):
                    break  # it waits for a button
                times.setdefault(control.label, []).append(took)
    return times


def measured(name, write):
    """A row for each control of each panel of a notebook."""
    with tempfile.TemporaryDirectory() as folder:
        write(pathlib.Path(folder))
        with jupyterlab(pathlib.Path(folder)) as address, chromium() as page:
            run_all(page, address.format(name))
            for number, panel in enumerate(shown_panels(page), 1):
                for label, times in milliseconds(page, panel).items():
                    yield (
                        f"{name[:2]}, panel {number}: {label}",
                        {
                            "ms, median": statistics.median(times),
                            "ms, longest": max(times),
                            "moves": len(times),
                            "MiB": kernel_mib(),
                        },
                    )
            end_kernels(address)


def lessons():
    """{number: notebook}, of those with a panel."""
    files = sorted((folders.ROOT / "notebooks").glob("*.ipynb"))
    return {f.name[:2]: f.name for f in files if sliced.has_panel(f.read_text(encoding="utf-8"))}


if not PROGRAM:
    print("There is no Chromium on this machine: apt-get install chromium")
elif sized(False, True):
    write = lambda folder: write_notebook([LEAST], folder / "the least.ipynb")  # noqa: E731
    table("From a key to the picture", dict(measured("the least.ipynb", write)))
else:
    for notebook in chosen(lessons()).values():
        rows = dict(measured(notebook, lambda folder, name=notebook: panels_of(name, folder)))
        table(f"From a key to the picture: {notebook}", rows)
