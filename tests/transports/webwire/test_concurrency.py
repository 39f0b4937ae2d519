"""How many handlers of a connection run at once, in which order, and when reading stops."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.world import OpenServer, Raw, settle
from wirecore_trio import webwire
from wirecore_trio.webwire import Payload
from wirecore_trio.webwire.stores import MemoryStore

Log = list[str]

NOW = datetime.now(UTC)


class Gates:
    """Handlers that note their beginning and end, and go on when they are told to."""

    def __init__(self) -> None:
        self.log: Log = []
        self._open: dict[str, trio.Event] = {}

    def __call__(self, server: webwire.Server) -> None:
        async def handle(message: Any) -> bytes | None:
            text = message.text
            self.log.append(f"+{text}")
            await self._gate(text).wait()
            self.log.append(f"-{text}")
            return message.data if isinstance(message, webwire.Request) else None

        server.request()(handle)
        server.signal()(handle)

    def _gate(self, name: str) -> trio.Event:
        return self._open.setdefault(name, trio.Event())

    async def open(self, *names: str) -> None:
        """Let these handlers go on, one after another."""
        for name in names:
            self._gate(name).set()
            await settle()


async def ask(raw: Raw, *names: str) -> None:
    """Request for each; those with an exclamation mark are signals."""
    for number, name in enumerate(names):
        if name.endswith("!"):
            await raw.signal("", name.encode())
        else:
            await raw.request(number, "", name.encode())
    await settle()


@pytest.mark.parametrize("concurrency", [0, 1])
def test_one_after_another_in_the_order_of_arrival(
    open_server: OpenServer, run_sockets: Run, concurrency: int
) -> None:
    gates = Gates()

    async def main() -> None:
        async with open_server(gates, concurrency=concurrency) as world, world.raw() as raw:
            await ask(raw, "a", "b!", "c")
            assert gates.log == ["+a"]
            await gates.open("c", "b!", "a")
            assert gates.log == ["+a", "-a", "+b!", "-b!", "+c", "-c"]
            assert [(await raw.answer())[3] for _ in range(2)] == [b"a", b"c"]

    run_sockets(main)


def test_n_at_once_and_answers_in_the_order_of_their_ends(
    open_server: OpenServer, run_sockets: Run
) -> None:
    gates = Gates()

    async def main() -> None:
        async with open_server(gates, concurrency=2) as world, world.raw() as raw:
            await ask(raw, "a", "b!", "c", "d")
            assert sorted(gates.log) == ["+a", "+b!"]
            await gates.open("b!")
            assert gates.log[2:] == ["-b!", "+c"]
            await gates.open("c", "d", "a")
            assert [(await raw.answer())[3] for _ in range(3)] == [b"c", b"d", b"a"]

    run_sockets(main)


def test_any_number_at_once(open_server: OpenServer, run_sockets: Run) -> None:
    gates = Gates()
    names = [str(number) for number in range(100)]

    async def main() -> None:
        async with open_server(gates, concurrency=-1) as world, world.raw() as raw:
            await ask(raw, *names)
            assert sorted(gates.log) == sorted(f"+{name}" for name in names)
            await gates.open(*names[-3:])
            assert [(await raw.answer())[3] for _ in range(3)] == [b"97", b"98", b"99"]

    run_sockets(main)


def test_before_upgrade_gives_a_connection_its_own_limit(
    open_server: OpenServer, run_sockets: Run
) -> None:
    gates = Gates()

    def prepare(server: webwire.Server) -> None:
        gates(server)

        @server.before_upgrade
        async def limit(request: webwire.HttpRequest) -> webwire.Upgrade:
            return webwire.Upgrade(concurrency=int(request.header("x-limit") or b"1"))

    async def main() -> None:
        async with (
            open_server(prepare, concurrency=-1) as world,
            world.raw(b"X-Limit: 2\r\n") as two,
            world.raw() as one,
        ):
            await ask(two, "a", "b", "c")
            await ask(one, "d", "e")
            assert sorted(gates.log) == ["+a", "+b", "+d"]

    run_sockets(main)


# --- the queue ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [{"max_queue": 4}, {"max_queue_bytes": 4 * 6000}])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_where_too_much_waits_reading_stops_and_goes_on(
    open_server: OpenServer, run_sockets: Run, bounds: dict[str, int], concurrency: int
) -> None:
    """What the bounds don't take stays with the client: some 20 MB here."""
    handled: list[int] = []
    gate = trio.Event()

    def prepare(server: webwire.Server) -> None:
        @server.signal()
        async def handle(signal: webwire.Signal[Payload]) -> None:
            await gate.wait()
            handled.append(int(signal.data[:8]))

    async def main() -> None:
        async with (
            open_server(prepare, concurrency=concurrency, **bounds) as world,
            world.raw() as raw,
        ):
            sent = 0

            async def send() -> None:
                nonlocal sent
                for number in range(3000):
                    await raw.signal("", b"%08d" % number + bytes(6000))
                    sent += 1

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                await trio.sleep(1)
                assert sent < 2900
                connection = world.only()
                assert connection._pump.paused is not None
                # One read may bring more than there is room for.
                assert len(connection._handling._waiting) < 100
                await trio.sleep(200)  # the client's silence is our own doing
                assert connection.connected
                gate.set()
            await settle()
            assert (handled if concurrency == 1 else sorted(handled)) == list(range(3000))
            assert connection._pump.paused is None

    run_sockets(main)


