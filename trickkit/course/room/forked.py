"""Forks a kernel for each that asks, from one process that has imported all that a lesson wants:
`python -m trickkit.course.room.forked SOCKET MEMORY [MODULE …]`

What was imported is shared by all kernels until one writes to it. The process holds no secret, for
each learner can read all that their kernel has inherited; `kernels.start` gives it an environment
of its own. Who asks is told by the system, not by the message, and the message is read only by the
child that has become that user.
"""

import contextlib
import ctypes
import fcntl
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Sequence

from trickkit.course.room.limits import FIRST_UID, apply

# These come first, for tqdm, which torch imports, asks as it is imported whether a kernel is about.
KERNEL = ("ipykernel.kernelapp", "ipykernel.zmqshell", "ipykernel.debugger")
LESSON_IMPORTS = (
    "torch",
    "torchvision",
    "timm",
    "matplotlib.pyplot",
    "pandas",
    "scipy.stats",
    "sklearn.compose",
    "sklearn.dummy",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "sklearn.tree",
    "skimage",
    "ipywidgets",
    "anywidget",
)
MOST_FORKED = 8  # kernels of one learner: their server allows fewer, but can be asked around
PR_SET_DUMPABLE = 4


def preload(modules: Sequence[str]) -> None:
    """Import what kernels will want, and have it lie still in memory.

    modules: their names; none for all that the lessons import, and EfficientNet.
    Raises SystemExit, with status 0, where torch sees a GPU, for CUDA does not survive a fork.
    """
    for name in (*KERNEL, *(modules or LESSON_IMPORTS)):
        importlib.import_module(name)
    if not modules:
        import torch

        import trickkit
        from trickkit import contract

        # CUDA itself would begin as it is asked, and no child could use it; NVML knows, too
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
        if torch.cuda.is_available():
            print("There is a GPU, which no fork survives: kernels are plain here.", flush=True)
            sys.exit()
        for name in trickkit.MODULES:
            importlib.import_module(f"trickkit.{name}")
        trickkit.models.imagenet()
        # All are in the same cell at once: a photograph at a time takes 0.2 GB less than four.
        contract.PIXELS_AT_ONCE = 224 * 224
    gc.collect()
    gc.freeze()  # else the collector writes into each object, and so copies the page it is on


def _refusal(uid: int, kernels: int) -> str:
    """Why a user gets no forked kernel; nothing where they do."""
    if os.getuid() == 0 and uid < FIRST_UID:
        return f"user {uid} is no learner"
    if os.getuid() != 0 and uid != os.getuid():
        return f"user {uid} is another one than {os.getuid()}"
    if os.getuid() == 0 and kernels >= MOST_FORKED:
        return f"user {uid} has {kernels} already"
    if (threads := len(os.listdir("/proc/self/task"))) != 1:
        return f"{threads} threads run, of which a fork would take along one"
    return ""


def fork_for_each(listener: socket.socket) -> socket.socket:
    """Fork for each that asks and may, and tell them how their kernel ended.

    Returns, in a forked process that is the asking user's, the connection with them. Returns never
    in this one, which ends with the process that started it.
    """
    parent = os.pidfd_open(os.getppid())
    children: dict[int, tuple[int, int, socket.socket]] = {}  # by a descriptor that tells the end
    any_of = select.poll()
    any_of.register(parent, select.POLLIN)
    any_of.register(listener, select.POLLIN)
    while True:
        for ready, _ in any_of.poll():
            if ready == parent:
                os._exit(0)  # all at once: nothing here wants to be put away
            if ready in children:
                pid, _, connection = children.pop(ready)
                any_of.unregister(ready)
                os.close(ready)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)  # what it has started and left behind
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(OSError), connection:  # the launcher may be gone
                    connection.send(bytes([status if status >= 0 else 128 - status]))
                continue
            connection, _ = listener.accept()
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            _, uid, gid = struct.unpack("3i", peer)
            why = _refusal(uid, sum(owner == uid for _, owner, _ in children.values()))
            if why:
                print(f"No kernel is forked, for {why}.", file=sys.stderr, flush=True)
                connection.close()
                continue
            pid = os.fork()
            if pid:
                end = os.pidfd_open(pid)
                children[end] = pid, uid, connection
                any_of.register(end, select.POLLIN)
                continue
            if os.getuid() == 0:
                os.setgroups([])
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
            listener.close()
            os.close(parent)
            for end, (_, _, other) in children.items():
                os.close(end)
                other.close()
            return connection


