# The types with which wirecore_py/moving.py is compiled.

cimport cython

from wirecore._rhythm cimport Rhythm

cdef Py_ssize_t _LEFT_OUT, _MAX_SEND, _PUSH_BUDGET, _RECEIVE_BUFFER, _TOGETHER


cdef class Mover:
    cdef double _eager_wait
    cdef bint _has_company
    cdef public Py_ssize_t _asked
    cdef Py_ssize_t _held, _left_out
    cdef object _company, _lingering, _losses
    cdef public bint _at_eof, _sent_in_pass, _vigilant, _writing
    cdef public bint ended, flooded, listed, reading, woke
    cdef public double armed, fed
    cdef public object _broken, _flusher, _outbox, _owner, _parked, _stage, _view
    cdef public object link, now, session
    cdef public Rhythm _rhythm

    cpdef bint read(self) except -1
    cpdef feed(self, data)
    cpdef bint read_if_likely(self) except -1
    @cython.locals(rhythm=Rhythm)
    cpdef bint read_in_place(self) except -1
    @cython.locals(rhythm=Rhythm)
    cpdef bint turn_is_due(self) except -1
    cpdef bint read_through(self) except -1
    cpdef hold(self)
    cpdef write(self)
    cpdef push(self)
    cpdef bint asked(self, waiter, double deadline, callers) except -1
    cpdef settle(self, now)
