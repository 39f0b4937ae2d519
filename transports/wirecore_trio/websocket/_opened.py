"""What a handshake has settled, and what stands on it: the connection, and the link it came by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wirecore.session import Heartbeat
from wirecore.websocket import Connection

from .._link import Link
from ._options import Options

if TYPE_CHECKING:
    from wirecore._backend import Backend
    from wirecore.websocket import Accepted, Request

    from ._upgrading import Accept


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A WebSocket whose opening handshake is through, for who makes a session of it.

    *client*: which end this is. *accepted*: what was agreed on: subprotocol, compression, the
    headers of the answer. *options*: those of the connection. *request*: the client's request, on
    a server; None on a client. *answer*: what a server's ``on_request`` hook chose for it, None
    on a client. *backend*: the codec, None for the process' own.
    """

    client: bool
    accepted: Accepted
    options: Options
    request: Request | None = None
    answer: Accept | None = None
    backend: Backend | None = None

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self.accepted.subprotocol

    def connection(self) -> Connection:
        """The WebSocket connection as the options have it: for a session to compose. Made anew."""
        options = self.options
        # Where no ping is sent no pong can be missed.
        pong_timeout = None if options.ping_interval is None else options.ping_timeout
        return Connection(
            client=self.client,
            limits=options.limits,
            deflate=self.accepted.deflate,
            raw_text=options.raw_text,
            heartbeat=Heartbeat(options.ping_interval, pong_timeout),
            fragment_size=options.fragment_size,
            close_timeout=options.close_timeout,
            backend=self.backend,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Upgraded:
    """An upgrade that is through: *link* carries frames now, *leftover* are the first of them."""

    link: Link
    opened: Opened
    leftover: bytes
