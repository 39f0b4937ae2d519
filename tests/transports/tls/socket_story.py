"""What the tests of TLS right over a socket are told with: both ends, and one that breaks rules."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import trio
from OpenSSL import SSL

from tests.resetting import close_resets
from tests.transports.tls.test_after_handshake import RecordWriter
from wirecore.events import Buffer
from wirecore_trio._link import SocketLink
from wirecore_trio.tls import ClientCredentials, ServerCredentials
from wirecore_trio.tls.socket_link import PinnedSocketLink

if TYPE_CHECKING:
    from tests.transports.tls.conftest import ForeignPeer

#: So many records an OpenSSL server sends behind its handshake.
TICKETS = 2

Sockets = tuple[socket.socket, socket.socket]
Answer = TypeVar("Answer")


def unix() -> Sockets:
    """Two Unix sockets with the smallest buffers for sending that the kernel gives."""
    one, other = socket.socketpair()
    for end in (one, other):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return one, other


def tcp() -> Sockets:
    """Two TCP sockets on 127.0.0.1, whose small packets leave at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    for end in (one, other):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, other


def reset(sock: socket.socket) -> None:
    """Close *sock* with a reset."""
    close_resets(sock)
    sock.close()


class AnyLink(Protocol):
    """What the two TLS links have in common here."""

    def try_recv_into(self, buffer: memoryview) -> int | None: ...
    def try_send(self, data: Buffer) -> int: ...
    def wait_readable(self) -> Awaitable[None]: ...


async def receive(link: AnyLink, size: int = 1 << 16) -> bytes:
    """What there is to read, waiting for the first of it; b"" at the end."""
    buffer = memoryview(bytearray(size))
    while (got := link.try_recv_into(buffer)) is None:
        await link.wait_readable()
    return bytes(buffer[:got])


async def receive_exactly(link: AnyLink, size: int, room: int = 1 << 16) -> bytes:
    data = bytearray()
    while len(data) < size:
        got = await receive(link, room)
        assert got
        data += got
    return bytes(data)


def fill(link: AnyLink) -> int:
    """Send until the socket is full; how many bytes were taken."""
    taken = 0
    while size := link.try_send(bytes(1000)):
        taken += size
    return taken


async def shaken(
    client_credentials: ClientCredentials, server_credentials: ServerCredentials, ends: Sockets
) -> tuple[PinnedSocketLink, PinnedSocketLink]:
    """Both ends of ours, after the handshake; nothing is under way."""
    client = PinnedSocketLink(SocketLink(ends[0]), client_credentials)
    server = PinnedSocketLink(SocketLink(ends[1]), server_credentials)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.handshake)
        nursery.start_soon(server.handshake)
    # The server's tickets, which nobody uses.
    assert client.try_recv_into(memoryview(bytearray(1))) is None
    return client, server


class Foreigner:
    """A foreign end over a socket: OpenSSL in memory, and the bytes carried by hand."""

    def __init__(self, peer: ForeignPeer, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.peer = peer
        self.socket = sock
        self.stream = trio.socket.from_stdlib_socket(sock)
        self._pen: RecordWriter | None = None

    async def _until_done(self, step: Callable[[], Answer]) -> Answer:
        while True:
            try:
                return step()
            except SSL.WantReadError:
                await self.tell()
                self.peer.receive(await self.stream.recv(1 << 16))
            finally:
                await self.tell()

    async def tell(self) -> None:
        """Send what OpenSSL has to say."""
        data = self.peer.outgoing()
        while data:
            data = data[await self.stream.send(data) :]

    async def handshake(self) -> None:
        await self._until_done(self.peer.connection.do_handshake)

    async def send(self, data: bytes) -> None:
        self.peer.connection.send(data)
        await self.tell()

    async def receive(self) -> bytes:
        """One record's data."""
        return await self._until_done(self.peer.read)

    async def receive_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += await self.receive()
        return data

    async def goodbye(self) -> None:
        """Send a close_notify."""
        self.peer.connection.shutdown()
        await self.tell()

    @property
    def pen(self) -> RecordWriter:
        """Writes records in this end's name; OpenSSL mustn't send any more then."""
        if self._pen is None:
            cipher = self.peer.connection.get_cipher_name()
            assert cipher is not None
            role, sent = ("CLIENT", 0) if self.peer.client else ("SERVER", TICKETS)
            secret = self.peer.secrets[f"{role}_TRAFFIC_SECRET_0"]
            self._pen = RecordWriter(cipher, secret, sent)
        return self._pen

    def write(self, content_type: int, content: bytes) -> None:
        """Send a record of *content*."""
        self.raw(self.pen.seal(content_type, content))

    def raw(self, data: bytes) -> None:
        assert self.socket.send(data) == len(data)


async def met(
    peer: ForeignPeer, credentials: ClientCredentials | ServerCredentials, ends: Sockets
) -> tuple[Foreigner, PinnedSocketLink]:
    """A foreign end and one of ours, after the handshake."""
    foreigner = Foreigner(peer, ends[0])
    link = PinnedSocketLink(SocketLink(ends[1]), credentials)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(foreigner.handshake)
        nursery.start_soon(link.handshake)
    return foreigner, link


async def failure(run: Callable[..., Awaitable[Any]], *arguments: Any) -> Exception | None:
    """What *run* raises."""
    try:
        await run(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, a test looks at it
        return error
    return None
