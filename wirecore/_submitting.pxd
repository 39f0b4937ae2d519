# The types with which wirecore_py/submitting.py is compiled.

cimport cython

from wirecore._moving cimport Mover


@cython.final
cdef class Submitter:
    cdef Mover _mover
    cdef object _askers, _callers, _make, _outbox, _queue, _session
    cdef double _high_water, _seconds  # whatever an option may be

    @cython.locals(mover=Mover, now=double, waits=Py_ssize_t)
    cpdef ask(self, what, value, kind)
    @cython.locals(mover=Mover, now=double)
    cpdef queue(self, pending, annotation, take, what, value, kind)
    @cython.locals(mover=Mover, waits=Py_ssize_t)
    cpdef bint send(self, pending, double now) except -1
