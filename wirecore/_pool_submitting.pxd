# The types with which wirecore_py/pool_submitting.py is compiled.

cimport cython

from wirecore._turns cimport Slot


cdef class Submits:
    cdef object _done_type, _make
    cdef public dict _usual
    cdef public object _calls, _submitted

    @cython.locals(found=Slot)
    cpdef _slot_for(self, method, pending, result)
