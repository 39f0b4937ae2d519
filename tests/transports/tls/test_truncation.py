"""Streams that are cut off, or damaged, at every point."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from wirecore.errors import HandshakeError, ProtocolError
from wirecore_trio.tls import PinnedEngine, ServerCredentials

if TYPE_CHECKING:
    from tests.transports.tls.conftest import End, Join, NewClient

#: A flight of the handshake has about 1700 bytes: every so many-th of them will do.
STRIDE = 37


def flights(
    new_client: NewClient, server_credentials: ServerCredentials
) -> tuple[PinnedEngine, PinnedEngine, bytes, bytes]:
    """A client that has sent its hello, a server that has answered, and both flights."""
    client, server = new_client(), PinnedEngine(server_credentials)
    client.handshake()
    hello = client.outgoing()
    server.receive(hello)
    server.handshake()
    return client, server, hello, server.outgoing()


def test_a_handshake_cut_off_anywhere_fails(
    new_client: NewClient, server_credentials: ServerCredentials
) -> None:
    _, _, hello, answer = flights(new_client, server_credentials)
    for cut in range(1, len(hello), STRIDE):
        server = PinnedEngine(server_credentials)
        server.receive(hello[:cut])
        server.receive(b"")
        with pytest.raises(HandshakeError, match="the client ended the stream in the middle"):
            server.handshake()
    for cut in range(1, len(answer), STRIDE):
        client, _, _, answer = flights(new_client, server_credentials)
        client.receive(answer[:cut])
        assert not client.handshake()
        client.receive(b"")
        with pytest.raises(HandshakeError, match="the server ended the stream in the middle"):
            client.handshake()


def test_a_last_flight_cut_off_anywhere_lets_nobody_in(
    new_client: NewClient, server_credentials: ServerCredentials
) -> None:
    cut = size = 1
    while cut <= size:
        client, server, _, answer = flights(new_client, server_credentials)
        client.receive(answer)
        assert client.handshake()
        last = client.outgoing()
        size = len(last) - 1
        server.receive(last[:cut])
        assert not server.handshake()
        server.receive(b"")
        with pytest.raises(HandshakeError, match="the client ended the stream in the middle"):
            server.handshake()
        cut += STRIDE


def test_a_damaged_handshake_never_completes(
    new_client: NewClient, server_credentials: ServerCredentials
) -> None:
    position = 0
    size = 1
    while position < size:
        client, server, _, answer = flights(new_client, server_credentials)
        size = len(answer)
        damaged = bytearray(answer)
        damaged[position] ^= 0x10
        client.receive(damaged)
        client.receive(b"")
        with pytest.raises(HandshakeError):
            client.handshake()
        # What the client has to say about it doesn't convince the server either.
        server.receive(client.outgoing())
        server.receive(b"")
        with pytest.raises(HandshakeError):
            server.handshake()
        position += STRIDE


def test_data_cut_off_anywhere_is_told_from_a_whole_stream(
    join: Callable[[End, End], Join],
    new_client: NewClient,
    server_credentials: ServerCredentials,
    read: Callable[[PinnedEngine], bytes],
) -> None:
    cut = 0
    whole = 1
    while cut <= whole:
        client, server = new_client(), PinnedEngine(server_credentials)
        join(client, server)
        client.write(b"abcdefgh")
        first = client.outgoing()
        client.write(b"ijkl")
        second = client.outgoing()
        client.close()
        sealed = first + second + client.outgoing()
        whole = len(sealed)
        server.receive(sealed[:cut])
        server.receive(b"")
        complete = (cut >= len(first)) + (cut >= len(first + second))
        assert read(server) == [b"", b"abcdefgh", b"abcdefghijkl"][complete]
        assert server.read_into(memoryview(bytearray(1))) == 0
        assert server.truncated is (cut < whole)
        cut += 1


def test_a_damaged_record_is_never_taken_for_data(
    join: Callable[[End, End], Join],
    new_client: NewClient,
    server_credentials: ServerCredentials,
    read: Callable[[PinnedEngine], bytes],
) -> None:
    position = 0
    size = 1
    while position < size:
        client, server = new_client(), PinnedEngine(server_credentials)
        join(client, server)
        client.write(b"abcdefgh")
        damaged = bytearray(client.outgoing())
        size = len(damaged)
        damaged[position] ^= 1
        server.receive(damaged)
        server.receive(b"")
        try:
            assert read(server) == b""
            # Only a length that grew makes it look like a stream that ended too early.
            assert server.truncated
            assert position in (3, 4)
        except ProtocolError:
            assert not server.truncated
        position += 1
