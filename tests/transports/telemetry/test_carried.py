"""Who serves belongs to who calls: what is carried beside calls, between ends that have agreed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import pytest
import trio
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from tests.transports.conftest import Run
from tests.transports.telemetry.seen import Seen, context_of, id_of, parent_of, told
from wirecore._backend import Backend
from wirecore.session.fields import write_fields
from wirecore_trio import pool, webwire, wsrpc
from wirecore_trio._link import StreamLink
from wirecore_trio.telemetry import uninstrument
from wirecore_trio.testing import (
    Network,
    ScriptedPeer,
    pool_pair,
    webwire_pair,
    wsrpc_credentials,
    wsrpc_pair,
)
from wirecore_trio.wsrpc._upgrade import upgrade

#: A call of something that answers with what it was called with.
Call: TypeAlias = Callable[[str], Awaitable[str]]

CALLER = SpanContext(
    0x0AF7651916CD43DD8448EB211C80319C,
    0xB7AD6B7169203331,
    is_remote=False,
    trace_flags=TraceFlags(TraceFlags.SAMPLED),
    trace_state=TraceState([("vendor", "value"), ("other", "1")]),
)


class Service:
    """Answers, and notes what its handlers belong to."""

    def __init__(self) -> None:
        self.contexts: list[SpanContext] = []
        self.baggage: list[dict[str, object]] = []

    def note(self) -> None:
        self.contexts.append(get_current_span().get_span_context())
        self.baggage.append(dict(baggage.get_all()))

    @pool.exported
    async def task(self, text: str) -> str:
        self.note()
        return text

    @pool.exported(inline=True)
    def inline(self, text: str) -> str:
        self.note()
        return text

    async def of_wsrpc(self, payload: bytes, peer: wsrpc.Peer) -> bytes:
        self.note()
        return payload

    async def of_webwire(self, request: webwire.Request[Any]) -> str:
        self.note()
        return request.text


@asynccontextmanager
async def over_pool(codec: Any, method: str, backend: Backend, service: Any) -> AsyncIterator[Call]:
    server = pool.PoolServer(codec_backend=backend)
    server.bind("/pool", codec=codec)
    provider = pool.Provider(service, backend=backend)
    async with pool_pair(server, provider, "/pool", codec=codec):
        yield lambda text: server.call(f"Service.{method}", text, str)


@asynccontextmanager
async def over_call_backs(codec: Any, backend: Backend, service: Any) -> AsyncIterator[Call]:
    server = pool.PoolServer(codec_backend=backend)
    server.serve_callbacks("/back", service, codec=codec)
    async with Network() as network:
        await network.start(server.serve, "pool.test", 80)
        provider = pool.Provider(backend=backend)
        connecting = provider.connect_callbacks("ws://pool.test/back", codec=codec, wait=True)
        async with connecting as client:
            yield lambda text: client.call("Service.Task", text, str)


@asynccontextmanager
async def over_wsrpc(to_client: bool, backend: Backend, service: Any) -> AsyncIterator[Call]:
    for_server, for_client = wsrpc_credentials()
    handlers = {"Task": service.of_wsrpc}
    server = wsrpc.Server(for_server, handlers={} if to_client else handlers, backend=backend)
    pair = wsrpc_pair(server, for_client, handlers=handlers if to_client else {}, backend=backend)
    async with pair as client:
        peer = server.peer(server.connected_keys[0]) if to_client else client

        async def call(text: str) -> str:
            return (await peer.call("Task", text.encode())).decode()

        yield call


@asynccontextmanager
async def over_webwire(inline: bool, backend: Backend, service: Any) -> AsyncIterator[Call]:
    server = webwire.Server(backend=backend)
    if inline:

        @server.request("Task", inline=True)
        def handle(request: webwire.Request[Any]) -> str:
            service.note()
            return request.text
    else:
        server.request("Task")(service.of_webwire)
    async with webwire_pair(server, backend=backend) as client:

        async def call(text: str) -> str:
            return (await client.request("Task", text)).text

        yield call


WAYS: dict[str, Any] = {
    "pool, gob": partial(over_pool, "gob", "Task"),
    "pool, JSON": partial(over_pool, "json", "Task"),
    "pool, inline": partial(over_pool, "gob", "Inline"),
    "call-backs, gob": partial(over_call_backs, "gob"),
    "call-backs, JSON": partial(over_call_backs, "json"),
    "wsrpc, to the server": partial(over_wsrpc, False),
    "wsrpc, to a client": partial(over_wsrpc, True),
    "webwire": partial(over_webwire, False),
    "webwire, inline": partial(over_webwire, True),
}

every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def belongs(served: ReadableSpan, call: ReadableSpan) -> bool:
    """Whether *served* says that it is of *call*."""
    assert served.parent is not None
    assert served.parent.is_remote
    same = context_of(served).trace_id == context_of(call).trace_id
    return same and parent_of(served) == id_of(call)


@every_way
def test_who_serves_belongs_to_who_calls(seen: Seen, run: Run, backend: Backend, way: Any) -> None:
    service = Service()

    async def story() -> None:
        async with way(backend, service) as call:
            assert await call("x") == "x"
            assert belongs(seen.server(), seen.client())
            assert service.contexts[0].span_id == id_of(seen.server())
            seen.forget()
            # Of many at once each belongs to its own.
            async with trio.open_nursery() as nursery:
                for number in range(20):
                    with seen.tracers.get_tracer("user").start_as_current_span(str(number)):
                        nursery.start_soon(call, "x" * number)
            calls = {id_of(span): span for span in seen.of(SpanKind.CLIENT)}
            assert len({context_of(span).trace_id for span in calls.values()}) == 20
            served = seen.of(SpanKind.SERVER)
            assert all(belongs(span, calls[parent_of(span) or 0]) for span in served)
            assert len({parent_of(span) for span in served}) == 20

    run(story)


@every_way
@pytest.mark.parametrize("flags", [TraceFlags.SAMPLED, TraceFlags.DEFAULT])
def test_what_the_trace_says_comes_along(
    seen: Seen, run: Run, backend: Backend, way: Any, flags: int
) -> None:
    service = Service()
    caller = SpanContext(
        CALLER.trace_id, CALLER.span_id, False, TraceFlags(flags), CALLER.trace_state
    )

    async def story() -> None:
        async with way(backend, service) as call:
            context = set_span_in_context(NonRecordingSpan(caller))
            token = attach(baggage.set_baggage("user", "7 é", context))
            try:
                await call("x")
            finally:
                detach(token)
            await call("x")

    run(story)
    found, other = service.contexts
    assert found.trace_id == caller.trace_id
    assert found.trace_flags == flags
    assert dict(found.trace_state) == dict(caller.trace_state)
    assert service.baggage == [{"user": "7 é"}, {}]
    assert other.trace_id != caller.trace_id
    assert not other.trace_state
    # What isn't sampled by who calls isn't by who serves, and so nothing of it is left.
    traces = [context_of(span).trace_id for span in seen.spans]
    assert traces.count(caller.trace_id) == (2 if flags else 0)


@every_way
def test_nothing_is_carried_once_nobody_wants_it(
    seen: Seen, run: Run, backend: Backend, way: Any
) -> None:
    service = Service()

    async def story() -> None:
        async with way(backend, service) as call:
            uninstrument()
            with seen.tracers.get_tracer("user").start_as_current_span("outer"):
                await call("x")
            assert not service.contexts[0].is_valid

    run(story)


async def answer(peer: ScriptedPeer, number: int) -> list[str | bytes]:
    """What *peer* gets until it has the whole call with this *number*, which it answers."""
    messages: list[str | bytes] = []
    while not (isinstance(message := await peer.receive(), bytes) and message.endswith(b"\n")):
        messages.append(message)
    await peer.send(b'{"id":%d,"result":"y","error":null}\n' % number)
    return [*messages, message]


@pytest.mark.parametrize("agreed", [False, True])
def test_what_a_provider_gets(seen: Seen, run: Run, backend: Backend, agreed: bool) -> None:
    """One that hasn't agreed, such as an original, gets the same bytes, traced or not."""
    got: list[list[str | bytes]] = []

    async def story() -> None:
        server = pool.PoolServer(codec_backend=backend)
        server.bind("/pool", codec="json")
        async with Network() as network:
            await network.start(server.serve, "pool.test", 80)
            async with await network.scripted_client("ws://pool.test/pool") as peer:
                await peer.upgrade("/pool", subprotocols=("wirecore.pool.v1",) if agreed else ())
                for number in range(2):
                    pending = server.submit("A.B", "x", str)
                    got.append(await answer(peer, number))
                    assert await pending.wait() == "y"
                    uninstrument()
            await server.drain()

    run(story)
    traced, untraced = got
    call = b'{"method":"A.B","params":["x"],"id":%d}\n'
    assert untraced == [call % 1]
    if agreed:
        said, *traced = traced
        fields = {"traceparent": _traceparent(seen.client())}
        assert said == write_fields(0, fields).decode()
    assert traced == [call % 0]


