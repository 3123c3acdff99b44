"""Who has solved what, and who is stuck: from many learners' progress files."""

import datetime
import pathlib

import pandas as pd

from trickkit import progress

TALLIED = ("tried", "solved", "hint", "solution")  # of the events, those on an exercise
TRIES = 3  # that were not right, after which somebody counts as stuck
MINUTES = 10  # since the first of them, after which too
PATTERNS = ("*.json*", "*/progress.json*", "*/my_course/progress.json*")


def handed_in(folder: pathlib.Path) -> pd.DataFrame:
    """The events of all learners' files in a folder: learner, time, what, on (`progress.Event`).

    A file is called as its learner, or lies in a folder that is: ada.jsonl, ada/progress.jsonl,
    ada/my_course/progress.jsonl, and the same with .json, of older versions. Who has done nothing
    yet has one row, without words.

    Raises ValueError where there is none.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    if (folder / "homes").is_dir():  # a room's
        folder = folder / "homes"
    rows: list[tuple] = []
    found = False
    for path in sorted({p for pattern in PATTERNS for p in folder.glob(pattern)}):
        found = True
        parts = path.relative_to(folder).parts
        learner = path.stem if len(parts) == 1 else parts[0]
        if len(parts) == 1 and learner == "progress":  # the folder is one learner's
            learner = folder.resolve().name
        rows += [(learner, *e) for e in progress.events(path)] or [(learner, None, "", "")]
    if not found:
        raise ValueError(
            f"No learner's file lies in {folder}. Wanted are ada.jsonl, or ada/progress.jsonl: what"
            " each has as my_course/progress.jsonl."
        )
    return as_frame(rows)


def as_frame(rows: list[tuple[str, datetime.datetime | None, str, str]]) -> pd.DataFrame:
    """Events as a frame: learner, time (UTC), what, on."""
    events = pd.DataFrame(rows, columns=["learner", "time", "what", "on"])
    return events.assign(time=pd.to_datetime(events["time"], utc=True))


def exercises(events: pd.DataFrame) -> pd.DataFrame:
    """A row for each learner and exercise that has events, in order of the lessons.

    learner, exercise ("lesson/exercise"), tries (checks that were not right), hints, solution
    (whether it was looked at), solved, first and last (times), minutes (from the first event until
    it was solved, or until the last).
    """
    own = events[events["what"].isin(TALLIED)]
    each = own.assign(**{what: own["what"] == what for what in TALLIED})
    out = each.groupby(["learner", "on"]).agg(
        tries=("tried", "sum"),
        hints=("hint", "sum"),
        solution=("solution", "any"),
        solved=("solved", "any"),
        first=("time", "min"),
        last=("time", "max"),
    )
    solved = own[own["what"] == "solved"].groupby(["learner", "on"])["time"].min()
    end = solved.reindex(out.index).fillna(out["last"])
    out["minutes"] = ((end - out["first"]).dt.total_seconds() / 60).round(1)
    out.index.names = ["learner", "exercise"]
    return out.reset_index().sort_values(["learner", "exercise"], ignore_index=True)


def stuck(work: pd.DataFrame, *, now: datetime.datetime | None = None) -> pd.DataFrame:
    """The learners who are stuck, the longest first: some of the rows.

    Stuck is who tried `TRIES` times, or for `MINUTES`, the exercise that they were at last, has not
    solved it, and has not looked at the solution.

    work: what `exercises` gives.
    now: for how long is counted until then; None, until each one's last event.
    """
    at = work.sort_values("last").groupby("learner").tail(1)
    at = at[(at["tries"] > 0) & ~at["solved"] & ~at["solution"]]
    if now:
        minutes = (pd.Timestamp(now) - at["first"]).dt.total_seconds() / 60
        at = at.assign(minutes=minutes.round(1))
    long = (at["tries"] >= TRIES) | (at["minutes"] >= MINUTES)
    return at[long].sort_values("minutes", ascending=False, ignore_index=True)


def hands(events: pd.DataFrame) -> pd.DataFrame:
    """The raised hands, the earliest first: learner, time, on (the lesson)."""
    asked = events[events["what"].isin(["help", "helped"])].groupby("learner").tail(1)
    up = asked[asked["what"] == "help"].drop(columns="what")
    return up.sort_values("time", ignore_index=True)


def in_minutes(minutes: float) -> str:
    """Minutes as everybody says them."""
    return f"{minutes:.0f} min" if minutes >= 1 else "under 1 min"


def summary(events: pd.DataFrame) -> str:
    """What a teacher reads in the terminal: how many exercises each has solved of each lesson, then
    who was stuck on what in the end.
    """
    work = exercises(events)
    if work.empty:
        return "Nobody has tried an exercise yet."
    lessons = work["exercise"].str[:2].rename("lesson")
    counts = pd.crosstab(work["learner"], lessons, values=work["solved"], aggfunc="sum")
    counts = counts.reindex(sorted(events["learner"].unique())).fillna(0).astype(int)
    lines = ["Exercises solved, by lesson:", counts.rename_axis(None).to_string()]
    for row in stuck(work).to_dict("records"):
        lines.append(
            f"{row['learner']} was stuck on {row['exercise']}: {in_minutes(row['minutes'])};"
            f" checks that were not right: {row['tries']}; hints: {row['hints']}."
        )
    return "\n".join(lines)
