"""Opens many WebSocket connections to any server, says nothing on them, and weighs the server.

Plain sockets, so that it costs every server the same. Option ``connections``: how many; ``tls=on``
has each of them in TLS.
"""

from __future__ import annotations

import base64
import resource
import socket
import ssl
import time
from pathlib import Path

from bench.peers.certificate import client_context
from bench.peers.load import CannotRun, Outcome, Task, WrongAnswer

#: Connections before the first weighing: what a server needs once is there by then.
FIRST = 50

#: Seconds between two looks at what servers' heartbeats ask: less than any of their deadlines.
LOOK = 5.0

#: Open files that a process needs besides its connections.
BESIDES = 100

# First bytes of whole control frames.
_PING, _PONG = 0x89, 0x8A

HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
)


def open_idle(port: int, number: int, tls: ssl.SSLContext | None = None) -> list[socket.socket]:
    """*number* open WebSockets; their upgrade responses have been read.

    Raises CannotRun where so many files can't be open, here or (its limit is the same) in the
    server.
    """
    needed, (allowed, _) = number + BESIDES, resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        raise CannotRun(
            f"{number:,} connections need {needed:,} open files a process, the limit is"
            f" {allowed:,}: raise it (ulimit -Hn, LimitNOFILE=)"
        )
    connections = []
    looked = time.monotonic()
    for _ in range(number):
        connections.append(_open(port, tls))
        if time.monotonic() > looked + LOOK:
            answer_heartbeats(connections)
            looked = time.monotonic()
    return connections


def _open(port: int, tls: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    # Else the request waits in TLS until the server's system acknowledges the handshake: 40 ms.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is not None:
        connection = tls.wrap_socket(connection)
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


def answer_heartbeats(connections: list[socket.socket]) -> None:
    """Answers the pings that have come.

    Raises WrongAnswer for anything else and where a connection was closed: it would weigh nothing.
    """
    for connection in connections:
        connection.setblocking(False)
        try:
            while asked := connection.recv(4096):
                connection.sendall(_pongs(asked))
        except (BlockingIOError, ssl.SSLWantReadError):
            continue
        raise WrongAnswer("the server closed an idle connection")


def _pongs(asked: bytes) -> bytes:
    """For whole frames *asked*; heartbeats are short (RFC 6455, section 5.5), and come alone."""
    answers = b""
    while asked:
        size = 2 + asked[1]
        if asked[0] != _PING:
            raise WrongAnswer(f"an idle connection got {asked[:20]!r}")
        # Masked with zeros, which leaves the payload as it is.
        answers += bytes((_PONG, 0x80 | asked[1])) + bytes(4) + asked[2:size]
        asked = asked[size:]
    return answers


def drive(task: Task) -> Outcome:
    """The value is what one more connection costs the server, in bytes."""
    number = int(task.options["connections"])
    tls = client_context() if task.options.get("tls") == "on" else None
    began = time.perf_counter()
    connections = open_idle(task.port, FIRST, tls)
    before = resident(task.watch)
    connections += open_idle(task.port, number - FIRST, tls)
    after = resident(task.watch)
    value = (after - before) / (number - FIRST)
    elapsed = time.perf_counter() - began
    answer_heartbeats(connections)
    for connection in connections:
        connection.close()
    return Outcome(count=number, seconds=elapsed, checked=number, value=value)
