# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Calls of net/rpc and their answers, queued in one step: twin of ``wirecore_py.pool_sender``.

For what is usual: who is told False, and has nothing queued then, goes the long way, where all
that can be wrong has its error.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Size
from cpython.set cimport PySet_Contains, PySet_GET_SIZE

from wirecore._calls cimport CallTable
from wirecore._encode cimport BINARY, FIN, head_size, write_frame
from wirecore._entropy cimport fill_random
from wirecore._outbox cimport Outbox
from wirecore._waiting cimport annotation_of, opened


cdef class Queue:
    """Messages of one frame each for *outbox*, while *connection* lets them in.

    *masked*: whether this is the client's end. *largest*: bytes of a message at most.
    *max_queued*: none is taken while more bytes than that wait.
    """

    def __init__(
        self, connection, Outbox outbox not None, *, bint masked, Py_ssize_t largest,
        Py_ssize_t max_queued,
    ):
        self._connection = connection
        self._outbox = outbox
        self._masked = masked
        self._largest = largest
        self._max_queued = max_queued

    cdef bint takes(self) except -1:
        return self._outbox.pending <= self._max_queued and self._connection.plain

    cdef object frame(self, bytes message):
        """*message* as a frame; None: it is too long."""
        cdef unsigned char key[4]
        cdef Py_ssize_t size = PyBytes_GET_SIZE(message)
        if size > self._largest:
            return None
        frame = PyBytes_FromStringAndSize(NULL, head_size(size, self._masked) + size)
        if self._masked:
            fill_random(key, 4)
        write_frame(
            <unsigned char*>PyBytes_AS_STRING(frame), FIN | BINARY,
            <const unsigned char*>PyBytes_AS_STRING(message), size,
            key if self._masked else NULL,
        )
        return frame


cdef class CallSender(Queue):
    """Opens the calls of *table*, whose ids are numbers in a row, and queues them.

    *write* makes a message of a number, a method, an argument and its annotation; None: it isn't
    usual. *forgotten*: the numbers of calls without an answer that left *table*; they count too.
    *begin* is told the time of a call that is the only one of *table*.

    *next*: the number of the next call. *known*: annotations that results can be read as.
    """

    def __init__(
        self, connection, Outbox outbox not None, write, CallTable table not None,
        set forgotten not None, begin, **bounds,
    ):
        Queue.__init__(self, connection, outbox, **bounds)
        self._write = write
        self._table = table
        self._forgotten = forgotten
        self._begin = begin
        self.next = 0
        self.known = set()

    cpdef bint send(self, call, method, argument, annotation, double now) except -1:
        """Open *call* and queue it: True, and *call* has number, time and end; or False."""
        cdef Py_ssize_t waiting = PyDict_Size(self._table._pending)
        if not self.takes():
            return False
        if waiting + PySet_GET_SIZE(self._forgotten) >= self._table.max_pending:
            return False
        try:
            if not PySet_Contains(self.known, annotation_of(call)):
                return False
        except TypeError:  # an annotation that isn't hashable
            return False
        message = self._write(self.next, method, argument, annotation)
        if message is None:
            return False
        frame = self.frame(message)
        if frame is None:
            return False
        if waiting == 0:
            self._begin(now)
        number = self._table.open(call)
        self.next = number + 1
        opened(call, number, now, self._outbox.put(frame))
        return True


cdef class AnswerSender(Queue):
    """Queues answers. *write* makes a message of the id and the method of a request, the result
    and its annotation; None: it isn't usual.
    """

    def __init__(self, connection, Outbox outbox not None, write, **bounds):
        Queue.__init__(self, connection, outbox, **bounds)
        self._write = write

    cpdef send(self, request, value, annotation):
        """Queue the answer to *request*, an id and a method: True, or False."""
        if not self.takes():
            return False
        call_id, method = request
        message = self._write(call_id, method, value, annotation)
        if message is None:
            return False
        frame = self.frame(message)
        if frame is None:
            return False
        self._outbox.put(frame)
        return True
