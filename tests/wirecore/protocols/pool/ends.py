"""Ends of a pool's connection, seen through the frames that they send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from wirecore._backend import Backend
from wirecore.constants import Opcode
from wirecore.protocols.pool import (
    Answer,
    CallingSession,
    GobCalling,
    GobServing,
    Incoming,
    JsonCalling,
    JsonServing,
    PoolCall,
    ServingSession,
)


@dataclass
class Sent:
    """A message, or a control frame: its *payload*, and the *sizes* of the frames it came in."""

    opcode: int
    payload: bytes
    sizes: list[int] = field(default_factory=list)


def sent_by(session: CallingSession | ServingSession) -> list[Sent]:
    """What leaves *session*."""
    data = b""
    while piece := bytes(session.outbox.take(65536)):
        session.outbox.sent(len(piece))
        data += piece
    found: list[Sent] = []
    begun: Sent | None = None
    for opcode, final, payload in frames_of(data):
        if opcode == Opcode.CONTINUATION:
            assert begun is not None
            begun.payload += payload
            begun.sizes.append(len(payload))
        else:
            begun = Sent(opcode, payload, [len(payload)])
            found.append(begun)
        if final:
            begun = None
    assert begun is None
    return found


def frames_of(data: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Opcode, whether it is the last of its message, and payload of each frame."""
    while data:
        first, second = data[:2]
        size, at = second & 0x7F, 2
        if size >= 126:
            at = 4 if size == 126 else 10
            size = int.from_bytes(data[2:at], "big")
        key = b""
        if second & 0x80:
            key, at = data[at : at + 4], at + 4
        payload = data[at : at + size]
        assert len(payload) == size
        if key:
            whole = key * (size // 4 + 1)
            payload = (
                int.from_bytes(payload, "big") ^ int.from_bytes(whole[:size], "big")
            ).to_bytes(size, "big")
        yield first & 0x0F, first >= 0x80, payload
        data = data[at + size :]


@dataclass
class Method:
    """What serves a method whose argument is an *argument*."""

    argument: Any = str


def find(name: str) -> Method | str:
    """A service that has methods of these names only."""
    return Method() if name in ("A.Say", "A.Other") else f"rpc: can't find method {name}"


class Peers:
    """A calling and a serving end, whose bytes are moved by hand; the calling one has dialled."""

    def __init__(
        self,
        backend: Backend,
        codec: str = "gob",
        *,
        calling: dict[str, Any] | None = None,
        serving: dict[str, Any] | None = None,
        limits: Any = None,
    ) -> None:
        self.backend = backend
        self.now = 0.0
        out: Any = JsonCalling(limits)
        back: Any = JsonServing(limits)
        if codec == "gob":
            out = GobCalling(limits=limits, backend=backend)
            back = GobServing(limits=limits, backend=backend)
        self.calling = CallingSession(out, client=True, backend=backend, **(calling or {}))
        options = {"find": find, **(serving or {})}
        self.serving = ServingSession(back, client=False, backend=backend, **options)
        self.calling.start(0.0)
        self.serving.start(0.0)

    def call(self, argument: Any = "text", method: str = "A.Say", result: Any = str) -> PoolCall:
        """A call that is queued."""
        made = PoolCall(result)
        self.calling.call(made, method, argument, Any, self.now)
        return made

    def to_serving(self, data: bytes | None = None) -> list[Incoming]:
        """What comes of what the calling end has to send, or of the message *data*."""
        if data is None:
            data = outgoing(self.calling)
        else:
            data = self.backend.frames.encode_message(data, True)
        return received(self.serving, data, self.now)

    def to_calling(self, data: bytes | None = None) -> list[Answer] | None:
        """What comes of what the serving end has to send, or of the message *data*."""
        if data is None:
            data = outgoing(self.serving)
        else:
            data = self.backend.frames.encode_message(data, False)
        return self.calling.receive(data, self.now)

    def answer(self) -> list[Answer] | None:
        """Have the serving end send back what it got, and the calling end read that."""
        for request, _, argument, _ in self.to_serving():
            self.serving.reply(request, argument, Any)
        return self.to_calling()


def outgoing(session: CallingSession | ServingSession) -> bytes:
    """The bytes that wait, all of which leave."""
    data = b""
    while piece := bytes(session.outbox.take(1 << 30)):
        session.outbox.sent(len(piece))
        data += piece
    return data


def received(session: ServingSession, data: bytes, now: float) -> list[Incoming]:
    """What *session* makes of *data*, and of what it has put off."""
    incoming = list(session.receive(data, now) or ())
    while session.stage.deferred and not session.stage.finished:
        incoming += session.receive(b"", now) or ()
    return incoming
