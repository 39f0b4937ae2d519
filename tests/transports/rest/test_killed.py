"""Both ends of REST serve and call all the time, and one of them is killed, again and again.

Every request ends once, and what is said of it is true; every client is back, is served again and
serves again; nothing is left over. ci/kills asks for the whole of it, which is longer and larger.
"""

from __future__ import annotations

import gc
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
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
from tests.transports.rest.load import LARGE, SMALL, Calls, Jobs, listener
from tests.transports.rest.world import AT_ONCE
from wirecore._backend import Backend
from wirecore_trio import rest
from wirecore_trio.testing._runs import pump_timers, system_tasks

pytestmark = needs_kill

CLIENTS, CALLERS = (10, 8) if WHOLE else (3, 8)

#: Requests in each direction between one end of a process and the next.
BETWEEN = 50 * CLIENTS

#: Large requests over each connection that nobody reads any more: more than a socket holds.
BURST = 20

#: Seconds that one kill, and all that follows from it, may take: longer is a hang.
PATIENCE = 60.0

#: How far the numbers of one process of the other end lie from those of the next.
APART = 1 << 32


@pytest.fixture
def victim(
    backend: Backend,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Victim]:
    """The end that is a process of its own, with the backend under test."""
    caplog.set_level(logging.CRITICAL, "wirecore")  # what is kept of the log isn't a leak
    monkeypatch.setenv("WIRECORE_BACKEND", backend.name)
    victim = Victim("tests.transports.rest.either_end", tmp_path / "log")
    yield victim
    victim.clean_up()


class Both:
    """What both directions came to: *calls* are ours, *executed* what the other end called."""

    def __init__(self, victim: Victim, log: Path) -> None:
        self._victim = victim
        self._log = log
        self._chance = random.Random(7)
        self._held: list[tuple[int, int]] = []
        self.executed: list[int] = []
        self.app = Jobs(self.executed.append)
        self.calls = Calls(Ledger())

    async def start(self, role: str, port: int, number: int, *more: object) -> str:
        """Start the other end for the round *number*."""
        return await self._victim.start(role, port, self._log, (number + 1) * APART, *more)

    async def run_until_killed(
        self,
        number: int,
        nursery: trio.Nursery,
        targets: Sequence[rest.Client] | Sequence[rest.Connection],
    ) -> None:
        """Let both directions have their share, and kill the other end, which is at *targets*."""
        await self.until_both()
        await trio.sleep(self._chance.uniform(0, 0.02))
        if number % 2:
            self._victim.stop()
            for target in targets:
                for _ in range(BURST):
                    nursery.start_soon(self.calls.request, target, LARGE)
            await trio.testing.wait_all_tasks_blocked(0.05)
        self._victim.kill()

    async def until_both(self) -> None:
        """Wait until so many more requests have been answered, and executed here."""
        done = len(self.executed)
        await self.calls.ledger.until_answered(BETWEEN)
        await until(lambda: len(self.executed) >= done + BETWEEN)

    def check(self) -> None:
        """All of the round has ended: how, and that nothing of it is left."""
        self.calls.ledger.check(self._victim.executed())
        # In this order, as the other end may be there again, and call.
        answered = set(read_numbers(self._log.with_name("log.calls")))
        executed = set(self.executed)
        begun = set(read_numbers(self._log.with_name("log.calls.begun")))
        assert len(self.executed) == len(executed), "executed twice"
        assert answered <= executed <= begun
        gc.collect()
        self._held.append((descriptors(), resident()))

    def check_all(self) -> None:
        """All rounds are through."""
        ends = self.calls.ledger.ends
        assert ends[Ledger.ANSWERED] >= BETWEEN * KILLS
        assert ends[Ledger.MAYBE]
        assert ends[Ledger.NOT_SENT]
        (first_open, first_size), (last_open, last_size) = self._held[0], self._held[-1]
        assert last_open <= first_open + 2
        assert last_size - first_size < 16 * 1024 * 1024


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run *story*, after which no task and no timer of this process may be left."""

    async def checked() -> None:
        before = system_tasks()
        await story()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert {task.name for task in system_tasks() - before} == set()
        assert pump_timers() == []

    trio.run(checked)


def test_clients_are_killed(backend: Backend, victim: Victim, tmp_path: Path) -> None:
    both = Both(victim, tmp_path / "log")
    events: Counter[rest.Kind] = Counter()

    async def call(connection: rest.Connection) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(CALLERS):
                nursery.start_soon(both.calls.run, connection)

    async def story() -> None:
        server = rest.Server(both.app, on_connection=call, backend=backend)

        async def watch() -> None:
            async for event in happened:
                events[event.kind] += 1

        async with trio.open_nursery() as nursery:
            happened = server.events()
            nursery.start_soon(watch)
            listening = await nursery.start(partial(server.serve, listeners=[listener()]))
            for number in range(KILLS):
                with trio.fail_after(PATIENCE):
                    await both.start("dial", listening.port, number, CLIENTS)
                    assert sorted(each.metadata for each in server.connections) == [*range(CLIENTS)]
                    async with trio.open_nursery() as calling:
                        await both.run_until_killed(number, calling, server.connections)
                    await until(lambda: not server.connections and not both.app.running)
                    await trio.testing.wait_all_tasks_blocked(0.01)
                both.check()
            await server.drain()

    run(story)
    both.check_all()
    assert events == {
        rest.Kind.RECEIVED: CLIENTS * KILLS,
        rest.Kind.FAILED: CLIENTS * KILLS,
    }


@asynccontextmanager
async def clients(port: int, app: Jobs, backend: Backend) -> AsyncIterator[list[rest.Client]]:
    """So many, all of which serve."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                rest.connect(
                    f"ws://127.0.0.1:{port}/",
                    app,
                    rest.ClientOptions(retry=AT_ONCE),
                    metadata=number,
                    socket_options=SMALL,
                    backend=backend,
                )
            )
            for number in range(CLIENTS)
        ]


def test_the_server_is_killed(backend: Backend, victim: Victim, tmp_path: Path) -> None:
    both = Both(victim, tmp_path / "log")

    async def story() -> None:
        port = int(await both.start("serve", 0, 0))
        async with clients(port, both.app, backend) as members:
            for number in range(KILLS):
                with trio.fail_after(PATIENCE):
                    await go_round(port, number, members)
                both.check()
            victim.kill()
        await until(lambda: not both.app.running)

    async def go_round(port: int, number: int, members: list[rest.Client]) -> None:
        both.calls.over = False
        async with trio.open_nursery() as nursery:
            for member in members:
                for _ in range(CALLERS):
                    nursery.start_soon(both.calls.run, member)
            await both.run_until_killed(number, nursery, members)
            assert int(await both.start("serve", port, number + 1)) == port
            await until(lambda: all(each.connections == number + 2 for each in members))
            await both.until_both()
            both.calls.over = True
        for member in members:
            assert member.connection is not None

    run(story)
    both.check_all()
