"""TEACHING.md says something of every part and every prediction, and its counts are up to date."""

import re

import guide
import minutes
import nbformat
import pytest

from trickkit import folders

LESSONS = sorted((folders.ROOT / "notebooks").glob("*.ipynb"))
GUIDES = guide.guides()


def cells(path):
    return nbformat.read(path, as_version=4).cells


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_part_and_every_prediction_is_told(path):
    told = GUIDES[path.stem[:2]]
    head = cells(path)[0].source
    assert head.startswith(f"# {path.stem[:2]} · {told.title}") and told.about
    parts = [guide.plain(part) for part in minutes.by_part(cells(path))]
    wanted = [part for part in parts if part not in guide.ALWAYS]
    assert set(wanted) <= set(told.notes) <= set(parts)
    text = "\n\n".join(cell.source for cell in cells(path) if cell.cell_type == "markdown")
    for kind, answers in ((guide.PREDICT, told.answers), (guide.DRAG, told.dragged)):
        asked = guide.questions(text, kind=kind)
        assert len(asked) == len(answers)
        for question, (quoted, answer) in zip(asked, answers, strict=True):
            assert question.startswith(guide.plain(quoted)) and answer, (question, quoted)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_minutes_of_parts_are_those_of_the_lesson(path):
    """But for what is rounded, and for a part's least minute."""
    each = guide.spent(path.stem[:2]).values()
    assert (
        abs(sum(total for total, _ in each) - sum(minutes.sittings(cells(path))))
        <= 3 + len(each) / 2
    )
    whole = minutes.parts(cells(path))
    assert sum(own for _, own in each) == whole["exercises"]


def test_what_is_counted_is_up_to_date():
    text = guide.GUIDE.read_text(encoding="utf-8")
    assert guide.renewed() == text
    assert set(guide.sections(text)) == {path.stem[:2] for path in LESSONS}
    for seconds, memory in guide.costs().values():
        assert f"takes {seconds} seconds of one processor core and {memory} GB" in text


def test_a_way_that_names_no_part_is_refused(monkeypatch, tmp_path):
    text = guide.GUIDE.read_text(encoding="utf-8")
    monkeypatch.setattr(guide, "GUIDE", tmp_path / "TEACHING.md")
    guide.GUIDE.write_text(text.replace("*The audit*", "*The adit*"), encoding="utf-8")
    with pytest.raises(ValueError, match="Lesson 19 has no part 'The adit'"):
        guide.renewed()


def test_exercises_are_called_as_they_are():
    """Where rooms get stuck, an exercise is named by its function."""
    text = guide.GUIDE.read_text(encoding="utf-8")
    for number, section in guide.sections(text).items():
        source = "\n".join(cell.source for cell in cells(guide.lesson(number)))
        for place, name in re.findall(r"^- \*\*Exercise (\d+), `(\w+)`", section, re.MULTILINE):
            exercise = source.partition(f"### Exercise {place} ·")[2].partition("### Exercise")[0]
            assert f"= check.{name}(" in exercise or f"({name})" in exercise, (number, name)
