import json

import pytest

from trickkit import data, papers
from trickkit.papers import Row, compare

TOY = "karpathy2015/toy-chance"


def test_verdicts():
    assert (
        papers.verdict("0.0474", 0.04742) == "same" and papers.verdict("0.0474", 0.0475) == "near"
    )
    assert (
        papers.verdict("-3", -3.0) == "same"
        and papers.verdict("99.57", 80.0) == "differs"
        and papers.verdict("", 5) == "–"
    )
    # a tenth of the paper's number, above it and below; 99.0 is further off, though within a tenth
    # of itself
    assert (
        papers.verdict("89.4", 98.2)
        == papers.verdict("89.4", 80.6)
        == papers.verdict("-3.0", -2.8)
        == "near"
    )
    assert (
        papers.verdict("89.4", 99.0)
        == papers.verdict("89.4", 80.3)
        == papers.verdict("-3", 3.0)
        == "differs"
    )


def test_a_number_outside_its_band_fails_the_run():
    assert compare(Row(TOY, 0.0474, (0.04, 0.05))).rows[0]["verdict"] == "same"
    with pytest.raises(
        AssertionError, match="toy-chance: ours is 0.2, outside its band 0.04 to 0.05"
    ):
        compare(Row(TOY, 0.2, (0.04, 0.05), why="a bug"))
    with pytest.raises(AssertionError):
        compare(Row(TOY, float("nan"), (0.04, 0.05), why="a bug"))


def test_a_difference_needs_a_reason_and_an_id_must_exist():
    with pytest.raises(ValueError, match="Say why they differ"):
        compare(Row(TOY, 0.2, (0, 1)))
    with pytest.raises(ValueError, match=f"Did you mean '{TOY}'"):
        compare(Row("karpathy2015/toy-chances", 0.2, (0, 1)))


def test_every_papers_number_says_where_it_stands():
    for id_, row in papers.reported().items():
        assert row["paper"] and row["where"] and row["quantity"], id_
        assert row["value"] or row["settings"], id_
        if row["value"]:
            float(row["value"])


def test_every_papers_number_is_compared_in_a_lesson_and_the_scoreboard_is_fresh():
    scoreboard = papers.gather()
    assert (data.ROOT / "PAPERS.md").read_text(encoding="utf-8") == scoreboard, "run make papers"
    used = "".join(p.read_text(encoding="utf-8") for p in (data.ROOT / "notebooks").glob("*.ipynb"))
    assert [i for i in papers.reported() if i not in used] == []


def test_the_table_in_both_forms():
    bundle = compare(Row(TOY, 0.0474, (0, 1)))._repr_mimebundle_()
    assert (
        bundle["text/markdown"] == bundle["text/plain"]
        and "| 0.0474 | 0.0474 " in bundle["text/plain"]
    )
    json.dumps(bundle[papers.MIME])
