"""The client of one call at a time, which calls until it has an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.wsrpc.ping_ends import public
from wirecore.errors import CallTimeout, InvalidState, RpcError, UnknownMethod
from wirecore.session import Backoff
from wirecore_trio import wsrpc
from wirecore_trio.wsrpc import NotConnected, Peer, RetryPolicy

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE = (bytes([number]) * 32 for number in (1, 2))

QUICK = RetryPolicy(backoff=lambda: Backoff(0.01, 1.5, 0, 0.05))


def dial(port: int, **arguments: Any) -> wsrpc.ConnectingSingle:
    credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
    return wsrpc.connect_single(f"127.0.0.1:{port}", credentials, **arguments)


def test_calls_wait_for_each_other(open_world: Opener, run: Run) -> None:
    under_way = most = 0

    async def slowly(payload: bytes, peer: Peer) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await trio.lowlevel.checkpoint()
        under_way -= 1
        return payload

    async def main() -> None:
        replies = []
        async with (
            open_world(prepare=lambda server: server.handle("Slowly", slowly)) as world,
            dial(world.port) as client,
            trio.open_nursery() as nursery,
        ):

            async def call(payload: bytes) -> None:
                replies.append(await client.call("Slowly", payload))

            for number in range(20):
                nursery.start_soon(call, b"%d" % number)
        assert sorted(replies) == sorted(b"%d" % number for number in range(20))
        assert most == 1

    run(main)


def test_an_error_is_an_answer_and_an_empty_reply_too(open_world: Opener, run: Run) -> None:
    def fail(payload: bytes, peer: Peer) -> bytes:
        raise RpcError("no")

    def prepare(server: wsrpc.Server) -> None:
        server.handle("Fail", fail)
        server.handle("Empty", lambda payload, peer: b"", inline=True)

    async def main() -> None:
        async with open_world(prepare=prepare) as world, dial(world.port) as client:
            with pytest.raises(RpcError, match=r"^no$"):
                await client.call("Fail", b"")
            assert await client.call("Empty", b"x") == b""
            with pytest.raises(UnknownMethod):
                await client.call("Nothing", b"")

    run(main)


def test_it_serves_nothing_and_says_so(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world() as world, dial(world.port):
            with pytest.raises(UnknownMethod):
                await world.server.peer(public(ALICE)).call("Gnip", b"")

    run(main)


def test_a_call_whose_connection_is_lost_is_sent_again(run: Run) -> None:
    executed = 0
    running = trio.Event()

    async def hang_once(payload: bytes, peer: Peer) -> bytes:
        nonlocal executed
        executed += 1
        if executed == 1:
            running.set()
            await trio.sleep_forever()
        return b"at last"

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            credentials = wsrpc.ServerCredentials(SERVER, [public(ALICE)])

            async def start(port: int) -> tuple[wsrpc.Server, int]:
                server = wsrpc.Server(credentials, handlers={"Hang": hang_once})
                listening = await nursery.start(server.serve, "127.0.0.1", port)
                return server, listening.port

            first, port = await start(0)
            async with dial(port, retry=QUICK) as client:

                @nursery.start_soon
                async def restart() -> None:
                    await running.wait()
                    await first.aclose()
                    second, _ = await start(port)
                    await answered.wait()
                    await second.aclose()

                answered = trio.Event()
                assert await client.call("Hang", b"") == b"at last"
                assert executed == 2
                answered.set()

    run(main)


def test_a_call_waits_for_a_connection_as_long_as_it_may(run: Run) -> None:
    async def main() -> None:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        await listener.aclose()
        options = wsrpc.Options(call_timeout=0.05)
        async with dial(port, options=options, retry=QUICK, wait=False) as client:
            with pytest.raises(CallTimeout, match=r"within call_timeout, 0.05 s: .*refused"):
                await client.call("Echo", b"")
            with trio.move_on_after(0.01) as scope:
                await client.call("Echo", b"")
            assert scope.cancelled_caught, "a cancel scope ends it too, and its turn"
            with pytest.raises(CallTimeout):
                await client.call("Echo", b"")

    run(main)


def test_waiting_for_its_turn_counts(open_world: Opener, run: Run) -> None:
    async def hang(payload: bytes, peer: Peer) -> bytes:
        await trio.sleep_forever()
        return b""

    async def main() -> None:
        options = wsrpc.Options(call_timeout=0.05)
        async with (
            open_world(prepare=lambda server: server.handle("Hang", hang)) as world,
            dial(world.port, options=options) as client,
            trio.open_nursery() as nursery,
        ):

            async def call() -> None:
                with pytest.raises(CallTimeout, match=r"0\.05 s$"):
                    await client.call("Hang", b"")

            for _ in range(3):
                nursery.start_soon(call)

    run(main)


def test_after_it_was_left_a_call_is_refused(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world() as world:
            connecting = dial(world.port)
            async with connecting as client:
                assert "ready" in repr(client)
            with pytest.raises(NotConnected, match="closed"):
                await client.call("Echo", b"")
            with pytest.raises(InvalidState):
                await connecting.__aenter__()
            with pytest.raises(TypeError, match="payload must be bytes"):
                await client.call("Echo", "text")  # type: ignore[arg-type]

    run(main)
