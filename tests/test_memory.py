"""What a cell has freed goes back to the system."""

import subprocess
import sys
import types

import pytest

from trickkit import _memory

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps what was freed")


class Events:
    def __init__(self):
        self.after = []

    def register(self, event, callback):
        assert event == "post_run_cell"
        self.after.append(callback)


def shell(monkeypatch, **parts):
    found = types.SimpleNamespace(events=Events(), **parts)
    module = types.SimpleNamespace(get_ipython=lambda: found)
    monkeypatch.setitem(sys.modules, "IPython", module)
    return found


@LINUX
def test_a_kernel_gives_back_after_each_cell(monkeypatch):
    kernel = shell(monkeypatch, kernel=object())
    _memory.give_back_after_cells()
    assert kernel.events.after == [_memory.give_back]


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_nothing_is_asked_of_other_systems_and_of_a_terminal(monkeypatch, system):
    terminal = shell(monkeypatch)
    _memory.give_back_after_cells()
    monkeypatch.setattr(sys, "platform", system)
    kernel = shell(monkeypatch, kernel=object())
    _memory.give_back_after_cells()
    monkeypatch.delitem(sys.modules, "IPython")
    _memory.give_back_after_cells()
    assert terminal.events.after == kernel.events.after == []


def test_another_c_library_is_left_alone(monkeypatch):
    def another(_):
        raise OSError("no such file")

    monkeypatch.setattr(_memory.ctypes, "CDLL", another)
    _memory.give_back()


@LINUX
def test_what_is_given_back_is_the_systems(tmp_path):
    code = """
import psutil
from trickkit import _memory
blocks = [bytes(50_000) for _ in range(4_000)]
last = bytes(50_000)  # lies above them, so that without being asked glibc could give back nothing
del blocks
memory = psutil.Process().memory_info
before = memory().rss
_memory.give_back()
print((before - memory().rss) / 2**20)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert float(told.stdout) > 100
