"""Where the course lies, and where the learner's own copy does; files that are written whole. Needs
no torch.
"""

import os
import pathlib
import uuid

_HOME = pathlib.Path(__file__).resolve().parent.parent
IN_CHECKOUT = (_HOME / "pyproject.toml").exists()
# holds data/ and notebooks/: the checkout, or the folder that a wheel brings beside the package
ROOT = _HOME if IN_CHECKOUT else _HOME / "trickkit_course"
DATA = ROOT / "data"
LEDGER = ".delivered.json"  # in the learner's folder: what was delivered there


def own_folder() -> pathlib.Path:
    """The learner's own folder: $TRICKKIT_COURSE, or my_course/ in the repository, which git
    ignores.

    Where the course was installed without a checkout, my_course/ in the folder that one is in; or
    that folder itself, if lessons were delivered to it, for there a lesson's kernel runs.
    """
    if named := os.environ.get("TRICKKIT_COURSE"):
        return pathlib.Path(named).expanduser().absolute()
    if IN_CHECKOUT:
        return ROOT / "my_course"
    here = pathlib.Path.cwd()
    return here if (here / LEDGER).exists() else here / "my_course"


def write_whole(path: pathlib.Path, content: bytes) -> None:
    """Write a file whole or not at all: an interruption leaves the old one, and so does another who
    writes it at the same time.

    Raises OSError where it cannot be written.
    """
    fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
    try:
        fresh.write_bytes(content)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)  # a half one, where the disk is full
