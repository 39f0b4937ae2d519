"""Many exchanges at once: how they run, what bounds them, and what a peer mustn't do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.wirecore.protocols.rest.wires import GET, OK, POST, Wires
from wirecore.errors import (
    InvalidMessage,
    InvalidOption,
    InvalidState,
    LocalLimitExceeded,
    RemoteLimitExceeded,
)
from wirecore.events import RawText
from wirecore.protocols.rest import frames
from wirecore.protocols.rest.errors import Aborted, Refused
from wirecore.protocols.rest.happenings import (
    DATA,
    END,
    LEAVING,
    REQUEST,
    RESET,
    RESPONSE,
    ROOM,
)
from wirecore.protocols.rest.heads import MAX_FIELDS, RequestHead, ResponseHead
from wirecore.protocols.rest.multiplexed import PIECE, Multiplexed
from wirecore.protocols.rest.windows import INITIAL

TRAILERS = ((b"X-Sum", b"1"),)


def kinds(told: list[Any]) -> list[int]:
    return [kind for kind, _, _ in told]


def test_a_request_and_its_response() -> None:
    wires = Wires()
    ours = wires.client.request(POST, b"the body")
    [(_, theirs, _), data, end] = wires.carry().server.take()
    assert theirs is not None
    assert theirs.request == POST
    assert (data, end) == ((DATA, theirs, b"the body"), (END, theirs, ()))
    assert theirs.received_end
    assert not theirs.over

    wires.server.respond(theirs, b"the answer")
    told = wires.carry().client.take()
    assert told == [(RESPONSE, ours, OK), (DATA, ours, b"the answer"), (END, ours, ())]
    assert ours.over
    assert theirs.over
    assert ours.response == OK


def test_both_ends_call_at_once_and_answers_come_in_any_order() -> None:
    wires = Wires()
    first, second = wires.client.request(), wires.client.request()
    third = wires.server.request()
    assert (first.id, second.id, third.id) == (1, 3, 2)
    wires.carry()
    came = [stream for kind, stream, _ in wires.server.take() if stream and kind == REQUEST]
    for stream in reversed(came):
        wires.server.respond(stream, b"%d" % stream.id)
    wires.carry()
    bodies = [value for kind, _, value in wires.client.take() if kind == DATA]
    assert bodies == [b"3", b"1"]


def test_a_head_may_come_alone_and_its_body_in_pieces() -> None:
    wires = Wires()
    ours, theirs = wires.asked()
    wires.server.respond(theirs, end=False, head=ResponseHead(103, ()))
    wires.server.respond(theirs, end=False)
    for piece in b"one", b"two":
        wires.client.send(ours, piece)
        wires.server.send(theirs, piece)
    wires.carry()
    assert wires.server.take() == [(DATA, theirs, b"one"), (DATA, theirs, b"two")]
    told = wires.client.take()
    assert [kind for kind, _, _ in told] == [RESPONSE, RESPONSE, DATA, DATA]
    assert ours.response == OK
    wires.client.send(ours, b"", end=True, trailers=TRAILERS)
    wires.server.send(theirs, b"three", end=True, trailers=TRAILERS)
    wires.carry()
    assert wires.server.take() == [(END, theirs, TRAILERS)]
    assert wires.client.take() == [(DATA, ours, b"three"), (END, ours, TRAILERS)]


def test_a_response_ends_a_request_whose_body_goes_on() -> None:
    wires = Wires()
    ours, theirs = wires.asked()
    wires.server.respond(theirs, b"enough")
    wires.client.send(ours, b"more")  # it crosses the response
    wires.carry()
    assert wires.server.take() == []
    assert kinds(wires.client.take()) == [RESPONSE, DATA, END]
    assert ours.over
    assert theirs.over
    wires.client.send(ours, b"and more")  # to nobody
    assert wires.client.sent == []


def test_either_end_may_give_up() -> None:
    wires = Wires()
    ours, theirs = wires.asked()
    wires.client.wire.reset(ours, "nobody waits\x1b[2J", 0.0)
    wires.server.respond(theirs, b"it crosses the reset", end=False)
    wires.carry()
    [(kind, stream, error)] = wires.server.take()
    assert (kind, stream) == (RESET, theirs)
    assert isinstance(error, Aborted)
    assert str(error) == "the peer gave the exchange up: nobody waits?[2J"
    assert wires.client.take() == []

    ours, theirs = wires.asked()
    wires.server.wire.reset(theirs, "", 0.0)
    wires.server.wire.reset(theirs, "twice is once", 0.0)
    [(kind, stream, error)] = wires.carry().client.take()
    assert (kind, stream) == (RESET, ours)
    assert str(error) == "the peer gave the exchange up: it did not say why"


def test_a_websocket_is_two_bodies_behind_101() -> None:
    wires = Wires()
    ours, theirs = wires.asked(replace(GET, scheme=b"wss"))
    assert theirs.request.is_websocket
    granted = ResponseHead(101, ())
    wires.server.respond(theirs, b"theirs", head=granted, end=False)
    wires.carry()
    assert wires.client.take() == [(RESPONSE, ours, granted), (DATA, ours, b"theirs")]
    wires.client.send(ours, b"ours", end=True)
    assert kinds(wires.carry().server.take()) == [DATA, END]
    assert not ours.over
    wires.server.send(theirs, b"the end", end=True)
    assert kinds(wires.carry().client.take()) == [DATA, END]
    assert ours.over
    assert theirs.over
    _, other = wires.asked(POST)
    with pytest.raises(InvalidOption, match="none was asked for"):
        wires.server.respond(other, head=granted, end=False)


def test_a_body_stops_where_nobody_reads_and_goes_on_where_somebody_does() -> None:
    wires = Wires()
    ours, theirs = wires.asked()
    assert ours.room == INITIAL
    wires.client.send(ours, bytes(INITIAL))
    assert ours.room == 0
    with pytest.raises(LocalLimitExceeded, match="the window"):
        wires.client.send(ours, b"x")
    wires.carry()
    wires.server.take()
    wires.server.wire.consumed(theirs, INITIAL // 2 - 1)
    assert wires.carry().client.take() == []  # not for a byte
    wires.server.wire.consumed(theirs, 1)
    assert wires.carry().client.take() == [(ROOM, ours, None)]
    # Who reads that fast gets more than he has read.
    assert ours.room == INITIAL // 2 + INITIAL
    wires.client.send(ours, bytes(ours.room))
    told = wires.carry().server.take()
    assert [len(value) for _, _, value in told] == [PIECE, PIECE // 2]


def test_windows_grow_as_long_as_all_together_may() -> None:
    wires = Wires(max_window=4 * INITIAL, window_budget=4 * INITIAL)
    pairs = [wires.asked() for _ in range(3)]
    for _ in range(10):
        for ours, theirs in pairs:
            size = ours.room
            wires.client.send(ours, bytes(size))
            wires.carry()
            wires.server.wire.consumed(theirs, size)
            wires.carry()
    assert [ours.room for ours, _ in pairs] == [3 * INITIAL, 2 * INITIAL, 2 * INITIAL]
    wires.server.respond(pairs[0][1])
    wires.carry()
    for ours, theirs in pairs[1:]:
        size = ours.room
        wires.client.send(ours, bytes(size))
        wires.carry()
        wires.server.wire.consumed(theirs, size)
        wires.carry()
    assert [ours.room for ours, _ in pairs[1:]] == [4 * INITIAL, 2 * INITIAL]


def test_a_long_body_is_cut_so_that_others_have_their_turn() -> None:
    wires = Wires()
    ours, theirs = wires.asked()
    theirs.room = 3 * PIECE  # as if it had grown
    ours.window = 3 * PIECE
    wires.server.respond(theirs, bytes(2 * PIECE + 1))
    assert [len(frame) - frames.HEAD_SIZE for frame in wires.server.sent[1:]] == [PIECE, 1]
    wires.carry()
    assert kinds(wires.client.take()) == [RESPONSE, DATA, DATA, DATA, END]


def test_requests_are_bounded_at_both_ends() -> None:
    wires = Wires(max_streams=2)
    first, second = wires.client.request(), wires.client.request()
    assert wires.client.wire.free < 1
    with pytest.raises(InvalidState, match="2 requests"):
        wires.client.request()
    wires.carry()
    _, theirs, _ = wires.server.take()[0]
    assert theirs is not None
    wires.server.respond(theirs)
    wires.carry()
    assert first.over
    assert wires.client.wire.free == 1

    # A peer that counts otherwise has the one too many refused, and no other.
    third, fourth = (frames.encode_request(number, GET, end=True) for number in (5, 7))
    wires.client.sent += [third, fourth]
    wires.server.told += wires.server.wire.receive(wires.client.sent[:], 0.0)
    wires.client.sent.clear()
    assert wires.server.sent == [
        frames.encode_reset(7, "refused max_streams: too many requests at once")
    ]
    assert second.over is False


def test_the_peer_says_that_it_is_about_to_leave() -> None:
    wires = Wires()
    wires.server.wire.leave()
    wires.server.wire.leave()
    assert wires.carry().client.take() == [(LEAVING, None, None)]
    said = [b"no JSON", b"[]", b'{"leave": 1}', b'{"new": true}', b" " * 5000]
    assert wires.client.wire.receive([frames.encode_control(each) for each in said], 0.0) == []
    assert wires.client.wire.problem is None


def test_what_is_lost_with_its_connection() -> None:
    wires = Wires()
    ours, theirs = wires.asked()
    done, _ = wires.asked()
    wires.server.respond(wires.server.wire._theirs[done.id])
    wires.carry()
    assert wires.client.wire.lost() == [ours]
    assert wires.server.wire.lost() == [theirs]
    assert ours.over
    wires.client.take()
    assert wires.client.wire.lost() == []


@pytest.mark.parametrize(
    "head",
    [
        RequestHead(b"GE T", b"/", ()),
        RequestHead(b"", b"/", ()),
        RequestHead(b"GET", b"/a b", ()),
        RequestHead(b"GET", b"/a\r\nX: y", ()),
        RequestHead(b"GET", b"", ()),
        RequestHead(b"GET", b"http://elsewhere/", ()),
        RequestHead(b"GET", b"/", (), b"ftp"),
        RequestHead(b"GET", b"/", ((b"X Y", b"z"),)),
        RequestHead(b"GET", b"/", ((b"X", b"y\r\nInjected: z"),)),
        RequestHead(b"GET", b"/", ((b"X", b"y\x00"),)),
        RequestHead(b"GET", b"/", ((b"X", b" y"),)),
        RequestHead(b"GET", b"/", ((b"X", b"y"),) * (MAX_FIELDS + 1)),
    ],
)
def test_no_head_that_http_has_not_leaves_or_is_taken(head: RequestHead) -> None:
    wires = Wires()
    with pytest.raises(InvalidOption):
        wires.client.request(head)
    assert wires.client.sent == []
    assert wires.server.wire.receive([frames.encode_request(1, head, end=True)], 0.0) == []
    assert isinstance(wires.server.wire.problem, InvalidMessage)


@pytest.mark.parametrize(
    "head",
    [
        ResponseHead(99, ()),
        ResponseHead(1000, ()),
        ResponseHead(200, ((b"X", b"y\nz"),)),
        ResponseHead(200, (), b"OK\r\n"),
    ],
)
def test_the_same_of_responses(head: ResponseHead) -> None:
    wires = Wires()
    _, theirs = wires.asked()
    with pytest.raises(InvalidOption):
        wires.server.respond(theirs, head=head)
    assert wires.server.sent == []
    assert wires.client.wire.receive([frames.encode_response(1, head, end=True)], 0.0) == []
    assert isinstance(wires.client.wire.problem, InvalidMessage)


def test_long_heads() -> None:
    wires = Wires(max_head=2000)
    long = replace(GET, fields=((b"X", b"y" * 2000),))
    with pytest.raises(LocalLimitExceeded, match="max_head"):
        wires.client.request(long)
    ours, theirs = wires.asked(GET)
    wires.client.sent.append(frames.encode_response(2, replace(OK, fields=long.fields), end=True))
    wires.server.request()
    wires.carry()
    assert isinstance(wires.server.wire.problem, RemoteLimitExceeded)
    assert not ours.over
    assert not theirs.over


def test_one_request_that_is_refused_is_no_end_of_the_others() -> None:
    """Whose bound is the smaller one a caller can't know; and its request may go elsewhere."""
    wires = Wires()
    wires.server.wire = Multiplexed(
        wires.server.sent.append, client=False, max_head=2000, max_streams=2
    )
    other, _ = wires.asked()
    long = wires.client.request(replace(GET, fields=((b"X", b"y" * 2000),)), end=False)
    wires.client.send(long, b"a body that was on its way")
    second, one_more = wires.client.request(), wires.client.request()
    refused = [(stream, value) for _, stream, value in wires.carry().client.take()]
    assert [(stream, error.limit) for stream, error in refused] == [
        (long, "max_head"),
        (one_more, "max_streams"),
    ]
    for stream, error in refused:
        assert stream is not None
        assert isinstance(error, Refused)
        assert error.execution == "not_sent"
        assert stream.over
    assert wires.server.wire.problem is None
    assert (other.over, second.over) == (False, False)


