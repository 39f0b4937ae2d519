"""How histograms of durations are cut into buckets: the same for both backends."""

from __future__ import annotations

from typing import Final

#: Each octave (from a power of two to the next) is cut into so many buckets of one width, and
#: a bucket is told by its middle: at its lower end that is 1/128 too much.
PARTS: Final = 64

#: The exponents, as of math.frexp, of what is told apart: 1 microsecond to 36 hours. What is
#: below or above counts as the least or the most of it.
LEAST: Final = -19
MOST: Final = 17
