"""How far a session of the pool is, which may have more to tell than it does at once."""

from __future__ import annotations

from typing import Final

from wirecore.websocket.connection import Connection

#: Requests or answers that one call of ``receive`` sees to at most. One message may hold any number
#: of small ones: their owner is to see to some before others, and other connections have a turn.
BATCH: Final = 1024


class BatchStage:
    """A :class:`~wirecore.session.Stage` that is *held* while there may be more for the owner."""

    __slots__ = ("_connection", "held")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.held = False

    @property
    def finished(self) -> bool:
        """See :class:`~wirecore.session.Stage`."""
        return self._connection.finished

    @property
    def plain(self) -> bool:
        """See :class:`~wirecore.websocket.Connection`."""
        return self._connection.plain

    @property
    def deferred(self) -> bool:
        """See :class:`~wirecore.session.Stage`."""
        return self.held or self._connection.deferred

    @property
    def growing(self) -> int:
        """See :class:`~wirecore.session.Stage`."""
        return self._connection.growing
