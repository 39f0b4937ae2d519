"""Sessions in Redis: servers that share them, and what becomes of them without Redis."""

from __future__ import annotations

import random
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio

from tests.transports.webwire.stores.conftest import BEGIN, after, run, session
from tests.transports.webwire.stores.redis_server import RedisServer
from wirecore.errors import InvalidOption, InvalidState, WirecoreError
from wirecore_trio.webwire.stores import (
    RedisStore,
    SharedStore,
    StoreDamaged,
    StoreError,
    StoreUnavailable,
)

# coredis leaves the buffers of a connection that couldn't be opened to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed <MemoryObject:ResourceWarning",
    "ignore:Exception ignored in. <function MemoryObject:pytest.PytestUnraisableExceptionWarning",
)


@dataclass
class Server:
    """A store that runs, as a server has it, and what it was told."""

    store: RedisStore
    delivered: list[tuple[str, bytes]] = field(default_factory=list)
    resumed: int = 0
    _news: trio.Event = field(default_factory=trio.Event)

    def deliver(self, topic: str, message: bytes) -> None:
        """As the store wants it."""
        self.delivered.append((topic, message))
        self._tell()

    def resume(self) -> None:
        """As the store wants it."""
        self.resumed += 1
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def until_resumed(self, times: int) -> None:
        """Wait until it was called so often."""
        while self.resumed < times:
            await self._news.wait()

    async def until_delivered(self, count: int) -> None:
        """Wait until so many messages have come."""
        while len(self.delivered) < count:
            await self._news.wait()


@asynccontextmanager
async def serving(url: str, prefix: str, **options: Any) -> AsyncIterator[Server]:
    """A server's store while it serves; at the end it is gone without a word."""
    server = Server(RedisStore(url, prefix=prefix, **options))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.store.run, server.deliver, server.resume)
        yield server
        nursery.cancel_scope.cancel()


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


def use_all(store: RedisStore) -> list[Callable[[], Awaitable[object]]]:
    """Every call but subscribing."""
    return [
        lambda: store.create(session("new")),
        lambda: store.look_up("kept", BEGIN),
        lambda: store.close("other"),
        lambda: store.contains("kept"),
        lambda: store.attach("kept", "b", 0),
        lambda: store.detach("kept", "b"),
        lambda: store.publish("topic", b"lost"),
    ]


