"""One connection over which this end serves: a provider's to its pool, or a pool's call-backs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore import errors
from wirecore.constants import CloseCode
from wirecore.protocols.pool import Incoming, Request
from wirecore.protocols.pool.serving import ServingSession

from .._admission import Admission, Total
from .._changing import Changing
from .._dispatch import Workers
from .._errors import closed_error
from .._handler_scopes import HandlerScopes
from .._link import Link
from .._owner import Owner
from .._pump import Pump
from ._calling_channel import ANOTHER_CODEC
from ._invoking import Invoking

if TYPE_CHECKING:
    from ._options import Options

logger = logging.getLogger("wirecore.pool")

#: What a call is answered that comes too late.
_STOPPING: Final = "the pool is shutting down"


class ServingChannel(Changing, Owner[Any]):
    """An open connection; its owner calls :meth:`run`. *peer*: who calls, for logs.

    *total*: what all connections of its owner handle. *connection*: what handlers see of it; None:
    this channel's own.
    """

    __slots__ = (
        "_admission",
        "_closed_here",
        "_connection",
        "_heard",
        "_invoking",
        "_options",
        "_pump",
        "_session",
        "_stopping",
        "_threads",
        "_workers",
        "error",
        "peer",
        "scopes",
    )

    def __init__(
        self,
        link: Link,
        session: ServingSession,
        workers: Workers,
        options: Options,
        *,
        peer: str,
        total: Total,
        connection: Any = None,
    ) -> None:
        super().__init__()
        self._session = session
        self._workers = workers
        self._invoking = Invoking(self)
        self._options = options
        self.peer = peer
        self._connection = connection
        self._threads = trio.CapacityLimiter(options.max_handler_threads)
        self._admission = Admission(options, peer, logger, total)
        #: The scopes that its handlers run in.
        self.scopes = HandlerScopes(
            timeout=options.handler_timeout, cancels=options.on_disconnect == "cancel"
        )
        self._heard = False  # a call, ever
        self._stopping = False
        self._closed_here = False
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
        self._invoking.reply_by(self._pump, session.quick)

    def __repr__(self) -> str:
        return f"<pool.ServingChannel to {self.peer}>"

    async def run(self, leftover: bytes) -> None:
        """Read and handle until the connection has ended."""
        try:
            if leftover:
                self._pump.feed(leftover)
            await self._pump.run_reader()
        finally:
            self.abort()

    # --- as handlers see it: Replies ------------------------------------------------------------

    @property
    def connection(self) -> Any:
        """What handlers see of it."""
        return self if self._connection is None else self._connection

    @property
    def threads(self) -> trio.CapacityLimiter:
        """What bounds the handlers that run in threads."""
        return self._threads

    def reply(self, request: Request, value: Any, annotation: Any) -> None:
        """Send an answer, if there is still somebody to answer.

        Raises LocalError where *value* can't be sent; nothing was then, and an error can be.
        """
        if not self._ended:
            try:
                self._session.reply(request, value, annotation)
            except errors.LocalLimitExceeded as error:
                if error.limit != "max_queued_bytes":
                    raise
                self._cut(error)
            else:
                self._pump.write()

    def reply_error(self, request: Request, text: str) -> None:
        """Send an answer that is an error, if there is still somebody. Never raises."""
        if not self._ended:
            try:
                self._session.reply_error(request, text)
            except errors.LocalLimitExceeded as error:
                if error.limit == "max_queued_bytes":
                    self._cut(error)
                else:
                    logger.error("a call stays without its answer, which is an error: %s", error)
            else:
                self._pump.write()

    def _cut(self, error: errors.LocalLimitExceeded) -> None:
        # Answers pile up at a peer who asks and doesn't read: memory comes before its calls.
        logger.warning("a peer that doesn't read its answers is cut: %s", error)
        self._pump.end(trio.BrokenResourceError(f"the peer doesn't read its answers: {error}"))

    def finished(self, incoming: Incoming) -> None:
        """A call that was started is through."""
        self._admission.leave(incoming.size)
        if not self._admission.handling:
            self.tell_change()

    # --- the end --------------------------------------------------------------------------------

    def close(self, code: int = CloseCode.NORMAL) -> None:
        """Begin the end in good order. Idempotent."""
        if not self._ended:
            self._session.close(code)
            self._closed_here = True
            self._pump.push()
            self._pump.closed()
            self._pump.arm()

    def abort(self) -> None:
        """End it now; a close frame still goes first, if it can. Idempotent."""
        if not self._ended:
            self._closed_here = True
            self._session.close(CloseCode.GOING_AWAY)
            self._pump.push_last()
            self._pump.end(None)

    def stop_handling(self) -> None:
        """Answer new calls with an error; those that are being handled go on."""
        self._stopping = True

    async def leave(self) -> None:
        """Answer what came, take no more, close, and return when the connection has ended.

        Where the peer can be told that no more is wanted, it closes when it has its answers.
        """
        if self._session.leave():
            self._pump.write()
        else:
            await self.wait_handled()
            self.close()
        await self.wait_ended()

    async def wait_handled(self) -> None:
        """Wait until no call is being handled."""
        while self._admission.handling:
            await self.wait_for_change()
        await self._pump.drained()

    # --- the pump's owner, see there ------------------------------------------------------------

    def received(self, happened: list[Incoming]) -> None:
        """See the pump's Owner."""
        self._heard = True
        if len(happened) > 1:
            self._pump.hold()  # their handlers will answer
        self._invoking.take(happened)

    def _start(self, incoming: Incoming) -> None:
        if self._stopping:
            self.reply_error(incoming.request, _STOPPING)
            return
        excess = self._admission.enter(incoming.size)
        if excess is None:
            if self._workers.start(self._invoking.job(incoming)):
                self._pump.woke = True
        else:
            self.reply_error(incoming.request, f"too many calls: {excess.limit} is {excess.bound}")

    def on_end(self, error: BaseException | None) -> None:
        """See the pump's Owner."""
        self._ended = True
        if self._session.problem is not None:
            logger.warning(
                "%s has sent what is no call, and is closed: %s%s",
                self.peer,
                self._session.problem,
                "" if self._heard else ANOTHER_CODEC,
            )
        if not self._closed_here:
            self.error = closed_error(self._session.closed_error(), self._session.problem, error)
        self._session.outbox.clear()
        self.scopes.end()
        self.tell_change()
