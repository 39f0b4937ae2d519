"""A session at work: its pump, the tasks of its owner, and how both come to an end."""

from __future__ import annotations

import contextvars
import logging
import math
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

import trio

from wirecore.errors import InvalidState
from wirecore.session import Session

from .._errors import unwrapped
from .._link import Link
from .._owner import Owner
from .._pump import Pump
from ..websocket._options import Options

logger = logging.getLogger("wirecore.session")

AnySession = TypeVar("AnySession", bound=Session[Any])
AnyOwner = TypeVar("AnyOwner", bound=Owner[Any])

#: What was raised where nothing may be.
_DEFECT: Final = "%s raised, which is a defect of theirs; the connection is ended (%s)"


class Running(Generic[AnySession]):
    """A session at work, in the hands of its owner, who is made with it.

    Its methods may be called by any task of the run, and from within the owner's callbacks.
    """

    __slots__ = (
        "_begun",
        "_closing",
        "_context",
        "_name",
        "_nursery",
        "_over",
        "_pump",
        "_tasks",
        "_through",
        "_waiting",
        "draining",
        "error",
        "session",
    )

    _pump: Pump
    _context: contextvars.Context

    def __init__(self, session: AnySession, name: str) -> None:
        #: The session that runs. Who makes it queue something calls :meth:`write` then.
        self.session: AnySession = session
        #: What broke the connection; None while it is open, and after an orderly end.
        self.error: BaseException | None = None
        #: Whether the server stops: what is begun may be finished, nothing new is to begin. The
        #: session is closed when the last task has ended.
        self.draining = False
        self._name = name
        self._begun = False
        self._closing = False
        self._over = trio.Event()
        self._tasks = 0
        self._through = False
        self._nursery: trio.Nursery | None = None
        # Tasks that the owner started while it was made.
        self._waiting: list[tuple[Callable[..., Awaitable[object]], tuple[Any, ...]]] = []

    def __repr__(self) -> str:
        return f"<Running {type(self.session).__name__} ({self._name})>"

    def write(self) -> None:
        """The session has queued something, or its deadlines have changed: see to that.

        Never waits. What is written while something is being received leaves behind it in one
        go; of what several tasks write at once, too. Idempotent, and nothing after the end.
        """
        pump = self._pump
        if self._begun and not pump.ended:
            try:
                pump.write()
                if self.session.stage.finished:
                    pump.closed()
                if self.session.next_deadline() < pump.armed:
                    pump.arm()
            except Exception as error:  # noqa: BLE001 - it is logged
                self._failed("the session", error)

    async def drained(self) -> None:
        """Wait while more than ``Options.high_water`` bytes wait to be sent, or until the end.

        Call it before the session is made to queue something: cancelled here, nothing was. A
        checkpoint only where it must wait.
        """
        await self._pump.drained()

    def start_soon(self, function: Callable[..., Awaitable[object]], *arguments: Any) -> None:
        """Run an async *function* with *arguments* in a task of the connection's own.

        What it raises is logged, and ends this one connection. The task may outlive the
        connection, to finish what it has begun; it is cancelled when the ``async with`` of a
        client is left, or the server's :func:`serve_session` is cancelled. It sees the context
        variables that the connection began with. Raises InvalidState once the connection and
        all its tasks have ended.
        """
        if self._through:
            raise InvalidState("the connection and all its tasks have ended")
        if self._nursery is None:
            self._waiting.append((function, arguments))
        else:
            # A task begins with a copy of its starter's context: of ours, not of a reader's.
            self._context.run(self._nursery.start_soon, self._run_task, function, arguments)
        self._tasks += 1

    def close(self) -> None:
        """Begin the end in good order, by ``session.close()``. Never waits. Idempotent.

        What the session still owes goes out, and its own deadlines bound the wait for the peer.
        """
        if self._closing or self._pump.ended:
            return
        self._closing = True
        try:
            self.session.close()
        except Exception as error:  # noqa: BLE001 - it is logged
            self._failed("session.close()", error)
        else:
            if self._begun:
                self._pump.closed()
                self._pump.arm()

    def abort(self) -> None:
        """End the connection now; what ``session.close()`` says still goes first, if it can.

        Tasks go on; see :meth:`cancel_tasks`. Idempotent.
        """
        if not self._pump.ended:
            self.close()
            self._pump.push_last()
            self._pump.end(None)

    def cancel_tasks(self) -> None:
        """End the connection as :meth:`abort` does, and cancel the tasks of :meth:`start_soon`.

        For an owner whose tasks are of no use without it: call it from ``on_end``.
        """
        self.abort()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    @property
    def ended(self) -> bool:
        """Whether the connection is gone."""
        return self._pump.ended

    async def wait_ended(self) -> None:
        """Wait until the connection is gone, and the owner knows. A checkpoint."""
        await self._over.wait()

    async def _run_task(
        self, function: Callable[..., Awaitable[object]], arguments: tuple[Any, ...]
    ) -> None:
        try:
            await function(*arguments)
        except* Exception as group:  # noqa: BLE001 - it is logged
            self._failed("a task of the owner's", unwrapped(group))
        finally:
            self._tasks -= 1
            self._close_if_drained()

    def _close_if_drained(self) -> None:
        if self.draining and not self._tasks:
            self.close()

    def _failed(self, what: str, error: BaseException) -> None:
        logger.error(_DEFECT, what, self._name, exc_info=error)
        self._pump.end(error)


