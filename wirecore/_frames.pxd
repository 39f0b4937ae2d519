# cython: language_level=3
"""State of the compiled frame decoder."""

from libc.stdint cimport uint32_t

from wirecore._gather cimport Gather
from wirecore._utf8 cimport Utf8State

cdef enum:
    # Two bytes, the longest form of the length, the masking key.
    MAX_HEAD = 2 + 8 + 4
    MAX_CONTROL = 125


cdef class MessageDecoder:
    cdef readonly int controls
    cdef readonly bint failed
    cdef readonly bint closed

    cdef bint busy
    cdef bint raw_text
    cdef object inflater
    cdef Py_ssize_t max_frame_size
    cdef Py_ssize_t max_message_size
    # 0x80 where frames must be masked, 0 where they must not.
    cdef unsigned char mask_bit
    # Which first bytes are legal outside of a fragmented message, and inside: tables of 256.
    cdef bytes idle_legal
    cdef bytes message_legal

    # The frame under way: its head while that is incomplete; then its first byte, its key turned
    # to the next byte of payload, and how much payload is to come.
    cdef unsigned char head[MAX_HEAD]
    cdef Py_ssize_t head_held
    cdef bint in_frame
    cdef unsigned char first
    cdef uint32_t key
    cdef Py_ssize_t remaining
    cdef unsigned char control[MAX_CONTROL]
    cdef Py_ssize_t control_held

    # The message under way: its opcode, 0 where there is none, and its payload so far,
    # decompressed; `on_wire` counts it as announced, compressed.
    cdef int opcode
    cdef bint compressed
    cdef Py_ssize_t on_wire
    cdef Gather gathered
    cdef Utf8State utf8

    cpdef list receive(self, data)
    cdef int consume(self, const unsigned char* data, Py_ssize_t end, list items) except -1
    cdef Py_ssize_t whole_frames(
        self, const unsigned char* data, Py_ssize_t at, Py_ssize_t end, list items) except -1
    cdef Py_ssize_t read_head(
        self, const unsigned char* data, Py_ssize_t at, Py_ssize_t end, list items) except -1
    cdef object check_head(self, const unsigned char* head, Py_ssize_t size, Py_ssize_t* used)
    cdef object check_size(self, unsigned long long size, Py_ssize_t head_size)
    cdef void begin_frame(self, unsigned char first, Py_ssize_t size) noexcept
    cdef Py_ssize_t read_payload(
        self, const unsigned char* data, Py_ssize_t at, Py_ssize_t end, list items) except -1
    cdef void copy(
        self, unsigned char* to, const unsigned char* source, Py_ssize_t size) noexcept
    cdef object gather(self, const unsigned char* source, Py_ssize_t size)
    cdef object gather_inflated(self, object piece, bint last)
    cdef bint is_bad_text(self, const unsigned char* data, Py_ssize_t size) noexcept
    cdef int finish_message(self, list items) except -1
    cdef int end_control(self, list items) except -1
    cdef int fail(self, list items, object failure) except -1
    cdef void drop(self) noexcept
    cdef void end_message(self) noexcept
