"""What one peer can't do to an end that has others, too: leave all unread, ask without end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.pool.world import until
from tests.transports.rest.world import OpenServer, echo, read
from wirecore import errors
from wirecore.protocols.rest.heads import RequestHead
from wirecore.protocols.rest.messages import encode_message
from wirecore_trio import rest
from wirecore_trio._pausing import pause, read_on
from wirecore_trio.websocket import ConnectionClosed

#: Bytes that may wait to be sent.
BOUND = 100_000


async def ask(peer: rest.Connection | rest.Client, size: int = 60_000) -> None:
    """Make a request that gets no answer."""
    with suppress(errors.CallLost):
        await peer.request("PUT", "/", content=bytes(size), timeout=None)


async def read_all(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads a request and has no answer for it."""
    await read(receive)
    await trio.sleep_forever()


async def fill(connection: rest.Connection, nursery: trio.Nursery) -> None:
    """Ask for more than the systems of both ends hold, until they take no more, and BOUND waits.

    Who waits for room is woken when half of it is free: less than BOUND may wait while all do, and
    who comes anew fills it up.
    """
    for _ in range(400):
        nursery.start_soon(ask, connection)
    outbox = connection._channel.session.outbox
    since = 0
    while since < 10 or outbox.pending <= BOUND:
        if since == 10:
            nursery.start_soon(ask, connection)
        before = outbox.flushed
        await trio.sleep(0.01)
        since = min(since + 1, 10) if outbox.flushed == before and outbox.pending else 0


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
        bounds: dict[str, Any] = {"high_water": BOUND, "max_queued_bytes": BOUND}
        # Other rules for a peer that doesn't read; its own pings have no answer that it sees.
        others: dict[str, Any] = {"ping_interval": None, "write_timeout": None}
        async with (
            open_server(app_timeout=0.5, **bounds, **others) as world,
            world.connect(echo, metadata="honest"),
            # It has an application: what it had begun to read is no reason to give anything up.
            world.connect(read_all, metadata="deaf", give_up_after=None, **others) as deaf,
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
                    nursery.start_soon(ask, deaf, 200_000)
                await until(lambda: theirs.closed)
            assert theirs.error is not None
            assert "the peer doesn't read" in str(theirs.error.__cause__)
            [honest] = world.server.find("honest")
            assert (await honest.request("GET", "/still")).body == b"GET /still "

    with caplog.at_level(logging.WARNING, "wirecore.pump"):
        run_sockets(story)
    assert "a peer that doesn't read is cut" in caplog.text


@pytest.mark.parametrize("endless", [False, True])
def test_asking_and_giving_up_in_a_loop(
    open_server: OpenServer, run_sockets: Run, endless: bool
) -> None:
    """What still runs for a caller that has gone counts, though its stream is free."""
    running = most = 0

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        nonlocal running, most
        assert scope["type"] == "http"
        running += 1
        most = max(most, running)
        try:
            await done.wait()
        finally:
            running -= 1

    async def story() -> None:
        async with (
            open_server(slow, max_streams=4) as world,
            world.connect(max_streams=4) as client,
        ):
            [theirs] = await world.joined()
            connection = client.connection
            assert connection is not None
            wire: Any = connection._channel.wire
            head = RequestHead(b"GET", b"/", ((b"Host", b"a"),))
            for _ in range(100 if endless else 40):
                stream = wire.request(head, b"", end=True, now=0.0)
                connection._channel.reset(stream, "")
            if endless:
                await until(lambda: theirs.closed)
                assert most == 8
                return
            await until(lambda: running == 8)
            with pytest.raises(rest.Refused, match="too many are still being served") as caught:
                await client.request("GET", "/")
            assert caught.value.execution == "not_sent"
            done.set()
            await until(lambda: not running)
            assert most == 8
            again = await client.request("GET", "/")
            assert again.status == 500  # it answers nothing, and is served again

    done = trio.Event()
    run_sockets(story)


def test_messages_that_are_never_whole(open_server: OpenServer, run_sockets: Run) -> None:
    """All of a connection have one bound, and what one has kept is free at its end."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{len(message['bytes'])}"})

    async def begin(client: rest.Client, stack: AsyncExitStack) -> rest.WebSocket:
        """One that has sent all of a message but its last byte."""
        ws = await stack.enter_async_context(client.websocket("/"))
        await ws._call.send_body(encode_message(bytes(500_000))[:-1], end=False)
        return ws

    async def story() -> None:
        async with (
            open_server(app, window_budget=1_200_000, max_message_size=600_000) as world,
            world.connect() as client,
        ):
            [theirs] = await world.joined()
            channel = theirs._channel
            async with AsyncExitStack() as stack:
                first = await begin(client, stack)
                second = await begin(client, stack)
                await until(lambda: channel.held > 900_000)
                async with client.websocket("/") as third:
                    await third._call.send_body(encode_message(bytes(500_000))[:-1], end=False)
                    with pytest.raises(ConnectionClosed) as caught:
                        await third.receive()
                    assert caught.value.code == 1013
                await first._call.send_body(b"x", end=False)
                assert await first.receive() == "500000"
                await until(lambda: channel.held < 600_000)
                second._call.give_up("gone")
                await until(lambda: not channel.held)

    run_sockets(story)
