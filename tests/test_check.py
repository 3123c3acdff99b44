"""Every exercise: the answer is right on fresh inputs, and each way of being wrong gets its own sentence."""
import json
import os
import re
import stat

import pytest
import torch

from trickkit import attacks, check, data, linear, plots
from trickkit.check import linear_classifiers, panda_to_vulture, start_here

EXERCISES = [e for module in (start_here, linear_classifiers, panda_to_vulture)
             for e in vars(module).values() if isinstance(e, check.Exercise)]
g = attacks.input_gradient


def clipped_steps(size, once=False, way=1, ball=True):
    def steps_of(net, x, target, eps, steps):
        y, first = x, g(net, x, target).sign()
        for _ in range(steps):
            y = y + way * size * eps * (first if once else g(net, y, target).sign())
            y = (torch.minimum(torch.maximum(y, x - eps), x + eps) if ball else y).clamp(0, 1)
        return y
    return steps_of


def shortest_wrong(bias=True, square=True, signs=False, way=1):
    def change(weights, biases, image, label, target):
        d = weights[target] - weights[label]
        lead = -(d @ image + (biases[target] - biases[label] if bias else 0))
        along = d.sign() if signs else d
        return way * lead / (d @ along if square else d.norm()) * along
    return change


def unguarded(weights, biases, images, labels):
    scores = images @ weights.T + biases
    lead = scores.gather(1, labels[:, None]) - scores
    return (lead / (weights[labels][:, None] - weights).abs().sum(2)).amin(1)


def changes_its_input(x, weights, eps):
    x += eps * weights.sign()
    return x


WRONG = [
    (start_here.magnified, lambda c: c + 0.5, "as faint as before"),
    (start_here.magnified, lambda c: 0.5 + c / (2 * c.max()), "absolute"),
    (start_here.magnified, lambda c: 0.5 + c / (4 * c.abs().max()), "stretch it to 0.5"),
    (start_here.magnified, lambda c: (c - c.min()) / (c.max() - c.min()), "should be grey|in proportion"),
    (start_here.magnified, lambda c: (c > 0).float(), "should be grey|in proportion"),
    (linear_classifiers.nudge, lambda x, w, e: x - e * w.sign(), "the score fell"),
    (linear_classifiers.nudge, lambda x, w, e: x + e * w * 3, "No number may move further"),
    (linear_classifiers.nudge, lambda x, w, e: x + e * w / w.abs().max(), "Every number may move the full ε"),
    (linear_classifiers.nudge, lambda x, w, e: x[:1], "has shape"),
    (linear_classifiers.nudge, changes_its_input, "changed x itself"),
    (linear_classifiers.shortest, shortest_wrong(bias=False), "the biases"),
    (linear_classifiers.shortest, shortest_wrong(square=False), "too far"),
    (linear_classifiers.shortest, lambda *a: linear.shortest(*a) / 2, "still leads by"),
    (linear_classifiers.shortest, shortest_wrong(way=-1), "lead grew"),
    (linear_classifiers.shortest, shortest_wrong(signs=True), "times as long"),
    (linear_classifiers.shortest, lambda W, b, x, y, t: x + linear.shortest(W, b, x, y, t), "the change alone"),
    (linear_classifiers.distance, unguarded, "not a number"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a, "l2"), r"length ε \(ℓ₂\)"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a) - 0.1, "negative"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a) / 2, "too short"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a) * 2, "sooner than you say"),
    (linear_classifiers.distance, lambda *a: linear.distance(*a).clamp(min=0.001), "misread from the start|sooner"),
    (panda_to_vulture.one_step, lambda n, x, t, e: (x - e * g(n, x, t).sign()).clamp(0, 1), "fell in 20 of 20"),
    (panda_to_vulture.one_step, lambda n, x, t, e: x + e * g(n, x, t).sign(), "whiter than white"),
    (panda_to_vulture.one_step, lambda n, x, t, e: (x + e * g(n, x, t) / 50).clamp(0, 1), "use only the sign"),
    (panda_to_vulture.one_step, lambda n, x, t, e: (x + 2 * e * g(n, x, t).sign()).clamp(0, 1), "at most ε away"),
    (panda_to_vulture.one_step, lambda n, x, t, e: (x + 50 * e * g(n, x, t)).clamp(0, 1), "at most ε away"),
    (panda_to_vulture.many_steps, clipped_steps(0.25, ball=False), "at most ε away"),
    (panda_to_vulture.many_steps, clipped_steps(0.25, once=True), "the network was asked"),
    (panda_to_vulture.many_steps, clipped_steps(0.25, way=-1), "probability fell"),
    (panda_to_vulture.many_steps, clipped_steps(0.01), "a step of ε/4 is asked for"),
    (panda_to_vulture.many_steps, lambda n, x, t, e, s: [attacks.one_step(n, x, t, e / 4) for _ in range(s)][0], "start where"),
    (panda_to_vulture.one_step, lambda n, x, t, e: e * g(n, x, t).sign(), "the change alone"),
    (panda_to_vulture.one_step, lambda n, x, t, e: torch.cat([attacks.one_step(n, x[:1], t, e), x[1:]]), "only the first"),
    (panda_to_vulture.as_saved, lambda i: i.round().clamp(0, 1), "before you round"),
    (linear_classifiers.nudge, lambda x, w, e: e * w.sign(), "the change alone"),
    (linear_classifiers.shortest, lambda *a: 2 * linear.shortest(*a), "too far"),
    (linear_classifiers.distance, lambda w, b, x, y: linear.distance(w, 0 * b, x, y), "biases|misread"),
    (panda_to_vulture.as_saved, lambda i: (i.clamp(0, 1) * 255).floor() / 255, "not to the one below"),
    (panda_to_vulture.as_saved, lambda i: (i * 255).round() / 255, "nothing below 0"),
    (panda_to_vulture.as_saved, lambda i: (i.clamp(0, 1) * 255).round(), "divide by 255"),
    (panda_to_vulture.as_saved, lambda i: i.clamp(0, 1), "between two grey levels"),
]


