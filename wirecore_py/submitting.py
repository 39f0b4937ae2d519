# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""How what was submitted is sent over one connection.

``wirecore._submitting`` is this file, compiled with the types that ``_submitting.pxd`` declares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wirecore.errors import NotConnected

if TYPE_CHECKING:
    # A module, as its class's name is that of a type already where this is compiled.
    from wirecore_py import moving, waiting


class Submitter:
    """Sends calls over the connection that *mover* moves the bytes of; *callers* hear of them.

    *queue*: opens a call and queues it: a session's method, which takes the call, three things
    that are its protocol's, and the time. *seconds*: that each call may take. *high_water*: bytes
    that may wait before calls had better wait.
    """

    __slots__ = ("_callers", "_high_water", "_mover", "_outbox", "_queue", "_seconds")

    def __init__(
        self,
        mover: moving.Mover,
        callers: waiting.Callers,
        queue: Callable[[Any, Any, Any, Any, float], object],
        seconds: float,
        high_water: int,
    ) -> None:
        self._mover = mover
        self._outbox = mover.session.outbox
        self._callers = callers
        self._queue = queue
        self._seconds = seconds
        self._high_water = high_water

    @property
    def crowded(self) -> bool:
        """Whether so much waits to be sent that calls had better wait."""
        waits: int = self._outbox.pending
        return waits > self._high_water

    def queue(
        self,
        pending: Any,
        annotation: Any,
        take: Callable[[Any], object] | None,
        what: Any,
        value: Any,
        kind: Any,
    ) -> float:
        """Queue *pending*, with three things for the session; when that was.

        *annotation* and *take* are as the call has them. Raises NotConnected where the connection
        has ended, and what the session does; nothing is queued then.
        """
        mover = self._mover
        now = mover.now()
        pending._begin(self._callers, annotation, now, take)
        if mover.ended:
            raise NotConnected
        self._queue(pending, what, value, kind, now)
        return now

    def send(self, pending: Any, now: float) -> bool:
        """Send what was queued at *now*; whether it is :attr:`crowded` then."""
        mover = self._mover
        mover.hold()  # who submits one will submit more
        mover.asked(pending, now + self._seconds, None)
        waits: int = self._outbox.pending
        return waits > self._high_water
