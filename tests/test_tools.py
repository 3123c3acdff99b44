"""What a developer runs: lessons laid out, maps made anew, a lesson begun."""

import re

import maps
import minutes
import nbformat
import new_lesson
import pytest
import tidy

from trickkit import data, folders

LESSONS = sorted((folders.ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("One. Two? “Three!” Four", "One.\nTwo?\n“Three!”\nFour"),
        ("A line\nthat goes on. *Next*\nline.", "A line that goes on.\n*Next* line."),
        ("- An item. Its second.\n- b", "- An item.\n  Its second.\n- b"),
        ("See Fig. 2 of Olah et al. 2017, p. 3.", None),
        ("The sum $a_1. B$ and `x. Y` and *never. So*.", None),
        ("Grows like 0.5 · n. 2,560 do.", "Grows like 0.5 · n.\n2,560 do."),
        ("| a. B | c. D |\n| --- | --- |", None),
        ("# A title. Of two", None),
        ("```\nx. Y\n```\nA. Text.", None),
        ("$$\nx. Y\n$$", None),
        ("A break that is meant.  \nNext.", None),
    ],
)
def test_one_sentence_a_line(text, wanted):
    wanted = text if wanted is None else wanted
    assert tidy.one_sentence_a_line(text) == wanted
    assert tidy.one_sentence_a_line(wanted) == wanted


def test_tidying_keeps_what_a_lesson_says(tmp_path, capsys):
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("One. Two.")],
        metadata={"trickkit": {"does": "x"}, "widgets": {"state": 1}},
    )
    path = tmp_path / "a.ipynb"
    nbformat.write(book, path)
    tidy.main([str(path)])
    assert capsys.readouterr().out == f"{path}\n"
    tidied = nbformat.read(path, as_version=4)
    assert tidied.cells[0].source == "One.\nTwo."
    assert tidied.metadata["trickkit"] == {"does": "x"} and "widgets" not in tidied.metadata
    tidy.main([str(path)])  # a second time there is nothing to do
    assert not capsys.readouterr().out


def test_a_guard_is_folded_to_a_line_that_says_so():
    cell = nbformat.v4.new_code_cell("assert found > 3", metadata={"tags": ["guard"]})
    book = nbformat.v4.new_notebook(cells=[cell])
    for _ in range(2):
        book = tidy.tidy(book)
        assert book.cells[0].source == f"{tidy.FOLDED}\nassert found > 3"
        assert book.cells[0].metadata == {"tags": ["guard"], "jupyter": {"source_hidden": True}}


def test_of_a_film_its_still_is_kept():
    pictures = {"image/jpeg": "still", "image/webp": "film", "text/plain": "A film."}
    told = {mime: {"alt": "A film."} for mime in ("image/jpeg", "image/webp")}
    shown = nbformat.v4.new_output("display_data", pictures, metadata=told)
    cell = nbformat.v4.new_code_cell("plots.film(frames)", outputs=[shown])
    output = tidy.tidy(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs[0]
    assert set(output.data) == {"image/jpeg", "text/plain"}
    assert set(output.metadata) == {"image/jpeg"}
    alone = nbformat.v4.new_output("display_data", {"image/webp": "film"})
    cell = nbformat.v4.new_code_cell("film", outputs=[alone])
    tidy.tidy(nbformat.v4.new_notebook(cells=[cell]))
    assert "image/webp" in cell.outputs[0].data


def test_minutes_are_counted():
    text, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    first = [
        text("word " * 180 + "*Predict:* a"),  # a minute, and half a minute
        text("### Exercise 1 · f  (★☆☆, 10 minutes)"),
        code("def f(): ...\n\n\nf = check.f(f)"),
        code("widgets.panel(draw, a=widgets.slider([1]))"),  # 3 for a panel, 1 for its cell
        code("assert True", metadata={"tags": ["guard"]}),
    ]
    assert minutes.sittings(first) == [15]
    assert minutes.stated(first) == "**15 minutes**"
    second = [text("*A natural break: the second sitting begins here.*"), *[code("1")] * 20]
    assert minutes.sittings(first + second) == [15, 20]
    assert minutes.stated(first + second) == "**35 minutes**, in two sittings of 15 and 20"


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_is_laid_out_as_it_is_committed(path):
    before = path.read_text(encoding="utf-8")
    assert nbformat.writes(tidy.tidy(nbformat.reads(before, as_version=4))) + "\n" == before, (
        "run python tools/tidy.py notebooks/*.ipynb"
    )


def test_the_maps_are_fresh():
    stale = [
        path.name
        for path, text in maps.renewed().items()
        if path.read_text(encoding="utf-8") != text
    ]
    assert not stale, "run make maps"


def test_nothing_that_is_committed_says_todo():
    for folder, pattern in (("notebooks", "*.ipynb"), ("trickkit", "**/*.py"), ("data", "*.csv")):
        for path in (folders.ROOT / folder).glob(pattern):
            text = path.read_text(encoding="utf-8")
            text = re.sub(r'"image/\w+": "[^"]*"', "", text)  # in a picture any letters may meet
            assert "TODO" not in text, path


def test_a_lesson_without_a_header_is_refused(tmp_path):
    path = tmp_path / "09_x.ipynb"
    nbformat.write(new_lesson.notebook("%% text\n# A title alone"), path)
    with pytest.raises(ValueError, match="09_x.ipynb: wanted are"):
        maps.lesson(path)


@pytest.mark.parametrize(
    "name, error, words",
    [
        ("attention", ValueError, "called like 22_my_lesson"),
        ("09-attention", ValueError, "called like"),
        ("00_attention", FileExistsError, "00_start_here.ipynb"),
        ("09_saliency", FileExistsError, "saliency.py"),
    ],
)
def test_a_name_that_will_not_do_writes_nothing(name, error, words):
    papers = (data.DATA / "papers.csv").read_bytes()
    with pytest.raises(error, match=words):
        new_lesson.begin(name)
    assert (data.DATA / "papers.csv").read_bytes() == papers
