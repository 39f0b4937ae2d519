# cython: language_level=3
"""Fields and C-level methods of the table, for the modules that sort answers in one loop."""


cdef class CallTable:
    cdef dict _pending
    cdef dict _recent
    cdef dict _older
    cdef object _make_id
    cdef Py_ssize_t _half
    cdef readonly Py_ssize_t max_pending
    cdef readonly Py_ssize_t late
    cdef readonly Py_ssize_t duplicate
    cdef readonly Py_ssize_t unknown

    cpdef object open(self, object call)
    cpdef object answer(self, object call_id)
    cpdef object forget(self, object call_id)
    cdef object _find_free_id(self, object call_id)
    cdef int _remember(self, object call_id, bint answered) except -1
    cdef int _count_miss(self, object call_id) except -1


cdef inline object call_of(object table, object call_id):
    """The call that waits for *call_id* in a table of either backend; None where none does."""
    return (<CallTable>table)._pending.get(call_id) if type(table) is CallTable else table.get(call_id)


cdef inline object answer_to(object table, object call_id):
    """The same, which waits no longer."""
    return (<CallTable>table).answer(call_id) if type(table) is CallTable else table.answer(call_id)
