# cython: language_level=3
"""Reading and writing envelopes at C level, for the modules that do that in one loop or step."""

cdef enum:
    REQUEST_TAG = 2 << 3 | 2
    RESPONSE_TAG = 3 << 3 | 2


cdef struct Fields:
    int kind
    # Field n of the member at n - 1; NULL where it isn't there. They point into the message.
    const unsigned char* at[3]
    Py_ssize_t size[3]


cdef int parse_envelope(
    const unsigned char* at, const unsigned char* end, Fields* fields) except -1

cdef bytes encode_member(
    unsigned char tag, const char* first, Py_ssize_t first_size, const char* second,
    Py_ssize_t second_size, const char* third, Py_ssize_t third_size)
