"""A request of this end's: the exchange behind a response, whole or as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore.errors import InvalidState, RemoteLimitExceeded
from wirecore.protocols.rest import happenings
from wirecore.protocols.rest.gohttp import values_of
from wirecore.protocols.rest.heads import Fields, RequestHead, ResponseHead

from ._exchange import Exchange

if TYPE_CHECKING:
    from ._channel import Channel

_RESPONSE: Final = happenings.RESPONSE

#: Seconds that a generator of a body has to come to its end.
_LAST: Final = 1.0


def find(fields: Fields, name: str) -> str | None:
    """The value of the field *name*, in any case; several as one list; None where it is missing."""
    found = values_of(fields, name.lower().encode("latin-1"))
    return b", ".join(found).decode("latin-1") if found else None


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response. *fields* and *trailers*: names as they came, in their order."""

    status: int
    fields: Fields
    body: bytes
    trailers: Fields = ()
    reason: str = ""

    def header(self, name: str) -> str | None:
        """The value of the header *name*, in any case; None where there is none."""
        return find(self.fields, name)


class Call(Exchange):
    """A request under way; *head* is that of its response, once it is there."""

    __slots__ = ("_uploaded", "_uploading", "head", "interim")

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._uploading: trio.CancelScope | None = None
        self._uploaded: trio.Event | None = None
        self.head: ResponseHead | None = None
        #: Heads of 1xx that came before it.
        self.interim: list[ResponseHead] = []

    @property
    def first(self) -> int:
        """How long a body may be that goes with the head."""
        return self._channel.first

    def happened(self, kind: int, value: Any) -> None:
        """See Exchange."""
        if kind == _RESPONSE:
            if value.status >= 200 or value.status == 101:
                self.head = value
            elif len(self.interim) < 16:  # nobody needs more, and a peer could send for ever
                self.interim.append(value)
            self._wake_reader()
        else:
            super().happened(kind, value)

    def start(self, head: RequestHead, data: bytes, *, end: bool, trailers: Fields = ()) -> None:
        """Send the request. Raises as the channel's."""
        self._channel.request(self, head, data, end=end, trailers=trailers)

    async def answered(self) -> ResponseHead:
        """Wait for the response's head. Raises *error*."""
        while self.head is None:
            if self.error is not None:
                raise self.error.with_traceback(None)
            await self._wait_for_more()
        return self.head

    async def read_whole(self, most: int) -> Response:
        """Wait for the whole response. Raises *error*, RemoteLimitExceeded beyond *most* bytes."""
        head = self.head or await self.answered()
        stream = self._stream
        pieces = self._pieces
        parts: list[bytes] = []
        size = 0
        while True:
            while pieces:
                piece = pieces.popleft()
                parts.append(piece)
                size += len(piece)
                if size > most:
                    self.give_up("the response is too long")
                    raise RemoteLimitExceeded("max_body_size", size, most)
                if not stream.received_end:
                    self._channel.consumed(stream, len(piece))
            if self.error is not None:
                raise self.error.with_traceback(None)
            if stream.received_end:
                body = parts[0] if len(parts) == 1 else b"".join(parts)
                reason = head.reason.decode("latin-1")
                return Response(head.status, head.fields, body, self.trailers, reason)
            await self._wait_for_more()

    # --- a body that comes piece by piece -------------------------------------------------------

    def upload(self, content: AsyncIterable[bytes], trailers: Fields) -> None:
        """Send *content* as the body, in a task, until the peer wants no more of it.

        What *content* raises ends the exchange, and is raised to who waits for the response.
        """
        self._uploading = trio.CancelScope()
        self._uploaded = trio.Event()
        self._channel.start_soon(self._upload, content, trailers, self._uploading, self._uploaded)

    async def _upload(
        self,
        content: AsyncIterable[bytes],
        trailers: Fields,
        scope: trio.CancelScope,
        done: trio.Event,
    ) -> None:
        stream = self._stream
        try:
            with scope:
                try:
                    async for piece in content:
                        if stream.over or stream.sent_end:
                            break  # the response is there already
                        if piece:
                            await self.send_body(piece, end=False)
                    else:
                        await self.send_body(b"", end=True, trailers=trailers)
                finally:
                    await _close(content)
        except Exception as error:  # noqa: BLE001 - raised to who waits for the response
            self.give_up("the request's body broke off")
            self.fail(error)
        finally:
            if not stream.over and not stream.sent_end:
                self.give_up("the request's body broke off")
            done.set()

    @property
    def uploads(self) -> bool:
        """Whether a task is still at the body."""
        return self._uploaded is not None and not self._uploaded.is_set()

    async def leave(self) -> None:
        """Give up what hasn't come and what hasn't left, and wait until nothing runs any more."""
        if self.is_begun:
            self.give_up("the rest of the response isn't wanted")
        if self._uploading is not None and self._uploaded is not None:
            self._uploading.cancel()
            await self._uploaded.wait()


async def _close(content: AsyncIterable[bytes]) -> None:
    """Have a generator that wasn't read to its end run what it does at its end."""
    close = getattr(content, "aclose", None)
    if close is not None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _LAST):
            await close()


class ResponseStream:
    """A response as it comes; of :meth:`Connection.stream`, and of use only within that.

    *status*, *reason* and *fields* are there; *trailers* once the body was received.
    """

    def __init__(self, call: Call, head: ResponseHead, most: int) -> None:
        self._call = call
        self._most = most
        self._begun = False
        self.status: int = head.status
        self.reason: str = head.reason.decode("latin-1")
        self.fields: Fields = head.fields

    def __repr__(self) -> str:
        return f"<rest.ResponseStream, {self.status}>"

    @property
    def trailers(self) -> Fields:
        """Those of the response, once its body is whole."""
        return self._call.trailers

    @property
    def ended(self) -> bool:
        """Whether all of the body was received, and it is known to be all."""
        return self._call.ended and not self._call.has_more

    @property
    def interim(self) -> list[tuple[int, Fields]]:
        """Status and fields of each answer of 1xx that came before."""
        return [(head.status, head.fields) for head in self._call.interim]

    def header(self, name: str) -> str | None:
        """The value of the header *name*, in any case; None where there is none."""
        return find(self.fields, name)

    async def receive(self) -> bytes | None:
        """The next piece of the body, never an empty one; None at its end, and behind that.

        Raises CallLost where the connection is lost, Aborted where the peer gave up,
        trio.BusyResourceError where another task receives.
        """
        self._begun = True
        return await self._call.receive()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces of the body."""
        return self

    async def __anext__(self) -> bytes:
        piece = await self.receive()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def read(self) -> bytes:
        """The whole body. Raises as :meth:`receive`; RemoteLimitExceeded beyond max_body_size."""
        if self._begun:
            raise InvalidState("a part of the body was received already")
        self._begun = True
        response = await self._call.read_whole(self._most)
        await trio.lowlevel.checkpoint()
        return response.body
