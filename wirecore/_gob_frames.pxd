# cython: language_level=3
"""What the modules that read and write gob share."""

from libc.stdint cimport uint64_t


cdef class FrameBuffer:
    cdef uint64_t largest
    cdef bytes data
    cdef Py_ssize_t at
    # What came after a message that isn't whole: it is put together when that is.
    cdef list more
    cdef Py_ssize_t more_size

    cdef int join(self) except -1


cdef inline uint64_t load(const unsigned char* data, int width) noexcept nogil:
    """The unsigned integer of *width* bytes, the highest first."""
    cdef uint64_t value = 0
    cdef int i
    for i in range(width):
        value = value << 8 | data[i]
    return value


cdef inline int encode_uint(unsigned char* room, uint64_t value) noexcept nogil:
    """Write *value*; how many bytes it took."""
    cdef int width = 1
    cdef int i
    if value < 0x80:
        room[0] = <unsigned char>value
        return 1
    while width < 8 and value >> 8 * width:
        width += 1
    room[0] = <unsigned char>(0x100 - width)
    for i in range(width):
        room[1 + i] = <unsigned char>(value >> 8 * (width - 1 - i))
    return 1 + width
