# cython: language_level=3
"""Reading the heads of frames, RFC 6455 section 5.2, from memory."""


cdef inline unsigned long long read_number(const unsigned char* data, int size) noexcept nogil:
    """*size* bytes, at most 8, in network order."""
    cdef unsigned long long number = 0
    cdef int i
    for i in range(size):
        number = number << 8 | data[i]
    return number


cdef inline Py_ssize_t whole_frame(
    const unsigned char* data, Py_ssize_t room, unsigned char mask_bit, Py_ssize_t bound,
    Py_ssize_t* size,
) noexcept nogil:
    """The length of the head at *data* (2 bytes or more); *size* is that of the payload behind it.

    0 unless the head is right (masked if *mask_bit* is 0x80 and only then, its length minimal),
    the payload is no longer than *bound*, and head and payload lie within *room* bytes.
    """
    cdef Py_ssize_t head = 6 if mask_bit else 2
    cdef Py_ssize_t length = data[1] ^ mask_bit
    cdef unsigned long long wide
    if length > 125:
        if length == 126 and room >= 4:
            length = data[2] << 8 | data[3]
            head += 2
            if length < 126:
                return 0
        elif length == 127 and room >= 10:
            wide = read_number(data + 2, 8)
            if wide < 0x10000 or wide > <unsigned long long>bound:
                return 0
            length = wide
            head += 8
        else:
            return 0
    if room - head < length or length > bound:
        return 0
    size[0] = length
    return head
