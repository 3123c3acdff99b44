"""A room: the course for forty learners in their browsers, on one computer with Linux.

`open_room` looks after a JupyterHub, which starts a JupyterLab for each of them. In the room's
folder lie homes/, a folder for each learner, kept for ever; hub/, which only the room's owner can
read; and shared/, which everybody can.
"""

import contextlib
import dataclasses
import errno
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import psutil
import tornado.netutil
from filelock import FileLock, Timeout

from trickkit.common import printable, validate_count, validate_number
from trickkit.course import setup
from trickkit.course.network import own_addresses
from trickkit.folders import write_whole

LEAST_MEMORY = 2  # gigabytes: what a kernel has imported counts as 1.2 of them
FONTS = "fontlist-*.json"  # matplotlib's list of them, made in shared/ before the first kernel
OPENING = 120  # seconds that the hub may take
LAST_PORT = 65_535
CLOSING = 90  # seconds for the hub to end everybody's server, before they are killed
STEADY = 20  # seconds after which a process that ends has not failed at its start
LOOK = """
import pathlib, sys
for file in sys.argv[1:]:
    pathlib.Path(file).stat()
import ipykernel, jupyterhub, jupyterlab
from trickkit.course import setup
next(setup.LESSON_FOLDER.glob("*.ipynb")).read_bytes()
"""


@dataclasses.dataclass(kw_only=True)
class Room:
    """What the hub must know of the room.

    folder: its absolute path.
    ip, port: on which it listens; "" is every address of the computer.
    memory: gigabytes that a kernel may take.
    kernels: that a learner may have at a time.
    cert, key: files of TLS, both or none.
    ports: on which hub, proxy and board listen for one another.
    """

    folder: str
    ip: str
    port: int
    memory: float
    kernels: int
    cert: str | None
    key: str | None
    ports: list[int] = dataclasses.field(default_factory=list)

    @property
    def homes(self) -> pathlib.Path:
        """Holds the learners' folders."""
        return pathlib.Path(self.folder) / "homes"

    @property
    def hub(self) -> pathlib.Path:
        """Holds what is nobody else's business."""
        return pathlib.Path(self.folder) / "hub"

    @property
    def shared(self) -> pathlib.Path:
        """Holds what every learner may read."""
        return pathlib.Path(self.folder) / "shared"

    @property
    def answers(self) -> pathlib.Path:
        """When the teacher last went to each learner who had asked for help."""
        return self.shared / "answers.json"

    @property
    def database(self) -> pathlib.Path:
        """The hub's, which is there as long as the room is open, or if it was not closed."""
        return self.hub / "hub.sqlite"

    @property
    def scheme(self) -> str:
        """By which browsers come."""
        return "https" if self.cert else "http"

    @property
    def mark(self) -> dict[str, str]:
        """The part of the environment by which the hub, its proxy and its services are known."""
        return {"TRICKKIT_ROOM": self.folder}

    def passwords(self) -> dict[str, str]:
        """Those of hub/passwords.json, "room" and "teacher", which are made if there are none.

        Raises ValueError where the file holds others than the hub would take.
        """
        from trickkit.course.room.login import as_on_the_board, new_passwords

        file = self.hub / "passwords.json"
        if not file.exists():
            write_whole(file, json.dumps(new_passwords(), indent=1).encode())
            file.chmod(0o600)
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            out = {"room": str(said["room"]), "teacher": str(said["teacher"])}
        except (ValueError, LookupError, TypeError) as error:
            sentence = f"{file} holds no passwords: delete it, and new ones are made"
            raise ValueError(sentence) from error
        if len(as_on_the_board(out["room"])) < 8 or len(out["teacher"]) < 32:
            raise ValueError(
                f"{file}: the room's password needs 8 letters, and the teacher's 32; delete the"
                " file, and new ones are made"
            )
        return out

    def processes(self, *, learners: bool) -> Iterator[psutil.Process]:
        """The hub with its proxy and services; or the learners' servers, kernels, and whatever
        they have started.
        """
        from trickkit.course.room.spawner import learner_ids

        ids = learner_ids(self.homes) if os.geteuid() == 0 else set()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                env = process.environ()
                course = env.get("TRICKKIT_COURSE")
                # what has cleared its environment is known by its user, who may be another room's
                theirs = (
                    course.startswith(f"{self.homes}/") if course else process.uids().real in ids
                )
                if theirs if learners else self.mark.items() <= env.items():
                    yield process


