"""The studio as its users meet it, in Chromium: upload, make, watch, cancel, download, bad files,
and two browsers at once."""

import base64
import io
import pathlib
import re
import time

import pytest
from browser import another, chromium, require_chromium, the_studio
from PIL import Image
from playwright.sync_api import expect

from trickkit import data

LONG = 120_000  # ms: a process of its own has to import torch first, on a busy machine


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    require_chromium()
    folder = tmp_path_factory.mktemp("studio")
    with the_studio(folder) as addresses, chromium() as page:
        yield folder, *addresses, opened(page, addresses[1] + "&gallery=anna")


def opened(page, address):
    page.goto(address)
    expect(page.get_by_role("button", name="Paint it")).to_be_visible(timeout=LONG)
    return page


def dream(page, name, octaves=1):
    """Ask for a small dream over one of the course's photos, by keyboard alone; it takes a moment
    and a process to start."""
    page.get_by_role("tab", name="Dream").click()
    page.get_by_label("or one of ours").last.select_option(name)
    page.get_by_label("size").last.select_option("256")
    slider = page.get_by_role("slider").nth(1)
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(octaves - 1):
        page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Dream it").focus()
    page.keyboard.press("Enter")


def said(page, words):
    return page.get_by_role("status").filter(has_text=re.compile(words)).first


def test_without_the_token_nothing_is_served(served):
    _, address, _, page = served
    stranger = another(page.context.browser)
    stranger.goto(address)
    assert "studio" not in stranger.content().lower()
    stranger.context.close()


def test_bad_files_are_answered_and_the_choice_stays(served):
    page = served[-1]
    for name, content, words in (
        ("holiday.jpg", b"this is no photo", "not a picture that can be read"),
        ("film.jpg", b"x" * 41_000_000, "larger than 40 MB"),
        ("cut.jpg", (data.DATA / "pictures/cat.jpg").read_bytes()[:3000], "damaged or cut short"),
    ):
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name=re.compile("Drop your photo")).first.click()
        chooser.value.set_files({"name": name, "mimeType": "image/jpeg", "buffer": content})
        expect(said(page, words)).to_be_visible(timeout=LONG)
        assert page.get_by_alt_text("Chosen: macaw").is_visible()


def test_a_photo_is_dropped_in_painted_watched_and_downloaded(served):
    folder, _, _, page = served
    file = io.BytesIO()
    Image.fromarray(data.to_bytes(data.picture("coffee"))).convert("CMYK").save(file, "JPEG")
    dropped = page.evaluate_handle(
        """content => {
        const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
        const held = new DataTransfer();
        held.items.add(new File([bytes], "my cup.jpg", {type: "image/jpeg"}));
        return held;
    }""",
        base64.b64encode(file.getvalue()).decode(),
    )
    page.dispatch_event("img[alt='Chosen: macaw']", "drop", {"dataTransfer": dropped})
    expect(page.get_by_alt_text("Chosen: my cup")).to_be_visible(timeout=LONG)
    page.get_by_label("size").first.select_option("256")
    page.get_by_label("minutes").select_option("0.25")
    page.get_by_role("button", name="Paint it").focus()
    page.keyboard.press("Enter")
    expect(said(page, "my cup as great_wave: working")).to_be_visible(timeout=LONG)
    preview = page.get_by_alt_text("my cup as great_wave, so far")
    expect(preview).to_be_visible(timeout=LONG)
    first = preview.get_attribute("src")
    expect(preview).not_to_have_attribute("src", first, timeout=LONG)
    expect(said(page, "my cup as great_wave: finished")).to_be_visible(timeout=LONG)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download it full size").first.click()
    content = pathlib.Path(download.value.path()).read_bytes()
    (kept,) = (folder / "anna").glob("*my_cup*.png")
    assert content == kept.read_bytes() and Image.open(io.BytesIO(content)).size == (256, 171)


def test_a_dream_that_is_cancelled_leaves_the_next_one_working(served):
    page = served[-1]
    page.get_by_role("tab", name="Paint").click()
    page.get_by_label("minutes").select_option("20")
    page.get_by_role("button", name="Paint it").click()
    dream(page, "rocket")
    expect(said(page, "rocket dreaming: waiting, 1 before it")).to_be_visible(timeout=LONG)
    expect(said(page, "as great_wave: working")).to_be_visible(timeout=LONG)
    page.locator("button[title^='Cancel my cup']:visible").click()
    expect(said(page, "as great_wave: cancelled")).to_be_visible(timeout=LONG)
    expect(said(page, "rocket dreaming: finished")).to_be_visible(timeout=LONG)


def test_two_browsers_keep_their_pictures_apart(served):
    folder, _, address, page = served
    other = opened(another(page.context.browser), address)
    assert other.get_by_text("Nothing yet.").is_visible()
    dream(page, "cat")
    dream(other, "moose")
    expect(said(page, "cat dreaming: finished")).to_be_visible(timeout=LONG)
    expect(said(other, "moose dreaming: finished")).to_be_visible(timeout=LONG)
    assert said(page, "moose").count() == 0 and said(other, "cat|cup|rocket").count() == 0
    expect(other.get_by_role("button", name="Open")).to_have_count(1)
    assert [p for p in folder.glob("*/*moose*.png") if p.parent.name != "anna"]
    assert other.get_by_role("link", name="?gallery=").get_attribute("href") != page.get_by_role(
        "link", name="?gallery="
    ).get_attribute("href")
    dream(other, "koala")
    expect(said(other, "koala dreaming")).to_be_visible(timeout=LONG)
    other.context.close()  # what was asked for is made and kept all the same
    deadline = time.monotonic() + LONG / 1000
    while not list(folder.glob("*/*koala*.png")) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert list(folder.glob("*/*koala*.png"))


def test_who_comes_back_finds_the_gallery_and_it_fits_a_phone(served):
    folder, _, address, page = served
    phone = another(page.context.browser)
    phone.set_viewport_size({"width": 390, "height": 844})
    opened(phone, address + "&gallery=anna")
    expect(phone.get_by_role("button", name="Open")).to_have_count(
        len(list((folder / "anna").glob("*.png")))
    )
    phone.get_by_role("button", name="Open").last.click()
    large = phone.locator("img[alt*='my_cup']").last
    expect(large).to_have_js_property("naturalWidth", 256, timeout=LONG)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.locator("img:not([alt])").count() == 0
    phone.context.close()


def test_a_gallery_with_a_strange_name_is_refused(served):
    _, _, address, page = served
    other = another(page.context.browser)
    other.goto(address + "&gallery=../anna")
    expect(said(other, "letters, digits and dashes")).to_be_visible(timeout=LONG)
    other.context.close()
