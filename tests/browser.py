"""A lesson in JupyterLab, or the studio, in a real browser that reaches this machine only."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.request

import pytest
import sliced
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from trickkit import folders
from trickkit.course import setup

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")


def require_chromium() -> None:
    """Skip the test where there is no Chromium, and say so; where CI is set, fail it."""
    if not PROGRAM:
        end = pytest.fail if os.environ.get("CI") else pytest.skip
        end("there is no Chromium on this machine: apt-get install chromium")


@contextlib.contextmanager
def jupyterlab(folder: pathlib.Path):
    """A JupyterLab server on loopback over a folder: its address with the token. It and its kernels
    are ended afterwards."""
    env = {
        **os.environ,
        "JUPYTER_RUNTIME_DIR": str(folder / ".runtime"),
        "JUPYTER_CONFIG_DIR": str(folder / ".config"),
        "JUPYTER_DATA_DIR": str(folder / ".data"),
        "IPYTHONDIR": str(folder / ".ipython"),
        "PYTHONPATH": str(folders.ROOT),  # the package that is tested
    }
    log = folder / ".log"
    with open(log, "w", encoding="utf-8") as out:
        server = subprocess.Popen(
            [
                *setup.jupyterlab(folder),
                "--no-browser",
                "--allow-root",
                "--ip=127.0.0.1",
                "--port=0",
            ],
            env=env,
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + 60
        while not (found := list((folder / ".runtime").glob("jpserver-*.json"))):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}")
            time.sleep(0.2)
        time.sleep(0.5)
        info = json.loads(found[0].read_text())
        yield f"http://127.0.0.1:{info['port']}/lab/tree/{{}}?token={info['token']}&reset"
    finally:
        server.terminate()  # JupyterLab ends its kernels, then itself
        server.wait(30)


@contextlib.contextmanager
def the_studio(home: pathlib.Path, *options: str, **env: str):
    """The studio as `make studio` starts it: its process, and the link that it prints. It is ended
    afterwards.

    home: keeps its pictures.
    options, env: more for its command line and its environment.
    """
    studio = subprocess.Popen(
        [sys.executable, "-m", "trickkit", "studio", *options],
        cwd=folders.ROOT,
        env={**os.environ, "TRICKKIT_STUDIO": str(home), "BROWSER": "true", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        for line in studio.stdout:
            if link := re.match(r"Your own: (\S+)", line):
                yield studio, link[1]
                break
        else:
            raise RuntimeError("The studio did not start.")
    finally:
        studio.terminate()
        studio.stdout.close()
        studio.wait(30)


@contextlib.contextmanager
def chromium():
    """A page of Debian's Chromium that can reach this machine only."""
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=PROGRAM, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield another(browser)
        finally:
            browser.close()


def another(browser: Browser, **options) -> Page:
    """A page that shares no cookies with the others.

    options: more for its `browser.new_context`.
    """
    page = browser.new_context(viewport={"width": 1300, "height": 1600}, **options).new_page()
    page.route(
        lambda url: not url.startswith(("http://127.0.0.1", "data:", "blob:")),
        lambda route: route.abort(),
    )
    return page


def copy_of(lesson: str, folder: pathlib.Path) -> None:
    """A lesson for the browser to run, with outputs left out, so that what is seen there was made
    there."""
    book = json.loads((folders.ROOT / "notebooks" / lesson).read_text(encoding="utf-8"))
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
            cell["execution_count"] = None
    (folder / lesson).write_text(json.dumps(book), encoding="utf-8")


def write_notebook(sources: list[str], file: pathlib.Path) -> None:
    """A notebook of cells of code, for the browser to run."""
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{place:02d}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for place, source in enumerate(sources)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    file.write_text(json.dumps(book), encoding="utf-8")


def panels_of(lesson: str, folder: pathlib.Path) -> None:
    """Of a lesson, the cells that show panels, and those that they need."""
    book = json.loads((folders.ROOT / "notebooks" / lesson).read_text(encoding="utf-8"))
    sources = ["".join(c["source"]) for c in book["cells"] if c["cell_type"] == "code"]
    shows = [place for place, source in enumerate(sources) if sliced.has_panel(source)]
    places = sorted(set().union(*(sliced.needed(sources, place) for place in shows)))
    write_notebook([sources[place] for place in places], folder / lesson)