def welcome(mine: str) -> None:
    """Bring a learner's copies of the lessons up to date, and matplotlib's list of fonts; runs as
    the learner.

    mine: the folder of the copies.
    """
    lessons = pathlib.Path(mine)
    cache = lessons.parent / ".cache" / "matplotlib"
    shared = lessons.parents[2] / "shared" / "matplotlib"
    try:
        setup.deliver(setup.LESSON_FOLDER, lessons)
        cache.mkdir(parents=True, exist_ok=True)
        for fonts in shared.glob(FONTS):
            if not (cache / fonts.name).exists():
                shutil.copy(fonts, cache)
    except OSError as error:
        sys.exit(": ".join(filter(None, (error.filename, error.strerror))))


def open_room(
    folder: str | os.PathLike[str] = "room",
    *,
    port: int = 8000,
    ip: str = "",
    memory: float = 4.0,
    kernels: int = 3,
    cert: str | None = None,
    key: str | None = None,
) -> None:
    """Keep a room open until Ctrl-C, or until the process is told to end.

    folder: of the room, with the learners' homes; it is made if there is none.
    port, ip: on which it listens; "" is every address of this computer.
    memory: gigabytes that a kernel may take, 2 at least; 4 is enough for every lesson.
    kernels: that a learner may have at a time.
    cert, key: files of a TLS certificate and its key, for https.
    Raises SystemExit with a sentence where that cannot be.
    """
    if sys.platform != "linux":
        sys.exit("A room needs a computer with Linux. Its learners may have any.")
    if missing := [
        name
        for name in ("jupyterhub", "jupyterhub_idle_culler", "configurable_http_proxy")
        if not importlib.util.find_spec(name)
    ]:
        sys.exit(f"{', '.join(missing)} cannot be imported: pip install 'trickkit[room]'")
    if bool(cert) != bool(key):
        sys.exit("TLS needs both: --cert, a certificate's file, and --key, its key's.")
    try:
        validate_count(port=port, kernels=kernels)
        validate_number(memory=memory, at_least=LEAST_MEMORY)
        if cert and key:
            cert, key = os.path.abspath(cert), os.path.abspath(key)
            validate_certificate(cert, key)
        os.umask(0o022)  # what is to be read by learners can be
        place = pathlib.Path(folder).expanduser().absolute()
        room = Room(
            folder=str(place), ip=ip, port=port, memory=memory, kernels=kernels, cert=cert, key=key
        )
        if not place.exists():
            place.mkdir(parents=True)
            place.chmod(0o755)
        for part, mode in ((room.hub, 0o700), (room.homes, 0o711), (room.shared, 0o755)):
            part.mkdir(exist_ok=True)
            part.chmod(mode)
        with FileLock(room.hub / ".lock", timeout=0):
            keep_open(room)
    except Timeout:
        sys.exit(
            printable(f"The room in {folder} is open already; Ctrl-C ends it where it was opened.")
        )
    except OSError as error:
        why = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        sys.exit(printable(f"The room cannot be opened: {why or error}"))
    except ValueError as error:
        sys.exit(printable(f"The room cannot be opened: {error}"))


