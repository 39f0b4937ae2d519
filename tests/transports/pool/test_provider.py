"""A provider keeps its connections up, and says what becomes of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.pool.world import Echo, OpenPool, Worker, until
from wirecore import errors
from wirecore._backend import Backend
from wirecore_trio import pool

CONNECTED, DISCONNECTED, FAILED, CLOSED = (
    pool.Happening.CONNECTED,
    pool.Happening.DISCONNECTED,
    pool.Happening.FAILED,
    pool.Happening.CLOSED,
)


async def free_port() -> int:
    """A port that nobody listens on."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listener.socket.getsockname()[1]
    await listener.aclose()
    return port


def test_it_dials_until_the_pool_is_there(backend: Backend, run_sockets: Run) -> None:
    async def main() -> None:
        port = await free_port()
        provider = pool.Provider(Echo(), backend=backend)
        async with (
            provider.serve(f"ws://127.0.0.1:{port}/pool") as serving,
            trio.open_nursery() as nursery,
        ):
            events = serving.events()
            begun = trio.current_time()
            failed = [await anext(events) for _ in range(3)]
            assert [event.kind for event in failed] == [FAILED] * 3
            assert all(isinstance(event.error, OSError) for event in failed)
            # The second attempt after a tenth of a second, the third after twice that.
            assert 0.25 < trio.current_time() - begun < 0.6
            server = pool.PoolServer(codec_backend=backend)
            server.bind("/pool")
            await nursery.start(server.serve, "127.0.0.1", port)
            await server.wait_listening()
            await serving.wait_connected()
            assert await server.call("Echo.Text", "there", str) == "there"
            assert serving.error is None
            nursery.cancel_scope.cancel()

    run_sockets(main)


def test_attempts_are_counted(backend: Backend, run_sockets: Run) -> None:
    async def main() -> None:
        port = await free_port()
        options = pool.ProviderOptions(max_attempts=3, delay=2, max_delay=0)
        provider = pool.Provider(Echo(), options=options, backend=backend)
        url = f"ws://127.0.0.1:{port}/pool"
        async with provider.serve(url) as serving:
            events = serving.events()
            begun = trio.current_time()
            kinds = [event.kind async for event in events]
            assert kinds == [FAILED, FAILED, FAILED, CLOSED]
            assert 3.5 < trio.current_time() - begun < 4.5
            assert serving.closed
            assert isinstance(serving.error, OSError)
            await serving.wait_closed()
            assert [event async for event in serving.events()] == []
        with pytest.raises(OSError, match=r"refused"):
            async with provider.serve(url, wait=True):
                pass

    run_sockets(main)


def test_successful_attempts_count_too(open_pool: OpenPool, run_sockets: Run) -> None:
    """As in the original: an attempt is an attempt."""

    async def main() -> None:
        async with open_pool() as world:
            provider = world.provider(Echo(), max_attempts=2)
            async with provider.serve(world.url(), wait=True) as serving:
                events = serving.events()
                world.server.providers[0].close()
                for kind in (DISCONNECTED, CONNECTED):
                    assert (await anext(events)).kind is kind
                world.server.providers[0].close()
                for kind in (DISCONNECTED, CLOSED):
                    assert (await anext(events)).kind is kind
                assert serving.error is None

    run_sockets(main)


