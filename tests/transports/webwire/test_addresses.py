"""A server on several addresses, or on one after another, and the store that they share."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.logins import login
from tests.transports.webwire.shared_store import Behind, FakeSharedStore
from tests.transports.webwire.world import OpenServer, World, settle
from wirecore._backend import Backend
from wirecore.errors import InvalidState
from wirecore_trio import webwire
from wirecore_trio.webwire import Payload


class Addresses:
    """One *server*, served on any number of addresses."""

    def __init__(self, server: webwire.Server, nursery: trio.Nursery, backend: Backend) -> None:
        self.server = server
        self._nursery = nursery
        self._backend = backend

    async def open(self) -> World:
        """Serve on one more; cancelling its nursery ends it."""
        world: World = await self._nursery.start(self._serve)
        return world

    async def _serve(self, *, task_status: trio.TaskStatus[World]) -> None:
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(self.server.serve, "127.0.0.1", 0)
            task_status.started(World(self.server, listening.port, nursery, self._backend))


def test_one_address_after_another_may_end_and_the_store_is_heard_still(
    backend: Backend, run_sockets: Run
) -> None:
    async def main() -> None:
        behind = Behind()
        server = webwire.Server(store=FakeSharedStore(behind), backend=backend)
        login()(server)
        other = webwire.Server(store=FakeSharedStore(behind), backend=backend)
        async with trio.open_nursery() as nursery:
            addresses = Addresses(server, nursery, backend)
            first, second, third = [await addresses.open() for _ in range(3)]
            await nursery.start(other.serve, "127.0.0.1", 0)
            async with third.connect(autoconnect=False) as client:
                for address in (first, second):
                    address.nursery.cancel_scope.cancel()
                    await settle()
                    await client.request("login", "alice")
                    session = client.session
                    assert session is not None
                    await other.close_session(session.key)
                    await settle()
                    assert client.session is None
            nursery.cancel_scope.cancel()

    run_sockets(main)


def test_a_store_runs_once_however_many_addresses_come_and_go(
    backend: Backend, run_sockets: Run
) -> None:
    class Counting(FakeSharedStore):
        """It counts its runs, and how many are under way."""

        runs = now = 0

        async def run(self, *arguments: Any, **keywords: Any) -> None:
            """Run."""
            self.runs += 1
            self.now += 1
            try:
                await super().run(*arguments, **keywords)
            finally:
                self.now -= 1

    async def main() -> None:
        store = Counting(Behind())
        server = webwire.Server(store=store, backend=backend)
        async with trio.open_nursery() as nursery:
            addresses = Addresses(server, nursery, backend)
            first, second = await addresses.open(), await addresses.open()
            store.broken["subscribe"] = OSError("out of reach")
            first.nursery.cancel_scope.cancel()
            await settle()
            third = await addresses.open()
            second.nursery.cancel_scope.cancel()
            await settle()
            assert (store.runs, store.now) == (1, 1)
            third.nursery.cancel_scope.cancel()
            await server.wait_closed()
            assert (store.runs, store.now) == (1, 0)

    run_sockets(main)


def test_a_store_that_cant_go_on_ends_all_addresses(backend: Backend, run_sockets: Run) -> None:
    class Failing(FakeSharedStore):
        """It runs until it is told to fail."""

        fail = trio.Event()

        async def run(  # type: ignore[override]  # it takes whatever it is given
            self, *_: Any, task_status: Any, **__: Any
        ) -> None:
            """Run, and fail."""
            task_status.started()
            await self.fail.wait()
            raise OSError("a defect")

    async def main() -> None:
        store = Failing(Behind())
        server = webwire.Server(store=store, backend=backend)
        errors: list[Exception] = []

        async def serve(*, task_status: trio.TaskStatus[Any]) -> None:
            try:
                await server.serve("127.0.0.1", 0, task_status=task_status)
            except OSError as error:
                errors.append(error)

        async with trio.open_nursery() as nursery:
            for _ in range(2):
                await nursery.start(serve)
            store.fail.set()
        assert [str(error) for error in errors] == ["a defect"] * 2
        await server.wait_closed()

    run_sockets(main)


def test_a_server_that_was_cancelled_serves_again(backend: Backend, run_sockets: Run) -> None:
    async def main() -> None:
        server = webwire.Server(store=FakeSharedStore(Behind()), backend=backend)
        login()(server)
        async with trio.open_nursery() as nursery:
            addresses = Addresses(server, nursery, backend)
            for _ in range(2):
                world = await addresses.open()
                with trio.move_on_after(1) as waited:
                    await server.wait_closed()
                assert waited.cancelled_caught
                async with world.connect() as client:
                    await client.request("login", "alice")
                world.nursery.cancel_scope.cancel()
                await server.wait_closed()

    run_sockets(main)


class Away(FakeSharedStore):
    """It can't be reached."""

    async def run(self, *_: Any, **__: Any) -> None:
        """Never connected."""
        await trio.sleep_forever()


