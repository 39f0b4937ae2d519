# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""WebSocket payloads handed out as they arrive: the compiled twin of ``wirecore_py.stream``.

Memory: input is read between its start and `end` only, each index is compared before it is
used; what is handed out is allocated for it.
"""

import zlib
from functools import cache

from cpython.buffer cimport Py_buffer, PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject, PyObject_GenericSetAttr, PyTypeObject
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from wirecore import rules
from wirecore.errors import InvalidState
from wirecore.events import Failure

from wirecore._buffer cimport open_buffer
from wirecore._mask cimport load_key, rotate_key, xor_copy
from wirecore._text cimport decode_masked_text, decode_text

cdef extern from "Python.h":
    PyTypeObject PyBaseObject_Type
    object PyUnicode_DecodeUTF8Stateful(
        const char* data, Py_ssize_t size, const char* errors, Py_ssize_t* consumed)

cdef enum:
    FIN = 0x80
    RSV1 = 0x40
    CONTROL = 0x08
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8

cdef object inflate_error = zlib.error
cdef tuple no_arguments = ()


@cache
def legal_first_bytes(bint compression):
    """For each first byte of a frame, 1 where it is legal inside a message or outside."""
    inside = rules.legal_first_bytes(True, compression)
    outside = rules.legal_first_bytes(False, compression)
    return bytes([a | b for a, b in zip(inside, outside, strict=True)])


cdef struct Head:
    unsigned char first
    unsigned long long size
    uint32_t key
    # Length of the head in bytes, 0 while it isn't whole.
    Py_ssize_t used
    # Whether what is there of it breaks no rule.
    bint sound


cdef inline object new_piece(object kind, object data, bint frame_finished, bint message_finished):
    """An instance of *kind* with the three attributes, made without the call of a constructor.

    Of object's own maker: the class may have one that runs code, or wants arguments.
    """
    piece = PyBaseObject_Type.tp_new(kind, <PyObject*>no_arguments, NULL)
    PyObject_GenericSetAttr(piece, "data", data)
    PyObject_GenericSetAttr(piece, "frame_finished", frame_finished)
    PyObject_GenericSetAttr(piece, "message_finished", message_finished)
    return piece


cdef class StreamDecoder:
    """Turns the bytes that arrive on one connection into pieces of messages and control frames.

    Where a MessageDecoder gathers whole messages, this one hands out what has come of a frame's
    payload and keeps nothing of it: for those who gather, or pass on, themselves.

    *client*: whether this end is the client (frames that come must then not be masked, else
    they must). *text* and *binary*: the classes of the pieces, plain classes with a ``__dict__``
    whose instances get the attributes ``data`` (str or bytes), ``frame_finished`` (the piece is
    the last of its frame) and ``message_finished`` (and of its message); their constructors
    aren't called. *judge*: words the rules that are broken, and makes the items of control
    frames. *max_message_size* bounds a message, on the wire and decompressed, in bytes, 0 to
    sys.maxsize, else ValueError is raised. *inflater*: set when permessage-deflate was
    negotiated.

    Attributes, all read-only: *failed* and *closed*, whether a Failure or a close frame was
    returned (nothing is after that).
    """

    cdef readonly bint failed
    cdef readonly bint closed

    cdef bint busy
    cdef object text
    cdef object binary
    cdef object judge
    cdef object inflater
    cdef unsigned char mask_bit
    cdef Py_ssize_t max_message_size
    # Which first bytes are legal, inside a message or outside: a table of 256.
    cdef bytes legal
    # What came of a head, or of a control frame, that isn't whole.
    cdef bytes rest

    # The data frame under way: its first byte, its key turned to the next byte of payload, how
    # much payload is to come, and whether a piece of it was handed out.
    cdef bint in_frame
    cdef unsigned char first
    cdef uint32_t key
    cdef Py_ssize_t remaining
    cdef bint begun

    # The message under way: its opcode, 0 where there is none; its size as announced and
    # decompressed; the bytes of a character that isn't whole.
    cdef int opcode
    cdef bint compressed
    cdef Py_ssize_t on_wire
    cdef Py_ssize_t inflated
    cdef bytes character

    def __cinit__(
        self, *, bint client, text, binary, judge, max_message_size, inflater=None
    ):
        rules.check_limits(0, max_message_size)
        rules.check_piece_classes(text, binary)
        self.mask_bit = 0 if client else 0x80
        self.text = text
        self.binary = binary
        self.judge = judge
        self.max_message_size = max_message_size
        self.inflater = inflater
        self.legal = legal_first_bytes(inflater is not None)
        self.drop()

    cdef void drop(self) noexcept:
        """Hold nothing: no part of a frame, no part of a message."""
        self.rest = b""
        self.in_frame = False
        self.end_message()

    cdef void end_message(self) noexcept:
        self.opcode = 0
        self.compressed = False
        self.on_wire = 0
        self.inflated = 0
        self.character = b""

    def receive(self, data):
        """Take the next bytes from the peer; returns what they hold, in order.

        *data*: any C-contiguous buffer of bytes, of any length; nothing returned refers to it.
        Items: instances of the classes *text* and *binary*, whatever the judge makes of control
        frames, Failure. Of a data frame there is an item whenever some of its payload has come,
        and one for a frame without payload. What the peer does wrong is a Failure, the last
        item; after a close frame or a Failure all input is ignored.

        Raises TypeError or ValueError when *data* is no such buffer, InvalidState when called
        by the judge or the inflater it is calling. After any other exception (of theirs, out of
        memory) the decoder has lost its place: it counts as failed and ignores all input.
        """
        cdef Py_buffer view
        cdef list items = []
        cdef bint completed = False
        open_buffer(data, &view)
        try:
            if self.busy:
                raise InvalidState("receive() was called while it was running on the same decoder")
            if self.failed or self.closed:
                return items
            if self.rest:
                data = self.rest + PyBytes_FromStringAndSize(<const char*>view.buf, view.len)
                PyBuffer_Release(&view)
                open_buffer(data, &view)
                self.rest = b""
            self.busy = True
            try:
                self.consume(<const unsigned char*>view.buf, view.len, items)
                completed = True
            finally:
                self.busy = False
                if not completed:
                    self.failed = True
                    self.drop()
            return items
        finally:
            PyBuffer_Release(&view)

    cdef int consume(self, const unsigned char* data, Py_ssize_t end, list items) except -1:
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t size
        cdef Head head
        while True:
            if not self.in_frame:
                self.parse(data + at, end - at, &head)
                size = 0
                if head.sound and head.used:
                    size = self.whole_message(data + at, end - at, &head, items)
                if not size:
                    size = self.begin(data + at, end - at, &head, items)
                if self.failed or self.closed:
                    return 0
                if not size:
                    self.rest = PyBytes_FromStringAndSize(<const char*>data + at, end - at)
                    return 0
                at += size
            else:
                size = min(self.remaining, end - at)
                if not size and self.remaining:
                    return 0
                self.take(data + at, size, items)
                if self.failed:
                    return 0
                at += size

    cdef void parse(self, const unsigned char* data, Py_ssize_t size, Head* head) noexcept:
        """Read the head of a frame, as far as it is there."""
        cdef Py_ssize_t end = 2
        cdef Py_ssize_t i
        head.used = 0
        head.sound = True
        head.key = 0
        if size < 2:
            return
        head.first = data[0]
        head.size = data[1] & 0x7F
        head.sound = PyBytes_AS_STRING(self.legal)[data[0]] and data[1] & 0x80 == self.mask_bit
        if head.size > 125:
            if head.first & CONTROL:
                head.sound = False
                return
            end = 4 if head.size == 126 else 10
            if size < end:
                return
            head.size = 0
            for i in range(2, end):
                head.size = head.size << 8 | data[i]
            if head.size < <unsigned long long>(126 if end == 4 else 0x10000) or head.size >> 63:
                head.sound = False
        if self.mask_bit:
            end += 4
            if size < end:
                return
            head.key = load_key(data + end - 4)
        head.used = end

    cdef Py_ssize_t whole_message(
        self, const unsigned char* data, Py_ssize_t size, Head* head, list items
    ) except -1:
        """Decode an unfragmented message that lies whole in *data*; 0 where it is anything else."""
        cdef const unsigned char* source = data + head.used
        cdef Py_ssize_t length
        if self.opcode or head.size > <unsigned long long>(size - head.used):
            return 0
        length = head.size
        if length > self.max_message_size:
            return 0
        if head.first == FIN | TEXT:
            if self.mask_bit:
                payload = decode_masked_text(source, length, head.key)
            else:
                payload = decode_text(source, length)
            if payload is None:
                return 0
            items.append(new_piece(self.text, payload, True, True))
        elif head.first == FIN | BINARY:
            payload = self.unmasked(source, length, head.key)
            items.append(new_piece(self.binary, payload, True, True))
        else:
            return 0
        return head.used + length

    cdef bytes unmasked(self, const unsigned char* source, Py_ssize_t size, uint32_t key):
        cdef bytes payload = PyBytes_FromStringAndSize(NULL, size)
        cdef unsigned char* room = <unsigned char*>PyBytes_AS_STRING(payload)
        if self.mask_bit:
            xor_copy(room, source, size, key)
        else:
            memcpy(room, source, size)
        return payload

    cdef Py_ssize_t begin(
        self, const unsigned char* data, Py_ssize_t size, Head* head, list items
    ) except -1:
        """Begin the frame with *head*, or do all of a control frame.

        Returns how many bytes that took, 0 where more are needed, or where the frame is wrong.
        """
        cdef unsigned long long announced
        if not head.sound:
            problem = self.judge.check_head(
                PyBytes_FromStringAndSize(<const char*>data, min(size, 14))
            )
            if problem is not None:
                self.fail(items, problem)
                return 0
            if head.used:
                raise ValueError("the judge found no fault with a head that breaks a rule")
        if not head.used:
            return 0
        if head.first & CONTROL:
            if size - head.used < <Py_ssize_t>head.size:
                return 0
            self.read_control(
                head.first & 0x0F, self.unmasked(data + head.used, head.size, head.key), items
            )
            return head.used + head.size
        # Both are less than 2**63, so the sum fits.
        announced = head.size + <unsigned long long>self.on_wire
        if announced > <unsigned long long>self.max_message_size:
            self.fail(items, rules.too_big("max_message_size", announced, self.max_message_size))
            return 0
        self.on_wire = announced
        self.in_frame = True
        self.begun = False
        self.first = head.first
        self.key = head.key
        self.remaining = head.size
        if not self.opcode:
            self.compressed = head.first & RSV1 != 0
        return head.used

    cdef int read_control(self, int opcode, bytes payload, list items) except -1:
        said = self.judge.read_control(opcode, payload)
        if isinstance(said, Failure):
            return self.fail(items, said)
        items.append(said)
        if opcode == CLOSE:
            self.closed = True
            self.drop()
        return 0

    cdef int take(self, const unsigned char* source, Py_ssize_t size, list items) except -1:
        """Hand out *size* bytes of the payload of the frame under way."""
        cdef bint frame_finished, message_finished
        cdef int opcode = 0 if self.begun else self.first & 0x0F
        cdef object payload = self.unmasked(source, size, self.key)
        self.key = rotate_key(self.key, size)
        self.remaining -= size
        self.begun = True
        frame_finished = self.remaining == 0
        message_finished = frame_finished and self.first & FIN
        self.in_frame = not frame_finished
        if self.compressed:
            payload = self.inflate(payload, message_finished)
            if isinstance(payload, Failure):
                return self.fail(items, payload)
        if (opcode == 0) == (self.opcode == 0):
            return self.fail(items, self.judge.check_order(opcode, self.opcode))
        if opcode:
            self.opcode = opcode
        kind = self.binary
        if self.opcode == TEXT:
            kind = self.text
            try:
                payload = self.decode(payload, message_finished)
            except UnicodeDecodeError as error:
                return self.fail(items, Failure(rules.BAD_UTF8.code, str(error)))
        if message_finished:
            self.end_message()
        items.append(new_piece(kind, payload, frame_finished, message_finished))
        return 0

    cdef object inflate(self, bytes payload, bint last):
        """What *payload* decompresses to, with the message's end if it is the *last* of it."""
        cdef Py_ssize_t room = self.max_message_size - self.inflated
        cdef bytes found
        try:
            found = self.inflater.inflate(payload, room)
            if last and len(found) <= room:
                found += self.inflater.finish(room - len(found))
        except inflate_error:
            return self.judge.bad_data
        if len(found) > room:
            return rules.too_big(
                "max_message_size", self.inflated + len(found), self.max_message_size
            )
        self.inflated += len(found)
        return found

    cdef object decode(self, bytes payload, bint last):
        """*payload* as text, without the begin of a character that may be completed later."""
        cdef Py_ssize_t consumed
        if self.character:
            payload = self.character + payload
        # CPython 3.11.2 doesn't set it where all is ASCII; its own caller begins so, too.
        consumed = PyBytes_GET_SIZE(payload)
        text = PyUnicode_DecodeUTF8Stateful(
            PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), NULL, NULL if last else &consumed
        )
        if not last:
            self.character = payload[consumed:]
        return text

    cdef int fail(self, list items, object failure) except -1:
        items.append(failure)
        self.failed = True
        self.drop()
        return 0
