"""A room as its people meet it: who is let in, whose work is whose, what is killed and comes back,
and how it ends.

One room serves most of this file. Where root runs it, each learner is a user of their own, if other
users can run this Python at all; else all learners are one user.
"""

import asyncio
import contextlib
import datetime
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid
import zlib

import psutil
import pytest
import requests
import tornado.httpserver
import tornado.web
import tornado.websocket
import websocket
from axe_playwright_python.sync_playwright import Axe
from browser import another, chromium, require_chromium
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from other_users import APART, AS_ONE_USER, PREFIX, ROOT
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

pytest.importorskip("jupyterhub", reason="the room's libraries are not installed: trickkit[room]")

from trickkit.course import room
from trickkit.course.room import login, spawner

# what kernels are forked from has no torch here, which would take ten seconds of a processor
SERVE = """
import functools, json, sys
from trickkit.course import room
from trickkit.course.room import kernels
kernels.start = functools.partial(kernels.start, modules=("numpy",))
room.open_room(**json.loads(sys.argv[1]))
"""
SECRET = {"A_SECRET": "of the room's owner"}
needs_apart = pytest.mark.skipif(
    not APART, reason="only root can give learners users of their own, who must reach this Python"
)
needs_root = pytest.mark.skipif(not ROOT, reason="only root can make files another user's")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(condition, *, seconds=90):
    """What a condition returns, once that is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.1)
    return value


@contextlib.contextmanager
def a_folder():
    """For a room: other users could not enter pytest's own."""
    with tempfile.TemporaryDirectory(prefix="room") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


