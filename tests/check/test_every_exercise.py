"""What holds for every exercise, in whatever lesson."""

import ast
import importlib
import inspect
import pkgutil
import re

import nbformat
import pytest
import torch

import trickkit
from trickkit import check, data

from .answers import accepted, yours

LESSONS = [module.name for module in pkgutil.iter_modules(check.__path__)]
NOTEBOOKS = sorted((data.ROOT / "notebooks").glob("*.ipynb"))


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
    accepted(exercise, exercise.answer, times=30)


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
