"""Our Connection and wsproto's on the same bytes, cut anywhere: the same events, states, errors.

Events are compared with their types, those of their fields and of the close codes; what both
send with the bytes on the wire, given the same masks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import wsproto.connection
import wsproto.frame_protocol
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.extensions import Extension, PerMessageDeflate

from wirecore._backend import Backend
from wirecore.dropin import wsproto as dropin
from wirecore.websocket.deflate import Deflater

pytestmark = pytest.mark.usefixtures("codec")

Connection = wsproto.connection.Connection


def deflate() -> list[Extension]:
    extension = PerMessageDeflate()
    extension.finalize("permessage-deflate")
    return [extension]


def pair(client: bool, compression: bool = False) -> tuple[Connection, Connection]:
    """wsproto's and ours, of one kind."""
    kind = dropin.ConnectionType.CLIENT if client else dropin.ConnectionType.SERVER
    made = [
        each(kind, deflate() if compression else None) for each in (Connection, dropin.Connection)
    ]
    return made[0], made[1]


def described(event: Event) -> tuple[type, list[tuple[str, type, Any]]]:
    return type(event), [(name, type(value), value) for name, value in vars(event).items()]


def outcome(action: Callable[..., Any], *arguments: Any) -> Any:
    """What *action* gives, or raises."""
    try:
        return action(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same on both sides
        return type(error), str(error)


def encode(first: int, payload: bytes, wide: int = 0, masked: bool = False) -> bytes:
    """A frame as the wire has it, right or wrong."""
    size = len(payload)
    wide = wide or (0 if size < 126 else 1)
    head = bytes([first, (0x80 if masked else 0) | (size, 126, 127)[wide]])
    if wide:
        head += size.to_bytes((2, 8)[wide - 1], "big")
    if not masked:
        return head + payload
    key = b"\x11\x81\x00\xfe"
    return head + key + bytes(byte ^ key[at & 3] for at, byte in enumerate(payload))


payloads = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=6).map(str.encode),
    st.text(max_size=6).map(lambda text: text.encode()[:-1]),
    st.sampled_from(
        [b"", b"\x03", b"\x03\xe8", b"\x03\xe8bye", b"\x03\xed", b"\x0b\xb8\xff", b"\xff\xff"]
    ),
    st.sampled_from([b"x" * 125, b"x" * 126, b"\xc3", b"\xa4", b"\xe2\x82"]),
)
legal_firsts = st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88])
Part = tuple[int, bytes, int, bool]
parts = st.one_of(
    st.tuples(legal_firsts, payloads, st.just(0), st.just(False)),
    st.tuples(legal_firsts, payloads, st.just(0), st.just(False)),
    st.tuples(st.integers(0, 255), payloads, st.integers(0, 2), st.booleans()),
)


def compare(
    both: tuple[Connection, Connection], stream: bytes, edges: list[int], patient: bool
) -> None:
    """Feed *stream* cut at *edges*; *patient* takes the events only after every other read."""
    for number, (start, stop) in enumerate(pairwise(edges)):
        fed = [outcome(each.receive_data, stream[start:stop]) for each in both]
        assert fed[0] == fed[1]
        if patient and number % 2:
            continue
        # One by one: the state must change with the same event.
        stepped = [[(described(event), each.state) for event in each.events()] for each in both]
        assert stepped[0] == stepped[1]
        assert both[0].state is both[1].state


