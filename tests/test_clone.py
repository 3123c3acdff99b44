"""The whole way in a copy of the course, whose folder has a space in its name.

`make quick` leaves this out, for a lesson runs here.
"""

import shutil
import subprocess
import sys

import pytest

from trickkit import folders

LESSONS = sorted((folders.ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Calls make in the copy, whose .venv is this one: (exit status, what it said)."""
    root = tmp_path_factory.mktemp("clone") / "my course"
    left_out = shutil.ignore_patterns(".*", "my_course", "build", "__pycache__", "*.egg-info")
    shutil.copytree(folders.ROOT, root, ignore=left_out)
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for stamp in ("installed", "tester", "developer"):
        (root / ".venv" / stamp).touch()

    def make(*asked):
        ran = subprocess.run(["make", *asked], cwd=root, capture_output=True, text=True)
        return ran.returncode, ran.stdout + ran.stderr

    make.root = root
    return make


def test_what_is_made_comes_out_as_it_is(make):
    code, said = make("maps", "papers")
    assert code == 0, said
    for file in ("README.md", "PAPERS.md", *(f"notebooks/{lesson.name}" for lesson in LESSONS)):
        assert (make.root / file).read_bytes() == (folders.ROOT / file).read_bytes(), file


def test_a_lesson_that_is_not_there(make):
    code, said = make("test", "LESSON=77")
    assert code and "There is no lesson 77. There are: 00_start_here.ipynb" in said


def test_a_new_lesson_passes_as_it_stands(make):
    """By the longest name there is, so that no line grows too long."""
    name = "explaining_adversarial_example_s"
    code, said = make("lesson", f"NAME=77_{name}")
    assert code == 0 and "make test LESSON=77" in said, said
    readme = (make.root / "README.md").read_text(encoding="utf-8")
    assert f"](notebooks/77_{name}.ipynb)" in readme and f"| `{name}` |" in readme
    last = (make.root / "notebooks" / LESSONS[-1].name).read_text(encoding="utf-8")
    assert f"](77_{name}.ipynb)" in last
    code, said = make("test", "LESSON=77")
    assert code == 0 and "failed" not in said, said
    for file in (f"notebooks/77_{name}.ipynb", f"tests/test_{name}.py", f"check/test_{name}.py"):
        assert file in said
    code, said = make("lint")
    assert code == 0, said
