"""Ends of a webwire connection, seen through the bytes that they send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wirecore._backend import Backend
from wirecore.events import Close
from wirecore.protocols.webwire import ClientSession, ServerSession, accept_conf
from wirecore.session import Call
from wirecore_py.webwire import Message, decode_message

#: Seconds of the server's read timeout in these tests.
READ_TIMEOUT = 40.0


class End:
    """A session that has begun at time 0, and all that it sends, decoded."""

    def __init__(self, backend: Backend, session: Any, *, client: bool) -> None:
        self.session = session
        self._backend = backend
        self._client = client
        session.start(0.0)
        self._reader = backend.frames.MessageDecoder(
            client=not client, max_frame_size=2**40, max_message_size=2**40, raw_text=True
        )

    def outgoing(self) -> bytes:
        """The bytes that wait, all of which leave."""
        pieces = []
        while piece := self.session.outbox.take(65536):
            pieces.append(bytes(piece))
            self.session.outbox.sent(len(piece))
        return b"".join(pieces)

    def sent(self) -> list[Any]:
        """What leaves: messages, decoded, and Ping, Pong and Close."""
        return [
            decode_message(item) if isinstance(item, bytes) else item
            for item in self._reader.receive(self.outgoing())
        ]

    def take(self, message: bytes, now: float = 0.0, opcode: int = 2) -> list[Message] | None:
        """*message* came, in a frame."""
        frame = self._backend.frames.encode_frame(opcode, message, not self._client, True)
        found: list[Message] | None = self.session.receive(frame, now)
        return found


class Client(End):
    """A client's end."""

    session: ClientSession

    def request(self, name: str = "x", payload: bytes = b"", now: float = 0.0) -> Call:
        """A request, queued."""
        call = Call()
        self.session.request(call, name, payload, 0, now)
        return call


class Server(End):
    """A server's end."""

    session: ServerSession


class Pair:
    """A client and a server whose bytes are moved by hand."""

    def __init__(self, client: Client, server: Server) -> None:
        self.client = client
        self.server = server

    def to_server(self, now: float = 0.0) -> list[Message]:
        """What the server makes of all that the client has to send."""
        return self.server.session.receive(self.client.outgoing(), now) or []

    def to_client(self, now: float = 0.0) -> list[Message]:
        """What the client makes of all that the server has to send."""
        return self.client.session.receive(self.server.outgoing(), now) or []


MakePair = Callable[..., Pair]


@pytest.fixture
def make_pair(backend: Backend) -> MakePair:
    """``make_pair(client={...}, server={...}, read_timeout=, buffer_size=, subprotocol=)``."""

    def make(
        *,
        client: dict[str, Any] | None = None,
        server: dict[str, Any] | None = None,
        read_timeout: float = READ_TIMEOUT,
        buffer_size: int = 8192,
        subprotocol: bytes = b"",
    ) -> Pair:
        conf = accept_conf(read_timeout, buffer_size, subprotocol)
        return Pair(
            Client(backend, ClientSession(backend=backend, **(client or {})), client=True),
            Server(backend, ServerSession(conf, backend=backend, **(server or {})), client=False),
        )

    return make


@pytest.fixture
def pair(make_pair: MakePair) -> Pair:
    """A client and a server that have greeted each other."""
    pair = make_pair(client={"request_timeout": 10})
    pair.to_client()
    return pair


def close_of(end: End) -> Close:
    """The close frame that *end* sends, and nothing else."""
    [close] = end.sent()
    assert isinstance(close, Close)
    return close
