"""Jobs without a scheduler: what their steps give, who is told of their end, in which context."""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import Callable, Generator
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wirecore._backend import Backend

WHOSE: ContextVar[str] = ContextVar("WHOSE", default="nobody's")


class Trap:
    """What waits until somebody sends it something; that is its value."""

    def __await__(self) -> Generator[Trap, Any, Any]:
        return (yield self)


class Told:
    """Handlers that write down what they are asked and told. *call*: what is run."""

    def __init__(self, call: Callable[[Any], Any]) -> None:
        self._call = call
        self.seen: list[object] = []
        self.answering: Exception | None = None
        self.failing: Exception | None = None

    def call(self, route: Any, message: Any) -> Any:
        self.seen.append(("call", route, message))
        return self._call(message)

    def answer(self, route: Any, message: Any, result: Any) -> None:
        self.seen.append(("answer", route, message, result))
        if self.answering is not None:
            raise self.answering

    def fail(self, route: Any, message: Any, error: Exception) -> None:
        assert error.__traceback__ is not None
        self.seen.append(("fail", route, message, repr(error)))
        if self.failing is not None:
            raise self.failing

    def ended(self, message: Any) -> None:
        assert message == "message"
        self.seen.append("ended")

    def cancelled(self, message: Any) -> None:
        assert message == "message"
        self.seen.append("cancelled")


CALLED = ("call", "route", "message")


def run_of(backend: Backend, call: Callable[[Any], Any]) -> tuple[Any, Told]:
    told = Told(call)
    return backend.jobs.Run(told, "route", "message"), told


# --- one run ----------------------------------------------------------------------------------


def test_a_handler_that_never_waits_ends_in_its_first_step(backend: Backend) -> None:
    async def echo(message: str) -> str:
        return message * 2

    run, told = run_of(backend, echo)
    assert run.cr_frame is None
    assert run.cr_await is None
    assert told.seen == []
    assert run.step(None) is backend.jobs.ENDED
    assert told.seen == [CALLED, ("answer", "route", "message", "messagemessage"), "ended"]


def test_what_a_handler_waits_for_passes_through_both_ways(backend: Backend) -> None:
    one, other = Trap(), Trap()

    async def wait(message: str) -> str:
        return f"{await one} {await other}"

    run, told = run_of(backend, wait)
    assert run.step(None) is one
    assert isinstance(run.cr_frame.f_code.co_name, str)
    assert run.cr_frame.f_code.co_name == "wait"
    assert run.cr_await is not None
    assert run.send("first") is other
    assert told.seen == [CALLED]
    with pytest.raises(StopIteration) as stop:
        run.send("second")
    assert stop.value.value is None
    assert told.seen == [CALLED, ("answer", "route", "message", "first second"), "ended"]
    assert run.cr_frame is None


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_handler_raises_is_told_and_goes_no_further(backend: Backend, waits: bool) -> None:
    async def fail(message: str) -> None:
        if waits:
            await Trap()
        raise ValueError(message)

    run, told = run_of(backend, fail)
    if waits:
        assert isinstance(run.step(None), Trap)
    assert run.step(None) is backend.jobs.ENDED
    assert told.seen == [CALLED, ("fail", "route", "message", "ValueError('message')"), "ended"]
    assert sys.exc_info() == (None, None, None)


@pytest.mark.parametrize("error", [TypeError("no such argument"), StopIteration("odd")])
def test_a_call_that_raises_is_a_handler_that_does(backend: Backend, error: Exception) -> None:
    def refuse(message: str) -> None:
        raise error

    run, told = run_of(backend, refuse)
    assert run.step(None) is backend.jobs.ENDED
    assert told.seen == [CALLED, ("fail", "route", "message", repr(error)), "ended"]


