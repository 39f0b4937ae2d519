"""Providers are killed and started again, while a pool calls them all the time.

Every call ends once, and what is said of it is true: none runs twice unless it may, and those that
may are all answered. ci/kills asks for the whole of it, which is longer and larger.
"""

from __future__ import annotations

import gc
import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.transports.killing import (
    KILLS,
    WHOLE,
    Ledger,
    Victim,
    descriptors,
    needs_kill,
    read_numbers,
    resident,
)
from tests.transports.pool.world import until
from wirecore import errors
from wirecore._backend import Backend
from wirecore_trio import pool
from wirecore_trio.testing._runs import pump_timers, system_tasks

pytestmark = needs_kill

PROCESSES, CONNECTIONS, CALLERS = (10, 10, 100) if WHOLE else (2, 3, 20)

#: Calls that are answered before the next kill.
BETWEEN = 50_000 // KILLS if WHOLE else 100

#: Seconds that one kill, and all that follows from it, may take: longer is a hang.
PATIENCE = 60.0


class Fleet:
    """Processes with providers; each notes in a log of its own."""

    def __init__(self, folder: Path) -> None:
        self._logs = [folder / f"log{number}" for number in range(PROCESSES)]
        self.victims = [Victim("tests.transports.pool.victim", log) for log in self._logs]

    async def start(self, victim: Victim, url: str) -> None:
        """Start one, and wait until it is connected."""
        log = self._logs[self.victims.index(victim)]
        assert await victim.start(url, CONNECTIONS, log) == "ready"

    def executed(self) -> list[int]:
        """What mustn't run twice, and ran since this was asked last."""
        return [number for victim in self.victims for number in victim.executed()]

    def executed_again(self) -> set[int]:
        """What may run twice, and ran."""
        return {
            number
            for log in self._logs
            for number in read_numbers(log.with_name(f"{log.name}.again"))
        }


@pytest.fixture
def fleet(
    backend: Backend,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Fleet]:
    """Providers that run the backend under test."""
    caplog.set_level(logging.CRITICAL, "wirecore")  # what is kept of the log isn't a leak
    monkeypatch.setenv("WIRECORE_BACKEND", backend.name)
    fleet = Fleet(tmp_path)
    yield fleet
    for victim in fleet.victims:
        victim.clean_up()


class Callers:
    """Tasks that call all the time, until they are told that it is over."""

    def __init__(self, server: pool.PoolServer, ledger: Ledger) -> None:
        self._server = server
        self._ledger = ledger
        self._chance = random.Random(7)
        self.over = False
        self.again: set[int] = set()  # what may run twice, and was answered

    async def call_once(self) -> None:
        """Calls that mustn't run twice."""
        while not self.over:
            number = self._ledger.begin()
            method = self._chance.choice(("Job.Once", "Job.Quick"))
            try:
                assert await self._server.call(method, number, int) == number
            except errors.CallLost as error:
                self._ledger.end(number, error.execution)
            else:
                self._ledger.end(number, Ledger.ANSWERED)

    async def call_again(self, number: int) -> None:
        """Calls that may run twice: each is answered, whatever is killed meanwhile."""
        while not self.over:
            number += 1
            assert await self._server.call("Job.Again", number, int, idempotent=True) == number
            self.again.add(number)


def test_every_call_ends_once_and_truthfully_when_providers_are_killed(
    backend: Backend, fleet: Fleet
) -> None:
    ledger = Ledger()
    held: list[tuple[int, int]] = []

    async def main() -> None:
        before = system_tasks()
        server = pool.PoolServer(codec_backend=backend)
        server.bind("/pool")
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            url = f"ws://127.0.0.1:{listening.port}/pool"
            async with trio.open_nursery() as starting:
                for victim in fleet.victims:
                    starting.start_soon(fleet.start, victim, url)
            for number in range(KILLS):
                with trio.fail_after(PATIENCE):
                    await go_round(server, url, number)
                gc.collect()
                held.append((descriptors(), resident()))
            for victim in fleet.victims:
                victim.kill()
            with trio.fail_after(PATIENCE):
                await until(lambda: not server.providers)
            [path] = server.state().paths.values()
            assert (path.queued, path.outstanding, path.calls.calls.in_flight) == (0, 0, 0)
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert {task.name for task in system_tasks() - before} == set()
        assert pump_timers() == []

    async def go_round(server: pool.PoolServer, url: str, number: int) -> None:
        victim = random.Random(number).choice(fleet.victims)
        callers = Callers(server, ledger)
        async with trio.open_nursery() as nursery:
            for _ in range(CALLERS):
                nursery.start_soon(callers.call_once)
            for caller in range(5):
                nursery.start_soon(callers.call_again, (number * 10 + caller) << 32)
            await ledger.until_answered(BETWEEN)
            if number % 2:
                victim.stop()  # its sockets fill
                await ledger.until_answered(BETWEEN // 10)
            victim.kill()
            await fleet.start(victim, url)
            await ledger.until_answered(BETWEEN)
            callers.over = True
        ledger.check(fleet.executed())
        assert callers.again <= fleet.executed_again()

    trio.run(main)
    assert ledger.ends[Ledger.ANSWERED] >= 2 * BETWEEN * KILLS
    assert ledger.ends[Ledger.MAYBE]
    assert not ledger.ends[Ledger.NOT_SENT]  # they were queued again
    (first_open, first_size), (last_open, last_size) = held[0], held[-1]
    assert last_open <= first_open + 2
    assert last_size - first_size < 16 * 1024 * 1024
