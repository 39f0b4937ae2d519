"""How long a store keeps a session that nobody looks up."""

from __future__ import annotations

from datetime import datetime, timedelta

from wirecore.session.limits import check_above, check_at_most

from ..._arguments import require_seconds

#: Seconds of a hundred years: more is no lifetime, and less than what times can hold.
_MOST = 100 * 365.25 * 86400


class Lifetime:
    """*seconds* from the last lookup (or the creation) on; None: for ever.

    Raises TypeError for other types, InvalidOption for 0 and below, or over a hundred years.
    """

    __slots__ = ("_span",)

    def __init__(self, seconds: float | None) -> None:
        require_seconds("lifetime", seconds)
        self._span: timedelta | None = None
        if seconds is not None:
            check_above("lifetime", seconds, 0)
            check_at_most("lifetime", seconds, _MOST)
            self._span = timedelta(seconds=seconds)

    def has_ended(self, last_lookup: datetime, now: datetime) -> bool:
        """Whether a session looked up at *last_lookup* is forgotten *now*."""
        return self._span is not None and now - last_lookup > self._span

    def oldest(self, now: datetime) -> datetime | None:
        """What was looked up before that is forgotten *now*; None: nothing is."""
        return None if self._span is None else now - self._span

    @property
    def milliseconds(self) -> int:
        """The same in ms, at least 1; 0: for ever."""
        return 0 if self._span is None else max(1, round(self._span.total_seconds() * 1000))
