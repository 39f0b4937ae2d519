"""What ours says in the place of the original: ``differences`` tells where, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final, TypeAlias

from tests.transports.rest.golden.handlers import TEXT
from tests.transports.rest.golden.seen import Seen, Sent
from tests.wirecore.protocols.rest.recorded import requests_of
from wirecore.protocols.rest.sequential_serving import read_request

Edit: TypeAlias = Callable[[Seen, str], object]

BLANK: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n"
_TYPE: Final = b"Content-Type: "
_DATE: Final = b"Date: "
_PHRASES: Final = {400: b"Bad Request", 500: b"Internal Server Error"}


def all_of(*edits: Edit) -> Edit:
    """One after the other."""

    def edit(seen: Seen, name: str) -> None:
        for each in edits:
            each(seen, name)

    return edit


# --- upgrades -------------------------------------------------------------------------------------


def offers(seen: Seen, name: str) -> None:
    """Names itself, and offers our own subprotocol."""
    for lines in seen.upgrades:
        assert isinstance(lines, list)
        lines.remove("user-agent: Go-http-client")
        lines += ["user-agent: wirecore", "sec-websocket-protocol: wirecore.rest.v1"]
        lines.sort()


def refuses_upgrade(status: str, length: int) -> Edit:
    """In its own words, of so many bytes."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: text/plain; charset=utf-8", "Connection: close"]

    def edit(seen: Seen, name: str) -> None:
        seen.upgrades[:] = ["\r\n".join([*lines, f"Content-Length: {length}", "", ""])]

    return edit


# --- heads ----------------------------------------------------------------------------------------


def _with_lines(message: bytes, change: Callable[[list[bytes], int], object]) -> bytes:
    """*message*, a response, with the lines of its head changed, which get the place of Date."""
    head, blank, body = message.partition(BLANK)
    lines = head.split(b"\r\n")
    dates = [place for place, line in enumerate(lines) if line.startswith(_DATE)]
    if lines[0].startswith(b"HTTP/") and dates:
        change(lines, dates[0])
    return b"\r\n".join(lines) + blank + body


def _sort_in(lines: list[bytes], date: int, line: bytes) -> None:
    """Put *line* among an application's fields, which are sorted, and stand before Date."""
    name = line.partition(b":")[0]
    place = next((at for at in range(1, date) if lines[at].partition(b":")[0] > name), date)
    lines.insert(place, line)


def _each_text(seen: Seen, change: Callable[[bytes], bytes]) -> None:
    for sent in seen.sent:
        sent[:] = [(kind, change(data) if kind == "text" else data) for kind, data in sent]


def own_types(seen: Seen, name: str) -> None:
    """A made-up type of content stands where an application's own does."""

    def change(lines: list[bytes], date: int) -> None:
        for line in [line for line in lines[date:] if line.startswith(_TYPE)]:
            lines.remove(line)
            _sort_in(lines, date, line)

    _each_text(seen, lambda message: _with_lines(message, change))


def length_of_head(seen: Seen, name: str) -> None:
    """The length is told, among the application's fields: in the first response."""
    length = {"head_json": 44, "head_small": 16, "head_large": 5000}[name.rpartition("/")[2]]
    line = b"Content-Length: %d" % length

    def change(lines: list[bytes], date: int) -> None:
        if line in lines:
            lines.remove(line)
        _sort_in(lines, date, line)

    [sent] = seen.sent
    place = _first_response(seen)
    sent[place] = ("text", _with_lines(sent[place][1], change))


def _first_response(seen: Seen) -> int:
    return next(at for at, (_, data) in enumerate(seen.sent[0]) if data.startswith(b"HTTP/"))


def replaced(old: bytes, new: bytes) -> Edit:
    """Has *new* in the place of *old*, in the one message that has it."""

    def edit(seen: Seen, name: str) -> None:
        assert sum(old in data for sent in seen.sent for _, data in sent) == 1
        _each_text(seen, lambda message: message.replace(old, new))

    return edit


def origin_form(seen: Seen, name: str) -> None:
    """The handler is told no more than a path."""
    replaced(b"http://other.example/", b"/")(seen, name)
    replaced(b"Content-Length: 169\r\n", b"Content-Length: 129\r\n")(seen, name)


# --- messages -------------------------------------------------------------------------------------


def no_empty(seen: Seen, name: str) -> None:
    """Without empty messages."""
    for sent in seen.sent:
        sent[:] = [each for each in sent if each != ("text", b"")]


