import shutil

import pytest

from trickkit import data, scorecard


def test_there_are_seven_things_in_each_section():
    asked = [criterion.section for criterion in scorecard.CRITERIA]
    assert {section: asked.count(section) for section in scorecard.SECTIONS} == dict.fromkeys(
        scorecard.SECTIONS, 7
    )


def test_every_test_that_is_named_is_there():
    named = {test for criterion in scorecard.CRITERIA for test in criterion.tests}
    assert named <= scorecard.named_tests()


def test_every_passage_that_is_named_is_there():
    for criterion in scorecard.CRITERIA:
        file, _, words = criterion.by_hand.partition(": ")
        assert not words or words in (data.ROOT / file).read_text(encoding="utf-8"), words


@pytest.fixture
def copy(tmp_path):
    """A copy of what the score is read from."""
    shutil.copytree(data.ROOT / "tests", tmp_path / "tests")
    shutil.copytree(data.ROOT / "notebooks", tmp_path / "notebooks")
    for name in ("README.md", "CONTRIBUTING.md"):
        shutil.copy(data.ROOT / name, tmp_path)
    return tmp_path


def test_a_copy_has_the_same_score_until_a_test_is_deleted_or_renamed(copy):
    points = scorecard.repository_points()
    assert scorecard.repository_points(root=copy) == points
    assert scorecard.ml_test_score(points) == 3
    (copy / "tests" / "test_inclusion.py").unlink()
    fewer = scorecard.repository_points(root=copy)
    assert fewer["model"] == [*points["model"][:-1], 0] and scorecard.ml_test_score(fewer) == 2
    file = copy / "tests" / "test_training.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("def test_training_is", "def tset_training_is"), encoding="utf-8")
    assert sum(scorecard.repository_points(root=copy)["infrastructure"]) == 4


def test_files_can_be_left_out():
    without = scorecard.repository_points(without=("test_slices.py", "test_inclusion.py"))
    assert without["model"][-2:] == [0, 0] and scorecard.ml_test_score(without) == 1


def test_what_is_only_written_down_counts_half(copy):
    assert scorecard.repository_points(root=copy)["data"].count(0.5) == 1
    (copy / "CONTRIBUTING.md").write_text("Nothing.", encoding="utf-8")
    assert scorecard.repository_points(root=copy)["data"].count(0.5) == 0


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
