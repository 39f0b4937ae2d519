"""Sessions that are broken in one place: each is found out, and told what it did."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from tests.wirecore.testing.composed import Composed, greeting, pair_of, silence
from wirecore._backend import Backend
from wirecore.errors import NotConnected
from wirecore.protocols.wsrpc import Session
from wirecore.session import Call
from wirecore.testing import ContractViolation, Ends, check_calls, check_session

Bytes = bytes | bytearray | memoryview


class KeepsTheBuffer(Composed):
    def receive(self, data: Bytes, now: float) -> Any:
        self.kept = data
        return super().receive(data, now)


class HandsOutTheBuffer(Composed):
    def receive(self, data: Bytes, now: float) -> Any:
        super().receive(data, now)
        return [memoryview(data)[:1]]


class HandsOutOneList(Composed):
    """The same object each time: what it said before is gone."""

    def receive(self, data: Bytes, now: float) -> Any:
        self.mine = getattr(self, "mine", [])
        self.mine[:] = super().receive(data, now)
        return self.mine


class TakesReadsForMessages(Composed):
    def receive(self, data: Bytes, now: float) -> Any:
        super().receive(data, now)
        return [len(data)] if not self.stage.finished else []


class RaisesForRubbish(Composed):
    def receive(self, data: Bytes, now: float) -> Any:
        messages = super().receive(data, now)
        if self.connection.failure is not None:
            raise ValueError(self.connection.failure.reason)
        return messages


class NeverCloses(Composed):
    def close(self) -> None:
        pass


class ClosesAgain(Composed):
    def close(self) -> None:
        super().close()
        if not self.stage.finished:
            self.outbox.put(b"\x88\x80abcd")


class ClosesAfterTheEnd(Composed):
    def close(self) -> None:
        super().close()
        if self.stage.finished:
            self.outbox.put(b"\x88\x80abcd")


class RaisesAtTheEnd(Composed):
    def close(self) -> None:
        if self.stage.finished:
            raise RuntimeError("closed already")
        super().close()


class IgnoresTheEnd(Composed):
    def receive_eof(self, now: float) -> Any:
        return []


class TellsOfTheEndTwice(Composed):
    def receive_eof(self, now: float) -> Any:
        super().receive_eof(now)
        return ["the end"]


class TalksAfterTheEnd(Composed):
    def receive(self, data: Bytes, now: float) -> Any:
        over = self.stage.finished
        return super().receive(data, now) or (["late"] if over else [])


class AlwaysDue(Composed):
    def next_deadline(self) -> float:
        return -math.inf


class ExpiresEarly(Composed):
    def expire(self, now: float) -> Any:
        self.connection.ping()
        return super().expire(now)


class ExpiresForNobody(Composed):
    """Tells of a deadline that hasn't come."""

    def expire(self, now: float) -> Any:
        return super().expire(now) or ["time"]


class ExpiresOnTimeOnly(Composed):
    """As if clocks rang on time: a beat that is seen to late is never seen to."""

    def expire(self, now: float) -> Any:
        return super().expire(now) if now == self.next_deadline() else []