def _traceparent(span: ReadableSpan) -> str:
    context = context_of(span)
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def test_a_call_whose_provider_is_lost_stays_the_same_call(
    seen: Seen, run: Run, backend: Backend
) -> None:
    async def story() -> None:
        server = pool.PoolServer(codec_backend=backend)
        server.bind("/pool")
        async with Network() as network:
            await network.start(server.serve, "pool.test", 80)
            async with await network.scripted_client("ws://pool.test/pool") as lost:
                await lost.upgrade("/pool", subprotocols=("wirecore.pool.v1",))
                pending = server.submit("Service.Task", "x", str, idempotent=True)
                said = await lost.receive()
            provider = pool.Provider(Service(), backend=backend)
            async with provider.serve("ws://pool.test/pool"):
                assert await pending.wait() == "x"
            assert _traceparent(seen.client()) in str(said)
            assert belongs(seen.server(), seen.client())
            await server.drain()

    run(story)


@pytest.mark.parametrize("agreed", [False, True])
def test_what_a_webwire_server_gets(seen: Seen, run: Run, backend: Backend, agreed: bool) -> None:
    got: list[str | bytes] = []
    offered: list[object] = []

    async def script(peer: ScriptedPeer) -> None:
        request = await peer.accept(subprotocol="wirecore.webwire.v1" if agreed else None)
        offered.append(request.subprotocols)
        await peer.send(webwire_settings())
        while True:
            message = await peer.receive()
            got.append(message)
            if isinstance(message, bytes):
                await peer.send(b"\xbf" + message[1:9] + b"y")

    async def story() -> None:
        async with Network() as network:
            url = "ws://server.test/"
            network.scripted(url, script)
            async with webwire.connect(url, backend=backend) as client:
                assert (await client.request("a", b"x")).data == b"y"
            uninstrument()
            if not agreed:  # then it isn't offered, and mustn't be agreed to
                async with webwire.connect(url, backend=backend) as client:
                    assert (await client.request("a", b"x")).data == b"y"

    run(story)
    request = b"\x7f\x01" + bytes(7) + b"\x01ax"
    if agreed:
        fields = {"traceparent": _traceparent(seen.client())}
        assert got == [write_fields(1, fields).decode(), request]
    else:
        assert got == [request] * 2
    assert offered == [("wirecore.webwire.v1",), ()][: len(offered)]


