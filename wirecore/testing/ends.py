"""Both ends of a connection in memory, each watched at every step."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeAlias, TypeVar

from wirecore.session import Session

One = TypeVar("One", bound=Session[Any])
Other = TypeVar("Other", bound=Session[Any])

#: What a buffer is overwritten with once the session has seen it.
_OVERWRITTEN: Final = 0xA5

#: Calls of a deferred session that bring nothing, before it is taken to be stuck.
_PATIENT_CALLS: Final = 100

#: Rounds of bytes to and fro, before both ends are taken to talk for ever.
_PATIENT_ROUNDS: Final = 10_000

#: Deadlines in a row within one stretch of time; as for the rounds.
_PATIENT_EXPIRIES: Final = 10_000

#: What the outbox is asked for at once.
_LIMIT: Final = 64 * 1024

#: When stories begin: not at 0, which a session might take for "never".
_BEGIN: Final = 1000.0


class ContractViolation(AssertionError):
    """A session doesn't keep a rule of :class:`wirecore.Session`; the text says which."""


#: Sizes of the pieces that bytes are cut into; None: as they come.
Cuts: TypeAlias = Callable[[], Iterator[int]] | None


def pieces_of(size: int) -> Callable[[], Iterator[int]]:
    """Cuts into pieces of *size* bytes each."""

    def cuts() -> Iterator[int]:
        while True:
            yield size

    return cuts


def random_pieces(seed: int, most: int = 40) -> Callable[[], Iterator[int]]:
    """Cuts into pieces of 1 to *most* bytes, the same for each *seed*."""

    def cuts() -> Iterator[int]:
        chance = random.Random(seed)
        while True:
            yield chance.randint(1, most)

    return cuts


