"""Redis away, slow, or without memory; nodes that were silent for too long, and that leave."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.transports.pool.backends.conftest import run
from tests.transports.pool.backends.nodes import PATH, FakeNode, Gate, echo, node, until
from tests.transports.redis_server import RedisServer
from wirecore.errors import CallLost, NotConnected
from wirecore.protocols.pool.slots import Wish
from wirecore_trio.pool.backends import (
    BackendError,
    BackendUnavailable,
    CallExpired,
    CallTaken,
    RedisBackend,
    RemoteCall,
    Sending,
)
from wirecore_trio.pool.backends._redis_scripts import SUBMIT

# coredis leaves the buffers of a connection that couldn't be opened to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed <MemoryObject:ResourceWarning",
    "ignore:Exception ignored in. <function MemoryObject:pytest.PytestUnraisableExceptionWarning",
)

STREAM = 'calls:["/pool",null,[]]'


async def collect(answers: list[str], caller: FakeNode, argument: str) -> None:
    """Make a call, and note how it ends."""
    try:
        answers.append(await caller.call(argument))
    except CallLost as error:
        answers.append(f"{argument} {error.execution}")


def test_redis_is_restarted(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """With its memory, which it keeps on disk: the calls in it go on."""
    gate = Gate()
    answers: list[str] = []

    async def story() -> None:
        async with node(redis.url, "p:") as here, node(redis.url, "p:", gate) as there:
            there.join("p", capacity=1)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(collect, answers, here, "under way")
                await gate.until_arrived(1)
                nursery.start_soon(collect, answers, here, "waiting")
                await until(lambda: redis.command("XLEN", f"p:{STREAM}") == b":2\r\n")
                redis.stop()
                # Nothing can be handed over now, and that is told when the time is over.
                await until(lambda: not here.backend._commands.is_open)
                with pytest.raises(BackendUnavailable, match="out of reach") as told:
                    await here.call("lost", within=0.1)
                assert isinstance(told.value, NotConnected)
                assert told.value.execution == "not_sent"
                nursery.start_soon(collect, answers, here, "meanwhile")
                # A node's own providers answer; the outcome waits for Redis.
                gate.open()
                await trio.testing.wait_all_tasks_blocked(0.05)
                redis.start()
            assert await here.call("after") == "p after"

    run(story)
    assert sorted(answers) == ["p meanwhile", "p under way", "p waiting"]
    assert sorted(gate.arrived) == ["after", "meanwhile", "under way", "waiting"]
    messages = [record.getMessage() for record in caplog.records if "backends" in record.name]
    assert any("connecting again" in message for message in messages)


def test_redis_without_memory(redis: RedisServer) -> None:
    """It forgets all calls: who called is told, where the call may not be made twice."""
    gate = Gate()
    answers: list[str] = []

    async def story() -> None:
        async with (
            node(redis.url, "p:", lease=0.3) as here,
            node(redis.url, "p:", gate, lease=0.3) as there,
            trio.open_nursery() as nursery,
        ):
            there.join("p", capacity=2)
            nursery.start_soon(collect, answers, here, "once")
            await gate.until_arrived(1)
            redis.command("FLUSHALL")
            await until(lambda: answers)
            assert answers == ["once maybe_executed"]
            gate.open()
            assert await here.call("after") == "p after"
            await here.until_knows("p")

    run(story)


def test_a_call_that_was_moved_is_found_by_who_was_silent(redis: RedisServer) -> None:
    """Its caller was taken for dead when it was put elsewhere, and so wasn't told where."""
    gate = Gate()
    answers: list[str] = []

    async def story() -> None:
        async with (
            node(redis.url, "p:") as here,
            node(redis.url, "p:", gate) as there,
            trio.open_nursery() as nursery,
        ):
            there.join("p", capacity=1)
            nursery.start_soon(collect, answers, here, "under way")
            await gate.until_arrived(1)
            for number in range(3):
                nursery.start_soon(collect, answers, here, str(number))
            pending = here.backend._submitter._pending
            await until(lambda: len(pending) == 4 and all(each.entry for each in pending.values()))
            [(name, first), *_] = [
                item for item in pending.items() if item[1].call.argument == b"0"
            ]
            assert first.entry is not None
            redis.command("XDEL", f"p:{STREAM}", first.entry.decode())
            fields = f"call {name} caller {here.backend._id} attempts 1 until 0 method m codec gob"
            call = [*fields.split(), "idempotent", "0", "once", "0", "argument", "0"]
            moved = redis.command("XADD", f"p:{STREAM}", "*", *call).split(b"\r\n")[1].decode()
            redis.command("HSET", f"p:places:{here.backend._id}", name, moved)
            here.backend._submitter.doubt()
            gate.open()

    run(story)
    assert sorted(answers) == ["p 0", "p 1", "p 2", "p under way"]


