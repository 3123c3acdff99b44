"""The exercises' checks, a module a lesson: `from trickkit.check import panda_to_vulture as check`.

    one_step = check.one_step(one_step)   what is right, or the one sentence that helps; hands back
                                          a function that works
    check.one_step.hint()                 a hint; again for the next
    check.one_step.solution()             the package's own function
    check.progress()                      what you have solved, in every lesson

How to write a check: as a function of the learner's function, which returns the first sentence that
helps, or None if all is well. It is run `rounds` times, each with fresh inputs, drawn from torch's
dice or from `fresh_rng`. Every call of the learner's function ends the check where an input was
changed or was left with a gradient, and where it never comes back. `called` ends it as well where
the result is of another kind or shape than wanted, and makes of lists, arrays and tensors the one
that is; `recognised` looks up what came among what known mistakes give.

    @exercise(LESSON, linear.nudge, "A hint.", "Another, which says more.", rounds=20)
    def nudge(yours):
        x, weights = torch.randn(2, 9)
        moved = called(yours, x, weights, 0.1, like=x)
        right = linear.nudge(x, weights, eps=0.1)
        if same(moved, right):
            return None
        mistakes = {"you returned the change alone.": right - x, "x came back as it was.": x}
        return recognised(moved, mistakes) or f"the score rose by {(moved - x) @ weights:.2f}."
"""

import contextlib
import copy
import functools
import importlib
import inspect
import itertools
import operator
import pathlib
import pkgutil
import random
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from trickkit import progress as kept
from trickkit import show
from trickkit.common import printable

LESSONS: dict[str, list[str]] = {}  # lesson -> its exercises, in order, as the modules declare them
Marks = dict[str, Any]  # the sentence for a mistake -> what it is known by, or a list of such
DICE = random.Random()  # seeds the dice of every judgement; nothing that a learner does reaches it
NOT_WRITTEN = "not written yet"  # how the sentence for a stub begins
CALLS = 10_000  # of a model, or whatever else it is handed, in one call of a learner's function
LINES = 500_000  # of its own, that a learner's function may run in one call
LIBRARIES = (
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    str(pathlib.Path(__file__).parents[1]),
    "<frozen",
)


class Verdict(NamedTuple):
    """What a check says of an answer."""

    right: bool
    sentence: str


class Wrong(BaseException):
    """Ends a check with its sentence; no `except Exception` of the learner's keeps it from that."""


class Changed(Wrong):
    """An input was changed: which, by its place, and a sentence with room for its name."""

    def __init__(self, place: int, sentence: str, name: str):
        self.place = place
        self.sentence = sentence
        super().__init__(sentence.format(name))


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
        self.path = f"{lesson}/{self.name}"
        self.test = test
        self.answer = answer
        self.by_place = by_place(answer)
        self.hints = hints
        self.rounds = rounds
        self.given = 0
        LESSONS.setdefault(lesson, []).append(self.name)
        self.__doc__ = test.__doc__

    def __call__(self, yours: object) -> Callable:
        trial = Trial(yours, self.answer)
        verdict = self.verdict(trial)
        print(printable(f"{self.name}: {verdict.sentence}"))
        return trial.handed_back() if verdict.right else as_yours(self.by_place, yours)

    def judge(self, yours: object) -> Verdict:
        """Whether this answer is right, and the sentence for it; a right one is remembered."""
        return self.verdict(Trial(yours, self.answer))

    def verdict(self, trial: "Trial") -> Verdict:
        """What is said of an answer on trial."""
        if wrong := self.objection(trial):
            tried = not wrong.startswith(NOT_WRITTEN)
            return Verdict(False, wrong + (kept.note("tried", self.path) if tried else ""))
        unkept = kept.note("solved", self.path)
        exercises, solved = LESSONS[self.lesson], kept.solved()
        done = sum(f"{self.lesson}/{name}" in solved for name in exercises)
        return Verdict(True, f"right. {done} of {len(exercises)} in this lesson.{unkept}")

    def objection(self, trial: "Trial") -> str | None:
        """The sentence for an answer that is not right, else None."""
        yours = trial.yours
        hint = f"Ask for check.{self.name}.hint() when you want one."
        if yours is None or yours is Ellipsis:
            return f"{NOT_WRITTEN}. {hint}"
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
        try:
            with fresh_dice():
                for _ in range(self.rounds):
                    if wrong := self.test(trial):
                        return wrong
        except Wrong as wrong:
            return str(wrong)
        except NotWritten:
            return f"{NOT_WRITTEN}: it returns nothing. {hint}"
        except (Exception, SystemExit) as error:  # whatever the learner's code raises is told
            line = line_of(yours, error)
            told = f"{type(error).__name__}: {error}".removesuffix(": ").removesuffix(".")
            if error is trial.error or line:
                return f"it stopped with {told}{line}"
            return f"what your function returned is nothing the check can work with ({told})."
        return None

    def hint(self) -> None:
        """Print the next hint."""
        if self.given < len(self.hints):
            hint = self.hints[self.given]
            unkept = kept.note("hint", self.path)
            print(printable(f"hint {self.given + 1} of {len(self.hints)}: {hint}{unkept}"))
            self.given += 1
        else:
            print(
                f"That was the last hint. check.{self.name}.solution() shows how the course"
                " does it."
            )

    def solution(self) -> None:
        """Show the package's own function."""
        show(self.answer)
        print(printable(kept.note("solution", self.path)), end="")


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


