"""The exercises' checks, a module a lesson: `from trickkit.check import panda_to_vulture as check`.

    one_step = check.one_step(one_step)   what is right, or the one sentence that helps; hands back
                                          a function that works
    check.one_step.hint()                 a hint; again for the next
    check.one_step.solution()             the package's own function
    check.progress()                      what you have solved, in every lesson

How to write a check: as a function of the learner's function, which returns the first sentence that
helps, or None if all is well. It is run `rounds` times, each with fresh inputs. `called` calls the
learner's by place, and ends the check where the result is of another kind or shape than wanted, or
an input was changed; `recognised` looks up what came among what known mistakes give.

    @exercise(LESSON, linear.nudge, "A hint.", "Another, which says more.", rounds=20)
    def nudge(yours):
        x, weights = torch.randn(2, 9)
        moved = called(yours, x, weights, 0.1, like=x, keeps={"x": x})
        right = linear.nudge(x, weights, eps=0.1)
        if same(moved, right):
            return None
        mistakes = {"you returned the change alone.": right - x, "x came back as it was.": x}
        return recognised(moved, mistakes) or f"the score rose by {(moved - x) @ weights:.2f}."
"""

import copy
import functools
import importlib
import inspect
import json
import os
import pathlib
import pkgutil
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from trickkit import data, show

LESSONS: dict[str, list[str]] = {}  # lesson -> its exercises, in order, as the modules declare them
SOLVED: set[str] = set()  # since the kernel started; the file remembers longer
Marks = dict[str, Any]  # the sentence for a mistake -> what it is known by, or a list of such


def progress_file() -> pathlib.Path | None:
    """Where progress is kept: $TRICKKIT_PROGRESS, or my_course/progress.json; None, nothing kept,
    where that is empty.
    """
    named = os.environ.get("TRICKKIT_PROGRESS", str(data.ROOT / "my_course" / "progress.json"))
    return pathlib.Path(named) if named else None


def solved() -> set[str]:
    """The exercises solved so far, as "lesson/exercise".

    A lost or damaged file counts as none solved.
    """
    file = progress_file()
    if file is None:
        return SOLVED
    try:
        return SOLVED | {str(name) for name in json.loads(file.read_text(encoding="utf-8"))}
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


class Verdict(NamedTuple):
    """What a check says of an answer."""

    right: bool
    sentence: str


class Wrong(Exception):
    """Ends a check with its sentence."""


class NotWritten(Exception):
    """The learner's function returned nothing: the stub is as it was."""


class Exercise:
    """One exercise.

    Call it with the learner's function; it prints a sentence and returns a function to go on with.

    lesson: its name.
    test: takes the learner's function, returns None if it is right or else the sentence that helps.
    answer: the package's own function; `by_place` is the same, called by place alone.
    hints: one at a time.
    rounds: how often the test is asked, each time with fresh inputs.
    """

    def __init__(
        self, lesson: str, test: Callable, answer: Callable, hints: tuple[str, ...], *, rounds: int
    ):
        self.lesson = lesson
        self.name = test.__name__
        self.test = test
        self.answer = answer
        self.by_place = by_place(answer)
        self.hints = hints
        self.rounds = rounds
        self.given = 0
        LESSONS.setdefault(lesson, []).append(self.name)
        self.__doc__ = test.__doc__

    def __call__(self, yours: object) -> Callable:
        verdict = self.judge(yours)
        print(f"{self.name}: {verdict.sentence}")
        if verdict.right and callable(yours):
            return by_place(yours)
        return as_yours(self.by_place, yours)

    def judge(self, yours: object) -> Verdict:
        """Whether this answer is right, and the sentence for it; a right one is remembered."""
        if wrong := self.objection(yours):
            return Verdict(False, wrong)
        note = remember(f"{self.lesson}/{self.name}")
        exercises = LESSONS[self.lesson]
        done = sum(f"{self.lesson}/{name}" in solved() for name in exercises)
        return Verdict(True, f"right. {done} of {len(exercises)} in this lesson.{note}")

    def objection(self, yours: object) -> str | None:
        """The sentence for an answer that is not right, else None."""
        hint = f"Ask for check.{self.name}.hint() when you want one."
        if yours is None or yours is Ellipsis:
            return f"not written yet. {hint}"
        if not callable(yours):
            return (
                f"a function is wanted, and a {type(yours).__name__} came. Pass the function's"
                " name, without brackets."
            )
        # A check hands the answer back in a wrapper.
        if inspect.unwrap(yours) is inspect.unwrap(self.answer):
            return (
                "this is the course's own function. Write yours in the cell above, and run that"
                " first."
            )
        function = by_place(yours)
        try:
            with torch.random.fork_rng():
                for _ in range(self.rounds):
                    if wrong := self.test(function):
                        return wrong
        except Wrong as wrong:
            return str(wrong)
        except NotWritten:
            return f"not written yet: it returns nothing. {hint}"
        except Exception as error:  # whatever the learner's code raises is told to the learner
            return f"it stopped with {type(error).__name__}: {error}{line_of(yours, error)}"
        return None

    def hint(self) -> None:
        """Print the next hint."""
        if self.given < len(self.hints):
            print(f"hint {self.given + 1} of {len(self.hints)}: {self.hints[self.given]}")
            self.given += 1
        else:
            print(
                f"That was the last hint. check.{self.name}.solution() shows how the course"
                " does it."
            )

    def solution(self) -> None:
        """Show the package's own function."""
        show(self.answer)