class End(Generic[One]):
    """One end: a session in the hands of a transport that finds fault with everything.

    *session*: make it do something, within a story. *happened*: what it has returned for its
    owner, in order. *react*: called with each of these when it comes, as an owner would be; a
    story sets it. *heard*: all bytes that it was given.
    """

    def __init__(self, session: One, name: str, where: str, cuts: Cuts) -> None:
        self.session = session
        self.name = name
        self.happened: list[Any] = []
        self.react: Callable[[Any], object] | None = None
        self.heard = bytearray()
        self._where = where
        self._cuts = cuts() if cuts is not None else None
        self._sends = cuts() if cuts is not None else None
        #: The time, in seconds.
        self.now = _BEGIN
        self._stage = session.stage
        self._outbox = session.outbox
        self._was_finished = False
        self._queued = self._flushed = 0
        self.look()
        self._call("start", _BEGIN)
        self.look()

    def fail(self, rule: str, cause: BaseException | None = None) -> ContractViolation:
        """What to raise where *rule* wasn't kept."""
        kind = type(self.session).__name__
        error = ContractViolation(f"{kind}, the {self.name}: {rule} ({self._where})")
        error.__cause__ = cause
        return error

    @property
    def finished(self) -> bool:
        """Whether the session has finished."""
        return self._stage.finished

    def look(self) -> float:
        """See that all is as it may be; the next deadline."""
        session = self.session
        if session.stage is not self._stage or session.outbox is not self._outbox:
            raise self.fail("stage and outbox stay the same objects from beginning to end")
        outbox = self._outbox
        if self._was_finished and not self._stage.finished:
            raise self.fail("what has finished stays finished")
        self._was_finished = self._stage.finished
        if self._stage.growing < 0:
            raise self.fail("stage.growing is a number of bytes, 0 or more")
        if outbox.queued < self._queued or outbox.flushed < self._flushed:
            raise self.fail("offsets of the outbox never go back")
        self._queued, self._flushed = outbox.queued, outbox.flushed
        deadline = self._call("next_deadline")
        if not isinstance(deadline, int | float) or math.isnan(deadline):
            raise self.fail(f"next_deadline() is a time, or math.inf for never, not {deadline!r}")
        if self._call("next_deadline") != deadline:
            raise self.fail("asking for next_deadline() changes nothing: it told two times")
        return deadline

    # --- in ---------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """*data* came: cut into pieces, each in a buffer that is used again at once."""
        self.heard += data
        at = 0
        while at < len(data):
            if self._stage.finished:
                self._feed_piece(data[at:])
                return
            size = len(data) if self._cuts is None else next(self._cuts)
            self._feed_piece(data[at : at + size])
            at += size

    def _feed_piece(self, piece: bytes) -> None:
        buffer = bytearray(piece)
        before = self._marks()
        happened = self._give(buffer)
        self._use_again(buffer)
        self._took("receive", happened, before)
        self.resolve()

    def _give(self, buffer: bytearray) -> Any:
        # In a frame of its own, so that no view of the buffer stays but one that was kept.
        return self._call("receive", memoryview(buffer), self.now)

    def _use_again(self, buffer: bytearray) -> None:
        buffer[:] = bytes([_OVERWRITTEN]) * len(buffer)
        try:
            buffer.clear()
        except BufferError as error:
            rule = "the buffer given to receive() isn't kept: a view of it is still there"
            raise self.fail(rule, error) from error

    def resolve(self) -> None:
        """See to what the session has put off."""
        in_vain = 0
        while self._stage.deferred:
            if self._stage.finished:
                break  # a transport asks no further
            in_vain = 0 if self._step("receive", b"", self.now) else in_vain + 1
            if in_vain == _PATIENT_CALLS:
                raise self.fail("receive() without bytes sees to what was deferred, in time")

    def end_stream(self) -> None:
        """The stream ended: twice, as some transports say it twice."""
        self._step("receive_eof", self.now)
        self.resolve()
        if not self._stage.finished:
            raise self.fail("receive_eof() ends it: stage.finished is true afterwards")
        self._step("receive_eof", self.now)

    # --- out --------------------------------------------------------------------------------

    def take(self, most: float = math.inf) -> bytes:
        """What it has to send, up to *most* bytes, in portions; it has left then."""
        outbox = self._outbox
        taken = bytearray()
        while outbox.pending and len(taken) < most:
            data = bytes(outbox.take(_LIMIT))
            if not data:
                raise self.fail("outbox.take() gives something while outbox.pending isn't 0")
            if bytes(outbox.take(_LIMIT)) != data:
                raise self.fail("outbox.take() gives the same again until sent() was told")
            size = len(data) if self._sends is None else next(self._sends)
            size = int(min(size, len(data), most - len(taken)))
            outbox.sent(size)
            taken += data[:size]
        self.look()
        return bytes(taken)

    def close(self) -> None:
        """Have it close, twice: the second time nothing may happen."""
        self._step("close")
        before = self._seen()
        self._step("close")
        if self._seen() != before:
            raise self.fail("close() is idempotent: the second call changed something")

    # --- time -------------------------------------------------------------------------------

    def be_on_time(self, now: float) -> None:
        """It is *now*: what is due is done, and what isn't isn't."""
        self.now = now
        if self._stage.finished:
            return
        if self.look() <= now:
            self._step("expire", now)
            self.resolve()
            if self.look() <= now and not self._stage.finished:
                raise self.fail(
                    "after expire(now) next_deadline() is later than now, or it has finished"
                )
        if self._stage.finished:
            return
        before = self._seen()
        if self._step("expire", now) or self._seen() != before:
            raise self.fail("expire() before next_deadline() does nothing")

    def next_deadline(self) -> float:
        """When it wants to be called; never, once it has finished."""
        return math.inf if self._stage.finished else self.look()

    def _seen(self) -> tuple[object, ...]:
        stage, outbox = self._stage, self._outbox
        return stage.finished, stage.deferred, outbox.pending, outbox.queued, self.look()

    # --- a step -----------------------------------------------------------------------------

    def _step(self, method: str, *arguments: object) -> bool:
        """Call a method of the session, look, and pass on what happened; whether anything did."""
        before = self._marks()
        return self._took(method, self._call(method, *arguments), before)

    def _marks(self) -> tuple[bool, int, int]:
        return self._stage.finished, self._outbox.queued, self._outbox.pending

    def _took(self, method: str, happened: Any, before: tuple[bool, int, int]) -> bool:
        self.look()
        over, queued, pending = before
        if over and happened:
            raise self.fail(f"{method}() after the end tells of nothing, not {happened!r:.100}")
        if over and (self._outbox.queued > queued or self._outbox.pending > pending):
            raise self.fail(f"{method}() after the end queues nothing")
        if not happened:
            return False
        self.happened.append(happened)
        if self.react is not None:
            self.react(happened)
            self.look()
        return True

    def _call(self, method: str, *arguments: object) -> Any:
        try:
            return getattr(self.session, method)(*arguments)
        except Exception as error:
            rule = f"{method}() never raises, and it raised {error!r}: a peer's fault ends it"
            raise self.fail(rule, error) from error


