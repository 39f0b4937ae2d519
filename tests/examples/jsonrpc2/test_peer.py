"""The example on trio: both ends call and are called, over memory and against another library."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trio
import trio.testing
from peer import Method, Peer, make_session
from session import INVALID_PARAMS, Fault, JsonRpc
from websockets.sync.client import connect as plain_connect

from wirecore._backend import Backend
from wirecore.errors import Execution
from wirecore.websocket import Connection
from wirecore_trio import CallLost, NotConnected, Options, run_session, serve_session

Main: TypeAlias = Callable[[], Awaitable[None]]


def run(main: Main) -> None:
    """Time jumps whenever everybody waits."""

    async def bounded() -> None:
        with trio.fail_after(10_000):
            await main()

    trio.run(bounded, clock=trio.testing.MockClock(autojump_threshold=0))


async def add(peer: Peer, a: int, b: int) -> int:
    return a + b


async def slowly(peer: Peer, seconds: float) -> str:
    await trio.sleep(seconds)
    return f"after {seconds:g} s"


async def nested(peer: Peer, depth: int) -> int:
    """Calls back, and is called back by that."""
    return 0 if not depth else 1 + await peer.call("nested", depth - 1)


async def refuse(peer: Peer) -> None:
    raise Fault(-32042, "no", {"why": "because"})


async def fail(peer: Peer) -> None:
    raise KeyError("a bug")


async def unspeakable(peer: Peer) -> object:
    return object()


async def refuse_unspeakably(peer: Peer) -> None:
    raise Fault(-32042, "no", object())


METHODS: dict[str, Method] = {
    "add": add,
    "slowly": slowly,
    "nested": nested,
    "refuse": refuse,
    "fail": fail,
    "refuse_unspeakably": refuse_unspeakably,
    "unspeakable": unspeakable,
}


@asynccontextmanager
async def two_peers(
    backend: Backend, streams: Any = None, **options: Any
) -> AsyncIterator[tuple[Peer, Peer]]:
    ours, theirs = streams or trio.testing.memory_stream_pair()
    make_peer = partial(Peer, methods=METHODS)
    made = Options(**options)

    def session(client: bool) -> JsonRpc:
        return JsonRpc(Connection(client=client, close_timeout=5, backend=backend))

    async with (
        run_session(ours, session(True), make_peer, options=made) as client,
        run_session(theirs, session(False), make_peer, options=made) as server,
    ):
        yield client, server


def test_both_ends_call_and_are_called(backend: Backend) -> None:
    async def main() -> None:
        async with two_peers(backend) as (client, server):
            assert await client.call("add", 1, 2) == 3
            assert await server.call("add", a=3, b=4) == 7
            assert await client.call("nested", 20) == 20

    run(main)


def test_handlers_run_at_the_same_time(backend: Backend) -> None:
    async def main() -> None:
        async with two_peers(backend) as (client, _):
            start = trio.current_time()
            order: list[str] = []

            async def call(seconds: float) -> None:
                order.append(await client.call("slowly", seconds))

            async with trio.open_nursery() as nursery:
                for seconds in 3, 1, 2:
                    nursery.start_soon(call, seconds)
            assert order == ["after 1 s", "after 2 s", "after 3 s"]
            assert trio.current_time() - start == 3

    run(main)


def test_a_batch_is_answered_as_a_whole(backend: Backend) -> None:
    async def main() -> None:
        async with two_peers(backend) as (client, _):
            found = await client.batch(("add", [1, 2]), ("slowly", [5]), ("nonsense", None))
            assert found[:2] == [3, "after 5 s"]
            assert isinstance(found[2], Fault)
            assert found[2].code == -32601

    run(main)


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        (("refuse",), -32042, "no"),
        (("nonsense",), -32601, "Method not found"),
        (("add", 1), INVALID_PARAMS, "Invalid params"),
        (("fail",), -32603, "Internal error"),
        (("unspeakable",), -32603, "Internal error"),
        (("refuse_unspeakably",), -32603, "Internal error"),
    ],
)
def test_faults_arrive_as_what_they_are(
    backend: Backend, caplog: pytest.LogCaptureFixture, call: Any, code: int, message: str
) -> None:
    async def main() -> None:
        async with two_peers(backend) as (client, _):
            with pytest.raises(Fault) as caught:
                await client.call(*call)
            assert (caught.value.code, caught.value.message) == (code, message)
            assert await client.call("add", 1, 1) == 2, "the connection goes on"

    run(main)
    logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(logged) == (code == -32603)


def test_a_deadline_is_trios_own_and_costs_no_more_than_its_call(backend: Backend) -> None:
    async def main() -> None:
        async with two_peers(backend) as (client, _):
            with trio.move_on_after(2) as scope:
                await client.call("slowly", 10)
            assert scope.cancelled_caught
            await trio.sleep(20)
            assert client.running.session.stray == 1, "the late answer was dropped"
            assert await client.call("add", 1, 1) == 2

    run(main)


@pytest.mark.parametrize("read", [True, False])
def test_the_loss_of_the_connection_says_what_is_known(backend: Backend, read: bool) -> None:
    expected: Execution = "maybe_executed" if read else "not_sent"

    async def main() -> None:
        ours, theirs = trio.testing.lockstep_stream_pair()
        session = JsonRpc(Connection(client=True, backend=backend))
        make_peer = partial(Peer, methods=METHODS)
        async with run_session(ours, session, make_peer) as client:

            async def hang_up() -> None:
                await trio.sleep(1)
                if read:
                    await theirs.receive_some()
                    await trio.sleep(1)
                await theirs.aclose()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(hang_up)
                if not read:
                    # Larger than what a link takes at once: its end never leaves.
                    with pytest.raises(CallLost) as caught:
                        await client.call("add", "x" * 1_000_000)
                else:
                    with pytest.raises(CallLost) as caught:
                        await client.call("slowly", 1000)
            assert caught.value.execution == expected
            assert isinstance(caught.value, trio.BrokenResourceError)
            with pytest.raises(NotConnected):
                await client.call("add", 1, 2)

    run(main)


def test_notifications_are_handled_and_not_answered(backend: Backend) -> None:
    heard = []

    async def hear(peer: Peer, what: str) -> None:
        heard.append(what)

    async def main() -> None:
        async with two_peers(backend) as (client, server):
            server._methods = {**METHODS, "hear": hear}
            await client.notify("hear", "one")
            await client.notify("nonsense")
            await client.notify("refuse")
            assert await client.call("add", 1, 1) == 2
            assert client.running.session.stray == 0
            await trio.testing.wait_all_tasks_blocked()
        assert heard == ["one"]

    run(main)


def test_a_peer_that_doesnt_read_makes_callers_wait(backend: Backend) -> None:
    async def main() -> None:
        ours, _theirs = trio.testing.lockstep_stream_pair()
        session = JsonRpc(Connection(client=True, backend=backend))
        options = Options(high_water=1000, write_timeout=None, close_timeout=1)
        make_peer = partial(Peer, methods=METHODS)
        async with run_session(ours, session, make_peer, options=options) as client:
            await client.notify("hear", "x" * 200_000)
            with trio.move_on_after(5) as scope:
                await client.notify("hear", "one more")
            assert scope.cancelled_caught

    run(main)


# --- against raw text -----------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_plain_websocket_client_speaks_to_it(backend: Backend, compression: str | None) -> None:
    """In another library's words, and over a real socket."""

    def speak(port: int) -> list[Any]:
        url = f"ws://127.0.0.1:{port}/"
        with plain_connect(url, compression=compression) as plain:
            said = []
            for text in (
                '{"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": "a"}',
                "[]",
                '[{"jsonrpc": "2.0", "method": "add", "params": [3, 4], "id": 7}]',
            ):
                plain.send(text)
                said.append(json.loads(plain.recv(timeout=20)))
            # It is called back while its own call waits.
            plain.send('{"jsonrpc": "2.0", "method": "nested", "params": [1], "id": 8}')
            asked = json.loads(plain.recv(timeout=20))
            said.append((asked["method"], asked["params"]))
            plain.send(json.dumps({"jsonrpc": "2.0", "result": 41, "id": asked["id"]}))
            said.append(json.loads(plain.recv(timeout=20)))
            return said

    async def main() -> None:
        serve = partial(
            serve_session,
            make_session,
            partial(Peer, methods=METHODS),
            "127.0.0.1",
            backend=backend,
        )
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve)
            with trio.fail_after(60):
                said = await trio.to_thread.run_sync(speak, server.port)
            await server.drain()
        assert said == [
            {"jsonrpc": "2.0", "result": 3, "id": "a"},
            {
                "jsonrpc": "2.0",
                "error": {"code": -32600, "message": "Invalid Request"},
                "id": None,
            },
            [{"jsonrpc": "2.0", "result": 7, "id": 7}],
            ("nested", [0]),
            {"jsonrpc": "2.0", "result": 42, "id": 8},
        ]

    trio.run(main)