def exercise(
    lesson: str, answer: Callable, *hints: str, rounds: int = 1
) -> Callable[[Callable], Exercise]:
    """Make a test function an `Exercise` of a lesson; its name is the exercise's."""
    return lambda test: Exercise(lesson, test, answer, hints, rounds=rounds)


def by_place(function: Callable) -> Callable:
    """A function whose keyword-only arguments can be given by place too.

    So a learner's can be called whatever its parameters are named, and also where it was copied
    from the course's solution, which has a `*` among them.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have no signature
        return function
    kinds = [p.kind for p in parameters]
    names = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if not names or inspect.Parameter.VAR_POSITIONAL in kinds:
        return function
    places = sum(kind < inspect.Parameter.VAR_POSITIONAL for kind in kinds)

    @functools.wraps(function)
    def placed(*args, **kwargs):
        named = dict(zip(names, args[places:], strict=False))
        too_many = args[places + len(names) :]  # Python itself says what is wrong with these
        return function(*args[:places], *too_many, **named, **kwargs)

    return placed


def as_yours(answer: Callable, yours: object) -> Callable:
    """The course's answer, to be called as the learner's own function is: with its names, its
    defaults, and no more.

    So the cells that follow run the same with either. What is no plain function, or takes whatever
    comes, leaves the answer as it is.

    answer: called by place; what the learner's function takes beyond its parameters is left out.
    yours: the learner's function, or whatever came.
    """
    if not inspect.isfunction(yours):
        return answer
    signature = inspect.signature(yours)
    kinds = {p.kind for p in signature.parameters.values()}
    if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return answer
    places = len(inspect.signature(answer).parameters)

    @functools.wraps(answer)
    def called_as_yours(*args, **kwargs):
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{yours.__name__}{signature}: {error}") from None
        bound.apply_defaults()
        return answer(*list(bound.arguments.values())[:places])

    called_as_yours.__signature__ = signature  # type: ignore[attr-defined]  # not in wraps' stub
    return by_place(called_as_yours)


def line_of(function: Callable, error: Exception) -> str:
    """Where in a function an error arose, as the end of a sentence; nothing if elsewhere."""
    name = getattr(function, "__name__", "")
    lines = [f for f in traceback.extract_tb(error.__traceback__) if f.name == name and f.line]
    return f" in line {lines[-1].lineno} of your cell: {lines[-1].line}" if lines else ""


def called(
    yours: Callable,
    *inputs: object,
    like: torch.Tensor | np.ndarray | float,
    what: str = "result",
    known: Marks | None = None,
    keeps: dict[str, Any] | None = None,
) -> Any:
    """What a learner's function makes of the inputs: a tensor, or else an array, as wanted.

    Where an array is wanted, a list of numbers or a pandas column will do.

    yours: the learner's function.
    inputs: for it, by place.
    like, what, known: as for `shaped`.
    keeps: inputs that must not be changed, each by the name that the sentence gives it.
    Raises Wrong with the sentence for a result of another kind or shape, or not finite, and for an
        input that was changed; NotWritten for None.
    """
    keeps = keeps or {}
    before = {name: untied(value) for name, value in keeps.items()}
    value = yours(*inputs)
    array = not isinstance(like, torch.Tensor)
    value = as_array(value) if array else value
    wrong = shaped(value, like, what=what, known=known) or unchanged(
        **{name: (now, before[name]) for name, now in keeps.items()}
    )
    if wrong:
        raise Wrong(wrong)
    return np.asarray(value) if array else value


def written(value: Any) -> Any:
    """A value as it came.

    Raises NotWritten if nothing did.
    """
    if value is None or value is Ellipsis:
        raise NotWritten
    return value


def shaped(
    value: object,
    like: torch.Tensor | np.ndarray | float,
    *,
    what: str = "result",
    known: Marks | None = None,
) -> str | None:
    """The sentence for a value of another kind or shape than wanted, or not finite, else None.

    value: what came.
    like: a tensor, an array or a number such as is wanted.
    what: what the sentence calls the value.
    known: the sentence for a mistake -> the type or the shape of what it gives, or a list of such.
    Raises NotWritten for None.
    """
    written(value)
    wanted = tuple(np.shape(like))
    tensor = isinstance(like, torch.Tensor)
    kinds = torch.Tensor if tensor else np.ndarray | np.generic | torch.Tensor | float | int
    if wrong := of_mark(known, lambda mark: isinstance(mark, type) and isinstance(value, mark)):
        return wrong
    if not isinstance(value, kinds):
        one = "a tensor" if tensor else "an array"
        kind = type(value).__name__
        a = "an" if kind[0] in "aeiou" or kind == "ndarray" else "a"
        return f"your {what} is {a} {kind}; {one} of shape {wanted} is wanted."
    shape = tuple(np.shape(value))
    if shape != wanted:
        wrong = of_mark(known, lambda mark: mark == shape)
        return wrong or f"your {what} has shape {shape}; {wanted} is wanted."
    if not tensor and np.asarray(value).dtype == object:
        return f"your {what} holds things that are no numbers."
    finite = value.isfinite() if isinstance(value, torch.Tensor) else np.isfinite(np.asarray(value))
    if not finite.all():
        return f"your {what} holds numbers that are not finite."
    return None


def unchanged(**now_before: tuple[Any, Any]) -> str | None:
    """The sentence for an input that was changed in place, else None.

    Each by name: what it is now, and a copy from before.
    """
    for name, (now, before) in now_before.items():
        tensor = isinstance(now, torch.Tensor)
        if not (torch.equal if tensor else np.array_equal)(now, before):
            how = f"tensor: {name} + …, not {name} += …" if tensor else "array"
            return f"your function changed {name} itself. Work on a new {how}."
    return None


def same(mine: Any, right: Any) -> bool:
    """Equal but for rounding, also that of float32. Two arrays, or numbers."""
    mine = np.asarray(mine)
    right = np.asarray(right)
    return mine.shape == right.shape and np.allclose(
        mine, right, rtol=1e-4, atol=1e-5 * np.abs(right).max()
    )


def recognised(
    mine: Any, mistakes: Marks, *, same: Callable[[Any, Any], bool] = same
) -> str | None:
    """The sentence for the first mistake that gives just what came, else None.

    mine: what came.
    mistakes: the sentence for a mistake -> what it gives, or a list of such.
    same: whether two results are the same, (mine, a mistake's) -> bool.
    """
    return of_mark(mistakes, lambda wrong: same(mine, wrong))


def of_mark(marks: Marks | None, fits: Callable[[Any], bool]) -> str | None:
    """The first sentence with a mark that fits, else None."""
    for sentence, mark in (marks or {}).items():
        if any(map(fits, mark if isinstance(mark, list) else [mark])):
            return sentence
    return None


def untied(value: Any) -> Any:
    """A copy that nothing done to the value reaches."""
    return value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)


def as_array(value: object) -> object:
    """A list of numbers or a pandas column as an array; anything else as it came."""
    flat = isinstance(value, list | tuple) and all(
        isinstance(v, int | float | np.generic) for v in value
    )
    return np.asarray(value) if flat or hasattr(value, "to_numpy") else value


def fresh_rng() -> np.random.Generator:
    """A generator seeded from torch's, which each judgement puts back."""
    return np.random.default_rng(int(torch.randint(2**31, ())))


def progress() -> None:
    """Draw what is solved, a line a lesson."""
    for module in pkgutil.iter_modules(__path__):  # each declares its exercises
        importlib.import_module(f"{__name__}.{module.name}")

    done = solved()
    for lesson, exercises in sorted(LESSONS.items()):
        marks = "".join("■" if f"{lesson}/{e}" in done else "□" for e in exercises)
        count = sum(f"{lesson}/{e}" in done for e in exercises)
        print(f"{lesson:<36} {marks:<6} {count} of {len(exercises)}")
