"""What a cell has freed goes back to the system when the cell is done.

glibc keeps it for what may come: after lesson 12 half a gigabyte, for which another learner on the
same server has to wait. macOS and Windows give it back by themselves.
"""

import ctypes
import sys


def give_back(_: object = None) -> None:
    """Give the memory that is free back to the system, where glibc holds it."""
    try:
        trim = ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):  # another C library
        return
    trim(0)


def give_back_after_cells() -> None:
    """Do so after each cell, where there are cells, on Linux."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell and hasattr(shell, "kernel") and sys.platform == "linux":
        shell.events.register("post_run_cell", give_back)
