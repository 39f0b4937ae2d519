"""SIGTERM drains a server; a second one doesn't wait."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from wirecore.errors import InvalidOption
from wirecore_trio import drain_on_signal, pool, websocket

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGUSR1"), reason="Windows has no signals that a process sends itself"
)


class Recorder:
    """A server that notes how it is drained, and ends when it is told to."""

    def __init__(self) -> None:
        self.drains: list[float | None] = []
        self.ended = trio.Event()

    async def drain(self, grace: float | None = 30.0) -> None:
        self.drains.append(grace)
        if grace == 0:
            self.ended.set()
        await self.ended.wait()

    async def wait_closed(self) -> None:
        await self.ended.wait()


async def send(number: int) -> None:
    """Send ourselves a signal, and let everybody see to it."""
    os.kill(os.getpid(), number)
    await trio.testing.wait_all_tasks_blocked(0.02)


def run(story: Callable[[Recorder, trio.Nursery], object]) -> None:
    async def main() -> None:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                await story(Recorder(), nursery)  # type: ignore[misc]

    trio.run(main)


def test_the_first_signal_drains_and_the_second_does_not_wait() -> None:
    async def story(server: Recorder, nursery: trio.Nursery) -> None:
        await nursery.start(partial(drain_on_signal, server, grace=7))
        assert server.drains == []
        await send(signal.SIGTERM)
        assert server.drains == [7]
        assert not server.ended.is_set()
        await send(signal.SIGTERM)
        assert server.drains == [7, 0]

    run(story)  # its nursery ends: the helper has returned


def test_it_returns_when_the_server_has_ended_by_itself() -> None:
    async def story(server: Recorder, nursery: trio.Nursery) -> None:
        await nursery.start(drain_on_signal, server)
        server.ended.set()

    run(story)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_other_signals_can_be_chosen() -> None:
    async def story(server: Recorder, nursery: trio.Nursery) -> None:
        await nursery.start(partial(drain_on_signal, server, signal.SIGUSR1, signal.SIGUSR2))
        await send(signal.SIGUSR2)
        assert server.drains == [30.0]
        server.ended.set()

    run(story)


@pytest.mark.parametrize("number", [0, 9999, signal.SIGKILL])
def test_a_number_that_is_no_signal_is_told(number: int) -> None:
    async def story(server: Recorder, nursery: trio.Nursery) -> None:
        with pytest.raises(InvalidOption, match="no signal that a program can wait for"):
            await drain_on_signal(server, number)
        with pytest.raises(InvalidOption, match="grace"):
            await drain_on_signal(server, grace=-1)

    run(story)


def test_a_real_time_signal_has_no_name_and_drains_too(caplog: pytest.LogCaptureFixture) -> None:
    async def story(server: Recorder, nursery: trio.Nursery) -> None:
        await nursery.start(partial(drain_on_signal, server, signal.SIGRTMIN + 3))
        await send(signal.SIGRTMIN + 3)
        assert server.drains == [30.0]
        await send(signal.SIGRTMIN + 3)
        assert server.drains == [30.0, 0]

    with caplog.at_level(logging.INFO):
        run(story)
    assert f"signal {signal.SIGRTMIN + 3}: draining" in caplog.text


def test_what_is_no_server_or_no_signal_is_told_at_once() -> None:
    async def story(server: Recorder, nursery: trio.Nursery) -> None:
        for wrong in (None, object(), pool.Provider()):
            with pytest.raises(TypeError, match=r"can't be drained.*of a provider"):
                await drain_on_signal(wrong)  # type: ignore[arg-type]
        for number in (True, 15.0, [15]):
            with pytest.raises(TypeError, match="a signal must be int"):
                await drain_on_signal(server, number)  # type: ignore[arg-type]

    run(story)


SERVICE = """
import sys
import trio
from wirecore_trio import drain_on_signal, websocket, wsrpc

async def main():
    async with trio.open_nursery() as nursery:
        if sys.argv[1] == "websocket":
            async def handler(ws):
                async for message in ws:
                    pass
            server = listening = await nursery.start(websocket.serve, handler, "127.0.0.1", 0)
        else:
            server = wsrpc.Server(wsrpc.ServerCredentials(bytes([1]) * 32, []))
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
        await nursery.start(drain_on_signal, server)
        print(listening.port, flush=True)
    print("through", flush=True)

trio.run(main)
"""


@pytest.mark.parametrize("kind", ["websocket", "wsrpc"])
def test_a_service_ends_in_good_order(kind: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, kind], stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout
        port = int(service.stdout.readline())
        if kind == "websocket":
            trio.run(meet_the_end, port, service)
        else:
            service.send_signal(signal.SIGTERM)
        assert service.stdout.read() == "through\n"
        assert service.wait(10) == 0


async def meet_the_end(port: int, service: subprocess.Popen[str]) -> None:
    with trio.fail_after(10):
        async with websocket.connect(f"ws://127.0.0.1:{port}/") as ws:
            service.send_signal(signal.SIGTERM)
            with pytest.raises(websocket.ConnectionClosed) as caught:
                await ws.receive()
            assert caught.value.code == 1001
