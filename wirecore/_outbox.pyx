# cython: language_level=3, boundscheck=False, wraparound=False
"""What waits to be sent, in two lanes: the compiled twin of ``wirecore_py.outbox``."""

from cpython.bytes cimport PyBytes_CheckExact
from cpython.list cimport PyList_Append, PyList_GET_SIZE

from wirecore._socket_io cimport SocketIO

from wirecore.errors import InvalidState
from wirecore.long_frame import LongFrame


cdef class Outbox:
    """A queue of encoded frames.

    Offsets count the bytes of the data lane from the connection's start. *queued*: all that was
    put. *flushed*: up to here bytes may have left; beyond it certainly none has. Between
    ``take`` and ``sent`` all that was taken counts, for the link may have it; after ``sent`` it
    is exact. *pending*: bytes of both lanes that haven't left, those taken included.
    """

    def __cinit__(self):
        self._taken = b""

    cpdef object put(self, object frames):
        """Queue one or more whole data frames, or a long one; their end offset in the data lane."""
        cdef Py_ssize_t size = len(frames)
        if not PyBytes_CheckExact(frames) and isinstance(frames, LongFrame):
            self._longs += 1
        if self._data is None:
            self._data = [frames]
        else:
            PyList_Append(self._data, frames)
        self.pending += size
        self.queued += size
        return self.queued

    cpdef object put_control(self, object frame):
        """Queue a whole control frame: it goes before all data that isn't taken yet."""
        cdef Py_ssize_t size = len(frame)
        if self._control is None:
            self._control = [frame]
        else:
            PyList_Append(self._control, frame)
        self.pending += size

    cpdef object take(self, Py_ssize_t limit):
        """What to send next; ``b""`` where there is nothing.

        First what is owed of the last one; else all control frames and behind them data frames
        up to *limit* bytes in all. Data longer than *limit* in one ``put`` comes alone and
        whole, as a memoryview; a long frame comes alone and in its own pieces, with nothing
        between them. The same again until :meth:`sent` was told.
        """
        if not self._taken_size:
            self._taken = self._next(limit) if self._long is None else self._go_on()
            self._taken_size = len(self._taken)
        self.flushed = self._left + self._taken_size - self._taken_control
        return self._taken

    cdef object _next(self, Py_ssize_t limit):
        cdef list parts = self._control
        self._control = None
        self._taken_control = 0
        if parts is None:
            parts = []
        else:
            for frame in parts:
                self._taken_control += len(frame)
        if self.pending <= limit and self._ready is None and not self._longs:
            if self._data is not None:
                parts = self._data if not PyList_GET_SIZE(parts) else parts + self._data
                self._data = None
        else:
            if self._ready is None:
                self._ready, self._data = self._data, None
                if self._ready is not None:
                    self._ready.reverse()
            if self._ready is not None:
                whole = self._move(parts, limit - self._taken_control)
                if not PyList_GET_SIZE(self._ready):
                    self._ready = None
                if whole is not None:
                    return whole
        if PyList_GET_SIZE(parts) == 1:
            return parts[0]
        return b"".join(parts)

    cdef object _move(self, list parts, Py_ssize_t room):
        """Move what fits into *room* to *parts*; of what alone doesn't comes the first piece."""
        cdef list ready = self._ready
        cdef Py_ssize_t size, last = PyList_GET_SIZE(ready) - 1
        while last >= 0:
            frames = ready[last]
            if self._longs and isinstance(frames, LongFrame):
                if PyList_GET_SIZE(parts):
                    break
                self._long = ready.pop()
                self._longs -= 1
                return self._go_on()
            size = len(frames)
            if size > room:
                if PyList_GET_SIZE(parts):
                    break
                return memoryview(ready.pop())
            room -= size
            PyList_Append(parts, ready.pop())
            last -= 1
        return None

    cdef object _go_on(self):
        self._taken_control = 0
        piece = self._long.next()
        if not len(self._long):
            self._long = None
        return piece

    cpdef object sent(self, Py_ssize_t n):
        """*n* bytes of what was taken last have left; the rest is owed.

        Raises :class:`~wirecore.errors.InvalidState` for more than was taken.
        """
        cdef Py_ssize_t control
        if not 0 <= n <= self._taken_size:
            raise InvalidState(f"{n} bytes can't have left of {self._taken_size} that were taken")
        control = min(n, self._taken_control)
        self._taken_control -= control
        self._left += n - control
        self.flushed = self._left
        self.pending -= n
        if n == self._taken_size:
            self._taken = b""
        elif n:
            self._taken = memoryview(self._taken)[n:]
        self._taken_size -= n

    cpdef object offer(self, object link, Py_ssize_t limit, Py_ssize_t most):
        """Give *link* what waits, until it takes less than it could or has *most* bytes.

        Its ``try_send`` gets what :meth:`take` gives, with this *limit*, and returns how many bytes
        of it have left; taking *limit* (1 or more) of a longer one is all that is asked of it. What
        it raises goes through; what it had taken before is counted.
        """
        cdef Py_ssize_t size, taken
        cdef SocketIO io = link if isinstance(link, SocketIO) else None
        while self.pending and most > 0:
            data = self.take(limit)
            size = self._taken_size
            taken = link.try_send(data) if io is None else io.try_send(data)
            self.sent(taken)
            if taken < size and taken < limit:
                return
            most -= taken

    cpdef object clear(self):
        """Forget all that waits, as nothing more will be sent. Offsets stay as they are."""
        self._control = self._data = self._ready = self._long = None
        self._longs = 0
        self._taken = b""
        self._taken_size = self._taken_control = 0
        self.pending = 0
