"""Sessions that pass on all to a WebSocket connection, for tests to break in one place each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wirecore._backend import Backend
from wirecore.session import Heartbeat, Outbox
from wirecore.testing import Ends
from wirecore.websocket import Connection


class Composed:
    """A sound session: a WebSocket, as an author would compose it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._stage: Any = connection.stage
        self._outbox = connection.outbox

    @property
    def stage(self) -> Any:
        return self._stage

    @property
    def outbox(self) -> Outbox:
        return self._outbox

    def start(self, now: float) -> None:
        self.connection.start(now)

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> Any:
        return self.connection.receive(data, now)

    def receive_eof(self, now: float) -> Any:
        return self.connection.receive_eof(now)

    def expire(self, now: float) -> Any:
        return self.connection.expire(now)

    def next_deadline(self) -> float:
        return self.connection.next_deadline()

    def close(self) -> None:
        self.connection.close()

    def send(self, message: str | bytes) -> None:
        self.connection.send(message)


def pair_of(
    kind: type[Composed], backend: Backend, *, heartbeat: bool = True
) -> Callable[[], tuple[Composed, Composed]]:
    """Makes pairs of *kind*."""

    def connection(client: bool) -> Connection:
        beat = Heartbeat(20, 40) if heartbeat else None
        return Connection(client=client, heartbeat=beat, backend=backend)

    return lambda: (kind(connection(True)), kind(connection(False)))


def greeting(ends: Ends[Composed, Composed]) -> None:
    """A few messages both ways."""
    ends.client.session.send("hello, wörld")
    ends.settle()
    ends.server.session.send(b"\x00\xff" * 100)
    ends.server.session.send("")
    ends.settle()


def silence(ends: Ends[Composed, Composed]) -> None:
    """Nothing but pings, for a while."""
    ends.advance(65)
