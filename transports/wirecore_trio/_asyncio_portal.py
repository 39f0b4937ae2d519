"""trio beside an asyncio program."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, Final, Generic, ParamSpec, Self, TypeVar

from wirecore.errors import InvalidState

from ._bridge import AsyncioSide, AsyncioWaiter, TrioSide
from ._trio_thread import Held, Portal, TrioThread, calling

P = ParamSpec("P")
T = TypeVar("T")

_END: Final = object()


class AsyncioPortal(Portal):
    """A trio run in a thread, for a program on asyncio: ``async with``, once, on its loop.

    Its methods are awaited on that loop, by any number of tasks. What is cancelled there is
    cancelled on trio, and has ended there before the cancellation goes on here; what returned just
    then is lost, so don't put a timeout around each message that is received. Leaving cancels
    what still runs on trio, waits for its thread, and raises what ended trio's run, if something
    did.

    All methods raise InvalidState outside of the block, and CutOff, which is one, where trio's run
    has ended. A portal that is collected before it was left says so, in a ResourceWarning.
    """

    _home: AsyncioSide
    _ended: AsyncioWaiter

    async def __aenter__(self) -> Self:
        import asyncio

        loop = asyncio.get_running_loop()
        self._enter()
        self._home = AsyncioSide(loop)
        self._ended = AsyncioWaiter(loop)
        self._thread = TrioThread(partial(self._home.tell, self._ended.wake))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        thread, self._thread = self._thread, None
        assert thread is not None
        thread.close()
        cancelled = await self._ended.wait(lambda: None)  # what was cancelled ends
        self._home.close()
        thread.join()
        if cancelled is not None:
            raise cancelled

    def _sides(self) -> tuple[TrioSide, AsyncioSide]:
        """Both sides of the bridge, from either thread."""
        if self._thread is None:
            raise InvalidState("the portal isn't open")
        return self._thread.side, self._home

    async def _call(
        self,
        call: Callable[[], Awaitable[T]],
        undo: Callable[[T], Awaitable[object]] | None = None,
    ) -> T:
        """Await *call* on trio; see :meth:`TrioSide.from_asyncio`."""
        import asyncio

        side = self._open().side
        if asyncio.get_running_loop() is not self._home.loop:
            raise InvalidState("a portal is used on the loop that it was opened on")
        return await side.from_asyncio(self._home, call, undo)

    async def run(
        self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await ``function(*args, **kwargs)`` on trio: what it returns, or raises."""
        return await self._call(calling(function, args, kwargs))

    async def start(self, function: Callable[..., Awaitable[object]], *args: Any) -> Any:
        """Start *function* as ``nursery.start`` does; it goes on until the portal is left.

        What it says that it has started with, as the address that a server listens on. What it
        raises after that ends trio's run.
        """
        call = calling(function, args, {})
        return await self._call(partial(self._open().begin, call))

    def entered(self, manager: AbstractAsyncContextManager[T]) -> AbstractAsyncContextManager[T]:
        """*manager*, which is trio's, for an ``async with`` here: it is entered and left there."""
        return _Entered(self, manager)

    async def iterate(self, iterable: AsyncIterable[T]) -> AsyncIterator[T]:
        """What *iterable* gives, which is trio's: ``async for piece in portal.iterate(response)``.

        Each item crosses over when it is asked for.
        """
        iterator = aiter(iterable)
        while True:
            item: Any = await self.run(anext, iterator, _END)
            if item is _END:
                return
            yield item


class _Entered(AbstractAsyncContextManager[T], Generic[T]):
    def __init__(self, portal: AsyncioPortal, manager: AbstractAsyncContextManager[T]) -> None:
        self._portal = portal
        self._manager = manager
        self._held: Held[T]

    async def __aenter__(self) -> T:
        portal = self._portal
        self._held = await portal._call(partial(portal._open().hold, self._manager), self._undo)
        return self._held.value

    async def _undo(self, held: Held[T]) -> None:
        await self._portal._call(partial(held.leave, None))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return await self._portal._call(partial(self._held.leave, error))
