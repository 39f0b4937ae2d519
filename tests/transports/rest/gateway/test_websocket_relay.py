"""WebSockets through a gateway, whose server of ASGI the story itself is: each code, each end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.conftest import bounded
from tests.transports.pool.world import until
from tests.transports.rest.test_websocket import Echo, accept
from tests.transports.rest.world import Parked, World, serving
from wirecore import errors
from wirecore_trio import rest
from wirecore_trio.rest.gateway import Gateway

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from wirecore._backend import Backend

CONNECT = {"type": "websocket.connect"}
DENIALS: dict[str, Any] = {"websocket.http.response": {}}


@pytest.fixture
def run_sockets(run_sockets: Run) -> Run:
    """Run a story with sockets; what goes wrong ends it."""
    return bounded(run_sockets, 30)


class Caller:
    """Who calls *gateway*, and its server: *told* is what the gateway sends."""

    def __init__(self, gateway: Gateway, *, path: str = "/api/x", **more: Any) -> None:
        self._gateway = gateway
        self._put, self._get = trio.open_memory_channel[Any](10)
        self.told: list[dict[str, Any]] = []
        self.ended = False
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": "wss",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"a=b",
            "root_path": "",
            "headers": [
                (b"host", b"public.test"),
                (b"connection", b"Upgrade"),
                (b"upgrade", b"websocket"),
                (b"sec-websocket-key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
                (b"sec-websocket-version", b"13"),
                (b"sec-websocket-extensions", b"permessage-deflate"),
                (b"sec-websocket-protocol", b"one, two"),
                (b"cookie", b"a=1"),
            ],
            "client": ("192.0.2.7", 4711),
            "server": ("public.test", 443),
            "subprotocols": ["one", "two"],
            "extensions": dict(DENIALS),
            **more,
        }

    async def call(self) -> None:
        """Have the gateway attend to it."""
        await self.say(CONNECT)

        async def send(message: dict[str, Any]) -> None:
            await trio.lowlevel.checkpoint()
            self.told.append(message)

        await self._gateway(self.scope, self._get.receive, send)  # type: ignore[arg-type]
        self.ended = True

    async def say(self, message: dict[str, Any]) -> None:
        """Something comes from the caller."""
        await self._put.send(message)

    async def text(self, text: str) -> None:
        """A message of his."""
        await self.say({"type": "websocket.receive", "text": text, "bytes": None})

    async def wait_told(self, count: int) -> dict[str, Any]:
        """The last of so many messages, once they are there."""
        await until(lambda: len(self.told) >= count)
        return self.told[count - 1]


@asynccontextmanager
async def publishing(
    backend: Backend, app: Any, *, publisher: Any = None, routes: Any = None, **more: Any
) -> AsyncIterator[tuple[World, Gateway]]:
    """A gateway with one publisher, *app*; options of its server by their names."""
    timeout = more.pop("response_timeout", 60)
    async with serving(backend, **more) as world:
        gateway = Gateway(world.server, routes, response_timeout=timeout)
        async with world.connect(app, metadata="api", **(publisher or {})):
            await world.joined()
            yield world, gateway


def test_what_the_publisher_is_asked(backend: Backend, run_sockets: Run) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accept(receive, send, subprotocol="two", headers=[(b"x-own", b"1")])
        seen.append(scope)

    async def story() -> None:
        async with publishing(backend, app) as (_, gateway):
            caller = Caller(gateway)
            await caller.call()
            accepted, closed = caller.told
            assert accepted["type"] == "websocket.accept"
            assert (accepted["subprotocol"], accepted["headers"]) == ("two", [(b"x-own", b"1")])
            assert closed == {"type": "websocket.close", "code": 1000, "reason": ""}
            [scope] = seen
            assert (scope["path"], scope["query_string"]) == ("/x", b"a=b")
            assert scope["subprotocols"] == ["one", "two"]
            headers = dict(scope["headers"])
            assert {name for name in headers if name.startswith(b"sec-websocket-")} == {
                b"sec-websocket-protocol"
            }
            assert not {b"connection", b"upgrade", b"content-length"} & set(headers)
            assert headers[b"cookie"] == b"a=1"
            assert headers[b"host"] == headers[b"x-forwarded-host"] == b"public.test"
            assert headers[b"x-forwarded-proto"] == b"https"
            assert headers[b"x-forwarded-for"] == b"192.0.2.7"
            assert headers[b"x-forwarded-prefix"] == b"/api"

    run_sockets(story)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"code": 1000, "reason": ""}, (1000, "")),
        ({"code": 4321, "reason": "enough"}, (4321, "enough")),
        ({"code": 1001, "reason": None}, (1001, "")),
        ({"code": 1005}, (1005, "")),
        ({}, (1005, "")),
        ({"code": 1006, "reason": ""}, (1006, "the caller was lost")),
    ],
)
def test_the_caller_closes_or_is_lost(
    backend: Backend, run_sockets: Run, said: dict[str, Any], told: tuple[int, str]
) -> None:
    """What he said before arrives all the same."""
    got: list[Any] = []
    may_read = trio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accept(receive, send)
        await may_read.wait()
        while (message := await receive())["type"] == "websocket.receive":
            got.append(message["text"])
        got.append((message["code"], message["reason"]))

    async def story() -> None:
        async with publishing(backend, app) as (_, gateway), trio.open_nursery() as nursery:
            caller = Caller(gateway)
            nursery.start_soon(caller.call)
            await caller.wait_told(1)
            for text in "first", "last":
                await caller.text(text)
            await caller.say({"type": "websocket.disconnect", **said})
            await trio.testing.wait_all_tasks_blocked(0.01)
            may_read.set()
            await until(lambda: caller.ended)
            assert got == ["first", "last", told]
            assert [message["type"] for message in caller.told] == ["websocket.accept"]

    run_sockets(story)


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4999])
def test_the_application_closes(backend: Backend, run_sockets: Run, code: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accept(receive, send)
        await send({"type": "websocket.send", "bytes": b"bye"})
        await send({"type": "websocket.close", "code": code, "reason": "why"})

    async def story() -> None:
        async with publishing(backend, app) as (_, gateway):
            caller = Caller(gateway)
            await caller.call()
            assert caller.told[1:] == [
                {"type": "websocket.send", "bytes": b"bye"},
                {"type": "websocket.close", "code": code, "reason": "why"},
            ]

    run_sockets(story)


def test_a_publisher_that_is_lost_and_one_that_gives_up(backend: Backend, run_sockets: Run) -> None:
    async def handler(incoming: rest.Incoming) -> None:
        await incoming.respond(101, [])
        if incoming.head.target.startswith(b"/gives-up"):
            incoming.reset("enough")
        await incoming.wait_gone()

    async def story() -> None:
        async with serving(backend) as world, world.connect(metadata="api") as client:
            client._serve_with(handler)
            gateway = Gateway(world.server)
            caller = Caller(gateway, path="/api/gives-up")
            await caller.call()
            reason = "the publisher gave it up"
            close = {"type": "websocket.close", "code": 1011, "reason": reason}
            assert caller.told[1:] == [close]
            async with trio.open_nursery() as nursery:
                caller = Caller(gateway)
                nursery.start_soon(caller.call)
                await caller.wait_told(1)
                world.server.connections[0]._channel.abort()
                reason = "the publisher was lost"
                close = {"type": "websocket.close", "code": 1012, "reason": reason}
                assert await caller.wait_told(2) == close

    run_sockets(story)


def test_a_message_that_is_too_long_for_the_gateway(backend: Backend, run_sockets: Run) -> None:
    echo = Echo()

    async def story() -> None:
        async with (
            publishing(backend, echo, max_message_size=1000) as (_, gateway),
            trio.open_nursery() as nursery,
        ):
            caller = Caller(gateway)
            nursery.start_soon(caller.call)
            await caller.wait_told(1)
            await caller.text("é" * 500)
            assert (await caller.wait_told(2))["text"] == "é" * 500
            await caller.text("é" * 501)
            reason = "a message is longer than 1000 bytes"
            close = {"type": "websocket.close", "code": 1009, "reason": reason}
            assert await caller.wait_told(3) == close
            await until(lambda: caller.ended)
            assert echo.ended == [(1009, reason)]
            assert len(caller.told) == 3

    run_sockets(story)


async def denies(scope: Any, receive: Any, send: Any) -> None:
    """Answers 401."""
    assert (await receive())["type"] == "websocket.connect"
    start = {"type": "websocket.http.response.start", "status": 401}
    await send({**start, "headers": [(b"www-authenticate", b"Bearer")]})
    await send({"type": "websocket.http.response.body", "body": b"who are you?"})


def test_a_refusal_is_passed_on(backend: Backend, run_sockets: Run) -> None:
    async def story() -> None:
        async with publishing(backend, denies) as (_, gateway):
            caller = Caller(gateway)
            await caller.call()
            start, *bodies = caller.told
            assert start == {
                "type": "websocket.http.response.start",
                "status": 401,
                "headers": [(b"www-authenticate", b"Bearer")],
            }
            assert {body["type"] for body in bodies} == {"websocket.http.response.body"}
            assert b"".join(body["body"] for body in bodies) == b"who are you?"
            assert [body["more_body"] for body in bodies] == [True] * (len(bodies) - 1) + [False]

    run_sockets(story)


@pytest.mark.parametrize(("path", "status"), [("/api/x", 401), ("/else/x", 503), ("/", 404)])
def test_refusals_where_the_server_knows_only_one(
    backend: Backend, run_sockets: Run, path: str, status: int
) -> None:
    async def story() -> None:
        async with publishing(backend, denies) as (_, gateway):
            caller = Caller(gateway, path=path)
            await caller.call()
            assert caller.told[0]["status"] == status
            caller = Caller(gateway, path=path, extensions={})
            await caller.call()
            assert caller.told == [{"type": "websocket.close", "code": 1000, "reason": ""}]

    run_sockets(story)


def test_no_answer_in_time(backend: Backend, run_sockets: Run) -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == CONNECT
        told.append((await receive())["code"])

    async def story() -> None:
        async with publishing(backend, app, response_timeout=2) as (_, gateway):
            caller = Caller(gateway)
            await caller.call()
            assert caller.told[0]["status"] == 504
            await until(lambda: told == [1006])

    run_sockets(story)


def test_a_caller_that_goes_before_the_answer(backend: Backend, run_sockets: Run) -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == CONNECT
        told.append("asked")
        told.append((await receive())["code"])

    async def story() -> None:
        async with publishing(backend, app) as (_, gateway), trio.open_nursery() as nursery:
            caller = Caller(gateway)
            nursery.start_soon(caller.call)
            await until(lambda: told == ["asked"])
            await caller.say({"type": "websocket.disconnect", "code": 1006})
            await until(lambda: caller.ended)
            assert caller.told == []
            await until(lambda: told == ["asked", 1006])

    run_sockets(story)


def test_another_publisher_gets_what_certainly_reached_none(
    backend: Backend, run_sockets: Run
) -> None:
    parked, echo = Parked(), Echo()

    async def story() -> None:
        async with (
            publishing(backend, parked, max_streams=1) as (world, gateway),
            trio.open_nursery() as nursery,
        ):
            [first] = world.server.connections

            async def ask() -> None:
                with pytest.raises(errors.CallLost):
                    await first.request("GET", "/slow")

            nursery.start_soon(ask)
            await parked.wait_for("/slow")
            caller = Caller(gateway)
            nursery.start_soon(caller.call)  # which waits for its turn there
            await trio.testing.wait_all_tasks_blocked(0.01)
            async with world.connect(echo, metadata="api"):
                await until(lambda: len(world.server.connections) == 2)
                first._channel.abort()
                await caller.wait_told(1)
                await caller.text("hello")
                assert (await caller.wait_told(2))["text"] == "hello"
                await caller.say({"type": "websocket.disconnect", "code": 1000})
                await until(lambda: caller.ended)

    run_sockets(story)


def test_a_gateway_that_is_cancelled(backend: Backend, run_sockets: Run) -> None:
    echo = Echo()

    async def story() -> None:
        async with publishing(backend, echo) as (_, gateway):
            async with trio.open_nursery() as nursery:
                caller = Caller(gateway)
                nursery.start_soon(caller.call)
                await caller.wait_told(1)
                nursery.cancel_scope.cancel()
            await until(lambda: echo.ended == [(1001, "")])

    run_sockets(story)


def test_who_is_told_to_go_is_told_before_his_server_finds_that_all_is_over(
    backend: Backend, run_sockets: Run
) -> None:
    """Or that would end the connection itself, in words of its own."""

    class Slow(Caller):
        async def call(self) -> None:
            await self.say(CONNECT)

            async def send(message: dict[str, Any]) -> None:
                if message["type"] == "websocket.close":
                    await trio.sleep(1)  # it is in a thread of its own, say
                assert not self.ended
                self.told.append(message)

            await self._gateway(self.scope, self._get.receive, send)  # type: ignore[arg-type]
            self.ended = True

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accept(receive, send)
        await receive()

    async def story() -> None:
        async with publishing(backend, app) as (_, gateway), trio.open_nursery() as nursery:
            caller = Slow(gateway)
            nursery.start_soon(caller.call)
            await caller.wait_told(1)
            await gateway.close_websockets()
            assert caller.told[1:] == [{"type": "websocket.close", "code": 1001, "reason": ""}]
            await until(lambda: caller.ended)

    run_sockets(story)
