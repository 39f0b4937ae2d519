"""The only place where bytes move: between a link and a sans-IO session.

A pump is a plain object driven by whoever reads (`read`, or `run_reader` in a task) and by
whoever wrote something into the session (`write`). It owns no task while nothing is stuck: a
writer task exists only while the link can't take what is to be sent.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from wirecore import errors
from wirecore._backend import default
from wirecore.moving_rules import MAX_SEND, PUSH_BUDGET, RECEIVE_BUFFER
from wirecore.session import Outbox, Session, Stage

from ._amounts import HEADS, LAST_FLUSH, LAST_READS, READS_IN_A_ROW
from ._clock import Timer, current_clock
from ._company import current_company
from ._flusher import current_flusher
from ._idle import watch_pass
from ._link import Link
from ._of_run import shared_buffer
from ._owner import Owner
from ._rhythm import current_rhythm, take_turn
from ._watch import current_watch
from ._watched_reader import WatchedReader

logger = logging.getLogger("wirecore.pump")

#: What a link raises when the connection is gone.
_LOSS: Final = (trio.BrokenResourceError, trio.ClosedResourceError, errors.RemoteError)

#: What waiting for a link may raise: also where the system can't watch one connection more.
WAIT_FAILED: Final = (*_LOSS, OSError)

# Sessions and their owners mustn't raise. Should one do it nevertheless, then often in a system
# task, where it would end the whole run; here it ends the one connection.
_DEFECT: Final = "a connection failed: its session or its owner raised, which is a defect of theirs"

_shared_buffer = shared_buffer("buffer", RECEIVE_BUFFER)


if TYPE_CHECKING:
    from wirecore_py.moving import Mover
else:
    Mover = default.moving.Mover


class Ending(Protocol):
    """What says whether a connection has begun to end."""

    @property
    def plain(self) -> bool:
        """False once it has, and where somebody has to look closer."""


class _Watched:
    plain = False


#: For a session whose own deadlines may come nearer where it sends something.
WATCHED: Final[Ending] = _Watched()


class Pump(Mover):
    """Moves bytes between *link* and *session*, keeps the session's deadlines, tells *owner*.

    What it does for each message is its base's, the Mover of the process' backend.

    *write_timeout*: seconds that a peer may take nothing of what is owed to it, nor of what the
    system holds for it, before the connection counts as lost. *high_water*: bytes that may wait
    to be sent before ``drained`` makes senders wait. *eager_wait*: seconds that `read_in_place`
    may hold the thread. *vigilant*: look at the session's deadline after each read, which may
    have brought it nearer; else the owner sees to that. *lingering*: what says that no read can
    have brought one; None: the owner sees to that, too.
    """

    __slots__ = (
        "_backlog",
        "_clock",
        "_finishing",
        "_grown",
        "_high_water",
        "_over",
        "_timer",
        "_watched",
        "_write_deadline",
        "_write_timeout",
    )

    session: Session[Any]
    _outbox: Outbox
    _parked: trio.lowlevel.ParkingLot | None
    _stage: Stage
    paused: trio.Event | None

    def __init__(
        self,
        link: Link,
        session: Session[Any],
        owner: Owner[Any],
        *,
        write_timeout: float,
        high_water: int,
        eager_wait: float = 0.0,
        vigilant: bool = False,
        lingering: Ending | None = None,
    ) -> None:
        self._clock = current_clock()
        super().__init__(
            link,
            session,
            owner,
            losses=_LOSS,
            rhythm=current_rhythm(),
            flusher=current_flusher(),
            company=current_company(),
            view=_shared_buffer(),
            now=self._clock.now,
            ticks=self._clock.ticks,
            eager_wait=eager_wait,
            vigilant=vigilant,
            lingering=lingering,
        )
        self._write_timeout = write_timeout
        self._high_water = high_water
        self._timer: Timer | None = None
        self._write_deadline = math.inf
        self._backlog: int | None = None
        self._grown = 0  # of a message, when a full buffer was judged last
        self._finishing = False
        self._over: trio.lowlevel.ParkingLot | None = None  # readers with nothing left to read
        self._watched: WatchedReader | None = None
        self.arm()

    # --- in ---------------------------------------------------------------------------

    def busy(self) -> bool:
        """Whether a full buffer was work: not where nearly all of it went into one large message.

        Ask once for each.
        """
        before, self._grown = self._grown, self._stage.growing
        if self._grown < before:
            before = 0  # it is another message
        return self._grown - before < RECEIVE_BUFFER - HEADS

    # Ctrl-C waits until it is through: it would lose what others are waiting for.
    @trio.lowlevel.enable_ki_protection
    def read_for_reader(self) -> bool:
        """`read_in_place` from another task while the reader waits: False also where none does.

        As the reader reads: what doesn't block is handled in its context.
        """
        return self.read_as_reader()

    async def run_reader(self) -> None:
        """Read until the connection has ended. The way of RPC, whose reader never pauses."""
        self._context = trio.lowlevel.current_task().context
        watch = current_watch()
        if watch is None:
            await self._read_until_end()
            return
        self._watched = WatchedReader(self, watch)
        try:
            await self._read_until_end()
        finally:
            self._watched.through()
            self._watched = None

    async def _read_until_end(self) -> None:
        in_vain = False
        while not self.ended:
            if self.paused is not None:
                await self.paused.wait()
            elif not in_vain and self.read_on(READS_IN_A_ROW):
                if not self.ended:
                    await trio.lowlevel.checkpoint()
            elif self._sleeps():
                assert self._watched is not None
                self.woke = in_vain = False
                await self._watched.sleep()
            else:
                takes_turn = self._takes_turn()
                waiting = self.wait_readable()
                self.woke = False
                try:
                    await waiting
                except WAIT_FAILED as error:
                    self.end(error)
                self.had_turn()
                # Who has read in place what the loop had seen may have to ask before more can come.
                in_vain = not self.read() and not takes_turn

    def _sleeps(self) -> bool:
        watched = self._watched
        if watched is None or self._at_eof or self._stage.finished or self._takes_turn():
            return False
        return watched.may_sleep()

    def had_turn(self) -> None:
        """Trio's loop has had its turn, as `wait_readable` has returned."""
        self._rhythm.had_turn()

    def wait_readable(self) -> Coroutine[Any, Any, None]:
        """Wait until there may be something to read, or the pump has ended.

        A checkpoint only where the loop's turn is all that keeps from reading in place. Raises one
        of ``WAIT_FAILED`` where the link is gone: end the pump with it. Behind the end
        of stream or session nothing can come; but what is queued may be on its way out.
        """
        # No frame of its own: most connections wait here.
        if self._at_eof or self._stage.finished:
            if self._over is None:
                self._over = trio.lowlevel.ParkingLot()
            return self._over.park()
        if self._takes_turn():
            watch_pass()
            return trio.lowlevel.checkpoint()  # noqa: ASYNC105  # the caller awaits it
        return self.link.wait_readable()  # type: ignore[no-any-return]

    def _takes_turn(self) -> bool:
        # In one pass trio runs tasks in any order: who was woken might come behind the reader.
        return not (self.woke or self.turning) and self.turn_is_due()

    def take_turn(self) -> Coroutine[Any, Any, None]:
        """A checkpoint, where one :meth:`turn_is_due`."""
        return take_turn(self._rhythm)

    # --- out --------------------------------------------------------------------------

    def push_late(self) -> None:
        """The flusher's turn: send what came together since this pass' first write."""
        self._sent_in_pass = False
        self.listed = False
        if not self.ended:
            self.push()

    def _write_on(self) -> None:
        self._writing = True
        trio.lowlevel.spawn_system_task(self._write_rest, name="wirecore writer")
        self._took_some(self.now())
        self.arm()

    def untaken(self) -> int:
        """Bytes of what was queued that the peer's system hasn't taken yet."""
        return self._outbox.pending + (self.link.backlog() or 0)

    def closed(self) -> None:
        """The session may have finished by its user's doing: see to that, if no read does."""
        if not self.reading and not self.ended:
            self.settle(self.now())

    def push_last(self) -> None:
        """Send what the link takes, also past a writer that waits: the end comes next."""
        if not self.ended:
            try:
                self._outbox.offer(self.link, MAX_SEND, PUSH_BUDGET)
            except _LOSS as error:
                self._write_failed(error)

    def _write_failed(self, error: BaseException) -> None:
        # The peer may have said why before it went: its last messages and its close frame can
        # still lie in our receive buffer, and are worth more than "broken pipe".
        self._writing = True  # for good: nothing more can be sent
        self._broken = error
        if not self.reading:
            self._read_the_rest()

    def _read_the_rest(self) -> None:
        error, self._broken = self._broken, None
        for _ in range(LAST_READS):
            if self.ended or not self.read():
                break
        self.end(error)

    async def _write_rest(self) -> None:
        try:
            while not self.ended and (self._outbox.pending or self.link.owes):
                await self.link.flush()
                self._outbox.offer(self.link, MAX_SEND, PUSH_BUDGET)
                if not self._stage.finished:  # _finish has set the last deadline
                    self._took_some(self.now())
                self._wake_parked()
        except _LOSS as error:
            self._write_failed(error)
        finally:
            self._writing = False
            self._write_deadline = math.inf
            self._wake_parked()
        if self._stage.finished and not self.ended:
            self.end(None)

    async def drained(self) -> None:
        """Wait while too much is queued. A checkpoint only if there is something to wait for.

        Cancelled here, a sender has queued nothing.
        """
        while not self._may_queue(self._high_water):
            if self._parked is None:
                self._parked = trio.lowlevel.ParkingLot()
            await self._parked.park()
        # Woken one by one, each wakes the next: all at once they would fight for the room. Who
        # finds room meanwhile takes it: a line would let by no more than one in a pass.
        if self._parked is not None:
            self._parked.unpark()

    @property
    def crowded(self) -> bool:
        """Whether ``drained`` would wait."""
        return not self._may_queue(self._high_water)

    def _may_queue(self, mark: int) -> bool:
        return self._outbox.pending <= mark or self._stage.finished or self.ended

    def _wake_parked(self) -> None:
        if self._parked is not None and self._may_queue(self._high_water // 2):
            self._parked.unpark()

    # --- time and end -----------------------------------------------------------------

    def arm(self) -> None:
        """Keep the session's next deadline: call it when one is nearer than *armed*."""
        deadline = min(self.session.next_deadline(), self._write_deadline)
        timer = self._timer
        if deadline == math.inf or self.ended:
            return
        if timer is not None:
            if timer.deadline <= deadline:
                return  # it will look again when it fires
            timer.cancel()
        self._timer = self._clock.call_at(deadline, self._on_time)
        self.armed = deadline

    def _on_time(self, now: float) -> None:
        self._timer = None
        self.armed = math.inf
        if self._write_deadline <= now and not self._reads_slowly(now):
            self.end(
                trio.BrokenResourceError(
                    f"the peer took nothing of what was sent for {self._write_timeout:g} s"
                )
            )
            return
        try:
            if self.session.next_deadline() <= now:
                self._expire(now)
            self.arm()
        except Exception as error:  # noqa: BLE001 - whatever a defect of theirs raises
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        logger.error(_DEFECT, exc_info=error)
        self.end(error)

    def _took_some(self, now: float) -> None:
        self._write_deadline = now + self._write_timeout
        self._backlog = self.link.backlog() if self._write_timeout < math.inf else None

    def _reads_slowly(self, now: float) -> bool:
        """Whether the peer has taken something although the link couldn't take more.

        A system that holds megabytes says that it has room only when a third of them is gone.
        """
        before, finished = self._backlog, self._stage.finished
        left = self.link.backlog()
        if finished or before is None or left is None or left >= before:
            return False
        self._took_some(now)
        return True

    def _expire(self, now: float) -> None:
        stuck = self._writing
        happened = self.session.expire(now)
        if happened:
            self._asked = 0
            self._owner.received(happened)
        if stuck and self._stage.finished:
            self.end(None)  # the time to wait for this peer was up, also for its last bytes
        else:
            self.settle(now)

    def _finish(self, now: float) -> None:
        if self._outbox.pending or self.link.owes:
            self._write_deadline = min(self._write_deadline, now + LAST_FLUSH)
            self.arm()
            self._wake_parked()
            if not self._finishing:
                self._finishing = True
                self._owner.on_finish()
        else:
            self.end(None)

    def cut(self, error: errors.LocalLimitExceeded) -> None:
        """End it for a peer that doesn't read: *error* says how much would wait for it."""
        # Memory comes before what such a peer asks for.
        logger.warning("a peer that doesn't read is cut: %s", error)
        self.end(trio.BrokenResourceError(f"the peer doesn't read: {error}"))

    def end(self, error: BaseException | None) -> None:
        """Close the link now and say so to the owner. Idempotent."""
        if self.ended:
            return
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watched is not None:
            self._watched.wake()
        self.link.close()
        self._wake_parked()
        if self.paused is not None:
            self.paused.set()
        if self._over is not None:
            self._over.unpark_all()
        self._owner.on_end(error)
