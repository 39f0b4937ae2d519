"""One request, as whoever serves it sees it, on either wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

import trio

from wirecore.errors import WirecoreError
from wirecore.protocols.rest.heads import Fields, RequestHead


class Gone(WirecoreError, OSError, trio.BrokenResourceError):
    """The caller has gone, or gave the request up: nobody waits for the response any more.

    An OSError, as ASGI wants what its ``send`` raises then to be one.
    """

    def __init__(self, message: str = "the caller has gone, or gave the request up") -> None:
        super().__init__(message)


class Caller(Protocol):
    """The connection that a request came on, as far as who serves it has to do with it."""

    @property
    def remote_address(self) -> str:
        """``host:port``, ``[host]:port`` for IPv6; another text where there is no such address."""

    @property
    def id(self) -> str:
        """The connection's id, which both ends know."""

    @property
    def metadata(self) -> Any:
        """What the client said of itself in the handshake: plain JSON."""


class Incoming(Protocol):
    """One request and the response to it.

    One task at a time may :meth:`receive`, and one :meth:`respond` or :meth:`send`, also both at
    once; any number may :meth:`wait_gone`. What of the body wasn't received when the handler
    returns is dropped by whoever runs the handler.
    """

    @property
    def head(self) -> RequestHead:
        """The request's head."""

    @property
    def connection(self) -> Caller:
        """What the request came on."""

    @property
    def answered(self) -> int | None:
        """The status of the last answer, as :meth:`respond` gave it; None before."""

    @property
    def trailers(self) -> Fields:
        """The request's, once :meth:`receive` gave None."""

    @property
    def ended(self) -> bool:
        """Whether the request's body is whole, of which some may wait to be received."""

    async def receive(self) -> bytes | None:
        """The next piece of the body, never an empty one; None at its end, and behind that.

        To ask for a piece says that one is through with the piece before. A call that is cancelled
        loses nothing. Raises :class:`Gone`, also where pieces are left.
        """

    async def respond(
        self,
        status: int,
        fields: Fields,
        data: bytes = b"",
        *,
        end: bool = False,
        trailers: Fields = (),
    ) -> None:
        """Answer; *data*, which may be empty, begins the body, and is all of it where it *end*\\ s.

        *status*: 200 to 999, once, or 100 to 199 before that, without data and end; or 101 in its
        place, where a WebSocket was asked for, whose messages both bodies then are. *trailers*:
        with *end* alone; the wire drops them where it has no place for them. Waits for room for
        *data*. Raises :class:`Gone`; :class:`~wirecore.errors.InvalidOption` and
        :class:`~wirecore.errors.LocalLimitExceeded` for what can't be sent, and nothing was then;
        :class:`~wirecore.errors.InvalidState` for a second answer. When it is cancelled nobody
        knows what was sent: :meth:`reset` alone is left.
        """

    async def send(self, data: bytes, *, end: bool = False, trailers: Fields = ()) -> None:
        """The next piece of the body, which leaves at once, or as soon as there is room for it.

        Empty with *end* alone. Raises and is cancelled as :meth:`respond`.
        """

    async def send_whole(self, data: bytes, *, end: bool = False) -> bool:
        """As :meth:`send`, but cancelled it has sent nothing of *data*, or all of it will go.

        Any number of tasks may send so, one after the other. False where the exchange was over.
        """

    def hold(self, size: int) -> bool:
        """Say that *size* bytes of what was received are kept, until more comes of them.

        False where that is too much, with what is kept of the connection's other requests: then
        give the request up, or keep none of them.
        """

    def reset(self, why: str) -> None:
        """Give the exchange up: the caller is told *why*, and gets no more. Nothing if it is over.

        *why*: for the caller's log; at most 200 bytes are sent.
        """

    async def wait_gone(self) -> None:
        """Wait until the caller has gone or given up; without end where that can't be any more."""

    def on_gone(self, callback: Callable[[], object]) -> None:
        """Have *callback* called once, when :meth:`wait_gone` would return; now if it would now.

        For who serves many requests: it costs no task. It mustn't raise. One callback a request;
        it is let go when the exchange is over.
        """

    def on_drain(self, callback: Callable[[], object]) -> None:
        """Have *callback* called once this end waits for what it serves to end; now if it does.

        As :meth:`on_gone`; for what doesn't end by itself.
        """


#: Serves one request. When it returns or raises, and the exchange isn't over, it is reset.
Handler: TypeAlias = Callable[[Incoming], Awaitable[None]]
