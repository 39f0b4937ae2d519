# cython: language_level=3, boundscheck=False, wraparound=False
"""Calls that wait for answers, by their ids: the compiled twin of ``wirecore_py.calls``."""

from types import GenericAlias

from cpython.dict cimport PyDict_Contains, PyDict_SetItem, PyDict_Size

from wirecore.errors import InvalidState, LocalLimitExceeded

cdef object MISSING = object()


cdef class CallTable:
    """Pending calls in order of opening, and a short memory of those that have ended.

    *make_id* makes ids that don't come twice while one of them is pending. At most
    *max_pending* calls wait at once. Of the ids that were answered or forgotten at most
    *history* are remembered, and no less than half of that: counters tell them apart.

    *late* counts answers to ids that were forgotten, *duplicate* second answers, *unknown*
    answers to ids that were never given out or are no longer remembered.
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __cinit__(self, *_, **__):
        self._pending = {}
        # Ended ids, True once answered: two halves, the older is dropped when the newer is full.
        self._recent = {}
        self._older = {}

    def __init__(self, make_id, *, Py_ssize_t max_pending, Py_ssize_t history=1024):
        self._make_id = make_id
        self._half = history // 2
        self.max_pending = max_pending
        self.late = self.duplicate = self.unknown = 0

    cpdef object open(self, object call):
        """Add *call*, and return its new id.

        Raises :class:`~wirecore.errors.LocalLimitExceeded` where *max_pending* calls wait, and
        :class:`~wirecore.errors.InvalidState` where *make_id* gives only ids that are pending.
        """
        cdef Py_ssize_t size = PyDict_Size(self._pending)
        if size >= self.max_pending:
            raise LocalLimitExceeded("max_pending_calls", size + 1, self.max_pending)
        call_id = self._make_id()
        if PyDict_Contains(self._pending, call_id):
            call_id = self._find_free_id(call_id)
        PyDict_SetItem(self._pending, call_id, call)
        return call_id

    cdef object _find_free_id(self, object call_id):
        cdef Py_ssize_t attempts = 0, size = PyDict_Size(self._pending)
        while PyDict_Contains(self._pending, call_id):
            if attempts > size:
                raise InvalidState("make_id gives only ids of calls that are pending")
            attempts += 1
            call_id = self._make_id()
        return call_id

    def get(self, call_id):
        """The call that waits for *call_id*, and goes on waiting; None where none does."""
        return self._pending.get(call_id)

    cpdef object answer(self, object call_id):
        """Take out the call that an answer came for; None, and counted, where none waits."""
        call = self._pending.pop(call_id, MISSING)
        if call is MISSING:
            self._count_miss(call_id)
            return None
        self._remember(call_id, True)
        return call

    cpdef object forget(self, object call_id):
        """Take out a call that nobody waits for any longer; None where it isn't there."""
        call = self._pending.pop(call_id, MISSING)
        if call is MISSING:
            return None
        self._remember(call_id, False)
        return call

    def clear(self):
        """Take out all calls, with their ids, in order of opening."""
        pending = list(self._pending.items())
        self._pending.clear()
        return pending

    def oldest(self):
        """The call that was opened first; None where none waits."""
        return next(iter(self._pending.values()), None)

    def calls(self):
        """The calls in order of opening; the table mustn't change meanwhile."""
        return iter(self._pending.values())

    def __len__(self):
        return PyDict_Size(self._pending)

    def __contains__(self, call_id):
        return PyDict_Contains(self._pending, call_id) == 1

    cdef int _remember(self, object call_id, bint answered) except -1:
        if PyDict_Size(self._recent) >= self._half:
            if self._half == 0:
                return 0
            self._older = self._recent
            self._recent = {}
        PyDict_SetItem(self._recent, call_id, answered)
        return 0

    cdef int _count_miss(self, object call_id) except -1:
        cdef dict ended
        for ended in (self._recent, self._older):
            answered = ended.get(call_id)
            if answered is not None:
                if answered:
                    self.duplicate += 1
                else:
                    self.late += 1
                    ended[call_id] = True
                return 0
        self.unknown += 1
        return 0
