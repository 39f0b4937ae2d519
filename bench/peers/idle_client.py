"""Opens many WebSocket connections to any server, says nothing on them, and weighs the server.

Plain sockets, so that it costs every server the same. Option ``connections``: how many.
"""

from __future__ import annotations

import base64
import socket
import time
from pathlib import Path

from bench.peers.load import Outcome, Task, WrongAnswer

#: Connections before the first weighing: what a server needs once is there by then.
FIRST = 50

HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
)


def open_idle(port: int, number: int) -> list[socket.socket]:
    """*number* open WebSockets; their upgrade responses have been read."""
    return [_open(port) for _ in range(number)]


def _open(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    key = base64.b64encode(b"sixteen bytes ..").decode()
    connection.sendall(HANDSHAKE.format(port=port, key=key).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = connection.recv(4096)
        if not part:
            break
        head += part
    if not head.startswith(b"HTTP/1.1 101 "):
        raise WrongAnswer(f"no upgrade: {head[:200]!r}")
    return connection


def resident(pid: int) -> int:
    """Bytes of process *pid* in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def drive(task: Task) -> Outcome:
    """The value is what one more connection costs the server, in bytes."""
    number = int(task.options["connections"])
    began = time.perf_counter()
    connections = open_idle(task.port, FIRST)
    before = resident(task.watch)
    connections += open_idle(task.port, number - FIRST)
    after = resident(task.watch)
    value = (after - before) / (number - FIRST)
    elapsed = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return Outcome(count=number, seconds=elapsed, checked=number, value=value)
