# cython: language_level=3
"""How the compiled modules read what a caller passes: any C-contiguous buffer of bytes."""

from cpython.buffer cimport (
    PyBUF_FULL_RO, Py_buffer, PyBuffer_IsContiguous, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_Check, PyBytes_FromStringAndSize


cdef inline int open_buffer(object data, Py_buffer* view) except -1:
    """Fill *view*, which the caller releases; TypeError, ValueError or BufferError otherwise."""
    PyObject_GetBuffer(data, view, PyBUF_FULL_RO)
    if view.itemsize != 1 or not PyBuffer_IsContiguous(view, b"C"):
        PyBuffer_Release(view)
        raise ValueError("data must be a C-contiguous buffer of single bytes")
    return 0


cdef inline bytes as_bytes(object data):
    """The content of *data*; *data* itself where it is bytes. Raises as open_buffer()."""
    cdef Py_buffer view
    if PyBytes_Check(data):
        return <bytes>data
    open_buffer(data, &view)
    try:
        return PyBytes_FromStringAndSize(<const char*>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
