"""REST's Go peers against each other: what they report is what happened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.interop.restpeer import GoCallError, GoEnd, go_client, go_server, pattern

if TYPE_CHECKING:
    from tests.interop.conftest import StartPeer, Story

Run = Callable[["Story"], None]

#: Bytes of a whole request that a serving end keeps: what one read from its socket gives.
KEPT = {"server": 1016, "client": 4092}
FAILED = 6  # exit status of a client that got no connection


@pytest.fixture(params=["server", "client"])
def serving(request: pytest.FixtureRequest) -> str:
    """The end of the WebSocket that serves."""
    return str(request.param)


@asynccontextmanager
async def meet(
    start: StartPeer,
    serving: str,
    serve: tuple[object, ...] = (),
    call: tuple[object, ...] = (),
) -> AsyncIterator[tuple[GoEnd, GoEnd]]:
    """The serving end and the calling one, connected, with those flags."""
    flags = {"serve": serve, "call": call}
    role, other = ("serve", "call") if serving == "server" else ("call", "serve")
    async with (
        go_server(start, role, *flags[role]) as server,
        go_client(start, other, server.url(), *flags[other]) as client,
    ):
        arrival = await server.peer.wait_for("connected")
        assert (await client.peer.wait_for("connected"))["id"] == arrival["id"]
        yield (server, client) if serving == "server" else (client, server)


def test_calls(rest_peer: StartPeer, run: Run, serving: str) -> None:
    async def story() -> None:
        async with meet(rest_peer, serving) as (server, caller):
            hello = await caller.call("GET", "/simple", headers={"X-Correlation-Id": "mine"})
            assert (hello.line, hello.start) == ("HTTP/1.1 200 OK", b"Hello, wirecore!")
            names = ["Date", "Content-Length", "Content-Type", "X-Correlation-Id"]
            assert [name for name, _ in hello.fields] == names
            assert hello.field("X-Correlation-Id") == "mine"
            seen = await server.peer.wait_for("request", path="/simple")
            assert (seen["host"], seen["correlation"]) == ("localhost", "mine")

            own = await caller.call("GET", "/headers")
            values = [value for name, value in own.fields if name == "X-Correlation-Id"]
            assert values[0] == "handlers-own"
            assert own.fields[0] == ("Alpha", "first")
            assert [v for name, v in own.fields if name == "Set-Cookie"] == ["a=1", "b=2"]

            every = bytes(range(256))
            echoed = await caller.call("PUT", "/echo", body=every)
            assert echoed.has_body(every)
            chunked = await caller.call(
                "POST", "/echo?x=1", body=b"abc", chunked=True, trailers={"X-Late": "yes"}
            )
            assert (chunked.start, chunked.field("X-Trailer-X-Late")) == (b"abc", "yes")
            assert (await caller.call("GET", "/nothing")).status == 404
            unknown = await caller.call("GET", "/status/599")
            assert unknown.line == "HTTP/1.1 599 status code 599"

    run(story)


def test_responses_of_every_shape(rest_peer: StartPeer, run: Run, serving: str) -> None:
    async def story() -> None:
        async with meet(rest_peer, serving) as (_, caller):
            short = await caller.call("GET", "/body/2048")
            assert (short.field("Content-Length"), short.messages) == ("2048", 1)
            for path, size in (("/body/2049", 2049), ("/body/1048576", 1 << 20)):
                long = await caller.call("GET", path)
                assert long.field("Transfer-Encoding") == "chunked"
                assert long.has_body(pattern(size))
            assert (await caller.call("GET", "/writes")).has_body(pattern(1500) * 3)
            declared = await caller.call("GET", "/declared")
            assert declared.field("Content-Length") == "5000"
            assert declared.has_body(pattern(1000) * 5)

            stream = await caller.call("GET", "/stream?n=4")
            assert stream.start == b"".join(b"Chunk #%d\n" % number for number in range(1, 5))
            assert stream.messages == 5  # the last with the end alone
            assert (await caller.call("GET", "/flushheaders")).messages == 2

            late = await caller.call("GET", "/trailers")
            assert late.trailers == {"X-Count": "18", "X-Sum": "abc123"}
            for path, length in (("/simple", "16"), ("/body/5000", None), ("/empty", None)):
                head = await caller.call("HEAD", path)
                assert (head.field("Content-Length"), head.length) == (length, 0)
            for status in (204, 304):
                bare = await caller.call("GET", f"/status/{status}")
                assert [name for name, _ in bare.fields] == ["Date", "X-Correlation-Id"]
            assert (await caller.call("GET", "/simple")).status == 200

    run(story)


def test_a_flushed_end_leaves_an_empty_message(
    rest_peer: StartPeer, run: Run, serving: str
) -> None:
    async def story() -> None:
        async with meet(rest_peer, serving) as (_, caller):
            assert (await caller.call("GET", "/declared?flush=1")).length == 5000
            assert (await caller.call("GET", "/simple")).messages == 2
            await caller.peer.wait_for("violation", reason="an empty message")
        async with meet(rest_peer, serving, ("--no-empty",)) as (_, caller):
            assert (await caller.call("GET", "/declared?flush=1")).length == 5000
            assert (await caller.call("GET", "/simple")).messages == 1

    run(story)


def test_a_long_request_is_cut_unless_kept(rest_peer: StartPeer, run: Run, serving: str) -> None:
    async def story() -> None:
        async with meet(rest_peer, serving) as (server, caller):
            head = (
                "POST /echo HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Go-http-client/1.1\r\n"
                f"Content-Length: {KEPT[serving]}\r\nX-Correlation-Id: same\r\n\r\n"
            )
            # The length that is sent may have a digit less than the one in this head.
            size = KEPT[serving] - len(head)
            size += len(str(KEPT[serving])) - len(str(size))
            for more in (0, 1):
                echoed = await caller.call(
                    "POST", "/echo", body=size + more, headers={"X-Correlation-Id": "same"}
                )
                error = "unexpected EOF" if more else None
                assert echoed.field("X-Read-Error") == error
            await server.peer.wait_for("cut")
        async with meet(rest_peer, serving, ("--whole-bodies",)) as (_, caller):
            assert (await caller.call("POST", "/echo", body=1 << 20)).has_body(pattern(1 << 20))

    run(story)


@pytest.mark.parametrize("closing", ["serving", "calling"])
def test_either_end_closes(rest_peer: StartPeer, run: Run, serving: str, closing: str) -> None:
    async def story() -> None:
        for code, seen in ((0, 1005), (1001, 1001)):
            async with meet(rest_peer, serving, call=("--watch",)) as (server, caller):
                one, other = (server, caller) if closing == "serving" else (caller, server)
                await caller.call("GET", "/simple")
                await one.command("close", code=code)
                assert (await other.peer.wait_for("disconnected"))["code"] == seen
                await one.peer.wait_for("disconnected")

    run(story)


def test_a_cut_ends_a_stream(rest_peer: StartPeer, run: Run, serving: str) -> None:
    async def story() -> None:
        async with meet(rest_peer, serving) as (server, caller):
            number = await caller.begin("GET", "/notify?ms=5")
            await server.peer.wait_for("request", path="/notify?ms=5")
            await server.command("cut")
            with pytest.raises(GoCallError):
                await caller.answer(number)
            assert (await caller.peer.wait_for("disconnected"))["code"] == 0

    run(story)


def test_a_late_head(rest_peer: StartPeer, run: Run, serving: str) -> None:
    async def story() -> None:
        call = ("--head-timeout", "50ms")
        async with meet(rest_peer, serving, call=call) as (_, caller):
            with pytest.raises(GoCallError, match="time out"):
                await caller.call("GET", "/slow?ms=200")
            await caller.peer.wait_for("violation", reason="a response after the time out")
            await caller.peer.wait_for("disconnected")

    run(story)


def test_a_request_while_one_is_under_way(rest_peer: StartPeer, run: Run, serving: str) -> None:
    request = "GET /{} HTTP/1.1\r\nHost: h\r\nX-Correlation-Id: {}\r\n\r\n"

    async def story() -> None:
        async with meet(rest_peer, serving, ("--queue", "--no-empty")) as (server, caller):
            number = await caller.begin(
                "GET", "/slow?ms=100", headers={"X-Correlation-Id": "first"}
            )
            await server.peer.wait_for("request", path="/slow?ms=100")
            await caller.command("send", body=request.format("simple", "second"))
            await server.peer.wait_for("violation", reason="a request while one is under way")
            assert (await caller.answer(number)).start == b"slow"
            # The answer to what was sent by hand is the next that is read.
            assert (await caller.call("GET", "/empty")).start == b"Hello, wirecore!"
            # It may have come while "second" was under way: that violation is told before it.
            await server.peer.wait_for("request", path="/empty")
            server.peer.seen.clear()
            violation = await caller.peer.wait_for("violation")
            assert violation["reason"].startswith('a response to "second"')

    run(story)


def test_garbage_stops_a_serving_end(rest_peer: StartPeer, run: Run, serving: str) -> None:
    async def story() -> None:
        call = ("--head-timeout", "50ms")
        async with meet(rest_peer, serving, call=call) as (server, caller):
            await caller.command("send", body="garbage")
            await server.peer.wait_for("violation")
            with pytest.raises(GoCallError, match="time out"):
                await caller.call("GET", "/simple")

    run(story)


def test_keepalive(rest_peer: StartPeer, run: Run, serving: str) -> None:
    async def story() -> None:
        flags = ("--keepalive", "10ms", "--ping-data", "é")
        async with meet(rest_peer, serving, flags, ("--watch",)) as (server, caller):
            for _ in range(2):
                await caller.peer.wait_for("ping", data="Ã©")
                await server.peer.wait_for("pong", data="Ã©")
            assert (await caller.call("GET", "/simple")).status == 200

    run(story)


def test_handshakes(rest_peer: StartPeer, run: Run) -> None:
    async def story() -> None:
        async with go_server(rest_peer, "serve") as server:
            flags = (
                "--metadata",
                '{"name": "é<&>"}',
                "--offer",
                "x",
                "--origin",
                f"http://127.0.0.1:{server.port}",
            )
            async with go_client(rest_peer, "call", server.url("/any?path"), *flags) as client:
                arrival = await server.peer.wait_for("connected")
                assert arrival["metadata"] == {"name": "é<&>"}
                assert (arrival["path"], arrival["subprotocols"]) == ("/any?path", ["x"])
                assert (await client.peer.wait_for("connected"))["subprotocol"] == ""
            foreign = ("--origin", "http://elsewhere")
            async with go_client(rest_peer, "call", server.url(), *foreign) as client:
                await client.peer.wait_for("refused", status=403)
                await client.peer.wait_for("exit")
                assert await client.peer.finish() == FAILED

    run(story)
