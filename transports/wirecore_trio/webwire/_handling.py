"""One connection's handlers: in which order what came is handled, and how much of it at once."""

from __future__ import annotations

import contextvars
import logging
import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore.errors import ConnectionLost, InvalidMessage
from wirecore.protocols.webwire import Payload, RequestError
from wirecore.webwire_rules import Encoding, MessageType

from .._handlers import Mode, forgotten_await
from ._messages import Request, Signal
from ._routes import Route

if TYPE_CHECKING:
    from wirecore_py.webwire import Message

    from ._connection import Connection

logger = logging.getLogger("wirecore.webwire")

_SIGNALS: Final = range(MessageType.SIGNAL, MessageType.SIGNAL + len(Encoding))
_REQUESTS: Final = range(MessageType.REQUEST, MessageType.REQUEST + len(Encoding))
_ENCODINGS: Final = tuple(Encoding)

#: What the reader itself did in the original, and so nothing that comes later overtakes.
_SESSION: Final = (MessageType.RESTORE_SESSION, MessageType.CLOSE_SESSION)

#: Stands for a type: a job of the connection's own, a function in the payload's place.
_OWN: Final = -3

#: Types that are handled at all; the rest is for clients, and ignored.
_HANDLED: Final = frozenset({_OWN, *_SESSION, *_SIGNALS, *_REQUESTS})

_INLINE: Final = Mode.INLINE
_THREAD: Final = Mode.THREAD

#: What a client gets whose request nobody takes, or whose payload isn't what its route wants.
UNKNOWN_REQUEST: Final = "UNKNOWN_REQUEST"
INVALID_PAYLOAD: Final = "INVALID_PAYLOAD"


class _UnreadablePayload(RequestError):
    """The client's fault, and no handler's."""


