"""What an audit asks beside the error rates: what the other columns give away, and a card on which
nothing may be left out.

The card's questions follow the recommendations of Carina C. Zona, "Consequences of an Insightful
Algorithm" (RubyConf 2015), as a listener noted them (github.com/ghalley/RubyConf2015).
"""

import dataclasses
import itertools
import os
import pathlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from trickkit import folders
from trickkit.common import finite_number, unknown
from trickkit.fairness import interval

if TYPE_CHECKING:
    import pandas as pd

# rate -> group -> (how many it happened to, of how many)
Counts = Mapping[str, Mapping[str, tuple[int, int]]]
# beside what has neither letter nor digit; without dots and blanks
NO_ANSWERS = r"n/?a|x+|0+|idk|notapplicable|(to-?do|tbd)(:.*)?"
QUESTIONS = {  # field -> what it asks; Zona's recommendation behind it
    "decision": (
        "What is decided, about whom, and what does an error cost whom?",
        "consider decisions' potential impacts",
    ),
    "label": (
        "What is the model taught to predict, and what is that really?",
        "be humble: we cannot intuit inner state",
    ),
    "counted": ("Who is in the data, and who is missing?", "be visionary about countering bias"),
    "errors": ("Who is wronged how often? Counts by group.", "audit outcomes constantly"),
    "recourse": (
        "How can a person object, and who answers?",
        "be honest and trustworthy: recourse for a wrong conclusion",
    ),
    "consent": ("What did people agree to, and did they know?", "cultivate informed consent"),
    "transparency": (
        "Who can see the data and the rule?",
        "commit to data transparency and algorithm transparency",
    ),
    "not_measured": ("What can this audit not tell?", "anticipate diverse ways to screw up"),
}


def as_categories(frame: "pd.DataFrame") -> "pd.DataFrame":
    """A copy in which every column of words is one of categories, as `trees` wants them."""
    words = frame.select_dtypes(exclude=["number", "bool"]).columns
    return frame.astype(dict.fromkeys(words, "category"))


def trees(*, max_iter: int = 50) -> Pipeline:
    """Boosted trees for a table of words and numbers as it is, not trained yet.

    max_iter: how many, a class.
    """
    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_iter=max_iter, early_stopping=False, random_state=0
    )
    return make_pipeline(FunctionTransformer(as_categories), model)


def give_away(frame: "pd.DataFrame", column: str) -> float:
    """How much the other columns tell of one: the accuracy of `trees` that never see it, on rows
    they were not trained on, less that of always naming its commonest value.

    frame: rows of words and numbers.
    column: the name of one, of few values; where it is empty, "not known" is one of them.

    Returns 0 for nothing, up to 1 less the commonest value's share for everything.
    Raises ValueError for a name that is none of a column.
    """
    if column not in frame:
        raise unknown("column", column, map(str, frame))
    hidden = frame[column].astype(object).fillna("not known").astype(str)
    right = cross_val_score(trees(), frame.drop(columns=column), hidden, cv=3).mean()
    return float(right - hidden.value_counts(normalize=True).max())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """An audit of one system, on one card.

    system: its name.
    decision, label, counted, recourse, consent, transparency, not_measured: answers to the
        `QUESTIONS`, in words; "not measured" and "none" are answers, an empty one is not, nor are
        "-", "?", "x", "n/a" and "todo".
    errors: counts, rate -> group -> (how many it happened to, of how many), which the card turns
        into shares with 95 % intervals; or words.
    Raises ValueError that names every field which is empty, and for counts that are none.
    """

    system: str
    decision: str
    label: str
    counted: str
    errors: Counts | str
    recourse: str
    consent: str
    transparency: str
    not_measured: str

    def __post_init__(self) -> None:
        empty = []
        for name, said in vars(self).items():
            if name == "errors" and isinstance(said, Mapping):
                empty += [name] * (not said)
                for rate, groups in said.items():
                    _validate_rate(rate, groups)
            elif not isinstance(said, str):
                counts = "{rate: {group: (how many, of how many)}} or " * (name == "errors")
                raise ValueError(f"{name} is {said!r}; {counts}an answer in words is wanted.")
            elif not re.search(r"[^\W_]", said) or _says_nothing(said):
                empty.append(name)
        if empty:
            raise ValueError(
                f'The card says nothing of: {", ".join(empty)}. "Not measured" is an answer; an'
                " empty field is not."
            )

    def markdown(self) -> str:
        """The card as a page of Markdown."""
        lines = [f"# Audit card: {_plain(self.system)}"]
        for name, (question, advice) in QUESTIONS.items():
            said = getattr(self, name)
            lines += ["", f"**{name.replace('_', ' ').capitalize()}.** {question} *({advice})*", ""]
            lines += map(_plain, said.splitlines()) if isinstance(said, str) else _table(said)
        return "\n".join(lines) + "\n"

    def _repr_markdown_(self) -> str:
        return "##" + self.markdown()  # a heading of a part, not of the notebook

    def save(self, *, folder: str | os.PathLike[str] | None = None) -> pathlib.Path:
        """Write the card to a new file; one that is there already is never written over.

        folder: where; None for the learner's own, `folders.own_folder`.
        Returns the file's path: audit_NAME.md, or the next of audit_NAME_2.md, audit_NAME_3.md, …
        Raises OSError where it cannot be written, such as in a folder that may only be read; the
            environment variable TRICKKIT_COURSE names another.
        """
        folder = folders.own_folder() if folder is None else pathlib.Path(folder)
        name = re.sub(r"\W+", "_", self.system.lower()).strip("_")[:50].rstrip("_") or "card"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for number in itertools.count(1):
                path = folder / f"audit_{name}{f'_{number}' if number > 1 else ''}.md"
                if _written(path, self.markdown()):
                    break
        except OSError as error:
            raise OSError(
                f"{folder} cannot be written to ({error.strerror}). Set the environment variable"
                " TRICKKIT_COURSE to a folder of yours and restart, or copy the card by hand."
            ) from None
        return path


