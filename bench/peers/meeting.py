"""How a pool and its provider find each other: README.md tells it.

A pool both listens and makes the calls, so it is the driver, which starts second. The provider
announces a port at which it is told, by one line of JSON, where the pool is and what it speaks.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass

from bench.peers.load import Task

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Meeting:
    """Where the pool listens, its codec, and how many connections the provider is to make."""

    port: int
    codec: str
    connections: int

    @property
    def url(self) -> str:
        """What the provider dials."""
        return f"ws://{_HOST}:{self.port}/"


def of(task: Task, port: int) -> Meeting:
    """A pool's, which listens on *port*; the rest is in the driver's options."""
    return Meeting(port, task.options["codec"], int(task.options["connections"]))


def wait(task: Task) -> Meeting:
    """The provider's part; blocks until a pool has told."""
    with socket.create_server((_HOST, 0)) as listener:
        task.listening(listener.getsockname()[1])
        connection, _ = listener.accept()
    with connection, connection.makefile("rb") as lines:
        return Meeting(**json.loads(lines.readline()))


def tell(task: Task, meeting: Meeting) -> None:
    """The pool's part."""
    with socket.create_connection((_HOST, task.port)) as connection:
        connection.sendall(json.dumps(asdict(meeting)).encode() + b"\n")