class Handling:
    """The queue behind a reader that goes on, and the jobs that run.

    *limit*: jobs at once; with 1 they run one after another, in the order of arrival.
    """

    __slots__ = (
        "_barrier",
        "_bytes",
        "_changed",
        "_connection",
        "_limit",
        "_running",
        "_scopes",
        "_waiting",
    )

    def __init__(self, connection: Connection, limit: int) -> None:
        self._connection = connection
        self._limit: float = limit or 1
        if limit < 0:
            self._limit = math.inf
        self._running = 0
        self._barrier = False  # what runs lets nothing later begin
        self._bytes = 0
        self._waiting: deque[Message] = deque()
        self._scopes: set[trio.CancelScope] = set()
        self._changed: trio.Event | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        return not self._running and not self._waiting

    async def wait_idle(self) -> None:
        """Wait until nothing runs or waits."""
        while not self.idle:
            if self._changed is None:
                self._changed = trio.Event()
            await self._changed.wait()

    def take(self, messages: list[Message]) -> None:
        """Messages came: begin what may begin, keep the rest in order."""
        waiting = self._waiting
        for message in messages:
            if message[0] not in _HANDLED:
                continue
            if waiting or self._barrier or self._running >= self._limit:
                waiting.append(message)
                self._bytes += len(message[3])
            else:
                self._begin(message)
        if waiting:
            self._slow_down()

    def run_own(self, job: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run *job* of the connection's own in its turn; what comes later waits for it."""
        self.take([(_OWN, job, "", b"")])

    def drop_waiting(self) -> list[Message]:
        """Nothing of the client's that waits will begin; it is returned."""
        dropped = [message for message in self._waiting if message[0] != _OWN]
        # What is the connection's own stays: its end is told in any case.
        self._waiting = deque(message for message in self._waiting if message[0] == _OWN)
        self._bytes = 0
        self._go_on()
        return dropped

    def cancel(self) -> None:
        """Tell the handlers that run to stop."""
        for scope in self._scopes:
            scope.cancel()

    # --- one job --------------------------------------------------------------------------------

    def _begin(self, message: Message) -> None:
        kind, request_id, name, _ = message
        connection = self._connection
        if kind in _REQUESTS:
            route = connection.requests.find(name)
            if route is None:
                logger.debug("a client requested %r, which nobody takes here", name[:100])
                connection.fail(request_id, RequestError(UNKNOWN_REQUEST, "no such request"))
                return
        elif kind in _SIGNALS:
            route = connection.signals.find(name)
            if route is None:
                logger.debug("a client signalled %r, which nobody takes here", name[:100])
                return
        else:
            self._barrier = True
            self._start(_Own(self, message))
            return
        job = _Job(self, message, route)
        if route.mode is _INLINE:
            job.run_inline()
        else:
            self._start(job)

    def _start(self, job: _Job | _Own) -> None:
        self._running += 1
        connection = self._connection
        if self._limit == 1:
            connection.session_state.hold()
        connection.started(job)

    def _ended(self, *, barrier: bool = False) -> None:
        """A job that was started is through: others may begin."""
        self._running -= 1
        if barrier:
            self._barrier = False
        self._go_on()

    def _go_on(self) -> None:
        waiting = self._waiting
        while waiting and not self._barrier and self._running < self._limit:
            message = waiting.popleft()
            self._bytes -= len(message[3])
            self._begin(message)
        connection = self._connection
        if connection.paused and not self._is_full(0.5):
            connection.read_on()
            if self._limit == 1 and self._running:
                connection.session_state.hold()
        if not self._running:
            if self._limit == 1 and not connection.paused:
                connection.session_state.resume(connection.now())
            if not waiting and self._changed is not None:
                self._changed.set()
                self._changed = None

    def _slow_down(self) -> None:
        if self._is_full(1):
            self._connection.session_state.hold()
            self._connection.pause()

    def _is_full(self, part: float) -> bool:
        options = self._connection.options
        return (
            len(self._waiting) >= options.max_queue * part
            or self._bytes >= options.max_queue_bytes * part
        )

    def _scope(self) -> trio.CancelScope | None:
        """The scope that a handler runs in, where one is needed."""
        if self._connection.options.on_disconnect == "finish":
            return None
        scope = trio.CancelScope()
        self._scopes.add(scope)
        if self._connection.ended:
            scope.cancel()
        return scope

    def _left(self, scope: trio.CancelScope) -> None:
        self._scopes.discard(scope)


class _Own:
    """A job of the connection's own: a hook, or what the client asks of its session."""

    __slots__ = ("_handling", "_message")

    def __init__(self, handling: Handling, message: Message) -> None:
        self._handling = handling
        self._message = message

    async def run(self) -> None:
        kind, what, _, data = self._message
        connection = self._handling._connection
        try:
            if kind == _OWN:
                await what()
            else:
                await connection.answer_session_request(kind, what, data)
        except Exception:
            logger.exception("a job of a connection's own failed")
        finally:
            self._handling._ended(barrier=True)


class _Job:
    """One request or signal, for its handler."""

    __slots__ = ("_handling", "_message", "_route")

    def __init__(self, handling: Handling, message: Message, route: Route) -> None:
        self._handling = handling
        self._message = message
        self._route = route

    async def run(self) -> None:
        """Run the handler in a task or a thread. Raises nothing but cancellation."""
        handling = self._handling
        scope = handling._scope()
        try:
            if scope is None:
                reply = await self._run()
            else:
                with scope:
                    reply = await self._run()
                if scope.cancelled_caught:
                    return
            self._reply(reply)
        except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
            self._fail(error)
        finally:
            if scope is not None:
                handling._left(scope)
            handling._ended()

    async def _run(self) -> Any:
        route = self._route
        argument = self._argument()
        if route.mode is _THREAD:
            # Abandoned where it is cancelled: a thread that blocks for ever would keep a server
            # from being left.
            return await trio.to_thread.run_sync(
                route.handler,
                argument,
                abandon_on_cancel=True,
                limiter=self._handling._connection.threads,  # type: ignore[arg-type]  # no more is asked of it
            )
        return await route.handler(argument)

    def run_inline(self) -> None:
        """Run a handler that never blocks, here and now."""
        try:
            # In a context of its own: what one handler puts into a contextvar isn't the next one's.
            self._reply(contextvars.copy_context().run(self._route.handler, self._argument()))
        except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
            self._fail(error)

    def _argument(self) -> Request[Any] | Signal[Any]:
        kind, _, name, data = self._message
        connection = self._handling._connection
        is_request = kind in _REQUESTS
        base = MessageType.REQUEST if is_request else MessageType.SIGNAL
        payload = Payload(data, _ENCODINGS[kind - base])
        codec = self._route.codec
        value: Any = payload
        if codec is not None:
            try:
                value = codec.decode(payload)
            except InvalidMessage as error:
                raise _UnreadablePayload(INVALID_PAYLOAD, str(error)) from error
        if is_request:
            return Request(connection, name, payload, value)
        return Signal(connection, name, payload, value)

    def _reply(self, value: Any) -> None:
        kind, request_id, name, _ = self._message
        if kind in _REQUESTS:
            self._handling._connection.reply(request_id, name, self._route.encode(value))
        elif value is not None:
            hint = forgotten_await(value)
            logger.error("the handler of the signal %r returned something%s", name, hint)

    def _fail(self, error: Exception) -> None:
        kind, request_id, name, _ = self._message
        connection = self._handling._connection
        if kind in _REQUESTS:
            if isinstance(error, RequestError):
                connection.fail(request_id, error)
                return
            if connection.ended and isinstance(error, ConnectionLost):
                logger.debug("the handler of %r ended with its connection", name)
                return
            connection.fail_internally(request_id, name, error)
        elif connection.ended and isinstance(error, ConnectionLost):
            logger.debug("the handler of the signal %r ended with its connection", name)
        elif isinstance(error, _UnreadablePayload):
            logger.warning("a signal %r was dropped: %s", name[:100], error.message)
        else:
            logger.error("the handler of the signal %r failed", name, exc_info=error)
