# cython: language_level=3, nonecheck=True
"""Calls that tasks wait for, and what becomes of them: twin of ``wirecore_py.waiting``."""

#: The outcome of a call that was answered; the result stands beside it, and may be None.
ANSWERED = object()

cdef object answered = ANSWERED


cdef class Callers:
    """What all who call over one connection share.

    *wake*: has a task go on, with what the ``unwrap`` of its call gives. *forget*: is told of a
    call that its task gave up. *given_up*: what the scheduler wants to hear then.

    *woken*: tasks that have their outcome, and haven't had their turn.
    """

    cdef object _wake
    cdef object _forget
    cdef object _given_up
    cdef public Py_ssize_t woken

    def __init__(self, wake, forget, given_up):
        self._wake = wake
        self._forget = forget
        self._given_up = given_up
        self.woken = 0

    def deliver(self, answers, double now):
        """Give calls their results: each of *answers* is a call, its result, and an error or None.

        Returned are how long those without an error took until *now*, and the answers with one,
        of which nobody was told.
        """
        cdef list durations = []
        cdef list failed = []
        cdef Waiter call
        for answer in answers:
            which, result, error = answer
            if not isinstance(which, Waiter):
                raise TypeError(f"a waiter is wanted, not {type(which).__name__}")
            if error is not None:
                failed.append(answer)
                continue
            call = <Waiter>which
            durations.append(now - call.begun)
            call.result = result
            call.finish(answered)
        return durations, failed


cdef class Waiter:
    """A call of one of *callers*, begun at *begun*; *annotation*: that which its result is read as.

    *call_id*, *end* and *started* are its session's, see ``wirecore.session.Call``. *task*: who
    waits for it; None where nobody does, be it not yet. *outcome*: None until there is one; an
    exception, ``ANSWERED`` where *result* is one, else the result itself.
    """

    cdef Callers _callers
    cdef public object annotation
    cdef public double begun
    cdef public object call_id
    cdef public long long end
    cdef public double started
    cdef public object outcome
    cdef public object result
    cdef public object task

    def __init__(self, Callers callers not None, annotation=None, double begun=0.0):
        self._callers = callers
        self.annotation = annotation
        self.begun = begun

    def __call__(self, _):
        """Its task was cancelled: what a scheduler calls then."""
        self.task = None
        self._callers._forget(self)
        return self._callers._given_up

    def unwrap(self):
        """The result; raises the call's error. A task that was woken has its turn with this."""
        if self.task is not None:
            self._callers.woken -= 1
        outcome = self.outcome
        if outcome is answered:
            return self.result
        if isinstance(outcome, BaseException):
            raise outcome
        assert outcome is not None, "unwrapped too early"
        return outcome

    cpdef object finish(self, outcome):
        """End the call with its *outcome*."""
        self.outcome = outcome
        if self.task is not None:
            self._callers.woken += 1
            self._callers._wake(self.task, self)