class Trial:
    """A learner's function as a check calls it, by place.

    Each call sees to it that nothing it was handed is changed or left with a gradient, that it
    comes back, and that the dice are fresh afterwards, whatever it did to them.

    yours: the learner's function, or whatever came.
    answer: the package's own.
    error: what the learner's function raised last.
    like: what its results have to be made like before they are of use, once a check has found so.
    """

    def __init__(self, yours: Any, answer: Callable):
        self.yours = yours
        self.function = by_place(yours) if callable(yours) else yours
        self.names = parameter_names(yours) or parameter_names(answer)
        self.error: BaseException | None = None
        self.like: Any = None

    def __call__(self, *args: Any) -> Any:
        names = [*self.names, *("an input" for _ in args)]
        before = [contents(value) for value in args]
        leaves = [
            (place, tensor, tensor.requires_grad)
            for place, value in enumerate(args)
            for tensor in parts(value)
            if isinstance(tensor, torch.Tensor) and tensor.is_leaf and tensor.grad is None
        ]
        try:
            with contextlib.ExitStack() as stack:
                handed = [counted(v, n, stack) for v, n in zip(args, names, strict=False)]
                stack.enter_context(lines_counted())
                value = self.function(*handed)
        except (Exception, SystemExit) as error:
            self.error = error
            raise
        finally:
            roll_dice()
        for place, tensor, required in leaves:
            if tensor.requires_grad != required or tensor.grad is not None:
                raise Changed(place, LEFT_GRADIENT, names[place])
        for place, (now, then) in enumerate(zip(args, before, strict=True)):
            if not alike(contents(now), then):
                raise Changed(place, spoilt(now), names[place])
        return value

    def handed_back(self) -> Callable:
        """The learner's function, to go on with: by place, and with results as the cells need; if
        it is handed a function, that takes arrays too, where a tensor is wanted.
        """
        if self.like is None:
            return self.function

        def eased(value):
            return lenient(value, self.like) if inspect.isroutine(value) else value

        @functools.wraps(self.function)
        def made_alike(*args, **kwargs):
            value = self.function(*map(eased, args), **{k: eased(v) for k, v in kwargs.items()})
            return as_wanted(value, self.like, (args, kwargs))

        return made_alike


LEFT_GRADIENT = (
    "you switched requires_grad on for {0} itself, or left a gradient there, and whoever owns {0}"
    " keeps it. Work on {0}.clone()."
)


def spoilt(value: object) -> str:
    """The sentence for an input that was changed in place, with room for its name."""
    if isinstance(value, torch.nn.Module):
        return (
            "your function changed {0} itself: its weights, whether they require gradients, or its"
            " mode. Leave all of it as it came."
        )
    if isinstance(value, torch.Tensor):
        return (
            "your function changed {0} itself. Work on a new tensor: {0} + … or {0} * …, not {0} +="
            " …, nor {0}[…] = …, and no method whose name ends in _."
        )
    return "your function changed {0} itself. Work on a copy."


@contextlib.contextmanager
def fresh_dice() -> Iterator[None]:
    """Fresh dice, torch's, NumPy's and Python's; what they were is put back afterwards."""
    numpys = np.random.get_state()
    pythons = random.getstate()
    with torch.random.fork_rng():
        roll_dice()
        try:
            yield
        finally:
            np.random.set_state(numpys)
            random.setstate(pythons)


