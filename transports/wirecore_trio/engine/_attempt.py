"""One attempt to connect: dialling, then on_open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wirecore._backend import default
from wirecore.protocols.engine import EngineStartError

from ._closing import FAILED_TO_START, INTERRUPTED, give_up
from ._handler import call
from ._session import Session

if TYPE_CHECKING:
    from ._runner import Runner
    from ._spans import Span


async def attempt(runner: Runner, *, restarting: bool) -> Session:
    """Dial, and call on_open. Raises what either does; nothing is left of it then."""
    with runner.spans.engine("background.start", {"restart": restarting}) as span:
        try:
            response = await _dial(runner)
            session = _session(runner, response, restarting=restarting)
            await _open(runner, session, span)
        except BaseException as error:
            span.failed(EngineStartError(error))
            raise
        span.ok()
    return session


async def _dial(runner: Runner) -> Any:
    with runner.spans.adapter("dial", {"url.full": runner.url}):
        return await runner.adapter.dial(runner.url)


def _session(runner: Runner, response: Any, *, restarting: bool) -> Session:
    session = Session(
        runner,
        session_id=default.entropy.uuid4_text(),
        number=runner.machine.session + 1,
        response=response,
        restarting=restarting,
    )
    runner.session = session
    return session


async def _open(runner: Runner, session: Session, span: Span) -> None:
    told = {"restart": session.restarting}
    try:
        with runner.spans.engine("callback.on_open", told) as inner:
            try:
                with session.turn.lent():
                    await call(runner.functions.get("on_open"), session)
            except BaseException as error:
                inner.failed(error)
                raise
            inner.ok()
    except BaseException as error:  # noqa: BLE001 - it is raised again
        session.end()
        reason = FAILED_TO_START if isinstance(error, Exception) else INTERRUPTED
        span.event("connection_closed", close_code=1001, close_reason=reason)
        try:
            if (failure := await give_up(runner, reason)) is not None:
                span.record(failure)
        finally:
            raise error  # it came first, where that is cancelled, too
