"""Calls from node to node: to whom they go, how they end, and where they wait."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.transports.pool.backends.conftest import run
from tests.transports.pool.backends.nodes import PATH, FakeNode, Gate, node, until
from tests.transports.redis_server import RedisServer
from wirecore.errors import (
    CallLost,
    InvalidOption,
    InvalidState,
    LocalLimitExceeded,
    RpcError,
    UnsendableGob,
)
from wirecore.protocols.pool.slots import Wish
from wirecore_trio.pool.backends import (
    BackendError,
    CallExpired,
    RedisBackend,
    RemoteCall,
    Sending,
)


def test_a_call_goes_to_the_node_that_has_a_provider(
    redis_for_all: RedisServer, prefix: str
) -> None:
    async def story() -> None:
        url = redis_for_all.url
        async with node(url, prefix) as here, node(url, prefix) as there:
            there.join("p")
            assert await here.call("one") == "p one"
            assert await there.call("two") == "p two"
            one = there.made[0]
            assert (one.path, one.method, one.codec, one.wish) == (PATH, "A.B", "gob", Wish())
            assert one.timeout is not None
            assert 25 < one.timeout < 35  # by the clock of Redis
            assert (one.attempt, one.idempotent, here.made) == (1, False, [])
            # Arguments are any bytes, and none.
            everything = bytes(range(256)) * 1000
            for argument in (everything, b""):
                call = RemoteCall(PATH, "A.B\udcff", "json", argument, idempotent=True)
                assert await here.backend.submit(call) == b"p " + argument
            assert there.made[-1] == RemoteCall(
                PATH, "A.B\udcff", "json", b"", idempotent=True, attempt=1
            )

    run(story)


def test_a_call_waits_where_all_see_it(redis_for_all: RedisServer, prefix: str) -> None:
    """In no node that has nobody for it: whoever is free first takes it."""
    gate = Gate()

    async def story() -> None:
        url = redis_for_all.url
        async with (
            node(url, prefix) as here,
            node(url, prefix, gate) as busy,
            node(url, prefix) as late,
            trio.open_nursery() as nursery,
        ):
            busy.join("slow", capacity=2)
            for name in ("1", "2", "3", "4", "5"):
                nursery.start_soon(here.call, name)
            await gate.until_arrived(2)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert len(gate.arrived) == 2
            late.join("fast")
            await until(lambda: len(late.made) == 3)
            gate.open()
        assert busy.most_busy == 2
        assert late.most_busy == 1
        assert len(busy.made) == 2

    run(story)


def test_many_calls_of_many_nodes_are_each_made_once(
    redis_for_all: RedisServer, prefix: str
) -> None:
    async def story() -> None:
        url = redis_for_all.url
        answers: list[str] = []

        async def ask(caller: FakeNode, name: str) -> None:
            answers.append((await caller.call(name)).split()[1])

        async with node(url, prefix) as a, node(url, prefix) as b, node(url, prefix) as c:
            a.join("p1", capacity=1)
            b.join("p2", capacity=3)
            c.join("p3", capacity=None)
            async with trio.open_nursery() as nursery:
                for number in range(200):
                    nursery.start_soon(ask, (a, b, c)[number % 3], str(number))
            made = [call.argument.decode() for each in (a, b, c) for call in each.made]
            assert sorted(made) == sorted(answers) == sorted(map(str, range(200)))
            assert a.most_busy == 1
            assert b.most_busy <= 3
            # Nothing is kept of them.
            places = [f"{prefix}places:{each.backend._id}" for each in (a, b, c)]
            await until(
                lambda: {redis_for_all.command("HLEN", each) for each in places} == {b":0\r\n"}
            )

    run(story)


def test_wishes_are_for_those_who_fit(redis_for_all: RedisServer, prefix: str) -> None:
    async def story() -> None:
        url = redis_for_all.url
        async with (
            node(url, prefix) as here,
            node(url, prefix) as there,
            node(url, prefix) as third,
            trio.open_nursery() as nursery,
        ):
            first = there.join("first", "gpu big", capacity=9)
            third.join("second", "gpu", capacity=9)
            third.join("third", "", capacity=9)
            assert await here.call("x", Wish(provider="second")) == "second x"
            assert await here.call("x", Wish(labels=frozenset({"gpu", "big"}))) == "first x"
            named = Wish(provider="first", labels=frozenset({"gpu"}))
            assert await here.call("x", named) == "first x"
            # What nobody can do holds up nobody else, and is done when somebody can.
            late: list[str] = []

            async def wait_for(wish: Wish) -> None:
                late.append(await here.call("late", wish))

            nursery.start_soon(wait_for, Wish(labels=frozenset({"tpu"})))
            nursery.start_soon(wait_for, Wish(provider="nobody"))
            assert await here.call("y", Wish(provider="third")) == "third y"
            assert late == []
            there.part(first)
            there.join("nobody", "tpu", capacity=1)
            await until(lambda: len(late) == 2)
            assert set(late) == {"nobody late"}

    run(story)


def test_a_key_keeps_to_its_provider(redis_for_all: RedisServer, prefix: str) -> None:
    async def story() -> None:
        url = redis_for_all.url
        async with node(url, prefix) as a, node(url, prefix) as b, trio.open_nursery() as nursery:
            providers = {
                name: owner.join(name, "x", capacity=9) for owner, name in [(a, "p1"), (b, "p2")]
            }
            other = b.join("p3", "", capacity=9)
            await a.until_knows("p2", "p3")
            await b.until_knows("p1")
            wishes = [Wish(None, frozenset({"x"}), f"key-{number}") for number in range(20)]
            chosen = []
            for wish in wishes:
                one, two = await a.call("", wish), await b.call("", wish)
                assert one == two
                assert one.split() == [a.backend.choose(PATH, wish)]
                assert a.backend.choose(PATH, wish) == b.backend.choose(PATH, wish)
                chosen.append(one.split()[0])
            assert set(chosen) == {"p1", "p2"}
            # It waits for its provider, and goes elsewhere when that has gone for good.
            providers["p2"].busy = 9
            wish = wishes[chosen.index("p2")]
            answers: list[str] = []

            async def ask() -> None:
                answers.append(await a.call("waited", wish))

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert answers == []
            b.part(providers["p2"])
            await until(lambda: answers)
            assert answers == ["p1 waited"]
            b.part(other)

    run(story)


def test_a_key_waits_for_somebody_to_keep_to(redis_for_all: RedisServer, prefix: str) -> None:
    async def story() -> None:
        async with (
            node(redis_for_all.url, prefix) as here,
            node(redis_for_all.url, prefix) as there,
            trio.open_nursery() as nursery,
        ):
            with pytest.raises(CallExpired, match="not_sent"):
                await here.call("x", Wish(key="k"), within=0.05)
            answers: list[str] = []

            async def ask() -> None:
                answers.append(await here.call("x", Wish(key="k")))

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked(0.02)
            there.join("p")
            await until(lambda: answers)

    run(story)


def test_errors_come_as_they_are(
    redis_for_all: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(call: RemoteCall, identity: str, sending: Sending) -> bytes:
        await sending()
        if call.argument == b"rpc":
            raise RpcError("the text \udcff")
        if call.argument == b"lost":
            raise CallLost("gone", execution="maybe_executed")
        if call.argument == b"late":
            raise CallExpired("late", execution="maybe_executed")
        if call.argument == b"unsendable":
            raise UnsendableGob("this can't be sent")
        raise ZeroDivisionError("a secret")

    async def story() -> None:
        url = redis_for_all.url
        async with node(url, prefix) as here, node(url, prefix, fail) as there:
            there.join("p")
            with pytest.raises(RpcError) as told:
                await here.call("rpc")
            assert told.value.text == "the text \udcff"
            with pytest.raises(CallLost) as lost:
                await here.call("lost")
            assert lost.value.execution == "maybe_executed"
            with pytest.raises(CallExpired) as expired:
                await here.call("late")
            assert expired.value.execution == "maybe_executed"
            with pytest.raises(BackendError, match="this can't be sent"):
                await here.call("unsendable")
            with pytest.raises(BackendError, match="internal error"):
                await here.call("bug")

    run(story)
    assert "a secret" in caplog.text


def test_a_call_that_was_not_sent_goes_on_to_another(
    redis_for_all: RedisServer, prefix: str
) -> None:
    """And one that was does so where it may be made twice; not for ever."""
    tries: list[str] = []

    async def lose(call: RemoteCall, identity: str, sending: Sending) -> bytes:
        tries.append(call.argument.decode())
        if call.argument != b"early":
            await sending()
        if len(tries) < 3 or call.argument == b"never":
            raise CallLost(
                "gone", execution="not_sent" if call.argument == b"early" else "maybe_executed"
            )
        return b"made at last"

    async def story() -> None:
        url = redis_for_all.url
        async with node(url, prefix) as here, node(url, prefix, lose) as there:
            there.join("p")
            assert await here.call("early") == "made at last"
            assert [call.attempt for call in there.made] == [1, 2, 3]
            tries.clear()
            with pytest.raises(CallLost, match=r"was lost") as caught:
                await here.call("early", once=True)
            assert caught.value.execution == "not_sent"
            assert tries == ["early"]
            tries.clear()
            assert await here.call("again", idempotent=True) == "made at last"
            assert tries == ["again"] * 3
            with pytest.raises(CallLost, match="maybe_executed"):
                await here.call("never", idempotent=True)
            assert tries.count("never") == 10

    run(story)


def test_out_of_time(redis_for_all: RedisServer, prefix: str) -> None:
    gate = Gate()

    async def story() -> None:
        url = redis_for_all.url
        async with node(url, prefix) as here, node(url, prefix, gate) as there:
            with pytest.raises(CallExpired, match=r"within 0.05 s") as expired:
                await here.call("waits", within=0.05)
            assert expired.value.execution == "not_sent"
            provider = there.join("p")
            with pytest.raises(CallExpired) as expired:
                await here.call("made", within=0.3)
            assert expired.value.execution == "maybe_executed"
            # It was cancelled there, too, and what waited isn't made any more.
            await until(lambda: not provider.busy)
            assert gate.arrived == ["made"]

    run(story)


def test_cancelled(redis_for_all: RedisServer, prefix: str) -> None:
    gate = Gate()

    async def story() -> None:
        url = redis_for_all.url
        async with node(url, prefix) as here, node(url, prefix, gate) as there:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(here.call, "waits")
                await trio.testing.wait_all_tasks_blocked(0.05)
                nursery.cancel_scope.cancel()
            provider = there.join("p")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(here.call, "made")
                await gate.until_arrived(1)
                nursery.cancel_scope.cancel()
            await until(lambda: not provider.busy)
            assert gate.arrived == ["made"]

    run(story)


def test_cancelled_on_its_way(redis_for_all: RedisServer, prefix: str) -> None:
    """At whatever step: nothing stays that somebody would begin later."""
    stream = f'{prefix}calls:["{PATH}",null,[]]'

    async def story() -> None:
        async with node(redis_for_all.url, prefix) as here:
            for steps in range(12):
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(here.call)
                        for _ in range(steps):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()
            # What follows is done after all that.
            with pytest.raises(CallExpired, match="not_sent"):
                await here.call("last", within=0.05)
            await until(lambda: redis_for_all.command("XLEN", stream) == b":0\r\n")

    run(story)


def test_only_so_many_wait(redis_for_all: RedisServer, prefix: str) -> None:
    async def story() -> None:
        async with (
            node(redis_for_all.url, prefix, max_waiting=3) as here,
            trio.open_nursery() as nursery,
        ):
            for _ in range(3):
                nursery.start_soon(here.call)
            await trio.testing.wait_all_tasks_blocked(0.05)
            with pytest.raises(LocalLimitExceeded, match="max_waiting"):
                await here.call()
            nursery.cancel_scope.cancel()

    run(story)


def test_misuse() -> None:
    with pytest.raises(InvalidOption, match="redis://"):
        RedisBackend("http://localhost")
    with pytest.raises(InvalidOption, match="lease"):
        RedisBackend("redis://localhost", lease=0)
    with pytest.raises(InvalidOption, match="max_waiting"):
        RedisBackend("redis://localhost", max_waiting=0)
    with pytest.raises(TypeError, match="prefix"):
        RedisBackend("redis://localhost", prefix=b"x")  # type: ignore[arg-type]

    async def story() -> None:
        with pytest.raises(InvalidState, match="doesn't run"):
            await RedisBackend("redis://localhost").submit(RemoteCall(PATH, "A.B", "gob", b""))

    run(story)


def test_one_backend_runs_once(redis_for_all: RedisServer, prefix: str) -> None:
    async def story() -> None:
        async with node(redis_for_all.url, prefix) as here:
            with pytest.raises(InvalidState, match="runs already"):
                await here.backend.run(here)

    run(story)
