# cython: language_level=3
"""Writing what stands before a message's payload, at C level, for who frames it in one step."""

from libc.stdint cimport uint64_t

cdef enum:
    # Type, id, length and text of a name, padding.
    MAX_PREFIX = 1 + 8 + 1 + 255 + 1


cdef struct Prefix:
    unsigned char data[MAX_PREFIX]
    Py_ssize_t size


cdef inline unsigned char* put_id(unsigned char* to, uint64_t request_id) noexcept nogil:
    """Write the 8 bytes of an id; returns their end."""
    cdef int i
    for i in range(8):
        to[i] = <unsigned char>(request_id >> (8 * i) & 0xFF)
    return to + 8


# These two raise TypeError and UnsendableMessage.
cdef uint64_t as_id(object request_id) except? 0
cdef int as_encoding(object encoding) except -1

# These fill *prefix* and return 0, or else which of the texts on what can't be written says why.
# A name is as exact_text() gives it.
cdef object exact_text(object name)
cdef int begin_request(
    Prefix* prefix, uint64_t request_id, object name, Py_ssize_t payload_size, int encoding
) noexcept
cdef int begin_signal(
    Prefix* prefix, object name, Py_ssize_t payload_size, int encoding) noexcept
cdef int begin_reply(
    Prefix* prefix, uint64_t request_id, Py_ssize_t payload_size, int encoding) noexcept
