# cython: language_level=3
"""The parsed but not yet copied envelope, for modules that read it without making objects."""


cdef struct Fields:
    int kind
    # Field n of the member at n - 1; NULL where it isn't there. They point into the message.
    const unsigned char* at[3]
    Py_ssize_t size[3]


cdef int parse_envelope(
    const unsigned char* at, const unsigned char* end, Fields* fields) except -1
