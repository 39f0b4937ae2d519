"""Our Provider with a pool in Go that calls it, and our call-backs with one that serves them.

What the original is known to do wrong, and who shows that ours survives it and does better:

- A nil result kills the JSON client that asked for it: what Go gives is read
  (``test_pool_server.test_a_null_result``, ``test_calls_to_a_pool_in_go``), and Go is never given
  one (``poolpeer.check_nothing``, for callers and for pools).
- A client that died of what it read keeps its connection, and a pool goes on giving it calls:
  ours closes at once (``test_another_codec`` here and there, ``test_calling_session``:
  ``test_what_is_no_answer_ends_the_connection``), and notices that such a peer reads no more
  (``test_a_pool_whose_client_died``, ``test_pool_server.test_a_caller_whose_client_died``).
- A result that can't be sent closes the connection (``test_pool_server``:
  ``test_a_result_that_go_cannot_send``); ours answers with an error (``test_invoking``:
  ``test_a_reply_that_cant_be_sent_is_an_error_and_the_connection_lives``).
- Calls wait for a provider for ever: ``test_pool_server.test_no_provider``.
- A pool sends no pings, a caller neither: ours does in all four roles
  (``test_pool_server.test_a_provider_is_silent``, ``test_a_pool_is_silent``).
- A caller doesn't connect again: ``test_a_pool_that_comes_back``.
- Closing hangs while the pool is away: ``test_closing_while_the_pool_is_away``.
- Messages have no bound: ``tests/transports/pool/test_rough.py``,
  ``test_a_call_that_ends_each_connection_is_given_up``, and ``test_json_stream.py``.
- A pool that lacks its certificate listens in plain text: ``test_pool_tls.test_the_wrong_scheme``
  shows what a provider is told then; ours has TLS where it is given a context, and only there.
- The n empty entries of ``ConnectAndServeMulti`` have no counterpart.
"""

from __future__ import annotations

from collections.abc import Callable
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
    go_pool,
)
from tests.transports.pool.world import until
from wirecore._backend import Backend, default
from wirecore.errors import CallLost, UpgradeRejected
from wirecore_trio import pool

if TYPE_CHECKING:
    from tests.interop.conftest import StartPeer, Story

Run = Callable[["Story"], None]


@pytest.fixture(params=["gob", "json"])
def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def our_provider(
    codec: str = "gob", kind: Any = None, *, backend: Backend = default, **options: Any
) -> pool.Provider:
    """Ours, which comes back fast; *kind*: what Echo's methods are said to take, else their own."""
    made = pool.ProviderOptions(**{"delay": 0.001, "max_delay": 0.001, **options})
    return pool.Provider(Arith(), echo(codec, kind), options=made, backend=backend)


# --- calls ----------------------------------------------------------------------------------


def test_a_pool_in_go_calls_it(
    pool_peer: StartPeer, run: Run, backend: Backend, codec: str
) -> None:
    spoken = codec_named(codec)

    async def story() -> None:
        async with go_pool(pool_peer, "--codec", codec) as go:
            typed = our_provider(codec, backend=backend)
            async with typed.serve(go.url(), codec=spoken, connections=3, name="n", labels=["l"]):
                for arrival in await go.connected(3):
                    assert arrival["origin"] == "http://localhost/"
                    assert arrival["fields"] == {
                        "Wirecore-Provider": "n",
                        "Wirecore-Labels": "l",
                        "Wirecore-Direction": "serves",
                    }
                await echo_everything(go, codec)
                await check_errors(go, codec)
                await check_order(go)
                await check_nothing(go, codec)
                tally = await go.call_many(300, in_flight=20)
                assert (tally["ok"], tally["failed"], tally["wrong"]) == (300, 0, 0)
            for event in [await go.peer.wait_for("disconnected") for _ in range(3)]:
                assert (event["code"], event["messages_read"] > 10) == (1000, True)
            loose = our_provider(codec, Any, backend=backend)
            async with loose.serve(go.url(), codec=spoken, wait=True):
                await echo_everything(go, codec, PLAIN_IN_GOB if codec == "gob" else ())
                await check_nothing(go, codec)

    run(story)


