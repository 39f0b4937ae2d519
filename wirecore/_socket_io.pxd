# cython: language_level=3
"""Fields and C-level methods of a socket's bytes, for the modules that move them."""


cdef class SocketIO:
    # What the system calls it; -1 where the socket is to be asked itself.
    cdef int _fd
    cdef public bint _closed, owes
    cdef public object socket

    cpdef object try_recv_into(self, buffer)
    cpdef object try_send(self, data)
    cdef Py_ssize_t _send(self, int fd, const void* data, Py_ssize_t size) except -1
    cdef object _recv_by_socket(self, buffer)
    cdef object _send_by_socket(self, data)
    cdef object _fail(self)
