"""How long an engine waits between two attempts to connect."""

from __future__ import annotations

import random as _random
from collections.abc import Callable

from wirecore.session.backoff import spread
from wirecore.session.limits import check_above, check_at_least, check_at_most


class Retries:
    """Attempt 0 at once, attempt k after ``base ** min(k, largest_exponent)`` seconds.

    *jitter*: each delay is spread by up to so much of itself to both sides, 0 to 1; 0 as in the
    original. *random* gives numbers from 0 to below 1.

    Raises :class:`~wirecore.errors.InvalidOption` for base <= 0, a largest exponent below 1, or
    jitter outside 0 to 1.
    """

    __slots__ = ("_base", "_jitter", "_largest", "_random")

    def __init__(
        self,
        base: float = 5,
        largest_exponent: int = 1,
        jitter: float = 0.0,
        random: Callable[[], float] = _random.random,
    ) -> None:
        check_above("retry_delay_base", base, 0)
        check_at_least("retry_delay_max_exponent", largest_exponent, 1)
        check_at_least("retry_jitter", jitter, 0)
        check_at_most("retry_jitter", jitter, 1)
        self._base = base
        self._largest = largest_exponent
        self._jitter = jitter
        self._random = random

    def delay(self, attempt: int) -> float:
        """Seconds to wait before *attempt*, which counts from 0 in each outage."""
        if attempt == 0:
            return 0.0
        try:
            seconds = float(self._base ** min(attempt, self._largest))
        except OverflowError:
            seconds = float("inf")
        return spread(seconds, self._jitter, self._random)
