"""What the lessons' tests share: a learner's answer, and how an exercise should take it."""

import re

from trickkit import check

TIMES = 40  # fresh dice for each: a mistake that is found by luck is missed by luck


def yours(function):
    """A function as a learner might write it: a plain one, called by place."""
    called = check.by_place(function)
    return lambda *args: called(*args)


def judged(exercise, function, times):
    """What the exercise says of an answer, on fresh inputs each time."""
    for seed in range(times):
        check.DICE.seed(seed)
        yield exercise.judge(yours(function))


def accepted(exercise, function, times=TIMES):
    for right, said in judged(exercise, function, times):
        assert right and said.startswith("right. "), said


def refused(exercise, function, says, times=5):
    """Wrong, with the sentence that says so; for an answer that raises, `says` must tell that it
    stopped: such a sentence quotes the line that raised, in which `says` itself may stand."""
    for right, said in judged(exercise, function, times):
        assert not right and re.search(says, said), said
        assert "stopped with" in says or not said.startswith("it stopped with"), said