@pytest.mark.parametrize("waits", [False, True])
def test_an_answer_that_fails_is_told_too(backend: Backend, waits: bool) -> None:
    async def answer(message: str) -> int:
        if waits:
            await Trap()
        return 5

    run, told = run_of(backend, answer)
    told.answering = ValueError("too long")
    if waits:
        run.step(None)
    assert run.step(None) is backend.jobs.ENDED
    assert told.seen[1:] == [
        ("answer", "route", "message", 5),
        ("fail", "route", "message", "ValueError('too long')"),
        "ended",
    ]


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("thrown", [False, True])
def test_who_begins_when_a_run_has_ended_sees_nothing_of_its_error(
    backend: Backend, waits: bool, thrown: bool
) -> None:
    seen: list[object] = []

    class Behind(Told):
        def fail(self, route: Any, message: Any, error: Exception) -> None:
            super().fail(route, message, error)
            assert sys.exc_info()[1] is error

        def ended(self, message: Any) -> None:
            super().ended(message)
            seen.append(sys.exc_info())

    async def fail(message: str) -> None:
        if waits:
            await Trap()
        raise ValueError("a secret")

    told = Behind(fail)
    run = backend.jobs.Run(told, "route", "message")
    if waits:
        run.step(None)
    if waits and thrown:
        with pytest.raises(StopIteration):
            run.throw(KeyError("thrown"))
    else:
        assert run.step(None) is backend.jobs.ENDED
    assert told.seen[-1] == "ended"
    assert seen == [(None, None, None)]


def test_a_run_that_has_ended_holds_nothing_and_has_nothing_to_close(backend: Backend) -> None:
    class Held:
        pass

    held = Held()
    gone = weakref.ref(held)

    class Quiet(Told):
        def answer(self, route: Any, message: Any, result: Any) -> None:
            self.seen.append("answered")

        def ended(self, message: Any) -> None:
            self.seen.append("ended")

        def call(self, route: Any, message: Any) -> Any:
            return ends()

    told = Quiet(ends)
    run = backend.jobs.Run(told, "route", held)
    assert run.step(None) is backend.jobs.ENDED
    del held
    assert gone() is None
    run.close()
    assert told.seen == ["answered", "ended"]


@pytest.mark.parametrize("by", ["handler", "answer"])
def test_a_defect_in_telling_goes_through_and_the_run_has_ended(backend: Backend, by: str) -> None:
    async def handle(message: str) -> None:
        if by == "handler":
            raise ValueError

    run, told = run_of(backend, handle)
    told.answering, told.failing = ValueError("the answer"), RuntimeError("a defect")
    with pytest.raises(RuntimeError, match="a defect"):
        run.step(None)
    assert told.seen[-1] == "cancelled"


@pytest.mark.parametrize("waits", [False, True])
def test_cancellation_goes_through_and_is_nobodys_answer(backend: Backend, waits: bool) -> None:
    async def handle(message: str) -> None:
        if waits:
            await Trap()
        raise KeyboardInterrupt

    run, told = run_of(backend, handle)
    if waits:
        run.step(None)
    with pytest.raises(KeyboardInterrupt):
        run.step(None)
    assert told.seen == [CALLED, "cancelled"]


def test_what_is_thrown_at_it_is_thrown_at_the_handler(backend: Backend) -> None:
    async def handle(message: str) -> str:
        for caught in (ValueError, KeyError):
            try:
                await Trap()
            except caught as error:
                message += f" {error.args[0]}"
        await Trap()
        return "never"

    run, told = run_of(backend, handle)
    run.step(None)
    assert isinstance(run.throw(ValueError("one")), Trap)
    assert isinstance(run.throw(KeyError("two")), Trap)
    with pytest.raises(KeyboardInterrupt):
        run.throw(KeyboardInterrupt())
    assert told.seen == [CALLED, "cancelled"]

    run, told = run_of(backend, handle)
    run.step(None)
    with pytest.raises(StopIteration):
        run.throw(TypeError("not caught"))
    assert told.seen == [
        CALLED,
        ("fail", "route", "message", "TypeError('not caught')"),
        "ended",
    ]


def test_a_handler_may_end_where_something_is_thrown_at_it(backend: Backend) -> None:
    async def handle(message: str) -> str:
        try:
            await Trap()
        except ValueError:
            return "caught"
        return "never"

    run, told = run_of(backend, handle)
    run.step(None)
    with pytest.raises(StopIteration):
        run.throw(ValueError())
    assert told.seen == [CALLED, ("answer", "route", "message", "caught"), "ended"]


def test_closed_it_has_ended_if_it_had_begun(backend: Backend) -> None:
    closed: list[str] = []

    async def handle(message: str) -> None:
        try:
            await Trap()
        finally:
            closed.append(message)

    run, told = run_of(backend, handle)
    run.close()
    assert (told.seen, closed) == ([], [])
    run.step(None)
    run.close()
    assert (told.seen, closed) == ([CALLED, "cancelled"], ["message"])


