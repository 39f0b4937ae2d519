"""uvicorn's protocol on httptools, as strict as a gateway has to be, and as that on h11 is.

RFC 9112 sections 2.3, 3.2 and 6.1: what one server takes for a request's end, or for whom it is,
another doesn't, and a gateway stands in front of others.
"""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

#: Bytes of a head, of trailers, of the extensions of a chunk; each may be longer by one read.
MAX_HEAD: Final = 64 * 1024

# uvicorn fails at any beyond 599, of which applications may have their own.
STATUS_LINE.update({status: b"HTTP/1.1 %d \r\n" % status for status in range(600, 1000)})

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


def _problem_of(version: str, headers: list[tuple[bytes, bytes]]) -> str:
    """Why a head can't be taken; "" where it can."""
    hosts = codings = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding":
            codings += 1
            if value.lower() != b"chunked":
                return "chunked is the one transfer coding that is known"
    if version not in ("1.0", "1.1"):
        return "it isn't HTTP/1.1"
    if hosts > 1 or (not hosts and version == "1.1"):
        return "a request has one Host"
    if codings > 1 or (codings and version == "1.0"):
        return "a body is chunked once, and none of HTTP/1.0"
    return ""


class BoundedHttp(HttpToolsProtocol):
    """Answers 431 to a longer head, and cuts the connection where the rest is longer.

    Trailers are dropped: ASGI has no place for them, and a request's head was passed on before.
    """

    max_head = MAX_HEAD
    _count = 0  # bytes since the last piece of a body, or since the beginning of the request
    _in_head = False

    def data_received(self, data: bytes) -> None:
        self._count += len(data)
        super().data_received(data)
        if self._count > self.max_head and not self.transport.is_closing():
            cycle: RequestResponseCycle | None = self.cycle
            if self._in_head and (cycle is None or cycle.response_complete):
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._count = 0
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        problem = _problem_of(version, self.headers)
        if problem:
            raise ValueError(problem)  # the parser's error, then: 400, and the end
        self._in_head = False
        self._count = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._count = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._count = 0
        super().on_message_complete()