def test_a_refusal_of_what_was_answered_is_none() -> None:
    wires = Wires()
    ours, theirs = wires.asked()
    wires.server.respond(theirs, end=False)
    wires.server.wire.reset(theirs, frames.refusal("max_streams", "too late"), 0.0)
    [_, (_, stream, error)] = wires.carry().client.take()
    assert stream is ours
    assert type(error) is Aborted


def test_a_peer_that_reads_nothing_is_the_end() -> None:
    """Frames that are answered at once would pile up for ever."""
    answers = 0

    def put(frame: bytes) -> None:
        nonlocal answers
        answers += 1
        if answers > 3:
            raise LocalLimitExceeded("max_queued_bytes", 101, 100)

    wire = Multiplexed(put, client=False, max_streams=1)
    asked = [frames.encode_request(number, GET, end=True) for number in range(1, 21, 2)]
    [(_, stream, _), _] = wire.receive(asked, 0.0)
    assert isinstance(wire.problem, RemoteLimitExceeded)
    assert "doesn't read" in str(wire.problem)
    assert stream is not None
    with pytest.raises(LocalLimitExceeded):
        wire.reset(stream, "given up", 0.0)
    assert stream.over


OUR_REQUEST = frames.encode_request(1, GET, end=True)
ANSWER = frames.encode_response(1, OK, end=False)