class Awaitable:
    def __await__(self) -> Generator[Any, Any, str]:
        return f"{(yield from Trap().__await__())}!"


def test_a_handler_may_return_any_awaitable_and_nothing_else(backend: Backend) -> None:
    run, told = run_of(backend, lambda _: Awaitable())
    assert isinstance(run.step(None), Trap)
    assert run.step("found") is backend.jobs.ENDED
    assert told.seen[1:] == [("answer", "route", "message", "found!"), "ended"]
    run, told = run_of(backend, lambda _: 5)
    assert run.step(None) is backend.jobs.ENDED
    [_, failed, ended] = told.seen
    assert "TypeError" in str(failed)
    assert "await" in str(failed)
    assert ended == "ended"


def test_something_may_be_around_it(backend: Backend) -> None:
    async def handle(message: str) -> str:
        return str(await Trap())

    async def around() -> None:
        told.seen.append("before")
        await run
        told.seen.append("after")

    run, told = run_of(backend, handle)
    coroutine = around()
    assert isinstance(coroutine.send(None), Trap)
    with pytest.raises(StopIteration):
        coroutine.send("done")
    answer = ("answer", "route", "message", "done")
    assert told.seen == ["before", CALLED, answer, "ended", "after"]


# --- many jobs --------------------------------------------------------------------------------


class Task:
    """A scheduler's, with the context that it goes on in."""

    context: Context | None = None


class Rhythm:
    """Reads on by calling what it is told to, one after another."""

    def __init__(self, *brings: Callable[[], object]) -> None:
        self.brings = list(brings)

    def read_on(self) -> bool:
        if not self.brings:
            return False
        self.brings.pop(0)()
        return True


def workers_of(backend: Backend) -> Any:
    """Jobs whose workers are counted in *woken*, or can't be had."""

    class Workers(backend.jobs.Jobs):  # type: ignore[name-defined, misc]
        woken = 0
        fails = False

        def _wake(self) -> None:
            if self.fails:
                raise RuntimeError("no task can be had")
            self.woken += 1
            self._due += 1

    WHOSE.set("the workers'")
    return Workers(copy_context(), Rhythm())


async def ends(result: object = None) -> Any:
    return result


async def waits(trap: Trap) -> None:
    await trap


def test_one_worker_is_woken_for_jobs_that_may_all_end_at_once(backend: Backend) -> None:
    workers = workers_of(backend)
    jobs = [ends(), ends(), ends()]
    assert [workers.start(job) for job in jobs] == [True] * 3
    assert workers.woken == 1
    assert workers._jobs == deque(jobs)
    workers._due -= 1
    assert workers._begin(Task(), 2) == (0, None, None)
    assert workers._begin(Task(), 64) == (63, None, None)
    assert workers._begin(Task(), 64) == (64, None, None)


def test_who_reads_in_place_sees_to_what_comes_himself(backend: Backend) -> None:
    workers = workers_of(backend)
    workers._reading = True
    job = ends()
    assert workers.start(job) is False
    assert workers.woken == 0
    workers._reading = False
    assert workers._begin(Task(), 1) == (0, None, None)


def test_a_worker_without_jobs_reads_on_and_does_what_that_brings(backend: Backend) -> None:
    workers = workers_of(backend)
    done: list[str] = []

    async def does(what: str) -> None:
        done.append(what)

    workers._rhythm.brings = [
        lambda: workers.start(does("first")),
        lambda: None,  # what came was no job
        lambda: workers.start(does("second")),
    ]
    assert workers._begin(Task(), 1) == (1, None, None)  # who reads in place keeps to the turns
    assert (done, workers.woken) == (["first", "second"], 0)  # nobody else is woken for it
    workers._rhythm.brings = [lambda: [workers.start(does(what)) for what in ("third", "fourth")]]
    assert workers._begin(Task(), 64) == (64, None, None)
    assert done[2:] == ["third", "fourth"]
    assert not workers._reading

    def fails() -> None:
        raise RuntimeError("a defect")

    workers._rhythm.brings = [fails]
    with pytest.raises(RuntimeError, match="a defect"):
        workers._begin(Task(), 64)
    assert not workers._reading


