"""What comes through a gateway, of any kind: which publisher gets it, and what is answered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

import trio

from wirecore import errors
from wirecore.protocols.rest.errors import Refused

from ._fields import without_hops
from ._refusals import Refusal
from ._way import Way, find_way

if TYPE_CHECKING:
    from .._asgi_types import Receive, Scope, Send
    from .._call import ResponseStream
    from .._connection import Connection
    from ._fields import Fields
    from ._gateway import Gateway
    from ._traffic import Record

#: Publishers that a request is tried with, where it certainly reached none before.
_ATTEMPTS: Final = 3

#: Statuses whose responses have no body: RFC 9110 section 6.4.1. Servers fail at one.
_WITHOUT_BODY: Final = frozenset({204, 304})


class Passing(ABC):
    """What came with *scope*, through *gateway*."""

    #: What the types of the messages of a response begin with.
    _response: ClassVar[str]

    def __init__(
        self, gateway: Gateway, scope: Scope, receive: Receive, send: Send, record: Record
    ) -> None:
        self._gateway = gateway
        self._scope = scope
        self._receive = receive
        self._send = send
        self._record = record
        self._started = False  # the caller has the beginning of an answer

    async def run(self) -> None:
        """Pass it on. Raises Refusal where it is to be answered here, CallerGone."""
        way = find_way(self._gateway, self._scope)
        self._record.name = way.route.name or ""
        await self._begin()
        await self._try(way)

    @abstractmethod
    async def _begin(self) -> None:
        """Read what is needed before it can be passed on. Raises as :meth:`run`."""

    @abstractmethod
    async def _over(self, connection: Connection, way: Way) -> None:
        """Pass it on over *connection*. Raises what that raises, and as :meth:`run`."""

    @property
    def _is_once(self) -> bool:
        """Whether it can't be passed on a second time, although nothing was sent."""
        return False

    async def _try(self, way: Way) -> None:
        publishers = self._gateway.publishers
        tried: list[str] = []
        refusal: Refusal | None = None
        for _ in range(_ATTEMPTS):
            connection = publishers.choose(way.route, tried)
            if connection is None:
                break
            tried.append(connection.id)
            self._record.publisher = connection.id
            publishers.begin(connection)
            try:
                await self._over(connection, way)
                return
            except errors.WirecoreError as error:
                problem = self._problem_of(error)
                if problem is not None:
                    raise problem from error
                refusal = _refusal_of(error) if isinstance(error, Refused) else None
            finally:
                publishers.end(connection)
        raise refusal or Refusal(502 if tried else 503, "nobody publishes that now")

    def _problem_of(self, error: errors.WirecoreError) -> Exception | None:
        """What becomes of *error*; None: another publisher may have it."""
        if isinstance(error, errors.CallLost):
            if not self._started and error.execution == "not_sent" and not self._is_once:
                return None
            return self._broken("the publisher was lost", str(error))
        if isinstance(error, Refused) and not self._started:
            return _refusal_of(error) if self._is_once else None
        if isinstance(error, errors.CallTimeout):
            return Refusal(504, "the publisher didn't answer in time")
        if isinstance(error, errors.LocalLimitExceeded):
            return Refusal(431, f"the head of the request is too long: {error}")
        if isinstance(error, errors.LocalError):
            return Refusal(400, f"the request can't be passed on: {error}")
        return self._broken("the publisher gave it up", str(error))

    def _broken(self, text: str, detail: str = "") -> Exception:
        refusal = Refusal(502, text, detail)
        if self._started:
            # The server closes the connection: its end is all that tells that this isn't the end.
            return ConnectionAbortedError(f"a response broke off: {refusal.reason}")
        return refusal

    async def _answer(self, response: ResponseStream) -> bytes:
        """Pass *response* on, but for the last piece of its body, which this returns."""
        await self._start(response.status, without_hops(response.fields))
        while True:
            piece = await response.receive()
            if piece is None:
                return b""
            if response.ended:
                return piece
            await self._send_body(piece, more=True)
            # A server drops what is for a caller who has gone, and that may be no checkpoint.
            await trio.lowlevel.checkpoint_if_cancelled()

    async def refuse(self, refusal: Refusal) -> None:
        """Answer it here; ConnectionAbortedError where an answer has begun already."""
        if self._started:
            raise self._broken(refusal.text, refusal.detail)
        body = f"{refusal.text}\n".encode()
        fields = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
        ]
        if refusal.status in (429, 503):
            fields.append((b"retry-after", b"5"))
        if refusal.location is not None:
            fields.append((b"location", refusal.location))
        if refusal.close:
            fields.append((b"connection", b"close"))
        await self._start(refusal.status, fields)
        await self._send_body(body)

    async def _start(self, status: int, fields: Fields) -> None:
        self._record.status = status
        message = {"type": f"{self._response}.start", "status": status, "headers": fields}
        await self._send(message)
        self._started = True

    async def _send_body(self, piece: bytes = b"", *, more: bool = False) -> None:
        if self._record.status in _WITHOUT_BODY:
            piece = b""
        await self._send({"type": f"{self._response}.body", "body": piece, "more_body": more})
        self._record.sent += len(piece)


def _refusal_of(error: Refused) -> Refusal:
    """What the caller is told where no publisher takes a request that passes a bound of theirs."""
    if error.limit == "max_head":
        return Refusal(431, "the head of the request is too long for its publisher", str(error))
    return Refusal(503, "the publisher has too many requests", str(error))
