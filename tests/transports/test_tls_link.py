"""TLS over another link: the handshake, the bytes, and what a hostile peer can't do with it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore import errors
from wirecore.moving_rules import MAX_SEND
from wirecore_trio._link import StreamLink
from wirecore_trio._ssl_engine import StdlibEngine
from wirecore_trio._tls_link import TLSLink
from wirecore_trio._upgrade import send_all

if TYPE_CHECKING:
    from tests.transports.conftest import Authority, Run


@pytest.fixture
def contexts(authority: Authority) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a client and a server that trust each other's authority."""
    return authority.client_context(), authority.server_context()


Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


def links(contexts: Contexts, name: str = "server.test") -> tuple[TLSLink, TLSLink]:
    one, other = trio.testing.memory_stream_pair()
    return (
        TLSLink(
            StreamLink(one), StdlibEngine(contexts[0], server_side=False, server_hostname=name)
        ),
        TLSLink(StreamLink(other), StdlibEngine(contexts[1], server_side=True)),
    )


async def shake(client: TLSLink, server: TLSLink) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.handshake)
        nursery.start_soon(server.handshake)


async def receive(link: TLSLink, size: int = 1 << 16) -> bytes:
    """What there is to read, waiting for the first of it; b"" at the end."""
    buffer = memoryview(bytearray(size))
    while (got := link.try_recv_into(buffer)) is None:
        await link.wait_readable()
    return bytes(buffer[:got])


async def receive_exactly(link: TLSLink, size: int) -> bytes:
    data = b""
    while len(data) < size:
        got = await receive(link)
        assert got
        data += got
    return data


# --- the handshake --------------------------------------------------------------------------


def test_bytes_go_both_ways(contexts: Contexts, run: Run) -> None:
    async def story() -> None:
        client, server = links(contexts)
        await shake(client, server)
        await send_all(client, b"ping")
        assert await receive(server) == b"ping"
        big = bytes(range(256)) * 4096
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all, server, big)
            assert await receive_exactly(client, len(big)) == big
        client.close()
        client.close()
        assert await receive(server) == b""
        assert not server.engine.truncated  # type: ignore[attr-defined]  # of this engine
        server.close()

    run(story)


def test_a_part_of_what_came_is_kept(contexts: Contexts, run: Run) -> None:
    async def story() -> None:
        client, server = links(contexts)
        await shake(client, server)
        await send_all(client, b"abcdef")
        await send_all(client, b"ghi")
        assert await receive(server, 4) == b"abcd"
        assert await receive(server, 100) == b"efghi"
        client.close()
        server.close()

    run(story)


def trusting_nobody(contexts: Contexts) -> tuple[TLSLink, TLSLink]:
    return links((ssl.create_default_context(), contexts[1]))


def for_another_name(contexts: Contexts) -> tuple[TLSLink, TLSLink]:
    return links(contexts, "elsewhere.test")


@pytest.mark.parametrize(
    ("make", "why"),
    [(trusting_nobody, "self-signed certificate"), (for_another_name, "elsewhere.test")],
)
def test_a_server_that_isnt_trusted_is_refused_and_told(
    contexts: Contexts, run: Run, make: Callable[[Contexts], tuple[TLSLink, TLSLink]], why: str
) -> None:
    async def story() -> None:
        client, server = make(contexts)

        async def refuse() -> None:
            with pytest.raises(errors.PeerRefused, match=why):
                await client.handshake()
            client.close()

        async def be_refused() -> None:
            # With TLS 1.3 a server hears of it in the handshake: it waits for the client's end.
            with pytest.raises(errors.HandshakeError, match=r"alert|certificate"):
                await server.handshake()
            server.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(refuse)
            nursery.start_soon(be_refused)

    run(story)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_refuses_our_certificate_says_so(
    authority: Authority, another_authority: Authority, run: Run, newest: ssl.TLSVersion
) -> None:
    """In TLS 1.3 behind the client's handshake, at its first read."""

    async def story() -> None:
        context = authority.client_context(another_authority)
        context.maximum_version = newest
        client, server = links((context, authority.server_context(asks=True)))

        async def be_refused() -> None:
            with pytest.raises(errors.PeerRefused, match="refused our certificate"):
                await ask()
            with pytest.raises(errors.RemoteError):
                client.try_send(b"x")
            client.close()

        async def ask() -> None:
            await client.handshake()
            await receive(client)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(be_refused)
            with pytest.raises(errors.HandshakeError, match="certificate"):
                await server.handshake()
            server.close()

    run(story)


def test_a_client_with_a_certificate_is_let_in(authority: Authority, run: Run) -> None:
    async def story() -> None:
        client, server = links(
            (authority.client_context(authority), authority.server_context(asks=True))
        )
        await shake(client, server)
        assert isinstance(server.engine, StdlibEngine)
        assert server.engine.ssl_object.getpeercert()
        client.close()
        server.close()

    run(story)


def test_what_isnt_tls_is_a_failed_handshake(contexts: Contexts, run: Run) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        client = TLSLink(
            StreamLink(one), StdlibEngine(contexts[0], server_side=False, server_hostname="x")
        )
        await other.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(errors.HandshakeError, match="sent is not TLS: is it ws://"):
            await client.handshake()
        client.close()
        await trio.testing.wait_all_tasks_blocked()
        assert (await other.receive_some())[0] == 22  # the hello, and then perhaps an alert

    run(story)


def test_a_peer_that_goes_away_in_the_handshake(contexts: Contexts, run: Run) -> None:
    async def story() -> None:
        client, server = links(contexts)
        server.inner.close()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(errors.HandshakeError):
            await client.handshake()
        client.close()

        client, server = links(contexts)
        assert isinstance(client.inner, StreamLink)
        await client.inner.stream.send_all(b"not TLS")
        await client.inner.stream.aclose()
        # Its alert reaches nobody; what is raised is what the client did.
        with pytest.raises(errors.HandshakeError):
            await server.handshake()
        server.close()

    run(story)


# --- the end --------------------------------------------------------------------------------


def test_a_stream_that_is_cut_is_noticed(contexts: Contexts, run: Run) -> None:
    async def story() -> None:
        client, server = links(contexts)
        await shake(client, server)
        await send_all(client, b"last")
        client.inner.close()
        assert await receive(server) == b"last"
        assert await receive(server) == b""
        assert await receive(server) == b""
        assert server.engine.truncated  # type: ignore[attr-defined]  # of this engine
        with pytest.raises(errors.ProtocolError, match="EOF"):
            await send_all(server, bytes(MAX_SEND * 2))
        server.close()

    run(story)


def test_rubbish_behind_good_records_comes_behind_them(contexts: Contexts, run: Run) -> None:
    async def story() -> None:
        client, server = links(contexts)
        await shake(client, server)
        await send_all(client, b"good")
        assert isinstance(client.inner, StreamLink)
        await client.inner.stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert await receive(server) == b"good"
        for _ in range(2):
            with pytest.raises(errors.ProtocolError, match="TLS: "):
                await receive(server)
        with pytest.raises(errors.ProtocolError):
            server.try_send(b"x")
        client.close()
        server.close()

    run(story)


def test_engines_of_the_standard_library_in_odd_states(contexts: Contexts) -> None:
    engine = StdlibEngine(contexts[0], server_side=False, server_hostname="x")
    assert not engine.handshake()
    assert engine.read_into(memoryview(bytearray(1))) is None
    assert engine.write(b"x") == 0  # ciphertext must come first
    assert engine.write(b"") == 0
    engine.close()