def test_another_redis_whose_clock_is_behind(redis: RedisServer) -> None:
    async def story() -> None:
        async with (
            node(redis.url, "p:", lease=0.3) as here,
            node(redis.url, "p:", lease=0.3) as there,
        ):
            there.join("p")
            # Redis numbers what is told by its clock, which is ahead of all clocks here.
            inbox = f"p:inbox:{here.backend._id}"
            redis.command("XADD", inbox, f"{10**14}-0", "kind", "result", "call", "?", "body", "")
            await until(lambda: here.backend._last_told != b"0")
            redis.command("FLUSHALL")
            await until(lambda: here.backend._last_told == b"0")
            await here.until_knows("p")
            assert await here.call("after") == "p after"

    run(story)


def test_redis_without_memory_is_given_again_what_may_be_made_twice(redis: RedisServer) -> None:
    async def story() -> None:
        async with node(redis.url, "p:", lease=0.3) as here, node(redis.url, "p:") as there:
            async with trio.open_nursery() as nursery:

                async def ask() -> None:
                    assert await here.call("x", idempotent=True) == "p x"

                nursery.start_soon(ask)
                await until(lambda: redis.command("XLEN", f"p:{STREAM}") == b":1\r\n")
                redis.command("FLUSHALL")
                there.join("p")
            assert len(there.made) == 1

    run(story)


def test_a_redis_that_hangs_is_given_up_and_found_again(redis: RedisServer) -> None:
    async def story() -> None:
        async with (
            node(redis.url, "p:", timeout=0.3) as here,
            node(redis.url, "p:", timeout=0.3) as there,
        ):
            there.join("p")
            assert await here.call("before") == "p before"
            redis.freeze()
            try:
                with pytest.raises((CallExpired, BackendUnavailable)):
                    await here.call("meanwhile", within=0.5)
            finally:
                redis.thaw()
            assert await here.call("after") == "p after"
            assert [call.argument for call in there.made] == [b"before", b"after"]

    run(story)


def test_lost_connections_lose_no_call(redis: RedisServer) -> None:
    """All of a node's are cut again and again in the middle of its work."""
    answers: list[str] = []

    async def ask(caller: FakeNode, number: int) -> None:
        await collect(answers, caller, str(number))

    async def story() -> None:
        async with node(redis.url, "p:") as here, node(redis.url, "p:") as there:
            there.join("p", capacity=4)
            for first in range(0, 120, 40):
                async with trio.open_nursery() as nursery:
                    for number in range(first, first + 40):
                        nursery.start_soon(ask, here, number)
                    await until(lambda first=first: len(answers) > first + 5)  # type: ignore[misc]
                    for kind in ("normal", "pubsub"):
                        redis.command("CLIENT", "KILL", "TYPE", kind)
            await until(lambda: not there.providers[0].busy)

        made = [call.argument.decode() for call in there.made]
        assert len(answers) == 120
        # One that was taken as the connection broke is taken again: but it is sent once.
        assert set(made) == set(map(str, range(120)))
        assert sorted(answers) == sorted(f"p {number}" for number in range(120))

    run(story)


def test_it_starts_when_redis_does(redis: RedisServer) -> None:
    redis.stop()

    async def story() -> None:
        here = FakeNode(RedisBackend(redis.url))
        here.join("p")
        async with trio.open_nursery() as nursery:
            started = trio.Event()

            async def start() -> None:
                await nursery.start(here.backend.run, here)
                started.set()

            nursery.start_soon(start)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert not started.is_set()
            await trio.to_thread.run_sync(redis.start)
            await started.wait()
            assert await here.call("x") == "p x"
            nursery.cancel_scope.cancel()

    run(story)


