"""The run of an engine: what its lifecycle says is done, and what came of it is told to that."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from wirecore._backend import default
from wirecore.errors import InvalidState
from wirecore.protocols.engine import AlreadyStarted, EngineStartError, State

from .._errors import NotConnected
from ._attempt import attempt
from ._closing import INTERRUPTED, drop, give_up, shut_down
from ._handler import CloseMessage, call
from ._keeping import Keeping
from ._reading import Reading
from ._reading_seen import SeenReading
from ._reconnecting import reconnect

if TYPE_CHECKING:
    from ._options import Options
    from ._session import Session
    from ._spans import Spans
    from ._subscriptions import Subscriptions
    from .adapters import Adapter

logger = logging.getLogger("wirecore.engine")

T = TypeVar("T")


class Runner:
    """Runs an engine. *start_soon*: starts a task, which may outlive a connection."""

    def __init__(
        self,
        url: str,
        options: Options,
        functions: dict[str, Callable[..., Any]],
        adapter: Adapter,
        spans: Spans,
        subscriptions: Subscriptions,
        start_soon: Callable[..., object],
    ) -> None:
        self.url = url
        self.options = options
        self.functions = functions
        self.adapter = adapter
        self.spans = spans
        self.subscriptions = subscriptions
        self.start_soon = start_soon
        self.machine = options.lifecycle()
        #: The connection that was made last.
        self.session: Session | None = None
        #: Set when the engine has ended, and nothing of it runs any more but callbacks.
        self.ended = trio.Event()
        self.ended.set()
        self._reading: Reading | None = None
        self._activity: trio.CancelScope | None = None
        self._cause: Any = None  # the span that led to the end of a connection
        #: How often it was started.
        self.run_number = 0
        self._callback: trio.lowlevel.Task | None = None  # which the run waits for

    @property
    def state(self) -> State:
        """What the engine is busy with."""
        return self.machine.state

    @property
    def idle(self) -> bool:
        """Whether it has ended, or wasn't started."""
        return self.machine.state is State.IDLE

    # --- what users and callbacks ask -------------------------------------------------------------

    def stop(self) -> None:
        """End. Raises NotStarted; InvalidState in a callback that the end waits for."""
        if self._callback is trio.lowlevel.current_task():
            raise InvalidState(
                "stop waits for this callback, which would wait for stop: end the engine with "
                "session.exit(), or give_up() in on_restart_error"
            )
        self._note_loss()
        before = self.state
        self.machine.stop(trio.current_time())
        if before is State.OPEN:
            self._cause = self.spans.current()
        self._changed(before)

    def leave(self) -> None:
        """End with this connection, attempt or wait."""
        self._note_loss()
        before = self.state
        self.machine.exit(trio.current_time())
        self._changed(before)

    def ask(self, session: Session, *, leave: bool) -> None:
        """*session* is to end, and the engine where it *leave*\\ s.

        A callback that asks is finished before. Nothing where the session is over, but the engine
        is left all the same, unless it was started anew since.
        """
        if session is not self.session or self.state is not State.OPEN:
            if leave and session.run == self.run_number:
                self.leave()
        elif self._reading is None or not self._reading.asked(leave=leave):
            self.end(session, self.spans.current(), leave=leave)

    def end(self, session: Session, cause: Any, *, leave: bool) -> None:
        """*session* ends now, as a callback had asked in the span *cause*, or anybody else."""
        if session is not self.session:
            return
        self._note_loss()
        before = self.state
        if before is State.OPEN:
            self._cause = cause
        if leave:
            self.machine.exit(trio.current_time())
        else:
            self.machine.restart(session.number, trio.current_time())
        self._changed(before)

    def _note_loss(self, *, late: bool = False) -> None:
        """The connection may have ended already, and the run not have heard of it.

        *late*: also where this end was about to close it, and on_close wasn't called yet.
        """
        reading, session = self._reading, self.session
        if reading is None or session is None or session.details is None:
            return
        if self.state is State.OPEN or (late and self.state is State.CLOSING):
            # Who has read by hand was told of it: then who asks for the end is its cause.
            self._cause = reading.cause or self._cause or self.spans.current()
            self.machine.lost(session.details, trio.current_time())
            if self._activity is not None:
                self._activity.cancel()

    def _changed(self, before: State) -> None:
        """What the engine is busy with may be at its end, or have another deadline."""
        if before is State.OPEN and self.state is not before and self._reading is not None:
            self._reading.end()  # at once, and not when the run hears of it
        if self._activity is not None:
            if self.state is not before:
                self._activity.cancel()
            else:
                self._activity.deadline = self.machine.next_deadline()

    # --- the run --------------------------------------------------------------------------------

    async def start(self) -> Session:
        """The first attempt. Raises AlreadyStarted, EngineStartError."""
        machine = self.machine
        while self.idle and not self.ended.is_set():
            await self.ended.wait()  # exit was called, and the run hasn't heard of it yet
        try:
            machine.start(trio.current_time())
        except AlreadyStarted as error:
            with self.spans.engine("background.start", {"restart": False}) as span:
                span.failed(error)
            raise
        self.run_number += 1
        self.ended = trio.Event()
        session: Session | None = None
        try:
            session = await self.bounded(self.attempt)
        except Exception as error:  # noqa: BLE001 - told below
            machine.failed(error, trio.current_time())
        except BaseException as error:
            machine.failed(error, trio.current_time())
            raise
        finally:
            if session is None:
                self.ended.set()
        if session is None:
            cause = machine.error or NotConnected("it was stopped meanwhile")
            raise EngineStartError(cause) from cause
        return session

    async def run(self, session: Session | None) -> None:
        """From the first connection to the engine's end."""
        try:
            while session is not None:
                if self.state is State.OPEN:
                    await self._read(session)
                elif self._cause is None and self.spans.seen:
                    self._cause = self._told_in_on_open(session)
                cause, self._cause = self._cause, None
                parent = await shut_down(self, session, cause)
                session = await reconnect(self, parent)
        finally:
            await self.abandon()  # nothing is left of it, unless this was cancelled

    async def abandon(self) -> None:
        """End now, with the connection that there is, and without callbacks."""
        self.machine.abandon(trio.current_time())
        try:
            if self.session is not None and not self.session.is_over:
                self.session.end()
                await drop(self)
        finally:
            self.ended.set()

    def _told_in_on_open(self, session: Session) -> Any:
        """The engine is left before its first read: the span that a worker would have made."""
        names = {"session_id": session.id, "worker_id": default.entropy.uuid4_text()}
        with self.spans.root("background.run", names) as span:
            span.event("worker_exit", **names)
            span.ok()
            return span.context

    async def bounded(self, function: Callable[[], Awaitable[T]]) -> T | None:
        """What *function* gives; None where its time was over, or something else was asked."""
        found: T | None = None
        machine = self.machine
        try:
            with trio.CancelScope(deadline=machine.next_deadline()) as self._activity:
                found = await function()
        finally:
            self._activity = None
        now = trio.current_time()
        if machine.next_deadline() <= now:
            machine.expire(now)
        return found

    async def attempt(self) -> Session | None:
        """One attempt; None where it was stopped meanwhile. Raises what stood in the way."""
        restarting = self.state is State.RESTARTING
        self._reading = None
        session = await attempt(self, restarting=restarting)
        if self.state is (State.RESTARTING if restarting else State.STARTING):
            self.machine.opened(trio.current_time())
            return session
        session.end()  # the engine was stopped, when on_open was just done
        await give_up(self, INTERRUPTED)
        return None

    async def _read(self, session: Session) -> None:
        kind = SeenReading if self.spans.seen else Reading
        reading = self._reading = kind(self, session)
        keeping = Keeping(session, reading, self.options, self.subscriptions)
        reading.start()
        self.start_soon(keeping.run)
        try:
            with trio.CancelScope() as self._activity:
                await reading.lost.wait()
        finally:
            self._activity = None
            reading.end()
            keeping.end()
        await reading.let_go()
        self._note_loss(late=True)

    # --- callbacks ------------------------------------------------------------------------------

    async def call(self, name: str, *arguments: object) -> Any:
        """What the callback gives, once it is done, which the lifecycle is told.

        It runs in a task of its own, and goes on where it isn't waited for any more.
        """
        function = self.functions.get(name)
        result: list[Any] = []
        done = trio.Event()

        async def run() -> None:
            self._callback = trio.lowlevel.current_task()
            told = {"retry_count": self.machine.attempt} if name == "on_restart_error" else None
            with self.spans.engine(f"callback.{name}", told) as span:
                try:
                    result.append(_checked(name, await call(function, *arguments)))
                except Exception as error:
                    span.failed(error)
                    logger.exception("%s failed; the engine goes on", name)
                else:
                    span.ok()
                finally:
                    if self._callback is trio.lowlevel.current_task():
                        self._callback = None
                    done.set()

        if function is None:
            _log_unheard(name, arguments)
            done.set()
        else:
            self.start_soon(run)
        await self.bounded(done.wait)
        if done.is_set():
            self.machine.called(trio.current_time())
        return result[0] if result else None


def _checked(name: str, given: Any) -> Any:
    if name == "on_close" and given is not None and not isinstance(given, CloseMessage):
        raise TypeError(f"on_close gives None or a CloseMessage, not {type(given).__name__}")
    return given


def _log_unheard(name: str, arguments: tuple[object, ...]) -> None:
    """What nobody wants to hear of isn't passed over in silence."""
    if name == "on_restart_error":
        logger.warning("%s; it is tried again", arguments[0])
    elif name == "on_close_error":
        logger.warning("closing the connection failed: %s", arguments[0])
