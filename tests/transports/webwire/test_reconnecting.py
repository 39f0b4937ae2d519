"""A client's connection is lost, and made again; what is asked meanwhile waits, or says why not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.world import (
    OpenServer,
    World,
    conf_message,
    echo,
    lose_all,
    scripted,
    settle,
)
from wirecore._backend import Backend
from wirecore.websocket import State
from wirecore_trio import websocket, webwire
from wirecore_trio.webwire import ClientOptions, Payload, Status

Requests = list[str]


def noting(requests: Requests) -> Callable[[webwire.Server], None]:
    """Handlers that note what comes."""

    def prepare(server: webwire.Server) -> None:
        @server.request()
        async def echo(request: webwire.Request[Payload]) -> Payload:
            requests.append(request.name)
            return request.payload

        @server.signal()
        async def note(signal: webwire.Signal[Payload]) -> None:
            requests.append(f"signal {signal.name}")

        @server.request("stay")
        async def stay(request: webwire.Request[Payload]) -> None:
            requests.append("stay")
            await trio.sleep_forever()

    return prepare


def test_a_lost_connection_is_made_again_and_what_is_asked_meanwhile_waits(
    open_server: OpenServer, run_sockets: Run
) -> None:
    requests: Requests = []
    events: list[str] = []

    async def main() -> None:
        async with open_server(noting(requests), concurrency=-1) as world:
            connecting = world.connect()
            connecting.on_disconnected(lambda: events.append("disconnected"))
            async with connecting as client:
                assert client.connections == 1
                await lose_all(world)
                assert client.status is Status.CONNECTING
                assert events == ["disconnected"]
                with pytest.raises(webwire.Disconnected, match="not connected") as caught:
                    await client.signal("too early")
                assert caught.value.execution == "not_sent"
                assert isinstance(caught.value, trio.BrokenResourceError)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client.request, "waits")
                    await settle()
                    await client.signal("waits", wait=True)
                    assert client.status.value == "connected"
                await client.request("last")
                assert client.connections == 2
        assert sorted(requests) == ["last", "signal waits", "waits"]

    run_sockets(main)


def test_without_autoconnect_a_loss_is_final_until_one_connects(
    open_server: OpenServer, run_sockets: Run
) -> None:
    requests: Requests = []

    async def main() -> None:
        async with (
            open_server(noting(requests)) as world,
            world.connect(autoconnect=False) as client,
        ):
            await lose_all(world)
            assert client.status is Status.DISCONNECTED
            await trio.sleep(100)
            assert client.status is Status.DISCONNECTED
            for ask in (
                lambda: client.request("x"),
                lambda: client.request("x", timeout=5),
                lambda: client.signal("x"),
                lambda: client.signal("x", wait=True),
                lambda: client.restore_session("key"),
            ):
                with pytest.raises(webwire.Disconnected) as caught:
                    await ask()
                assert caught.value.execution == "not_sent"
            await client.connect()
            await client.request("again")
            assert client.connections == 2
        assert requests == ["again"]

    run_sockets(main)


@pytest.mark.parametrize("autoconnect", [True, False])
def test_a_hook_may_connect_again_by_itself(
    open_server: OpenServer, run_sockets: Run, autoconnect: bool
) -> None:
    async def main() -> None:
        async with (
            open_server(echo) as world,
            world.connect(autoconnect=autoconnect) as client,
        ):
            replies: list[str] = []

            @client.on_disconnected
            async def again() -> None:
                await client.connect()
                replies.append((await client.request("x", "back")).text)

            for number in range(1, 11):
                await lose_all(world)
                await trio.sleep(5)
                assert replies == ["back"] * number
            assert client.connections == 11

    run_sockets(main)


def test_requests_under_way_end_at_once_and_say_what_is_known(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """The original lets them wait for their timeout."""
    requests: Requests = []
    ends: list[tuple[type, str]] = []

    async def main() -> None:
        async with open_server(noting(requests)) as world, world.connect() as client:

            async def ask(**arguments: Any) -> None:
                with pytest.raises(webwire.Disconnected) as caught:
                    await client.request("stay", **arguments)
                ends.append((type(caught.value), caught.value.execution))

            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                nursery.start_soon(lambda: ask(timeout=None))
                await settle()
                await lose_all(world)
            assert trio.current_time() - began < 2
        assert ends == [(webwire.Disconnected, "maybe_executed")] * 2

    run_sockets(main)


def test_what_had_not_left_was_not_sent(backend: Backend, run_sockets: Run) -> None:
    async def script(ws: websocket.WebSocket) -> None:
        await ws.send(conf_message(buffer_size=1 << 24))
        await trio.sleep(10)
        ws._pump.end(None)

    async def main() -> None:
        options = ClientOptions(buffer_size=1 << 24, high_water=1 << 30, max_queued_bytes=1 << 30)
        ends: dict[str, tuple[type, str]] = {}
        async with (
            scripted(backend, script) as url,
            webwire.connect(url, options, backend=backend) as client,
        ):

            async def ask(name: str, size: int) -> None:
                with pytest.raises(webwire.Disconnected) as caught:
                    await client.request(name, bytes(size))
                ends[name] = (type(caught.value), caught.value.execution)

            async with trio.open_nursery() as nursery:
                for name, size in (("left", 1), *[(name, 1 << 23) for name in "abc"]):
                    nursery.start_soon(ask, name, size)
                    await settle()
        assert ends["left"] == (webwire.Disconnected, "maybe_executed")
        assert ends["c"] == (webwire.TransmissionFailed, "not_sent")

    run_sockets(main)


@pytest.mark.parametrize(
    "bad", [b"", b"\xff", b"\x00" + bytes(8) + b"\x00", b"\x41\x01a", b"\xbf", "text", b"\x16x"]
)
def test_a_server_that_sends_what_is_no_message_is_left_and_dialled_again(
    backend: Backend, run_sockets: Run, bad: bytes | str
) -> None:
    """The original's client is dead then for good."""
    opened: list[int] = []

    async def script(ws: websocket.WebSocket) -> None:
        opened.append(1)
        await ws.send(conf_message())
        async for message in ws:
            assert isinstance(message, bytes)
            if len(opened) == 1:
                await ws.send(bad)
            elif message[0] == 0x7F:
                await ws.send(b"\xbf" + message[1:9] + b"fine")

    async def main() -> None:
        async with (
            scripted(backend, script) as url,
            webwire.connect(url, backend=backend) as client,
        ):
            with pytest.raises(webwire.Disconnected, match="what is no message"):
                await client.request("x")
            assert (await client.request("x")).data == b"fine"

    run_sockets(main)


