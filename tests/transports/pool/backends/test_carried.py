"""A call's trace goes with it by way of Redis, to the provider of another server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from tests.transports.conftest import Run
from tests.transports.pool.backends.test_pool_servers import (  # noqa: F401 - a fixture
    Two,
    knows,
    two,
)
from tests.transports.pool.world import Echo
from tests.transports.redis_server import RedisServer
from tests.transports.telemetry.seen import Seen, id_of, parent_of
from wirecore_trio.pool.backends import RemoteCall
from wirecore_trio.telemetry import uninstrument

# coredis leaves the buffers of a connection that couldn't be opened to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Unclosed <MemoryObject:ResourceWarning",
    "ignore:Exception ignored in. <function MemoryObject:pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture
def seen() -> Iterator[Seen]:
    """All that is called is seen."""
    seen = Seen()
    yield seen
    uninstrument()


@pytest.mark.parametrize("codec", ["gob", "json"])
def test_a_provider_of_another_server_belongs_to_who_calls(
    seen: Seen,
    two: Two,  # noqa: F811
    run_real: Run,
    redis_for_all: RedisServer,
    codec: str,
) -> None:
    async def main() -> None:
        # What the servers run in is nobody's caller.
        with seen.tracers.get_tracer("user").start_as_current_span("serving") as serving:
            async with two(redis_for_all, codec) as (here, there):
                await there.provide(Echo(), codec=codec, name="there")
                await knows(here, "there")
                calls = []
                for number in range(3):
                    with seen.tracers.get_tracer("user").start_as_current_span("outer") as outer:
                        assert await here.server.call("Echo.Number", number, int) == number
                    calls.append(outer.get_span_context().span_id)
                uninstrument()
                untraced = here.server.submit("Echo.Number", 3, int)
                assert await untraced.wait() == 3
        made = {id_of(span): parent_of(span) for span in seen.of(SpanKind.CLIENT)}
        assert list(made.values()) == calls
        assert [parent_of(span) for span in seen.of(SpanKind.SERVER)] == list(made)
        assert serving.get_span_context().span_id not in made.values()

    run_real(main)


def test_a_call_of_a_node_that_carries_nothing_belongs_to_nothing(
    seen: Seen,
    two: Two,  # noqa: F811
    run_real: Run,
    redis_for_all: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as one that isn't instrumented, in a process of its own."""

    async def main() -> None:
        from wirecore_trio.pool._node import LocalNode

        instrumented: Any = LocalNode._remote_call
        handed: list[RemoteCall] = []

        def remote_call(self: LocalNode, *arguments: Any) -> RemoteCall:
            handed.append(instrumented.__wrapped__(self, *arguments))
            return handed[-1]

        monkeypatch.setattr(LocalNode, "_remote_call", remote_call)
        with seen.tracers.get_tracer("user").start_as_current_span("serving"):
            async with two(redis_for_all) as (here, there):
                await there.provide(Echo(), name="there")
                await knows(here, "there")
                assert await here.server.call("Echo.Number", 7, int) == 7
        assert [call.fields for call in handed] == [()]
        assert parent_of(seen.server()) is None

    run_real(main)