def webwire_settings() -> bytes:
    from wirecore.protocols.webwire import accept_conf

    return accept_conf(60, 8192).encode()


def test_what_a_wsrpc_client_asks_for(seen: Seen, run: Run) -> None:
    """The same as ever, but that it may offer something; who doesn't know it, as Go, ignores it."""
    asked: list[list[bytes]] = []

    async def ask(stream: trio.abc.Stream) -> None:
        assert await upgrade(StreamLink(stream), "server.test:1") == (False, b"")

    async def story() -> None:
        for _ in range(2):
            ours, theirs = trio.testing.memory_stream_pair()
            async with ScriptedPeer(theirs) as peer, trio.open_nursery() as nursery:
                nursery.start_soon(ask, ours)
                request = await peer.accept()
                asked.append([b": ".join(field) for field in request.headers])
            uninstrument()

    run(story)
    traced, untraced = [[line for line in lines if b"key:" not in line.lower()] for lines in asked]
    offer = [line for line in traced if line not in untraced]
    assert [line.lower() for line in offer] == [b"sec-websocket-protocol: wirecore.wsrpc.v1"]
    assert [line for line in traced if line not in offer] == untraced


@pytest.mark.parametrize("protocol", ["wsrpc", "webwire"])
def test_what_was_not_agreed_as_it_was_opened_is_not_carried(
    seen: Seen, run: Run, backend: Backend, protocol: str
) -> None:
    service = Service()
    way = WAYS["wsrpc, to the server" if protocol == "wsrpc" else "webwire"]
    uninstrument()

    async def story() -> None:
        async with way(backend, service) as call:
            later = Seen()
            assert await call("x") == "x"
            assert parent_of(later.server()) is None
            assert later.client().name == later.server().name

    run(story)


