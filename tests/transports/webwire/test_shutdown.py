"""How a server stops, and how one connection does: in good order, and within the grace."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.test_concurrency import Gates, ask
from tests.transports.webwire.world import OpenServer, World, settle
from wirecore.errors import InvalidOption, InvalidState
from wirecore.events import Close
from wirecore_trio import webwire
from wirecore_trio.webwire import Payload
from wirecore_trio.webwire.stores import MemoryStore

SHUTDOWN = 1
OPTIONS = b"OPTIONS / HTTP/1.1\r\nHost: example.org\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"


async def shutting_down(world: World, nursery: trio.Nursery, **grace: float) -> trio.Event:
    """A shutdown that has begun; the event is set when it has returned."""
    done = trio.Event()

    async def shut_down() -> None:
        await world.server.shutdown(**grace)
        done.set()

    nursery.start_soon(shut_down)
    await settle()
    return done


@pytest.mark.parametrize("concurrency", [1, 3])
def test_what_runs_finishes_and_what_comes_is_refused(
    open_server: OpenServer, run_sockets: Run, concurrency: int
) -> None:
    gates = Gates()

    async def main() -> None:
        async with (
            open_server(gates, concurrency=concurrency, store=MemoryStore()) as world,
            trio.open_nursery() as nursery,
            world.raw() as raw,
        ):
            await ask(raw, "a", "queued!", "queued")
            done = await shutting_down(world, nursery)
            refused = []
            for request_id in range(10, 20):
                await raw.request(request_id, "new")
                refused.append(request_id)
            await raw.restore(20, "key")
            await raw.close_session(21)
            await raw.signal("new", b"dropped!")
            await raw.heartbeat()
            if concurrency == 1:
                assert await raw.answer() == (SHUTDOWN, 2, "", b"")  # it hadn't begun
            for request_id in [*refused, 20, 21]:
                assert await raw.answer() == (SHUTDOWN, request_id, "", b"")
            for http in (GET, OPTIONS):
                head, body = await world.http(http)
                assert head.startswith(b"HTTP/1.1 503 ")
                assert b"Content-Type: text/plain; charset=utf-8" in head
                assert b"X-Content-Type-Options: nosniff" in head
                assert body == b"server shutting down\n"
            assert not done.is_set()
            assert world.only().connected
            await gates.open("a", "queued!", "queued")
            assert await raw.answer() == (191, 0, "", b"a")
            if concurrency == 3:
                assert await raw.answer() == (191, 2, "", b"queued")
            assert await raw.closing() == Close(1001, "")
            await done.wait()
            assert "+dropped!" not in gates.log
            assert ("+queued!" in gates.log) == (concurrency == 3)
            assert world.server.connections == []
            with pytest.raises(OSError, match="all attempts to connect"):
                await world.http(GET)

    run_sockets(main)


def test_clients_learn_that_the_server_shuts_down(
    open_server: OpenServer, run_sockets: Run
) -> None:
    gates = Gates()

    async def main() -> None:
        async with (
            open_server(gates, store=MemoryStore(), concurrency=-1) as world,
            trio.open_nursery() as nursery,
            world.connect(autoconnect=False) as client,
        ):
            nursery.start_soon(client.request, "", "a")
            await settle()
            done = await shutting_down(world, nursery)
            for use in (client.request("x"), client.restore_session("key")):
                with pytest.raises(webwire.ServerShutdown):
                    await use
            await gates.open("a")
            await done.wait()
            await settle()
            assert client.status is webwire.Status.DISCONNECTED
            await world.server.shutdown()
            await world.server.wait_closed()
            with pytest.raises(InvalidState, match="was shut down"):
                await world.server.serve("127.0.0.1", 0)

    run_sockets(main)


def test_serve_returns_after_a_shutdown_and_hooks_are_through(
    open_server: OpenServer, run_sockets: Run
) -> None:
    left: list[Any] = []

    def prepare(server: webwire.Server) -> None:
        @server.on_client_disconnected
        async def note(connection: webwire.Connection, reason: Any) -> None:
            await trio.sleep(3)
            left.append(reason)

    async def main() -> None:
        server = webwire.Server()
        prepare(server)
        returned = trio.Event()

        async def serve(task_status: trio.TaskStatus[Any]) -> None:
            await server.serve("127.0.0.1", 0, task_status=task_status)
            returned.set()

        async with trio.open_nursery() as nursery:
            listening = await nursery.start(serve)
            url = f"ws://127.0.0.1:{listening.port}/"
            async with webwire.connect(url, autoconnect=False):
                await server.shutdown()
                assert left == [None]
        assert returned.is_set()

    run_sockets(main)


@pytest.mark.parametrize("handler", ["task", "signal"])
def test_after_the_grace_what_is_left_is_cancelled(
    open_server: OpenServer, run_sockets: Run, handler: str
) -> None:
    log: list[str] = []

    def prepare(server: webwire.Server) -> None:
        async def stay() -> None:
            try:
                await trio.sleep_forever()
            finally:
                log.append("cancelled")

        server.on_client_disconnected(lambda connection, reason: log.append("disconnected"))

        @server.request("task")
        async def task(request: webwire.Request[Payload]) -> None:
            await stay()

        @server.signal("signal")
        async def signal(signal: webwire.Signal[Payload]) -> None:
            await stay()

    async def main() -> None:
        async with (
            open_server(prepare) as world,
            trio.open_nursery() as nursery,
            world.raw() as raw,
        ):
            if handler == "task":
                await raw.request(1, "task")
            else:
                await raw.signal("signal", b"x")
            await settle()
            began = trio.current_time()
            done = await shutting_down(world, nursery, grace=5)
            await done.wait()
            assert trio.current_time() - began == pytest.approx(5, abs=0.5)
            assert (await raw.next()) == Close(1001, "")
            assert log == ["cancelled", "disconnected"]

    run_sockets(main)


@pytest.mark.parametrize("grace", [-1, float("nan")])
def test_a_grace_that_makes_no_sense_stops_nothing(
    open_server: OpenServer, run_sockets: Run, grace: float
) -> None:
    async def main() -> None:
        async with open_server(Gates()) as world:
            with pytest.raises(InvalidOption, match="grace"):
                await world.server.shutdown(grace)
            assert not world.server.stopping

    run_sockets(main)


def test_a_shutdown_that_nobody_waits_for_goes_on_with_the_next(
    open_server: OpenServer, run_sockets: Run
) -> None:
    gates = Gates()

    async def main() -> None:
        async with open_server(gates) as world, world.raw() as raw:
            await ask(raw, "a")
            with trio.move_on_after(5) as scope:
                await world.server.shutdown()
            assert scope.cancelled_caught
            assert world.server.stopping
            await raw.request(5, "new")
            assert (await raw.answer())[:2] == (SHUTDOWN, 5)
            await gates.open("a")
            async with trio.open_nursery() as nursery:
                done = await shutting_down(world, nursery)
                assert (await raw.answer())[:2] == (191, 0)
                await raw.closing()
                await done.wait()

    run_sockets(main)


def test_a_shutdown_that_comes_while_an_address_is_bound_prevents_it(run_sockets: Run) -> None:
    async def main() -> None:
        server = webwire.Server()
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                with pytest.raises(InvalidState, match="was shut down"):
                    await server.serve("localhost", 0)

            nursery.start_soon(serve)
            await trio.lowlevel.checkpoint()
            await server.shutdown()

    run_sockets(main)


def test_clients_that_dont_read_their_refusals_dont_stop_the_shutdown(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """Requests beyond what may wait to be sent: each of them would be answered."""
    gates = Gates()
    bounds = {"max_queued_bytes": 5000, "write_timeout": 5}

    async def main() -> None:
        async with open_server(gates, **bounds) as world, world.raw() as raw:
            await ask(raw, "a")
            for request_id in range(900):  # as many as the queue takes
                await raw.request(request_id, "queued")
            await settle()
            connection = world.only()
            connection._pump._writing = True  # nothing leaves any more
            async with trio.open_nursery() as nursery:
                done = await shutting_down(world, nursery)
                connection._pump._writing = False
                await gates.open("a")
                await trio.sleep(10)
                assert done.is_set()

    run_sockets(main)


def test_where_serve_is_cancelled_nothing_that_waits_begins(run_sockets: Run) -> None:
    begun: list[str] = []

    async def wait(request: webwire.Request[Payload]) -> None:
        begun.append(request.text)
        await trio.sleep_forever()

    async def main() -> None:
        server = webwire.Server()
        server.request("wait")(wait)
        async with trio.open_nursery() as serving:
            listening = await serving.start(server.serve, "127.0.0.1", 0)
            url = f"ws://127.0.0.1:{listening.port}/"
            async with webwire.connect(url, autoconnect=False, wait=True) as client:
                pending = [client.submit("wait", str(number)) for number in range(20)]
                await trio.sleep(1)
                serving.cancel_scope.cancel()
                for each in pending:
                    with trio.CancelScope(shield=True), pytest.raises(webwire.Disconnected) as lost:
                        await each.wait()
                    assert lost.value.execution == "maybe_executed"
        assert begun == ["0"]

    run_sockets(main)


# --- one connection -----------------------------------------------------------------------------


def test_a_connection_that_is_closed_finishes_its_handlers_and_takes_nothing_more(
    open_server: OpenServer, run_sockets: Run
) -> None:
    gates = Gates()

    async def main() -> None:
        async with open_server(gates, concurrency=2) as world, world.raw() as raw:
            await ask(raw, "a", "b!", "queued")
            connection = world.only()
            connection.close()
            connection.close()
            assert not connection.connected
            assert repr(connection).endswith(", disconnected>")
            with pytest.raises(webwire.Disconnected):
                await connection.signal("x")
            await raw.request(7, "new")
            await raw.restore(8, "key")
            await raw.signal("", b"new!")
            await raw.nothing_comes()
            await gates.open("b!", "a")
            assert await raw.answer() == (191, 0, "", b"a")
            assert (await raw.closing()).code == 1000
            await connection.wait_closed()
            connection.close()
            assert gates.log[2:] == ["-b!", "-a"]

    run_sockets(main)


@pytest.mark.parametrize("where", ["handler", "inline", "greeting", "farewell"])
def test_a_connection_may_be_closed_in_any_hook(
    open_server: OpenServer, run_sockets: Run, where: str
) -> None:
    ends: list[Any] = []

    def prepare(server: webwire.Server) -> None:
        @server.request("handler")
        async def handler(request: webwire.Request[Payload]) -> str:
            request.connection.close()
            await trio.sleep(1)
            return "it still goes out"

        @server.request("inline", inline=True)
        def inline(request: webwire.Request[Payload]) -> str:
            request.connection.close()
            return "it still goes out"

        @server.on_client_connected
        def greet(connection: webwire.Connection) -> None:
            if where == "greeting":
                connection.close()

        @server.on_client_disconnected
        def say_farewell(connection: webwire.Connection, reason: Any) -> None:
            connection.close()
            ends.append(reason)

    async def main() -> None:
        async with open_server(prepare) as world, world.raw() as raw:
            if where in ("handler", "inline"):
                await raw.request(1, where)
                assert (await raw.answer())[3] == b"it still goes out"
            if where == "farewell":
                await raw.lose()
            else:
                await raw.closing()
            await settle()
            assert world.server.connections == []
            assert len(ends) == 1
            assert (ends[0] is None) == (where != "farewell")

    run_sockets(main)


def test_a_client_that_doesnt_answer_the_close_is_left(
    open_server: OpenServer, run_sockets: Run
) -> None:
    async def main() -> None:
        async with open_server(close_timeout=3) as world, world.raw() as raw:
            connection = world.only()
            began = trio.current_time()
            connection.close()
            await connection.wait_closed()
            assert trio.current_time() - began == pytest.approx(3, abs=0.3)
            assert await raw.next() == Close(1000, "")

    run_sockets(main)


@pytest.mark.parametrize("end", ["shutdown", "close"])
def test_the_end_of_a_lost_connection_is_told_whatever_comes_meanwhile(
    open_server: OpenServer, run_sockets: Run, end: str
) -> None:
    """Its last handler runs still, and the hook waits for it."""
    gates = Gates()
    ended: list[Any] = []

    def prepare(server: webwire.Server) -> None:
        gates(server)

        @server.on_client_connected
        async def greet(connection: webwire.Connection) -> None:
            await connection.create_session()
            await server.room("r").join(connection)

        server.on_client_disconnected(lambda connection, reason: ended.append(reason))

    async def main() -> None:
        async with (
            open_server(prepare, store=MemoryStore()) as world,
            world.raw() as raw,
            trio.open_nursery() as nursery,
        ):
            await ask(raw, "a", "queued")
            connection = world.only()
            await raw.lose()
            await settle()
            if end == "shutdown":
                await shutting_down(world, nursery)
            else:
                connection.close()
            await settle()
            await gates.open("a")
            await connection.wait_closed()
            assert len(ended) == 1
            assert world.server.active_sessions == 0
            assert world.server.room("r").members == []
            assert gates.log[:2] == ["+a", "-a"]

    run_sockets(main)


def test_handlers_are_told_to_stop_where_the_program_wants_it(
    open_server: OpenServer, run_sockets: Run
) -> None:
    log: list[str] = []

    def prepare(server: webwire.Server) -> None:
        @server.request()
        async def stay(request: webwire.Request[Payload]) -> None:
            log.append("begun")
            with trio.move_on_after(10) as scope:
                try:
                    await trio.sleep_forever()
                except trio.Cancelled:
                    log.append("cancelled")
                    raise
            assert scope.cancelled_caught
            log.append("finished")

        server.on_client_disconnected(lambda connection, reason: log.append("disconnected"))

    async def main() -> None:
        for on_disconnect in ("finish", "cancel"):
            async with open_server(prepare, on_disconnect=on_disconnect) as world:
                async with world.raw() as raw:
                    await raw.request(1, "x")
                    await raw.request(2, "x")
                    await settle()
                    connection = world.only()
                await connection.wait_closed()
            if on_disconnect == "finish":
                assert log == ["begun", "cancelled", "finished"] * 2 + ["disconnected"]
                log.clear()
        assert log == ["begun", "cancelled", "disconnected"]

    run_sockets(main)
