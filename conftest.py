"""For every test run, the notebooks' included: no bars, no learner's progress touched, one thread a
worker, a line a lesson."""

import os
import time

import pictures
import pytest

os.environ.update(TQDM_DISABLE="1", TRICKKIT_PROGRESS="")  # kernels inherit these
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collectstart(collector):
    if hasattr(
        collector, "skip_compare"
    ):  # nbval's: a film, and a picture's HTML twin, hold bytes; alt text is compared
        collector.skip_compare += ("text/html", "image/gif", "image/webp")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """A lesson's cell has to draw what its stored picture shows, which nbval does not compare."""
    result = yield
    if hasattr(item, "test_outputs") and item.cell.execution_count is not None:
        stored, fresh = item.cell.outputs, item.test_outputs
        if found := pictures.stale(stored, fresh, exempt=not item.options["check"]):
            lesson = item.path.stem
            item.raise_cell_error(
                f"{lesson}, {item.cell.get('id')}: the stored picture is not what this cell draws"
                f" ({found}). Run `make lessons LESSON={lesson[:2]}`, and look at it."
            )
    return result


def pytest_collection_modifyitems(items):
    """What takes longest comes first, so that no worker waits for another at the end."""
    items.sort(key=lambda item: "test_studio_page" not in item.nodeid)


LEFT, STARTED, FAILED = {}, {}, {}


def pytest_xdist_node_collection_finished(node, ids):
    if not LEFT:
        for name in ids:
            LEFT[name.partition("::")[0]] = LEFT.get(name.partition("::")[0], 0) + 1


def pytest_collection_finish(session):
    for item in session.items:
        name = item.nodeid.partition("::")[0]
        LEFT[name] = LEFT.get(name, 0) + 1


def pytest_runtest_logstart(nodeid, location):
    file = nodeid.partition("::")[0]
    STARTED.setdefault(file, (time.monotonic(), LEFT.get(file, 0)))


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    """One line when a file is through: name, cells or tests, seconds."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        return
    file = report.nodeid.partition("::")[0]
    FAILED[file] = FAILED.get(file, 0) + report.failed
    if report.when == "teardown" and file in LEFT:
        LEFT[file] -= 1
        if LEFT[file] == 0:
            start, count = STARTED[file]
            state = f"{FAILED[file]} FAILED" if FAILED[file] else "passed"
            print(
                f"\n{file:<44} {count:>3} {'cells' if file.endswith('.ipynb') else 'tests'}"
                f" {state}, {time.monotonic() - start:5.1f} s",
                flush=True,
            )
