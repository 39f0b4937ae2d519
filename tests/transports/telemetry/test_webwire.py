"""The spans and durations of webwire's requests."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from tests.transports.conftest import Run
from tests.transports.telemetry.seen import Seen, id_of, parent_of, told
from wirecore.errors import UnsendableMessage
from wirecore.protocols.webwire import DeadlineExceeded, InternalError, RequestError
from wirecore_trio import webwire


class Server:
    """Handlers of all kinds; *found*: the spans that they ran in."""

    def __init__(self) -> None:
        self.found: list[int] = []
        self.signals: list[str] = []

    def note(self) -> None:
        self.found.append(get_current_span().get_span_context().span_id)

    def prepare(self, server: webwire.Server) -> None:
        """Give *server* its handlers."""

        @server.request("task")
        async def task(request: webwire.Request[Any]) -> Any:
            self.note()
            return request.payload

        @server.request("thread")
        def thread(request: webwire.Request[Any]) -> Any:
            self.note()
            return request.payload

        @server.request("inline", inline=True)
        def inline(request: webwire.Request[Any]) -> Any:
            self.note()
            return request.payload

        @server.request("refuse")
        async def refuse(request: webwire.Request[Any]) -> None:
            raise RequestError("NOT_NOW", "secret")

        @server.request("break")
        async def break_down(request: webwire.Request[Any]) -> None:
            raise ValueError("secret")

        @server.request("wrong")
        async def wrong(request: webwire.Request[Any]) -> Any:
            return 3.5

        @server.request("wait")
        async def wait(request: webwire.Request[Any]) -> None:
            await trio.sleep_forever()

        @server.signal("inline news", inline=True)
        def inline_news(signal: webwire.Signal[Any]) -> None:
            self.signals.append(signal.name)

        @server.signal("news")
        async def news(signal: webwire.Signal[Any]) -> None:
            self.signals.append(signal.name)


def test_submitted_requests_belong_to_who_submitted_them(
    seen: Seen, open_webwire: Any, run_sockets: Run
) -> None:
    tracer = seen.tracers.get_tracer("user")
    server = Server()

    async def story() -> None:
        async with open_webwire(server.prepare) as world, world.connect() as client:
            done: webwire.Done[Any] = webwire.Done()
            spans = {}
            for number in range(5):
                with tracer.start_as_current_span(f"outer {number}") as outer:
                    client.submit("task", number, codec=webwire.Json(), done=done)
                    spans[outer.get_span_context().span_id] = number
            failing = client.submit("refuse", "", done=done)
            unsendable = client.submit("task", {1, 2}, codec=webwire.Json())
            assert unsendable.done  # nothing is sent, and nothing told
            ended = [await done.receive() for _ in range(6)]
            assert sorted(each.result() for each in ended if each is not failing) == [0, 1, 2, 3, 4]
            calls = seen.of(SpanKind.CLIENT)
            assert {parent_of(span) for span in calls if parent_of(span)} == set(spans)
            assert all(told(span)["server.port"] == world.port for span in calls)
            [failed] = [span for span in calls if span.name == "refuse"]
            assert told(failed)["rpc.response.status_code"] == "NOT_NOW"
            assert len(calls) == 6

    run_sockets(story)
    tasks = [span for span in seen.of(SpanKind.SERVER) if span.name == "task"]
    assert set(server.found) == {id_of(span) for span in tasks}


@pytest.mark.parametrize("name", ["task", "thread", "inline"])
def test_a_request_has_a_span_at_each_side(
    seen: Seen, open_webwire: Any, run_sockets: Run, name: str
) -> None:
    server = Server()

    async def story() -> None:
        async with open_webwire(server.prepare) as world, world.connect() as client:
            assert (await client.request(name, "secret")).text == "secret"
            address = {"server.address": "127.0.0.1", "server.port": world.port}
            assert seen.client().name == seen.server().name == name
            shared = {"rpc.system.name": "webwire", "rpc.method": name}
            assert told(seen.client()) == shared | address
            found = told(seen.server())
            assert found.pop("client.address") == "127.0.0.1"
            assert found.pop("client.port") != world.port
            assert found == shared
            assert parent_of(seen.server()) == id_of(seen.client())
            assert server.found == [id_of(seen.server())]

    run_sockets(story)
    for side in ("client", "server"):
        [(attributes, (count, _))] = seen.durations(f"rpc.{side}.call.duration").items()
        assert dict(attributes)["rpc.method"] == name
        assert "client.port" not in dict(attributes)
        assert count == 1


@pytest.mark.parametrize(
    ("name", "raised", "client", "server", "status"),
    [
        ("refuse", RequestError, "NOT_NOW", "NOT_NOW", "NOT_NOW"),
        ("break", InternalError, "InternalError", "ValueError", None),
        ("wrong", InternalError, "InternalError", "TypeError", None),
        ("nobody's", RequestError, "UNKNOWN_REQUEST", "UNKNOWN_REQUEST", "UNKNOWN_REQUEST"),
    ],
)
def test_errors(
    seen: Seen,
    open_webwire: Any,
    run_sockets: Run,
    name: str,
    raised: type[Exception],
    client: str,
    server: str,
    status: str | None,
) -> None:
    async def story() -> None:
        async with open_webwire(Server().prepare) as world, world.connect() as asking:
            with pytest.raises(raised):
                await asking.request(name, "secret")

    run_sockets(story)
    assert told(seen.client())["error.type"] == client
    assert told(seen.server())["error.type"] == server
    for span in seen.spans:
        assert told(span).get("rpc.response.status_code") == status
        assert span.status.status_code is StatusCode.ERROR
        assert "secret" not in span.to_json()


def test_unknown_requests_behind_one_that_fails_are_told_from_it(
    seen: Seen, open_webwire: Any, run_sockets: Run
) -> None:
    async def story() -> None:
        async with (
            open_webwire(Server().prepare) as world,
            world.connect() as client,
            trio.open_nursery() as nursery,
        ):
            # One after the other: the second waits at the server until the first has failed.
            async def ask(name: str) -> None:
                with pytest.raises((RequestError, InternalError)):
                    await client.request(name, "x")

            nursery.start_soon(ask, "break")
            await trio.lowlevel.checkpoint()
            nursery.start_soon(ask, "nobody's")

    run_sockets(story)
    served = [told(span) for span in seen.of(SpanKind.SERVER)]
    found = {each["rpc.method"]: each["error.type"] for each in served}
    assert found == {"break": "ValueError", "_OTHER": "UNKNOWN_REQUEST"}


def test_a_handler_of_all_others_has_one_name(
    seen: Seen, open_webwire: Any, run_sockets: Run
) -> None:
    async def story() -> None:
        def prepare(server: webwire.Server) -> None:
            server.request(inline=True)(lambda request: request.payload)

        async with open_webwire(prepare) as world, world.connect() as client:
            for name in ("one", "two"):
                await client.request(name, "x")

    run_sockets(story)
    [(attributes, (count, _))] = seen.durations("rpc.server.call.duration").items()
    assert (dict(attributes)["rpc.method"], count) == ("_OTHER", 2)
    originals = {told(span).get("rpc.method_original") for span in seen.spans}
    assert originals == {None, "one", "two"}


def test_time_and_cancellation_and_signals(seen: Seen, open_webwire: Any, run_sockets: Run) -> None:
    server = Server()

    async def story() -> None:
        async with open_webwire(server.prepare, concurrency=-1) as world, world.connect() as client:
            with pytest.raises(DeadlineExceeded):
                await client.request("wait", "x", timeout=1)
            assert told(seen.client())["error.type"] == "DeadlineExceeded"
            seen.forget()
            with trio.move_on_after(1):
                await client.request("wait", "x")
            assert told(seen.client())["error.type"] == "cancelled"
            seen.forget()
            await client.signal("news", "x")
            await client.signal("inline news", "x")
            await client.request("task", "x")
            assert sorted(server.signals) == ["inline news", "news"]
            assert {span.name for span in seen.spans} == {"task"}
            with pytest.raises((TypeError, UnsendableMessage)):
                await client.request(3, "x")

    run_sockets(story)
