"""The decks of slides: nothing of a lesson is missing, nothing given away, and all can be read."""

import html
import itertools
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
# What an answer says to the lecturer about the guesses of a room, and the room does not see.
ASIDES = re.compile(r"[Ee]xpect|[Tt]empt|[Mm]any will|[Ss]ome will|\b[Tt]he room\b|\b[Vv]otes?\b")
# On each slide: what sticks out of it, pictures that could be larger, printed lines that are broken
# or too small to read, and words over a picture.
MISFITS = """() => Array.from({length: Reveal.getTotalSlides()}, (_, place) => {
    Reveal.slide(place)
    const slide = Reveal.getCurrentSlide(), edge = slide.getBoundingClientRect()
    const all = what => [...slide.querySelectorAll(what)]
    const out = it => {
        const box = it.getBoundingClientRect()
        const low = it.className === "credit" ? 10 : 36  // where its number is
        return box.left < edge.left - 1 || box.top < edge.top - 1
            || box.right > edge.right + 1 || box.bottom > edge.bottom - low
    }
    const wanted = {figure: .95, answer: .83, live: .6}[slide.classList[0]] || .25
    const small = it => {
        const scale = Math.min(it.clientWidth / it.naturalWidth, it.clientHeight / it.naturalHeight)
        return Math.max(it.naturalHeight * scale / 605, it.naturalWidth * scale / 1200) < wanted
    }
    const broken = it => {
        const style = getComputedStyle(it), rows = it.textContent.split("\\n")
        const fit = it.clientHeight <= rows.length * parseFloat(style.lineHeight) + 2
        return parseFloat(style.fontSize) < 16 || it.scrollWidth > it.clientWidth
            || !fit && rows.every(row => row.length < 122)
    }
    const lead = slide.querySelector(".lead > div")
    const under = slide.querySelector("h2.kicker + figure")
    return [
        place + 1,
        slide.scrollHeight > slide.clientHeight || slide.scrollWidth > slide.clientWidth,
        Boolean(lead) && lead.scrollHeight > lead.parentElement.clientHeight || Boolean(under) &&
            under.previousElementSibling.getBoundingClientRect().bottom
            > under.getBoundingClientRect().top,
        all("*").filter(it => it.checkVisibility() && out(it)).map(it => it.localName),
        all("img").filter(small).map(it => it.alt),
        all("pre").filter(broken).map(it => it.textContent),
    ]
}).filter(([_, overflows, overlaps, ...bad]) => overflows || overlaps || bad.flat().length)
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


def sections(deck: str) -> list[tuple[str, str, str]]:
    """The slides of a deck: of what kind each is, what it shows, and its notes."""
    found = re.findall(
        r'<section class="(\w+)">(.*?)<aside class="notes">(.*?)</aside>\n</section>',
        deck,
        re.DOTALL,
    )
    assert len(found) == deck.count("<section")
    return found


def read(decks, lesson: str) -> tuple[list[tuple[str, str, str]], list, guide.Guide]:
    """A lesson's slides, its cells, and what TEACHING.md says of it."""
    deck = (decks / f"{lesson}.html").read_text(encoding="utf-8")
    cells = nbformat.read(guide.lesson(lesson[:2]), as_version=4).cells
    return sections(deck), cells, guide.guides()[lesson[:2]]


def words(page: str) -> str:
    """What a page says, without its marks."""
    plain = html.unescape(re.sub("<[^>]*>", "", page)).replace("\N{NO-BREAK SPACE}", " ")
    return " ".join(plain.split())


def table(page: str) -> list[str]:
    return re.findall(r"<t[dh](?: [^>]*)?>(.*?)</t[dh]>", page, re.DOTALL)


def headings(kinds: tuple[str, ...], shown: list[tuple[str, str, str]]) -> list[str]:
    found = [re.search(r"<h2[^>]*>(.*?)</h2>", body) for kind, body, _ in shown if kind in kinds]
    return [head[1] for head in found if head]


