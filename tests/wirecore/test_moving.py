"""A pump's hot half, between a link, a session and an owner that do as they are told."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from wirecore.errors import NotConnected
from wirecore.moving_rules import LEFT_OUT, RECEIVE_BUFFER, TOGETHER

if TYPE_CHECKING:
    from wirecore._backend import Backend


class Lost(Exception):
    """The link is gone."""


class Link:
    number = 7
    owes = False

    def __init__(self) -> None:
        self.reads: list[bytes | Exception] = []
        self.sent: list[bytes] = []
        self.room = 1_000_000
        self.fails = False
        self.looks: list[float] = []

    def try_recv_into(self, buffer: memoryview) -> int | None:
        if not self.reads:
            return None
        data = self.reads.pop(0)
        if isinstance(data, Exception):
            raise data
        buffer[: len(data)] = data
        return len(data)

    def try_send(self, data: Any) -> int:
        if self.fails:
            raise Lost
        taken = bytes(data)[: self.room]
        self.room -= len(taken)
        self.sent += [taken] if taken else []
        return len(taken)

    def readable_within(self, seconds: float) -> bool:
        self.looks.append(seconds)
        return bool(self.reads)

    def backlog(self) -> int | None:
        return None


class Session:
    """Its own stage, too; what came is what happened."""

    def __init__(self, backend: Backend) -> None:
        self.outbox = backend.outbox.Outbox()
        self.stage = self
        self.finished = self.deferred = False
        self.plain = True
        self.error: Exception | None = None
        self.ends = 0

    def receive(self, data: Any, now: float) -> list[bytes]:
        if self.error is not None:
            raise self.error
        self.deferred = False
        return [bytes(data)] if data else []

    def receive_eof(self, now: float) -> None:
        self.ends += 1


class Flusher:
    def __init__(self) -> None:
        self.added: list[Any] = []

        self.flushed = 0

    def add(self, mover: Any) -> None:
        self.added.append(mover)

    def flush(self) -> None:
        self.flushed += 1


class Company:
    def is_alone(self) -> bool:
        return True


class World:
    """A mover and all that it knows; *seen*: what it had its seldom half do, and its owner."""

    def __init__(self, backend: Backend, **more: Any) -> None:
        self.now = 1.0
        self.seen: list[Any] = []
        self.link = Link()
        self.session = Session(backend)
        self.flusher = Flusher()
        self.react: Callable[[], object] = lambda: None
        self.rhythm = backend.rhythm.Rhythm(backend.ticking.Core(lambda: self.now, self._give_way))
        world = self

        class Mover(backend.moving.Mover):  # type: ignore[name-defined, misc]
            def arm(self) -> None:
                world.seen.append("armed")

            def busy(self) -> bool:
                world.seen.append("was it work?")
                return True

            def end(self, error: BaseException | None) -> None:
                self.ended = True
                world.seen.append(("ended", error))

            def _fail(self, error: Exception) -> None:
                world.seen.append(("failed", error))

            def _finish(self, now: float) -> None:
                world.seen.append(("finished", now))
                self.ended = True

            def _read_the_rest(self) -> None:
                world.seen.append("read the rest")

            def _wake_parked(self) -> None:
                world.seen.append("woke who parked")

            def _write_failed(self, error: BaseException) -> None:
                world.seen.append("write failed")
                self._writing = True
                self._broken = error

            def _write_on(self) -> None:
                world.seen.append("wrote on")
                self._writing = True

        options: dict[str, Any] = {"eager_wait": 0.0002, "vigilant": False, "lingering": None}
        self.mover = Mover(
            self.link,
            self.session,
            self,
            losses=(Lost,),
            rhythm=self.rhythm,
            flusher=self.flusher,
            company=Company(),
            view=memoryview(bytearray(RECEIVE_BUFFER)),
            now=lambda: self.now,
            **options | more,
        )

    def _give_way(self) -> None:
        self.seen.append("gave way")
        self.now += 0.00003

    def received(self, happened: list[bytes]) -> None:
        self.seen += happened
        self.react()

    def put(self, *frames: bytes) -> None:
        for frame in frames:
            self.session.outbox.put(frame)
            self.mover.write()


# --- in ---------------------------------------------------------------------------------------


def test_what_is_there_is_read_once(backend: Backend) -> None:
    w = World(backend)
    assert not w.mover.read()
    w.link.reads = [b"one", b"two"]
    assert w.mover.read()
    assert w.seen == [b"one"]
    assert (w.mover.fed, w.mover.flooded, w.mover.reading) == (1.0, False, False)
    w.link.reads = [bytes(RECEIVE_BUFFER)]
    w.now = 2
    assert w.mover.read()
    assert (w.mover.fed, w.mover.flooded) == (2, True)


def test_the_end_of_the_stream_is_read_once(backend: Backend) -> None:
    w = World(backend)
    w.link.reads = [b"", b""]
    assert w.mover.read()
    assert not w.mover.read()
    assert w.session.ends == 1
    w.session.finished = True
    w.link.reads = [b"x"]
    assert not w.mover.read()  # whatever else comes, nobody wants it


def test_what_was_put_off_comes_before_more_is_read(backend: Backend) -> None:
    w = World(backend)
    w.session.deferred = True
    w.link.reads = [b"behind"]
    assert w.mover.read()
    assert not w.session.deferred
    assert w.link.reads == [b"behind"]
    assert w.session.ends == 0


def test_a_link_that_is_gone_ends_it_and_a_defect_is_told(backend: Backend) -> None:
    w = World(backend)
    w.link.reads = [loss := Lost()]
    assert w.mover.read()
    assert w.seen == [("ended", loss)]
    w = World(backend)
    w.session.error = ValueError("a defect")
    w.link.reads = [b"x"]
    assert w.mover.read()
    assert w.seen == [("failed", w.session.error)]
    w.link.reads = [ValueError("the link's")]
    with pytest.raises(ValueError, match="the link's"):
        w.mover.read()
    assert not w.mover.reading


def test_after_a_read_for_nothing_many_are_left_out(backend: Backend) -> None:
    w = World(backend)
    assert not w.mover.read_if_likely()
    w.link.reads = [b"x"]
    assert [w.mover.read_if_likely() for _ in range(LEFT_OUT + 1)] == [False] * LEFT_OUT + [True]
    assert not w.mover.read_if_likely()
    w.session.deferred = True
    assert w.mover.read_if_likely()  # that is no question of likelihood


@pytest.mark.parametrize("vigilant", [False, True])
def test_deadlines_are_looked_at_where_they_may_have_come_nearer(
    backend: Backend, vigilant: bool
) -> None:
    w = World(backend, vigilant=vigilant)
    w.link.reads = [b"x"]
    w.mover.read()
    assert w.seen == [b"x", *["armed"] * vigilant]
    w = World(backend)
    w = World(backend, vigilant=vigilant, lingering=w.session)
    w.react = lambda: w.session.outbox.put(b"answer")
    w.link.reads = [b"x"]
    w.mover.read()
    assert w.seen == [b"x", *["armed"] * vigilant]


def test_one_that_lingers_is_looked_at_once_it_isnt_plain(backend: Backend) -> None:
    end = World(backend).session
    w = World(backend, lingering=end)
    end.plain = False
    w.link.reads = [b"x", b"y"]
    w.mover.read()
    assert w.seen == [b"x"]  # nothing was sent
    w.react = lambda: w.session.outbox.put(b"answer")
    w.mover.read()
    assert w.seen == [b"x", b"y", "armed"]


# --- in place ---------------------------------------------------------------------------------


def close(w: World) -> None:
    """As if it alone had read, and fast."""
    w.rhythm.pump, w.rhythm.close, w.rhythm.at = w.mover, 100, w.now


def test_in_place_is_read_what_comes_while_others_have_the_core(backend: Backend) -> None:
    w = World(backend)
    w.link.reads = [b"never"]
    assert not w.mover.read_in_place()  # too few reads were close
    w = World(backend)
    close(w)
    assert not w.mover.read_in_place()
    assert w.seen[0] == "gave way"
    w = World(backend)
    close(w)
    w.link.reads = [b"there"]
    assert w.mover.read_in_place()
    assert w.seen == ["gave way", b"there"]
    assert w.link.looks == []  # to read is to look
    w.session.deferred = True
    w.link.reads = [b"more"]
    assert w.mover.read_through()
    assert not w.session.deferred


def test_a_turn_is_due_only_where_it_keeps_from_reading_in_place(backend: Backend) -> None:
    w, off = World(backend), World(backend, eager_wait=0.0)
    close(w)
    off.mover._rhythm = w.rhythm
    assert not w.mover.turn_is_due()
    while w.rhythm.pays():
        pass
    assert w.mover.turn_is_due()
    w.rhythm.pump = off.mover
    assert not w.mover.turn_is_due()  # another's
    assert not off.mover.turn_is_due()
    w.rhythm.pump = w.mover
    w.rhythm.had_turn()
    assert not w.mover.turn_is_due()


def test_a_reader_reads_on_until_nothing_comes_or_others_are_to_have_their_turn(
    backend: Backend,
) -> None:
    w = World(backend)
    w.link.reads = [b"1", b"2", b"3"]
    assert w.mover.read_on(2) is True
    assert w.seen == [b"1", b"2"]
    assert w.mover.read_on(2) is False
    assert w.seen == [b"1", b"2", b"3"]
    close(w)
    w.mover.woke = True  # who was woken has a turn before anything is waited for in place
    assert w.mover.read_on(9) is False
    assert w.seen == [b"1", b"2", b"3"]
    w.mover.woke = False
    assert w.mover.read_on(9) is False
    assert w.seen[3] == "gave way"
    w.mover.paused = object()
    assert w.mover.read_on(9) is True
    w.mover.paused = None
    w.mover.ended = True
    assert w.mover.read_on(9) is True


def test_behind_a_full_buffer_that_was_work_others_have_their_turn(backend: Backend) -> None:
    w = World(backend)
    w.link.reads = [bytes(RECEIVE_BUFFER), b"more"]
    assert w.mover.read_on(9) is True
    assert len(w.seen) == 2
    assert w.seen[1] == "was it work?"
    assert w.mover.read_on(9) is False
    assert w.seen[2:] == [b"more"]


@pytest.mark.parametrize("why", ["writing", "at the end", "finished", "not asked for", "another"])
def test_in_place_isnt_waited_for_what_cant_come(backend: Backend, why: str) -> None:
    w = World(backend, eager_wait=0.0 if why == "not asked for" else 0.0002)
    if why == "at the end":
        w.link.reads = [b""]
        w.mover.read()
    close(w)
    w.mover._writing = why == "writing"
    w.session.finished = why == "finished"
    if why == "another":
        w.rhythm.pump = object()
    w.link.reads = [b"x"]
    assert not w.mover.read_in_place()
    assert w.link.looks == []


# --- out --------------------------------------------------------------------------------------


def test_the_first_of_a_pass_leaves_at_once_and_sixteen_more_together(backend: Backend) -> None:
    w = World(backend)
    w.put(b"1", b"2")
    assert w.link.sent == [b"1"]
    assert w.flusher.added == [w.mover]
    assert w.mover.listed
    w.put(*[b"x"] * (TOGETHER - 1))
    assert w.link.sent == [b"1", b"2" + b"x" * (TOGETHER - 1)]
    w.mover.hold()
    w.put(b"held")
    assert len(w.link.sent) == 2


def test_what_is_written_within_a_read_leaves_at_its_end(backend: Backend) -> None:
    w = World(backend)
    w.react = lambda: w.put(b"a", b"b", b"c")
    w.link.reads = [b"x"]
    w.mover.read()
    assert w.link.sent == [b"abc"]
    assert w.flusher.added == []


def test_a_link_that_is_full_or_gone_is_for_the_seldom_half(backend: Backend) -> None:
    w = World(backend)
    w.link.room = 2
    w.put(b"1234")
    assert (w.link.sent, w.seen) == ([b"12"], ["wrote on"])
    w.put(b"5")
    w.mover.push()
    assert w.link.sent == [b"12"]
    w = World(backend)
    w.mover._parked = object()
    w.put(b"1")
    assert w.seen == ["woke who parked"]
    w = World(backend)
    w.link.fails = True
    w.react = lambda: w.put(b"answer")
    w.link.reads = [b"x"]
    assert w.mover.read()
    assert w.seen == [b"x", "write failed", "read the rest"]


def test_a_session_that_has_finished_is_seen_to_the_end_once(backend: Backend) -> None:
    w = World(backend)

    def bye() -> None:
        w.session.outbox.put(b"bye")
        w.session.finished = True

    w.react = bye
    w.link.reads = [b"x"]
    w.mover.read()
    assert w.link.sent == [b"bye"]
    assert w.seen == [b"x", ("finished", 1.0)]
    w = World(backend)
    bye()
    w.mover.push()
    assert w.seen == [("finished", 1.0)]
    w.mover.settle(2.0)
    assert w.seen == [("finished", 1.0)]


# --- for a reader that sleeps -----------------------------------------------------------------

WHOSE: ContextVar[str] = ContextVar("WHOSE", default="the watch's")


def test_one_read_is_in_the_readers_context_and_he_may_sleep_on(backend: Backend) -> None:
    w = World(backend)
    context = copy_context()
    context.run(WHOSE.set, "the reader's")
    w.mover._context = context
    whose: list[str] = []
    w.react = lambda: whose.append(WHOSE.get())
    w.link.reads = [b"x", b"y"]
    assert w.mover.read_watched() is False
    assert (w.seen, whose) == ([b"x"], ["the reader's"])
    assert w.mover.read_watched() is False
    assert w.mover.read_watched() is False  # nothing was there
    assert w.seen == [b"x", b"y"]


def test_what_takes_more_than_one_read_is_the_readers(backend: Backend) -> None:
    def world(*reads: bytes | Exception) -> World:
        w = World(backend)
        w.mover._context = copy_context()
        w.link.reads = list(reads)
        return w

    paused = world(b"x")
    paused.mover.paused = object()
    assert paused.mover.read_watched() is True
    assert paused.seen == []
    assert world(b"").mover.read_watched() is True  # the end of the stream
    assert world(Lost()).mover.read_watched() is True
    assert world(bytes(RECEIVE_BUFFER)).mover.read_watched() is True
    for state in ("finished", "deferred"):
        w = world(b"x")
        w.react = partial(setattr, w.session, state, True)
        assert w.mover.read_watched() is True
    w = world(b"x")
    w.react = partial(setattr, w.link, "number", -1)
    assert w.mover.read_watched() is True  # the link waits for something else now


def test_a_reader_to_whom_all_comes_closely_goes_on_in_place(backend: Backend) -> None:
    w = World(backend, eager_wait=0.001)
    w.mover._context = copy_context()
    w.link.reads = [b"x"] * 20
    close(w)
    assert w.mover.read_watched() is True
    w.react = partial(setattr, w.mover, "woke", True)
    assert w.mover.read_watched() is False  # whom that woke comes first
    w.react, w.mover.woke = lambda: None, False
    w.rhythm.close = 0
    assert w.mover.read_watched() is False  # not yet
    close(w)
    while w.rhythm.pays():
        pass
    assert w.mover.read_watched() is False  # the loop's turn is due
    patient = World(backend, eager_wait=0.0)
    patient.mover._context = copy_context()
    patient.link.reads = [b"x"]
    close(patient)
    assert patient.mover.read_watched() is False


# --- calls ------------------------------------------------------------------------------------


def callers_of(backend: Backend) -> Any:
    return backend.waiting.Callers(lambda *_: None, lambda *_: None, None)


def test_a_call_that_is_alone_reads_its_answer_itself(backend: Backend) -> None:
    w = World(backend)
    close(w)
    w.mover._context = copy_context()
    callers = callers_of(backend)
    waiter = callers.new_call()

    def answer() -> None:
        waiter.outcome = "answered"

    w.react = answer
    w.link.reads = [b"x"]
    w.session.outbox.put(b"call")
    w.mover.armed = 9.0
    assert w.mover.asked(waiter, 10.0, callers) is True
    assert w.link.sent == [b"call"]
    assert w.seen == ["gave way", b"x"]


def test_a_call_among_others_isnt_waited_for_in_place(backend: Backend) -> None:
    w = World(backend)
    close(w)
    w.mover._context = copy_context()
    w.link.reads = [b"x", b"y"]
    idle, busy = callers_of(backend), callers_of(backend)
    busy.woken = 1
    waiter = idle.new_call()
    assert w.mover.asked(waiter, math.inf, busy) is False  # who was woken may call, too
    assert w.mover.asked(waiter, math.inf, idle) is False  # the second
    w.mover.read()
    assert w.seen == [b"x"]
    assert w.mover.asked(waiter, math.inf, None) is False  # who called goes on
    w.mover.read()
    assert w.mover.asked(waiter, math.inf, idle) is False
    assert w.seen[:3] == [b"x", b"y", "gave way"]
    assert w.mover.asked(waiter, 5.0, None) is False
    assert w.seen[-1] == "armed"  # that is nearer than what it was armed for


def test_a_call_whose_sending_ends_the_connection_has_its_outcome(backend: Backend) -> None:
    w = World(backend)
    callers = callers_of(backend)
    waiter = callers.new_call()
    waiter.outcome = Lost()
    assert w.mover.asked(waiter, math.inf, callers) is True
    assert w.seen == []


def test_who_derives_has_the_seldom_half(backend: Backend) -> None:
    w = World(backend)
    bare = backend.moving.Mover(
        w.link,
        w.session,
        w,
        losses=(Lost,),
        rhythm=w.rhythm,
        flusher=w.flusher,
        company=Company(),
        view=memoryview(bytearray(8)),
        now=lambda: 1.0,
        eager_wait=0,
        vigilant=False,
        lingering=None,
    )
    for method, arguments in (
        ("arm", ()),
        ("busy", ()),
        ("end", (None,)),
        ("_fail", (ValueError(),)),
        ("_finish", (1.0,)),
        ("_read_the_rest", ()),
        ("_wake_parked", ()),
        ("_write_failed", (Lost(),)),
        ("_write_on", ()),
    ):
        with pytest.raises(NotImplementedError):
            getattr(bare, method)(*arguments)


def test_another_link_may_take_the_place_of_one(backend: Backend) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        w = World(backend)
        own = backend.socket_io.SocketIO(ours, ours.fileno())
        ours.setblocking(False)
        w.mover.link = own
        theirs.send(b"by a socket")
        assert w.mover.read()
        w.session.outbox.put(b"there")
        w.mover.push()
        assert theirs.recv(100) == b"there"
        w.mover.link = w.link
        w.link.reads = [b"by another"]
        assert w.mover.read()
        w.session.outbox.put(b"elsewhere")
        w.mover.push()
        assert w.link.sent == [b"elsewhere"]
        assert w.seen == [b"by a socket", b"by another"]
        assert w.mover.link is w.link


# --- what is submitted ------------------------------------------------------------------------


class Told:
    def __init__(self) -> None:
        self.ended: list[Any] = []
        self._task = None

    def _add(self, pending: Any) -> None:
        self.ended.append(pending)


def submitter_of(
    w: World, backend: Backend, queue: Callable[..., object], high_water: int = 10
) -> Any:
    callers = callers_of(backend)
    w.session.call = queue  # type: ignore[attr-defined]
    return backend.submitting.Submitter(
        w.mover,
        callers,
        "call",
        5.0,
        high_water,
        askers=callers,
    )


def test_what_is_submitted_is_queued_and_then_sent(backend: Backend) -> None:
    w = World(backend)
    asked: list[Any] = []

    def queue(*what: Any) -> None:
        asked.append(what)
        w.session.outbox.put(b"call")

    submitter = submitter_of(w, backend, queue)
    pending = backend.waiting.Submitted("Echo", "value", None)
    now = submitter.queue(pending, int, str, "Echo", "value", None)
    assert now == 1.0
    assert asked == [(pending, "Echo", "value", None, 1.0)]
    assert (pending.begun, pending.annotation, pending.take) == (1.0, int, str)
    assert w.link.sent == []
    w.mover.armed = 5.0
    assert submitter.send(pending, now) is False
    assert w.flusher.added == [w.mover]  # who submits one will submit more
    assert w.seen == []
    assert submitter.send(pending, -1.0) is False
    assert w.seen == ["armed"]
    w.session.outbox.put(bytes(20))
    assert submitter.crowded
    assert submitter.send(pending, now) is True


def test_what_cant_be_submitted_now_is_left_to_who_asked(backend: Backend) -> None:
    w = World(backend)
    asked: list[Any] = []
    submitter = submitter_of(w, backend, lambda *what: asked.append(what))

    def submit() -> float:
        pending = backend.waiting.Submitted("Echo", "value", None)
        when: float = submitter.submit(pending, str, "Echo", "value", 7)
        if when >= 0:
            assert asked == [(pending, "Echo", "value", 7, 1.0)]
            assert (pending.take, pending.annotation) == (str, None)
        return when

    w.mover.paused = object()
    assert submit() < 0
    w.mover.paused = None
    w.session.outbox.put(bytes(11))
    assert submit() < 0
    w.mover.push()
    w.mover.ended = True
    assert submit() < 0
    w.mover.ended = False
    assert asked == w.flusher.added == []
    assert submit() == 1.0
    w.session.outbox.put(bytes(1))
    w.mover.write()
    assert w.flusher.added == [w.mover]


def told_of(w: World, backend: Backend) -> Any:
    """A Told, to which *w*'s connection will tell what was submitted."""
    told = backend.waiting.Told(w.seen.append)
    callers = callers_of(backend)
    callers.mover = w.mover
    backend.waiting.Submitted("Echo", "value", told)._begin(callers, None, 0.0)
    return told


