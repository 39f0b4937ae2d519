# cython: language_level=3
"""Fields and C-level methods of calls that wait, for the modules that open and end them."""


cdef class Callers:
    cdef object _wake
    cdef object _forget
    cdef object _given_up
    cdef long _home
    cdef public object mover
    cdef public Py_ssize_t woken

    cpdef Waiter new_call(self)


cdef class Waiter:
    cdef Callers _callers
    cdef public object annotation
    cdef public object answer
    cdef public double begun
    cdef public object call_id
    cdef public long long end
    cdef public double started
    cdef public object outcome
    cdef public object take
    cdef public object task

    cpdef finish(self, outcome)
    cdef object _taken(self, outcome)


cdef class Told:
    cdef object _wake
    cdef public object _ended
    cdef public object _task
    cdef readonly object _mover
    cdef readonly bint _several

    cdef object add(self, pending)
    cdef int goes_over(self, mover) except -1


cdef class Submitted(Waiter):
    cdef public object _ended
    cdef public bint _is_over
    cdef public object _subject
    cdef public object _told
    cdef public object _value
    cdef public object _way

    cpdef _begin(self, Callers callers, annotation, double begun, take=*)
    cdef object _end_with(self, outcome)


cdef inline object annotation_of(object call):
    """What the result of *call* is read as, be it of this backend or not."""
    return (<Waiter>call).annotation if isinstance(call, Waiter) else call.annotation


cdef inline int opened(object call, object call_id, double started, long long end) except -1:
    """Tell *call*, be it of this backend or not, that it waits now."""
    if isinstance(call, Waiter):
        (<Waiter>call).call_id = call_id
        (<Waiter>call).started = started
        (<Waiter>call).end = end
    else:
        call.call_id = call_id
        call.started = started
        call.end = end
    return 0
