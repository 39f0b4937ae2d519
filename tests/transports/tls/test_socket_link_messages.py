"""TLS's own messages behind a handshake over a socket: in floods, in halves, and without room."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from OpenSSL import SSL

from tests.transports.tls.socket_story import (
    Foreigner,
    failure,
    fill,
    met,
    receive,
    reset,
    tcp,
    unix,
)
from tests.transports.tls.test_after_handshake import ALERT, DATA, HANDSHAKE, KEY_UPDATE
from wirecore.errors import PeerRefused, ProtocolError
from wirecore.moving_rules import MAX_SEND
from wirecore_trio._upgrade import send_all
from wirecore_trio.tls import ServerCredentials
from wirecore_trio.tls.socket_link import PinnedSocketLink

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.tls.conftest import ForeignPeer

pytestmark = pytest.mark.usefixtures("openssl_calls")

MakeForeigner = Callable[..., "ForeignPeer"]
Connect = Callable[[], "Connecting"]
#: Larger than anything that a test lets come.
ROOM = 1 << 16


class Connecting:
    """A foreign client of a server of ours, with the tickets out of the way."""

    def __init__(self, peer: ForeignPeer, credentials: ServerCredentials) -> None:
        self._peer = peer
        self._credentials = credentials

    async def over(
        self, ends: tuple[socket.socket, socket.socket]
    ) -> tuple[Foreigner, PinnedSocketLink]:
        client, server = await met(self._peer, self._credentials, ends)
        assert server.try_send(b"hello") == 5
        assert await client.receive() == b"hello"
        return client, server


@pytest.fixture
def connect(allowed_foreigner: MakeForeigner, server_credentials: ServerCredentials) -> Connect:
    return lambda: Connecting(allowed_foreigner(), server_credentials)


def look(link: PinnedSocketLink) -> bytes | None:
    """What can be read now."""
    buffer = memoryview(bytearray(ROOM))
    size = link.try_recv_into(buffer)
    return None if size is None else bytes(buffer[:size])


def update_keys(client: Foreigner, times: int = 1) -> None:
    """Ask for new keys, *times* over, in one go."""
    updates = b""
    for _ in range(times):
        updates += client.pen.seal(HANDSHAKE, KEY_UPDATE)
        client.pen.update()
    client.raw(updates)


# --- key updates ----------------------------------------------------------------------------


def test_a_key_update_between_data(connect: Connect, run_sockets: Run) -> None:
    async def story() -> None:
        client, server = await connect().over(tcp())
        client.write(DATA, b"old keys")
        update_keys(client)
        client.write(DATA, b"new keys")
        assert look(server) == b"old keys"
        assert look(server) == b"new keys"
        assert look(server) is None
        assert server.try_send(b"answer") == 6
        assert await client.receive() == b"answer"
        server.close()
        client.socket.close()

    run_sockets(story)


def test_a_flood_of_key_updates_ends_the_connection(connect: Connect, run_sockets: Run) -> None:
    """After so many in one read: others get their turn between the reads."""

    async def story() -> None:
        client, server = await connect().over(tcp())
        for _ in range(10):
            update_keys(client, 400)
            assert look(server) is None  # that many are fine
            server.try_send(b"x")
            assert await client.receive() == b"x"
        update_keys(client, 1000)
        for _ in range(2):
            with pytest.raises(ProtocolError, match="the client asks for new keys for ever"):
                server.try_recv_into(memoryview(bytearray(ROOM)))
            with pytest.raises(ProtocolError, match="the client asks for new keys for ever"):
                server.try_send(b"x")
        # The rest of them wasn't looked at.
        assert len(server.socket.recv(ROOM)) > 300 * 27
        server.close()
        client.socket.close()

    run_sockets(story)


def test_a_flood_behind_data_is_told_by_the_next_read(connect: Connect, run_sockets: Run) -> None:
    async def story() -> None:
        client, server = await connect().over(tcp())
        client.write(DATA, bytes(16_384))
        update_keys(client, 1000)
        assert look(server) == bytes(16_384)
        with pytest.raises(ProtocolError, match="the client asks for new keys for ever"):
            look(server)
        server.close()
        client.socket.close()

    run_sockets(story)


def test_a_key_update_whose_answer_finds_no_room(connect: Connect, run_sockets: Run) -> None:
    """Reading goes on when it has left, and costs no turns before."""

    async def story() -> None:
        one, other = unix()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        client, server = await connect().over((one, other))
        reads: list[bytes | None] = []

        async def read_on() -> None:
            while True:
                reads.append(look(server))
                if reads[-1]:
                    return
                await server.wait_readable()

        answers = 0
        while not server._stuck:  # until the answers have filled the socket
            update_keys(client)
            answers += 1
            assert look(server) is None
        update_keys(client)
        client.write(DATA, b"behind them")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_on)
            await trio.testing.wait_all_tasks_blocked()
            assert reads == [None]
            # Who has something to say waits beside it.
            nursery.start_soon(send_all, server, b"at last")
            nursery.start_soon(send_all, server, b"at last")
            await trio.testing.wait_all_tasks_blocked()
            assert reads == [None]
            assert await client.receive_exactly(14) == b"at last" * 2
        assert reads[-1] == b"behind them"
        assert len(reads) < 10
        server.close()
        one.close()

    run_sockets(story)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("size", [1000, MAX_SEND])
def test_key_updates_while_data_waits_for_room(
    connect: Connect, run_sockets: Run, times: int, size: int
) -> None:
    """Reading waits for the half of a record that is to be sent: OpenSSL answers one at most."""

    async def story() -> None:
        one, other = unix()
        if size == MAX_SEND:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
        client, server = await connect().over((one, other))
        filled = fill(server) if size < MAX_SEND else server.try_send(bytes(size))
        assert filled
        client.write(DATA, b"before")
        assert look(server) == b"before"  # both may have much to send
        update_keys(client, times)
        client.write(DATA, b"behind")
        reads: list[bytes] = []

        async def read_on() -> None:
            reads.append(await receive(server))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_on)
            await trio.testing.wait_all_tasks_blocked()
            assert reads == []
            assert look(server) is None
            nursery.start_soon(send_all, server, bytes(size) + b"the end")
            got = await client.receive_exactly(filled + size + 7)
        assert got == bytes(filled + size) + b"the end"
        assert reads == [b"behind"]
        update_keys(client, 3)  # one read takes them again
        client.write(DATA, b"and on")
        assert look(server) == b"and on"
        server.close()
        one.close()

    run_sockets(story)


def test_half_a_key_update_while_data_waits_for_room(connect: Connect, run_sockets: Run) -> None:
    """The writer needs the other half, and the reader isn't to wait for the writer then."""

    async def story() -> None:
        one, other = unix()
        client, server = await connect().over((one, other))
        filled = fill(server)
        client.write(HANDSHAKE, KEY_UPDATE[:4])
        assert look(server) is None
        reads: list[bytes] = []

        async def read_on() -> None:
            reads.append(await receive(server))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_on)
            nursery.start_soon(send_all, server, bytes(1000) + b"the end")
            await client.receive_exactly(filled)
            await trio.testing.wait_all_tasks_blocked()
            client.write(HANDSHAKE, KEY_UPDATE[4:])
            client.pen.update()
            update_keys(client, 2)
            client.write(DATA, b"behind")
            assert await client.receive_exactly(1007) == bytes(1000) + b"the end"
        assert reads == [b"behind"]
        server.close()
        one.close()

    run_sockets(story)


