# The types with which wirecore_py/turns.py is compiled.

cimport cython

from wirecore._submitting cimport Submitter
from wirecore._waiting cimport Submitted


cdef class Slot:
    cdef Slot _before, _behind
    cdef double _most  # whatever an option may be
    cdef public bint blocked, leaving, ready
    cdef public Py_ssize_t outstanding, since
    cdef public object capacity, counts, identity, labels, target
    cdef public Submitter submitter

    @cython.locals(submitter=Submitter)
    cpdef submit(self, Submitted pending, result)


@cython.final
cdef class LongestWaiting:
    cdef Slot _first, _last
    cdef Py_ssize_t _turns

    @cython.locals(last=Slot)
    cpdef put(self, Slot slot)
    @cython.locals(before=Slot, behind=Slot)
    cpdef drop(self, Slot slot)
    cpdef taken(self, Slot slot)
    cpdef released(self, Slot slot, count)
    @cython.locals(slot=Slot)
    cpdef turn(self)
