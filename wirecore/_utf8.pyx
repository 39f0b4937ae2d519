# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""Validation of UTF-8 that comes in pieces: the compiled twin of ``wirecore_py.utf8``."""

from cpython.buffer cimport Py_buffer, PyBuffer_Release

from wirecore._buffer cimport open_buffer


cdef class Utf8Validator:
    """Accepts what Python's strict UTF-8 decoder accepts (RFC 3629), however it is cut.

    So no overlong forms, no surrogates, nothing above U+10FFFF.
    """

    cdef Utf8State state
    cdef bint bad

    def reset(self):
        """Begin anew, as if nothing had been fed."""
        self.bad = False
        self.state.needed = 0

    def feed(self, data):
        """Take the next bytes; False from the first byte on that can't stand in UTF-8.

        *data*: any C-contiguous buffer of bytes; else TypeError or ValueError is raised.
        """
        cdef Py_buffer view
        open_buffer(data, &view)
        if not self.bad:
            self.bad = not utf8_feed(&self.state, <const unsigned char*>view.buf, view.len)
        PyBuffer_Release(&view)
        return not self.bad

    def finish(self):
        """Whether what was fed is whole: False after a bad byte, or inside a character."""
        return not self.bad and self.state.needed == 0
