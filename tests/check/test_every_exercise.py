"""What holds for every exercise, in whatever lesson."""

import ast
import functools
import importlib
import inspect
import pkgutil
import random
import re
import sys

import nbformat
import numpy as np
import pytest
import torch

import trickkit
from trickkit import check, folders

from .answers import accepted, yours

LESSONS = [module.name for module in pkgutil.iter_modules(check.__path__)]
NOTEBOOKS = sorted((folders.ROOT / "notebooks").glob("*.ipynb"))


def exercises(lesson):
    module = importlib.import_module(f"trickkit.check.{lesson}")
    return [e for e in vars(module).values() if isinstance(e, check.Exercise)]


EXERCISES = [exercise for lesson in LESSONS for exercise in exercises(lesson)]


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_exercise_has_wrong_answers_in_its_lessons_file(lesson):
    tests = importlib.import_module(f"{__package__}.test_{lesson}")
    forgotten = set(exercises(lesson)) - {exercise for exercise, _, _ in tests.WRONG}
    assert not forgotten, [exercise.name for exercise in forgotten]


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_answer_is_right_every_time(exercise):
    accepted(
        exercise, exercise.answer, times=12 if exercise.name in ("break_defence", "stamp") else 30
    )


@pytest.mark.parametrize("exercise", EXERCISES)
def test_odd_answers_never_raise(exercise):
    def said(answer):
        verdict = exercise.judge(answer)
        assert not verdict.right
        return verdict.sentence

    for stub in (None, ...):
        assert said(stub).startswith("not written yet. ")
    assert said(lambda *a: None).startswith("not written yet: it returns nothing")
    assert "function's name, without brackets" in said(torch.zeros(3))
    assert "the course's own function" in said(exercise.answer)
    assert "a str" in said(lambda *a: "five")
    assert "has shape" in said(lambda *a: torch.zeros(7, 7, 7))
    assert "TypeError" in said(lambda: 1)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_right_answer_is_handed_back_and_for_a_wrong_one_the_courses(exercise):
    assert inspect.unwrap(exercise(lambda *a: None)) is inspect.unwrap(exercise.answer)
    mine = yours(exercise.answer)
    assert exercise(mine) is mine


@pytest.mark.parametrize("exercise", EXERCISES)
def test_hints_come_one_after_another_until_the_last(exercise, capsys, monkeypatch):
    monkeypatch.setattr(exercise, "given", 0)
    for number, hint in enumerate(exercise.hints, 1):
        exercise.hint()
        assert capsys.readouterr().out == f"hint {number} of {len(exercise.hints)}: {hint}\n"
    exercise.hint()
    assert "last hint" in capsys.readouterr().out


@pytest.mark.parametrize("exercise", EXERCISES)
def test_what_a_hint_names_exists(exercise):
    modules = {name: getattr(trickkit, name) for name in trickkit.MODULES}
    for hint in exercise.hints:
        for module, name in re.findall(r"\b([a-z]+)\.(\w+)", hint):
            assert module not in modules or hasattr(modules[module], name), f"{module}.{name}"


