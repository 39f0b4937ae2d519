"""The TLS stream over trio's memory streams: trio's contract, and what TLS adds to it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import trio
import trio.testing
from OpenSSL import SSL

from wirecore.errors import (
    ConnectionLost,
    InvalidState,
    ProtocolError,
)
from wirecore_trio.tls import (
    ClientCredentials,
    PinnedEngine,
    PinnedTLSStream,
    ServerCredentials,
    StreamHandshakeError,
    StreamLost,
    StreamProtocolError,
)

if TYPE_CHECKING:
    from tests.transports.tls.conftest import ForeignPeer, KeyPair, MakePair, Shake, Story

Run = Callable[["Story"], None]
Pair = tuple[PinnedTLSStream, PinnedTLSStream]


async def receive_exactly(stream: trio.abc.ReceiveStream, size: int) -> bytes:
    got = b""
    while len(got) < size:
        piece = await stream.receive_some()
        assert piece, "the stream ended too early"
        got += piece
    return got


def test_trio_finds_nothing_wrong_with_it(
    shake: Shake,
    run: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
) -> None:
    """trio's own examination of a two-way stream."""

    async def joined(near: Any, far: Any) -> Pair:
        pair = (
            PinnedTLSStream(near, client_credentials),
            PinnedTLSStream(far, server_credentials),
        )
        await shake(*pair)
        return pair

    async def over_memory() -> Pair:
        return await joined(*trio.testing.memory_stream_pair())

    async def over_what_clogs() -> Pair:
        return await joined(*trio.testing.lockstep_stream_pair())

    run(lambda: trio.testing.check_two_way_stream(over_memory, over_what_clogs))


def test_the_handshake_comes_by_itself(run: Run, make_pair: MakePair) -> None:
    async def story() -> None:
        client, server = make_pair()
        with pytest.raises(InvalidState, match="isn't known before"):
            _ = client.peer_public_key
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_all, b"hello")
            assert await server.receive_some() == b"hello"
        await server.send_all(b"hi")
        assert await client.receive_some() == b"hi"
        await client.do_handshake()  # nothing left to do
        await client.wait_send_all_might_not_block()

    run(story)


def test_all_four_directions_may_start_it_together(
    run: Run, make_pair: MakePair, client_key: KeyPair, server_key: KeyPair
) -> None:
    async def story() -> None:
        client, server = make_pair()
        async with trio.open_nursery() as nursery:
            for stream in (client, server):
                nursery.start_soon(stream.send_all, b"x" * 100_000)
                nursery.start_soon(receive_exactly, stream, 100_000)
        assert client.peer_public_key == server_key.public
        assert server.peer_public_key == client_key.public

    run(story)


def test_much_goes_both_ways(run: Run, make_pair: MakePair) -> None:
    data = random.Random(5).randbytes(2_000_000)

    async def story() -> None:
        client, server = make_pair()

        async def compare(stream: PinnedTLSStream) -> None:
            assert await receive_exactly(stream, len(data)) == data

        async with trio.open_nursery() as nursery:
            for stream in (client, server):
                nursery.start_soon(stream.send_all, memoryview(data))
                nursery.start_soon(compare, stream)

    run(story)


def test_no_more_is_returned_than_asked_for(run: Run, make_pair: MakePair) -> None:
    async def story() -> None:
        client, server = make_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_all, b"abcdef")
            assert [await server.receive_some(4) for _ in range(2)] == [b"abcd", b"ef"]
        await client.send_all(bytearray(b"whole"))
        received = await server.receive_some()
        assert type(received) is bytes
        with pytest.raises(ValueError, match="max_bytes must be at least 1, got 0"):
            await server.receive_some(0)

    run(story)


def test_an_orderly_end_is_the_end_and_a_cut_is_a_loss(
    shake: Shake, run: Run, make_pair: MakePair
) -> None:
    async def story() -> None:
        client, server = make_pair()
        await shake(client, server)
        await client.send_all(b"last")
        await client.aclose()
        assert await server.receive_some() == b"last"
        assert await server.receive_some() == b""
        assert await server.receive_some() == b""

        client, server = make_pair()
        await shake(client, server)
        await client.send_all(b"last")
        await trio.aclose_forcefully(client.transport_stream)
        assert await server.receive_some() == b"last"
        for _ in range(2):
            with pytest.raises(StreamLost, match="without a TLS close_notify") as raised:
                await server.receive_some()
            assert isinstance(raised.value, ConnectionLost)
            assert isinstance(raised.value, trio.BrokenResourceError)

    run(story)


def test_after_closing_nothing_goes(shake: Shake, run: Run, make_pair: MakePair) -> None:
    async def story() -> None:
        client, server = make_pair()
        await shake(client, server)
        await client.aclose()
        await client.aclose()
        for operation in (
            lambda: client.send_all(b"x"),
            client.receive_some,
            client.wait_send_all_might_not_block,
            client.do_handshake,
        ):
            with pytest.raises(trio.ClosedResourceError, match="was closed by this program"):
                await operation()

    run(story)


