"""The end of a connection, and whatever else of it others wait for."""

from __future__ import annotations

import trio


class Changing:
    """Whoever has a connection and tells of its changes; the base, with what all need.

    Who derives from it sets ``_ended`` in ``on_end``, and calls :meth:`tell_change` there and
    wherever else something has happened that somebody may wait for.
    """

    __slots__ = ("_changed", "_ended", "_gone")

    def __init__(self) -> None:
        # Made only when somebody waits.
        self._changed: trio.Event | None = None
        self._gone: trio.Event | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether the connection is gone."""
        return self._ended

    async def wait_ended(self) -> None:
        """Wait until the connection is gone."""
        # Not by changes: who waits for the end alone isn't woken in vain at each.
        if not self._ended:
            if self._gone is None:
                self._gone = trio.Event()
            await self._gone.wait()

    async def wait_for_change(self) -> None:
        """Wait until something has changed; who waits looks what it was."""
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    def tell_change(self) -> None:
        """Wake who waits for one."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None
        if self._ended and self._gone is not None:
            self._gone.set()
            self._gone = None
