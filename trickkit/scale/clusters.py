"""Where cells are measured: Dask's workers here, at an address, under Slurm or on Kubernetes."""

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psutil

from trickkit.common import unknown

if TYPE_CHECKING:
    from distributed import Client
    from distributed.deploy.cluster import Cluster

PLACES = ("local", "slurm", "kubernetes")  # or the address of a scheduler
# None unsets what Dask's nanny would set, which keeps glibc from finding its own thresholds: memory
# would go back to the system after every batch, and half as much time again be lost.
ENVIRON = {"OMP_NUM_THREADS": "1", "MALLOC_TRIM_THRESHOLD_": None}
# A lost worker is charged to the cell that ran on it; with more charges than these the cell counts
# as what kills its workers. Nobody takes a laptop's worker away; nodes are often taken away.
ALLOWED_FAILURES = {"local": 3, "slurm": 10, "kubernetes": 10}
WORKER_MEMORY = 2 * 2**30  # bytes for a local worker: torch, a data set, a training
# no page for browsers; what is served in its place, for programs, is for this machine's alone
NO_PAGE = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
SPARE = 600  # seconds before a job's end in which its workers take no more cells


def is_address(on: str) -> bool:
    """Whether a place is the address of a scheduler: tcp://…, tls://…, ws://…"""
    return "://" in on


def validate_place(on: str) -> None:
    """Raise ValueError for a place that is none, ImportError where its libraries are missing."""
    if on not in PLACES and not is_address(on):
        raise unknown("place to measure", on, (*PLACES, "tcp://HOST:PORT"))
    wanted = {"slurm": "dask_jobqueue", "kubernetes": "dask_kubernetes"}
    for library in ("distributed", "pyarrow", *filter(None, [wanted.get(on)])):
        if not importlib.util.find_spec(library):
            how = "dask-kubernetes" if on == "kubernetes" else "'trickkit[scale]'"
            raise ImportError(f"{library} is not installed: pip install {how}")


@contextlib.contextmanager
def connected(on: str, *, cells: int) -> Iterator["Client"]:
    """A client of the workers in a place; those that it started end with it.

    on: one of `PLACES`, or the address of a scheduler.
    cells: how many there are to measure; no more workers are asked for.
    Raises ConnectionError where no scheduler answers, or the one that did goes away; ValueError
        where Slurm's settings are not there.
    """
    import dask
    from distributed import CancelledError, Client

    if is_address(on):
        try:
            client = Client(on)
        except OSError as error:
            raise ConnectionError(
                f"No scheduler answers at {on}. Start one there, `dask scheduler`, and workers:"
                " `dask worker ADDRESS --nworkers 4 --nthreads 1`."
            ) from error
        with client:
            try:
                yield client
            except (CancelledError, OSError) as error:
                if getattr(error, "errno", None):  # the system's, such as of a full disk
                    raise
                raise ConnectionError(
                    f"The scheduler at {on} has gone away. What was measured is kept; the same call"
                    " goes on from there."
                ) from error
        return
    settings = {
        "distributed.nanny.pre-spawn-environ": ENVIRON,
        "distributed.scheduler.allowed-failures": ALLOWED_FAILURES[on],
        # no cell waits at a worker behind another, to be charged with its death
        "distributed.scheduler.worker-saturation": 1.0,
    }
    start = {"local": local_cluster, "slurm": slurm_cluster, "kubernetes": kubernetes_cluster}[on]
    before = {*os.environ}
    try:
        with dask.config.set(settings), start(cells=cells) as cluster, Client(cluster) as client:
            yield client
    finally:  # Dask sets them here for its workers, and whatever is started later would have them
        for name in {*os.environ} - before:
            del os.environ[name]


def local_cluster(*, cells: int) -> "Cluster":
    """A worker a core of this machine, as far as its memory goes; nobody else can talk to them."""
    from dask.system import CPU_COUNT
    from distributed import LocalCluster

    room = psutil.virtual_memory().total // WORKER_MEMORY
    return LocalCluster(
        n_workers=max(1, min(CPU_COUNT, room, cells)),
        threads_per_worker=1,
        memory_limit=None,  # a cell that needs more than its share may have it
        host="127.0.0.1",
        dashboard_address=NO_PAGE["dashboard_address"],
        scheduler_kwargs={"dashboard": False},
        security=True,  # others on this machine could have code run otherwise
        silence_logs=logging.CRITICAL,  # what befalls a cell is told by its name
    )


