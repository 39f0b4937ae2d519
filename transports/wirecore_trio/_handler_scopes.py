"""The scopes of one connection's handlers: their time, and their end with the connection."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import trio


class HandlerScopes:
    """Makes a scope for each handler, where one is *needed*.

    *timeout*: seconds that each may take, None: no bound. *cancels*: whether those that still
    run are cancelled when the connection ends.
    """

    __slots__ = ("_cancels", "_open", "_over", "needed", "timeout")

    def __init__(self, *, timeout: float | None, cancels: bool) -> None:
        self.timeout = math.inf if timeout is None else timeout
        self._cancels = cancels
        #: Whether handlers need one at all: most don't, and are spared the question.
        self.needed = cancels or timeout is not None
        self._over = False
        self._open: set[trio.CancelScope] = set()

    async def within(self, handler: Awaitable[Any], cut_off: Callable[[], Exception]) -> Any:
        """What *handler* returns, in a scope of its own; raises *cut_off* where it is cancelled.

        For where one is *needed*.
        """
        timeout = self.timeout
        scope = trio.CancelScope(
            deadline=math.inf if timeout == math.inf else trio.current_time() + timeout
        )
        if self._cancels:
            self._open.add(scope)
            if self._over:
                scope.cancel()
        try:
            with scope:
                return await handler
        finally:
            self._open.discard(scope)
        raise cut_off()

    def end(self) -> None:
        """The connection has ended: cancel what runs, and what comes, if that was asked for."""
        self._over = True
        for scope in self._open:
            scope.cancel()
