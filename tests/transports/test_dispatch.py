"""Parked workers: each job has a task and a fresh context, and few tasks do many jobs."""

from __future__ import annotations

import contextvars
import gc
import weakref
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore_trio import _dispatch
from wirecore_trio._dispatch import Workers

if TYPE_CHECKING:
    from tests.transports.conftest import Run

seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


class Job:
    """Notes its task and what it finds in the context, which it changes; then waits, if told."""

    def __init__(self, go: trio.Event | None = None) -> None:
        self.go = go
        self.found = ""
        self.task: trio.lowlevel.Task | None = None

    async def run(self) -> None:
        self.task = trio.lowlevel.current_task()
        self.found = seen.get()
        seen.set("a request's own")
        if self.go is not None:
            await self.go.wait()


async def start(workers: Workers, *jobs: Any) -> None:
    """Have *workers* run *jobs* until all of them wait, or have ended."""
    for job in jobs:
        workers.start(job.run())
    await trio.testing.wait_all_tasks_blocked()


def test_a_worker_that_is_through_takes_the_next_job_in_a_fresh_context(run: Run) -> None:
    async def story() -> None:
        seen.set("the server's")
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            jobs = [Job() for _ in range(5)]
            for job in jobs:
                await start(workers, job)
            assert len({job.task for job in jobs}) == 1
            assert [job.found for job in jobs] == ["the server's"] * 5
            nursery.cancel_scope.cancel()

    run(story)


