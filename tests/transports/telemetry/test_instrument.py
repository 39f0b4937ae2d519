"""Switching it on and off, and doing without."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import Any

import pytest
import trio
from opentelemetry import metrics, trace

import wirecore_trio.engine._engine
from tests.transports.conftest import Run
from tests.transports.telemetry.seen import Seen
from wirecore.session.fields import CallFields
from wirecore_trio import pool, rest, telemetry, websocket, webwire, wsrpc
from wirecore_trio.engine import Engine, Handler
from wirecore_trio.telemetry import instrument, is_instrumented, uninstrument

#: Where functions are replaced: all modules of the protocols, and their classes.
_PACKAGES = tuple(
    f"wirecore_trio.{name}" for name in ("engine", "pool", "rest", "session", "webwire", "wsrpc")
)


def functions() -> dict[tuple[str, ...], Any]:
    """Every function that there is in the protocols' modules, and in their classes."""
    found: dict[tuple[str, ...], Any] = {}
    for name, module in list(sys.modules.items()):
        if not name.startswith(_PACKAGES):
            continue
        for key, value in vars(module).items():
            if isinstance(value, types.FunctionType):
                found[name, key] = value
            elif isinstance(value, type):
                found.update(
                    ((name, key, inner), member)
                    for inner, member in vars(value).items()
                    if isinstance(member, types.FunctionType)
                )
    return found


def test_what_is_uninstrumented_is_what_it_was() -> None:
    for package in (pool, rest, webwire, wsrpc):
        assert package.__name__.startswith(_PACKAGES)
    instrument()  # all of it is imported then
    uninstrument()
    before = functions()
    assert not is_instrumented()
    instrument()
    instrument()
    assert is_instrumented()
    during = functions()
    replaced = {where for where in before if during[where] is not before[where]}
    assert CallFields.wanted
    # Of a base that may be compiled, they are put before that.
    added = {where[1:] for where in during if where not in before}
    assert added == {
        ("Asking", "submit"),
        ("CallingSession", "call"),
        ("ClientSession", "request"),
        ("PoolServer", "submit"),
    }
    assert ("wirecore_trio.wsrpc._channel", "Channel", "call") in replaced
    assert ("wirecore_trio.rest._requesting", "Requesting", "_request") in replaced
    assert {where[0].split(".")[1] for where in replaced} == {
        "engine",
        "pool",
        "rest",
        "webwire",
        "wsrpc",
    }
    for where in replaced:
        assert during[where].__wrapped__ is before[where]  # once, for all that it was called twice
        assert during[where].__doc__ == before[where].__doc__
    uninstrument()
    uninstrument()
    after = functions()
    assert after == before
    assert not CallFields.wanted


def test_the_last_call_counts(seen: Seen, open_wsrpc: Any, run_sockets: Run) -> None:
    other = Seen()

    async def story() -> None:
        async with (
            open_wsrpc(handlers={"Echo": lambda payload, peer: payload}) as world,
            world.connect() as client,
        ):
            await client.call("Echo", b"")
            assert seen.spans == []
            assert len(other.spans) == 2
            uninstrument()
            await client.call("Echo", b"")
            assert len(other.spans) == 2

    run_sockets(story)


def test_without_providers_the_global_ones_count(open_wsrpc: Any, run_sockets: Run) -> None:
    """Where no SDK is set up, they see nothing, and calls go on."""
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    assert metrics.get_meter_provider() is not None

    async def story() -> None:
        async with (
            open_wsrpc(handlers={"Echo": lambda payload, peer: payload}) as world,
            world.connect() as client,
        ):
            assert await client.call("Echo", b"x") == b"x"

    instrument()
    try:
        run_sockets(story)
    finally:
        uninstrument()


def test_engines_use_its_provider_unless_they_have_their_own(seen: Seen) -> None:
    spans = wirecore_trio.engine._engine._spans
    assert spans(None).seen
    assert not spans(False).seen
    uninstrument()
    spans = wirecore_trio.engine._engine._spans
    assert not spans(None).seen
    assert spans(True).seen


WITHOUT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
import trio
from wirecore.errors import LocalError
from wirecore_trio import engine, pool, rest, telemetry, webwire, wsrpc

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})

async def main():
    server = rest.Server(app)
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", 0)
        async with rest.connect(f"ws://127.0.0.1:{listening.port}/") as client:
            print((await client.request("GET", "/")).status)
        await server.drain()

trio.run(main)
try:
    telemetry.instrument()
except LocalError as error:
    print(error)
telemetry.uninstrument()
print(telemetry.is_instrumented(), [name for name in sys.modules if "opentelemetry" in name])
"""

UNASKED = """
import sys
import wirecore_trio
from wirecore_trio import engine, pool, rest, telemetry, testing, webwire, wsrpc
from wirecore_trio.rest import gateway
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def output_of(program: str) -> list[str]:
    """What *program* prints, run by an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_without_the_package_all_works_and_asking_for_it_says_what_to_do() -> None:
    status, error, rest_of_it = output_of(WITHOUT)
    assert status == "204"
    assert "pip install 'wirecore[otel]'" in error
    assert rest_of_it == "False []"


def test_nothing_is_imported_unless_asked_for() -> None:
    assert output_of(UNASKED) == ["[]"]


def test_what_fails_halfway_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr("wirecore_trio.telemetry._engine.instrument", fail)
    before = functions()
    with pytest.raises(RuntimeError, match="not today"):
        instrument()
    assert not is_instrumented()
    after = functions()
    assert [where for where in before if after[where] is not before[where]] == []


def test_other_failures_to_import_are_told_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wirecore_trio.telemetry._instrumenting", None)
    with pytest.raises(ModuleNotFoundError, match="_instrumenting"):
        telemetry.instrument()


def test_an_engine_is_seen(seen: Seen, run_sockets: Run) -> None:
    async def attend(ws: websocket.WebSocket) -> None:
        async for _ in ws:
            pass

    async def story() -> None:
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(websocket.serve, attend, "127.0.0.1", 0)
            url = f"ws://127.0.0.1:{bound.port}/"
            async with Engine(url, Handler()):
                pass
            found = {span.name for span in seen.spans}
            assert {"wscengine.start", "websocket.dial", "wscengine.stop"} <= found
            seen.forget()
            async with Engine(url, Handler(), tracer_provider=False):
                pass
            assert seen.spans == []
            await bound.drain()

    run_sockets(story)
