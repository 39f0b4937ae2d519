"""Go's rule of unanswered pings: by itself, and within a session."""

from __future__ import annotations

import pytest

from tests.wirecore.gob.test_golden_sessions import VECTORS
from tests.wirecore.protocols.pool.ends import Peers, Sent, sent_by
from wirecore._backend import Backend
from wirecore.constants import Opcode
from wirecore.errors import InvalidOption
from wirecore.protocols.pool import UnansweredPings

PING = Sent(Opcode.PING, b"", [0])


def test_a_silent_peer_is_dead_at_the_tick_after_two_pings(backend: Backend) -> None:
    peers = Peers(backend, serving={"heartbeat": UnansweredPings()})
    serving = peers.serving
    for due in (5.0, 10.0):
        assert serving.next_deadline() == due
        serving.expire(due)
        assert sent_by(serving) == [PING]
    assert serving.next_deadline() == 15.0
    serving.expire(14.9)
    assert not serving.stage.finished
    serving.expire(15.0)
    assert serving.stage.finished
    assert not serving.outbox.pending
    assert "answered no ping" in str(serving.closed_error())
    serving.receive_eof(15.0)
    assert serving.problem is None


def test_any_pong_answers_all_pings_and_data_none(backend: Backend) -> None:
    peers = Peers(backend, serving={"heartbeat": UnansweredPings(1.0, 3)})
    for second in range(1, 10):
        peers.serving.expire(float(second))
        if second % 3 == 0:
            peers.serving.receive(b"\x8a\x81\0\0\0\0x", second + 0.5)
    for second in range(10, 13):
        peers.call()
        peers.now = second - 0.5
        assert peers.to_serving()
        assert not peers.serving.stage.finished
        peers.serving.expire(float(second))
    peers.serving.expire(13.0)
    assert peers.serving.stage.finished


def test_the_original_pings_when_ours_does(backend: Backend) -> None:
    (session,) = (each for each in VECTORS["sessions"] if each["name"] == "pings_11s")
    pings = [each for each in session["messages"] if each.get("opcode") == "ping"]
    peers = Peers(backend, serving={"heartbeat": UnansweredPings()})
    for ping in pings:
        due = peers.serving.next_deadline()
        assert due == pytest.approx(ping["t_ms"] / 1000, abs=0.1)
        peers.serving.expire(due)
        (sent,) = sent_by(peers.serving)
        assert (sent.opcode, sent.payload.hex()) == (Opcode.PING, ping["hex"])
        peers.serving.receive(b"\x8a\x80\0\0\0\0", due)


def test_while_nobody_reads_nobody_is_dead() -> None:
    """It goes on as it was: pings meanwhile don't count."""
    heartbeat = UnansweredPings(1.0, 2)
    heartbeat.start(0.0)
    assert heartbeat.ping_due(1.0)
    heartbeat.pause(1.5)
    for second in (2.0, 3.0):
        assert heartbeat.ping_due(second)
    heartbeat.resume(3.5)
    assert not heartbeat.expired(4.0)
    assert heartbeat.ping_due(4.0)
    assert not heartbeat.expired(4.9)
    heartbeat.pause(4.9)
    assert not heartbeat.expired(5.0)
    heartbeat.resume(5.0)
    assert heartbeat.expired(5.0)
    heartbeat.pong(5.0)
    assert not heartbeat.expired(5.0)


def test_without_an_interval_there_are_no_pings() -> None:
    heartbeat = UnansweredPings(None)
    heartbeat.start(0.0)
    assert heartbeat.next_deadline() == float("inf")
    assert not heartbeat.ping_due(1e9)
    assert not heartbeat.expired(1e9)


@pytest.mark.parametrize(("interval", "most"), [(0.0, 2), (-1.0, 2), (5.0, 0)])
def test_options_that_make_no_sense(interval: float, most: int) -> None:
    with pytest.raises(InvalidOption):
        UnansweredPings(interval, most)
