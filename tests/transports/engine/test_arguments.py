"""What makes no sense to an engine is refused where it is given, by its name and its bound."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from tests.transports.conftest import Run
from tests.transports.engine.libraries import adapters
from tests.transports.engine.scripted import Scripted
from wirecore.errors import InvalidOption
from wirecore_trio.engine import Callbacks, Engine, Heartbeat, Options, WirecoreAdapter
from wirecore_trio.engine.adapters import Adapter
from wirecore_trio.testing import Network, ScriptedPeer, ScriptedServer
from wirecore_trio.testing import run as run_story

URL = "ws://feed.example.com/"

#: Arguments that a checker of types would refuse, too.
given: Any = partial

make = given(Engine, URL, Callbacks())


class Half:
    """Some of an adapter."""

    async def dial(self, url: str) -> None: ...

    underlying = close = None


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (given(Engine, None, Callbacks()), TypeError, "url must be str, not NoneType"),
        (
            given(make, adapter=5),
            TypeError,
            "adapter must be an adapter: int has no dial, close, ping, receive, send, underlying",
        ),
        (
            given(make, adapter=Half()),
            TypeError,
            "adapter must be an adapter: Half has no close, ping, receive, send",
        ),
        (
            given(make, adapter=WirecoreAdapter),
            TypeError,
            "adapter must be an adapter, not the class WirecoreAdapter: make one of it",
        ),
        (
            given(make, tracer_provider="global"),
            TypeError,
            "tracer_provider must be a TracerProvider of OpenTelemetry, bool or None, not str",
        ),
        (given(make, autostart=None), TypeError, "autostart must be bool, not NoneType"),
        (given(make, options=0), TypeError, "options must be Options or None, not int"),
        (
            given(Options, retry_jitter=None),
            TypeError,
            "retry_jitter must be a number, not NoneType",
        ),
        (given(Options, retry_jitter=True), TypeError, "retry_jitter must be a number, not bool"),
        (
            given(Heartbeat, interval=1, message="\ud800"),
            InvalidOption,
            "message must be text, and it holds a lone surrogate",
        ),
    ],
)
def test_making_one(call: Callable[[], object], error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == told


def test_a_base_beyond_all_floats_is_a_whole_number() -> None:
    assert Options(retry_delay_base=10**400).lifecycle().next_deadline() == math.inf


@pytest.mark.parametrize("message", [None, 5, True, ["a"], {"a": 1}])
def test_what_is_no_message(run: Run, message: Any) -> None:
    async def story() -> None:
        adapter = Scripted()
        async with Engine(URL, Callbacks(), adapter=adapter) as client:
            assert client.session is not None
            for send in (client.send, client.session.send):
                with pytest.raises(TypeError, match=r"^message must be str or bytes, not "):
                    await send(message)
            assert adapter.lines[0].sent == []

    run(story)


# --- adapters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make_adapter", adapters())
def test_keywords_that_a_library_doesnt_take(make_adapter: Callable[..., Adapter]) -> None:
    for name in ("header", "uri"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            make_adapter(**{name: "ws://elsewhere.example.com/"})


@pytest.mark.parametrize("make_adapter", adapters())
def test_urls_and_closes_that_make_no_sense(make_adapter: Callable[[], Adapter]) -> None:
    async def stay(peer: ScriptedPeer) -> None:
        await peer.accept()
        await peer.wait_ended()

    async def refused(call: Callable[[], Awaitable[object]], told: str) -> None:
        with pytest.raises((InvalidOption, TypeError), match=told):
            await call()
        assert adapter.underlying is None

    async def story() -> None:
        network.scripted(URL, stay)
        for url in (None, 5, b"ws://feed.example.com/"):
            await refused(given(adapter.dial, url), "url must be str, not ")
        for code in (1006, 5, 70_000):
            await adapter.dial(URL)
            told = f"close code {code} can't be sent"
            await refused(given(adapter.close, code, ""), told)
        await adapter.dial(URL)
        await refused(given(adapter.close, "1000", ""), "close code is an int")
        await adapter.dial(URL)
        await adapter.close(1000, "x" * 200)  # as much of it as a frame holds
        assert server(network)[-1].record[0].payload[2:] == b"x" * 123

    def server(network: Network) -> list[ScriptedPeer]:
        [found] = network._places.values()
        assert isinstance(found, ScriptedServer)
        return found.peers

    adapter, network = make_adapter(), Network()
    run_story(story, network=network)
