"""Dialling through a proxy: HTTP and SOCKS, which may fail in ways of its own."""

from __future__ import annotations

import base64
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
import trio

from tests.transports.listening_peers import Peers
from wirecore import errors
from wirecore_trio._dial import (
    environment_proxy,
    open_socket,
    parse_url,
)
from wirecore_trio._link import SocketLink

if TYPE_CHECKING:
    from tests.transports.conftest import Run

# --- URLs -----------------------------------------------------------------------------------


Proxy = Callable[[trio.SocketStream, list[str]], Awaitable[None]]


async def _pipe(one: trio.abc.Stream, other: trio.abc.Stream) -> None:
    async def copy(source: trio.abc.Stream, target: trio.abc.Stream) -> None:
        async for data in source:
            await target.send_all(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(copy, one, other)
        await copy(other, one)
        nursery.cancel_scope.cancel()


async def _exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.receive_some(size - len(data))
    return data


async def http_proxy(stream: trio.SocketStream, asked: list[str]) -> None:
    """HTTP CONNECT, for ``user`` with ``pass``."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += await stream.receive_some()
    lines = head.decode().split("\r\n")
    asked.append(lines[0])
    if "Proxy-Authorization: Basic " + base64.b64encode(b"user:pass").decode() not in lines:
        await stream.send_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        return
    host, _, port = lines[0].split()[1].rpartition(":")
    async with await trio.open_tcp_stream(host, int(port)) as target:
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        await _pipe(stream, target)


async def socks_proxy(stream: trio.SocketStream, asked: list[str]) -> None:
    """SOCKS 5 without authentication, RFC 1928."""
    _, count = await _exactly(stream, 2)
    await _exactly(stream, count)
    await stream.send_all(b"\x05\x00")
    _, _, _, kind = await _exactly(stream, 4)
    size = (await _exactly(stream, 1))[0] if kind == 3 else 4
    address = await _exactly(stream, size)
    host = address.decode() if kind == 3 else socket.inet_ntoa(address)
    port = int.from_bytes(await _exactly(stream, 2), "big")
    asked.append(f"{host}:{port}")
    async with await trio.open_tcp_stream("127.0.0.1", port) as target:
        await stream.send_all(b"\x05\x00\x00\x01" + bytes(6))
        await _pipe(stream, target)


async def greet(stream: trio.SocketStream) -> None:
    await stream.send_all(b"hello")


async def receive(link: SocketLink) -> bytes:
    buffer = memoryview(bytearray(100))
    await link.wait_readable()
    size = link.try_recv_into(buffer)
    return bytes(buffer[:size])


@pytest.fixture
def with_proxy(run_sockets: Run) -> Callable[..., None]:
    """Run a story with a proxy, its port and that of a server which greets."""

    def runner(proxy: Proxy, story: Callable[[int, int, list[str]], Awaitable[None]]) -> None:
        asked: list[str] = []

        async def handle(stream: trio.SocketStream) -> None:
            await proxy(stream, asked)

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                ports = []
                for handler in (handle, greet):
                    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
                    ports.append(listener.socket.getsockname()[1])
                    nursery.start_soon(trio.serve_listeners, handler, [listener])
                await story(ports[0], ports[1], asked)
                nursery.cancel_scope.cancel()

        run_sockets(main)

    return runner


def test_through_an_http_proxy(with_proxy: Callable[..., None]) -> None:
    async def story(proxy: int, port: int, asked: list[str]) -> None:
        url = f"http://user:pass@127.0.0.1:{proxy}"
        link = await open_socket("127.0.0.1", port, proxy=url)
        assert await receive(link) == b"hello"
        assert link.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert asked == [f"CONNECT 127.0.0.1:{port} HTTP/1.1"]
        link.close()

        with pytest.raises(errors.HandshakeError, match="proxy refused") as caught:
            await open_socket("127.0.0.1", port, proxy=f"http://user:wrong@127.0.0.1:{proxy}")
        assert "wrong" not in str(caught.value)

    with_proxy(http_proxy, story)


def test_through_a_socks_proxy_that_looks_the_name_up(with_proxy: Callable[..., None]) -> None:
    async def story(proxy: int, port: int, asked: list[str]) -> None:
        link = await open_socket("only.the.proxy.knows", port, proxy=f"socks5://127.0.0.1:{proxy}")
        assert await receive(link) == b"hello"
        assert asked == [f"only.the.proxy.knows:{port}"]
        link.close()

    with_proxy(socks_proxy, story)


def test_a_proxy_that_isnt_there(run_sockets: Run) -> None:
    async def story() -> None:
        with Peers() as peers:
            port = peers.port
        with pytest.raises(OSError, match=r".") as caught:
            await open_socket("h", 80, proxy=f"http://127.0.0.1:{port}")
        assert not isinstance(caught.value, TimeoutError)

    run_sockets(story)


def test_a_proxy_that_goes_away_in_the_middle(with_proxy: Callable[..., None]) -> None:
    async def hang_up(stream: trio.SocketStream, asked: list[str]) -> None:
        await stream.receive_some()

    async def story(proxy: int, port: int, asked: list[str]) -> None:
        for scheme in ("http", "socks5"):
            with pytest.raises((errors.HandshakeError, OSError, trio.BrokenResourceError)):
                await open_socket("h", port, proxy=f"{scheme}://127.0.0.1:{proxy}")

    with_proxy(hang_up, story)


def test_a_proxys_url_that_is_none_is_told_without_its_secrets(run_sockets: Run) -> None:
    async def story() -> None:
        for url in ("https://user:secret@h:1", "secret", "http://user:secret@"):
            with pytest.raises(errors.InvalidOption, match="proxy's URL") as caught:
                await open_socket("h", 80, proxy=url)
            assert "secret" not in repr(caught.value)

    run_sockets(story)


def test_without_the_extra_a_proxy_says_what_it_needs(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)

    async def story() -> None:
        with pytest.raises(errors.LocalError, match=r"pip install 'python-socks\[trio\]'"):
            await open_socket("h", 80, proxy="http://h:1")

    run_sockets(story)


PLAIN, SECURE = parse_url("ws://h/"), parse_url("wss://h/")


@pytest.mark.parametrize(
    ("environment", "plain", "secure"),
    [
        ({}, None, None),
        ({"http_proxy": "http://a:1"}, "http://a:1", None),
        ({"https_proxy": "http://b:2"}, None, "http://b:2"),
        ({"http_proxy": "http://a:1", "ws_proxy": "socks5://c:3"}, "socks5://c:3", None),
        ({"all_proxy": "socks5://c:3"}, "socks5://c:3", "socks5://c:3"),
        ({"all_proxy": "socks5://c:3", "no_proxy": "x, h"}, None, None),
        ({"all_proxy": "socks5://c:3", "no_proxy": "h:443"}, "socks5://c:3", None),
    ],
)
def test_the_environment_names_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    plain: str | None,
    secure: str | None,
) -> None:
    for name in ("http", "https", "all", "ws", "wss", "socks", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert environment_proxy(PLAIN) == plain
    assert environment_proxy(SECURE) == secure
