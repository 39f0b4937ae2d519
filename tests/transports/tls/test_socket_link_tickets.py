"""A server's session tickets, which nobody uses, while a client writes more than there is room for.

They ask for no answer: what is behind them is read at once, and not after all is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.transports.tls.conftest import ForeignPeer, KeyPair
from tests.transports.tls.socket_story import Foreigner, fill, met, receive, unix
from tests.transports.tls.test_after_handshake import DATA, HANDSHAKE, KEY_UPDATE
from wirecore_trio._upgrade import send_all

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from wirecore_trio.tls import ClientCredentials
    from wirecore_trio.tls.socket_link import PinnedSocketLink

pytestmark = pytest.mark.usefixtures("openssl_calls")

#: A NewSessionTicket, RFC 8446 section 4.6.1: lifetime, age_add, nonce, ticket, no extensions.
_FIELDS = bytes(8) + b"\x01\x01" + b"\x00\x10" + bytes(16) + b"\x00\x00"
TICKET = b"\x04" + len(_FIELDS).to_bytes(3, "big") + _FIELDS


async def full_client(
    key: KeyPair, credentials: ClientCredentials
) -> tuple[Foreigner, PinnedSocketLink, int]:
    """A server, a client of ours that has read nothing and can't write on, and what it wrote."""
    peer = ForeignPeer(client=False, key=Ed25519PrivateKey.from_private_bytes(key.seed))
    server, client = await met(peer, credentials, unix())
    return server, client, fill(client)


async def read_once(client: PinnedSocketLink, reads: list[bytes]) -> None:
    reads.append(await receive(client))


def test_tickets_dont_keep_a_client_that_writes_from_reading(
    server_key: KeyPair, client_credentials: ClientCredentials, run_sockets: Run
) -> None:
    async def story() -> None:
        server, client, filled = await full_client(server_key, client_credentials)
        await server.send(b"early")
        assert await receive(client) == b"early"
        assert client.try_send(bytes(1000)) == 0
        await server.send(b"more")
        assert await receive(client) == b"more"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all, client, bytes(1000) + b"the end")
            assert await server.receive_exactly(filled + 1007) == bytes(filled + 1000) + b"the end"
        client.close()
        server.socket.close()

    run_sockets(story)


def test_half_a_ticket_is_the_writers_to_complete(
    server_key: KeyPair, client_credentials: ClientCredentials, run_sockets: Run
) -> None:
    async def story() -> None:
        server, client, filled = await full_client(server_key, client_credentials)
        server.write(HANDSHAKE, TICKET[:4])
        reads: list[bytes] = []

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_once, client, reads)
            nursery.start_soon(send_all, client, bytes(1000) + b"the end")
            await server.receive_exactly(filled)
            await trio.testing.wait_all_tasks_blocked()
            server.write(HANDSHAKE, TICKET[4:])
            server.write(DATA, b"behind")
            assert await server.receive_exactly(1007) == bytes(1000) + b"the end"
        assert reads == [b"behind"]
        client.close()
        server.socket.close()

    run_sockets(story)


def test_a_key_update_behind_the_tickets_waits_for_the_writer(
    server_key: KeyPair, client_credentials: ClientCredentials, run_sockets: Run
) -> None:
    """It asks for an answer, and OpenSSL keeps one at most behind a record half written."""

    async def story() -> None:
        server, client, filled = await full_client(server_key, client_credentials)
        for _ in range(3):
            server.write(HANDSHAKE, KEY_UPDATE)
            server.pen.update()
        server.write(DATA, b"behind")
        reads: list[bytes] = []

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_once, client, reads)
            nursery.start_soon(send_all, client, bytes(1000) + b"the end")
            await trio.testing.wait_all_tasks_blocked()
            assert reads == []
            assert await server.receive_exactly(filled + 1007) == bytes(filled + 1000) + b"the end"
        assert reads == [b"behind"]
        client.close()
        server.socket.close()

    run_sockets(story)
