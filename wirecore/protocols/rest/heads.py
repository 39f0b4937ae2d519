"""What stands at the head of a request and of a response, and what may stand there.

RFC 9110 sections 5.5, 5.6.2 and 9.1, RFC 9112 section 3.2. Fields keep their order, their
duplicates and the case of their names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from wirecore.errors import InvalidMessage, InvalidOption
from wirecore.websocket.http import TOKEN

#: Header fields, or trailers: pairs of name and value.
Fields: TypeAlias = Sequence[tuple[bytes, bytes]]

#: Fields that one head, or trailers, may have.
MAX_FIELDS: Final = 1000

#: What is between two ends of HTTP/1.1 over TCP, and not the message's: RFC 9110 section 7.6.1.
HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)

_TOKEN: Final = re.compile(TOKEN)
#: Visible ASCII, as h11 has it: all else is percent-encoded.
_TARGET: Final = re.compile(rb"[\x21-\x7e]+")
#: No spaces around it: in HTTP, nobody could tell whose they are. No control character but tabs.
_VALUE: Final = re.compile(
    rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
)
_REASON: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
#: The schemes of WebSockets, and what they are for HTTP.
_WEBSOCKETS: Final = {b"ws": b"http", b"wss": b"https"}
_SCHEMES: Final = frozenset({*_WEBSOCKETS, *_WEBSOCKETS.values()})


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The head of a request.

    *method*: a token, as it is written. *target*: path and query, or ``*``. *fields*: Host among
    them. *scheme*: of the caller's URL: http, https, ws or wss; the sequential wire doesn't
    carry it. *version*: of HTTP, that the request was made in.
    """

    method: bytes
    target: bytes
    fields: Fields
    scheme: bytes = b"http"
    version: bytes = b"1.1"

    @property
    def is_websocket(self) -> bool:
        """Whether it asks for a WebSocket, which 101 grants."""
        return self.method == b"GET" and self.scheme in _WEBSOCKETS


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of a response. *reason*: the phrase behind the status, which says nothing."""

    status: int
    fields: Fields
    reason: bytes = b""
    version: bytes = b"1.1"


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Authority and path of *target*: RFC 9112 section 3.2.

    The first is empty but where the target is in absolute form, a URL of http or https.
    """
    scheme, colon, rest = target.partition(b"://")
    if not colon or scheme.lower() not in (b"http", b"https"):
        return b"", target
    ends = [at for at in map(rest.find, (b"/", b"?")) if at >= 0]
    end = min(ends, default=len(rest))
    path = rest[end:]
    return rest[:end], path if path.startswith(b"/") else b"/" + path


def http_scheme(scheme: bytes) -> bytes:
    """*scheme*, or what HTTP calls that of a WebSocket."""
    return _WEBSOCKETS.get(scheme, scheme)


def announced_length(fields: Fields) -> int | None:
    """What Content-Length says; None: nothing.

    Raises ValueError where it isn't one number: RFC 9110 section 8.6.
    """
    values = {value for name, value in fields if name.lower() == b"content-length"}
    if not values:
        return None
    value = values.pop()
    if values or not value.isdigit() or len(value) > 18:
        raise ValueError("a Content-Length is one number")
    return int(value)


def problem_of_fields(fields: Fields) -> str:
    """What no header has, of *fields*; "" where all is well. No value is quoted."""
    if len(fields) > MAX_FIELDS:
        return f"there are {len(fields)} header fields, and {MAX_FIELDS} are allowed"
    for name, value in fields:
        if not _TOKEN.fullmatch(name):
            return f"the name of a header field is no token: {name[:50]!r}"
        if not _VALUE.fullmatch(value):
            return (
                f"the value of the header field {name[:50].decode('ascii')} holds a line break or "
                "another control character, or has spaces around it"
            )
        if name.lower() == b"content-length":
            try:
                announced_length(fields)
            except ValueError as error:
                return str(error)
    return ""


def problem_of_request(head: RequestHead) -> str:
    """What no request has, of *head*; "" where all is well."""
    if not _TOKEN.fullmatch(head.method):
        return f"a request's method is no token: {head.method[:50]!r}"
    if not _TARGET.fullmatch(head.target):
        return "a request's target is empty, or holds what must be percent-encoded"
    if not (head.target.startswith(b"/") or head.target == b"*" or head.method == b"CONNECT"):
        return "a request's target is no path, which begins with a slash"
    if head.scheme not in _SCHEMES:
        return f"a request's scheme is none of http, https, ws, wss: {head.scheme[:50]!r}"
    return problem_of_fields(head.fields)


def problem_of_response(head: ResponseHead) -> str:
    """What no response has, of *head*; "" where all is well."""
    if not 100 <= head.status <= 999:
        return f"a response's status is 100 to 999, not {head.status}"
    if not _REASON.fullmatch(head.reason):
        return "a response's reason holds control characters"
    return problem_of_fields(head.fields)


def check_request(head: RequestHead) -> None:
    """Raise :class:`~wirecore.errors.InvalidOption` for a head that can't be sent."""
    problem = problem_of_request(head)
    if problem:
        raise InvalidOption(problem)


def check_response(head: ResponseHead) -> None:
    """The same of a response's."""
    problem = problem_of_response(head)
    if problem:
        raise InvalidOption(problem)


def check_trailers(fields: Fields) -> None:
    """The same of trailers."""
    problem = problem_of_fields(fields)
    if problem:
        raise InvalidOption(problem)


def received(problem: str) -> None:
    """Raise :class:`~wirecore.errors.InvalidMessage` where what a peer has sent has a *problem*."""
    if problem:
        raise InvalidMessage(problem)