class CountsBeatsFromTheLast(Composed):
    """Each beat is so long after the one before: late by several, it is due at once again."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self.due = math.inf

    def start(self, now: float) -> None:
        super().start(now)
        self.due = now + 5

    def next_deadline(self) -> float:
        return math.inf if self.stage.finished else min(self.due, super().next_deadline())

    def expire(self, now: float) -> Any:
        if self.due <= now:
            self.due += 5
        return super().expire(now)


class NoTime(Composed):
    def next_deadline(self) -> float:
        return math.nan


class CountsQuestions(Composed):
    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self.asked = count()

    def next_deadline(self) -> float:
        return super().next_deadline() + next(self.asked)


class ForgetsTheTime(Composed):
    def start(self, now: float) -> None:
        raise NotImplementedError


class StageForEach(Composed):
    @property
    def stage(self) -> Any:
        return SimpleNamespace(finished=self.connection.finished, deferred=False, growing=0)


class StuckStage:
    """A stage that never has done with what it put off."""

    deferred = True
    growing = 0

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def finished(self) -> bool:
        return bool(self._connection.finished)


class NeverSeesToIt(Composed):
    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._stage: Any = StuckStage(connection)


class ComesBack(Composed):
    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._stage: Any = SimpleNamespace(finished=False, deferred=False, growing=0)

    def receive(self, data: Bytes, now: float) -> Any:
        self._stage.finished = False
        return []

    def receive_eof(self, now: float) -> Any:
        self._stage.finished = True

    def close(self) -> None:
        self._stage.finished = True


class Shrinks(Composed):
    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._stage: Any = SimpleNamespace(finished=False, deferred=False, growing=-1)


class BrokenOutbox:
    """Passes on all to a sound one, but for what a test breaks."""

    def __init__(self, sound: Any) -> None:
        self._sound = sound

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sound, name)


class GivesNothing(BrokenOutbox):
    def take(self, limit: int) -> bytes:
        return b""


class GivesMoreEachTime(BrokenOutbox):
    def __init__(self, sound: Any) -> None:
        super().__init__(sound)
        self._taken = count()

    def take(self, limit: int) -> bytes:
        return bytes(self._sound.take(limit)) + bytes(next(self._taken))


class GoesBack(BrokenOutbox):
    @property
    def flushed(self) -> int:
        return -int(self._sound.flushed)


def with_outbox(kind: type[BrokenOutbox]) -> type[Composed]:
    """A session with such an outbox."""

    class Mixed(Composed):
        def __init__(self, connection: Any) -> None:
            super().__init__(connection)
            self._outbox: Any = kind(connection.outbox)

    Mixed.__name__ = f"With{kind.__name__}"
    return Mixed


class AnswersEverything(Composed):
    def receive(self, data: Bytes, now: float) -> Any:
        messages = super().receive(data, now)
        if messages and not self.stage.finished:
            self.send("thanks")
        return messages


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (KeepsTheBuffer, "isn't kept"),
        (HandsOutTheBuffer, "isn't kept"),
        (HandsOutOneList, "any cut of the bytes has the same outcome"),
        (TakesReadsForMessages, "any cut of the bytes has the same outcome"),
        (RaisesForRubbish, r"receive\(\) never raises, .*hostile bytes, round \d+ of seed 0: "),
        (NeverCloses, "close.. ends it in time"),
        (ClosesAgain, "close.. is idempotent"),
        (ClosesAfterTheEnd, "close.. after the end queues nothing"),
        (RaisesAtTheEnd, r"close\(\) never raises"),
        (IgnoresTheEnd, "receive_eof.. ends it"),
        (TellsOfTheEndTwice, "receive_eof.. after the end tells of nothing"),
        (TalksAfterTheEnd, "receive.. after the end tells of nothing"),
        (AlwaysDue, r"after expire\(now\) next_deadline\(\) is later than now"),
        (ExpiresEarly, "before next_deadline.. does nothing"),
        (ExpiresForNobody, "before next_deadline.. does nothing"),
        (ExpiresOnTimeOnly, r"after expire\(now\) next_deadline\(\) is later than now"),
        (CountsBeatsFromTheLast, r"after expire\(now\) next_deadline\(\) is later than now"),
        (NoTime, "is a time, or math.inf"),
        (CountsQuestions, "asking for next_deadline.. changes nothing"),
        (ForgetsTheTime, r"start\(\) never raises"),
        (StageForEach, "stay the same objects"),
        (NeverSeesToIt, "sees to what was deferred"),
        (ComesBack, "what has finished stays finished"),
        (Shrinks, "growing is a number of bytes"),
        (with_outbox(GivesNothing), "take.. gives something"),
        (with_outbox(GivesMoreEachTime), "take.. gives the same again"),
        (with_outbox(GoesBack), "offsets of the outbox never go back"),
        (AnswersEverything, "talk to each other for ever"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_each_is_found_out(backend: Backend, kind: type[Composed], rule: str) -> None:
    with pytest.raises(ContractViolation, match=rule) as caught:
        check_session(pair_of(kind, backend, heartbeat=False), [greeting, silence])
    assert f"{kind.__name__}, the " in str(caught.value)


def test_what_a_session_raised_is_the_cause(backend: Backend) -> None:
    with pytest.raises(ContractViolation) as caught:
        check_session(pair_of(ForgetsTheTime, backend), [])
    assert isinstance(caught.value.__cause__, NotImplementedError)


class Unbounded(Composed):
    """It has a deadline each millisecond, and never stops."""

    at = math.inf

    def start(self, now: float) -> None:
        super().start(now)
        self.at = now

    def expire(self, now: float) -> Any:
        if now >= self.at:
            self.at = now + 0.001
        return super().expire(now)

    def next_deadline(self) -> float:
        return self.at


def test_deadlines_without_end_are_found_out(backend: Backend) -> None:
    with pytest.raises(ContractViolation, match="deadlines come without end"):
        check_session(pair_of(Unbounded, backend), [silence])


def test_a_story_that_is_different_each_time_is_no_fault_of_the_session(backend: Backend) -> None:
    """Which is why its outcome is shown."""
    number = count()

    def fickle(ends: Ends[Composed, Composed]) -> None:
        ends.client.session.send(f"message {next(number)}")
        ends.settle()

    with pytest.raises(ContractViolation, match=r"whole it was .*'message 0'.* now .*'message 1'"):
        check_session(pair_of(Composed, backend), [fickle])


# --- calls ------------------------------------------------------------------------------------


class AlwaysHopeful(Session):
    def lost(self) -> Any:
        return [(call, "not_sent") for call, _ in super().lost()]


class NeverHopeful(Session):
    def lost(self) -> Any:
        return [(call, "maybe_executed") for call, _ in super().lost()]


class NewestFirst(Session):
    def lost(self) -> Any:
        return super().lost()[::-1]


class LosesThem(Session):
    def lost(self) -> Any:
        super().lost()
        return []


class Repeats(Session):
    found: Any = ()

    def lost(self) -> Any:
        self.found = self.found or super().lost()
        return self.found


class TakesAnything(Session):
    def call(self, call: Call, method: str, payload: bytes, now: float) -> None:
        try:
            super().call(call, method, payload, now)
        except NotConnected:
            pass


class RaisesAnything(Session):
    def call(self, call: Call, method: str, payload: bytes, now: float) -> None:
        try:
            super().call(call, method, payload, now)
        except NotConnected:
            raise RuntimeError("closed") from None


class CallsNothing(Session):
    def call(self, call: Call, method: str, payload: bytes, now: float) -> None:
        pass


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (AlwaysHopeful, "says what is known of each call: .'maybe_executed'., not .'not_sent'."),
        (NeverHopeful, "says what is known of each call: .'not_sent'., not .'maybe_executed'."),
        (NewestFirst, "oldest first"),
        (LosesThem, "ends each call that waits"),
        (Repeats, "ends a call once"),
        (TakesAnything, "a call after the end raises a ConnectionLost, and it was taken"),
        (RaisesAnything, "a call after the end raises a ConnectionLost .*RuntimeError"),
        (CallsNothing, "a call queues something"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_isnt_true_of_calls_is_found_out(
    backend: Backend, kind: type[Session], rule: str
) -> None:
    def call(session: Session, now: float) -> Call:
        made = Call()
        session.call(made, "Method", b"payload", now)
        return made

    pair: Callable[[], tuple[Session, Session]] = lambda: (  # noqa: E731
        kind(client=True, backend=backend),
        kind(client=False, backend=backend),
    )
    with pytest.raises(ContractViolation, match=rule):
        check_calls(pair, call)


def test_wrong_arguments_are_told_at_once(backend: Backend) -> None:
    make_pair = pair_of(Composed, backend)
    with pytest.raises(TypeError, match="make_pair must be a function that makes two sessions"):
        check_session(make_pair(), [greeting])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="put the one into a list"):
        check_session(make_pair, greeting)  # type: ignore[arg-type]
