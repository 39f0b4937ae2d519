"""What comes back is compared, and what was asked for is sent: a driver can't cheat unseen."""

from __future__ import annotations

import asyncio
from collections import deque
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``bench.peers.load``, which no package installs."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    return import_module("bench.peers.load")


def task(load: ModuleType, *, size: int = 8, in_flight: int = 1) -> object:
    """A task that is over after a moment."""
    return load.Task(
        port=0,
        size=size,
        in_flight=in_flight,
        warm_up=0.0,
        seconds=0.001,
        watch=0,
        options={},
        version="",
    )


@pytest.mark.parametrize("in_flight", [1, 100])
def test_an_echo_has_as_many_messages_under_way_as_it_should(
    load: ModuleType, in_flight: int
) -> None:
    under_way: deque[bytes] = deque()
    most = 0

    async def send(message: bytes) -> None:
        nonlocal most
        under_way.append(message)
        most = max(most, len(under_way))

    async def receive() -> bytes:
        return under_way.popleft()

    outcome = asyncio.run(load.echo(task(load, in_flight=in_flight), send, receive))
    assert most == in_flight
    assert not under_way
    assert outcome.checked >= outcome.count > 0


@pytest.mark.parametrize("size", [8, 100_000])
def test_a_message_that_comes_back_changed_ends_the_run(load: ModuleType, size: int) -> None:
    under_way: deque[bytes] = deque()

    async def send(message: bytes) -> None:
        under_way.append(message)

    async def receive() -> bytes:
        return under_way.popleft()[:-1] + b"?"

    with pytest.raises(load.WrongAnswer):
        asyncio.run(load.echo(task(load, size=size), send, receive))


def test_batches_keep_the_window_full_and_in_order(load: ModuleType) -> None:
    batches = load.Batches(task(load, in_flight=100))
    under_way = batches.first()
    assert len(under_way) == 100
    while under_way:
        got, under_way = under_way[:70], under_way[70:]
        under_way += batches.next(got)
    assert batches.under_way == 0
    assert batches.meter.outcome().count > 0


def test_a_batch_out_of_order_ends_the_run(load: ModuleType) -> None:
    batches = load.Batches(task(load, in_flight=4))
    first, second, *rest = batches.first()
    with pytest.raises(load.WrongAnswer):
        batches.next([second, first, *rest])


def test_signals_are_counted_where_they_are_handled(load: ModuleType) -> None:
    """One burst after the other, each closed when the server has seen all of it."""
    asked = task(load, size=64, in_flight=50)
    tally = load.Tally(asked)
    on_the_way: deque[str] = deque()

    async def signal(text: str) -> None:
        on_the_way.append(text)

    async def closing(sent: int) -> int:
        assert len(on_the_way) == 50
        while on_the_way:
            tally.take(on_the_way.popleft())
        assert tally.seen == sent
        return int(tally.good)

    outcome = asyncio.run(load.signals(asked, signal, closing))
    assert outcome.count == tally.good - 50 > 0  # the first burst begins the measurement
    assert outcome.count % 50 == 0
    assert outcome.checked == tally.good // 50


@pytest.mark.parametrize("fault", ["lost", "changed"])
def test_a_signal_that_is_lost_or_changed_ends_the_run(load: ModuleType, fault: str) -> None:
    asked = task(load, size=64, in_flight=50)
    tally = load.Tally(asked)

    async def signal(text: str) -> None:
        if tally.seen == 20 and fault == "lost":
            tally.seen += 1
        else:
            tally.take(text if tally.seen != 20 else text[:-1])

    async def closing(sent: int) -> int:
        return int(tally.good)

    with pytest.raises(load.WrongAnswer):
        asyncio.run(load.signals(asked, signal, closing))
