"""Runs our engine through what was recorded: the same server, the same user, the same callbacks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from typing import Any, Final

import trio
import trio.testing
from opentelemetry.sdk.trace import TracerProvider

from tests.transports.engine.golden.callbacks import Noting
from tests.transports.engine.golden.plan import Attempt, Call, Plan, wait_until
from tests.transports.engine.golden.recorded import (
    SENT,
    UNIT,
    Line,
    Scenario,
    with_error,
)
from tests.transports.engine.golden.serving import script_of
from tests.transports.engine.golden.spans import Collected, Node
from wirecore_trio.engine import Adapter, Engine, Message, Options, Session, WirecoreAdapter
from wirecore_trio.testing import Network, Script, ScriptedPeer, ScriptedServer

URL: Final = "ws://feed.test/"

#: Units that the user holds a pause that the original didn't get.
_HELD: Final = 3.0

#: Units that the replay goes on after the recording's last line.
_AFTER: Final = 0.5


class Replay:
    """Of *scenario*: :attr:`lines` and :attr:`spans` tell what ours did, once it has run.

    So does :attr:`sent`: the frames that each server got which got any.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._plan = Plan(scenario)
        self._sessions: list[str] = []
        self._over = False
        self._begun = math.nan
        self._collected = Collected()
        self._provider = TracerProvider()
        self._provider.add_span_processor(self._collected)
        self.lines: list[Line] = []
        self.spans: list[Node] = []
        self.sent: list[list[tuple[str, bytes]]] = []

    async def run(self) -> None:
        """Do it in memory, under trio's autojump clock, over wirecore's own WebSocket."""
        adapter = _Injecting() if "injected" in str(self._scenario.events) else WirecoreAdapter()
        async with Network() as network:
            server = network.scripted(URL, *self._scripts())
            await self._run(URL, adapter)
        self.sent = [sent for peer in server.peers if (sent := self._sent_to(peer))]

    async def run_over(self, adapter: Adapter) -> None:
        """The same over *adapter* and sockets; nobody can refuse a connection there."""
        async with ScriptedServer(*self._scripts()).listening() as url:
            await self._run(url, adapter)

    def _sent_to(self, peer: ScriptedPeer) -> list[tuple[str, bytes]]:
        """What ours has sent to *peer*, but for what answers control frames."""
        sent: list[tuple[str, bytes]] = []
        end = self._begun + (self._scenario.end + _AFTER) * UNIT
        for each in peer.record:
            if each.kind == "close" and each.sent:
                break
            if not each.sent and each.kind in SENT and each.time < end:
                sent.append((each.kind, each.payload))
        return sent

    def _scripts(self) -> list[Script]:
        return [script_of(attempt) for attempt in [*self._plan.attempts, Attempt("open")]]

    async def _run(self, url: str, adapter: Adapter) -> None:
        made = Engine(
            url,
            Noting(self),
            _options(self._scenario),
            adapter=adapter,
            tracer_provider=self._provider,
            autostart=False,
        )
        self._begun = trio.current_time()
        async with made:
            with self.own_spans([self._plan.main_span] if self._plan.main_span else []):
                await _User(self, made, adapter).act(self._plan)
            await trio.sleep_until(self._begun + (self._scenario.end + _AFTER) * UNIT)
            self._over = True
            self.spans = self._collected.tree(self._begun, url, workers=self._scenario.workers)

    def note(self, text: str) -> None:
        """It happens now."""
        if not self._over:
            self.lines.append(Line((trio.current_time() - self._begun) / UNIT, text))

    def session(self, session: Session) -> str:
        """Its name: they are counted in the order in which they are seen in."""
        if session.id not in self._sessions:
            self._sessions.append(session.id)
        return f"session-{self._sessions.index(session.id) + 1}"

    def next_call(self, key: str, count: Counter[str]) -> Call:
        """What the callback does this time; nothing, where the original never came so far."""
        calls = self._plan.calls.get(key, [])
        count[key] += 1
        return calls[count[key] - 1] if count[key] <= len(calls) else Call(0.0, key)

    def own_spans(self, names: list[str]) -> ExitStack:
        """Spans of the user's, one in the other."""
        tracer, stack = self._provider.get_tracer("user"), ExitStack()
        for name in names:
            stack.enter_context(tracer.start_as_current_span(name))
        return stack


def _options(scenario: Scenario) -> Options:
    given = scenario.data["options"]
    return Options(
        workers=given["workers"],
        auto_reconnect=given["auto_reconnect"],
        retry_delay_base=given["retry_delay_base_s"],
        retry_delay_max_exponent=given["retry_delay_max_exponent"],
        open_timeout=given["open_timeout_ms"] / 1000 or None,
        stop_timeout=given["stop_timeout_ms"] / 1000 or None,
    )


class _Injecting(WirecoreAdapter):
    """Its second read fails, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self._reads = 0

    async def receive(self) -> Message:
        self._reads += 1
        if self._reads == 2:
            await trio.lowlevel.checkpoint()
            raise ValueError("injected read error")
        return await super().receive()


# --- the user -------------------------------------------------------------------------------------


class _User:
    def __init__(self, replay: Replay, made: Engine, adapter: Adapter) -> None:
        self._replay = replay
        self._engine = made
        self._adapter = adapter

    async def act(self, plan: Plan) -> None:
        note = self._replay.note
        async with AsyncExitStack() as pause:
            for action in plan.user:
                await wait_until(trio.current_time() + action.after * UNIT)
                match action.what:
                    case "start called" | "stop called":
                        await self._call(action.what.removesuffix(" called"), action.data)
                    case "is_started":
                        note(f"is_started {self._engine.is_started}")
                    case "(pause lock wanted)" | "(pause lock taken)":
                        if "wanted" in action.what:
                            note(action.what)
                        await pause.enter_async_context(self._engine.pause())
                        note("(pause lock taken)")
                    case "(pause lock released)":
                        note(action.what)
                        await pause.aclose()
                    case _:
                        await self._by_hand(note, action.what)
            if plan.holds:
                await trio.sleep(_HELD * UNIT)
                note("(pause lock released)")

    async def _call(self, name: str, cancelled: str) -> None:
        """Call start or stop; *cancelled*: whether it is cancelled, and after how many units."""
        self._replay.note(f"{name} called")
        after = 0.0 if cancelled == "cancelled" else math.inf
        if cancelled.startswith("cancelled after "):
            after = float(cancelled.removeprefix("cancelled after ")) * UNIT
        text = None
        with trio.CancelScope(deadline=trio.current_time() + after) as scope:
            if not after:
                scope.cancel()
            try:
                await getattr(self._engine, name)()
            except Exception as error:  # noqa: BLE001 - noted
                text = str(error)
        if scope.cancelled_caught:
            text = "context canceled"
            await trio.testing.wait_all_tasks_blocked()  # what goes on without it is over
            if after:
                self._replay.note("(the start's context is cancelled)")
        self._replay.note(with_error(f"{name} returned", text))

    async def _by_hand(self, note: Callable[[str], None], what: str) -> None:
        """The adapter, used by hand."""
        adapter = self._adapter
        if what == "(the user closes the adapter by hand)":
            note(what)
            await adapter.close(1000, "closed by hand")
            return
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "ping": adapter.ping,
            "dial": partial(adapter.dial, self._engine.url),
            "close": partial(adapter.close, 1000, "x"),
            "read": adapter.receive,
            "write": partial(adapter.send, "x"),
        }
        text = None
        try:
            await calls[what.split(maxsplit=1)[0].rstrip(":")]()
        except Exception as error:  # noqa: BLE001 - noted
            text = str(error)
        note(with_error(what, text))
