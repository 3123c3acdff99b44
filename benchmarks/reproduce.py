"""Papers at scale, beside other ways to do the same: python benchmarks/reproduce.py [trainings]
[growth] [changes] [--tiny]

The same 24 trainings by a plain loop, by joblib, by `scale.run`, and with the environment that Dask
ships; what a cell costs beyond its own length, up to 10,000 of them; and a worker that joins in the
middle, and one that leaves, at a scheduler of their own. Rows alike are so to the last bit.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import dask
import reproduce  # this file, by the name by which workers import it
from dask.system import CPU_COUNT
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from side_by_side import chosen, in_turns, sized, table

from trickkit import scale
from trickkit.scale import clusters
from trickkit.scale.cells import cells_of, measured_cell
from trickkit.scale.grid import Grid, axes
from trickkit.scale.grids import goodfellow2015

DEADLINE = 900  # seconds till the workers that change must be done
TRAININGS = sized(24, 3)
GRID = Grid(
    measure=goodfellow2015.measure,
    settings=axes(epochs=(sized(4, 0),)),  # of eleven networks
    seeds=TRAININGS,
    ours="4,000 digits to learn",
    varies="the networks",
)


def waited(*, seed: int, full: bool, ms: int) -> dict[str, float]:
    """A cell of a known length."""
    time.sleep(ms / 1000)
    return {"waited, ms": float(ms)}


def measured(grid: Grid, **options) -> set[tuple]:
    """The rows of a grid by `scale.run`: seed, measure and value."""
    with contextlib.redirect_stdout(None), tempfile.TemporaryDirectory() as folder:
        found = scale.run(grid, **{"folder": folder, **options})
    if found.failures:
        raise RuntimeError(next(iter(found.failures.values())))
    return {*zip(found.rows["seed"], found.rows["measure"], found.rows["value"], strict=True)}


def rows_of(records: list[dict]) -> set[tuple]:
    """The same of records."""
    return {(r["seed"], name, value) for r in records for name, value in r["values"].items()}


def by_loop() -> set[tuple]:
    return rows_of([measured_cell(cell) for cell in cells_of(GRID, seeds=TRAININGS, full=False)])


def by_joblib() -> set[tuple]:
    cells = cells_of(GRID, seeds=TRAININGS, full=False)
    records = Parallel(n_jobs=CPU_COUNT)(delayed(measured_cell)(cell) for cell in cells)
    get_reusable_executor().shutdown()  # the next turn starts its processes anew, as ours does
    return rows_of(records)


def by_us() -> set[tuple]:
    return measured(GRID)


def by_us_as_dask_ships_it() -> set[tuple]:
    shipped = dask.config.get("distributed.nanny.pre-spawn-environ")
    with mock.patch.object(clusters, "ENVIRON", shipped):
        return measured(GRID)


def with_processor_seconds(job):
    """The job, which then returns the processor's seconds, too: ours and those of what we ended."""

    def timed():
        before = sum(os.times()[:4])
        rows = job()
        return rows, sum(os.times()[:4]) - before

    return timed


def trainings() -> None:
    """The same trainings in four ways."""
    ways = {
        "joblib": by_joblib,
        "ours": by_us,
        "ours, as Dask ships it": by_us_as_dask_ships_it,
        "a plain loop": by_loop,
    }
    timed = in_turns(
        {name: with_processor_seconds(way) for name, way in ways.items()}, turns=sized(2, 1)
    )
    alike, _ = timed["a plain loop"].result
    table(
        f"{TRAININGS} cells of eleven trainings; processors: {CPU_COUNT}; rows: {len(alike)}",
        {
            name: {
                "seconds": t.seconds,
                "× joblib": t.seconds / timed["joblib"].seconds,
                "processor seconds": t.result[1],
                "rows alike": len(t.result[0] & alike),
            }
            for name, t in timed.items()
        },
    )


def growth() -> None:
    """What is spent beside the cells, as they become more."""
    for ms in sized((0, 10), (10,)):
        grid = Grid(
            measure=reproduce.waited,
            settings=axes(ms=(ms,)),
            seeds=1,
            ours="nothing",
            varies="nothing",
        )
        rows = {}
        for count in sized((100, 1_000, 10_000), (4,)):
            name = f"{count:,}"
            job = {name: lambda grid=grid, count=count: measured(grid, seeds=count)}
            timed = in_turns(job, turns=1)[name]
            ideal = count * ms / 1000 / CPU_COUNT
            rows[name] = {
                "seconds": timed.seconds,
                "ideal": ideal,
                "ms a cell beyond it": 1000 * (timed.seconds - ideal) / count,
                "added MiB": timed.mib,
                "rows": len(timed.result),
            }
        table(f"Cells of {ms} ms, start and report included; processors: {CPU_COUNT}", rows)


@contextlib.contextmanager
def dask_process(kind: str, *words: str | pathlib.Path) -> Iterator[subprocess.Popen]:
    """A scheduler, or a worker, which is asked to leave in the end."""
    with subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *words],
        env={**os.environ, "DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON": str(clusters.ENVIRON)},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def changes() -> None:
    """One worker, a second that joins, and the first leaves."""
    end = time.monotonic() + DEADLINE
    joins, leaves = TRAININGS // 3, 2 * TRAININGS // 3  # once so many cells are done

    def wait(over: Callable[[], bool]) -> float:
        while not over():
            if time.monotonic() > end:
                raise TimeoutError(f"Not done after {DEADLINE} seconds.")
            time.sleep(0.05)
        return time.monotonic()

    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pool = stack.enter_context(ThreadPoolExecutor(1))  # ends once its scheduler has gone
        told = folder / "scheduler.json"

        def started(kind: str, *words: str) -> subprocess.Popen:
            return stack.enter_context(dask_process(kind, "--scheduler-file", str(told), *words))

        def worker() -> subprocess.Popen:
            return started("worker", "--nthreads", "1", "--local-directory", str(folder))

        def kept(count: int) -> Callable[[], bool]:
            return lambda: run.done() or len([*folder.glob("*/cells/*.json")]) >= count

        started("scheduler", "--host", "127.0.0.1", "--port", "0")
        first = worker()
        wait(lambda: told.exists() and told.read_text(encoding="utf-8").endswith("}"))  # whole
        address = json.loads(told.read_text(encoding="utf-8"))["address"]
        times = [time.monotonic()]
        run = pool.submit(measured, GRID, on=address, folder=folder)
        times.append(wait(kept(joins)))
        worker()
        times.append(wait(kept(leaves)))
        first.terminate()
        times.append(wait(run.done))
        rows = run.result()
    alike = by_loop()
    cells = (joins, leaves - joins, TRAININGS - leaves)
    names = ("one worker", "then a second joins", "then the first leaves")
    steps = {
        name: {"cells": count, "seconds": after - before}
        for name, count, before, after in zip(names, cells, times, times[1:], strict=False)
    }
    table(
        f"Workers that come and go; rows: {len(alike)}",
        {
            "all": {
                "cells": TRAININGS,
                "seconds": times[-1] - times[0],
                "rows alike": len(rows & alike),
            }
        }
        | steps,
    )


def main() -> None:
    parts = {"trainings": trainings, "growth": growth, "changes": changes}
    with (
        tempfile.TemporaryDirectory() as folder,
        dask.config.set({"temporary-directory": folder}),
    ):
        for part in chosen(parts).values():
            part()


if __name__ == "__main__":
    main()