def _written(path: pathlib.Path, page: str) -> bool:
    """Write a new file, whole or not at all; False where there is one, or a link, already."""
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(page)
    except FileExistsError:
        return False
    except OSError:
        path.unlink(missing_ok=True)  # a half one, where the disk is full
        raise
    return True


def _says_nothing(said: str) -> bool:
    """Whether these words only hold an answer's place."""
    return bool(re.fullmatch(NO_ANSWERS, re.sub(r"[\s.?!]", "", said), re.IGNORECASE))


def _validate_rate(rate: str, groups: Mapping[str, tuple[int, int]]) -> None:
    """Raise ValueError unless these are counts of one rate."""
    wanted = (
        f"errors[{rate!r}]: {{group: (how many, of how many)}} is wanted. Words are fine too, but"
        " then for `errors` as a whole"
    )
    if not isinstance(groups, Mapping) or not groups:
        raise ValueError(f"{wanted}; {groups!r} came.")
    for group, counts in groups.items():
        if not str(rate).strip() or not str(group).strip():
            raise ValueError(f"errors has a rate {rate!r} of a group {group!r}: name them both.")
        pair = list(counts) if isinstance(counts, tuple | list | np.ndarray) else []
        numbers = [n for n in map(finite_number, pair) if n is not None]
        came = f"{wanted}; of {group} came {counts!r}."
        if len(pair) != 2 or len(numbers) != 2:
            raise ValueError(came)
        hits, n = numbers
        faults = {
            "Counts, not shares: an interval needs them.": hits % 1 or n % 1,
            "No count is below 0.": min(hits, n) < 0,
            "Nobody is in that group: leave it out.": n == 0,
            "That is more than there are.": hits > n,
        }
        if said := [sentence for sentence, true in faults.items() if true]:
            raise ValueError(f"{came} {said[0]}")


def _plain(text: object) -> str:
    """Text on one line that makes no heading, column, formula or tag of Markdown."""
    return re.sub(r"^(?=#|=|-+$)|(?=[|<$])", r"\\", " ".join(str(text).split()))


def _table(errors: Counts) -> list[str]:
    """Rates with their intervals, as the lines of a table of Markdown."""
    lines = ["| rate | group | share | 95 % interval | people |", 5 * "| --- " + "|"]
    for rate, groups in errors.items():
        for group, counts in groups.items():
            hits, n = map(int, counts)
            low, high = interval(np.array(hits), np.array(n))
            names = f"{_plain(rate)} | {_plain(group)}"
            lines.append(f"| {names} | {hits / n:.1%} | {low:.1%} to {high:.1%} | {n:,} |")
    return lines