def stubs(path):
    """A notebook's exercises: the stub's name and signature, the exercise's name, and the cells
    that follow."""
    code = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    cells = [ast.parse(source) for source in code]
    for place, cell in enumerate(cells, 1):
        functions = {node.name: node for node in cell.body if isinstance(node, ast.FunctionDef)}
        for node in cell.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("check."):
                name = node.targets[0].id
                stub = eval(f"lambda {ast.unparse(functions[name].args)}: None")
                yield name, inspect.signature(stub), node.value.func.attr, cells[place:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_cells_call_a_learners_function_as_its_stub_allows(path):
    """And the course's answer, which may take its place, has room for all that a stub takes."""
    answers = {e.name: e.answer for e in EXERCISES if e.lesson.replace(" ", "_", 1) == path.stem}
    found = list(stubs(path))
    assert [exercise for _, _, exercise, _ in found] == list(answers)
    for name, signature, exercise, cells in found:
        assert len(signature.parameters) <= len(inspect.signature(answers[exercise]).parameters)
        nodes = [node for cell in cells for node in ast.walk(cell)]
        assert any(isinstance(n, ast.Name) and n.id == name for n in nodes), f"{name} is not used"
        for call in (n for n in nodes if isinstance(n, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id == name:
                args = [a for a in call.args if not isinstance(a, ast.Starred)]
                kwargs = {k.arg: k.value for k in call.keywords if k.arg}
                whole = len(args) + len(kwargs) == len(call.args) + len(call.keywords)
                try:
                    (signature.bind if whole else signature.bind_partial)(*args, **kwargs)
                except TypeError as error:
                    pytest.fail(f"{ast.unparse(call)}: {error}")


# An answer that is right, or is not, in an unusual way: what is wanted, in tables. First what
# differs from the rule, by what an exercise asks for.

RETURNS_NO_ARRAY = {  # a function, an objective, a sentence, a choice, a table of words, two things
    "straight_through",
    "data_contract",
    "shaded",
    "certificate",
    "red_shoes",
    "liar",
    "receptive_field",
    "evidence",
    "draws_needed",
    "first_that_holds",
    "pick",
    "unavoidable_errors",
    "impostor",
    "bias",
    "which_to_drop",
}
NEEDS_GRADIENT = {
    "worst_case_loss",
    "adversarial_loss",
    "gram",
    "style_loss",
    "deceive",
    "from_waves",
}  # not in NumPy
BOOLEANS = {"control_labels", "withstood", "top_pixels"}  # or whole numbers


def floats(value):
    """The arrays and tensors of numbers in a result, or in what an answer is handed."""
    return [
        part
        for part in check.parts(value)
        if isinstance(part, torch.Tensor | np.ndarray) and np.asarray(part.tolist()).dtype == float
    ]


def each(change):
    """A change of every array or tensor that comes back."""

    def made(answer):
        def changed(*args):
            value = answer(*args)
            return tuple(map(change, value)) if isinstance(value, tuple) else change(value)

        return changed

    return made


def first(act):
    """Something done to the first array or tensor of numbers that came, after the right answer."""

    def made(answer):
        def spoils(*args):
            value = answer(*args)
            act(floats(args)[0])
            return value

        return spoils

    return made


def before(act):
    """Something done before the right answer."""

    def made(answer):
        def acts(*args):
            act()
            return answer(*args)

        return acts

    return made


def instead(act):
    return lambda answer: lambda *args: act()


def fails(error):
    def raises():
        raise error

    return instead(raises)


def never_ends():
    while True:
        pass


def pieces(answer):
    def generator(*args):
        yield answer(*args)

    return generator


def in_form(exercise, form):
    """A function with as many of the answer's parameters as are given, of its own code."""
    names = list(inspect.signature(exercise.answer).parameters)[: len(first_call(exercise)[0])]
    scope = {"answer": exercise.by_place}
    head = form.format(names=", ".join(names))
    exec(f"def mine({head}):\n    return answer({', '.join(names)})", scope)
    return scope["mine"]


@functools.cache
def first_call(exercise):
    """What an answer is handed first, and what comes back."""
    calls = []

    def watched(*args):
        calls.append((args, exercise.by_place(*args)))
        return calls[-1][1]

    exercise.judge(watched)
    return calls[0]


class Callable:
    def __init__(self, answer):
        self.answer = answer

    def __call__(self, *args):
        return self.answer(*args)


def double(value):
    return value.double() if isinstance(value, torch.Tensor) else value


def numpys(value):
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


def torchs(value):
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def noisy():
    print("noise")
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    return torch.rand(3), np.random.rand(3), random.random()


STYLES = {
    "partial": functools.partial,
    "object": Callable,
    "decorated": lambda answer: functools.wraps(answer)(lambda *args: answer(*args)),
    "noisy": before(noisy),
}

FORMS = {
    "an option more": "{names}, more=None",
    "by name": "*, {names}",
    "copied by hand": "{names}",
}

RESULTS = {
    "float64": each(double),
    "NumPy": each(numpys),
    "tensors": each(torchs),
    "lists": each(lambda value: value.tolist() if hasattr(value, "tolist") else value),
}

WRONG = {  # and the beginning of what is said
    "None": (instead(lambda: None), "not written yet: it returns nothing"),
    "ValueError": (fails(ValueError("so")), "it stopped with ValueError: so"),
    "no message": (fails(AssertionError()), "it stopped with AssertionError(, in line|$)"),
    "exit": (fails(SystemExit(3)), "it stopped with SystemExit: 3"),
    "never ends": (instead(never_ends), "your function has run .* lines and has not come back"),
    "a string": (instead(lambda: "five"), ".*str"),
    "a dictionary": (instead(lambda: {"a": 1}), ".*dict"),
    "pieces": (pieces, ".*(yield|generator)"),
}


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(check, "LINES", 20_000)
    check.DICE.seed(1)


def state():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_right_answer_is_right_in_any_style_and_leaves_the_dice(exercise):
    dice = state()
    answer = yours(exercise.answer)
    functions = {name: made(answer) for name, made in STYLES.items()}
    functions |= {name: in_form(exercise, form) for name, form in FORMS.items()}
    for name, function in functions.items():
        right, said = exercise.judge(function)
        assert right, (name, said)
    assert state() == dice and sys.gettrace() is None


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_right_answer_is_right_in_any_dtype_and_is_handed_back_as_the_course_has_it(exercise):
    if exercise.name in RETURNS_NO_ARRAY:
        return
    answer = yours(exercise.answer)
    args, value = first_call(exercise)
    for name, made in RESULTS.items():
        if name == "float64" and exercise.name in BOOLEANS:
            continue
        trial = check.Trial(made(answer), exercise.answer)
        right, said = exercise.verdict(trial)
        if name in ("NumPy", "lists") and exercise.name in NEEDS_GRADIENT:
            assert not right and re.search("gradient|training cannot follow", said), (name, said)
            continue
        assert right, (name, said)
        again = trial.handed_back()(*args)
        for one, other in zip(check.parts(again), check.parts(value), strict=True):
            assert type(one) is type(other), (name, type(one))
            assert getattr(one, "dtype", None) == getattr(other, "dtype", None), (name, one.dtype)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_wrong_answer_of_any_kind_is_told_what_it_is(exercise):
    answer = yours(exercise.answer)
    dice = state()
    for name, (made, says) in WRONG.items():
        right, said = exercise.judge(made(answer))
        assert not right and re.match(says, said), (name, said)
    with pytest.raises(KeyboardInterrupt):
        exercise.judge(fails(KeyboardInterrupt())(answer))
    assert state() == dice and sys.gettrace() is None


@pytest.mark.parametrize("exercise", EXERCISES)
def test_what_came_is_left_as_it_came(exercise):
    answer = yours(exercise.answer)
    came = floats(first_call(exercise)[0])
    if not came:  # numbers, a function, a name, dice
        return
    right, said = exercise.judge(first(spoil)(answer))
    assert not right and ("itself" in said or "you trained the network" in said), said
    if isinstance(came[0], torch.Tensor) and came[0].is_leaf and not came[0].requires_grad:
        right, said = exercise.judge(first(lambda x: x.requires_grad_())(answer))
        assert not right and "you switched requires_grad on" in said, said


def spoil(value):
    with torch.no_grad():
        value += 1


@pytest.mark.parametrize("exercise", EXERCISES)
def test_numbers_that_are_none_are_told(exercise):
    if exercise.name in RETURNS_NO_ARRAY | BOOLEANS:
        return
    right, said = exercise.judge(each(lambda value: value * torch.nan)(yours(exercise.answer)))
    assert not right
    assert re.search("finite|not a number|overflow|0 / 0", said), said
