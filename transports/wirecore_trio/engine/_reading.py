"""Reading one connection: messages in their order, and as many callbacks side by side as wanted.

One worker reads. Where the callback of its message blocks, another one reads on, which is started
then if there is none; where it doesn't, as most don't, nobody need be woken.
"""

from __future__ import annotations

import logging
import types
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore._backend import default
from wirecore.errors import ConnectionLost
from wirecore.protocols.engine import CloseDetails

from ._handler import call
from ._session import opcode_of

if TYPE_CHECKING:
    from ._runner import Runner
    from ._session import Session
    from ._spans import Attributes
    from .adapters import Message

logger = logging.getLogger("wirecore.engine")

_NONE: Final = object()


@types.coroutine
def _watched(
    coroutine: Coroutine[Any, Any, object], blocks: Callable[[], None]
) -> Generator[Any, Any, None]:
    """Await *coroutine*; *blocks* is called when it waits for the first time."""
    try:
        trap = coroutine.send(None)
    except StopIteration:
        return
    blocks()
    while True:
        try:
            sent = yield trap
        except BaseException as error:  # noqa: BLE001 - it is the coroutine's
            try:
                trap = coroutine.throw(error)
            except StopIteration:
                return
        else:
            try:
                trap = coroutine.send(sent)
            except StopIteration:
                return


