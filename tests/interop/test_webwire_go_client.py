"""A Go client of webwire against our server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.interop.webwire_meeting import TEXT, command, make_server, our_server
from wirecore_trio import webwire

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.interop.conftest import PeerProcess, StartPeer, Story

Run = Callable[["Story"], None]
Dial = Callable[..., "AbstractAsyncContextManager[PeerProcess]"]

ENCODINGS = ("binary", "utf8", "utf16")

OUR_PROCESS = Path(__file__).with_name("webwire_process.py")


@pytest.fixture
def go_client(webwire_peer: StartPeer) -> Dial:
    """``async with go_client(port, "--login", "Ada") as go``."""
    return lambda port, *flags: webwire_peer("dial", "--address", f"127.0.0.1:{port}", *flags)


async def ask(go: PeerProcess, name: str, **members: object) -> dict[str, Any]:
    """What the Go client was answered."""
    await command(go, "request", name=name, **members)
    return await go.wait_for("answer", name=name)


def test_requests_come_back_in_every_encoding(go_client: Dial, run: Run) -> None:
    async def story() -> None:
        async with our_server() as (_, port), go_client(port) as go:
            configured = await go.wait_for("connected")
            assert (configured["major"], configured["minor"]) == (2, 0)
            assert configured["read_timeout_ms"] == 60_000
            for encoding in ENCODINGS:
                for text in (TEXT, ""):
                    answer = await ask(go, "echo", encoding=encoding, text=text)
                    assert answer["outcome"] == "reply"
                    assert (answer["encoding"], answer["text"]) == (encoding, text)
                answer = await ask(go, "to utf16", encoding=encoding, text=TEXT)
                assert (answer["encoding"], answer["text"]) == ("utf16", TEXT)
            await command(go, "close")
            await go.wait_for("closed", by="here", code=1000, unknown_replies=0)

    run(story)


def test_the_biggest_payload_passes_and_another_buffer_size_is_refused(
    go_client: Dial, run: Run
) -> None:
    async def story() -> None:
        async with our_server(make_server(buffer_size=1_000_000)) as (_, port):
            async with go_client(port, "--buffer-size", 1_000_000) as go:
                for size in (999_986, 1):  # after type, id, length of the name, and "echo"
                    answer = await ask(go, "echo", encoding="binary", size=size)
                    assert (answer["outcome"], answer["size"]) == ("reply", size)
            async with go_client(port) as other:  # with the default buffer
                await other.wait_for("refused", reason="a buffer of 1000000 bytes")

    run(story)


def test_errors_keep_their_names(go_client: Dial, run: Run) -> None:
    async def story() -> None:
        async with our_server() as (server, port), go_client(port) as go:
            answer = await ask(go, "fail", text=f"TOO_LATE {TEXT}")
            assert (answer["outcome"], answer["code"]) == ("error", "TOO_LATE")
            assert answer["text"] == TEXT
            assert (await ask(go, "fail within"))["outcome"] == "internal error"
            assert (await ask(go, "fail", text="nön-ASCII"))["outcome"] == "internal error"
            answer = await ask(go, "nobody takes this")
            assert (answer["outcome"], answer["code"]) == ("error", "UNKNOWN_REQUEST")
            await server.shutdown()
            await go.wait_for("closed", by="peer", code=1001)

    run(story)


def test_a_request_while_we_shut_down_is_refused_and_those_before_are_answered(
    go_client: Dial, run: Run
) -> None:
    async def story() -> None:
        server = make_server(concurrency=-1)
        begun, may_end = trio.Event(), trio.Event()

        @server.request("wait")
        async def wait(request: webwire.Request[Any]) -> str:
            begun.set()
            await may_end.wait()
            return "done"

        async with (
            our_server(server) as (_, port),
            trio.open_nursery() as nursery,
            go_client(port) as busy,
            go_client(port) as late,
        ):
            await command(busy, "request", name="wait")
            await begun.wait()
            await late.wait_for("connected")
            nursery.start_soon(server.shutdown)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert (await ask(late, "echo", text="hi"))["outcome"] == "shutdown"
            async with go_client(port) as later:
                await later.wait_for("refused", status=503)
            may_end.set()
            assert (await busy.wait_for("answer", name="wait"))["text"] == "done"
            for go in (busy, late):
                await go.wait_for("closed", by="peer", code=1001)

    run(story)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_ten_thousand_requests_in_flight(go_client: Dial, run: Run, encoding: str) -> None:
    load = ("--calls", 20_000, "--inflight", 10_000, "--encoding", encoding)

    async def story() -> None:
        async with our_server() as (_, port), go_client(port, *load) as go:
            done = await go.wait_for("calls", ok=20_000, wrong=0, failed=0, lost=0, timed_out=0)
            assert done["most"] > 1000  # it makes them while we answer

    run(story)


def test_signals_go_both_ways(go_client: Dial, run: Run) -> None:
    async def story() -> None:
        async with our_server() as (server, port), go_client(port, "--signals", 5000) as go:
            for encoding in ENCODINGS:
                await command(go, "signal", name="odd", encoding=encoding, text=TEXT)
                await go.wait_for("signal", name="odd", encoding=encoding, text=TEXT)
            assert await server.broadcast("news", webwire.Payload.utf16(TEXT)) == []
            await go.wait_for("signal", name="news", encoding="utf16", text=TEXT)
            assert await server.broadcast("n" * 255) == []
            await go.wait_for("signal", name="n" * 255, size=0)
            await command(go, "close")
            await go.wait_for("closed", by="here", signals=5005)

    run(story)


def test_heartbeats_keep_a_quiet_client_connected_and_silence_ends_it(
    go_client: Dial, run: Run
) -> None:
    async def story() -> None:
        async with (
            our_server(make_server(read_timeout=1.0)) as (server, port),
            go_client(port) as quiet,
            go_client(port, "--no-heartbeats") as silent,
        ):
            await silent.wait_for("closed", by="peer", code=1008)
            await trio.sleep(2.5)
            assert len(server.connections) == 1
            assert (await ask(quiet, "echo", text="still here"))["text"] == "still here"
            await command(quiet, "close")
            ended = await quiet.wait_for("closed", by="here", code=1000)
            assert ended["heartbeats"] >= 4

    run(story)


def test_a_session_is_made_restored_and_ended(go_client: Dial, run: Run) -> None:
    async def story() -> None:
        server = make_server(max_session_connections=2)
        async with our_server(server) as (_, port), go_client(port, "--login", TEXT) as go:
            session = await go.wait_for("session", info={"user": TEXT})
            assert (await go.wait_for("answer", name="login"))["outcome"] == "reply"
            async with go_client(port, "--key", session["key"]) as other, go_client(port) as third:
                restored = await other.wait_for("restored", info={"user": TEXT})
                assert restored["created"] == session["created"]
                assert (await ask(other, "who am I"))["text"] == TEXT
                assert server.active_sessions == 1
                await command(third, "restore", key=session["key"])
                await third.wait_for("not_restored", outcome="too many connections")
                await command(third, "restore", key="no such key")
                await third.wait_for("not_restored", outcome="session not found")
                await command(other, "close-session")
                assert (await other.wait_for("answer", name=""))["outcome"] == "reply"
                assert (await ask(other, "who am I"))["text"] == ""
                assert (await ask(go, "who am I"))["text"] == TEXT
                [each] = server.session_connections(session["key"])
                await each.close_session()
                await go.wait_for("session_closed")
                await command(other, "restore", key=session["key"])
                await other.wait_for("not_restored", outcome="session not found")

    run(story)


def test_a_client_comes_back_with_its_session_after_our_server_was_killed(
    go_client: Dial, start_process: StartPeer, run: Run, tmp_path: Path
) -> None:
    async def story() -> None:
        def our_process(port: int) -> AbstractAsyncContextManager[PeerProcess]:
            return start_process(sys.executable, OUR_PROCESS, port, tmp_path / "sessions.db")

        async with our_process(0) as ours:
            _, port = await ours.address()
            endless = ("--calls", 1_000_000, "--inflight", 50, "--login", "Ada", "--reconnect")
            async with go_client(port, *endless) as go:
                session = await go.wait_for("session", info={"user": "Ada"})
                await go.wait_for("progress")
                await ours.kill()
                await go.wait_for("calls", wrong=0, failed=0)
                await go.wait_for("closed", by="peer", code=1006)
                async with our_process(port):
                    restored = await go.wait_for("restored", info={"user": "Ada"})
                    assert restored["key"] == session["key"]
                    await go.wait_for("progress")

    run(story)
