"""Running calls: in the reader, a task or a thread, and what the caller is told of the outcome."""

from __future__ import annotations

import contextvars
import logging
import math
import re
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
import trio
import trio.testing

from wirecore import gob
from wirecore.errors import ConnectionClosed, InvalidState, RpcError
from wirecore.protocols.pool.gob import InvalidRequest
from wirecore_trio import pool
from wirecore_trio._dispatch import Workers

Run: TypeAlias = Callable[[Callable[[], Awaitable[None]]], None]
Opener: TypeAlias = Callable[..., Any]

seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")

INTERNAL = re.compile(r"^internal error ([0-9a-f-]{36})$")

#: The ways to run, by the names of the methods of Everywhere.
MODES = ["Everywhere.Task", "Everywhere.Thread", "Everywhere.Inline"]


@dataclass
class Empty:
    """What a caller in Go reads as *struct{}."""


class Everywhere:
    """One method a way to run, each of which does what :attr:`act` does."""

    def __init__(self, act: Callable[[Any], Any]) -> None:
        self.act = act

    @pool.exported
    async def task(self, value: Any) -> Any:
        return self.act(value)

    @pool.exported
    def thread(self, value: Any) -> Any:
        return self.act(value)

    @pool.exported(inline=True)
    def inline(self, value: Any) -> Any:
        return self.act(value)


def fail_with(error: Exception) -> Callable[[Any], Any]:
    def act(value: Any) -> Any:
        raise error

    return act


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "wirecore.pool" and record.levelno == logging.ERROR
    ]


# --- where handlers run ---


def test_each_way_to_run_answers(open_line: Opener, run_real: Run) -> None:
    async def story() -> None:
        main = threading.current_thread()
        where: list[bool] = []

        def act(value: Any) -> Any:
            where.append(threading.current_thread() is main)
            return value.upper()

        async with open_line(Everywhere(act)) as line:
            for method in MODES:
                assert await line.call(method, "hello", str) == "HELLO"
            assert where == [True, False, True]

    run_real(story)


def test_inline_answers_before_the_reader_goes_on_and_tasks_run_together(
    open_line: Opener, run: Run
) -> None:
    class Meeting:
        def __init__(self) -> None:
            self.here = 0
            self.all_here = trio.Event()

        @pool.exported
        async def meet(self) -> int:
            self.here += 1
            if self.here == 3:
                self.all_here.set()
            await self.all_here.wait()
            return self.here

        @pool.exported(inline=True)
        def count(self) -> int:
            return self.here

    async def story() -> None:
        async with open_line(Meeting()) as line:
            answers = [line.start("Meeting.Meet", 0, int) for _ in range(3)]
            count = line.start("Meeting.Count", 0, int)
            assert (count.outcome, line.handling) == (0, 3)
            assert [await answer.wait() for answer in answers] == [3, 3, 3]
            assert line.handling == 0

    run(story)


def test_a_thread_that_blocks_holds_up_neither_others_nor_more_than_its_share(
    open_line: Opener, run_real: Run
) -> None:
    async def story() -> None:
        release = threading.Event()
        both_began = trio.Event()
        began: list[str] = []

        def block(value: str) -> str:
            began.append(value)
            if len(began) == 2:
                trio.from_thread.run_sync(both_began.set)
            assert release.wait(10)
            return value

        async with open_line(threads=2) as line:
            line.registry.handle("Slow.Block", block)
            line.registry.handle("Quick.Echo", lambda value: value, inline=True)
            answers = [line.start("Slow.Block", name, str) for name in "abc"]
            await both_began.wait()
            assert await line.call("Quick.Echo", "quick", str) == "quick"
            assert not any(answer.come.is_set() for answer in answers)
            assert len(began) == 2
            release.set()
            assert [await answer.wait() for answer in answers] == ["a", "b", "c"]

    run_real(story)


# --- nothing to return ---


