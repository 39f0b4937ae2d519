"""The work, the same for every driver: which messages, how many at a time, for how long.

Drivers differ in how they move a message; what they move, what they compare and when they stop
is here.
"""

from __future__ import annotations

import json
import random
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

#: Messages up to this size are compared whole; of longer ones every 16th, of the others the ends.
WHOLE = 4096


class WrongAnswer(Exception):
    """What came back isn't what was sent."""


class CannotRun(Exception):
    """This machine doesn't let the load be what the row says; the text tells what it needs."""


def say(event: dict[str, Any]) -> None:
    """Prints one event line."""
    print(json.dumps(event), flush=True)


@dataclass(frozen=True)
class Outcome:
    """What a driver found; see README.md for the fields."""

    count: int
    seconds: float
    checked: int
    value: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Fields that are None are left out."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Task:
    """What the command line asks for; sizes in bytes, times in seconds."""

    port: int
    size: int
    in_flight: int
    warm_up: float
    seconds: float
    watch: int
    options: dict[str, str]
    version: str

    def listening(self, port: int) -> None:
        """A server calls it once it accepts connections."""
        say({"event": "listening", "port": port, "version": self.version})

    def messages(self) -> list[bytes]:
        """The payloads to send, in turn and over again: the same ones for every driver."""
        return payloads(self.size)

    def texts(self) -> list[str]:
        """The same for those who send text: *size* ASCII characters each."""
        return [text[: self.size] for text in (each.hex() for each in payloads(self.size))]


def payloads(size: int) -> list[bytes]:
    """64 different payloads of *size* bytes; of those over 4 KiB two."""
    source = random.Random(size)
    return [source.randbytes(size) for _ in range(64 if size <= WHOLE else 2)]


class Meter:
    """Counts what came back, through warm-up, measurement and end; compares it too."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._whole = task.size <= WHOLE
        self._measuring = False
        self._began = time.perf_counter()
        self._until = self._began + task.warm_up
        self._latencies = array("d")
        self._calls = 0
        self.count = 0
        self.checked = 0
        self.seconds = 0.0
        self.over = False

    def check(self, got: object, expected: object) -> None:
        """Raises WrongAnswer unless *got* is what was *expected*; both sized the same way."""
        self.checked += 1
        if self._whole or self.checked % 16 == 1:
            good = got == expected
        else:
            assert isinstance(got, bytes | bytearray) and isinstance(expected, bytes)
            good = (
                len(got) == len(expected) and got[:8] == expected[:8] and got[-8:] == expected[-8:]
            )
        if not good:
            raise self.wrong()

    def check_all(self, got: Sequence[object], expected: Sequence[object]) -> None:
        """The same for a batch of small messages, compared in one go."""
        self.checked += len(got)
        if list(got) != list(expected):
            raise WrongAnswer(f"one of the {len(got)} messages up to {self.checked} is wrong")

    def arrived(self, number: int = 1) -> bool:
        """*number* more messages came back. True once the measurement is over."""
        if self.over:
            return True
        self.count += number
        now = time.perf_counter()
        if now >= self._until:
            self._next_phase(now)
        return self.over

    def answered(self, started: float) -> bool:
        """The same for one call that began at *started* (perf_counter); notes its latency."""
        self._calls += 1
        if self._calls % 8 == 0 and self._measuring:
            self._latencies.append(time.perf_counter() - started)
        return self.arrived()

    def call_ended(self, got: object, expected: object, started: float) -> bool:
        """`check` and `answered` of one call.

        In one piece, as what it takes counts as the contender's: a fast one answers in 15 us.
        """
        if self._whole and got == expected:
            self.checked += 1
        else:
            self.check(got, expected)
        now = time.perf_counter()
        self._calls += 1
        if self._calls % 8 == 0 and self._measuring:
            self._latencies.append(now - started)
        if now < self._until:
            self.count += 1
            return False
        return self.arrived()

    def took(self, seconds: float) -> None:
        """Notes the latency of one call, if it is measured now."""
        if self._measuring:
            self._latencies.append(seconds)

    def wrong(self) -> WrongAnswer:
        """What to raise for the message that was checked last."""
        return WrongAnswer(f"message {self.checked} isn't the one that was sent")

    def _next_phase(self, now: float) -> None:
        if self._measuring:
            self.seconds = now - self._began
            self.over = True
            say({"event": "end"})
            return
        say({"event": "begin"})
        self._measuring = True
        self.count = 0
        self._began = time.perf_counter()
        self._until = self._began + self._task.seconds

    def outcome(self) -> Outcome:
        """The figures, once it is over."""
        assert self.over, "the load ended before its time"
        ordered = sorted(self._latencies)
        return Outcome(
            count=self.count,
            seconds=self.seconds,
            checked=self.checked,
            p50_us=_percentile(ordered, 0.50),
            p99_us=_percentile(ordered, 0.99),
        )


def _percentile(ordered: list[float], fraction: float) -> float | None:
    """In microseconds, or None for too few figures to tell."""
    if len(ordered) < 100:
        return None
    return round(ordered[int(len(ordered) * fraction)] * 1e6, 1)


async def echo(
    task: Task,
    send: Callable[[bytes], Awaitable[object]],
    receive: Callable[[], Awaitable[object]],
) -> Outcome:
    """Keeps ``task.in_flight`` messages under way, one call each way for each message.

    Runs in whatever event loop *send* and *receive* belong to. Nothing is left under way at the
    end.
    """
    meter = Meter(task)
    messages = task.messages()
    outgoing, expected = cycle(messages), cycle(messages)
    clock = time.perf_counter
    started = clock()
    for _ in range(task.in_flight):
        await send(next(outgoing))
    if task.in_flight == 1:
        while True:
            meter.check(await receive(), next(expected))
            if meter.answered(started):
                return meter.outcome()
            started = clock()
            await send(next(outgoing))
    while True:
        meter.check(await receive(), next(expected))
        if meter.arrived():
            break
        await send(next(outgoing))
    for _ in range(task.in_flight - 1):
        meter.check(await receive(), next(expected))
    return meter.outcome()


@dataclass
class Batches:
    """The window of :func:`echo` for those who move many messages at a time."""

    task: Task
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = Meter(self.task)
        messages = self.task.messages()
        # Any slice of up to in_flight messages is contiguous in here.
        self._ring = messages * (self.task.in_flight // len(messages) + 2)
        self._period = len(messages)
        self._sent = 0
        self._got = 0

    def first(self) -> list[bytes]:
        """What to send at the start."""
        return self._take(self.task.in_flight)

    def next(self, got: Sequence[object]) -> list[bytes]:
        """*got* came back: what to send now; nothing once the measurement is over."""
        start = self._got % self._period
        self.meter.check_all(got, self._ring[start : start + len(got)])
        self._got += len(got)
        return [] if self.meter.arrived(len(got)) else self._take(len(got))

    @property
    def under_way(self) -> int:
        """Messages sent that haven't come back."""
        return self._sent - self._got

    def _take(self, number: int) -> list[bytes]:
        start = self._sent % self._period
        self._sent += number
        return self._ring[start : start + number]


