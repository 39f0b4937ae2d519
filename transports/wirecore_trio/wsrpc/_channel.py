"""One wsrpc connection with both of its directions: calls that wait, requests that are handled."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.protocols.wsrpc import Received, Session

from .._admission import Admission
from .._calling import Calling
from .._dispatch import Threads, Workers
from .._errors import CallLost, ConnectionClosed, NotConnected
from .._handler_scopes import HandlerScopes
from .._handlers import Mode
from .._link import Link
from .._pump import Pump
from .._waiter import Waiter
from ._peer import Peer, check_call
from ._registry import Registry
from ._request import Handling, Request
from ._texts import error_from_text, overloaded_text, stopping_text, unknown_method_text

if TYPE_CHECKING:
    from ._options import Options

logger = logging.getLogger("wirecore.wsrpc")

_CLOSED_HERE: Final = "this end closed the connection"

#: A member looked up in its class costs as much as a call.
_INLINE: Final = Mode.INLINE

#: The session's bounds on what comes, which are one to the options.
_SIZES: Final = ("max_frame_size", "max_message_size")


class Channel(Calling, Peer):
    """An open connection to the holder of *public_key*; its owner calls :meth:`run`."""

    __slots__ = (
        "_admission",
        "_closed_here",
        "_handling",
        "_options",
        "_pongs",
        "_public_key",
        "_registry",
        "_session",
        "_stopping",
        "_threads",
        "error",
    )

    def __init__(
        self,
        link: Link,
        session: Session,
        *,
        public_key: bytes,
        registry: Registry,
        workers: Workers,
        options: Options,
    ) -> None:
        super().__init__(options.call_timeout, session.forget)
        self._session = session
        self._public_key = public_key
        self._registry = registry
        self._threads = workers.threads_of(public_key)
        self._options = options
        self._admission = Admission(options, public_key, logger)
        self._stopping = False
        self._pongs = 0  # answers to pings that somebody waits for
        scopes = HandlerScopes(
            timeout=options.handler_timeout, cancels=options.on_disconnect == "cancel"
        )
        self._handling = Handling(self, workers, scopes)
        self._closed_here = ""  # why, once it is
        #: Why the connection ended; None while it is open, and where this end closed it.
        self.error: ConnectionClosed | None = None
        session.start(trio.current_time())
        self._pump = Pump(
            link,
            session,
            self,
            write_timeout=math.inf if options.write_timeout is None else options.write_timeout,
            high_water=options.high_water,
            eager_wait=options.eager_wait,
        )

    @property
    def public_key(self) -> bytes:
        return self._public_key

    @property
    def threads(self) -> Threads:
        """What bounds the handlers that run in threads."""
        return self._threads

    def feed(self, leftover: bytes) -> None:
        """Take what came behind the upgrade, once the channel can be found by its key."""
        if leftover:
            self._pump.feed(leftover)

    async def run(self) -> None:
        """Read, answer and wake until the connection has ended."""
        await self._pump.run_reader()

    def close(self, code: int = CloseCode.NORMAL, *, why: str = _CLOSED_HERE) -> None:
        """Send a close frame and close the stream at once, as the Go side does. Idempotent.

        Calls that have no answer yet are told *why*.
        """
        if not self._ended:
            self._closed_here = why
            self._session.close(code)
            self._pump.push()
            self._pump.end(None)

    async def lives(self, seconds: float) -> bool:
        """Whether the peer gives a sign of life within *seconds*; False, too, at the end.

        Best is the answer to a ping, and it counts at once. When the time is up, whatever has come
        since counts too; and so does progress where the ping still waits behind a large message,
        which a slow path takes longer for.
        """
        pump, outbox = self._pump, self._session.outbox
        before, heard, taken = self._pongs, pump.fed, outbox.queued - pump.untaken()
        try:
            self._session.ping(self._ponged)
        except errors.LocalLimitExceeded:
            return False  # 1024 went in vain
        except (errors.ConnectionLost, errors.LocalError):
            pass  # it is ending in good order, and gets the time for it
        self._pump.push()
        with trio.move_on_after(seconds):
            while self._pongs == before and not self._ended:
                await self.wait_for_change()
        # Where this process stood still, what came meanwhile is read first.
        await trio.lowlevel.checkpoint()
        if self._ended:
            return False
        if self._pongs != before or pump.fed != heard:
            return True
        untaken = pump.untaken()
        return bool(untaken) and outbox.queued - untaken > taken

    def _ponged(self, token: bytes, now: float) -> None:
        self._pongs += 1
        self.tell_change()

    # --- calling ------------------------------------------------------------------------

    # What is read in place is others', too: Ctrl-C waits until it is through.
    @trio.lowlevel.enable_ki_protection
    async def call(self, method: str, payload: bytes) -> bytes:
        if type(payload) is not bytes or type(method) is not str:
            check_call(method, payload)
        session = self._session
        pump = self._pump
        if session.outbox.pending > self._options.high_water:
            await self._wait_for_room()
        if pump.turn_is_due():
            await pump.take_turn()
        waiter = Waiter(self._callers)
        try:
            if self._ended:
                raise errors.NotConnected
            now = pump.now()
            session.call(waiter, method, payload, now)
        except errors.NotConnected:
            # Who tries again and again must let others run meanwhile.
            await trio.lowlevel.checkpoint()
            raise NotConnected from None
        if pump.asked(waiter, now + self._call_timeout, self._callers):
            if isinstance(waiter.outcome, Exception):  # who tries again lets others run
                await trio.lowlevel.checkpoint()
            return waiter.unwrap()  # type: ignore[no-any-return]
        waiter.task = trio.lowlevel.current_task()
        # The answer's payload, or the call's error; cancelled, the call is forgotten.
        return await trio.lowlevel.wait_task_rescheduled(waiter)  # type: ignore[no-any-return]

    async def _wait_for_room(self) -> None:
        # A scope of its own is fine here: this call waits anyway.
        with trio.move_on_after(self._call_timeout) as scope:
            await self._pump.drained()
        if scope.cancelled_caught:
            raise self._timed_out("the request couldn't be sent")

    def _timed_out(self, what: str) -> errors.CallTimeout:
        return errors.CallTimeout(f"{what} within call_timeout, {self._options.call_timeout:g} s")

    def received(self, received: Received) -> None:
        """See the pump's Owner."""
        answers, requests, timed_out = received
        if len(answers) + len(requests) > 1:
            self._pump.hold()  # their callers may call again, their handlers will answer
        for waiter, payload, text in answers:
            waiter.finish(error_from_text(text) if text else payload)
        for waiter in timed_out:
            waiter.finish(self._timed_out("no answer"))
        if self._callers.woken:
            self._pump.woke = True
        for request in requests:
            self._handle(request)

    def on_finish(self) -> None:
        """See the pump's Owner."""
        self._end_calls()

    def on_end(self, error: BaseException | None) -> None:
        """See the pump's Owner."""
        self._ended = True
        self.tell_change()
        self._end_calls(error)
        self._session.outbox.clear()
        self._handling.scopes.end()

    def _end_calls(self, error: BaseException | None = None) -> None:
        """No answer will come any more: fail what waits for one."""
        why = self._closed_here
        if not why:
            # What the close frame said, or which rule was broken, tells more than "reset".
            closed = self._session.closed_error()
            self.error = ConnectionClosed(closed.code, _reason(closed), clean=closed.clean)
            self.error.__cause__ = closed.__cause__
            why = f"the connection was lost: {_tell(self.error, error)}"
            self.error.__cause__ = closed.__cause__ or error
        self._fail_lost(self._session.lost(), lambda execution: CallLost(why, execution=execution))

    # --- serving ------------------------------------------------------------------------

    def _handle(self, request: Request) -> None:
        name, call_id, payload = request
        if self._stopping:
            self.reply_error(call_id, stopping_text())
            return
        method = self._registry.find(name)
        if method is None:
            # At this level only: a peer must not be able to fill the log.
            logger.debug("the peer called %r, which isn't served here", name[:100])
            self.reply_error(call_id, unknown_method_text(name))
            return
        if method.mode is _INLINE:
            handling = self._handling
            if handling._around is None:
                handling.run_inline(method, request)
            else:
                handling._around.inline(handling, method, request)
            return
        excess = self._admission.enter(len(payload))
        if excess is None:
            if self._handling.start(method, request):
                self._pump.woke = True
        else:
            self.reply_error(call_id, overloaded_text(*excess))

    def finished(self, request: Request) -> None:
        """A request that was started is through."""
        self._admission.leave(len(request[2]))
        if not self._admission.handling:
            self.tell_change()

    def stop_handling(self) -> None:
        """Answer new requests with an error; those that are being handled go on."""
        self._stopping = True

    async def wait_handled(self) -> None:
        """Wait until no request is being handled."""
        while self._admission.handling:
            await self.wait_for_change()

    async def finish(self) -> None:
        """Close in good order: what waits to be sent goes first. Returns when all is over."""
        await self._pump.drained()
        if not self._ended:
            self._closed_here = _CLOSED_HERE
            self._session.close(CloseCode.NORMAL)
            self._pump.push()
        await self.wait_ended()

    def reply(self, call_id: str, payload: bytes) -> None:
        """Send an answer, if there is still somebody to answer."""
        if not self._ended:
            try:
                self._session.reply(call_id, payload)
            except errors.LocalLimitExceeded as error:
                self._unsendable(call_id, error)
            self._pump.write()

    def reply_error(self, call_id: str, text: str) -> None:
        """Send an answer that is an error."""
        if not self._ended:
            try:
                self._session.reply_error(call_id, text)
            except errors.LocalLimitExceeded as error:
                if error.limit == "max_queued_bytes":
                    self._pump.cut(error)
                else:
                    logger.error("a call stays without its answer, which is an error: %s", error)
            self._pump.write()

    def _unsendable(self, call_id: str, error: errors.LocalLimitExceeded) -> None:
        if error.limit == "max_queued_bytes":
            self._pump.cut(error)
        else:
            logger.error("a reply can't be sent: %s", error)
            self.reply_error(call_id, f"internal error: the reply is too large ({error.limit})")


def _reason(closed: errors.ConnectionClosed) -> str:
    """Why the connection was closed, in terms of this side's options."""
    cause = closed.__cause__
    if isinstance(cause, errors.RemoteLimitExceeded) and cause.limit in _SIZES:
        return (
            f"a message of {cause.figure} bytes or more came, over this side's "
            f"Options.max_message_size of {cause.bound}"
        )
    return closed.reason


def _tell(closed: errors.ConnectionClosed, error: BaseException | None) -> str:
    """The best that is known of why a connection ended."""
    if error is not None and not closed.clean and closed.__cause__ is None:
        return str(error)
    return str(closed)
