cdef class Run:
    cdef object _coroutine, _handlers, _message, _route

    cpdef object step(self, value)
    cdef object _go_on(self, value, tuple thrown)


cdef class Jobs:
    cdef public object _context, _jobs, _rhythm
    cdef public Py_ssize_t _due
    cdef public bint _reading, _waiting

    cpdef run_here(self, handler, argument)
    cpdef bint start(self, job) except -1
    cdef bint _read_on(self) except -1
