"""What could be published, installed outside any checkout, beside the libraries of this one."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import pytest
import wheels

import trickkit
from trickkit import data, folders

RUN_A_LESSON = """
import pathlib, sys
import nbclient, nbformat
path = pathlib.Path(sys.argv[1])
book = nbformat.read(path, as_version=4)
told = lambda: ["".join(o.get("text", "") for o in c.get("outputs", [])) for c in book.cells]
stored = told()
for cell in book.cells:
    cell.pop("outputs", None)
place = {"metadata": {"path": str(path.parent)}}
book = nbclient.NotebookClient(book, kernel_name="python3", resources=place).execute()
assert stored and told() == stored, (stored, told())
"""


@pytest.fixture(scope="module")
def built():
    """The files that `make wheels` makes, by name."""
    wheels.main()
    return {path.name: path for path in wheels.WHEELS.iterdir()}


@pytest.fixture(scope="module")
def elsewhere(built, tmp_path_factory):
    """A fresh environment with the three wheels and, by a path alone, this one's libraries."""
    home = tmp_path_factory.mktemp("away") / "a fresh environment"
    venv.create(home, with_pip=False)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "TRICKKIT"))}
    env |= {"JUPYTER_PATH": str(pathlib.Path(sys.prefix, "share", "jupyter"))}

    def run(*command, cwd=home):
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)

    named = [path for name, path in built.items() if name.endswith(".whl")]
    install = run(
        sys.executable,
        *("-m", "pip", "--python", python, "install", "--no-deps", "--no-index"),
        *named,
    )
    assert install.returncode == 0, install.stderr
    asked = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    site = pathlib.Path(asked.stdout.strip())
    # a path in a .pth file brings what lies there, but not its own .pth, which is our checkout's
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    run.home, run.python, run.script = home, python, scripts / "trickkit"
    return run


def test_three_files_of_one_version_and_the_sources(built):
    version = trickkit.__version__
    assert set(built) == {
        f"trickkit-{version}-py3-none-any.whl",
        f"trickkit_core-{version}-py3-none-any.whl",
        f"trickkit_core-{version}.tar.gz",
        f"trickkit_weights-{version}-py3-none-any.whl",
    }
    assert all(path.stat().st_size < wheels.LIMIT for path in built.values())
    metadata = zipfile.ZipFile(built[f"trickkit-{version}-py3-none-any.whl"]).read(
        f"trickkit-{version}.dist-info/METADATA"
    )
    for wanted in (f"trickkit-core[game,lab]=={version}", f"trickkit-weights=={version}"):
        assert f"Requires-Dist: {wanted}\n".encode() in metadata
    for extra in ("room", "scale"):
        assert f"trickkit-core[{extra}]=={version}; extra == '{extra}'".encode() in metadata


def test_the_sdist_gives_the_same_wheel(built, tmp_path):
    """`build` makes the wheel from the sdist; what is in it is what is in the repository."""
    core = zipfile.ZipFile(built[f"trickkit_core-{trickkit.__version__}-py3-none-any.whl"])
    held = set(core.namelist())
    large = set(wheels.core()["tool"]["hatch"]["build"]["exclude"])
    for file in data.sources():
        assert (f"trickkit_course/data/{file}" in held) != (f"data/{file}" in large), file
    for lesson in (folders.ROOT / "notebooks").glob("*.ipynb"):
        assert core.read(f"trickkit_course/notebooks/{lesson.name}") == lesson.read_bytes()
    for module in (folders.ROOT / "trickkit").rglob("*"):
        if module.is_file() and module.suffix != ".pyc":
            name = module.relative_to(folders.ROOT).as_posix()
            assert core.read(name) == module.read_bytes(), name
    assert not any("my_course" in name or ".hypothesis" in name for name in held)
    with tarfile.open(built[f"trickkit_core-{trickkit.__version__}.tar.gz"]) as sources:
        inside = {name.partition("/")[2] for name in sources.getnames()}
    there = {name.removeprefix("trickkit_course/") for name in held if ".dist-info/" not in name}
    assert there <= inside and {"pyproject.toml", "LICENSE", "README.md"} <= inside


def test_the_course_runs_from_the_wheels_alone(elsewhere):
    """The command delivers to the folder that one is in; lesson 03 prints what is stored."""
    helped = elsewhere(elsewhere.script, "--help")
    assert helped.returncode == 0 and all(
        command in helped.stdout for command in ("course", "studio", "update", "progress", "doctor")
    )
    where = elsewhere(elsewhere.python, "-c", "import trickkit; print(trickkit.__file__)")
    assert str(elsewhere.home) in where.stdout
    came = elsewhere(elsewhere.script, "update", "--outputs", "shown")
    mine = elsewhere.home / "my_course"
    assert came.returncode == 0 and "03_panda_to_vulture.ipynb is new." in came.stdout, came.stderr
    sound = elsewhere(elsewhere.script, "doctor")
    assert f"{len(data.sources())} data files, all as shipped" in sound.stdout, sound.stderr

    ran = elsewhere(elsewhere.python, "-c", RUN_A_LESSON, mine / "03_panda_to_vulture.ipynb")
    assert ran.returncode == 0, ran.stderr
    # a kernel's folder is the lessons' own: what it solved is found from there, and from above
    one = "from trickkit import progress; progress.note('solved', '03 panda_to_vulture/one_step')"
    assert elsewhere(elsewhere.python, "-c", one, cwd=mine).returncode == 0
    told = elsewhere(elsewhere.script, "progress").stdout
    assert [line for line in told.splitlines() if "■" in line] == [
        line for line in told.splitlines() if line.startswith("03 ")
    ]
    # lesson 20 grades the repository, by its tests
    graded = "from trickkit import scorecard; print(scorecard.repository_points())"
    here = subprocess.run([sys.executable, "-c", graded], capture_output=True, text=True)
    assert elsewhere(elsewhere.python, "-c", graded).stdout == here.stdout != ""


def test_a_missing_file_is_told_as_an_install_would_have_it(elsewhere):
    asked = elsewhere(elsewhere.python, "-c", "from trickkit import data; print(data.DATA)")
    panda = pathlib.Path(asked.stdout.strip()) / "pictures" / "panda.jpg"
    shutil.move(panda, panda.with_suffix(".away"))
    said = elsewhere(elsewhere.python, "-c", "from trickkit import data; data.picture('panda')")
    shutil.move(panda.with_suffix(".away"), panda)
    assert "data/pictures/panda.jpg is missing. Install the course once more" in said.stderr
