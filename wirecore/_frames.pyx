# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False
"""WebSocket frames, RFC 6455 section 5, in and out: the compiled twin of ``wirecore_py.frames``.

Memory: input is read between its start and `end` only, each index is compared before it is
used; what is handed out is allocated for it.
"""

import zlib

from cpython.buffer cimport Py_buffer, PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyTypeObject
from libc.string cimport memcpy

from wirecore import rules
from wirecore.errors import InvalidState
from wirecore.events import Failure, Ping, Pong, RawText

from wirecore._buffer cimport open_buffer
from wirecore._encode cimport (
    BINARY, FIN, RSV1, TEXT, Source, check_fragment_size, close_source, frames_size, head_size,
    message_size, open_source, write_frame, write_message,
)
from wirecore._entropy cimport fill_random
from wirecore._gather cimport Gather, gather_drop, gather_reserve, gather_room, gather_take
from wirecore._head cimport read_number, whole_frame
from wirecore._mask cimport load_key, rotate_key, xor_copy
from wirecore._text cimport decode_masked_text, decode_text, new_bytes_of
from wirecore._utf8 cimport utf8_feed

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef enum:
    CONTROL = 0x08
    CLOSE = 0x8
    PING = 0x9

# A message of one frame has its room at once, up to so many bytes: grown bit by bit, what has
# come is copied each time. But only once this part of it is there: what peers announce and don't
# send mustn't take memory, not even such that the system doesn't back with any.
cdef enum:
    EAGER = 1024 * 1024
    EAGER_PART = 32

cdef object inflate_error = zlib.error
cdef object raw_text_class = RawText


