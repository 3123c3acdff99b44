"""Who cannot see a picture of a lesson that was opened and not run has its words, in JupyterLab."""

import json
import shutil
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium, jupyterlab, require_chromium

from trickkit import folders

LESSONS = sorted(path.name for path in (folders.ROOT / "notebooks").glob("*.ipynb"))
# JupyterLab would otherwise draw what is scrolled past alone
SETTINGS = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A page, and the address of a JupyterLab on copies of all lessons with their outputs."""
    require_chromium()
    folder = tmp_path_factory.mktemp("lab")
    for lesson in LESSONS:
        shutil.copy(folders.ROOT / "notebooks" / lesson, folder)
    for plugin, settings in SETTINGS.items():
        package, _, name = plugin.partition(":")
        file = (
            folder / ".config" / "lab" / "user-settings" / package / f"{name}.jupyterlab-settings"
        )
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(settings))
    with jupyterlab(folder) as address, chromium() as page:
        yield page, address


def stored(lesson):
    """The words of every picture among a lesson's stored outputs, in order.

    A film has a still beside it, and the same words.
    """
    book = json.loads((folders.ROOT / "notebooks" / lesson).read_text(encoding="utf-8"))
    each = [
        {words["alt"] for mime, words in output["metadata"].items() if mime.startswith("image/")}
        for cell in book["cells"]
        for output in cell.get("outputs", [])
        if any(mime.startswith("image/") for mime in output.get("data", {}))
    ]
    assert all(len(words) == 1 for words in each)
    return [words.pop() for words in each]


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_picture_has_its_words(lab, lesson):
    page, address = lab
    words = stored(lesson)
    page.goto(address.format(lesson), wait_until="domcontentloaded")
    pictures = page.locator(".jp-OutputArea-output img")
    deadline = time.monotonic() + 60
    while pictures.count() < len(words) and time.monotonic() < deadline:
        time.sleep(0.2)
    shown = pictures.evaluate_all("them => them.map(it => it.alt)")
    assert len(words) > 0 and all(words) and shown == words
    found = Axe().run(page, options={"runOnly": ["image-alt", "role-img-alt", "svg-img-alt"]})
    assert found.response["violations"] == []


def test_jupyterlab_asks_nobody_about_news(lab):
    """It asks a few seconds after it has opened, in a box at the lower right."""
    page, address = lab
    page.goto(address.format(LESSONS[0]), wait_until="domcontentloaded")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=60_000)
    time.sleep(5)
    assert page.get_by_text("official Jupyter news").count() == 0