@given(
    client=st.booleans(),
    closing=st.booleans(),
    sent=st.lists(parts, max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    every=st.booleans(),
    patient=st.booleans(),
)
@example(True, False, [(0x81, b"x" * 70_000, 2, False)], [5, 40_000], False, False)
@example(True, False, [(0x82, b"x", 2, False)], [], True, False)
@example(True, False, [(0x88, b"\x03", 0, False)], [], False, False)
@example(True, False, [(0x88, b"\x0b\xb8\xff", 0, False)], [], False, False)
@example(
    False, False, [(0x88, b"\x03\xe8bye", 0, False), (0x81, b"late", 0, False)], [], True, True
)
def test_the_same_bytes_make_the_same_events(
    client: bool,
    closing: bool,
    sent: list[Part],
    cuts: list[int],
    every: bool,
    patient: bool,
) -> None:
    stream = b"".join(
        encode(first, payload, wide, client == flip) for first, payload, wide, flip in sent
    )
    both = pair(client)
    if closing:
        for each in both:
            each.send(CloseConnection(code=1000))
    edges = range(len(stream) + 1) if every else sorted({0, *cuts, len(stream)})
    compare(both, stream, list(edges), patient)


@given(
    client=st.booleans(),
    messages=st.lists(
        st.tuples(
            st.booleans(),  # text
            st.text(max_size=40),
            st.booleans(),  # compressed
            st.lists(st.integers(0, 40), max_size=3),
            st.booleans(),  # a ping after it
        ),
        max_size=5,
    ),
    spoiled=st.one_of(st.none(), st.integers(0, 200)),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    every=st.booleans(),
)
def test_with_compression_too(
    client: bool,
    messages: list[tuple[bool, str, bool, list[int], bool]],
    spoiled: int | None,
    cuts: list[int],
    every: bool,
) -> None:
    deflater = Deflater()
    stream = b""
    for text, content, compressed, places, ping in messages:
        payload = content.encode()
        if compressed:
            payload = deflater.deflate(payload)
        first = (0x01 if text else 0x02) | (0x40 if compressed else 0)
        edges = sorted({0, *(place for place in places if place < len(payload)), len(payload)})
        for start, stop in pairwise(edges if len(edges) > 1 else [0, 0]):
            fin = 0x80 if stop == len(payload) else 0
            stream += encode(first | fin, payload[start:stop], masked=not client)
            first = 0
        if ping:
            stream += encode(0x89, b"ping", masked=not client)
    if spoiled is not None and spoiled < len(stream):
        stream = stream[:spoiled] + bytes([stream[spoiled] ^ 0xFF]) + stream[spoiled + 1 :]
    both = pair(client, compression=True)
    edges = list(range(len(stream) + 1)) if every else sorted({0, *cuts, len(stream)})
    compare(both, stream, edges, False)


def test_messages_of_unequal_parameters(codec: Backend) -> None:
    """Windows and takeover are read from the extension the way wsproto does."""
    for client in (True, False):
        for taken in ("client_no_context_takeover", "server_no_context_takeover"):
            offer = f"permessage-deflate; {taken}; server_max_window_bits=10"
            both = []
            for each in (Connection, dropin.Connection):
                extension = PerMessageDeflate()
                extension.finalize(offer)
                kind = dropin.ConnectionType.CLIENT if client else dropin.ConnectionType.SERVER
                both.append(each(kind, [extension]))
            fresh = taken.startswith("client") != client
            deflater = Deflater(10, fresh=fresh)
            stream = b"".join(
                encode(0xC1, deflater.deflate(text * 20), masked=not client)
                for text in (b"one ", b"one ", b"three ")
            )
            compare((both[0], both[1]), stream, [0, len(stream)], False)


events = st.one_of(
    st.builds(TextMessage, st.text(max_size=200), st.just(True), st.booleans()),
    st.builds(BytesMessage, st.binary(max_size=200), st.just(True), st.booleans()),
    st.builds(BytesMessage, st.binary(max_size=9).map(bytearray), st.just(True), st.booleans()),
    st.builds(Message, st.sampled_from(["text", b"bytes", memoryview(b"view"), 5, None])),
    st.builds(TextMessage, st.sampled_from([b"bytes", memoryview(b"v"), 5, "\ud800"])),
    st.builds(BytesMessage, st.sampled_from([b"x" * 65535, b"x" * 65536])),
    st.builds(Ping, st.binary(max_size=126)),
    st.builds(Pong, st.sampled_from([b"", b"x" * 125, b"x" * 126])),
    st.builds(
        CloseConnection,
        st.sampled_from([1000, 1005, 1006, 3000, *wsproto.frame_protocol.CloseReason]),
        st.one_of(st.none(), st.text(max_size=80)),
    ),
    st.just(dropin.events.AcceptConnection()),
)


@given(client=st.booleans(), compression=st.booleans(), sent=st.lists(events, max_size=5))
def test_the_same_events_make_the_same_bytes(
    client: bool, compression: bool, sent: list[Event]
) -> None:
    theirs, ours = pair(client, compression)
    for event in sent:
        made = outcome(ours.send, event)
        with pytest.MonkeyPatch.context() as patch:
            if client and isinstance(made, bytes):
                patch.setattr(os, "urandom", {4: key_of(made)}.__getitem__)
            expected = outcome(theirs.send, event)
        assert type(made) is type(expected)
        assert made == expected
        assert ours.state is theirs.state


def key_of(frame: bytes) -> bytes:
    """The masking key of a client's frame."""
    at = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2)
    return frame[at : at + 4]


def test_the_end_of_the_stream(codec: Backend) -> None:
    both = pair(True)
    for each in both:
        each.receive_data(b"\x81\x01a\x88\x00")
        each.receive_data(None)
    ends = [[(described(event), each.state) for event in each.events()] for each in both]
    assert ends[0] == ends[1]
    for each in pair(True):
        each.receive_data(None)
        with pytest.raises(dropin.LocalProtocolError, match="Connection already closed"):
            each.receive_data(b"more")


def test_events_that_are_not_taken_wait(codec: Backend) -> None:
    both = pair(True)
    for each in both:
        each.receive_data(b"\x81\x01a\x81\x01b")
        next(each.events())
        each.receive_data(b"\x81\x02c")
        # More comes while they are being taken.
        events = each.events()
        next(events)
        each.receive_data(b"d")
    left = [[described(event) for event in each.events()] for each in both]
    assert left[0] == left[1] == [described(TextMessage("cd"))]


def test_events_may_be_taken_in_two_places_at_once(codec: Backend) -> None:
    taken = []
    for each in pair(True):
        each.receive_data(b"\x81\x01a\x81\x01b\x81\x01c")
        outer, inner = each.events(), each.events()
        order = [next(outer), next(inner), next(outer)]
        each.receive_data(b"\x81\x01d\x81\x01e\x81\x01f")
        order += [next(inner), next(outer), *inner, *outer]
        taken.append([described(event) for event in order])
    assert taken[0] == taken[1]
    assert len(taken[0]) == 6


@pytest.mark.parametrize("data", ["text", 5])
def test_what_is_no_bytes_is_refused(data: Any) -> None:
    for each in pair(True):
        with pytest.raises(TypeError):
            each.receive_data(data)


def test_buffers_may_be_used_again(codec: Backend) -> None:
    for each in pair(True):
        buffer: Any = bytearray(b"\x82\x01a")
        each.receive_data(buffer)
        buffer[:] = b"\xff\xff\xff"
        assert list(each.events()) == [BytesMessage(b"a")]
