"""Callers under hypercorn who end what others use, or hold what others wait for: they can't."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import h2.config
import h2.connection
import h2.settings
import pytest
import trio

from tests.resetting import close_resets
from tests.transports.conftest import Run
from tests.transports.pool.world import until
from tests.transports.rest.gateway.world import OpenGateway, World
from tests.transports.rest.world import Parked
from wirecore_trio.rest.gateway import _exchange

UPGRADE = (
    b"GET /nobody/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with more than one window of HTTP/2 holds."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(200_000)})


async def dial(world: World) -> trio.SocketStream:
    """A connection of bytes to the public side."""
    host, port = world.url.removeprefix("http://").split(":")
    return await trio.open_tcp_stream(host, int(port))


def caller(*, window: int) -> h2.connection.H2Connection:
    """A caller of HTTP/2 who takes so many bytes of each response."""
    made = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    first = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
    made.local_settings = h2.settings.Settings(client=True, initial_values=first)
    made.initiate_connection()
    return made


def head(path: str) -> list[tuple[str, str]]:
    """The head of a request."""
    return [(":method", "GET"), (":path", path), (":authority", "x"), (":scheme", "http")]


def connections() -> int:
    """How many hypercorn serves in this run."""
    count, tasks = 0, [trio.lowlevel.current_root_task()]
    while tasks:
        task = tasks.pop()
        if task is not None:
            count += task.name.endswith("_leave_when_told")
            tasks += [each for nursery in task.child_nurseries for each in nursery.child_tasks]
    return count


def test_a_connection_ends_whatever_stands_behind_its_last_request(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    """hypercorn waits there for ever, whose caller has gone long since."""

    async def story() -> None:
        parked = Parked()
        async with open_gateway() as world, world.publish(parked, "api"):
            stream = await dial(world)
            await stream.send_all(b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\nGET /api/ HTTP/1.1\r\n")
            await parked.wait_for("/")
            close_resets(stream)
            await trio.aclose_forcefully(stream)
            parked.waiting["/"].set()
            await until(lambda: not connections())

    run_real(story)


def test_a_fault_within_one_connection_ends_no_other(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    """hypercorn fails where bytes come behind a request for a WebSocket that is refused."""

    async def story() -> None:
        async with (
            open_gateway() as world,
            world.caller() as http,
            world.publish(app, "api"),
        ):
            for _ in range(3):
                async with await dial(world) as stream:
                    await stream.send_all(UPGRADE + b"x")
                    await stream.receive_some()
                    with suppress(trio.BrokenResourceError):
                        await stream.send_all(b"x")
                        while await stream.receive_some():
                            pass  # until it is closed
            assert (await http.get("/api/")).status_code == 200

    run_real(story)


@pytest.mark.parametrize("path", ["/api/", "/nobody/"])
@pytest.mark.parametrize("window", [0, 65535])
def test_callers_of_http_2_who_die_in_a_response_hold_nothing(
    open_gateway: OpenGateway,
    run_real: Run,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    window: int,
) -> None:
    monkeypatch.setattr(_exchange, "_PATIENCE", 0.2)

    async def story() -> None:
        async with (
            open_gateway(max_requests=3) as world,
            world.caller() as http,
            world.publish(app, "api"),
        ):
            traffic = world.gateway.traffic
            for number in range(3):
                async with await dial(world) as stream:
                    peer = caller(window=window)
                    peer.send_headers(1, head(path), end_stream=True)
                    await stream.send_all(peer.data_to_send())
                    seen = number + 1
                    await until(lambda: len(traffic.running) + len(traffic.requests) >= seen)  # noqa: B023
            await until(lambda: not traffic.running)
            assert (await http.get("/api/")).status_code == 200

    run_real(story)


def test_a_request_of_http_2_without_an_end_gets_408(
    open_gateway: OpenGateway, run_real: Run
) -> None:
    async def story() -> None:
        async with (
            open_gateway(response_timeout=0.3) as world,
            world.publish(app, "api"),
            await dial(world) as stream,
        ):
            peer = caller(window=65535)
            peer.send_headers(1, head("/api/"), end_stream=False)
            await stream.send_all(peer.data_to_send())
            await until(lambda: len(world.gateway.traffic.requests) == 1)
            assert world.gateway.traffic.requests[0].status == 408

    run_real(story)
