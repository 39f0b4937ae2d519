# The types with which wirecore_py/receiving.py is compiled.

cimport cython

from wirecore._frames cimport MessageDecoder


cdef class Receiver:
    cdef public bint _inflates, deferred, finished, plain
    cdef public object _decoder, outbox, state
    cdef MessageDecoder _own  # None where the decoder isn't the backend's own

    @cython.locals(controls=int, items=list, own=MessageDecoder)
    cpdef receive(self, data, double now)
    cpdef _decode_with(self, decoder)
