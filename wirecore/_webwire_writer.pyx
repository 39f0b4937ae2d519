# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True
"""Requests, replies and signals of webwire, in one step: twin of ``wirecore_py.webwire_writer``."""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from wirecore._calls cimport CallTable
from wirecore._encode cimport BINARY, FIN, head_size, write_head
from wirecore._entropy cimport fill_random
from wirecore._mask cimport load_key, rotate_key, xor_copy
from wirecore._outbox cimport Outbox
from wirecore._waiting cimport opened
from wirecore._webwire cimport (
    Prefix, as_encoding, as_id, begin_reply, begin_request, begin_signal, exact_text, put_id,
)

from wirecore.errors import InvalidState


cdef class MessageWriter:
    """Makes the requests of *table*'s calls, replies and signals, and frames for *outbox*.

    It is for what is usual: who gets 0 from it, and has nothing queued then, goes the long way,
    where all that can be wrong has its error. *table*: None for an end that makes no requests.
    *masked*: whether this is the client's end. *largest*: no longer message is taken, so that
    each is one frame. *max_queued*: none is while more bytes than that wait in *outbox*.
    """

    def __init__(
        self, CallTable table, Outbox outbox not None, *, bint masked, Py_ssize_t largest,
        Py_ssize_t max_queued,
    ):
        self._table = table
        self._outbox = outbox
        self._masked = masked
        self._largest = largest
        self._max_queued = max_queued

    cpdef request(self, call, name, payload, encoding, double now):
        """Open *call* at *now* and queue its request: where that ends in the outbox's data lane.

        *call* gets its ``call_id``, as the table makes them, time and end. Raises as the table's
        ``open``, and as ``encode_request`` where the table makes ids that the wire doesn't take;
        nothing is queued then. Raises :class:`~wirecore.errors.InvalidState` where there is no
        table.
        """
        cdef Prefix prefix
        cdef int kind
        if self._table is None:
            raise InvalidState("this end keeps no calls, so it makes no requests")
        if not PyBytes_CheckExact(payload) or not PyUnicode_Check(name):
            return 0
        try:
            kind = as_encoding(encoding)
        except (TypeError, ValueError):
            return 0
        # The id is put in once there is one.
        if begin_request(&prefix, 0, exact_text(name), PyBytes_GET_SIZE(payload), kind):
            return 0
        if not self._takes(&prefix, payload):
            return 0
        call_id = self._table.open(call)
        try:
            put_id(prefix.data + 1, as_id(call_id))
            frame = self._frame(&prefix, payload)
            opened(call, call_id, now, self._outbox.queued + PyBytes_GET_SIZE(frame))
        except BaseException:
            self._table.forget(call_id)
            raise
        return self._outbox.put(frame)

    cpdef reply(self, request_id, payload, encoding):
        """Queue a reply: where that ends in the outbox's data lane."""
        cdef Prefix prefix
        cdef uint64_t number
        cdef int kind
        if not PyBytes_CheckExact(payload):
            return 0
        try:
            number = as_id(request_id)
            kind = as_encoding(encoding)
        except (TypeError, ValueError):
            return 0
        if begin_reply(&prefix, number, PyBytes_GET_SIZE(payload), kind):
            return 0
        return self._put(&prefix, payload)

    cpdef signal(self, name, payload, encoding):
        """Queue a signal: where that ends in the outbox's data lane."""
        cdef Prefix prefix
        cdef int kind
        if not PyBytes_CheckExact(payload) or not PyUnicode_Check(name):
            return 0
        try:
            kind = as_encoding(encoding)
        except (TypeError, ValueError):
            return 0
        if begin_signal(&prefix, exact_text(name), PyBytes_GET_SIZE(payload), kind):
            return 0
        return self._put(&prefix, payload)

    cdef object _put(self, const Prefix* prefix, object payload):
        if not self._takes(prefix, payload):
            return 0
        return self._outbox.put(self._frame(prefix, payload))

    cdef bint _takes(self, const Prefix* prefix, object payload) noexcept:
        return (
            PyBytes_GET_SIZE(payload) <= self._largest - prefix.size
            and self._outbox.pending <= self._max_queued
        )

    cdef object _frame(self, const Prefix* prefix, object payload):
        """Prefix and payload as one frame, in the only copy that is made of them."""
        cdef unsigned char key_bytes[4]
        cdef uint32_t key
        cdef const unsigned char* data = <const unsigned char*>PyBytes_AS_STRING(payload)
        cdef Py_ssize_t payload_size = PyBytes_GET_SIZE(payload)
        cdef Py_ssize_t size = prefix.size + payload_size
        frame = PyBytes_FromStringAndSize(NULL, head_size(size, self._masked) + size)
        cdef unsigned char* to = <unsigned char*>PyBytes_AS_STRING(frame)
        to = write_head(to, FIN | BINARY, size, 0x80 if self._masked else 0)
        if self._masked:
            fill_random(key_bytes, 4)
            memcpy(to, key_bytes, 4)
            to += 4
            key = load_key(key_bytes)
            xor_copy(to, prefix.data, prefix.size, key)
            xor_copy(to + prefix.size, data, payload_size, rotate_key(key, prefix.size))
        else:
            memcpy(to, prefix.data, prefix.size)
            memcpy(to + prefix.size, data, payload_size)
        return frame