class Reading:
    """Reads *session* for *runner*, until it has ended or :meth:`end` is called."""

    def __init__(self, runner: Runner, session: Session) -> None:
        self._runner = runner
        self._session = session
        self._turn = session.turn
        self._on_message = runner.functions.get("on_message")
        self._on_read_error = runner.functions.get("on_read_error")
        self._spans = runner.spans
        self._workers = 0
        self._calling: dict[trio.lowlevel.Task, Any] = {}  # workers in callbacks: their spans
        self._asked: dict[trio.lowlevel.Task, bool] = {}
        #: When the last message came.
        self.heard = trio.current_time()
        self.details: CloseDetails | None = None
        self.cause: Any = None
        #: Set when the connection has ended.
        self.lost = trio.Event()

    def start(self) -> None:
        """Begin."""
        self._turn.on_free = self._want_worker
        self._spawn()

    def end(self) -> None:
        """Read no more; a message that was read already is dropped."""
        self._turn.end()

    def asked(self, *, leave: bool) -> bool:
        """A callback asked for the end; whether this is one, which is to be finished first."""
        task = trio.lowlevel.current_task()
        if task not in self._calling:
            return False
        self._asked[task] = self._asked.get(task, False) or leave
        self.end()
        return True

    # --- workers --------------------------------------------------------------------------------

    def _spawn(self) -> None:
        self._workers += 1
        self._runner.start_soon(self._work)

    async def _work(self) -> None:
        worker = default.entropy.uuid4_text()
        try:
            while await self._turn.take():
                try:
                    await self._lead(worker)
                finally:
                    if self._turn.is_mine():
                        self._turn.give_up()
        finally:
            self._workers -= 1

    def _blocks(self) -> None:
        """The callback of the worker that has the turn waits for something: let others read."""
        turn = self._turn
        if turn.is_by_hand:
            return  # it has paused: others read when that is over
        if not turn.has_idle:
            self._want_worker()
        turn.give_up()

    def _want_worker(self) -> None:
        if self._workers < self._runner.options.workers:
            self._spawn()

    async def _lead(self, worker: str) -> None:
        if self._spans.seen:
            await self._lead_seen(worker)
        else:
            await self._lead_unseen()

    async def _lead_unseen(self) -> None:
        """Read and call, as long as nothing blocks, and nobody else wants the turn."""
        turn = self._turn
        receive = self._runner.adapter.receive
        scope = trio.CancelScope()
        late: Any = _NONE
        with scope:
            while not turn.is_wanted:
                turn.interruptible(scope)
                try:
                    message = await receive()
                except ConnectionLost as error:
                    self._is_lost(error, None)
                    return
                except Exception as error:  # noqa: BLE001 - told to the user
                    turn.interruptible(None)
                    await self._read_error(error)
                    continue
                turn.interruptible(None)
                if scope.cancel_called:
                    late = message  # the scope must not reach the callback
                    break
                await self._dispatch(message)
                if not turn.is_mine():
                    return
        if late is not _NONE:
            await self._dispatch(late)

    async def _lead_seen(self, worker: str) -> None:
        """The same, with a span for each message."""
        turn, session = self._turn, self._session
        names = {"session_id": session.id, "worker_id": worker}
        while not turn.is_wanted:
            with self._spans.root("background.run", names) as span:
                scope = trio.CancelScope()
                message: Any = _NONE
                turn.interruptible(scope)
                try:
                    with scope:
                        message = await session.read()
                except ConnectionLost as error:
                    span.record(error)
                    self._is_lost(error, span.context)
                    if self.details is not None:
                        code, reason = self.details.code, self.details.reason
                        span.event("connection_closed", close_code=code, close_reason=reason)
                    span.event("worker_exit", **names)
                except Exception as error:  # noqa: BLE001 - told to the user
                    turn.interruptible(None)
                    span.record(error)
                    with self._spans.engine("callback.on_read_error") as inner:
                        await self._read_error(error, span.context)
                        inner.ok()
                else:
                    turn.interruptible(None)
                    if message is not _NONE:
                        size = len(message.encode() if isinstance(message, str) else message)
                        told: Attributes = {
                            "message.opcode": opcode_of(message),
                            "message.length": size,
                        }
                        with self._spans.engine("callback.on_message", told) as inner:
                            await self._dispatch(message, span.context)
                            inner.ok()
                if turn.over and not self.lost.is_set():
                    span.event("worker_exit", **names)
                span.ok()
            if self.lost.is_set() or not turn.is_mine():
                return

    # --- what was read --------------------------------------------------------------------------

    async def _dispatch(self, message: Message, context: Any = None) -> None:
        if self._turn.over:
            return
        runner = self._runner
        if runner.options.idle_timeout is not None:
            self.heard = trio.current_time()
        if runner.subscriptions.waiting:
            runner.subscriptions.offer(message)
        function = self._on_message
        if function is None:
            return
        task = trio.lowlevel.current_task()
        self._calling[task] = context
        try:
            given = function(self._session, message)
            if type(given) is types.CoroutineType:
                await _watched(given, self._blocks)
            elif given is not None and hasattr(given, "__await__"):
                await _watched(_awaited(given), self._blocks)
        except Exception:
            logger.exception("on_message failed; the engine goes on")
        finally:
            del self._calling[task]
            if self._asked:
                self._act(task, context)

    async def _read_error(self, error: Exception, context: Any = None) -> None:
        task = trio.lowlevel.current_task()
        await trio.lowlevel.checkpoint()  # an adapter that fails again and again mustn't spin
        self._calling[task] = context
        try:
            with self._turn.lent():
                await call(self._on_read_error, self._session, error)
            if self._on_read_error is None:
                logger.warning("reading failed, and the engine reads on: %s", error)
        except Exception:
            logger.exception("on_read_error failed; the engine reads on")
        finally:
            del self._calling[task]
            if self._asked:
                self._act(task, context)

    def _act(self, task: trio.lowlevel.Task, context: Any) -> None:
        """The callback of *task* is done, and had asked for the end, or hadn't."""
        leave = self._asked.pop(task, None)
        if leave is not None:
            self._runner.end(self._session, context, leave=leave)

    def _is_lost(self, error: ConnectionLost, context: Any) -> None:
        if not self._turn.over:
            self.details = self._session.note_loss(error)
            self.cause = context
            self.end()
            self.lost.set()


async def _awaited(given: Any) -> None:
    await given
