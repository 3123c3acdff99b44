"""A paper's grid at scale: what a cell's key holds, what is kept, what workers that die, lie or are
interrupted leave behind, and what the table says.

The grids tried are tiny ones, written into a package of their own that the workers import.
"""

import contextlib
import importlib.util
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import psutil
import pytest
from scipy import stats

import trickkit
from trickkit import papers, scale
from trickkit.folders import ROOT
from trickkit.scale import cells, clusters, grids, report, reproduction
from trickkit.scale.grid import Grid, axes, name_parts

dask = pytest.importorskip("dask", reason="the extra [scale] is not installed")
distributed = pytest.importorskip("distributed", reason="the extra [scale] is not installed")

# A cell of it does what its environment says: wait, fail, take its worker down (once or always).
TINY = '''
"""A grid to be tried."""
import os
import pathlib
import signal
import time

import torch

from tinylab.dice import thrown
from trickkit.scale.grid import Grid, axes


def measure(*, seed, full, side):
    time.sleep(float(os.environ.get("TINY_SECONDS", 0)))
    marks = pathlib.Path(os.environ["TINY_MARKS"])
    if (seed, side) == (1, "heads"):
        if (marks / "poison").exists():
            raise ZeroDivisionError("a poisoned cell")
        if (marks / "murder").exists():
            os.kill(os.getpid(), signal.SIGKILL)
    if (seed, side) == (0, "tails") and (marks / "murder once").exists():
        (marks / "murder once").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    value = thrown(seed, side) + torch.rand(1).item() / 7
    return {
        "goodfellow2015/maxout-error" if side == "heads" else "goodfellow2015/rbf-error": value,
        f"chance: goodfellow2015/{'maxout' if side == 'heads' else 'rbf'}-error": 90.0,
        "threads of torch, a number": torch.get_num_threads(),
    }


GRID = Grid(
    measure=measure, settings=axes(side=("heads", "tails")), seeds=3, ours="dice", varies="dice"
)
'''
DICE = '''
import numpy as np


def thrown(seed, side):
    """A number in which the last bit counts."""
    rng = np.random.default_rng([seed, len(side), side == "heads"])
    return float(50 + rng.standard_normal(1000).sum() / 3)
'''
UNUSED = "nobody = 'imports this'\n"


def write_lab(folder: pathlib.Path) -> pathlib.Path:
    package = folder / "tinylab"
    package.mkdir(parents=True)
    for name, text in (("__init__", ""), ("tiny", TINY), ("dice", DICE), ("unused", UNUSED)):
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    return package


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The tiny grid, importable here and by whatever is started from here; a folder for marks."""
    folder = tmp_path_factory.mktemp("lab")
    write_lab(folder)
    marks = folder / "marks"
    marks.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
        patch.setenv("TINY_MARKS", str(marks))
        patch.setenv("DASK_TEMPORARY_DIRECTORY", str(folder / "scratch"))
        with dask.config.set({"temporary-directory": str(folder / "scratch")}):
            yield folder
        for name in [n for n in sys.modules if n.startswith("tinylab")]:
            del sys.modules[name]


@pytest.fixture
def tiny(lab):
    from tinylab import tiny

    yield tiny.GRID
    for mark in (lab / "marks").iterdir():
        mark.unlink()


@pytest.fixture(scope="module")
def scheduler(lab):
    """The address of a scheduler with two workers, as somebody else would have started it."""
    own = {"distributed.nanny.pre-spawn-environ": clusters.ENVIRON}  # else it stays in os.environ
    with (
        dask.config.set(own),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
    ):
        yield cluster.scheduler_address


def looped(grid: Grid, *, seeds: int = 3) -> dict[str, dict[str, float]]:
    """What a plain loop in this process finds."""
    return {
        cells.key_of(cell): cells.measured_cell(cell)["values"]
        for cell in cells.cells_of(grid, seeds=seeds, full=False)
    }


def found(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The same from rows."""
    return {
        key: dict(zip(group["measure"], group["value"], strict=True))
        for key, group in rows.groupby("key")
    }


def wait_until(true, *, seconds: float = 60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


SCRIPT = """
import sys
from tinylab.tiny import GRID
from trickkit import scale
if __name__ == "__main__":
    made = scale.run(GRID, on=sys.argv[1], folder=sys.argv[2], seeds=int(sys.argv[3]))
    print(made.failures)
"""


def started(lab, *arguments: str, **environ: str) -> subprocess.Popen:
    """A run in a process of its own."""
    script = lab / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


# --- the form of a grid


@pytest.mark.parametrize("paper", scale.PAPERS)
def test_every_grid_has_the_form(paper):
    grid = reproduction.grid_of(paper)
    module = sys.modules[grid.measure.__module__]
    assert grid.paper == paper and len(module.__doc__) > 200 and grid.ours
    assert bool(grid.complete) == bool(grid.ours_full)
    keys = [cells.key_of(cell) for cell in cells.cells_of(grid, seeds=grid.seeds, full=False)]
    assert len(set(keys)) == len(keys) == grid.seeds * len(grid.settings)


def test_axes_are_all_combinations():
    assert axes() == [{}]
    assert axes(a=(1, 2), b=("x",)) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]