HOSTILE = [
    '{"call":0,"fields":{"traceparent":"garbage"}}',
    f'{{"call":0,"fields":{{"traceparent":"00-{0:032}-{0:016}-01"}}}}',
    '{"call":0,"fields":{"traceparent":"é","tracestate":"\\ud800"}}',
    '{"call":0,"fields":{"traceparent":5}}',
    '{"call":0,"fields":{"tracestate":"%s"}}' % ("a=1," * 900),
    '{"call":0,"fields":{"baggage":"%s"}}' % ("%,=;" * 900),
    '{"call":0,"fields":{"traceparent":"%s"}}' % ("0" * 1_000_000),
    '{"call":' + "[" * 2000,
    "\N{SNOWMAN}",
    "",
]


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_what_says_nothing_does_no_harm(seen: Seen, run: Run, backend: Backend, said: str) -> None:
    answered = trio.Event()

    async def script(peer: ScriptedPeer) -> None:
        await peer.accept(subprotocol="wirecore.pool.v1")
        await peer.send(said)
        await peer.send(b'{"method":"Service.Task","params":["x"],"id":0}\n')
        await peer.expect(b'{"id":0,"result":"x","error":null}\n')
        answered.set()
        await peer.expect_close()

    async def story() -> None:
        async with Network() as network:
            network.scripted("ws://pool.test/pool", script)
            provider = pool.Provider(Service(), backend=backend)
            async with provider.serve("ws://pool.test/pool", codec="json"):
                with trio.fail_after(60):
                    await answered.wait()

    run(story)
    assert parent_of(seen.server()) is None
    assert not context_of(seen.server()).trace_state


def test_what_is_refused_belongs_to_its_caller(seen: Seen, run: Run, backend: Backend) -> None:
    async def wait(payload: bytes, peer: wsrpc.Peer) -> bytes:
        await trio.sleep_forever()
        return payload

    async def story() -> None:
        for_server, for_client = wsrpc_credentials()
        options = wsrpc.Options(max_handlers=1)
        server = wsrpc.Server(for_server, handlers={"Wait": wait}, options=options, backend=backend)
        async with (
            wsrpc_pair(server, for_client, backend=backend) as client,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(client.call, "Wait", b"")
            await trio.testing.wait_all_tasks_blocked()
            for method in ("Wait", "Nothing"):
                with pytest.raises(wsrpc.RpcError):
                    await client.call(method, b"")
                assert belongs(seen.server(), seen.client())
                seen.forget()
            nursery.cancel_scope.cancel()
        webwires = webwire.Server(backend=backend)
        async with webwire_pair(webwires, backend=backend) as asking:
            seen.forget()
            with pytest.raises(webwire.RequestError):
                await asking.request("nothing", b"x")
            assert told(seen.server())["error.type"] == "UNKNOWN_REQUEST"
            assert belongs(seen.server(), seen.client())

    run(story)