def test_a_server_that_stops_finishes_what_it_has_begun(backend: Backend) -> None:
    async def main() -> None:
        make_peer = partial(Peer, methods=METHODS)
        serve = partial(serve_session, make_session, make_peer, "127.0.0.1", backend=backend)
        from wirecore_trio import connect_session

        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve)
            url = f"ws://127.0.0.1:{server.port}/"
            async with connect_session(url, make_session, make_peer, backend=backend) as client:
                results: list[Any] = []

                async def call() -> None:
                    results.append(await client.call("slowly", 5))

                async with trio.open_nursery() as calling:
                    calling.start_soon(call)
                    assert await client.call("add", 1, 1) == 2
                    calling.start_soon(server.drain)
                    await trio.sleep(1)
                    with pytest.raises(Fault, match="Server is stopping"):
                        await client.call("add", 1, 1)
                assert results == ["after 5 s"]
                await client.running.wait_ended()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.05))


# --- as its readers run it ------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no Ctrl-C can be sent to a process there")
def test_the_programs_run_as_they_stand(backend: Backend, example: Path) -> None:
    import os
    import signal

    environment = {**os.environ, "WIRECORE_BACKEND": backend.name}
    python = [sys.executable, "-W", "error"]
    with subprocess.Popen(
        [*python, str(example / "serve.py"), "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line.startswith("listening on ws://127.0.0.1:"), line
            called = subprocess.run(
                [*python, str(example / "call.py"), line.split()[-1]],
                capture_output=True,
                text=True,
                env=environment,
                timeout=60,
                check=False,
            )
            assert (called.returncode, called.stderr) == (0, "")
            assert sorted(called.stdout.splitlines()) == sorted(
                [
                    "6.5",
                    "hello, Alice",
                    "counted to 1",
                    "counted to 2",
                    "counted to 3",
                    "[3, Fault('Invalid params (-32602)'), Fault('Method not found (-32601)')]",
                    "Method not found (-32601)",
                ]
            )
            server.send_signal(signal.SIGINT)
            rest, _ = server.communicate(timeout=60)
            assert (server.returncode, rest) == (0, "stopped\n")
        finally:
            server.kill()
