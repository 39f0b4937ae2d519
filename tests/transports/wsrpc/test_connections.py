"""Connections over real sockets and TLS: who is let in, who comes back, how it all ends."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.wsrpc.ping_ends import Gnip, Ping, public, serve_ping
from wirecore.errors import (
    InvalidState,
    PeerRefused,
    UpgradeRejected,
)
from wirecore.session import Backoff
from wirecore_trio import wsrpc
from wirecore_trio.wsrpc import CallLost, NotConnected, Peer, RetryPolicy, State
from wirecore_trio.wsrpc.ping import (
    GnipRequest,
    GnipResponse,
    GnipStub,
    PingRequest,
    PingResponse,
    PingStub,
)

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE, BOB, CHARLIE = (bytes([number]) * 32 for number in (1, 2, 3, 4))

#: Fast enough for a test, slow enough to see the states.
QUICK = RetryPolicy(backoff=lambda: Backoff(0.01, 1.5, 0, 0.05))
ONCE = RetryPolicy(attempts=1)


def test_client_and_server_call_each_other(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with (
            open_world(prepare=serve_ping) as world,
            world.connect(services=[Gnip()]) as client,
        ):
            reply = await PingStub(client).Ping(PingRequest(body="abc"))
            assert reply == PingResponse(body="pong cba")
            assert world.server.connected_keys == [public(ALICE)]
            assert client.server_public_key == public(SERVER)
            peer = world.server.peer(public(ALICE))
            assert peer.public_key == public(ALICE)
            assert await GnipStub(peer).Gnip(GnipRequest(body="xyz")) == GnipResponse(body="zyx")
            with pytest.raises(NotConnected, match="client not connected"):
                await world.server.peer(public(BOB)).call("Gnip", b"")

    run(main)


def test_an_unlisted_client_and_a_foreign_server_are_refused(
    open_world: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with open_world() as world:
            with pytest.raises(PeerRefused, match="the server refused this client's public key"):
                async with world.connect(CHARLIE):
                    pass
            assert public(CHARLIE).hex() in caplog.text, "the server's log says who it was"
            with pytest.raises(PeerRefused, match="not on the list of allowed server keys"):
                async with world.connect(server_key=BOB):
                    pass
            assert world.server.connected_keys == []

    with caplog.at_level(logging.INFO):
        run(main)
    for key in (SERVER, ALICE, BOB, CHARLIE):
        assert key.hex() not in caplog.text


def test_a_second_connection_of_a_key_is_refused_and_the_first_stays(
    open_world: Opener, run: Run
) -> None:
    async def main() -> None:
        async with open_world(prepare=serve_ping) as world, world.connect(services=[Gnip()]) as one:
            with pytest.raises(UpgradeRejected) as caught:
                async with world.connect(retry=ONCE):
                    pass
            assert (caught.value.status, caught.value.body) == (200, b"")
            await PingStub(one).Ping(PingRequest(body="still here"))
            async with world.connect(BOB, services=[Gnip()]) as other:
                await PingStub(other).Ping(PingRequest(body="me too"))

    run(main)


def test_a_client_comes_back_when_the_server_does(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            credentials = wsrpc.ServerCredentials(SERVER, [public(ALICE)])

            async def start(port: int) -> tuple[wsrpc.Server, int]:
                server = wsrpc.Server(credentials)
                server.register(Ping())
                listening = await nursery.start(server.serve, "127.0.0.1", port)
                return server, listening.port

            server, port = await start(0)
            connecting = wsrpc.connect(
                f"127.0.0.1:{port}",
                wsrpc.ClientCredentials(ALICE, public(SERVER)),
                services=[Gnip()],
                retry=QUICK,
            )
            async with connecting as client:
                for round_ in range(1, 4):
                    assert await client.wait_ready()
                    assert client.connections == round_
                    await PingStub(client).Ping(PingRequest(body="x"))
                    await server.aclose()
                    await client.wait_for_state_change(State.READY)
                    with pytest.raises(NotConnected):
                        await PingStub(client).Ping(PingRequest(body="x"))
                    while client.state is not State.TRANSIENT_FAILURE:
                        await client.wait_for_state_change(client.state)
                    assert isinstance(client.last_error, OSError)
                    server, _ = await start(port)
                await client.wait_ready()
            assert client.state is State.SHUTDOWN
            assert not await client.wait_ready()
            await server.aclose()

    run(main)


def test_the_first_attempts_are_bounded_by_the_policy(run: Run) -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            policy = RetryPolicy(backoff=QUICK.backoff, attempts=3)
            credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
            with pytest.raises(OSError, match=r"127\.0\.0\.1"):
                async with wsrpc.connect(f"127.0.0.1:{port}", credentials, retry=policy):
                    pass

    run(main)


def test_without_waiting_it_connects_in_the_background(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world(prepare=serve_ping) as world:
            async with world.connect(services=[Gnip()], wait=False) as client:
                assert client.state in (State.IDLE, State.CONNECTING)
                assert client.server_public_key is None
                with pytest.raises(NotConnected, match="connection is not ready"):
                    await client.call("Ping", b"")
                assert await client.wait_ready()
                await PingStub(client).Ping(PingRequest(body="x"))
            # Refused for good it goes on trying: nobody waits who could be told.
            async with world.connect(CHARLIE, wait=False, retry=QUICK) as client:
                while client.state is not State.TRANSIENT_FAILURE:
                    await client.wait_for_state_change(client.state)
                assert isinstance(client.last_error, PeerRefused)

    run(main)


def test_an_exception_in_the_body_arrives_as_itself(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world() as world:
            with pytest.raises(KeyError, match="mine"):
                async with world.connect():
                    raise KeyError("mine")
            with trio.CancelScope() as scope:
                async with world.connect():
                    scope.cancel()
                    await trio.sleep_forever()
            assert scope.cancelled_caught

    run(main)


@pytest.mark.parametrize("wait", [True, False])
def test_the_bodys_exception_outlives_a_cancelled_scope_around(
    open_world: Opener, run: Run, wait: bool
) -> None:
    """The handlers' cancellation, as the connection is left, must not take its place."""

    async def main() -> None:
        async with open_world() as world:

            async def body() -> None:
                with trio.CancelScope() as scope:
                    async with world.connect(wait=wait):
                        try:
                            scope.cancel()
                            await trio.sleep_forever()
                        finally:
                            raise KeyError("mine")

            with pytest.raises(KeyError, match="mine"):
                await body()

    run(main)


