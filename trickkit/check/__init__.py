"""The exercises' checks, a module a lesson: `from trickkit.check import panda_to_vulture as check`.

    one_step = check.one_step(one_step)   what is right, or the one sentence that helps; hands back a function that works
    check.one_step.hint()                 a hint; again for the next
    check.one_step.solution()             the package's own function
    check.progress()                      what you have solved, in every lesson
"""
import importlib
import json
import os
import pathlib
import pkgutil
import traceback
from collections.abc import Callable

import numpy as np
import torch

from trickkit import data, show

LESSONS: dict[str, list[str]] = {}  # lesson -> its exercises, in order, as the modules declare them
SOLVED: set[str] = set()  # since the kernel started; the file remembers longer


def progress_file() -> pathlib.Path | None:
    """Where progress is kept: $TRICKKIT_PROGRESS, or my_course/progress.json; None, nothing kept, where that is empty."""
    named = os.environ.get("TRICKKIT_PROGRESS", str(data.ROOT / "my_course" / "progress.json"))
    return pathlib.Path(named) if named else None


def solved() -> set[str]:
    """The exercises solved so far, as "lesson/exercise". A lost or damaged file counts as none solved."""
    file = progress_file()
    try:
        return SOLVED | {str(name) for name in json.loads(file.read_text(encoding="utf-8"))} if file else SOLVED
    except (OSError, ValueError, TypeError):
        return SOLVED


def remember(name: str) -> str:
    """Keep "lesson/exercise" as solved; a sentence if the file cannot be written, else nothing."""
    SOLVED.add(name)
    file = progress_file()
    if file is None:
        return ""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        data.write_whole(file, json.dumps(sorted(solved()), indent=1).encode())
    except OSError as error:
        return f" (Your progress could not be written down: {error}.)"
    return ""


class Exercise:
    """One exercise. Call it with the learner's function; it prints a sentence and returns a function to go on with.

    test: takes the learner's function, returns None if it is right or else the sentence that helps; answer: the package's own
    function; hints: one at a time.
    """

    def __init__(self, lesson: str, test: Callable, answer: Callable, hints: tuple[str, ...]):
        self.lesson, self.name, self.test, self.answer, self.hints = lesson, test.__name__, test, answer, hints
        self.given = 0
        LESSONS.setdefault(lesson, []).append(self.name)
        self.__doc__ = test.__doc__

    def __call__(self, yours: Callable | None) -> Callable:
        said = self.judge(yours)
        print(f"{self.name}: {said}")
        return yours if said.startswith("right") else self.answer

    def judge(self, yours: Callable | None) -> str:
        """The sentence for this answer; it starts with "right" if it is."""
        unwritten = f"not written yet. Ask for check.{self.name}.hint() when you want one."
        if yours is None or yours is Ellipsis:
            return unwritten
        if not callable(yours):
            return f"a function is wanted, and a {type(yours).__name__} came. Pass the function's name, without brackets."
        if yours is self.answer:
            return "this is the course's own function. Write yours in the cell above, and run that first."
        try:
            with torch.random.fork_rng():
                wrong = self.test(yours)
        except NotWritten:
            return unwritten.replace("yet.", "yet: it returns nothing.")
        except Exception as error:  # whatever the learner's code raises is told to the learner
            place = [f for f in traceback.extract_tb(error.__traceback__) if f.name == getattr(yours, "__name__", "")]
            where = f" in line {place[-1].lineno} of your cell: {place[-1].line}" if place and place[-1].line else ""
            return f"it stopped with {type(error).__name__}: {error}{where}"
        if wrong:
            return wrong
        note = remember(f"{self.lesson}/{self.name}")
        done = sum(f"{self.lesson}/{e}" in solved() for e in LESSONS[self.lesson])
        return f"right. {done} of {len(LESSONS[self.lesson])} in this lesson.{note}"

    def hint(self) -> None:
        """Print the next hint."""
        if self.given < len(self.hints):
            print(f"hint {self.given + 1} of {len(self.hints)}: {self.hints[self.given]}")
            self.given += 1
        else:
            print(f"That was the last hint. check.{self.name}.solution() shows how the course does it.")

    def solution(self) -> None:
        """Show the package's own function."""
        show(self.answer)


