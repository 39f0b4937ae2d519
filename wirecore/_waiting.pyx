# cython: language_level=3, nonecheck=True
"""Calls that tasks wait for, and what becomes of them: twin of ``wirecore_py.waiting``."""

from collections import deque

from cpython.pythread cimport PyThread_get_thread_ident

from wirecore.errors import other_thread

#: The outcome of a call that was answered; the result stands beside it, and may be None.
ANSWERED = object()

cdef object answered = ANSWERED


cdef class Callers:
    """What all who call over one connection share.

    *wake*: has a task go on, with what the ``unwrap`` of its call gives. *forget*: is told of a
    call that its task gave up. *given_up*: what the scheduler wants to hear then.

    *woken*: tasks that have their outcome, and haven't had their turn. *mover*: what moves the
    connection's bytes, once that is known. *ident*: which thread it is, where calls may be
    submitted by none but this; None: that isn't looked at.
    """

    def __init__(self, wake, forget, given_up, ident=None):
        self._wake = wake
        self._forget = forget
        self._given_up = given_up
        # The system says the same as *ident*, which is threading.get_ident, and sooner.
        self._home = 0 if ident is None else PyThread_get_thread_ident()
        self.woken = 0

    cpdef Waiter new_call(self):
        """A call of theirs, which a task will wait for."""
        cdef Waiter call = Waiter.__new__(Waiter)
        call._callers = self
        return call

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
            call.answer = result
            call.finish(answered)
        return durations, failed


cdef class Waiter:
    """A call of one of *callers*, begun at *begun*; *annotation*: that which its result is read as.

    *take*: makes the result of what the call is answered, as soon as it is.

    *call_id*, *end* and *started* are its session's, see ``wirecore.session.Call``. *task*: who
    waits for it; None where nobody does, be it not yet. *outcome*: None until there is one; an
    exception, ``ANSWERED`` where *answer* is one, else the result itself.
    """

    def __init__(self, Callers callers not None, annotation=None, double begun=0.0, take=None):
        self._callers = callers
        self.annotation = annotation
        self.begun = begun
        self.take = take

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
            return self.answer
        if isinstance(outcome, BaseException):
            raise outcome
        assert outcome is not None, "unwrapped too early"
        return outcome

    cpdef finish(self, outcome):
        """End the call with its *outcome*."""
        self.outcome = outcome if self.take is None else self._taken(outcome)
        if self.task is not None:
            self._callers.woken += 1
            self._callers._wake(self.task, self)

    cdef object _taken(self, outcome):
        if isinstance(outcome, BaseException):
            return outcome
        try:
            self.answer = self.take(self.answer if outcome is answered else outcome)
        except Exception as error:
            return error
        return answered


cdef class Told:
    """Where what was submitted is told that has ended, in that order, for the task that takes it.

    *wake*: has that task go on. *_task*: who waits for the next; None where nobody does. *_mover*:
    that of the last connection over which something for it was submitted; *_several*: whether it
    wasn't the only one.
    """

    def __init__(self, wake):
        self._wake = wake
        self._ended = deque()

    cdef object add(self, pending):
        self._ended.append(pending)
        if self._task is not None:
            self._wake(self._task)
            self._task = None

    cdef int goes_over(self, mover) except -1:
        if mover is not self._mover:
            if self._mover is not None:
                self._several = True
            self._mover = mover
        return 0

    def _add(self, pending):
        """*pending* has ended."""
        self.add(pending)

    def _goes_over(self, mover):
        """*mover* moves what something for it is submitted over."""
        self.goes_over(mover)


cdef class Submitted(Waiter):
    """A call that no task waits for: it is settled where a task would be woken, and kept then.

    *_subject* and *_value*: what was submitted. *_told*: has ``_add`` called with it once it is
    settled, and a ``_task`` where one waits for that; or None. *_ended*: has ``set`` called; None
    where nobody waits. *_way*: has ``cancel`` called once it is settled; or None. *_is_over*: whether
    it is.

    It is *_begin* that makes it a call of some callers. Where it has no result their *wake* is
    called with it and its error, or None where it was given up; what it does may be :meth:`_settle`.
    Their *woken* counts those for whom somebody waited.
    """

    def __init__(self, subject, value, told):
        self._subject = subject
        self._value = value
        self._told = told

    cpdef _begin(self, Callers callers, annotation, double begun, take=None):
        """It is a call now; as Waiter's. Raises RuntimeError in another thread than theirs."""
        if callers is None:
            raise TypeError("callers are wanted, not NoneType")
        if callers._home and callers._home != PyThread_get_thread_ident():
            raise other_thread()
        self._callers = callers
        self.annotation = annotation
        self.begun = begun
        self.take = take
        told = self._told
        if isinstance(told, Told):
            (<Told>told).goes_over(callers.mover)

    cpdef finish(self, outcome):
        """End the call with its *outcome*."""
        cdef Callers callers = self._callers
        if self._is_over:
            return  # it was given up, as it was already lost
        if self.take is not None:
            outcome = self._taken(outcome)
            if self._is_over:
                return  # by that
        if self._ended is not None or (self._told is not None and self._told._task is not None):
            callers.woken += 1
        if isinstance(outcome, BaseException):
            callers._wake(self, outcome)
        else:
            self._end_with(outcome)

    def result(self):
        """Its result, once it has ended. Raises its error; ``_too_early()`` before that."""
        outcome = self.outcome
        if outcome is answered:
            return self.answer
        if isinstance(outcome, BaseException):
            raise outcome.with_traceback(None)  # or each time would add to it
        if outcome is None:
            raise self._too_early()
        return outcome

    def _too_early(self):
        """The error of who asks for its result before it has one."""
        raise NotImplementedError

    def _give_up(self):
        """Nobody wants its answer any longer."""
        cdef Callers callers = self._callers
        callers._forget(self)
        callers._wake(self, None)

    def _settle(self, outcome):
        """It has ended with *outcome*."""
        self._end_with(outcome)

    cdef object _end_with(self, outcome):
        way = self._way
        self.outcome = outcome
        self._is_over = True
        self._way = None
        self._callers = None
        if way is not None:
            way.cancel()
        told = self._told
        if isinstance(told, Told):
            (<Told>told).add(self)
        elif told is not None:
            told._add(self)
        if self._ended is not None:
            self._ended.set()