def nothing(*, seed, full):
    return {}


def something(*, seed, full, eps):
    return {"an epsilon, a number": eps}


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (dict(measure=something), r"measure takes \['eps'\]"),
        (dict(measure=nothing, settings=axes(eps=(1,))), "measure takes no settings"),
        (dict(measure=something, settings=axes(eps=(1, 1))), "comes twice"),
        (dict(measure=something, settings=axes(eps=(1, "one"))), "of different types"),
        (dict(measure=something, settings=axes(eps=((1, 2),))), "a setting is a word"),
        (dict(measure=something, settings=[]), "settings is 0"),
        (dict(measure=nothing, seeds=0), "seeds is 0"),
        (dict(measure=nothing, why={"goodfellow2015/max": "…"}), "no paper's number called"),
    ],
)
def test_a_grid_that_is_none_is_refused(made, says):
    with pytest.raises(ValueError, match=says):
        Grid(**{"seeds": 1, "ours": "", "varies": "", **made})


def test_a_measure_in_a_script_is_refused(monkeypatch):
    monkeypatch.setattr(nothing, "__module__", "__main__")
    with pytest.raises(ValueError, match="stands in a script"):
        Grid(measure=nothing, seeds=1, ours="", varies="")


def test_a_name_is_an_id_a_null_or_a_sentence():
    assert name_parts("goodfellow2015/rbf-error") == ("", "goodfellow2015/rbf-error")
    assert name_parts("by chance: twice: goodfellow2015/rbf-error") == (
        "by chance: twice",
        "goodfellow2015/rbf-error",
    )
    assert name_parts("misread after noise, %") == ("misread after noise, %", "")
    for name in ("goodfellow2015/rbf-eror", "chance: goodfellow2015/rbf-eror"):
        with pytest.raises(ValueError, match="Did you mean 'goodfellow2015/rbf-error"):
            name_parts(name)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a number, %": float("nan")}, "a number, % is nan; a finite number"),
        ({"a number, %": "7"}, "a finite number is wanted"),
        ({"goodfellow2015/none": 1.0}, "no paper's number called"),
    ],
)
def test_what_a_measure_may_not_return(value, says):
    def measure(*, seed, full):
        return value

    with pytest.raises(ValueError, match=says):
        cells.measured_cell(cells.Cell(measure, {}, 0, False))


# --- keys


