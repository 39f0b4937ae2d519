# cython: language_level=3
"""Validation of UTF-8 that comes in pieces, RFC 3629 section 4, as a state of three bytes."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy


cdef struct Utf8State:
    # Continuation bytes that the character begun still needs. Where it is 0, `low` and `high`
    # mean nothing; else they bound the next byte.
    unsigned char needed
    unsigned char low
    unsigned char high


cdef inline bint utf8_begin(Utf8State* state, unsigned char lead) noexcept nogil:
    """Begin a character of several bytes; False where *lead* begins none.

    The second byte has a narrower range after E0, ED, F0 and F4, which keeps out overlong
    forms, surrogates and what is above U+10FFFF.
    """
    state.low = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
    state.high = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
    state.needed = 1 if lead < 0xE0 else 2 if lead < 0xF0 else 3
    return 0xC2 <= lead <= 0xF4


cdef inline bint utf8_feed(
    Utf8State* kept, const unsigned char* data, Py_ssize_t size
) noexcept nogil:
    """False at the first byte that can't stand there; the state is of no use after that."""
    cdef Utf8State state = kept[0]
    cdef const unsigned char* end = data + size
    cdef uint64_t words[2]
    while data < end:
        if state.needed:
            if data[0] < state.low or data[0] > state.high:
                return False
            state.needed -= 1
            state.low = 0x80
            state.high = 0xBF
            data += 1
        elif data[0] < 0x80:
            while end - data >= 16:
                memcpy(words, data, 16)
                if (words[0] | words[1]) & <uint64_t>0x8080808080808080:
                    break
                data += 16
            while data < end and data[0] < 0x80:
                data += 1
        else:
            if not utf8_begin(&state, data[0]):
                return False
            data += 1
            if end - data >= 3:
                # All of the character is there, whichever it is.
                if data[0] < state.low or data[0] > state.high:
                    return False
                if state.needed > 1 and data[1] & 0xC0 != 0x80:
                    return False
                if state.needed > 2 and data[2] & 0xC0 != 0x80:
                    return False
                data += state.needed
                state.needed = 0
    kept[0] = state
    return True
