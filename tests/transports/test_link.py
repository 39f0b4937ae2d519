"""Links: sockets and any trio stream, asked without waiting, and what each does when it breaks."""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.moving_rules import MAX_SEND
from wirecore_trio._link import _LAST_WORD, SocketLink, StreamLink, link_for

if TYPE_CHECKING:
    from tests.transports.conftest import Run


def sockets() -> tuple[SocketLink, socket.socket]:
    one, other = socket.socketpair()
    return SocketLink(one), other


class FailingSocket(socket.socket):
    """A socket whose every operation fails in one way."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._error = OSError(number, os.strerror(number))

    def recv_into(self, *_: Any) -> int:
        raise self._error

    def send(self, *_: Any) -> int:
        raise self._error


# --- sockets ------------------------------------------------------------------------------


def test_a_socket_is_read_and_written_without_waiting(run_sockets: Run) -> None:
    async def story() -> None:
        link, other = sockets()
        with other:
            buffer = memoryview(bytearray(10))
            assert link.try_recv_into(buffer) is None
            assert link.try_send(b"ping") == 4
            assert other.recv(10) == b"ping"
            other.send(b"pong")
            await link.wait_readable()
            assert link.try_recv_into(buffer) == 4
            assert bytes(buffer[:4]) == b"pong"
            other.shutdown(socket.SHUT_WR)
            assert link.try_recv_into(buffer) == 0
            assert not link.owes
            link.close()
            link.close()

    run_sockets(story)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what waits in a socket")
def test_a_sockets_backlog_shrinks_as_the_peer_reads(run_sockets: Run) -> None:
    async def story() -> None:
        link, other = sockets()
        with other:
            assert link.backlog() == 0
            while link.try_send(bytes(MAX_SEND)):
                pass
            full = link.backlog()
            assert full
            other.recv(1 << 20)
            left = link.backlog()
            assert left is not None
            assert left < full
            link.close()
            assert link.backlog() is None

    run_sockets(story)


def test_a_full_socket_takes_nothing_until_it_is_read(run_sockets: Run) -> None:
    async def story() -> None:
        link, other = sockets()
        with other:
            sent = 0
            while taken := link.try_send(bytes(MAX_SEND)):
                sent += taken
            async with trio.open_nursery() as nursery:
                nursery.start_soon(link.flush)
                await trio.testing.wait_all_tasks_blocked()
                assert len(nursery.child_tasks) == 1
                while sent:
                    sent -= len(other.recv(1 << 20))
            assert link.try_send(b"more") == 4
            link.close()

    run_sockets(story)


@pytest.mark.parametrize(
    "number",
    [errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT, errno.EPERM, errno.ENOBUFS, errno.EBADF],
)
def test_whatever_the_system_calls_it_a_failed_socket_is_a_broken_stream(number: int) -> None:
    link = SocketLink(FailingSocket(number))
    with pytest.raises(trio.BrokenResourceError, match="the connection broke") as caught:
        link.try_recv_into(memoryview(bytearray(1)))
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(trio.BrokenResourceError, match=os.strerror(number)):
        link.try_send(b"x")
    link.socket.close()


def test_a_socket_that_the_system_cant_watch_says_so(
    run_sockets: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_more(_: object) -> None:
        raise OSError(errno.ENOSPC, "no more watches")

    async def story() -> None:
        link, other = sockets()
        monkeypatch.setattr(trio.lowlevel, "wait_readable", no_more)
        monkeypatch.setattr(trio.lowlevel, "wait_writable", no_more)
        with pytest.raises(OSError, match="no more watches"):
            await link.wait_readable()
        with pytest.raises(trio.BrokenResourceError, match="no more watches"):
            await link.flush()
        link.close()
        other.close()

    run_sockets(story)


def test_closing_a_socket_wakes_who_waits(run_sockets: Run) -> None:
    async def story() -> None:
        link, other = sockets()
        while link.try_send(bytes(MAX_SEND)):
            pass

        async def wait(what: str) -> None:
            with pytest.raises(trio.ClosedResourceError):
                await getattr(link, what)()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, "wait_readable")
            nursery.start_soon(wait, "flush")
            await trio.testing.wait_all_tasks_blocked()
            link.close()
        other.close()

    run_sockets(story)


def test_a_socket_stream_gives_up_its_socket_and_others_are_used_as_they_are(
    run_sockets: Run,
) -> None:
    async def story() -> None:
        one, other = socket.socketpair()
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(one))
        link = link_for(stream)
        assert isinstance(link, SocketLink)
        assert stream.socket.fileno() == -1
        link.close()
        other.close()
        memory, _ = trio.testing.memory_stream_pair()
        assert isinstance(link_for(memory), StreamLink)

    run_sockets(story)


# --- streams ------------------------------------------------------------------------------


def test_a_stream_is_read_by_waiting_and_written_by_flushing(run: Run) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        link = StreamLink(one)
        buffer = memoryview(bytearray(3))
        assert link.try_recv_into(buffer) is None
        await other.send_all(b"pong")
        assert link.try_recv_into(buffer) is None  # nobody has waited for it yet
        await link.wait_readable()
        await link.wait_readable()  # and it stays
        assert link.try_recv_into(buffer) == 3
        assert link.try_recv_into(buffer) == 1
        assert link.try_recv_into(buffer) is None

        await link.flush()  # nothing owed: no more than a checkpoint
        assert not link.owes
        assert link.try_send(b"ping") == 4
        assert link.owes
        assert link.try_send(b"more") == 4
        await link.flush()
        assert not link.owes
        assert await other.receive_some() == b"pingmore"
        assert link.try_send(b"x") == 1
        assert link.try_send(bytes(MAX_SEND)) == MAX_SEND - 1
        assert link.try_send(b"x") == 0

        await other.send_eof()
        await link.wait_readable()
        await link.wait_readable()
        assert link.try_recv_into(buffer) == 0
        link.close()
        link.close()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.ClosedResourceError):
            await one.receive_some()

    run(story)


class BadStream(trio.abc.Stream):
    """A stream with defects: what it does raises *error*."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.closed = False

    async def send_all(self, data: object) -> None:
        raise self.error

    async def wait_send_all_might_not_block(self) -> None:
        raise self.error

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise self.error

    async def aclose(self) -> None:
        self.closed = True
        raise self.error


