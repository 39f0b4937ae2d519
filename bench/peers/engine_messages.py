"""Takes what ``flood`` sends: with wirecore's engine, or in a bare loop beside it.

A driver only. Options: ``through``: ``engine``, or ``loop``, which receives and nothing else;
``library``: ``wirecore``, or ``websockets``; ``workers`` of the engine; ``tracing``: ``off``
(there is no tracer provider), ``unsampled`` (OpenTelemetry's SDK, which keeps nothing), or ``on``
(it makes each span, and hands it to an exporter that does nothing).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from typing import TYPE_CHECKING

import trio

import wirecore
from bench.peers.load import Meter, Outcome, Task
from wirecore._backend import default
from wirecore_trio import engine, websocket
from wirecore_trio.engine.adapters import Adapter, WirecoreAdapter

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExportResult

VERSION = f"wirecore {wirecore.__version__}, backend {default.name}"


class Counter:
    """Counts messages, and compares them, so many at a time that this costs next to nothing."""

    def __init__(self, task: Task) -> None:
        self._texts = task.texts()
        self._got: list[object] = []
        self.meter = Meter(task)

    def take(self, message: object) -> bool:
        """A message came. True once the measurement is over."""
        got = self._got
        got.append(message)
        if len(got) < len(self._texts) or self.meter.over:
            return self.meter.over
        self.meter.check_all(got, self._texts)
        got.clear()
        return self.meter.arrived(len(self._texts))


def drive(task: Task) -> Outcome:
    """Takes messages as long as it is told."""
    counter = Counter(task)
    looped = task.options["through"] == "loop"
    trio.run(loop if looped else through_engine, task, counter)
    return counter.meter.outcome()


async def loop(task: Task, counter: Counter) -> None:
    """As a program does that needs no engine."""
    with trio.CancelScope() as scope:  # it leaves without a word: the server hears none
        if of_websockets(task):
            from websockets.trio.client import connect

            async with connect(url(task), compression=None, proxy=None) as connection:
                await receive(connection, counter)
                scope.cancel()
        else:
            async with websocket.connect(url(task)) as ws:
                await receive(ws, counter)
                scope.cancel()


async def receive(connection: AsyncIterable[object], counter: Counter) -> None:
    """The bare loop."""
    async for message in connection:
        if counter.take(message):
            return


async def through_engine(task: Task, counter: Counter) -> None:
    """With an async callback that counts."""
    over = trio.Event()
    callbacks = engine.Callbacks()

    @callbacks.on_message
    async def count(session: engine.Session, message: engine.Message) -> None:
        if counter.take(message):
            over.set()

    with trio.CancelScope() as scope:
        async with engine.Engine(
            url(task),
            callbacks,
            engine.Options(workers=int(task.options["workers"])),
            adapter=adapter(task),
            tracer_provider=provider(task.options["tracing"]),
        ):
            await over.wait()
            scope.cancel()


def url(task: Task) -> str:
    """The server's."""
    return f"ws://127.0.0.1:{task.port}/"


def of_websockets(task: Task) -> bool:
    """Whether option ``library`` asks for that one."""
    return task.options["library"] == "websockets"


def adapter(task: Task) -> Adapter:
    """What the engine stands on."""
    if of_websockets(task):
        from wirecore_trio.engine.adapters import WebsocketsAdapter

        return WebsocketsAdapter(compression=None, proxy=None)
    return WirecoreAdapter()


def provider(tracing: str) -> TracerProvider | None:
    """Where the engine's spans go."""
    if tracing == "off":
        return None
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    class Nowhere(SpanExporter):
        """Whatever takes spans elsewhere is no part of this."""

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    made = TracerProvider(sampler=ALWAYS_ON if tracing == "on" else ALWAYS_OFF)
    made.add_span_processor(SimpleSpanProcessor(Nowhere()))
    return made