@pytest.mark.parametrize("who", ["nobody", "the server", "the client"])
def test_an_end_while_reading_waits_for_writing(
    connect: Connect, run_sockets: Run, who: str
) -> None:
    async def story() -> None:
        client, server = await connect().over(unix() if who == "the server" else tcp())
        while server.try_send(bytes(16_384)):
            pass
        update_keys(client, 2)
        client.write(DATA, b"behind")
        await server.wait_readable()
        assert look(server) is None
        told: list[bytes | Exception | None] = []

        async def read_on() -> None:
            told.append(await failure(receive, server))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_on)
            await trio.testing.wait_all_tasks_blocked()
            if who == "the server":
                server.close()
            elif who == "the client":
                reset(client.socket)
                server._fresh = False
                with pytest.raises(trio.BrokenResourceError):
                    await send_all(server, bytes(16_384))
            else:
                nursery.cancel_scope.cancel()
        kinds = {
            "nobody": [],
            "the server": [trio.ClosedResourceError],
            "the client": [trio.BrokenResourceError],
        }
        assert [type(error) for error in told] == kinds[who]
        server.close()
        client.socket.close()

    run_sockets(story)


def test_half_a_key_update_holds_writing_up(connect: Connect, run_sockets: Run) -> None:
    """The writer waits for the reader, not for the socket, which has room all the time."""

    async def story() -> None:
        client, server = await connect().over(tcp())
        client.write(HANDSHAKE, KEY_UPDATE[:4])
        assert look(server) is None
        for data in (b"not yet", bytes(40_000), b"not yet"):
            assert server.try_send(data) == 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all, server, b"now")
            await trio.testing.wait_all_tasks_blocked()
            statistics = trio.lowlevel.current_statistics()
            assert statistics.io_statistics.tasks_waiting_write == 0
            client.write(HANDSHAKE, KEY_UPDATE[4:])
            client.pen.update()
            client.write(DATA, b"behind it")
            assert await receive(server) == b"behind it"
        assert await client.receive() == b"now"
        server.close()
        client.socket.close()

    run_sockets(story)


