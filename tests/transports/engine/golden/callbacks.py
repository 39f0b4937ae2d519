"""The user's callbacks of a recording: each writes down that it is called, and does its part."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import trio

from tests.transports.engine.golden.plan import Action, Call, wait_until
from tests.transports.engine.golden.recorded import UNIT, close_text, with_error
from wirecore.constants import CloseCode
from wirecore_trio import engine
from wirecore_trio.engine import CloseMessage, Message, Session

if TYPE_CHECKING:
    from tests.transports.engine.golden.replay import Replay


class Noting(engine.Handler):
    """Those of *replay*."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._note = replay.note
        self._count: Counter[str] = Counter()

    async def on_open(self, session: Session) -> None:
        self._replay.session(session)
        self._note("on_open again" if session.restarting else "on_open")
        await self._do("on_open", "on_open done", session)

    async def on_message(self, session: Session, message: Message) -> None:
        kind, data = (
            (1, message) if isinstance(message, str) else (2, message.decode(errors="replace"))
        )
        if len(data) > 1000:
            data = f"{len(data)} bytes"
        self._note(f"on_message {self._replay.session(session)} {kind} {data!r}")
        await self._do(f"on_message {data}", f"on_message done {data!r}", session)

    async def on_read_error(self, session: Session, error: Exception) -> None:
        self._note(with_error("on_read_error", str(error)))
        await self._do("on_read_error", "on_read_error done", session)

    async def on_close(self, session: Session, details: engine.CloseDetails | None) -> Any:
        told = close_text(int(details.code), details.reason) if details else "none"
        self._note(f"on_close {told}" + (" with its context done" if _cancelled() else ""))
        call = await self._do("on_close", "on_close done", session)
        if call.close in (None, (CloseCode.GOING_AWAY, "Going away")):
            return None
        return CloseMessage(*call.close)

    async def on_close_error(self, error: Exception) -> None:
        self._note(with_error("on_close_error", str(error)))

    async def on_restart_error(
        self, error: Exception, retry_count: int, give_up: Callable[[], None]
    ) -> None:
        self._note(with_error(f"on_restart_error {retry_count}", str(error)))
        await self._do("on_restart_error", "", None, give_up)

    async def _do(
        self,
        key: str,
        done: str,
        session: Session | None,
        give_up: Callable[[], None] | None = None,
    ) -> Call:
        call = self._replay.next_call(key, self._count)
        error = call.error
        try:
            with self._replay.own_spans(call.spans):
                await self._act(call, session, give_up)
        except trio.Cancelled:
            error = "context canceled"
            raise
        finally:
            if done:
                self._note(with_error(done, error))
        if error:
            raise ValueError(error)
        return call

    async def _act(
        self, call: Call, session: Session | None, give_up: Callable[[], None] | None
    ) -> None:
        begun = trio.current_time()
        async with AsyncExitStack() as pause:
            for action in call.actions:
                if action.what != "read":  # which waits for what comes
                    await wait_until(begun + action.after * UNIT)
                if session is not None:
                    await self._use(session, action, pause)
                elif action.what == "exit" and give_up is not None:
                    self._note(action.data)
                    give_up()
        await wait_until(begun + call.units * UNIT)

    async def _use(self, session: Session, action: Action, pause: AsyncExitStack) -> None:
        match action.what:
            case "send":
                await session.send(action.data)
            case "read":
                self._note(f"{action.data} {await session.receive()!r}")
            case "context":
                self._note(f"{action.data} {'done' if _cancelled() else 'alive'}")
            case what:
                self._note(action.data)
                if what in ("restart", "exit"):
                    getattr(session, what)()
                elif what == "wanted":
                    await pause.enter_async_context(session.pause())
                elif what == "released":
                    await pause.aclose()


def _cancelled() -> bool:
    """Whether this task is."""
    return trio.current_effective_deadline() == -math.inf