def test_messages_that_are_none_for_a_client_are_ignored(
    backend: Backend, run_sockets: Run
) -> None:
    nobody = (7).to_bytes(8, "little")
    strange = [
        conf_message(),
        conf_message(major=9),
        b"\x21",
        b"\x1f" + nobody,
        b"\x20" + nobody + b"key",
        b"\x7f" + nobody + b"\x01a",
        b"\xbf" + nobody + b"a reply to nobody",
        b"\x00" + nobody + b"\x01Cerror",
        b"\x15{not a session",
        b'\x15{"k":"","c":"2020-01-01T00:00:00Z","l":"2020-01-01T00:00:00Z"}',
    ]

    async def script(ws: websocket.WebSocket) -> None:
        await ws.send(conf_message())
        async for message in ws:
            assert isinstance(message, bytes)
            for each in strange:
                await ws.send(each)
            await ws.send(b"\xbf" + message[1:9] + b"fine")

    async def main() -> None:
        async with (
            scripted(backend, script) as url,
            webwire.connect(url, backend=backend) as client,
        ):
            assert (await client.request("x")).data == b"fine"
            assert client.session is None
            assert client.connections == 1

    run_sockets(main)


# --- the server has said that it closes, and the connection isn't gone yet ------------------------


async def told_of_the_close(world: World, client: webwire.Client) -> None:
    """The server's close frame has come, and the end of the stream hasn't yet."""
    channel = client._channel
    assert channel is not None
    world.only().close()
    while channel._session._connection.state is State.OPEN:
        await trio.lowlevel.checkpoint()
    assert client._channel is channel


Ask = Callable[[webwire.Client], Awaitable[object]]

WAYS_TO_ASK: dict[str, Ask] = {
    "request": lambda client: client.request("x"),
    "request with a timeout": lambda client: client.request("x", timeout=20),
    "signal that waits": lambda client: client.signal("x", wait=True),
}


@pytest.mark.parametrize("way", WAYS_TO_ASK)
def test_what_is_asked_while_the_connection_ends_goes_over_the_next_one(
    open_server: OpenServer, run_sockets: Run, way: str
) -> None:
    requests: Requests = []

    async def main() -> None:
        async with open_server(noting(requests)) as world, world.connect() as client:
            await told_of_the_close(world, client)
            await WAYS_TO_ASK[way](client)
            assert client.connections == 2
            await settle()
            assert len(requests) == 1

    run_sockets(main)


@pytest.mark.parametrize("way", [*WAYS_TO_ASK, "signal"])
def test_without_autoconnect_what_is_asked_while_the_connection_ends_fails(
    open_server: OpenServer, run_sockets: Run, way: str
) -> None:
    ask: Ask = WAYS_TO_ASK.get(way, lambda client: client.signal("x"))

    async def main() -> None:
        async with open_server(echo) as world, world.connect(autoconnect=False) as client:
            await told_of_the_close(world, client)
            with pytest.raises(webwire.Disconnected) as caught:
                await ask(client)
            assert caught.value.execution == "not_sent"

    run_sockets(main)


def test_who_waits_for_the_next_connection_waits_no_longer_than_it_may(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        retry = webwire.RetryPolicy(backoff=lambda: webwire.Backoff(100.0, 1.0, 0.0, 100.0))
        options = ClientOptions(request_timeout=3, retry=retry)
        async with open_server(echo) as world, world.connect(options) as client:
            await told_of_the_close(world, client)
            began = trio.current_time()
            with pytest.raises(webwire.ConnectionTimeout):
                await client.request("x")
            assert trio.current_time() - began == pytest.approx(3, abs=0.5)

    run_sockets(main)
