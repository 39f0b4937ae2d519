# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Random bytes for masks and ids, from the system in batches: twin of ``wirecore_py.entropy``."""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

cdef enum:
    # Bytes asked of the system at once.
    BATCH_SIZE = 4096

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void* PyUnicode_DATA(object text)

cdef unsigned char pool[BATCH_SIZE]
# Index of the first byte of the pool that wasn't handed out.
cdef Py_ssize_t used = BATCH_SIZE

cdef const char* HEX = b"0123456789abcdef"


cdef int fill_random(unsigned char* to, Py_ssize_t size) except -1:
    global used
    cdef bytes batch
    if size > BATCH_SIZE:
        raise ValueError(f"at most {BATCH_SIZE} random bytes at once, not {size}")
    # A loop: os.urandom lets other threads run, who may take of what we put into the pool;
    # from the test to the end of the copy nobody else runs.
    while BATCH_SIZE - used < size:
        batch = os.urandom(BATCH_SIZE)
        if len(batch) != BATCH_SIZE:
            raise OSError(f"os.urandom gave {len(batch)} bytes, not {BATCH_SIZE}")
        memcpy(pool, PyBytes_AS_STRING(batch), BATCH_SIZE)
        used = 0
    memcpy(to, pool + used, size)
    used += size
    return 0


def _drop_pool():
    global used
    used = BATCH_SIZE


if hasattr(os, "register_at_fork"):
    # Else parent and child would hand out the same masks and ids.
    os.register_at_fork(after_in_child=_drop_pool)


def mask_key():
    """A fresh masking key, 4 bytes that can't be predicted (RFC 6455 section 5.3)."""
    key = PyBytes_FromStringAndSize(NULL, 4)
    fill_random(<unsigned char*>PyBytes_AS_STRING(key), 4)
    return key


def random_bytes(Py_ssize_t n):
    """*n* random bytes (0 or more) from the system's source; ValueError when *n* is negative."""
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    if n > BATCH_SIZE:
        return os.urandom(n)
    found = PyBytes_FromStringAndSize(NULL, n)
    fill_random(<unsigned char*>PyBytes_AS_STRING(found), n)
    return found


def uuid4_text():
    """A random UUID (RFC 9562 section 5.4) in lower case with dashes, 36 characters."""
    cdef unsigned char octets[16]
    cdef Py_ssize_t i
    fill_random(octets, 16)
    octets[6] = octets[6] & 0x0F | 0x40
    octets[8] = octets[8] & 0x3F | 0x80
    text = PyUnicode_New(36, 127)
    cdef unsigned char* out = <unsigned char*>PyUnicode_DATA(text)
    for i in range(16):
        if i == 4 or i == 6 or i == 8 or i == 10:
            out[0] = c"-"
            out += 1
        out[0] = HEX[octets[i] >> 4]
        out[1] = HEX[octets[i] & 15]
        out += 2
    return text