@pytest.mark.parametrize("lesson", LESSONS)
def test_nothing_of_a_lesson_is_missing(decks, lesson):
    shown, cells, told = read(decks, lesson)
    heads = headings(("part", "live", "list"), shown)
    for name in filter(None, minutes.by_part(cells)):
        assert slides.title(name) in heads, name

    texts = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    asked = [match[1] for match in guide.PREDICT.finditer(texts)]
    kinds = [kind for kind, *_ in shown]
    assert kinds.count("question") == len(asked) == len(guide.questions(texts))
    assert kinds.count("exercise") == len(minutes.EXERCISE.findall(texts))
    assert kinds[:2] == ["title", "list"] and kinds.count("end") == 1
    assert heads[0] == "You will be able to"

    notes = "".join(said for *_, said in shown)
    answers = [slides.answer(question, told) for question in asked]
    dragged = [said for _, said in told.dragged]
    stuck = [said for _, said in told.stuck]
    for note in (told.about, *told.notes.values(), *answers, *dragged, *stuck):
        assert note and slides.rich(note) in notes


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_picture_has_its_slide_in_the_lessons_order(decks, lesson):
    shown, cells, _ = read(decks, lesson)
    stored = [it for output in slides.outputs(cells) if (it := slides.picture(output))]
    pictures = [re.findall(r"<img [^>]*>", body) for _, body, _ in shown[1:]]
    assert [it for each in pictures for it in each] == stored
    assert all(len(each) < 2 for each in pictures)
    assert {kind for (kind, *_), each in zip(shown[1:], pictures, strict=True) if each} <= {
        "figure",
        "answer",
        "live",
    }


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_part_is_without_what_it_shows(decks, lesson):
    """A short table always has its slide; what is printed, where nothing else is shown."""
    shown, cells, told = read(decks, lesson)
    said = words("".join(body for _, body, _ in shown))
    for name, own in minutes.by_part(cells).items():
        bodies = [slide.body for slide in slides.part(name, own, told)]
        printed = [it for it in slides.outputs(own) if it.get("name") == "stdout"]
        if name and (printed or any("data" in it for it in slides.outputs(own))):
            assert any("<figure" in body or "<table" in body for body in bodies), name
        for output in slides.outputs(own):
            page = output.get("data", {}).get("text/html", "")
            if 0 < page.count("<tr") < 10:
                assert any(table(page) == table(body) for body in bodies), name
    assert "not written yet" not in said


@pytest.mark.parametrize("lesson", LESSONS)
def test_lists_tables_and_formulas_of_the_text_are_shown(decks, lesson):
    shown, cells, _ = read(decks, lesson)
    texts = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    texts = re.sub(r"```.*?```", "", texts, flags=re.DOTALL)
    lists = [body for kind, body, _ in shown if kind == "list"]
    drawn = sum(body.count('display="block"') for body in lists)
    formulas = re.findall(r"\$\$(.*?)\$\$", texts, re.DOTALL)
    assert drawn == sum(len(formula.split(r"\qquad")) for formula in formulas)
    items = re.findall(r"^(?:- |(?=\d+\. ))(.*\w.*)", texts, re.MULTILINE)
    rows = re.findall(r"^\|(?! ---)(.*)\|$", texts, re.MULTILINE)
    together = words("".join(lists))
    for item in (*items, *(cell for row in rows for cell in row.split(" | "))):
        short = words(slides.rich(slides.bare(item.strip().strip(";"))))
        assert short[:40] in together, item
    assert all(body.count("<li>") <= 6 and body.count("<tr>") <= 7 for body in lists)


@pytest.mark.parametrize("lesson", LESSONS)
def test_an_answer_comes_after_its_question_and_is_whole(decks, lesson):
    """All of it is said, but for what is the lecturer's alone."""
    shown, cells, told = read(decks, lesson)
    seen = set()
    for (kind, body, _), (before, *_) in zip(shown[1:], shown, strict=False):
        pictures = set(re.findall(r"<img [^>]*>", body))
        if kind == "answer":
            assert before in ("question", "answer") and not pictures & seen
            assert "<figure>" in body or re.search(r'<p class="large">\w', body) or "<code>" in body
            assert not ASIDES.search(words(re.sub(r"(?s)<(pre|table).*?</\1>", "", body)))
        else:
            assert before != "question"
        seen |= pictures

    places = [place for place, (kind, *_) in enumerate(shown) if kind == "question"]
    texts = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for asked, place in zip(guide.PREDICT.findall(texts), places, strict=True):
        rest = itertools.takewhile(lambda it: it[0] == "answer", shown[place + 1 :])
        said = words("".join(body for _, body, _ in rest))
        for sentence in slides.SENTENCE.findall(slides.answer(asked, told)):
            if not ASIDES.search(sentence) and "sounds like enough" not in sentence:
                if not re.search("invites|Whoever", sentence):
                    assert words(slides.rich(sentence)) in said, sentence


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_question_stands_with_what_it_is_about(decks, lesson):
    """Above it the sentence before it in its cell, a line of its own; below it what follows."""
    shown, cells, _ = read(decks, lesson)
    questions = iter([body for kind, body, _ in shown if kind == "question"])
    for text in (cell.source for cell in cells if cell.cell_type == "markdown"):
        for match in guide.PREDICT.finditer(text):
            above, _, below = next(questions).partition("<h2")
            large, _, below = below.partition("</h2>")
            asked, _, known = match[1].rpartition("?")
            assert words(slides.rich(known.strip() if asked else "")) in words(below)
            assert "?" in large or not asked
            lines = text[: match.start()].rstrip().splitlines()
            if lines and not re.match(r"[#|(`$-]| |\d+\. |\*Optional|.*\.\)$", lines[-1]):
                line = words(slides.rich(slides.bare(lines[-1])))
                assert line and line[-30:] in words(above), lines[-1]
            following = text[match.end() :].strip()
            if following and not following.startswith("#"):
                assert words(slides.rich(following.splitlines()[0])) in words(below)


