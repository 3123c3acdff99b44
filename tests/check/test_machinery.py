"""What all checks stand on: what an exercise says and hands back, and what is remembered of it."""

import functools
import inspect
import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trickkit import attacks, check, data, linear, plots, progress
from trickkit.check import (
    explaining_adversarial_examples,
    linear_classifiers,
    panda_to_vulture,
    start_here,
)
from trickkit.papers import goodfellow2015

from .answers import yours


def test_a_broken_answer_is_told_with_its_line():
    def many_steps(net, x, target, eps, steps):
        return x + undefined  # noqa: F821

    right, said = panda_to_vulture.many_steps.judge(many_steps)
    assert not right and "NameError" in said and "return x + undefined" in said


def test_a_line_of_a_helper_counts_and_one_of_a_namesake_does_not():
    def helper(x):
        return x + undefined  # noqa: F821

    def nudge(x, weights, eps):
        return helper(x)

    assert "return x + undefined" in linear_classifiers.nudge.judge(nudge).sentence
    said = linear_classifiers.nudge.judge(functools.partial(torch.add, alpha="1")).sentence
    assert said.startswith("it stopped with ") and "of your cell" not in said


def test_what_a_check_cannot_work_with_is_not_told_as_the_learners_error():
    scope = {}
    exec(compile("def odd(yours): return yours() + 1", "elsewhere", "exec"), scope)
    exercise = check.Exercise("nowhere", scope["odd"], scope["odd"], (), rounds=1)
    check.LESSONS.pop("nowhere")
    said = exercise.judge(lambda: "1").sentence
    assert said.startswith("what your function returned is nothing the check can work with (TypeE")


def test_a_check_leaves_the_learners_dice_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    panda_to_vulture.one_step.judge(yours(attacks.one_step))
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("seeds", [True, False])
def test_inputs_are_fresh_at_each_call_whatever_is_done_to_the_dice(seeds):
    seen = []

    def nudge(x, weights, eps):
        if seeds:
            torch.manual_seed(0)
        seen.append((len(x), eps))
        return x + eps * weights.sign()

    for _ in range(2):
        torch.manual_seed(3)
        assert linear_classifiers.nudge.judge(nudge).right
    assert len(set(seen)) == len(seen) == 2 * linear_classifiers.nudge.rounds


def test_a_loop_ends_though_it_catches_whatever_is_an_exception(monkeypatch):
    monkeypatch.setattr(check, "LINES", 1000)

    def nudge(x, weights, eps):
        while True:
            try:
                x = x + eps
            except Exception:
                pass

    assert "1,000 lines and has not come back" in linear_classifiers.nudge.judge(nudge).sentence
    assert sys.gettrace() is None


def test_a_debugger_goes_on_tracing():
    seen = []

    def trace(frame, event, arg):
        seen.append(frame.f_code.co_name)

    def nudge(x, weights, eps):
        return x + eps * weights.sign()

    sys.settrace(trace)
    try:
        linear_classifiers.nudge.judge(nudge)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(None)
    assert "nudge" in seen


@pytest.mark.parametrize(
    "spoils",
    [
        lambda m: m.train(),
        lambda m: m.requires_grad_(False),
        lambda m: m[0].weight.data.add_(1),
    ],
)
def test_a_model_stays_as_it_was(spoils):
    trial = check.Trial(lambda model: (spoils(model), None)[1], lambda model: None)
    with pytest.raises(check.Changed, match="changed model itself: its weights"):
        trial(torch.nn.Sequential(torch.nn.Linear(2, 2)).eval())


def test_known_mistakes_are_told_apart():
    right = np.array([1.0, 2.0])
    assert check.told_apart(right, {"a": [right + 1, right + 1], "b": right - 1, "c": 5.0})
    assert not check.told_apart(right, {"a": right + 1, "b": [right - 1, right + 1]})
    assert not check.told_apart(right, {"a": right * (1 + 1e-5)})


