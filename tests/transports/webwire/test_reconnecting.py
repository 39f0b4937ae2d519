"""A client's connection: made, kept, lost, closed and made again."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.world import (
    OpenServer,
    World,
    conf_message,
    scripted,
    settle,
)
from wirecore._backend import Backend
from wirecore.errors import InvalidState
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


def echo(server: webwire.Server) -> None:
    """Sends back what comes."""
    server.request(inline=True)(lambda request: request.payload)


async def lose_all(world: World) -> None:
    """All connections are lost, without a close frame."""
    for connection in world.server.connections:
        connection._pump.end(None)
    await settle()


async def let_be(ws: websocket.WebSocket) -> None:
    """Read until the client goes."""
    async for _ in ws:
        pass


# --- opening ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "options", "error", "says"),
    [
        (conf_message(major=3), {}, webwire.IncompatibleVersion, r"speaks webwire 3\.0"),
        (conf_message(major=1, minor=4), {}, webwire.IncompatibleVersion, r"webwire 1\.4"),
        (conf_message(buffer_size=4096), {}, webwire.BufferSizeMismatch, "4096 bytes, and ours 81"),
        (conf_message(), {"buffer_size": 64}, webwire.BufferSizeMismatch, "8192 bytes, and ours 6"),
        (conf_message(subprotocol=b"a"), {}, webwire.SubprotocolMismatch, "'a', and ours ''"),
        (conf_message(), {"subprotocol": "b"}, webwire.SubprotocolMismatch, "'', and ours 'b'"),
        (b"\x16", {}, webwire.UnexpectedFirstMessage, "first message isn't webwire's"),
        (b"\x17\x02", {}, webwire.UnexpectedFirstMessage, "first message isn't webwire's"),
        (b"", {}, webwire.UnexpectedFirstMessage, "first message isn't webwire's"),
        ("text", {}, webwire.UnexpectedFirstMessage, "first message isn't webwire's"),
    ],
)
@pytest.mark.parametrize("autoconnect", [True, False])
def test_a_server_that_isnt_for_us_ends_the_attempts(
    backend: Backend,
    run_sockets: Run,
    first: bytes | str,
    options: dict[str, Any],
    error: type[Exception],
    says: str,
    autoconnect: bool,
) -> None:
    attempts: list[int] = []

    async def script(ws: websocket.WebSocket) -> None:
        attempts.append(1)
        await ws.send(first)
        await let_be(ws)

    async def main() -> None:
        async with scripted(backend, script) as url:
            client_options = ClientOptions(**options)
            with pytest.raises(error, match=says):
                async with webwire.connect(
                    url, client_options, autoconnect=autoconnect, backend=backend
                ):
                    raise AssertionError("it isn't entered")
            async with webwire.connect(
                url, client_options, autoconnect=autoconnect, wait=False, backend=backend
            ) as client:
                await settle()
                assert client.status is Status.DISCONNECTED
                assert isinstance(client.last_error, error)
                with pytest.raises(error, match=says):
                    await client.connect()
        assert len(attempts) == 3

    run_sockets(main)


def test_any_minor_version_and_the_same_subprotocol_are_for_us(
    backend: Backend, run_sockets: Run
) -> None:
    async def script(ws: websocket.WebSocket) -> None:
        await ws.send(conf_message(minor=9, subprotocol=b"chat", buffer_size=64))
        await let_be(ws)

    async def main() -> None:
        async with scripted(backend, script) as url:
            options = ClientOptions(subprotocol="chat", buffer_size=64)
            async with webwire.connect(url, options, backend=backend) as client:
                assert client.status is Status.CONNECTED

    run_sockets(main)


def test_a_server_that_says_nothing_times_out_and_is_dialled_again(
    backend: Backend, run_sockets: Run
) -> None:
    """And nothing is left of the attempt before."""
    open_now: list[websocket.WebSocket] = []
    times: list[float] = []

    async def script(ws: websocket.WebSocket) -> None:
        open_now.append(ws)
        times.append(trio.current_time())
        assert len(open_now) == 1
        if len(times) == 4:
            await ws.send(conf_message())
        await let_be(ws)
        open_now.remove(ws)

    async def main() -> None:
        async with scripted(backend, script) as url:
            began = trio.current_time()
            async with webwire.connect(url, backend=backend):
                # 5 s for an attempt, 2 s between.
                rounded = [round(time - began) for time in times]
                assert rounded == [0, 7, 14, 21]
            with pytest.raises(webwire.DialTimeout, match="no connection to .* within 5"):
                async with webwire.connect(url, autoconnect=False, backend=backend):
                    raise AssertionError("it isn't entered")

    run_sockets(main)


def test_with_autoconnect_it_tries_until_somebody_listens(
    backend: Backend, run_sockets: Run
) -> None:
    async def main() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
            with pytest.raises(OSError):
                async with webwire.connect(url, autoconnect=False, backend=backend):
                    raise AssertionError("it isn't entered")
            server = webwire.Server(backend=backend)
            echo(server)

            async def listen_later(task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
                task_status.started()
                await trio.sleep(10)
                listener.listen()
                await server.serve(listeners=[listener])

            async with trio.open_nursery() as nursery:
                await nursery.start(listen_later)
                async with webwire.connect(url, wait=False, backend=backend) as client:
                    assert client.status is Status.CONNECTING
                    with pytest.raises(webwire.ConnectionTimeout, match="within 5 s; nothing was"):
                        await client.request("x", timeout=5)
                    assert client.status is Status.CONNECTING
                    assert (await client.request("x", "through")).text == "through"
                    assert client.status is Status.CONNECTED
                nursery.cancel_scope.cancel()

    run_sockets(main)


def test_a_refusal_ends_the_first_attempts(open_server: OpenServer, run_sockets: Run) -> None:
    def prepare(server: webwire.Server) -> None:
        @server.before_upgrade
        async def refuse(request: webwire.HttpRequest) -> webwire.Response:
            return webwire.Response(403)

    async def main() -> None:
        async with open_server(prepare) as world:
            with pytest.raises(webwire.UpgradeRejected) as caught:
                async with world.connect():
                    raise AssertionError("it isn't entered")
            assert caught.value.status == 403

    run_sockets(main)


# --- loss ---------------------------------------------------------------------------------------


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
                    assert client.status is Status.CONNECTED
                await client.request("last")
                assert client.connections == 2
        assert sorted(requests) == ["last", "signal waits", "waits"]

    run_sockets(main)


def test_without_autoconnect_a_loss_is_final_until_one_connects(
    open_server: OpenServer, run_sockets: Run
) -> None:
    requests: Requests = []

    async def main() -> None:
        async with open_server(noting(requests)) as world:
            async with world.connect(autoconnect=False) as client:
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
        async with open_server(echo) as world:
            async with world.connect(autoconnect=autoconnect) as client:
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


# --- close and connect ----------------------------------------------------------------------------


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

            async with webwire.connect(url, wait=False, backend=backend) as client:
                async with trio.open_nursery() as nursery:
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


# --- heartbeats and silence -----------------------------------------------------------------------


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
