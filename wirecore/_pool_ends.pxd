# The types with which wirecore_py/pool_ends.py is compiled.

cimport cython

from wirecore._pool_sender cimport CallSender


cdef class CallingEnd:
    cdef public object _quick
    cdef CallSender _own  # None where it isn't the backend's own

    @cython.locals(own=CallSender)
    cpdef call(self, call, method, argument, annotation, now)
