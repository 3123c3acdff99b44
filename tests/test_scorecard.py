import json
import shutil

import pytest

from trickkit import folders, scorecard


def test_there_are_seven_things_in_each_section():
    asked = [criterion.section for criterion in scorecard.CRITERIA]
    assert {section: asked.count(section) for section in scorecard.SECTIONS} == dict.fromkeys(
        scorecard.SECTIONS, 7
    )


def test_every_test_that_is_named_is_there():
    for criterion in scorecard.CRITERIA:
        for test in criterion.tests:
            file, _, words = test.partition("::")
            if file.endswith(".ipynb"):
                assert words.startswith("assert ")
                assert scorecard.asserted(folders.ROOT, file, words), test
            else:
                assert test in scorecard.named_tests(), test


def test_every_passage_that_is_named_is_there():
    for criterion in scorecard.CRITERIA:
        file, _, words = criterion.by_hand.partition("::")
        assert not words or words in (folders.ROOT / file).read_text(encoding="utf-8"), words


@pytest.fixture
def copy(tmp_path):
    """A copy of what the score is read from."""
    shutil.copytree(folders.ROOT / "tests", tmp_path / "tests")
    shutil.copytree(folders.ROOT / "notebooks", tmp_path / "notebooks")
    for name in ("README.md", "CONTRIBUTING.md"):
        shutil.copy(folders.ROOT / name, tmp_path)
    return tmp_path


def changed(file, before, after):
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")


def test_a_copy_has_the_same_score_until_a_test_is_deleted_or_renamed(copy):
    points = scorecard.repository_points()
    assert scorecard.repository_points(root=copy) == points
    assert scorecard.ml_test_score(points) == 4
    (copy / "tests" / "test_inclusion.py").unlink()
    fewer = scorecard.repository_points(root=copy)
    assert fewer["model"] == [*points["model"][:-1], 0] and scorecard.ml_test_score(fewer) == 3
    changed(copy / "tests" / "test_training.py", "def test_training_is", "def tset_training_is")
    assert sum(scorecard.repository_points(root=copy)["infrastructure"]) == 4


@pytest.mark.parametrize(
    ("body", "counts"),
    {
        "    pass": False,
        "    print(1)": False,
        "    assert x": True,
        "    with pytest.raises(ValueError):\n        int('x')": True,
        "    pytest.skip('later')\n    assert x": False,
        "    pytest.importorskip('captum')\n    assert x": False,
        "    assert True": False,
        "    assert (x == 2, 'x')": False,
        "    with raises(ValueError):\n        int('x')": True,
        "    np.testing.assert_allclose(x, 2)": True,
        "    return\n    assert x": True,  # it is not seen that this cannot fail
    }.items(),
)
def test_a_test_that_cannot_fail_is_none(body, counts, tmp_path):
    (tmp_path / "tests").mkdir()
    file = tmp_path / "tests" / "test_it.py"
    file.write_text(f"def test_it():\n{body}\n", encoding="utf-8")
    assert bool(scorecard.named_tests(root=tmp_path)) == counts
    for mark in ("skip", "skipif(True)", "xfail", "solved"):
        file.write_text(f"@pytest.mark.{mark}\ndef test_it():\n{body}\n", encoding="utf-8")
        assert not scorecard.named_tests(root=tmp_path)
    for above in ("pytestmark = pytest.mark.skip", "captum = pytest.importorskip('captum')"):
        file.write_text(f"{above}\ndef test_it():\n{body}\n", encoding="utf-8")
        assert not scorecard.named_tests(root=tmp_path)


def test_an_assert_of_a_lesson_counts_while_it_is_run(copy):
    points = scorecard.repository_points(root=copy)
    lesson = copy / scorecard.LESSON
    changed(lesson, "assert useless ==", "useless ==")
    assert scorecard.repository_points(root=copy)["data"] == [1, 0, *points["data"][2:]]
    lesson.unlink()
    assert scorecard.repository_points(root=copy)["model"] == [0, 0, 0, 0, 0, *points["model"][5:]]


@pytest.mark.parametrize(
    ("source", "tags", "counts"),
    [
        ("if x:\n    assert x == 2", [], True),
        ("'''\nassert x == 2\n'''", [], False),
        ("# assert x == 2", [], False),
        ("assert x == 2", ["raises-exception"], False),
        ("assert x == 2", ["nbval-skip"], False),
    ],
)
def test_only_what_is_run_is_asserted(source, tags, counts, tmp_path):
    cell = {"cell_type": "code", "metadata": {"tags": tags}, "source": source}
    (tmp_path / "it.ipynb").write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    assert scorecard.asserted(tmp_path, "it.ipynb", "assert x ==") == counts


def test_files_can_be_left_out():
    added = ("tests/test_slices.py", "tests/test_inclusion.py")
    without = scorecard.repository_points(without=added)
    assert without["model"][-2:] == [0, 0] and scorecard.ml_test_score(without) == 2


def test_what_is_only_written_down_counts_half(copy):
    assert scorecard.repository_points(root=copy)["monitoring"].count(0.5) == 1
    (copy / "CONTRIBUTING.md").write_text("Nothing.", encoding="utf-8")
    assert scorecard.repository_points(root=copy)["monitoring"].count(0.5) == 0


def test_the_score_is_that_of_the_lowest():
    assert scorecard.ml_test_score({"a": [1, 0.5], "b": [1, 1, 1]}) == 1.5
    assert scorecard.ml_test_score({"a": [1], "b": []}) == 0


def test_what_is_no_score_is_refused(tmp_path):
    with pytest.raises(ValueError, match="No section"):
        scorecard.ml_test_score({})
    with pytest.raises(ValueError, match="of a are .*2"):
        scorecard.ml_test_score({"a": [2]})
    with pytest.raises(FileNotFoundError, match="no tests in"):
        scorecard.named_tests(root=tmp_path)
