"""Our PoolServer with Go's providers, and with callers in Go at its call-back path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.interop.pool_services import (
    PLAIN_IN_GOB,
    WATCHFUL,
    Args,
    Arith,
    Point,
    call_everything,
    check_failures,
    codec_named,
    echo,
)
from tests.interop.pool_services import check_order as check_our_order
from tests.interop.poolpeer import (
    GoError,
    check_errors,
    check_nothing,
    check_order,
    echo_everything,
    go_caller,
    go_provider,
)
from tests.transports.pool.world import World, serving, until
from wirecore._backend import Backend, default
from wirecore.errors import CallLost, InvalidState
from wirecore_trio import pool

if TYPE_CHECKING:
    from tests.interop.conftest import StartPeer, Story

Run = Callable[["Story"], None]

ASKED = 7  # exit status of a provider that was told to die of a call


@pytest.fixture(params=["gob", "json"])
def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def our_pool(
    codec: str = "gob", *, backend: Backend = default, **options: Any
) -> AsyncIterator[World]:
    """Ours: providers at /, callers at /cb, and at /loose, where no types are said."""

    def prepare(server: pool.PoolServer) -> None:
        spoken = codec_named(codec)
        server.bind("/", codec=spoken)
        server.serve_callbacks("/cb", Arith(), echo(codec), codec=spoken)
        server.serve_callbacks("/loose", Arith(), echo(codec, Any), codec=spoken)

    async with serving(backend, prepare, **options) as world:
        yield world


async def wait_providers(world: World, count: int) -> None:
    """Wait until so many connections of providers are there."""
    await until(lambda: len(world.server.providers) == count)


# --- calls ----------------------------------------------------------------------------------


def test_it_calls_providers_in_go(
    pool_peer: StartPeer, run: Run, backend: Backend, codec: str
) -> None:
    # It pings often, and is patient: a machine that stands still for a second is no loss.
    flags = ("--codec", codec, "--connections", 3, "--ping-interval", "20ms", "--max-pings", 3000)

    async def story() -> None:
        async with (
            our_pool(codec, backend=backend) as world,
            go_provider(pool_peer, world.url("/"), *flags) as provider,
        ):
            await wait_providers(world, 3)
            opened = {each.remote_address for each in world.server.providers}
            call = world.server.call
            await call_everything(call, codec)
            await check_failures(call, codec)
            await check_our_order(call)
            await provider.peer.wait_for("pong", count=4)
            assert {each.remote_address for each in world.server.providers} == opened
            await world.server.drain()
            for event in [await provider.peer.wait_for("disconnected") for _ in range(3)]:
                assert (event["code"], event["messages_read"] > 10) == (1001, True)

    run(story)


def test_callers_in_go(pool_peer: StartPeer, run: Run, backend: Backend, codec: str) -> None:
    async def story() -> None:
        async with (
            our_pool(codec, backend=backend) as world,
            go_caller(pool_peer, world.url("/cb"), "--codec", codec) as caller,
            go_caller(pool_peer, world.url("/loose"), "--codec", codec) as loose,
        ):
            await echo_everything(caller, codec)
            await echo_everything(loose, codec, PLAIN_IN_GOB if codec == "gob" else ())
            await check_errors(caller, codec)
            for each in caller, loose:
                await check_order(each)
                await check_nothing(each, codec)
                tally = await each.call_many(300, in_flight=20)
                assert (tally["ok"], tally["failed"], tally["wrong"]) == (300, 0, 0)

    run(story)


def test_paths_and_who_connects(pool_peer: StartPeer, run: Run) -> None:
    def prepare(server: pool.PoolServer) -> None:
        server.bind("/db", "Arith")
        server.bind("/any/")

    known = pool.Tokens({"a-secret": "database", "another": "rest"})

    def shows(token: str, *more: object) -> tuple[object, ...]:
        return ("--header", f"Authorization: Bearer {token}", *more)

    async def story() -> None:
        async with (
            serving(default, prepare, tokens=known) as world,
            go_provider(pool_peer, world.url("/db"), *shows("a-secret", "--connections", 2)) as one,
            go_provider(pool_peer, world.url("/any/thing"), *shows("another")) as other,
        ):
            await wait_providers(world, 3)
            found = sorted((each.identity, each.path) for each in world.server.providers)
            assert found == [("database", "/db"), ("database", "/db"), ("rest", "/any/")]
            assert await world.server.call("Arith.Multiply", Args(6, 7), int) == 42
            assert await world.server.call("Echo.Say", "hello", str) == "hello"
            for path, flags, status in (
                ("/db", (), 401),
                ("/db", shows("wrong"), 401),
                ("/nowhere", shows("a-secret"), 404),
                ("/db", shows("a-secret", "--origin", "http://elsewhere.test"), 403),
            ):
                async with go_provider(pool_peer, world.url(path), *flags) as refused:
                    await refused.peer.wait_for("refused", status=status)
                    await refused.peer.wait_for("exit")
            assert world.server.revoke("database") == 2
            for _ in range(2):
                assert (await one.peer.wait_for("disconnected"))["code"] == 1008
            assert (await one.peer.wait_for("served"))["calls"] == 1
            await other.command("close", code=1000)
            await wait_providers(world, 0)

    run(story)


# --- what goes wrong ------------------------------------------------------------------------


def test_a_null_result(pool_peer: StartPeer, run: Run, backend: Backend, codec: str) -> None:
    """Null in JSON; gob doesn't know it, there it is a struct of zeros."""

    async def story() -> None:
        async with (
            our_pool(codec, backend=backend) as world,
            go_provider(pool_peer, world.url("/"), "--codec", codec) as provider,
        ):
            call = partial(world.server.call, "Echo.Null", "")
            if codec == "json":
                assert await call(Point | None) is None
                assert await call() is None
                assert await call(list[int]) == []
            else:
                assert await call() == {"X": 0, "Y": 0}
            assert await call(Point) == Point()
            assert await world.server.call("Echo.Say", "on it goes", str) == "on it goes"
            assert len(world.server.providers) == 1
            await provider.connected()
            assert provider.peer.seen == []

    run(story)