class Quiet:
    @pool.exported
    async def says_none(self, value: str) -> None: ...

    @pool.exported(inline=True)
    def says_nothing(self, value):  # type: ignore[no-untyped-def]  # so that nothing is said
        return None

    @pool.exported
    def says_any(self, value: str) -> Any:
        return None

    @pool.exported(inline=True)
    def breaks_its_word(self) -> None:
        return 5  # type: ignore[return-value]  # that is the story


@pytest.mark.parametrize("method", ["SaysNone", "SaysNothing", "SaysAny"])
def test_nothing_is_an_empty_struct_which_any_struct_of_gos_can_be(
    open_line: Opener, run_real: Run, method: str
) -> None:
    async def story() -> None:
        async with open_line(Quiet()) as line:
            assert await line.call(f"Quiet.{method}", "a", Empty) == Empty()
            assert await line.call(f"Quiet.{method}", "a", InvalidRequest) == InvalidRequest()
            if line.sent[0].startswith(b"{"):
                assert line.sent[0] == b'{"id":0,"result":{},"error":null}\n'

    run_real(story)


def test_a_method_that_is_to_return_nothing_must_not_return_something(
    open_line: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with open_line(Quiet()) as line:
            with pytest.raises(RpcError, match=INTERNAL):
                await line.call("Quiet.BreaksItsWord")

    run(story)
    assert "Quiet.breaks_its_word must return None, as it is annotated, not a int" in caplog.text


# --- errors ---


@pytest.mark.parametrize("method", MODES)
def test_the_text_of_an_rpc_error_is_the_callers(
    open_line: Opener, run_real: Run, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    async def story() -> None:
        for raised, told in (("no such key", "no such key"), ("", "error")):
            async with open_line(Everywhere(fail_with(RpcError(raised)))) as line:
                with pytest.raises(RpcError) as caught:
                    await line.call(method)
                assert caught.value.text == told  # never empty: that would say success

    run_real(story)
    assert errors_in(caplog) == []


@pytest.mark.parametrize("method", MODES)
def test_of_other_errors_the_caller_gets_the_number_that_the_log_has(
    open_line: Opener, run_real: Run, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    async def story() -> None:
        async with open_line(Everywhere(fail_with(KeyError("a password")))) as line:
            with pytest.raises(RpcError) as caught:
                await line.call(method)
            number = INTERNAL.match(caught.value.text)
            assert number
            logged = f"the handler of {method} failed; the peer was told: internal error "
            assert errors_in(caplog) == [logged + number[1]]
            assert "a password" in caplog.text

    run_real(story)


def test_what_fails_because_the_connection_is_lost_makes_no_noise(
    open_line: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with open_line() as line:

            async def lose() -> None:
                line.end()
                raise ConnectionClosed(1006)

            line.registry.handle("Relay.Ask", lose)
            answer = line.start("Relay.Ask")
            await trio.testing.wait_all_tasks_blocked()
            assert line.handling == 0
            assert not answer.come.is_set()

    run(story)
    assert errors_in(caplog) == []


async def later(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    ("method", "hint"),
    [
        ("Task", "Everywhere.task must return a value, not a coroutine: is an await missing?"),
        ("Thread", "Everywhere.thread returned a coroutine: make it async def, and await that"),
        ("Inline", "Everywhere.inline returned a coroutine: make it async def, and await that"),
    ],
)
def test_a_forgotten_await_is_told_in_the_log(
    open_line: Opener, run_real: Run, caplog: pytest.LogCaptureFixture, method: str, hint: str
) -> None:
    async def story() -> None:
        async with open_line(Everywhere(later)) as line:
            with pytest.raises(RpcError, match=INTERNAL):
                await line.call(f"Everywhere.{method}")

    run_real(story)
    assert hint in caplog.text


# --- replies that can't be sent ---


@dataclass
class Odd:
    """Encodes itself, and fails at that."""

    def gob_encode(self) -> bytes:
        raise ValueError("odd")

    @classmethod
    def gob_decode(cls, data: bytes) -> Odd:
        return cls()

    def marshal_text(self) -> bytes:
        raise ValueError("odd")

    @classmethod
    def unmarshal_text(cls, data: bytes) -> Odd:
        return cls()


class Unsendable:
    @pool.exported
    async def another_type(self) -> str:
        return 5  # type: ignore[return-value]  # that is the story

    @pool.exported
    def no_pointer(self) -> str | None:
        return None

    @pool.exported(inline=True)
    def out_of_range(self) -> int:
        return 1 << 64

    @pool.exported
    async def too_large(self) -> bytes:
        return bytes(2000)

    @pool.exported(inline=True)
    def fails(self) -> Odd:
        return Odd()

    @pool.exported(inline=True)
    def empty(self) -> list[str]:
        return None  # type: ignore[return-value]  # Go's nil slice


@pytest.mark.parametrize(
    ("method", "python", "why"),
    [
        ("AnotherType", "another_type", "must be a str, not int"),
        ("NoPointer", "no_pointer", "None|nil"),
        ("OutOfRange", "out_of_range", "out of range"),
        ("TooLarge", "too_large", "max_message_size"),
    ],
)
def test_a_reply_that_cant_be_sent_is_an_error_and_the_connection_lives(
    open_line: Opener,
    run_real: Run,
    caplog: pytest.LogCaptureFixture,
    method: str,
    python: str,
    why: str,
) -> None:
    async def story() -> None:
        async with open_line(Unsendable(), limits=gob.Limits(max_message_size=1000)) as line:
            with pytest.raises(RpcError, match=why) as caught:
                await line.call(f"Unsendable.{method}")
            assert caught.value.text.startswith(f"the reply of Unsendable.{method} can't be sent: ")
            assert await line.call("Unsendable.Empty", 0, list[str]) == []

    run_real(story)
    [logged] = errors_in(caplog)
    assert f"Unsendable.{method} (Unsendable.{python}) can't be sent, and alice was told" in logged


def test_what_encodes_itself_and_fails_is_an_internal_error(
    open_line: Opener, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with open_line(Unsendable()) as line:
            with pytest.raises(RpcError, match=INTERNAL):
                await line.call("Unsendable.Fails")
            assert await line.call("Unsendable.Empty", 0, list[str]) == []

    run(story)
    assert "ValueError: odd" in caplog.text


# --- time, and the end of the connection ---


class Slow:
    def __init__(self) -> None:
        self.ended: list[str] = []

    @pool.exported
    async def wait(self, seconds: float) -> str:
        try:
            await trio.sleep(seconds)
        except trio.Cancelled:
            self.ended.append("cancelled")
            raise
        self.ended.append("finished")
        return "awake"


def test_a_handler_that_takes_too_long_is_cancelled_and_the_caller_told(
    open_line: Opener, run: Run
) -> None:
    async def story() -> None:
        slow = Slow()
        async with open_line(slow, handler_timeout=5) as line:
            begun = trio.current_time()
            assert await line.call("Slow.Wait", 4.0, str) == "awake"
            assert trio.current_time() == begun + 4
            with pytest.raises(
                RpcError, match=r"^the handler of Slow\.Wait took longer than handler_timeout, 5 s$"
            ):
                await line.call("Slow.Wait", 60.0)
            assert trio.current_time() == begun + 9
        assert slow.ended == ["finished", "cancelled"]

    run(story)


def test_a_thread_that_takes_too_long_is_left_behind_and_keeps_its_place(
    open_line: Opener, clock: trio.testing.MockClock, run: Run
) -> None:
    async def story() -> None:
        clock.autojump_threshold = math.inf  # which doesn't know of threads that go on
        begun, release = trio.Event(), threading.Event()

        def block() -> None:
            trio.from_thread.run_sync(begun.set)
            assert release.wait(10)

        async with open_line(handler_timeout=5, threads=1) as line:
            line.registry.handle("Slow.Block", block)
            line.registry.handle("Slow.Echo", lambda value: value)
            blocked = line.start("Slow.Block")
            await begun.wait()
            waiting = line.start("Slow.Echo")  # for the only thread
            await trio.testing.wait_all_tasks_blocked()
            clock.jump(5)
            for answer in (blocked, waiting):
                with pytest.raises(RpcError, match="took longer than handler_timeout, 5 s"):
                    await answer.wait()
            echoed = line.start("Slow.Echo", "free", str)
            await trio.testing.wait_all_tasks_blocked()
            assert not echoed.come.is_set()
            release.set()
            assert await echoed.wait() == "free"

    run(story)


@pytest.mark.parametrize(("cancels", "fate"), [(True, "cancelled"), (False, "finished")])
def test_handlers_of_a_lost_connection_finish_unless_they_are_to_be_cancelled(
    open_line: Opener, run: Run, cancels: bool, fate: str
) -> None:
    async def story() -> None:
        slow = Slow()
        async with open_line(slow, cancels=cancels) as line:
            running = line.start("Slow.Wait", 3.0)
            await trio.sleep(1)
            line.end()
            late = line.start("Slow.Wait", 1.0)  # came with the last bytes
            await trio.sleep(5)
            assert line.handling == 0
            assert line.sent == []
            assert not running.come.is_set()
            assert not late.come.is_set()
        assert slow.ended == [fate, fate]

    run(story)


def test_handlers_that_are_cancelled_with_all_else_are_told_as_finished(
    open_line: Opener, run: Run
) -> None:
    async def story() -> None:
        slow = Slow()
        async with open_line(slow) as line, trio.open_nursery() as nursery:
            line.workers = Workers(nursery)
            line.start("Slow.Wait", 60.0)
            await trio.testing.wait_all_tasks_blocked()
            assert line.handling == 1
            nursery.cancel_scope.cancel()
        assert (line.handling, slow.ended, line.sent) == (0, ["cancelled"], [])

    run(story)


# --- the current call, and contexts ---


@pytest.mark.parametrize("method", MODES)
def test_handlers_know_their_call(open_line: Opener, run_real: Run, method: str) -> None:
    async def story() -> None:
        calls: list[pool.CurrentCall] = []
        async with open_line(Everywhere(lambda value: calls.append(pool.current_call()))) as line:
            await line.call(method)
            in_python = method.partition(".")[2].lower()
            await line.call(f"Everywhere.{in_python}")
            assert calls == [pool.CurrentCall(method, "alice", line)] * 2
            with pytest.raises(InvalidState, match="no call is being handled here"):
                pool.current_call()

    run_real(story)


def test_tasks_of_a_handler_know_its_call(open_line: Opener, run: Run) -> None:
    async def story() -> None:
        names: list[str] = []

        async def note() -> None:
            await trio.sleep(1)
            names.append(pool.current_call().method)

        async def two() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(note)
                await note()

        async with open_line() as line:
            line.registry.handle("A.One", note)
            line.registry.handle("A.Two", two)
            answers = [line.start("A.One"), line.start("A.Two")]
            for answer in answers:
                await answer.wait()
            assert sorted(names) == ["A.One", "A.Two", "A.Two"]

    run(story)


@pytest.mark.parametrize("method", MODES)
def test_what_a_handler_puts_into_a_contextvar_isnt_there_for_the_next(
    open_line: Opener, run_real: Run, method: str
) -> None:
    async def story() -> None:
        def swap(value: str) -> str:
            found = seen.get()
            seen.set(value)
            return found

        seen.set("the server's")
        async with open_line(Everywhere(swap)) as line:
            for secret in ("alice's", "bob's"):
                assert await line.call(method, secret, str) == "the server's"
            assert seen.get() == "the server's"

    run_real(story)
