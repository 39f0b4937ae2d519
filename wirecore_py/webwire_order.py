# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""In which order one connection's messages are handled, and how many of them at once.

``wirecore._webwire_order`` is this file, compiled with the types that ``_webwire_order.pxd``
declares.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wirecore import webwire_rules as rules

if TYPE_CHECKING:
    # A module, as its class's name is that of a type already where this is compiled.
    from wirecore_py import jobs
    from wirecore_py.webwire import Message

#: Stands for a type: a job of the connection's own, a function in the id's place.
OWN = -3

_OWN = OWN
_SIGNAL = rules.SIGNAL
_SIGNAL_END = rules.SIGNAL_END
_REQUEST = rules.REQUEST
_REQUEST_END = rules.REQUEST_END
_RESTORE_SESSION = int(rules.MessageType.RESTORE_SESSION)
_CLOSE_SESSION = int(rules.MessageType.CLOSE_SESSION)


#: More than ever are handled at once.
_MANY = 1 << 62


def _is_handled(kind: int) -> bool:
    """Whether anybody wants it: the rest is for clients, and ignored."""
    if kind >= _REQUEST:
        return kind < _REQUEST_END
    if kind >= _SIGNAL:
        return kind < _SIGNAL_END
    return kind in (_RESTORE_SESSION, _CLOSE_SESSION, _OWN)


class Route:
    """A handler, how it is run, and how its values are coded: *codec* and *reply*, or None."""

    __slots__ = ("codec", "handler", "mode", "reply")

    def __init__(
        self, handler: Callable[..., Any], mode: object, codec: Any = None, reply: Any = None
    ) -> None:
        self.handler = handler
        self.mode = mode
        self.codec = codec
        self.reply = reply


class RouteTable:
    """Routes *by_name*, and the one for the *rest*, or None."""

    __slots__ = ("by_name", "rest")

    def __init__(self) -> None:
        self.by_name: dict[str, Route] = {}
        self.rest: Route | None = None


