"""What the course adds to JupyterLab beside the words of pictures: the words of sliders, and a
raised hand.
"""

import json

import pytest
from browser import chromium, end_kernels, jupyterlab, require_chromium, run_all, write_notebook
from playwright.sync_api import expect

from trickkit import progress
from trickkit.course import setup

SLIDERS = """
import ipywidgets
ipywidgets.VBox([
    ipywidgets.FloatSlider(description="ε", value=0.5, max=1, step=0.1),
    ipywidgets.SelectionSlider(description="layer", options=["first", "second"]),
])
"""
LESSON = "03_panda_to_vulture.ipynb"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A page on a server as a learner of a room has it, and the learner's file."""
    require_chromium()
    config = tmp_path / ".config" / "labconfig"
    config.mkdir(parents=True)
    (config / "page_config.json").write_text(json.dumps({"hubUser": "ada"}))
    monkeypatch.setenv("TRICKKIT_PROGRESS", str(tmp_path / "progress.jsonl"))
    command = setup.jupyterlab
    extension = "--ServerApp.jpserver_extensions={'trickkit.course.room.help': True}"
    monkeypatch.setattr(setup, "jupyterlab", lambda folder: [*command(folder), extension])
    write_notebook([SLIDERS], tmp_path / LESSON)
    with jupyterlab(tmp_path) as address, chromium() as page:
        yield page, address.format(LESSON), tmp_path / "progress.jsonl"
        end_kernels(address)


def test_sliders_say_their_names_and_a_hand_is_raised(lab):
    page, address, file = lab
    run_all(page, address)
    handles = page.locator(".noUi-handle")
    expect(handles).to_have_count(2, timeout=60_000)
    for place, name, before, after in ((0, "ε", "0.50", "0.60"), (1, "layer", "first", "second")):
        handle = handles.nth(place)
        expect(handle).to_have_accessible_name(name)
        expect(handle).to_have_attribute("aria-valuetext", before)
        handle.focus()
        page.keyboard.press("ArrowRight")
        expect(handle).to_have_attribute("aria-valuetext", after)

    hand = page.get_by_role("button", name="Help me")
    hand.focus()
    page.keyboard.press("Enter")
    lower = page.get_by_role("button", name="You asked for help")
    expect(lower).to_have_attribute("aria-pressed", "true")
    page.reload()  # it stays up
    lower.click(timeout=60_000)
    expect(hand).to_have_attribute("aria-pressed", "false")
    assert [(e.what, e.on) for e in progress.events(file)] == [
        ("help", "03 panda_to_vulture"),
        ("helped", "03 panda_to_vulture"),
    ]
    file.unlink()
    file.mkdir()  # nothing can be written there
    hand.click()
    expect(page.get_by_text("Not sent: (Your progress could not be written").first).to_be_visible()
