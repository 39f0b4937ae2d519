"""The other end is killed under load, again and again: every call ends once, and truthfully."""

from __future__ import annotations

import gc
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.killing import (
    KILLS,
    NUMBER,
    Ledger,
    Victim,
    descriptors,
    needs_kill,
    resident,
)
from tests.transports.wsrpc.ping_ends import public
from tests.transports.wsrpc.victim import CLIENT, SERVER
from wirecore._backend import Backend
from wirecore.session import Backoff
from wirecore_trio import wsrpc
from wirecore_trio.testing._runs import pump_timers, system_tasks

pytestmark = needs_kill

#: Tasks that call at once.
CALLERS = 60

#: Sizes of requests.
LARGE = 60_000
SIZES = (NUMBER, 64, 4_000, LARGE)

#: Tasks that call with large requests an end that doesn't read: more than a system holds for it
#: (4 MiB by Linux's defaults for what is sent, and little for what nobody reads).
FILLERS = 200

QUICK = wsrpc.RetryPolicy(backoff=lambda: Backoff(0.01, 1.2, 0, 0.05))


class Load:
    """Callers, and how each of their calls ended."""

    def __init__(self, caller: wsrpc.Caller, chance: random.Random) -> None:
        self._caller = caller
        self._chance = chance
        self.ledger = Ledger()

    async def _call_until_lost(self, sizes: Sequence[int] = SIZES) -> None:
        while True:
            number = self.ledger.begin()
            payload = number.to_bytes(NUMBER, "big")
            method = self._chance.choice(("Do", "DoAsync"))
            size = self._chance.choice(sizes)
            try:
                reply = await self._caller.call(method, payload.ljust(size, b"x"))
            except wsrpc.CallLost as error:
                self.ledger.end(number, error.execution)
                return
            assert reply == payload
            self.ledger.end(number, Ledger.ANSWERED)

    async def run_until_lost(self, victim: Victim, *, full: bool) -> None:
        """Call without a pause, kill *victim*, and end when each caller has lost a call.

        *full*: when it reads no more, and the sockets are full, so that some calls never leave.
        """
        async with trio.open_nursery() as nursery:
            for _ in range(CALLERS):
                nursery.start_soon(self._call_until_lost)
            await self.ledger.until_answered(self._chance.randrange(50, 600))
            if full:
                victim.stop()
                for _ in range(FILLERS):
                    nursery.start_soon(self._call_until_lost, (LARGE,))
                await trio.testing.wait_all_tasks_blocked(0.02)
            victim.kill()


def back(payload: bytes, peer: wsrpc.Peer) -> bytes:
    return payload


@asynccontextmanager
async def survivor(
    role: str, port: int, backend: Backend
) -> AsyncIterator[tuple[wsrpc.Caller, Callable[[], Any], int]]:
    """Our end: whom to call, how to wait until that goes through, and the port it serves at."""
    if role == "client":
        credentials = wsrpc.ClientCredentials(CLIENT, public(SERVER))
        connecting = wsrpc.connect(f"127.0.0.1:{port}", credentials, retry=QUICK, backend=backend)
        connecting.handle("Back", back, inline=True)
        async with connecting as client:
            yield client, client.wait_ready, port
        return
    server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(CLIENT)]), backend=backend)
    server.handle("Back", back, inline=True)

    async def connected() -> None:
        changes = server.changes()
        while not server.connected_keys:
            await anext(changes)

    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", 0)
        yield server.peer(public(CLIENT)), connected, listening.port
        await server.aclose()


@pytest.mark.parametrize("role", ["client", "server"])
def test_calls_end_once_and_truthfully_when_the_other_end_is_killed(
    backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture, role: str
) -> None:
    caplog.set_level(logging.CRITICAL, "wirecore")  # what is kept of the log isn't a leak
    log = tmp_path / "executed"
    role_of_victim = "serve" if role == "client" else "dial"
    victim = Victim("tests.transports.wsrpc.victim", log)
    chance = random.Random(20)
    held: list[tuple[int, int]] = []

    async def story() -> None:
        before = system_tasks()
        port = int(await victim.start(role_of_victim, 0, log)) if role == "client" else 0
        async with survivor(role, port, backend) as (caller, ready, our_port):
            load = Load(caller, chance)
            for number in range(KILLS):
                if number or role == "server":
                    await victim.start(role_of_victim, our_port, log)
                await ready()
                await load.run_until_lost(victim, full=bool(number % 2))
                load.ledger.check(victim.executed())
                if number >= KILLS // 4:
                    gc.collect()
                    held.append((descriptors(), resident()))
            assert load.ledger.ends[Ledger.NOT_SENT]
            assert load.ledger.ends[Ledger.MAYBE]
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert {task.name for task in system_tasks() - before} == set()
        assert pump_timers() == []

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WIRECORE_BACKEND", backend.name)
        trio.run(story)
    (first_open, first_size), (last_open, last_size) = held[0], held[-1]
    assert last_open <= first_open + 2  # an attempt to connect may hold some
    # What other tests have left in this process comes and goes meanwhile.
    assert last_size - first_size < 16 * 1024 * 1024
