import ast
import csv
import decimal
import json

import numpy as np
import pandas as pd
import pytest
import torch

from trickkit import data, folders, papers
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


@pytest.mark.parametrize(
    "theirs, ours, said",
    [
        ("95.6", 89.3, "differs"),  # its errors are more than twice as many
        ("95.6", 94.7, "near"),
        ("99.9", 100.0, "near"),
        ("60.6", 63.1, "near"),
        ("4.4", 4.9, "differs"),
        ("104", 113, "near"),  # a ratio, which lacks nothing to 100
    ],
)
def test_a_percentage_is_judged_by_its_errors_as_well(theirs, ours, said):
    assert papers.verdict(theirs, ours, unit="% of the best") == said
    assert papers.verdict(theirs, ours) in (said, "near")


def test_a_row_without_a_number_says_how_the_paper_has_it():
    for row in papers.reported().values():
        how, colon, _ = row["settings"].partition(": ")
        assert row["value"] or colon and how in ("in words", "drawn", "not said"), row["id"]


def test_a_number_outside_its_band_fails_the_run():
    assert compare(Row(TOY, 0.0474, (0.04, 0.05))).rows[0]["verdict"] == "same"
    with pytest.raises(
        AssertionError, match="toy-chance: ours is 0.2, outside its band 0.04 to 0.05"
    ):
        compare(Row(TOY, 0.2, (0.04, 0.05), why="a bug"))
    with pytest.raises(AssertionError, match="ours is nan, outside"):
        compare(Row(TOY, float("nan"), (0.04, 0.05), why="a bug"))


def test_a_difference_needs_a_reason_and_an_id_must_exist():
    with pytest.raises(ValueError, match="Say why they differ"):
        compare(Row(TOY, 0.2, (0, 1)))
    with pytest.raises(ValueError, match=f"Did you mean '{TOY}'"):
        compare(Row("karpathy2015/toy-chances", 0.2, (0, 1)))


@pytest.mark.parametrize(
    "kind",
    [
        list,
        tuple,
        np.array,
        torch.tensor,
        lambda runs: torch.tensor(runs, dtype=torch.bfloat16, requires_grad=True),
        lambda runs: pd.Series(runs, index=[1, 0], dtype="Float64"),
        lambda runs: [decimal.Decimal(run) for run in runs],
    ],
)
def test_runs_may_come_in_anything_that_holds_numbers(kind):
    row = compare(Row(TOY, kind([0.25, 0.75]), (0, 1), why="two runs")).rows[0]
    assert row["ours"] == "0.5000 ± 0.3536"
    with pytest.raises(ValueError, match="ours is '0.0474'; a number"):
        compare(Row(TOY, "0.0474", (0, 1)))


@pytest.mark.parametrize(
    "ours",
    [
        *([], None, "x", ["0.1"], {0.1}, [[0.1]], [0.1, None], object()),
        *(1j, [0.1, 1j], torch.tensor([1j]), [[0.1], [0.1, 0.2]], np.array(["2020"], "M8[Y]")),
    ],
)
def test_what_is_no_number_is_refused(ours):
    with pytest.raises(ValueError, match=f"{TOY}: ours is .*; a number, or one from each run"):
        compare(Row(TOY, ours, (0, 1)))


@pytest.mark.parametrize("band", [None, 5, (0,), (0, 1, 2), ("0", "9"), "09", (5, 3), (np.nan, 9)])
def test_what_is_no_band_is_refused(band):
    with pytest.raises(ValueError, match=f"{TOY}: its band is .*; two numbers are wanted"):
        compare(Row(TOY, 0.0474, band))


def test_what_is_no_row_is_refused():
    with pytest.raises(ValueError, match="Rows are wanted.*a list came"):
        compare([Row(TOY, 0.0474, (0, 1))])
    with pytest.raises(ValueError, match="no paper's number called"):
        compare(Row([TOY], 0.0474, (0, 1)))


def test_a_run_that_is_no_number_fails_as_one_outside_its_band():
    with pytest.raises(AssertionError, match="ours is nan, outside its band 0 to 1"):
        compare(Row(TOY, [0.0474, float("nan")], (0, 1), why="a bug"))


def test_a_number_just_outside_its_band_is_shown_with_its_digits():
    with pytest.raises(AssertionError, match="ours is 0.047401, outside its band 0.047402 to 0.05"):
        compare(Row(TOY, 0.047401, (0.047402, 0.05)))


