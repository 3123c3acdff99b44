"""The studio's server as other programs meet it: who is let in, what they can reach, what is told
of what goes wrong, and how it ends."""

import contextlib
import re
import signal
import socket
import stat
import threading
import time
import urllib.parse

import psutil
import pytest
import requests
from browser import the_studio

from trickkit import data
from trickkit.course import studio

DREAM = {
    "kind": "dream",
    "photo": "cat",
    "layer": "network.blocks.1",
    "octaves": "1",
    "steps": "5",
    "side": "256",
}


class Visitor:
    """One browser's cookies, without the browser."""

    def __init__(self, link: str, gallery: str = "mine"):
        self.session = requests.Session()
        self.base = link.partition("/?")[0]
        self.gallery = gallery
        self.page = self.session.get(link)

    def get(self, path: str, **query: str) -> requests.Response:
        return self.session.get(self.base + path, params={"gallery": self.gallery} | query)

    def post(self, path: str, fields: dict, **files: bytes) -> requests.Response:
        token = re.search(r'name="_xsrf" value="([^"]+)"', self.page.text)[1]
        return self.session.post(
            self.base + path,
            params={"gallery": self.gallery},
            data=fields,
            files={name: ("my cup.png", content) for name, content in files.items()} or None,
            headers={"X-XSRFToken": token},
        )

    def state(self) -> dict:
        return self.get("/state").json()

    def until(self, condition) -> dict:
        """The state, once it is such."""
        deadline = time.monotonic() + 120
        while not condition(state := self.state()):
            assert time.monotonic() < deadline, state
            time.sleep(0.2)
        return state


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    home = tmp_path_factory.mktemp("studio") / "home"
    with the_studio(home) as (process, link):
        yield home, process, link


@pytest.fixture
def visitor(served):
    return Visitor(served[2])


def test_a_dream_is_asked_for_followed_and_downloaded(served, visitor):
    assert visitor.post("/ask", DREAM).text == "Asked for: see above how it grows."
    (job,) = visitor.until(lambda state: state["jobs"][0]["state"] == "done")["jobs"]
    assert job["says"] == "cat dreaming: finished." and job["share"] == 1 and not job["made"]
    (name,) = visitor.state()["pictures"]
    assert job["kept"] == name and visitor.get(job["preview"]).content.startswith(b"\xff\xd8")
    assert max(data.photo(visitor.get(job["before"]).content).shape) == 256
    path = f"/kept/mine/{urllib.parse.quote(name)}"
    content = visitor.get(path).content
    assert content == (served[0] / "mine" / name).read_bytes()
    assert max(data.photo(content).shape) == 256
    assert visitor.get(path, small="1").headers["Content-Type"] == "image/jpeg"
    assert stat.S_IMODE((served[0] / "mine").stat().st_mode) == 0o700
    assert stat.S_IMODE(served[0].stat().st_mode) == 0o700


def test_without_the_token_nothing_is_served(served, visitor):
    base = visitor.base
    for path in (
        "/",
        "/page.js",
        "/ours/photo/cat",
        "/state",
        "/preview/0",
        "/made/0",
        "/kept/a/b",
    ):
        for query in ("", "?token=", "?token=guess", f"?token={'é' * 16}"):
            answer = requests.get(base + path + query)
            assert answer.status_code == 403 and "link that the studio printed" in answer.text
    for path in ("/ask", "/cancel/0"):
        assert requests.post(base + path, data=DREAM).status_code == 403
        other_site = visitor.session.post(base + path, data=DREAM)  # has the cookie, not the form's
        assert other_site.status_code == 403
    assert "token" not in visitor.page.url and visitor.page.status_code == 200


def test_nothing_secret_stands_where_others_of_this_computer_can_read_it(served, visitor):
    home, process, link = served
    token = urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)["token"][0]
    assert len(token) >= 16
    visitor.post("/ask", DREAM | {"steps": "80", "octaves": "5"})
    visitor.until(lambda state: state["jobs"][0]["state"] == "working")
    family = [psutil.Process(process.pid)]
    family += family[0].children(recursive=True)
    assert len(family) > 1
    assert not any(token in word for member in family for word in member.cmdline())
    door = home / "open_the_studio.html"
    assert token in door.read_text() and stat.S_IMODE(door.stat().st_mode) == 0o600
    visitor.post(f"/cancel/{visitor.state()['jobs'][0]['id']}", {})
    assert visitor.state()["jobs"][0]["state"] == "cancelled"


