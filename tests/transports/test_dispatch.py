"""Parked workers: each job has a task and a fresh context, and few tasks do many jobs."""

from __future__ import annotations

import contextvars
import gc
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from wirecore_trio import _dispatch
from wirecore_trio._dispatch import Workers

if TYPE_CHECKING:
    from tests.transports.conftest import Run

seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


class Job:
    """Notes its task and what it finds in the context, which it changes; then waits."""

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


def test_a_worker_that_is_through_takes_the_next_job_in_a_fresh_context(run: Run) -> None:
    async def story() -> None:
        seen.set("the server's")
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            jobs = [Job() for _ in range(5)]
            for job in jobs:
                workers.start(job)
                await trio.testing.wait_all_tasks_blocked()
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
            for job in jobs:
                workers.start(job)
            await trio.testing.wait_all_tasks_blocked()
            assert len({job.task for job in jobs}) == 5
            go.set()
            await trio.testing.wait_all_tasks_blocked()
            again = Job()
            workers.start(again)
            await trio.testing.wait_all_tasks_blocked()
            assert again.task in {job.task for job in jobs}
            assert len(nursery.child_tasks) == 5
            nursery.cancel_scope.cancel()

    run(story)


def test_only_so_many_stay(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        monkeypatch.setattr(_dispatch, "_MAX_PARKED", 2)
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            for _ in range(5):
                workers.start(Job())
            await trio.testing.wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 2
            nursery.cancel_scope.cancel()

    run(story)


def test_a_job_given_to_a_worker_that_is_cancelled_before_its_first_step(run: Run) -> None:
    async def story() -> None:
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery)
            workers.start(Job())
            await trio.testing.wait_all_tasks_blocked()
            job = Job(trio.Event())
            workers.start(job)
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
