"""Heads of HTTP/1.1 as Go's net/http writes them: names in their canonical form, in its order."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from wirecore.errors import InvalidMessage
from wirecore.protocols.rest.heads import HOP_BY_HOP, Fields, RequestHead, ResponseHead

CORRELATION_ID: Final = b"x-correlation-id"

#: What Go's client calls itself.
USER_AGENT: Final = b"Go-http-client/1.1"

#: A whole body of at most this many bytes has its length told; a longer one is chunked.
KNOWN_LENGTH: Final = 2048

#: What says how a body is carried, and so is written here.
_CARRIAGE: Final = frozenset({b"content-length", b"transfer-encoding", b"trailer"})
_WITH_BODY: Final = frozenset({b"POST", b"PUT", b"PATCH"})


def canonical(name: bytes) -> bytes:
    """*name* as Go has it: ``x-correlation-id`` becomes ``X-Correlation-Id``."""
    return b"-".join([part[:1].upper() + part[1:].lower() for part in name.split(b"-")])


def check_size(fields: Fields, most: int) -> None:
    """Raise InvalidMessage where *fields* that came have more than *most* bytes.

    h11 bounds a head only while it isn't whole.
    """
    size = sum([len(name) + len(value) + 4 for name, value in fields])
    if size > most:
        raise InvalidMessage(f"a head has {size} bytes, and {most} are allowed (max_head)")


def values_of(fields: Fields, name: bytes) -> list[bytes]:
    """The values of the field *name*, which is in lower case."""
    return [value for found, value in fields if found.lower() == name]


def request_bytes(head: RequestHead, body: bytes, trailers: Fields, *, known: bool) -> bytes:
    """A whole request, as Request.Write makes it. *known*: whether its length is to be told."""
    fields = head.fields
    lines = [b"%b %b HTTP/1.1" % (head.method, head.target)]
    lines.append(b"Host: " + b"".join(values_of(fields, b"host")[:1]))
    agent = values_of(fields, b"user-agent")
    if not agent or agent[0]:  # set to nothing, it is left out
        lines.append(b"User-Agent: " + (agent[0] if agent else USER_AGENT))
    if trailers or not known:
        lines.append(b"Transfer-Encoding: chunked")
        if trailers:
            names = sorted({canonical(name) for name, _ in trailers})
            lines.append(b"Trailer: " + b",".join(names))
    elif body or head.method in _WITH_BODY:
        lines.append(b"Content-Length: %d" % len(body))
    others = _others(fields, _CARRIAGE | HOP_BY_HOP | {b"host", b"user-agent"})
    lines += [b"%b: %b" % field for field in sorted(others, key=_name)]
    start = b"\r\n".join(lines) + b"\r\n\r\n"
    if trailers or not known:
        return start + chunk(body) + last_chunk(trailers)
    return start + body


def response_start(
    head: ResponseHead,
    *,
    date: bytes,
    length: int | None,
    chunked: bool,
    trailers: Fields,
    correlation_id: bytes | None,
) -> bytes:
    """A response's head, as the original's serving end writes it.

    *length*: that is to be told where the application told none; None: it isn't. *chunked*:
    how the body is carried.

    The original makes a Content-Type up, from the first bytes of the body, where there is none. An
    application of ASGI says its own, and one without is left without.
    """
    reason = head.reason or _phrase(head.status)
    lines = [b"HTTP/%b %d %b" % (head.version, head.status, reason)]
    fields = list(head.fields)
    if trailers and not values_of(fields, b"trailer"):
        names = [canonical(name) for name, _ in trailers]
        fields.append((b"Trailer", b", ".join(dict.fromkeys(names))))
    kept = _others(fields, HOP_BY_HOP)
    kept = [field for field in kept if field[0] != b"Date"]
    lines += [b"%b: %b" % field for field in sorted(kept, key=_name)]
    lines.append(b"Date: " + (b"".join(values_of(fields, b"date")[:1]) or date))
    if length is not None:
        lines.append(b"Content-Length: %d" % length)
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    if correlation_id is not None:
        lines.append(b"X-Correlation-Id: " + correlation_id)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """*data* as a chunk of RFC 9112 section 7.1; nothing for no data, which would be the end."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: Fields) -> bytes:
    """The end of a chunked body, with its trailers sorted."""
    fields = sorted(_others(trailers, _CARRIAGE), key=_name)
    return b"0\r\n" + b"".join([b"%b: %b\r\n" % field for field in fields]) + b"\r\n"


def _others(fields: Fields, left_out: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    return [(canonical(name), value) for name, value in fields if name.lower() not in left_out]


def _name(field: tuple[bytes, bytes]) -> bytes:
    return field[0]


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b"status code %d" % status
