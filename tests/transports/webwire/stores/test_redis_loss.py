"""The loss of Redis, and of calls to it: what is said meanwhile, and how all comes back."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from tests.transports.redis_server import RedisServer
from tests.transports.webwire.stores.conftest import BEGIN, after, run, session
from tests.transports.webwire.stores.running import Server, serving
from wirecore.errors import WirecoreError
from wirecore_trio.webwire.stores import RedisStore, StoreError, StoreUnavailable

# coredis leaves the buffers of a connection that couldn't be opened to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed <MemoryObject:ResourceWarning",
    "ignore:Exception ignored in. <function MemoryObject:pytest.PytestUnraisableExceptionWarning",
)


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
