"""Reading one connection: messages in their order, and as many callbacks side by side as wanted.

One worker reads. Where the callback of its message blocks, another one reads on, which is started
then if there is none; where it doesn't, as most don't, nobody need be woken.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore._backend import default
from wirecore.errors import ConnectionLost

from ._handler import call
from ._steps import first_step

if TYPE_CHECKING:
    from wirecore.protocols.engine import CloseDetails

    from ._runner import Runner
    from ._session import Session
    from .adapters import Message

logger = logging.getLogger("wirecore.engine")

_FAILED: Final = "on_message failed; the engine goes on"

#: Seconds for which an adapter may hold on to a receive that was cancelled.
_LETTING_GO: Final = 1.0

#: Messages that callbacks may get in a row before other tasks have their turn.
_IN_A_ROW: Final = 64


class Reading:
    """Reads *session* for *runner*, until it has ended or :meth:`end` is called."""

    def __init__(self, runner: Runner, session: Session) -> None:
        self._runner = runner
        self._session = session
        self._turn = session.turn
        self._on_message = runner.functions.get("on_message")
        self._on_read_error = runner.functions.get("on_read_error")
        self._receive_many = getattr(runner.adapter, "receive_many", None)
        self._waiting = runner.subscriptions.waiting
        self._workers = 0
        self._calling: dict[trio.lowlevel.Task, Any] = {}  # workers in callbacks: their spans
        self._asked: dict[trio.lowlevel.Task, bool] = {}
        # Since when nobody waits for a message: a silence then is none of the connection's.
        self._deaf_since: float | None = trio.current_time()
        self._waits = False  # a worker does, for a message
        self._waits_no_more: trio.Event | None = None
        #: The span in which it was told that the connection has ended.
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

    async def let_go(self) -> None:
        """Behind :meth:`end`: wait until no worker waits for a message, and what one has is told.

        It is over in this pass of trio's loop, unless an adapter doesn't heed that it is cancelled.
        """
        if self._waits:
            self._waits_no_more = trio.Event()
            with trio.move_on_after(_LETTING_GO):
                await self._waits_no_more.wait()

    def silence(self, now: float) -> float:
        """For how long no message came that was waited for, in seconds."""
        heard = self._session.heard
        return (now if self._deaf_since is None else self._deaf_since) - heard

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
                self._listens()
                try:
                    await self._lead(worker)
                finally:
                    if self._turn.is_mine():
                        self._deaf_since = trio.current_time()
                        self._turn.give_up()
        finally:
            self._workers -= 1

    def _blocks(self) -> None:
        """The callback of the worker that has the turn waits for something: let others read."""
        turn = self._turn
        self._deaf_since = trio.current_time()
        if turn.is_by_hand:
            return  # it has paused: others read when that is over
        if not turn.has_idle:
            self._want_worker()
        turn.give_up()

    def _listens(self) -> None:
        if self._deaf_since is not None:
            now = trio.current_time()
            self._session.heard = min(now, self._session.heard + now - self._deaf_since)
            self._deaf_since = None

    def _want_worker(self) -> None:
        if self._workers < self._runner.options.workers:
            self._spawn()

    async def _lead(self, worker: str) -> None:
        """Read and call, as long as nothing blocks, and nobody else wants the turn."""
        turn, queue = self._turn, self._session.queue
        task = trio.lowlevel.current_task()
        begun = False
        try:
            with trio.CancelScope() as scope:
                while not turn.is_wanted:
                    if not queue:
                        if not await self._fetch(scope):
                            return
                    elif begun:
                        await trio.lowlevel.checkpoint()
                    begun = True
                    if turn.is_wanted:
                        return
                    self._calling[task] = None
                    rest = self._give_out()
                    if rest is not None:
                        self._blocks()
                        await self._finish(rest)
                        if not turn.is_mine():
                            return
        finally:
            self._calling.pop(task, None)
            if self._asked:
                self._act(task, None)

    def _give_out(self) -> Awaitable[None] | None:
        """Call on_message for what is queued, but not for ever; what is left of one that blocks."""
        turn, queue, begin = self._turn, self._session.queue, self._begin
        for _ in range(min(len(queue), _IN_A_ROW)):
            rest = begin(queue.popleft())
            if rest is not None or turn.over:  # nobody else ran, who could want the turn
                return rest
        return None

    async def _fetch(self, scope: trio.CancelScope) -> bool:
        """Wait for messages, and queue them; False where the connection has ended.

        *scope*: is cancelled for who wants the turn meanwhile; then it mustn't reach a callback.
        """
        turn, session = self._turn, self._session
        failure: Exception | None = None
        turn.interruptible(scope)
        self._waits = True
        try:
            if self._receive_many is None:
                session.queue.append(await self._runner.adapter.receive())
            else:
                session.queue.extend(await self._receive_many())
        except ConnectionLost as error:
            self._is_lost(error, None)
            return False
        except Exception as error:  # noqa: BLE001 - told to the user
            failure = error
        finally:
            self._has_let_go()
        turn.interruptible(None)
        if failure is not None:
            await self._read_error(failure)
            return True
        session.heard = trio.current_time()
        return not scope.cancel_called

    def _has_let_go(self) -> None:
        self._waits = False
        if self._waits_no_more is not None:
            self._waits_no_more.set()

    # --- what was read --------------------------------------------------------------------------

    def _begin(self, message: Message) -> Awaitable[None] | None:
        """*message* goes to who wants it; what is left of on_message, if anything."""
        if self._waiting:
            self._runner.subscriptions.offer(message)
            if self._turn.over:
                return None
        if self._on_message is None:
            return None
        try:
            return first_step(self._on_message, self._session, message)
        except Exception as error:  # noqa: BLE001 - told there
            self._failed(_FAILED, error)
            return None

    async def _finish(self, rest: Awaitable[None]) -> None:
        try:
            await rest
        except Exception as error:  # noqa: BLE001 - told there
            self._failed(_FAILED, error)

    def _failed(self, told: str, error: Exception) -> None:
        """The callback of this task raised *error*."""
        logger.error(told, exc_info=error)

    async def _read_error(self, error: Exception, context: Any = None) -> None:
        task = trio.lowlevel.current_task()
        await trio.lowlevel.checkpoint()  # an adapter that fails again and again mustn't spin
        self._calling[task] = context
        try:
            with self._turn.lent():
                await call(self._on_read_error, self._session, error)
            if self._on_read_error is None:
                logger.warning("reading failed, and the engine reads on: %s", error)
        except Exception as failure:  # noqa: BLE001 - told there
            self._failed("on_read_error failed; the engine reads on", failure)
        finally:
            del self._calling[task]
            if self._asked:
                self._act(task, context)

    def _act(self, task: trio.lowlevel.Task, context: Any) -> None:
        """The callback of *task* is done, and had asked for the end, or hadn't."""
        leave = self._asked.pop(task, None)
        if leave is not None:
            self._runner.end(self._session, context, leave=leave)

    def _is_lost(self, error: ConnectionLost, context: Any) -> CloseDetails:
        details = self._session.note_loss(error)
        self.cause = context
        self.end()
        self.lost.set()
        return details
