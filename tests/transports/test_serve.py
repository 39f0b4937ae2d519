"""The acceptor: what is counted, what is refused, and what a bad moment does."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.resetting import close_resets
from wirecore_trio import _serve
from wirecore_trio._listeners import open_listeners
from wirecore_trio._serve import Acceptor

if TYPE_CHECKING:
    from tests.transports.conftest import Run


async def hold(sock: socket.socket) -> None:
    """A connection's life: until its peer closes."""
    with sock:
        sock.setblocking(False)
        await trio.lowlevel.wait_readable(sock)


async def acceptor_of(
    nursery: trio.Nursery,
    on_connection: Callable[[socket.socket], Awaitable[None]] = hold,
    *,
    max_connections: int = 100,
    max_handshakes: int = 100,
    plain: bool = True,
) -> Acceptor:
    acceptor = Acceptor(
        await open_listeners("127.0.0.1", 0),
        on_connection,
        max_connections=max_connections,
        max_handshakes=max_handshakes,
        plain=plain,
    )
    nursery.start_soon(acceptor.run)
    return acceptor


async def dial(acceptor: Acceptor) -> trio.SocketStream:
    address: Any = acceptor.addresses[0]
    stream = await trio.open_tcp_stream("127.0.0.1", address[1])
    await trio.testing.wait_all_tasks_blocked(0.01)
    return stream


# --- the acceptor ---------------------------------------------------------------------------


def test_connections_are_counted_and_one_too_many_is_told(
    run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery, max_connections=2)
            first, second = await dial(acceptor), await dial(acceptor)
            assert acceptor.connections == 2
            third = await dial(acceptor)
            assert (await third.receive_some()).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert await third.receive_some() == b""
            assert acceptor.connections == 2
            await first.aclose()
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert acceptor.connections == 1
            fourth = await dial(acceptor)
            assert acceptor.connections == 2
            for stream in (second, third, fourth):
                await stream.aclose()
            acceptor.stop_accepting()

    run_sockets(story)
    assert "max_connections is 2" in caplog.text


def test_a_flood_of_connections_is_no_flood_in_the_log(
    run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery, max_connections=2)
            for told in (1, 2):
                held = [await dial(acceptor) for _ in range(2)]
                for _ in range(5):
                    await (await dial(acceptor)).aclose()
                assert caplog.text.count("max_connections is 2") == told
                for stream in held:  # told again once it had eased off
                    await stream.aclose()
                await trio.testing.wait_all_tasks_blocked(0.01)
            acceptor.stop_accepting()

    run_sockets(story)


def test_who_isnt_open_yet_cant_take_every_place(
    run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Who isn't open is refused beyond a bound of its own, and that is told once."""

    async def story() -> None:
        accepted: list[socket.socket] = []

        async def note_and_hold(sock: socket.socket) -> None:
            accepted.append(sock)
            acceptor.heard(sock)
            await hold(sock)

        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery, note_and_hold, max_handshakes=2)
            for told in (1, 2):
                silent = [await dial(acceptor) for _ in range(2)]
                assert acceptor.handshakes == 2
                for _ in range(3):
                    async with await dial(acceptor) as refused:
                        assert (await refused.receive_some()).startswith(b"HTTP/1.1 503 ")
                assert caplog.text.count("max_handshakes is 2") == told
                for sock in accepted:
                    acceptor.opened(sock)
                assert acceptor.handshakes == 0
                async with await dial(acceptor):
                    assert acceptor.handshakes == 1
                    assert acceptor.connections == 3
                for stream in silent:
                    await stream.aclose()
                await trio.testing.wait_all_tasks_blocked(0.01)
                assert acceptor.connections == acceptor.handshakes == 0
                accepted.clear()
            acceptor.stop_accepting()

    run_sockets(story)


def test_the_oldest_that_said_nothing_makes_room(
    run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Not the one whose task just hasn't seen yet what it said, nor one that is broken."""

    async def story() -> None:
        async with trio.open_nursery() as nursery:

            async def wait(sock: socket.socket) -> None:
                with sock:
                    await trio.lowlevel.wait_readable(sock)
                    try:
                        said = sock.recv(1, socket.MSG_PEEK)
                    except ConnectionResetError:
                        said = b"it is broken, and nobody has looked yet"
                    if said:
                        await trio.sleep_forever()

            acceptor = await acceptor_of(nursery, wait, max_handshakes=3)
            speaker, broken, silent = [await dial(acceptor) for _ in range(3)]
            await speaker.send_all(b"x")
            close_resets(broken)
            await broken.aclose()
            newer = [await dial(acceptor) for _ in range(4)]
            for closed in (silent, *newer[:3]):
                assert await closed.receive_some() == b""
            await trio.testing.wait_all_tasks_blocked()
            assert acceptor.connections == acceptor.handshakes == 3
            acceptor.cancel_connections()
            for stream in (speaker, silent, *newer):
                await stream.aclose()

    run_sockets(story)
    assert caplog.text.count("connections that send nothing are closed, the oldest first") == 1


def test_behind_tls_one_too_many_is_just_closed(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery, max_connections=1, plain=False)
            async with await dial(acceptor), await dial(acceptor) as second:
                assert await second.receive_some() == b""
                acceptor.stop_accepting()

    run_sockets(story)


def test_one_too_many_that_cant_be_told(run_sockets: Run) -> None:
    class Refused:
        """A socket whose peer is gone."""

        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...
        def setblocking(self, _: bool) -> None: ...

        def send(self, _: bytes) -> None:
            raise BrokenPipeError(errno.EPIPE, "broken pipe")

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery)
            refused: Any = Refused()
            acceptor._refuse(refused, "max_connections", 100, "open")
            acceptor.stop_accepting()

    run_sockets(story)


