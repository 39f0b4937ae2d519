"""A client connects: to whom, how often it tries, and what ends the attempts."""

from __future__ import annotations

import socket
from itertools import pairwise
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.world import (
    OpenServer,
    conf_message,
    echo,
    let_be,
    scripted,
    settle,
)
from wirecore._backend import Backend
from wirecore_trio import websocket, webwire
from wirecore_trio.webwire import ClientOptions, Status


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
                # 5 s for an attempt, and 2 s between, spread by a tenth.
                assert times[0] == pytest.approx(began)
                assert len(times) == 4
                for before, after in pairwise(times):
                    assert 6.79 < after - before < 7.21
            with pytest.raises(webwire.DialTimeout, match=r"no connection to .* within 5"):
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
            with pytest.raises(ConnectionRefusedError):
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
                    assert client.status.value == "connected"
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
