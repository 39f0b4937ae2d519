"""A pool calls its providers, and they it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.pool.world import Echo, OpenPool, Worker
from wirecore import errors
from wirecore_trio import pool


@dataclass
class Args:
    """Arith's argument, in Go's own example."""

    a: int
    b: int


@dataclass
class Quotient:
    """What Divide gives."""

    quo: int
    rem: int


class Arith:
    """Go's own example."""

    @pool.exported(inline=True)
    def multiply(self, args: Args) -> int:
        return args.a * args.b

    @pool.exported
    def divide(self, args: Args) -> Quotient:
        if not args.b:
            raise errors.RpcError("divide by zero")
        return Quotient(*divmod(args.a, args.b))


@pytest.mark.parametrize("codec", ["gob", "json"])
def test_a_call_through_the_pool(open_pool: OpenPool, run_sockets: Run, codec: str) -> None:
    async def main() -> None:
        async with open_pool(lambda server: server.bind("/pool", codec=codec)) as world:
            await world.provide(Arith(), codec=codec)
            call = world.server.call
            assert await call("Arith.Multiply", Args(7, 8), int) == 56
            assert await call("Arith.Divide", Args(17, 5), Quotient) == Quotient(3, 2)
            # Without types: in plain Python, and by either spelling.
            assert await call("Arith.multiply", Args(2, 3)) == 6
            with pytest.raises(errors.RpcError, match=r"^divide by zero$"):
                await call("Arith.Divide", Args(1, 0), Quotient)
            with pytest.raises(errors.RpcError, match=r"^rpc: can't find method Arith\.Add$"):
                await call("Arith.Add", Args(1, 0), int)
            with pytest.raises(errors.RpcError, match=r"^rpc: can't find service Other\.Add$"):
                await call("Other.Add", Args(1, 0), int)
            with pytest.raises(errors.InvalidValue):
                await call("Arith.Multiply", Args(7, 8), str)
            with pytest.raises(errors.LocalError):
                await call("Arith.Multiply", object())
            # None of these has harmed the connection.
            assert await call("Arith.Multiply", Args(1, 1), int) == 1
            assert len(world.server.providers) == 1
            assert world.server.providers[0].outstanding == 0

    run_sockets(main)


@pytest.mark.parametrize("codec", ["gob", "json"])
def test_call_backs(open_pool: OpenPool, run_sockets: Run, codec: str) -> None:
    async def main() -> None:
        def prepare(server: pool.PoolServer) -> None:
            server.serve_callbacks("/cb", Arith(), codec=codec)

        async with (
            open_pool(prepare) as world,
            world.provider().connect_callbacks(world.url("/cb"), codec=codec) as client,
        ):
            assert await client.call("Arith.Multiply", Args(7, 8), int) == 56
            pending = client.submit("Arith.Divide", Args(7, 2), Quotient)
            assert await pending.wait() == Quotient(3, 1)
            with pytest.raises(errors.RpcError, match=r"^divide by zero$"):
                await client.call("Arith.Divide", Args(1, 0), Quotient)

    run_sockets(main)


def test_answers_come_in_any_order(open_pool: OpenPool, run_sockets: Run) -> None:
    order: list[str] = []

    async def main() -> None:
        async with open_pool() as world:
            slow, fast = Worker("slow"), Echo()
            await world.provide(slow, fast)

            async def ask(method: str) -> None:
                order.append(await world.server.call(method, "job", str))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, "Worker.Work")
                await slow.wait_begun()
                await ask("Echo.Text")
                slow.go_on.set()

    run_sockets(main)
    assert order == ["job", "job by slow"]


