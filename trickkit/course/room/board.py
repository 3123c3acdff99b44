"""The teacher's page, a service of the hub: who asks for help, who is stuck on what, and a table of
learners and exercises, from the learners' own files. Learners are refused by the hub.
"""

import asyncio
import contextlib
import datetime
import os
import pathlib
import urllib.parse
from typing import Any

import pandas as pd
from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado import web

from trickkit.course import tally

HERE = pathlib.Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'unsafe-inline'",
    "Cache-Control": "no-store",
}


def room_events(homes: pathlib.Path) -> pd.DataFrame:
    """The events of all learners in the room; none where nobody has come yet."""
    try:
        return tally.handed_in(homes)
    except ValueError:
        return tally.as_frame([])


def work_in_words(row: Any) -> str:
    """What the table says of one learner's work on an exercise: a row of `tally.exercises`."""
    counts = [
        f"{count} {noun if count == 1 else plural}"
        for count, noun, plural in (
            (row.tries, "try", "tries"),
            (row.hints, "hint", "hints"),
        )
        if count
    ]
    if row.solution:
        counts.append("saw the solution")
    minutes = "" if pd.isna(row.minutes) else f"{row.minutes:.0f} min"
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
        touched = [exercise.partition("/")[0] for exercise in work.sort_values("last")["exercise"]]
        lessons = sorted(set(touched))
        asked = self.get_query_argument("lesson", "")
        lesson = asked if asked in lessons else (touched or [""])[-1]
        here = work[work["exercise"].str.startswith(f"{lesson}/")]
        cells = {(row.learner, row.exercise): work_in_words(row) for row in here.itertuples()}
        self.render(
            "board.html",
            now=now.astimezone(),
            hands=tally.hands(events).to_dict("records"),
            stuck=list(tally.stuck(work, now=now).itertuples()),
            work_in_words=work_in_words,
            lessons=lessons,
            lesson=lesson,
            learners=sorted(set(events["learner"])),
            columns=sorted(set(here["exercise"])),
            cells=cells,
        )


class Csv(HubOAuthenticated, web.RequestHandler):
    """The same as a file, a row for each learner and exercise."""

    @web.authenticated
    def get(self) -> None:
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", "attachment; filename=progress.csv")
        work = tally.exercises(room_events(self.settings["homes"]))
        self.finish(work.to_csv(index=False))


def application(homes: pathlib.Path, prefix: str) -> web.Application:
    """The service under its prefix, such as /services/board/."""
    return web.Application(
        [
            (prefix, Board),
            (f"{prefix}progress.csv", Csv),
            (f"{prefix}(board.js)", web.StaticFileHandler, {"path": str(HERE)}),
            (f"{prefix}oauth_callback", HubOAuthCallbackHandler),
        ],
        homes=homes,
        template_path=str(HERE),
        cookie_secret=os.urandom(32),
    )


async def serve_board() -> None:
    """Serve as the hub says in the environment, until it ends this process."""
    place = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    homes = pathlib.Path(os.environ["TRICKKIT_ROOM"]) / "homes"
    service = application(homes, os.environ["JUPYTERHUB_SERVICE_PREFIX"])
    service.listen(place.port or 80, address=place.hostname)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # how the hub ends its services
        asyncio.run(serve_board())
