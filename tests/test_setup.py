import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tomllib

import nbformat
import pytest
import yaml

import trickkit
from trickkit import __main__ as command_line
from trickkit import data, folders, progress
from trickkit.course import setup

ROOT = folders.ROOT


@pytest.fixture
def course(tmp_path):
    lessons = tmp_path / "notebooks"
    mine = tmp_path / "my_course"
    lessons.mkdir()
    write(lessons / "00_a.ipynb", "a1")
    write(lessons / "02_b.ipynb", "b1")
    return lessons, mine


def write(path, text):
    """A notebook that prints its one word."""
    cell = nbformat.v4.new_code_cell(text, execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", text=text)]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)


def files(folder):
    books = {p.name: nbformat.read(p, as_version=4) for p in folder.glob("*.ipynb")}
    return {name: book.cells[0].source for name, book in books.items()}


def test_lessons_arrive_once(course):
    assert setup.deliver(*course) == ["00_a.ipynb is new.", "02_b.ipynb is new."]
    assert setup.deliver(*course) == []
    assert files(course[1]) == files(course[0])


def test_an_untouched_lesson_is_brought_up_to_date_and_a_new_one_added(course):
    setup.deliver(*course)
    write(course[0] / "00_a.ipynb", "a2")
    write(course[0] / "03_c.ipynb", "c1")
    assert setup.deliver(*course) == ["00_a.ipynb was brought up to date.", "03_c.ipynb is new."]
    assert files(course[1]) == files(course[0])


def test_an_edited_lesson_is_never_overwritten(course):
    lessons, mine = course
    setup.deliver(*course)
    write(mine / "00_a.ipynb", "mine")
    assert setup.deliver(*course) == []
    write(lessons / "00_a.ipynb", "a2")
    assert "the update is 00_a_update1.ipynb" in setup.deliver(*course)[0]
    assert setup.deliver(*course) == []
    # the untouched update may be replaced, the edited lesson not
    write(lessons / "00_a.ipynb", "a3")
    setup.deliver(*course)
    assert files(mine) == {"00_a.ipynb": "mine", "00_a_update1.ipynb": "a3", "02_b.ipynb": "b1"}
    write(mine / "00_a_update1.ipynb", "mine too")
    write(lessons / "00_a.ipynb", "a4")
    setup.deliver(*course)
    assert files(mine) == {
        "00_a.ipynb": "mine",
        "00_a_update1.ipynb": "mine too",
        "00_a_update2.ipynb": "a4",
        "02_b.ipynb": "b1",
    }


@pytest.mark.parametrize("ledger", [None, "", "{half", "[]", "3", '{"00_a.ipynb": null}'])
def test_a_lost_ledger_counts_everything_as_edited(course, ledger):
    lessons, mine = course
    setup.deliver(*course)
    write(mine / "00_a.ipynb", "mine")
    (mine / ".delivered.json").unlink()
    if ledger is not None:
        (mine / ".delivered.json").write_text(ledger)
    write(lessons / "00_a.ipynb", "a2")
    write(lessons / "02_b.ipynb", "b2")
    setup.deliver(*course)
    assert files(mine)["00_a.ipynb"] == "mine" and files(mine)["02_b.ipynb"] == "b1"
    assert files(mine)["00_a_update1.ipynb"] == "a2" and files(mine)["02_b_update1.ipynb"] == "b2"


def test_a_lesson_that_the_learner_deleted_comes_again(course):
    setup.deliver(*course)
    (course[1] / "02_b.ipynb").unlink()
    assert setup.deliver(*course) == ["02_b.ipynb is new."]


def test_an_interrupted_delivery_leaves_whole_files(course, monkeypatch):
    setup.deliver(*course)
    write(course[0] / "00_a.ipynb", "a2")

    def pulled_plug(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(data.os, "replace", pulled_plug)
    with pytest.raises(OSError, match="no space left"):
        setup.deliver(*course)
    monkeypatch.undo()
    assert files(course[1])["00_a.ipynb"] == "a1"
    setup.deliver(*course)
    assert files(course[1])["00_a.ipynb"] == "a2"


def shown(path):
    """What a reader of a notebook sees below its cell before running it."""
    return [output.text for output in nbformat.read(path, as_version=4).cells[0].outputs]


def test_stored_outputs_do_not_answer_before_the_learner_does(course):
    lessons, mine = course
    setup.deliver(*course)
    nbformat.validate(nbformat.read(mine / "00_a.ipynb", as_version=4))
    assert shown(mine / "00_a.ipynb") == [] and shown(lessons / "00_a.ipynb") == ["a1"]


@pytest.mark.parametrize("before, after", [setup.OUTPUTS, setup.OUTPUTS[::-1]])
def test_with_or_without_outputs_is_no_update_of_what_is_edited(course, before, after):
    lessons, mine = course
    setup.deliver(*course, outputs=before)
    write(mine / "02_b.ipynb", "mine")
    told = setup.deliver(*course, outputs=after)
    assert told == ["00_a.ipynb was brought up to date."]
    assert shown(mine / "00_a.ipynb") == {"stripped": [], "shown": ["a1"]}[after]
    assert files(mine) == {"00_a.ipynb": "a1", "02_b.ipynb": "mine"}
    assert setup.deliver(*course, outputs=after) == []


def test_what_was_chosen_for_outputs_is_kept(course):
    lessons, mine = course
    setup.deliver(lessons, mine, outputs="shown")
    assert setup.deliver(lessons, mine) == [] and shown(mine / "00_a.ipynb")
    write(lessons / "00_a.ipynb", "a2")
    setup.deliver(lessons, mine)
    assert shown(mine / "00_a.ipynb")


def test_a_lesson_that_was_only_looked_at_is_not_edited(course):
    """JupyterLab saves it with metadata of its own, other line ends and numbers of cells."""
    lessons, mine = course
    setup.deliver(lessons, mine, outputs="shown")
    book = json.loads((mine / "00_a.ipynb").read_text())
    book["metadata"] |= {"language_info": {"version": "3.11.7"}}
    book["cells"][0]["execution_count"] = None
    book["cells"][0]["id"] = "another"
    book["cells"][0]["source"] = ["a", "1"]
    (mine / "00_a.ipynb").write_text(json.dumps(book, indent=2))
    write(lessons / "00_a.ipynb", "a2")
    assert setup.deliver(lessons, mine) == ["00_a.ipynb was brought up to date."]
    book["cells"][0]["outputs"] = []  # what a learner's own run shows is theirs
    (mine / "00_a.ipynb").write_text(json.dumps(book))
    write(lessons / "00_a.ipynb", "a3")
    assert "yours is edited and stays" in setup.deliver(lessons, mine)[0]


def test_copies_that_an_older_version_delivered_are_known(course):
    """Its ledger has the SHA-256 of the bytes."""
    lessons, mine = course
    setup.deliver(lessons, mine)
    old = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in mine.glob("*.ipynb")
    }
    (mine / ".delivered.json").write_text(json.dumps(old))
    write(lessons / "00_a.ipynb", "a2")
    assert "00_a.ipynb was brought up to date." in setup.deliver(lessons, mine)
    assert files(mine) == files(lessons)


def test_another_word_for_outputs_is_named(course):
    with pytest.raises(ValueError, match="stripped or shown, not 'hidden'"):
        setup.deliver(*course, outputs="hidden")
    assert not course[1].exists()


def test_a_folder_that_is_called_as_a_lesson_stays(course):
    (course[1] / "00_a.ipynb").mkdir(parents=True)
    assert "the update is 00_a_update1.ipynb" in setup.deliver(*course)[0]
    assert (course[1] / "00_a.ipynb").is_dir() and setup.deliver(*course) == []


def test_a_place_of_ones_own(monkeypatch, tmp_path, capsys):
    assert folders.own_folder() == folders.ROOT / "my_course"
    monkeypatch.setenv("TRICKKIT_COURSE", str(tmp_path / "mine"))
    monkeypatch.delenv("TRICKKIT_PROGRESS", raising=False)
    assert progress.file() == tmp_path / "mine" / "progress.jsonl"
    asked = []

    class Lab:
        def __init__(self, command, env):
            asked.append((command, env))

        def wait(self):
            return 0

    monkeypatch.setattr(setup.subprocess, "Popen", Lab)
    monkeypatch.setattr(sys, "argv", ["trickkit", "--port", "9000"])
    for user, told in ((0, True), (1000, False)):
        monkeypatch.setattr(setup.os, "geteuid", lambda user=user: user)
        with pytest.raises(SystemExit) as end:
            command_line.main()
        said = capsys.readouterr().out
        assert ('ARGS="--allow-root' in str(end.value.code)) == told
        assert told or end.value.code == 0 and f"What you saved is in {tmp_path / 'mine'}" in said
    assert len(files(tmp_path / "mine")) == len(list((ROOT / "notebooks").glob("*.ipynb")))
    command, env = asked[0]
    assert f"--ServerApp.root_dir={tmp_path / 'mine'}" in command
    assert command[-2:] == ["--port", "9000"] and env["TRICKKIT_COURSE"] == str(tmp_path / "mine")


def test_the_command_line(monkeypatch, tmp_path, capsys):
    def said(*words):
        monkeypatch.setattr(sys, "argv", ["trickkit", *words])
        try:
            command_line.main()
        except SystemExit as end:
            return capsys.readouterr(), end.code
        return capsys.readouterr(), 0

    monkeypatch.setenv("TRICKKIT_COURSE", "")
    monkeypatch.delenv("TRICKKIT_PROGRESS", raising=False)
    helped, code = said("--help")
    assert code == 0 and all(command in helped.out for command in command_line.COMMANDS)
    assert said("--version")[0].out.strip() == trickkit.__version__
    assert "21_space_invaders.ipynb is new." in said("update", "--folder", str(tmp_path))[0].out
    assert progress.note("solved", "03 panda_to_vulture/one_step") == ""
    assert "03 panda_to_vulture" in said("progress", "--folder", str(tmp_path))[0].out
    assert (tmp_path / "progress.jsonl").exists()
    assert said("progress", "--folder", str(tmp_path / "no"))[1].startswith("There are no lessons")
    assert "up to date" in said("update", "--folder", str(tmp_path))[0].out
    assert "Everything is here." in said("doctor")[0].out
    for words, told in (
        (["update", "--port=1"], "update does not know --port=1"),
        (["lesson"], "invalid choice: 'lesson'"),
        (["course", "03"], "'03' is none"),
    ):
        out, code = said(*words)
        assert code == 2 and told in out.err
    said_so = said("update", "--outputs", "some")[1]
    assert "stripped or shown, not 'some'" in said_so and "--outputs or TRICKKIT_OUTPUTS" in said_so


def test_without_a_checkout_the_folder_is_the_one_that_one_is_in(monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "IN_CHECKOUT", False)
    monkeypatch.delenv("TRICKKIT_COURSE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert folders.own_folder() == tmp_path / "my_course"
    (tmp_path / folders.LEDGER).touch()  # lessons came here, and a kernel runs beside them
    assert folders.own_folder() == tmp_path


def test_without_jupyterlab_the_lessons_come_and_it_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TRICKKIT_COURSE", str(tmp_path))
    monkeypatch.setattr(setup.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="JupyterLab is not installed: `pip install"):
        setup.course()
    assert (tmp_path / setup.FIRST_LESSON).exists()


def test_where_nothing_can_be_written_it_says_what_to_do(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    for error in (tmp_path / "file" / "mine", pathlib.Path("/proc/none")):
        monkeypatch.setenv("TRICKKIT_COURSE", str(error))
        with pytest.raises(
            SystemExit, match="Say where else: --folder another/folder, or TRICKKIT_COURSE="
        ):
            setup.course()


@pytest.mark.parametrize(
    "console", [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}]
)
def test_a_console_that_cannot_show_everything_is_shown_the_rest(console, tmp_path):
    code = """
import sys
from trickkit import check, linear
from trickkit.check import linear_classifiers
from trickkit.course import setup
print(sys.stdout.encoding)
setup.report()
check.progress()
linear_classifiers.nudge(None)
linear_classifiers.nudge(linear.nudge)
for _ in range(5):
    linear_classifiers.nudge.hint()
"""
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", code],
        env={**os.environ, "TRICKKIT_COURSE": str(tmp_path), **console},
        cwd=ROOT,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert b"utf" not in done.stdout.splitlines()[0] and b"Everything is here." in done.stdout


def test_a_clone_on_windows_has_the_same_bytes(tmp_path):
    """Git for Windows sets core.autocrlf, which writes other line ends unless it is told."""
    if not shutil.which("git"):
        pytest.skip("there is no git on this machine to clone with")
    held = ["data/tables/german_credit.csv", "notebooks/00_start_here.ipynb"]
    held += ["Makefile", "trickkit/common.py", ".gitattributes"]

    def git(*words, cwd=tmp_path):
        subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True)

    def cloned(name, files):
        home = tmp_path / name
        for file in files:
            (home / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, home / file)
        git("init", "-q", cwd=home)
        git("add", ".", cwd=home)
        git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a", cwd=home)
        git("clone", "-q", "-c", "core.autocrlf=true", name, f"{name}-clone")
        return [
            file
            for file in files
            if (tmp_path / f"{name}-clone" / file).read_bytes() != (ROOT / file).read_bytes()
        ]

    assert cloned("with", held) == []
    assert cloned("without", held[:-1]) == held[:-1]


def test_the_report_is_good_here_and_says_what_is_missing(monkeypatch, capsys):
    assert setup.report() and "Everything is here." in capsys.readouterr().out

    def gone(file):
        raise FileNotFoundError(f"data/{file} is missing. Restore it.")

    monkeypatch.setattr(data, "shipped", gone)
    assert not setup.report()
    assert "× data/pictures/panda.jpg is missing. Restore it." in capsys.readouterr().out


@pytest.fixture
def house(tmp_path):
    """The Makefile alone, in a folder with a space in its name, with a Python whose pip writes down
    how often it was called and fails on demand.
    """
    folder = tmp_path / "my course"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    python = folder / "fake_python"
    python.write_text(f"""#!/bin/sh
case "$*" in
*venv*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo made >> log ;;
*pip*) echo "pip $*" >> log; test ! -f broken ;;
*) exec "{sys.executable}" "$@" ;;
esac
""")
    python.chmod(python.stat().st_mode | stat.S_IEXEC)

    def make(*asked, words=False):
        done = subprocess.run(
            ["make", *(asked or ["install"]), f"PYTHON={python}"],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        log = folder / "log"
        calls = log.read_text().splitlines() if log.exists() else []
        if not words:
            calls = [call.split()[0] for call in calls]
        log.unlink(missing_ok=True)
        return done.returncode == 0, calls

    return folder, make


def test_a_failed_install_is_not_taken_for_a_finished_one(house):
    folder, make = house
    (folder / "broken").touch()
    assert make() == (False, ["made", "pip"]) and make() == (False, ["made", "pip"])
    (folder / "broken").unlink()
    assert make() == (True, ["made", "pip"])
    assert make() == (True, [])  # a second call installs nothing


def test_new_requirements_are_installed_into_the_same_place(house):
    folder, make = house
    make()
    stamp = (folder / ".venv" / "installed").stat().st_mtime

    os.utime(folder / "constraints.txt", (stamp + 10, stamp + 10))
    (folder / "broken").touch()
    assert make() == (False, ["pip"]) and make() == (False, ["made", "pip"])


def test_a_learner_is_spared_what_the_tests_need(house):
    """JupyterLab, but neither test tools nor the book's; a torch of one's own comes first."""
    folder, make = house
    done, calls = make("install", "TORCH_INDEX=file:///a/mirror", words=True)
    assert done and calls[0] == "made"
    assert calls[1].endswith("--index-url file:///a/mirror torch torchvision")
    assert calls[2].endswith("-e .[lab,game]") and len(calls) == 3
    done, calls = make(".venv/tester", words=True)
    assert done and [call.split()[-1] for call in calls] == [".[lab,game,room,scale,test,book]"]
    shutil.rmtree(folder / ".venv")
    done, calls = make("install", "LOCKED=1", words=True)
    assert calls[1].endswith("--require-hashes -r requirements.lock") and len(calls) == 3


def test_conda_installs_this_package_and_cannot_drift():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python, pip, through_pip = conda["dependencies"]
    assert conda["name"] == "trickkit" and conda["channels"] == ["conda-forge", "nodefaults"]
    least = tuple(map(int, project["requires-python"].removeprefix(">=").split(".")))
    assert tuple(map(int, python.removeprefix("python=").split("."))) >= least and pip == "pip"
    # all that is installed stands in pyproject.toml
    assert through_pip == {"pip": ["-c constraints.txt", "-e .[lab,game]"]}


def test_every_requirement_is_pinned_and_no_host_is_named():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        x for x in (ROOT / "constraints.txt").read_text().splitlines() if not x.startswith("#")
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+", line) for line in lines)
    pinned = {re.sub("[-_.]+", "-", line.partition("==")[0]).lower() for line in lines}
    extras = project["optional-dependencies"]
    wanted = {*project["dependencies"], *sum(map(extras.get, ("lab", "test", "book", "dev")), [])}
    assert wanted <= pinned


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project  # it is read from the package
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (\S+) · (\S+)$", changes, re.MULTILINE)
    assert newest[1] == trickkit.__version__ == cited["version"]
    assert newest[2] == str(cited["date-released"])


def test_the_lock_has_the_versions_that_were_tested_and_names_no_host():
    """`make lock` makes it from constraints.txt; other systems need a few packages more."""
    text = (ROOT / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", text, re.MULTILINE))
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        pinned[re.sub("[-_.]+", "-", name).lower()] = version
    assert {name: pinned[name] for name in locked if name in pinned} == {
        name: version for name, version in locked.items() if name in pinned
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = sum(map(project["optional-dependencies"].get, ("lab", "game", "test", "book")), [])
    assert {*project["dependencies"], *extras} <= set(locked)
    assert text.count("--hash=sha256:") > len(locked) and "//" not in text


def test_a_container_is_described_without_fault_and_asks_for_what_is_there():
    """None could be built here; their parts are looked at."""
    linted = subprocess.run(
        [pathlib.Path(sysconfig.get_path("scripts")) / "hadolint", "Dockerfile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".venv", ".git", "my_course", "build"} <= set(ignored)
    codespace = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    install, _, update = codespace["postCreateCommand"].partition(" && ")
    assert install.startswith("make install TORCH_INDEX=")
    assert update == ".venv/bin/trickkit update" and "update" in command_line.COMMANDS
    binder = (ROOT / "binder" / "requirements.txt").read_text()
    assert "-c ../constraints.txt" in binder and "-e .[lab,game]" in binder
    for name in ("torch", "torchvision"):
        version = re.search(
            rf"^{name}==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE
        )
        assert f"\n{name}=={version[1]}+cpu\n" in binder
    after = ROOT / "binder" / "postBuild"
    assert after.stat().st_mode & stat.S_IXUSR or os.name == "nt"
    assert "trickkit update" in after.read_text()
    assert str((setup.LAB / "extensions").relative_to(ROOT)) in after.read_text()


def test_the_readme_maps_every_lesson():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lessons = list((ROOT / "notebooks").glob("*.ipynb"))
    targets = re.findall(r"\]\(([^)#]+)\)", readme)
    assert lessons and targets
    for lesson in lessons:
        assert f"notebooks/{lesson.name}" in readme, lesson.name
    for target in targets:
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, trickkit; print({'torch', 'timm', 'torchvision', 'matplotlib', 'pandas'} &"
        " set(sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "set()"
    )


def test_a_module_that_does_not_exist():
    assert set(trickkit.MODULES) <= set(dir(trickkit))
    with pytest.raises(
        AttributeError, match="no module called 'atacks'; its modules are activations, alignment"
    ):
        trickkit.atacks  # noqa: B018
    home = pathlib.Path(trickkit.__file__).parent
    there = {p.stem for p in home.glob("*.py")} | {
        p.parent.name for p in home.glob("*/__init__.py")
    }
    assert {name for name in there if not name.startswith("_")} == set(trickkit.MODULES)
