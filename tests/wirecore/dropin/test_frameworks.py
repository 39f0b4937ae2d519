"""Frameworks that use wsproto, over real sockets, with install() and without, at either end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
import trio

from wirecore.dropin import wsproto as dropin

trio_websocket = pytest.importorskip("trio_websocket", reason="trio-websocket isn't installed")

BINARY = [b"", b"\x00", bytes(range(256)) * 5, b"large" * 20_000]
TEXT = ["", "plain", "größer €", "näher " * 15_000]


class Client(Protocol):
    """Talks to the echo server on a port; returns the codec that the server says it has."""

    def __call__(self, port: int) -> str: ...


def httpx_ws_client(port: int) -> str:
    httpx = pytest.importorskip("httpx", reason="httpx isn't installed")
    httpx_ws = pytest.importorskip("httpx_ws", reason="httpx-ws isn't installed")
    with (
        httpx.Client() as client,
        httpx_ws.connect_ws(f"ws://127.0.0.1:{port}/", client) as websocket,
    ):
        return converse_in_threads(websocket)


def httpx2_client(port: int) -> str:
    httpx2 = pytest.importorskip("httpx2", reason="httpx2 isn't installed")
    pytest.importorskip("httpx2.websockets", reason="httpx2 is older than its WebSocket")
    url, size = f"ws://127.0.0.1:{port}/", 2**20
    with (
        httpx2.Client() as client,
        client.websocket(url, max_message_size_bytes=size) as websocket,
    ):
        return converse_in_threads(websocket)


def converse_in_threads(websocket: Any) -> str:
    """With a session of httpx-ws, or of httpx2, which took it in."""
    assert isinstance(websocket.connection, dropin.Connection) is dropin.installed()
    for data in BINARY:
        websocket.send_bytes(data)
        assert websocket.receive_bytes(timeout=30) == data
    for text in TEXT:
        websocket.send_text(text)
        assert websocket.receive_text(timeout=30) == text
    websocket.ping().wait(30)
    websocket.send_text("codec?")
    codec: str = websocket.receive_text(timeout=30)
    return codec


def trio_websocket_client(port: int) -> str:
    async def main() -> str:
        with trio.fail_after(30):
            async with trio_websocket.open_websocket_url(f"ws://127.0.0.1:{port}/") as websocket:
                return await converse(websocket)

    return trio.run(main)


async def converse(websocket: Any) -> str:
    """With a connection of trio-websocket."""
    assert isinstance(websocket._wsproto.connection, dropin.Connection) is dropin.installed()
    for message in (*BINARY, *TEXT):
        await websocket.send_message(message)
        assert await websocket.get_message() == message
    await websocket.ping(b"are you there")
    await websocket.send_message("codec?")
    codec: str = await websocket.get_message()
    return codec


@pytest.fixture(scope="module", params=["stock", "installed"])
def codec_wanted(request: pytest.FixtureRequest) -> str:
    """Whether the server calls install()."""
    return str(request.param)


@pytest.fixture(scope="module", params=["hypercorn-asyncio", "hypercorn-trio", "uvicorn"])
def server(request: pytest.FixtureRequest, codec_wanted: str) -> Iterator[int]:
    """The port of a server in a process of its own."""
    library = request.param.partition("-")[0]
    pytest.importorskip(library, reason=f"{library} isn't installed")
    program = Path(__file__).with_name("echo_server.py")
    with subprocess.Popen(
        [sys.executable, program, request.param, codec_wanted],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        assert process.stdin
        process.stdin.close()
        process.wait(30)


@pytest.fixture(params=[False, True], ids=["stock client", "installed client"])
def _client_installed(request: pytest.FixtureRequest, _uninstalled: None) -> None:
    """Whether this process calls install()."""
    if request.param:
        dropin.install()


@pytest.mark.usefixtures("_client_installed")
@pytest.mark.parametrize("client", [httpx_ws_client, httpx2_client, trio_websocket_client])
def test_clients_talk_to_servers(server: int, codec_wanted: str, client: Client) -> None:
    assert client(server) == ("wirecore" if codec_wanted == "installed" else "wsproto")


@pytest.mark.usefixtures("_client_installed")
def test_trio_websocket_at_both_ends() -> None:
    served: list[type] = []
    codes: list[int] = []

    async def echo(request: Any) -> None:
        websocket = await request.accept()
        served.append(type(websocket._wsproto.connection))
        try:
            while True:
                await websocket.send_message(await websocket.get_message())
        except trio_websocket.ConnectionClosed as closed:
            codes.append(closed.reason.code)

    async def main() -> None:
        serve: Callable[..., Any] = partial(trio_websocket.serve_websocket, echo, "127.0.0.1")
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                server = await nursery.start(serve, 0, None)
                url = f"ws://127.0.0.1:{server.port}/"
                async with trio_websocket.open_websocket_url(url) as websocket:
                    assert await converse(websocket) == "codec?"
                assert websocket.closed.code == 1000
                nursery.cancel_scope.cancel()

    trio.run(main)
    assert codes == [1000]
    assert [issubclass(each, dropin.Connection) for each in served] == [dropin.installed()]