def keep_open(room: Room) -> None:
    """Open the room, start its hub again whenever that ends, and close it when told so.

    Raises SystemExit, OSError or ValueError, with a sentence, where that cannot be.
    """
    from trickkit.course.room.kernels import start

    end(room.processes(learners=False))  # of a room that was not closed
    if not any(room.processes(learners=True)):
        forget(room)
    validate_port(room.port, room.ip)
    validate_access(room)
    room.ports = kept_ports(room)
    passwords = room.passwords()
    # SIGINT, too, which a shell's background job is born ignoring, and its services would wait with
    for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(name, signal.default_int_handler)
    hub = forks = None
    try:
        forks = start(room.shared, memory=room.memory)
        hub = start_hub(room)
        forked = began = time.monotonic()
        wait_for(hub, room)
        by_name = ", by the name that the certificate is for" if room.cert else ""
        print(f"Learners open {' or '.join(addresses(room))}{by_name}")
        print(f"The room's password, for the board: {passwords['room']}")
        print(f"You log in as teacher, with the password {passwords['teacher']}")
        print(f"Both are kept in {room.hub / 'passwords.json'}; everybody's work in {room.homes}.")
        if not room.cert:
            print("What is sent is not encrypted: open the room on a network that you trust.")
        if os.geteuid() != 0:
            print(
                "You are not root, so all learners are the same user of this computer, and can read"
                " and change each other's work and the room's passwords."
            )
        print("Ctrl-C closes the room.", flush=True)
        while True:
            time.sleep(0.5)
            # one that ended with 0 is not wanted on this computer; kernels then start plainly
            if forks.poll() and time.monotonic() - forked > STEADY:
                forks, forked = start(room.shared, memory=room.memory), time.monotonic()
            if hub.poll() is not None:
                if time.monotonic() - began < STEADY:
                    sys.exit(f"The hub ends at its start. Its log is {log_of(room)}")
                print("The hub has ended, and is started again.", flush=True)
                hub, began = start_hub(room), time.monotonic()
    except KeyboardInterrupt:
        pass
    finally:
        close(room, [hub, forks])


def start_hub(room: Room) -> subprocess.Popen[bytes]:
    """Start the hub.

    Returns its process.
    """
    end(room.processes(learners=False))  # the proxy and the services of one that was killed
    (room.hub / "proxy.pid").unlink(missing_ok=True)
    with open(log_of(room), "ab") as log:
        return subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", f"{__name__}.config"),
                json.dumps(dataclasses.asdict(room)),
            ],
            cwd=room.hub,
            env=os.environ | room.mark,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the room alone, which then ends the hub
        )


def wait_for(hub: subprocess.Popen[bytes], room: Room) -> None:
    """Wait until the hub answers through its proxy.

    Raises SystemExit where it doesn't.
    """
    any_name = ssl.create_default_context()  # the certificate is for the name that learners type
    any_name.check_hostname, any_name.verify_mode = False, ssl.CERT_NONE
    ask = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),  # those of the network are not for this computer
        urllib.request.HTTPSHandler(context=any_name),
    )
    health = f"{room.scheme}://{room.ip or '127.0.0.1'}:{room.port}/hub/health"
    deadline = time.monotonic() + OPENING
    while time.monotonic() < deadline and hub.poll() is None:
        with contextlib.suppress(OSError):
            ask.open(health, timeout=5).close()
            return
        time.sleep(0.1)
    sys.exit(f"The hub does not start. Its log is {log_of(room)}")


def log_of(room: Room) -> pathlib.Path:
    """Where the hub writes what it does."""
    return room.hub / "hub.log"


def close(room: Room, running: list[subprocess.Popen[bytes] | None]) -> None:
    """End the hub, and with it everybody's server; then whatever is left.

    running: the hub first, then what learners' kernels are forked from.
    """
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # the terminal may be gone
        print("\nThe room is being closed …", flush=True)
    for process in running:
        if process:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(CLOSING)
    for learners in (False, True):
        end(room.processes(learners=learners))
    forget(room)
    with contextlib.suppress(OSError):
        print(printable(f"The room is closed. Everybody's work is in {room.homes}."), flush=True)


