# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Calls of JSON-RPC as Go writes them, written in one step: twin of ``wirecore_py.json_writer``.

For what is usual: values as their types say, and nothing to escape. All else goes the long way
(``wirecore.gojson``), where it has its error; nothing was written then.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_CheckExact
from cpython.list cimport PyList_GET_SIZE
from cpython.long cimport PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from wirecore._json_reader cimport (
    BOOL, DEEPEST, FLOAT, INT, POINTER, SLICE, STRING, STRUCT, UINT, JsonPlan,
)

import re
from typing import Any

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1

ctypedef const unsigned char* Bytes

cdef object ANY = Any
cdef object NOTHING = object()
cdef object ODD = re.compile('[\0-\x1f"&<>\\\\\u2028\u2029]').search

cdef bytes BEGIN_CALL = b'{"method":"'
cdef bytes PARAMS = b'","params":['
cdef bytes CALL_ID = b'],"id":'
cdef bytes BEGIN_ANSWER = b'{"id":'
cdef bytes RESULT = b',"result":'
cdef bytes NO_ERROR = b',"error":null}'
cdef bytes END = b'}'
cdef bytes NEWLINE = b'\n'


cdef class JsonWriter:
    """Writes messages. *plan_of* finds plans of annotations; the bounds are those of a message."""

    cdef object plan_of
    cdef Py_ssize_t max_size
    cdef Py_ssize_t max_depth
    cdef object last_annotation
    cdef object last_plan
    cdef unsigned char* data
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    def __init__(self, plan_of, Py_ssize_t max_size, Py_ssize_t max_depth):
        self.plan_of = plan_of
        self.max_size = max_size
        self.max_depth = min(max_depth, DEEPEST)
        self.last_annotation = NOTHING

    def __dealloc__(self):
        PyMem_Free(self.data)

    def request(self, seq, method, value, annotation):
        """A call; None: it isn't usual."""
        cdef int overflow = 0
        if not PyLong_CheckExact(seq) or not PyUnicode_CheckExact(method):
            return None
        if PyLong_AsLongLongAndOverflow(seq, &overflow) < 0 or overflow:
            return None
        self.size = 0
        self.put(BEGIN_CALL)
        if not self.put_plain_text(method):
            return None
        self.put(PARAMS)
        if not self.put_value(value, annotation):
            return None
        self.put(CALL_ID)
        self.put_number(PyLong_AsLongLongAndOverflow(seq, &overflow))
        self.put(END)
        return self.made()

    def answer(self, bytes call_id not None, method, value, annotation):
        """An answer that is no error, and tells no *method*; None: it isn't usual."""
        if value is None:
            return None
        self.size = 0
        self.put(BEGIN_ANSWER)
        self.put(call_id)
        self.put(RESULT)
        if not self.put_value(value, annotation):
            return None
        self.put(NO_ERROR)
        return self.made()

    cdef object made(self):
        self.put(NEWLINE)
        if self.size > self.max_size:
            return None
        return PyBytes_FromStringAndSize(<const char*>self.data, self.size)

    cdef bint put_value(self, value, annotation) except -1:
        if annotation is ANY:
            annotation = type(value)
        if annotation is not self.last_annotation:
            self.last_plan = self.plan_of(annotation)
            self.last_annotation = annotation
        if self.last_plan is None:
            return False
        try:
            return self.write(<JsonPlan>self.last_plan, value, 0)
        except Exception:
            return False  # whatever it is, the long way tells of it

    cdef int ensure(self, Py_ssize_t needed) except -1:
        cdef unsigned char* data
        cdef Py_ssize_t room = max(self.room * 2, self.size + needed, 512)
        if self.room - self.size >= needed:
            return 0
        data = <unsigned char*>PyMem_Realloc(self.data, room)
        if data == NULL:
            raise MemoryError
        self.data = data
        self.room = room
        return 0

    cdef int put_span(self, Bytes data, Py_ssize_t size) except -1:
        self.ensure(size)
        if size:
            memcpy(self.data + self.size, data, size)
        self.size += size
        return 0

    cdef int put(self, bytes data) except -1:
        return self.put_span(<Bytes>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int put_mark(self, unsigned char mark) except -1:
        self.ensure(1)
        self.data[self.size] = mark
        self.size += 1
        return 0

    cdef int put_number(self, int64_t value) except -1:
        cdef unsigned char digits[24]
        cdef int at = 24
        cdef uint64_t rest = ~(<uint64_t>value) + 1 if value < 0 else <uint64_t>value
        while True:
            at -= 1
            digits[at] = <unsigned char>(48 + rest % 10)
            rest //= 10
            if not rest:
                break
        if value < 0:
            at -= 1
            digits[at] = 45
        return self.put_span(digits + at, 24 - at)

    cdef bint put_plain_text(self, text) except -1:
        """*text* without quotes, if nothing in it must be escaped."""
        cdef Bytes data
        cdef Py_ssize_t size, i
        if not PyUnicode_IS_COMPACT_ASCII(text):
            return self.put_other_text(text)
        data = <Bytes>PyUnicode_DATA(text)
        size = PyUnicode_GET_LENGTH(text)
        for i in range(size):
            if data[i] < 0x20 or data[i] in (34, 38, 60, 62, 92):
                return False
        self.put_span(data, size)
        return True

    cdef bint put_other_text(self, text) except -1:
        try:
            encoded = text.encode()
        except UnicodeEncodeError:
            return False
        if ODD(text) is not None:
            return False
        self.put(encoded)
        return True

    # --- values: False where one isn't usual ---

    cdef bint write(self, JsonPlan plan, value, Py_ssize_t depth) except -1:
        cdef int kind = plan.kind
        cdef int64_t number
        cdef int overflow = 0
        if kind == INT or kind == UINT:
            if not PyLong_CheckExact(value):
                return False
            number = PyLong_AsLongLongAndOverflow(value, &overflow)
            if overflow or number < plan.low:
                return False
            if number > 0 and <uint64_t>number > plan.high:
                return False
            self.put_number(number)
            return True
        if kind == STRING:
            return PyUnicode_CheckExact(value) and self.write_text(value)
        if kind == STRUCT:
            return self.write_struct(plan, value, depth + 1)
        if kind == BOOL:
            return self.write_truth(value)
        if kind == FLOAT:
            return PyFloat_CheckExact(value) and self.write_real(value)
        if kind == SLICE:
            return self.write_slice(plan, value, depth + 1)
        if kind == POINTER:
            if value is None:
                self.put(b"null")
                return True
            return self.write(plan.elem, value, depth)
        return False

    cdef bint write_text(self, value) except -1:
        self.put_mark(34)
        if not self.put_plain_text(value):
            return False
        self.put_mark(34)
        return True

    cdef bint write_truth(self, value) except -1:
        if value is True:
            self.put(b"true")
        elif value is False:
            self.put(b"false")
        else:
            return False
        return True

    cdef bint write_real(self, value) except -1:
        cdef bytes text = repr(value).encode("ascii")
        cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
        if b"e" in text or b"n" in text:  # an exponent; or no number, or none that is finite
            return False
        if text.endswith(b".0"):
            size -= 2
        self.put_span(<Bytes>PyBytes_AS_STRING(text), size)
        return True

    cdef bint write_slice(self, JsonPlan plan, value, Py_ssize_t depth) except -1:
        cdef bint first = True
        if depth > self.max_depth or type(value) is not list and type(value) is not tuple:
            return False
        self.put_mark(91)
        for item in value:
            if not first:
                self.put_mark(44)
            first = False
            if not self.write(plan.elem, item, depth):
                return False
        self.put_mark(93)
        return True

    cdef bint write_struct(self, JsonPlan plan, value, Py_ssize_t depth) except -1:
        cdef Py_ssize_t i
        if depth > self.max_depth or not isinstance(value, plan.owner):
            return False
        self.put_mark(123)
        for i in range(PyList_GET_SIZE(plan.fields)):
            if i:
                self.put_mark(44)
            self.put(<bytes>plan.heads[i])
            inner = getattr(value, <str>plan.names[i])
            if not self.write(<JsonPlan>plan.fields[i], inner, depth):
                return False
        self.put_mark(125)
        return True
