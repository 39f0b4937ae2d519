"""Two processes and one connection: very many requests at once, and one process that is killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import trio

from tests.transports.conftest import Run, bounded
from tests.transports.killing import Victim, needs_kill
from tests.transports.pool.world import until
from tests.transports.rest.gateway.world import running
from tests.transports.rest.world import serving
from wirecore import errors

if TYPE_CHECKING:
    from wirecore._backend import Backend

MANY = 1000

#: Seconds within which everybody has learnt of a death.
AT_ONCE = 1.0


@pytest.fixture
def run_real(run_real: Run) -> Run:
    """Run a story in real time; what goes wrong ends it."""
    return bounded(run_real, 60)


@pytest.fixture
def victim(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Victim]:
    """A process that serves, on the backend under test."""
    monkeypatch.setenv("WIRECORE_BACKEND", backend.name)
    victim = Victim("tests.transports.rest.victim", tmp_path / "log")
    yield victim
    victim.clean_up()


async def read_for_ever(pieces: AsyncIterator[bytes], begun: trio.Event) -> None:
    """Read *pieces*; *begun* is set once there is one."""
    async for _ in pieces:
        begun.set()


def test_a_thousand_requests_at_once(backend: Backend, victim: Victim, run_real: Run) -> None:
    """All are with the application before the first is answered."""
    answered: list[int] = []

    async def story() -> None:
        async with serving(backend) as world:
            assert await victim.start(world.url) == "ready"
            [connection] = await world.joined()

            async def ask(number: int) -> None:
                headers = {"X-Count": str(MANY)}
                response = await connection.request("GET", f"/together?{number}", headers=headers)
                answered.append(int(response.body))
                assert answered[-1] == number

            async with trio.open_nursery() as nursery:
                for number in range(MANY):
                    nursery.start_soon(ask, number)
            victim.kill()

    run_real(story)
    assert sorted(answered) == list(range(MANY))


@needs_kill
def test_callers_of_a_process_that_is_killed(
    backend: Backend, victim: Victim, run_real: Run
) -> None:
    """In the middle of a response, and before it: each gets an error at once."""
    ended: list[float] = []

    async def read_on(connection: Any, begun: trio.Event) -> None:
        async with connection.stream("GET", "/endless") as response:
            with pytest.raises(errors.CallLost) as caught:
                await read_for_ever(response, begun)
        assert caught.value.execution == "maybe_executed"
        ended.append(trio.current_time())

    async def wait(connection: Any, begun: trio.Event) -> None:
        begun.set()
        with pytest.raises(errors.CallLost) as caught:
            await connection.request("GET", "/silent")
        assert caught.value.execution == "maybe_executed"
        ended.append(trio.current_time())

    async def story() -> None:
        async with serving(backend) as world:
            assert await victim.start(world.url) == "ready"
            [connection] = await world.joined()
            async with trio.open_nursery() as nursery:
                for caller in read_on, wait:
                    begun = trio.Event()
                    nursery.start_soon(caller, connection, begun)
                    await begun.wait()
                await connection.ping()  # what was asked before it is with the process
                killed = trio.current_time()
                victim.kill()
            assert len(ended) == 2
            assert max(ended) - killed < AT_ONCE

    run_real(story)


@needs_kill
def test_callers_of_a_gateway_whose_publisher_is_killed(
    backend: Backend, victim: Victim, run_real: Run
) -> None:
    """The response breaks off, and its caller can tell; who has none yet gets 502."""
    ended: list[float] = []

    async def read_on(http: httpx2.AsyncClient, begun: trio.Event) -> None:
        async with http.stream("GET", "/victim/endless") as response:
            with pytest.raises(httpx2.RemoteProtocolError):
                await read_for_ever(response.aiter_raw(), begun)
        ended.append(trio.current_time())

    async def wait(http: httpx2.AsyncClient, begun: trio.Event) -> None:
        begun.set()
        assert (await http.get("/victim/silent")).status_code == 502
        ended.append(trio.current_time())

    async def story() -> None:
        async with running(backend) as world, world.caller() as http:
            assert await victim.start(f"ws://127.0.0.1:{world._port}/") == "ready"
            async with trio.open_nursery() as nursery:
                for caller in wait, read_on:
                    begun = trio.Event()
                    nursery.start_soon(caller, http, begun)
                    await begun.wait()
                [connection] = world.server.connections
                wire: Any = connection._channel.wire
                await until(lambda: len(wire._ours) == 2)
                await connection.ping()
                killed = trio.current_time()
                victim.kill()
            assert len(ended) == 2
            assert max(ended) - killed < AT_ONCE

    run_real(story)
