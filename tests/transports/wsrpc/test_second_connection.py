"""A key that comes a second time: it gets in if its first connection is dead, and only then."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.wsrpc.ping_ends import Gnip, public, serve_ping
from wirecore.errors import HandshakeError, UpgradeRejected
from wirecore.websocket import ClientHandshake
from wirecore_trio import wsrpc
from wirecore_trio.tls import PinnedTLSStream, connect_pinned_tls
from wirecore_trio.wsrpc import CallLost, Change, RetryPolicy, _server
from wirecore_trio.wsrpc.ping import GnipRequest, GnipResponse, GnipStub, PingRequest, PingStub

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE = (bytes([number]) * 32 for number in (1, 2))

ONCE = RetryPolicy(attempts=1)

ONLY_ALICE = frozenset([public(ALICE)])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server waits for a pong for a moment only."""
    monkeypatch.setattr(_server, "_PROBE", 0.05)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits so long that a test which waits for its end fails."""
    monkeypatch.setattr(_server, "_PROBE", 1000.0)


@asynccontextmanager
async def numb_client(world: Any) -> AsyncIterator[PinnedTLSStream]:
    """Alice is connected, and neither reads nor says anything any more, as behind a dead NAT."""
    credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
    async with await connect_pinned_tls("127.0.0.1", world.port, credentials) as stream:
        handshake = ClientHandshake(host="here", target="/")
        await stream.send_all(handshake.request())
        while handshake.receive(await stream.receive_some(65536)) is None:
            pass
        while not world.server.connected_keys:
            await trio.lowlevel.checkpoint()
        yield stream


async def probed(world: Any) -> None:
    """Until the server is asking the first connection for a sign of life."""
    while not world.server._opening:  # noqa: ASYNC110  # nothing tells of it
        await trio.sleep(0.001)


@pytest.mark.usefixtures("impatient")
def test_it_takes_the_place_of_one_that_answers_no_ping(
    open_world: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with open_world(prepare=serve_ping) as world, numb_client(world):
            changes = world.server.changes()
            assert await anext(changes) == Change(ONLY_ALICE, frozenset())
            peer = world.server.peer(public(ALICE))
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def call_in_vain() -> None:
                    with pytest.raises(CallLost, match="its peer has connected anew") as caught:
                        await peer.call("Gnip", b"")
                    assert caught.value.execution == "maybe_executed"

                await trio.testing.wait_all_tasks_blocked()
                async with world.connect(retry=ONCE, services=[Gnip()]) as client:
                    await PingStub(client).Ping(PingRequest(body="back"))
                    assert world.server.connected_keys == [public(ALICE)]
                    assert await anext(changes) == Change(ONLY_ALICE, ONLY_ALICE)
                    reply = await GnipStub(peer).Gnip(GnipRequest(body="abc"))
                    assert reply == GnipResponse(body="cba")

    with caplog.at_level(logging.WARNING):
        run(main)
    assert f"the connection of {public(ALICE).hex()} answered no ping within 0.05 s" in caplog.text


@pytest.mark.usefixtures("patient")
def test_it_is_refused_as_soon_as_the_first_one_answers(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world(prepare=serve_ping) as world, world.connect(services=[Gnip()]) as one:
            for _ in range(3):
                with pytest.raises(UpgradeRejected) as caught:
                    async with world.connect(retry=ONCE):
                        pass
                assert (caught.value.status, caught.value.body) == (200, b"")
            await PingStub(one).Ping(PingRequest(body="still here"))
            assert one.connections == 1

    run(main)


@pytest.mark.usefixtures("patient")
def test_it_gets_in_at_once_where_the_first_one_ends_meanwhile(
    open_world: Opener, run: Run
) -> None:
    async def main() -> None:
        async with (
            open_world(prepare=serve_ping) as world,
            numb_client(world) as numb,
            trio.open_nursery() as nursery,
        ):

            @nursery.start_soon
            async def leave() -> None:
                await probed(world)
                await trio.aclose_forcefully(numb)

            async with world.connect(retry=ONCE, services=[Gnip()]) as client:
                await PingStub(client).Ping(PingRequest(body="in"))

    run(main)


@pytest.mark.usefixtures("patient")
def test_a_third_one_is_refused_while_the_first_is_asked(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with (
            open_world(prepare=serve_ping) as world,
            numb_client(world) as numb,
            trio.open_nursery() as nursery,
        ):

            @nursery.start_soon
            async def second() -> None:
                async with world.connect(retry=ONCE, services=[Gnip()]) as client:
                    await PingStub(client).Ping(PingRequest(body="in"))

            await probed(world)
            with pytest.raises(UpgradeRejected):
                async with world.connect(retry=ONCE):
                    pass
            await trio.aclose_forcefully(numb)

    run(main)


def test_of_two_at_the_same_instant_one_gets_in(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world(prepare=serve_ping) as world:
            refused = trio.Event()
            got_in = 0

            async def come() -> None:
                nonlocal got_in
                try:
                    async with world.connect(retry=ONCE, services=[Gnip()]) as client:
                        got_in += 1
                        await refused.wait()
                        await PingStub(client).Ping(PingRequest(body="in"))
                except UpgradeRejected:
                    refused.set()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(come)
                nursery.start_soon(come)
            assert got_in == 1

    run(main)


@pytest.mark.usefixtures("patient")
def test_one_that_gives_up_keeps_nobody_out(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world(prepare=serve_ping) as world, numb_client(world) as numb:
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def give_up() -> None:
                    with trio.CancelScope() as scope:
                        async with world.connect(retry=ONCE), trio.open_nursery() as inner:
                            inner.start_soon(trio.sleep_forever)
                    assert scope.cancelled_caught

                await probed(world)
                nursery.cancel_scope.cancel()
            await trio.aclose_forcefully(numb)
            async with world.connect(retry=RetryPolicy(attempts=5), services=[Gnip()]) as client:
                await PingStub(client).Ping(PingRequest(body="in"))

    run(main)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["drain", "key removed"])
def test_it_does_not_get_in_where_it_is_no_longer_wanted(
    open_world: Opener, run: Run, how: str
) -> None:
    async def main() -> None:
        async with open_world(prepare=serve_ping) as world, numb_client(world):

            async def stay() -> None:
                async with world.connect(retry=ONCE) as client:
                    await client.wait_for_state_change(wsrpc.State.READY)
                    raise client.last_error or ConnectionError("closed")

            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def second() -> None:
                    with pytest.raises((HandshakeError, OSError, trio.BrokenResourceError)):
                        await stay()

                await probed(world)
                if how == "drain":
                    await world.server.drain(grace=0.1)
                else:
                    world.credentials.replace([])
            assert world.server.connected_keys == []

    run(main)
