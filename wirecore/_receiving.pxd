# The types with which wirecore_py/receiving.py is compiled.


cdef class Receiver:
    cdef public bint _inflates, deferred, finished, plain
    cdef public object _decoder, outbox, state

    cpdef receive(self, data, now)