def test_stopping_lets_what_is_open_go_on(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery)
            stream = await dial(acceptor)
            assert acceptor.accepting
            acceptor.stop_accepting()
            acceptor.stop_accepting()
            assert not acceptor.accepting
            with pytest.raises(OSError, match="connect"):
                await dial(acceptor)
            assert acceptor.connections == 1
            waiting = 0

            async def wait_idle() -> None:
                nonlocal waiting
                waiting += 1
                await acceptor.wait_idle()
                waiting -= 1

            nursery.start_soon(wait_idle)
            nursery.start_soon(wait_idle)  # two may wait for it
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert waiting == 2
            await stream.aclose()
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert waiting == 0
            await acceptor.wait_idle()

    run_sockets(story)


def test_idle_is_waited_for_again_where_another_came_in_between(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery)
            stream = await dial(acceptor)
            idle = False

            async def wait_idle() -> None:
                nonlocal idle
                await acceptor.wait_idle()
                idle = True

            nursery.start_soon(wait_idle)
            await trio.testing.wait_all_tasks_blocked(0.01)
            acceptor.connections += 1
            acceptor._idle.set()
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert not idle
            acceptor.connections -= 1
            await stream.aclose()
            acceptor.stop_accepting()
        assert idle

    run_sockets(story)


def test_cancelling_cancels_the_connections_too(run_sockets: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery)
            async with await dial(acceptor) as stream:
                acceptor.cancel_connections()
                assert await stream.receive_some() == b""
                await acceptor.wait_idle()
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery)
            async with await dial(acceptor) as stream:
                nursery.cancel_scope.cancel()
        assert acceptor.connections == 0
        assert not acceptor.accepting

    run_sockets(story)


def test_stopped_before_it_has_begun(run_sockets: Run) -> None:
    async def story() -> None:
        acceptor = Acceptor(
            await open_listeners("127.0.0.1", 0), hold, max_connections=1, plain=True
        )
        acceptor.cancel_connections()
        await acceptor.run()

    run_sockets(story)


def test_a_connection_that_fails_is_logged_and_the_others_go_on(
    run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(sock: socket.socket) -> None:
        sock.close()
        await trio.lowlevel.checkpoint()
        raise ValueError("a bug")

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            acceptor = await acceptor_of(nursery, fail)
            for _ in range(2):
                async with await dial(acceptor) as stream:
                    assert await stream.receive_some() == b""
            acceptor.stop_accepting()

    run_sockets(story)
    assert caplog.text.count("a connection failed; the server goes on") == 2


# --- accept fails ---------------------------------------------------------------------------


class FlakyListener(socket.socket):
    """A listener whose accept fails with *numbers* first."""

    numbers: list[int]

    def accept(self) -> tuple[socket.socket, Any]:
        if self.numbers:
            number = self.numbers.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


def flaky(*numbers: int) -> FlakyListener:
    listener = FlakyListener()
    listener.numbers = list(numbers)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPERM, errno.EPROTO])
def test_a_connection_that_ends_before_it_is_accepted_is_passed_over(
    run_sockets: Run, number: int
) -> None:
    async def story() -> None:
        acceptor = Acceptor([flaky(*[number] * 100)], hold, max_connections=1, plain=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(acceptor.run)
            async with await dial(acceptor):
                assert acceptor.connections == 1
            acceptor.stop_accepting()

    run_sockets(story)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_a_machine_that_is_short_of_something_is_asked_again_later(
    run_sockets: Run, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    async def story() -> None:
        acceptor = Acceptor([flaky(number, number)], hold, max_connections=1, plain=True)
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(acceptor.run)
            await trio.testing.wait_all_tasks_blocked()
            assert acceptor.connections == 0
            async with await dial(acceptor):
                await trio.sleep(_serve._WHEN_SHORT * 3)
                assert acceptor.connections == 1
            acceptor.stop_accepting()
        assert trio.current_time() - start >= 2 * _serve._WHEN_SHORT

    run_sockets(story)
    assert caplog.text.count("can't accept") == 1


def test_a_listener_that_is_wrong_is_the_callers_error(run_sockets: Run) -> None:
    """It isn't asked again and again."""

    async def story() -> None:
        unbound = socket.socket()
        acceptor = Acceptor([unbound], hold, max_connections=1, plain=True)
        with pytest.raises(OSError, match="Invalid argument"):
            await acceptor.run()
        assert unbound.fileno() == -1

    run_sockets(story)


def test_a_flood_of_connections_leaves_others_their_turn(run_sockets: Run) -> None:
    async def drop(sock: socket.socket) -> None:
        sock.close()
        await trio.lowlevel.checkpoint()

    async def story() -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        clients = [socket.socket() for _ in range(100)]
        for client in clients:
            client.connect(listener.getsockname())
        acceptor = Acceptor([listener], partial(drop), max_connections=1000, plain=True)
        accepted: list[int] = []

        async with trio.open_nursery() as nursery:
            nursery.start_soon(acceptor.run)
            while not accepted or accepted[-1] < 100:
                accepted.append(acceptor.connections)
                if acceptor.connections == 0 and len(accepted) > 50:
                    break
                await trio.lowlevel.checkpoint()
            acceptor.stop_accepting()
        assert max(accepted) < 100
        for client in clients:
            client.close()

    run_sockets(story)