def test_a_pool_that_refuses_is_dialled_again_or_not(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            async with world.provider(Echo()).serve(world.url("/nothing")) as serving:
                events = serving.events()
                for _ in range(3):
                    event = await anext(events)
                    assert event.kind is FAILED
                    assert isinstance(event.error, errors.UpgradeRejected)
                    assert event.error.status == 404
            one = world.provider(Echo(), persist=False)
            async with one.serve(world.url("/nothing")) as serving:
                await serving.wait_closed()
                assert isinstance(serving.error, errors.UpgradeRejected)

    run_sockets(main)


def test_several_pools_and_connections(backend: Backend, run_sockets: Run) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            servers = []
            urls = []
            for _ in range(2):
                server = pool.PoolServer(codec_backend=backend)
                server.bind("/pool")
                listening = await nursery.start(partial(server.serve, "127.0.0.1", 0))
                servers.append(server)
                urls.append(f"ws://127.0.0.1:{listening.port}/pool")
            provider = pool.Provider(Worker("both"), backend=backend)
            async with provider.serve(*urls, connections=2) as serving:
                await until(lambda: serving.connected == 4)
                for server in servers:
                    assert len(server.providers) == 2
                    assert await server.call("Worker.Who", "", str) == "both"
                for connection in servers[0].providers:
                    connection.close()
                await trio.sleep(1)
                assert serving.connected == 4
            assert serving.closed
            nursery.cancel_scope.cancel()

    run_sockets(main)


def test_a_silent_pool_is_given_up(backend: Backend, run_sockets: Run) -> None:
    """Pings after 5 and 10 s have no answer: at 15 s it is dialled again."""
    upgrades: list[float] = []

    async def main() -> None:
        async def mute(stream: trio.SocketStream) -> None:
            data = b""
            while not data.endswith(b"\r\n\r\n"):
                data += await stream.receive_some()
            key = next(
                line.partition(b": ")[2]
                for line in data.split(b"\r\n")
                if line.lower().startswith(b"sec-websocket-key")
            )
            from base64 import b64encode
            from hashlib import sha1

            accept = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            await stream.send_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
            upgrades.append(trio.current_time())
            while await stream.receive_some():
                pass

        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_tcp, mute, 0, host="127.0.0.1")
            [listener] = await nursery.start(serve)
            port = listener.socket.getsockname()[1]
            provider = pool.Provider(Echo(), backend=backend)
            async with provider.serve(f"ws://127.0.0.1:{port}/pool", wait=True):
                await until(lambda: len(upgrades) == 2, step=0.5)
            nursery.cancel_scope.cancel()

    run_sockets(main)
    assert 15 <= upgrades[1] - upgrades[0] < 17


def test_call_backs_come_back(open_pool: OpenPool, run_sockets: Run) -> None:
    """The original never reconnects in this direction; ours does, and its calls wait for that."""

    async def main() -> None:
        connections: list[Any] = []

        class Side:
            @pool.exported(inline=True)
            def notify(self, text: str) -> str:
                connections.append(pool.current_call().connection)
                return f"{text} of {pool.current_call().method}"

        def prepare(server: pool.PoolServer) -> None:
            server.serve_callbacks("/cb", Side())

        async with (
            open_pool(prepare) as world,
            world.provider().connect_callbacks(world.url("/cb")) as client,
        ):
            assert await client.call("Side.Notify", "first", str) == "first of Side.Notify"
            connections[0].close()
            await client.wait_disconnected()
            assert await client.call("Side.Notify", "second", str) == "second of Side.Notify"
            assert connections[0] is not connections[1]
            assert isinstance(connections[0], pool.CallbackConnection)
            await client.close()
            with pytest.raises(errors.NotConnected, match=r"was closed"):
                await client.call("Side.Notify", "third", str)

    run_sockets(main)