def left_over(folder):
    """The processes that have a folder in their environment, their command or their memory maps."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            if str(folder).encode() in said and int(process.name) != os.getpid():
                yield (process / "cmdline").read_text(encoding="utf-8")


class Opened:
    """A room that is open, or was refused.

    text: what it has said; up to its last line, if it could be opened.
    """

    def __init__(self, folder, *, apart=APART, **options):
        self.folder = folder
        self.port = options.setdefault("port", free_port())
        said = json.dumps({"folder": str(folder), "ip": "127.0.0.1"} | options)
        self.process = subprocess.Popen(
            [*([] if apart or not ROOT else AS_ONE_USER), sys.executable, "-c", SERVE, said],
            env=os.environ | SECRET,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.text = ""
        for line in self.process.stdout:
            self.text += line
            if line.startswith("Ctrl-C closes"):
                break
        self.base = f"http://127.0.0.1:{self.port}"

    @property
    def passwords(self):
        return json.loads((self.folder / "hub" / "passwords.json").read_text(encoding="utf-8"))

    def home(self, name):
        return self.folder / "homes" / name

    def kin(self, word):
        """The one process of this room whose command has a word, or None."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environment = process.environ().values()
                if word in process.cmdline() and any(str(self.folder) in e for e in environment):
                    return process
        return None

    def close(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.text += self.process.communicate(timeout=120)[0]
        return self.process.returncode


def server_of(opened, name):
    """The process of a learner's server."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "jupyterhub.singleuser" in process.cmdline() and (
                process.environ()["HOME"] == str(opened.home(name))
            ):
                return process
    return None


class Person:
    """Somebody at a browser of their own."""

    def __init__(self, opened, name):
        self.opened, self.name = opened, name
        self.session = requests.Session()

    def login(self, password=None, *, name=None, **more):
        """Fill in the page of the login, and send it; the answer, followed nowhere."""
        page = self.session.get(f"{self.opened.base}/hub/login")
        hidden = re.search(r'name="_xsrf" value="([^"]+)"', page.text)[1]
        fields = {
            "username": name or self.name,
            "password": self.opened.passwords["room"] if password is None else password,
        }
        return self.session.post(
            f"{self.opened.base}/hub/login",
            data=fields | {"_xsrf": hidden} | more,
            allow_redirects=False,
        )

    def open_lab(self):
        """Go where the login leads, and wait there until JupyterLab answers; the last answer."""
        answer = self.session.get(f"{self.opened.base}/hub/spawn")

        def arrived():
            nonlocal answer
            if "spawn-pending" in answer.url and answer.ok:
                answer = self.session.get(answer.url)
                return False
            return True

        until(arrived)
        return answer

    def api(self, method, path, **fields):
        """Ask the learner's server, as JupyterLab does."""
        user = urllib.parse.quote(login.tidied(self.name))
        token = self.session.cookies.get("_xsrf", path=f"/user/{user}/")
        return self.session.request(
            method,
            f"{self.opened.base}/user/{user}/{path}",
            headers={"X-XSRFToken": token},
            **fields,
        )

    def kernel(self):
        """Start a kernel; its id."""
        answer = self.api("POST", "api/kernels", json={"name": "python3"})
        assert answer.ok, answer.text
        return answer.json()["id"]

    def run(self, kernel, code):
        """What some code prints in a kernel."""
        user = urllib.parse.quote(login.tidied(self.name))
        where = f"{self.opened.base}/user/{user}/api/kernels/{kernel}/channels"
        cookie = self.session.prepare_request(requests.Request("GET", where)).headers["Cookie"]
        line = websocket.create_connection(where.replace("http", "ws"), cookie=cookie, timeout=90)
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.4"}
        header |= {"username": "", "session": "s", "date": "2030-01-01T00:00:00Z"}
        content = {"code": code, "silent": False, "store_history": False, "stop_on_error": True}
        asked = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        line.send(json.dumps(asked | {"channel": "shell", "buffers": []}))
        printed = ""
        with contextlib.closing(line):
            while True:
                heard = json.loads(line.recv())
                if heard["parent_header"].get("msg_id") != header["msg_id"]:
                    continue
                if heard["msg_type"] == "stream":
                    printed += heard["content"]["text"]
                if heard["msg_type"] == "error":
                    printed += "\n".join(heard["content"]["traceback"])
                if heard["msg_type"] == "status" and heard["content"]["execution_state"] == "idle":
                    return printed

    def save(self, file, text):
        """Write a file among the lessons."""
        body = {"type": "file", "format": "text", "content": text}
        assert self.api("PUT", f"api/contents/{file}", json=body).ok

    def read(self, file):
        return self.api("GET", f"api/contents/{file}").json()["content"]


@pytest.fixture(scope="module")
def opened():
    with a_folder() as folder:
        opened = Opened(folder / "room")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def ada(opened):
    """Ada, with her server running, and a file."""
    person = Person(opened, "Ada")
    assert person.login().headers["Location"] == "/hub/spawn"
    assert person.open_lab().url.endswith("/user/ada/lab/tree/00_start_here.ipynb")
    person.save("mine.txt", "forty-two")
    return person


@given(st.text(max_size=60))
def test_a_name_that_is_let_in_is_a_safe_folder(name):
    name = login.tidied(name)
    assert login.tidied(name) == name
    if not login.objection(name):
        assert pathlib.PurePath(name).parts == (name,) and name not in ("", ".", "..")
        assert name.isprintable() and name == name.strip() and name[0] not in "-."
        assert len(name.encode()) < 255


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" ADA ", "ada"),
        ("José  María", "josé mari\u0301a"),
        ("O’Brien", "o'brien"),
        ("Ｎｉｎａ", "nina"),
        ("李 明", "李 明"),
    ],
)
def test_one_name_however_it_is_typed(typed, kept):
    assert login.tidied(typed) == login.tidied(kept) and not login.objection(login.tidied(typed))


@pytest.mark.parametrize(
    "name",
    ["", " ", "..", "a/b", "../ada", "a\0b", "a\u202eb", "-rf", ".ada", "100%", "{ada}", "a" * 41],
)
def test_names_that_are_refused_with_a_sentence(name):
    assert login.objection(login.tidied(name)).endswith((".", "please."))


def test_new_passwords_are_long_enough_and_each_their_own():
    made = [login.new_passwords() for _ in range(20)]
    assert len({m["room"] for m in made}) == len({m["teacher"] for m in made}) == 20
    for m in made:
        assert re.fullmatch("[a-z]{4}-[a-z]{4}-[a-z]{4}", m["room"])
        assert not set(m["room"]) & set("lcqnuvw"), "letters that are read as others"
        assert len(m["teacher"]) >= 32 and urllib.parse.quote(m["teacher"]) == m["teacher"]
        assert login.as_on_the_board(f" {m['room'].replace('-', '  ').title()}") == m["room"]


