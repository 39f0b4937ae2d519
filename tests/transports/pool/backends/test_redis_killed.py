"""A pool server is killed in the middle of calls that others make by way of it.

Each call ends once, and truthfully: none runs twice unless it may, and those that may are answered.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.transports.killing import KILLS, WHOLE, Ledger, Victim, needs_kill, read_numbers
from tests.transports.pool.backends.conftest import run
from tests.transports.pool.victim import Job
from tests.transports.pool.world import until
from tests.transports.redis_server import RedisServer
from wirecore.errors import CallLost
from wirecore_trio import pool
from wirecore_trio.pool.backends import RedisBackend

# coredis leaves the buffers of a connection that couldn't be opened to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed <MemoryObject:ResourceWarning",
    "ignore:Exception ignored in. <function MemoryObject:pytest.PytestUnraisableExceptionWarning",
)

LEASE = 0.4

#: Seconds until the last call of a killed node has ended, on a machine with other things to do.
STATED = LEASE * 4 / 3 + 5

ROUNDS = KILLS if WHOLE else 1


@asynccontextmanager
async def node(url: str, prefix: str) -> AsyncIterator[tuple[pool.PoolServer, str]]:
    """A pool server of this process, and the URL for its providers."""
    server = pool.PoolServer(backend=RedisBackend(url, prefix=prefix, lease=LEASE))
    server.bind("/pool")
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", 0)
        yield server, f"ws://127.0.0.1:{listening.port}/pool"
        nursery.cancel_scope.cancel()


def known(server: pool.PoolServer) -> list[str]:
    """The providers of other nodes."""
    others = server.state().others.values()
    return sorted(each.identity for paths in others for each in paths.get("/pool", ()))


async def keep_calling(server: pool.PoolServer, ledger: Ledger, stopped: trio.Event) -> None:
    """One call after another, which mustn't run twice."""
    while not stopped.is_set():
        number = ledger.begin()
        try:
            assert await server.call("Job.Once", number, int) == number
        except CallLost as error:
            ledger.end(number, error.execution)
        else:
            ledger.end(number, Ledger.ANSWERED)


async def keep_calling_again(
    server: pool.PoolServer, numbers: Iterator[int], answered: set[int], stopped: trio.Event
) -> None:
    """The same of calls that may run twice: each is answered, whoever dies."""
    while not stopped.is_set():
        number = next(numbers)
        assert await server.call("Job.Again", number, int, idempotent=True) == number
        answered.add(number)


@needs_kill
def test_what_is_said_of_each_call_is_true(
    redis_for_all: RedisServer, prefix: str, tmp_path: Path
) -> None:
    logs = [tmp_path / "victim", tmp_path / "survivor"]
    victim = Victim("tests.transports.pool.backends.victim", logs[0])
    survivor = Victim("", logs[1])  # which isn't killed: it has the reader of a log alone
    ledger = Ledger()
    numbers = itertools.count(1)
    answered: set[int] = set()
    url = redis_for_all.url

    async def kill_once(caller: pool.PoolServer) -> None:
        stopped = trio.Event()
        await victim.start(url, prefix, LEASE, logs[0])
        await until(lambda: known(caller) == ["survivor", "victim"])
        async with trio.open_nursery() as nursery:
            for _ in range(12):
                nursery.start_soon(keep_calling, caller, ledger, stopped)
            for _ in range(6):
                nursery.start_soon(keep_calling_again, caller, numbers, answered, stopped)
            await ledger.until_answered(40)
            victim.kill()
            await ledger.until_answered(20)
            stopped.set()
            killed = trio.current_time()
        assert trio.current_time() - killed < STATED
        await until(lambda: known(caller) == ["survivor"])
        executed = victim.executed()
        assert executed
        ledger.check(executed + survivor.executed())
        again = {n for log in logs for n in read_numbers(log.with_name(f"{log.name}.again"))}
        assert answered <= again

    async def story() -> None:
        async with (
            node(url, prefix) as (caller, _),
            node(url, prefix) as (_, where),
            pool.Provider(Job(str(logs[1]))).serve(where, name="survivor", concurrency=2),
        ):
            for _ in range(ROUNDS):
                await kill_once(caller)

    try:
        run(story, 60 + 10 * ROUNDS)
    finally:
        victim.clean_up()
    assert ledger.ends[Ledger.ANSWERED] >= 60 * ROUNDS
    assert ledger.ends[Ledger.NOT_SENT] == 0  # those go to another node