class NotWritten(Exception):
    """The learner's function returned nothing: the stub is as it was."""


def exercise(lesson: str, answer: Callable, *hints: str) -> Callable[[Callable], Exercise]:
    """Make a test function an `Exercise` of a lesson; its name is the exercise's."""
    return lambda test: Exercise(lesson, test, answer, hints)


def tensor(value: object, like: torch.Tensor | tuple[int, ...], what: str = "result") -> str | None:
    """The sentence for a value that is no finite tensor of that shape, else None. Raises NotWritten for None."""
    if value is None or value is Ellipsis:
        raise NotWritten
    shape = tuple(like.shape) if isinstance(like, torch.Tensor) else like
    if not isinstance(value, torch.Tensor):
        return f"your {what} is a {type(value).__name__}; a tensor of shape {shape} is wanted."
    if tuple(value.shape) != shape:
        return f"your {what} has shape {tuple(value.shape)}; {shape} is wanted."
    if not value.isfinite().all():
        return f"your {what} holds numbers that are not finite."
    return None


def untouched(x: torch.Tensor, before: torch.Tensor, name: str = "x") -> str | None:
    """The sentence for a function that changed its input in place, else None. before: a copy from before the call."""
    if not torch.equal(x, before):
        return f"your function changed {name} itself. Work on a new tensor: {name} + …, not {name} += …."
    return None


def dice() -> np.random.Generator:
    """Fresh dice, thrown by torch's, which each judgement puts back."""
    return np.random.default_rng(torch.randint(2**31, ()).item())


def array(value: object, shape: tuple[int, ...], what: str = "result") -> str | None:
    """The sentence for a value that is no finite array of that shape, else None. Raises NotWritten for None."""
    if value is None or value is Ellipsis:
        raise NotWritten
    if not isinstance(value, np.ndarray | np.generic | torch.Tensor | float | int):
        return f"your {what} is a {type(value).__name__}; an array of shape {shape} is wanted."
    if np.shape(value) != shape:
        return f"your {what} has shape {tuple(np.shape(value))}; {shape} is wanted."
    if np.asarray(value).dtype == object:
        return f"your {what} holds things that are no numbers."
    if not np.isfinite(np.asarray(value)).all():
        return f"your {what} holds numbers that are not finite."
    return None


def same(mine: np.ndarray, right: np.ndarray) -> bool:
    """Equal but for rounding, also that of float32."""
    mine = np.asarray(mine)
    return mine.shape == right.shape and np.allclose(mine, right, rtol=1e-4, atol=1e-5 * np.abs(right).max())


def recognised(mine: np.ndarray, *mistakes: tuple[np.ndarray, str]) -> str | None:
    """The sentence of the first mistake that gives this very array, else None."""
    return next((sentence for array, sentence in mistakes if same(mine, array)), None)


def kept(**arrays: tuple[np.ndarray, np.ndarray]) -> str | None:
    """The sentence for an argument that was changed in place, else None. Each by name: now, before."""
    changed = [name for name, (now, before) in arrays.items() if not np.array_equal(now, before)]
    return f"your function changed {changed[0]} itself. Work on a new array." if changed else None


def as_array(value: object) -> object:
    """A list of numbers or a pandas column as an array; anything else as it came."""
    flat = isinstance(value, list | tuple) and all(isinstance(v, int | float | np.generic) for v in value)
    return np.asarray(value) if flat or hasattr(value, "to_numpy") else value


def progress() -> None:
    """Draw what is solved, a line a lesson."""
    for module in pkgutil.iter_modules(__path__):  # each declares its exercises
        importlib.import_module(f"{__name__}.{module.name}")

    done = solved()
    for lesson, exercises in sorted(LESSONS.items()):
        marks = "".join("■" if f"{lesson}/{e}" in done else "□" for e in exercises)
        count = sum(f"{lesson}/{e}" in done for e in exercises)
        print(f"{lesson:<36} {marks:<6} {count} of {len(exercises)}")
