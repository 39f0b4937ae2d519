# cython: language_level=3
"""Random bytes for compiled callers, without an object for each."""

# Writes `size` (0 to 4096) random bytes to `to`; raises what os.urandom raises.
cdef int fill_random(unsigned char* to, Py_ssize_t size) except -1