cdef class MessageDecoder:
    """Turns the bytes that arrive on one connection into whole messages and control frames.

    *client*: whether this end is the client (frames that come must then not be masked, else
    they must). *max_frame_size* bounds the payload of a data frame as it is on the wire,
    *max_message_size* a message, on the wire and decompressed; both in bytes, 0 to sys.maxsize,
    else ValueError is raised. *raw_text*: hand out text messages as RawText, unchecked.
    *inflater*: set when permessage-deflate was negotiated.

    Attributes, all read-only: *controls*, how many items of the list returned last are no
    messages; *failed* and *closed*, whether a Failure or Close was returned (nothing is after
    that); *in_message*, whether part of a message has come; *buffered*, how many bytes are
    held for what is incomplete.
    """

    def __cinit__(
        self, *, bint client, max_frame_size, max_message_size, bint raw_text=False, inflater=None
    ):
        rules.check_limits(max_frame_size, max_message_size)
        self.mask_bit = 0 if client else 0x80
        self.max_frame_size = max_frame_size
        self.max_message_size = max_message_size
        self.raw_text = raw_text
        self.inflater = inflater
        self.idle_legal = rules.legal_first_bytes(False, inflater is not None)
        self.message_legal = rules.legal_first_bytes(True, inflater is not None)
        self.busy = False
        self.controls = 0
        self.failed = False
        self.closed = False
        self.drop()

    def __dealloc__(self):
        gather_drop(&self.gathered)

    cdef void drop(self) noexcept:
        """Hold nothing: no part of a frame, no part of a message."""
        self.head_held = 0
        self.in_frame = False
        self.remaining = 0
        self.control_held = 0
        self.end_message()

    cdef void end_message(self) noexcept:
        self.opcode = 0
        self.compressed = False
        self.on_wire = 0
        gather_drop(&self.gathered)
        self.utf8.needed = 0

    @property
    def in_message(self):
        """Whether the head of a message's first frame has come, and not yet its last byte."""
        return self.opcode != 0

    @property
    def buffered(self):
        """Bytes held for what is incomplete: of a head, a control frame, a message."""
        return self.head_held + self.control_held + self.gathered.size

    cpdef list receive(self, data):
        """Take the next bytes from the peer; returns all that became whole, in order.

        *data*: any C-contiguous buffer of bytes, of any length; nothing returned refers to it.
        Items: ``bytes`` (binary message), ``str`` or RawText (text message), Ping, Pong, Close,
        Failure. What the peer does wrong is a Failure, the last item, found at the first byte
        that shows it; after a Close or a Failure all input is ignored.

        Raises TypeError or ValueError when *data* is no such buffer, InvalidState when called
        by the inflater it is calling. After any other exception (of the inflater, out of
        memory) the decoder has lost its place: it counts as failed and ignores all input.
        """
        cdef Py_buffer view
        cdef list items = []
        cdef bint completed = False
        open_buffer(data, &view)
        try:
            if self.busy:
                raise InvalidState("receive() was called while it was running on the same decoder")
            self.controls = 0
            if self.failed or self.closed:
                return items
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
        while True:
            if not (self.in_frame or self.head_held or self.opcode):
                at = self.whole_frames(data, at, end, items)
            if not self.in_frame:
                if at == end:
                    return 0
                at = self.read_head(data, at, end, items)
                if not self.in_frame:
                    return 0
            at = self.read_payload(data, at, end, items)
            if self.in_frame or self.failed or self.closed:
                return 0

    cdef Py_ssize_t whole_frames(
        self, const unsigned char* data, Py_ssize_t at, Py_ssize_t end, list items
    ) except -1:
        """Decode the unfragmented data frames that lie whole in *data* from *at* on.

        Returns the index of the first byte that is left: of a frame of another kind, of one
        that isn't whole, or of one that breaks some rule. Which it is, the careful path finds.
        """
        cdef unsigned char mask_bit = self.mask_bit
        cdef Py_ssize_t bound = min(self.max_frame_size, self.max_message_size)
        cdef Py_ssize_t head
        cdef Py_ssize_t size = 0
        cdef unsigned char first
        cdef const unsigned char* source
        cdef unsigned char* room
        while end - at >= 2:
            first = data[at]
            head = whole_frame(data + at, end - at, mask_bit, bound, &size)
            if not head:
                break
            source = data + at + head
            if first == FIN | TEXT and not self.raw_text:
                if mask_bit:
                    message = decode_masked_text(source, size, load_key(source - 4))
                else:
                    message = decode_text(source, size)
                if message is None:
                    break
            elif first == FIN | BINARY or first == FIN | TEXT:
                if first == FIN | BINARY:
                    message = PyBytes_FromStringAndSize(NULL, size)
                else:
                    message = new_bytes_of(<PyTypeObject*>raw_text_class, size)
                room = <unsigned char*>PyBytes_AS_STRING(message)
                if mask_bit:
                    xor_copy(room, source, size, load_key(source - 4))
                else:
                    memcpy(room, source, size)
            else:
                break
            items.append(message)
            at += head + size
        return at

    cdef Py_ssize_t read_head(
        self, const unsigned char* data, Py_ssize_t at, Py_ssize_t end, list items
    ) except -1:
        """Read the head of a frame, or the rest of it; returns the index after it."""
        cdef Py_ssize_t held = self.head_held
        cdef Py_ssize_t more = min(MAX_HEAD - held, end - at)
        cdef Py_ssize_t used = 0
        memcpy(self.head + held, data + at, more)
        problem = self.check_head(self.head, held + more, &used)
        if problem is not None:
            self.fail(items, problem)
            return at
        if not used:
            self.head_held = held + more
            return end
        self.head_held = 0
        return at + used - held

    cdef object check_head(self, const unsigned char* head, Py_ssize_t size, Py_ssize_t* used):
        """Begin the frame with *head*; *used* is its length if it is whole. Returns what's wrong.

        Each rule is checked as soon as its bytes are there, so that the same one is found
        however the head was cut.
        """
        cdef unsigned char first = head[0]
        cdef unsigned long long length
        cdef Py_ssize_t end = 2
        cdef bytes legal = self.message_legal if self.opcode else self.idle_legal
        if not PyBytes_AS_STRING(legal)[first]:
            return rules.illegal_first_byte(
                first, self.opcode != 0, self.inflater is not None
            )
        if size < 2:
            return None
        length = head[1] ^ self.mask_bit
        if length > 127:
            return rules.MASK_MISSING if self.mask_bit else rules.MASK_UNWANTED
        if length > 125:
            if first & CONTROL:
                return rules.CONTROL_TOO_LONG
            end = 4 if length == 126 else 10
            if size < end:
                return None
            length = read_number(head + 2, end - 2)
        if not first & CONTROL:
            problem = self.check_size(length, end)
            if problem is not None:
                return problem
        if self.mask_bit:
            end += 4
            if size < end:
                return None
            self.key = load_key(head + end - 4)
        self.begin_frame(first, length)
        used[0] = end
        return None

    cdef object check_size(self, unsigned long long size, Py_ssize_t head_size):
        """What is wrong with a data frame's payload length, written in a head of *head_size*."""
        if head_size > 2:
            if size >> 63:
                return rules.LENGTH_TOP_BIT
            if size < <unsigned long long>(126 if head_size == 4 else 0x10000):
                return rules.LENGTH_NOT_MINIMAL
        if size > <unsigned long long>self.max_frame_size:
            return rules.too_big("max_frame_size", size, self.max_frame_size)
        # Both are less than 2**63, so the sum fits.
        size += self.on_wire
        if size > <unsigned long long>self.max_message_size:
            return rules.too_big("max_message_size", size, self.max_message_size)
        return None

    cdef void begin_frame(self, unsigned char first, Py_ssize_t size) noexcept:
        self.in_frame = True
        self.first = first
        self.remaining = size
        if first & CONTROL:
            return
        self.on_wire += size
        if not self.opcode:
            self.opcode = first & 0x0F
            self.compressed = first & RSV1 != 0

    cdef Py_ssize_t read_payload(
        self, const unsigned char* data, Py_ssize_t at, Py_ssize_t end, list items
    ) except -1:
        """Take what is there of the frame's payload; returns the index after it."""
        cdef Py_ssize_t size = min(self.remaining, end - at)
        cdef const unsigned char* source = data + at
        self.remaining -= size
        self.in_frame = self.remaining > 0
        if self.first & CONTROL:
            # begin_frame() saw to it that a control frame's payload fits.
            self.copy(self.control + self.control_held, source, size)
            self.control_held += size
            if not self.in_frame:
                self.end_control(items)
            return at + size
        if size:
            problem = self.gather(source, size)
            if problem is not None:
                self.fail(items, problem)
                return at + size
        if not self.in_frame and self.first & FIN:
            self.finish_message(items)
        return at + size

    cdef void copy(self, unsigned char* to, const unsigned char* source, Py_ssize_t size) noexcept:
        """Copy payload, unmasked."""
        if self.mask_bit:
            xor_copy(to, source, size, self.key)
            self.key = rotate_key(self.key, size)
        else:
            memcpy(to, source, size)

    cdef object gather(self, const unsigned char* source, Py_ssize_t size):
        """Add a piece of payload to the message; returns what is wrong with it."""
        cdef unsigned char* room
        cdef Py_ssize_t expected = self.max_message_size
        if self.compressed:
            piece = PyBytes_FromStringAndSize(NULL, size)
            self.copy(<unsigned char*>PyBytes_AS_STRING(piece), source, size)
            return self.gather_inflated(piece, False)
        if self.first & FIN:
            expected = self.gathered.size + size + self.remaining
            if expected <= EAGER and expected <= EAGER_PART * (self.gathered.size + size):
                gather_reserve(&self.gathered, expected)
        room = gather_room(&self.gathered, size, expected)
        self.copy(room, source, size)
        self.gathered.size += size
        if self.is_bad_text(room, size):
            return rules.BAD_UTF8
        return None

    cdef object gather_inflated(self, object piece, bint last):
        """Add to the message what *piece*, or its end, decompresses to; returns what is wrong."""
        cdef Py_ssize_t room = self.max_message_size - self.gathered.size
        cdef Py_ssize_t expected = self.max_message_size
        cdef Py_ssize_t size
        cdef bytes found
        try:
            found = self.inflater.finish(room) if last else self.inflater.inflate(piece, room)
        except inflate_error:
            return rules.BAD_DEFLATE
        size = len(found)
        if self.is_bad_text(<const unsigned char*>PyBytes_AS_STRING(found), size):
            return rules.BAD_UTF8
        if size > room:
            return rules.too_big(
                "max_message_size", self.gathered.size + size, self.max_message_size
            )
        if size:
            if self.first & FIN and not self.remaining:
                expected = self.gathered.size + size
            memcpy(gather_room(&self.gathered, size, expected), PyBytes_AS_STRING(found), size)
            self.gathered.size += size
        return None

    cdef bint is_bad_text(self, const unsigned char* data, Py_ssize_t size) noexcept:
        """Whether the next bytes of the message can't stand in a text message."""
        if self.opcode != TEXT or self.raw_text:
            return False
        return not utf8_feed(&self.utf8, data, size)

    cdef int finish_message(self, list items) except -1:
        if self.compressed:
            problem = self.gather_inflated(None, True)
            if problem is not None:
                return self.fail(items, problem)
        if self.opcode == TEXT and not self.raw_text:
            if self.utf8.needed:
                return self.fail(items, rules.BAD_UTF8)
        message = gather_take(&self.gathered)
        if self.opcode == TEXT:
            message = raw_text_class(message) if self.raw_text else message.decode()
        self.end_message()
        items.append(message)
        return 0

    cdef int end_control(self, list items) except -1:
        cdef int opcode = self.first & 0x0F
        payload = PyBytes_FromStringAndSize(<const char*>self.control, self.control_held)
        self.control_held = 0
        if opcode == CLOSE:
            said = rules.read_close(payload)
            if isinstance(said, Failure):
                return self.fail(items, said)
            self.closed = True
            self.drop()
        else:
            said = Ping(payload) if opcode == PING else Pong(payload)
        items.append(said)
        self.controls += 1
        return 0

    cdef int fail(self, list items, object failure) except -1:
        items.append(failure)
        self.controls += 1
        self.failed = True
        self.drop()
        return 0


