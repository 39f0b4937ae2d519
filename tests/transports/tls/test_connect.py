"""Dialling and accepting: over real sockets, and with peers that never answer."""

from __future__ import annotations

import math
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore.errors import HandshakeError
from wirecore_trio.tls import (
    ClientCredentials,
    PinnedTLSStream,
    ServerCredentials,
    StreamHandshakeError,
    StreamPeerRefused,
    connect_pinned_tls,
    wrap_server,
)

if TYPE_CHECKING:
    from tests.transports.tls.conftest import KeyPair, Story

Run = Callable[["Story"], None]


class EchoServer:
    """Echoes on a port of 127.0.0.1; keeps its open streams by key, and reports refusals."""

    def __init__(self, credentials: ServerCredentials) -> None:
        self.credentials = credentials
        self.port = 0
        self.streams: dict[bytes, PinnedTLSStream] = {}
        self._report, self.refusals = trio.open_memory_channel[str](math.inf)

    async def serve(self, transport: trio.SocketStream) -> None:
        try:
            stream = await wrap_server(transport, self.credentials)
        except HandshakeError as error:
            self._report.send_nowait(str(error))
            return
        self.streams[stream.peer_public_key] = stream
        async with stream:
            try:
                while data := await stream.receive_some():
                    await stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return


@asynccontextmanager
async def echo_server(credentials: ServerCredentials) -> AsyncIterator[EchoServer]:
    server = EchoServer(credentials)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, server.serve, listeners)
        server.port = listeners[0].socket.getsockname()[1]
        yield server
        nursery.cancel_scope.cancel()


def test_over_real_sockets(
    run_with_sockets: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    other_key: KeyPair,
    server_key: KeyPair,
    client_key: KeyPair,
) -> None:
    data = bytes(range(256)) * 4000

    async def story() -> None:
        async with echo_server(server_credentials) as server:
            stream = await connect_pinned_tls("127.0.0.1", server.port, client_credentials)
            assert stream.peer_public_key == server_key.public
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, data)
                got = b""
                while len(got) < len(data):
                    got += await stream.receive_some()
            assert got == data

            stranger = ClientCredentials(other_key.seed, server_key.public)
            async with await connect_pinned_tls(
                "localhost", server.port, stranger
            ) as refused_stream:
                with pytest.raises(StreamPeerRefused, match="the server refused"):
                    await refused_stream.receive_some()

            suspicious = ClientCredentials(client_key.seed, other_key.public)
            with pytest.raises(StreamPeerRefused, match=r"the server's public key .* is not"):
                await connect_pinned_tls("127.0.0.1", server.port, suspicious)
            assert "not on the list" in await server.refusals.receive()
            assert "the client refused" in await server.refusals.receive()

    run_with_sockets(story)


def test_each_side_has_credentials_of_its_own(
    run: Run, client_credentials: ClientCredentials, server_credentials: ServerCredentials
) -> None:
    """They say which side of TLS one is: two servers would wait for each other."""

    async def story() -> None:
        with pytest.raises(TypeError, match="must be ClientCredentials, not ServerCredentials"):
            await connect_pinned_tls("127.0.0.1", 1, server_credentials)  # type: ignore[arg-type] # the mistake is tested
        ours, theirs = trio.testing.memory_stream_pair()
        with pytest.raises(TypeError, match="must be ServerCredentials, not ClientCredentials"):
            await wrap_server(ours, client_credentials)  # type: ignore[arg-type] # the mistake is tested
        with pytest.raises(TypeError, match=r"must be Client\w+ or Server\w+, not bytes"):
            PinnedTLSStream(ours, b"a key")  # type: ignore[arg-type] # the mistake is tested
        await ours.send_all(b"as it was")
        assert await theirs.receive_some() == b"as it was"

    run(story)


def test_none_is_no_bound(
    run: Run, client_credentials: ClientCredentials, server_credentials: ServerCredentials
) -> None:
    async def story() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(PinnedTLSStream(theirs, client_credentials).do_handshake)
            stream = await wrap_server(ours, server_credentials, handshake_timeout=None)
            assert stream.peer_public_key == client_credentials.public_key

    run(story)


