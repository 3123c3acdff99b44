"""What a learner's programs may take in a room, and the sentence for a cell that asked for more.

Only the standard library is imported on top, for the launcher reads this file without the rest. As
an extension of IPython (`--ext trickkit.course.room.limits`) it brings the sentence to a kernel.
"""

import errno
import resource
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

GB = 10**9
FIRST_UID = 20_000  # from here on a Unix user is one learner, and nobody else
# Above the limit, for what is done after it was met: a traceback takes a few MB.
RESERVE = 100_000_000
# A server and two kernels have about fifty threads, a kernel thirty of them with two workers that
# load data; a fork bomb has as many as it gets.
PROCESSES = 512
# The largest download of the course, CIFAR-10, has 170 MB; a loop may print without end.
LONGEST_FILE = 2 * GB


def apply(*, memory: float, own_user: bool = False) -> None:
    """Limit this process, and all that it will start, for good.

    Memory is what Linux calls data: whatever a process has of its own and may write to, used or
    not. Each process has that limit for itself. Nothing writes a core dump.

    memory: of each process, in GB of 10⁹ bytes.
    own_user: whether the Unix user is this learner alone; then threads and processes are limited,
        too, which are counted by user.
    Raises ValueError unless memory is above 0.
    """
    if not memory > 0:
        raise ValueError(f"memory is {memory!r}; a number of GB above 0 is wanted.")
    wanted = {
        resource.RLIMIT_DATA: (int(memory * GB), int(memory * GB) + RESERVE),
        resource.RLIMIT_FSIZE: (LONGEST_FILE, LONGEST_FILE),
        resource.RLIMIT_CORE: (0, 0),
    }
    if own_user:
        wanted[resource.RLIMIT_NPROC] = (PROCESSES, PROCESSES)
    for kind, (soft, hard) in wanted.items():
        highest = resource.getrlimit(kind)[1]
        if highest != resource.RLIM_INFINITY:  # which nobody but root may raise
            excess = max(0, hard - highest)
            soft, hard = soft - excess, hard - excess
        resource.setrlimit(kind, (soft, hard))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those it came of."""
    seen: set[int] = set()
    while error and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def ran_out(error: BaseException) -> bool:
    """Whether an error, or one that it came of, says that there was no memory to be had.

    Python and NumPy have a MemoryError for that, torch a RuntimeError, the system's calls an
    OSError.
    """
    return any(
        isinstance(one, MemoryError)
        or isinstance(one, RuntimeError)
        and "allocate memory" in str(one)
        or isinstance(one, OSError)
        and one.errno == errno.ENOMEM
        for one in _chain(error)
    )


def _explain(
    shell: "InteractiveShell",
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    """Show an error as IPython does; below one of memory, say what the room gives."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    short = ran_out(error)
    if short:  # the traceback wants some, and so does `del`; other threads end a kernel without any
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset, running_compiled_code=True)
    if short:
        print(
            # JupyterLab would break a long line within a word
            f"This room gives a kernel {(hard - RESERVE) / GB:g} GB of memory, and the cell asked"
            " for more.\nYour variables are still there. Ask for less at a time, delete what you"
            " no longer need\n(del name), or restart the kernel: Kernel → Restart Kernel….",
            file=sys.stderr,
        )
        for one in _chain(error):  # what the functions that failed held would stay with the trace
            traceback.clear_frames(one.__traceback__)


def _close_reserve(_: object) -> None:
    """Have the limit be where it was, once less than that is taken."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    with open("/proc/self/statm", encoding="ascii") as numbers:
        taken = int(numbers.read().split()[5]) * resource.getpagesize()
    if taken < hard - RESERVE:
        resource.setrlimit(resource.RLIMIT_DATA, (hard - RESERVE, hard))


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Bring a kernel the sentence, and have it give back what a cell has freed."""
    import trickkit

    shell.set_custom_exc((Exception,), _explain)
    trickkit.give_back_after_cells()
    shell.events.register("post_run_cell", _close_reserve)
