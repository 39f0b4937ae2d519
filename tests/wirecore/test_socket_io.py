"""A socket's bytes without waiting: what comes, what is taken, and how a socket fails."""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from wirecore._backend import Backend
    from wirecore_py.socket_io import SocketIO


class Failed(Exception):
    """What the socket said, as who derives raises it."""


def open_io(backend: Backend, sock: Any) -> SocketIO:
    class Link(backend.socket_io.SocketIO):  # type: ignore[name-defined, misc]
        def _failed(self, error: OSError) -> NoReturn:
            raise Failed(type(error), error.errno, error.strerror) from error

    sock.setblocking(False)
    made: SocketIO = Link(sock, sock.fileno() if type(sock) is socket.socket else -1)
    return made


class Told(socket.socket):
    """A socket that is told what is done with it: whatever derives from one may do more."""

    def __init__(self, inner: socket.socket) -> None:
        super().__init__(inner.family, inner.type, inner.proto, inner.detach())
        self.told: list[str] = []

    def recv_into(self, *arguments: Any) -> int:
        self.told.append("recv_into")
        return super().recv_into(*arguments)

    def send(self, *arguments: Any) -> int:
        self.told.append("send")
        return super().send(*arguments)


@pytest.fixture(params=["the standard library's", "one that derives"])
def ends(request: pytest.FixtureRequest, backend: Backend) -> Iterator[tuple[SocketIO, Any]]:
    """One end, and the other's plain socket."""
    one, other = socket.socketpair()
    with other:
        sock = one if request.param == "the standard library's" else Told(one)
        with sock:
            yield open_io(backend, sock), other


def tcp_ends() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        return one, listener.accept()[0]


def test_bytes_come_and_go_as_they_are(ends: tuple[SocketIO, socket.socket]) -> None:
    io, other = ends
    room = bytearray(b"........")
    assert io.try_recv_into(memoryview(room)) is None
    other.send(b"hello")
    assert io.try_recv_into(memoryview(room)[1:4]) == 3
    assert io.try_recv_into(memoryview(room)[4:]) == 2
    assert room == b".hello.."
    assert io.try_recv_into(memoryview(room)) is None
    for data in (b"a", bytearray(b"bc"), memoryview(b"xdefx")[1:4], b""):
        assert io.try_send(data) == len(data)
    assert other.recv(100) == b"abcdef"
    other.close()
    assert io.try_recv_into(memoryview(room)) == 0
    assert io.try_recv_into(memoryview(room)) == 0


def test_who_derives_from_a_socket_is_asked_himself(backend: Backend) -> None:
    one, other = socket.socketpair()
    with other, Told(one) as told:
        io = open_io(backend, told)
        other.send(b"x")
        assert io.try_recv_into(memoryview(bytearray(4))) == 1
        assert io.try_send(b"y") == 1
        assert told.told == ["recv_into", "send"]


def test_a_full_socket_takes_nothing_and_what_it_took_before_arrives(
    ends: tuple[SocketIO, socket.socket],
) -> None:
    io, other = ends
    sent = 0
    while taken := io.try_send(bytes(1 << 20)):
        sent += taken
    assert io.try_send(b"more") == 0
    got = 0
    while got < sent:
        got += len(other.recv(1 << 20))
    assert io.try_send(b"more") == 4


@pytest.mark.parametrize("sending", [True, False])
def test_how_a_socket_fails_is_told_as_the_system_says_it(backend: Backend, sending: bool) -> None:
    one, other = tcp_ends()
    io = open_io(backend, one)
    with one:
        # Not in good order: what comes then is a reset.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other.close()
        assert select.select([one], [], [], 1)[0]
        use = io.try_send if sending else io.try_recv_into
        with pytest.raises(Failed) as caught:
            use(memoryview(bytearray(4)))
        kind, number, text = caught.value.args
        assert (kind, number) in [
            (ConnectionResetError, errno.ECONNRESET),
            (BrokenPipeError, errno.EPIPE),
        ]
        assert text
        assert isinstance(caught.value.__cause__, kind)


def test_behind_its_end_a_socket_is_closed_and_no_other_is_used(backend: Backend) -> None:
    one, other = socket.socketpair()
    io = open_io(backend, one)
    assert io._let_go() is True
    number = one.fileno()
    one.close()
    assert io._let_go() is False
    third, fourth = socket.socketpair()
    with third, fourth, other:
        assert number in (third.fileno(), fourth.fileno())  # taken again, and not by this one
        with pytest.raises(Failed) as sending:
            io.try_send(b"for nobody")
        with pytest.raises(Failed) as receiving:
            io.try_recv_into(memoryview(bytearray(4)))
        assert sending.value.args[1] == receiving.value.args[1] == errno.EBADF


def test_wrong_buffers_are_refused_and_nothing_is_lost(
    ends: tuple[SocketIO, socket.socket],
) -> None:
    io, other = ends
    other.send(b"x")
    wrong: Any
    for wrong in (memoryview(b"read-only"), "text", None):
        with pytest.raises((TypeError, BufferError)):
            io.try_recv_into(wrong)
    for wrong in ("text", None, 7):
        with pytest.raises(TypeError):
            io.try_send(wrong)
    assert io.try_recv_into(memoryview(bytearray(4))) == 1


def test_who_derives_says_how_it_fails(backend: Backend) -> None:
    one, other = socket.socketpair()
    with other:
        io = backend.socket_io.SocketIO(one, one.fileno())
        one.close()
        io._let_go()
        with pytest.raises(NotImplementedError):
            io.try_send(b"x")
