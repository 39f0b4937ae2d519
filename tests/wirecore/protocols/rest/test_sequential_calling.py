"""Calling the original: what it gets, byte for byte, and what it answers, however odd."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from tests.wirecore.protocols.rest.recorded import as_recorded, named, requests_of, scenarios
from wirecore.errors import InvalidMessage, InvalidOption, InvalidState, LocalLimitExceeded
from wirecore.events import RawText
from wirecore.protocols.rest.errors import Aborted
from wirecore.protocols.rest.happenings import DATA, END, IDLE, RESPONSE, Stream
from wirecore.protocols.rest.heads import RequestHead, ResponseHead
from wirecore.protocols.rest.sequential_calling import SAFE_SIZES, SequentialCalling

GET = RequestHead(b"GET", b"/simple", ((b"Host", b"localhost"), (b"X-Correlation-Id", b"1")))
POST = RequestHead(b"POST", b"/echo", GET.fields)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Caller:
    """An end that calls, what it has sent, and what came of its requests."""

    def __init__(self, **options: Any) -> None:
        self.sent: list[bytes] = []
        options = {"serving_peer": "server", "make_id": lambda: "made", **options}
        self.wire = SequentialCalling(self.sent.append, **options)
        self.told: list[tuple[int, Any]] = []

    def call(self, head: RequestHead = GET, body: bytes = b"", **more: Any) -> Stream:
        return self.wire.request(head, body, **{"end": True, "now": 0.0, **more})

    def get(self, *messages: Any) -> list[tuple[int, Any]]:
        """What *messages* tell."""
        return [(kind, value) for kind, _, value in self.wire.receive(messages, 0.0)]


@pytest.mark.parametrize("name", [*named("call/"), *named("seq/")])
def test_a_recorded_call(name: str) -> None:
    """Each request as the original's calling end wrote it, each response as it read it."""
    asked, answers = requests_of(name)
    waiting = iter(answers)
    read = []
    caller = Caller(oversize="send")
    for message in asked:
        head, body, more = as_recorded(message)
        if more.pop("is_chunked"):
            stream = caller.call(head, b"", end=False)
            caller.wire.send(stream, body, end=True, trailers=more["trailers"], now=0.0)
        else:
            caller.call(head, body, **more)
        assert caller.sent.pop() == message
        told: list[tuple[int, Any]] = []
        while not caller.wire.free:
            told += caller.get(next(waiting))
        assert caller.wire.problem is None
        [status] = [value.status for kind, value in told if kind == RESPONSE]
        read.append((status, b"".join(value for kind, value in told if kind == DATA)))
    results = [each for each in scenarios()[name]["results"] if "status" in each]
    if "double_flush" in name:  # an empty message ends a response for the original, and not for us
        assert [(status, len(body)) for status, body in read] == [(200, 6), (200, 16)]
        return
    assert [status for status, _ in read] == [int(each["status"][:3]) for each in results]
    for (_, body), result in zip(read, results, strict=True):
        assert len(body) == result["body_len"]
        assert not body or sha256(body).hexdigest() == result["body_sha256"]


#: What comes of the first request's odd response. Where the original waits, dies, or reads another
#: request's, ours knows better.
ODD = {
    "bare_lf": b"ok",
    "binary_message": b"ok",
    "chunk_line_split": b"hello",
    "continue_100_first": b"ok",
    "extra_bytes_after": b"ok",
    "head_then_body_after_12s": b"body",
    "http_1_0": b"ok",
    "late_11s": b"ok",
    "no_correlation_id": b"ok",
    "no_reason": b"ok",
    "one_empty_first": b"ok",
    "one_empty_inside": b"body",
    "split_in_three": b"body",
    "two_empty_first": b"ok",
    "two_empty_inside": b"body",
    "two_responses_in_one": b"ok",
    "garbage": "no HTTP",
    "no_length": "nobody can tell where it ends",
    "swapped": "another request's",
    "wrong_correlation_id": "another request's",
    "partial_then_silence": None,
    "partial_then_tcp_cut": None,
    "silence": None,
    "tcp_cut": None,
    "close_1000": None,
    "close_1001": None,
    "close_empty": None,
}


@pytest.mark.parametrize("name", ODD)
def test_a_recorded_odd_response(name: str) -> None:
    asked, answers = requests_of(f"rawresp/{name}")
    caller = Caller(oversize="send")
    head, body, _ = as_recorded(asked[0])
    stream = caller.call(head, body)
    told = []
    for message in answers:
        told += caller.get(message)
        if caller.wire.free:
            break
    expected = ODD[name]
    if isinstance(expected, str):
        assert expected in str(caller.wire.problem)
        assert caller.wire.lost() == [stream]
    elif expected is None:
        assert not caller.wire.free
        assert caller.wire.problem is None
    else:
        assert b"".join(value for kind, value in told if kind == DATA) == expected
        assert told[-2:] == [(END, ()), (IDLE, None)]
        assert caller.wire.free


def test_every_odd_response_that_was_recorded_is_tried() -> None:
    recorded = {name.split("/")[1] for name in named("rawresp/")}
    assert recorded == set(ODD)


