"""The decks of slides: nothing of a lesson is missing, nothing given away, and all can be read."""

import html
import re

import guide
import minutes
import nbformat
import pytest
import slides
from axe_playwright_python.sync_playwright import Axe
from browser import chromium, require_chromium

LESSONS = [path.stem for path in sorted((slides.ROOT / "notebooks").glob("*.ipynb"))]
IN_CHROMIUM = ["03_panda_to_vulture", "12_abstract_summaries"]
READY = "window.Reveal && Reveal.isReady()"
# On each slide: what sticks out of it, and pictures that are too small to see.
MISFITS = """() => Array.from({length: Reveal.getTotalSlides()}, (_, place) => {
    Reveal.slide(place)
    const slide = Reveal.getCurrentSlide(), edge = slide.getBoundingClientRect()
    const out = it => {
        const box = it.getBoundingClientRect()
        return box.left < edge.left - 1 || box.top < edge.top - 1
            || box.right > edge.right + 1 || box.bottom > edge.bottom - 36  // where its number is
    }
    const low = it => it.naturalHeight * Math.min(
        it.clientWidth / it.naturalWidth, it.clientHeight / it.naturalHeight) < 120
    const shown = [...slide.querySelectorAll("*")].filter(it => it.checkVisibility())
    const lead = slide.querySelector(".lead > div")
    const under = slide.querySelector("h2.kicker + figure")
    return [
        place + 1,
        slide.scrollHeight > slide.clientHeight || slide.scrollWidth > slide.clientWidth,
        Boolean(lead) && lead.scrollHeight > lead.parentElement.clientHeight || Boolean(under) &&
            under.previousElementSibling.getBoundingClientRect().bottom
            > under.getBoundingClientRect().top,
        shown.filter(out).map(it => it.localName),
        [...slide.querySelectorAll("img")].filter(low).map(it => it.alt),
    ]
}).filter(([_, overflows, overlaps, out, low]) => overflows || overlaps || out.length || low.length)
"""


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """A folder with the decks of all lessons."""
    folder = tmp_path_factory.mktemp("slides")
    slides.main([], folder)
    return folder


@pytest.fixture(scope="module")
def page():
    require_chromium()
    with chromium() as page:
        page.unroute_all()  # of files that are opened without a server, every request is counted
        page.set_viewport_size({"width": 1280, "height": 720})
        yield page


def sections(deck: str) -> list[tuple[str, str]]:
    """The slides of a deck: of what kind each is, and all of it."""
    return re.findall(r'<section class="(\w+)">(.*?)</section>', deck, re.DOTALL)


def headings(kinds: tuple[str, ...], deck: str) -> list[str]:
    shown = [body for kind, body in sections(deck) if kind in kinds]
    return [found[1] for body in shown if (found := re.search(r"<h2[^>]*>(.*?)</h2>", body))]


@pytest.mark.parametrize("lesson", LESSONS)
def test_nothing_of_a_lesson_is_missing(decks, lesson):
    number = lesson[:2]
    deck = (decks / f"{lesson}.html").read_text(encoding="utf-8")
    cells = nbformat.read(guide.lesson(number), as_version=4).cells
    parts = minutes.by_part(cells)
    shown = headings(("part", "live", "list"), deck)
    for name in filter(None, parts):
        assert slides.rich(slides.capital(name.removeprefix("Live: "))) in shown, name

    texts = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    asked = [match[1] for match in guide.PREDICT.finditer(texts)]
    kinds = [kind for kind, _ in sections(deck)]
    assert kinds.count("question") == len(asked) == len(guide.questions(texts))
    assert kinds.count("exercise") == len(minutes.EXERCISE.findall(texts))
    assert kinds[:2] == ["title", "list"] and kinds.count("end") == 1

    told = guide.guides()[number]
    notes = "".join(re.findall(r'<aside class="notes">(.*?)</aside>', deck, re.DOTALL))
    answers = [slides.answer(question, told) for question in asked]
    for note in (told.about, *told.notes.values(), *answers, *(said for _, said in told.stuck)):
        assert note and slides.rich(note) in notes


