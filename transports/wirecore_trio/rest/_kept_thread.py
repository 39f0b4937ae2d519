"""An application in a thread of its own, which lifespans and blocks keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from wirecore.errors import InvalidState


class KeepsThread(ABC):
    """What has the thread: it ends with the last that keeps it, or by ``aclose``."""

    def __init__(self) -> None:
        self._users = 0  # lifespans and blocks
        self._shut_down = False

    def _check_not_shut_down(self) -> None:
        """Raise InvalidState for who would start the thread again with a call alone."""
        if self._shut_down:
            raise InvalidState(
                "the application has shut down: another lifespan, or async with, starts it again"
            )

    @asynccontextmanager
    async def _kept(self) -> AsyncIterator[None]:
        """Within it the thread is kept."""
        self._enter()
        try:
            yield
        finally:
            await self._leave()

    def _enter(self) -> None:
        self._users += 1
        self._shut_down = False

    async def _leave(self) -> None:
        self._users -= 1
        if not self._users:
            await self.aclose()

    async def aclose(self) -> None:
        """Cancel what still runs of the application, and end its thread.

        Raises what has ended the thread before.
        """
        self._shut_down = True
        await self._end_thread()

    @abstractmethod
    async def _end_thread(self) -> None:
        """End it, if there is one."""

    async def __aenter__(self) -> Self:
        """Keep the thread to the end of the block, whatever lifespans begin and end in it."""
        self._enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._leave()
