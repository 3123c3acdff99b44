"""Two pages of the book, and what all of its pages are made from."""

import json
import re

import frames
import nbformat
import pytest
import sliced
from PIL import Image

import book
from trickkit import data, folders, papers

LESSONS = sorted((folders.ROOT / "notebooks").glob("*.ipynb"))


def panels():
    """Every cell that shows a panel: its lesson's number, its place, and the cell."""
    for path in LESSONS:
        for place, cell in enumerate(nbformat.read(path, as_version=4).cells):
            if cell.cell_type == "code" and sliced.has_panel(cell.source):
                yield pytest.param(cell, id=f"{path.stem[:2]}-{place:02d}")


@pytest.mark.parametrize("cell", panels())
def test_every_panel_has_its_frames_and_they_are_of_this_lesson(cell, request):
    """`make lessons` draws them: the first picture says what the lesson's stored one says."""
    folder = frames.FRAMES / request.node.callspec.id
    told = json.loads((folder / "frames.json").read_text(encoding="utf-8"))
    stored = [
        words["alt"]
        for output in cell.outputs
        for kind, words in output.get("metadata", {}).items()
        if kind.startswith("image/")
    ]
    assert told["first"] in stored
    each = told["frames"]
    assert each[told["start"]]["label"]
    assert 4 <= len(each) <= 12 and all(frame["alt"] and frame["label"] for frame in each)
    assert len({frame["label"] for frame in each}) == len(each)
    assert len({frame["alt"] for frame in each}) > len(each) / 2  # two settings may look the same
    assert len(list(folder.glob("*.webp"))) == len(each)
    for place in range(len(each)):
        assert Image.open(folder / f"{place}.webp").width <= frames.WIDTH


def test_no_frames_are_left_of_what_is_gone():
    there = {folder.name for folder in frames.FRAMES.iterdir()}
    assert there == {panel.id for panel in panels()}


def test_frames_are_spread_and_hold_the_first():
    assert frames.spread(3) == [0, 1, 2] and frames.spread(9, around=4) == list(range(9))
    for n in (10, 11, 27, 200):
        for around in {0, 1, n // 3, n // 2, n - 2, n - 1}:
            places = frames.spread(n, around=around)
            assert {0, around, n - 1} <= set(places) and len(places) == frames.MOST


def test_what_a_cell_shows_is_credited():
    assert book.named("x = data.picture('panda')\nplots.pictures([x], ['a word'])") == {"panda"}
    assert book.named("for name in data.picture_names(): pass") == set(data.picture_names())
    assert book.named("print('vulture')") == set()
    sure = book.credit({"panda"}, {"panda"})
    assert "Aaron Logan, CC-BY-1.0" in sure and "made from" not in sure
    assert "made from: Giant panda" in book.credit(set(), {"panda"})
    every = book.credit(set(), set(data.picture_names()))
    assert "13 pictures</summary>" in every and "Arturo de Frias Marques, CC-BY-SA-4.0" in every


def test_photographs_are_told_from_drawings():
    def output(*lesson):
        place, number = lesson[1], lesson[0]
        return nbformat.read(LESSONS[number], as_version=4).cells[place].outputs

    assert any(map(book.photographic, output(3, 5)))  # a panda among signs
    assert not any(map(book.photographic, output(2, 38)))  # a curve


def test_the_papers_table_has_every_row():
    text = (folders.ROOT / "PAPERS.md").read_text(encoding="utf-8")
    lessons, title, many = text.partition(papers.MANY_SEEDS)
    rows, heads = lessons.count("\n| "), lessons.count("\n| what |")
    made = book.papers()
    assert title and made.count("<tr>") == rows - 2 * heads + 1
    assert made.count("\n| ") == many.count("\n| ") > 0


@pytest.fixture(scope="module")
def two_pages(tmp_path_factory):
    """The front page, and a lesson with photographs and one with formulas."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("book")
        patch.setattr(book, "SOURCE", home / "source")
        patch.setattr(book, "MADE", home / "made")
        book.main(["03", "10"])
    return home / "made"


def test_two_pages_hold_what_their_lessons_show(two_pages):
    for path in (LESSONS[3], LESSONS[10]):
        page = (two_pages / "lessons" / f"{path.stem}.html").read_text(encoding="utf-8")
        cells = nbformat.read(path, as_version=4).cells
        alts = re.findall(r'<img alt="([^"]+)"', page) + re.findall(r'alt="([^"]*)"', page)
        assert all(alts) and len(alts) > 5
        stored = [o for c in cells for o in c.get("outputs", []) if "image" in str(o.get("data"))]
        shown = re.findall(r"<img ", page)
        assert len(shown) >= len(stored)
        assert page.count('class="flipbook"') == sum(
            cell.cell_type == "code" and sliced.has_panel(cell.source) for cell in cells
        )
        assert "<h1>" in page and "not written yet" not in page
        assert "The course tests its own claim here" not in page
        assert (two_pages / "_static" / "lessons" / path.name).read_bytes() == path.read_bytes()
    assert page.count("<math") > 3 and "mathjax" not in page.lower().replace("mathjax_ignore", "")
    panda = (two_pages / "lessons" / f"{LESSONS[3].stem}.html").read_text(encoding="utf-8")
    assert "Giant panda: Aaron Logan, CC-BY-1.0." in panda and "<td><p>99.57 %</p></td>" in panda


def test_a_lesson_that_is_not_there():
    with pytest.raises(SystemExit, match="no such lesson"):
        book.gather(["77"])
