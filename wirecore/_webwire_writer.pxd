# cython: language_level=3
"""C-level methods of the writer of webwire's messages, for the ends that write them."""

from wirecore._calls cimport CallTable
from wirecore._outbox cimport Outbox
from wirecore._webwire cimport Prefix


cdef class MessageWriter:
    cdef CallTable _table
    cdef Outbox _outbox
    cdef bint _masked
    cdef Py_ssize_t _largest
    cdef Py_ssize_t _max_queued

    cpdef request(self, call, name, payload, encoding, double now)
    cpdef reply(self, request_id, payload, encoding)
    cpdef signal(self, name, payload, encoding)
    cdef object _put(self, const Prefix* prefix, object payload)
    cdef bint _takes(self, const Prefix* prefix, object payload) noexcept
    cdef object _frame(self, const Prefix* prefix, object payload)
