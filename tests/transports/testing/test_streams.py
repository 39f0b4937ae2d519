"""Connections in memory are streams as trio has them, and end in every way that TCP's do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore_trio.testing import FaultInjector, MemoryStream

if TYPE_CHECKING:
    from tests.transports.conftest import Run


def test_they_do_what_trio_asks_of_streams(run: Run) -> None:
    async def make() -> tuple[MemoryStream, MemoryStream]:
        return FaultInjector().stream_pair()

    async def make_clogged() -> tuple[MemoryStream, MemoryStream]:
        """Such whose ways to each other are full."""
        one, other = FaultInjector().stream_pair(capacity=1)
        await one.send_all(b"x")
        await other.send_all(b"x")
        return one, other

    async def story() -> None:
        await trio.testing.check_half_closeable_stream(make, make_clogged)

    run(story)


def test_a_sender_waits_for_the_reader_once_the_way_is_full(run: Run) -> None:
    async def story() -> None:
        one, other = FaultInjector().stream_pair(capacity=10)
        await one.send_all(b"0123456789")
        with trio.move_on_after(5) as scope:
            await one.send_all(b"more")
        assert scope.cancelled_caught, "there was no room"
        assert await other.receive_some(6) == b"012345"
        await one.send_all(b"again")
        assert await other.receive_some() == b"6789"
        assert await other.receive_some() == b"again"
        await one.aclose()
        await other.aclose()

    run(story)


def test_a_cut_comes_behind_what_was_sent(run: Run) -> None:
    async def story() -> None:
        one, other = FaultInjector().stream_pair()
        await one.send_all(b"last words")
        one.connection.cut()
        assert await other.receive_some() == b"last words"
        assert await other.receive_some() == b""
        assert await one.receive_some() == b""
        for stream in (one, other):
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x")
        assert one.connection.over

    run(story)


def test_a_reset_loses_what_was_not_read(run: Run) -> None:
    async def story() -> None:
        one, other = FaultInjector().stream_pair()
        await one.send_all(b"never read")
        other.connection.reset()
        for stream in (one, other):
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x")

    run(story)
