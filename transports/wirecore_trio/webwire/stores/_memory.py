"""Sessions in a dict, for as long as the process lives."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from wirecore.protocols.webwire import Session
from wirecore.session.limits import check_at_least

from ..._arguments import require_int
from ._lifetime import Lifetime
from ._record import check_zone, info_from_json, info_to_json, key_taken


class _Kept(NamedTuple):
    created: datetime
    last_lookup: datetime
    info: bytes


class MemoryStore:
    """Keeps sessions in memory: all are gone when the process ends, and no other process has them.

    *most*: how many it holds; one more, and the one that wasn't looked up for the longest time is
    forgotten. None, the default, is no bound: then whoever can make the program create sessions
    can fill its memory, unless they expire. *lifetime*: seconds from its last lookup (or its
    creation) after which a session is forgotten; None: never.

    Takes any key. Raises TypeError for other types, InvalidOption for *most* below 1 or a
    *lifetime* of 0 or less.
    """

    def __init__(self, *, most: int | None = None, lifetime: float | None = None) -> None:
        if most is not None:
            require_int("most", most)
            check_at_least("most", most, 1)
        self._most = most
        self._lifetime = Lifetime(lifetime)
        # In the order of their lookups: what is forgotten first stands first.
        self._sessions: dict[str, _Kept] = {}

    def __len__(self) -> int:
        """How many sessions it holds, perhaps with some that have expired since the last call."""
        return len(self._sessions)

    async def create(self, session: Session) -> None:
        """Keep *session*. Raises KeyError where its key is taken, and keeps the one it has."""
        check_zone(session.created)
        check_zone(session.last_lookup)
        self._forget_expired(session.last_lookup)
        if session.key in self._sessions:
            raise key_taken()
        kept = _Kept(session.created, session.last_lookup, info_to_json(session))
        if self._most is not None and len(self._sessions) >= self._most:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session.key] = kept

    async def look_up(self, key: str, now: datetime) -> Session | None:
        """The session of *key* as it was kept, and *now* is its last lookup; None without one."""
        self._forget_expired(now)
        kept = self._sessions.pop(key, None)
        if kept is None or self._lifetime.has_ended(kept.last_lookup, now):
            return None
        self._sessions[key] = kept._replace(last_lookup=now)
        return Session(key, kept.created, kept.last_lookup, info_from_json(kept.info))

    async def close(self, key: str) -> None:
        """Forget the session of *key*. Nothing happens where there is none."""
        self._sessions.pop(key, None)

    def _forget_expired(self, now: datetime) -> None:
        while self._sessions:
            first = next(iter(self._sessions))
            if not self._lifetime.has_ended(self._sessions[first].last_lookup, now):
                return
            del self._sessions[first]
