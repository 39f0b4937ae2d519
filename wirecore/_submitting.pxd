# The types with which wirecore_py/submitting.py is compiled.

cimport cython

from wirecore._moving cimport Mover
from wirecore._outbox cimport Outbox
from wirecore._rhythm cimport Rhythm
from wirecore._waiting cimport Callers, Submitted, Told, Waiter


@cython.locals(mover=Mover, rhythm=Rhythm)
cpdef bint come(Told told) except -1


@cython.final
cdef class Submitter:
    cdef Mover _mover
    cdef Callers _askers, _callers
    cdef object _outbox, _queue, _session
    cdef Outbox _box  # None where it isn't the backend's own
    cdef double _high_water, _seconds  # whatever an option may be

    @cython.locals(box=Outbox)
    cdef Py_ssize_t _waits(self) except -1
    @cython.locals(call=Waiter, mover=Mover, now=double)
    cpdef ask(self, what, value, kind)
    @cython.locals(mover=Mover, now=double)
    cpdef double queue(self, Submitted pending, annotation, take, what, value, kind) except? -1
    @cython.locals(now=double)
    cpdef double submit(self, Submitted pending, take, what, value, kind) except? -2
    @cython.locals(mover=Mover)
    cpdef bint send(self, Submitted pending, double now) except -1
