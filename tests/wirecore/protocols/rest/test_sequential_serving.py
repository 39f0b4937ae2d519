"""Serving the original: what it may ask, however odd, and what it gets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wirecore.protocols.rest.recorded import named, requests_of
from wirecore.errors import InvalidMessage, InvalidOption, InvalidState
from wirecore.protocols.rest.errors import Aborted
from wirecore.protocols.rest.happenings import DATA, END, REQUEST, RESET, Stream
from wirecore.protocols.rest.heads import RequestHead, ResponseHead
from wirecore.protocols.rest.sequential_serving import MAX_WAITING, SequentialServing, read_request

ASKED = b"GET /a HTTP/1.1\r\nHost: localhost\r\nX-Correlation-Id: 1\r\n\r\n"
DATE = b"Fri, 20 Nov 2026 23:26:12 GMT"
TEXT = (b"content-type", b"text/plain; charset=utf-8")


class Server:
    """An end that serves, what it has sent, and what it is asked."""

    def __init__(self, **options: Any) -> None:
        self.sent: list[bytes] = []
        self.wire = SequentialServing(self.sent.append, make_date=lambda: DATE, **options)

    def asked(self, message: bytes = ASKED, now: float = 0.0) -> Stream:
        """The request that *message* is."""
        [(kind, stream, _), *_] = self.wire.receive([message], now)
        assert kind == REQUEST
        assert stream is not None
        return stream

    def answer(self, stream: Stream, *pieces: bytes, status: int = 200, **more: Any) -> bytes:
        """What is sent as the response, with *pieces* as its body."""
        head = ResponseHead(status, more.pop("fields", (TEXT,)))
        self.wire.respond(stream, head, pieces[0] if pieces else b"", end=len(pieces) < 2, now=0.0)
        for at, piece in enumerate(pieces[1:], 2):
            self.wire.send(stream, piece, end=at == len(pieces), now=0.0, **more)
        sent = b"".join(self.sent)
        self.sent.clear()
        return sent


#: What each recorded odd request is to us: method, target, version, body, or why it is none.
ODD: dict[str, tuple[bytes, bytes, bytes, bytes] | str] = {
    "absolute_uri": (b"GET", b"/dump?x=1", b"1.1", b""),
    "bad_method": "no HTTP",
    "bare_lf": (b"GET", b"/dump", b"1.1", b""),
    "binary_message": (b"GET", b"/simple", b"1.1", b""),
    "body_longer_than_length": (b"POST", b"/echo", b"1.1", b"he"),
    "body_shorter_than_length": "body isn't whole",
    "chunked_body_with_trailer": (b"POST", b"/echo", b"1.1", b"hello"),
    "connection_close": (b"GET", b"/simple", b"1.1", b""),
    "empty_message": "no HTTP request",
    "expect_100": (b"POST", b"/echo", b"1.1", b"hello"),
    "garbage": "no HTTP request",
    "garbage_lines": "no HTTP",
    "handler_panics": (b"GET", b"/panic", b"1.1", b""),
    "head_and_body_split": "body isn't whole",
    "http_1_0": (b"GET", b"/simple", b"1.0", b""),
    "http_1_0_long": (b"GET", b"/body/5000", b"1.0", b""),
    "http_2_0": (b"GET", b"/simple", b"1.1", b""),
    "incomplete_headers": "head isn't whole",
    "json_instead": "no HTTP request",
    "lower_case_correlation_id": (b"GET", b"/simple", b"1.1", b""),
    "no_correlation_id": (b"GET", b"/simple", b"1.1", b""),
    "no_host": (b"GET", b"/dump", b"1.1", b""),
    "two_at_once_fast_first": (b"GET", b"/simple", b"1.1", b""),
    "two_at_once_slow_first": (b"GET", b"/slow?ms=200", b"1.1", b""),
    "two_at_once_stream_and_small": (b"GET", b"/stream?n=4&ms=60", b"1.1", b""),
    "two_at_once_two_streams": (b"GET", b"/stream?n=3&ms=60", b"1.1", b""),
    "two_correlation_ids": (b"GET", b"/simple", b"1.1", b""),
    "two_requests_in_one": (b"GET", b"/simple", b"1.1", b""),
    "unknown_method": (b"BREW", b"/echo", b"1.1", b""),
}
#: Bodies that the original reads the beginning of, and ours all.
LONG = {
    "post_2900_padded_head": 2900,
    "post_3900_one_frame": 3900,
    "post_50000_read_late": 50_000,
    "post_5000_one_frame": 5000,
    "post_5000_read_late": 5000,
}


@pytest.mark.parametrize("name", ODD)
def test_a_recorded_odd_request(name: str) -> None:
    asked, _ = requests_of(f"rawreq/{name}")
    server = Server()
    told = server.wire.receive(asked[:1], 0.0)
    expected = ODD[name]
    if isinstance(expected, str):
        assert told == []
        [answer] = server.sent
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert expected.encode() in answer
    else:
        stream = told[0][1]
        assert stream is not None
        head = stream.request
        body = b"".join(value for kind, _, value in told if kind == DATA)
        assert (head.method, head.target, head.version, body) == expected
    assert server.wire.problem is None  # the next message may be a request


@pytest.mark.parametrize("name", LONG)
def test_a_body_that_the_original_reads_the_beginning_of(name: str) -> None:
    asked, _ = requests_of(f"rawreq/{name}")
    [_, (kind, _, body), (end, _, _)] = Server().wire.receive(asked, 0.0)
    assert (kind, len(body), end) == (DATA, LONG[name], END)


def test_every_odd_request_that_was_recorded_is_tried() -> None:
    recorded = {name.removeprefix("rawreq/") for name in named("rawreq/")}
    assert recorded == {*ODD, *LONG}


def test_what_is_told_of_an_odd_request() -> None:
    [absolute] = requests_of("rawreq/absolute_uri")[0][:1]
    assert dict(Server().asked(absolute).request.fields)[b"Host"] == b"other.example"
    told = Server().wire.receive(requests_of("rawreq/chunked_body_with_trailer")[0], 0.0)
    assert told[-1][0] == END
    assert [name.lower() for name, _ in told[-1][2]] == [b"x-t"]


#: How a recorded handler wrote its response: status, what it set itself, and its writes; None: what
#: came is one write.
HANDLERS: dict[str, tuple[int, list[bytes] | None]] = {
    "get": (200, None),
    "get_todos": (200, None),
    "handler_headers": (200, None),
    "body_2047": (200, None),
    "body_2048": (200, None),
    "body_2049": (200, None),
    "large_1mib": (200, None),
    "empty_200": (200, []),
    "delete_204": (204, []),
    "status_204": (204, []),
    "status_304": (304, []),
    "status_599": (599, []),
    "error_500": (500, None),
    "not_found_404": (404, None),
    "redirect_301": (301, None),
    "head_json": (200, []),
    "head_small": (200, []),
    "put_binary": (200, None),
    "post_json": (201, None),
    "post_chunked": (200, None),
}
_OURS = (b"date", b"content-length", b"transfer-encoding")


@pytest.mark.parametrize("end", ["server", "client"])
@pytest.mark.parametrize("name", HANDLERS)
def test_a_recorded_response(name: str, end: str) -> None:
    """The same handler is answered for with the same bytes; only a type that the original has made
    up stands among those that handlers set."""
    asked, answers = requests_of(f"call/{end}/{name}")
    start, _, body = answers[0].partition(b"\r\n\r\n")
    if b"chunked" in start:
        body = body.partition(b"\r\n")[2].removesuffix(b"\r\n0\r\n\r\n")
    lines = start.split(b"\r\n")
    # The last is the correlation id.
    fields = [(line.partition(b": ")[0], line.partition(b": ")[2]) for line in lines[1:-1]]
    status, writes = HANDLERS[name]
    kept = [(key, value) for key, value in fields if key.lower() not in _OURS]
    if name.startswith("head_"):  # what GET would have is for the application to say
        kept += [field for field in fields if field[0] == b"Content-Length"]
    server = Server()
    stream = server.asked(asked[0])
    pieces = [body] if writes is None else writes
    sent = server.answer(stream, *pieces, status=status, fields=tuple(reversed(kept)))
    theirs = sorted(line for line in lines if not line.startswith((b"Date:", b"Connection:")))
    ours, _, rest = sent.partition(b"\r\n\r\n")
    assert sorted(line for line in ours.split(b"\r\n") if line[:5] != b"Date:") == theirs
    assert ours.endswith(b"\r\nX-Correlation-Id: 11111111-1111-4111-8111-111111111111")
    assert rest == answers[0].partition(b"\r\n\r\n")[2]


def test_the_order_of_a_head() -> None:
    server = Server()
    fields = ((b"zulu", b"1"), TEXT, (b"alpha", b"2"), (b"connection", b"close"))
    assert server.answer(server.asked(), b"hi", fields=fields) == (
        b"HTTP/1.1 200 OK\r\nAlpha: 2\r\nContent-Type: text/plain; charset=utf-8\r\nZulu: 1\r\n"
        b"Date: Fri, 20 Nov 2026 23:26:12 GMT\r\nContent-Length: 2\r\nX-Correlation-Id: 1\r\n\r\nhi"
    )


def test_each_piece_is_a_message_and_none_is_empty() -> None:
    server = Server()
    stream = server.asked()
    server.wire.respond(stream, ResponseHead(200, ()), now=0.0)
    for piece in b"one", b"", b"two":
        server.wire.send(stream, piece, now=0.0)
    server.wire.send(stream, b"", end=True, trailers=((b"x-sum", b"6"),), now=0.0)
    assert [message.partition(b"\r\n\r\n")[2] or message for message in server.sent[:1]] == [
        server.sent[0]
    ]
    assert server.sent[1:] == [b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\nX-Sum: 6\r\n\r\n"]

    server.sent.clear()
    stream = server.asked()
    server.wire.respond(stream, ResponseHead(200, ((b"content-length", b"3"),)), b"abc", now=0.0)
    server.wire.send(stream, b"", end=True, now=0.0)
    assert len(server.sent) == 1  # the stray empty one that the original sends stays away


def test_trailers_that_are_known_at_once_are_announced() -> None:
    server = Server()
    head = ResponseHead(200, ())
    trailers = ((b"x-sum", b"6"), (b"x-count", b"1"))
    server.wire.respond(server.asked(), head, b"x", end=True, trailers=trailers, now=0.0)
    start, _, body = server.sent[0].partition(b"\r\n\r\n")
    assert b"\r\nTrailer: X-Sum, X-Count\r\n" in start
    assert b"\r\nTransfer-Encoding: chunked\r\n" in start
    assert body == b"1\r\nx\r\n0\r\nX-Count: 1\r\nX-Sum: 6\r\n\r\n"


def test_http_1_0_is_never_chunked() -> None:
    server = Server()
    old = ASKED.replace(b"1.1", b"1.0")
    answer = server.answer(server.asked(old), bytes(5000))
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"Content-Length: 5000\r\n" in answer
    answer = server.answer(server.asked(old), b"a", b"b")
    assert b"chunked" not in answer
    assert answer.endswith(b"\r\n\r\nab")


def test_the_next_request_waits_for_the_last_byte() -> None:
    """Which loses responses with the original."""
    asked, _ = requests_of("rawreq/two_at_once_two_streams")
    server = Server()
    first = server.asked(asked[0])
    assert server.wire.receive(asked[1:], 1.0) == []
    server.wire.respond(first, ResponseHead(200, ()), b"x", now=1.0)
    assert server.wire.expire(1.0) == []
    server.wire.send(first, b"y", end=True, now=2.0)
    assert server.wire.next_deadline() == 2.0
    assert [kind for kind, _, _ in server.wire.expire(2.0)] == [REQUEST, END]

    server.wire.receive([ASKED] * MAX_WAITING, 2.0)
    assert server.wire.problem is None
    server.wire.receive([ASKED], 2.0)
    assert "wait for the one before them" in str(server.wire.problem)


def test_who_takes_too_long_is_answered_for() -> None:
    server = Server(head_timeout=9.0)
    stream = server.asked(now=1.0)
    assert server.wire.next_deadline() == 10.0
    [(kind, told, error)] = server.wire.expire(10.0)
    assert (kind, told) == (RESET, stream)
    assert isinstance(error, Aborted)
    assert server.sent[0].startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
    server.wire.respond(stream, ResponseHead(200, ()), b"late", end=True, now=11.0)
    server.wire.send(stream, b"later", now=11.0)
    assert len(server.sent) == 1
    server.answer(server.asked(now=12.0), b"in time")


def test_a_response_that_breaks_off() -> None:
    server = Server()
    server.wire.reset(server.asked(), "the application failed", 0.0)
    assert server.sent[0].startswith(b"HTTP/1.1 500 ")
    stream = server.asked()
    server.wire.respond(stream, ResponseHead(200, ()), b"x", now=0.0)
    server.wire.reset(stream, "the application failed", 0.0)
    assert isinstance(server.wire.problem, Aborted)  # its end can't be told in any other way
    assert server.wire.lost() == []


def test_early_hints_stay_here() -> None:
    server = Server()
    stream = server.asked()
    server.wire.respond(stream, ResponseHead(103, ((b"Link", b"x"),)), now=0.0)
    assert server.sent == []
    assert server.answer(stream, b"ok").startswith(b"HTTP/1.1 200 OK\r\n")


def test_what_this_end_mustnt_do() -> None:
    server = Server()
    with pytest.raises(InvalidState, match="one direction"):
        server.wire.request(RequestHead(b"GET", b"/", ()), b"", end=True, now=0.0)
    stream = server.asked()
    with pytest.raises(InvalidState):
        server.wire.send(stream, b"before its head", now=0.0)
    with pytest.raises(InvalidOption):
        server.wire.respond(stream, ResponseHead(200, ((b"X", b"a\r\nb"),)), now=0.0)
    server.wire.respond(stream, ResponseHead(200, ()), now=0.0)
    with pytest.raises(InvalidState):
        server.wire.respond(stream, ResponseHead(200, ()), now=0.0)


@pytest.mark.parametrize("pieces", [[b"four"], [b"to", b"o"], [b"fo", b"ur"], [b""]])
def test_a_body_is_as_long_as_was_announced(pieces: list[bytes]) -> None:
    server = Server()
    fields = ((b"Content-Length", b"3"),)
    if sum(map(len, pieces)) == 3:
        assert server.answer(server.asked(), *pieces, fields=fields).endswith(b"\r\n\r\ntoo")
        return
    with pytest.raises(InvalidOption, match="Content-Length"):
        server.answer(server.asked(), *pieces, fields=fields)


@pytest.mark.parametrize("values", [[b"1", b"2"], [b"x"], [b"-1"]])
def test_a_length_is_one_number(values: list[bytes]) -> None:
    server = Server()
    fields = [(b"Content-Length", value) for value in values]
    with pytest.raises(InvalidOption, match="one number"):
        server.answer(server.asked(), b"a", fields=fields)


def test_long_lines_and_long_heads_take_no_time_and_no_room() -> None:
    with pytest.raises(InvalidMessage):
        read_request(b"GET" + b" " * 1_000_000 + b"x\r\n\r\n", 1 << 16)
    long = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"
    with pytest.raises(InvalidMessage, match="max_head"):
        read_request(long, 1 << 16)


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n" + b"X" * 10,
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    ],
)
def test_smuggling_and_worse_is_answered_400(request_: bytes) -> None:
    server = Server()
    told = server.wire.receive([request_], 0.0)
    if not told:
        assert server.sent[0].startswith(b"HTTP/1.1 400 ")
    else:  # a folded line is one line, and what follows the end is dropped
        assert told[0][1] is not None
        assert told[0][1].request.fields == ((b"Host", b"a X: folded"),)
