"""The client of one call at a time, which calls until it has an answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.wsrpc.ping_ends import public
from wirecore.errors import CallTimeout, InvalidState, RpcError, UnknownMethod
from wirecore.session import Backoff
from wirecore.websocket import ServerHandshake
from wirecore_trio import wsrpc
from wirecore_trio.tls import PinnedTLSStream
from wirecore_trio.wsrpc import CallLost, NotConnected, Peer, RetryPolicy

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


def test_left_while_a_call_runs_it_says_that_it_may_have_been_executed(
    open_world: Opener, run: Run
) -> None:
    running = trio.Event()

    async def hang(payload: bytes, peer: Peer) -> bytes:
        running.set()
        await trio.sleep_forever()
        return b""

    async def main() -> None:
        async with (
            open_world(prepare=lambda server: server.handle("Hang", hang)) as world,
            trio.open_nursery() as nursery,
            dial(world.port) as client,
        ):

            @nursery.start_soon
            async def call() -> None:
                with pytest.raises(CallLost, match="this client was closed") as caught:
                    await client.call("Hang", b"")
                assert not isinstance(caught.value, NotConnected)
                assert caught.value.execution == "maybe_executed"

            await running.wait()

    run(main)


def test_it_waits_for_the_end_of_a_connection_that_is_closing(
    open_world: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that says goodbye, and takes nothing of what is half sent to it."""

    async def main() -> None:
        async with open_world() as world:
            backend = world.backend
            [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listener.socket.getsockname()[1]

            async def goodbye() -> None:
                plain = await listener.accept()
                credentials = wsrpc.ServerCredentials(SERVER, [public(ALICE)])
                stream = PinnedTLSStream(plain, credentials)
                handshake = ServerHandshake()
                while handshake.receive(await stream.receive_some(65536)) is None:
                    pass
                await stream.send_all(handshake.accept())
                await stream.receive_some(1)
                await stream.send_all(backend.frames.encode_frame(8, b"\x03\xe8", False))
                try:
                    await trio.sleep_forever()
                finally:
                    await trio.aclose_forcefully(stream)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(goodbye)
                async with dial(port, retry=QUICK) as client:
                    with trio.move_on_after(0.3):
                        await client.call("Large", bytes(9_000_000))
                nursery.cancel_scope.cancel()
            await listener.aclose()

    with caplog.at_level(logging.INFO, "wirecore"):
        run(main)
    assert caplog.text.count("is sent again") <= 1


def test_why_the_last_attempt_failed_is_told(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        options = wsrpc.Options(call_timeout=0.3)
        async with (
            open_world(options=wsrpc.Options(max_message_size=1000)) as world,
            dial(world.port, options=options, retry=QUICK) as client,
        ):
            with pytest.raises(CallTimeout, match="1009"):
                await client.call("Echo", bytes(2000))

    run(main)


@pytest.mark.parametrize("options", [0, {}, "", []])
def test_wrong_options_are_told(options: Any) -> None:
    with pytest.raises(TypeError, match="options must be Options"):
        dial(1, options=options)
