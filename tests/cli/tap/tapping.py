"""The tap as a process, and raw ends for it to stand between."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.cli.tap.observing import ANSWER, REQUEST

if TYPE_CHECKING:
    from tests.cli.conftest import Done, Running, Wirecore

#: Seconds that a socket waits on a machine with other things to do.
PATIENCE = 60.0


class Tapping:
    """A tap before *target* that runs in the folder of *wirecore*."""

    def __init__(self, wirecore: Wirecore, target: str, *arguments: str) -> None:
        self._file = wirecore.folder / "traffic.jsonl"
        command = ("tap", "0", target, "--json", "traffic.jsonl", *arguments)
        self.running: Running = wirecore.run(*command)
        said = self.running.line()
        found = re.search(r"listening +on (\w+://127\.0\.0\.1:(\d+))", said)
        assert found is not None, said or self.running.end().err
        self.url = found[1]
        self.port = int(found[2])
        self.address = f"127.0.0.1:{self.port}"

    def stop(self, number: signal.Signals = signal.SIGINT) -> Done:
        """Stop it."""
        self.running.signal(number)
        done = self.running.end()
        assert done.status == 0, done.err
        return done

    def records(self) -> list[dict[str, Any]]:
        """All that it has written, once it has ended."""
        return [json.loads(line) for line in self._file.read_text(encoding="ascii").splitlines()]

    def told(self, *kinds: str) -> list[dict[str, Any]]:
        """The same of some kinds."""
        return [each for each in self.records() if each["kind"] in kinds]


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        yield listener, f"ws://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def connected(tapping: Tapping, listener: socket.socket) -> Iterator[tuple[socket.socket, Any]]:
    """A client's socket, and that of the target at the other end of the tap."""
    with socket.create_connection(("127.0.0.1", tapping.port), PATIENCE) as client:
        server, _ = listener.accept()
        with server:
            server.settimeout(PATIENCE)
            yield client, server


def open_websocket(client: socket.socket, server: socket.socket) -> None:
    """The handshake between both."""
    client.sendall(REQUEST + b"\r\n")
    assert receive(server, len(REQUEST) + 2) == REQUEST + b"\r\n"
    server.sendall(ANSWER + b"\r\n")
    assert receive(client, len(ANSWER) + 2) == ANSWER + b"\r\n"


def receive(sock: socket.socket, size: int) -> bytes:
    """The next *size* bytes."""
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, "the stream has ended"
        data += piece
    return bytes(data)