def _fasten(connection: socket.socket) -> None:
    """Have the system kill this process and its group when the other end is closed.

    A thread that waits for it would have to wait for the GIL, too, which a long call may hold.
    """
    fcntl.fcntl(connection, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(connection, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)


def become_kernel(connection: socket.socket, *, memory: float, own_user: bool) -> None:
    """Be a kernel such as the one who asks would have started, and end as it ends.

    connection: with a launcher, as `launcher.ask` makes it.
    memory, own_user: as in `limits.apply`.
    """
    os.setsid()
    apply(memory=memory, own_user=own_user)
    # Becoming another user has hidden /proc/self from them, as if there were something to hide.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    message, descriptors, _, _ = socket.recv_fds(connection, 2**16, 3)
    while not message.endswith(b"\0\0"):
        more = connection.recv(2**16)
        if not more:
            sys.exit("The launcher has ended before it had said what it wants.")
        message += more
    folder, count, *rest = (os.fsdecode(field) for field in message[:-2].split(b"\0"))
    arguments, pairs = rest[: int(count)], rest[int(count) :]
    if len(descriptors) != 3:
        sys.exit("The launcher has not sent its first three descriptors.")
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    keep = os.dup2(connection.detach(), 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    connection = socket.socket(fileno=keep)
    os.set_inheritable(keep, False)
    _fasten(connection)
    connection.send(b"+")  # fails where the launcher is gone, and has failed to see _fasten

    os.umask(0o077)
    os.chdir(folder)
    os.environ.clear()
    for pair in pairs:
        name, _, os.environ[name] = pair.partition("=")
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _forget()

    from ipykernel.kernelapp import IPKernelApp

    sys.argv[1:] = arguments
    options = ["--IPKernelApp.parent_handle=1"]  # the launcher watches the server
    for extension in ("trickkit.course.room.limits", "ipywidgets"):
        if extension in sys.modules:  # ipywidgets looks for a kernel as it is imported
            options += ["--ext", extension]
    IPKernelApp.launch_instance([*arguments, *options])


def _forget() -> None:
    """Put right what modules have read or drawn as they were imported."""
    import multiprocessing

    time.tzset()
    tempfile.tempdir = None
    multiprocessing.current_process().authkey = os.urandom(32)
    if "numpy" in sys.modules:  # Python's own dice see a fork by themselves
        sys.modules["numpy"].random.seed()
    if "pandas" in sys.modules:  # which took what has no kernel yet for a terminal
        sys.modules["pandas"].set_option("display.max_columns", 20)
    if "huggingface_hub.constants" in sys.modules:  # where its cache lies
        importlib.reload(sys.modules["huggingface_hub.constants"])
    import threadpoolctl

    threads = os.environ.get("OMP_NUM_THREADS", "")
    count = int(threads) if threads.isdecimal() else len(os.sched_getaffinity(0))
    threadpoolctl.threadpool_limits(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
        sys.modules["torch"].seed()


def fork_kernels(address: str, memory: str, *modules: str) -> None:
    """Import, listen at a socket, and fork a kernel for each that asks there.

    address: of the socket; one that lies there is exchanged once all is imported.
    memory: as in `limits.apply`.
    modules: as in `preload`.
    """
    preload(modules)
    gc.disable()
    new = f"{address}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(new)
    os.chmod(new, 0o666)  # who may come is asked at the door
    listener.listen(128)
    os.rename(new, address)
    own_user = os.getuid() == 0  # where this is root's, it becomes the learner
    connection = fork_for_each(listener)
    gc.enable()
    become_kernel(connection, memory=float(memory), own_user=own_user)


if __name__ == "__main__":
    del sys.path[0]  # the folder that this was started in
    fork_kernels(*sys.argv[1:])