def test_redis_is_restarted(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with serving(redis.url, "p:") as server:
            store = server.store
            await store.create(session("kept", {"a": 1}))
            await store.subscribe("topic")
            assert await store.attach("kept", "a", 1)
            redis.stop()
            for use in use_all(store):
                with pytest.raises(StoreUnavailable, match=rf"127\.0\.0\.1:{redis.port}"):
                    await use()
            with pytest.raises(StoreUnavailable):
                await store.subscribe("meanwhile")
            with pytest.raises(StoreUnavailable):
                await store.unsubscribe("topic")
            with pytest.raises(StoreUnavailable):
                await store.subscribe("topic")
            redis.start()
            await server.until_resumed(1)
            found = await store.look_up("kept", after(1))
            assert found is not None
            assert found.info == {"a": 1}
            assert not await store.attach("kept", "b", 1)
            for topic in ("topic", "meanwhile"):
                await store.publish(topic, b"x")
            await server.until_delivered(2)
            assert server.delivered == [("topic", b"x"), ("meanwhile", b"x")]

    run(story)
    messages = [record.getMessage() for record in caplog.records if "webwire" in record.name]
    assert any("connecting again" in message for message in messages)
    assert not any("kept" in message for message in messages)


def test_it_starts_when_redis_does(redis: RedisServer) -> None:
    redis.stop()

    async def story() -> None:
        store = RedisStore(redis.url)
        server = Server(store)
        async with trio.open_nursery() as nursery:
            started = trio.Event()

            async def start() -> None:
                await nursery.start(store.run, server.deliver, server.resume)
                started.set()

            nursery.start_soon(start)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert not started.is_set()
            with pytest.raises(StoreUnavailable):
                await store.contains("anything")
            await trio.to_thread.run_sync(redis.start)
            await started.wait()
            assert not await store.contains("anything")
            assert server.resumed == 0
            nursery.cancel_scope.cancel()

    run(story)


def test_a_redis_that_hangs_is_given_up_and_found_again(redis: RedisServer) -> None:
    async def story() -> None:
        async with serving(redis.url, "p:", timeout=0.3) as server:
            await server.store.create(session("kept"))
            redis.freeze()
            try:
                for use in use_all(server.store):
                    with pytest.raises(StoreUnavailable):
                        await use()
            finally:
                redis.thaw()
            await server.until_resumed(1)
            assert await server.store.contains("kept")

    run(story)


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
def test_a_lost_connection_is_made_again(redis: RedisServer, kind: str) -> None:
    async def story() -> None:
        async with serving(redis.url, "p:") as server:
            await server.store.subscribe("topic")
            for round_ in range(1, 4):
                redis.command("CLIENT", "KILL", "TYPE", kind)
                await server.until_resumed(round_)
                await server.store.publish("topic", str(round_).encode())
                await server.until_delivered(round_)
        assert [message for _, message in server.delivered] == [b"1", b"2", b"3"]

    run(story)


def test_cancelled_calls_give_nobody_anothers_answer(redis: RedisServer) -> None:
    chance = random.Random(7)

    async def look_up(server: Server, number: int) -> None:
        for _ in range(20):
            with trio.move_on_after(chance.random() * 0.01):
                found = await server.store.look_up(f"key-{number}", BEGIN)
                assert found is not None
                assert found.info == {"number": number}
                await server.store.subscribe(f"topic-{number}")
                await server.store.unsubscribe(f"topic-{number}")
                assert await server.store.attach(f"key-{number}", str(number), 1)

    async def story() -> None:
        async with serving(redis.url, "p:") as server:
            for number in range(30):
                await server.store.create(session(f"key-{number}", {"number": number}))
            async with trio.open_nursery() as nursery:
                for number in range(30):
                    nursery.start_soon(look_up, server, number)
            assert server.resumed == 0
            for number in range(30):
                found = await server.store.look_up(f"key-{number}", BEGIN)
                assert found is not None
                assert found.info == {"number": number}
            # Two of the store, and the one that asks.
            assert redis.connections() == 3

    run(story)
    assert redis.connections() == 1


def test_cancelled_calls_leave_no_connection_open(redis: RedisServer) -> None:
    async def story() -> None:
        store = RedisStore(redis.url)
        for number in range(60):
            with trio.move_on_after(number * 0.0002):
                await store.contains("key")
        await store.create(session("key"))
        assert await store.contains("key")

    run(story)
    assert redis.connections() == 1


def test_a_refusal_is_told_without_the_password(redis: RedisServer) -> None:
    redis.command("CONFIG", "SET", "requirepass", "sesame")

    async def story() -> None:
        store = RedisStore(f"redis://:open%20it@127.0.0.1:{redis.port}")
        server = Server(store)
        uses: list[Callable[[], Awaitable[object]]] = [
            lambda: store.contains("key"),
            lambda: store.run(server.deliver, server.resume),
        ]
        for use in uses:
            with pytest.raises(StoreError, match="refused") as caught:
                await use()
            assert not isinstance(caught.value, StoreUnavailable)
            assert "open it" not in str(caught.value)
            assert isinstance(caught.value, WirecoreError)
        assert "open" not in repr(store)
        right = RedisStore(f"redis://default:s%65same@127.0.0.1:{redis.port}/3")
        assert not await right.contains("key")

    run(story)


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
    def fail(topic: str, message: bytes) -> None:
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


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1", "http://user:secret@127.0.0.1", "redis://user:secret@host:port"]
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
