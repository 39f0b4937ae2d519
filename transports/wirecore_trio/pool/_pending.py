"""Calls that were submitted, and where they are told that have ended."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from .. import _done
from .._pending import Pending

T = TypeVar("T")


class PendingCall(Pending[T]):
    """A call that was submitted.

    It goes on whether anybody waits for it or not; its outcome is kept for as long as this object.
    """

    __slots__ = ()

    @property
    def method(self) -> str:
        """What it calls."""
        return self._subject

    @property
    def argument(self) -> Any:
        """What with."""
        return self._value

    def __repr__(self) -> str:
        return f"<pool.PendingCall of {self._subject}, {self._state}>"

    def __str__(self) -> str:
        return f"the call of {self._subject}"


class Done(_done.Done[PendingCall[T]], Generic[T]):
    """Calls that have ended, in the order in which they did, for the one task that takes them.

    Give it to ``submit`` as *done*, for any number of calls, of pools or of call-backs. It holds
    any number: how many are under way is up to who submits them::

        done = pool.Done()
        for number in range(64):
            server.submit("Arith.Square", number, int, done=done)
        async for call in done:
            print(call.argument, call.result())
            server.submit("Arith.Square", call.argument + 64, int, done=done)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<pool.Done with {len(self)} calls>"
