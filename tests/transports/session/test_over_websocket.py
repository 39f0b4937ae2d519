"""Sessions over WebSocket: dialled, served, drained, dialled again."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio

from wirecore.errors import InvalidOption, UpgradeRejected
from wirecore.events import Message
from wirecore.session import Backoff
from wirecore.websocket import Connection, Response
from wirecore_trio import (
    Opened,
    Options,
    Owner,
    RetryPolicy,
    Running,
    SessionServer,
    connect_session,
    reconnecting_sessions,
    serve_session,
    websocket,
)

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from wirecore._backend import Backend


class Shouting:
    """A session that composes a WebSocket and answers at once: what comes, in capitals."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.connection: Connection = opened.connection()
        self.stage = self.connection.stage
        self.outbox = self.connection.outbox
        self.start = self.connection.start
        self.receive_eof = self.connection.receive_eof
        self.expire = self.connection.expire
        self.next_deadline = self.connection.next_deadline
        self.close: Callable[[], None] = self.connection.close

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[Message]:
        messages = self.connection.receive(data, now)
        for message in messages:
            if not self.opened.client and isinstance(message, str):
                self.connection.send(message.upper())
        return messages


async def tidy_up() -> None:
    """Works for ever, and takes its time to stop."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(10)


class Member(Owner[list[Message]]):
    """An owner that puts what comes into a channel, and works on what says so."""

    def __init__(self, running: Running[Shouting], greeting: str = "") -> None:
        self.running = running
        self.opened = running.session.opened
        self._tell, self.messages = trio.open_memory_channel[Message](100)
        self.ended = False
        if greeting:
            running.session.connection.send(greeting)

    def send(self, message: str) -> None:
        self.running.session.connection.send(message)
        self.running.write()

    def received(self, happened: list[Message]) -> None:
        for message in happened:
            self._tell.send_nowait(message)
            if message == "work":
                self.running.start_soon(trio.sleep, 10)
            elif message == "tidy":
                self.running.start_soon(tidy_up)

    def on_end(self, error: BaseException | None) -> None:
        self.ended = True
        self._tell.close()


class Successor(Member):
    """One that has something to see to at the end."""

    def on_end(self, error: BaseException | None) -> None:
        super().on_end(error)
        self.running.start_soon(trio.sleep, 0)


class World:
    """Serving and dialling, both with one backend."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def serving(
        self, make_owner: Any = Member, make_session: Any = Shouting, **serving: Any
    ) -> AbstractAsyncContextManager[SessionServer[Member]]:
        return self._serving(make_session, make_owner, serving)

    @asynccontextmanager
    async def _serving(
        self, make_session: Any, make_owner: Any, serving: dict[str, Any]
    ) -> AsyncIterator[SessionServer[Member]]:
        serve = partial(
            serve_session, make_session, make_owner, "127.0.0.1", backend=self.backend, **serving
        )
        async with trio.open_nursery() as nursery:
            yield await nursery.start(serve)
            nursery.cancel_scope.cancel()

    def connect(
        self, server: SessionServer[Any], path: str = "/", make_owner: Any = Member, **dialing: Any
    ) -> AbstractAsyncContextManager[Member]:
        url = f"ws://127.0.0.1:{server.port}{path}"
        return connect_session(url, Shouting, make_owner, backend=self.backend, **dialing)


@pytest.fixture
def world(backend: Backend) -> World:
    """Serving and dialling with each backend."""
    return World(backend)