def test_who_takes_what_has_ended_reads_in_place_while_nothing_has(backend: Backend) -> None:
    w = World(backend)
    come = backend.submitting.come
    bare = backend.waiting.Told(w.seen.append)
    assert not come(bare)  # nothing was submitted for it
    told = told_of(w, backend)
    assert (told._mover, told._several) == (w.mover, False)
    assert not come(told)  # nobody reads
    w.mover._context = copy_context()
    w.mover.read_for_reader = w.mover.read_as_reader
    close(w)
    w.link.reads = [b"x", b"y"]
    w.react = lambda: told._add(w.seen[-1]) if w.seen[-1] == b"y" else None
    w.mover.hold()
    w.put(b"call")
    assert w.link.sent == []
    assert come(told)
    assert w.link.sent == [b"call"]  # or nothing would come
    assert w.mover.listed  # the flusher comes by nevertheless
    assert list(told._ended) == [b"y"]
    assert not come(told)  # that is there already
    told._ended.clear()
    w.link.reads = [b"y"]
    told._task = object()
    assert not come(told)  # another waits for it
    told._task = None
    while w.rhythm.pays():
        pass
    assert not come(told)  # the loop is to have its turn
    w.rhythm.had_turn()
    assert come(told)


def test_what_a_defect_raises_there_ends_the_one_connection(backend: Backend) -> None:
    w = World(backend)
    told = told_of(w, backend)
    w.mover.hold()
    w.put(b"call")
    error = ValueError("a defect")

    def fails(data: Any) -> int:
        raise error

    w.link.try_send = fails  # type: ignore[method-assign]
    assert not backend.submitting.come(told)
    assert w.seen == [("failed", error)]