def test_no_file_but_a_gallerys_pictures_can_be_reached(served, visitor):
    (served[0] / "secret.png").write_bytes(data.png(data.picture("cat", size=8)))
    for name in ("..%2Fsecret.png", "..", "%2Fetc%2Fpasswd", "none.png", "..%5Csecret.png"):
        assert visitor.get(f"/kept/mine/{name}").status_code in (400, 404)
    for path in ("/page.html", "/page%2Fpage.html", "/ours/photo/none", "/ours/table/titanic"):
        assert visitor.get(path).status_code == 404
    for gallery in ("../mine", "a b", ""):
        answer = visitor.get("/state", gallery=gallery)
        assert answer.status_code == 400 and "letters, digits and dashes" in answer.text
    assert visitor.get("/made/" + "0" * 16).text == "That picture is not in the queue any more."


def test_everything_to_choose_from_is_there(visitor):
    for what, (names, _) in studio.OURS.items():
        for name in names():
            assert f'name="{what}" value="{name}"' in visitor.page.text
            assert visitor.get(f"/ours/{what}/{name}").content.startswith(b"\xff\xd8")
    for example in studio.EXAMPLES:
        file = studio.file_of(example)
        assert f'src="/{file}"' in visitor.page.text
        assert visitor.get(f"/{file}").content == data.shipped(file).read_bytes()
        assert len(visitor.get(f"/{file}").content) <= 60_000
        for name, choice in studio.SETTINGS[example["kind"]].items():
            assert choice.chosen(str(studio.whole(example)[name])) == studio.whole(example)[name]
    assert visitor.get("/examples/none.jpg").status_code == 404


def test_pictures_are_called_after_what_they_are_made_from():
    assert studio.named({"photo": "my_cup", "painting": "my_own"}) == "my cup as my own"
    assert studio.named(studio.EXAMPLES[0]) == "palace as The Great Wave off Kanagawa"
    assert studio.named({"photo": "cat"}) == "cat dreaming"


@pytest.mark.parametrize(
    "changed, files, words",
    [
        ({"kind": "sculpt"}, {}, "A painting or a dream is wanted; 'sculpt' came."),
        ({"side": "5000"}, {}, "size is '5000'; one of 256, 384"),
        ({"layer": "network"}, {}, "more of is 'network'; one of network.blocks.1"),
        ({"octaves": "6"}, {}, "Take 5 or fewer octaves"),
        ({"photo": ""}, {}, "Choose a photo: your own, or one of ours."),
        ({"photo": "pandda"}, {}, "Did you mean 'panda'"),
        ({"photo": ""}, {"photo_file": b"this is no photo"}, "not a picture"),
        ({}, {"photo_file": b"this is no photo"}, "not a picture"),  # never the cat in its place
        ({}, {"photo_file": b""}, "is empty"),
        ({}, {"photo_file": data.png(data.picture("cat"))[:3000]}, "damaged or cut short"),
        ({}, {"photo_file": b"x" * (data.LARGEST_FILE + 1)}, "larger than 40 MB"),
        ({"kind": "paint", "ratio": "0.1"}, {}, "Choose a painting"),
        (
            {"kind": "paint", "ratio": "0.1", "painting": "great_wave", "minutes": "2"},
            {},
            "strength is '0.1'",
        ),
    ],
)
def test_what_cannot_be_made_is_answered_with_a_sentence(visitor, changed, files, words):
    before = visitor.state()["jobs"]
    answer = visitor.post("/ask", DREAM | changed, **files)
    assert answer.status_code == 400 and words in answer.text, answer.text
    assert visitor.state()["jobs"] == before
    assert visitor.page.status_code == 200


def test_ones_own_photo_gives_the_picture_its_name(visitor):
    cup = data.png(data.picture("coffee", size=300))
    assert visitor.post("/ask", DREAM, photo_file=cup).status_code == 200
    job = visitor.state()["jobs"][0]
    assert job["says"].startswith("my cup dreaming: ")
    visitor.post(f"/cancel/{job['id']}", {})


