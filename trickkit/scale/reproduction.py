"""A paper's grid measured cell by cell, wherever there are processors."""

import importlib
import itertools
import os
import pathlib
import pkgutil
import threading
import traceback
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

import trickkit
from trickkit.common import printable, progress_bar, unknown, validate_count, validate_flag
from trickkit.folders import own_folder
from trickkit.scale import clusters, grids
from trickkit.scale.cells import (
    Cell,
    cells_of,
    fingerprint,
    key_of,
    measured_cell,
    read_record,
    write_record,
)
from trickkit.scale.grid import Grid

if TYPE_CHECKING:
    from distributed import Client

    from trickkit.scale.report import Reproduction

PAPERS = tuple(sorted(module.name for module in pkgutil.iter_modules(grids.__path__)))
IN_FLIGHT = 1_000  # cells that the scheduler knows of at a time
RETRIES = 1  # of a cell that raises: a full disk may pass, the rest fails as before
_one_at_a_time = threading.Lock()


def grid_of(paper: str) -> Grid:
    """The grid of a paper, by its name.

    Raises ValueError for one that has none.
    """
    if paper not in PAPERS:
        raise unknown("paper with a grid", paper, PAPERS)
    return importlib.import_module(f"{grids.__name__}.{paper}").GRID


def run(
    paper: str | Grid,
    *,
    on: str = "local",
    seeds: int | None = None,
    full: bool = False,
    folder: str | os.PathLike | None = None,
) -> "Reproduction":
    """Measure a paper's grid, and write what came out: table.md, rows.parquet and figure.png.

    Each cell is kept in a file as soon as it is measured, so that the same call goes on where one
    was interrupted. A cell that fails does not stop the others.

    paper: one of `PAPERS`, or a grid of your own.
    on: "local", for this machine's processors; the address of a Dask scheduler, "tcp://…";
        "slurm" or "kubernetes", as Dask's settings describe them (`clusters`).
    seeds: how many; None for the grid's own number.
    full: measure on the complete data set, which is downloaded once.
    folder: gets a folder for the paper; None for reproduced/ in the learner's own folder.
    Raises ValueError for an unknown paper or place, and for workers that would count otherwise;
        ImportError without the extra [scale]; FileNotFoundError where the complete data cannot be
        had; ConnectionError where the scheduler does not answer or goes away.
    """
    grid = paper if isinstance(paper, Grid) else grid_of(paper)
    seeds = grid.seeds if seeds is None else seeds
    validate_count(seeds=seeds)
    validate_flag(full=full)
    clusters.validate_place(on)
    if full:
        if grid.complete is None:
            raise ValueError(f"{grid.paper} has no larger data set: leave out full.")
        grid.complete(full=True)  # once, before many workers would fetch it at a time
    from trickkit.scale import report

    place = pathlib.Path(folder or own_folder() / "reproduced") / grid.paper
    (place / "cells").mkdir(parents=True, exist_ok=True)
    cells = {key_of(cell): cell for cell in cells_of(grid, seeds=seeds, full=full)}
    found = {key: read_record(key, place / "cells") for key in cells}
    records = {key: record for key, record in found.items() if record}
    todo = {key: cell for key, cell in cells.items() if key not in records}
    failures = {}
    print(printable(f"{grid.paper}: {len(records)} of {len(cells)} cells are measured already."))
    if todo:
        with clusters.connected(on, cells=len(todo)) as client:
            validate_workers(client, todo)
            for key, outcome in progress_bar(completed(client, todo), grid.paper, total=len(todo)):
                if isinstance(outcome, str):
                    failures[str(cells[key])] = outcome
                    last = outcome.strip().splitlines()[-1]
                    tqdm.write(printable(f"{cells[key]} failed: {last}"))
                else:
                    write_record(outcome, place / "cells")
                    records[key] = outcome
    return report.write(
        grid,
        [records[key] for key in cells if key in records],
        failures=failures,
        full=full,
        folder=place,
    )


def measured_here(cell: Cell, key: str) -> dict[str, Any]:
    """Measure a cell on a worker, one at a time in a process, for they share torch's dice.

    Raises ValueError where the worker would count otherwise than the client does.
    """
    if key_of(cell) != key:
        raise ValueError(
            "This worker has other code, data or libraries than the client: its trickkit is"
            f" {trickkit.__version__}, its fingerprint {fingerprint(cell.measure.__module__)}."
        )
    os.environ["TQDM_DISABLE"] = "1"  # no bars in the worker's log
    with _one_at_a_time:
        return measured_cell(cell)


def completed(
    client: "Client", todo: Mapping[str, Cell]
) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """The cells as they are done: each one's key with its record, or with the traceback of what it
    failed with.
    """
    from distributed import as_completed

    ahead = iter(todo.items())

    def submitted(count: int) -> list:
        return [
            client.submit(measured_here, cell, key, key=key, retries=RETRIES, pure=False)
            for key, cell in itertools.islice(ahead, count)
        ]

    running = as_completed(submitted(IN_FLIGHT))
    for future in running:
        if future.status == "error":
            error, trace = future.exception(), future.traceback()
            yield future.key, "".join(traceback.format_exception(type(error), error, trace))
        else:
            yield future.key, future.result()
        running.update(submitted(1))


def _told(module: str) -> dict[str, str]:
    """What a worker must have in common with the client."""
    return {"trickkit": trickkit.__version__, **fingerprint(module)}


def validate_workers(client: "Client", todo: Mapping[str, Cell]) -> None:
    """Say what keeps the workers that are there from measuring as they might.

    Raises ValueError where one has other code, data or libraries than the client.
    """
    start = "`dask worker ADDRESS --nworkers 4 --nthreads 1`"
    threads = client.ncores()
    if not threads:
        print(printable(f"No worker is there yet; the cells wait for one: {start}."))
    elif max(threads.values()) > 1:
        print(printable(f"A worker uses one of its threads alone. Start it as {start}."))
    module = next(iter(todo.values())).measure.__module__
    ours = _told(module)
    for address, theirs in client.run(_told, module, on_error="return").items():
        if isinstance(theirs, Exception):
            raise ValueError(
                f"The worker at {address} cannot measure this grid: {theirs}. Install the same"
                " course there."
            ) from theirs
        differ = [
            f"{name} {theirs[name][:12]}, ours {value[:12]}"
            for name, value in ours.items()
            if theirs[name] != value
        ]
        if differ:
            raise ValueError(
                f"The worker at {address} has another {'; another '.join(differ)}. Install the"
                " same course there, and start its workers anew."
            )