def keys_in(folder: pathlib.Path, **environ: str) -> list[str]:
    """The keys of the tiny grid's first cells, and of the first paper's, in a fresh process."""
    code = """
        from tinylab.tiny import GRID
        from trickkit.scale import cells
        for seed in cells.cells_of(GRID, seeds=2, full=False):
            print(cells.key_of(seed))
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.split()


@pytest.fixture
def forget():
    """Read sources anew, as another process would."""
    cells._read.cache_clear()
    yield cells._read.cache_clear
    cells._read.cache_clear()


def reached(module: str, forget) -> dict[str, str]:
    forget()
    importlib.invalidate_caches()
    return cells.code_reached(module)


def test_a_key_changes_with_the_code_that_is_reached_and_with_no_other(
    tmp_path, monkeypatch, forget
):
    package = write_lab(tmp_path)
    shutil.move(package, tmp_path / "keylab")  # a name that no other test has imported
    package = tmp_path / "keylab"
    grid = package / "tiny.py"
    grid.write_text(TINY.replace("tinylab", "keylab"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    before = reached("keylab.tiny", forget)
    assert {"keylab.tiny", "keylab.dice"} == {n for n in before if n.startswith("keylab")}

    for path in package.glob("*.py"):  # another system's line ends, words, what is not reached
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    grid.write_bytes(grid.read_bytes().replace(b'ours="dice"', b'ours="coins"'))
    (package / "unused.py").write_text("somebody = 1\n", encoding="utf-8")
    (package / "__init__.py").write_text("# on the way\n", encoding="utf-8")
    assert reached("keylab.tiny", forget) == before

    dice = package / "dice.py"
    dice.write_text(DICE.replace("/ 3", "/ 4"), encoding="utf-8")
    after = reached("keylab.tiny", forget)
    assert {n for n in after if after[n] != before[n]} == {"keylab.dice"}

    dice.write_text("from . import unused\n" + DICE, encoding="utf-8")
    assert reached("keylab.tiny", forget).keys() - before.keys() == {"keylab.unused"}
    dice.write_text("def f():\n    from keylab.unused import nobody\n" + DICE, encoding="utf-8")
    assert reached("keylab.tiny", forget).keys() - before.keys() == {"keylab.unused"}


def test_a_key_holds_settings_seed_size_data_and_versions(tiny, monkeypatch, tmp_path):
    cell = cells.Cell(tiny.measure, {"side": "heads"}, 0, False)
    key = cells.key_of(cell)
    others = [
        cells.Cell(tiny.measure, {"side": "tails"}, 0, False),
        cells.Cell(tiny.measure, {"side": "heads"}, 1, False),
        cells.Cell(tiny.measure, {"side": "heads"}, 0, True),
    ]
    assert len({key, *map(cells.key_of, others)}) == 4
    versions = dict.fromkeys(cells.COUNTING, "1.2.3")
    monkeypatch.setattr(cells, "_version", lambda name: versions[name])
    old = cells.key_of(cell)
    versions["torch"] = "1.2.4+cu130"
    assert cells.key_of(cell) == old
    versions["torch"] = "1.3.0"
    assert cells.key_of(cell) != old
    versions["torch"] = "1.2.3"
    table = (cells.DATA / "SOURCES.csv").read_bytes().replace(b"\r\n", b"\n")
    monkeypatch.setattr(cells, "DATA", tmp_path)
    (tmp_path / "SOURCES.csv").write_bytes(table.replace(b"\n", b"\r\n"))
    assert cells.key_of(cell) == old
    (tmp_path / "SOURCES.csv").write_bytes(table.replace(b"7", b"8", 1))
    assert cells.key_of(cell) != old


def test_a_key_is_the_same_elsewhere_and_in_another_process(tiny, lab, tmp_path):
    write_lab(tmp_path / "far" / "away")
    here = [cells.key_of(c) for c in cells.cells_of(tiny, seeds=2, full=False)]
    assert keys_in(tmp_path / "far" / "away", PYTHONHASHSEED="7") == here


def test_all_code_that_a_grid_loads_is_in_its_key():
    """Python's own list of what was imported agrees, but for the engine's modules, and for what a
    package imports that is only on the way.
    """
    paper = "ribeiro2016" if "ribeiro2016" in scale.PAPERS else "goodfellow2015"
    code = """
        import importlib, sys
        import trickkit.scale
        engine = {*sys.modules}
        importlib.import_module("trickkit.scale.grids." + sys.argv[1])
        print(*(name for name in {*sys.modules} - engine if name.startswith("trickkit.")))
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), paper],
        capture_output=True,
        text=True,
        check=True,
    )
    found = cells.code_reached(f"{grids.__name__}.{paper}")
    on_the_way = {name.rpartition(".")[0] for name in found} - found.keys() - {"trickkit"}
    for name in {*ran.stdout.split()} - found.keys() - on_the_way:
        assert name.rpartition(".")[0] in on_the_way, name
    assert f"trickkit.papers.{paper}" in found and "trickkit.scale.cells" not in found


# --- what is kept


def test_a_record_comes_back_as_it_was_or_not_at_all(tiny, tmp_path):
    record = cells.measured_cell(cells.Cell(tiny.measure, {"side": "heads"}, 5, False))
    cells.write_record(record, tmp_path)
    [file] = tmp_path.iterdir()
    whole = file.read_bytes()
    assert cells.read_record(record["key"], tmp_path) == record
    assert cells.read_record("0" * 32, tmp_path) is None
    rng = np.random.default_rng(0)
    for place in [
        0,
        len(whole) - 2,
        *rng.integers(len(whole) - 2, size=40),
    ]:  # the last ends a line
        file.write_bytes(whole[:place])
        assert cells.read_record(record["key"], tmp_path) is None
        if chr(whole[place]).isdigit():
            file.write_bytes(
                whole[:place] + b"%d" % (9 - int(chr(whole[place]))) + whole[place + 1 :]
            )
            assert cells.read_record(record["key"], tmp_path) is None
    other = tmp_path / f"{'0' * 32}.json"  # under another cell's name
    other.write_bytes(whole)
    assert cells.read_record("0" * 32, tmp_path) is None
    for garbage in (b"\xff\xfe", b"[]", b"null", b'{"cell": 1, "sha256": "x"}'):
        file.write_bytes(garbage)
        assert cells.read_record(record["key"], tmp_path) is None


