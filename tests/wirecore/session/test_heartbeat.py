"""Pings on time, and a peer that is dead when its pongs stop, whatever else it sends."""

from __future__ import annotations

import math

import pytest

from wirecore.errors import InvalidOption
from wirecore.session import Heartbeat


def test_nothing_is_due_before_the_start() -> None:
    heartbeat = Heartbeat(18, 20)
    assert not heartbeat.ping_due(1e9)
    assert not heartbeat.expired(1e9)
    assert heartbeat.next_deadline() == math.inf


def test_a_silent_peer_gets_a_ping_at_18_seconds_and_is_dead_at_20() -> None:
    heartbeat = Heartbeat(18, 20)
    heartbeat.start(100.0)
    assert heartbeat.next_deadline() == 118
    assert not heartbeat.ping_due(117.9)
    assert heartbeat.ping_due(118.0)
    assert not heartbeat.ping_due(118.0), "once"
    assert heartbeat.next_deadline() == 120
    assert not heartbeat.expired(119.9)
    assert heartbeat.expired(120.0)


def test_a_peer_that_answers_lives_for_ever() -> None:
    heartbeat = Heartbeat(18, 20)
    heartbeat.start(0)
    for beat in range(1, 100):
        assert heartbeat.next_deadline() == 18 * beat
        assert heartbeat.ping_due(18 * beat)
        heartbeat.pong(18 * beat + 0.1)
        assert not heartbeat.expired(18 * beat + 20)


def test_pings_are_counted_from_the_start_not_from_each_other() -> None:
    heartbeat = Heartbeat(10, None)
    heartbeat.start(0)
    assert heartbeat.ping_due(13)
    assert heartbeat.next_deadline() == 20


def test_missed_pings_are_left_out() -> None:
    heartbeat = Heartbeat(10, None)
    heartbeat.start(0)
    assert heartbeat.ping_due(55)
    assert not heartbeat.ping_due(55)
    assert heartbeat.next_deadline() == 60


@pytest.mark.parametrize(
    ("interval", "start", "beat"),
    [(0.1, 0.0, 3), (18, 12345.678, 1000), (0.1, 255069.0257394217, 968), (1 / 3, 1e9, 41)],
)
def test_rounding_never_makes_one_ping_due_twice(interval: float, start: float, beat: int) -> None:
    heartbeat = Heartbeat(interval, None)
    heartbeat.start(start)
    due = start + beat * interval
    for now in (math.nextafter(due, 0), due, math.nextafter(due, math.inf)):
        heartbeat.ping_due(now)
        assert heartbeat.next_deadline() > now
    assert heartbeat.next_deadline() == pytest.approx(due + interval)


def test_the_timeout_stands_still_while_nobody_reads_and_pings_go_on() -> None:
    heartbeat = Heartbeat(18, 20)
    heartbeat.start(0)
    heartbeat.pause(15)
    heartbeat.pause(16)
    assert heartbeat.ping_due(18)
    assert not heartbeat.expired(1000)
    assert heartbeat.next_deadline() == 36
    heartbeat.resume(1015)
    heartbeat.resume(1016)
    assert not heartbeat.expired(1019.9)
    assert heartbeat.expired(1020), "5 s were left at the pause"


def test_a_pong_during_a_pause_gives_the_whole_timeout() -> None:
    heartbeat = Heartbeat(None, 20)
    heartbeat.start(0)
    heartbeat.pause(10)
    heartbeat.pong(15)
    heartbeat.resume(30)
    assert heartbeat.next_deadline() == 50


def test_either_half_can_be_off() -> None:
    no_pings = Heartbeat(None, 20)
    no_pings.start(0)
    assert not no_pings.ping_due(1e9)
    assert no_pings.next_deadline() == 20
    off = Heartbeat(None, None)
    off.start(0)
    assert not off.expired(1e9)
    assert off.next_deadline() == math.inf


@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_options_that_make_no_sense_are_named(value: float) -> None:
    with pytest.raises(InvalidOption, match=f"heartbeat interval must be above 0, not {value}"):
        Heartbeat(value, 20)
    with pytest.raises(InvalidOption, match="heartbeat timeout"):
        Heartbeat(18, value)
