# The types with which wirecore_py/pool_invoking.py is compiled.

cimport cython

from wirecore._moving cimport Mover


cdef class Invoker:
    cdef object _inline, _no_value, _nothing, _running, _sender
    cdef public object _replies
    cdef Mover _mover

    cpdef reply_by(self, Mover mover, sender)
    cpdef take(self, list happened)
    cpdef run(self, incoming)
    cpdef run_inline(self, incoming)
    cpdef _call(self, method, argument)
    @cython.locals(mover=Mover)
    cpdef answer(self, method, incoming, value)