class Ends(Generic[One, Other]):
    """A connection: both of its *ends*, *client* and *server*, and what lies between.

    A story lets the sessions do something, and then has what they queued carried to the other
    end (:meth:`settle`), or time pass (:meth:`advance`).
    """

    def __init__(
        self, pair: tuple[One, Other], where: str, cuts: Cuts = None, *, late: float = 0.0
    ) -> None:
        self.client: End[One] = End(pair[0], "client", where, cuts)
        self.server: End[Other] = End(pair[1], "server", where, cuts)
        self.ends: tuple[End[Any], End[Any]] = (self.client, self.server)
        #: The time, in seconds.
        self.now = _BEGIN
        self._late = late

    def settle(self) -> None:
        """Carry bytes to and fro until both ends have nothing more to send."""
        for _ in range(_PATIENT_ROUNDS):
            moved = False
            for end in self.ends:
                end.be_on_time(self.now)
            for end, other in (self.ends, self.ends[::-1]):
                data = end.take()
                if data:
                    other.feed(data)
                    moved = True
            if not moved:
                return
        raise self.client.fail("both ends talk to each other for ever")

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass, with everything that is due in them."""
        self._advance(self.now + seconds)

    def _advance(self, until: float) -> None:
        self.settle()
        for _ in range(_PATIENT_EXPIRIES):
            due = min(end.next_deadline() for end in self.ends)
            if due > until:
                self.now = until
                self.settle()
                return
            self.now = max(self.now, due + self._late)
            self.settle()
        raise self.client.fail(f"deadlines come without end, {_PATIENT_EXPIRIES} within one step")

    def oversleep(self) -> None:
        """Have the next deadline be seen to several times too late, and then go on."""
        due = min(end.next_deadline() for end in self.ends)
        if due < math.inf:
            self.now = due + 3.5 * max(due - self.now, 1.0)
            self.settle()

    def outlast(self, end: End[Any], patience: float, *, silent: bool) -> None:
        """Let time pass until *end* has finished and sent all: *patience* seconds at most.

        *silent*: the other end's part isn't played: nothing comes of what is sent to it.
        """
        limit = self.now + patience
        for _ in range(_PATIENT_EXPIRIES):
            if silent:
                end.be_on_time(self.now)
                end.take()
            else:
                self.settle()
            if end.finished and not end.session.outbox.pending:
                return
            due = end.next_deadline()
            if due > limit:
                break
            self.now = max(self.now, due)
        raise end.fail(
            f"close() ends it in time, whatever the peer does: it hasn't within {patience:g} s"
        )


#: Something that happens on a connection, told by making its sessions do it. It must tell the
#: same each time, whatever the sizes of the pieces that arrive.
Story: TypeAlias = Callable[[Ends[Any, Any]], object]
