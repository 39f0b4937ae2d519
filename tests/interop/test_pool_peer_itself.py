"""The pool's Go peers against each other: what they report is what happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.interop.poolpeer import (
    check_errors,
    check_order,
    echo_everything,
    go_caller,
    go_pool,
    go_provider,
)
from tests.transports.conftest import Authority

if TYPE_CHECKING:
    from tests.interop.conftest import StartPeer, Story

ASKED = 7  # exit status of a provider that was told to die of a call
FAILED = 6  # of one that couldn't connect

Run = Callable[["Story"], None]


@pytest.fixture(params=["gob", "json"])
def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_pool_calls_its_provider(pool_peer: StartPeer, run: Run, codec: str) -> None:
    flags = ("--codec", codec)

    async def story() -> None:
        async with (
            go_pool(pool_peer, *flags) as pool,
            go_provider(pool_peer, pool.url(), "--origin", "http://here/", *flags) as provider,
        ):
            [arrival] = await pool.connected()
            assert arrival["origin"] == "http://here/"
            assert (arrival["path"], arrival["subprotocols"]) == ("/", None)
            await echo_everything(pool, codec)
            await check_errors(pool, codec)
            await check_order(pool)
            await provider.command("close", code=1001)
            assert (await pool.peer.wait_for("disconnected"))["code"] == 1001

    run(story)


def test_a_caller_calls_the_pool(pool_peer: StartPeer, run: Run, codec: str) -> None:
    flags = ("--codec", codec)

    async def story() -> None:
        async with (
            go_pool(pool_peer, "--callbacks", "/cb", *flags) as pool,
            go_caller(pool_peer, pool.url("/cb"), *flags) as caller,
        ):
            await echo_everything(caller, codec)
            await check_errors(caller, codec)
            tally = await caller.call_many(300, in_flight=20)
            assert (tally["ok"], tally["failed"], tally["wrong"]) == (300, 0, 0)

    run(story)


def test_paths_and_several_connections(pool_peer: StartPeer, run: Run) -> None:
    async def story() -> None:
        async with (
            go_pool(pool_peer, "--bind", "/db=Arith", "--bind", "/") as pool,
            go_provider(pool_peer, pool.url("/db"), "--connections", 3) as database,
            go_provider(pool_peer, pool.url("/other"), "--header", "Wirecore-Provider: x") as other,
        ):
            arrivals = await pool.connected(4)
            assert sorted(event["path"] for event in arrivals) == ["/db", "/db", "/db", "/other"]
            [named] = [event for event in arrivals if event["path"] == "/other"]
            assert named["fields"] == {"Wirecore-Provider": "x"}
            assert (await pool.call_many(90, in_flight=6))["ok"] == 90
            assert await pool.call("Echo.Say", "hello") == "hello"
            await pool.command("close")
            for provider, calls in ((database, 90), (other, 1)):
                await provider.peer.wait_for("disconnected")
                assert (await provider.peer.wait_for("served"))["calls"] == calls

    run(story)


def test_a_call_goes_on_when_its_provider_dies(pool_peer: StartPeer, run: Run) -> None:
    """Whichever of the two takes it first dies of it; the other answers."""

    async def story() -> None:
        async with go_pool(pool_peer) as pool:
            async with go_provider(pool_peer, pool.url(), "--exit-on", "Echo.Say") as mortal:
                await pool.connected()
                number = await pool.begin("Echo.Say", "hello")
                lost = await pool.peer.wait_for("lost_call", method="Echo.Say")
                assert "EOF" in lost["reason"]
                assert await mortal.peer.finish() == ASKED
            async with go_provider(pool_peer, pool.url()):
                assert await pool.answer(number) == "hello"

    run(story)


def test_a_provider_comes_back(pool_peer: StartPeer, run: Run) -> None:
    async def story() -> None:
        async with (
            go_pool(pool_peer) as pool,
            go_provider(pool_peer, pool.url(), "--reconnect", "20ms") as provider,
        ):
            await provider.connected()
            await pool.command("close")
            await provider.peer.wait_for("disconnected")
            await provider.peer.wait_for("refused")
            await pool.command("listen")
            await provider.connected()
            assert await pool.call("Echo.Int", 5) == 5

    run(story)


def test_refusals(pool_peer: StartPeer, run: Run) -> None:
    async def story() -> None:
        async with go_pool(pool_peer, "--bind", "/x", "--allow-origin", "http://good/") as pool:
            for path, origin, status in (("/x", "http://bad/", 403), ("/y", "http://good/", 404)):
                async with go_provider(pool_peer, pool.url(path), "--origin", origin) as provider:
                    await provider.peer.wait_for("refused", status=status)
                    await provider.peer.wait_for("exit")
                    assert await provider.peer.finish() == FAILED

    run(story)


def test_certificates(pool_peer: StartPeer, run: Run, tmp_path: Path) -> None:
    for name in ("known", "foreign"):
        (tmp_path / name).mkdir()
    known, foreign = Authority(tmp_path / "known"), Authority(tmp_path / "foreign")
    own = known.certify("pool.test")

    async def story() -> None:
        async with go_pool(pool_peer, "--cert", own, "--ca", known.path) as pool:
            flags = ("--ca", known.path, "--cert", known.certify("provider.test"))
            async with go_provider(pool_peer, pool.url(), *flags):
                [arrival] = await pool.connected()
                assert arrival["certificate"] == "provider.test"
                assert await pool.call("Echo.Int", 5) == 5
            for refused in (
                ("--ca", known.path),  # none
                ("--ca", known.path, "--cert", foreign.certify("provider.test")),
                ("--ca", foreign.path, "--cert", known.certify("provider.test")),
            ):
                async with go_provider(pool_peer, pool.url(), *refused) as provider:
                    await provider.peer.wait_for("refused")

    run(story)


def test_unanswered_pings(pool_peer: StartPeer, run: Run) -> None:
    """A pool that is frozen answers none."""

    async def story() -> None:
        async with (
            go_pool(pool_peer) as pool,
            go_provider(pool_peer, pool.url(), "--ping-interval", "100ms") as provider,
        ):
            await provider.peer.wait_for("pong", count=4)  # as many as may go unanswered, and more
            pool.peer.freeze()
            await provider.peer.wait_for("unanswered", pings=2)
            pool.peer.thaw()

    run(story)


def test_a_bench(pool_peer: StartPeer, run: Run, codec: str) -> None:
    flags = ("--codec", codec, "--connections", 3)
    loaded = ("--bench", "--in-flight", 8, "--warm-up", 0.05, "--seconds", 0.2)

    async def story() -> None:
        async with (
            go_pool(pool_peer, *loaded, *flags) as pool,
            go_provider(pool_peer, pool.url(), *flags),
        ):
            result = await pool.peer.wait_for("result")
            assert "error" not in result
            assert result["count"] > 100
            assert 0 < result["p50_us"] <= result["p99_us"]

    run(story)


def test_its_ends_of_the_benchmarks(pool_peer: StartPeer, run: Run, codec: str) -> None:
    """The command line of ``bench/peers``: the pool is told where its provider waits for it."""
    load = ("--in-flight", 8, "--warm-up", 0.05, "--seconds", 0.1, "--size", 64, "--watch", 1)
    options = ("--option", f"codec={codec}", "--option", "connections=3")

    async def story() -> None:
        async with pool_peer("serve") as provider:
            port = (await provider.wait_for("listening"))["port"]
            async with pool_peer("drive", "--port", port, *load, *options) as pool:
                await pool.wait_for("begin")
                await pool.wait_for("end")
                result = await pool.wait_for("result")
                assert result["count"] == result["checked"] > 0
                assert "gorilla v" in result["version"]
                for number in (1, 2, 3):
                    await pool.wait_for("connected", number=number)

    run(story)
