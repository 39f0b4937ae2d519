# cython: language_level=3, cdivision=True
"""Counts durations by buckets: twin of ``wirecore_py.histogram``."""

from libc.math cimport frexp, ldexp

from wirecore.histogram_rules import LEAST, MOST, PARTS

cdef int parts = PARTS
cdef int offset = LEAST + 1
cdef double shortest = ldexp(1, LEAST - 1)
cdef long last = (MOST - LEAST + 1) * PARTS - 1


cdef class Counts:
    """How many durations there were in each bucket.

    *buckets*: by index, those that occur. *count*: of all, *sum* and *max* in seconds.
    """

    cdef public dict buckets
    cdef public long long count
    cdef public double sum
    cdef public double max

    def __init__(self):
        self.buckets = {}

    def record(self, durations):
        """Count *durations*, finite seconds; those below 0 count as 0."""
        cdef dict buckets = self.buckets
        cdef double seconds, fraction
        cdef int exponent
        cdef long index
        for each in durations:
            seconds = each
            index = 0
            if seconds > shortest:
                fraction = frexp(seconds, &exponent)  # the fraction is from 1/2 to 1
                index = <long>min((exponent - offset + 2 * fraction) * parts, <double>last)
            number = index
            buckets[number] = buckets.get(number, 0) + 1
            self.count += 1
            if seconds > 0:
                self.sum += seconds
                if seconds > self.max:
                    self.max = seconds