@pytest.mark.parametrize("loss", [trio.BrokenResourceError("gone"), trio.ClosedResourceError()])
def test_the_loss_of_a_stream_is_told_as_it_is(run: Run, loss: Exception) -> None:
    async def story() -> None:
        link = StreamLink(BadStream(loss))
        link.try_send(b"x")
        for wait in (link.wait_readable, link.flush):
            with pytest.raises(type(loss)) as caught:
                await wait()
            assert caught.value is loss

    run(story)


def test_a_streams_own_defects_break_it_and_nothing_else(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        defect = ValueError("a bug")
        stream = BadStream(defect)
        link = StreamLink(stream)
        link.try_send(b"x")
        for wait in (link.wait_readable, link.flush):
            with pytest.raises(trio.BrokenResourceError, match="a bug") as caught:
                await wait()
            assert caught.value.__cause__ is defect
        link.close()
        await trio.testing.wait_all_tasks_blocked()
        assert stream.closed

    run(story)
    assert "a stream failed while it was closed" in caplog.text


def test_what_a_stream_was_given_last_leaves_before_it_is_closed(run: Run) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        link = StreamLink(one)
        link.try_send(b"goodbye")
        link.close()
        await trio.testing.wait_all_tasks_blocked()
        assert await other.receive_some() == b"goodbye"
        assert await other.receive_some() == b""

    run(story)


@pytest.mark.parametrize("flushing", [False, True])
def test_a_stuck_stream_isnt_waited_for_when_it_is_closed(run: Run, flushing: bool) -> None:
    async def story() -> None:
        one, other = trio.testing.lockstep_stream_pair()
        link = StreamLink(one)
        link.try_send(b"nobody takes it")
        start = trio.current_time()

        async def flush() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await link.flush()

        async def wait_readable() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await link.wait_readable()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_readable)
            if flushing:
                nursery.start_soon(flush)
            await trio.testing.wait_all_tasks_blocked()
            link.close()
        assert trio.current_time() - start == (0 if flushing else _LAST_WORD)
        await other.aclose()

    run(story)


def test_a_stream_is_closed_also_when_the_run_ends_first() -> None:
    one, other = socket.socketpair()

    async def story() -> None:
        link = StreamLink(trio.SocketStream(trio.socket.from_stdlib_socket(one)))
        while True:  # until nobody takes any more
            link.try_send(bytes(MAX_SEND))
            with trio.move_on_after(0.1) as scope:
                await link.flush()
            if scope.cancelled_caught:
                break
        link.close()

    trio.run(story)
    assert one.fileno() == -1
    other.close()


def test_a_broken_stream_is_closed_all_the_same(run: Run) -> None:
    async def story() -> None:
        one, other = trio.testing.memory_stream_pair()
        await other.aclose()
        link = StreamLink(one)
        link.try_send(b"nobody is there")
        link.close()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.ClosedResourceError):
            await one.receive_some()

    run(story)
