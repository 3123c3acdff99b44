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

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from trickkit import data
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
        [sys.executable, "-m", "trickkit.course.studio", *options],
        cwd=data.ROOT,
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
    book = json.loads((data.ROOT / "notebooks" / lesson).read_text(encoding="utf-8"))
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
            cell["execution_count"] = None
    (folder / lesson).write_text(json.dumps(book), encoding="utf-8")


def one_cell(source: str, folder: pathlib.Path) -> str:
    """A notebook of one cell, for the browser to run: its name in the folder."""
    cell = {
        "cell_type": "code",
        "id": "panel",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (folder / "panel.ipynb").write_text(json.dumps(book), encoding="utf-8")
    return "panel.ipynb"


@contextlib.contextmanager
def ran(source: str, folder: pathlib.Path):
    """A page of JupyterLab on which a notebook of one cell has run."""
    name = one_cell(source, folder)
    with jupyterlab(folder) as address, chromium() as page:
        run_all(page, address.format(name))
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