def test_the_solution_is_the_packages_source(capsys):
    linear_classifiers.nudge.solution()
    assert "return x + eps * weights.sign()" in capsys.readouterr().out
    assert start_here.magnified.answer is plots.magnified
    assert panda_to_vulture.as_saved.answer is data.as_saved


X = torch.tensor([0.5, -2.0, 1.0])
W = torch.tensor([1.0, -1.0, 2.0])
NUDGED = torch.tensor([0.6, -2.1, 1.1])


def nudge_renamed(numbers, slopes, size):
    return numbers + size * slopes.sign()


def nudge_copied(x, weights, *, eps):
    return x + eps * weights.sign()


class Nudge:
    def __call__(self, x, weights, eps):
        return nudge_renamed(x, weights, eps)

    def method(self, x, weights, *, eps):
        return nudge_copied(x, weights, eps=eps)


def nudge_with_more(x, weights, eps, scale):
    return x + scale * eps * weights.sign()


RIGHT_NUDGES = {
    "renamed": nudge_renamed,
    "copied": nudge_copied,
    "lambda": lambda *a: nudge_renamed(*a),
    "partial": functools.partial(nudge_with_more, scale=1),
    "partial of a copy": functools.partial(nudge_copied, eps=None),
    "object": Nudge(),
    "method": Nudge().method,
    "wrapped": functools.wraps(nudge_copied)(lambda *a, **k: nudge_copied(*a, **k)),
}


@pytest.mark.parametrize("nudge", RIGHT_NUDGES.values(), ids=RIGHT_NUDGES)
def test_a_right_answer_is_handed_back_and_goes_on_by_place(nudge):
    handed = linear_classifiers.nudge(nudge)
    assert inspect.unwrap(handed) is inspect.unwrap(nudge)
    assert torch.allclose(handed(X, W, 0.1), NUDGED)


def test_a_builtin_may_be_an_answer():
    assert not linear_classifiers.nudge.judge(torch.sign).right
    assert torch.allclose(linear_classifiers.nudge(torch.sign)(X, W, 0.1), NUDGED)
    assert not linear_classifiers.nudge.judge(math.hypot).right


WRONG_NUDGES = {  # and what each takes beyond the three that the course's takes
    "partial": (functools.partial(nudge_with_more, scale=2), ()),
    "one more": (nudge_with_more, (2,)),
    "method without its object": (Nudge.__call__, (None,)),
    "whatever comes": (lambda *a: None, ()),
    "whatever comes by name": (lambda **k: None, ()),
    "by place": (lambda x, weights, eps: None, ()),
    "by name": (lambda x, weights, *, eps: None, ()),
}


@pytest.mark.parametrize(("nudge", "more"), WRONG_NUDGES.values(), ids=WRONG_NUDGES)
def test_whatever_was_wrong_the_cells_go_on_with_the_courses_function(nudge, more):
    handed = linear_classifiers.nudge(nudge)
    assert inspect.unwrap(handed) is linear.nudge
    assert torch.allclose(handed(X, W, 0.1, *more), NUDGED)


def test_a_wrong_answers_names_and_defaults_stay():
    def nudge(numbers, slopes, size=0.1):
        return numbers

    handed = linear_classifiers.nudge(nudge)
    assert str(inspect.signature(handed)) == "(numbers, slopes, size=0.1)"
    assert torch.allclose(handed(X, slopes=W), NUDGED)
    assert torch.allclose(handed(slopes=W, numbers=X, size=0.2), X + 0.2 * W.sign())


def test_a_wrong_answer_with_an_option_of_its_own_goes_on_too():
    def nudge(x, weights, eps, twice=False):
        return x

    handed = linear_classifiers.nudge(nudge)
    assert torch.allclose(handed(X, W, 0.1), NUDGED)


