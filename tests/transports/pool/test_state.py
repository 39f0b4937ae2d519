"""What a pool tells of itself: as an object, as a stream of changes, and as metrics."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.transports.conftest import Run
from tests.transports.pool.world import Echo, OpenPool, Worker
from wirecore import errors
from wirecore_trio import pool


def test_the_state_of_a_pool(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        def prepare(server: pool.PoolServer) -> None:
            server.bind("/pool")
            server.bind("/db", "Database", "Files")
            server.serve_callbacks("/cb", Echo())

        async with open_pool(prepare) as world:
            worker = Worker("w")
            await world.provide(worker, Echo(), name="w", labels=["gpu"], concurrency=1)
            for _ in range(3):
                await world.server.call("Echo.Text", "a", str)
            with pytest.raises(errors.RpcError):
                await world.server.call("Echo.Fail", "why", str)
            with pytest.raises(pool.NoProvider):
                await world.server.call("Database.Get", "a", timeout=1)
            working = world.server.submit("Worker.Work", "job", str)
            await worker.wait_begun()
            world.server.submit("Echo.Text", "waits")
            await trio.testing.wait_all_tasks_blocked()

            state = world.server.state()
            assert set(state.paths) == {"/pool", "/db"}
            assert state.callbacks == {"/cb": 0}
            found = state.paths["/pool"]
            assert (found.names, found.queued, found.outstanding) == ((), 1, 1)
            [provider] = found.providers
            assert (provider.identity, provider.labels, provider.capacity) == ("w", {"gpu"}, 1)
            assert (provider.outstanding, provider.leaving) == (1, False)
            calls = found.calls.calls
            assert (calls.answered, calls.failed["error"], calls.in_flight) == (3, 1, 1)
            assert calls.latency.count == 4
            assert found.calls.providers["w"].answered == 3
            database = state.paths["/db"]
            assert database.names == ("Database", "Files")
            assert database.calls.calls.failed["timeout"] == 1

            page = world.server.metrics()
            families = text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
            samples = {
                (sample.name, *sample.labels.values()): sample.value
                for family in families
                for sample in family.samples
            }
            assert samples["wirecore_pool_answered_calls_total", "/pool"] == 3
            assert samples["wirecore_pool_failed_calls_total", "/pool", "error"] == 1
            assert samples["wirecore_pool_failed_calls_total", "/db", "timeout"] == 1
            assert samples["wirecore_pool_queued_calls", "/pool"] == 1
            assert samples["wirecore_pool_connections", "/pool", "w"] == 1
            assert samples["wirecore_pool_outstanding_calls", "/pool", "w"] == 1
            assert samples["wirecore_pool_call_seconds_count", "/pool"] == 4
            worker.go_on.set()
            assert await working.wait() == "job by w"

    run_sockets(main)


@pytest.mark.parametrize("timeout", [None, 10.0], ids=["no time", "in time"])
def test_each_call_counts_once_whatever_ends_it(
    open_pool: OpenPool, run_sockets: Run, timeout: float | None
) -> None:
    async def main() -> None:
        async with open_pool(lambda server: server.bind("/pool", codec="json")) as world:
            worker = Worker()
            await world.provide(worker, Echo(), name="w", codec="json")
            call = partial(world.server.call, **({"timeout": timeout} if timeout else {}))
            assert await call("Echo.Text", "a", str) == "a"
            for argument, result, error in (
                ("a", int, errors.InvalidValue),
                ("a", complex, errors.InvalidJsonType),
                (object(), str, errors.UnsendableMessage),
            ):
                with pytest.raises(error):
                    await call("Echo.Text", argument, result)
            with pytest.raises(errors.RpcError):
                await call("Echo.Fail", "why", str)
            with trio.move_on_after(1):
                await call("Worker.Work", "job", str)
            calls = world.server.state().paths["/pool"].calls.calls
            assert (calls.answered, calls.in_flight) == (1, 0)
            assert calls.failed == {"error": 3, "lost": 0, "timeout": 0, "cancelled": 1}

    run_sockets(main)


def test_changes_are_told_as_they_come(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            changes = world.server.changes(0.5)
            assert (await anext(changes)).paths["/pool"].providers == ()
            serving = await world.provide(Echo(), name="a")
            [provider] = (await anext(changes)).paths["/pool"].providers
            assert provider.identity == "a"
            for _ in range(10):
                await world.server.call("Echo.Text", "a", str)
            assert (await anext(changes)).paths["/pool"].calls.calls.answered == 10
            await serving.close()
            assert (await anext(changes)).paths["/pool"].providers == ()
            await world.server.close()
            assert [state async for state in changes] == []
            with pytest.raises(errors.InvalidOption):
                world.server.changes(0)

    run_sockets(main)


def test_metrics_are_served_as_long_as_the_pool(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world, trio.open_nursery() as nursery:
            await nursery.start(world.server.serve_metrics)
            await nursery.start(world.server.serve_health, "127.0.0.1")
            await world.server.drain()

    run_sockets(main)


def test_changes_end_as_the_pool_is_told_to_stop(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world, trio.open_nursery() as nursery:
            changes = world.server.changes(3600)
            await anext(changes)
            nursery.start_soon(world.server.drain)
            before = trio.current_time()
            assert [state async for state in changes] == []
            assert trio.current_time() - before < 1

    run_sockets(main)


def test_lost_and_cancelled_calls_are_counted(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            worker = Worker("w")
            await world.provide(worker, name="w")
            lost = world.server.submit("Worker.Work", "lost", str)
            again = world.server.submit("Worker.Work", "again", str, idempotent=True)
            cancelled = world.server.submit("Worker.Work", "cancelled", str)
            await worker.wait_begun(3)
            cancelled.cancel()
            with pytest.raises(errors.InvalidState):
                await cancelled.wait()
            world.server.providers[0].close()
            with pytest.raises(errors.CallLost):
                await lost.wait()
            await worker.wait_begun(4)
            worker.go_on.set()
            assert await again.wait() == "again by w"
            calls = world.server.state().paths["/pool"].calls.calls
            assert calls.failed == {"error": 0, "lost": 1, "timeout": 0, "cancelled": 1}
            assert (calls.again, calls.answered, calls.in_flight) == (1, 1, 0)

    run_sockets(main)


def test_metrics_over_http(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            listening = await world.nursery.start(world.server.serve_metrics)
            assert listening.addresses[0][0] == "127.0.0.1"
            async with await trio.open_tcp_stream("127.0.0.1", listening.port) as stream:
                await stream.send_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = b""
                async for data in stream:
                    answer += data
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"application/openmetrics-text" in answer
            assert b'wirecore_pool_queued_calls{path="/pool"} 0' in answer

    run_sockets(main)
