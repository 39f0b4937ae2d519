"""What peers and programs do that they had better not, and what a pool makes of it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from tests.transports.conftest import Authority, Run
from tests.transports.pool.world import Echo, OpenPool, Worker, default_path, until
from wirecore import errors
from wirecore._backend import Backend
from wirecore_trio import pool, websocket


@pytest.mark.parametrize("way", ["close", "drain"])
def test_a_connection_that_on_connection_ends_gets_no_calls(
    open_pool: OpenPool, run_sockets: Run, way: str
) -> None:
    async def main() -> None:
        async def look(connection: pool.ProviderConnection) -> None:
            getattr(connection, way)()

        async with (
            open_pool(on_connection=look) as world,
            world.provider(Echo(), max_attempts=1).serve(world.url()) as serving,
        ):
            await serving.wait_closed()
            assert world.server.providers == []
            with pytest.raises(pool.NoProvider):
                await world.server.call("Echo.Text", "a", timeout=1, idempotent=True)

    run_sockets(main)


def test_on_connection_takes_its_time(open_pool: OpenPool, run_sockets: Run) -> None:
    """Pings are answered meanwhile; and a peer that goes is noticed."""
    begun: list[str | None] = []
    cancelled: list[str | None] = []

    async def main() -> None:
        async def look(connection: pool.ProviderConnection) -> None:
            begun.append(connection.identity)
            try:
                await trio.sleep(100)
            except trio.Cancelled:
                cancelled.append(connection.identity)
                raise

        async with open_pool(on_connection=look, welcome_timeout=None) as world:
            async with world.provider(Echo()).serve(world.url(), name="goes", wait=True):
                await until(lambda: begun == ["goes"])
            await until(lambda: cancelled == ["goes"])
            async with world.provider(Echo()).serve(world.url(), name="stays", wait=True):
                assert await world.server.call("Echo.Text", "a", str, timeout=200) == "a"
            assert begun == ["goes", "stays"]  # it was never dialled again

    run_sockets(main)


def test_on_connection_does_not_take_too_much_time(
    open_pool: OpenPool, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async def look(_: pool.ProviderConnection) -> None:
            await trio.sleep_forever()

        async with (
            open_pool(on_connection=look) as world,
            world.provider(Echo(), max_attempts=1).serve(world.url(), name="one") as serving,
        ):
            begun = trio.current_time()
            events = serving.events()
            kinds = {event.kind: event.error async for event in events}
            assert 30 <= trio.current_time() - begun < 32
            error = kinds[pool.Happening.DISCONNECTED]
            assert isinstance(error, errors.ConnectionClosed)
            assert error.code == 1013
            assert world.server.providers == []

    run_sockets(main)
    assert "on_connection didn't welcome <pool.ProviderConnection one at /pool>" in caplog.text
    assert "within welcome_timeout, 30 s" in caplog.text


def test_every_late_answer_gives_back_its_place(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            worker = Worker()
            await world.provide(worker, concurrency=700)
            calls = [world.server.submit("Worker.Work", f"{n}") for n in range(700)]
            await worker.wait_begun(700)
            for call in calls:
                call.cancel()
            await trio.testing.wait_all_tasks_blocked()
            [connection] = world.server.providers
            assert connection.outstanding == 700
            worker.go_on.set()
            await until(lambda: connection.outstanding == 0)

    run_sockets(main)


def test_who_waits_for_a_provider_is_told_that_there_will_be_none(
    open_pool: OpenPool, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_pool(call_timeout=None) as world, trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(errors.CallLost, match="shut down") as caught:
                    await world.server.call("Echo.Text", "a")
                assert caught.value.execution == "not_sent"

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            assert world.server.state().paths["/pool"].queued == 1
            # Whoever else stops it at the same time: all come to an end.
            for grace in (None, None, 1):
                nursery.start_soon(world.server.drain, grace)

    run_sockets(main)


def test_revoked_is_revoked(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        go_on = trio.Event()
        welcomed: list[str | None] = []

        async def look(connection: pool.ProviderConnection) -> None:
            welcomed.append(connection.identity)
            await go_on.wait()

        def prepare(server: pool.PoolServer) -> None:
            server.bind("/pool")
            server.serve_callbacks("/cb", Echo(), Other=Worker("named"))

        tokens = pool.Tokens({"a": "first"})
        async with open_pool(prepare, tokens=tokens, on_connection=look) as world:
            provider = world.provider(Echo(), max_attempts=1)
            async with (
                provider.serve(world.url(), token="a") as serving,
                provider.connect_callbacks(world.url("/cb"), token="a", wait=True) as client,
            ):
                assert await client.call("Echo.Text", "hi", str) == "hi"
                assert await client.call("Other.Who", "", str) == "named"
                await until(lambda: welcomed == ["first"])
                assert world.server.revoke("first") == 1  # the call-backs; the other isn't in yet
                go_on.set()
                await serving.wait_closed()
                await client.wait_closed()
                assert world.server.providers == []
            tokens.add("b", "first")
            async with provider.serve(world.url(), token="b", wait=True) as serving:
                await serving.wait_closed()  # it stays revoked, whatever it shows
            assert world.server.readmit("first")
            assert not world.server.readmit("first")
            await world.provide(Echo(), token="b")

    run_sockets(main)


def test_nobody_is_who_he_only_says_he_is_where_others_prove_it(
    open_pool: OpenPool, run_sockets: Run, authority: Authority
) -> None:
    async def main() -> None:
        async with open_pool(default_path) as world:
            tls = partial(
                world.server.serve,
                "127.0.0.1",
                0,
                ssl_context=authority.server_context(asks=True),
            )
            secure = await world.nursery.start(tls)
            url = f"wss://127.0.0.1:{secure.port}/pool"
            context = authority.client_context(authority)
            await world.provide(Worker("a liar"), name="client.test")
            async with world.provider(Worker("itself")).serve(url, ssl_context=context, wait=True):
                await until(lambda: len(world.server.providers) == 2)
                identities = {each.identity for each in world.server.providers}
                assert identities == {None, "client.test"}
                for _ in range(4):
                    who = await world.server.call("Worker.Who", "", str, provider="client.test")
                    assert who == "itself"

    run_sockets(main)


def test_labels_may_come_from_anything(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            await world.provide(Worker("a"), labels=(label for label in ["gpu"]))
            await world.provide(Worker("b"))
            for _ in range(3):
                labels = (label for label in ["gpu"])
                assert await world.server.call("Worker.Who", "", str, labels=labels) == "a"
            pending = world.server.submit("Worker.Who", "", str, labels=iter(["gpu"]))
            assert await pending.wait() == "a"

    run_sockets(main)


def test_a_call_that_ends_each_connection_is_given_up(
    open_pool: OpenPool, run_sockets: Run
) -> None:
    class Poison:
        def __init__(self) -> None:
            self.runs = 0

        @pool.exported(inline=True)
        def much(self, size: int) -> str:
            self.runs += 1
            return "x" * size

    async def main() -> None:
        poison = Poison()
        async with open_pool(max_message_size=10_000) as world:
            await world.provide(poison)
            with pytest.raises(errors.CallLost):
                await world.server.call("Poison.Much", 100_000, str, idempotent=True)
            assert 2 <= poison.runs <= 10

    run_sockets(main)


def test_what_is_cancelled_before_it_begins_is_not_sent(
    open_pool: OpenPool, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_pool() as world:
            worker = Worker()
            worker.go_on.set()
            await world.provide(worker)
            pending = world.server.submit("Worker.Work", "cancelled")
            pending.cancel()
            with pytest.raises(errors.InvalidState):
                await pending.wait()
            with pytest.raises(pool.NoProvider):
                await world.server.call("Worker.Work", "no time", timeout=0)
            assert worker.begun == []

    run_sockets(main)


def test_arguments_that_are_no_use(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            worker = Worker()
            worker.go_on.set()
            await world.provide(worker)
            [connection] = world.server.providers
            call: Any = world.server.call
            for wrong in ([int], {"a": int}, "int", list):
                with pytest.raises(errors.InvalidGobType):
                    await call("Worker.Work", "", wrong)
            with pytest.raises(TypeError, match="idempotent must be bool"):
                await call("Worker.Work", "", str, idempotent="no")
            with pytest.raises(errors.InvalidOption):
                connection.close(99)
            assert worker.begun == []
            assert world.server.providers == [connection]
            assert connection.outstanding == 0
            assert await call("Worker.Work", "", None) is None  # its result is passed over

    run_sockets(main)


def test_call_backs_that_came_are_answered_as_the_pool_stops(
    open_pool: OpenPool, run_sockets: Run
) -> None:
    async def main() -> None:
        worker = Worker()

        def prepare(server: pool.PoolServer) -> None:
            server.serve_callbacks("/cb", worker, Echo())

        async with (
            open_pool(prepare) as world,
            world.provider(max_attempts=1).connect_callbacks(world.url("/cb")) as client,
            trio.open_nursery() as nursery,
        ):
            working = client.submit("Worker.Work", "job", str)
            await worker.wait_begun()
            nursery.start_soon(world.server.drain, None)
            await trio.testing.wait_all_tasks_blocked(0.05)
            with pytest.raises(errors.RpcError, match=r"^the pool is shutting down$"):
                await client.call("Echo.Text", "late", str)
            worker.go_on.set()
            assert await working.wait() == "job by worker"
            await client.wait_closed()

    run_sockets(main)


def test_a_submitted_call_belongs_to_no_address(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            scope = trio.CancelScope()

            async def serve(task_status: Any) -> None:
                with scope:
                    await world.server.serve("127.0.0.1", 0, task_status=task_status)

            await world.nursery.start(serve)
            pending = world.server.submit("Worker.Who", "", str)
            scope.cancel()
            await trio.testing.wait_all_tasks_blocked(0.05)
            await world.provide(Worker("a"))
            assert await pending.wait() == "a"

    run_sockets(main)


def test_handlers_of_lost_connections_count(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        worker = Worker()

        def prepare(server: pool.PoolServer) -> None:
            server.serve_callbacks("/cb", worker)

        async with open_pool(prepare, max_total_handlers=5) as world:
            callers = world.provider(max_attempts=1)
            for number in (2, 3):
                async with callers.connect_callbacks(world.url("/cb"), wait=True) as client:
                    for _ in range(number):
                        client.submit("Worker.Work", "job", str)
                    await worker.wait_begun(number if number == 2 else 5)
            async with callers.connect_callbacks(world.url("/cb"), wait=True) as client:
                with pytest.raises(errors.RpcError, match="max_total_handlers is 5"):
                    await client.call("Worker.Work", "one too many", str)
                worker.go_on.set()
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert await client.call("Worker.Work", "next", str) == "next by worker"

    run_sockets(main)


@pytest.mark.parametrize("codec", ["gob", "json"])
def test_text_is_as_good_as_any_message(
    open_pool: OpenPool, run_sockets: Run, backend: Backend, codec: str
) -> None:
    """Where nothing else was agreed on, a stream may come in messages of either kind."""

    async def main() -> None:
        def prepare(server: pool.PoolServer) -> None:
            server.serve_callbacks("/cb", Echo(), codec=codec)

        async with (
            open_pool(prepare) as world,
            websocket.connect(world.url("/cb"), backend=backend) as ws,
        ):
            kind = pool.Gob() if codec == "gob" else pool.Json()
            calling = kind.calling(10_000, backend)
            for piece in calling.encode_request(0, "Echo.Text", "hello", str):
                data = websocket.RawText(piece) if codec == "gob" else piece.decode()
                await ws.send(data)
            answered = await ws.receive()
            assert isinstance(answered, bytes)
            calling.feed(answered)
            answer: Any = calling.next_response()
            assert (answer.seq, answer.error) == (0, None)
            assert calling.result(str) == "hello"

    run_sockets(main)


def test_calls_submitted_as_a_pool_stops_serving_leave_no_trace(run_sockets: Run) -> None:
    refused: list[Exception] = []

    class Slow:
        @pool.exported
        async def wait(self) -> str:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)  # serve() is on its way out
                    try:
                        server.submit("Echo.Text", "too late")
                    except errors.InvalidState as error:
                        refused.append(error)

    async def serve(scope: trio.CancelScope, task_status: trio.TaskStatus[Any]) -> None:
        with scope:
            await server.serve("127.0.0.1", 0, task_status=task_status)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            first, second = trio.CancelScope(), trio.CancelScope()
            listening = await nursery.start(serve, first)
            asks = pool.Provider().connect_callbacks(
                f"ws://127.0.0.1:{listening.port}/back", wait=True
            )
            async with asks as client:
                pending = client.submit("Slow.Wait")
                await trio.sleep(1)
                first.cancel()
                with pytest.raises(errors.CallLost):
                    await pending.wait()
            await server.wait_closed()
            assert len(refused) == 1
            listening = await nursery.start(serve, second)
            url = f"ws://127.0.0.1:{listening.port}/pool"
            async with pool.Provider(Echo()).serve(url, wait=True):
                for text in ("one", "two"):
                    assert await server.submit("Echo.Text", text, str).wait() == text
            second.cancel()

    server = pool.PoolServer()
    server.bind("/pool")
    server.serve_callbacks("/back", Slow())
    run_sockets(main)


@pytest.mark.parametrize("codec", ["gob", "json"])
def test_two_ends_of_different_codecs_are_told_so(
    open_pool: OpenPool, run_sockets: Run, caplog: pytest.LogCaptureFixture, codec: str
) -> None:
    caplog.set_level("INFO", "wirecore.pool")
    other = "json" if codec == "gob" else "gob"

    async def main() -> None:
        async with open_pool(lambda server: server.bind("/pool", codec=codec)) as world:
            await world.provide(Echo(), codec=other, name="w", options={"max_attempts": 1})
            pending = world.server.submit("Echo.Text", "x" * 3000, str, timeout=5)
            with pytest.raises((errors.CallLost, errors.CallTimeout)) as caught:
                await pending.wait()
            if codec == "gob":  # in which a message of JSON has a length that isn't there yet
                assert "the same codec" in str(caught.value)
            assert (await world.http("/nothing"))[0].startswith("HTTP/1.1 404")

    run_sockets(main)
    said = [record.getMessage() for record in caplog.records if record.name == "wirecore.pool"]
    assert any("w" in line and line.endswith("is there") for line in said)
    assert any(line.endswith("is gone") for line in said)
    assert any("no call" in line and "the same codec" in line for line in said) or codec == "json"
    assert "a provider was refused at '/nothing': 404, 404 page not found" in said


def test_a_call_of_a_pool_that_does_not_listen(run_sockets: Run) -> None:
    async def main() -> None:
        server = pool.PoolServer()
        server.bind("/pool")
        with pytest.raises(
            pool.NoProvider, match=r"this pool isn't listening, which serve\(\) does"
        ):
            await server.call("Echo.Text", "x", timeout=1)

    run_sockets(main)