class Order:
    """The queue behind a reader that goes on, and how many jobs run.

    *limit*: jobs at once, below 0 for any number; with 1 they run one after another, in the order
    of arrival. *requests*, *signals*: their routes.

    *connection*: whose messages they are; it has ``_reply``, ``_pump`` and ``_workers``. *deliver*:
    makes of a message what handlers are called with. *make_run*: the backend's Run. *inline*,
    *thread*: the modes of routes whose handlers run here and now, and in threads. *scoped*: runs
    what a handler returns in a scope of its own; None: none needs one.

    Who derives has ``_around`` (None, or what has its own around each handler), ``_in_thread``,
    ``_read`` for a route's codec, ``_finish`` for what isn't answered as it is, ``fail``,
    ``_run_own`` for what concerns the session, ``_unknown`` for messages without a route,
    ``_hold`` where a job begins with nothing beside it, ``_slow_down`` where some wait,
    ``_has_room`` where less do, ``_rest`` where nothing runs any more, if that matters, and
    ``_rested`` where an inline handler has ended it all.
    """

    __slots__ = (
        "_barrier",
        "_bytes",
        "_connection",
        "_deaf",
        "_deliver",
        "_in_order",
        "_inline",
        "_limit",
        "_make_run",
        "_requests",
        "_rest_matters",
        "_running",
        "_scoped",
        "_signals",
        "_taking",
        "_thread",
        "_waiting",
        "_woke",
        "_workers",
    )

    def __init__(
        self,
        connection: Any,
        limit: int,
        requests: RouteTable,
        signals: RouteTable,
        *,
        deliver: Callable[[Any, Message], Any],
        make_run: Callable[[Any, Any, Message], Any],
        inline: object,
        thread: object,
        scoped: Callable[[Any], Any] | None,
    ) -> None:
        self._connection = connection
        self._deliver = deliver
        self._make_run = make_run
        self._limit: float = limit or 1 if 0 <= limit < _MANY else math.inf
        self._in_order = self._limit == 1
        self._requests = requests
        self._signals = signals
        self._inline = inline
        self._thread = thread
        self._scoped = scoped
        self._workers: jobs.Jobs = connection._workers
        self._woke = False  # a task, since the pump was told so
        self._running = 0
        self._rest_matters = self._in_order  # or as soon as somebody waits for it
        self._barrier = False  # what runs lets nothing later begin
        self._taking = False  # an inline handler may be running
        self._deaf = False  # nothing of the client's will begin any more
        self._bytes = 0
        self._waiting: deque[Message] = deque()

    def take(self, messages: list[Message]) -> None:
        """Messages came: begin what may begin, keep the rest in order."""
        waiting = self._waiting
        around = self._around  # type: ignore[attr-defined]  # a class attribute of who derives
        was_taking = self._taking
        self._taking = True
        for message in messages:
            kind = message[0]
            if not _is_handled(kind) or (self._deaf and kind != _OWN):
                continue
            if self._barrier or self._running >= self._limit or waiting:
                waiting.append(message)
                self._bytes += len(message[3])
            else:
                self._begin(message, around)
        self._taking = was_taking
        if self._woke:
            self._tell_woken()
        if waiting:
            self._slow_down()
        elif self._deaf and not self._running:
            self._rested()  # an inline handler has closed it

    def ended(self, message: Message | None = None) -> None:
        """A job that was started is through: others may begin."""
        self._running -= 1
        if self._waiting:
            self._go_on()
        if self._rest_matters and not self._running:
            self._rest()

    def _begin(self, message: Message, around: Any) -> None:
        kind = message[0]
        if kind >= _REQUEST:
            routes = self._requests
        elif kind >= _SIGNAL:
            routes = self._signals
        else:
            self._barrier = True
            self._run_own(message)
            return
        route = routes.by_name.get(message[2])
        if route is None:
            route = routes.rest
        if route is None:
            self._unknown(message)
        elif route.mode is self._inline:
            if around is None:
                self.run_inline(route, message)
            else:
                around.inline(self, route, message)
        else:
            job = self._make_run(self, route, message)
            if around is not None:
                job = around.job(self, message, job)
            self._start(job)

    def _start(self, job: Any) -> None:
        self._running += 1
        if self._in_order:
            self._hold()
        if self._workers.start(job):
            self._woke = True

    def _tell_woken(self) -> None:
        """Those that were woken have their turns before more is read in place."""
        self._woke = False
        self._connection._pump.woke = True

    def _go_on(self) -> None:
        waiting = self._waiting
        around = self._around  # type: ignore[attr-defined]  # see above
        was_taking = self._taking
        self._taking = True
        while waiting and not self._barrier and self._running < self._limit:
            message = waiting.popleft()
            self._bytes -= len(message[3])
            self._begin(message, around)
        self._taking = was_taking
        if self._woke:
            self._tell_woken()
        self._has_room()

    # --- one handler ------------------------------------------------------------------

    def run_inline(self, route: Route, message: Message) -> None:
        """Run a handler that never blocks, here and now."""
        try:
            argument = self._argument(route, message)
            # In a context of its own: what one puts into a contextvar isn't the next one's.
            result = self._workers.run_here(route.handler, argument)
            self.answer(route, message, result)
        except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
            self.fail(route, message, error)

    def call(self, route: Route, message: Message) -> Any:
        """See :class:`~wirecore_py.jobs.Handlers`."""
        argument = self._argument(route, message)
        if route.mode is self._thread:
            called = self._in_thread(route, argument)
        else:
            called = route.handler(argument)
        scoped = self._scoped
        return called if scoped is None else scoped(called)

    def answer(self, route: Route, message: Message, result: Any) -> None:
        """See :class:`~wirecore_py.jobs.Handlers`. A signal's handler returns nothing."""
        if message[0] >= _REQUEST and route.reply is None:
            self._connection._reply(message[1], message[2], result)
        elif message[0] >= _REQUEST or result is not None:
            self._finish(route, message, result)

    def _argument(self, route: Route, message: Message) -> Any:
        made = self._deliver(self._connection, message)
        if route.codec is not None:
            self._read(route, made)
        return made

    # --- who derives ------------------------------------------------------------------

    def fail(self, route: Any, message: Message, error: Exception) -> None:
        """See :class:`~wirecore_py.jobs.Handlers`."""
        raise NotImplementedError

    def _finish(self, route: Any, message: Message, result: Any) -> None:
        raise NotImplementedError

    def _read(self, route: Any, made: Any) -> None:
        raise NotImplementedError

    def _in_thread(self, route: Any, argument: Any) -> Any:
        raise NotImplementedError

    def _run_own(self, message: Message) -> None:
        raise NotImplementedError

    def _hold(self) -> None:
        raise NotImplementedError

    def _unknown(self, message: Message) -> None:
        raise NotImplementedError

    def _slow_down(self) -> None:
        raise NotImplementedError

    def _has_room(self) -> None:
        raise NotImplementedError

    def _rest(self) -> None:
        raise NotImplementedError

    def _rested(self) -> None:
        raise NotImplementedError