def test_a_redis_that_refuses_is_told_at_once(redis: RedisServer) -> None:
    async def story() -> None:
        redis.command("CONFIG", "SET", "requirepass", "secret")
        here = FakeNode(RedisBackend(redis.url.replace("//", "//:wrong@")))
        with pytest.raises(BackendError) as told:
            await here.backend.run(here)
        assert not isinstance(told.value, BackendUnavailable)
        assert "wrong" not in str(told.value)

    run(story)


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_node_that_was_silent_for_too_long_sends_nothing(
    redis_for_all: RedisServer, prefix: str, idempotent: bool
) -> None:
    """Another one has its call by then. What it had sent already was answered for."""
    taken: list[str] = []
    silence = trio.Event()

    async def late(call: RemoteCall, identity: str, sending: Sending) -> bytes:
        if call.argument == b"sent":
            await sending()
            taken.append("sent")
            await silence.wait()
            return b"too late"
        taken.append("not sent")
        await silence.wait()
        with pytest.raises(CallTaken):
            await sending()
        taken.append("refused")
        raise CallTaken("as told")

    async def declare_dead(silent: FakeNode) -> None:
        """Its lease ended long ago: it will not renew it within this test."""
        redis_for_all.command("ZADD", f"{prefix}nodes", "1", silent.backend._id)

    async def story() -> None:
        url = redis_for_all.url
        answers: list[str] = []
        async with (
            node(url, prefix, lease=0.3) as here,
            node(url, prefix, late, lease=60.0) as silent,
            trio.open_nursery() as nursery,
        ):
            silent.join("silent", capacity=2)

            async def ask(argument: str) -> None:
                try:
                    answers.append(await here.call(argument, idempotent=idempotent))
                except CallLost as error:
                    answers.append(f"{argument} {error.execution}")

            nursery.start_soon(ask, "sent")
            nursery.start_soon(ask, "unsent")
            await until(lambda: len(taken) == 2)
            await declare_dead(silent)
            here.join("here", capacity=2)
            await until(lambda: len(answers) == 2)
            first = "here sent" if idempotent else "sent maybe_executed"
            assert sorted(answers) == sorted([first, "here unsent"])
            silence.set()
            await until(lambda: not silent.providers[0].busy)
            assert taken[-1] == "refused"
            assert len(answers) == 2

    run(story)


@pytest.mark.parametrize(
    ("argument", "expected"), [("unsent", "p unsent"), ("sent", "sent maybe_executed")]
)
def test_a_node_that_leaves_gives_its_calls_to_others(
    redis_for_all: RedisServer, prefix: str, argument: str, expected: str
) -> None:
    held = trio.Event()

    async def hold(call: RemoteCall, identity: str, sending: Sending) -> bytes:
        if call.argument == b"sent":
            await sending()
        held.set()
        await trio.sleep_forever()
        raise AssertionError

    async def story() -> None:
        url = redis_for_all.url
        answers: list[str] = []
        async with node(url, prefix) as here, trio.open_nursery() as nursery:
            async with node(url, prefix, hold) as leaving:
                leaving.join("leaving")
                nursery.start_soon(collect, answers, here, argument)
                await held.wait()
                await here.until_knows("leaving")
            await here.until_knows()
            here.join("p")
            await until(lambda: answers)
        assert answers == [expected]

    run(story)


def test_a_pool_that_stops_leaves_nothing_for_long(redis_for_all: RedisServer, prefix: str) -> None:
    gate = Gate()

    async def story() -> None:
        url = redis_for_all.url
        async with node(url, prefix) as here, node(url, prefix, gate) as there:
            there.join("p", capacity=None)
            async with trio.open_nursery() as nursery:
                for name in ("1", "2"):
                    nursery.start_soon(here.call, name)
                nursery.start_soon(here.call, "3")
                await gate.until_arrived(3)
                for key in keys(prefix):
                    assert 0 < time_to_live(key) <= 50_000
                gate.open()
            # Streams hold what hasn't ended, and no more.
            assert redis_for_all.command("XLEN", f"{prefix}{STREAM}") == b":0\r\n"
            for told in (here, there):
                inbox = f"{prefix}inbox:{told.backend._id}"
                await until(lambda inbox=inbox: redis_for_all.command("XLEN", inbox) == b":0\r\n")  # type: ignore[misc]
        left = keys(prefix)
        assert not [key for key in left if "calls:" not in key and "streams" not in key]
        assert all(0 < time_to_live(key) <= 50_000 for key in left)

    def keys(of: str) -> list[str]:
        lines = redis_for_all.command("KEYS", f"{of}*").decode().split("\r\n")
        return [line for line in lines if line.startswith(of)]

    def time_to_live(key: str) -> int:
        return int(redis_for_all.command("PTTL", key)[1:])

    run(story)


