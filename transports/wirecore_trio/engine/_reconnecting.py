"""Connecting again: attempts, one after the other, until one succeeds or the engine ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore.protocols.engine import EngineStartError, State

from ._closing import tell_exit

if TYPE_CHECKING:
    from ._runner import Runner
    from ._session import Session
    from ._spans import Span

_RESTARTING: Final = frozenset({State.RESTARTING, State.RESTART_FAILED, State.WAITING})


async def reconnect(runner: Runner, parent: Any) -> Session | None:
    """The next connection, below the span *parent*; None where the engine ends before."""
    if runner.idle:
        return None
    session: Session | None = None
    with runner.spans.engine("background.restart", parent=parent) as span:
        while runner.state in _RESTARTING:
            if runner.state is State.WAITING:
                await runner.bounded(trio.sleep_forever)
            elif runner.state is State.RESTART_FAILED:
                await _failed(runner, span)
            else:
                session = await _try(runner)
        if runner.idle:
            tell_exit(runner, span)
        span.ok()
    return session


async def _try(runner: Runner) -> Session | None:
    try:
        return await runner.bounded(runner.attempt)
    except Exception as error:  # noqa: BLE001 - told to the user
        runner.machine.failed(error, trio.current_time())
        return None


async def _failed(runner: Runner, span: Span) -> None:
    cause = runner.machine.error
    assert cause is not None
    error = EngineStartError(cause)
    error.__cause__ = cause
    span.record(error)
    await runner.call("on_restart_error", error, runner.machine.attempt, runner.leave)