def test_a_wrong_answer_takes_no_more_than_it_says():
    def sign_step(model, images, labels, eps):
        return images

    # The course's takes a loss as well.
    handed = explaining_adversarial_examples.sign_step(sign_step)
    model = torch.nn.Linear(4, 3)
    images = torch.rand(2, 4)
    labels = torch.tensor([0, 2])
    moved = goodfellow2015.sign_step(model, images, labels, eps=0.1)
    assert torch.equal(handed(model, images, labels, 0.1), moved)
    assert torch.equal(handed(model, images, labels, eps=0.1), moved)
    stub = re.escape("sign_step(model, images, labels, eps)")
    with pytest.raises(TypeError, match=f"{stub}: too many positional"):
        handed(model, images, labels, 0.1, F.mse_loss)
    with pytest.raises(TypeError, match=f"{stub}: .*unexpected keyword argument 'loss'"):
        handed(model, images, labels, 0.1, loss=F.mse_loss)
    with pytest.raises(TypeError, match=f"{stub}: missing .*'eps'"):
        handed(model, images, labels)


def test_what_was_handed_back_is_not_taken_for_the_learners():
    handed = linear_classifiers.nudge(lambda x, weights, eps: x)
    for own in (handed, linear_classifiers.nudge.by_place, linear.nudge):
        assert "the course's own function" in linear_classifiers.nudge.judge(own).sentence


def test_by_place_gives_no_argument_twice_and_loses_none():
    placed = check.by_place(nudge_copied)
    assert torch.equal(placed(X, W, 0.1), placed(X, weights=W, eps=0.1))
    with pytest.raises(TypeError, match="nudge_copied"):
        placed(X, W, 0.1, 3)
    with pytest.raises(TypeError, match="multiple values"):
        placed(X, W, 0.1, eps=0.1)
    for as_it_is in (nudge_renamed, torch.sign, print, lambda *a, k=1: a):
        assert check.by_place(as_it_is) is as_it_is


def test_what_came_is_told_by_kind_shape_and_size():
    known = {"a number": [float, ()], "too many": (3,)}
    like = torch.zeros(2)
    assert check.shaped(torch.ones(2), like, known=known) is None
    assert check.shaped(0.5, like, known=known) == "a number"
    assert check.shaped(torch.tensor(0.5), like, known=known) == "a number"
    assert check.shaped(torch.ones(3), like, known=known) == "too many"
    assert check.shaped(torch.ones(4), like) == "your result has shape (4,); (2,) is wanted."
    assert "is an ndarray; a tensor of shape (2,)" in check.shaped(np.ones(2), like, known=known)
    assert "not finite" in check.shaped(torch.tensor([0.0, torch.nan]), like)
    assert check.shaped(torch.ones(2), np.zeros(2)) is None
    assert check.called(lambda a: a, [1, 2], like=np.zeros(2)).tolist() == [1, 2]
    assert "is a list; an array of shape (2,)" in check.shaped([[1], 2], np.zeros(2))
    assert "no numbers" in check.shaped(np.array([None, None]), np.zeros(2))
    assert "not finite" in check.shaped(np.array([1.0, np.inf]), np.zeros(2))
    with pytest.raises(check.NotWritten):
        check.shaped(None, like)


def test_what_was_changed_in_place_is_told_by_its_name():
    def spoils(x, a):
        x += 1
        a.append(2)
        return x

    spoils = check.Trial(spoils, spoils)
    x = torch.zeros(2)
    with pytest.raises(check.Wrong, match=r"changed x itself\. Work on a new tensor: x \+ … or x"):
        check.called(spoils, x, [1], like=x)
    with pytest.raises(check.Wrong, match=r"changed the list itself\. Work on a copy\."):
        check.called(spoils, 1.0, a := [1], like=0.0, keeps={"the list": a})


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "SOLVED", set())
    monkeypatch.setenv("TRICKKIT_PROGRESS", str(tmp_path / "new" / "progress.jsonl"))
    return tmp_path / "new" / "progress.jsonl"


