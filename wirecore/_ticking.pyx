# cython: language_level=3, auto_pickle=False
"""The time on a run's clock, which is asked for with each message: twin of ``wirecore_py.ticking``."""


cdef extern from *:
    """
    #ifdef __linux__
    #include <sched.h>
    #include <time.h>
    /* What CPython's counter reads there (Python/pytime.c), without a call of Python's. */
    static double wirecore_counter(void) {
        struct timespec now;
        if (clock_gettime(CLOCK_MONOTONIC, &now)) {
            return -1.0;
        }
        return (double)((long long)now.tv_sec * 1000000000LL + now.tv_nsec) / 1e9;
    }
    static int wirecore_give_way(void) {
        /* A thread that waits for the GIL may be whom this is for; else to free it is in vain. */
        int done;
        PyThreadState *first = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
        if (PyThreadState_Next(first) == NULL) {
            return sched_yield() == 0;
        }
        Py_BEGIN_ALLOW_THREADS
        done = sched_yield() == 0;
        Py_END_ALLOW_THREADS
        return done;
    }
    #else
    static double wirecore_counter(void) { return -1.0; }
    static int wirecore_give_way(void) { return 0; }
    #endif
    """
    double wirecore_counter() noexcept
    bint wirecore_give_way() noexcept


cdef class Core:
    """The processor's core that this runs on, and a clock for how long others had it.

    *counter*: gives seconds. *give_way*: lets others have the core; None: nothing does here.
    *is_shared*: whether something does. *own*: they are ``time.perf_counter`` and
    ``os.sched_yield``, and the system may be asked directly.
    """

    def __init__(self, counter not None, give_way, *, bint own=False):
        self._counter = counter
        self._give_way = give_way
        self._own = own and give_way is not None
        self.is_shared = give_way is not None

    cpdef double now(self) except? -1:
        """The time in seconds, of a clock that doesn't jump."""
        cdef double counted = -1
        if self._own:
            counted = wirecore_counter()
        return self._counter() if counted < 0 else counted

    cpdef give_way(self):
        """Let other processes, and threads of this one, have the core, where it *is_shared*."""
        if not self._own or not wirecore_give_way():
            self._give_way()


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