class Tally:
    """A server's count of signals, whose texts are compared with those that drivers send."""

    def __init__(self, task: Task) -> None:
        self._known = frozenset(task.texts())
        self.seen = 0
        self.good = 0

    def take(self, text: str) -> None:
        """A signal came."""
        self.seen += 1
        if text in self._known:
            self.good += 1


async def signals(
    task: Task,
    signal: Callable[[str], Awaitable[object]],
    closing: Callable[[int], Awaitable[object]],
) -> Outcome:
    """Bursts of ``task.in_flight`` signals, one after the other, each closed by a request.

    ``closing(sent)`` returns how many good ones the server has counted when it has seen *sent* in
    all: what counts is what was handled there, and not what was only written.
    """
    meter = Meter(task)
    texts = cycle(task.texts())
    sent = 0
    while True:
        for _ in range(task.in_flight):
            await signal(next(texts))
        sent += task.in_flight
        meter.check(await closing(sent), sent)
        if meter.arrived(task.in_flight):
            return meter.outcome()


async def submissions(
    task: Task,
    submit: Callable[[Any], Any],
    questions: Sequence[Any],
    receive_many: Callable[[], Awaitable[Sequence[Any]]],
    is_right: Callable[[Any], bool],
) -> Outcome:
    """``task.in_flight`` calls at a time, all of one task, and one more for each that has ended.

    *submit* begins one for a question; *is_right* compares what one that ended has brought.
    """
    meter, clock, next_question = Meter(task), time.perf_counter, cycle(questions).__next__
    timed, began = None, 0.0  # one at a time
    for _ in range(task.in_flight):
        submit(next_question())
    under_way = task.in_flight
    while under_way:
        ended = await receive_many()
        over = meter.arrived(len(ended))
        for call in ended:
            if not is_right(call):
                raise meter.wrong()
            meter.checked += 1
            if call is timed:
                timed = None
                meter.took(clock() - began)
            if over:
                under_way -= 1
                continue
            another = submit(next_question())
            if timed is None:
                timed, began = another, clock()
    return meter.outcome()


async def calls(
    call: Callable[[Any], Awaitable[object]],
    meter: Meter,
    questions: Sequence[Any],
    answers: Sequence[Any],
) -> None:
    """One caller: one call after the other until the measurement is over.

    As many of them as calls should be under way, each in a task of its own, make the load.
    *answers* are compared with what ``call(question)`` gives.
    """
    clock = time.perf_counter
    for question, answer in cycle(zip(questions, answers, strict=True)):
        started = clock()
        if meter.call_ended(await call(question), answer, started):
            return
