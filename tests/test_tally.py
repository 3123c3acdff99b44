"""Who has solved what, and who is stuck."""

import asyncio
import datetime
import json
import re
import sys

import pandas as pd
import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from trickkit import __main__ as command_line
from trickkit.course import tally

NOW = datetime.datetime(2026, 3, 1, 10, tzinfo=datetime.UTC)
ONE, MANY = "03 panda_to_vulture/one_step", "03 panda_to_vulture/many_steps"


def written(file, *events):
    """A learner's file, from (minutes ago, what, on)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {"time": (NOW - datetime.timedelta(minutes=ago)).isoformat(), "what": what, "on": on}
        for ago, what, on in events
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def room(tmp_path):
    """Files of seven learners, in the three places where they may lie."""
    written(
        tmp_path / "ada" / "progress.jsonl",
        (20, "tried", ONE),
        (18, "hint", ONE),
        (15, "solved", ONE),
        (9, "help", "03 panda_to_vulture"),
    )
    written(tmp_path / "bob" / "my_course" / "progress.jsonl", (20, "tried", ONE))
    written(tmp_path / "cy.jsonl", *[(2, "tried", MANY)] * 3)
    written(tmp_path / "dan.jsonl", (30, "tried", ONE), (3, "solution", ONE))
    written(tmp_path / "eve.jsonl", (30, "tried", ONE), (2, "tried", MANY), (1, "hint", MANY))
    written(tmp_path / "zoë.jsonl", (5, "help", "08 saliency"), (4, "helped", "08 saliency"))
    (tmp_path / "old.json").write_text(json.dumps([MANY, ONE], indent=1))
    (tmp_path / "notes.txt").write_text("not a learner's")
    return tmp_path


def test_a_row_for_each_learner_and_exercise(room):
    work = tally.exercises(tally.handed_in(room)).set_index(["learner", "exercise"])
    assert len(work) == 8
    ada = work.loc["ada", ONE]
    assert (ada.tries, ada.hints, ada.solution, ada.solved, ada.minutes) == (1, 1, False, True, 5)
    assert work.loc["dan", ONE].solution and not work.loc["dan", ONE].solved
    assert work.loc["old", MANY].solved and pd.isna(work.loc["old", MANY].minutes)


def test_who_is_stuck_is_at_it_still(room):
    work = tally.exercises(tally.handed_in(room))
    now = tally.stuck(work, now=NOW)
    # Bob for 20 minutes, Cy after three tries; Dan has seen the solution, and Eve went on
    assert now["learner"].tolist() == ["bob", "cy"] and now["minutes"].tolist() == [20, 2]
    assert tally.stuck(work)["learner"].tolist() == ["cy"]  # of Bob no more is known


def test_a_hand_is_up_until_it_is_lowered(room):
    up = tally.hands(tally.handed_in(room))
    assert up[["learner", "on"]].values.tolist() == [["ada", "03 panda_to_vulture"]]


def test_the_command_prints_it_and_writes_a_table(room, monkeypatch, capsys):
    sheet = room.parent / "progress.csv"
    monkeypatch.setattr(sys, "argv", ["trickkit", "progress", str(room), "--csv", str(sheet)])
    command_line.main()
    said = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:] for line in said.splitlines()}
    assert lines["old"] == ["2"] and lines["ada"] == ["1"] and lines["zoë"] == ["0"]
    assert f"cy was stuck on {MANY}" in said
    assert pd.read_csv(sheet).shape == (8, 9)


def test_what_cannot_be_told_is_said(tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match=r"No learner's file lies in .*Wanted are ada\.jsonl"):
        tally.handed_in(tmp_path)
    with pytest.raises(ValueError, match=r"There is no folder .*mistyped"):
        tally.handed_in(tmp_path / "mistyped")
    written(tmp_path / "ada.jsonl")
    assert tally.summary(tally.handed_in(tmp_path)) == "Nobody has tried an exercise yet."
    monkeypatch.setattr(sys, "argv", ["trickkit", "progress", "--csv", "x.csv"])
    with pytest.raises(SystemExit):
        command_line.main()
    assert "--csv goes with a folder" in capsys.readouterr().err
    monkeypatch.setattr(
        sys, "argv", ["trickkit", "progress", str(tmp_path), "--csv", str(tmp_path)]
    )
    with pytest.raises(SystemExit, match="cannot be written"):
        command_line.main()


def test_a_rooms_folder_and_one_learners_are_known(tmp_path):
    home = tmp_path / "room" / "homes" / "ada"
    written(home / "my_course" / "progress.jsonl", (1, "tried", ONE))
    for folder in (tmp_path / "room", home.parent, home / "my_course"):
        learner = "my_course" if folder.name == "my_course" else "ada"
        assert set(tally.handed_in(folder)["learner"]) == {learner}


async def fetched(application, *places):
    """What a service answers at each place."""
    socket, port = bind_unused_port()
    server = HTTPServer(application)
    server.add_socket(socket)
    try:
        client = AsyncHTTPClient(force_instance=True)
        answers = [await client.fetch(f"http://127.0.0.1:{port}{place}") for place in places]
        return [answer.body.decode() for answer in answers]
    finally:
        server.stop()


def test_a_hand_that_was_answered_or_is_of_another_day_is_down(room):
    board = pytest.importorskip("trickkit.course.room.board", reason="the extra [room]")
    events = tally.handed_in(room)
    asked = tally.hands(events)["time"].item().to_pydatetime()
    minute = datetime.timedelta(minutes=1)
    for answered, now, up in (
        ({}, asked + 5 * minute, [5]),
        ({"ada": asked - minute}, asked + minute, [1]),
        ({"ada": asked + minute}, asked + 2 * minute, []),
        ({"bob": asked + minute}, asked + 2 * minute, [2]),
        ({}, asked + board.LONGEST_WAIT, []),
    ):
        assert board.waiting(events, answered, now=now)["minutes"].tolist() == up


def test_the_teachers_page(room, monkeypatch):
    for name in ("SERVICE_NAME", "API_TOKEN", "CLIENT_ID"):
        monkeypatch.setenv(f"JUPYTERHUB_{name}", "board")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/board/")
    board = pytest.importorskip("trickkit.course.room.board", reason="the extra [room]")
    for page in (board.Board, board.Csv):
        monkeypatch.setattr(page, "current_user", "teacher", raising=False)
    monkeypatch.setattr(board, "LONGEST_WAIT", datetime.timedelta(days=10**4))
    written(room / "<b>Bob.jsonl", (1, "tried", ONE))
    written(room / "teacher" / "progress.jsonl", (1, "tried", ONE), (1, "help", "01 too"))
    (room / "ida").mkdir()
    service = board.application(room, room / "answers.json", "/board/")
    page, other, sheet, script = asyncio.run(
        fetched(
            service,
            "/board/",
            "/board/?lesson=none",
            "/board/progress.csv",
            "/board/board.js",
        )
    )
    assert re.search("ada, [0-9]+ min: 03 panda_to_vulture", page) and "zoë, " not in page
    assert "ida" in page.partition("No exercise tried yet: ")[2]
    assert 'value="teacher"' not in page and "teacher" not in sheet and "01 too" not in page
    assert f"<li>bob on {ONE}" in page and f"cy on {MANY}: 3 wrong tries" in page
    assert "<td>✓, 1 wrong try, 1 hint, 5 min</td>" in page
    assert "<b>Bob" not in page and "&lt;b&gt;Bob" in page
    assert "<option selected>03 panda_to_vulture</option>" in other  # an unknown lesson: the last
    assert sheet.startswith("\ufefflearner,exercise,tries") and "setInterval" in script

    (room / "nobody").mkdir()
    empty = board.application(room / "nobody", room / "answers.json", "/board/")
    (page,) = asyncio.run(fetched(empty, "/board/"))
    assert "0 learners" in page and "Nobody has tried an exercise yet." in page
