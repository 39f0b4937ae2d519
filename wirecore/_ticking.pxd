# cython: language_level=3
"""The time on a run's clock, for the modules that ask for it with each message."""


cdef class Core:
    cdef object _counter, _give_way
    cdef bint _own
    cdef readonly bint is_shared

    cpdef double now(self) except? -1
    cpdef give_way(self)


cdef class Ticks:
    cdef object _counter
    cdef double _offset

    cpdef double now(self) except? -1