def whats(file):
    return [event.what for event in progress.events(file)]


def test_progress_is_kept_and_drawn(file, capsys):
    linear_classifiers.nudge(yours(linear.nudge))
    assert "right. 1 of 3 in this lesson." in capsys.readouterr().out
    (event,) = progress.events(file)
    assert (event.what, event.on) == ("solved", "02 linear_classifiers/nudge")
    progress.SOLVED.clear()  # a new kernel
    linear_classifiers.shortest(yours(linear.shortest))
    assert "2 of 3" in capsys.readouterr().out
    check.progress()
    assert "■■□" in capsys.readouterr().out


def test_what_is_tried_and_asked_for_is_kept_too_but_no_word_of_the_answer(file, capsys):
    def nudge(x, weights, eps):
        return x - eps * weights.sign()

    linear_classifiers.nudge(nudge)
    linear_classifiers.nudge(None)  # a stub, as it stands
    linear_classifiers.nudge(lambda x, weights, eps: None)
    linear_classifiers.nudge.hint()
    linear_classifiers.nudge.solution()
    linear_classifiers.nudge(yours(linear.nudge))
    linear_classifiers.nudge(yours(linear.nudge))  # the lesson is run once more
    assert whats(file) == ["tried", "hint", "solution", "solved"]
    assert "sign" not in file.read_text() and "x -" not in file.read_text()
    linear_classifiers.nudge.given = 0


@pytest.mark.parametrize(
    "damage", [b"", b"{half", b"\xff\xfe\x00", b"3", b"null", b'[1, {"a": 2}]']
)
def test_a_damaged_file_harms_nothing(file, damage, capsys):
    file.parent.mkdir()
    file.write_bytes(damage)
    check.progress()
    linear_classifiers.nudge(yours(linear.nudge))
    assert "right. 1 of 3" in capsys.readouterr().out
    assert whats(file) == ["solved"] and file.read_bytes().startswith(damage)


def test_a_file_that_cannot_be_written_is_told(file, capsys):
    file.parent.write_text("a file where the folder should be")
    linear_classifiers.nudge(yours(linear.nudge))
    assert "could not be written down" in capsys.readouterr().out
    linear_classifiers.nudge(lambda x, weights, eps: x)
    assert "could not be written down" in capsys.readouterr().out
    assert file.parent.is_file()


def test_what_an_older_version_kept_still_counts(file, monkeypatch, capsys):
    file.parent.mkdir()
    old = ["02 linear_classifiers/nudge", "02 linear_classifiers/shortest"]
    file.with_name("progress.json").write_text(json.dumps(old, indent=1))
    assert progress.solved() == set(old)
    monkeypatch.setenv("TRICKKIT_PROGRESS", str(file.with_name("progress.json")))
    assert progress.note("solved", "02 linear_classifiers/cone") == ""
    progress.SOLVED.clear()
    assert progress.solved() == {*old, "02 linear_classifiers/cone"}


def test_kernels_append_side_by_side(file):
    code = """
import sys
from trickkit import progress
for i in range(200):
    progress.note("tried", f"{sys.argv[1]}/{i}")
"""
    both = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    assert [one.wait() for one in both] == [0, 0]
    events = progress.events(file)
    for name in "ab":
        assert [e.on for e in events if e.on[0] == name] == [f"{name}/{i}" for i in range(200)]
    assert len(events) == 400


def test_a_pipe_holds_nobody_up(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("Windows has no such pipes")
    os.mkfifo(tmp_path / "pipe")
    assert progress.events(tmp_path / "pipe") == []


def test_nothing_is_written_while_notebooks_are_tested():
    assert os.environ["TRICKKIT_PROGRESS"] == "" and progress.file() is None
    assert progress.note("solved", "a/b") == ""
    progress.SOLVED.discard("a/b")
