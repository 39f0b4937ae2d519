# cython: language_level=3
"""Validation of UTF-8 that comes in pieces, RFC 3629 section 4, as a state of three bytes."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef struct Utf8State:
    # Continuation bytes that the character begun still needs. When it is 0, `low` and `high`
    # mean nothing; else they bound the next byte (the second byte of a character has a
    # narrower range after E0, ED, F0 and F4: overlong forms, surrogates, above U+10FFFF).
    unsigned char needed
    unsigned char low
    unsigned char high


cdef inline bint utf8_feed(
    Utf8State* state, const unsigned char* data, Py_ssize_t size
) noexcept nogil:
    """False at the first byte that can't stand there; the state is of no use after that."""
    cdef const unsigned char* end = data + size
    cdef unsigned char byte
    cdef uint64_t word
    while data < end:
        byte = data[0]
        if state.needed:
            if byte < state.low or byte > state.high:
                return False
            state.needed -= 1
            state.low = 0x80
            state.high = 0xBF
            data += 1
        elif byte < 0x80:
            data += 1
            while end - data >= 8:
                memcpy(&word, data, 8)
                if word & <uint64_t>0x8080808080808080:
                    break
                data += 8
        else:
            data += 1
            state.low = 0x80
            state.high = 0xBF
            if byte < 0xC2:
                return False
            elif byte < 0xE0:
                state.needed = 1
            elif byte < 0xF0:
                state.needed = 2
                if byte == 0xE0:
                    state.low = 0xA0
                elif byte == 0xED:
                    state.high = 0x9F
            elif byte < 0xF5:
                state.needed = 3
                if byte == 0xF0:
                    state.low = 0x90
                elif byte == 0xF4:
                    state.high = 0x8F
            else:
                return False
    return True
