"""Whether root can make each learner of a room a user of their own here, and what to do if not."""

import contextlib
import os
import subprocess
import sys

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
# In a user namespace root is nobody special, and still reaches its own Python.
AS_ONE_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


def others_run_python() -> bool:
    """Whether a learner's user can run this Python, and read its libraries."""
    with contextlib.suppress(OSError):
        command = [sys.executable, "-c", "import jupyterlab, trickkit"]
        as_them = {"user": 20_999, "group": 20_999, "extra_groups": []}
        return not subprocess.run(command, cwd="/", capture_output=True, **as_them).returncode
    return False


APART = ROOT and others_run_python()
PREFIX = AS_ONE_USER if ROOT and not APART else []  # of a command that is to be no root's