def test_a_disk_that_is_full_leaves_nothing_half(tiny, tmp_path, monkeypatch):
    record = cells.measured_cell(cells.Cell(tiny.measure, {"side": "heads"}, 5, False))

    def full(self, content):
        with open(self, "wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        cells.write_record(record, tmp_path)
    assert not [*tmp_path.iterdir()]


# --- running


def test_a_grid_is_measured_bit_for_bit_as_by_a_loop_and_once(tiny, scheduler, tmp_path, capsys):
    made = scale.run(tiny, on=scheduler, folder=tmp_path)
    assert "tiny: 0 of 6 cells are measured already" in capsys.readouterr().out
    assert found(made.rows) == looped(tiny) and not made.failures
    assert set(made.rows.query("measure.str.startswith('threads')")["value"]) == {1}
    files = {f: f.stat().st_mtime_ns for f in (tmp_path / "tiny" / "cells").iterdir()}
    table = (tmp_path / "tiny" / "table.md").read_bytes()
    picture = (tmp_path / "tiny" / "figure.png").read_bytes()

    hurt = sorted(files)[0]  # cut short: it alone is measured anew
    hurt.write_bytes(hurt.read_bytes()[:50])
    again = scale.run(tiny, on=scheduler, folder=tmp_path)
    assert "tiny: 5 of 6 cells are measured already" in capsys.readouterr().out
    assert found(again.rows) == found(made.rows)
    now = {f: f.stat().st_mtime_ns for f in (tmp_path / "tiny" / "cells").iterdir()}
    assert {f for f in files if now[f] != files[f]} == {hurt} and now.keys() == files.keys()
    assert (tmp_path / "tiny" / "table.md").read_bytes() == table == again.table.encode()
    assert (tmp_path / "tiny" / "figure.png").read_bytes() == picture

    whole = scale.run(tiny, on="tcp://127.0.0.1:1", folder=tmp_path)  # asks nobody
    assert found(whole.rows) == found(made.rows)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "tiny" / "rows.parquet"), whole.rows)
    fewer = scale.run(tiny, on="tcp://127.0.0.1:1", folder=tmp_path, seeds=1)
    assert found(fewer.rows) == looped(tiny, seeds=1)


def test_a_cell_that_raises_is_told_and_stops_no_other(tiny, lab, scheduler, tmp_path, capsys):
    (lab / "marks" / "poison").touch()
    made = scale.run(tiny, on=scheduler, folder=tmp_path)
    assert [*made.failures] == ["side = heads, seed 1"]
    [trace] = made.failures.values()
    assert "in measure" in trace and "ZeroDivisionError: a poisoned cell" in trace
    assert "side = heads, seed 1 failed: ZeroDivisionError" in capsys.readouterr().out
    assert "Left out, for they failed: side = heads, seed 1." in made.table
    assert len(found(made.rows)) == 5
    (lab / "marks" / "poison").unlink()
    mended = scale.run(tiny, on=scheduler, folder=tmp_path)
    assert "5 of 6 cells are measured already" in capsys.readouterr().out
    assert found(mended.rows) == looped(tiny) and not mended.failures


def test_where_every_cell_fails_there_is_still_a_table(tiny, lab, scheduler, tmp_path):
    (lab / "marks" / "poison").touch()
    from tinylab import tiny as module

    grid = Grid(
        measure=module.measure, settings=axes(side=("heads",)), seeds=2, ours="dice", varies=""
    )
    (tmp_path / "tiny" / "cells").mkdir(parents=True)
    for cell in cells.cells_of(grid, seeds=1, full=False):  # the first is there, and not whole
        (tmp_path / "tiny" / "cells" / f"{cells.key_of(cell)}.json").write_text("{", "utf-8")
    made = scale.run(grid, on=scheduler, folder=tmp_path)
    assert len(made.rows) > 0 and len(made.failures) == 1


def test_two_runs_at_once_on_one_folder_agree(tiny, scheduler, tmp_path):
    def one(_):
        return scale.run(tiny, on=scheduler, folder=tmp_path, seeds=30)

    with ThreadPoolExecutor(3) as threads:
        first, *others = threads.map(one, range(3))
    assert found(first.rows) == looped(tiny, seeds=30) and not first.failures
    for other in others:
        assert found(other.rows) == found(first.rows) and other.table == first.table
    kept = tmp_path / "tiny" / "cells"
    assert {f.name for f in kept.iterdir()} == {f"{key}.json" for key in found(first.rows)}
    assert all(cells.read_record(key, kept) for key in found(first.rows))
    assert {f.name for f in (tmp_path / "tiny").iterdir()} == {
        *("cells", "table.md", "rows.parquet", "figure.png")
    }


def test_a_worker_killed_in_the_middle_costs_no_row_unless_it_is_killed_again_and_again(
    tiny, lab, tmp_path, monkeypatch
):
    monkeypatch.setitem(clusters.ALLOWED_FAILURES, "local", 1)
    for mark in ("murder", "murder once"):
        (lab / "marks" / mark).touch()
    before = dict(os.environ)
    made = scale.run(tiny, folder=tmp_path)
    assert not (lab / "marks" / "murder once").exists()  # it has happened
    assert [*made.failures] == ["side = heads, seed 1"]
    assert "KilledWorker" in made.failures["side = heads, seed 1"]
    (lab / "marks" / "murder").unlink()
    loop = looped(tiny)
    assert found(made.rows) == {key: loop[key] for key in found(made.rows)}
    assert len(found(made.rows)) == 5
    assert dict(os.environ) == before
    names = [process.name() for process in psutil.Process().children(recursive=True)]
    assert len(names) <= 4, names  # those of `scheduler` alone


