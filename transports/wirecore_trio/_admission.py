"""How many requests of one connection are handled at once, and what becomes of one more."""

from __future__ import annotations

import logging
from typing import NamedTuple, Protocol


class HandlerOptions(Protocol):
    """The bounds, as options of every protocol have them."""

    @property
    def max_handlers(self) -> int:
        """Requests that are handled at once."""

    @property
    def max_handler_bytes(self) -> int:
        """Their size together."""


class Excess(NamedTuple):
    """Which bound doesn't let a request in."""

    limit: str
    bound: int


class Total:
    """What several connections handle together. *most*: requests at once."""

    __slots__ = ("handling", "most")

    def __init__(self, most: int) -> None:
        self.handling = 0
        self.most = most


class Admission:
    """Counts what is being handled. *who*: the peer, or its key; *logger*: who hears of it.

    *total*: that of all connections, which has a bound of its own.
    """

    __slots__ = (
        "_logger",
        "_most",
        "_most_bytes",
        "_refusing",
        "_size",
        "_total",
        "_who",
        "handling",
    )

    def __init__(
        self,
        options: HandlerOptions,
        who: str | bytes,
        logger: logging.Logger,
        total: Total | None = None,
    ) -> None:
        self._most = options.max_handlers
        self._most_bytes = options.max_handler_bytes
        self._who = who
        self._logger = logger
        self._size = 0
        self._total = total
        self._refusing = False
        #: Requests that were let in, and aren't through.
        self.handling = 0

    def enter(self, size: int) -> Excess | None:
        """A request of *size* bytes came: None lets it in. One is always let in, of any size."""
        handling, size = self.handling, self._size + size
        if handling >= self._most:
            return self._refuse(Excess("max_handlers", self._most))
        if size > self._most_bytes and handling:
            return self._refuse(Excess("max_handler_bytes", self._most_bytes))
        total = self._total
        if total is not None:
            # Handlers may outlive their connections, so that bounds of these don't do.
            if total.handling >= total.most:
                return self._refuse(Excess("max_total_handlers", total.most))
            total.handling += 1
        self.handling = handling + 1
        self._size = size
        return None

    def leave(self, size: int) -> None:
        """A request that was let in is through."""
        self.handling -= 1
        self._size -= size
        if self._total is not None:
            self._total.handling -= 1
        if self._refusing and self.handling * 2 < self._most:
            self._refusing = False

    def _refuse(self, excess: Excess) -> Excess:
        # Loud once: a peer that asks too much mustn't fill the log as well.
        level = logging.DEBUG if self._refusing else logging.WARNING
        self._refusing = True
        who = self._who.hex() if isinstance(self._who, bytes) else self._who
        self._logger.log(
            level, "requests of %s are refused: %s is %d", who, excess.limit, excess.bound
        )
        return excess