def test_behind_a_handler_a_close_and_heartbeats_are_seen(
    open_server: OpenServer, run_sockets: Run
) -> None:
    """The original reads nothing while a handler runs."""
    gates = Gates()
    ended: list[Any] = []

    def prepare(server: webwire.Server) -> None:
        gates(server)
        server.on_client_disconnected(lambda connection, reason: ended.append(reason))

    async def main() -> None:
        async with open_server(prepare, read_timeout=2) as world, world.raw() as raw:
            await ask(raw, "a", "b")
            for _ in range(5):
                await trio.sleep(1)
                await raw.heartbeat()
            connection = world.only()
            await raw.close(1001)
            await settle()
            assert not connection.connected
            assert ended == []  # behind the handlers
            await gates.open("a", "b")
            assert gates.log == ["+a", "-a", "+b", "-b"]
            [reason] = ended
            assert (reason.code, reason.clean) == (1001, True)
            await connection.wait_closed()

    run_sockets(main)


def test_the_clients_silence_doesnt_count_while_one_handler_keeps_it_waiting(
    open_server: OpenServer, run_sockets: Run
) -> None:
    gates = Gates()

    async def main() -> None:
        async with open_server(gates, read_timeout=5, max_queue=2) as world, world.raw() as raw:
            names = ["a", "b", "c", "d", "e"]
            await ask(raw, *names)
            for name in names:
                await trio.sleep(20)
                await gates.open(name)
            assert [(await raw.answer())[3].decode() for _ in names] == names
            await trio.sleep(4)
            assert world.only().connected
            await trio.sleep(2)
            assert (await raw.closing()).code == 1008

    run_sockets(main)


@pytest.mark.parametrize("concurrency", [2, -1])
def test_where_several_handlers_may_run_silence_counts(
    open_server: OpenServer, run_sockets: Run, concurrency: int
) -> None:
    gates = Gates()

    async def main() -> None:
        async with (
            open_server(gates, read_timeout=5, concurrency=concurrency) as world,
            world.raw() as raw,
        ):
            await ask(raw, "a")
            await trio.sleep(4)
            assert world.only().connected
            assert (await raw.closing()).code == 1008
            await gates.open("a")

    run_sockets(main)