def slurm_cluster(*, cells: int) -> "Cluster":
    """Jobs of one worker on one core, which start wherever a core is free, come and go with the
    cells, and are replaced where they end before them.

    Memory, queue, walltime and all else of a job stand in Dask's own settings, under
    jobqueue.slurm in ~/.config/dask/jobqueue.yaml; of a job described there with several cores one
    core's share is asked for.

    Raises ValueError where the memory is missing there.
    """
    import dask
    from dask.utils import parse_bytes
    from dask_jobqueue import SLURMCluster

    said = dask.config.get("jobqueue.slurm")
    if not said["memory"]:
        raise ValueError(
            "Dask does not know how much memory a job has. Write it into"
            ' ~/.config/dask/jobqueue.yaml, under jobqueue: slurm: as memory: "4GB".'
        )
    cluster = SLURMCluster(
        cores=1,
        processes=1,
        memory=f"{parse_bytes(said['memory']) // (said['cores'] or 1)} B",
        shared_temp_directory=said["shared-temp-directory"] or "~",
        security=True,  # others on the network could have code run otherwise
        scheduler_options={**NO_PAGE, **said["scheduler-options"]},
        # a worker that leaves by itself hands its work on, and is not charged to a cell
        worker_extra_args=[
            *said["worker-extra-args"],
            *("--lifetime", f"{lifetime(said['walltime'])}s", "--lifetime-stagger", "60s"),
        ],
        job_script_prologue=[
            *said["job-script-prologue"],
            f'export DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON="{ENVIRON}"',
        ],
    )
    return adapted(cluster, cells=cells)


def adapted(cluster: "Cluster", *, cells: int) -> "Cluster":
    """The cluster with a worker a cell, as long as there are cells, but with no more than Dask's
    settings say under trickkit.workers; 64 without.
    """
    import dask

    most = dask.config.get("trickkit.workers", 64)
    # half a second is what Dask takes an unknown cell to last
    cluster.adapt(minimum=0, maximum=min(cells, most), target_duration="500ms")
    return cluster


def lifetime(walltime: str) -> int:
    """The seconds for which a worker takes cells in a job of this length.

    walltime: as Slurm has it: minutes, minutes:seconds, hours:minutes:seconds, or with days-
        before hours, hours:minutes or all three.
    Raises ValueError for anything else, and for a job too short for a cell.
    """
    days, _, time = walltime.rpartition("-")
    try:
        parts = [int(part) for part in time.split(":")]
        if days:  # days-hours[:minutes[:seconds]]
            parts = [int(days) * 24 + parts[0], *parts[1:], 0, 0][:3]
        else:
            parts = {1: [0, *parts, 0], 2: [0, *parts], 3: parts}[len(parts)]
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"jobqueue.slurm.walltime is {walltime!r}; a time such as 01:30:00 or 2-00:00:00 is"
            " wanted."
        ) from error
    seconds = parts[0] * 3600 + parts[1] * 60 + parts[2]
    if seconds < 2 * SPARE:
        raise ValueError(
            f"jobqueue.slurm.walltime is {walltime!r}; {2 * SPARE // 60} minutes at least are"
            " wanted."
        )
    return seconds - SPARE


def kubernetes_cluster(*, cells: int) -> "Cluster":
    """Pods of a one-core worker, which come and go with the cells.

    Their image, which must hold this course, and all else stand in Dask's own settings, under
    kubernetes in ~/.config/dask/kubernetes.yaml.
    """
    from dask_kubernetes.operator import KubeCluster

    cluster = KubeCluster(
        worker_command=["dask", "worker", "--nthreads", "1"],
        env={"DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON": str(ENVIRON)},
    )
    return adapted(cluster, cells=cells)