def roll_dice() -> None:
    """Seed all dice afresh."""
    torch.default_generator.manual_seed(DICE.getrandbits(63))  # faster than on all devices
    np.random.seed(DICE.getrandbits(32))
    random.seed(DICE.getrandbits(63))


def endless(did: str) -> Wrong:
    """What ends a check whose learner's function does not come back.

    did: what it has done until now, as "run 500,000 lines".
    """
    return Wrong(f"your function has {did} and has not come back: is there a loop that never ends?")


def counted(value: Any, name: str, stack: contextlib.ExitStack) -> Any:
    """A model or a function that ends the check once it is called too often; else as it came.

    stack: takes away, when it closes, what was hung on a model.
    """
    calls = itertools.count(1)

    def count(*_):
        if next(calls) > CALLS:
            raise endless(f"called {name} {CALLS:,} times")

    if isinstance(value, torch.nn.Module):
        stack.callback(value.register_forward_pre_hook(count).remove)
    elif inspect.isroutine(value):

        @functools.wraps(value)
        def asked(*args, **kwargs):
            count()
            return value(*args, **kwargs)

        return asked
    return value


@contextlib.contextmanager
def lines_counted() -> Iterator[None]:
    """Ends the check once the learner's own code has run too many lines: all but Python's, the
    installed packages' and ours.

    Where a debugger or coverage is tracing already, nothing is counted.
    """
    if sys.gettrace():
        yield
        return
    lines = itertools.count(1)

    def line(*_):
        if next(lines) > LINES:
            raise endless(f"run {LINES:,} lines")
        return line

    def call(frame, *_):
        return None if frame.f_code.co_filename.startswith(LIBRARIES) else line

    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(None)


def python_function(function: Any) -> Any:
    """The Python function beneath wrappers, partials, methods and objects, or None."""
    function = inspect.unwrap(function)
    if isinstance(function, functools.partial):
        return python_function(function.func)
    if isinstance(function, torch.nn.Module):
        return python_function(function.forward)
    if inspect.ismethod(function):
        return python_function(function.__func__)
    if inspect.isroutine(function) or inspect.isclass(function):
        return function if inspect.isfunction(function) else None
    return python_function(type(function).__call__)


def line_of(function: Callable, error: BaseException) -> str:
    """Where in the cell, or file, of a function an error arose, as the end of a sentence; nothing
    if elsewhere.
    """
    beneath = python_function(function)
    cell = beneath and beneath.__code__.co_filename
    lines = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == cell and f.line]
    if not lines:
        return ""
    return f", in line {lines[-1].lineno} of your cell: {(lines[-1].line or '')[:80]}"


def parameter_names(function: Any) -> list[str]:
    """The names of a function's parameters; none where they cannot be told."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # no function, or a built-in one without a signature
        return []
    kinds = {p.kind for p in parameters}
    several = kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return [] if several else [p.name for p in parameters]


def parts(value: Any) -> Iterator[Any]:
    """What a nest of lists, tuples and dictionaries holds; anything else is itself its one part."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from parts(part)
    else:
        yield value


def contents(value: Any) -> Any:
    """A copy of all that could be changed in a tensor, an array, a pandas table or column, a model,
    or a nest of such; None for anything else.
    """
    if isinstance(value, torch.nn.Module):
        learnt = [p.requires_grad for p in value.parameters()]
        modes = [m.training for m in value.modules()]
        return [learnt, modes, [contents(v) for v in value.state_dict().values()]]
    if isinstance(value, dict):
        return [list(value), [contents(v) for v in value.values()]]
    if isinstance(value, list | tuple):
        return [contents(v) for v in value]
    if isinstance(value, torch.Tensor | np.ndarray) or hasattr(value, "to_numpy"):
        return untied(value)
    return value if isinstance(value, str | int | float) else None


