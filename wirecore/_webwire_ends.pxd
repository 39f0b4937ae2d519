# The types with which wirecore_py/webwire_ends.py is compiled.

cimport cython

from wirecore._receiving cimport Receiver

cdef int _MALFORMED


cdef class ClientEnd:
    cdef public Receiver _connection
    cdef public double _alone_at, _quiet_since
    cdef public object _decode, _writer, conf, table

    @cython.locals(alone=bint)
    cpdef request(self, call, name, payload, encoding, now)
    @cython.locals(happened=list)
    cpdef receive(self, data, now)


cdef class ServerEnd:
    cdef public Receiver _connection
    cdef public bint _stopping, inactive
    cdef public double _heard_at
    cdef public object _decode, _writer

    @cython.locals(connection=Receiver, dropping=bint, happened=list)
    cpdef receive(self, data, now)
    cpdef reply(self, request_id, payload, encoding)
