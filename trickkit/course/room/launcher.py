"""Stands for a forked kernel in the eyes of a learner's server, which knows only processes that it
has started itself: `python -I -S launcher.py SOCKET MEMORY -f CONNECTION_FILE`

It asks at the socket of `trickkit.course.room.forked` for a kernel, ends as that ends, and takes it
along when it ends, or when the server does. Where nobody answers, it becomes a plain kernel.
"""

import os
import select
import socket
import sys
from collections.abc import Sequence

TILL_PLAIN = 15  # seconds till a plain kernel, which is ready in two to ten


def ask(address: str, arguments: Sequence[str]) -> socket.socket | None:
    """Ask for a kernel with this process's environment, folder and first three descriptors.

    arguments: of the kernel, as ipykernel takes them.
    Returns the connection on which its exit status will come, once it has begun; None where nobody
    answers.
    """
    pairs = (f"{name}={value}" for name, value in os.environ.items())
    fields = [os.getcwd(), str(len(arguments)), *arguments, *pairs]
    message = b"\0".join(os.fsencode(field) for field in fields) + b"\0\0"
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(TILL_PLAIN)
    try:
        connection.connect(address)
        sent = socket.send_fds(connection, [message], [0, 1, 2])
        connection.sendall(message[sent:])
        if connection.recv(1):
            connection.settimeout(None)
            return connection
    except OSError as error:
        print(f"A plain kernel starts, for {address} does not answer: {error}", file=sys.stderr)
    connection.close()
    return None


def stand_for_kernel(address: str, memory: str, *arguments: str) -> int:
    """Be the kernel, as far as the server can see, till it ends.

    address: of the socket.
    memory: of a plain kernel, as in `limits.apply`; a forked one has it from who forks.
    arguments: as in `ask`.
    Returns its exit status, as a shell has it; 1 where nobody is left to tell it.
    """
    server = os.pidfd_open(os.getppid())
    if os.environ.get("JPY_PARENT_PID", str(os.getppid())) != str(os.getppid()):
        return 1  # the server ended before it could be watched
    connection = ask(address, arguments)
    if not connection:
        import runpy

        home = os.path.dirname(os.path.abspath(__file__))
        runpy.run_path(os.path.join(home, "limits.py"))["apply"](memory=float(memory))
        command = [sys.executable, "-m", "ipykernel_launcher", *arguments]
        os.execv(sys.executable, [*command, "--ext", "trickkit.course.room.limits"])
    either = select.poll()
    either.register(connection, select.POLLIN)
    either.register(server, select.POLLIN)
    if server in dict(either.poll()):
        return 1
    status = connection.recv(1)
    return status[0] if status else 1


if __name__ == "__main__":
    sys.exit(stand_for_kernel(*sys.argv[1:]))
