"""Pings, and the heartbeat that finds out whether the peer is still there."""

from __future__ import annotations

import math

import pytest

from tests.wirecore.websocket.test_connection import FIN, PING, PONG, TEXT, Frames, masked
from wirecore._backend import Backend
from wirecore.errors import InvalidOption, LocalLimitExceeded
from wirecore.events import Failure
from wirecore.session import Heartbeat
from wirecore.websocket import Connection, State


def test_pings_are_answered_and_messages_kept_in_order(backend: Backend, frames: Frames) -> None:
    connection = Connection(client=False, backend=backend)
    data = (
        masked(FIN | TEXT, b"a")
        + masked(FIN | PING, b"1")
        + masked(FIN | TEXT, b"b")
        + masked(FIN | PING)
    )
    assert connection.receive(data, 0.0) == ["a", "b"]
    assert frames(connection) == [(FIN | PONG, b"1"), (FIN | PONG, b"")]


def test_a_pong_answers_its_ping_and_all_before_it(backend: Backend, frames: Frames) -> None:
    connection = Connection(client=False, backend=backend)
    first, second = connection.ping(b"1"), connection.ping()
    third = connection.ping(b"3")
    assert (first, len(second), third) == (b"1", 8, b"3")
    assert [payload for _, payload in frames(connection)] == [first, second, third]
    assert connection.receive(masked(FIN | PONG, b"nobody's"), 0.0) == []
    assert connection.pongs == []
    assert connection.receive(masked(FIN | PONG, second) + masked(FIN | TEXT), 0.0) == [""]
    assert connection.pongs == [first, second]
    connection.receive(masked(FIN | PONG, first), 0.0)  # late: its ping has its answer
    connection.receive(masked(FIN | PONG, third), 0.0)
    assert connection.pongs == [first, second, third]


def test_answered_pings_can_be_told_at_once(backend: Backend) -> None:
    told: list[tuple[bytes, float]] = []
    connection = Connection(
        client=False, on_pong=lambda token, now: told.append((token, now)), backend=backend
    )
    tokens = [connection.ping(), connection.ping()]
    assert connection.receive(masked(FIN | PONG, tokens[1]), 7.0) == []
    assert told == [(tokens[0], 7.0), (tokens[1], 7.0)]
    assert connection.pongs == []


def test_pings_that_can_not_be_sent(backend: Backend) -> None:
    connection = Connection(client=True, backend=backend)
    with pytest.raises(InvalidOption, match="at most 125 bytes, not 126"):
        connection.ping(bytes(126))
    with pytest.raises(InvalidOption, match="an empty ping"):
        connection.ping(b"")
    connection.ping(b"1")
    with pytest.raises(InvalidOption, match="has no answer yet"):
        connection.ping(b"1")
    for _ in range(1023):
        connection.ping()
    with pytest.raises(LocalLimitExceeded, match="max_pending_pings is 1024, got 1025"):
        connection.ping()


def test_a_pong_that_nobody_asked_for(backend: Backend, frames: Frames) -> None:
    connection = Connection(client=True, backend=backend)
    connection.pong()
    connection.pong(bytes(125))
    with pytest.raises(InvalidOption):
        connection.pong(bytes(126))
    assert frames(connection) == [(FIN | PONG, b""), (FIN | PONG, bytes(125))]


def test_a_peer_that_pings_and_does_not_read(backend: Backend) -> None:
    connection = Connection(client=False, backend=backend)
    flood = masked(FIN | PING, bytes(125)) * 2000
    for _ in range(20):
        connection.receive(flood, 0.0)
    assert connection.finished
    reason = "pings without reading the pongs"
    bound = 1 << 20
    assert connection.failure == Failure(1008, reason, "max_queued_pongs", bound + 63, bound)
    assert connection.outbox.pending < 3 << 20


def test_a_peer_that_reads_may_ping_for_ever(backend: Backend, frames: Frames) -> None:
    connection = Connection(client=False, backend=backend)
    connection.send(bytes(3 << 20))  # data that waits doesn't count against the peer
    flood = masked(FIN | PING, bytes(125)) * 2000
    for _ in range(20):
        connection.receive(flood, 0.0)
        taken = connection.outbox.take(1)
        connection.outbox.sent(len(taken))
    assert connection.state is State.OPEN


def test_a_large_frame_on_its_way_is_not_taken_for_pongs(backend: Backend) -> None:
    connection = Connection(client=False, backend=backend)
    connection.send(bytes(3 << 20))
    connection.outbox.take(1)  # the transport holds it, and hasn't said what has left
    connection.receive(masked(FIN | PING, bytes(125)) * 100, 0.0)
    assert connection.state is State.OPEN


def test_the_heartbeat_pings_and_gives_up(backend: Backend, frames: Frames) -> None:
    connection = Connection(client=False, heartbeat=Heartbeat(18, 20), backend=backend)
    assert connection.next_deadline() == math.inf
    connection.start(100.0)
    assert connection.next_deadline() == 118
    assert connection.expire(117.0) == []
    assert frames(connection) == []
    assert connection.expire(118.0) == []
    assert frames(connection) == [(FIN | PING, b"")]
    connection.receive(masked(FIN | PONG), 119.0)
    assert connection.pongs == []
    assert connection.next_deadline() == 136
    connection.receive(masked(FIN | PING) + masked(FIN | TEXT, b"busy"), 138.0)
    connection.expire(138.9)
    assert connection.state is State.OPEN
    connection.send("never to leave")
    connection.expire(139.0)
    assert connection.finished
    assert frames(connection) == []
    error = connection.closed_error()
    assert (error.code, error.clean) == (1006, False)
    assert "the peer answered no ping in time" in str(error)
    assert connection.next_deadline() == math.inf


def test_a_large_message_that_comes_slowly_counts_as_life(backend: Backend) -> None:
    connection = Connection(client=False, heartbeat=Heartbeat(20, 40), backend=backend)
    connection.start(0.0)
    message = backend.frames.encode_message(bytes(200_000), True)
    for second in range(0, 200, 20):  # the peer can't answer within a frame
        connection.receive(message[second * 100 : (second + 20) * 100], second)
        connection.expire(second)
        assert connection.state is State.OPEN
    for second in (200, 220, 240):
        connection.expire(second)
    assert connection.finished, "nothing more of it came for as long as the timeout"


def test_a_large_message_that_leaves_slowly_counts_as_life(backend: Backend) -> None:
    connection = Connection(client=False, heartbeat=Heartbeat(20, 40), backend=backend)
    connection.start(0.0)
    connection.send(bytes(200_000))
    for second in range(20, 200, 20):
        connection.outbox.sent(min(1000, len(connection.outbox.take(1))))
        connection.expire(second)
        assert connection.state is State.OPEN
    for second in (200, 220, 240):
        connection.expire(second)
    assert connection.finished, "nothing more of it left for as long as the timeout"


def test_the_heartbeat_waits_while_nobody_reads(backend: Backend) -> None:
    connection = Connection(client=False, heartbeat=Heartbeat(None, 20), backend=backend)
    connection.start(0.0)
    connection.pause(10.0)
    connection.expire(1000.0)
    connection.resume(1000.0)
    assert connection.next_deadline() == 1010
    assert not connection.finished


def test_without_a_heartbeat_time_means_nothing(backend: Backend) -> None:
    connection = Connection(client=False, backend=backend)
    connection.start(0.0)
    connection.pause(1.0)
    connection.resume(2.0)
    assert connection.expire(1e9) == []
    assert connection.state is State.OPEN
