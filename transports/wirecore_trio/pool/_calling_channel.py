"""One connection over which this end calls: a pool's to a provider, or a provider's call-backs."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.protocols.pool.calling import TIMED_OUT, Answers, CallingSession

from .._errors import CallLost, ConnectionClosed, NotConnected, closed_error
from .._link import Link
from .._pump import Pump
from .._submitting import DEFAULT, Submitting
from .._waiter import Waiter, outcome_of

if TYPE_CHECKING:
    from .._pending import Pending
    from ._options import Options
    from ._pending import PendingCall

logger = logging.getLogger("wirecore.pool")

#: For who has never understood his peer.
ANOTHER_CODEC: Final = " (do both ends speak the same codec, gob or JSON?)"

_CLOSED_HERE: Final = "this end closed the connection"


class CallOwner(Protocol):
    """Who has a channel and is told of its calls; nothing of it may block or raise."""

    def _answered(
        self,
        channel: CallingChannel,
        durations: Sequence[float],
        failed: int,
        count: int,
        now: float,
    ) -> None:
        """The peer is through with *count* calls, whether somebody waited for them or not.

        *durations*: how long those took for whom somebody did, in seconds; *failed* of them were
        answered with an error. *now*: by the channel's clock.
        """

    def _crowded(self, channel: CallingChannel) -> None:
        """So much waits to be sent that more calls had better wait: see ``drained``."""

    def _leaving(self, channel: CallingChannel) -> None:
        """The peer wants no more calls. Told once."""

    def _failed(
        self,
        channel: CallingChannel,
        pending: PendingCall[Any],
        error: BaseException | None,
    ) -> None:
        """*pending* has no result; no *error*: it was given up."""

    def _gone(self, channel: CallingChannel) -> None:
        """No call can be made over it any more. Told once, before its calls are failed."""


class CallingChannel(Submitting):
    """An open connection; its owner calls :meth:`run`. *peer*: who is there, for logs."""

    __slots__ = (
        "_closed_here",
        "_heard",
        "_late",
        "_options",
        "_owner",
        "_told_gone",
        "_told_leaving",
        "error",
        "now",
        "peer",
        "session",
    )

    def __init__(
        self, link: Link, session: CallingSession, owner: CallOwner, options: Options, *, peer: str
    ) -> None:
        super().__init__(options.call_timeout, session.forget)
        self.session = session
        self.peer = peer
        self._owner = owner
        self._options = options
        self._closed_here = ""  # why, once it is
        self._late = 0  # answers that nobody waited for, of those that the owner was told
        self._told_gone = self._told_leaving = False
        self._heard = False  # an answer, ever
        #: Why the connection ended; None while it is open, and where this end closed it.
        self.error: Exception | None = None
        session.start(trio.current_time())
        self._pump = Pump(
            link,
            session,
            self,
            write_timeout=options.patience,
            high_water=options.high_water,
            eager_wait=options.eager_wait,
            lingering=session.stage,
        )
        self._submits_by("call", options.high_water)
        #: The time in seconds, as the run's clock has it.
        self.now = self._pump.now

    async def run(self, leftover: bytes) -> None:
        """Read, answer and wake until the connection has ended."""
        try:
            if leftover:
                self._pump.feed(leftover)
            await self._pump.run_reader()
        finally:
            self.abort()

    # --- calling --------------------------------------------------------------------------------

    @property
    def crowded(self) -> bool:
        """Whether so much waits to be sent that calls had better wait: see :meth:`drained`."""
        return self._submitter.crowded

    # What is read in place is others', too: Ctrl-C waits until it is through.
    @trio.lowlevel.enable_ki_protection
    def ask(
        self,
        method: str,
        argument: Any,
        argument_type: Any,
        result: Any,
        own_time: bool = False,
    ) -> Waiter:
        """Send a call, for whose result, read as *result*, its caller then waits.

        *own_time*: the caller sees to its time, and the option ``call_timeout`` isn't for it.
        Raises NotConnected, and a LocalError for what can't be sent.
        """
        pump = self._pump
        now = pump.now()
        waiter = Waiter(self._callers, result, now)
        try:
            if self._ended:
                raise errors.NotConnected
            self.session.call(waiter, method, argument, argument_type, now)
        except BaseException as error:
            self._not_queued(error, now)
            raise
        if own_time:
            waiter.started = math.inf
        pump.asked(waiter, now + self._call_timeout, self._callers)
        if self._submitter.crowded:
            self._owner._crowded(self)
        return waiter

    def submit(self, pending: PendingCall[Any], result: Any, seconds: Any = DEFAULT) -> None:
        """Send the call that *pending* is, which is told of its outcome, read as *result*.

        *seconds*: its time, see Submitting. Where it has no result, the owner's ``_failed`` is
        told. Raises as :meth:`ask`.
        """
        submitter = self._submitter
        try:
            now = submitter.queue(pending, result, None, pending._subject, pending._value, Any)
        except BaseException as error:
            self._not_queued(error, pending.begun)
            raise
        if submitter.send(pending, now):
            self._owner._crowded(self)
        if seconds is not DEFAULT:
            self._has_time(pending, now, seconds)

    def _not_queued(self, error: BaseException, now: float) -> None:
        """The owner has one call less, as *error* was raised. Raises its NotConnected for one."""
        self._owner._answered(self, (), 0, 1, now)
        if isinstance(error, errors.NotConnected):
            raise NotConnected(f"the connection to {self.peer} has ended") from None

    async def call(
        self,
        method: str,
        argument: Any,
        argument_type: Any,
        result: Any,
        *,
        own_time: bool = False,
    ) -> Any:
        """Call, and wait for the result: :meth:`ask` with all that follows.

        Raises RpcError for an error that the peer answered, InvalidValue where its result is of
        another type, CallTimeout, CallLost, and a LocalError for what can't be sent.
        """
        try:
            waiter = self.ask(method, argument, argument_type, result, own_time)
        except NotConnected:
            await trio.lowlevel.checkpoint()
            raise
        return await outcome_of(waiter)

    def failed(self, pending: Pending[Any], error: BaseException | None) -> None:
        """See Submitting: the owner may have it tried again."""
        call: Any = pending
        self._owner._failed(self, call, error)

    async def drained(self) -> None:
        """Wait until less waits to be sent, or until the end."""
        await self._pump.drained()

    # --- the end --------------------------------------------------------------------------------

    def close(self, code: int = CloseCode.NORMAL, *, why: str = _CLOSED_HERE) -> None:
        """Begin the end in good order. Calls without an answer are told *why*. Idempotent."""
        if not self._ended:
            self.session.close(code)
            self._closed_here = self._closed_here or why
            self._tell_gone()
            self._pump.push()
            self._pump.closed()
            self._pump.arm()

    def abort(self) -> None:
        """End it now; a close frame still goes first, if it can. Idempotent."""
        if not self._ended:
            self._closed_here = self._closed_here or _CLOSED_HERE
            self.session.close(CloseCode.GOING_AWAY)
            self._pump.push_last()
            self._pump.end(None)

    async def wait_answered(self) -> None:
        """Wait until no call is without its answer, or until the end."""
        while self.session.table and not self._ended:
            await self.wait_for_change()

    # --- the pump's owner, see there ------------------------------------------------------------

    def received(self, happened: Answers) -> None:
        """See the pump's Owner."""
        if len(happened) > 1:
            self._pump.hold()  # their callers may call again
        callers, now = self._callers, self._pump.fed
        durations, others = callers.deliver(happened, now)
        answered = len(durations)
        failed = 0
        for call, _, error in others:
            if error is TIMED_OUT:
                # The peer may still be at it: its answer, which comes late, is what counts.
                call.finish(self._timed_out())
            else:
                call.finish(error)
                durations.append(now - call.begun)
                failed += 1
        self._tell_woken()
        answered += failed
        late = self.session.late
        if late != self._late:
            answered += late - self._late
            self._late = late
        if answered:
            self._heard = True
            self._owner._answered(self, durations, failed, answered, now)
        if self.session.leaving and not self._told_leaving:
            self._told_leaving = True
            self._owner._leaving(self)
        if self._changed is not None and not self.session.table:
            self.tell_change()

    def _too_late(self, pending: Pending[Any]) -> errors.CallTimeout:
        return errors.CallTimeout(
            f"no answer of {self.peer} to {pending._subject} within {pending._seconds:g} s"
        )

    def _timed_out(self) -> errors.CallTimeout:
        return errors.CallTimeout(
            f"no answer of {self.peer} within call_timeout, {self._call_timeout:g} s"
        )

    def on_finish(self) -> None:
        """See the pump's Owner."""
        self._tell_gone()
        self._fail_calls(None)

    def on_end(self, error: BaseException | None) -> None:
        """See the pump's Owner."""
        self._ended = True
        if self.session.problem is not None:
            logger.warning(
                "%s has sent what is no answer, and is closed: %s%s",
                self.peer,
                self.session.problem,
                "" if self._heard else ANOTHER_CODEC,
            )
        self._tell_gone()
        self._fail_calls(error)
        self.session.outbox.clear()
        self.tell_change()

    def _tell_gone(self) -> None:
        if not self._told_gone:
            self._told_gone = True
            self._owner._gone(self)

    def _fail_calls(self, error: BaseException | None) -> None:
        why = self._closed_here
        if not why:
            problem = self.session.problem
            if self.error is None:
                self.error = closed_error(self.session.closed_error(), problem, error)
            told = problem or (error if error is not None else self.error)
            why = f"the connection to {self.peer} was lost: {told}"
            is_wrong = problem is not None or _closed_with(self.error) == CloseCode.PROTOCOL_ERROR
            if is_wrong and not self._heard:
                why += ANOTHER_CODEC
        self._fail_lost(self.session.lost(), lambda execution: CallLost(why, execution=execution))


def _closed_with(error: Exception | None) -> int | None:
    """The code of the close frame that *error* tells of; None: it tells of none."""
    return error.code if isinstance(error, ConnectionClosed) else None
