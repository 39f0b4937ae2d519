"""How TLS over a socket ends: cut off, reset, cancelled, closed in every phase, and used after."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
from cryptography.hazmat.bindings.openssl.binding import Binding

from tests.transports.pump_story import TestSession, Told
from tests.transports.tls.socket_story import (
    Sockets,
    failure,
    fill,
    met,
    receive,
    reset,
    shaken,
    tcp,
    unix,
)
from wirecore_trio._link import SocketLink
from wirecore_trio._pump import Pump
from wirecore_trio._upgrade import send_all
from wirecore_trio.tls import ClientCredentials, ServerCredentials
from wirecore_trio.tls.socket_link import PinnedSocketLink

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.tls.conftest import ForeignPeer

pytestmark = pytest.mark.usefixtures("openssl_calls")

MakeForeigner = Callable[..., "ForeignPeer"]
Credentials = tuple[ClientCredentials, ServerCredentials]


@pytest.fixture
def credentials(
    client_credentials: ClientCredentials, server_credentials: ServerCredentials
) -> Credentials:
    return client_credentials, server_credentials


@pytest.fixture(params=[unix, tcp])
def ends(request: pytest.FixtureRequest) -> Sockets:
    """A client's and a server's socket, connected."""
    pair: Sockets = request.param()
    return pair


def look(link: PinnedSocketLink) -> int | None:
    """Read what there is now."""
    return link.try_recv_into(memoryview(bytearray(1 << 16)))


# --- cut off, and reset ---------------------------------------------------------------------


def test_a_stream_that_is_cut_off_ends(
    credentials: Credentials, ends: Sockets, run_sockets: Run
) -> None:
    """OpenSSL takes that for its own failure, and can't send any more."""

    async def story() -> None:
        client, server = await shaken(*credentials, ends)
        server.try_send(b"last")
        server.inner.close()
        assert await receive(client) == b"last"
        for _ in range(3):
            assert look(client) == 0
        text = "the server ended the stream without a TLS close_notify"
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError, match=text):
                client.try_send(b"x")
        client.close()
        server.close()

    run_sockets(story)


def test_a_record_that_is_cut_off_is_no_data(
    credentials: Credentials, run_sockets: Run, allowed_foreigner: MakeForeigner
) -> None:
    async def story() -> None:
        client, server = await met(allowed_foreigner(), credentials[1], tcp())
        client.raw(client.pen.seal(23, b"whole") + client.pen.seal(23, b"cut off")[:-1])
        client.socket.shutdown(socket.SHUT_WR)
        assert look(server) == 5
        assert look(server) == 0
        server.close()
        client.socket.close()

    run_sockets(story)


def test_a_reset_breaks_reading_and_writing(credentials: Credentials, run_sockets: Run) -> None:
    async def story() -> None:
        client, server = await shaken(*credentials, tcp())
        server.try_send(bytes(16_384))
        reset(server.socket)
        await client.wait_readable()
        assert look(client) == 16_384  # and the next read tells of the reset
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError, match="the connection broke: "):
                look(client)
            with pytest.raises(trio.BrokenResourceError, match="the connection broke: "):
                client.try_send(b"x")
        client.close()
        server.close()

    run_sockets(story)


def test_what_the_peer_said_before_it_went_is_read_also_after_a_failed_send(
    credentials: Credentials, ends: Sockets, run_sockets: Run
) -> None:
    async def story() -> None:
        client, server = await shaken(*credentials, ends)
        server.try_send(b"last words")
        if server.socket.family == socket.AF_UNIX:
            server.socket.close()
        else:
            reset(server.socket)
        await client.wait_readable()
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError, match="the connection broke: "):
                client.try_send(b"too late")
        assert await receive(client) == b"last words"
        client.close()
        server.close()

    run_sockets(story)


def test_a_pump_hands_the_last_words_out(credentials: Credentials, run_sockets: Run) -> None:
    async def story() -> None:
        client, server = await shaken(*credentials, tcp())
        session, told = TestSession(), Told()
        pump = Pump(client, session, told, write_timeout=60, high_water=1000)
        server.try_send(b"bye")
        reset(server.socket)
        await client.wait_readable()
        session.outbox.put(b"too late")
        pump.write()
        assert told.events == [b"bye"]
        assert isinstance(told.ends[0], trio.BrokenResourceError)
        server.close()

    run_sockets(story)