def test_a_server_whose_store_is_away_is_shut_down_at_once(
    backend: Backend, run_sockets: Run
) -> None:
    async def main() -> None:
        server = webwire.Server(store=Away(Behind()), backend=backend)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve, "127.0.0.1", 0)

            async def start() -> None:
                with pytest.raises(InvalidState, match="before its store was reached"):
                    await nursery.start(server.serve, "127.0.0.1", 0)

            nursery.start_soon(start)
            await settle()
            began = trio.current_time()
            await server.shutdown()
            assert trio.current_time() - began < 1

    run_sockets(main)


# --- what other servers say -----------------------------------------------------------------------


def members(server: webwire.Server) -> None:
    """All who connect are in the room."""

    @server.on_client_connected
    async def join(connection: webwire.Connection) -> None:
        await server.room("all").join(connection)


@pytest.mark.parametrize(
    ("topic", "message", "logged"),
    [
        ("sessions closed", b"\xff", "no session's key"),
        ("room all", b"", "no signal"),
        ("room all", b"\x3f\x05x", "no signal"),
        ("room all", b"\x7f" + bytes(8) + b"\x00x", "no signal"),
        ("room all", b"\x3f\x00" + bytes(8191), "buffer_size"),
    ],
)
def test_what_another_server_says_and_makes_no_sense_is_dropped(
    open_server: OpenServer,
    run_sockets: Run,
    caplog: pytest.LogCaptureFixture,
    topic: str,
    message: bytes,
    logged: str,
) -> None:
    async def main() -> None:
        store = FakeSharedStore(Behind())
        async with open_server(members, store=store) as world, world.raw() as raw:
            await settle()
            await store.publish(topic, message)
            await settle()
            await world.server.room("all").send("x", b"y")
            assert await raw.answer() == (63, 0, "x", b"y")

    run_sockets(main)
    [record] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert logged in record.getMessage()


def test_a_room_of_many_lets_others_run_and_keeps_the_order_of_sending(
    backend: Backend, run_sockets: Run
) -> None:
    """With more members than are sent to in a row, of two senders none overtakes the other."""

    class Member:
        """As much of a connection as a room needs."""

        connected = True

        def __init__(self) -> None:
            self.got: list[bytes] = []

        def _send_shared(self, message: bytes, encoded: Any) -> bool:
            """Take it."""
            self.got.append(message)
            return True

    async def main() -> None:
        server = webwire.Server(backend=backend)
        room = server.room("all")
        crowd: list[Any] = [Member() for _ in range(600)]
        for member in crowd:
            await room.join(member)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            async with trio.open_nursery() as senders:
                for name in "abc":
                    senders.start_soon(room.send, name, Payload(b"x"))
            nursery.cancel_scope.cancel()
        orders = {tuple(member.got) for member in crowd}
        assert len(orders) == 1
        assert len(orders.pop()) == 3
        assert turns > 6

    run_sockets(main)