def test_a_closed_server_serves_no_more(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world() as world:
            await world.server.aclose()
            with pytest.raises(InvalidState, match="make a new one"):
                await world.server.serve("127.0.0.1", 0)

    run(main)


def test_removing_a_key_drops_its_connection_at_once(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world(prepare=serve_ping) as world:
            world.server.handle("Never", never)
            async with (
                world.connect(services=[Gnip()], retry=QUICK) as alice,
                world.connect(BOB, services=[Gnip()]) as bob,
            ):
                async with trio.open_nursery() as nursery:

                    async def call() -> None:
                        with pytest.raises(CallLost):
                            await alice.call("Never", b"")

                    nursery.start_soon(call)
                    await trio.testing.wait_all_tasks_blocked(0.05)
                    world.credentials.replace([public(BOB)])
                    assert world.server.connected_keys == [public(BOB)]
                await PingStub(bob).Ping(PingRequest(body="kept"))
                while not isinstance(alice.last_error, PeerRefused):
                    await alice.wait_for_state_change(alice.state)
                with pytest.raises(ValueError, match="invalid key length"):
                    world.credentials.replace([public(ALICE), b"short"])
                assert world.server.connected_keys == [public(BOB)]
                world.credentials.replace([public(ALICE), public(BOB)])
                assert await alice.wait_ready()
                await PingStub(alice).Ping(PingRequest(body="back"))

    run(main)


async def never(payload: bytes, peer: Peer) -> bytes:
    await trio.sleep_forever()
    raise AssertionError


def test_drain_lets_handlers_finish_and_cuts_what_takes_too_long(
    open_world: Opener, run: Run
) -> None:
    async def main() -> None:
        release = trio.Event()

        async def work(payload: bytes, peer: Peer) -> bytes:
            await release.wait()
            return b"done"

        async with open_world() as world:
            world.server.handle("Work", work)
            async with world.connect(retry=QUICK) as client:
                results: list[bytes] = []

                async def call() -> None:
                    results.append(await client.call("Work", b""))

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(call)
                    await trio.testing.wait_all_tasks_blocked(0.05)
                    nursery.start_soon(world.server.drain)
                    await trio.testing.wait_all_tasks_blocked(0.05)
                    with pytest.raises(OSError, match="all attempts"):
                        await trio.open_tcp_stream("127.0.0.1", world.port)
                    assert not results
                    release.set()
                assert results == [b"done"]
                await client.wait_for_state_change(State.READY)

        async with open_world() as world:
            world.server.handle("Never", never)
            async with world.connect(retry=QUICK) as client, trio.open_nursery() as nursery:

                async def lose() -> None:
                    with pytest.raises(CallLost):
                        await client.call("Never", b"")

                nursery.start_soon(lose)
                await trio.testing.wait_all_tasks_blocked(0.05)
                await world.server.drain(grace=0.05)

    run(main)


def test_cancelling_serve_ends_all_at_once(run: Run) -> None:
    async def main() -> None:
        credentials = wsrpc.ServerCredentials(SERVER, [public(ALICE)])
        server = wsrpc.Server(credentials)
        server.handle("Never", never)
        async with trio.open_nursery() as outer:
            async with trio.open_nursery() as nursery:
                listening = await nursery.start(server.serve, "127.0.0.1", 0)
                client = await outer.start(hold_open, listening.port)

                async def lose() -> None:
                    with pytest.raises(CallLost):
                        await client.call("Never", b"")

                outer.start_soon(lose)
                await trio.testing.wait_all_tasks_blocked(0.05)
                nursery.cancel_scope.cancel()
            await client.wait_for_state_change(State.READY)
            assert server.connected_keys == []
            outer.cancel_scope.cancel()

    run(main)


async def hold_open(port: int, *, task_status: trio.TaskStatus[wsrpc.Client]) -> None:
    credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
    async with wsrpc.connect(f"127.0.0.1:{port}", credentials, retry=QUICK) as client:
        task_status.started(client)
        await trio.sleep_forever()


@pytest.mark.parametrize("address", ["", "localhost", "localhost:", ":1", "h:x"])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        wsrpc.connect(address, wsrpc.ClientCredentials(ALICE, public(SERVER)))


@pytest.mark.parametrize("host", ["a..b", "x" * 300])
def test_an_impossible_host_is_told_before_anything_is_tried(host: str) -> None:
    with pytest.raises(ValueError, match="can't be a host's name"):
        wsrpc.connect(f"{host}:1", wsrpc.ClientCredentials(ALICE, public(SERVER)), wait=False)


def test_connecting_can_be_cancelled_at_every_await(open_world: Opener, run: Run) -> None:
    """After each number of loop passes: either it is connected, or nothing is left of it."""

    async def main() -> None:
        async with open_world(prepare=serve_ping) as world:
            connected = False
            passes = 0
            while not connected:
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:

                        async def cancel(passes: int = passes, scope: Any = scope) -> None:
                            for _ in range(passes):
                                await trio.lowlevel.checkpoint()
                            scope.cancel()

                        nursery.start_soon(cancel)
                        async with world.connect(services=[Gnip()]) as client:
                            await PingStub(client).Ping(PingRequest(body="x"))
                            connected = True
                        nursery.cancel_scope.cancel()
                passes = passes + 1 if passes < 20 else passes * 2
            async with world.connect(services=[Gnip()], retry=QUICK) as client:
                await PingStub(client).Ping(PingRequest(body="and again"))

    run(main)