def test_a_call_back_without_a_pool(backend: Backend, run_sockets: Run) -> None:
    async def main() -> None:
        port = await free_port()
        provider = pool.Provider(backend=backend)
        async with provider.connect_callbacks(f"ws://127.0.0.1:{port}/cb") as client:
            with pytest.raises(errors.CallTimeout, match=r"no connection to .* within 3 s"):
                await client.call("Side.Notify", "text", str, timeout=3)

    run_sockets(main)


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"connections": 0}, errors.InvalidOption),
        ({"connections": "2"}, TypeError),
        ({"codec": "xml"}, errors.InvalidOption),
        ({"codec": None}, TypeError),
        ({"labels": "gpu"}, TypeError),
        ({"labels": ["a,b"]}, errors.InvalidOption),
        ({"name": "ä"}, errors.InvalidOption),
        ({"concurrency": 0}, errors.InvalidOption),
        ({"token": b"x"}, TypeError),
        ({"nonsense": 1}, TypeError),
    ],
)
def test_wrong_arguments(keywords: dict[str, Any], error: type[Exception]) -> None:
    provider = pool.Provider(Echo())
    with pytest.raises(error):
        provider.serve("ws://127.0.0.1/pool", **keywords)
    with pytest.raises(errors.InvalidOption):
        provider.serve()
    with pytest.raises(errors.InvalidOption):
        provider.serve("http://127.0.0.1/pool")


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (pool.PoolOptions, {"balancing": "random"}, "balancing must be"),
        (pool.PoolOptions, {"lost": "sometimes"}, "lost must be"),
        (pool.PoolOptions, {"max_queue": 0}, "max_queue must be at least 1"),
        (pool.PoolOptions, {"max_provider_calls": 0}, "max_provider_calls must be at least"),
        (pool.PoolOptions, {"call_timeout": 0}, "call_timeout must be above"),
        (pool.PoolOptions, {"on_disconnect": "?"}, "on_disconnect must be"),
        (pool.ProviderOptions, {"delay": -1}, "delay must be at least"),
        (pool.ProviderOptions, {"max_attempts": 0}, "max_attempts must be at least"),
    ],
)
def test_wrong_options(kind: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(errors.InvalidOption, match=told):
        kind(**options)


def test_a_drain_lets_a_connection_that_just_opens_do_its_work(
    open_pool: OpenPool, run_sockets: Run
) -> None:
    """The pool has let it in, and called it, before the provider knows."""

    async def main() -> None:
        def drain_now(_: object) -> bool:
            world.nursery.start_soon(serving.drain)
            return True

        async with open_pool(keywords={"check_origin": drain_now}) as world:
            pending = world.server.submit("Echo.Text", "a", str)
            async with world.provider(Echo()).serve(world.url()) as serving:
                assert await pending.wait() == "a"
                await serving.wait_closed()
                assert serving.error is None

    run_sockets(main)


def test_a_drain_dials_no_more(open_pool: OpenPool, run_sockets: Run) -> None:
    """Neither where the pool refuses just then, nor in the pause after that."""
    asked: list[object] = []

    async def main() -> None:
        def refuse(_: object) -> bool:
            asked.append(_)
            if len(asked) == 1:
                world.nursery.start_soon(serving.drain)
            return False

        async with open_pool(keywords={"check_origin": refuse}) as world:
            async with world.provider(Echo()).serve(world.url()) as serving:
                await serving.wait_closed()
            assert len(asked) == 1
            async with world.provider(Echo(), delay=100).serve(world.url()) as serving:
                await anext(serving.events())
                await serving.drain()
            assert len(asked) == 2

    run_sockets(main)


def test_who_drains_in_a_handler_is_told_what_to_do(open_pool: OpenPool, run_sockets: Run) -> None:
    """A drain waits for the handlers: one that waited for it would wait for itself."""
    told: list[str] = []

    async def main() -> None:
        ends: dict[str, Any] = {}

        class Self:
            @pool.exported
            async def drain(self, end: str) -> bool:
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(ends[end].drain)
                except ExceptionGroup as group:
                    told.extend(map(str, group.exceptions))
                    return False
                return True

            @pool.exported
            def drain_of_thread(self, end: str) -> bool:
                try:
                    trio.from_thread.run(ends[end].drain)
                except RuntimeError as error:
                    told.append(str(error))
                    return False
                return True

            @pool.exported
            async def begin(self, end: str) -> bool:
                world.nursery.start_soon(ends[end].drain)
                await trio.sleep(0.1)
                return True

        def prepare(server: pool.PoolServer) -> None:
            server.bind("/pool")
            server.serve_callbacks("/cb", Self())

        async with (
            open_pool(prepare) as world,
            world.provider(Self()).serve(world.url(), wait=True) as serving,
            world.provider().connect_callbacks(world.url("/cb")) as client,
        ):
            ends.update(serving=serving, server=world.server)
            for caller, end in ((world.server, "serving"), (client, "server")):
                for method in ("Self.Drain", "Self.DrainOfThread"):
                    assert not await caller.call(method, end, bool)
                assert await caller.call("Self.Begin", end, bool)
                await ends[end].wait_closed()

    run_sockets(main)
    assert len(told) == 4
    assert all("a task that the handler doesn't wait for" in each for each in told)


def test_two_tasks_read_the_same_events(open_pool: OpenPool, run_sockets: Run) -> None:
    seen: list[pool.Happening] = []

    async def main() -> None:
        async def listen(events: Any) -> None:
            async for event in events:
                seen.append(event.kind)

        async with (
            open_pool() as world,
            trio.open_nursery() as nursery,
            world.provider(Echo()).serve(world.url()) as serving,
        ):
            events = serving.events()
            for _ in range(2):
                nursery.start_soon(listen, events)
            await serving.wait_connected()
            await serving.close()

    run_sockets(main)
    assert seen == [
        pool.Happening.CONNECTED,
        pool.Happening.DISCONNECTED,
        pool.Happening.CLOSED,
    ]
