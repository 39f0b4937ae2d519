"""Clients with sessions request and signal all the time, and one end ends, again and again.

Every request ends once, and what is said of it is true; every client is back with its session.
ci/kills asks for the whole of it, which is longer and larger.
"""

from __future__ import annotations

import gc
import json
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
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
from tests.transports.webwire.fleet import Load, Member, open_fleet, sessions_of
from tests.transports.webwire.served import make_server, state_of
from wirecore._backend import Backend
from wirecore_trio import webwire
from wirecore_trio.testing._runs import pump_timers, system_tasks

pytestmark = needs_kill

#: Each end takes long enough that there are fewer than of a lone connection.
ENDS = max(2, KILLS // 40)
CLIENTS = 50 if WHOLE else 8

#: Seconds that one end, and all that follows from it, may take: longer is a hang.
PATIENCE = 120.0

VICTIM = "tests.transports.webwire.victim"


def new_users() -> dict[str, str]:
    """The users, who have no keys yet."""
    return {f"user {number}": "" for number in range(CLIENTS)}


@pytest.fixture
def victim(
    backend: Backend,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Victim]:
    """The end that is a process of its own."""
    caplog.set_level(logging.CRITICAL, "wirecore")  # what is kept of the log isn't a leak
    monkeypatch.setenv("WIRECORE_BACKEND", backend.name)
    victim = Victim(VICTIM, tmp_path / "log")
    yield victim
    victim.clean_up()


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Run *story*, after which no task and no timer of this process may be left."""

    async def checked() -> None:
        before = system_tasks()
        await story()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert {task.name for task in system_tasks() - before} == set()
        assert pump_timers() == []

    trio.run(checked)


class Held:
    """What this process holds after each round: it must not grow."""

    def __init__(self) -> None:
        self._held: list[tuple[int, int]] = []

    def note(self) -> None:
        """A round is through."""
        gc.collect()
        self._held.append((descriptors(), resident()))

    def check(self) -> None:
        """All rounds are through."""
        (first_open, first_size), (last_open, last_size) = self._held[0], self._held[-1]
        assert last_open <= first_open + 2
        assert last_size - first_size < 16 * 1024 * 1024


class Restarts:
    """A server's process on one port, ended and started again under the load of a fleet."""

    def __init__(self, victim: Victim, folder: Path, backend: Backend) -> None:
        self._victim = victim
        self._arguments = (folder / "log", folder / "sessions.db")
        self._backend = backend
        self._chance = random.Random(20)
        self._held = Held()
        self.ledger = Ledger()
        #: Once the server reads no more: have some requests wait here.
        self.fill: Callable[[], Awaitable[None]]

    async def run(self, ends: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """End the server in each of these ways, and check all after each."""
        port = int(await self._victim.start("serve", 0, *self._arguments))
        keys = new_users()
        async with open_fleet(port, keys, self._backend) as members:
            load = Load(members, self.ledger, self._chance)
            for end in ends:
                with trio.fail_after(PATIENCE):
                    await self._go_round(port, load, members, end)
                    await self._check_sessions(members, keys)
                self._held.note()
            assert load.signals > CLIENTS * len(ends)
        self._held.check()

    async def _go_round(
        self, port: int, load: Load, members: list[Member], end: Callable[[], Awaitable[None]]
    ) -> None:
        before = [member.sessions for member in members]
        async with trio.open_nursery() as nursery:
            load.start(nursery)
            self.fill = partial(load.fill, nursery)
            await self.ledger.until_answered(self._chance.randrange(CLIENTS, 12 * CLIENTS))
            await end()
            assert int(await self._victim.start("serve", port, *self._arguments)) == port
            for member, sessions in zip(members, before, strict=True):
                await member.until_sessions(sessions + 1)
            await self.ledger.until_answered(4 * CLIENTS)
            load.over = True
        self.check(self._victim.executed())

    def check(self, executed: list[int]) -> None:
        """Every request of the round has ended once, and truthfully."""
        self.ledger.check(executed)

    async def _check_sessions(self, members: list[Member], keys: dict[str, str]) -> None:
        """The sessions on the server are those of the clients, and nothing else is there."""
        for member in members:
            assert member.client.session is not None
            assert member.client.session.key == keys[member.user]
            assert member.closed == 0
        state = await members[0].client.request("report", reply=webwire.Json())
        assert state["sessions"] == sessions_of(keys)
        assert state["active"] == state["connections"] == len(members)
        if state["descriptors"]:
            # Beside the connections: standard streams, the log, the database, trio's own.
            assert state["descriptors"] < len(members) + 25


def test_requests_end_once_and_truthfully_when_the_server_is_killed(
    backend: Backend, victim: Victim, tmp_path: Path
) -> None:
    async def kill_at_once() -> None:
        victim.kill()

    async def kill_when_full() -> None:
        victim.stop()
        await restarts.fill()
        victim.kill()

    restarts = Restarts(victim, tmp_path, backend)
    ends = [kill_when_full if number % 2 else kill_at_once for number in range(ENDS)]
    run(lambda: restarts.run(ends))
    assert restarts.ledger.ends[Ledger.NOT_SENT]
    assert restarts.ledger.ends[Ledger.MAYBE]
    assert not restarts.ledger.ends[Ledger.REFUSED]


class GracefulRestarts(Restarts):
    """Here what was executed was answered, too."""

    def check(self, executed: list[int]) -> None:
        """See there."""
        assert set(executed) == self.ledger.answered
        super().check(executed)


def test_what_runs_is_answered_when_the_server_is_told_to_end(
    backend: Backend, victim: Victim, tmp_path: Path
) -> None:
    async def terminate() -> None:
        assert await victim.terminate() == 0

    restarts = GracefulRestarts(victim, tmp_path, backend)
    run(lambda: restarts.run([terminate] * ENDS))
    assert restarts.ledger.ends[Ledger.REFUSED]


def test_the_server_forgets_nothing_and_keeps_nothing_when_the_clients_are_killed(
    backend: Backend, victim: Victim, tmp_path: Path
) -> None:
    executed: list[int] = []
    file = tmp_path / "keys"
    log = tmp_path / "log"
    left: list[Exception | None] = []
    held = Held()

    async def kill_clients(server: webwire.Server, port: int, number: int) -> None:
        done = len(executed)
        await victim.start("dial", port, log, file, 1 + number * 1_000_000)
        assert state_of(server)["sessions"] == sessions_of(json.loads(file.read_text()))
        assert server.active_sessions == CLIENTS
        while len(executed) < done + 10 * CLIENTS:
            await trio.testing.wait_all_tasks_blocked()
        if number % 2:
            victim.stop()
            await trio.sleep(0.1)
        victim.kill()
        for connection in server.connections:
            await connection.wait_closed()
        assert state_of(server)["connections"] == server.active_sessions == 0

    def check_round(number: int) -> None:
        begun = set(read_numbers(tmp_path / "log.begun"))
        answered = victim.executed()
        assert len(executed) == len(set(executed))
        assert set(answered) <= set(executed) <= begun
        assert len(left) == (number + 1) * CLIENTS
        held.note()

    async def story() -> None:
        file.write_text(json.dumps(new_users()))
        async with (
            webwire.SQLiteStore(tmp_path / "sessions.db") as store,
            trio.open_nursery() as nursery,
        ):
            server = make_server(executed.append, store, backend=backend)
            server.on_client_disconnected(lambda connection, reason: left.append(reason))
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            for number in range(ENDS):
                with trio.fail_after(PATIENCE):
                    await kill_clients(server, listening.port, number)
                check_round(number)
            for user, key in json.loads(file.read_text()).items():
                kept = await store.look_up(key, datetime.now(UTC))
                assert kept is not None
                assert kept.info == {"user": user}
            await server.shutdown()

    run(story)
    held.check()
    assert all(left)
