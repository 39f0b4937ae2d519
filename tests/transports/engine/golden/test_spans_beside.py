"""Spans that no recorded scenario has: of failures that end the original's process, or pass by."""

from __future__ import annotations

from typing import Any, Final

import pytest
import trio
from opentelemetry.sdk.trace import TracerProvider

from tests.transports.conftest import Run
from tests.transports.engine.golden.spans import Collected, Node, shown
from tests.transports.engine.scripted import Diary, Scripted
from tests.transports.engine.test_engine import Noting, wait
from wirecore_trio import engine
from wirecore_trio.engine import Engine, Options, Session

URL: Final = "ws://feed.test/"


def _provider(collected: Collected) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(collected)
    return provider


def _named(nodes: list[Node], name: str) -> list[Node]:
    """Those of a forest whose text begins with *name*."""
    below = [found for node in nodes for found in _named(node.children, name)]
    return [node for node in nodes if node.text.startswith(f"{name} ")] + below


def test_a_failed_close_of_a_failed_start_is_recorded(run: Run) -> None:
    async def story() -> None:
        async def fail(session: Session) -> None:
            raise ValueError("on_open says no")

        adapter, collected = Scripted(), Collected()
        adapter.close_error = OSError("the peer has gone")
        provider = _provider(collected)
        handler = Noting(Diary(), on_open=fail)
        with pytest.raises(engine.EngineStartError):
            async with Engine(URL, handler, adapter=adapter, tracer_provider=provider):
                raise AssertionError("it has started")
        (started,) = collected.tree(0, URL, workers=1)
        assert started.children[0].text == (
            "background.start Error restart=False"
            " <connection_closed 1001 websocket client failed to start> <exception>"
            " <exception: websocket engine failed to start: on_open says no>"
        ), shown([started])

    run(story)


@pytest.mark.parametrize("name", ["on_message", "on_read_error", "on_close"])
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "later"])
def test_what_a_callback_raises_is_recorded_in_its_span(run: Run, name: str, waits: bool) -> None:
    async def fail(*_: object) -> Any:
        if waits:
            await trio.sleep(1)
        raise ValueError("injected")

    async def story() -> None:
        adapter, collected = Scripted(), Collected()
        handler = Noting(Diary(), **{name: fail})
        options = Options(workers=1)
        provider = _provider(collected)
        async with Engine(URL, handler, options, adapter=adapter, tracer_provider=provider):
            adapter.lines[0].bring("m", OSError("garbled"), "n")
            await wait(4)
        calls = _named(collected.tree(0, URL, workers=1), f"callback.{name}")
        assert calls
        assert all(" Error " in call.text for call in calls), shown(calls)
        assert all(call.text.endswith("<exception>") for call in calls), shown(calls)

    run(story)


def test_a_shutdown_is_below_the_span_of_who_asked_for_it(run: Run) -> None:
    async def story() -> None:
        collected = Collected()
        provider = _provider(collected)
        handler = Noting(Diary())
        async with Engine(URL, handler, adapter=Scripted(), tracer_provider=provider) as client:
            with provider.get_tracer("user").start_as_current_span("user.asks"):
                client.exit()
            await client.wait_ended()
        (asked,) = _named(collected.tree(0, URL, workers=1), "user.asks")
        assert [child.text.split()[0] for child in asked.children] == ["background.shutdown"]

    run(story)
