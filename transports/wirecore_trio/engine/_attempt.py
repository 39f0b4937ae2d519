"""One attempt to connect: dialling, then on_open; and closing what there is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore._backend import default
from wirecore.constants import CloseCode
from wirecore.protocols.engine import EngineStartError

from ._handler import call
from ._session import Session

if TYPE_CHECKING:
    from ._runner import Runner
    from ._spans import Attributes, Span

logger = logging.getLogger("wirecore.engine")

#: Seconds that closing what failed to open may take.
_LAST_CLOSE: Final = 5.0


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
    except BaseException as error:
        session.end()
        if isinstance(error, Exception):
            reason = "websocket client failed to start"
        else:
            reason = "websocket client has been interrupted"
        span.event("connection_closed", close_code=1001, close_reason=reason)
        await give_up(runner, reason)
        raise


async def give_up(runner: Runner, reason: str) -> None:
    """Close what isn't wanted, within a few seconds."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + _LAST_CLOSE):
        try:
            await close_adapter(runner, int(CloseCode.GOING_AWAY), reason)
        except Exception as error:  # noqa: BLE001 - it has failed for another reason already
            logger.debug("closing a connection that failed to start failed: %s", error)


async def close_adapter(runner: Runner, code: int, reason: str) -> bool:
    """Have the adapter close; True. Raises what it raises."""
    told: Attributes = {"websocket.close.code": code, "websocket.close.reason": reason}
    with runner.spans.adapter("close", told):
        await runner.adapter.close(code, reason)
    return True
