"""What a room costs, and what it bears: python benchmarks/room.py [LEARNERS] [--tiny]

Forty learners (or LEARNERS) log in to a room on this computer at once, and each runs the whole of
lesson 03 as JupyterLab does. Then processes are killed, one learner takes all they can get, and
another, the bystander, who runs a tiny cell each second, tells whether anybody else noticed. They
are all played by this one process. Where root runs it, their homes are a small disk in memory.
"""

import asyncio
import contextlib
import itertools
import json
import math
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

import httpx
import nbformat
import psutil
from jupyter_server.services.kernels.connection import base
from nbformat.v4 import new_code_cell, new_notebook, new_output, output_from_msg
from side_by_side import sized, table
from tornado import httpclient
from tornado.websocket import WebSocketError, websocket_connect

from trickkit import folders

DEADLINE = sized(45, 5) * 60  # seconds for everything
PATIENCE = 180  # seconds for one misfortune, and for any answer
TRIP = 10  # seconds after which the bystander has waited in vain
MEMORY = sized(4, 2)  # gigabytes for a kernel, of which PyTorch takes one
DISK = 40_000_000  # bytes for each home
BOMB = sized(10, 2)  # seconds from a fork bomb to the restart of its kernel
WRONG = sized(1000, 20)  # passwords
PROTOCOL = "v1.kernel.websocket.jupyter.org"
VULTURE = re.compile(": vulture$", re.MULTILINE)  # what the cell prints that shows it first
SAID = new_output("stream", text="steps 1: vulture\n")
TINY = new_notebook(cells=[new_code_cell("print('steps 1: vulture')", outputs=[SAID])])
MORE = "many = []\nwhile True:\n    many.append(b'x' * 1_000_000)"
FILL = "with open('filler', 'wb', 0) as file:\n    while True:\n        file.write(bytes(10**6))"
LIMITS = "import os, resource; print(os.getuid(), resource.getrlimit(resource.RLIMIT_NPROC)[0])"
# ends by itself, should nobody restart the kernel
FORKS = """import os, time
first, end = os.getpid(), time.monotonic() + 60
while time.monotonic() < end:
    try:
        os.fork()
    except OSError:
        pass
if os.getpid() != first:
    os._exit(0)"""


class Failure(Exception):
    """An answer that is not the one wanted."""


class Skipped(Exception):
    """Why something cannot be tried here."""


FAILED = (Failure, httpx.HTTPError, httpclient.HTTPError, WebSocketError, OSError, psutil.Error)


async def until(works, *, seconds=TRIP):
    """Try until it goes, each time for so many seconds."""
    while True:
        with contextlib.suppress(*FAILED):
            async with asyncio.timeout(seconds):
                return await works()
        await asyncio.sleep(0.5)


