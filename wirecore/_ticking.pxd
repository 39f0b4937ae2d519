# cython: language_level=3
"""The time on a run's clock, for the modules that ask for it with each message."""


cdef class Ticks:
    cdef object _counter
    cdef double _offset

    cpdef double now(self) except? -1
