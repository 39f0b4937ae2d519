"""The hooks of a connection's life: their order and arguments; their errors end nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from tests.transports.conftest import Run
from tests.transports.webwire.world import OpenServer, lose_all, settle
from wirecore.errors import ConnectionClosed, InvalidState, ProtocolError
from wirecore_trio import webwire
from wirecore_trio.webwire import Payload
from wirecore_trio.webwire.stores import MemoryStore

Log = list[Any]

KEPT = webwire.Session(
    "../x \0", datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
)


def logging_all(log: Log) -> Callable[[webwire.Server], None]:
    """Hooks and a handler that note when they are called, some plain, some async."""

    def prepare(server: webwire.Server) -> None:
        @server.on_client_connected
        async def connected(connection: webwire.Connection) -> None:
            assert connection.connected
            log.append("connected")

        @server.on_client_disconnected
        def disconnected(connection: webwire.Connection, reason: Exception | None) -> None:
            assert not connection.connected
            assert connection.session is None
            log.append(("disconnected", reason))

        @server.generate_session_key
        def make_key() -> str:
            log.append("make key")
            return f"key {len(log)}"

        @server.on_session_created
        async def created(connection: webwire.Connection, session: webwire.Session) -> None:
            log.append(("created", connection, session))

        @server.on_session_closed
        def closed(key: str) -> None:
            log.append(("closed", key))

        @server.request("login")
        async def login(request: webwire.Request[Payload]) -> None:
            await request.connection.create_session()
            log.append("login")

    return prepare


def test_the_hooks_of_a_connections_life(open_server: OpenServer, run_sockets: Run) -> None:
    log: Log = []

    async def main() -> None:
        async with open_server(logging_all(log), store=MemoryStore()) as world:
            async with world.connect() as client:
                connection = world.only()
                await client.request("login")
                session = connection.session
                await client.close_session()
            await settle()
        created = ("created", connection, session)
        assert log[:-1] == ["connected", "make key", created, "login", ("closed", "key 2")]
        what, reason = log[-1]
        assert what == "disconnected"
        assert isinstance(reason, ConnectionClosed)
        assert (reason.code, reason.clean) == (1000, True)

    run_sockets(main)


@pytest.mark.parametrize(
    ("end", "kind", "says"),
    [
        ("close", ConnectionClosed, "1001"),
        ("no code", ConnectionClosed, ""),
        ("vanish", ConnectionClosed, ""),
        ("rubbish", ProtocolError, "the client sent what is no message"),
        ("text", ProtocolError, "the client sent what is no message: a text message"),
        ("too long", ConnectionClosed, "max_frame_size of 8192"),
        ("silence", TimeoutError, "the client sent nothing within 60 s"),
        ("closed here", type(None), "None"),
    ],
)
def test_why_a_connection_ended(
    open_server: OpenServer, run_sockets: Run, end: str, kind: Any, says: str
) -> None:
    log: Log = []

    async def main() -> None:
        async with open_server(logging_all(log)) as world, world.raw() as raw:
            if end == "close":
                await raw.close(1001)
            elif end == "no code":
                await raw.close(None)
            elif end == "vanish":
                await raw.lose()
            elif end == "rubbish":
                await raw.message(b"\xff")
            elif end == "text":
                await raw.send(raw.frame(1, b"text"))  # type: ignore[arg-type]  # an opcode
            elif end == "too long":
                await raw.message(b"\x7f" + bytes(8192))
            elif end == "silence":
                await trio.sleep(61)
            else:
                world.only().close()
            if end not in ("close", "no code", "vanish"):
                await raw.closing()
            await settle()
            assert world.server.connections == []
        [connected, (disconnected, reason)] = log
        assert (connected, disconnected) == ("connected", "disconnected")
        assert isinstance(reason, kind)
        assert says in str(reason)

    run_sockets(main)


def test_errors_of_hooks_are_logged_and_end_nothing(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def prepare(server: webwire.Server) -> None:
        def fail(*arguments: Any) -> Any:
            raise ValueError("a hook's own mistake")

        server.on_client_connected(lambda connection: fail())
        server.on_client_disconnected(lambda connection, reason: fail())
        server.on_session_created(lambda connection, session: fail())
        server.on_session_closed(lambda key: fail())

        @server.request("login")
        async def login(request: webwire.Request[Payload]) -> None:
            await request.connection.create_session()

        @server.signal()
        async def signal(signal: webwire.Signal[Payload]) -> None:
            fail()

        @server.signal("thread")
        def in_a_thread(signal: webwire.Signal[Payload]) -> None:
            fail()

        server.signal("inline", inline=True)(lambda signal: fail())

    async def main() -> None:
        async with open_server(prepare, store=MemoryStore()) as world:
            async with world.connect() as client:
                for name in ("a", "thread", "inline"):
                    await client.signal(name)
                await client.request("login")
                assert client.session is not None
                await client.close_session()
                assert client.connections == 1
            await settle()
            async with world.connect() as client:
                await client.request("login")
            await settle()

    run_sockets(main)
    failed = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert sorted(failed) == sorted(
        [
            *["on_client_connected failed", "on_client_disconnected failed"] * 2,
            *["on_session_created failed"] * 2,
            "on_session_closed failed",
            *[f"the handler of the signal {name!r} failed" for name in ("a", "thread", "inline")],
        ]
    )


@pytest.mark.parametrize("key", ["", None, b"bytes", "in use", "kept"])
def test_a_key_that_is_none_or_taken_makes_no_session(
    open_server: OpenServer, run_sockets: Run, key: Any
) -> None:
    events: Log = []

    def prepare(server: webwire.Server) -> None:
        keys = iter(["in use", "kept", key])
        server.generate_session_key(lambda: next(keys))
        server.on_session_created(lambda connection, session: events.append(session.key))

    async def main() -> None:
        store = MemoryStore()
        async with (
            open_server(prepare, store=store) as world,
            world.connect() as one,
            world.connect() as two,
            world.connect() as three,
        ):
            await settle()
            connections = world.server.connections
            await connections[0].create_session()
            async with world.raw() as raw:
                [fourth] = set(world.server.connections) - set(connections)
                await fourth.create_session()
                await raw.lose()
            await settle()
            with pytest.raises(InvalidState, match="generate_session_key"):
                await connections[1].create_session()
            await settle()
            assert events == ["in use", "kept"]
            assert connections[1].session is None
            assert sum(client.session is not None for client in (one, two, three)) == 1
            assert world.server.active_sessions == 1
            assert len(store) == 2

    run_sockets(main)


@pytest.mark.parametrize("found", ["a session", None, "rubbish", OSError("out of reach")])
def test_a_look_up_of_the_programs_own(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture, found: Any
) -> None:
    """In the store's place: any key is its matter."""
    asked: list[str] = []

    def prepare(server: webwire.Server) -> None:
        @server.on_session_lookup
        def look_up(key: str) -> Any:
            asked.append(key)
            if isinstance(found, Exception):
                raise found
            return KEPT if found == "a session" else found

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            if found == "a session":
                assert await client.restore_session("../x \0") == KEPT
            else:
                error = webwire.SessionNotFound if found is None else webwire.InternalError
                with pytest.raises(error):
                    await client.restore_session("../x \0")
            assert world.server.active_sessions == (found == "a session")
        assert asked == ["../x \0"]

    run_sockets(main)
    failed = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert len(failed) == (found not in ("a session", None))


