"""What the studio's pages ask for, without the pages: jobs, their queue, galleries, what fails and
what is refused."""

import asyncio
import errno
import os
import re
import signal
import stat
import subprocess
import sys
import time

import psutil
import pytest
import torch

from trickkit import data, folders, style
from trickkit.course import jobs

DREAM = {"title": "a dream", "layer": "network.blocks.1", "octaves": 1, "steps": 1, "side": 128}
PAINT = {
    "title": "Cat / Wave!",
    "ratio": 1e-4,
    "tv_weight": 0.0,
    "colours": "photo",
    "side": 96,
    "minutes": 0.02,
}


@pytest.fixture
def mine(tmp_path):
    return jobs.Gallery(tmp_path, "mine")


def a_dream(gallery, **changed):
    return jobs.Job("dream", data.picture("cat", size=128), DREAM | changed, gallery=gallery)


def run(*asked, until=None):
    """Let a queue work until all that were asked for have ended.

    until: called over and over meanwhile. Returns the states that were seen at once."""

    async def all_of_them():
        queue = jobs.Queue()
        for job in asked:
            queue.put(job)
        seen = set()
        working = asyncio.ensure_future(queue.run())
        while any(job.state in jobs.GOING for job in asked):
            seen.add(tuple(job.state for job in asked))
            if until:
                until(queue)
            await asyncio.sleep(0.05)
        working.cancel()
        return seen

    return asyncio.run(all_of_them())


def test_a_painting_is_made_and_kept(mine):
    job = jobs.Job(
        "paint", data.picture("cat"), PAINT, gallery=mine, painting=data.painting("great_wave")
    )
    run(job)
    assert job.state == "done", job.why
    assert job.share == 1 and job.preview.startswith(b"\xff\xd8") and job.made is None
    assert max(data.photo(job.before).shape[2:]) == 96 and job.pace["warmup"] > 0
    assert job.result.parent == mine.folder and re.fullmatch(r".* cat_wave_\.png", job.result.name)
    made = data.photo(job.result)
    assert max(made.shape[2:]) == 96 and min(made.shape[2:]) == round(96 * 300 / 451)
    assert not torch.equal(made, data.scaled(data.picture("cat"), side=96))


def test_a_job_that_fails_says_why_and_the_next_is_made_after_it_and_never_at_once(mine):
    bad = a_dream(mine, layer="network.blocks.99")
    good = a_dream(mine)
    seen = run(bad, good)
    assert bad.state == "failed" and "network.blocks.99" in bad.why and bad.result is None
    assert good.state == "done" and max(data.photo(good.result).shape[2:]) == 128
    assert ("working", "working") not in seen and ("working", "waiting") in seen


def test_cancelled_while_waiting_and_while_working(mine):
    first = a_dream(mine, steps=10**6)
    second = a_dream(mine)

    def when_both_are_there(queue):
        if first.preview and queue.before(second):
            assert first.share < 1
            second.cancel()
            first.cancel()

    run(first, second, until=when_both_are_there)
    assert (first.state, second.state) == ("cancelled", "cancelled")
    first.process.join(30)
    assert second.process is None and not first.process.is_alive() and not mine.folder.exists()
    first.cancel()  # once more changes nothing


def test_a_process_that_the_system_kills_is_told_as_want_of_memory(mine):
    job = a_dream(mine, steps=10**6)
    run(job, until=lambda _: job.preview and os.kill(job.process.pid, signal.SIGKILL))
    assert job.state == "failed" and "memory" in job.why


def test_a_process_that_cannot_be_started_is_told(mine, monkeypatch):
    def start(self):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(jobs.multiprocessing.context.SpawnProcess, "start", start)
    job = a_dream(mine)
    run(job)
    assert job.state == "failed" and "Cannot allocate memory" in job.why