def test_calls_to_a_pool_in_go(
    pool_peer: StartPeer, run: Run, backend: Backend, codec: str
) -> None:
    flags = ("--callbacks", "/cb", "--codec", codec)

    async def story() -> None:
        async with go_pool(pool_peer, *flags) as go:
            calling = our_provider(backend=backend).connect_callbacks(
                go.url("/cb"), codec=codec_named(codec)
            )
            async with calling as client:
                await call_everything(client.call, codec)
                await check_failures(client.call, codec)
                await check_our_order(client.call)
                nothing = None if codec == "json" else Point()
                assert await client.call("Echo.Null", "", Point | None) == nothing
                assert await client.call("Echo.Null", "", Point) == Point()
                many = [
                    client.submit("Arith.Multiply", Args(number, -7), int) for number in range(300)
                ]
                assert [await each.wait() for each in many] == [-7 * n for n in range(300)]
                await go.connected()
                assert go.peer.seen == []

    run(story)


def test_paths_and_refusals(pool_peer: StartPeer, run: Run) -> None:
    """A service has its path; an unknown one is 404, an origin that isn't wanted 403."""
    flags = ("--bind", "/db=Arith", "--bind", "/other=Echo", "--allow-origin", "http://localhost/")

    async def story() -> None:
        once = our_provider(persist=False)
        async with go_pool(pool_peer, *flags) as go:
            async with (
                once.serve(go.url("/db"), connections=2) as database,
                once.serve(go.url("/other")) as other,
            ):
                arrivals = await go.connected(3)
                assert sorted(event["path"] for event in arrivals) == ["/db", "/db", "/other"]
                assert await go.call("Arith.Multiply", {"A": 6, "B": 7}) == 42
                assert await go.call("Echo.Say", "hello") == "hello"
                with pytest.raises(GoError, match="no path is bound"):
                    await go.call("Nobody.Here", "x", kind="say")
                assert (database.connected, other.connected) == (2, 1)
            refused: list[tuple[str, dict[str, Any], int]] = [
                ("/nowhere", {}, 404),
                ("/db", {"origin": "http://elsewhere.test"}, 403),
                ("/db", {"origin": None}, 403),
            ]
            for path, dialing, status in refused:
                with pytest.raises(UpgradeRejected) as caught:
                    async with once.serve(go.url(path), wait=True, **dialing):
                        pass
                assert caught.value.status == status

    run(story)


# --- what goes wrong ------------------------------------------------------------------------


def test_another_codec(pool_peer: StartPeer, run: Run, codec: str) -> None:
    """Neither end understands a word, and nothing says so before the first call."""
    other = "json" if codec == "gob" else "gob"
    hello = "hello " * 50  # longer than the gob message that begins with a brace

    async def story() -> None:
        async with go_pool(pool_peer, "--codec", other, "--bind", "/", "--callbacks", "/cb") as go:
            provider = our_provider(codec)
            async with (
                provider.serve(go.url(), codec=codec),
                provider.connect_callbacks(go.url("/cb"), codec=codec) as client,
            ):
                with pytest.raises(GoError, match="1002"):
                    await go.call("Echo.Say", hello)
                with pytest.raises(CallLost):
                    await client.call("Echo.Say", hello, str)

    run(story)


def test_a_pool_whose_client_died(pool_peer: StartPeer, run: Run, codec: str) -> None:
    """It can't read the result that it asked for, keeps the connection, and reads no pings."""

    async def story() -> None:
        async with go_pool(pool_peer, "--codec", codec) as go:
            provider = our_provider(codec, **WATCHFUL)
            async with provider.serve(go.url(), codec=codec_named(codec)) as serving:
                events = serving.events()
                with pytest.raises(GoError, match="reading body"):
                    await go.call("Echo.Say", "text", result="int")
                # It goes on with the next connection, as soon as ours has given up this one.
                assert await go.call("Echo.Say", "text") == "text"
                kinds = [(await anext(events)).kind.value for _ in range(3)]
                assert kinds == ["connected", "disconnected", "connected"]

    run(story)


