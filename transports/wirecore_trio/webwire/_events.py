"""What a client's program is told, one thing after another, so that a handler may wait."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from wirecore.errors import InvalidMessage
from wirecore.protocols.webwire import Payload

from .._arguments import require_callable
from .._handlers import Mode
from ._codecs import Codec
from ._hooks import Hook, tell_hook
from ._routes import Decorator, Routes

if TYPE_CHECKING:
    from wirecore_py.webwire_order import Route

logger = logging.getLogger("wirecore.webwire")

H = TypeVar("H", bound=Hook)

#: Signals are taken beyond the bound while a request waits for its reply: up to so many times it.
_BEYOND: Final = 16


class ClientHooks:
    """A client's decorators, the same before and after it is entered.

    A handler or hook is async, or plain where it never blocks, and is called in a task of the
    client's own, one at a time, in the order in which things happened: one that waits for a
    request delays the next, and not the request.
    """

    _events: Events

    def on_signal(
        self, name: str | None = None, *, codec: Codec[Any] | None = None, inline: bool = False
    ) -> Decorator[Any]:
        """A decorator: signals called *name* are its function's, None: all that have no other.

        The function takes a :class:`ServerSignal`. *codec*: how the payload becomes
        ``signal.value``. *inline*: a plain function runs in the reader, the fastest way, and must
        never block. Raises InvalidOption where *name* is taken, or no name.
        """
        return self._events.signals.add(name, codec, None, inline)

    def on_session_created(self, hook: H) -> H:
        """``(session)``, when the server has given us one, and when one was restored."""
        require_callable("on_session_created", hook, "session")
        self._events.session_created = hook
        return hook

    def on_session_refused(self, hook: H) -> H:
        """``(error)``, when our session couldn't be restored and is given up; we are connected.

        *error*: what the server has answered.
        """
        require_callable("on_session_refused", hook, "error")
        self._events.session_refused = hook
        return hook

    def on_connected(self, hook: H) -> H:
        """``()``, when a connection is open and the session, if there was one, restored on it."""
        require_callable("on_connected", hook)
        self._events.connected = hook
        return hook

    def on_session_closed(self, hook: H) -> H:
        """``()``, when the server has ended our session; not for ``close_session`` of our own."""
        require_callable("on_session_closed", hook)
        self._events.session_closed = hook
        return hook

    def on_disconnected(self, hook: H) -> H:
        """``()``, when a connection that was open is gone, for whatever reason.

        Not when the client itself was left.
        """
        require_callable("on_disconnected", hook)
        self._events.disconnected = hook
        return hook


class Events:
    """The queue of what has happened, and what is called for it. *most*: signals that may wait."""

    __slots__ = (
        "_most",
        "_queue",
        "_room",
        "_something",
        "connected",
        "disconnected",
        "session_closed",
        "session_created",
        "session_refused",
        "signals",
    )

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: deque[tuple[str, Hook, tuple[object, ...]]] = deque()
        self._something = trio.Event()
        self._room: trio.Event | None = None  # made when somebody waits for some
        self.signals = Routes("signal", "on_signal")
        self.session_created: Hook | None = None
        self.session_refused: Hook | None = None
        self.session_closed: Hook | None = None
        self.connected: Hook | None = None
        self.disconnected: Hook | None = None

    @property
    def full(self) -> bool:
        """Whether as many things wait as may."""
        return len(self._queue) >= self._most

    @property
    def overfull(self) -> bool:
        """Whether so many things wait that no more may."""
        return len(self._queue) >= self._most * _BEYOND

    async def wait_room(self) -> None:
        """Wait while as many things wait as may."""
        while self.full:
            if self._room is None:
                self._room = trio.Event()
            await self._room.wait()

    def put(self, what: str, hook: Hook | None, *arguments: object) -> None:
        """Call *hook*, if there is one, in its turn."""
        if hook is not None:
            self._queue.append((what, hook, arguments))
            self._something.set()

    def put_signal(
        self, name: str, payload: Payload, make: Callable[[str, Payload, Any], Any]
    ) -> None:
        """Give a signal to its handler; *make* makes what that takes of name, payload, value."""
        route = self.signals.find(name)
        if route is None:
            logger.debug("the server signalled %r, which nobody takes here", name[:100])
            return
        value = _decode(route, name, payload)
        if value is _NOTHING:
            return
        signal = make(name, payload, value)
        if route.mode is Mode.INLINE:
            try:
                route.handler(signal)
            except Exception:
                logger.exception("the handler of the signal %r failed", name)
        else:
            self.put(f"the handler of the signal {name!r}", route.handler, signal)

    async def run(self, room: Callable[[], object]) -> None:
        """Call what is put, one thing after another. *room* is called when there is some again."""
        while True:
            while self._queue:
                what, hook, arguments = self._queue.popleft()
                await tell_hook(what, hook, *arguments)
                if not self.full:
                    room()
                    if self._room is not None:
                        self._room.set()
                        self._room = None
            self._something = trio.Event()
            await self._something.wait()


_NOTHING: Any = object()


def _decode(route: Route, name: str, payload: Payload) -> Any:
    if route.codec is None:
        return payload
    try:
        return route.codec.decode(payload)
    except InvalidMessage as error:
        logger.warning("a signal %r was dropped: %s", name, error)
        return _NOTHING
