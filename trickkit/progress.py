"""What a learner has tried and solved: a line for each event, in a file of the learner's own.

    {"time": "2026-11-27T09:15:03+00:00", "what": "tried", "on": "03 panda_to_vulture/one_step"}

No word of the learner's answer is in it. What a checked answer was: "tried" (not right yet) or
"solved"; what was asked for: "hint" or "solution". In a room, "help" and "helped" are the learner's
raised hand and its end, on a lesson.
"""

import datetime
import json
import os
import pathlib
from typing import NamedTuple

from trickkit import folders

SOLVED: set[str] = set()  # since the kernel started; the file remembers longer
LARGEST = 5_000_000  # bytes that are read of a file, ten thousand events and more


class Event(NamedTuple):
    """One line.

    time: None in files of versions before 1.5, which knew of what was solved alone.
    what: "tried", "solved", "hint", "solution", "help" or "helped".
    on: "lesson/exercise", or the lesson.
    """

    time: datetime.datetime | None
    what: str
    on: str


def file() -> pathlib.Path | None:
    """Where progress is kept: $TRICKKIT_PROGRESS, or progress.jsonl in the learner's own folder;
    None, nothing kept, where that is empty.
    """
    named = os.environ.get("TRICKKIT_PROGRESS", str(folders.own_folder() / "progress.jsonl"))
    return pathlib.Path(named) if named else None


def events(path: pathlib.Path) -> list[Event]:
    """The events of a file, in their order.

    Lines that say nothing that is known are left out; a file that is missing or cannot be read has
    none.
    """
    try:
        with open(path, "rb", opener=_regular) as f:
            lines = f.read(LARGEST).decode(errors="replace").splitlines()
    except OSError:
        return []
    return [event for line in lines if (event := _event(line))]


def _regular(path: str, flags: int) -> int:
    """Open without waiting, for another's file may be a pipe that nobody writes to."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _event(line: str) -> Event | None:
    try:
        said = json.loads(line.strip().rstrip(","))
        if isinstance(said, str):  # of an older file: a list of what is solved, a line each
            return Event(None, "solved", said)
        time = datetime.datetime.fromisoformat(said["time"]).astimezone(datetime.UTC)
        return Event(time, str(said["what"]), str(said["on"]))
    except (ValueError, LookupError, TypeError, OverflowError):
        return None


def solved() -> set[str]:
    """The exercises solved so far, as "lesson/exercise", an older progress.json's among them."""
    path = file()
    return SOLVED | _kept(path) if path else SOLVED


def _kept(path: pathlib.Path) -> set[str]:
    both = [*events(path), *events(path.with_name("progress.json"))]
    return {event.on for event in both if event.what == "solved"}


def note(what: str, on: str) -> str:
    """Append an event; "solved" only the first time.

    what, on: as in `Event`.
    Returns a sentence if the file cannot be written, else nothing.
    """
    path = file()
    if what == "solved":
        SOLVED.add(on)
    if path is None or what == "solved" and on in _kept(path):
        return ""
    time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    line = json.dumps({"time": time, "what": what, "on": on}) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b", buffering=0) as f:
            f.seek(max(f.seek(0, os.SEEK_END) - 1, 0))
            torn = f.read(1) not in (b"", b"\n")  # a line that a full disk cut short
            f.write(("\n" * torn + line).encode())  # at once, for other kernels append as well
    except OSError as error:
        return f" (Your progress could not be written down: {error}.)"
    return ""