def test_no_two_papers_numbers_have_one_id():
    with open(data.DATA / "papers.csv", encoding="utf-8", newline="") as f:
        ids = [row["id"] for row in csv.DictReader(f)]
    assert len(set(ids)) == len(ids) == len(papers.reported())


def test_a_lesson_that_cannot_be_read_is_left_out_and_named(tmp_path):
    row = compare(Row(TOY, 0.0474, (0, 1)))
    output = {"data": row._repr_mimebundle_()}
    good = {"cells": [{"outputs": [output]}, {"cell_type": "markdown"}]}
    (tmp_path / "01_good.ipynb").write_text(json.dumps(good), encoding="utf-8")
    (tmp_path / "02_cut.ipynb").write_text(json.dumps(good)[:-20], encoding="utf-8")
    (tmp_path / "03_list.ipynb").write_text("[]", encoding="utf-8")
    (tmp_path / "04_binary.ipynb").write_bytes(b"\xff\xfe")
    (tmp_path / "05_folder.ipynb").mkdir()
    (tmp_path / "._01_good.ipynb").write_bytes(b"\0\5\x16\7")
    table = [
        "# Zhao 2030: 1 of 1",
        "",
        "Measured here: all.",
        "From seed to seed: nothing.",
        "Ours is a number.",
        "",
        "| what | paper |",
        "| --- | --- |",
        "| a | 1 |",
        "| ↳ b |  |",
        "| c |  |",  # what is no number of the paper's stands in the whole table alone
    ]
    (tmp_path / "zhao2030").mkdir()
    (tmp_path / "zhao2030" / "table.md").write_text("\n".join(table), encoding="utf-8")
    said, title, many = papers.gather(folder=tmp_path, reproduced=tmp_path).partition(
        papers.MANY_SEEDS
    )
    assert title and many.splitlines()[-9:] == [
        "## [Zhao 2030: 1 of 1](reproduced/zhao2030/table.md)",
        "",
        *table[2:4],
        "",
        *table[-5:-1],
    ]
    assert many.count("Ours is a number.") == 1  # what holds for all tables
    assert papers.MANY_SEEDS not in papers.gather(folder=tmp_path, reproduced=tmp_path / "none")
    assert said.count("## [") == 1 and "| 0.0474 | 0.0474 " in said
    assert "read: 02_cut.ipynb, 03_list.ipynb, 04_binary.ipynb, 05_folder.ipynb." in said


def test_every_papers_number_says_where_it_stands():
    assert papers.reported()
    for id_, row in papers.reported().items():
        assert row["paper"] and row["where"] and row["quantity"], id_
        assert row["value"] or row["settings"], id_
        if row["value"]:
            float(row["value"])


def test_every_papers_number_is_compared_in_a_lesson_and_the_scoreboard_is_fresh():
    scoreboard = papers.gather()
    assert (folders.ROOT / "PAPERS.md").read_text(encoding="utf-8") == scoreboard, "run make papers"
    used = "".join(
        p.read_text(encoding="utf-8") for p in (folders.ROOT / "notebooks").glob("*.ipynb")
    )
    assert [i for i in papers.reported() if i not in used] == []


def test_the_table_in_both_forms():
    bundle = compare(Row(TOY, 0.0474, (0, 1)))._repr_mimebundle_()
    assert (
        bundle["text/markdown"] == bundle["text/plain"]
        and "| 0.0474 | 0.0474 " in bundle["text/plain"]
    )
    json.dumps(bundle[papers.MIME])


def rows_of_lessons():
    """Every Row(…) that a lesson writes, as (lesson, its syntax tree)."""
    for path in sorted((folders.ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                for node in ast.walk(ast.parse("".join(cell["source"]))):
                    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Row":
                        yield path.name, node


def test_no_band_takes_in_everything():
    """A band that hangs on what it holds, or spans all percents, could not fail."""
    seen = 0
    for lesson, row in rows_of_lessons():
        _, ours, band = row.args
        names = [{n.id for n in ast.walk(part) if isinstance(n, ast.Name)} for part in (ours, band)]
        assert not names[0] & names[1], f"{lesson}: {ast.unparse(row)}"
        if not names[1]:
            low, high = ast.literal_eval(band)
            percent = papers.reported()[ast.literal_eval(row.args[0])]["unit"] == "%"
            assert low <= high, ast.unparse(row)
            assert not (percent and high - low > 50), f"{lesson}: {ast.unparse(row)}"
            seen += 1
    assert seen > 40
