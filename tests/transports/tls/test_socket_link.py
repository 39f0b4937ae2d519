"""TLS right over a socket: the handshake, the bytes, full sockets, and the end."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL

from tests.transports.pump_story import TestSession, Told
from tests.transports.tls.socket_story import (
    Foreigner,
    Sockets,
    fill,
    met,
    receive,
    receive_exactly,
    shaken,
    tcp,
    unix,
)
from wirecore.constants import Opcode
from wirecore.errors import InvalidState
from wirecore.moving_rules import MAX_SEND
from wirecore_trio._link import SocketLink
from wirecore_trio._pump import Pump
from wirecore_trio._tls_link import TLSLink
from wirecore_trio._upgrade import send_all
from wirecore_trio.tls import ClientCredentials, PinnedEngine, ServerCredentials
from wirecore_trio.tls import socket_link as module
from wirecore_trio.tls.socket_link import PinnedSocketLink

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.tls.conftest import ForeignPeer

pytestmark = pytest.mark.usefixtures("openssl_calls")

MakeForeigner = Callable[..., "ForeignPeer"]


@pytest.fixture(params=[unix, tcp])
def ends(request: pytest.FixtureRequest) -> Sockets:
    """A client's and a server's socket, connected."""
    pair: Sockets = request.param()
    return pair


Credentials = tuple[ClientCredentials, ServerCredentials]


@pytest.fixture
def credentials(
    client_credentials: ClientCredentials, server_credentials: ServerCredentials
) -> Credentials:
    return client_credentials, server_credentials


# --- the handshake --------------------------------------------------------------------------


def test_both_sides_know_each_other_and_talk(
    credentials: Credentials, ends: Sockets, run_sockets: Run
) -> None:
    async def story() -> None:
        client, server = await shaken(*credentials, ends)
        assert client.peer_public_key == credentials[1].public_key
        assert server.peer_public_key == credentials[0].public_key
        for one, other in ((client, server), (server, client)):
            assert one.try_send(b"bytes") == 5
            assert one.try_send(bytearray(b", more")) == 6
            assert one.try_send(memoryview(b" and more")) == 9
            assert one.try_send(b"") == 0
            assert await receive_exactly(other, 20) == b"bytes, more and more"
            assert not one.owes
        await client.handshake()  # nothing more to do
        client.close()
        assert await receive(server) == b""
        server.close()

    run_sockets(story)


def test_nothing_can_be_done_before_the_handshake(
    credentials: Credentials, ends: Sockets, run_sockets: Run
) -> None:
    """OpenSSL would do it by itself, and nobody would have judged the peer to the end."""

    async def story() -> None:
        client = PinnedSocketLink(SocketLink(ends[0]), credentials[0])
        for use in (
            lambda: client.try_send(b"early"),
            lambda: client.try_recv_into(memoryview(bytearray(5))),
            lambda: client.peer_public_key,
        ):
            with pytest.raises(InvalidState, match="handshake isn't complete"):
                use()
        client.close()
        assert ends[1].recv(100) == b""
        ends[1].close()

    run_sockets(story)


def test_a_handshake_that_comes_byte_by_byte(
    credentials: Credentials, ends: Sockets, run_sockets: Run
) -> None:
    async def story() -> None:
        near, far = unix()
        carriers = []
        for sock in (near, ends[0]):
            sock.setblocking(False)
            carriers.append(trio.socket.from_stdlib_socket(sock))
        client = PinnedSocketLink(SocketLink(far), credentials[0])
        server = PinnedSocketLink(SocketLink(ends[1]), credentials[1])

        async def carry(source: trio.socket.SocketType, target: trio.socket.SocketType) -> None:
            while byte := await source.recv(1):
                await target.send(byte)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(carry, carriers[0], carriers[1])
            nursery.start_soon(carry, carriers[1], carriers[0])
            async with trio.open_nursery() as handshakes:
                handshakes.start_soon(client.handshake)
                handshakes.start_soon(server.handshake)
            assert client.try_send(b"x") == 1
            assert await receive(server) == b"x"
            nursery.cancel_scope.cancel()
        for end in (client, server, near, ends[0]):
            end.close()

    run_sockets(story)


def test_a_handshake_waits_for_room(
    server_credentials: ServerCredentials, run_sockets: Run, allowed_foreigner: MakeForeigner
) -> None:
    async def story() -> None:
        one, other = unix()
        client = Foreigner(allowed_foreigner(), one)
        server = PinnedSocketLink(SocketLink(other), server_credentials)
        filled = fill(server.inner)
        with pytest.raises(SSL.WantReadError):
            client.peer.connection.do_handshake()
        await client.tell()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.handshake)
            await trio.testing.wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 1
            while filled:
                filled -= len(one.recv(filled))
            await client.handshake()
        assert server.try_send(b"at last") == 7
        assert await client.receive() == b"at last"
        one.close()
        server.close()

    run_sockets(story)


@pytest.mark.parametrize("cork", [module._CORK, None])
def test_a_clients_last_words_leave_with_its_request(
    credentials: Credentials,
    ends: Sockets,
    run_sockets: Run,
    monkeypatch: pytest.MonkeyPatch,
    cork: int | None,
) -> None:
    """Over TCP, where the system can hold them back; elsewhere they leave alone."""
    monkeypatch.setattr(module, "_CORK", cork)
    held_back = cork is not None and ends[0].family != socket.AF_UNIX

    async def story() -> None:
        client = PinnedSocketLink(SocketLink(ends[0]), credentials[0])
        server = PinnedSocketLink(SocketLink(ends[1]), credentials[1])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.handshake)
            await client.handshake(speaks_next=True)
            assert client._corked is held_back
            assert client.try_send(b"request") == 7
            assert not client._corked
        assert server.try_recv_into(memoryview(bytearray(100))) == 7
        client.close()
        server.close()

    run_sockets(story)


# --- data -----------------------------------------------------------------------------------


def test_megabytes_go_both_ways_through_a_narrow_socket(
    credentials: Credentials, ends: Sockets, run_sockets: Run
) -> None:
    async def story() -> None:
        client, server = await shaken(*credentials, ends)
        randomness = random.Random(5)
        up, down = randomness.randbytes(3_000_000), randomness.randbytes(4_000_001)
        got: dict[PinnedSocketLink, bytes] = {}

        async def collect(link: PinnedSocketLink, size: int, room: int) -> None:
            got[link] = await receive_exactly(link, size, room)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all, client, up)
            nursery.start_soon(send_all, server, down)
            nursery.start_soon(collect, server, len(up), 1 << 16)
            nursery.start_soon(collect, client, len(down), 5000)
        assert got[server] == up
        assert got[client] == down
        client.close()
        server.close()

    run_sockets(story)


@pytest.mark.parametrize("size", [16_383, 16_384, 16_385, 32_768, 65_536, 100_000])
def test_sizes_around_a_record(credentials: Credentials, run_sockets: Run, size: int) -> None:
    async def story() -> None:
        client, server = await shaken(*credentials, tcp())
        data = random.Random(size).randbytes(size)
        taken = min(size, MAX_SEND)
        assert client.try_send(data) == taken
        assert await receive_exactly(server, taken) == data[:taken]
        assert server.try_recv_into(memoryview(bytearray(10))) is None
        client.close()
        server.close()

    run_sockets(story)


def test_one_read_takes_all_full_records_that_fit(
    credentials: Credentials, run_sockets: Run
) -> None:
    async def story() -> None:
        client, server = await shaken(*credentials, tcp())
        buffer = memoryview(bytearray(1 << 16))
        assert client.try_send(bytes(16_384 * 3 + 100)) == 16_384 * 3 + 100
        await trio.testing.wait_all_tasks_blocked()
        assert server.try_recv_into(buffer) == 16_384 * 3 + 100
        assert client.try_send(bytes(16_384)) == 16_384
        assert server.try_recv_into(buffer) == 16_384  # and no more has come
        assert client.try_send(bytes(16_384 * 2)) == 16_384 * 2
        assert server.try_recv_into(buffer[:30_000]) == 16_384
        assert server.try_recv_into(buffer[:1000]) == 1000
        assert server.try_recv_into(buffer) == 15_384  # the rest of the record
        assert server.try_recv_into(buffer) is None
        client.close()
        server.close()

    run_sockets(story)


def test_small_buffers_get_a_record_in_pieces(
    credentials: Credentials, ends: Sockets, run_sockets: Run
) -> None:
    async def story() -> None:
        client, server = await shaken(*credentials, ends)
        client.try_send(b"abcdefg")
        client.try_send(b"hij")
        got = [await receive(server, 3) for _ in range(4)]
        assert got == [b"abc", b"def", b"g", b"hij"]
        client.close()
        server.close()

    run_sockets(story)


# --- a socket that is full ------------------------------------------------------------------


def test_what_a_full_socket_couldnt_take_is_offered_again(
    credentials: Credentials, run_sockets: Run
) -> None:
    async def story() -> None:
        client, server = await shaken(*credentials, unix())
        filled = fill(client)
        again = bytearray(1000)
        for _ in range(3):
            assert client.try_send(again) == 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.flush)
            await trio.testing.wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 1
            await receive_exactly(server, filled)
        # From another place in memory: what counts is that it is the same.
        assert client.try_send(memoryview(bytes(again))) == 1000
        assert client.try_send(b"!") == 1
        assert await receive_exactly(server, 1001) == bytes(again) + b"!"
        assert client.backlog() in (0, None)
        client.close()
        server.close()

    run_sockets(story)


def test_what_was_taken_before_the_socket_was_full_counts(
    credentials: Credentials, run_sockets: Run
) -> None:
    async def story() -> None:
        one, other = unix()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
        client, server = await shaken(*credentials, (one, other))
        data = random.Random(6).randbytes(MAX_SEND)
        taken = client.try_send(data)
        assert 0 < taken < len(data)
        assert taken % 16_384 == 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all, client, data[taken:])
            assert await receive_exactly(server, len(data)) == data
        client.close()
        server.close()

    run_sockets(story)


def test_control_frames_between_the_tries_dont_mix_up_what_is_sent(
    credentials: Credentials, ends: Sockets, run_sockets: Run, backend: Any
) -> None:
    """The pump offers what it has taken from its outbox again, whatever came there since."""

    async def story() -> None:
        client, server = await shaken(*credentials, ends)
        session, told = TestSession(), Told()
        pump = Pump(server, session, told, write_timeout=60, high_water=1000)
        randomness = random.Random(7)
        sizes = [randomness.choice([1, 100, 5000, 16_384, 70_000]) for _ in range(60)]
        messages = [bytes([number]) * size for number, size in enumerate(sizes)]
        for message in messages:
            session.outbox.put(backend.frames.encode_frame(Opcode.BINARY, message, False))
        pump.write()
        decoder = backend.frames.MessageDecoder(
            client=True, max_frame_size=1 << 20, max_message_size=1 << 20
        )
        ping = backend.frames.encode_frame(Opcode.PING, b"!", False)
        got: list[bytes] = []
        pings = sent = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump.run_reader)
            while len(got) < len(messages) or session.outbox.pending:
                if len(got) < len(messages):
                    session.outbox.put_control(ping)
                    sent += 1
                    pump.write()
                items = decoder.receive(await receive(client, 4000))
                pings += decoder.controls
                got += [item for item in items if isinstance(item, bytes)]
                assert not decoder.failed
            client.close()
        assert got == messages
        assert 0 < pings <= sent
        assert told.ends == [None]

    run_sockets(story)


# --- ends of other kinds --------------------------------------------------------------------


def test_our_link_in_memory_is_at_the_other_end(
    credentials: Credentials, ends: Sockets, run_sockets: Run
) -> None:
    async def story() -> None:
        data = random.Random(8).randbytes(1_000_000)
        for mine, others in (credentials, credentials[::-1]):
            one, other = unix()
            direct = PinnedSocketLink(SocketLink(one), mine)
            memory = TLSLink(SocketLink(other), PinnedEngine(others))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(direct.handshake)
                nursery.start_soon(memory.handshake)
            for source, target in ((direct, memory), (memory, direct)):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(send_all, source, data)
                    assert await receive_exactly(target, len(data)) == data
            memory.close()
            assert await receive(direct) == b""
            direct.close()
        for end in ends:
            end.close()

    run_sockets(story)


def test_a_foreign_end(
    credentials: Credentials,
    ends: Sockets,
    run_sockets: Run,
    allowed_foreigner: MakeForeigner,
    foreign: type[ForeignPeer],
) -> None:
    async def story() -> None:
        server_key = credentials[1].private_key
        for peer, mine, pair in (
            (allowed_foreigner(), credentials[1], ends),
            (foreign(client=False, key=server_key), credentials[0], tcp()),
        ):
            foreigner, link = await met(peer, mine, pair)
            await foreigner.send(b"from abroad")
            assert await receive(link) == b"from abroad"
            assert link.try_send(b"from here") == 9
            assert await foreigner.receive() == b"from here"
            await foreigner.goodbye()
            assert await receive(link) == b""
            assert await receive(link) == b""
            assert link.try_send(b"still here") == 10  # one direction has ended, not the other
            assert await foreigner.receive() == b"still here"
            link.close()
            with pytest.raises(SSL.ZeroReturnError):
                await foreigner.receive()
            foreigner.socket.close()

    run_sockets(story)


def test_the_standard_library_at_the_other_end(
    credentials: Credentials, run_sockets: Run, pem_of: Callable[[Any], str]
) -> None:
    async def story() -> None:
        for client in (True, False):
            one, other = tcp()
            mine, theirs = credentials[::-1] if client else credentials
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if client else ssl.PROTOCOL_TLS_SERVER)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.load_cert_chain(pem_of(theirs))
            if not client:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(pem_of(mine))
            link = PinnedSocketLink(SocketLink(other), mine)
            one.setblocking(False)
            stream = trio.SSLStream(
                trio.SocketStream(trio.socket.from_stdlib_socket(one)),
                context,
                server_side=not client,
            )
            async with trio.open_nursery() as nursery:
                nursery.start_soon(link.handshake)
                nursery.start_soon(stream.do_handshake)
            data = random.Random(9).randbytes(500_000)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, data)
                assert await receive_exactly(link, len(data)) == data
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_all, link, data)
                got = b""
                while len(got) < len(data):
                    got += await stream.receive_some()
                assert got == data
            link.close()
            assert await stream.receive_some() == b""
            await trio.aclose_forcefully(stream)

    run_sockets(story)


@pytest.fixture
def pem_of(tmp_path: Any) -> Callable[[Any], str]:
    """A file with the key and the certificate of credentials."""

    def write(credentials: Any) -> str:
        path = tmp_path / f"{credentials.role}.pem"
        key = credentials.private_key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        path.write_bytes(key + credentials.certificate.public_bytes(Encoding.PEM))
        return str(path)

    return write
