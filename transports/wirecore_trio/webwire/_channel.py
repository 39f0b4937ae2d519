"""One connection of a client: requests that wait for replies, and what the server sends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import trio

from wirecore import errors
from wirecore._backend import default
from wirecore.constants import CloseCode
from wirecore.errors import Execution
from wirecore.protocols.webwire import (
    TIMED_OUT,
    ClientSession,
    DeadlineExceeded,
    Encoding,
    InternalError,
    MaxSessionConnectionsReached,
    MessageType,
    Payload,
    RequestError,
    ServerShutdown,
    SessionNotFound,
    SessionsDisabled,
)
from wirecore.webwire_rules import SIGNAL, SIGNAL_END

from .._errors import closed_error
from .._link import Link
from .._pausing import pause, read_on
from .._pump import Pump
from .._submitting import DEFAULT, Submitting
from .._waiter import Waiter
from ._errors import Disconnected, NotOpen, TransmissionFailed
from ._messages import reply_payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from wirecore_py.webwire_channel import Inbound

    from .._pending import Pending
    from ._options import ClientOptions
else:
    Inbound = default.webwire_channel.Inbound

T = TypeVar("T")

_ENCODINGS: Final = tuple(Encoding)

#: What the answers without a payload mean.
_REFUSALS: Final[dict[int, tuple[type[errors.RemoteError], str]]] = {
    MessageType.REPLY_SHUTDOWN: (ServerShutdown, "the server shuts down"),
    MessageType.REPLY_INTERNAL_ERROR: (
        InternalError,
        "the server failed to handle the request; its log says why",
    ),
    MessageType.REPLY_SESSION_NOT_FOUND: (SessionNotFound, "the server has no such session"),
    MessageType.REPLY_MAX_SESSION_CONNECTIONS: (
        MaxSessionConnectionsReached,
        "as many connections use the session as the server allows",
    ),
    MessageType.REPLY_SESSIONS_DISABLED: (SessionsDisabled, "the server has no sessions"),
}


class Listener(Protocol):
    """Whom a channel tells what the server sent by itself; nothing of it may block."""

    def _signalled(self, channel: Channel, name: str, payload: Payload) -> None:
        """A signal came."""

    def _session_created(self, channel: Channel, json: bytes) -> None:
        """The server gave us a session."""

    def _session_closed(self, channel: Channel) -> None:
        """The server ended our session."""

    def _lost(self, channel: Channel) -> None:
        """The connection is gone."""

    async def _ask_again(self, name: str, data: bytes, encoding: int) -> Payload:
        """A request came when the connection was about to end: the next one may do."""


class Channel(Submitting):
    """An open connection to a server; its owner calls :meth:`run`."""

    __slots__ = ("_closed_here", "_listener", "_options", "_session", "error")

    def __init__(
        self, link: Link, session: ClientSession, listener: Listener, options: ClientOptions
    ) -> None:
        super().__init__(options.request_timeout, session.forget)
        self._session = session
        self._listener = listener
        self._options = options
        self._closed_here = False
        #: Why the connection ended; None while it is open.
        self.error: Exception | None = None
        session.start(trio.current_time())
        inbound = Inbound(self, self._callers, self._submitters, session.table, reply_payload)
        self._pump = inbound.mover = Pump(
            link,
            session,
            inbound,
            write_timeout=math.inf if options.write_timeout is None else options.write_timeout,
            high_water=options.high_water,
            eager_wait=options.eager_wait,
            lingering=session.stage,
        )
        self._submits_by("request", options.high_water)

    async def run(self, leftover: bytes) -> None:
        """Read and wake until the connection has ended."""
        try:
            if leftover:
                self._pump.feed(leftover)
            await self._pump.run_reader()
        finally:
            self.abort()

    async def wait_configured(self) -> None:
        """Wait until the server has said how it is set up.

        Raises Incompatible where that isn't for us, ConnectionClosed where it never did.
        """
        while self._session.conf is None:
            if self.ended or self._session.problem is not None:
                assert self.error is not None or self._session.problem is not None
                raise self._session.problem or self.error  # type: ignore[misc]  # one is there
            await self.wait_for_change()
        self._pump.arm()

    async def wait_answered(self) -> None:
        """Wait until no request is without its reply."""
        while self._session.table and not self.ended:
            await self.wait_for_change()

    def close(self) -> None:
        """Begin the end in good order."""
        if not self.ended:
            self._closed_here = True
            self.read_on()  # the server's close frame
            self._session.close()
            self._pump.push()
            self._pump.closed()
            self._pump.arm()

    def abort(self) -> None:
        """End it now; a close frame still goes first, if it can."""
        if not self.ended:
            self._closed_here = self._session.problem is None
            self._session.close(CloseCode.GOING_AWAY)
            self._pump.push_last()
            self._pump.end(None)

    @property
    def asking(self) -> bool:
        """Whether a request waits for its reply."""
        return bool(self._session.table)

    def pause(self) -> None:
        """Have nobody read until :meth:`read_on`, or a request: too much waits to be handled."""
        pause(self._pump)

    def read_on(self) -> None:
        """There is room again."""
        read_on(self._pump)

    # --- out ------------------------------------------------------------------------------------

    # What is read in place is others', too: Ctrl-C waits until it is through.
    @trio.lowlevel.enable_ki_protection
    async def request(
        self, name: str, data: bytes, encoding: int, *, own_time: bool = False
    ) -> Payload:
        """Send a request and wait for its reply. Raises what stands in :meth:`Client.request`.

        *own_time*: the caller sees to its time, and the option ``request_timeout`` isn't for it.
        """
        try:
            waiter: Waiter | None = self._submitter.ask(name, data, encoding)
            while waiter is None:
                await self._before_asking(own_time)
                waiter = self._submitter.ask(name, data, encoding)
        except errors.NotConnected:
            # Who tries again and again must let others run meanwhile.
            await trio.lowlevel.checkpoint()
            if own_time:
                raise NotOpen("not connected", execution="not_sent") from None
            return await self._listener._ask_again(name, data, encoding)
        if waiter.outcome is not None:
            if isinstance(waiter.outcome, Exception):
                await trio.lowlevel.checkpoint()
            return waiter.unwrap()  # type: ignore[no-any-return]
        if own_time:
            waiter.started = math.inf
        waiter.task = trio.lowlevel.current_task()
        # The reply's payload, or the request's error; cancelled, the request is forgotten.
        return await trio.lowlevel.wait_task_rescheduled(waiter)  # type: ignore[no-any-return]

    async def _before_asking(self, own_time: bool) -> None:
        """Wait for room, let the loop have its turn where that is due, and have the reply read."""
        pump = self._pump
        self.read_on()
        if self._submitter.crowded:
            await (pump.drained() if own_time else self._wait_for_room())
        if pump.turn_is_due():
            await pump.take_turn()

    def submit(
        self,
        pending: Pending[Any],
        name: str,
        data: bytes,
        encoding: int,
        take: Callable[[Payload], object] | None,
        seconds: Any,
    ) -> bool:
        """Send the request that *pending* is; False where it must wait, for room or a connection.

        *pending* is told what *take* makes of the reply; None: the reply. *seconds*: its time, see
        Submitting. Raises for what can't be sent, as :meth:`request`.
        """
        if self._pump.paused is not None and not self._submitter.crowded:
            self.read_on()  # the reply
        now = self._submitter.submit(pending, take, name, data, encoding)
        if now < 0:
            return False
        if seconds is not DEFAULT:
            self._has_time(pending, now, seconds)
        return True

    def _too_late(self, pending: Pending[Any]) -> DeadlineExceeded:
        return DeadlineExceeded(f"no reply within {pending._seconds:g} s")

    async def restore_session(self, key: bytes, take: Callable[[Payload], T]) -> T:
        """Ask for the session of *key*: what *take*, called once, makes of the reply, its JSON.

        Raises as :meth:`request`, and InvalidMessage where *take* does.
        """

        def queue(waiter: Waiter, now: float) -> None:
            self._session.restore_session(waiter, key, now)

        return await self._ask(queue, take)

    async def close_session(self, take: Callable[[Payload], T]) -> T:
        """End the session. As :meth:`restore_session`."""
        return await self._ask(self._session.close_session, take)

    @trio.lowlevel.enable_ki_protection  # see `request`
    async def _ask(self, queue: Callable[[Waiter, float], None], take: Callable[[Payload], T]) -> T:
        # It is taken when it comes, before whatever the server sent after it.
        waiter = Waiter(self._callers, take=take)
        now = self._pump.now()
        await trio.lowlevel.checkpoint()
        try:
            if self._ended:
                raise errors.NotConnected
            queue(waiter, now)
            self.read_on()  # the reply
        except errors.NotConnected:
            raise Disconnected("not connected", execution="not_sent") from None
        if self._pump.asked(waiter, now + self._call_timeout, self._callers):
            return waiter.unwrap()  # type: ignore[no-any-return]
        waiter.task = trio.lowlevel.current_task()
        return await trio.lowlevel.wait_task_rescheduled(waiter)  # type: ignore[no-any-return]

    async def _wait_for_room(self) -> None:
        with trio.move_on_after(self._call_timeout) as scope:
            await self._pump.drained()
        if scope.cancelled_caught:
            raise self._timed_out("the request couldn't be sent")

    async def signal(self, name: str, data: bytes, encoding: int) -> None:
        """Send a signal. Raises what stands in :meth:`Client.signal`."""
        session = self._session
        if session.outbox.pending > self._options.high_water:
            await self._pump.drained()
        pump = self._pump
        try:
            if self._ended:
                raise errors.NotConnected
            session.signal(name, data, encoding, pump.now())
        except errors.NotConnected:
            await trio.lowlevel.checkpoint()
            raise NotOpen("not connected", execution="not_sent") from None
        pump.write()

    # --- what Inbound tells, see there ----------------------------------------------------------

    def _received(self, kind: int, call: Any, name: str, data: bytes) -> None:
        if SIGNAL <= kind < SIGNAL_END:
            self._listener._signalled(self, name, Payload(data, _ENCODINGS[kind - SIGNAL]))
        elif kind == TIMED_OUT:
            call.finish(self._timed_out("no reply"))
        elif kind == MessageType.REPLY_ERROR:
            call.finish(RequestError(name, data.decode("utf-8", "replace")))
        elif kind in _REFUSALS:
            error, text = _REFUSALS[kind]
            call.finish(error(text))
        elif kind == MessageType.SESSION_CREATED:
            self._listener._session_created(self, data)
        elif kind == MessageType.SESSION_CLOSED:
            self._listener._session_closed(self)
        elif kind == MessageType.ACCEPT_CONF:
            self.tell_change()
        # Anything else is for a server, and is ignored, as the original does.

    def _timed_out(self, what: str) -> DeadlineExceeded:
        return DeadlineExceeded(f"{what} within {self._call_timeout:g} s")

    def on_finish(self) -> None:
        """See Inbound."""
        self._fail_requests(None)

    def on_end(self, error: BaseException | None) -> None:
        """See Inbound."""
        self._ended = True
        self._fail_requests(error)
        self._session.outbox.clear()
        self.tell_change()
        self._listener._lost(self)

    def _fail_requests(self, error: BaseException | None) -> None:
        if self.error is None:
            self.error = closed_error(self._session.closed_error(), self._session.problem, error)
        told = self._session.problem or (error if error is not None else self.error)
        why = f"the connection was lost: {told}"
        if self._closed_here:
            why = "this client closed the connection, or was left"

        def make_error(execution: Execution) -> Exception:
            if execution == "not_sent":
                return TransmissionFailed(why, execution=execution)
            return Disconnected(why, execution=execution)

        self._fail_lost(self._session.lost(), make_error)
