"""Lesson 03's panel as a learner uses it: run all cells, move the slider by keyboard, upload a
photo and a bad file."""

import io
import re

import browser
import pytest
from browser import chromium, copy_of, jupyterlab, require_chromium, run_all
from PIL import Image
from playwright.sync_api import expect

from trickkit import data

LESSON = "03_panda_to_vulture.ipynb"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    require_chromium()
    folder = tmp_path_factory.mktemp("lab")
    copy_of(LESSON, folder)
    with jupyterlab(folder) as address, chromium() as page:
        run_all(page, address.format(LESSON))
        yield page


@pytest.mark.parametrize(("ci", "end"), [("1", "Failed"), ("", "Skipped")])
def test_without_a_browser_a_machine_that_tests_all_fails(monkeypatch, ci, end):
    monkeypatch.setattr(browser, "PROGRAM", None)
    monkeypatch.setenv("CI", ci)
    # not raises(Failed): a skip would end this test too, and nobody would see it
    with pytest.raises(BaseException, match="there is no Chromium") as ended:
        browser.require_chromium()
    assert type(ended.value).__name__ == end


def picture(page):
    return page.locator(".jp-OutputArea img[alt^='ε =']")


def test_every_cell_ran(page):
    assert (
        page.locator(
            ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"
        ).count()
        == 0
    )
    assert page.locator(".jp-RenderedText[data-mime-type*='error']").count() == 0
    assert page.locator(".jp-OutputArea img:not([alt])").count() == 0
    expect(picture(page)).to_have_attribute("alt", re.compile("ε = 1 of 255: vulture"))


def test_the_slider_moves_the_picture_and_the_prediction_by_keyboard(page):
    handle = page.get_by_role("slider").first
    before = picture(page).get_attribute("src")
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(picture(page)).to_have_attribute("alt", re.compile("ε = 0 of 255: giant panda"))
    assert picture(page).get_attribute("src") != before
    page.keyboard.press("ArrowRight")
    expect(picture(page)).to_have_attribute("alt", re.compile("ε = 0.25 of 255"))
    assert (
        page.get_by_role("link", name="Download this picture")
        .get_attribute("href")
        .startswith("data:image/png;base64,")
    )


def upload(page, name, content):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=re.compile("Your photo")).click()
    chooser.value.set_files({"name": name, "mimeType": "image/jpeg", "buffer": content})


def test_a_bad_file_is_answered_and_the_panel_goes_on(page):
    before = picture(page).get_attribute("alt")
    upload(page, "holiday.jpg", b"this is no photo")
    expect(page.get_by_role("status").last).to_contain_text("not a picture that can be read")
    assert picture(page).get_attribute("alt") == before


def test_a_file_that_is_too_large_is_answered(page):
    upload(page, "film.jpg", b"x" * 41_000_000)
    expect(page.get_by_role("status").last).to_contain_text("larger than 40 MB", timeout=30_000)


def test_an_uploaded_photo_is_tricked(page):
    out = io.BytesIO()
    Image.fromarray(data.to_bytes(data.picture("macaw"))).convert("CMYK").save(out, "JPEG")
    handle = page.get_by_role("slider").first
    handle.focus()
    page.keyboard.press("Home")
    upload(page, "bird.jpg", out.getvalue())
    expect(picture(page)).to_have_attribute(
        "alt", re.compile("ε = 0 of 255: macaw"), timeout=30_000
    )
    handle.focus()
    page.keyboard.press("End")
    expect(picture(page)).to_have_attribute("alt", re.compile("ε = 4 of 255: vulture"))


def test_any_class_can_be_typed_and_a_wrong_one_gets_the_nearest(page):
    box = page.get_by_label("make it a").or_(page.locator(".widget-combobox input")).first
    box.fill("teapott")
    box.press("Enter")
    expect(page.get_by_role("status").last).to_contain_text("Did you mean 'teapot'")
    box.fill("teapot")
    box.press("Enter")
    expect(picture(page)).to_have_attribute(
        "alt", re.compile("ε = 4 of 255: teapot"), timeout=30_000
    )
