# cython: language_level=3
"""Fields and C-level methods of the outbox, for the modules that put something into it."""


cdef class Outbox:
    cdef readonly long long queued
    cdef readonly long long flushed
    cdef readonly long long pending
    # None where empty, as most are: _data takes what comes, and is turned into _ready, last frame
    # first, when that has run out.
    cdef list _control
    cdef list _data
    cdef list _ready
    cdef Py_ssize_t _longs  # how many of these are long frames
    cdef object _long  # the one under way, else None: nothing goes in between
    cdef long long _left  # bytes of the data lane that have left
    cdef object _taken  # handed out and not yet sent
    cdef Py_ssize_t _taken_size
    cdef Py_ssize_t _taken_control  # how many of its first bytes are control frames

    cpdef object put(self, object frames)
    cpdef object put_control(self, object frame)
    cpdef object take(self, Py_ssize_t limit)
    cdef object _next(self, Py_ssize_t limit)
    cdef object _move(self, list parts, Py_ssize_t room)
    cdef object _go_on(self)
    cpdef object sent(self, Py_ssize_t n)
    cpdef object offer(self, object link, Py_ssize_t limit, Py_ssize_t most)
    cpdef object clear(self)