def test_a_run_that_is_killed_goes_on_where_it_was(tiny, lab, scheduler, tmp_path, capsys):
    """Its workers end by themselves, and what it has kept is whole."""
    first = started(lab, "local", str(tmp_path), "20", TINY_SECONDS="0.3")
    kept = tmp_path / "tiny" / "cells"
    wait_until(lambda: len([*kept.glob("*.json")]) >= 4)
    family = psutil.Process(first.pid).children(recursive=True)
    assert family
    first.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    first.communicate()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive
    there = [cells.read_record(file.stem, kept) for file in kept.glob("*.json")]
    assert all(there) and 4 <= len(there) < 40
    made = scale.run(tiny, on=scheduler, folder=tmp_path, seeds=20)
    assert f"{len(there)} of 40 cells are measured already" in capsys.readouterr().out
    assert found(made.rows) == looped(tiny, seeds=20)


def test_workers_here_can_be_asked_by_nobody_else(lab):
    with clusters.connected("local", cells=1) as client:
        [worker] = client.run(os.getpid).values()
        me = psutil.Process()
        kin = [me, *me.children(recursive=True)]
        assert worker in [process.pid for process in kin]
        for process in kin:
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip in ("127.0.0.1", "::1"), process
        address = client.scheduler.address
        assert address.startswith("tls://127.0.0.1")
        with pytest.raises((OSError, RuntimeError, TypeError)):
            distributed.Client(address, timeout="2s", set_as_default=False)
        environ = client.run(lambda: dict(os.environ))[next(iter(client.ncores()))]
        assert environ["OMP_NUM_THREADS"] == "1" and "MALLOC_TRIM_THRESHOLD_" not in environ


def test_a_worker_with_another_course_is_refused(tiny, scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(trickkit, "__version__", "9.9")
    said = rf"has another trickkit {cells.trickkit.__version__[:0]}.*, ours 9\.9"
    with pytest.raises(ValueError, match=said):
        scale.run(tiny, on=scheduler, folder=tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(reproduction, "validate_workers", lambda *_: None)  # it came later
    honest = cells.fingerprint
    monkeypatch.setattr(cells, "fingerprint", lambda m: honest(m) | {"code": "other"})
    made = scale.run(tiny, on=scheduler, folder=tmp_path, seeds=1)
    assert len(made.failures) == 2 and not len(made.rows)
    assert all("This worker has other code" in trace for trace in made.failures.values())


def test_a_worker_without_the_grid_is_refused(lab, scheduler, tmp_path, monkeypatch):
    away = tmp_path / "only_here"
    (away / "herelab").mkdir(parents=True)
    text = TINY.replace("from tinylab.dice import thrown", "thrown = lambda *_: 1.0")
    (away / "herelab" / "tiny.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(away)
    from herelab import tiny

    with pytest.raises(ValueError, match="cannot measure this grid: .*herelab"):
        scale.run(tiny.GRID, on=scheduler, folder=tmp_path)


def test_a_scheduler_that_goes_away_is_told(tiny, lab, tmp_path):
    script = "from dask.__main__ import main; main()"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    with subprocess.Popen(
        [sys.executable, "-c", script, "scheduler", "--host", "127.0.0.1", "--port", str(port)]
        + ["--no-dashboard"],
        stderr=subprocess.DEVNULL,
    ) as process:
        run = None
        try:
            wait_until(lambda: not socket.socket().connect_ex(("127.0.0.1", port)))
            patience = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s"}
            run = started(lab, address, str(tmp_path), "3", **patience)
            lines = []
            for line in run.stdout:
                lines.append(line)
                if "No worker is there yet" in line:
                    break
            process.kill()
            rest, _ = run.communicate(timeout=120)
            assert "No worker is there yet" in lines[-1]
            assert run.returncode == 1
            assert f"ConnectionError: The scheduler at {address} has gone away" in rest
        finally:
            process.kill()
            if run:
                run.kill()
                run.communicate()


# --- before anything starts


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (dict(paper="goodfellow"), ValueError, "Did you mean 'goodfellow2015'"),
        (dict(on="lokal"), ValueError, "no place to measure called 'lokal'. Did you mean 'local'"),
        (dict(seeds=0), ValueError, "seeds is 0"),
        (dict(seeds=True), ValueError, "seeds is True"),
        (dict(full=1), ValueError, "full is 1"),
        (dict(full=True), ValueError, "has no larger data set"),
        (dict(on="kubernetes"), ImportError, "pip install dask-kubernetes"),
        (
            dict(on="tcp://127.0.0.1:1"),
            ConnectionError,
            "No scheduler answers at tcp://127.0.0.1:1",
        ),
    ],
)
def test_what_is_refused_before_anything_starts(tiny, tmp_path, arguments, error, says):
    if arguments.get("on") == "kubernetes" and importlib.util.find_spec("dask_kubernetes"):
        pytest.skip("dask-kubernetes is installed here")
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        with pytest.raises(error, match=says):
            scale.run(**{"paper": tiny, "folder": tmp_path, **arguments})


def test_the_extra_is_asked_for(tiny, tmp_path, monkeypatch):
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "distributed" else known(name)
    )
    with pytest.raises(ImportError, match=r"distributed is not installed: pip install 'trickkit\["):
        scale.run(tiny, folder=tmp_path)


