"""What crosses from a thread to the loop of another: calls to make there, and what became of them.

Nothing here knows which loop it is.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import trio

from wirecore.errors import InvalidState

T = TypeVar("T")


class CutOff(InvalidState):
    """What the other loop was to do isn't done: it has ended, or ends."""


class Inbox:
    """Calls from other threads for the one of a loop, which is woken once for all that are there.

    *wake*: has a function called there soon, RuntimeError where the loop has ended. *is_over*:
    whether it has, for loops that may end and not tell. *name*: what errors call it. The calls
    mustn't raise.
    """

    __slots__ = ("_calls", "_closed", "_is_over", "_lock", "_name", "_pid", "_wake", "_woken")

    def __init__(
        self,
        name: str,
        wake: Callable[[Callable[[], None]], object],
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._name = name
        self._wake = wake
        self._is_over = is_over
        self._calls: deque[Callable[[], object]] = deque()
        # What is collected as it is held, or a signal's handler, may put something as well.
        self._lock = threading.RLock()
        self._woken = False
        self._closed = False
        self._pid = os.getpid()

    # An interrupt between the two lines that count would leave the loop asleep.
    @trio.lowlevel.enable_ki_protection
    def put(self, call: Callable[[], object]) -> None:
        """Have *call* called. From any thread. Raises CutOff where the loop has ended."""
        if os.getpid() != self._pid:
            raise CutOff(f"{self._name} stayed behind when this process was forked")
        with self._lock:
            if self._closed or self._is_over():
                raise CutOff(f"{self._name} has ended")
            self._calls.append(call)
            if not self._woken:
                try:
                    self._wake(self._drain)
                except RuntimeError as error:
                    self._calls.pop()
                    raise CutOff(f"{self._name} has ended") from error
                self._woken = True

    def _drain(self) -> None:
        with self._lock:
            self._woken = False
            calls, self._calls = self._calls, deque()
        for call in calls:
            call()

    def close(self) -> None:
        """Take no more, and call what is there. In the loop's thread, or when that has ended."""
        with self._lock:
            self._closed = True
        self._drain()


class Crossing(Generic[T]):
    """One call that a loop carries out for somebody elsewhere, who is told when it is over.

    *tell* is called in the loop's thread, and mustn't raise. The call has the context of who makes
    this. *over*: whether it has ended; *value*: what it returned, if it did.
    """

    __slots__ = ("_error", "call", "context", "handle", "over", "returned", "tell", "value")

    def __init__(self, call: Callable[[], Awaitable[T]], tell: Callable[[], object]) -> None:
        self.call = call
        self.tell = tell
        self.context = contextvars.copy_context()
        #: What cancels it, where it is carried out.
        self.handle: Any = None
        self.over = False
        self.returned = False
        self.value: T
        self._error: BaseException | None = None

    def succeed(self, value: T) -> None:
        """It has returned *value*."""
        if not self.over:
            self.value = value
            self.returned = self.over = True
            self.tell()

    def fail(self, error: BaseException) -> None:
        """It has raised *error*, or won't be carried out because of it."""
        if not self.over:
            self._error = error
            self.over = True
            self.tell()

    def result(self) -> T:
        """What it returned; raises what it raised, and CutOff where it was cancelled."""
        if self._error is None:
            return self.value
        try:
            raise self._error
        finally:
            del self  # the error's traceback would hold it, and so itself
