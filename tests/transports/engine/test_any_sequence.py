"""Whatever the network, the user and the callbacks do: order is kept, and nothing is left behind.

``WIRECORE_ENGINE_SEQUENCES`` says how many sequences are tried; ci/fuzz tries 100,000.
"""

from __future__ import annotations

import functools
import math
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
import trio
import trio.testing

from tests.transports.engine.scripted import Line, Scripted, ScriptedMany
from wirecore_trio import engine
from wirecore_trio.engine import CloseDetails, CloseMessage, Engine, Options, Session
from wirecore_trio.testing._runs import system_tasks

SEQUENCES: Final = int(os.environ.get("WIRECORE_ENGINE_SEQUENCES", "1500"))

#: How many sequences a test takes, so that several processes share them.
_EACH: Final = 100


class Broken(Exception):
    """What callbacks and libraries raise here."""


def kept(callback: Callable[..., Any]) -> Callable[..., Any]:
    """*callback*, whose failed checks are kept: the engine logs them, and goes on."""

    @functools.wraps(callback)
    async def keep(self: Watch, *arguments: Any) -> Any:
        try:
            return await callback(self, *arguments)
        except AssertionError as failure:
            self.failures.append(failure)
            raise

    return keep


class Watch(engine.Handler):
    """Callbacks that take some time, fail now and then, and check their order."""

    def __init__(self, chance: random.Random, workers: int) -> None:
        self.chance = chance
        self.workers = workers
        self.open: Session | None = None  # between on_open and on_close
        self.closed: set[str] = set()
        self.closing = False
        self.running: Counter[str] = Counter()
        self.ended: set[str] = set()  # asked to end by a callback
        self.expected: dict[str, list[int]] = {}
        self.failures: list[AssertionError] = []

    async def pause(self) -> None:
        """Take some time, or none, and fail, or don't."""
        kind = self.chance.random()
        if kind < 0.3:
            await trio.sleep(self.chance.choice([0.1, 1, 3]))
        elif kind < 0.5:
            await trio.lowlevel.checkpoint()
        if self.chance.random() < 0.1:
            raise Broken

    @kept
    async def on_open(self, session: Session) -> None:
        assert self.open is None
        assert not self.closing
        if self.chance.random() < 0.05:
            session.exit()
        await self.pause()
        self.open = session

    @kept
    async def on_message(self, session: Session, message: engine.Message) -> None:
        assert session.id not in self.closed, "a message behind on_close"
        assert session.id not in self.ended, "a message behind restart or exit"
        assert session is self.open
        number = int(message)
        before = self.expected.setdefault(session.id, [])
        assert not before or number > before[-1], "messages out of their order"
        before.append(number)
        self.running[session.id] += 1
        assert self.running[session.id] <= self.workers
        try:
            asks = self.chance.random()
            if asks < 0.1:
                self.ended.add(session.id)
                session.restart()
            elif asks < 0.13:
                self.ended.add(session.id)
                session.exit()
            elif asks < 0.2:
                await self.by_hand(session)
            await self.pause()
        finally:
            self.running[session.id] -= 1

    async def by_hand(self, session: Session) -> None:
        """Pause, and read by hand."""
        try:
            async with session.pause():
                with trio.move_on_after(0.5):
                    message = await session.receive()
                    self.expected[session.id].append(int(message))
        except (engine.ConnectionClosed, engine.NotConnected, Broken):
            pass

    @kept
    async def on_read_error(self, session: Session, error: Exception) -> None:
        assert isinstance(error, Broken)
        assert session is self.open
        await self.pause()

    @kept
    async def on_close(self, session: Session, details: CloseDetails | None) -> CloseMessage | None:
        assert session is self.open
        assert session.id not in self.closed, "on_close twice"
        self.closed.add(session.id)
        self.open = None
        self.closing = True
        try:
            await self.pause()
        finally:
            self.closing = False
        return self.chance.choice([None, CloseMessage(1000, "enough")])

    @kept
    async def on_close_error(self, error: Exception) -> None:
        assert self.open is None
        await self.pause()

    @kept
    async def on_restart_error(
        self, error: Exception, retry_count: int, give_up: Callable[[], None]
    ) -> None:
        assert self.open is None
        if retry_count > 3 and self.chance.random() < 0.3:
            give_up()
        await self.pause()