@pytest.mark.parametrize("size", [1, 40_000])
def test_a_connection_that_breaks_just_before_openssl_writes(
    credentials: Credentials, run_sockets: Run, size: int
) -> None:
    """Between the look whether it is still there and the write."""

    async def story() -> None:
        client, server = await shaken(*credentials, tcp())
        server.try_send(b"lost")
        reset(server.socket)
        await client.wait_readable()
        client._probe = len
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError, match="the connection broke: "):
                client.try_send(bytes(size))
        with pytest.raises(trio.BrokenResourceError, match="the connection broke: "):
            look(client)
        client.close()
        server.close()

    run_sockets(story)


def break_reading(link: PinnedSocketLink) -> None:
    with pytest.raises(trio.BrokenResourceError):
        look(link)


def break_writing(link: PinnedSocketLink) -> None:
    link._probe = len
    with pytest.raises(trio.BrokenResourceError):
        link.try_send(b"x")


@pytest.mark.parametrize("use", [break_reading, break_writing, PinnedSocketLink.close])
def test_a_broken_connection_leaves_no_errors_to_others(
    credentials: Credentials, run_sockets: Run, use: Callable[[PinnedSocketLink], None]
) -> None:
    """OpenSSL queues errors by thread; before 4.0 the next connection took them for its own."""

    async def story() -> None:
        client, server = await shaken(*credentials, tcp())
        other_client, other_server = await shaken(*credentials, tcp())
        reset(server.socket)
        await client.wait_readable()
        use(client)
        assert Binding.lib.ERR_peek_error() == 0
        assert look(other_client) is None
        assert other_client.try_send(b"fine") == 4
        assert await receive(other_server) == b"fine"
        for link in (client, server, other_client, other_server):
            link.close()

    run_sockets(story)


# --- cancellation ---------------------------------------------------------------------------


async def cancelled(run: Callable[[], Awaitable[None]]) -> None:
    """Start *run*, and cancel it when it waits."""
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            await run()
            raise AssertionError("it had nothing to wait for")

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


def test_a_cancelled_handshake_leaves_a_link_to_close(
    credentials: Credentials, ends: Sockets, run_sockets: Run
) -> None:
    async def story() -> None:
        for speaks_next in (True, False):
            one, other = ends if speaks_next else unix()
            client = PinnedSocketLink(SocketLink(one), credentials[0])
            await cancelled(lambda: client.handshake(speaks_next=speaks_next))  # noqa: B023 - at once
            client.close()
            client.close()
            assert len(other.recv(1 << 16)) > 100  # the hello, and no goodbye
            assert other.recv(100) == b""
            other.close()

    run_sockets(story)


def test_a_cancelled_handshake_can_be_resumed(
    credentials: Credentials, ends: Sockets, run_sockets: Run
) -> None:
    async def story() -> None:
        client = PinnedSocketLink(SocketLink(ends[0]), credentials[0])
        server = PinnedSocketLink(SocketLink(ends[1]), credentials[1])
        await cancelled(client.handshake)
        await cancelled(server.handshake)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.handshake)
            nursery.start_soon(client.handshake)
        assert client.try_send(b"x") == 1
        assert await receive(server) == b"x"
        client.close()
        server.close()

    run_sockets(story)


def test_waiting_can_be_cancelled(credentials: Credentials, run_sockets: Run) -> None:
    """For something to read, for room, and for the one who waits for room."""

    async def story() -> None:
        client, server = await shaken(*credentials, unix())
        await cancelled(client.wait_readable)
        filled = fill(client)
        await cancelled(client.flush)
        async with trio.open_nursery() as nursery:
            first = trio.CancelScope()

            async def wait_first() -> None:
                with first:
                    await client.flush()

            nursery.start_soon(wait_first)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(send_all, client, bytes(1000))
            await trio.testing.wait_all_tasks_blocked()
            first.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 1  # it waits in the other's place
            while filled > -1000:
                filled -= len(await receive(server))
        client.close()
        server.close()

    run_sockets(story)


