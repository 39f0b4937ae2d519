# cython: language_level=3
"""What the modules that read and write JSON share."""

from libc.stdint cimport int64_t, uint64_t

cdef enum:
    BOOL = 1
    INT = 2
    UINT = 3
    FLOAT = 4
    STRING = 6
    INTERFACE = 8
    SLICE = 9
    MAP = 11
    STRUCT = 12
    POINTER = 14

cdef enum:
    DEEPEST = 32


cdef class JsonPlan:
    cdef readonly int kind
    cdef public int64_t low
    cdef public uint64_t high
    cdef public bint frozen
    cdef public JsonPlan elem
    cdef public list fields
    cdef public list names
    cdef public list heads
    cdef public dict places
    cdef public list template
    cdef public list factories
    cdef public object owner
    cdef public object build
