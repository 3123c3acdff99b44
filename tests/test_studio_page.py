"""The studio as its users meet it, in Chromium: upload, make, watch, cancel, download, bad files, a
full disk, and many visitors who come and go."""

import base64
import contextlib
import io
import pathlib
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import another, chromium, require_chromium, the_studio
from PIL import Image
from playwright.sync_api import expect

from trickkit import data

LONG = 120_000  # ms: a process of its own has to import torch first, on a busy machine


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    require_chromium()
    folder = tmp_path_factory.mktemp("studio")
    with the_studio(folder) as (_, link), chromium() as page:
        link = link.partition("&gallery")[0]
        yield folder, link, opened(page, link + "&gallery=anna")


def opened(page, address):
    page.goto(address)
    expect(page.get_by_role("button", name="Paint it")).to_be_visible(timeout=LONG)
    return page


def dream(page, name, *, side="256", octaves="1", steps="5"):
    """Ask for a small dream over one of the course's photos, by keyboard alone; it takes a moment
    and a process to start."""
    page.get_by_role("radio", name="Paint").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("radio", name=name).focus()
    page.keyboard.press("Space")
    page.locator("fieldset.dream").get_by_label("size").select_option(side)
    if not page.get_by_label("octaves").is_visible():
        page.locator("fieldset.dream summary").focus()
        page.keyboard.press("Enter")
    page.get_by_label("octaves").select_option(octaves)
    page.get_by_label("steps in each").select_option(steps)
    page.get_by_role("button", name="Dream it").focus()
    page.keyboard.press("Enter")


def said(page, words):
    return page.get_by_role("status").filter(has_text=re.compile(words)).first


def kept(page):
    """The pictures that hang in the gallery."""
    return page.locator("#gallery img")


def test_without_the_token_nothing_is_served(served):
    _, link, page = served
    stranger = another(page.context.browser)
    stranger.goto(link.partition("?")[0])
    assert stranger.get_by_text("Open the link that the studio printed").is_visible()
    assert stranger.get_by_role("button").count() == 0
    stranger.context.close()


