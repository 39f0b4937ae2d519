"""A pump's hot half, between a link, a session and an owner that do as they are told."""

from __future__ import annotations

import math
import socket
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.wirecore.moving_story import Company, Lost, World, callers_of, close
from wirecore.moving_rules import LEFT_OUT, RECEIVE_BUFFER, TOGETHER

if TYPE_CHECKING:
    from wirecore._backend import Backend


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
