"""Ends of a wsrpc connection, seen through the bytes that they send."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wirecore._backend import Backend
from wirecore.protocols.wsrpc import Received, Session
from wirecore.session import Call

VECTORS = Path(__file__).parents[3] / "vectors" / "wsrpc.json"


class End:
    """A session that has begun at time 0, and all that it sends, decoded."""

    def __init__(self, backend: Backend, *, client: bool, **options: Any) -> None:
        self.backend = backend
        self.session = Session(client=client, backend=backend, **options)
        self.session.start(0.0)
        self._reader = backend.frames.MessageDecoder(
            client=not client,
            max_frame_size=2**40,
            max_message_size=2**40,
            raw_text=True,
        )

    def outgoing(self) -> bytes:
        """The bytes that wait, all of which leave."""
        pieces = []
        while piece := self.session.outbox.take(65536):
            pieces.append(bytes(piece))
            self.session.outbox.sent(len(piece))
        return b"".join(pieces)

    def sent(self) -> list[Any]:
        """What leaves, decoded: envelopes, and Ping, Pong, Close and Failure."""
        return [
            self.backend.envelope.decode_envelope(item) if isinstance(item, bytes) else item
            for item in self._reader.receive(self.outgoing())
        ]

    def call(self, method: str, payload: bytes = b"", now: float = 0.0) -> Call:
        """A call of *method*, queued."""
        call = Call()
        self.session.call(call, method, payload, now)
        return call


MakeEnd = Callable[..., End]


@pytest.fixture
def make_end(backend: Backend) -> MakeEnd:
    """Makes an end: ``make_end(client=True, call_timeout=5)``."""

    def make(*, client: bool, **options: Any) -> End:
        return End(backend, client=client, **options)

    return make


class Pair:
    """A client and a server whose bytes are moved by hand."""

    def __init__(self, client: End, server: End) -> None:
        self.client = client
        self.server = server

    def to_server(self, now: float = 0.0) -> Received:
        """What the server makes of all that the client has to send."""
        return self.server.session.receive(self.client.outgoing(), now) or Received()

    def to_client(self, now: float = 0.0) -> Received:
        """What the client makes of all that the server has to send."""
        return self.client.session.receive(self.server.outgoing(), now) or Received()


@pytest.fixture
def pair(make_end: MakeEnd) -> Pair:
    """A client and a server with the defaults."""
    return Pair(make_end(client=True), make_end(client=False))


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    """What the original sent and received; see tests/vectors/README.md."""
    found: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return found
