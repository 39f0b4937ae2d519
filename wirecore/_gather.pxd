# cython: language_level=3
"""A bytes object that grows with what arrives, and is handed out without another copy."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject** block, Py_ssize_t size) except -1


cdef struct Gather:
    # A bytes object that nobody else knows of (so it may be written to), or NULL.
    PyObject* block
    # How many of its bytes are filled.
    Py_ssize_t size


cdef inline int gather_reserve(Gather* gather, Py_ssize_t capacity) except -1:
    """Make room for *capacity* bytes in all, where there is less."""
    if gather.block == NULL:
        if capacity > 0:
            block = PyBytes_FromStringAndSize(NULL, capacity)
            Py_INCREF(block)
            gather.block = <PyObject*>block
    elif PyBytes_GET_SIZE(<object>gather.block) < capacity:
        _PyBytes_Resize(&gather.block, capacity)
    return 0


cdef inline unsigned char* gather_room(
    Gather* gather, Py_ssize_t more, Py_ssize_t expected
) except NULL:
    """Where *more* bytes (1 or more) can be written; the caller then adds to `size`.

    *expected* is the most that will be gathered in all. When room is missing, it becomes that,
    or twice what is needed now, whichever is less: many small pieces cost no more than a few
    big ones, and memory stays in proportion to what arrived. The caller makes sure that
    size + more is no more than *expected*.
    """
    cdef Py_ssize_t needed = gather.size + more
    cdef Py_ssize_t capacity = expected if needed > expected // 2 else 2 * needed
    if gather.block == NULL:
        gather_reserve(gather, capacity)
    elif needed > PyBytes_GET_SIZE(<object>gather.block):
        _PyBytes_Resize(&gather.block, capacity)
    return <unsigned char*>PyBytes_AS_STRING(<object>gather.block) + gather.size


cdef inline void gather_drop(Gather* gather) noexcept:
    """Hold nothing."""
    cdef PyObject* block = gather.block
    gather.block = NULL
    gather.size = 0
    Py_XDECREF(block)


cdef inline object gather_take(Gather* gather):
    """What was gathered, as bytes that nobody else refers to; holds nothing afterwards."""
    if gather.block == NULL:
        return b""
    if PyBytes_GET_SIZE(<object>gather.block) != gather.size:
        _PyBytes_Resize(&gather.block, gather.size)
    block = <object>gather.block
    gather_drop(gather)
    return block
