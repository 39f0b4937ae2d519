# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The values in gob's messages: the compiled twin of ``wirecore_py.gob_reader``.

What a value's bytes mean is told by a plan, made once for each pair of type on the wire and type
in the program (``wirecore.gob``).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.math cimport fabs, isinf
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from wirecore._gob_frames cimport load
from wirecore._making cimport bare

import wirecore.gob_rules as rules
from wirecore.errors import GobError, GobValueError, GobValueLimitExceeded
from wirecore.gob_rules import DefinitionInside

cdef extern from "Python.h":
    int PyObject_GenericSetAttr(object made, object name, object value) except -1
    object PyObject_Call(object function, tuple arguments, PyObject* keywords)

ctypedef const unsigned char* Bytes

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
    OPAQUE = 13

cdef enum:
    # How a struct's value is made.
    DICT = 0
    POSITIONS = 1
    KEYWORDS = 2
    ATTRIBUTES = 3
    PAIRS = 4

cdef uint64_t GO_MAX_NAME = rules.GO_MAX_NAME
cdef double MAX_FLOAT32 = rules.MAX_FLOAT32
cdef object MADE = rules.MADE


cdef class ReadPlan:
    """How the bytes of one value are read. Whoever makes one sets what its kind needs.

    The pure twin tells what each of its parts is.
    """

    cdef readonly int kind
    cdef public object label
    cdef public int64_t low
    cdef public uint64_t high
    cdef public bint single
    cdef public object text
    cdef public ReadPlan elem
    cdef public ReadPlan key
    cdef public uint64_t size
    cdef public bint frozen
    cdef public list fields
    cdef public list slots
    cdef public int make
    cdef public object maker
    cdef public list names
    cdef public list template
    cdef public list factories
    cdef public bint strict

    def __init__(self, int kind, label=""):
        self.kind = kind
        self.label = label
        self.low = rules.MIN_INT
        self.high = rules.MAX_INT if kind == INT else rules.MAX_UINT
        self.text = ""
        self.fields = []
        self.slots = []
        self.names = []
        self.template = []
        self.factories = []


cdef class ValueReader:
    """Reads values by plans. *resolve* finds those of what interfaces hold."""

    cdef object resolve
    cdef Py_ssize_t max_depth
    cdef uint64_t max_elements

    def __init__(self, resolve, max_depth, max_elements):
        self.resolve = resolve
        self.max_depth = max_depth
        self.max_elements = max_elements

    def read(
        self, ReadPlan plan not None, bytes message not None, Py_ssize_t at, Py_ssize_t end
    ):
        """The value that begins at *at* in a message that ends at *end*, perhaps before it.

        Raises :class:`~wirecore.errors.GobValueError` where it can't be read by *plan*, or
        passes a bound; DefinitionInside where it isn't all in this message; and what *resolve*
        raises.
        """
        cdef _Cursor cursor = _Cursor.__new__(_Cursor)
        cursor.open(message, at, end)
        cursor.resolve = self.resolve
        cursor.max_depth = self.max_depth
        cursor.max_elements = self.max_elements
        return cursor.top(plan, 1)