def test_the_writer_may_find_the_other_half_itself(connect: Connect, run_sockets: Run) -> None:
    async def story() -> None:
        client, server = await connect().over(tcp())
        client.write(HANDSHAKE, KEY_UPDATE[:4])
        assert look(server) is None
        client.write(HANDSHAKE, KEY_UPDATE[4:])
        client.pen.update()
        client.write(DATA, b"data")
        assert server.try_send(b"found") == 5
        assert await client.receive() == b"found"
        assert look(server) == b"data"
        server.close()
        client.socket.close()

    run_sockets(story)


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        (b"\x17\x03\x03\x00\x20" + bytes(32), "the client broke the rules of TLS: "),
        (b"", "the client ended the stream in the middle of a TLS message"),
        (None, "the client ended the stream in the middle of a TLS message"),
    ],
)
def test_writing_fails_when_the_other_half_is_bad(
    connect: Connect, run_sockets: Run, rest: bytes | None, text: str
) -> None:
    async def story() -> None:
        client, server = await connect().over(tcp())
        client.write(HANDSHAKE, KEY_UPDATE[:4])
        assert look(server) is None
        if rest is None:
            client.write(ALERT, b"\x01\x00")
        else:
            client.raw(rest)
        client.socket.shutdown(socket.SHUT_WR)
        await server.wait_readable()
        for _ in range(2):
            with pytest.raises(ProtocolError, match=text):
                server.try_send(b"never")
            with pytest.raises(ProtocolError, match=text):
                look(server)
        server.close()
        client.socket.close()

    run_sockets(story)


def test_closing_in_the_middle_of_a_key_update_says_nothing(
    connect: Connect, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "wirecore.tls")

    async def story() -> None:
        client, server = await connect().over(tcp())
        client.write(HANDSHAKE, KEY_UPDATE[:4])
        assert look(server) is None
        assert server.try_send(b"x") == 0
        async with trio.open_nursery() as nursery:

            async def write() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await send_all(server, b"x")

            nursery.start_soon(write)
            await trio.testing.wait_all_tasks_blocked()
            server.close()
        assert "no TLS close_notify for the client" in caplog.text
        assert client.socket.recv(100) == b""
        client.socket.close()

    run_sockets(story)


# --- other messages -------------------------------------------------------------------------


def test_empty_records_are_no_end(connect: Connect, run_sockets: Run) -> None:
    async def story() -> None:
        client, server = await connect().over(tcp())
        client.write(DATA, b"")
        assert look(server) is None
        client.write(DATA, b"")
        client.write(DATA, b"data")
        assert look(server) == b"data"
        server.close()
        client.socket.close()

    run_sockets(story)


def test_empty_records_without_end_are(connect: Connect, run_sockets: Run) -> None:
    async def story() -> None:
        client, server = await connect().over(tcp())
        for _ in range(40):
            client.write(DATA, b"")
        with pytest.raises(ProtocolError, match="the client broke the rules of TLS: record too"):
            look(server)
        server.close()
        client.socket.close()

    run_sockets(story)


def test_user_canceled_is_followed_by_an_orderly_end(connect: Connect, run_sockets: Run) -> None:
    async def story() -> None:
        client, server = await connect().over(tcp())
        client.write(ALERT, b"\x01\x5a")
        client.write(ALERT, b"\x01\x00")
        assert look(server) == b""
        assert look(server) == b""
        assert server.try_send(b"still here") == 10
        assert await client.receive() == b"still here"
        server.close()
        client.socket.close()

    run_sockets(story)


@pytest.mark.parametrize(
    ("alert", "error", "text"),
    [
        (42, PeerRefused, "the client refused this server's public key .*alert 42 bad certificate"),
        (80, ProtocolError, "the client gave the TLS connection up: TLS alert 80 internal error"),
    ],
)
def test_alerts_behind_the_handshake(
    connect: Connect, run_sockets: Run, alert: int, error: type[Exception], text: str
) -> None:
    async def story() -> None:
        client, server = await connect().over(tcp())
        client.write(DATA, bytes(16_384))
        client.write(ALERT, bytes([2, alert]))
        assert look(server) == bytes(16_384)  # what came before it isn't lost
        for _ in range(2):
            with pytest.raises(error, match=text):
                look(server)
            with pytest.raises(error, match=text):
                server.try_send(b"x")
        server.close()
        client.socket.close()

    run_sockets(story)


@pytest.mark.parametrize(
    ("junk", "text"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "what the client sent is not TLS"),
        (b"\x17\x03\x03\xff\xff", "what the client sent is not TLS"),
        (b"\x17\x03\x03\x00\x20" + bytes(32), "the client broke the rules of TLS: decryption"),
    ],
)
def test_junk_in_the_stream_is_answered_with_an_alert(
    connect: Connect, run_sockets: Run, junk: bytes, text: str
) -> None:
    async def story() -> None:
        client, server = await connect().over(tcp())
        client.raw(junk)
        with pytest.raises(ProtocolError, match=text):
            look(server)
        with pytest.raises(SSL.Error):
            await client.receive()
        assert [direction for direction, _ in client.peer.alerts] == ["received"]
        server.close()
        client.socket.close()

    run_sockets(story)


def test_a_new_handshake_isnt_begun(connect: Connect, run_sockets: Run) -> None:
    async def story() -> None:
        client, server = await connect().over(tcp())
        client.write(HANDSHAKE, b"\x01\x00\x00\x02\x03\x03")
        with pytest.raises(ProtocolError, match="broke the rules of TLS: unexpected message"):
            look(server)
        server.close()
        client.socket.close()

    run_sockets(story)
