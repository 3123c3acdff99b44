"""A room's kernels: who a forked one is, what it inherits and what not, how all ends, limits."""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import psutil
import pytest
import requests
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from other_users import APART, PREFIX

LINUX = sys.platform == "linux"
if LINUX:
    from trickkit.course.room import kernels, limits

pytestmark = pytest.mark.skipif(not LINUX, reason="a room is Linux only")

ADA, BOB, STAFF = 20_998, 20_999, 19_999
MEMORY = 1.0  # GB
SECRET = "the hub's own"
# The room's supervisor, as far as kernels are concerned.
SUPERVISE = """
import pathlib, sys
from trickkit.course.room import kernels
folder = pathlib.Path(sys.argv[1])
process = kernels.start(folder, memory=float(sys.argv[2]), modules=tuple(sys.argv[3:]))
print(process.pid, flush=True)
process.wait()
"""
# A learner's server: it starts a launcher, says which, and waits.
SERVE = """
import os, subprocess, sys
os.environ["JPY_PARENT_PID"] = str(os.getpid())
process = subprocess.Popen(sys.argv[1:])
print(process.pid, flush=True)
sys.exit(process.wait())
"""


def until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def whoever(uid):
    return {"user": uid, "group": uid, "extra_groups": []} if APART else {}


class Kernel:
    """A kernel that a learner has, with its launcher and the process that stands for a server."""

    def __init__(self, room, uid, name):
        self.home = room.folder / "homes" / name
        self.home.mkdir(parents=True, exist_ok=True)
        file = self.home / "kernel.json"
        write_connection_file(str(file))
        if APART:
            os.chown(file, uid, uid)
            os.chown(self.home, uid, uid)
        self.home.chmod(0o700)
        self.log = open(self.home / "log", "w+", encoding="utf-8")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "WHO": name}
        argv = room.spec()["argv"]
        self.server = subprocess.Popen(
            [*PREFIX, sys.executable, "-c", SERVE, *(a.format(connection_file=file) for a in argv)],
            **whoever(uid),
            cwd=self.home,
            env=environment | {"IPYTHONDIR": str(self.home / "ipython"), "OMP_NUM_THREADS": "2"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self.launcher = int(self.server.stdout.readline())
        self.client = BlockingKernelClient(connection_file=str(file))
        self.client.load_connection_file()
        self.client.start_channels()
        until(self.answers, "the kernel does not answer")
        self.pid = int(self.run("import os; print(os.getpid())"))

    def answers(self):
        try:
            self.client.wait_for_ready(timeout=60)
        except RuntimeError:  # it was asked before it listened
            return False
        return True

    def run(self, code):
        """What a cell says: its text, its errors' last lines, its pictures as such."""
        said = []

        def hear(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                said.append(content["text"])
            elif message["msg_type"] == "error":
                said.append("\n".join(content["traceback"]))
            elif "data" in content:
                said.append(str(content["data"]))

        self.client.execute_interactive(code, timeout=60, output_hook=hear)
        return "".join(said)

    def value(self, code):
        return json.loads(self.run(f"import json; print(json.dumps({code}))"))

    def everybody(self):
        return self.server.pid, self.launcher, self.pid

    def end(self):
        self.client.stop_channels()
        self.server.kill()
        self.server.communicate()
        until(lambda: not any(map(alive, self.everybody())), "a process is left")
        self.log.close()


class Room:
    """A supervisor with its forking process, and kernels of learners."""

    def __init__(self, folder, uid, *modules):
        self.folder = folder
        self.uid = uid
        if APART:
            os.chown(folder, uid, uid)
        self.options = kernels.server_options(folder, memory=MEMORY, kernels=2)
        self.modules = modules
        self.kernels = []
        self.begin()

    def begin(self):
        self.supervisor = subprocess.Popen(
            [
                *PREFIX,
                sys.executable,
                "-c",
                SUPERVISE,
                str(self.folder),
                str(MEMORY),
                *self.modules,
            ],
            **(whoever(self.uid) if self.uid else {}),
            env=os.environ | {"SECRET": SECRET},
            cwd="/",
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = int(self.supervisor.stdout.readline())
        until((self.folder / kernels.SOCKET).exists, "no socket")

    def spec(self):
        path = self.folder / "jupyter" / "kernels" / "python3" / "kernel.json"
        return json.loads(path.read_text(encoding="utf-8"))

    @contextlib.contextmanager
    def kernel(self, uid=ADA, name="ada"):
        one = Kernel(self, self.uid or uid, name)
        try:
            yield one
        finally:
            one.end()

    def end(self):
        self.supervisor.kill()  # takes along who forks
        self.supervisor.communicate()
        until(lambda: not alive(self.pid), "who forks is left")


@contextlib.contextmanager
def make_room(own, *modules):
    """A room of root's, where each learner is a user; or of one user, whom all learners are."""
    if own and not APART:
        pytest.skip("only root can make each learner a user, who must be able to run this Python")
    # other users cannot enter pytest's folders
    folder = pathlib.Path(tempfile.mkdtemp(prefix="room"))
    folder.chmod(0o755)
    room = Room(folder, 0 if own or not APART else STAFF, *modules)
    try:
        yield room
    finally:
        room.end()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def rooms():
    """Of each kind one, when it is asked for."""
    with contextlib.ExitStack() as stack:
        made = {}

        def room(own):
            if own not in made:
                made[own] = stack.enter_context(
                    make_room(own, "numpy", "matplotlib.pyplot", "pandas")
                )
            return made[own]

        yield room


@pytest.fixture(params=[True, False], ids=["a-user-each", "one-user"])
def room(rooms, request):
    return rooms(request.param)


@pytest.fixture
def own_room(rooms):
    return rooms(True)


@pytest.fixture
def any_room(rooms):
    return rooms(APART)


def forked(room, kernel):
    return psutil.Process(kernel.pid).ppid() == room.pid


def test_a_kernel_is_the_learners_and_inherits_nothing_but_imports(room):
    with room.kernel() as kernel:
        assert forked(room, kernel)
        uid = room.uid or (ADA if APART else 1000 if PREFIX else os.getuid())
        assert kernel.value("os.getresuid()") == [uid] * 3
        if APART:
            assert kernel.value("os.getresgid()") == [uid] * 3
            assert kernel.value("os.getgroups()") == []
        assert kernel.value("os.getcwd()") == str(kernel.home)
        assert kernel.value("os.umask(0o077)") == 0o077
        environment = kernel.value("dict(os.environ)")
        assert environment["WHO"] == "ada" and environment["HOME"] == str(kernel.home)
        assert not {"SECRET", "MPLCONFIGDIR", "JE_ARROW_MALLOC_CONF"} & environment.keys()
        assert SECRET not in kernel.run("print(open('/proc/self/environ').read())")
        assert kernel.value("os.getsid(0) == os.getpid() == os.getpgrp()")
        assert kernel.value("'numpy' in __import__('sys').modules")
        assert kernel.value("'' in __import__('sys').path")
        assert str(kernel.home) in kernel.run("print(get_ipython().history_manager.hist_file)")
        limit = "__import__('resource').getrlimit(__import__('resource').RLIMIT_NPROC)[0]"
        assert (kernel.value(limit) == limits.PROCESSES) == (not room.uid and APART)
        threads = "__import__('threadpoolctl').threadpool_info()"
        assert kernel.value(f"[one['num_threads'] for one in {threads}]")[0] == min(
            2, os.cpu_count() or 1
        )


def test_a_kernel_has_no_descriptor_of_its_parents(room):
    """What is open in who forks, but for the three first, is closed in a fork."""
    with room.kernel(), room.kernel(name="another") as kernel:
        parent = pathlib.Path(f"/proc/{room.pid}/fd")
        theirs = {os.readlink(one) for one in parent.iterdir()}
        mine = {os.readlink(one) for one in pathlib.Path(f"/proc/{kernel.pid}/fd").iterdir()}
        shared = {one for one in theirs & mine if one.startswith("socket:")}
        assert len(shared) == 1  # the connection with the launcher, by which its end is told


def test_signals_are_a_new_processes(room):
    with room.kernel() as kernel:
        kernel.run("import signal")
        assert kernel.value("signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL")
        assert kernel.value("signal.getsignal(signal.SIGTERM) == signal.SIG_DFL")
        assert kernel.value("len(signal.pthread_sigmask(signal.SIG_BLOCK, ()))") == 0


def test_dice_differ_between_kernels(room):
    drawn = (
        "[random.random(), numpy.random.rand(), multiprocessing.current_process().authkey.hex()]"
    )
    seen = []
    for _ in range(2):
        with room.kernel() as kernel:
            kernel.run("import random, numpy, multiprocessing")
            seen.append(kernel.value(drawn))
    assert not set(seen[0]) & set(seen[1])


def test_a_figure_shows(room):
    with room.kernel() as kernel:
        said = kernel.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
        assert said.count("image/png") == 1
        picture = said.partition("'image/png': '")[2].partition("'")[0]
        assert base64.b64decode(picture.replace("\\n", "")).startswith(b"\x89PNG")
        folder = kernel.run("import matplotlib; print(matplotlib.get_configdir())").strip()
        assert folder == str(room.folder / "matplotlib")


def test_a_table_is_as_wide_as_in_any_notebook(room):
    """pandas looks for a kernel as it is imported, and has none then."""
    with room.kernel() as kernel:
        said = kernel.run("import pandas\npandas.DataFrame([range(15)] * 2)")
        assert "x 15 columns" not in said and "..." not in said


def test_an_interrupt_reaches_the_cell(room):
    assert room.spec()["interrupt_mode"] == "message"
    with room.kernel() as kernel:
        cell = "import time\nprint('begun')\ntime.sleep(1000)"
        kernel.client.execute(cell, stop_on_error=False)
        until(lambda: "begun" in str(kernel.client.get_iopub_msg(timeout=60)["content"]), "silence")
        kernel.client.control_channel.send(kernel.client.session.msg("interrupt_request"))
        until(
            lambda: (
                kernel.client.get_iopub_msg(timeout=60)["content"].get("ename")
                == "KeyboardInterrupt"
            ),
            "no interrupt",
        )
        assert kernel.run("print('goes on')") == "goes on\n"


@pytest.mark.parametrize("killed", [0, 1, 2], ids=["server", "launcher", "kernel"])
def test_whoever_is_killed_takes_the_others_along(any_room, killed):
    with any_room.kernel() as kernel:
        kernel.run("import subprocess; worker = subprocess.Popen(['sleep', '1000'])")
        worker = kernel.value("worker.pid")
        # holds the GIL, so that no thread of the kernel's could see anything
        kernel.client.execute("print('begun', flush=True)\nsum(range(10**12))")
        until(lambda: "begun" in str(kernel.client.get_iopub_msg(timeout=60)["content"]), "silence")
        os.kill(kernel.everybody()[killed], signal.SIGKILL)
        until(lambda: not any(map(alive, (*kernel.everybody()[1:], worker))), "someone is left")
        if killed == 2:  # a shell's word for it
            assert kernel.server.wait() == 128 + signal.SIGKILL
    assert alive(any_room.pid)


def test_a_kernel_that_is_shut_down_ends_with_its_status(any_room):
    with any_room.kernel() as kernel:
        kernel.client.shutdown()
        assert kernel.server.wait(timeout=60) == 0
        until(lambda: not alive(kernel.pid), "the kernel is left")


def test_kernels_live_on_when_who_forks_is_killed_and_the_next_are_plain_till_it_is_back(any_room):
    with any_room.kernel() as kernel:
        kernel.run("x = 5")
        os.kill(any_room.pid, signal.SIGKILL)
        any_room.supervisor.wait()
        assert kernel.value("x") == 5
        with any_room.kernel(name="plain") as plain:
            assert plain.pid == plain.launcher
            assert plain.value("os.environ['WHO']") == "plain"
            plain.log.seek(0)
            assert "A plain kernel starts" in plain.log.read()
            memory = "__import__('resource').getrlimit(__import__('resource').RLIMIT_DATA)[0]"
            assert plain.value(memory) == MEMORY * limits.GB
            assert "This room gives a kernel 1 GB" in plain.run("bytes(10**11)")
            plain.server.kill()
            until(lambda: not alive(plain.pid), "a plain kernel is left")
        any_room.supervisor.communicate()
        any_room.begin()
        with any_room.kernel(name="next") as following:
            assert forked(any_room, following)
        assert kernel.value("x") == 5
        os.kill(kernel.launcher, signal.SIGKILL)
        until(lambda: not alive(kernel.pid), "the kernel is left")


def test_who_forks_ends_with_the_supervisor():
    with make_room(APART, "math") as room:
        os.kill(room.supervisor.pid, signal.SIGKILL)
        until(lambda: not alive(room.pid), "who forks is left")


def test_nothing_of_roots_or_of_another_learners_can_be_read(own_room):
    with own_room.kernel() as ada, own_room.kernel(BOB, "bob") as bob:
        assert forked(own_room, bob)
        paths = [
            *(f"/proc/{pid}/{what}" for pid in (own_room.pid, ada.pid) for what in ("mem", "fd")),
            f"/proc/{own_room.pid}/environ",
            *map(str, (ada.home, ada.home / "kernel.json")),
        ]
        bob.run(
            "def read(path):\n"
            "    try:\n"
            "        os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1)\n"
            "    except PermissionError:\n"
            "        return False\n"
            "    return True"
        )
        assert bob.value(f"[read(one) for one in {paths}]") == [False] * len(paths)
        written = [str(one) for one in own_room.folder.rglob("*") if "homes" not in one.parts]
        assert len(written) > 4
        others = [one for one in written if not one.endswith(kernels.SOCKET)]
        assert not any(bob.value(f"[os.access(one, os.W_OK) for one in {others}]"))
        with pytest.raises(AssertionError):
            assert "PermissionError" not in bob.run(f"os.rename({written[0]!r}, '/tmp/x')")


@pytest.mark.parametrize("uid", [0, STAFF])
def test_a_user_who_is_no_learner_has_a_plain_kernel(own_room, uid):
    with own_room.kernel(uid, f"user{uid}") as kernel:
        assert not forked(own_room, kernel) and kernel.pid == kernel.launcher


def test_a_silent_client_keeps_nobody_waiting(any_room):
    code = f"""
import socket, time
one = socket.socket(socket.AF_UNIX)
one.connect({str(any_room.folder / kernels.SOCKET)!r})
print('there', flush=True)
time.sleep(1000)
"""
    silent = subprocess.Popen(
        [sys.executable, "-c", code], **whoever(BOB), stdout=subprocess.PIPE, text=True, cwd="/"
    )
    try:
        silent.stdout.readline()
        with any_room.kernel() as kernel:
            assert forked(any_room, kernel)
            half = psutil.Process(any_room.pid).children()
            assert len(half) == 2
    finally:
        silent.kill()
        silent.communicate()
    until(lambda: not any(alive(one.pid) for one in half), "a half kernel is left")


def test_where_a_thread_runs_nothing_is_forked():
    code = """
import os, threading
from trickkit.course.room import forked
uid = os.getuid() or 20_001
print(repr(forked._refusal(uid, 0)))
stop = threading.Event()
threading.Thread(target=stop.wait).start()
print(repr(forked._refusal(uid, 0)))
stop.set()
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    alone, two = told.stdout.splitlines()
    assert alone == "''" and "2 threads" in two


def test_a_cell_that_asks_for_too_much_gets_a_sentence_and_all_goes_on(any_room):
    with any_room.kernel() as kernel:
        sentence = "This room gives a kernel 1 GB of memory"
        kernel.run("import numpy as np; x = 5")
        for cell in (
            "np.ones(10**10)",
            "bytes(10**10)",
            'raise RuntimeError("[enforce fail] DefaultCPUAllocator: can\'t allocate memory")',
            "raise OSError(12, 'Cannot allocate memory')",
            "try:\n    bytes(10**10)\nexcept MemoryError:\n    raise KeyError('another')",
        ):
            said = kernel.run(cell)
            assert "Traceback" in said.partition(sentence)[0], cell
            assert said.count(sentence) == 1, cell
        assert kernel.run("print(x)") == "5\n"
        # what the function held before it failed is free again
        kernel.run("def much():\n    held = np.ones(60_000_000)\n    np.ones(10**10)\n\nmuch()")
        assert kernel.run("print(np.ones(60_000_000).size)") == "60000000\n"


def test_what_has_taken_all_memory_can_still_be_deleted(any_room):
    with any_room.kernel() as kernel:
        said = kernel.run("many = []\nwhile True:\n    many.append(bytes(10_000))")
        assert "This room gives a kernel 1 GB" in said
        assert kernel.run("print(len(many) > 10**4); del many") == "True\n"
        assert "This room gives a kernel 1 GB" in kernel.run("bytes(1_100_000_000)")
        assert kernel.run("print(1)") == "1\n"


def test_other_errors_are_shown_as_ever(any_room):
    with any_room.kernel() as kernel:
        for cell in ("raise RuntimeError('mine')", "open('/nowhere')", "1 / 0"):
            ours = kernel.run(f"x = 1\n{cell}")
            assert "This room" not in ours
            kernel.run("keep = get_ipython().custom_exceptions")
            kernel.run("get_ipython().custom_exceptions = ()")
            theirs = kernel.run(f"x = 1\n{cell}")
            kernel.run("get_ipython().custom_exceptions = keep")
            assert [line for line in ours.splitlines() if "Cell" not in line] == [
                line for line in theirs.splitlines() if "Cell" not in line
            ]


def test_limits_are_met_by_errors_and_stay():
    code = """
import resource, sys
from trickkit.course.room import limits
limits.apply(memory=0.4)
limits.apply(memory=0.3)
limits.apply(memory=0.4, own_user=len(sys.argv) > 2)
print(resource.getrlimit(resource.RLIMIT_DATA), resource.getrlimit(resource.RLIMIT_CORE))
print(resource.getrlimit(resource.RLIMIT_NPROC)[0])
try:
    open(sys.argv[1], "wb").truncate(limits.LONGEST_FILE + 1)
except OSError as error:
    print(error.strerror)
"""

    def told(folder, uid):
        ran = subprocess.run(
            [sys.executable, "-c", code, str(folder / f"of{uid}"), *(["own"] if uid else [])],
            **(whoever(uid) if uid else {}),
            **{"capture_output": True, "text": True, "check": True, "cwd": "/"},
        )
        return ran.stdout.splitlines()

    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        limit, processes, file = told(folder, 0)
        assert file == "File too large" and processes != str(limits.PROCESSES)
        assert limit.endswith("(0, 0)")
        if APART:
            os.chown(folder, ADA, ADA)
            limit, processes, file = told(folder, ADA)
            assert limit == "(300000000, 400000000) (0, 0)" and file == "File too large"
            assert processes == str(limits.PROCESSES)
    finally:
        shutil.rmtree(folder)
    with pytest.raises(ValueError, match="above 0"):
        limits.apply(memory=0)


def test_a_folder_with_too_long_a_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match="too long"):
        kernels.start(tmp_path / ("x" * 100), memory=1)


def test_the_third_kernel_is_refused_by_a_sentence(any_room):
    """By a server as learners have it, and no other: no port is fixed, and no page is opened."""
    home = any_room.folder / "homes" / "eve"
    home.mkdir(parents=True)
    uid = any_room.uid or ADA
    if APART:
        os.chown(home, uid, uid)
    flags, variables = any_room.options
    server = subprocess.Popen(
        [
            *(*PREFIX, sys.executable, "-m", "jupyter_server", "--ServerApp.port=0"),
            *("--ServerApp.log_level=ERROR", f"--ServerApp.root_dir={home}"),
            *("--IdentityProvider.token=key", "--ServerApp.jpserver_extensions={}", *flags),
        ],
        **whoever(uid),
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home)} | variables,
    )
    runtime = home / ".local" / "share" / "jupyter" / "runtime"
    try:
        file = until(lambda: next(iter(runtime.glob("jpserver-*.json")), None), "no server")
        until(lambda: file.read_text(encoding="utf-8").endswith("}"), "half a file")
        url = json.loads(file.read_text(encoding="utf-8"))["url"] + "api/"
        head = {"Authorization": "token key"}

        def open_lesson(name, answers):
            body = {"path": name, "name": name, "type": "notebook", "kernel": {"name": "python3"}}
            answers.append(requests.post(url + "sessions", json=body, headers=head, timeout=60))

        answers: list[requests.Response] = []
        at_once = [
            threading.Thread(target=open_lesson, args=(f"0{i}.ipynb", answers)) for i in range(3)
        ]
        for one in at_once:
            one.start()
        for one in at_once:
            one.join()
        assert sorted(one.status_code for one in answers) == [201, 201, 500]
        running = [one.json()["name"] for one in answers if one.status_code == 201]
        said = next(one.json()["message"] for one in answers if one.status_code == 500)
        assert said.startswith("This room gives each learner 2 kernels")
        assert all(name in said for name in running) and "Shut one down" in said
        first = next(one.json() for one in answers if one.status_code == 201)
        assert requests.post(
            f"{url}kernels/{first['kernel']['id']}/restart", headers=head, timeout=60
        ).ok
        assert requests.delete(f"{url}sessions/{first['id']}", headers=head, timeout=60).ok
        open_lesson("04.ipynb", answers)
        assert answers[-1].status_code == 201
        forker = psutil.Process(any_room.pid)
        until(lambda: len(forker.children()) == 2, "the kernel that makes room is not used")
    finally:
        server.kill()
        server.wait()
    until(lambda: not psutil.Process(any_room.pid).children(), "kernels are left")
