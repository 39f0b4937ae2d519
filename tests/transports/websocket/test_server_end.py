"""How a server ends: its handlers, its connections, drained or cancelled; and what it survives."""

from __future__ import annotations

import errno
import logging
import socket
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.errors import InvalidOption, UpgradeRejected
from wirecore_trio.websocket import (
    ConnectionClosed,
    Options,
    WebSocket,
    connect,
    serve,
    wrap_client,
)

if TYPE_CHECKING:
    from tests.transports.conftest import Authority, Run
    from tests.transports.websocket.conftest import World


async def hold(ws: WebSocket) -> None:
    async for _ in ws:
        pass


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.02)


async def end_of(ws: WebSocket) -> ConnectionClosed:
    with pytest.raises(ConnectionClosed) as caught:
        await ws.receive()
    return caught.value


# --- handlers -------------------------------------------------------------------------------


def test_a_handler_that_returns_closes_with_1000(world: World, run_sockets: Run) -> None:
    async def greet(ws: WebSocket) -> None:
        await ws.send("hello")

    async def story() -> None:
        async with world.serving(greet) as server, world.connect(server) as ws:
            assert [message async for message in ws] == ["hello"]
            error = await end_of(ws)
            assert (error.code, error.clean) == (1000, True)

    run_sockets(story)


@pytest.mark.parametrize("in_a_nursery", [False, True])
def test_a_handler_that_raises_closes_with_1011_and_the_server_lives_on(
    world: World, run_sockets: Run, caplog: pytest.LogCaptureFixture, in_a_nursery: bool
) -> None:
    async def fail(ws: WebSocket) -> None:
        assert await ws.receive() == b"go"
        raise ValueError("a bug")

    async def fail_in_a_nursery(ws: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, ws)

    async def story() -> None:
        async with world.serving(fail_in_a_nursery if in_a_nursery else fail) as server:
            for _ in range(2):
                async with world.connect(server) as ws:
                    await ws.send(b"go")
                    assert (await end_of(ws)).code == 1011
            await settle()
            assert server.connections == set()

    run_sockets(story)
    told = [record for record in caplog.records if "a handler failed" in record.message]
    assert len(told) == 2
    for record in told:
        assert "(/ from 127.0.0.1:" in record.message
        assert record.exc_info is not None
        assert repr(record.exc_info[1]) == "ValueError('a bug')"  # in no group
    assert "in fail" in caplog.text


@pytest.mark.parametrize("in_a_nursery", [False, True])
def test_a_handler_that_ends_with_its_connection_is_no_failure(
    world: World, run_sockets: Run, caplog: pytest.LogCaptureFixture, in_a_nursery: bool
) -> None:
    caplog.set_level(logging.DEBUG, "wirecore")

    async def receive_on(ws: WebSocket) -> None:
        while True:
            await ws.receive()

    async def handle(ws: WebSocket) -> None:
        if in_a_nursery:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive_on, ws)
                nursery.start_soon(receive_on_later, ws)
        else:
            await receive_on(ws)

    async def receive_on_later(ws: WebSocket) -> None:
        await ws.wait_closed()
        await ws.send(b"too late")

    async def story() -> None:
        async with world.serving(handle) as server:
            async with world.connect(server) as ws:
                await ws.send(b"x")
            await settle()
            assert server.connections == set()

    run_sockets(story)
    assert "a handler ended with its connection" in caplog.text
    assert "a handler failed" not in caplog.text


