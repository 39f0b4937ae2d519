# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Calls of net/rpc over gob, header and value in one step: twin of ``wirecore_py.gob_calls``.

For what is usual: types that the stream has defined, and nothing that is wrong. All else goes the
long way, where it has its error; nothing was read or written then.
"""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_Append, PyList_GET_SIZE
from cpython.long cimport PyLong_AsUnsignedLongLong, PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_CheckExact, PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memcpy

from wirecore._calls cimport answer_to, call_of
from wirecore._making cimport answer_of, request_of
from wirecore._waiting cimport annotation_of
from wirecore._gob_frames cimport FrameBuffer, encode_uint, load

from typing import Any

import wirecore.gob_rules as rules

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

ctypedef const unsigned char* Bytes

cdef enum:
    HEAD = 9  # bytes that a length, a type id or a number takes at most
    METHOD = 1  # the fields of both headers; an answer's has its error's text as well
    SEQ = 2

cdef uint64_t GO_MAX_MESSAGE = rules.GO_MAX_MESSAGE

cdef object ANY = Any
cdef object NOTHING = object()

cdef struct Span:
    Py_ssize_t at
    Py_ssize_t end


cdef class CallReader:
    """Reads headers and values of a decoder's: its *frames*, and what it has found of types.

    *read* reads a value by a plan; *plans* are those that were made, *wanted* the types of
    annotations, *closed* the ids of types whose values end with their message. *header*: the id
    of the type of headers, which has the first *fields* of Go's; 0 as long as there is none.
    """

    cdef FrameBuffer frames
    cdef object read
    cdef dict plans
    cdef dict wanted
    cdef set closed
    cdef public int64_t header
    cdef public uint64_t fields
    # Of the message that was opened: its header, and its value with the id of its type.
    cdef uint64_t seq
    cdef Span method
    cdef bint failed
    cdef int64_t number
    cdef Span value
    # What was used last is most often what is used next.
    cdef object last_annotation
    cdef int64_t last_number
    cdef object last_plan
    cdef object last_method

    def __init__(self, FrameBuffer frames not None, read, dict plans, dict wanted, set closed):
        self.frames = frames
        self.read = read
        self.plans = plans
        self.wanted = wanted
        self.closed = closed
        self.header = 0
        self.fields = 0
        self.last_annotation = NOTHING
        self.last_method = ""

    def answers(self, table, found, Py_ssize_t most, make):
        """Add the answers at hand to *found*, until it has *most*; their calls leave *table*.

        Each is a *make*, a class of tuples, of the call, the result and None. It stops before an
        answer that isn't usual, that tells an error or that nobody waits for.
        """
        while PyList_GET_SIZE(found) < most and self.open() and not self.failed:
            seq = self.seq
            call = call_of(table, seq)
            if call is None:
                break
            result = self.take(annotation_of(call))
            if result is NOTHING:
                break
            answer_to(table, seq)
            PyList_Append(found, answer_of(make, call, result))

    def requests(
        self, find, found, Py_ssize_t most, Py_ssize_t left, make, make_request
    ):
        """Add the requests at hand to *found*, until it has *most*.

        Each is a *make* of a *make_request* of its number and method, of what *find* gives for
        the method, the argument, and its bytes. *left*: those that weren't counted for a request
        yet. It stops before a request that isn't usual, or whose method *find* answers with a
        str. Returned are what remains of *left*, and what *find* gave for the next request, if it
        was asked for that.
        """
        cdef Py_ssize_t rest
        while PyList_GET_SIZE(found) < most and self.open():
            method = self.method_text()
            target = find(method)
            if isinstance(target, str):
                return left, target
            seq = self.seq
            argument = self.take(target.argument)
            if argument is NOTHING:
                return left, target
            rest = PyBytes_GET_SIZE(self.frames.data) - self.frames.at + self.frames.more_size
            PyList_Append(
                found, request_of(make, make_request, seq, method, target, argument, left - rest)
            )
            left = rest
        return left, None

    cdef bint open(self):
        """Whether a header and its value are all there."""
        cdef bytes message = self.frames.data
        cdef Bytes data = <Bytes>PyBytes_AS_STRING(message)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(message)
        cdef Span header
        header.at = self.frames.at
        if not self.header or not self.next(data, size, &header):
            return False
        if self.number != self.header or not self.read_header(data, header.at, header.end):
            return False
        self.value.at = header.end
        return self.next(data, size, &self.value) and self.number > 0

    cdef bint next(self, Bytes data, Py_ssize_t size, Span* span) noexcept:
        """Read the length and the type id of the message at *span*, which then is the rest."""
        cdef uint64_t length
        if not read_uint(data, &span.at, size, &length):
            return False
        if length > self.frames.largest or length >= GO_MAX_MESSAGE:
            return False
        if length > <uint64_t>(size - span.at):
            return False
        span.end = span.at + <Py_ssize_t>length
        if not read_uint(data, &span.at, span.end, &length):
            return False
        self.number = ~<int64_t>(length >> 1) if length & 1 else <int64_t>(length >> 1)
        return True

    cdef bint read_header(self, Bytes data, Py_ssize_t at, Py_ssize_t end) noexcept:
        cdef uint64_t delta, size
        cdef uint64_t field = 0
        self.method.at = self.method.end = at
        self.seq = 0
        self.failed = False
        while read_uint(data, &at, end, &delta):
            if delta == 0:
                return at == end
            if delta > self.fields - field:
                return False
            field += delta
            if not read_uint(data, &at, end, &size):
                return False
            if field == SEQ:
                self.seq = size
                continue
            if size > <uint64_t>(end - at):
                return False
            if field == METHOD:
                self.method.at = at
                self.method.end = at + <Py_ssize_t>size
            else:
                self.failed = size > 0
            at += <Py_ssize_t>size
        return False

    cdef object method_text(self):
        cdef Bytes data = <Bytes>PyBytes_AS_STRING(self.frames.data) + self.method.at
        cdef Py_ssize_t size = self.method.end - self.method.at
        last = self.last_method
        if (
            not PyUnicode_IS_COMPACT_ASCII(last)
            or PyUnicode_GET_LENGTH(last) != size
            or memcmp(PyUnicode_DATA(last), data, size)
        ):
            last = self.last_method = PyUnicode_DecodeUTF8(
                <const char*>data, size, b"surrogateescape"
            )
        return last

    cdef object take(self, annotation):
        """The value as *annotation*, and both are behind us; NOTHING: they are as they were."""
        cdef FrameBuffer frames = self.frames
        cdef Py_ssize_t end = self.value.end
        if annotation is not self.last_annotation or self.number != self.last_number:
            if not self.find_plan(annotation):
                return NOTHING
        try:
            found = self.read(self.last_plan, frames.data, self.value.at, end)
        except Exception:
            return NOTHING
        if end == PyBytes_GET_SIZE(frames.data):
            frames.data = b""
            frames.at = 0
        else:
            frames.at = end
        return found

    cdef bint find_plan(self, annotation):
        if self.number not in self.closed:
            return False
        try:
            wanted = self.wanted.get(annotation, NOTHING)
        except TypeError:  # an annotation that isn't hashable
            return False
        plan = self.plans.get((self.number, wanted))
        if plan is None:
            return False
        self.last_annotation = annotation
        self.last_number = self.number
        self.last_plan = plan
        return True


cdef class CallWriter:
    """Writes headers and values of an encoder's, *ready* for those types that were defined.

    *write* writes a value. *header* is the key in *ready* of the headers' type. A value that
    brings definitions, which *added* then holds, is taken back with *forget*. *largest*: bytes.
    """

    cdef object write_value
    cdef dict ready
    cdef list added
    cdef object forget
    cdef object header
    cdef Py_ssize_t largest

    def __init__(self, write, dict ready, list added, forget, header, Py_ssize_t largest):
        self.write_value = write
        self.ready = ready
        self.added = added
        self.forget = forget
        self.header = header
        self.largest = largest

    def write(self, seq, method, value, annotation):
        """What is to be sent for a header without an error, and *value*; None: the long way."""
        cdef PyObject* found = PyDict_GetItemWithError(self.ready, self.header)
        cdef uint64_t number
        if (
            found == NULL or value is None or not PyLong_CheckExact(seq)
            or not PyUnicode_CheckExact(method) or not PyUnicode_IS_COMPACT_ASCII(method)
        ):
            return None
        cdef bytes head = (<tuple>found)[1]
        try:
            number = PyLong_AsUnsignedLongLong(seq)
            plan = self.ready.get(type(value) if annotation is ANY else annotation)
            if plan is None:
                return None
            made = self.write_value((<tuple>plan)[0], (<tuple>plan)[1], value)
        except Exception:
            self.forget()
            return None
        except BaseException:
            self.forget()
            raise
        if self.added:
            self.forget()
            return None
        return self.join(head, number, method, made)

    cdef object join(self, bytes head, uint64_t seq, method, bytes made):
        cdef unsigned char before[HEAD]
        cdef unsigned char between[HEAD]
        cdef unsigned char behind[HEAD + 1]
        cdef int before_size
        cdef int between_size = 0
        cdef int behind_size = 0
        cdef Py_ssize_t method_size = PyUnicode_GET_LENGTH(method)
        cdef Py_ssize_t head_size = PyBytes_GET_SIZE(head)
        cdef Py_ssize_t made_size = PyBytes_GET_SIZE(made)
        cdef Py_ssize_t size
        if method_size:
            between[0] = METHOD
            between_size = 1 + encode_uint(between + 1, <uint64_t>method_size)
        if seq:
            behind[0] = 1 if method_size else SEQ
            behind_size = 1 + encode_uint(behind + 1, seq)
        size = head_size + between_size + method_size + behind_size + 1
        before_size = encode_uint(before, <uint64_t>size)
        if size + before_size > self.largest or made_size > self.largest:
            return None
        whole = PyBytes_FromStringAndSize(NULL, before_size + size + made_size)
        cdef unsigned char* to = <unsigned char*>PyBytes_AS_STRING(whole)
        to = put(to, before, before_size)
        to = put(to, <Bytes>PyBytes_AS_STRING(head), head_size)
        to = put(to, between, between_size)
        to = put(to, <Bytes>PyUnicode_DATA(method), method_size)
        to = put(to, behind, behind_size)
        to[0] = 0
        memcpy(to + 1, PyBytes_AS_STRING(made), made_size)
        return whole


cdef inline bint read_uint(Bytes data, Py_ssize_t* at, Py_ssize_t end, uint64_t* found) noexcept:
    """Whether an unsigned integer is at *at*, which then is moved to its end."""
    cdef int width
    if at[0] >= end:
        return False
    found[0] = data[at[0]]
    at[0] += 1
    if found[0] < 0x80:
        return True
    width = 0x100 - <int>found[0]
    if width > 8 or end - at[0] < width:
        return False
    found[0] = load(data + at[0], width)
    at[0] += width
    return True


cdef inline unsigned char* put(unsigned char* to, Bytes data, Py_ssize_t size) noexcept:
    memcpy(to, data, size)
    return to + size
