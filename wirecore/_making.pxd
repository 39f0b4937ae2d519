# cython: language_level=3
"""Tuples of a class of theirs, and plain objects: some come with every message."""

from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from cpython.type cimport PyType_Check
from cpython.version cimport PY_VERSION_HEX

cdef extern from "Python.h":
    PyTypeObject PyBaseObject_Type
    unsigned long Py_TPFLAGS_TUPLE_SUBCLASS
    bint PyType_HasFeature(PyTypeObject* kind, unsigned long feature)
    object PyType_GenericAlloc(PyTypeObject* kind, Py_ssize_t items)

cdef enum:
    # CPython 3.14's tuples keep their hash, which nobody outside can say is unknown yet.
    KEEPS_HASHES = 0x030E0000

ctypedef object (*Maker)(PyTypeObject* kind, object arguments, PyObject* keywords)


cdef inline object room_for(object kind, Py_ssize_t items):
    """A tuple of the class *kind*, into which whoever has it puts *items* next.

    What ``tuple.__new__`` does makes another tuple before. Raises TypeError for no such class.
    """
    if not PyType_Check(kind) or not PyType_HasFeature(
        <PyTypeObject*>kind, Py_TPFLAGS_TUPLE_SUBCLASS
    ):
        raise TypeError(f"a class of tuples is wanted, not {kind!r}")
    return PyType_GenericAlloc(<PyTypeObject*>kind, items)


cdef inline int fill(object made, Py_ssize_t place, object item) except -1:
    """*item* is at *place* of *made*, where nothing is yet."""
    Py_INCREF(item)
    PyTuple_SET_ITEM(made, place, item)
    return 0


cdef inline object answer_of(object kind, object call, object result):
    """A tuple of *kind*: *call*, its *result* and None."""
    if PY_VERSION_HEX >= KEEPS_HASHES:
        return tuple.__new__(kind, (call, result, None))
    made = room_for(kind, 3)
    fill(made, 0, call)
    fill(made, 1, result)
    fill(made, 2, None)
    return made


cdef inline object request_of(
    object kind, object request_kind, object call_id, object method, object target, object argument,
    object size
):
    """A tuple of *kind*: one of *request_kind*, of an id and a method, and what belongs to it."""
    if PY_VERSION_HEX >= KEEPS_HASHES:
        request = tuple.__new__(request_kind, (call_id, method))
        return tuple.__new__(kind, (request, target, argument, size))
    request = room_for(request_kind, 2)
    fill(request, 0, call_id)
    fill(request, 1, method)
    made = room_for(kind, 4)
    fill(made, 0, request)
    fill(made, 1, target)
    fill(made, 2, argument)
    fill(made, 3, size)
    return made


cdef inline object bare(object kind):
    """What ``object.__new__(kind)`` gives, of a class that has no other."""
    return (<Maker>PyBaseObject_Type.tp_new)(<PyTypeObject*>kind, (), NULL)
