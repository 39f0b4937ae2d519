# The types with which wirecore_py/webwire_order.py is compiled.

cimport cython

from wirecore._jobs cimport Jobs

cdef Py_ssize_t _OWN, _SIGNAL, _SIGNAL_END, _REQUEST, _REQUEST_END, _RESTORE_SESSION, _CLOSE_SESSION

cdef bint _is_handled(Py_ssize_t kind)


@cython.final
cdef class Route:
    cdef readonly object codec, handler, mode, reply


cdef class RouteTable:
    cdef readonly dict by_name
    cdef public Route rest


cdef class Order:
    cdef Jobs _workers
    cdef bint _woke
    cdef object _deliver, _inline, _make_run, _scoped, _thread
    cdef RouteTable _requests, _signals
    cdef public bint _barrier, _deaf, _in_order, _rest_matters, _taking
    cdef public double _limit
    cdef public Py_ssize_t _bytes, _running
    cdef public object _connection, _waiting

    @cython.locals(kind=Py_ssize_t, was_taking=bint)
    cpdef take(self, messages)
    cpdef ended(self, message=*)
    @cython.locals(kind=Py_ssize_t, route=Route, routes=RouteTable)
    cdef _begin(self, message, around)
    cpdef _start(self, job)
    cdef _tell_woken(self)
    @cython.locals(was_taking=bint)
    cpdef _go_on(self)
    cpdef run_inline(self, Route route, message)
    cpdef answer(self, Route route, message, result)
    cdef _argument(self, Route route, message)