def test_a_result_that_go_cannot_send(pool_peer: StartPeer, run: Run) -> None:
    """Each connection that the call meets ends of it: it isn't queued again for ever."""

    async def story() -> None:
        async with (
            our_pool(lost="always") as world,
            go_provider(pool_peer, world.url("/"), "--reconnect", "1ms") as provider,
        ):
            with pytest.raises(CallLost) as caught:
                await world.server.call("Echo.Unnamed", "")
            assert caught.value.execution == "maybe_executed"
            assert await world.server.call("Echo.Say", "on it goes", str) == "on it goes"
            await provider.connected(2)
            await provider.peer.wait_for("disconnected")

    run(story)


def test_another_codec(pool_peer: StartPeer, run: Run, codec: str) -> None:
    """Neither end understands a word, and nothing says so before the first call."""
    other = "json" if codec == "gob" else "gob"
    hello = "hello " * 50  # longer than the gob message that begins with a brace

    async def story() -> None:
        async with (
            our_pool(codec) as world,
            go_provider(pool_peer, world.url("/"), "--codec", other),
            go_caller(pool_peer, world.url("/cb"), "--codec", other) as caller,
        ):
            with pytest.raises(CallLost):
                await world.server.call("Echo.Say", hello, str)
            with pytest.raises(GoError) as caught:
                await caller.call("Echo.Say", hello)
            assert not caught.value.told
            assert world.server.providers == []
            assert (await caller.peer.wait_for("disconnected"))["code"] == 1002

    run(story)


def test_a_provider_dies_of_a_call(pool_peer: StartPeer, run: Run) -> None:
    """The call fails, or goes to the next one where it may run twice."""

    async def story() -> None:
        async with our_pool() as world:
            for idempotent in False, True:
                async with go_provider(
                    pool_peer, world.url("/"), "--exit-on", "Echo.Say"
                ) as mortal:
                    await wait_providers(world, 1)
                    asked = world.server.submit("Echo.Say", "a", str, idempotent=idempotent)
                    await wait_providers(world, 0)
                    assert await mortal.peer.finish() == ASKED
                if idempotent:
                    async with go_provider(pool_peer, world.url("/")):
                        assert await asked.wait() == "a"
                else:
                    with pytest.raises(CallLost) as caught:
                        await asked.wait()
                    assert caught.value.execution == "maybe_executed"
                await wait_providers(world, 0)

    run(story)


