"""A room's kernels: what a learner's server is told of them, and the process that forks them."""

import asyncio
import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import ipykernel.kernelspec
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import web
from traitlets import Integer

SOCKET = "kernels.socket"
LAUNCHER = pathlib.Path(__file__).with_name("launcher.py")
# What servers and kernels have of the environment that the room was started in: no secret, but how
# text is read, and where Python finds what it imports.
INHERITED = (
    *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ"),
    *("LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "VIRTUAL_ENV"),
)


class TooManyKernels(web.HTTPError):
    """What a learner reads who has as many kernels as the room gives."""

    def __str__(self) -> str:
        return str(self.log_message)  # all that JupyterLab is sent of it


class RoomKernels(AsyncMappingKernelManager):
    """A learner's kernels, of which there are so many at most."""

    most = Integer(2, min=1, help="How many kernels may run at once.").tag(config=True)

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._door = asyncio.Lock()  # two that start at once are counted one after the other

    async def start_kernel(self, *, kernel_id: str | None = None, **kwargs: Any) -> str:  # type: ignore[override]
        """Start a kernel, as any server does, unless there are too many.

        Returns its id.
        Raises TooManyKernels, whose sentence JupyterLab shows.
        """
        async with self._door:
            if len(self) >= self.most and (kernel_id is None or kernel_id not in self):
                server: Any = self.parent
                sessions = await server.session_manager.list_sessions()
                names = sorted(pathlib.PurePath(one["path"]).name for one in sessions)
                raise TooManyKernels(
                    409,
                    # its dialog breaks no line by itself
                    f"This room gives each learner {self.most} kernels, and yours are running:\n"
                    f"{', '.join(names)}.\n"
                    "Shut one down first: in its notebook, Kernel → Shut Down Kernel;\n"
                    "or in the list under the round stop sign on the left.\n"
                    "Then come back here: Kernel → Change Kernel….",
                )
            return await super().start_kernel(kernel_id=kernel_id, **kwargs)


def server_options(
    folder: pathlib.Path, *, memory: float, kernels: int
) -> tuple[list[str], dict[str, str]]:
    """What a learner's server has to be started with to have the room's kernels.

    Their description is written into the folder.

    folder: as in `start`.
    memory: of each kernel, in GB of 10⁹ bytes.
    kernels: how many a learner may have at once.
    Returns flags for its command line, and variables for its environment.
    """
    spec = folder / "jupyter" / "kernels" / "python3"
    if not spec.exists():
        shutil.copytree(ipykernel.kernelspec.RESOURCES, spec)
    said = ipykernel.kernelspec.get_kernel_dict() | {
        "argv": [
            *(sys.executable, "-I", "-S", str(LAUNCHER)),
            *(str(folder.absolute() / SOCKET), str(memory), "-f", "{connection_file}"),
        ],
        "interrupt_mode": "message",  # a signal would reach the launcher
    }
    text = json.dumps(said, indent=1)
    (spec / "kernel.json").write_text(text, encoding="utf-8")
    manager = f"{RoomKernels.__module__}.{RoomKernels.__qualname__}"
    flags = [f"--ServerApp.kernel_manager_class={manager}", f"--RoomKernels.most={kernels}"]
    return flags, {"JUPYTER_PATH": str(folder / "jupyter")}


def start(
    folder: pathlib.Path, *, memory: float, modules: tuple[str, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start the process that forks kernels; until it is ready, after some ten seconds, and should
    it end, kernels start plainly.

    It ends with this process, and by itself, with status 0, where there is a GPU.

    folder: of the user who calls, whom learners may read and none write to.
    memory: of each kernel, in GB of 10⁹ bytes.
    modules: as in `forked.preload`.
    Raises ValueError where the folder's name is too long for a socket.
    """
    address = str(folder.absolute() / SOCKET)
    if len(os.fsencode(f"{address}.new")) > 107:
        raise ValueError(f"{folder} has too long a name for a socket in it; 90 bytes at most fit.")
    pathlib.Path(address).unlink(missing_ok=True)  # that it is there will mean that it answers
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
        "HOME": str(folder),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        # a fork takes one thread along, so no library may begin others
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # no warning in each learner's log
    }
    command = [sys.executable, "-m", "trickkit.course.room.forked", address, str(memory)]
    return subprocess.Popen(
        [*command, *modules],
        cwd="/",  # whence nothing is imported
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