# --- closed ---------------------------------------------------------------------------------


def test_closing_ends_whoever_waits(credentials: Credentials, run_sockets: Run) -> None:
    async def story() -> None:
        one, other = unix()
        client, server = await shaken(*credentials, (one, other))
        fresh, silent = unix()
        beginner = PinnedSocketLink(SocketLink(fresh), credentials[0])
        fill(client)
        told: list[Exception | None] = []

        async def tell(run: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
            told.append(await failure(run, *arguments))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell, beginner.handshake)
            nursery.start_soon(tell, client.wait_readable)
            nursery.start_soon(tell, send_all, client, bytes(1000))
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(tell, send_all, client, bytes(1000))
            await trio.testing.wait_all_tasks_blocked()
            client.close()  # in the middle of a record: there is no room for a goodbye
            beginner.close()
        assert [type(error) for error in told] == [trio.ClosedResourceError] * 4
        server.close()
        silent.close()

    run_sockets(story)


def test_closed_in_the_moment_in_which_the_handshake_would_go_on(
    credentials: Credentials, ends: Sockets, run_sockets: Run
) -> None:
    """The task was woken already; by its turn the descriptor may be another's."""

    async def story() -> None:
        server = PinnedSocketLink(SocketLink(ends[1]), credentials[1])
        told: list[Exception | None] = []

        async def shake() -> None:
            told.append(await failure(server.handshake))

        class CloseFirst(trio.abc.Instrument):
            """Closes in the pass in which the handshake's task is to run."""

            def before_task_step(self, task: trio.lowlevel.Task) -> None:
                if task is shaking:
                    server.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shake)
            await trio.testing.wait_all_tasks_blocked()
            (shaking,) = nursery.child_tasks
            instrument = CloseFirst()
            trio.lowlevel.add_instrument(instrument)
            ends[0].send(b"\x16\x03\x01\x00")
        trio.lowlevel.remove_instrument(instrument)
        assert [type(error) for error in told] == [trio.ClosedResourceError]
        ends[0].close()

    run_sockets(story)


@pytest.mark.parametrize("shake_first", [True, False])
def test_a_closed_link_never_touches_the_descriptors_next_owner(
    credentials: Credentials, ends: Sockets, run_sockets: Run, shake_first: bool
) -> None:
    async def story() -> None:
        if shake_first:
            client, server = await shaken(*credentials, ends)
        else:
            client = PinnedSocketLink(SocketLink(ends[0]), credentials[0])
            server = PinnedSocketLink(SocketLink(ends[1]), credentials[1])
        mine, partner = socket.socketpair()
        number = client.socket.fileno()
        client.close()
        os.dup2(mine.fileno(), number)
        mine.close()
        heir = socket.socket(fileno=number)
        partner.setblocking(False)
        partner.send(b"not for it")
        for use in (
            lambda: client.try_send(b"x"),
            lambda: client.try_send(bytes(40_000)),
            lambda: look(client),
            client.wait_readable,
        ):
            with pytest.raises(trio.ClosedResourceError):
                use()
        with pytest.raises(trio.ClosedResourceError):
            await client.flush()
        with pytest.raises(trio.ClosedResourceError):
            await client.handshake()
        assert client.backlog() is None
        client.close()
        with pytest.raises(BlockingIOError):
            partner.recv(1)
        assert heir.recv(100) == b"not for it"
        for end in (heir, partner, server):
            end.close()

    run_sockets(story)


def test_closing_says_goodbye_if_there_is_room(
    credentials: Credentials, ends: Sockets, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "wirecore.tls")

    async def story() -> None:
        client, server = await shaken(*credentials, ends)
        client.close()
        assert look(server) == 0
        assert server._end.connection.get_shutdown() == 2  # it came, by a close_notify
        server.close()  # nobody is left to be told
        client, server = await shaken(*credentials, unix())
        fill(client)
        assert caplog.text.count("no TLS close_notify") <= 1
        client.close()
        assert "no TLS close_notify for the server" in caplog.text
        server.close()

    run_sockets(story)
