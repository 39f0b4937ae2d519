"""The TLS stream when something goes wrong: refusals, damage, a transport that breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore.errors import (
    HandshakeError,
    PeerRefused,
    ProtocolError,
)
from wirecore_trio.tls import (
    ClientCredentials,
    PinnedTLSStream,
    ServerCredentials,
    StreamHandshakeError,
    StreamLost,
    StreamPeerRefused,
    StreamProtocolError,
)

if TYPE_CHECKING:
    from tests.transports.tls.conftest import KeyPair, MakePair, Shake, Story

Run = Callable[["Story"], None]


# --- refusals -----------------------------------------------------------------------------


def test_a_refusal_shows_at_the_clients_first_receive(
    run: Run,
    server_credentials: ServerCredentials,
    server_key: KeyPair,
    other_key: KeyPair,
) -> None:
    async def story() -> None:
        near, far = trio.testing.memory_stream_pair()
        client = PinnedTLSStream(near, ClientCredentials(other_key.seed, server_key.public))
        server = PinnedTLSStream(far, server_credentials)

        async def serve() -> None:
            for _ in range(2):
                with pytest.raises(StreamPeerRefused, match=other_key.public.hex()):
                    await server.receive_some()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            await client.do_handshake()
            await client.send_all(b"too early to tell")
            with pytest.raises(StreamPeerRefused, match="the server refused") as raised:
                await client.receive_some()
        assert isinstance(raised.value, PeerRefused)
        assert isinstance(raised.value, trio.BrokenResourceError)
        with pytest.raises(StreamPeerRefused, match="the server refused"):
            await client.send_all(b"still")
        await client.aclose()
        await server.aclose()

    run(story)


def test_a_wrong_server_is_told_in_its_handshake(
    run: Run,
    server_credentials: ServerCredentials,
    client_key: KeyPair,
    other_key: KeyPair,
) -> None:
    async def story() -> None:
        near, far = trio.testing.memory_stream_pair()
        client = PinnedTLSStream(near, ClientCredentials(client_key.seed, other_key.public))
        server = PinnedTLSStream(far, server_credentials)
        async with trio.open_nursery() as nursery:

            async def connect() -> None:
                with pytest.raises(StreamPeerRefused, match="not on the list"):
                    await client.do_handshake()

            nursery.start_soon(connect)
            with pytest.raises(StreamPeerRefused, match="the client refused this server's"):
                await server.do_handshake()

    run(story)


def test_junk_is_a_failed_handshake(run: Run, server_credentials: ServerCredentials) -> None:
    async def story() -> None:
        near, far = trio.testing.memory_stream_pair()
        server = PinnedTLSStream(far, server_credentials)
        await near.send_all(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(StreamHandshakeError, match="is not TLS") as raised:
            await server.receive_some()
        assert isinstance(raised.value, HandshakeError)

    run(story)


def test_a_damaged_record_is_answered_with_an_alert(
    shake: Shake, run: Run, make_pair: MakePair
) -> None:
    async def story() -> None:
        client, server = make_pair()
        await shake(client, server)
        await client.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(StreamProtocolError, match="the client broke the rules") as raised:
            await server.receive_some()
        assert isinstance(raised.value, ProtocolError)
        with pytest.raises(StreamProtocolError, match="TLS alert 20 bad record mac"):
            await client.receive_some()

    run(story)


def test_a_peer_that_doesnt_read_its_alert_keeps_nobody_waiting(
    run: Run, server_credentials: ServerCredentials
) -> None:
    async def story() -> None:
        near, far = trio.testing.lockstep_stream_pair()
        server = PinnedTLSStream(far, server_credentials)
        async with trio.open_nursery() as nursery:
            # A client hello cut short: OpenSSL has an alert for that.
            hello = b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03"
            nursery.start_soon(near.send_all, hello)
            started = trio.current_time()
            with pytest.raises(StreamHandshakeError, match="broke the rules"):
                await server.do_handshake()
            assert trio.current_time() - started == 1
            # The alert is half sent now: nothing may follow it.
            with pytest.raises(StreamHandshakeError, match="broke the rules"):
                await server.do_handshake()
            await server.aclose()
            assert trio.current_time() - started == 1

    run(story)


# --- the transport breaks -------------------------------------------------------------------


class Breaking(trio.abc.Stream):
    """A transport that breaks once it is told to."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner
        self.broken = False

    def _check(self) -> None:
        if self.broken:
            raise trio.BrokenResourceError("connection reset")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        self._check()
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        self._check()
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


def test_a_broken_transport_is_a_lost_connection(
    shake: Shake, run: Run, make_pair: MakePair
) -> None:
    async def story() -> None:
        client, server = make_pair()
        transport = client.transport_stream = Breaking(client.transport_stream)
        await shake(client, server)
        transport.broken = True
        for operation in (client.receive_some, lambda: client.send_all(b"x")):
            with pytest.raises(StreamLost, match="under the TLS stream broke") as raised:
                await operation()
            assert str(raised.value.__cause__) == "connection reset"
        with pytest.raises(StreamLost, match="an earlier send"):
            await client.send_all(b"y")
        await client.aclose()
        with pytest.raises(StreamLost, match="without a TLS close_notify"):
            await server.receive_some()

    run(story)


def test_closing_a_broken_transport_is_quiet(shake: Shake, run: Run, make_pair: MakePair) -> None:
    async def story() -> None:
        client, server = make_pair()
        transport = client.transport_stream = Breaking(client.transport_stream)
        await shake(client, server)
        transport.broken = True
        await client.aclose()
        await server.transport_stream.aclose()
        await server.aclose()  # closed below it by somebody else

    run(story)


def test_the_handshake_over_a_broken_transport(run: Run, make_pair: MakePair) -> None:
    async def story() -> None:
        client, _ = make_pair()
        transport = client.transport_stream = Breaking(client.transport_stream)
        transport.broken = True
        with pytest.raises(StreamLost, match="under the TLS stream broke"):
            await client.do_handshake()

    run(story)
