"""Which connections a server has: by their ids, and by what their clients said of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._connection import Connection


class Registry:
    """The open connections whose handshake is through."""

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: Connection) -> None:
        """It is ready."""
        self._connections[connection.id] = connection

    def remove(self, connection: Connection) -> bool:
        """It has ended; whether it was there."""
        return self._connections.pop(connection.id, None) is not None

    def all(self) -> list[Connection]:
        """Those that there are, oldest first."""
        return list(self._connections.values())

    def get(self, connection_id: str) -> Connection | None:
        """That of this id."""
        return self._connections.get(connection_id)

    def with_metadata(self, metadata: Any) -> list[Connection]:
        """Those whose clients said just this; lists and objects are compared as well."""
        return [each for each in self._connections.values() if _alike(each.metadata, metadata)]


def _alike(one: Any, other: Any) -> bool:
    """Whether two are the same in JSON, where True isn't 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)