def test_complete_data_that_cannot_be_had_is_told_once(tmp_path):
    def complete(*, full):
        raise FileNotFoundError("The complete MNIST could not be downloaded.")

    grid = Grid(measure=nothing, seeds=1, ours="", varies="", ours_full="MNIST", complete=complete)
    with pytest.raises(FileNotFoundError, match="could not be downloaded"):
        scale.run(grid, full=True, folder=tmp_path)
    assert not [*tmp_path.iterdir()]


# --- Slurm


SLURM = {
    "jobqueue.slurm": {
        "cores": 4,
        "memory": "16GiB",
        "queue": "teaching",
        "walltime": "02:00:00",
        "interface": "lo",
        "death-timeout": 60,
        "python": "python3",
        "job-script-prologue": ["module load python"],
        "scheduler-options": {},
    }
}
JOB = """\
#!/usr/bin/env bash

#SBATCH -J dask-worker
#SBATCH -p teaching
#SBATCH -n 1
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH -t 02:00:00
module load python
export DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON=\
"{'OMP_NUM_THREADS': '1', 'MALLOC_TRIM_THRESHOLD_': None}"
python3 -m distributed.cli.dask_worker ADDRESS --name dummy-name --nthreads 1\
 --memory-limit 4.00GiB --nanny --death-timeout 60 --lifetime 6600s\
 --lifetime-stagger 60s --interface lo --protocol tls:// --tls-ca-file FILE --tls-cert FILE\
 --tls-key FILE
"""


@pytest.fixture
def jobqueue(lab):
    pytest.importorskip("dask_jobqueue", reason="the extra [scale] is not installed")
    loopback = next((n for n in psutil.net_if_addrs() if n.startswith("lo")), None)
    if loopback is None:
        pytest.skip("no loopback interface by that name")
    settings = dask.config.get("jobqueue.slurm")
    ours = SLURM["jobqueue.slurm"] | {"interface": loopback, "shared-temp-directory": str(lab)}
    with dask.config.set({"jobqueue.slurm": settings | ours}):
        yield


def test_the_job_of_slurm(jobqueue):
    with clusters.slurm_cluster(cells=3) as cluster:
        script = cluster.job_script()
        words = script.replace(cluster.scheduler_address, "ADDRESS").split(" ")
    said = " ".join(
        "FILE" + "\n" * word.endswith("\n") if ".dask-jobqueue" in word else word for word in words
    )
    lo = dask.config.get("jobqueue.slurm.interface")
    assert said == JOB.replace("--interface lo", f"--interface {lo}")


def test_slurm_is_asked_for_jobs_and_they_measure(jobqueue, tiny, lab, tmp_path, monkeypatch):
    """With an sbatch of our own, which starts the job here."""
    if os.name != "posix":
        pytest.skip("the job script is a shell script")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, does in (
        (
            "sbatch",
            'job=$(mktemp "$JOBS.XXXX"); cp "$1" "$job"; setsid bash "$job" >"$job.log" 2>&1 &'
            ' echo $! >>"$JOBS"; echo "Submitted batch job $!"',
        ),
        ("scancel", 'kill -- "-$1" 2>/dev/null; exit 0'),
    ):
        (tools / name).write_text(f"#!/bin/bash\n{does}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    jobs = tmp_path / "jobs"
    monkeypatch.setenv("JOBS", str(jobs))
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    try:
        with dask.config.set(
            {
                "jobqueue.slurm.job-script-prologue": [],
                "jobqueue.slurm.python": sys.executable,
                "trickkit.workers": 2,
            }
        ):
            made = scale.run(tiny, on="slurm", folder=tmp_path)
        assert found(made.rows) == looped(tiny) and not made.failures
        assert len(jobs.read_text(encoding="utf-8").split()) == 2
    finally:
        for job in jobs.read_text(encoding="utf-8").split() if jobs.exists() else ():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(job), signal.SIGKILL)


def test_slurm_wants_the_memory(jobqueue, tiny, tmp_path):
    with dask.config.set({"jobqueue.slurm.memory": None}):
        with pytest.raises(ValueError, match=r"jobqueue\.yaml.*memory: \"4GB\""):
            scale.run(tiny, on="slurm", folder=tmp_path)


@pytest.mark.parametrize(
    ("walltime", "seconds"),
    [
        ("30", 30 * 60),
        ("30:30", 30 * 60 + 30),
        ("02:00:10", 7210),
        ("1-2", 26 * 3600),
        ("1-02:30", 26 * 3600 + 1800),
        ("2-00:00:05", 48 * 3600 + 5),
    ],
)
def test_slurms_times(walltime, seconds):
    assert clusters.lifetime(walltime) == seconds - clusters.SPARE


