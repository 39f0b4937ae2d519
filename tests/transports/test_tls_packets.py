"""In how many pieces a TLS connection is opened: each costs both ends a turn."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore.events import Buffer
from wirecore_trio._dial import secure, secure_server
from wirecore_trio._link import Link, StreamLink
from wirecore_trio._upgrade import send_all
from wirecore_trio.tls import ClientCredentials, ServerCredentials, load_private_key, public_key_of
from wirecore_trio.wsrpc import _upgrade as wsrpc

if TYPE_CHECKING:
    from tests.transports.conftest import Authority, Run

SERVER, CLIENT = (bytes([number]) * 32 for number in (1, 2))


class CountingLink(StreamLink):
    """Notes how often something was sent."""

    __slots__ = ("sends",)

    def __init__(self, stream: trio.abc.Stream) -> None:
        super().__init__(stream)
        self.sends = 0

    def try_send(self, data: Buffer) -> int:
        self.sends += 1
        return super().try_send(data)


async def receive(link: Link) -> bytes:
    buffer = memoryview(bytearray(1000))
    while (size := link.try_recv_into(buffer)) is None:
        await link.wait_readable()
    return bytes(buffer[:size])


def public(private_key: bytes) -> bytes:
    return public_key_of(load_private_key(private_key))


def links() -> tuple[CountingLink, StreamLink]:
    one, other = trio.testing.memory_stream_pair()
    return CountingLink(one), StreamLink(other)


def test_wsrpcs_request_leaves_with_the_end_of_the_handshake(run: Run) -> None:
    async def story() -> None:
        counting, plain = links()
        ends: dict[str, Link] = {}

        async def serve() -> None:
            credentials = ServerCredentials(SERVER, [public(CLIENT)])
            secured = await wsrpc.secure(plain, credentials)
            assert secured.public_key == public(CLIENT)
            ends["server"] = secured.link

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            credentials = ClientCredentials(CLIENT, public(SERVER))
            client = (await wsrpc.secure(counting, credentials)).link
            assert counting.sends == 1
            await send_all(client, b"request")
        assert counting.sends == 2
        assert await receive(ends["server"]) == b"request"
        client.close()
        ends["server"].close()

    run(story)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_so_does_the_request_over_wss(
    authority: Authority, run: Run, newest: ssl.TLSVersion
) -> None:
    """In TLS 1.2 the server has the last word, and nothing is left to be sent."""

    async def story() -> None:
        context = authority.client_context()
        context.maximum_version = newest
        counting, plain = links()
        ends: dict[str, Link] = {}

        async def serve() -> None:
            ends["server"] = await secure_server(plain, authority.server_context())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            client = await secure(counting, context, "server.test")
            before = counting.sends
            await send_all(client, b"request")
        assert counting.sends == before + 1
        assert before == (1 if newest is ssl.TLSVersion.TLSv1_3 else 2)
        assert await receive(ends["server"]) == b"request"
        client.close()
        ends["server"].close()

    run(story)
