"""Sessions in Redis: servers that share them."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest
import trio

from tests.transports.redis_server import RedisServer
from tests.transports.webwire.stores.conftest import BEGIN, after, run, session
from tests.transports.webwire.stores.running import Server, serving
from wirecore.errors import InvalidOption, InvalidState
from wirecore_trio.webwire.stores import (
    RedisStore,
    SharedStore,
    StoreDamaged,
    StoreError,
)

# coredis leaves the buffers of a connection that couldn't be opened to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed <MemoryObject:ResourceWarning",
    "ignore:Exception ignored in. <function MemoryObject:pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture
def prefix() -> str:
    """One that no other test has."""
    return secrets.token_hex(8) + ":"


async def eventually(attempt: Callable[[], Awaitable[bool]]) -> None:
    """Try until it succeeds: time at Redis is its own."""
    while not await attempt():  # noqa: ASYNC110 (it tells nobody when it has passed)
        await trio.sleep(0.02)


def test_it_is_what_servers_share() -> None:
    assert isinstance(RedisStore("redis://127.0.0.1"), SharedStore)


def test_without_its_client_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['coredis'] = None\n"
        "from wirecore_trio import webwire; webwire.MemoryStore()\n"
        "try: webwire.RedisStore\n"
        "except ModuleNotFoundError as error: print(error, error.name)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True
    )
    assert "pip install 'wirecore[redis]' coredis" in done.stdout


def test_two_servers_share_sessions(redis_for_all: RedisServer, prefix: str) -> None:
    async def story() -> None:
        async with (
            serving(redis_for_all.url, prefix) as here,
            serving(redis_for_all.url + "/0", prefix) as there,
            serving(redis_for_all.url, prefix + "other:") as stranger,
        ):
            await here.store.create(session("shared", {"a": [1]}))
            assert await there.store.contains("shared")
            assert not await stranger.store.contains("shared")
            with pytest.raises(KeyError):
                await there.store.create(session("shared"))
            assert await there.store.look_up("shared", after(1)) == session("shared", {"a": [1]})
            found = await here.store.look_up("shared", after(2))
            assert found is not None
            assert found.last_lookup == after(1)
            await there.store.close("shared")
            assert not await here.store.contains("shared")
            assert await here.store.look_up("shared", after(3)) is None

    run(story)


def test_connections_count_on_all_servers(redis_for_all: RedisServer, prefix: str) -> None:
    async def story() -> None:
        async with (
            serving(redis_for_all.url, prefix) as here,
            serving(redis_for_all.url, prefix) as there,
        ):
            assert await here.store.attach("key", "a", 2)
            assert await there.store.attach("key", "b", 2)
            assert await there.store.attach("key", "b", 2)  # it does already
            assert not await here.store.attach("key", "c", 2)
            assert await here.store.attach("another", "c", 2)
            assert await here.store.attach("key", "d", 0)
            assert await here.store.detach("key", "d") == 2
            assert await here.store.detach("key", "a") == 1
            assert await here.store.detach("key", "a") == 1
            assert await here.store.attach("key", "c", 2)
            assert await here.store.detach("key", "c") == 1
            assert await there.store.detach("key", "b") == 0
            assert await there.store.detach("nothing", "b") == 0
            # One connection of many at once is the first.
            first = []

            async def attach(server: Server, name: str) -> None:
                if await server.store.attach("race", name, 1):
                    first.append(name)

            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(attach, here, f"here-{number}")
                    nursery.start_soon(attach, there, f"there-{number}")
            assert len(first) == 1

    run(story)


def test_a_session_goes_with_its_last_connection_on_any_server(
    redis_for_all: RedisServer, prefix: str
) -> None:
    async def story() -> None:
        async with (
            serving(redis_for_all.url, prefix) as here,
            serving(redis_for_all.url, prefix) as there,
        ):
            await here.store.create(session("key"))
            await here.store.attach("key", "a", 0)
            await there.store.attach("key", "b", 0)
            assert await here.store.detach("key", "a", forget=True) == 1
            assert await there.store.contains("key")
            assert await there.store.detach("key", "b") == 0  # it is lost, and may come back
            assert await here.store.contains("key")
            await here.store.attach("key", "a", 0)
            assert await here.store.detach("key", "a", forget=True) == 0
            assert not await there.store.contains("key")

    run(story)


def test_what_a_dead_server_counted_is_forgotten_and_what_a_living_one_counts_is_not(
    redis_for_all: RedisServer, prefix: str
) -> None:
    lease = 0.4

    async def story() -> None:
        async with serving(redis_for_all.url, prefix, lease=lease) as living:
            async with serving(redis_for_all.url, prefix, lease=lease) as dying:
                for number in range(250):
                    await living.store.attach(f"kept-{number}", "living", 1)
                await dying.store.attach("key", "dying", 1)
                assert not await living.store.attach("key", "next", 1)
            await eventually(lambda: living.store.attach("key", "next", 1))
            await trio.sleep(2 * lease)
            for number in range(250):
                assert not await living.store.attach(f"kept-{number}", "next", 1)
                assert await living.store.detach(f"kept-{number}", "living") == 0

    run(story)
    # Nothing is left of what everybody forgot.
    assert redis_for_all.command("KEYS", f"{prefix}connections:kept*").startswith(b"*0")


def test_messages_reach_every_server_in_one_order(redis_for_all: RedisServer, prefix: str) -> None:
    topic = "räume/\x00 1"

    async def publish(server: Server, name: str) -> None:
        for number in range(200):
            await server.store.publish(topic, f"{name}\x00\xff{number}".encode("latin-1"))

    async def story() -> None:
        async with (
            serving(redis_for_all.url, prefix) as here,
            serving(redis_for_all.url, prefix) as there,
        ):
            for server in (here, there):
                await server.store.subscribe(topic)
                await server.store.subscribe(topic)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(publish, here, "here")
                nursery.start_soon(publish, there, "there")
            for server in (here, there):
                await server.until_delivered(400)
            assert here.delivered == there.delivered
            for name in ("here", "there"):
                mine = [
                    message for _, message in here.delivered if message.startswith(name.encode())
                ]
                assert mine == [f"{name}\x00\xff{each}".encode("latin-1") for each in range(200)]
            assert {each for each, _ in here.delivered} == {topic}

    run(story)


def test_only_what_is_subscribed_to_is_delivered(redis_for_all: RedisServer, prefix: str) -> None:
    async def story() -> None:
        async with serving(redis_for_all.url, prefix) as server:
            for topic in ("a", "b", "end"):
                await server.store.subscribe(topic)
            await server.store.unsubscribe("a")
            await server.store.unsubscribe("a")
            await server.store.unsubscribe("never")
            for topic in ("a", "b", "c", "end"):
                await server.store.publish(topic, topic.encode())
            await server.until_delivered(2)
            assert server.delivered == [("b", b"b"), ("end", b"end")]

    run(story)


def test_what_was_subscribed_to_before_it_runs_is_delivered(
    redis_for_all: RedisServer, prefix: str
) -> None:
    """More topics than go into one command."""

    async def story() -> None:
        store = RedisStore(redis_for_all.url, prefix=prefix)
        server = Server(store)
        for number in range(1234):
            await store.subscribe(str(number))
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run, server.deliver, server.resume)
            await RedisStore(redis_for_all.url, prefix=prefix).publish("1233", b"x")
            await server.until_delivered(1)
            nursery.cancel_scope.cancel()
        assert server.delivered == [("1233", b"x")]
        assert server.resumed == 0

    run(story)


def test_without_running_each_call_has_a_connection_of_its_own(redis: RedisServer) -> None:
    async def story() -> None:
        store = RedisStore(redis.url)
        await store.create(session("kept"))
        assert await store.contains("kept")
        assert await store.look_up("kept", BEGIN) == session("kept")
        assert await store.attach("kept", "a", 1)
        assert await store.detach("kept", "a") == 0
        await store.publish("topic", b"to nobody")
        await store.close("kept")

    run(story)
    assert redis.connections() == 1  # the one that asks


def test_a_store_runs_once(redis_for_all: RedisServer, prefix: str) -> None:
    async def story() -> None:
        async with serving(redis_for_all.url, prefix) as server:
            with pytest.raises(InvalidState, match="runs already"):
                await server.store.run(server.deliver, server.resume)

    run(story)


def test_a_run_that_was_cancelled_can_be_begun_again(
    redis_for_all: RedisServer, prefix: str
) -> None:
    async def story() -> None:
        store = RedisStore(redis_for_all.url, prefix=prefix)
        for number in range(3):
            server = Server(store)
            async with trio.open_nursery() as nursery:
                await nursery.start(store.run, server.deliver, server.resume)
                await store.subscribe("topic")
                await store.publish("topic", str(number).encode())
                await server.until_delivered(1)
                nursery.cancel_scope.cancel()
            assert server.delivered == [("topic", str(number).encode())]

    run(story)


def test_an_error_of_deliver_ends_it(redis_for_all: RedisServer, prefix: str) -> None:
    async def fail(topic: str, message: bytes) -> None:
        raise RuntimeError("a mistake in the program")

    async def story() -> None:
        store = RedisStore(redis_for_all.url, prefix=prefix)
        with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="mistake")):
            async with trio.open_nursery() as nursery:
                await nursery.start(store.run, fail, lambda: None)
                await store.subscribe("topic")
                await store.publish("topic", b"x")

    run(story)


@pytest.mark.parametrize(
    "words",
    [("HSET", "l", "now"), ("HSET", "i", "{"), ("HSET", "c", "9" * 30)],
    ids=["time", "info", "year"],
)
def test_what_somebody_damaged_is_told(
    redis_for_all: RedisServer, prefix: str, words: tuple[str, str, str]
) -> None:
    async def story() -> None:
        store = RedisStore(redis_for_all.url, prefix=prefix)
        await store.create(session("kept"))
        redis_for_all.command(words[0], f"{prefix}session:kept", *words[1:])
        with pytest.raises(StoreDamaged, match="of a stored session"):
            await store.look_up("kept", BEGIN)
        await store.close("kept")

    run(story)


def test_sessions_expire_at_redis(redis_for_all: RedisServer, prefix: str) -> None:
    async def story() -> None:
        store = RedisStore(redis_for_all.url, prefix=prefix, lifetime=0.3)
        await store.create(session("short"))

        async def is_gone() -> bool:
            return not await store.contains("short")

        await eventually(is_gone)

    run(story)


def test_a_close_that_redis_refuses_leaves_the_connection_counted(
    redis_for_all: RedisServer, prefix: str
) -> None:
    async def story() -> None:
        async with serving(redis_for_all.url, prefix, lease=1.0) as server:
            store = server.store
            await store.create(session("key"))
            await store.attach("key", "a", 0)
            evaluate = store._evaluate

            async def refuse(*_: object) -> None:
                raise StoreError("NOREPLICAS")

            store._evaluate = refuse  # type: ignore[method-assign, assignment]
            with pytest.raises(StoreError):
                await store.detach("key", "a", forget=True)
            store._evaluate = evaluate  # type: ignore[method-assign]
            await trio.sleep(2.5)  # its lease is renewed still
            assert await store.detach("key", "") == 1
            assert await store.detach("key", "a", forget=True) == 0

    run(story)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1",
        "http://user:secret@127.0.0.1",
        "redis://user:secret@host:port",
        "redis://",
        "redis://user:secret@:6379",
        "redis://user:secret@host/zero",
        "redis://[::1",
        "unix://",
    ],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidOption, match="url") as caught:
        RedisStore(url)
    assert "secret" not in str(caught.value)


def test_options_that_make_no_sense_are_refused() -> None:
    for options in ({"lease": 0}, {"timeout": -1}, {"lifetime": 0}):
        with pytest.raises(InvalidOption, match=next(iter(options))):
            RedisStore("redis://127.0.0.1", **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="url"):
        RedisStore(b"redis://127.0.0.1")  # type: ignore[arg-type]
