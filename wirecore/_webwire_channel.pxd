# The types with which wirecore_py/webwire_channel.py is compiled.

cimport cython

from wirecore._moving cimport Mover
from wirecore._waiting cimport Callers, Waiter
from wirecore._webwire_ends cimport ServerEnd
from wirecore._webwire_order cimport Order

cdef Py_ssize_t _REPLY


@cython.final
cdef class Inbound:
    cdef Callers _callers, _submitters
    cdef object _channel, _payload_of, _table
    cdef public Mover mover

    @cython.locals(call=Waiter, kind=Py_ssize_t, mover=Mover)
    cpdef received(self, list happened)
    cpdef on_finish(self)
    cpdef on_end(self, error)


cdef class Replying:
    cdef object _split
    cdef public Mover _pump
    cdef public Order _handling
    cdef public ServerEnd _session_state

    @cython.locals(handling=Order)
    cpdef received(self, list happened)
    @cython.locals(pump=Mover, session=ServerEnd)
    cpdef _reply(self, request_id, name, value)
