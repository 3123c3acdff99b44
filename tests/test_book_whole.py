"""The whole book in a real browser, from its files: desktop and phone, light and dark."""

import itertools
import re
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium, require_chromium
from playwright.sync_api import expect

import book
from trickkit import folders

LESSONS = sorted((folders.ROOT / "notebooks").glob("*.ipynb"))
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder that the book was made in."""
    require_chromium()
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("book")
        patch.setattr(book, "SOURCE", home / "source")
        patch.setattr(book, "MADE", home / "made")
        book.main([])
    return home / "made"


@pytest.fixture(scope="module")
def page(made):
    """A page that counts what it asks of other hosts."""
    with chromium() as page:
        page.unroute_all()
        page.asked = []
        page.on("request", lambda r: r.url.startswith("file:") or page.asked.append(r.url))
        yield page


def pages(made):
    named = ("index", "papers", "pictures", "teaching", "search", "api/index", "api/linear")
    return [made / f"{name}.html" for name in named] + sorted((made / "lessons").glob("*.html"))


@pytest.mark.parametrize("width, height, scheme", [(1280, 900, "light"), (390, 844, "dark")])
def test_everyone_can_read_every_page_and_no_other_host_is_asked(made, page, width, height, scheme):
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    assert len(pages(made)) == len(LESSONS) + 7
    found = []
    for file in pages(made):
        page.goto(file.as_uri())
        # code has a thousand coloured words a page, all in the same few colours
        left_out = {"exclude": [[".highlight"]]} if file.stem != "index" else None
        options = {"runOnly": RULES, "resultTypes": ["violations"]}
        violations = Axe().run(page, context=left_out, options=options).response["violations"]
        found += [
            (file.stem, rule["id"], [node["html"][:200] for node in rule["nodes"][:3]])
            for rule in violations
        ]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append((file.stem, "scrolls sideways"))
        broken = page.evaluate("[...document.images].filter(it => !it.naturalWidth)")
        found += [(file.stem, "a picture that does not come")] * len(broken)
    assert found == []
    assert [url for url in page.asked if not url.startswith("data:")] == []


def test_a_flip_book_is_leafed_through_by_keyboard(made, page):
    page.goto((made / "lessons" / f"{LESSONS[3].stem}.html").as_uri())
    flipbook = page.locator(".flipbook")
    expect(flipbook.locator("output")).to_have_text("ε, grey levels of 255: 1")
    slider = flipbook.locator("input")
    slider.focus()
    page.keyboard.press("Home")
    expect(flipbook.locator("img")).to_have_attribute("alt", re.compile("panda, 0.94"))
    expect(flipbook.locator("output")).to_have_text("ε, grey levels of 255: 0")
    assert slider.get_attribute("aria-valuetext") == "ε, grey levels of 255: 0"
    width = flipbook.locator("img").evaluate("async it => (await it.decode(), it.naturalWidth)")
    assert width > 300


def test_the_papers_table_sorts_and_is_searched(made, page):
    page.goto((made / "papers.html").as_uri())
    table = page.locator(".sorted-table")
    column = table.locator("tbody tr td:nth-child(5)")
    table.get_by_role("button", name="verdict").press("Enter")
    order = [words for words, _ in itertools.groupby(column.all_text_contents())]
    assert sorted(order) == sorted({"same", "near", "differs", "–"})  # each in one run
    assert table.locator("th[aria-sort=ascending]").count() == 1
    table.locator("input").fill("Evans 2016")
    rows = table.locator("tbody tr:visible")
    assert rows.count() == 6 and all("Evans 2016" in row for row in rows.all_text_contents())
    expect(table.locator("output")).to_have_text("6 rows")


@pytest.mark.parametrize("served", [False, True], ids=["from a file", "from a server"])
def test_the_book_is_searched(made, page, served):
    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=made)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}" if served else made.as_uri()
        page.goto(f"{root}/search.html?q=vulture")
        found = page.locator("#search-results a")
        expect(found.first).to_be_visible(timeout=20_000)
        assert any("Panda to vulture" in words for words in found.all_text_contents())
        server.shutdown()


def test_what_is_printed_has_no_navigation(made, page):
    page.goto((made / "lessons" / f"{LESSONS[3].stem}.html").as_uri())
    page.emulate_media(media="print")
    for gone in (".bd-sidebar-primary", ".flipbook input", ".prev-next-footer"):
        assert not page.locator(gone).first.is_visible()
    assert page.locator("h1").first.is_visible()
    page.emulate_media(media="screen")