def test_jobs_that_wait_have_a_task_each(run: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            go = trio.Event()
            jobs = [Job(go) for _ in range(5)]
            await start(workers, *jobs)
            assert len({job.task for job in jobs}) == 5
            go.set()
            await trio.testing.wait_all_tasks_blocked()
            again = Job()
            await start(workers, again)
            assert again.task in {job.task for job in jobs}
            assert len(nursery.child_tasks) == 5
            nursery.cancel_scope.cancel()

    run(story)


def test_jobs_that_never_wait_share_a_task_and_begin_in_order(run: Run) -> None:
    async def story() -> None:
        seen.set("the server's")
        begun: list[Job] = []

        class Ordered(Job):
            async def run(self) -> None:
                begun.append(self)
                await super().run()

        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            jobs = [Ordered() for _ in range(5)]
            await start(workers, *jobs)
            assert begun == jobs
            assert len({job.task for job in jobs}) == 1
            assert [job.found for job in jobs] == ["the server's"] * 5
            nursery.cancel_scope.cancel()

    run(story)


def test_nobody_waits_for_a_job_that_waits(run: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            go = trio.Event()
            jobs = [Job(), Job(go), Job(), Job(go), Job()]
            await start(workers, *jobs)
            assert all(job.task is not None for job in jobs)
            assert jobs[0].task is jobs[1].task  # it came to wait in the task that it began in
            assert jobs[1].task not in {job.task for job in jobs[2:]}
            assert jobs[3].task is not jobs[4].task
            nursery.cancel_scope.cancel()

    run(story)


class Opens:
    """Opens scopes and a nursery before and after it waits, and puts something into its context."""

    def __init__(self, name: str, *, seconds: float) -> None:
        self.name = name
        self.seconds = seconds
        self.found: list[str] = []
        self.cancelled = False

    async def run(self) -> None:
        with trio.move_on_after(5) as scope:
            seen.set(self.name)
            self.found.append(trio.lowlevel.current_task().context[seen])
            if self.seconds:
                await trio.sleep(self.seconds)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._child)
            self.found.append(seen.get())
            self.found.append(trio.lowlevel.current_task().context[seen])
            await trio.sleep(10)
        self.cancelled = scope.cancelled_caught

    async def _child(self) -> None:
        self.found.append(seen.get())


def test_what_a_job_opens_and_sets_is_its_own_before_and_after_it_has_waited(run: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            jobs = [Opens(f"job {at}", seconds=at % 2) for at in range(6)]
            for job in jobs:
                workers.start(job.run())
            await trio.sleep(6)
            for job in jobs:
                assert job.found == [job.name] * 4
                assert job.cancelled
            after = Job()
            await start(workers, after)
            assert after.found == "nothing"
            nursery.cancel_scope.cancel()

    run(story)


@pytest.mark.parametrize("seconds", [0, 1], ids=["never waits", "waits"])
def test_a_parked_worker_keeps_nothing_of_its_last_job(run: Run, seconds: int) -> None:
    class Large:
        pass

    holds: contextvars.ContextVar[Large] = contextvars.ContextVar("holds")

    class Holding:
        async def run(self) -> None:
            large = Large()
            holds.set(large)
            kept.append(weakref.ref(large))
            if seconds:
                await trio.sleep(seconds)

    kept: list[weakref.ref[Large]] = []

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            workers.start(Holding().run())
            await trio.sleep(2)
            assert len(nursery.child_tasks) == 1
            assert [each() for each in kept] == [None]
            nursery.cancel_scope.cancel()

    run(story)


def test_a_job_may_change_the_context_of_its_task(run: Run) -> None:
    found: list[str] = []
    other = contextvars.copy_context()
    other.run(seen.set, "another")

    class Changing:
        async def run(self) -> None:
            trio.lowlevel.current_task().context = other
            await trio.lowlevel.checkpoint()
            found.append(seen.get())

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            await start(workers, Changing())
            after = Job()
            await start(workers, after)
            assert after.found == "nothing"
            nursery.cancel_scope.cancel()

    run(story)
    assert found == ["another"]


def test_what_passes_through_a_job_that_goes_on_isnt_kept(run: Run) -> None:
    class Passing:
        def unwrap(self) -> None:
            pass

    kept: list[weakref.ref[object]] = []

    class Waiting:
        async def run(self) -> None:
            def abort(_: object) -> trio.lowlevel.Abort:
                return trio.lowlevel.Abort.SUCCEEDED

            tasks.append(trio.lowlevel.current_task())
            kept.append(weakref.ref(abort))
            abort_of = [abort]
            del abort
            await trio.lowlevel.wait_task_rescheduled(abort_of.pop())
            with trio.move_on_after(1):
                await self._fail_late()
            await trio.sleep(10)

        async def _fail_late(self) -> None:
            local = Passing()
            kept.append(weakref.ref(local))
            await trio.sleep(5)

    tasks: list[trio.lowlevel.Task] = []

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            await start(workers, Waiting())
            outcome: Any = Passing()
            kept.append(weakref.ref(outcome))
            trio.lowlevel.reschedule(tasks[0], outcome)
            del outcome
            await trio.sleep(3)
            assert [each() for each in kept] == [None] * 3
            nursery.cancel_scope.cancel()

    gc.disable()  # what is in a cycle is kept until the collector comes
    try:
        run(story)
    finally:
        gc.enable()


def test_who_looks_for_the_frames_of_a_task_finds_the_jobs(run: Run) -> None:
    class Stuck:
        async def run(self) -> None:
            await self._wait_for_nothing()

        async def _wait_for_nothing(self) -> None:
            await trio.sleep_forever()

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            await start(workers, Stuck())
            [task] = nursery.child_tasks
            names = [frame.f_code.co_name for frame, _ in task.iter_await_frames()]
            assert names[1:4] == ["run", "_wait_for_nothing", "sleep_forever"]
            nursery.cancel_scope.cancel()

    run(story)


def test_many_jobs_let_others_have_their_turn(run: Run) -> None:
    async def story() -> None:
        turns: list[str] = []

        class Noting(Job):
            async def run(self) -> None:
                turns.append("job")

        async def other() -> None:
            while turns.count("job") < 3 * _dispatch._IN_A_ROW:
                turns.append("other")
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            for _ in range(3 * _dispatch._IN_A_ROW):
                workers.start(Noting().run())
            await other()
            text = "".join(turn[0] for turn in turns)
            assert max(map(len, text.split("o"))) <= 2 * _dispatch._IN_A_ROW
            assert len(nursery.child_tasks) <= 2
            nursery.cancel_scope.cancel()

    run(story)


def test_workers_that_are_due_together_let_others_have_their_turn_too(run: Run) -> None:
    async def story() -> None:
        ran = most = seen = 0

        async def wait() -> None:
            await trio.lowlevel.checkpoint()

        async def feed(left: int) -> None:
            nonlocal ran
            ran += 1
            if left:
                workers.start(feed(left - 1))

        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            workers.start(wait())  # so that each job is given a worker
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(100):
                workers.start(feed(50))
            while ran < 100 * 51:
                await trio.lowlevel.checkpoint()
                most, seen = max(most, ran - seen), ran
            assert most <= 2 * (100 + 2 * _dispatch._IN_A_ROW)
            nursery.cancel_scope.cancel()

    run(story)


def test_each_job_of_a_nursery_that_is_cancelled_comes_to_its_first_checkpoint(run: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            jobs = [Job(trio.Event()) for _ in range(5)]
            for job in jobs:
                workers.start(job.run())
            nursery.cancel_scope.cancel()
        assert all(job.task is not None for job in jobs)
        assert not workers._jobs
        assert not workers._due

    run(story)


def test_a_job_that_awaits_what_is_not_of_trio_is_told(run: Run) -> None:
    told: list[str] = []

    class Foreign:
        async def run(self) -> None:
            try:
                await Yields()
            except TypeError as error:
                told.append(str(error))
            await trio.sleep(1)
            told.append("went on")

    class Yields:
        def __await__(self) -> Generator[object, None, None]:
            yield "a future"

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            workers.start(Foreign().run())
            await trio.sleep(2)
            nursery.cancel_scope.cancel()

    run(story)
    assert "unrecognized yield message 'a future'" in told[0]
    assert told[1:] == ["went on"]


def test_a_nursery_that_takes_no_tasks_any_more_takes_no_job(run: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
        with pytest.raises(RuntimeError, match="Nursery is closed"):
            workers.start(Job().run())
        assert not workers._jobs

    run(story)


def test_only_so_many_stay(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        monkeypatch.setattr(_dispatch, "_MAX_PARKED", 2)
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            go = trio.Event()
            for _ in range(5):
                workers.start(Job(go).run())
            await trio.testing.wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 5
            go.set()
            await trio.testing.wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 2
            nursery.cancel_scope.cancel()

    run(story)


def test_a_job_given_to_a_worker_that_is_cancelled_before_its_first_step(run: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            await start(workers, Job())
            job = Job(trio.Event())
            workers.start(job.run())
            nursery.cancel_scope.cancel()
        assert job.task is not None  # it ran, as far as its first checkpoint
        assert workers._parked == []

    run(story)


def test_a_wait_for_a_thread_that_is_cancelled_leaves_nothing_behind(run: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery, threads=1, share=1)
            alice, bob = workers.threads_of(b"alice"), workers.threads_of(b"bob")
            await bob.acquire_on_behalf_of("bob's thread")
            with trio.move_on_after(1) as scope:
                await alice.acquire_on_behalf_of("given up")
            assert scope.cancelled_caught
            bob.release_on_behalf_of("bob's thread")
            with trio.fail_after(1):
                await alice.acquire_on_behalf_of("alice's thread")
            alice.release_on_behalf_of("alice's thread")

    run(story)


def test_the_threads_of_a_peer_are_forgotten_with_their_last_use(run: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            threads = workers.threads_of(b"alice")
            assert workers.threads_of(b"alice") is threads
            assert list(workers._shares) == [b"alice"]
            del threads
            gc.collect()
            assert not workers._shares

    run(story)
