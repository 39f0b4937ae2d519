"""A publisher that speaks our wire and answers what no application can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.transports.pool.world import until
from tests.transports.rest.world import read

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.rest.gateway.world import OpenGateway
    from wirecore_trio.rest._incoming import Incoming


@pytest.mark.parametrize("status", [100, 101, 103, 199])
def test_an_answer_that_ends_nothing(status: int, open_gateway: OpenGateway, run_real: Run) -> None:
    """hypercorn ends, with all that it serves, where it is given one of 1xx for the last."""

    async def answers(incoming: Incoming) -> None:
        await incoming.respond(status, ())
        if status != 101:
            await incoming.respond(200, (), b"in the end", end=True)

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(None, "api") as client,
        ):
            client.connection._serve_with(answers)
            response = await http.get("/api/")
            if status == 101:
                assert response.status_code == 502
            else:
                assert (response.status_code, response.content) == (200, b"in the end")
            assert (await http.get("/nobody/")).status_code == 503

    run_real(story)


def test_a_body_that_is_too_long_behind_an_answer(open_gateway: OpenGateway, run_real: Run) -> None:
    """Breaks the exchange off: it was answered already."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await read(receive)

    async def story() -> None:
        async with open_gateway(max_body_size=10) as world, world.publish(app, "api"):
            host, _, port = world.url.removeprefix("http://").partition(":")
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                head = b"POST /api/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                await stream.send_all(head)
                got = b""
                while b"begun" not in got:
                    got += await stream.receive_some()
                await stream.send_all(b"b\r\n" + bytes(11) + b"\r\n")
                while piece := await stream.receive_some():
                    got += piece
                assert got.count(b"HTTP/1.1") == 1
                assert not got.endswith(b"0\r\n\r\n")
            await until(lambda: not world.gateway.state().total.in_flight)
            assert [request.status for request in world.gateway.state().requests] == [200]

    run_real(story)
