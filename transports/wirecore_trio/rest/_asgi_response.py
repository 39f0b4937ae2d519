"""The response of an application of ASGI: its messages in, one answer out.

What it may send when (the HTTP specification of ASGI), and what of that leaves (RFC 9110 sections
6.4.1 and 8.6).
"""

from __future__ import annotations

from typing import Any

import trio

from wirecore.errors import LocalError, kind_of
from wirecore.protocols.rest.heads import ResponseHead, check_response, check_trailers

from ._asgi_scope import has_trailers
from ._asgi_types import AsgiViolation, Message
from ._incoming import Incoming


class AsgiResponse:
    """The response to *incoming*.

    *started*: whether the application has answered; *sent*: whether any of that left; *ended*:
    whether the caller has the whole response; *through*: whether the application has sent its last
    message, which may be later, as there are responses without bodies.
    """

    __slots__ = (
        "_bodiless",
        "_body_ended",
        "_broken",
        "_expected",
        "_head",
        "_incoming",
        "_size",
        "_trailers",
        "ended",
        "sent",
        "through",
    )

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self.sent = False
        self.ended = False
        self.through = False
        #: Kept until the body begins: ASGI wants it so, and 500 remains possible.
        self._head: ResponseHead | None = None
        #: A message went out in part.
        self._broken = False
        #: No body goes with this response, whatever the application sends.
        self._bodiless = False
        self._body_ended = False
        #: What Content-Length says, and what of that has left.
        self._expected: int | None = None
        self._size = 0
        #: None: the application has announced none.
        self._trailers: list[tuple[bytes, bytes]] | None = None

    @property
    def started(self) -> bool:
        """See the class."""
        return self._head is not None

    async def send(self, message: Message) -> None:
        """The application's next message; one call at a time.

        Raises AsgiViolation for one that may not come, or not now; Gone, InvalidOption and
        LocalLimitExceeded as :class:`Incoming` does. Nothing of such a message is sent.
        """
        kind = message["type"]
        if self.through:
            raise AsgiViolation(f"{kind!r} came after the response's end")
        if self._broken:
            raise AsgiViolation(
                "a message before this one was cancelled, so that a part of the response is "
                "missing: it can't go on"
            )
        if kind == "http.response.start":
            self._start(message)
        elif kind == "http.response.body":
            await self._send_body(message)
        elif kind == "http.response.trailers":
            await self._send_trailers(message)
        else:
            raise AsgiViolation(f"{kind!r} is no message that can be sent for a request")

    def _start(self, message: Message) -> None:
        if self._head is not None:
            raise AsgiViolation("'http.response.start' came twice")
        status = message["status"]
        if not isinstance(status, int) or not 200 <= status <= 999:
            raise AsgiViolation(f"the status of a response is 200 to 999, not {status!r:.50}")
        request = self._incoming.head
        fields = []
        length: int | None = None
        for name, value in fields_of(message.get("headers", ())):
            lowered = name.lower()
            # How a body is carried is the wire's alone; ASGI has it ignored.
            if lowered == b"transfer-encoding" or (lowered == b"content-length" and status == 204):
                continue
            if lowered == b"content-length":
                length = _length(value, length)
            fields.append((name, value))
        head = ResponseHead(int(status), fields)
        check_response(head)
        self._bodiless = request.method == b"HEAD" or status in (204, 304)
        self._expected = None if self._bodiless else length
        if message.get("trailers"):
            if not has_trailers(request):
                raise AsgiViolation("trailers were announced that weren't offered")
            self._trailers = []
        self._head = head

    async def _send_body(self, message: Message) -> None:
        if self._head is None:
            raise AsgiViolation("'http.response.body' came before 'http.response.start'")
        if self._body_ended:
            raise AsgiViolation("'http.response.body' came after the body's end")
        data = _bytes("body", message.get("body", b""))
        more = bool(message.get("more_body", False))
        if self._bodiless:
            await self._leave_body_out(self._head, data, more)
        else:
            self._check_length(len(data), more)
            await self._put(data, end=not more and self._trailers is None)
        self._size += len(data)
        if not more:
            self._body_ended = True
            if self._trailers is None:
                self.through = True

    def _check_length(self, size: int, more: bool) -> None:
        if self._expected is None:
            return
        total = self._size + size
        if total > self._expected or (total < self._expected and not more):
            raise AsgiViolation(
                f"Content-Length says {self._expected}, and the body has "
                f"{total}{' or more' if more else ''} bytes"
            )

    async def _leave_body_out(self, head: ResponseHead, data: bytes, more: bool) -> None:
        if self.sent:
            await trio.lowlevel.checkpoint()  # an endless body must not stop everybody
            return
        fields = list(head.fields)
        # HEAD says what GET would (RFC 9110 section 8.6), where that is known.
        if (
            data
            and not more
            and head.status not in (204, 304)
            and all(name.lower() != b"content-length" for name, _ in fields)
        ):
            fields.append((b"Content-Length", b"%d" % len(data)))
        self._head = ResponseHead(head.status, fields)
        await self._put(b"", end=True)

    async def _send_trailers(self, message: Message) -> None:
        if self._trailers is None or not self._body_ended:
            raise AsgiViolation(
                "'http.response.trailers' came, which 'http.response.start' didn't announce, or "
                "before the body's end"
            )
        fields = fields_of(message.get("headers", ()))
        check_trailers(fields)
        self._trailers += fields
        if message.get("more_trailers", False):
            return
        if not self._bodiless:
            await self._put(b"", end=True)
        self.through = True

    async def _put(self, data: bytes, *, end: bool) -> None:
        """Have *data* leave, behind the head where that hasn't left."""
        assert self._head is not None
        if self.sent and not data and not end:
            await trio.lowlevel.checkpoint()
            return
        incoming = self._incoming
        trailers = self._trailers or () if end else ()
        was_sent = self.sent
        self.sent = True
        self._broken = True  # unless it comes to its end
        try:
            if not was_sent:
                head = self._head
                await incoming.respond(head.status, head.fields, data, end=end, trailers=trailers)
            else:
                await incoming.send(data, end=end, trailers=trailers)
        except LocalError:
            self.sent = was_sent
            self._broken = False
            raise
        self._broken = False
        if end:
            self.ended = True


def fields_of(given: Any) -> list[tuple[bytes, bytes]]:
    """Header fields of a message, without the spaces around values, which aren't theirs."""
    found = []
    for name, value in given:
        found.append(
            (_bytes("the name of a header", name), _bytes("a header's value", value).strip(b" \t"))
        )
    return found


def _bytes(what: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise AsgiViolation(f"{what} must be bytes, not {kind_of(value)}")


def _length(value: bytes, before: int | None) -> int:
    """What a Content-Length says; *before*: what one before it said."""
    if not value.isdigit() or len(value) > 18:
        raise AsgiViolation(f"Content-Length is no number: {value[:50]!r}")
    length = int(value)
    if before is not None and before != length:
        raise AsgiViolation(f"Content-Length says {before} and {length}")
    return length
