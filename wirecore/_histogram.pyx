# cython: language_level=3, cdivision=True
"""Sorts durations into buckets: twin of ``wirecore_py.histogram``."""

from libc.math cimport frexp, ldexp

from wirecore.histogram_rules import LEAST, MOST, PARTS

cdef int parts = PARTS
cdef int offset = LEAST + 1
cdef double shortest = ldexp(1, LEAST - 1)
cdef long last = (MOST - LEAST + 1) * PARTS - 1


def count(dict buckets not None, durations):
    """Count *durations*, finite seconds, in *buckets*; those below 0 count as 0.

    Returned are their sum and the longest of them, 0 where there is none.
    """
    cdef double total = 0.0
    cdef double longest = 0.0
    cdef double seconds, fraction
    cdef int exponent
    cdef long index
    for each in durations:
        seconds = each
        index = 0
        if seconds > shortest:
            fraction = frexp(seconds, &exponent)  # the fraction is from 1/2 to 1
            index = min(<long>((exponent - offset + 2 * fraction) * parts), last)
        number = index
        buckets[number] = buckets.get(number, 0) + 1
        if seconds > 0:
            total += seconds
            longest = max(longest, seconds)
    return total, longest
