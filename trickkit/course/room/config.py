"""What JupyterHub is told in a room, as its jupyterhub_config.py would, and the hub's process."""

import json
import pathlib
import sys

from jupyterhub.app import JupyterHub
from jupyterhub.handlers import BaseHandler
from traitlets.config import Config

from trickkit.course.room import Room
from trickkit.course.room.kernels import INHERITED, server_options
from trickkit.course.room.login import TEACHER, RoomAuthenticator
from trickkit.course.room.spawner import RoomSpawner
from trickkit.course.setup import FIRST_LESSON

TEMPLATES = pathlib.Path(__file__).parent / "templates"
PYTHON = [sys.executable, "-P", "-m"]  # -P: no file in the folder that it is in can be a module
START = 180  # seconds that a server may take, since forty begin together
IDLE = 6 * 3600  # seconds until a server is ended that nobody uses: no lunch is as long


def first_page(handler: BaseHandler) -> str:
    """Where one comes who has logged in: the teacher to the board, a learner to their server."""
    user = handler.current_user
    return "/services/board/" if user and user.admin else ""


def settings(room: Room) -> Config:
    """Everything that JupyterHub is told."""
    c = Config()
    hub, proxy, board = room.ports
    c.JupyterHub.bind_url = f"{room.scheme}://{room.ip}:{room.port}"
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{hub}"
    c.JupyterHub.db_url = f"sqlite:///{room.database}"
    c.JupyterHub.cookie_secret_file = str(room.hub / "cookie_secret")
    c.JupyterHub.template_paths = [str(TEMPLATES)]
    c.JupyterHub.default_url = first_page
    c.JupyterHub.concurrent_spawn_limit = 0
    c.JupyterHub.implicit_spawn_seconds = 1  # a server that has died is started at the next look
    if room.cert and room.key:
        c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = room.cert, room.key

    c.JupyterHub.authenticator_class = RoomAuthenticator
    c.Authenticator.admin_users = {TEACHER}
    c.Authenticator.allow_all = True
    passwords = room.passwords()
    c.SharedPasswordAuthenticator.user_password = passwords["room"]
    c.SharedPasswordAuthenticator.admin_password = passwords["teacher"]

    c.JupyterHub.spawner_class = RoomSpawner
    c.RoomSpawner.homes = str(room.homes)
    c.RoomSpawner.answers = str(room.answers)
    c.RoomSpawner.memory = room.memory
    c.Spawner.args, c.Spawner.environment = server_options(
        room.shared, memory=room.memory, kernels=room.kernels
    )
    c.Spawner.env_keep = list(INHERITED)
    c.Spawner.default_url = f"/lab/tree/{FIRST_LESSON}"
    c.Spawner.start_timeout = c.Spawner.http_timeout = START
    c.Spawner.consecutive_failure_limit = 0
    c.Spawner.poll_interval = 5

    c.ConfigurableHTTPProxy.command = [*PYTHON, "trickkit.course.room.proxy"]
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{proxy}"
    c.ConfigurableHTTPProxy.pid_file = str(room.hub / "proxy.pid")
    c.ConfigurableHTTPProxy.check_running_interval = 1
    c.ConfigurableHTTPProxy.log_level = "warn"

    c.JupyterHub.services = [
        {
            "name": "culler",
            "command": [*PYTHON, "jupyterhub_idle_culler", f"--timeout={IDLE}"],
            "environment": room.mark,
        },
        {
            "name": "board",
            "url": f"http://127.0.0.1:{board}",
            "command": [*PYTHON, "trickkit.course.room.board"],
            "oauth_no_confirm": True,
            "environment": room.mark
            | {"TRICKKIT_HOMES": str(room.homes), "TRICKKIT_ANSWERS": str(room.answers)},
        },
    ]
    c.JupyterHub.load_roles = [
        {
            "name": "culler",
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
            "services": ["culler"],
        }
    ]
    return c


if __name__ == "__main__":
    JupyterHub.instance(config=settings(Room(**json.loads(sys.argv[1])))).launch_instance([])