def alike(one: Any, other: Any) -> bool:
    """Whether two `contents` are the same."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if hasattr(one, "equals"):
        return one.equals(other)
    if isinstance(one, torch.Tensor):
        one, other = (np.asarray(x.cpu().to(torch.float64)) for x in (one, other))
    if isinstance(one, np.ndarray) and one.dtype.kind == "f":
        return np.array_equal(one, other, equal_nan=True)
    return np.array_equal(one, other)


def called(
    yours: Callable,
    *inputs: object,
    like: Any,
    what: str = "result",
    known: Marks | None = None,
    keeps: dict[str, Any] | None = None,
    not_finite: str | None = None,
) -> Any:
    """What a learner's function makes of the inputs: a tensor, or else an array, as wanted.

    Lists of numbers, arrays, tensors and pandas columns all will do.

    yours: the learner's function.
    inputs: for it, by place.
    like, what, known, not_finite: as for `shaped`. Where neither like nor an input requires a
        gradient, the result has none. Where like is a list, any sequence is of use later.
    keeps: inputs by the name that a sentence gives them, where it is not the parameter's.
    Raises Wrong with the sentence for a result of another kind or shape, or not finite, and for an
        input that was changed; NotWritten for None.
    """
    try:
        came = yours(*inputs)
    except Changed as changed:
        for name, value in (keeps or {}).items():
            if value is inputs[changed.place]:
                raise Wrong(changed.sentence.format(name)) from None
        raise
    if wrong := of_type(written(came), known):
        raise Wrong(wrong)
    value = received(yours, came, like, inputs)
    if wrong := shaped(value, like, what=what, known=known, not_finite=not_finite):
        raise Wrong(wrong)
    return value if isinstance(value, torch.Tensor) else np.asarray(value)


def received(yours: Callable, came: Any, like: Any, inputs: Any = ()) -> Any:
    """What came of a learner's function, `as_wanted`; where that made a difference, what is handed
    back will do the same.
    """
    value = as_wanted(came, like, inputs)
    if value is not came and isinstance(yours, Trial) and not isinstance(like, list):
        yours.like = like
    return value


def as_wanted(value: Any, like: Any, inputs: Any = ()) -> Any:
    """A value as a tensor, of like's dtype, where like is one, else as an array, if it can be
    either; anything else as it came. Where like is a tuple, as many of such.

    inputs: what it was computed from. Where neither they nor like require a gradient, the value
        has none.
    """
    if isinstance(like, tuple):
        if not isinstance(value, tuple | list) or len(value) != len(like):
            return value
        made = [as_wanted(one, wanted, inputs) for one, wanted in zip(value, like, strict=True)]
        return value if all(map(operator.is_, made, value)) else tuple(made)
    if not isinstance(like, torch.Tensor):
        return as_array(value)
    numbers = value if isinstance(value, torch.Tensor) else as_tensor(value)
    if not isinstance(numbers, torch.Tensor):
        return value
    if like.is_floating_point() and not numbers.is_complex():
        numbers = numbers.to(like.dtype)
    needed = any(getattr(part, "requires_grad", False) for part in parts((like, inputs)))
    return numbers if needed or not numbers.requires_grad else numbers.detach()


def written(value: Any) -> Any:
    """A value as it came.

    Raises NotWritten if nothing did.
    """
    if value is None or value is Ellipsis:
        raise NotWritten
    return value


def in_short(came: object) -> str:
    """What came where several things are wanted, in a few words."""
    if isinstance(came, tuple | list):
        return f"{len(came)} things"
    shape = getattr(came, "shape", None)
    return f"a {type(came).__name__}" if shape is None else f"one that has shape {tuple(shape)}"


def shaped(
    value: object,
    like: torch.Tensor | np.ndarray | float,
    *,
    what: str = "result",
    known: Marks | None = None,
    not_finite: str | None = None,
) -> str | None:
    """The sentence for a value of another kind or shape than wanted, or not finite, else None.

    value: what came.
    like: a tensor, an array or a number such as is wanted.
    what: what the sentence calls the value.
    known: the sentence for a mistake -> the type or the shape of what it gives, or a list of such.
    not_finite: the sentence for one that is not finite, if it can be said better.
    Raises NotWritten for None.
    """
    written(value)
    wanted = tuple(np.shape(like))
    tensor = isinstance(like, torch.Tensor)
    kinds = torch.Tensor if tensor else np.ndarray | np.generic | torch.Tensor | float | int
    if wrong := of_type(value, known):
        return wrong
    if inspect.isgenerator(value):
        return (
            "your function yields its result piece by piece; return all of it: return, not yield."
        )
    if not isinstance(value, kinds):
        one = "a tensor" if tensor else "an array"
        one = f"{one} of shape {wanted}" if wanted else "one number"
        kind = type(value).__name__
        a = "an" if kind[0] in "aeiou" or kind == "ndarray" else "a"
        return f"your {what} is {a} {kind}; {one} is wanted."
    shape = tuple(np.shape(value))
    if shape != wanted:
        wrong = of_mark(known, lambda mark: mark == shape)
        return wrong or f"your {what} has shape {shape}; {wanted or 'one number'} is wanted."
    if not tensor and not is_numeric(value):
        return f"your {what} holds things that are no numbers."
    finite = value.isfinite() if isinstance(value, torch.Tensor) else np.isfinite(np.asarray(value))
    if not finite.all():
        return not_finite or f"your {what} holds numbers that are not finite."
    return None


def of_type(value: object, known: Marks | None) -> str | None:
    """The sentence for a mistake that is known by its type, else None; as for `shaped`."""
    return of_mark(known, lambda mark: isinstance(mark, type) and isinstance(value, mark))


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


def told_apart(right: Any, mistakes: Marks) -> bool:
    """Whether each known mistake gives another result than what is right and than all others; a
    check draws inputs until it does.
    """
    results = [("", right)] + [
        (sentence, result)
        for sentence, mark in mistakes.items()
        for result in (mark if isinstance(mark, list) else [mark])
    ]
    of_shape = [(s, np.ravel(r)) for s, r in results if np.shape(r) == np.shape(right)]
    table = np.stack([r for _, r in of_shape]).astype(float)
    others = np.array([[s != t for t, _ in of_shape] for s, _ in of_shape])
    apart = np.abs(table[:, None] - table).max(axis=2)
    scale = np.abs(table).max(axis=1)
    return not (others & (apart <= 3e-4 * np.maximum(scale, scale[:, None]))).any()


def of_mark(marks: Marks | None, fits: Callable[[Any], bool]) -> str | None:
    """The first sentence with a mark that fits, else None."""
    for sentence, mark in (marks or {}).items():
        if any(map(fits, mark if isinstance(mark, list) else [mark])):
            return sentence
    return None


def untied(value: Any) -> Any:
    """A copy that nothing done to the value reaches."""
    return value.detach().clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)


def lenient(function: Callable, like: Any) -> Callable:
    """A function of one tensor that takes arrays as well, and tensors of another dtype, which it
    then gives back.
    """

    def asked(x):
        answer = function(as_wanted(x, like, x))
        both = all(isinstance(v, torch.Tensor) and v.is_floating_point() for v in (x, answer))
        return answer.to(x.dtype) if both else answer

    return asked


def as_tensor(value: object) -> object:
    """Numbers in lists, an array or a pandas column as a tensor; anything else as it came."""
    if isinstance(value, list | tuple) and any(isinstance(v, torch.Tensor) for v in value):
        fits = all(isinstance(v, torch.Tensor) and v.shape == value[0].shape for v in value)
        return torch.stack(list(value)) if fits else value
    array = as_array(value)
    numbers = isinstance(array, np.ndarray | np.number | bool | int | float)
    return torch.tensor(np.array(array)) if numbers and is_numeric(array) else value


def as_array(value: object) -> object:
    """Numbers in lists, a tensor or a pandas column as an array; anything else as it came."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, list | tuple):
        if any(isinstance(v, torch.Tensor) for v in value):
            value = as_tensor(value)
            return as_array(value) if isinstance(value, torch.Tensor) else value
        try:
            array = np.asarray(value)
        except ValueError:  # rows of different lengths
            return value
        return array if is_numeric(array) else value
    return np.asarray(value) if hasattr(value, "to_numpy") else value


def is_numeric(array: Any) -> bool:
    """Whether all in it are real numbers, or True and False."""
    return np.asarray(array).dtype.kind in "biuf"


def fresh_rng() -> np.random.Generator:
    """A generator seeded from torch's, which is fresh in each judgement."""
    return np.random.default_rng(int(torch.randint(2**31, ())))


def progress() -> None:
    """Draw what is solved, a line a lesson."""
    for module in pkgutil.iter_modules(__path__):  # each declares its exercises
        importlib.import_module(f"{__name__}.{module.name}")

    done = kept.solved()
    for lesson, exercises in sorted(LESSONS.items()):
        marks = "".join("■" if f"{lesson}/{e}" in done else "□" for e in exercises)
        count = sum(f"{lesson}/{e}" in done for e in exercises)
        print(printable(f"{lesson:<36} {marks:<7} {count} of {len(exercises)}"))
