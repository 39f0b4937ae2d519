# cython: language_level=3, auto_pickle=False
"""The time on a run's clock, which is asked for with each message: twin of ``wirecore_py.ticking``."""


cdef extern from *:
    """
    #ifdef __linux__
    #include <time.h>
    /* What CPython's counter reads there (Python/pytime.c), without a call of Python's. */
    static double wirecore_counter(void) {
        struct timespec now;
        if (clock_gettime(CLOCK_MONOTONIC, &now)) {
            return -1.0;
        }
        return (double)((long long)now.tv_sec * 1000000000LL + now.tv_nsec) / 1e9;
    }
    #else
    static double wirecore_counter(void) { return -1.0; }
    #endif
    """
    double wirecore_counter() noexcept


cdef class Ticks:
    """The time of a clock that is *offset* seconds before *counter*, ``time.perf_counter``."""

    def __init__(self, counter not None, double offset):
        self._counter = counter
        self._offset = offset

    cpdef double now(self) except? -1:
        """The time in seconds."""
        cdef double counted = wirecore_counter()
        if counted < 0:
            counted = self._counter()
        return self._offset + counted