@contextlib.contextmanager
def stranger(port):
    """A program of somebody else's on a port; yields what it is told."""
    heard = []
    with socket.create_server(("127.0.0.1", port)) as server:

        def listen():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.settimeout(2)
                    with connection, contextlib.suppress(OSError):
                        heard.append(connection.recv(10_000))

        threading.Thread(target=listen, daemon=True).start()
        yield heard


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_port_that_is_taken_is_left_alone_and_another_found(monkeypatch):
    first = free_port()
    monkeypatch.setattr(studio, "PORT", first)
    with contextlib.ExitStack() as stack:
        heard = stack.enter_context(stranger(first))
        (found,) = studio.bound("127.0.0.1")
        with found:
            assert first < found.getsockname()[1] < first + 10
        assert not any(heard)
        for port in range(first + 1, first + 10):
            with contextlib.suppress(OSError):
                stack.enter_context(stranger(port))
        (found,) = studio.bound("127.0.0.1")
        with found:
            assert found.getsockname()[1] not in range(first, first + 10)
            assert found.getsockname()[0] == "127.0.0.1"


def test_two_studios_on_one_computer_have_links_of_their_own(served, tmp_path):
    with the_studio(tmp_path) as (_, link):
        port = urllib.parse.urlsplit(link).port
        assert port != urllib.parse.urlsplit(served[2]).port
        assert f":{port}/" in (tmp_path / "open_the_studio.html").read_text()
        assert "The studio" in Visitor(link).page.text


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_it_ends_with_all_it_has_begun(tmp_path, how):
    home = tmp_path / "home"
    with the_studio(home, TMPDIR=str(tmp_path)) as (process, link):
        visitor = Visitor(link)
        visitor.post("/ask", DREAM | {"steps": "80", "octaves": "5"})
        visitor.until(lambda state: state["jobs"][0]["preview"])
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(getattr(signal, how))
        assert process.wait(20) == 0
        _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive and len(children) >= 1
    left = [f.name for f in tmp_path.rglob("*") if f.is_file() and f.name != ".lock"]
    assert not left


def test_who_starts_it_twice_or_where_nothing_can_be_written_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("TRICKKIT_STUDIO", str(tmp_path))
    with studio.FileLock(tmp_path / ".lock"), pytest.raises(SystemExit, match="running already"):
        studio.serve()
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("TRICKKIT_STUDIO", str(file / "home"))
    with pytest.raises(SystemExit, match="TRICKKIT_STUDIO=another/folder"):
        studio.serve()


def test_where_the_disk_is_full_the_picture_is_offered_and_nothing_half_is_left(tmp_path):
    resource = pytest.importorskip("resource", reason="Windows has no such limit to try it with")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # for what is started next
    try:
        with the_studio(tmp_path) as (_, link):
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            visitor = Visitor(link)
            visitor.post("/ask", DREAM)
            (job,) = visitor.until(lambda state: state["jobs"][0]["state"] == "done")["jobs"]
            assert "could not be written" in job["says"] and "Download it" in job["says"]
            assert max(data.photo(visitor.get(job["made"]).content).shape) == 256
            assert not list((tmp_path / "mine").iterdir()) and not visitor.state()["pictures"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_room_has_a_link_for_all_and_galleries_of_its_own(tmp_path):
    with the_studio(tmp_path, "--room") as (process, link):
        addresses = {c.laddr.ip for c in psutil.Process(process.pid).net_connections()}
        assert "0.0.0.0" in addresses
        one, two = Visitor(link), Visitor(link)
        names = [re.search("gallery=([0-9a-f]{16})", v.page.url)[1] for v in (one, two)]
        assert names[0] != names[1]
        one.gallery = names[0]
        one.post("/ask", DREAM)
        one.until(lambda state: state["pictures"])
        assert list((tmp_path / "room" / names[0]).glob("*cat_dreaming.png"))
    with the_studio(tmp_path) as (process, again):
        addresses = {c.laddr.ip for c in psutil.Process(process.pid).net_connections()}
        assert addresses == {"127.0.0.1"} and again.endswith("&gallery=mine")
        yesterday = again.partition("?")[0] + "?" + link.partition("?")[2]
        assert requests.get(yesterday).status_code == 403