# --- what nothing overtakes ---------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 3, -1])
def test_what_comes_behind_a_session_request_waits_for_it(
    open_server: OpenServer, run_sockets: Run, concurrency: int
) -> None:
    """Restoring and closing are the reader's own in the original."""
    log: Log = []
    gate = trio.Event()

    def prepare(server: webwire.Server) -> None:
        @server.request()
        async def handle(request: webwire.Request[Payload]) -> None:
            session = request.connection.session
            log.append(f"{request.name}: {session and session.key}")

        @server.request("inline", inline=True)
        def inline(request: webwire.Request[Payload]) -> None:
            session = request.connection.session
            log.append(f"{request.name}: {session and session.key}")

        @server.on_session_lookup
        async def look_up(key: str) -> webwire.Session:
            log.append(f"look up {key}")
            await gate.wait()
            return webwire.Session(key, NOW, NOW)

        @server.on_session_closed
        async def closed(key: str) -> None:
            log.append(f"closed {key}")
            await trio.sleep(1)

    async def main() -> None:
        async with open_server(prepare, concurrency=concurrency) as world, world.raw() as raw:
            await raw.request(1, "before")
            await raw.restore(2, "key")
            await raw.request(3, "inline")
            await raw.request(4, "behind")
            await settle()
            assert log == ["before: None", "look up key"]
            gate.set()
            await settle()
            assert sorted(log[2:]) == ["behind: key", "inline: key"]
            log.clear()
            await raw.close_session(5)
            await raw.request(6, "inline")
            await trio.sleep(2)
            assert log == ["closed key", "inline: None"]
            answers = [(await raw.answer())[1] for _ in range(6)]
            assert sorted(answers) == [1, 2, 3, 4, 5, 6]
            assert answers[-2:] == [5, 6]

    run_sockets(main)


@pytest.mark.parametrize("concurrency", [1, 3, -1])
def test_nothing_is_handled_before_the_hook_that_greets_the_client_is_through(
    open_server: OpenServer, run_sockets: Run, concurrency: int
) -> None:
    log: Log = []

    def prepare(server: webwire.Server) -> None:
        @server.on_client_connected
        async def greet(connection: webwire.Connection) -> None:
            log.append("hook")
            await connection.signal("welcome")
            await trio.sleep(3)
            log.append("through")

        server.request(inline=True)(lambda request: log.append(request.name))

    async def main() -> None:
        async with open_server(prepare, concurrency=concurrency) as world, world.raw() as raw:
            await raw.request(1, "early")
            assert (await raw.answer())[2] == "welcome"
            await settle()
            assert log == ["hook"]
            assert (await raw.answer())[1] == 1
            assert log == ["hook", "through", "early"]

    run_sockets(main)


# --- threads ------------------------------------------------------------------------------------


def test_plain_handlers_run_in_threads_up_to_a_bound(
    open_server: OpenServer, run_sockets: Run
) -> None:
    running = 0
    most = 0

    def prepare(server: webwire.Server) -> None:
        @server.request()
        def handle(request: webwire.Request[Payload]) -> None:
            nonlocal running, most
            trio.from_thread.run_sync(count, 1)
            trio.from_thread.run(trio.sleep, 1)
            trio.from_thread.run_sync(count, -1)

        def count(change: int) -> None:
            nonlocal running, most
            running += change
            most = max(most, running)

    async def main() -> None:
        options: dict[str, Any] = {"concurrency": -1, "max_handler_threads": 3}
        async with open_server(prepare, **options) as world, world.connect() as client:
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(client.request, "x")
            assert most == 3

    run_sockets(main)


def test_each_handler_has_a_context_of_its_own(open_server: OpenServer, run_sockets: Run) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    def handler(name: str) -> Callable[[webwire.Request[Payload]], str]:
        def handle(request: webwire.Request[Payload]) -> str:
            before = variable.get()
            variable.set(name)
            return before

        return handle

    def prepare(server: webwire.Server) -> None:
        server.request("inline", inline=True)(handler("inline"))
        server.request("thread")(handler("thread"))

        @server.request("task")
        async def task(request: webwire.Request[Payload]) -> str:
            return handler("task")(request)

    async def main() -> None:
        async with open_server(prepare, store=MemoryStore()) as world, world.connect() as client:
            for name in ("inline", "thread", "task") * 2:
                assert (await client.request(name)).text == "unset"

    run_sockets(main)
