"""What one peer can't do to an end that has others, too: leave all unread, ask without end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.pool.world import until
from tests.transports.rest.world import OpenServer, echo, read
from wirecore import errors
from wirecore_trio import rest
from wirecore_trio._pausing import pause, read_on


async def ask(peer: rest.Connection | rest.Client) -> None:
    """Make a request that gets no answer."""
    with suppress(errors.CallLost):
        await peer.request("PUT", "/", content=bytes(60_000), timeout=None)


async def read_all(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads a request and has no answer for it."""
    await read(receive)
    await trio.sleep_forever()


async def fill(connection: rest.Connection, nursery: trio.Nursery) -> None:
    """Ask for more than the systems of both ends hold, until they take no more."""
    for _ in range(400):
        nursery.start_soon(ask, connection)
    outbox = connection._channel.session.outbox
    since = 0
    while since < 10:
        before = outbox.flushed
        await trio.sleep(0.01)
        since = since + 1 if outbox.flushed == before and outbox.pending else 0


@contextmanager
def unread(connection: rest.Connection | None) -> Iterator[None]:
    """Nothing of *connection* is read within."""
    assert connection is not None
    pump = connection._channel._pump
    pause(pump)
    try:
        yield
    finally:
        read_on(pump)


@pytest.mark.parametrize("how", ["give up", "take", "leave"])
def test_a_peer_that_doesnt_read_is_cut_and_the_others_stay(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """What is sent without waiting for room, and by tasks that the server's whole life hangs on."""

    async def story() -> None:
        bounds: dict[str, Any] = {"high_water": 100_000, "max_queued_bytes": 100_000}
        async with (
            open_server(app_timeout=0.5, **bounds) as world,
            world.connect(echo, metadata="honest"),
            world.connect(metadata="deaf", give_up_after=None) as deaf,
            trio.open_nursery() as nursery,
        ):
            await world.joined(2)
            [theirs] = world.server.find("deaf")
            with unread(deaf.connection):
                await fill(theirs, nursery)
                if how == "leave":
                    theirs.drain()
                else:
                    if how == "take":  # a window grows again as an application reads
                        theirs.serve(read_all)
                    nursery.start_soon(ask, deaf)
                await until(lambda: theirs.closed)
            assert "the peer doesn't read" in str(theirs.error.__cause__)
            [honest] = world.server.find("honest")
            assert (await honest.request("GET", "/still")).body == b"GET /still "

    with caplog.at_level(logging.WARNING, "wirecore.pump"):
        run_sockets(story)
    assert "a peer that doesn't read is cut" in caplog.text