def test_a_provider_is_silent(pool_peer: StartPeer, run: Run) -> None:
    """Nothing tells of a frozen one but its pongs that don't come."""

    async def story() -> None:
        async with (
            our_pool(**WATCHFUL) as world,
            go_provider(pool_peer, world.url("/"), "--reconnect", "1ms") as provider,
        ):
            assert await world.server.call("Echo.Sleep", 500, int) == 500  # its pongs come
            await provider.connected()
            assert provider.peer.seen == []
            asked = world.server.submit("Echo.Sleep", 300, int)
            await until(lambda: world.server.providers[0].outstanding == 1)
            provider.peer.freeze()
            with trio.fail_after(2), pytest.raises(CallLost) as caught:
                await asked.wait()
            assert caught.value.execution == "maybe_executed"
            assert world.server.providers == []
            provider.peer.thaw()
            assert await world.server.call("Echo.Say", "back", str) == "back"

    run(story)


def test_no_provider(pool_peer: StartPeer, run: Run) -> None:
    """A call has its time, or waits for as long as it takes."""

    async def story() -> None:
        async with our_pool(call_timeout=None) as world:
            with pytest.raises(pool.NoProvider):
                await world.server.call("Echo.Say", "a", str, timeout=0.05)
            with trio.move_on_after(0.05) as scope:
                await world.server.call("Echo.Say", "b", str)
            assert scope.cancelled_caught
            waits = world.server.submit("Echo.Say", "c", str)
            async with go_provider(pool_peer, world.url("/")) as provider:
                assert await waits.wait() == "c"
                await provider.command("close")
                assert (await provider.peer.wait_for("served"))["calls"] == 1

    run(story)


def test_a_caller_whose_client_died(pool_peer: StartPeer, run: Run, codec: str) -> None:
    """It can't read the result that it asked for, and then reads nothing any more, no ping."""

    async def story() -> None:
        async with (
            our_pool(codec, **WATCHFUL) as world,
            go_caller(pool_peer, world.url("/cb"), "--codec", codec) as caller,
        ):
            with pytest.raises(GoError, match="reading body"):
                await caller.call("Echo.Say", "text", result="int")
            await until(lambda: world.server.state().callbacks["/cb"] == 0)
            with pytest.raises(GoError, match="connection is shut down"):
                await caller.call("Echo.Say", "text")

    run(story)


# --- the pool goes, and comes back ------------------------------------------------------------


def test_a_pool_that_comes_back(pool_peer: StartPeer, run: Run) -> None:
    """Cancelled in the middle of a call, and served anew on the same port."""
    server = pool.PoolServer()
    server.bind("/")
    flags = ("--reconnect", "1ms", "--connections", 3)

    async def story() -> None:
        port = 0
        async with AsyncExitStack() as stack:
            for _ in range(2):
                async with trio.open_nursery() as nursery:
                    listening = await nursery.start(server.serve, "127.0.0.1", port)
                    if not port:
                        port = listening.port
                        starting = go_provider(pool_peer, f"ws://127.0.0.1:{port}/", *flags)
                        provider = await stack.enter_async_context(starting)
                    await provider.connected(3)
                    assert await server.call("Echo.Say", "here", str) == "here"
                    under_way = server.submit("Echo.Sleep", 200, int)
                    await until(lambda: server.state().paths["/"].outstanding == 1)
                    nursery.cancel_scope.cancel()
                with pytest.raises((CallLost, InvalidState)):
                    await under_way.wait()
                for event in [await provider.peer.wait_for("disconnected") for _ in range(3)]:
                    assert event["code"] == 1001
                await provider.peer.wait_for("refused")

    run(story)


def test_a_pool_that_is_drained(pool_peer: StartPeer, run: Run) -> None:
    """Calls in both directions are answered before it closes."""

    async def story() -> None:
        async with (
            our_pool() as world,
            go_provider(pool_peer, world.url("/")) as provider,
            go_caller(pool_peer, world.url("/cb")) as caller,
        ):
            await wait_providers(world, 1)
            ours = world.server.submit("Echo.Sleep", 200, int)
            theirs = await caller.begin("Echo.Sleep", 201)
            await until(lambda: world.server.state().paths["/"].outstanding == 1)
            await until(lambda: world.server._handling.handling == 1)
            await world.server.drain()
            assert await ours.wait() == 200
            assert await caller.answer(theirs) == 201
            for each in provider, caller:
                assert (await each.peer.wait_for("disconnected"))["code"] == 1001

    run(story)
