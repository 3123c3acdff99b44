"""Lesson 09's panel in a real JupyterLab: a photo to click in, by mouse and by keyboard."""

import re

import pytest
from browser import ran, require_chromium
from playwright.sync_api import expect

CELL = """from trickkit import models, widgets
mine = widgets.Gaze(models.dinov2(size=112), picture="panda", layer=11, head=3, patch=(2, 5))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    require_chromium()
    with ran(CELL, tmp_path_factory.mktemp("lab")) as page:
        yield page


def picture(page):
    return page.locator(".jp-OutputArea img[alt*=': where']").last


def says(page, words):
    expect(picture(page)).to_have_attribute("alt", re.compile(words))


def pointer(page):
    return page.get_by_role("application", name=re.compile("panda|macaw"))


def test_a_click_asks_the_patch(page):
    says(page, r"panda: where \[CLS\] looks in layer 11.*head 3")
    box = pointer(page).bounding_box()
    pointer(page).click(position={"x": 1.5 * box["width"] / 8, "y": 6.5 * box["height"] / 8})
    says(page, "panda: where patch 7, 2 looks in layer 11")
    expect(pointer(page)).to_have_attribute("aria-label", re.compile("row 7, column 2 of 8"))


def test_the_arrow_keys_move_it_and_stop_at_the_edge(page):
    pointer(page).focus()
    page.keyboard.press("ArrowRight")
    says(page, "patch 7, 3 looks")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    says(page, "patch 8, 3 looks")
    assert pointer(page).evaluate("box => box === document.activeElement")


def test_layer_head_and_photo_are_changed_by_keyboard(page):
    for number, words in ((0, "layer 10"), (1, "head 2")):
        page.get_by_role("slider").nth(number).focus()
        page.keyboard.press("ArrowLeft")
        says(page, words)
    page.locator(".widget-dropdown select").select_option("macaw")
    says(page, "macaw: where patch 8, 3 looks in layer 10.*head 2")
    expect(pointer(page)).to_have_attribute("aria-label", re.compile("macaw"))
    page.get_by_role("button", name="[CLS]").click()
    says(page, r"macaw: where \[CLS\] looks")