class Sequence:
    """One sequence, made by *seed*."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.sent = 0
        self.adapter = self.chance.choice((Scripted, ScriptedMany))(self.dialled)
        workers = self.chance.choice([1, 2, 4])
        self.handler = Watch(self.chance, workers)
        self.options = Options(
            workers=workers,
            auto_reconnect=self.chance.random() < 0.8,
            retry_delay_base=self.chance.choice([1, 2]),
            open_timeout=self.chance.choice([None, 2.0]),
            stop_timeout=self.chance.choice([None, 2.0]),
            idle_timeout=self.chance.choice([None, None, 4.0]),
            stable_after=self.chance.choice([None, None, 2.0]),
        )

    def dialled(self, line: Line) -> Any:
        """A dial fails, or takes its time, or doesn't."""
        kind = self.chance.random()
        if kind < 0.2:
            raise Broken
        self.adapter.close_error = Broken() if self.chance.random() < 0.1 else None
        return self.take_time() if kind < 0.4 else None

    async def take_time(self) -> None:
        """As long as some dials take, which may be too long."""
        await trio.sleep(self.chance.choice([0.5, 5]))

    async def play(self) -> None:
        """Let it happen."""
        before = system_tasks()
        client = Engine(
            "ws://x/", self.handler, self.options, adapter=self.adapter, autostart=False
        )
        with trio.fail_after(500):
            await self.quietly(self.use, client)
            await trio.testing.wait_all_tasks_blocked()
        for failure in self.handler.failures:
            raise failure
        assert not client.is_started
        assert self.adapter.line is None, "a connection is left"
        assert self.handler.open is None or client.session is None
        assert not self.handler.running.total()
        assert not self.adapter.receiving
        assert system_tasks() == before

    async def use(self, client: Engine) -> None:
        """Enter it, and have things happen."""
        async with client, trio.open_nursery() as nursery:
            self.nursery = nursery
            for _ in range(self.chance.randrange(1, 16)):
                await self.step(client)

    async def step(self, client: Engine) -> None:
        """Something happens."""
        choice = self.chance.choice(
            [self.bring, self.bring, self.bring, self.lose, self.wait, self.wait, self.ask]
            + [self.start] * (1 if client.is_started else 6)
        )
        await choice(client)

    async def bring(self, client: Engine) -> None:
        line = self.adapter.line
        if line is not None:
            for _ in range(self.chance.randrange(1, 5)):
                self.sent += 1
                line.bring(Broken() if self.chance.random() < 0.1 else str(self.sent))

    async def lose(self, client: Engine) -> None:
        if self.adapter.line is not None:
            self.adapter.line.lose(self.chance.choice([1000, 1005, 1006, 4000]), "bye")
            if self.chance.random() < 0.2:
                await self.ask(client)  # in the same pass of trio's loop

    async def wait(self, client: Engine) -> None:
        await trio.sleep(self.chance.choice([0, 0.1, 1, 5]))

    async def start(self, client: Engine) -> None:
        if not client.is_started and self.options.stop_timeout is not None:
            self.handler.closing = False  # on_close may still run, and isn't waited for
        try:
            with trio.move_on_after(self.chance.choice([math.inf, math.inf, 1])):
                await client.start()
        except engine.EngineStartError:
            pass

    async def ask(self, client: Engine) -> None:
        kind = self.chance.randrange(6)
        if kind == 0:
            client.exit()
        elif kind == 1:
            self.nursery.start_soon(self.quietly, self.hold, client)
        elif kind == 2:
            await self.quietly(self.stop, client)
        elif kind == 3:
            self.nursery.start_soon(self.quietly, self.stop, client)
        elif kind == 4 and client.session is not None:
            client.restart()
        elif kind == 5:
            await self.quietly(client.send, "hello")

    async def quietly(self, function: Callable[..., Awaitable[object]], *arguments: object) -> None:
        """Errors that a user has to reckon with are none of a test."""
        try:
            await function(*arguments)
        except (engine.NotConnected, engine.ConnectionClosed, engine.NotStarted):
            pass
        except engine.StopTimeout:
            assert self.options.stop_timeout is not None

    async def stop(self, client: Engine) -> None:
        with trio.move_on_after(self.chance.choice([math.inf, math.inf, 0.5])):
            await client.stop()

    async def hold(self, client: Engine) -> None:
        async with client.pause():
            await trio.sleep(self.chance.choice([0.1, 2]))


@pytest.mark.parametrize("first", range(0, SEQUENCES, _EACH))
def test_any_sequence(
    first: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("CRITICAL", "wirecore.engine")
    monkeypatch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
    for seed in range(first, min(first + _EACH, SEQUENCES)):
        sequence = Sequence(seed)
        trio._core._run._r.seed(seed)  # the order in which trio runs tasks
        try:
            trio.run(sequence.play, clock=trio.testing.MockClock(autojump_threshold=0))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