class Attended(Generic[AnySession, AnyOwner]):
    """A session, its owner, and the pump that moves its bytes: what runs it, and ends it.

    Making one makes the *owner*, and raises what *make_owner* raises; the link is then closed.
    Nothing moves before :meth:`run`. *leftover*: the first bytes, which came already. *name*: the
    peer's, for logs.
    """

    __slots__ = ("_leftover", "_made", "_options", "_pump", "owner", "running")

    def __init__(
        self,
        link: Link,
        session: AnySession,
        make_owner: Callable[[Running[AnySession]], AnyOwner],
        *,
        options: Options,
        leftover: bytes = b"",
        name: str,
    ) -> None:
        self._options = options
        self._leftover = leftover
        self._made = False
        #: What the owner has of the session.
        self.running: Running[AnySession] = Running(session, name)
        try:
            session.start(trio.current_time())
            self._pump = self.running._pump = Pump(
                link,
                session,
                self,
                write_timeout=math.inf if options.write_timeout is None else options.write_timeout,
                high_water=options.high_water,
                eager_wait=options.eager_wait,
                vigilant=True,
            )
            self.owner: AnyOwner = self._make(make_owner)
        except BaseException:
            link.close()
            raise
        self._made = True
        if self._pump.ended:  # it has ended in the owner's making, who couldn't be told
            self.on_end(self.running.error)

    def _make(self, make_owner: Callable[[Running[AnySession]], AnyOwner]) -> AnyOwner:
        try:
            return make_owner(self.running)
        except BaseException:
            self.running.abort()
            raise

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read until the connection has ended, and wait for its tasks.

        Raises nothing but cancellation, which ends the connection.
        """
        running = self.running
        try:
            async with trio.open_nursery() as nursery:
                try:
                    self._begin(nursery)
                except Exception as error:  # noqa: BLE001 - it is logged
                    running._failed("the session", error)
                task_status.started()
                try:
                    await self._pump.run_reader()
                except Exception as error:  # noqa: BLE001 - it is logged
                    running._failed("session.stage", error)
                finally:
                    # Before the tasks have ended, which may take long, and while there may be more.
                    running.abort()
        finally:
            running._through = True
            running.abort()

    def _begin(self, nursery: trio.Nursery) -> None:
        running = self.running
        running._context = contextvars.copy_context()
        running._nursery = nursery
        running._begun = True
        waiting, running._waiting = running._waiting, []
        for function, arguments in waiting:
            nursery.start_soon(running._run_task, function, arguments)
        leftover, self._leftover = self._leftover, b""
        if leftover and not self._pump.ended:
            self._pump.feed(memoryview(leftover))  # as all that is read
        self._pump.closed()
        self._pump.arm()

    def drain(self) -> None:
        """The server stops; see ``running.draining``."""
        self.running.draining = True
        self.running._close_if_drained()

    async def aclose(self) -> None:
        """Close in good order, wait for up to ``close_timeout``, and cancel what tasks are left.

        Cancelled, it closes at once.
        """
        try:
            self.running.close()
            with trio.move_on_after(self._options.close_timeout):
                await self.running.wait_ended()
        finally:
            self.running.cancel_tasks()

    async def __aenter__(self) -> AnyOwner:
        return self.owner

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self.aclose()
        else:
            self.running.cancel_tasks()

    # --- the pump's owner, see there: between it and the session's own ------------------

    def received(self, happened: Any) -> None:
        """See :class:`Owner`. What the session's owner raises goes to the pump, which ends it."""
        self.owner.received(happened)

    def on_finish(self) -> None:
        """See :class:`Owner`."""
        try:
            self.owner.on_finish()
        except Exception as error:  # noqa: BLE001 - it is logged
            self.running._failed("the owner's on_finish", error)

    def on_end(self, error: BaseException | None) -> None:
        """See :class:`Owner`."""
        self.running.error = error
        self.running._over.set()
        if not self._made:
            return
        try:
            self.owner.on_end(error)
            self.running.session.outbox.clear()  # the owner had to know how much has left
        except Exception:
            logger.exception(_DEFECT, "the owner's on_end", self.running._name)
