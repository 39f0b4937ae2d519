"""One connection's handlers: in which order what came is handled, and how much of it at once."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore.protocols.webwire import RequestError
from wirecore.webwire_rules import MessageType

from .._handler_scopes import HandlerScopes
from .._handlers import Mode
from ._jobs import OWN, REQUEST, REQUEST_END, SIGNAL, SIGNAL_END, run_in_worker, run_inline, run_own

if TYPE_CHECKING:
    from wirecore_py.webwire import Message

    from .._dispatch import Job
    from ._connection import Connection

logger = logging.getLogger("wirecore.webwire")

#: Types that are handled at all; the rest is for clients, and ignored. Nothing that comes later
#: overtakes what concerns the session: the original's reader itself does that.
_HANDLED: Final = frozenset(
    {
        OWN,
        int(MessageType.RESTORE_SESSION),
        int(MessageType.CLOSE_SESSION),
        *range(SIGNAL, SIGNAL_END),
        *range(REQUEST, REQUEST_END),
    }
)

_INLINE: Final = Mode.INLINE

#: What a client gets whose request nobody takes.
UNKNOWN_REQUEST: Final = "UNKNOWN_REQUEST"


class Handling:
    """The queue behind a reader that goes on, and the jobs that run.

    *limit*: jobs at once; with 1 they run one after another, in the order of arrival.
    """

    __slots__ = (
        "_barrier",
        "_bytes",
        "_changed",
        "_connection",
        "_deaf",
        "_in_order",
        "_limit",
        "_running",
        "_taking",
        "_waiting",
        "scopes",
    )

    def __init__(self, connection: Connection, limit: int) -> None:
        self._connection = connection
        self._limit: float = math.inf if limit < 0 else limit or 1
        self._in_order = self._limit == 1
        #: The scopes that handlers run in.
        self.scopes = HandlerScopes(
            timeout=None, cancels=connection._options.on_disconnect == "cancel"
        )
        self._running = 0
        self._barrier = False  # what runs lets nothing later begin
        self._taking = False  # an inline handler may be running
        self._deaf = False  # nothing of the client's will begin any more
        self._bytes = 0
        self._waiting: deque[Message] = deque()
        self._changed: trio.Event | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        return not self._running and not self._waiting and not self._taking

    async def wait_idle(self) -> None:
        """Wait until nothing runs or waits."""
        while not self.idle:
            if self._changed is None:
                self._changed = trio.Event()
            await self._changed.wait()

    def take(self, messages: list[Message]) -> None:
        """Messages came: begin what may begin, keep the rest in order."""
        waiting = self._waiting
        was_taking, self._taking = self._taking, True
        for message in messages:
            if message[0] not in _HANDLED or (self._deaf and message[0] != OWN):
                continue
            if waiting or self._barrier or self._running >= self._limit:
                waiting.append(message)
                self._bytes += len(message[3])
            else:
                self._begin(message)
        self._taking = was_taking
        if waiting:
            self._slow_down()
        elif self._deaf and not self._running:
            self._connection._rested()  # an inline handler has closed it

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

    def ended(self, *, barrier: bool = False) -> None:
        """A job that was started is through: others may begin."""
        self._running -= 1
        if barrier:
            self._barrier = False
        if self._waiting:
            self._go_on()
        if not self._running:
            self._rest()

    def _begin(self, message: Message) -> None:
        kind, request_id, name, _ = message
        connection = self._connection
        if kind >= REQUEST:
            requests = connection._requests
            route = requests.by_name.get(name) or requests.rest
        elif kind >= SIGNAL:
            signals = connection._signals
            route = signals.by_name.get(name) or signals.rest
        else:
            self._barrier = True
            self._start(run_own(self, connection, message))
            return
        if route is None:
            logger.debug("a client sent %r, which nobody takes here", name[:100])
            if kind >= REQUEST:
                connection._fail(request_id, name, RequestError(UNKNOWN_REQUEST, "no such request"))
        elif route.mode is _INLINE:
            run_inline(connection, route, message)
        else:
            self._start(run_in_worker(self, connection, route, message))

    def _start(self, job: Job) -> None:
        self._running += 1
        connection = self._connection
        if self._in_order:
            connection._session_state.hold()
        if connection._workers.start(job):
            connection._pump.woke = True

    def _go_on(self) -> None:
        waiting = self._waiting
        was_taking, self._taking = self._taking, True
        while waiting and not self._barrier and self._running < self._limit:
            message = waiting.popleft()
            self._bytes -= len(message[3])
            self._begin(message)
        self._taking = was_taking
        connection = self._connection
        if connection._pump.paused is not None and not self._is_full(0.5):
            connection._read_on()
            if self._in_order and self._running:
                connection._session_state.hold()

    def _rest(self) -> None:
        """Nothing runs."""
        connection = self._connection
        if self._in_order and connection._pump.paused is None:
            connection._session_state.resume(connection._now())
        if self.idle:
            connection._rested()
            if self._changed is not None:
                self._changed.set()
                self._changed = None

    def _slow_down(self) -> None:
        if self._is_full(1):
            self._connection._session_state.hold()
            self._connection._pause()

    def _is_full(self, part: float) -> bool:
        options = self._connection._options
        return (
            len(self._waiting) >= options.max_queue * part
            or self._bytes >= options.max_queue_bytes * part
        )