@pytest.mark.parametrize("walltime", ["", "1 hour", "1:2:3:4", "-5", "10", "UNLIMITED"])
def test_times_that_are_none_or_too_short(walltime):
    with pytest.raises(ValueError, match=r"jobqueue\.slurm\.walltime is"):
        clusters.lifetime(walltime)


# --- the report


def records_of(values: dict[str, list[float]], *, seconds: float = 1.0) -> list[dict]:
    """Records as `cells.measured_cell` makes them, a cell a seed."""
    count = max(map(len, values.values()))
    return [
        {
            "paper": "goodfellow2015",
            "settings": {},
            "seed": seed,
            "full": False,
            "key": f"{seed:032}",
            "values": {name: of[seed] for name, of in values.items() if seed < len(of)},
            "seconds": seconds + seed,
            "versions": {"torch": "2", "device": "cpu"},
        }
        for seed in range(count)
    ]


VALUES = {
    "goodfellow2015/rbf-error": [51.0, 55.5, 60.25, 49.0],
    "goodfellow2015/softmax-error": [99.9, 99.88, 99.92, 99.9],
    "goodfellow2015/l1-train-error": [7.5, 8.0, 9.25, 8.0],
    "chance: goodfellow2015/rbf-error": [90.0],
    "time to think, hours": [3.0, 4.0],
}
GRID = Grid(
    measure=nothing,
    seeds=4,
    ours="dice",
    varies="everything",
    why={"goodfellow2015/rbf-error": "they are dice"},
)