def yours(function):
    return lambda *args: function(*args)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_the_answer_is_right_every_time(exercise):
    for _ in range(30):
        assert exercise.judge(yours(exercise.answer)).startswith("right")


@pytest.mark.parametrize(("exercise", "function", "says"), WRONG)
def test_each_way_of_being_wrong_has_its_sentence(exercise, function, says):
    for _ in range(5):
        said = exercise.judge(yours(function))
        assert re.search(says, said), said


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_odd_answers_never_raise(exercise, capsys):
    assert exercise.judge(None).startswith("not written yet") and exercise.judge(...).startswith("not written yet")
    assert exercise.judge(lambda *a: None).startswith("not written yet: it returns nothing")
    assert "function's name, without brackets" in exercise.judge(torch.zeros(3))
    assert "the course's own function" in exercise.judge(exercise.answer)
    assert "a str" in exercise.judge(lambda *a: "five") and "has shape" in exercise.judge(lambda *a: torch.zeros(7, 7, 7))
    assert "TypeError" in exercise.judge(lambda: 1)
    assert exercise(lambda *a: None) is exercise.answer
    mine = yours(exercise.answer)
    assert exercise(mine) is mine
    capsys.readouterr()
    for _ in exercise.hints:
        exercise.hint()
    exercise.hint()
    said = capsys.readouterr().out
    assert all(hint in said for hint in exercise.hints) and "last hint" in said


def test_a_broken_answer_is_told_with_its_line():
    def many_steps(net, x, target, eps, steps):
        return x + undefined  # noqa: F821

    said = panda_to_vulture.many_steps.judge(many_steps)
    assert "NameError" in said and "return x + undefined" in said


def test_a_check_leaves_the_learners_dice_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    panda_to_vulture.one_step.judge(yours(attacks.one_step))
    assert torch.equal(torch.rand(2), expected)


def test_the_solution_is_the_packages_source(capsys):
    linear_classifiers.nudge.solution()
    assert "return x + eps * weights.sign()" in capsys.readouterr().out
    assert start_here.magnified.answer is plots.magnified and panda_to_vulture.as_saved.answer is data.as_saved


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "SOLVED", set())
    monkeypatch.setenv("TRICKKIT_PROGRESS", str(tmp_path / "new" / "progress.json"))
    return tmp_path / "new" / "progress.json"


def test_progress_is_kept_and_drawn(file, capsys):
    linear_classifiers.nudge(yours(linear.nudge))
    assert "right. 1 of 3 in this lesson." in capsys.readouterr().out
    assert json.loads(file.read_text()) == ["02 linear_classifiers/nudge"]
    check.SOLVED.clear()  # a new kernel
    linear_classifiers.shortest(yours(linear.shortest))
    assert "2 of 3" in capsys.readouterr().out
    check.progress()
    assert "■■□" in capsys.readouterr().out


@pytest.mark.parametrize("damage", [b"", b"{half", b"\xff\xfe\x00", b"3", b"null", b'[1, {"a": 2}]'])
def test_a_damaged_file_harms_nothing(file, damage, capsys):
    file.parent.mkdir()
    file.write_bytes(damage)
    check.progress()
    linear_classifiers.nudge(yours(linear.nudge))
    assert "right. 1 of 3" in capsys.readouterr().out
    assert "02 linear_classifiers/nudge" in json.loads(file.read_text())


def test_a_file_that_cannot_be_written_is_told(file, capsys):
    file.parent.write_text("a file where the folder should be")
    linear_classifiers.nudge(yours(linear.nudge))
    assert "could not be written down" in capsys.readouterr().out
    assert stat.S_ISREG(os.stat(file.parent).st_mode)


def test_nothing_is_written_while_notebooks_are_tested():
    assert os.environ["TRICKKIT_PROGRESS"] == "" and check.progress_file() is None
    assert check.remember("a/b") == ""
    check.SOLVED.discard("a/b")
