"""One connection is closed, from wherever a program may do so, and its end is told."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.logins import login
from tests.transports.webwire.shared_store import Behind, FakeSharedStore
from tests.transports.webwire.world import OpenServer, World, settle
from wirecore.constants import Opcode
from wirecore.events import Close
from wirecore_trio import webwire
from wirecore_trio.webwire import Payload


def closing(server: webwire.Server) -> None:
    """Handlers of every kind that close their connection."""

    def close(request: webwire.Request[Payload]) -> str:
        request.connection.close()
        return "closed"

    @server.request("task")
    async def task(request: webwire.Request[Payload]) -> str:
        await trio.lowlevel.checkpoint()
        return close(request)

    server.request("thread")(close)
    server.request("inline", inline=True)(close)


@pytest.mark.parametrize("handler", ["task", "thread", "inline"])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_a_handler_of_any_kind_closes_its_connection_and_its_reply_goes_first(
    open_server: OpenServer, run_real: Run, handler: str, concurrency: int
) -> None:
    async def main() -> None:
        async with open_server(closing, concurrency=concurrency) as world, world.raw() as raw:
            await raw.request(1, handler)
            assert await raw.answer() == (192, 1, "", b"closed")
            assert await raw.closing() == Close(1000, "")
            with trio.fail_after(5):
                await world.server.shutdown()

    run_real(main)


def test_an_inline_handler_that_had_to_wait_closes_after_its_reply(
    open_server: OpenServer, run_sockets: Run
) -> None:
    go = trio.Event()

    def prepare(server: webwire.Server) -> None:
        closing(server)

        @server.request("first")
        async def first(request: webwire.Request[Payload]) -> str:
            await go.wait()
            return "first"

    async def main() -> None:
        async with open_server(prepare) as world, world.raw() as raw:
            await raw.request(1, "first")
            await raw.request(2, "inline")
            await raw.request(3, "inline")
            await settle()
            go.set()
            assert await raw.answer() == (192, 1, "", b"first")
            assert await raw.answer() == (192, 2, "", b"closed")
            assert await raw.closing() == Close(1000, "")

    run_sockets(main)


def test_a_close_while_its_address_is_drained_takes_effect_at_once(
    open_server: OpenServer, run_sockets: Run
) -> None:
    ends = Ends()

    async def main() -> None:
        async with open_server(ends) as world, world.raw() as raw:
            await raw.request(1, "hang")
            await settle()
            connection = world.only()
            connection.drain()
            assert connection.connected
            connection.close()
            assert not connection.connected
            await raw.request(2, "hang")
            await raw.nothing_comes()

    run_sockets(main)


def test_a_drain_whose_grace_is_over_cancels_handlers(run_sockets: Run) -> None:
    ends = Ends()

    async def main() -> None:
        server = webwire.Server()
        ends(server)
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            url = f"ws://127.0.0.1:{listening.port}/"
            async with webwire.connect(url, autoconnect=False) as client:

                async def ask() -> None:
                    with pytest.raises(webwire.Disconnected):
                        await client.request("hang")

                nursery.start_soon(ask)
                await settle()
                began = trio.current_time()
                await listening.drain(1)
                assert trio.current_time() - began == pytest.approx(1, abs=0.5)
                assert ends.log == ["cancelled", "being told", "told"]

    run_sockets(main)


def test_what_comes_behind_a_close_in_the_same_read_is_dropped(
    open_server: OpenServer, run_sockets: Run
) -> None:
    seen: list[bytes] = []

    def prepare(server: webwire.Server) -> None:
        @server.signal(inline=True)
        def note(signal: webwire.Signal[Payload]) -> None:
            seen.append(signal.data)
            if signal.data == b"2":
                signal.connection.close()

    async def main() -> None:
        async with open_server(prepare) as world, world.raw() as raw:
            signals = [b"\x3f\x00" + str(number).encode() for number in range(5)]
            await raw.send(*(raw.frame(Opcode.BINARY, message) for message in signals))
            assert await raw.closing() == Close(1000, "")
            assert seen == [b"0", b"1", b"2"]

    run_sockets(main)


def test_a_handler_closes_its_connection_after_another_address_was_given_up(
    open_server: OpenServer, run_sockets: Run
) -> None:
    go = trio.Event()

    def prepare(server: webwire.Server) -> None:
        @server.request("close")
        async def close(request: webwire.Request[Payload]) -> str:
            request.connection.close()
            await go.wait()
            return "closed"

    async def main() -> None:
        async with open_server(prepare) as world, trio.open_nursery() as nursery:
            second = await nursery.start(world.server.serve, "127.0.0.1", 0)
            here = World(world.server, second.port, nursery, world.backend)
            async with here.raw() as raw:
                await raw.request(1, "close")
                await settle()
                world.nursery.cancel_scope.cancel()  # the first address
                await settle()
                go.set()
                assert await raw.answer() == (192, 1, "", b"closed")
                assert await raw.closing() == Close(1000, "")
                await world.server.shutdown()

    run_sockets(main)


def test_an_address_that_is_drained_closes_its_connections_when_they_have_nothing_to_do(
    open_server: OpenServer, run_sockets: Run
) -> None:
    go = trio.Event()

    def prepare(server: webwire.Server) -> None:
        @server.request("wait")
        async def wait(request: webwire.Request[Payload]) -> str:
            await go.wait()
            return "done"

    async def main() -> None:
        server = webwire.Server()
        prepare(server)
        drained = trio.Event()
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            async with open_server() as other:
                world = World(server, listening.port, nursery, other.backend)
                async with world.raw() as idle, world.raw() as busy:
                    await busy.request(1, "wait")
                    await settle()

                    async def drain() -> None:
                        await listening.drain(None)
                        drained.set()

                    nursery.start_soon(drain)
                    assert await idle.closing() == Close(1001, "")
                    await busy.request(2, "wait")
                    assert await busy.answer() == (1, 2, "", b"")  # it shuts down
                    assert not drained.is_set()
                    go.set()
                    assert await busy.answer() == (192, 1, "", b"done")
                    assert await busy.closing() == Close(1001, "")
                    await drained.wait()
                    assert not server.connections

    run_sockets(main)


# --- the end is told, whatever ends it ------------------------------------------------------------


class Ends:
    """A program that takes its time to note who has gone."""

    def __init__(self, pause: float = 0.01) -> None:
        self.pause = pause
        self.log: list[str] = []

    def __call__(self, server: webwire.Server) -> None:
        """Add its handlers and hooks to *server*."""
        login()(server)

        @server.request("hang")
        async def hang(request: webwire.Request[Payload]) -> None:
            try:
                await trio.sleep_forever()
            finally:
                self.log.append("cancelled")

        @server.on_client_disconnected
        async def ended(connection: webwire.Connection, reason: Any) -> None:
            self.log.append("being told")
            await trio.sleep(self.pause)
            self.log.append("told")


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("way", ["grace", "cancelled"])
def test_who_is_cancelled_with_its_server_leaves_session_and_program_in_order(
    open_server: OpenServer, run_sockets: Run, concurrency: int, way: str
) -> None:
    behind, ends = Behind(), Ends()

    async def main() -> None:
        store = FakeSharedStore(behind)
        async with (
            open_server(ends, store=store, concurrency=concurrency) as world,
            world.connect(autoconnect=False) as client,
            trio.open_nursery() as nursery,
        ):
            await client.request("login", "alice")
            [users] = behind.users.values()
            assert len(users) == 1
            connection = world.only()

            async def ask() -> None:
                with pytest.raises(webwire.Disconnected):
                    await client.request("hang")

            nursery.start_soon(ask)
            await settle()
            if way == "grace":
                await world.server.shutdown(grace=1)
            else:
                world.nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await world.server.wait_closed()
            assert ends.log == ["cancelled", "being told", "told"]
            assert behind.users == {}
            assert world.server.active_sessions == 0
            with trio.CancelScope(shield=True):
                await connection.wait_closed()

    run_sockets(main)


def test_a_hook_that_never_ends_keeps_no_server_from_ending(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    ends = Ends(pause=1000)

    async def main() -> None:
        async with open_server(partial(ends)) as world, world.raw():
            began = trio.current_time()
            await world.server.shutdown(grace=1)
            assert trio.current_time() - began == pytest.approx(6, abs=1)
            assert ends.log == ["being told"]

    run_sockets(main)
    assert "not all could be told of its end in time" in caplog.text


def test_a_handler_in_a_thread_uses_its_connection_through_trio(
    open_server: OpenServer, run_real: Run
) -> None:
    def prepare(server: webwire.Server) -> None:
        @server.request("work")
        def work(request: webwire.Request[Payload]) -> str:
            trio.from_thread.run(request.connection.create_session, {"user": "alice"})
            trio.from_thread.run(request.connection.signal, "progress", "half")
            return "done"

    async def main() -> None:
        async with (
            open_server(prepare, store=FakeSharedStore(Behind())) as world,
            world.raw() as raw,
        ):
            await raw.request(1, "work")
            assert (await raw.answer())[0] == 21  # a session
            assert await raw.answer() == (64, 0, "progress", b"half")
            assert await raw.answer() == (192, 1, "", b"done")

    run_real(main)
