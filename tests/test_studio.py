"""The studio's engine without its page: jobs, their queue, what fails and what is refused."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
import torch
from filelock import FileLock

from trickkit import data, style
from trickkit.course import studio

DREAM = {"title": "a dream", "layer": "network.blocks.1", "octaves": 1, "steps": 1, "side": 128}
PAINT = {
    "title": "Cat / Wave!",
    "ratio": 1e-4,
    "tv_weight": 0.0,
    "colours": "photo",
    "side": 96,
    "minutes": 0.02,
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TRICKKIT_STUDIO", str(tmp_path))
    return tmp_path


def a_dream(**changed):
    return studio.Job("dream", data.picture("cat", size=128), DREAM | changed)


def run(*jobs, until=None):
    """Run jobs side by side; until: called over and over meanwhile. Returns the states that were
    seen at once."""

    async def all_of_them():
        tasks = []
        seen = set()
        for job in jobs:
            tasks.append(asyncio.ensure_future(job.run()))
            await asyncio.sleep(0.05)  # so that they come to the queue in this order
        while not all(t.done() for t in tasks):
            seen.add(tuple(j.state for j in jobs))
            if until:
                until()
            await asyncio.sleep(0.05)
        await asyncio.gather(*tasks)
        return seen

    return asyncio.run(all_of_them())


def test_a_painting_is_made_kept_and_cleaned_up_after(home):
    job = studio.Job("paint", data.picture("cat"), PAINT, painting=data.painting("great_wave"))
    run(job)
    assert job.state == "done", job.why
    assert job.share == 1 and job.preview.startswith(b"\xff\xd8") and not job.folder.exists()
    assert job.result.parent == home / "mine" and re.fullmatch(
        r".* cat_wave_\.png", job.result.name
    )
    made = data.photo(job.result)
    assert max(made.shape[2:]) == 96 and min(made.shape[2:]) == round(96 * 300 / 451)
    assert not torch.equal(made, data.scaled(data.picture("cat"), side=96))
    assert not [f for f in (home / ".queue").iterdir() if f.name != "door"]


def test_a_job_that_fails_says_why_and_the_next_is_made_after_it_and_never_at_once():
    bad = a_dream(layer="network.blocks.99")
    good = a_dream()
    seen = run(bad, good)
    assert bad.state == "failed" and "network.blocks.99" in bad.why and bad.result is None
    assert good.state == "done" and max(data.photo(good.result).shape[2:]) == 128
    assert ("working", "working") not in seen and ("working", "waiting") in seen


def test_cancelled_while_waiting_and_while_working():
    first = a_dream(steps=10**6)
    second = a_dream()

    def when_both_are_there():
        if first.preview and second.before:
            assert first.share < 1
            second.cancel()
            first.cancel()

    run(first, second, until=when_both_are_there)
    assert (first.state, second.state) == ("cancelled", "cancelled")
    assert second.process is None and first.process.poll() is not None and not first.folder.exists()


def test_a_process_that_the_system_kills_is_told_as_want_of_memory():
    job = a_dream(steps=10**6)
    run(job, until=lambda: job.preview and os.kill(job.process.pid, signal.SIGKILL))
    assert job.state == "failed" and "memory" in job.why


def test_the_process_ends_when_its_page_is_gone():
    job = a_dream(steps=10**6)
    process = subprocess.Popen(
        [sys.executable, "-m", "trickkit.course.studio", str(job.folder)],
        cwd=data.ROOT,
        stdin=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not (job.folder / "share").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(20) == 1


def test_places_in_the_queue():
    first = studio.Turn()
    second = studio.Turn()
    third = studio.Turn()
    assert [t.before() for t in (first, second, third)] == [0, 1, 2]
    second.lock.release()  # as when its process ends without a word
    assert third.before() == 1 and not second.ticket.exists()
    first.leave()
    assert third.before() == 0
    third.leave()


def test_a_picture_too_large_for_the_memory_is_refused_before_any_work(monkeypatch):
    free = psutil.virtual_memory()._replace(available=3e9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    photo = data.picture("cat")
    with pytest.raises(
        ValueError, match=r"2048 pixels want .* GB .* 3.0 GB are free. Choose \d+ pixels or fewer"
    ) as said:
        studio.Job("paint", photo, PAINT | {"side": 2048}, painting=photo)
    most = int(re.search(r"Choose (\d+)", str(said.value))[1])
    studio.validate_memory("paint", photo.shape, side=most)
    with pytest.raises(ValueError, match="Choose"):
        studio.validate_memory("paint", photo.shape, side=most + 1)
    free = free._replace(available=1e8)
    with pytest.raises(ValueError, match="Close other programs"):
        studio.validate_memory("paint", photo.shape, side=256)


def test_memory_that_has_gone_while_waiting_is_told(monkeypatch):
    job = a_dream()
    free = psutil.virtual_memory()._replace(available=1e8)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    run(job)
    assert job.state == "failed" and "Close other programs" in job.why and job.process is None


@pytest.mark.parametrize("name", ["../mine", "", "a b", "x" * 41, "a/b", ".queue"])
def test_a_gallery_is_a_plain_name(name):
    with pytest.raises(ValueError, match="letters, digits and dashes"):
        studio.gallery(name)


def test_two_pictures_of_one_second_get_names_of_their_own():
    job = a_dream()
    paths = {job.keep(b"one"), job.keep(b"two"), job.keep(b"three")}
    assert sorted(p.read_bytes() for p in paths) == [b"one", b"three", b"two"]


def test_the_settings_are_handed_over_whole():
    job = a_dream(steps=7)
    assert json.loads((job.folder / "settings.json").read_text()) == {"kind": "dream"} | DREAM | {
        "steps": 7
    }
    assert torch.equal(data.photo(job.folder / "photo.png"), data.picture("cat", size=128))


def test_a_painting_uses_its_time_at_every_size(monkeypatch):
    sizes = []
    told = []

    def fake(net, photo, painting, *, sides, max_evals, ratio, tv_weight, callback):
        for side in sides:
            sizes.append(side)
            for _ in range(10**4):
                try:
                    callback(torch.zeros(1, 3, side // 2, side))
                except StopIteration:
                    break
        return photo

    monkeypatch.setattr(style, "vgg", lambda: None)
    monkeypatch.setattr(style, "coarse_to_fine", fake)
    clock = iter(range(10**6))
    monkeypatch.setattr(studio.time, "monotonic", lambda: next(clock) / 100)
    photo = torch.rand(1, 3, 64, 64)
    settings = PAINT | {"side": 300, "minutes": 0.5, "colours": "painting"}
    studio.paint_job(
        photo, photo, settings, lambda image, share: told.append((image.shape[-1], share))
    )
    assert sizes == [128, 256, 300]
    ends = [max(share for side, share in told if side == s) for s in sizes]
    assert ends == pytest.approx([128 / 684, 384 / 684, 1], abs=0.01)


def test_only_this_computer_is_served_unless_told_otherwise():
    assert "--Voila.ip=127.0.0.1" in studio.voila(1, "t") and "--token=t" in studio.voila(1, "t")
    with FileLock(studio.Turn().folder / "door"):  # the door is not left locked
        pass


def test_a_room_has_a_link_for_all_and_galleries_of_its_own(monkeypatch, home, capsys):
    served = []
    opened = []
    monkeypatch.setattr(studio, "open_when_served", opened.append)
    monkeypatch.setattr(
        studio.subprocess,
        "run",
        lambda command, env: (
            served.append((command, env)) or subprocess.CompletedProcess(command, 0)
        ),
    )
    for room in (False, True):
        with pytest.raises(SystemExit) as end:
            studio.serve(room=room)
        assert end.value.code == 0
        said = capsys.readouterr().out
        command, env = served[-1]
        token = next(word for word in command if word.startswith("--token="))[8:]
        assert len(token) >= 16 and f"?token={token}" in said and ("Anyone" in said) == room
        assert f"--Voila.ip={'0.0.0.0' if room else '127.0.0.1'}" in command
        assert env["TRICKKIT_STUDIO"] == str(home / "room" if room else home)
        while len(opened) < len(served):  # a thread of its own does that
            time.sleep(0.01)
        assert f"?token={token}" in opened[-1] and opened[-1].endswith("&gallery=mine") != room
    tokens = [
        next(word for word in command if word.startswith("--token=")) for command, _ in served
    ]
    assert tokens[0] != tokens[1]


def test_the_browser_is_opened_once_the_page_is_served(monkeypatch):
    opened = []
    monkeypatch.setattr(studio.webbrowser, "open", opened.append)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        monkeypatch.setattr(studio, "PORT", server.getsockname()[1])
        waiting = threading.Thread(target=studio.open_when_served, args=["the page"], daemon=True)
        waiting.start()
        time.sleep(0.6)
        assert not opened  # nobody listens yet
        server.listen()
        waiting.join(10)
    assert opened == ["the page"]
