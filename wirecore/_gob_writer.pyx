# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Values as gob messages: the compiled twin of ``wirecore_py.gob_writer``.

How a value is written is told by a plan, made once for each type (``wirecore.gob``).
"""

cimport cython
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_Check, PyBytes_CheckExact, PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsUnsignedLongLong, PyLong_Check
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject, Py_TYPE
from cpython.unicode cimport PyUnicode_AsEncodedString, PyUnicode_Check
from libc.math cimport isinf
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from wirecore._gob_frames cimport encode_uint

import wirecore.gob_rules as rules
from wirecore.errors import UnsendableGob, kind_of

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1

cdef enum:
    BOOL = 1
    INT = 2
    UINT = 3
    FLOAT = 4
    BYTES = 5
    STRING = 6
    COMPLEX = 7
    INTERFACE = 8
    SLICE = 9
    ARRAY = 10
    MAP = 11
    STRUCT = 12

cdef enum:
    HEAD = 9  # bytes that a length takes at most
    FIRST_SIZE = 512
    LARGEST_KEPT = 65536


cdef class WritePlan:
    """How a value is written. Whoever makes one sets what its kind needs.

    The pure twin tells what each of its parts is.
    """

    cdef readonly int kind
    cdef public object label
    cdef public int64_t low
    cdef public uint64_t high
    cdef public bint single
    cdef public bint nullable
    cdef public WritePlan elem
    cdef public WritePlan key
    cdef public Py_ssize_t size
    cdef public list fields
    cdef public list names
    cdef public object owner
    cdef public object opaque
    cdef public object is_zero

    def __init__(self, int kind, label=""):
        self.kind = kind
        self.label = label
        self.low = rules.MIN_INT if kind == INT else 0
        self.high = rules.MAX_INT if kind == INT else rules.MAX_UINT
        self.fields = []
        self.names = []


cdef class ValueWriter:
    """Writes values by plans. *describe* writes what interfaces hold; *max_depth* is a bound."""

    cdef object describe
    cdef Py_ssize_t max_depth
    cdef _Sink idle

    def __init__(self, describe, max_depth):
        self.describe = describe
        self.max_depth = max_depth

    def write(self, WritePlan plan not None, bytes head not None, value, Py_ssize_t depth=0):
        """The message or messages that hold *head* and *value*, with their lengths.

        *depth*: how many values this one is within. Raises
        :class:`~wirecore.errors.UnsendableGob` for what isn't as *plan* says, and what
        *describe* raises.
        """
        # A value in an interface is written while the one around it is.
        cdef _Sink sink = self.idle
        self.idle = None
        if sink is None:
            sink = _Sink.__new__(_Sink)
            sink.describe = self.describe
            sink.max_depth = self.max_depth
        sink.size = HEAD
        sink.ends = None
        sink.append(<const unsigned char*>PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head))
        if plan.kind != STRUCT:
            sink.put_byte(0)
        sink.value(plan, value, 0, depth + 1)
        cdef bytes made = sink.messages()
        if sink.room <= LARGEST_KEPT:
            self.idle = sink
        return made


@cython.final
cdef class _Sink:
    """The bytes written so far, behind room for their length.

    *delta* is what is written before a field's value, and a zero value isn't written then; where
    it is 0, the value is no field, and is always written. *depth* is that of the value.
    """

    cdef unsigned char* data
    cdef Py_ssize_t size
    cdef Py_ssize_t room
    cdef list ends  # where a message ends and the next one begins
    cdef object describe
    cdef Py_ssize_t max_depth

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef int grow(self, Py_ssize_t needed) except -1:
        cdef Py_ssize_t room = self.room * 2 if self.room else FIRST_SIZE
        cdef unsigned char* data
        if room < self.size + needed:
            room = self.size + needed
        data = <unsigned char*>PyMem_Realloc(self.data, room)
        if data == NULL:
            raise MemoryError
        self.data = data
        self.room = room
        return 0

    cdef inline int put_byte(self, unsigned char value) except -1:
        if self.room - self.size < 1:
            self.grow(1)
        self.data[self.size] = value
        self.size += 1
        return 0

    cdef inline int append(self, const unsigned char* data, Py_ssize_t size) except -1:
        if self.room - self.size < size:
            self.grow(size)
        if size:
            memcpy(self.data + self.size, data, size)
        self.size += size
        return 0

    cdef inline int put_uint(self, uint64_t value) except -1:
        if self.room - self.size < HEAD:
            self.grow(HEAD)
        self.size += encode_uint(self.data + self.size, value)
        return 0

    cdef inline int put_float(self, double value) except -1:
        cdef uint64_t number
        cdef uint64_t turned = 0
        cdef int i
        memcpy(&number, &value, 8)
        for i in range(8):
            turned = turned << 8 | (number >> 8 * i) & 0xFF
        return self.put_uint(turned)

    cdef bytes messages(self):
        cdef unsigned char head[HEAD]
        cdef Py_ssize_t width, begin
        if self.room < HEAD:
            self.grow(HEAD)
        if self.ends is None:
            width = encode_uint(head, <uint64_t>(self.size - HEAD))
            memcpy(self.data + HEAD - width, head, width)
            return PyBytes_FromStringAndSize(
                <const char*>self.data + HEAD - width, self.size - HEAD + width
            )
        parts = []
        begin = HEAD
        for end in (*self.ends, self.size):
            parts.append(rules.encode_uint(end - begin))
            parts.append(
                PyBytes_FromStringAndSize(<const char*>self.data + begin, <Py_ssize_t>end - begin)
            )
            begin = end
        return b"".join(parts)

    cdef inline int deeper(self, Py_ssize_t depth) except -1:
        if depth > self.max_depth:
            raise UnsendableGob(rules.too_deep(self.max_depth))
        return 0

    cdef inline int element(self, WritePlan plan, object value, Py_ssize_t depth) except -1:
        if value is None and plan.kind != INTERFACE:
            raise UnsendableGob(rules.nil_inside(plan.label))
        self.value(plan, value, 0, depth)
        return 0

    # --- values: 1 where something was written ---

    cdef int value(self, WritePlan plan, object value, uint64_t delta, Py_ssize_t depth) except -1:
        cdef int kind = plan.kind
        if kind == INT:
            return self.put_signed(plan, value, delta)
        if kind == STRING:
            return self.put_string(plan, value, delta)
        if kind == STRUCT:
            return self.put_struct(plan, value, delta, depth)
        if kind == UINT:
            return self.put_unsigned(plan, value, delta)
        if kind == BOOL:
            return self.put_bool(plan, value, delta)
        if kind == FLOAT:
            return self.put_real(plan, value, delta)
        if kind == BYTES:
            return self.put_bytes(plan, value, delta)
        if kind == COMPLEX:
            return self.put_complex(plan, value, delta)
        if kind == SLICE or kind == ARRAY:
            return self.put_slice(plan, value, delta, depth)
        if kind == MAP:
            return self.put_map(plan, value, delta, depth)
        if kind == INTERFACE:
            return self.put_interface(plan, value, delta, depth)
        return self.put_opaque(plan, value, delta)

    cdef int put_bool(self, WritePlan plan, object value, uint64_t delta) except -1:
        if value is not True and value is not False:
            raise not_one(plan, "a bool", value)
        if delta:
            if value is False:
                return 0
            self.put_uint(delta)
        self.put_byte(1 if value is True else 0)
        return 1

    cdef int put_signed(self, WritePlan plan, object value, uint64_t delta) except -1:
        cdef int overflow = 0
        cdef int64_t number
        if not PyLong_Check(value):
            raise not_one(plan, "an int", value)
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow or number < plan.low or number > <int64_t>plan.high:
            raise UnsendableGob(rules.out_of_range(plan.label))
        if delta:
            if number == 0:
                return 0
            self.put_uint(delta)
        self.put_uint(~(<uint64_t>number) << 1 | 1 if number < 0 else <uint64_t>number << 1)
        return 1

    cdef int put_unsigned(self, WritePlan plan, object value, uint64_t delta) except -1:
        cdef uint64_t number
        if not PyLong_Check(value):
            raise not_one(plan, "an int", value)
        try:
            number = PyLong_AsUnsignedLongLong(value)
        except OverflowError:
            raise UnsendableGob(rules.out_of_range(plan.label)) from None
        if number > plan.high:
            raise UnsendableGob(rules.out_of_range(plan.label))
        if delta:
            if number == 0:
                return 0
            self.put_uint(delta)
        self.put_uint(number)
        return 1

    cdef int put_real(self, WritePlan plan, object value, uint64_t delta) except -1:
        cdef double number
        if not PyFloat_CheckExact(value) and not isinstance(value, (float, int)):
            raise not_one(plan, "a float", value)
        number = rounded(plan, value)
        if delta:
            if number == 0:
                return 0
            self.put_uint(delta)
        self.put_float(number)
        return 1

    cdef int put_complex(self, WritePlan plan, object value, uint64_t delta) except -1:
        cdef double real, imaginary
        if not isinstance(value, (complex, float, int)):
            raise not_one(plan, "a complex", value)
        real = rounded(plan, value.real)
        imaginary = rounded(plan, value.imag)
        if delta:
            if real == 0 and imaginary == 0:
                return 0
            self.put_uint(delta)
        self.put_float(real)
        self.put_float(imaginary)
        return 1

    cdef int put_span(self, const unsigned char* data, Py_ssize_t size, uint64_t delta) except -1:
        if delta:
            if size == 0:
                return 0
            self.put_uint(delta)
        self.put_uint(<uint64_t>size)
        self.append(data, size)
        return 1

    cdef int put_bytes(self, WritePlan plan, object value, uint64_t delta) except -1:
        if value is None and delta:
            return 0
        cdef bytes data = bytes_of(plan, value)
        return self.put_span(
            <const unsigned char*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), delta
        )

    cdef int put_string(self, WritePlan plan, object value, uint64_t delta) except -1:
        cdef bytes data
        if not PyUnicode_Check(value):
            raise not_one(plan, "a str", value)
        if PyUnicode_IS_COMPACT_ASCII(value):
            return self.put_span(
                <const unsigned char*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value), delta
            )
        try:
            data = PyUnicode_AsEncodedString(value, b"utf-8", b"surrogateescape")
        except UnicodeEncodeError:
            raise UnsendableGob(rules.bad_text(plan.label)) from None
        return self.put_span(
            <const unsigned char*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), delta
        )

    cdef int put_opaque(self, WritePlan plan, object value, uint64_t delta) except -1:
        cdef bytes data
        if plan.opaque is None:
            data = bytes_of(plan, value)
            if delta and not data and not plan.nullable:
                return 0
        else:
            if plan.owner is not None and not isinstance(value, plan.owner):
                raise not_one(plan, plan.owner.__name__, value)
            if delta and not plan.nullable and plan.is_zero is not None and plan.is_zero(value):
                return 0
            made = plan.opaque(value)
            if not PyBytes_Check(made):
                raise not_one(plan, "bytes of its type's", made)
            data = made
        if delta:
            self.put_uint(delta)
        return self.put_span(<const unsigned char*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), 0)

    cdef int put_interface(
        self, WritePlan plan, object value, uint64_t delta, Py_ssize_t depth
    ) except -1:
        cdef bytes piece
        self.deeper(depth)
        if delta:
            if value is None:
                return 0
            self.put_uint(delta)
        pieces = self.describe(value, depth)
        if not PyBytes_CheckExact(pieces):
            for piece in pieces[:len(pieces) - 1]:
                self.append(
                    <const unsigned char*>PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece)
                )
                if self.ends is None:
                    self.ends = []
                self.ends.append(self.size)
            pieces = pieces[len(pieces) - 1]
        piece = pieces
        self.append(<const unsigned char*>PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece))
        return 1

    cdef int put_slice(self, WritePlan plan, object value, uint64_t delta, Py_ssize_t depth) except -1:
        cdef Py_ssize_t count
        cdef Py_ssize_t written = 0
        self.deeper(depth)
        if value is None and delta and plan.kind == SLICE:
            return 0
        if not isinstance(value, (list, tuple)):
            raise not_one(plan, "a list or tuple", value)
        count = len(value)
        if plan.kind == ARRAY:
            if count != plan.size:
                raise UnsendableGob(rules.wrong_size(plan.label, plan.size, count))
        elif delta and count == 0:
            return 0
        if delta:
            self.put_uint(delta)
        self.put_uint(<uint64_t>count)
        for item in value:
            self.element(plan.elem, item, depth + 1)
            written += 1
        if written != count:
            raise UnsendableGob(rules.changed(plan.label))
        return 1

    cdef int put_map(self, WritePlan plan, object value, uint64_t delta, Py_ssize_t depth) except -1:
        self.deeper(depth)
        if value is None and delta:
            return 0
        if not isinstance(value, dict):
            raise not_one(plan, "a dict", value)
        if delta:
            self.put_uint(delta)
        cdef list pairs = list(value.items())
        self.put_uint(<uint64_t>len(pairs))
        for one, other in pairs:
            self.element(plan.key, one, depth + 1)
            self.element(plan.elem, other, depth + 1)
        return 1

    cdef int put_struct(
        self, WritePlan plan, object value, uint64_t delta, Py_ssize_t depth
    ) except -1:
        cdef uint64_t step = 1
        cdef Py_ssize_t i
        cdef WritePlan field
        self.deeper(depth)
        if <PyObject*>Py_TYPE(value) != <PyObject*>plan.owner and not isinstance(value, plan.owner):
            raise not_one(plan, plan.owner.__name__, value)
        if delta:
            self.put_uint(delta)
        for i in range(len(plan.fields)):
            field = <WritePlan>plan.fields[i]
            try:
                inner = getattr(value, plan.names[i])
            except AttributeError:
                raise UnsendableGob(rules.no_attribute(field.label)) from None
            if inner is None and field.nullable:
                step += 1
            elif self.value(field, inner, step, depth + 1):
                step = 1
            else:
                step += 1
        self.put_byte(0)
        return 1


cdef double rounded(WritePlan plan, object value) except? -0.5:
    """*value* as the float that is written."""
    cdef double number
    if PyFloat_CheckExact(value):
        number = PyFloat_AS_DOUBLE(value)
    else:
        try:
            number = float(value)
        except OverflowError:
            raise UnsendableGob(rules.out_of_range(plan.label)) from None
    if plan.single:
        if isinf(<double><float>number) and not isinf(number):
            raise UnsendableGob(rules.out_of_range(plan.label))
        number = <double><float>number
    return number


cdef bytes bytes_of(WritePlan plan, object value):
    if PyBytes_CheckExact(value):
        return <bytes>value
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise not_one(plan, "bytes", value)
    return bytes(value)


cdef object not_one(WritePlan plan, wanted, value):
    return UnsendableGob(rules.not_one(plan.label, wanted, kind_of(value)))
