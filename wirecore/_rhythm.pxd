# The types with which wirecore_py/rhythm.py is compiled.

cimport cython

from wirecore._ticking cimport Core

cdef double _AWAKE, _CLOSE, _SLICE, _TURN
cdef Py_ssize_t _CONTENDED, _FEWEST, _IDLE_TURNS, _INTERRUPTED, _IN_A_ROW, _MOST_IN_A_ROW, _POLITE, _SELDOM


@cython.final
cdef class Trial:
    cdef Py_ssize_t _caution, _chances, _fewest, _most, _paid, _pay, _penalty, _undisturbed
    cdef readonly Py_ssize_t needed

    cpdef bint due(self) except -1
    cpdef paid(self)
    cpdef missed(self)
    cpdef disturbed(self)


@cython.final
cdef class Rhythm:
    cdef readonly Core core
    cdef object _idle, _ready
    cdef Py_ssize_t _idle_turns, _in_a_row, _polite
    cdef Trial _looking, _waiting
    cdef double _left_at, _since
    cdef public double at
    cdef public Py_ssize_t close
    cdef public object pump

    cpdef was_read(self, pump, double now)
    cpdef had_turn(self)
    cpdef bint pays(self) except -1
    cpdef bint may_pay(self, pump) except -1
    cpdef bint others_are_ready(self) except -1
    cpdef bint turn_is_due(self) except -1
    cpdef bint looks(self) except -1
    @cython.locals(core=Core)
    cpdef give_way(self)
    @cython.locals(left_at=double)
    cpdef came(self)
    @cython.locals(began=double)
    cpdef bint wait(self, readable_within, double seconds) except -1
    cpdef bint read_on(self) except -1
    @cython.locals(core=Core, looking=Trial, now=double)
    cdef bint _sees(self, readable_within, double until) except -1
