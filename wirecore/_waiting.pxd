# cython: language_level=3
"""Fields of the calls that tasks wait for, for the modules that open them."""


cdef class Callers:
    cdef object _wake
    cdef object _forget
    cdef object _given_up
    cdef public Py_ssize_t woken


cdef class Waiter:
    cdef Callers _callers
    cdef public object annotation
    cdef public double begun
    cdef public object call_id
    cdef public long long end
    cdef public double started
    cdef public object outcome
    cdef public object result
    cdef public object task
