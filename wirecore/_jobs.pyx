# cython: language_level=3, auto_pickle=False
"""Jobs, and how workers do one after another: twin of ``wirecore_py.jobs``.

A job is a coroutine that nobody has begun, or a :class:`Run`, which is as one, and cheaper: no
coroutine lies around the handler's, and a handler that never waits ends without an exception.
"""

from collections import deque

from cpython.object cimport PyObject


cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT

    PySendResult PyIter_Send(object iterator, object value, PyObject** made) except PYGEN_ERROR
    bint PyCoro_CheckExact(object coroutine)
    object PyContext_Copy(object context)
    object PyContext_CopyCurrent()
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    void Py_DECREF(PyObject* made)


#: Stands for what a job waits for, where that was its last step.
ENDED = object()

cdef object ended = ENDED


async def _awaiting(awaitable):
    return await awaitable


cdef class Run:
    """A handler's run, of *handlers*: that of *route*, with *message*."""

    def __init__(self, handlers, route, message):
        self._handlers = handlers
        self._route = route
        self._message = message

    cpdef object step(self, value):
        """Go on with *value*: what the handler waits for now, or :data:`ENDED`."""
        return self._go_on(value, None)

    cdef object _go_on(self, value, tuple thrown):
        cdef PyObject* made = NULL
        cdef PySendResult how
        handlers, route, message = self._handlers, self._route, self._message
        try:
            try:
                if self._coroutine is None:
                    called = handlers.call(route, message)
                    self._coroutine = called if PyCoro_CheckExact(called) else _awaiting(called)
                if thrown is None:
                    how = PyIter_Send(self._coroutine, value, &made)
                    outcome = <object>made
                    Py_DECREF(made)
                    if how == PYGEN_NEXT:
                        return outcome
                else:
                    try:
                        return self._coroutine.throw(*thrown)
                    except StopIteration as stop:
                        outcome = stop.value
                handlers.answer(route, message, outcome)
            except Exception as error:
                handlers.fail(route, message, error)
        except BaseException:
            self._coroutine = self._message = None
            handlers.cancelled(message)
            raise
        # Behind all that: others may begin now, and see no exception of this one.
        self._coroutine = self._message = None
        handlers.ended(message)
        return ended

    def __await__(self):
        """As a coroutine's: for who has something of his own around it."""
        return self

    def __iter__(self):
        """See ``__await__``."""
        return self

    def __next__(self):
        """See ``__await__``."""
        return self.send(None)

    def send(self, value):
        """As a coroutine's."""
        return trap_of(self._go_on(value, None))

    def throw(self, *error):
        """As a coroutine's."""
        return trap_of(self._go_on(None, error))

    def close(self):
        """As a coroutine's: one that was never begun, or has ended, has nothing to end."""
        coroutine, message = self._coroutine, self._message
        if coroutine is not None:
            self._coroutine = self._message = None
            try:
                coroutine.close()
            finally:
                self._handlers.cancelled(message)

    # Who looks for a task's frames finds the handler's.

    @property
    def cr_frame(self):
        """As a coroutine's."""
        return None if self._coroutine is None else self._coroutine.cr_frame

    @property
    def cr_await(self):
        """As a coroutine's."""
        return None if self._coroutine is None else self._coroutine.cr_await


cdef object trap_of(trap):
    if trap is ended:
        raise StopIteration
    return trap


cdef object first_step(job):
    """What *job*, which nobody has begun, waits for, or *ended*."""
    cdef PyObject* made = NULL
    cdef PySendResult how
    if type(job) is Run:
        return (<Run>job).step(None)
    how = PyIter_Send(job, None, &made)
    outcome = <object>made
    Py_DECREF(made)
    return outcome if how == PYGEN_NEXT else ended


cdef class Jobs:
    """Jobs that wait for a worker. Each begins in a copy of *context*, as a new task would.

    *rhythm*: that of the run, whose ``read_on`` may bring more jobs in place. Who derives has
    ``_wake``, which has one worker more see to them, and counts it in *_due*.
    """

    def __init__(self, context, rhythm):
        self._context = context
        self._rhythm = rhythm
        self._jobs = deque()
        self._due = 0  # workers that were woken and haven't had their turn
        self._reading = False  # a worker reads in place, and does what comes
        self._waiting = False  # the last job to begin had to wait

    cpdef run_here(self, handler, argument):
        """What *handler* makes of *argument*, in a copy of the context that is there."""
        context = PyContext_CopyCurrent()
        PyContext_Enter(context)
        try:
            return handler(argument)
        finally:
            PyContext_Exit(context)

    cpdef bint start(self, job) except -1:
        """Run *job* soon, in a task that is its own from when it first waits.

        Jobs begin in the order in which they are started. True where a task waits for its turn
        then; False where the one that has its turn goes on with *job*.
        """
        self._jobs.append(job)
        if self._reading:
            return False
        if not self._due or self._waiting:
            try:
                self._wake()
            except BaseException:
                self._jobs.pop().close()
                raise
        return True

    def _begin(self, task, Py_ssize_t most):
        """Do up to *most* jobs as *task*, one after another, until one has to wait.

        Where none is left it reads on; what comes so isn't counted. Returned are how many more it
        might be, the one that waits, and what for; None: none does.
        """
        jobs = self._jobs
        while most:
            if not jobs:
                if not self._read_on():
                    break
                most += len(jobs)  # who reads in place keeps to the loop's turn
            most -= 1
            job = jobs.popleft()
            context = PyContext_Copy(self._context)
            task.context = context  # from when the task goes on, unless the job changes it
            PyContext_Enter(context)
            try:
                trap = first_step(job)
            finally:
                PyContext_Exit(context)
            if trap is not ended:
                self._waiting = True
                return most, job, trap
            self._waiting = False
        return most, None, None

    cdef bint _read_on(self) except -1:
        """Read in place, where that pays, for who would park else: whether it has brought jobs."""
        self._reading = True
        try:
            while not self._jobs and self._rhythm.read_on():
                pass
        finally:
            self._reading = False
        return True if self._jobs else False

    def _wake(self):
        """See the class."""
        raise NotImplementedError
