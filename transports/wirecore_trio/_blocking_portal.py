"""trio beside a program without an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any, Final, Generic, ParamSpec, Self, TypeVar

from ._trio_thread import Held, Portal, TrioThread, calling

P = ParamSpec("P")
T = TypeVar("T")

_END: Final = object()


class BlockingPortal(Portal):
    """A trio run in a thread, for a program without a loop: ``with``, once.

    Its methods wait, and may be called by any number of threads. What interrupts one, as Ctrl-C
    does, cancels what it waits for. Leaving cancels what still runs on trio, waits for its thread,
    and raises what ended trio's run, if something did.

    All methods raise InvalidState outside of the block, and CutOff, which is one, where trio's run
    has ended. A portal that is collected before it was left says so, in a ResourceWarning.
    """

    def __enter__(self) -> Self:
        self._enter()
        self._thread = TrioThread(lambda: None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        thread, self._thread = self._thread, None
        assert thread is not None
        thread.close()
        thread.join()

    def _call(
        self,
        call: Callable[[], Awaitable[T]],
        undo: Callable[[T], Awaitable[object]] | None = None,
    ) -> T:
        """Await *call* on trio; see :meth:`TrioSide.from_thread`."""
        return self._open().side.from_thread(call, undo)

    def run(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await ``function(*args, **kwargs)`` on trio: what it returns, or raises."""
        return self._call(calling(function, args, kwargs))

    def start(self, function: Callable[..., Awaitable[object]], *args: Any) -> Any:
        """Start *function* as ``nursery.start`` does; it goes on until the portal is left.

        What it says that it has started with, as the address that a server listens on. What it
        raises after that ends trio's run.
        """
        return self._call(partial(self._open().begin, calling(function, args, {})))

    def entered(self, manager: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
        """*manager*, which is trio's, for a ``with`` here: it is entered and left there."""
        return _Entered(self, manager)

    def iterate(self, iterable: AsyncIterable[T]) -> Iterator[T]:
        """What *iterable* gives, which is trio's: ``for piece in portal.iterate(response)``.

        Each item crosses over when it is asked for.
        """
        iterator = aiter(iterable)
        while True:
            item: Any = self.run(anext, iterator, _END)
            if item is _END:
                return
            yield item


class _Entered(AbstractContextManager[T], Generic[T]):
    def __init__(self, portal: BlockingPortal, manager: AbstractAsyncContextManager[T]) -> None:
        self._portal = portal
        self._manager = manager
        self._held: Held[T]

    def __enter__(self) -> T:
        portal = self._portal
        self._held = portal._call(partial(portal._open().hold, self._manager), _undo)
        return self._held.value

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return self._portal._call(partial(self._held.leave, error))


async def _undo(held: Held[Any]) -> None:
    await held.leave(None)
