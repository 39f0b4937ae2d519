"""A redis-server of a benchmark's own, on a free port, which keeps nothing in files.

Whoever serves starts it and announces its port, for the driver to meet it there.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time

from bench.peers.load import CannotRun

#: Seconds that it gets to answer.
_PATIENCE = 30.0

#: It ends when our end of the pipe is closed, in whatever way this process ends.
_WITH_PARENT = '"$@" </dev/null & cat; kill -9 $!'


def start() -> int:
    """Its port, once it answers. Raises CannotRun where the program isn't installed."""
    program = shutil.which("redis-server")
    if program is None:
        raise CannotRun("redis-server isn't installed")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    settings = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    folder = ["--dir", tempfile.gettempdir()]
    process = subprocess.Popen(
        ["sh", "-c", _WITH_PARENT, "sh", program, *settings, *folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    _kept.append(process)
    _wait(port)
    return port


#: Their pipes stay open as long as this process is there.
_kept: list[subprocess.Popen[bytes]] = []


def _wait(port: int) -> None:
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(64).startswith(b"+PONG"):
                    return
        except OSError:
            pass  # it doesn't listen yet
        if time.monotonic() > give_up:
            raise CannotRun("a redis-server that answers")
        time.sleep(0.01)
