"""Delays that grow, are spread, stop growing, and begin anew."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from wirecore.errors import InvalidOption
from wirecore.session import Backoff


def middle() -> float:
    """In the middle there is no spread."""
    return 0.5


def test_wsrpc_grows_by_1_6_from_a_second_to_two_minutes() -> None:
    backoff = Backoff.wsrpc(middle)
    delays = [backoff.next_delay() for _ in range(14)]
    assert delays[:4] == pytest.approx([1, 1.6, 2.56, 4.096])
    assert delays[10] == pytest.approx(1.6**10)
    assert delays[11:] == [120, 120, 120]


def test_the_cap_holds_before_the_spread() -> None:
    low, high = Backoff.wsrpc(lambda: 0.0), Backoff.wsrpc(lambda: math.nextafter(1.0, 0.0))
    for backoff, spread in ((low, 0.8), (high, 1.2)):
        delays = [backoff.next_delay() for _ in range(20)]
        assert delays[0] == pytest.approx(spread)
        assert delays[-1] == pytest.approx(120 * spread)


def test_success_begins_anew() -> None:
    backoff = Backoff.websocket(middle)
    assert [backoff.next_delay() for _ in range(3)] == [0.5, 1.0, 2.0]
    backoff.reset()
    assert backoff.next_delay() == 0.5


def test_by_default_no_two_clients_keep_step() -> None:
    backoff = Backoff.websocket()
    delays = [backoff.next_delay() for _ in range(30)]
    assert all(0.25 <= delay <= 90 for delay in delays)
    assert all(first != second for first, second in pairwise(delays))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ((0, 2, 0, 1), "base must be above 0, not 0"),
        ((1, 0.5, 0, 1), "factor must be at least 1, not 0.5"),
        ((1, 2, -0.1, 1), "jitter must be at least 0, not -0.1"),
        ((1, 2, 1.5, 1), "jitter must be at most 1, not 1.5"),
        ((2, 2, 0, 1), "cap must be at least 2, not 1"),
        ((math.nan, 2, 0, 1), "base must be above 0, not nan"),
    ],
)
def test_options_that_make_no_sense_are_named(
    options: tuple[float, float, float, float], named: str
) -> None:
    with pytest.raises(InvalidOption, match=named):
        Backoff(*options)