@cython.freelist(4)
@cython.final
cdef class _Cursor:
    """A place in a message, and what reads there. *depth* is that of the value to be read."""

    cdef Bytes data
    cdef Py_ssize_t at
    cdef Py_ssize_t end
    cdef bytes message
    cdef object resolve
    cdef Py_ssize_t max_depth
    cdef uint64_t max_elements
    cdef uint64_t elements

    cdef inline void open(self, bytes message, Py_ssize_t at, Py_ssize_t end):
        self.message = message
        self.data = <Bytes>PyBytes_AS_STRING(message)
        self.end = end
        self.at = at

    # --- what all is made of ---

    cdef inline uint64_t read_uint(self) except? 0xF0F0F0F0F0F0F0F0:
        cdef unsigned char first
        if self.at < self.end:
            first = self.data[self.at]
            if first < 0x80:
                self.at += 1
                return first
        return self.long_uint()

    cdef uint64_t long_uint(self) except? 0xF0F0F0F0F0F0F0F0:
        cdef int width
        cdef uint64_t value
        if self.at >= self.end:
            raise GobValueError(rules.EOF)
        width = 0x100 - <int>self.data[self.at]
        self.at += 1
        if width > 8:
            raise GobValueError(rules.BAD_UINT)
        if self.end - self.at < width:
            raise GobValueError(rules.short_uint(width, self.end - self.at))
        value = load(self.data + self.at, width)
        self.at += width
        return value

    cdef inline int64_t read_signed(self) except? -0x0F0F0F0F0F0F0F0F:
        cdef uint64_t number = self.read_uint()
        cdef int64_t half = <int64_t>(number >> 1)
        return ~half if number & 1 else half

    cdef inline double read_real(self, ReadPlan plan) except? -0.5:
        cdef uint64_t number = self.read_uint()
        cdef uint64_t turned = 0
        cdef double value
        cdef int i
        for i in range(8):
            turned = turned << 8 | (number >> 8 * i) & 0xFF
        memcpy(&value, &turned, 8)
        if plan.single and fabs(value) > MAX_FLOAT32 and not isinf(value):
            raise GobValueError(rules.out_of_range(plan.label))
        return value

    cdef inline int deeper(self, Py_ssize_t depth) except -1:
        if depth > self.max_depth:
            raise GobValueLimitExceeded("max_depth", depth, self.max_depth)
        return 0

    cdef inline int count_elements(self, uint64_t count) except -1:
        self.elements += count
        if self.elements > self.max_elements:
            raise GobValueLimitExceeded("max_elements", self.elements, self.max_elements)
        return 0

    cdef inline uint64_t left(self) noexcept:
        return <uint64_t>(self.end - self.at)

    # --- values ---

    cdef object top(self, ReadPlan plan, Py_ssize_t depth):
        """A value as it stands behind a type id: what is no struct has a zero byte before it."""
        if plan.kind != STRUCT and self.read_uint() != 0:
            raise GobValueError(rules.BAD_DELTA)
        return self.value(plan, depth)

    cdef object value(self, ReadPlan plan, Py_ssize_t depth):
        cdef int kind = plan.kind
        cdef uint64_t size
        cdef int64_t number
        if kind == INT:
            number = self.read_signed()
            if number < plan.low or number > <int64_t>plan.high:
                raise GobValueError(rules.out_of_range(plan.label))
            return number
        if kind == STRING:
            size = self.read_uint()
            if size > self.left():
                raise GobValueError(rules.bad_size(plan.text))
            self.at += <Py_ssize_t>size
            return PyUnicode_DecodeUTF8(
                <const char*>self.data + self.at - size, <Py_ssize_t>size, b"surrogateescape"
            )
        if kind == STRUCT:
            return self.read_struct(plan, depth)
        if kind == UINT:
            size = self.read_uint()
            if size > plan.high:
                raise GobValueError(rules.out_of_range(plan.label))
            return size
        if kind == BOOL:
            return self.read_uint() != 0
        if kind == FLOAT:
            return self.read_real(plan)
        if kind == BYTES:
            return self.read_span(plan)
        if kind == COMPLEX:
            return self.read_complex(plan)
        if kind == SLICE or kind == ARRAY:
            return self.read_slice(plan, depth)
        if kind == MAP:
            return self.read_map(plan, depth)
        if kind == INTERFACE:
            return self.read_interface(plan, depth)
        return self.read_opaque(plan)

    cdef bytes read_span(self, object problem):
        """As many bytes as the integer before them says.

        *problem*: the text of the error where there are fewer, or the plan that has it.
        """
        cdef uint64_t size = self.read_uint()
        if size > self.left():
            if isinstance(problem, ReadPlan):
                problem = rules.bad_size((<ReadPlan>problem).text)
            raise GobValueError(problem)
        self.at += <Py_ssize_t>size
        return PyBytes_FromStringAndSize(<const char*>self.data + self.at - size, <Py_ssize_t>size)

    cdef object read_complex(self, ReadPlan plan):
        cdef double real = self.read_real(plan)
        cdef double imaginary = self.read_real(plan)
        return complex(real, imaginary)

    cdef object read_opaque(self, ReadPlan plan):
        cdef bytes data = self.read_span(rules.BAD_OPAQUE)
        if plan.maker is None:
            return data
        try:
            return plan.maker(data)
        except GobError:
            raise
        except Exception as error:
            raise GobValueError(rules.refused(plan.label, error)) from error

    cdef object read_interface(self, ReadPlan plan, Py_ssize_t depth):
        self.deeper(depth)
        cdef bytes name = self.read_name()
        if not name:
            return None
        return self.top(self.inner(name, plan.strict), depth + 1)

    cdef bytes read_name(self):
        cdef uint64_t size = self.read_uint()
        if size > self.left():
            raise GobValueError(rules.bad_name(size))
        if size > GO_MAX_NAME:
            raise GobValueError(rules.long_name(size))
        self.at += <Py_ssize_t>size
        return PyBytes_FromStringAndSize(<const char*>self.data + self.at - size, <Py_ssize_t>size)

    cdef ReadPlan inner(self, bytes name, bint strict):
        """The plan of what follows an interface's name; id and length are read."""
        if self.at == self.end:
            raise DefinitionInside
        cdef int64_t number = self.read_signed()
        if number < 0:
            raise DefinitionInside
        self.read_uint()
        return self.resolve(name, number, strict)

    cdef object read_slice(self, ReadPlan plan, Py_ssize_t depth):
        self.deeper(depth)
        cdef ReadPlan elem = plan.elem
        cdef uint64_t count = self.read_uint()
        cdef uint64_t i
        cdef list found
        if plan.kind == ARRAY and count != plan.size:
            raise GobValueError(rules.BAD_ARRAY)
        if count > self.left():
            self.fail_many(plan, count)
        self.count_elements(count)
        found = []
        for i in range(count):
            if self.at == self.end:
                self.fail_many(plan, count)
            found.append(self.value(elem, depth + 1))
        return tuple(found) if plan.frozen else found

    cdef int fail_many(self, ReadPlan plan, uint64_t count) except -1:
        if plan.text:
            raise GobValueError(rules.too_many_of(plan.text, count))
        raise GobValueError(rules.too_many(count))

    cdef dict read_map(self, ReadPlan plan, Py_ssize_t depth):
        self.deeper(depth)
        cdef uint64_t count = self.read_uint()
        cdef uint64_t i
        cdef dict found = {}
        if count > self.left() // 2:
            raise GobValueError(rules.too_many_pairs(count))
        self.count_elements(2 * count)
        for i in range(count):
            one = self.value(plan.key, depth + 1)
            other = self.value(plan.elem, depth + 1)
            try:
                found[one] = other
            except TypeError as error:
                raise GobValueError(rules.unhashable(plan.label)) from error
        return found

    cdef object read_struct(self, ReadPlan plan, Py_ssize_t depth):
        self.deeper(depth)
        self.count_elements(<uint64_t>len(plan.template))
        cdef list fields = plan.fields
        cdef list slots = plan.slots
        cdef list values = plan.template[:]
        cdef uint64_t delta
        cdef uint64_t next = 0  # the number of the field after the last one
        cdef uint64_t count = len(fields)
        cdef Py_ssize_t slot
        # Go takes the end of the message for the end of a struct.
        while self.at < self.end:
            delta = self.read_uint()
            if delta == 0:
                break
            if delta > count - next:
                raise GobValueError(rules.BAD_FIELD)
            next += delta
            slot = slots[<Py_ssize_t>next - 1]
            if slot < 0:
                self.skip(<ReadPlan>fields[<Py_ssize_t>next - 1], depth + 1)
            else:
                values[slot] = self.value(<ReadPlan>fields[<Py_ssize_t>next - 1], depth + 1)
        return make(plan, values)

    # --- values that nobody wants ---

    cdef int skip(self, ReadPlan plan, Py_ssize_t depth) except -1:
        """Pass over a value; only what is needed to find its end is looked at."""
        cdef int kind = plan.kind
        cdef uint64_t size
        cdef ReadPlan inner
        if kind <= FLOAT:
            self.read_uint()
        elif kind == COMPLEX:
            self.read_uint()
            self.read_uint()
        elif kind == INTERFACE:
            self.deeper(depth)
            if self.read_name():
                inner = self.inner(b"", False)
                if inner.kind != STRUCT and self.read_uint() != 0:
                    raise GobValueError(rules.BAD_DELTA)
                self.skip(inner, depth + 1)
        elif kind == BYTES or kind == STRING or kind == OPAQUE:
            size = self.read_uint()
            if size > self.left():
                text = rules.BAD_OPAQUE if kind == OPAQUE else rules.bad_size(plan.text)
                raise GobValueError(text)
            self.at += <Py_ssize_t>size
        else:
            self.deeper(depth)
            self.skip_many(plan, depth)
        return 0

    cdef int skip_many(self, ReadPlan plan, Py_ssize_t depth) except -1:
        cdef uint64_t count, delta, i
        cdef uint64_t next = 0
        if plan.kind == STRUCT:
            count = len(plan.fields)
            while self.at < self.end:
                delta = self.read_uint()
                if delta == 0:
                    return 0
                if delta > count - next:
                    raise GobValueError(rules.BAD_FIELD)
                next += delta
                self.skip(<ReadPlan>plan.fields[<Py_ssize_t>next - 1], depth + 1)
            return 0
        count = self.read_uint()
        if plan.kind == ARRAY and count != plan.size:
            raise GobValueError(rules.BAD_ARRAY)
        if plan.kind == MAP and count > self.left() // 2:
            raise GobValueError(rules.too_many_pairs(count))
        if count > self.left():
            raise GobValueError(rules.too_many(count))
        for i in range(count):
            if self.at == self.end:
                raise GobValueError(rules.too_many(count))
            if plan.key is not None:
                self.skip(plan.key, depth + 1)
            self.skip(plan.elem, depth + 1)
        return 0


cdef object make(ReadPlan plan, list values):
    """A struct of its values."""
    cdef Py_ssize_t i
    cdef dict by_name
    try:
        if plan.factories:
            for slot, factory in plan.factories:
                if values[<Py_ssize_t>slot] is MADE:
                    values[<Py_ssize_t>slot] = factory()
        if plan.make == ATTRIBUTES:
            made = bare(plan.maker)
            for i in range(len(values)):
                PyObject_GenericSetAttr(made, plan.names[i], values[i])
            return made
        if plan.make == POSITIONS:
            return PyObject_Call(plan.maker, tuple(values), NULL)
        if plan.make == PAIRS:
            return tuple(zip(plan.names, values))
        by_name = {}
        for i in range(len(values)):
            by_name[plan.names[i]] = values[i]
        if plan.make == DICT:
            return by_name
        return PyObject_Call(plan.maker, (), <PyObject*>by_name)
    except GobError:
        raise
    except Exception as error:
        raise GobValueError(rules.refused(plan.label, error)) from error
