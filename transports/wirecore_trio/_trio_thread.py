"""A trio run in a thread of its own, and what lives in it for programs that aren't on trio."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, Generic, TypeVar

import trio

from wirecore.errors import InvalidState

from ._bridge import TrioSide
from ._errors import alone

T = TypeVar("T")

_THREAD: Final = "wirecore-trio"


class TrioThread:
    """A trio run in a thread, from when this is made; *on_ended* is called there, last of all.

    *side*: its side of the bridge. Raises what keeps trio from running.
    """

    side: TrioSide

    def __init__(self, on_ended: Callable[[], object]) -> None:
        self._on_ended = on_ended
        # Who forgets to close it is told so, and his program ends all the same.
        self._thread = threading.Thread(target=self._run, name=_THREAD, daemon=True)
        self._opened = threading.Event()
        self._closing: trio.Event
        self._nursery: trio.Nursery
        self._failure: BaseException | None = None
        self._thread.start()
        self._opened.wait()
        if not hasattr(self, "side"):
            self.join()

    @property
    def is_current(self) -> bool:
        """Whether this is called in the thread itself."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Cancel all that runs, and end the run; from any thread."""
        self.side.tell(self._closing.set)

    def join(self) -> None:
        """Wait for the thread. Raises what ended its run."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with alone():
                trio.run(self._main)
        except BaseException as error:  # noqa: BLE001 - raised where it is joined
            self._failure = error
        self._opened.set()
        self._on_ended()

    async def _main(self) -> None:
        self._closing = trio.Event()
        async with trio.open_nursery() as self._nursery:
            self.side = TrioSide(self._nursery)
            self._opened.set()
            try:
                await self._closing.wait()
            finally:
                self.side.close()
            self._nursery.cancel_scope.cancel()

    # --- in trio's run ----------------------------------------------------------------------------

    async def begin(self, function: Callable[..., Awaitable[object]], *arguments: Any) -> Any:
        """``nursery.start`` for *function*, which runs up to the end of the run."""
        return await self._nursery.start(partial(function, *arguments))

    async def hold(self, manager: AbstractAsyncContextManager[T]) -> Held[T]:
        """Enter *manager*, in a task that stays in it."""
        held = Held(manager)
        await self._nursery.start(held.run)
        return held


class Held(Generic[T]):
    """A context manager that a task of its own has entered, and leaves when it is told to.

    *value*: what entering it gave.
    """

    value: T

    def __init__(self, manager: AbstractAsyncContextManager[T]) -> None:
        self._manager = manager
        self._leaving = trio.Event()
        self._left = trio.Event()
        self._scope = trio.CancelScope()
        self._error: BaseException | None = None
        self._problem: BaseException | None = None
        self._swallowed = False

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        is_entered = False
        try:
            with self._scope:  # around all of it, as scopes are left in their order
                self.value = await self._manager.__aenter__()
                is_entered = True
                task_status.started()
                await self._stay()
        except Exception as error:
            if not is_entered:
                raise
            self._problem = error  # raised to who leaves it
        finally:
            self._left.set()

    async def _stay(self) -> None:
        manager = self._manager
        error: BaseException | None
        try:
            await self._leaving.wait()
            error = self._error
        except BaseException as problem:  # noqa: BLE001 - raised again below
            error = problem  # something of its own has ended it, or the whole run ends
        if error is None:
            await manager.__aexit__(None, None, None)
            return
        try:
            self._swallowed = bool(await manager.__aexit__(type(error), error, error.__traceback__))
        except BaseException as raised:
            if raised is not self._error:
                raise
        if not self._swallowed and error is not self._error:
            raise error

    async def leave(self, error: BaseException | None) -> bool:
        """Leave it, *error* being what its block raised; whether it swallows that.

        Raises what leaving it raises.
        """
        self._error = error
        self._leaving.set()
        try:
            await self._left.wait()
        except trio.Cancelled:
            self._scope.cancel()
            with trio.CancelScope(shield=True):
                await self._left.wait()
            raise
        if self._problem is not None:
            raise self._problem
        return self._swallowed


class Portal:
    """What the portals have in common: a thread, and whether it can be used."""

    def __init__(self) -> None:
        self._thread: TrioThread | None = None
        self._entered = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{'' if self._thread is None else ', open'}>"

    def _enter(self) -> None:
        if self._entered:
            raise InvalidState("this portal was entered already: make another")
        self._entered = True

    def _open(self) -> TrioThread:
        """The thread. Raises InvalidState where there is none, and within the thread itself."""
        thread = self._thread
        if thread is None:
            raise InvalidState("the portal isn't open: use it within its block")
        if thread.is_current:
            raise InvalidState("this is trio's own thread: await the function itself")
        return thread

    def __del__(self) -> None:
        thread = getattr(self, "_thread", None)
        if thread is not None:
            warnings.warn(f"{self!r} wasn't closed", ResourceWarning, stacklevel=2, source=self)
            thread.close()


def calling(
    function: Callable[..., Awaitable[T]], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Callable[[], Awaitable[T]]:
    """A call of *function*, to be made in trio's thread. Raises TypeError for what is none."""
    if inspect.iscoroutine(function):
        function.close()  # or Python warns that nobody awaited it, which hides what is wrong
    if not callable(function):
        raise TypeError("give an async function and its arguments, without calling it")
    return partial(function, *arguments, **keywords)
