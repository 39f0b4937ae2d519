# The types with which wirecore_py/webwire_submitting.py is compiled.

cimport cython

from wirecore._submitting cimport Submitter


cdef class Submits:
    cdef object _done_type, _make, _split
    cdef public object _channel, _submitted

    @cython.locals(submitter=Submitter)
    cdef bint _is_sent(self, pending, name, payload) except -1
