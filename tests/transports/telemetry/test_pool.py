"""The spans and durations of a pool's calls, to providers and back."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from opentelemetry.trace import SpanKind, get_current_span

from tests.transports.conftest import Run
from tests.transports.pool.world import Worker
from tests.transports.telemetry.seen import Seen, id_of, parent_of, told
from wirecore import errors
from wirecore_trio import pool

#: What a call goes by, over each codec.
SYSTEMS = {"gob": "go_net_rpc", "json": "jsonrpc"}


class Service:
    """Handlers of all kinds; *found*: the spans that they ran in."""

    def __init__(self) -> None:
        self.found: list[int] = []

    def note(self) -> None:
        self.found.append(get_current_span().get_span_context().span_id)

    @pool.exported
    async def task(self, text: str) -> str:
        self.note()
        return text

    @pool.exported
    def thread(self, text: str) -> str:
        self.note()
        return text

    @pool.exported(inline=True)
    def inline(self, text: str) -> str:
        self.note()
        return text

    @pool.exported
    async def fail(self, text: str) -> str:
        raise errors.RpcError(text)

    @pool.exported
    async def break_down(self, text: str) -> str:
        raise OSError(text)

    @pool.exported
    async def wrong(self, text: str) -> str:
        return 3.5  # type: ignore[return-value]


def bind(codec: str) -> Any:
    """What binds /pool and serves call-backs."""

    def prepare(server: pool.PoolServer) -> None:
        server.bind("/pool", codec=codec)
        server.serve_callbacks("/back", Service(), codec=codec)

    return prepare


@pytest.mark.parametrize("codec", ["gob", "json"])
@pytest.mark.parametrize("kind", ["Task", "Thread", "Inline"])
def test_a_call_has_a_span_at_each_side(
    seen: Seen, open_pool: Any, run_sockets: Run, codec: str, kind: str
) -> None:
    service = Service()

    async def story() -> None:
        async with open_pool(bind(codec)) as world:
            await world.provide(service, codec=codec)
            assert await world.server.call(f"Service.{kind}", "secret", str) == "secret"

    run_sockets(story)
    expected = {"rpc.system.name": SYSTEMS[codec], "rpc.method": f"Service.{kind}"}
    assert seen.client().name == seen.server().name == f"Service.{kind}"
    assert told(seen.client()) == expected
    assert expected.items() <= told(seen.server()).items()
    assert parent_of(seen.server()) == id_of(seen.client())
    assert service.found == [id_of(seen.server())]
    for side in ("client", "server"):
        [(attributes, (count, _))] = seen.durations(f"rpc.{side}.call.duration").items()
        assert (dict(attributes), count) == (expected, 1)


def test_submitted_calls_belong_to_who_submitted_them(
    seen: Seen, open_pool: Any, run_sockets: Run
) -> None:
    tracer = seen.tracers.get_tracer("user")

    async def story() -> None:
        async with open_pool(bind("gob")) as world:
            await world.provide(Service())
            connecting = world.provider().connect_callbacks(world.url("/back"), wait=True)
            async with connecting as back:
                for submit, port in ((world.server.submit, None), (back.submit, world.port)):
                    seen.forget()
                    spans, pending = {}, []
                    for number in range(5):
                        with tracer.start_as_current_span(f"outer {number}") as outer:
                            pending.append(submit("Service.Task", str(number), str))
                            spans[outer.get_span_context().span_id] = number
                    for number, each in enumerate(pending):
                        assert await each.wait() == str(number)
                    calls = seen.of(SpanKind.CLIENT)
                    assert {parent_of(span) for span in calls} == set(spans)
                    for span in calls:
                        assert told(span).get("server.port") == port

    run_sockets(story)


def test_call_backs(seen: Seen, open_pool: Any, run_sockets: Run) -> None:
    async def story() -> None:
        async with (
            open_pool(bind("json")) as world,
            world.provider().connect_callbacks(world.url("/back"), codec="json", wait=True) as back,
        ):
            assert await back.call("Service.Thread", "x", str) == "x"
            with pytest.raises(TypeError):
                await back.call(3)
            shared = {"rpc.system.name": "jsonrpc", "rpc.method": "Service.Thread"}
            address = {"server.address": "127.0.0.1", "server.port": world.port}
            assert told(seen.client()) == shared | address
            found = told(seen.server())
            assert found.pop("client.port") != world.port
            assert found == shared | {"client.address": "127.0.0.1"}

    run_sockets(story)


@pytest.mark.parametrize(
    ("method", "client", "server"),
    [
        ("Fail", "RpcError", "RpcError"),
        ("BreakDown", "RpcError", "OSError"),
        ("Wrong", "RpcError", "UnsendableGob"),
    ],
)
def test_errors(
    seen: Seen, open_pool: Any, run_sockets: Run, method: str, client: str, server: str
) -> None:
    async def story() -> None:
        async with open_pool(bind("gob")) as world:
            await world.provide(Service())
            with pytest.raises(errors.RpcError):
                await world.server.call(f"Service.{method}", "secret", str)

    run_sockets(story)
    assert told(seen.client())["error.type"] == client
    assert told(seen.server())["error.type"] == server
    assert not [span for span in seen.spans if "secret" in span.to_json()]


def test_time_cancellation_and_refusal(seen: Seen, open_pool: Any, run_sockets: Run) -> None:
    async def story() -> None:
        async with open_pool(bind("gob")) as world:
            with pytest.raises(pool.NoProvider):
                await world.server.call("Worker.Work", "x", timeout=1)
            assert told(seen.client())["error.type"] == "NoProvider"
            worker = Worker()
            await world.provide(worker, options={"max_handlers": 1})
            seen.forget()
            with trio.move_on_after(1):
                await world.server.call("Worker.Work", "x")
            assert told(seen.client())["error.type"] == "cancelled"
            seen.forget()
            with pytest.raises(errors.RpcError, match="too many"):
                await world.server.call("Worker.Work", "x")  # it is at the first one still
            assert told(seen.server())["error.type"] == "Overloaded"
            assert seen.server().name == "Worker.Work"
            seen.forget()
            with pytest.raises(TypeError):
                await world.server.call(3)
            assert seen.spans == []

    run_sockets(story)
