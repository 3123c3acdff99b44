"""Lesson 12's panel in a real JupyterLab: an atlas to travel, by mouse and by keyboard."""

import re

import pytest
from browser import ran, require_chromium
from playwright.sync_api import expect

CELL = """from trickkit import widgets
mine = widgets.AtlasPanel({"block 4": "network.blocks.4", "DINOv2": "network.norm"},
                          {"block 4": [f"class {i}" for i in range(144)]}, cell=(7, 10))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    require_chromium()
    with ran(CELL, tmp_path_factory.mktemp("lab")) as page:
        yield page


def says(page, words):
    picture = page.locator(".jp-OutputArea img[alt*='The cell']").last
    expect(picture).to_have_attribute("alt", re.compile(words))


def pointer(page):
    return page.get_by_role("application", name=re.compile("block 4|DINOv2"))


def test_a_click_opens_a_cell_and_the_arrow_keys_go_on(page):
    says(page, r"block 4: \d+ activations from \d+ pictures; loudest class: class 94")
    box = pointer(page).bounding_box()
    pointer(page).click(position={"x": 4.5 * box["width"] / 12, "y": 5.5 * box["height"] / 12})
    says(page, "loudest class: class 64")
    page.keyboard.press("ArrowRight")
    says(page, "loudest class: class 65")


def test_in_the_open_sea_there_is_nothing(page):
    pointer(page).click(position={"x": 3, "y": 3})
    says(page, "row 1, column 1: open sea")


def test_another_map_and_the_real_patches(page):
    page.get_by_role("button", name="real patches").click()
    page.get_by_role("slider").first.focus()
    page.keyboard.press("ArrowRight")
    says(page, "DINOv2, row 1, column 1: open sea")
    for _ in range(5):
        pointer(page).press("ArrowRight")
        pointer(page).press("ArrowDown")
    says(page, r"DINOv2: \d+ activations from \d+ pictures\.")
