"""Reading with a span for each message, where somebody sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore.errors import ConnectionLost

from .._message_size import size_of
from ._reading import Reading
from ._session import opcode_of

if TYPE_CHECKING:
    from ._runner import Runner
    from ._session import Session
    from ._spans import Attributes, Span
    from .adapters import Message

_NONE: Final = object()


class SeenReading(Reading):
    """As :class:`Reading`, one message at a time: each is a trace of its own."""

    def __init__(self, runner: Runner, session: Session) -> None:
        super().__init__(runner, session)
        self._spans = runner.spans
        self._failures: dict[trio.lowlevel.Task, Exception] = {}

    async def _lead(self, worker: str) -> None:
        turn, session = self._turn, self._session
        names = {"session_id": session.id, "worker_id": worker}
        while not turn.is_wanted:
            with self._spans.root("background.run", names) as span:
                scope = trio.CancelScope()
                message: Any = _NONE
                turn.interruptible(scope)
                try:
                    with scope:
                        message = await self._read_told(span)
                except ConnectionLost as error:
                    span.record(error)
                    details = self._is_lost(error, span.context)
                    span.event(
                        "connection_closed",
                        close_code=details.code,
                        close_reason=details.reason,
                    )
                    span.event("worker_exit", **names)
                except Exception as error:  # noqa: BLE001 - told to the user
                    turn.interruptible(None)
                    span.record(error)
                    with self._spans.engine("callback.on_read_error") as inner:
                        await self._read_error(error, span.context)
                        self._tell(inner)
                else:
                    turn.interruptible(None)
                    if message is not _NONE:
                        told: Attributes = {
                            "message.opcode": opcode_of(message),
                            "message.length": size_of(message),
                        }
                        with self._spans.engine("callback.on_message", told) as inner:
                            await self._dispatch(message, span.context)
                            self._tell(inner)
                if turn.over and not self.lost.is_set():
                    span.event("worker_exit", **names)
                span.ok()
            if self.lost.is_set() or not turn.is_mine():
                return

    async def _read_told(self, span: Span) -> Message:
        self._waits = True
        try:
            return await self._session.read()
        except trio.Cancelled as error:
            if self._turn.over:
                span.record(error)
            raise
        finally:
            self._has_let_go()

    async def _dispatch(self, message: Message, context: Any) -> None:
        if self._turn.over:
            return
        task = trio.lowlevel.current_task()
        self._calling[task] = context
        try:
            rest = self._begin(message)
            if rest is not None:
                self._blocks()
                await self._finish(rest)
        finally:
            del self._calling[task]
            if self._asked:
                self._act(task, context)

    def _failed(self, told: str, error: Exception) -> None:
        super()._failed(told, error)
        self._failures[trio.lowlevel.current_task()] = error

    def _tell(self, span: Span) -> None:
        """How the callback of this task has ended, whose *span* it is."""
        failure = self._failures.pop(trio.lowlevel.current_task(), None)
        if failure is None:
            span.ok()
        else:
            span.failed(failure)