def test_who_takes_keeps_nothing_of_a_connection_that_has_ended(backend: Backend) -> None:
    w = World(backend)
    told = told_of(w, backend)
    w.mover.ended = True
    assert not backend.submitting.come(told)
    assert told._mover is None


def test_what_goes_over_several_connections_is_sent_by_the_flusher(backend: Backend) -> None:
    one, other = World(backend), World(backend)
    told = told_of(one, backend)
    callers = callers_of(backend)
    callers.mover = other.mover
    for _ in range(2):
        backend.waiting.Submitted("Echo", "value", told)._begin(callers, None, 0.0)
    assert (told._mover, told._several) == (other.mover, True)
    told._goes_over(one.mover)
    assert told._several
    told._goes_over(None)
    told._goes_over(one.mover)
    assert told._several
    one.mover.hold()
    one.put(b"call")
    assert not backend.submitting.come(told)
    assert one.flusher.flushed == 1
    assert one.link.sent == []  # that is the flusher's


def test_what_a_task_asks_is_sent_and_its_answer_read_where_nobody_else_calls(
    backend: Backend,
) -> None:
    w = World(backend)
    calls: list[Any] = []

    def queue(*what: Any) -> None:
        calls.append(what)
        w.session.outbox.put(b"call")

    submitter = submitter_of(w, backend, queue)
    w.mover.armed = 6.0
    call = submitter.ask("Echo", "value", 7)
    assert calls == [(call, "Echo", "value", 7, 1.0)]
    assert w.link.sent == [b"call"]
    assert call.outcome is None
    assert w.seen == []  # there is no reader, so nobody reads for it
    w.mover._context = copy_context()
    w.react = lambda: calls[-1][0].finish("answered")
    w.link.reads = [b"x"]
    w.mover.read()  # the first has its answer
    assert w.seen == [b"x"]
    close(w)
    w.link.reads = [b"y"]
    assert submitter.ask("Echo", "value", 7).unwrap() == "answered"
    assert w.seen == [b"x", "gave way", b"y"]