def test_a_refusal_arrives_although_the_client_has_already_sent_something(
    run_with_sockets: Run,
    server_credentials: ServerCredentials,
    server_key: KeyPair,
    other_key: KeyPair,
) -> None:
    """As every WebSocket client does, whose request follows its handshake at once."""

    async def story() -> None:
        stranger = ClientCredentials(other_key.seed, server_key.public)
        async with echo_server(server_credentials) as server:
            for _ in range(20):
                stream = await connect_pinned_tls("127.0.0.1", server.port, stranger)
                try:
                    await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
                except trio.BrokenResourceError:
                    pass  # the server was faster: what it said is still to be read
                with pytest.raises(StreamPeerRefused, match="the server refused"):
                    await stream.receive_some()
                await stream.aclose()

    run_with_sockets(story)


def test_a_server_drops_the_keys_it_has_lost(
    run_with_sockets: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    server_key: KeyPair,
    other_key: KeyPair,
) -> None:
    async def story() -> None:
        server_credentials.replace([client_credentials.public_key, other_key.public])
        other = ClientCredentials(other_key.seed, server_key.public)
        async with (
            echo_server(server_credentials) as server,
            trio.open_nursery() as nursery,
        ):

            def drop(removed: frozenset[bytes]) -> None:
                for key in removed:
                    nursery.start_soon(server.streams[key].aclose)

            unsubscribe = server_credentials.subscribe(drop)
            leaving = await connect_pinned_tls("127.0.0.1", server.port, client_credentials)
            staying = await connect_pinned_tls("127.0.0.1", server.port, other)
            for stream in (leaving, staying):
                await stream.send_all(b"x")
                assert await stream.receive_some() == b"x"
            server_credentials.replace([other_key.public])
            assert await leaving.receive_some() == b""
            await staying.send_all(b"y")
            assert await staying.receive_some() == b"y"
            back = await connect_pinned_tls("127.0.0.1", server.port, client_credentials)
            with pytest.raises(StreamPeerRefused, match="the server refused"):
                await back.receive_some()
            unsubscribe()
            for stream in (leaving, staying, back):
                await stream.aclose()

    run_with_sockets(story)


def test_nobody_there_is_an_os_error(
    run_with_sockets: Run, client_credentials: ClientCredentials
) -> None:
    async def story() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # bound, and never listening
            with pytest.raises(OSError, match="all attempts to connect"):
                await connect_pinned_tls("127.0.0.1", unused.getsockname()[1], client_credentials)

    run_with_sockets(story)


def test_a_silent_client_is_given_ten_seconds(
    run: Run, server_credentials: ServerCredentials
) -> None:
    async def story() -> None:
        near, far = trio.testing.memory_stream_pair()
        started = trio.current_time()
        with pytest.raises(
            StreamHandshakeError, match="the client didn't complete the TLS handshake within 10 s"
        ):
            await wrap_server(far, server_credentials)
        assert trio.current_time() - started == 10
        assert await near.receive_some() == b""  # closed

    run(story)


def test_a_silent_server_is_given_as_long_as_was_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch, client_credentials: ClientCredentials
) -> None:
    async def story() -> None:
        near, far = trio.testing.memory_stream_pair()

        async def open_tcp_stream(host: str, port: int) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            return near

        monkeypatch.setattr(trio, "open_tcp_stream", open_tcp_stream)
        started = trio.current_time()
        with pytest.raises(StreamHandshakeError, match=r"within 2\.5 s"):
            await connect_pinned_tls("example.org", 1, client_credentials, handshake_timeout=2.5)
        assert trio.current_time() - started == 2.5
        assert await far.receive_some() != b""  # its hello
        assert await far.receive_some() == b""

    run(story)


def test_the_users_own_deadline_stays_the_users(
    run: Run, server_credentials: ServerCredentials
) -> None:
    async def story() -> None:
        _, far = trio.testing.memory_stream_pair()
        with pytest.raises(trio.TooSlowError), trio.fail_after(100):
            await wrap_server(far, server_credentials, handshake_timeout=math.inf)

    run(story)
