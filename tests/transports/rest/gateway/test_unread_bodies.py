"""Requests that are over before their bodies were read: hypercorn waits for a place for each piece,
and for what it says last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from tests.transports.pool.world import until
from tests.transports.rest.world import answer, echo

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.rest.gateway.world import OpenGateway, World

#: More pieces than hypercorn keeps, and no end of them.
UNENDED = b"1\r\na\r\n" * 30


async def dial(world: World, path: bytes) -> trio.SocketStream:
    """A connection on which so much of a body was sent."""
    host, _, port = world.url.removeprefix("http://").partition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    head = b"POST %b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" % path
    await stream.send_all(head + UNENDED)
    return stream


async def read_to_end(stream: trio.SocketStream) -> bytes:
    """What came until the gateway closed the connection."""
    got = b""
    with trio.fail_after(5):
        try:
            while piece := await stream.receive_some():
                got += piece
        except trio.BrokenResourceError:
            pass  # closed with something unread
    return got


def test_a_request_that_is_refused(open_gateway: OpenGateway, run_real: Run) -> None:
    async def story() -> None:
        async with open_gateway() as world, await dial(world, b"/nobody/") as stream:
            assert b" 503 " in await read_to_end(stream)

    run_real(story)


def test_a_request_beyond_what_is_taken(open_gateway: OpenGateway, run_real: Run) -> None:
    async def story() -> None:
        async with (
            open_gateway(max_body_size=2) as world,
            world.publish(echo, "api"),
            await dial(world, b"/api/") as stream,
        ):
            assert b" 413 " in await read_to_end(stream)

    run_real(story)


def test_an_answer_before_the_end(open_gateway: OpenGateway, run_real: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await answer(send, b"early")

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.publish(app, "api"),
            await dial(world, b"/api/") as stream,
        ):
            got = await read_to_end(stream)
            assert got.startswith(b"HTTP/1.1 200 ")
            assert b"early" in got

    run_real(story)


def test_a_publisher_that_is_lost(open_gateway: OpenGateway, run_real: Run) -> None:
    begun = trio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        begun.set()
        await trio.sleep_forever()

    async def story() -> None:
        async with open_gateway() as world, world.publish(app, "api"):
            async with await dial(world, b"/api/") as stream:
                await stream.send_all(b"10000\r\n" + bytes(65_536) + b"\r\n" + UNENDED)
                await stream.send_all(b"10000\r\n" + bytes(65_536) + b"\r\n" + UNENDED * 20)
                await begun.wait()
                world.server.find("api")[0]._channel.abort()
                got = await read_to_end(stream)
                assert got.startswith(b"HTTP/1.1 200 ")
                assert not got.endswith(b"0\r\n\r\n")
            await until(lambda: not world.gateway.state().total.in_flight)

    run_real(story)
