"""The teacher's page, a service of the hub: who asks for help, who is stuck on what, and a table of
learners and exercises, from the learners' own files. Learners are refused by the hub.
"""

import asyncio
import contextlib
import datetime
import json
import os
import pathlib
import urllib.parse
from typing import Any

import pandas as pd
from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado import web

from trickkit.course import tally
from trickkit.course.room.help import answered
from trickkit.course.room.login import TEACHER
from trickkit.folders import write_whole

HERE = pathlib.Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'unsafe-inline'",
    "Cache-Control": "no-store",
}


LONGEST_WAIT = datetime.timedelta(hours=12)  # what was asked before is another day's


def room_events(homes: pathlib.Path) -> pd.DataFrame:
    """The events of all learners in the room; none where nobody has tried anything yet."""
    try:
        events = tally.handed_in(homes)
    except ValueError:
        events = tally.as_frame([])
    return events[events["learner"] != TEACHER]


def names(homes: pathlib.Path) -> list[str]:
    """Those of all learners who have ever come."""
    return sorted(home.name for home in homes.iterdir() if home.is_dir() and home.name != TEACHER)


def waiting(
    events: pd.DataFrame, times: dict[str, datetime.datetime], *, now: datetime.datetime
) -> pd.DataFrame:
    """Of the raised hands, those of today that the teacher has not answered; with their minutes.

    times: of the last answers, as `help.answered` has them.
    """
    hands = tally.hands(events)
    come = pd.to_datetime(hands["learner"].map(times), utc=True)
    hands = hands[~(come >= hands["time"]) & (hands["time"] > now - LONGEST_WAIT)]
    return hands.assign(minutes=(pd.Timestamp(now) - hands["time"]).dt.total_seconds() // 60)


def work_in_words(row: Any) -> str:
    """What the table says of one learner's work on an exercise: a row of `tally.exercises`."""
    counts = [
        f"{count} {noun if count == 1 else plural}"
        for count, noun, plural in (
            (row.tries, "wrong try", "wrong tries"),
            (row.hints, "hint", "hints"),
        )
        if count
    ]
    if row.solution:
        counts.append("saw the solution")
    minutes = "" if pd.isna(row.minutes) else tally.in_minutes(row.minutes)
    return ", ".join(["✓"] * bool(row.solved) + counts + [minutes] * bool(minutes))


class Board(HubOAuthenticated, web.RequestHandler):
    """The page; with ?lesson=…, the table of another lesson than that of the last event."""

    def set_default_headers(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)

    @web.authenticated
    def get(self) -> None:
        events = room_events(self.settings["homes"])
        now = datetime.datetime.now(datetime.UTC)
        work = tally.exercises(events)
        idle = sorted(set(names(self.settings["homes"])) - set(work["learner"]))
        touched = [exercise.partition("/")[0] for exercise in work.sort_values("last")["exercise"]]
        lessons = sorted(set(touched))
        asked = self.get_query_argument("lesson", "")
        lesson = asked if asked in lessons else (touched or [""])[-1]
        here = work[work["exercise"].str.startswith(f"{lesson}/")]
        cells = {(row.learner, row.exercise): work_in_words(row) for row in here.itertuples()}
        self.render(
            "board.html",
            now=now.astimezone(),
            hands=list(waiting(events, answered(self.settings["answers"]), now=now).itertuples()),
            stuck=list(tally.stuck(work[work["last"] > now - LONGEST_WAIT], now=now).itertuples()),
            work_in_words=work_in_words,
            lessons=lessons,
            lesson=lesson,
            learners=sorted(set(work["learner"])),
            idle=idle,
            hub=self.hub_auth.hub_prefix,
            columns=sorted(set(here["exercise"])),
            cells=cells,
        )


class Answer(HubOAuthenticated, web.RequestHandler):
    """POST says that the teacher has gone to a learner, whose hand is then down."""

    @web.authenticated
    def post(self) -> None:
        """Note it, and show the page again.

        Raises HTTPError for somebody who has never come.
        """
        file, learner = self.settings["answers"], self.get_body_argument("learner")
        if learner not in names(self.settings["homes"]):
            raise web.HTTPError(404, "There is no such learner.")
        now = datetime.datetime.now(datetime.UTC)
        said = {**answered(file), learner: now}
        times = {name: time.isoformat() for name, time in said.items() if now - time < LONGEST_WAIT}
        write_whole(file, json.dumps(times).encode())
        file.chmod(0o644)  # learners' servers read it
        self.redirect(self.settings["prefix"], status=303)


class Csv(HubOAuthenticated, web.RequestHandler):
    """The same as a file, a row for each learner and exercise."""

    @web.authenticated
    def get(self) -> None:
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", "attachment; filename=progress.csv")
        work = tally.exercises(room_events(self.settings["homes"]))
        self.finish(work.to_csv(index=False).encode("utf-8-sig"))  # Excel wants the mark


def application(homes: pathlib.Path, answers: pathlib.Path, prefix: str) -> web.Application:
    """The service under its prefix, such as /services/board/.

    homes, answers: as in `Room`.
    """
    return web.Application(
        [
            (prefix, Board),
            (f"{prefix}progress.csv", Csv),
            (f"{prefix}answer", Answer),
            (f"{prefix}(board.js)", web.StaticFileHandler, {"path": str(HERE)}),
            (f"{prefix}oauth_callback", HubOAuthCallbackHandler),
        ],
        homes=homes,
        answers=answers,
        prefix=prefix,
        xsrf_cookies=True,
        template_path=str(HERE),
        cookie_secret=os.urandom(32),
    )


async def serve_board() -> None:
    """Serve as the hub says in the environment, until it ends this process."""
    place = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    homes, answers = (pathlib.Path(os.environ[f"TRICKKIT_{name}"]) for name in ("HOMES", "ANSWERS"))
    service = application(homes, answers, os.environ["JUPYTERHUB_SERVICE_PREFIX"])
    service.listen(place.port or 80, address=place.hostname)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # how the hub ends its services
        asyncio.run(serve_board())
