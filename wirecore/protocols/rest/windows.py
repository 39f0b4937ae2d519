"""How much of a body may be under way: each stream's window, and what all of them may hold.

A window begins at :data:`INITIAL`, which both ends know. It doubles whenever its owner has read
half of it, as one who reads that fast loses time with less: up to *largest*, and as long as all
windows of the connection together hold no more than *budget* beyond their beginnings. So a
connection holds at most its number of streams times the beginning, and the budget.
"""

from __future__ import annotations

from typing import Final

from wirecore.session.limits import check_at_least

#: Bytes of a body that may come before its receiver grants more.
INITIAL: Final = 64 * 1024

#: No window is longer: it is a number of 31 bits.
LARGEST: Final = (1 << 31) - 1


class Windows:
    """What one end lets the other send. *largest* and *budget*: in bytes, see above.

    Raises :class:`~wirecore.errors.InvalidOption` for a *largest* below the beginning, or a
    *budget* below 0.
    """

    __slots__ = ("_extra", "_largest", "_left")

    def __init__(self, largest: int, budget: int) -> None:
        check_at_least("max_window", largest, INITIAL)
        check_at_least("window_budget", budget, 0)
        self._largest = min(largest, LARGEST)
        self._left = budget
        self._extra: dict[int, int] = {}  # of streams whose windows have grown

    def grant(self, stream: int, unread: int) -> int:
        """How many bytes more *stream* may be sent, of which its owner has read *unread*.

        0: later, together with others.
        """
        extra = self._extra.get(stream, 0)
        size = INITIAL + extra
        if unread < size // 2:
            return 0
        more = min(size, self._largest - size, self._left)
        if more > 0:
            self._extra[stream] = extra + more
            self._left -= more
            return unread + more
        return unread

    def forget(self, stream: int) -> None:
        """*stream* is over."""
        self._left += self._extra.pop(stream, 0)
