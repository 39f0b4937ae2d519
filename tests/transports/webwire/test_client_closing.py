"""A client is closed, connected again and left; and kept by its heartbeats meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.world import (
    OpenServer,
    echo,
    settle,
)
from wirecore._backend import Backend
from wirecore.errors import InvalidState
from wirecore_trio import webwire
from wirecore_trio.webwire import ClientOptions, Payload, Status


def test_close_waits_for_replies_and_stays_closed_until_somebody_asks(
    open_server: OpenServer, run_sockets: Run
) -> None:
    events: list[str] = []

    def prepare(server: webwire.Server) -> None:
        @server.request()
        async def slow(request: webwire.Request[Payload]) -> Payload:
            await trio.sleep(3)
            return request.payload

        @server.on_client_disconnected
        async def note(connection: webwire.Connection, reason: Any) -> None:
            events.append(f"the server lost one: {reason.code}, clean: {reason.clean}")

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            client.on_disconnected(lambda: events.append("disconnected"))

            async def ask() -> None:
                assert (await client.request("x", "in time")).text == "in time"
                events.append("replied")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                await settle()
                await client.close()
            await settle()
            assert events == ["replied", "disconnected", "the server lost one: 1000, clean: True"]
            assert client.status is Status.DISCONNECTED
            await client.close()
            await trio.sleep(60)
            assert world.server.connections == []
            assert client.status is Status.DISCONNECTED
            with pytest.raises(webwire.Disconnected):
                await client.signal("x")
            assert (await client.request("x", "back")).text == "back"
            await client.close()
            await client.connect()
            assert client.connections == 3
            await client.close()
            await client.signal("x", wait=True)
            assert client.connections == 4

    run_sockets(main)


def test_who_waits_for_a_connection_learns_that_the_client_closes(
    backend: Backend, run_sockets: Run
) -> None:
    async def main() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
            ends: list[str] = []

            async def wait(ask: Callable[[], Awaitable[object]]) -> None:
                with pytest.raises(webwire.Disconnected, match="told to close") as caught:
                    await ask()
                ends.append(caught.value.execution)

            async with (
                webwire.connect(url, wait=False, backend=backend) as client,
                trio.open_nursery() as nursery,
            ):
                for ask in (
                    client.connect,
                    lambda: client.request("x"),
                    lambda: client.signal("x", wait=True),
                    lambda: client.restore_session("key"),
                ):
                    nursery.start_soon(wait, ask)
                await settle()
                await client.close()
            assert ends == ["not_sent"] * 4

    run_sockets(main)


def test_a_client_that_was_left_says_so(open_server: OpenServer, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_server(echo) as world:
            connecting = world.connect()
            async with connecting as client:
                assert repr(client) == f"<webwire.Client of {world.url}, connected>"
            assert client.status is Status.CLOSED
            for ask in (
                client.connect,
                lambda: client.request("x"),
                lambda: client.signal("x"),
                lambda: client.signal("x", wait=True),
            ):
                with pytest.raises(webwire.Disconnected, match="was left"):
                    await ask()
            with pytest.raises(InvalidState, match="entered already"):
                await connecting.__aenter__()
            await settle()
            assert world.server.connections == []

    run_sockets(main)


def test_what_was_sent_before_leaving_arrives_however_slow_the_server(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """Megabytes: more than the system takes at once."""
    sizes: list[int] = []

    def prepare(server: webwire.Server) -> None:
        server.signal(inline=True)(lambda signal: sizes.append(len(signal.data)))

    async def main() -> None:
        size = 1 << 23
        options = ClientOptions(buffer_size=size, high_water=1 << 30)
        async with open_server(prepare, buffer_size=size) as world:
            for leave in (True, False):
                async with world.connect(options) as client:
                    for _ in range(4):
                        await client.signal("", bytes(size - 2))
                    if not leave:
                        await client.close()
                await settle()
                assert sizes == [size - 2] * 4
                sizes.clear()

    run_sockets(main)


def test_an_exception_of_the_body_arrives_as_itself(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_server(echo) as world:
            with pytest.raises(KeyError, match="mine"):
                async with world.connect():
                    raise KeyError("mine")
            await settle()
            assert world.server.connections == []

    run_sockets(main)


def test_a_quiet_client_is_kept_by_its_heartbeats(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_server(echo, read_timeout=4) as world, world.connect() as client:
            await trio.sleep(30)
            assert client.connections == 1
            assert (await client.request("x", "same")).text == "same"

    run_sockets(main)


def test_a_server_that_vanishes_is_noticed_when_it_is_dialled_again(
    open_server: OpenServer, run_sockets: Run, backend: Backend
) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                listener.listen()
                port = listener.getsockname()[1]
                first = webwire.Server(backend=backend)
                echo(first)
                await nursery.start(
                    lambda task_status: first.serve(
                        listeners=[listener.dup()], task_status=task_status
                    )
                )
                url = f"ws://127.0.0.1:{port}/"
                async with webwire.connect(url, backend=backend) as client:
                    await client.request("x", "first")
                    await first.shutdown()
                    await settle()
                    assert client.status is Status.CONNECTING
                    second = webwire.Server(backend=backend)
                    echo(second)
                    await nursery.start(
                        lambda task_status: second.serve(
                            listeners=[listener.dup()], task_status=task_status
                        )
                    )
                    assert (await client.request("x", "second")).text == "second"
            nursery.cancel_scope.cancel()

    run_sockets(main)
