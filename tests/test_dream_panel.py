"""Lesson 14's panel in a real JupyterLab: it grows while it works, hears the stop button, and
answers a file that is none."""

import re

import pytest
from browser import ran, require_chromium
from playwright.sync_api import expect

CELL = """from trickkit import models, widgets
layers = ["network.blocks.1", "network.blocks.4"]
mine = widgets.DreamPanel(models.imagenet(), layers, picture="cat", layer=layers[1], octaves=1)"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    require_chromium()
    with ran(CELL, tmp_path_factory.mktemp("lab")) as page:
        yield page


def picture(page):
    return page.locator(".jp-OutputArea img[alt^='network.blocks']").last


def press(page, words):
    page.get_by_role("button", name=words).focus()
    page.keyboard.press("Enter")


def test_a_dream_grows_and_hears_the_stop_button(page):
    expect(picture(page)).to_have_attribute("alt", re.compile("dreamt"))
    page.get_by_role("slider").nth(1).focus()
    page.keyboard.press("End")
    press(page, "Start the dream")
    expect(picture(page)).to_have_attribute("alt", re.compile(r"step \d+ of 40"), timeout=20_000)
    early = picture(page).get_attribute("src")
    expect(picture(page)).not_to_have_attribute("src", early, timeout=20_000)
    press(page, "Stop the dream")
    expect(picture(page)).to_have_attribute("alt", re.compile("stopped"), timeout=10_000)
    left = picture(page).get_attribute("src")
    page.wait_for_timeout(1500)
    assert picture(page).get_attribute("src") == left
    assert (
        page.get_by_role("link", name="Download")
        .get_attribute("href")
        .startswith("data:image/png;base64,")
    )


def test_another_photo_ends_the_dream_that_runs(page):
    press(page, "Start the dream")
    expect(picture(page)).to_have_attribute("alt", re.compile(r"step \d+"), timeout=20_000)
    page.locator(".widget-dropdown select").first.select_option("palace")
    expect(picture(page)).to_have_attribute("alt", re.compile("awake"), timeout=10_000)
    page.wait_for_timeout(1500)
    assert "awake" in picture(page).get_attribute("alt")


def test_a_bad_file_is_answered(page):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=re.compile("Your photo")).click()
    chooser.value.set_files({"name": "x.jpg", "mimeType": "image/jpeg", "buffer": b"no photo"})
    expect(page.get_by_role("status").last).to_contain_text(
        "not a picture that can be read", timeout=10_000
    )
    assert "awake" in picture(page).get_attribute("alt")
