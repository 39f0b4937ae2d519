"""Which connections use which session, on one server."""

from __future__ import annotations

from typing import Generic, TypeVar

C = TypeVar("C")


class SessionRegistry(Generic[C]):
    """The connections of each session that somebody uses, by its key, the oldest first."""

    __slots__ = ("_connections",)

    def __init__(self) -> None:
        self._connections: dict[str, dict[C, None]] = {}

    def attach(self, key: str, connection: C, most: int) -> bool:
        """*connection* uses the session of *key*. False, and it doesn't, where *most* do (0: any).

        Idempotent.
        """
        users = self._connections.get(key, {})
        if connection not in users and 0 < most <= len(users):
            return False
        self._connections.setdefault(key, users)[connection] = None
        return True

    def detach(self, key: str, connection: C) -> int:
        """*connection* doesn't any more; how many still do. Idempotent."""
        users = self._connections.get(key, {})
        users.pop(connection, None)
        if not users:
            self._connections.pop(key, None)
        return len(users)

    def connections(self, key: str) -> list[C]:
        """Who uses the session of *key*."""
        return list(self._connections.get(key, ()))

    @property
    def keys(self) -> list[str]:
        """The sessions in use."""
        return list(self._connections)

    def __len__(self) -> int:
        return len(self._connections)
