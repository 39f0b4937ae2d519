"""The spans and durations of REST's requests, and how they belong together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fastapi
import httpx2
import pytest
import trio
from opentelemetry import baggage, propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tests.transports.conftest import Run
from tests.transports.rest.world import answer, read
from tests.transports.telemetry.seen import Seen, id_of, parent_of, told
from wirecore import errors
from wirecore.protocols.rest.heads import RequestHead
from wirecore_trio import rest
from wirecore_trio.portal import BlockingPortal
from wirecore_trio.rest.httpx2 import SyncTransport, Transport
from wirecore_trio.telemetry._http import KNOWN_METHODS_VARIABLE, Http
from wirecore_trio.telemetry._operations import Providers


@pytest.fixture(autouse=True)
def propagator() -> Iterator[None]:
    """The global propagator is OpenTelemetry's default, whatever the environment says."""
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(
        CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
    )
    yield
    propagate.set_global_textmap(before)


class App:
    """Answers as the path says; *found*: the spans that it ran in, *baggage*: what came along."""

    def __init__(self) -> None:
        self.found: list[int] = []
        self.baggage: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] != "lifespan"  # it knows none
        self.found.append(get_current_span().get_span_context().span_id)
        self.baggage.append(baggage.get_baggage("user"))
        path = scope["path"]
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
        elif path == "/break":
            raise ValueError("secret")
        elif path == "/wait":
            await trio.sleep_forever()
        else:
            await read(receive)
            await answer(send, b"x" * 100, int(path[1:] or 200))


def test_a_request_has_a_span_at_each_side_and_one_trace(
    seen: Seen, open_rest: Any, run_sockets: Run
) -> None:
    app = App()

    async def story() -> None:
        async with open_rest(app) as world, world.connect() as client:
            with seen.tracers.get_tracer("user").start_as_current_span("outer") as outer:
                response = await client.request(
                    "POST", "/201?user=me&token&a=", content=b"secret", headers={"User-Agent": "me"}
                )
            assert response.status == 201
            client_span, server_span = seen.client(), seen.server()
            assert client_span.name == server_span.name == "POST"
            assert told(client_span) == {
                "http.request.method": "POST",
                "http.response.status_code": 201,
                "server.address": "127.0.0.1",
                "server.port": world.port,
                "url.full": f"http://127.0.0.1:{world.port}/201?user=REDACTED&REDACTED&a=REDACTED",
                "url.scheme": "http",
            }
            found = told(server_span)
            assert found.pop("client.port") != world.port
            assert found == {
                "client.address": "127.0.0.1",
                "http.request.method": "POST",
                "http.response.status_code": 201,
                "network.protocol.version": "1.1",
                "server.address": "127.0.0.1",
                "server.port": world.port,
                "url.path": "/201",
                "url.query": "user=REDACTED&REDACTED&a=REDACTED",
                "url.scheme": "http",
                "user_agent.original": "me",
            }
            assert parent_of(client_span) == outer.get_span_context().span_id
            assert parent_of(server_span) == id_of(client_span)
            assert app.found == [id_of(server_span)]
            assert {span.status.status_code for span in seen.spans} == {StatusCode.UNSET}

            [(of_client, _)] = seen.durations("http.client.request.duration").items()
            assert dict(of_client) == {
                "http.request.method": "POST",
                "http.response.status_code": 201,
                "server.address": "127.0.0.1",
                "server.port": world.port,
                "url.scheme": "http",
            }
            [(of_server, (count, seconds))] = seen.durations("http.server.request.duration").items()
            assert dict(of_server) == {
                "http.request.method": "POST",
                "http.response.status_code": 201,
                "network.protocol.version": "1.1",
                "url.scheme": "http",
            }
            assert count == 1
            assert seconds > 0

    run_sockets(story)


def test_streams_end_with_their_blocks(seen: Seen, open_rest: Any, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_rest(App()) as world, world.connect() as client:
            async with client.stream("GET", "/") as response:
                assert seen.of(SpanKind.CLIENT) == []
                assert await response.read() == b"x" * 100
            assert told(seen.client())["http.response.status_code"] == 200
            assert parent_of(seen.server()) == id_of(seen.client())
            seen.forget()
            # What the program itself raises is no failure of the request.
            with pytest.raises(KeyError):
                async with client.stream("GET", "/"):
                    raise KeyError
            assert seen.client().status.status_code is StatusCode.UNSET
            seen.forget()
            with pytest.raises(errors.CallTimeout):
                async with client.stream("GET", "/wait", timeout=1):
                    pass
            assert told(seen.client())["error.type"] == "CallTimeout"
            seen.forget()
            with trio.move_on_after(1):
                async with client.stream("GET", "/"), trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)
            assert told(seen.client())["error.type"] == "cancelled"

    run_sockets(story)