def test_a_client_and_a_server(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with world.serving(subprotocols=["shouting"]) as server:
            async with world.connect(server, "/room?secret", subprotocols=["shouting"]) as member:
                assert member.opened.subprotocol == "shouting"
                assert member.opened.client
                assert member.opened.request is None
                member.send("hello")
                assert await member.messages.receive() == "HELLO"
                [other] = server.owners
                assert other.opened.request is not None
                assert other.opened.request.path == "/room"
                assert "/room from 127.0.0.1" in repr(other.running)
                assert "secret" not in repr(other.running)
                other.send("from the server")
                assert await member.messages.receive() == "from the server"
            assert member.ended
            await other.running.wait_ended()
            assert other.running.session.connection.close_received is not None
            assert other.running.session.connection.close_received.code == 1000
            await server.drain()
            assert server.owners == []

    run_sockets(story)


def test_what_the_peer_sends_right_behind_the_upgrade_is_received(
    world: World, run_sockets: Run
) -> None:
    async def story() -> None:
        greeting = partial(Member, greeting="welcome")
        async with (
            world.serving(greeting) as server,
            world.connect(server, make_owner=greeting) as member,
        ):
            assert await member.messages.receive() == "welcome"
            assert await member.messages.receive() == "WELCOME"

    run_sockets(story)


def test_a_plain_websocket_can_be_the_peer(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with (
            world.serving() as server,
            websocket.connect(f"ws://127.0.0.1:{server.port}/") as ws,
        ):
            await ws.send("hello")
            assert await ws.receive() == "HELLO"

    run_sockets(story)


def test_compression_is_what_the_options_say(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        options = Options(compression=websocket.DeflateOffer())
        async with (
            world.serving(options=options) as server,
            world.connect(server, options=options) as member,
        ):
            assert member.opened.accepted.deflate is not None
            member.send("a" * 10_000)
            assert await member.messages.receive() == "A" * 10_000

    run_sockets(story)


def test_a_drained_server_waits_for_the_tasks_of_owners(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with (
            world.serving() as server,
            world.connect(server) as busy,
            world.connect(server) as idle,
        ):
            busy.send("work")
            assert await busy.messages.receive() == "WORK"
            start = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.drain)
                await idle.running.wait_ended()
                assert trio.current_time() - start < 1
                await trio.testing.wait_all_tasks_blocked()  # the server has seen it, too
                [owner] = server.owners
                assert owner.running.draining
                busy.send("still answered")
                assert await busy.messages.receive() == "STILL ANSWERED"
            assert trio.current_time() - start == pytest.approx(10, abs=1)
            await busy.running.wait_ended()

    run_sockets(story)


def test_a_drain_cancels_what_takes_too_long(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async with world.serving() as server, world.connect(server) as busy:
            busy.send("work")
            assert await busy.messages.receive() == "WORK"
            start = trio.current_time()
            await server.drain(grace=2)
            assert trio.current_time() - start == pytest.approx(2, abs=0.5)

    run_sockets(story)


@pytest.mark.parametrize("task", ["work", "tidy"])
def test_a_cancelled_server_says_goodbye_and_waits_for_nothing(
    world: World, run_sockets: Run, caplog: pytest.LogCaptureFixture, task: str
) -> None:
    scope = trio.CancelScope()

    async def serve(task_status: trio.TaskStatus[SessionServer[Member]]) -> None:
        with scope:
            await serve_session(
                Shouting, Successor, "127.0.0.1", backend=world.backend, task_status=task_status
            )

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve)
            async with world.connect(server) as member:
                member.send(task)
                assert await member.messages.receive() == task.upper()
                start = trio.current_time()
                scope.cancel()
                await member.running.wait_ended()
                assert trio.current_time() - start < 1
                assert member.running.session.connection.close_received is not None

    run_sockets(story)
    assert caplog.records == []


def test_requests_are_looked_at_as_ever(world: World, run_sockets: Run) -> None:
    async def refuse(_: object) -> Response:
        return Response(401)

    async def story() -> None:
        async with world.serving(on_request=refuse) as server:
            with pytest.raises(UpgradeRejected):
                await world.connect(server).__aenter__()

    run_sockets(story)


@pytest.mark.parametrize("part", ["make_session", "make_owner"])
def test_what_cant_be_made_for_a_client_closes_that_connection(
    world: World, run_sockets: Run, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    def fail(_: object) -> Any:
        raise ValueError("a bug")

    async def story() -> None:
        async with world.serving(**{part: fail}) as server, world.connect(server) as member:
            await member.running.wait_ended()
            assert server.owners == []

    run_sockets(story)
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "no session was made (/ from 127.0.0.1" in record.getMessage()


def test_a_session_that_a_client_cant_make_is_raised_as_it_is(
    world: World, run_sockets: Run
) -> None:
    def fail(_: object) -> Any:
        raise ValueError("a bug")

    async def story() -> None:
        async with world.serving() as server:
            with pytest.raises(ValueError, match="a bug"):
                await connect_session(f"ws://127.0.0.1:{server.port}/", fail, Member).__aenter__()

    run_sockets(story)


def test_one_after_another(world: World, run_sockets: Run) -> None:
    def hang_up(member: Member) -> None:
        member.running.abort()

    async def story() -> None:
        retry = RetryPolicy(lambda: Backoff(0.01, 2, 0, 1))
        async with world.serving() as server:
            url = f"ws://127.0.0.1:{server.port}/"
            seen: list[Member] = []
            async with reconnecting_sessions(
                url, Shouting, Member, retry=retry, backend=world.backend
            ) as members:
                async for member in members:
                    seen.append(member)
                    member.running.start_soon(trio.sleep_forever)
                    member.send(f"number {len(seen)}")
                    assert await member.messages.receive() == f"NUMBER {len(seen)}"
                    hang_up(server.owners[0])
                    await member.running.wait_ended()
                    if len(seen) == 3:
                        break
            assert all(member.ended for member in seen)
            assert len({id(member.running.session) for member in seen}) == 3

    run_sockets(story)


def test_reconnecting_ends_where_the_policy_says(run_sockets: Run) -> None:
    async def story() -> None:
        retry = RetryPolicy(lambda: Backoff(0.01, 2, 0, 1), attempts=2)
        members = reconnecting_sessions("ws://127.0.0.1:1/", Shouting, Member, retry=retry)
        async with members as dialled:
            with pytest.raises(OSError, match="refused"):
                await anext(dialled)

    run_sockets(story)


def test_a_first_connection_may_be_tried_again(run_sockets: Run) -> None:
    async def story() -> None:
        retry = RetryPolicy(lambda: Backoff(0.01, 2, 0, 1), attempts=2)
        with pytest.raises(OSError, match="refused"):
            await connect_session("ws://127.0.0.1:1/", Shouting, Member, retry=retry).__aenter__()

    run_sockets(story)


def test_arguments_are_checked_at_once(run_sockets: Run) -> None:
    async def story() -> None:
        wrong: Any = {"nonsense": 1}
        with pytest.raises(TypeError, match=r"connect_session.. got an unexpected keyword"):
            connect_session("ws://h/", Shouting, Member, **wrong)
        with pytest.raises(TypeError, match=r"serve_session.. got an unexpected keyword"):
            await serve_session(Shouting, Member, **wrong)
        maker: Any = Shouting
        none: Any = None
        with pytest.raises(TypeError, match=r"make_owner must be a function of .running., or a "):
            connect_session("ws://h/", Shouting, none)
        with pytest.raises(TypeError, match=r"make_session is called as make_session.opened.: too"):
            await serve_session(lambda: maker(None), Member)  # type: ignore[arg-type,misc]
        with pytest.raises(InvalidOption, match="begins with ws://"):
            connect_session("http://h/", Shouting, Member)
        with pytest.raises(InvalidOption, match="max_connections"):
            await serve_session(Shouting, Member, max_connections=0)

    run_sockets(story)
