# cython: language_level=3
"""Fields and C-level methods of what queues calls and answers, for the ends that make them."""

from wirecore._calls cimport CallTable
from wirecore._outbox cimport Outbox


cdef class Queue:
    cdef object _connection
    cdef Outbox _outbox
    cdef bint _masked
    cdef Py_ssize_t _largest
    cdef Py_ssize_t _max_queued

    cdef bint takes(self) except -1
    cdef object frame(self, bytes message)


cdef class CallSender(Queue):
    cdef object _write
    cdef CallTable _table
    cdef set _forgotten
    cdef object _begin
    cdef public object next
    cdef readonly set known

    cpdef bint send(self, call, method, argument, annotation, double now) except -1


cdef class AnswerSender(Queue):
    cdef object _write

    cpdef send(self, request, value, annotation)