def test_the_loss_of_another_connection_is_a_failure(
    world: World, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """A proxy's handler, whose upstream breaks off."""

    async def break_off(ws: WebSocket) -> None:
        ws.abort()

    async def story() -> None:
        async with world.serving(break_off) as upstream:

            async def proxy(ws: WebSocket) -> None:
                async with world.connect(upstream) as other:
                    await ws.send(await other.receive())

            async with world.serving(proxy) as server, world.connect(server) as ws:
                assert (await end_of(ws)).code == 1011

    run_sockets(story)
    assert "a handler failed" in caplog.text


def test_what_is_on_its_way_when_the_peer_closes_still_leaves(
    world: World, run_sockets: Run
) -> None:
    """Its handler hears of the close in a send, and the answer to it lies behind much data."""

    async def send_on(ws: WebSocket) -> None:
        ws._baton.attend()
        while True:
            await ws.send(bytes(50_000))

    async def story() -> None:
        options = Options(high_water=1_000_000)
        async with world.serving(send_on, options=options) as server:
            ws = await world.connect(server).__aenter__()
            await settle()
            start = trio.current_time()
            await ws.aclose()
            assert trio.current_time() - start < 1
            assert ws._connection.close_received is not None

    run_sockets(story)


def test_a_handler_may_close_and_stay_for_a_while(world: World, run_sockets: Run) -> None:
    async def close_and_work(ws: WebSocket) -> None:
        await ws.aclose(4000, "enough")
        await trio.sleep(10)

    async def story() -> None:
        async with world.serving(close_and_work) as server:
            async with world.connect(server) as ws:
                error = await end_of(ws)
                assert (error.code, error.reason) == (4000, "enough")
            assert len(server.connections) == 1
            await trio.sleep(11)
            assert server.connections == set()

    run_sockets(story)


# --- limits ---------------------------------------------------------------------------------


def test_one_connection_too_many_is_503(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with world.serving(max_connections=1) as server:
            async with world.connect(server) as ws:
                with pytest.raises(UpgradeRejected, match="503"):
                    async with world.connect(server):
                        pytest.fail("it was let in")
                await ws.send(b"x")
                assert await ws.receive() == b"x"
            await settle()
            async with world.connect(server) as ws:
                await ws.send(b"x")
                assert await ws.receive() == b"x"

    run_sockets(story)


def test_a_bound_on_connections_must_let_one_in(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(InvalidOption, match="max_connections must be at least 1, not 0"):
            await serve(hold, "127.0.0.1", 0, max_connections=0)

    run(story)


@pytest.mark.parametrize("secure", [False, True])
def test_who_doesnt_finish_the_handshake_is_cut_after_open_timeout(
    world: World, run_sockets: Run, authority: Authority, secure: bool
) -> None:
    """A byte now and then buys no time."""

    async def trickle(stream: trio.SocketStream) -> None:
        for _ in range(100):
            await trio.sleep(1)
            await stream.send_all(b"x")

    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " if not secure else b"\x16\x03\x01\x02\x00\x01"

    async def story() -> None:
        context = authority.server_context() if secure else None
        options = Options(open_timeout=10)
        async with world.serving(ssl_context=context, options=options) as server:
            start = trio.current_time()
            async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
                await stream.send_all(head)
                with pytest.raises(trio.BrokenResourceError):
                    await trickle(stream)
            assert trio.current_time() - start == pytest.approx(11, abs=1.5)
            assert server._acceptor.connections == 0

    run_sockets(story)


def test_a_socket_that_fails_while_it_is_set_up_is_only_its_own_matter(
    world: World,
    run_sockets: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Gone(socket.socket):
        """As on some systems, when the peer has left already."""

        def setsockopt(self, *_: Any) -> None:
            raise OSError(errno.EINVAL, "invalid argument")

    async def story() -> None:
        async with world.serving() as server:
            one, other = socket.socketpair()
            gone = Gone(fileno=one.detach())
            server._acceptor.connections += 1
            gone_family = property(lambda _: socket.AF_INET)
            monkeypatch.setattr(Gone, "family", gone_family, raising=False)
            await server._acceptor._run_one(gone)
            assert gone.fileno() == -1
            other.close()
            async with world.connect(server) as ws:
                await ws.send(b"x")
                assert await ws.receive() == b"x"

    run_sockets(story)
    assert "the server goes on" in caplog.text


# --- cancelled ------------------------------------------------------------------------------


def test_cancelling_a_server_says_1001_and_waits_for_nothing(
    world: World, run_sockets: Run
) -> None:
    async def story() -> None:
        async def busy(ws: WebSocket) -> None:
            await trio.sleep_forever()

        async def in_groups(ws: WebSocket) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(hold, ws)

        for handler in (hold, busy, in_groups):
            clients = []
            async with world.serving(handler) as server:
                for _ in range(3):
                    stream = await trio.open_tcp_stream("127.0.0.1", server.port)
                    clients.append(await wrap_client(stream, backend=world.backend))
                await settle()
                start = trio.current_time()
            assert trio.current_time() == start
            for ws in clients:
                assert (await end_of(ws)).code == 1001
                await ws.aclose()
            assert server.connections == set()

    run_sockets(story)


def test_a_handler_that_fails_when_it_is_cancelled_doesnt_fail_the_server(
    world: World, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async def wait_and_fail() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("cleaning up failed")

        async def handle(ws: WebSocket) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait_and_fail)
                nursery.start_soon(hold, ws)

        async with world.serving(handle) as server:
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            ws = await wrap_client(stream, backend=world.backend)
            await settle()
        assert (await end_of(ws)).code in (1001, 1011)

    run_sockets(story)
    assert "cleaning up failed" in caplog.text


def test_the_keyboard_ends_the_server(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async def interrupt(ws: WebSocket) -> None:
            raise KeyboardInterrupt

        async def run() -> None:
            async with world.serving(interrupt) as server:
                async with world.connect(server) as ws:
                    await ws.wait_closed()
                await trio.sleep_forever()

        with pytest.raises(BaseExceptionGroup) as caught:
            await run()
        assert caught.value.split(KeyboardInterrupt)[1] is None

    run_sockets(story)


def test_a_port_that_is_taken(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with world.serving() as server:
            with pytest.raises(OSError, match="in use"):
                await serve(hold, "127.0.0.1", server.port)

    run_sockets(story)


def test_a_server_restarts_at_once_on_its_port(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with world.serving() as server, world.connect(server) as ws:
            port = server.port
            await ws.send(b"x")
            await ws.receive()
            await server.drain(grace=0)
            async with world.serving(port=port) as again:
                url = f"ws://127.0.0.1:{again.port}/"
                async with connect(url, backend=world.backend) as other:
                    await other.send(b"y")
                    assert await other.receive() == b"y"

    run_sockets(story)
