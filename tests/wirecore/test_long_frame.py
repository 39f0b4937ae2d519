"""Frames that are made as they are sent: the same bytes, piece by piece."""

from __future__ import annotations

import pytest

from wirecore._backend import Backend
from wirecore.constants import Opcode
from wirecore.events import Buffer
from wirecore.long_frame import FIRST, LONG, PIECE, LongFrame
from wirecore.websocket import Connection, DeflateParameters

PAYLOAD = bytes(range(256)) * 257
assert len(PAYLOAD) > LONG


def pieces(frame: LongFrame) -> list[bytes | memoryview]:
    found = []
    while len(frame):
        before = len(frame)
        found.append(frame.next())
        assert len(frame) == before - len(found[-1])
    return found


@pytest.mark.parametrize("size", [LONG + 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 5])
@pytest.mark.parametrize("key", [b"", b"mask"])
def test_it_is_the_frame_that_the_codec_makes(backend: Backend, size: int, key: bytes) -> None:
    payload = (PAYLOAD * (size // len(PAYLOAD) + 1))[:size]
    frame = LongFrame(0x82, memoryview(payload), key, backend.mask.apply_mask)
    whole = backend.frames.encode_frame(
        Opcode.BINARY, payload, bool(key), True, False, key if key else None
    )
    assert len(frame) == len(whole)
    found = pieces(frame)
    assert b"".join(found) == whole
    if key:
        assert len(found) == -(-size // PIECE)
        assert max(map(len, found)) <= PIECE + 14
    else:
        head, rest = found
        assert len(head) == 10 + FIRST
        assert isinstance(rest, memoryview)
        assert rest.obj is payload, "what needn't be masked is handed out as it is"


def sent(connection: Connection, limit: int = LONG) -> bytes:
    outbox, found = connection.outbox, bytearray()
    while outbox.pending:
        piece = outbox.take(limit)
        assert piece
        found += piece
        outbox.sent(len(piece))
    return bytes(found)


@pytest.mark.parametrize("client", [True, False])
@pytest.mark.parametrize(
    ("message", "got"),
    [
        (PAYLOAD, PAYLOAD),
        (bytearray(PAYLOAD), PAYLOAD),
        (memoryview(PAYLOAD), PAYLOAD),
        ("\u00e4" * LONG, "\u00e4" * LONG),
    ],
    ids=["bytes", "bytearray", "memoryview", "str"],
)
@pytest.mark.parametrize("deflate", [None, DeflateParameters(threshold=0)])
def test_long_messages_arrive(
    backend: Backend,
    client: bool,
    message: str | Buffer,
    got: str | bytes,
    deflate: DeflateParameters | None,
) -> None:
    ours = Connection(client=client, deflate=deflate, backend=backend)
    theirs = Connection(client=not client, deflate=deflate, backend=backend)
    end = ours.send(message)
    assert end == ours.outbox.queued == ours.outbox.pending
    assert ours.send(b"behind") > end
    received = theirs.receive(sent(ours), 0.0)
    while theirs.deferred:
        received += theirs.receive(b"", 0.0)
    assert received == [got, b"behind"]


@pytest.mark.parametrize("client", [True, False])
@pytest.mark.parametrize("deflate", [None, DeflateParameters(threshold=0)])
def test_long_fragments_that_are_sent_one_by_one_arrive(
    backend: Backend, client: bool, deflate: DeflateParameters | None
) -> None:
    ours = Connection(client=client, deflate=deflate, backend=backend)
    theirs = Connection(client=not client, deflate=deflate, backend=backend)
    first = bytearray(PAYLOAD)
    ours.send_fragment(first, last=False)
    first[:] = bytes(len(first))
    ours.send_fragment(PAYLOAD, last=False)
    assert ours.send_fragment(b"", last=True) == ours.outbox.queued
    received = theirs.receive(sent(ours), 0.0)
    while theirs.deferred:
        received += theirs.receive(b"", 0.0)
    assert received == [PAYLOAD * 2]


@pytest.mark.parametrize("client", [True, False])
@pytest.mark.parametrize("size", [LONG, LONG + 1, 2 * LONG])
def test_pings_overtake_the_rest_of_a_message_in_long_fragments(
    backend: Backend, client: bool, size: int
) -> None:
    ours = Connection(client=client, fragment_size=size, backend=backend)
    theirs = Connection(client=not client, backend=backend)
    message = PAYLOAD * 3
    ours.send(message)
    before = bytes(ours.outbox.take(1))
    ours.outbox.sent(len(before))
    ours.ping(b"now")
    on_wire = before + sent(ours)
    assert theirs.receive(on_wire[: size + 200], 0.0) == []
    assert sent(theirs) != b"", "the ping was answered before the message's end"
    assert theirs.receive(on_wire[size + 200 :], 0.0) == [message]


@pytest.mark.parametrize("client", [True, False])
def test_a_buffer_may_change_once_it_was_given(backend: Backend, client: bool) -> None:
    ours = Connection(client=client, backend=backend)
    theirs = Connection(client=not client, backend=backend)
    message = bytearray(PAYLOAD)
    ours.send(message)
    message[:] = bytes(len(message))
    assert theirs.receive(sent(ours), 0.0) == [PAYLOAD]


def test_no_control_frame_goes_into_one(backend: Backend) -> None:
    """Not even where it was queued when a piece had left; those behind it overtake the data."""
    ours = Connection(client=True, backend=backend)
    theirs = Connection(client=False, backend=backend)
    ours.send(PAYLOAD)
    ours.send(b"behind")
    piece = bytes(ours.outbox.take(1000))[:1000]
    ours.outbox.sent(len(piece))
    ours.ping(b"now")
    assert theirs.receive(piece + sent(ours, 1000), 0.0) == [PAYLOAD, b"behind"]
    assert sent(theirs) != b"", "the ping was answered"


def test_what_waits_is_forgotten_with_the_rest(backend: Backend) -> None:
    for taken in (False, True):
        ours = Connection(client=True, backend=backend)
        ours.send(PAYLOAD)
        ours.send(PAYLOAD)
        if taken:
            ours.outbox.take(1000)
        ours.outbox.clear()
        assert ours.outbox.pending == 0
        assert ours.outbox.take(1000) == b""
        ours.outbox.put(b"small")
        assert ours.outbox.take(1000) == b"small"