def test_a_pool_is_silent(pool_peer: StartPeer, run: Run) -> None:
    """Nothing tells of a frozen one but its pongs that don't come: in both directions."""

    async def story() -> None:
        async with go_pool(pool_peer, "--bind", "/", "--callbacks", "/cb") as go:
            provider = our_provider(**WATCHFUL)
            async with (
                provider.serve(go.url(), wait=True) as serving,
                provider.connect_callbacks(go.url("/cb"), wait=True) as client,
            ):
                lost = client.submit("Echo.Sleep", 300, int)
                assert await client.call("Echo.Int", 1, int) == 1
                go.peer.freeze()
                with trio.fail_after(2), pytest.raises(CallLost) as caught:
                    await lost.wait()
                assert caught.value.execution == "maybe_executed"
                await serving.wait_disconnected()
                go.peer.thaw()
                await serving.wait_connected()
                assert await go.call("Echo.Say", "back") == "back"
                assert await client.call("Echo.Say", "back", str) == "back"

    run(story)


# --- who goes, and comes back -----------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1001, 1011])
def test_a_pool_that_comes_back(pool_peer: StartPeer, run: Run, code: int) -> None:
    """Gone in the middle of calls, with no close frame or that; then it listens again."""

    async def story() -> None:
        async with go_pool(pool_peer, "--bind", "/", "--callbacks", "/cb") as go:
            provider = our_provider()
            async with (
                provider.serve(go.url(), connections=3) as serving,
                provider.connect_callbacks(go.url("/cb")) as client,
            ):
                for _ in range(2):
                    await until(lambda: serving.connected + client.connected == 4)
                    events = serving.events()
                    theirs = await go.begin("Echo.Sleep", 400)
                    ours = client.submit("Echo.Sleep", 400, int)
                    assert await go.call("Echo.Int", 1) == await client.call("Echo.Int", 1) == 1
                    await go.command("close", code=code)
                    await go.peer.wait_for("not_listening")
                    with pytest.raises(CallLost) as caught:
                        await ours.wait()
                    assert caught.value.execution == "maybe_executed"
                    with pytest.raises(GoError, match="use of closed network connection"):
                        await go.answer(theirs)
                    waits = client.submit("Echo.Say", "here", str)
                    while (event := await anext(events)).kind is not pool.Happening.FAILED:
                        assert event.kind is pool.Happening.DISCONNECTED
                        assert str(code or 1006) in str(event.error)
                    await go.command("listen")
                    assert await waits.wait() == "here"
                    assert await go.call("Echo.Say", "here") == "here"

    run(story)


def test_a_provider_that_leaves(pool_peer: StartPeer, run: Run) -> None:
    """Drained, it answers what it has; cancelled, its call goes on to the next."""

    async def story() -> None:
        async with go_pool(pool_peer) as go:
            async with our_provider().serve(go.url(), connections=2) as drained:
                await go.connected(2)
                numbers = [await go.begin("Echo.Sleep", 50) for _ in range(2)]
                assert await go.call("Echo.Int", 1) == 1
                await drained.drain()
                assert [await go.answer(number) for number in numbers] == [50, 50]
                for _ in range(2):
                    assert (await go.peer.wait_for("disconnected"))["code"] == 1000
            with trio.CancelScope() as scope:
                async with our_provider().serve(go.url(), wait=True):
                    number = await go.begin("Echo.Sleep", 300)
                    assert await go.call("Echo.Int", 1) == 1
                    scope.cancel()
                    await trio.sleep_forever()
            assert (await go.peer.wait_for("disconnected"))["code"] == 1001
            await go.peer.wait_for("lost_call", method="Echo.Sleep")
            async with our_provider().serve(go.url()):
                assert await go.answer(number) == 300

    run(story)


def test_closing_while_the_pool_is_away(pool_peer: StartPeer, run: Run) -> None:
    async def story() -> None:
        async with go_pool(pool_peer, "--bind", "/", "--callbacks", "/cb") as go:
            provider = our_provider(delay=60, max_delay=60)
            async with (
                provider.serve(go.url(), wait=True) as serving,
                provider.connect_callbacks(go.url("/cb"), wait=True) as client,
            ):
                await go.command("close")
                await serving.wait_disconnected()
                await client.wait_disconnected()
                waits = client.submit("Echo.Say", "too late", str)
                with trio.fail_after(1):
                    await serving.close()
                    await client.close()
                    with pytest.raises(CallLost) as caught:
                        await waits.wait()
                assert caught.value.execution == "not_sent"

    run(story)
