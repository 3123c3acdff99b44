"""What each lesson costs from a fresh kernel, and which of its cells most: python
benchmarks/bench_lessons.py [00_start_here 08_saliency …] [--tiny]

Processor seconds are those of all threads; memory is the kernel's own, PyTorch included.
"""

import os
import pathlib
import tempfile
import threading

import nbformat
import psutil
from nbclient import NotebookClient
from side_by_side import chosen, sized, table

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Meter:
    """What a kernel has used since it was last read: processor seconds, and the most memory."""

    def __init__(self, kernel: psutil.Process):
        self.kernel = kernel
        self.most = 0
        self.over = threading.Event()
        self.before = self.seconds()
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def seconds(self):
        spent = self.kernel.cpu_times()
        return spent.user + spent.system

    def watch(self):
        while not self.over.wait(0.01) and self.kernel.is_running():
            self.most = max(self.most, self.kernel.memory_info().rss)

    def read(self):
        now = self.seconds()
        spent, most = now - self.before, max(self.most, self.kernel.memory_info().rss)
        self.before, self.most = now, 0
        return spent, most / 2**20


def run(book):
    """A row (seconds, MiB) for each cell of code, by its place."""
    client = NotebookClient(
        book, timeout=600, kernel_name="python3", extra_arguments=["--log-level=ERROR"]
    )
    rows = {}
    with client.setup_kernel(cwd=tempfile.gettempdir()):
        kernel = psutil.Process(client.km.provisioner.pid)
        meter = Meter(kernel)
        for place, cell in enumerate(book.cells):
            if cell.cell_type == "code":
                client.execute_cell(cell, place)
                rows[place] = meter.read()
        meter.over.set()
        meter.watcher.join()
    return rows


def measured(rows):
    """A lesson's row: what all cells cost, and which of them is dearest, and which takes most."""
    seconds, memory = ({n: row[k] for n, row in rows.items()} for k in (0, 1))
    dearest, largest = (max(column, key=column.get) for column in (seconds, memory))
    return {
        "CPU seconds": sum(seconds.values()),
        "dearest cell": dearest,
        "its seconds": seconds[dearest],
        "peak MiB": memory[largest],
        "reached in cell": largest,
    }


TINY = nbformat.v4.new_notebook(
    cells=[nbformat.v4.new_code_cell(code) for code in ("x = bytes(10**7)", "sum(range(10**6))")],
)


def main():
    os.environ["TRICKKIT_PROGRESS"] = ""  # no learner's progress touched
    files = {file.stem: file for file in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    rows = {}
    for name, file in sized(chosen(files), {"tiny": None}).items():
        book = nbformat.read(file, as_version=4) if file else TINY
        rows[name] = measured(run(book))
    table("What a lesson costs", rows)


if __name__ == "__main__":
    main()
