"""In a learner's server: a raised hand becomes an event in the learner's own progress file.

A JupyterLab extension of the course shows the button (`lab/`); `board` shows the teacher who asks.
Needs no torch, for every learner's server loads it.
"""

import datetime
import json
import os
import pathlib
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from trickkit import progress

LONGEST_LESSON = 80  # letters of a lesson's name


def answered(path: pathlib.Path) -> dict[str, datetime.datetime]:
    """When the teacher last went to each learner, from `Room.answers`; nothing where nobody did."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {name: datetime.datetime.fromisoformat(time) for name, time in said.items()}


class Hand(APIHandler):
    """The learner's hand: GET says whether it is up, POST {"lesson": …, "up": …} raises or lowers
    it. The teacher lowers it by having been there.
    """

    @web.authenticated
    def get(self) -> None:
        path, come = progress.file(), os.environ.get("TRICKKIT_ANSWERS")
        asked = [e for e in progress.events(path) if e.what in ("help", "helped")] if path else []
        up = bool(asked) and asked[-1].what == "help"
        if up and come and asked[-1].time:
            last = answered(pathlib.Path(come)).get(os.environ.get("JUPYTERHUB_USER", ""))
            up = not last or last < asked[-1].time
        self.finish(json.dumps({"up": up}))

    @web.authenticated
    def post(self) -> None:
        """Raise or lower it.

        Raises HTTPError with a sentence where that cannot be.
        """
        said = self.get_json_body() or {}
        lesson, up = said.get("lesson"), said.get("up")
        lesson = lesson if isinstance(lesson, str) else ""
        if not 0 < len(lesson) <= LONGEST_LESSON or up not in (True, False):
            raise web.HTTPError(400, 'Wanted is {"lesson": its name, "up": true or false}.')
        if unkept := progress.note("help" if up else "helped", lesson):
            raise web.HTTPError(507, unkept.strip())
        self.finish(json.dumps({"up": up}))


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:
    place = url_path_join(server.web_app.settings["base_url"], "trickkit", "hand")
    server.web_app.add_handlers(".*$", [(place, Hand)])
