"""A socket's bytes, in and out without waiting: what a link does for each message."""

from __future__ import annotations

from typing import Any, NoReturn


class SocketIO:
    """*socket* doesn't block; it belongs to this from now on.

    *number*: what the system calls it, where that may be asked directly; below 0: the socket has
    to be asked itself. *owes*: False, as nothing is kept here. Who derives has ``_failed(error)``,
    which raises for an OSError of the socket's, and calls :meth:`_let_go` before he closes it.
    """

    __slots__ = ("_closed", "owes", "socket")

    socket: Any

    def __init__(self, socket: Any, number: int) -> None:
        self.socket = socket
        self._closed = self.owes = False

    def try_recv_into(self, buffer: memoryview) -> int | None:
        """Bytes read into *buffer* now; 0 at the end of the stream, None if there are none yet."""
        try:
            received: int = self.socket.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            self._failed(error)
        return received

    def try_send(self, data: bytes | bytearray | memoryview) -> int:
        """How many bytes of *data* the system took, 0 if it takes none now."""
        try:
            sent: int = self.socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._failed(error)
        return sent

    def _let_go(self) -> bool:
        """The socket is about to be closed; False where it was already."""
        if self._closed:
            return False
        self._closed = True
        return True

    def _failed(self, error: OSError) -> NoReturn:
        """See the class."""
        raise NotImplementedError