@pytest.mark.parametrize("lesson", LESSONS)
def test_an_answer_comes_after_its_question_and_is_not_empty(decks, lesson):
    shown = sections((decks / f"{lesson}.html").read_text(encoding="utf-8"))
    seen = set()
    for (kind, body), (before, _) in zip(shown[1:], shown, strict=False):
        pictures = set(re.findall(r"<img [^>]*>", body))
        if kind == "answer":
            assert before in ("question", "answer") and not pictures & seen
            assert "<figure>" in body or re.search(r'<p class="large">\w', body)
        else:
            assert before != "question"
        seen |= pictures


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_picture_has_words_and_nothing_comes_from_elsewhere(decks, lesson):
    deck = (decks / f"{lesson}.html").read_text(encoding="utf-8")
    pictures = re.findall(r"<img [^>]*>", deck)
    assert pictures and all(re.search(r' alt="[^"]+"', tag) for tag in pictures)
    for tag in re.findall(r"<(?!a )\w+ [^>]*\b(?:src|href|data|action)=[^>]*>", deck):
        for address in re.findall(r'\b(?:src|href|data|action)="([^"]*)"', tag):
            assert address.startswith("data:") or (decks / address).is_file(), address
    assert "url(" not in deck and "url(" not in (decks / "_static/slides.css").read_text("utf-8")


@pytest.mark.parametrize("lesson", LESSONS)
def test_everything_fits_on_its_slide(decks, page, lesson):
    page.goto(f"{decks.as_uri()}/{lesson}.html")
    page.wait_for_function(READY)
    assert page.evaluate(MISFITS) == []


@pytest.mark.parametrize("lesson", IN_CHROMIUM)
def test_a_deck_in_a_browser(decks, page, lesson):
    """The notes open, axe-core has no complaint, and nothing is asked of a network."""
    home = decks.as_uri()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{home}/{lesson}.html")
    page.wait_for_function(READY)
    with page.context.expect_page() as opened:
        page.evaluate("Reveal.slide(2)")
        page.keyboard.press("s")
    notes = opened.value.locator(".speaker-controls-notes .value")
    told = guide.guides()[lesson[:2]].notes
    notes.get_by_text(html.unescape(next(iter(told.values())))[:20]).wait_for()
    opened.value.close()

    page.goto(f"{home}/{lesson}.html?print-pdf")  # all slides at once
    page.wait_for_function(READY)
    page.locator(".pdf-page").first.wait_for()
    found = Axe().run(page).response["violations"]
    assert [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")] == []
    assert asked and all(url.startswith((home, "data:")) for url in asked)


def test_what_is_printed():
    """All lines, but what is too long or too much, and the credits of pictures."""

    def shown(*texts):
        cell = nbformat.v4.new_code_cell("f()")
        cell.outputs = [
            nbformat.v4.new_output("stream", name="stdout", text=text) for text in texts
        ]
        return html.unescape(re.sub("<[^>]*>", "", slides.printed([cell])))

    table = "".join(
        f"ε = {i}   0.{i}, CCA 0.9{i} of what was there before, and some more words\n"
        for i in range(9)
    )
    assert shown(table) == table.strip() and shown(table, table) == table.strip()
    assert shown("<a>\n", "b\n\nc\n") == "<a>\n\nb\n\nc"
    assert shown("Panda: A. Logan, CC-BY-1.0.\n") == "" and shown("a\n" * 15) == ""
    assert shown("word " * 60 + "\nb") == "word " * 30 + "…\nb"


def test_sentences():
    said = 'Su et al. 2019 say so (e.g. twice). (An aside.) Is it? "Yes." Then:'
    assert slides.sentences(said) == ["Su et al. 2019 say so (e.g. twice).", "Is it?", '"Yes."']
    assert slides.sentences("At RubyConf Carina C. Zona told. More.", 1) == [
        "At RubyConf Carina C. Zona told."
    ]
    assert slides.sentences("Short. A longer one.", 2, 10) == ["Short."]


def test_marks_become_html():
    assert slides.rich("*a* **b** `c` [d](e.ipynb)") == (
        "<em>a</em> <strong>b</strong> <code>c</code> d"
    )
    assert "<msub>" in slides.rich("$w_0$") and "script" not in slides.rich("$w_0$")
    assert 'rel="noopener" href="https://e.org"' in slides.rich("[d](https://e.org)")
    assert slides.rich("about 5 % at ε = 3") == "about 5\xa0% at ε\xa0=\xa03"