@pytest.mark.parametrize(
    "messages",
    [
        [b""],
        [b"\x01\x00\x00\x00"],
        [RawText(OUR_REQUEST)],
        [frames.encode_request(2, GET, end=True)],  # a number of the server's
        [frames.encode_request(0, GET, end=True)],
        [OUR_REQUEST, OUR_REQUEST],
        [frames.encode_request(3, GET, end=True), OUR_REQUEST],  # numbers grow
        [frames.encode_data(1, b"x", end=False)],  # of no stream yet
        [OUR_REQUEST, frames.encode_data(1, b"x", end=False)],  # behind the end
        [OUR_REQUEST, frames.encode_trailers(1, ())],
        [OUR_REQUEST, ANSWER],  # the server answers, not the client
        [OUR_REQUEST, b"\x09\x00\x00\x00\x01"],
        [OUR_REQUEST, frames.encode_window(1, 1)[:-1]],
        [OUR_REQUEST, frames.encode_window(1, 0)],
        [OUR_REQUEST, frames.encode_window(1, 0x7FFFFFFF), frames.encode_window(1, 1)],
        [OUR_REQUEST[:12]],
        [frames.encode_request(1, POST, end=False), frames.encode_trailers(1, ()) + b"x"],
        [
            frames.encode_request(1, POST, end=False),
            *[frames.encode_data(1, bytes(INITIAL // 2), end=False)] * 3,
        ],
    ],
)
def test_what_a_client_mustnt_send_is_the_end(messages: list[Any]) -> None:
    wires = Wires()
    wires.server.wire.receive(messages, 0.0)
    assert isinstance(wires.server.wire.problem, InvalidMessage | RemoteLimitExceeded)
    assert wires.server.wire.receive([frames.encode_request(9, GET, end=True)], 0.0) == []


@pytest.mark.parametrize(
    "messages",
    [
        [frames.encode_data(1, b"x", end=True)],  # before the head
        [frames.encode_trailers(1, ())],
        [ANSWER, ANSWER],
        [frames.encode_response(1, ResponseHead(101, ()), end=False)],  # of no WebSocket
        [frames.encode_response(1, ResponseHead(100, ()), b"x", end=False)],
        [frames.encode_response(1, ResponseHead(100, ()), end=True)],
        [frames.encode_response(1, OK, end=True)[:6]],
    ],
)
def test_what_a_server_mustnt_send_is_the_end(messages: list[Any]) -> None:
    wires = Wires()
    wires.client.request()
    wires.client.wire.receive(messages, 0.0)
    assert isinstance(wires.client.wire.problem, InvalidMessage)


def with_length(length: bytes, head: RequestHead = POST) -> RequestHead:
    return replace(head, fields=(*head.fields, (b"Content-Length", length)))


@pytest.mark.parametrize(("length", "pieces"), [(b"3", [b"four"]), (b"3", [b"to"]), (b"3", [])])
def test_a_body_is_as_long_as_was_told(length: bytes, pieces: list[bytes]) -> None:
    wires = Wires()
    head = with_length(length)
    whole = b"".join(pieces)
    with pytest.raises(InvalidOption, match="Content-Length"):
        wires.client.request(head, whole)
    stream = wires.client.request(head, end=False)
    with pytest.raises(InvalidOption, match="Content-Length"):
        wires.client.send(stream, whole, end=True)
    wires.client.send(stream, b"too", end=True)
    assert kinds(wires.carry().server.take()) == [REQUEST, DATA, END]

    wires = Wires()
    messages = [frames.encode_request(1, head, end=False)]
    messages += [frames.encode_data(1, piece, end=False) for piece in pieces]
    messages.append(frames.encode_data(1, b"", end=True))
    wires.server.wire.receive(messages, 0.0)
    assert "Content-Length" in str(wires.server.wire.problem)


def test_a_response_is_as_long_as_was_told() -> None:
    wires = Wires()
    _, theirs = wires.asked()
    long = ResponseHead(200, ((b"Content-Length", b"3"),))
    with pytest.raises(InvalidOption, match="Content-Length"):
        wires.server.respond(theirs, b"four", head=long)
    wires.server.respond(theirs, b"too", head=long)
    assert kinds(wires.carry().client.take()) == [RESPONSE, DATA, END]
    wires.client.request(replace(GET, method=b"HEAD"))
    [(_, asked, _), _] = [each for each in wires.carry().server.take() if each[0] != RESET]
    assert asked is not None
    wires.server.respond(asked, head=long)  # of what GET would have
    assert kinds(wires.carry().client.take()) == [RESPONSE, END]
    for values in ((b"1", b"2"), (b"x",), (b"-1",)):
        fields = tuple((b"content-length", value) for value in values)
        with pytest.raises(InvalidOption, match="one number"):
            wires.client.request(replace(GET, fields=fields))


def test_what_an_owner_mustnt_do() -> None:
    wires = Wires()
    ours, theirs = wires.asked()
    wires.server.respond(theirs, end=False)
    with pytest.raises(InvalidState, match="head"):
        wires.server.respond(theirs)
    wires.client.send(ours, b"", end=True)
    with pytest.raises(InvalidState, match="ended"):
        wires.client.send(ours, b"more")
    for option in {"max_streams": 0}, {"max_head": 10}, {"max_window": 10}, {"window_budget": -1}:
        with pytest.raises(InvalidOption, match=next(iter(option))):
            Wires(**option)


def test_fields_keep_their_order_their_duplicates_and_their_case() -> None:
    wires = Wires()
    fields = ((b"b", b"1"), (b"A", b""), (b"b", b"x" * 300), (b"Set-Cookie", b"\xe9"))
    wires.client.request(replace(GET, fields=fields))
    [(_, stream, _), _] = wires.carry().server.take()
    assert stream is not None
    assert stream.request.fields == fields