def table_of(text: str) -> pd.DataFrame:
    """A Markdown table read by other eyes."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [[part.strip() for part in line.strip("|").split(" | ")] for line in lines]
    return pd.DataFrame(rows[2:], columns=rows[0])


def test_the_table_tells_what_others_work_out(tmp_path):
    made = report.write(GRID, records_of(VALUES), failures={}, full=False, folder=tmp_path)
    table = table_of(made.table)
    assert table["what"].str.split(" ").str[0].tolist() == [
        "error",
        "training",
        "error",
        "↳",
        "time",
    ]
    # one digit more than the paper prints shows how narrow the first interval is
    for row, name, digits in ((0, "softmax-error", 2), (2, "rbf-error", 1)):
        values = VALUES[f"goodfellow2015/{name}"]
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert table.loc[row, "ours"] == (
            f"{np.mean(values):.{digits}f} % ({low:.{digits}f} to {high:.{digits}f})"
        )
        theirs = papers.reported()[f"goodfellow2015/{name}"]
        assert table.loc[row, "paper"] == f"{theirs['value']} %"
    assert table["verdict"].tolist() == ["same", "–", "unsure", "", ""]
    assert table["seeds"].tolist() == ["4", "4", "4", "1", "2"]
    assert table.loc[3, "ours"] == "90.0 %"  # one seed: no interval
    assert made.table.startswith(
        "# Goodfellow 2015: 1 of 2 numbers near the printed ones, 1 unsure"
    )
    assert made.brief.startswith(made.table[2:].partition("\n")[0])
    assert "54 % (46 to 62)" not in made.brief and table.loc[2, "ours"] in made.brief
    group = made.rows.groupby("measure")["value"].mean()
    assert group["goodfellow2015/rbf-error"] == np.mean(VALUES["goodfellow2015/rbf-error"])
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == made.table
    assert "Measured here: dice.\nFrom seed to seed: everything." in made.table


@pytest.mark.parametrize(
    ("values", "said"),
    [  # the paper has 55.4 %, and what lies between 50.94 and 59.86 is near
        ([56.0, 57.0, 56.5], "near"),
        ([56.0, 57.0, 61.0], "unsure"),  # the mean is near, an end is not
        ([60.5, 59.0, 61.5], "unsure"),  # the mean is not, an end is
        ([20.0, 90.0, 75.0], "unsure"),  # neither, but the paper's number is in between
        ([70.0, 71.0, 72.0], "differs"),
        ([56.0], "near"),
    ],
)
def test_a_verdict_minds_the_interval(values, said):
    assert papers.reported()["goodfellow2015/rbf-error"]["value"] == "55.4"
    [(line, _)] = report.lines(report.record_rows(records_of({"goodfellow2015/rbf-error": values})))
    assert line.verdict == said
    mean, allowed = np.mean(values), 4.46
    if len(values) > 1:
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (line.verdict == "near") == (55.4 - allowed <= low and high <= 55.4 + allowed)
        assert (line.verdict == "differs") == (low > 55.4 + allowed or high < 55.4 - allowed)
        assert low < mean < high


def test_a_null_stands_beneath_its_settings_and_is_told_apart():
    name = "goodfellow2015/rbf-error"
    values = {0.1: [50.0, 51.0], 0.2: [90.0, 91.0]}
    records = []
    for eps, ours in values.items():
        some = records_of({name: ours, f"chance: {name}": [89.0, 92.0]})
        records += [record | {"settings": {"eps": eps}} for record in some]
    told = report.lines(report.record_rows(records))
    assert [(line.settings, [null.settings for null in nulls]) for line, nulls in told] == [
        ({"eps": 0.1}, [{"eps": 0.1}]),
        ({"eps": 0.2}, [{"eps": 0.2}]),
    ]
    first, second = ([*report.columns(GRID, line, nulls=nulls)][-1] for line, nulls in told)
    assert "not told apart" not in first
    assert second.endswith("**not told apart from** chance")


def test_what_differs_has_its_reason():
    values = {"goodfellow2015/rbf-error": [10.0], "goodfellow2015/maxout-error": [10.0]}
    lines = report.lines(report.record_rows(records_of(values)))
    said = {line.id: [*report.columns(GRID, line)][-1] for line, _ in lines}
    assert said == {
        "goodfellow2015/rbf-error": "they are dice",
        "goodfellow2015/maxout-error": "not explained",
    }
    assert report.finding(lines) == "0 of 2 numbers near the printed ones"


def test_the_interval_is_students():
    rng = np.random.default_rng(0)
    for count in (2, 3, 10):
        values = rng.normal(size=count)
        mean, half = report.mean_and_half(values.tolist())
        low, high = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
        assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-12)
    assert report.mean_and_half([3.0]) == (3.0, None)
    assert report.mean_and_half([3.0, 3.0]) == (3.0, 0.0)


def test_nothing_but_the_rows_knows_the_clock(tmp_path):
    places = [tmp_path / "one", tmp_path / "two"]
    for seconds, place in enumerate(places):
        place.mkdir()
        records = records_of(VALUES, seconds=seconds)
        report.write(GRID, records, failures={}, full=False, folder=place)
    for name in ("table.md", "figure.png"):
        one, two = ((place / name).read_bytes() for place in places)
        assert one == two
    one, two = (pd.read_parquet(place / "rows.parquet") for place in places)
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), two.drop(columns="seconds"))
    assert not one["seconds"].equals(two["seconds"])


def test_settings_make_lines_of_their_own(tmp_path):
    records = records_of({"goodfellow2015/rbf-error": [50.0, 52.0]})
    for record in records:
        record["settings"] = {"eps": 0.1 * (record["seed"] + 1)}
    lines = report.lines(report.record_rows(records))
    assert [(line.settings, line.mean, line.seeds) for line, _ in lines] == [
        ({"eps": 0.1}, 50.0, 1),
        ({"eps": 0.2}, 52.0, 1),
    ]
    said = [[*report.columns(GRID, line)][-1] for line, _ in lines]
    assert said == ["eps = 0.1; they are dice", "eps = 0.2"]


def test_the_picture_says_what_it_shows(tmp_path):
    made = report.write(GRID, records_of(VALUES), failures={}, full=False, folder=tmp_path)
    [image] = [line for line in made.table.splitlines() if line.startswith("![")]
    assert image.endswith("](figure.png)") and "diamond" in image
    report.write(  # no number of the paper: no picture, and none from before
        *(GRID, records_of({"time to think, hours": [1.0]})),
        **dict(failures={}, full=False, folder=tmp_path),
    )
    assert not (tmp_path / "figure.png").exists()


# --- the grids themselves


@pytest.mark.parametrize("paper", scale.PAPERS)
def test_each_paper_has_a_table_that_explains_itself(paper):
    place = ROOT / "reproduced" / paper
    table, rows = (place / "table.md").read_text("utf-8"), pd.read_parquet(place / "rows.parquet")
    grid = scale.grid_of(paper)
    assert f"From seed to seed: {grid.varies}." in table and "not explained" not in table
    assert set(rows["seed"]) == set(range(grid.seeds)) and not rows["full"].any()
    settings = rows.filter(regex="^setting_").drop_duplicates()
    assert len(settings.columns) == 0 or len(settings) == len(grid.settings)


def test_the_first_grid_measures_what_the_lesson_does(monkeypatch):
    from trickkit import data
    from trickkit.papers import goodfellow2015
    from trickkit.scale.grids import goodfellow2015 as ours

    train, labels, test, classes, names = data.digits()
    few = data.Split(train[:500], labels[:500], test[:300], classes[:300], names)
    monkeypatch.setattr(data, "digits", lambda *, full: few)
    found = ours.measure(seed=3, full=False, epochs=3)
    _, lesson = goodfellow2015.experiment(few, seeds=(3,), epochs=3)
    ids = {name: value for name, value in found.items() if not name_parts(name)[0]}
    assert ids == {f"goodfellow2015/{name}": values[0] for name, values in lesson.items()}
    untrained = ours.measure(seed=3, full=False, epochs=0)
    assert {name_parts(name)[0] for name in untrained} == {"untrained"}
    assert untrained["untrained: goodfellow2015/rbf-error"] > 50
    tossed = found["coin tosses of ±ε: goodfellow2015/maxout-error"]
    assert tossed < found["goodfellow2015/maxout-error"] / 2