def test_what_is_printed_opens_the_room(opened, ada):
    for word in (opened.base, *opened.passwords.values()):
        assert word in opened.text
    assert ("You are not root" in opened.text) == (not APART)
    for private in ("hub", "hub/passwords.json", "hub/hub.sqlite"):
        mode = (opened.folder / private).stat().st_mode
        assert private != "hub/passwords.json" or not mode & 0o077
    assert stat.S_IMODE((opened.folder / "hub").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"port": 0}, "port is 0"),
        ({"kernels": 1.5}, "kernels is 1.5"),
        ({"memory": 1}, "memory is 1"),
        ({"cert": "a.pem"}, "--key"),
        ({"cert": "a.pem", "key": "b.pem"}, "No such file"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(options, said, tmp_path):
    with pytest.raises(SystemExit, match=said):
        room.open_room(tmp_path / "room", **options)
    assert not (tmp_path / "room").exists()


@needs_root
def test_a_room_that_learners_cannot_enter_is_refused(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    refused = Opened(closed / "room", apart=True)
    assert refused.process.wait(60) == 1 and "cannot use what they need" in refused.text
    if APART:
        assert str(closed) in refused.text and "chmod o+x" in refused.text


@needs_root
def test_a_home_keeps_its_learner(tmp_path):
    for name, uid in (("ada", 20_001), ("bob", 20_003)):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, uid, uid)
    assert spawner.settle(tmp_path / "bob") == 20_003
    base = 20_000 + 1_000 * (zlib.crc32(bytes(tmp_path.resolve())) % 40)
    assert spawner.settle(tmp_path / "cleo") == base + 1 + (base == 20_000)
    assert (tmp_path / "cleo").stat().st_gid == (tmp_path / "cleo").stat().st_uid
    assert spawner.settle(tmp_path / "dan") == base + 2 + 2 * (base == 20_000)
    for uid in (0, 1000, 20_000, 65_534):  # the last is nobody, who has an account
        os.chown(tmp_path / "ada", uid, uid)
        with pytest.raises(spawner.NotReadyError, match=f"belongs to user {uid}"):
            spawner.settle(tmp_path / "ada")
    assert spawner.learner_ids(tmp_path) == {
        20_003,
        base + 1 + (base == 20_000),
        base + 2 + 2 * (base == 20_000),
    }


def certificate(folder):
    """The files of a certificate for this computer, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    whole = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(whole.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return [str(file) for file in files]


class Waits(tornado.web.RequestHandler):
    """Answers when all have asked."""

    waiting: set = set()
    all_here = asyncio.Event()

    async def get(self):
        self.waiting.add(self)
        if len(self.waiting) == 60:
            self.all_here.set()
        await self.all_here.wait()
        self.finish(self.request.headers["X-Forwarded-Proto"])


class Echo(tornado.websocket.WebSocketHandler):
    def select_subprotocol(self, subprotocols):
        return subprotocols[-1] if subprotocols else None

    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


async def through_the_proxy(folder):
    """What a server behind the proxy answers to sixty who ask at once, and to large and binary
    messages.
    """
    cert, key = certificate(folder)
    behind = tornado.httpserver.HTTPServer(
        tornado.web.Application(
            [("/wait", Waits), ("/echo", Echo)], websocket_max_message_size=10**9
        )
    )
    behind.listen(behind_port := free_port(), "127.0.0.1")
    ports = {"port": free_port(), "api-port": free_port()}
    options = {"ip": "127.0.0.1", "api-ip": "127.0.0.1", "log-level": "warn"} | ports
    options |= {"error-target": "http://127.0.0.1:1", "ssl-cert": cert, "ssl-key": key}
    proxy = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "trickkit.course.room.proxy"),
        *(f"--{name}={value}" for name, value in options.items()),
        env=os.environ | {"CONFIGPROXY_AUTH_TOKEN": "token"},
    )
    try:
        client = AsyncHTTPClient(force_instance=True, max_clients=100)
        route = {"target": f"http://127.0.0.1:{behind_port}"}
        for _ in range(300):
            with contextlib.suppress(OSError):
                await client.fetch(
                    f"http://127.0.0.1:{ports['api-port']}/api/routes/",
                    method="POST",
                    headers={"Authorization": "token token"},
                    body=json.dumps(route),
                )
                break
            await asyncio.sleep(0.1)
        base = f"https://localhost:{ports['port']}"
        asked = [client.fetch(f"{base}/wait", ca_certs=cert) for _ in range(60)]
        answers = [answer.body.decode() for answer in await asyncio.gather(*asked)]
        request = HTTPRequest(f"{base.replace('http', 'ws')}/echo", ca_certs=cert)
        line = await tornado.websocket.websocket_connect(
            request, max_message_size=10**9, subprotocols=["v0", "v1.kernel"]
        )
        echoes = [line.selected_subprotocol]
        for message in ("x" * 30_000_000, bytes(range(256))):
            await line.write_message(message, binary=isinstance(message, bytes))
            echoes.append(await line.read_message())
        line.close()
    finally:
        proxy.kill()
        await proxy.wait()
        behind.stop()
    return answers, echoes


def test_the_proxy_serves_many_at_once_and_any_message_over_tls(tmp_path):
    answers, (chosen, large, binary) = asyncio.run(through_the_proxy(tmp_path))
    assert len(answers) == 60 and all(answer.startswith("https") for answer in answers)
    assert chosen == "v1.kernel" and len(large) == 30_000_000 and binary == bytes(range(256))


@pytest.mark.skipif(not APART, reason="the other tests' room is such a one already")
def test_a_room_that_is_not_roots_says_so(tmp_path):
    """Started by root as somebody else, in a user namespace."""
    if subprocess.run([*AS_ONE_USER, "true"], capture_output=True).returncode:
        pytest.skip("this computer lets nobody make a user namespace")
    opened = Opened(tmp_path / "room", apart=False)
    try:
        assert "You are not root" in opened.text
        person = Person(opened, "Ada")
        assert person.login().ok and person.open_lab().ok
        assert person.run(person.kernel(), "print(6 * 7)") == "42\n"
    finally:
        assert opened.close() == 0
    assert list(left_over(opened.folder)) == []


def test_the_same_name_finds_the_same_work(opened, ada):
    again = Person(opened, "  aDA")
    assert again.login(opened.passwords["room"].upper().replace("-", " "), same="yes").ok
    assert again.open_lab().ok and again.read("mine.txt") == "forty-two"
    assert (opened.home("ada") / "my_course" / "mine.txt").read_text() == "forty-two"
    assert sorted(os.listdir(opened.folder / "homes")).count("ada") == 1


def test_somebody_else_of_that_name_is_told_so(opened, ada):
    other = Person(opened, "Ada")
    told = other.login()
    assert told.status_code == 409 and "Somebody called Ada is in the room already" in told.text
    assert 'name="same"' in told.text
    assert "/hub/spawn" not in other.session.get(f"{opened.base}/hub/spawn").url
    ada.session.get(f"{opened.base}/hub/logout")
    assert ada.login().status_code == 302, "her own browser is known, also after a logout"
    assert ada.open_lab().ok
    assert other.login(same="yes").status_code == 302


def test_names_that_nobody_uses_now_are_free(opened):
    first, second = Person(opened, "Grace"), Person(opened, "Grace")
    assert first.login().status_code == second.login().status_code == 302


def test_a_wrong_password_is_told_what_to_do_and_locks_nobody_out(opened):
    person = Person(opened, "Emmy")
    for wrong in ("panda", "", "π≠3", "x" * 100_000, *map(str, range(30))):
        answer = person.login(wrong)
        assert answer.status_code == 403 and "look at the board" in answer.text
    assert person.login().status_code == 302


@pytest.mark.parametrize("name", ["../ada", "100% Ada", "<b>", " "])
def test_a_name_that_cannot_be_is_answered_with_a_sentence(opened, name):
    answer = Person(opened, name).login()
    assert answer.status_code == 403 and 'role="alert"' in answer.text
    assert "<b>" not in answer.text


def test_the_teacher_alone_manages_the_room(opened, ada):
    teacher = Person(opened, "Teacher")
    told = teacher.login()
    assert told.status_code == 403 and "teacher&#39;s password" in told.text
    assert teacher.login(opened.passwords["teacher"]).headers["Location"] == "/services/board/"
    assert teacher.session.get(f"{opened.base}/hub/admin").status_code == 200
    assert ada.session.get(f"{opened.base}/hub/admin").status_code == 403
    until(lambda: opened.kin("trickkit.course.room.board"))
    assert ada.session.get(f"{opened.base}/services/board/").status_code == 403
    stranger = Person(opened, "Ada")
    assert stranger.login(opened.passwords["teacher"]).status_code == 403


LOOK = """
import os, pathlib
room = pathlib.Path({room!r})
for place in ("homes/ada", "homes/ada/my_course", "hub", "homes"):
    try:
        print(place, len(os.listdir(room / place)))
    except PermissionError:
        print(place, "refused")
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if b"of the room's owner" in (process / "environ").read_bytes():
            print("a secret")
    except OSError:
        pass
print(os.getuid(), os.getgroups(), pathlib.Path.home(), os.environ["TRICKKIT_PROGRESS"])
print(sorted(name for name in os.environ if "CONFIGPROXY" in name or "ROOM" in name))
"""


@pytest.fixture(scope="module")
def bob(opened):
    person = Person(opened, "Bob")
    assert person.login().ok and person.open_lab().ok
    return person


def test_a_learner_sees_nothing_of_another_nor_of_the_hub(opened, ada, bob):
    *places, whose, told = bob.run(bob.kernel(), LOOK.format(room=str(opened.folder))).splitlines()
    if APART:
        assert places == ["homes/ada refused", "homes/ada/my_course refused", "hub refused",
                          "homes refused"]  # fmt: skip
        uid = opened.home("bob").stat().st_uid
        assert uid > 20_000 and uid != opened.home("ada").stat().st_uid
        assert whose.startswith(f"{uid} [")
        assert set(json.loads(whose[len(f"{uid} ") :].partition("]")[0] + "]")) <= {uid}
    assert whose.endswith(f"{opened.home('bob')} {opened.home('bob')}/my_course/progress.jsonl")
    assert told == "[]"
    assert stat.S_IMODE(opened.home("bob").stat().st_mode) == 0o700


def test_a_killed_server_starts_again_with_its_files(opened, ada, bob):
    bob.save("notes.txt", "still here")
    killed = server_of(opened, "bob")
    killed.kill()
    until(lambda: "/user/bob/" not in bob.session.get(f"{opened.base}/hub/spawn").url)
    assert bob.open_lab().ok and bob.read("notes.txt") == "still here"
    assert server_of(opened, "bob").pid != killed.pid and ada.read("mine.txt")


def test_a_server_that_cannot_start_is_told_at_once(opened):
    home = opened.home("kurt")
    home.mkdir(mode=0o700)
    (home / ".local").write_text("where Jupyter wants a folder", encoding="utf-8")
    if APART:
        os.chown(home, 20_600, 20_600)
    person = Person(opened, "Kurt")
    assert person.login().ok
    answer = person.open_lab()
    assert answer.status_code == 500 and "JupyterLab has ended at its start" in answer.text
    (home / ".local").unlink()
    assert person.open_lab().ok, "and the next time it starts"


def test_a_killed_proxy_comes_back(opened, ada):
    opened.kin("trickkit.course.room.proxy").kill()

    def answers():
        with contextlib.suppress(requests.ConnectionError):
            return ada.api("GET", "api/contents/mine.txt").ok

    until(answers)


def test_a_killed_hub_comes_back_and_finds_the_servers(opened, ada):
    kernel = ada.kernel()
    ada.run(kernel, "treasure = 6 * 7")
    server, hub = server_of(opened, "ada").pid, opened.kin("trickkit.course.room.config")
    hub.kill()
    until(lambda: opened.kin("trickkit.course.room.config") not in (None, hub))

    def answers():
        with contextlib.suppress(requests.ConnectionError):
            return ada.session.get(f"{opened.base}/hub/home").ok

    until(answers)
    assert ada.run(kernel, "print(treasure)") == "42\n"
    assert server_of(opened, "ada").pid == server
    assert len([p for p in left_over(opened.folder) if "room.proxy" in p]) == 1
    assert Person(opened, "Late").login().status_code == 302


def test_a_second_room_is_refused_with_a_sentence(opened):
    second = Opened(opened.folder)
    assert second.process.wait(60) == 1 and "open already" in second.text
    with a_folder() as folder:
        second = Opened(folder / "other", port=opened.port)
        assert second.process.wait(60) == 1
        assert f"port {opened.port}" in second.text and "--port" in second.text
        second.process.stdout.close()


def test_the_pages_are_for_everybody(opened, ada):
    """Nothing for axe-core to complain of, in the light, in the dark, on a phone; by keyboard; and
    the page that waits goes on by itself."""
    require_chromium()

    def fine(page):
        found = Axe().run(page).response["violations"]
        assert not [(one["id"], [n["html"] for n in one["nodes"]]) for one in found]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    def come(page, name):
        page.get_by_label("Your first name").fill(name)
        page.get_by_label("The room’s password").fill(opened.passwords["room"])
        page.keyboard.press("Enter")

    with chromium() as page:
        dark = another(page.context.browser, color_scheme="dark")
        dark.set_viewport_size({"width": 320, "height": 640})
        for one in (page, dark):
            one.goto(opened.base)
            fine(one)
            come(one, "Ada")
            one.get_by_role("alert").wait_for()
            fine(one)
        come(page, "Ida")
        page.get_by_role("heading", name="Your lessons are being opened").wait_for()
        fine(page)
        page.wait_for_url("**/user/ida/lab/**", timeout=90_000)
        dark.get_by_label("The room’s password").fill(opened.passwords["room"])
        dark.keyboard.press("Shift+Tab")
        dark.keyboard.press("Space")
        dark.keyboard.press("Enter")
        dark.wait_for_url("**/user/ada/lab/**", timeout=90_000)


def test_the_teachers_page_follows_and_a_hand_is_answered(opened, ada):
    """In a browser, which tells the hub that a script fetches: the hub then wants a token."""
    require_chromium()
    until(lambda: opened.kin("trickkit.course.room.board"))

    def hand(method="GET", **said):
        return ada.api(method, "trickkit/hand", **({"json": said} if said else {})).json()["up"]

    with chromium() as page:
        page.goto(f"{opened.base}/services/board/")
        page.get_by_label("Your first name").fill("teacher")
        page.get_by_label("The room’s password").fill(opened.passwords["teacher"])
        page.keyboard.press("Enter")
        page.wait_for_url("**/services/board/")
        assert hand("POST", lesson="03 panda_to_vulture", up=True)
        button = page.get_by_role("button", name="I have been with ada")
        button.wait_for()  # without a reload
        assert not Axe().run(page).response["violations"]
        assert page.locator("#lost").is_hidden() and hand()
        button.click()
        page.get_by_text("Nobody.", exact=True).wait_for()
        assert not hand()
        page.wait_for_timeout(1000)  # an event's time has no fractions
        assert hand("POST", lesson="03 panda_to_vulture", up=True)
        button.wait_for()
        hand("POST", lesson="03 panda_to_vulture", up=False)
        button.wait_for(state="detached")


@needs_apart
def test_nothing_is_written_through_a_learners_symlink(opened):
    """Who puts a symlink where their lessons are to be makes nobody else write there."""
    victim = opened.folder.parent / "victim"
    victim.mkdir(mode=0o755)
    (victim / "mine.txt").write_text("untouched", encoding="utf-8")
    home = opened.home("mallory")
    home.mkdir(mode=0o700)
    for name, target in (("my_course", victim), (".cache", victim), (".local", victim)):
        (home / name).symlink_to(target)
    (home / "server.log").symlink_to(victim / "mine.txt")
    os.chown(home, 20_500, 20_500)
    person = Person(opened, "Mallory")
    assert person.login().ok
    answer = person.open_lab()
    assert answer.status_code == 500 and "Your lessons could not be brought" in answer.text
    assert os.listdir(victim) == ["mine.txt"]
    assert (victim / "mine.txt").read_text(encoding="utf-8") == "untouched"
    assert victim.stat().st_uid == 0


@pytest.mark.skipif(
    bool(PREFIX),
    reason="each room is in a user namespace of its own here, and sees nothing of the one before",
)
def test_a_room_that_crashed_finds_its_servers_and_one_that_ends_leaves_none(opened, ada):
    kernel = ada.kernel()
    ada.run(kernel, "treasure = 6 * 7")
    ada.run(kernel, "import subprocess; asleep = subprocess.Popen(['sleep', '987654'])")
    uid = opened.home("ada").stat().st_uid
    opened.process.kill()
    opened.process.communicate()
    again = Opened(opened.folder, port=opened.port)
    assert again.passwords == opened.passwords
    assert until(lambda: ada.run(kernel, "print(treasure)")) == "42\n"
    assert again.close(signal.SIGTERM) == 0 and "is closed" in again.text
    assert list(left_over(opened.folder)) == []
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if "987654" in (p.info["cmdline"] or [])
    ]
    assert not list((opened.folder / "hub").glob("*.sqlite*"))

    third = Opened(opened.folder)
    try:
        person = Person(third, "ada")
        assert person.login().status_code == 302, "nobody is in a room that was just opened"
        assert person.open_lab().ok and person.read("mine.txt") == "forty-two"
        assert third.home("ada").stat().st_uid == uid
    finally:
        assert third.close() == 0
    assert list(left_over(opened.folder)) == []