class Room:
    """A room that is open; disk tells whether the homes have one of their own."""

    def __init__(self, folder, learners):
        self.folder, self.homes = folder, folder / "homes"
        self.homes.mkdir()
        size = f"size={DISK * (learners + 1)},mode=711"
        mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.homes)]
        self.disk = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True).returncode
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        options = [f"--folder={folder}", f"--port={port}", "--ip=127.0.0.1", f"--memory={MEMORY}"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trickkit", "room", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def open(self):
        """Wait until learners can come."""
        said = ""
        while not said.endswith("Ctrl-C closes the room.\n"):
            if not (line := self.process.stdout.readline()):
                sys.exit(said)
            said += line
        file = self.folder / "hub" / "passwords.json"
        self.password = json.loads(file.read_text(encoding="utf-8"))["room"]

    def kin(self, word):
        """The first of the room's own processes that runs one of its modules."""
        mine = psutil.Process(self.process.pid).children(recursive=True)
        for process in sorted(mine, key=psutil.Process.create_time):
            with contextlib.suppress(psutil.Error):
                if f"trickkit.course.room.{word}" in process.cmdline():
                    return process
        raise Failure(f"there is no {word}")

    def servers(self):
        """{learner: their server's process}."""
        found = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if "jupyterhub.singleuser" in process.cmdline():
                    home = pathlib.Path(process.environ()["HOME"])
                    found |= {home.name: process} if home.parent == self.homes else {}
        return found

    def close(self):
        """Close the room, give the disk back, and tell what is left over."""
        self.process.terminate()
        self.process.communicate()
        left = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if str(self.folder) in f"{process.cmdline()}{process.environ()}":
                    left.append(process.pid)
        if self.disk:
            # lazily, for what is being killed may take its time
            subprocess.run(["umount", "--lazy", str(self.homes)], check=True)
        print(f"\nThe room is closed, {len(left)} of its processes are left.")


class Person:
    """Somebody at a browser of their own.

    at: {what was reached: when}; failures, others: what went wrong, and what was printed but is not
    stored; trips: (when it was over, its milliseconds or None) of each round trip of a bystander's.
    """

    def __init__(self, room, name):
        self.room, self.name, self.line = room, name, None
        self.at, self.failures, self.others, self.trips = {}, [], [], []
        options = {"timeout": PATIENCE, "follow_redirects": True, "trust_env": False}
        self.client = httpx.AsyncClient(base_url=room.base, **options)

    async def ask(self, method, path, **more):
        """An answer to go on with."""
        answer = await self.client.request(method, path, **more)
        if answer.is_error:
            raise Failure(f"{answer.status_code} {answer.text[:200]}")
        return answer

    async def api(self, method, path, **more):
        """Ask the learner's own server."""
        head = {"X-XSRFToken": self.client.cookies.get("_xsrf", path=f"/user/{self.name}/")}
        return await self.ask(method, f"/user/{self.name}/{path}", headers=head, **more)

    async def login(self, password=None):
        """Fill in the login's form; the answer, followed nowhere."""
        page = await self.ask("GET", "/hub/login")
        fields = {"username": self.name, "password": password or self.room.password}
        fields["_xsrf"] = re.search(r'name="_xsrf" value="([^"]+)"', page.text)[1]
        return await self.client.post("/hub/login", data=fields, follow_redirects=False)

    async def open_lab(self):
        """Go where the login leads, and wait as that page does until JupyterLab is there."""
        answer = await self.ask("GET", "/hub/spawn")
        while "spawn-pending" in answer.url.path:
            await asyncio.sleep(2)
            answer = await self.ask("GET", answer.url)

    async def open_book(self, path):
        """Open a notebook with its kernel, as JupyterLab does."""
        wanted = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        self.kernel = (await self.api("POST", "api/sessions", json=wanted)).json()["kernel"]["id"]
        await self.connect()

    async def connect(self):
        """Connect with the kernel that is open, and wait for its first reply."""
        if self.line:
            self.line.close()
        where = f"/user/{self.name}/api/kernels/{self.kernel}/channels?session_id={self.name}"
        asked = self.client.build_request("GET", where)
        cookie = {"Cookie": asked.headers["Cookie"]}
        url = str(asked.url).replace("http", "ws", 1)
        request = httpclient.HTTPRequest(url, headers=cookie, request_timeout=PATIENCE)
        options = {"subprotocols": [PROTOCOL], "max_message_size": 10**9}
        self.line = await websocket_connect(request, **options)
        asked = self.send("kernel_info_request", {})
        while (await self.hear())[:2] != (asked, "kernel_info_reply"):
            pass

    def send(self, kind, content):
        """Send the kernel a message; its number."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "version": "5.4", "username": ""}
        header |= {"session": self.name, "date": "2030-01-01T00:00:00Z"}
        parts = [json.dumps(part).encode() for part in (header, {}, {}, content)]
        self.line.write_message(base.serialize_msg_to_ws_v1(parts, "shell"), binary=True)
        return header["msg_id"]

    def execute(self, code):
        """Send the kernel a cell; the message's number."""
        content = {"code": code, "silent": False, "store_history": True, "stop_on_error": True}
        more = {"user_expressions": {}, "allow_stdin": False}
        return self.send("execute_request", content | more)

    async def hear(self):
        """(whose answer, of what kind, its content) comes next from the kernel.

        Raises Failure where the connection is closed, or the kernel has died.
        """
        if (message := await self.line.read_message()) is None:
            raise Failure("the connection with the kernel is closed")
        header, parent, _, content = map(
            json.loads, base.deserialize_msg_from_ws_v1(message)[1][:4]
        )
        if content.get("execution_state") in ("restarting", "autorestarting", "dead"):
            raise Failure("the kernel has died")
        return parent.get("msg_id"), header["msg_type"], content

    async def run(self, *codes):
        """Run cells, all sent at once; yields each one's outputs as it has ended."""
        for number in [self.execute(code) for code in codes]:
            outputs, shown, over = [], {}, False
            while not over:
                whose, kind, content = await self.hear()
                if whose != number:
                    continue
                if kind in ("stream", "display_data", "execute_result", "error"):
                    heard = {"header": {"msg_type": kind}, "content": content, "metadata": {}}
                    outputs.append(output_from_msg(heard))
                    shown[content.get("transient", {}).get("display_id")] = outputs[-1]
                elif kind == "update_display_data":
                    shown[content["transient"]["display_id"]]["data"] = content["data"]
                over = content.get("execution_state") == "idle"
            yield outputs

    async def told(self, code):
        """What one cell prints, errors among it."""
        [outputs] = [one async for one in self.run(code)]
        said = "".join(o.get("text", "") + "\n".join(o.get("traceback", ())) for o in outputs)
        return re.sub(r"\x1b\[[\d;]*m", "", said)  # tracebacks are coloured

    async def works(self):
        """Run a tiny cell.

        Raises Failure where it prints anything else.
        """
        if (said := await self.told("print(6 * 7)")) != "42\n":
            raise Failure(said)

    async def save(self, name, text):
        """Write a file among the lessons."""
        body = {"type": "file", "format": "text", "content": text}
        await self.api("PUT", f"api/contents/{name}", json=body)

    async def take(self, name, stored):
        """Log in, open a lesson, run all its cells, and look at what they print.

        stored: the course's own notebook, for learners' copies have no outputs.
        """
        try:
            if (answer := await self.login()).is_error:
                raise Failure(f"login: {answer.status_code}")
            self.at["logged in"] = time.monotonic()
            await self.open_lab()
            self.at["server ready"] = time.monotonic()
            if stored is TINY:
                body = {"type": "notebook", "content": TINY}
                await self.api("PUT", f"api/contents/{name}", json=body)
            mine = (await self.api("GET", f"api/contents/{name}")).json()["content"]["cells"]
            await self.open_book(name)
            self.at["kernel ready"] = time.monotonic()
            cells = [cell for cell in stored.cells if cell.cell_type == "code"]
            first = next(c for c in cells if VULTURE.search(printed(c.outputs).get("stdout", "")))
            codes = [cell["source"] for cell in mine if cell["cell_type"] == "code"]
            left = iter(cells)
            async for outputs in self.run(*codes):
                if (cell := next(left)) is first:
                    self.at["vulture shown"] = time.monotonic()
                self.failures += [f"{o.ename}: {o.evalue}" for o in outputs if "ename" in o]
                if "nbval-ignore-output" not in cell.metadata.get("tags", ()):
                    self.compare(printed(outputs), printed(cell.outputs))
            self.at["lesson done"] = time.monotonic()
            self.pid = int(await self.told("import os; print(os.getpid())"))
        except FAILED as error:
            self.failures.append(f"{type(error).__name__} {error}")

    def compare(self, said, stored):
        """Keep what a cell says otherwise than is stored."""
        for name in said | stored:
            if said.get(name, "") != stored.get(name, ""):  # a bar that is gone leaves ""
                self.others.append(f"{said.get(name)!r:.120} is not {stored.get(name)!r:.120}")

    async def stand_by(self):
        """Run a tiny cell each second, until cancelled."""
        while True:
            start, took = time.monotonic(), None
            with contextlib.suppress(*FAILED):
                async with asyncio.timeout(TRIP):
                    if self.trips and self.trips[-1][1] is None:
                        await self.connect()
                    await self.works()
                    took = 1000 * (time.monotonic() - start)
            self.trips.append((time.monotonic(), took))
            await asyncio.sleep(max(0, start + 1 - time.monotonic()))


def printed(outputs):
    """What outputs say in words, {of what kind: all of it}."""
    said = {}
    for one in outputs:
        name = one.get("name", "text/plain")
        text = one.get("text") or one.get("data", {}).get("text/plain", "")
        said[name] = said.get(name, "") + text
    return said


class Meter:
    """The memory that this computer has used at most, above before, and this process's work."""

    def __init__(self):
        self.before, self.most = psutil.virtual_memory().available, 0
        self.began, self.spent = time.monotonic(), time.process_time()

    async def watch(self, people):
        """Go on until cancelled, with a line each minute."""
        for look in itertools.count(1):
            self.most = max(self.most, self.before - psutil.virtual_memory().available)
            if look % 300 == 0:
                reached = [max(person.at, key=person.at.get, default="") for person in people]
                say(", ".join(f"{reached.count(r)} {r}" for r in dict.fromkeys(reached)))
            await asyncio.sleep(0.2)

    def share(self):
        """What part of the processor's time was this process's."""
        spent = time.process_time() - self.spent
        return f"{spent / (time.monotonic() - self.began) / psutil.cpu_count():.1%}"


def say(words):
    """Tell, beside the tables, how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


@contextlib.asynccontextmanager
async def meanwhile(work):
    """Have something go on beside."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def spread(numbers, unit):
    """Two columns of a table."""
    return {f"{unit}, median": statistics.median(numbers), f"{unit}, worst": max(numbers)}


def pss(*processes):
    """MiB of each; what several share is divided among them."""
    return [process.memory_full_info().pss / 2**20 for process in processes]


async def lesson(room, people, meter):
    """Have all take the lesson at once, and print what it cost."""
    file = next(folders.ROOT.glob("notebooks/03_*.ipynb"))
    stored = sized(nbformat.read(file, as_version=4), TINY)
    name = sized(file.name, "tiny.ipynb")
    start = time.monotonic()
    async with meanwhile(meter.watch(people)):
        await asyncio.gather(*(person.take(name, stored) for person in people))
    share = meter.share()
    stages = max((person.at for person in people), key=len)
    times = {s: [p.at[s] - start for p in people if s in p.at] for s in stages}
    rows = {s: spread(t, "seconds") | {"learners": len(t)} for s, t in times.items()}
    table(f"{len(people)} at once, from the beginning", rows)
    done, servers = [p for p in people if "lesson done" in p.at], room.servers()
    memory = {
        "a learner's server": pss(*(servers[person.name] for person in done)),
        "a learner's kernel": pss(*(psutil.Process(person.pid) for person in done)),
        "the hub": pss(room.kin("config")),
        "its proxy": pss(room.kin("proxy")),
        "what kernels are forked from": pss(room.kin("forked")),
        "this computer, at most, above before": [meter.most / 2**20],
    }
    if room.disk:
        memory["of that, the homes"] = [psutil.disk_usage(str(room.homes)).used / 2**20]
    table("Memory after the lesson", {n: spread(m, "MiB") for n, m in memory.items() if m})
    exact = sum(not person.others for person in done)
    print(f"\n- {exact} of {len(people)} printed just the stored outputs.")
    print(f"- The client, which is all learners, took {share} of the processor.")
    wrong = [f"- {person.name}: {w}" for person in people for w in person.failures + person.others]
    print("\n".join(wrong or ["- Nothing failed."]))
    return done


# The misfortunes: each returns what to add in words, once all is well again.


async def kernel_killed(victim):
    os.kill(victim.pid, signal.SIGKILL)
    await until(victim.works)


async def server_killed(victim):
    async def back():
        await victim.open_lab()
        await victim.open_book("00_start_here.ipynb")
        await victim.works()

    victim.room.servers()[victim.name].kill()
    await until(back, seconds=60)


async def killed(victim, word):
    """One of the room's own processes: well is who can run a cell in their kernel, and log in."""

    async def back():
        if victim.room.kin(word) == gone:
            raise Failure("it still stands")
        await victim.connect()
        await victim.works()
        await victim.ask("GET", "/hub/home")

    gone = victim.room.kin(word)
    gone.kill()
    await until(back)


async def memory_taken(victim):
    if psutil.virtual_memory().available < 1.5e9 * MEMORY:
        raise Skipped("there is too little memory")
    sentence = re.search("This room gives a kernel[^\n]*", await victim.told(MORE))
    await victim.told("del many")
    await victim.works()
    return f"the learner reads “{sentence[0]}”" if sentence else "no sentence comes"


async def bombed(victim):
    uid, most = map(int, (await victim.told(LIMITS)).split())
    if uid <= 20_000 or not 0 < most <= 1000:
        raise Skipped("only root can give learners users of their own, with so many processes")

    def running():
        return sum(p.info["uids"].real == uid for p in psutil.process_iter(["uids"]))

    async def restart():
        await victim.api("POST", f"api/kernels/{victim.kernel}/restart")
        await victim.connect()
        await victim.works()

    victim.execute(FORKS)
    await asyncio.sleep(BOMB)
    processes = running()
    await until(restart, seconds=60)
    while running() > 20:  # those that are being killed
        await asyncio.sleep(0.5)
    return f"{processes} processes"


async def disk_filled(victim, bystander):
    if not victim.room.disk:
        raise Skipped("only root can give the homes a disk of their own")
    words = [f"the cell ends with “{(await victim.told(FILL)).splitlines()[-1]}”"]
    for who, person in (("the learner", victim), ("the bystander", bystander)):
        try:
            await person.save("mine.txt", "more" * 100_000)
            words.append(f"{who} could save")
        except Failure as error:
            cause = re.search("No space left on device", str(error))
            words.append(f"{who} cannot save (“{cause[0] if cause else error}”)")
    await victim.told("import os; os.remove('filler')")
    await victim.save("more.txt", "saved")
    await bystander.save("more.txt", "saved")
    await victim.works()
    return "; ".join(words)


async def same_name(victim):
    answer = await Person(victim.room, victim.name).login()
    alert = re.search(r'role="alert"[^>]*>(.*?)<', answer.text, re.DOTALL)
    await victim.works()
    return f"{answer.status_code}, “{' '.join(alert[1].split()) if alert else ''}”"


async def wrong_passwords(victim):
    hub = victim.room.kin("config")

    async def guess(number):
        somebody = Person(victim.room, f"somebody{number}")
        return [(await somebody.login("wrong")).status_code for _ in range(WRONG // 10)]

    before = sum(hub.cpu_times()[:2])
    codes = sum(await asyncio.gather(*map(guess, range(10))), [])
    spent = sum(hub.cpu_times()[:2]) - before
    right = "is refused" if (await Person(victim.room, "late").login()).is_error else "is let in"
    refused = f"{codes.count(403)} of {WRONG} refused, {spent:.1f} s of the hub's processor"
    return f"{refused}; who then knows it {right}"


async def befall(misfortune, bystander, people):
    """A row of the table, and a sentence on who noticed."""
    for person in people - {bystander}:  # as the page does by itself
        await until(person.connect)
    first, start, words = len(bystander.trips), time.monotonic(), None
    try:
        async with asyncio.timeout(PATIENCE):
            words = await misfortune()
    except FAILED as error:
        words = f"it did not end well: {type(error).__name__} {error}"
    over = time.monotonic()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not any(took and end > over + 1 for end, took in bystander.trips[first:]):
                await asyncio.sleep(0.1)
    trips = bystander.trips[first:]
    good = [end for end, took in trips if took] + [time.monotonic()]
    gap = max(end - before for before, end in zip([start, *good], good, strict=False))
    failed, lost = sum(took is None for _, took in trips), 0
    for person in people:
        home = person.room.homes / person.name
        lost += (home / "my_course" / "mine.txt").read_text(encoding="utf-8") != "saved"
        lost += '"help"' not in (home / "my_course" / "progress.jsonl").read_text(encoding="utf-8")
    row = {"seconds till well": over - start, "round trips": len(trips), "failed": failed}
    row |= spread([took for _, took in trips if took] or [math.nan], "ms") | {"files lost": lost}
    noticed = f"the bystander noticed: nothing for {gap:.1f} s" if failed else "nobody else noticed"
    return row, "; ".join(filter(None, [noticed, words]))


async def misfortunes(room, people):
    """Have each misfortune befall one of those who are there, and print what came of it."""
    bystander = Person(room, "bystander")
    await bystander.login()
    await bystander.open_lab()
    await bystander.open_book("00_start_here.ipynb")
    first, last = people[0], people[-1]
    careful = {first, last, bystander}
    for person in careful:
        await person.save("mine.txt", "saved")
        await person.api("POST", "trickkit/hand", json={"lesson": "03", "up": True})
    each = {
        "nothing": lambda: asyncio.sleep(sized(20, 1)),
        "a kernel is killed": lambda: kernel_killed(first),
        "a server is killed": lambda: server_killed(last),
        "the proxy is killed": lambda: killed(first, "proxy"),
        "the hub is killed": lambda: killed(first, "config"),
        "two of one name": lambda: same_name(first),
        f"{WRONG} wrong passwords": lambda: wrong_passwords(first),
        "memory without end": lambda: memory_taken(first),
        "a fork bomb": lambda: bombed(last),
        "a full disk": lambda: disk_filled(last, bystander),
    }
    rows, said = {}, []
    try:
        async with meanwhile(bystander.stand_by()):
            for name, misfortune in each.items():
                try:
                    rows[name], words = await befall(misfortune, bystander, careful)
                except Skipped as why:
                    words = f"not tried, for {why}"
                say(f"{name}: {words}")
                said.append(f"- {name}: {words}.")
    finally:  # also at the deadline
        if rows:
            table(f"Beside {len(people)} with their lesson open", rows)
            print("\n" + "\n".join(said))


async def main(learners):
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    meter = Meter()
    with tempfile.TemporaryDirectory(prefix="room") as folder:
        os.chmod(folder, 0o755)  # other users are to enter
        room = Room(pathlib.Path(folder), learners)
        try:
            async with asyncio.timeout(DEADLINE):
                await asyncio.to_thread(room.open)
                people = [Person(room, f"learner{number}") for number in range(1, learners + 1)]
                if done := await lesson(room, people, meter):
                    await misfortunes(room, done)
        finally:
            room.close()


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--tiny"]
    asyncio.run(main(sized(int(words[0]) if words else 40, 1)))
