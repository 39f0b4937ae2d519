"""What happens on a connection: exchanges, each a stream, and what a wire tells of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

from wirecore.protocols.rest.heads import Fields, RequestHead, ResponseHead

#: A request came; ``stream.request`` is its head. No value.
REQUEST: Final = 1
#: The head of a response came, which is the value; those of 1xx come before the final one.
RESPONSE: Final = 2
#: A piece of the body came, as bytes.
DATA: Final = 3
#: The body is whole; the value are its trailers.
END: Final = 4
#: The exchange is over, by the peer's doing or by a rule; the value is the error that says why.
RESET: Final = 5
#: ``stream.room`` isn't 0 any more. No value.
ROOM: Final = 6
#: The handshake is through. No stream; the value is at a server the client's metadata, at a client
#: the connection's id.
READY: Final = 7
#: The next request may go, where only one can be under way. No stream, no value.
IDLE: Final = 8
#: The peer wants no more requests: it is about to leave. No stream, no value.
LEAVING: Final = 9
#: A message came that is kept until it is clear which end calls: what follows it should be left
#: where it is. No stream, no value.
HELD: Final = 10


class Stream:
    """One exchange, a request and its response, at either end of it; a wire makes it.

    *owner*: whoever attends to it, to be set by him. The others are the wire's to change: *id*;
    *request*, its head; *response*, the head of the final one, once there is one; *room*, bytes of
    body that may be sent now; *sent_end* and *received_end*, whether the bodies are whole; *over*,
    whether nothing more will happen.
    """

    __slots__ = (
        "id",
        "over",
        "owner",
        "received_end",
        "request",
        "response",
        "room",
        "sent_end",
        "to_come",
        "to_send",
        "unread",
        "window",
    )

    def __init__(self, number: int, request: RequestHead, room: int, window: int = 0) -> None:
        self.id = number
        self.request = request
        self.response: ResponseHead | None = None
        self.room = room
        self.owner: Any = None
        self.sent_end = False
        self.received_end = False
        self.over = False
        #: Bytes of body that the peer may send yet, and that the owner has read beyond those.
        self.window = window
        self.unread = 0
        #: What of the bodies is left, of those whose length was told; else infinite.
        self.to_send = self.to_come = math.inf


Happening: TypeAlias = tuple[int, Stream | None, Any]


class Wire(Protocol):
    """How exchanges travel in WebSocket messages: one at a time, or many.

    Nothing here waits, and only what is called by an owner raises, for what he does wrong. What the
    peer does wrong is *problem*, which ends the connection.
    """

    @property
    def problem(self) -> Exception | None:
        """What the peer did wrong, once it did."""

    @property
    def free(self) -> int:
        """How many requests may be made now; 0: they wait, for those before them."""

    @property
    def calling(self) -> int:
        """How many requests of this end aren't through."""

    def receive(self, messages: Sequence[Any], now: float) -> list[Happening]:
        """Messages came: ``str``, ``bytes`` or :class:`~wirecore.events.RawText`."""

    def request(
        self, head: RequestHead, data: bytes, *, end: bool, trailers: Fields = (), now: float
    ) -> Stream:
        """Queue a request, with the beginning of its body, all of it where that is the *end*.

        Raises InvalidOption for what can't be sent, LocalLimitExceeded for what is too long,
        InvalidState where none is *free*, or this end serves alone.
        """

    def respond(
        self,
        stream: Stream,
        head: ResponseHead,
        data: bytes = b"",
        *,
        end: bool = False,
        trailers: Fields = (),
        now: float,
    ) -> None:
        """Queue a response, likewise; 1xx before the final one. Nothing where it is over."""

    def send(
        self,
        stream: Stream,
        data: bytes,
        *,
        end: bool = False,
        trailers: Fields = (),
        now: float,
    ) -> None:
        """Queue a piece of the body, of at most ``stream.room`` bytes; the last where it *end*\\ s.

        Nothing where the stream is over. Raises LocalLimitExceeded for a longer piece, InvalidState
        behind the end.
        """

    def reset(self, stream: Stream, why: str, now: float) -> None:
        """This end gives the exchange up: nothing more of it happens."""

    def consumed(self, stream: Stream, size: int) -> None:
        """The owner is through with so many bytes of what came as DATA."""

    def expire(self, now: float) -> list[Happening]:
        """The time of :meth:`next_deadline` came."""

    def next_deadline(self) -> float:
        """When to call :meth:`expire`; ``math.inf`` for never."""

    def lost(self) -> list[Stream]:
        """The connection is gone: the streams that weren't over, which are now."""
