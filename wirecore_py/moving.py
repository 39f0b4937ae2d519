# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""What moves bytes between a link and a session, without a task or a timer.

``wirecore._moving`` is this file, compiled with the types that ``_moving.pxd`` declares.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wirecore import moving_rules as rules

if TYPE_CHECKING:
    # A module, as its class's name is that of a type already where this is compiled.
    from wirecore_py import rhythm as rhythms

_LEFT_OUT = rules.LEFT_OUT
_MAX_SEND = rules.MAX_SEND
_PUSH_BUDGET = rules.PUSH_BUDGET
_RECEIVE_BUFFER = rules.RECEIVE_BUFFER
_TOGETHER = rules.TOGETHER


class Mover:
    """What a pump does for each message; what it does seldom is for the class that derives.

    *link*: what carries the bytes, with ``try_recv_into``, ``try_send``, ``readable_within``,
    ``backlog`` and ``owes``, which raises one of *losses* when the connection is gone. *session*:
    the protocol. *owner*: has ``received`` called with what that makes of the bytes. *view*: a
    buffer that all connections of a run share. *now*: the run's clock, in seconds. *ticks*: the
    same as an object of the backend's; None: there is none. *eager_wait*:
    seconds that :meth:`read_in_place` may hold the thread. *vigilant*: look at the session's
    deadline after each read, which may have brought it nearer; else the owner sees to that.
    *lingering*: None, or what says by ``plain`` that the connection hasn't begun to end; else a
    read that had the session send something may have brought a deadline.

    Who derives has ``arm`` (look at the deadlines), ``busy`` (whether a full buffer was work),
    ``read_for_reader`` (:meth:`read_as_reader` for who doesn't keep Ctrl-C off), ``end(error)``,
    ``_finish(now)``, ``_fail(error)`` for defects, ``_write_on()`` where a link takes no more,
    ``_write_failed(error)``, ``_read_the_rest()`` behind that, and ``_wake_parked()`` for
    *_parked*, who wait for room.
    """

    __slots__ = (
        "_asked",
        "_at_eof",
        "_box",
        "_broken",
        "_company",
        "_context",
        "eager_wait",
        "_flusher",
        "_has_company",
        "_held",
        "_io",
        "_left_out",
        "_lingering",
        "_link",
        "_losses",
        "_outbox",
        "_owner",
        "_parked",
        "_part",
        "_part_size",
        "_receiver",
        "_rhythm",
        "_sent_in_pass",
        "_stage",
        "_ticks",
        "_view",
        "_vigilant",
        "_writing",
        "armed",
        "ended",
        "fed",
        "flooded",
        "listed",
        "now",
        "paused",
        "reading",
        "session",
        "turning",
        "woke",
    )

    session: Any
    _owner: Any
    _outbox: Any
    _stage: Any
    _parked: Any

    def __init__(
        self,
        link: Any,
        session: Any,
        owner: Any,
        *,
        losses: tuple[type[BaseException], ...],
        rhythm: rhythms.Rhythm,
        flusher: Any,
        company: Any,
        view: memoryview,
        now: Callable[[], float],
        eager_wait: float,
        vigilant: bool,
        lingering: Any,
        ticks: Any = None,
    ) -> None:
        self._link = link
        self.session = session
        self._outbox = session.outbox
        self._stage = session.stage
        self._owner = owner
        self._know_own()
        self._losses = losses
        self._rhythm = rhythm
        self._flusher = flusher
        self._company = company
        self._view = view
        # What was read last: messages come in a few sizes.
        self._part = view[:0]
        self._part_size = 0
        self.now = now
        self._ticks = ticks
        self.eager_wait = eager_wait
        self._vigilant = vigilant
        self._lingering = lingering
        self.ended = False
        #: When it will look at its deadlines again; ``math.inf`` for never.
        self.armed = math.inf
        #: When something was read last, be it the end of the stream.
        self.fed = -math.inf
        #: Set by the owner that wakes a task, which is to have its turn next.
        self.woke = False
        #: Tasks that have the loop take its turn: they read in place then, and no reader.
        self.turning = 0
        #: Whether the last read filled the buffer: the peer sends faster than we read.
        self.flooded = False
        #: Whether a read is under way: what is written meanwhile leaves at its end.
        self.reading = False
        #: Whether the flusher knows of this pump, and sends at the end of the pass.
        self.listed = False
        self._asked = 0  # calls since something came
        self._at_eof = False
        self._left_out = 0
        self._writing = False
        self._sent_in_pass = False
        self._held = 0  # messages that wait for the end of a pass, or of a read
        self._broken: BaseException | None = None  # a send failed within a read
        # What isn't over a socket has no peer elsewhere; and is to happen alike each time.
        self._has_company = link.backlog() is not None
        self._parked = None
        #: That of the reader's task, as long as there is one.
        self._context: Any = None
        #: While there is one the reader waits for it, and TCP slows the peer down.
        self.paused: Any = None

    @property
    def link(self) -> Any:
        """What carries the bytes."""
        return self._link

    @link.setter
    def link(self, link: Any) -> None:
        self._link = link
        self._know_own()

    def _know_own(self) -> None:
        """See which objects are the backend's own: compiled, their fields cost no look-up."""
        self._io = self._receiver = self._box = None
        try:
            self._io = self._link
        except TypeError:
            pass
        try:
            self._receiver = self._stage
        except TypeError:
            pass
        try:
            self._box = self._outbox
        except TypeError:
            pass

    def _time(self) -> float:
        """As *now*."""
        ticks = self._ticks
        now: float = self.now() if ticks is None else ticks.now()
        return now

    def _waits(self) -> bool:
        """Whether something waits to be sent, here or in the link."""
        box, io = self._box, self._io
        if self._outbox.pending if box is None else box.pending:
            return True
        owes: bool = self._link.owes if io is None else io.owes
        return owes

    def _has_finished(self) -> bool:
        receiver = self._receiver
        finished: bool = self._stage.finished if receiver is None else receiver.finished
        return finished

    def _has_deferred(self) -> bool:
        receiver = self._receiver
        deferred: bool = self._stage.deferred if receiver is None else receiver.deferred
        return deferred

    def _try_recv(self) -> Any:
        io = self._io
        return self._link.try_recv_into(self._view) if io is None else io.try_recv_into(self._view)

    # --- in ---------------------------------------------------------------------------

    def read(self) -> bool:
        """Read once without waiting; False when there was nothing to read."""
        if self._has_finished():
            return False  # whatever else comes, nobody wants it
        self.reading = True
        try:
            if self._has_deferred():
                self.feed(b"")
            else:
                size = self._try_recv()
                if not size:
                    if size is None or self._at_eof:
                        return False
                    self._at_eof = True
                self.flooded = size == _RECEIVE_BUFFER
                if size != self._part_size:
                    self._part = self._view[:size]
                    self._part_size = size
                self.feed(self._part)
        except self._losses as error:
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
        now = self._time()
        self._rhythm.was_read(self, now)
        self.fed = now
        try:
            if data or self._has_deferred():
                happened = self.session.receive(data, now)
            else:
                happened = self.session.receive_eof(now)
            if happened:
                self._asked = 0
                self._owner.received(happened)
            if self._waits() or self._has_finished():
                self.settle(now)
                if self._lingering is not None and not self._lingering.plain:
                    self.arm()
            if self._vigilant:
                self.arm()
        except Exception as error:  # noqa: BLE001 - whatever a defect of theirs raises
            self._fail(error)

    def read_watched(self) -> bool:
        """Read once for the reader, who waits: True where he has to go on himself.

        So he has where all that comes is his, and so fast that he had better wait in place.
        """
        if self.paused is not None:
            return True
        self._context.run(self.read)
        if self.ended or self._at_eof or self.flooded:
            return True
        if self._has_finished() or self._has_deferred():
            return True
        if self._link.number < 0:
            return True  # it waits for more now than for its file
        return self.eager_wait > 0 and not self.woke and self._rhythm.may_pay(self)

    def read_if_likely(self) -> bool:
        """Read once, unless that would most likely find nothing; False: wait first.

        What links hold themselves is never left there: they give all that has come, as long as
        there is room for it.
        """
        if self._left_out and not self.flooded and not self._has_deferred():
            self._left_out -= 1
            return False
        if self.read():
            return True
        self._left_out = _LEFT_OUT
        return False

    def read_in_place(self) -> bool:
        """Read, and wait for it in the thread where that pays; False: wait in the loop.

        Only for who has woken nobody since it waited there last.
        """
        rhythm = self._rhythm
        if rhythm.pump is not self or not self.eager_wait or not rhythm.pays():
            return False
        if self._waits():
            self.push()  # nothing comes for what the flusher would send later
        if self._writing or self._at_eof or self._has_finished():
            return False  # the writer task is to have its turn, too; or nothing can come
        if rhythm.looks():
            # A peer on this core needs no more than that it is left to it once.
            rhythm.give_way()
            if self.read():
                rhythm.came()
                return True
        return rhythm.wait(self._link.readable_within, self.eager_wait) and self.read()

    def read_on(self, most: int) -> bool:
        """Read while something comes; False: wait in the loop.

        True: others are to have their turn, be it that *most* reads found something without a wait
        between. Also where it is paused or has ended.
        """
        in_a_row = 0
        while not self.ended and self.paused is None:
            if not self.read_if_likely():
                in_a_row = 0
                if self.woke or self.turning or not self.read_in_place():
                    return False
            in_a_row += 1
            if in_a_row == most or (self.flooded and self.busy()):
                break
        return True

    def turn_is_due(self) -> bool:
        """Whether only the loop's turn keeps from :meth:`read_in_place`."""
        rhythm = self._rhythm
        return rhythm.turn_is_due() and rhythm.pump is self and self.eager_wait > 0

    def read_through(self) -> bool:
        """As :meth:`read_in_place`, and what was put off then.

        For another task while the reader waits for bytes: an end that was put off brings none.
        """
        if not self.read_in_place():
            return False
        while self._has_deferred() and not self.ended:
            self.read()
        return True

    def read_as_reader(self) -> bool:
        """:meth:`read_through`, in the reader's context; False also where there is no reader.

        Who calls it sees to it that Ctrl-C waits meanwhile: others would lose what they wait for.
        """
        context = self._context
        if context is None or self.paused is not None:
            return False
        found: bool = context.run(self.read_through)
        return found

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
                self._flusher.add(self)
                self.listed = True
            self._held += 1
            if self._held >= _TOGETHER:
                # For the peer to begin with; not where it takes this core for that.
                self._held = 0
                if not self._has_company or self._company.is_alone():
                    self.push()
            return
        self._sent_in_pass = True
        self.push()

    def push(self) -> None:
        """Send what the link takes now; a writer task sees to the rest."""
        if self._writing or self.ended:
            return
        try:
            box = self._box
            if box is None:
                self._outbox.offer(self._link, _MAX_SEND, _PUSH_BUDGET)
            else:
                box.offer(self._link, _MAX_SEND, _PUSH_BUDGET)
        except self._losses as error:
            self._write_failed(error)
            return
        if self._parked is not None:
            self._wake_parked()
        if self._waits():
            self._write_on()
        elif not self.reading and self._has_finished():
            self._finish(self.now())

    def asked(self, waiter: Any, deadline: float, callers: Any) -> bool:
        """*waiter*'s call is queued: send it. True where its outcome is there already.

        *deadline*: when its time is up. *callers*: whose caller waits, and does nothing else
        meanwhile; None: he goes on. See :meth:`read_as_reader`.
        """
        if deadline < self.armed:
            self.arm()
        self.write()
        if waiter.outcome is not None:
            return True  # sending the request showed that the connection is gone
        self._asked += 1
        if callers is None or self._asked > 1 or callers.woken:
            return False
        # Nobody else calls: read the answer here, where it comes fast enough.
        self.read_as_reader()
        return waiter.outcome is not None

    def settle(self, now: float) -> None:
        """Send, and see to the end if the session has finished."""
        self.push()
        if self._has_finished() and not self.ended:
            self._finish(now)

    # --- seldom -----------------------------------------------------------------------

    def arm(self) -> None:
        """See the class."""
        raise NotImplementedError

    def busy(self) -> bool:
        """See the class."""
        raise NotImplementedError

    def end(self, error: BaseException | None) -> None:
        """See the class."""
        raise NotImplementedError

    def _fail(self, error: Exception) -> None:
        raise NotImplementedError

    def _finish(self, now: float) -> None:
        raise NotImplementedError

    def _read_the_rest(self) -> None:
        raise NotImplementedError

    def _wake_parked(self) -> None:
        raise NotImplementedError

    def _write_failed(self, error: BaseException) -> None:
        raise NotImplementedError

    def _write_on(self) -> None:
        raise NotImplementedError
