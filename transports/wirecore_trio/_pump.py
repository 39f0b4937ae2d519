"""The only place where bytes move: between a link and a sans-IO session.

A pump is a plain object driven by whoever reads (`read`, or `run_reader` in a task) and by
whoever wrote something into the session (`write`). It owns no task while nothing is stuck: a
writer task exists only while the link can't take what is to be sent.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, Final

import trio

from wirecore import errors
from wirecore.session import Session

from ._amounts import (
    HEADS,
    LAST_FLUSH,
    LAST_READS,
    LEFT_OUT,
    PUSH_BUDGET,
    READS_IN_A_ROW,
    RECEIVE_BUFFER,
    TOGETHER,
)
from ._clock import Timer, current_clock
from ._company import current_company
from ._flusher import current_flusher
from ._link import MAX_SEND, Link
from ._of_run import shared_buffer
from ._owner import Owner
from ._rhythm import CLOSE, IN_A_ROW, current_rhythm

logger = logging.getLogger("wirecore.pump")

#: What a link raises when the connection is gone.
_LOSS: Final = (trio.BrokenResourceError, trio.ClosedResourceError, errors.RemoteError)

#: What waiting for a link may raise: also where the system can't watch one connection more.
WAIT_FAILED: Final = (*_LOSS, OSError)

# Sessions and their owners mustn't raise. Should one do it nevertheless, then often in a system
# task, where it would end the whole run; here it ends the one connection.
_DEFECT: Final = "a connection failed: its session or its owner raised, which is a defect of theirs"

_shared_buffer = shared_buffer("buffer", RECEIVE_BUFFER)


class Pump:
    """Moves bytes between *link* and *session*, keeps the session's deadlines, tells *owner*.

    *write_timeout*: seconds that a peer may take nothing of what is owed to it, nor of what the
    system holds for it, before the connection counts as lost. *high_water*: bytes that may wait
    to be sent before ``drained`` makes senders wait. *eager_wait*: seconds that `read_in_place`
    may hold the thread. *vigilant*: look at the session's deadline after each read, which may
    have brought it nearer; else the owner sees to that. *lingering*: look at it where a read had
    the session send something: it may have been closed, and wait for the end of the stream.
    """

    __slots__ = (
        "_at_eof",
        "_backlog",
        "_broken",
        "_eager_wait",
        "_clock",
        "_company",
        "_context",
        "_finishing",
        "_flusher",
        "_grown",
        "_has_company",
        "_held",
        "_high_water",
        "_left_out",
        "_lingering",
        "_outbox",
        "_over",
        "_owner",
        "_parked",
        "reading",
        "_rhythm",
        "_sent_in_pass",
        "_stage",
        "_timer",
        "_view",
        "_vigilant",
        "_write_deadline",
        "_write_timeout",
        "_writing",
        "armed",
        "ended",
        "fed",
        "flooded",
        "link",
        "listed",
        "now",
        "paused",
        "session",
        "woke",
    )

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
        lingering: bool = False,
    ) -> None:
        self.link = link
        self.session = session
        self._outbox = session.outbox
        self._stage = session.stage
        self.ended = False
        #: While there is one the reader waits for it, and TCP slows the peer down.
        self.paused: trio.Event | None = None
        #: When something was read last, be it the end of the stream.
        self.fed = -math.inf
        #: Set by the owner that wakes a task, which is to have its turn next.
        self.woke = False
        #: Whether the last read filled the buffer: the peer sends faster than we read.
        self.flooded = False
        self._owner = owner
        self._write_timeout = write_timeout
        self._high_water = high_water
        self._eager_wait = eager_wait
        self._vigilant = vigilant
        self._lingering = lingering
        self._rhythm = current_rhythm()
        self._context: Context | None = None  # the reader's, in `run_reader`
        self._view = _shared_buffer()
        self._clock = current_clock()
        self.now = self._clock.now
        self._flusher = current_flusher()
        self._timer: Timer | None = None
        #: When it will look at its deadlines again; ``math.inf`` for never.
        self.armed = math.inf
        self._write_deadline = math.inf
        self._backlog: int | None = None
        self._writing = False
        #: Whether a read is under way: what is written meanwhile leaves at its end.
        self.reading = False
        self._left_out = 0
        self._grown = 0  # of a message, when a full buffer was judged last
        self._at_eof = False
        self._finishing = False
        self._broken: BaseException | None = None  # a send failed within a read
        self._sent_in_pass = False
        self._held = 0  # messages that wait for the end of a pass, or of a read
        self._company = current_company()
        # What isn't over a socket has no peer elsewhere; and is to happen alike each time.
        self._has_company = link.backlog() is not None
        #: Whether the flusher knows of this pump, and sends at the end of the pass.
        self.listed = False
        self._parked: trio.lowlevel.ParkingLot | None = None  # senders
        self._over: trio.lowlevel.ParkingLot | None = None  # readers with nothing left to read
        self.arm()

    # --- in ---------------------------------------------------------------------------

    def read(self) -> bool:
        """Read once without waiting; False when there was nothing to read."""
        stage = self._stage
        if stage.finished:
            return False  # whatever else comes, nobody wants it
        self.reading = True
        try:
            if stage.deferred:
                self.feed(b"")
            else:
                size = self.link.try_recv_into(self._view)
                if not size:
                    if size is None or self._at_eof:
                        return False
                    self._at_eof = True
                self.flooded = size == RECEIVE_BUFFER
                self.feed(self._view[:size])
        except _LOSS as error:
            self.end(error)
            return True
        finally:
            self.reading = False
        if self._broken is not None:
            self._read_the_rest()
        return True

    def feed(self, data: memoryview | bytes) -> None:
        """Give *data* to the session as if read; empty at the end, and for what it has put off."""
        self._sent_in_pass = False
        now = self.now()
        rhythm = self._rhythm
        if rhythm.pump is self and now - rhythm.at < CLOSE:
            rhythm.close += 1
        else:
            rhythm.pump = self
            rhythm.close = 0
        rhythm.at = self.fed = now
        session = self.session
        try:
            if data or self._stage.deferred:
                happened = session.receive(data, now)
            else:
                happened = session.receive_eof(now)
            if happened:
                self._owner.received(happened)
            if self._outbox.pending or self.link.owes or self._stage.finished:
                self._after(now)
                if self._lingering:
                    self.arm()
            if self._vigilant:
                self.arm()
        except Exception as error:
            logger.exception(_DEFECT)
            self.end(error)

    def _after(self, now: float) -> None:
        self.push()
        if self._stage.finished and not self.ended:
            self._finish(now)

    def busy(self) -> bool:
        """Whether a full buffer was work: not where nearly all of it went into one large message.

        Ask once for each.
        """
        before, self._grown = self._grown, self._stage.growing
        if self._grown < before:
            before = 0  # it is another message
        return self._grown - before < RECEIVE_BUFFER - HEADS

    def read_if_likely(self) -> bool:
        """Read once, unless that would most likely find nothing; False: wait first.

        What links hold themselves is never left there: they give all that has come, as long as
        there is room for it.
        """
        if self._left_out and not self.flooded and not self._stage.deferred:
            self._left_out -= 1
            return False
        if self.read():
            return True
        self._left_out = LEFT_OUT
        return False

    def read_in_place(self) -> bool:
        """Read, and wait for it in the thread where that pays; False: wait in trio's loop.

        Only for who has woken nobody since it waited there last.
        """
        rhythm = self._rhythm
        if rhythm.pump is not self or not self._eager_wait or not rhythm.pays():
            return False
        if self._outbox.pending:
            self.push()  # nothing comes for what the flusher would send later
        if self._writing or self._at_eof or self._stage.finished:
            return False  # the writer task is to have its turn, too; or nothing can come
        if not rhythm.wait(self.link.readable_within, self._eager_wait):
            return False
        return self.read()

    # Ctrl-C waits until it is through: it would lose what others are waiting for.
    @trio.lowlevel.enable_ki_protection
    def read_for_reader(self) -> bool:
        """`read_in_place` from another task while the reader waits: False also where none does.

        As the reader reads: what doesn't block is handled in its context.
        """
        context = self._context
        return context is not None and self.paused is None and context.run(self._read_through)

    def _read_through(self) -> bool:
        if not self.read_in_place():
            return False
        # The reader waits for bytes, and an end that was put off brings none.
        while self._stage.deferred and not self.ended:
            self.read()
        return True

    async def run_reader(self) -> None:
        """Read until the connection has ended. The way of RPC, whose reader never pauses."""
        self._context = trio.lowlevel.current_task().context
        in_a_row = 0
        while not self.ended:
            if self.paused is not None:
                await self.paused.wait()
            elif not self.read_if_likely():
                in_a_row = 0
                if self.woke or not self.read_in_place():
                    self.woke = False
                    try:
                        await self.wait_readable()
                    except WAIT_FAILED as error:
                        self.end(error)
                    self.had_turn()
                    if not self.read():
                        continue
            in_a_row += 1
            if in_a_row == READS_IN_A_ROW or (self.flooded and self.busy()):
                in_a_row = 0
                await trio.lowlevel.checkpoint()

    def had_turn(self) -> None:
        """Trio's loop has had its turn, as `wait_readable` has returned."""
        self._rhythm.left = IN_A_ROW

    def wait_readable(self) -> Coroutine[Any, Any, None]:
        """Wait until there may be something to read, or the pump has ended.

        Raises one of ``WAIT_FAILED`` where the link is gone: end the pump with it. Behind the end
        of stream or session nothing can come; but what is queued may be on its way out.
        """
        # No frame of its own: most connections wait here.
        if self._at_eof or self._stage.finished:
            if self._over is None:
                self._over = trio.lowlevel.ParkingLot()
            return self._over.park()
        return self.link.wait_readable()

    # --- out --------------------------------------------------------------------------

    def hold(self) -> None:
        """What a read brought will be answered by several writes: let them leave together."""
        self._sent_in_pass = True

    def write(self) -> None:
        """The session has something to send: send it now, or with the others of this pass.

        What is written while a read is being handled leaves at its end, at the latest.
        """
        if self._writing or self.ended:
            return
        if self._sent_in_pass or self.reading:
            if not (self.listed or self.reading):
                self.listed = True
                self._flusher.add(self)
            self._held += 1
            if self._held >= TOGETHER:
                self._push_early()
            return
        self._sent_in_pass = True
        self.push()

    def _push_early(self) -> None:
        """Send what is held, for the peer to begin with; not where it takes this core for that."""
        self._held = 0
        if not self._has_company or self._company.is_alone():
            self.push()

    def push_late(self) -> None:
        """The flusher's turn: send what came together since this pass' first write."""
        self._sent_in_pass = False
        self.listed = False
        if not self.ended:
            self.push()

    def push(self) -> None:
        """Send what the link takes now; a writer task sees to the rest."""
        if self._writing or self.ended:
            return
        try:
            self._outbox.offer(self.link.try_send, MAX_SEND, PUSH_BUDGET)
        except _LOSS as error:
            self._write_failed(error)
            return
        if self._parked is not None:
            self._wake_parked()
        if self._outbox.pending or self.link.owes:
            self._writing = True
            trio.lowlevel.spawn_system_task(self._write_rest, name="wirecore writer")
            self._took_some(self.now())
            self.arm()
        elif self._stage.finished and not self.reading:
            self._finish(self.now())

    def untaken(self) -> int:
        """Bytes of what was queued that the peer's system hasn't taken yet."""
        return self._outbox.pending + (self.link.backlog() or 0)

    def closed(self) -> None:
        """The session may have finished by its user's doing: see to that, if no read does."""
        if not self.reading and not self.ended:
            self._after(self.now())

    def push_last(self) -> None:
        """Send what the link takes, also past a writer that waits: the end comes next."""
        if not self.ended:
            try:
                self._outbox.offer(self.link.try_send, MAX_SEND, PUSH_BUDGET)
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
                self._outbox.offer(self.link.try_send, MAX_SEND, PUSH_BUDGET)
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
        except Exception as error:
            logger.exception(_DEFECT)
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
            self._owner.received(happened)
        if stuck and self._stage.finished:
            self.end(None)  # the time to wait for this peer was up, also for its last bytes
        else:
            self._after(now)

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
        self.link.close()
        self._wake_parked()
        if self.paused is not None:
            self.paused.set()
        if self._over is not None:
            self._over.unpark_all()
        self._owner.on_end(error)
