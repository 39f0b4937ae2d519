# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""gob streams cut into messages: the compiled twin of ``wirecore_py.gob_frames``.

A message is a length, a type id and, where the id is negative, the definition of that type, else
a value. Definitions and values are none of its business.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t

from wirecore._buffer cimport as_bytes

import wirecore.gob_rules as rules
from wirecore.errors import GobStreamError, GobStreamLimitExceeded

ctypedef const unsigned char* Bytes

cdef enum:
    HEAD = 9  # the longest that a message's length can be, in bytes

cdef uint64_t GO_MAX_MESSAGE = rules.GO_MAX_MESSAGE


cdef class FrameBuffer:
    """The bytes that came, given out as messages. *max_message_size*: of one, in bytes."""

    def __init__(self, max_message_size):
        self.largest = max_message_size
        self.data = b""
        self.at = 0
        self.more = []
        self.more_size = 0

    @property
    def buffered(self):
        """Bytes that came and weren't given out yet."""
        return PyBytes_GET_SIZE(self.data) - self.at + self.more_size

    def feed(self, data):
        """Take in *data*: any part of the stream. Raises as any buffer does."""
        cdef bytes piece = as_bytes(data)
        if self.at == PyBytes_GET_SIZE(self.data) and not self.more_size:
            self.data = piece
            self.at = 0
        elif piece:
            self.more.append(piece)
            self.more_size += PyBytes_GET_SIZE(piece)

    def next(self):
        """The next message: its type id, bytes, and where in them it goes on and ends.

        None: it isn't whole yet. Raises :class:`~wirecore.errors.GobStreamError` for what is no
        message, and one longer than the bound, at once.
        """
        cdef Py_ssize_t held, begin, end
        cdef Bytes data
        cdef int width
        cdef uint64_t size
        if self.more_size and PyBytes_GET_SIZE(self.data) - self.at <= HEAD:
            self.join()
        held = PyBytes_GET_SIZE(self.data)
        if self.at == held:
            return None
        data = <Bytes>PyBytes_AS_STRING(self.data)
        begin = self.at + 1
        size = data[self.at]
        if size >= 0x80:
            width = 0x100 - <int>size
            if width > 8:
                raise GobStreamError(rules.BAD_UINT)
            if held - begin < width:
                return None
            size = load(data + begin, width)
            begin += width
        if size >= GO_MAX_MESSAGE:
            raise GobStreamError(rules.BAD_LENGTH)
        if size > self.largest:
            raise GobStreamLimitExceeded("max_message_size", size, self.largest)
        end = begin + <Py_ssize_t>size
        if held < end:
            if held + self.more_size < end:
                return None
            begin -= self.at
            self.join()
            end = begin + <Py_ssize_t>size
        cdef bytes message = self.data
        if end == PyBytes_GET_SIZE(message):
            self.data = b""
            self.at = 0
        else:
            self.at = end
        cdef int64_t number = read_int(<Bytes>PyBytes_AS_STRING(message), &begin, end)
        return number, message, begin, end

    cdef int join(self) except -1:
        self.data = b"".join((self.data[self.at:], *self.more))
        self.at = 0
        self.more = []
        self.more_size = 0
        return 0


cdef inline int64_t read_int(Bytes data, Py_ssize_t* at, Py_ssize_t end) except? -0x0F0F0F0F:
    """The signed integer at *at*, which is moved to its end."""
    cdef uint64_t number
    cdef int width
    if at[0] == end:
        raise GobStreamError(rules.EOF)
    number = data[at[0]]
    at[0] += 1
    if number >= 0x80:
        width = 0x100 - <int>number
        if width > 8:
            raise GobStreamError(rules.BAD_UINT)
        if end - at[0] < width:
            raise GobStreamError(rules.short_uint(width, end - at[0]))
        number = load(data + at[0], width)
        at[0] += width
    return ~<int64_t>(number >> 1) if number & 1 else <int64_t>(number >> 1)