def test_one_more_is_woken_where_the_last_to_begin_had_to_wait(backend: Backend) -> None:
    workers = workers_of(backend)
    trap = Trap()
    first = waits(trap)
    workers.start(first)
    workers.start(ends())
    assert workers.woken == 1
    workers._due -= 1
    assert workers._begin(Task(), 64) == (63, first, trap)
    workers.start(ends())
    workers.start(ends())
    assert workers.woken == 3  # whoever is due may have to wait, too
    assert workers._begin(Task(), 64) == (61, None, None)
    workers.start(ends())
    assert workers.woken == 3
    workers._begin(Task(), 1)
    first.close()


def test_a_job_that_no_worker_can_be_had_for_is_closed(backend: Backend) -> None:
    workers = workers_of(backend)
    workers.fails = True
    job = ends()
    with pytest.raises(RuntimeError, match="no task can be had"):
        workers.start(job)
    assert not workers._jobs
    with pytest.raises(RuntimeError, match="reuse"):
        job.send(None)
    run, told = run_of(backend, ends)
    with pytest.raises(RuntimeError, match="no task can be had"):
        workers.start(run)
    assert told.seen == []


def test_each_job_has_a_context_of_its_own(backend: Backend) -> None:
    workers = workers_of(backend)
    WHOSE.set("the reader's")
    task = Task()
    seen: list[object] = []

    async def look(_: object = None) -> None:
        seen.append((WHOSE.get(), task.context is not None and task.context[WHOSE]))
        WHOSE.set("a job's")
        assert task.context is not None
        seen.append(task.context[WHOSE])

    workers.start(look())
    workers.start(run_of(backend, look)[0])
    assert workers._begin(task, 64) == (62, None, None)
    assert seen == [("the workers'", "the workers'"), "a job's"] * 2
    assert WHOSE.get() == "the reader's"


def test_what_a_job_raises_ends_neither_the_queue_nor_the_context(backend: Backend) -> None:
    workers = workers_of(backend)
    WHOSE.set("the reader's")

    async def interrupt(_: object = None) -> None:
        WHOSE.set("a job's")
        raise KeyboardInterrupt

    for job in (interrupt(), run_of(backend, interrupt)[0]):
        behind = ends()
        workers.start(job)
        workers.start(behind)
        with pytest.raises(KeyboardInterrupt):
            workers._begin(Task(), 64)
        assert WHOSE.get() == "the reader's"
        assert list(workers._jobs) == [behind]
        assert workers._begin(Task(), 64) == (63, None, None)


def test_runs_and_coroutines_begin_in_their_order(backend: Backend) -> None:
    workers = workers_of(backend)
    order: list[str] = []
    traps = [Trap(), Trap()]

    async def note(name: str) -> None:
        order.append(name)

    async def wait(name: str) -> None:
        order.append(name)
        await traps[int(name)]

    class Named(Told):
        def call(self, route: Any, message: Any) -> Any:
            return wait(message)

        def cancelled(self, message: Any) -> None:
            """It waits for ever."""

    waiting = backend.jobs.Run(Named(note), None, "0")
    coroutine = wait("1")
    for job in (note("a"), waiting, note("b"), coroutine, note("c")):
        workers.start(job)
    assert workers._begin(Task(), 64) == (62, waiting, traps[0])
    assert order == ["a", "0"]
    assert workers._begin(Task(), 64) == (62, coroutine, traps[1])
    assert workers._begin(Task(), 64) == (63, None, None)
    assert order == ["a", "0", "b", "1", "c"]
    coroutine.close()
    waiting.close()


def test_who_derives_has_to_say_how_a_worker_is_woken(backend: Backend) -> None:
    workers = backend.jobs.Jobs(copy_context(), Rhythm())
    job = ends()
    with pytest.raises(NotImplementedError):
        workers.start(job)
    assert not workers._jobs


def test_what_is_run_here_has_a_copy_of_the_context_that_is_there(backend: Backend) -> None:
    workers = backend.jobs.Jobs(copy_context(), Rhythm())
    whose: ContextVar[str] = ContextVar("whose")
    whose.set("the reader's")

    def handler(argument: str) -> str:
        found = whose.get()
        whose.set(argument)
        return found

    def fail(argument: str) -> str:
        whose.set(argument)
        raise LookupError(argument)

    assert workers.run_here(handler, "the handler's") == "the reader's"
    with pytest.raises(LookupError, match="the failing one's"):
        workers.run_here(fail, "the failing one's")
    assert whose.get() == "the reader's"