def test_the_calls_of_a_dead_node_are_dropped(redis_for_all: RedisServer, prefix: str) -> None:
    """Nobody waits for what it wanted."""

    async def story() -> None:
        url = redis_for_all.url
        answers: list[str] = []
        async with (
            node(url, prefix) as here,
            node(url, prefix, lease=60.0) as dead,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(collect, answers, dead, "its own")
            await until(lambda: redis_for_all.command("XLEN", prefix + STREAM) == b":1\r\n")
            redis_for_all.command("ZADD", f"{prefix}nodes", "1", dead.backend._id)
            here.join("p")
            assert await here.call("mine") == "p mine"
            assert [call.argument for call in here.made] == [b"mine"]
            nursery.cancel_scope.cancel()

    run(story)


def test_who_calls_is_told_when_his_node_ends(redis_for_all: RedisServer, prefix: str) -> None:
    answers: list[str] = []

    async def story() -> None:
        async with trio.open_nursery() as nursery, node(redis_for_all.url, prefix) as here:
            nursery.start_soon(collect, answers, here, "x")
            await until(lambda: redis_for_all.command("XLEN", f"{prefix}{STREAM}") == b":1\r\n")

    run(story)
    assert answers == ["x maybe_executed"]


def test_nonsense_at_redis_harms_nobody(
    redis_for_all: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with node(redis_for_all.url, prefix, echo) as here:
            for stream in ("", "[", "5", '["a",null]', "[1,null,[]]", '["a",2,[]]', "[" * 9999):
                redis_for_all.command("PUBLISH", f"{prefix}waiting", stream)
            for news in ("", "x", "x y z", "x 1 [", "x 2 []", 'x 3 {"/":[1]}', 'x 4 {"/":5}'):
                redis_for_all.command("PUBLISH", f"{prefix}news", news)
            redis_for_all.command("PUBLISH", f"{prefix}news", 'x 5 {"/pool":[["q",["l"],null]]}')
            await here.until_knows("q")
            [announced] = here.backend.nodes.values()
            assert announced[PATH][0].labels == {"l"}
            here.join("p")
            assert await here.call("x", Wish(provider="p")) == "p x"
            assert await here.call("x") == "p x"

            # Nor do calls that no node can have made.
            add = ("XADD", prefix + STREAM, "*", "caller")
            redis_for_all.command(*add, here.backend._id, "method", "A.B")
            redis_for_all.command(*add, here.backend._id, "until", "x", "attempts", "y")
            redis_for_all.command(*add, "nobody")
            redis_for_all.command("XADD", prefix + STREAM, "*", "x", "y")
            assert await here.call("y") == "p y"
            await until(lambda: redis_for_all.command("XLEN", prefix + STREAM) == b":0\r\n")

    run(story)
    assert "was dropped" in caplog.text


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_call_of_which_nobody_knows_is_not_made_twice(
    redis: RedisServer, idempotent: bool
) -> None:
    """Redis took it and hung; when it goes on, it is given the call again, or asked for it."""

    async def story() -> None:
        async with node(redis.url, "p:", timeout=0.3) as here, node(redis.url, "p:") as there:
            answers: list[str] = []

            async def ask(argument: str) -> None:
                answers.append(await here.call(argument, idempotent=idempotent))

            async with trio.open_nursery() as nursery:
                redis.freeze()
                try:
                    for number in range(5):
                        nursery.start_soon(ask, str(number))
                    # That it hangs is noticed, and the calls are about to be given again.
                    await until(lambda: not here.backend._commands.is_open)
                finally:
                    redis.thaw()
                there.join("p", capacity=3)
            assert sorted(answers) == [f"p {number}" for number in range(5)]
            assert sorted(call.argument for call in there.made) == [b"0", b"1", b"2", b"3", b"4"]

    run(story)


def test_what_an_older_connection_brings_is_refused(redis: RedisServer) -> None:
    """Its call has been given again since: it would be there twice."""

    async def story() -> None:
        async with node(redis.url, "p:") as here:
            script = SUBMIT.decode()
            old = ("p:", "50000", STREAM[6:], "10", "new", "0", "a", here.backend._id, "0")
            assert b"an older connection" in redis.command("EVAL", script, "1", *old)
            assert redis.command("EXISTS", f"p:{STREAM}") == b":0\r\n"

    run(story)
