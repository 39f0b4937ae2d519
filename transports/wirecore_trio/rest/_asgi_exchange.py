"""An exchange that an application of ASGI attends to, of any kind: how it runs, how it ends."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from typing import Final

import trio

from wirecore._backend import default
from wirecore.errors import LocalError

from .._clock import Timer, current_clock
from .._errors import unwrapped
from ._asgi_response import AsgiResponse
from ._asgi_types import App, Message, Scope, asyncio_hint
from ._incoming import Gone, Incoming

logger = logging.getLogger("wirecore.rest")

#: Seconds for a body that nobody gets, of a response to HEAD for one: most are through long before.
#: Then the application is told that its caller has gone, or it might go on for ever.
_PATIENCE: Final = 1.0


class AsgiExchange(ABC):
    """What came as *incoming*, for an application: its ``receive`` and ``send``, and how it ends.

    *grace*: see :class:`AsgiHandler`.
    """

    __slots__ = (
        "_app_scope",
        "_failure",
        "_gone",
        "_grace",
        "_incoming",
        "_over",
        "_reading",
        "_receiving",
        "_response",
        "_sending",
        "_timer",
    )

    def __init__(self, incoming: Incoming, grace: float | None) -> None:
        self._incoming = incoming
        self._grace = grace
        self._response = AsgiResponse(incoming)
        #: What the application runs in, and what it raised.
        self._app_scope = trio.CancelScope()
        self._failure: BaseException | None = None
        #: The caller has gone, and hadn't all that it was to get.
        self._gone = False
        #: The application is told that nothing more comes of it.
        self._over = trio.Event()
        self._timer: Timer | None = None
        self._reading: trio.CancelScope | None = None
        # Applications may call from more than one task.
        self._receiving = trio.Lock()
        self._sending = trio.Lock()

    # --- what differs -----------------------------------------------------------------------------

    @property
    @abstractmethod
    def _through(self) -> bool:
        """Whether the caller has all that it is to get."""

    @abstractmethod
    async def _finish(self) -> None:
        """The application has returned, or has failed: end what it didn't."""

    @abstractmethod
    async def _next(self) -> Message | None:
        """What comes next; None for nothing more. Raises Gone."""

    @abstractmethod
    def _disconnect(self) -> Message:
        """What comes behind all else."""

    @abstractmethod
    async def _take(self, message: Message) -> None:
        """The application sends *message*. Raises Gone, AsgiViolation."""

    # --- the run ----------------------------------------------------------------------------------

    async def serve(self, app: App, scope: Scope) -> None:
        """Call *app*, and end what it didn't."""
        try:
            self._incoming.on_gone(self._lost)
            await self._run(app, scope)
            await self._finish()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if not self._through and not self._gone:
                self._incoming.reset("the server gave the request up")

    async def _run(self, app: App, scope: Scope) -> None:
        # A group may hold a cancellation from outside beside what is to be reported.
        try:
            with self._app_scope:
                await app(scope, self.receive, self.send)
        except* Exception as group:  # noqa: BLE001 - whatever it is, it is reported
            self._failure = unwrapped(group)

    async def _finish_response(self) -> None:
        """The end of what is answered with an ordinary response, or should have been."""
        error = self._failure
        if self._response.ended:
            if error is not None:
                self._log("failed when its response was through already", error)
            elif self._app_scope.cancelled_caught:
                logger.info("%s: it sent on and on what nobody gets: cancelled", self._name())
        elif not self._gone:
            await self._give_up(error)
        else:
            self._report_gone()

    async def _give_up(self, error: BaseException | None) -> None:
        response = self._response
        number = default.entropy.uuid4_text()
        if error is not None:
            what = "failed"
        elif not response.started:
            what = "returned without an answer"
        else:
            what = "returned before its response was through"
        self._log(f"{what}; the caller was told: internal error {number}", error)
        text = f"internal error {number}"
        if response.sent or not await self._answer(500, f"{text}\n".encode("ascii")):
            self._incoming.reset(text)
        response.ended = True

    async def _answer(self, status: int, text: bytes) -> bool:
        """Answer in the application's place; whether the caller needn't be told otherwise."""
        fields = (
            (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"Content-Length", b"%d" % len(text)),
        )
        data = b"" if self._incoming.head.method == b"HEAD" else text
        try:
            await self._incoming.respond(status, fields, data, end=True)
        except Gone:
            pass
        except LocalError as problem:
            logger.warning("%s: %d couldn't be sent: %s", self._name(), status, problem)
            return False
        return True

    def _report_gone(self) -> None:
        """The application has ended, and its caller had gone before."""
        error = self._failure
        if error is None:
            logger.debug("%s: the caller had gone before it was answered", self._name())
        else:
            # Most often because the caller had gone, if not in words that tell.
            level = logging.DEBUG if _stems_from_gone(error) else logging.INFO
            text = "%s: the application failed; its caller had gone before"
            logger.log(level, text, self._name(), exc_info=error)

    def _log(self, what: str, error: BaseException | None) -> None:
        hint = "" if error is None else asyncio_hint(error)
        logger.error("%s: the application %s%s", self._name(), what, hint, exc_info=error)

    def _name(self) -> str:
        head = self._incoming.head
        path = head.target.partition(b"?")[0]  # queries may hold secrets
        return ascii(f"{head.method.decode('latin-1')} {path.decode('latin-1'):.200}")[1:-1]

    # --- its end ----------------------------------------------------------------------------------

    def _lost(self) -> None:
        """The caller has gone."""
        if not self._through:
            self._gone = True
            self._limit(0)
            self._set_over()

    def _limit(self, seconds: float) -> None:
        if self._grace is not None and self._app_scope.deadline == math.inf:
            self._app_scope.deadline = trio.current_time() + seconds + self._grace

    def _set_over(self) -> None:
        self._over.set()
        if self._reading is not None:
            self._reading.cancel()

    def _set_through(self) -> None:
        """The application has sent its last message, and may run as long as it likes."""
        self._app_scope.deadline = math.inf
        self._set_over()

    async def _respond(self, message: Message) -> None:
        """A message of an ordinary response. Raises as :meth:`AsgiResponse.send`."""
        response = self._response
        await response.send(message)
        if response.through:
            self._set_through()
        elif response.ended:
            self._body_is_left_out()

    def _body_is_left_out(self) -> None:
        """The caller has all that it gets, and the application still makes a body."""
        if self._timer is None:
            self._limit(_PATIENCE)
            deadline = trio.current_time() + _PATIENCE
            self._timer = current_clock().call_at(deadline, lambda _: self._set_over())

    # --- what the application calls ---------------------------------------------------------------

    async def receive(self) -> Message:
        """``receive`` of ASGI."""
        await _acquire(self._receiving)
        try:
            if not self._over.is_set():
                with trio.CancelScope() as self._reading:
                    message: Message | None = None
                    try:
                        message = await self._next()
                    except Gone:
                        self._lost()
                        self._set_over()
                    if message is not None:
                        return message
            await self._over.wait()
            return self._disconnect()
        finally:
            self._reading = None
            self._receiving.release()

    async def send(self, message: Message) -> None:
        """``send`` of ASGI."""
        await _acquire(self._sending)
        try:
            if self._gone:
                raise Gone
            await self._take(message)
        finally:
            self._sending.release()


async def _acquire(lock: trio.Lock) -> None:
    """Acquire *lock*, at once if nobody has it: a request takes it often, and alone."""
    try:
        lock.acquire_nowait()
    except trio.WouldBlock:
        await lock.acquire()


def _stems_from_gone(error: BaseException | None) -> bool:
    """Whether *error* is what became of a :class:`Gone` in the application."""
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, Gone):
            return True
        if isinstance(error, BaseExceptionGroup):
            return all(map(_stems_from_gone, error.exceptions))
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