def test_closing_before_the_handshake_just_closes(run: Run, make_pair: MakePair) -> None:
    async def story() -> None:
        client, server = make_pair()
        await client.aclose()
        with pytest.raises(StreamHandshakeError, match="ended the stream in the middle"):
            await server.do_handshake()

    run(story)


def test_two_tasks_cant_do_the_same(shake: Shake, run: Run, make_pair: MakePair) -> None:
    async def story() -> None:
        client, server = make_pair()
        await shake(client, server)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.receive_some)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError, match="receiving on this TLS stream"):
                await client.receive_some()
            nursery.cancel_scope.cancel()
        near, far = trio.testing.lockstep_stream_pair()
        client.transport_stream = near  # its sends block until they are received
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_all, b"x")
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError, match="sending on this TLS stream"):
                await client.send_all(b"y")
            with pytest.raises(trio.BusyResourceError, match="sending on this TLS stream"):
                await client.wait_send_all_might_not_block()
            await far.receive_some()

    run(story)


def test_closing_doesnt_wait_long_for_a_peer_that_doesnt_read(
    run: Run, client_credentials: ClientCredentials, server_credentials: ServerCredentials
) -> None:
    async def story() -> None:
        near, far = trio.testing.lockstep_stream_pair()
        client = PinnedTLSStream(near, client_credentials)
        server = PinnedTLSStream(far, server_credentials)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_all, b"x")
            assert await server.receive_some() == b"x"
        started = trio.current_time()
        await client.aclose()
        assert trio.current_time() - started == 1

    run(story)


def test_closing_while_another_task_sends(
    shake: Shake,
    run: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
) -> None:
    """The close_notify would land in the middle of its record: it is left out."""

    async def story() -> None:
        near, far = trio.testing.lockstep_stream_pair()
        client = PinnedTLSStream(near, client_credentials)
        server = PinnedTLSStream(far, server_credentials)
        await shake(client, server)

        async def send() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await client.send_all(b"never received")

        async def receive() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await client.receive_some()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            started = trio.current_time()
            await client.aclose()
            assert trio.current_time() == started

    run(story)


# --- engines of another kind ----------------------------------------------------------------


class Blocked(PinnedEngine):
    """An engine that can't write until more ciphertext has come, as with half a key update."""

    __slots__ = ("blocked",)

    def __init__(self, credentials: ClientCredentials | ServerCredentials) -> None:
        super().__init__(credentials)
        self.blocked = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        return 0 if self.blocked else super().write(data)

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        self.blocked = False
        super().receive(data)


@pytest.mark.parametrize("somebody_receives", [True, False])
def test_a_blocked_sender_sees_to_its_ciphertext(
    shake: Shake,
    run: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
    somebody_receives: bool,
) -> None:
    async def story() -> None:
        near, far = trio.testing.memory_stream_pair()
        blocked: list[Blocked] = []

        def engine(credentials: ClientCredentials | ServerCredentials) -> Blocked:
            blocked.append(Blocked(credentials))
            return blocked[-1]

        client = PinnedTLSStream(near, client_credentials, engine=engine)
        server = PinnedTLSStream(far, server_credentials)
        await shake(client, server)
        got: list[bytes] = []

        async def receive() -> None:
            got.append(await client.receive_some())

        blocked[0].blocked = True
        async with trio.open_nursery() as nursery:
            if somebody_receives:
                nursery.start_soon(receive)
                await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(client.send_all, b"from the client")
            await trio.testing.wait_all_tasks_blocked()
            await server.send_all(b"from the server")
            assert await server.receive_some() == b"from the client"
        if not somebody_receives:
            await receive()
        assert got == [b"from the server"]

    run(story)


def test_a_failing_write_fails_the_send(
    shake: Shake,
    run: Run,
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
) -> None:
    class Failing(PinnedEngine):
        __slots__ = ()

        def write(self, data: bytes | bytearray | memoryview) -> NoReturn:
            raise ProtocolError("the server broke off")

    async def story() -> None:
        near, far = trio.testing.memory_stream_pair()
        client = PinnedTLSStream(near, client_credentials, engine=Failing)
        await shake(client, PinnedTLSStream(far, server_credentials))
        with pytest.raises(StreamProtocolError, match="the server broke off"):
            await client.send_all(b"x")

    run(story)


def test_against_a_foreign_end(
    run: Run,
    foreign: type[ForeignPeer],
    client_credentials: ClientCredentials,
    server_credentials: ServerCredentials,
) -> None:
    """An end that isn't ours: its session tickets come first, and mean nothing."""

    async def story() -> None:
        near, far = trio.testing.memory_stream_pair()
        client = PinnedTLSStream(near, client_credentials)
        server = foreign(client=False, key=server_credentials.private_key)

        async def serve() -> None:
            while not server.handshake():
                await far.send_all(server.outgoing() or b"")
                server.receive(bytes(await far.receive_some()))
            server.connection.send(b"hello")
            await far.send_all(server.outgoing())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            assert await client.receive_some() == b"hello"
        await client.aclose()
        server.receive(bytes(await far.receive_some()))
        with pytest.raises(SSL.ZeroReturnError):
            server.read()

    run(story)
