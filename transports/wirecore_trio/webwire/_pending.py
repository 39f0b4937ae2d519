"""Requests that were submitted, and where they are told that have ended."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from .. import _done
from .._pending import Pending

T = TypeVar("T")


class PendingRequest(Pending[T]):
    """A request that was submitted.

    It goes on whether anybody waits for it or not; its outcome is kept for as long as this object.
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self._subject

    @property
    def payload(self) -> Any:
        """What ``submit`` was given: a value, where there is a codec."""
        return self._value

    def __repr__(self) -> str:
        return f"<webwire.PendingRequest {self._subject!r}, {self._state}>"

    def __str__(self) -> str:
        return f"the request {self._subject!r}"


class Done(_done.Done[PendingRequest[T]], Generic[T]):
    """Requests that have ended, in the order in which they did, for the one task that takes them.

    Give it to ``submit`` as *done*, for any number of requests, of any clients. It holds any
    number: how many are under way is up to who submits them::

        done = webwire.Done()
        for number in range(64):
            client.submit("square", str(number), done=done)
        async for request in done:
            print(request.payload, request.result().text)
            client.submit("square", str(int(request.payload) + 64), done=done)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<webwire.Done with {len(self)} requests>"
