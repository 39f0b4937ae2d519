# The types with which wirecore_py/webwire_ends.py is compiled.

cimport cython

from wirecore._receiving cimport Receiver
from wirecore._webwire_writer cimport MessageWriter

cdef int _MALFORMED


cdef class ClientEnd:
    cdef public Receiver _connection
    cdef public double _alone_at, _quiet_since
    cdef public object _decode, _writer, conf, table
    cdef MessageWriter _own_writer  # None where it isn't the backend's own

    @cython.locals(alone=bint, own=MessageWriter)
    cpdef request(self, call, name, payload, encoding, double now)
    @cython.locals(connection=Receiver, happened=list)
    cpdef receive(self, data, double now)


cdef class ServerEnd:
    cdef public Receiver _connection
    cdef public bint _stopping, inactive
    cdef public double _heard_at
    cdef public object _decode, _writer
    cdef MessageWriter _own_writer

    @cython.locals(connection=Receiver, dropping=bint, happened=list)
    cpdef receive(self, data, double now)
    @cython.locals(own=MessageWriter)
    cpdef reply(self, request_id, payload, encoding)
