# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""How calls are sent over one connection: a task's, and what was submitted.

``wirecore._submitting`` is this file, compiled with the types that ``_submitting.pxd`` declares.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wirecore.errors import NotConnected

if TYPE_CHECKING:
    # A module, as its class's name is that of a type already where this is compiled.
    from wirecore_py import moving, waiting


def come(told: waiting.Told) -> bool:
    """Whether some have ended for *told*: they are waited for in place, where that pays.

    False: wait in the loop, also where it has a task already that waits there.
    """
    mover: moving.Mover | None = told._mover
    if mover is None or told._task is not None or told._ended:
        return False
    if mover.ended:
        told._mover = None  # who takes keeps nothing of it
        return False
    # Its task adds nothing to what it has submitted.
    if told._several:
        mover._flusher.flush()
    elif mover.listed:
        try:
            mover.push()
        except Exception as error:  # noqa: BLE001 - a defect, which is the connection's alone
            mover._fail(error)
            return False
    rhythm = mover._rhythm
    if rhythm.turn_is_due():
        return False
    while not told._ended and rhythm.read_on():
        pass
    return bool(told._ended)


class Submitter:
    """Sends calls over the connection that *mover* moves the bytes of.

    *callers*: hear of what was submitted; *askers*: of what tasks ask.
    *queue*: the session's method that opens a call and queues it: it takes the call, three things
    that are its protocol's, and the time. *seconds*: that each call may take. *high_water*: bytes
    that may wait before calls had better wait.
    """

    __slots__ = (
        "_askers",
        "_box",
        "_callers",
        "_high_water",
        "_mover",
        "_outbox",
        "_queue",
        "_seconds",
        "_session",
    )

    def __init__(
        self,
        mover: moving.Mover,
        callers: waiting.Callers,
        queue: str,
        seconds: float,
        high_water: int,
        *,
        askers: waiting.Callers,
    ) -> None:
        self._mover = mover
        self._session = mover.session
        self._outbox = mover.session.outbox
        try:
            self._box = self._outbox  # as the backend's own it is a type of C
        except TypeError:
            self._box = None
        self._callers = callers
        self._queue = queue
        self._seconds = seconds
        self._high_water = high_water
        self._askers = askers

    def ask(self, what: Any, value: Any, kind: Any) -> Any:
        """A task's call, which is queued and sent; its outcome may be there already.

        None where the task has to wait before: it is crowded, the loop's turn is due, or the reader
        is paused, who is to read the answer. Raises as :meth:`queue`. See the mover's ``asked``.
        """
        mover = self._mover
        if self._waits() > self._high_water or mover.turn_is_due() or mover.paused is not None:
            return None
        if mover.ended:
            raise NotConnected
        now = mover._time()
        call = self._askers.new_call()
        # By name each time: who watches may put something in its place, for a while.
        getattr(self._session, self._queue)(call, what, value, kind, now)
        mover.asked(call, now + self._seconds, self._askers)
        return call

    @property
    def crowded(self) -> bool:
        """Whether so much waits to be sent that calls had better wait."""
        return self._waits() > self._high_water

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
        now = mover._time()
        pending._begin(self._callers, annotation, now, take)
        if mover.ended:
            raise NotConnected
        getattr(self._session, self._queue)(pending, what, value, kind, now)
        return now

    def submit(
        self,
        pending: Any,
        take: Callable[[Any], object] | None,
        what: Any,
        value: Any,
        kind: Any,
    ) -> float:
        """:meth:`queue` and :meth:`send`; below 0 where *pending* has to wait before.

        For room, for a connection, or for the reader, who is paused.
        """
        if self._waits() > self._high_water or self._mover.paused is not None:
            return -1.0
        try:
            now = self.queue(pending, None, take, what, value, kind)
        except NotConnected:
            return -1.0
        self.send(pending, now)
        return now

    def send(self, pending: Any, now: float) -> bool:
        """Send what was queued at *now*; whether it is :attr:`crowded` then."""
        mover = self._mover
        mover.hold()  # who submits one will submit more
        mover.asked(pending, now + self._seconds, None)
        return self._waits() > self._high_water

    def _waits(self) -> int:
        """Bytes that wait to be sent."""
        box = self._box
        waits: int = self._outbox.pending if box is None else box.pending
        return waits
