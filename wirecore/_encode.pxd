# cython: language_level=3
"""Writing frames, RFC 6455 section 5.2, into memory that the caller has made big enough."""

from cpython.buffer cimport Py_buffer, PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8String, PyUnicode_Check
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from wirecore._buffer cimport open_buffer
from wirecore._entropy cimport fill_random
from wirecore._mask cimport load_key, xor_copy

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum:
    FIN = 0x80
    RSV1 = 0x40
    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2


cdef struct Source:
    # Where the payload of a message lies, until close_source().
    const unsigned char* data
    Py_ssize_t size
    unsigned char opcode
    bint viewed
    Py_buffer view


cdef inline object open_source(Source* source, object message, object raw_text):
    """Fill *source* from *message*; the caller keeps what is returned until it has closed it.

    *raw_text*: the class RawText. Raises TypeError, ValueError or BufferError.
    """
    source.viewed = False
    source.opcode = BINARY
    if PyUnicode_Check(message):
        source.opcode = TEXT
        if PyUnicode_IS_COMPACT_ASCII(message):
            source.data = <const unsigned char*>PyUnicode_DATA(message)
            source.size = PyUnicode_GET_LENGTH(message)
            return message
        message = PyUnicode_AsUTF8String(message)
    elif not PyBytes_CheckExact(message) and isinstance(message, raw_text):
        source.opcode = TEXT
    if PyBytes_Check(message):
        source.data = <const unsigned char*>PyBytes_AS_STRING(message)
        source.size = PyBytes_GET_SIZE(message)
    else:
        open_buffer(message, &source.view)
        source.viewed = True
        source.data = <const unsigned char*>source.view.buf
        source.size = source.view.len
    return message


cdef inline void close_source(Source* source) noexcept:
    if source.viewed:
        PyBuffer_Release(&source.view)


cdef inline Py_ssize_t head_size(Py_ssize_t size, bint masked) noexcept nogil:
    """Length of the head of a frame with *size* bytes of payload."""
    cdef Py_ssize_t head = 2 if size < 126 else 4 if size < 0x10000 else 10
    return head + 4 if masked else head


cdef inline unsigned char* write_head(
    unsigned char* to, unsigned char first, Py_ssize_t size, unsigned char mask_bit
) noexcept nogil:
    """Write the head of a frame with *size* bytes of payload, but for its key; returns its end."""
    cdef int i
    to[0] = first
    if size < 126:
        to[1] = <unsigned char>size | mask_bit
        return to + 2
    if size < 0x10000:
        to[1] = 126 | mask_bit
        to[2] = <unsigned char>(size >> 8)
        to[3] = <unsigned char>(size & 0xFF)
        return to + 4
    to[1] = 127 | mask_bit
    for i in range(8):
        to[2 + i] = <unsigned char>(<unsigned long long>size >> (56 - 8 * i) & 0xFF)
    return to + 10


cdef inline unsigned char* write_frame(
    unsigned char* to, unsigned char first, const unsigned char* data, Py_ssize_t size,
    const unsigned char* key,
) noexcept nogil:
    """Write one frame, masked with the 4 bytes of *key* unless it is NULL; returns its end."""
    to = write_head(to, first, size, 0 if key == NULL else 0x80)
    if key == NULL:
        memcpy(to, data, size)
    else:
        memcpy(to, key, 4)
        to += 4
        xor_copy(to, data, size, load_key(key))
    return to + size


cdef inline int check_fragment_size(Py_ssize_t fragment_size) except -1:
    if fragment_size < 0:
        raise ValueError(f"fragment_size must not be negative, got {fragment_size}")
    return 0


cdef inline Py_ssize_t message_size(
    const Source* source, bint masked, Py_ssize_t fragment_size
) except -1:
    """How many bytes write_message() will write."""
    cdef Py_ssize_t size = source.size
    cdef Py_ssize_t cut, rest
    # The worst case is a head of 6 bytes for each byte of payload.
    if size > (PY_SSIZE_T_MAX - 14) // 7:
        raise MemoryError("message is too long to be encoded")
    if fragment_size == 0 or size <= fragment_size:
        return head_size(size, masked) + size
    cut = (size - 1) // fragment_size
    rest = size - cut * fragment_size
    return cut * head_size(fragment_size, masked) + head_size(rest, masked) + size


cdef inline unsigned char* write_message(
    unsigned char* to, const Source* source, bint masked, Py_ssize_t fragment_size
) except NULL:
    """Write *source* as one frame, or in fragments of *fragment_size* bytes unless that is 0."""
    cdef unsigned char key_bytes[4]
    cdef unsigned char* key = key_bytes if masked else NULL
    cdef const unsigned char* data = source.data
    cdef Py_ssize_t size = source.size
    cdef unsigned char first = source.opcode
    if fragment_size:
        while size > fragment_size:
            if masked:
                fill_random(key, 4)
            to = write_frame(to, first, data, fragment_size, key)
            first = CONTINUATION
            data += fragment_size
            size -= fragment_size
    if masked:
        fill_random(key, 4)
    return write_frame(to, first | FIN, data, size, key)


cdef inline Py_ssize_t frames_size(object messages, bint masked) except -1:
    """How many bytes *messages* take, each in one frame, as far as that is told cheaply.

    0 for an iterable that can be gone through once only.
    """
    cdef Py_ssize_t total = 0
    cdef Py_ssize_t size
    if not isinstance(messages, (list, tuple)):
        return 0
    for message in messages:
        if PyBytes_Check(message):
            size = PyBytes_GET_SIZE(message)
        elif PyUnicode_Check(message):
            size = PyUnicode_GET_LENGTH(message)
        else:
            continue
        if size > PY_SSIZE_T_MAX - 14 - total:
            return 0
        total += head_size(size, masked) + size
    return total