def test_a_task_waits_before_it_asks_for_room_for_the_reader_and_for_the_loops_turn(
    backend: Backend,
) -> None:
    w = World(backend)
    calls: list[Any] = []
    submitter = submitter_of(w, backend, lambda *what: calls.append(what))
    w.mover.paused = object()
    assert submitter.ask("Echo", "value", None) is None
    w.mover.paused = None
    close(w)
    while w.rhythm.pays():
        pass
    assert submitter.ask("Echo", "value", None) is None
    w.rhythm.had_turn()
    w.session.outbox.put(bytes(11))
    assert submitter.ask("Echo", "value", None) is None
    assert calls == []
    w.mover.push()
    assert submitter.ask("Echo", "value", None) is calls[0][0]
    w.mover.ended = True
    with pytest.raises(NotConnected):
        submitter.ask("Echo", "value", None)
    assert len(calls) == 1


def test_a_slot_sends_what_it_was_taken_for_and_says_that_it_is_crowded(backend: Backend) -> None:
    w = World(backend)
    asked: list[Any] = []

    def queue(*what: Any) -> None:
        asked.append(what)
        w.session.outbox.put(bytes(8))

    crowded: list[bool] = []
    target = SimpleNamespace(_crowded=lambda: crowded.append(True))
    slot = backend.turns.Slot(target, None, frozenset(), None)
    slot.submitter, slot.counts = submitter_of(w, backend, queue), SimpleNamespace(in_flight=0)
    pending = backend.waiting.Submitted("Echo", "value", None)
    assert slot.submit(pending, int) == 1.0
    assert asked == [(pending, "Echo", "value", Any, 1.0)]
    assert (pending.annotation, slot.counts.in_flight, crowded) == (int, 1, [])
    w.mover._writing = True
    slot.submit(backend.waiting.Submitted("Echo", "value", None), int)
    assert (slot.counts.in_flight, crowded) == (2, [True])