@pytest.mark.parametrize("lesson", LESSONS)
def test_notes_are_where_they_are_needed(decks, lesson):
    shown, cells, told = read(decks, lesson)
    general = [said for what, said in told.stuck if not what.startswith("Exercise")]
    for number, (kind, body, notes) in enumerate(shown, 1):
        assert words(notes) and "Before it" not in notes
        assert not re.search(r"\b1 minutes", body + notes)
        if kind in ("exercise", "live") or number == 2:
            assert all(slides.rich(note) in notes for note in general)
        foot = f"Now in the notebook: run lesson {lesson[:2]} up to here."
        assert (foot in body) == (kind in ("exercise", "live"))
    for name, own in minutes.by_part(cells).items():
        if note := told.notes.get(guide.plain(name)):
            count = sum(slides.rich(note) in notes for *_, notes in shown)
            assert count == len(slides.part(name, own, told))


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_papers_numbers_are_shown_with_their_reasons(decks, lesson):
    shown, cells, _ = read(decks, lesson)
    for name, own in minutes.by_part(cells).items():
        data = [output.get("data", {}) for output in slides.outputs(own)]
        rows = [row for each in data for row in each.get(slides.PAPERS, [])]
        numbers = [row for row in rows if row["value"]] or rows
        if numbers:
            body = next(
                body
                for kind, body, _ in shown
                if kind == "part" and f"<h2>{slides.title(name)}<" in body
            )
            assert body.count("<tr>") == 1 + min(6, len(numbers))
            for row in numbers[:6]:
                assert all(
                    words(slides.rich(text)) in words(body)
                    for text in (row["quantity"], row["value"], row["ours"], row["why"])
                )


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
    first = [kind for kind, *_ in read(decks, lesson)[0]].index("part")
    with page.context.expect_page() as opened:
        page.evaluate(f"Reveal.slide({first})")
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
    """All lines, whole, over as many slides as they need, but for the credits of pictures."""

    def shown(*texts):
        cell = nbformat.v4.new_code_cell("f()")
        cell.outputs = [
            nbformat.v4.new_output("stream", name="stdout", text=text) for text in texts
        ]
        assert slides.figures([cell]) == []
        return [html.unescape(re.sub("<[^>]*>", "", it)) for it in slides.figures([cell], True)]

    assert shown("<a>\n", "b\n\nc\n") == ["<a>\n\nb\n\nc"]
    assert shown("Panda: A. Logan, CC-BY-1.0.\n") == []
    assert shown("a\n" * 22) == ["\n".join("a" * 11)] * 2
    assert shown("word " * 24 + "\nb") == ["word " * 24 + "\nb"]


def test_pieces_are_cut_evenly():
    assert slides.cut([], 3) == [] and slides.cut(["a"], 3) == [["a"]]
    assert [len(group) for group in slides.cut(["a"] * 7, 6)] == [3, 4]
    assert slides.cut(["aaaa", "b", "c", "dddd"], 5, len) == [["aaaa", "b"], ["c", "dddd"]]


def test_what_is_the_lecturers_alone():
    assert slides.for_room("None. Expect two; it is one. Tempting is 16.") == "None."
    assert (
        slides.for_room("About 1. The room will split: the cat. Expect it.") == "About 1. The cat."
    )
    assert slides.for_room("Layer 5 does not. Layer 6 does: expect a split room.") == (
        "Layer 5 does not. Layer 6 does."
    )


def test_titles_of_parts():
    assert slides.title("Optional (but run it): by lot") == "By lot (optional)"
    assert slides.title("Optional, live: four thresholds") == "Four thresholds (optional)"
    assert slides.title("Live: *your* photo") == "<em>your</em> photo"
    assert slides.title("Claim 1: first fit") == "Claim 1: first fit"


def test_sentences():
    said = 'Su et al. 2019 say so (e.g. twice). (An aside. Two.) Is it? "Yes." Then:'
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
