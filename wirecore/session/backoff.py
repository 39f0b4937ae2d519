"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random
from collections.abc import Callable

from wirecore.session.limits import check_above, check_at_least, check_at_most


def spread(delay: float, jitter: float, random: Callable[[], float]) -> float:
    """*delay* moved by up to *jitter* of itself, 0 to 1, to either side.

    So clients that lost one server don't come back in step. *random* gives numbers from 0 to
    below 1.
    """
    return delay * (1 + jitter * (2 * random() - 1))


class Backoff:
    """Exponential delays: *base* seconds, each *factor* times the one before, *cap* at most.

    Each delay is then spread by up to ``jitter`` of itself to both sides. *random* gives numbers
    from 0 to below 1.

    Raises :class:`~wirecore.errors.InvalidOption` for base <= 0, factor < 1, jitter outside
    0 to 1, or a cap below the base.
    """

    __slots__ = ("_base", "_cap", "_delay", "_factor", "_jitter", "_random")

    def __init__(
        self,
        base: float,
        factor: float,
        jitter: float,
        cap: float,
        random: Callable[[], float] = random.random,
    ) -> None:
        check_above("backoff base", base, 0)
        check_at_least("backoff factor", factor, 1)
        check_at_least("backoff jitter", jitter, 0)
        check_at_most("backoff jitter", jitter, 1)
        check_at_least("backoff cap", cap, base)
        self._base = base
        self._factor = factor
        self._jitter = jitter
        self._cap = cap
        self._random = random
        self._delay = base

    @classmethod
    def wsrpc(cls, random: Callable[[], float] = random.random) -> Backoff:
        """1 s, factor 1.6, 120 s at most before the spread of 20 %: gRPC's schedule."""
        return cls(1.0, 1.6, 0.2, 120.0, random)

    @classmethod
    def websocket(cls, random: Callable[[], float] = random.random) -> Backoff:
        """For bare WebSockets: 0.5 s, factor 2, 60 s at most, spread by half."""
        return cls(0.5, 2.0, 0.5, 60.0, random)

    @classmethod
    def webwire(cls, random: Callable[[], float] = random.random) -> Backoff:
        """2 s each time, spread by a tenth: the original's interval."""
        return cls(2.0, 1.0, 0.1, 2.0, random)

    @property
    def base(self) -> float:
        """The first delay, in seconds, before the spread."""
        return self._base

    def next_delay(self) -> float:
        """Seconds to wait after one more failure."""
        delay = self._delay
        self._delay = min(delay * self._factor, self._cap)
        return spread(delay, self._jitter, self._random)

    def reset(self) -> None:
        """An attempt succeeded: the next failure waits the base delay."""
        self._delay = self._base
