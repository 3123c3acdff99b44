"""Every benchmark at its tiny size, beside whichever of the other libraries are installed."""

import importlib.machinery
import importlib.util
import math
import os
import re
import runpy
import subprocess
import sys
import threading

import pytest
from browser import require_chromium
from other_users import PREFIX

import trickkit
from trickkit import folders

FOLDER = folders.ROOT / "benchmarks"
FILES = sorted(FOLDER.glob("*.py"))
SCRIPTS = [file for file in FILES if file.stem != "side_by_side"]
LIBRARIES = {
    "bench_attacks": ("torchattacks", "foolbox", "ART"),
    "bench_explanations": ("lime",),
    "bench_inside": ("captum",),
    "bench_rules": ("imodels",),
    "bench_player": ("stable_baselines3",),
    "bench_saliency": ("captum",),
}
POSITIVE = ("seconds", "× first", "ms", "GB", "GiB", "bytes")


# Whether a row of a table agrees with the first, which is ours.


def attacks_agree(title, ours, row):
    assert ours["success"] >= row["success"] - 25
    assert ours["success"] > 0 or title.startswith("patch")  # a few steps make no sticker
    assert ours.get("distance", 0) <= 1.5 * row.get("distance", 0)


def explanations_agree(title, ours, row):
    assert row["agrees"] >= 0.5


def paintings_agree(title, ours, row):
    if "loss" in row:
        assert ours["loss"] <= 1.1 * row["loss"]


def rules_agree(title, ours, row):
    if "best, seed 1" in row:
        assert abs(ours["best, seed 1"] - row["best, seed 1"]) < 5  # of a thousand


def maps_agree(title, ours, row):
    # of its own noise; of half the bits; not compared with each other
    if not title.startswith(("SmoothGrad", "RISE", "until complete")):
        assert row["apart"] < 5


AGREE = {
    "bench_attacks": attacks_agree,
    "bench_explanations": explanations_agree,
    "bench_painting": paintings_agree,
    "bench_rules": rules_agree,
    "bench_saliency": maps_agree,
}


def tables(printed):
    """What a benchmark printed, {title: {row: {column: number}}}; empty cells are left out."""
    found = {}
    title = ""
    for block in printed.strip().split("\n\n"):
        if block.startswith("| |"):
            cells = [[c.strip() for c in line.split("|")[1:-1]] for line in block.splitlines()]
            (_, *columns), _, *rows = cells
            found[title] = {
                name: {
                    column: float(figure.rstrip("%"))
                    for column, figure in zip(columns, figures, strict=True)
                    if figure
                }
                for name, *figures in rows
            }
        title = block
    return found


def require_a_room():
    """Skip, and say why, where no room can be opened."""
    if sys.platform != "linux":
        pytest.skip("a room is Linux only")
    pytest.importorskip("jupyterhub", reason="the extra [room] is not installed")
    if PREFIX:
        pytest.skip("in a room of root's other users must be able to run this Python")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_benchmark_runs(script, monkeypatch, capsys):
    if script.stem == "bench_panels":
        require_chromium()
    if script.stem == "room":
        require_a_room()
    part = ["trainings"] if script.stem == "reproduce" else []  # the others start clusters anew
    monkeypatch.setattr(sys, "argv", [str(script), *part, "--tiny"])
    monkeypatch.syspath_prepend(FOLDER)
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    found = tables(printed)
    assert found
    for title, rows in found.items():
        for name, row in rows.items():
            where = f"{title}, {name}: {row}"
            assert row and all(map(math.isfinite, row.values())), where
            assert all(row[column] > 0 for column in row if column.startswith(POSITIVE)), where
            if script.stem in AGREE:
                AGREE[script.stem](title, next(iter(rows.values())), row)
    timed = {name.partition(",")[0] for rows in found.values() for name in rows}
    missing = set(", ".join(re.findall("^Not installed: (.*?)\\. ", printed, re.M)).split(", "))
    for library in LIBRARIES.get(script.stem, ()):
        here = importlib.util.find_spec(library.lower()) is not None
        assert (library in timed, library in missing) == (here, not here)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_benchmark_hides_nothing_that_one_may_import(file):
    """Its folder comes first where it imports."""
    elsewhere = [path for path in sys.path if path != str(FOLDER)]
    assert importlib.machinery.PathFinder.find_spec(file.stem, elsewhere) is None
    assert file.stem not in {*trickkit.MODULES, *sys.stdlib_module_names}


@pytest.fixture
def side_by_side(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("side_by_side")


def test_parts_are_chosen_by_name(side_by_side, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bench", "two", "--tiny"])
    assert side_by_side.chosen({"one": 1, "two": 2}) == {"two": 2}
    assert side_by_side.sized("full", "tiny") == "tiny"
    monkeypatch.setattr(sys, "argv", ["bench"])
    assert side_by_side.chosen({"one": 1, "two": 2}) == {"one": 1, "two": 2}
    assert side_by_side.sized("full", "tiny") == "full"
    monkeypatch.setattr(sys, "argv", ["bench", "tow"])
    with pytest.raises(ValueError, match="no part called 'tow'. Did you mean 'two'"):
        side_by_side.chosen({"one": 1, "two": 2})


def test_the_first_of_several_turns_does_not_count(side_by_side, monkeypatch):
    runs = {
        "ours": iter([("warm", 9.0, 9.0), ("a", 1.0, 5.0), ("b", 2.0, 4.0)]),
        "theirs": iter([("warm", 9.0, 9.0), ("c", 4.0, 1.0), ("d", 5.0, 2.0)]),
    }
    monkeypatch.setattr(side_by_side, "measured", next)
    timed = side_by_side.in_turns(runs, turns=3)
    assert timed == {"ours": ("b", 1.5, 5.0), "theirs": ("d", 4.5, 2.0)}
    assert [row["× first"] for row in side_by_side.costs(timed).values()] == [1, 3]


def test_no_bar_is_drawn_in_a_benchmark():
    code = "import side_by_side; from tqdm.auto import tqdm; list(tqdm(range(3)))"
    environment = {name: v for name, v in os.environ.items() if name != "TQDM_DISABLE"}
    run = [sys.executable, "-c", code]
    shown = subprocess.run(run, cwd=FOLDER, env=environment, capture_output=True, check=True)
    assert shown.stderr == b""


def test_a_job_that_fails_leaves_nobody_watching(side_by_side):
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        side_by_side.measured(lambda: 1 / 0)
    assert threading.active_count() == before