def test_services_have_paths_of_their_own(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        def prepare(server: pool.PoolServer) -> None:
            server.bind("/")
            server.bind("/work", "Worker", "Other")

        async with open_pool(prepare) as world:
            await world.provide(Worker("at the default path"), Echo(), path="/elsewhere")
            await world.provide(Worker("at its own"), path="/work")
            assert await world.server.call("Worker.Who", "", str) == "at its own"
            assert await world.server.call("Echo.Text", "a", str) == "a"
            with pytest.raises(errors.RpcError, match=r"can't find service Other\.Text"):
                await world.server.call("Other.Text", "a", str)  # at /work, too

    run_sockets(main)


def test_a_call_without_a_path(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool(lambda server: server.bind("/work", "Worker")) as world:
            with pytest.raises(pool.NoDefaultPath, match=r"^No default path is bound"):
                await world.server.call("Echo.Text", "a")
            with pytest.raises(pool.NoDefaultPath):
                world.server.submit("Echo.Text", "a")

    run_sockets(main)


def test_paths_are_those_of_go(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        def prepare(server: pool.PoolServer) -> None:
            server.bind("/exact")
            server.bind("/below/", "Below")

        async with open_pool(prepare) as world:
            for path, status in (
                ("/exact", "101 Switching Protocols"),
                ("/exact?with=query", "101 Switching Protocols"),
                ("/exact/more", "404 Not Found"),
                ("/below/", "101 Switching Protocols"),
                ("/below/a/b", "101 Switching Protocols"),
                ("/below", "301 Moved Permanently"),
                ("/", "404 Not Found"),
            ):
                assert (await world.http(path))[0] == f"HTTP/1.1 {status}", path

    run_sockets(main)


@pytest.mark.parametrize(
    ("path", "told"),
    [("exact", "begins with /"), ("/a b", "printable"), ("/a?b", "without"), ("/taken", "already")],
)
def test_paths_that_cannot_be_bound(path: str, told: str) -> None:
    server = pool.PoolServer()
    server.bind("/taken")
    with pytest.raises(errors.InvalidOption, match=told):
        server.bind(path)
    with pytest.raises(errors.InvalidOption, match=told):
        server.serve_callbacks(path, Echo())


def test_a_call_that_is_submitted(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            worker = Worker()
            first = world.server.submit("Worker.Work", "first", str)
            second = world.server.submit("Worker.Work", "second", str)
            assert not first.done  # nobody is there
            await world.provide(worker)
            await worker.wait_begun(2)
            second.cancel()
            with pytest.raises(errors.InvalidState, match="cancelled"):
                await second.wait()
            worker.go_on.set()
            assert await first.wait() == "first by worker"
            assert await first.wait() == "first by worker"  # as often as one likes
            failed = world.server.submit("Worker.Nothing", "", str)
            with pytest.raises(errors.RpcError, match="can't find method"):
                await failed.wait()

    run_sockets(main)


def test_a_result_of_none(open_pool: OpenPool, run_sockets: Run) -> None:
    class Store:
        def __init__(self) -> None:
            self.kept: list[str] = []

        @pool.exported
        async def put(self, value: str) -> None:
            self.kept.append(value)

    async def main() -> None:
        def prepare(server: pool.PoolServer) -> None:
            server.bind("/pool", codec="json")
            server.bind("/gob", "Store")

        store = Store()
        async with open_pool(prepare) as world:
            await world.provide(store, codec="json")
            await world.provide(store, path="/gob")
            await world.server.call("Store.Put", "by gob")
        assert store.kept == ["by gob"]

    run_sockets(main)


def test_a_number_without_a_type_goes_back_as_it_came(
    open_pool: OpenPool, run_sockets: Run
) -> None:
    """JSON has floats up to 1e21 as plain digits, and longer integers: no type says which."""

    class Mirror:
        @pool.exported(inline=True)
        def show(self, value: Any) -> Any:
            return value

    async def main() -> None:
        async with open_pool(lambda server: server.bind("/pool", codec="json")) as world:
            await world.provide(Mirror(), codec="json")
            call = world.server.call
            assert await call("Mirror.Show", 1e20, float) == 1e20
            for number in (10**20, -(2**63) - 1, 2**64, 10**308):
                assert await call("Mirror.Show", number) == number
                assert await call("Mirror.Show", [{"n": number}]) == [{"n": number}]

    run_sockets(main)


def test_wrong_arguments(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async with open_pool() as world:
            call: Any = world.server.call
            for wrong in (
                {"method": 5},
                {"method": "A.B", "timeout": "5"},
                {"method": "A.B", "labels": "gpu"},
                {"method": "A.B", "provider": 5},
                {"method": "A.B", "key": 5},
                {"method": "A.B", "retry": True},
            ):
                with pytest.raises(TypeError):
                    await call(**wrong)
            with pytest.raises(errors.InvalidOption):
                await call("A.B", timeout=-1)

    run_sockets(main)