def test_what_has_ended_has_its_result_and_before_that_none(backend: Backend) -> None:
    class Pending(backend.waiting.Submitted):  # type: ignore[name-defined, misc]
        def _too_early(self) -> Exception:
            return LookupError("too early")

    callers = backend.waiting.Callers(
        lambda call, error: call._settle(error), lambda *_: None, None
    )
    for outcome, take, result in (("it", None, "it"), ("it", len, 2)):
        pending = Pending("Echo", "value", None)
        pending._begin(callers, None, 0.0, take)
        with pytest.raises(LookupError, match="too early"):
            pending.result()
        pending.finish(outcome)
        assert pending.result() == result
    failed = Pending("Echo", "value", None)
    failed._begin(callers, None, 0.0)
    failed.finish(ValueError("no"))
    for _ in range(2):
        with pytest.raises(ValueError, match="no") as caught:
            failed.result()
        assert len(caught.traceback) <= 3  # each time anew
    with pytest.raises(NotImplementedError):
        backend.waiting.Submitted("Echo", "value", None).result()


def test_a_mark_may_be_any_number(backend: Backend) -> None:
    w = World(backend)
    submitter = submitter_of(w, backend, lambda *_: None, high_water=10**30)
    w.session.outbox.put(bytes(20))
    assert not submitter.crowded


def test_what_cant_be_queued_is_raised(backend: Backend) -> None:
    w = World(backend)

    def refuse(*_: Any) -> None:
        raise ValueError("unsendable")

    submitter = submitter_of(w, backend, refuse)
    pending = backend.waiting.Submitted("Echo", "value", None)
    with pytest.raises(ValueError, match="unsendable"):
        submitter.queue(pending, None, None, "Echo", "value", None)
    w.mover.ended = True
    with pytest.raises(NotConnected):
        submitter.queue(pending, None, None, "Echo", "value", None)


def test_a_task_that_waits_for_what_ends_is_woken_once(backend: Backend) -> None:
    woken: list[Any] = []
    told = backend.waiting.Told(woken.append)
    told._task = "task"
    for number in range(3):
        pending = backend.waiting.Submitted("Echo", number, told)
        pending._settle(number)
    assert woken == ["task"]
    assert [pending._value for pending in told._ended] == [0, 1, 2]
    other = Told()
    pending = backend.waiting.Submitted("Echo", 3, other)
    pending._settle(3)
    assert other.ended == [pending]