def encode_frame(int opcode, payload, bint masked, bint fin=True, bint rsv1=False, key=None):
    """One frame (RFC 6455 section 5.2), masked with *key*, 4 bytes, or with a random one.

    *payload*: any C-contiguous buffer of bytes, up to 125 of them in a control frame. *rsv1*
    marks the first frame of a compressed message (RFC 7692 section 6).

    Raises TypeError when *payload* is no buffer or *key* no bytes; ValueError when the frame
    would be illegal in any state, *payload* isn't contiguous, or *key* isn't 4 bytes long or
    was given for a frame that isn't masked.
    """
    cdef Py_buffer view
    cdef unsigned char key_bytes[4]
    cdef unsigned char first
    open_buffer(payload, &view)
    try:
        rules.check_frame(opcode, view.len, fin, rsv1, masked, key)
        if key is not None:
            memcpy(key_bytes, PyBytes_AS_STRING(key), 4)
        elif masked:
            fill_random(key_bytes, 4)
        first = opcode | (FIN if fin else 0) | (RSV1 if rsv1 else 0)
        frame = PyBytes_FromStringAndSize(NULL, head_size(view.len, masked) + view.len)
        write_frame(
            <unsigned char*>PyBytes_AS_STRING(frame), first,
            <const unsigned char*>view.buf, view.len, key_bytes if masked else NULL,
        )
        return frame
    finally:
        PyBuffer_Release(&view)


