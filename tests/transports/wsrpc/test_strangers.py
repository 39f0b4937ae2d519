"""Peers of a wsrpc server or client that are none: what they get, and what is told of them."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.wsrpc.ping_ends import Gnip, public, serve_ping
from wirecore.errors import (
    HandshakeError,
)
from wirecore.session import Backoff
from wirecore_trio import wsrpc
from wirecore_trio.tls import connect_pinned_tls
from wirecore_trio.wsrpc import RetryPolicy
from wirecore_trio.wsrpc.ping import (
    PingRequest,
    PingStub,
)

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE, BOB, CHARLIE = (bytes([number]) * 32 for number in (1, 2, 3, 4))

#: Fast enough for a test, slow enough to see the states.
QUICK = RetryPolicy(backoff=lambda: Backoff(0.01, 1.5, 0, 0.05))
ONCE = RetryPolicy(attempts=1)


async def exchange(world: Any, data: bytes) -> bytes:
    """Send *data* over a pinned TLS stream and read to its end."""
    credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
    stream = await connect_pinned_tls("127.0.0.1", world.port, credentials)
    async with stream:
        await stream.send_all(data)
        answer = b""
        while chunk := await stream.receive_some(65536):
            answer += chunk
        return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"405"),
        (b"SSH-2.0-OpenSSH_9.0\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: http://evil\r\nUpgrade: websocket\r\n"
            b"Connection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            b"403",
        ),
    ],
    ids=["not an upgrade", "post", "not http", "oversize head", "foreign origin"],
)
def test_what_is_no_proper_upgrade_gets_its_http_answer(
    open_world: Opener, run: Run, request_: bytes, status: bytes
) -> None:
    async def main() -> None:
        async with open_world(prepare=serve_ping) as world:
            answer = await exchange(world, request_)
            assert answer.startswith(b"HTTP/1.1 " + status)
            async with world.connect(services=[Gnip()]) as client:  # and the server lives on
                await PingStub(client).Ping(PingRequest(body="x"))

    run(main)


def test_a_plaintext_client_on_the_tls_port_is_dropped(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world(prepare=serve_ping) as world:
            stream = await trio.open_tcp_stream("127.0.0.1", world.port)
            async with stream:
                await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = b""
                try:
                    while chunk := await stream.receive_some(4096):
                        answer += chunk
                except trio.BrokenResourceError:
                    pass
                assert not answer.startswith(b"HTTP")
            async with world.connect(services=[Gnip()]) as client:
                await PingStub(client).Ping(PingRequest(body="x"))

    run(main)


def test_a_tls_1_2_client_is_refused(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world() as world:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            stream = trio.SSLStream(await trio.open_tcp_stream("127.0.0.1", world.port), context)
            with pytest.raises(trio.BrokenResourceError):
                await stream.do_handshake()
            await trio.aclose_forcefully(stream)

    run(main)


def test_who_says_nothing_is_dropped_after_open_timeout(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with open_world(options=wsrpc.Options(open_timeout=0.1)) as world:
            stream = await trio.open_tcp_stream("127.0.0.1", world.port)
            async with stream:
                assert await stream.receive_some(1) == b""

    run(main)


def test_a_server_that_says_nothing_is_a_failed_attempt(run: Run) -> None:
    async def main() -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        async with listeners[0]:
            connecting = wsrpc.connect(
                f"127.0.0.1:{port}",
                wsrpc.ClientCredentials(ALICE, public(SERVER)),
                options=wsrpc.Options(open_timeout=0.1),
                retry=ONCE,
            )
            with pytest.raises(TimeoutError, match="no connection to"):
                async with connecting:
                    pass

    run(main)


def test_a_server_of_plain_http_is_a_failed_handshake(run: Run) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some(4096)
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
            credentials = wsrpc.ClientCredentials(ALICE, public(SERVER))
            with pytest.raises(HandshakeError):
                async with wsrpc.connect(f"127.0.0.1:{port}", credentials, retry=ONCE):
                    pass
            nursery.cancel_scope.cancel()

    run(main)
