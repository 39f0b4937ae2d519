"""The lifecycle of an engine: its table, its times, and what it keeps to whatever happens."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import pytest

from wirecore import errors
from wirecore.protocols.engine import (
    TABLE,
    AlreadyStarted,
    CloseDetails,
    EngineStartError,
    Input,
    Lifecycle,
    Next,
    NotStarted,
    OpenTimeout,
    Retries,
    State,
    StopTimeout,
)

BYE = CloseDetails(1000, "bye")
NO = ValueError("no")


def open_engine(**options: object) -> Lifecycle:
    """One that is open at 0."""
    engine = Lifecycle(**options)  # type: ignore[arg-type]
    engine.start(0)
    engine.opened(0)
    assert state_of(engine) is State.OPEN
    return engine


def state_of(engine: Lifecycle) -> State:
    """Its state, of which a checker of types assumes nothing."""
    return engine.state


def pass_through(engine: Lifecycle, *states: State) -> None:
    """Have each callback of *states* end, and each close succeed."""
    for state in states:
        assert state_of(engine) is state
        if state is State.DISCONNECTING:
            engine.disconnected(0)
        else:
            engine.called(0)


# --- the ways through the table -------------------------------------------------------------------


def test_a_start_a_session_and_a_stop() -> None:
    engine = Lifecycle()
    assert not engine.started
    engine.start(0)
    assert state_of(engine) is State.STARTING
    assert not engine.started
    engine.opened(1)
    assert engine.session == 1
    assert engine.started
    engine.stop(2)
    pass_through(engine, State.CLOSING, State.DISCONNECTING)
    assert state_of(engine) is State.IDLE
    assert not engine.started
    assert engine.error is None


def test_a_first_attempt_that_fails_is_not_retried_and_may_be_made_again() -> None:
    engine = Lifecycle()
    engine.start(0)
    engine.failed(NO, 0)
    assert state_of(engine) is State.IDLE
    assert engine.error is NO
    engine.start(0)
    assert engine.error is None
    engine.opened(0)
    assert state_of(engine) is State.OPEN


def test_what_the_peer_has_closed_isnt_closed_again() -> None:
    engine = open_engine()
    engine.lost(BYE, 0)
    assert state_of(engine) is State.CLOSED
    assert engine.details == BYE
    engine.called(0)
    assert state_of(engine) is State.RESTARTING
    assert engine.details is None
    engine.opened(0)
    assert engine.session == 2


def test_a_loss_that_comes_to_light_when_this_end_was_to_close() -> None:
    engine = open_engine()
    engine.restart(1, 0)
    assert state_of(engine) is State.CLOSING
    engine.lost(BYE, 0)
    assert state_of(engine) is State.CLOSED
    assert engine.details == BYE
    engine.called(0)
    assert state_of(engine) is State.RESTARTING


def test_without_auto_reconnect_it_ends_with_its_connection() -> None:
    engine = open_engine(auto_reconnect=False)
    engine.lost(BYE, 0)
    pass_through(engine, State.CLOSED)
    assert state_of(engine) is State.IDLE


def test_an_error_of_the_close_is_told_and_it_goes_on() -> None:
    engine = open_engine()
    engine.restart(1, 0)
    engine.called(0)
    engine.failed(NO, 0)
    assert state_of(engine) is State.CLOSE_FAILED
    assert engine.error is NO
    engine.called(0)
    assert state_of(engine) is State.RESTARTING


def test_a_restart_of_a_session_that_is_over_is_none() -> None:
    engine = open_engine()
    engine.lost(BYE, 0)
    engine.called(0)
    engine.opened(0)
    engine.restart(1, 0)
    assert state_of(engine) is State.OPEN
    engine.restart(2, 0)
    assert state_of(engine) is State.CLOSING


@pytest.mark.parametrize("ask", [Lifecycle.exit, Lifecycle.stop])
def test_who_leaves_is_through_after_the_close(ask: object) -> None:
    engine = open_engine()
    engine.lost(BYE, 0)
    ask(engine, 0)  # type: ignore[operator]
    pass_through(engine, State.CLOSED)
    assert state_of(engine) is State.IDLE


def test_exit_in_on_open_has_on_close_called_at_once() -> None:
    engine = Lifecycle()
    engine.start(0)
    engine.exit(0)
    assert state_of(engine) is State.STARTING
    engine.opened(0)
    pass_through(engine, State.CLOSING, State.DISCONNECTING)
    assert state_of(engine) is State.IDLE


def test_exit_in_an_on_open_that_fails_leaves_an_engine_that_never_started() -> None:
    engine = Lifecycle()
    engine.start(0)
    engine.exit(0)
    engine.failed(NO, 0)
    assert state_of(engine) is State.IDLE
    with pytest.raises(NotStarted):
        engine.stop(0)


def test_exit_in_on_restart_error_ends_the_retries() -> None:
    engine = open_engine()
    engine.lost(BYE, 0)
    engine.called(0)
    engine.failed(NO, 0)
    assert state_of(engine) is State.RESTART_FAILED
    engine.exit(0)
    engine.called(0)
    assert state_of(engine) is State.IDLE


def test_starting_twice_and_stopping_what_isnt_started_are_refused() -> None:
    engine = open_engine()
    with pytest.raises(AlreadyStarted) as twice:
        engine.start(0)
    assert str(twice.value) == "websocket engine failed to start: engine has already started"
    assert isinstance(twice.value, EngineStartError)
    assert isinstance(twice.value, errors.InvalidState)
    assert state_of(engine) is State.OPEN
    engine.stop(0)
    pass_through(engine, State.CLOSING, State.DISCONNECTING)
    with pytest.raises(NotStarted) as stopped:
        engine.stop(0)
    assert str(stopped.value) == "websocket engine is not started"


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retries", "delays"),
    [
        (Retries(), [5, 5, 5]),
        (Retries(1, 1), [1, 1, 1]),
        (Retries(2, 2), [2, 4, 4]),
        (Retries(3, 4), [3, 9, 27, 81, 81]),
        (Retries(0.5, 3), [0.5, 0.25, 0.125, 0.125]),
    ],
)
def test_the_delays_between_attempts(retries: Retries, delays: list[float]) -> None:
    engine = open_engine(retries=retries)
    for outage in range(2):  # each counts anew
        now = outage * 1000.0
        engine.lost(BYE, now)
        engine.called(now)
        for count, delay in enumerate(delays):
            assert (engine.state, engine.attempt) == (State.RESTARTING, count)
            engine.failed(NO, now)
            engine.called(now)
            assert state_of(engine) is State.WAITING
            assert engine.next_deadline() == now + delay
            now += delay
            engine.expire(now)
        engine.opened(now)


def test_who_was_open_too_short_waits_as_after_an_attempt_that_failed() -> None:
    engine = open_engine(retries=Retries(2, 2), stable_after=10)
    now = 0.0
    ends = (
        ("lost at once", 0, 2),
        ("just too short", 9.99, 4),
        ("refused meanwhile", 0, 4),
        ("long enough", 10, 0),
        ("lost at once", 0, 2),
        ("restarted by the user", 1, 4),
    )
    for what, lasted, delay in ends:
        assert (state_of(engine), what) == (State.OPEN, what)
        now += lasted
        if what == "restarted by the user":
            engine.restart(engine.session, now)
            pass_through(engine, State.CLOSING)
            engine.disconnected(now)
        else:
            engine.lost(BYE, now)
            engine.called(now)
        if delay:
            assert (state_of(engine), what) == (State.WAITING, what)
            assert engine.next_deadline() == now + delay
            now += delay
            engine.expire(now)
        assert state_of(engine) is State.RESTARTING
        if what == "refused meanwhile":
            engine.failed(NO, now)
            engine.called(now)
            assert engine.next_deadline() == now + 4
            now += 4
            engine.expire(now)
        engine.opened(now)


@pytest.mark.parametrize("leave", [Lifecycle.stop, Lifecycle.exit])
def test_who_leaves_or_never_reconnects_doesnt_wait_for_it(leave: Callable[..., None]) -> None:
    engine = open_engine(stable_after=10)
    leave(engine, 0)
    pass_through(engine, State.CLOSING, State.DISCONNECTING)
    assert state_of(engine) is State.IDLE
    once = open_engine(stable_after=10, auto_reconnect=False)
    once.lost(BYE, 0)
    once.called(0)
    assert state_of(once) is State.IDLE
    waiting = open_engine(stable_after=10)
    waiting.lost(BYE, 0)
    waiting.called(0)
    leave(waiting, 0)
    assert state_of(waiting) is State.IDLE


def test_a_delay_is_spread_by_the_jitter_at_most() -> None:
    numbers = iter([0.0, 0.5, 1.0])
    retries = Retries(10, 1, 0.2, lambda: next(numbers))
    assert [retries.delay(1) for _ in range(3)] == pytest.approx([8, 10, 12])
    assert retries.delay(0) == 0


def test_a_power_beyond_all_floats_is_for_ever() -> None:
    assert Retries(10.0, 10**6).delay(10**6) == math.inf


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0, 1), "retry_delay_base must be above 0, not 0"),
        ((1, 0), "retry_delay_max_exponent must be at least 1, not 0"),
        ((1, 1, 1.5), "retry_jitter must be at most 1, not 1.5"),
        ((1, 1, -1), "retry_jitter must be at least 0, not -1"),
    ],
)
def test_retries_that_make_no_sense(arguments: tuple[float, ...], says: str) -> None:
    with pytest.raises(errors.InvalidOption, match=says):
        Retries(*arguments)  # type: ignore[arg-type]


def test_an_attempt_has_the_open_timeout() -> None:
    engine = Lifecycle(open_timeout=3)
    engine.start(10)
    assert engine.next_deadline() == 13
    engine.expire(13)
    assert state_of(engine) is State.IDLE
    assert isinstance(engine.error, OpenTimeout)
    engine.start(20)
    engine.opened(21)
    assert engine.next_deadline() == math.inf
    engine.lost(BYE, 22)
    engine.called(22)
    engine.expire(25)
    assert state_of(engine) is State.RESTART_FAILED
    assert isinstance(engine.error, OpenTimeout)


def test_a_stop_during_a_wait_or_an_attempt_is_through_at_once() -> None:
    for state in (State.STARTING, State.RESTARTING, State.WAITING):
        engine = Lifecycle()
        engine.start(0)
        if state is not State.STARTING:
            engine.opened(0)
            engine.lost(BYE, 0)
            engine.called(0)
        if state is State.WAITING:
            engine.failed(NO, 0)
            engine.called(0)
        assert state_of(engine) is state
        engine.stop(0)
        assert state_of(engine) is State.IDLE
        assert engine.next_deadline() == math.inf


@pytest.mark.parametrize("states", [[], [State.CLOSING]], ids=["on_close", "the close"])
def test_a_stop_is_over_at_its_timeout(states: list[State]) -> None:
    engine = open_engine(stop_timeout=2)
    engine.stop(10)
    pass_through(engine, *states)
    engine.stop(11)  # a second one doesn't put it off
    assert engine.next_deadline() == 12
    engine.expire(12)
    assert state_of(engine) is State.IDLE
    assert isinstance(engine.error, StopTimeout)
    engine.called(13)  # too late
    assert state_of(engine) is State.IDLE


def test_no_timeouts() -> None:
    engine = Lifecycle(open_timeout=None, stop_timeout=None)
    engine.start(0)
    assert engine.next_deadline() == math.inf
    engine.opened(0)
    engine.stop(0)
    assert engine.next_deadline() == math.inf


# --- all of it ------------------------------------------------------------------------------------


def test_each_state_is_reached_and_left_by_the_table() -> None:
    chosen = {
        Next.READ: {State.OPEN, State.CLOSING},
        Next.RECONNECT: {State.RESTARTING, State.IDLE},
        Next.RETRY: {State.WAITING, State.IDLE},
    }
    reached: set[State] = set()
    for following in TABLE.values():
        reached |= chosen[following] if isinstance(following, Next) else {following}
    assert reached == set(State)
    assert {state for state, _ in TABLE} == set(State)
    assert {happened for _, happened in TABLE} == set(Input)


class Watched:
    """An engine, with what its users see of it: which callbacks were called, in which order."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = 0.0
        self.stop_deadline = math.inf
        self.engine = Lifecycle(
            auto_reconnect=chance.random() < 0.8,
            retries=Retries(1, 2),
            open_timeout=chance.choice([None, 3.0]),
            stop_timeout=chance.choice([None, 2.0]),
        )
        self.before = self.engine.state
        self.seen: Counter[State] = Counter()
        self.calls: list[str] = []

    def step(self) -> None:
        """Something happens that can happen now."""
        engine, chance, now = self.engine, self.chance, self.now
        state = engine.state
        choices = ["time", "exit", "restart", "stale", "stop", "start"]
        choices += {
            State.STARTING: ["opened", "failed"],
            State.RESTARTING: ["opened", "failed"],
            State.OPEN: ["lost", "lost"],
            State.DISCONNECTING: ["disconnected", "failed"],
            State.IDLE: ["start"],
            State.WAITING: ["time"],
        }.get(state, ["called", "called"]) * 2
        what = chance.choice(choices)
        if what == "time":
            self.pass_time()
        elif what == "stop":
            self.ask(engine.stop, NotStarted if state is State.IDLE else None)
        elif what == "start":
            self.ask(engine.start, None if state is State.IDLE else AlreadyStarted)
        elif what == "restart":
            engine.restart(engine.session, now)
        elif what == "stale":
            engine.restart(engine.session - 1, now)
            assert state_of(engine) is state
        elif what == "failed":
            engine.failed(NO, now)
        elif what == "lost":
            engine.lost(BYE, now)
        else:
            getattr(engine, what)(now)
        self.check(state)

    def ask(self, method: Callable[[float], None], refusal: type[Exception] | None) -> None:
        """Call *method*, which raises *refusal*, if anything."""
        if refusal is None:
            method(self.now)
        else:
            with pytest.raises(refusal):
                method(self.now)

    def pass_time(self) -> None:
        deadline = self.engine.next_deadline()
        if deadline < math.inf and self.chance.random() < 0.7:
            self.now = deadline
            self.engine.expire(self.now)
        else:
            self.now += self.chance.random()
            if self.now >= deadline:
                self.engine.expire(self.now)

    def check(self, before: State) -> None:
        """What holds always."""
        engine = self.engine
        state = engine.state
        if state is before:
            return
        self.calls.append(state.name)
        if before is State.OPEN:
            assert state in (State.CLOSED, State.CLOSING)  # no session ends without on_close
        if state is State.DISCONNECTING:
            assert before is State.CLOSING  # and nothing is closed before that
        if state is State.OPEN:
            assert before in (State.STARTING, State.RESTARTING)
        if state in (State.RESTARTING, State.WAITING):
            assert not engine.leaving
        if state is State.WAITING:
            assert self.now < engine.next_deadline() < math.inf
        if state is State.IDLE:
            assert engine.next_deadline() == math.inf  # nothing is left behind
        assert (engine.details is not None) == (state is State.CLOSED)
        assert engine.started == (state not in (State.IDLE, State.STARTING))

    def end(self) -> None:
        """Whatever happened, a stop ends it as soon as its callbacks do, or the time is over."""
        engine = self.engine
        if engine.state is not State.IDLE:
            engine.stop(self.now)
        for _ in range(4):
            before = engine.state
            if engine.state is State.DISCONNECTING:
                engine.failed(NO, self.now)
            else:
                engine.called(self.now)
            self.check(before)
        assert state_of(engine) is State.IDLE


def test_whatever_happens_it_keeps_its_order_and_can_be_stopped() -> None:
    reached: Counter[str] = Counter()
    for seed in range(100_000):
        watched = Watched(random.Random(seed))
        for _ in range(watched.chance.randrange(12)):
            watched.step()
        watched.end()
        reached.update(watched.calls)
    assert set(reached) == {state.name for state in State}
