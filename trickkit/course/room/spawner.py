"""A learner's server: whose it is, what it may see, and the lessons that are there when it begins.

Where the hub is root, each learner has a user id of their own, which no account has, and nobody
reads the work of another. Else all are the one user who runs the hub.
"""

import asyncio
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import psutil
from jupyterhub.spawner import LocalProcessSpawner
from tornado.web import HTTPError
from traitlets import Float, Unicode

from trickkit.course import setup
from trickkit.course.room.limits import FIRST_UID, apply

# of JupyterLab's server: what the room adds, and what a lesson can do without
EXTENSIONS = {
    "trickkit.course.room.help": True,
    "jupyter_lsp": False,
    "jupyter_server_terminals": False,
}
FULL = 1_000_000  # bytes, with less of which free nothing can be begun
WELCOME = "import sys; from trickkit.course.room import welcome; welcome(sys.argv[1])"
ROOM_IDS, ROOMS = 1_000, 40  # up to 60,000: above 65,533 not every system has ids


class NotReadyError(HTTPError):
    """A server that cannot be started, with the sentence that the learner's page shows."""

    def __init__(self, sentence: str):
        super().__init__(500, sentence)
        self.jupyterhub_message = sentence


def as_learner(uid: int) -> dict[str, Any]:
    """What makes a subprocess a learner's, for subprocess.Popen and its like.

    uid: theirs; the hub's own where it isn't root.
    """
    mine: dict[str, Any] = {"umask": 0o077, "stdin": subprocess.DEVNULL}
    return mine | ({"user": uid, "group": uid, "extra_groups": []} if os.geteuid() == 0 else {})


def owner(home: pathlib.Path) -> int:
    """The user id of the learner whose home this is.

    Raises NotReadyError for a home that is no learner's.
    """
    uid = home.stat().st_uid
    if os.geteuid() != 0:
        learner, change = uid == os.geteuid(), "that user opens the room"
    else:
        learner = is_learner(uid)
        change = (
            "root gives it to one, by chown -R --no-dereference NUMBER:NUMBER with a number above"
            f" {FIRST_UID} that no other home has"
        )
    if not learner:
        raise NotReadyError(f"{home} belongs to user {uid}, no learner here, until {change}.")
    return uid


def learner_ids(homes: pathlib.Path) -> set[int]:
    """The user ids of all learners who have a home, where the hub is root."""
    return set(
        filter(is_learner, (home.stat().st_uid for home in homes.iterdir() if home.is_dir()))
    )


def settle(home: pathlib.Path) -> int:
    """Make a learner's home if there is none yet.

    Returns the learner's user id.
    Raises NotReadyError for a home that is no learner's.
    """
    if home.exists():
        return owner(home)
    if os.geteuid() != 0:
        home.mkdir(mode=0o700)
        return os.geteuid()
    taken = learner_ids(home.parent)
    # a range for each room, so that two on one computer share no users
    uid = FIRST_UID + ROOM_IDS * (zlib.crc32(bytes(home.parent.resolve())) % ROOMS) + 1
    while uid in taken or not is_learner(uid):
        uid += 1
    home.mkdir(mode=0o700)
    os.chown(home, uid, uid)
    return uid


def is_learner(uid: int) -> bool:
    """Whether a user id can be a learner's: no account of this computer or its network has it."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return uid > FIRST_UID
    return False


class RoomSpawner(LocalProcessSpawner):
    """JupyterLab on the learner's copies of the lessons."""

    homes = Unicode(help="The folder of all homes.").tag(config=True)
    answers = Unicode(help="The file of `Room.answers`.").tag(config=True)
    memory = Float(help="Gigabytes that a process may take.").tag(config=True)
    started = Float(0, help="When the server's process began, since process numbers come again.")

    @property
    def home(self) -> pathlib.Path:
        """The learner's."""
        return pathlib.Path(self.homes) / self.user.name

    @property
    def lessons(self) -> pathlib.Path:
        """The learner's copies, all that JupyterLab shows."""
        return self.home / "my_course"

    def get_args(self) -> list[str]:
        """What stands on the server's command line: as for one learner alone, and the room's."""
        alone = setup.jupyterlab(self.lessons)[3:]  # without `python -m jupyterlab`
        return [*alone, f"--ServerApp.jpserver_extensions={EXTENSIONS}", *self.args]

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """The hub's part of the environment, and what is the learner's own."""
        own = {
            "HOME": self.home,
            "USER": self.user.name,
            "LOGNAME": self.user.name,
            "SHELL": "/bin/sh",
            "OMP_NUM_THREADS": 1,  # forty learners share the processor
            "TRICKKIT_COURSE": self.lessons,
            "TRICKKIT_PROGRESS": self.lessons / "progress.jsonl",
            "TRICKKIT_ANSWERS": self.answers,
            "TRICKKIT_STUDIO": self.home / "trickkit_studio",
        }
        return env | {name: str(value) for name, value in own.items()}

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        """What the new process does, as the learner already, before it becomes the server."""
        log = self.home / "server.log"
        memory, own_user = self.memory, os.geteuid() == 0

        def begin() -> None:
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(out, 1)
            os.dup2(out, 2)
            apply(memory=memory, own_user=own_user)

        return begin

    async def start(self) -> tuple[str, int]:
        """Bring the learner's lessons up to date, and start the server.

        Returns its address.
        Raises NotReadyError where that cannot be.
        """
        uid = settle(self.home)
        # as the learner: whatever they have put into the way leads only where they may go
        welcome = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", WELCOME, str(self.lessons)),
            env=self.get_env(),
            cwd=self.home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            **as_learner(uid),
        )
        _, said = await welcome.communicate()
        if welcome.returncode:
            why = said.decode(errors="replace").strip() or f"status {welcome.returncode}"
            self.log.error("No lessons for %s: %s", self.user.name, why)
            raise NotReadyError(
                f"Your lessons could not be brought: {why.splitlines()[-1]}. Tell your teacher;"
                " what you have saved is still there."
            )
        self.cmd = [sys.executable, "-P", "-m", "jupyterhub.singleuser"]
        self.popen_kwargs = {"cwd": self.home, **as_learner(uid)}
        where = await super().start()
        self.started = psutil.Process(self.pid).create_time()
        await self.listens()
        return where

    async def listens(self) -> None:
        """Wait until the server listens; the hub itself would not see that it has ended instead.

        Raises NotReadyError if it has.
        """
        while self.proc.poll() is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return
        free = shutil.disk_usage(self.home).free
        raise NotReadyError(
            "JupyterLab has ended at its start"
            + (", for the disk is full." if free < FULL else ".")
            + " Tell your teacher, who finds what it said in server.log in your folder."
        )

    def get_state(self) -> dict[str, Any]:
        """What a hub that is started again has to know."""
        return super().get_state() | ({"started": self.started} if self.pid else {})

    def load_state(self, state: dict[str, Any]) -> None:
        """Know again what `get_state` told."""
        super().load_state(state)
        self.started = state.get("started", 0)

    async def poll(self) -> int | None:
        """None while the server runs, else its exit status, 0 where that is unknown."""
        if self.proc is None and self.pid and not self.runs():
            self.clear_state()
        return await super().poll()

    def runs(self) -> bool:
        """Whether the process of a server that an earlier hub started is there."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.started and (
                process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False