@contextlib.contextmanager
def ran(source: str, folder: pathlib.Path):
    """A page of JupyterLab on which a notebook of one cell has run."""
    write_notebook([source], folder / "panel.ipynb")
    with jupyterlab(folder) as address, chromium() as page:
        run_all(page, address.format("panel.ipynb"))
        yield page


def run_all(page: Page, address: str) -> None:
    """Open a lesson and run all its cells; returns when the last has run."""
    page.goto(address, wait_until="domcontentloaded")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=60_000)
    # Before that, Lab asks which kernel.
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    last = page.locator(".jp-Notebook .jp-CodeCell").last.locator(".jp-InputPrompt")
    expect(last).to_have_text(re.compile(r"\[\d+\]:"), timeout=300_000)


def end_kernels(address: str) -> None:
    """End all kernels of a JupyterLab."""
    place, _, query = address.partition("/lab/tree/{}?")
    token = {"Authorization": "token " + query.partition("token=")[2].partition("&")[0]}

    def ask(path, method):
        request = urllib.request.Request(f"{place}/api/{path}", headers=token, method=method)
        return urllib.request.urlopen(request, timeout=60).read()

    for kernel in json.loads(ask("kernels", "GET")):
        ask(f"kernels/{kernel['id']}", "DELETE")


class Control:
    """A control of a panel, as the keyboard moves it.

    place: its slider, list, buttons or photo on the page.
    """

    def __init__(self, place: Locator):
        self.place = place
        self.kind = place.evaluate("e => e.getAttribute('role') || e.localName")
        box = place.locator("xpath=ancestor::*[contains(@class, 'widget-inline-hbox')][1]")
        self.box = box.first if box.count() else place
        label = self.box.locator(".widget-label")
        named = label.first if label.count() else place
        self.label = (named.text_content() or self.kind).strip()

    @property
    def keys(self) -> tuple[str | int, ...]:
        """What to press: on and back, then to the ends.

        A number is so many further down in a list, as by mouse: JupyterLab takes a list's arrow
        keys for its own.
        """
        return {
            "slider": ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Home", "End"),
            "select": (1, 1, -1, -1, 5, "End"),
            "application": ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"),
            "button": ("Enter",),
        }[self.kind]

    def value(self) -> str:
        """What it says that it is set to."""
        if self.kind == "slider":
            return self.box.locator(".widget-readout").text_content().replace("\xa0", " ")
        if self.kind == "select":
            return self.place.evaluate("e => e.selectedOptions[0].label").replace("\xa0", " ")
        return self.place.get_attribute("aria-label") or ""

    def press(self, key: str | int) -> bool:
        """Press a key on it: whether its value is another then."""
        before = self.value()
        self.place.focus()
        if isinstance(key, int):
            index, last = self.place.evaluate("e => [e.selectedIndex, e.length - 1]")
            self.place.select_option(index=min(max(index + key, 0), last))
        else:
            self.place.press(key)
        return self.kind == "button" or self.value() != before


class ShownPanel:
    """A panel on a page: the cell that shows it, its picture and its controls."""

    def __init__(self, cell: Locator):
        self.cell = cell
        self.picture = cell.locator(".jp-OutputArea img:not([alt=''])").first

    def alt(self) -> str:
        """The picture's words."""
        return self.picture.get_attribute("alt")

    def said(self) -> str:
        """What the panel announces."""
        return " ".join(self.cell.get_by_role("status").all_text_contents()).strip()

    def settle(self, before: str) -> None:
        """Wait until the picture says something else than before, or three seconds in vain; then
        until it is finished.
        """
        page = self.cell.page
        deadline = time.monotonic() + 3
        while self.alt() == before and time.monotonic() < deadline:
            page.wait_for_timeout(50)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        while "working" in self.said():
            page.wait_for_timeout(100)

    def controls(self) -> list[Control]:
        """The controls that change the picture at once."""
        found = self.cell.locator(
            "[role=slider], .widget-dropdown select, [role=application],"
            " .widget-toggle-buttons button:not(.mod-active), .widget-button:not(.widget-upload)"
        )
        return [Control(place) for place in found.all()]


def shown_panels(page: Page) -> list[ShownPanel]:
    """The panels on a page, from the top."""
    cells = page.locator(".jp-Notebook .jp-CodeCell:has(.jp-OutputArea .jupyter-widgets)")
    return [ShownPanel(cell) for cell in cells.all()]
