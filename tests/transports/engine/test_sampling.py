"""What isn't sampled costs one span a message, and leaves nothing but its trace's id."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.transports.conftest import Run
from tests.transports.engine.scripted import Line, Scripted, ScriptedMany
from wirecore_trio.engine import Callbacks, Engine, Message, Options, Session

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)

URL = "ws://feed.example/"


def provider(sampler: Sampler) -> tuple[TracerProvider, InMemorySpanExporter]:
    """One, and what it exports."""
    made, exporter = TracerProvider(sampler=sampler), InMemorySpanExporter()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made, exporter


async def outage(adapter: Scripted) -> None:
    """Messages, a loss, an attempt that fails, and one that doesn't."""
    adapter.lines[0].bring("m1", "m2")
    await trio.testing.wait_all_tasks_blocked()
    adapter.lines[0].lose()
    await trio.sleep(2)
    adapter.lines[2].bring("m3")
    await trio.testing.wait_all_tasks_blocked()


def refuses_the_second(line: Line) -> None:
    """See Scripted."""
    if line.number == 2:
        raise ConnectionRefusedError("nobody listens")


OPTIONS = Options(workers=1, retry_delay_base=1)


@pytest.mark.parametrize(
    "sampler", [ALWAYS_OFF, ParentBased(TraceIdRatioBased(0))], ids=["off", "by the parent"]
)
def test_nothing_is_exported_and_callbacks_know_their_trace(run: Run, sampler: Sampler) -> None:
    async def story() -> None:
        told: list[trace.SpanContext] = []
        callbacks = Callbacks()

        @callbacks.on_message
        async def note(session: Session, message: Message) -> None:
            with made.get_tracer("user").start_as_current_span("user's") as span:
                told.append(span.get_span_context())
            await session.send("answer")

        made, exporter = provider(sampler)
        adapter = Scripted(refuses_the_second)
        async with Engine(URL, callbacks, OPTIONS, adapter=adapter, tracer_provider=made):
            await outage(adapter)
        assert exporter.get_finished_spans() == ()
        assert len({each.trace_id for each in told}) == 3
        assert all(each.is_valid and not each.trace_flags.sampled for each in told)

    run(story)


def test_of_many_traces_those_that_are_sampled_are_whole(run: Run) -> None:
    async def story() -> None:
        made, exporter = provider(ParentBased(TraceIdRatioBased(0.5)))
        adapter = Scripted()
        callbacks = Callbacks()
        callbacks.on_message(lambda session, message: None)
        async with Engine(URL, callbacks, OPTIONS, adapter=adapter, tracer_provider=made):
            for _ in range(200):
                adapter.lines[0].bring("x")
                await trio.testing.wait_all_tasks_blocked()
        names: dict[int, set[str]] = {}
        for span in exporter.get_finished_spans():
            context = span.get_span_context()
            assert context is not None
            names.setdefault(context.trace_id, set()).add(span.name)
        runs = [each for each in names.values() if "wscengine.callback.on_message" in each]
        assert 50 < len(runs) < 150
        assert all(
            each
            == {
                "wscengine.background.run",
                "websocket.read",
                "wscengine.callback.on_message",
            }
            for each in runs
        )

    run(story)


def test_a_caller_that_is_not_sampled_leaves_the_messages_traces_as_they_are(run: Run) -> None:
    """They are roots; only start and stop are below the caller's span."""

    async def story() -> None:
        made, exporter = provider(ParentBased(ALWAYS_ON))
        unsampled, _ = provider(ALWAYS_OFF)
        adapter = ScriptedMany()
        callbacks = Callbacks()
        callbacks.on_message(lambda session, message: None)
        with unsampled.get_tracer("user").start_as_current_span("the caller's"):
            async with Engine(URL, callbacks, OPTIONS, adapter=adapter, tracer_provider=made):
                adapter.lines[0].bring("m1")
                await trio.testing.wait_all_tasks_blocked()
        names = {span.name for span in exporter.get_finished_spans()}
        assert "wscengine.callback.on_message" in names
        assert not names & {"wscengine.start", "wscengine.stop", "wscengine.background.shutdown"}

    run(story)