@pytest.mark.parametrize(
    ("path", "status", "client", "server"),
    [("/404", 404, "404", None), ("/503", 503, "503", "503"), ("/break", 500, "500", "ValueError")],
)
def test_statuses(
    seen: Seen,
    open_rest: Any,
    run_sockets: Run,
    path: str,
    status: int,
    client: str,
    server: str | None,
) -> None:
    async def story() -> None:
        async with open_rest(App()) as world, world.connect() as asking:
            assert (await asking.request("GET", path)).status == status

    run_sockets(story)
    for span, kind in ((seen.client(), client), (seen.server(), server)):
        assert told(span)["http.response.status_code"] == status
        assert told(span).get("error.type") == kind
        failed = StatusCode.UNSET if kind is None else StatusCode.ERROR
        assert span.status.status_code is failed
        assert "secret" not in span.to_json()


def test_time_cancellation_and_loss(seen: Seen, open_rest: Any, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_rest(App()) as world, world.connect() as client:
            with pytest.raises(errors.CallTimeout):
                await client.request("GET", "/wait", timeout=1)
            assert told(seen.client())["error.type"] == "CallTimeout"
            await trio.sleep(10)  # the application has some grace
            assert told(seen.server())["error.type"] == "Gone"
            seen.forget()
            with trio.move_on_after(1):
                await client.request("GET", "/wait")
            assert told(seen.client())["error.type"] == "cancelled"
            seen.forget()
            async with trio.open_nursery() as nursery:

                async def lost() -> None:
                    with pytest.raises(errors.CallLost):
                        await client.request("GET", "/wait")

                nursery.start_soon(lost)
                await trio.testing.wait_all_tasks_blocked(0.02)
                for connection in world.server.connections:
                    await connection.aclose()
            assert told(seen.client())["error.type"] == "CallLost"

    run_sockets(story)


def test_what_ends_an_application_behind_its_response_is_no_failure(
    seen: Seen, open_rest: Any, run_sockets: Run
) -> None:
    async def linger(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await answer(send, b"x")
        await trio.sleep_forever()

    async def story() -> None:
        async with open_rest(linger) as world, world.connect() as client:
            await client.request("GET", "/")
            assert seen.of(SpanKind.SERVER) == []

    run_sockets(story)
    assert "error.type" not in told(seen.server())


def test_what_a_request_belongs_to_replaces_what_its_headers_say(
    seen: Seen, open_rest: Any, run_sockets: Run
) -> None:
    app = App()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"traceparent": parent, "tracestate": "a=b", "baggage": "user=me"}

    async def story() -> None:
        async with open_rest(app) as world, world.connect() as client:
            # Nothing is under way here: it belongs to what its headers say.
            await client.request("GET", "/", headers=headers)
            assert parent_of(seen.client()) == 0xB7AD6B7169203331
            assert parent_of(seen.server()) == id_of(seen.client())
            assert app.baggage == ["me"]
            seen.forget()
            with seen.tracers.get_tracer("user").start_as_current_span("outer") as outer:
                await client.request("GET", "/", headers=headers)
            assert parent_of(seen.client()) == outer.get_span_context().span_id
            assert parent_of(seen.server()) == id_of(seen.client())
            assert seen.server().context is not None
            assert dict(seen.server().context.trace_state) == {}

    run_sockets(story)


@pytest.mark.parametrize("loop", [True, False])
def test_httpx_transports(seen: Seen, open_rest: Any, run_real: Run, loop: bool) -> None:
    address = "http://me:secret@todo.test/404?q=secret"

    async def ask(url: str) -> None:
        async with (
            rest.connect(url) as client,
            httpx2.AsyncClient(transport=Transport(client)) as http,
        ):
            assert (await http.get(address)).status_code == 404

    def ask_without_loop(url: str) -> None:
        with (
            BlockingPortal() as portal,
            portal.entered(rest.connect(url)) as client,
            httpx2.Client(transport=SyncTransport(portal, client)) as http,
        ):
            assert http.get(address).status_code == 404

    async def story() -> None:
        async with open_rest(App()) as world:
            with seen.tracers.get_tracer("user").start_as_current_span("outer") as outer:
                if loop:
                    await ask(world.url)
                else:
                    await trio.to_thread.run_sync(ask_without_loop, world.url)
        span = seen.client()
        assert told(span)["url.full"] == "http://todo.test/404?q=REDACTED"
        assert told(span)["server.address"] == "todo.test"
        assert told(span)["error.type"] == "404"
        assert parent_of(span) == outer.get_span_context().span_id
        assert parent_of(seen.server()) == id_of(span)

    run_real(story)


def test_a_transport_that_fails(seen: Seen, run_sockets: Run) -> None:
    async def story() -> None:
        async with (
            rest.connect("ws://127.0.0.1:1/", wait=False) as client,
            httpx2.AsyncClient(transport=Transport(client), timeout=1) as http,
        ):
            with pytest.raises(httpx2.ConnectTimeout):
                await http.get("http://todo.test/")

    run_sockets(story)
    assert told(seen.client())["error.type"] == "httpx2.ConnectTimeout"


@pytest.mark.parametrize("failing", [False, True])
def test_an_application_on_asyncio(
    seen: Seen, open_rest: Any, run_real: Run, failing: bool
) -> None:
    """What it does there is within the span of its request."""
    app = App()

    async def story() -> None:
        async with open_rest(rest.AsyncioApp(app)) as world, world.connect() as client:
            await client.request("GET", "/break" if failing else "/200")

    run_real(story)
    assert app.found == [id_of(seen.server())]
    assert told(seen.server()).get("error.type") == ("ValueError" if failing else None)


def test_websockets(seen: Seen, open_rest: Any, run_sockets: Run) -> None:
    app = App()

    async def story() -> None:
        async with open_rest(app) as world, world.connect() as client:
            async with client.websocket("/chat") as ws:
                # How it was opened is what the caller's span tells.
                assert told(seen.client())["http.response.status_code"] == 101
                assert [message async for message in ws] == []
            await trio.testing.wait_all_tasks_blocked(0.02)
            assert told(seen.server())["http.response.status_code"] == 101
            assert parent_of(seen.server()) == id_of(seen.client())
            assert app.found == [id_of(seen.server())]

    run_sockets(story)
    assert seen.durations("http.client.request.duration") == {}
    assert seen.durations("http.server.request.duration") == {}


def test_routes_of_a_framework(seen: Seen, open_rest: Any, run_sockets: Run) -> None:
    app = fastapi.FastAPI()

    @app.get("/todos/{number}")
    async def todo(number: int) -> int:
        return number

    inner = fastapi.FastAPI()
    inner.get("/x")(lambda: None)
    app.mount("/users/{name}", inner)

    async def story() -> None:
        async with open_rest(app) as world, world.connect() as client:
            for number in (1, 2):
                assert (await client.request("GET", f"/todos/{number}")).status == 200
            assert {span.name for span in seen.of(SpanKind.SERVER)} == {"GET /todos/{number}"}
            seen.forget()
            assert (await client.request("GET", "/users/me/x")).status == 200
            assert seen.server().name == "GET"  # which has no name of somebody's
            assert (await client.request("GET", "/nothing")).status == 404

    run_sockets(story)
    routes = [
        dict(attributes).get("http.route")
        for attributes in seen.durations("http.server.request.duration")
    ]
    assert sorted(filter(None, routes)) == ["/todos/{number}"]


def test_through_a_gateway_it_is_one_trace(seen: Seen, open_gateway: Any, run_real: Run) -> None:
    """The caller's header becomes the parent of what the gateway asks a publisher."""
    app = App()
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def story() -> None:
        async with open_gateway() as world, world.caller() as http, world.publish(app, "api"):
            response = await http.get("/api/?x=secret", headers={"traceparent": parent})
            assert response.status_code == 200
            while not seen.of(SpanKind.CLIENT):  # noqa: ASYNC110 - it ends behind the answer
                await trio.sleep(0.01)
            [asked, served] = seen.client(), seen.server()
            assert parent_of(asked) == 0xB7AD6B7169203331
            assert parent_of(served) == id_of(asked)
            assert served.context is not None
            assert served.context.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
            assert app.found == [id_of(served)]

    run_real(story)


@pytest.mark.parametrize(
    ("known", "method", "name", "told_as"),
    [
        ("", "QUERY", "QUERY", ("QUERY", None)),
        ("", "get", "HTTP", ("_OTHER", "get")),
        ("GET, BREW", "BREW", "BREW", ("BREW", None)),
        ("GET, BREW", "POST", "HTTP", ("_OTHER", "POST")),
    ],
)
def test_methods_that_are_known(
    seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
    known: str,
    method: str,
    name: str,
    told_as: tuple[str, str | None],
) -> None:
    monkeypatch.setenv(KNOWN_METHODS_VARIABLE, known)
    http = Http(Providers(seen.tracers, seen.meters))
    head = RequestHead(method.encode(), b"*", [(b"Host", b"u:p@a.test")])
    operation, _ = http.send(head)
    operation.end()
    span = seen.client()
    assert span.name == name
    found = told(span)
    assert (found["http.request.method"], found.get("http.request.method_original")) == told_as
    assert found["url.full"] == "http://REDACTED:REDACTED@a.test"
