"""Build what could be published: make wheels.

Three distributions of one version (trickkit.__version__), each file under 100 MB:

trickkit-core: the package, the lessons, and all data but two large networks (wheel and sdist).
trickkit-weights: those two.
trickkit: nothing of its own; it asks for both, and for what opens the course in JupyterLab, with
the extras room and scale.
"""

import pathlib
import shutil
import subprocess
import sys
import tomllib

import trickkit

ROOT = pathlib.Path(__file__).resolve().parent.parent
WHEELS = ROOT / "build" / "wheels"
LIMIT = 100_000_000  # bytes a file, as PyPI's is
PROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{name}"
description = "{description}"
version = "{version}"
license = "Apache-2.0"
readme = "README.md"
requires-python = ">=3.11"
dependencies = {dependencies}
{more}
"""


def core() -> dict:
    """The pyproject.toml of this repository."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def build(folder: pathlib.Path, *options: str) -> None:
    """Build what stands in a folder into WHEELS."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(WHEELS)]
    subprocess.run([*command, *options, str(folder)], check=True, stdout=subprocess.DEVNULL)


def staged(name: str, description: str, dependencies: list[str], more: str) -> pathlib.Path:
    """A folder with the project of another distribution than the repository's own."""
    folder = WHEELS / "src" / name
    folder.mkdir(parents=True)
    project = PROJECT.format(
        name=name,
        description=description,
        version=trickkit.__version__,
        dependencies=dependencies,
        more=more,
    )
    (folder / "pyproject.toml").write_text(project, encoding="utf-8")
    shutil.copy(ROOT / "README.md", folder)
    shutil.copy(ROOT / "LICENSE", folder)
    return folder


def main() -> None:
    shutil.rmtree(WHEELS, ignore_errors=True)
    version = trickkit.__version__
    build(ROOT)

    large = core()["tool"]["hatch"]["build"]["exclude"]
    weights = staged(
        "trickkit-weights",
        "Two networks that the course trickkit reads: DINOv2 ViT-S/14 and MiniLM-L6",
        [],
        '[tool.hatch.build.targets.wheel]\nonly-include = ["trickkit_course"]',
    )
    for file in large:
        place = weights / "trickkit_course" / file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, place)
    build(weights, "--wheel")

    scripts = "".join(f'{k} = "{v}"\n' for k, v in core()["project"]["scripts"].items())
    extras = "".join(f'{e} = ["trickkit-core[{e}]=={version}"]\n' for e in ("room", "scale"))
    whole = staged(
        "trickkit",
        core()["project"]["description"],
        [f"trickkit-core[lab,game]=={version}", f"trickkit-weights=={version}"],
        f"[project.scripts]\n{scripts}[project.optional-dependencies]\n{extras}"
        "[tool.hatch.build.targets.wheel]\nbypass-selection = true",
    )
    build(whole, "--wheel")
    shutil.rmtree(WHEELS / "src")

    for path in sorted(WHEELS.iterdir()):
        size = path.stat().st_size
        print(f"{size / 1e6:6.1f} MB  {path.relative_to(ROOT)}")
        if size > LIMIT:
            sys.exit(f"{path.name} is larger than {LIMIT / 1e6:.0f} MB.")


if __name__ == "__main__":
    main()