def test_one_request_at_a_time() -> None:
    caller = Caller()
    caller.call()
    with pytest.raises(InvalidState, match="one at a time"):
        caller.call()
    assert caller.get(ANSWER) == [
        (RESPONSE, ResponseHead(200, ((b"Content-Length", b"2"),), b"OK")),
        (DATA, b"ok"),
        (END, ()),
        (IDLE, None),
    ]
    caller.call()
    assert len(caller.sent) == 2


@pytest.mark.parametrize("serving_peer", SAFE_SIZES)
def test_no_request_beyond_what_the_original_is_sure_to_read(serving_peer: Any) -> None:
    most = SAFE_SIZES[serving_peer]
    caller = Caller(serving_peer=serving_peer)
    caller.call(POST, b"")
    around = len(caller.sent.pop()) - 1  # the length has one digit, and not three or four
    caller.get(ANSWER)
    body = bytes(most - around - len(str(most)))
    caller.call(POST, body)
    assert len(caller.sent.pop()) <= most
    caller.get(ANSWER)
    with pytest.raises(LocalLimitExceeded, match=f"the original's {serving_peer} .*{most}"):
        caller.call(POST, body + b"12")
    assert caller.wire.free
    stream = caller.call(POST, b"", end=False)
    with pytest.raises(LocalLimitExceeded):
        caller.wire.send(stream, bytes(most + 1), now=0.0)
    caller.wire.reset(stream, "it is too long", 0.0)
    assert caller.wire.free
    assert caller.sent == []

    insisting = Caller(serving_peer=serving_peer, oversize="send")
    insisting.call(POST, bytes(most))
    assert len(insisting.sent.pop()) > most


def test_a_body_in_pieces_goes_as_one_message() -> None:
    caller = Caller()
    stream = caller.call(POST, b"one ", end=False)
    caller.wire.send(stream, b"two", now=0.0)
    assert caller.sent == []
    caller.wire.send(stream, b"", end=True, trailers=((b"x-sum", b"7"),), now=0.0)
    assert caller.sent == [
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Go-http-client/1.1\r\n"
        b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\nX-Correlation-Id: 1\r\n\r\n"
        b"7\r\none two\r\n0\r\nX-Sum: 7\r\n\r\n"
    ]
    with pytest.raises(InvalidState):
        caller.wire.send(stream, b"more", now=0.0)


def test_a_correlation_id_is_made_where_there_is_none() -> None:
    caller = Caller()
    caller.call(RequestHead(b"GET", b"/", ((b"Host", b"a"), (b"Connection", b"close"))))
    assert caller.sent == [
        b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: Go-http-client/1.1\r\n"
        b"X-Correlation-Id: made\r\n\r\n"
    ]


def test_what_nobody_waits_for_is_read_and_dropped() -> None:
    caller = Caller(abandon_timeout=10.0)
    stream = caller.call()
    caller.get(ANSWER[:-1])
    caller.wire.reset(stream, "nobody waits", 5.0)
    assert not caller.wire.free
    assert caller.wire.next_deadline() == 15.0
    assert caller.get(b"k") == [(IDLE, None)]
    assert caller.wire.next_deadline() == float("inf")

    stream = caller.call()
    caller.wire.reset(stream, "nobody waits", 5.0)
    assert caller.wire.expire(15.0) == []
    assert isinstance(caller.wire.problem, Aborted)
    assert caller.wire.lost() == []


def test_what_came_without_a_request() -> None:
    caller = Caller()
    assert caller.get(b"") == []  # one that the original leaves behind
    assert caller.get(RawText(ANSWER)) == []
    assert isinstance(caller.wire.problem, InvalidMessage)


def test_the_answer_to_head_has_no_body() -> None:
    caller = Caller()
    caller.call(RequestHead(b"HEAD", b"/", GET.fields))
    assert [kind for kind, _ in caller.get(ANSWER[:-2])] == [RESPONSE, END, IDLE]


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
def test_a_response_may_be_cut_anywhere(cut: int) -> None:
    caller = Caller()
    caller.call()
    told = caller.get(ANSWER[:cut]) + caller.get(ANSWER[cut:])
    assert caller.wire.problem is None
    assert b"".join(value for kind, value in told if kind == DATA) == b"ok"
    assert caller.wire.free


def test_a_head_that_is_too_long() -> None:
    caller = Caller(max_head=2000)
    caller.call()
    caller.get(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 3000 + b"\r\nContent-Length: 0\r\n\r\n")
    assert "max_head" in str(caller.wire.problem)


def test_what_this_end_mustnt_do() -> None:
    caller = Caller()
    with pytest.raises(InvalidOption):
        caller.call(RequestHead(b"GET", b"/\r\n", GET.fields))
    with pytest.raises(InvalidOption, match="CONNECT"):
        caller.call(RequestHead(b"CONNECT", b"a:1", GET.fields))
    stream = caller.call()
    with pytest.raises(InvalidState, match="one direction"):
        caller.wire.respond(stream, ResponseHead(200, ()), now=0.0)