def in_pieces(marker: bytes, *sizes: int) -> Edit:
    """The one response with *marker* in its head, in so many messages, with bodies of *sizes*."""

    def edit(seen: Seen, name: str) -> None:
        [sent] = seen.sent
        [place] = [
            at for at, (_, data) in enumerate(sent) if marker in data.partition(BLANK)[0] + b"\r\n"
        ]
        head, _, body = sent[place][1].partition(BLANK)
        chunked = b"chunked" in marker
        if chunked:
            body = b"".join(_chunks(body))
        messages, at = [], 0
        for size in sizes:
            piece = body[at : at + size]
            messages.append(b"%x\r\n%b\r\n" % (size, piece) if chunked else piece)
            at += size
        messages[0] = head + BLANK + messages[0]
        if chunked:
            messages[-1] += _LAST_CHUNK + b"\r\n"
        sent[place : place + 1] = [("text", message) for message in messages]

    return edit


def _chunks(body: bytes) -> Iterator[bytes]:
    while not body.startswith(_LAST_CHUNK):
        size, _, body = body.partition(b"\r\n")
        yield body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]


def trailers_apart(seen: Seen, name: str) -> None:
    """What follows the body is a message of its own."""
    [sent] = seen.sent
    [place] = [at for at, (_, data) in enumerate(sent) if b"\r\nTrailer: " in data]
    before, end, trailers = sent[place][1].partition(b"\r\n" + _LAST_CHUNK)
    sent[place : place + 1] = [("text", before + b"\r\n"), ("text", end[2:] + trailers)]


# --- answers --------------------------------------------------------------------------------------


def _answer(correlation_id: bytes, body: bytes, fields: tuple[bytes, ...] = ()) -> bytes:
    """A whole response, as ours."""
    lines = [b"HTTP/1.1 200 OK", _TYPE + TEXT, *fields, b"Date: DATE"]
    known = len(body) <= 2048
    lines.append(b"Content-Length: %d" % len(body) if known else b"Transfer-Encoding: chunked")
    lines.append(b"X-Correlation-Id: " + correlation_id)
    start = b"\r\n".join(lines) + BLANK
    return start + (body if known else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


def id_of(request: bytes) -> bytes:
    return request.partition(b"X-Correlation-Id: ")[2].partition(b"\r\n")[0]


def whole_echo(seen: Seen, name: str) -> None:
    """The first request's body comes back as a whole."""
    asked, _ = requests_of(name)
    _, body, _ = read_request(asked[0], 1 << 16)
    digest = sha256(body).hexdigest().encode()
    told = (b"X-Read: %d" % len(body), b"X-Sha256: " + digest)
    seen.sent[0][_first_response(seen)] = ("text", _answer(id_of(asked[0]), body, told))


def _answers(request: bytes) -> Iterator[Sent]:
    """The messages that answer *request*, for /simple, /slow or /stream."""
    own = id_of(request)
    if b"/stream" not in request:
        yield "text", _answer(own, b"slow 200" if b"/slow" in request else b"Hello, wirecore!")
        return
    found = re.search(rb"\?n=(\d)", request)
    assert found
    chunks = [b"9\r\nChunk #%d\n\r\n" % (at + 1) for at in range(int(found[1]))]
    head = _answer(own, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    for message in (head + chunks[0], *chunks[1:], b"0\r\n\r\n"):
        yield "text", message


def answers_both(seen: Seen, name: str) -> None:
    """Each request is answered, in turn."""
    asked, _ = requests_of(name)
    start = 1 if seen.sent[0][0][1].startswith(b'{"Type":"Server') else 2
    seen.sent[0][start:] = [each for request in asked for each in _answers(request)]


def refuses(*statuses: int, then_answers: bool = False) -> Edit:
    """Answers with *statuses*; *then_answers*: the last request, too."""

    def edit(seen: Seen, name: str) -> None:
        asked, _ = requests_of(name)
        sent = [("text", _refusal(status, asked[0])) for status in statuses]
        if then_answers:
            sent += _answers(asked[-1])
        seen.sent[0][1:] = sent

    return edit


def _refusal(status: int, request: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d %b" % (status, _PHRASES[status]), _TYPE + TEXT]
    if status == 400:
        lines += [b"Date: DATE", b"Content-Length: LENGTH"]
        return b"\r\n".join(lines) + BLANK + b"WORDS"
    body = b"internal error ID\n"
    lines[1:1] = [b"Content-Length: %d" % (len(body) - 2 + 36)]
    return (
        b"\r\n".join([*lines, b"Date: DATE", b"X-Correlation-Id: " + id_of(request)]) + BLANK + body
    )
