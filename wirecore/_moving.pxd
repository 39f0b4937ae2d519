# The types with which wirecore_py/moving.py is compiled.

cimport cython

from wirecore._outbox cimport Outbox
from wirecore._receiving cimport Receiver
from wirecore._rhythm cimport Rhythm
from wirecore._socket_io cimport SocketIO
from wirecore._ticking cimport Ticks
from wirecore._waiting cimport Callers, Waiter

cdef Py_ssize_t _LEFT_OUT, _MAX_SEND, _PUSH_BUDGET, _RECEIVE_BUFFER, _TOGETHER


cdef class Mover:
    cdef readonly double eager_wait
    cdef bint _has_company
    cdef public Py_ssize_t _asked, turning
    cdef Py_ssize_t _held, _left_out, _part_size
    cdef object _company, _lingering, _link, _losses, _part
    cdef public object _context
    cdef public bint _at_eof, _sent_in_pass, _vigilant, _writing
    cdef public bint ended, flooded, listed, reading, woke
    cdef public double armed, fed
    cdef public object _broken, _flusher, _outbox, _owner, _parked, _stage, _view
    cdef public object now, paused, session
    cdef public Rhythm _rhythm
    # None where what the link, stage and outbox are isn't the backend's own.
    cdef Outbox _box
    cdef Receiver _receiver
    cdef SocketIO _io
    cdef Ticks _ticks

    @cython.locals(now=double, ticks=Ticks)
    cdef double _time(self) except? -1
    cdef _know_own(self)
    @cython.locals(box=Outbox, io=SocketIO, owes=bint)
    cdef bint _waits(self) except -1
    @cython.locals(finished=bint, receiver=Receiver)
    cdef bint _has_finished(self) except -1
    @cython.locals(deferred=bint, receiver=Receiver)
    cdef bint _has_deferred(self) except -1
    @cython.locals(io=SocketIO)
    cdef _try_recv(self)
    cpdef bint read(self) except -1
    cpdef feed(self, data)
    cpdef bint read_watched(self) except -1
    cpdef bint read_if_likely(self) except -1
    @cython.locals(rhythm=Rhythm)
    cpdef bint read_in_place(self) except -1
    @cython.locals(in_a_row=Py_ssize_t)
    cpdef bint read_on(self, Py_ssize_t most) except -1
    @cython.locals(rhythm=Rhythm)
    cpdef bint turn_is_due(self) except -1
    cpdef bint read_through(self) except -1
    cpdef bint read_as_reader(self) except -1
    cpdef hold(self)
    cpdef write(self)
    @cython.locals(box=Outbox)
    cpdef push(self)
    cpdef bint asked(self, Waiter waiter, double deadline, Callers callers) except -1
    cpdef settle(self, now)