STUDIO = """
import asyncio, pathlib, sys
from trickkit import data
from trickkit.course import jobs

async def main():
    settings = {"title": "x", "layer": "network.blocks.1", "octaves": 1, "steps": 10**6, "side": 64}
    gallery = jobs.Gallery(pathlib.Path(sys.argv[1]), "mine")
    queue = jobs.Queue()
    queue.put(jobs.Job("dream", data.picture("cat", size=64), settings, gallery=gallery))
    working = asyncio.ensure_future(queue.run())
    while not queue.jobs[0].preview:
        await asyncio.sleep(0.1)
    print(queue.jobs[0].process.pid, flush=True)
    await working

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_where_the_studio_crashes_its_process_ends_and_nothing_is_left(tmp_path):
    (tmp_path / "studio.py").write_text(STUDIO)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    studio = subprocess.Popen(
        [sys.executable, str(tmp_path / "studio.py"), str(tmp_path)],
        cwd=folders.ROOT,
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(folders.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    process = psutil.Process(int(studio.stdout.readline()))
    studio.kill()
    studio.wait()
    psutil.wait_procs([process], timeout=30)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    # torch makes an empty folder there
    assert not [file for file in temporary.rglob("*") if file.is_file()]


def test_a_gallery_may_not_fill_the_queue_and_ended_jobs_are_forgotten(mine, tmp_path):
    async def ask():
        queue = jobs.Queue()
        for _ in range(jobs.UNFINISHED):
            queue.put(a_dream(mine))
        with pytest.raises(ValueError, match="Wait for one of them, or cancel one"):
            queue.put(a_dream(mine))
        other = a_dream(jobs.Gallery(tmp_path, "other"))
        queue.put(other)
        assert queue.before(other) == jobs.UNFINISHED and queue.of(other.gallery) == [other]
        for _ in range(20):
            queue.of(mine)[0].cancel()
            queue.put(a_dream(mine))
        assert len(queue.of(mine)) == jobs.UNFINISHED + jobs.REMEMBERED - 1
        assert queue.of(mine)[0].state == "waiting"

    asyncio.run(ask())


def test_a_picture_too_large_for_the_memory_is_refused_before_any_work(mine, monkeypatch):
    free = psutil.virtual_memory()._replace(available=3e9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    photo = data.picture("cat")
    with pytest.raises(
        ValueError, match=r"2048 pixels want .* GB .* 3.0 GB are free. Choose \d+ pixels or fewer"
    ) as said:
        jobs.Job("paint", photo, PAINT | {"side": 2048}, gallery=mine, painting=photo)
    most = int(re.search(r"Choose (\d+)", str(said.value))[1])
    jobs.validate_memory("paint", photo.shape, side=most)
    with pytest.raises(ValueError, match="Choose"):
        jobs.validate_memory("paint", photo.shape, side=most + 1)
    free = free._replace(available=1e8)
    with pytest.raises(ValueError, match="Close other programs"):
        jobs.validate_memory("paint", photo.shape, side=256)


def test_octaves_that_would_shrink_it_away_are_refused_when_they_are_asked_for(mine):
    with pytest.raises(ValueError, match="Take 5 or fewer octaves"):
        a_dream(mine, octaves=6)
    a_dream(mine, octaves=5)


def test_what_is_made_tells_how_long_the_next_will_take(mine):
    async def ask():
        queue = jobs.Queue()
        assert queue.pace() == jobs.PACE
        for step in (1e-6, 0, 3e-6):
            job = a_dream(mine)
            queue.put(job)
            if step:
                job.take("share", 0.5, b"preview", {"dream": step})
        assert queue.pace()["dream"] == 3e-6 and queue.pace()["paint"] == jobs.PACE["paint"]

    asyncio.run(ask())
    job = a_dream(mine, steps=400)
    run(job)
    assert 0 < job.pace["dream"] < 1e-2 and job.pace["warmup"] > 0


def test_memory_that_has_gone_while_waiting_is_told(mine, monkeypatch):
    job = a_dream(mine)
    free = psutil.virtual_memory()._replace(available=1e8)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    run(job)
    assert job.state == "failed" and "Close other programs" in job.why and job.process is None


def test_what_waits_lies_in_memory_and_small(mine):
    photo = torch.rand(1, 3, 600, 800)
    job = jobs.Job("paint", photo, PAINT, gallery=mine, painting=photo)
    assert [data.photo(image).shape for image in job.images] == [(1, 3, 72, 96)] * 2
    assert not mine.folder.exists()


def test_a_picture_that_cannot_be_written_is_kept_in_memory_until_it_can(mine, monkeypatch):
    write = folders.write_whole

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folders, "write_whole", full)
    job = a_dream(mine)
    run(job)
    assert job.state == "done" and job.result is None and "No space left" in job.why
    assert max(data.photo(job.made).shape[2:]) == 128 and not list(mine.folder.iterdir())
    made = job.made
    monkeypatch.setattr(folders, "write_whole", write)
    job.keep()
    assert job.result.read_bytes() == made and job.made is None and job.why == ""


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    small = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    write = "import pathlib, sys; from trickkit import folders; file = pathlib.Path(sys.argv[1])\n"
    (tmp_path / "a.png").write_bytes(b"before")
    for content, status in (("b'x' * 900", 0), ("b'x' * 1100", 1)):
        code = f"{write}{small}folders.write_whole(file, {content})"
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "a.png")],
            cwd=folders.ROOT,
            capture_output=True,
        )
        assert done.returncode == status, done.stderr
        assert (tmp_path / "a.png").read_bytes() == b"x" * 900
        assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["../mine", "", "a b", "x" * 41, "a/b", ".queue"])
def test_a_gallery_is_a_plain_name(tmp_path, name):
    with pytest.raises(ValueError, match="letters, digits and dashes"):
        jobs.Gallery(tmp_path, name)


def test_a_gallery_is_for_its_owners_eyes_and_names_never_clash(mine):
    mine.folder.mkdir(mode=0o755)  # as earlier versions made it
    paths = {mine.keep("a dream", content) for content in (b"one", b"two", b"three")}
    assert sorted(p.read_bytes() for p in paths) == [b"one", b"three", b"two"]
    assert stat.S_IMODE(mine.folder.stat().st_mode) == 0o700


def test_what_is_no_picture_is_left_out_and_named_and_the_others_hang(mine):
    kept = [mine.keep(f"dream {i}", data.png(torch.rand(1, 3, 8, 8))) for i in range(4)]
    (mine.folder / "._a.png").write_bytes(b"\0\5\x16\7")  # macOS leaves such
    (mine.folder / "cut.png").write_bytes(kept[0].read_bytes()[:60])
    (mine.folder / "empty.png").touch()
    (mine.folder / "folder.png").mkdir()
    (mine.folder / "link.png").symlink_to("/nowhere")
    (mine.folder / "loop.png").symlink_to("loop.png")
    os.mkfifo(mine.folder / "pipe.png")
    with open(mine.folder / "huge.png", "wb") as file:
        file.truncate(data.LARGEST_FILE + 1)
    (mine.folder / "notes.txt").write_text("not a picture, and nothing is said of it")
    bad = sorted(p.name for p in mine.folder.glob("*.png") if p not in kept)
    for _ in range(2):
        shown, left_out = mine.pictures(count=3)
        assert shown == sorted((p.name for p in kept), reverse=True)[:3]
        assert set(left_out) == {name for name in bad if name > shown[-1]}
    assert sorted(mine.pictures(count=9)[1]) == bad
    kept[3].write_bytes(b"damaged later")
    assert kept[3].name in mine.pictures(count=9)[1]
    for name in (*bad, "../mine/" + kept[0].name, "/etc/passwd", "none.png"):
        with pytest.raises(ValueError, match="no picture"):
            mine.picture(name)
    assert mine.picture(kept[0].name) == kept[0]


def test_a_painting_uses_its_time_at_every_size(monkeypatch):
    sizes = []
    told = []

    def fake(net, photo, painting, *, sides, max_evals, ratio, tv_weight, luminance, callback):
        assert luminance  # for the painting's colours
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
    monkeypatch.setattr(time, "monotonic", lambda: next(clock) / 100)
    photo = torch.rand(1, 3, 64, 64)
    settings = PAINT | {"side": 300, "minutes": 0.5, "colours": "painting"}
    jobs.paint_job(
        photo, photo, settings, lambda image, share: told.append((image.shape[-1], share))
    )
    assert sizes == [128, 256, 300]
    ends = [max(share for side, share in told if side == s) for s in sizes]
    assert ends == pytest.approx([128 / 684, 384 / 684, 1], abs=0.01)
