# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Masking of payloads, RFC 6455 section 5.3: the compiled twin of ``wirecore_py.mask``."""

from cpython.buffer cimport Py_buffer, PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from libc.string cimport memcpy

from wirecore._buffer cimport open_buffer


def apply_mask(data, key, Py_ssize_t offset=0, head=b""):
    """*data* XOR-ed with the 4 bytes of *key*, repeated, as new bytes.

    *data*: any C-contiguous buffer of bytes. *offset* (0 or more) is the index into the
    repeated key that belongs to the first byte of *data*. *head* comes before the result, as it is.

    Raises TypeError when *data* is no buffer, *key* or *head* no bytes, ValueError when *key*
    isn't 4 bytes long, *offset* is negative or *data* isn't contiguous.
    """
    cdef Py_buffer view
    cdef Py_ssize_t used
    cdef unsigned char* room
    if not isinstance(key, bytes):
        raise TypeError(f"key must be bytes, not {type(key).__name__}")
    if PyBytes_GET_SIZE(key) != 4:
        raise ValueError(f"key must be 4 bytes long, not {len(key)}")
    if offset < 0:
        raise ValueError(f"offset must not be negative, got {offset}")
    if not isinstance(head, bytes):
        raise TypeError(f"head must be bytes, not {type(head).__name__}")
    used = PyBytes_GET_SIZE(head)
    cdef const unsigned char* key_bytes = <const unsigned char*>PyBytes_AS_STRING(key)
    open_buffer(data, &view)
    try:
        masked = PyBytes_FromStringAndSize(NULL, used + view.len)
        room = <unsigned char*>PyBytes_AS_STRING(masked)
        memcpy(room, PyBytes_AS_STRING(head), used)
        xor_copy(
            room + used,
            <const unsigned char*>view.buf,
            view.len,
            rotate_key(load_key(key_bytes), offset),
        )
        return masked
    finally:
        PyBuffer_Release(&view)