def end(processes: Iterator[psutil.Process]) -> None:
    """Kill processes, and wait until they are gone."""
    killed = list(processes)
    for process in killed:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(killed, timeout=10)


def forget(room: Room) -> None:
    """Delete the hub's database, which is made new each time: old ones make a hub slow."""
    for file in room.hub.glob("hub.sqlite*"):
        file.unlink()
    (room.hub / "ports.json").unlink(missing_ok=True)


def kept_ports(room: Room) -> list[int]:
    """Three ports for hub, proxy and board: those that running servers know, or free ones."""
    file = room.hub / "ports.json"
    if not file.exists():
        with contextlib.ExitStack() as stack:
            free = [stack.enter_context(socket.socket()) for _ in range(3)]
            for one in free:
                one.bind(("127.0.0.1", 0))
            ports = [one.getsockname()[1] for one in free]
        write_whole(file, json.dumps(ports).encode())
    return json.loads(file.read_text(encoding="utf-8"))


def validate_certificate(cert: str, key: str) -> None:
    """Try whether two files are a certificate and its key.

    Raises ValueError if they aren't, OSError for one that cannot be read.
    """
    for file in (cert, key):
        open(file, "rb").close()  # an error of TLS would not say which
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
    except ssl.SSLError as error:
        raise ValueError(
            f"{cert} and {key} do not belong together, or are not in the form PEM"
        ) from error


def validate_port(port: int, ip: str) -> None:
    """Try whether a port is free.

    Raises ValueError if it isn't, or is none.
    """
    if port > LAST_PORT:
        raise ValueError(f"port is {port}, and must be between 1 and {LAST_PORT}")
    try:
        for one in tornado.netutil.bind_sockets(port, ip):
            one.close()
    except OSError as error:
        hint = {
            errno.EADDRINUSE: f". Another one: --port {port % LAST_PORT + 1}",
            errno.EACCES: "; below 1024 only root may",
            errno.EADDRNOTAVAIL: f": this computer does not have the address {ip}",
        }.get(error.errno or 0, "")
        raise ValueError(f"port {port} cannot be had ({error.strerror}){hint}") from error


def validate_access(room: Room) -> None:
    """Try, where the room is root's, whether learners can do what they must.

    Raises ValueError if they can't, and for a home that is no learner's.
    """
    from trickkit.course.room.limits import FIRST_UID
    from trickkit.course.room.spawner import NotReadyError, as_learner, owner

    try:
        for home in filter(pathlib.Path.is_dir, room.homes.iterdir()):
            owner(home)
    except NotReadyError as error:
        raise ValueError(error.jupyterhub_message) from error
    if os.geteuid() != 0:
        return
    needed = [room.homes / ".", room.shared / "."]
    try:
        tried = subprocess.run(
            [sys.executable, "-P", "-c", LOOK, *map(str, needed)],
            cwd="/",
            env={"PATH": os.defpath, "HOME": "/nowhere"},
            capture_output=True,
            text=True,
            **as_learner(FIRST_UID),
        )
        said = tried.stderr.strip()
    except OSError as error:
        said = str(error)
    if said:
        raise ValueError(
            "learners, who are users of their own, cannot use what they need:"
            f" {said.splitlines()[-1]}. {closed_to_others([sys.executable, __file__, *needed])}"
        )


def closed_to_others(paths: list) -> str:
    """A sentence that names the folders above some paths which other users cannot enter."""
    real = [pathlib.Path(path).resolve() for path in paths]
    above = {folder for path in real for folder in path.parents if not folder.stat().st_mode & 1}
    if not above:
        return "As root, install the course where everybody can read it, as in /opt."
    return f"Closed to others: {', '.join(map(str, sorted(above)))} (chmod o+x, or another place)."


def addresses(room: Room) -> list[str]:
    """What learners may type to come in."""
    found = own_addresses() if room.ip in ("", "0.0.0.0", "::") else [room.ip]
    return [f"{room.scheme}://{address}:{room.port}" for address in found]