def test_a_bad_file_is_answered_and_no_other_photo_is_painted_in_its_place(served, tmp_path):
    folder, _, page = served
    cat = (data.DATA / "pictures/cat.jpg").read_bytes()
    for name, content, words in (
        ("holiday.jpg", b"this is no photo", "not a picture that can be read"),
        ("film.jpg", b"x" * 110_000_000, "larger than 40 MB"),
        ("cut.jpg", cat[:3000], "damaged or cut short"),
    ):
        (tmp_path / name).write_bytes(content)
        page.get_by_label("Drop your photo").set_input_files(tmp_path / name)
        for _ in range(2):  # and asked again, it is refused again
            page.get_by_role("button", name="Paint it").click()
            expect(page.locator("#says")).to_have_text(re.compile(words), timeout=LONG)
        assert page.locator("article").count() == 0
    (tmp_path / "good.jpg").write_bytes(cat)
    page.get_by_label("Drop your photo").set_input_files(tmp_path / "good.jpg")
    expect(page.get_by_alt_text("Chosen: good")).to_be_visible()
    page.get_by_label("minutes").select_option("20")
    page.get_by_role("button", name="Paint it").click()
    expect(said(page, "good as The Great Wave off Kanagawa: ")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Cancel good").click()
    expect(said(page, "good as The Great Wave off Kanagawa: cancelled")).to_be_visible(timeout=LONG)
    page.get_by_role("radio", name="macaw").check()  # the one chosen last counts
    expect(page.get_by_alt_text("Chosen: good")).to_be_hidden()
    assert page.get_by_label("Drop your photo").input_value() == ""


def test_a_photo_is_dropped_in_painted_watched_and_downloaded(served):
    folder, _, page = served
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
    page.dispatch_event(".photo .drop", "drop", {"dataTransfer": dropped})
    expect(page.get_by_alt_text("Chosen: my cup")).to_be_visible(timeout=LONG)
    page.locator("fieldset.paint").get_by_label("size").select_option("256")
    page.get_by_label("minutes").select_option("0.25")
    page.get_by_role("button", name="Paint it").focus()
    page.keyboard.press("Enter")
    expect(said(page, "my cup as The Great Wave off Kanagawa: working")).to_be_visible(timeout=LONG)
    preview = page.get_by_alt_text("my cup as The Great Wave off Kanagawa, so far")
    expect(preview).to_be_visible(timeout=LONG)
    first = preview.get_attribute("src")
    expect(preview).not_to_have_attribute("src", first, timeout=LONG)
    expect(said(page, "my cup as The Great Wave off Kanagawa: finished")).to_be_visible(
        timeout=LONG
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="Download it full size").first.click()
    content = pathlib.Path(download.value.path()).read_bytes()
    (file,) = (folder / "anna").glob("*my_cup*.png")
    assert content == file.read_bytes() and Image.open(io.BytesIO(content)).size == (256, 171)


def test_a_dream_that_is_cancelled_leaves_the_next_one_working(served):
    page = served[-1]
    page.get_by_label("minutes").select_option("20")
    page.get_by_role("button", name="Paint it").click()
    dream(page, "rocket")
    expect(said(page, "rocket dreaming: waiting, 1 before it")).to_be_visible(timeout=LONG)
    expect(said(page, "as The Great Wave off Kanagawa: working")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Cancel my cup as The Great Wave off Kanagawa").focus()
    page.wait_for_timeout(2500)  # what is looked at anew each second leaves the focus alone
    page.keyboard.press("Enter")
    expect(said(page, "as The Great Wave off Kanagawa: cancelled")).to_be_visible(timeout=LONG)
    expect(said(page, "rocket dreaming: finished")).to_be_visible(timeout=LONG)


def test_twenty_visitors_come_queue_leave_and_return(served):
    folder, link, page = served
    names = data.picture_names()
    visitors = []
    for i in range(20):
        visitor = opened(another(page.context.browser), link)
        name = names[i % len(names)].replace("_", " ")
        dream(visitor, name)
        expect(said(visitor, f"{name} dreaming: ")).to_be_visible(timeout=LONG)
        if i % 2:  # half of them think better of it, but for the time that twenty take
            visitor.get_by_role("button", name="Cancel").click()
            expect(said(visitor, "cancelled")).to_be_visible(timeout=LONG)
        else:
            visitors.append((name, visitor.url, visitor.context.storage_state()))
        visitor.context.close()
    assert len({url for _, url, _ in visitors}) == 10
    for name, url, cookies in visitors:
        again = another(page.context.browser, storage_state=cookies)
        opened(again, url)
        expect(said(again, f"{name} dreaming: finished")).to_be_visible(timeout=LONG)
        expect(kept(again)).to_have_count(1)
        expect(kept(again)).to_have_attribute("alt", f"{name} dreaming")
        again.context.close()
    assert len(list(folder.glob("*/*dreaming.png"))) >= 10
    assert said(page, "panda|moose").count() == 0


def test_who_comes_back_finds_the_gallery_and_it_fits_a_phone(served):
    folder, link, page = served
    (folder / "anna" / "broken.png").write_bytes(b"not a picture")
    phone = another(page.context.browser)
    phone.set_viewport_size({"width": 390, "height": 844})
    opened(phone, link + "&gallery=anna")
    expect(kept(phone)).to_have_count(len(list((folder / "anna").glob("*.png"))) - 1)
    expect(phone.get_by_text("cannot be read as a picture: broken.png")).to_be_visible()
    cup = phone.locator("figure").filter(has=phone.locator("img[alt*='my cup']")).locator("a").first
    cup.click()
    large = phone.locator("img")
    expect(large).to_have_js_property("naturalWidth", 256, timeout=LONG)
    phone.go_back()
    expect(kept(phone).first).to_be_visible(timeout=LONG)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.locator("img:not([alt])").count() == 0
    phone.context.close()


def violations(page):
    """What axe-core finds, and what is too wide or too small to touch, at each size and in each
    scheme."""
    found = []
    for width, height in ((1280, 900), (390, 844), (360, 740)):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found += [
                (width, scheme, rule["id"], [node["html"] for node in rule["nodes"]])
                for rule in Axe().run(page).response["violations"]
            ]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append((width, "scrolls sideways"))
        found += page.locator("button, select, summary, .button, label:has(input)").evaluate_all(
            """them => them.filter(it => it.checkVisibility()).map(it => [
                it.textContent, it.getBoundingClientRect().width, it.getBoundingClientRect().height
            ]).filter(([_, ...sides]) => Math.min(...sides) < 44)"""
        )
    page.set_viewport_size({"width": 1300, "height": 1600})
    return found


def test_everyone_can_use_it_empty_working_and_finished(served):
    _, link, first = served
    page = opened(another(first.context.browser), link + "&gallery=everyone")
    expect(page.locator("#recipe")).to_contain_text("512 × 342 pixels, in about 2 minutes")
    page.get_by_text("More settings").first.click()
    assert violations(page) == []
    dream(page, "palace", side="1024", octaves="4", steps="80")
    dream(page, "dahlia")
    expect(page.locator("article .after[src*=preview]")).to_have_count(1, timeout=LONG)
    expect(page.locator("#recipe")).to_contain_text("after 2 others")
    assert violations(page) == []
    page.get_by_role("button", name="Cancel palace").click()
    expect(said(page, "dahlia dreaming: finished")).to_be_visible(timeout=LONG)
    expect(kept(page)).to_have_count(1, timeout=LONG)
    assert violations(page) == []
    # The photo is drawn over the picture by the arrow keys.
    page.get_by_label("dahlia dreaming: how much of the photo").focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    drawn = page.locator("article .before").first.evaluate("it => getComputedStyle(it).clipPath")
    assert drawn == "inset(0px 70% 0px 0px)"
    page.context.close()


def test_one_is_made_like_an_example_and_each_kind_begins_with_its_own_photo(served):
    _, link, first = served
    page = opened(another(first.context.browser), link + "&gallery=like")
    page.get_by_role("radio", name="Dream").check()
    expect(page.get_by_role("radio", name="dahlia")).to_be_checked()
    expect(page.locator("#recipe")).to_have_text(re.compile("^dahlia dreaming → 512 × 342 pixels"))
    page.get_by_role("radio", name="panda").check()
    page.get_by_role("radio", name="Paint").check()
    expect(page.get_by_role("radio", name="panda")).to_be_checked()  # what was chosen stays
    page.get_by_role("button", name="Make one like this: cat as Village Street").click()
    expect(page.get_by_label("minutes")).to_have_value("5")
    expect(page.get_by_role("button", name="Paint it")).to_be_focused()
    expect(page.locator("#recipe")).to_contain_text("cat + Village Street in Auvers → 512 × 341")
    page.get_by_label("minutes").select_option("0.25")
    page.locator("fieldset.paint").get_by_label("size").select_option("2048")
    expect(page.locator("#recipe")).to_contain_text("Too short for this size")
    page.get_by_role("button", name="Make one like this: dahlia").click()
    expect(page.get_by_role("button", name="Dream it")).to_be_focused()
    expect(page.get_by_label("steps in each")).to_have_value("20")
    page.context.close()


def test_a_gallery_with_a_strange_name_is_refused(served):
    _, link, page = served
    other = another(page.context.browser)
    other.goto(link + "&gallery=../anna")
    expect(other.get_by_text("letters, digits and dashes")).to_be_visible(timeout=LONG)
    other.context.close()


def test_a_full_disk_loses_no_finished_picture_and_a_studio_that_has_ended_is_told(
    served, tmp_path
):
    resource = pytest.importorskip("resource", reason="Windows has no such limit to try it with")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # for what is started next
    with contextlib.ExitStack() as stack:
        try:
            process, link = stack.enter_context(the_studio(tmp_path))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        page = another(served[-1].context.browser)
        stack.callback(page.context.close)
        opened(page, link)
        dream(page, "cat")
        expect(said(page, "could not be written to the disk")).to_be_visible(timeout=LONG)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download it full size").click()
        content = pathlib.Path(download.value.path()).read_bytes()
        assert Image.open(io.BytesIO(content)).size == (256, 170)
        assert not list((tmp_path / "mine").iterdir())
        process.kill()
        expect(page.get_by_text("The studio does not answer.")).to_be_visible(timeout=LONG)