def encode_message(data, bint masked, Py_ssize_t fragment_size=0):
    """A message as one frame, or cut into fragments of *fragment_size* bytes of payload.

    ``str`` and RawText make a text message, any other C-contiguous buffer of bytes a binary
    one. *fragment_size* 0 means never to cut; a message no longer than it is one frame. Each
    masked frame has a random key of its own.

    Raises TypeError when *data* is neither text nor a buffer, ValueError when *fragment_size*
    is negative, the buffer isn't contiguous or the text has surrogates (UnicodeEncodeError).
    """
    cdef Source source
    check_fragment_size(fragment_size)
    keep = open_source(&source, data, raw_text_class)
    try:
        frames = PyBytes_FromStringAndSize(NULL, message_size(&source, masked, fragment_size))
        write_message(
            <unsigned char*>PyBytes_AS_STRING(frames), &source, masked, fragment_size
        )
        return frames
    finally:
        close_source(&source)


def encode_messages(messages, bint masked, Py_ssize_t fragment_size=0):
    """All *messages*, each as `encode_message` makes it, one behind the other."""
    cdef Source source
    cdef Gather frames
    cdef Py_ssize_t size
    frames.block = NULL
    frames.size = 0
    check_fragment_size(fragment_size)
    try:
        gather_reserve(&frames, frames_size(messages, masked))
        for message in messages:
            keep = open_source(&source, message, raw_text_class)
            try:
                size = message_size(&source, masked, fragment_size)
                write_message(
                    gather_room(&frames, size, PY_SSIZE_T_MAX), &source, masked, fragment_size
                )
                frames.size += size
            finally:
                close_source(&source)
        return gather_take(&frames)
    finally:
        gather_drop(&frames)
