"""Connection after connection: the exact schedule, and what ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from wirecore.errors import InvalidOption, PeerRefused, UpgradeRejected
from wirecore.session import Backoff
from wirecore_trio.websocket import (
    ConnectionClosed,
    Options,
    RetryPolicy,
    WebSocket,
    reconnecting,
    wrap_client,
    wrap_server,
)
from wirecore_trio.websocket._client import Reconnecting

if TYPE_CHECKING:
    from tests.transports.conftest import Run
    from tests.transports.websocket.conftest import World
    from wirecore._backend import Backend


def schedule(spread: float = 0.5) -> Backoff:
    """1, 2, 4, 8, 8, ... seconds."""
    return Backoff(1, 2, 0.5, 8, random=lambda: spread)


Handler = Callable[[WebSocket], Awaitable[None]]


class Line:
    """A server at the other end of memory; *refusals* are how the next attempts fail."""

    def __init__(self, backend: Backend, handler: Handler, *refusals: Exception) -> None:
        self.backend = backend
        self.handler = handler
        self.refusals = list(refusals)
        self.times: list[float] = []
        self.nursery: trio.Nursery

    async def dial(self) -> WebSocket:
        self.times.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.refusals:
            raise self.refusals.pop(0)
        one, other = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self._serve, other)
        return await wrap_client(one, backend=self.backend)

    async def _serve(self, stream: trio.abc.Stream) -> None:
        ws = await wrap_server(stream, backend=self.backend)
        assert ws is not None
        await self.handler(ws)
        await ws.aclose()

    @asynccontextmanager
    async def connections(self, **policy: Any) -> AsyncIterator[AsyncIterator[WebSocket]]:
        policy.setdefault("backoff", schedule)
        dialer: Any = self  # it dials, and has a name
        reconnecting = Reconnecting(dialer, RetryPolicy(**policy))
        async with trio.open_nursery() as nursery:
            self.nursery = nursery
            async with reconnecting as connections:
                yield connections

    name = "the line"

    @property
    def delays(self) -> list[float]:
        return [b - a for a, b in zip(self.times, self.times[1:], strict=False)]


async def hang_up(_: WebSocket) -> None:
    await trio.lowlevel.checkpoint()


async def last(seconds: float, _: WebSocket) -> None:
    await trio.sleep(seconds)


async def drain(connections: AsyncIterator[WebSocket], count: int) -> None:
    """Use *count* connections, each to its end."""
    async for ws in connections:
        async for _ in ws:
            pass
        count -= 1
        if not count:
            break


def test_a_server_that_hangs_up_at_once_is_dialled_less_and_less(
    backend: Backend, run: Run
) -> None:
    async def story() -> None:
        line = Line(backend, hang_up)
        async with line.connections() as connections:
            await drain(connections, 6)
        assert line.delays == [1, 2, 4, 8, 8]

    run(story)


@pytest.mark.parametrize(("spread", "delays"), [(0.0, [0.5, 1, 2]), (1.0, [1.5, 3, 6])])
def test_the_delays_are_spread(
    backend: Backend, run: Run, spread: float, delays: list[float]
) -> None:
    async def story() -> None:
        line = Line(backend, hang_up)
        async with line.connections(backoff=partial(schedule, spread)) as connections:
            await drain(connections, 4)
        assert line.delays == delays

    run(story)


def test_a_short_lived_connection_waits_for_the_rest_of_its_delay(
    backend: Backend, run: Run
) -> None:
    async def story() -> None:
        line = Line(backend, partial(last, 0.75))
        async with line.connections() as connections:
            await drain(connections, 4)
        # From dialling to dialling it is the schedule, whatever the connection lived.
        assert line.delays == [1, 2, 4]

    run(story)


def test_a_connection_that_outlives_its_delay_begins_the_schedule_anew(
    backend: Backend, run: Run
) -> None:
    async def story() -> None:
        lives = iter([0, 0, 100, 0, 0, 0])

        async def live(_: WebSocket) -> None:
            await trio.sleep(next(lives))

        line = Line(backend, live)
        async with line.connections() as connections:
            await drain(connections, 6)
        assert line.delays == [1, 2, 100, 1, 2]

    run(story)


def test_failed_attempts_and_short_lives_are_one_schedule(backend: Backend, run: Run) -> None:
    async def story() -> None:
        refused = ConnectionRefusedError("refused")
        line = Line(backend, hang_up, refused, refused)
        async with line.connections() as connections:
            await drain(connections, 2)
        assert line.delays == [1, 2, 4]

    run(story)


@pytest.mark.parametrize(
    "error", [UpgradeRejected(404), PeerRefused("an unknown key"), InvalidOption("a wrong URL")]
)
def test_a_server_that_says_no_ends_it(backend: Backend, run: Run, error: Exception) -> None:
    async def story() -> None:
        line = Line(backend, hang_up)
        uses = 0

        async def use() -> None:
            nonlocal uses
            async with line.connections() as connections:
                async for ws in connections:
                    uses += 1
                    await ws.wait_closed()
                    line.refusals.append(error)

        with pytest.raises(ExceptionGroup) as caught:  # the group is the test's own nursery's
            await use()
        assert caught.value.exceptions == (error,)
        assert uses == 1
        assert len(line.times) == 2

    run(story)


def test_attempts_are_counted_for_each_connection(backend: Backend, run: Run) -> None:
    async def story() -> None:
        refused = OSError("refused")
        line = Line(backend, hang_up, refused)

        async def use() -> None:
            async with line.connections(attempts=2) as connections:
                async for ws in connections:
                    await ws.wait_closed()
                    line.refusals += [refused] * (len(line.times) // 2)

        with pytest.raises(ExceptionGroup) as caught:
            await use()
        assert caught.value.exceptions == (refused,)
        assert len(line.times) == 6  # 1 failed, 1 open, 1 failed, 1 open, 2 failed

    run(story)


# --- over sockets ---------------------------------------------------------------------------

QUICK = RetryPolicy(backoff=lambda: Backoff(0.001, 1, 0, 0.001))


def test_each_connection_is_the_bodys_once(world: World, run_sockets: Run) -> None:
    async def story() -> None:
        async def greet(ws: WebSocket) -> None:
            await ws.send(b"hello")

        used: list[WebSocket] = []
        async with world.serving(greet) as server:
            async with world.reconnecting(server, retry=QUICK) as connections:
                async for ws in connections:
                    assert not ws.closed
                    assert all(before.closed for before in used)
                    used.append(ws)
                    assert await ws.receive() == b"hello"  # and its end isn't waited for
                    if len(used) == 3:
                        break
            assert all(ws.closed for ws in used)

    run_sockets(story)


def test_an_abnormal_end_is_raised_in_the_body_which_may_go_on(
    world: World, run_sockets: Run
) -> None:
    async def story() -> None:
        async def break_off(ws: WebSocket) -> None:
            ws.abort()

        ends = 0
        async with (
            world.serving(break_off) as server,
            world.reconnecting(server, retry=QUICK) as connections,
        ):
            async for ws in connections:
                with pytest.raises(ConnectionClosed, match="1006"):
                    await ws.receive()
                ends += 1
                if ends == 2:
                    break

    run_sockets(story)


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_an_exception_of_the_body_arrives_as_itself(
    world: World, run_sockets: Run, error: BaseException
) -> None:
    codes: list[int] = []

    async def note_end(ws: WebSocket) -> None:
        with pytest.raises(ConnectionClosed) as caught:
            await ws.receive()
        codes.append(caught.value.code)

    async def story() -> None:
        async with world.serving(note_end) as server:

            async def use() -> None:
                async with world.reconnecting(server) as connections:
                    async for _ in connections:
                        raise error

            with pytest.raises(type(error)) as caught:
                await use()
            assert caught.value is error
            await trio.testing.wait_all_tasks_blocked(0.02)

    run_sockets(story)
    assert codes == [1011 if isinstance(error, Exception) else 1001]


def test_a_cancelled_body_and_one_that_never_ran(world: World, run_sockets: Run) -> None:
    async def hold(ws: WebSocket) -> None:
        await ws.wait_closed()

    async def story() -> None:
        async with world.serving(hold) as server:
            with trio.move_on_after(1) as scope:
                async with world.reconnecting(server) as connections:
                    async for ws in connections:
                        await ws.receive()
            assert scope.cancelled_caught
            async with world.reconnecting(server):
                pass
            await trio.testing.wait_all_tasks_blocked(0.02)
            assert server.connections == set()

    run_sockets(story)


def test_a_peer_that_is_not_there_is_named_without_secrets(
    backend: Backend, run_sockets: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        url = "ws://me:password@127.0.0.1:1/path?token=abc"
        dialling = reconnecting(
            url,
            retry=RetryPolicy(backoff=schedule, attempts=2),
            options=Options(open_timeout=5),
            backend=backend,
        )

        async def use() -> None:
            async with dialling as connections:
                async for _ in connections:
                    pytest.fail("nobody is there")

        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            await use()

    run_sockets(story)
    assert "connecting to ws://127.0.0.1:1/path failed for good" in caplog.text
    assert "password" not in caplog.text
    assert "abc" not in caplog.text