def test_in_the_hook_of_the_end_nothing_can_be_sent(
    open_server: OpenServer, run_sockets: Run
) -> None:
    ends: Log = []

    def prepare(server: webwire.Server) -> None:
        @server.on_client_disconnected
        async def try_all(connection: webwire.Connection, reason: Any) -> None:
            for use in (connection.create_session, lambda: connection.signal("x")):
                with pytest.raises(webwire.Disconnected) as caught:
                    await use()
                ends.append(caught.value.execution)
            await connection.close_session()
            connection.close()
            with pytest.raises(InvalidState, match="can't join"):
                await server.room("x").join(connection)

    async def main() -> None:
        async with open_server(prepare, store=MemoryStore()) as world:
            async with world.connect():
                pass
            await settle()
            assert ends == ["not_sent", "not_sent"]
            assert world.server.active_sessions == 0

    run_sockets(main)


# --- at the client ------------------------------------------------------------------------------


def test_a_clients_handlers_run_one_after_another_and_may_request(
    open_server: OpenServer, run_sockets: Run
) -> None:
    log: Log = []

    def prepare(server: webwire.Server) -> None:
        server.request(inline=True)(lambda request: request.payload)

        @server.on_client_connected
        async def greet(connection: webwire.Connection) -> None:
            await connection.create_session()
            for number in range(3):
                await connection.signal("count", str(number))
            await connection.signal("other", Payload.utf16("end"))
            await connection.close_session()

    async def main() -> None:
        async with open_server(prepare, store=MemoryStore()) as world:
            connecting = world.connect()

            @connecting.on_signal("count")
            async def count(signal: webwire.ServerSignal[Payload]) -> None:
                reply = await signal.client.request("x", signal.text)
                await trio.sleep(1)
                log.append(f"{signal.name} {reply.text}")

            @connecting.on_signal()
            def other(signal: webwire.ServerSignal[Payload]) -> None:
                log.append(f"{signal.name} {signal.text}")

            connecting.on_session_created(lambda session: log.append("created"))
            connecting.on_session_closed(lambda: log.append("closed"))
            async with connecting:
                await trio.sleep(5)
            assert log == ["created", "count 0", "count 1", "count 2", "other end", "closed"]

    run_sockets(main)


def test_errors_of_a_clients_hooks_are_logged_and_end_nothing(
    open_server: OpenServer, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def prepare(server: webwire.Server) -> None:
        server.request(inline=True)(lambda request: request.payload)

    async def main() -> None:
        async with open_server(prepare, store=MemoryStore()) as world, world.connect() as client:

            def fail(*arguments: Any) -> None:
                raise ValueError("a hook's own mistake")

            client.on_signal("a")(lambda signal: fail())
            client.on_signal("b", inline=True)(lambda signal: fail())
            client.on_signal("json", codec=webwire.Json())(lambda signal: fail())
            client.on_session_created(lambda session: fail())
            client.on_session_closed(fail)
            client.on_disconnected(fail)
            connection = world.only()
            for name in ("a", "b", "json", "nobody takes it"):
                await connection.signal(name, "{not json")
            await connection.create_session()
            await connection.close_session()
            await settle()
            await lose_all(world)
            assert (await client.request("x", "fine")).text == "fine"

    run_sockets(main)
    failed = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert len(failed) == 5
    assert "a signal 'json' was dropped" in caplog.text
