"""One connection's handlers: how they run, what becomes of them, and what waits meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from wirecore._backend import default
from wirecore.errors import ConnectionLost, InvalidMessage
from wirecore.protocols.webwire import Payload, RequestError
from wirecore.webwire_rules import REQUEST

from .._handler_scopes import HandlerScopes
from .._handlers import Mode, forgotten_await
from ._errors import Disconnected
from ._messages import Request, Signal, delivery

if TYPE_CHECKING:
    from wirecore_py.jobs import Job, Run
    from wirecore_py.webwire import Message
    from wirecore_py.webwire_order import OWN, Order, Route

    from ._connection import Connection
else:
    Run = default.jobs.Run
    OWN = default.webwire_order.OWN
    Order = default.webwire_order.Order

logger = logging.getLogger("wirecore.webwire")

#: What a client gets whose request nobody takes, and whose payload isn't what its route wants.
UNKNOWN_REQUEST: Final = "UNKNOWN_REQUEST"
INVALID_PAYLOAD: Final = "INVALID_PAYLOAD"


class _UnreadablePayload(RequestError):
    """The client's fault, and no handler's."""


class Around(Protocol):
    """What has its own around each handler."""

    def inline(self, handling: Handling, route: Route, message: Message) -> None:
        """Call ``handling.run_inline(route, message)``."""

    def job(self, handling: Handling, message: Message, job: Job) -> Job:
        """What runs *job*, the handler's."""


def _client_has_gone() -> Disconnected:
    return Disconnected("the client has gone", execution="maybe_executed")


class Handling(Order):
    """The queue behind a reader that goes on, and the jobs that run.

    *limit*: jobs at once; with 1 they run one after another, in the order of arrival.
    """

    __slots__ = ("_changed", "scopes")

    #: Who watches all handlers; for a while.
    _around: Around | None = None

    _connection: Connection

    def __init__(self, connection: Connection, limit: int) -> None:
        scopes = HandlerScopes(timeout=None, cancels=connection._options.on_disconnect == "cancel")
        super().__init__(
            connection,
            limit,
            connection._requests,
            connection._signals,
            deliver=delivery,
            make_run=Run,
            inline=Mode.INLINE,
            thread=Mode.THREAD,
            scoped=partial(scopes.within, cut_off=_client_has_gone) if scopes.needed else None,
        )
        #: The scopes that handlers run in.
        self.scopes = scopes
        self._changed: trio.Event | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        return not self._running and not self._waiting and not self._taking

    async def wait_idle(self) -> None:
        """Wait until nothing runs or waits."""
        while not self.idle:
            self.heed_rest()
            if self._changed is None:
                self._changed = trio.Event()
            await self._changed.wait()

    def heed_rest(self) -> None:
        """Somebody waits until nothing runs; then the connection is told as well."""
        self._rest_matters = True

    def run_own(self, job: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run *job* of the connection's own in its turn; what comes later waits for it."""
        self.take([(OWN, job, "", b"")])

    def stop_taking(self) -> None:
        """Nothing more of the client's will begin; what runs goes on."""
        self._deaf = True
        self.drop_waiting()

    def drop_waiting(self) -> list[Message]:
        """Nothing of the client's that waits will begin; it is returned.

        What is the connection's own stays: its end is told in any case.
        """
        waiting = list(self._waiting)
        self._waiting.clear()
        self._waiting.extend(message for message in waiting if message[0] == OWN)
        self._bytes = 0
        self._go_on()
        return [message for message in waiting if message[0] != OWN]

    # --- how they run ---------------------------------------------------------------------------

    def _run_own(self, message: Message) -> None:
        kind, what, _, data = message
        job = what if kind == OWN else partial(self._answer_client, kind, what, data)
        self._start(self._run_alone(job))

    async def _answer_client(self, kind: int, request_id: int, data: bytes) -> None:
        await self._connection._answer_session_request(kind, request_id, data)

    async def _run_alone(self, job: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """A hook, or what the client asks of its session. Raises nothing but cancellation."""
        try:
            await job()
        except Exception:
            logger.exception("a job of a connection's own failed")
        except BaseException:
            self.stop_taking()
            raise
        finally:
            self._barrier = False
            self.ended()

    def _in_thread(self, route: Route, argument: Any) -> Coroutine[Any, Any, Any]:
        # Abandoned where it is cancelled: a thread that blocks for ever would keep a server
        # from being left.
        return trio.to_thread.run_sync(
            route.handler,
            argument,
            abandon_on_cancel=True,
            limiter=self._connection._thread_limit,  # type: ignore[arg-type]  # no more is asked
        )

    # --- what becomes of them -------------------------------------------------------------------

    def _read(self, route: Route, made: Request[Any] | Signal[Any]) -> None:
        """Have the route's codec read what came. Raises RequestError where it can't."""
        assert route.codec is not None
        try:
            made.value = route.codec.decode(made.payload)
        except InvalidMessage as error:
            raise _UnreadablePayload(INVALID_PAYLOAD, str(error)) from error

    def _finish(self, route: Route, message: Message, result: Any) -> None:
        """Answer with a codec's reply, or complain. Raises what the codec raises."""
        if message[0] < REQUEST:
            hint = forgotten_await(result)
            logger.error("the handler of the signal %r returned something%s", message[2], hint)
            return
        assert route.reply is not None
        if not isinstance(result, Payload):
            result = route.reply.encode(result)
        self._connection._reply(message[1], message[2], result)

    def fail(self, route: Route, message: Message, error: Exception) -> None:
        """The handler raised *error*: only what was raised on purpose reaches the client."""
        connection = self._connection
        kind, request_id, name, _ = message
        is_request = kind >= REQUEST
        if is_request and isinstance(error, RequestError):
            connection._fail(request_id, name, error)
        elif connection._ended and isinstance(error, ConnectionLost):
            logger.debug("the handler of %r ended with its connection", name)
        elif is_request:
            connection._fail_internally(request_id, name, error)
        elif isinstance(error, _UnreadablePayload):
            logger.warning("a signal %r was dropped: %s", name[:100], error.message)
        else:
            logger.error("the handler of the signal %r failed", name, exc_info=error)

    def cancelled(self, message: Message) -> None:
        """See Handlers: where the server is cancelled, nothing that waits begins."""
        self.stop_taking()
        self.ended(message)

    def _unknown(self, message: Message) -> None:
        kind, request_id, name, _ = message
        logger.debug("a client sent %r, which nobody takes here", name[:100])
        if kind >= REQUEST:
            error = RequestError(UNKNOWN_REQUEST, "no such request")
            self._connection._fail(request_id, name, error)

    # --- the reader, meanwhile ------------------------------------------------------------------

    def _hold(self) -> None:
        self._connection._session_state.hold()

    def _has_room(self) -> None:
        connection = self._connection
        if connection._pump.paused is not None and not self._is_full(0.5):
            connection._read_on()
            if self._in_order and self._running:
                self._hold()

    def _rest(self) -> None:
        """Nothing runs."""
        connection = self._connection
        if self._in_order and connection._pump.paused is None:
            connection._session_state.resume(connection._now())
        if self.idle:
            self._rested()
            if self._changed is not None:
                self._changed.set()
                self._changed = None

    def _rested(self) -> None:
        self._connection._rested()

    def _slow_down(self) -> None:
        if self._is_full(1):
            self._hold()
            self._connection._pause()

    def _is_full(self, part: float) -> bool:
        options = self._connection._options
        return (
            len(self._waiting) >= options.max_queue * part
            or self._bytes >= options.max_queue_bytes * part
        )
